use std::collections::BTreeSet;

use crate::layout::{Item, Page, Place, lay_out};
use crate::*;

fn picture(width: u32, height: u32) -> Picture {
    let pixels = vec![0.5; 3 * width as usize * height as usize];
    Picture::new(width, height, pixels).unwrap()
}

fn cell(width: u32, height: u32) -> Cell {
    Cell {
        picture: Some(picture(width, height)),
        caption: vec!["a caption".to_owned(), "and a second line".to_owned()],
        ..Cell::default()
    }
}

fn head(label: &str) -> Header {
    Header {
        label: label.to_owned(),
        picture: None,
    }
}

fn heads(count: usize) -> Vec<Header> {
    (0..count).map(|number| head(&number.to_string())).collect()
}

fn grid_of(rows: usize, columns: usize, cells: Vec<Cell>) -> Sheet {
    Sheet {
        title: "a title".to_owned(),
        rows: heads(rows),
        columns: heads(columns),
        cells,
    }
}

fn list_of(cells: Vec<Cell>) -> Sheet {
    grid_of(0, 0, cells)
}

/// Where pictures and frames are.
fn places(page: &Page<'_>) -> Vec<Place> {
    let place = |item: &Item<'_>| match item {
        Item::Picture(_, place) | Item::Frame(place) => Some(*place),
        Item::Words(_) => None,
    };
    page.items.iter().filter_map(place).collect()
}

/// What everything covers: left, top, right, bottom.
fn boxes(page: &Page<'_>) -> Vec<[f32; 4]> {
    let of = |item: &Item<'_>| match item {
        Item::Picture(_, place) | Item::Frame(place) => [
            place.x as f32,
            place.y as f32,
            (place.x + place.width) as f32,
            (place.y + place.height) as f32,
        ],
        Item::Words(words) => {
            let width = text::Line::new(&words.text, words.size).width;
            let left = words.x as f32
                - match words.align {
                    layout::Align::Left => 0.0,
                    layout::Align::Middle => width / 2.0,
                    layout::Align::Right => width,
                };
            let foot = words.foot as f32;
            [left, foot - 0.76 * words.size, left + width, foot]
        }
    };
    page.items.iter().map(of).collect()
}

/// Checks that a sheet is laid out without overlaps and within its page, and that it is
/// drawn in that size.
fn check(sheet: &Sheet, side: u32) -> (u32, u32) {
    let page = lay_out(sheet, side).unwrap();
    let boxes = boxes(&page);
    for (number, a) in boxes.iter().enumerate() {
        let (width, height) = (page.size.0 as f32, page.size.1 as f32);
        // Letters may lean over a little.
        assert!(a[0] >= 4.0 && a[1] >= 4.0, "{a:?}");
        assert!(
            a[2] <= width - 4.0 && a[3] <= height - 4.0,
            "{a:?} of {:?}",
            page.size
        );
        for (other, b) in boxes.iter().enumerate().skip(number + 1) {
            let apart = a[2] <= b[0] + 1.0 || b[2] <= a[0] + 1.0 || a[3] <= b[1] || b[3] <= a[1];
            // The caption of an empty cell is in its frame.
            let inside = matches!(page.items[number], Item::Frame(_))
                && b[0] >= a[0]
                && b[1] >= a[1]
                && b[2] <= a[2]
                && b[3] <= a[3];
            assert!(apart || inside, "{number} {a:?}, {other} {b:?}");
        }
    }
    let options = Options { thumbnail: side };
    assert_eq!(pixels(sheet, &options).unwrap().dimensions(), page.size);
    assert_html(&html(sheet, &options));
    page.size
}

#[test]
fn sheets_of_every_shape_are_laid_out() {
    for (rows, columns) in [(1, 1), (1, 7), (7, 1), (3, 2), (0, 4), (4, 0), (0, 0)] {
        let count = match (rows, columns) {
            (0, 0) => 5,
            (rows, columns) => rows.max(1) * columns.max(1),
        };
        for sizes in [
            [(300, 200), (200, 300)],
            [(20, 2000), (2000, 20)],
            [(1, 1), (40, 30)],
        ] {
            let cells = (0..count).map(|number| match number % 3 {
                2 => Cell {
                    caption: vec!["failed".to_owned(), "for a reason ".repeat(40)],
                    ..Cell::default()
                },
                kind => cell(sizes[kind].0, sizes[kind].1),
            });
            let mut sheet = grid_of(rows, columns, cells.collect());
            check(&sheet, 128);
            for (number, header) in sheet.rows.iter_mut().chain(&mut sheet.columns).enumerate() {
                let (width, height) = sizes[number % 2];
                header.picture = Some(picture(width, height));
                header.label = "a long label-with_all/kinds=of breaks ".repeat(number % 4);
            }
            check(&sheet, 64);
            check(&sheet, 256);
        }
    }
}

#[test]
fn cells_stand_in_rows_and_columns() {
    let sheet = grid_of(2, 3, (0..6).map(|_| cell(300, 150)).collect());
    let places = places(&lay_out(&sheet, 100).unwrap());
    assert_eq!(places.len(), 6);
    for place in &places {
        assert_eq!((place.width, place.height), (100, 50));
    }
    assert!(places[0].y == places[2].y && places[3].y > places[0].y + 50);
    assert!(places[0].x == places[3].x && places[1].x > places[0].x + 100);
}

#[test]
fn a_list_is_nearly_square() {
    for (count, columns) in [(1, 1), (2, 2), (4, 2), (6, 3), (9, 3), (12, 4), (100, 10)] {
        assert_eq!(
            grid::columns_of_list(count, 100.0, 100.0),
            columns,
            "{count}"
        );
    }
    assert_eq!(grid::columns_of_list(0, 100.0, 100.0), 1);
    assert_eq!(grid::columns_of_list(9, 1.0, 1000.0), 9);
    assert_eq!(grid::columns_of_list(9, 1000.0, 1.0), 1);
    let size = check(&list_of((0..36).map(|_| cell(64, 64)).collect()), 64);
    let aspect = f64::from(size.0) / f64::from(size.1);
    assert!((0.7..1.5).contains(&aspect), "{size:?}");
}

#[test]
fn a_sheet_without_cells_says_so() {
    let size = check(&Sheet::default(), 256);
    assert!(size.0 > 100 && size.1 > 20, "{size:?}");
    check(&grid_of(0, 3, Vec::new()), 256);
    assert!(html(&Sheet::default(), &Options::default()).contains("no pictures"));
}

#[test]
fn a_wrong_number_of_cells_loses_none() {
    let more = grid_of(1, 2, (0..5).map(|_| cell(64, 64)).collect());
    assert_eq!(places(&lay_out(&more, 64).unwrap()).len(), 6);
    let fewer = grid_of(2, 2, vec![cell(64, 64)]);
    assert_eq!(places(&lay_out(&fewer, 64).unwrap()).len(), 4);
    for sheet in [&more, &fewer] {
        check(sheet, 64);
        let pictures = html(sheet, &Options::default()).matches("<img").count();
        assert_eq!(pictures, sheet.cells.len());
    }
}

#[test]
fn thumbnails_fit_and_are_not_enlarged() {
    let options = Options { thumbnail: 100 };
    assert_eq!(options.shrink(&picture(400, 200)).size(), (100, 50));
    assert_eq!(options.shrink(&picture(1, 3000)).size(), (1, 100));
    assert_eq!(options.shrink(&picture(30, 20)).size(), (30, 20));
    let wild = Options { thumbnail: 0 };
    assert_eq!(wild.shrink(&picture(400, 200)).size(), (32, 16));
    assert!(pixels(&list_of(vec![cell(2, 2)]), &wild).is_some());
    let wild = Options {
        thumbnail: u32::MAX,
    };
    assert!(pixels(&list_of(vec![cell(2, 2)]), &wild).is_some());
}

#[test]
fn a_shrunk_picture_gives_the_same_sheet() {
    let options = Options { thumbnail: 50 };
    let pixels_of = (0..3 * 90 * 70).map(|n| (n % 97) as f32 / 96.0).collect();
    let mut sheet = list_of(vec![cell(1, 1)]);
    sheet.cells[0].picture = Picture::new(90, 70, pixels_of);
    let before = pixels(&sheet, &options).unwrap();
    let shrunk = options.shrink(sheet.cells[0].picture.as_ref().unwrap());
    sheet.cells[0].picture = Some(shrunk);
    assert!(pixels(&sheet, &options).unwrap() == before);
}

#[test]
fn a_sheet_that_is_too_large_is_refused() {
    let small = cell(1, 1);
    let wide = grid_of(1, 2000, vec![small.clone(); 2000]);
    assert!(pixels(&wide, &Options { thumbnail: 256 }).is_none());
    let high = grid_of(5000, 1, vec![small.clone(); 5000]);
    assert!(pixels(&high, &Options { thumbnail: 32 }).is_none());
    let many = list_of(vec![Cell::default(); 1_000_000]);
    assert!(pixels(&many, &Options { thumbnail: 256 }).is_none());
    // Neither side is too long, but both together.
    let square = grid_of(100, 100, vec![Cell::default(); 10_000]);
    assert!(pixels(&square, &Options { thumbnail: 256 }).is_none());
    assert!(lay_out(&square, 64).is_some());
}

#[test]
fn pictures_are_drawn_at_their_places() {
    let sheet = list_of(vec![cell(40, 30), Cell::default()]);
    let page = lay_out(&sheet, 64).unwrap();
    let [picture, frame] = places(&page)[..] else {
        panic!("two places");
    };
    let image = raster::draw(&page);
    let at = |x, y| image.get_pixel(x, y).0;
    assert_eq!(at(picture.x, picture.y), [128; 3]);
    assert_eq!(at(picture.x + 39, picture.y + 29), [128; 3]);
    assert_eq!(at(picture.x - 1, picture.y), [255; 3]);
    assert_eq!(at(picture.x + 40, picture.y + 29), [255; 3]);
    assert_eq!(at(frame.x, frame.y), layout::Shade::EDGE.rgb());
    assert_eq!(at(frame.x + 5, frame.y + 5), layout::Shade::EMPTY.rgb());
    assert_eq!(at(0, 0), [255; 3]);
}

/// How many pixels of a page are nearly black, and how many are neither that nor white.
fn ink(sheet: &Sheet) -> (usize, usize) {
    let image = pixels(sheet, &Options { thumbnail: 64 }).unwrap();
    let dark = image.pixels().filter(|pixel| pixel.0[0] < 0x60).count();
    let grey = image.pixels().filter(|p| (0x60..0xf0).contains(&p.0[0]));
    (dark, grey.count())
}

#[test]
fn text_is_drawn_with_smooth_edges() {
    let plain = Sheet {
        cells: vec![Cell {
            picture: Some(Picture::new(64, 64, vec![1.0; 3 * 64 * 64]).unwrap()),
            ..Cell::default()
        }],
        ..Sheet::default()
    };
    assert_eq!(ink(&plain), (0, 0));
    let mut titled = plain.clone();
    titled.title = "Title".to_owned();
    let mut captioned = plain.clone();
    captioned.cells[0].caption = vec!["caption".to_owned()];
    let mut labelled = plain.clone();
    labelled.rows = vec![head("row")];
    for sheet in [titled, captioned, labelled] {
        let (dark, grey) = ink(&sheet);
        assert!(dark > 15 && grey > 30, "{dark}, {grey}: {sheet:?}");
    }
}

#[test]
fn a_caption_is_drawn_below_its_picture() {
    let sheet = list_of(vec![cell(64, 64)]);
    let page = lay_out(&sheet, 64).unwrap();
    let picture = places(&page)[0];
    let image = raster::draw(&page);
    let below = (picture.y + 64..page.size.1).flat_map(|y| (0..page.size.0).map(move |x| (x, y)));
    let dark = below.filter(|(x, y)| image.get_pixel(*x, *y).0[0] < 0x60);
    assert!(dark.count() > 50);
}

#[test]
fn the_font_has_what_names_are_written_in() {
    let width = |text: &str| text::Line::new(text, 20.0).width;
    // All of these have widths of their own, and are not the box of a missing character.
    for text in [
        "A", "é", "ő", "Ω", "Ж", "×", "·", "–", "—", "…", "→", "µ", "≤", "²",
    ] {
        assert!(width(text) > 0.0 && text::has(text), "{text}");
    }
    assert!(!text::has("写") && width("写") > 5.0);
    // A decomposed accent takes no room.
    assert_eq!(width("e\u{301}"), width("e"));
    assert!(width("AV") < width("A") + width("V"));
}

#[test]
fn lines_are_broken_between_words_and_cut() {
    let wrap = |text: &str, room, most| text::wrap(text, 10.0, room, most);
    assert!(wrap("", 100.0, 3).is_empty());
    assert_eq!(wrap("one line", 100.0, 3), ["one line"]);
    assert_eq!(wrap("two short words", 60.0, 3), ["two short", "words"]);
    assert_eq!(
        wrap("style_weight=100000", 70.0, 3),
        ["style_", "weight=", "100000"]
    );
    let cut = wrap(&"word ".repeat(100), 60.0, 2);
    assert!(cut.len() == 2 && cut[1].ends_with('…'), "{cut:?}");
    // Even a room that has no room ends, with a character a line.
    assert_eq!(wrap("abc", 0.0, 2), ["a", "b…"]);
    for text in ["e\u{301}".repeat(200), "写真".repeat(200), "x".repeat(5000)] {
        for room in [0.0, 9.0, 33.3, 120.0] {
            let lines = wrap(&text, room, 4);
            assert_eq!(lines.len(), 4);
            for line in &lines[..3] {
                let width = text::Line::new(line, 10.0).width;
                assert!(width <= room.max(12.0), "{line} in {room}: {width}");
            }
        }
    }
}

#[test]
fn control_characters_are_written_out() {
    assert_eq!(
        text::clean(" a\u{1b}[31m\nb\u{202e} "),
        "a\\u{1b}[31m\\nb\\u{202e}"
    );
    assert_eq!(text::clean("👩\u{200d}🎨"), "👩🎨");
    assert_eq!(text::clean(&"x".repeat(1_000_000)).chars().count(), 1001);
}

/// A sheet in which every text is an attack.
fn hostile() -> Sheet {
    let attack = "</title><script>alert(1)</script>\"' onerror='x' \u{1b}\0<!-- </pre></style>&lt;";
    let header = Header {
        label: attack.to_owned(),
        picture: Some(picture(4, 4)),
    };
    let hostile = |picture| Cell {
        picture,
        caption: vec![attack.to_owned(); 2],
        link: Some(format!("{attack}/x.png")),
        details: vec![(attack.to_owned(), attack.to_owned())],
        recipe: Some(format!("{{\n\t\"a\": \"{attack}\"\n}}")),
    };
    Sheet {
        title: attack.to_owned(),
        rows: vec![header.clone()],
        columns: vec![header.clone(), header],
        cells: vec![hostile(Some(picture(4, 4))), hostile(None)],
    }
}

#[test]
fn nothing_in_a_sheet_becomes_html() {
    let mut sheet = hostile();
    for _ in 0..2 {
        let page = html(&sheet, &Options::default());
        assert_html(&page);
        assert!(!page.contains("<script") && !page.contains("'x'"));
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onerror=&#39;x&#39;")
        );
        assert!(page.contains("&amp;lt;"));
        let control = |c: char| c.is_control() && c != '\n';
        assert!(!page.contains(control));
        assert!(pixels(&sheet, &Options::default()).is_some());
        sheet.rows.clear();
        sheet.columns.clear();
    }
}

#[test]
fn links_stay_beside_the_sheet() {
    for (link, href) in [
        ("a b.png", "a%20b.png"),
        ("runs/x/result.png", "runs/x/result.png"),
        ("../x.png", "../x.png"),
        ("/home/x.png", "/home/x.png"),
        ("100%.png", "100%25.png"),
        ("a?b#c.png", "a%3Fb%23c.png"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        (" \u{1}JavaScript:x", "%20%01JavaScript%3Ax"),
        ("java\nscript:x", "java%0Ascript%3Ax"),
        ("data:text/html,x", "data%3Atext/html%2Cx"),
        ("https://example.org/x", "https%3A//example.org/x"),
        ("//example.org/x", "/example.org/x"),
        ("///example.org/x", "/example.org/x"),
        ("\\\\example.org\\x", "%5C%5Cexample.org%5Cx"),
        ("\"><b>'.png", "%22%3E%3Cb%3E%27.png"),
        ("größe.png", "gr%C3%B6%C3%9Fe.png"),
    ] {
        let mut sheet = list_of(vec![cell(4, 4)]);
        sheet.cells[0].link = Some(link.to_owned());
        let page = html(&sheet, &Options::default());
        assert!(
            page.contains(&format!("<a class=\"frame\" href=\"{href}\">")),
            "{link}"
        );
    }
    let mut sheet = list_of(vec![cell(4, 4)]);
    sheet.cells[0].link = Some(String::new());
    assert!(!html(&sheet, &Options::default()).contains("<a "));
}

#[test]
fn a_page_has_what_a_browser_needs() {
    let mut sheet = grid_of(1, 1, vec![cell(400, 200)]);
    sheet.cells[0].details = vec![("content loss".to_owned(), "12.5".to_owned())];
    sheet.cells[0].recipe = Some("{\n  \"seed\": 1\n}".to_owned());
    let page = html(&sheet, &Options::default());
    for part in [
        "<!doctype html>",
        "<meta charset=\"utf-8\">",
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline';",
        "<title>a title</title>",
        "<h1>a title</h1>",
        "<th scope=\"col\"><span>0</span></th>",
        "alt=\"0 × 0: a caption, and a second line\" width=\"256\" height=\"128\"",
        "<th scope=\"row\">content loss</th><td>12.5</td>",
        "<pre>\n{\n  &quot;seed&quot;: 1\n}\n</pre>",
        "content-visibility: auto",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing is fetched.
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("url("));
}

#[test]
fn embedded_thumbnails_are_jpegs_of_their_size() {
    use base64::Engine as _;
    let page = html(&list_of(vec![cell(300, 150)]), &Options { thumbnail: 100 });
    let (_, url) = page.split_once("src=\"data:image/jpeg;base64,").unwrap();
    let (data, _) = url.split_once('"').unwrap();
    let jpeg = base64::prelude::BASE64_STANDARD.decode(data).unwrap();
    let image = image::load_from_memory_with_format(&jpeg, image::ImageFormat::Jpeg).unwrap();
    assert_eq!((image.width(), image.height()), (100, 50));
    assert!(
        image
            .to_rgb8()
            .pixels()
            .all(|pixel| pixel.0[0].abs_diff(128) < 3)
    );
}

#[test]
fn work_is_done_in_order() {
    let items: Vec<u32> = (0..1000).collect();
    let doubled: Vec<u32> = items.iter().map(|item| item * 2).collect();
    assert_eq!(parallel::map(&items, |item| item * 2), doubled);
    assert!(parallel::map(&[] as &[u32], |item| item * 2).is_empty());
}

/// Checks that a page is made of known elements that are closed in their order, that
/// attributes are quoted, and that text has no stray signs.
fn assert_html(page: &str) {
    const VOID: [&str; 5] = ["meta", "img", "col", "br", "wbr"];
    const KNOWN: [&str; 26] = [
        "html",
        "head",
        "title",
        "style",
        "body",
        "h1",
        "p",
        "main",
        "table",
        "colgroup",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "figure",
        "figcaption",
        "span",
        "div",
        "a",
        "details",
        "summary",
        "pre",
        "meta",
        "img",
        "col",
    ];
    const ATTRIBUTES: [&str; 15] = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "span",
        "scope",
        "style",
        "href",
        "alt",
        "width",
        "height",
        "decoding",
        "src",
    ];
    let known: BTreeSet<_> = KNOWN.into_iter().chain(VOID).collect();
    let mut rest = page.strip_prefix("<!doctype html>\n").unwrap();
    let mut open: Vec<&str> = Vec::new();
    while let Some((text, tag)) = rest.split_once('<') {
        // In a style sheet `>` is a combinator, and quotes are quotes.
        if open.last() != Some(&"style") {
            assert!(!text.contains(['>', '"', '\'']), "{text}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            let (name, after) = name.split_once('>').unwrap();
            assert_eq!(open.pop(), Some(name), "{after:.200}");
            rest = after;
            continue;
        }
        let end = tag.find([' ', '>']).unwrap();
        let name = &tag[..end];
        assert!(known.contains(name), "{name}");
        if !VOID.contains(&name) {
            open.push(name);
        }
        let mut attributes = &tag[end..];
        while let Some(attribute) = attributes.strip_prefix(' ') {
            let (name, value) = attribute.split_once("=\"").unwrap();
            assert!(ATTRIBUTES.contains(&name), "{name}");
            let (value, after) = value.split_once('"').unwrap();
            assert!(!value.contains(['<', '>']), "{value}");
            attributes = after;
        }
        rest = attributes.strip_prefix('>').unwrap();
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?}");
}

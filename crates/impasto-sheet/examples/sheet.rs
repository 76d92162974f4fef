//! Writes example sheets from this repository's pictures, to look at:
//!
//!     cargo run --release -p impasto-sheet --example sheet -- FOLDER [CELLS]
//!
//! With a number of cells it writes a page of so many, too.

use std::error::Error;
use std::path::{Path, PathBuf};

use impasto_core::picture::{self, Picture};
use impasto_sheet::{Cell, Header, Options, Sheet};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("usage: sheet FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let options = Options::default();
    write(&folder, "grid", &grid()?, &options)?;
    write(&folder, "small", &grid()?, &Options { thumbnail: 120 })?;
    write(&folder, "list", &list()?, &options)?;
    write(&folder, "labels", &labels()?, &options)?;
    write(&folder, "nothing", &Sheet::default(), &options)?;
    if let Some(count) = std::env::args().nth(2) {
        let html = impasto_sheet::html(&many(count.parse()?)?, &options);
        std::fs::write(folder.join("many.html"), html)?;
    }
    Ok(())
}

fn write(folder: &Path, name: &str, sheet: &Sheet, options: &Options) -> Outcome<()> {
    let pixels = impasto_sheet::pixels(sheet, options).ok_or("the sheet is too large")?;
    pixels.save(folder.join(format!("{name}.png")))?;
    let html = impasto_sheet::html(sheet, options);
    std::fs::write(folder.join(format!("{name}.html")), html)?;
    Ok(())
}

fn load(name: &str) -> Outcome<Picture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Ok(picture::load(&root.join(name))?.picture)
}

/// A part of a picture, as if it had been painted.
fn part(picture: &Picture, column: u32, row: u32) -> Outcome<Picture> {
    let (width, height) = (picture.width() * 3 / 5, picture.height() * 3 / 5);
    let (left, top) = (picture.width() / 12 * column, picture.height() / 10 * row);
    let rgb = picture.to_rgb8();
    let mut pixels = Vec::new();
    for y in top..(top + height).min(picture.height()) {
        for x in left..left + width {
            let start = 3 * (y * picture.width() + x) as usize;
            pixels.extend_from_slice(&rgb[start..start + 3]);
        }
    }
    Picture::from_rgb8(width, height, &pixels).ok_or_else(|| "an empty part".into())
}

/// Contents × styles.
fn grid() -> Outcome<Sheet> {
    let head = |label: &str, file: &str| -> Outcome<Header> {
        Ok(Header {
            label: label.to_owned(),
            picture: Some(load(file)?),
        })
    };
    let mut rows = vec![
        head("china", "assets/china.jpg")?,
        head("chelsea", "assets/chelsea.jpg")?,
        head("coffee", "assets/coffee.jpg")?,
    ];
    rows.push(head(
        "a file with a very long name, 2026-05-09",
        "assets/demo.jpg",
    )?);
    let columns = ["night", "wave", "mosaic", "hatching", "meadow"];
    let columns: Vec<Header> = columns
        .iter()
        .map(|name| head(name, &format!("assets/{name}.jpg")))
        .collect::<Outcome<_>>()?;
    let mut cells = Vec::new();
    for (row, content) in rows.iter().enumerate() {
        for (number, column) in columns.iter().enumerate() {
            let source = column.picture.as_ref().ok_or("no picture")?;
            let missing = row == 1 && number == 3;
            let running = row == 3 && number == 4;
            let picture = part(source, number as u32, row as u32)?;
            let caption = match (missing, running) {
                (true, _) => vec!["failed".to_owned(), "out of memory on GPU 0".to_owned()],
                (_, true) => vec!["waiting".to_owned()],
                _ => vec![
                    format!("loss {}.{number}e5 · 500 iterations", row + 1),
                    format!("style weight {}", 10_u32.pow(number as u32)),
                ],
            };
            cells.push(Cell {
                picture: (!missing && !running).then_some(picture),
                caption,
                link: Some(format!(
                    "runs/{} {}/result.png",
                    content.label, column.label
                )),
                details: vec![
                    ("content loss".to_owned(), "12345.6".to_owned()),
                    ("style loss".to_owned(), "0.00234".to_owned()),
                    ("style_weight".to_owned(), "1e5".to_owned()),
                ],
                recipe: Some(
                    "{\n  \"content\": \"china.jpg\",\n  \"iterations\": 500\n}".to_owned(),
                ),
            });
        }
    }
    Ok(Sheet {
        title: "Contents × styles, 512 pixels".to_owned(),
        columns,
        rows,
        cells,
    })
}

/// Pictures of different shapes.
fn list() -> Outcome<Sheet> {
    let looks = [
        "average",
        "colour",
        "finish",
        "laplacian",
        "masks",
        "norm",
        "normalize",
        "presets",
        "scale",
        "shift",
        "start",
        "statistic",
        "styles",
    ];
    let cells = looks.iter().map(|name| {
        Ok(Cell {
            picture: Some(load(&format!("docs/looks/{name}.jpg"))?),
            caption: vec![format!("{name}.jpg")],
            link: Some(format!("{name}.jpg")),
            ..Cell::default()
        })
    });
    Ok(Sheet {
        title: "docs/looks".to_owned(),
        cells: cells.collect::<Outcome<_>>()?,
        ..Sheet::default()
    })
}

/// Labels without pictures, and scripts of other languages.
fn labels() -> Outcome<Sheet> {
    let head = |label: &str| Header {
        label: label.to_owned(),
        picture: None,
    };
    let source = load("assets/wave.jpg")?;
    let captions = [
        "Größe, naïve, Čeština, Ελληνικά",
        "Привет — мир … «×» → ≤ 5",
        "日本語 and 👩\u{200d}🎨",
        "e\u{301}te\u{301} \u{1b}[31m",
    ];
    let cells = (0..6).map(|number| {
        Ok(Cell {
            picture: Some(part(&source, number % 3, number / 3)?),
            caption: vec![captions[number as usize % 4].to_owned()],
            ..Cell::default()
        })
    });
    Ok(Sheet {
        title: "style.weight × content.weight".to_owned(),
        rows: vec![
            head("style.weight = 1e5"),
            head("style.weight = 1e6, all_the_rest_as_before"),
        ],
        columns: vec![head("0.001"), head("0.01"), head("0.1")],
        cells: cells.collect::<Outcome<_>>()?,
    })
}

/// A grid of many cells.
fn many(count: u32) -> Outcome<Sheet> {
    let head = |number: u32| Header {
        label: format!("value {number}"),
        picture: None,
    };
    let source = load("assets/mosaic.jpg")?;
    let parts: Vec<Picture> = (0..12)
        .map(|number| part(&source, number % 4, number / 4))
        .collect::<Outcome<_>>()?;
    let columns = f64::from(count).sqrt() as u32;
    let cells = (0..count).map(|number| Cell {
        picture: Some(parts[number as usize % parts.len()].clone()),
        caption: vec![format!("cell {number}")],
        details: vec![("loss".to_owned(), number.to_string())],
        ..Cell::default()
    });
    Ok(Sheet {
        title: format!("{count} cells"),
        rows: (0..count.div_ceil(columns.max(1))).map(head).collect(),
        columns: (0..columns).map(head).collect(),
        cells: cells.collect(),
    })
}

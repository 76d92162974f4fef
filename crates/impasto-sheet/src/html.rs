//! The sheet as one HTML file: no scripts, nothing from elsewhere.

use std::fmt::Display;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use impasto_core::picture::Picture;
use impasto_core::text::printable;

use crate::grid::{self, thumbnail_size};
use crate::{Cell, Header, Sheet, parallel};

const STYLE: &str = include_str!("../assets/sheet.css");

/// Of the thumbnails; of 100.
const JPEG_QUALITY: u8 = 85;

/// Images from data URLs and the styles of this file; no scripts, no requests.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// The page.
pub fn page(sheet: &Sheet, side: u32) -> String {
    let (rows, columns) = grid::shape(sheet);
    let heights = grid::row_heights(sheet, rows, columns, side);
    let height = heights.iter().map(|height| u64::from(*height)).sum::<u64>()
        / u64::try_from(rows).unwrap_or(1).max(1);
    let lines = sheet.cells.iter().map(|cell| cell.caption.len()).max();
    let mut html = Html(String::new());
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw(format_args!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n"
    ));
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    html.raw("<meta name=\"generator\" content=\"impasto\">\n<title>");
    html.text(match sheet.title.trim() {
        "" => "Contact sheet",
        title => title,
    });
    html.raw("</title>\n<style>\n:root {");
    html.raw(format_args!(
        " --width: {}; --height: {height}; --head: {}; --lines: {}; ",
        grid::cell_width(sheet, side),
        side / 2,
        lines.unwrap_or(0)
    ));
    html.raw("}\n");
    html.raw(STYLE);
    html.raw("</style>\n</head>\n<body>\n");
    if !sheet.title.trim().is_empty() {
        html.raw("<h1>");
        html.text(sheet.title.trim());
        html.raw("</h1>\n");
    }
    let pictures = parallel::map(&sheet.cells, |cell| {
        cell.picture
            .as_ref()
            .and_then(|picture| embed(picture, side))
    });
    if sheet.cells.is_empty() && sheet.rows.is_empty() {
        html.raw("<p class=\"none\">no pictures</p>\n");
    } else if grid::is_list(sheet) {
        list(&mut html, sheet, &pictures);
    } else {
        table(&mut html, sheet, &pictures, (columns, &heights), side);
    }
    html.raw("</body>\n</html>\n");
    html.0
}

/// A thumbnail in the file.
struct Embedded {
    url: String,
    size: (u32, u32),
}

/// A picture's thumbnail. None if it cannot be encoded, which no size that occurs leads
/// to.
fn embed(picture: &Picture, side: u32) -> Option<Embedded> {
    let size = thumbnail_size(picture, side);
    let rgb = picture.resized(size.0, size.1).to_rgb8();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY)
        .encode(&rgb, size.0, size.1, ExtendedColorType::Rgb8)
        .ok()?;
    let mut url = "data:image/jpeg;base64,".to_owned();
    BASE64_STANDARD.encode_string(jpeg, &mut url);
    Some(Embedded { url, size })
}

/// Cells in rows as long as the window is wide.
fn list(html: &mut Html, sheet: &Sheet, pictures: &[Option<Embedded>]) {
    html.raw("<main class=\"list\">\n");
    for (number, cell) in sheet.cells.iter().enumerate() {
        let picture = pictures.get(number).and_then(Option::as_ref);
        let name = match cell.caption.is_empty() {
            true => format!("picture {}", number + 1),
            false => String::new(),
        };
        figure(html, cell, picture, name);
        html.raw("\n");
    }
    html.raw("</main>\n");
}

/// Cells in rows and columns with headers that stay in sight.
fn table(
    html: &mut Html,
    sheet: &Sheet,
    pictures: &[Option<Embedded>],
    (columns, heights): (usize, &[u32]),
    side: u32,
) {
    let (row_heads, column_heads) = (grid::is_shown(&sheet.rows), grid::is_shown(&sheet.columns));
    html.raw("<main>\n<table class=\"grid\">\n<colgroup>");
    if row_heads {
        let kind = match sheet.rows.iter().any(|header| header.picture.is_some()) {
            true => "pictures",
            false => "labels",
        };
        html.raw(format_args!("<col class=\"{kind}\">"));
    }
    html.raw(format_args!("<col span=\"{columns}\"></colgroup>\n"));
    if column_heads {
        html.raw("<thead>\n<tr>");
        if row_heads {
            html.raw("<td></td>");
        }
        for column in 0..columns {
            html.raw("<th scope=\"col\">");
            heading(html, sheet.columns.get(column), side);
            html.raw("</th>");
        }
        html.raw("</tr>\n</thead>\n");
    }
    html.raw("<tbody>\n");
    for (row, height) in heights.iter().enumerate() {
        html.raw(format_args!("<tr style=\"--height: {height}\">"));
        if row_heads {
            html.raw("<th scope=\"row\">");
            heading(html, sheet.rows.get(row), side);
            html.raw("</th>");
        }
        html.raw("\n");
        for column in 0..columns {
            let number = row * columns + column;
            html.raw("<td>");
            let empty = Cell::default();
            let cell = sheet.cells.get(number).unwrap_or(&empty);
            let picture = pictures.get(number).and_then(Option::as_ref);
            let labels = [sheet.rows.get(row), sheet.columns.get(column)];
            let labels = labels.into_iter().flatten().map(|head| head.label.trim());
            let labels: Vec<_> = labels.filter(|label| !label.is_empty()).collect();
            figure(html, cell, picture, labels.join(" × "));
            html.raw("</td>\n");
        }
        html.raw("</tr>\n");
    }
    html.raw("</tbody>\n</table>\n</main>\n");
}

/// The header of a row or a column.
fn heading(html: &mut Html, header: Option<&Header>, side: u32) {
    let Some(header) = header else { return };
    let picture = header.picture.as_ref();
    if let Some(picture) = picture.and_then(|picture| embed(picture, side / 2)) {
        html.image(&picture, &header.label);
    }
    if !header.label.is_empty() {
        html.raw("<span>");
        html.words(&header.label);
        html.raw("</span>");
    }
}

/// A cell. A picture is described by its name and its caption.
fn figure(html: &mut Html, cell: &Cell, picture: Option<&Embedded>, name: String) {
    html.raw("<figure>");
    let link = cell.link.as_deref().filter(|link| !link.is_empty());
    let class = match picture {
        Some(_) => "frame",
        None => "frame empty",
    };
    match link {
        Some(link) => html.raw(format_args!(
            "<a class=\"{class}\" href=\"{}\">",
            relative_url(link)
        )),
        None => html.raw(format_args!("<div class=\"{class}\">")),
    }
    match picture {
        Some(picture) => {
            let name = match name.is_empty() || cell.caption.is_empty() {
                true => name + &cell.caption.join(", "),
                false => format!("{name}: {}", cell.caption.join(", ")),
            };
            html.image(picture, &name);
        }
        None => html.lines(&cell.caption),
    }
    html.raw(match link {
        Some(_) => "</a>",
        None => "</div>",
    });
    let caption = match picture {
        Some(_) => &cell.caption[..],
        None => &[],
    };
    if !caption.is_empty() || !cell.details.is_empty() || cell.recipe.is_some() {
        html.raw("<figcaption>");
        html.lines(caption);
        details(html, cell);
        html.raw("</figcaption>");
    }
    html.raw("</figure>");
}

/// What is shown on demand: the table and the recipe.
fn details(html: &mut Html, cell: &Cell) {
    if cell.details.is_empty() && cell.recipe.is_none() {
        return;
    }
    let summary = match cell.details.is_empty() {
        true => "recipe",
        false => "details",
    };
    html.raw(format_args!("<details><summary>{summary}</summary>"));
    if !cell.details.is_empty() {
        html.raw("<table>");
        for (name, value) in &cell.details {
            html.raw("<tr><th scope=\"row\">");
            html.words(name);
            html.raw("</th><td>");
            html.words(value);
            html.raw("</td></tr>");
        }
        html.raw("</table>");
    }
    if let Some(recipe) = &cell.recipe {
        // A browser drops the first line break of a <pre>.
        html.raw("<pre>\n");
        for line in recipe.lines() {
            html.text(&line.replace('\t', "    "));
            html.raw("\n");
        }
        html.raw("</pre>");
    }
    html.raw("</details>");
}

/// A path as a URL that stays on the same host and has no scheme: everything except
/// letters, digits, `/` and four signs is percent-encoded, also `:`, `?`, `#` and `%`.
fn relative_url(path: &str) -> String {
    let mut url = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                url.push(char::from(byte));
            }
            // Two slashes at the beginning would name a host.
            b'/' if url == "/" => {}
            b'/' => url.push('/'),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// A text of HTML.
struct Html(String);

impl Html {
    /// Adds HTML.
    fn raw(&mut self, html: impl Display) {
        use std::fmt::Write as _;
        // Writing into a string does not fail.
        let _ = write!(self.0, "{html}");
    }

    /// Adds text, also inside quotes of an attribute: control characters are written out
    /// and nothing in it is HTML.
    fn text(&mut self, text: &str) {
        self.escaped(text, "");
    }

    /// Adds text that may be broken after the signs that join words in names. Not for
    /// attributes.
    fn words(&mut self, text: &str) {
        self.escaped(text, "<wbr>");
    }

    fn escaped(&mut self, text: &str, after_joint: &str) {
        for character in printable(text).chars() {
            match character {
                '_' | '/' => {
                    self.0.push(character);
                    self.0.push_str(after_joint);
                }
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
    }

    /// Adds lines of text.
    fn lines(&mut self, lines: &[String]) {
        for line in lines {
            self.raw("<span>");
            self.words(line);
            self.raw("</span>");
        }
    }

    fn image(&mut self, picture: &Embedded, name: &str) {
        let (width, height) = picture.size;
        self.raw("<img alt=\"");
        self.text(name);
        self.raw(format_args!(
            "\" width=\"{width}\" height=\"{height}\" decoding=\"async\" src=\"{}\">",
            picture.url
        ));
    }
}

//! Where everything on a page is, in pixels from the upper left corner.

use impasto_core::picture::Picture;

use crate::text::{Line, baseline, clean, line_height, wrap};
use crate::{Cell, Header, MAX_PIXELS, MAX_SIDE, Sheet, grid};

/// The most lines of a cell's caption, and how many of them one item may take.
const CAPTION_LINES: usize = 8;
const ITEM_LINES: usize = 2;

/// A page and what is drawn on it, in this order.
pub struct Page<'a> {
    pub size: (u32, u32),
    pub items: Vec<Item<'a>>,
}

pub enum Item<'a> {
    Picture(&'a Picture, Place),
    Frame(Place),
    Words(Words),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// A line of text.
pub struct Words {
    pub text: String,
    /// The size of the letters.
    pub size: f32,
    /// Where the line begins, has its middle, or ends.
    pub x: u32,
    pub align: Align,
    /// The row that the letters stand on.
    pub foot: u32,
    pub shade: Shade,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Middle,
    Right,
}

/// A grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shade(u8);

impl Shade {
    pub const INK: Self = Self(0x22);
    pub const FAINT_INK: Self = Self(0x66);
    pub const EDGE: Self = Self(0xd4);
    pub const EMPTY: Self = Self(0xf7);

    pub fn rgb(self) -> [u8; 3] {
        [self.0; 3]
    }
}

/// Sizes that follow from the thumbnails'.
struct Metrics {
    text: f32,
    title: f32,
    /// Between two cells.
    gap: u32,
    /// Around everything.
    margin: u32,
    /// The long sides of the pictures in cells and in headers.
    side: u32,
    head: u32,
}

impl Metrics {
    fn new(side: u32) -> Self {
        let text = (side as f32 / 17.0).round().clamp(12.0, 64.0);
        Self {
            text,
            title: (text * 1.5).round(),
            gap: (side / 20).max(8),
            margin: (side / 9).max(16),
            side,
            head: side / 2,
        }
    }

    fn lines(&self, count: usize) -> u32 {
        line_height(self.text) * u32::try_from(count).unwrap_or(u32::MAX / 1000)
    }
}

/// A caption cut into lines.
type Lines = Vec<(String, Shade)>;

/// A header with its label cut into lines.
struct Heading<'a> {
    picture: Option<(&'a Picture, (u32, u32))>,
    lines: Vec<String>,
}

/// Lays a sheet out. `None` if the page would be too large.
pub fn lay_out(sheet: &Sheet, side: u32) -> Option<Page<'_>> {
    let metrics = Metrics::new(side);
    let width = grid::cell_width(sheet, side);
    let (rows, columns) = match grid::is_list(sheet) {
        true => list_shape(sheet, width, side, &metrics),
        false => grid::shape(sheet),
    };
    let fits = |width: u64, height: u64| {
        width.max(height) <= MAX_SIDE.into() && width * height <= MAX_PIXELS
    };
    // Millions of captions are not even measured, nor are sizes that overflow added up.
    let least = u64::from(metrics.gap);
    let least_width = u64::try_from(columns).ok()?.checked_mul(width.into())?;
    if !fits(least_width, u64::try_from(rows).ok()?.checked_mul(least)?) {
        return None;
    }
    let heights = grid::row_heights(sheet, rows, columns, side);
    let least_height = heights.iter().map(|height| u64::from(*height) + least);
    if !fits(least_width, least_height.sum()) {
        return None;
    }
    let mut desk = Desk {
        metrics,
        width,
        columns,
        items: Vec::new(),
        left: 0,
    };
    let size = desk.page(sheet, &heights);
    fits(size.0.into(), size.1.into()).then_some(Page {
        size,
        items: desk.items,
    })
}

/// The rows and columns of a list.
fn list_shape(sheet: &Sheet, width: u32, side: u32, metrics: &Metrics) -> (usize, usize) {
    let line = f64::from(line_height(metrics.text));
    let height = |cell: &Cell| {
        let picture = cell.picture.as_ref();
        let picture = picture.map_or(width, |picture| grid::thumbnail_size(picture, side).1);
        f64::from(picture) + cell.caption.len().min(CAPTION_LINES) as f64 * line
    };
    let count = sheet.cells.len();
    let mean = sheet.cells.iter().map(height).sum::<f64>() / count.max(1) as f64;
    let gap = f64::from(metrics.gap);
    let columns = grid::columns_of_list(count, f64::from(width) + gap, mean + gap);
    (count.div_ceil(columns), columns)
}

/// The lines below a picture, or in an empty frame; the first item is darker than the
/// others.
fn caption(item: &Cell, cell: (u32, u32), metrics: &Metrics) -> Lines {
    let (room, most) = match item.picture {
        Some(_) => (cell.0, CAPTION_LINES),
        None => {
            let line = line_height(metrics.text);
            (
                cell.0.saturating_sub(2 * metrics.gap),
                (cell.1.saturating_sub(metrics.gap) / line) as usize,
            )
        }
    };
    let item_lines = match item.picture {
        Some(_) => ITEM_LINES,
        None => most.min(2 * ITEM_LINES),
    };
    let mut lines = Vec::new();
    for (number, text) in item.caption.iter().take(most).enumerate() {
        let shade = match number {
            0 => Shade::INK,
            _ => Shade::FAINT_INK,
        };
        let item_lines = item_lines.min(most - lines.len());
        let wrapped = wrap(&clean(text), metrics.text, room as f32, item_lines);
        lines.extend(wrapped.into_iter().map(|line| (line, shade)));
    }
    lines
}

impl Metrics {
    /// The height of a caption with its distance to the picture.
    fn band(&self, lines: &[(String, Shade)]) -> u32 {
        match lines.len() {
            0 => 0,
            count => self.lines(count) + self.gap / 3,
        }
    }
}

/// The page while it is laid out.
struct Desk<'a> {
    metrics: Metrics,
    /// Of a cell.
    width: u32,
    columns: usize,
    items: Vec<Item<'a>>,
    /// Where the first column begins.
    left: u32,
}

impl<'a> Desk<'a> {
    /// Lays everything out and gives the size of the page. `heights` are those of the
    /// pictures in each row.
    fn page(&mut self, sheet: &'a Sheet, heights: &[u32]) -> (u32, u32) {
        let Metrics { gap, margin, .. } = self.metrics;
        let row_heads = self.row_headings(&sheet.rows, heights);
        let head_width = row_heads
            .iter()
            .map(|heading| self.heading_width(heading))
            .max()
            .filter(|_| grid::is_shown(&sheet.rows));
        self.left = margin + head_width.map_or(0, |width| width + 2 * gap);
        let title = clean(&sheet.title);
        // A title is not squeezed into the width of a single thumbnail.
        let wanted = Line::new(&title, self.metrics.title).width.ceil();
        let columns = u32::try_from(self.columns).unwrap_or(MAX_SIDE);
        let right = (self.left + columns * (self.width + gap) - gap)
            .max(margin + (wanted as u32).min(self.metrics.side * 2));

        let mut y = self.title(&title, right - margin);
        if grid::is_shown(&sheet.columns) {
            y = self.column_headings(&sheet.columns, y) + gap;
        }
        if heights.is_empty() {
            self.words("no pictures", margin, Align::Left, y, Shade::FAINT_INK);
            y += self.metrics.lines(1);
        }
        for (row, &height) in heights.iter().enumerate() {
            if row > 0 {
                y += gap + gap / 4;
            }
            if let (Some(heading), Some(width)) = (row_heads.get(row), head_width) {
                let x = (margin, width);
                self.row_heading(heading, x, (y, height));
            }
            y = self.row(sheet, row, (y, height));
        }
        (right + margin, y + margin)
    }

    /// Writes the title and gives where it ends.
    fn title(&mut self, title: &str, room: u32) -> u32 {
        let Metrics { margin, gap, .. } = self.metrics;
        let size = self.metrics.title;
        let lines = wrap(title, size, room as f32, 2);
        let mut y = margin;
        for text in &lines {
            self.items.push(Item::Words(Words {
                text: text.clone(),
                size,
                x: margin,
                align: Align::Left,
                foot: y + baseline(size),
                shade: Shade::INK,
            }));
            y += line_height(size);
        }
        if lines.is_empty() {
            y
        } else {
            y + gap + gap / 2
        }
    }

    /// Lays the headers of all columns out and gives where they end.
    fn column_headings(&mut self, headers: &'a [Header], top: u32) -> u32 {
        let Metrics { gap, head, .. } = self.metrics;
        let room = self.width;
        let pictures = headers.iter().any(|header| header.picture.is_some());
        let most = if pictures { 2 } else { 3 };
        let headings: Vec<_> = headers
            .iter()
            .map(|header| self.heading(header, head.min(room), room, most))
            .collect();
        let heights = headings.iter().filter_map(|heading| heading.picture);
        let pictures_end = top + heights.map(|(_, size)| size.1).max().unwrap_or(0);
        let lines = headings.iter().map(|heading| heading.lines.len()).max();
        let lines = lines.unwrap_or(0);
        let labels_top = pictures_end + if pictures { gap / 3 } else { 0 };
        let mut middle = self.left + self.width / 2;
        for heading in headings {
            if let Some((picture, (width, height))) = heading.picture {
                let place = Place {
                    x: middle - width / 2,
                    y: pictures_end - height,
                    width,
                    height,
                };
                self.items.push(Item::Picture(picture, place));
            }
            // Labels stand below their pictures, or just above the cells.
            let missing = if pictures {
                0
            } else {
                lines - heading.lines.len()
            };
            let mut y = labels_top + self.metrics.lines(missing);
            for text in &heading.lines {
                self.words(text, middle, Align::Middle, y, Shade::INK);
                y += self.metrics.lines(1);
            }
            middle += self.width + gap;
        }
        labels_top + self.metrics.lines(lines)
    }

    fn row_headings(&self, headers: &'a [Header], heights: &[u32]) -> Vec<Heading<'a>> {
        let head = self.metrics.head;
        let pictures = headers.iter().any(|header| header.picture.is_some());
        let room = head + head / if pictures { 4 } else { 2 };
        let heading = |(header, &height): (&'a Header, &u32)| {
            // The label has what the picture leaves of the height, but at least a line.
            let picture = header.picture.as_ref();
            let line = line_height(self.metrics.text);
            let side = head.min(height.saturating_sub(line)).max(1);
            let below = picture.map_or(0, |picture| grid::thumbnail_size(picture, side).1);
            let most = (height.saturating_sub(below) / line) as usize;
            self.heading(header, side, room, most.clamp(1, 4))
        };
        headers.iter().zip(heights).map(heading).collect()
    }

    fn heading(&self, header: &'a Header, side: u32, room: u32, most: usize) -> Heading<'a> {
        let picture = header.picture.as_ref();
        Heading {
            picture: picture.map(|picture| (picture, grid::thumbnail_size(picture, side))),
            lines: wrap(&clean(&header.label), self.metrics.text, room as f32, most),
        }
    }

    /// How wide a header of a row is.
    fn heading_width(&self, heading: &Heading<'_>) -> u32 {
        let picture = heading.picture.map_or(0, |(_, size)| size.0);
        let lines = heading.lines.iter();
        let width = lines.map(|text| Line::new(text, self.metrics.text).width.ceil() as u32);
        width.max().unwrap_or(0).max(picture)
    }

    /// Lays the header of a row out, beside the middle of its pictures. Both places are a
    /// beginning and a length.
    fn row_heading(
        &mut self,
        heading: &Heading<'a>,
        (left, width): (u32, u32),
        (top, row_height): (u32, u32),
    ) {
        let space = match heading.lines.is_empty() {
            true => 0,
            false => self.metrics.gap / 3,
        };
        let picture = heading.picture.map_or(0, |(_, size)| size.1 + space);
        let height = picture + self.metrics.lines(heading.lines.len());
        let mut y = top + row_height.saturating_sub(height) / 2;
        // Below a picture a label is centred; alone it stands beside the cells.
        let (x, align) = match heading.picture {
            Some(_) => (left + width / 2, Align::Middle),
            None => (left + width, Align::Right),
        };
        if let Some((picture, (width, height))) = heading.picture {
            let x = x - width / 2;
            let place = Place {
                x,
                y,
                width,
                height,
            };
            self.items.push(Item::Picture(picture, place));
            y += height + space;
        }
        for text in &heading.lines {
            self.words(text, x, align, y, Shade::INK);
            y += self.metrics.lines(1);
        }
    }

    /// Lays the cells of a row out and gives where they end.
    fn row(&mut self, sheet: &'a Sheet, row: usize, (top, height): (u32, u32)) -> u32 {
        let width = self.width;
        let first = row * self.columns;
        let mut band = 0;
        let mut x = self.left;
        for number in first..first + self.columns {
            let cell = sheet.cells.get(number);
            // The end of a list's last row is no empty cell.
            if cell.is_none() && grid::is_list(sheet) {
                break;
            }
            let lines = cell.map(|cell| caption(cell, (width, height), &self.metrics));
            let lines = lines.unwrap_or_default();
            let mut y = top + height + self.metrics.gap / 3;
            if let Some(picture) = cell.and_then(|cell| cell.picture.as_ref()) {
                let size = grid::thumbnail_size(picture, self.metrics.side);
                // Close to its caption.
                let place = Place {
                    x: x + width.saturating_sub(size.0) / 2,
                    y: top + height.saturating_sub(size.1),
                    width: size.0,
                    height: size.1,
                };
                self.items.push(Item::Picture(picture, place));
                band = band.max(self.metrics.band(&lines));
            } else {
                let place = Place {
                    x,
                    y: top,
                    width,
                    height,
                };
                self.items.push(Item::Frame(place));
                y = top + height.saturating_sub(self.metrics.lines(lines.len())) / 2;
            }
            for (text, shade) in lines {
                self.words(&text, x + width / 2, Align::Middle, y, shade);
                y += self.metrics.lines(1);
            }
            x += width + self.metrics.gap;
        }
        top + height + band
    }

    /// A line of text whose top is at `top`.
    fn words(&mut self, text: &str, x: u32, align: Align, top: u32, shade: Shade) {
        let size = self.metrics.text;
        self.items.push(Item::Words(Words {
            text: text.to_owned(),
            size,
            x,
            align,
            foot: top + baseline(size),
            shade,
        }));
    }
}

//! How many rows and columns a sheet has, and how large its thumbnails are.

use impasto_core::picture::{Picture, fit_long_side};

use crate::{Cell, Header, Sheet};

/// The size of a picture's thumbnail: it fits into a square of `side` pixels and is
/// never larger than the picture.
pub fn thumbnail_size(picture: &Picture, side: u32) -> (u32, u32) {
    let (width, height) = picture.size();
    if width.max(height) <= side {
        (width, height)
    } else {
        fit_long_side(width, height, side)
    }
}

/// The rows and columns of a sheet with headers. A list has none; see
/// [`columns_of_list`].
pub fn shape(sheet: &Sheet) -> (usize, usize) {
    let (rows, columns) = (sheet.rows.len(), sheet.columns.len());
    let cells = sheet.cells.len();
    let columns = match columns {
        0 => cells.div_ceil(rows.max(1)).max(1),
        columns => columns,
    };
    (rows.max(cells.div_ceil(columns)), columns)
}

/// Whether the sheet has no headers.
pub fn is_list(sheet: &Sheet) -> bool {
    sheet.rows.is_empty() && sheet.columns.is_empty()
}

/// Whether there is anything to show for an axis.
pub fn is_shown(headers: &[Header]) -> bool {
    headers
        .iter()
        .any(|header| header.picture.is_some() || !header.label.trim().is_empty())
}

/// How wide every cell is: as the widest thumbnail, and wide enough for a caption.
pub fn cell_width(sheet: &Sheet, side: u32) -> u32 {
    let pictures = sheet.cells.iter().filter_map(|cell| cell.picture.as_ref());
    largest(pictures, side).map_or(side, |(width, _)| width.max(side / 2))
}

/// How high the pictures of each row are, without captions. An empty cell is as high as
/// its neighbours.
pub fn row_heights(sheet: &Sheet, rows: usize, columns: usize, side: u32) -> Vec<u32> {
    let height = |cells: &[Cell]| {
        let pictures = cells.iter().filter_map(|cell| cell.picture.as_ref());
        largest(pictures, side).map(|(_, height)| height)
    };
    let all = height(&sheet.cells).unwrap_or(side * 3 / 4);
    let mut cells = sheet.cells.chunks(columns.max(1));
    (0..rows)
        .map(|_| {
            let row = cells.next().unwrap_or_default();
            let short = row.len() < columns && !is_list(sheet);
            let lowest = match short || row.iter().any(|cell| cell.picture.is_none()) {
                // Room for a line or two.
                true => side / 4,
                false => 1,
            };
            height(row).unwrap_or(all).max(lowest)
        })
        .collect()
}

/// The width and the height that hold every picture's thumbnail.
pub fn largest<'a>(pictures: impl Iterator<Item = &'a Picture>, side: u32) -> Option<(u32, u32)> {
    pictures
        .map(|picture| thumbnail_size(picture, side))
        .reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
}

/// How many columns make a list of cells nearly square, with few places empty in the
/// last row. `width` and `height` are those of a cell with its gaps.
pub fn columns_of_list(cells: usize, width: f64, height: f64) -> usize {
    let ideal = (cells as f64 * height / width).sqrt();
    // The result is among the neighbours of the ideal, which is at most `cells` when
    // cells are as wide as high.
    let first = (ideal.floor() as usize).saturating_sub(1).max(1);
    let last = (ideal.ceil() as usize + 1).min(cells).max(1);
    let cost = |columns: usize| {
        let rows = cells.div_ceil(columns).max(1);
        let aspect = (columns as f64 * width) / (rows as f64 * height);
        let empty = rows * columns - cells;
        aspect.ln().abs() + empty as f64 / cells.max(1) as f64
    };
    (first.min(last)..=last)
        // Of two that are equally good the wider one: pages are.
        .rev()
        .min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
        .unwrap_or(1)
}

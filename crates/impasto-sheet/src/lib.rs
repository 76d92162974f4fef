//! Contact sheets: many pictures laid out as one image, or as one HTML file.
//!
//! A [`Sheet`] is a grid of cells with a header for each row and each column, for
//! example contents × styles, or a plain list. [`pixels`] draws it for a paper or a
//! README; [`html`] writes a page without scripts that shows the details of each
//! cell too.
//!
//! Everything in a sheet is untrusted: names and recipes come from files. Control
//! characters are written out, and HTML is escaped. This crate does not depend on
//! tensors or terminals.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod grid;
mod html;
mod layout;
mod parallel;
mod raster;
#[cfg(test)]
mod tests;
mod text;

use image::RgbImage;
use impasto_core::picture::Picture;

/// The longest side of a sheet in pixels.
pub const MAX_SIDE: u32 = 32_768;

/// The most pixels of a sheet. In memory they take 1.2 GB.
pub const MAX_PIXELS: u64 = 400_000_000;

/// Pictures and what is written beside them.
///
/// `cells` are in row-major order, `rows.len() * columns.len()` of them. An axis
/// without headers takes as many rows or columns as the cells need. Without any
/// header the sheet is a list, laid out in rows of equal length.
///
/// If there are fewer cells than the headers ask for, the rest is left empty; if
/// there are more, rows are added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// Written above everything; may be empty.
    pub title: String,
    pub columns: Vec<Header>,
    pub rows: Vec<Header>,
    pub cells: Vec<Cell>,
}

/// What a row or a column has in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    pub label: String,
    /// For example the content of a row, or the style of a column.
    pub picture: Option<Picture>,
}

/// One picture of a sheet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Without a picture the cell is an empty frame with the caption in it. Only a
    /// thumbnail is needed; see [`Options::shrink`].
    pub picture: Option<Picture>,
    /// Short lines that are written below the picture.
    pub caption: Vec<String>,
    /// Where the full picture is: a path relative to the sheet, with `/` between
    /// folders and without percent-encoding. It is never read as a URL with a scheme
    /// or a host.
    pub link: Option<String>,
    /// Names and values, for example losses. HTML only.
    pub details: Vec<(String, String)>,
    /// The recipe of the picture as text. HTML only.
    pub recipe: Option<String>,
}

/// How a sheet is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The long side of a thumbnail in pixels, from 32 to 4096; others are clamped.
    /// Smaller pictures are not enlarged.
    pub thumbnail: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { thumbnail: 256 }
    }
}

impl Options {
    /// The picture as it is shown in a cell. A sheet of many pictures takes less
    /// memory if each is shrunk as soon as it is loaded; the result is the same.
    #[must_use]
    pub fn shrink(&self, picture: &Picture) -> Picture {
        let (width, height) = grid::thumbnail_size(picture, self.side());
        picture.resized(width, height)
    }

    /// The long side of a thumbnail, within its bounds.
    fn side(&self) -> u32 {
        self.thumbnail.clamp(32, 4096)
    }
}

/// The sheet as an image, dark on white; text grows with the thumbnails.
///
/// `None` if it has more than [`MAX_SIDE`] pixels on a side or more than
/// [`MAX_PIXELS`]; smaller thumbnails or [`html`] may still work.
#[must_use]
pub fn pixels(sheet: &Sheet, options: &Options) -> Option<RgbImage> {
    Some(raster::draw(&layout::lay_out(sheet, options.side())?))
}

/// The sheet as an HTML file that needs no other file, except the full pictures that
/// its cells link to. It contains no scripts and forbids them.
#[must_use]
pub fn html(sheet: &Sheet, options: &Options) -> String {
    html::page(sheet, options.side())
}

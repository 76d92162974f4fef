//! The dashboard's picture pane: the painting as it grows, beside or instead
//! of the two pictures it is made from.

use std::env;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use image::RgbImage;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::widgets::{Block, Paragraph, Widget};
use ratatui_image::Image;

use super::cells::{Cells, fit};
use super::pixels::{Encoded, Encoder, Job, kitty_ids};
use super::scene::Scene;
use super::terminal::{Colours, Graphics};
use crate::picture::{Picture, fit_long_side};
use crate::protocol::Preview;
use crate::tui::theme::Theme;

/// The longest side, in pixels, of a picture kept or asked for.
const LONGEST_SIDE: u32 = 1024;
/// What the pane shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    Painting,
    Content,
    Style,
    /// The content picture left of a line, the painting right of it.
    Split,
}

impl Shown {
    /// The next in a round of all four.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Painting => Self::Content,
            Self::Content => Self::Style,
            Self::Style => Self::Split,
            Self::Split => Self::Painting,
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Painting => "painting",
            Self::Content => "content",
            Self::Style => "style",
            Self::Split => "content and painting",
        })
    }
}

/// The pane and the pictures it can show.
pub struct Pane {
    shown: Shown,
    split: f64,
    painting: Option<Arc<RgbImage>>,
    content: Option<Arc<RgbImage>>,
    style: Option<Arc<RgbImage>>,
    /// Counts what changed the scene.
    version: u64,

    cells: Cells,
    colours: Colours,
    /// The version and the room that `cells` hold.
    cells_hold: Option<(u64, (u16, u16))>,

    /// Where the terminal shows pixels: none otherwise, and none for good once
    /// that failed.
    pixels: Option<Pixels>,
    use_pixels: bool,
}

/// The way by the terminal's own graphics.
struct Pixels {
    encoder: Encoder,
    kitty: bool,
    cell: (u16, u16),
    /// The latest that was encoded, and whether it was drawn.
    encoded: Option<Encoded>,
    drawn: bool,
}

impl Pane {
    /// A pane for a terminal that shows pictures in this way, with cells of
    /// `cell` pixels and so many colours. Asks the terminal nothing.
    ///
    /// Without the size of a cell, without colours and with ASCII alone,
    /// pictures are made of characters whatever `graphics` says.
    #[must_use]
    pub fn new(
        graphics: Graphics,
        cell: Option<(u16, u16)>,
        colours: Colours,
        ascii: bool,
    ) -> Self {
        let colours = if ascii { Colours::None } else { colours };
        let term = env::var("TERM").unwrap_or_default();
        let pixels = cell
            .filter(|cell| cell.0 > 0 && cell.1 > 0 && colours != Colours::None)
            .filter(|_| fits_a_pane(graphics, &term))
            .and_then(|cell| Pixels::start(graphics, cell));
        Self {
            shown: Shown::default(),
            split: 0.5,
            painting: None,
            content: None,
            style: None,
            version: 0,
            cells: Cells::default(),
            colours,
            cells_hold: None,
            pixels,
            use_pixels: true,
        }
    }

    /// What the pane shows.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown
    }

    /// Shows something else.
    pub fn show(&mut self, shown: Shown) {
        if self.shown != shown {
            self.shown = shown;
            self.version += 1;
        }
    }

    /// Where the line between content and painting is: 0 at the left edge, 1
    /// at the right.
    #[must_use]
    pub fn split(&self) -> f64 {
        self.split
    }

    /// Moves that line; a value beyond 0..1 is taken to the nearer edge.
    pub fn set_split(&mut self, split: f64) {
        let split = if split.is_nan() {
            0.5
        } else {
            split.clamp(0.0, 1.0)
        };
        if self.split != split {
            self.split = split;
            self.changed(&[Shown::Split]);
        }
    }

    /// Takes a new preview of the painting. One that has not the pixels it
    /// says is ignored.
    pub fn set_painting(&mut self, preview: Preview) {
        let picture = RgbImage::from_raw(preview.width, preview.height, preview.rgb);
        if let Some(picture) = picture.filter(|picture| !picture.is_empty()) {
            self.painting = Some(Arc::new(picture));
            self.changed(&[Shown::Painting, Shown::Split]);
        }
    }

    /// Takes the content picture; a copy of it is kept, scaled down.
    pub fn set_content(&mut self, picture: &Picture) {
        self.content = kept(picture);
        self.changed(&[Shown::Content, Shown::Split]);
    }

    /// Takes the style picture; a copy of it is kept, scaled down.
    pub fn set_style(&mut self, picture: &Picture) {
        self.style = kept(picture);
        self.changed(&[Shown::Style]);
    }

    /// The size of preview to ask for when the pane is drawn into `area`: the
    /// painting should be no larger.
    #[must_use]
    pub fn wanted_pixels(&self, area: Rect) -> (u32, u32) {
        let inside = area.inner(Margin::new(1, 1));
        let (width, height) = match &self.pixels {
            Some(pixels) if self.use_pixels => pixels.cell,
            _ => (1, 2),
        };
        let side =
            |cells: u16, pixels: u16| (u32::from(cells) * u32::from(pixels)).clamp(1, LONGEST_SIDE);
        (side(inside.width, width), side(inside.height, height))
    }

    /// Whether the terminal's own graphics are used now.
    #[must_use]
    pub fn shows_pixels(&self) -> bool {
        self.use_pixels && self.pixels.is_some()
    }

    /// Turns the terminal's own graphics off and on again. They must be off
    /// while anything is drawn over the pane: a terminal does not clip them,
    /// and what lay above would stay. A slow line is another reason.
    pub fn use_pixels(&mut self, on: bool) {
        self.use_pixels = on;
    }

    /// Sends the picture again with the next draw. To be called when the
    /// terminal may have lost it, as after a suspension.
    pub fn send_again(&mut self) {
        if let Some(pixels) = &mut self.pixels {
            pixels.encoded = None;
        }
        self.version += 1;
    }

    /// What to write to the terminal at the end, so that it frees the pictures
    /// it holds; may be empty.
    #[must_use]
    pub fn farewell(&self) -> String {
        let mut bytes = String::new();
        if self.pixels.as_ref().is_some_and(|pixels| pixels.kitty) {
            for id in kitty_ids() {
                // Writing into a string does not fail.
                let _ = write!(bytes, "\x1b_Ga=d,d=I,i={id},q=2;\x1b\\");
            }
        }
        bytes
    }

    /// Whether the next draw would show anything new.
    pub fn is_fresh(&mut self) -> bool {
        self.collect();
        if self.scene().is_none() {
            return false;
        }
        match &self.pixels {
            Some(pixels) if self.use_pixels => match &pixels.encoded {
                Some(encoded) => {
                    !pixels.drawn || (encoded.version != self.version && !pixels.encoder.is_busy())
                }
                None => !pixels.encoder.is_busy(),
            },
            _ => self
                .cells_hold
                .is_none_or(|(version, _)| version != self.version),
        }
    }

    /// Draws the pane with its frame.
    pub fn draw(&mut self, frame: &mut Frame, area: Rect, theme: &Theme, title: &str) {
        let block = Block::bordered()
            .border_set(theme.frame())
            .border_style(theme.border)
            .title(title)
            .title_style(theme.title);
        let inside = block.inner(area);
        frame.render_widget(block, area);
        if inside.is_empty() {
            return;
        }
        let buffer = frame.buffer_mut();
        let Some(scene) = self.scene() else {
            self.draw_words(inside, buffer, theme);
            return;
        };
        if !self.draw_pixels(&scene, inside, buffer) {
            self.draw_cells(&scene, inside, buffer, theme);
        }
    }

    /// The scene has changed, if what is shown is one of these.
    fn changed(&mut self, where_shown: &[Shown]) {
        if where_shown.contains(&self.shown) {
            self.version += 1;
        }
    }

    /// What is to be seen. A split with one picture alone shows that one.
    fn scene(&self) -> Option<Scene> {
        let one = match self.shown {
            Shown::Painting => &self.painting,
            Shown::Content => &self.content,
            Shown::Style => &self.style,
            Shown::Split => match (&self.content, &self.painting) {
                (Some(left), Some(right)) => {
                    return Some(Scene::Split {
                        left: Arc::clone(left),
                        right: Arc::clone(right),
                        at: self.split,
                    });
                }
                (None, one) | (one, None) => one,
            },
        };
        one.clone().map(Scene::One)
    }

    fn draw_words(&self, inside: Rect, buffer: &mut Buffer, theme: &Theme) {
        let words = match self.shown {
            Shown::Painting | Shown::Split => "The painting will appear here",
            Shown::Content => "No content picture yet",
            Shown::Style => "No style picture yet",
        };
        let middle = inside.y + inside.height / 2;
        Paragraph::new(words)
            .style(theme.dim)
            .centered()
            .render(Rect::new(inside.x, middle, inside.width, 1), buffer);
    }

    fn draw_cells(&mut self, scene: &Scene, inside: Rect, buffer: &mut Buffer, theme: &Theme) {
        let room = (inside.width, inside.height);
        let size = fit(scene.size(), (u32::from(room.0), 2 * u32::from(room.1)));
        if self.cells_hold != Some((self.version, room)) {
            if let Some(picture) = scene.composed(size.0, size.1) {
                self.cells
                    .update(picture.as_raw(), size.0, size.1, room.0, room.1);
            }
            self.cells_hold = Some((self.version, room));
        }
        self.cells.render(inside, buffer, self.colours);
        if let Some(column) = scene.split(size.0) {
            let placed = self.cells.placed();
            let symbol = if theme.ascii { "|" } else { "│" };
            // Inside the room, as the split is inside the picture.
            let x = inside
                .x
                .saturating_add(placed.x)
                .saturating_add(column as u16);
            for y in placed.top()..placed.bottom() {
                if let Some(cell) = buffer.cell_mut((x, inside.y.saturating_add(y))) {
                    cell.reset();
                    cell.set_symbol(symbol).set_style(theme.text);
                }
            }
        }
    }

    /// Draws pixels, and begins to encode what has changed. False while there
    /// are none that fit the room: then cells stand in.
    fn draw_pixels(&mut self, scene: &Scene, inside: Rect, buffer: &mut Buffer) -> bool {
        self.collect();
        let room = (inside.width, inside.height);
        let version = self.version;
        if !self.use_pixels {
            return false;
        }
        let Some(pixels) = &mut self.pixels else {
            return false;
        };
        let current = pixels
            .encoded
            .as_ref()
            .is_some_and(|encoded| (encoded.version, encoded.room) == (version, room));
        if !current {
            let scene = scene.clone();
            let job = Job {
                scene,
                room,
                version,
            };
            if pixels.encoder.begin(job).is_err() {
                self.pixels = None;
                return false;
            }
        }
        let Some(encoded) = pixels.encoded.as_ref().filter(|it| it.room == room) else {
            return false;
        };
        let size = encoded.protocol.size();
        // The middle of the room, which the picture does not exceed.
        let place = Rect::new(
            inside.x + inside.width.saturating_sub(size.width) / 2,
            inside.y + inside.height.saturating_sub(size.height) / 2,
            size.width,
            size.height,
        );
        Image::new(&encoded.protocol).render(place.intersection(inside), buffer);
        pixels.drawn = true;
        true
    }

    /// Takes what the encoder has finished. If it failed, cells it is from now
    /// on.
    fn collect(&mut self) {
        let Some(pixels) = &mut self.pixels else {
            return;
        };
        match pixels.encoder.finished() {
            Some(Ok(encoded)) => {
                pixels.encoded = Some(encoded);
                pixels.drawn = false;
            }
            Some(Err(_)) => self.pixels = None,
            None => {}
        }
    }
}

impl Pixels {
    fn start(graphics: Graphics, cell: (u16, u16)) -> Option<Self> {
        Some(Self {
            encoder: Encoder::start(graphics, cell).ok()?,
            kitty: graphics == Graphics::Kitty,
            cell,
            encoded: None,
            drawn: false,
        })
    }
}

/// Whether a terminal's graphics can live in a pane. With kitty's protocol it
/// takes placeholder characters, which some terminals that speak the rest of
/// it do not know and show as rubbish.
fn fits_a_pane(graphics: Graphics, term: &str) -> bool {
    match graphics {
        Graphics::Kitty => term.contains("kitty") || term.contains("ghostty"),
        Graphics::Iterm | Graphics::Sixel => true,
        Graphics::HalfBlocks => false,
    }
}

/// A copy of a picture that is large enough for any pane.
fn kept(picture: &Picture) -> Option<Arc<RgbImage>> {
    let (width, height) = picture.size();
    let (wide, high) = if width.max(height) > LONGEST_SIDE {
        fit_long_side(width, height, LONGEST_SIDE)
    } else {
        (width, height)
    };
    let rgb = picture.resized(wide, high).to_rgb8();
    RgbImage::from_raw(wide, high, rgb).map(Arc::new)
}

#[cfg(test)]
mod tests;

//! The dashboard's picture pane: the painting as it grows, beside or instead
//! of the two pictures it is made from.

mod draw;
mod mode;

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use image::RgbImage;
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::widgets::Block;

pub use mode::Mode;

use impasto_core::picture::{Picture, fit_long_side};
use impasto_core::protocol::Preview;
use impasto_graphics::cells::Cells;
use impasto_graphics::pixels::{kitty_ids, reduced, through};
use impasto_graphics::scene::Scene;
use impasto_graphics::terminal::{Capabilities, Colours, Graphics};

use crate::tui::theme::Theme;
use draw::Pixels;
use mode::Line;

/// The longest side, in pixels, of a picture kept or asked for.
const MAX_SIDE: u32 = 1024;

/// And in full screen.
const MAX_FULL_SIDE: u32 = 4096;

/// What the pane shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    Painting,
    Content,
    Style,
    /// The content picture left of a line, the painting right of it.
    Split,
    /// The content picture with the region of each style in a colour.
    Masks,
}

impl Shown {
    /// The next in a round of all, the masks only where there are any.
    #[must_use]
    pub fn next(self, has_masks: bool) -> Self {
        match self {
            Self::Painting => Self::Content,
            Self::Content => Self::Style,
            Self::Style => Self::Split,
            Self::Split if has_masks => Self::Masks,
            Self::Split | Self::Masks => Self::Painting,
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
            Self::Masks => "masks",
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
    masks: Option<Arc<RgbImage>>,
    /// Counts what changed the scene.
    version: u64,

    cells: Cells,
    colours: Colours,
    /// The version and the room that `cells` hold.
    cells_hold: Option<(u64, (u16, u16))>,

    terminal: Capabilities,
    /// Where the terminal shows pixels: none otherwise, and none for good once
    /// that failed.
    pixels: Option<Pixels>,
    use_pixels: bool,
    mode: Mode,
    /// Whether the painting keeps changing.
    live: bool,
    line: Line,
    /// Columns and rows of the last frame, and whether it had pixels.
    room: (u16, u16),
    drew_pixels: bool,
    /// Where in the window the picture was drawn last.
    place: Rect,
    /// Whether kitty may hold pictures of ours, and whether behind tmux.
    kitty_holds: Option<bool>,
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
        let mut pane = Self {
            shown: Shown::default(),
            split: 0.5,
            painting: None,
            content: None,
            style: None,
            masks: None,
            version: 0,
            cells: Cells::default(),
            colours: if ascii { Colours::None } else { colours },
            cells_hold: None,
            terminal: Capabilities::assumed(Graphics::HalfBlocks, cell),
            pixels: None,
            use_pixels: true,
            mode: Mode::default(),
            live: false,
            line: Line::default(),
            room: (0, 0),
            drew_pixels: false,
            place: Rect::default(),
            kitty_holds: None,
        };
        pane.set_graphics(Capabilities::assumed(graphics, cell));
        pane
    }

    /// Takes what the terminal has answered. The next frames are drawn
    /// accordingly.
    pub fn set_graphics(&mut self, terminal: Capabilities) {
        if self.terminal == terminal {
            return;
        }
        self.terminal = terminal;
        self.version += 1;
        self.pixels = terminal
            .cell
            .filter(|cell| cell.0 > 0 && cell.1 > 0 && self.colours != Colours::None)
            .filter(|_| terminal.pane != Graphics::HalfBlocks)
            .and_then(|cell| Pixels::start(terminal, cell));
        if self.pixels.is_some() && terminal.pane == Graphics::Kitty {
            self.kitty_holds = Some(terminal.tmux);
        }
    }

    /// Takes the size of a cell in pixels, which may change with the window.
    pub fn set_cell(&mut self, cell: Option<(u16, u16)>) {
        if cell.is_some() {
            let terminal = Capabilities {
                cell,
                ..self.terminal
            };
            self.set_graphics(terminal);
        }
    }

    /// The user's choice between pixels and cells.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Chooses between pixels and cells.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Tells whether the painting keeps changing: true while it is painted,
    /// false while that is paused or over.
    pub fn set_live(&mut self, live: bool) {
        self.live = live;
    }

    /// Tells how many bytes a second the connection to the terminal bears, and
    /// whether it is an SSH connection.
    pub fn set_line(&mut self, rate: f64, ssh: bool) {
        let pixels = self.room_pixels();
        self.line.set(rate, ssh, self.terminal.pane, pixels);
    }

    /// How the pane draws now, for people: `half-blocks`, or `kitty 960×640`
    /// with the pixels that were sent.
    #[must_use]
    pub fn describe(&self) -> String {
        let encoded = self.pixels.as_ref().and_then(|it| it.encoded.as_ref());
        match encoded {
            Some(encoded) if self.drew_pixels => {
                let (width, height) = encoded.pixels;
                format!("{} {width}×{height}", self.terminal.pane.name())
            }
            _ if self.colours == Colours::None => "characters".to_owned(),
            _ => Graphics::HalfBlocks.name().to_owned(),
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

    /// Moves the split to a column of the window, by where the picture was
    /// drawn last.
    pub fn split_at(&mut self, column: u16) {
        let left = f64::from(self.place.x);
        let width = f64::from(self.place.width.max(1));
        self.set_split((f64::from(column) + 0.5 - left) / width);
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

    /// Takes the content picture.
    pub fn set_content(&mut self, picture: PaneImage) {
        self.content = picture.0;
        self.changed(&[Shown::Content, Shown::Split]);
    }

    /// Takes the style picture.
    pub fn set_style(&mut self, picture: PaneImage) {
        self.style = picture.0;
        self.changed(&[Shown::Style]);
    }

    /// Takes the content picture with the masks over it.
    pub fn set_masks(&mut self, picture: PaneImage) {
        self.masks = picture.0;
        self.changed(&[Shown::Masks]);
    }

    /// Whether there are masks to be shown.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.masks.is_some()
    }

    /// The size of preview to ask for when the pane is drawn into `area`: the
    /// painting should be no larger.
    #[must_use]
    pub fn wanted_pixels(&self, area: Rect) -> (u32, u32) {
        let inside = area.inner(Margin::new(1, 1));
        let side =
            |cells: u16, pixels: u16| (u32::from(cells) * u32::from(pixels)).clamp(1, MAX_SIDE);
        match &self.pixels {
            Some(pixels) if self.wants_pixels() => {
                let size = (
                    side(inside.width, pixels.cell.0),
                    side(inside.height, pixels.cell.1),
                );
                reduced(size, self.most_pixels())
            }
            _ => (side(inside.width, 1), side(inside.height, 2)),
        }
    }

    /// The size of preview to ask for when the picture has a window to itself.
    #[must_use]
    pub fn full_screen_pixels(&self, window: Rect) -> (u32, u32) {
        let cell = match self.terminal.print {
            Graphics::HalfBlocks => (1, 2),
            _ => self.terminal.cell.unwrap_or((1, 2)),
        };
        let side = |cells: u16, pixels: u16| {
            (u32::from(cells) * u32::from(pixels)).clamp(1, MAX_FULL_SIDE)
        };
        (side(window.width, cell.0), side(window.height, cell.1))
    }

    /// The picture that is shown, at its own size, for the full screen.
    #[must_use]
    pub fn picture(&self) -> Option<RgbImage> {
        let scene = self.scene()?;
        let (width, height) = scene.size();
        scene.composed(width, height)
    }

    /// Whether the terminal's own graphics are used now.
    #[must_use]
    pub fn shows_pixels(&self) -> bool {
        self.wants_pixels()
    }

    /// Turns the terminal's own graphics off and on again. They must be off
    /// while anything is drawn over the pane: a terminal does not clip them,
    /// and what lay above would stay.
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
        let Some(tmux) = self.kitty_holds else {
            return bytes;
        };
        let (start, escape, end) = through(tmux);
        for id in kitty_ids() {
            // Writing into a string does not fail.
            let _ = write!(bytes, "{start}{escape}_Ga=d,d=I,i={id},q=2;{escape}\\{end}");
        }
        bytes
    }

    /// Whether the next draw would show anything new.
    pub fn is_fresh(&mut self) -> bool {
        self.collect();
        if self.scene().is_none() {
            return false;
        }
        let stale = self
            .cells_hold
            .is_none_or(|(version, _)| version != self.version);
        match &self.pixels {
            Some(pixels) if self.wants_pixels() => {
                let current = pixels
                    .encoded
                    .as_ref()
                    .is_some_and(|encoded| encoded.version == self.version);
                if current {
                    !pixels.drawn || !self.drew_pixels
                } else {
                    // Cells stand in for what was not encoded in time.
                    !pixels.encoder.is_busy()
                        || (!self.drew_pixels && stale)
                        || (self.drew_pixels && !pixels.drawn)
                }
            }
            _ => self.drew_pixels || stale,
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
        self.room = (inside.width, inside.height);
        self.drew_pixels = self.draw_pixels(&scene, inside, buffer);
        if !self.drew_pixels {
            self.draw_cells(&scene, inside, buffer, theme);
        }
    }

    /// Whether to draw pixels, by the user's choice, the line and what is shown.
    fn wants_pixels(&self) -> bool {
        if self.pixels.is_none() || !self.use_pixels {
            return false;
        }
        match self.mode {
            Mode::Pixels => true,
            Mode::Cells => false,
            Mode::Auto => {
                let pixels = self.room_pixels();
                let still = !self.changes() && self.line.bears_still(self.terminal.pane, pixels);
                !self.line.is_slow() || still
            }
        }
    }

    /// Whether what is shown keeps changing.
    fn changes(&self) -> bool {
        self.live && matches!(self.shown, Shown::Painting | Shown::Split)
    }

    /// The pixels that the room of the last frame has.
    fn room_pixels(&self) -> u32 {
        let cell = self.terminal.cell.unwrap_or((1, 2));
        let cells = u32::from(self.room.0) * u32::from(self.room.1);
        cells.saturating_mul(u32::from(cell.0) * u32::from(cell.1))
    }

    fn most_pixels(&self) -> u32 {
        self.line.most_pixels(self.terminal.pane, self.changes())
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
            Shown::Masks => &self.masks,
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
}

/// A copy of a picture that is large enough for any pane. Making one takes its
/// time with a large picture, so it is made elsewhere than where one draws.
#[derive(Clone, Debug)]
pub struct PaneImage(Option<Arc<RgbImage>>);

impl PaneImage {
    /// The copy of `picture`.
    #[must_use]
    pub fn of(picture: &Picture) -> Self {
        let (width, height) = picture.size();
        let (wide, high) = if width.max(height) > MAX_SIDE {
            fit_long_side(width, height, MAX_SIDE)
        } else {
            (width, height)
        };
        let rgb = picture.resized(wide, high).to_rgb8();
        Self(RgbImage::from_raw(wide, high, rgb).map(Arc::new))
    }
}

#[cfg(test)]
mod tests;

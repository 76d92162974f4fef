//! The pane's inside: words, cells or pixels.

use impasto_graphics::cells::fit;
use impasto_graphics::pixels::{EncodeTask, Encoded, Encoder};
use impasto_graphics::scene::Scene;
use impasto_graphics::terminal::Capabilities;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::{Paragraph, Widget};

use super::{Pane, Shown};
use crate::tui::theme::Theme;

/// The way by the terminal's own graphics.
pub(super) struct Pixels {
    pub(super) encoder: Encoder,
    pub(super) cell: (u16, u16),
    /// The latest that was encoded, and whether it was drawn.
    pub(super) encoded: Option<Encoded>,
    pub(super) drawn: bool,
}

impl Pixels {
    pub(super) fn start(terminal: Capabilities, cell: (u16, u16)) -> Option<Self> {
        Some(Self {
            encoder: Encoder::start(terminal, cell).ok()?,
            cell,
            encoded: None,
            drawn: false,
        })
    }
}

impl Pane {
    pub(super) fn draw_words(&self, inside: Rect, buffer: &mut Buffer, theme: &Theme) {
        let words = match self.shown {
            Shown::Painting | Shown::Split => "The painting will appear here",
            Shown::Content => "No content picture yet",
            Shown::Style => "No style picture yet",
            Shown::Masks => "No masks",
        };
        let middle = inside.y + inside.height / 2;
        Paragraph::new(words)
            .style(theme.dim)
            .centered()
            .render(Rect::new(inside.x, middle, inside.width, 1), buffer);
    }

    pub(super) fn draw_cells(
        &mut self,
        scene: &Scene,
        inside: Rect,
        buffer: &mut Buffer,
        theme: &Theme,
    ) {
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
        // Beside the picture the theme's own background is to be seen.
        if theme.base.bg.is_some() {
            for position in inside.positions() {
                if let Some(cell) = buffer.cell_mut(position).filter(|it| it.bg == Color::Reset) {
                    cell.set_style(Style::new().patch(theme.base).fg(cell.fg));
                }
            }
        }
        let placed = self.cells.placed();
        self.place = Rect {
            x: inside.x.saturating_add(placed.x),
            y: inside.y.saturating_add(placed.y),
            ..placed
        };
        if let Some(column) = scene.split(size.0) {
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
    pub(super) fn draw_pixels(&mut self, scene: &Scene, inside: Rect, buffer: &mut Buffer) -> bool {
        self.collect();
        if !self.wants_pixels() {
            return false;
        }
        let room = (inside.width, inside.height);
        let version = self.version;
        let most_pixels = self.most_pixels();
        let Some(pixels) = &mut self.pixels else {
            return false;
        };
        let current = pixels
            .encoded
            .as_ref()
            .is_some_and(|encoded| (encoded.version, encoded.room) == (version, room));
        if !current {
            let job = EncodeTask {
                scene: scene.clone(),
                room,
                most_pixels,
                version,
            };
            if pixels.encoder.begin(job).is_err() {
                self.pixels = None;
                return false;
            }
        }
        // What was encoded before stays until the next is ready, but does not
        // come back over cells that show what is newer.
        let usable = |encoded: &&mut Encoded| {
            encoded.room == room && (self.drew_pixels || encoded.version == version)
        };
        let Some(encoded) = pixels.encoded.as_mut().filter(usable) else {
            return false;
        };
        let size = encoded.size();
        // The middle of the room, which the picture does not exceed.
        let place = Rect::new(
            inside.x + inside.width.saturating_sub(size.width) / 2,
            inside.y + inside.height.saturating_sub(size.height) / 2,
            size.width,
            size.height,
        );
        encoded.render(place, buffer);
        self.place = place;
        pixels.drawn = true;
        true
    }

    /// Takes what the encoder has finished. If it failed, cells it is from now
    /// on.
    pub(super) fn collect(&mut self) {
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

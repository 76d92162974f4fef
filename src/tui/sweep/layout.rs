//! Where the cells of the contact sheet are: `view` draws by it, and `update` scrolls and
//! finds what is under the mouse by it.

use std::ops::Range;

use ratatui::layout::{Constraint, Layout, Position, Rect};

use crate::tui::layout::MIN;

/// Columns of a tile: the fewest, as many as wrapped ones have at least, and the most.
const NARROW: u16 = 15;
const USUAL: u16 = 19;
const WIDE: u16 = 40;
/// Between two tiles, both ways.
const GAP: u16 = 1;

/// The areas of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub header: Rect,
    pub grid: Rect,
    pub notice: Rect,
    pub footer: Rect,
}

/// The areas in a window; none if it is too small.
pub fn places(window: Rect) -> Option<Places> {
    if window.width < MIN.0 || window.height < MIN.1 {
        return None;
    }
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [header, grid, notice, footer] = rows.areas(window);
    let grid = grid.inner(ratatui::layout::Margin::new(1, 0));
    Some(Places {
        header,
        grid,
        notice,
        footer,
    })
}

/// Tiles in rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub area: Rect,
    pub columns: usize,
    /// Rows that are seen at once.
    pub rows: usize,
    /// Of a tile.
    pub width: u16,
    pub height: u16,
    /// Rows of words in it, below its picture.
    pub words: u16,
}

impl Grid {
    /// The grid of `count` tiles in an area. It has `natural` columns where there are
    /// several and they fit. Every tile has so many rows of words.
    pub fn new(area: Rect, natural: usize, count: usize, words: u16) -> Self {
        let room = area.width.saturating_add(GAP);
        let most = usize::from(room / (NARROW + GAP));
        let columns = match natural {
            2.. if natural <= most => natural,
            _ => usize::from(room / (USUAL + GAP)).min(count),
        };
        let columns = columns.max(1);
        // `most` or the like, so it fits.
        let each = room / u16::try_from(columns).unwrap_or(u16::MAX);
        let width = each.saturating_sub(GAP).min(WIDE);
        // Four by three, of cells that are twice as high as wide.
        let height = (width * 3 / 8 + words).min(area.height).max(1);
        let rows = (area.height + GAP) / (height + GAP);
        Self {
            area,
            columns,
            rows: usize::from(rows).max(1),
            width,
            height,
            words,
        }
    }

    /// The tiles in sight when this row is the first.
    pub fn visible(&self, top: usize, count: usize) -> Range<usize> {
        let first = top.saturating_mul(self.columns).min(count);
        let end = first.saturating_add(self.rows * self.columns);
        first..end.min(count)
    }

    /// The area of a tile, by how many are in sight before it.
    pub fn tile(&self, place: usize) -> Rect {
        let along = |index: usize, side: u16| {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            index.saturating_mul(side + GAP)
        };
        let tile = Rect {
            x: self
                .area
                .x
                .saturating_add(along(place % self.columns, self.width)),
            y: self
                .area
                .y
                .saturating_add(along(place / self.columns, self.height)),
            width: self.width,
            height: self.height,
        };
        tile.intersection(self.area)
    }

    /// The row that is the first in sight, so that the selected tile is.
    pub fn scrolled(&self, top: usize, selected: usize, count: usize) -> usize {
        let row = selected / self.columns;
        let last = count.div_ceil(self.columns).saturating_sub(self.rows);
        let highest = (row + 1).saturating_sub(self.rows);
        top.min(last).clamp(highest, row.max(highest))
    }

    /// The tile in sight at a position of the window, counted as for [`tile`](Self::tile).
    pub fn at(&self, position: Position) -> Option<usize> {
        (0..self.rows * self.columns).find(|place| self.tile(*place).contains(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_natural_where_they_fit() {
        let grid = |width, natural, count| Grid::new(Rect::new(0, 0, width, 40), natural, count, 2);
        assert_eq!(grid(80, 5, 50).columns, 5);
        assert_eq!(grid(80, 6, 50).columns, 4, "they wrap");
        assert_eq!(grid(80, 1, 50).columns, 4);
        assert_eq!(grid(80, 1, 1).columns, 1);
        assert_eq!(grid(80, 0, 0).columns, 1);
        assert_eq!(grid(5, 9, 9).columns, 1);
    }

    #[test]
    fn every_tile_can_be_scrolled_to_and_lies_inside() {
        for (width, height, natural, count) in [(78, 20, 6, 47), (118, 36, 4, 10_000), (3, 1, 2, 3)]
        {
            let area = Rect::new(1, 2, width, height);
            let grid = Grid::new(area, natural, count, 3);
            let mut top = 0;
            for selected in (0..count).chain((0..count).rev()) {
                top = grid.scrolled(top, selected, count);
                let visible = grid.visible(top, count);
                assert!(visible.contains(&selected), "{selected} of {visible:?}");
                let tile = grid.tile(selected - visible.start);
                assert_eq!(tile, tile.intersection(area));
                assert!(!tile.is_empty());
                assert_eq!(grid.at(tile.as_position()), Some(selected - visible.start));
            }
        }
    }
}

//! Where the parts of the start screen stand, and what lies under the mouse.

use ratatui::layout::{Constraint, Layout, Margin, Position, Rect};

use ratatui::text::Span;

use super::{Choice, Start};
use crate::tui::layout::MIN;

/// The most rows that an error takes from the list.
const MAX_ERROR_ROWS: u16 = 4;

/// Where the parts stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub title: Rect,
    /// The three steps, with their frames.
    pub steps: [Rect; 3],
    /// The list, with its frame.
    pub list: Rect,
    /// Within it: what was typed, a word on a list that is cut, the rows.
    pub filter: Rect,
    pub cut: Rect,
    pub rows: Rect,
    /// The selected item, with its frame.
    pub details: Rect,
    pub notes: Rect,
    pub error: Rect,
    /// What the key for taking something does.
    pub next: Rect,
    pub footer: Rect,
}

/// The places in a window; none if it is too small for them.
pub fn places(start: &Start, window: Rect) -> Option<Places> {
    if window.width < MIN.0 || window.height < MIN.1 {
        return None;
    }
    let (step_rows, most_notes) = match window.height {
        0..20 => (3, 0),
        20..30 => (5, 1),
        _ => (8, 3),
    };
    let error_rows = start.error.as_ref().map_or(0, |error| {
        wrapped_rows(error, window.width).clamp(1, MAX_ERROR_ROWS)
    });
    let note_rows = u16::try_from(start.notes.len())
        .unwrap_or(u16::MAX)
        .min(most_notes);
    let [title, steps, middle, notes, error, next, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(step_rows),
        Constraint::Min(0),
        Constraint::Length(note_rows),
        Constraint::Length(error_rows),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(window);
    let side = match window.width {
        0..80 => 24,
        80..110 => 34,
        _ => 54,
    };
    let [list, details] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(side)]).areas(middle);
    let [filter, cut, rows] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(if is_cut(start) { 2 } else { 0 }),
        Constraint::Min(0),
    ])
    .areas(list.inner(Margin::new(1, 1)));
    Some(Places {
        title,
        steps: Layout::horizontal([Constraint::Fill(1); 3]).areas(steps),
        list,
        filter,
        cut,
        rows,
        details,
        notes,
        error,
        next,
        footer,
    })
}

fn is_cut(start: &Start) -> bool {
    let listing = start
        .slot(start.step)
        .and_then(|slot| slot.listing.as_ref());
    matches!(listing, Some(Ok(listing)) if listing.cut)
}

/// Something that can be clicked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Step(Choice),
    /// A row of the list, counted among those that the filter leaves.
    Row(usize),
    /// The name of the folder: goes above.
    Above,
    /// The line that says what comes next.
    Next,
}

/// What lies at a cell of a window.
pub fn target(start: &Start, window: Rect, x: u16, y: u16) -> Option<Target> {
    let places = places(start, window)?;
    let at = Position::new(x, y);
    if places.rows.contains(at) {
        let list = start.list();
        let first = list.first(usize::from(places.rows.height));
        let row = first + usize::from(y - places.rows.y);
        return (row < list.shown.len()).then_some(Target::Row(row));
    }
    let mut steps = Choice::ALL.into_iter().zip(places.steps);
    if let Some((choice, _)) = steps.find(|(_, area)| area.contains(at)) {
        return Some(Target::Step(choice));
    }
    if places.list.contains(at) && y == places.list.y {
        return Some(Target::Above);
    }
    places.next.contains(at).then_some(Target::Next)
}

/// Rows that a text takes when it is wrapped between words; nearly, since a
/// word that is wider than a row may be split elsewhere.
pub fn wrapped_rows(text: &str, columns: u16) -> u16 {
    let columns = usize::from(columns.max(1));
    let (mut rows, mut used) = (1_usize, 0);
    for word in text.split_whitespace() {
        let width = Span::raw(word).width();
        let with_space = used + usize::from(used > 0) + width;
        if with_space <= columns {
            used = with_space;
        } else {
            rows += usize::from(used > 0) + width.saturating_sub(1) / columns;
            used = width.saturating_sub(1) % columns + 1;
        }
    }
    u16::try_from(rows).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_they_are_wrapped() {
        for (text, columns, rows) in [
            ("", 10, 1),
            ("one two", 7, 1),
            ("one two", 6, 2),
            ("one two three", 7, 2),
            ("abcdefghij", 5, 2),
            ("ab abcdefghij", 5, 3),
            ("a b", 0, 2),
        ] {
            assert_eq!(wrapped_rows(text, columns), rows, "{text} in {columns}");
        }
    }
}

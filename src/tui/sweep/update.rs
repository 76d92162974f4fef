//! What happens to the sheet: a message in, effects out.

use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use impasto_core::preset::Scale;
use impasto_sweep::{CellEntry, CellState};
use ratatui::layout::{Position, Rect};

use super::keys::{Action, action};
use super::reader::Reading;
use super::sheet::{Filter, Overlay, Painters, Sheet};

/// The size that is offered for a larger picture.
const USUAL_SIZE: &str = "2048";
/// Digits of the largest size.
const MAX_DIGITS: usize = 5;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Resized(Rect),
    /// Seconds since the sheet opened.
    Clock(f64),
    Reading(Reading),
    /// Where a cell stands.
    Entry(Box<CellEntry>),
    Painters(Painters),
    Note {
        text: String,
        warning: bool,
    },
}

/// What the world has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open the dashboard of a cell that is being painted.
    Open(usize),
    StopCell(usize),
    /// Remove what was painted of a cell, and have it painted.
    Reset(usize),
    /// Begin a run of a cell's pictures at another size, and open its dashboard.
    Promote {
        number: usize,
        size: u32,
    },
    StartPainter,
    StopPainters,
    Redraw,
    Suspend,
    Leave,
    /// Leave as Ctrl-C does.
    Interrupt,
}

/// Takes a message in.
pub fn update(sheet: &mut Sheet, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => return key(sheet, event),
        Message::Mouse(event) => return mouse(sheet, event),
        Message::Resized(window) => {
            sheet.window = window;
            sheet.scroll();
        }
        Message::Clock(seconds) => sheet.clock = seconds,
        Message::Reading(Reading::Index(Ok(index))) => sheet.read(*index),
        Message::Reading(Reading::Index(Err(why))) => sheet.unread = Some(why),
        Message::Reading(Reading::Entry(entry)) | Message::Entry(entry) => {
            sheet.read_entry(*entry);
        }
        Message::Reading(Reading::Look { wanted, look }) => sheet.see(wanted, look),
        Message::Painters(painters) => sheet.painters = painters,
        Message::Note { text, warning } => sheet.say(text, warning),
    }
    Vec::new()
}

fn key(sheet: &mut Sheet, event: KeyEvent) -> Vec<Effect> {
    let action = action(event);
    match action {
        Some(Action::Interrupt) => return interrupt(sheet),
        Some(Action::Suspend) => return vec![Effect::Suspend],
        Some(Action::Redraw) => return vec![Effect::Redraw],
        _ => {}
    }
    match sheet.overlay.take() {
        None => act(sheet, action),
        Some(Overlay::Help { scroll }) => {
            let scroll = scrolled(scroll, action);
            sheet.overlay = scroll.map(|scroll| Overlay::Help { scroll });
            Vec::new()
        }
        Some(Overlay::Cell { scroll }) => in_cell(sheet, scroll, action),
        Some(Overlay::Leave) => match event.code {
            KeyCode::Enter => vec![Effect::Leave],
            KeyCode::Char('s') => vec![Effect::StopPainters, Effect::Leave],
            KeyCode::Esc => Vec::new(),
            _ => stays(sheet, Overlay::Leave),
        },
        Some(Overlay::Repeat(number)) => match event.code {
            KeyCode::Enter | KeyCode::Char('y') => vec![Effect::Reset(number)],
            KeyCode::Esc | KeyCode::Char('n') => Vec::new(),
            _ => stays(sheet, Overlay::Repeat(number)),
        },
        Some(Overlay::Promote {
            number,
            typed,
            error,
        }) => in_promote(sheet, number, typed, error, event.code),
    }
}

/// A question that this key does not answer.
fn stays(sheet: &mut Sheet, overlay: Overlay) -> Vec<Effect> {
    sheet.overlay = Some(overlay);
    Vec::new()
}

/// Where words are scrolled to by a key; none if it closes them.
fn scrolled(scroll: u16, action: Option<Action>) -> Option<u16> {
    match action {
        Some(Action::Down) => Some(scroll.saturating_add(1)),
        Some(Action::PageDown) => Some(scroll.saturating_add(10)),
        Some(Action::Up) => Some(scroll.saturating_sub(1)),
        Some(Action::PageUp) => Some(scroll.saturating_sub(10)),
        Some(Action::Close | Action::Quit | Action::Help | Action::Accept) => None,
        _ => Some(scroll),
    }
}

/// A key while one cell is shown large.
fn in_cell(sheet: &mut Sheet, scroll: u16, action: Option<Action>) -> Vec<Effect> {
    match action {
        Some(Action::Left | Action::Right | Action::First | Action::Last) => {
            sheet.overlay = Some(Overlay::Cell { scroll: 0 });
            act(sheet, action)
        }
        Some(Action::Stop | Action::Repeat | Action::Promote) => {
            sheet.overlay = Some(Overlay::Cell { scroll });
            act(sheet, action)
        }
        _ => {
            let scroll = scrolled(scroll, action);
            sheet.overlay = scroll.map(|scroll| Overlay::Cell { scroll });
            Vec::new()
        }
    }
}

/// A key while a size is typed.
fn in_promote(
    sheet: &mut Sheet,
    number: usize,
    mut typed: String,
    mut error: Option<String>,
    key: KeyCode,
) -> Vec<Effect> {
    let sizes = Scale::MIN_SIZE..=Scale::MAX_SIZE;
    match key {
        KeyCode::Esc => return Vec::new(),
        KeyCode::Enter => match typed.parse().ok().filter(|size| sizes.contains(size)) {
            Some(size) => return vec![Effect::Promote { number, size }],
            None => {
                let (least, most) = sizes.into_inner();
                error = Some(format!("a size is from {least} to {most} pixels"));
            }
        },
        KeyCode::Backspace => {
            typed.pop();
            error = None;
        }
        KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < MAX_DIGITS => {
            typed.push(digit);
            error = None;
        }
        _ => {}
    }
    let overlay = Overlay::Promote {
        number,
        typed,
        error,
    };
    stays(sheet, overlay)
}

fn act(sheet: &mut Sheet, action: Option<Action>) -> Vec<Effect> {
    let Some(action) = action else {
        return Vec::new();
    };
    match action {
        Action::Help => sheet.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Quit if sheet.is_painted_here() => sheet.overlay = Some(Overlay::Leave),
        Action::Quit => return vec![Effect::Leave],
        Action::Accept => return open(sheet),
        Action::Pause if sheet.is_painted_here() => {
            sheet.say("the painters write checkpoints and end", false);
            return vec![Effect::StopPainters];
        }
        Action::Pause if sheet.summary.is_over() => sheet.say("nothing is left to paint", false),
        Action::Pause => return vec![Effect::StartPainter],
        Action::Stop => return stop(sheet),
        Action::Repeat => repeat(sheet),
        Action::Promote => {
            if let Some(cell) = sheet.cell() {
                sheet.overlay = Some(Overlay::Promote {
                    number: cell.number,
                    typed: USUAL_SIZE.to_owned(),
                    error: None,
                });
            }
        }
        Action::Filter => filter(sheet, sheet.filter.next()),
        Action::Close => filter(sheet, Filter::All),
        Action::Left
        | Action::Right
        | Action::Up
        | Action::Down
        | Action::PageUp
        | Action::PageDown
        | Action::First
        | Action::Last => walk(sheet, action),
        Action::Redraw | Action::Suspend | Action::Interrupt => {}
    }
    Vec::new()
}

fn filter(sheet: &mut Sheet, filter: Filter) {
    if sheet.filter != filter {
        sheet.filter = filter;
        sheet.choose();
    }
}

fn walk(sheet: &mut Sheet, action: Action) {
    let Some((_, grid)) = sheet.places() else {
        return;
    };
    let last = sheet.shown.len().saturating_sub(1);
    let page = grid.rows * grid.columns;
    let at = sheet.selected;
    // By rows it stays in its column, except that the last row may be shorter.
    let down = |by: usize| {
        let column = at % grid.columns;
        let lowest = last / grid.columns * grid.columns + column;
        (at + by).min(lowest)
    };
    let up = |by: usize| at.checked_sub(by).unwrap_or(at % grid.columns);
    sheet.selected = match action {
        Action::Left => at.saturating_sub(1),
        Action::Right => at + 1,
        Action::Up => up(grid.columns),
        Action::Down => down(grid.columns),
        Action::PageUp => up(page),
        Action::PageDown => down(page),
        Action::First => 0,
        _ => last,
    };
    sheet.scroll();
}

fn open(sheet: &mut Sheet) -> Vec<Effect> {
    match sheet.cell() {
        Some(cell) if is_active(cell.state) => return vec![Effect::Open(cell.number)],
        Some(_) => sheet.overlay = Some(Overlay::Cell { scroll: 0 }),
        None => {}
    }
    Vec::new()
}

fn is_active(state: CellState) -> bool {
    matches!(state, CellState::Painting | CellState::Paused)
}

fn stop(sheet: &mut Sheet) -> Vec<Effect> {
    let Some(cell) = sheet.cell() else {
        return Vec::new();
    };
    let number = cell.number;
    if !is_active(cell.state) {
        let word = cell.state.word();
        sheet.say(format!("cell {number} is {word}, not painting"), false);
        return Vec::new();
    }
    let words = format!("cell {number} stops; its picture so far is saved, and it can be resumed");
    sheet.say(words, false);
    vec![Effect::StopCell(number)]
}

fn repeat(sheet: &mut Sheet) {
    let Some(cell) = sheet.cell() else {
        return;
    };
    let number = cell.number;
    match cell.state {
        state if is_active(state) => {
            let words = format!("cell {number} is being painted: x stops it first");
            sheet.say(words, true);
        }
        CellState::Waiting => sheet.say(format!("cell {number} was not painted yet"), false),
        _ => sheet.overlay = Some(Overlay::Repeat(number)),
    }
}

fn interrupt(sheet: &Sheet) -> Vec<Effect> {
    match (sheet.is_painted_here(), sheet.summary.is_over()) {
        (true, _) => vec![Effect::StopPainters, Effect::Interrupt],
        (false, true) => vec![Effect::Leave],
        (false, false) => vec![Effect::Interrupt],
    }
}

/// A click selects, one on what is selected opens it, and the wheel walks by rows.
fn mouse(sheet: &mut Sheet, event: MouseEvent) -> Vec<Effect> {
    if sheet.overlay.is_some() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollDown => walk(sheet, Action::Down),
        MouseEventKind::ScrollUp => walk(sheet, Action::Up),
        MouseEventKind::Down(MouseButton::Left) => {
            let Some((_, grid)) = sheet.places() else {
                return Vec::new();
            };
            let visible = grid.visible(sheet.top, sheet.shown.len());
            let place = grid.at(Position::new(event.column, event.row));
            match place.map(|place| visible.start + place) {
                Some(at) if at == sheet.selected && visible.contains(&at) => return open(sheet),
                Some(at) if visible.contains(&at) => sheet.selected = at,
                _ => {}
            }
        }
        _ => {}
    }
    Vec::new()
}

//! The contact sheet on the screen.

use impasto_core::text::{display_path, number, printable};
use impasto_graphics::terminal::Colours;
use impasto_sweep::{CellEntry, CellState, plain};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::keys::{self, Action};
use super::layout::Grid;
use super::sheet::{Filter, Look, Overlay, Sheet, command};
use crate::pace::clock;
use crate::tui::theme::Theme;
use crate::tui::view::overlay::{choices, scrolled};
use crate::tui::view::start::parts::{dots, picture};
use crate::tui::view::status::{Item, bar, fitted, item, push_key, width_of};
use crate::tui::view::{framed, too_small};

/// Parts of the bar of all iterations.
const PARTS: u32 = 1000;

/// Draws the sheet.
pub fn draw(frame: &mut Frame, sheet: &Sheet, theme: &Theme, colours: Colours) {
    let window = frame.area();
    let Some((places, grid)) = sheet.places() else {
        let comfort = match sheet.is_painted_here() {
            true => "Painting continues.",
            false => "Nothing is being painted here.",
        };
        too_small(frame, "the contact sheet", comfort, theme);
        return;
    };
    frame.buffer_mut().set_style(window, theme.base);
    header(frame, places.header, sheet, theme);
    let large = matches!(sheet.overlay, Some(Overlay::Cell { .. }));
    if let (Some(Overlay::Cell { scroll }), Some(cell)) = (&sheet.overlay, sheet.cell()) {
        one_cell(frame, places.grid, sheet, cell, *scroll, theme, colours);
    } else if sheet.shown.is_empty() {
        let words = Paragraph::new(nothing(sheet)).wrap(Wrap { trim: true });
        frame.render_widget(words.style(theme.dim), places.grid);
    } else {
        let visible = grid.visible(sheet.top, sheet.shown.len());
        let cells = sheet.shown.get(visible).unwrap_or_default();
        let cells = cells.iter().filter_map(|it| sheet.entries.get(*it));
        for (place, cell) in cells.enumerate() {
            tile(frame, &grid, grid.tile(place), sheet, cell, theme, colours);
        }
    }
    notice(frame, places.notice, sheet, theme);
    footer(frame, places.footer, sheet, theme);
    if !large {
        overlay(frame, window, sheet, theme);
    }
}

/// Why there is no cell to see.
fn nothing(sheet: &Sheet) -> String {
    match (&sheet.unread, sheet.filter) {
        (Some(why), _) => printable(why),
        (None, _) if sheet.entries.is_empty() => "reading the sweep".to_owned(),
        (None, filter) => format!("no cell is {}", filter.word()),
    }
}

fn header(frame: &mut Frame, area: Rect, sheet: &Sheet, theme: &Theme) {
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let summary = &sheet.summary;
    let mut items = vec![
        item("impasto sweep", theme.title, 3),
        item(sheet.name(), theme.content, 7),
    ];
    for ((state, _), words) in summary.counts.iter().zip(summary.words()) {
        let worth = match state {
            CellState::Failed => 8,
            CellState::Done | CellState::Painting => 6,
            _ => 5,
        };
        items.push(item(words, style_of(*state, theme), worth));
    }
    if sheet.filter != Filter::All {
        let words = format!("only {}", sheet.filter.word());
        items.push(item(words, theme.warning, 9));
    }
    frame.render_widget(fitted(items, first.width), first);

    let mut items = vec![doing(sheet, theme)];
    if summary.all > 0 {
        let parts = (summary.progress * f64::from(PARTS)) as u32;
        items.push(item(bar(parts, PARTS, theme.ascii), theme.gauge, 2));
        let over = summary.counts.iter().filter(|(state, _)| state.is_over());
        let over: usize = over.map(|(_, count)| count).sum();
        items.push(item(format!("{over} of {}", summary.all), theme.text, 8));
    }
    let painted = sheet.is_painted_here() || !sheet.painters.elsewhere.is_empty();
    if let Some(rate) = summary.per_hour.filter(|_| painted) {
        let words = format!("{} cells/h", number(rate, 2));
        items.push(item(words, theme.text, 4));
    }
    if let Some(left) = summary.left.filter(|_| painted) {
        items.push(item(format!("{} left", clock(left)), theme.text, 6));
    }
    if !sheet.painters.elsewhere.is_empty() {
        let words = format!("painters on {}", sheet.painters.elsewhere.join(", "));
        items.push(item(words, theme.dim, 3));
    }
    frame.render_widget(fitted(items, second.width), second);
}

/// What becomes of the sweep now.
fn doing(sheet: &Sheet, theme: &Theme) -> Item {
    let failed = sheet.summary.count(CellState::Failed);
    match () {
        () if sheet.summary.is_over() && failed > 0 => {
            item("over, with failed cells", theme.error, 9)
        }
        () if sheet.summary.is_over() => item("all cells are done", theme.good, 9),
        () if sheet.painters.starting => item("starting", theme.warning, 9),
        () if sheet.painters.here > 0 => item("painting", theme.good, 9),
        () if !sheet.painters.elsewhere.is_empty() => item("painting elsewhere", theme.good, 9),
        () => item("nobody paints", theme.warning, 9),
    }
}

fn style_of(state: CellState, theme: &Theme) -> Style {
    match state {
        CellState::Waiting => theme.dim,
        CellState::Painting | CellState::Done => theme.good,
        CellState::Paused | CellState::Interrupted | CellState::Stopped => theme.warning,
        CellState::Failed => theme.error,
    }
}

fn symbol_of(state: CellState, ascii: bool) -> &'static str {
    let (symbol, plain) = match state {
        CellState::Waiting => ("·", "."),
        CellState::Painting => ("▸", ">"),
        CellState::Paused => ("‖", "="),
        CellState::Interrupted => ("○", "~"),
        CellState::Stopped => ("■", "#"),
        CellState::Done => ("✓", "+"),
        CellState::Failed => ("✗", "!"),
    };
    if ascii { plain } else { symbol }
}

/// The beginning of a text, at most `columns` wide.
fn head(text: &str, columns: usize, theme: &Theme) -> String {
    if width_of(text) <= columns {
        return text.to_owned();
    }
    let dots = dots(theme);
    let room = columns.saturating_sub(width_of(dots));
    let mut cut = String::new();
    for character in text.chars() {
        cut.push(character);
        if width_of(&cut) > room {
            cut.pop();
            break;
        }
    }
    cut + dots
}

/// A loss in a few characters.
fn loss(value: f64) -> String {
    number(value, 4)
}

fn tile(
    frame: &mut Frame,
    grid: &Grid,
    area: Rect,
    sheet: &Sheet,
    cell: &CellEntry,
    theme: &Theme,
    colours: Colours,
) {
    let selected = sheet.cell().is_some_and(|it| it.number == cell.number);
    let rows = [Constraint::Min(0), Constraint::Length(grid.words)];
    let [above, below] = Layout::vertical(rows).areas(area);
    match sheet.look(cell.number, false) {
        Some(Look::Whole(thumbnail)) => picture(frame, above, thumbnail, theme, colours),
        look => {
            let block = framed("", selected, theme);
            let inner = block.inner(above);
            frame.render_widget(block, above);
            if let (CellState::Failed, Some(message)) = (cell.state, &cell.message) {
                let words = Paragraph::new(printable(message)).wrap(Wrap { trim: true });
                frame.render_widget(words.style(theme.error), inner);
            } else {
                let words = match look {
                    Some(_) => "no picture",
                    None => cell.state.word(),
                };
                let middle = inner.centered_vertically(Constraint::Length(1));
                frame.render_widget(Line::styled(words, theme.dim).centered(), middle);
            }
        }
    }
    let width = usize::from(below.width);
    let symbol = symbol_of(cell.state, theme.ascii);
    let [pictures, values] = sheet.label(cell.number);
    let name = format!(" {} {}", cell.number, in_ascii(&pictures, theme));
    let name = head(&name, width.saturating_sub(1), theme);
    let (mark, kind) = match selected {
        true => (theme.selected, theme.selected),
        false => (style_of(cell.state, theme), theme.text),
    };
    let room = width.saturating_sub(1);
    let mut lines = vec![Line::from(vec![
        Span::styled(symbol, mark),
        Span::styled(format!("{name:<room$}"), kind),
    ])];
    if grid.words > 2 {
        lines.push(Line::styled(head(&values, width, theme), theme.text));
    }
    lines.push(progress(cell, width, theme));
    frame.render_widget(Text::from(lines), below);
}

/// How far a cell is, or how it ended.
fn progress(cell: &CellEntry, width: usize, theme: &Theme) -> Line<'static> {
    let progress = format!("{}/{}", cell.iteration, cell.iterations);
    let (words, kind) = match cell.state {
        CellState::Painting | CellState::Paused => {
            let full = bar(cell.iteration, cell.iterations, theme.ascii);
            let words = format!(" {progress}");
            if width_of(&full) + width_of(&words) > width {
                return Line::styled(progress, theme.text);
            }
            return Line::from(vec![
                Span::styled(full, theme.gauge),
                Span::styled(words, theme.text),
            ]);
        }
        CellState::Done => {
            let loss = cell.losses.map(|losses| loss(losses.total));
            let words = loss.map(|loss| format!("loss {loss}"));
            (words.unwrap_or_else(|| "done".to_owned()), theme.dim)
        }
        CellState::Interrupted | CellState::Stopped => {
            (format!("{} {progress}", cell.state.word()), theme.warning)
        }
        state @ (CellState::Failed | CellState::Waiting) => {
            (state.word().to_owned(), style_of(state, theme))
        }
    };
    Line::styled(head(&words, width, theme), kind)
}

/// Words with a sign that ASCII has not.
fn in_ascii(words: &str, theme: &Theme) -> String {
    match theme.ascii {
        true => words.replace('×', "x"),
        false => words.to_owned(),
    }
}

/// One cell large, with all that is known of it.
fn one_cell(
    frame: &mut Frame,
    area: Rect,
    sheet: &Sheet,
    cell: &CellEntry,
    scroll: u16,
    theme: &Theme,
    colours: Colours,
) {
    let block = framed(" cell ", true, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let parts = Layout::horizontal([Constraint::Percentage(55), Constraint::Min(0)]).spacing(1);
    let [left, right] = parts.areas(inner);
    match sheet.look(cell.number, true) {
        Some(Look::Whole(thumbnail)) => picture(frame, left, thumbnail, theme, colours),
        Some(Look::Broken(why)) => {
            let words = Paragraph::new(why.as_str()).wrap(Wrap { trim: true });
            frame.render_widget(words.style(theme.error), left);
        }
        None => {
            let words = Line::styled("no picture yet", theme.dim).centered();
            frame.render_widget(words, left.centered_vertically(Constraint::Length(1)));
        }
    }
    let facts = facts(sheet, cell, theme);
    // About as far as there is something below; how words break adds a few lines.
    let rows = |line: &Line| 1 + line.width() / usize::from(right.width.max(1));
    let rows: usize = facts.iter().map(rows).sum();
    let most = rows.saturating_sub(usize::from(right.height));
    let scroll = scroll.min(u16::try_from(most).unwrap_or(u16::MAX));
    let facts = Paragraph::new(facts).wrap(Wrap { trim: false });
    frame.render_widget(facts.scroll((scroll, 0)), right);
}

fn facts(sheet: &Sheet, entry: &CellEntry, theme: &Theme) -> Vec<Line<'static>> {
    let symbol = symbol_of(entry.state, theme.ascii);
    let mut lines = vec![Line::from(vec![
        Span::styled(
            format!("{symbol} {}", entry.state.word()),
            style_of(entry.state, theme),
        ),
        Span::styled(
            format!("  cell {} of {}", entry.number, sheet.entries.len()),
            theme.dim,
        ),
    ])];
    let mut facts: Vec<(String, String, Style)> = Vec::new();
    let mut fact = |what: &str, words: String, style: Style| {
        facts.push((what.to_owned(), in_ascii(&words, theme), style));
    };
    if let Some(message) = &entry.message {
        fact("error", printable(message), theme.error);
    }
    let cell = sheet.folder.definition().cell(entry.number);
    fact("content", printable(&entry.content), theme.content);
    fact("style", printable(&entry.style), theme.style);
    if let Some(cell) = &cell {
        fact("preset", printable(&cell.preset), theme.text);
        for (key, value) in &cell.set {
            fact(&printable(key), printable(&plain(value)), theme.text);
        }
    }
    if entry.iterations > 0 {
        let CellEntry {
            iteration,
            iterations,
            seconds,
            ..
        } = entry;
        let words = format!(
            "{iteration} of {iterations} iterations in {}",
            clock(*seconds)
        );
        fact("painted", words, theme.text);
    }
    if let Some(losses) = entry.losses {
        fact("content loss", loss(losses.content), theme.content);
        fact("style loss", loss(losses.style), theme.style);
        fact("smoothness loss", loss(losses.smoothness), theme.smoothness);
        fact("total loss", loss(losses.total), theme.total);
    }
    for (name, value) in &entry.scores {
        fact(&printable(name), printable(&plain(value)), theme.text);
    }
    let folder = sheet.folder.cell_folder(entry.number);
    fact("folder", display_path(&folder), theme.text);
    if let Some(cell) = &cell {
        fact("by itself", command(cell), theme.dim);
    }
    // Values begin in one column.
    let width = facts.iter().map(|(what, ..)| what.chars().count()).max();
    let width = width.unwrap_or(0);
    lines.extend(facts.into_iter().map(|(what, words, style)| {
        Line::from(vec![
            Span::styled(format!("{what:<width$}  "), theme.dim),
            Span::styled(words, style),
        ])
    }));
    lines
}

fn notice(frame: &mut Frame, area: Rect, sheet: &Sheet, theme: &Theme) {
    let (words, kind) = match (sheet.news(), &sheet.unread) {
        (Some(note), _) if note.warning => (printable(&note.text), theme.warning),
        (Some(note), _) => (printable(&note.text), theme.good),
        (None, Some(why)) if !sheet.entries.is_empty() => (printable(why), theme.warning),
        (None, _) => return,
    };
    let words = head(&words, usize::from(area.width).saturating_sub(1), theme);
    frame.render_widget(Line::styled(format!(" {words}"), kind), area);
}

/// The keys that do something now, in the order of their worth.
fn keys_now(sheet: &Sheet) -> Vec<(Action, &'static str)> {
    let cell = sheet.cell();
    let state = cell.map(|cell| cell.state);
    let active = matches!(state, Some(CellState::Painting | CellState::Paused));
    let large = matches!(sheet.overlay, Some(Overlay::Cell { .. }));
    let mut keys = Vec::new();
    if large {
        keys.push((Action::Close, "back"));
        keys.push((Action::Left, "previous"));
        keys.push((Action::Right, "next"));
    } else {
        keys.push((Action::Help, "help"));
        keys.push((Action::Quit, "quit"));
        if cell.is_some() {
            keys.push((Action::Accept, if active { "dashboard" } else { "look" }));
        }
        if sheet.is_painted_here() {
            keys.push((Action::Pause, "pause"));
        } else if !sheet.summary.is_over() {
            keys.push((Action::Pause, "paint"));
        }
    }
    if active {
        keys.push((Action::Stop, "stop"));
    } else if state.is_some_and(|state| state != CellState::Waiting) {
        keys.push((Action::Repeat, "repeat"));
    }
    if cell.is_some() {
        keys.push((Action::Promote, "larger"));
    }
    if !large {
        keys.push((Action::Filter, "filter"));
    }
    keys
}

fn footer(frame: &mut Frame, area: Rect, sheet: &Sheet, theme: &Theme) {
    let mut line = Line::raw(" ");
    if matches!(sheet.overlay, None | Some(Overlay::Cell { .. })) {
        for (action, words) in keys_now(sheet) {
            let key = keys::name(action, theme.ascii);
            let gap = if line.spans.len() > 1 { "  " } else { "" };
            let wide = line.width() + gap.len() + width_of(&key) + 1 + words.len();
            if wide <= usize::from(area.width) {
                push_key(&mut line, gap, key, words, theme);
            }
        }
    }
    frame.render_widget(line, area);
}

fn overlay(frame: &mut Frame, window: Rect, sheet: &Sheet, theme: &Theme) {
    let (title, lines) = match &sheet.overlay {
        None | Some(Overlay::Cell { .. }) => return,
        Some(Overlay::Help { .. }) => (" help: up and down scroll ", help(theme)),
        Some(Overlay::Leave) => (" quit ", leave(sheet, theme)),
        Some(Overlay::Repeat(number)) => (" repeat ", repeat(*number, theme)),
        Some(Overlay::Promote { typed, error, .. }) => {
            (" another size ", promote(typed, error.as_deref(), theme))
        }
    };
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = window.centered(
        Constraint::Length(70.min(window.width)),
        Constraint::Length(height.min(window.height)),
    );
    let block = framed(title, true, theme);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.buffer_mut().set_style(area, theme.base);
    frame.render_widget(block, area);
    let scroll = match sheet.overlay {
        Some(Overlay::Help { scroll }) => scroll,
        _ => 0,
    };
    scrolled(frame, inner, lines, scroll);
}

fn help(theme: &Theme) -> Vec<Line<'static>> {
    let rows = keys::rows(theme.ascii).into_iter();
    let mut lines: Vec<Line> = rows
        .map(|(keys, words)| {
            Line::from(vec![
                Span::styled(format!("{keys:>9}"), theme.key),
                Span::styled(format!("  {words}"), theme.text),
            ])
        })
        .collect();
    let states = CellState::ALL.map(|state| {
        let symbol = symbol_of(state, theme.ascii);
        Span::styled(
            format!("{symbol} {}  ", state.word()),
            style_of(state, theme),
        )
    });
    lines.push(Line::default());
    lines.push(Line::from(states.to_vec()));
    lines
}

fn leave(sheet: &Sheet, theme: &Theme) -> Vec<Line<'static>> {
    let rows = [
        ("enter", "leave it painting; this comes back to it:"),
        (
            "s",
            "stop all painters of this machine, which write checkpoints",
        ),
        ("esc", "stay"),
    ];
    let mut lines = vec![Line::from("Leave the sweep?"), Line::default()];
    for (key, words) in rows {
        lines.push(Line::from(vec![
            Span::styled(format!("{key:>6}  "), theme.key),
            Span::styled(words, theme.text),
        ]));
        if key == "enter" {
            let command = format!("        impasto sweep {}", sheet.called());
            lines.push(Line::styled(command, theme.dim));
        }
    }
    lines
}

fn repeat(number: usize, theme: &Theme) -> Vec<Line<'static>> {
    vec![
        Line::from(format!("Paint cell {number} anew?")),
        Line::styled(
            "Its picture, losses and checkpoint are removed first.",
            theme.dim,
        ),
        Line::default(),
        choices(&[("y", "paint it anew"), ("n", "keep it")], theme),
    ]
}

fn promote(typed: &str, error: Option<&str>, theme: &Theme) -> Vec<Line<'static>> {
    vec![
        Line::from("Paint this cell's pictures with a long side of so many pixels:"),
        Line::from(vec![
            Span::raw("  "),
            Span::styled(format!("{typed}_"), theme.selected),
        ]),
        match error {
            Some(error) => Line::styled(error.to_owned(), theme.error),
            None => Line::styled(
                "The run is one of its own; the cell stays as it is.",
                theme.dim,
            ),
        },
        Line::default(),
        choices(&[("enter", "paint"), ("esc", "leave it")], theme),
    ]
}

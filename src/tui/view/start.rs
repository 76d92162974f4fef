//! The start screen: three steps above, the list to choose from below, and
//! beside it what is selected.

pub mod parts;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use self::parts::{bytes, dots, file_name, names, picture, size, tail};
use std::path::PathBuf;

use impasto_core::text::display_path;
use impasto_graphics::terminal::Colours;

use super::{framed, too_small};
use crate::tui::keymap::{self, Action, Context};
use crate::tui::start::layout::{Places, places};
use crate::tui::start::{Choice, Look, MAX_ITEMS, Next, Slot, Start};
use crate::tui::theme::Theme;

/// Draws the whole start screen.
pub fn draw(frame: &mut Frame, start: &Start, theme: &Theme, colours: Colours) {
    let window = frame.area();
    let Some(places) = places(start, window) else {
        let comfort = "Nothing is being painted yet.";
        too_small(frame, "the start screen", comfort, theme);
        return;
    };
    let title = Line::from(vec![
        Span::styled(" impasto ", theme.title),
        Span::styled("choose a photograph and a painting", theme.dim),
    ]);
    frame.render_widget(title, places.title);
    for (choice, area) in Choice::ALL.into_iter().zip(places.steps) {
        step(frame, area, start, choice, theme, colours);
    }
    list(frame, &places, start, theme);
    details(frame, places.details, start, theme, colours);
    notes(frame, places.notes, start, theme);
    if let Some(error) = &start.error {
        let words = Paragraph::new(error.as_str()).wrap(Wrap { trim: true });
        frame.render_widget(words.style(theme.error), places.error);
    }
    frame.render_widget(next(start, theme), places.next);
    footer(frame, places.footer, start, theme);
    if let Some(scroll) = start.help {
        help(frame, window, scroll, theme);
    }
}

/// The colour of a step, as in the dashboard.
fn step_style(choice: Choice, theme: &Theme) -> Style {
    match choice {
        Choice::Content => theme.content,
        Choice::Style => theme.style,
        Choice::Preset => theme.text,
    }
}

/// One of the three: what was chosen.
fn step(
    frame: &mut Frame,
    area: Rect,
    start: &Start,
    choice: Choice,
    theme: &Theme,
    colours: Colours,
) {
    let number = Choice::ALL.iter().position(|other| *other == choice);
    let title = format!(" {} {} ", number.unwrap_or_default() + 1, choice.name());
    let block = framed(&title, choice == start.step, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(slot) = start.slot(choice) else {
        let presets = &start.presets;
        let row = presets.rows.iter().find(|row| row.name == presets.chosen);
        let mut lines = vec![Line::styled(
            row.map_or_else(|| presets.chosen.clone(), |row| row.shown.clone()),
            step_style(choice, theme),
        )];
        if let Some(Ok(description)) = row.map(|row| &row.description) {
            lines.push(Line::styled(description.clone(), theme.dim));
        }
        let words = Paragraph::new(lines).wrap(Wrap { trim: true });
        frame.render_widget(words, inner);
        return;
    };
    let Some(chosen) = &slot.chosen else {
        frame.render_widget(Line::styled("not chosen yet", theme.dim), inner);
        return;
    };
    let mut words = inner;
    if inner.height >= 3
        && let Some(Look::Whole(thumbnail)) = start.gallery.get(chosen)
    {
        // Room for a picture as wide as four by three.
        let width = Constraint::Length(inner.height * 8 / 3);
        let columns = Layout::horizontal([width, Constraint::Min(0)]).spacing(1);
        let [left, right] = columns.areas(inner);
        picture(frame, left, thumbnail, theme, colours);
        words = right;
    }
    let name = match choice {
        Choice::Style => names(&start.styles()),
        Choice::Content | Choice::Preset => file_name(chosen),
    };
    let mut lines = vec![Line::styled(name, step_style(choice, theme))];
    if let Some(found) = start.gallery.measure(chosen) {
        lines.push(Line::styled(size(found, theme.ascii), theme.dim));
    }
    if let Some(folder) = chosen.parent() {
        let folder = tail(&display_path(folder), usize::from(words.width), dots(theme));
        lines.push(Line::styled(folder, theme.dim));
    }
    frame.render_widget(Paragraph::new(lines), words);
}

/// The list to choose from.
fn list(frame: &mut Frame, places: &Places, start: &Start, theme: &Theme) {
    let room = usize::from(places.list.width.saturating_sub(4));
    let slot = start.slot(start.step);
    let title = slot.map_or_else(
        || "presets".to_owned(),
        |slot| tail(&display_path(&slot.folder), room, dots(theme)),
    );
    let title = format!(" {title} ");
    let list = start.list();
    let mut count = format!(
        " {} of {} ",
        (list.selected + 1).min(list.shown.len()),
        list.shown.len()
    );
    let others = match slot.map(|slot| &slot.listing) {
        Some(Some(Ok(listing))) => listing.others,
        _ => 0,
    };
    if others > 0 {
        let files = if others == 1 { "file" } else { "files" };
        count += &format!("- {others} other {files} ");
    }
    let block = framed(&title, true, theme).title_bottom(Line::styled(count, theme.dim));
    frame.render_widget(block, places.list);

    let filter = if list.filter.is_empty() {
        Line::styled("> type to find a name", theme.dim)
    } else {
        let typed = display_path(std::path::Path::new(&list.filter));
        Line::styled(format!("> {typed}_"), theme.text)
    };
    frame.render_widget(filter, places.filter);
    if !places.cut.is_empty() {
        let words =
            format!("Only the first {MAX_ITEMS} are listed. Paste a path to go to another.");
        let words = Paragraph::new(words).wrap(Wrap { trim: true });
        frame.render_widget(words.style(theme.warning), places.cut);
    }

    let height = usize::from(places.rows.height);
    let first = list.first(height);
    let rows = list.shown.iter().enumerate().skip(first).take(height);
    let lines: Vec<Line> = match slot {
        Some(slot) => rows
            .filter_map(|(place, index)| item(start, slot, *index, place == list.selected, theme))
            .collect(),
        None => rows
            .filter_map(|(place, index)| preset(start, *index, place == list.selected, theme))
            .collect(),
    };
    if !lines.is_empty() {
        frame.render_widget(Paragraph::new(lines), places.rows);
        return;
    }
    let (words, kind) = match slot.map(|slot| &slot.listing) {
        Some(None) => ("reading the folder", theme.dim),
        Some(Some(Err(error))) => (error.as_str(), theme.error),
        _ if !list.filter.is_empty() => ("no name contains that text", theme.dim),
        Some(_) => ("no folders and no pictures here", theme.dim),
        None => ("no presets yet", theme.dim),
    };
    let words = Paragraph::new(words).wrap(Wrap { trim: true });
    frame.render_widget(words.style(kind), places.rows);
}

/// A row of a folder.
fn item<'a>(
    start: &Start,
    slot: &Slot,
    index: usize,
    selected: bool,
    theme: &Theme,
) -> Option<Line<'a>> {
    let item = slot.items().get(index)?;
    let more: &[PathBuf] = match start.step {
        Choice::Style => &start.more_styles,
        Choice::Content | Choice::Preset => &[],
    };
    let chosen = slot.chosen.iter().chain(more).any(|chosen| {
        chosen.file_name() == Some(&item.name) && chosen.parent() == Some(&slot.folder)
    });
    let mark = if chosen { "*" } else { " " };
    let slash = if item.folder { "/" } else { "" };
    let kind = match (selected, item.folder) {
        (true, _) => theme.selected,
        (false, true) => theme.title,
        (false, false) => theme.text,
    };
    Some(Line::styled(format!("{mark} {}{slash}", item.shown), kind))
}

/// A row of the presets.
fn preset<'a>(start: &Start, index: usize, selected: bool, theme: &Theme) -> Option<Line<'a>> {
    let row = start.presets.rows.get(index)?;
    let chosen = row.name == start.presets.chosen;
    let mark = if chosen { "*" } else { " " };
    let own = if row.own { "yours" } else { "" };
    let kind = match (selected, &row.description) {
        (true, _) => theme.selected,
        (false, Err(_)) => theme.error,
        (false, Ok(_)) => theme.text,
    };
    Some(Line::styled(
        format!("{mark} {:<20} {own}", row.shown),
        kind,
    ))
}

/// What is selected, as large as there is room.
fn details(frame: &mut Frame, area: Rect, start: &Start, theme: &Theme, colours: Colours) {
    let slot = start.slot(start.step);
    let selected = match slot {
        Some(slot) => slot.selected().map(|item| item.shown.as_str()),
        None => start.presets.selected().map(|row| row.shown.as_str()),
    };
    let title = selected.map_or_else(String::new, |name| format!(" {name} "));
    let block = framed(&title, false, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let words = |text: &str, kind| {
        Paragraph::new(text.to_owned())
            .wrap(Wrap { trim: true })
            .style(kind)
    };
    let Some(slot) = slot else {
        let rows = Layout::vertical([Constraint::Min(0), Constraint::Length(2)]);
        let [above, below] = rows.areas(inner);
        if let Some(row) = start.presets.selected() {
            let (text, kind) = match &row.description {
                Ok(description) => (description, theme.text),
                Err(error) => (error, theme.error),
            };
            frame.render_widget(words(text, kind), above);
            frame.render_widget(words(&row.origin, theme.dim), below);
        }
        return;
    };
    let Some(path) = slot.picture() else {
        return;
    };
    let rows = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]);
    let [above, below] = rows.areas(inner);
    match start.gallery.get(&path) {
        Some(Look::Broken(error)) => frame.render_widget(words(error, theme.error), inner),
        Some(Look::Whole(thumbnail)) => picture(frame, above, thumbnail, theme, colours),
        Some(Look::Measured(_)) | None => {
            frame.render_widget(words("reading the picture", theme.dim), above);
        }
    }
    if let Some(found) = start.gallery.measure(&path) {
        let words = format!("{}  {}", size(found, theme.ascii), bytes(found.bytes));
        let line = Line::styled(words, theme.dim);
        frame.render_widget(line.centered(), below);
    }
}

fn notes(frame: &mut Frame, area: Rect, start: &Start, theme: &Theme) {
    let lines = start.notes.iter().take(usize::from(area.height));
    let lines: Vec<Line> = lines
        .map(|note| Line::styled(format!(" {note}"), theme.dim))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// What the key for taking something does now.
fn next<'a>(start: &Start, theme: &Theme) -> Line<'a> {
    let strong = |text: &str| Span::styled(text.to_owned(), theme.title);
    let plain = |text: &str| Span::styled(text.to_owned(), theme.text);
    let words = match start.next() {
        Next::Open(folder) => vec![plain("opens "), strong(&folder.shown)],
        Next::Take(picture) => vec![
            plain("takes "),
            strong(&picture.shown),
            plain(" as the "),
            Span::styled(start.step.name(), step_style(start.step, theme)),
        ],
        Next::TakePreset(row, missing) => vec![
            plain("takes "),
            strong(&row.shown),
            plain(&format!("; a {} is still missing", missing.name())),
        ],
        Next::Paint {
            content,
            styles,
            preset,
        } => vec![
            Span::styled("paints ", theme.good),
            Span::styled(file_name(content), theme.content),
            plain(" in the style of "),
            Span::styled(names(&styles), theme.style),
            plain(", preset "),
            strong(&preset.shown),
        ],
        Next::Broken(_) => {
            return Line::styled(" this one cannot be used: choose another", theme.warning);
        }
        Next::Nothing => return Line::styled(" nothing to take here", theme.dim),
    };
    let key = keymap::KEYS
        .iter()
        .find(|row| row.context == Context::Start && row.action == Action::Accept);
    let mut spans = vec![Span::styled(
        format!(
            " {} ",
            key.map_or_else(String::new, |row| keymap::name(row, theme.ascii))
        ),
        theme.key,
    )];
    spans.extend(words);
    Line::from(spans)
}

fn footer(frame: &mut Frame, area: Rect, start: &Start, theme: &Theme) {
    let mut spans = vec![Span::raw(" ")];
    for binding in keymap::KEYS {
        let shown = match binding.action {
            // What this one does, the line above says better.
            Action::Accept => false,
            Action::FolderAbove | Action::OpenFolder => start.step != Choice::Preset,
            _ => binding.footer,
        };
        if binding.context == Context::Start && shown && !binding.words.is_empty() {
            let name = keymap::name(binding, theme.ascii);
            spans.push(Span::styled(name, theme.key));
            spans.push(Span::styled(format!(" {}  ", binding.words), theme.dim));
        }
    }
    frame.render_widget(Line::from(spans), area);
}

fn help(frame: &mut Frame, window: Rect, scroll: u16, theme: &Theme) {
    let mut lines: Vec<Line> = keymap::rows(Context::Start, theme.ascii)
        .into_iter()
        .map(|(keys, words)| {
            Line::from(vec![
                Span::styled(format!("{keys:>14}"), theme.key),
                Span::styled(format!("  {words}"), theme.text),
            ])
        })
        .collect();
    lines.extend(
        [
            "",
            "Type to filter names; ~ opens your home folder.",
            "Paste or drop the path of a file or folder to open it:",
            "dropping one on the terminal.",
        ]
        .map(|text| Line::styled(text, theme.dim)),
    );
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = window.centered(
        Constraint::Length(66.min(window.width)),
        Constraint::Length(height.min(window.height)),
    );
    let most = height.saturating_sub(area.height);
    frame.render_widget(Clear, area);
    let words = Paragraph::new(lines)
        .scroll((scroll.min(most), 0))
        .block(framed(" help ", true, theme));
    frame.render_widget(words, area);
}

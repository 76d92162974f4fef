//! What stands on top of the panes: help, questions, lists.

use impasto_core::preset::{Origin, differences};
use impasto_core::text::display_path;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::{framed, settings};
use crate::tui::app::{App, LayerChooser, Overlay, Phase, PresetChooser};
use crate::tui::keymap;
use crate::tui::layout::{changes_of_restart, first_line, overlay_area, preset_rows, way_back};
use crate::tui::theme::Theme;

pub fn draw(frame: &mut Frame, window: Rect, app: &App, theme: &Theme) {
    let Some(overlay) = &app.overlay else { return };
    let area = overlay_area(app, window);
    let title = match overlay {
        Overlay::Help { .. } => " help: up and down scroll ",
        Overlay::Quit => " quit ",
        Overlay::Leave => " leave ",
        Overlay::Presets(_) => " presets: type to find one ",
        Overlay::Settings(_) => " settings ",
        Overlay::SavePreset { .. } => " save preset ",
        Overlay::Layers(_) => " add a layer ",
        Overlay::Restart => " restart ",
        Overlay::Messages { .. } => " messages ",
        Overlay::Mistake(_) => " the preset file has a mistake ",
        Overlay::Failure => " the run failed ",
    };
    let block = framed(title, true, theme);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.buffer_mut().set_style(area, theme.base);
    frame.render_widget(block, area);
    match overlay {
        Overlay::Presets(chooser) => presets(frame, inner, app, chooser, theme),
        Overlay::Settings(editor) => settings::draw(frame, inner, app, editor, theme),
        Overlay::Layers(chooser) => layers(frame, inner, chooser, theme),
        Overlay::Help { scroll } => scrolled(frame, inner, help(theme), *scroll),
        Overlay::Messages { scroll } => scrolled(frame, inner, messages(app, theme), *scroll),
        Overlay::Mistake(mistake) => {
            // The excerpt's columns must stay under one another.
            let words = Text::styled(mistake.clone(), theme.text);
            frame.render_widget(Paragraph::new(words), inner);
        }
        _ => {
            let words = Paragraph::new(words(app, overlay, theme)).wrap(Wrap { trim: false });
            frame.render_widget(words, inner);
        }
    }
}

/// Words that may be more than fit.
pub fn scrolled(frame: &mut Frame, area: Rect, lines: Vec<Line>, scroll: u16) {
    let count = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let most = count.saturating_sub(area.height);
    frame.render_widget(Paragraph::new(lines).scroll((scroll.min(most), 0)), area);
}

fn help(theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    // The start screen has a help of its own.
    let contexts = keymap::explained(theme.ascii).into_iter();
    for (title, rows) in contexts.filter(|(title, _)| *title != "start screen") {
        lines.push(Line::styled(title, theme.title));
        for (keys, words) in rows {
            lines.push(Line::from(vec![
                Span::styled(format!("{keys:>10}"), theme.key),
                Span::styled(format!("  {words}"), theme.text),
            ]));
        }
    }
    lines.push(Line::styled(
        "Type a number to set the selected weight.",
        theme.dim,
    ));
    lines.push(Line::styled(
        "The mouse chooses, scrolls, and drags the split.",
        theme.dim,
    ));
    lines
}

fn messages(app: &App, theme: &Theme) -> Vec<Line<'static>> {
    if app.messages.is_empty() {
        return vec![Line::styled("nothing so far", theme.dim)];
    }
    app.messages
        .iter()
        .rev()
        .map(|note| {
            let kind = if note.warning {
                theme.warning
            } else {
                theme.text
            };
            Line::from(vec![
                Span::styled(format!("{:>7}  ", note.iteration), theme.dim),
                Span::styled(note.text.clone(), kind),
            ])
        })
        .collect()
}

/// Keys to press, with what they do.
pub fn choices(rows: &[(&'static str, &'static str)], theme: &Theme) -> Line<'static> {
    let mut spans = Vec::new();
    for (key, words) in rows {
        spans.push(Span::styled(*key, theme.key));
        spans.push(Span::styled(format!(" {words}   "), theme.dim));
    }
    Line::from(spans)
}

fn words(app: &App, overlay: &Overlay, theme: &Theme) -> Text<'static> {
    let mut lines: Vec<Line> = Vec::new();
    match overlay {
        Overlay::Quit => {
            lines.push(Line::from(match app.step {
                Some(_) => format!(
                    "Stop and save the picture as {}?",
                    display_path(&app.output)
                ),
                None => "Leave? Nothing is painted yet.".to_owned(),
            }));
            lines.push(Line::default());
            lines.push(choices(&[("enter", "stop"), ("esc", "paint on")], theme));
        }
        Overlay::Leave => leave(app, &mut lines, theme),
        Overlay::SavePreset { name, error } => {
            lines.push(Line::from(
                "Save what runs now as a preset of your own, by the name:",
            ));
            lines.push(Line::from(vec![
                Span::raw("  "),
                Span::styled(format!("{name}_"), theme.selected),
            ]));
            match error {
                Some(error) => lines.push(Line::styled(error.clone(), theme.error)),
                None => {
                    lines.push(Line::default());
                    lines.push(choices(&[("enter", "save"), ("esc", "leave it")], theme));
                }
            }
        }
        Overlay::Restart => restart(app, &mut lines, theme),
        Overlay::Failure => {
            if let Phase::Failed {
                message, output, ..
            } = &app.phase
            {
                lines.push(Line::styled(message.clone(), theme.error));
                lines.push(Line::default());
                if let Some(output) = output {
                    let place = display_path(output);
                    lines.push(Line::from(format!("The picture so far is in {place}.")));
                } else if app.remote.is_none() {
                    lines.push(Line::from("There was no picture to save."));
                }
            }
            if let Some(log) = &app.log {
                lines.push(Line::from(format!("The log is {log}.")));
            }
            lines.push(Line::default());
            lines.push(choices(&[("q", "leave"), ("esc", "look around")], theme));
        }
        // Drawn in their own ways.
        Overlay::Help { .. }
        | Overlay::Presets(_)
        | Overlay::Settings(_)
        | Overlay::Layers(_)
        | Overlay::Messages { .. }
        | Overlay::Mistake(_) => {}
    }
    Text::from(lines)
}

/// What can become of a run that another process paints.
fn leave(app: &App, lines: &mut Vec<Line>, theme: &Theme) {
    let called = app.remote.as_ref().map_or("", |remote| &remote.called);
    let paused = app.phase == Phase::Paused;
    let rows = [
        (
            "d",
            if paused {
                "detach, paused; reopen with"
            } else {
                "detach; reopen with"
            },
        ),
        (
            "s",
            match app.step {
                Some(_) => "stop and save the picture",
                None => "stop; nothing is painted yet",
            },
        ),
        ("esc", "go back"),
    ];
    lines.push(Line::from("Leave the run?"));
    lines.push(Line::default());
    for (key, words) in rows {
        lines.push(Line::from(vec![
            Span::styled(format!("{key:>5}  "), theme.key),
            Span::styled(words, theme.text),
        ]));
        if key == "d" {
            lines.push(Line::styled(way_back(called), theme.dim));
        }
    }
}

fn restart(app: &App, lines: &mut Vec<Line>, theme: &Theme) {
    let changes = changes_of_restart(app);
    if changes.is_empty() {
        lines.push(Line::from("Restart with these weights?"));
    } else {
        lines.push(Line::from(format!(
            "The weights of {} are in use. This takes a new run:",
            app.preset.name
        )));
        for change in changes {
            lines.push(Line::styled(
                format!("  {}", change.shown(theme.ascii)),
                theme.edited,
            ));
        }
    }
    lines.push(Line::default());
    lines.push(Line::styled(
        "The picture so far is saved first; the new one gets a name of its own.",
        theme.dim,
    ));
    lines.push(Line::default());
    lines.push(choices(
        &[
            ("s", "from the start"),
            ("h", "from here"),
            ("esc", "paint on"),
        ],
        theme,
    ));
}

fn presets(frame: &mut Frame, inner: Rect, app: &App, chooser: &PresetChooser, theme: &Theme) {
    let [filter, list, details] = preset_rows(inner);
    frame.render_widget(
        Line::styled(format!("> {}_", chooser.filter), theme.text),
        filter,
    );
    let shown = chooser.shown();
    let lines: Vec<Line> = shown
        .iter()
        .enumerate()
        .skip(first_line(chooser.selected, list.height))
        .take(usize::from(list.height))
        .map(|(index, entry)| {
            let own = match entry.origin {
                Origin::User(_) => "yours",
                Origin::BuiltIn => "",
            };
            let (mark, kind) = match (&entry.preset, index == chooser.selected) {
                (_, true) => ("", theme.selected),
                (Err(_), false) => ("broken", theme.error),
                (Ok(_), false) => ("", theme.text),
            };
            let running = if entry.name == app.preset.name {
                "*"
            } else {
                " "
            };
            Line::styled(format!("{running} {:<20} {own:<6}{mark}", entry.name), kind)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), list);

    let words = match (&chooser.error, shown.get(chooser.selected)) {
        (Some(error), _) => Text::styled(error.clone(), theme.error),
        (None, Some(entry)) => match &entry.preset {
            Ok(preset) => {
                let mut lines = vec![Line::styled(entry.description().to_owned(), theme.text)];
                let new = app.overrides.apply_to_run(preset.clone());
                let changes = differences(&app.preset_of_new_run(), &new);
                if changes.is_empty() {
                    lines.push(Line::styled("This is what runs now.", theme.dim));
                }
                lines.extend(changes.iter().map(|change| {
                    let restart = if change.needs_new_run {
                        "in a new run: "
                    } else {
                        ""
                    };
                    let words = format!("  {restart}{}", change.shown(theme.ascii));
                    Line::styled(words, theme.edited)
                }));
                Text::from(lines)
            }
            Err(error) => Text::styled(error.to_string(), theme.error),
        },
        (None, None) => Text::styled("no preset matches", theme.dim),
    };
    // What does not fit is counted.
    let words = match words.lines.len() {
        count if count > usize::from(details.height) && details.height > 1 => {
            let kept = usize::from(details.height) - 1;
            let mut lines = words.lines;
            lines.truncate(kept);
            let more = format!("  and {} more", count - kept);
            lines.push(Line::styled(more, theme.dim));
            Text::from(lines)
        }
        _ => words,
    };
    frame.render_widget(Paragraph::new(words), details);
}

fn layers(frame: &mut Frame, inner: Rect, chooser: &LayerChooser, theme: &Theme) {
    let lines: Vec<Line> = chooser
        .layers
        .iter()
        .enumerate()
        .skip(first_line(chooser.selected, inner.height))
        .take(usize::from(inner.height))
        .map(|(index, layer)| {
            let kind = if index == chooser.selected {
                theme.selected
            } else {
                theme.text
            };
            Line::styled(format!(" {:<8} {layer}", chooser.part.name()), kind)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

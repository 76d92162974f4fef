//! What stands on top of the panes: help, questions, the list of presets.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::framed;
use crate::picture::display_path;
use crate::preset::Origin;
use crate::tui::app::{App, Chooser, Overlay};
use crate::tui::keymap::{self, Context};
use crate::tui::theme::Theme;

pub fn draw(frame: &mut Frame, window: Rect, app: &App, theme: &Theme) {
    match &app.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => help(frame, window, *scroll, theme),
        Some(Overlay::Quit) => {
            let words = Text::from(vec![
                Line::from(format!(
                    "Stop and save the picture as {}?",
                    display_path(&app.output)
                )),
                Line::default(),
                Line::from(vec![
                    Span::styled("enter", theme.key),
                    Span::styled(" stop and save   ", theme.dim),
                    Span::styled("esc", theme.key),
                    Span::styled(" paint on", theme.dim),
                ]),
            ]);
            popup(frame, window, (58, 6), " quit ", words, theme);
        }
        Some(Overlay::SavePreset { name, error }) => {
            let mut lines = vec![
                Line::from("Save the weights as a preset of your own, by the name:"),
                Line::from(vec![
                    Span::raw("  "),
                    Span::styled(format!("{name}_"), theme.selected),
                ]),
            ];
            if let Some(error) = error {
                lines.push(Line::styled(error.clone(), theme.error));
            }
            popup(
                frame,
                window,
                (62, 7),
                " save preset ",
                Text::from(lines),
                theme,
            );
        }
        Some(Overlay::Presets(chooser)) => presets(frame, window, app, chooser, theme),
    }
}

/// A framed box in the middle of the window, as large as fits.
fn popup(
    frame: &mut Frame,
    window: Rect,
    (width, height): (u16, u16),
    title: &str,
    words: Text,
    theme: &Theme,
) {
    let area = middle(window, width, height);
    let block = framed(title, true, theme);
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(words)
            .wrap(Wrap { trim: false })
            .block(block),
        area,
    );
}

fn middle(window: Rect, width: u16, height: u16) -> Rect {
    let [row] = Layout::vertical([Constraint::Length(height.min(window.height))])
        .flex(ratatui::layout::Flex::Center)
        .areas(window);
    let [area] = Layout::horizontal([Constraint::Length(width.min(window.width))])
        .flex(ratatui::layout::Flex::Center)
        .areas(row);
    area
}

fn help(frame: &mut Frame, window: Rect, scroll: u16, theme: &Theme) {
    let mut lines = Vec::new();
    for (context, title) in [
        (Context::Anywhere, "anywhere"),
        (Context::Layers, "weights"),
        (Context::Losses, "losses"),
        (Context::Picture, "picture"),
        (Context::Overlay, "lists and questions"),
    ] {
        lines.push(Line::styled(title, theme.title));
        for binding in keymap::KEYS {
            if binding.context == context && !binding.words.is_empty() {
                lines.push(Line::from(vec![
                    Span::styled(format!("{:>8}", keymap::name(binding)), theme.key),
                    Span::styled(format!("  {}", binding.words), theme.text),
                ]));
            }
        }
    }
    lines.push(Line::styled(
        "Typing a number sets the selected weight.",
        theme.dim,
    ));
    let area = middle(
        window,
        60,
        u16::try_from(lines.len() + 2).unwrap_or(u16::MAX),
    );
    let most = u16::try_from(lines.len() + 2)
        .unwrap_or(u16::MAX)
        .saturating_sub(area.height);
    frame.render_widget(Clear, area);
    let words = Paragraph::new(lines)
        .scroll((scroll.min(most), 0))
        .block(framed(" help ", true, theme));
    frame.render_widget(words, area);
}

fn presets(frame: &mut Frame, window: Rect, app: &App, chooser: &Chooser, theme: &Theme) {
    let area = middle(window, 76, 20);
    let block = framed(" presets: type to find one ", true, theme);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let rows = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(4),
    ];
    let [filter, list, details] = Layout::vertical(rows).areas(inner);
    frame.render_widget(
        Line::styled(format!("> {}_", chooser.filter), theme.text),
        filter,
    );

    let shown = chooser.shown();
    let first = (chooser.selected + 1).saturating_sub(usize::from(list.height));
    let lines: Vec<Line> = shown
        .iter()
        .enumerate()
        .skip(first)
        .take(usize::from(list.height))
        .map(|(index, entry)| {
            let own = if matches!(entry.origin, Origin::User(_)) {
                "yours"
            } else {
                ""
            };
            let kind = match (&entry.description, index == chooser.selected) {
                (_, true) => theme.selected,
                (Err(_), false) => theme.error,
                (Ok(_), false) => theme.text,
            };
            let running = if entry.name == app.preset.name {
                "*"
            } else {
                " "
            };
            Line::styled(format!("{running} {:<20} {own}", entry.name), kind)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), list);

    let words = match (&chooser.error, shown.get(chooser.selected)) {
        (Some(error), _) => Text::styled(error.clone(), theme.error),
        (None, Some(entry)) => match &entry.description {
            Ok(description) => Text::styled(description.clone(), theme.dim),
            Err(error) => Text::styled(error.to_string(), theme.error),
        },
        (None, None) => Text::styled("no preset matches", theme.dim),
    };
    frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: false }), details);
}

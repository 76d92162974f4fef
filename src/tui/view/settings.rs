//! The list of settings: every key of the preset that is edited while it is painted.

use impasto_core::preset::{Preset, Setting};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use crate::tui::app::{App, SettingsEditor};
use crate::tui::layout::{first_line, settings_rows};
use crate::tui::theme::Theme;

/// Columns of the longest value, `match-symmetric`.
const VALUE: usize = 15;

pub fn draw(frame: &mut Frame, inner: Rect, app: &App, editor: &SettingsEditor, theme: &Theme) {
    let [list, details] = settings_rows(inner);
    let settings = app.settings();
    let name = settings.iter().map(|it| label(it).len()).max().unwrap_or(0);
    // Blanks at both ends and between, and the mark of an edit.
    let width = (name + VALUE + 3).min(usize::from(inner.width).saturating_sub(1));
    let lines: Vec<Line> = settings
        .iter()
        .enumerate()
        .skip(first_line(editor.selected, list.height))
        .take(usize::from(list.height))
        .map(|(index, setting)| {
            let selected = index == editor.selected;
            line(app, setting, selected.then_some(editor), width, theme)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), list);
    let words = match (&editor.error, settings.get(editor.selected)) {
        (Some(error), _) => Line::styled(error.clone(), theme.error),
        (None, Some(setting)) => {
            let (left, right) = match theme.ascii {
                true => ("left", "right"),
                false => ("←", "→"),
            };
            let ways = format!("{left} {right} change, or type a value");
            match setting.words {
                "" => Line::styled(ways, theme.dim),
                words => Line::from(vec![
                    Span::styled(format!("{words}: "), theme.text),
                    Span::styled(ways, theme.dim),
                ]),
            }
        }
        (None, None) => Line::default(),
    };
    frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), details);
}

/// What stands for a key in the list: a layer below the key of all layers.
fn label(setting: &Setting) -> String {
    match setting.key.strip_prefix("style.statistic.relu") {
        Some(layer) => format!("  relu{layer}"),
        None => setting.key.clone(),
    }
}

fn line<'a>(
    app: &App,
    setting: &Setting,
    editor: Option<&SettingsEditor>,
    width: usize,
    theme: &Theme,
) -> Line<'a> {
    let value = |preset: &Preset| setting.value(preset);
    let now = value(&app.preset);
    let edited = now != value(&app.base);
    let shown = match editor.and_then(|editor| editor.typed.as_ref()) {
        Some(typed) => format!("{typed}_"),
        None => now,
    };
    let (name_style, value_style) = match (editor, edited) {
        (Some(_), _) => (theme.selected, theme.selected),
        (None, true) => (theme.text, theme.edited),
        (None, false) => (theme.text, theme.text),
    };
    let mark = if edited { "*" } else { " " };
    // A narrow window leaves the end of a name out rather than a value.
    let name = width.saturating_sub(shown.chars().count() + 2);
    let key: String = label(setting).chars().take(name).collect();
    Line::from(vec![
        Span::styled(format!(" {key:<name$} "), name_style),
        Span::styled(shown, value_style),
        Span::styled(mark, theme.edited),
    ])
}

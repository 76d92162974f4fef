//! What is painted, how far it is, and what the keys do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::pace::{clock, per_second};
use crate::picture::display_path;
use crate::tui::app::{App, Pane, Phase};
use crate::tui::keymap::{self, Context};
use crate::tui::theme::Theme;

/// The two lines at the top.
pub fn draw(frame: &mut Frame, area: Rect, app: &App, theme: &Theme) {
    let times = if theme.ascii { "x" } else { "×" };
    let edited = if app.preset == app.base {
        ""
    } else {
        " (edited)"
    };
    let mut first = vec![
        Span::styled(" impasto ", theme.title),
        Span::styled(app.content.clone(), theme.content),
        Span::styled(" in the manner of ", theme.dim),
        Span::styled(app.style.clone(), theme.style),
        Span::styled(format!("  {}{edited}", app.preset.name), theme.text),
    ];
    if let Some(device) = &app.device {
        first.push(Span::styled(format!("  on {device}"), theme.dim));
    }
    let mut second = vec![Span::raw(" ")];
    second.push(match &app.phase {
        Phase::Preparing(what) => Span::styled(format!("preparing: {what}"), theme.warning),
        Phase::Running => Span::styled("painting", theme.good),
        Phase::Paused => Span::styled("paused", theme.warning),
        Phase::Stopping => Span::styled("stopping, saving the picture", theme.warning),
        Phase::Finished {
            output: Some(output),
        } => Span::styled(
            format!("done, saved as {}", display_path(output)),
            theme.good,
        ),
        Phase::Finished { output: None } => Span::styled("stopped, nothing saved", theme.warning),
        Phase::Failed { message, .. } => Span::styled(format!("failed: {message}"), theme.error),
    });
    if let (Some(step), false) = (&app.step, app.is_over()) {
        let size = format!("{}{times}{}", step.width, step.height);
        second.push(Span::styled(
            format!("  {} of {}", step.iteration, app.iterations()),
            theme.text,
        ));
        second.push(Span::styled(
            format!("  scale {}/{} {size}", step.scale, app.sizes.len()),
            theme.text,
        ));
        if let Some(speed) = app.speed {
            second.push(Span::styled(format!("  {}", per_second(speed)), theme.text));
        }
        second.push(Span::styled(
            format!("  {}", clock(step.elapsed)),
            theme.dim,
        ));
        if let Some(left) = app.left {
            second.push(Span::styled(format!("  {} left", clock(left)), theme.text));
        }
    }
    frame.render_widget(
        Paragraph::new(vec![Line::from(first), Line::from(second)]),
        area,
    );
}

/// The line at the bottom: the last message, else the keys.
pub fn draw_footer(frame: &mut Frame, area: Rect, app: &App, theme: &Theme) {
    let context = match (&app.overlay, app.focus) {
        (Some(_), _) => Context::Overlay,
        (None, Pane::Layers) => Context::Layers,
        (None, Pane::Losses) => Context::Losses,
        (None, Pane::Picture) => Context::Picture,
    };
    let mut spans = vec![Span::raw(" ")];
    if let (Some(note), None) = (app.messages.back(), &app.overlay) {
        let kind = if note.warning {
            theme.warning
        } else {
            theme.good
        };
        spans.push(Span::styled(note.text.clone(), kind));
        spans.push(Span::raw("  "));
    }
    // The keys of the pane first: a narrow line cuts the rest.
    let mut shown: Vec<_> = keymap::KEYS
        .iter()
        .filter(|binding| binding.footer)
        .collect();
    shown.retain(|binding| {
        binding.context == context
            || (binding.context == Context::Anywhere && context != Context::Overlay)
    });
    shown.sort_by_key(|binding| binding.context != context);
    for binding in shown {
        spans.push(Span::styled(keymap::name(binding), theme.key));
        spans.push(Span::styled(format!(" {}  ", binding.words), theme.dim));
    }
    frame.render_widget(Line::from(spans), area);
}

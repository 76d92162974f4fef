//! What is painted, how far it is, and what the keys do.

use impasto_core::preset::Network;
use impasto_core::protocol::Memory;
use impasto_core::text::display_path;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::pace::{clock, per_second};
use crate::tui::app::{App, Phase, Preparation};
use crate::tui::keymap::{self, Action, Context};
use crate::tui::theme::Theme;

/// Columns of the bar that shows how far the run is.
const BAR: usize = 10;

/// Something to say in a line that may be too narrow for all.
pub struct Item {
    text: String,
    style: Style,
    /// The higher, the longer it stays as the line gets narrower.
    worth: u8,
}

pub fn item(text: impl Into<String>, style: Style, worth: u8) -> Item {
    Item {
        text: text.into(),
        style,
        worth,
    }
}

/// The columns that words take.
pub fn width_of(words: &str) -> usize {
    Span::raw(words).width()
}

/// As many of the items as fit, two columns apart, the least worthy left out
/// first. The last that is left is cut rather than left out.
pub fn fitted(mut items: Vec<Item>, width: u16) -> Line<'static> {
    let width = usize::from(width).saturating_sub(1);
    let wide = |items: &[Item]| -> usize {
        let words: usize = items.iter().map(|item| width_of(&item.text)).sum();
        words + 2 * items.len().saturating_sub(1)
    };
    while items.len() > 1 && wide(&items) > width {
        let least = items.iter().map(|item| item.worth).min();
        if let Some(index) = items.iter().rposition(|item| Some(item.worth) == least) {
            items.remove(index);
        }
    }
    let mut spans = vec![Span::raw(" ")];
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            spans.push(Span::raw("  "));
        }
        spans.push(Span::styled(item.text, item.style));
    }
    Line::from(spans)
}

/// The two lines at the top.
pub fn draw(frame: &mut Frame, area: Rect, app: &App, theme: &Theme) {
    let [first, second] = [
        Rect { height: 1, ..area },
        Rect {
            y: area.y + 1,
            height: 1,
            ..area
        },
    ];
    frame.render_widget(fitted(about(app, theme), area.width), first);
    frame.render_widget(fitted(progress(app, theme), area.width), second);
}

fn about(app: &App, theme: &Theme) -> Vec<Item> {
    let mut preset = app.preset.name.clone();
    if app.has_edits() {
        preset += " (edited)";
    }
    let mut items = vec![
        item("impasto", theme.title, 5),
        item(app.content.clone(), theme.content, 7),
        item("in the style of", theme.dim, 4),
        item(app.style_names(), theme.style, 7),
        item(preset, theme.text, 6),
    ];
    if app.preset.network != Network::VGG16 {
        items.push(item(
            format!("by {}", app.preset.network.name()),
            theme.text,
            4,
        ));
    }
    if let Some(device) = &app.device {
        items.push(item(format!("on {device}"), theme.dim, 3));
    }
    if let Some(memory) = app.memory {
        items.push(item(amount(memory), theme.dim, 2));
    }
    if app.is_watching() {
        items.push(item("watching", theme.warning, 8));
    }
    let warnings = app.messages.iter().filter(|note| note.warning).count();
    if warnings > 0 {
        let word = if warnings == 1 { "warning" } else { "warnings" };
        items.push(item(format!("{warnings} {word} (i)"), theme.warning, 6));
    }
    items
}

/// Memory in use, of how much.
fn amount(memory: Memory) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    let used = memory.used_bytes as f64 / GIB;
    let total = memory.total_bytes as f64 / GIB;
    format!("{used:.1}/{total:.0} GiB")
}

fn progress(app: &App, theme: &Theme) -> Vec<Item> {
    let mut items = match &app.phase {
        Phase::Preparing(preparation) => {
            let what = preparation.steps.last().map_or("starting", String::as_str);
            vec![
                item("preparing", theme.warning, 9),
                item(what.to_owned(), theme.text, 8),
            ]
        }
        Phase::Running => vec![item("painting", theme.good, 9)],
        Phase::Paused => vec![item("paused", theme.warning, 9)],
        Phase::Stopping => vec![
            item("stopping", theme.warning, 9),
            item("saving the picture", theme.warning, 8),
        ],
        Phase::Finished {
            output: Some(output),
        } => vec![
            item("done", theme.good, 9),
            item(format!("saved as {}", display_path(output)), theme.good, 8),
        ],
        Phase::Finished { output: None } => {
            vec![item("stopped, nothing saved", theme.warning, 9)]
        }
        Phase::Failed { message, .. } => vec![
            item("failed", theme.error, 9),
            item(message.clone(), theme.error, 8),
        ],
    };
    let Some(step) = &app.step else {
        return items;
    };
    let times = if theme.ascii { "x" } else { "×" };
    let size = format!("{}{times}{}", step.width, step.height);
    let all = app.iterations();
    if app.is_over() {
        items.push(item(
            format!("{} iterations in {}", step.iteration, clock(step.elapsed)),
            theme.dim,
            4,
        ));
        items.push(item(size, theme.dim, 3));
        return items;
    }
    items.push(item(bar(step.iteration, all, theme.ascii), theme.gauge, 1));
    items.push(item(format!("{} of {all}", step.iteration), theme.text, 7));
    let scale = format!("scale {}/{} {size}", step.scale, app.sizes.len());
    items.push(item(scale, theme.text, 4));
    if let Some(speed) = app.speed {
        items.push(item(per_second(speed), theme.text, 5));
    }
    items.push(item(clock(step.elapsed), theme.dim, 3));
    if let Some(left) = app.left {
        items.push(item(format!("{} left", clock(left)), theme.text, 6));
    }
    items
}

/// How far it is, as a bar.
pub fn bar(done: u32, of: u32, ascii: bool) -> String {
    let (full, empty) = if ascii { ('#', '.') } else { ('━', '╌') };
    let part = f64::from(done) / f64::from(of.max(1));
    let filled = ((part * BAR as f64).round() as usize).min(BAR);
    let mut bar = String::new();
    bar.extend(std::iter::repeat_n(full, filled));
    bar.extend(std::iter::repeat_n(empty, BAR - filled));
    bar
}

/// The steps of the preparation, the last of them under way, for the place
/// where the painting will be.
pub fn preparation<'a>(preparation: &'a Preparation, seconds: f64, theme: &Theme) -> Vec<Line<'a>> {
    let (tick, turns) = if theme.ascii {
        ("*", ["|", "/", "-", "\\"])
    } else {
        ("✓", ["◐", "◓", "◑", "◒"])
    };
    let turn = turns[(seconds * 4.0) as usize % turns.len()];
    let count = preparation.steps.len();
    let mut lines: Vec<Line> = preparation
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            if index + 1 < count {
                Line::from(vec![
                    Span::styled(format!("{tick} "), theme.good),
                    Span::styled(step.as_str(), theme.dim),
                ])
            } else {
                Line::from(vec![
                    Span::styled(format!("{turn} "), theme.warning),
                    Span::styled(step.as_str(), theme.text),
                ])
            }
        })
        .collect();
    let of = preparation.of.max(u32::try_from(count).unwrap_or(u32::MAX));
    let done = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    lines.push(Line::default());
    lines.push(Line::from(vec![
        Span::styled(bar(done, of, theme.ascii), theme.gauge),
        Span::styled(format!(" {done} of {of} steps"), theme.dim),
    ]));
    lines
}

/// The line at the bottom: the latest message, and the keys.
pub fn draw_footer(frame: &mut Frame, area: Rect, app: &App, theme: &Theme) {
    let context = app.context();
    let mut items = Vec::new();
    if let (Some(note), None) = (app.news(), &app.overlay) {
        let kind = if note.warning {
            theme.warning
        } else {
            theme.good
        };
        items.push(item(note.text.clone(), kind, u8::MAX));
    }
    let mut line = fitted(items, area.width);
    let mut room = usize::from(area.width).saturating_sub(line.width());
    // The way out and the way to the rest are there in any case; before them
    // the keys of the pane, as many as fit.
    let last = |binding: &&keymap::Binding| matches!(binding.action, Action::Help | Action::Quit);
    let shown = |wanted: Context| {
        let footer = keymap::KEYS.iter().filter(|binding| binding.footer);
        footer.filter(move |binding| binding.context == wanted)
    };
    let anywhere = match context {
        Context::Overlay | Context::Leaving | Context::FullScreen => context,
        _ => Context::Anywhere,
    };
    let gap = |line: &Line| if line.spans.len() > 1 { "  " } else { "" };
    let mut kept = Vec::new();
    for binding in shown(anywhere).filter(last) {
        let key = keymap::name(binding, theme.ascii);
        let wide = 2 + width_of(&key) + 1 + width_of(binding.words);
        if let Some(left) = room.checked_sub(wide) {
            room = left;
            kept.push((key, binding.words));
        }
    }
    let first = shown(context).filter(|binding| !last(binding));
    let rest = shown(anywhere).filter(|binding| anywhere != context && !last(binding));
    for binding in first.chain(rest) {
        let key = keymap::name(binding, theme.ascii);
        let gap = gap(&line);
        let wide = gap.len() + width_of(&key) + 1 + width_of(binding.words);
        if let Some(left) = room.checked_sub(wide) {
            room = left;
            push_key(&mut line, gap, key, binding.words, theme);
        }
    }
    for (key, words) in kept {
        let gap = gap(&line);
        push_key(&mut line, gap, key, words, theme);
    }
    frame.render_widget(line, area);
}

pub fn push_key(
    line: &mut Line,
    gap: &'static str,
    key: String,
    words: &'static str,
    theme: &Theme,
) {
    line.push_span(Span::raw(gap));
    line.push_span(Span::styled(key, theme.key));
    line.push_span(Span::styled(format!(" {words}"), theme.dim));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_worthy_is_left_out_first() {
        let plain = Style::new();
        let items = || {
            vec![
                item("one", plain, 3),
                item("two", plain, 1),
                item("three", plain, 2),
            ]
        };
        let shown = |width| fitted(items(), width).to_string();
        assert_eq!(shown(40), " one  two  three");
        assert_eq!(shown(16), " one  two  three");
        assert_eq!(shown(15), " one  three");
        assert_eq!(shown(10), " one");
        assert_eq!(shown(2), " one", "what is left is cut by the window");
    }

    #[test]
    fn the_bar_fills_up() {
        assert_eq!(bar(0, 100, true), "..........");
        assert_eq!(bar(50, 100, true), "#####.....");
        assert_eq!(bar(100, 100, false), "━━━━━━━━━━");
        assert_eq!(bar(7, 0, true), "##########");
    }
}

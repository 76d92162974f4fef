//! Every weight, its share of the total as a bar, and the one being edited.

use impasto_core::text::number;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{framed, part_style};
use crate::tui::app::{App, Pane, Row, RowItem};
use crate::tui::layout::first_row;
use crate::tui::theme::Theme;

/// Columns of the name and of the weight.
const NAME: usize = 12;
const WEIGHT: usize = 9;
/// Columns of the share as a number.
const SHARE: usize = 6;

pub fn draw(frame: &mut Frame, area: Rect, app: &App, theme: &Theme) {
    let focused = app.focus == Pane::Layers;
    let block = framed(" weights ", focused, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = app.rows();
    let height = usize::from(inner.height);
    let first = first_row(app, inner);
    let bar = usize::from(inner.width).saturating_sub(NAME + WEIGHT + SHARE + 2);
    let lines: Vec<Line> = rows
        .iter()
        .enumerate()
        .skip(first)
        .take(height)
        .map(|(index, row)| line(app, *row, focused && index == app.row, bar, theme))
        .collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn line<'a>(app: &App, row: Row, selected: bool, bar: usize, theme: &Theme) -> Line<'a> {
    let weight = app.weight(row);
    let name = match row.item {
        RowItem::Term => row.part.name().to_owned(),
        RowItem::Layer(layer) => format!("  {layer}"),
        RowItem::Laplacian => "  laplacian".to_owned(),
        RowItem::Style(index) => {
            let name = app.styles.get(index).map_or("", String::as_str);
            format!("  {}", shortened(name, NAME - 3))
        }
    };
    let shown = match (&app.typed, selected) {
        (Some(typed), true) => format!("{typed}_"),
        _ if weight == 0.0 && app.muted.contains_key(&row) => "muted".to_owned(),
        _ => number(weight, 4),
    };
    let share = app.share(row);
    let percent = share.map_or_else(String::new, |share| format!("{:.0}%", 100.0 * share));
    let mut colour = part_style(row.part, theme);
    if row.item == RowItem::Term {
        colour = colour.add_modifier(Modifier::BOLD);
    }
    let name_style = if selected {
        colour.patch(theme.selected)
    } else {
        colour
    };
    let edited = app.is_edited(row);
    let weight_style = match (selected, edited) {
        (true, _) => theme.selected,
        (false, true) => theme.edited,
        (false, false) => theme.text,
    };
    let mark = if edited { "*" } else { " " };
    Line::from(vec![
        Span::styled(format!("{name:<NAME$}"), name_style),
        Span::styled(format!("{shown:>WEIGHT$}"), weight_style),
        Span::styled(mark, theme.edited),
        Span::styled(bar_of(share.unwrap_or(0.0), bar, theme.ascii), colour),
        Span::styled(format!("{percent:>SHARE$}"), theme.dim),
    ])
}

/// As much of a file's name as fits into `columns`.
fn shortened(name: &str, columns: usize) -> String {
    let width = |text: &str| Line::from(text).width();
    if width(name) <= columns {
        return name.to_owned();
    }
    let mut shown = name.to_owned();
    while width(&shown) >= columns && shown.pop().is_some() {}
    shown + "…"
}

/// A bar of `width` columns, filled by `share`.
fn bar_of(share: f64, width: usize, ascii: bool) -> String {
    const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let (full, rest) = (eighths / 8, eighths % 8);
    let mut bar = String::new();
    if ascii {
        bar.extend(std::iter::repeat_n(
            '#',
            (share * width as f64).round() as usize,
        ));
    } else {
        bar.extend(std::iter::repeat_n('█', full));
        if rest > 0 {
            bar.push(EIGHTHS[rest - 1]);
        }
    }
    let shown = bar.chars().count();
    bar.extend(std::iter::repeat_n(' ', width.saturating_sub(shown)));
    bar.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_by_eighths() {
        assert_eq!(bar_of(0.0, 4, false), "    ");
        assert_eq!(bar_of(0.5, 4, false), "██  ");
        assert_eq!(bar_of(0.53125, 4, false), "██▏ ");
        assert_eq!(bar_of(1.0, 4, false), "████");
        assert_eq!(bar_of(0.5, 4, true), "##  ");
        assert_eq!(bar_of(0.7, 0, false), "");
    }
}

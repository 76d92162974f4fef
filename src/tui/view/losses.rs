//! The pane with the losses: their values, and their course over the run.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{self, Canvas};

use crate::tui::chart::{
    ChartState, Loss, Plane, binned, cell, cells, number, plot_area, ticks, ticks_in,
};
use crate::tui::history::{History, Mark, Point};
use crate::tui::theme::Theme;

#[cfg(test)]
mod tests;

/// Draws the pane.
pub fn draw(
    frame: &mut Frame,
    area: Rect,
    history: &History,
    chart: &ChartState,
    theme: &Theme,
    focused: bool,
) {
    let area = area.intersection(frame.area());
    let scale = if chart.log { "log" } else { "linear" };
    let title = match chart.window {
        None => format!(" losses ({scale}) "),
        Some(window) => format!(" losses ({scale}, {window} iterations) "),
    };
    let block = super::framed(&title, focused, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if inner.is_empty() {
        return;
    }
    let (Some(latest), Some(range)) = (history.last(), chart.range(history)) else {
        say(frame.buffer_mut(), inner, "no losses yet", theme);
        return;
    };
    let curves = curves(chart, theme);
    let cursor = chart.cursor.and_then(|cursor| history.nearest(cursor));
    let [top, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    let values = header(cursor, &cursor.unwrap_or(latest), &curves, top.width, theme);
    frame.render_widget(values, top);
    if body.is_empty() {
        return;
    }
    let points: Vec<Point> = history.between(range.0, range.1).collect();
    let Some(plane) = Plane::new(&points, range, chart) else {
        let words = if chart.log {
            "nothing above zero to draw"
        } else {
            "nothing finite to draw"
        };
        say(frame.buffer_mut(), body, words, theme);
        return;
    };
    let plot = draw_axes(frame.buffer_mut(), body, &plane, theme);
    draw_curves(frame, plot, &points, &plane, &curves, theme);
    draw_marks(
        frame.buffer_mut(),
        plot,
        &plane,
        history,
        cursor.map(|point| point.iteration),
        theme,
    );
}

/// Writes words into the middle of an area.
fn say(buffer: &mut Buffer, area: Rect, words: &str, theme: &Theme) {
    let left = area.width.saturating_sub(cells(words)) / 2;
    buffer.set_stringn(
        area.x + left,
        area.y + area.height / 2,
        words,
        area.width.into(),
        theme.dim,
    );
}

/// One of the losses.
struct Curve {
    name: &'static str,
    /// Stands for it where there is little room or no colour.
    letter: &'static str,
    marker: Marker,
    style: Style,
    loss: Loss,
}

/// The losses shown, in the order in which they are written and drawn. The total
/// is drawn first: where one loss is nearly all of it, that one stays seen.
fn curves(chart: &ChartState, theme: &Theme) -> Vec<Curve> {
    let curve = |loss, name, letter: &'static str, style: Style| Curve {
        name,
        letter,
        marker: match (style.fg, theme.content.fg, letter.chars().next()) {
            // Without colours only its letter distinguishes a curve.
            (None, None, Some(letter)) => Marker::Custom(letter),
            _ if theme.ascii => Marker::Custom('.'),
            _ => Marker::Braille,
        },
        style,
        loss,
    };
    let curve_of = |loss| match loss {
        Loss::Total => curve(loss, "total", "t", theme.total),
        Loss::Content => curve(loss, "content", "c", theme.content),
        Loss::Style => curve(loss, "style", "s", theme.style),
        Loss::Smoothness => curve(loss, "smoothness", "m", theme.smoothness),
    };
    chart.losses().map(curve_of).collect()
}

/// The values at a point, with names if there is room for all of them, else
/// with letters. What still does not fit is left out: half a number would be
/// another number.
fn header(
    cursor: Option<Point>,
    point: &Point,
    curves: &[Curve],
    width: u16,
    theme: &Theme,
) -> Line<'static> {
    let entries = |short: bool| {
        let place = cursor.map(|point| (format!("at {}", point.iteration), theme.text));
        let values = curves.iter().map(move |curve| {
            let name = if short { curve.letter } else { curve.name };
            let value = number(curve.loss.of(point));
            (format!("{name} {value}"), curve.style)
        });
        place.into_iter().chain(values)
    };
    let full: u16 = entries(false).map(|(words, _)| cells(&words) + 2).sum();
    let mut line = Line::default();
    let mut room = width;
    for (words, style) in entries(full > width.saturating_add(2)) {
        let gap = if line.spans.is_empty() { "" } else { "  " };
        let Some(left) = room.checked_sub(cells(gap) + cells(&words)) else {
            break;
        };
        room = left;
        line.push_span(gap);
        line.push_span(Span::styled(words, style));
    }
    line
}

/// Writes the values at the left and the iterations below, and gives the area
/// that is left for the curves.
fn draw_axes(buffer: &mut Buffer, area: Rect, plane: &Plane, theme: &Theme) -> Rect {
    let values = plane.values(ticks_in(area));
    let plot = plot_area(area, &values);
    if plot.x > area.x {
        let (line, tick) = if theme.ascii {
            ("|", "+")
        } else {
            ("│", "┤")
        };
        let axis = plot.x - 1;
        for row in plot.top()..plot.bottom() {
            buffer.set_string(axis, row, line, theme.dim);
        }
        for (value, label) in &values {
            let Some(y) = plane.y(*value) else { continue };
            let row = plot.y + cell(1.0 - y, plot.height);
            // Two values in one row: the first stays.
            if buffer[(axis, row)].symbol() == line {
                buffer.set_string(axis, row, tick, theme.dim);
                buffer.set_string(axis - cells(label), row, label, theme.dim);
            }
        }
    }
    if plot.height < area.height {
        draw_iterations(buffer, plot, plane, theme);
    }
    plot
}

/// Writes iterations below the plot: the ends of the range, and round numbers
/// between them where there is room.
fn draw_iterations(buffer: &mut Buffer, plot: Rect, plane: &Plane, theme: &Theme) {
    let (first, last) = plane.range;
    let between = ticks(first.into(), last.into(), plot.width / 12)
        .into_iter()
        .map(|(value, _)| value.round() as u32);
    let mut taken: Vec<(u16, u16)> = Vec::new();
    for iteration in [first, last].into_iter().chain(between) {
        let label = iteration.to_string();
        let width = cells(&label);
        let Some(rightmost) = plot.width.checked_sub(width) else {
            continue;
        };
        let middle = cell(plane.x(iteration), plot.width);
        let start = middle.saturating_sub(width / 2).min(rightmost);
        let end = start + width;
        if taken
            .iter()
            .all(|&(from, to)| end + 2 <= from || to + 2 <= start)
        {
            buffer.set_string(plot.x + start, plot.bottom(), label, theme.dim);
            taken.push((start, end));
        }
    }
}

/// Draws the curves. The canvas knows colours only, no bold.
fn draw_curves(
    frame: &mut Frame,
    plot: Rect,
    points: &[Point],
    plane: &Plane,
    curves: &[Curve],
    theme: &Theme,
) {
    let bins = usize::from(plot.width) * 2;
    let lines: Vec<_> = curves
        .iter()
        .map(|curve| {
            let points = points.iter().filter_map(|point| {
                let y = plane.y(curve.loss.of(point))?;
                Some((plane.x(point.iteration), y))
            });
            let colour = curve.style.fg.unwrap_or(Color::Reset);
            (curve.marker, colour, binned(points, bins))
        })
        .collect();
    let canvas = Canvas::default()
        .x_bounds([0.0, 1.0])
        .y_bounds([0.0, 1.0])
        .background_color(theme.base.bg.unwrap_or(Color::Reset))
        .marker(curves.first().map_or(Marker::Braille, |curve| curve.marker))
        .paint(|context| {
            for (marker, colour, points) in &lines {
                // Braille dots of several curves share a cell, as long as they
                // share a layer; a new marker begins a layer.
                if *marker != Marker::Braille {
                    context.marker(*marker);
                }
                context.draw(&canvas::Points::new(points, *colour));
                for (from, to) in points.iter().zip(points.iter().skip(1)) {
                    context.draw(&canvas::Line::new(from.0, from.1, to.0, to.1, *colour));
                }
            }
        });
    frame.render_widget(canvas, plot);
}

/// Draws upright lines where a mark or the cursor is, behind the curves.
fn draw_marks(
    buffer: &mut Buffer,
    plot: Rect,
    plane: &Plane,
    history: &History,
    cursor: Option<u32>,
    theme: &Theme,
) {
    let (upright, scale, change) = if theme.ascii {
        ("|", ":", "'")
    } else {
        ("│", "┆", "┊")
    };
    let marks = history.marks().map(|(iteration, mark)| match mark {
        Mark::Scale => (iteration, scale, theme.mark),
        Mark::Change => (iteration, change, theme.mark),
    });
    let cursor = cursor.map(|iteration| (iteration, upright, theme.text));
    // Only blank cells are written to, so what comes first is on top.
    for (iteration, symbol, style) in cursor.into_iter().chain(marks) {
        if !(plane.range.0..=plane.range.1).contains(&iteration) {
            continue;
        }
        let column = plot.x + cell(plane.x(iteration), plot.width);
        for row in plot.top()..plot.bottom() {
            if buffer[(column, row)].symbol() == " " {
                buffer.set_string(column, row, symbol, style);
            }
        }
    }
}

//! The chart of the losses: which part of the history it shows, and where each value is
//! on the screen. `view::losses` draws it.

mod plane;

use ratatui::layout::{Constraint, Layout, Rect};

pub use self::plane::{Plane, binned, cell, number, ticks};

use super::history::{History, Point};

/// The fewest iterations that can be shown.
const NARROWEST: u32 = 20;
/// The iterations shown when the window is switched on.
const WINDOW: u32 = 200;

/// One of the losses that a step reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Total,
    Content,
    Style,
    Smoothness,
}

impl Loss {
    /// Its value at a point of the history.
    pub fn of(self, point: &Point) -> f64 {
        match self {
            Self::Total => point.total,
            Self::Content => point.content,
            Self::Style => point.style,
            Self::Smoothness => point.smoothness,
        }
    }
}

/// What the chart shows of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartState {
    /// Whether the values are drawn on a logarithmic scale.
    pub log: bool,
    /// How many iterations are shown; none for the whole run.
    pub window: Option<u32>,
    /// Whether the smoothness is drawn too.
    pub smoothness: bool,
    /// The iteration whose values are shown; none for the latest.
    pub cursor: Option<u32>,
}

impl Default for ChartState {
    fn default() -> Self {
        Self {
            log: true,
            window: None,
            smoothness: false,
            cursor: None,
        }
    }
}

impl ChartState {
    /// Between a logarithmic and a linear scale.
    pub fn toggle_log(&mut self) {
        self.log = !self.log;
    }

    /// Between the whole run and its latest 200 iterations.
    pub fn toggle_window(&mut self) {
        self.window = match self.window {
            None => Some(WINDOW),
            Some(_) => None,
        };
    }

    /// Shows half as many iterations, down to 20.
    pub fn zoom_in(&mut self, history: &History) {
        let run = length(history);
        let shown = self.window.map_or(run, |window| window.min(run));
        if shown > NARROWEST {
            self.window = Some((shown / 2).max(NARROWEST));
        }
    }

    /// Shows twice as many iterations, up to the whole run.
    pub fn zoom_out(&mut self, history: &History) {
        self.window = self
            .window
            .map(|window| window.saturating_mul(2))
            .filter(|&window| window < length(history));
    }

    /// Moves the cursor by so many hundredths of what is shown, and by one
    /// point at least. It starts at the latest point; beyond that it vanishes,
    /// and the latest values are shown again.
    pub fn move_cursor(&mut self, by: i64, history: &History) {
        let (Some(latest), Some((first, last))) = (history.last(), self.range(history)) else {
            return;
        };
        let from = self.cursor.unwrap_or(latest.iteration);
        let step = i64::from(last - first) / 100;
        let target = i64::from(from).saturating_add(by.saturating_mul(step.max(1)));
        let mut iterations = history.whole().map(|point| point.iteration);
        self.cursor = if by > 0 {
            iterations.find(|&iteration| i64::from(iteration) >= target)
        } else if by < 0 {
            let start = iterations.next();
            iterations
                .take_while(|&iteration| i64::from(iteration) <= target)
                .last()
                .or(start)
        } else {
            self.cursor
        };
    }

    /// The losses that are drawn: total, content, style and, if it is switched on,
    /// smoothness.
    pub fn losses(&self) -> impl Iterator<Item = Loss> {
        let smoothness = self.smoothness.then_some(Loss::Smoothness);
        [Loss::Total, Loss::Content, Loss::Style]
            .into_iter()
            .chain(smoothness)
    }

    /// The first and the last iteration shown. The window ends at the latest
    /// unless that would leave the cursor outside; then the cursor is in its
    /// middle.
    pub fn range(&self, history: &History) -> Option<(u32, u32)> {
        let first = history.whole().next()?.iteration;
        let last = history.last()?.iteration;
        let Some(window) = self.window else {
            return Some((first, last));
        };
        let before = window.max(1) - 1;
        let end = self
            .cursor
            .map_or(last, |cursor| cursor.saturating_add(window / 2))
            .max(first.saturating_add(before))
            .min(last);
        Some((end.saturating_sub(before).max(first), end))
    }
}

/// How many iterations the run has had.
fn length(history: &History) -> u32 {
    let first = history.whole().next().map_or(0, |point| point.iteration);
    history
        .last()
        .map_or(0, |last| (last.iteration - first).saturating_add(1))
}

/// The iteration at a column of the window, if the chart's pane has its inside
/// at `inner` and the column is within the curves.
pub fn iteration_at(inner: Rect, history: &History, chart: &ChartState, x: u16) -> Option<u32> {
    let range = chart.range(history)?;
    let [_, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(inner);
    let points: Vec<Point> = history.between(range.0, range.1).collect();
    let plane = Plane::new(&points, range, chart)?;
    let plot = plot_area(body, &plane.values(ticks_in(body)));
    if !(plot.left()..plot.right()).contains(&x) {
        return None;
    }
    let part = f64::from(x - plot.x) / f64::from(plot.width.saturating_sub(1).max(1));
    let span = f64::from(range.1 - range.0);
    let wanted = range.0 + (part * span).round() as u32;
    history.nearest(wanted).map(|point| point.iteration)
}

/// How many axis labels fit at the side.
pub fn ticks_in(area: Rect) -> u16 {
    let rows = area.height - u16::from(area.height >= 4);
    (rows / 2).max(2)
}

/// The area of the curves: beside the value labels and above the iterations.
pub fn plot_area(area: Rect, values: &[(f64, String)]) -> Rect {
    let mut plot = area;
    if area.height >= 4 {
        plot.height -= 1;
    }
    let widest = values.iter().map(|(_, label)| cells(label)).max();
    let gutter = widest.unwrap_or(0) + 1;
    if area.width >= gutter + 12 {
        plot.x += gutter;
        plot.width -= gutter;
    }
    plot
}

/// The width of a text of ASCII characters.
pub fn cells(text: &str) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

use impasto_graphics::terminal::Colours;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::*;
use crate::tui::theme::Palette;

/// A run whose losses fall the way they do.
fn falling(iterations: u32) -> History {
    let mut history = History::default();
    for iteration in 1..=iterations {
        let t = f64::from(iteration);
        let (content, style) = (3e5 + 2e5 / t, 1e5 + 4e8 / (t * t));
        history.push(Point {
            iteration,
            content,
            style,
            smoothness: 2e3,
            total: content + style,
        });
    }
    history
}

fn constant(iterations: u32, value: f64) -> History {
    let mut history = History::default();
    for iteration in 1..=iterations {
        history.push(Point {
            iteration,
            content: value,
            style: value,
            smoothness: value,
            total: value,
        });
    }
    history
}

fn theme() -> Theme {
    Theme::new(Palette::default(), Colours::True, false)
}

fn render(size: (u16, u16), history: &History, chart: &ChartState, theme: &Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal
        .draw(|frame| draw(frame, frame.area(), history, chart, theme, true))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width.max(1));
    buffer
        .content()
        .chunks(width)
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
        .collect()
}

fn text(buffer: &Buffer) -> String {
    rows(buffer).join("\n")
}

/// The colours of all cells that hold Braille dots.
fn colours(buffer: &Buffer) -> Vec<Color> {
    buffer
        .content()
        .iter()
        .filter(|cell| cell.symbol().chars().all(|c| ('⠁'..='⣿').contains(&c)))
        .map(|cell| cell.fg)
        .collect()
}

#[test]
fn a_wide_pane_shows_all() {
    let mut history = falling(500);
    history.mark(200, Mark::Scale);
    let buffer = render((60, 12), &history, &ChartState::default(), &theme());
    let rows = rows(&buffer);
    assert!(rows[0].starts_with("╭ losses (log) ─"), "{}", rows[0]);
    assert!(rows[1].starts_with("│total 4.02e5  content 3.00e5  style 1.02e5 "));
    assert!(rows.iter().any(|row| row.starts_with("│1e8┤")));
    assert!(rows[10].starts_with("│    1 ") && rows[10].ends_with(" 500│"));
    assert_eq!(buffer[(1, 1)].modifier, Modifier::BOLD);
    assert_eq!(buffer[(16, 1)].fg, Color::Cyan);
    assert_eq!(buffer[(32, 1)].fg, Color::Magenta);
    assert_eq!(buffer[(0, 0)].fg, Color::Yellow);
    let colours = colours(&buffer);
    for colour in [Color::Cyan, Color::Magenta, Color::Reset] {
        assert!(colours.contains(&colour), "{colour}");
    }
    assert!(!colours.contains(&Color::Green));
    let mark = buffer.content().iter().find(|cell| cell.symbol() == "┆");
    assert!(mark.unwrap().modifier.contains(Modifier::DIM));
}

#[test]
fn a_small_pane_shows_what_fits_and_no_half_numbers() {
    let history = falling(500);
    let chart = ChartState::default();
    let small = render((30, 6), &history, &chart, &theme());
    assert!(rows(&small)[1].starts_with("│t 4.02e5  c 3.00e5  s 1.02e5│"));
    assert!(!colours(&small).is_empty());
    let narrow = render((24, 6), &history, &chart, &theme());
    assert!(rows(&narrow)[1].starts_with("│t 4.02e5  c 3.00e5    │"));
    let tiny = render((3, 2), &history, &chart, &theme());
    assert_eq!(rows(&tiny), ["╭ ╮", "╰─╯"]);
}

#[test]
fn the_smoothness_is_drawn_when_asked_for() {
    let chart = ChartState {
        smoothness: true,
        ..ChartState::default()
    };
    let buffer = render((80, 12), &falling(50), &chart, &theme());
    assert!(text(&buffer).contains("smoothness 2.00e3"));
    assert!(colours(&buffer).contains(&Color::Green));
}

#[test]
fn the_cursor_shows_its_iteration() {
    let history = falling(500);
    let mut chart = ChartState::default();
    chart.move_cursor(-50, &history);
    assert_eq!(chart.cursor, Some(300));
    let buffer = render((60, 12), &history, &chart, &theme());
    assert!(rows(&buffer)[1].starts_with("│at 300  total 4.05e5  content 3.01e5"));
    let upright = (1..59).filter(|&x| (3..9).any(|y| x > 5 && buffer[(x, y)].symbol() == "│"));
    let columns: Vec<u16> = upright.collect();
    assert_eq!(columns.len(), 1);
    assert!((35..40).contains(&columns[0]), "{columns:?}");
}

#[test]
fn ascii_stays_ascii_and_no_colour_means_letters() {
    let mut history = falling(500);
    history.mark(200, Mark::Scale);
    history.mark(300, Mark::Change);
    let chart = ChartState {
        cursor: Some(250),
        ..ChartState::default()
    };
    let dots = render(
        (60, 12),
        &history,
        &chart,
        &Theme::new(Palette::default(), Colours::True, true),
    );
    assert!(text(&dots).is_ascii());
    let dot = |cell: &&ratatui::buffer::Cell| cell.symbol() == "." && cell.fg == Color::Magenta;
    assert!(dots.content().iter().filter(dot).count() > 5);
    let letters = render(
        (60, 12),
        &history,
        &chart,
        &Theme::new(Palette::default(), Colours::None, true),
    );
    let chart = rows(&letters)[3..9].concat();
    assert!(
        chart.contains("ccccc") && chart.contains("sssss"),
        "{chart}"
    );
    assert!(
        letters
            .content()
            .iter()
            .all(|cell| cell.fg == Color::Reset || cell.symbol() == " ")
    );
}

#[test]
fn flat_losses_are_in_the_middle() {
    for log in [true, false] {
        let chart = ChartState {
            log,
            ..ChartState::default()
        };
        let buffer = render((60, 13), &constant(50, 4e5), &chart, &theme());
        let dotted: Vec<usize> = rows(&buffer)
            .iter()
            .enumerate()
            .filter(|(_, row)| row.chars().any(|c| ('⠁'..='⣿').contains(&c)))
            .map(|(row, _)| row)
            .collect();
        assert_eq!(dotted.len(), 1, "{}", text(&buffer));
        assert!((5..=7).contains(&dotted[0]), "{}", text(&buffer));
    }
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let log = ChartState::default();
    let say = |history: &History| text(&render((40, 8), history, &log, &theme()));
    assert!(say(&History::default()).contains("no losses yet"));
    assert!(say(&constant(5, 0.0)).contains("nothing above zero to draw"));
    let linear = ChartState {
        log: false,
        ..log.clone()
    };
    let buffer = render((40, 8), &constant(5, f64::NAN), &linear, &theme());
    assert!(text(&buffer).contains("nothing finite to draw"));
    assert!(text(&buffer).contains("NaN"));
}

#[test]
fn no_size_and_no_value_breaks_it() {
    let mut wild = History::default();
    let values = [
        0.0,
        1e300,
        f64::NAN,
        f64::INFINITY,
        -1.0,
        5e-324,
        f64::MAX,
        1.0,
    ];
    for (iteration, value) in [0, 1, 2, 3, 40, 41, 5000, u32::MAX].into_iter().zip(values) {
        wild.push(Point {
            iteration,
            content: value,
            style: -value,
            smoothness: value / 3.0,
            total: value,
        });
        wild.mark(iteration, Mark::Change);
    }
    let histories = [
        History::default(),
        constant(1, 3e5),
        constant(9, 0.0),
        constant(9, 1e300),
        constant(9, 5e-324),
        falling(300),
        wild,
    ];
    for history in &histories {
        for (log, ascii) in [(true, false), (false, true)] {
            for (window, cursor) in [(None, None), (Some(0), Some(3)), (Some(20), Some(u32::MAX))] {
                let chart = ChartState {
                    log,
                    window,
                    smoothness: true,
                    cursor,
                };
                for width in (0..30).chain([90]) {
                    for height in 0..11 {
                        let theme = Theme::new(Palette::default(), Colours::True, ascii);
                        render((width, height), history, &chart, &theme);
                    }
                }
            }
        }
    }
}

#[test]
fn an_area_outside_the_screen_is_clipped() {
    let mut terminal = Terminal::new(TestBackend::new(20, 5)).unwrap();
    let (history, chart) = (falling(30), ChartState::default());
    for area in [Rect::new(10, 2, 40, 40), Rect::new(50, 50, 9, 9)] {
        terminal
            .draw(|frame| draw(frame, area, &history, &chart, &theme(), false))
            .unwrap();
    }
}

#[test]
fn the_window_is_halved_and_doubled_within_the_run() {
    let history = falling(500);
    let mut chart = ChartState::default();
    let mut windows = Vec::new();
    for _ in 0..6 {
        chart.zoom_in(&history);
        windows.extend(chart.window);
    }
    assert_eq!(windows, [250, 125, 62, 31, 20, 20]);
    assert_eq!(chart.range(&history), Some((481, 500)));
    for _ in 0..5 {
        chart.zoom_out(&history);
    }
    assert_eq!(chart.window, None);
    chart.toggle_window();
    assert_eq!(chart.range(&history), Some((301, 500)));
    chart.toggle_window();
    assert_eq!(chart.range(&history), Some((1, 500)));
    let mut chart = ChartState::default();
    chart.zoom_in(&falling(10));
    chart.zoom_in(&History::default());
    assert_eq!(chart.window, None);
}

#[test]
fn the_cursor_stays_in_the_run_and_in_sight() {
    let history = falling(500);
    let mut chart = ChartState {
        window: Some(100),
        ..ChartState::default()
    };
    for _ in 0..300 {
        chart.move_cursor(-1, &history);
        let cursor = chart.cursor.unwrap();
        let (first, last) = chart.range(&history).unwrap();
        assert!((first..=last).contains(&cursor) && last - first == 99);
    }
    assert_eq!(chart.cursor, Some(200));
    chart.move_cursor(i64::MIN, &history);
    assert_eq!(chart.cursor, Some(1));
    assert_eq!(chart.range(&history), Some((1, 100)));
    chart.move_cursor(1, &history);
    assert_eq!(chart.cursor, Some(2));
    chart.move_cursor(i64::MAX, &history);
    assert_eq!(chart.cursor, None);
    chart.move_cursor(-1, &History::default());
    assert_eq!(chart.cursor, None);
}

use std::thread::sleep;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::*;
use crate::tui::theme::Palette;

const RED: [u8; 3] = [255, 0, 0];
const BLUE: [u8; 3] = [0, 0, 255];

fn preview(iteration: u32, width: u32, height: u32, colour: [u8; 3]) -> Preview {
    Preview {
        iteration,
        width,
        height,
        rgb: colour.repeat((width * height) as usize),
    }
}

fn picture(width: u32, height: u32, colour: [u8; 3]) -> Picture {
    let rgb = colour.repeat((width * height) as usize);
    Picture::from_rgb8(width, height, &rgb).unwrap()
}

fn half_blocks() -> Pane {
    Pane::new(Graphics::HalfBlocks, None, Colours::True, false)
}

/// A pane with pixels whatever terminal the tests run in.
fn with_pixels(graphics: Graphics) -> Pane {
    Pane::new(graphics, Some((8, 16)), Colours::True, false)
}

/// A pane whose encoder always fails, as half-blocks cannot be encoded.
fn with_broken_pixels() -> Pane {
    let mut pane = half_blocks();
    let terminal = Capabilities::assumed(Graphics::HalfBlocks, Some((8, 16)));
    pane.pixels = Pixels::start(terminal, (8, 16));
    pane
}

fn draw(pane: &mut Pane, columns: u16, rows: u16, ascii: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let theme = Theme::new(Palette::default(), Colours::True, ascii);
    terminal
        .draw(|frame| pane.draw(frame, frame.area(), &theme, "painting"))
        .unwrap();
    terminal.backend().buffer().clone()
}

fn row(buffer: &Buffer, y: u16) -> String {
    (0..buffer.area.width)
        .map(|x| buffer[(x, y)].symbol())
        .collect()
}

fn wait_until_encoded(pane: &mut Pane) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !pane.is_fresh() {
        assert!(Instant::now() < deadline, "nothing was encoded");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_views_go_round() {
    for (has_masks, count) in [(false, 4), (true, 5)] {
        let mut shown = Shown::Painting;
        let mut seen = Vec::new();
        for _ in 0..count {
            seen.push(shown);
            shown = shown.next(has_masks);
        }
        assert_eq!(shown, Shown::Painting);
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}

#[test]
fn a_painting_is_drawn_inside_its_frame() {
    let mut pane = half_blocks();
    assert_eq!(pane.wanted_pixels(Rect::new(0, 0, 12, 6)), (10, 8));
    pane.set_painting(preview(1, 10, 8, RED));
    let buffer = draw(&mut pane, 12, 6, false);
    assert_eq!(row(&buffer, 0), "╭painting──╮");
    assert_eq!(row(&buffer, 1), "│▀▀▀▀▀▀▀▀▀▀│");
    assert_eq!(row(&buffer, 5), "╰──────────╯");
    assert_eq!(buffer[(10, 4)].fg, Color::Rgb(255, 0, 0));
    assert_eq!(buffer[(10, 4)].bg, Color::Rgb(255, 0, 0));
}

#[test]
fn ascii_draws_nothing_but_ascii_and_no_colour() {
    let mut pane = Pane::new(Graphics::Kitty, Some((8, 16)), Colours::True, true);
    assert!(!pane.shows_pixels());
    pane.set_painting(preview(1, 10, 8, [255; 3]));
    pane.set_content(PaneImage::of(&picture(10, 8, [0; 3])));
    pane.show(Shown::Split);
    let buffer = draw(&mut pane, 12, 6, true);
    assert_eq!(row(&buffer, 0), "+painting--+");
    assert_eq!(row(&buffer, 1), "|     |@@@@|");
    assert_eq!(buffer[(8, 1)].fg, Color::Reset);
}

#[test]
fn a_split_shows_content_left_and_painting_right() {
    let mut pane = half_blocks();
    pane.show(Shown::Split);
    pane.set_content(PaneImage::of(&picture(40, 32, BLUE)));
    pane.set_painting(preview(1, 10, 8, RED));
    let buffer = draw(&mut pane, 12, 6, false);
    assert_eq!(row(&buffer, 2), "│▀▀▀▀▀│▀▀▀▀│");
    assert_eq!(buffer[(5, 2)].fg, Color::Rgb(0, 0, 255));
    assert_eq!(buffer[(7, 2)].fg, Color::Rgb(255, 0, 0));
    assert_eq!(buffer[(6, 2)].bg, Color::Reset);
    // To the edges and beyond.
    pane.set_split(7.0);
    assert_eq!(pane.split(), 1.0);
    let buffer = draw(&mut pane, 12, 6, false);
    assert_eq!(row(&buffer, 2), "│▀▀▀▀▀▀▀▀▀▀│");
    assert_eq!(buffer[(10, 2)].fg, Color::Rgb(0, 0, 255));
    pane.set_split(f64::NAN);
    assert_eq!(pane.split(), 0.5);
    // One picture alone fills the pane.
    let mut pane = half_blocks();
    pane.show(Shown::Split);
    pane.set_content(PaneImage::of(&picture(40, 32, BLUE)));
    let buffer = draw(&mut pane, 12, 6, false);
    assert_eq!(row(&buffer, 2), "│▀▀▀▀▀▀▀▀▀▀│");
}

#[test]
fn only_what_is_shown_makes_it_fresh() {
    let mut pane = half_blocks();
    assert!(!pane.is_fresh());
    pane.set_painting(preview(1, 10, 8, RED));
    assert!(pane.is_fresh());
    draw(&mut pane, 12, 6, false);
    assert!(!pane.is_fresh());
    pane.set_style(PaneImage::of(&picture(4, 4, BLUE)));
    pane.set_split(0.2);
    assert!(!pane.is_fresh());
    pane.show(Shown::Style);
    assert!(pane.is_fresh());
    draw(&mut pane, 12, 6, false);
    pane.set_painting(preview(2, 10, 8, BLUE));
    assert!(!pane.is_fresh());
}

#[test]
fn an_empty_pane_says_so_and_bad_previews_are_ignored() {
    let mut pane = half_blocks();
    pane.set_painting(preview(1, 0, 0, RED));
    pane.set_painting(Preview {
        iteration: 1,
        width: 90,
        height: 90,
        rgb: vec![1, 2, 3],
    });
    let buffer = draw(&mut pane, 40, 5, false);
    assert!(row(&buffer, 2).contains("The painting will appear here"));
}

#[test]
fn large_pictures_are_kept_small() {
    let mut pane = half_blocks();
    pane.set_content(PaneImage::of(&picture(2000, 10, RED)));
    let kept = pane.content.as_ref().unwrap();
    assert_eq!(kept.dimensions(), (1024, 5));
}

#[test]
fn no_size_panics() {
    for graphics in [Graphics::HalfBlocks, Graphics::Kitty, Graphics::Sixel] {
        let mut pane = with_pixels(graphics);
        pane.set_painting(preview(1, 7, 5, RED));
        pane.set_content(PaneImage::of(&picture(3, 9, BLUE)));
        for columns in 1..20 {
            for rows in 1..20 {
                draw(&mut pane, columns, rows, columns % 2 == 0);
                let area = Rect::new(0, 0, columns, rows);
                let (width, height) = pane.wanted_pixels(area);
                assert!(width > 0 && height > 0);
                pane.show(pane.shown().next(false));
            }
        }
    }
}

#[test]
fn pixels_follow_as_soon_as_they_are_encoded() {
    for (graphics, begins) in [
        (Graphics::Kitty, "\u{1b}_Gq=2,i="),
        (Graphics::Iterm, "\u{1b}["),
        (Graphics::Sixel, "\u{1b}["),
    ] {
        let mut pane = with_pixels(graphics);
        assert_eq!(pane.wanted_pixels(Rect::new(0, 0, 12, 6)), (80, 64));
        pane.set_painting(preview(1, 80, 64, RED));
        // Half-blocks stand in for the first frame.
        let buffer = draw(&mut pane, 12, 6, false);
        assert_eq!(buffer[(1, 1)].symbol(), "▀");
        wait_until_encoded(&mut pane);
        let buffer = draw(&mut pane, 12, 6, false);
        let first = buffer[(1, 1)].symbol();
        assert!(first.starts_with(begins), "{graphics:?}: {first:.20}");
        assert!(!pane.is_fresh());
        assert!(pane.shows_pixels());
        // Covered, it is half-blocks again, and back at once.
        pane.use_pixels(false);
        assert_eq!(draw(&mut pane, 12, 6, false)[(1, 1)].symbol(), "▀");
        pane.use_pixels(true);
        assert_ne!(draw(&mut pane, 12, 6, false)[(1, 1)].symbol(), "▀");
    }
}

#[test]
fn the_latest_painting_wins() {
    let mut pane = with_pixels(Graphics::Kitty);
    for iteration in 1..50 {
        pane.set_painting(preview(iteration, 80, 64, RED));
        draw(&mut pane, 12, 6, false);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let shown = |pane: &Pane| {
        let pixels = pane.pixels.as_ref()?;
        pixels.encoded.as_ref().map(|encoded| encoded.version)
    };
    while shown(&pane) != Some(pane.version) {
        assert!(Instant::now() < deadline, "the last was never encoded");
        sleep(Duration::from_millis(1));
        draw(&mut pane, 12, 6, false);
    }
    assert!(!pane.is_fresh());
}

#[test]
fn where_pixels_fail_half_blocks_go_on() {
    let mut pane = with_broken_pixels();
    pane.set_painting(preview(1, 80, 64, RED));
    draw(&mut pane, 12, 6, false);
    let deadline = Instant::now() + Duration::from_secs(20);
    while pane.shows_pixels() {
        assert!(Instant::now() < deadline, "the failure went unseen");
        pane.is_fresh();
        sleep(Duration::from_millis(1));
    }
    assert_eq!(draw(&mut pane, 12, 6, false)[(1, 1)].symbol(), "▀");
    assert_eq!(pane.farewell(), "");
}

#[test]
fn without_the_size_of_a_cell_there_are_no_pixels() {
    let pane = Pane::new(Graphics::Sixel, None, Colours::True, false);
    assert!(!pane.shows_pixels());
    let pane = Pane::new(Graphics::Sixel, Some((0, 0)), Colours::True, false);
    assert!(!pane.shows_pixels());
}

#[test]
fn kitty_is_asked_to_free_both_pictures() {
    let pane = with_pixels(Graphics::Kitty);
    assert_eq!(pane.farewell().matches("a=d,d=I").count(), 2);
}

/// Draws frame after frame on one screen, as the dashboard does, and gives what
/// the last one would have written.
struct Screen {
    terminal: Terminal<TestBackend>,
    frames: Vec<Buffer>,
}

impl Screen {
    fn new() -> Self {
        let frames = vec![Buffer::empty(Rect::new(0, 0, 12, 6))];
        let terminal = Terminal::new(TestBackend::new(12, 6)).unwrap();
        Self { terminal, frames }
    }

    fn draw(&mut self, pane: &mut Pane) {
        let theme = Theme::new(Palette::default(), Colours::True, false);
        let frame = self
            .terminal
            .draw(|frame| pane.draw(frame, frame.area(), &theme, "x"))
            .unwrap();
        self.frames.push(frame.buffer.clone());
    }

    /// The cells that the last frame changed.
    fn sent(&self) -> Vec<&str> {
        let [.., before, after] = &self.frames[..] else {
            panic!("no frames");
        };
        before
            .diff(after)
            .into_iter()
            .map(|(_, _, cell)| cell.symbol())
            .collect()
    }

    fn draw_until_pixels(&mut self, pane: &mut Pane) {
        let deadline = Instant::now() + Duration::from_secs(20);
        self.draw(pane);
        while !pane.describe().ends_with("80×64") {
            assert!(Instant::now() < deadline, "nothing was encoded");
            sleep(Duration::from_millis(1));
            if pane.is_fresh() {
                self.draw(pane);
            }
        }
    }
}

#[test]
fn pictures_are_sent_again_when_they_must_and_only_then() {
    for graphics in [Graphics::Iterm, Graphics::Sixel, Graphics::Kitty] {
        let mut pane = with_pixels(graphics);
        pane.set_painting(preview(1, 80, 64, RED));
        let mut screen = Screen::new();
        screen.draw_until_pixels(&mut pane);
        assert!(screen.sent().iter().any(|cell| cell.len() > 100));
        // Kitty's first cell turns from picture to placeholder.
        screen.draw(&mut pane);
        assert!(screen.sent().len() <= usize::from(graphics == Graphics::Kitty));
        for _ in 0..3 {
            assert!(!pane.is_fresh());
            screen.draw(&mut pane);
            assert_eq!(screen.sent(), [""; 0], "{graphics:?}");
        }
        // Something covers it and goes away.
        pane.use_pixels(false);
        screen.draw(&mut pane);
        assert_eq!(screen.sent().len(), 40, "every cell is drawn over");
        assert_eq!(pane.describe(), "half-blocks");
        pane.use_pixels(true);
        assert!(pane.is_fresh());
        screen.draw(&mut pane);
        assert!(!screen.sent().is_empty());
        assert!(pane.describe().starts_with(graphics.name()));
        // The terminal lost it.
        pane.send_again();
        screen.draw_until_pixels(&mut pane);
        assert!(screen.sent().iter().any(|cell| cell.len() > 100));
    }
}

#[test]
fn the_terminal_s_answer_may_come_late() {
    let mut pane = half_blocks();
    pane.set_painting(preview(1, 80, 64, RED));
    let mut screen = Screen::new();
    screen.draw(&mut pane);
    assert_eq!(pane.describe(), "half-blocks");
    assert!(!pane.is_fresh());
    let answer = Capabilities::assumed(Graphics::Sixel, Some((8, 16)));
    pane.set_graphics(answer);
    assert!(pane.is_fresh());
    screen.draw_until_pixels(&mut pane);
    // The same once more changes nothing, a larger font does.
    pane.set_graphics(answer);
    pane.set_cell(Some((8, 16)));
    pane.set_cell(None);
    assert!(!pane.is_fresh());
    pane.set_cell(Some((16, 32)));
    assert!(pane.is_fresh());
    // kitty's pictures are freed even if it is no longer used.
    assert_eq!(pane.farewell(), "");
    pane.set_graphics(Capabilities {
        tmux: true,
        ..Capabilities::assumed(Graphics::Kitty, Some((8, 16)))
    });
    pane.set_graphics(Capabilities::assumed(Graphics::HalfBlocks, None));
    assert_eq!(
        pane.farewell().matches("\x1bPtmux;\x1b\x1b_Ga=d").count(),
        2
    );
    assert!(!pane.shows_pixels());
}

#[test]
fn over_a_slow_line_pixels_wait_until_the_picture_stands_still() {
    let mut pane = with_pixels(Graphics::Kitty);
    pane.set_painting(preview(1, 80, 64, RED));
    pane.set_content(PaneImage::of(&picture(10, 10, BLUE)));
    pane.set_live(true);
    assert!(pane.shows_pixels());
    pane.set_line(50e3, true);
    assert!(!pane.shows_pixels());
    assert_eq!(pane.wanted_pixels(Rect::new(0, 0, 12, 6)), (10, 8));
    let mut screen = Screen::new();
    screen.draw(&mut pane);
    assert!(!pane.is_fresh());
    // The content picture does not change.
    pane.show(Shown::Content);
    assert!(pane.shows_pixels());
    pane.show(Shown::Painting);
    screen.draw(&mut pane);
    assert!(!pane.is_fresh());
    pane.set_live(false);
    assert!(pane.shows_pixels() && pane.is_fresh());
    screen.draw_until_pixels(&mut pane);
    // And back to cells, with the newest painting.
    pane.set_live(true);
    assert!(pane.is_fresh());
    pane.set_painting(preview(2, 80, 64, BLUE));
    screen.draw(&mut pane);
    assert_eq!(pane.describe(), "half-blocks");
    // What is old does not come back when pixels do.
    pane.set_live(false);
    screen.draw(&mut pane);
    assert_eq!(pane.describe(), "half-blocks");
    screen.draw_until_pixels(&mut pane);
}

#[test]
fn the_user_s_choice_comes_first() {
    let mut pane = with_pixels(Graphics::Iterm);
    pane.set_painting(preview(1, 80, 64, RED));
    pane.set_live(true);
    pane.set_line(10e3, true);
    assert!(!pane.shows_pixels());
    pane.set_mode(Mode::Pixels);
    assert!(pane.shows_pixels());
    // An overlay comes before that.
    pane.use_pixels(false);
    assert!(!pane.shows_pixels());
    pane.use_pixels(true);
    // Few pixels are asked for and sent: ten kilobytes' worth in a second.
    let (width, height) = pane.wanted_pixels(Rect::new(0, 0, 102, 52));
    assert_eq!((width, height), (135, 135));
    pane.set_mode(Mode::Cells);
    pane.set_live(false);
    assert!(!pane.shows_pixels());
    assert_eq!(half_blocks().mode(), Mode::Auto);
}

#[test]
fn what_is_shown_can_be_had_for_the_full_screen() {
    let mut pane = half_blocks();
    assert_eq!(pane.picture(), None);
    pane.set_painting(preview(1, 10, 8, RED));
    assert_eq!(pane.picture().unwrap().dimensions(), (10, 8));
}

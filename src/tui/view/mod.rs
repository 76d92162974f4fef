//! State to screen. One file per pane.

pub mod layers;
pub mod losses;
pub mod overlay;
mod settings;
pub mod start;
pub(super) mod status;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Margin, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::app::{App, Pane, Phase};
use super::layout::{MIN, places};
use super::theme::Theme;
use crate::tui::pane::{Pane as PicturePane, Shown};

/// Draws the whole dashboard.
pub fn draw(frame: &mut Frame, app: &App, picture: &mut PicturePane, theme: &Theme) {
    let window = frame.area();
    let Some(places) = places(app, window) else {
        too_small(frame, "the dashboard", "Painting continues.", theme);
        return;
    };
    frame.buffer_mut().set_style(window, theme.base);
    status::draw(frame, places.status, app, theme);
    if !places.picture.is_empty() {
        draw_picture(frame, places.picture, app, picture, theme);
    }
    if !places.losses.is_empty() {
        let focused = app.focus == Pane::Losses;
        losses::draw(
            frame,
            places.losses,
            &app.history,
            &app.chart,
            theme,
            focused,
        );
    }
    if !places.layers.is_empty() {
        layers::draw(frame, places.layers, app, theme);
    }
    status::draw_footer(frame, places.footer, app, theme);
    overlay::draw(frame, window, app, theme);
}

/// A sentence where the window is too small for a screen, which says what
/// becomes of the painting.
pub(super) fn too_small(frame: &mut Frame, screen: &str, comfort: &str, theme: &Theme) {
    let window = frame.area();
    let times = if theme.ascii { "x" } else { "×" };
    let words = format!(
        "This window has {}{times}{} cells and {screen} needs {}{times}{}. {comfort}",
        window.width, window.height, MIN.0, MIN.1
    );
    let words = Paragraph::new(words)
        .wrap(Wrap { trim: true })
        .alignment(Alignment::Center);
    frame.render_widget(words, window);
}

/// The picture with its frame, which says how it is drawn; before there is
/// one, the steps of the preparation.
fn draw_picture(
    frame: &mut Frame,
    area: Rect,
    app: &App,
    picture: &mut PicturePane,
    theme: &Theme,
) {
    let border = if app.focus == Pane::Picture {
        theme.focus
    } else {
        theme.border
    };
    let title = match picture.shown() {
        Shown::Painting => " painting ",
        Shown::Content => " content ",
        Shown::Style => " style ",
        Shown::Split => " content | painting ",
        Shown::Masks => " masks ",
    };
    picture.draw(frame, area, &Theme { border, ..*theme }, title);
    let inside = area.inner(Margin::new(1, 1));
    if let (Phase::Preparing(steps), None, Shown::Painting) =
        (&app.phase, &app.step, picture.shown())
    {
        let lines = status::preparation(steps, app.clock, theme);
        let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let width = lines.iter().map(Line::width).max().unwrap_or(0);
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        let place = inside.centered(Constraint::Length(width), Constraint::Length(height));
        frame.render_widget(Clear, inside);
        frame.buffer_mut().set_style(inside, theme.base);
        frame.render_widget(Paragraph::new(lines), place);
    }
    let words = format!(" {}, {} ", app.drawn_as, rate(app.bytes_per_second));
    let wide = u16::try_from(Line::raw(words.as_str()).width()).unwrap_or(u16::MAX);
    if wide + 4 <= area.width && !app.drawn_as.is_empty() {
        let x = area.right() - wide - 2;
        let place = Rect::new(x, area.bottom() - 1, wide, 1);
        frame.render_widget(Line::styled(words, theme.dim), place);
    }
}

/// Bytes a second in a few characters.
fn rate(bytes: f64) -> String {
    match bytes {
        0.0..1e3 => format!("{bytes:.0} B/s"),
        1e3..1e6 => format!("{:.0} kB/s", bytes / 1e3),
        _ => format!("{:.1} MB/s", bytes / 1e6),
    }
}

/// What stands below the picture in full screen.
pub fn full_screen_words(app: &App, shown: Shown) -> String {
    let mut words = format!(" {shown}");
    if let (Some(step), Shown::Painting | Shown::Split) = (&app.step, shown) {
        words += &format!(" at {} of {}", step.iteration, app.iterations());
    }
    words + "   v back   n next picture   space as it is now"
}

/// A pane's frame.
pub(super) fn framed<'a>(title: &'a str, focused: bool, theme: &Theme) -> Block<'a> {
    let kind = if focused { theme.focus } else { theme.border };
    Block::bordered()
        .border_set(theme.frame())
        .border_style(kind)
        .title(title)
        .title_style(theme.title)
}

/// The style of a part of the total.
fn part_style(part: super::app::Part, theme: &Theme) -> Style {
    use super::app::Part;
    match part {
        Part::Content => theme.content,
        Part::Style => theme.style,
        Part::Smoothness => theme.smoothness,
    }
}

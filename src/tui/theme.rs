//! Named colours: the only place where the dashboard says what colour a thing
//! has.

use impasto_graphics::terminal::Colours;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

use self::palette::{Paint, Paints};

mod palette;

pub use palette::Palette;

/// How the parts of the dashboard look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The ground that everything stands on, for the whole window and for what
    /// is drawn over it. Empty where the terminal's own ground is kept; no
    /// other style here sets a ground but `selected` and `gauge`.
    pub base: Style,
    /// Ordinary words.
    pub text: Style,
    /// Words that may be overlooked.
    pub dim: Style,
    /// A pane's title.
    pub title: Style,
    /// A pane's frame.
    pub border: Style,
    /// The frame of the pane that keys go to.
    pub focus: Style,
    /// The row that keys act on.
    pub selected: Style,
    /// A key that can be pressed.
    pub key: Style,
    /// A weight that differs from its preset.
    pub edited: Style,
    /// A bar that fills: what is done in the foreground, what is left behind it.
    pub gauge: Style,
    /// The three losses and their total, wherever they are drawn.
    pub content: Style,
    pub style: Style,
    pub smoothness: Style,
    pub total: Style,
    /// A mark in the chart: a scale began, a weight changed.
    pub mark: Style,
    pub good: Style,
    pub warning: Style,
    pub error: Style,
    /// Whether to draw with ASCII characters alone.
    pub ascii: bool,
}

const PLAIN: Style = Style::new();
const DIM: Style = PLAIN.add_modifier(Modifier::DIM);
const BOLD: Style = PLAIN.add_modifier(Modifier::BOLD);
const REVERSED: Style = PLAIN.add_modifier(Modifier::REVERSED);
const UNDERLINED: Style = PLAIN.add_modifier(Modifier::UNDERLINED);

impl Theme {
    /// The theme for a terminal of so many colours. With fewer than 256 there
    /// is no painting one's own: of 16 the user's are taken, and without any,
    /// weight and underlines distinguish things.
    pub fn new(palette: Palette, colours: Colours, ascii: bool) -> Self {
        let theme = match (colours, palette, palette.paints()) {
            (Colours::None, ..) | (_, Palette::Mono, _) => Self::mono(),
            (Colours::True, _, Some(paints)) => Self::painted(paints, Paint::rgb),
            (Colours::Indexed, _, Some(paints)) => Self::painted(paints, Paint::indexed),
            _ => Self::named(),
        };
        Self { ascii, ..theme }
    }

    /// Without colours.
    fn mono() -> Self {
        Self {
            base: PLAIN,
            text: PLAIN,
            dim: DIM,
            title: BOLD,
            border: DIM,
            focus: BOLD,
            selected: REVERSED,
            key: BOLD,
            edited: BOLD,
            gauge: PLAIN,
            content: PLAIN,
            style: PLAIN,
            smoothness: PLAIN,
            total: BOLD,
            mark: DIM,
            good: PLAIN,
            warning: UNDERLINED,
            error: UNDERLINED.add_modifier(Modifier::BOLD),
            ascii: false,
        }
    }

    /// In the 16 named colours. The user's own palette defines them, so they
    /// suit every terminal and every ground.
    fn named() -> Self {
        Self {
            focus: BOLD.fg(Color::Yellow),
            key: BOLD.fg(Color::Yellow),
            edited: PLAIN.fg(Color::Yellow),
            gauge: PLAIN.fg(Color::Yellow),
            content: PLAIN.fg(Color::Cyan),
            style: PLAIN.fg(Color::Magenta),
            smoothness: PLAIN.fg(Color::Green),
            good: PLAIN.fg(Color::Green),
            warning: PLAIN.fg(Color::Yellow),
            error: BOLD.fg(Color::Red),
            ..Self::mono()
        }
    }

    /// In a palette's own paints, ground and all.
    fn painted(paints: &Paints, colour: fn(Paint) -> Color) -> Self {
        let on = |(paint, ground)| PLAIN.fg(colour(paint)).bg(colour(ground));
        let fg = |paint| PLAIN.fg(colour(paint));
        let bold = |paint| BOLD.fg(colour(paint));
        Self {
            base: on((paints.text, paints.ground)),
            text: fg(paints.text),
            dim: fg(paints.dim),
            title: bold(paints.text),
            border: fg(paints.border),
            focus: bold(paints.accent),
            selected: on(paints.selected).add_modifier(Modifier::BOLD),
            key: bold(paints.accent),
            edited: fg(paints.edited),
            gauge: on(paints.gauge),
            content: fg(paints.content),
            style: fg(paints.style),
            smoothness: fg(paints.smoothness),
            total: bold(paints.text),
            mark: fg(paints.dim),
            good: fg(paints.good),
            warning: fg(paints.warning),
            error: bold(paints.error),
            ascii: false,
        }
    }

    /// The lines around a pane.
    pub fn frame(&self) -> border::Set<'static> {
        if self.ascii {
            ASCII_FRAME
        } else {
            border::ROUNDED
        }
    }
}

const ASCII_FRAME: border::Set = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    const COLOURS: [Colours; 4] = [
        Colours::True,
        Colours::Indexed,
        Colours::Sixteen,
        Colours::None,
    ];

    /// Every theme there is.
    fn themes() -> impl Iterator<Item = (String, Theme)> {
        Palette::value_variants().iter().flat_map(|&palette| {
            COLOURS.into_iter().flat_map(move |colours| {
                [false, true].map(|ascii| {
                    let name = format!("{palette}, {colours:?}, ascii {ascii}");
                    (name, Theme::new(palette, colours, ascii))
                })
            })
        })
    }

    /// Every style in which words are written.
    fn words(theme: &Theme) -> [Style; 16] {
        [
            theme.text,
            theme.dim,
            theme.title,
            theme.focus,
            theme.selected,
            theme.key,
            theme.edited,
            theme.gauge,
            theme.content,
            theme.style,
            theme.smoothness,
            theme.total,
            theme.mark,
            theme.good,
            theme.warning,
            theme.error,
        ]
    }

    /// The red, green and blue of a colour that does not depend on the terminal.
    fn channels(colour: Color) -> [u8; 3] {
        let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
        match colour {
            Color::Rgb(red, green, blue) => [red, green, blue],
            Color::Indexed(grey @ 232..) => [8 + 10 * (grey - 232); 3],
            Color::Indexed(index @ 16..) => {
                let cube = index - 16;
                [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
            }
            _ => panic!("{colour} is the user's"),
        }
    }

    /// The relative luminance of a colour, from 0 to 1.
    fn luminance(colour: Color) -> f64 {
        let linear = channels(colour).map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    /// The contrast of two colours as web pages measure it, from 1 to 21.
    fn contrast(a: Color, b: Color) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn what_must_be_distinguished_is() {
        for (name, theme) in themes() {
            for (what, other) in [
                (theme.focus, theme.border),
                (theme.selected, theme.text),
                (theme.error, theme.text),
                (theme.warning, theme.text),
                (theme.error, theme.warning),
                (theme.error, theme.selected),
                (theme.error, theme.good),
                (theme.edited, theme.text),
                (theme.key, theme.dim),
                (theme.dim, theme.text),
                (theme.title, theme.text),
            ] {
                // Laid over the ground, as they are drawn.
                let [what, other] = [what, other].map(|style| theme.base.patch(style));
                assert_ne!(what, other, "{name}");
            }
            let losses = [theme.content, theme.style, theme.smoothness];
            if losses.iter().all(|style| style.fg.is_some()) {
                let mut colours = losses.map(|style| style.fg);
                colours.sort_by_key(|colour| format!("{colour:?}"));
                assert!(colours.windows(2).all(|two| two[0] != two[1]), "{name}");
            }
        }
    }

    #[test]
    fn painted_words_can_be_read() {
        for (name, theme) in themes() {
            let (Some(text), Some(ground)) = (theme.base.fg, theme.base.bg) else {
                continue;
            };
            for style in words(&theme) {
                let fg = style.fg.unwrap_or(text);
                let bg = style.bg.unwrap_or(ground);
                let contrast = contrast(fg, bg);
                assert!(contrast >= 4.5, "{name}: {fg} on {bg} has {contrast:.2}");
            }
            // What is no word may be fainter.
            for faint in [theme.border.fg, theme.selected.bg] {
                let contrast = contrast(faint.expect("a colour"), ground);
                assert!(contrast >= 1.8, "{name}: {faint:?} has {contrast:.2}");
            }
        }
    }

    #[test]
    fn only_palettes_of_their_own_paint_the_ground() {
        for (name, theme) in themes() {
            let painted = theme.base.bg.is_some();
            let own = !name.starts_with("terminal") && !name.starts_with("mono");
            let many = name.contains("True") || name.contains("Indexed");
            assert_eq!(painted, own && many, "{name}");
            assert_eq!(theme.base.fg.is_some(), painted, "{name}");
            for style in [theme.text, theme.border, theme.focus, theme.error] {
                assert_eq!(style.bg, None, "{name}: nothing else brings a ground");
            }
        }
    }

    #[test]
    fn colours_are_those_the_terminal_has() {
        for (name, theme) in themes() {
            let styles = words(&theme).into_iter().chain([theme.base, theme.border]);
            for colour in styles.flat_map(|style| [style.fg, style.bg]).flatten() {
                match colour {
                    Color::Rgb(..) => assert!(name.contains("True"), "{name}"),
                    Color::Indexed(index) => {
                        assert!(name.contains("Indexed") && index >= 16, "{name}");
                    }
                    _ => assert!(!name.contains("None"), "{name}"),
                }
            }
        }
        for &palette in Palette::value_variants() {
            let of_none = Theme::new(palette, Colours::None, false);
            assert_eq!(of_none, Theme::new(Palette::Mono, Colours::True, false));
        }
        let own = Theme::new(Palette::Terminal, Colours::True, true);
        assert_eq!(own, Theme::new(Palette::Umber, Colours::Sixteen, true));
    }

    /// A colour picked by hand for 256 colours is not another colour.
    #[test]
    fn picked_colours_come_near() {
        for &palette in Palette::value_variants() {
            let [full, few] = [Colours::True, Colours::Indexed]
                .map(|colours| Theme::new(palette, colours, false));
            if full.base.bg.is_none() {
                continue;
            }
            let all = |theme| words(theme).into_iter().chain([theme.base, theme.border]);
            for (full, few) in all(&full).zip(all(&few)) {
                for (full, few) in [(full.fg, few.fg), (full.bg, few.bg)] {
                    let (Some(full), Some(few)) = (full, few) else {
                        continue;
                    };
                    let (a, b) = (channels(full), channels(few));
                    let farthest = a.iter().zip(b).map(|(a, b)| a.abs_diff(b)).max();
                    assert!(farthest <= Some(62), "{palette}: {full} is not {few}");
                }
            }
        }
    }
}

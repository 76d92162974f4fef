//! The palettes to choose from, and the paints of those that have their own.

use std::fmt;

use clap::ValueEnum;
use ratatui::style::Color;

/// A set of colours to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Palette {
    /// The terminal's own 16 colours and background.
    #[default]
    Terminal,
    /// Ochre and rose on deep blue.
    Ultramarine,
    /// Earth tones and some blue on warm dark brown.
    Umber,
    /// Copper on dark green.
    Verdigris,
    /// Inks on a light background.
    Linen,
    /// No colours: bold and underlined text.
    Mono,
}

impl Palette {
    /// The palette after this one; after the last comes the first.
    #[must_use]
    pub fn next(self) -> Self {
        let all = Self::value_variants().iter().copied();
        { all }
            .cycle()
            .skip_while(|palette| *palette != self)
            .nth(1)
            .unwrap_or_default()
    }

    /// The paints of a palette that has its own.
    pub(super) fn paints(self) -> Option<&'static Paints> {
        match self {
            Self::Terminal | Self::Mono => None,
            Self::Ultramarine => Some(&ULTRAMARINE),
            Self::Umber => Some(&UMBER),
            Self::Verdigris => Some(&VERDIGRIS),
            Self::Linen => Some(&LINEN),
        }
    }
}

impl fmt::Display for Palette {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value()
            .map_or(Ok(()), |value| out.pad(value.get_name()))
    }
}

/// One colour: as 0xRRGGBB, and as the one that comes nearest to the eye among
/// the 240 that terminals of 256 colours have alike (the first 16 are the
/// user's). It is picked by hand, since the nearest number is often a grey.
#[derive(Clone, Copy)]
pub(super) struct Paint(u32, u8);

impl Paint {
    pub(super) fn rgb(self) -> Color {
        Color::from_u32(self.0)
    }

    pub(super) fn indexed(self) -> Color {
        Color::Indexed(self.1)
    }
}

/// The paints of a palette. Words and what they stand on have a contrast of at
/// least 4.5 to 1; the three losses differ in lightness as well as in hue, for
/// eyes that see red and green alike.
pub(super) struct Paints {
    pub ground: Paint,
    pub text: Paint,
    pub dim: Paint,
    pub border: Paint,
    pub accent: Paint,
    pub edited: Paint,
    pub content: Paint,
    pub style: Paint,
    pub smoothness: Paint,
    pub good: Paint,
    pub warning: Paint,
    pub error: Paint,
    /// The words, and what they stand on.
    pub selected: (Paint, Paint),
    /// The part that is filled, and the part that is not.
    pub gauge: (Paint, Paint),
}

const ULTRAMARINE: Paints = Paints {
    ground: Paint(0x10152b, 234),
    text: Paint(0xdcdff0, 254),
    dim: Paint(0x8f98bb, 103),
    border: Paint(0x4a5688, 60),
    accent: Paint(0xe6ac3f, 179),
    edited: Paint(0xf5a15b, 215),
    content: Paint(0x6fb4ff, 75),
    style: Paint(0xf0709a, 204),
    smoothness: Paint(0xa6e3b5, 151),
    good: Paint(0x8fdcb0, 115),
    warning: Paint(0xf3cf6b, 221),
    error: Paint(0xff7a63, 209),
    selected: (Paint(0xffffff, 231), Paint(0x2d3f8f, 25)),
    gauge: (Paint(0x8fa6ff, 111), Paint(0x1f2850, 236)),
};

const UMBER: Paints = Paints {
    ground: Paint(0x1b1410, 234),
    text: Paint(0xebdfcd, 254),
    dim: Paint(0xa6937e, 137),
    border: Paint(0x66513f, 240),
    accent: Paint(0xdda63f, 179),
    edited: Paint(0xe89c5c, 216),
    content: Paint(0x86bcd6, 110),
    style: Paint(0xe0786c, 174),
    smoothness: Paint(0xc8d69a, 187),
    good: Paint(0xbcc98a, 150),
    warning: Paint(0xf0cd72, 222),
    error: Paint(0xff7d5e, 209),
    selected: (Paint(0xfff4e2, 230), Paint(0x5b3c22, 94)),
    gauge: (Paint(0xdda63f, 179), Paint(0x35281e, 236)),
};

const VERDIGRIS: Paints = Paints {
    ground: Paint(0x0c1a18, 234),
    text: Paint(0xd7e6df, 254),
    dim: Paint(0x86a39a, 109),
    border: Paint(0x3f6259, 240),
    accent: Paint(0xe8a06c, 180),
    edited: Paint(0xf2b27a, 216),
    content: Paint(0x74bdf0, 75),
    style: Paint(0xf0788f, 204),
    smoothness: Paint(0xcfe284, 186),
    good: Paint(0x5fd3a8, 79),
    warning: Paint(0xf0cf70, 221),
    error: Paint(0xff7b66, 209),
    selected: (Paint(0xf4fffa, 231), Paint(0x1d5a4e, 23)),
    gauge: (Paint(0x4fc4a4, 79), Paint(0x16302b, 236)),
};

const LINEN: Paints = Paints {
    ground: Paint(0xf6f0e4, 255),
    text: Paint(0x2a2521, 235),
    dim: Paint(0x6a6055, 241),
    border: Paint(0xa89b87, 247),
    accent: Paint(0x2a46b0, 25),
    edited: Paint(0x8d4508, 94),
    content: Paint(0x1f58b0, 25),
    style: Paint(0x8a1246, 89),
    smoothness: Paint(0x577600, 58),
    good: Paint(0x2c6e3a, 22),
    warning: Paint(0x875400, 94),
    error: Paint(0xb8231a, 124),
    selected: (Paint(0xfdfaf3, 231), Paint(0x2a46b0, 25)),
    gauge: (Paint(0x2a46b0, 24), Paint(0xe2d9c6, 253)),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_are_named_and_gone_through() {
        for palette in Palette::value_variants() {
            let name = palette.to_string();
            assert_eq!(Palette::from_str(&name, false), Ok(*palette));
        }
        let mut palette = Palette::default();
        for expected in Palette::value_variants() {
            assert_eq!(palette, *expected);
            palette = palette.next();
        }
        assert_eq!(palette, Palette::Terminal);
    }
}

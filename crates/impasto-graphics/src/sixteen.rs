//! Pictures in the sixteen colours of a terminal that has no more.
//!
//! What these look like is the user's choice; taken for granted are the values
//! that xterm has. They lie so far apart that most colours have to be mixed,
//! and not every mixture is worth its noise.

use std::sync::LazyLock;

use ratatui::style::Color;

use super::palette::PATTERN;

const PALETTE: [[u8; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];
const COLOURS: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];
/// A mixture has so many parts, as many as the pattern has places.
const PARTS: u8 = 16;
/// How much the contrast within a mixture counts against being off the colour:
/// 1 would mix nothing, 0 would mix anything.
const NOISE: f32 = 0.05;
/// How much a difference in hue counts against one in lightness.
const HUE: f32 = 2.0;
/// Bits of a channel that the choice goes by.
const BITS: u32 = 4;

/// `parts` of 16 of the second colour, the rest of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mixture {
    first: u8,
    second: u8,
    parts: u8,
}

/// The best mixture for every colour, by the first bits of its channels.
static MIXTURES: LazyLock<Vec<Mixture>> = LazyLock::new(|| {
    let candidates = candidates();
    let steps = 1_usize << BITS;
    let value = |step: usize| (step * 255 / (steps - 1)) as f32 / 255.0;
    (0..steps * steps * steps)
        .map(|index| {
            let steps = [index >> (2 * BITS), index >> BITS, index].map(|one| one % steps);
            best(&candidates, oklab(steps.map(|step| linear(value(step)))))
        })
        .collect()
});

/// The number, 0..=15, of the colour for a pixel at a place in the picture.
pub(super) fn dithered(rgb: [u8; 3], x: u16, y: u16) -> u8 {
    let most = (1 << BITS) - 1;
    let [red, green, blue] = rgb.map(|part| (usize::from(part) * most + 127) / 255);
    // Each is below 16, as the table has it.
    let mixture = MIXTURES[(red << (2 * BITS)) + (green << BITS) + blue];
    let threshold = PATTERN[usize::from(y % 4)][usize::from(x % 4)];
    if i32::from(mixture.parts) > threshold {
        mixture.second
    } else {
        mixture.first
    }
}

/// The colour of that number, in the theme's terms.
pub(super) fn colour(number: u8) -> Color {
    COLOURS[usize::from(number % 16)]
}

/// The number of one of those colours; none for the terminal's own.
pub(super) fn number(colour: Color) -> Option<usize> {
    COLOURS.iter().position(|one| *one == colour)
}

/// What to draw for a cell of two pixels: the character, and the numbers of its
/// foreground and background. Some terminals have no bright backgrounds, so a
/// bright colour goes to the front where that is possible.
pub(super) fn cell(top: u8, bottom: u8) -> (&'static str, u8, u8) {
    if top == bottom {
        ("█", top, top % 8)
    } else if bottom >= 8 && top < 8 {
        ("▄", bottom, top)
    } else {
        ("▀", top, bottom)
    }
}

/// A mixture, the colour that it looks like, and its contrast squared.
struct Candidate {
    mixture: Mixture,
    looks: [f32; 3],
    contrast: f32,
}

fn candidates() -> Vec<Candidate> {
    let palette = PALETTE.map(|rgb| rgb.map(|part| linear(f32::from(part) / 255.0)));
    let mut candidates = Vec::new();
    for first in 0..16 {
        for second in first..16 {
            let (one, other) = (palette[first], palette[second]);
            let distance = contrast(oklab(one), oklab(other));
            let parts = if first == second { 1 } else { PARTS };
            for parts in 0..parts {
                let share = f32::from(parts) / f32::from(PARTS);
                // Light is what mixes in the eye.
                let light = [0, 1, 2].map(|c| one[c] + share * (other[c] - one[c]));
                candidates.push(Candidate {
                    mixture: Mixture {
                        first: first as u8,
                        second: second as u8,
                        parts,
                    },
                    looks: oklab(light),
                    contrast: share * (1.0 - share) * distance,
                });
            }
        }
    }
    candidates
}

fn best(candidates: &[Candidate], colour: [f32; 3]) -> Mixture {
    let cost = |one: &Candidate| squared(one.looks, colour) + NOISE * one.contrast;
    let mut best = (
        f32::INFINITY,
        Mixture {
            first: 0,
            second: 0,
            parts: 0,
        },
    );
    for one in candidates {
        let cost = cost(one);
        if cost < best.0 {
            best = (cost, one.mixture);
        }
    }
    best.1
}

/// The difference of two colours side by side, squared. Specks of another hue
/// disturb more than specks of another lightness.
fn contrast(a: [f32; 3], b: [f32; 3]) -> f32 {
    let lightness = (a[0] - b[0]) * (a[0] - b[0]);
    lightness + HUE * (squared(a, b) - lightness)
}

fn squared(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|c| (a[c] - b[c]) * (a[c] - b[c])).sum()
}

/// sRGB's curve undone: a value in 0..1 as light.
fn linear(value: f32) -> f32 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// Linear RGB in Björn Ottosson's Oklab, where equal distances look equal.
fn oklab([red, green, blue]: [f32; 3]) -> [f32; 3] {
    let long = (0.412_221_47 * red + 0.536_332_54 * green + 0.051_445_993 * blue).cbrt();
    let medium = (0.211_903_5 * red + 0.680_699_5 * green + 0.107_396_96 * blue).cbrt();
    let short = (0.088_302_46 * red + 0.281_718_85 * green + 0.629_978_7 * blue).cbrt();
    [
        0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short,
        1.977_998_5 * long - 2.428_592_2 * medium + 0.450_593_7 * short,
        0.025_904_037 * long + 0.782_771_77 * medium - 0.808_675_77 * short,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> impl Iterator<Item = (u16, u16)> {
        (0..16).map(|place| (place % 4, place / 4))
    }

    /// The average light of a colour as drawn, in Oklab.
    fn average(rgb: [u8; 3]) -> [f32; 3] {
        let mut light = [0.0; 3];
        for (x, y) in places() {
            let shown = PALETTE[usize::from(dithered(rgb, x, y))];
            for c in 0..3 {
                light[c] += linear(f32::from(shown[c]) / 255.0) / 16.0;
            }
        }
        oklab(light)
    }

    #[test]
    fn each_of_the_sixteen_is_mostly_itself() {
        for (number, rgb) in PALETTE.iter().enumerate() {
            let same = places().filter(|(x, y)| usize::from(dithered(*rgb, *x, *y)) == number);
            // xterm's bright blue lies between two steps of the table.
            assert!(same.count() >= 12, "{number}");
        }
        for number in [0, 9, 10, 11, 13, 14, 15] {
            let rgb = PALETTE[number];
            assert!(places().all(|(x, y)| usize::from(dithered(rgb, x, y)) == number));
        }
    }

    #[test]
    fn mixing_comes_nearer_to_a_colour_than_one_alone() {
        let (mut mixed, mut single) = (0.0, 0.0);
        for value in 0..512_u32 {
            let rgb = [value / 64, value / 8 % 8, value % 8].map(|step| (step * 36) as u8);
            let wanted = oklab(rgb.map(|part| linear(f32::from(part) / 255.0)));
            mixed += squared(average(rgb), wanted).sqrt();
            single += PALETTE
                .iter()
                .map(|one| oklab(one.map(|part| linear(f32::from(part) / 255.0))))
                .map(|one| squared(one, wanted).sqrt())
                .fold(f32::INFINITY, f32::min);
        }
        assert!(1.5 * mixed < single, "{mixed} against {single}");
    }

    #[test]
    fn greys_are_mixed_of_greys_and_get_lighter() {
        let mut last = -1.0;
        for grey in (0..=255).step_by(15) {
            for (x, y) in places() {
                let number = dithered([grey; 3], x, y);
                assert!([0, 7, 8, 15].contains(&number), "{grey}: {number}");
            }
            let light = average([grey; 3])[0];
            assert!(light >= last - 0.02, "{grey}: {light} after {last}");
            last = light;
        }
    }

    #[test]
    fn oklab_is_ottosson_s() {
        let near = |a: [f32; 3], b: [f32; 3]| squared(a, b) < 1e-6;
        assert!(near(oklab([1.0, 1.0, 1.0]), [1.0, 0.0, 0.0]));
        assert!(near(
            oklab([1.0, 0.0, 0.0]),
            [0.627_955, 0.224_863, 0.125_846]
        ));
        assert!(near(
            oklab([0.0, 0.0, 1.0]),
            [0.452_014, -0.032_457, -0.311_528]
        ));
    }

    #[test]
    fn bright_colours_are_in_front() {
        assert_eq!(cell(1, 12), ("▄", 12, 1));
        assert_eq!(cell(12, 1), ("▀", 12, 1));
        assert_eq!(cell(2, 3), ("▀", 2, 3));
        assert_eq!(cell(9, 9), ("█", 9, 1));
    }
}

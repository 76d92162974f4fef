//! The 256 colours that terminals have alike, and how to come near to others
//! with them.

/// Two of the 256 colours farther apart than this are not mixed: in pixels as
/// large as half a cell that looks like noise.
const FARTHEST_MIX: i32 = 100;
/// A fixed order in which the places of a mixture turn from one colour to the
/// other; being fixed, it does not flicker from one picture to the next.
pub(super) const PATTERN: [[i32; 4]; 4] =
    [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// The index among the 256 colours for a pixel at a place in the picture.
/// Where the colour lies between two of them, [`PATTERN`] mixes the two.
pub(super) fn dithered(rgb: [u8; 3], x: u16, y: u16) -> u8 {
    let colour = rgb.map(i32::from);
    let first = nearest(colour);
    let near = entry(first);
    let error = sum(colour, near, -1);
    // The next colour in the direction of the error, near or far.
    let second = [2, 4, 8]
        .map(|reach| nearest(sum(near, error, reach)))
        .into_iter()
        .find(|&second| second != first);
    let Some(second) = second else {
        return first;
    };
    let way = sum(entry(second), near, -1);
    let dot = |a: [i32; 3], b: [i32; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    if dot(way, way) > FARTHEST_MIX * FARTHEST_MIX {
        return first;
    }
    // Mix so that the average is as near to the colour as the two allow.
    let threshold = 2 * PATTERN[usize::from(y % 4)][usize::from(x % 4)] + 1;
    if 32 * dot(error, way) > threshold * dot(way, way) {
        second
    } else {
        first
    }
}

fn sum(a: [i32; 3], b: [i32; 3], times: i32) -> [i32; 3] {
    [
        a[0] + times * b[0],
        a[1] + times * b[1],
        a[2] + times * b[2],
    ]
}

/// The nearest of the 240 colours that every terminal has alike: a cube of
/// 6 × 6 × 6 from index 16 on, and 24 greys from 232 on.
fn nearest(rgb: [i32; 3]) -> u8 {
    let step = |value: i32| match value {
        ..48 => 0,
        48..115 => 1,
        115.. => ((value - 35) / 40).min(5),
    };
    let cube = 16 + 36 * step(rgb[0]) + 6 * step(rgb[1]) + step(rgb[2]);
    let grey = 232
        + ((rgb[0] + rgb[1] + rgb[2]) / 3 - 3)
            .div_euclid(10)
            .clamp(0, 23);
    let distance = |index: u8| {
        let difference = sum(rgb, entry(index), -1);
        difference.iter().map(|part| part * part).sum::<i32>()
    };
    // Both lie in 16..=255.
    let (cube, grey) = (cube as u8, grey as u8);
    if distance(grey) < distance(cube) {
        grey
    } else {
        cube
    }
}

/// The colour of an index from 16 on.
fn entry(index: u8) -> [i32; 3] {
    let index = i32::from(index);
    if index >= 232 {
        return [8 + 10 * (index - 232); 3];
    }
    let level = |step: i32| if step == 0 { 0 } else { 55 + 40 * step };
    let cube = (index - 16).max(0);
    [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_the_256_colours_is_nearest_to_itself() {
        for index in 16..=255 {
            let colour = entry(index);
            // Some greys are in the cube as well.
            assert_eq!(entry(nearest(colour)), colour, "{index}");
            let rgb = colour.map(|part| part as u8);
            for place in 0..16 {
                let shown = dithered(rgb, place % 4, place / 4);
                assert_eq!(entry(shown), colour, "{index}");
            }
        }
    }

    #[test]
    fn nearest_is_what_a_search_finds() {
        for value in 0..4096 {
            let rgb = [value / 256 * 17, value / 16 % 16 * 17, value % 16 * 17];
            let distance = |index| {
                let difference = sum(rgb, entry(index), -1);
                difference.map(|part| part * part).iter().sum::<i32>()
            };
            let least = (16..=255).map(distance).min();
            assert_eq!(Some(distance(nearest(rgb))), least, "{rgb:?}");
        }
    }

    #[test]
    fn mixing_comes_nearer_to_a_colour_than_one_index_alone() {
        // The average over the pattern, against the single nearest colour.
        let (mut mixed, mut single) = (0, 0);
        for value in 0..512 {
            let rgb = [value / 64 * 36, value / 8 % 8 * 36, value % 8 * 36];
            let average = (0..16)
                .map(|place| entry(dithered(rgb.map(|part| part as u8), place % 4, place / 4)))
                .fold([0; 3], |total, colour| sum(total, colour, 1))
                .map(|part| part / 16);
            let off = |colour| {
                sum(rgb, colour, -1)
                    .iter()
                    .map(|part| part.abs())
                    .sum::<i32>()
            };
            mixed += off(average);
            single += off(entry(nearest(rgb)));
        }
        assert!(3 * mixed < 2 * single, "{mixed} against {single}");
    }
}

//! Masks made visible: the content, with each style's region in a colour of its own.

use super::Picture;

/// The colours of the regions, in the order of the styles: easy to tell apart, also with
/// the common kinds of colour blindness (Okabe & Ito 2008).
pub const COLOURS: [[f32; 3]; 6] = [
    [0.90, 0.62, 0.00],
    [0.34, 0.71, 0.91],
    [0.00, 0.62, 0.45],
    [0.94, 0.89, 0.26],
    [0.80, 0.47, 0.65],
    [0.84, 0.37, 0.00],
];
/// How much of a region's colour is seen.
const SHARE: f32 = 0.55;

/// The content with the region of each mask, given with the number of its style from 1, in
/// the style's colour.
#[must_use]
pub fn show_regions(content: &Picture, masks: &[(&Picture, usize)]) -> Picture {
    let (width, height) = content.size();
    let mut pixels = content.pixels().to_vec();
    for (mask, style) in masks {
        let mask = mask.resized(width, height);
        let colour = COLOURS[style.saturating_sub(1) % COLOURS.len()];
        for (pixel, mask) in pixels
            .chunks_exact_mut(3)
            .zip(mask.pixels().chunks_exact(3))
        {
            let grey = (mask[0] + mask[1] + mask[2]) / 3.0;
            for (value, colour) in pixel.iter_mut().zip(colour) {
                *value += SHARE * grey * (colour - *value);
            }
        }
    }
    // As many as there were.
    Picture::new(width, height, pixels).unwrap_or_else(|| content.clone())
}

/// Pictures in a row, all of the lowest one's height, or lower: no side of the row is
/// longer than `longest` pixels, but for rounding.
#[must_use]
pub fn side_by_side(pictures: &[&Picture], longest: u32) -> Option<Picture> {
    let lowest = pictures.iter().map(|picture| picture.height()).min()?;
    let aspect = |picture: &&Picture| f64::from(picture.width()) / f64::from(picture.height());
    let aspect: f64 = pictures.iter().map(aspect).sum();
    let fits = (f64::from(longest) / aspect.max(1.0)) as u32;
    let height = lowest.min(fits).max(1);
    let shrunk: Vec<Picture> = pictures
        .iter()
        .map(|picture| {
            let width = u64::from(picture.width()) * u64::from(height);
            // No wider than it was.
            let width = width.div_ceil(u64::from(picture.height())) as u32;
            let width = width.min(longest);
            picture.resized(width, height)
        })
        .collect();
    let mut pixels = Vec::new();
    for row in 0..height as usize {
        for picture in &shrunk {
            let length = 3 * picture.width() as usize;
            pixels.extend_from_slice(picture.pixels().get(row * length..(row + 1) * length)?);
        }
    }
    let width = shrunk.iter().map(Picture::width).sum();
    Picture::new(width, height, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_in_a_row_keep_their_shapes() {
        let picture = |width, height, value| {
            Picture::new(width, height, vec![value; (3 * width * height) as usize]).unwrap()
        };
        let (one, other) = (picture(8, 4, 0.25), picture(2, 2, 0.75));
        let row = side_by_side(&[&one, &other], 100).unwrap();
        assert_eq!(row.size(), (6, 2));
        assert!((row.pixels()[0] - 0.25).abs() < 1e-3 && row.pixels()[12] == 0.75);
        assert!(side_by_side(&[], 100).is_none());
    }

    #[test]
    fn a_row_is_no_larger_than_it_may_be() {
        let picture = |width: u32, height: u32| {
            Picture::new(width, height, vec![0.5; (3 * width * height) as usize]).unwrap()
        };
        let (wide, high, line) = (picture(300, 200), picture(200, 400), picture(5000, 1));
        for (pictures, size) in [
            (&[&wide, &wide][..], (60, 20)),
            (&[&high, &high], (60, 60)),
            (&[&line, &line], (120, 1)),
            (&[&wide, &high, &line], (63, 1)),
        ] {
            assert_eq!(side_by_side(pictures, 60).unwrap().size(), size);
        }
    }

    #[test]
    fn each_region_has_its_styles_colour() {
        let content = Picture::new(4, 2, vec![0.5; 24]).unwrap();
        let left: Vec<f32> = [1.0, 1.0, 0.0, 0.0]
            .repeat(2)
            .iter()
            .flat_map(|v| [*v; 3])
            .collect();
        let left = Picture::new(4, 2, left).unwrap();
        let shown = show_regions(&content, &[(&left, 2)]);
        let [red, green, blue] = COLOURS[1].map(|value| 0.5 + SHARE * (value - 0.5));
        assert_eq!(shown.pixels()[..3], [red, green, blue]);
        assert_eq!(shown.pixels()[9..12], [0.5; 3]);
        // A number that no style has is no trouble.
        let _ = show_regions(&content, &[(&left, 0), (&left, 99)]);
    }
}

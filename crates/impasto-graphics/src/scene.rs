//! What the picture pane shows, before it becomes cells or pixels.

use std::sync::Arc;

use image::RgbImage;

use super::cells::scaled;

/// One picture, or two of which each is seen on its side of a split.
#[derive(Clone, Debug)]
pub enum Scene {
    One(Arc<RgbImage>),
    Split {
        left: Arc<RgbImage>,
        right: Arc<RgbImage>,
        /// Where the split is: 0 at the left edge, 1 at the right.
        at: f64,
    },
}

impl Scene {
    /// Width and height in pixels that give the scene its shape. Both sides of
    /// a split take the right one's, which is the painting's.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Self::One(picture) | Self::Split { right: picture, .. } => picture.dimensions(),
        }
    }

    /// The column of pixels where the right picture begins, in a scene so
    /// wide; none if no split is seen.
    pub fn split(&self, width: u32) -> Option<u32> {
        match self {
            Self::One(_) => None,
            Self::Split { at, .. } => {
                let column = (at * f64::from(width)).round() as u32;
                (0 < column && column < width).then_some(column)
            }
        }
    }

    /// The scene at a size, in RGB. `None` if a picture has no pixels.
    pub fn composed(&self, width: u32, height: u32) -> Option<RgbImage> {
        let at_size = |picture: &RgbImage| {
            let rgb = scaled(picture.as_raw(), picture.dimensions(), (width, height))?;
            RgbImage::from_raw(width, height, rgb.into_owned())
        };
        let (left, right, at) = match self {
            Self::One(picture) => return at_size(picture),
            Self::Split { left, right, at } => (left, right, at),
        };
        let column = (at * f64::from(width)).round() as u32;
        let left = at_size(left)?;
        let mut both = at_size(right)?;
        for (x, y, pixel) in both.enumerate_pixels_mut() {
            if x < column {
                *pixel = *left.get_pixel(x, y);
            }
        }
        Some(both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

    fn split(at: f64) -> Scene {
        Scene::Split {
            // The content is larger and of another shape: it is fitted.
            left: Arc::new(RgbImage::from_pixel(40, 30, RED)),
            right: Arc::new(RgbImage::from_pixel(10, 10, BLUE)),
            at,
        }
    }

    #[test]
    fn each_side_of_the_split_shows_its_picture() {
        for (at, reds) in [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)] {
            let both = split(at).composed(8, 4).unwrap();
            assert_eq!(both.dimensions(), (8, 4));
            for (x, _, pixel) in both.enumerate_pixels() {
                assert_eq!(*pixel, if x < reds { RED } else { BLUE }, "{at}: {x}");
            }
        }
        assert_eq!(split(0.5).size(), (10, 10));
    }

    #[test]
    fn a_split_is_seen_only_between_the_edges() {
        assert_eq!(split(0.5).split(8), Some(4));
        assert_eq!(split(0.0).split(8), None);
        assert_eq!(split(1.0).split(8), None);
        assert_eq!(split(0.5).split(0), None);
    }
}

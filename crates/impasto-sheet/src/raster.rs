//! Draws a page that was laid out.

use image::{Rgb, RgbImage};
use impasto_core::picture::Picture;

use crate::layout::{Align, Item, Page, Place, Shade, Words};
use crate::parallel;
use crate::text::Line;

/// How many thumbnails are in memory at once, besides the page.
const BATCH: usize = 256;

/// The page as an image.
pub fn draw(page: &Page<'_>) -> RgbImage {
    let (width, height) = page.size;
    let mut image = RgbImage::from_pixel(width, height, Rgb([255; 3]));
    let mut pictures: Vec<(&Picture, Place)> = Vec::new();
    for item in &page.items {
        match item {
            Item::Picture(picture, place) => pictures.push((picture, *place)),
            Item::Frame(place) => frame(&mut image, *place),
            Item::Words(words) => write(&mut image, words),
        }
    }
    for batch in pictures.chunks(BATCH) {
        let thumbnails = parallel::map(batch, |(picture, place)| {
            picture.resized(place.width, place.height).to_rgb8()
        });
        for ((_, place), rgb) in batch.iter().zip(thumbnails) {
            put(&mut image, *place, &rgb);
        }
    }
    image
}

fn put(image: &mut RgbImage, place: Place, rgb: &[u8]) {
    let width = image.width() as usize;
    let row_length = 3 * place.width as usize;
    for (row, pixels) in rgb.chunks_exact(row_length).enumerate() {
        let start = 3 * ((place.y as usize + row) * width + place.x as usize);
        if let Some(target) = image.get_mut(start..start + row_length) {
            target.copy_from_slice(pixels);
        }
    }
}

/// A field with a thin edge.
fn frame(image: &mut RgbImage, place: Place) {
    for y in 0..place.height {
        for x in 0..place.width {
            let edge = x == 0 || y == 0 || x + 1 == place.width || y + 1 == place.height;
            let shade = if edge { Shade::EDGE } else { Shade::EMPTY };
            if let Some(pixel) = image.get_pixel_mut_checked(place.x + x, place.y + y) {
                pixel.0 = shade.rgb();
            }
        }
    }
}

fn write(image: &mut RgbImage, words: &Words) {
    let line = Line::new(&words.text, words.size);
    let left = words.x as f32
        - match words.align {
            Align::Left => 0.0,
            Align::Middle => line.width / 2.0,
            Align::Right => line.width,
        };
    let ink = words.shade.rgb();
    line.draw(left, words.foot, |x, y, covered| {
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
            let part = covered.clamp(0.0, 1.0);
            for (below, above) in pixel.0.iter_mut().zip(ink) {
                let mixed = f32::from(*below) * (1.0 - part) + f32::from(above) * part;
                *below = mixed.round() as u8;
            }
        }
    });
}

//! Colours with known values: the numbers come from the published primaries
//! and curves of each space, not from this code.

use image::{GrayAlphaImage, GrayImage, Luma, LumaA, Rgb, Rgb32FImage, RgbImage, Rgba, RgbaImage};
use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutStore, LutType, LutWarehouse, Matrix3d,
    ProfileClass,
};

use super::*;

fn one<T>(image: impl FnOnce(u32, u32) -> T) -> DynamicImage
where
    DynamicImage: From<T>,
{
    DynamicImage::from(image(1, 1))
}

fn rgb(colour: [u8; 3]) -> DynamicImage {
    one(|w, h| RgbImage::from_pixel(w, h, Rgb(colour)))
}

fn assert_pixel(image: &DynamicImage, icc: Option<&[u8]>, expected: [f32; 3], tolerance: f32) {
    let picture = to_srgb(image, icc).unwrap();
    for (value, expected) in picture.pixels().iter().zip(expected) {
        let error = (value - expected).abs();
        assert!(
            error <= tolerance,
            "{:?}, not {expected:?}",
            picture.pixels()
        );
    }
}

/// A CMYK profile whose paper is white and whose inks only darken: L* is
/// 100·(1−K), whatever the other three. Made of one table with two points a
/// side.
fn black_only_profile() -> Vec<u8> {
    let mut table = Vec::new();
    for corner in 0..16_u16 {
        // The last channel, black, varies fastest. Lab as 16 bits: L* 100 is
        // 0xFF00 and neutral a* and b* are 0x8000.
        table.extend([(1 - corner % 2) * 0xFF00, 0x8000, 0x8000]);
    }
    let lut = LutDataType {
        num_input_channels: 4,
        num_output_channels: 3,
        num_clut_grid_points: 2,
        matrix: Matrix3d::IDENTITY,
        num_input_table_entries: 2,
        num_output_table_entries: 2,
        input_table: LutStore::Store16([0, 0xFFFF].repeat(4)),
        clut_table: LutStore::Store16(table),
        output_table: LutStore::Store16([0, 0xFFFF].repeat(3)),
        lut_type: LutType::Lut16,
    };
    let mut profile = ColorProfile::new_srgb();
    profile.pcs = DataColorSpace::Lab;
    profile.color_space = DataColorSpace::Cmyk;
    profile.profile_class = ProfileClass::OutputDevice;
    profile.cicp = None;
    profile.lut_a_to_b_perceptual = Some(LutWarehouse::Lut(lut));
    profile.encode().unwrap()
}

#[test]
fn the_srgb_curve_is_the_standard_one() {
    for (encoded, linear) in [(0.0, 0.0), (0.5, 0.214_041), (0.04, 0.003_096), (1.0, 1.0)] {
        assert!((srgb_to_linear(encoded) - linear).abs() < 1e-6);
        assert!((linear_to_srgb(linear) - encoded).abs() < 1e-5);
    }
}

#[test]
fn depth_is_kept() {
    let deep = one(|w, h| ImageBuffer::from_pixel(w, h, Luma([32_769_u16])));
    assert_pixel(&deep, None, [32_769.0 / 65_535.0; 3], 0.0);
    let deep = one(|w, h| ImageBuffer::from_pixel(w, h, Rgb([1_u16, 257, 65_535])));
    let expected = [1.0 / 65_535.0, 1.0 / 255.0, 1.0];
    assert_pixel(&deep, None, expected, 1e-9);
    let float = one(|w, h| Rgb32FImage::from_pixel(w, h, Rgb([f32::NAN, -1.0, 3.0])));
    assert_pixel(&float, None, [0.0, 0.0, 1.0], 0.0);
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = one(|w, h| GrayImage::from_pixel(w, h, Luma([51])));
    assert_pixel(&grey, None, [0.2; 3], 1e-6);
}

#[test]
fn transparent_pixels_lie_on_white() {
    let clear = one(|w, h| RgbaImage::from_pixel(w, h, Rgba([255, 0, 0, 0])));
    assert_pixel(&clear, None, [1.0; 3], 0.0);
    let half = one(|w, h| RgbaImage::from_pixel(w, h, Rgba([255, 0, 0, 51])));
    assert_pixel(&half, None, [1.0, 0.8, 0.8], 1e-6);
    let solid = one(|w, h| RgbaImage::from_pixel(w, h, Rgba([255, 0, 0, 255])));
    assert_pixel(&solid, None, [1.0, 0.0, 0.0], 0.0);
    let grey = one(|w, h| GrayAlphaImage::from_pixel(w, h, LumaA([0, 204])));
    assert_pixel(&grey, None, [0.2; 3], 1e-6);
}

#[test]
fn wide_gamuts_are_converted() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    // A colour inside sRGB: Display P3 (200, 100, 50) is sRGB (214.9, 92.6, 31.0).
    let expected = [214.9, 92.6, 31.0].map(|value| value / 255.0);
    assert_pixel(&rgb([200, 100, 50]), Some(&p3), expected, 0.001);
    // Adobe RGB (100, 150, 200) is sRGB (66.0, 151.4, 203.1).
    let expected = [66.0, 151.4, 203.1].map(|value| value / 255.0);
    assert_pixel(&rgb([100, 150, 200]), Some(&adobe), expected, 0.001);
    // Neutral stays neutral, and what sRGB cannot show is clamped.
    assert_pixel(&rgb([255; 3]), Some(&p3), [1.0; 3], 0.002);
    assert_pixel(&rgb([0, 255, 0]), Some(&p3), [0.0, 1.0, 0.0], 0.002);
}

#[test]
fn an_srgb_profile_changes_nothing_visible() {
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    for value in 0..=255_u8 {
        let image = rgb([value, 255 - value, value / 2]);
        let picture = to_srgb(&image, Some(&srgb)).unwrap();
        assert_eq!(picture.to_rgb8(), image.as_bytes());
    }
}

#[test]
fn colour_is_converted_before_it_is_blended() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let clear = one(|w, h| RgbaImage::from_pixel(w, h, Rgba([200, 100, 50, 51])));
    let expected = [214.9, 92.6, 31.0].map(|value| 0.8 + 0.2 * value / 255.0);
    assert_pixel(&clear, Some(&p3), expected, 0.002);
}

#[test]
fn grey_profiles_are_converted() {
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let grey = one(|w, h| GrayImage::from_pixel(w, h, Luma([128])));
    // Linear 128/255 is 0.7366 when sRGB-encoded.
    assert_pixel(&grey, Some(&linear), [0.7366; 3], 0.002);
}

#[test]
fn unsuitable_and_broken_profiles_are_ignored() {
    let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let mut huge = p3.clone();
    huge.resize(11 << 20, 0);
    let colour = rgb([200, 100, 50]);
    let plain = to_srgb(&colour, None);
    let useless: [&[u8]; 6] = [
        &[],
        b"not a profile",
        &grey,
        &p3[..p3.len() / 2],
        &huge,
        &black_only_profile(),
    ];
    for profile in useless {
        assert_eq!(to_srgb(&colour, Some(profile)), plain);
    }
}

#[test]
fn cmyk_without_a_profile_is_ink_on_white() {
    let samples = [
        [255, 255, 255, 255], // no ink
        [0, 255, 255, 255],   // cyan
        [255, 255, 255, 0],   // black
        [255, 51, 255, 102],  // 80 % magenta, 60 % black
    ];
    let rgb = cmyk_to_srgb(samples.as_flattened(), None);
    let expected = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.4, 0.08, 0.4];
    for (value, expected) in rgb.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-6, "{rgb:?}");
    }
    assert_eq!(rgb.len(), 12);
}

#[test]
fn cmyk_with_a_profile_goes_through_it() {
    // Half black and full cyan: this profile sees L* 50, which is sRGB 118.9;
    // without it the red channel would be 0.
    let rgb = cmyk_to_srgb(&[0, 255, 255, 128], Some(&black_only_profile()));
    for value in rgb {
        assert!((value - 118.9 / 255.0).abs() < 0.02, "{value}");
    }
    let paper = cmyk_to_srgb(&[255; 4], Some(&black_only_profile()));
    assert!(paper.iter().all(|value| *value > 0.99), "{paper:?}");
}

#[test]
fn ycck_is_unfolded_to_ink() {
    // Y 76, Cb 85, Cr 255 is red light; in Adobe's inverted form the inks
    // are what is left of 255.
    let mut samples = [76, 85, 255, 40, 255, 128, 128, 255];
    ycck_to_cmyk(&mut samples);
    assert_eq!(samples, [1, 255, 255, 40, 0, 0, 0, 255]);
}

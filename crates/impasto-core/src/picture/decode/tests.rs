use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;

use super::*;

const NAME: &str = "test picture";

fn decode_bytes(bytes: &[u8]) -> Result<Picture, PictureError> {
    load_bytes(bytes, Path::new(NAME)).map(|source| source.picture)
}

/// Encodes 8-bit RGB with optional metadata.
fn encoded(
    format: ImageFormat,
    size: (u32, u32),
    rgb: &[u8],
    exif: Option<Vec<u8>>,
    icc: Option<Vec<u8>>,
) -> Vec<u8> {
    type Metadata = Option<Vec<u8>>;
    fn write(
        mut encoder: impl ImageEncoder,
        size: (u32, u32),
        rgb: &[u8],
        exif: Metadata,
        icc: Metadata,
    ) {
        if let Some(exif) = exif {
            encoder.set_exif_metadata(exif).unwrap();
        }
        if let Some(icc) = icc {
            encoder.set_icc_profile(icc).unwrap();
        }
        let colour = ExtendedColorType::Rgb8;
        encoder.write_image(rgb, size.0, size.1, colour).unwrap();
    }
    let mut bytes = Cursor::new(Vec::new());
    let stream = &mut bytes;
    match format {
        ImageFormat::Jpeg => write(
            JpegEncoder::new_with_quality(stream, 95),
            size,
            rgb,
            exif,
            icc,
        ),
        ImageFormat::Png => write(PngEncoder::new(stream), size, rgb, exif, icc),
        ImageFormat::WebP => write(WebPEncoder::new_lossless(stream), size, rgb, exif, icc),
        _ => write(TiffEncoder::new(stream), size, rgb, exif, icc),
    }
    bytes.into_inner()
}

fn png(size: (u32, u32), rgb: &[u8]) -> Vec<u8> {
    encoded(ImageFormat::Png, size, rgb, None, None)
}

/// An EXIF block with nothing but the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// Six flat blocks of 16×16 pixels in two rows, which even JPEG keeps apart:
/// red, green, black / blue, white, black.
const COLUMNS: u32 = 3;
const BLOCK: u32 = 16;
const R: [u8; 3] = [255, 0, 0];
const G: [u8; 3] = [0, 255, 0];
const B: [u8; 3] = [0, 0, 255];
const W: [u8; 3] = [255; 3];
const K: [u8; 3] = [0; 3];
const BLOCKS: [[u8; 3]; 6] = [R, G, K, B, W, K];

fn blocks() -> ((u32, u32), Vec<u8>) {
    let size = (COLUMNS * BLOCK, 2 * BLOCK);
    let rgb = (0..size.0 * size.1)
        .flat_map(|i| BLOCKS[(i / size.0 / BLOCK * COLUMNS + i % size.0 / BLOCK) as usize]);
    (size, rgb.collect())
}

/// The colours at the middle of each block, row by row.
fn middles(picture: &Picture) -> Vec<[u8; 3]> {
    let rgb = picture.to_rgb8();
    let (columns, rows) = (picture.width() / BLOCK, picture.height() / BLOCK);
    let middle = |i: u32| i * BLOCK + BLOCK / 2;
    (0..rows * columns)
        .map(|i| (middle(i / columns) * picture.width() + middle(i % columns)) as usize * 3)
        .map(|at| [0, 1, 2].map(|channel| if rgb[at + channel] > 127 { 255 } else { 0 }))
        .collect()
}

#[test]
fn every_exif_orientation_is_turned_upright() {
    let (size, rgb) = blocks();
    // What a viewer shows, by the EXIF standard: 6 means "turn right by 90°".
    let upright: [(u8, Vec<[u8; 3]>); 8] = [
        (1, vec![R, G, K, B, W, K]),
        (2, vec![K, G, R, K, W, B]),
        (3, vec![K, W, B, K, G, R]),
        (4, vec![B, W, K, R, G, K]),
        (5, vec![R, B, G, W, K, K]),
        (6, vec![B, R, W, G, K, K]),
        (7, vec![K, K, W, G, B, R]),
        (8, vec![K, K, G, W, R, B]),
    ];
    for (orientation, expected) in upright {
        let exif = Some(exif(orientation));
        let files = [
            encoded(ImageFormat::Jpeg, size, &rgb, exif.clone(), None),
            encoded(ImageFormat::Png, size, &rgb, exif.clone(), None),
            encoded(ImageFormat::WebP, size, &rgb, exif, None),
        ];
        for bytes in files {
            let picture = decode_bytes(&bytes).unwrap();
            let turned = if orientation > 4 {
                (size.1, size.0)
            } else {
                size
            };
            assert_eq!(picture.size(), turned, "orientation {orientation}");
            assert_eq!(middles(&picture), expected, "orientation {orientation}");
        }
    }
}

#[test]
fn an_embedded_profile_is_used_and_a_broken_one_ignored() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let rgb = [200, 100, 50].repeat(16 * 16);
    for (profile, expected) in [
        (p3.clone(), [215_u8, 93, 31]),
        (p3[..300].to_vec(), [200, 100, 50]),
        (vec![0; 200_000], [200, 100, 50]),
    ] {
        let profile = Some(profile);
        for bytes in [
            encoded(ImageFormat::Jpeg, (16, 16), &rgb, None, profile.clone()),
            encoded(ImageFormat::Png, (16, 16), &rgb, None, profile.clone()),
            encoded(ImageFormat::WebP, (16, 16), &rgb, None, profile),
        ] {
            let shown = decode_bytes(&bytes).unwrap().to_rgb8();
            for (value, expected) in shown.iter().zip(expected) {
                assert!(value.abs_diff(expected) <= 2, "{:?}", &shown[..3]);
            }
        }
    }
}

#[test]
fn a_profile_that_unpacks_to_gigabytes_is_ignored() {
    let icc = Some(vec![0; 200 << 20]);
    let bytes = encoded(ImageFormat::Png, (1, 1), &[1, 2, 3], None, icc);
    assert!(bytes.len() < 1 << 20);
    assert_eq!(decode_bytes(&bytes).unwrap().to_rgb8(), [1, 2, 3]);
}

#[test]
fn depth_alpha_and_palette_of_a_png_are_read() {
    let write = |colour, depth, palette: Option<&[u8]>, data: &[u8]| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if let Some(palette) = palette {
            encoder.set_palette(palette);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        decode_bytes(&bytes).unwrap().pixels().to_vec()
    };
    use png::{BitDepth, ColorType};
    let deep = write(ColorType::Grayscale, BitDepth::Sixteen, None, &[0x80, 0x01]);
    assert_eq!(deep, [32_769.0 / 65_535.0; 3]);
    let black = write(ColorType::Grayscale, BitDepth::One, None, &[0]);
    assert_eq!(black, [0.0; 3]);
    let clear = write(ColorType::Rgba, BitDepth::Eight, None, &[9, 9, 9, 0]);
    assert_eq!(clear, [1.0; 3]);
    let palette = write(
        ColorType::Indexed,
        BitDepth::Two,
        Some(&[255, 0, 255]),
        &[0],
    );
    assert_eq!(palette, [1.0, 0.0, 1.0]);
}

/// A baseline CMYK JPEG of one block of one colour, as Adobe programs write
/// it; small enough to be put together by hand.
fn cmyk_jpeg(samples: [u8; 4], adobe_marker: bool) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        bytes.extend([0xFF, marker, 0, body.len() as u8 + 2]);
        bytes.extend(body);
    };
    if adobe_marker {
        segment(0xEE, b"Adobe\0\x64\0\0\0\0\0");
    }
    // Quantisation by 8 makes one step of the mean one step of the sample.
    segment(0xDB, &[&[0][..], &[8; 64]].concat());
    let components = (1..=4).flat_map(|id| [id, 0x11, 0]);
    let frame: Vec<u8> = [8, 0, 8, 0, 8, 4].into_iter().chain(components).collect();
    segment(0xC0, &frame);
    // Means: categories 0 to 8 as codes of four bits. The rest: only "end",
    // as the code 0 of one bit.
    let mut lengths = [0_u8; 16];
    lengths[3] = 9;
    segment(
        0xC4,
        &[&[0][..], &lengths, &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat(),
    );
    let mut lengths = [0_u8; 16];
    lengths[0] = 1;
    segment(0xC4, &[&[0x10][..], &lengths, &[0]].concat());
    segment(0xDA, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);

    let mut bits = String::new();
    for sample in samples {
        let mean = i32::from(sample) - 128;
        let category = (32 - mean.unsigned_abs().leading_zeros()) as usize;
        bits += &format!("{category:04b}");
        if category > 0 {
            let value = if mean < 0 {
                mean + (1 << category) - 1
            } else {
                mean
            };
            bits += &format!("{value:0category$b}");
        }
        bits += "0";
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        bytes.push(byte);
        if byte == 0xFF {
            bytes.push(0);
        }
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

#[test]
fn cmyk_jpegs_are_read() {
    // 255 is no ink: half the red light, none of the green, all of the blue
    // passes, and the black lets four fifths of it through.
    for adobe_marker in [true, false] {
        let picture = decode_bytes(&cmyk_jpeg([128, 0, 255, 204], adobe_marker)).unwrap();
        assert_eq!(picture.size(), (8, 8));
        let middle = &picture.to_rgb8()[3 * 27..][..3];
        for (value, expected) in middle.iter().zip([102_u8, 0, 204]) {
            assert!(value.abs_diff(expected) <= 2, "{middle:?}");
        }
    }
}

#[test]
fn the_source_names_its_file_and_digest() {
    let folder = tempfile::tempdir().unwrap();
    // The content decides: this is a PNG.
    let path = folder.path().join("a.jpg");
    let bytes = png((1, 1), &[1, 2, 3]);
    fs::write(&path, &bytes).unwrap();
    let source = load(&path).unwrap();
    assert_eq!(source.path, path);
    assert_eq!(source.picture.to_rgb8(), [1, 2, 3]);
    assert_eq!(source, load_bytes(&bytes, &path).unwrap());
    assert_eq!(source.sha256.len(), 64);
    assert!(source.sha256.bytes().all(|digit| digit.is_ascii_hexdigit()));
}

#[test]
fn what_is_no_picture_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("text.png"), "hello, world, this is text").unwrap();
    fs::write(path("anim.gif"), b"GIF89a\x01\0\x01\0\0\0\0;").unwrap();
    let pipe = CString::new(path("pipe").as_os_str().as_bytes()).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(pipe.to_str().unwrap())
        .status();
    assert!(made.unwrap().success());
    File::create(path("huge"))
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    for (path, words) in [
        (path("none.png"), "There is no file"),
        (path("text.png/a.png"), "There is no file"),
        (folder.path().to_owned(), "is a folder"),
        (path("pipe"), "is a pipe, a device"),
        (PathBuf::from("/dev/zero"), "is a pipe, a device"),
        (path("empty"), "is empty"),
        (path("text.png"), "JPEG, PNG, WebP, TIFF and BMP"),
        (path("anim.gif"), "JPEG, PNG, WebP, TIFF and BMP"),
        (path("huge"), "larger than 1024 MB"),
    ] {
        let message = load(&path).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
        assert!(message.contains(&display_path(&path)), "{message}");
    }
    let message = load(&path("a\u{1b}[0m")).unwrap_err().to_string();
    assert!(!message.contains('\u{1b}'));
    assert!(matches!(decode_bytes(b""), Err(PictureError::Empty { .. })));
}

#[test]
fn pictures_that_are_cut_short_are_refused() {
    // Noise, so that the pixels take most of the file.
    let mut state = 1_u32;
    let rgb: Vec<u8> = (0..64 * 64 * 3)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let size = (64, 64);
    let files = [
        encoded(ImageFormat::Jpeg, size, &rgb, None, None),
        png(size, &rgb),
        encoded(ImageFormat::WebP, size, &rgb, None, None),
        encoded(ImageFormat::Tiff, size, &rgb, None, None),
    ];
    for bytes in files {
        assert!(decode_bytes(&bytes).is_ok());
        for part in 1..20 {
            let cut = &bytes[..bytes.len() * part / 20];
            let error = decode_bytes(cut).unwrap_err();
            assert!(
                matches!(error, PictureError::Damaged { .. }),
                "{part}/20: {error}"
            );
            assert!(error.to_string().starts_with(NAME), "{error}");
        }
    }
}

#[test]
fn a_jpeg_that_is_cut_and_ended_again_is_refused() {
    // What lies at hand is progressive, grey, subsampled, or from a camera.
    let bundled = ["china.jpg", "night.jpg"].map(|name| {
        let assets = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("assets");
        fs::read(assets.join(name)).unwrap()
    });
    let even = encoded(
        ImageFormat::Jpeg,
        (16, 512),
        &[200; 16 * 512 * 3],
        None,
        None,
    );
    for bytes in bundled.into_iter().chain([even]) {
        assert!(decode_bytes(&bytes).is_ok());
        let (scans, parts) = (bytes.len() / 3, 23);
        for part in 1..parts {
            let length = scans + (bytes.len() - 2 - scans) * part / parts;
            let mut cut = bytes[..length].to_vec();
            cut.extend([0xFF, 0xD9]);
            let error = decode_bytes(&cut).unwrap_err();
            let damaged = matches!(error, PictureError::Damaged { .. });
            assert!(damaged, "{part}: {error}");
        }
    }
}

#[test]
fn a_damaged_png_is_refused() {
    let (size, rgb) = blocks();
    let mut bytes = png(size, &rgb);
    let middle = bytes.len() - 30;
    bytes[middle] ^= 0x55;
    assert!(matches!(
        decode_bytes(&bytes),
        Err(PictureError::Damaged { .. })
    ));
}

#[test]
fn too_many_or_no_pixels_are_refused_by_the_header() {
    // A BMP header alone: the size is known before there is a pixel.
    let bmp = |width: u32, height: u32| {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend(b"\x01\0\x18\0");
        bytes.resize(54, 0);
        bytes
    };
    let error = decode_bytes(&bmp(10_001, 10_000)).unwrap_err();
    assert!(
        matches!(error, PictureError::TooManyPixels { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("10001×10000"));
    assert!(error.to_string().contains("100 million"));
    // One pixel fewer is only cut short.
    let error = decode_bytes(&bmp(10_000, 10_000)).unwrap_err();
    assert!(matches!(error, PictureError::Damaged { .. }), "{error}");
    assert!(decode_bytes(&bmp(0, 5)).is_err());

    // The same in a PNG and a JPEG, whose sizes stand at known places.
    let mut wide = png((1, 1), &[0; 3]);
    wide[16..24].copy_from_slice(b"\0\0\xff\xff\0\0\xff\xff");
    let crc = {
        // CRC-32 as the PNG standard defines it.
        let mut crc = u32::MAX;
        for &byte in &wide[12..29] {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
            }
        }
        !crc
    };
    wide[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = decode_bytes(&wide).unwrap_err();
    assert!(
        matches!(error, PictureError::TooManyPixels { .. }),
        "{error}"
    );

    let mut wide = cmyk_jpeg([0; 4], true);
    let frame = wide
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    wide[frame + 5..frame + 9].fill(0xFF);
    let error = decode_bytes(&wide).unwrap_err();
    assert!(
        matches!(error, PictureError::TooManyPixels { .. }),
        "{error}"
    );
    wide[frame + 5..frame + 9].fill(0);
    let error = decode_bytes(&wide).unwrap_err();
    assert!(matches!(error, PictureError::NoPixels { .. }), "{error}");
}

#[test]
fn a_look_reports_pictures_from_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rgb = [10; 12];
    let whole = encoded(ImageFormat::Png, (2, 2), &rgb, None, None);
    fs::write(at("whole.png"), &whole).unwrap();
    fs::write(at("words.png"), "no picture at all").unwrap();
    fs::write(at("empty.png"), "").unwrap();
    assert!(check(&at("whole.png")).is_ok());
    let refused = |path: &Path| check(path).unwrap_err();
    assert!(matches!(
        refused(&at("words.png")),
        PictureError::UnknownKind { .. }
    ));
    assert!(matches!(
        refused(&at("empty.png")),
        PictureError::Empty { .. }
    ));
    assert!(matches!(
        refused(&at("none.png")),
        PictureError::NotFound { .. }
    ));
    assert!(matches!(
        refused(folder.path()),
        PictureError::IsFolder { .. }
    ));
}

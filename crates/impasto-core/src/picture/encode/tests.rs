use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::picture::destination::check_destination;
use crate::picture::load;

fn sample() -> Picture {
    let rgb: Vec<u8> = (0..7 * 5 * 3).map(|i| (i * 37 % 256) as u8).collect();
    Picture::from_rgb8(7, 5, &rgb).unwrap()
}

/// Soft enough for JPEG to keep.
fn smooth() -> Picture {
    let pixels = (0..40 * 30).flat_map(|i| [(i % 40) as f32 / 40.0, (i / 40) as f32 / 30.0, 0.5]);
    Picture::new(40, 30, pixels.collect()).unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn extensions_name_the_format_in_either_case() {
    for (name, format) in [
        ("a.png", OutputFormat::Png),
        ("a.b.JPG", OutputFormat::Jpeg),
        ("a.JpEg", OutputFormat::Jpeg),
        ("x/a.webp", OutputFormat::WebP),
        ("a.tif", OutputFormat::Tiff),
        ("a.TIFF", OutputFormat::Tiff),
        ("a.bmp", OutputFormat::Bmp),
    ] {
        assert_eq!(output_format(Path::new(name)).unwrap(), format);
    }
    for name in ["a", "a.gif", "png", ".png", "a.", "", "a.jp\u{1b}g"] {
        let error = output_format(Path::new(name)).unwrap_err().to_string();
        assert!(error.contains(".png, .jpg, .jpeg, .webp, .tif, .tiff or .bmp"));
        assert!(!error.contains('\u{1b}'));
    }
}

#[test]
fn lossless_formats_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.webp", "a.tiff", "a.TIF", "a.bmp"] {
        let path = folder.path().join(name);
        save(&sample(), &path, Some("{}")).unwrap();
        let source = load(&path).unwrap();
        assert_eq!(source.picture, sample(), "{name}");
        assert_eq!(source.path, path);
    }
    assert_eq!(
        names_in(folder.path()),
        ["a.TIF", "a.bmp", "a.png", "a.tiff", "a.webp"]
    );
}

#[test]
fn jpeg_comes_back_nearly_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    save(&smooth(), &path, None).unwrap();
    let back = load(&path).unwrap().picture;
    assert_eq!(back.size(), (40, 30));
    for (value, expected) in back.pixels().iter().zip(smooth().pixels()) {
        assert!((value - expected).abs() < 0.04, "{value}, not {expected}");
    }
}

#[test]
fn each_format_is_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    for (name, start) in [
        ("a.png", &b"\x89PNG"[..]),
        ("a.jpg", b"\xff\xd8\xff"),
        ("a.webp", b"RIFF"),
        ("a.tif", b"II*\0"),
        ("a.bmp", b"BM"),
    ] {
        let path = folder.path().join(name);
        save(&sample(), &path, None).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(start), "{name}");
    }
}

#[test]
fn a_recipe_comes_back_from_the_png() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let recipe = "{\"style\": \"Vincent’s “Nacht”\", \"lines\": \"one\\ntwo\"}\n";
    save(&sample(), &path, Some(recipe)).unwrap();
    assert_eq!(read_recipe(&path).unwrap(), recipe);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.windows(17).any(|part| part == b"Software\0impasto "));

    let longest = "x".repeat(MAX_RECIPE_BYTES);
    save(&sample(), &path, Some(&longest)).unwrap();
    assert_eq!(read_recipe(&path).unwrap(), longest);
    let too_long = "x".repeat(MAX_RECIPE_BYTES + 1);
    let error = save(&sample(), &path, Some(&too_long)).unwrap_err();
    assert!(matches!(error, PictureError::RecipeTooLarge { .. }));
    assert_eq!(read_recipe(&path).unwrap(), longest);
}

#[test]
fn files_without_a_recipe_are_distinguished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    save(&sample(), &path, None).unwrap();
    assert!(matches!(
        read_recipe(&path),
        Err(PictureError::NoRecipe { .. })
    ));

    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        read_recipe(&path),
        Err(PictureError::Damaged { .. })
    ));

    let jpeg = folder.path().join("b.jpg");
    save(&sample(), &jpeg, Some("{}")).unwrap();
    assert!(matches!(
        read_recipe(&jpeg),
        Err(PictureError::RecipeNeedsPng { .. })
    ));
    let missing = folder.path().join("c.png");
    assert!(matches!(
        read_recipe(&missing),
        Err(PictureError::NotFound { .. })
    ));
}

#[test]
fn compressed_and_late_recipes_are_read_but_bombs_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let write = |text: &str, behind_the_pixels: bool| {
        let mut chunk = png::text_metadata::ITXtChunk::new("impasto", text);
        chunk.compressed = true;
        let mut bytes = Vec::new();
        let mut writer = png::Encoder::new(&mut bytes, 1, 1).write_header().unwrap();
        if behind_the_pixels {
            writer.write_image_data(&[0]).unwrap();
            writer.write_text_chunk(&chunk).unwrap();
        } else {
            writer.write_text_chunk(&chunk).unwrap();
            writer.write_image_data(&[0]).unwrap();
        }
        writer.finish().unwrap();
        fs::write(&path, bytes).unwrap();
    };
    for behind_the_pixels in [false, true] {
        write("{\"a\": 1}", behind_the_pixels);
        assert_eq!(read_recipe(&path).unwrap(), "{\"a\": 1}");
        write(&"x".repeat(100 << 20), behind_the_pixels);
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
        let error = read_recipe(&path).unwrap_err();
        assert!(matches!(error, PictureError::Damaged { .. }), "{error}");
        // The picture itself is still readable.
        assert!(load(&path).is_ok());
    }
}

#[test]
fn a_failed_save_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    // No PNG can replace a folder, and no WebP can be this wide.
    let blocked = folder.path().join("a.png");
    fs::create_dir(&blocked).unwrap();
    let error = save(&sample(), &blocked, None).unwrap_err();
    assert!(
        matches!(error, PictureError::FolderInTheWay { .. }),
        "{error}"
    );

    let old = folder.path().join("b.webp");
    save(&sample(), &old, None).unwrap();
    let wide = Picture::new(16_384, 1, vec![0.5; 16_384 * 3]).unwrap();
    let error = save(&wide, &old, None).unwrap_err();
    assert!(
        matches!(error, PictureError::TooLargeForFormat { limit: 16_383, .. }),
        "{error}"
    );
    assert_eq!(load(&old).unwrap().picture, sample());
    assert_eq!(names_in(folder.path()), ["a.png", "b.webp"]);

    let error = write_whole(&blocked, b"new").unwrap_err();
    assert!(
        matches!(error, PictureError::FolderInTheWay { .. }),
        "{error}"
    );
    assert_eq!(names_in(folder.path()), ["a.png", "b.webp"]);
}

#[test]
fn the_largest_sides_of_each_format_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for (name, side) in [("a.webp", 16_383), ("a.jpg", 65_535), ("a.png", 70_000)] {
        let path = folder.path().join(name);
        let wide = Picture::new(side, 1, vec![0.5; side as usize * 3]).unwrap();
        save(&wide, &path, None).unwrap();
        assert_eq!(load(&path).unwrap().picture.size(), (side, 1), "{name}");
    }
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none\u{7}").join("a.png");
    for error in [
        save(&sample(), &path, None).unwrap_err(),
        check_destination(&path).unwrap_err(),
    ] {
        assert!(
            matches!(error, PictureError::FolderMissing { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("none\\u{7} does not exist"),
            "{error}"
        );
    }
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = save(&sample(), &file.join("a.png"), None).unwrap_err();
    assert!(
        matches!(error, PictureError::FolderMissing { .. }),
        "{error}"
    );
}

#[test]
fn a_new_file_has_ordinary_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| {
        let metadata = fs::metadata(folder.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    fs::write(folder.path().join("ordinary"), "x").unwrap();
    save(&sample(), &folder.path().join("a.png"), None).unwrap();
    assert_eq!(mode("a.png"), mode("ordinary"));
}

#[test]
fn a_private_file_stays_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fs::write(&path, "old").unwrap();
    for mode in [0o600, 0o640] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        save(&sample(), &path, None).unwrap();
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode & 0o644);
    }
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = folder.path().join("shelf");
    fs::create_dir(&shelf).unwrap();
    let (real, link) = (shelf.join("real.png"), folder.path().join("link.png"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    save(&sample(), &link, None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(load(&real).unwrap().picture, sample());
    assert_eq!(names_in(&shelf), ["real.png"]);
}

#[test]
fn sixteen_bits_come_back_finer_than_eight() {
    let folder = tempfile::tempdir().unwrap();
    let picture = smooth();
    let settings = OutputSettings {
        depth: 16,
        dpi: 300.0,
        ..OutputSettings::default()
    };
    for name in ["a.png", "a.tif"] {
        let path = folder.path().join(name);
        save_with(&picture, &path, None, &settings).unwrap();
        let back = load(&path).unwrap().picture;
        for (found, wanted) in back.pixels().iter().zip(picture.pixels()) {
            assert!((found - wanted).abs() < 1.0 / 65_535.0, "{name}");
        }
    }
}

#[test]
fn files_say_that_they_are_srgb_and_how_large_they_print() {
    let settings = OutputSettings {
        dpi: 300.0,
        ..OutputSettings::default()
    };
    let encoded = |name: &str| encode(&smooth(), Path::new(name), None, &settings).unwrap();
    let has = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).any(|it| it == wanted);
    for name in ["a.jpg", "a.webp", "a.tif"] {
        // The signature of every ICC profile.
        assert!(has(&encoded(name), b"acsp"), "{name}");
    }
    let png = encoded("a.png");
    assert!(has(&png, b"sRGB"));
    // 11,811 pixels a metre, both ways.
    assert!(has(&png, b"pHYs\0\0\x2e\x23\0\0\x2e\x23\x01"));
    // JFIF's units and densities: dots per inch.
    assert!(has(
        &encoded("a.jpg"),
        b"JFIF\0\x01\x02\x01\x01\x2c\x01\x2c"
    ));
    let plain = encode(
        &smooth(),
        Path::new("a.png"),
        None,
        &OutputSettings::default(),
    );
    assert!(!has(&plain.unwrap(), b"pHYs"));
}

#[test]
fn a_lower_quality_is_a_smaller_jpeg() {
    let size = |quality| {
        let settings = OutputSettings {
            quality,
            ..OutputSettings::default()
        };
        encode(&sample(), Path::new("a.jpg"), None, &settings)
            .unwrap()
            .len()
    };
    assert!(size(20) < size(95));
}

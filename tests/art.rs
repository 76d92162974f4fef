//! The built binary with several styles, masks, colours, finishing and scores.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use impasto_core::picture::{self, Picture};
use serde_json::Value;

use common::{CONTENT, IMPASTO, STYLE};

const SECOND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/wave.jpg");
/// A few iterations of a tiny picture.
const TINY: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 6}]"];

fn impasto(folder: &Path, arguments: &[&[&str]]) -> Output {
    let mut command = Command::new(IMPASTO);
    command
        .args(arguments.concat())
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("TMPDIR", folder)
        .env("OMP_NUM_THREADS", "1");
    command.output().expect("the binary starts")
}

#[track_caller]
fn succeed(folder: &Path, arguments: &[&[&str]]) -> String {
    let output = impasto(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refuse(folder: &Path, arguments: &[&[&str]]) -> String {
    let output = impasto(folder, arguments);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.trim().lines().count(), 1, "{said}");
    said
}

/// Saves a mask that is white left of `edge`, as a share of the width.
fn mask(folder: &Path, name: &str, edge: f64) {
    let (width, height) = picture::load(Path::new(CONTENT)).unwrap().picture.size();
    let (width, height) = (width / 4, height / 4);
    let row = (0..width).flat_map(|x| [u8::from(f64::from(x) < edge * f64::from(width)) * 255; 3]);
    let rows: Vec<u8> = row.collect::<Vec<u8>>().repeat(height as usize);
    let mask = Picture::from_rgb8(width, height, &rows).unwrap();
    picture::save(&mask, &folder.join(name), None).unwrap();
}

fn saved_total(events: &str) -> f64 {
    let last = events.lines().last().expect("events");
    let event: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(event["event"], "finished");
    event["saved"]["total"].as_f64().expect("a total")
}

/// The total that `impasto measure` gives.
fn measured(folder: &Path, arguments: &[&[&str]]) -> f64 {
    let json = succeed(
        folder,
        &[&["measure", "out.png"], &arguments.concat(), &["--json"]],
    );
    let json: Value = serde_json::from_str(&json).expect("JSON");
    json["total"].as_f64().expect("a total")
}

#[test]
fn what_is_told_of_a_picture_is_what_measures_and_its_recipe_paints_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    mask(folder, "left.png", 0.5);
    let first = format!("{STYLE}:0.7");
    let second = format!("{SECOND}:0.3");
    let both = [CONTENT, &first, &second];
    let one = [CONTENT, STYLE];
    let cases: [(&[&str], &[&str]); 7] = [
        (&both, &[]),
        (&both, &["--mask", "left.png=wave.jpg"]),
        (
            &both,
            &[
                "--mask",
                "left.png=1",
                "--set",
                "style.statistic=covariance",
            ],
        ),
        (
            &one,
            &[
                "--mask",
                "left.png=night",
                "--set",
                "style.statistic=histogram",
            ],
        ),
        (
            &one,
            &[
                "--set",
                "style.statistic.relu1_1=mean-std",
                "--set",
                "style.scale=0.5",
            ],
        ),
        (
            &one,
            &[
                "--set",
                "colour=match-cholesky",
                "--set",
                "content.laplacian=1e4",
            ],
        ),
        (&one, &["--set", "optimizer=adam", "--set", "average=0.9"]),
    ];
    for (pictures, settings) in cases {
        let run = ["run", "-o", "out.png", "--headless", "--events", "-"];
        let events = succeed(folder, &[&run, pictures, settings, &TINY]);
        let told = saved_total(&events);
        let found = measured(folder, &[pictures, settings]);
        // Eight bits a channel are between them.
        let off = (told - found).abs() / found;
        assert!(off < 0.02, "{settings:?}: told {told}, measured {found}");
        let paths: Vec<&str> = pictures
            .iter()
            .map(|path| path.trim_end_matches(":0.7").trim_end_matches(":0.3"))
            .collect();
        succeed(
            folder,
            &[
                &[
                    "run",
                    "--recipe",
                    "out.png",
                    "-o",
                    "again.png",
                    "--headless",
                ],
                &paths,
            ],
        );
        let same = fs::read(folder.join("out.png")).unwrap()
            == fs::read(folder.join("again.png")).unwrap();
        assert!(same, "{settings:?}");
    }
}

#[test]
fn what_no_mask_covers_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    mask(folder, "left.png", 0.5);
    let run = [
        "run",
        CONTENT,
        STYLE,
        "-o",
        "out.png",
        "--headless",
        "--mask",
        "left.png=1",
    ];
    succeed(folder, &[&run, &["--set", "start=noise"], &TINY]);
    let painted = picture::load(&folder.join("out.png")).unwrap().picture;
    let (width, height) = painted.size();
    let content = picture::load(Path::new(CONTENT)).unwrap().picture;
    let content = content.resized(width, height);
    let off = |from: u32, to: u32| {
        let mut most = 0.0f32;
        for y in 0..height {
            for index in 3 * (y * width + from)..3 * (y * width + to) {
                let index = index as usize;
                most = most.max((painted.pixels()[index] - content.pixels()[index]).abs());
            }
        }
        most
    };
    assert!(off(width / 2 + 2, width) < 0.003);
    assert!(off(0, width / 2 - 2) > 0.1);
}

#[test]
fn masks_and_styles_that_do_not_fit_are_refused_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    mask(folder, "left.png", 0.5);
    mask(folder, "black.png", 0.0);
    let square = Picture::from_rgb8(9, 9, &[255; 243]).unwrap();
    picture::save(&square, &folder.join("square.png"), None).unwrap();
    let run = ["run", CONTENT, STYLE, "-o", "out.png", "--headless"];
    for (arguments, words) in [
        (["--mask", "left.png=2"], "not one of the styles"),
        (["--mask", "left.png"], "expected MASK=STYLE"),
        (["--mask", "gone.png=1"], "gone.png"),
        (["--mask", "square.png=1"], "another shape"),
        (["--mask", "black.png=1"], "black everywhere"),
        (
            ["--set", "masks=[{file: left.png, style: 3}]"],
            "only one style",
        ),
        (["--set", "style.scale=0.1"], "the style would have"),
    ] {
        let said = refuse(
            folder,
            &[
                &run,
                &arguments,
                &["--set", "schedule=[{size: 64, iterations: 1}]"],
            ],
        );
        assert!(said.contains(words), "{said}");
        assert!(!folder.join("out.png").exists());
    }
    let jpeg = [
        "run",
        CONTENT,
        STYLE,
        "-o",
        "out.jpg",
        "--depth",
        "16",
        "--headless",
    ];
    assert!(refuse(folder, &[&jpeg]).contains("only PNG and TIFF"));
}

#[test]
fn colours_of_the_content_are_put_back_and_a_finished_picture_tells_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = ["run", CONTENT, STYLE, "-o", "out.png", "--headless"];
    succeed(folder, &[&run, &["--set", "colour=content"], &TINY]);
    let painted = picture::load(&folder.join("out.png")).unwrap().picture;
    let (width, height) = painted.size();
    let content = picture::load(Path::new(CONTENT)).unwrap().picture;
    let content = content.resized(width, height);
    // Red minus green is chrominance; it is kept where nothing was clamped.
    let pairs = painted
        .pixels()
        .chunks_exact(3)
        .zip(content.pixels().chunks_exact(3));
    let inside = |rgb: &[f32]| rgb.iter().all(|value| (0.01..0.99).contains(value));
    for (own, other) in pairs.filter(|(own, _)| inside(own)) {
        let off = (own[0] - own[1]) - (other[0] - other[1]);
        assert!(off.abs() < 0.01, "{own:?} {other:?}");
    }
    let finish = [
        "finish",
        "out.png",
        "-o",
        "print.tif",
        "--depth",
        "16",
        "--dpi",
        "300",
    ];
    succeed(
        folder,
        &[
            &finish,
            &["--denoise", "0.4", "--saturation", "-1", "--grain", "0.1"],
        ],
    );
    let print = picture::load(&folder.join("print.tif")).unwrap().picture;
    assert_eq!(print.size(), (width, height));
    for rgb in print.pixels().chunks_exact(3) {
        assert!((rgb[0] - rgb[1]).abs() < 1e-3 && (rgb[1] - rgb[2]).abs() < 1e-3);
    }
    succeed(folder, &[&["finish", "out.png", "--contrast", "0.3"]]);
    let recipe = picture::read_recipe(&folder.join("out-finished.png")).unwrap();
    let recipe: Value = serde_json::from_str(&recipe).unwrap();
    assert_eq!(recipe["preset"]["finish"]["contrast"], 0.3);
    // The recipe paints and finishes; what was read from a file has 8 bits.
    let again = [
        "--recipe",
        "out-finished.png",
        "-o",
        "again.png",
        "--headless",
    ];
    succeed(folder, &[&["run", CONTENT, STYLE], &again]);
    let [finished, again] = ["out-finished.png", "again.png"]
        .map(|name| picture::load(&folder.join(name)).unwrap().picture);
    for (one, other) in finished.pixels().iter().zip(again.pixels()) {
        assert!((one - other).abs() < 3.0 / 255.0);
    }
    let said = refuse(folder, &[&["finish", "out.png", "--match-colours", "1"]]);
    assert!(said.contains("--content"), "{said}");
    assert!(!folder.join("out-finished-2.png").exists());
}

#[test]
fn scores_say_that_a_copy_is_the_content_and_the_style_is_the_style() {
    let folder = tempfile::tempdir().unwrap();
    let scores = |image: &str| {
        let measure = ["measure", image, CONTENT, STYLE, "--scores", "--json"];
        let json: Value = serde_json::from_str(&succeed(folder.path(), &[&measure])).unwrap();
        json["scores"].clone()
    };
    let (copy, style) = (scores(CONTENT), scores(STYLE));
    for (name, score) in copy.as_object().expect("an object") {
        let (copy, style) = (score.as_f64().unwrap(), style[name].as_f64().unwrap());
        match name.starts_with("content") {
            true => assert!(copy < 0.01 * style, "{name}: {copy}, {style}"),
            false => assert!(style < 0.1 * copy, "{name}: {copy}, {style}"),
        }
    }
}

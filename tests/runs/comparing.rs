//! `impasto runs compare`.

use std::fs;

use image::Rgb;

use super::store::{Store, words};

#[test]
fn both_pictures_and_both_curves_are_in_the_file() {
    let store = Store::open();
    let names = &store.names;
    let output = store.impasto(&[
        "runs",
        "compare",
        &names.finished,
        &names.bold,
        "-o",
        "both.png",
    ]);
    assert!(output.status.success());
    assert!(words(&output.stderr).contains("saved both.png"));
    let both = image::open(store.folder().join("both.png")).expect("a picture");
    let both = both.to_rgb8();
    let (width, height) = both.dimensions();
    // Two pictures of 24×16 at one height, and a chart below them.
    assert!((1500..=1700).contains(&width), "{width}");
    assert!((1000..=1200).contains(&height), "{height}");
    let white = Rgb([255; 3]);
    for x in [width / 4, 3 * width / 4] {
        let coloured = (20..500)
            .filter(|&y| *both.get_pixel(x, y) != white)
            .count();
        assert!(coloured > 400, "a picture at {x}: {coloured}");
    }
    assert!((20..500).all(|y| *both.get_pixel(width / 2, y) == white));
    // Blue and vermilion, which the colour-blind can tell apart.
    let chart = image::imageops::crop_imm(&both, 0, height - 500, width, 500).to_image();
    for colour in [Rgb([0x00, 0x72, 0xb2]), Rgb([0xd5, 0x5e, 0x00])] {
        let count = chart.pixels().filter(|pixel| **pixel == colour).count();
        assert!(count > 100, "{colour:?}: {count}");
    }
}

#[test]
fn the_table_reports_the_losses_and_where_the_presets_differ() {
    let store = Store::open();
    let names = &store.names;
    let text = store.prints(&["runs", "compare", &names.finished, &names.bold]);
    let row = |name: &str| -> Vec<&str> {
        let lines = text.lines().map(|line| line.split_whitespace().collect());
        let mut rows = lines.filter(|row: &Vec<&str>| row.first() == Some(&name));
        rows.next()
            .unwrap_or_else(|| panic!("no {name} in:\n{text}"))
    };
    assert_eq!(row("iterations"), ["iterations", "6", "9"]);
    assert_eq!(row("schedule"), ["schedule", "24×6", "24×9"]);
    let presets: Vec<serde_json::Value> = [&names.finished, &names.bold]
        .map(|name| store.json(&["runs", "show", name, "--json"])["record"]["preset"].clone())
        .into();
    let weight = row("style.weight");
    for (told, preset) in weight[1..].iter().zip(&presets) {
        assert_eq!(told.parse().ok(), preset["style"]["weight"].as_f64());
    }
    assert!(
        text.contains("night.jpg") && text.contains("wave.jpg"),
        "{text}"
    );
    assert!(!text.contains("content picture"), "it is the same:\n{text}");
    assert!(text.contains("weigh the losses differently"), "{text}");
    for (number, name) in [&names.finished, &names.bold].into_iter().enumerate() {
        let all = store.json(&["runs", "show", name, "--json"]);
        for loss in ["total", "content", "style", "smoothness"] {
            let told: f64 = row(loss)[number + 1].parse().expect("a number");
            let written = all["last"][loss].as_f64().expect("a number");
            assert!(
                (told - written).abs() <= 1e-3 * written,
                "{loss}: {told} {written}"
            );
        }
    }
}

#[test]
fn a_run_is_like_itself() {
    let store = Store::open();
    let name = store.names.bold.as_str();
    let folder = store.run(name);
    let folder = folder.to_str().expect("a name");
    let text = store.prints(&["runs", "compare", name, folder, "-o", "same.png"]);
    for words in ["style.", "schedule", "differently", "picture"] {
        assert!(!text.contains(words), "{words} in:\n{text}");
    }
    let same = image::open(store.folder().join("same.png")).expect("a picture");
    let same = same.to_rgb8();
    let (width, _) = same.dimensions();
    for y in [40, 200, 400] {
        for x in 16..width / 2 - 8 {
            let (one, other) = (same.get_pixel(x, y), same.get_pixel(x + width / 2 - 8, y));
            assert_eq!(one, other, "{x}, {y}");
        }
    }
}

#[test]
fn without_a_picture_the_rest_is_compared() {
    let store = Store::open();
    let names = &store.names;
    let folder = store.run(&names.killed);
    for picture in ["preview.png", "result.png"] {
        let _ = fs::remove_file(folder.join(picture));
    }
    let output = store.impasto(&["runs", "compare", &names.killed, &names.bold]);
    assert!(output.status.success());
    assert!(words(&output.stdout).contains("iterations"));
    let note = words(&output.stderr);
    assert!(
        note.contains(&format!("{} has no picture yet", names.killed)),
        "{note}"
    );
    let complaint = store.refuses(&[
        "runs",
        "compare",
        &names.killed,
        &names.bold,
        "-o",
        "both.png",
    ]);
    assert!(complaint.contains("no picture yet"), "{complaint}");
    assert!(!store.folder().join("both.png").exists());
    // And without losses, on either side.
    fs::remove_file(folder.join("metrics.jsonl")).expect("removed");
    for pair in [[&names.killed, &names.bold], [&names.killed, &names.killed]] {
        let text = store.prints(&["runs", "compare", pair[0], pair[1]]);
        assert!(text.contains('–'), "{text}");
    }
}

#[test]
fn the_file_s_place_is_checked_before_anything_is_done() {
    let store = Store::open();
    let names = &store.names;
    for (output, word) in [("no/where.png", "no"), ("both.txt", "txt"), (".", "")] {
        let complaint =
            store.refuses(&["runs", "compare", &names.bold, &names.stopped, "-o", output]);
        assert!(complaint.contains(word), "{complaint}");
    }
}

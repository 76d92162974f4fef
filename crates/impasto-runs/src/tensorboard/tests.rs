use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::tests::step;

/// What TensorBoard's own writer makes of three records: the version, nothing, and two values.
const WRITTEN_BY_TENSORBOARD: &str = "\
    1800000000000000a37f4b22\
    09000000000000f83f1a0d627261696e2e4576656e743a322a28646c\
    000000000000000029039807d8ea82a2\
    34000000000000005e33175c\
    0900001040fc54d94110ac022a260a110a0a6c6f73732f746f74616c1500000000\
    0a110a0161220c080210ac0218032203706e67c029ef10";

/// A run that has painted this many iterations, in a folder of its name.
fn run(folder: &Path, name: &str, iterations: u32) -> Run {
    let place = folder.join(name);
    fs::create_dir_all(&place).unwrap();
    let copied = |copy: &str| json!({"file": copy, "sha256": "0", "copy": copy});
    let record = json!({
        "format": 2,
        "impasto": "0.1.0",
        "name": name,
        "created": 1_700_000_000,
        "content": copied("content.png"),
        "style": copied("style.png"),
        "preset": Preset::default(),
        "preset_name": null,
        "overrides": {"settings": [], "size": null, "iterations": null, "seed": null},
        "compute": {"device": "auto", "precision": "auto", "tile": null, "out_of_memory": "tile"},
        "output": "/tmp/out.png",
    });
    fs::write(place.join("run.json"), record.to_string()).unwrap();
    let state = json!({"state": "finished", "iteration": iterations, "elapsed": 9.5});
    fs::write(place.join("state.json"), state.to_string()).unwrap();
    let run = Run::open(&place).unwrap();
    let mut metrics = crate::Metrics::open(&run.open_folder().unwrap(), None).unwrap();
    for iteration in 1..=iterations {
        metrics.append(&step(iteration, 1)).unwrap();
    }
    run
}

/// The events in a file, whose checksums are right.
fn events(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (crc, after) = after.split_first_chunk().unwrap();
        assert_eq!(u32::from_le_bytes(*crc), checksum(length));
        let (event, after) = after.split_at(u64::from_le_bytes(*length) as usize);
        let (crc, after) = after.split_first_chunk().unwrap();
        assert_eq!(u32::from_le_bytes(*crc), checksum(event));
        events.push(event.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    events
}

fn contains(event: &[u8], part: &[u8]) -> bool {
    event.windows(part.len()).any(|window| window == part)
}

#[test]
fn checksums_have_their_known_values() {
    // The check value of CRC-32C, and those of RFC 3720, appendix B.4.
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
    // The length of the first record of every event file.
    assert_eq!(checksum(&24u64.to_le_bytes()), 0x224b_7fa3);
}

#[test]
fn records_are_those_that_tensorboard_writes() {
    let version = Message::default().double(1, 1.5).bytes(3, VERSION);
    let scalar = Message::default().bytes(1, "loss/total").float(2, 0.0);
    let image = Message::default()
        .integer(1, 2)
        .integer(2, 300)
        .integer(3, RGB)
        .bytes(4, "png");
    let image = Message::default().bytes(1, "a").message(4, image);
    let summary = Message::default().message(1, scalar).message(1, image);
    let event = Message::default()
        .double(1, 1_700_000_000.25)
        .integer(2, 300)
        .message(5, summary);
    let mut out = Vec::new();
    for record in [version, Message::default(), event] {
        write_record(record.as_bytes(), &mut out).unwrap();
    }
    let hexadecimal: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hexadecimal, WRITTEN_BY_TENSORBOARD);
}

#[test]
fn a_run_is_exported_and_exported_again() {
    let (runs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = folder.path().join("new/tensorboard");
    let shorter = run(runs.path(), "one", 3);
    let file = export(&shorter, &folder).unwrap();
    let place = folder.join("one");
    assert_eq!(file, place.join("events.out.tfevents.1700000000.impasto"));
    // The version, the preset, three steps and the end.
    assert_eq!(events(&file).len(), 6);
    let longer = run(runs.path(), "one", 5);
    assert_eq!(export(&longer, &folder).unwrap(), file);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    let events = events(&file);
    assert_eq!(events.len(), 8);
    assert!(contains(&events[0], VERSION.as_bytes()));
    assert!(contains(&events[1], b"    name: "));
    for tag in ["loss/total", "content/relu4_2", "style/relu1_1"] {
        assert!(contains(&events[2], tag.as_bytes()), "{tag}");
    }
    let time = [&[9][..], &1_700_000_000.125f64.to_le_bytes()].concat();
    assert!(events[2].starts_with(&time));
    let end = [&[9][..], &1_700_000_009.5f64.to_le_bytes(), &[16, 5]].concat();
    assert!(events[7].starts_with(&end) && !contains(&events[7], b"picture"));
}

#[test]
fn events_of_something_else_stay() {
    let (runs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = run(runs.path(), "one", 3);
    let place = folder.path().join("one");
    fs::create_dir(&place).unwrap();
    let other = place.join("events.out.tfevents.1600000000.impasto");
    fs::write(&other, "other").unwrap();
    let error = export(&run, folder.path()).unwrap_err().to_string();
    assert!(error.contains("1600000000"), "{error}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    fs::remove_file(other).unwrap();
    export(&run, folder.path()).unwrap();
}

#[test]
fn the_picture_is_that_of_a_run_that_ended() {
    let (runs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = run(runs.path(), "one", 3);
    let mut png = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(7, 5, image::Rgb([9; 3]));
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    fs::write(run.result_path(), &png).unwrap();
    let last = || events(&export(&run, folder.path()).unwrap()).pop().unwrap();
    let event = last();
    assert!(contains(&event, &png));
    assert!(contains(&event, &[8, 5, 16, 7, 24, 3, 34]));
    // As a run that was stopped, resumed and killed.
    fs::write(
        runs.path().join("one/state.json"),
        r#"{"state":"painting"}"#,
    )
    .unwrap();
    assert!(!contains(&last(), &png));
    fs::write(runs.path().join("one/state.json"), r#"{"state":"stopped"}"#).unwrap();
    fs::write(run.result_path(), &png[..20]).unwrap();
    let error = export(&run, folder.path()).unwrap_err().to_string();
    assert!(error.contains("result.png is cut short"), "{error}");
    fs::remove_file(run.result_path()).unwrap();
    symlink("/etc/passwd", run.result_path()).unwrap();
    let error = export(&run, folder.path()).unwrap_err().to_string();
    assert!(error.contains("not an ordinary file"), "{error}");
}

#[test]
fn keys_are_named_with_dots() {
    let mut keys = BTreeMap::new();
    let value = json!({"a": {"b": 1.5, "c": {"d": true}}, "e": "x", "f": [1, {"g": 2}], "h": null});
    flatten("", &value, &mut keys);
    let keys: Vec<(&str, &[u8])> = keys
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_bytes()))
        .collect();
    let number = Message::default().double(2, 1.5);
    let expected: [(&str, &[u8]); 4] = [
        ("a.b", number.as_bytes()),
        ("a.c.d", &[32, 1]),
        ("e", b"\x1a\x01x"),
        ("f", b"\x1a\x0b[1,{\"g\":2}]"),
    ];
    assert_eq!(keys, expected);
}

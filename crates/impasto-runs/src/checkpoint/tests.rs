use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn position(iteration: u32) -> Position {
    Position {
        preset: Preset::default(),
        start: None,
        output: PathBuf::from("/tmp/out.png"),
        sizes: Vec::new(),
        tile: None,
        scale: 0,
        iteration,
        in_scale: iteration,
        failures: 0,
        elapsed: 0.1 + 0.2,
        accepted: None,
        best: None,
    }
}

/// Of pictures of two by four pixels.
fn sizes(_: &Preset) -> Vec<Size> {
    vec![Size {
        width: 2,
        height: 4,
        iterations: 100,
    }]
}

fn named(name: &str, value: u8) -> Array {
    Array {
        name: name.to_owned(),
        shape: vec![2, 4],
        wide: false,
        bytes: vec![value; 32],
    }
}

/// The contents after this many iterations: the last three steps are known.
fn contents(iteration: u32, kept: &BTreeSet<String>) -> Contents {
    let frozen = (iteration.saturating_sub(2)..=iteration).map(|step| {
        let name = format!("s{step}");
        if kept.contains(&name) {
            Array::kept(name)
        } else {
            named(&name, step as u8)
        }
    });
    Contents {
        numbers: BTreeMap::from([("rate".to_owned(), f64::INFINITY.to_bits())]),
        arrays: vec![named("image", 100 + iteration as u8)],
        frozen: frozen.collect(),
    }
}

fn written(folder: &Path, iterations: std::ops::RangeInclusive<u32>) -> Checkpoints {
    let mut checkpoints = Checkpoints::open(&Folder::open(folder).unwrap()).unwrap();
    for iteration in iterations {
        let contents = contents(iteration, &checkpoints.frozen());
        checkpoints.write(&position(iteration), &contents).unwrap();
    }
    checkpoints
}

fn whole(iteration: u32) -> Checkpoint {
    Checkpoint {
        position: position(iteration),
        contents: contents(iteration, &BTreeSet::new()),
        notice: None,
    }
}

fn newest(folder: &Path) -> PathBuf {
    let folder = Folder::open(&folder.join(FOLDER)).unwrap();
    let number = |name: &String| read_header(&folder, name).unwrap().0.number;
    let name = (0..2).map(generation_name).max_by_key(number).unwrap();
    folder.path().join(name)
}

#[test]
fn the_newest_comes_back_and_little_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        Checkpoints::open(&Folder::open(folder.path()).unwrap())
            .unwrap()
            .read(&sizes)
            .is_err()
    );
    let mut checkpoints = written(folder.path(), 0..=20);
    assert_eq!(checkpoints.read(&sizes).unwrap(), whole(20));
    let files = fs::read_dir(folder.path().join(FOLDER)).unwrap().count();
    // Two generations, and the steps that they remember.
    assert!(files <= 2 + 4, "{files} files");
    // Another process continues where this one ended.
    assert_eq!(
        written(folder.path(), 21..=22).read(&sizes).unwrap(),
        whole(22)
    );
}

#[test]
fn any_damaged_byte_costs_one_generation_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoints = written(folder.path(), 0..=5);
    let path = newest(folder.path());
    let bytes = fs::read(&path).unwrap();
    for index in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let read = checkpoints.read(&sizes).unwrap();
        assert_eq!(read.position, position(4), "byte {index}");
        assert_eq!(read.contents, whole(4).contents);
        assert!(read.notice.is_some());
    }
    for length in (0..bytes.len()).step_by(11) {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(checkpoints.read(&sizes).unwrap().position, position(4));
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(checkpoints.read(&sizes).unwrap(), whole(5));
}

#[test]
fn without_its_history_a_run_still_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoints = written(folder.path(), 0..=5);
    fs::remove_file(folder.path().join(FOLDER).join(frozen_name(5))).unwrap();
    let read = checkpoints.read(&sizes).unwrap();
    assert_eq!(read.contents.arrays, whole(5).contents.arrays);
    assert!(read.contents.frozen.is_empty() && read.notice.is_some());
}

#[test]
fn a_broken_newest_one_is_not_built_upon() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = written(folder.path(), 0..=5);
    fs::write(newest(folder.path()), b"rubbish").unwrap();
    drop(checkpoints);
    let mut checkpoints = written(folder.path(), 6..=6);
    assert_eq!(checkpoints.read(&sizes).unwrap().position, position(6));
    let mut checkpoints = written(folder.path(), 7..=7);
    assert_eq!(checkpoints.read(&sizes).unwrap(), whole(7));
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoints = written(folder.path(), 0..=5);
    // Stands for any write that fails: the place is taken by a folder.
    let in_the_way = folder.path().join(FOLDER).join(generation_name(6));
    let held = fs::read(&in_the_way).unwrap();
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    let new = contents(6, &checkpoints.frozen());
    assert!(checkpoints.write(&position(6), &new).is_err());
    let another = Checkpoints::open(&Folder::open(folder.path()).unwrap())
        .unwrap()
        .read(&sizes);
    assert_eq!(another.unwrap().contents, whole(5).contents);
    fs::remove_dir(&in_the_way).unwrap();
    fs::write(&in_the_way, held).unwrap();
    checkpoints.write(&position(6), &new).unwrap();
    assert_eq!(checkpoints.read(&sizes).unwrap(), whole(6));
}

#[test]
fn more_than_the_run_can_need_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder::open(folder.path()).unwrap();
    let inner = place.make_folder(FOLDER).unwrap();
    // A file full of holes, that says it holds six gigabytes.
    let bytes = 6 << 30;
    let mut huge = Header {
        number: 7,
        position: position(1),
        numbers: BTreeMap::new(),
        arrays: vec![ArrayHeader {
            name: "image".to_owned(),
            shape: vec![1, 3, 1 << 15, 1 << 14],
            wide: false,
            bytes,
        }],
        frozen: Vec::new(),
    };
    let write = |header: &Header| {
        let text = serde_json::to_vec(header).unwrap();
        let written = inner.write_with("generation-1", false, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&[0; 32])?;
            file.write_all(&(text.len() as u64).to_le_bytes())?;
            file.write_all(&text)?;
            file.set_len(48 + text.len() as u64 + bytes)
        });
        written.unwrap();
        let mut checkpoints = Checkpoints::open(&place).unwrap();
        checkpoints.read(&sizes).unwrap_err()
    };
    let error = write(&huge);
    assert!(
        error.contains("more data than this run can need"),
        "{error}"
    );
    // In a thousand portions.
    let portion = ArrayHeader {
        bytes: bytes / 1024,
        ..huge.arrays[0].clone()
    };
    huge.arrays = vec![portion; 1024];
    let error = write(&huge);
    assert!(
        error.contains("more data than this run can need"),
        "{error}"
    );
}

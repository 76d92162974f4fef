use super::*;

fn networks() -> (tempfile::TempDir, Networks) {
    let home = tempfile::tempdir().unwrap();
    let networks = Networks::with_folder(home.path().join("not/there"));
    (home, networks)
}

fn note() -> Note {
    Note {
        url: "https://example.org/a.pth".to_owned(),
        validator: Some("\"a\"".to_owned()),
        size: Some(100),
    }
}

fn files(networks: &Networks) -> Vec<String> {
    let files = fs::read_dir(networks.folder().unwrap()).unwrap();
    let mut names: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_came_is_there_the_next_time() {
    let (_home, networks) = networks();
    let mut part = Part::open(&networks, "a").unwrap();
    assert_eq!((part.length(), part.note()), (0, &Note::default()));
    part.begin(note(), b"open").unwrap();
    part.append(b"ing").unwrap();
    drop(part);
    assert_eq!(files(&networks), ["a.part", "a.part.json"]);

    let mut part = Part::open(&networks, "a").unwrap();
    assert_eq!((part.length(), part.note()), (7, &note()));
    assert!(part.begins_with(b"opening") && part.begins_with(b""));
    assert!(!part.begins_with(b"openings") && !part.begins_with(b"closing"));
    // `printf opening | sha256sum`
    let sha256 = part.sha256(|_| false).unwrap().unwrap();
    assert!(sha256.starts_with("2b3fdf05"), "{sha256}");
    assert_eq!(part.sha256(|_| true).unwrap(), None);

    part.begin(Note::default(), b"").unwrap();
    part.append(b"new").unwrap();
    assert_eq!(fs::read(part.path()).unwrap(), b"new");
    part.remove();
    assert!(files(&networks).is_empty());
}

#[test]
fn what_is_not_certain_is_dropped() {
    let (_home, networks) = networks();
    let mut part = Part::open(&networks, "a").unwrap();
    part.begin(note(), b"certain").unwrap();
    // As if the machine had been turned off.
    part.file.write_all_at(&[0; 100], 7).unwrap();
    let path = part.path().to_owned();
    drop(part);
    let part = Part::open(&networks, "a").unwrap();
    assert_eq!(part.length(), 7);
    assert_eq!(fs::read(&path).unwrap(), b"certain");
    drop(part);

    // A note of more than there is, and a note that is none.
    for (bytes, kept) in [(&b"cert"[..], None), (b"certain", Some("{"))] {
        fs::write(&path, bytes).unwrap();
        if let Some(kept) = kept {
            fs::write(note_path(&path), kept).unwrap();
        }
        let mut part = Part::open(&networks, "a").unwrap();
        assert_eq!((part.length(), part.note()), (0, &Note::default()));
        part.begin(note(), b"certain").unwrap();
    }
}

#[test]
fn much_is_put_on_the_disk_as_it_comes() {
    let (_home, networks) = networks();
    let mut part = Part::open(&networks, "a").unwrap();
    part.begin(note(), b"").unwrap();
    let secured = |part: &Part| part.read_note().unwrap().secured;
    part.append(&[1; 100]).unwrap();
    assert_eq!(secured(&part), 0);
    part.append(&vec![1; SECURE as usize]).unwrap();
    assert_eq!(secured(&part), SECURE + 100);
}

#[test]
fn nobody_else_has_the_part() {
    let (_home, networks) = networks();
    let mut part = Part::open(&networks, "a").unwrap();
    let busy = Part::open(&networks, "a").unwrap_err();
    assert_eq!(
        busy.to_string(),
        "`a` is being fetched already, by another process. Wait until it is done."
    );
    Part::open(&networks, "b").unwrap();
    part.begin(note(), b"a").unwrap();
    drop(part);
    // A part without a byte leaves nothing behind.
    assert_eq!(files(&networks), ["a.part", "a.part.json"]);
    Part::open(&networks, "a").unwrap();
}

#[test]
fn a_disk_without_room_is_reported() {
    let (_home, networks) = networks();
    let part = Part::open(&networks, "a").unwrap();
    part.check_room(1).unwrap();
    let error = part.check_room(u64::MAX / 2).unwrap_err().to_string();
    assert!(error.starts_with("There is not enough room in "), "{error}");
    assert!(error.contains("MB are needed"), "{error}");
    assert!(enough(2 << 20, 1 << 20) && !enough((2 << 20) - 1, 1 << 20));
    assert!(!enough(u64::MAX - 1, u64::MAX));

    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = FetchError::not_written(Path::new("/a/b.part"), 81_000_001, full);
    assert_eq!(
        error.to_string(),
        "There is not enough room in /a: 82 MB are needed. Make room, or set XDG_DATA_HOME to a \
         folder on a larger disk."
    );
}

#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let networks = Networks::with_folder(file.path().join("networks"));
    let error = Part::open(&networks, "a").unwrap_err().to_string();
    assert!(error.starts_with("Cannot write "), "{error}");
}

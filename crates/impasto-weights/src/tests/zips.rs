//! Zip files that are not as PyTorch writes them.

use super::*;

/// A stored entry: its name, its contents, and what is done to its records.
struct Part {
    name: &'static str,
    contents: Vec<u8>,
    method: u16,
    flags: u16,
    crc32: Option<u32>,
    length: Option<u32>,
    header: Option<u32>,
}

fn part(name: &'static str, contents: &[u8]) -> Part {
    Part {
        name,
        contents: contents.to_vec(),
        method: 0,
        flags: 0,
        crc32: None,
        length: None,
        header: None,
    }
}

/// A zip file of these entries whose end record claims `count` of them.
fn zip(parts: &[Part], count: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for part in parts {
        let header = part.header.unwrap_or(file.len() as u32);
        let length = part.length.unwrap_or(part.contents.len() as u32);
        let crc32 = part
            .crc32
            .unwrap_or_else(|| crc32fast::hash(&part.contents));
        let mut fields = Vec::new();
        for field in [20, part.flags, part.method, 0, 0] {
            fields.extend(u16::to_le_bytes(field));
        }
        for field in [crc32, length, length] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend((part.name.len() as u16).to_le_bytes());
        fields.extend([0; 2]);

        file.extend(b"PK\x03\x04");
        file.extend(&fields);
        file.extend(part.name.bytes());
        file.extend(&part.contents);

        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(header.to_le_bytes());
        directory.extend(part.name.bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// The pickle of `float32.pth`, out of its zip file.
fn pickle() -> Vec<u8> {
    let bytes = fs::read(folder().join("float32.pth")).unwrap();
    let mut source = Source::new(Cursor::new(bytes)).unwrap();
    let entries = zip::entries(&mut source).unwrap();
    let entry = (entries.iter())
        .find(|entry| entry.name.ends_with("data.pkl"))
        .unwrap();
    source
        .bytes(entry.region.start, entry.region.length)
        .unwrap()
}

/// Parts that make a whole file of `float32.pth`'s shapes, filled with zeros.
fn parts() -> Vec<Part> {
    let storages = [
        ("a/data/0", 108),
        ("a/data/1", 4),
        ("a/data/2", 72),
        ("a/data/3", 2),
    ];
    let mut parts = vec![part("a/data.pkl", &pickle())];
    for (name, count) in storages {
        parts.push(part(name, &vec![0; count * 4]));
    }
    parts.push(part("a/data/4", &[0; 40]));
    parts
}

fn refuse_parts(change: impl FnOnce(&mut Vec<Part>)) -> String {
    let mut parts = parts();
    change(&mut parts);
    refuse(zip(&parts, parts.len() as u16))
}

#[test]
fn a_plain_zip_file_is_read() {
    let parts = parts();
    let mut archive = Archive::open(Cursor::new(zip(&parts, 6))).unwrap();
    let tensor = archive.tensors[0].clone();
    assert_eq!(archive.values(&tensor).unwrap(), [0.0; 108]);
}

#[test]
fn a_wrong_checksum_is_found() {
    let mut parts = parts();
    parts[1].crc32 = Some(1);
    let mut archive = Archive::open(Cursor::new(zip(&parts, 6))).unwrap();
    let tensors = archive.tensors.clone();
    let message = archive.values(&tensors[0]).unwrap_err().to_string();
    assert!(
        message.contains("`features.0.weight`: its checksum"),
        "{message}"
    );
    assert!(archive.values(&tensors[1]).is_ok());
    assert!(refuse_parts(|parts| parts[0].crc32 = Some(1)).contains("checksum"));
}

#[test]
fn odd_entries_are_refused() {
    let deflated = refuse_parts(|parts| parts[2].method = 8);
    assert!(deflated.contains("`a/data/1` is compressed"), "{deflated}");
    let encrypted = refuse_parts(|parts| parts[2].flags = 1);
    assert!(encrypted.contains("encrypted"), "{encrypted}");
    let twice = refuse_parts(|parts| parts[2].name = "a/data/0");
    assert!(
        twice.contains("two entries of the name `a/data/0`"),
        "{twice}"
    );
    let overlapping = refuse_parts(|parts| parts[1].length = Some(480));
    assert!(overlapping.contains("overlap"), "{overlapping}");
    let shared = refuse_parts(|parts| {
        parts[2].header = Some(0);
        parts[2].name = "a/data.pkl";
    });
    assert!(shared.contains("overlap"), "{shared}");
    let beyond = refuse_parts(|parts| parts[5].length = Some(400));
    assert!(beyond.contains("is invalid"), "{beyond}");
    let huge = refuse_parts(|parts| parts[5].length = Some(u32::MAX));
    assert!(huge.contains("is invalid"), "{huge}");
    let far = refuse_parts(|parts| parts[5].header = Some(1 << 30));
    assert!(far.contains("ends too early"), "{far}");
    let short = refuse_parts(|parts| parts[1].contents.truncate(400));
    assert!(
        short.contains("storage `0` does not have its size"),
        "{short}"
    );
    let missing = refuse_parts(|parts| drop(parts.remove(1)));
    assert!(missing.contains("storage `0` is missing"), "{missing}");
}

#[test]
fn the_records_of_an_entry_must_agree() {
    let good = zip(&parts(), 6);
    // Not the very first record, by which the file is known for a zip file.
    let find = |signature: &[u8]| (1..).find(|&at| good[at..].starts_with(signature)).unwrap();
    let local = find(b"PK\x03\x04");
    let central = find(b"PK\x01\x02");
    let end = find(b"PK\x05\x06");
    for (at, what) in [
        (local, "the local signature"),
        (local + 30, "the local name"),
        (central, "the central signature"),
        (central + 20, "the stored size"),
        (central + 24, "the size"),
        (end + 12, "the size of the list"),
        (end + 16, "the place of the list"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(refuse(bad).contains("is invalid"), "{what}");
    }
    // Bytes between the list and the end record.
    let mut gap = good.clone();
    gap.splice(end..end, *b"gap");
    assert!(refuse(gap).contains("is invalid"));
    let mut comment = good.clone();
    comment.extend(b"comment");
    assert!(refuse(comment.clone()).contains("directory is missing"));
    let length = good.len();
    comment[length - 2] = 7;
    assert!(Archive::open(Cursor::new(comment)).is_ok());
}

#[test]
fn zip_files_of_other_programs_are_distinguished() {
    let script = refuse_parts(|parts| parts.push(part("a/constants.pkl", b"")));
    assert!(script.contains("TorchScript"), "{script}");
    let big = refuse_parts(|parts| parts.push(part("a/byteorder", b"big")));
    assert!(big.contains("big-endian"), "{big}");
    let other = refuse(zip(&[part("word/document.xml", b"<a/>")], 1));
    assert!(other.contains("not one by PyTorch"), "{other}");
    let two = refuse_parts(|parts| parts.push(part("b/data.pkl", b"")));
    assert!(two.contains("not one by PyTorch"), "{two}");
}

#[test]
fn a_list_of_contents_cannot_claim_more_than_it_holds() {
    let parts = parts();
    for count in [0, 5, 7, u16::MAX] {
        assert!(refuse(zip(&parts, count)).contains("is invalid"), "{count}");
    }
    // A large file that consists of nothing but a list of contents.
    let many: Vec<Part> = (0..30_000).map(|_| part("0123456789", b"")).collect();
    assert!(refuse(zip(&many, 30_000)).contains("far too long"));
}

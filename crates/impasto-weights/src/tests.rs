//! The readers against what PyTorch and safetensors wrote; see
//! `tests/oracle/weights.py`.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

#[derive(Clone, Deserialize)]
struct Expected {
    dtype: String,
    shape: Vec<u64>,
    values: Option<Vec<f32>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Tensors {
    Own(HashMap<String, Expected>),
    SameAs(String),
}

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/weights")
}

/// Every fixture and the tensors in it.
fn fixtures() -> Vec<(String, HashMap<String, Expected>)> {
    let text = fs::read_to_string(folder().join("values.json")).unwrap();
    let files: HashMap<String, Tensors> = serde_json::from_str(&text).unwrap();
    (files.keys())
        .map(|name| {
            let tensors = match &files[name] {
                Tensors::SameAs(other) => &files[other],
                own @ Tensors::Own(_) => own,
            };
            match tensors {
                Tensors::Own(tensors) => (name.clone(), tensors.clone()),
                Tensors::SameAs(_) => panic!("{name}: not the first"),
            }
        })
        .collect()
}

fn open(name: &str) -> Archive<Cursor<Vec<u8>>> {
    let bytes = fs::read(folder().join(name)).unwrap();
    Archive::open(Cursor::new(bytes)).unwrap_or_else(|kind| panic!("{name}: {kind}"))
}

fn refuse(bytes: impl Into<Vec<u8>>) -> String {
    Archive::open(Cursor::new(bytes.into()))
        .unwrap_err()
        .to_string()
}

#[test]
fn every_format_and_type_gives_the_values_that_were_saved() {
    let fixtures = fixtures();
    assert_eq!(fixtures.len(), 21);
    for (name, expected) in fixtures {
        let mut archive = open(&name);
        let format = if name.ends_with(".safetensors") {
            Format::Safetensors
        } else if name.ends_with(".old.pth") {
            Format::PyTorchLegacy
        } else if name == "oldest.pth" {
            Format::PyTorchTar
        } else {
            Format::PyTorch
        };
        assert_eq!(archive.format, format, "{name}");

        let tensors = archive.tensors.clone();
        assert_eq!(tensors.len(), expected.len(), "{name}");
        for tensor in tensors {
            let expected = &expected[&tensor.name];
            let place = format!("{name}, {}", tensor.name);
            assert_eq!(tensor.shape, expected.shape, "{place}");
            let dtype = match expected.dtype.as_str() {
                "float64" => Dtype::Float64,
                "float32" => Dtype::Float32,
                "float16" => Dtype::Float16,
                "bfloat16" => Dtype::BFloat16,
                _ => Dtype::Other,
            };
            assert_eq!(tensor.dtype, dtype, "{place}");
            match (archive.values(&tensor), &expected.values) {
                (Ok(values), Some(expected)) => assert_eq!(&values, expected, "{place}"),
                (Err(WeightsErrorKind::Unsupported(_)), None) => {}
                (found, _) => panic!("{place}: {found:?}"),
            }
        }
    }
}

#[test]
fn a_safetensors_header_gives_its_metadata() {
    let metadata = open("float32.safetensors").metadata;
    assert_eq!(metadata["convention"], "rgb-imagenet");
}

#[test]
fn files_of_other_kinds_are_distinguished() {
    for bytes in [
        &b""[..],
        b"PK",
        b"\x89HDF\r\n\x1a\n",
        b"{\"a\": 1}",
        &[0x80; 600],
        &[0; 600],
    ] {
        assert!(refuse(bytes).contains("none of the known formats"));
    }
    let empty_zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert!(refuse(empty_zip).contains("none of the known formats"));
}

/// A safetensors file with this header and as many bytes of data.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn a_safetensors_header_must_agree_with_itself_and_the_file() {
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a\u001b": {{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let good = safetensors(&entry("F32", "[2,1]", "[0,8]"), 8);
    assert_eq!(Archive::open(Cursor::new(good)).unwrap().tensors.len(), 1);
    for (dtype, shape, offsets, words) in [
        ("F32", "[2,1]", "[0,12]", "ends too early"),
        ("F32", "[2,1]", "[1,8]", "does not fit its shape"),
        ("F32", "[2,1]", "[8,0]", "ends before it begins"),
        ("F32", "[3]", "[0,8]", "does not fit its shape"),
        ("F16", "[2]", "[0,8]", "does not fit its shape"),
        ("F32", "[-2]", "[0,8]", "its header"),
        ("F32", "[2.0]", "[0,8]", "its header"),
        (
            "F32",
            "[2]",
            "[18446744073709551608,18446744073709551615]",
            "out of range",
        ),
    ] {
        let message = refuse(safetensors(&entry(dtype, shape, offsets), 8));
        assert!(message.contains(words), "{message}");
        assert!(!message.contains('\u{1b}'));
    }
    // So large that its size in bytes is no number: found when it is read.
    let huge = safetensors(&entry("F32", "[4611686018427387904,4]", "[0,8]"), 8);
    let mut archive = Archive::open(Cursor::new(huge)).unwrap();
    let tensor = archive.tensors[0].clone();
    let message = archive.values(&tensor).unwrap_err().to_string();
    assert!(
        message.contains("`a\\u{1b}`: its shape is out of range"),
        "{message}"
    );

    let mut long = safetensors("{}", 0);
    long[..8].copy_from_slice(&(16_u64 << 20).wrapping_sub(1).to_le_bytes());
    assert!(refuse(long).contains("header is too long"));
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(refuse(safetensors(&deep, 0)).contains("its header"));
}

#[test]
fn a_tar_file_must_agree_with_itself() {
    let good = fs::read(folder().join("oldest.pth")).unwrap();
    let find = |name: &str| {
        (good.chunks(512))
            .position(|block| block.starts_with(name.as_bytes()))
            .map(|block| block * 512)
            .unwrap()
    };
    let refuse_change = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        refuse(bad)
    };
    let strange = "list of tensors is invalid";
    // A name or a size other than the header's own checksum says.
    assert!(refuse_change(find("pickle"), b"q").contains(strange));
    assert!(refuse_change(find("storages") + 124, b"1").contains(strange));
    // The number of the first storage's elements, 108.
    let storages = find("storages") + 512;
    let count = (storages..)
        .find(|&at| good[at..].starts_with(&108_u64.to_le_bytes()))
        .unwrap();
    for many in [1 << 9, 1 << 30, 1 << 62, u64::MAX] {
        let message = refuse_change(count, &u64::to_le_bytes(many));
        assert!(message.contains(strange), "{many}: {message}");
    }
    // The number of the first tensor's dimensions, 4 in 32 bits and 4 not used.
    let tensors = find("tensors") + 512;
    let dimensions = (tensors..)
        .find(|&at| good[at..].starts_with(&[4, 0, 0, 0, 0, 0, 0, 0, 4]))
        .unwrap();
    for many in [-1, 17, i32::MAX] {
        let message = refuse_change(dimensions, &i32::to_le_bytes(many));
        assert!(message.contains(strange), "{many}: {message}");
    }
}

#[test]
fn a_large_file_that_is_no_network_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.safetensors");
    let header = br#"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}"#;
    let start = [&(header.len() as u64).to_le_bytes(), &header[..]].concat();
    for bytes in [&start[..], b"\0\0rubbish"] {
        fs::write(&path, bytes).unwrap();
        // Full of holes; reading it to its end would take an hour.
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1 << 42).unwrap();
        assert!(read(&path, None).is_err());
    }
}

#[test]
fn errors_name_the_file_and_the_way_out() {
    let error = |path: &str| read(Path::new(path), None).unwrap_err().to_string();
    assert_eq!(
        error("/nowhere/a\u{1b}b.pth"),
        "Cannot use the weights in /nowhere/a\\u{1b}b.pth: there is no such file. Check the name \
         and the folder you are in."
    );
    assert!(error("/").contains("not an ordinary file"));
    assert!(error("/dev/zero").contains("not an ordinary file"));
}

#[test]
fn a_network_of_other_shapes_is_refused() {
    let error = read(&folder().join("float32.pth"), None).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("`features.0.weight` has the shape [4, 3, 3, 3], not [64, 3, 3, 3]"),
        "{message}"
    );
}

mod pickled;
mod zips;

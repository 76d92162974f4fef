//! The weights reader against files that are broken on purpose, and against a
//! file of full size, with an eye on how much memory it takes.

#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use impasto_weights::{Architecture, Archive, Convention, Format, WeightsErrorKind, read};

/// Counts the bytes that each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; the cells are
// const and have no destructor, so touching them allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get().saturating_add(layout.size()));
        PEAK.set(PEAK.get().max(HELD.get()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held at a time beyond those held before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

fn fixtures() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/weights");
    let mut fixtures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension != "json")
        })
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    fixtures.sort();
    assert_eq!(fixtures.len(), 21);
    fixtures
}

/// Everything that can be read of a file; none if it is refused.
fn read_all(bytes: &[u8]) -> Option<Vec<(String, Vec<f32>)>> {
    let mut archive = Archive::open(Cursor::new(bytes)).ok()?;
    let mut read = Vec::new();
    for tensor in archive.tensors.clone() {
        match archive.values(&tensor) {
            Ok(values) => read.push((tensor.name, values)),
            Err(WeightsErrorKind::Unsupported(_)) => {}
            Err(_) => return None,
        }
    }
    Some(read)
}

/// As [`read_all`], with a bound on memory that leaves room for a buffer of
/// 64 kB or two and no more than a few times the file.
fn read_bounded(bytes: &[u8], what: impl Fn() -> String) -> Option<Vec<(String, Vec<f32>)>> {
    let (read, peak) = peak(|| read_all(bytes));
    let bound = 300_000 + 16 * bytes.len();
    assert!(peak < bound, "{} took {peak} bytes", what());
    read
}

#[test]
fn every_beginning_of_a_file_is_refused() {
    for (path, bytes) in fixtures() {
        let whole = read_all(&bytes).unwrap();
        for length in 0..bytes.len() {
            let what = || format!("{} cut to {length}", path.display());
            let read = read_bounded(&bytes[..length], what);
            // A tar file ends in empty blocks, which need not all be there.
            let ending = path.ends_with("oldest.pth") && bytes[length..].iter().all(|&b| b == 0);
            let harmless = ending && read.as_ref() == Some(&whole);
            assert!(read.is_none() || harmless, "{}", what());
        }
    }
}

#[test]
fn changed_bytes_never_crash_the_reader_nor_fill_the_memory() {
    let mut accepted = 0_usize;
    let mut refused = 0_usize;
    for (path, bytes) in fixtures() {
        let whole = read_all(&bytes).unwrap();
        let mut changed = bytes.clone();
        for at in 0..bytes.len() {
            for value in [
                0,
                1,
                0x7f,
                0x80,
                0xff,
                bytes[at] ^ 1,
                bytes[at].wrapping_add(1),
            ] {
                changed[at] = value;
                let what = || format!("{} with {value:#x} at {at}", path.display());
                match read_bounded(&changed, what) {
                    None => refused += 1,
                    Some(read) => {
                        accepted += 1;
                        // A zip file has checksums for everything that counts.
                        let same = !bytes.starts_with(b"PK") || read == whole;
                        assert!(same, "{}", what());
                    }
                }
            }
            changed[at] = bytes[at];
        }
    }
    assert!(
        accepted > 10_000 && refused > 10_000,
        "{accepted}, {refused}"
    );
}

#[test]
fn several_changes_at_a_time_never_crash_the_reader() {
    // A small generator of numbers (xorshift), so that every run is the same.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let fixtures = fixtures();
    for round in 0..20_000 {
        let (path, bytes) = &fixtures[random(fixtures.len())];
        let mut changed = bytes.clone();
        for _ in 0..=random(4) {
            let at = random(changed.len());
            match random(5) {
                0 => changed[at] = random(256) as u8,
                1 => changed.truncate(at.max(16)),
                // A large number where a length or a count may be.
                2 => {
                    let end = changed.len().min(at + 1 + random(8));
                    changed[at..end].fill(0xff);
                }
                // A piece of another file.
                3 => {
                    let other = &fixtures[random(fixtures.len())].1;
                    let from = random(other.len());
                    let piece = &other[from..other.len().min(from + random(64))];
                    let end = changed.len().min(at + piece.len());
                    changed.splice(at..end, piece.iter().copied());
                }
                // A piece of its own, once more.
                _ => {
                    let end = changed.len().min(at + random(64));
                    let piece = changed[at..end].to_vec();
                    changed.splice(at..at, piece);
                }
            }
        }
        read_bounded(&changed, || format!("round {round}, {}", path.display()));
    }
}

/// A file of VGG-19's size, classifier included: zeros but for the first value
/// of each convolution's weight, which is its number. The zeros take no room
/// on the disk.
fn vgg19(metadata: &str, change: impl FnOnce(&mut File, u64)) -> tempfile::NamedTempFile {
    let mut entries = format!(r#"{{"__metadata__":{{{metadata}}}"#);
    let mut end = 0;
    let mut entry = |name: &str, shape: &[u64]| {
        let begin = end;
        end += 4 * shape.iter().product::<u64>();
        entries += &format!(
            r#","{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        );
        begin
    };
    let mut begins = Vec::new();
    let (mut number, mut inputs) = (0, 3);
    for (outputs, count) in [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)] {
        for _ in 0..count {
            begins.push(entry(
                &format!("features.{number}.weight"),
                &[outputs, inputs, 3, 3],
            ));
            entry(&format!("features.{number}.bias"), &[outputs]);
            number += 2;
            inputs = outputs;
        }
        number += 1;
    }
    entry("classifier.0.weight", &[4096, 25088]);
    entry("classifier.3.weight", &[4096, 4096]);
    entry("classifier.6.weight", &[1000, 4096]);
    entries.push('}');

    let mut named = tempfile::NamedTempFile::new().unwrap();
    let file = named.as_file_mut();
    file.write_all(&(entries.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(entries.as_bytes()).unwrap();
    let data = 8 + entries.len() as u64;
    file.set_len(data + end).unwrap();
    for (number, begin) in begins.into_iter().enumerate() {
        file.seek(SeekFrom::Start(data + begin)).unwrap();
        file.write_all(&(number as f32).to_le_bytes()).unwrap();
    }
    change(file, data);
    named
}

#[test]
fn a_file_of_full_size_takes_the_memory_of_its_convolutions() {
    let file = vgg19(r#""convention":"bgr-minus-mean""#, |_, _| {});
    assert!(file.as_file().metadata().unwrap().len() > 570_000_000);
    let (weights, peak) = peak(|| read(file.path(), None).unwrap());
    assert_eq!(weights.architecture, Architecture::Vgg19);
    assert_eq!(weights.convention, Convention::BgrMinusMean);
    assert_eq!(weights.format, Format::Safetensors);
    assert_eq!(weights.deepest().unwrap().name(), "conv5_4");
    assert_eq!(weights.convolutions.len(), 16);
    let mut size = 0;
    for (number, convolution) in weights.convolutions.iter().enumerate() {
        assert_eq!(
            convolution.weight.len(),
            convolution.shape.iter().product::<usize>()
        );
        assert_eq!(convolution.bias.len(), convolution.shape[0]);
        assert_eq!(convolution.weight[0], number as f32);
        assert!(convolution.weight[1..].iter().all(|&value| value == 0.0));
        size += 4 * (convolution.weight.len() + convolution.bias.len());
    }
    assert_eq!(size, 80_097_536);
    assert!(peak < size + 1_000_000, "{peak} bytes for {size}");
}

#[test]
fn values_that_are_not_finite_are_refused_with_their_layer() {
    let file = vgg19("", |file, data| {
        // The bias of conv1_1, after 64 × 3 × 3 × 3 weights.
        file.seek(SeekFrom::Start(data + 4 * (1728 + 7))).unwrap();
        file.write_all(&f32::NAN.to_le_bytes()).unwrap();
    });
    let error = read(file.path(), Some(Convention::RgbImageNet)).unwrap_err();
    assert!(
        matches!(&error.kind, WeightsErrorKind::NotFinite(layer) if layer == "conv1_1"),
        "{error}"
    );
}

#[test]
fn the_built_in_weights_are_known() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("weights/vgg16.safetensors");
    let weights = read(&path, None).unwrap();
    assert_eq!(weights.architecture, Architecture::Vgg16);
    assert_eq!(weights.convention, Convention::BgrMinusMean);
    assert_eq!(weights.convolutions.len(), 13);
    let expected = "1478c08a650d61a1fa541f3fd6326098b26dac0fcdd5b0f5abbcaec18e92e667";
    assert_eq!(weights.sha256, expected);
    // The smallest bias of conv5_3 as published listings of the original give it.
    let bias = &weights.deepest().unwrap().bias;
    let least = bias.iter().copied().fold(f32::INFINITY, f32::min);
    assert!((least + 0.500_367_46).abs() < 1e-3);

    let error = read(&path, Some(Convention::RgbImageNet)).unwrap_err();
    assert!(
        matches!(error.kind, WeightsErrorKind::OtherConvention { .. }),
        "{error}"
    );
}

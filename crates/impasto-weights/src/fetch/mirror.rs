//! The convolutions of a network out of a safetensors file, without the rest
//! of it: the header says where they lie.
//!
//! What is fetched becomes a safetensors file of its own, so that it is read
//! like any other.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use super::FetchError;
use super::transfer::Transfer;
use crate::error::damaged;
use crate::tensor::Tensor;
use crate::{WeightsErrorKind, safetensors, vgg};

/// How much is asked for at first: a VGG network's header is a tenth of it.
const FIRST: u64 = 64 << 10;

/// Pieces with no more bytes between them are fetched as one.
const NEAR: u64 = 64 << 10;

/// What to fetch of a file, and what stands before it in ours.
#[derive(Debug, PartialEq)]
struct Selection {
    opening: Vec<u8>,
    pieces: Vec<Range<u64>>,
}

/// Fetches the convolutions of the file at an address into the part.
pub(super) fn fetch(transfer: &mut Transfer<'_>) -> Result<(), FetchError> {
    let mut beginning = transfer.beginning(FIRST)?;
    let header = match header_end(&beginning.bytes) {
        Ok(end) if end > beginning.bytes.len() as u64 => {
            beginning = transfer.beginning(end)?;
            header_end(&beginning.bytes)
        }
        end => end,
    };
    let selection = header.and_then(|end| {
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        let header = beginning.bytes.get(8..end);
        select(
            header.ok_or_else(|| damaged("it ends too early"))?,
            beginning.size,
        )
    });
    let Selection { opening, pieces } =
        selection.map_err(|kind| transfer.failed(&kind.to_string()))?;
    let part = &mut transfer.part;
    if *part.note() != beginning.note || !part.begins_with(&opening) {
        let path = part.path().to_owned();
        let begun: io::Result<()> = part.begin(beginning.note, &opening);
        begun.map_err(|cause| FetchError::not_written(&path, opening.len() as u64, cause))?;
    }
    transfer.pieces(opening.len() as u64, &pieces)
}

/// Where the header of a file that begins so ends.
fn header_end(bytes: &[u8]) -> Result<u64, WeightsErrorKind> {
    let length = bytes.first_chunk().ok_or(WeightsErrorKind::UnknownFormat)?;
    if bytes.get(8) != Some(&b'{') {
        return Err(WeightsErrorKind::UnknownFormat);
    }
    Ok(8 + safetensors::header_length(*length)?)
}

/// What to fetch of a file with this header and size.
fn select(header: &[u8], size: u64) -> Result<Selection, WeightsErrorKind> {
    let (tensors, _) = safetensors::parse(header, size)?;
    let (_, planned) = vgg::plan(&tensors)?;
    let mut wanted: Vec<(&Tensor, Range<u64>)> = Vec::new();
    for tensor in planned.iter().flat_map(|one| [one.weight, one.bias]) {
        let start = tensor.layout.start;
        let bytes = tensor.bytes();
        let bytes = bytes.ok_or_else(|| damaged("a tensor has no floats"))?;
        // The header was found to speak of places within the file.
        wanted.push((tensor, start..start.saturating_add(bytes)));
    }
    wanted.sort_by_key(|(_, place)| place.start);

    let mut pieces: Vec<Range<u64>> = Vec::new();
    let mut entries = Vec::new();
    let mut before = 0;
    for (tensor, place) in wanted {
        match pieces.last_mut() {
            Some(piece) if place.start <= piece.end.saturating_add(NEAR) => {
                piece.end = piece.end.max(place.end);
            }
            last => {
                before += last.map_or(0, |piece| piece.end - piece.start);
                pieces.push(place.clone());
            }
        }
        let start = pieces.last().map_or(0, |piece| piece.start);
        let begin = before + (place.start - start);
        let ours = begin..begin + (place.end - place.start);
        entries.push((tensor.name.clone(), tensor.dtype, &tensor.shape[..], ours));
    }
    let opening = safetensors::opening(entries, &BTreeMap::new());
    Ok(Selection {
        opening: opening.ok_or_else(|| damaged("a tensor has no floats"))?,
        pieces,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with two convolutions behind and before something else.
    fn header(gap: u64) -> String {
        let mut entries = Vec::new();
        let mut end = 0;
        let mut entry = |name: &str, shape: &[u64]| {
            let begin = end;
            end += 2 * shape.iter().product::<u64>();
            entries.push(format!(
                r#""{name}":{{"dtype":"F16","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
            ));
        };
        entry("features.2.weight", &[64, 64, 3, 3]);
        entry("features.2.bias", &[64]);
        entry("classifier.0.weight", &[gap / 2]);
        entry("features.0.bias", &[64]);
        entry("features.0.weight", &[64, 3, 3, 3]);
        entry("classifier.0.bias", &[1000]);
        format!("{{{}}}", entries.join(","))
    }

    #[test]
    fn only_the_convolutions_are_selected() {
        let header = header(200_000);
        let data = 8 + header.len() as u64;
        let first = 2 * (64 * 64 * 9 + 64);
        let second = 2 * (64 + 64 * 27);
        let selection = select(header.as_bytes(), data + 1_000_000).unwrap();
        let begin = data + first + 200_000;
        assert_eq!(
            selection.pieces,
            [data..data + first, begin..begin + second]
        );
        // Read back, ours has the same tensors where their bytes will be.
        assert!(selection.opening.len().is_multiple_of(8));
        let opening = selection.opening.len() as u64;
        let (tensors, metadata) =
            safetensors::parse(&selection.opening[8..], opening + first + second).unwrap();
        assert!(metadata.is_empty());
        let places: BTreeMap<&str, u64> = (tensors.iter())
            .map(|tensor| (tensor.name.as_str(), tensor.layout.start - opening))
            .collect();
        let expected = [
            ("features.0.bias", first),
            ("features.0.weight", first + 128),
            ("features.2.bias", first - 128),
            ("features.2.weight", 0),
        ];
        assert_eq!(places, BTreeMap::from(expected));
    }

    #[test]
    fn what_lies_near_is_fetched_at_once() {
        let header = header(1000);
        let selection = select(header.as_bytes(), 1_000_000).unwrap();
        assert_eq!(selection.pieces.len(), 1);
    }

    #[test]
    fn a_file_that_is_no_network_is_refused() {
        let header = header(1000);
        // Shorter than its header says.
        assert!(select(header.as_bytes(), 1000).is_err());
        assert!(select(b"{}", 1000).is_err());
        assert!(select(b"{", 1000).is_err());
        for bytes in [&b""[..], b"<html>", b"<!doctype html>", &[0xff; 9]] {
            assert!(header_end(bytes).is_err());
        }
    }
}

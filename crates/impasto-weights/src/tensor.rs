//! A named tensor in a file: what it looks like, where it lies, its values.

use std::io::{Read, Seek};

use half::{bf16, f16};

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};
use super::source::Source;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    Float64,
    Float32,
    Float16,
    BFloat16,
    /// Integers and whatever else weights are never made of.
    Other,
}

impl Dtype {
    /// The size of one element in bytes. `None` for [`Dtype::Other`].
    fn bytes(self) -> Option<u64> {
        match self {
            Self::Float64 => Some(8),
            Self::Float32 => Some(4),
            Self::Float16 | Self::BFloat16 => Some(2),
            Self::Other => None,
        }
    }
}

/// A tensor that a file says it holds. Nothing of it has been read yet, and
/// what the file says may be false until [`super::Archive::values`] gives it.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// The name in the file, as it stands there.
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<u64>,
    pub(super) layout: Layout,
}

/// Where a tensor's elements lie in the file.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The distance between neighbours along each dimension, in elements.
    /// `None` where the last dimension is the innermost and nothing is skipped.
    pub strides: Option<Vec<u64>>,
    /// Where the first element begins, in bytes from the file's beginning.
    pub start: u64,
    /// The bytes that may belong to the tensor.
    pub region: Region,
}

/// A piece of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub start: u64,
    /// In bytes.
    pub length: u64,
    /// CRC-32 of the whole piece, where the file gives one.
    pub crc32: Option<u32>,
}

impl Region {
    /// Where the piece ends, which [`Source::check`] has found to be no
    /// further than the file's end.
    fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

impl Tensor {
    /// How many bytes the elements fill. `None` if the type's size is not
    /// known or the number is out of range.
    pub(super) fn bytes(&self) -> Option<u64> {
        (self.shape.iter()).try_fold(self.dtype.bytes()?, |bytes, &side| bytes.checked_mul(side))
    }

    /// The values as float32, the last dimension innermost. Nothing is
    /// allocated for elements that the file is too short to hold.
    pub(super) fn values<R: Read + Seek>(
        &self,
        source: &mut Source<R>,
    ) -> Result<Vec<f32>, WeightsErrorKind> {
        let wrong = |what: &str| damaged(format!("tensor {}: {what}", quoted(&self.name)));
        let Some(size) = self.dtype.bytes() else {
            return Err(unsupported(format!(
                "tensor {} is not of type float16, bfloat16, float32 or float64",
                quoted(&self.name)
            )));
        };
        let length = (self.bytes()).ok_or_else(|| wrong("its shape is out of range"))?;
        let Region { start, crc32, .. } = self.layout.region;
        source.check(start, self.layout.region.length)?;
        let end = (self.layout.start.checked_add(length))
            .filter(|&end| self.layout.start >= start && end <= self.layout.region.end())
            .ok_or_else(|| wrong("it is larger than what the file keeps for it"))?;
        let order = self.order()?;

        let mut values = Vec::with_capacity(
            usize::try_from(length / size).map_err(|_| wrong("it is too large"))?,
        );
        let mut hasher = crc32fast::Hasher::new();
        if crc32.is_some() {
            source.visit(start, self.layout.start - start, |chunk| {
                hasher.update(chunk);
            })?;
        }
        source.visit(self.layout.start, length, |chunk| {
            if crc32.is_some() {
                hasher.update(chunk);
            }
            decode(self.dtype, chunk, &mut values);
        })?;
        if let Some(crc32) = crc32 {
            source.visit(end, self.layout.region.end() - end, |chunk| {
                hasher.update(chunk);
            })?;
            if hasher.finalize() != crc32 {
                return Err(wrong("its checksum does not match"));
            }
        }
        Ok(match order {
            Some(strides) => reordered(&values, &self.shape, &strides),
            None => values,
        })
    }

    /// The strides, if the elements are dense but in another order than the
    /// usual one (channels last, say); none if they are in the usual order.
    fn order(&self) -> Result<Option<Vec<u64>>, WeightsErrorKind> {
        let Some(strides) = &self.layout.strides else {
            return Ok(None);
        };
        let gaps = || {
            unsupported(format!(
                "tensor {} is a view with gaps or repeated elements",
                quoted(&self.name)
            ))
        };
        if strides.len() != self.shape.len() {
            return Err(gaps());
        }
        // The stride along a dimension of one element means nothing.
        let mut dimensions: Vec<(u64, u64)> = (strides.iter().copied())
            .zip(self.shape.iter().copied())
            .filter(|&(_, side)| side != 1)
            .collect();
        if dimensions.iter().any(|&(_, side)| side == 0) {
            return Ok(None);
        }
        let usual = dimensions.is_sorted_by(|outer, inner| outer.0 > inner.0);
        dimensions.sort_unstable();
        let mut dense = 1_u64;
        for (stride, side) in dimensions {
            if stride != dense {
                return Err(gaps());
            }
            dense = dense.checked_mul(side).ok_or_else(gaps)?;
        }
        Ok((!usual).then(|| strides.clone()))
    }
}

/// Appends the elements in `bytes`, a whole number of them, as float32.
fn decode(dtype: Dtype, bytes: &[u8], values: &mut Vec<f32>) {
    match dtype {
        Dtype::Float64 => values.extend(elements(bytes).map(|e| f64::from_le_bytes(e) as f32)),
        Dtype::Float32 => values.extend(elements(bytes).map(f32::from_le_bytes)),
        Dtype::Float16 => values.extend(elements(bytes).map(|e| f16::from_le_bytes(e).to_f32())),
        Dtype::BFloat16 => values.extend(elements(bytes).map(|e| bf16::from_le_bytes(e).to_f32())),
        Dtype::Other => {}
    }
}

fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

/// The values of a dense tensor with these strides, the last dimension innermost.
fn reordered(values: &[f32], shape: &[u64], strides: &[u64]) -> Vec<f32> {
    let mut index = vec![0_u64; shape.len()];
    let mut from = 0_u64;
    let mut ordered = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        // Dense strides never point beyond the values.
        ordered.push(usize::try_from(from).map_or(0.0, |from| values[from]));
        for dimension in (0..shape.len()).rev() {
            index[dimension] += 1;
            from += strides[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            from -= strides[dimension] * shape[dimension];
            index[dimension] = 0;
        }
    }
    ordered
}

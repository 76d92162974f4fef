//! How tensors lie in memory.

use tch::Tensor;

use super::Result;

/// How a feature map `[1, C, H, W]` lies in memory.
pub const CHANNELS_LAST: &[usize] = &[0, 2, 3, 1];

/// The same tensor `[A, B, H, W]` with its channels (B) innermost in memory.
///
/// # Errors
/// When libtorch fails.
pub fn channels_last(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor
        .f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
}

/// A tensor of its own with the same values and the same layout.
///
/// # Errors
/// When memory runs out.
pub fn copied(tensor: &Tensor) -> Result<Tensor> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

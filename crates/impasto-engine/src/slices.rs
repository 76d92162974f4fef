//! Tensors as slices of floats, for kernels that are not libtorch's.

#![allow(unsafe_code, reason = "tensors seen as slices")]

use tch::{Device, Kind, Tensor};

use super::{Result, kernels};

/// The values of a float32 tensor on the CPU, in the order that they lie in
/// memory; none for other tensors and where there are gaps between values.
/// `order` names the dimensions from the outermost in memory to the innermost.
pub fn floats<'a>(tensor: &'a Tensor, order: &[usize]) -> Option<&'a [f32]> {
    let count = dense(tensor, order)?;
    if count == 0 {
        return Some(&[]);
    }
    // SAFETY: a float32 tensor on the CPU holds `count` floats from here on,
    // without gaps, and lives as long as the borrow. Nobody writes to it
    // meanwhile: tensors of this crate are not shared between threads, and
    // in-place operations are done by who made them, before or after.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr() as *const f32, count) })
}

/// As [`floats`], to write to. The tensor must not share its memory with one
/// that is read at the same time.
pub fn floats_mut<'a>(tensor: &'a mut Tensor, order: &[usize]) -> Option<&'a mut [f32]> {
    let count = dense(tensor, order)?;
    if count == 0 {
        return Some(&mut []);
    }
    // SAFETY: as above, and the borrow is exclusive.
    Some(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr() as *mut f32, count) })
}

/// A contiguous float32 tensor of this shape on the CPU, with what `fill`
/// writes; `fill` finds anything in it, and must write every value.
///
/// # Errors
/// When the memory is not there, or `fill` fails.
pub fn filled(
    shape: &[i64],
    fill: impl FnOnce(&mut [f32]) -> kernels::Result<()>,
) -> Result<Tensor> {
    let mut tensor = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
    let order: Vec<usize> = (0..shape.len()).collect();
    kernels::guard(|| fill(floats_mut(&mut tensor, &order).unwrap_or_default()))?;
    Ok(tensor)
}

/// How many values the tensor has, if it is float32, on the CPU, and without
/// gaps in this order of its dimensions.
fn dense(tensor: &Tensor, order: &[usize]) -> Option<usize> {
    if tensor.f_kind().ok()? != Kind::Float || tensor.device() != Device::Cpu {
        return None;
    }
    let (shape, strides) = (tensor.size(), tensor.stride());
    let mut step = 1;
    for &dimension in order.iter().rev() {
        let length = *shape.get(dimension)?;
        if length > 1 && *strides.get(dimension)? != step {
            return None;
        }
        step *= length;
    }
    // Every dimension has to be named.
    (shape.iter().product::<i64>() == step).then_some(step as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_memory() {
        let tensor = Tensor::from_slice(&[0f32, 1., 2., 3., 4., 5.]).view([2, 3]);
        assert_eq!(floats(&tensor, &[0, 1]).unwrap(), [0., 1., 2., 3., 4., 5.]);
        // The transposed view lies in memory as before.
        let turned = tensor.tr();
        assert!(floats(&turned, &[0, 1]).is_none());
        assert_eq!(floats(&turned, &[1, 0]).unwrap(), [0., 1., 2., 3., 4., 5.]);
        // A part of a row is not without gaps, a row is.
        assert!(floats(&tensor.narrow(1, 0, 2), &[0, 1]).is_none());
        assert_eq!(
            floats(&tensor.narrow(0, 1, 1), &[0, 1]).unwrap(),
            [3., 4., 5.]
        );
    }

    #[test]
    fn other_kinds_are_none() {
        let tensor = Tensor::from_slice(&[1f64]);
        assert!(floats(&tensor, &[0]).is_none());
        assert!(floats(&tensor.to_kind(Kind::BFloat16), &[0]).is_none());
    }

    #[test]
    fn new_tensors_hold_what_is_written() {
        let tensor = filled(&[2, 2], |floats| {
            floats.copy_from_slice(&[1., 2., 3., 4.]);
            Ok(())
        });
        assert_eq!(tensor.unwrap().double_value(&[1, 0]), 3.0);
    }
}

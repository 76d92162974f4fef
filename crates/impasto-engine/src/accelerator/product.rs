//! Products of reduced-precision matrices with float32 results.

use tch::{Device, Kind, Tensor};

use super::{EngineError, Result};

/// So many columns are brought to float32 at once, where that has to be done.
const CHUNK: i64 = 1 << 16;

/// The product of two matrices of one kind, `[m, k]` and `[k, n]`, as float32
/// `[m, n]`.
///
/// On CUDA, bfloat16 and float16 matrices are multiplied as they are and added
/// up in float32; nothing is rounded on the way. Elsewhere they are brought to
/// float32 first, a part at a time, so that few of their values take twice the
/// memory at once.
///
/// # Errors
/// When the shapes do not fit or memory runs out.
pub fn mm_float(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let kind = left.f_kind()?;
    if kind == Kind::Float {
        return Ok(left.f_mm(right)?);
    }
    if matches!(left.device(), Device::Cuda(_)) && matches!(kind, Kind::BFloat16 | Kind::Half) {
        match left
            .f_mm_dtype(right, Kind::Float)
            .map_err(EngineError::from)
        {
            // A GPU or a library without this product says so in other words
            // than those for too little memory.
            Err(EngineError::Torch(_)) => {}
            result => return result,
        }
    }
    mm_in_parts(left, right, CHUNK)
}

/// Brings `chunk` columns of `left` and rows of `right` to float32 at a time.
fn mm_in_parts(left: &Tensor, right: &Tensor, chunk: i64) -> Result<Tensor> {
    let (&[rows, inner], &[inner_too, columns]) = (&left.size()[..], &right.size()[..]) else {
        return Err(EngineError::Torch(
            "a product of two matrices needs matrices".into(),
        ));
    };
    if inner != inner_too {
        return Err(EngineError::Torch(format!(
            "a matrix of {inner} columns cannot be multiplied with one of {inner_too} rows"
        )));
    }
    let mut sum = Tensor::f_zeros([rows, columns], (Kind::Float, left.device()))?;
    let mut start = 0;
    while start < inner {
        let length = chunk.min(inner - start);
        let part = |matrix: &Tensor, dimension| {
            matrix
                .f_narrow(dimension, start, length)?
                .f_to_kind(Kind::Float)
        };
        let _ = sum.f_addmm_(&part(left, 1)?, &part(right, 0)?)?;
        start += length;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::devices;

    #[test]
    fn products_of_bfloat16_are_not_rounded_to_bfloat16() {
        for &device in devices().iter() {
            for kind in [Kind::BFloat16, Kind::Half, Kind::Float] {
                let left = Tensor::rand([5, 700], (Kind::Float, device)).to_kind(kind);
                let right = Tensor::rand([700, 4], (Kind::Float, device)).to_kind(kind);
                let product = mm_float(&left, &right).unwrap();
                assert_eq!((product.kind(), product.size()), (Kind::Float, vec![5, 4]));
                let exact = left.to_kind(Kind::Double).mm(&right.to_kind(Kind::Double));
                let error = (&product - &exact).abs().max().double_value(&[]);
                assert!(error < 1e-5 * 700.0, "{kind:?}: {error}");
            }
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let options = (Kind::BFloat16, Device::Cpu);
        let (left, right) = (
            Tensor::ones([2, 10], options),
            Tensor::ones([10, 3], options),
        );
        for chunk in [1, 3, 10, 100] {
            let product = mm_in_parts(&left, &right, chunk).unwrap();
            assert_eq!(product, Tensor::full([2, 3], 10.0, tch::kind::FLOAT_CPU));
        }
    }

    #[test]
    fn matrices_that_do_not_fit_are_refused() {
        let options = (Kind::BFloat16, Device::Cpu);
        let (left, right) = (
            Tensor::ones([2, 10], options),
            Tensor::ones([9, 3], options),
        );
        assert!(mm_float(&left, &right).is_err());
        assert!(mm_float(&left, &left.view([20])).is_err());
    }
}

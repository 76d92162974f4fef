//! Matrix products by our own kernels where they can, else by libtorch: of feature
//! rows `[H·W, C]`, which Gram matrices and their gradients are made of, and of
//! the long rows that L-BFGS remembers.

use tch::Tensor;

use super::kernels::{self, Instructions};
use super::slices::{filled, floats, floats_mut};
use super::{Result, accelerator};

const ROWS: &[usize] = &[0, 1];

/// The products FᵀF `[C, C]` of feature rows F, summed in float32 whatever the
/// features' kind: the losses are small differences of these.
///
/// # Errors
/// When libtorch fails.
pub fn products(features: &Tensor) -> Result<Tensor> {
    if let Some(own) = Own::of(features) {
        return filled(&[own.channels as i64; 2], |out| {
            kernels::gram(own.instructions, own.rows, own.count, own.channels, out)
        });
    }
    accelerator::mm_float(&features.f_tr()?, features)
}

/// Features times a matrix `[C, C]`, added to the rows `sum` if there are any,
/// whose memory is used again.
///
/// # Errors
/// When libtorch fails.
pub fn add_product(sum: Option<Tensor>, features: &Tensor, matrix: &Tensor) -> Result<Tensor> {
    let own = Own::of(features).zip(floats(matrix, ROWS));
    let Some((own, values)) = own else {
        let matrix = matrix.f_to_kind(features.f_kind()?)?;
        return Ok(match sum {
            Some(mut sum) => sum.f_addmm_(features, &matrix)?,
            None => features.f_mm(&matrix)?,
        });
    };
    let (instructions, rows, count, channels) =
        (own.instructions, own.rows, own.count, own.channels);
    match sum {
        None => filled(&[count as i64, channels as i64], |out| {
            kernels::product(instructions, rows, count, channels, values, out)
        }),
        Some(mut sum) => {
            match floats_mut(&mut sum, ROWS) {
                Some(out) => kernels::guard(|| {
                    kernels::add_product(instructions, rows, count, channels, values, out)
                })?,
                None => drop(sum.f_addmm_(features, matrix)?),
            }
            Ok(sum)
        }
    }
}

/// The products of long rows `[R, N]` with vectors `[2, N]`: `[2, R]`, all of
/// them contiguous float32.
///
/// # Errors
/// When libtorch fails.
pub fn row_products(rows: &Tensor, vectors: &Tensor) -> Result<Tensor> {
    let own = Instructions::detect().zip(floats(rows, ROWS).zip(floats(vectors, ROWS)));
    match own {
        Some((instructions, (values, vectors))) => filled(&[2, rows.size()[0]], |out| {
            kernels::row_products(instructions, values, vectors, out)
        }),
        None => Ok(vectors.f_mm(&rows.f_tr()?)?),
    }
}

/// The sum of long rows `[R, N]`, each times its coefficient `[R]`: `[N]`, all of
/// them contiguous float32.
///
/// # Errors
/// When libtorch fails.
pub fn combine_rows(rows: &Tensor, coefficients: &Tensor) -> Result<Tensor> {
    let own = Instructions::detect().zip(floats(rows, ROWS).zip(floats(coefficients, &[0])));
    match own {
        Some((instructions, (values, coefficients))) => filled(&[rows.size()[1]], |out| {
            kernels::combine_rows(instructions, values, coefficients, out)
        }),
        None => Ok(coefficients.f_unsqueeze(0)?.f_mm(rows)?.f_view([-1])?),
    }
}

/// Rows that our own kernels can multiply.
struct Own<'a> {
    instructions: Instructions,
    rows: &'a [f32],
    count: usize,
    channels: usize,
}

impl<'a> Own<'a> {
    fn of(features: &'a Tensor) -> Option<Self> {
        let rows = floats(features, ROWS)?;
        let (count, channels) = features.size2().ok()?;
        (channels % 32 == 0 && channels > 0).then_some(Self {
            instructions: Instructions::detect()?,
            rows,
            count: count as usize,
            channels: channels as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;
    use tch::kind::FLOAT_CPU;

    fn off(found: &Tensor, expected: &Tensor) -> f64 {
        let scale = expected.abs().max().double_value(&[]);
        (found - expected).abs().max().double_value(&[]) / scale
    }

    #[test]
    fn every_way_gives_the_same_products() {
        for (count, channels) in [(1, 64), (77, 32), (500, 96), (50, 7)] {
            let rows = Tensor::randn([count, channels], FLOAT_CPU);
            let matrix = Tensor::randn([channels, channels], FLOAT_CPU);
            let sum = Tensor::randn([count, channels], FLOAT_CPU);
            let exact = |tensor: &Tensor| tensor.to_kind(Kind::Double);
            let gram = exact(&rows).tr().mm(&exact(&rows));
            assert!(off(&products(&rows).unwrap(), &gram) < 1e-5);
            let product = exact(&rows).mm(&exact(&matrix));
            let found = add_product(None, &rows, &matrix).unwrap();
            assert!(off(&found, &product) < 1e-5);
            let found = add_product(Some(sum.copy()), &rows, &matrix).unwrap();
            assert!(off(&found, &(exact(&sum) + product)) < 1e-5);
        }
    }
}

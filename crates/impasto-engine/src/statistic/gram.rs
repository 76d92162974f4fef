//! The Gram matrix (Gatys, Ecker & Bethge 2016), with the normalisation of the program
//! neural-style: A = Σ w·(F + s)ᵀ(F + s) / (C·N). The shift s is that of Novak & Nikulin
//! (2016), who use -1.

use tch::Tensor;

use super::{Comparison, Needs, Slope, Statistic, Sums, Target};
use crate::Result;
use crate::loss::{elements, mean_square};

pub(super) struct Gram {
    pub shift: f64,
}

impl Gram {
    fn matrix(&self, sums: &Sums) -> Result<Tensor> {
        let products = sums.products()?;
        let count = sums.elements();
        if self.shift == 0.0 {
            return Ok(products.f_div_scalar(count)?);
        }
        // (F + s)ᵀ(F + s) = FᵀF + s·(m1ᵀ + 1mᵀ) + N·s², with the column sums m.
        let crossed = sums.sums()?.f_mul_scalar(self.shift)?;
        let matrix = products
            .f_add(&crossed.f_unsqueeze(0)?)?
            .f_add(&crossed.f_unsqueeze(1)?)?
            .f_add_scalar(sums.positions as f64 * self.shift * self.shift)?;
        Ok(matrix.f_div_scalar(count)?)
    }
}

impl Statistic for Gram {
    fn needs(&self) -> Needs {
        Needs {
            products: true,
            sums: self.shift != 0.0,
            ..Needs::default()
        }
    }

    fn target(&self, style: &Sums, _: i64) -> Result<Target> {
        Ok(Target(vec![self.matrix(style)?]))
    }

    fn compare(&self, image: &Sums, target: &Target, factor: f64) -> Result<Comparison> {
        let Target(target) = target;
        let difference = self.matrix(image)?.f_sub(&target[0])?;
        let loss = mean_square(&difference)?;
        // With D = G − A symmetric: d mean(D²) / dF = 4·(F + s)·D / (C²·C·N)
        let scale = factor * 4.0 / (elements(&difference) * image.elements());
        if scale == 0.0 {
            return Ok(Comparison { loss, slope: None });
        }
        let matrix = difference.f_mul_scalar(scale)?;
        let offset = match self.shift == 0.0 {
            true => None,
            false => {
                let columns =
                    matrix.f_sum_dim_intlist([0i64].as_slice(), false, tch::Kind::Float)?;
                Some(columns.f_mul_scalar(self.shift)?)
            }
        };
        let slope = Slope::Affine {
            matrix: Some(matrix),
            scale: None,
            offset,
        };
        Ok(Comparison {
            loss,
            slope: Some(slope),
        })
    }
}

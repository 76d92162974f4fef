//! Total variation as an operation on tensors.

use tch::{Kind, Tensor};

use super::{Argument, Kernels, blocks};
use crate::Result;

impl Kernels {
    /// The smoothness of a picture `[1, 3, H, W]`, float32, as a float32 scalar;
    /// adds `weight` times its gradient to `gradient`, of the same shape. None
    /// where no kernel fits.
    ///
    /// # Errors
    /// When memory runs out or the launch fails.
    pub fn smoothness(
        &self,
        picture: &Tensor,
        weight: f64,
        gradient: &Tensor,
    ) -> Result<Option<Tensor>> {
        let plain = |tensor: &Tensor| -> Result<bool> {
            Ok(tensor.is_contiguous() && tensor.f_kind()? == Kind::Float)
        };
        let (batch, planes, height, width) = picture.size4()?;
        let fits = plain(picture)? && plain(gradient)? && gradient.size() == picture.size();
        let count = picture.numel() as i64;
        if !fits || count == 0 {
            return Ok(None);
        }
        let elements = count as f64;
        let parts = i64::from(blocks(count));
        let double = (Kind::Double, self.device);
        let sums = Tensor::f_empty([parts], double)?;
        let mean = Tensor::f_empty([0i64; 0], (Kind::Float, self.device))?;
        let arguments = [
            Argument::Tensor(picture),
            Argument::Tensor(gradient),
            Argument::Tensor(&sums),
            Argument::Float((weight / elements) as f32),
            Argument::Int((batch * planes) as i32),
            Argument::Int(height as i32),
            Argument::Int(width as i32),
        ];
        // SAFETY: picture and gradient are contiguous and have the sides that are
        // passed; there is a sum for every block.
        unsafe { self.launch("smoothness", count, &arguments)? };
        let arguments = [
            Argument::Tensor(&sums),
            Argument::Tensor(&mean),
            Argument::Int(parts as i32),
            Argument::Double(elements),
        ];
        // SAFETY: one block adds as many sums as there are.
        unsafe { self.launch("smoothness_mean", 1, &arguments)? };
        Ok(Some(mean))
    }
}

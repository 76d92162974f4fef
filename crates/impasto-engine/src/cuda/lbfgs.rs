//! L-BFGS's step as an operation on tensors.

use tch::{Kind, Tensor};

use super::{Argument, Kernels, blocks};
use crate::Result;

/// The most slots of a history that the kernels take.
pub const MAX_SLOTS: i64 = 1024;
/// Warps that share the products of all rows, at most.
const MAX_WARPS: i64 = 4096;
/// Columns of a row that a warp works on at once.
const PIECE: i64 = 256;
/// Numbers that one launch leaves for the next.
const VERDICT: i64 = 9;

/// What a step reads and changes.
pub struct LbfgsState<'a> {
    /// Four pictures of one shape, float32, contiguous.
    pub image: &'a Tensor,
    pub best: &'a Tensor,
    pub accepted_image: &'a Tensor,
    pub accepted_gradient: &'a Tensor,
    /// Best total, rate, failures and more, `[5]`, float64.
    pub iterate: &'a Tensor,
    /// The numbers of `optimizer/lbfgs.rs`, `[8]`, float64.
    pub numbers: &'a Tensor,
    /// The rows of all pairs, `[2 · slots, N]`, float32 or bfloat16, all of them
    /// finite.
    pub pairs: &'a Tensor,
    /// The tensors of `optimizer/history.rs`, in its order, float64.
    pub history: [&'a Tensor; 8],
    /// The preconditioner of pictures `[N, 3, H, W]`.
    pub precondition: &'a dyn Fn(&Tensor) -> Result<Tensor>,
}

impl Kernels {
    /// Whether a history of so many slots for images like this one can be theirs.
    pub fn takes_history(&self, image: &Tensor, slots: i64) -> bool {
        image.is_contiguous() && image.numel() > 0 && slots <= MAX_SLOTS
    }

    /// One step of L-BFGS, with the gradient and the total at the image. Says
    /// whether the kernels fit; if not, nothing was done.
    ///
    /// # Errors
    /// When memory runs out or a launch fails.
    pub fn lbfgs(&self, gradient: &Tensor, total: &Tensor, state: &LbfgsState) -> Result<bool> {
        let count = state.image.numel();
        let is = |tensor: &Tensor, kind: Kind, length: usize| -> Result<bool> {
            Ok(tensor.is_contiguous() && tensor.f_kind()? == kind && tensor.numel() == length)
        };
        let slots = state.history[3].numel();
        let rows = 2 * slots;
        let pictures = [
            gradient,
            state.image,
            state.best,
            state.accepted_image,
            state.accepted_gradient,
        ];
        let mut fits = self.takes_history(state.image, slots as i64)
            && is(total, Kind::Double, 1)?
            && is(state.iterate, Kind::Double, 5)?
            && is(state.numbers, Kind::Double, 8)?;
        for picture in pictures {
            fits &= is(picture, Kind::Float, count)?;
        }
        let lengths = [slots * slots, slots * slots, slots, slots, slots, 1, 1, 1];
        for (tensor, length) in state.history.iter().zip(lengths) {
            fits &= is(tensor, Kind::Double, length)?;
        }
        let suffix = match state.pairs.f_kind()? {
            Kind::Float => "float32",
            Kind::BFloat16 => "bfloat16",
            _ => return Ok(false),
        };
        fits &= state.pairs.is_contiguous() && state.pairs.numel() == rows * count;
        if !fits {
            return Ok(false);
        }
        self.lbfgs_launches(gradient, total, state, suffix)?;
        Ok(true)
    }

    /// The launches, with tensors that were looked at.
    fn lbfgs_launches(
        &self,
        gradient: &Tensor,
        total: &Tensor,
        state: &LbfgsState,
        suffix: &str,
    ) -> Result<()> {
        use Argument::{Double, Int, Long, Tensor as Of};
        let (count, slots) = (state.image.numel() as i64, state.history[3].numel() as i64);
        let rows = 2 * slots;
        let (_, channels, height, width) = state.image.size4()?;
        let empty = |shape: &[i64], kind: Kind| Tensor::f_empty(shape, (kind, self.device));
        let step = empty(&[count], Kind::Float)?;
        // The change of the gradient and the way downhill.
        let vectors = empty(&[2, channels, height, width], Kind::Float)?;
        let (change, downhill) = (vectors.f_select(0, 0)?, vectors.f_select(0, 1)?);
        let grid = blocks(count);
        let parts = empty(&[5 * i64::from(grid)], Kind::Double)?;
        let verdict = empty(&[VERDICT], Kind::Double)?;
        let [
            inverse,
            curvature,
            products,
            valid,
            pair_numbers,
            next_number,
            scale,
            head,
        ] = state.history.map(Of);
        let (image, best) = (Of(state.image), Of(state.best));
        let accepted = (Of(state.accepted_image), Of(state.accepted_gradient));
        let (iterate, numbers) = (Of(state.iterate), Of(state.numbers));
        let (blocks_of, slots_of) = (Int(grid as i32), Int(slots as i32));

        let differences = [
            image,
            Of(gradient),
            accepted.0,
            accepted.1,
            Of(&step),
            Of(&change),
            Of(&parts),
            Long(count),
        ];
        let judge = [
            Of(&parts),
            blocks_of,
            Of(total),
            valid,
            slots_of,
            iterate,
            numbers,
            Of(&verdict),
        ];
        let accept = [
            image,
            Of(gradient),
            Of(&verdict),
            best,
            accepted.0,
            accepted.1,
            Of(&downhill),
            Long(count),
        ];
        // SAFETY, here and below: kinds, layouts and lengths of what belongs to the
        // state were looked at, the rest was made here as large as the kernels take
        // it to be. Launches are in order on one stream.
        unsafe {
            self.launch("lbfgs_differences", count, &differences)?;
            self.launch("lbfgs_judge", 1, &judge)?;
            self.launch("lbfgs_accept", count, &accept)?;
        }
        let preconditioned = (state.precondition)(&vectors)?.f_contiguous()?;
        let of_change = preconditioned.f_select(0, 0)?;
        let of_downhill = preconditioned.f_select(0, 1)?;

        let warps = ((count + PIECE - 1) / PIECE).min(MAX_WARPS);
        let row_parts = empty(&[2 * rows * warps], Kind::Float)?;
        let dots = empty(&[2 * rows], Kind::Double)?;
        let coefficients = empty(&[rows], Kind::Float)?;
        let direction = empty(&[count], Kind::Float)?;
        let write = [
            Of(&step),
            Of(&of_change),
            head,
            Of(state.pairs),
            Long(count),
        ];
        let row_products = [
            Of(state.pairs),
            Of(&vectors),
            Of(&row_parts),
            Int(rows as i32),
            Int(warps as i32),
            Long(count),
        ];
        let sum = [Of(&row_parts), Of(&dots), Int(warps as i32)];
        let learn = [
            Of(&dots),
            inverse,
            curvature,
            products,
            valid,
            pair_numbers,
            next_number,
            scale,
            head,
            slots_of,
            Of(&verdict),
            Of(&coefficients),
        ];
        let combine = [
            Of(state.pairs),
            Of(&coefficients),
            Of(&of_downhill),
            Of(&downhill),
            accepted.0,
            accepted.1,
            Of(&verdict),
            Of(&direction),
            Of(&parts),
            Int(rows as i32),
            Long(count),
        ];
        let length = [
            Of(&parts),
            blocks_of,
            inverse,
            curvature,
            products,
            valid,
            pair_numbers,
            slots_of,
            iterate,
            numbers,
            Of(&verdict),
            Double(count as f64),
        ];
        let advance = [
            accepted.0,
            accepted.1,
            Of(&direction),
            Of(&of_downhill),
            Of(&verdict),
            numbers,
            image,
            Long(count),
        ];
        let threads = i64::from(super::BLOCK);
        unsafe {
            self.launch(&format!("lbfgs_write_{suffix}"), count, &write)?;
            self.launch(&format!("row_products_{suffix}"), 32 * warps, &row_products)?;
            self.launch("row_products_sum", 2 * rows * threads, &sum)?;
            self.launch("lbfgs_learn", 1, &learn)?;
            self.launch(&format!("lbfgs_combine_{suffix}"), count, &combine)?;
            self.launch("lbfgs_length", 1, &length)?;
            self.launch("lbfgs_move", count, &advance)
        }
    }
}

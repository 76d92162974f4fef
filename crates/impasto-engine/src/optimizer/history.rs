//! What L-BFGS remembers, in the compact form of Byrd, Nocedal & Schnabel,
//! "Representations of quasi-Newton matrices and their use in limited memory
//! methods" (1994).
//!
//! With the steps sᵢ, the changes of the gradient yᵢ, P the preconditioner and
//! γ·P the inverse Hessian before any step, theorem 2.2 gives
//!
//! H = γP + [S  γPY] · [[R⁻ᵀ(D + γYᵀPY)R⁻¹, −R⁻ᵀ], [−R⁻¹, 0]] · [S  γPY]ᵀ
//!
//! where R is the upper triangle of SᵀY, older steps before newer ones, and D its
//! diagonal. Kept are S and Z = PY as rows of one matrix, so that a direction
//! takes two products with all of it instead of four with every pair, and three
//! small matrices in float64: R⁻¹, YᵀPY and D. R⁻¹ is never computed anew: a
//! newer step adds a column, and without its oldest row and column the inverse of
//! a triangle is that of the smaller one. Rows lie in a ring; no order needs to
//! be known, since a pair that is not there has zeros in the small matrices.
//!
//! Nothing here is read on the host, and every tensor is changed in place.

use tch::{Kind, Tensor};

use super::iterate::{scalar, select};
use crate::Result;
use crate::products::{combine_rows, row_products};

/// A quasi-Newton step starts from the guess that the loss curves so many times
/// less than it did along the newest step, in directions that no remembered step
/// covers. Those are the flat ones that are left. Of 1, 2, 4 and 8, 2 and 4
/// brought the lowest totals; this lies between.
const REACH: f64 = 2.5;

/// The pairs of steps and changes of the gradient, `R` of them and one row more,
/// into which the newest step is written before it is known to be of use.
#[derive(Debug)]
pub(super) struct History {
    /// `[2 · (R + 1), N]`, of N = 3·H·W values: in row 2k the step of
    /// slot k, in row 2k + 1 its change of the gradient, preconditioned.
    pub pairs: Tensor,
    /// Slots whose rows hold numbers.
    zeroed: i64,
    /// Slots that products look at: all that may hold a pair.
    pub used: i64,
    /// R⁻¹ and YᵀPY, `[R + 1, R + 1]`, float64 like all that follow.
    inverse: Tensor,
    curvature: Tensor,
    /// D, and which slots hold a pair (1 or 0); `[R + 1]`.
    products: Tensor,
    valid: Tensor,
    /// The number of each slot's pair, -1 where there is none. No two pairs of a
    /// run have the same.
    pub numbers: Tensor,
    /// The number of the next pair; 0-dimensional.
    next_number: Tensor,
    /// γ for the newest pair; 0-dimensional.
    scale: Tensor,
    /// The slot that is written next, `[1]`.
    head: Tensor,
    /// Constants: 0, 1, 2 … as int64 `[R + 1]`; 0 and 1 as `[2]`; in float64 0,
    /// 1 and -1.
    slots: Tensor,
    pair: Tensor,
    zero: Tensor,
    one: Tensor,
    none: Tensor,
}

/// What a checkpoint calls the tensors of [`History::tensors`].
pub(super) const NAMES: [&str; 8] = [
    "lbfgs.inverse",
    "lbfgs.curvature",
    "lbfgs.products",
    "lbfgs.valid",
    "lbfgs.numbers",
    "lbfgs.next_number",
    "lbfgs.scale",
    "lbfgs.head",
];

impl History {
    /// An empty one for `capacity` pairs of the size of `image`, numbered from
    /// `first_number`, in numbers of this `kind` (bfloat16 for the CUDA kernels
    /// alone). Memory of the rows is not touched before they are used.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(image: &Tensor, capacity: usize, first_number: f64, kind: Kind) -> Result<Self> {
        let device = image.device();
        let slots = i64::try_from(capacity.max(1)).unwrap_or(i64::MAX - 1) + 1;
        let values = image.numel() as i64;
        let double = (Kind::Double, device);
        Ok(Self {
            pairs: Tensor::f_empty([2 * slots, values], (kind, device))?,
            zeroed: 0,
            used: 0,
            inverse: Tensor::f_zeros([slots, slots], double)?,
            curvature: Tensor::f_zeros([slots, slots], double)?,
            products: Tensor::f_zeros([slots], double)?,
            valid: Tensor::f_zeros([slots], double)?,
            numbers: Tensor::f_full([slots], -1.0, double)?,
            next_number: scalar(first_number, image)?,
            scale: scalar(1.0, image)?,
            head: Tensor::f_zeros([1], double)?,
            slots: Tensor::f_arange(slots, (Kind::Int64, device))?,
            pair: Tensor::f_arange(2, (Kind::Int64, device))?,
            zero: scalar(0.0, image)?,
            one: scalar(1.0, image)?,
            none: scalar(-1.0, image)?,
        })
    }

    /// How many pairs there is memory for.
    pub fn capacity(&self) -> i64 {
        self.slots.size()[0] - 1
    }

    /// Lets products look at one slot more, or at so many as `used` says.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn grow(&mut self, used: i64) -> Result<()> {
        self.used = used.clamp(self.used, self.capacity() + 1);
        if self.used > self.zeroed {
            // Rows without a pair count nothing, as long as they are finite.
            let fresh = 2 * (self.used - self.zeroed);
            let _ = self.pairs.f_narrow(0, 2 * self.zeroed, fresh)?.f_zero_()?;
            self.zeroed = self.used;
        }
        Ok(())
    }

    /// Writes the newest step and its preconditioned change of the gradient,
    /// `[2, N]`, into the free slot.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn write(&mut self, step_and_change: &Tensor) -> Result<()> {
        let first = self.head.f_mul_scalar(2.0)?.f_to_kind(Kind::Int64)?;
        let rows = first.f_add(&self.pair)?;
        let _ = self.pairs.f_index_copy_(0, &rows, step_and_change)?;
        Ok(())
    }

    /// The products of all rows with two vectors `[2, N]`, `[2, 2, used]` in
    /// float64: by the vector, then step or change, then the slot.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn dot(&self, vectors: &Tensor) -> Result<Tensor> {
        let rows = self.pairs.f_narrow(0, 0, 2 * self.used)?;
        Ok(row_products(&rows, vectors)?
            .f_to_kind(Kind::Double)?
            .f_view([2, self.used, 2])?
            .f_transpose(1, 2)?
            .f_contiguous()?)
    }

    /// Remembers the pair in the free slot where `added` (bool, 0-dimensional)
    /// holds. `products` are those of [`History::dot`] with the newest change of
    /// the gradient, not preconditioned: `[2, used]`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn add(&mut self, products: &Tensor, added: &Tensor) -> Result<()> {
        let slots = self.slots.f_narrow(0, 0, self.used)?;
        let valid = self.valid.f_narrow(0, 0, self.used)?;
        let free = slots.f_eq_tensor(&self.head)?.f_logical_and(added)?;
        let unit = free.f_to_kind(Kind::Double)?;
        let known = valid.f_gt(0.0)?.f_logical_and(added)?;
        let head = self.head.f_to_kind(Kind::Int64)?;
        let newest = products.f_index_select(1, &head)?;
        let [step_change, change_change] = [0, 1].map(|row| newest.f_select(0, row));
        let (step_change, change_change) = (step_change?, change_change?);

        // A column more of R⁻¹: −R⁻¹·r / ρ over 1 / ρ.
        let mut inverse = self.corner(&self.inverse)?;
        let column = products.f_select(0, 0)?.f_where_self(&known, &self.zero)?;
        let column = inverse.f_mv(&column)?.f_div(&step_change)?.f_neg_()?;
        let column = column.f_where_self(&known, &self.zero)?;
        let corner = self.one.f_div(&step_change)?;
        let column = corner.f_where_self(&free, &column)?;
        let _ = inverse.f_addr_(&column, &unit)?;
        // A row and a column more of YᵀPY.
        let mut curvature = self.corner(&self.curvature)?;
        let cross = products.f_select(0, 1)?.f_where_self(&known, &self.zero)?;
        let own = change_change.f_where_self(&free, &cross)?;
        let _ = curvature.f_addr_(&own, &unit)?;
        let _ = curvature.f_addr_(&unit, &cross)?;

        let replace = |of: &Tensor, new: &Tensor| -> Result<()> {
            let part = of.f_narrow(0, 0, self.used)?;
            select(&part, &free, new)
        };
        replace(&self.products, &step_change)?;
        replace(&self.valid, &self.one)?;
        replace(&self.numbers, &self.next_number)?;
        let _ = self.next_number.f_add_(added)?;
        let guess = step_change
            .f_div(&change_change)?
            .f_mul_scalar(REACH)?
            .f_view([0i64; 0])?;
        select(&self.scale, added, &guess)?;
        // The slot after it is the free one from here on: the oldest goes.
        let _ = self
            .head
            .f_add_(added)?
            .f_remainder_(self.capacity() as f64 + 1.0)?;
        let dropped = self.slots.f_eq_tensor(&self.head)?;
        self.drop_slots(&dropped)
    }

    /// Forgets every pair where `condition` (bool, 0-dimensional) holds.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn clear(&mut self, condition: &Tensor) -> Result<()> {
        let every = condition.f_expand(self.slots.size(), false)?;
        self.drop_slots(&every)
    }

    /// Forgets everything, from the host.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn restart(&mut self) -> Result<()> {
        let tensors = [
            &mut self.inverse,
            &mut self.curvature,
            &mut self.products,
            &mut self.valid,
            &mut self.head,
        ];
        for tensor in tensors {
            let _ = tensor.f_zero_()?;
        }
        let _ = self.numbers.f_fill_(-1.0)?;
        self.used = 0;
        Ok(())
    }

    /// Whether there is any pair; bool, 0-dimensional.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn any(&self) -> Result<Tensor> {
        Ok(self.valid.f_sum(Kind::Double)?.f_gt(0.0)?)
    }

    /// The inverse Hessian times a vector `v`, `[N]`, given its products with
    /// all rows (`[2, used]`, of [`History::dot`]) and P·v, `[N]`. Without any
    /// pair, P·v itself.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn direction(&self, products: &Tensor, preconditioned: &Tensor) -> Result<Tensor> {
        let valid = self.valid.f_narrow(0, 0, self.used)?.f_gt(0.0)?;
        let gamma = self.scale.f_where_self(&self.any()?, &self.one)?;
        let products = products.f_where_self(&valid, &self.zero)?;
        let (of_steps, of_changes) = (products.f_select(0, 0)?, products.f_select(0, 1)?);
        let inverse = self.corner(&self.inverse)?;
        let solved = inverse.f_mv(&of_steps)?;
        let diagonal = self.products.f_narrow(0, 0, self.used)?;
        let inner = self.corner(&self.curvature)?.f_mv(&solved)?;
        let inner = inner.f_sub(&of_changes)?.f_mul(&gamma)?;
        let inner = inner.f_addcmul(&diagonal, &solved)?;
        let of_steps = inverse.f_tr()?.f_mv(&inner)?;
        let of_changes = solved.f_mul(&gamma)?.f_neg_()?;
        let coefficients = Tensor::f_stack(&[of_steps, of_changes], 1)?
            .f_view([2 * self.used])?
            .f_to_kind(Kind::Float)?;
        let rows = self.pairs.f_narrow(0, 0, 2 * self.used)?;
        let mut learnt = combine_rows(&rows, &coefficients)?;
        Ok(learnt.f_add_(&preconditioned.f_mul(&gamma)?)?)
    }

    /// All that is changed, but for the rows: those of pairs never change, and
    /// the free one counts nothing.
    pub fn tensors(&self) -> [&Tensor; 8] {
        [
            &self.inverse,
            &self.curvature,
            &self.products,
            &self.valid,
            &self.numbers,
            &self.next_number,
            &self.scale,
            &self.head,
        ]
    }

    /// The part of a small matrix that belongs to the slots in use.
    fn corner(&self, matrix: &Tensor) -> Result<Tensor> {
        let rows = matrix.f_narrow(0, 0, self.used)?;
        Ok(rows.f_narrow(1, 0, self.used)?)
    }

    fn drop_slots(&mut self, dropped: &Tensor) -> Result<()> {
        for matrix in [&mut self.inverse, &mut self.curvature] {
            let _ = matrix.f_masked_fill_(&dropped.f_unsqueeze(0)?, 0.0)?;
            let _ = matrix.f_masked_fill_(&dropped.f_unsqueeze(1)?, 0.0)?;
        }
        for vector in [&mut self.products, &mut self.valid] {
            let _ = vector.f_masked_fill_(dropped, 0.0)?;
        }
        select(&self.numbers, dropped, &self.none)
    }
}

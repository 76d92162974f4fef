//! The filters of 3×3 convolutions, transformed and packed once.

use super::lanes::{Instructions, LANES, Simd, SimdTask};
use super::product::PANEL;
use super::scratch::{Aligned, Shared};
use super::threads::parallel;
use super::winograd::{POINTS, filter};
use super::{Result, check, check_multiple};

/// The filters of a 3×3 convolution, transformed and packed.
#[derive(Debug)]
pub struct Filters {
    pub(super) instructions: Instructions,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[outputs / PANEL, POINTS, inputs, PANEL]`
    pub(super) packed: Aligned,
}

impl Filters {
    /// The filters of a convolution from `inputs` to `outputs` channels;
    /// `weight` is `[outputs, inputs, 3, 3]`. They take four times the memory
    /// of `weight`.
    ///
    /// # Errors
    /// When `weight` has the wrong length, or a number of channels is not a
    /// multiple of 32.
    pub fn new(
        instructions: Instructions,
        weight: &[f32],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        Self::pack(instructions, weight, inputs, outputs, false)
    }

    /// The filters of the gradient with respect to the input of that
    /// convolution: from `outputs` to `inputs` channels, turned by 180°.
    ///
    /// # Errors
    /// As [`Filters::new`].
    pub fn transposed(
        instructions: Instructions,
        weight: &[f32],
        inputs: usize,
        outputs: usize,
    ) -> Result<Self> {
        Self::pack(instructions, weight, inputs, outputs, true)
    }

    fn pack(
        instructions: Instructions,
        weight: &[f32],
        inputs: usize,
        outputs: usize,
        transposed: bool,
    ) -> Result<Self> {
        check_multiple("input channels", PANEL, inputs)?;
        check_multiple("output channels", PANEL, outputs)?;
        check("weights", outputs * inputs * 9, weight.len())?;
        let (own_inputs, own_outputs) = if transposed {
            (outputs, inputs)
        } else {
            (inputs, outputs)
        };
        let mut packed = Aligned::new(POINTS * inputs * outputs);
        let shared = Shared::new(packed.as_mut_slice());
        let panel_floats = POINTS * own_inputs * PANEL;
        // A part is one panel's filters for 32 inputs.
        let parts_of_panel = own_inputs / PANEL;
        parallel(own_outputs / PANEL * parts_of_panel, |part| {
            let panel = part / parts_of_panel;
            instructions.run(PackPart {
                weight,
                inputs,
                transposed,
                own_inputs,
                own_output: panel * PANEL,
                first: part % parts_of_panel * PANEL,
                start: panel * panel_floats,
                packed: &shared,
            });
        });
        Ok(Self {
            instructions,
            inputs: own_inputs,
            outputs: own_outputs,
            packed,
        })
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.packed.as_slice())
    }
}

struct PackPart<'a> {
    weight: &'a [f32],
    /// Of the weights, which may not be those of the packed filters.
    inputs: usize,
    transposed: bool,
    own_inputs: usize,
    /// The first of [`PANEL`] outputs.
    own_output: usize,
    /// The first of [`PANEL`] inputs.
    first: usize,
    /// Where the panel starts.
    start: usize,
    packed: &'a Shared<'a>,
}

impl SimdTask for PackPart<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for from in self.first..self.first + PANEL {
            for half in 0..PANEL / LANES {
                let to = self.own_output + half * LANES;
                let mut taps = [[0.0; LANES]; 9];
                for lane in 0..LANES {
                    let filter = if self.transposed {
                        from * self.inputs + to + lane
                    } else {
                        (to + lane) * self.inputs + from
                    };
                    let filter = &self.weight[filter * 9..][..9];
                    for (k, taps) in taps.iter_mut().enumerate() {
                        taps[lane] = filter[if self.transposed { 8 - k } else { k }];
                    }
                }
                filter(
                    simd,
                    #[inline(always)]
                    |k| simd.load(&taps[k]),
                    #[inline(always)]
                    |point, value| {
                        let at = (point * self.own_inputs + from) * PANEL + half * LANES;
                        // SAFETY: each part writes its own inputs of its own panel.
                        simd.store(value, unsafe { self.packed.vector(self.start + at) });
                    },
                );
            }
        }
    }
}

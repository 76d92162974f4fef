//! 3×3 convolutions with stride 1 and padding 1.
//!
//! A map is cut into tiles of 4×4 outputs. Their patches of inputs are
//! transformed (`winograd`), multiplied with the filters (one matrix product
//! for each of the 36 points), and transformed back. What lies in between is
//! larger than the map, so it must not go through main memory:
//!
//! - **alone**: each thread takes a block of tiles all the way, with everything
//!   in its own second-level cache, and streams the filters past it.
//! - **together**: all threads do one of the three steps at a time, for as many
//!   tiles as the shared cache holds. This is for filters too large for that
//!   cache, which must not be read for every block, and for maps with too few
//!   tiles to go round.

use super::filters::Filters;
use super::lanes::{LANES, Simd, SimdTask};
use super::product::{Left, OutputMode, PANEL, multiply};
use super::scratch::{Shared, with_scratch};
use super::threads::{parallel, threads};
use super::winograd::{PATCH, POINTS, TILE, input, output};
use super::{Result, check};

/// Transformed inputs that a thread holds when working alone: a quarter of a
/// second-level cache of 1 MiB. Larger blocks measured slower: what they
/// displace costs more than streaming the filters more often.
const BLOCK_FLOATS: usize = 64 * 1024;
/// Filters up to this size (20 MiB) stay in the shared cache, where streaming
/// them for every block costs next to nothing.
const STREAMED_FLOATS: usize = 5 * 1024 * 1024;
/// Transformed inputs and sums of all threads together, at least: a good third
/// of a shared cache of 32 MiB.
const CHUNK_FLOATS: usize = 3 * 1024 * 1024;

/// What happens to a convolution's sums on their way into the output.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// They are written as they are.
    Plain,
    /// They are added to what is there.
    Add,
    /// A bias for each output channel is added.
    Bias(&'a [f32]),
    /// The bias is added, and what is below zero becomes zero.
    BiasRelu(&'a [f32]),
}

impl Filters {
    /// Convolves `input`, `[height, width, inputs]`, into `output`,
    /// `[height, width, outputs]`. With a `mask`, shaped as the input, inputs
    /// count as zero where the mask is not above zero: ReLU's gradient.
    ///
    /// # Errors
    /// When a slice has the wrong length.
    pub fn convolve(
        &self,
        input: &[f32],
        (height, width): (usize, usize),
        mask: Option<&[f32]>,
        epilogue: Epilogue<'_>,
        output: &mut [f32],
    ) -> Result<()> {
        check("the input map", height * width * self.inputs, input.len())?;
        if let Some(mask) = mask {
            check("the mask", input.len(), mask.len())?;
        }
        if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
            check("the bias", self.outputs, bias.len())?;
        }
        check(
            "the output map",
            height * width * self.outputs,
            output.len(),
        )?;
        let pass = Pass {
            filters: self,
            // Nothing is left over: maps have a multiple of 32 channels.
            input: input.as_chunks().0,
            mask: mask.map(|mask| mask.as_chunks().0),
            height,
            width,
            across: width.div_ceil(TILE),
            epilogue,
            output: Shared::new(output),
        };
        pass.run();
        Ok(())
    }
}

/// One convolution.
struct Pass<'a> {
    filters: &'a Filters,
    /// In vectors, as the mask.
    input: &'a [[f32; LANES]],
    mask: Option<&'a [[f32; LANES]]>,
    height: usize,
    width: usize,
    /// Tiles in a row of them.
    across: usize,
    epilogue: Epilogue<'a>,
    output: Shared<'a>,
}

/// Some tiles on their way through.
struct Block<'a> {
    /// The first tile, counted along the rows.
    first: usize,
    tiles: usize,
    /// Transformed inputs, `[POINTS, inputs / LANES, tiles, LANES]`.
    left: Shared<'a>,
    /// Sums of products for some panels, `[panels, POINTS, tiles, PANEL]`.
    sums: Shared<'a>,
}

/// From one point's transformed inputs to the next. One cache line more than
/// they take: at powers of two all points would compete for the same few places
/// in the cache.
fn left_stride(inputs: usize, tiles: usize) -> usize {
    inputs * tiles + LANES
}

fn sums_stride(tiles: usize) -> usize {
    PANEL * tiles + LANES
}

impl Pass<'_> {
    fn run(&self) {
        let (inputs, outputs) = (self.filters.inputs, self.filters.outputs);
        let tiles = self.tiles();
        let rows = self.filters.instructions.rows();
        let block = (BLOCK_FLOATS / (POINTS * inputs) / rows * rows).max(rows);
        let filters = self.filters.packed.as_slice().len();
        if filters <= STREAMED_FLOATS && tiles >= block * threads() * 4 {
            self.alone(block);
        } else {
            let floats = CHUNK_FLOATS.max(2 * BLOCK_FLOATS * threads());
            let most = (floats / (POINTS * (inputs + outputs))).max(rows);
            let chunks = tiles.div_ceil(most).max(1);
            self.together(tiles.div_ceil(chunks).next_multiple_of(rows));
        }
    }

    fn tiles(&self) -> usize {
        self.height.div_ceil(TILE) * self.across
    }

    fn panels(&self) -> usize {
        self.filters.outputs / PANEL
    }

    /// Each thread by itself, `block` tiles at a time.
    fn alone(&self, block: usize) {
        let tiles = self.tiles();
        let left_floats = POINTS * left_stride(self.filters.inputs, block);
        let floats = left_floats + POINTS * sums_stride(block);
        parallel(tiles.div_ceil(block), |part| {
            let first = part * block;
            with_scratch(floats, |scratch| {
                let (left, sums) = scratch.split_at_mut(left_floats);
                let block = Block {
                    first,
                    tiles: block.min(tiles - first),
                    left: Shared::new(left),
                    sums: Shared::new(sums),
                };
                self.filters.instructions.run(Alone { pass: self, block });
            });
        });
    }

    /// All threads together, `chunk` tiles at a time.
    fn together(&self, chunk: usize) {
        let tiles = self.tiles();
        let left_floats = POINTS * left_stride(self.filters.inputs, chunk);
        let floats = left_floats + self.panels() * POINTS * sums_stride(chunk);
        with_scratch(floats, |scratch| {
            let (left, sums) = scratch.split_at_mut(left_floats);
            let mut first = 0;
            while first < tiles {
                let block = Block {
                    first,
                    tiles: chunk.min(tiles - first),
                    left: Shared::new(left),
                    sums: Shared::new(sums),
                };
                self.steps(&block);
                first += chunk;
            }
        });
    }

    fn steps(&self, block: &Block<'_>) {
        let instructions = self.filters.instructions;
        // Few channels at a time where there are few tiles.
        let groups = self.filters.inputs / LANES;
        parallel(block.tiles * groups.div_ceil(4), |part| {
            let tile = part % block.tiles;
            let first = part / block.tiles * 4;
            instructions.run(Load {
                pass: self,
                block,
                tile,
                groups: (first, groups.min(first + 4)),
            });
        });
        parallel(self.panels() * POINTS, |part| {
            instructions.run(Multiply {
                pass: self,
                block,
                panel: part / POINTS,
                point: part % POINTS,
            });
        });
        parallel(block.tiles * self.panels(), |part| {
            instructions.run(Finish {
                pass: self,
                block,
                tile: part / self.panels(),
                panel: part % self.panels(),
            });
        });
    }

    /// Transforms the inputs of one tile, of the channels in
    /// `groups.0..groups.1` (in vectors).
    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, block: &Block<'_>, tile: usize, groups: (usize, usize)) {
        let inputs = self.filters.inputs;
        let vectors = inputs / LANES;
        let number = block.first + tile;
        let (top, left) = (number / self.across * TILE, number % self.across * TILE);
        // Where the 6 × 6 places start in the map; none beyond its edges.
        let mut places = [None; POINTS];
        for (i, place) in places.iter_mut().enumerate() {
            // One less: the padding.
            let (y, x) = (top + i / PATCH, left + i % PATCH);
            if (1..=self.height).contains(&y) && (1..=self.width).contains(&x) {
                *place = Some(((y - 1) * self.width + x - 1) * vectors);
            }
        }
        let stride = left_stride(inputs, block.tiles);
        for group in groups.0..groups.1 {
            input(
                simd,
                #[inline(always)]
                |y, x| {
                    let Some(place) = places[y * PATCH + x] else {
                        return simd.splat(0.0);
                    };
                    let at = place + group;
                    // The next tile's places, if it is to the right of this one:
                    // strides as large as these are beyond what processors foresee.
                    let ahead = at + TILE * vectors;
                    let value = simd.load(&self.input[at]);
                    if x >= PATCH - TILE {
                        simd.prefetch(self.input.as_ptr().wrapping_add(ahead).cast());
                    }
                    let Some(mask) = self.mask else {
                        return value;
                    };
                    if x >= PATCH - TILE {
                        simd.prefetch(mask.as_ptr().wrapping_add(ahead).cast());
                    }
                    simd.keep_where_positive(value, simd.load(&mask[at]))
                },
                #[inline(always)]
                |point, value| {
                    let at = point * stride + (group * block.tiles + tile) * LANES;
                    // SAFETY: each tile and group of channels has its own
                    // places, and is transformed by one thread.
                    simd.store(value, unsafe { block.left.vector(at) });
                },
            );
        }
    }

    /// The products of all tiles at one point with one panel of filters, into
    /// place `slot` of the block's sums.
    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        block: &Block<'_>,
        panel: usize,
        point: usize,
        slot: usize,
    ) {
        let inputs = self.filters.inputs;
        let left_at = point * left_stride(inputs, block.tiles);
        let stride = sums_stride(block.tiles);
        let sums_at = (slot * POINTS + point) * stride;
        // SAFETY: nobody writes transformed inputs at this stage, and each
        // point and slot has its own sums.
        let (left, sums) = unsafe {
            (
                block.left.read(left_at..left_at + inputs * block.tiles),
                block.sums.part(sums_at..sums_at + PANEL * block.tiles),
            )
        };
        let floats = inputs * PANEL;
        let filters =
            &self.filters.packed.as_slice()[(panel * POINTS + point) * floats..][..floats];
        let left = Left::<'_, LANES, LANES> {
            values: left,
            step: 1,
            group: block.tiles * LANES,
        };
        multiply(
            simd,
            left,
            block.tiles,
            filters,
            sums,
            PANEL,
            OutputMode::Replace,
        );
    }

    /// Turns one tile's sums for one panel into outputs.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, block: &Block<'_>, panel: usize, tile: usize, slot: usize) {
        let number = block.first + tile;
        let (top, left) = (number / self.across * TILE, number % self.across * TILE);
        let (rows, columns) = (self.height - top, self.width - left);
        let stride = sums_stride(block.tiles);
        for half in 0..PANEL / LANES {
            let channel = panel * PANEL + half * LANES;
            let bias = match self.epilogue {
                Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) => {
                    simd.load(&bias.as_chunks().0[channel / LANES])
                }
                Epilogue::Plain | Epilogue::Add => simd.splat(0.0),
            };
            output(
                simd,
                #[inline(always)]
                |point| {
                    let at = (slot * POINTS + point) * stride + tile * PANEL + half * LANES;
                    // SAFETY: one thread reads these sums, and nobody writes them
                    // at this stage.
                    simd.load(unsafe { block.sums.vector(at) })
                },
                #[inline(always)]
                |y, x, value| {
                    if y >= rows || x >= columns {
                        return;
                    }
                    let at = ((top + y) * self.width + left + x) * self.filters.outputs + channel;
                    // SAFETY: each tile and panel has its own outputs, and is
                    // turned into them by one thread.
                    let to = unsafe { self.output.vector(at) };
                    let value = match self.epilogue {
                        Epilogue::Plain => value,
                        Epilogue::Add => simd.add(value, simd.load(to)),
                        Epilogue::Bias(_) => simd.add(value, bias),
                        Epilogue::BiasRelu(_) => simd.relu(simd.add(value, bias)),
                    };
                    simd.prefetch(to.as_ptr().wrapping_add(TILE * self.filters.outputs));
                    simd.store(value, to);
                },
            );
        }
    }
}

/// All steps of a block.
struct Alone<'a> {
    pass: &'a Pass<'a>,
    block: Block<'a>,
}

impl SimdTask for Alone<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { pass, block } = self;
        for tile in 0..block.tiles {
            pass.load(simd, &block, tile, (0, pass.filters.inputs / LANES));
        }
        for panel in 0..pass.panels() {
            for point in 0..POINTS {
                pass.multiply(simd, &block, panel, point, 0);
            }
            for tile in 0..block.tiles {
                pass.finish(simd, &block, panel, tile, 0);
            }
        }
    }
}

/// One step, for a part of a block.
struct Load<'a> {
    pass: &'a Pass<'a>,
    block: &'a Block<'a>,
    tile: usize,
    groups: (usize, usize),
}

impl SimdTask for Load<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.pass.load(simd, self.block, self.tile, self.groups);
    }
}

struct Multiply<'a> {
    pass: &'a Pass<'a>,
    block: &'a Block<'a>,
    panel: usize,
    point: usize,
}

impl SimdTask for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            pass,
            block,
            panel,
            point,
        } = self;
        pass.multiply(simd, block, panel, point, panel);
    }
}

struct Finish<'a> {
    pass: &'a Pass<'a>,
    block: &'a Block<'a>,
    tile: usize,
    panel: usize,
}

impl SimdTask for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            pass,
            block,
            tile,
            panel,
        } = self;
        pass.finish(simd, block, panel, tile, panel);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Instructions;
    use super::super::tests::noise;
    use super::*;

    /// However the tiles are dealt out, each output is the same sum.
    #[test]
    fn alone_and_together_give_the_same_bits() {
        let (height, width, inputs, outputs) = (37, 41, 64, 96);
        let weight = noise(outputs * inputs * 9, 1);
        let map = noise(height * width * inputs, 2);
        let bias = noise(outputs, 3);
        for instructions in Instructions::all() {
            let filters = Filters::new(instructions, &weight, inputs, outputs).unwrap();
            let run = |work: &dyn Fn(&Pass<'_>)| {
                let mut output = vec![f32::NAN; height * width * outputs];
                work(&Pass {
                    filters: &filters,
                    input: map.as_chunks().0,
                    mask: None,
                    height,
                    width,
                    across: width.div_ceil(TILE),
                    epilogue: Epilogue::BiasRelu(&bias),
                    output: Shared::new(&mut output),
                });
                output
            };
            let whole = run(&|pass| pass.run());
            assert!(whole.iter().all(|value| value.is_finite()));
            for tiles in [1, 5, 14, 31, 200] {
                assert_eq!(whole, run(&|pass| pass.alone(tiles)));
                assert_eq!(whole, run(&|pass| pass.together(tiles)));
            }
        }
    }
}

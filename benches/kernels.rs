//! The CPU kernels that take most of an iteration, in the sizes that VGG has for a
//! picture of 256×256 pixels.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use impasto_engine::kernels::{Epilogue, Filters, Instructions, gram, max_pool};

fn main() {
    divan::main();
}

/// Values that are neither zero nor all alike.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i % 251) as f32 / 251.0 - 0.3).collect()
}

#[divan::bench(args = [(256, 64), (128, 128), (64, 256), (32, 512)])]
fn convolution(bencher: Bencher, (side, channels): (usize, usize)) {
    let Some(instructions) = Instructions::detect() else {
        return;
    };
    let weight = values(channels * channels * 9);
    let bias = values(channels);
    let filters = Filters::new(instructions, &weight, channels, channels).expect("multiples of 32");
    let input = values(side * side * channels);
    let mut output = vec![0.0; input.len()];
    bencher
        .counter(ItemsCount::new(2 * 9 * side * side * channels * channels))
        .bench_local(|| {
            let epilogue = Epilogue::BiasRelu(&bias);
            filters.convolve(black_box(&input), (side, side), None, epilogue, &mut output)
        });
}

#[divan::bench(args = [(256, 64), (128, 128), (64, 256), (32, 512)])]
fn gram_matrix(bencher: Bencher, (side, channels): (usize, usize)) {
    let Some(instructions) = Instructions::detect() else {
        return;
    };
    let rows = values(side * side * channels);
    let mut matrix = vec![0.0; channels * channels];
    bencher.bench_local(|| {
        gram(
            instructions,
            black_box(&rows),
            side * side,
            channels,
            &mut matrix,
        )
    });
}

#[divan::bench(args = [(256, 64), (64, 256)])]
fn pooling(bencher: Bencher, (side, channels): (usize, usize)) {
    let map = values(side * side * channels);
    let mut pooled = vec![0.0; map.len() / 4];
    bencher.bench_local(|| max_pool(black_box(&map), (side, side), channels, &mut pooled));
}

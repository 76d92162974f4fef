//! What makes one statistic count for as much as another.
//!
//! The table gives each statistic, in each layer, the gradient with respect to the pixels
//! that the Gram matrix has there (its L2 norm): the geometric mean over five pairs of
//! pictures at 256 pixels, once with the content as the image and once with it painted for
//! 60 iterations, as `examples/balance.rs` prints it. Networks are calibrated to the scale of
//! VGG-16, so the table holds for all; layers that only VGG-19 has take the value of the
//! one before them.

use impasto_core::preset::{Layer, Statistic};

/// Block and index of a layer; the factors of `mean-std`, `covariance` and `histogram`.
#[rustfmt::skip]
const FACTORS: [(u8, u8, [f64; 3]); 13] = [
    (1, 1, [5.4e-1, 4.2e-1, 3.9e-1]),
    (1, 2, [1.6e1,  1.3e1,  1.1e1]),
    (2, 1, [2.4,    1.1,    1.4]),
    (2, 2, [6.0,    3.1,    3.6]),
    (3, 1, [1.3,    5.8e-1, 6.6e-1]),
    (3, 2, [2.5,    1.2,    1.6]),
    (3, 3, [1.1,    6.9e-1, 8.2e-1]),
    (4, 1, [1.6e-1, 9.9e-2, 1.4e-1]),
    (4, 2, [5.5e-2, 4.0e-2, 4.8e-2]),
    (4, 3, [3.4e-3, 2.9e-3, 3.1e-3]),
    (5, 1, [4.7e-3, 3.4e-3, 4.3e-3]),
    (5, 2, [1.2e-3, 9.1e-4, 1.1e-3]),
    (5, 3, [6.2e-5, 5.5e-5, 6.0e-5]),
];

/// What the loss of a layer is multiplied by. 1 for the Gram matrix.
pub(super) fn balance(statistic: Statistic, layer: Layer) -> f64 {
    let column = match statistic {
        Statistic::Gram => return 1.0,
        Statistic::MeanStd => 0,
        Statistic::Covariance => 1,
        Statistic::Histogram => 2,
    };
    let (block, index) = (layer.block(), layer.index());
    let mut rows = FACTORS.iter();
    let row = rows.rfind(|row| row.0 == block && row.1 <= index);
    row.map_or(1.0, |(.., factors)| factors[column])
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::preset::Network;

    #[test]
    fn every_layer_has_its_own_factor_or_that_of_the_one_before() {
        for layer in Network::VGG19.layers() {
            for statistic in [
                Statistic::MeanStd,
                Statistic::Covariance,
                Statistic::Histogram,
            ] {
                let factor = balance(statistic, layer);
                let at = FACTORS.iter().filter(|row| row.2.contains(&factor));
                assert!(at.clone().any(|row| row.0 == layer.block()), "{layer}");
            }
        }
        let layer = |name: &str| name.parse().unwrap();
        let of = |name: &str| balance(Statistic::MeanStd, layer(name));
        assert_eq!(of("relu3_4"), of("relu3_3"));
        assert_eq!(of("relu5_1"), 4.7e-3);
    }
}

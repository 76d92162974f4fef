//! Round numbers along an axis.

use impasto_core::text::number;

/// Where the ticks of a logarithmic axis are: powers of ten where there are
/// enough, else more and more values between them.
pub(super) fn of_logarithm(low: f64, high: f64) -> Vec<f64> {
    const ENOUGH: usize = 3;
    const MAX: usize = 9;
    let first = low.log10().floor() as i32;
    let last = high.log10().ceil() as i32;
    for mantissas in [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0]] {
        let all = (first..=last).flat_map(|power| {
            let value = move |mantissa: &f64| mantissa * 10f64.powi(power);
            mantissas.iter().map(value)
        });
        let ticks: Vec<f64> = all.filter(|value| (low..=high).contains(value)).collect();
        if ticks.len() >= ENOUGH {
            let every = ticks.len().div_ceil(MAX);
            return ticks.into_iter().step_by(every).collect();
        }
    }
    steps_of_value(low, high, 5)
}

/// Round values from `low` to `high`, evenly spaced, about `count` of them.
pub fn steps_of_value(low: f64, high: f64, count: u32) -> Vec<f64> {
    let rough = (high - low) / f64::from(count.max(1));
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|mantissa| mantissa * power);
    let step = step
        .into_iter()
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    // Cut, for where so many digits are lost that the step is nothing.
    (first..=last)
        .take(100)
        .map(|number| number as f64 * step)
        .collect()
}

/// A loss in few characters: `0.25`, `1500`, `3e5`.
pub fn short(value: f64) -> String {
    number(value, 4)
}

use super::*;
use crate::tests::step;

fn run(iterations: u32) -> Vec<Step> {
    (1..=iterations)
        .map(|it| step(it, 1 + 3 * it / (iterations + 1)))
        .collect()
}

#[test]
fn thinned_curves_keep_their_ends_and_their_peaks() {
    let mut steps = run(30_000);
    steps[17_333].total = 9e9;
    steps[4_321].total = 1e-3;
    steps[5_000].total = f64::NAN;
    steps[5_001].total = 0.0;
    let points = points(&steps, |step| step.total);
    assert!(
        (1000..=MAX_POINTS).contains(&points.len()),
        "{}",
        points.len()
    );
    assert!(points.contains(&(17_334.0, 9e9)));
    assert!(points.contains(&(4_322.0, 1e-3)));
    assert!(points.is_sorted_by_key(|point| point.0));
    assert_eq!(points.first().map(|point| point.0), Some(1.0));
    assert_eq!(points.last().map(|point| point.0), Some(30_000.0));
}

#[test]
fn numbers_are_short() {
    for (value, text) in [
        (1.0, "1"),
        (0.25, "0.25"),
        (1500.0, "1500"),
        (300_000.0, "3e5"),
        (254_000.0, "2.54e5"),
        (0.002, "0.002"),
        (1e-7, "1e-7"),
        (12.5, "12.5"),
        (0.0, "0"),
        (1e30, "1e30"),
    ] {
        assert_eq!(short(value), text);
    }
}

#[test]
fn ticks_are_round_and_neither_few_nor_many() {
    let logarithm = ticks::of_logarithm;
    assert_eq!(logarithm(0.9, 1100.0), [1.0, 10.0, 100.0, 1000.0]);
    assert_eq!(logarithm(20.0, 700.0), [30.0, 100.0, 300.0]);
    for (low, high) in [
        (1.0, 1.0001),
        (3.0, 4.0),
        (1e-300, 1e300),
        (7e5, 9.9e5),
        (1e29, 1e30),
    ] {
        let ticks = logarithm(low, high);
        assert!((2..=10).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        assert!(
            ticks.iter().all(|tick| (low..=high).contains(tick)),
            "{ticks:?}"
        );
    }
    assert_eq!(steps_of_value(1.0, 213.0, 5), [50.0, 100.0, 150.0, 200.0]);
    assert_eq!(steps_of_value(5.0, 5.0, 5), [5.0]);
}

#[test]
fn svg_is_well_formed_whatever_the_title() {
    let svg = losses_svg(&run(300), "a<b>&\u{1b}\"c");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains(">a&lt;b&gt;&amp; \"c</text>"), "{svg}");
    assert!(svg.contains(">iteration</text>") && svg.contains("#d55e00"));
    assert!(svg.contains("64×48"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert!(losses_svg(&[], "nothing").contains("no losses yet"));
}

#[test]
fn every_curve_is_seen_in_the_pixels() {
    let picture = losses_png(&run(300), "20261122-080317-china-night");
    assert_eq!(picture.dimensions(), SIZE);
    for colour in [BLACK, BLUE, VERMILION] {
        let count = picture.pixels().filter(|pixel| pixel.0 == colour).count();
        assert!(count > 300, "{colour:?}: {count}");
    }
}

#[test]
fn odd_losses_are_drawn_without_a_panic() {
    let with = |losses: &[f64]| -> Vec<Step> {
        let numbered = losses.iter().zip([1, 2, 3, 4, u32::MAX]);
        numbered
            .map(|(total, iteration)| Step {
                total: *total,
                content: -*total,
                style: f64::NAN,
                iteration,
                scale: iteration,
                ..step(1, 1)
            })
            .collect()
    };
    for losses in [
        &[0.0][..],
        &[1.0],
        &[f64::MAX, f64::MIN_POSITIVE],
        &[1e-320, 1e-320, f64::INFINITY],
        &[5.0, 5.0, 5.0, 5.0, 5.0],
    ] {
        let svg = losses_svg(&with(losses), "odd");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{losses:?}");
        Chart::of_losses(&with(losses), &"x".repeat(500)).pixels(0, 10_000);
    }
    let steps = run(5);
    let long = "n".repeat(80);
    Chart::of_totals([(&long, &steps), ("b", &[])]).pixels(300, 300);
    caption(&long, 50);
}

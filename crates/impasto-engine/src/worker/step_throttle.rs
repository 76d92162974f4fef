//! Fewer steps than iterations, where a GPU does a thousand a second: nobody could
//! read them all, and each one takes a line of JSON and a place in a chart.

use impasto_core::job::Size;
use impasto_core::protocol::Step;

/// So many seconds of painting pass between two steps that are sent: 200 a second.
const MIN_BETWEEN: f64 = 0.005;

/// Chooses the steps that are sent.
#[derive(Debug, Default)]
pub struct StepThrottle {
    /// The scale of the last step that was sent, and its time.
    last: Option<(u32, f64)>,
}

impl StepThrottle {
    /// Whether this step is sent: the first and the last of a scale always are. A
    /// new value of this type keeps its first step, whatever it is.
    pub fn keeps(&mut self, step: &Step, sizes: &[Size]) -> bool {
        let due = self.last.is_none_or(|(scale, elapsed)| {
            scale != step.scale || step.elapsed - elapsed >= MIN_BETWEEN
        });
        let scales = sizes.iter().take(step.scale as usize);
        let end: u32 = scales.map(|size| size.iterations).sum();
        let keeps = due || step.iteration == end;
        if keeps {
            self.last = Some((step.scale, step.elapsed));
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_core::protocol::LayerLosses;

    fn kept(each: f64) -> Vec<u32> {
        let size = |iterations| Size {
            width: 4,
            height: 4,
            iterations,
        };
        let sizes = [size(23), size(40)];
        let mut throttle = StepThrottle::default();
        (1..=63)
            .filter(|iteration| {
                let step = Step {
                    iteration: *iteration,
                    scale: if *iteration <= 23 { 1 } else { 2 },
                    width: 4,
                    height: 4,
                    content: 0.0,
                    style: 0.0,
                    smoothness: 0.0,
                    total: 0.0,
                    rejected_total: None,
                    elapsed: f64::from(*iteration) * each,
                    layers: LayerLosses::default(),
                };
                throttle.keeps(&step, &sizes)
            })
            .collect()
    }

    #[test]
    fn quick_steps_are_thinned_and_the_ends_of_scales_stay() {
        // A time that binary fractions hold.
        let kept = kept(1.0 / 1024.0);
        assert_eq!(kept, [1, 7, 13, 19, 23, 24, 30, 36, 42, 48, 54, 60, 63]);
    }

    #[test]
    fn slow_steps_are_all_reported() {
        assert_eq!(kept(0.0051).len(), 63);
    }
}

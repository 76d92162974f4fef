//! How far the host may run ahead of a GPU.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Result;
use crate::accelerator::{CudaEvent, Stream};

/// So much work may wait for the GPU: enough for the host to see to other
/// things meanwhile, and little enough for a pause or a changed weight, which
/// waits for all of it, to seem immediate.
const TIMEOUT: Duration = Duration::from_millis(25);
/// Never fewer iterations, so that the GPU always has one to continue with, and
/// never more.
const MIN: usize = 2;
const MAX: usize = 32;

/// Marks the end of every iteration that was submitted, and waits where there
/// are too many.
#[derive(Debug)]
pub struct InFlightLimit {
    marks: VecDeque<CudaEvent>,
    /// So many iterations may wait.
    length: usize,
    /// When the last wait ended, if that was in the last iteration.
    waited: Option<Instant>,
}

impl Default for InFlightLimit {
    fn default() -> Self {
        Self {
            marks: VecDeque::new(),
            length: MIN,
            waited: None,
        }
    }
}

impl InFlightLimit {
    /// To be called after every iteration that was submitted to the stream.
    ///
    /// # Errors
    /// When libtorch fails, and when the work before did.
    pub fn follow(&mut self, stream: &Stream) -> Result<()> {
        self.marks.push_back(CudaEvent::record(stream)?);
        while let Some(oldest) = self.marks.front() {
            let over = self.marks.len() > self.length;
            if oldest.is_done()? {
                self.marks.pop_front();
                continue;
            }
            if !over {
                self.waited = None;
                return Ok(());
            }
            oldest.synchronize()?;
            self.marks.pop_front();
            let now = Instant::now();
            // From the end of one wait to that of the next is one iteration.
            if let Some(before) = self.waited.replace(now) {
                self.length = length(now - before);
            }
            return Ok(());
        }
        self.waited = None;
        Ok(())
    }

    /// To be called when the stream is known to have done everything.
    pub fn release(&mut self) {
        self.marks.clear();
        self.waited = None;
    }
}

/// How many iterations that take so long may wait.
fn length(iteration: Duration) -> usize {
    let fit = TIMEOUT.as_micros() / iteration.as_micros().max(1);
    usize::try_from(fit).unwrap_or(MAX).clamp(MIN, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn quick_iterations_may_wait_in_numbers() {
        assert_eq!(length(Duration::ZERO), MAX);
        assert_eq!(length(Duration::from_millis(1)), 25);
        assert_eq!(length(Duration::from_millis(5)), 5);
        assert_eq!(length(Duration::from_secs(1)), MIN);
    }

    #[test]
    fn nothing_waits_on_the_cpu() {
        let stream = Stream::side(Device::Cpu).unwrap();
        let mut limit = InFlightLimit::default();
        for _ in 0..100 {
            limit.follow(&stream).unwrap();
            assert!(limit.marks.is_empty());
        }
    }
}

//! The way from work that is launched piece by piece to a CUDA graph of it that
//! can be trusted.

use tch::{Kind, Tensor};

use super::accelerator::{Graph, Stream, empty_cache, free_and_total, stats};
use super::evaluate::DeviceEvaluation;
use super::layout::copied;
use super::{EngineError, Result};

/// Eager runs before a capture, besides the one that the graph is compared with:
/// in these what is made once is made, such as plans and workspaces.
const WARM_UP: u32 = 1;
/// By what share the total and the gradient of a graph may differ from those
/// of an eager evaluation. Both use the same kernels: even in bfloat16 they
/// differ by the order of a few sums, while a graph that went wrong brings
/// something else altogether.
const AGREEMENT: f64 = 0.02;

/// Work that is the same every time: it reads and writes the same tensors.
///
/// What is said of a capture's closure ([`Graph::capture`]) holds for both
/// methods.
pub trait Work {
    /// Evaluates the image that the work is about, and changes nothing.
    ///
    /// # Errors
    /// When libtorch fails.
    fn evaluate(&mut self) -> Result<DeviceEvaluation>;

    /// Does the rest, given the findings.
    ///
    /// # Errors
    /// When libtorch fails.
    fn advance(&mut self, findings: &DeviceEvaluation) -> Result<()>;

    /// A capture is about to begin: from here on the work uses the same memory
    /// every time.
    ///
    /// # Errors
    /// When libtorch fails.
    fn prepare_capture(&mut self) -> Result<()> {
        Ok(())
    }

    /// All tensors that [`Work::advance`] changes and later work depends on.
    fn state(&self) -> Vec<Tensor>;
}

/// Runs work eagerly at first, then captures it, compares, and replays.
#[derive(Debug)]
pub struct Recorder {
    stream: Stream,
    phase: Phase,
    /// Something the user should know.
    notice: Option<String>,
}

#[derive(Debug)]
enum Phase {
    /// So many eager runs were done.
    WarmUp(u32),
    Recorded(Recorded),
    /// Graphs are not available here, or could not be trusted.
    Eager,
}

#[derive(Debug)]
struct Recorded {
    graph: Graph,
    /// Where every replay leaves them.
    findings: DeviceEvaluation,
}

/// What a run brought.
#[derive(Debug)]
pub enum RecordedRun {
    /// Tensors of the caller's own.
    Eager(DeviceEvaluation),
    /// Tensors that the next run writes over.
    Replayed(DeviceEvaluation),
}

impl RecordedRun {
    /// The findings, as they are until the next run.
    pub fn findings(&self) -> &DeviceEvaluation {
        match self {
            Self::Eager(findings) | Self::Replayed(findings) => findings,
        }
    }
}

impl Recorder {
    /// For work on `stream`, which must be the current one in every run.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            phase: Phase::WarmUp(0),
            notice: None,
        }
    }

    /// Drops the graph: the work is about to become another one. Its memory goes
    /// back to the allocator, which uses it again.
    pub fn forget(&mut self) {
        if !matches!(self.phase, Phase::Eager) {
            self.phase = Phase::WarmUp(0);
        }
    }

    /// Whether the latest run left a graph behind.
    pub fn is_recorded(&self) -> bool {
        matches!(self.phase, Phase::Recorded(_))
    }

    /// A notice for the user, returned once.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// One run of the work. `able` says whether it may be captured: where it
    /// is not, the run is eager.
    ///
    /// # Errors
    /// Those of the work, and when the device failed in a run before. A graph
    /// that is not available is none.
    pub fn run(&mut self, work: &mut dyn Work, able: bool) -> Result<RecordedRun> {
        match &mut self.phase {
            Phase::Recorded(recorded) if able => {
                recorded.graph.replay()?;
                Ok(RecordedRun::Replayed(recorded.findings.shared()))
            }
            Phase::WarmUp(WARM_UP..) if able => self.record(work),
            phase => {
                if let Phase::WarmUp(runs) = phase {
                    *runs = runs.saturating_add(1);
                }
                let findings = work.evaluate()?;
                work.advance(&findings)?;
                Ok(RecordedRun::Eager(findings))
            }
        }
    }

    /// A run that captures the work and compares what the graph finds with what
    /// an eager evaluation of the same image does.
    fn record(&mut self, work: &mut dyn Work) -> Result<RecordedRun> {
        let reference = work.evaluate()?;
        // The first to wait for the device, so that its earlier failures are
        // not taken for the graph's.
        let comparable = distance(&reference, &reference)?.is_finite();
        if comparable {
            match self.capture(work, &reference) {
                Ok(recorded) => {
                    let findings = recorded.findings.shared();
                    self.phase = Phase::Recorded(recorded);
                    return Ok(RecordedRun::Replayed(findings));
                }
                Err(why) => {
                    self.phase = Phase::Eager;
                    self.notice = Some(format!(
                        "painting without a CUDA graph, which may be slower: {why}"
                    ));
                }
            }
        }
        work.advance(&reference)?;
        Ok(RecordedRun::Eager(reference))
    }

    /// Captures the work and replays it once. On an error nothing was done.
    fn capture(&self, work: &mut dyn Work, reference: &DeviceEvaluation) -> Result<Recorded> {
        make_room(&self.stream);
        work.prepare_capture()?;
        let before: Vec<_> = work
            .state()
            .into_iter()
            .map(|tensor| Ok((copied(&tensor)?, tensor)))
            .collect::<Result<_>>()?;
        let mut findings = None;
        let graph = Graph::capture(&self.stream, || {
            let found = work.evaluate()?;
            work.advance(&found)?;
            findings = Some(found);
            Ok(())
        });
        let (mut graph, findings) = match (graph, findings) {
            (Ok(graph), Some(findings)) => (graph, findings),
            (Err(error), _) => return Err(error),
            (Ok(_), None) => return Err(EngineError::Torch("nothing was captured".into())),
        };
        let compared = graph.replay().and_then(|()| distance(&findings, reference));
        match compared {
            Ok(off) if off <= AGREEMENT => Ok(Recorded { graph, findings }),
            compared => {
                for (before, mut tensor) in before {
                    tensor.f_copy_(&before)?;
                }
                Err(match compared {
                    Ok(off) => EngineError::Torch(format!(
                        "its losses or gradient were off by {off:.3} of their size"
                    )),
                    Err(error) => error,
                })
            }
        }
    }
}

/// A graph takes its memory from a pool of its own: where there is not enough for
/// another one, what eager runs have left in the common pool is given back. That
/// waits for the device, so it is not done without need.
fn make_room(stream: &Stream) {
    let device = stream.device();
    let free = free_and_total(device).map_or(0, |(free, _)| free);
    let reserved = stats(device).map_or(0, |stats| stats.reserved);
    if reserved > free {
        // If that fails, the allocator finds the memory when it needs it.
        let _ = empty_cache();
    }
}

impl DeviceEvaluation {
    /// The same tensors once more.
    fn shared(&self) -> Self {
        Self {
            gradient: self.gradient.shallow_clone(),
            row: self.row.shallow_clone(),
            total: self.total.shallow_clone(),
        }
    }
}

/// By what share of the reference the total is off plus that of the gradient;
/// NaN where something is not finite. Waits for the device.
fn distance(found: &DeviceEvaluation, reference: &DeviceEvaluation) -> Result<f64> {
    let norm = |tensor: &Tensor| tensor.f_norm_scalaropt_dtype(2.0, Kind::Double);
    let numbers = [
        found.total.f_sub(&reference.total)?.f_abs()?,
        reference.total.f_abs()?,
        norm(&found.gradient.f_sub(&reference.gradient)?)?,
        norm(&reference.gradient)?,
    ];
    let numbers = Tensor::f_stack(&numbers, 0)?.f_to_device(tch::Device::Cpu)?;
    let [total, of_total, gradient, of_gradient] = Vec::<f64>::try_from(numbers)?[..] else {
        return Ok(f64::NAN);
    };
    let share = |off: f64, of: f64| if off == 0.0 { 0.0 } else { off / of };
    // A sum, unlike a maximum, passes over no NaN.
    Ok(share(total, of_total) + share(gradient, of_gradient))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(total: f64, gradient: [f32; 2]) -> DeviceEvaluation {
        DeviceEvaluation {
            gradient: Tensor::from_slice(&gradient),
            row: Tensor::from_slice(&[0f32]),
            total: Tensor::from(total),
        }
    }

    #[test]
    fn distances_are_shares_and_nan_is_far() {
        let reference = findings(10.0, [3.0, 4.0]);
        let to = |found: DeviceEvaluation| distance(&found, &reference).unwrap();
        assert_eq!(to(findings(10.0, [3.0, 4.0])), 0.0);
        assert!((to(findings(10.1, [3.0, 4.0])) - 0.01).abs() < 1e-6);
        assert!((to(findings(10.0, [3.5, 4.0])) - 0.1).abs() < 1e-6);
        for broken in [
            findings(f64::NAN, [3.0, 4.0]),
            findings(10.0, [f32::NAN, 4.0]),
            findings(10.0, [f32::INFINITY, 4.0]),
        ] {
            let off = to(broken);
            assert!(off.is_nan() || off > AGREEMENT, "{off}");
        }
        // Nothing to paint is nothing to be off by.
        let nothing = || findings(0.0, [0.0, 0.0]);
        assert_eq!(distance(&nothing(), &nothing()).unwrap(), 0.0);
        let infinite = || findings(f64::INFINITY, [0.0, 0.0]);
        assert!(distance(&infinite(), &infinite()).unwrap().is_nan());
    }
}

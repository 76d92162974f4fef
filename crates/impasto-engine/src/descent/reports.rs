//! What became of iterations: written on the device, read by the host later.

use tch::Tensor;

use crate::accelerator::Stream;
use crate::loss_ring::{LossCopy, LossRing, LossRows};
use crate::optimizer::Status;
use crate::scalars::{Reading, Readout};
use crate::{EngineError, Result};

/// So many iterations are kept: more than can be submitted from the start of one
/// copy to the end of the next, so that none are missed.
const KEPT: i64 = 128;

/// What became of one iteration.
#[derive(Debug)]
pub(super) struct Report {
    /// Its number in the run.
    pub iteration: u32,
    pub reading: Reading,
    pub status: Status,
}

/// The reports of one scene, on the device and on their way to the host.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Every loss of an iteration, and the optimizer's status after it.
    ring: Option<LossRing>,
    readout: Option<Readout>,
    copy: Option<LossCopy>,
    /// The iteration of the ring's first row.
    first: u32,
    /// Rows that were submitted, and those that were read.
    submitted: u64,
    read: u64,
}

impl Reports {
    /// How rows are read; made by the first evaluation.
    pub fn readout(&mut self) -> &mut Option<Readout> {
        &mut self.readout
    }

    /// Writes a row of losses and a status down. Waits for nothing.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn write(&mut self, losses: &Tensor, status: &Tensor) -> Result<()> {
        let row = Tensor::f_cat(&[losses, status], 0)?;
        let ring = match &mut self.ring {
            Some(ring) => ring,
            none => {
                let numbers = row.size1()?;
                none.insert(LossRing::new(KEPT, numbers, row.device())?)
            }
        };
        ring.push(&row)
    }

    /// What [`Reports::write`] changes and the next one depends on.
    pub fn state(&self) -> Option<Tensor> {
        self.ring.as_ref().map(LossRing::state)
    }

    /// To be called for every row that was submitted.
    pub fn submitted(&mut self, iteration: u32) {
        if self.submitted == 0 {
            self.first = iteration;
        }
        self.submitted += 1;
    }

    /// Starts a copy unless one is under way or nothing is new, and reads the
    /// one that has arrived.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn poll(&mut self, copies: &Stream) -> Result<Vec<Report>> {
        if let (None, Some(ring), false) = (&self.copy, &self.ring, self.are_all_read()) {
            self.copy = Some(ring.start_copy(copies)?);
        }
        let Some(copy) = &mut self.copy else {
            return Ok(Vec::new());
        };
        let Some(rows) = copy.poll()? else {
            return Ok(Vec::new());
        };
        self.copy = None;
        self.read(&rows)
    }

    /// Waits for everything.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn wait(&mut self, copies: &Stream) -> Result<Vec<Report>> {
        // What is under way may have been started too early.
        self.copy = None;
        let rows = match &self.ring {
            Some(ring) if !self.are_all_read() => ring.start_copy(copies)?.wait()?,
            _ => return Ok(Vec::new()),
        };
        self.read(&rows)
    }

    fn are_all_read(&self) -> bool {
        self.read == self.submitted
    }

    /// What the rows say that were not read yet.
    fn read(&mut self, rows: &LossRows) -> Result<Vec<Report>> {
        let Some(readout) = &self.readout else {
            return Ok(Vec::new());
        };
        if rows.before + rows.rows.len() as u64 > self.submitted {
            return Err(EngineError::Torch(
                "the GPU counted more iterations than it was given".into(),
            ));
        }
        let mut reports = Vec::new();
        for (number, row) in (rows.before..).zip(&rows.rows) {
            let Some((losses, status)) = row.split_last_chunk::<{ Status::LEN }>() else {
                continue;
            };
            if number < self.read {
                continue;
            }
            self.read = number + 1;
            reports.push(Report {
                iteration: self.first + number as u32,
                reading: readout.read(losses),
                status: Status::read(*status),
            });
        }
        Ok(reports)
    }
}

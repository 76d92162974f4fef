//! The latest losses, kept where they are computed until the host asks.

use tch::{Device, Kind, Tensor};

use crate::accelerator::{HostCopy, Stream};
use crate::{EngineError, Result};

/// The latest rows of numbers, such as an iteration's losses, kept on the
/// device until the host asks for them.
#[derive(Debug)]
pub struct LossRing {
    /// `[capacity, numbers]`, float32.
    rows: Tensor,
    /// How many rows were written since the beginning; int64, `[1]`.
    written: Tensor,
}

impl LossRing {
    /// MemoryPlan for `capacity` rows of so many `numbers` on a device.
    ///
    /// # Errors
    /// When one of them is not positive or memory runs out.
    pub fn new(capacity: i64, numbers: i64, device: Device) -> Result<Self> {
        if capacity < 1 || numbers < 1 {
            return Err(EngineError::Torch(format!(
                "a ring of {capacity} rows of {numbers} numbers holds nothing"
            )));
        }
        Ok(Self {
            rows: Tensor::f_zeros([capacity, numbers], (Kind::Float, device))?,
            written: Tensor::f_zeros([1], (Kind::Int64, device))?,
        })
    }

    /// Writes a row over the oldest one: a tensor of as many numbers as a row
    /// has, on the device. Waits for nothing.
    ///
    /// # Errors
    /// When the count differs or libtorch fails.
    pub fn push(&mut self, row: &Tensor) -> Result<()> {
        let (capacity, numbers) = self.rows.size2()?;
        let row = row.f_to_kind(Kind::Float)?.f_view([1, numbers])?;
        let place = self.written.f_remainder(capacity)?;
        let _ = self.rows.f_index_copy_(0, &place, &row)?;
        let _ = self.written.f_add_scalar_(1)?;
        Ok(())
    }

    /// What [`LossRing::push`] changes and the next one depends on.
    pub fn state(&self) -> Tensor {
        self.written.shallow_clone()
    }

    /// Starts a copy of all rows to the host, on the stream `side`. Not for use
    /// inside a capture.
    ///
    /// # Errors
    /// As those of [`HostCopy::start`].
    pub fn start_copy(&self, side: &Stream) -> Result<LossCopy> {
        Ok(LossCopy {
            rows: HostCopy::start(&self.rows, side)?,
            written: HostCopy::start(&self.written, side)?,
        })
    }
}

/// The rows of a [`LossRing`] on their way to the host.
#[derive(Debug)]
pub struct LossCopy {
    rows: HostCopy,
    written: HostCopy,
}

/// Rows on the host, the oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct LossRows {
    /// How many rows were written before the first one here.
    pub before: u64,
    pub rows: Vec<Vec<f32>>,
}

impl LossCopy {
    /// The rows once they are there; none before, and none after they were
    /// taken. Does not wait.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn poll(&mut self) -> Result<Option<LossRows>> {
        if !(self.rows.is_done()? && self.written.is_done()?) {
            return Ok(None);
        }
        match (self.rows.poll()?, self.written.poll()?) {
            (Some(rows), Some(written)) => in_order(&rows, &written).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits for the rows, if they were not taken yet.
    ///
    /// # Errors
    /// When they were, and when libtorch fails.
    pub fn wait(self) -> Result<LossRows> {
        in_order(&self.rows.wait()?, &self.written.wait()?)
    }
}

/// The rows of a ring as they were written.
fn in_order(ring: &Tensor, written: &Tensor) -> Result<LossRows> {
    let (capacity, numbers) = ring.size2()?;
    let written = i64::try_from(written)?;
    let kept = written.clamp(0, capacity);
    let before = written - kept;
    let values = Vec::<f32>::try_from(ring.f_view([-1])?)?;
    let table: Vec<&[f32]> = values.chunks_exact(numbers as usize).collect();
    let rows = (before..written)
        .filter_map(|row| table.get((row % capacity) as usize))
        .map(|row| row.to_vec())
        .collect();
    Ok(LossRows {
        before: before as u64,
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_device::devices;

    #[test]
    fn the_ring_keeps_the_latest_rows_in_order() {
        for &device in devices().iter() {
            let side = Stream::side(device).unwrap();
            let mut ring = LossRing::new(4, 2, device).unwrap();
            let read = |ring: &LossRing| {
                let mut copy = ring.start_copy(&side).unwrap();
                side.synchronize().unwrap();
                let rows = copy.poll().unwrap().expect("the copy is done");
                assert!(copy.poll().unwrap().is_none());
                assert_eq!(ring.start_copy(&side).unwrap().wait().unwrap(), rows);
                rows
            };
            assert_eq!(
                read(&ring),
                LossRows {
                    before: 0,
                    rows: vec![]
                }
            );
            for number in 0..11 {
                let row = Tensor::from_slice(&[number as f32, -0.5]).to_device(device);
                ring.push(&row).unwrap();
                let rows = read(&ring);
                let before = u64::from((number + 1u8).saturating_sub(4));
                assert_eq!(rows.before, before);
                let numbers: Vec<f32> = rows.rows.iter().map(|row| row[0]).collect();
                let wanted: Vec<f32> = (before..=u64::from(number)).map(|n| n as f32).collect();
                assert_eq!(numbers, wanted);
                assert!(rows.rows.iter().all(|row| row[1] == -0.5));
            }
            assert!(
                ring.push(&Tensor::zeros([3], (Kind::Float, device)))
                    .is_err()
            );
        }
        assert!(LossRing::new(0, 2, Device::Cpu).is_err());
    }
}

//! The numbers of one evaluation: gathered where they are computed, weighed
//! there too, and read by the host in one go.

use impasto_core::preset::{Layer, Preset};
use impasto_core::protocol::LayerLosses;
use tch::{Device, Kind, Tensor};

use super::loss::{Losses, Weighted};
use super::{EngineError, Result};

/// Which number a scalar on the device is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Slot {
    Content(Layer),
    Style(Layer),
    Laplacian,
    Smoothness,
    /// The gradient's largest value: not finite if any of them is not.
    Gradient,
}

/// Scalars gathered on the device and read in one go: each one read alone
/// would make the host wait for a GPU.
#[derive(Default)]
pub(super) struct Scalars {
    slots: Vec<Slot>,
    values: Vec<Tensor>,
}

/// What the host reads of one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub losses: Losses,
    pub weighted: Weighted,
    /// Whether the total and every element of the gradient are finite.
    pub finite: bool,
}

impl Scalars {
    /// Adds to what is in the slot.
    pub fn add(&mut self, slot: Slot, value: Tensor) -> Result<()> {
        match self.slots.iter().position(|known| *known == slot) {
            Some(index) => {
                let _ = self.values[index].f_add_(&value)?;
            }
            None => {
                self.slots.push(slot);
                self.values.push(value);
            }
        }
        Ok(())
    }

    /// All of them as one tensor `[N]`, float32.
    pub fn row(&self) -> Result<Tensor> {
        Ok(Tensor::f_stack(&self.values, 0)?)
    }

    pub fn read(&self, preset: &Preset) -> Result<Reading> {
        let mut numbers = vec![0f32; self.slots.len()];
        self.row()?
            .f_to_device(Device::Cpu)?
            .f_copy_data(&mut numbers, self.slots.len())?;
        Ok(reading(&self.slots, &numbers, preset))
    }

    /// How rows of these scalars are read and weighed.
    pub fn readout(&self, preset: &Preset) -> Result<Readout> {
        let weights: Vec<f64> = self
            .slots
            .iter()
            .map(|slot| match slot {
                Slot::Content(layer) => preset.content.factor(*layer),
                Slot::Style(layer) => preset.style.factor(*layer),
                Slot::Laplacian => preset.content.laplacian,
                Slot::Smoothness => preset.smoothness.weight,
                Slot::Gradient => 0.0,
            })
            .collect();
        let device = self.values.first().map_or(Device::Cpu, Tensor::device);
        Ok(Readout {
            slots: self.slots.clone(),
            preset: preset.clone(),
            weights: Tensor::f_from_slice(&weights)?.f_to_device(device)?,
        })
    }
}

/// What the numbers of a row mean, and what each counts for in the total.
#[derive(Debug)]
pub struct Readout {
    slots: Vec<Slot>,
    preset: Preset,
    /// `[N]`, float64, where the rows are: bringing numbers there takes a
    /// copy that work which is to be captured must not do.
    weights: Tensor,
}

impl Readout {
    /// The scalars as one tensor `[N]`, float32, and their weighted total,
    /// float64, 0-dimensional. Waits for nothing.
    pub(super) fn gather(&self, scalars: &Scalars) -> Result<(Tensor, Tensor)> {
        if scalars.slots != self.slots {
            return Err(EngineError::Torch(
                "an evaluation returned other losses than the one before".into(),
            ));
        }
        let row = scalars.row()?;
        let total = row.f_mul(&self.weights)?.f_sum(Kind::Double)?;
        Ok((row, total))
    }

    /// What a row says that has come to the host.
    pub fn read(&self, row: &[f32]) -> Reading {
        reading(&self.slots, row, &self.preset)
    }
}

fn reading(slots: &[Slot], numbers: &[f32], preset: &Preset) -> Reading {
    let mut losses = Losses {
        layers: LayerLosses::default(),
        smoothness: 0.0,
    };
    let mut finite = true;
    for (slot, value) in slots.iter().zip(numbers.iter().copied().map(f64::from)) {
        match slot {
            Slot::Content(layer) => drop(losses.layers.content.insert(*layer, value)),
            Slot::Style(layer) => drop(losses.layers.style.insert(*layer, value)),
            Slot::Laplacian => losses.layers.laplacian = Some(value),
            Slot::Smoothness => losses.smoothness = value,
            Slot::Gradient => finite = value.is_finite(),
        }
    }
    let weighted = losses.weighted(preset);
    finite &= weighted.total.is_finite();
    Reading {
        losses,
        weighted,
        finite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_weighs_as_the_host_does() {
        let preset = Preset::default();
        let mut scalars = Scalars::default();
        let scalar = |value: f32| Tensor::from(value);
        for (layer, value) in preset.style.layers.keys().zip([3.0, 1e-4, 7.5, 0.25]) {
            scalars.add(Slot::Style(*layer), scalar(value)).unwrap();
        }
        for layer in preset.content.layers.keys() {
            scalars.add(Slot::Content(*layer), scalar(5e3)).unwrap();
        }
        scalars.add(Slot::Smoothness, scalar(0.1)).unwrap();
        scalars.add(Slot::Smoothness, scalar(0.2)).unwrap();
        scalars.add(Slot::Gradient, scalar(9.0)).unwrap();
        let readout = scalars.readout(&preset).unwrap();
        let (row, total) = readout.gather(&scalars).unwrap();
        let reading = scalars.read(&preset).unwrap();
        assert!(reading.finite);
        assert!((reading.losses.smoothness - 0.3).abs() < 1e-6);
        let off = total.double_value(&[]) / reading.weighted.total - 1.0;
        assert!(off.abs() < 1e-12, "{off}");
        let row = Vec::<f32>::try_from(row).unwrap();
        assert_eq!(readout.read(&row), reading);

        scalars.add(Slot::Gradient, scalar(f32::INFINITY)).unwrap();
        assert!(!scalars.read(&preset).unwrap().finite);
        let (_, total) = readout.gather(&scalars).unwrap();
        assert!(!total.double_value(&[]).is_finite());
        let other = Scalars::default();
        assert!(readout.gather(&other).is_err());
    }
}

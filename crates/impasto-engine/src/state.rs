//! What an optimizer and its images are made of, taken apart to be kept on a
//! disk and put together again, bit by bit.

use std::collections::{BTreeMap, BTreeSet};

use impasto_core::checkpoint::{Array, Contents};
use tch::{Device, Kind, Tensor};

use super::layout::copied;
use super::{EngineError, Result};

/// Numbers and tensors by their names.
#[derive(Debug, Default)]
pub struct StateDict {
    /// The bits of each number: JSON knows no infinity.
    numbers: BTreeMap<String, u64>,
    tensors: BTreeMap<String, Tensor>,
    /// Tensors that never change under their names. Those that are kept
    /// already are named alone.
    frozen: BTreeMap<String, Option<Tensor>>,
    kept: BTreeSet<String>,
}

impl StateDict {
    /// An empty one, to be filled. `kept` names the frozen tensors that the
    /// disk has, so that they are not copied once more.
    pub fn new(kept: BTreeSet<String>) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    /// What was kept of one.
    ///
    /// # Errors
    /// When a tensor is not what it says it is.
    pub fn read(contents: Contents) -> Result<Self> {
        let tensors = |arrays: Vec<Array>| -> Result<Vec<(String, Tensor)>> {
            let read = |array: Array| Ok((array.name.clone(), tensor(&array)?));
            arrays.into_iter().map(read).collect()
        };
        let frozen = tensors(contents.frozen)?.into_iter();
        Ok(Self {
            numbers: contents.numbers,
            tensors: tensors(contents.arrays)?.into_iter().collect(),
            frozen: frozen.map(|(name, tensor)| (name, Some(tensor))).collect(),
            kept: BTreeSet::new(),
        })
    }

    pub fn put_number(&mut self, name: &str, number: f64) {
        self.numbers.insert(name.to_owned(), number.to_bits());
    }

    /// A tensor of float32 or float64, as it is now.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn put(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        self.tensors.insert(name.to_owned(), apart(tensor)?);
        Ok(())
    }

    /// A tensor whose values never change under this name.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn put_frozen(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let copy = match self.kept.contains(name) {
            true => None,
            false => Some(apart(tensor)?),
        };
        self.frozen.insert(name.to_owned(), copy);
        Ok(())
    }

    /// # Errors
    /// When there is none.
    pub fn number(&self, name: &str) -> Result<f64> {
        let bits = self.numbers.get(name).ok_or_else(|| missing(name))?;
        Ok(f64::from_bits(*bits))
    }

    /// The tensor, on `device`.
    ///
    /// # Errors
    /// When there is none, or memory runs out.
    pub fn tensor(&self, name: &str, device: Device) -> Result<Tensor> {
        let frozen = || self.frozen.get(name).and_then(Option::as_ref);
        let tensor = self.tensors.get(name).or_else(frozen);
        Ok(tensor.ok_or_else(|| missing(name))?.f_to_device(device)?)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.frozen.contains_key(name)
    }

    /// All numbers and tensors as bytes; those that are kept already have none.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn write(self) -> Result<Contents> {
        let array = |(name, tensor): (String, Option<Tensor>)| match tensor {
            Some(tensor) => array(name, &tensor),
            None => Ok(Array::kept(name)),
        };
        let arrays = self
            .tensors
            .into_iter()
            .map(|(name, tensor)| (name, Some(tensor)));
        Ok(Contents {
            numbers: self.numbers,
            arrays: arrays.map(array).collect::<Result<_>>()?,
            frozen: self.frozen.into_iter().map(array).collect::<Result<_>>()?,
        })
    }
}

fn missing(name: &str) -> EngineError {
    EngineError::Torch(format!("it has no {name}"))
}

/// A copy on the host that nothing else writes to.
fn apart(tensor: &Tensor) -> Result<Tensor> {
    if tensor.device() == Device::Cpu {
        copied(tensor)
    } else {
        Ok(tensor.f_to_device(Device::Cpu)?)
    }
}

/// The tensor's values in the order of its indices, whatever its layout.
fn array(name: String, tensor: &Tensor) -> Result<Array> {
    let shape = tensor.size();
    let wide = match tensor.f_kind()? {
        Kind::Float => false,
        Kind::Double => true,
        other => {
            let words = format!("a tensor of {other:?} cannot be kept");
            return Err(EngineError::Torch(words));
        }
    };
    // Frozen tensors are laid out as the painter likes them.
    let flat = tensor.f_contiguous()?.f_reshape([-1])?;
    let count = flat.numel();
    let mut bytes = vec![0; count * if wide { 8 } else { 4 }];
    flat.f_copy_data_u8(&mut bytes, count)?;
    Ok(Array {
        name,
        shape,
        wide,
        bytes,
    })
}

fn tensor(array: &Array) -> Result<Tensor> {
    let kind = if array.wide {
        Kind::Double
    } else {
        Kind::Float
    };
    // Looked at when it was read; libtorch panics at a slice that is too short.
    let size = if array.wide { 8 } else { 4 };
    let count = array
        .shape
        .iter()
        .try_fold(1usize, |count, &side| {
            usize::try_from(side)
                .ok()
                .and_then(|side| count.checked_mul(side))
        })
        .filter(|count| count.checked_mul(size) == Some(array.bytes.len()));
    if count.is_none() {
        return Err(EngineError::Torch(format!(
            "{} in the checkpoint has another length than its shape says",
            array.name
        )));
    }
    Ok(Tensor::f_from_data_size(&array.bytes, &array.shape, kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::kind::FLOAT_CPU;

    #[test]
    fn numbers_and_tensors_come_back_bit_by_bit() {
        let mut state = StateDict::new(BTreeSet::from(["old".to_owned()]));
        let image = Tensor::rand([1, 3, 5, 4], FLOAT_CPU).transpose(2, 3);
        state.put("image", &image).unwrap();
        state.put_number("endless", f64::INFINITY);
        state.put_number("third", 1.0 / 3.0);
        state.put_frozen("new", &image).unwrap();
        state.put_frozen("old", &image).unwrap();
        let mut contents = state.write().unwrap();
        assert!(
            contents
                .frozen
                .iter()
                .any(|array| array.name == "old" && array.bytes.is_empty())
        );
        contents.frozen.retain(|array| array.name == "new");
        let state = StateDict::read(contents).unwrap();
        for name in ["image", "new"] {
            assert!(state.tensor(name, Device::Cpu).unwrap().equal(&image));
        }
        assert_eq!(state.number("endless").unwrap(), f64::INFINITY);
        assert_eq!(state.number("third").unwrap(), 1.0 / 3.0);
        assert!(state.number("other").is_err() && !state.has("old"));
    }

    #[test]
    fn a_tensor_of_the_wrong_length_is_refused() {
        let array = |shape: &[i64], bytes| Array {
            name: "image".to_owned(),
            shape: shape.to_vec(),
            wide: false,
            bytes,
        };
        for (shape, length) in [(&[2, 2][..], 12), (&[-1, 4], 16), (&[i64::MAX, 4], 16)] {
            assert!(tensor(&array(shape, vec![0; length])).is_err());
        }
        assert!(tensor(&array(&[2, 2], vec![0; 16])).is_ok());
    }
}

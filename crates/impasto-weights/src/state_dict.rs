//! From the values of a pickle to named tensors, whatever the file around it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::WeightsErrorKind;
use super::error::{damaged, quoted, unsupported};
use super::pickle::class::{Class, Element};
use super::pickle::{Id, Node, Pickle};
use super::tensor::{Dtype, Layout, Region, Tensor};

/// Under which names checkpoints keep the state dict among other things.
const INSIDE: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// How many dimensions a tensor may have.
const MAX_DIMENSIONS: usize = 16;

/// A storage: the numbers that one or more tensors show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub dtype: Dtype,
    /// The size of an element in bytes.
    pub bytes: u64,
    pub region: Region,
}

/// A tensor without its name.
#[derive(Clone, Debug)]
pub(super) struct StoredTensor {
    pub dtype: Dtype,
    pub shape: Vec<u64>,
    pub layout: Layout,
}

/// What lies outside a pickle, by its key.
#[derive(Debug, Default)]
pub(super) struct Storages {
    pub storages: HashMap<String, Storage>,
    /// Only the oldest files keep tensors outside.
    pub tensors: HashMap<String, StoredTensor>,
}

impl StoredTensor {
    /// A view of a storage that begins `offset` elements into it.
    pub fn new(
        storage: &Storage,
        offset: u64,
        shape: Vec<u64>,
        strides: Vec<u64>,
    ) -> Result<Self, WeightsErrorKind> {
        let start = (offset.checked_mul(storage.bytes))
            .and_then(|bytes| bytes.checked_add(storage.region.start))
            .ok_or_else(|| damaged("a tensor's offset is out of range"))?;
        Ok(Self {
            dtype: storage.dtype,
            shape,
            layout: Layout {
                strides: Some(strides),
                start,
                region: storage.region,
            },
        })
    }
}

/// The storages that a pickle says lie outside it, by key: what they are made
/// of, and how many elements they have.
pub(super) fn storages(
    pickle: &Pickle,
) -> Result<BTreeMap<String, (Element, u64)>, WeightsErrorKind> {
    let mut storages = BTreeMap::new();
    for node in pickle.nodes() {
        let Node::Persistent(id) = node else { continue };
        let storage = match pickle.tuple(*id) {
            // Older PyTorch adds which part of another storage this one is.
            Some([kind, class, key, place, count, rest @ ..]) if storage_kind(pickle, *kind) => {
                if rest.iter().any(|&id| !matches!(pickle.get(id), Node::None)) {
                    return Err(unsupported("it holds storages that are parts of others"));
                }
                match (
                    pickle.get(*class),
                    pickle.text(*place),
                    pickle.count(*count),
                ) {
                    (Node::Class(Class::Storage(element)), Some(_), Some(count)) => {
                        key_text(pickle, *key).map(|key| (key, (*element, count)))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let (key, storage) = storage
            .ok_or_else(|| unsupported("it refers to something that is neither tensor nor text"))?;
        if *storages.entry(key).or_insert(storage) != storage {
            return Err(damaged("two storages share a name"));
        }
    }
    Ok(storages)
}

fn storage_kind(pickle: &Pickle, id: Id) -> bool {
    pickle.text(id) == Some("storage")
}

/// A key, which some files write as a number and some as text.
pub(super) fn key_text(pickle: &Pickle, id: Id) -> Option<String> {
    match pickle.get(id) {
        Node::Text(text) => Some(text.clone()),
        Node::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The tensors of the state dict: the pickled dictionary itself, or one that
/// it holds under a customary name.
pub(super) fn tensors(pickle: &Pickle, stored: &Storages) -> Result<Vec<Tensor>, WeightsErrorKind> {
    let none = || WeightsErrorKind::NotVgg("it holds no state dict".to_owned());
    let Node::Dict(outer) = pickle.get(pickle.root()) else {
        return Err(none());
    };
    let inner = outer.iter().find_map(|(name, value)| {
        let name = pickle.text(*name)?;
        match pickle.get(*value) {
            Node::Dict(inner) if INSIDE.contains(&name) => Some(inner),
            _ => None,
        }
    });
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for (name, value) in inner.unwrap_or(outer) {
        let Some(name) = pickle.text(*name) else {
            continue;
        };
        if let Some(StoredTensor {
            dtype,
            shape,
            layout,
        }) = tensor(pickle, stored, *value)?
        {
            // Besides being wrong, a long name could be repeated cheaply.
            if !names.insert(name) {
                return Err(damaged(format!("two tensors are called {}", quoted(name))));
            }
            tensors.push(Tensor {
                name: name.to_owned(),
                dtype,
                shape,
                layout,
            });
        }
    }
    if tensors.is_empty() {
        return Err(none());
    }
    Ok(tensors)
}

/// The tensor that a value stands for, if it stands for one.
fn tensor(
    pickle: &Pickle,
    stored: &Storages,
    mut id: Id,
) -> Result<Option<StoredTensor>, WeightsErrorKind> {
    let broken = || damaged("a tensor is not described as PyTorch does");
    // A parameter is a tensor in a wrapper, and nothing wraps a parameter.
    if let Node::Call {
        class: Class::Parameter,
        arguments,
    } = pickle.get(id)
    {
        let [data, ..] = pickle.tuple(*arguments).ok_or_else(broken)? else {
            return Err(broken());
        };
        id = *data;
    }
    match pickle.get(id) {
        Node::Call {
            class: Class::RebuildTensor,
            arguments,
        } => {
            let [storage, offset, shape, strides, ..] =
                pickle.tuple(*arguments).ok_or_else(broken)?
            else {
                return Err(broken());
            };
            let storage = match pickle.get(*storage) {
                Node::Persistent(key) => match pickle.tuple(*key) {
                    Some([_, _, key, ..]) => key_text(pickle, *key),
                    _ => None,
                },
                _ => None,
            };
            let storage = storage
                .and_then(|key| stored.storages.get(&key))
                .ok_or_else(broken)?;
            let offset = pickle.count(*offset).ok_or_else(broken)?;
            let counts = |id: Id| -> Option<Vec<u64>> {
                let items = pickle.tuple(id)?;
                if items.len() > MAX_DIMENSIONS {
                    return None;
                }
                items.iter().map(|&item| pickle.count(item)).collect()
            };
            let shape = counts(*shape).ok_or_else(broken)?;
            let strides = counts(*strides).ok_or_else(broken)?;
            StoredTensor::new(storage, offset, shape, strides).map(Some)
        }
        Node::Persistent(key) if !stored.tensors.is_empty() => {
            let key = key_text(pickle, *key).ok_or_else(broken)?;
            Ok(Some(stored.tensors.get(&key).ok_or_else(broken)?.clone()))
        }
        _ => Ok(None),
    }
}

//! The classes and functions that a pickled state dict may name.

use super::super::tensor::Dtype;

/// What a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: of a storage,
    /// an offset, a shape and strides, and more that says nothing about values.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter` and `torch.nn.parameter.Parameter`: of
    /// a tensor, and more of the same kind.
    Parameter,
    /// `torch.FloatStorage` and its like.
    Storage(Element),
    /// `torch.FloatTensor` and its like, which only the oldest files name.
    Tensor,
}

/// What a storage is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub dtype: Dtype,
    /// The size in bytes.
    pub bytes: u64,
}

impl Class {
    /// The class of this name, if a state dict may need it.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") | ("torch.nn.parameter", "Parameter") => {
                Some(Self::Parameter)
            }
            ("torch" | "torch.cuda", name) => {
                if let Some(kind) = name.strip_suffix("Storage") {
                    Element::find(kind).map(Self::Storage)
                } else {
                    Element::find(name.strip_suffix("Tensor")?).map(|_| Self::Tensor)
                }
            }
            _ => None,
        }
    }

    /// Whether pickles make values by it, rather than merely name it.
    pub fn is_called(self) -> bool {
        !matches!(self, Self::Storage(_) | Self::Tensor)
    }
}

impl Element {
    fn find(kind: &str) -> Option<Self> {
        let (dtype, bytes) = match kind {
            "Double" => (Dtype::Float64, 8),
            "Float" => (Dtype::Float32, 4),
            "Half" => (Dtype::Float16, 2),
            "BFloat16" => (Dtype::BFloat16, 2),
            "Long" => (Dtype::Other, 8),
            "Int" => (Dtype::Other, 4),
            "Short" => (Dtype::Other, 2),
            "Char" | "Byte" | "Bool" => (Dtype::Other, 1),
            _ => return None,
        };
        Some(Self { dtype, bytes })
    }
}

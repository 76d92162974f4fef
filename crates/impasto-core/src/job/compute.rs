//! Where and how a run computes: device, precision, tiles, and what to do when
//! memory runs out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which processor a run was asked to use. See `engine::device` for what it
/// becomes on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChoice {
    /// The first CUDA device where there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The CUDA device of this number, counted from 0.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" => "0",
            _ => text.strip_prefix("cuda:").unwrap_or(""),
        };
        match number.parse::<usize>() {
            Ok(index) if index < 64 => Ok(Self::Cuda(index)),
            _ => Err("expected auto, cpu, cuda or cuda:N with N from 0 to 63".to_owned()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => out.write_str("auto"),
            Self::Cpu => out.write_str("cpu"),
            Self::Cuda(index) => write!(out, "cuda:{index}"),
        }
    }
}

/// What a run was asked to compute in. See `engine::precision` for what it
/// becomes on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrecisionChoice {
    /// The fastest that brings the same losses.
    #[default]
    Auto,
    Float32,
    Tf32,
    Bfloat16,
}

impl PrecisionChoice {
    const NAMES: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("float32", Self::Float32),
        ("tf32", Self::Tf32),
        ("bfloat16", Self::Bfloat16),
    ];
}

impl FromStr for PrecisionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&Self::NAMES, text)
    }
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name_in(&Self::NAMES, *self))
    }
}

/// What a run does when memory runs out in spite of all foresight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortage {
    /// Goes on in smaller tiles, which takes longer.
    #[default]
    Tile,
    /// In smaller tiles first, then at a smaller size.
    Shrink,
    /// Saves the picture so far and ends.
    Stop,
}

impl Shortage {
    const NAMES: [(&'static str, Self); 3] = [
        ("tile", Self::Tile),
        ("shrink", Self::Shrink),
        ("stop", Self::Stop),
    ];
}

impl FromStr for Shortage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named(&Self::NAMES, text)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(name_in(&Self::NAMES, *self))
    }
}

/// The value that `text` names.
fn named<T: Copy>(names: &[(&'static str, T)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The name of a value that is in the table.
fn name_in<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    let found = names.iter().find(|(_, known)| *known == value);
    found.map_or("", |(name, _)| name)
}

/// Where and how a run computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compute {
    pub device: DeviceChoice,
    pub precision: PrecisionChoice,
    /// The side of the tiles in pixels; none for as few tiles as memory allows.
    pub tile: Option<u32>,
    pub shortage: Shortage,
}

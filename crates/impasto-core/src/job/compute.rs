//! Where and how a run computes: device, precision, tiles, and what to do when
//! memory runs out.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which processor a run was asked to use. See `engine::device` for what it
/// becomes on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum PrecisionChoice {
    /// The fastest with the same losses.
    #[default]
    Auto,
    Float32,
    Tf32,
    Bfloat16,
}

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value()
            .map_or(Ok(()), |value| out.pad(value.get_name()))
    }
}

/// What a run does when memory runs out in spite of all foresight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Shortage {
    /// Continue with smaller tiles, which takes longer.
    #[default]
    Tile,
    /// Smaller tiles first, then a smaller picture.
    Shrink,
    /// Save the picture and end.
    Stop,
}

/// Where and how a run computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compute {
    pub device: DeviceChoice,
    pub precision: PrecisionChoice,
    /// The side of the tiles in pixels; none for as few tiles as memory allows.
    pub tile: Option<u32>,
    #[serde(rename = "out_of_memory")]
    pub shortage: Shortage,
}

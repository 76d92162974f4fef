//! `impasto fit`: which sizes this machine's memory holds.

use std::io::{self, Write};

use impasto_core::job::Compute;
use impasto_core::picture::{self, fit_long_side};
use impasto_engine::budget::{Layout, Workload};
use impasto_engine::memory_plan::gigabytes;
use impasto_engine::{device, memory, network, precision};
use impasto_weights::check_network;
use serde::Serialize;

use super::chosen_preset;
use crate::cli::FitArgs;
use crate::outcome::{Failure, Outcome};

/// The shape of most photographs, where no picture is named.
const SHAPE: (u32, u32) = (4, 3);
/// Sizes are looked for in steps of this many pixels.
const STEP: u32 = 64;
const LARGEST: u32 = 16384;

/// What painting one size takes.
#[derive(Serialize)]
struct Row {
    size: u32,
    width: u32,
    height: u32,
    /// In one piece, with all that the optimizer would remember.
    whole_bytes: u64,
    fits: bool,
    /// How it would be painted, where it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    tile: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct Answer {
    device: String,
    precision: String,
    free_bytes: u64,
    largest_in_one_piece: u32,
    largest_in_tiles: u32,
    sizes: Vec<Row>,
}

pub fn fit(args: &FitArgs) -> Outcome {
    let preset = chosen_preset(&args.preset, "default")?;
    check_network(preset.network)?;
    let shape = match &args.content {
        Some(path) => picture::load(path)?.picture.size(),
        None => SHAPE,
    };
    let compute: Compute = (&args.compute).into();
    let device = device::resolve(compute.device)?;
    let precision = precision::resolve(compute.precision, device)?;
    let budget = match args.memory {
        Some(gigabytes) => Some((gigabytes * 1e9) as u64),
        None => memory::budget(device),
    };
    let Some(free) = budget else {
        return Err(Failure::Failed(
            "the free memory is unknown here; give an amount with --memory".to_owned(),
        ));
    };
    let layers = network::layers_to(preset.network, preset.deepest());
    let workload = Workload {
        preset: &preset,
        layers: &layers,
        precision,
        cuda: device::is_cuda(device),
    };
    let sides = |size: u32| fit_long_side(shape.0, shape.1, size);
    let layout = |size: u32| -> Option<Layout> {
        let picture = sides(size);
        workload.layout(picture, picture, compute.tile, free, u64::MAX)
    };
    let largest = |fits: &dyn Fn(u32) -> bool| {
        let mut sizes = (1..=LARGEST / STEP).map(|step| step * STEP);
        sizes.rfind(|size| fits(*size)).unwrap_or(0)
    };
    let row = |&size: &u32| {
        let (width, height) = sides(size);
        let layout = layout(size);
        Row {
            size,
            width,
            height,
            whole_bytes: workload.whole((width, height), (width, height)),
            fits: layout.is_some(),
            tile: layout.and_then(|layout| layout.tile),
            bytes: layout.map(|layout| layout.bytes),
        }
    };
    let answer = Answer {
        device: device::name(device),
        precision: precision.to_string(),
        free_bytes: free,
        largest_in_one_piece: largest(&|size| layout(size).is_some_and(|it| it.tile.is_none())),
        largest_in_tiles: largest(&|size| layout(size).is_some()),
        sizes: args.sizes.iter().map(row).collect(),
    };
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    print(&answer, &mut out)?;
    Ok(())
}

fn print(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{} of memory for painting on {} in {}\n",
        gigabytes(answer.free_bytes),
        answer.device,
        answer.precision
    )?;
    writeln!(out, "{:>13} {:>12}   painted", "size", "in one piece")?;
    for row in &answer.sizes {
        let how = match (row.bytes, row.tile) {
            (None, _) => "does not fit".to_owned(),
            (Some(bytes), None) => format!("in one piece, {}", gigabytes(bytes)),
            (Some(bytes), Some(tile)) => {
                format!("in tiles of {tile} pixels, {}", gigabytes(bytes))
            }
        };
        writeln!(
            out,
            "{:>13} {:>12}   {how}",
            format!("{}×{}", row.width, row.height),
            gigabytes(row.whole_bytes)
        )?;
    }
    writeln!(
        out,
        "\nThe largest --size is {} in one piece and {} in tiles.",
        answer.largest_in_one_piece, answer.largest_in_tiles
    )
}

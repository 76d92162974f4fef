//! Prints the table of `statistic/balance.rs`: what each statistic is multiplied by in each
//! layer, so that its gradient with respect to the pixels is as long as that of the Gram
//! matrix. Geometric means over pairs of pictures, and over an image that is the content
//! and one that is painted half-way.
//!
//!     cargo run --release -p impasto-engine --example balance -- CONTENT STYLE …

use std::error::Error;
use std::path::PathBuf;

use impasto_core::job::{Compute, DeviceChoice, Job};
use impasto_core::picture::{Source, load};
use impasto_core::preset::{Network, Preset, Scale, Statistic, Word};
use impasto_engine::evaluate::evaluate;
use impasto_engine::network::Vgg;
use impasto_engine::painter::Painter;
use impasto_engine::pictures::Pictures;
use impasto_engine::pixels::tensor_of;
use impasto_engine::precision::Precision;
use impasto_engine::statistic::balance;
use impasto_engine::targets::Targets;
use tch::Device;

const SIZE: u32 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut sums = vec![vec![0.0; Statistic::ALL.len()]; 16];
    let mut count = 0;
    for pair in paths.chunks_exact(2) {
        let preset = Preset {
            schedule: vec![Scale {
                size: SIZE,
                iterations: 60,
            }],
            ..Preset::default()
        };
        let job = job(preset, load(&pair[0])?, load(&pair[1])?);
        let mut painter = Painter::new(job.clone(), &mut |_| {})?;
        while !painter.is_finished() {
            painter.step()?;
        }
        let painted = painter.picture()?.ok_or("no picture")?;
        let images = Pictures::new(&job, Device::Cpu)?.at(&job.preset, painted.size())?;
        for image in [images.content.copy(), tensor_of(&painted, Device::Cpu)?] {
            count += 1;
            for (row, layer) in Network::VGG19.layers().enumerate() {
                let Some(layer) = Network::VGG16.layers().find(|it| *it == layer) else {
                    continue;
                };
                let length = |statistic: Statistic| -> Result<f64, Box<dyn Error>> {
                    let preset = Preset::default()
                        .set("content.weight=0")?
                        .set("smoothness.weight=0")?
                        .set("style.weight=1")?
                        .set(&format!("style.layers=[{layer}]"))?
                        .set(&format!("style.statistic={}", statistic.word()))?;
                    let vgg = Vgg::new(
                        preset.network,
                        preset.pooling,
                        Some(layer),
                        Device::Cpu,
                        Precision::Float32,
                    )?;
                    let targets = Targets::new(&vgg, &preset, &images, None, &mut |_| {})?;
                    let found = evaluate(&vgg, &preset, &targets, &image, None)?;
                    let length = found.gradient.norm().double_value(&[]);
                    Ok(length / balance(&preset.style, layer))
                };
                let gram = length(Statistic::Gram)?;
                for (column, statistic) in Statistic::ALL.iter().enumerate() {
                    sums[row][column] += (gram / length(*statistic)?).ln();
                }
            }
        }
    }
    for (layer, sums) in Network::VGG19.layers().zip(&sums) {
        let factors = sums.iter().map(|sum| (sum / f64::from(count)).exp());
        let factors: Vec<String> = factors.map(|factor| format!("{factor:.3e}")).collect();
        println!("{layer} {}", factors.join(" "));
    }
    Ok(())
}

fn job(preset: Preset, content: Source, style: Source) -> Job {
    Job {
        preset,
        content,
        style,
        more_styles: Vec::new(),
        start: None,
        masks: Vec::new(),
        compute: Compute {
            device: DeviceChoice::Cpu,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

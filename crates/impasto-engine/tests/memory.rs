//! The estimate of memory against the most that painting takes, each in a process of its
//! own: what one has freed would count for the next.

use std::path::PathBuf;
use std::process::Command;

use impasto_core::job::{Compute, DeviceChoice, Job, MaskPictures};
use impasto_core::picture::{Picture, Source};
use impasto_core::preset::{Preset, Scale};
use impasto_engine::memory;
use impasto_engine::memory_plan::MemoryPlan;
use impasto_engine::painter::Painter;
use tch::Device;

const SIZE: u32 = 448;
/// Names the case that a child is to paint.
const CASE: &str = "IMPASTO_MEMORY_CASE";
/// Settings, how many styles, and whether it is in tiles.
const CASES: [(&[&str], usize, Option<u32>); 6] = [
    (&["optimizer=adam"], 1, None),
    (&["optimizer=adam", HISTOGRAM], 1, None),
    (&["optimizer=adam", HISTOGRAM], 1, Some(128)),
    (&["optimizer=adam", HISTOGRAM], 4, None),
    (&["optimizer=adam", HISTOGRAM, MASK], 2, None),
    (
        &["optimizer=adam", "style.statistic=mean-std", MASK],
        2,
        None,
    ),
];
const HISTOGRAM: &str = "style.statistic=histogram";
const MASK: &str = "masks=[{file: mask.png, style: 2}]";

fn source(factor: u32) -> Source {
    let bytes: Vec<u8> = (0..3 * SIZE * SIZE)
        .map(|index| (index * factor % 251) as u8)
        .collect();
    Source {
        picture: Picture::from_rgb8(SIZE, SIZE, &bytes).expect("a picture"),
        path: PathBuf::from("made-up.png"),
        sha256: "0".repeat(64),
    }
}

fn job(settings: &[&str], styles: usize, tile: Option<u32>) -> Job {
    let preset = Preset {
        schedule: vec![Scale {
            size: SIZE,
            iterations: 1000,
        }],
        ..Preset::default()
    };
    let set = |preset: Preset, setting: &&str| preset.set(setting);
    let preset = settings.iter().try_fold(preset, set).expect("settings");
    let masks = preset.masks.iter().map(|_| MaskPictures {
        mask: source(3),
        region: None,
    });
    let masks = masks.collect();
    Job {
        preset,
        content: source(7),
        style: source(11),
        more_styles: (1..styles).map(|_| source(13)).collect(),
        start: None,
        masks,
        compute: Compute {
            device: DeviceChoice::Cpu,
            tile,
            ..Compute::default()
        },
        output: PathBuf::new(),
    }
}

#[test]
fn what_is_estimated_is_about_what_is_used() {
    if let Ok(case) = std::env::var(CASE) {
        let (settings, styles, tile) = CASES[case.parse::<usize>().expect("a number")];
        tch::set_num_threads(2);
        memory::reset_peak(Device::Cpu);
        let mut painter = Painter::new(job(settings, styles, tile), &mut |_| {}).expect("memory");
        painter.step().expect("losses");
        let layers = painter.layers();
        let plan = MemoryPlan::of(painter.job(), &layers, Device::Cpu, painter.precision());
        let layout = painter.size().and_then(|size| plan.layout(size));
        let (Some(layout), Some(used)) = (layout, memory::peak(Device::Cpu)) else {
            return;
        };
        let estimated = layout.bytes;
        let share = estimated as f64 / used as f64;
        println!("{settings:?}, {styles}, {tile:?}: {estimated} of {used}, {share:.2}");
        assert!((0.8..2.0).contains(&share), "{estimated} and {used}");
        return;
    }
    for case in 0..CASES.len() {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "what_is_estimated_is_about_what_is_used",
                "--nocapture",
            ])
            .env(CASE, case.to_string())
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{said}");
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

//! `impasto doctor`: what is here, what is wrong and how to mend it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use impasto_core::preset::{Library, Origin};
use impasto_core::text::display_path;
use impasto_engine::device;
use impasto_graphics::terminal::{Colours, Terminal};
use impasto_weights::{NetworkStatus, Networks};
use nvml_wrapper::Nvml;

use crate::outcome::{Failure, Outcome};
use crate::tui::log::log_path;

/// Bytes in a GiB.
const GIB: f64 = (1u64 << 30) as f64;

pub fn doctor() -> Outcome {
    let mut report = Report::default();
    report.row("impasto", env!("CARGO_PKG_VERSION"));
    libtorch(&mut report);
    report.row("cpu", &cpu());
    report.row("memory", &memory());
    cuda(&mut report);
    networks(&mut report);
    terminal(&mut report);
    presets(&mut report);
    let log = log_path().map_or_else(|| "none".to_owned(), |path| display_path(&path));
    report.row("log", &log);
    io::stdout().write_all(report.text().as_bytes())?;
    if report.broken {
        return Err(Failure::Failed(
            "something needs mending; see above".to_owned(),
        ));
    }
    Ok(())
}

/// Rows of facts, and what to do about the bad ones.
#[derive(Default)]
struct Report {
    rows: String,
    advice: Vec<String>,
    /// Whether something is so wrong that impasto cannot paint.
    broken: bool,
}

impl Report {
    fn row(&mut self, name: &str, value: &str) {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(self.rows, "{name:<10}{line}");
        }
    }

    fn advise(&mut self, advice: String) {
        self.advice.push(advice);
    }

    fn text(&self) -> String {
        let mut text = self.rows.clone();
        text.push('\n');
        if self.advice.is_empty() {
            text.push_str("All is well.\n");
        }
        for advice in &self.advice {
            let _ = writeln!(text, "- {advice}");
        }
        text
    }
}

fn libtorch(report: &mut Report) {
    let folder = device::libtorch_folder().map_or_else(
        || "an unknown folder".to_owned(),
        |folder| display_path(&folder),
    );
    let version = device::libtorch_version();
    let shown = version.as_deref().unwrap_or("of unknown version");
    report.row("libtorch", &format!("{shown}, from {folder}"));
    if let Some(version) = version
        && !version.starts_with("2.11.")
    {
        report.advise(format!(
            "impasto is made for libtorch 2.11, and this is {version}: run `make setup` and build \
             again, or set LIBTORCH to a libtorch 2.11 before building"
        ));
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown model", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    format!(
        "{model}, {} threads in use; {}",
        device::cpu_threads(),
        cpu_features()
    )
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> String {
    let features = [
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        (
            "avx512_bf16",
            std::arch::is_x86_feature_detected!("avx512bf16"),
        ),
        ("amx_bf16", {
            let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
            info.contains(" amx_bf16")
        }),
    ];
    let found: Vec<_> = features
        .iter()
        .filter(|(_, has)| *has)
        .map(|(name, _)| *name)
        .collect();
    if found.is_empty() {
        "no vector extensions".to_owned()
    } else {
        found.join(" ")
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> String {
    std::env::consts::ARCH.to_owned()
}

fn memory() -> String {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name: &str| -> Option<f64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: f64 = line
            .trim_start_matches(':')
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        Some(kib * 1024.0 / GIB)
    };
    match (field("MemTotal"), field("MemAvailable")) {
        (Some(total), Some(free)) => format!("{total:.1} GiB, {free:.1} GiB free"),
        _ => "unknown".to_owned(),
    }
}

fn cuda(report: &mut Report) {
    let devices = gpus();
    match device::enable_cuda() {
        Ok(()) => {
            let names = if devices.is_empty() {
                (0..device::cuda_devices())
                    .map(|index| format!("cuda:{index}"))
                    .collect()
            } else {
                devices
            };
            report.row("cuda", &names.join("\n"));
            if !device::has_cudnn() {
                report
                    .advise("cuDNN is missing: convolutions will be slow; run `make setup`".into());
            }
        }
        Err(why) => {
            report.row("cuda", &format!("none: {why}"));
            if !devices.is_empty() {
                report.row("", &devices.join("\n"));
                report.advise(
                    "there is a GPU that cannot be used: remove the cached libtorch and run \
                     `make setup` again, so that it fetches CUDA's libraries too"
                        .to_owned(),
                );
            }
        }
    }
}

/// The GPUs by the driver's own account.
fn gpus() -> Vec<String> {
    let Ok(nvml) = Nvml::init() else {
        return Vec::new();
    };
    let count = nvml.device_count().unwrap_or(0);
    let describe = |index: u32| -> Option<String> {
        let gpu = nvml.device_by_index(index).ok()?;
        let memory = gpu.memory_info().ok()?;
        Some(format!(
            "gpu {index}: {}, {:.1} GiB, {:.1} GiB free",
            gpu.name().ok()?,
            memory.total as f64 / GIB,
            memory.free as f64 / GIB
        ))
    };
    (0..count).filter_map(describe).collect()
}

/// Every network there is, and what can be fetched.
fn networks(report: &mut Report) {
    for entry in Networks::open().list() {
        let megabytes = entry.bytes as f64 / 1e6;
        let words = match &entry.state {
            NetworkStatus::BuiltIn => format!("{}, built in ({megabytes:.1} MB)", entry.name),
            NetworkStatus::Installed => format!("{}, installed ({megabytes:.1} MB)", entry.name),
            NetworkStatus::Fetchable => continue,
            NetworkStatus::Broken(why) => {
                report.advise(format!("the network {} cannot be used: {why}", entry.name));
                format!("{}, broken", entry.name)
            }
        };
        report.row("network", &words);
    }
}

fn terminal(report: &mut Report) {
    let Some(terminal) = Terminal::detect() else {
        report.row("terminal", "none: stdout is a file or a pipe");
        return;
    };
    let mut words = format!(
        "{}×{} cells, {}, pictures as {}",
        terminal.columns,
        terminal.rows,
        terminal.colours,
        terminal.graphics()
    );
    if terminal.multiplexer {
        words.push_str(", inside tmux or screen");
    }
    if terminal.ssh {
        words.push_str(", over SSH");
    }
    report.row("terminal", &words);
    match terminal.colours {
        Colours::True => {}
        Colours::Indexed => report.advise(
            "pictures are shown in 256 colours; if your terminal can do more, set \
             COLORTERM=truecolor"
                .to_owned(),
        ),
        Colours::Sixteen => report.advise(
            "pictures are shown in characters; if your terminal has more than 16 colours, set \
             TERM=xterm-256color or COLORTERM=truecolor"
                .to_owned(),
        ),
        Colours::None => report.advise(
            "pictures cannot be shown without colours: unset NO_COLOR or use another TERM"
                .to_owned(),
        ),
    }
}

fn presets(report: &mut Report) {
    let library = Library::open();
    let entries = library.list();
    let own: Vec<_> = entries
        .iter()
        .filter(|entry| !matches!(entry.origin, Origin::BuiltIn))
        .collect();
    let folder = library
        .user_folder()
        .map_or_else(|| "none: there is no home folder".to_owned(), display_path);
    let built_in = entries.len() - own.len();
    report.row(
        "presets",
        &format!("{built_in} built in; {} of yours in {folder}", own.len()),
    );
}

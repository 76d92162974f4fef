//! CUDA kernels of our own, for what libtorch does in several passes over memory
//! or in many small launches.
//!
//! The `.cu` files under `kernels/` are compiled when a GPU is first used, by
//! NVRTC, which comes with libtorch's CUDA part; the code is kept on the disk
//! ([`cache`]). Before code is used for the first time, `kernel_check` compares all of it
//! with libtorch's operations on small pictures. Where NVRTC is missing or a kernel fails, those
//! operations continue, and the user is notified once ([`take_notice`]).
//!
//! The tests compile the same text with the C++ compiler (`emulation.cpp`) and
//! make the same comparison on the CPU.
//!
//! | Where | What |
//! | --- | --- |
//! | `kernels/` | the kernels |
//! | `mod` | loading them, launching them |
//! | `network`, `adam`, `lbfgs`, `smoothness` | the kernels as operations on tensors |
//! | `nvrtc`, `driver` | the two libraries of NVIDIA's; the only `unsafe` besides launches |
//! | `cache` | compiled code on the disk |

#![allow(unsafe_code, reason = "the driver, NVRTC and launches")]

mod adam;
mod cache;
mod driver;
mod lbfgs;
mod network;
mod nvrtc;
mod smoothness;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tch::{Device, Tensor};

use super::accelerator::{self, Stream};
use super::{EngineError, Result};
pub use adam::AdamState;
use driver::{Function, Module, Target};
pub use lbfgs::LbfgsState;
pub use network::FirstLayer;
use nvrtc::Nvrtc;

/// Where it is `off`, libtorch's operations do everything.
const VARIABLE: &str = "IMPASTO_CUDA_KERNELS";

/// All sources, in the order in which they are one text.
const SOURCES: [&str; 5] = [
    include_str!("kernels/common.cuh"),
    include_str!("kernels/network.cu"),
    include_str!("kernels/adam.cu"),
    include_str!("kernels/smoothness.cu"),
    include_str!("kernels/lbfgs.cu"),
];

/// All kernels.
const NAMES: [&str; 26] = [
    "max_pool_float32",
    "max_pool_bfloat16",
    "max_pool_backward_float32",
    "max_pool_backward_bfloat16",
    "first_forward_float32",
    "first_forward_bfloat16",
    "first_backward_float32",
    "first_backward_bfloat16",
    "adam_look",
    "adam_move",
    "adam_note",
    "smoothness",
    "smoothness_mean",
    "lbfgs_differences",
    "lbfgs_judge",
    "lbfgs_accept",
    "lbfgs_write_float32",
    "lbfgs_write_bfloat16",
    "row_products_float32",
    "row_products_bfloat16",
    "row_products_sum",
    "lbfgs_learn",
    "lbfgs_combine_float32",
    "lbfgs_combine_bfloat16",
    "lbfgs_length",
    "lbfgs_move",
];

/// Threads of a block, and blocks of a launch at most: each thread works on
/// several places where there are more.
const BLOCK: u32 = 256;
const MAX_BLOCKS: u32 = 8192;

/// The kernels, loaded on a device.
#[derive(Debug)]
pub struct Kernels {
    launcher: Launcher,
    device: Device,
}

#[derive(Debug)]
enum Launcher {
    Driver(BTreeMap<&'static str, Function>),
    #[cfg(test)]
    Emulated,
}

/// What a kernel is given.
#[derive(Clone, Copy)]
enum Argument<'a> {
    /// Where a tensor's values begin.
    Tensor(&'a Tensor),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
}

impl Kernels {
    /// The device that the tensors of all operations are on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Launches a kernel for so many places, on the current stream. Does not wait.
    ///
    /// # Safety
    /// The arguments must be those of the kernel, in order, on the kernels' device,
    /// and tensors as large and as laid out as the kernel takes them to be.
    unsafe fn launch(&self, name: &str, places: i64, arguments: &[Argument]) -> Result<()> {
        // Each value in a cell of its own; narrower ones lie at its beginning.
        let mut cells: Vec<u64> = arguments
            .iter()
            .map(|argument| match *argument {
                Argument::Tensor(tensor) => tensor.data_ptr() as u64,
                Argument::Int(value) => u64::from(value as u32),
                Argument::Long(value) => value as u64,
                Argument::Float(value) => u64::from(value.to_bits()),
                Argument::Double(value) => value.to_bits(),
            })
            .collect();
        let mut pointers: Vec<*mut c_void> = cells
            .iter_mut()
            .map(|cell| std::ptr::from_mut(cell).cast())
            .collect();
        let grid = blocks(places);
        match &self.launcher {
            Launcher::Driver(functions) => {
                let function = functions
                    .get(name)
                    .ok_or_else(|| EngineError::Torch(format!("there is no kernel {name}")))?;
                let stream = accelerator::native_stream(self.device)?;
                // SAFETY: the caller's. Memory that libtorch frees meanwhile is
                // given to work on the same stream only, which comes later.
                unsafe { function.launch(grid, BLOCK, stream, &mut pointers) }
                    .map_err(EngineError::Torch)
            }
            #[cfg(test)]
            Launcher::Emulated => tests::emulate(name, grid, BLOCK, &mut pointers),
        }
    }
}

/// How many blocks work on so many places.
fn blocks(places: i64) -> u32 {
    let wanted = (places.max(1) as u64).div_ceil(u64::from(BLOCK));
    u32::try_from(wanted).unwrap_or(MAX_BLOCKS).min(MAX_BLOCKS)
}

/// Code for a device.
struct Compiled {
    code: Vec<u8>,
    /// Its name in the cache.
    name: String,
}

type Code = std::result::Result<Compiled, String>;

/// A comparison of all kernels with libtorch's operations: an error where one fails or
/// differs.
pub type Check = fn(&Kernels) -> Result<()>;

/// Code that is being compiled, by the device's number.
static COMPILING: Mutex<BTreeMap<usize, JoinHandle<Code>>> = Mutex::new(BTreeMap::new());
/// Kernels that were loaded, or could not be.
static LOADED: Mutex<BTreeMap<usize, Option<&'static Kernels>>> = Mutex::new(BTreeMap::new());
/// Compares kernels with libtorch's operations before they are used.
static CHECK: OnceLock<Check> = OnceLock::new();
static NOTICE: Mutex<Option<String>> = Mutex::new(None);

/// Starts to compile the kernels for a device on a thread of its own, so that they
/// are ready when they are first needed. They will be used if they pass the check.
pub fn prepare(device: Device, check: Check) {
    let Device::Cuda(index) = device else { return };
    let _ = CHECK.set(check);
    if is_off() {
        return;
    }
    let mut compiling = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if compiling.contains_key(&index) || loaded.contains_key(&index) {
        return;
    }
    let thread = std::thread::Builder::new().name("nvrtc".to_owned());
    // Without a thread the kernels are compiled when they are needed.
    if let Ok(handle) = thread.spawn(move || code(index)) {
        compiling.insert(index, handle);
    }
}

/// The kernels for tensors on this device; none on the CPU, before [`prepare`], and
/// where they cannot be used. The first call loads them and checks them.
pub fn kernels(device: Device) -> Option<&'static Kernels> {
    let (Device::Cuda(index), Some(check)) = (device, CHECK.get()) else {
        return None;
    };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernels) = loaded.get(&index) {
        return *kernels;
    }
    // While they are compared, they count as not there.
    loaded.insert(index, None);
    drop(loaded);
    if is_off() {
        return None;
    }
    // Whatever device this thread works on otherwise.
    let loaded = Stream::current(device)
        .and_then(|stream| stream.run(|| load(index, *check).map_err(EngineError::Torch)))
        .map_err(|error| error.to_string());
    let kernels = match loaded {
        Ok(kernels) => Some(&*Box::leak(Box::new(kernels))),
        Err(why) => {
            let notice = format!(
                "painting without the CUDA kernels of this program, which is slower: {why}"
            );
            *NOTICE.lock().unwrap_or_else(PoisonError::into_inner) = Some(notice);
            None
        }
    };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.insert(index, kernels);
    kernels
}

/// A notice for the user, returned once.
pub fn take_notice() -> Option<String> {
    NOTICE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn is_off() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == "off")
}

fn load(index: usize, check: Check) -> std::result::Result<Kernels, String> {
    let mut compiling = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = compiling.remove(&index);
    drop(compiling);
    let Compiled { code, name } = match handle {
        Some(handle) => handle
            .join()
            .unwrap_or_else(|_| Err("compiling them stopped unexpectedly".to_owned()))?,
        None => code(index)?,
    };
    let module = Module::load(&code)?;
    let functions = NAMES.iter().map(|name| Ok((*name, module.function(name)?)));
    let kernels = Kernels {
        launcher: Launcher::Driver(functions.collect::<std::result::Result<_, String>>()?),
        device: Device::Cuda(index),
    };
    // The same code on the same kind of device and driver is compared once.
    let folder = cache::folder();
    if !folder
        .as_ref()
        .is_some_and(|folder| cache::is_trusted(folder, &name))
    {
        check(&kernels).map_err(|error| error.to_string())?;
        if let Some(folder) = folder {
            // Next time they are compared again.
            let _ = cache::trust(&folder, &name);
        }
    }
    Ok(kernels)
}

/// The code for a device: from the disk, or compiled and put there.
fn code(index: usize) -> Code {
    let target = driver::target(index)?;
    let source = SOURCES.concat();
    let options = options(target);
    // libtorch brings its NVRTC, which is opened only if there is something to
    // compile.
    let depends_on = [
        source.as_str(),
        &options.join(" "),
        &format!("{target:?} {:?}", nvrtc::chosen()),
        &super::device::libtorch_version().unwrap_or_default(),
    ];
    let name = cache::name(&depends_on);
    let folder = cache::folder();
    if let Some(code) = folder
        .as_ref()
        .and_then(|folder| cache::read(folder, &name))
    {
        return Ok(Compiled { code, name });
    }
    let code = Nvrtc::open()?.compile(&source, &options)?;
    if let Some(folder) = folder {
        // Next time they are compiled again.
        let _ = cache::write(&folder, &name, &code);
    }
    Ok(Compiled { code, name })
}

fn options(target: Target) -> Vec<String> {
    let (major, minor) = target.capability;
    vec![
        "--std=c++17".to_owned(),
        format!("--gpu-architecture=sm_{major}{minor}"),
    ]
}

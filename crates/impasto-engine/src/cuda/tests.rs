//! The kernels' own text on the CPU, and what NVRTC makes of it.

use std::ffi::{CString, c_char, c_void};
use std::sync::{Mutex, PoisonError};

use super::nvrtc::Nvrtc;
use super::*;
use crate::kernel_check::agree;

unsafe extern "C" {
    fn impasto_emulate(
        name: *const c_char,
        grid: u32,
        block: u32,
        arguments: *mut *mut c_void,
    ) -> bool;
}

/// Runs a kernel as the C++ compiler compiled it.
pub fn emulate(name: &str, grid: u32, block: u32, arguments: &mut [*mut c_void]) -> Result<()> {
    // The grid's numbers are global.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = CString::new(name).unwrap();
    // SAFETY: the arguments are those that a launch would get.
    let found = unsafe { impasto_emulate(name.as_ptr(), grid, block, arguments.as_mut_ptr()) };
    assert!(found, "no kernel {name:?} in emulation.cpp");
    Ok(())
}

pub fn emulated() -> Kernels {
    Kernels {
        launcher: Launcher::Emulated,
        device: Device::Cpu,
    }
}

/// Where there are more pieces of a row than warps, each warp takes several.
#[test]
fn few_warps_find_the_products_of_long_rows() {
    let float = (tch::Kind::Float, Device::Cpu);
    let (rows, columns) = (6, 2777);
    let pairs = Tensor::randn([rows, columns], float);
    let vectors = Tensor::randn([2, columns], float);
    let wanted = pairs.mm(&vectors.tr()).to_kind(tch::Kind::Double);
    for warps in [1, 3, 8, 11, 16] {
        let parts = Tensor::full([2 * rows * warps], f64::NAN, float);
        let found = Tensor::full([rows, 2], f64::NAN, (tch::Kind::Double, Device::Cpu));
        // Warps beyond the pieces would leave their parts unwritten.
        let warps = warps.min((columns + 255) / 256);
        let arguments = [
            Argument::Tensor(&pairs),
            Argument::Tensor(&vectors),
            Argument::Tensor(&parts),
            Argument::Int(rows as i32),
            Argument::Int(warps as i32),
            Argument::Long(columns),
        ];
        let sum = [
            Argument::Tensor(&parts),
            Argument::Tensor(&found),
            Argument::Int(warps as i32),
        ];
        let kernels = emulated();
        // SAFETY: the rows, the vectors, a part for every warp and product.
        unsafe {
            kernels
                .launch("row_products_float32", 32 * warps, &arguments)
                .unwrap();
            kernels
                .launch("row_products_sum", 2 * rows * 256, &sum)
                .unwrap();
        }
        agree("products of rows", &found, &wanted, 1e-5).unwrap();
    }
}

#[test]
fn values_that_are_not_numbers_go_through_as_in_libtorch() {
    let map = Tensor::from_slice(&[1f32, f32::NAN, -0.0, 0.0, f32::INFINITY, 2.0, 2.0, 1.0]);
    let map = map.view([1, 1, 2, 4]).expand([1, 8, 2, 4], false);
    let map = crate::layout::channels_last(&map).unwrap();
    let two = [2, 2];
    let (wanted, _) = map.max_pool2d_with_indices(two, two, [0, 0], [1, 1], false);
    let found = emulated().max_pool(&map).unwrap().unwrap();
    let text = |tensor: &Tensor| {
        let values = Vec::<f32>::try_from(tensor.contiguous().view([-1])).unwrap();
        format!("{values:?}")
    };
    assert_eq!(text(&found), text(&wanted));
}

#[test]
fn kernels_refuse_what_they_do_not_fit() {
    let kernels = emulated();
    let float = (tch::Kind::Float, Device::Cpu);
    let odd = Tensor::zeros([1, 12, 4, 4], float);
    assert!(kernels.max_pool(&odd).unwrap().is_none());
    let half = Tensor::zeros([1, 8, 4, 4], float).to_kind(tch::Kind::Half);
    assert!(kernels.max_pool(&half).unwrap().is_none());
    let map = Tensor::zeros([1, 8, 4, 4], float);
    let wrong = Tensor::zeros([1, 8, 4, 2], float);
    assert!(
        kernels
            .max_pool_backward(&wrong, &map, true)
            .unwrap()
            .is_none()
    );
    let apart = Tensor::zeros([1, 3, 8, 4], float).transpose(2, 3);
    assert!(kernels.smoothness(&apart, 1.0, &apart).unwrap().is_none());
}

/// Maps of more values than an int holds are counted by long numbers; here the
/// places alone are looked at.
#[test]
fn a_launch_has_a_bounded_number_of_blocks() {
    assert_eq!(blocks(0), 1);
    assert_eq!(blocks(257), 2);
    assert_eq!(blocks(i64::MAX), MAX_BLOCKS);
}

#[test]
fn nvrtc_compiles_the_kernels_for_every_architecture() {
    let nvrtc = match Nvrtc::open() {
        Ok(nvrtc) => nvrtc,
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("skipped: {why}; scripts/nvrtc.sh fetches it");
            return;
        }
    };
    let source = SOURCES.concat();
    for capability in [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)] {
        let target = Target {
            capability,
            driver: 0,
        };
        let code = nvrtc.compile(&source, &options(target)).unwrap();
        for name in NAMES {
            let found = code
                .windows(name.len())
                .any(|bytes| bytes == name.as_bytes());
            assert!(found, "{name} is not in the code for {capability:?}");
        }
    }
    let error = nvrtc.compile(
        "nonsense",
        &options(Target {
            capability: (9, 0),
            driver: 0,
        }),
    );
    assert!(error.unwrap_err().contains("NVRTC refused the kernels"));
}

#[test]
fn the_cpu_has_none() {
    assert!(kernels(Device::Cpu).is_none());
}

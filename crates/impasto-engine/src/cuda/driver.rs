//! The few functions of NVIDIA's driver that load code and launch it, opened when
//! they are needed. libtorch's own context is used: it is the current one of every
//! thread that has done anything on the GPU.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

type Status = c_int;
type Handle = *mut c_void;

struct Driver {
    init: unsafe extern "C" fn(c_uint) -> Status,
    version: unsafe extern "C" fn(*mut c_int) -> Status,
    device: unsafe extern "C" fn(*mut c_int, c_int) -> Status,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> Status,
    load: unsafe extern "C" fn(*mut Handle, *const c_void) -> Status,
    function: unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> Status,
    launch: unsafe extern "C" fn(
        Handle,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        c_uint,
        Handle,
        *mut *mut c_void,
        *mut *mut c_void,
    ) -> Status,
    _library: Library,
}

// The driver's numbers for a device's compute capability.
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

fn driver() -> Result<&'static Driver, String> {
    static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
    DRIVER.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Driver, String> {
    // SAFETY: the driver's library is made to be opened at any time.
    let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|error| format!("NVIDIA's driver cannot be opened ({error})"))?;
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: the driver's functions of these names have these types.
            *unsafe { library.get(concat!($name, "\0").as_bytes()) }
                .map_err(|error| format!("this driver has no {} ({error})", $name))?
        };
    }
    let driver = Driver {
        init: function!("cuInit"),
        version: function!("cuDriverGetVersion"),
        device: function!("cuDeviceGet"),
        attribute: function!("cuDeviceGetAttribute"),
        load: function!("cuModuleLoadData"),
        function: function!("cuModuleGetFunction"),
        launch: function!("cuLaunchKernel"),
        _library: library,
    };
    // SAFETY: may be called any number of times.
    check("start", unsafe { (driver.init)(0) })?;
    Ok(driver)
}

fn check(what: &str, status: Status) -> Result<(), String> {
    match status {
        0 => Ok(()),
        status => Err(format!("NVIDIA's driver could not {what} (error {status})")),
    }
}

/// What code is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The compute capability, such as (9, 0).
    pub capability: (i32, i32),
    /// The driver's version, such as 13000.
    pub driver: i32,
}

/// What the driver says of a device, counted as libtorch counts them. Needs no
/// context.
///
/// # Errors
/// Where there is no driver or no such device.
pub fn target(index: usize) -> Result<Target, String> {
    let driver = driver()?;
    let index = c_int::try_from(index).map_err(|error| error.to_string())?;
    let (mut device, mut version, mut major, mut minor) = (0, 0, 0, 0);
    // SAFETY: each fills one number that lives through the call.
    unsafe {
        check("report its version", (driver.version)(&raw mut version))?;
        check("find the device", (driver.device)(&raw mut device, index))?;
        let read = |number, what| (driver.attribute)(number, what, device);
        check(
            "report a capability",
            read(&raw mut major, CAPABILITY_MAJOR),
        )?;
        check(
            "report a capability",
            read(&raw mut minor, CAPABILITY_MINOR),
        )?;
    }
    Ok(Target {
        capability: (major, minor),
        driver: version,
    })
}

/// Code on a device.
#[derive(Debug)]
pub struct Module(Handle);

// SAFETY: a module belongs to a context, not to a thread, and the driver's calls
// on it may come from any.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

/// A kernel in a module. Modules are never unloaded, so it stays usable.
#[derive(Clone, Copy, Debug)]
pub struct Function(Handle);

// SAFETY: as `Module`.
unsafe impl Send for Function {}
// SAFETY: as `Module`.
unsafe impl Sync for Function {}

impl Module {
    /// Loads code that was compiled for the device of the thread's current
    /// context.
    ///
    /// # Errors
    /// When the driver refuses it, for example where there is no context.
    pub fn load(code: &[u8]) -> Result<Self, String> {
        let driver = driver()?;
        let mut module = ptr::null_mut();
        // SAFETY: the code states its own length, and is copied.
        let status = unsafe { (driver.load)(&raw mut module, code.as_ptr().cast()) };
        check("load the kernels", status)?;
        Ok(Self(module))
    }

    /// # Errors
    /// When there is none of this name.
    pub fn function(&self, name: &str) -> Result<Function, String> {
        let driver = driver()?;
        let text = CString::new(name).map_err(|error| error.to_string())?;
        let mut function = ptr::null_mut();
        // SAFETY: the module lives, and the name ends with a zero byte.
        let status = unsafe { (driver.function)(&raw mut function, self.0, text.as_ptr()) };
        check(&format!("find the kernel {name}"), status)?;
        Ok(Function(function))
    }
}

impl Function {
    /// Launches `grid` blocks of `block` threads on a stream, given by its native
    /// handle. Does not wait.
    ///
    /// # Errors
    /// When the driver refuses, also because of work before: a GPU reports errors late.
    ///
    /// # Safety
    /// `arguments` must point to values of the kernel's own types, in order, and
    /// what they point to on the device must be as large as the kernel takes it to
    /// be and live until the launch is done.
    pub unsafe fn launch(
        self,
        grid: u32,
        block: u32,
        stream: usize,
        arguments: &mut [*mut c_void],
    ) -> Result<(), String> {
        let driver = driver()?;
        // SAFETY: the caller's; the driver copies the arguments.
        let status = unsafe {
            (driver.launch)(
                self.0,
                grid,
                1,
                1,
                block,
                1,
                1,
                0,
                stream as Handle,
                arguments.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        check("launch a kernel", status)
    }
}

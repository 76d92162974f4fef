//! NVRTC, NVIDIA's compiler as a library, opened when it is needed.
//!
//! A module of its own rather than a binding crate: seven functions are used, and a
//! library or a function that is missing must be an error here, not a panic.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::device;

type Program = *mut c_void;

/// The functions that are needed, and the library that they come from.
pub struct Nvrtc {
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    cubin_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    cubin: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
    log: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    _library: Library,
}

/// Where another NVRTC than libtorch's lies, for tests and unusual set-ups.
const VARIABLE: &str = "IMPASTO_NVRTC";

/// Another NVRTC than libtorch's, where one is named.
pub fn chosen() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// The places where NVRTC may be, the most fitting first: libtorch's CUDA part
/// brings one.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = chosen().into_iter().collect();
    if let Some(torch) = device::libtorch_folder() {
        let beside = torch.parent().unwrap_or(Path::new("/"));
        places.push(beside.join("nvidia/cu13/lib/libnvrtc.so.13"));
        places.push(beside.join("nvidia/cuda_nvrtc/lib/libnvrtc.so.12"));
        places.push(torch.join("lib/libnvrtc.so.13"));
        // Depends on NVRTC, wherever libtorch found it.
        places.push(torch.join("lib/libcaffe2_nvrtc.so"));
    }
    let names = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
    places.extend(names.map(PathBuf::from));
    places
}

impl Nvrtc {
    /// Opens the first NVRTC that is found.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> Result<Self, String> {
        let mut why = "NVRTC, which comes with libtorch's CUDA part, is not there".to_owned();
        for place in places() {
            if place.is_absolute() && !place.exists() {
                continue;
            }
            match Self::open_at(&place) {
                Ok(found) => return Ok(found),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn open_at(place: &Path) -> Result<Self, String> {
        open_built_ins(place);
        // SAFETY: NVRTC and the library that libtorch opens it by are made to be
        // opened at any time; their initialisers touch nothing of ours.
        let library = unsafe { Library::open(Some(place), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| format!("NVRTC cannot be opened ({error})"))?;
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: NVRTC's functions have had these types since CUDA 11.1.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }
                    .map_err(|error| format!("this NVRTC has no {} ({error})", $name))?
            };
        }
        Ok(Self {
            create: function!("nvrtcCreateProgram"),
            compile: function!("nvrtcCompileProgram"),
            cubin_size: function!("nvrtcGetCUBINSize"),
            cubin: function!("nvrtcGetCUBIN"),
            log_size: function!("nvrtcGetProgramLogSize"),
            log: function!("nvrtcGetProgramLog"),
            destroy: function!("nvrtcDestroyProgram"),
            _library: library,
        })
    }

    /// Compiles CUDA C++ for one compute capability.
    ///
    /// # Errors
    /// The first lines of what the compiler says.
    pub fn compile(&self, source: &str, options: &[String]) -> Result<Vec<u8>, String> {
        let text = CString::new(source).map_err(|_| "the source has a zero byte".to_owned())?;
        let options: Vec<CString> = options
            .iter()
            .map(|option| CString::new(option.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|_| "an option has a zero byte".to_owned())?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let mut program: Program = ptr::null_mut();
        // SAFETY: the text and the name end with a zero byte and are copied.
        let made = unsafe {
            (self.create)(
                &raw mut program,
                text.as_ptr(),
                c"impasto.cu".as_ptr(),
                0,
                ptr::null(),
                ptr::null(),
            )
        };
        if made != 0 || program.is_null() {
            return Err(format!("NVRTC made no program (error {made})"));
        }
        let program = Owned {
            nvrtc: self,
            program,
        };
        // SAFETY: the program lives, the options until the end of the call.
        let status =
            unsafe { (self.compile)(program.program, options.len() as c_int, options.as_ptr()) };
        if status != 0 {
            let log = program.text(self.log_size, self.log).unwrap_or_default();
            let log = CStr::from_bytes_until_nul(&log).unwrap_or_default();
            let lines: Vec<String> = log
                .to_string_lossy()
                .lines()
                .take(8)
                .map(str::to_owned)
                .collect();
            return Err(format!(
                "NVRTC refused the kernels (error {status}): {}",
                lines.join("; ")
            ));
        }
        program
            .text(self.cubin_size, self.cubin)
            .filter(|cubin| !cubin.is_empty())
            .ok_or_else(|| "NVRTC gave no code".to_owned())
    }
}

/// Opens the library of built-in functions beside NVRTC. NVRTC opens it by its name
/// alone, which finds one that is open already but not one that lies beside it.
fn open_built_ins(nvrtc: &Path) {
    let entries = nvrtc.parent().map(std::fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with("libnvrtc-builtins.so") {
            continue;
        }
        // SAFETY: as for NVRTC itself. It stays open for as long as the process
        // lives. A failure shows when something is compiled.
        if let Ok(library) = unsafe { Library::open(Some(entry.path()), RTLD_NOW | RTLD_LOCAL) } {
            let _ = library.into_raw();
        }
    }
}

struct Owned<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl Owned<'_> {
    /// What two functions of NVRTC give the length of and copy.
    fn text(
        &self,
        size: unsafe extern "C" fn(Program, *mut usize) -> c_int,
        copy: unsafe extern "C" fn(Program, *mut c_char) -> c_int,
    ) -> Option<Vec<u8>> {
        let mut length = 0;
        // SAFETY: the program lives, and the number through the call.
        if unsafe { size(self.program, &raw mut length) } != 0 {
            return None;
        }
        let mut bytes = vec![0u8; length];
        // SAFETY: as many bytes are written as the call before returned.
        let status = unsafe { copy(self.program, bytes.as_mut_ptr().cast()) };
        (status == 0).then_some(bytes)
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `create`, and given back once.
        let _ = unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
    }
}

//! How much memory is in use where the painting is done.

#![allow(unsafe_code, reason = "a setting of the C library")]

use std::fs;
use std::sync::OnceLock;

use impasto_core::protocol::Memory;
use nvml_wrapper::Nvml;
use tch::Device;

use super::accelerator;

/// Where a control group's limit is found, in its two versions.
const GROUP_LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// The GPU's memory by the driver's account, or this process's part of the
/// machine's; none where it is unknown. Waits for no kernel.
pub fn memory(device: Device) -> Option<Memory> {
    match device {
        Device::Cuda(index) => gpu(index),
        _ => process(),
    }
}

fn gpu(index: usize) -> Option<Memory> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    let nvml = NVML.get_or_init(|| Nvml::init().ok()).as_ref()?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let gpu = match name_of(index, visible.as_deref())? {
        Name::Index(index) => nvml.device_by_index(index),
        Name::Uuid(uuid) => nvml.device_by_uuid(uuid),
    };
    let info = gpu.ok()?.memory_info().ok()?;
    Some(Memory {
        used_bytes: info.used,
        total_bytes: info.total,
    })
}

/// What the driver calls a device that libtorch calls by its number.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Index(u32),
    Uuid(String),
}

/// libtorch counts the devices that `CUDA_VISIBLE_DEVICES` lists, by number or
/// by identifier; the driver counts all of them.
fn name_of(index: usize, visible: Option<&str>) -> Option<Name> {
    let Some(visible) = visible.filter(|list| !list.trim().is_empty()) else {
        return u32::try_from(index).ok().map(Name::Index);
    };
    let name = visible.split(',').nth(index)?.trim();
    Some(match name.parse() {
        Ok(number) => Name::Index(number),
        Err(_) => Name::Uuid(name.to_owned()),
    })
}

/// Begins to watch for the most memory that this process uses, on the device
/// and off it.
pub fn reset_peak(device: Device) {
    // Nothing depends on it but a figure.
    let _ = accelerator::reset_peak(device);
    // Linux's own way: from here on VmHWM is the peak since now. Where it
    // is refused, the peak is that of the whole process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process used since [`reset_peak`], where that is
/// known.
pub fn peak(device: Device) -> Option<u64> {
    match device {
        Device::Cuda(_) => accelerator::stats(device).map(|stats| stats.peak_reserved),
        _ => kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:"),
    }
}

#[cfg(test)]
thread_local! {
    /// What [`budget`] says on this thread, if a test wants to say it.
    static BUDGET: std::cell::Cell<Option<Option<u64>>> = const { std::cell::Cell::new(None) };
}

/// What `work` gives where [`budget`] says this, on this thread.
#[cfg(test)]
pub fn with_budget<T>(bytes: Option<u64>, work: impl FnOnce() -> T) -> T {
    BUDGET.set(Some(bytes));
    let result = work();
    BUDGET.set(None);
    result
}

/// The bytes that painting may take in all, where that is known: what is free,
/// and what this process has already.
pub fn budget(device: Device) -> Option<u64> {
    #[cfg(test)]
    if let Some(bytes) = BUDGET.get() {
        return bytes;
    }
    if let Device::Cuda(_) = device {
        let (free, _) = accelerator::free_and_total(device).ok()?;
        let own = accelerator::stats(device).map_or(0, |stats| stats.reserved);
        return Some(free + own);
    }
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let own = kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    let free = kilobytes(&machine, "MemAvailable:")?;
    Some(own + free.min(group_free().unwrap_or(u64::MAX)))
}

/// What a control group leaves its processes; none where it sets no limit.
fn group_free() -> Option<u64> {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let (limit, used, cached) = match number("/sys/fs/cgroup/memory.max") {
        Some(limit) => (
            limit,
            number("/sys/fs/cgroup/memory.current")?,
            fs::read_to_string("/sys/fs/cgroup/memory.stat"),
        ),
        None => (
            number("/sys/fs/cgroup/memory/memory.limit_in_bytes")?,
            number("/sys/fs/cgroup/memory/memory.usage_in_bytes")?,
            fs::read_to_string("/sys/fs/cgroup/memory/memory.stat"),
        ),
    };
    // Pages of files count as used, but give way.
    let cached = cached.ok().and_then(|text| {
        let line = |key| text.lines().find_map(|line: &str| line.strip_prefix(key));
        line("total_inactive_file ")
            .or_else(|| line("inactive_file "))?
            .trim()
            .parse::<u64>()
            .ok()
    });
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

/// Whether freed memory is kept for the next tensor. Giving it back and getting
/// it again costs a page fault for every four kilobytes, a sixth of an
/// iteration; but what is kept in pieces cannot always be used again, so where
/// memory is short it must go back.
pub fn keep_freed(keep: bool) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let (mapped, trimmed) = match keep {
            true => (0, libc::c_int::MAX),
            false => (65536, 128 * 1024),
        };
        // SAFETY: both settings may be changed at any time; they take effect
        // with the next allocation.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, mapped);
            libc::mallopt(libc::M_TRIM_THRESHOLD, trimmed);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = keep;
}

fn process() -> Option<Memory> {
    let used_bytes = kilobytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    let machine = kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")?;
    let limit = GROUP_LIMITS
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
        .unwrap_or(u64::MAX);
    Some(Memory {
        used_bytes,
        total_bytes: machine.min(limit),
    })
}

/// The bytes in a line such as `VmRSS:   1234 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_some_of_the_machine_s_memory() {
        let memory = memory(Device::Cpu).expect("a process knows its memory");
        assert!(memory.used_bytes > 1 << 20);
        assert!(memory.used_bytes < memory.total_bytes);
    }

    #[test]
    fn there_is_more_to_be_had_than_this_process_has() {
        let budget = budget(Device::Cpu).expect("Linux reports free memory");
        assert!(budget > memory(Device::Cpu).unwrap().used_bytes);
    }

    #[test]
    fn lines_of_proc_are_read() {
        let text = "Name:\timpasto\nVmRSS:\t    2048 kB\nVmSwap:\t 1 pages\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Some(2 << 20));
        assert_eq!(kilobytes(text, "VmSwap:"), None);
        assert_eq!(kilobytes(text, "VmPeak:"), None);
    }

    #[test]
    fn devices_are_found_behind_the_list_of_visible_ones() {
        assert_eq!(name_of(1, None), Some(Name::Index(1)));
        assert_eq!(name_of(1, Some("")), Some(Name::Index(1)));
        assert_eq!(name_of(1, Some("3, 5")), Some(Name::Index(5)));
        let uuid = Name::Uuid("GPU-8f6d".to_owned());
        assert_eq!(name_of(0, Some("GPU-8f6d")), Some(uuid));
        assert_eq!(name_of(2, Some("3,5")), None);
    }
}

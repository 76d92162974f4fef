//! Where a start's time goes: with `IMPASTO_TIMING=1`, a line on stderr for each
//! phase, with the milliseconds since the process was launched.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

const VARIABLE: &str = "IMPASTO_TIMING";

/// Tells that a phase is over, where that is wanted.
pub fn mark(phase: &str) {
    if let Some(launched) = launched() {
        eprintln!("timing: {:6} ms  {phase}", launched.elapsed().as_millis());
    }
}

/// When the process was launched; none where nobody wants to know.
fn launched() -> Option<Instant> {
    static LAUNCHED: OnceLock<Option<Instant>> = OnceLock::new();
    *LAUNCHED.get_or_init(|| {
        let wanted =
            std::env::var(VARIABLE).is_ok_and(|value| !["", "0"].contains(&value.as_str()));
        let now = Instant::now();
        wanted.then(|| now.checked_sub(age().unwrap_or_default()).unwrap_or(now))
    })
}

/// How long this process has existed, by the system's account: what comes before
/// `main`, such as loading libtorch, counts too. True to a hundredth of a second.
fn age() -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let since_boot = started(&stat)? / rustix::param::clock_ticks_per_second() as f64;
    Duration::try_from_secs_f64(uptime - since_boot).ok()
}

/// The time of the start in `/proc/PID/stat`, in clock ticks: the 22nd field,
/// counted behind the program's name, which may hold anything.
fn started(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_a_day_old() {
        let age = age().expect("Linux reports it");
        assert!(age < Duration::from_secs(86_400), "{age:?}");
    }

    #[test]
    fn a_name_with_brackets_and_spaces_is_passed_over() {
        let stat = "7 (a) b ) S 1 7 7 0 -1 4 1 0 0 0 2 3 0 0 20 0 1 0 12345 9 9";
        assert_eq!(started(stat), Some(12345.0));
    }
}

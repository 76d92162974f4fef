//! How many bytes of picture the connection to the terminal bears.
//!
//! [`Counted`] lies beneath the terminal and measures; [`Budget`] judges. A
//! picture that takes long to send holds up every key's answer behind it, so
//! pictures may take half of the line and wait for the other half.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes a second.
type Rate = f64;

/// What the line is taken for before it was measured, and the most it is ever
/// taken for. The second matters where a write only fills a buffer, and so
/// says nothing: over SSH, megabytes may be on their way before it shows.
const LOCAL: (Rate, Rate) = (2e6, 20e6);
const SSH: (Rate, Rate) = (200e3, 1e6);
const SLOWEST: Rate = 1e3;
/// Seconds of writing that the estimate rests on at most, and at the start.
const MEMORY: f64 = 1.0;
const FIRST_MEMORY: f64 = 0.25;
/// The part of the line that pictures may take.
const SHARE: f64 = 0.5;
/// A picture comes after this time, be the line as slow as it may.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Judges from measured writes when the next picture may be sent.
#[derive(Clone, Debug)]
pub struct Budget {
    /// What was written and how long it took, older writes counting less.
    bytes: f64,
    seconds: f64,
    most: Rate,
    /// The bytes of the last picture and when its writing began.
    last: Option<(u64, Instant)>,
}

impl Budget {
    /// A budget for a line that nothing is known of, but whether it is an SSH
    /// connection.
    #[must_use]
    pub fn new(ssh: bool) -> Self {
        let (first, most) = if ssh { SSH } else { LOCAL };
        Self {
            bytes: first * FIRST_MEMORY,
            seconds: FIRST_MEMORY,
            most,
            last: None,
        }
    }

    /// Takes note of a write: a frame, picture or not, with its flush.
    pub fn wrote(&mut self, bytes: u64, took: Duration) {
        let bytes = bytes as f64;
        self.bytes += bytes;
        // A write that went into a buffer seems to have taken no time.
        self.seconds += took.as_secs_f64().max(bytes / self.most);
        if self.seconds > MEMORY {
            self.bytes *= MEMORY / self.seconds;
            self.seconds = MEMORY;
        }
    }

    /// Takes note that the writing of a picture of this many bytes began at
    /// `started`.
    pub fn sent_picture(&mut self, bytes: u64, started: Instant) {
        self.last = Some((bytes, started));
    }

    /// What the line seems to bear, in bytes a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        (self.bytes / self.seconds).clamp(SLOWEST, self.most)
    }

    /// How long to wait until the next picture may be sent; zero if it may be
    /// sent now.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        let Some((bytes, started)) = self.last else {
            return Duration::ZERO;
        };
        let seconds = bytes as f64 / (self.rate() * SHARE);
        let pause = Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64()));
        pause.saturating_sub(now.saturating_duration_since(started))
    }

    /// Whether the next picture may be sent now.
    #[must_use]
    pub fn ready(&self, now: Instant) -> bool {
        self.wait(now).is_zero()
    }
}

/// What went through a [`Counted`] writer. Clones read the same meter.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    bytes: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Meter {
    /// The bytes written and the time that writing and flushing them took,
    /// since the last call.
    pub fn take(&self) -> (u64, Duration) {
        let bytes = self.0.bytes.swap(0, Ordering::Relaxed);
        let nanoseconds = self.0.nanoseconds.swap(0, Ordering::Relaxed);
        (bytes, Duration::from_nanos(nanoseconds))
    }

    fn add(&self, bytes: usize, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

/// A writer that counts what goes through it and how long that took. It
/// belongs beneath a buffer, so that it times the line and few writes.
#[derive(Debug)]
pub struct Counted<W> {
    inner: W,
    meter: Meter,
}

impl<W: Write> Counted<W> {
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            meter: Meter::default(),
        }
    }

    /// The meter, to be read from elsewhere.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let began = Instant::now();
        let written = self.inner.write(bytes);
        let count = written.as_ref().map_or(0, |count| *count);
        self.meter.add(count, began.elapsed());
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let flushed = self.inner.flush();
        self.meter.add(0, began.elapsed());
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;

    const PICTURE: u64 = 60_000;

    /// Sends pictures as fast as the budget allows over a line that takes
    /// `rate` bytes a second once `buffer` bytes are on their way. Gives the
    /// pictures sent, and the most bytes that ever waited.
    fn simulate(budget: &mut Budget, rate: f64, buffer: f64, seconds: u64) -> (u64, f64) {
        // A simulation may follow another, which went ahead of the clock.
        let start = budget.last.map_or_else(Instant::now, |last| last.1);
        let (mut sent, mut waiting, mut most) = (0, 0.0_f64, 0.0_f64);
        let mut now = start;
        let mut last = start;
        while now < start + Duration::from_secs(seconds) {
            waiting = (waiting - rate * (now - last).as_secs_f64()).max(0.0);
            last = now;
            if budget.ready(now) {
                waiting += PICTURE as f64;
                let blocked = Duration::from_secs_f64((waiting - buffer).max(0.0) / rate);
                budget.sent_picture(PICTURE, now);
                budget.wrote(PICTURE, blocked);
                now += blocked;
                sent += 1;
                most = most.max(waiting);
            }
            now += Duration::from_millis(10);
        }
        (sent, most)
    }

    #[test]
    fn the_first_picture_may_be_sent_at_once_and_the_next_must_wait() {
        let now = Instant::now();
        for (ssh, milliseconds) in [(true, 600), (false, 60)] {
            let mut budget = Budget::new(ssh);
            assert!(budget.ready(now));
            budget.sent_picture(PICTURE, now);
            let wait = Duration::from_millis(milliseconds);
            assert!(budget.wait(now).abs_diff(wait) < Duration::from_micros(1));
            assert!(!budget.ready(now + wait / 2));
            assert!(budget.ready(now + wait + Duration::from_millis(1)));
        }
    }

    #[test]
    fn a_slow_line_is_found_out_and_left_half_free() {
        let mut budget = Budget::new(false);
        simulate(&mut budget, 50e3, 4096.0, 20);
        let rate = budget.rate();
        assert!((45e3..70e3).contains(&rate), "{rate}");
        let (sent, _) = simulate(&mut budget, 50e3, 4096.0, 60);
        let share = (sent * PICTURE) as f64 / (50e3 * 60.0);
        assert!((0.35..0.65).contains(&share), "{share}");
    }

    #[test]
    fn a_fast_line_is_used() {
        let mut budget = Budget::new(false);
        simulate(&mut budget, 1e9, 1e6, 5);
        assert!(budget.rate() > 10e6, "{}", budget.rate());
        let (sent, _) = simulate(&mut budget, 1e9, 1e6, 10);
        assert!(sent > 500, "{sent}");
        // Whatever the writes seem to say, SSH is never taken for this fast.
        let mut budget = Budget::new(true);
        simulate(&mut budget, 1e9, 1e6, 30);
        assert!(budget.rate() <= 1e6, "{}", budget.rate());
    }

    #[test]
    fn a_stall_slows_pictures_down_until_the_line_recovers() {
        let mut budget = Budget::new(true);
        let now = Instant::now();
        budget.sent_picture(PICTURE, now);
        let before = budget.wait(now);
        budget.wrote(100, Duration::from_secs(2));
        assert!(budget.wait(now) > 4 * before);
        for _ in 0..100 {
            budget.wrote(PICTURE, Duration::from_millis(1));
        }
        assert!(budget.wait(now) < before);
    }

    #[test]
    fn a_dead_line_is_tried_again_after_a_while() {
        let mut budget = Budget::new(true);
        let now = Instant::now();
        budget.sent_picture(u64::MAX, now);
        budget.wrote(0, Duration::MAX);
        assert_eq!(budget.rate(), SLOWEST);
        assert_eq!(budget.wait(now), MAX_WAIT);
        assert!(budget.ready(now + MAX_WAIT));
        // A clock that goes back makes no trouble.
        budget.sent_picture(1, now + MAX_WAIT);
        assert!(budget.wait(now) <= MAX_WAIT);
    }

    #[test]
    fn over_ssh_a_large_buffer_does_not_fill_up() {
        // sshd and the kernel take two megabytes before a write blocks. On a
        // line of 300 kB/s that would be seven seconds of waiting for a key.
        let mut budget = Budget::new(true);
        let (_, most) = simulate(&mut budget, 600e3, 2e6, 120);
        assert!(most < 200e3, "{most}");
    }

    #[test]
    fn the_meter_counts_bytes_and_time() {
        struct Slow(Vec<u8>);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                sleep(Duration::from_millis(5));
                // Half of it, as a full buffer would.
                let count = bytes.len().div_ceil(2);
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                sleep(Duration::from_millis(5));
                Ok(())
            }
        }
        let mut writer = Counted::new(Slow(Vec::new()));
        let meter = writer.meter();
        writer.write_all(b"abcd").unwrap();
        writer.flush().unwrap();
        let (bytes, took) = meter.take();
        assert_eq!(bytes, 4);
        // Three writes and a flush.
        assert!(took >= Duration::from_millis(20), "{took:?}");
        assert_eq!(writer.inner.0, b"abcd");
        assert_eq!(meter.take(), (0, Duration::ZERO));
    }
}

//! Dates out of Unix time. Always UTC: the system's own zone cannot be asked
//! without C, and names of runs should sort the same everywhere.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment as people write it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    pub year: u64,
    pub month: u64,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
}

/// Seconds since 1970 by the system's clock; 0 where it stands before that.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Utc {
    /// The moment so many seconds after the beginning of 1970. The Gregorian
    /// calendar repeats every 400 years, which have 146,097 days; years are
    /// counted from March here, so that a leap day is a year's last.
    pub fn from_unix(seconds: u64) -> Self {
        // From the first of March in the year 0 to the first day of 1970. Far
        // beyond any clock the count is cut, so that nothing overflows.
        let days = (seconds / 86_400).min(u64::from(u32::MAX)) + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Five months from March on have 153 days, again and again.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        Self {
            year: 400 * era + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: seconds / 3600 % 24,
            minute: seconds / 60 % 60,
            second: seconds % 60,
        }
    }

    /// `2026-11-22`.
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `08:03:17`.
    pub fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        // By `date -u -d @N`.
        for (seconds, date, time) in [
            (0, "1970-01-01", "00:00:00"),
            (86_399, "1970-01-01", "23:59:59"),
            (951_782_399, "2000-02-28", "23:59:59"),
            (951_782_400, "2000-02-29", "00:00:00"),
            (951_868_800, "2000-03-01", "00:00:00"),
            (1_709_251_199, "2024-02-29", "23:59:59"),
            (1_798_761_599, "2026-12-31", "23:59:59"),
            (1_798_761_600, "2027-01-01", "00:00:00"),
            (4_107_542_400, "2100-03-01", "00:00:00"),
        ] {
            let utc = Utc::from_unix(seconds);
            assert_eq!((utc.date().as_str(), utc.time().as_str()), (date, time));
        }
        Utc::from_unix(u64::MAX);
    }

    #[test]
    fn days_follow_one_another() {
        let mut before = Utc::from_unix(0);
        for day in 1..60_000 {
            let utc = Utc::from_unix(day * 86_400);
            let next = (utc.year, utc.month, utc.day);
            let expected = [
                (before.year, before.month, before.day + 1),
                (before.year, before.month + 1, 1),
                (before.year + 1, 1, 1),
            ];
            assert!(expected.contains(&next), "{before:?} then {utc:?}");
            before = utc;
        }
    }
}

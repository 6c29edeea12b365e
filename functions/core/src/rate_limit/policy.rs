//! Policies in Flask-Limiter's notation: `10 per minute; 50 per hour`.

use std::{fmt, str::FromStr};

use crate::config::{by_text, digits};

/// One quota over one sliding window (the RateLimit draft's `q` and `w`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// How many requests the window admits, at least 1.
    pub quota: u32,
    /// The window's length in seconds, at least 1 and at most [`Window::LONGEST_SECONDS`].
    pub seconds: u32,
}

impl Window {
    /// One year: anything longer is a mistake in the unit.
    pub const LONGEST_SECONDS: u32 = 365 * 24 * 3600;
    /// A quota above this is no limit; it keeps the arithmetic in range.
    pub const LARGEST_QUOTA: u32 = 1_000_000_000;

    /// The window's length in milliseconds.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.seconds).saturating_mul(1000)
    }

    /// `minute` for 60 seconds, `90s` where no unit fits: tells one policy's windows apart in headers.
    #[must_use]
    pub fn label(self) -> String {
        UNITS
            .iter()
            .find(|(_, seconds)| *seconds == self.seconds)
            .map_or_else(|| format!("{}s", self.seconds), |(name, _)| (*name).to_owned())
    }
}

/// Everything that limits one route: one or more windows, all of which must admit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    windows: Vec<Window>,
}

/// Why a policy could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{part}' is not a limit; write for example '10 per minute; 50 per hour' (second, minute, hour, day, month, year)"
)]
pub struct PolicyError {
    part: String,
}

/// Units and their seconds, as Flask-Limiter counts them.
const UNITS: [(&str, u32); 6] =
    [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400), ("month", 30 * 86_400), ("year", 365 * 86_400)];

impl Policy {
    /// More windows than this in one policy is a mistake, and each one costs a condition.
    pub const WINDOWS_MAX: usize = 8;

    /// The windows, shortest first.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    fn new(mut windows: Vec<Window>) -> Option<Self> {
        windows.sort_by_key(|window| (window.seconds, window.quota));
        // Of two quotas for one window the smaller decides.
        windows.dedup_by_key(|window| window.seconds);
        ((1..=Self::WINDOWS_MAX).contains(&windows.len())).then_some(Self { windows })
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let error = |part: &str| PolicyError { part: part.trim().to_owned() };
        let windows = text
            .split([';', ',', '|'])
            .map(|part| window(part).ok_or_else(|| error(part)))
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(windows).ok_or_else(|| error(text))
    }
}

/// Reads `10 per minute`, `10/minute`, `10 per 5 minutes` or `10/5minutes`.
fn window(text: &str) -> Option<Window> {
    let text = text.trim().to_ascii_lowercase();
    let (quota, rest) = text.split_once('/').or_else(|| text.split_once(" per "))?;
    let quota: u32 = digits(quota.trim())?;
    let rest = rest.trim();
    let length = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (multiple, unit) = rest.split_at_checked(length)?;
    let multiple: u32 = if multiple.is_empty() { 1 } else { digits(multiple)? };
    let unit = unit.trim();
    let unit = unit.strip_suffix('s').unwrap_or(unit);
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let seconds = multiple.checked_mul(*seconds)?;
    let fits = (1..=Window::LARGEST_QUOTA).contains(&quota) && (1..=Window::LONGEST_SECONDS).contains(&seconds);
    fits.then_some(Window { quota, seconds })
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Window { quota, seconds }) in self.windows.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let (unit, multiple) = UNITS
                .iter()
                .rev()
                .find(|(_, unit)| seconds % unit == 0)
                .map_or(("second", *seconds), |(name, unit)| (name, seconds / unit));
            match multiple {
                1 => write!(f, "{separator}{quota} per {unit}")?,
                more => write!(f, "{separator}{quota} per {more} {unit}s")?,
            }
        }
        Ok(())
    }
}

by_text!(Policy);

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(text: &str) -> Vec<(u32, u32)> {
        text.parse::<Policy>().unwrap().windows().iter().map(|w| (w.quota, w.seconds)).collect()
    }

    #[test]
    fn flask_limiters_notations_are_read() {
        assert_eq!(windows("10 per minute"), [(10, 60)]);
        assert_eq!(windows("200 per day; 50 per hour"), [(50, 3600), (200, 86_400)]);
        assert_eq!(windows("10/minute, 1/second"), [(1, 1), (10, 60)]);
        assert_eq!(windows("3 per 5 minutes"), [(3, 300)]);
        assert_eq!(windows("3/5minutes|7 Per DAYS"), [(3, 300), (7, 86_400)]);
        assert_eq!(windows("1000000000/hour"), [(1_000_000_000, 3600)]);
    }

    #[test]
    fn of_two_quotas_for_one_window_the_smaller_counts() {
        assert_eq!(windows("10 per minute; 5 per 60 seconds"), [(5, 60)]);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            "off",
            "10",
            "10 per",
            "per minute",
            "0 per minute",
            "-1 per minute",
            "+10 per minute",
            "10 per fortnight",
            "1.5 per day",
            "10 per minute;",
            "10 per 0 minutes",
            "10 per 99999 years",
            "99999999999 per day",
            "ten per day",
        ] {
            assert!(text.parse::<Policy>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_policy_is_written_as_it_is_read() {
        for text in ["10 per minute", "50 per hour; 200 per day", "3 per 5 minutes", "7 per 90 seconds"] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
    }
}

//! Moments and lengths of time as people write them.

use std::{fmt, str::FromStr, time::Duration};

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// Units of a length of time, with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// A text that is no time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum TimeError {
    /// No moment.
    #[error(
        "expected a time like 2026-01-31T12:00:00Z, seconds since 1970 like 1769860800, or how long \
         ago like 15m, -15m or 2h30m"
    )]
    Moment,
    /// No length of time.
    #[error("expected a length of time like 15m, 90s, 500ms or 1h30m")]
    Length,
}

/// A moment: fixed, or counted back from now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    /// Since the Unix epoch.
    At(Duration),
    /// Before now.
    Ago(Duration),
}

impl Moment {
    /// The moment since the Unix epoch.
    pub(super) fn since_epoch(self, now: Duration) -> Duration {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.saturating_sub(ago),
        }
    }
}

impl FromStr for Moment {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Some(at) = parse_rfc3339(text).or_else(|| parse_unix(text)) {
            return Ok(Self::At(at));
        }
        let ago = text.strip_suffix("ago").map_or(text, str::trim_end);
        let ago = ago.strip_prefix('-').unwrap_or(ago);
        match ago.parse() {
            Ok(Length(ago)) => Ok(Self::Ago(ago)),
            Err(_no_length) => Err(TimeError::Moment),
        }
    }
}

/// A length of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Length(pub(super) Duration);

impl FromStr for Length {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(TimeError::Length);
        }
        let mut sum = Duration::ZERO;
        while !rest.is_empty() {
            let (number, after) = split(rest, |c| c.is_ascii_digit());
            let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
            let nanoseconds = UNITS.iter().find(|(name, _)| *name == unit);
            let part = (number.parse::<u64>().ok())
                .zip(nanoseconds)
                .and_then(|(number, (_name, size))| number.checked_mul(*size))
                .and_then(|nanoseconds| sum.checked_add(Duration::from_nanos(nanoseconds)));
            sum = part.ok_or(TimeError::Length)?;
            rest = after.trim_start();
        }
        Ok(Self(sum))
    }
}

/// Splits where a kind of character ends.
fn split(text: &str, is_inside: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !is_inside(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// Seconds since the Unix epoch, with an optional fraction.
fn parse_unix(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    Some(Duration::new(
        whole.parse().ok()?,
        parse_fraction(fraction)?,
    ))
}

/// Digits behind a point as nanoseconds; what is finer is cut off.
fn parse_fraction(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}

/// `2026-01-31T12:00:00Z`, with a fraction or another offset if there is one. A date alone is its
/// midnight in UTC.
fn parse_rfc3339(text: &str) -> Option<Duration> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let (year, rest) = date.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    let days = days_since_epoch(
        number(year, 4, 1970..=9999)?,
        number(month, 2, 1..=12)?,
        number(day, 2, 1..=31)?,
    )?;
    let (clock, offset_seconds) = split_offset(time)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let (hour, rest) = clock.split_once(':')?;
    let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
    let seconds = days * DAY_SECONDS
        + number(hour, 2, 0..=23)? * 3_600
        + number(minute, 2, 0..=59)? * 60
        // A leap second is the one after it.
        + number(second, 2, 0..=60)?;
    let seconds = seconds.checked_add_signed(-offset_seconds)?;
    Some(Duration::new(seconds, parse_fraction(fraction)?))
}

/// The clock and its offset from UTC in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let place = time.rfind(['+', '-'])?;
    let (clock, offset) = time.split_at(place);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = number(hours, 2, 0..=23)? * 3_600 + number(minutes, 2, 0..=59)? * 60;
    Some((clock, sign * i64::try_from(seconds).ok()?))
}

/// A number of so many digits within a range.
fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok()?;
    (is_number && range.contains(&number)).then_some(number)
}

/// Days of the months of a year.
fn month_days(year: u64) -> [u64; 12] {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if is_leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Days of a year.
fn year_days(year: u64) -> u64 {
    month_days(year).iter().sum()
}

/// Days from 1970 to a date; nothing for a date that there is not.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let months = month_days(year);
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if *months.get(month)? < day {
        return None;
    }
    let years: u64 = (1970..year).map(year_days).sum();
    Some(years + months.iter().take(month).sum::<u64>() + day.checked_sub(1)?)
}

/// A moment for people and programs: RFC 3339 in UTC, to the second.
pub(super) struct Utc(pub(super) Duration);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let mut days = seconds / DAY_SECONDS;
        let mut year = 1970;
        while year_days(year) <= days {
            days -= year_days(year);
            year += 1;
        }
        let mut month = 1;
        for length in month_days(year) {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
            days + 1
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Length, Moment, TimeError, Utc};

    fn at(text: &str) -> Option<f64> {
        match text.parse() {
            Ok(Moment::At(at)) => Some(at.as_secs_f64()),
            Ok(Moment::Ago(_)) | Err(_) => None,
        }
    }

    #[test]
    fn fixed_moments_are_rfc_3339_or_unix_seconds() {
        assert_eq!(Some(0.0), at("1970-01-01T00:00:00Z"));
        assert_eq!(Some(951_782_400.0), at("2000-02-29"));
        assert_eq!(Some(1_792_584_000.5), at("2026-10-21T12:00:00.5Z"));
        assert_eq!(Some(1_792_584_000.0), at("2026-10-21 14:30+02:30"));
        assert_eq!(Some(1_792_584_000.0), at("2026-10-21t07:00:00-05:00"));
        assert_eq!(Some(1_792_584_000.25), at("1792584000.25"));
        for bad in [
            "2026-02-29",
            "2026-13-01",
            "2026-10-21T24:00:00Z",
            "2026-10-21T12:00:00",
            "1.x",
            "",
        ] {
            assert_eq!(None, at(bad), "{bad:?}");
        }
    }

    #[test]
    fn relative_moments_are_counted_back_from_now() {
        let now = Duration::from_secs(100_000);
        let seconds = |text: &str| text.parse().map(|m: Moment| m.since_epoch(now).as_secs());
        assert_eq!(Ok(100_000), seconds("now"));
        for text in ["15m", "-15m", "15m ago", "-14m60s", "900s"] {
            assert_eq!(Ok(100_000 - 900), seconds(text), "{text}");
        }
        assert_eq!(Ok(0), seconds("1w"));
        for bad in [
            "15",
            "15x",
            "-",
            "m",
            "15m ago later",
            "--5m",
            "99999999999999999999s",
        ] {
            let moment = bad.parse::<Moment>();
            let is_unix = bad == "15";
            assert_eq!(is_unix, moment.is_ok(), "{bad}");
        }
    }

    #[test]
    fn lengths_add_up() {
        assert_eq!(
            Ok(Length(Duration::from_millis(5_400_500))),
            "1h30m 500ms".parse()
        );
        assert_eq!(Err(TimeError::Length), "".parse::<Length>());
        assert_eq!(Err(TimeError::Length), "10".parse::<Length>());
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2026-12-31T01:02:03Z",
            "2100-03-01T00:00:00Z",
        ] {
            let Ok(Moment::At(at)) = text.parse() else {
                panic!("{text}");
            };
            assert_eq!(text, Utc(at).to_string());
        }
    }
}

//! Amounts as people write them: `5%`, `3ms`, `50MiB/s`.

use std::time::Duration;

use super::{BudgetError, Unit};

/// What an amount measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dimension {
    /// A plain number, or a share.
    Number,
    /// A share, written in percent.
    Share,
    /// Time, in nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    ByteRate,
    /// Times a second.
    Rate,
}

/// An amount with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// In the dimension's own unit.
    pub value: f64,
    /// What it measures.
    pub dimension: Dimension,
}

/// A unit: how it is written, one of it, and what it measures.
const UNITS: [(&str, f64, Dimension); 20] = [
    ("", 1.0, Dimension::Number),
    ("%", 0.01, Dimension::Share),
    ("ns", 1.0, Dimension::Time),
    ("us", 1e3, Dimension::Time),
    ("µs", 1e3, Dimension::Time),
    ("ms", 1e6, Dimension::Time),
    ("s", 1e9, Dimension::Time),
    ("m", 60e9, Dimension::Time),
    ("h", 3_600e9, Dimension::Time),
    ("d", 86_400e9, Dimension::Time),
    ("B", 1.0, Dimension::Bytes),
    ("KiB", 1_024.0, Dimension::Bytes),
    ("MiB", 1_048_576.0, Dimension::Bytes),
    ("GiB", 1_073_741_824.0, Dimension::Bytes),
    ("kB", 1e3, Dimension::Bytes),
    ("MB", 1e6, Dimension::Bytes),
    ("GB", 1e9, Dimension::Bytes),
    ("k", 1e3, Dimension::Number),
    ("M", 1e6, Dimension::Number),
    ("G", 1e9, Dimension::Number),
];

impl Amount {
    /// Reads an amount.
    ///
    /// # Errors
    /// [`BudgetError::Amount`]
    pub fn read(text: &str) -> Result<Self, BudgetError> {
        let wrong = || BudgetError::Amount {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let (amount, is_rate) = match trimmed.strip_suffix("/s") {
            Some(amount) => (amount.trim(), true),
            None => (trimmed, false),
        };
        let end = amount
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
            .unwrap_or(amount.len());
        let (digits, unit) = amount.split_at_checked(end).ok_or_else(wrong)?;
        let number: f64 = digits
            .replace('_', "")
            .parse()
            .map_err(|_no_number| wrong())?;
        let unit = unit.trim();
        let known = UNITS.iter().find(|(name, ..)| *name == unit);
        let (_name, size, dimension) = known.ok_or_else(wrong)?;
        let dimension = match (dimension, is_rate) {
            (dimension, false) => *dimension,
            (Dimension::Bytes, true) => Dimension::ByteRate,
            (Dimension::Number, true) => Dimension::Rate,
            _ => return Err(wrong()),
        };
        Ok(Self {
            value: number * size,
            dimension,
        })
    }

    /// Reads a length of time.
    ///
    /// # Errors
    /// [`BudgetError::Amount`]
    pub fn duration(text: &str) -> Result<Duration, BudgetError> {
        let amount = Self::read(text)?;
        let seconds = amount.value / 1e9;
        let time = Duration::try_from_secs_f64(seconds);
        match (amount.dimension, time) {
            (Dimension::Time, Ok(time)) => Ok(time),
            _ => Err(BudgetError::Amount {
                text: text.to_owned(),
            }),
        }
    }
}

impl Dimension {
    /// Whether an amount of this kind limits a number of that unit. A share may be written as a
    /// plain number, and so may a rate.
    pub(super) fn limits(self, unit: Unit) -> bool {
        match unit {
            Unit::Ratio => matches!(self, Self::Share | Self::Number),
            Unit::Cores | Unit::Threads | Unit::Count => self == Self::Number,
            Unit::PerSecond => matches!(self, Self::Rate | Self::Number),
            Unit::BytesPerSecond => self == Self::ByteRate,
            Unit::Bytes => self == Self::Bytes,
            Unit::Nanoseconds => self == Self::Time,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Amount, Dimension};

    #[test]
    #[expect(clippy::float_cmp, reason = "the numbers are exact")]
    fn amounts_are_read_with_their_units() {
        for (text, value, dimension) in [
            ("5%", 0.05, Dimension::Share),
            ("0.5", 0.5, Dimension::Number),
            ("3 ms", 3e6, Dimension::Time),
            ("50MiB/s", 50.0 * 1_048_576.0, Dimension::ByteRate),
            ("10_000/s", 10_000.0, Dimension::Rate),
            ("2k", 2_000.0, Dimension::Number),
        ] {
            assert_eq!(
                Amount { value, dimension },
                Amount::read(text).unwrap(),
                "{text}"
            );
        }
        assert_eq!(Duration::from_secs(90), Amount::duration("1.5m").unwrap());
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "%", "5 parsec", "-1", "1ms/s", "1/2", "1..2"] {
            let error = Amount::read(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        Amount::duration("5%").unwrap_err();
    }
}

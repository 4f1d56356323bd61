//! What the profiler may cost its host, as people write it: `1%`, `256MiB`, `off`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The word for no limit.
const OFF: &str = "off";
/// Units of memory, and how many bytes each has.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// A text that is no budget.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BudgetError {
    /// Of CPU time.
    #[error("must be a share of the host's CPU such as 1%, above 0% and at most 100%, or off")]
    Overhead,
    /// Of memory.
    #[error("must be a size such as 256MiB or 1GiB, at least 32MiB, or off")]
    Memory,
}

/// Smallest memory budget, bytes: less does not hold the maps of the probe.
const MEMORY_MIN_BYTES: u64 = 32 << 20;

/// Largest share of the host's CPU that the profiler may take; none for no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxOverhead(pub Option<f64>);

/// Most bytes of memory that the profiler may take; none for no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaxMemory(pub Option<u64>);

impl Default for MaxOverhead {
    fn default() -> Self {
        Self(Some(0.01))
    }
}

impl Default for MaxMemory {
    fn default() -> Self {
        Self(Some(256 << 20))
    }
}

impl FromStr for MaxOverhead {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        if text == OFF {
            return Ok(Self(None));
        }
        let percent = text.strip_suffix('%').map(str::trim_end);
        let percent: Option<f64> = percent.and_then(|number| number.parse().ok());
        match percent {
            Some(percent) if 0.0 < percent && percent <= 100.0 => Ok(Self(Some(percent / 100.0))),
            Some(_) | None => Err(BudgetError::Overhead),
        }
    }
}

impl FromStr for MaxMemory {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        if text == OFF {
            return Ok(Self(None));
        }
        let parsed = UNITS.iter().find_map(|(unit, size)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*size)
        });
        parsed
            .filter(|bytes| MEMORY_MIN_BYTES <= *bytes)
            .map(|bytes| Self(Some(bytes)))
            .ok_or(BudgetError::Memory)
    }
}

impl fmt::Display for MaxOverhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Rounded, since a hundredth has no exact number.
            Some(share) => write!(f, "{}%", (share * 1e8).round() / 1e6),
            None => f.write_str(OFF),
        }
    }
}

impl fmt::Display for MaxMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else {
            return f.write_str(OFF);
        };
        let unit = UNITS.iter().find(|(_unit, size)| bytes % size == 0);
        let (unit, size) = unit.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", bytes / size)
    }
}

impl<'de> Deserialize<'de> for MaxOverhead {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for MaxMemory {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for MaxOverhead {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl Serialize for MaxMemory {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{MaxMemory, MaxOverhead};

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in ["1%", "0.5%", "100%", "12.25%", "off"] {
            assert_eq!(text, text.parse::<MaxOverhead>().unwrap().to_string());
        }
        for text in ["256MiB", "1GiB", "65537KiB", "off"] {
            assert_eq!(text, text.parse::<MaxMemory>().unwrap().to_string());
        }
        assert_eq!(MaxOverhead(Some(0.01)), "1 %".parse().unwrap());
        assert_eq!(MaxMemory(Some(64 << 20)), "64 MiB".parse().unwrap());
        assert_eq!("1%", MaxOverhead::default().to_string());
        assert_eq!("256MiB", MaxMemory::default().to_string());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in ["", "1", "%", "0%", "-1%", "101%", "nan%", "inf%", "none"] {
            text.parse::<MaxOverhead>().unwrap_err();
        }
        for text in [
            "",
            "1",
            "MiB",
            "31MiB",
            "-64MiB",
            "99999999999999999GiB",
            "1.5GiB",
        ] {
            text.parse::<MaxMemory>().unwrap_err();
        }
    }
}

//! Numbers as people read them.

use crate::model::{Profile, ValueType};

/// A unit that values are shown in.
pub(super) struct Unit {
    /// What stands behind the number.
    pub(super) name: &'static str,
    /// One of this unit, in the unit of the value.
    pub(super) size: f64,
}

/// Units of time, from a value in nanoseconds.
const TIME: [Unit; 4] = [
    unit("s", 1e9),
    unit("ms", 1e6),
    unit("µs", 1e3),
    unit("ns", 1.0),
];
/// Units of memory, from a value in bytes.
const MEMORY: [Unit; 4] = [
    unit("GiB", 1_073_741_824.0),
    unit("MiB", 1_048_576.0),
    unit("KiB", 1024.0),
    unit("B", 1.0),
];

/// Builds one entry of a table.
const fn unit(name: &'static str, size: f64) -> Unit {
    Unit { name, size }
}

/// The units of a value type, largest first; empty for plain counts.
fn units_of(value_type: &ValueType) -> &'static [Unit] {
    match value_type.unit.as_str() {
        "nanoseconds" => &TIME,
        "bytes" => &MEMORY,
        _ => &[],
    }
}

/// The largest unit in which `value` is at least `least`; `None` for plain counts.
pub(super) fn fitting_unit(
    value: u64,
    value_type: &ValueType,
    least: f64,
) -> Option<&'static Unit> {
    let units = units_of(value_type);
    let fits = |unit: &&Unit| to_f64(value) / unit.size >= least;
    units.iter().find(fits).or(units.last())
}

/// A value with its unit: `1.25 s`, `3.00 KiB`, `1,234`.
pub(crate) fn quantity(value: u64, value_type: &ValueType) -> String {
    match fitting_unit(value, value_type, 1.0) {
        Some(unit) if unit.size > 1.0 => format!("{:.2} {}", to_f64(value) / unit.size, unit.name),
        Some(unit) => format!("{value} {}", unit.name),
        None => thousands(value),
    }
}

/// A number with a comma between each three digits.
pub(crate) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: `12.3%`. Of nothing, it is 0.
pub(crate) fn share(part: u64, whole: u64) -> String {
    format!("{:.1}%", percent(part, whole))
}

/// A share in percent as a number.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * to_f64(part) / to_f64(whole)
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "for display; 53 bits are plenty"
)]
pub(crate) fn to_f64(value: u64) -> f64 {
    value as f64
}

/// Sum of the first values of all samples.
pub(super) fn total(profile: &Profile) -> u64 {
    let values = profile.samples.iter().filter_map(|s| s.values.first());
    values.fold(0, |sum, value| sum.saturating_add(*value))
}

/// What pictures are drawn with: the first value type, samples when there is none.
pub(super) fn shown_value_type(profile: &Profile) -> ValueType {
    profile.value_types.first().cloned().unwrap_or(ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{quantity, share, thousands};
    use crate::model::ValueType;

    #[test]
    fn numbers_read_like_a_person_writes_them() {
        let shown: Vec<_> = [0, 999, 1_000, 1_234_567]
            .into_iter()
            .map(thousands)
            .collect();
        assert_eq!(vec!["0", "999", "1,000", "1,234,567"], shown);
        assert_eq!(
            ("12.5%", "0.0%"),
            (share(1, 8).as_str(), share(3, 0).as_str())
        );
    }

    #[test]
    fn quantities_use_the_largest_unit_that_fits() {
        let time = ValueType {
            kind: "cpu".into(),
            unit: "nanoseconds".into(),
        };
        let shown: Vec<_> = [0, 999, 1_000, 2_500_000_000]
            .into_iter()
            .map(|value| quantity(value, &time))
            .collect();
        assert_eq!(vec!["0 ns", "999 ns", "1.00 µs", "2.50 s"], shown);
    }
}

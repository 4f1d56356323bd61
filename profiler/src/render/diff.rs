//! What changed between two profiles.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    collapsed,
    svg::{self, Picture, SvgError},
    table::{self, Weight},
    units::{fitting_unit, percent, quantity, shown_value_type, total},
};
use crate::model::{Profile, ValueType};

/// Whether two profiles are brought to the same total before they are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Normalize {
    /// Compare the values as they are: for runs of the same length and work.
    No,
    /// Scale the first profile to the total of the second: for runs of different length.
    EqualTotals,
}

/// Two profiles that cannot be compared.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DifferenceError {
    /// They count in different units.
    #[error("one profile counts {before}, the other {after}; only equal units can be compared")]
    Units {
        /// Unit of the first.
        before: String,
        /// Unit of the second.
        after: String,
    },
}

/// What two profiles say of one thing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Pair {
    before: u64,
    after: u64,
}

/// Two profiles, put side by side stack by stack.
#[derive(Debug)]
pub struct Difference {
    /// By collapsed stack.
    stacks: BTreeMap<String, Pair>,
    /// Weight in the functions themselves, by label.
    functions: BTreeMap<String, Pair>,
    totals: Pair,
    value_type: ValueType,
}

impl Difference {
    /// Compares the first value types of two profiles.
    ///
    /// # Errors
    /// [`DifferenceError::Units`] when they are not of one unit.
    pub fn between(
        before: &Profile,
        after: &Profile,
        normalize: Normalize,
    ) -> Result<Self, DifferenceError> {
        let value_type = shown_value_type(after);
        let unit_before = shown_value_type(before).unit;
        if unit_before != value_type.unit {
            return Err(DifferenceError::Units {
                before: unit_before,
                after: value_type.unit,
            });
        }
        let (total_before, total_after) = (total(before), total(after));
        let scale = match normalize {
            Normalize::EqualTotals if total_before > 0 => (total_after, total_before),
            Normalize::EqualTotals | Normalize::No => (1, 1),
        };
        let own = |profile| {
            let weights = table::weights(profile).into_iter();
            weights.map(|(name, Weight { own, .. })| (name, own))
        };
        Ok(Self {
            stacks: pairs(collapsed::stacks(before), collapsed::stacks(after), scale),
            functions: pairs(own(before), own(after), scale),
            totals: Pair {
                before: scaled(total_before, scale),
                after: total_after,
            },
            value_type,
        })
    }

    /// One `comm;frame;frame BEFORE AFTER` line a stack, as differential flame graph tools read it.
    pub fn to_collapsed(&self) -> String {
        let mut text = String::new();
        for (stack, pair) in &self.stacks {
            // Writing to a text cannot fail.
            let _infallible = writeln!(text, "{stack} {} {}", pair.before, pair.after);
        }
        text
    }

    /// A table of the `limit` functions whose own weight changed most, with the totals.
    pub fn to_table(&self, limit: usize) -> String {
        let mut rows: Vec<(&String, Pair)> = self.functions.iter().map(|(n, p)| (n, *p)).collect();
        rows.retain(|(_, pair)| pair.before != pair.after);
        rows.sort_by_key(|(name, pair)| (u64::MAX - pair.before.abs_diff(pair.after), *name));
        let mut text = format!(
            "{:>13} {:>8} {:>12} {:>7} {:>12} {:>7}  FUNCTION\n",
            "CHANGE", "POINTS", "BEFORE", "", "AFTER", ""
        );
        self.put_row(&mut text, "(all)", self.totals);
        for (name, pair) in rows.into_iter().take(limit) {
            self.put_row(&mut text, name, pair);
        }
        text
    }

    /// Adds one line of the table.
    fn put_row(&self, text: &mut String, name: &str, pair: Pair) {
        let sign = if pair.after < pair.before { '-' } else { '+' };
        let change = quantity(pair.before.abs_diff(pair.after), &self.value_type);
        let share_before = percent(pair.before, self.totals.before);
        let share_after = percent(pair.after, self.totals.after);
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            text,
            "{:>13} {:>+8.1} {:>12} {share_before:>6.1}% {:>12} {share_after:>6.1}%  {name}",
            format!("{sign}{change}"),
            share_after - share_before,
            quantity(pair.before, &self.value_type),
            quantity(pair.after, &self.value_type),
        );
    }

    /// A flame graph as wide as the second profile; red grew, blue shrank. `before` and `after`
    /// name the two in the title.
    ///
    /// # Errors
    /// The picture could not be drawn.
    pub fn to_svg(&self, before: &str, after: &str) -> Result<Vec<u8>, SvgError> {
        let all = self
            .stacks
            .values()
            .flat_map(|pair| [pair.before, pair.after]);
        let shift = svg::shift_for(all);
        let unit = fitting_unit(self.totals.after, &self.value_type, svg::WHOLE_UNITS_MIN);
        let widths = svg::widths(&self.stacks, |pair| pair.after >> shift);
        Picture {
            title: format!("{before} → {after}"),
            subtitle: format!(
                "{} → {} {} · width: after · colour: change of the function itself",
                quantity(self.totals.before, &self.value_type),
                quantity(self.totals.after, &self.value_type),
                self.value_type.kind,
            ),
            count_name: unit.map_or_else(|| self.value_type.kind.clone(), |u| u.name.to_owned()),
            factor: svg::power_of_two(shift) / unit.map_or(1.0, |unit| unit.size),
            background: svg::BACKGROUND_OF_CHANGES,
            palette: None,
            legend: &svg::CHANGES,
            lines: if self.totals.after > 0 {
                svg::lines(&self.stacks, |pair| {
                    format!("{} {}", pair.before >> shift, pair.after >> shift)
                })
            } else {
                Vec::new()
            },
            width_percent_min: svg::width_percent_min(widths, self.totals.after >> shift),
        }
        .draw()
    }
}

/// Brings the values of two profiles together by name, those of the first scaled.
fn pairs(
    before: impl IntoIterator<Item = (String, u64)>,
    after: impl IntoIterator<Item = (String, u64)>,
    scale: (u64, u64),
) -> BTreeMap<String, Pair> {
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for (name, value) in before {
        pairs.entry(name).or_default().before = scaled(value, scale);
    }
    for (name, value) in after {
        pairs.entry(name).or_default().after = value;
    }
    pairs
}

/// `value * numerator / denominator`, to the nearest. The denominator is never zero.
fn scaled(value: u64, (numerator, denominator): (u64, u64)) -> u64 {
    let product = u128::from(value) * u128::from(numerator);
    let denominator = u128::from(denominator);
    u64::try_from((product + denominator / 2) / denominator).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Difference, DifferenceError, Normalize};
    use crate::{model::Profile, render::collapsed};

    /// Reads collapsed stacks.
    fn profile(text: &str) -> Profile {
        collapsed::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn puts_both_numbers_behind_the_stack() {
        let (before, after) = (profile("a;f 10\na;g 10\n"), profile("a;f 10\na;h 30\n"));
        let plain = Difference::between(&before, &after, Normalize::No).unwrap();
        assert_eq!("a;f 10 10\na;g 10 0\na;h 0 30\n", plain.to_collapsed());
        let equal = Difference::between(&before, &after, Normalize::EqualTotals).unwrap();
        assert_eq!("a;f 20 10\na;g 20 0\na;h 0 30\n", equal.to_collapsed());
    }

    #[test]
    fn the_table_begins_with_what_changed_most() {
        let (before, after) = (profile("a;f 10\na;g 10\n"), profile("a;f 12\na;h 8\n"));
        let difference = Difference::between(&before, &after, Normalize::No).unwrap();
        let expected = "       CHANGE   POINTS       BEFORE                AFTER          FUNCTION
           +0     +0.0           20  100.0%           20  100.0%  (all)
          -10    -50.0           10   50.0%            0    0.0%  g
           +8    +40.0            0    0.0%            8   40.0%  h
           +2    +10.0           10   50.0%           12   60.0%  f
";
        assert_eq!(expected, difference.to_table(10));
    }

    #[test]
    fn a_difference_to_nothing_is_drawn() {
        let (before, after) = (profile("a;f 10\n"), profile(""));
        let difference = Difference::between(&before, &after, Normalize::EqualTotals).unwrap();
        let picture = difference.to_svg("a", "b").unwrap();
        assert!(String::from_utf8(picture).unwrap().contains("no samples"));
    }

    #[test]
    fn units_must_agree() {
        let before = profile("a;f 1\n");
        let mut after = before.clone();
        after.value_types[0].unit = "bytes".into();
        let error = Difference::between(&before, &after, Normalize::No).unwrap_err();
        assert!(matches!(error, DifferenceError::Units { .. }));
    }
}

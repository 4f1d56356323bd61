//! One column of values: what it counts, and what a unit of it stands for.

use crate::model::{HostWindow, ProfileType};

/// One column of values, as parts keep it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Column {
    /// What is counted.
    pub(super) profile_type: ProfileType,
    /// Nanoseconds that one unit stands for; zero when it stands for none, or when the window has
    /// a column of them.
    pub(super) period_ns: u64,
}

impl Column {
    /// What one unit of the column counts for in a question about a type; `None` when it is not
    /// asked for.
    pub(super) fn factor(&self, asked: &ProfileType) -> Option<u64> {
        if *asked == self.profile_type {
            Some(1)
        } else if 0 < self.period_ns && *asked == nanoseconds(&self.profile_type.signal) {
            Some(self.period_ns)
        } else {
            None
        }
    }

    /// Types that can be asked for.
    pub(super) fn types(&self) -> Vec<ProfileType> {
        let mut types = vec![self.profile_type.clone()];
        if 0 < self.period_ns {
            types.push(nanoseconds(&self.profile_type.signal));
        }
        types
    }
}

/// The type that periods of a signal add up to: `cpu:cpu:nanoseconds`.
fn nanoseconds(signal: &str) -> ProfileType {
    ProfileType {
        signal: signal.to_owned(),
        kind: signal.to_owned(),
        unit: "nanoseconds".to_owned(),
    }
}

/// The columns of a window, in the order of its value types.
pub(super) fn columns_of(window: &HostWindow) -> Vec<Column> {
    let types = window.value_types.iter().map(|value_type| ProfileType {
        signal: window.signal.clone(),
        kind: value_type.kind.clone(),
        unit: value_type.unit.clone(),
    });
    let mut columns: Vec<Column> = types
        .map(|profile_type| Column {
            profile_type,
            period_ns: 0,
        })
        .collect();
    let derived = nanoseconds(&window.signal);
    let is_given = (columns.iter()).any(|column| column.profile_type == derived);
    if let Some(first) = columns.first_mut().filter(|_first| !is_given) {
        first.period_ns = window.period_ns;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::columns_of;
    use crate::model::{HostWindow, ValueType};

    fn types(period_ns: u64, value_types: &[(&str, &str)]) -> Vec<String> {
        let value_types = value_types.iter().map(|(kind, unit)| ValueType {
            kind: (*kind).to_owned(),
            unit: (*unit).to_owned(),
        });
        let window = HostWindow {
            signal: "cpu".to_owned(),
            period_ns,
            value_types: value_types.collect(),
            ..HostWindow::default()
        };
        let columns = columns_of(&window);
        let types = columns.iter().flat_map(super::Column::types);
        types.map(|profile_type| profile_type.to_string()).collect()
    }

    #[test]
    fn periods_make_one_more_type_unless_it_is_given() {
        let samples = ("samples", "count");
        assert_eq!(vec!["cpu:samples:count"], types(0, &[samples]));
        assert_eq!(
            vec!["cpu:samples:count", "cpu:cpu:nanoseconds"],
            types(10, &[samples])
        );
        assert_eq!(
            vec!["cpu:samples:count", "cpu:cpu:nanoseconds"],
            types(10, &[samples, ("cpu", "nanoseconds")])
        );
    }
}

//! Rows of exact tables, read out of profiles.

use profiler::model::{Naming, Profile, Sample};

/// One row: its names from the outside in, and its values.
pub(super) struct Row {
    pub(super) names: Vec<String>,
    pub(super) values: Vec<u64>,
}

/// The rows of a profile whose process has this name.
pub(super) fn rows(profile: &Profile, comm: &str) -> Vec<Row> {
    let of_process = profile.samples.iter().filter(|sample| {
        let task = profile.task(sample.task);
        task.is_some_and(|task| task.comm == comm && task.tid.0 == task.pid.0)
    });
    let name = |index: &_| match &profile.frame(*index).unwrap().naming {
        Naming::Named(locations) => locations[0].function.clone(),
        Naming::Unnamed(reason) => panic!("a row without a name: {reason:?}"),
    };
    let row = |sample: &Sample| {
        let stack = profile.stack(sample.stack).unwrap();
        Row {
            names: stack.frames.iter().rev().map(name).collect(),
            values: sample.values.clone(),
        }
    };
    of_process.map(row).collect()
}

/// Sum of one value of the rows that begin with these names.
pub(super) fn sum(rows: &[Row], names: &[&str], value: usize) -> u64 {
    let begins = |row: &&Row| {
        names.len() <= row.names.len()
            && names.iter().zip(&row.names).all(|(name, own)| name == own)
    };
    rows.iter()
        .filter(begins)
        .map(|row| row.values[value])
        .sum()
}

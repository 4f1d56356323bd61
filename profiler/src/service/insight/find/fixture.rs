//! Evidence written down as stacks, for the tests of the rules.

use std::{collections::HashMap, time::Duration};

use crate::{
    model::{FrameKind, StackId},
    service::insight::{
        Evidence, Finding, FindingKind, Path, Rules, SignalTable, Site, evidence::KINDS_MAX, find,
    },
};

/// Slices that values are divided into.
const SLICES: u64 = 6;

/// A table from lines `outermost;…;innermost` with their values, spread evenly over slices. A name
/// that ends in `_[k]` is the kernel's.
pub(super) fn table<const N: usize>(stacks: &[(&str, [u64; N])]) -> SignalTable {
    let mut table = SignalTable::default();
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for (index, (stack, values)) in stacks.iter().enumerate() {
        let sites = stack.split(';').map(|name| {
            *numbers.entry(name).or_insert_with(|| {
                table.sites.push(site(name));
                u32::try_from(table.sites.len() - 1).unwrap()
            })
        });
        let mut path = Path {
            stack: StackId(index as u64),
            sites: sites.collect(),
            ..Path::default()
        };
        for (kind, value) in values.iter().enumerate().take(KINDS_MAX) {
            path.values[kind] = *value;
            let slice = |n| value * (n + 1) / SLICES - value * n / SLICES;
            path.slices[kind] = (0..SLICES).map(slice).collect();
        }
        table.paths.push(path);
    }
    table
}

/// A level by its name.
fn site(name: &str) -> Site {
    let kernel = name.strip_suffix("_[k]");
    Site {
        kind: if kernel.is_some() {
            FrameKind::Kernel
        } else {
            FrameKind::Native
        },
        ..Site::thing(kernel.unwrap_or(name))
    }
}

/// A minute of a service.
pub(super) fn minute() -> Evidence {
    Evidence {
        service: "api".to_owned(),
        selector: "{service=\"api\"}".to_owned(),
        start: Duration::from_secs(1_000_000),
        span: Duration::from_secs(60),
        cpu_period_ns: 10_000_000.0,
        ..Evidence::default()
    }
}

/// A minute of CPU time at a hundred samples a second.
pub(super) fn cpu(stacks: &[(&str, u64)]) -> Evidence {
    let stacks: Vec<(&str, [u64; 1])> = stacks.iter().map(|(s, n)| (*s, [*n])).collect();
    Evidence {
        cpu: table(&stacks),
        ..minute()
    }
}

/// Kinds that are found, in order.
pub(super) fn kinds(evidence: &Evidence) -> Vec<FindingKind> {
    let found = find(evidence, &Rules::default());
    found.into_iter().map(|finding| finding.kind).collect()
}

/// What is found first.
#[track_caller]
pub(super) fn first(evidence: &Evidence) -> Finding {
    let found = find(evidence, &Rules::default());
    found.into_iter().next().expect("a finding")
}

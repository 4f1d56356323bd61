//! A small store: what the answers are checked against can be added up by hand.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        Batch, Definitions, FrameDefinition, FrameHash, FrameId, FrameKind, HostWindow, Labels,
        Location, Naming, ObjectFile, ProfileType, Quality, Reason, Selection, SenderId,
        SeriesSamples, StackDefinition, StackHash, StackId, TimeRange, ValueType, WeightedStack,
        Window,
    },
    service::{
        query::{Reader, parse_selector},
        store::{MemoryStore, QueryLimits, Store as _},
    },
};

/// Start of the first window.
pub(super) const START: Duration = Duration::from_secs(1_600_000_000);
/// Length of a window.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// What a sample stands for, in nanoseconds.
pub(super) const PERIOD_NS: u64 = 10_000_000;

/// A function in a file, with the functions inlined into it before it, innermost first.
fn frame(number: u64, names: &[(&str, u32)]) -> FrameDefinition {
    let location = |(function, line): &(&str, u32)| Location {
        function: (*function).to_owned(),
        file: Some(format!("src/{}.c", function.trim_end_matches('2'))),
        line: Some(*line),
    };
    FrameDefinition {
        hash: FrameHash(number.into()),
        kind: FrameKind::Native,
        object: Some(ObjectFile {
            path: "/usr/bin/app".to_owned(),
            build_id: None,
        }),
        address: number,
        naming: if names.is_empty() {
            Naming::Unnamed(Reason::Stripped)
        } else {
            Naming::Named(names.iter().map(location).collect())
        },
    }
}

/// Frame 9: the mark of a cut stack.
fn mark() -> FrameDefinition {
    FrameDefinition {
        kind: FrameKind::Truncated,
        object: None,
        naming: Naming::Named(vec![Location {
            function: "[truncated]".to_owned(),
            ..Location::default()
        }]),
        ..frame(9, &[])
    }
}

/// Stacks, innermost first, by number:
/// 1 is `main;work`, 2 is `main;work;inner(inlined)`, 3 is `main;work;work`,
/// 4 is `[truncated];leaf` where `leaf` has no name.
pub(super) fn definitions() -> Definitions {
    let stack = |number: u64, frames: &[u64]| StackDefinition {
        hash: StackHash(number.into()),
        frames: frames.iter().copied().map(FrameId).collect(),
    };
    Definitions {
        frames: vec![
            frame(1, &[("main", 10)]),
            frame(2, &[("work", 20)]),
            frame(3, &[("inner", 30), ("work", 21)]),
            frame(4, &[]),
            mark(),
        ],
        stacks: vec![
            stack(1, &[2, 1]),
            stack(2, &[3, 1]),
            stack(3, &[2, 2, 1]),
            stack(4, &[4, 9]),
        ],
    }
}

/// Samples of a thread by stack.
type Series<'a> = (&'a [(&'a str, &'a str)], &'a [(u64, u64)]);

/// One window of a host.
pub(super) fn window(host: &str, number: u32, series: &[Series<'_>]) -> HostWindow {
    let samples = |weights: &[(u64, u64)]| {
        let weighted = |(stack, value): &(u64, u64)| WeightedStack {
            stack: StackId(*stack),
            values: vec![*value],
        };
        weights.iter().map(weighted).collect()
    };
    let labels = |pairs: &[(&str, &str)]| {
        let own = [("host", host)];
        let pairs = pairs.iter().chain(&own);
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Labels>()
    };
    let all = series.iter().flat_map(|(_labels, weights)| weights.iter());
    let total: u64 = all.clone().map(|(_stack, value)| value).sum();
    let cut: u64 = all.filter(|(stack, _)| *stack == 4).map(|(_, v)| v).sum();
    HostWindow {
        host: host.to_owned(),
        signal: "cpu".to_owned(),
        span: Window {
            start: START + WINDOW * number,
            duration: WINDOW,
        },
        value_types: vec![ValueType {
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        }],
        period_ns: PERIOD_NS,
        series: (series.iter())
            .map(|(pairs, weights)| SeriesSamples {
                labels: labels(pairs),
                samples: samples(weights),
            })
            .collect(),
        quality: Quality {
            samples: total,
            idle: 5,
            lost: [(crate::model::Loss::RingFull, 2)].into(),
            complete: total - cut,
            truncated: [(crate::model::Truncation::Depth, cut)].into(),
            rate_asked_hz: 100.0,
            rate_effective_hz: 98.0,
            duty_cycle: 1.0,
            ..Quality::default()
        },
    }
}

/// Windows of two hosts: on `a` the services `api` and `web`, on `b` only `api`.
pub(super) fn windows() -> Vec<HostWindow> {
    let api: &[(&str, &str)] = &[("comm", "nginx"), ("service", "api")];
    let web: &[(&str, &str)] = &[("comm", "node"), ("service", "web")];
    vec![
        window("a", 0, &[(api, &[(1, 10), (2, 20)]), (web, &[(3, 30)])]),
        window("a", 1, &[(api, &[(1, 1)]), (web, &[(4, 4)])]),
        window("b", 0, &[(api, &[(2, 100)])]),
    ]
}

/// A reader of the store.
pub(super) fn reader() -> Reader {
    let store = MemoryStore::default();
    let batch = Batch {
        definitions: definitions(),
        windows: windows(),
    };
    store.append(SenderId(1), 1, batch).unwrap();
    Reader::new(Arc::new(store))
}

/// The whole time that has data.
pub(super) fn whole() -> TimeRange {
    TimeRange {
        start: START,
        end: START + WINDOW * 2,
    }
}

/// A selection of samples.
pub(super) fn selection(selector: &str) -> Selection {
    Selection {
        profile_type: ProfileType {
            signal: "cpu".to_owned(),
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        },
        matchers: parse_selector(selector).unwrap(),
        range: whole(),
    }
}

/// A selection of nanoseconds.
pub(super) fn nanoseconds(selector: &str) -> Selection {
    let mut selection = selection(selector);
    "cpu".clone_into(&mut selection.profile_type.kind);
    "nanoseconds".clone_into(&mut selection.profile_type.unit);
    selection
}

/// No bounds that matter.
pub(super) fn limits() -> QueryLimits {
    QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::default(),
        deadline: None,
    }
}

//! What holds for every engine: the same answers as the reference, bit for bit.

use std::{sync::Arc, time::Duration};

use super::{
    EmbeddedStore, MemoryStore, QueryLimits, Store, StoreError, StoreOptions, fixture,
    fixture::{HOUR_SECONDS, Source},
};
use crate::model::{
    Batch, MatchKind, Matcher, ProfileType, Selection, SenderId, StackId, TimeRange,
};

/// Options with which nothing happens by itself.
pub(super) fn quiet() -> StoreOptions {
    StoreOptions {
        commit_interval: Duration::ZERO,
        upkeep_interval: None,
        ..StoreOptions::default()
    }
}

/// No bounds.
pub(super) fn unlimited() -> QueryLimits {
    QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::default(),
        deadline: None,
    }
}

/// Appends and waits until it is durable.
#[track_caller]
pub(super) fn append(store: &dyn Store, sender: u128, sequence: u64, batch: Batch) {
    let appended = store.append(SenderId(sender), sequence, batch).unwrap();
    appended.0.blocking_recv().unwrap().unwrap();
}

/// A type from its text.
fn profile_type(text: &str) -> ProfileType {
    let mut words = text.split(':').map(str::to_owned);
    ProfileType {
        signal: words.next().unwrap(),
        kind: words.next().unwrap(),
        unit: words.next().unwrap(),
    }
}

/// A span from seconds and nanoseconds after the first hour began.
fn span(start: (u64, u32), end: (u64, u32)) -> TimeRange {
    TimeRange {
        start: Duration::new(HOUR_SECONDS + start.0, start.1),
        end: Duration::new(HOUR_SECONDS + end.0, end.1),
    }
}

/// Spans with edges in every place that matters: hours, minutes, windows and just beside them.
fn spans() -> Vec<TimeRange> {
    vec![
        span((0, 0), (4 * 3600, 0)),
        span((3600, 0), (7200, 0)),
        span((600, 0), (6600, 0)),
        span((615, 0), (6645, 0)),
        span((620, 123), (6650, 123)),
        span((620, 124), (6650, 124)),
        span((65, 0), (85, 0)),
        span((3590, 0), (3620, 0)),
        span((90_000, 0), (100_000, 0)),
        TimeRange {
            start: Duration::ZERO,
            end: Duration::MAX,
        },
    ]
}

/// Selectors of each kind.
fn selectors() -> Vec<Vec<Matcher>> {
    let matcher = |name: &str, kind, value: &str| Matcher {
        name: name.to_owned(),
        kind,
        value: value.to_owned(),
    };
    vec![
        vec![],
        vec![matcher("service", MatchKind::Equal, "service-1")],
        vec![matcher("service", MatchKind::Equal, "")],
        vec![matcher("service", MatchKind::NotEqual, "service-2")],
        vec![
            matcher("comm", MatchKind::Regex, "comm-[0-2]"),
            matcher("host", MatchKind::NotRegex, "host-0|host-9"),
        ],
        vec![matcher("service", MatchKind::Equal, "nothing")],
    ]
}

/// Compares every answer of two stores.
#[track_caller]
pub(super) fn compare(expected: &dyn Store, actual: &dyn Store, when: &str) {
    let types = [
        "cpu:samples:count",
        "cpu:cpu:nanoseconds",
        "alloc:space:bytes",
        "no:such:type",
    ];
    for range in spans() {
        assert_eq!(
            expected.profile_types(range),
            actual.profile_types(range),
            "types {when} {range:?}"
        );
        for signal in [None, Some("cpu"), Some("none")] {
            let answers = [expected, actual].map(|store| store.hosts(range, signal));
            assert_eq!(answers[0], answers[1], "hosts {when} {range:?} {signal:?}");
        }
        for (profile_type, matchers) in types.iter().flat_map(|profile_type| {
            selectors()
                .into_iter()
                .map(move |matchers| (*profile_type, matchers))
        }) {
            let selection = Selection {
                profile_type: self::profile_type(profile_type),
                matchers,
                range,
            };
            compare_selection(expected, actual, &selection, when);
        }
    }
    compare_definitions(expected, actual, when);
}

/// Compares the answers for one selection.
#[track_caller]
fn compare_selection(expected: &dyn Store, actual: &dyn Store, selection: &Selection, when: &str) {
    let limits = unlimited();
    let stacks = |store: &dyn Store| store.merge_stacks(selection, &limits).unwrap().stacks;
    assert_eq!(
        stacks(expected),
        stacks(actual),
        "stacks {when} {selection:?}"
    );
    for group_by in [
        vec![],
        vec!["service".to_owned(), "nothing".to_owned()],
        vec!["comm".to_owned()],
    ] {
        let groups = |store: &dyn Store| {
            store
                .merge_stacks_by(selection, &group_by, &limits)
                .unwrap()
        };
        assert_eq!(
            groups(expected),
            groups(actual),
            "stacks {when} by {group_by:?} {selection:?}"
        );
    }
    let series = |store: &dyn Store| store.series(selection).unwrap();
    assert_eq!(
        series(expected),
        series(actual),
        "series {when} {selection:?}"
    );
    for (step, group_by) in [
        (60, vec![]),
        (90, vec!["service".to_owned()]),
        (300, vec!["service".to_owned(), "host".to_owned()]),
        (3600, vec!["comm".to_owned(), "nothing".to_owned()]),
        (0, vec![]),
    ] {
        let totals = |store: &dyn Store| {
            let step = Duration::from_secs(step);
            store.totals(selection, step, &group_by, &limits).unwrap()
        };
        assert_eq!(
            totals(expected),
            totals(actual),
            "totals {when} {step} {selection:?}"
        );
    }
}

/// Compares every definition.
#[track_caller]
fn compare_definitions(expected: &dyn Store, actual: &dyn Store, when: &str) {
    let ids: Vec<StackId> = (0..70)
        .map(|number| fixture::stack(number, vec![]).hash.id())
        .collect();
    assert_eq!(expected.stacks(&ids), actual.stacks(&ids), "stacks {when}");
    let ids: Vec<_> = (0..600)
        .map(|number| fixture::frame(number).hash.id())
        .collect();
    assert_eq!(expected.frames(&ids), actual.frames(&ids), "frames {when}");
}

/// Two stores with the same random batches.
fn fill(expected: &dyn Store, actual: &dyn Store, source: &mut Source, from: u64, count: u64) {
    for sequence in from..from + count {
        let batch = source.batch();
        append(expected, 1, sequence, batch.clone());
        append(actual, 1, sequence, batch);
    }
}

/// A moment so long after the data that every hour is ripe.
pub(super) const LATER: Duration = Duration::from_secs(HOUR_SECONDS + 5 * 3600);

#[test]
fn answers_stay_the_same_through_every_stage_of_a_store() {
    for seed in 1..=2 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let memory = MemoryStore::default();
        let mut source = Source::new(seed);
        let mut store = EmbeddedStore::open(&path, quiet()).unwrap();
        compare(&memory, &store, "empty");
        fill(&memory, &store, &mut source, 1, 60);
        compare(&memory, &store, "in memory");
        drop(store);
        store = EmbeddedStore::open(&path, quiet()).unwrap();
        compare(&memory, &store, "replayed");
        store.flush().unwrap();
        compare(&memory, &store, "flushed");
        fill(&memory, &store, &mut source, 61, 30);
        compare(&memory, &store, "partly flushed");
        store.maintain(LATER).unwrap();
        compare(&memory, &store, "merged");
        fill(&memory, &store, &mut source, 91, 30);
        store.flush().unwrap();
        compare(&memory, &store, "late parts");
        store.maintain(LATER).unwrap();
        compare(&memory, &store, "merged again");
        fill(&memory, &store, &mut source, 121, 20);
        drop(store);
        store = EmbeddedStore::open(&path, quiet()).unwrap();
        compare(&memory, &store, "opened again");
        let copy = dir.path().join("copy");
        store.backup(&copy).unwrap();
        assert!(store.backup(&copy).is_err());
        compare(
            &memory,
            &EmbeddedStore::open(&copy, quiet()).unwrap(),
            "copy",
        );
        for seconds in [1234, 4000, 9001] {
            let floor = Duration::from_secs(HOUR_SECONDS + seconds);
            memory.drop_before(floor).unwrap();
            store.drop_before(floor).unwrap();
            compare(&memory, &store, "dropped");
        }
        drop(store);
        store = EmbeddedStore::open(&path, quiet()).unwrap();
        compare(&memory, &store, "dropped and opened again");
    }
}

/// What every engine does with numbers, definitions and bounds.
fn check_rules(store: &dyn Store) {
    append(store, 9, 5, fixture::small_batch(5));
    append(store, 9, 5, fixture::small_batch(5));
    append(store, 9, 4, fixture::small_batch(4));
    assert_eq!(5, store.durable_sequence(SenderId(9)));
    assert_eq!(0, store.durable_sequence(SenderId(8)));
    let mut selection = Selection {
        profile_type: profile_type("cpu:cpu:nanoseconds"),
        matchers: vec![],
        range: span((0, 0), (3600, 0)),
    };
    let merged = store.merge_stacks(&selection, &unlimited()).unwrap();
    let [(_stack, value)] = merged.stacks.as_slice() else {
        panic!("{merged:?}");
    };
    assert_eq!(50_000_000, *value);
    let mut batch = fixture::small_batch(6);
    batch.definitions.frames = vec![];
    batch.definitions.stacks = vec![fixture::stack(50, vec![fixture::frame(51).hash.id()])];
    batch.windows[0].series[0].samples[0].stack = StackId(52);
    let refused = store.append(SenderId(9), 6, batch);
    match refused {
        Err(StoreError::Undefined { frames, stacks }) => {
            assert_eq!(vec![fixture::frame(51).hash.id()], frames);
            assert_eq!(vec![StackId(52)], stacks);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(5, store.durable_sequence(SenderId(9)));
    let few = QueryLimits {
        rows_max: 0,
        ..unlimited()
    };
    let refused = store.merge_stacks(&selection, &few);
    assert!(matches!(
        refused,
        Err(StoreError::TooMuch {
            rows: 1,
            rows_max: 0
        })
    ));
    let gone = unlimited();
    gone.cancelled
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let refused = store.merge_stacks(&selection, &gone);
    assert!(matches!(refused, Err(StoreError::Cancelled)));
    selection.matchers = vec![Matcher {
        name: "comm".to_owned(),
        kind: MatchKind::Regex,
        value: "(".to_owned(),
    }];
    let refused = store.series(&selection);
    assert!(matches!(refused, Err(StoreError::Regex { .. })));
}

#[test]
fn the_reference_keeps_the_rules() {
    check_rules(&MemoryStore::default());
}

#[test]
fn the_embedded_store_keeps_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    check_rules(&EmbeddedStore::open(dir.path(), quiet()).unwrap());
}

#[test]
fn the_embedded_store_keeps_the_rules_when_it_flushes_and_commits_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        flush_bytes: 1,
        upkeep_interval: Some(Duration::from_millis(1)),
        commit_interval: Duration::from_millis(2),
        ..quiet()
    };
    check_rules(&EmbeddedStore::open(dir.path(), options).unwrap());
}

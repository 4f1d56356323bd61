//! A service whose new build is slower, noticed without being asked.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::{Changes, limits::BUILD_EVERY};
use crate::{
    model::{
        Batch, FrameKind, Location, Naming, Pid, ProfileBuilder, SenderId, Task, ValueType, label,
    },
    service::{
        query::Reader,
        store::{MemoryStore, Store},
    },
    wire::v1::generated::Against,
};

/// Time before the first window.
const START: Duration = Duration::from_secs(1_700_000_000);
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// Windows of each build.
const WINDOWS: u32 = 60;

/// One window of a build, in which `serialize` takes so many of some ten thousand samples.
fn window(start: Duration, build: &str, serialize: u64) -> Batch {
    let mut builder = ProfileBuilder::new(vec![ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    }]);
    let labels = [
        (label::SERVICE, "api"),
        (label::EXE, "/bin/api"),
        (label::BUILD_ID, build),
    ];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let task = builder.task(Task {
        pid: Pid(1),
        comm: "api".to_owned(),
        labels: labels.iter().map(owned).collect(),
        ..Task::default()
    });
    let others = (0..20).map(|number| (format!("f{number}"), 475));
    for (function, samples) in others.chain([("serialize".to_owned(), serialize)]) {
        let naming = Naming::Named(vec![Location {
            function,
            ..Location::default()
        }]);
        let frame = builder.frame(FrameKind::Native, None, 0x10, naming);
        let stack = builder.stack(vec![frame]);
        builder.add(task, stack, &[samples]);
    }
    let head = builder.head_mut();
    head.window.start = start;
    head.window.duration = WINDOW;
    Batch::from_profile(&builder.finish(), 10_000_000)
}

#[test]
fn a_slower_build_is_noticed_kept_and_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let changes = Changes::open(dir.path()).unwrap();
    let store = Arc::new(MemoryStore::default());
    let reader = Reader::new(Arc::clone(&store) as Arc<dyn Store>);
    let look = |at| {
        changes
            .look(&reader, at, &Arc::new(AtomicBool::new(false)))
            .unwrap();
        changes.0.list("").unwrap()
    };
    assert!(look(START).is_empty(), "there is no data");
    let mut sequence = 0;
    let mut deliver = |from: Duration, build, serialize| {
        for number in 0..WINDOWS {
            sequence += 1;
            let batch = window(from + WINDOW * number, build, serialize);
            store.append(SenderId(1), sequence, batch).unwrap();
        }
        from + WINDOW * WINDOWS
    };
    let first = deliver(START, "a", 500);
    assert!(look(first).is_empty(), "there is no past");
    let second = deliver(first, "b", 600);
    let found = look(second);
    let [kept] = &*found else {
        panic!("{found:?}");
    };
    assert_eq!(
        ("api", Against::PreviousBuild),
        (&*kept.service, Against::try_from(kept.against).unwrap())
    );
    let slower = kept
        .answer
        .slower
        .iter()
        .filter_map(|change| change.place.as_ref());
    let slower: Vec<&str> = slower.map(|place| &*place.function).collect();
    assert_eq!(vec!["serialize"], slower);
    let at = |found: &[super::keep::Kept]| found[0].at;
    assert_eq!(second, at(&look(second + BUILD_EVERY / 2)), "it is not due");
    let again = second + BUILD_EVERY;
    assert_eq!(again, at(&look(again)));
    drop(changes);
    let changes = Changes::open(dir.path()).unwrap();
    assert_eq!(
        again,
        at(&changes.0.list("api").unwrap()),
        "a restart forgets nothing"
    );
    assert!(changes.0.list("other").unwrap().is_empty());
}

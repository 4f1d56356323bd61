//! Kills a process that writes, at any moment, again and again, and looks at what is left.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::{EmbeddedStore, StoreOptions};
use crate::{
    clock,
    model::{ProfileType, Selection, SenderId, TimeRange},
    service::store::{
        Store,
        conformance::{append, quiet, unlimited},
        fixture::{self, Dice},
    },
};

/// Names the folder to the process that is killed.
const FOLDER: &str = "PROFILER_STORE_CRASH_TEST";

/// Sum of all samples, and the last durable number.
fn state(store: &dyn Store) -> (u64, u64) {
    let selection = Selection {
        profile_type: ProfileType {
            signal: "cpu".to_owned(),
            kind: "samples".to_owned(),
            unit: "count".to_owned(),
        },
        matchers: vec![],
        range: TimeRange {
            start: Duration::ZERO,
            end: Duration::MAX,
        },
    };
    let merged = store.merge_stacks(&selection, &unlimited()).unwrap();
    let sum = merged.stacks.iter().map(|(_stack, value)| value).sum();
    (sum, store.durable_sequence(SenderId(1)))
}

/// Runs only in the process that is killed: appends, flushes and merges as fast as it can, and says
/// which number is durable.
#[test]
fn writes_until_it_is_killed() {
    let Ok(dir) = env::var(FOLDER) else {
        return;
    };
    let options = StoreOptions {
        flush_bytes: 400,
        segment_bytes: 2000,
        merge_parts: 3,
        upkeep_interval: Some(Duration::from_millis(1)),
        ..quiet()
    };
    let store = EmbeddedStore::open(Path::new(&dir), options).unwrap();
    let mut output = std::io::stdout();
    for sequence in store.durable_sequence(SenderId(1)) + 1.. {
        append(&store, 1, sequence, fixture::small_batch(sequence));
        writeln!(output, "\ndurable {sequence}").unwrap();
    }
}

/// Lets a process write for a while and kills it. Returns the last number it said was durable.
fn write_and_kill(dir: &Path, after: Duration) -> u64 {
    let name = "service::store::embedded::crash_test::writes_until_it_is_killed";
    let mut child = Command::new(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let numbers = lines.map_while(Result::ok).filter_map(|line| {
            let number = line.strip_prefix("durable ")?;
            number.parse::<u64>().ok()
        });
        numbers.last()
    });
    clock::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap_or_default()
}

#[test]
fn what_is_acknowledged_outlives_any_kill_and_is_counted_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(1);
    let mut last = 0;
    for kill in 0..20 {
        let after = Duration::from_micros(20_000 + dice.roll(100_000));
        let acknowledged = write_and_kill(dir.path(), after).max(last);
        let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
        let (sum, durable) = state(&store);
        assert!(
            acknowledged <= durable,
            "kill {kill}: {durable} of {acknowledged}"
        );
        assert_eq!(durable * (durable + 1) / 2, sum, "kill {kill}: {durable}");
        let stats = store.stats();
        assert_eq!((0, 0), (stats.corrupt_records, stats.parts_unreadable));
        last = durable;
    }
    assert!(
        20 < last,
        "{last} batches in all: the process was killed before it wrote"
    );
}

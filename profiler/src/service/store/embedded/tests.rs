//! What a store does over its life: retention, a full disk, damage, many at once, old formats.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{EmbeddedStore, StoreOptions, part::Resolution};
use crate::{
    model::{ProfileType, Selection, SenderId, TimeRange},
    service::store::{
        MemoryStore, Store, StoreError,
        conformance::{LATER, append, compare, quiet, unlimited},
        fixture::{self, HOUR_SECONDS, Source},
    },
};

/// All samples of the CPU, always.
fn everything() -> Selection {
    Selection {
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
    }
}

/// Sum of all samples.
fn sum(store: &dyn Store) -> u64 {
    let merged = store.merge_stacks(&everything(), &unlimited()).unwrap();
    merged.stacks.iter().map(|(_stack, value)| value).sum()
}

/// Resolutions of the parts that are there.
fn resolutions(store: &EmbeddedStore) -> Vec<Resolution> {
    let state = store.inner.state();
    Resolution::ALL
        .into_iter()
        .filter(|resolution| {
            let mut parts = state.parts.iter();
            parts.any(|part| {
                part.facts.resolution == *resolution && part.facts.rows != 0 && {
                    part.facts.kind != super::part::Kind::Definitions
                }
            })
        })
        .collect()
}

/// Number of files in the folders of parts.
fn files(dir: &Path) -> usize {
    let count = |folder| fs::read_dir(dir.join(folder)).unwrap().count();
    ["samples", "totals", "hosts"].into_iter().map(count).sum()
}

#[test]
fn each_resolution_is_kept_as_long_as_it_says_and_sums_stay_right() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    for sequence in 1..=40 {
        append(&store, 1, sequence, fixture::small_batch(sequence));
    }
    store.flush().unwrap();
    let day = Duration::from_secs(24 * 3600);
    for (age, expected) in [
        (1, Resolution::ALL.as_slice()),
        (
            8,
            &[Resolution::Minute, Resolution::Hour, Resolution::Service],
        ),
        (91, &[Resolution::Hour, Resolution::Service]),
    ] {
        store.maintain(LATER + age * day).unwrap();
        assert_eq!(expected, resolutions(&store), "after {age} days");
        assert_eq!(820, sum(&store), "after {age} days");
    }
    // Late windows go into the sums that are left.
    append(&store, 1, 41, fixture::small_batch(41));
    store.flush().unwrap();
    store.maintain(LATER + 91 * day).unwrap();
    let coarse = vec![Resolution::Hour, Resolution::Service];
    assert_eq!(coarse, resolutions(&store));
    assert_eq!(861, sum(&store));
    store.maintain(LATER + 731 * day).unwrap();
    assert_eq!(0, sum(&store));
    assert_eq!(0, files(dir.path()));
}

#[test]
fn the_oldest_hours_go_when_there_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        disk_bytes_max: Some(60_000),
        ..quiet()
    };
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    for hour in 0..8 {
        let mut batch = fixture::small_batch(1);
        batch.windows[0].span.start += Duration::from_secs(hour * 3600);
        append(&store, 1, hour + 1, batch);
        store.flush().unwrap();
    }
    store
        .maintain(LATER + Duration::from_secs(8 * 3600))
        .unwrap();
    let stats = store.stats();
    let bytes = stats.samples_bytes + stats.totals_bytes + stats.hosts_bytes;
    assert!(bytes <= 60_000, "{stats:?}");
    assert!(0 < stats.parts_dropped);
    let hosts = store.hosts(everything().range, None);
    let last = Duration::from_secs(HOUR_SECONDS + 10 + 7 * 3600);
    assert_eq!(last, hosts[0].last_window);
    assert!((1..8).contains(&sum(&store)));
}

#[test]
fn too_much_in_memory_is_refused_until_it_is_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        memory_bytes_max: 1,
        ..quiet()
    };
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    append(&store, 1, 1, fixture::small_batch(1));
    let refused = store.append(SenderId(1), 2, fixture::small_batch(2));
    assert!(matches!(refused, Err(StoreError::Full { .. })));
    assert!(store.health().full.is_some());
    assert_eq!(1, store.stats().full_events);
    store.flush().unwrap();
    append(&store, 1, 2, fixture::small_batch(2));
    assert_eq!(None, store.health().full);
    assert_eq!(3, sum(&store));
}

/// A small file system in memory; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        assert!(mount.arg(&path).status().unwrap().success());
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_and_loses_nothing() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: mounting a file system needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(dir.path().join("disk"), "1m");
    let path = disk.0.join("store");
    let store = EmbeddedStore::open(&path, quiet()).unwrap();
    append(&store, 1, 1, fixture::small_batch(1));
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
    let mut taken = 1;
    let refused = loop {
        let batch = fixture::small_batch(taken + 1);
        let appended = store.append(SenderId(1), taken + 1, batch).unwrap();
        match appended.0.blocking_recv().unwrap() {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(*refused, StoreError::Full { .. }), "{refused:?}");
    assert!(store.health().full.is_some());
    assert!(matches!(store.flush(), Err(StoreError::Full { .. })));
    let expected = |count: u64| count * (count + 1) / 2;
    assert_eq!(expected(taken), sum(&store));
    // One behind the refused number would hide that it is missing.
    let behind = store.append(SenderId(1), taken + 2, fixture::small_batch(taken + 2));
    assert!(matches!(behind, Err(StoreError::Full { .. })));
    fs::remove_file(&filler).unwrap();
    append(&store, 1, taken + 1, fixture::small_batch(taken + 1));
    assert_eq!(None, store.health().full);
    store.flush().unwrap();
    assert_eq!(expected(taken + 1), sum(&store));
    drop(store);
    let store = EmbeddedStore::open(&path, quiet()).unwrap();
    assert_eq!(expected(taken + 1), sum(&store));
}

#[test]
fn a_damaged_record_is_refused_counted_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    for sequence in 1..=3 {
        append(&store, 1, sequence, fixture::small_batch(sequence));
    }
    drop(store);
    let wal = dir.path().join("wal/000000000001.wal");
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&wal, bytes).unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    assert_eq!(1, store.stats().corrupt_records);
    assert_eq!(1 + 3, sum(&store));
}

#[test]
fn a_part_that_is_damaged_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    append(&store, 1, 1, fixture::small_batch(1));
    store.flush().unwrap();
    let mut late = fixture::small_batch(2);
    late.windows[0].span.start += Duration::from_secs(3600);
    append(&store, 1, 2, late);
    store.flush().unwrap();
    drop(store);
    let samples = fs::read_dir(dir.path().join("samples")).unwrap();
    let mut paths: Vec<PathBuf> = samples.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    fs::write(&paths[0], "not whole").unwrap();
    for entry in fs::read_dir(dir.path().join("definitions")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    assert_eq!(2, store.stats().parts_unreadable);
    assert_eq!(2, sum(&store));
    let mut batch = fixture::small_batch(3);
    batch.definitions = crate::model::Definitions::default();
    let refused = store.append(SenderId(1), 3, batch);
    assert!(matches!(refused, Err(StoreError::Undefined { .. })));
    append(&store, 1, 3, fixture::small_batch(3));
    assert_eq!(5, sum(&store));
}

#[test]
fn files_that_nobody_lists_are_swept_and_two_processes_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    append(&store, 1, 1, fixture::small_batch(1));
    store.flush().unwrap();
    let again = EmbeddedStore::open(dir.path(), quiet());
    assert!(matches!(again, Err(StoreError::File { .. })));
    drop(store);
    let before = files(dir.path());
    let stray = dir.path().join("samples/L0-raw-1-000000000009.parquet");
    fs::write(&stray, "half a part").unwrap();
    fs::write(stray.with_extension("tmp"), "less").unwrap();
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    assert_eq!(before, files(dir.path()));
    assert_eq!(1, sum(&store));
}

#[test]
fn many_senders_queries_flushes_and_merges_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        flush_bytes: 4096,
        merge_parts: 3,
        segment_bytes: 4096,
        upkeep_interval: Some(Duration::from_millis(1)),
        commit_interval: Duration::from_millis(1),
        ..quiet()
    };
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    let memory = MemoryStore::default();
    std::thread::scope(|scope| {
        for sender in 1..=4_u64 {
            let (store, memory) = (&store, &memory);
            scope.spawn(move || {
                let mut source = Source::new(sender);
                for sequence in 1..=25 {
                    let batch = source.batch();
                    append(memory, sender.into(), sequence, batch.clone());
                    append(store, sender.into(), sequence, batch.clone());
                    append(store, sender.into(), sequence, batch);
                }
            });
        }
        scope.spawn(|| {
            let mut last = 0;
            for _query in 0..100 {
                let now = sum(&store);
                assert!(last <= now, "{now} after {last}");
                last = now;
            }
        });
    });
    compare(&memory, &store, "at once");
    assert_eq!(None, store.health().upkeep_error);
    drop(store);
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    compare(&memory, &store, "opened again");
    store.maintain(LATER).unwrap();
    compare(&memory, &store, "merged");
}

/// The folder with the store that the first format wrote.
fn first_format() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/store-v1")
}

/// Makes what the fixture holds: merged parts, parts as flushed, and a log.
fn fill_like_first_format(store: &dyn Store, at_10: impl FnOnce(), at_20: impl FnOnce()) {
    for sequence in 1..=10 {
        append(store, 1, sequence, fixture::small_batch(sequence));
    }
    append(store, 2, 7, fixture::rich_batch());
    at_10();
    for sequence in 11..=20 {
        append(store, 1, sequence, fixture::small_batch(sequence));
    }
    at_20();
    for sequence in 21..=30 {
        append(store, 1, sequence, fixture::small_batch(sequence));
    }
}

#[test]
fn the_first_format_is_read_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(first_format()).unwrap() {
        copy_tree(&entry.unwrap().path(), dir.path());
    }
    let store = EmbeddedStore::open(dir.path(), quiet()).unwrap();
    let memory = MemoryStore::default();
    fill_like_first_format(&memory, || {}, || {});
    compare(&memory, &store, "first format");
    assert_eq!(468, sum(&store));
    assert_eq!(30, store.durable_sequence(SenderId(1)));
    assert_eq!(7, store.durable_sequence(SenderId(2)));
    let hosts = store.hosts(everything().range, None);
    assert_eq!((31, 3), (hosts[0].windows, hosts[0].quality.lost_total()));
}

/// Copies a file or folder into a folder.
fn copy_tree(from: &Path, into: &Path) {
    let to = into.join(from.file_name().unwrap());
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        copy_tree(&entry.unwrap().path(), &to);
    }
}

#[test]
#[ignore = "writes a new fixture, once for each format"]
fn write_the_fixture() {
    let dir = first_format();
    assert!(
        !dir.try_exists().unwrap(),
        "{dir:?} is there: formats never change"
    );
    let store = EmbeddedStore::open(&dir, quiet()).unwrap();
    fill_like_first_format(
        &store,
        || {
            store.flush().unwrap();
            store.maintain(LATER).unwrap();
        },
        || store.flush().unwrap(),
    );
}

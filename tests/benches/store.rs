//! How fast the store takes windows, how small it keeps them, and how fast it answers.
//!
//! `cargo bench -p profiler-tests --bench store -- ingest|queries HOSTS…`; without arguments, both for
//! 10 and 100 hosts. The hosts are simulated with stacks of a real recording.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints figures for people"
)]

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Context as _;
use profiler::{
    clock,
    model::{Selection, SenderId, TimeRange},
    service::{
        query::{By, Question, Reader, diff, flame_graph, top, trend},
        store::{EmbeddedStore, QueryLimits, Store, StoreOptions},
    },
};
use profiler_tests::harness::fleet::{Capture, FleetShape, SimulatedHost};
use tempfile::TempDir;

/// Windows of each host in the bench of ingest: ten minutes.
const INGEST_WINDOWS: u32 = 60;
/// Length of a window in the bench of queries.
const DAY_WINDOW: Duration = Duration::from_secs(60);
/// Windows of a day.
const DAY_WINDOWS: u32 = 24 * 60;
/// Samples of each of these windows: a host of two CPUs, a tenth busy, at 19 Hz.
const DAY_SAMPLES: u32 = 228;
/// How often each question is asked, of another service each time.
const ASKED: u32 = 20;
/// Batches on their way to the disk at once.
const IN_FLIGHT: usize = 64;
/// Nodes of an answer.
const NODES: usize = 10_000;

fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let sizes: Vec<u32> = asked.iter().filter_map(|word| word.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![10, 100]
    } else {
        sizes
    };
    let wants = |what: &str| {
        let named = |word: &String| word == "ingest" || word == "queries";
        !asked.iter().any(named) || asked.iter().any(|word| word == what)
    };
    let capture = Arc::new(Capture::build()?);
    if wants("ingest") {
        println!(
            "{:<8} {:>12} {:>12} {:>14} {:>16}",
            "ingest", "samples", "samples/s", "bytes/sample", "CPU-s/M-samples"
        );
        sizes
            .iter()
            .try_for_each(|hosts| ingest(&capture, *hosts))?;
    }
    if wants("queries") {
        println!(
            "{:<8} {:<12} {:>10} {:>10} {:>12} {:>12}",
            "queries", "question", "cold ms", "warm ms", "rows", "MB"
        );
        sizes
            .iter()
            .try_for_each(|hosts| queries(&capture, *hosts))?;
    }
    Ok(())
}

/// Ten minutes of hosts, as fast as the store takes them, until they are merged on disk.
fn ingest(capture: &Arc<Capture>, hosts: u32) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let shape = FleetShape::default();
    let epoch = clock::wall().saturating_sub(Duration::from_secs(2 * 3600));
    // Made before, so that only the store is measured.
    let mut fleet: Vec<SimulatedHost> = (0..hosts)
        .map(|number| SimulatedHost::new(Arc::clone(capture), shape, number))
        .collect();
    let store = EmbeddedStore::open(dir.path(), options())?;
    let (mut spent, mut cpu) = (Duration::ZERO, Duration::ZERO);
    for window in 0..INGEST_WINDOWS {
        let batches: Vec<_> = fleet
            .iter_mut()
            .map(|host| host.batch(window, epoch))
            .collect();
        let (begun, cpu_begun) = (clock::monotonic(), cpu_time()?);
        let mut waiting = Vec::new();
        for (number, batch) in batches.into_iter().enumerate() {
            waiting.push(store.append(
                SenderId(number as u128 + 1),
                u64::from(window) + 1,
                batch,
            )?);
            if IN_FLIGHT <= waiting.len() {
                wait(&mut waiting)?;
            }
        }
        wait(&mut waiting)?;
        spent += clock::monotonic().saturating_sub(begun);
        cpu += cpu_time()?.saturating_sub(cpu_begun);
    }
    let (begun, cpu_begun) = (clock::monotonic(), cpu_time()?);
    store.flush()?;
    store.maintain(clock::wall())?;
    spent += clock::monotonic().saturating_sub(begun);
    cpu += cpu_time()?.saturating_sub(cpu_begun);
    drop(store);
    let samples = f64::from(hosts * INGEST_WINDOWS) * f64::from(shape.samples);
    println!(
        "{:<8} {:>12.0} {:>12.0} {:>14.2} {:>16.2}",
        hosts,
        samples,
        samples / spent.as_secs_f64(),
        size_bytes(dir.path())? as f64 / samples,
        cpu.as_secs_f64() / samples * 1e6,
    );
    Ok(())
}

/// A day of hosts, then questions over all of it.
fn queries(capture: &Arc<Capture>, hosts: u32) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let end = clock::wall().saturating_sub(Duration::from_secs(3600));
    let epoch = end.saturating_sub(DAY_WINDOW * DAY_WINDOWS);
    fill(capture, hosts, dir.path(), epoch)?;
    let megabytes = size_bytes(dir.path())? as f64 / 1e6;
    for question in ["flamegraph", "top", "series", "diff"] {
        let store = Arc::new(EmbeddedStore::open(dir.path(), options())?);
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for service in 0..ASKED {
            let reader = Reader::new(Arc::clone(&store) as Arc<dyn Store>);
            let selector = format!(r#"{{service="service-{service:02}"}}"#);
            let selection = Question {
                selector,
                start: epoch,
                end,
                ..Question::default()
            }
            .resolve(&*store, clock::wall())?;
            let first = timed(|| ask(&reader, question, &selection))?;
            cold.push(first);
            warm.push(timed(|| ask(&reader, question, &selection))?);
        }
        println!(
            "{:<8} {:<12} {:>10.1} {:>10.1} {:>12} {:>12.0}",
            hosts,
            question,
            percentile_95(&mut cold),
            percentile_95(&mut warm),
            store.stats().rows_stored,
            megabytes,
        );
    }
    Ok(())
}

/// Writes a day of windows.
fn fill(capture: &Arc<Capture>, hosts: u32, dir: &Path, epoch: Duration) -> anyhow::Result<()> {
    let shape = FleetShape {
        samples: DAY_SAMPLES,
        processes: 4,
        window: DAY_WINDOW,
        ..FleetShape::default()
    };
    let mut fleet: Vec<SimulatedHost> = (0..hosts)
        .map(|number| SimulatedHost::new(Arc::clone(capture), shape, number))
        .collect();
    let store = EmbeddedStore::open(dir, options())?;
    let mut waiting = Vec::new();
    for window in 0..DAY_WINDOWS {
        for (number, host) in fleet.iter_mut().enumerate() {
            let batch = host.batch(window, epoch);
            waiting.push(store.append(
                SenderId(number as u128 + 1),
                u64::from(window) + 1,
                batch,
            )?);
            if IN_FLIGHT <= waiting.len() {
                wait(&mut waiting)?;
            }
        }
        if window % 60 == 59 {
            wait(&mut waiting)?;
            store.flush()?;
        }
    }
    wait(&mut waiting)?;
    store.flush()?;
    store.maintain(clock::wall())?;
    Ok(())
}

/// Asks one question.
fn ask(reader: &Reader, question: &str, selection: &Selection) -> anyhow::Result<()> {
    let limits = QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::new(AtomicBool::new(false)),
        deadline: None,
    };
    match question {
        "flamegraph" => drop(flame_graph(reader, selection, NODES, &limits)?),
        "top" => drop(top(reader, selection, &By::Function, 50, &limits)?),
        "series" => drop(trend(reader, selection, Duration::ZERO, &[], &limits)?),
        _ => {
            let TimeRange { start, end } = selection.range;
            let middle = start.saturating_add(end.saturating_sub(start) / 2);
            let (mut before, mut after) = (selection.clone(), selection.clone());
            before.range.end = middle;
            after.range.start = middle;
            drop(diff(reader, [&before, &after], NODES, &limits)?);
        }
    }
    Ok(())
}

/// Milliseconds that something took.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = clock::monotonic();
    work()?;
    Ok(clock::monotonic().saturating_sub(begun).as_secs_f64() * 1e3)
}

/// The value that 95 % are at or below.
fn percentile_95(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = values.len() * 95 / 100;
    values
        .get(place.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Waits until all are on the disk.
fn wait(waiting: &mut Vec<profiler::service::store::Appended>) -> anyhow::Result<()> {
    for appended in waiting.drain(..) {
        appended.0.blocking_recv().context("the store ended")??;
    }
    Ok(())
}

/// The store's own choices, but for the upkeep, which the bench calls when it wants it.
fn options() -> StoreOptions {
    StoreOptions {
        commit_interval: Duration::from_millis(5),
        upkeep_interval: None,
        ..StoreOptions::default()
    }
}

/// CPU time of this process.
fn cpu_time() -> anyhow::Result<Duration> {
    // Threads that ended are not in it; the store's own live as long as it does.
    let threads = fs::read_dir("/proc/self/task").context("list the threads")?;
    let mut sum = 0;
    for thread in threads {
        let path = thread.context("list the threads")?.path().join("schedstat");
        let stat = fs::read_to_string(path).unwrap_or_default();
        sum += stat
            .split_whitespace()
            .next()
            .and_then(|ns| ns.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

/// Bytes of all files of a folder.
fn size_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() {
            size_bytes(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(sum)
}

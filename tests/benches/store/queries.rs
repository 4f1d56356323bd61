//! How fast questions about the last 24 hours are answered.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use profiler::{
    clock,
    model::{Selection, TimeRange},
    service::{
        query::{By, Question, Reader, diff, flame_graph, top, trend},
        store::{EmbeddedStore, QueryLimits, Store},
    },
};
use profiler_tests::harness::{fleet::Capture, say};
use tempfile::TempDir;

use crate::{
    day::{Fleet, last_day, options},
    process,
};

/// How often each question is asked, of another service or host each time.
const ASKED: u32 = 20;
/// Nodes of a tree, and rows of a table.
const NODES: usize = 10_000;
/// Rows of a table.
const ROWS: usize = 100;
/// Questions, each with what is selected: one of 50 services, or one host.
const QUESTIONS: [(&str, &str); 6] = [
    ("flamegraph", "service"),
    ("top", "service"),
    ("series", "service"),
    ("diff", "service"),
    ("flamegraph", "host"),
    ("series", "fleet"),
];

/// Measures for each number of hosts, and prints a table.
///
/// # Errors
/// When the store cannot be filled or read.
pub(crate) fn measure(capture: &Arc<Capture>, sizes: &[u32]) -> anyhow::Result<()> {
    println!(
        "{:<6} {:<12} {:<8} {:>9} {:>9} {:>9} {:>9} {:>12} {:>8} {:>8} {:>8}",
        "hosts",
        "question",
        "of",
        "cold-ms",
        "cold-CPU",
        "warm-ms",
        "warm-CPU",
        "rows",
        "MB",
        "open-ms",
        "RSS-MiB"
    );
    sizes.iter().try_for_each(|hosts| one(capture, *hosts))
}

/// A day of hosts, then questions about it.
fn one(capture: &Arc<Capture>, hosts: u32) -> anyhow::Result<()> {
    let dir = TempDir::new()?;
    let (start, end) = last_day();
    let mut fleet = Fleet::new(capture, hosts, start);
    let begun = clock::monotonic();
    fleet.fill(dir.path(), end)?;
    let filled = clock::monotonic().saturating_sub(begun);
    say(&format!(
        "{hosts} hosts: filled in {:.0} s",
        filled.as_secs_f64()
    ));
    let megabytes = process::size_bytes(dir.path())? as f64 / 1e6;
    for (question, of) in QUESTIONS {
        let mut store = None;
        let opened = timed(|| {
            store = Some(Arc::new(EmbeddedStore::open(dir.path(), options())?));
            Ok(())
        })?;
        let Some(store) = store else { continue };
        let (cold, warm) = ask_all(&store, dir.path(), &mut fleet, (question, of))?;
        println!(
            "{:<6} {:<12} {:<8} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>12} {:>8.0} {:>8.0} {:>8}",
            hosts,
            question,
            of,
            cold.percentile_95(),
            cold.cpu_mean(),
            warm.percentile_95(),
            warm.cpu_mean(),
            store.stats().rows_stored,
            megabytes,
            opened,
            process::memory_mib(std::process::id(), "VmRSS")?,
        );
    }
    Ok(())
}

/// Asks a question of each service or host, up to a moment to which the hosts delivered: first with
/// nothing of the answer in memory and the files out of the page cache; then again, after each host
/// delivered a further window.
fn ask_all(
    store: &Arc<EmbeddedStore>,
    dir: &Path,
    fleet: &mut Fleet,
    (question, of): (&str, &str),
) -> anyhow::Result<(Times, Times)> {
    let (mut cold, mut warm) = (Times::default(), Times::default());
    let mut readers = Vec::new();
    fleet.catch_up(store)?;
    for number in 0..ASKED {
        let reader = Reader::new(Arc::clone(store) as Arc<dyn Store>);
        process::evict(dir)?;
        cold.add(|| ask(&reader, question, &selector(of, number)))?;
        readers.push(reader);
    }
    fleet.catch_up(store)?;
    for (number, reader) in (0..).zip(&readers) {
        warm.add(|| ask(reader, question, &selector(of, number)))?;
    }
    Ok((cold, warm))
}

/// Selects the service or host of a number.
fn selector(of: &str, number: u32) -> String {
    match of {
        "service" => format!(r#"{{service="service-{number:02}"}}"#),
        "host" => format!(r#"{{host="host-{:04}"}}"#, number % 10),
        _ => String::new(),
    }
}

/// Asks one question about the last day, as the service does.
fn ask(reader: &Reader, question: &str, selector: &str) -> anyhow::Result<()> {
    let limits = QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::new(AtomicBool::new(false)),
        deadline: None,
    };
    let (start, end) = last_day();
    let asked = Question {
        selector: selector.to_owned(),
        start,
        end,
        ..Question::default()
    };
    let selection = asked.resolve(reader.store(), end)?;
    match question {
        "flamegraph" => drop(flame_graph(reader, &selection, NODES, &limits)?),
        "top" => drop(top(reader, &selection, &By::Function, ROWS, &limits)?),
        "series" => drop(trend(reader, &selection, Duration::ZERO, &[], &limits)?),
        _ => {
            let [before, after] = halves(&selection);
            drop(diff(reader, [&before, &after], NODES, &limits)?);
        }
    }
    Ok(())
}

/// The first and the second half of a selection's time.
fn halves(selection: &Selection) -> [Selection; 2] {
    let TimeRange { start, end } = selection.range;
    let middle = start.saturating_add(end.saturating_sub(start) / 2);
    let (mut before, mut after) = (selection.clone(), selection.clone());
    before.range.end = middle;
    after.range.start = middle;
    [before, after]
}

/// Milliseconds that something took.
fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let begun = clock::monotonic();
    work()?;
    Ok(clock::monotonic().saturating_sub(begun).as_secs_f64() * 1e3)
}

/// How long some answers took.
#[derive(Default)]
struct Times {
    /// Milliseconds of each.
    each: Vec<f64>,
    /// CPU time of all of them.
    cpu: Duration,
}

impl Times {
    /// Adds one.
    fn add(&mut self, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begun = process::cpu_time(std::process::id())?;
        self.each.push(timed(work)?);
        self.cpu += process::cpu_time(std::process::id())?.saturating_sub(begun);
        Ok(())
    }

    /// Milliseconds that 95 % are at or below.
    fn percentile_95(&self) -> f64 {
        let mut sorted = self.each.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }

    /// Milliseconds of CPU time in the mean: the clock's ticks are coarse, and even out.
    fn cpu_mean(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.each.len().max(1) as f64
    }
}

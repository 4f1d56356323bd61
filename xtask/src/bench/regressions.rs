//! How surely a function that became slower is found between two recordings of a program, and how
//! often one is found where nothing changed.

use std::{
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{machine::cpus, measure, product::Product, programs::build_c, table::Table, up::Up};
use crate::command::Step;

/// Pairs of recordings.
const PAIRS: usize = 20;
/// Length of a recording, which has as many samples as one of five minutes at a tenth of the rate.
const SECONDS: u64 = 30;
/// Samples a second and CPU.
const RATE_HZ: u32 = 1_999;
/// What the function costs of a hundred, before and after.
const COSTS: [&str; 2] = ["5.0", "5.5"];
/// The function.
const FUNCTION: &str = "changed";
/// Pause between two recordings, longer than a window.
const PAUSE: Duration = Duration::from_secs(2);
/// Until the last windows have arrived.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What the product says of two spans of time.
#[derive(Debug, Deserialize)]
struct Answer {
    slower: Vec<Slower>,
    before_samples: f64,
}

/// A function that became slower.
#[derive(Debug, Deserialize)]
struct Slower {
    place: Place,
}

/// What it is called.
#[derive(Debug, Deserialize)]
struct Place {
    function: String,
}

/// Records and compares.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let program = build_c(&product.programs(), "versions", &["versions.c"], &[])?;
    let rate = RATE_HZ.to_string();
    let arguments = ["--max-overhead", "off", "--window", "1", "-F", &rate];
    let up = Up::start(product, "regressions", &arguments)?;
    let mut recordings: Vec<[u64; 2]> = Vec::new();
    for pair in 1..=PAIRS {
        let [before, after] = COSTS;
        recordings.push([load(&program, before)?, load(&program, after)?]);
        println!("{pair} of {PAIRS} pairs recorded");
    }
    measure::pause(ARRIVAL);
    let (mut found, mut besides, mut samples) = (0, 0, 0.0);
    for [before, after] in &recordings {
        let answer = compare(product, &up, *before, *after)?;
        let is_it = |slower: &&Slower| slower.place.function == FUNCTION;
        let hits = answer.slower.iter().filter(is_it).count();
        found += hits;
        besides += usize::from(hits < answer.slower.len());
        samples += answer.before_samples;
    }
    let mut wrong = 0;
    let earlier = recordings.iter().map(|[before, _after]| before);
    for (before, after) in earlier.clone().zip(earlier.skip(1)) {
        let answer = compare(product, &up, *before, *after)?;
        wrong += usize::from(!answer.slower.is_empty());
    }
    Ok(table(found, besides, wrong, samples))
}

/// Compares a recording with an earlier one, both told by the second they began in.
fn compare(product: &Product<'_>, up: &Up, before: u64, after: u64) -> anyhow::Result<Answer> {
    let [from, to] = [after + 1, after + SECONDS - 1].map(|second| second.to_string());
    let offset = format!("{}s", after - before);
    let text = Step::new(&product.path().to_string_lossy())
        .args(["query", "regressions", r#"{comm="versions"}"#])
        .args(["--server", up.url(), "--from", &from, "--to", &to])
        .args(["--offset", &offset, "--json"])
        .output()?;
    serde_json::from_str(&text).context("read the comparison")
}

/// Runs the program on every CPU for the time of a recording; gives the second it began in.
fn load(program: &Path, cost: &str) -> anyhow::Result<u64> {
    measure::pause(PAUSE);
    let begun = measure::unix_time()?.as_secs();
    let seconds = SECONDS.to_string();
    let start = |_cpu| {
        let child = Command::new(program).args([&seconds, cost]).spawn();
        child.with_context(|| format!("start {}", program.display()))
    };
    let children: Vec<Child> = (0..cpus()?).map(start).collect::<Result<_, _>>()?;
    for mut child in children {
        ensure!(child.wait()?.success(), "the load failed");
    }
    Ok(begun)
}

/// The figures.
#[expect(clippy::cast_precision_loss, reason = "a few pairs")]
fn table(found: usize, besides: usize, wrong: usize, samples: f64) -> Table {
    let heads = ["two recordings", "pairs", "as it is", "promise"];
    let mut table = Table::new("regressions", "cargo xtask bench regressions", &heads);
    let nulls = PAIRS - 1;
    let verdict = |is_kept: bool| if is_kept { "kept" } else { "broken" };
    table.row([
        "a function of 5 % takes a tenth more: found".to_owned(),
        PAIRS.to_string(),
        found.to_string(),
        format!("≥ 19: {}", verdict(PAIRS - 1 <= found)),
    ]);
    table.row([
        "the same: another one is called slower".to_owned(),
        PAIRS.to_string(),
        besides.to_string(),
        format!("≤ 1: {}", verdict(besides <= 1)),
    ]);
    table.row([
        "nothing changed: one is called slower".to_owned(),
        nulls.to_string(),
        wrong.to_string(),
        format!("≤ 1: {}", verdict(wrong <= 1)),
    ]);
    table.note(format!(
        "`profiler up` with windows of a second at {RATE_HZ} samples a second and CPU, and sixty-one \
         functions of `versions.c` on every CPU: recordings of {SECONDS} s have {:.0} samples in the \
         mean, as many as recordings of five minutes at a tenth of the rate. Asked with `profiler query regressions \
         --offset`, all settings as they come.",
        samples / PAIRS as f64,
    ));
    table
}

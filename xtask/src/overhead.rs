//! `cargo xtask overhead`: how much slower a CPU-bound load is while it is profiled.

use std::{fs, ops::Range, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::{
    bench::{self, Load, Product, Table, cpus, quantile},
    repository::Repository,
};

/// Recordings, each with a pause before it.
const TURNS: u32 = 24;
/// Length of a recording, and of the pause before it.
const TURN: Duration = Duration::from_secs(4);
/// Left out at both ends of a recording and of a pause: starting and ending is not steady.
const EDGE_NS: u64 = 200_000_000;
/// Samples a second and CPU.
const HZ: u32 = 99;
/// Share of the slowest slices of a span that are left out: what else the machine did.
const SLOWEST_SHARE: f64 = 0.05;
/// What the product promises: work done with the profiler, as a share of work done without it.
const RATIO_MIN: f64 = 0.995;

/// A slice of equal work.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    /// Wall clock at its end, since the Unix epoch.
    ended_ns: u64,
    /// CPU time it took.
    cpu_ns: f64,
}

/// When the load was left alone, and when it was sampled. Wall clock since the Unix epoch.
#[derive(Clone, Debug)]
struct Turn {
    alone: Range<u64>,
    sampled: Range<u64>,
}

/// What is read of a recording's own JSON.
#[derive(Deserialize)]
struct Recorded {
    profile: Profile,
}

/// The part of a profile that is read.
#[derive(Deserialize)]
struct Profile {
    window: Window,
}

/// When a recording was.
#[derive(Deserialize)]
struct Window {
    start: Duration,
    duration: Duration,
}

/// Measures, prints, and writes into the page when asked to.
pub(crate) fn run(repository: &Repository, write: bool) -> anyhow::Result<()> {
    let product = Product::build(repository)?;
    let (load, logs) = start_load(&product)?;
    let mut inside = Vec::new();
    let turns: Vec<Turn> = (0..TURNS)
        .map(|_| turn(&product, &mut inside))
        .collect::<anyhow::Result<_>>()?;
    drop(load);
    let mut ratios = Vec::new();
    for log in &logs {
        let text = fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
        let slices = slices(&text);
        let pairs = turns.iter().zip(turns.iter().skip(1));
        ratios.extend(pairs.filter_map(|(turn, next)| ratio(&slices, turn, next)));
    }
    ensure!(!ratios.is_empty(), "the load told of no slices");
    bench::publish(repository, &table(&ratios, &inside), write)
}

/// One process on each CPU, and the files they tell their slices to.
fn start_load(product: &Product<'_>) -> anyhow::Result<(Load, Vec<PathBuf>)> {
    let program = bench::build_c(&product.programs(), "steady", &["steady.c"], &[])?;
    let mut load = Load::default();
    let mut logs = Vec::new();
    for cpu in 0..cpus()? {
        let log = product.file(&format!("steady.{cpu}.log"));
        load.start(&program, &[log.clone().into()])?;
        logs.push(log);
    }
    Ok((load, logs))
}

/// A pause, then a recording. Adds the share of a CPU that the sampling program took.
fn turn(product: &Product<'_>, inside: &mut Vec<f64>) -> anyhow::Result<Turn> {
    bench::pause(TURN);
    let output = product.file("overhead.json");
    let step = product
        .step(TURN)?
        .args(["-F", &HZ.to_string(), "-d", &TURN.as_secs().to_string()])
        .args(["--no-inlines", "-o"])
        .args([&output]);
    let (_used, cost) = product.run(step)?;
    inside.extend(cost.ns_per_run().map(|ns| ns * f64::from(HZ) / 1e9));
    let text = fs::read(&output).with_context(|| format!("read {}", output.display()))?;
    let window = serde_json::from_slice::<Recorded>(&text)
        .context("read when the recording was")?
        .profile
        .window;
    let start = nanoseconds(window.start);
    let pause_end = start.saturating_sub(cost.started_after_ms * 1_000_000);
    let span = |start: u64, duration: Duration| {
        start + EDGE_NS..start + nanoseconds(duration).saturating_sub(EDGE_NS)
    };
    Ok(Turn {
        alone: span(pause_end.saturating_sub(nanoseconds(TURN)), TURN),
        sampled: span(start, window.duration),
    })
}

/// A duration in whole nanoseconds.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The slices that a load told of.
fn slices(text: &str) -> Vec<Slice> {
    let slice = |line: &str| {
        let (ended, cpu) = line.split_once(' ')?;
        Some(Slice {
            ended_ns: ended.parse().ok()?,
            cpu_ns: cpu.parse().ok()?,
        })
    };
    text.lines().filter_map(slice).collect()
}

/// CPU time of a slice alone, before and after, divided by that of a slice while sampled; `None` when
/// one of the spans has no slices. A machine that slows down steadily changes nothing.
fn ratio(slices: &[Slice], turn: &Turn, next: &Turn) -> Option<f64> {
    let before = mean_in(slices, &turn.alone)?;
    let after = mean_in(slices, &next.alone)?;
    Some(f64::midpoint(before, after) / mean_in(slices, &turn.sampled)?)
}

/// Mean CPU time of the slices that ended in a span, without the slowest ones.
fn mean_in(slices: &[Slice], span: &Range<u64>) -> Option<f64> {
    let mut spent: Vec<f64> = (slices.iter())
        .filter(|slice| span.contains(&slice.ended_ns))
        .map(|slice| slice.cpu_ns)
        .collect();
    spent.sort_by(f64::total_cmp);
    let bound = quantile(&spent, 1.0 - SLOWEST_SHARE);
    spent.retain(|cpu_ns| *cpu_ns <= bound);
    #[expect(clippy::cast_precision_loss, reason = "some thousand slices")]
    let count = spent.len() as f64;
    (!spent.is_empty()).then(|| spent.iter().sum::<f64>() / count)
}

/// The ratios of the turns: their median, and between which values half of them lie.
fn table(ratios: &[f64], inside: &[f64]) -> Table {
    let columns = ["turns", "median ratio", "middle half", "all", "promise"];
    let mut table = Table::new("overhead", "cargo xtask overhead", &columns);
    let at = |share| quantile(ratios, share);
    table.row([
        ratios.len().to_string(),
        format!("{:.4}", at(0.5)),
        format!("{:.4} to {:.4}", at(0.25), at(0.75)),
        format!("{:.4} to {:.4}", at(0.0), at(1.0)),
        format!("≥ {RATIO_MIN}: {}", verdict(at(0.5), doubt(ratios))),
    ]);
    table.note(format!(
        "Inside the sampling program, by the kernel's own count: {:.3} % of a CPU at {HZ} Hz, median of \
         the recordings. This much slowdown is certain, and no noise hides it.",
        quantile(inside, 0.5) * 100.0
    ));
    table.note(format!(
        "CPU time of a slice of equal work without the profiler, divided by that with `profiler record -F \
         {HZ}` of the whole host: 1 is no slowdown, less is one. One process on each CPU works through \
         128 KiB of memory in slices of some milliseconds, without end; the profiler is off for \
         {} s and on for as long, in turns; each turn, with the pauses before and after it, gives one ratio a \
         process. The slowest {:.0} % \
         of the slices of each span are left out. CPU time holds the interrupts that take the samples and \
         what they and the profiler do to the caches.",
        TURN.as_secs(),
        SLOWEST_SHARE * 100.0,
    ));
    table
}

/// How far the median may be from the truth by chance: two of its standard errors, for values spread
/// as errors mostly are.
fn doubt(ratios: &[f64]) -> f64 {
    let middle_half = quantile(ratios, 0.75) - quantile(ratios, 0.25);
    #[expect(clippy::cast_precision_loss, reason = "some turns")]
    let count = ratios.len().max(1) as f64;
    // The standard error of a median is 1.25 σ / √n, and the middle half is 1.35 σ wide.
    2.0 * (1.25 / 1.35) * middle_half / count.sqrt()
}

/// Whether the promise is kept, as far as the noise lets anyone tell.
fn verdict(median: f64, doubt: f64) -> String {
    if RATIO_MIN <= median - doubt {
        format!("kept (± {doubt:.4})")
    } else if median + doubt < RATIO_MIN {
        format!("broken (± {doubt:.4})")
    } else {
        format!("too noisy to tell (± {doubt:.4})")
    }
}

#[cfg(test)]
mod tests {
    use super::{Slice, Turn, ratio, slices, verdict};

    #[test]
    fn slices_are_read_and_half_a_line_is_left_out() {
        let slice = Slice {
            ended_ns: 10,
            cpu_ns: 3.0,
        };
        assert_eq!(vec![slice], slices("10 3\n12"));
    }

    #[test]
    fn a_load_that_takes_longer_while_sampled_has_a_ratio_below_one() {
        let slices: Vec<Slice> = (0..300)
            .map(|ended_ns| Slice {
                ended_ns,
                // One slice of each span met something else.
                cpu_ns: match ended_ns {
                    50 | 150 => 900.0,
                    ..100 | 200.. => 10.0,
                    _ => 11.0,
                },
            })
            .collect();
        let turn = Turn {
            alone: 0..100,
            sampled: 100..200,
        };
        let next = Turn {
            alone: 200..300,
            sampled: 300..400,
        };
        let ratio = ratio(&slices, &turn, &next).unwrap();
        assert!((ratio - 10.0 / 11.0).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn noise_is_no_proof() {
        assert_eq!(verdict(0.999, 0.001), "kept (± 0.0010)");
        assert_eq!(verdict(0.98, 0.001), "broken (± 0.0010)");
        assert_eq!(verdict(1.015, 0.06), "too noisy to tell (± 0.0600)");
    }
}

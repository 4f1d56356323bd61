//! `cargo xtask overhead`: how much slower a CPU-bound load is while it is profiled.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, ensure};

use crate::{
    bench::{self, Product, Table, quantile},
    command::Step,
    repository::Repository,
};

/// Pairs of runs, one without and one with the profiler.
const PAIRS: usize = 10;
/// Samples a second and CPU.
const HZ: u32 = 99;
/// Rounds of work of one run: about two thirds of a second.
const ROUNDS: u32 = 2000;
/// Longest a run without the profiler may take.
const RUN_LIMIT: Duration = Duration::from_secs(60);
/// What the product promises: work done with the profiler, as a share of work done without it.
const RATIO_MIN: f64 = 0.995;

/// Time that one run of the load took, in seconds, summed over its processes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spent {
    wall: f64,
    cpu: f64,
}

/// Measures, prints, and writes into the page when asked to.
pub(crate) fn run(repository: &Repository, write: bool) -> anyhow::Result<()> {
    let product = Product::build(repository)?;
    let line = load_line(&product)?;
    let mut pairs = Vec::new();
    let mut inside = Vec::new();
    for number in 0..PAIRS {
        // Every other pair the other way around: a machine that slows down favours neither.
        let (without, with) = if number % 2 == 0 {
            let without = alone(&product, &line)?;
            (without, profiled(&product, &line, &mut inside)?)
        } else {
            let with = profiled(&product, &line, &mut inside)?;
            (alone(&product, &line)?, with)
        };
        pairs.push((without, with));
    }
    bench::publish(repository, &table(&pairs, &inside), write)
}

/// Shell that does the work once on each CPU at the same time.
fn load_line(product: &Product<'_>) -> anyhow::Result<String> {
    let program = bench::build_c(&product.programs(), "steady", &["steady.c"], &[])?;
    let cpus = std::thread::available_parallelism()
        .context("count CPUs")?
        .get();
    let one = format!("'{}' {ROUNDS} & ", program.display());
    Ok(format!("{}wait", one.repeat(cpus)))
}

/// Runs the load without the profiler.
fn alone(product: &Product<'_>, line: &str) -> anyhow::Result<Spent> {
    let log = product.file("overhead.log");
    let status = Step::bounded(RUN_LIMIT, "sh")
        .args(["-c", line])
        .into_file(&log)?;
    ensure!(status.success(), "the load: {status}");
    read(&log)
}

/// Runs the load as the profiler's command. Adds the share of a CPU that the sampling program took.
fn profiled(product: &Product<'_>, line: &str, inside: &mut Vec<f64>) -> anyhow::Result<Spent> {
    let step = product
        .step(RUN_LIMIT)?
        .args(["-F", &HZ.to_string(), "-o"])
        .args([product.file("overhead.svg")])
        .args(["--", "sh", "-c", line]);
    let (_used, cost) = product.run(step)?;
    inside.extend(cost.ns_per_run().map(|ns| ns * f64::from(HZ) / 1e9));
    read(&product.file("profiler.log"))
}

/// Reads what the load said last.
fn read(log: &Path) -> anyhow::Result<Spent> {
    let text = fs::read(log).context("read what the load said")?;
    spent(&String::from_utf8_lossy(&text)).context("find the times of the load")
}

/// The sum of all lines `steady wall_ns N cpu_ns N …`; `None` without any.
fn spent(text: &str) -> Option<Spent> {
    let mut sum: Option<Spent> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["steady", "wall_ns", wall, "cpu_ns", cpu, ..] = words.as_slice() {
            let before = sum.unwrap_or(Spent {
                wall: 0.0,
                cpu: 0.0,
            });
            sum = Some(Spent {
                wall: before.wall + wall.parse::<f64>().ok()? / 1e9,
                cpu: before.cpu + cpu.parse::<f64>().ok()? / 1e9,
            });
        }
    }
    sum
}

/// The ratios of the pairs: their median, and between which values half of them lie.
fn table(pairs: &[(Spent, Spent)], inside: &[f64]) -> Table {
    let columns = ["clock", "median ratio", "middle half", "all", "promise"];
    let mut table = Table::new("overhead", "cargo xtask overhead", &columns);
    let ratios = |time: fn(&Spent) -> f64| -> Vec<f64> {
        pairs
            .iter()
            .map(|(without, with)| time(without) / time(with))
            .collect()
    };
    for (clock, ratios) in [
        ("CPU time of the load", ratios(|spent| spent.cpu)),
        ("wall time of the load", ratios(|spent| spent.wall)),
    ] {
        let at = |share| quantile(&ratios, share);
        table.row([
            clock.to_owned(),
            format!("{:.4}", at(0.5)),
            format!("{:.4} to {:.4}", at(0.25), at(0.75)),
            format!("{:.4} to {:.4}", at(0.0), at(1.0)),
            format!("≥ {RATIO_MIN}: {}", verdict(at(0.5), doubt(&ratios))),
        ]);
    }
    table.note(format!(
        "Inside the sampling program, by the kernel's own count: {:.3} % of a CPU at {HZ} Hz, median of \
         the runs. This much slowdown is certain, and no noise hides it.",
        quantile(inside, 0.5) * 100.0
    ));
    table.note(format!(
        "Time for a fixed amount of work without the profiler, divided by the time with `profiler record \
         -F 99 -- …` around it: 1 is no slowdown, less is one. One process on each CPU works through \
         half a megabyte of memory; {} pairs of runs in turns, each under a second of work, every other pair \
         the other way around. CPU time holds the interrupts that take the samples and what they do to \
         the caches; wall time also holds what the profiler itself takes of the CPUs, and whatever else \
         the machine does.",
        pairs.len()
    ));
    table
}

/// How far the median may be from the truth by chance: two of its standard errors, for values spread
/// as errors mostly are.
fn doubt(ratios: &[f64]) -> f64 {
    let middle_half = quantile(ratios, 0.75) - quantile(ratios, 0.25);
    #[expect(clippy::cast_precision_loss, reason = "a few pairs")]
    let count = ratios.len().max(1) as f64;
    // The standard error of a median is 1.25 σ / √n, and the middle half is 1.35 σ wide.
    2.0 * (1.25 / 1.35) * middle_half / count.sqrt()
}

/// Whether the promise is kept, as far as the noise lets anyone tell.
fn verdict(median: f64, doubt: f64) -> String {
    if RATIO_MIN <= median - doubt {
        "kept".to_owned()
    } else if median + doubt < RATIO_MIN {
        "broken".to_owned()
    } else {
        format!("too noisy to tell (± {doubt:.3})")
    }
}

#[cfg(test)]
mod tests {
    use super::{Spent, spent, table, verdict};

    #[test]
    fn the_times_of_all_processes_add_up() {
        let text = "noise\nsteady wall_ns 1000000000 cpu_ns 500000000 value 1\n\
                    steady wall_ns 2000000000 cpu_ns 500000000 value 1\n";
        assert_eq!(
            spent(text),
            Some(Spent {
                wall: 3.0,
                cpu: 1.0
            })
        );
        assert_eq!(spent("noise\n"), None);
    }

    #[test]
    fn a_load_that_takes_longer_when_profiled_breaks_the_promise() {
        let (quick, slow) = (
            Spent {
                wall: 1.0,
                cpu: 1.0,
            },
            Spent {
                wall: 1.1,
                cpu: 1.0,
            },
        );
        let text = table(&[(quick, slow)], &[0.001]).to_string();
        assert!(text.contains("0.9091"), "{text}");
        assert!(text.contains("kept") && text.contains("broken"), "{text}");
    }

    #[test]
    fn noise_is_no_proof() {
        assert_eq!(verdict(0.999, 0.001), "kept");
        assert_eq!(verdict(0.98, 0.001), "broken");
        assert_eq!(verdict(1.015, 0.06), "too noisy to tell (± 0.060)");
    }
}

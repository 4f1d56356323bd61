//! Time in the kernel per sample and per frame.

use std::time::Duration;

use anyhow::Context as _;

use super::{
    load::Load,
    measure::quantile,
    product::{Cost, Product},
    table::Table,
};

/// Levels of recursion; the stack has a few frames more.
const DEPTHS: [u32; 3] = [10, 30, 100];
/// Length of one recording.
const SECONDS: u32 = 4;
/// Recordings of each depth. The best one is shown: other work on the machine only adds time.
const ROUNDS: u32 = 3;
/// Enough samples in little time.
const HZ: u32 = 997;

/// One recording at one depth.
struct Point {
    /// User frames of a kept sample.
    frames: f64,
    /// Nanoseconds of a kept sample.
    ns: f64,
    /// Nanoseconds of a run of the program, whatever became of the sample.
    ns_per_run: f64,
    /// Share of the runs whose sample was kept.
    kept: f64,
}

/// Measures each depth, and what a sample costs that is not kept.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let skipped_ns = skipped(product)?;
    let command = "cargo xtask bench kernel";
    let columns = [
        "user frames",
        "ns per sample",
        "ns per run, as counted",
        "runs kept",
    ];
    let mut table = Table::new("kernel", command, &columns);
    let mut points = Vec::new();
    for depth in DEPTHS {
        let best = best_of(product, depth, skipped_ns)?;
        table.row([
            format!("{:.1}", best.frames),
            format!("{:.0}", best.ns),
            format!("{:.0}", best.ns_per_run),
            format!("{:.0} %", best.kept * 100.0),
        ]);
        points.push((best.frames, best.ns));
    }
    let (fixed, per_frame) = line_through(&points);
    table.note(format!(
        "**{per_frame:.0} ns per user frame** and {fixed:.0} ns per sample: the line through the rows."
    ));
    table.note(format!(
        "Time inside the sampling program, from the kernel's own statistics of BPF programs \
         (`run_time_ns`). It holds the walk, the kernel's part of the stack (empty here: the load \
         stays in user mode) and the record into the ring. It does not hold the interrupt around \
         it. The program also runs for samples that it drops at once, of an idle CPU or of other \
         processes: {skipped_ns:.0} ns each, measured apart with a filter that matches nothing. \
         The third column is the plain mean over all runs, the second one the same time without \
         those runs. Recursion of {DEPTHS:?} levels in a program without frame pointers, {HZ} Hz, \
         best of {ROUNDS} recordings of {SECONDS} s."
    ));
    Ok(table)
}

/// The quickest recording at a depth.
fn best_of(product: &Product<'_>, depth: u32, skipped_ns: f64) -> anyhow::Result<Point> {
    let load = Load::recursion(product, depth)?;
    let points: Vec<Point> = (0..ROUNDS)
        .map(|_| point(&record(product, "recursion")?, skipped_ns))
        .collect::<anyhow::Result<_>>()?;
    drop(load);
    let best = quantile(
        &points.iter().map(|point| point.ns).collect::<Vec<_>>(),
        0.0,
    );
    points
        .into_iter()
        .find(|point| point.ns <= best)
        .context("a recording has no samples")
}

/// Nanoseconds of a run whose sample the filter drops; the least of all rounds.
fn skipped(product: &Product<'_>) -> anyhow::Result<f64> {
    let load = Load::recursion(product, 1)?;
    let rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let cost = record(product, "nobody-has-this")?;
            let (ns, runs) = run_time(&cost)?;
            Ok(ns / runs)
        })
        .collect::<anyhow::Result<_>>()?;
    drop(load);
    Ok(quantile(&rounds, 0.0))
}

/// Records the threads of one name.
fn record(product: &Product<'_>, comm: &str) -> anyhow::Result<Cost> {
    let step = product
        .step(Duration::from_secs(SECONDS.into()))?
        .args([
            "--comm",
            comm,
            "-F",
            &HZ.to_string(),
            "-d",
            &SECONDS.to_string(),
            "-o",
        ])
        .args([product.file("kernel.collapsed")]);
    Ok(product.run(step)?.1)
}

/// Nanoseconds inside the program, and its runs.
fn run_time(cost: &Cost) -> anyhow::Result<(f64, f64)> {
    let told = cost
        .run_time_ns
        .zip(cost.runs)
        .filter(|(_ns, runs)| 0 < *runs);
    let (ns, runs) = told.context("this kernel does not tell the run time of BPF programs")?;
    Ok((to_f64(ns), to_f64(runs)))
}

/// What a recording says about a kept sample.
fn point(cost: &Cost, skipped_ns: f64) -> anyhow::Result<Point> {
    let (ns, runs) = run_time(cost)?;
    let samples = to_f64(cost.samples);
    Ok(Point {
        frames: to_f64(cost.frames_walked) / samples,
        ns: (ns - (runs - samples) * skipped_ns) / samples,
        ns_per_run: ns / runs,
        kept: samples / runs,
    })
}

/// Fixed part and slope of the line with the least squares.
fn line_through(points: &[(f64, f64)]) -> (f64, f64) {
    let count = to_f64(points.len() as u64);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let common: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let slope = common / spread;
    (mean_y - slope * mean_x, slope)
}

/// A count as a number to divide.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one recording are below 2^52"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::line_through;

    #[test]
    fn the_line_has_the_fixed_cost_and_the_slope() {
        let (fixed, slope) = line_through(&[(10.0, 700.0), (30.0, 1100.0), (100.0, 2500.0)]);
        assert!((fixed - 500.0).abs() < 1e-6);
        assert!((slope - 20.0).abs() < 1e-6);
    }
}

//! CPU time per 1,000 samples, recording and naming together, beside perf.

use std::time::Duration;

use super::{
    load::Load,
    peers::{self, CallGraph, Recorded},
    product::Product,
    table::Table,
};

/// Length of the profiler's recordings, and of perf's with frame pointers.
const SECONDS: u32 = 10;
/// Length of perf's recording with copies of the stack: naming each of its samples takes long.
const SECONDS_DWARF: u32 = 3;
/// Longest that perf may name. Then its figure is a lower bound.
const SCRIPT_LIMIT: Duration = Duration::from_secs(60);

/// One tool's figures.
struct Figures {
    tool: String,
    samples: u64,
    recording: Duration,
    naming: Option<Duration>,
    /// CPU seconds per 1,000 samples.
    per_thousand: f64,
    /// Whether naming was ended early, so that the truth is larger.
    at_least: bool,
    /// Microseconds per sample inside the sampling program, where that is known.
    kernel_us: Option<f64>,
}

/// Measures the profiler with a new and a known host, and perf both ways, under one load.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let load = Load::mixed(product)?;
    forget_tables(product);
    let new = profiler(product, "profiler record, every file new")?;
    let known = profiler(product, "profiler record")?;
    let recorded = peers::record(product, CallGraph::FramePointers, SECONDS)?;
    let frame_pointers = perf(product, CallGraph::FramePointers, &recorded)?;
    let recorded = peers::record(product, CallGraph::Dwarf, SECONDS_DWARF)?;
    // Without it perf gets further in its time, and the lower bound is nearer to the truth.
    drop(load);
    let dwarf = perf(product, CallGraph::Dwarf, &recorded)?;
    let base = known.per_thousand;
    let kernel = known.kernel_us.map_or_else(
        || "which this kernel does not tell".to_owned(),
        |us| format!("{us:.1} µs per sample on this load, kernel stack included, caches cold"),
    );
    let columns = [
        "tool",
        "samples",
        "recording",
        "naming",
        "CPU s per 1,000",
        "ratio",
    ];
    let mut table = Table::new("naming", "cargo xtask bench naming", &columns);
    for figures in [new, known, frame_pointers, dwarf] {
        add(&mut table, &figures, base);
    }
    table.note(format!(
        "User and system time of all processes of the tool, in seconds, under the mixed load, one tool \
         after the other in one run; the last column is the ratio to `profiler record`. The profiler \
         names inlined functions and writes collapsed stacks; it compiles unwind tables in the first \
         row and finds them on disk in the second. Its time inside the kernel's interrupt is not in \
         here ({kernel}), nor is perf's. perf collects no build ids, which \
         saves it work, and names inlined functions too, which is its \
         default. Its recording of stack copies is {SECONDS_DWARF} s long, the others {SECONDS} s; \
         \
         its naming goes on without the load, is ended after {} s, or when perf aborts, and then the figure is a lower bound.",
        SCRIPT_LIMIT.as_secs()
    ));
    Ok(table)
}

/// Adds a tool's row.
fn add(table: &mut Table, figures: &Figures, base: f64) {
    let bound = if figures.at_least { "≥ " } else { "" };
    table.row([
        figures.tool.clone(),
        figures.samples.to_string(),
        format!("{:.2}", figures.recording.as_secs_f64()),
        figures.naming.map_or_else(
            || "(both)".to_owned(),
            |naming| format!("{bound}{:.2}", naming.as_secs_f64()),
        ),
        format!("{bound}{:.2}", figures.per_thousand),
        format!("{bound}{:.1}", figures.per_thousand / base),
    ]);
}

/// Removes the compiled tables that earlier runs left.
fn forget_tables(product: &Product<'_>) {
    // There are none before the first run.
    drop(std::fs::remove_dir_all(product.file("tables")));
}

/// Records and names with the profiler.
fn profiler(product: &Product<'_>, tool: &str) -> anyhow::Result<Figures> {
    let step = product
        .step(Duration::from_secs(SECONDS.into()))?
        .args(["-F", "99", "-d", &SECONDS.to_string(), "-o"])
        .args([product.file("naming.collapsed")]);
    let (used, cost) = product.run(step)?;
    Ok(Figures {
        tool: format!("`{tool}`"),
        samples: cost.samples,
        recording: used.cpu,
        naming: None,
        per_thousand: per_thousand(used.cpu, cost.samples),
        at_least: false,
        kernel_us: cost.ns_per_run().map(|ns| ns / 1e3),
    })
}

/// Names a recording of perf.
fn perf(
    product: &Product<'_>,
    call_graph: CallGraph,
    recorded: &Recorded,
) -> anyhow::Result<Figures> {
    let (naming, _text) = peers::script(product, recorded, SCRIPT_LIMIT)?;
    Ok(Figures {
        tool: format!("`{}`", call_graph.shown()),
        samples: recorded.samples,
        recording: recorded.used.cpu,
        naming: Some(naming.cpu),
        per_thousand: per_thousand(recorded.used.cpu + naming.cpu, recorded.samples),
        at_least: peers::cut_short(&naming),
        kernel_us: None,
    })
}

/// CPU seconds per 1,000 samples.
#[expect(
    clippy::cast_precision_loss,
    reason = "samples of one recording are below 2^52"
)]
fn per_thousand(cpu: Duration, samples: u64) -> f64 {
    cpu.as_secs_f64() * 1000.0 / samples.max(1) as f64
}

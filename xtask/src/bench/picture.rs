//! Time from the start to the finished picture of the whole host, beside perf.

use std::time::Duration;

use super::{
    load::Load,
    peers::{self, CallGraph},
    product::Product,
    table::Table,
};

/// Length of each recording.
const SECONDS: u32 = 10;
/// Longest that perf may name. Then its figure is a lower bound.
const SCRIPT_LIMIT: Duration = Duration::from_secs(60);

/// Measures the profiler and perf with stack copies, under one load.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    peers::install_inferno(product)?;
    let load = Load::mixed(product)?;
    let step = product
        .step(Duration::from_secs(SECONDS.into()))?
        .args(["-F", "99", "-d", &SECONDS.to_string(), "-o"])
        .args([product.file("picture.svg")]);
    let (used, cost) = product.run(step)?;
    let ours = used.wall.as_secs_f64();
    let recorded = peers::record(product, CallGraph::Dwarf, SECONDS)?;
    let (naming, text) = peers::script(product, &recorded, SCRIPT_LIMIT)?;
    let bound = if peers::cut_short(&naming) {
        "≥ "
    } else {
        ""
    };
    let drawing = peers::draw(product, &text)?;
    drop(load);
    let theirs = (recorded.used.wall + naming.wall + drawing.wall).as_secs_f64();
    let columns = ["tool", "seconds", "after the recording", "ratio"];
    let mut table = Table::new("picture", "cargo xtask bench picture", &columns);
    let length = f64::from(SECONDS);
    table.row([
        "`profiler record -d 10`".to_owned(),
        format!("{ours:.1}"),
        format!("{:.1}", ours - length),
        "1.0".to_owned(),
    ]);
    table.row([
        format!("`{}` + inferno", CallGraph::Dwarf.shown()),
        format!("{bound}{theirs:.1}"),
        format!("{bound}{:.1}", theirs - length),
        format!("{bound}{:.1}", theirs / ours),
    ]);
    table.note(format!(
        "Wall time of a {SECONDS} s profile of the whole host at 99 Hz, from the start of the command \
         to the finished SVG, under the mixed load, which goes on while names are looked up and so \
         takes its share of the CPUs. The profiler needed {:.1} s before its first sample, to load its \
         programs and the unwind tables of everything that runs. perf's naming is ended after {} s, or when perf aborts, \
         and then its figure is a lower bound.",
        Duration::from_millis(cost.started_after_ms).as_secs_f64(),
        SCRIPT_LIMIT.as_secs()
    ));
    Ok(table)
}

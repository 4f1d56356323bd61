//! Peak memory of the profiler under a mixed load.

use std::{fs, time::Duration};

use anyhow::Context as _;

use super::{load::Load, product::Product, table::Table};

/// Length of the recording.
const SECONDS: u32 = 60;
/// What the product promises.
const PEAK_MIB_MAX: f64 = 200.0;

/// Records the mixed load, with and without a large program full of debug information beside it.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let giant = product.programs().debug_giant()?;
    let giant_bytes = fs::metadata(&giant).context("look at the giant")?.len();
    let columns = [
        "load",
        "peak MiB",
        "tables in the kernel MiB",
        "samples",
        "promise",
    ];
    let mut table = Table::new("memory", "cargo xtask bench memory", &columns);
    let mut load = Load::mixed(product)?;
    record(product, "mixed", &mut table)?;
    load.start(&giant, &[])?;
    record(
        product,
        "mixed, and a C++ program with debug information",
        &mut table,
    )?;
    drop(load);
    table.note(format!(
        "Largest resident memory (`VmHWM`) of the profiler recording the whole host for {SECONDS} s at \
         99 Hz and writing an SVG, inlined functions included. Unwind tables lie in kernel memory and \
         are not in it; the third column shows them. The C++ program is generated: {:.0} MB, nearly all \
         debug information, its time spread over a thousand functions and the templates below them. It \
         stands for a compiler built with debug information; distributions ship compilers without.",
        mebibytes(giant_bytes)
    ));
    Ok(table)
}

/// Records for a minute and adds the row.
fn record(product: &Product<'_>, load: &str, table: &mut Table) -> anyhow::Result<()> {
    let step = product
        .step(Duration::from_secs(SECONDS.into()))?
        .args(["-F", "99", "-d", &SECONDS.to_string(), "-o"])
        .args([product.file("memory.svg")]);
    let (_used, cost) = product.run(step)?;
    let peak = mebibytes(cost.peak_memory_bytes);
    let promise = if peak <= PEAK_MIB_MAX {
        "kept"
    } else {
        "broken"
    };
    table.row([
        load.to_owned(),
        format!("{peak:.0}"),
        format!("{:.1}", mebibytes(cost.table_size_bytes)),
        cost.samples.to_string(),
        format!("≤ {PEAK_MIB_MAX:.0}: {promise}"),
    ]);
    Ok(())
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

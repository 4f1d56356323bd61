//! `cargo xtask bench`: what the profiler costs, beside the tools people use today.
//!
//! Every figure comes from running the release build for real, on load that this starts itself.
//! The machine may be noisy, so figures are CPU time, ratios taken in the same run, and medians.
//! One file for each section of docs/benchmarks.md; the rest is what they share.

mod columns;
mod document;
mod load;
mod machine;
mod measure;
mod product;
mod programs;
mod table;
mod up;

mod compile;
mod ingest;
mod kernel;
mod memory;
mod naming;
mod peers;
mod picture;
mod queries;
mod regressions;
mod slowdown;
mod start;

pub(crate) use self::{
    document::write_into,
    load::Load,
    machine::cpus,
    measure::{pause, quantile},
    product::Product,
    programs::build_c,
    table::Table,
};

use anyhow::Context as _;
use clap::ValueEnum;

use crate::repository::Repository;

/// What can be measured. Each is one section of the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Section {
    /// Time in the kernel per sample and per frame
    Kernel,
    /// CPU time per 1,000 samples, beside perf
    Naming,
    /// Time to the finished picture of the host, beside perf
    Picture,
    /// Speed of the compiler of unwind tables, and their size
    Compile,
    /// Peak memory under a mixed load
    Memory,
    /// Time to the first complete stack of a new program
    Start,
    /// How surely a slower function is found between two recordings (25 minutes)
    Regressions,
    /// How much slower programs full of events are while they are watched, beside bpftrace (20 minutes)
    Slowdown,
    /// Samples a second that the service takes, their size on disk and their CPU time
    Ingest,
    /// Time to answer questions about a day of 10, 100 and 1,000 hosts
    Queries,
}

/// Measures the sections asked for, or all; prints each, and writes it when asked to.
pub(crate) fn run(repository: &Repository, only: &[Section], write: bool) -> anyhow::Result<()> {
    let sections = if only.is_empty() {
        Section::value_variants()
    } else {
        only
    };
    let mut product = None;
    for section in sections {
        let table = match section {
            Section::Compile => compile::measure(repository),
            Section::Ingest => ingest::measure(repository),
            Section::Queries => queries::measure(repository),
            Section::Kernel
            | Section::Naming
            | Section::Picture
            | Section::Memory
            | Section::Regressions
            | Section::Slowdown
            | Section::Start => {
                // Built when it is needed: a release takes long.
                let product = match &mut product {
                    Some(product) => product,
                    none @ None => none.insert(Product::build(repository)?),
                };
                of_product(*section, product)
            }
        };
        let table = table.with_context(|| format!("measure {section:?}"))?;
        publish(repository, &table, write)?;
    }
    Ok(())
}

/// Measures a section that runs the release build of the profiler.
fn of_product(section: Section, product: &Product<'_>) -> anyhow::Result<Table> {
    match section {
        Section::Kernel => kernel::measure(product),
        Section::Naming => naming::measure(product),
        Section::Picture => picture::measure(product),
        Section::Memory => memory::measure(product),
        Section::Regressions => regressions::measure(product),
        Section::Slowdown => slowdown::measure(product),
        Section::Start => start::measure(product),
        Section::Compile | Section::Ingest | Section::Queries => {
            anyhow::bail!("{section:?} has a bench of its own")
        }
    }
}

/// Prints a section, and writes it into the page when asked to.
pub(crate) fn publish(repository: &Repository, table: &Table, write: bool) -> anyhow::Result<()> {
    println!("\n{table}");
    if write {
        write_into(&repository.root.join("docs/benchmarks.md"), table)?;
    }
    Ok(())
}

//! Speed, size and cost of taking what daemons deliver.

use anyhow::{Context as _, ensure};

use super::{
    columns::{Column, heads, rows_in},
    table::Table,
};
use crate::repository::Repository;

/// Columns of the bench's own table that are shown.
const COLUMNS: [Column; 5] = [
    ("samples", "samples"),
    ("samples/s", "samples per s"),
    ("bytes/sample", "bytes per sample"),
    ("CPU-s/M-samples", "CPU s per M samples"),
    ("peak-MiB", "peak MiB"),
];

/// Runs the bench of ingest.
pub(crate) fn measure(repository: &Repository) -> anyhow::Result<Table> {
    let text = run(repository, "ingest")?;
    let mut table = Table::new(
        "ingest",
        "cargo xtask bench ingest",
        &heads("hosts", &COLUMNS),
    );
    table.rows = rows_in(&text, "hosts", &COLUMNS).context("read the table of the bench")?;
    ensure!(!table.rows.is_empty(), "the bench delivered nothing");
    table.note(
        "From the first byte on the wire until everything is on the disk as merged parts with sums by \
         minute and by hour; every sample is acknowledged, hence durable in the log before. The \
         daemons are simulated: each delivers windows of ten seconds over its own compressed stream on \
         loopback, all at once, as fast as the service takes them. Each is a host of 16 CPUs, half \
         busy, at 19 Hz, with ten processes of 50 services, and stacks of a recording of a real build \
         (`tests/captures`), 21 frames on average, each with up to eight last lines. CPU time and \
         memory are the service's; samples per second are those of a machine that makes and sends \
         the load on the same CPUs. Bytes are of all files of the store, definitions and catalogue \
         included, after these few minutes of data; definitions come once, and weigh less with each \
         hour.",
    );
    Ok(table)
}

/// What the bench of the store prints about one of its subjects.
pub(super) fn run(repository: &Repository, subject: &str) -> anyhow::Result<String> {
    let bench = [
        "bench",
        "--package",
        "profiler-tests",
        "--bench",
        "store",
        "--",
    ];
    let step = repository.cargo(bench).args([subject]);
    step.output()
        .with_context(|| format!("run the bench of {subject}"))
}

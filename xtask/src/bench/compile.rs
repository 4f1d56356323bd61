//! Speed of the compiler of unwind tables, and their size.

use anyhow::{Context as _, ensure};

use super::{
    columns::{Column, heads, rows_in},
    table::Table,
};
use crate::repository::Repository;

/// Columns of the bench's own table that are shown.
const COLUMNS: [Column; 5] = [
    ("MB", "MB"),
    ("ms", "ms"),
    ("MB/s", "MB/s"),
    ("rows", "rows"),
    ("B/row", "bytes per row"),
];

/// Runs the bench of the compiler on files of this machine.
pub(crate) fn measure(repository: &Repository) -> anyhow::Result<Table> {
    let text = repository
        .cargo(["bench", "--package", "profiler-tests", "--bench", "compile"])
        .output()
        .context("run the bench of the table compiler")?;
    let mut table = Table::new(
        "compile",
        "cargo xtask bench compile",
        &heads("file", &COLUMNS),
    );
    // A head of two words would count as two.
    let text = text
        .replace("no rbx", "no-rbx")
        .replace("load ms", "load-ms");
    table.rows = rows_in(&text, "file", &COLUMNS).context("read the table of the bench")?;
    for name in table.rows.iter_mut().filter_map(|row| row.first_mut()) {
        *name = format!("`{name}`");
    }
    ensure!(!table.rows.is_empty(), "the bench looked at no file");
    table.note(
        "From the bytes of the file to a table in memory, on one CPU, best of five; MB are of the whole \
         file. Bytes per row are those of the encoded table as the kernel holds it: rows, and the \
         index over them.",
    );
    Ok(table)
}

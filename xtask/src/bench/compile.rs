//! Speed of the compiler of unwind tables, and their size.

use anyhow::{Context as _, ensure};

use super::{product::Product, table::Table};

/// Columns of the bench's own table that are shown: its head for each, and ours.
const COLUMNS: [(&str, &str); 5] = [
    ("MB", "MB"),
    ("ms", "ms"),
    ("MB/s", "MB/s"),
    ("rows", "rows"),
    ("B/row", "bytes per row"),
];

/// Runs the bench of the compiler on files of this machine.
pub(crate) fn measure(product: &Product<'_>) -> anyhow::Result<Table> {
    let text = product
        .repository
        .cargo(["bench", "--package", "profiler-tests", "--bench", "compile"])
        .output()
        .context("run the bench of the table compiler")?;
    let heads = std::iter::once("file").chain(COLUMNS.iter().map(|(_, head)| *head));
    let heads: Vec<&str> = heads.collect();
    let mut table = Table::new("compile", "cargo xtask bench compile", &heads);
    table.rows = rows_in(&text).context("read the table of the bench")?;
    ensure!(!table.rows.is_empty(), "the bench looked at no file");
    table.note(
        "From the bytes of the file to a table in memory, on one CPU, best of five; MB are of the whole \
         file. Bytes per row are those of the encoded table as the kernel holds it: rows, and the \
         index over them.",
    );
    Ok(table)
}

/// The shown columns of each line; `None` when a column is missing.
fn rows_in(text: &str) -> Option<Vec<Vec<String>>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("file "));
    let heads: Vec<String> = words(lines.next()?);
    let places: Vec<usize> = (COLUMNS.iter())
        .map(|(name, _)| heads.iter().position(|head| head == name))
        .collect::<Option<_>>()?;
    lines
        .map(|line| {
            let cells = words(line);
            let name = format!("`{}`", cells.first()?);
            let figures = places.iter().map(|place| cells.get(*place).cloned());
            std::iter::once(Some(name)).chain(figures).collect()
        })
        .collect()
}

/// The words of a line. A head of two words counts as two, so these come last in what is shown.
fn words(line: &str) -> Vec<String> {
    line.replace("no rbx", "no-rbx")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::rows_in;

    #[test]
    fn figures_are_found_by_the_head_of_their_column() {
        let text = "noise\n\
            file   MB  ms MB/s FDEs rows rules no rbx rules B/row\n\
            libc  2.0 4.5  444    7  900    10    800     9  4.01\n";
        assert_eq!(
            rows_in(text).unwrap(),
            [["`libc`", "2.0", "4.5", "444", "900", "4.01"]]
        );
        assert!(rows_in("file MB\n").is_none());
    }
}

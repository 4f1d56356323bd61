//! Time to answer questions about a day of a fleet.

use anyhow::{Context as _, ensure};

use super::{
    columns::{Column, rows_in},
    ingest::run,
    table::Table,
};
use crate::repository::Repository;

/// Columns of the bench's own table: question, what it is of, and the figures.
const COLUMNS: [Column; 9] = [
    ("question", ""),
    ("of", ""),
    ("cold-ms", ""),
    ("cold-CPU", ""),
    ("warm-ms", ""),
    ("warm-CPU", ""),
    ("rows", ""),
    ("MB", ""),
    ("open-ms", ""),
];
/// What the product promises: cold and warm.
const PROMISED_MS: (f64, f64) = (500.0, 100.0);

/// Runs the bench of queries.
pub(crate) fn measure(repository: &Repository) -> anyhow::Result<Table> {
    let text = run(repository, "queries")?;
    let lines = rows_in(&text, "hosts", &COLUMNS).context("read the table of the bench")?;
    ensure!(!lines.is_empty(), "the bench asked nothing");
    let heads = [
        "question", "hosts", "cold ms", "CPU ms", "warm ms", "CPU ms", "promise",
    ];
    let mut table = Table::new("queries", "cargo xtask bench queries", &heads);
    table.rows = lines
        .iter()
        .map(|line| row(line))
        .collect::<Result<_, _>>()?;
    // The same question for more and more hosts, to see how it grows.
    let order = |row: &Vec<String>| row.first().cloned();
    let mut seen: Vec<Option<String>> = Vec::new();
    table.rows.iter().map(order).for_each(|name| {
        if !seen.contains(&name) {
            seen.push(name);
        }
    });
    table
        .rows
        .sort_by_key(|row| seen.iter().position(|name| *name == order(row)));
    let mut stores: Vec<String> = lines.iter().filter_map(|line| size(line)).collect();
    stores.dedup();
    table.note(format!(
        "The last 24 hours up to now, as the service's own code answers them: the time that 95 % of 20 \
         questions are at or below, each about another service (one of 50) or host. Cold: nothing of \
         the answer is in memory and no file of the store in the page cache. Warm: asked again after \
         every host delivered a further window. CPU time is the mean. A flame graph has at most 10,000 nodes, a top list 100 \
         rows, a series steps of half an hour; a diff is of the first and the second half. Each host \
         has one CPU, a tenth busy, at 19 Hz, four processes, and stacks as in the bench of ingest. \
         The store wrote and merged all of it; the hours at both ends came as windows of ten seconds, \
         those between as windows of an hour with the same samples. {}",
        stores.join(" ")
    ));
    Ok(table)
}

/// A row of the table.
fn row(line: &[String]) -> anyhow::Result<Vec<String>> {
    let [hosts, question, of, cold, cold_cpu, warm, warm_cpu, ..] = line else {
        anyhow::bail!("a line of the bench is too short");
    };
    let is_kept = cold.parse::<f64>()? <= PROMISED_MS.0 && warm.parse::<f64>()? <= PROMISED_MS.1;
    let promise = if is_kept {
        "≤ 500, ≤ 100: kept"
    } else {
        "≤ 500, ≤ 100: broken"
    };
    let name = format!("`{question}` of {}", if of == "fleet" { "all" } else { of });
    let cells = [&name, hosts, cold, cold_cpu, warm, warm_cpu, promise];
    Ok(cells.into_iter().map(str::to_owned).collect())
}

/// How large the store of a line is.
fn size(line: &[String]) -> Option<String> {
    let [rows, megabytes] = [line.get(7)?, line.get(8)?];
    let hosts = line.first()?;
    let millions = rows.parse::<f64>().ok()? / 1e6;
    Some(format!(
        "{hosts} hosts: {millions:.1} M rows as they came, {megabytes} MB with all sums."
    ))
}

#[cfg(test)]
mod tests {
    use super::{row, size};

    #[test]
    fn a_promise_is_broken_by_either_time() {
        let line = |cold: &str, warm: &str| {
            let cells = [
                "10", "top", "service", cold, "9", warm, "8", "1500000", "7", "30",
            ];
            cells.map(str::to_owned)
        };
        let promise = |cold: &str, warm: &str| row(&line(cold, warm)).unwrap().pop().unwrap();
        assert_eq!("≤ 500, ≤ 100: kept", promise("500.0", "100.0"));
        assert_eq!("≤ 500, ≤ 100: broken", promise("500.1", "100.0"));
        assert_eq!("≤ 500, ≤ 100: broken", promise("500.0", "100.1"));
        assert_eq!(
            "10 hosts: 1.5 M rows as they came, 7 MB with all sums.",
            size(&line("1", "1")).unwrap()
        );
    }
}

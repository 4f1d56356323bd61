//! How fast unwind tables are compiled, and how large they are.
//!
//! `cargo bench -p profiler-tests --bench compile -- FILE…`; without files, a few that most
//! machines have.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints figures for people"
)]

use std::{collections::HashSet, fs::File, time::Instant};

use anyhow::Context as _;
use object::ReadCache;
use profiler::{
    host::unwind::{TableCache, UnwindTable, compile},
    model::BuildId,
};
use profiler_common::unwind_row::RuleCode;

/// Looked at when nothing else is asked for; those that are missing are left out.
const USUAL: [&str; 5] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/bin/gdb",
    "/usr/bin/node",
];
/// The best of this many runs is shown; the first one reads from disk.
const RUNS: usize = 5;

fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    println!(
        "{:<28} {:>7} {:>8} {:>8} {:>8} {:>9} {:>6} {:>9} {:>7} {:>7} {:>9} {:>8} {:>8}",
        "file",
        "MB",
        "ms",
        "MB/s",
        "FDEs",
        "rows",
        "rules",
        "no rbx",
        "rules",
        "B/row",
        "unsupp.",
        "encode",
        "load ms",
    );
    if asked.is_empty() {
        for path in USUAL.into_iter().filter(|path| File::open(path).is_ok()) {
            report(path)?;
        }
    }
    asked.iter().try_for_each(|path| report(path))
}

/// Prints one line about one file.
fn report(path: &str) -> anyhow::Result<()> {
    let size_bytes = std::fs::metadata(path)
        .with_context(|| path.to_owned())?
        .len();
    let (seconds, table) = best(|| {
        let cache = ReadCache::new(File::open(path)?);
        compile(&cache).with_context(|| path.to_owned())
    })?;
    let (encode_seconds, words) = best(|| Ok(table.encode(&mut |_| RuleCode::Rule(0))))?;
    let folder = tempfile::tempdir()?;
    let cache = TableCache::open(folder.path(), 1 << 30)?;
    let id = BuildId::new(&[1]).context("a build id")?;
    cache.save(&id, &table)?;
    let (load_seconds, _) = best(|| cache.load(&id).context("load from the cache"))?;
    let rows = table.rows().len();
    let unsupported = table
        .rows()
        .filter(|row| row.code == RuleCode::Unsupported)
        .count();
    let (rows_without_rbx, rules_without_rbx) = without_rbx(&table);
    let megabytes = size_bytes as f64 / 1e6;
    println!(
        "{:<28} {megabytes:>7.1} {:>8.2} {:>8.0} {:>8} {rows:>9} {:>6} {rows_without_rbx:>9} {rules_without_rbx:>7} {:>7.2} {unsupported:>9} {:>8.2} {:>8.2}",
        path.rsplit('/').next().unwrap_or(path),
        seconds * 1e3,
        megabytes / seconds,
        table.counts().functions,
        table.rules().len(),
        size_of_val(&words[..]) as f64 / rows.max(1) as f64,
        encode_seconds * 1e3,
        load_seconds * 1e3,
    );
    Ok(())
}

/// Runs something several times: the best time in seconds, and what came of it.
fn best<T>(mut run: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let mut best_seconds = f64::MAX;
    let mut result = None;
    for _ in 0..RUNS {
        #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
        let start = Instant::now();
        let value = run()?;
        best_seconds = best_seconds.min(start.elapsed().as_secs_f64());
        result = Some(value);
    }
    Ok((best_seconds, result.context("at least one run")?))
}

/// Rows and distinct rules if nobody followed `rbx`.
fn without_rbx(table: &UnwindTable) -> (usize, usize) {
    let mut rules = HashSet::new();
    let mut rows = 0;
    let mut before = None;
    for row in table.rows() {
        let key = match row.code {
            RuleCode::Rule(number) => {
                let mut rule = table.rules()[usize::from(number)];
                (rule.rbx_kind, rule.rbx_offset) = (0, 0);
                rules.insert(rule);
                Ok(rule)
            }
            code @ (RuleCode::EndOfStack
            | RuleCode::NoInfo
            | RuleCode::SignalFrame
            | RuleCode::FramePointer
            | RuleCode::Unsupported) => Err(code),
        };
        if before != Some(key) {
            rows += 1;
            before = Some(key);
        }
    }
    (rows, rules.len())
}

//! How fast the service takes windows, how small it keeps them, and how fast it answers.
//!
//! `cargo bench -p profiler-tests --bench store -- ingest|queries [HOSTS…]`; without arguments, both
//! for 10, 100 and 1,000 hosts, which takes half an hour and 3 GB in the folder for temporary files. The hosts are simulated with stacks of a real recording.
#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints figures for people"
)]

mod day;
mod ingest;
mod process;
mod queries;
mod service;

use std::{env, sync::Arc};

use profiler_tests::harness::fleet::Capture;

/// Hosts when the command line names no number of them.
const HOSTS: [u32; 3] = [10, 100, 1_000];

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    if let [service::WORD, folder] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return service::run(folder.as_ref());
    }
    let numbers: Vec<u32> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let hosts = if numbers.is_empty() {
        HOSTS.as_slice()
    } else {
        &numbers
    };
    let is_named = |what: &str| words.iter().any(|word| word == what);
    let wants = |what: &str| is_named(what) || !(is_named("ingest") || is_named("queries"));
    let capture = Arc::new(Capture::build()?);
    if wants("ingest") {
        ingest::measure(&capture, hosts)?;
    }
    if wants("queries") {
        queries::measure(&capture, hosts)?;
    }
    Ok(())
}

//! `profiler up`: from nothing to answers in seconds, and the same answers as `record`'s.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use profiler::{
    clock,
    model::{FrameKind, Naming, Profile},
};
use profiler_common::limits::USER_FRAMES_MAX;
use profiler_tests::{
    harness::{
        Collapsed, FoldedStack, Record, Running, Server, product, say, tolerance, until, workload,
    },
    require_root,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{check::run, mixed_load::load};

/// What is promised: from the start of the program to a flame graph.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(20);
/// Longest wait for anything else.
const LIMIT: Duration = Duration::from_secs(120);
/// Programs of the load that every host can run, and whether they carry names: compilers come stripped.
const LOAD: [(&str, bool); 2] = [("cc1plus", false), ("short", true)];
/// Share of complete stacks, of a few hundred samples: 98 % is what thousands are held to.
const COMPLETE_MIN: f64 = 0.95;
/// Seconds of the recording that is compared.
const SECONDS: u32 = 20;
/// Functions below this share are too few samples to compare.
const SHARE_MIN: f64 = 0.02;

/// Starts `profiler up` on a folder.
pub(super) fn up(data: &Path, arguments: &[&str]) -> Server {
    let mut command = Command::new(product().unwrap());
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]);
    Server::start_command(command.arg(data).args(arguments)).unwrap()
}

/// What `profiler query` prints.
#[track_caller]
pub(super) fn query(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new(product().unwrap());
    command
        .arg("query")
        .args(arguments)
        .args(["--server", &server.url()]);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// With the load running, the first flame graph is there in time, and its stacks of the load are
/// complete and have names.
#[test]
fn within_twenty_seconds_there_is_a_flame_graph_of_the_load() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let load = load(dir.path());
    let started = clock::monotonic();
    let server = up(&dir.path().join("data"), &[]);
    let svg = dir.path().join("x.svg");
    until("the flame graph shows the load", LIMIT, || {
        query(&server, &["flamegraph", "-o", svg.to_str().unwrap()]);
        let picture = fs::read_to_string(&svg)?;
        Ok(LOAD
            .iter()
            .all(|(comm, _)| picture.contains(comm))
            .then_some(()))
    })
    .unwrap();
    let took = clock::monotonic().saturating_sub(started);
    let text = query(&server, &["flamegraph", "--format", "collapsed"]);
    drop(load);
    let stacks = Collapsed::parse(&text).unwrap();
    let mut said = format!("up: the load is in the flame graph after {took:?};");
    for (comm, has_names) in LOAD {
        let stacks = stacks.of_comm(comm);
        let complete = stacks.share(|stack| !stack.is_truncated() || is_deepest(stack));
        let named =
            stacks.share(|stack| stack.user_leaf().is_none_or(|leaf| !leaf.starts_with('[')));
        let one = format!(
            " {comm}: {} samples, {:.1} % complete, {:.1} % with a name for the leaf;",
            stacks.total(),
            complete * 100.0,
            named * 100.0
        );
        said.push_str(&one);
        let is_good = COMPLETE_MIN <= complete && (!has_names || 0.9 <= named);
        let cut = stacks.select(FoldedStack::is_truncated);
        assert!(is_good, "{said}{}", cut.heaviest(3));
    }
    say(&said);
    assert!(took <= FIRST_ANSWER_MAX, "{took:?}");
}

/// Whether a stack has as many frames as are ever followed: a compiler that marks its syntax trees
/// goes that deep, and the promise is of what is within the bound.
fn is_deepest(stack: &FoldedStack) -> bool {
    usize::try_from(USER_FRAMES_MAX).unwrap() <= stack.frames.len()
}

/// Shares of the samples by name: what is innermost, and the program.
#[derive(Default)]
struct Shares {
    total: u64,
    by_function: BTreeMap<String, u64>,
    by_comm: BTreeMap<String, u64>,
}

impl Shares {
    /// Those of a recording.
    fn of_recording(profile: &Profile) -> Self {
        let mut shares = Self::default();
        for sample in &profile.samples {
            let count = sample.values.first().copied().unwrap_or(0);
            shares.total += count;
            let task = profile.task(sample.task).unwrap();
            *shares.by_comm.entry(task.comm.clone()).or_default() += count;
            let leaf = profile.stack(sample.stack).unwrap().frames.first();
            let Some(leaf) = leaf.and_then(|leaf| profile.frame(*leaf)) else {
                continue;
            };
            if let (Naming::Named(lines), true) = (&leaf.naming, leaf.kind != FrameKind::Truncated)
                && let Some(line) = lines.first()
            {
                *shares.by_function.entry(line.function.clone()).or_default() += count;
            }
        }
        shares
    }

    /// Those that `query top` tells: of functions and of programs.
    fn of_top(functions: &str, programs: &str) -> Self {
        let by_name = |text: &str| {
            let answer: Value = serde_json::from_str(text).unwrap();
            let mut sums: BTreeMap<String, u64> = BTreeMap::new();
            for row in answer["rows"].as_array().unwrap() {
                let name = row["name"].as_str().unwrap().to_owned();
                *sums.entry(name).or_default() += row["self"].as_u64().unwrap();
            }
            (answer["total"].as_u64().unwrap(), sums)
        };
        let (total, by_function) = by_name(functions);
        Self {
            total,
            by_function,
            by_comm: by_name(programs).1,
        }
    }
}

/// Compares the shares of two independent samplings; gives how many were compared, and a table.
#[track_caller]
fn check_agreement(
    what: &str,
    (recorded, recorded_total): (&BTreeMap<String, u64>, u64),
    (stored, stored_total): (&BTreeMap<String, u64>, u64),
) -> usize {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a test takes less than 2^52 samples"
    )]
    let share = |count: u64, total: u64| count as f64 / total.max(1) as f64;
    let mut compared = 0;
    for (name, count) in recorded {
        let one = share(*count, recorded_total);
        if one < SHARE_MIN {
            continue;
        }
        let other = share(stored.get(name).copied().unwrap_or(0), stored_total);
        // Both are samplings, and the bounds of a second at both ends are not the same.
        let within = tolerance(one, recorded_total)
            + tolerance(one, stored_total)
            + 0.5 * one / f64::from(SECONDS);
        say(&format!(
            "  {what} {name}: {:.1} % recorded, {:.1} % stored, within {:.1}",
            one * 100.0,
            other * 100.0,
            within * 100.0
        ));
        assert!(
            (one - other).abs() <= within,
            "{what} {name}: {one} recorded, {other} stored"
        );
        compared += 1;
    }
    compared
}

/// While `up` watches, `record` records the same seconds of the same load: both tell the same.
#[test]
fn top_agrees_with_a_recording_of_the_same_time() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let _load = load(dir.path());
    let mut split = Command::new(workload("split").unwrap());
    let _split = Running::start(split.arg("600")).unwrap();
    let server = up(&dir.path().join("data"), &["--window", "1", "-F", "199"]);
    let outcome = run(&Record::host().hz(199).seconds(SECONDS));
    let span = outcome.profile.window;
    let (start, end) = (span.start, span.start + span.duration);
    // Windows of one second, counted by their beginnings.
    let from = (start + Duration::from_millis(500)).as_secs().to_string();
    let to = (end + Duration::from_millis(500)).as_secs().to_string();
    let top = |more: &[&str]| {
        let mut arguments = vec![
            "top", "--json", "--limit", "1000", "--from", &from, "--to", &to,
        ];
        arguments.extend(more);
        query(&server, &arguments)
    };
    let series = |text: &str| text.matches("start_ns").count();
    until("a window after them is stored", LIMIT, || {
        let later = ["series", "--json", "--step", "1s", "--from", &to];
        Ok((0 < series(&query(&server, &later))).then_some(()))
    })
    .unwrap();
    // On a busy host a window may be dropped while it waits for names, which is counted.
    let all = [
        "series", "--json", "--step", "1s", "--from", &from, "--to", &to,
    ];
    let windows = series(&query(&server, &all));
    assert!(SECONDS as usize * 3 / 4 <= windows, "{windows} windows");
    let recorded = Shares::of_recording(&outcome.profile);
    let stored = Shares::of_top(&top(&[]), &top(&["--by", "label", "--label", "thread"]));
    say(&format!(
        "{} samples recorded, {} stored",
        recorded.total, stored.total
    ));
    let functions = check_agreement(
        "function",
        (&recorded.by_function, recorded.total),
        (&stored.by_function, stored.total),
    );
    let programs = check_agreement(
        "thread",
        (&recorded.by_comm, recorded.total),
        (&stored.by_comm, stored.total),
    );
    assert!(
        3 <= functions && 3 <= programs,
        "{functions} functions, {programs} programs"
    );
}

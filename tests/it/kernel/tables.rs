//! `profiler query syscalls` and `tcp` of what `profiler up` counted: the programs' own numbers.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::bail;
use profiler::clock;
use profiler_tests::{
    harness::{Server, product, say, until, workload},
    require_root,
};
use serde_json::Value;
use tempfile::TempDir;

use super::up::up;

/// Longest wait for what a program did to be in a table.
const TABLE_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for word of a loss: it comes with a later window.
const LOSS_LIMIT: Duration = Duration::from_secs(30);
/// Runs of a program until one is seen whole: a busy host may drop a window, which it says.
const RUNS_MAX: u32 = 4;
/// Largest relative error of a time.
const ERROR_MAX: f64 = 0.1;

/// What `profiler query` prints as JSON.
///
/// # Errors
/// What it says where it refuses.
fn query(server: &Server, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(product()?);
    command.arg("query").args(arguments).arg("--json");
    let output = command.args(["--server", &server.url()]).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What a table should say, and what it does not.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    /// That a number is exactly this one.
    fn is(&mut self, what: &str, truth: u64, found: &Value) {
        if *found != truth {
            self.0.push(format!("{what}: {found} instead of {truth}"));
        }
    }

    /// That a time in nanoseconds is the truth in microseconds, nearly.
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    fn is_near(&mut self, what: &str, truth_us: u64, found_ns: &Value) {
        let found_us = found_ns.as_u64().unwrap_or_default() / 1_000;
        let error = (found_us as f64 - truth_us as f64).abs() / truth_us as f64;
        if ERROR_MAX < error {
            let text = format!("{what}: {found_us} µs instead of {truth_us}");
            self.0.push(text);
        }
    }
}

/// The first row with these texts; nothing, which has no number, where there is none.
fn row<'a>(table: &'a Value, texts: &[(&str, &str)]) -> &'a Value {
    let fits = |row: &&Value| texts.iter().all(|(name, text)| row[name] == *text);
    let rows = table["rows"].as_array().unwrap();
    rows.iter().find(fits).unwrap_or(&Value::Null)
}

/// A program, and how its table is looked at.
struct Case {
    table: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// Whether all that it did is there.
    is_whole: fn(&Value) -> bool,
    /// What is wrong, by the table and what the program printed.
    check: fn(&Value, &str) -> Wrong,
}

impl Case {
    /// Runs the program until a run is seen as it was. A run that is not must have lost something.
    fn run(&self, server: &Server) {
        for _run in 0..RUNS_MAX {
            let from = clock::wall().as_secs().to_string();
            let wrong = self.run_once(server);
            if wrong.0.is_empty() {
                return;
            }
            let lost = until("a window says that something was lost", LOSS_LIMIT, || {
                let hosts = query(server, &["hosts", "--from", &from]).unwrap();
                let quality = &hosts["hosts"][0]["quality"];
                let count = |number: &Value| number.as_u64().unwrap_or_default();
                let table_full = &quality["lost"]["table_full"];
                let is_lost = 0 < count(&quality["windows_lost"]) + count(table_full);
                Ok(is_lost.then(|| quality.clone()))
            });
            let lost =
                lost.unwrap_or_else(|error| panic!("{:#?}, and nothing lost: {error}", wrong.0));
            say(&format!(
                "{}: once more, after {:?}: {lost}",
                self.program, wrong.0
            ));
        }
        panic!(
            "{}: something was lost in each of {RUNS_MAX} runs",
            self.program
        );
    }

    /// Runs the program once.
    fn run_once(&self, server: &Server) -> Wrong {
        let mut command = Command::new(workload(self.program).unwrap());
        command.args(self.arguments).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let selector = format!("{{pid=\"{}\"}}", child.id());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let asked = [self.table, &selector, "--by", "", "--top", "10000"];
        let found = until("what the program did is in the table", TABLE_LIMIT, || {
            Ok(query(server, &asked).ok().filter(self.is_whole))
        });
        match found {
            Ok(table) => (self.check)(&table, &String::from_utf8(output.stdout).unwrap()),
            Err(error) => Wrong(vec![error.to_string()]),
        }
    }
}

/// Every call as often as the program made it, with the errors that it got, and as long as its own
/// clock says.
fn check_calls(table: &Value, printed: &str) -> Wrong {
    let mut wrong = Wrong::default();
    for (call, count) in [
        ("getppid", 200_000),
        ("sched_yield", 5_000),
        ("unlink", 2_000),
        ("lseek", 1_000),
        ("clock_nanosleep", 300),
    ] {
        wrong.is(
            call,
            count,
            &row(table, &[("call", call)])["times"]["count"],
        );
    }
    for (call, error, count) in [
        ("read", "EAGAIN", 3_000),
        ("unlink", "ENOENT", 2_000),
        ("lseek", "ESPIPE", 1_000),
        ("close", "EBADF", 500),
    ] {
        let row = row(table, &[("call", call)]);
        wrong.is(error, count, &row["errors"][error]);
        wrong.is(call, count, &row["failed"]);
    }
    let asleep = printed
        .split_whitespace()
        .map(|us| us.parse::<u64>().unwrap());
    let times = &row(table, &[("call", "clock_nanosleep")])["times"];
    wrong.is_near("clock_nanosleep", asleep.sum(), &times["time_ns"]);
    // Half of the sleeps are of six milliseconds, half of three.
    let bound = |name: &str| times[name].as_u64().unwrap_or_default();
    if bound("half_at_most_ns") <= 3_000_000 || bound("p99_at_most_ns") <= 6_000_000 {
        wrong.0.push(format!("bounds of sleeps: {times}"));
    }
    wrong
}

/// Two servers, one ten times as slow: from both sides, as the client's own clock says.
fn check_connections(table: &Value, printed: &str) -> Wrong {
    let mut wrong = Wrong::default();
    for (line, least_ns) in printed.lines().zip([2_000_000, 20_000_000]) {
        let (port, waited_us) = line.split_once(' ').unwrap();
        let far_end = format!("127.0.0.1:{port}");
        let client = row(table, &[("far_end", &far_end), ("side", "client")]);
        let first_byte = &client["first_byte"];
        wrong.is("connects", 1, &client["connect"]["count"]);
        wrong.is("sent", 700, &client["bytes_sent"]);
        wrong.is("refused", 0, &client["refused"]);
        wrong.is("timed out", 0, &client["timed_out"]);
        let waited_us = waited_us.parse().unwrap();
        wrong.is_near(&far_end, waited_us, &first_byte["time_ns"]);
        if first_byte["half_at_most_ns"].as_u64().unwrap_or_default() <= least_ns {
            wrong.0.push(format!("bounds of answers: {first_byte}"));
        }
        let side = format!("server :{port}");
        let server = row(table, &[("side", &side)]);
        wrong.is("accepts", 1, &server["accept_queue"]["count"]);
        wrong.is("answers", 100, &server["first_byte"]["count"]);
    }
    wrong
}

#[test]
fn tables_tell_what_programs_count_themselves() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    // Every call is to be there, whatever that costs.
    let budget = ["--max-overhead", "off"];
    let events = ["-e", "cpu,syscall,tcp", "--window", "2"];
    let events: Vec<&str> = budget.into_iter().chain(events).collect();
    let server = up(&dir.path().join("data"), &events);
    until("a window is there", TABLE_LIMIT, || {
        Ok(query(&server, &["syscalls"]).ok())
    })
    .unwrap();
    let calls = Case {
        table: "syscalls",
        program: "calls",
        arguments: &[],
        // Its last call: windows come in order.
        is_whole: |table| row(table, &[("call", "exit_group")])["times"]["count"] == 1,
        check: check_calls,
    };
    calls.run(&server);
    let talk = Case {
        table: "tcp",
        program: "talk",
        arguments: &["slow"],
        is_whole: |table| {
            let rows = table["rows"].as_array().unwrap().iter();
            let is_whole = |row: &&Value| row["side"] == "client" && row["bytes_received"] == 600;
            rows.filter(is_whole).count() == 2
        },
        check: check_connections,
    };
    talk.run(&server);
    // Programs are told apart by their labels.
    let by_program = query(
        &server,
        &["syscalls", "--by", "comm,host", "--top", "10000"],
    )
    .unwrap();
    let mut rows = by_program["rows"].as_array().unwrap().iter();
    let labels = rows
        .find(|row| row["labels"]["comm"] == "calls")
        .map(|row| &row["labels"]);
    assert!(
        labels.is_some_and(|labels| labels["host"] != ""),
        "{labels:?}"
    );
    let refused = query(&server, &["heap"]).unwrap_err().to_string();
    assert!(refused.contains("-e cpu,alloc"), "{refused}");
}

//! Programs that are recorded in all signals, and what is found of them.

use std::{fs, net::TcpListener, path::PathBuf, process::Command};

use profiler_tests::harness::{Running, product, say, workload};
use serde_json::Value;
use tempfile::TempDir;

/// Seconds that each program runs.
pub(super) const SECONDS: &str = "6";
/// Signals of what a program does, and waits for.
pub(super) const ACTIVITY: &[&str] = &[
    "cpu",
    "offcpu",
    "syscall",
    "syscall_counts",
    "tcp",
    "tcp_counts",
];
/// Signals of memory, and what they are compared with.
pub(super) const MEMORY: &[&str] = &["cpu", "alloc", "page_fault"];

/// A recording of everything that some programs did.
pub(super) struct Recorded {
    folder: TempDir,
    signals: &'static [&'static str],
    /// What the recording said of itself.
    account: String,
}

/// What is found of a program.
#[derive(Debug)]
pub(super) struct Found {
    /// All findings, gravest first: kind, sentence and place.
    pub(super) all: Vec<String>,
    /// Those that are more than good to know.
    pub(super) grave: Vec<String>,
}

impl Recorded {
    /// Records a command from its beginning to its end.
    pub(super) fn of(command: &[&str], signals: &'static [&'static str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut record = Command::new(product().unwrap());
        record.args(["record", "-F", "199", "-e", &signals.join(","), "-o"]);
        record
            .arg(folder.path().join("out.json"))
            .arg("--")
            .args(command);
        let output = record.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self {
            folder,
            signals,
            account: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What is found of the processes of a name.
    pub(super) fn found(&self, comm: &str) -> Found {
        let limit = |name: &str, measure: &str| {
            format!("[[limit]]\nname = \"{name}\"\nselector = '{{comm=\"{comm}\"}}'\n{measure}\n")
        };
        let budget = [
            limit("all", "measure = \"findings\"\nleast = \"info\""),
            limit("grave", "measure = \"findings\"\nleast = \"warning\""),
            limit("on a CPU", "measure = \"cores\"\nat_most = \"1000\""),
            limit("off", "measure = \"waiting\"\nat_most = \"1000\""),
        ];
        fs::write(self.folder.path().join("budget.toml"), budget.concat()).unwrap();
        let limits = self.check();
        // What takes next to no CPU time waits, and what never waits takes it.
        let is_seen = |limit: &Value| limit["value_text"] != "no data";
        assert!(limits[2..].iter().any(is_seen), "{comm} was not seen");
        let details = |limit: usize| {
            let details = limits[limit]["details"].as_array().unwrap().iter();
            details
                .map(|detail| detail.as_str().unwrap().to_owned())
                .collect()
        };
        let found = Found {
            all: details(0),
            grave: details(1),
        };
        say(&format!("{comm}: {found:#?}"));
        if found.all.is_empty() {
            say(&self.account);
        }
        found
    }

    /// Checks the budget.
    fn check(&self) -> Vec<Value> {
        let mut check = Command::new(product().unwrap());
        check.current_dir(self.folder.path());
        check.args(["check", "--budget", "budget.toml", "--format", "json"]);
        for signal in self.signals {
            check.args(["--input", &format!("out.{signal}.json")]);
        }
        let output = check.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        report["limits"].as_array().expect("a report").clone()
    }
}

/// A port where nobody listens. Nobody else takes it in the moment until it is used.
pub(super) fn free_port() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port().to_string()
}

/// A folder with copies of a workload under names of their own, by which they are told apart.
pub(super) struct Named {
    folder: TempDir,
}

impl Named {
    pub(super) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// The file of a workload under another name.
    pub(super) fn file(&self, name: &str, of: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::copy(workload(of).unwrap(), &file).unwrap();
        file
    }
}

/// A server that answers each request after so many microseconds, and its port.
pub(super) fn serve(answer_after_us: &str) -> (Running, String) {
    let port = free_port();
    let mut server = Command::new(workload("healthy").unwrap());
    server.args(["60", "server", &port, answer_after_us]);
    (Running::start(&mut server).unwrap(), port)
}

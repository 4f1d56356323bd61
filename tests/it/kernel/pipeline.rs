//! `docs/ci.md`, done: its budget, its script, and the lines of its pipelines that run the script.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use profiler_tests::{
    harness::{product, workload},
    require_root, require_tool,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The document, from the folder of this crate.
const DOCUMENT: &str = "../docs/ci.md";
/// Seconds that the benchmark runs.
const SECONDS: u32 = 5;
/// Reads a report as tools do that read `JUnit`, and says what is in it.
const READ_JUNIT: &str = "
import json, sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
cases = {case.get('name'): [child.tag for child in case] for case in suite.iter('testcase')}
print(json.dumps({'tests': suite.get('tests'), 'failures': suite.get('failures'), 'cases': cases}))
";

/// The first block of a language in the document.
fn block<'a>(document: &'a str, language: &str) -> &'a str {
    let (_before, rest) = document.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// The line of a pipeline that runs the script, without what makes it YAML.
fn step<'a>(document: &'a str, form: &str) -> &'a str {
    let runs = |line: &&str| line.contains("./perf-budget.sh") && line.contains(form);
    let line = document.lines().find(runs).unwrap().trim();
    line.trim_start_matches("- ").trim_start_matches("run: ")
}

/// A checkout as the document wants it.
struct Checkout {
    folder: TempDir,
    document: String,
}

impl Checkout {
    /// Budget and script from the document, and `sudo`, which these tests need not have.
    fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
        let checkout = Self {
            folder: TempDir::new().unwrap(),
            document: fs::read_to_string(path).unwrap(),
        };
        checkout.write("budget.toml", block(&checkout.document, "toml"));
        checkout.write("perf-budget.sh", block(&checkout.document, "sh"));
        checkout.write("sudo", "#!/bin/sh\nexec \"$@\"\n");
        checkout
    }

    /// Path of a file.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that can be run.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What is measured: a workload in one of its modes.
    fn set_benchmark(&self, name: &str, mode: &str) {
        let program = workload(name).unwrap();
        let line = format!("exec {} {SECONDS} {mode}", program.display());
        self.write("benchmark", &format!("#!/bin/sh\n{line}\n"));
    }

    /// Runs a line as a pipeline does.
    fn run(&self, line: &str) -> Output {
        let product = product().unwrap();
        let folders = [self.folder.path(), product.parent().unwrap()];
        let present = env::var_os("PATH").unwrap();
        let folders = folders.map(Path::to_owned).into_iter();
        let path = env::join_paths(folders.chain(env::split_paths(&present))).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path());
        let shell = shell.env("PATH", path);
        let shell = shell.env("GITHUB_STEP_SUMMARY", self.path("summary.md"));
        shell.output().unwrap()
    }

    /// The `JUnit` report, read.
    fn junit(&self, python: &Path) -> Value {
        let mut reader = Command::new(python);
        reader.args(["-c", READ_JUNIT]).arg(self.path("budget.xml"));
        let output = reader.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn the_pipelines_of_the_document_pass_and_fail_as_they_say() {
    let _turn = require_root!();
    let python = require_tool!("python3");
    let checkout = Checkout::new();
    let (github, gitlab) = (
        step(&checkout.document, "markdown"),
        step(&checkout.document, "junit"),
    );

    checkout.set_benchmark("healthy", "even");
    let kept = checkout.run(gitlab);
    assert_eq!(Some(0), kept.status.code(), "{kept:?}");
    let report = checkout.junit(&python);
    assert_eq!(
        (json!("3"), json!("0")),
        (report["tests"].clone(), report["failures"].clone()),
        "{report}"
    );
    assert_eq!(
        json!([]),
        report["cases"]["checksums stay cheap"],
        "{report}"
    );

    let moved = "mv new.json main.json";
    assert!(checkout.document.contains(moved));
    assert!(checkout.run(moved).status.success());
    checkout.set_benchmark("sick", "hot_function");
    let broken = checkout.run(gitlab);
    assert_eq!(Some(1), broken.status.code(), "{broken:?}");
    let report = checkout.junit(&python);
    for limit in ["checksums stay cheap", "no slower than the main branch"] {
        assert_eq!(json!(["failure"]), report["cases"][limit], "{report}");
    }

    let broken = checkout.run(github);
    assert_eq!(Some(1), broken.status.code(), "{broken:?}");
    let summary = fs::read_to_string(checkout.path("summary.md")).unwrap();
    let row = summary
        .lines()
        .find(|line| line.contains("checksums stay cheap"));
    let row = row.unwrap_or_else(|| panic!("no row in {summary}"));
    assert!(row.starts_with("| ❌"), "{summary}");
    assert!(summary.contains("checksum"), "{summary}");

    let table = checkout.run("./perf-budget.sh");
    assert_eq!(Some(1), table.status.code(), "{table:?}");
    let table = String::from_utf8(table.stdout).unwrap();
    let row = table
        .lines()
        .find(|line| line.contains("checksums stay cheap"));
    assert!(row.is_some_and(|row| row.starts_with("broken")), "{table}");
}

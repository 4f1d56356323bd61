//! A host that does what hosts do: it compiles, interprets, encrypts, starts processes.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, process::Command};

use profiler_tests::{
    harness::{FoldedStack, Outcome, Record, Running, say, source, tool, workload},
    require_root,
};
use tempfile::TempDir;

use super::check::run;

/// Length of the recording.
const SECONDS: u32 = 20;
/// Instantiations in the generated file: the compiler works on it for about half of the recording.
const TEMPLATES: u32 = 400;

/// A C++ file that keeps the compiler busy: the standard library's heaviest templates, with new types.
fn cpp_file(dir: &Path) -> std::path::PathBuf {
    let mut text =
        "#include <algorithm>\n#include <map>\n#include <regex>\n#include <string>\n".to_owned();
    for index in 0..TEMPLATES {
        writeln!(
            text,
            "struct key_{index} {{ int value; bool operator<(const key_{index} &o) const {{ return value < o.value; }} }};\n\
             int use_{index}(std::map<key_{index}, std::string> &map, std::vector<key_{index}> &keys) {{\n\
             std::sort(keys.begin(), keys.end());\n\
             for (auto &key : keys) map[key] = std::to_string(key.value + {index});\n\
             return (int)map.size(); }}"
        )
        .unwrap();
    }
    let path = dir.join("generated.cpp");
    fs::write(&path, text).unwrap();
    path
}

/// A loop around a command line, ended with the value.
fn again_and_again(line: &str, arguments: &[&Path]) -> Running {
    let endless = format!("while :; do {line}; done");
    let mut shell = Command::new("sh");
    Running::start_silent(shell.arg("-c").arg(endless).args(arguments)).unwrap()
}

/// Everything that runs at once. Tools that the host lacks are left out.
pub(super) fn load(dir: &Path) -> Vec<Running> {
    let cpp = cpp_file(dir);
    let short = workload("short").unwrap();
    let mut load = vec![
        again_and_again(r#"g++ -O2 -g -c -o /dev/null "$0""#, &[&cpp]),
        again_and_again(r#"sh "$0" 10 "$1""#, &[&source("shell.sh"), &short]),
    ];
    if let Some(python) = tool("python3") {
        load.push(again_and_again(
            r#""$0" "$1" 60"#,
            &[&python, &source("interpreter.py")],
        ));
    }
    if let Some(node) = tool("node") {
        let line = r#"cd "$2" && "$0" --perf-basic-prof "$1" 60"#;
        load.push(again_and_again(line, &[&node, &source("jit.js"), dir]));
    }
    if let Some(openssl) = tool("openssl") {
        load.push(again_and_again(
            r#""$0" speed -seconds 1 sha256 rsa2048"#,
            &[&openssl],
        ));
    }
    load
}

/// What the profile says of its own quality, as a table.
fn reasons(outcome: &Outcome, of_load: f64) -> String {
    let quality = &outcome.profile.quality;
    let mut table = format!(
        "mixed load: {} samples, of the user stacks {:.2} % complete, of those of the load {:.2} %; {} by fallback, lost {}\n",
        quality.samples,
        outcome.user_complete_share(|_task| true) * 100.0,
        of_load * 100.0,
        quality.fallback,
        quality.lost_total()
    );
    for (reason, count) in &quality.truncated {
        let reason = serde_json::to_value(reason).unwrap();
        writeln!(table, "  truncated, {reason}: {count}").unwrap();
    }
    table
}

/// The processes that run now.
fn processes() -> BTreeSet<u32> {
    let names = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

/// The profile is of everything at once, so a hole in any of it shows. What ran before the load is not
/// judged: on a developer's machine that can be anything, an emulator whose code nobody can unwind too.
#[test]
fn nearly_all_stacks_are_complete_and_none_is_lost() {
    let _turn = require_root!();
    let dir = TempDir::new().unwrap();
    let before = processes();
    let load = load(dir.path());
    let outcome = run(&Record::host().hz(999).seconds(SECONDS));
    drop(load);
    let of_load = outcome.user_complete_share(|task| !before.contains(&task.pid.0));
    let table = reasons(&outcome, of_load);
    say(&table);
    let cut = outcome.collapsed.select(FoldedStack::is_truncated);
    assert!(of_load >= 0.97, "{table}{}", cut.heaviest(20));
    for comm in ["cc1plus", "short"] {
        assert!(outcome.collapsed.of_comm(comm).total() > 100, "no {comm}");
    }
}

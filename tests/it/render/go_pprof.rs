//! `go tool pprof` opens our profiles and counts as we do.

use std::{collections::BTreeMap, fs};

use profiler::render::{self, Format};

use super::{sample, tool};

/// Weights of one function: in itself, and with all it calls.
type Weights = BTreeMap<String, (u64, u64)>;

#[test]
fn its_top_equals_the_collapsed_stacks() {
    let Some(go) = tool::find("go") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sample.pb.gz");
    let profile = sample::profile();
    fs::write(&path, render::write(&profile, Format::Pprof).unwrap()).unwrap();
    let args = [
        "tool",
        "pprof",
        "-top",
        "-nodecount=1000",
        "-nodefraction=0",
        "-symbolize=none",
    ];
    let report = tool::run(
        &go,
        args.map(str::to_owned)
            .into_iter()
            .chain([path.display().to_string()]),
    );
    assert!(report.contains("Type: samples"), "{report}");
    // One sample has no frames.
    assert!(
        report.contains("accounting for 99, 99.00% of 100 total"),
        "{report}"
    );
    let collapsed = render::write(&profile, Format::Collapsed).unwrap();
    assert_eq!(
        top_of_stacks(&String::from_utf8(collapsed).unwrap()),
        top_of_report(&report),
        "{report}"
    );
}

#[test]
fn it_shows_quality_labels_and_build_ids() {
    let Some(go) = tool::find("go") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sample.pb.gz");
    fs::write(
        &path,
        render::write(&sample::profile(), Format::Pprof).unwrap(),
    )
    .unwrap();
    let show = |form: &str| {
        tool::run(
            &go,
            [
                "tool",
                "pprof",
                form,
                "-symbolize=none",
                path.to_str().unwrap(),
            ],
        )
    };
    let raw = show("-raw");
    for wanted in [
        "PeriodType: cpu nanoseconds",
        "Period: 10101010",
        "00112233445566778899aabbccddeeff00112233",
        "comm:[app-worker]",
        "pid:[100]",
        "app.cc:40",
    ] {
        assert!(raw.contains(wanted), "{wanted}: {raw}");
    }
    let comments = show("-comments");
    assert!(comments.contains("lost: 2 ring_full"), "{comments}");
    assert!(
        comments.contains("truncated: 3 no_unwind_info"),
        "{comments}"
    );
}

/// Weights as collapsed stacks have them, under the names that `go tool pprof` shows: no marks;
/// of frames without a name only the file, in brackets.
fn top_of_stacks(collapsed: &str) -> Weights {
    let mut weights = Weights::new();
    for line in collapsed.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        let count: u64 = count.parse().unwrap();
        let names: Vec<String> = stack.split(';').skip(1).map(shown_name).collect();
        for (place, name) in names.iter().enumerate() {
            let weight = weights.entry(name.clone()).or_default();
            if place + 1 == names.len() {
                weight.0 += count;
            }
            if !names[..place].contains(name) {
                weight.1 += count;
            }
        }
    }
    weights
}

/// A label as `go tool pprof` shows the same frame.
fn shown_name(label: &str) -> String {
    let name = ["_[k]", "_[i]", "_[j]"]
        .iter()
        .find_map(|mark| label.strip_suffix(mark))
        .unwrap_or(label);
    match name
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("+0x"))
    {
        Some((file, _)) => format!("[{file}]"),
        None if name.starts_with("[0x") => "<unknown>".to_owned(),
        // Collapsed stacks cannot hold a semicolon; pprof can.
        None => name.replace("[u8: 16]", "[u8; 16]"),
    }
}

/// Weights as the report lists them: `flat flat% sum% cum cum% name`.
fn top_of_report(report: &str) -> Weights {
    let rows = report
        .lines()
        .skip_while(|line| !line.contains("flat%"))
        .skip(1);
    let mut weights = Weights::new();
    for row in rows {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let name = columns[5..].join(" ");
        let name = name.strip_suffix(" (inline)").unwrap_or(&name);
        let name = name.strip_suffix(" (partial-inline)").unwrap_or(name);
        weights.insert(
            name.to_owned(),
            (columns[0].parse().unwrap(), columns[3].parse().unwrap()),
        );
    }
    weights
}

//! Judges what a guest handed back, against what is promised for its kernel.

use serde_json::Value;

use super::report::Report;

/// Least share of samples that must be whole.
const WHOLE_SHARE_MIN: f64 = 0.97;

/// Fewest samples that make a share worth stating: fifteen seconds at 99 Hz are 1,485, and a guest's
/// emulated clock loses some.
const SAMPLES_MIN: u64 = 100;

/// Levels of `descend` in the workload.
const LEVELS: usize = 8;

/// First release whose kernels can run the unwinder's loop (`bpf_loop` is in 5.17).
const UNWINDER_SINCE: (u32, u32) = (5, 17);

/// What is promised for a kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Promise {
    /// Complete stacks, of programs without frame pointers too.
    Unwinder,
    /// Stacks of programs that keep frame pointers.
    FramePointers,
}

/// What came of one guest.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What was measured.
    pub(super) figures: Vec<String>,
    /// What is not as promised; none when all is well.
    pub(super) complaints: Vec<String>,
}

impl Promise {
    /// The promise for the kernel that a guest ran.
    pub(super) fn of(report: &Report) -> Self {
        let mut numbers = report.release.split(['.', '-', '+']);
        let mut next = || numbers.next().and_then(|number| number.parse().ok());
        if (next().unwrap_or(0), next().unwrap_or(0)) < UNWINDER_SINCE {
            Self::FramePointers
        } else {
            Self::Unwinder
        }
    }

    /// Workloads whose chains must be whole.
    fn workloads(self) -> &'static [&'static str] {
        match self {
            Self::Unwinder => &["workload", "workload-fp"],
            Self::FramePointers => &["workload-fp"],
        }
    }
}

/// Holds a report against a promise.
pub(super) fn judge(report: &Report, promise: Promise) -> Verdict {
    let mut verdict = Verdict::default();
    for step in ["version", "doctor"] {
        verdict.expect_success(report, step);
    }
    for workload in ["workload", "workload-fp"] {
        verdict.expect_success(report, &format!("record-{workload}"));
    }
    for workload in promise.workloads() {
        verdict.judge_chains(report, workload);
        if promise == Promise::Unwinder {
            verdict.judge_quality(report, workload);
        }
    }
    verdict
}

impl Verdict {
    /// A step has to end with status 0; that of `doctor` and `record` says that programs loaded.
    fn expect_success(&mut self, report: &Report, name: &str) {
        let step = report.step(name);
        if step.status == Some(0) {
            return;
        }
        let status = (step.status).map_or("no status".to_owned(), |code| format!("status {code}"));
        let last = step.text.lines().rfind(|line| !line.trim().is_empty());
        self.complaints
            .push(format!("{name}: {status}: {}", last.unwrap_or("")));
    }

    /// The stacks have to reach from main over every level to a leaf.
    fn judge_chains(&mut self, report: &Report, workload: &str) {
        let text = &report.step(&format!("collapsed-{workload}")).text;
        let (mut whole, mut all) = (0, 0);
        for (stack, count) in text.lines().filter_map(parse_line) {
            let mut frames = stack.split(';');
            // Threads are rooted in their name, which is cut to 15 bytes and to the program's here.
            if frames.next() != Some(workload) {
                continue;
            }
            all += count;
            if is_whole(&frames.collect::<Vec<_>>()) {
                whole += count;
            }
        }
        self.judge_share(workload, "from main to a leaf", whole, all);
    }

    /// The profile's own account of its quality has to agree.
    fn judge_quality(&mut self, report: &Report, workload: &str) {
        let text = &report.step(&format!("json-{workload}")).text;
        let profile: Value = match serde_json::from_str(text) {
            Ok(profile) => profile,
            Err(error) => {
                let what = format!("{workload}: the profile is no JSON: {error}");
                return self.complaints.push(what);
            }
        };
        let count = |name: &str| profile["profile"]["quality"][name].as_u64().unwrap_or(0);
        self.judge_share(
            workload,
            "complete by its quality",
            count("complete"),
            count("samples"),
        );
        if let Some(reasons) = profile["profile"]["quality"]["truncated"].as_object() {
            for (reason, count) in reasons {
                let what = format!("{workload}: truncated, {reason}: {count}");
                self.figures.push(what);
            }
        }
    }

    /// Notes a share of samples, and complains when it is too small or of too few.
    fn judge_share(&mut self, workload: &str, what: &str, part: u64, all: u64) {
        let figure = format!("{workload}: {part} of {all} samples {what}");
        #[expect(clippy::cast_precision_loss, reason = "counts of a run of seconds")]
        let is_enough = part as f64 >= WHOLE_SHARE_MIN * all as f64;
        if all < SAMPLES_MIN || !is_enough {
            self.complaints.push(figure.clone());
        }
        self.figures.push(figure);
    }
}

/// The stack and the count of a collapsed line.
fn parse_line(line: &str) -> Option<(&str, u64)> {
    let (stack, count) = line.rsplit_once(' ')?;
    Some((stack, count.parse().ok()?))
}

/// Whether frames, root first, hold the whole of the workload's known chain. Kernel frames on top
/// of a leaf are fine; so is main as the leaf, which reads the clock.
fn is_whole(frames: &[&str]) -> bool {
    let Some(main) = frames.iter().position(|frame| *frame == "main") else {
        return false;
    };
    let chain: Vec<&str> = frames[main + 1..]
        .iter()
        .copied()
        .filter(|frame| !frame.ends_with("_[k]"))
        .collect();
    let levels = chain
        .iter()
        .take_while(|frame| **frame == "descend")
        .count();
    match chain.get(levels..) {
        Some([]) => levels <= LEVELS,
        Some([leaf]) => levels == LEVELS && leaf.starts_with("spin_"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack of the workload with this many levels.
    fn stack(workload: &str, levels: usize) -> String {
        format!(
            "{workload};_start;__libc_start_main;main;{}spin_60",
            "descend;".repeat(levels)
        )
    }

    /// The report of a guest whose chains and quality are as given, in samples.
    fn report(release: &str, whole: u64, cut: u64, complete: u64) -> Report {
        let mut said = format!(
            "@boot {release}\n@begin version\n@end version 0\n@begin doctor\n@end doctor 0\n"
        );
        for workload in ["workload", "workload-fp"] {
            let json = serde_json::json!({"profile": {"quality": {
                "samples": whole + cut,
                "complete": complete,
                "truncated": {"unsupported_rule": whole + cut - complete},
            }}});
            let chain = stack(workload, LEVELS);
            let steps = [
                ("record", String::new()),
                (
                    "collapsed",
                    format!("{chain} {whole}\n{workload};spin_60 {cut}\nsh;x 900\n"),
                ),
                ("json", format!("{json}\n")),
            ];
            for (step, text) in steps {
                let name = format!("{step}-{workload}");
                said.extend(["@begin ", &name, "\n", &text, "@end ", &name, " 0\n"]);
            }
        }
        Report::read(&(said + "@done\n"))
    }

    /// The complaints about a report.
    fn complaints(report: &Report) -> Vec<String> {
        judge(report, Promise::of(report)).complaints
    }

    #[test]
    fn as_many_whole_stacks_as_promised_pass() {
        assert_eq!(complaints(&report("6.1.0-37", 97, 3, 97)), [""; 0]);
    }

    #[test]
    fn one_whole_stack_too_few_is_a_complaint() {
        let found = complaints(&report("6.1.0-37", 96, 4, 97));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("96 of 100"), "{found:?}");
    }

    #[test]
    fn quality_that_says_otherwise_is_a_complaint() {
        let found = complaints(&report("6.12.94", 100, 0, 90));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("complete by its quality"), "{found:?}");
    }

    #[test]
    fn too_few_samples_are_a_complaint() {
        assert!(!complaints(&report("6.12.94", 99, 0, 99)).is_empty());
    }

    #[test]
    fn old_kernels_are_held_to_frame_pointers_only() {
        let old = report("5.10.0-34-cloud-amd64", 100, 0, 0);
        assert_eq!(Promise::of(&old), Promise::FramePointers);
        assert_eq!(complaints(&old), [""; 0]);
        assert!(!complaints(&report("5.10.0-34", 50, 50, 0)).is_empty());
    }

    #[test]
    fn a_step_that_failed_is_a_complaint() {
        let said = Report::read("@boot 6.1.0\n@begin doctor\nno BTF here\n@end doctor 3\n@done\n");
        let found = complaints(&said);
        assert!(
            found.contains(&"doctor: status 3: no BTF here".to_owned()),
            "{found:?}"
        );
        assert!(
            found.contains(&"record-workload: no status: ".to_owned()),
            "{found:?}"
        );
    }

    #[test]
    fn a_chain_is_whole_only_with_every_level() {
        let whole = |stack: String| is_whole(&stack.split(';').collect::<Vec<_>>());
        assert!(whole(stack("w", LEVELS)));
        assert!(whole(
            stack("w", LEVELS) + ";asm_sysvec_apic_timer_interrupt_[k]"
        ));
        assert!(!whole(stack("w", LEVELS - 1)));
        assert!(!whole(stack("w", LEVELS) + ";elsewhere"));
        assert!(!whole("w;descend;spin_60".to_owned()));
        assert!(whole("w;_start;main".to_owned()));
    }
}

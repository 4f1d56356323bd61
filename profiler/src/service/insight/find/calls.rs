//! System calls: storms of them, and those that move next to nothing.

use super::look::{CPU_TIME, Found, Look};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, Severity, Site, Unit, evidence::Weight,
};

/// What names of errors begin with; calls that did not fail, or did not end yet, have others.
const ERROR: char = 'E';

/// Calls that are so many that their number is the cost.
pub(super) fn storms(look: &Look<'_>) -> Vec<Finding> {
    let rule = &look.rules.syscall_storm;
    let judge = |call: &Call| {
        let is_short = call.mean_ns <= rule.mean_ns_most;
        let is_io = look.rules.tiny_io.calls.contains(&call.name);
        let is_felt = rule.share_least <= call.share;
        if is_short && is_felt && !is_io {
            rule.severity(call.per_second)
        } else {
            None
        }
    };
    calls(look, FindingKind::SyscallStorm, &judge)
}

/// Reads and writes that are so short that they moved next to nothing.
pub(super) fn tiny_io(look: &Look<'_>) -> Vec<Finding> {
    let rule = &look.rules.tiny_io;
    let judge = |call: &Call| {
        let is_io = rule.calls.contains(&call.name);
        let is_felt = rule.share_least <= call.share;
        let is_short = call.mean_ns <= rule.mean_ns_most;
        if is_io && is_felt && is_short {
            rule.severity(call.per_second)
        } else {
            None
        }
    };
    calls(look, FindingKind::TinyIo, &judge)
}

/// How one call is used.
struct Call {
    name: String,
    per_second: f64,
    mean_ns: f64,
    count: f64,
    /// Of CPU time; one where that was not recorded.
    share: f64,
    /// Of all, those that failed.
    failed_share: f64,
}

/// How grave the use of a call is; nothing when it is fine.
type Judge<'a> = &'a dyn Fn(&Call) -> Option<Severity>;

/// A finding for each call that a rule minds.
fn calls(look: &Look<'_>, kind: FindingKind, judge: Judge<'_>) -> Vec<Finding> {
    let table = &look.evidence.syscall_counts;
    let by_name = table.by(|path| path.sites.first().copied());
    let cpu_ns = look.evidence.cpu_ns();
    let call = |(site, weight): (&u32, &Weight)| {
        let [count, total_ns, ..] = weight.values;
        let failed = table.of(|path| {
            let outcome = path.sites.get(1).map(|outcome| table.site(*outcome));
            path.sites.first() == Some(site)
                && outcome.is_some_and(|o| o.function.starts_with(ERROR))
        });
        Call {
            name: table.site(*site).function.to_string(),
            per_second: count / look.evidence.seconds(),
            mean_ns: total_ns / count.max(1.0),
            count,
            // Calls that also wait take more than CPU time; without CPU time there is nothing to
            // compare.
            share: (total_ns / cpu_ns.max(total_ns).max(1.0)).min(1.0),
            failed_share: failed.values[0] / count.max(1.0),
        }
    };
    let found = by_name.iter().map(call);
    found
        .filter_map(|call| Some(finding(look, kind, judge(&call)?, &call)))
        .collect()
}

/// One call as a finding.
fn finding(look: &Look<'_>, kind: FindingKind, severity: Severity, call: &Call) -> Finding {
    let place = caller(look, &call.name).unwrap_or_else(|| Site::thing(&call.name));
    let (count, mean) = (
        Unit::PerSecond.show(call.per_second),
        Unit::Nanoseconds.show(call.mean_ns),
    );
    let what = if kind == FindingKind::TinyIo {
        "each too short to move much; reading or writing more at once helps"
    } else {
        "so many that calling costs more than what is called does"
    };
    let summary = format!(
        "{} calls `{}` {count}, mostly from `{}`, for {mean} each: {what}.",
        look.service(),
        call.name,
        place.function,
    );
    let exact = |name, text, unit, value| Number::new(name, text, unit, Interval::exact(value));
    look.finding(Found {
        kind,
        severity,
        place,
        cost: (Interval::exact(call.share), CPU_TIME),
        evidence: vec![
            exact(
                "calls_per_second",
                "calls",
                Unit::PerSecond,
                call.per_second,
            ),
            exact(
                "call_mean",
                "mean length of a call",
                Unit::Nanoseconds,
                call.mean_ns,
            ),
            exact(
                "failed_share",
                "share of calls that failed",
                Unit::Ratio,
                call.failed_share,
            ),
        ],
        summary,
        shown_by: ("syscall", "time"),
        samples: call.count,
    })
}

/// The function of the service that makes a call most often.
fn caller(look: &Look<'_>, call: &str) -> Option<Site> {
    let table = &look.evidence.syscall;
    let callers = table.by(|path| {
        let innermost = table.names(path).next_back()?;
        let culprit = look.rules.frames.culprit(table, path);
        culprit.filter(|_site| &*innermost.function == call)
    });
    let heaviest = (callers.iter()).max_by(|(a_site, a), (b_site, b)| {
        let by_calls = a.values[1].total_cmp(&b.values[1]);
        by_calls
            .then(a.values[0].total_cmp(&b.values[0]))
            .then_with(|| b_site.cmp(a_site))
    });
    heaviest.map(|(site, _weight)| table.site(*site).clone())
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind,
        find::fixture::{cpu, first, kinds, minute, table},
    };

    /// A minute of calls: counts by call, and stacks that make them.
    fn calling(counts: &[(&str, [u64; 2])], stacks: &[(&str, [u64; 2])]) -> Evidence {
        Evidence {
            syscall_counts: table(counts),
            syscall: table(stacks),
            ..minute()
        }
    }

    #[test]
    fn a_storm_is_found_with_who_makes_it() {
        let found = first(&calling(
            &[
                (
                    "clock_gettime;ok;256 ns .. 512 ns",
                    [6_000_000, 1_800_000_000],
                ),
                ("openat;ENOENT;1 µs .. 2 µs", [100, 200_000]),
            ],
            &[
                (
                    "main;tick;__libc_clock_gettime;clock_gettime_[k]",
                    [1_700_000_000, 5_900_000],
                ),
                ("main;other;clock_gettime_[k]", [100_000_000, 100_000]),
            ],
        ));
        assert_eq!(FindingKind::SyscallStorm, found.kind);
        assert_eq!("tick", &*found.place.function);
        assert!(found.summary.contains("100k/s"), "{}", found.summary);
    }

    #[test]
    fn tiny_reads_are_not_a_storm_but_tiny() {
        let evidence = calling(
            &[("read;ok;512 ns .. 1 µs", [1_200_000, 840_000_000])],
            &[("main;next_byte;__read;read_[k]", [840_000_000, 1_200_000])],
        );
        let found = first(&evidence);
        assert_eq!(
            (FindingKind::TinyIo, "next_byte"),
            (found.kind, &*found.place.function)
        );
        assert!(!kinds(&evidence).contains(&FindingKind::SyscallStorm));
    }

    #[test]
    fn many_calls_that_are_next_to_nothing_of_a_large_service_are_fine() {
        let counts = [("getpid;ok;128 ns .. 256 ns", [6_000_000, 900_000_000])];
        let mut small = calling(&counts, &[]);
        small.cpu = cpu(&[("main;a", 1_000), ("main;b", 500)]).cpu;
        assert!(kinds(&small).contains(&FindingKind::SyscallStorm));
        let mut large = calling(&counts, &[]);
        large.cpu = cpu(&[("main;a", 100_000), ("main;b", 50_000)]).cpu;
        assert!(!kinds(&large).contains(&FindingKind::SyscallStorm));
    }

    #[test]
    fn few_calls_and_calls_that_wait_are_fine() {
        let few = [("read;ok;512 ns .. 1 µs", [60_000, 42_000_000])];
        let waits = [("futex;ok;1 ms .. 2 ms", [1_200_000, 1_800_000_000_000])];
        let large = [("write;ok;64 µs .. 128 µs", [1_200_000, 100_000_000_000])];
        for counts in [few, waits, large] {
            assert!(kinds(&calling(&counts, &[])).is_empty(), "{counts:?}");
        }
    }
}

//! CPU time: functions that take much by themselves.

use super::look::{CPU_TIME, Found, Look};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, SignalTable, Unit, evidence::Weight, proportion,
};

/// Signal and kind of value that show CPU time.
pub(super) const SHOWN_BY: (&str, &str) = ("cpu", "samples");

/// Functions that take much by themselves.
pub(super) fn hot_functions(look: &Look<'_>) -> Vec<Finding> {
    let (table, rule) = (&look.evidence.cpu, &look.rules.hot_function);
    let whole = table.whole();
    let cores = look.evidence.cores();
    if cores < rule.cores_least || whole.values[0] < rule.samples_least {
        return Vec::new();
    }
    let own = table.by(|path| path.sites.last().copied());
    let finding = |(site, weight): (&u32, &Weight)| {
        let (share, samples) = share_of(weight, &whole);
        let severity = rule.severity_of(share.low, share.value * cores)?;
        let place = table.site(*site).clone();
        let caller = heaviest_caller(look, *site);
        let called = caller.map_or(String::new(), |name| {
            format!(", mostly called from `{name}`")
        });
        let summary = format!(
            "`{}` itself takes {} of the CPU time of {} ({}){called}.",
            place.function,
            Unit::Ratio.show(share.value),
            look.service(),
            Unit::Cores.show(share.value * cores),
        );
        Some(look.finding(Found {
            kind: FindingKind::HotFunction,
            severity,
            place,
            cost: (share, CPU_TIME),
            evidence: shares("self_share", "share of CPU time by itself", share, cores),
            summary,
            shown_by: SHOWN_BY,
            samples,
        }))
    };
    own.iter().filter_map(finding).collect()
}

/// A share of the whole with its interval, and the effective samples of the whole.
pub(super) fn share_of(part: &Weight, whole: &Weight) -> (Interval, f64) {
    proportion(&SignalTable::parts(part, whole, 0), whole.values[0])
}

/// The numbers of a share of CPU time.
pub(super) fn shares(
    name: &'static str,
    text: &'static str,
    share: Interval,
    cores: f64,
) -> Vec<Number> {
    vec![
        Number::new(name, text, Unit::Ratio, share),
        Number::new(
            "cores",
            "CPUs in use by it",
            Unit::Cores,
            share.times(cores),
        ),
        Number::new(
            "service_cores",
            "CPUs in use in all",
            Unit::Cores,
            Interval::exact(cores),
        ),
    ]
}

/// The function of the service that most often leads to a library function; nothing for a function
/// of the service.
fn heaviest_caller(look: &Look<'_>, site: u32) -> Option<String> {
    let table = &look.evidence.cpu;
    let callers = table.by(|path| {
        let is_here = path.sites.last() == Some(&site);
        let culprit = look.rules.frames.culprit(table, path);
        culprit.filter(|culprit| is_here && *culprit != site)
    });
    let (caller, _weight) = (callers.iter()).max_by(|(a_site, a), (b_site, b)| {
        (a.values[0].total_cmp(&b.values[0])).then_with(|| b_site.cmp(a_site))
    })?;
    Some(table.site(*caller).function.to_string())
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        FindingKind, Severity,
        find::fixture::{cpu, first, kinds},
    };

    #[test]
    fn a_function_that_takes_most_is_found() {
        let found = first(&cpu(&[
            ("main;work;spin", 4_800),
            ("main;work;rest", 1_200),
        ]));
        assert_eq!(FindingKind::HotFunction, found.kind);
        assert_eq!(Severity::Critical, found.severity);
        assert_eq!("spin", &*found.place.function);
        let share = found.cost.interval;
        assert!(
            share.low < 0.8 && 0.8 < share.high && 0.7 < share.low,
            "{share:?}"
        );
        assert!(
            found.command.contains("query function 'spin'"),
            "{}",
            found.command
        );
    }

    #[test]
    fn work_that_is_spread_evenly_is_no_hot_function() {
        let stacks: Vec<(String, u64)> = (0..30).map(|n| (format!("main;f{n}"), 33)).collect();
        let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert!(kinds(&cpu(&stacks)).is_empty());
    }

    #[test]
    fn few_samples_or_little_work_say_nothing() {
        assert!(kinds(&cpu(&[("main;spin", 20)])).is_empty());
        let mut idle = cpu(&[("main;spin", 100)]);
        idle.span *= 1_000;
        assert!(kinds(&idle).is_empty());
    }

    #[test]
    fn a_library_function_is_told_with_its_caller() {
        let found = first(&cpu(&[("main;parse;memcpy", 600), ("main;rest", 400)]));
        assert_eq!("memcpy", &*found.place.function);
        assert!(
            found.summary.contains("called from `parse`"),
            "{}",
            found.summary
        );
    }
}

//! CPU time: one thread that has all of it to do.

use std::collections::HashMap;

use super::{
    cpu::SHOWN_BY,
    look::{CPU_TIME, Found, Look},
};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, Site, ThreadUse, Unit,
    evidence::slice_seconds,
    statistics::{mean, to_f64},
};

/// Threads that are as busy as a CPU can be, beside others that are not.
pub(super) fn busy_threads(look: &Look<'_>) -> Vec<Finding> {
    let mut by_pid: HashMap<&str, Vec<&ThreadUse>> = HashMap::new();
    for thread in &look.evidence.threads {
        by_pid.entry(&thread.pid).or_default().push(thread);
    }
    let found = by_pid.values().flat_map(|threads| {
        let others = threads.len().saturating_sub(1);
        let of_process: f64 = threads.iter().flat_map(|thread| &thread.cpu_ns).sum();
        (threads.iter()).filter_map(move |thread| busy_thread(look, thread, others, of_process))
    });
    found.collect()
}

/// One thread, if it is too busy.
fn busy_thread(
    look: &Look<'_>,
    thread: &ThreadUse,
    others: usize,
    of_process: f64,
) -> Option<Finding> {
    let rule = &look.rules.one_busy_thread;
    let seconds = slice_seconds(look.evidence.span, thread.cpu_ns.len());
    // A thread that waits for a CPU would be busy if it had one.
    let wanted = thread.cpu_ns.iter().zip(&thread.queued_ns);
    let cores: Vec<f64> = wanted
        .map(|(ran, queued)| (ran + queued) / 1e9 / seconds)
        .collect();
    let all = cores.iter().sum::<f64>() / to_f64(cores.len().max(1));
    let cores = mean(&cores).unwrap_or(Interval::exact(all));
    let share = thread.cpu_ns.iter().sum::<f64>() / of_process.max(1.0);
    if others < rule.others_least || share < rule.share_least || rule.cores_most < cores.value {
        return None;
    }
    let severity = rule.severity(cores.value)?;
    let place = heaviest_code(look).unwrap_or_else(|| Site::thing(&thread.thread));
    let summary = format!(
        "Thread `{}` of process {} takes {} and {} of the process's CPU time while {others} other \
         threads wait: more CPUs will not help; most of it is in `{}`.",
        thread.thread,
        thread.pid,
        Unit::Cores.show(cores.value),
        Unit::Ratio.show(share),
        place.function,
    );
    Some(look.finding(Found {
        kind: FindingKind::OneBusyThread,
        severity,
        place,
        cost: (Interval::exact(share), CPU_TIME),
        evidence: vec![
            Number::new(
                "cores",
                "CPUs in use or waited for by the thread",
                Unit::Cores,
                cores,
            ),
            Number::new(
                "process_share",
                "share of the process's CPU time",
                Unit::Ratio,
                Interval::exact(share),
            ),
        ],
        summary,
        shown_by: SHOWN_BY,
        samples: thread.cpu_ns.iter().sum::<f64>() / look.evidence.cpu_period_ns.max(1.0),
    }))
}

/// The function of the service that takes the most by itself, with what libraries do for it.
fn heaviest_code(look: &Look<'_>) -> Option<Site> {
    let table = &look.evidence.cpu;
    let own = table.by(|path| look.rules.frames.culprit(table, path));
    let heaviest = (own.iter()).max_by(|(a_site, a), (b_site, b)| {
        (a.values[0].total_cmp(&b.values[0])).then_with(|| b_site.cmp(a_site))
    });
    heaviest.map(|(site, _weight)| table.site(*site).clone())
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind, Rules, Severity, ThreadUse, find,
        find::fixture::{cpu, first, kinds},
    };

    /// A process of threads that take so many CPUs each, for six slices of ten seconds.
    fn threads(cores: &[f64]) -> Evidence {
        let mut evidence = cpu(&[("main;crunch", 5_000), ("main;rest", 100)]);
        let thread = |(number, cores): (usize, &f64)| ThreadUse {
            pid: "1".to_owned(),
            thread: format!("t{number}"),
            cpu_ns: vec![cores * 1e10; 6],
            queued_ns: vec![0.0; 6],
        };
        evidence.threads = cores.iter().enumerate().map(thread).collect();
        evidence
    }

    #[test]
    fn one_thread_that_works_while_others_wait_is_found() {
        let found = first(&threads(&[0.98, 0.0, 0.01, 0.0]));
        assert_eq!(FindingKind::OneBusyThread, found.kind);
        assert_eq!("crunch", &*found.place.function);
        assert!(found.summary.contains("`t0`"), "{}", found.summary);
    }

    #[test]
    fn a_hot_function_is_told_after_the_busy_thread_that_it_is_in() {
        let found = find(&threads(&[0.90, 0.0, 0.01, 0.0]), &Rules::default());
        let told: Vec<_> = found.iter().map(|f| (f.kind, f.severity)).collect();
        let expected = [
            (FindingKind::OneBusyThread, Severity::Warning),
            (FindingKind::HotFunction, Severity::Warning),
        ];
        assert_eq!(expected, told[..2]);
    }

    #[test]
    fn threads_that_share_the_work_or_one_alone_are_no_busy_thread() {
        for cores in [
            &[0.98, 0.9, 0.95][..],
            &[0.98],
            &[0.3, 0.0, 0.0],
            &[3.0, 0.0, 0.0],
        ] {
            let kinds = kinds(&threads(cores));
            assert!(!kinds.contains(&FindingKind::OneBusyThread), "{cores:?}");
        }
    }
}

//! Waiting: lock convoys, and threads that wait for a CPU.

use std::collections::HashMap;

use super::look::{ACTIVE_TIME, Found, Look, path_of, wait_samples};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, Path, SignalTable, Site, Unit, evidence::Weight,
    proportion,
};

/// The reason that stands for locks.
const LOCK: &str = "lock";

/// Places at which threads queue for a lock.
pub(super) fn lock_convoys(look: &Look<'_>) -> Vec<Finding> {
    let Some(table) = look.evidence.off_cpu.get(LOCK) else {
        return Vec::new();
    };
    let waits = table.by(|path| {
        let culprit = look.rules.frames.culprit(table, path);
        culprit.filter(|_site| look.is_lock_wait(table, path))
    });
    let found = waits.iter();
    found
        .filter_map(|(site, weight)| lock_convoy(look, table, *site, weight))
        .collect()
}

/// The queue at one place, if it is long enough.
fn lock_convoy(
    look: &Look<'_>,
    table: &SignalTable,
    site: u32,
    weight: &Weight,
) -> Option<Finding> {
    let rule = &look.rules.lock_convoy;
    let [waited_ns, events, ..] = weight.values;
    let seconds = look.evidence.seconds();
    let threads = waited_ns / 1e9 / seconds;
    let waits = wait_samples(waited_ns, events);
    if threads < rule.threads_least || waits < rule.samples_least {
        return None;
    }
    let (wholes, samples) = look.active_time();
    let parts = &weight.slices[0];
    let slices: Vec<(f64, f64)> = if parts.len() == wholes.len() {
        parts.iter().copied().zip(wholes).collect()
    } else {
        vec![(waited_ns, wholes.iter().sum())]
    };
    let (share, effective) = proportion(&slices, samples);
    let severity = rule.severity_of(share.low, threads)?;
    let place = table.site(site).clone();
    let holder = holder(look, &place);
    let held = holder.as_ref().map_or(String::new(), |holder| {
        format!(" that is most likely held in `{}`", holder.function)
    });
    let summary = format!(
        "On the average {threads:.1} threads of {} wait in `{}` for a lock{held}: {} of its CPU \
         and waiting time.",
        look.service(),
        place.function,
        Unit::Ratio.show(share.value),
    );
    let evidence = vec![
        Number::new(
            "wait_share",
            "share of CPU and waiting time",
            Unit::Ratio,
            share,
        ),
        Number::new(
            "threads_waiting",
            "threads that wait, on the average",
            Unit::Threads,
            Interval::exact(threads),
        ),
        Number::new(
            "waits_per_second",
            "waits",
            Unit::PerSecond,
            Interval::exact(events / seconds),
        ),
        Number::new(
            "wait_mean",
            "mean length of a wait",
            Unit::Nanoseconds,
            Interval::exact(waited_ns / events.max(1.0)),
        ),
    ];
    let mut finding = look.finding(Found {
        kind: FindingKind::LockConvoy,
        severity,
        place,
        cost: (share, ACTIVE_TIME),
        evidence,
        summary,
        shown_by: ("offcpu", "delay"),
        samples: effective,
    });
    finding.holder = holder;
    finding.path = heaviest_path(table, site);
    Some(finding)
}

/// The heaviest way to a place, up to it.
fn heaviest_path(table: &SignalTable, site: u32) -> Vec<Site> {
    let through = table.paths.iter().filter(|path| path.sites.contains(&site));
    let Some(heaviest) = through.max_by_key(|path| path.values[0]) else {
        return Vec::new();
    };
    let end = heaviest.sites.iter().rposition(|level| *level == site);
    path_of(table, &heaviest.sites[..=end.unwrap_or_default()])
}

/// What is done while others wait: the heaviest thing that the waiting function does itself, or
/// has done for it, apart from waiting for the lock. The lock is taken and given back around it.
fn holder(look: &Look<'_>, place: &Site) -> Option<Site> {
    let mut sums: HashMap<Site, f64> = HashMap::new();
    let mut add = |table: &SignalTable, path: &Path, nanoseconds: f64| {
        let levels = path.sites.iter().map(|site| table.site(*site));
        let mut levels = levels.filter(|site| site.is_user_code());
        let is_here = |site: &&Site| site.function == place.function && site.file == place.file;
        if let Some(here) = levels.find(is_here) {
            let held_in = levels.next().unwrap_or(here).clone();
            *sums.entry(held_in).or_default() += nanoseconds;
        }
    };
    let evidence = look.evidence;
    for path in &evidence.cpu.paths {
        let samples = crate::service::insight::evidence::number(path.values[0]);
        add(&evidence.cpu, path, samples * evidence.cpu_period_ns);
    }
    for (_reason, table) in evidence
        .off_cpu
        .iter()
        .filter(|(reason, _)| *reason != LOCK)
    {
        for path in &table.paths {
            let waited = crate::service::insight::evidence::number(path.values[0]);
            add(table, path, waited);
        }
    }
    let heaviest = sums.into_iter().max_by(|(a_site, a), (b_site, b)| {
        a.total_cmp(b)
            .then_with(|| b_site.function.cmp(&a_site.function))
    });
    heaviest.map(|(site, _weight)| site)
}

/// Threads that wait for a CPU although they could run.
pub(super) fn run_queue(look: &Look<'_>) -> Vec<Finding> {
    let (table, rule) = (&look.evidence.run_queue, &look.rules.run_queue_saturation);
    let cores = look.evidence.cores();
    if table.is_empty() || cores < rule.cores_least {
        return Vec::new();
    }
    let (queued, cpu) = (table.whole(), look.evidence.cpu.whole());
    let period = look.evidence.cpu_period_ns;
    let slices: Vec<(f64, f64)> = if queued.slices[0].len() == cpu.slices[0].len() {
        let both = queued.slices[0].iter().zip(&cpu.slices[0]);
        both.map(|(waited, ran)| (*waited, waited + ran * period))
            .collect()
    } else {
        let waited = queued.values[0];
        vec![(waited, waited + cpu.values[0] * period)]
    };
    let samples = cpu.values[0] + wait_samples(queued.values[0], 0.0);
    let (share, effective) = proportion(&slices, samples);
    let threads = queued.values[0] / 1e9 / look.evidence.seconds();
    let severity = rule.severity_of(share.low, threads);
    let Some(severity) = severity.filter(|_| rule.threads_least <= threads) else {
        return Vec::new();
    };
    let by_code = table.by(|path| look.rules.frames.culprit(table, path));
    let heaviest = (by_code.iter()).max_by(|(a_site, a), (b_site, b)| {
        (a.values[0].total_cmp(&b.values[0])).then_with(|| b_site.cmp(a_site))
    });
    let place = heaviest.map_or_else(
        || Site::thing("(no code of the service)"),
        |(site, _weight)| table.site(*site).clone(),
    );
    let summary = format!(
        "Threads of {} are ready to run but wait for a CPU: {} of their time, {threads:.1} threads \
         on the average, most often in `{}`. There are more busy threads than CPUs.",
        look.service(),
        Unit::Ratio.show(share.value),
        place.function,
    );
    vec![look.finding(Found {
        kind: FindingKind::RunQueueSaturation,
        severity,
        place,
        cost: (share, "running and waiting for a CPU"),
        evidence: vec![
            Number::new(
                "run_queue_share",
                "share of running and waiting for a CPU",
                Unit::Ratio,
                share,
            ),
            Number::new(
                "threads_queued",
                "threads that wait for a CPU, on the average",
                Unit::Threads,
                Interval::exact(threads),
            ),
            Number::new("cores", "CPUs in use", Unit::Cores, Interval::exact(cores)),
        ],
        summary,
        shown_by: ("offcpu", "runqueue"),
        samples: effective,
    })]
}

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Evidence, FindingKind, Rules, Severity, find,
        find::fixture::{cpu, first, kinds, minute, table},
    };

    /// A minute in which threads run `cpu`, and wait for locks in some places.
    fn waiting(on_cpu: &[(&str, u64)], waits: &[(&str, [u64; 2])]) -> Evidence {
        let mut evidence = cpu(on_cpu);
        evidence.off_cpu.insert("lock".to_owned(), table(waits));
        evidence
    }

    #[test]
    fn a_convoy_is_found_with_its_holder() {
        let found = first(&waiting(
            &[
                ("main;worker;update;copy_table", 5_000),
                ("main;worker;parse", 900),
            ],
            &[(
                "main;worker;update;pthread_mutex_lock;futex_wait_[k]",
                [180_000_000_000, 40_000],
            )],
        ));
        assert_eq!(FindingKind::LockConvoy, found.kind);
        assert_eq!("update", &*found.place.function);
        assert_eq!("copy_table", &*found.holder.unwrap().function);
        assert_eq!(Severity::Critical, found.severity);
        assert!(found.summary.contains("3.0 threads"), "{}", found.summary);
    }

    #[test]
    fn waiting_for_work_is_no_convoy() {
        let idle = waiting(
            &[("main;worker;work", 3_000), ("main;worker;rest", 3_000)],
            &[(
                "main;worker;next;pthread_cond_wait;futex_wait_[k]",
                [600_000_000_000, 1_000],
            )],
        );
        assert!(!kinds(&idle).contains(&FindingKind::LockConvoy));
    }

    #[test]
    fn a_lock_that_is_seldom_waited_for_is_no_convoy() {
        let seldom = waiting(
            &[("main;a", 5_000)],
            &[(
                "main;a;pthread_mutex_lock;futex_wait_[k]",
                [600_000_000, 500],
            )],
        );
        assert!(!kinds(&seldom).contains(&FindingKind::LockConvoy));
    }

    #[test]
    fn threads_without_a_cpu_are_found() {
        let mut evidence = cpu(&[("main;crunch", 6_000), ("main;b", 5_900)]);
        evidence.run_queue = table(&[("main;crunch;schedule_[k]", [360_000_000_000])]);
        let found = first(&evidence);
        assert_eq!(FindingKind::RunQueueSaturation, found.kind);
        assert_eq!("crunch", &*found.place.function);
        assert_eq!(Severity::Critical, found.severity);
    }

    #[test]
    fn threads_that_were_just_woken_up_are_no_saturation() {
        let queued = |nanoseconds: u64| {
            let mut evidence = cpu(&[("main;answer", 600), ("main;b", 500)]);
            evidence.run_queue = table(&[("main;answer;schedule_[k]", [nanoseconds])]);
            let found = find(&evidence, &Rules::default());
            let queue = found
                .into_iter()
                .find(|found| found.kind == FindingKind::RunQueueSaturation);
            queue.map(|found| found.severity)
        };
        assert_eq!(None, queued(2_500_000_000));
        assert_eq!(Some(Severity::Info), queued(20_000_000_000));
        assert_eq!(Some(Severity::Critical), queued(90_000_000_000));
    }

    #[test]
    fn a_short_queue_is_no_saturation() {
        let mut evidence = cpu(&[("main;crunch", 6_000)]);
        evidence.run_queue = table(&[("main;crunch;schedule_[k]", [3_000_000_000])]);
        assert!(!kinds(&evidence).contains(&FindingKind::RunQueueSaturation));
        let mut no_cpu = minute();
        no_cpu.run_queue = table(&[("main;crunch;schedule_[k]", [3_000_000_000])]);
        assert!(kinds(&no_cpu).is_empty());
    }
}

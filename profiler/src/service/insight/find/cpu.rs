//! CPU time: hot functions, hot paths, one busy thread.

use std::collections::{HashMap, HashSet};

use super::look::{CPU_TIME, Found, Look, path_of};
use crate::service::insight::{
    Finding, FindingKind, Interval, Number, SignalTable, Site, ThreadUse, Unit,
    evidence::{Weight, slice_seconds},
    proportion,
    statistics::{mean, to_f64},
};

/// Signal and kind of value that show CPU time.
const SHOWN_BY: (&str, &str) = ("cpu", "samples");

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
        let severity = rule.severity(share.low)?;
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
fn share_of(part: &Weight, whole: &Weight) -> (Interval, f64) {
    proportion(&SignalTable::parts(part, whole, 0), whole.values[0])
}

/// The numbers of a share of CPU time.
fn shares(name: &'static str, text: &'static str, share: Interval, cores: f64) -> Vec<Number> {
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

/// A node of the tree of all stacks.
struct Node {
    parent: usize,
    site: u32,
    depth: usize,
    total: u64,
    own: u64,
    children: Vec<usize>,
}

/// The tree of all stacks; the first node is above all of them.
fn tree(table: &SignalTable) -> Vec<Node> {
    let node = |parent, site, depth| Node {
        parent,
        site,
        depth,
        total: 0,
        own: 0,
        children: Vec::new(),
    };
    let mut nodes = vec![node(0, u32::MAX, 0)];
    let mut known: HashMap<(usize, u32), usize> = HashMap::new();
    for path in &table.paths {
        let mut at = 0;
        nodes[0].total += path.values[0];
        for (level, site) in path.sites.iter().enumerate() {
            let next = *known.entry((at, *site)).or_insert(nodes.len());
            if next == nodes.len() {
                nodes.push(node(at, *site, level + 1));
                nodes[at].children.push(next);
            }
            nodes[next].total += path.values[0];
            at = next;
        }
        nodes[at].own += path.values[0];
    }
    nodes
}

/// Ways through the code that take much, spread over many functions.
pub(super) fn hot_paths(look: &Look<'_>) -> Vec<Finding> {
    let (table, rule) = (&look.evidence.cpu, &look.rules.hot_path);
    let whole = table.whole();
    let cores = look.evidence.cores();
    if cores < rule.cores_least || whole.values[0] < rule.samples_least {
        return Vec::new();
    }
    let nodes = tree(table);
    let share = |weight: u64, of: u64| weight_share(weight, of);
    let ends = nodes.iter().enumerate().skip(1).filter(|(_index, node)| {
        let of_whole = share(node.total, nodes[0].total);
        let goes_on = |child: &&usize| rule.follow_share <= share(nodes[**child].total, node.total);
        rule.info <= of_whole
            && of_whole <= rule.trunk_share
            && rule.depth_least < node.depth
            && table.site(node.site).is_user_code()
            && share(node.own, node.total) <= rule.self_share_most
            && 1 < node.children.len()
            && !node.children.iter().any(|child| goes_on(&child))
    });
    ends.filter_map(|(index, _node)| hot_path(look, &nodes, index, (&whole, cores)))
        .collect()
}

/// A share of two whole numbers.
fn weight_share(part: u64, whole: u64) -> f64 {
    use crate::service::insight::evidence::number;
    number(part) / number(whole).max(1.0)
}

/// The path that ends in a node.
fn hot_path(
    look: &Look<'_>,
    nodes: &[Node],
    end: usize,
    (whole, cores): (&Weight, f64),
) -> Option<Finding> {
    let table = &look.evidence.cpu;
    let mut sites = Vec::new();
    let mut at = end;
    while at != 0 {
        sites.push(nodes[at].site);
        at = nodes[at].parent;
    }
    sites.reverse();
    let weight = table.of(|path| path.sites.starts_with(&sites));
    let (share, samples) = share_of(&weight, whole);
    let severity = look.rules.hot_path.severity(share.low)?;
    let place = table.site(nodes[end].site).clone();
    let below: HashSet<u32> = (nodes[end].children.iter())
        .map(|child| nodes[*child].site)
        .collect();
    let summary = format!(
        "The way through `{}` takes {} of the CPU time of {}, spread over {} functions that it \
         calls; none of them stands out.",
        place.function,
        Unit::Ratio.show(share.value),
        look.service(),
        below.len(),
    );
    let mut finding = look.finding(Found {
        kind: FindingKind::HotPath,
        severity,
        place,
        cost: (share, CPU_TIME),
        evidence: shares(
            "total_share",
            "share of CPU time with all it calls",
            share,
            cores,
        ),
        summary,
        shown_by: SHOWN_BY,
        samples,
    });
    finding.path = path_of(table, &sites);
    Some(finding)
}

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
        FindingKind, Severity, ThreadUse,
        find::fixture::{cpu, first, kinds},
    };

    #[test]
    fn a_function_that_takes_most_is_found() {
        let found = first(&cpu(&[("main;work;spin", 800), ("main;work;rest", 200)]));
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

    #[test]
    fn a_path_that_is_spread_over_many_functions_is_found() {
        let mut stacks = vec![("main;loop;serve;report".to_owned(), 20_u64)];
        for n in 0..12 {
            stacks.push((format!("main;loop;serve;report;part{n};leaf{n}"), 60));
            stacks.push((format!("main;loop;other{n};rest{n}"), 30));
        }
        let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        let found = first(&cpu(&stacks));
        assert_eq!(
            (FindingKind::HotPath, "report"),
            (found.kind, &*found.place.function)
        );
        let path: Vec<&str> = found.path.iter().map(|site| &*site.function).collect();
        assert_eq!(vec!["main", "loop", "serve", "report"], path);
    }

    #[test]
    fn what_the_whole_program_does_is_no_hot_path() {
        let stacks: Vec<(String, u64)> = (0..20)
            .map(|n| (format!("main;loop;serve;f{n}"), 50))
            .collect();
        let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert!(!kinds(&cpu(&stacks)).contains(&FindingKind::HotPath));
    }

    /// A process of threads that take so many CPUs each, for six slices of ten seconds.
    fn threads(cores: &[f64]) -> crate::service::insight::Evidence {
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

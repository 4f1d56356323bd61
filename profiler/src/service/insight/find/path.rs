//! CPU time: ways through the code that take much, spread over many functions.

use std::collections::{HashMap, HashSet};

use super::{
    cpu::{SHOWN_BY, share_of, shares},
    look::{CPU_TIME, Found, Look, path_of},
};
use crate::service::insight::{
    Finding, FindingKind, Path, SignalTable, Unit,
    evidence::{Weight, number},
};

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
    let work = work(look);
    let share = |weight: u64, of: u64| weight_share(weight, of);
    let ends = nodes.iter().enumerate().skip(1).filter(|(_index, node)| {
        let of_whole = share(node.total, nodes[0].total);
        let stands_out =
            |child: &usize| rule.follow_share <= share(nodes[*child].total, node.total);
        rule.info <= of_whole
            && share(node.total, work) <= rule.trunk_share
            && rule.depth_least < node.depth
            && table.site(node.site).is_user_code()
            && share(node.own, node.total) <= rule.self_share_most
            && 1 < node.children.len()
            && !node.children.iter().any(stands_out)
    });
    ends.filter_map(|(index, _node)| hot_path(look, &nodes, index, (&whole, cores)))
        .collect()
}

/// CPU time without what going to sleep and waking up takes: of a service that has little to do,
/// that is much, and makes what little it does no detour.
fn work(look: &Look<'_>) -> u64 {
    let table = &look.evidence.cpu;
    let is_work = |path: &&Path| !look.rules.frames.is_waiting(table, path);
    let samples = (table.paths.iter()).filter(is_work);
    samples.map(|path| path.values[0]).sum()
}

/// A share of two whole numbers.
fn weight_share(part: u64, whole: u64) -> f64 {
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
    let amount = share.value * cores;
    let severity = look.rules.hot_path.severity_of(share.low, amount)?;
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

#[cfg(test)]
mod tests {
    use crate::service::insight::{
        Finding, FindingKind, Rules, Severity, find,
        find::fixture::{cpu, first, kinds},
    };

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

    /// A pool that waits for work: six functions do it, and waiting takes so many samples.
    fn pool(waiting: u64) -> Vec<FindingKind> {
        let mut stacks = vec![
            (
                "start;worker;pthread_cond_wait;futex_wait_[k];schedule_[k]".to_owned(),
                waiting,
            ),
            ("start;worker;lock".to_owned(), 10),
        ];
        stacks.extend((0..12).map(|n| (format!("start;worker;work;step{n}"), 100)));
        let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        kinds(&cpu(&stacks))
    }

    #[test]
    fn what_a_pool_does_when_it_does_something_is_no_hot_path() {
        assert!(!pool(10).contains(&FindingKind::HotPath));
        assert!(!pool(400).contains(&FindingKind::HotPath));
    }

    #[test]
    fn a_path_is_never_critical_and_of_little_time_only_good_to_know() {
        let found = |scale: u64| {
            let mut stacks = vec![("main;loop;other;rest".to_owned(), 20 * scale)];
            stacks.extend((0..12).map(|n| (format!("main;loop;serve;part{n}"), 10 * scale)));
            let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
            let all = find(&cpu(&stacks), &Rules::default());
            let path = |found: &Finding| found.kind == FindingKind::HotPath;
            all.into_iter().find(path).unwrap().severity
        };
        assert_eq!(Severity::Info, found(4));
        assert_eq!(Severity::Warning, found(100));
    }

    #[test]
    fn a_function_with_two_parts_is_no_path_of_many() {
        let found = first(&cpu(&[
            ("main;loop;request;parse;a", 1_000),
            ("main;loop;request;parse;b", 1_000),
            ("main;loop;request;compute;c", 1_000),
            ("main;loop;request;compute;d", 1_000),
            ("main;loop;request;compute;e", 1_000),
            ("main;loop;format;f", 900),
            ("main;loop;format;g", 900),
        ]));
        assert_eq!("compute", &*found.place.function);
        assert_eq!(Severity::Info, found.severity);
    }

    #[test]
    fn what_the_whole_program_does_is_no_hot_path() {
        let stacks: Vec<(String, u64)> = (0..20)
            .map(|n| (format!("main;loop;serve;f{n}"), 50))
            .collect();
        let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, n)| (s.as_str(), *n)).collect();
        assert!(!kinds(&cpu(&stacks)).contains(&FindingKind::HotPath));
    }
}

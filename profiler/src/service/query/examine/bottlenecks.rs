//! What is wrong in a selection.

use std::collections::BTreeSet;

use super::{
    evidence::{SIGNALS, evidence, signals},
    lines::locate,
    select::Scope,
};
use crate::{
    model::{Matcher, ProfileType, Quality, TimeRange, label},
    service::{
        insight::{Evidence, Finding, Rules, Severity, SignalTable, find},
        query::{QueryError, Reader, quality},
        store::QueryLimits,
    },
};

/// Services that are looked at, those with the most CPU time and those that wait the most.
const SERVICES_MAX: usize = 32;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Most findings.
    pub limit: usize,
    /// Least severity.
    pub least: Severity,
    /// The selection as one, or each service by itself.
    pub is_whole: bool,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Bottlenecks {
    /// Gravest first.
    pub findings: Vec<Finding>,
    /// Signals that had data.
    pub signals: BTreeSet<String>,
    /// Services that were looked at.
    pub services: usize,
    /// How good the data of the hosts concerned is.
    pub quality: Quality,
}

/// Looks for what is wrong.
///
/// # Errors
/// As [`Reader::merged`].
pub fn bottlenecks(
    reader: &Reader,
    (matchers, range): (&[Matcher], TimeRange),
    rules: &Rules,
    ask: Ask,
    limits: &QueryLimits,
) -> Result<Bottlenecks, QueryError> {
    let scope = Scope {
        matchers: matchers.to_vec(),
        range,
    };
    let services = services(reader, &scope, ask.is_whole, limits)?;
    let mut findings = Vec::new();
    for service in &services {
        let of_service = match service.as_str() {
            "" => scope.clone(),
            name => scope.with(label::SERVICE, name),
        };
        let Some(evidence) = evidence(reader, service, &of_service, limits)? else {
            continue;
        };
        let mut found = find(&evidence, rules);
        found.retain(|finding| ask.least <= finding.severity);
        found.truncate(ask.limit);
        for finding in &mut found {
            name_lines(reader, &evidence, finding);
        }
        findings.extend(found);
    }
    findings.sort_by(Finding::rank);
    findings.truncate(ask.limit);
    Ok(Bottlenecks {
        findings,
        signals: signals(reader, &scope),
        services: services.len(),
        quality: quality(reader, &scope, limits)?,
    })
}

/// Services that have data; the empty name alone when the selection is looked at as one, or when
/// nothing in it belongs to a service.
pub(super) fn services(
    reader: &Reader,
    scope: &Scope,
    is_whole: bool,
    limits: &QueryLimits,
) -> Result<BTreeSet<String>, QueryError> {
    let mut services = BTreeSet::new();
    if !is_whole {
        for signal in SIGNALS {
            let types = reader.store().profile_types(scope.range).into_iter();
            let Some(first) = types.filter(|known| known.signal == signal).min() else {
                continue;
            };
            let asked = (first.signal.as_str(), first.kind.as_str());
            let sums = scope.sums_by(reader, asked, &[label::SERVICE], limits)?;
            let heaviest = sums.into_iter().flat_map(|(names, _sum)| names);
            services.extend(heaviest.filter(|name| !name.is_empty()).take(SERVICES_MAX));
        }
    }
    if services.is_empty() {
        services.insert(String::new());
    }
    Ok(services)
}

/// How good the data of CPU time is: the other signals come from the same hosts.
pub(super) fn quality(
    reader: &Reader,
    scope: &Scope,
    limits: &QueryLimits,
) -> Result<Quality, QueryError> {
    let samples = scope.of(ProfileType {
        signal: "cpu".to_owned(),
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    });
    quality::of_hosts(reader, &samples, limits)
}

/// Adds the lines that the places of a finding are about.
fn name_lines(reader: &Reader, evidence: &Evidence, finding: &mut Finding) {
    let empty = SignalTable::default();
    let table = match (finding.signal, finding.value_kind) {
        ("cpu", _) => &evidence.cpu,
        ("offcpu", "runqueue") => &evidence.run_queue,
        ("offcpu", _) => evidence.off_cpu.get("lock").unwrap_or(&empty),
        ("syscall", _) => &evidence.syscall,
        ("alloc", _) => &evidence.alloc,
        ("page_fault", _) => &evidence.page_fault,
        _ => &evidence.tcp,
    };
    locate(reader, table, &mut finding.place);
    if finding.signal == "tcp" && finding.place.line == 0 {
        // Who sends is told by system calls: the network itself only tells who waits.
        locate(reader, &evidence.syscall, &mut finding.place);
    }
    if let Some(holder) = &mut finding.holder {
        locate(reader, &evidence.cpu, holder);
    }
}

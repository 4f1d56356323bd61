//! Every rule, and the order of what they find.

use super::{calls, cpu, explain, look::Look, memory, path, remote, thread, wait};
use crate::service::insight::{Evidence, Finding, Rules, limits::FINDINGS_PER_KIND_MAX};

/// Applies every rule. Out: gravest first; of each kind only the heaviest.
pub fn find(evidence: &Evidence, rules: &Rules) -> Vec<Finding> {
    let look = Look { evidence, rules };
    let mut findings = Vec::new();
    for rule in [
        cpu::hot_functions,
        path::hot_paths,
        thread::busy_threads,
        wait::lock_convoys,
        wait::run_queue,
        calls::storms,
        calls::tiny_io,
        remote::slow,
        remote::retransmits,
        memory::hot_spots,
        memory::leaks,
        memory::page_faults,
    ] {
        let mut found = rule(&look);
        found.sort_by(Finding::rank);
        found.truncate(FINDINGS_PER_KIND_MAX);
        findings.extend(found);
    }
    explain::settle(&look, &mut findings);
    findings.sort_by(Finding::rank);
    findings
}

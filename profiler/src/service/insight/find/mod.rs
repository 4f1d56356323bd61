//! Rules applied to what a service did: one file for each resource that can be short.

mod calls;
mod cpu;
mod look;
mod memory;
mod remote;
mod wait;

#[cfg(test)]
mod fixture;

use super::{Evidence, Finding, Rules, limits::FINDINGS_PER_KIND_MAX};

/// Applies every rule. Out: gravest first; of each kind only the heaviest.
pub fn find(evidence: &Evidence, rules: &Rules) -> Vec<Finding> {
    let look = look::Look { evidence, rules };
    let mut findings = Vec::new();
    for rule in [
        cpu::hot_functions,
        cpu::hot_paths,
        cpu::busy_threads,
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
    findings.sort_by(Finding::rank);
    findings
}

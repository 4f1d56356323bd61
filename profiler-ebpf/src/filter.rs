//! Which tasks are sampled.

use aya_ebpf::helpers::{bpf_get_current_comm, generated::bpf_get_current_ancestor_cgroup_id};
use profiler_common::probe_config::{FILTER_CGROUP, FILTER_COMM, FILTER_PID};

use crate::maps::{TARGETS, config};

/// Whether the current task passes every filter that is on.
#[inline(always)]
pub(crate) fn selects_current(pid: u32) -> bool {
    let filters = config!(filters);
    if filters & FILTER_PID != 0 && TARGETS.get_ptr(pid).is_none() {
        return false;
    }
    if filters & FILTER_CGROUP != 0 && !in_cgroup() {
        return false;
    }
    filters & FILTER_COMM == 0 || has_comm()
}

/// Whether the current task is in the chosen cgroup or below it.
#[inline(always)]
fn in_cgroup() -> bool {
    let level = config!(cgroup_level) as i32;
    // SAFETY: the helper takes a number and returns one.
    let ancestor = unsafe { bpf_get_current_ancestor_cgroup_id(level) };
    ancestor == config!(cgroup_id)
}

/// Whether the current thread has the chosen name.
#[inline(always)]
fn has_comm() -> bool {
    let Ok(comm) = bpf_get_current_comm() else {
        return false;
    };
    u128::from_ne_bytes(comm) == u128::from_ne_bytes(config!(comm))
}

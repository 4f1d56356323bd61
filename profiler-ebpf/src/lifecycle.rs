//! Processes that start and change.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, programs::RawTracePointContext};
use aya_log_ebpf::debug;
use profiler_common::{
    counter::Counter, mapping::root_key, notice::NoticeKind, probe_config::FILTER_PID,
};

use crate::{
    emit,
    maps::{MAPPINGS, TARGETS, config},
    task,
};

/// Gives a new process what its parent had; a new thread shares it anyway.
#[inline(always)]
pub(crate) fn fork(parent: u64, child: u64) {
    let (Some(parent), Some(child)) = (task::tgid_of(parent), task::tgid_of(child)) else {
        emit::count(Counter::ForksNotCopied, 1);
        return;
    };
    if parent == child {
        return;
    }
    inherit_target(parent, child);
    // SAFETY: a node that the daemon replaces meanwhile stays readable until this program ends.
    let Some(node) = (unsafe { MAPPINGS.get(root_key(parent)) }) else {
        // A node of an earlier process with this number would be wrong.
        _ = MAPPINGS.remove(root_key(child));
        return;
    };
    if MAPPINGS.insert(root_key(child), node, 0).is_err() {
        emit::count(Counter::ForksNotCopied, 1);
    }
}

/// Children of a chosen process are chosen.
#[inline(always)]
fn inherit_target(parent: u32, child: u32) {
    if config!(filters) & FILTER_PID == 0 || TARGETS.get_ptr(parent).is_none() {
        return;
    }
    if TARGETS.insert(child, 1, 0).is_err() {
        emit::count(Counter::TargetsFull, 1);
    }
}

/// Forgets the mappings of the program that is gone. The daemon may have written the new ones
/// already, from the mapping records that precede this tracepoint: the notice has it write again.
#[inline(always)]
pub(crate) fn exec(ctx: &RawTracePointContext) {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    _ = MAPPINGS.remove(root_key(pid));
    emit::notice(NoticeKind::Exec, pid, 0);
    // Off unless the daemon asks for it (-vv): the verifier then removes it.
    debug!(ctx, "process {} runs another program", pid);
}

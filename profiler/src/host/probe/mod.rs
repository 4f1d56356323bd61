//! The kernel side, seen from the daemon: load, verify, attach, fill, detach.
//!
//! Job: put the probe into the kernel and keep its maps true. In: the embedded BPF object, the
//! running kernel's types, mappings and unwind tables. Out: rings of records, counters.
//! **Invariant:** every hook is chosen by trying it, never by the kernel's version.

mod abi;
mod allocators;
mod attach;
mod btf;
mod burst;
mod config;
mod error;
mod exact_tables;
mod kernel_mappings;
mod kernel_rules;
mod kernel_tables;
mod load;
mod off_cpu;
mod options;
mod page_faults;
mod raw;
mod session;
mod survey;
mod sys;
mod syscall;
mod tcp;
mod thinning;

pub use self::{
    allocators::{
        ALLOCATOR_SLOTS, AllocatorLink, AllocatorProbes, LiveAllocations, ProbedAllocator,
    },
    attach::{
        Sampling, SamplingClock, attach_lifecycle, attach_sampling, detach_sampling,
        open_process_events,
    },
    burst::{BurstEvents, attach_burst, attach_burst_to},
    error::ProbeError,
    exact_tables::{CallRow, ExactTables, TableRow, TcpRow},
    kernel_mappings::{KernelMapping, KernelMappings},
    kernel_rules::KernelRules,
    kernel_tables::{KernelTables, PreparedTable},
    load::{Filter, Probe, Unwinding, load, table_rows},
    off_cpu::{attach_off_cpu, detach_off_cpu, pause_off_cpu},
    options::{ProbeOptions, SignalOptions},
    page_faults::{attach_page_faults, detach_page_faults},
    survey::{Finding, Survey, survey},
    syscall::{attach_syscalls, detach_syscalls},
    tcp::{attach_tcp, detach_tcp},
    thinning::RunTime,
};

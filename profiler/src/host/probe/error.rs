//! Why the probe could not be put into the kernel.

use std::io;

/// Why the probe could not be loaded, attached or filled.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The object as a whole was refused.
    #[error(
        "load the BPF object: needs root, or CAP_BPF and CAP_PERFMON; run `profiler doctor` to see what this kernel allows"
    )]
    Load(#[source] aya::EbpfError),
    /// The probe's log could not be opened.
    #[error("open the probe's log")]
    Log(#[source] aya_log::Error),
    /// One program was refused.
    #[error("load the BPF program {program}")]
    LoadProgram {
        /// Its name.
        program: &'static str,
        /// What the kernel said, the verifier's log included.
        source: aya::programs::ProgramError,
    },
    /// One program could not be attached.
    #[error("attach the BPF program {program}")]
    Attach {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        source: aya::programs::ProgramError,
    },
    /// The embedded object lacks a program or a map: it was built from other sources.
    #[error("the embedded BPF object has no {name}")]
    Missing {
        /// Name of the program or map.
        name: &'static str,
    },
    /// A program for uprobe sessions was refused.
    #[error("load the BPF program {name} for sessions: needs Linux 6.13")]
    LoadSession {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The functions of an allocator could not be probed.
    #[error("probe an allocator: needs uprobes in the kernel")]
    AttachAllocator {
        /// What the kernel said.
        source: io::Error,
    },
    /// A map could not be used.
    #[error("use the BPF map {name}")]
    Map {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        source: aya::maps::MapError,
    },
    /// A table could not be made known to the probe.
    #[error("make an unwind table known to the probe")]
    Publish {
        /// What the kernel said.
        source: io::Error,
    },
    /// A program could not be run.
    #[error("run the BPF program {program}")]
    Run {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        source: aya::programs::ProgramError,
    },
    /// An exact table could not be taken.
    #[error("take the rows of an exact table: needs Linux 5.6")]
    ExactTable {
        /// What the kernel said.
        source: io::Error,
    },
    /// The list of CPUs could not be read.
    #[error("read the list of CPUs from {path}")]
    Cpus {
        /// Where from.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The ring of process records could not be opened.
    #[error(
        "watch processes on CPU {cpu}: needs root, CAP_PERFMON, or kernel.perf_event_paranoid <= -1"
    )]
    ProcessRing {
        /// Which CPU.
        cpu: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

//! What this kernel and these privileges allow, found by trying.

use std::{error::Error, ffi::CStr, fmt, fs, io, time::Duration};

use aya::programs::ProgramType;
use profiler_common::limits::PAGE_FAULT_PERIOD;
use serde::Serialize;

use super::{
    Probe, ProbeError, Unwinding,
    attach::{SamplingClock, attach_lifecycle, attach_sampling, open_process_events},
    btf::KernelTypes,
    load::{Filter, has_task_pt_regs, load},
    off_cpu::attach_off_cpu,
    options::{ProbeOptions, SignalOptions},
    page_faults::attach_page_faults,
    sys,
    syscall::attach_syscalls,
    tcp::attach_tcp,
};
use crate::model::{Pid, Signal};

/// Rate of the trial: enough to attach, too slow to cost anything.
const TRIAL_RATE_HZ: u32 = 1;
/// Waits that the trial sends: hardly any.
const TRIAL_PERIOD: Duration = Duration::from_secs(1);
/// A function that every kernel has, for the trial of kprobes.
const KERNEL_FUNCTION: &CStr = c"schedule";
/// Capabilities the daemon needs, with their bits. Source: `linux/capability.h`.
const CAPABILITIES: [(&str, u32); 6] = [
    ("CAP_BPF", 39),
    ("CAP_PERFMON", 38),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_SYSLOG", 34),
    ("CAP_CHECKPOINT_RESTORE", 40),
];
/// The number that the first pid namespace has on every kernel. Source: `linux/proc_ns.h`.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// Whether it works here.
    pub works: bool,
    /// What was found.
    pub found: String,
    /// What is lost without it.
    pub without_it: &'static str,
    /// What to do about it; empty when nothing can be done.
    pub way_out: &'static str,
}

/// Everything that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// The running kernel.
    pub kernel: String,
    /// Whether CPU profiles can be recorded at all.
    pub can_record: bool,
    /// How user stacks will be followed.
    pub unwinding: &'static str,
    /// What makes the samples.
    pub sampling: &'static str,
    /// The single trials.
    pub findings: Vec<Finding>,
}

/// Tries everything. Takes about a second: programs are really loaded and attached.
pub fn survey() -> Survey {
    let tables = try_sampling(Unwinding::Tables);
    let frame_pointers = tables
        .as_ref()
        .map_or_else(|_| try_sampling(Unwinding::Auto), |clock| Ok(*clock));
    let clock = frame_pointers.as_ref().ok().copied();
    let findings = vec![
        capabilities(),
        first_pid_namespace(),
        kernel_types(),
        finding(
            "table unwinding",
            tables.map(|_clock| "bpf_loop walks unwind tables".to_owned()),
            "stacks follow frame pointers only: code without them gives wrong or cut stacks",
            "kernel 5.17 or later",
        ),
        finding(
            "sampling on every CPU",
            frame_pointers.map(describe_clock),
            "nothing can be recorded",
            "run as root, or with CAP_BPF and CAP_PERFMON",
        ),
        cycle_counter(clock),
        off_cpu(),
        system_calls(),
        tcp(),
        allocations(),
        page_faults(),
        process_records(),
        finding(
            "user registers in system calls",
            as_io(has_task_pt_regs(), "bpf_task_pt_regs"),
            "registers are taken from the top of the kernel stack, by the layout of kernels before 5.15",
            "",
        ),
        kernel_symbols(),
        other_processes(),
        mapped_files(),
        finding(
            "fentry and fexit",
            trial(ProgramType::Tracing),
            "nothing yet: hooks on tracepoints give the same facts",
            "",
        ),
        kprobes(),
        uprobes(),
    ];
    Survey {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        can_record: clock.is_some(),
        unwinding: match (
            clock,
            findings
                .iter()
                .any(|finding| finding.name == "table unwinding" && finding.works),
        ) {
            (None, _) => "none",
            (Some(_), true) => "unwind tables",
            (Some(_), false) => "frame pointers",
        },
        sampling: match clock {
            None => "none",
            Some(SamplingClock::Cycles) => "CPU cycles",
            Some(SamplingClock::CpuClock) => "cpu-clock",
        },
        findings,
    }
}

/// What a trial gave, as a finding.
fn finding<E: Error>(
    name: &'static str,
    found: Result<String, E>,
    without_it: &'static str,
    way_out: &'static str,
) -> Finding {
    let works = found.is_ok();
    let found = found.unwrap_or_else(|error| short_chain(&error));
    Finding {
        name,
        works,
        found,
        without_it,
        way_out,
    }
}

/// An error and its causes on one line, without the verifier's log.
fn short_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

/// A yes or no as a result.
fn as_io(works: bool, name: &str) -> io::Result<String> {
    if works {
        Ok(name.to_owned())
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("no {name}"),
        ))
    }
}

/// What a trial loads the probe for.
fn trial_of(unwinding: Unwinding, signals: SignalOptions) -> ProbeOptions {
    ProbeOptions {
        filter: Filter::default(),
        unwinding,
        rate_hz: TRIAL_RATE_HZ,
        cpus: 1,
        signals,
    }
}

/// Loads the probe for one signal, which sends hardly any samples.
fn load_for(signal: Signal) -> Result<Probe, ProbeError> {
    let signals = SignalOptions {
        off_cpu_period: TRIAL_PERIOD,
        syscall_period: TRIAL_PERIOD,
        tcp_period: TRIAL_PERIOD,
        ..SignalOptions::of([signal])
    };
    load(&trial_of(Unwinding::Auto, signals))
}

/// Loads the probe, attaches everything, and takes it all away again.
fn try_sampling(unwinding: Unwinding) -> Result<SamplingClock, ProbeError> {
    let mut probe = load(&trial_of(unwinding, SignalOptions::default()))?;
    attach_lifecycle(&mut probe)?;
    Ok(attach_sampling(&mut probe, TRIAL_RATE_HZ)?.clock)
}

/// Whether time off the CPU can be measured: attaches it, and takes it away again.
fn off_cpu() -> Finding {
    let attempt = || {
        let mut probe = load_for(Signal::OffCpu)?;
        attach_off_cpu(&mut probe)
    };
    finding(
        "time off the CPU",
        attempt().map(|hook| format!("waits begin at sched_switch and end at {hook}")),
        "no off-CPU profiles",
        "kernel 6.14 or later (sched_exit_tp), or one with CONFIG_KPROBE_EVENTS",
    )
}

/// Whether system calls can be watched: attaches it, and takes it away again.
fn system_calls() -> Finding {
    let attempt = || {
        let mut probe = load_for(Signal::Syscall)?;
        attach_syscalls(&mut probe)
    };
    finding(
        "system calls",
        attempt().map(|()| "counted between sys_enter and sys_exit".to_owned()),
        "no profiles of system calls",
        "kernel 5.12 or later, with CONFIG_HAVE_SYSCALL_TRACEPOINTS",
    )
}

/// Whether TCP connections can be watched: attaches it, and takes it away again.
fn tcp() -> Finding {
    let attempt = || {
        let mut probe = load_for(Signal::Tcp)?;
        attach_tcp(&mut probe)?;
        // The one signal that is neither thinned nor put off.
        let hooks = probe.tcp_hooks();
        Ok::<String, ProbeError>(format!("{hooks}; not held by --max-overhead"))
    };
    finding(
        "TCP connections",
        attempt(),
        "no profiles of TCP connections",
        "kernel 5.12 or later; 6.3 or later for first bytes and bytes",
    )
}

/// Whether allocators can be probed: loads what would probe them.
fn allocations() -> Finding {
    let attempt = || {
        let mut probe = load_for(Signal::Alloc)?;
        let (probes, _live) = (probe.take_allocations()).ok_or(ProbeError::Missing {
            name: "LIVE_ALLOCATIONS",
        })?;
        Ok::<String, ProbeError>(format!("probed by a {}", probes.hook()))
    };
    finding(
        "allocations",
        attempt(),
        "no profiles of memory that is allocated and kept",
        "a kernel with CONFIG_UPROBE_EVENTS; 6.13 or later probes the returns of sampled calls only",
    )
}

/// Whether page faults can be sampled: attaches it, and takes it away again.
fn page_faults() -> Finding {
    let attempt = || {
        let mut probe = load_for(Signal::PageFault)?;
        attach_page_faults(&mut probe)
    };
    finding(
        "page faults",
        attempt().map(|()| format!("one in {PAGE_FAULT_PERIOD} is sampled")),
        "no profiles of memory that grows",
        "run as root, or with CAP_BPF and CAP_PERFMON",
    )
}

/// What makes the samples, in words.
fn describe_clock(clock: SamplingClock) -> String {
    match clock {
        SamplingClock::Cycles => "driven by CPU cycles",
        SamplingClock::CpuClock => "driven by cpu-clock, a timer",
    }
    .to_owned()
}

/// Whether the CPU's cycle counter can be used.
fn cycle_counter(clock: Option<SamplingClock>) -> Finding {
    finding(
        "cycle counter",
        as_io(
            clock == Some(SamplingClock::Cycles),
            "hardware cycle counter",
        ),
        "samples come from a timer: code that runs with interrupts off is charged to what follows it",
        "most virtual machines have none; bare metal does",
    )
}

/// The capabilities that are missing.
fn capabilities() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> = (CAPABILITIES.iter())
        .filter(|(_name, bit)| effective >> bit & 1 == 0)
        .map(|(name, _bit)| *name)
        .collect();
    Finding {
        name: "capabilities",
        works: missing.is_empty(),
        found: if missing.is_empty() {
            "all that are needed".to_owned()
        } else {
            format!("missing {}", missing.join(", "))
        },
        without_it: "the trials below say what is lost",
        way_out: "run as root, or give these capabilities to the binary or its unit",
    }
}

/// Whether process numbers mean the same to the kernel and to us.
fn first_pid_namespace() -> Finding {
    let namespace =
        fs::read_link("/proc/self/ns/pid").map(|link| link.to_string_lossy().into_owned());
    let found = namespace.and_then(|namespace| {
        as_io(namespace == FIRST_PID_NAMESPACE, "first pid namespace")
            .map(|_name| "the host's own".to_owned())
    });
    finding(
        "pid namespace",
        found,
        "process numbers of the kernel mean other processes here: stacks and names would be wrong",
        "in a container, share the host's pid namespace (docker run --pid=host, hostPID: true)",
    )
}

/// Whether the kernel describes its types.
fn kernel_types() -> Finding {
    let found = fs::read("/sys/kernel/btf/vmlinux").and_then(|data| {
        let types = KernelTypes::parse(&data);
        let offset = types.and_then(|types| types.offset_of("task_struct", "tgid"));
        as_io(offset.is_some(), "task_struct in the kernel's types")
    });
    finding(
        "kernel type information",
        found.map(|_name| "/sys/kernel/btf/vmlinux".to_owned()),
        "children of processes start without their mappings, and kernel threads are taken for processes",
        "a kernel with CONFIG_DEBUG_INFO_BTF",
    )
}

/// Whether the kernel reports new processes and mappings.
fn process_records() -> Finding {
    let found = open_process_events().map(|events| format!("on {} CPUs", events.len()));
    finding(
        "process and mapping records",
        found,
        "new processes are found only when a sample meets them",
        "run as root, or with CAP_PERFMON",
    )
}

/// Whether kernel addresses are shown.
fn kernel_symbols() -> Finding {
    let symbols = fs::read_to_string("/proc/kallsyms");
    let found = symbols.and_then(|symbols| {
        let shown = symbols
            .lines()
            .take(100)
            .any(|line| !line.starts_with("0000000000000000"));
        as_io(shown, "visible kernel addresses").map(|_name| "/proc/kallsyms".to_owned())
    });
    finding(
        "kernel symbols",
        found,
        "kernel frames have no names",
        "run as root or with CAP_SYSLOG, and set kernel.kptr_restrict to 1 or 0",
    )
}

/// Whether the mappings of other processes can be read. One process may be guarded on purpose (the
/// first one often is); that none can be read is what counts.
fn other_processes() -> Finding {
    finding(
        "mappings of other processes",
        try_other_processes(|pid| fs::read_to_string(format!("/proc/{pid}/maps")).map(drop)),
        "processes of other users have no stacks until they map something new",
        "run as root, or with CAP_SYS_PTRACE",
    )
}

/// Whether deleted files and files of other mount namespaces can be opened.
fn mapped_files() -> Finding {
    let open = |pid| match fs::read_dir(format!("/proc/{pid}/map_files"))?.next() {
        Some(file) => fs::File::open(file?.path()).map(drop),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    finding(
        "deleted and replaced files",
        try_other_processes(open),
        "files that were deleted or replaced while they run have no tables and no names",
        "run as root, or with CAP_CHECKPOINT_RESTORE",
    )
}

/// Tries something on the other processes until it works on one; else gives the first failure.
fn try_other_processes(attempt: impl Fn(Pid) -> io::Result<()>) -> io::Result<String> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "no other process to try");
    let others = fs::read_dir("/proc")?
        .filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok().map(Pid))
        .filter(|pid| pid.0 != std::process::id() && has_code(*pid));
    for pid in others {
        match attempt(pid) {
            Ok(()) => return Ok(format!("tried on process {pid}")),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Whether a process runs a program: kernel threads do not.
fn has_code(pid: Pid) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

/// Whether the kernel takes programs of a type.
fn trial(kind: ProgramType) -> io::Result<String> {
    let supported = aya::sys::is_program_supported(kind).map_err(io::Error::other)?;
    as_io(supported, "fentry").map(|_name| "a program attaches".to_owned())
}

/// Whether the kernel has probes on its functions.
fn kprobes() -> Finding {
    let found = event_source("kprobe").and_then(|number| sys::try_kprobe(number, KERNEL_FUNCTION));
    finding(
        "kprobes",
        found.map(|()| "a probe opens".to_owned()),
        "nothing yet: hooks on tracepoints give the same facts",
        "a kernel with CONFIG_KPROBE_EVENTS",
    )
}

/// Whether the kernel has probes on programs.
fn uprobes() -> Finding {
    let found =
        event_source("uprobe").and_then(|number| sys::try_uprobe(number, c"/proc/self/exe", 0));
    finding(
        "uprobes",
        found.map(|()| "a probe opens".to_owned()),
        "nothing yet: CPU profiles need none",
        "a kernel with CONFIG_UPROBE_EVENTS",
    )
}

/// Number of one of the kernel's event sources.
fn event_source(name: &str) -> io::Result<u32> {
    let text = fs::read_to_string(format!("/sys/bus/event_source/devices/{name}/type")).map_err(
        |error| {
            io::Error::new(
                error.kind(),
                format!("this kernel has no {name} event source"),
            )
        },
    )?;
    text.trim().parse().map_err(io::Error::other)
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel {}", self.kernel)?;
        for finding in &self.findings {
            let mark = if finding.works { "yes" } else { "NO " };
            writeln!(f, "  {mark}  {}: {}", finding.name, finding.found)?;
            if !finding.works {
                writeln!(f, "       lost: {}", finding.without_it)?;
                if !finding.way_out.is_empty() {
                    writeln!(f, "       way out: {}", finding.way_out)?;
                }
            }
        }
        if self.can_record {
            writeln!(
                f,
                "CPU profiles: {}, user stacks by {}",
                self.sampling, self.unwinding
            )
        } else {
            writeln!(f, "CPU profiles cannot be recorded here")
        }
    }
}

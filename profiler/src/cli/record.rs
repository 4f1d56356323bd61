//! `profiler record`: a profile of this host, of processes, or of a command.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use super::{cost, event::EventName, exit::eprint, output, signals};
use crate::{
    config::{MaxMemory, MaxOverhead},
    host::{
        Shutdown,
        run::{
            self, Budget, Filter, Progress, RecordOptions, Recording, SignalOptions, Unwinding,
            cgroup_id_and_level,
        },
    },
    model::{Pid, Profile, Signal, label},
    render::{self, Format},
};

/// Where the picture goes when nothing else is said.
const DEFAULT_OUTPUT: &str = "flamegraph.svg";
/// Functions in the table at the end.
const TOP_FUNCTIONS: usize = 15;
/// Rows in the table of connections at the end: each has several measures.
const TOP_ROWS: usize = 30;
/// Status of a command that a signal ended: this plus the signal, as shells have it.
const SIGNAL_BASE: i32 = 128;

/// Record a profile and write it to files
#[derive(Args, Debug)]
#[command(after_help = "\
Without -p, --cgroup, --comm or a command, the whole host is recorded. Ctrl-C ends early and still
writes. Formats by extension: .svg, .collapsed or .txt, .pb.gz (pprof), .speedscope.json, .json.

Examples:
  profiler record -d 10                            the whole host, into flamegraph.svg
  profiler record -F 999 -p 1234 -d 5 -o out.pb.gz one process, 999 times a second
  profiler record -o out.svg -o out.json -- ./app  a command, into two files
  profiler record -e cpu,offcpu -d 10 -o out.svg   on and off the CPU: out.cpu.svg, out.offcpu.svg
  profiler record -e cpu,offcpu -o out.pb.gz       both in one file: pprof has room for them
  profiler record -e syscall -d 10 -o calls.svg    time in system calls, by the code that makes them
  profiler record -d 10 -o - | head                collapsed stacks to a pipe")]
pub struct RecordArgs {
    /// What to watch
    #[arg(
        short,
        long,
        value_name = "EVENT",
        value_delimiter = ',',
        default_value = "cpu"
    )]
    event: Vec<EventName>,
    /// Microseconds off the CPU from which on every wait counts; shorter ones are sampled in
    /// proportion to their length [default: 1000]
    #[arg(long, value_name = "USECS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    offcpu_period: Option<u32>,
    /// Mean number of bytes allocated between two allocations that are sampled [default: 524288]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    alloc_period: Option<u64>,
    /// Microseconds from which on the stack of every system call counts; shorter ones are sampled in
    /// proportion to their length [default: 1000]
    #[arg(long, value_name = "USECS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    syscall_period: Option<u32>,
    /// Microseconds from which on the stack of every wait for a TCP connection counts; shorter ones are
    /// sampled in proportion to their length [default: 1000]
    #[arg(long, value_name = "USECS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tcp_period: Option<u32>,
    /// Samples a second, on each CPU
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 99, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// Seconds to record; until Ctrl-C, or the end of the command, when left out
    #[arg(short, long, value_name = "SECS", value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// Process to record, with the children it makes from now on; may be given more than once
    #[arg(short, long, value_name = "PID")]
    pid: Vec<u32>,
    /// Folder of a cgroup (version 2) to record, the ones below it included
    #[arg(long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Name of the threads to record
    #[arg(long, value_name = "NAME")]
    comm: Option<String>,
    /// How to follow user stacks
    #[arg(long, value_name = "HOW", default_value = "auto")]
    unwind: UnwindName,
    /// File to write; may be given more than once; - is standard output [default: flamegraph.svg]
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
    /// Format to write, when the file's name does not tell
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Show where threads wait for work, in pictures and the table; they are one frame otherwise
    #[arg(long)]
    show_idle: bool,
    /// Leave out inlined functions and lines: quicker, less to read
    #[arg(long)]
    no_inlines: bool,
    /// Folder that keeps compiled unwind tables for the next run
    #[arg(long, value_name = "DIR", env = "PROFILER_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    /// Most of the host's CPU that the recording may take, all CPUs together; off for no limit. Above
    /// it, events other than cpu are thinned, and the values of what is left make up for it
    #[arg(long, value_name = "SHARE", default_value_t)]
    max_overhead: MaxOverhead,
    /// Most memory that the recording may take; off for no limit
    #[arg(long, value_name = "SIZE", default_value_t)]
    max_memory: MaxMemory,
    /// File for what the recording cost, as JSON; for benchmarks
    #[arg(long, value_name = "FILE", hide = true)]
    cost: Option<PathBuf>,
    /// Command to run and record, with all its children
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Names of the ways to follow user stacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum UnwindName {
    /// Unwind tables where the kernel can search them, else frame pointers
    Auto,
    /// Frame pointers only
    Fp,
    /// Unwind tables, or an error
    Dwarf,
}

impl From<UnwindName> for Unwinding {
    fn from(name: UnwindName) -> Self {
        match name {
            UnwindName::Auto => Self::Auto,
            UnwindName::Fp => Self::FramePointers,
            UnwindName::Dwarf => Self::Tables,
        }
    }
}

/// Reads a number of seconds above zero.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_text| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "must be more than 0 seconds, and not endless".to_owned())
}

/// Records and writes.
///
/// # Errors
/// Each names the cause and the way out.
pub fn run(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let outputs = outputs(args)?;
    let options = options(args)?;
    let shutdown = Shutdown::default();
    signals::stop_on_signals(&shutdown).context("listen for Ctrl-C")?;
    let shows_progress = io::stderr().is_terminal();
    let recording = run::record(&options, &shutdown, &mut |progress| {
        if shows_progress {
            show(progress, options.duration);
        }
    })?;
    if shows_progress {
        overwrite_line("");
    }
    let written = write_all(&recording.profiles, &outputs, args.show_idle)?;
    summarize(&recording, &written, args.show_idle);
    if let Some(path) = &args.cost {
        cost::write(path, &recording)?;
    }
    Ok(recording
        .command_status
        .map_or(ExitCode::SUCCESS, to_exit_code))
}

/// Writes every output of every profile; gives the files.
fn write_all(
    profiles: &[Profile],
    outputs: &[(PathBuf, Format)],
    shows_idle: bool,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, format) in outputs {
        if let (Some(joined), 2..) = (render::write_joined(profiles, *format), profiles.len()) {
            output::write(path, &joined?)?;
            written.push(path.clone());
            continue;
        }
        for profile in profiles {
            let path = render::path_for(path, profile.signal, profiles.len());
            let shown = shown(profile, *format, shows_idle);
            output::write(&path, &render::write(&shown, *format)?)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// The profile as a format shows it: idle threads are folded in what people look at.
fn shown(profile: &Profile, format: Format, shows_idle: bool) -> Cow<'_, Profile> {
    if format == Format::Svg && !shows_idle && profile.signal == Signal::OffCpu {
        Cow::Owned(render::fold_idle(profile))
    } else {
        Cow::Borrowed(profile)
    }
}

/// What to watch, each once, in the order it was asked for.
fn signal_options(args: &RecordArgs) -> SignalOptions {
    let mut options = SignalOptions::of(args.event.iter().copied().map(Signal::from));
    if let Some(period) = args.offcpu_period {
        options.off_cpu_period = Duration::from_micros(period.into());
    }
    if let Some(bytes) = args.alloc_period {
        options.alloc_period_bytes = bytes;
    }
    if let Some(period) = args.syscall_period {
        options.syscall_period = Duration::from_micros(period.into());
    }
    if let Some(period) = args.tcp_period {
        options.tcp_period = Duration::from_micros(period.into());
    }
    options
}

/// Every output with its format, each checked before anything is recorded.
fn outputs(args: &RecordArgs) -> anyhow::Result<Vec<(PathBuf, Format)>> {
    let paths = if args.output.is_empty() {
        vec![PathBuf::from(DEFAULT_OUTPUT)]
    } else {
        args.output.clone()
    };
    let count = signal_options(args).signals.len();
    paths
        .into_iter()
        .map(|path| {
            let format = match args.format {
                Some(format) => format,
                None if path == Path::new("-") => Format::Collapsed,
                None => Format::from_path(&path).context("name the format with --format")?,
            };
            let holds_all = render::write_joined(&[], format).is_some();
            if path == Path::new("-") && 1 < count && !holds_all {
                bail!("standard output takes several events as pprof only: --format pprof");
            }
            let files = if holds_all { 1 } else { count };
            output::check(&render::path_for(&path, Signal::Cpu, files))?;
            Ok((path, format))
        })
        .collect()
}

/// What was typed, as what the host side takes.
fn options(args: &RecordArgs) -> anyhow::Result<RecordOptions> {
    let cgroup = args.cgroup.as_deref().map(|path| {
        cgroup_id_and_level(path).with_context(|| format!("use {} as a cgroup", path.display()))
    });
    for pid in &args.pid {
        if !Path::new(&format!("/proc/{pid}"))
            .try_exists()
            .unwrap_or(false)
        {
            bail!("there is no process {pid}");
        }
    }
    Ok(RecordOptions {
        signals: signal_options(args),
        filter: Filter {
            pids: args.pid.iter().copied().map(Pid).collect(),
            comm: args.comm.clone(),
            cgroup: cgroup.transpose()?,
        },
        unwinding: args.unwind.into(),
        rate_hz: args.frequency,
        duration: args.duration,
        command: (!args.command.is_empty()).then(|| args.command.clone()),
        cache_dir: Some(args.cache_dir.clone().unwrap_or_else(default_cache_dir)),
        inlines: !args.no_inlines,
        budget: Budget {
            overhead: args.max_overhead,
            memory: args.max_memory,
            // Whoever names a rate wants it.
            governs_all: false,
            counts_always: args.cost.is_some(),
        },
    })
}

/// The user's cache folder, or the system's for a service without a home.
pub(super) fn default_cache_dir() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(|| PathBuf::from("/var/cache"));
    base.join("profiler/unwind")
}

/// Overwrites the progress line.
fn show(progress: Progress, duration: Option<Duration>) {
    let line = match progress {
        Progress::Sampling { elapsed, samples } => {
            let whole = duration.map(|duration| format!(" of {:.0}", duration.as_secs_f64()));
            format!(
                "recording {:.0}{} s, {samples} samples; Ctrl-C to stop",
                elapsed.as_secs_f64(),
                whole.unwrap_or_default()
            )
        }
        Progress::Naming => "finding names".to_owned(),
    };
    overwrite_line(&line);
}

/// Writes over the last line of the terminal.
fn overwrite_line(text: &str) {
    // A terminal that went away is no reason to stop.
    drop(write!(io::stderr(), "\r\x1b[K{text}"));
}

/// Says what was recorded, how good it is, and where it went.
fn summarize(recording: &Recording, written: &[PathBuf], shows_idle: bool) {
    for profile in &recording.profiles {
        // The table is looked at as the picture is.
        let shown = shown(profile, Format::Svg, shows_idle);
        eprint(&match profile.signal {
            Signal::SyscallCounts => render::calls(profile, TOP_FUNCTIONS),
            Signal::TcpCounts => render::connections(profile, TOP_ROWS),
            Signal::Cpu
            | Signal::OffCpu
            | Signal::Syscall
            | Signal::Alloc
            | Signal::PageFault
            | Signal::Tcp
            | Signal::Imported => render::top(&shown, TOP_FUNCTIONS),
        });
        if profile.signal == Signal::Alloc && !recording.live.is_empty() {
            eprint(&render::live_heap(profile, &recording.live, TOP_FUNCTIONS));
        }
        if profile.signal == Signal::OffCpu {
            eprint(&reasons_line(profile));
        }
        eprint(&quality_line(profile));
    }
    if let Some((time, runs)) = recording.cost.sampler {
        tracing::info!(
            runs,
            ns_per_sample = time.as_nanos() / u128::from(runs.max(1)),
            frames = recording.cost.frames_walked,
            table_bytes = recording.cost.table_size_bytes,
            rules = recording.cost.rules,
            start_ms = recording.cost.started_after.as_millis(),
            "cost"
        );
    }
    if let Some(line) = overhead_line(&recording.profiles) {
        eprint(&line);
    }
    for path in written.iter().filter(|path| **path != Path::new("-")) {
        eprint(&format!(
            "wrote {}",
            path.canonicalize()
                .unwrap_or_else(|_gone| path.clone())
                .display()
        ));
    }
}

/// One line on what sampling took and what the governor did: `overhead 0.3 % of the host; offcpu
/// thinned to 25 %`.
fn overhead_line(profiles: &[Profile]) -> Option<String> {
    let overhead = profiles.first()?.quality.overhead;
    if overhead <= 0.0 {
        return None;
    }
    let mut line = format!("overhead {:.2} % of the host", overhead * 100.0);
    for profile in profiles {
        let duty = profile.quality.duty_cycle;
        if duty < 1.0 {
            let name = profile.signal.as_str();
            // Writing to a text cannot fail.
            let _infallible = write!(line, "; {name} thinned to {:.0} %", duty * 100.0);
        }
    }
    Some(line)
}

/// One line on what threads waited for, most first.
fn reasons_line(profile: &Profile) -> String {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in &profile.samples {
        let task = profile.task(sample.task);
        let reason = task.and_then(|task| task.labels.get(label::REASON));
        let value = sample.values.first().copied().unwrap_or_default();
        *reasons
            .entry(reason.map_or("other", String::as_str))
            .or_default() += value;
    }
    let mut reasons: Vec<(&str, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, value)| (Reverse(*value), *reason));
    let total: u64 = reasons.iter().map(|(_reason, value)| value).sum();
    let parts: Vec<String> = (reasons.iter())
        .map(|(reason, value)| format!("{reason} {}", percent(*value, total)))
        .collect();
    format!("off the CPU for: {}", parts.join(", "))
}

/// `12.3 %`
fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", render::percent(part, whole))
}

/// One line on how good the data is.
fn quality_line(profile: &Profile) -> String {
    let quality = &profile.quality;
    let share = |part: u64| percent(part, quality.samples);
    let mut line = format!(
        "{} samples in {:.1} s; stacks complete: {}; lost: {}",
        quality.samples,
        profile.window.duration.as_secs_f64(),
        share(quality.complete),
        quality.lost_total(),
    );
    if 0 < quality.truncated_total() {
        let reasons: Vec<String> = (quality.truncated.iter())
            .map(|(reason, count)| format!("{reason} {}", share(*count)))
            .collect();
        line.push_str("; cut: ");
        line.push_str(&reasons.join(", "));
    }
    line
}

/// The command's exit code, as a shell would give it.
fn to_exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNAL_BASE + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

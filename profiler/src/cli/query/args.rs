//! What can be asked, as it is typed.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    UsageError,
    format::Form,
    tables::{HeapArgs, LeaksArgs, TableArgs},
    time::{Length, Moment},
};
use crate::{clock, wire::v1::generated as v1};

/// Where the service is when nothing else is said.
const SERVER_DEFAULT: &str = "http://127.0.0.1:7317";

/// Ask the query service
#[derive(Args, Debug)]
#[command(after_help = "\
Selectors are in PromQL's style; without one, everything is selected:
  '{service=\"api\", comm=~\"nginx.*\"}'    operators: =  !=  =~  !~

Times are 2026-01-31T12:00:00Z, seconds since 1970, or how long ago (15m, -2h, 1h30m).

Examples:
  profiler query flamegraph -o x.svg                       everything, the last hour
  profiler query flamegraph '{service=\"api\"}' --last 15m   as text in the terminal
  profiler query top --by module --last 5m
  profiler query diff '{service=\"api\"}' --last 1h --offset 1d
  profiler query series --group-by service --last 6h
  profiler query function malloc
  profiler query syscalls --last 5m                        like strace -c, of everything
  profiler query leaks '{service=\"api\"}' --last 2h

Exit codes: 0 done, 1 the question failed, 2 wrong usage, 4 the service cannot be reached.")]
pub struct QueryArgs {
    /// How to reach the service
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    /// The question
    #[command(subcommand)]
    pub(super) question: QuestionArgs,
}

/// How to reach the service.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionArgs {
    /// Address of the query service
    #[arg(long, global = true, env = "PROFILER_SERVER", value_name = "URL", default_value = SERVER_DEFAULT)]
    pub(super) server: String,
    /// Token that allows to read
    #[arg(
        long,
        global = true,
        env = "PROFILER_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(super) token: Option<String>,
    /// File whose first line is that token; weighs more than --token
    #[arg(long, global = true, env = "PROFILER_TOKEN_FILE", value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// Authority of the server's certificate (PEM), for https; the system's when left out
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Our certificate (PEM), where the server asks for one
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,
    /// The key of our certificate (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    pub(super) key: Option<PathBuf>,
    /// Longest time to wait for an answer
    #[arg(long, global = true, value_name = "TIME", default_value = "60s")]
    pub(super) timeout: Length,
}

/// What to ask.
#[derive(Debug, Subcommand)]
pub(super) enum QuestionArgs {
    /// The merged stacks of a selection, as a picture, a profile or text
    #[command(after_help = "\
Examples:
  profiler query flamegraph -o x.svg
  profiler query flamegraph '{comm=\"nginx\"}' --last 10m -o nginx.pb.gz
  profiler query flamegraph --signal cpu --kind cpu --format collapsed > stacks.txt")]
    Flamegraph(FlamegraphArgs),
    /// The functions, files, modules or label values that weigh most
    #[command(after_help = "\
Examples:
  profiler query top --last 5m
  profiler query top '{service=\"api\"}' --by module
  profiler query top --by label --label comm")]
    Top(TopArgs),
    /// What changed between two selections or two times
    #[command(after_help = "\
Examples:
  profiler query diff '{service=\"api\"}' --last 1h --offset 1d      now, against a day ago
  profiler query diff '{host=\"a\"}' --against '{host=\"b\"}'          one host against another
  profiler query diff --last 10m --normalize -o diff.svg")]
    Diff(DiffArgs),
    /// How a total goes over time
    #[command(after_help = "\
Examples:
  profiler query series --last 6h
  profiler query series --group-by service,host --step 1m --json")]
    Series(SeriesArgs),
    /// Names of labels
    #[command(after_help = "\
Example:
  profiler query labels '{host=\"a\"}' --last 1d")]
    Labels(ListArgs),
    /// Values of one label
    #[command(after_help = "\
Example:
  profiler query label-values service --last 1d")]
    LabelValues(LabelValuesArgs),
    /// Signals, and what they count
    #[command(after_help = "\
Example:
  profiler query signals --last 1w")]
    Signals(RangeArgs),
    /// Everything known of one function, in every signal
    #[command(after_help = "\
Examples:
  profiler query function malloc
  profiler query function 'core::fmt::write' '{service=\"api\"}' --json")]
    Function(FunctionArgs),
    /// What is wrong, ranked, with the place in the code and how sure it is
    #[command(after_help = "\
Examples:
  profiler query bottlenecks --last 15m
  profiler query bottlenecks '{service=\"api\"}' --least warning --json")]
    Bottlenecks(BottlenecksArgs),
    /// Functions that changed more than chance explains
    #[command(after_help = "\
Without a selector, a time or something to compare with, every service of the last hour is compared
with its build before, yesterday and last week.

Examples:
  profiler query regressions                                       each service against its past
  profiler query regressions --kept                                what the service found by itself
  profiler query regressions '{service=\"api\"}' --last 10m                 against the ten minutes before
  profiler query regressions '{service=\"api\"}' --last 1h --than yesterday
  profiler query regressions '{service=\"api\"}' --last 1h --than previous-build
  profiler query regressions '{version=\"2\"}' --against '{version=\"1\"}'")]
    Regressions(RegressionsArgs),
    /// Alerts of the service's budget, silences, and what happened
    #[command(after_help = "\
Examples:
  profiler query alerts                    what is wrong now
  profiler query alerts --history --last 1d
  profiler query alerts --silence 'db*' --for 2h --comment 'known, being moved'
  profiler query alerts --unsilence 3")]
    Alerts(AlertsArgs),
    /// System calls: how many, how they failed, how long they took
    #[command(after_help = "\
The signal is recorded by `profiler up -e cpu,syscall`. Every call is counted; percentiles are upper
bounds of the buckets that lengths are counted in.

Examples:
  profiler query syscalls --last 5m
  profiler query syscalls '{comm=\"nginx\"}' --by pid --top 10
  profiler query syscalls --by '' --json                       all programs together")]
    Syscalls(TableArgs),
    /// TCP connections: how long they took, what failed, retransmits and bytes, by far end
    #[command(after_help = "\
The signal is recorded by `profiler up -e cpu,tcp`. Everything is counted; percentiles are upper bounds
of the buckets that times are counted in. A row without a port is that of a server.

Examples:
  profiler query tcp --last 5m
  profiler query tcp '{service=\"api\"}' --by service,host
  profiler query tcp --by '' --json                            all programs together")]
    Tcp(TableArgs),
    /// Memory: what allocates how much, and what of it lives
    #[command(after_help = "\
The signal is recorded by `profiler up -e cpu,alloc`; the numbers are estimates without bias. What lives
is what was allocated in the time asked for less what was freed in it.

Examples:
  profiler query heap '{comm=\"nginx\"}' --last 1h
  profiler query heap --by service --stacks --top 10")]
    Heap(HeapArgs),
    /// Memory that keeps growing: where, by how much an hour, and how sure
    #[command(after_help = "\
The signal is recorded by `profiler up -e cpu,alloc`. Growth is looked at in twelve slices of the time
asked for; what may be chance, among as many stacks as there are, is left out without --all.

Examples:
  profiler query leaks --last 2h
  profiler query leaks '{service=\"api\"}' --last 1d --functions
  profiler query leaks --by host,pid --all --json")]
    Leaks(LeaksArgs),
    /// Hosts, when they were last heard of, and how good their data is
    #[command(after_help = "\
Example:
  profiler query hosts --last 1d")]
    Hosts(RangeArgs),
    /// Windows as they arrive, until Ctrl-C
    #[command(after_help = "\
Examples:
  profiler query watch '{service=\"api\"}'
  profiler query watch --count 3 --json")]
    Watch(WatchArgs),
    /// Have one daemon sample more, for a while
    #[command(after_help = "\
Examples:
  profiler query burst web-1 --rate 499 --for 30s --pid 1234
  profiler query burst web-1 --signal offcpu --pid 1234
  profiler query top '{burst=\"7\"}'                  what the burst with the number 7 saw
  profiler query top --signal offcpu '{burst=\"8\"}'")]
    Burst(BurstArgs),
}

/// Which span of time.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct TimeArgs {
    /// From this time on; an hour before the end when left out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<Moment>,
    /// Until this time; now when left out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) to: Option<Moment>,
    /// The last so long: 15m, 6h, 1d
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"])]
    pub(super) last: Option<Length>,
}

/// A span of time on the wire: nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

/// A question without a start looks back so far, as the service does.
const RANGE_DEFAULT: Duration = Duration::from_secs(3_600);

impl TimeArgs {
    /// The span of time, fixed now: questions that belong together ask for the same.
    pub(super) fn range(&self) -> Result<Range, UsageError> {
        self.range_at(clock::wall())
    }

    /// The span of time, at some moment.
    fn range_at(&self, now: Duration) -> Result<Range, UsageError> {
        let end = self.to.map_or(now, |to| to.since_epoch(now));
        let start = match (self.last, self.from) {
            (Some(Length(last)), _) => end.saturating_sub(last),
            (None, Some(from)) => from.since_epoch(now),
            (None, None) => end.saturating_sub(RANGE_DEFAULT),
        };
        // Zero means something else on the wire.
        let nanoseconds =
            |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let range = Range {
            start_ns: nanoseconds(start),
            end_ns: nanoseconds(end),
        };
        if range.start_ns < range.end_ns {
            Ok(range)
        } else {
            Err(UsageError::EmptyRange)
        }
    }
}

/// Which data.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SelectionArgs {
    /// Labels that must match, as {service="api"}
    #[arg(value_name = "SELECTOR")]
    positional: Option<String>,
    /// The same, by name
    #[arg(long, value_name = "SELECTOR", conflicts_with = "positional")]
    selector: Option<String>,
    /// Signal: cpu when left out
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) signal: String,
    /// Kind of value, as `query signals` lists them: the signal's first when left out
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    kind: String,
    /// When
    #[command(flatten)]
    pub(super) time: TimeArgs,
}

impl SelectionArgs {
    /// The selector as it was typed.
    pub(super) fn selector(&self) -> String {
        let typed = self.positional.as_ref().or(self.selector.as_ref());
        typed.cloned().unwrap_or_default()
    }

    /// Whether neither a selector nor a time was typed.
    pub(super) fn is_everything(&self) -> bool {
        let TimeArgs { from, to, last } = &self.time;
        let has_time = from.is_some() || to.is_some() || last.is_some();
        self.positional.is_none() && self.selector.is_none() && !has_time
    }

    /// The selection for the wire.
    pub(super) fn message(&self) -> Result<v1::Selection, UsageError> {
        let range = self.time.range()?;
        Ok(v1::Selection {
            signal: self.signal.clone(),
            kind: self.kind.clone(),
            selector: self.selector(),
            start_ns: range.start_ns,
            end_ns: range.end_ns,
        })
    }
}

/// In which form, and where to.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct OutputArgs {
    /// Form of the answer; by the extension of the file when left out
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<Form>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(super) json: bool,
    /// File to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// `query flamegraph`.
#[derive(Args, Debug)]
pub(super) struct FlamegraphArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Most nodes of the tree, as text or JSON
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub(super) nodes: u32,
}

/// What the rows of a table stand for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum RowsOf {
    /// Functions
    Function,
    /// Source files
    File,
    /// Object files
    Module,
    /// Values of --label
    Label,
}

/// `query top`.
#[derive(Args, Debug)]
pub(super) struct TopArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// What the rows stand for
    #[arg(long, value_name = "WHAT", default_value = "function")]
    pub(super) by: RowsOf,
    /// The label whose values are the rows
    #[arg(
        long,
        value_name = "NAME",
        required_if_eq("by", "label"),
        default_value = "",
        hide_default_value = true
    )]
    pub(super) label: String,
    /// Most rows
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    pub(super) limit: u32,
}

/// `query diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Compare with this selector; the same one when left out
    #[arg(long, value_name = "SELECTOR")]
    pub(super) against: Option<String>,
    /// Compare with so long ago; without it and --against, with the span of time just before
    #[arg(long, value_name = "TIME")]
    pub(super) offset: Option<Length>,
    /// Scale the earlier selection to the total of the later one
    #[arg(long)]
    pub(super) normalize: bool,
    /// Most functions in the table
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    pub(super) limit: usize,
}

/// `query series`.
#[derive(Args, Debug)]
pub(super) struct SeriesArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Labels to have a line for each combination of
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    pub(super) group_by: Vec<String>,
    /// Length of a step; chosen when left out
    #[arg(long, value_name = "TIME")]
    pub(super) step: Option<Length>,
}

/// `query labels`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `query label-values`.
#[derive(Args, Debug)]
pub(super) struct LabelValuesArgs {
    /// Name of the label
    #[arg(value_name = "LABEL")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Most values
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub(super) limit: u32,
}

/// `query signals` and `query hosts`.
#[derive(Args, Debug)]
pub(super) struct RangeArgs {
    #[command(flatten)]
    pub(super) time: TimeArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `query function`.
#[derive(Args, Debug)]
pub(super) struct FunctionArgs {
    /// Exact name of the function
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Most callers, callees, services and lines
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    pub(super) limit: u32,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Grave {
    /// Good to know
    #[default]
    Info,
    /// Someone should look
    Warning,
    /// Someone should look now
    Critical,
}

/// `query bottlenecks`.
#[derive(Args, Debug)]
pub(super) struct BottlenecksArgs {
    /// Labels that must match, as {service="api"}
    #[arg(value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    pub(super) selector: String,
    #[command(flatten)]
    pub(super) time: TimeArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Least severity
    #[arg(long, value_name = "SEVERITY", default_value = "info")]
    pub(super) least: Grave,
    /// Look at the selection as one, not at each service by itself
    #[arg(long)]
    pub(super) whole: bool,
    /// Most findings
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(super) limit: u32,
}

/// With what a selection is compared.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Than {
    /// The span of time just before, or --against and --offset
    #[default]
    Before,
    /// The same span of time a day ago
    Yesterday,
    /// The same span of time a week ago
    LastWeek,
    /// The build that was there before
    PreviousBuild,
}

/// `query regressions`.
#[derive(Args, Debug)]
pub(super) struct RegressionsArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Compare with what: before when something else is said
    #[arg(long, value_name = "WHAT")]
    pub(super) than: Option<Than>,
    /// Compare with this selector, at the same time unless --offset is given
    #[arg(long, value_name = "SELECTOR", conflicts_with = "than")]
    pub(super) against: Option<String>,
    /// Compare with so long ago
    #[arg(long, value_name = "TIME", conflicts_with = "than")]
    pub(super) offset: Option<Length>,
    /// What the service found by itself when it last compared each service with its past
    #[arg(long, conflicts_with_all = ["than", "against", "offset", "total"])]
    pub(super) kept: bool,
    /// Compare functions with all they call, not by themselves
    #[arg(long)]
    pub(super) total: bool,
    /// Least relative change that is listed
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub(super) relative: f64,
    /// Least change of a share of the whole that is listed
    #[arg(long, value_name = "SHARE", default_value_t = 0.002)]
    pub(super) points: f64,
    /// Share of false discoveries that is allowed
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub(super) false_discoveries: f64,
    /// Most functions, slower and faster each
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    pub(super) limit: u32,
}

impl RegressionsArgs {
    /// Whether nothing was said of what is compared with what.
    pub(super) fn is_bare(&self) -> bool {
        let compares = self.than.is_some() || self.against.is_some() || self.offset.is_some();
        self.selection.is_everything() && !compares
    }
}

/// `query alerts`.
#[derive(Args, Debug)]
pub(super) struct AlertsArgs {
    /// Those that are fine, too
    #[arg(long)]
    pub(super) all: bool,
    /// What happened, latest first
    #[arg(long, conflicts_with_all = ["silence", "unsilence"])]
    pub(super) history: bool,
    #[command(flatten)]
    pub(super) time: TimeArgs,
    /// Keep alerts of this name quiet; * at the end stands for any ending
    #[arg(long, value_name = "NAME", conflicts_with = "unsilence")]
    pub(super) silence: Option<String>,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "1h")]
    pub(super) duration: Length,
    /// Why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) comment: String,
    /// End a silence by its number
    #[arg(long, value_name = "NUMBER")]
    pub(super) unsilence: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `query watch`.
#[derive(Args, Debug)]
pub(super) struct WatchArgs {
    /// Labels that must match, as {service="api"}
    #[arg(value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    pub(super) selector: String,
    /// Signal: cpu when left out
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) signal: String,
    /// End after so many windows
    #[arg(long, value_name = "COUNT")]
    pub(super) count: Option<u64>,
    /// Most functions of each window
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub(super) limit: usize,
    /// Print one line of JSON a window
    #[arg(long)]
    pub(super) json: bool,
}

/// `query burst`.
#[derive(Args, Debug)]
pub(super) struct BurstArgs {
    /// Host whose daemon is asked
    #[arg(value_name = "HOST")]
    pub(super) host: String,
    /// Samples a second and CPU, of time on the CPU
    #[arg(long, value_name = "HZ", default_value_t = 499)]
    pub(super) rate: u32,
    /// How long
    #[arg(long = "for", value_name = "TIME", default_value = "10s")]
    pub(super) duration: Length,
    /// Signal: cpu when left out, or one that the daemon does not watch all the time
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) signal: String,
    /// Only this process; may be given more than once
    #[arg(long = "pid", value_name = "PID")]
    pub(super) pids: Vec<u32>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Length, Moment, TimeArgs};

    #[test]
    fn a_span_of_time_ends_now_and_begins_an_hour_before() {
        let seconds = |time: TimeArgs| {
            let range = time.range_at(Duration::from_secs(10_000)).unwrap();
            (range.start_ns / 1_000_000_000, range.end_ns / 1_000_000_000)
        };
        assert_eq!((6_400, 10_000), seconds(TimeArgs::default()));
        let last = TimeArgs {
            last: Some(Length(Duration::from_secs(60))),
            ..TimeArgs::default()
        };
        assert_eq!((9_940, 10_000), seconds(last));
        let fixed = TimeArgs {
            from: Some(Moment::Ago(Duration::from_secs(100))),
            to: Some(Moment::At(Duration::from_secs(9_950))),
            last: None,
        };
        assert_eq!((9_900, 9_950), seconds(fixed.clone()));
        let empty = TimeArgs {
            from: Some(Moment::Ago(Duration::ZERO)),
            ..fixed
        };
        empty.range_at(Duration::from_secs(10_000)).unwrap_err();
    }
}

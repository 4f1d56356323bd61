//! What was found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{evidence::Site, statistics::Interval};

/// What kind of bottleneck.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// One function takes much CPU by itself.
    HotFunction,
    /// One way through the code takes much CPU, spread over many functions.
    HotPath,
    /// Threads queue for one lock.
    LockConvoy,
    /// So many system calls that their number is the cost.
    SyscallStorm,
    /// Reads or writes so short that the calls are the cost.
    TinyIo,
    /// A remote endpoint is slow to connect to or to answer.
    SlowRemote,
    /// Segments have to be sent again.
    Retransmits,
    /// One function allocates much.
    AllocationHotSpot,
    /// Memory allocated here is not freed, and grows.
    LeakSuspect,
    /// Many page faults at one place.
    PageFaultStorm,
    /// Threads wait for a CPU although they could run.
    RunQueueSaturation,
    /// One thread is as busy as a CPU can be while others have nothing to do.
    OneBusyThread,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::HotFunction,
        Self::HotPath,
        Self::LockConvoy,
        Self::SyscallStorm,
        Self::TinyIo,
        Self::SlowRemote,
        Self::Retransmits,
        Self::AllocationHotSpot,
        Self::LeakSuspect,
        Self::PageFaultStorm,
        Self::RunQueueSaturation,
        Self::OneBusyThread,
    ];

    /// The word of the rules, the wire and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HotFunction => "hot_function",
            Self::HotPath => "hot_path",
            Self::LockConvoy => "lock_convoy",
            Self::SyscallStorm => "syscall_storm",
            Self::TinyIo => "tiny_io",
            Self::SlowRemote => "slow_remote",
            Self::Retransmits => "retransmits",
            Self::AllocationHotSpot => "allocation_hot_spot",
            Self::LeakSuspect => "leak_suspect",
            Self::PageFaultStorm => "page_fault_storm",
            Self::RunQueueSaturation => "run_queue_saturation",
            Self::OneBusyThread => "one_busy_thread",
        }
    }

    /// How much more a kind explains than others that are as grave: a convoy says more than the
    /// function that is hot inside of it.
    pub(super) fn weight(self) -> u8 {
        match self {
            Self::HotFunction => 0,
            Self::HotPath => 1,
            Self::RunQueueSaturation => 2,
            Self::OneBusyThread | Self::AllocationHotSpot | Self::PageFaultStorm => 3,
            Self::SyscallStorm | Self::TinyIo => 4,
            Self::LeakSuspect | Self::Retransmits | Self::SlowRemote => 5,
            Self::LockConvoy => 6,
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much attention something needs.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Someone should look.
    #[default]
    Warning,
    /// Someone should look now.
    Critical,
}

impl Severity {
    /// The word of budgets and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unit {
    /// A share, 0 to 1.
    #[default]
    Ratio,
    /// CPUs in use.
    Cores,
    /// Threads on the average.
    Threads,
    /// Times a second.
    PerSecond,
    /// Bytes a second.
    BytesPerSecond,
    /// Bytes.
    Bytes,
    /// Time.
    Nanoseconds,
    /// Times.
    Count,
}

impl Unit {
    /// The word of the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Cores => "cores",
            Self::Threads => "threads",
            Self::PerSecond => "per_second",
            Self::BytesPerSecond => "bytes_per_second",
            Self::Bytes => "bytes",
            Self::Nanoseconds => "nanoseconds",
            Self::Count => "count",
        }
    }

    /// A value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{:.1}%", value * 100.0),
            Self::Cores => format!("{value:.2} CPUs"),
            Self::Threads => format!("{value:.2} threads"),
            Self::PerSecond => format!("{}/s", scaled(value, &THOUSANDS)),
            Self::BytesPerSecond => format!("{}/s", scaled(value, &MEMORY)),
            Self::Bytes => scaled(value, &MEMORY),
            Self::Nanoseconds => scaled(value, &TIME),
            Self::Count => scaled(value, &THOUSANDS),
        }
    }
}

/// Steps of units, smallest first, with what stands behind the number.
type Scale = [(f64, &'static str); 4];
/// Of plain numbers.
const THOUSANDS: Scale = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")];
/// Of bytes.
const MEMORY: Scale = [
    (1.0, " B"),
    (1_024.0, " KiB"),
    (1_048_576.0, " MiB"),
    (1_073_741_824.0, " GiB"),
];
/// Of nanoseconds.
const TIME: Scale = [(1.0, " ns"), (1e3, " µs"), (1e6, " ms"), (1e9, " s")];

/// A number in the largest unit that leaves something before the point.
fn scaled(value: f64, scale: &Scale) -> String {
    let fits = scale.iter().rev().find(|(size, _)| *size <= value.abs());
    let (size, unit) = fits.copied().unwrap_or(scale[0]);
    let shown = value / size;
    if shown.fract().abs() < 1e-9 || 100.0 <= shown.abs() {
        format!("{shown:.0}{unit}")
    } else {
        format!("{shown:.2}{unit}")
    }
}

/// A number that a finding rests on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Number {
    /// A word for programs.
    pub name: &'static str,
    /// For people.
    pub text: &'static str,
    /// With its bounds; both are the value for what is counted and not sampled.
    pub interval: Interval,
    /// What it counts.
    pub unit: Unit,
}

impl Number {
    /// Puts a number together.
    pub(super) fn new(
        name: &'static str,
        text: &'static str,
        unit: Unit,
        interval: Interval,
    ) -> Self {
        Self {
            name,
            text,
            interval,
            unit,
        }
    }

    /// With its bounds, as people read it: `61.0% (58.2% to 63.7%)`.
    pub fn show(&self) -> String {
        let Interval { value, low, high } = self.interval;
        let shown = self.unit.show(value);
        let (low, high) = (self.unit.show(low), self.unit.show(high));
        if low == high {
            shown
        } else {
            format!("{shown} ({low} to {high})")
        }
    }
}

/// Something that is wrong, or may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// How much attention it needs.
    pub severity: Severity,
    /// Where.
    pub place: Site,
    /// The way there, outermost first; empty where it does not matter.
    pub path: Vec<Site>,
    /// Who holds the lock, where that can be told.
    pub holder: Option<Site>,
    /// What it costs, as a share of `cost_of`.
    pub cost: Number,
    /// What the cost is a share of.
    pub cost_of: &'static str,
    /// The numbers it rests on.
    pub evidence: Vec<Number>,
    /// One sentence for a developer.
    pub summary: String,
    /// The command that shows it.
    pub command: String,
    /// What to draw: the signal.
    pub signal: &'static str,
    /// What to draw: the kind of value.
    pub value_kind: &'static str,
    /// What to draw: the data.
    pub selector: String,
    /// Which service; empty when it is about none.
    pub service: String,
    /// Effective number of samples.
    pub samples: f64,
}

impl Finding {
    /// A text that the same finding has whenever it is found.
    pub fn id(&self) -> String {
        let parts = [
            self.kind.as_str(),
            &self.service,
            &self.place.function,
            &self.place.file,
        ];
        format!(
            "{:016x}",
            xxhash_rust::xxh3::xxh3_64(parts.join("\u{0}").as_bytes())
        )
    }

    /// Order of a list: gravest first, then by what explains the most, then costliest.
    pub fn rank(&self, other: &Self) -> std::cmp::Ordering {
        let key = |finding: &Self| (finding.severity, finding.kind.weight());
        key(other)
            .cmp(&key(self))
            .then_with(|| (other.cost.interval.value).total_cmp(&self.cost.interval.value))
            .then_with(|| self.id().cmp(&other.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, Unit};
    use crate::service::insight::Interval;

    #[test]
    fn numbers_are_shown_in_fitting_units() {
        assert_eq!("61.0%", Unit::Ratio.show(0.61));
        assert_eq!("1.50 MiB/s", Unit::BytesPerSecond.show(1.5 * 1_048_576.0));
        assert_eq!("3 ms", Unit::Nanoseconds.show(3e6));
        assert_eq!("12.35k/s", Unit::PerSecond.show(12_345.0));
        assert_eq!("0.50 ns", Unit::Nanoseconds.show(0.5));
        let sure = Number::new("n", "n", Unit::Count, Interval::exact(7.0));
        assert_eq!("7", sure.show());
    }
}

//! How good the data is. Carried by every profile, shown in every answer.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// Why a stack could not be followed to its start.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// Deeper than the probe follows; the leaf side is kept.
    Depth,
    /// The program counter was in no known mapping of the process.
    Unmapped,
    /// The process was not known yet.
    UnknownProcess,
    /// The table of the file was still being compiled.
    TableNotReady,
    /// The file has no unwind information here and the frame pointer led nowhere.
    NoUnwindInfo,
    /// The unwind rule is one the probe cannot follow.
    UnsupportedRule,
    /// The stack memory could not be read.
    UnreadableStack,
    /// The next frame would not be further up the stack.
    NotAscending,
    /// The user registers could not be had.
    NoRegisters,
    /// For a reason that a newer daemon knows and this program does not.
    Other,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "too deep",
            Self::Unmapped => "unmapped code",
            Self::UnknownProcess => "new process",
            Self::TableNotReady => "table not ready",
            Self::NoUnwindInfo => "no unwind information",
            Self::UnsupportedRule => "unsupported rule",
            Self::UnreadableStack => "unreadable stack",
            Self::NotAscending => "stack not ascending",
            Self::NoRegisters => "no registers",
            Self::Other => "other",
        })
    }
}

/// Where samples were lost.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The ring was full.
    RingFull,
    /// The scratch memory of this CPU was in use.
    ScratchBusy,
    /// The record could not be decoded.
    Undecodable,
    /// A table of the daemon was full.
    TableFull,
    /// Names were looked up more slowly than windows were counted.
    NamingBehind,
    /// For a cause that a newer daemon knows and this program does not.
    Other,
}

/// How good the data of one profile is.
///
/// `taken = lost + idle + kept`, where kept samples are the profile's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Quality {
    /// Samples whose owner was selected by the filters and which were kept.
    pub samples: u64,
    /// Samples of an idle CPU: counted, not shipped.
    pub idle: u64,
    /// Samples lost, by cause.
    pub lost: BTreeMap<Loss, u64>,
    /// Samples whose user stack reached the start of its thread (kernel threads included).
    pub complete: u64,
    /// Samples whose user stack was cut, by reason.
    pub truncated: BTreeMap<Truncation, u64>,
    /// Samples in which at least one frame was found by the frame-pointer fallback.
    pub fallback: u64,
    /// Distinct frames.
    pub frames: u64,
    /// Distinct frames without a name.
    pub frames_unnamed: u64,
    /// Samples a second and CPU that were asked for.
    pub rate_asked_hz: f64,
    /// Samples a second and CPU that were taken.
    pub rate_effective_hz: f64,
    /// Share of the window in which sampling was on, or of what was drawn, 0 to 1. The values of
    /// the samples make up for the rest.
    pub duty_cycle: f64,
    /// Share of the host's CPU that sampling took, all signals together; 0 when nobody measured.
    #[serde(skip_serializing_if = "is_nothing")]
    pub overhead: f64,
    /// Windows before this one that were sampled and never arrive: dropped from a full queue or
    /// spool, or lost with a daemon that died.
    #[serde(skip_serializing_if = "is_zero")]
    pub windows_lost: u64,
}

/// Whether a count is left out of files.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Whether a share is left out of files.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_nothing(share: &f64) -> bool {
    *share <= 0.0
}

impl Quality {
    /// Samples lost, all causes.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Samples with a cut user stack, all reasons.
    pub fn truncated_total(&self) -> u64 {
        self.truncated.values().sum()
    }
}

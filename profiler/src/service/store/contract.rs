//! What every engine of the store does. The conformance suite holds all of them to it.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::model::{
    Batch, FrameDefinition, FrameId, Labels, ProfileType, Quality, Selection, SenderId, SeriesId,
    StackId, TimeRange,
};

/// Length of the slots of time, from the epoch on, whose changes are told apart: see
/// [`Store::version`].
pub const SLOT: Duration = Duration::from_secs(300);

/// Why the store said no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Windows refer to definitions that never came.
    #[error("{} frames and {} stacks are not defined", .frames.len(), .stacks.len())]
    Undefined {
        /// Frames to send.
        frames: Vec<FrameId>,
        /// Stacks to send.
        stacks: Vec<StackId>,
    },
    /// The disk has no room, or the store may not use more. Try again later.
    #[error("the store is full: {reason}")]
    Full {
        /// What is full.
        reason: String,
    },
    /// The query would read too much.
    #[error(
        "the query reads {rows} rows, the bound is {rows_max}; a shorter time or a narrower selector helps"
    )]
    TooMuch {
        /// Rows it would read.
        rows: u64,
        /// Rows it may read.
        rows_max: u64,
    },
    /// The one who asked has gone, or the time is over.
    #[error("the query was given up")]
    Cancelled,
    /// A matcher's regular expression cannot be used.
    #[error("regular expression for `{label}`: {reason}")]
    Regex {
        /// Which label.
        label: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the store cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which one.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// A batch on its way to the disk: resolves when it is durable.
#[derive(Debug)]
pub struct Appended(pub oneshot::Receiver<Result<(), Arc<StoreError>>>);

impl Appended {
    /// A batch that is durable already.
    pub(super) fn already() -> Self {
        let (done, appended) = oneshot::channel();
        done.send(Ok(())).expect("the receiver is held here");
        Self(appended)
    }
}

/// Bounds of one query, and the way to stop it.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Most rows it may read.
    pub rows_max: u64,
    /// Set when nobody waits for the answer any more; looked at between row groups.
    pub cancelled: Arc<std::sync::atomic::AtomicBool>,
    /// Monotonic time (`clock::monotonic`) at which to give up.
    pub deadline: Option<Duration>,
}

/// Summed values of each stack of a selection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MergedStacks {
    /// Each stack once, in order of id.
    pub stacks: Vec<(StackId, u64)>,
    /// Rows read.
    pub rows_read: u64,
}

/// Summed values of each stack of the series that share some labels.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStacks {
    /// The labels they share.
    pub labels: Labels,
    /// Each stack once, in order of id.
    pub stacks: Vec<(StackId, u64)>,
}

/// Total of one step of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TotalsPoint {
    /// Start of the step, since the Unix epoch.
    pub start: Duration,
    /// Sum.
    pub value: u64,
}

/// Totals over time of the series that share some labels.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTotals {
    /// The labels they share.
    pub labels: Labels,
    /// Steps that have data, in order of time.
    pub points: Vec<TotalsPoint>,
}

/// A series that has data.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// Its id.
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
}

/// What is known of a host in a span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFacts {
    /// Its name.
    pub host: String,
    /// Start of its last window.
    pub last_window: Duration,
    /// Windows it delivered.
    pub windows: u64,
    /// Quality of all of them together.
    pub quality: Quality,
}

/// Frames of a stack, innermost first; `None` for a stack that is not known.
pub type FrameHashes = Option<Arc<[FrameId]>>;

/// An engine that keeps windows and finds them again.
///
/// Calls may block on disk and CPU: an asynchronous caller makes them on a thread that may block.
/// Every answer of a query is over integers and the same whichever engine gives it.
pub trait Store: Send + Sync {
    /// Takes a batch. Returns at once; the receiver says when it is durable. A number that was taken
    /// before is durable at once and counted once. Numbers of one sender come in order.
    ///
    /// # Errors
    /// [`StoreError::Undefined`] and nothing is kept; [`StoreError::Full`].
    fn append(&self, sender: SenderId, sequence: u64, batch: Batch)
    -> Result<Appended, StoreError>;

    /// The last number of a sender that is durable; zero for none.
    fn durable_sequence(&self, sender: SenderId) -> u64;

    /// Summed values of each stack of a selection. For a type whose unit is `nanoseconds` and whose
    /// signal is periodic, values are periods times their length.
    ///
    /// # Errors
    /// Too much to read, given up, or a file that cannot be read.
    fn merge_stacks(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<MergedStacks, StoreError>;

    /// Summed values of each stack of a selection, apart for each combination of `group_by`, in order
    /// of labels. Values are those of [`Store::merge_stacks`].
    ///
    /// # Errors
    /// As [`Store::merge_stacks`].
    fn merge_stacks_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, StoreError>;

    /// Totals of a selection by step of time, one line for each combination of `group_by`.
    ///
    /// # Errors
    /// As [`Store::merge_stacks`].
    fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupTotals>, StoreError>;

    /// Series of a selection.
    ///
    /// # Errors
    /// A matcher that cannot be used.
    fn series(&self, selection: &Selection) -> Result<Vec<SeriesInfo>, StoreError>;

    /// Types of values that have data.
    fn profile_types(&self, range: TimeRange) -> Vec<ProfileType>;

    /// Hosts that delivered windows, with their quality, of one signal or of all.
    fn hosts(&self, range: TimeRange, signal: Option<&str>) -> Vec<HostFacts>;

    /// Frames of stacks, in the order asked for.
    fn stacks(&self, ids: &[StackId]) -> Vec<FrameHashes>;

    /// Definitions of frames, in the order asked for.
    fn frames(&self, ids: &[FrameId]) -> Vec<Option<Arc<FrameDefinition>>>;

    /// A number that is another one when the windows that began in the [`SLOT`]s of a span are others:
    /// an answer that was made under the same number still holds.
    fn version(&self, range: TimeRange) -> u64;

    /// Forgets windows that began before `before`.
    ///
    /// # Errors
    /// A file that cannot be removed.
    fn drop_before(&self, before: Duration) -> Result<(), StoreError>;

    /// Writes a copy that can be opened as a store, while this one goes on.
    ///
    /// # Errors
    /// The folder is not empty, or cannot be written.
    fn backup(&self, dir: &Path) -> Result<(), StoreError>;
}

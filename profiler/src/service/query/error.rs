//! Why a question has no answer.

use std::time::Duration;

use super::{SelectorError, limits};
use crate::{
    model::Signal,
    render,
    service::{insight::BudgetError, live::BurstError, store::StoreError},
};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The budget cannot be used.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The selector cannot be understood.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The span of time is empty or does not exist.
    #[error("the time ends at {end_ns} ns, which is not after its start at {start_ns} ns")]
    Time {
        /// Start, since the Unix epoch.
        start_ns: u128,
        /// End, since the Unix epoch.
        end_ns: u128,
    },
    /// Something asked for is outside its bound.
    #[error("{what} is {found}, at most {most}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// What was asked for.
        found: u128,
        /// The bound.
        most: u128,
    },
    /// Something that must be said is not.
    #[error("{what} is missing")]
    Missing {
        /// What it is.
        what: &'static str,
    },
    /// Only one build, or none, was ever seen.
    #[error("there is no build, and no version, before the present one")]
    NoEarlierBuild,
    /// Something was said that there is not.
    #[error("no {what} has the number {number}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// What was said.
        number: i32,
    },
    /// No daemon has a signal of this name.
    #[error("there is no signal `{signal}`; there are {}", Signal::WATCHED.map(Signal::as_str).join(", "))]
    NoSuchSignal {
        /// What was asked for.
        signal: String,
    },
    /// The signal counts nothing of this kind.
    #[error("signal `{signal}` has no kind `{kind}`; it has {}", .known.join(", "))]
    Kind {
        /// Which signal.
        signal: String,
        /// What was asked for.
        kind: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nobody recorded the signal of a table.
    #[error(
        "no host recorded `{signal}` in this time; start `profiler up` with `-e cpu,{event}`, or the \
         daemon with `signals = [\"cpu\", \"{event}\"]` in its configuration, or ask for a longer time"
    )]
    NotRecorded {
        /// The signal.
        signal: &'static str,
        /// The word of the command line that has it recorded.
        event: &'static str,
    },
    /// Two selections that count in different units.
    #[error("one selection counts {before}, the other {after}; only equal units can be compared")]
    Units {
        /// Unit of the first.
        before: String,
        /// Unit of the second.
        after: String,
    },
    /// More distinct stacks than one answer may look at.
    #[error(
        "the selection has {stacks} distinct stacks, the bound is {}; a shorter time or a narrower \
         selector helps",
        limits::STACKS_MAX
    )]
    TooManyStacks {
        /// How many.
        stacks: usize,
    },
    /// A trend of more lines than anyone can read.
    #[error(
        "the trend has {lines} lines, the bound is {}; fewer labels to group by or a narrower \
         selector helps",
        limits::LINES_MAX
    )]
    TooManyLines {
        /// How many.
        lines: usize,
    },
    /// Too many questions at once.
    #[error("{waiting} questions wait already; ask again later")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// No worker was free in time.
    #[error("no worker was free within {waited:?}; ask again later")]
    Waited {
        /// How long it waited.
        waited: Duration,
    },
    /// The daemon of a host was not told.
    #[error("host `{host}`")]
    Burst {
        /// Which host.
        host: String,
        /// Why not.
        source: BurstError,
    },
    /// The one who works the answer out came to a bug of ours.
    #[error("the answer could not be worked out: a bug, which the log of the service describes")]
    Bug,
    /// The file could not be made.
    #[error("the file cannot be made")]
    Render(#[source] render::WriteError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

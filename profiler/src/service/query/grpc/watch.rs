//! Windows of a selection as they arrive.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{broadcast, mpsc};
use tonic::Status;

use super::{answer, gate::Gate, status::status};
use crate::{
    model::{HostWindow, ProfileType, StackId},
    service::{
        query::{
            FlameGraph, QueryError, Reader, flame_graph::tree_of, limits::ANSWER_TIME_MAX,
            quality::of_stacks,
        },
        store::{LabelFilter, MergedStacks},
    },
    wire::v1::generated::WatchResponse,
};

/// What someone watches.
pub(super) struct Watch {
    pub(super) reader: Arc<Reader>,
    pub(super) gate: Gate,
    pub(super) signal: String,
    pub(super) filter: Arc<LabelFilter>,
    pub(super) node_limit: usize,
}

/// Where windows are sent to.
type Sender = mpsc::Sender<Result<WatchResponse, Status>>;

impl Watch {
    /// Sends windows until nobody takes them or no more come. A watcher that is slower than the
    /// windows misses some, and is told how many with the next one.
    pub(super) async fn run(
        self,
        mut windows: broadcast::Receiver<Arc<HostWindow>>,
        sender: Sender,
    ) {
        let mut skipped = 0;
        loop {
            let window = tokio::select! {
                window = windows.recv() => window,
                () = sender.closed() => return,
            };
            let window = match window {
                Ok(window) => window,
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    skipped += count;
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if window.signal != self.signal {
                continue;
            }
            match self.answer(window).await {
                Ok(None) => {}
                Ok(Some(mut response)) => {
                    response.skipped = std::mem::take(&mut skipped);
                    if sender.send(Ok(response)).await.is_err() {
                        return;
                    }
                }
                // The service is busy: this window is skipped, the next one may be sent.
                Err(QueryError::Busy { .. } | QueryError::Waited { .. }) => skipped += 1,
                Err(error) => {
                    // Nobody takes it: the watcher has gone.
                    drop(sender.send(Err(status(&error))).await);
                    return;
                }
            }
        }
    }

    /// The tree of one window; nothing when none of it is watched.
    async fn answer(&self, window: Arc<HostWindow>) -> Result<Option<WatchResponse>, QueryError> {
        let reader = Arc::clone(&self.reader);
        let filter = Arc::clone(&self.filter);
        let node_limit = self.node_limit;
        let work = move |_limits: &_| Ok(response(&reader, &filter, &window, node_limit));
        self.gate.run(ANSWER_TIME_MAX, work).await
    }
}

/// The tree of one window.
fn response(
    reader: &Reader,
    filter: &LabelFilter,
    window: &HostWindow,
    node_limit: usize,
) -> Option<WatchResponse> {
    let merged = merged(filter, window)?;
    let first = window.value_types.first()?;
    let named = reader.named(&merged);
    let graph = FlameGraph {
        profile_type: ProfileType {
            signal: window.signal.clone(),
            kind: first.kind.clone(),
            unit: first.unit.clone(),
        },
        tree: tree_of(&merged, &named, node_limit),
        quality: of_stacks(window.quality.clone(), &merged, &named),
    };
    Some(WatchResponse {
        start_ns: answer::nanoseconds(window.span.start),
        duration_ns: answer::nanoseconds(window.span.duration),
        host: window.host.clone(),
        flame_graph: Some(answer::flame_graph(&graph)),
        skipped: 0,
    })
}

/// First values of the stacks that are watched; nothing when no series is.
fn merged(filter: &LabelFilter, window: &HostWindow) -> Option<MergedStacks> {
    let mut watched = (window.series.iter())
        .filter(|series| filter.accepts(&series.labels))
        .peekable();
    watched.peek()?;
    let mut sums: HashMap<StackId, u64> = HashMap::new();
    for sample in watched.flat_map(|series| &series.samples) {
        let sum = sums.entry(sample.stack).or_default();
        *sum = sum.saturating_add(sample.values.first().copied().unwrap_or_default());
    }
    let mut stacks: Vec<(StackId, u64)> = sums.into_iter().collect();
    stacks.sort_unstable();
    Some(MergedStacks {
        stacks,
        rows_read: 0,
    })
}

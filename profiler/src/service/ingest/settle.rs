//! Waits until batches are durable, in order, and acknowledges them.

use std::sync::Arc;

use tokio::sync::{
    OwnedSemaphorePermit, mpsc,
    oneshot::error::{RecvError, TryRecvError},
};

use super::{delivery::Taken, outgoing::Outgoing, service::Ingest};
use crate::{
    service::{live::Connected, store::StoreError},
    wire::v1::{
        encode_burst,
        generated::{Ack, SlowDown, ingest_response::Message},
    },
};

/// A batch that is not durable yet.
pub(super) struct Pending {
    pub(super) taken: Taken,
    /// Memory that it takes.
    pub(super) memory: OwnedSemaphorePermit,
}

/// Acknowledges batches and passes orders on, until no more batches come or one fails.
pub(super) async fn settle(
    ingest: &Ingest,
    mut pending: mpsc::Receiver<Pending>,
    outgoing: &Outgoing,
    connected: &mut Connected,
) -> Result<(), Unsettled> {
    loop {
        tokio::select! {
            next = pending.recv() => match next {
                None => return Ok(()),
                Some(first) => acknowledge(ingest, first, &mut pending, outgoing).await?,
            },
            Some(order) = connected.orders.recv() => {
                let order = Message::Burst(encode_burst(&order));
                outgoing.send(order).await.map_err(|_gone| Unsettled::Gone)?;
            }
        }
    }
}

/// Why batches are not acknowledged any more.
pub(super) enum Unsettled {
    /// The client does not take answers.
    Gone,
    /// The store could not make a batch durable.
    Store(Arc<StoreError>),
    /// The store dropped a batch without a word.
    Dropped,
}

/// Waits for a batch and for all that are durable with it, and acknowledges the last.
async fn acknowledge(
    ingest: &Ingest,
    first: Pending,
    pending: &mut mpsc::Receiver<Pending>,
    outgoing: &Outgoing,
) -> Result<(), Unsettled> {
    let mut current = Some(first);
    let mut batches = 0;
    let mut sequence = 0;
    while let Some(Pending { mut taken, memory }) = current.take() {
        let ready = taken.appended.0.try_recv();
        if 0 < batches && matches!(ready, Err(TryRecvError::Empty)) {
            // Not durable with those before: they are acknowledged first.
            send_ack(ingest, outgoing, sequence, batches).await?;
            batches = 0;
        }
        let outcome = match ready {
            Ok(outcome) => Ok(outcome),
            Err(TryRecvError::Empty) => taken.appended.0.await,
            Err(TryRecvError::Closed) => return Err(Unsettled::Dropped),
        };
        settled(ingest, outgoing, outcome).await?;
        drop(memory);
        for window in taken.windows {
            ingest.live.publish(window);
        }
        sequence = taken.sequence;
        batches += 1;
        current = pending.try_recv().ok();
    }
    send_ack(ingest, outgoing, sequence, batches).await
}

/// Looks at what the store said of a batch.
async fn settled(
    ingest: &Ingest,
    outgoing: &Outgoing,
    outcome: Result<Result<(), Arc<StoreError>>, RecvError>,
) -> Result<(), Unsettled> {
    let error = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_dropped) => return Err(Unsettled::Dropped),
    };
    if let StoreError::Full { reason } = &*error {
        ingest.note_full(reason);
        let slow_down = slow_down(super::limits::FULL_WAIT, reason);
        outgoing
            .send(slow_down)
            .await
            .map_err(|_gone| Unsettled::Gone)?;
    }
    Err(Unsettled::Store(error))
}

/// Acknowledges everything up to a number.
async fn send_ack(
    ingest: &Ingest,
    outgoing: &Outgoing,
    sequence: u64,
    batches: u64,
) -> Result<(), Unsettled> {
    let ack = Message::Ack(Ack { sequence });
    outgoing.send(ack).await.map_err(|_gone| Unsettled::Gone)?;
    ingest.counters.acknowledged.inc_by(batches);
    Ok(())
}

/// The wish that a client waits.
pub(super) fn slow_down(wait: std::time::Duration, reason: &str) -> Message {
    Message::SlowDown(SlowDown {
        wait_ns: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
        reason: reason.to_owned(),
    })
}

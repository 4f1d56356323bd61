//! One message of a daemon on its way to the store: decoding and handing over, on a thread that may
//! take its time.

use std::sync::Arc;

use bytes::Bytes;

use super::{limits::SENDER_ID_SIZE_BYTES, limits::VERSION_SIZE_BYTES_MAX, service::Ingest};
use crate::{
    model::{Batch, FrameId, HostWindow, SenderId, StackId, label},
    service::store::{Appended, StoreError},
    wire::v1::{
        DecodeError, decode_batch, decode_request,
        generated::{Hello, ingest_request::Message},
        limits::HOST_SIZE_BYTES_MAX,
    },
};

/// Why a stream is ended. Says what the client is told.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// A message cannot be read.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A message comes when it should not.
    #[error("{0}")]
    Protocol(&'static str),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] Arc<StoreError>),
    /// The thread that handed a batch to the store is gone.
    #[error("a thread of the service ended early")]
    Thread,
}

/// Who a stream is from.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) sender: SenderId,
    pub(super) host: String,
    pub(super) takes_bursts: bool,
}

/// What became of a batch.
pub(super) enum Delivery {
    /// The store has it and will say when it is durable.
    Taken(Taken),
    /// It needs definitions that never came.
    Undefined {
        sequence: u64,
        frames: Vec<FrameId>,
        stacks: Vec<StackId>,
    },
    /// The store has no room. The same bytes can be tried again.
    Full { reason: String },
    /// It comes after one that has to come again first.
    OutOfTurn { sequence: u64 },
}

/// A batch that the store took.
pub(super) struct Taken {
    pub(super) sequence: u64,
    pub(super) appended: Appended,
    /// Weighted stacks.
    pub(super) stacks: usize,
    /// For those who watch; empty when nobody does.
    pub(super) windows: Vec<HostWindow>,
}

/// Which batches may be handed to the store: a batch that was refused must come again before any
/// that follows it, because the store takes a later number for the end of all earlier ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    /// Last number that came since one was refused.
    refused_up_to: Option<u64>,
}

impl Turn {
    /// Whether a number may be taken now. A number that does not go up starts the repetition.
    fn admits(self, sequence: u64) -> bool {
        self.refused_up_to.is_none_or(|last| sequence <= last)
    }

    /// The turn after a delivery.
    pub(super) fn after(self, delivery: &Delivery) -> Self {
        let refused_up_to = match delivery {
            Delivery::Taken(_) => None,
            Delivery::Undefined { sequence, .. } | Delivery::OutOfTurn { sequence } => {
                Some(*sequence)
            }
            Delivery::Full { .. } => self.refused_up_to,
        };
        Self { refused_up_to }
    }
}

/// Reads the first message of a stream.
///
/// # Errors
/// It is no `Hello`, or one that says nothing usable.
pub(super) fn read_hello(bytes: &Bytes) -> Result<Client, StreamError> {
    let Some(Message::Hello(hello)) = decode_request(bytes)?.message else {
        return Err(StreamError::Protocol("the first message is not a Hello"));
    };
    let Hello {
        sender_id,
        host,
        version,
        takes_bursts,
    } = hello;
    let id = <[u8; SENDER_ID_SIZE_BYTES]>::try_from(sender_id.as_slice());
    let id = id.map_err(|_wrong_length| StreamError::Protocol("sender_id is not 16 bytes"))?;
    if !(1..=HOST_SIZE_BYTES_MAX).contains(&host.len()) || VERSION_SIZE_BYTES_MAX < version.len() {
        return Err(StreamError::Protocol(
            "host or version are empty or too long",
        ));
    }
    Ok(Client {
        sender: SenderId(u128::from_be_bytes(id)),
        host,
        takes_bursts,
    })
}

/// Decodes a message and hands its batch to the store. Blocks.
///
/// # Errors
/// What ends the stream.
pub(super) fn deliver(
    ingest: &Ingest,
    client: &Client,
    turn: Turn,
    bytes: &Bytes,
) -> Result<Delivery, StreamError> {
    let Some(Message::Batch(message)) = decode_request(bytes)?.message else {
        return Err(StreamError::Protocol(
            "a message after the first is not a batch",
        ));
    };
    let sequence = message.sequence;
    if !turn.admits(sequence) {
        return Ok(Delivery::OutOfTurn { sequence });
    }
    let (sequence, mut batch) = decode_batch(message)?;
    set_host(&mut batch, &client.host);
    let series = batch.windows.iter().flat_map(|window| &window.series);
    let stacks = series.map(|series| series.samples.len()).sum();
    let windows = if ingest.live.is_watched() {
        batch.windows.clone()
    } else {
        Vec::new()
    };
    match ingest.store.append(client.sender, sequence, batch) {
        Ok(appended) => Ok(Delivery::Taken(Taken {
            sequence,
            appended,
            stacks,
            windows,
        })),
        Err(StoreError::Undefined { frames, stacks }) => Ok(Delivery::Undefined {
            sequence,
            frames,
            stacks,
        }),
        Err(StoreError::Full { reason }) => Ok(Delivery::Full { reason }),
        Err(error) => Err(StreamError::Store(Arc::new(error))),
    }
}

/// Enters the host that a daemon runs on, where its windows do not say it.
fn set_host(batch: &mut Batch, host: &str) {
    for window in &mut batch.windows {
        host.clone_into(&mut window.host);
        for series in &mut window.series {
            let label = series.labels.entry(label::HOST.to_owned());
            label.or_insert_with(|| host.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivery, Turn};

    #[test]
    fn after_a_refusal_batches_wait_for_the_repetition() {
        let undefined = |sequence| Delivery::Undefined {
            sequence,
            frames: Vec::new(),
            stacks: Vec::new(),
        };
        let turn = Turn::default();
        assert!(turn.admits(5));
        let turn = turn.after(&undefined(5));
        assert!(!turn.admits(6));
        let turn = turn.after(&Delivery::OutOfTurn { sequence: 6 });
        assert!(!turn.admits(7) && turn.admits(5));
        let reason = String::new();
        assert!(!turn.after(&Delivery::Full { reason }).admits(7));
    }
}

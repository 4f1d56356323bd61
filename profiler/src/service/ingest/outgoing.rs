//! Answers to a client, which must be taken in time.

use tokio::{sync::mpsc, time::timeout};
use tonic::Status;

use super::limits::SEND_WAIT;
use crate::wire::v1::generated::{IngestResponse, ingest_response::Message};

/// The client does not take answers, or is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gone;

/// The way to a client.
#[derive(Clone, Debug)]
pub(super) struct Outgoing(mpsc::Sender<Result<IngestResponse, Status>>);

impl Outgoing {
    /// Answers go into `sender`.
    pub(super) fn new(sender: mpsc::Sender<Result<IngestResponse, Status>>) -> Self {
        Self(sender)
    }

    /// Sends an answer.
    ///
    /// # Errors
    /// The client does not take it.
    pub(super) async fn send(&self, message: Message) -> Result<(), Gone> {
        let message = Some(message);
        self.put(Ok(IngestResponse { message })).await
    }

    /// Says why the stream ends.
    pub(super) async fn end(&self, status: Status) {
        // A client that is gone need not be told.
        let _told: Result<(), Gone> = self.put(Err(status)).await;
    }

    /// Puts something on its way.
    async fn put(&self, item: Result<IngestResponse, Status>) -> Result<(), Gone> {
        match timeout(SEND_WAIT, self.0.send(item)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_closed)) => Err(Gone),
            Err(_too_slow) => Err(Gone),
        }
    }
}

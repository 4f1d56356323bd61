//! One stream to the service, from hello to its end.

use std::{collections::VecDeque, time::Duration};

use prost::Message as _;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    connect::connect,
    counters::add,
    error::ShipError,
    known::Known,
    limits::{ACK_PATIENCE, CONNECT_PATIENCE, IN_FLIGHT_MAX, SLOW_DOWN_MAX},
    shipper::Shared,
};
use crate::{
    clock,
    wire::v1::{
        decode_batch, decode_burst, encode_batch,
        generated::{
            self as proto, IngestRequest, IngestResponse, ingest_request, ingest_response,
        },
        limits,
    },
};

/// Longest time between two looks at clock and spool.
const TICK: Duration = Duration::from_millis(200);

/// Why a stream ended without a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Nothing is left, and the daemon wants to end.
    Drained,
    /// Another service is to be used.
    Retargeted,
}

/// A stream that was welcomed.
struct Stream<'a> {
    shared: &'a Shared,
    requests: mpsc::Sender<IngestRequest>,
    known: Known,
    /// Batches sent and not acknowledged.
    in_flight: VecDeque<u64>,
    /// The last batch that was sent, or need not be.
    cursor: u64,
    /// When the service last said that it has something, or was sent something after a pause.
    progressed_at: Duration,
    /// Not to be sent to before.
    slow_until: Duration,
}

/// Connects, and sends until something ends it. `progressed` is set once the service took a batch.
///
/// # Errors
/// What ended it.
pub(super) async fn run(shared: &Shared, progressed: &mut bool) -> Result<End, ShipError> {
    let target = shared.target();
    let mut client = connect(&target).await?;
    let (requests, outgoing) = mpsc::channel(IN_FLIGHT_MAX + 1);
    let hello = proto::Hello {
        sender_id: shared.spool().sender().0.to_be_bytes().to_vec(),
        host: shared.host.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        takes_bursts: shared.take_burst.is_some(),
    };
    send(&requests, ingest_request::Message::Hello(hello)).await?;
    let response = client.ingest(ReceiverStream::new(outgoing));
    let patience = |what| move |_late| ShipError::Silent { what };
    let response = time::timeout(CONNECT_PATIENCE, response)
        .await
        .map_err(patience("does not answer"))??;
    let mut responses = response.into_inner();
    let first = time::timeout(CONNECT_PATIENCE, responses.message())
        .await
        .map_err(patience("sends no welcome"))??;
    let Some(ingest_response::Message::Welcome(welcome)) = first.and_then(|first| first.message)
    else {
        return Err(ShipError::Silent {
            what: "begins without a welcome",
        });
    };
    shared.spool().acknowledge(welcome.durable_sequence);
    shared.connected(true);
    let mut stream = Stream {
        shared,
        requests,
        known: Known::default(),
        in_flight: VecDeque::new(),
        cursor: welcome.durable_sequence,
        progressed_at: clock::monotonic(),
        slow_until: Duration::ZERO,
    };
    let end = stream.work(&mut responses, progressed).await;
    shared.connected(false);
    if let Err(ShipError::Refused { code, .. }) = &end
        && let Some(first) = stream.in_flight.front()
    {
        shared.refused(*code, *first);
    }
    end
}

impl Stream<'_> {
    /// Sends and listens until something ends it.
    async fn work(
        &mut self,
        responses: &mut Streaming<IngestResponse>,
        progressed: &mut bool,
    ) -> Result<End, ShipError> {
        loop {
            if self.shared.take_retargeted() {
                return Ok(End::Retargeted);
            }
            self.send_waiting().await?;
            if self.shared.is_stopping() && self.shared.spool().waiting() == 0 {
                return Ok(End::Drained);
            }
            tokio::select! {
                response = responses.message() => {
                    let response = response?.ok_or(ShipError::Silent { what: "ended the stream" })?;
                    *progressed |= self.handle(response)?;
                }
                () = self.shared.wake.notified() => {}
                () = time::sleep(TICK) => {}
            }
            if !self.in_flight.is_empty() && self.progressed_at + ACK_PATIENCE < clock::monotonic()
            {
                return Err(ShipError::Silent {
                    what: "acknowledges nothing",
                });
            }
        }
    }

    /// Sends what waits, as much as may be under way at once.
    async fn send_waiting(&mut self) -> Result<(), ShipError> {
        while self.in_flight.len() < IN_FLIGHT_MAX && self.slow_until <= clock::monotonic() {
            let next = self.shared.spool().read_after(self.cursor);
            let (sequence, payload) = match next {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(()),
                Err(ShipError::Damaged { sequence }) => {
                    tracing::warn!(sequence, "a batch in the spool is damaged and given up");
                    self.shared.give_up(sequence);
                    self.cursor = sequence;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(message) = self.message(sequence, &payload) {
                let size_bytes = message.encoded_len() as u64;
                send(&self.requests, ingest_request::Message::Batch(message)).await?;
                if self.in_flight.is_empty() {
                    self.progressed_at = clock::monotonic();
                }
                self.in_flight.push_back(sequence);
                add(&self.shared.counters.batches_sent, 1);
                add(&self.shared.counters.message_bytes_sent, size_bytes);
            } else {
                tracing::warn!(
                    sequence,
                    "a batch in the spool cannot be read and is given up"
                );
                self.shared.give_up(sequence);
            }
            self.cursor = sequence;
        }
        Ok(())
    }

    /// A batch of the spool without the definitions that were sent before; `None` when it is not
    /// what this program writes.
    fn message(&mut self, sequence: u64, payload: &[u8]) -> Option<proto::Batch> {
        let bytes = zstd::bulk::decompress(payload, limits::MESSAGE_SIZE_BYTES_MAX).ok()?;
        let message = proto::Batch::decode(bytes.as_slice()).ok()?;
        let (_sequence, mut batch) = decode_batch(message).ok()?;
        self.known.strip(&mut batch);
        Some(encode_batch(sequence, &batch))
    }

    /// One word of the service. `true` when it took something.
    fn handle(&mut self, response: IngestResponse) -> Result<bool, ShipError> {
        match response.message {
            Some(ingest_response::Message::Ack(ack)) => {
                self.acknowledged(ack.sequence);
                return Ok(true);
            }
            Some(ingest_response::Message::Missing(missing)) => {
                tracing::info!(
                    frames = missing.frames.len(),
                    stacks = missing.stacks.len(),
                    "the service lacks definitions"
                );
                // What is under way was stripped of them, too. A new stream begins after what is
                // durable, and with all definitions.
                return Err(ShipError::Silent {
                    what: "lacks definitions; they are sent again",
                });
            }
            Some(ingest_response::Message::SlowDown(slow)) => {
                let wait = Duration::from_nanos(slow.wait_ns).min(SLOW_DOWN_MAX);
                tracing::info!(?wait, reason = slow.reason, "the service asks to slow down");
                self.slow_until = clock::monotonic() + wait;
                self.progressed_at = self.slow_until;
            }
            Some(ingest_response::Message::Burst(order)) => self.take_burst(order),
            Some(ingest_response::Message::Welcome(_)) | None => {}
        }
        Ok(false)
    }

    /// Passes an order on. One that cannot be is left out: it is no reason to end the stream.
    fn take_burst(&self, order: proto::BurstOrder) {
        let Some(take_burst) = &self.shared.take_burst else {
            return;
        };
        match decode_burst(order) {
            Ok(order) => take_burst(order),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an order is left out"
                );
            }
        }
    }

    /// Batches up to a number are durable.
    fn acknowledged(&mut self, sequence: u64) {
        let before = self.in_flight.len();
        self.in_flight.retain(|sent| sequence < *sent);
        let count = before - self.in_flight.len();
        add(&self.shared.counters.batches_acknowledged, count as u64);
        self.shared.spool().acknowledge(sequence);
        self.progressed_at = clock::monotonic();
    }
}

/// Puts a message on its way.
async fn send(
    requests: &mpsc::Sender<IngestRequest>,
    message: ingest_request::Message,
) -> Result<(), ShipError> {
    let request = IngestRequest {
        message: Some(message),
    };
    let sent = requests.send(request).await;
    sent.map_err(|_closed| ShipError::Silent {
        what: "ended the stream",
    })
}

//! One stream of a daemon, from its `Hello` to its end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};
use tonic::{Code, Status, Streaming};

use super::{
    delivery::{Client, Delivery, StreamError, Taken, Turn, deliver, read_hello},
    limits::{FLUSH_WAIT, FULL_WAIT, HELLO_WAIT, MISSING_MAX, SLOW_DOWN_MIN},
    outgoing::{Gone, Outgoing},
    senders::{Seat, SenderError},
    service::Ingest,
    settle::{Pending, Unsettled, settle, slow_down},
};
use crate::{
    model::{FrameId, StackId},
    service::{access::Identity, store::StoreError},
    wire::v1::generated::{Missing, Welcome, ingest_response::Message},
};

/// Why a stream ended before its client ended it.
enum Ended {
    /// This service is being stopped.
    Stopped,
    /// A later stream of the same sender took its place.
    Replaced,
    /// Nothing moved for too long.
    Idle,
    /// The connection broke.
    Broken(Status),
    /// The client is not whom its sender id belongs to, or there are too many.
    Refused(SenderError),
    /// A message or the store was wrong.
    Wrong(StreamError),
}

impl From<StreamError> for Ended {
    fn from(error: StreamError) -> Self {
        Self::Wrong(error)
    }
}

impl From<Gone> for Ended {
    fn from(_gone: Gone) -> Self {
        Self::Idle
    }
}

/// Takes a stream until it ends, and says why.
pub(super) async fn run(
    ingest: Arc<Ingest>,
    identity: Identity,
    frames: Streaming<Bytes>,
    outgoing: Outgoing,
) {
    ingest.counters.streams.inc();
    let ended = converse(&ingest, &identity, frames, &outgoing).await;
    if let Err(ended) = ended {
        let status = explain(&ingest, &identity, ended);
        outgoing.end(status).await;
    }
    ingest.counters.streams.dec();
}

/// Greets the client, then takes its batches.
async fn converse(
    ingest: &Arc<Ingest>,
    identity: &Identity,
    mut frames: Streaming<Bytes>,
    outgoing: &Outgoing,
) -> Result<(), Ended> {
    let hello = next_frame(&mut frames, HELLO_WAIT).await?;
    let Some(hello) = hello else { return Ok(()) };
    let client = read_hello(&hello)?;
    let seat = claim(ingest, identity, &client).await?;
    let turn = tokio::select! {
        turn = seat.turn() => turn,
        () = seat.replaced.cancelled() => return Err(Ended::Replaced),
    };
    let durable_sequence = {
        let (ingest, sender) = (Arc::clone(ingest), client.sender);
        spawn_blocking(move || ingest.store.durable_sequence(sender)).await
    };
    let durable_sequence = durable_sequence.map_err(|_panic| StreamError::Thread)?;
    let welcome = Message::Welcome(Welcome { durable_sequence });
    outgoing.send(welcome).await?;
    let stream = Stream::start(ingest, client, seat, outgoing);
    let ended = stream.take_all(&mut frames).await;
    drop(turn);
    ended
}

/// Takes the sender's seat. The file of owners may block.
async fn claim(ingest: &Arc<Ingest>, identity: &Identity, client: &Client) -> Result<Seat, Ended> {
    let (ingest, identity, sender) = (Arc::clone(ingest), identity.clone(), client.sender);
    let claimed = spawn_blocking(move || ingest.senders.claim(sender, &identity)).await;
    let claimed = claimed.map_err(|_panic| StreamError::Thread)?;
    claimed.map_err(Ended::Refused)
}

/// The next message; `None` when the client is done.
async fn next_frame(frames: &mut Streaming<Bytes>, wait: Duration) -> Result<Option<Bytes>, Ended> {
    match timeout(wait, frames.message()).await {
        Ok(Ok(frame)) => Ok(frame),
        Ok(Err(status)) => Err(Ended::Broken(status)),
        Err(_elapsed) => Err(Ended::Idle),
    }
}

/// A stream that was greeted.
struct Stream {
    ingest: Arc<Ingest>,
    client: Arc<Client>,
    seat: Seat,
    outgoing: Outgoing,
    pending: mpsc::Sender<Pending>,
    settling: JoinHandle<Result<(), Unsettled>>,
}

impl Stream {
    /// Starts to acknowledge.
    fn start(ingest: &Arc<Ingest>, client: Client, seat: Seat, outgoing: &Outgoing) -> Self {
        let (pending, waiting) = mpsc::channel(ingest.limits.client_batches_in_flight);
        let mut connected = ingest.live.connect(&client.host, client.takes_bursts);
        let settling = {
            let (ingest, outgoing) = (Arc::clone(ingest), outgoing.clone());
            async move { settle(&ingest, waiting, &outgoing, &mut connected).await }
        };
        Self {
            ingest: Arc::clone(ingest),
            client: Arc::new(client),
            seat,
            outgoing: outgoing.clone(),
            pending,
            settling: tokio::spawn(settling),
        }
    }

    /// Takes batches until the end, and waits until what was taken is durable.
    async fn take_all(self, frames: &mut Streaming<Bytes>) -> Result<(), Ended> {
        let taken = tokio::select! {
            taken = self.take_each(frames) => taken,
            () = self.seat.replaced.cancelled() => Err(Ended::Replaced),
            () = self.ingest.stop.cancelled() => Err(Ended::Stopped),
        };
        let Self {
            pending, settling, ..
        } = self;
        drop(pending);
        let abort = settling.abort_handle();
        match timeout(FLUSH_WAIT, settling).await {
            Ok(Ok(Ok(()))) => taken,
            Ok(Ok(Err(unsettled))) => Err(unsettled.into()),
            Ok(Err(_panic)) => Err(StreamError::Thread.into()),
            Err(_elapsed) => {
                abort.abort();
                Err(Ended::Idle)
            }
        }
    }

    /// Takes batches, one after the other.
    async fn take_each(&self, frames: &mut Streaming<Bytes>) -> Result<(), Ended> {
        let idle = Duration::from_secs(self.ingest.limits.idle_seconds);
        let mut turn = Turn::default();
        while let Some(frame) = next_frame(frames, idle).await? {
            let memory = self.ingest.memory(frame.len()).await;
            let delivery = self.deliver(turn, &frame).await?;
            turn = turn.after(&delivery);
            match delivery {
                Delivery::Taken(taken) => {
                    let wait = self.account(&taken, frame.len());
                    let pending = Pending { taken, memory };
                    if self.pending.send(pending).await.is_err() {
                        // What settles has failed, and says why.
                        return Ok(());
                    }
                    self.slow_down(wait).await?;
                }
                Delivery::Undefined { frames, stacks, .. } => {
                    self.ask_for(&frames, &stacks).await?;
                }
                Delivery::OutOfTurn { .. } => {}
                Delivery::Full { reason } => {
                    let error = StoreError::Full { reason };
                    return Err(StreamError::Store(Arc::new(error)).into());
                }
            }
        }
        Ok(())
    }

    /// Hands a message over, again and again while the store has no room and nothing before it
    /// failed. Meanwhile nothing more is read from the client.
    async fn deliver(&self, turn: Turn, frame: &Bytes) -> Result<Delivery, Ended> {
        loop {
            let (ingest, client) = (Arc::clone(&self.ingest), Arc::clone(&self.client));
            let bytes = frame.clone();
            let work = move || deliver(&ingest, &client, turn, &bytes);
            let delivery = self.ingest.decode(work).await;
            match delivery.map_err(|_panic| StreamError::Thread)?? {
                Delivery::Full { reason } => {
                    self.ingest.note_full(&reason);
                    self.outgoing.send(slow_down(FULL_WAIT, &reason)).await?;
                    let settled_no_more = timeout(FULL_WAIT, self.pending.closed()).await;
                    if settled_no_more.is_ok() {
                        // One before this failed, and has to come again before it.
                        return Ok(Delivery::Full { reason });
                    }
                }
                taken @ Delivery::Taken(_) => {
                    self.ingest.note_room();
                    return Ok(taken);
                }
                refused @ (Delivery::Undefined { .. } | Delivery::OutOfTurn { .. }) => {
                    return Ok(refused);
                }
            }
        }
    }

    /// Counts what was taken; says how long the client has to wait for it.
    fn account(&self, taken: &Taken, bytes: usize) -> Duration {
        let counters = &self.ingest.counters;
        counters.batches.inc();
        counters.bytes.inc_by(bytes as u64);
        counters.stacks.inc_by(taken.stacks as u64);
        self.seat.spend(bytes, taken.stacks)
    }

    /// Reads nothing for a while, and says so if it is long.
    async fn slow_down(&self, wait: Duration) -> Result<(), Ended> {
        if SLOW_DOWN_MIN <= wait {
            self.ingest.counters.slow_downs.inc();
            let reason = "more was sent than this client may send over time";
            self.outgoing.send(slow_down(wait, reason)).await?;
        }
        sleep(wait).await;
        Ok(())
    }

    /// Asks for definitions.
    async fn ask_for(&self, frames: &[FrameId], stacks: &[StackId]) -> Result<(), Ended> {
        self.ingest.counters.missing.inc();
        let missing = Missing {
            frames: (frames.iter().take(MISSING_MAX)).map(|id| id.0).collect(),
            stacks: (stacks.iter().take(MISSING_MAX)).map(|id| id.0).collect(),
        };
        self.outgoing.send(Message::Missing(missing)).await?;
        Ok(())
    }
}

impl From<Unsettled> for Ended {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Gone => Self::Idle,
            Unsettled::Store(error) => Self::Wrong(StreamError::Store(error)),
            Unsettled::Dropped => Self::Wrong(StreamError::Thread),
        }
    }
}

/// Counts and logs why a stream ended, and puts it into words for the client.
fn explain(ingest: &Ingest, identity: &Identity, ended: Ended) -> Status {
    let counters = &ingest.counters;
    let (counter, code, why) = match ended {
        Ended::Stopped => return Status::unavailable("the service is being stopped"),
        Ended::Replaced => {
            counters.replaced.inc();
            return Status::aborted("a later stream of this sender took its place");
        }
        Ended::Idle => {
            counters.idle.inc();
            return Status::deadline_exceeded("nothing moved for too long");
        }
        // The connection went away: nobody did anything wrong.
        Ended::Broken(status) if is_lost(&status) => return status,
        Ended::Broken(status) => {
            counters.malformed.inc();
            ingest.log_refusal(&identity.to_string(), status.message());
            // One code for every message that is wrong, its size included: sending it again is vain.
            return Status::invalid_argument(status.message());
        }
        Ended::Refused(SenderError::Stolen) => (
            Some(&counters.stolen),
            Code::PermissionDenied,
            SenderError::Stolen.to_string(),
        ),
        Ended::Refused(error) => (None, Code::ResourceExhausted, error.to_string()),
        Ended::Wrong(error @ (StreamError::Malformed(_) | StreamError::Protocol(_))) => (
            Some(&counters.malformed),
            Code::InvalidArgument,
            error.to_string(),
        ),
        Ended::Wrong(StreamError::Store(error)) => (None, Code::Unavailable, error.to_string()),
        Ended::Wrong(error @ StreamError::Thread) => (None, Code::Internal, error.to_string()),
    };
    if let Some(counter) = counter {
        counter.inc();
    }
    ingest.log_refusal(&identity.to_string(), &why);
    Status::new(code, why)
}

/// Whether a status means that the connection went away.
fn is_lost(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Cancelled | Code::Unknown | Code::Unavailable
    )
}

//! Delivers batches as a daemon does, and keeps what is not acknowledged.

use std::{collections::VecDeque, time::Duration};

use anyhow::Context as _;
use profiler::{
    clock,
    model::Batch,
    wire::v1::{
        encode_batch,
        generated::{
            Hello, IngestRequest, IngestResponse, ingest_request, ingest_response,
            ingest_service_client::IngestServiceClient,
        },
    },
};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Streaming, codec::CompressionEncoding, transport::Channel};

/// Batches that wait for an acknowledgement before no more is sent.
const WINDOW: usize = 8;
/// Longest wait for a server to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sender with its numbers, across connections.
#[derive(Debug)]
pub struct Sender {
    server: String,
    id: [u8; 16],
    host: String,
    next: u64,
    /// Sent or to be sent, with the time of the last try.
    waiting: VecDeque<(u64, Batch)>,
    /// Sum of the samples that were acknowledged.
    pub acknowledged: u64,
    /// Times from sending to the acknowledgement.
    pub latencies: Vec<Duration>,
    /// How often the server asked to wait.
    pub slow_downs: u64,
}

impl Sender {
    /// A sender that has sent nothing. `number` makes its id.
    pub fn new(server: &str, host: &str, number: u32) -> Self {
        let mut id = [0x5a; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        Self {
            server: server.to_owned(),
            id,
            host: host.to_owned(),
            next: 1,
            waiting: VecDeque::new(),
            acknowledged: 0,
            latencies: Vec::new(),
            slow_downs: 0,
        }
    }

    /// Delivers to another address from now on.
    pub fn connect_to(&mut self, server: &str) {
        server.clone_into(&mut self.server);
    }

    /// Puts a batch in the line. What it needs is defined in it or in an earlier one.
    pub fn push(&mut self, batch: Batch) {
        self.waiting.push_back((self.next, batch));
        self.next += 1;
    }

    /// Batches in the line.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Delivers the line over one connection until it is empty.
    ///
    /// # Errors
    /// When the connection ends before, or the server does not answer. What is not acknowledged stays
    /// in the line.
    pub async fn deliver(&mut self) -> anyhow::Result<()> {
        let channel = Channel::from_shared(self.server.clone())
            .context("read the address of the server")?
            .connect()
            .await
            .context("connect")?;
        let mut client = IngestServiceClient::new(channel)
            .send_compressed(CompressionEncoding::Zstd)
            .accept_compressed(CompressionEncoding::Zstd);
        let (requests, receiver) = mpsc::channel(WINDOW);
        requests.send(self.hello()).await.context("say hello")?;
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut answers = timeout(PATIENCE, client.ingest(stream))
            .await
            .context("wait for the stream")?
            .context("open the stream")?
            .into_inner();
        let mut in_flight: VecDeque<(u64, Duration)> = VecDeque::new();
        let mut sent = 0;
        // The welcome says what is durable already.
        self.take(next_answer(&mut answers).await?, &mut in_flight, &mut sent)
            .await;
        while !self.waiting.is_empty() {
            while sent < self.waiting.len() && in_flight.len() < WINDOW {
                let Some((sequence, batch)) = self.waiting.get(sent) else {
                    break;
                };
                let request = IngestRequest {
                    message: Some(ingest_request::Message::Batch(encode_batch(
                        *sequence, batch,
                    ))),
                };
                requests.send(request).await.context("send a batch")?;
                in_flight.push_back((*sequence, clock::monotonic()));
                sent += 1;
            }
            let answer = next_answer(&mut answers).await?;
            self.take(answer, &mut in_flight, &mut sent).await;
        }
        Ok(())
    }

    /// The first message of a stream.
    fn hello(&self) -> IngestRequest {
        IngestRequest {
            message: Some(ingest_request::Message::Hello(Hello {
                sender_id: self.id.to_vec(),
                host: self.host.clone(),
                version: "test".to_owned(),
                takes_bursts: false,
            })),
        }
    }

    /// Takes an answer: removes what is durable, waits when asked to.
    async fn take(
        &mut self,
        answer: ingest_response::Message,
        in_flight: &mut VecDeque<(u64, Duration)>,
        sent: &mut usize,
    ) {
        match answer {
            ingest_response::Message::Welcome(welcome) => {
                self.remove(welcome.durable_sequence, sent);
            }
            ingest_response::Message::Ack(ack) => {
                let now = clock::monotonic();
                while let Some(at) = take_durable(in_flight, ack.sequence) {
                    self.latencies.push(now.saturating_sub(at));
                }
                self.remove(ack.sequence, sent);
            }
            // From the first one again: what was missing is defined before it is needed.
            ingest_response::Message::Missing(_) => {
                *sent = 0;
                in_flight.clear();
            }
            ingest_response::Message::SlowDown(slow_down) => {
                self.slow_downs += 1;
                tokio::time::sleep(Duration::from_nanos(slow_down.wait_ns)).await;
            }
            ingest_response::Message::Burst(_) => {}
        }
    }

    /// Removes what is durable from the line.
    fn remove(&mut self, durable: u64, sent: &mut usize) {
        while let Some(batch) = take_durable(&mut self.waiting, durable) {
            self.acknowledged += samples(&batch);
            *sent = sent.saturating_sub(1);
        }
    }
}

/// Takes the first of a line out of it, if its number is durable.
fn take_durable<T>(line: &mut VecDeque<(u64, T)>, durable: u64) -> Option<T> {
    let (sequence, _first) = line.front()?;
    if durable < *sequence {
        return None;
    }
    line.pop_front().map(|(_sequence, first)| first)
}

/// The next answer of the server.
async fn next_answer(
    answers: &mut Streaming<IngestResponse>,
) -> anyhow::Result<ingest_response::Message> {
    let answer = timeout(PATIENCE, answers.message())
        .await
        .context("wait for an answer")?
        .context("read an answer")?;
    answer
        .and_then(|answer| answer.message)
        .context("the server ended the stream")
}

/// Sum of the first values of a batch.
fn samples(batch: &Batch) -> u64 {
    (batch.windows.iter())
        .flat_map(|window| &window.series)
        .flat_map(|series| &series.samples)
        .filter_map(|sample| sample.values.first())
        .sum()
}

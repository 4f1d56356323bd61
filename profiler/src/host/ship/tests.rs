//! The shipper against a service on the loopback that is there, away, forgetful or slow.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{runtime::Runtime, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, codec::CompressionEncoding, transport::Server};

use super::{ShipState, Shipper, Target};
use crate::{
    clock,
    model::{Batch, FrameKind, Location, Naming, Pid, ProfileBuilder, Task, ValueType},
    wire::v1::{
        decode_batch,
        generated::{
            Ack, IngestRequest, IngestResponse, Missing, SlowDown, Welcome, ingest_request,
            ingest_response::Message,
            ingest_service_server::{IngestService, IngestServiceServer},
        },
    },
};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the service has, whatever stream it came on.
#[derive(Debug, Default)]
struct Store {
    /// Numbers in the order in which they were taken, and what each window says was lost.
    taken: Vec<(u64, u64)>,
    /// Ids of stacks that were defined.
    stacks: BTreeSet<u64>,
    /// Definitions of stacks that came.
    definitions: usize,
    /// Forget all definitions before this batch.
    forget_before: Option<u64>,
    /// Ask to slow down before this batch, once.
    slow_before: Option<u64>,
    senders: BTreeSet<Vec<u8>>,
    tokens: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<Store>>);

impl Store {
    /// Takes a batch, or says what is missing, as the real service does.
    fn take(&mut self, request: IngestRequest) -> Message {
        let Some(ingest_request::Message::Batch(message)) = request.message else {
            panic!("no batch");
        };
        let (sequence, batch) = decode_batch(message).unwrap();
        if self.forget_before == Some(sequence) {
            self.forget_before = None;
            self.stacks.clear();
        }
        let new = (batch.definitions.stacks.iter()).map(|stack| stack.hash.id().0);
        let known: BTreeSet<u64> = self.stacks.iter().copied().chain(new).collect();
        let samples = batch.windows.iter().flat_map(|window| &window.series);
        let missing: Vec<u64> = samples
            .flat_map(|series| &series.samples)
            .map(|sample| sample.stack.0)
            .filter(|stack| !known.contains(stack))
            .collect();
        if !missing.is_empty() {
            return Message::Missing(Missing {
                frames: Vec::new(),
                stacks: missing,
            });
        }
        self.definitions += batch.definitions.stacks.len();
        self.stacks = known;
        if self.taken.iter().all(|(taken, _)| *taken < sequence) {
            self.taken
                .push((sequence, batch.windows[0].quality.windows_lost));
        }
        if self.slow_before == Some(sequence + 1) {
            return Message::SlowDown(SlowDown {
                wait_ns: 1_000_000,
                reason: "test".to_owned(),
            });
        }
        Message::Ack(Ack { sequence })
    }
}

#[tonic::async_trait]
impl IngestService for Service {
    type IngestStream = ReceiverStream<Result<IngestResponse, Status>>;

    async fn ingest(
        &self,
        request: Request<Streaming<IngestRequest>>,
    ) -> Result<Response<Self::IngestStream>, Status> {
        let token = request.metadata().get("authorization");
        let token = token.map(|token| token.to_str().unwrap().to_owned());
        self.0.lock().unwrap().tokens.extend(token);
        let mut requests = request.into_inner();
        let (responses, outgoing) = mpsc::channel(16);
        let store = Arc::clone(&self.0);
        tokio::spawn(async move {
            let hello = requests.message().await.unwrap().unwrap();
            let Some(ingest_request::Message::Hello(hello)) = hello.message else {
                panic!("no hello");
            };
            let durable_sequence = {
                let mut store = store.lock().unwrap();
                store.senders.insert(hello.sender_id);
                store.taken.last().map_or(0, |(sequence, _)| *sequence)
            };
            let mut next = Some(Message::Welcome(Welcome { durable_sequence }));
            while let Some(message) = next {
                let response = IngestResponse {
                    message: Some(message),
                };
                if responses.send(Ok(response)).await.is_err() {
                    return;
                }
                next = match requests.message().await {
                    Ok(Some(request)) => Some(store.lock().unwrap().take(request)),
                    Ok(None) | Err(_) => None,
                };
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// A service at an address, until it is dropped.
struct Running {
    runtime: Option<Runtime>,
    _task: JoinHandle<()>,
}

impl Running {
    fn start(service: &Service, address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let service = IngestServiceServer::new(service.clone())
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let task = runtime.spawn(async move {
            Server::builder()
                .add_service(service)
                .serve(address)
                .await
                .unwrap();
        });
        Self {
            runtime: Some(runtime),
            _task: task,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// An address that nobody listens on yet.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn shipper(dir: &Path, address: SocketAddr) -> Shipper {
    let target = Target {
        server: format!("http://{address}"),
        ..Target::default()
    };
    Shipper::start(dir, 1 << 20, "here".to_owned(), target, None).unwrap()
}

/// A window with the same two stacks as every other one, and one of its own.
fn batch(number: u64) -> Batch {
    let samples = ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    };
    let mut builder = ProfileBuilder::new(vec![samples]);
    let task = builder.task(Task {
        pid: Pid(1),
        ..Task::default()
    });
    for address in [1, 2, 1000 + number] {
        let function = format!("function_{address}");
        let naming = Naming::Named(vec![Location {
            function,
            ..Location::default()
        }]);
        let frame = builder.frame(FrameKind::Jit, None, address, naming);
        let stack = builder.stack(vec![frame]);
        builder.add(task, stack, &[number]);
    }
    Batch::from_profile(&builder.finish(), 0)
}

#[track_caller]
fn until(what: &str, shipper: &Shipper, is_so: impl Fn(&ShipState) -> bool) {
    let end = clock::monotonic() + PATIENCE;
    while !is_so(&shipper.state()) {
        assert!(clock::monotonic() < end, "{what}: {:?}", shipper.state());
        clock::sleep(Duration::from_millis(10));
    }
}

/// Numbers that the service took, in its order.
fn numbers(service: &Service) -> Vec<u64> {
    let store = service.0.lock().unwrap();
    store.taken.iter().map(|(sequence, _)| *sequence).collect()
}

#[test]
fn batches_arrive_once_with_definitions_once() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    let _running = Running::start(&service, address);
    let shipper = shipper(dir.path(), address);
    for number in 0..20 {
        shipper.push(batch(number));
    }
    let state = shipper.stop(PATIENCE);
    assert_eq!((1..=20).collect::<Vec<_>>(), numbers(&service));
    assert_eq!(
        (0, 20, 0),
        (
            state.spool_batches,
            state.batches_acknowledged,
            state.windows_lost
        )
    );
    assert_eq!(22, service.0.lock().unwrap().definitions);
}

#[test]
fn what_waits_while_the_service_is_away_arrives_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    let first = shipper(dir.path(), address);
    for number in 0..5 {
        first.push(batch(number));
    }
    until("notices that nobody is there", &first, |state| {
        0 < state.failures
    });
    let state = first.stop(Duration::ZERO);
    assert_eq!(5, state.spool_batches);

    let second = shipper(dir.path(), address);
    for number in 5..10 {
        second.push(batch(number));
    }
    let running = Running::start(&service, address);
    until("ships", &second, |state| state.spool_batches == 0);
    // Again away, and back without its memory of definitions.
    drop(running);
    until("notices the end", &second, |state| !state.is_connected);
    for number in 10..15 {
        second.push(batch(number));
    }
    service.0.lock().unwrap().stacks.clear();
    let _running = Running::start(&service, address);
    let state = second.stop(PATIENCE);
    assert_eq!(0, state.spool_batches, "{state:?}");
    assert_eq!((1..=15).collect::<Vec<_>>(), numbers(&service));
    assert_eq!(1, service.0.lock().unwrap().senders.len());
}

#[test]
fn definitions_that_the_service_lacks_are_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    service.0.lock().unwrap().forget_before = Some(4);
    let _running = Running::start(&service, address);
    let shipper = shipper(dir.path(), address);
    for number in 0..8 {
        shipper.push(batch(number));
    }
    let state = shipper.stop(PATIENCE);
    assert_eq!((1..=8).collect::<Vec<_>>(), numbers(&service), "{state:?}");
    assert_eq!(2, state.connects, "on a second stream: {state:?}");
}

/// A full spool drops the oldest; the next window that arrives says how many.
#[test]
fn windows_that_are_dropped_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    let target = Target {
        server: format!("http://{address}"),
        ..Target::default()
    };
    let shipper = Shipper::start(dir.path(), 128 << 10, "here".to_owned(), target, None).unwrap();
    let count = 1500;
    for number in 0..count {
        shipper.push(batch(number));
    }
    let _running = Running::start(&service, address);
    let state = shipper.stop(PATIENCE);
    let store = service.0.lock().unwrap();
    let told: u64 = store.taken.iter().map(|(_, lost)| lost).sum();
    assert!(0 < told, "{state:?}");
    assert_eq!(count, told + store.taken.len() as u64, "{state:?}");
    assert_eq!(told, state.windows_lost);
}

#[test]
fn the_token_goes_with_the_stream_and_can_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    let _running = Running::start(&service, address);
    let token_file = dir.path().join("token");
    std::fs::write(&token_file, "secret-1\n").unwrap();
    let target = Target {
        server: format!("http://{address}"),
        token_file: Some(token_file.clone()),
        ..Target::default()
    };
    let spool = dir.path().join("spool");
    let shipper = Shipper::start(&spool, 1 << 20, "here".to_owned(), target.clone(), None).unwrap();
    until("connects", &shipper, |state| state.connects == 1);
    std::fs::write(&token_file, "secret-2\n").unwrap();
    shipper.retarget(target);
    until("connects again", &shipper, |state| state.connects == 2);
    shipper.push(batch(1));
    shipper.stop(PATIENCE);
    let store = service.0.lock().unwrap();
    let expected = ["Bearer secret-1", "Bearer secret-2"].map(str::to_owned);
    assert_eq!(BTreeSet::from(expected), store.tokens);
    assert_eq!(1, store.taken.len());
}

#[test]
fn a_service_that_asks_for_time_is_given_it() {
    let dir = tempfile::tempdir().unwrap();
    let (service, address) = (Service::default(), free_address());
    service.0.lock().unwrap().slow_before = Some(3);
    let _running = Running::start(&service, address);
    let shipper = shipper(dir.path(), address);
    for number in 0..6 {
        shipper.push(batch(number));
    }
    let state = shipper.stop(PATIENCE);
    assert_eq!((1..=6).collect::<Vec<_>>(), numbers(&service), "{state:?}");
}

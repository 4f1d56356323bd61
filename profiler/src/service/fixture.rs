//! A service on loopback with a store that tests can hold up, and clients of it.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, transport::Channel};

use super::{
    run::Service,
    store::{
        Appended, FrameHashes, GroupStacks, GroupTotals, HostFacts, MemoryStore, MergedStacks,
        QueryLimits, SeriesInfo, Store, StoreError,
    },
};
use crate::{
    config::ServiceConfig,
    model::{
        Batch, FrameDefinition, FrameId, FrameKind, Location, Naming, Pid, ProfileBuilder,
        ProfileType, Selection, SenderId, StackId, Task, TimeRange, ValueType,
    },
    wire::v1::{
        encode_batch,
        generated::{
            Hello, IngestRequest, IngestResponse, ingest_request, ingest_response::Message,
            ingest_service_client::IngestServiceClient,
        },
    },
};

/// Longest wait for something that is to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The store in memory, with a disk that can be slow or full.
#[derive(Default)]
pub(crate) struct HeldStore {
    inner: MemoryStore,
    is_full: AtomicBool,
    is_closed: AtomicBool,
    /// Batches that are not durable while this is held.
    held: Mutex<Option<Vec<Durable>>>,
}

/// Tells a batch's sender that it is durable.
type Durable = oneshot::Sender<Result<(), Arc<StoreError>>>;

impl HeldStore {
    /// Has no room from now on, or has room.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Is closed from now on: nothing is kept, and nobody is told.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Nothing becomes durable from now on.
    pub(super) fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    /// How many batches wait to become durable.
    pub(super) fn waiting(&self) -> usize {
        self.held.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// All that waits is durable.
    pub(super) fn release(&self) {
        let held = self.held.lock().unwrap().take();
        for durable in held.unwrap_or_default() {
            drop(durable.send(Ok(())));
        }
    }

    /// What tells that a batch is durable: the inner store's, or while batches are held, one of
    /// those that wait.
    fn holding(&self, appended: Appended) -> Appended {
        match &mut *self.held.lock().unwrap() {
            None => appended,
            Some(held) => {
                let (durable, receiver) = oneshot::channel();
                held.push(durable);
                Appended(receiver)
            }
        }
    }
}

impl Store for HeldStore {
    fn append(&self, sender: SenderId, number: u64, batch: Batch) -> Result<Appended, StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            let reason = "no room on the test's disk".to_owned();
            return Err(StoreError::Full { reason });
        }
        if self.is_closed.load(Ordering::SeqCst) {
            let (_closed, receiver) = oneshot::channel();
            return Ok(Appended(receiver));
        }
        let appended = self.inner.append(sender, number, batch)?;
        Ok(self.holding(appended))
    }

    fn durable_sequence(&self, sender: SenderId) -> u64 {
        self.inner.durable_sequence(sender)
    }

    fn merge_stacks(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<MergedStacks, StoreError> {
        self.inner.merge_stacks(selection, limits)
    }

    fn merge_stacks_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, StoreError> {
        self.inner.merge_stacks_by(selection, group_by, limits)
    }

    fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupTotals>, StoreError> {
        self.inner.totals(selection, step, group_by, limits)
    }

    fn series(&self, selection: &Selection) -> Result<Vec<SeriesInfo>, StoreError> {
        self.inner.series(selection)
    }

    fn profile_types(&self, range: TimeRange) -> Vec<ProfileType> {
        self.inner.profile_types(range)
    }

    fn hosts(&self, range: TimeRange, signal: Option<&str>) -> Vec<HostFacts> {
        self.inner.hosts(range, signal)
    }

    fn stacks(&self, ids: &[StackId]) -> Vec<FrameHashes> {
        self.inner.stacks(ids)
    }

    fn frames(&self, ids: &[FrameId]) -> Vec<Option<Arc<FrameDefinition>>> {
        self.inner.frames(ids)
    }

    fn version(&self, range: TimeRange) -> u64 {
        self.inner.version(range)
    }

    fn drop_before(&self, before: Duration) -> Result<(), StoreError> {
        self.inner.drop_before(before)
    }

    fn backup(&self, dir: &Path) -> Result<(), StoreError> {
        self.inner.backup(dir)
    }
}

/// A service, its store and its folder.
pub(super) struct Running {
    pub(super) service: Service,
    pub(super) store: Arc<HeldStore>,
    _dir: tempfile::TempDir,
}

impl Running {
    /// Starts a service with a changed configuration.
    pub(super) async fn start(change: impl FnOnce(&mut ServiceConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServiceConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: dir.path().to_owned(),
            ..ServiceConfig::default()
        };
        change(&mut config);
        let store = Arc::new(HeldStore::default());
        let service = Service::start(&config, Arc::clone(&store) as Arc<dyn Store>, None);
        Self {
            service: service.await.unwrap(),
            store,
            _dir: dir,
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.service.address())
    }

    /// A connection for gRPC.
    pub(super) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(self.url()).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A daemon that said hello.
    pub(super) async fn daemon(&self, sender: u8) -> Daemon {
        let mut daemon = Daemon::connect(self.channel().await, None).await.unwrap();
        daemon.hello(sender).await;
        daemon
    }

    /// Sums of the windows of a signal by stack.
    pub(super) fn total(&self, signal: &str) -> u64 {
        let types = self.store.profile_types(ALL_TIME);
        let is_wanted = |known: &ProfileType| known.signal == signal && known.unit == "count";
        let profile_type = types.into_iter().find(is_wanted);
        let Some(profile_type) = profile_type else {
            return 0;
        };
        let selection = Selection {
            profile_type,
            matchers: Vec::new(),
            range: ALL_TIME,
        };
        let limits = QueryLimits {
            rows_max: u64::MAX,
            cancelled: Arc::default(),
            deadline: None,
        };
        let merged = self.store.merge_stacks(&selection, &limits).unwrap();
        merged.stacks.iter().map(|(_, value)| value).sum()
    }

    /// One request over HTTP: its status and body. `head` has lines with their ends.
    pub(super) async fn http(&self, method: &str, path: &str, head: &str, body: &[u8]) -> Answer {
        let answer = self.exchange(method, path, head, body).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).unwrap_or_default().parse().unwrap();
        let body = text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned();
        Answer { status, body }
    }

    /// One request over HTTP that must do: the bytes of its body.
    pub(super) async fn http_bytes(
        &self,
        method: &str,
        path: &str,
        head: &str,
        body: &[u8],
    ) -> Vec<u8> {
        let mut answer = self.exchange(method, path, head, body).await;
        let end = answer
            .windows(4)
            .position(|part| part == b"\r\n\r\n")
            .unwrap();
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body
    }

    /// One request over HTTP: all bytes that came back.
    async fn exchange(&self, method: &str, path: &str, head: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.service.address()).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

/// From the start to the end.
const ALL_TIME: TimeRange = TimeRange {
    start: Duration::ZERO,
    end: Duration::from_secs(u32::MAX as u64),
};

/// What came back over HTTP.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// A daemon's stream.
pub(super) struct Daemon {
    requests: mpsc::Sender<IngestRequest>,
    pub(super) answers: Streaming<IngestResponse>,
}

impl Daemon {
    /// Opens a stream, with a token if there is one.
    pub(super) async fn connect(channel: Channel, token: Option<&str>) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(64);
        let mut client = IngestServiceClient::new(channel)
            .send_compressed(tonic::codec::CompressionEncoding::Zstd)
            .max_encoding_message_size(usize::MAX);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let answers = client.ingest(request).await?.into_inner();
        Ok(Self { requests, answers })
    }

    /// Says hello and is welcomed; says which number is durable.
    pub(super) async fn hello(&mut self, sender: u8) -> u64 {
        self.say_hello(sender).await;
        let answer = self.next().await.unwrap();
        let Message::Welcome(welcome) = answer else {
            panic!("no welcome: {answer:?}");
        };
        welcome.durable_sequence
    }

    /// Says hello.
    pub(super) async fn say_hello(&mut self, sender: u8) {
        let hello = Hello {
            sender_id: vec![sender; 16],
            host: format!("host-{sender}"),
            version: "1".to_owned(),
            takes_bursts: true,
        };
        self.send(ingest_request::Message::Hello(hello)).await;
    }

    /// Sends a batch.
    pub(super) async fn batch(&self, sequence: u64, batch: &Batch) {
        let message = encode_batch(sequence, batch);
        self.send(ingest_request::Message::Batch(message)).await;
    }

    /// Sends a message; a service that is not there any more is found out by the next answer.
    pub(super) async fn send(&self, message: ingest_request::Message) {
        let message = Some(message);
        drop(self.requests.send(IngestRequest { message }).await);
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Result<Message, Status> {
        let answer = timeout(PATIENCE, self.answers.message()).await;
        let answer = answer.expect("an answer in time")?;
        let ended = || Status::cancelled("the stream ended");
        answer.and_then(|answer| answer.message).ok_or_else(ended)
    }

    /// Waits until a number is acknowledged; other answers on the way there are passed over.
    pub(super) async fn acknowledged(&mut self, sequence: u64) {
        loop {
            let Message::Ack(ack) = self.next().await.unwrap() else {
                continue;
            };
            if ack.sequence == sequence {
                return;
            }
            assert!(ack.sequence < sequence, "{ack:?}");
        }
    }

    /// The status that ends the stream.
    pub(super) async fn ended(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }

    /// Ends the sending side.
    pub(super) fn finish(self) -> Streaming<IngestResponse> {
        self.answers
    }
}

/// A batch of one window with `samples` samples in the function `name`.
pub(crate) fn batch(name: &str, samples: u64) -> Batch {
    let mut builder = ProfileBuilder::new(vec![ValueType {
        kind: "samples".to_owned(),
        unit: "count".to_owned(),
    }]);
    let naming = Naming::Named(vec![Location {
        function: name.to_owned(),
        ..Location::default()
    }]);
    let frame = builder.frame(FrameKind::Native, None, 0x10, naming);
    let stack = builder.stack(vec![frame]);
    let task = builder.task(Task {
        pid: Pid(1),
        comm: "app".to_owned(),
        ..Task::default()
    });
    builder.add(task, stack, &[samples]);
    let head = builder.head_mut();
    head.window.start = Duration::from_secs(1_700_000_000);
    head.window.duration = Duration::from_secs(10);
    Batch::from_profile(&builder.finish(), 10_000_000)
}

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect(what);
}

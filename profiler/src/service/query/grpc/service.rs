//! The service itself: one method a question.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, codec::CompressionEncoding};

use super::{
    answer, ask,
    gate::{Gate, allowed},
    insight,
    status::status,
    tables,
    watch::Watch,
};
use crate::{
    clock,
    service::{
        insight::Budget,
        live::Live,
        query::{
            Guide, QueryError, Reader, bottlenecks, check, diff, export, flame_graph, function,
            labels, ledger,
            limits::{
                CHUNK_SIZE_BYTES, NEIGHBOURS_DEFAULT, QUESTION_SIZE_BYTES_MAX, ROWS_DEFAULT,
                ROWS_MAX, STREAM_QUEUE_MAX, VALUES_DEFAULT, VALUES_MAX, WATCHERS_MAX,
            },
            parse_selector,
            question::check_name,
            regressions, top, trend, window_of,
        },
        store::{LabelFilter, QueryLimits},
    },
    wire::v1::generated::{
        BottlenecksRequest, BottlenecksResponse, BurstRequest, BurstResponse, CheckRequest,
        CheckResponse, DiffRequest, DiffResponse, ExportRequest, ExportResponse, FlameGraphRequest,
        FlameGraphResponse, FunctionRequest, FunctionResponse, HeapRequest, HeapResponse,
        HostsRequest, HostsResponse, LabelValuesRequest, LabelValuesResponse, LabelsRequest,
        LabelsResponse, LeaksRequest, LeaksResponse, ListSignalsRequest, ListSignalsResponse,
        RegressionsRequest, RegressionsResponse, SeriesRequest, SeriesResponse, SyscallsRequest,
        SyscallsResponse, TcpRequest, TcpResponse, TopRequest, TopResponse, WatchRequest,
        WatchResponse,
        query_service_server::{QueryService, QueryServiceServer},
    },
};

/// A stream of answers.
type Answered<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A plain function that answers a question.
type Work<Q, A> = fn(&Reader, Q, &QueryLimits) -> Result<A, QueryError>;

/// Answers questions over gRPC.
pub struct Answers {
    reader: Arc<Reader>,
    live: Live,
    guide: Arc<Guide>,
    gate: Gate,
    watchers: Arc<Semaphore>,
}

/// The service, ready to be served.
pub fn server(reader: Arc<Reader>, live: Live, guide: Arc<Guide>) -> QueryServiceServer<Answers> {
    let answers = Answers {
        reader,
        live,
        guide,
        gate: Gate::default(),
        watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
    };
    QueryServiceServer::new(answers)
        .max_decoding_message_size(QUESTION_SIZE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
}

impl Answers {
    /// A question together with what the service was told about what is too much.
    fn guided<Q>(&self, request: Request<Q>) -> Request<(Arc<Guide>, Q)> {
        let guide = Arc::clone(&self.guide);
        request.map(|asked| (guide, asked))
    }

    /// Works the answer to a question out, on a thread that may block.
    async fn answer<Q, A>(
        &self,
        request: Request<Q>,
        work: Work<Q, A>,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        let allowed = allowed(request.metadata());
        let reader = Arc::clone(&self.reader);
        let question = request.into_inner();
        let answer = (self.gate)
            .run(allowed, move |limits| work(&reader, question, limits))
            .await;
        answer.map(Response::new).map_err(|error| status(&error))
    }
}

#[tonic::async_trait]
impl QueryService for Answers {
    type ExportStream = Answered<ExportResponse>;
    type WatchStream = Answered<WatchResponse>;

    async fn list_signals(
        &self,
        request: Request<ListSignalsRequest>,
    ) -> Result<Response<ListSignalsResponse>, Status> {
        let work = |reader: &Reader, asked: ListSignalsRequest, _limits: &_| {
            let range = ask::span(asked.start_ns, asked.end_ns)?;
            Ok(answer::signals(labels::signals(reader, range)))
        };
        self.answer(request, work).await
    }

    async fn labels(
        &self,
        request: Request<LabelsRequest>,
    ) -> Result<Response<LabelsResponse>, Status> {
        let work = |reader: &Reader, asked: LabelsRequest, _limits: &_| {
            let selection = ask::selection(asked.selection, reader.store())?;
            let names = labels::names(reader, &selection)?;
            Ok(LabelsResponse {
                names: names.into_iter().collect(),
            })
        };
        self.answer(request, work).await
    }

    async fn label_values(
        &self,
        request: Request<LabelValuesRequest>,
    ) -> Result<Response<LabelValuesResponse>, Status> {
        let work = |reader: &Reader, asked: LabelValuesRequest, _limits: &_| {
            check_name("the name of the label", &asked.name)?;
            let selection = ask::selection(asked.selection, reader.store())?;
            let limit = ask::limit(asked.limit, VALUES_DEFAULT, VALUES_MAX);
            labels::values(reader, &selection, &asked.name, limit).map(answer::values)
        };
        self.answer(request, work).await
    }

    async fn hosts(
        &self,
        request: Request<HostsRequest>,
    ) -> Result<Response<HostsResponse>, Status> {
        let work = |reader: &Reader, asked: HostsRequest, _limits: &_| {
            let range = ask::span(asked.start_ns, asked.end_ns)?;
            let facts = reader.store().hosts(range, None).into_iter();
            let hosts = facts.map(|facts| answer::host(facts, false)).collect();
            Ok(HostsResponse { hosts })
        };
        let mut response = self.answer(request, work).await?;
        for host in &mut response.get_mut().hosts {
            host.is_connected = self.live.is_connected(&host.host);
        }
        Ok(response)
    }

    async fn series(
        &self,
        request: Request<SeriesRequest>,
    ) -> Result<Response<SeriesResponse>, Status> {
        let work = |reader: &Reader, asked: SeriesRequest, limits: &_| {
            let selection = ask::selection(asked.selection, reader.store())?;
            let step = Duration::from_nanos(asked.step_ns);
            let trend = trend(reader, &selection, step, &asked.group_by, limits)?;
            Ok(answer::series(&trend))
        };
        self.answer(request, work).await
    }

    async fn flame_graph(
        &self,
        request: Request<FlameGraphRequest>,
    ) -> Result<Response<FlameGraphResponse>, Status> {
        let work = |reader: &Reader, asked: FlameGraphRequest, limits: &_| {
            let selection = ask::selection(asked.selection, reader.store())?;
            let nodes = ask::node_limit(asked.node_limit);
            let graph = flame_graph(reader, &selection, nodes, limits)?;
            Ok(answer::flame_graph(&graph))
        };
        self.answer(request, work).await
    }

    async fn top(&self, request: Request<TopRequest>) -> Result<Response<TopResponse>, Status> {
        let work = |reader: &Reader, asked: TopRequest, limits: &_| {
            let by = ask::by(&asked)?;
            let rows = ask::limit(asked.limit, ROWS_DEFAULT, ROWS_MAX);
            let selection = ask::selection(asked.selection, reader.store())?;
            top(reader, &selection, &by, rows, limits).map(|top| answer::top(&top))
        };
        self.answer(request, work).await
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Result<Response<DiffResponse>, Status> {
        let work = |reader: &Reader, asked: DiffRequest, limits: &_| {
            let before = ask::selection(asked.before, reader.store())?;
            let after = ask::selection(asked.after, reader.store())?;
            let nodes = ask::node_limit(asked.node_limit);
            let diff = diff(reader, [&before, &after], nodes, limits)?;
            Ok(answer::diff(&diff))
        };
        self.answer(request, work).await
    }

    async fn function(
        &self,
        request: Request<FunctionRequest>,
    ) -> Result<Response<FunctionResponse>, Status> {
        let work = |reader: &Reader, asked: FunctionRequest, limits: &_| {
            if asked.function.is_empty() {
                return Err(QueryError::Missing {
                    what: "the name of the function",
                });
            }
            check_name("the name of the function", &asked.function)?;
            // Which signal it names does not matter, nor whether that has such a kind.
            let mut wanted = asked.selection.unwrap_or_default();
            wanted.signal.clear();
            wanted.kind.clear();
            let selection = ask::selection(Some(wanted), reader.store())?;
            let limit = ask::limit(asked.limit, NEIGHBOURS_DEFAULT, ROWS_MAX);
            let facts = function(reader, &asked.function, &selection, limit, limits)?;
            let mut response = answer::function(&facts);
            let ledger = ledger(reader, &asked.function, &selection, limit, limits)?;
            insight::add_ledger(&mut response, &ledger);
            Ok(response)
        };
        self.answer(request, work).await
    }

    async fn bottlenecks(
        &self,
        request: Request<BottlenecksRequest>,
    ) -> Result<Response<BottlenecksResponse>, Status> {
        type Asked = (Arc<Guide>, BottlenecksRequest);
        let work = |reader: &Reader, (guide, asked): Asked, limits: &_| {
            let ask = insight::ask_bottlenecks(&asked)?;
            let matchers = parse_selector(&asked.selector)?;
            let range = ask::span(asked.start_ns, asked.end_ns)?;
            let found = bottlenecks(reader, (&matchers, range), &guide.rules, ask, limits)?;
            let span = (
                answer::nanoseconds(range.start),
                answer::nanoseconds(range.end),
            );
            Ok(insight::bottlenecks(&found, span))
        };
        self.answer(self.guided(request), work).await
    }

    async fn regressions(
        &self,
        request: Request<RegressionsRequest>,
    ) -> Result<Response<RegressionsResponse>, Status> {
        let work = |reader: &Reader, asked: RegressionsRequest, limits: &_| {
            let wanted = insight::ask_regressions(asked, reader)?;
            let found = regressions(reader, &wanted, limits)?;
            Ok(insight::regressions(&found))
        };
        self.answer(request, work).await
    }

    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let work = |reader: &Reader, (guide, asked): (Arc<Guide>, CheckRequest), limits: &_| {
            let given = Some(asked.budget).filter(|text| !text.is_empty());
            let given = given.map(|text| Budget::read(&text)).transpose()?;
            let Some(budget) = given.as_ref().or(guide.budget.as_ref()) else {
                return Err(QueryError::Missing { what: "the budget" });
            };
            let range = if asked.start_ns == 0 && asked.end_ns == 0 {
                window_of(budget, clock::wall())
            } else {
                ask::span(asked.start_ns, asked.end_ns)?
            };
            let checked = check(reader, budget, &guide.rules, (range, None), limits)?;
            Ok(insight::checked(&checked))
        };
        self.answer(self.guided(request), work).await
    }

    async fn syscalls(
        &self,
        request: Request<SyscallsRequest>,
    ) -> Result<Response<SyscallsResponse>, Status> {
        self.answer(request, tables::answer_syscalls).await
    }

    async fn tcp(&self, request: Request<TcpRequest>) -> Result<Response<TcpResponse>, Status> {
        self.answer(request, tables::answer_tcp).await
    }

    async fn heap(&self, request: Request<HeapRequest>) -> Result<Response<HeapResponse>, Status> {
        let work = |reader: &Reader, (guide, asked): (Arc<Guide>, HeapRequest), limits: &_| {
            tables::answer_heap(reader, (&guide.rules, asked), limits)
        };
        self.answer(self.guided(request), work).await
    }

    async fn leaks(
        &self,
        request: Request<LeaksRequest>,
    ) -> Result<Response<LeaksResponse>, Status> {
        let work = |reader: &Reader, (guide, asked): (Arc<Guide>, LeaksRequest), limits: &_| {
            tables::answer_leaks(reader, (&guide.rules, asked), limits)
        };
        self.answer(self.guided(request), work).await
    }

    async fn export(
        &self,
        request: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let work = |reader: &Reader, asked: ExportRequest, limits: &_| {
            let format = ask::format(asked.format)?;
            let selection = ask::selection(asked.selection, reader.store())?;
            export(reader, &selection, format, limits)
        };
        let file = self.answer(request, work).await?.into_inner();
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks(file)))))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let asked = request.into_inner();
        let filter = check_name("the name of the signal", &asked.signal)
            .and_then(|()| Ok(parse_selector(&asked.selector)?))
            .and_then(|matchers| Ok(LabelFilter::new(&matchers)?))
            .map_err(|error| status(&error))?;
        let permit = Arc::clone(&self.watchers).try_acquire_owned();
        let permit = permit.map_err(|_none_left| {
            Status::resource_exhausted(format!("{WATCHERS_MAX} watch already; try again later"))
        })?;
        let watch = Watch {
            reader: Arc::clone(&self.reader),
            gate: self.gate.clone(),
            signal: if asked.signal.is_empty() {
                "cpu".to_owned()
            } else {
                asked.signal
            },
            filter: Arc::new(filter),
            node_limit: ask::node_limit(asked.node_limit),
        };
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE_MAX);
        let windows = self.live.watch();
        // Ends when the receiver is dropped, which is when the client has gone.
        tokio::spawn(async move {
            watch.run(windows, sender).await;
            drop(permit);
        });
        Ok(Response::new(Box::pin(
            ReceiverStream::new(receiver).fuse(),
        )))
    }

    async fn burst(
        &self,
        request: Request<BurstRequest>,
    ) -> Result<Response<BurstResponse>, Status> {
        let asked = request.into_inner();
        let given = ask::burst(&asked).and_then(|order| {
            let given = self.live.burst(&asked.host, order);
            given.map_err(|source| QueryError::Burst {
                host: asked.host,
                source,
            })
        });
        match given {
            Ok(id) => Ok(Response::new(BurstResponse { id })),
            Err(error) => Err(status(&error)),
        }
    }
}

/// A file in messages.
fn chunks(file: Vec<u8>) -> impl Iterator<Item = Result<ExportResponse, Status>> + Send {
    let count = file.len().div_ceil(CHUNK_SIZE_BYTES);
    (0..count).map(move |index| {
        let start = index * CHUNK_SIZE_BYTES;
        let end = file.len().min(start + CHUNK_SIZE_BYTES);
        Ok(ExportResponse {
            chunk: file[start..end].to_vec(),
        })
    })
}

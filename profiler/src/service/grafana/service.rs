//! The service itself: one route a question.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::HeaderMap,
    response::Response,
    routing::post,
};
use flate2::bufread::MultiGzDecoder;
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use tonic::Status;

use super::{
    ask,
    connect::{Codec, refusal, with_type},
    levels,
    limits::QUESTION_SIZE_BYTES_MAX,
};
use crate::{
    model::Labels,
    render::Format,
    service::{
        query::{
            Gate, QueryError, Reader, diff, export, flame_graph,
            limits::{ANSWER_TIME_MAX, NODES_DEFAULT, NODES_MAX, NODES_MIN, VALUES_MAX},
            names, status, trend, values,
        },
        store::{GroupTotals, QueryLimits},
    },
    wire::querier::{
        AskDiff, AskKinds, AskMerged, AskNames, AskSeries, AskTrend, AskValues, DiffAnswer,
        FlameGraphAnswer, Label, LabelSet, Line, Names, Point, ProfileKind, ProfileKinds,
        SeriesAnswer, TrendAnswer,
    },
};

/// Where all questions go.
const SERVICE: &str = "/querier.v1.QuerierService";

/// A plain function that answers a question.
type Work<Q, A> = fn(&Reader, &Q, &QueryLimits) -> Result<A, QueryError>;

/// What answers are worked out from.
#[derive(Clone)]
struct Querier {
    reader: Arc<Reader>,
    gate: Gate,
}

/// Every question that Grafana asks.
pub fn routes(reader: Arc<Reader>) -> Router {
    let querier = Querier {
        reader,
        gate: Gate::default(),
    };
    let path = |name: &str| format!("{SERVICE}/{name}");
    Router::new()
        .route(&path("ProfileTypes"), post(profile_types))
        .route(&path("LabelNames"), post(label_names))
        .route(&path("LabelValues"), post(label_values))
        .route(&path("Series"), post(series))
        .route(&path("SelectSeries"), post(select_series))
        .route(&path("SelectMergeStacktraces"), post(merge_stacks))
        .route(&path("SelectMergeProfile"), post(merge_profile))
        .route(&path("SelectMergeSpanProfile"), post(merge_spans))
        .route(&path("Diff"), post(compare))
        .layer(DefaultBodyLimit::max(QUESTION_SIZE_BYTES_MAX))
        .with_state(querier)
}

impl Querier {
    /// Answers a question in the codec it was asked in.
    async fn answer<Q, A>(&self, headers: &HeaderMap, body: &Bytes, work: Work<Q, A>) -> Response
    where
        Q: Message + Default + DeserializeOwned + 'static,
        A: Message + Serialize + 'static,
    {
        let codec = match Codec::of(headers) {
            Ok(codec) => codec,
            Err(response) => return *response,
        };
        let question: Q = match codec.read(headers, body) {
            Ok(question) => question,
            Err(status) => return refusal(&status),
        };
        match self.work_out(question, work).await {
            Ok(answer) => codec.write(&answer),
            Err(status) => refusal(&status),
        }
    }

    /// Works an answer out on a thread that may block.
    async fn work_out<Q, A>(&self, question: Q, work: Work<Q, A>) -> Result<A, Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let answer = self.gate.run(ANSWER_TIME_MAX, move |limits| {
            work(&reader, &question, limits)
        });
        answer.await.map_err(|error| status(&error))
    }
}

/// Kinds of profile that have data.
async fn profile_types(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskKinds, _limits: &QueryLimits| {
        let types = reader
            .store()
            .profile_types(ask::span(asked.start, asked.end)?);
        let kind = |known: crate::model::ProfileType| ProfileKind {
            id: ask::type_id(&known),
            period_type: known.signal.clone(),
            period_unit: ask::period_unit(&known.unit).to_owned(),
            name: known.signal,
            sample_type: known.kind,
            sample_unit: known.unit,
        };
        Ok(ProfileKinds {
            profile_types: types.into_iter().map(kind).collect(),
        })
    };
    querier.answer(&head, &body, work).await
}

/// Names of labels.
async fn label_names(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskNames, _limits: &QueryLimits| {
        let mut found = BTreeSet::new();
        let span = (asked.start, asked.end);
        for selection in ask::selections(reader.store(), &asked.matchers, span)? {
            found.extend(names(reader, &selection)?);
        }
        Ok(Names {
            names: found.into_iter().collect(),
        })
    };
    querier.answer(&head, &body, work).await
}

/// Values of a label.
async fn label_values(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskValues, _limits: &QueryLimits| {
        let mut found = BTreeSet::new();
        let (name, span) = (ask::our_label(&asked.name), (asked.start, asked.end));
        for selection in ask::selections(reader.store(), &asked.matchers, span)? {
            found.extend(values(reader, &selection, name, VALUES_MAX)?.values);
        }
        Ok(Names {
            names: found.into_iter().take(VALUES_MAX).collect(),
        })
    };
    querier.answer(&head, &body, work).await
}

/// Sets of labels.
async fn series(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskSeries, _limits: &QueryLimits| {
        let mut found: BTreeSet<BTreeMap<String, String>> = BTreeSet::new();
        let span = (asked.start, asked.end);
        for selection in ask::selections(reader.store(), &asked.matchers, span)? {
            for known in reader.store().series(&selection)? {
                let mut labels = ask::with_their_labels(known.labels, &selection.profile_type);
                if !asked.label_names.is_empty() {
                    labels.retain(|name, _value| asked.label_names.contains(name));
                }
                found.insert(labels);
            }
        }
        let sets = found.into_iter().take(VALUES_MAX);
        Ok(SeriesAnswer {
            labels_set: sets
                .map(|labels| LabelSet {
                    labels: in_order(&labels),
                })
                .collect(),
        })
    };
    querier.answer(&head, &body, work).await
}

/// How a total goes over time.
async fn select_series(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    querier.answer(&head, &body, trend_of).await
}

/// The trend of a selection, heaviest lines first where there is a limit.
fn trend_of(
    reader: &Reader,
    asked: &AskTrend,
    limits: &QueryLimits,
) -> Result<TrendAnswer, QueryError> {
    let id = &asked.profile_type_id;
    let span = (asked.start, asked.end);
    let selection = ask::selection(reader.store(), id, &asked.label_selector, span)?;
    let step = Duration::try_from_secs_f64(asked.step).unwrap_or_default();
    let groups = asked.group_by.iter().map(|name| ask::our_label(name));
    let groups: Vec<String> = groups.map(str::to_owned).collect();
    let trend = trend(reader, &selection, step, &groups, limits)?;
    let mut lines: Vec<&GroupTotals> = trend.lines.iter().collect();
    if let Some(limit) = asked.limit.and_then(|limit| usize::try_from(limit).ok())
        && 0 < limit
    {
        lines.sort_by_key(|line| std::cmp::Reverse(weight(line)));
        lines.truncate(limit);
    }
    Ok(TrendAnswer {
        series: lines.into_iter().map(|group| line(group, asked)).collect(),
    })
}

/// The sum of a line.
fn weight(line: &GroupTotals) -> u64 {
    let values = line.points.iter().map(|point| point.value);
    values.fold(0, u64::saturating_add)
}

/// A line under the names it was asked for.
fn line(group: &GroupTotals, asked: &AskTrend) -> Line {
    let label = |name: &String| {
        let value = group.labels.get(ask::our_label(name))?;
        Some(Label {
            name: name.clone(),
            value: value.clone(),
        })
    };
    let points = group.points.iter().map(|point| Point {
        value: to_f64(point.value),
        timestamp: i64::try_from(point.start.as_millis()).unwrap_or(i64::MAX),
    });
    Line {
        labels: asked.group_by.iter().filter_map(label).collect(),
        points: points.collect(),
    }
}

/// A flame graph.
async fn merge_stacks(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskMerged, limits: &QueryLimits| {
        let graph = flame_graph(reader, &merged(reader, asked)?, nodes(asked), limits)?;
        Ok(FlameGraphAnswer {
            flamegraph: levels::flame_graph(&graph.tree),
        })
    };
    querier.answer(&head, &body, work).await
}

/// Two flame graphs compared.
async fn compare(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let work = |reader: &Reader, asked: &AskDiff, limits: &QueryLimits| {
        let (Some(left), Some(right)) = (&asked.left, &asked.right) else {
            return Err(QueryError::Missing { what: "one side" });
        };
        let (before, after) = (merged(reader, left)?, merged(reader, right)?);
        let diff = diff(reader, [&before, &after], nodes(left), limits)?;
        Ok(DiffAnswer {
            flamegraph: Some(levels::diff(&diff.tree)),
        })
    };
    querier.answer(&head, &body, work).await
}

/// A pprof file, as protobuf only: it is the message itself.
async fn merge_profile(State(querier): State<Querier>, head: HeaderMap, body: Bytes) -> Response {
    let asked: AskMerged = match Codec::of(&head) {
        Err(response) => return *response,
        Ok(Codec::Json) => {
            return refusal(&Status::unimplemented("pprof as JSON; ask in protobuf"));
        }
        Ok(codec @ Codec::Proto) => match codec.read(&head, &body) {
            Ok(asked) => asked,
            Err(status) => return refusal(&status),
        },
    };
    let work = |reader: &Reader, asked: &AskMerged, limits: &QueryLimits| {
        export(reader, &merged(reader, asked)?, Format::Pprof, limits)
    };
    let packed = match querier.work_out(asked, work).await {
        Ok(packed) => packed,
        Err(status) => return refusal(&status),
    };
    let mut bytes = Vec::new();
    match MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes) {
        Ok(_size) => with_type("application/proto", bytes),
        Err(error) => refusal(&Status::internal(error.to_string())),
    }
}

/// Stacks of spans: none are recorded, because samples carry no spans.
async fn merge_spans() -> Response {
    refusal(&Status::unimplemented(
        "samples of this service carry no spans; ask without a span selector",
    ))
}

/// What the stacks of a question are merged from.
fn merged(reader: &Reader, asked: &AskMerged) -> Result<crate::model::Selection, QueryError> {
    let (id, selector) = (&asked.profile_type_id, &asked.label_selector);
    ask::selection(reader.store(), id, selector, (asked.start, asked.end))
}

/// Most nodes of an answer.
fn nodes(asked: &AskMerged) -> usize {
    let asked = asked
        .max_nodes
        .and_then(|nodes| usize::try_from(nodes).ok());
    let asked = asked.filter(|nodes| 0 < *nodes);
    asked.unwrap_or(NODES_DEFAULT).clamp(NODES_MIN, NODES_MAX)
}

/// Labels in order of name.
fn in_order(labels: &Labels) -> Vec<Label> {
    let label = |(name, value): (&String, &String)| Label {
        name: name.clone(),
        value: value.clone(),
    };
    labels.iter().map(label).collect()
}

/// Nearest floating-point number.
#[expect(
    clippy::cast_precision_loss,
    reason = "the protocol's own type; 53 bits are plenty for a picture"
)]
fn to_f64(value: u64) -> f64 {
    value as f64
}

//! Answers as messages.

use std::{collections::HashMap, time::Duration};

use crate::{
    model::{FrameKind, Labels, ProfileType, ValueType},
    service::{
        query::{
            Diff, FlameGraph, FunctionFacts, LineShare, Share, SignalOfFunction, SignalTypes, Top,
            Trend, Values,
            tree::{Level, Node, Tree},
        },
        store::{GroupTotals, HostFacts},
    },
    wire::v1::{
        encode_quality,
        generated::{
            self as v1, DiffNode, DiffResponse, FlameGraphResponse, FunctionResponse, HostInfo,
            Label, LabelValuesResponse, ListSignalsResponse, SeriesResponse, SignalInfo,
            TopResponse, function_response, series_response, top_response,
        },
    },
};

/// What the root of a tree is called.
const ROOT: &str = "(all)";
/// What is called so was cut off.
const OTHER: &str = "(other)";

/// Texts of an answer, each once.
struct Strings {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Strings {
    /// Only the empty text, which has the number zero.
    fn new() -> Self {
        Self {
            texts: vec![String::new()],
            numbers: HashMap::from([(String::new(), 0)]),
        }
    }

    /// The number of a text.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("an answer has few texts");
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

/// The part of a node that says what it is.
struct Named {
    function: u32,
    file: u32,
    module: u32,
    kind: i32,
    is_inlined: bool,
}

/// What a node of a tree is called.
fn named<const N: usize>(tree: &Tree<N>, node: &Node<N>, strings: &mut Strings) -> Named {
    match tree.place(node) {
        Some(place) => Named {
            function: strings.number(&place.function),
            file: strings.number(&place.file),
            module: strings.number(&place.module),
            kind: kind(place.kind),
            is_inlined: place.is_inlined,
        },
        None => Named {
            function: strings.number(if node.level == Level::Root {
                ROOT
            } else {
                OTHER
            }),
            file: 0,
            module: 0,
            kind: v1::FrameKind::Unspecified.into(),
            is_inlined: false,
        },
    }
}

/// A tree.
pub(super) fn flame_graph(answer: &FlameGraph) -> FlameGraphResponse {
    let tree = &answer.tree;
    let mut strings = Strings::new();
    let node = |node: &Node<1>| {
        let named = named(tree, node, &mut strings);
        v1::Node {
            parent: node.parent,
            function: named.function,
            file: named.file,
            module: named.module,
            kind: named.kind,
            is_inlined: named.is_inlined,
            total: node.total[0],
            self_: node.own[0],
        }
    };
    let nodes = tree.nodes.iter().map(node).collect();
    FlameGraphResponse {
        value_type: Some(value_type(&answer.profile_type)),
        strings: strings.texts,
        nodes,
        total: tree.total()[0],
        quality: Some(encode_quality(&answer.quality)),
        nodes_total: tree.nodes_total as u64,
    }
}

/// Two trees in one.
pub(super) fn diff(answer: &Diff) -> DiffResponse {
    let tree = &answer.tree;
    let mut strings = Strings::new();
    let node = |node: &Node<2>| {
        let named = named(tree, node, &mut strings);
        DiffNode {
            parent: node.parent,
            function: named.function,
            file: named.file,
            module: named.module,
            kind: named.kind,
            is_inlined: named.is_inlined,
            before_total: node.total[0],
            before_self: node.own[0],
            after_total: node.total[1],
            after_self: node.own[1],
        }
    };
    let nodes = tree.nodes.iter().map(node).collect();
    let [before_total, after_total] = tree.total();
    let [before, after] = &answer.qualities;
    DiffResponse {
        value_type: Some(value_type(&answer.profile_type)),
        strings: strings.texts,
        nodes,
        before_total,
        after_total,
        before_quality: Some(encode_quality(before)),
        after_quality: Some(encode_quality(after)),
    }
}

/// A table.
pub(super) fn top(answer: &Top) -> TopResponse {
    let row = |row: &crate::service::query::Row| top_response::Row {
        name: row.name.as_ref().to_owned(),
        module: row.module.as_ref().to_owned(),
        file: row.file.as_ref().to_owned(),
        kind: kind(row.kind),
        self_: row.own,
        total: row.total,
    };
    TopResponse {
        value_type: Some(value_type(&answer.profile_type)),
        rows: answer.rows.iter().map(row).collect(),
        total: answer.total,
        quality: Some(encode_quality(&answer.quality)),
    }
}

/// A trend.
pub(super) fn series(answer: &Trend) -> SeriesResponse {
    let line = |group: &GroupTotals| series_response::Line {
        labels: labels(&group.labels),
        points: (group.points.iter())
            .map(|point| series_response::Point {
                start_ns: nanoseconds(point.start),
                value: point.value,
            })
            .collect(),
    };
    SeriesResponse {
        value_type: Some(value_type(&answer.profile_type)),
        step_ns: nanoseconds(answer.step),
        lines: answer.lines.iter().map(line).collect(),
        quality: Some(encode_quality(&answer.quality)),
    }
}

/// What is known of a function.
pub(super) fn function(answer: &FunctionFacts) -> FunctionResponse {
    let text = |text: &std::sync::Arc<str>| text.as_ref().to_owned();
    FunctionResponse {
        signals: answer.signals.iter().map(signal_of_function).collect(),
        files: answer.files.iter().map(text).collect(),
        modules: answer.modules.iter().map(text).collect(),
        ..FunctionResponse::default()
    }
}

/// What one signal says of a function.
fn signal_of_function(answer: &SignalOfFunction) -> function_response::PerSignal {
    let shares = |shares: &[Share]| {
        let share = |share: &Share| function_response::Share {
            name: share.name.clone(),
            value: share.value,
        };
        shares.iter().map(share).collect()
    };
    let line = |line: &LineShare| function_response::LineShare {
        file: line.file.clone(),
        line: line.line,
        self_: line.own,
    };
    function_response::PerSignal {
        signal: answer.profile_type.signal.clone(),
        value_type: Some(value_type(&answer.profile_type)),
        self_: answer.own,
        total: answer.total,
        selection_total: answer.selection_total,
        callers: shares(&answer.callers),
        callees: shares(&answer.callees),
        by_service: shares(&answer.by_service),
        lines: answer.lines.iter().map(line).collect(),
        quality: Some(encode_quality(&answer.quality)),
    }
}

/// Signals with what they count.
pub(super) fn signals(answer: Vec<SignalTypes>) -> ListSignalsResponse {
    let type_of = |value_type: ValueType| v1::ValueType {
        kind: value_type.kind,
        unit: value_type.unit,
    };
    let info = |known: SignalTypes| SignalInfo {
        signal: known.signal,
        value_types: known.value_types.into_iter().map(type_of).collect(),
    };
    ListSignalsResponse {
        signals: answer.into_iter().map(info).collect(),
    }
}

/// Values of a label.
pub(super) fn values(answer: Values) -> LabelValuesResponse {
    LabelValuesResponse {
        values: answer.values,
        is_cut: answer.is_cut,
    }
}

/// A host.
pub(super) fn host(facts: HostFacts, is_connected: bool) -> HostInfo {
    HostInfo {
        quality: Some(encode_quality(&facts.quality)),
        host: facts.host,
        last_window_ns: nanoseconds(facts.last_window),
        windows: facts.windows,
        is_connected,
    }
}

/// Labels in order of name.
fn labels(labels: &Labels) -> Vec<Label> {
    let label = |(name, value): (&String, &String)| Label {
        name: name.clone(),
        value: value.clone(),
    };
    labels.iter().map(label).collect()
}

/// What is counted.
fn value_type(profile_type: &ProfileType) -> v1::ValueType {
    v1::ValueType {
        kind: profile_type.kind.clone(),
        unit: profile_type.unit.clone(),
    }
}

/// Where code came from.
pub(super) fn kind(kind: FrameKind) -> i32 {
    match kind {
        FrameKind::Native => v1::FrameKind::Native,
        FrameKind::Kernel => v1::FrameKind::Kernel,
        FrameKind::Jit => v1::FrameKind::Jit,
        FrameKind::Truncated => v1::FrameKind::Truncated,
        FrameKind::Table => v1::FrameKind::Table,
    }
    .into()
}

/// A time as the wire has it; it ends in the year 2554.
pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

//! Answers for programs: fields are only ever added.

use serde_json::{Map, Value, json};

use crate::wire::v1::generated::{
    self as v1, FlameGraphResponse, FrameKind, FunctionResponse, HostsResponse,
    LabelValuesResponse, LabelsResponse, ListSignalsResponse, Quality, SeriesResponse, TopResponse,
    WatchResponse, function_response,
};

/// One answer as indented text.
pub(super) fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// What is counted.
fn value_type(message: Option<&v1::ValueType>) -> Value {
    message.map_or(
        Value::Null,
        |known| json!({ "kind": known.kind, "unit": known.unit }),
    )
}

/// How often something happened, by cause.
pub(super) fn counts(counts: &[v1::Count]) -> Value {
    let entries = counts
        .iter()
        .map(|count| (count.cause.clone(), count.count.into()));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// How good the data is.
pub(super) fn quality(message: Option<&Quality>) -> Value {
    let Some(quality) = message else {
        return Value::Null;
    };
    json!({
        "samples": quality.samples,
        "idle": quality.idle,
        "lost": counts(&quality.lost),
        "complete": quality.complete,
        "truncated": counts(&quality.truncated),
        "fallback": quality.fallback,
        "frames": quality.frames,
        "frames_unnamed": quality.frames_unnamed,
        "rate_asked_hz": quality.rate_asked_hz,
        "rate_effective_hz": quality.rate_effective_hz,
        "duty_cycle": quality.duty_cycle,
        "windows_lost": quality.windows_lost,
    })
}

/// Where code came from; nothing for what is no code.
fn kind(kind: i32) -> Value {
    match FrameKind::try_from(kind) {
        Ok(FrameKind::Native) => "native".into(),
        Ok(FrameKind::Kernel) => "kernel".into(),
        Ok(FrameKind::Jit) => "jit".into(),
        Ok(FrameKind::Truncated) => "truncated".into(),
        Ok(FrameKind::Table) => "table".into(),
        Ok(FrameKind::Unspecified) | Err(_) => Value::Null,
    }
}

/// Labels by name.
pub(super) fn labels(labels: &[v1::Label]) -> Value {
    let entries = labels
        .iter()
        .map(|label| (label.name.clone(), label.value.clone().into()));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// A text of an answer.
fn string(strings: &[String], number: u32) -> &str {
    strings.get(number as usize).map_or("", String::as_str)
}

/// A tree: nodes in depth-first order, each with the index of its parent.
pub(super) fn flame_graph(answer: &FlameGraphResponse) -> Value {
    let node = |node: &v1::Node| {
        json!({
            "parent": node.parent,
            "function": string(&answer.strings, node.function),
            "file": string(&answer.strings, node.file),
            "module": string(&answer.strings, node.module),
            "kind": kind(node.kind),
            "is_inlined": node.is_inlined,
            "total": node.total,
            "self": node.self_,
        })
    };
    json!({
        "value_type": value_type(answer.value_type.as_ref()),
        "total": answer.total,
        "nodes": answer.nodes.iter().map(node).collect::<Vec<_>>(),
        "nodes_total": answer.nodes_total,
        "quality": quality(answer.quality.as_ref()),
    })
}

/// Two trees in one.
pub(super) fn diff(answer: &v1::DiffResponse) -> Value {
    let node = |node: &v1::DiffNode| {
        json!({
            "parent": node.parent,
            "function": string(&answer.strings, node.function),
            "file": string(&answer.strings, node.file),
            "module": string(&answer.strings, node.module),
            "kind": kind(node.kind),
            "is_inlined": node.is_inlined,
            "before_total": node.before_total,
            "before_self": node.before_self,
            "after_total": node.after_total,
            "after_self": node.after_self,
        })
    };
    json!({
        "value_type": value_type(answer.value_type.as_ref()),
        "before_total": answer.before_total,
        "after_total": answer.after_total,
        "nodes": answer.nodes.iter().map(node).collect::<Vec<_>>(),
        "before_quality": quality(answer.before_quality.as_ref()),
        "after_quality": quality(answer.after_quality.as_ref()),
    })
}

/// A table.
pub(super) fn top(answer: &TopResponse) -> Value {
    let row = |row: &v1::top_response::Row| {
        json!({
            "name": row.name,
            "module": row.module,
            "file": row.file,
            "kind": kind(row.kind),
            "self": row.self_,
            "total": row.total,
        })
    };
    json!({
        "value_type": value_type(answer.value_type.as_ref()),
        "total": answer.total,
        "rows": answer.rows.iter().map(row).collect::<Vec<_>>(),
        "quality": quality(answer.quality.as_ref()),
    })
}

/// A trend.
pub(super) fn series(answer: &SeriesResponse) -> Value {
    let line = |line: &v1::series_response::Line| {
        let points = line.points.iter();
        json!({
            "labels": labels(&line.labels),
            "points": points
                .map(|point| json!({ "start_ns": point.start_ns, "value": point.value }))
                .collect::<Vec<_>>(),
        })
    };
    json!({
        "value_type": value_type(answer.value_type.as_ref()),
        "step_ns": answer.step_ns,
        "lines": answer.lines.iter().map(line).collect::<Vec<_>>(),
        "quality": quality(answer.quality.as_ref()),
    })
}

/// What is known of a function.
pub(super) fn function(answer: &FunctionResponse) -> Value {
    let shares = |shares: &[function_response::Share]| {
        let shares = shares.iter();
        shares
            .map(|share| json!({ "name": share.name, "value": share.value }))
            .collect::<Vec<_>>()
    };
    let line = |line: &function_response::LineShare| json!({ "file": line.file, "line": line.line, "self": line.self_ });
    let signal = |signal: &function_response::PerSignal| {
        json!({
            "signal": signal.signal,
            "value_type": value_type(signal.value_type.as_ref()),
            "self": signal.self_,
            "total": signal.total,
            "selection_total": signal.selection_total,
            "callers": shares(&signal.callers),
            "callees": shares(&signal.callees),
            "by_service": shares(&signal.by_service),
            "lines": signal.lines.iter().map(line).collect::<Vec<_>>(),
            "quality": quality(signal.quality.as_ref()),
        })
    };
    json!({
        "signals": answer.signals.iter().map(signal).collect::<Vec<_>>(),
        "files": answer.files,
        "modules": answer.modules,
        "ledger": answer.ledger.iter().map(ledger_row).collect::<Vec<_>>(),
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
    })
}

/// One number of the ledger of a function.
fn ledger_row(row: &function_response::LedgerRow) -> Value {
    let parts = |parts: &[function_response::Part]| {
        let part = |part: &function_response::Part| {
            json!({
                "name": part.name,
                "value": part.value,
                "per_second": part.per_second,
                "mean_ns": part.mean_ns,
            })
        };
        parts.iter().map(part).collect::<Vec<_>>()
    };
    json!({
        "name": row.name,
        "text": row.text,
        "signal": row.signal,
        "value_type": value_type(row.value_type.as_ref()),
        "value": row.value,
        "per_second": row.per_second,
        "share": row.share,
        "parts_are": row.parts_are,
        "parts": parts(&row.parts),
        "services": parts(&row.services),
        "versions": parts(&row.versions),
    })
}

/// A place in code.
pub(super) fn place(place: Option<&v1::FramePlace>) -> Value {
    let Some(place) = place else {
        return Value::Null;
    };
    json!({
        "function": place.function,
        "file": place.file,
        "line": place.line,
        "module": place.module,
        "kind": kind(place.kind),
    })
}

/// A number with its bounds.
fn number(number: &v1::EvidenceNumber) -> Value {
    json!({
        "name": number.name,
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "unit": number.unit,
        "text": number.text,
    })
}

/// How grave something is.
pub(super) fn severity(number: i32) -> &'static str {
    match v1::Severity::try_from(number) {
        Ok(v1::Severity::Info) => "info",
        Ok(v1::Severity::Warning) => "warning",
        Ok(v1::Severity::Critical) => "critical",
        Ok(v1::Severity::Unspecified) | Err(_) => "unknown",
    }
}

/// What is wrong.
pub(super) fn bottlenecks(answer: &v1::BottlenecksResponse) -> Value {
    let finding = |finding: &v1::Finding| {
        json!({
            "id": finding.id,
            "kind": finding.kind_name,
            "severity": severity(finding.severity),
            "service": finding.service,
            "place": place(finding.place.as_ref()),
            "path": finding.path.iter().map(|level| place(Some(level))).collect::<Vec<_>>(),
            "holder": place(finding.holder.as_ref()),
            "cost": finding.cost.as_ref().map(number),
            "cost_of": finding.cost_of,
            "evidence": finding.evidence.iter().map(number).collect::<Vec<_>>(),
            "samples": finding.samples,
            "summary": finding.summary,
            "command": finding.command,
            "signal": finding.signal,
            "value_kind": finding.value_kind,
            "selector": finding.selector,
        })
    };
    json!({
        "findings": answer.findings.iter().map(finding).collect::<Vec<_>>(),
        "signals": answer.signals,
        "services": answer.services,
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "quality": quality(answer.quality.as_ref()),
    })
}

/// What changed.
pub(super) fn regressions(answer: &v1::RegressionsResponse) -> Value {
    let change = |change: &v1::Change| {
        json!({
            "place": place(change.place.as_ref()),
            "before_share": change.before_share,
            "after_share": change.after_share,
            "difference": change.difference,
            "difference_low": change.difference_low,
            "difference_high": change.difference_high,
            // JSON has no infinity: a function that was not there has no such number.
            "relative": change.relative.is_finite().then_some(change.relative),
            "p_value": change.p_value,
            "q_value": change.q_value,
            "dispersion": change.dispersion,
        })
    };
    json!({
        "value_type": value_type(answer.value_type.as_ref()),
        "slower": answer.slower.iter().map(change).collect::<Vec<_>>(),
        "faster": answer.faster.iter().map(change).collect::<Vec<_>>(),
        "tested": answer.tested,
        "before_samples": answer.before_samples,
        "after_samples": answer.after_samples,
        "detectable_points": answer.detectable_points,
        "before": answer.before_text,
        "after": answer.after_text,
        "before_quality": quality(answer.before_quality.as_ref()),
        "after_quality": quality(answer.after_quality.as_ref()),
    })
}

/// Signals with what they count.
pub(super) fn signals(answer: &ListSignalsResponse) -> Value {
    let signal = |known: &v1::SignalInfo| {
        let types = known.value_types.iter();
        json!({
            "signal": known.signal,
            "value_types": types.map(|known| value_type(Some(known))).collect::<Vec<_>>(),
        })
    };
    json!({ "signals": answer.signals.iter().map(signal).collect::<Vec<_>>() })
}

/// Names of labels.
pub(super) fn names(answer: &LabelsResponse) -> Value {
    json!({ "names": answer.names })
}

/// Values of a label.
pub(super) fn values(answer: &LabelValuesResponse) -> Value {
    json!({ "values": answer.values, "is_cut": answer.is_cut })
}

/// Hosts.
pub(super) fn hosts(answer: &HostsResponse) -> Value {
    let host = |host: &v1::HostInfo| {
        json!({
            "host": host.host,
            "last_window_ns": host.last_window_ns,
            "windows": host.windows,
            "is_connected": host.is_connected,
            "quality": quality(host.quality.as_ref()),
        })
    };
    json!({ "hosts": answer.hosts.iter().map(host).collect::<Vec<_>>() })
}

/// One window as it arrived.
pub(super) fn window(answer: &WatchResponse) -> Value {
    json!({
        "host": answer.host,
        "start_ns": answer.start_ns,
        "duration_ns": answer.duration_ns,
        "skipped": answer.skipped,
        "flame_graph": answer.flame_graph.as_ref().map_or(Value::Null, flame_graph),
    })
}

#[cfg(test)]
mod tests {
    use super::top;
    use crate::wire::v1::generated::{
        FrameKind, Quality, TopResponse, ValueType, top_response::Row,
    };

    #[test]
    fn a_table_for_programs_stays_as_it_is() {
        let answer = TopResponse {
            value_type: Some(ValueType {
                kind: "samples".to_owned(),
                unit: "count".to_owned(),
            }),
            rows: vec![Row {
                name: "f".to_owned(),
                kind: FrameKind::Kernel.into(),
                self_: 1,
                total: 2,
                ..Row::default()
            }],
            total: 3,
            quality: Some(Quality {
                samples: 3,
                ..Quality::default()
            }),
        };
        let expected = r#"{"quality":{"complete":0,"duty_cycle":0.0,"fallback":0,"frames":0,"frames_unnamed":0,"idle":0,"lost":{},"rate_asked_hz":0.0,"rate_effective_hz":0.0,"samples":3,"truncated":{},"windows_lost":0},"rows":[{"file":"","kind":"kernel","module":"","name":"f","self":1,"total":2}],"total":3,"value_type":{"kind":"samples","unit":"count"}}"#;
        assert_eq!(expected, top(&answer).to_string());
    }
}

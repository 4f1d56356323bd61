//! Findings, comparisons, budgets and the ledger as messages, and back.

use super::{answer::nanoseconds, ask};
use crate::{
    service::{
        insight::{
            self, Change, Comparison, Finding, FindingKind, Interval, Judged, Number, Settings,
            Site,
            limits::{CHANGES_DEFAULT, CHANGES_MAX, FINDINGS_DEFAULT, FINDINGS_MAX},
        },
        query::{
            QueryError, Reader,
            examine::{
                Ask, Bottlenecks, Checked, Ledger, LedgerPart, LedgerRow, Regressions, Wanted,
            },
        },
    },
    wire::v1::{
        encode_quality,
        generated::{
            self as v1, Against, BottlenecksRequest, BottlenecksResponse, CheckResponse,
            EvidenceNumber, FramePlace, FunctionResponse, LimitVerdict, RegressionsRequest,
            RegressionsResponse, Severity, Verdict, Weight, function_response,
            regressions_request::SelectionOf,
        },
    },
};

/// How many findings are wanted, and how grave.
pub(super) fn ask_bottlenecks(message: &BottlenecksRequest) -> Result<Ask, QueryError> {
    let least = match Severity::try_from(message.least) {
        Ok(Severity::Unspecified | Severity::Info) => insight::Severity::Info,
        Ok(Severity::Warning) => insight::Severity::Warning,
        Ok(Severity::Critical) => insight::Severity::Critical,
        Err(_unknown) => {
            return Err(QueryError::Unknown {
                what: "severity",
                number: message.least,
            });
        }
    };
    Ok(Ask {
        limit: ask::limit(message.limit, FINDINGS_DEFAULT, FINDINGS_MAX),
        least,
        is_whole: message.is_whole,
    })
}

/// What is compared.
pub(super) fn ask_regressions(
    message: RegressionsRequest,
    reader: &Reader,
) -> Result<Wanted, QueryError> {
    let selection = |message: SelectionOf| {
        let selection = v1::Selection {
            signal: message.signal,
            kind: message.kind,
            selector: message.selector,
            start_ns: message.start_ns,
            end_ns: message.end_ns,
        };
        ask::selection(Some(selection), reader.store())
    };
    let against = match Against::try_from(message.against) {
        Ok(Against::Unspecified | Against::Before) => insight::Against::Baseline,
        Ok(Against::Yesterday) => insight::Against::Yesterday,
        Ok(Against::LastWeek) => insight::Against::LastWeek,
        Ok(Against::PreviousBuild) => insight::Against::PreviousBuild,
        Err(_unknown) => {
            return Err(QueryError::Unknown {
                what: "thing to compare with",
                number: message.against,
            });
        }
    };
    let defaults = Settings::default();
    let or_default = |asked: f64, default: f64| if asked > 0.0 { asked.min(1.0) } else { default };
    Ok(Wanted {
        after: selection(message.after.unwrap_or_default())?,
        before: message.before.map(selection).transpose()?,
        against,
        is_total: message.weight == i32::from(Weight::Total),
        settings: Settings {
            relative_least: or_default(message.relative_least, defaults.relative_least),
            points_least: or_default(message.points_least, defaults.points_least),
            false_discovery_rate: or_default(
                message.false_discovery_rate,
                defaults.false_discovery_rate,
            ),
        },
        limit: ask::limit(message.limit, CHANGES_DEFAULT, CHANGES_MAX),
    })
}

/// What was found.
pub(super) fn bottlenecks(
    found: &Bottlenecks,
    (start_ns, end_ns): (u64, u64),
) -> BottlenecksResponse {
    BottlenecksResponse {
        findings: found.findings.iter().map(finding).collect(),
        signals: found.signals.iter().cloned().collect(),
        start_ns,
        end_ns,
        services: u32::try_from(found.services).unwrap_or(u32::MAX),
        quality: Some(encode_quality(&found.quality)),
    }
}

/// One finding.
fn finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        kind: kind(finding.kind).into(),
        kind_name: finding.kind.as_str().to_owned(),
        severity: severity(finding.severity).into(),
        place: Some(place(&finding.place)),
        path: finding.path.iter().map(place).collect(),
        holder: finding.holder.as_ref().map(place),
        cost: Some(number(&finding.cost)),
        cost_of: finding.cost_of.to_owned(),
        evidence: finding.evidence.iter().map(number).collect(),
        summary: finding.summary.clone(),
        command: finding.command.clone(),
        signal: finding.signal.to_owned(),
        value_kind: finding.value_kind.to_owned(),
        selector: finding.selector.clone(),
        service: finding.service.clone(),
        samples: finding.samples,
        id: finding.id(),
    }
}

/// A kind of finding.
fn kind(kind: FindingKind) -> v1::FindingKind {
    match kind {
        FindingKind::HotFunction => v1::FindingKind::HotFunction,
        FindingKind::HotPath => v1::FindingKind::HotPath,
        FindingKind::LockConvoy => v1::FindingKind::LockConvoy,
        FindingKind::SyscallStorm => v1::FindingKind::SyscallStorm,
        FindingKind::TinyIo => v1::FindingKind::TinyIo,
        FindingKind::SlowRemote => v1::FindingKind::SlowRemote,
        FindingKind::Retransmits => v1::FindingKind::Retransmits,
        FindingKind::AllocationHotSpot => v1::FindingKind::AllocationHotSpot,
        FindingKind::LeakSuspect => v1::FindingKind::LeakSuspect,
        FindingKind::PageFaultStorm => v1::FindingKind::PageFaultStorm,
        FindingKind::RunQueueSaturation => v1::FindingKind::RunQueueSaturation,
        FindingKind::OneBusyThread => v1::FindingKind::OneBusyThread,
    }
}

/// How grave something is.
pub fn severity(severity: insight::Severity) -> Severity {
    match severity {
        insight::Severity::Info => Severity::Info,
        insight::Severity::Warning => Severity::Warning,
        insight::Severity::Critical => Severity::Critical,
    }
}

/// A place in code.
fn place(site: &Site) -> FramePlace {
    FramePlace {
        function: site.function.to_string(),
        file: site.file.to_string(),
        line: site.line,
        module: site.module.to_string(),
        kind: super::answer::kind(site.kind),
    }
}

/// A number with its bounds.
fn number(number: &Number) -> EvidenceNumber {
    let Interval { value, low, high } = number.interval;
    EvidenceNumber {
        name: number.name.to_owned(),
        value,
        low,
        high,
        unit: number.unit.as_str().to_owned(),
        text: number.text.to_owned(),
    }
}

/// What changed.
pub fn regressions(found: &Regressions) -> RegressionsResponse {
    let Comparison {
        slower,
        faster,
        tested,
        samples: [before_samples, after_samples],
        detectable_points,
    } = &found.comparison;
    let [before, after] = &found.quality;
    let [before_text, after_text] = found.texts.clone();
    RegressionsResponse {
        value_type: Some(v1::ValueType {
            kind: found.profile_type.kind.clone(),
            unit: found.profile_type.unit.clone(),
        }),
        slower: slower.iter().map(change).collect(),
        faster: faster.iter().map(change).collect(),
        tested: u32::try_from(*tested).unwrap_or(u32::MAX),
        before_samples: *before_samples,
        after_samples: *after_samples,
        detectable_points: *detectable_points,
        before_quality: Some(encode_quality(before)),
        after_quality: Some(encode_quality(after)),
        before_text,
        after_text,
    }
}

/// One function that changed.
fn change(change: &Change) -> v1::Change {
    let [before_share, after_share] = change.shares;
    v1::Change {
        place: Some(place(&change.place)),
        before_share,
        after_share,
        difference: change.difference.value,
        difference_low: change.difference.low,
        difference_high: change.difference.high,
        relative: change.relative,
        p_value: change.p_value,
        q_value: change.q_value,
        dispersion: change.dispersion,
    }
}

/// A budget that was looked at.
pub fn checked(checked: &Checked) -> CheckResponse {
    CheckResponse {
        limits: checked.limits.iter().map(verdict).collect(),
        is_broken: checked.is_broken(),
        start_ns: nanoseconds(checked.range.start),
        end_ns: nanoseconds(checked.range.end),
    }
}

/// One limit.
pub fn verdict(judged: &Judged) -> LimitVerdict {
    let Interval { value, low, high } = judged.measured.interval;
    let verdict = match judged.verdict {
        insight::Verdict::Kept => Verdict::Kept,
        insight::Verdict::Broken => Verdict::Broken,
        insight::Verdict::Unknown => Verdict::Unknown,
    };
    let value_text = if verdict == Verdict::Unknown {
        "no data".to_owned()
    } else {
        judged.unit.show(value)
    };
    LimitVerdict {
        name: judged.name.clone(),
        verdict: verdict.into(),
        value,
        value_low: low,
        value_high: high,
        limit: judged.at_most,
        value_text,
        limit_text: judged.unit.show(judged.at_most),
        summary: judged.summary.clone(),
        severity: severity(judged.severity).into(),
        details: judged.measured.details.clone(),
        command: judged.measured.command.clone(),
    }
}

/// Adds the ledger to the answer about a function.
pub(super) fn add_ledger(response: &mut FunctionResponse, ledger: &Ledger) {
    response.ledger = ledger.rows.iter().map(ledger_row).collect();
    response.start_ns = nanoseconds(ledger.range.start);
    response.end_ns = nanoseconds(ledger.range.end);
}

/// One number of the ledger.
fn ledger_row(row: &LedgerRow) -> function_response::LedgerRow {
    let parts = |parts: &[LedgerPart]| {
        let part = |part: &LedgerPart| function_response::Part {
            name: part.name.clone(),
            value: part.value,
            per_second: part.per_second,
            mean_ns: part.mean_ns,
        };
        parts.iter().map(part).collect()
    };
    function_response::LedgerRow {
        name: row.name.to_owned(),
        text: row.text.to_owned(),
        signal: row.signal.to_owned(),
        value_type: Some(v1::ValueType {
            kind: row.value_type.kind.clone(),
            unit: row.value_type.unit.clone(),
        }),
        value: row.value,
        per_second: row.per_second,
        share: row.share,
        parts_are: row.parts_are.to_owned(),
        parts: parts(&row.parts),
        services: parts(&row.services),
        versions: parts(&row.versions),
    }
}

//! `query regressions`.

use std::fmt::Write as _;

use super::{
    args::{ConnectionArgs, RegressionsArgs, Than},
    client::{Client, ask, refused},
    format::Forms,
    json,
    text::{Side, Table},
};
use crate::{
    render::clean,
    wire::v1::generated::{
        Against, Change, RegressionsRequest, RegressionsResponse, Selection, Weight,
        regressions_request::SelectionOf,
    },
};

/// Asks what changed more than chance explains.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RegressionsArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("regressions"))?;
    let question = question(
        args,
        args.selection.message()?,
        args.than.unwrap_or_default(),
    );
    let answer = client.regressions(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output
        .answer(form, || json::regressions(&answer), || draw(&answer))
}

/// What is asked of a selection.
pub(super) fn question(args: &RegressionsArgs, after: Selection, than: Than) -> RegressionsRequest {
    let against = match than {
        Than::Before => Against::Before,
        Than::Yesterday => Against::Yesterday,
        Than::LastWeek => Against::LastWeek,
        Than::PreviousBuild => Against::PreviousBuild,
    };
    let weight = if args.total {
        Weight::Total
    } else {
        Weight::Self_
    };
    RegressionsRequest {
        before: before(args, &after).map(message),
        after: Some(message(after)),
        against: against.into(),
        weight: weight.into(),
        relative_least: args.relative,
        points_least: args.points,
        false_discovery_rate: args.false_discoveries,
        limit: args.limit,
    }
}

/// What is compared with, where it was said.
fn before(args: &RegressionsArgs, after: &Selection) -> Option<Selection> {
    if args.against.is_none() && args.offset.is_none() {
        return None;
    }
    let mut before = after.clone();
    if let Some(selector) = &args.against {
        before.selector.clone_from(selector);
    }
    if let Some(offset) = &args.offset {
        let offset = u64::try_from(offset.0.as_nanos()).unwrap_or(u64::MAX);
        before.start_ns = before.start_ns.saturating_sub(offset).max(1);
        before.end_ns = before.end_ns.saturating_sub(offset).max(1);
    }
    Some(before)
}

/// A selection as this question has it.
fn message(selection: Selection) -> SelectionOf {
    SelectionOf {
        signal: selection.signal,
        kind: selection.kind,
        selector: selection.selector,
        start_ns: selection.start_ns,
        end_ns: selection.end_ns,
    }
}

/// The changes as text.
pub(crate) fn draw(answer: &RegressionsResponse) -> String {
    let mut text = String::new();
    for (title, changes) in [("SLOWER", &answer.slower), ("FASTER", &answer.faster)] {
        if changes.is_empty() {
            let _infallible = writeln!(
                text,
                "no function is {} than chance explains",
                title.to_lowercase()
            );
            continue;
        }
        let mut table = Table::new(&[
            ("BEFORE", Side::Right),
            ("AFTER", Side::Right),
            ("CHANGE", Side::Right),
            ("POINTS", Side::Right),
            ("95% INTERVAL", Side::Right),
            ("Q", Side::Right),
            (title, Side::Left),
        ]);
        for change in changes {
            table.row(row(change));
        }
        text += &table.draw();
    }
    text + &format!(
        "{} functions tested on {:.0} samples before and {:.0} after; at a share of 5%, a change \
         of {:.2} points is found nine times in ten\n",
        answer.tested,
        answer.before_samples,
        answer.after_samples,
        answer.detectable_points * 100.0,
    )
}

/// One change.
fn row(change: &Change) -> Vec<String> {
    let percent = |share: f64| format!("{:.2}%", share * 100.0);
    let points = |share: f64| format!("{:+.2}", share * 100.0);
    let place = change.place.clone().unwrap_or_default();
    let place = if place.file.is_empty() {
        clean(&place.function)
    } else {
        let (function, file) = (clean(&place.function), clean(&place.file));
        format!("{function}  ({file}:{})", place.line)
    };
    vec![
        percent(change.before_share),
        percent(change.after_share),
        if change.relative.is_finite() {
            format!("{:+.1}%", change.relative * 100.0)
        } else {
            "new".to_owned()
        },
        points(change.difference),
        format!(
            "{} to {}",
            points(change.difference_low),
            points(change.difference_high)
        ),
        format!("{:.4}", change.q_value),
        place,
    ]
}

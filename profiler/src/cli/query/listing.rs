//! `query labels`, `label-values`, `signals` and `hosts`.

use std::time::Duration;

use serde_json::Value;

use super::{
    args::{ConnectionArgs, LabelValuesArgs, ListArgs, OutputArgs, RangeArgs},
    client::{Client, ask, refused},
    format::{Form, Forms},
    json,
    text::{Side, Table},
    time::Utc,
};
use crate::{
    render::{clean, share, thousands},
    wire::v1::generated::{
        HostInfo, HostsRequest, LabelValuesRequest, LabelsRequest, ListSignalsRequest,
        ListSignalsResponse,
    },
};

/// Names of labels.
pub(super) async fn labels(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &ListArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("labels"))?;
    let question = LabelsRequest {
        selection: Some(args.selection.message()?),
    };
    let answer = client.labels(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    write(&args.output, form, &json::names(&answer), || {
        lines(&answer.names)
    })
}

/// Values of a label.
pub(super) async fn label_values(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &LabelValuesArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("label-values"))?;
    let question = LabelValuesRequest {
        selection: Some(args.selection.message()?),
        name: args.name.clone(),
        limit: args.limit,
    };
    let answer = client.label_values(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    if answer.is_cut && form != Form::Json {
        crate::cli::exit::eprint(&format!(
            "the first {}; there are more, see --limit",
            args.limit
        ));
    }
    write(&args.output, form, &json::values(&answer), || {
        lines(&answer.values)
    })
}

/// Signals with what they count.
pub(super) async fn signals(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RangeArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("signals"))?;
    let range = args.time.range()?;
    let question = ListSignalsRequest {
        start_ns: range.start_ns,
        end_ns: range.end_ns,
    };
    let answer = client.list_signals(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    write(&args.output, form, &json::signals(&answer), || {
        draw_signals(&answer)
    })
}

/// Hosts with the quality of their data.
pub(super) async fn hosts(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &RangeArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("hosts"))?;
    let range = args.time.range()?;
    let question = HostsRequest {
        start_ns: range.start_ns,
        end_ns: range.end_ns,
    };
    let answer = client.hosts(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    write(&args.output, form, &json::hosts(&answer), || {
        draw_hosts(&answer.hosts)
    })
}

/// Writes an answer as JSON or as text.
fn write(
    output: &OutputArgs,
    form: Form,
    value: &Value,
    draw: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    if form == Form::Json {
        output.write(&json::text(value))
    } else {
        output.write(draw().as_bytes())
    }
}

/// One text a line.
fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| clean(text) + "\n").collect()
}

/// Signals as text.
fn draw_signals(answer: &ListSignalsResponse) -> String {
    let mut table = Table::new(&[
        ("SIGNAL", Side::Left),
        ("KIND", Side::Left),
        ("UNIT", Side::Left),
    ]);
    for known in &answer.signals {
        for counted in &known.value_types {
            table.row(vec![
                clean(&known.signal),
                clean(&counted.kind),
                clean(&counted.unit),
            ]);
        }
    }
    table.draw()
}

/// Hosts as text.
fn draw_hosts(hosts: &[HostInfo]) -> String {
    let mut table = Table::new(&[
        ("LAST WINDOW", Side::Left),
        ("WINDOWS", Side::Right),
        ("SAMPLES", Side::Right),
        ("COMPLETE", Side::Right),
        ("LOST", Side::Right),
        ("WINDOWS LOST", Side::Right),
        ("CONNECTED", Side::Left),
        ("HOST", Side::Left),
    ]);
    for host in hosts {
        let quality = host.quality.clone().unwrap_or_default();
        let sum = |counts: &[crate::wire::v1::generated::Count]| {
            let counts = counts.iter().map(|count| count.count);
            counts.fold(0, u64::saturating_add)
        };
        let (lost, truncated) = (sum(&quality.lost), sum(&quality.truncated));
        let verdicts = quality.complete.saturating_add(truncated);
        table.row(vec![
            Utc(Duration::from_nanos(host.last_window_ns)).to_string(),
            thousands(host.windows),
            thousands(quality.samples),
            share(quality.complete, verdicts),
            share(lost, quality.samples.saturating_add(lost)),
            thousands(quality.windows_lost),
            if host.is_connected { "yes" } else { "no" }.to_owned(),
            clean(&host.host),
        ]);
    }
    table.draw()
}

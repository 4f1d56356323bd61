//! One question: connect, ask, write the answer.

use std::{pin::Pin, process::ExitCode};

use anyhow::Context as _;

use super::{
    UsageError, alerts,
    args::{
        AlertsArgs, BottlenecksArgs, BurstArgs, ConnectionArgs, QueryArgs, QuestionArgs,
        RegressionsArgs,
    },
    bottlenecks,
    client::{Client, ask, connect, refused},
    diff, flame_graph,
    format::Forms,
    function, json, lately, listing, regressions, series,
    tables::{self, HeapArgs, LeaksArgs, TableArgs},
    top, watch,
};
use crate::{cli::exit::print, wire::v1::generated::BurstRequest};

/// A question on its way.
type Answered<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// Asks the query service and writes its answer.
///
/// # Errors
/// Each names the cause and the way out.
pub fn run(args: &QueryArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the client")?;
    runtime.block_on(answer(args))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks one question.
async fn answer(args: &QueryArgs) -> anyhow::Result<()> {
    let to = &args.connection;
    // What cannot be written is not asked for.
    check_form(&args.question)?;
    let mut client = Box::pin(connect(to)).await?;
    // Boxed: the one that is asked takes memory, not all of them.
    let answered: Answered<'_> = match &args.question {
        QuestionArgs::Flamegraph(asked) => Box::pin(flame_graph::run(&mut client, to, asked)),
        QuestionArgs::Top(asked) => Box::pin(top::run(&mut client, to, asked)),
        QuestionArgs::Diff(asked) => Box::pin(diff::run(&mut client, to, asked)),
        QuestionArgs::Series(asked) => Box::pin(series::run(&mut client, to, asked)),
        QuestionArgs::Labels(asked) => Box::pin(listing::labels(&mut client, to, asked)),
        QuestionArgs::LabelValues(asked) => Box::pin(listing::label_values(&mut client, to, asked)),
        QuestionArgs::Signals(asked) => Box::pin(listing::signals(&mut client, to, asked)),
        QuestionArgs::Function(asked) => Box::pin(function::run(&mut client, to, asked)),
        QuestionArgs::Bottlenecks(asked) => what_is_wrong(&mut client, to, asked),
        QuestionArgs::Regressions(asked) => what_changed(&mut client, to, asked),
        QuestionArgs::Alerts(asked) => what_is_alerted(to, asked),
        QuestionArgs::Syscalls(asked) => what_is_called(&mut client, to, asked),
        QuestionArgs::Tcp(asked) => what_is_connected(&mut client, to, asked),
        QuestionArgs::Heap(asked) => what_is_kept(&mut client, to, asked),
        QuestionArgs::Leaks(asked) => what_grows(&mut client, to, asked),
        QuestionArgs::Hosts(asked) => Box::pin(listing::hosts(&mut client, to, asked)),
        QuestionArgs::Watch(asked) => Box::pin(watch::run(&mut client, to, asked)),
        QuestionArgs::Burst(asked) => Box::pin(burst(&mut client, to, asked)),
    };
    answered.await
}

/// Whether the answer has the form that was asked for.
fn check_form(question: &QuestionArgs) -> Result<(), UsageError> {
    let (output, forms) = match question {
        QuestionArgs::Flamegraph(asked) => (&asked.output, flame_graph::FORMS),
        QuestionArgs::Diff(asked) => (&asked.output, diff::FORMS),
        QuestionArgs::Top(asked) => (&asked.output, Forms::of_text("top")),
        QuestionArgs::Series(asked) => (&asked.output, Forms::of_text("series")),
        QuestionArgs::Labels(asked) => (&asked.output, Forms::of_text("labels")),
        QuestionArgs::LabelValues(asked) => (&asked.output, Forms::of_text("label-values")),
        QuestionArgs::Signals(asked) => (&asked.output, Forms::of_text("signals")),
        QuestionArgs::Function(asked) => (&asked.output, Forms::of_text("function")),
        QuestionArgs::Hosts(asked) => (&asked.output, Forms::of_text("hosts")),
        QuestionArgs::Syscalls(asked) => (&asked.output, Forms::of_text("syscalls")),
        QuestionArgs::Tcp(asked) => (&asked.output, Forms::of_text("tcp")),
        QuestionArgs::Heap(asked) => (&asked.table.output, Forms::of_text("heap")),
        QuestionArgs::Leaks(asked) => (&asked.table.output, Forms::of_text("leaks")),
        // The others check as they begin.
        QuestionArgs::Watch(_)
        | QuestionArgs::Burst(_)
        | QuestionArgs::Bottlenecks(_)
        | QuestionArgs::Regressions(_)
        | QuestionArgs::Alerts(_) => return Ok(()),
    };
    output.form(forms).map(|_form| ())
}

/// Asks for findings. Apart, as those below: the stack of the one who asks holds each question that
/// it makes itself.
fn what_is_wrong<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a BottlenecksArgs,
) -> Answered<'a> {
    Box::pin(bottlenecks::run(client, to, asked))
}

/// Asks for regressions.
fn what_changed<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a RegressionsArgs,
) -> Answered<'a> {
    if asked.kept {
        Box::pin(lately::run_kept(to, asked))
    } else if asked.is_bare() {
        Box::pin(lately::run(client, to, asked))
    } else {
        Box::pin(regressions::run(client, to, asked))
    }
}

/// Asks for system calls.
fn what_is_called<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a TableArgs,
) -> Answered<'a> {
    Box::pin(tables::syscalls(client, to, asked))
}

/// Asks for TCP connections.
fn what_is_connected<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a TableArgs,
) -> Answered<'a> {
    Box::pin(tables::tcp(client, to, asked))
}

/// Asks for the heap.
fn what_is_kept<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a HeapArgs,
) -> Answered<'a> {
    Box::pin(tables::heap(client, to, asked))
}

/// Asks for leaks.
fn what_grows<'a>(
    client: &'a mut Client,
    to: &'a ConnectionArgs,
    asked: &'a LeaksArgs,
) -> Answered<'a> {
    Box::pin(tables::leaks(client, to, asked))
}

/// Asks for alerts.
fn what_is_alerted<'a>(to: &'a ConnectionArgs, asked: &'a AlertsArgs) -> Answered<'a> {
    Box::pin(alerts::run(to, asked))
}

/// Has a daemon sample more.
async fn burst(client: &mut Client, to: &ConnectionArgs, asked: &BurstArgs) -> anyhow::Result<()> {
    let question = BurstRequest {
        host: asked.host.clone(),
        signal: asked.signal.clone(),
        rate_hz: asked.rate,
        duration_ns: u64::try_from(asked.duration.0.as_nanos()).unwrap_or(u64::MAX),
        pids: asked.pids.clone(),
    };
    let given = client.burst(ask(question, to)).await;
    let given = given.map_err(|status| refused(&status, to))?;
    let id = given.into_inner().id;
    if asked.json {
        let answer = json::text(&serde_json::json!({ "id": id }));
        return print(&String::from_utf8_lossy(&answer));
    }
    let what = match asked.signal.as_str() {
        "" | "cpu" => format!("takes {} samples a second and CPU", asked.rate),
        further => format!("watches {further}"),
    };
    let host = crate::render::clean(&asked.host);
    print(&format!(
        "burst {id}: {host} {what} for {:?}\n",
        asked.duration.0
    ))
}

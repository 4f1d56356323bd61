//! One question: connect, ask, write the answer.

use std::{pin::Pin, process::ExitCode};

use anyhow::Context as _;

use super::{
    alerts,
    args::{BurstArgs, ConnectionArgs, QueryArgs, QuestionArgs},
    bottlenecks,
    client::{Client, ask, connect, refused},
    diff, flame_graph, function, json, listing, regressions, series, top, watch,
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
    let mut client = connect(to).await?;
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
        QuestionArgs::Bottlenecks(asked) => Box::pin(bottlenecks::run(&mut client, to, asked)),
        QuestionArgs::Regressions(asked) => Box::pin(regressions::run(&mut client, to, asked)),
        QuestionArgs::Alerts(asked) => Box::pin(alerts::run(to, asked)),
        QuestionArgs::Hosts(asked) => Box::pin(listing::hosts(&mut client, to, asked)),
        QuestionArgs::Watch(asked) => Box::pin(watch::run(&mut client, to, asked)),
        QuestionArgs::Burst(asked) => Box::pin(burst(&mut client, to, asked)),
    };
    answered.await
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
    print(&format!(
        "burst {id}: {} takes {} samples a second and CPU for {:?}\n",
        crate::render::clean(&asked.host),
        asked.rate,
        asked.duration.0
    ))
}

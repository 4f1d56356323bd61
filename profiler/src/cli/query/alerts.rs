//! `query alerts`.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    args::{AlertsArgs, ConnectionArgs},
    client::{AlertClient, ask, connect_alerts, refused},
    json,
    text::{Side, Table},
    time::Utc,
};
use crate::{
    cli::exit::print,
    render::clean,
    wire::v1::generated::{
        Alert, AlertEvent, AlertHistoryRequest, AlertState, ListAlertsRequest, ListAlertsResponse,
        SilenceRequest, UnsilenceRequest,
    },
};

/// Lists alerts or what happened to them, or keeps one quiet.
pub(super) async fn run(to: &ConnectionArgs, args: &AlertsArgs) -> anyhow::Result<()> {
    let mut client = connect_alerts(to).await?;
    if let Some(pattern) = &args.silence {
        return silence(&mut client, to, args, pattern).await;
    }
    if let Some(id) = args.unsilence {
        let answer = client.unsilence(ask(UnsilenceRequest { id }, to)).await;
        answer.map_err(|status| refused(&status, to))?;
        return print(&format!("silence {id} is over\n"));
    }
    if args.history {
        return history(&mut client, to, args).await;
    }
    let question = ListAlertsRequest { with_ok: args.all };
    let answer = client.list_alerts(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    let text = if args.json {
        String::from_utf8_lossy(&json::text(&list_json(&answer))).into_owned()
    } else {
        draw(&answer)
    };
    print(&text)
}

/// Keeps alerts quiet.
async fn silence(
    client: &mut AlertClient,
    to: &ConnectionArgs,
    args: &AlertsArgs,
    pattern: &str,
) -> anyhow::Result<()> {
    let question = SilenceRequest {
        pattern: pattern.to_owned(),
        duration_ns: u64::try_from(args.duration.0.as_nanos()).unwrap_or(u64::MAX),
        comment: args.comment.clone(),
        author: std::env::var("USER").unwrap_or_default(),
    };
    let answer = client.silence(ask(question, to)).await;
    let id = answer
        .map_err(|status| refused(&status, to))?
        .into_inner()
        .id;
    let pattern = clean(pattern);
    print(&format!(
        "silence {id}: {pattern} is quiet for {:?}\n",
        args.duration.0
    ))
}

/// What happened.
async fn history(
    client: &mut AlertClient,
    to: &ConnectionArgs,
    args: &AlertsArgs,
) -> anyhow::Result<()> {
    let range = args.time.range()?;
    let question = AlertHistoryRequest {
        start_ns: range.start_ns,
        end_ns: range.end_ns,
        ..AlertHistoryRequest::default()
    };
    let answer = client.alert_history(ask(question, to)).await;
    let events = answer
        .map_err(|status| refused(&status, to))?
        .into_inner()
        .events;
    if args.json {
        let events: Vec<Value> = events.iter().map(event_json).collect();
        let text = json::text(&json!({ "events": events }));
        return print(&String::from_utf8_lossy(&text));
    }
    if events.is_empty() {
        return print("nothing happened in this time\n");
    }
    let mut table = Table::new(&[
        ("AT", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("ALERT", Side::Left),
    ]);
    for event in &events {
        let quiet = if event.is_silent { "  (silent)" } else { "" };
        table.row(vec![
            utc(event.at_ns),
            state(event.from).to_owned(),
            state(event.to).to_owned(),
            format!("{}: {}{quiet}", clean(&event.name), clean(&event.summary)),
        ]);
    }
    print(&table.draw())
}

/// The alerts as text.
fn draw(answer: &ListAlertsResponse) -> String {
    if !answer.has_budget {
        return "the service has no budget: `profiler serve --budget FILE`\n".to_owned();
    }
    let mut text = String::new();
    if answer.alerts.is_empty() {
        text += "no alerts\n";
    } else {
        let mut table = Table::new(&[
            ("STATE", Side::Left),
            ("SEVERITY", Side::Left),
            ("SINCE", Side::Left),
            ("ALERT", Side::Left),
        ]);
        for alert in &answer.alerts {
            let summary = alert.last.as_ref().map_or("", |last| last.summary.as_str());
            let quiet = if alert.silent_until_ns == 0 {
                ""
            } else {
                "  (silent)"
            };
            table.row(vec![
                state(alert.state).to_owned(),
                json::severity(alert.severity).to_owned(),
                utc(alert.since_ns),
                format!("{}: {}{quiet}", clean(&alert.name), clean(summary)),
            ]);
        }
        text += &table.draw();
    }
    for silence in &answer.silences {
        let _infallible = write!(
            text,
            "silence {}: {} until {}  {}\n",
            silence.id,
            clean(&silence.pattern),
            utc(silence.until_ns),
            clean(&silence.comment),
        );
    }
    for receiver in &answer.receivers {
        let error = if receiver.last_error.is_empty() {
            String::new()
        } else {
            format!("; the last one failed: {}", clean(&receiver.last_error))
        };
        let _infallible = write!(
            text,
            "receiver {} ({}): {} delivered, {} failed{error}\n",
            clean(&receiver.name),
            receiver.kind,
            receiver.delivered,
            receiver.failed,
        );
    }
    text
}

/// A time as people read it.
fn utc(since_epoch_ns: u64) -> String {
    Utc(Duration::from_nanos(since_epoch_ns)).to_string()
}

/// A state as a word.
fn state(number: i32) -> &'static str {
    match AlertState::try_from(number) {
        Ok(AlertState::Ok) => "ok",
        Ok(AlertState::Pending) => "pending",
        Ok(AlertState::Firing) => "firing",
        Ok(AlertState::Clearing) => "clearing",
        Ok(AlertState::Unspecified) | Err(_) => "unknown",
    }
}

/// The alerts for programs.
fn list_json(answer: &ListAlertsResponse) -> Value {
    let alert = |alert: &Alert| {
        json!({
            "name": alert.name,
            "state": state(alert.state),
            "severity": json::severity(alert.severity),
            "since_ns": alert.since_ns,
            "fired_ns": alert.fired_ns,
            "checked_ns": alert.checked_ns,
            "silent_until_ns": alert.silent_until_ns,
            "summary": alert.last.as_ref().map(|last| &last.summary),
            "value": alert.last.as_ref().map(|last| last.value),
            "limit": alert.last.as_ref().map(|last| last.limit),
        })
    };
    json!({
        "has_budget": answer.has_budget,
        "alerts": answer.alerts.iter().map(alert).collect::<Vec<_>>(),
        "silences": answer.silences.iter().map(|silence| json!({
            "id": silence.id,
            "pattern": silence.pattern,
            "until_ns": silence.until_ns,
            "author": silence.author,
            "comment": silence.comment,
        })).collect::<Vec<_>>(),
    })
}

/// One event for programs.
fn event_json(event: &AlertEvent) -> Value {
    json!({
        "name": event.name,
        "at_ns": event.at_ns,
        "from": state(event.from),
        "to": state(event.to),
        "value": event.value,
        "summary": event.summary,
        "is_silent": event.is_silent,
    })
}

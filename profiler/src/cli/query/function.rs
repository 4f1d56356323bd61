//! `query function`.

use super::{
    args::{ConnectionArgs, FunctionArgs},
    client::{Client, ask, refused},
    format::Forms,
    json,
    text::{Side, Table, quality_line, value_type},
};
use crate::{
    model::ValueType,
    render::{clean, quantity, share},
    wire::v1::generated::{
        FunctionRequest, FunctionResponse,
        function_response::{PerSignal, Share},
    },
};

/// Asks for everything known of a function.
pub(super) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &FunctionArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("function"))?;
    let question = FunctionRequest {
        function: args.name.clone(),
        selection: Some(args.selection.message()?),
        limit: args.limit,
    };
    let answer = client.function(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output.answer(
        form,
        || json::function(&answer),
        || draw(&args.name, &answer),
    )
}

/// The answer as text, signal by signal.
fn draw(name: &str, answer: &FunctionResponse) -> String {
    let name = clean(name);
    if answer.signals.is_empty() {
        return format!("{name}: not seen in this time; names are matched exactly\n");
    }
    let mut text = format!("{name}\n");
    for (title, names) in [("in", &answer.modules), ("from", &answer.files)] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| clean(name)).collect();
            for part in ["  ", title, " ", &names.join(", "), "\n"] {
                text.push_str(part);
            }
        }
    }
    text += &draw_ledger(answer);
    for signal in &answer.signals {
        text += &draw_signal(signal);
    }
    text
}

/// What the function takes, across signals.
fn draw_ledger(answer: &FunctionResponse) -> String {
    if answer.ledger.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("", Side::Right),
        ("A SECOND", Side::Right),
        ("SHARE", Side::Right),
        ("  LEDGER", Side::Left),
    ]);
    for row in &answer.ledger {
        let value_type = value_type(row.value_type.as_ref());
        let amount = |value: i64| {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}{}", quantity(value.unsigned_abs(), &value_type))
        };
        let rate = |per_second: f64| rate(per_second, &value_type);
        table.row(vec![
            amount(row.value),
            rate(row.per_second),
            format!("{:.1}%", row.share * 100.0),
            format!("  {}", row.text),
        ]);
        let parts = [
            (row.parts_are.as_str(), &row.parts),
            ("service", &row.services),
            ("version", &row.versions),
        ];
        for (what, part) in parts
            .into_iter()
            .flat_map(|(what, all)| all.iter().map(move |p| (what, p)))
        {
            let mean = ValueType {
                kind: String::new(),
                unit: "nanoseconds".to_owned(),
            };
            let mean = if 0.0 < part.mean_ns {
                format!(", {} each", rate_text(part.mean_ns, &mean))
            } else {
                String::new()
            };
            if !part.name.is_empty() {
                table.row(vec![
                    amount(part.value),
                    rate(part.per_second),
                    String::new(),
                    format!("    {what} {}{mean}", clean(&part.name)),
                ]);
            }
        }
    }
    format!("\n{}", table.draw())
}

/// An amount a second; small counts keep what is behind the point.
fn rate(per_second: f64, value_type: &ValueType) -> String {
    let sign = if per_second < 0.0 { "-" } else { "" };
    let size = per_second.abs();
    if value_type.unit == "count" && size < 100.0 {
        return format!("{sign}{size:.2}/s");
    }
    format!("{sign}{}/s", rate_text(size, value_type))
}

/// An amount that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "for display; not negative, and rounded on purpose"
)]
fn rate_text(size: f64, value_type: &ValueType) -> String {
    quantity(size.round() as u64, value_type)
}

/// What one signal says.
fn draw_signal(signal: &PerSignal) -> String {
    let value_type = value_type(signal.value_type.as_ref());
    let part = |value: u64| {
        format!(
            "{} ({})",
            quantity(value, &value_type),
            share(value, signal.selection_total)
        )
    };
    let mut text = format!(
        "\n{} {}: self {}, total {}\n",
        clean(&signal.signal),
        clean(&value_type.kind),
        part(signal.self_),
        part(signal.total),
    );
    text += &shares("callers", &signal.callers, signal.total, &value_type);
    text += &shares("callees", &signal.callees, signal.total, &value_type);
    text += &shares("services", &signal.by_service, signal.total, &value_type);
    let lines: Vec<Share> = (signal.lines.iter())
        .map(|line| Share {
            name: format!("{}:{}", line.file, line.line),
            value: line.self_,
        })
        .collect();
    text += &shares("lines", &lines, signal.self_, &value_type);
    text + &quality_line(signal.quality.as_ref())
}

/// Names with their weights.
fn shares(title: &str, shares: &[Share], whole: u64, value_type: &ValueType) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let title = format!("  {}", title.to_uppercase());
    let mut table = Table::new(&[("", Side::Right), ("", Side::Right), (&title, Side::Left)]);
    for entry in shares {
        let name = if entry.name.is_empty() {
            "(none)".to_owned()
        } else {
            clean(&entry.name)
        };
        table.row(vec![
            quantity(entry.value, value_type),
            share(entry.value, whole),
            format!("  {name}"),
        ]);
    }
    table.draw()
}

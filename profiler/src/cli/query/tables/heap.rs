//! `query heap`.

use serde_json::{Value, json};

use super::{
    args::HeapArgs,
    cells::{
        Foot, bytes, cells, heap_json, place, rate, rounded, signed_bytes, signed_count, table,
    },
};
use crate::{
    cli::query::{
        args::ConnectionArgs,
        client::{Client, ask, refused},
        format::Forms,
        json,
        text::say_if_nothing,
    },
    render::thousands,
    wire::v1::generated::{HeapRequest, HeapResponse, MemoryRows},
};

/// How the live part is to be read.
const NOTE: &str =
    "live: allocated less freed in this time; all that lives where it has the whole recording";

/// Asks for the heap.
pub(in crate::cli::query) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &HeapArgs,
) -> anyhow::Result<()> {
    let form = args.table.output.form(Forms::of_text("heap"))?;
    let rows = if args.stacks {
        MemoryRows::Stacks
    } else {
        MemoryRows::Functions
    };
    let question = HeapRequest {
        selection: Some(args.table.selection()?),
        group_by: args.table.group_by(),
        limit: args.table.top,
        rows: rows.into(),
    };
    let answer = client.heap(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.table.output.answer(
        form,
        || to_json(&answer),
        || {
            say_if_nothing(answer.rows_total);
            draw(&answer, args)
        },
    )
}

/// The rows as text.
fn draw(answer: &HeapResponse, args: &HeapArgs) -> String {
    let last = if args.stacks { "STACK" } else { "FUNCTION" };
    let mut table = table(
        &[
            "LIVE",
            "OBJECTS",
            "ALLOCATED",
            "OBJECTS",
            "BYTES/S",
            "OBJECTS/S",
        ],
        &args.table.group_by(),
        &[last],
    );
    for row in &answer.rows {
        let mut line = vec![
            signed_bytes(row.live_bytes),
            signed_count(row.live_objects),
            bytes(row.allocated_bytes),
            thousands(row.allocated_objects),
            bytes(rounded(row.bytes_per_second)),
            rate(row.objects_per_second),
        ];
        line.extend(cells(&row.labels));
        line.push(place(row));
        table.row(line);
    }
    let foot = Foot {
        span: (answer.start_ns, answer.end_ns),
        rows: (answer.rows.len(), answer.rows_total),
        note: NOTE,
        quality: answer.quality.as_ref(),
    };
    table.draw() + &foot.draw()
}

/// The rows for programs.
fn to_json(answer: &HeapResponse) -> Value {
    json!({
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "rows": answer.rows.iter().map(heap_json).collect::<Vec<_>>(),
        "rows_total": answer.rows_total,
        "quality": json::quality(answer.quality.as_ref()),
    })
}

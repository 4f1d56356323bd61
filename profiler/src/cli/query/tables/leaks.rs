//! `query leaks`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    args::LeaksArgs,
    cells::{
        Foot, bytes, cells, heap_json, place, rounded, sign, signed_bytes, signed_count, sure,
        table,
    },
};
use crate::{
    cli::query::{
        args::ConnectionArgs,
        client::{Client, ask, refused},
        format::Forms,
        json,
    },
    wire::v1::generated::{LeaksRequest, LeaksResponse, MemoryRows, leaks_response::Row},
};

/// How sure growth must be to be listed without `--all`.
const CONFIDENCE_LEAST: f64 = 0.95;

/// Asks for what grows.
pub(in crate::cli::query) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &LeaksArgs,
) -> anyhow::Result<()> {
    let form = args.table.output.form(Forms::of_text("leaks"))?;
    let rows = if args.functions {
        MemoryRows::Functions
    } else {
        MemoryRows::Stacks
    };
    let question = LeaksRequest {
        selection: Some(args.table.selection()?),
        group_by: args.table.group_by(),
        limit: args.table.top,
        rows: rows.into(),
    };
    let answer = client.leaks(ask(question, to)).await;
    let mut answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    if !args.all {
        (answer.rows).retain(|row| CONFIDENCE_LEAST <= row.confidence);
    }
    args.table
        .output
        .answer(form, || to_json(&answer), || draw(&answer, args))
}

/// The rows as text.
fn draw(answer: &LeaksResponse, args: &LeaksArgs) -> String {
    let last = if args.functions { "FUNCTION" } else { "STACK" };
    let mut table = table(
        &[
            "GROWTH/H", "LEAST", "MOST", "SURE", "GREW IN", "AGE", "LIVE", "OBJECTS",
        ],
        &args.table.group_by(),
        &[last],
    );
    for row in &answer.rows {
        table.row(cells_of(row, answer.slices));
    }
    let foot = Foot {
        span: (answer.start_ns, answer.end_ns),
        rows: (answer.rows.len(), answer.rows_total),
        note: "least and most are a 95 % interval",
        quality: answer.quality.as_ref(),
    };
    let rows = if answer.rows.is_empty() {
        nothing(answer)
    } else {
        table.draw()
    };
    rows + &foot.draw()
}

/// Why there is no row.
fn nothing(answer: &LeaksResponse) -> String {
    if answer.slices < answer.slices_least {
        return format!(
            "nothing can be said yet: {} spans of time have data, growth needs {}; wait, or ask for a \
             longer time\n",
            answer.slices, answer.slices_least
        );
    }
    let (growing, places) = (answer.rows_total, answer.places);
    if growing == 0 {
        return format!("nothing grows: {places} places allocate\n");
    }
    format!(
        "nothing surely grows: {places} places allocate, {growing} of them grew by what may be chance \
         (--all)\n"
    )
}

/// One place.
fn cells_of(row: &Row, slices: u32) -> Vec<String> {
    let heap = row.heap.clone().unwrap_or_default();
    let hourly = |value: f64| sign(value < 0.0, &bytes(rounded(value.abs())));
    let mut line = vec![
        hourly(row.bytes_per_hour),
        hourly(row.bytes_per_hour_low),
        hourly(row.bytes_per_hour_high),
        sure(row.confidence),
        format!("{} of {slices}", row.growing_slices),
        age(Duration::from_nanos(row.age_ns)),
        signed_bytes(heap.live_bytes),
        signed_count(heap.live_objects),
    ];
    line.extend(cells(&heap.labels));
    line.push(place(&heap));
    line
}

/// An age in the largest unit of which there is at least one.
fn age(age: Duration) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = age.as_secs();
    let fits = units.into_iter().find(|(_name, size)| *size <= seconds);
    let (name, size) = fits.unwrap_or(("s", 1));
    format!("{} {name}", seconds / size)
}

/// The rows for programs.
fn to_json(answer: &LeaksResponse) -> Value {
    let row = |row: &Row| {
        json!({
            "heap": heap_json(&row.heap.clone().unwrap_or_default()),
            "bytes_per_hour": row.bytes_per_hour,
            "bytes_per_hour_low": row.bytes_per_hour_low,
            "bytes_per_hour_high": row.bytes_per_hour_high,
            "confidence": row.confidence,
            "growing_slices": row.growing_slices,
            "age_ns": row.age_ns,
        })
    };
    json!({
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "slices": answer.slices,
        "slices_least": answer.slices_least,
        "places": answer.places,
        "rows": answer.rows.iter().map(row).collect::<Vec<_>>(),
        "rows_total": answer.rows_total,
        "quality": json::quality(answer.quality.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{age, cells_of, nothing};
    use crate::wire::v1::generated::{HeapRow, LeaksResponse, leaks_response::Row};

    #[test]
    fn a_leak_is_told_with_its_interval_place_and_callers() {
        let names = ["operator new", "remember", "serve", "main"];
        let row = Row {
            heap: Some(HeapRow {
                function: "remember".to_owned(),
                file: "src/a.c".to_owned(),
                line: 12,
                stack: names.map(str::to_owned).to_vec(),
                live_bytes: 3 << 20,
                live_objects: -2,
                ..HeapRow::default()
            }),
            bytes_per_hour: 1_048_576.0,
            bytes_per_hour_low: -1_024.0,
            bytes_per_hour_high: 2_097_152.0,
            confidence: 0.99999,
            growing_slices: 11,
            age_ns: 125_000_000_000,
        };
        let expected = [
            "1.00 MiB",
            "-1.00 KiB",
            "2.00 MiB",
            "> 99.9%",
            "11 of 12",
            "2 min",
            "3.00 MiB",
            "-2",
            "remember (src/a.c:12) < serve < main",
        ];
        assert_eq!(expected.as_slice(), cells_of(&row, 12));
        assert_eq!("0 s", age(Duration::from_millis(3)));
    }

    #[test]
    fn an_answer_without_rows_says_why() {
        let mut answer = LeaksResponse {
            slices: 2,
            slices_least: 3,
            ..LeaksResponse::default()
        };
        assert!(nothing(&answer).contains("longer time"));
        answer.slices = 12;
        assert!(nothing(&answer).starts_with("nothing grows"));
        answer.rows_total = 1;
        assert!(nothing(&answer).contains("--all"));
    }
}

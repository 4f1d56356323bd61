//! `query syscalls`.

use serde_json::{Value, json};

use super::{
    args::TableArgs,
    cells::{Foot, at_most, cells, mean, rare, rate, table, time, times_json},
};
use crate::{
    cli::query::{
        args::ConnectionArgs,
        client::{Client, ask, refused},
        format::Forms,
        json,
        text::say_if_nothing,
    },
    render::{clean, share, thousands},
    wire::v1::generated::{SyscallsRequest, SyscallsResponse, syscalls_response::Row},
};

/// How the bounds are to be read.
const NOTE: &str = "≤: upper bound of the bucket, which is twice its lower one";
/// Errors of a call that are shown by name.
const ERRORS_SHOWN: usize = 4;

/// Asks for system calls.
pub(in crate::cli::query) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &TableArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("syscalls"))?;
    let question = SyscallsRequest {
        selection: Some(args.selection()?),
        group_by: args.group_by(),
        limit: args.top,
    };
    let answer = client.syscalls(ask(question, to)).await;
    let answer = answer.map_err(|status| refused(&status, to))?.into_inner();
    args.output.answer(
        form,
        || to_json(&answer),
        || {
            say_if_nothing(answer.rows_total);
            draw(&answer, &args.group_by())
        },
    )
}

/// The rows as text.
fn draw(answer: &SyscallsResponse, group_by: &[String]) -> String {
    let mut table = table(
        &[
            "TIME", "", "CALLS", "/S", "MEAN", "50% ≤", "95% ≤", "99% ≤", "FAILED",
        ],
        group_by,
        &["SYSTEM CALL", "ERRORS"],
    );
    for row in &answer.rows {
        let times = row.times.unwrap_or_default();
        let mut line = vec![
            time(times.time_ns),
            share(times.time_ns, answer.time_ns),
            thousands(times.count),
            rate(row.per_second),
            mean(&times),
            at_most(times.half_at_most_ns),
            at_most(times.p95_at_most_ns),
            at_most(times.p99_at_most_ns),
            rare(row.failed),
        ];
        line.extend(cells(&row.labels));
        line.extend([clean(&row.call), errors(row)]);
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

/// Errors of a call, the most frequent first: `EAGAIN 12, EINTR 1`.
fn errors(row: &Row) -> String {
    let shown = row.errors.iter().take(ERRORS_SHOWN);
    let mut parts: Vec<String> = shown
        .map(|error| format!("{} {}", clean(&error.cause), thousands(error.count)))
        .collect();
    if ERRORS_SHOWN < row.errors.len() {
        parts.push("…".to_owned());
    }
    parts.join(", ")
}

/// The rows for programs.
fn to_json(answer: &SyscallsResponse) -> Value {
    let row = |row: &Row| {
        json!({
            "labels": json::labels(&row.labels),
            "call": row.call,
            "times": times_json(row.times.as_ref()),
            "in_flight_ns": row.in_flight_ns,
            "per_second": row.per_second,
            "failed": row.failed,
            "errors": json::counts(&row.errors),
        })
    };
    json!({
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "rows": answer.rows.iter().map(row).collect::<Vec<_>>(),
        "rows_total": answer.rows_total,
        "time_ns": answer.time_ns,
        "quality": json::quality(answer.quality.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::wire::v1::generated::{
        Count, Label, Quality, SyscallsResponse, Times, syscalls_response::Row,
    };

    #[test]
    fn a_row_is_a_call_of_a_program_with_its_errors() {
        let count = |cause: &str, count| Count {
            cause: cause.to_owned(),
            count,
        };
        let answer = SyscallsResponse {
            start_ns: 0,
            end_ns: 20_000_000_000,
            rows: vec![Row {
                labels: vec![Label {
                    name: "comm".to_owned(),
                    value: "nginx".to_owned(),
                }],
                call: "read".to_owned(),
                times: Some(Times {
                    count: 4_000,
                    time_ns: 2_000_000_000,
                    half_at_most_ns: 512_000,
                    p95_at_most_ns: 1_024_000,
                    p99_at_most_ns: 1_024_000,
                }),
                in_flight_ns: 0,
                per_second: 200.0,
                failed: 15,
                errors: vec![count("EAGAIN", 12), count("EINTR", 3)],
            }],
            rows_total: 7,
            time_ns: 8_000_000_000,
            quality: Some(Quality {
                lost: vec![count("table_full", 3)],
                ..Quality::default()
            }),
        };
        let expected = "  TIME         CALLS   /S       MEAN      50% ≤    95% ≤    99% ≤  FAILED  COMM   SYSTEM CALL  ERRORS
2.00 s  25.0%  4,000  200  500.00 µs  512.00 µs  1.02 ms  1.02 ms      15  nginx  read         EAGAIN 12, EINTR 3
1 of 7 rows · 20 s with data · ≤: upper bound of the bucket, which is twice its lower one
quality: 0 samples · lost 3 (100.0%)
lost: table_full 3
";
        assert_eq!(expected, draw(&answer, &["comm".to_owned()]));
    }
}

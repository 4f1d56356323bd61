//! `query tcp`.

use serde_json::{Value, json};

use super::{
    args::TableArgs,
    cells::{Foot, at_most, bytes, cells, rare, table, times_json},
};
use crate::{
    cli::query::{
        args::ConnectionArgs,
        client::{Client, ask, refused},
        format::Forms,
        json,
        text::say_if_nothing,
    },
    render::clean,
    wire::v1::generated::{TcpRequest, TcpResponse, Times, tcp_response::Row},
};

/// How the pairs are to be read.
const NOTE: &str = "pairs: half and 95 % took at most so long, by the upper bound of the bucket, which is twice its \
     lower one";

/// Asks for TCP connections.
pub(in crate::cli::query) async fn run(
    client: &mut Client,
    to: &ConnectionArgs,
    args: &TableArgs,
) -> anyhow::Result<()> {
    let form = args.output.form(Forms::of_text("tcp"))?;
    let question = TcpRequest {
        selection: Some(args.selection()?),
        group_by: args.group_by(),
        limit: args.top,
    };
    let answer = client.tcp(ask(question, to)).await;
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
fn draw(answer: &TcpResponse, group_by: &[String]) -> String {
    let mut table = table(
        &[
            "CONNECTS",
            "REFUSED",
            "TIMED OUT",
            "CONNECT ≤",
            "ACCEPT QUEUE ≤",
            "FIRST BYTE ≤",
            "RTT ≤",
            "RETRANSMITS",
            "SENT",
            "RECEIVED",
        ],
        group_by,
        &["SIDE", "FAR END"],
    );
    for row in &answer.rows {
        let connects = row.connect.map_or(0, |times| times.count);
        let mut line = vec![
            rare(connects),
            rare(row.refused),
            rare(row.timed_out),
            pair(row.connect.as_ref()),
            pair(row.accept_queue.as_ref()),
            pair(row.first_byte.as_ref()),
            pair(row.rtt.as_ref()),
            rare(row.retransmits),
            bytes(row.bytes_sent),
            bytes(row.bytes_received),
        ];
        line.extend(cells(&row.labels));
        line.extend([clean(&row.side), clean(&row.far_end)]);
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

/// What half of the times are below, and 95 % of them.
fn pair(times: Option<&Times>) -> String {
    match times.filter(|times| 0 < times.half_at_most_ns) {
        Some(times) => format!(
            "{} / {}",
            at_most(times.half_at_most_ns),
            at_most(times.p95_at_most_ns)
        ),
        None => at_most(0),
    }
}

/// The rows for programs.
fn to_json(answer: &TcpResponse) -> Value {
    let row = |row: &Row| {
        json!({
            "labels": json::labels(&row.labels),
            "far_end": row.far_end,
            "side": row.side,
            "connect": times_json(row.connect.as_ref()),
            "refused": row.refused,
            "timed_out": row.timed_out,
            "abandoned": row.abandoned,
            "accept_queue": times_json(row.accept_queue.as_ref()),
            "first_byte": times_json(row.first_byte.as_ref()),
            "rtt": times_json(row.rtt.as_ref()),
            "retransmits": row.retransmits,
            "bytes_sent": row.bytes_sent,
            "bytes_received": row.bytes_received,
        })
    };
    json!({
        "start_ns": answer.start_ns,
        "end_ns": answer.end_ns,
        "rows": answer.rows.iter().map(row).collect::<Vec<_>>(),
        "rows_total": answer.rows_total,
        "quality": json::quality(answer.quality.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::wire::v1::generated::{TcpResponse, Times, tcp_response::Row};

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let answer = TcpResponse {
            rows: vec![Row {
                far_end: "10.0.0.1:5432".to_owned(),
                side: "client".to_owned(),
                connect: Some(Times {
                    count: 12,
                    time_ns: 1_000_000,
                    half_at_most_ns: 64_000,
                    p95_at_most_ns: 128_000,
                    p99_at_most_ns: 128_000,
                }),
                refused: 2,
                first_byte: Some(Times::default()),
                bytes_sent: 2_048,
                ..Row::default()
            }],
            ..TcpResponse::default()
        };
        let text = draw(&answer, &[]);
        let words = text.lines().nth(1).unwrap().split("  ").map(str::trim);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let expected = [
            "12",
            "2",
            "-",
            "64.00 µs / 128.00 µs",
            "-",
            "-",
            "-",
            "-",
            "2.00 KiB",
            "0 B",
            "client",
            "10.0.0.1:5432",
        ];
        assert_eq!(expected.as_slice(), words);
    }
}

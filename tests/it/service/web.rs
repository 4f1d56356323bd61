//! gRPC-Web, as a page in a browser speaks it: plain HTTP/1.1, trailers in the body.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use profiler::wire::v1::generated::{
    ExportFormat, ExportRequest, ExportResponse, Selection, TopRequest, TopResponse,
};
use profiler_tests::{
    harness::{Server, plain_name},
    require_tool,
};
use prost::Message;
use tempfile::TempDir;

use super::foreign::feed;

/// Bytes before each message: a flag, and the length.
const HEAD_SIZE_BYTES: usize = 5;
/// The flag of the frame that holds the trailers.
const TRAILERS: u8 = 0x80;

/// Everything of the cpu signal.
fn selection() -> Selection {
    Selection {
        start_ns: 1,
        ..Selection::default()
    }
}

/// Calls a method; gives the messages of the answer and the trailers.
#[track_caller]
fn call<Answer: Message + Default>(
    curl: &Path,
    server: &Server,
    method: &str,
    question: &impl Message,
) -> (Vec<Answer>, String) {
    let message = question.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let mut asking = Command::new(curl)
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--http1.1",
            "--data-binary",
            "@-",
        ])
        .args(["--header", "content-type: application/grpc-web+proto"])
        .args(["--header", "x-grpc-web: 1"])
        .arg(format!(
            "{}/profiler.v1.QueryService/{method}",
            server.url()
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asking.stdin.take().unwrap().write_all(&body).unwrap();
    let output = asking.wait_with_output().unwrap();
    assert!(output.status.success(), "{method}: {}", output.status);
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    let mut rest = output.stdout.as_slice();
    while HEAD_SIZE_BYTES <= rest.len() {
        let (head, after) = rest.split_at(HEAD_SIZE_BYTES);
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let (payload, after) = after.split_at(length);
        if head[0] == TRAILERS {
            trailers = String::from_utf8(payload.to_vec()).unwrap();
        } else {
            messages.push(Answer::decode(payload).unwrap());
        }
        rest = after;
    }
    assert!(rest.is_empty(), "{} bytes are left over", rest.len());
    (messages, trailers)
}

#[tokio::test]
async fn a_page_gets_one_answer_and_a_stream_of_them() {
    let curl = require_tool!("curl");
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    feed(&server).await;
    let question = TopRequest {
        selection: Some(selection()),
        limit: 1,
        ..TopRequest::default()
    };
    let (top, trailers) = call::<TopResponse>(&curl, &server, "Top", &question);
    assert_eq!(
        [1520],
        top.iter().map(|top| top.total).collect::<Vec<_>>()[..]
    );
    assert!(trailers.contains("grpc-status:0"), "{trailers}");

    let question = ExportRequest {
        selection: Some(selection()),
        format: ExportFormat::Collapsed.into(),
    };
    let (parts, trailers) = call::<ExportResponse>(&curl, &server, "Export", &question);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    let file: Vec<u8> = parts.into_iter().flat_map(|part| part.chunk).collect();
    let text = String::from_utf8(file).unwrap();
    let weights = text.lines().filter_map(|line| line.rsplit_once(' '));
    let total: u64 = weights
        .map(|(_, weight)| weight.parse::<u64>().unwrap())
        .sum();
    assert_eq!(1520, total);
    assert!(text.contains(plain_name(&top[0].rows[0].name)));
}

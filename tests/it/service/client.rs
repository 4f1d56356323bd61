//! `profiler query` against a service that shows a certificate and wants a token.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use profiler_tests::harness::{Server, free_address, product};
use serde_json::Value;
use tempfile::TempDir;

use super::foreign::feed;

/// A token that may read, and its hash.
const TOKEN: &str = "let-me-read";
const TOKEN_SHA256: &str = "dabfd40dfc7f04b9eba4c12933ae4e40fb3c25f8fcf0b0a51139934713b269fa";

/// A file of the fixtures: an authority, and a server on localhost that it signed.
fn tls_file(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls")).join(name)
}

/// Starts a service on a folder of data with a certificate and a token.
fn start(dir: &Path, data: &Path) -> Server {
    let config = dir.join("service.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {data:?}\n\
         tls = {{ cert = {:?}, key = {:?} }}\n\
         access = {{ tokens = [{{ role = \"read\", sha256 = \"{TOKEN_SHA256}\" }}] }}\n",
        tls_file("server.pem"),
        tls_file("server.key")
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(product().unwrap());
    Server::start_command(command.arg("serve").arg("--config").arg(config)).unwrap()
}

/// Asks for the heaviest functions; with further arguments, in an environment.
fn top(url: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
    Command::new(product().unwrap())
        .args(["query", "top", "--json", "--last", "1h", "--server", url])
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn check_answer(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(1520, answer["total"], "{answer}");
}

#[track_caller]
fn check_refusal(output: &Output, code: i32, words: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(Some(code), output.status.code(), "{error}");
    assert!(error.contains(words), "{error}");
}

#[tokio::test]
async fn certificates_and_tokens_are_taken_from_files_and_the_environment() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let open = Server::start(&data, &[]).unwrap();
    feed(&open).await;
    open.stop().unwrap();
    let server = start(dir.path(), &data);
    let (_host, port) = server.address().rsplit_once(':').unwrap();
    let url = format!("https://localhost:{port}");
    let ca = tls_file("ca.pem");
    let ca_text = ca.to_str().unwrap();
    let token_file = dir.path().join("token");
    fs::write(&token_file, format!("{TOKEN}\n")).unwrap();

    check_answer(&top(&url, &["--ca", ca_text, "--token", TOKEN], &[]));
    let in_environment = [("PROFILER_TOKEN", Path::new(TOKEN))];
    check_answer(&top(&url, &["--ca", ca_text], &in_environment));
    // The system's authorities, which the variable names here, and the token's file.
    let system = [("SSL_CERT_FILE", ca.as_path())];
    let file = ["--token-file", token_file.to_str().unwrap()];
    check_answer(&top(&url, &file, &system));

    let refused = top(&url, &["--ca", ca_text, "--token", "wrong"], &[]);
    check_refusal(&refused, 1, "does not know the token");
    check_refusal(
        &top(&url, &["--ca", ca_text], &[]),
        1,
        "does not know the token",
    );
    let empty = dir.path().join("no-authorities");
    fs::write(&empty, "").unwrap();
    let trusts_nobody = [("SSL_CERT_FILE", empty.as_path())];
    check_refusal(&top(&url, &file, &trusts_nobody), 4, "cannot reach");
}

/// Nobody listens: what is wrong with the question is said all the same.
#[test]
fn a_form_that_there_is_not_is_refused_before_anyone_is_asked() {
    let url = format!("http://{}", free_address().unwrap());
    let output = Command::new(product().unwrap())
        .args(["query", "top", "-o", "x.svg", "--server", &url])
        .output()
        .unwrap();
    check_refusal(&output, 2, "has no form `svg`");
}

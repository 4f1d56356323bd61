//! The page over its sockets, and what it chooses for whom.

use crate::service::{
    fixture::Running,
    web::file::{FILES, Packing},
};

#[test]
fn the_best_packing_that_is_taken_is_chosen() {
    for (accepted, best) in [
        ("gzip, deflate, br, zstd", Packing::Brotli),
        ("gzip;q=1.0, BR ; q=0", Packing::Gzip),
        ("br;q=0.1", Packing::Brotli),
        ("identity", Packing::Plain),
        ("brotli, xgzip", Packing::Plain),
        ("", Packing::Plain),
    ] {
        assert_eq!(best, Packing::best(accepted), "{accepted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_on_the_port_of_everything_else() {
    let running = Running::start(|_| {}).await;
    let page = running.http("GET", "/", "", b"").await;
    assert_eq!(200, page.status);
    let is_built = !FILES.is_empty();
    assert_eq!(
        is_built,
        page.body.contains("<!doctype html>"),
        "{}",
        page.body
    );
    assert_eq!(
        !is_built,
        page.body.contains("without its web page"),
        "{}",
        page.body
    );
    for file in FILES.iter().filter(|file| file.path != "/index.html") {
        let answer = running.http("GET", file.path, "", b"").await;
        assert_eq!(200, answer.status, "{}", file.path);
    }
    assert_eq!(
        404,
        running.http("GET", "/assets/x.js", "", b"").await.status
    );
}

#[test]
fn what_is_packed_twice_is_the_same_file() {
    for file in FILES {
        let plain = file.plain().unwrap();
        assert!(!plain.is_empty(), "{}", file.path);
        assert!(file.brotli.len() < plain.len(), "{}", file.path);
        assert_ne!(
            "application/octet-stream",
            file.content_type(),
            "{}",
            file.path
        );
    }
}

//! A copy of a running service's store is a store.

use std::{path::Path, process::Command, sync::Arc, time::Duration};

use profiler::clock;
use profiler_tests::harness::{
    Server,
    fleet::{Capture, FleetShape, Sender, SimulatedHost},
    product, say,
};
use tempfile::TempDir;

use super::totals::total;

/// Windows that are delivered before, while and after the copy is made.
const WINDOWS: u32 = 40;

/// Has a service copy its store.
#[track_caller]
fn back_up(server: &Server, dir: &Path) {
    let mut command = Command::new(product().unwrap());
    command.args(["serve", "--server", &server.url(), "--backup"]);
    let output = command.arg(dir).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

/// What a copy holds, once it is the folder of a service.
async fn restored(dir: &Path) -> u64 {
    let server = Server::start(dir, &[]).unwrap();
    total(&server, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_windows_arrive_has_all_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(&dir.path().join("data"), &[]).unwrap();
    let capture = Arc::new(Capture::build().unwrap());
    let mut host = SimulatedHost::new(capture, FleetShape::default(), 1);
    let epoch = clock::wall().saturating_sub(Duration::from_secs(3600));
    let mut sender = Sender::new(&server.url(), &host.name(), 1);
    let mut deliver = async |windows: std::ops::Range<u32>| {
        for window in windows {
            sender.push(host.batch(window, epoch));
        }
        sender.deliver().await.unwrap();
        sender.acknowledged
    };
    let before = deliver(0..WINDOWS).await;
    let (during, after) = (dir.path().join("during"), dir.path().join("after"));
    let url_server = &server;
    let copied = std::thread::scope(|scope| {
        let copying = scope.spawn(|| back_up(url_server, &during));
        let delivered = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(deliver(WINDOWS..3 * WINDOWS))
        });
        copying.join().unwrap();
        delivered
    });
    back_up(&server, &after);
    let (in_between, complete) = (restored(&during).await, restored(&after).await);
    say(&format!(
        "backup: {before} samples before, {in_between} in the copy made meanwhile, {complete} at last"
    ));
    assert!(
        (before..=copied).contains(&in_between),
        "{before} {in_between} {copied}"
    );
    assert_eq!((copied, copied), (complete, total(&server, "").await));
}

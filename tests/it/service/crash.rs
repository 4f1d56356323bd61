//! Killed at any moment, the service loses nothing that it acknowledged and counts nothing twice.

use std::{sync::Arc, time::Duration};

use profiler::clock;
use profiler_tests::harness::{
    Server,
    fleet::{Capture, FleetShape, Sender, SimulatedHost},
    say,
};
use tempfile::TempDir;

use super::totals::total;

/// How often it is killed.
const KILLS: u32 = 50;
/// Batches that are in the line when it is started again.
const LINE: usize = 24;

/// Waits a time between nothing and `longest`, another one in each round.
async fn some_time(round: u32, longest: Duration) {
    let share = f64::from(round * 37 % 101) / 100.0;
    tokio::time::sleep(longest.mul_f64(share)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_fifty_times_it_has_every_acknowledged_window_once() {
    let dir = TempDir::new().unwrap();
    let capture = Arc::new(Capture::build().unwrap());
    let shape = FleetShape {
        samples: 400,
        variants: 2,
        ..FleetShape::default()
    };
    let mut host = SimulatedHost::new(capture, shape, 1);
    let epoch = clock::wall().saturating_sub(Duration::from_secs(3 * 3600));
    let mut sender: Option<Sender> = None;
    let (mut window, mut interrupted) = (0, 0);
    let mut pushed = 0;
    for round in 0..KILLS {
        let server = Server::start(dir.path(), &[]).unwrap();
        let sender = sender.get_or_insert_with(|| Sender::new(&server.url(), &host.name(), 1));
        sender.connect_to(&server.url());
        while sender.waiting() < LINE {
            sender.push(host.batch(window, epoch));
            window += 1;
            pushed += u64::from(shape.samples);
        }
        tokio::select! {
            delivered = sender.deliver() => delivered.unwrap(),
            () = some_time(round, Duration::from_millis(600)) => interrupted += 1,
        }
        server.kill().unwrap();
    }
    let server = Server::start(dir.path(), &[]).unwrap();
    let mut sender = sender.unwrap();
    let kept = total(&server, r#"{host="host-0001"}"#).await;
    assert!(
        sender.acknowledged <= kept,
        "{} were acknowledged, {kept} are there",
        sender.acknowledged
    );
    assert!(kept <= pushed, "{pushed} were sent, {kept} are there");
    sender.connect_to(&server.url());
    sender.deliver().await.unwrap();
    assert_eq!(pushed, sender.acknowledged);
    // Once more, so that what is asked for was read from the disk.
    server.kill().unwrap();
    let server = Server::start(dir.path(), &[]).unwrap();
    assert_eq!(pushed, total(&server, r#"{host="host-0001"}"#).await);
    say(&format!(
        "{KILLS} kills, {interrupted} in the middle of delivery, {window} windows, {pushed} samples"
    ));
    assert!(
        KILLS / 4 < interrupted,
        "only {interrupted} kills met a delivery"
    );
}

//! Streams of daemons against a real service on loopback: well behaved ones and hostile ones.

use std::time::Duration;

use tokio::time::timeout;
use tonic::Code;

use super::{
    access::sha256_hex,
    fixture::{Daemon, Running, batch, until},
};
use crate::{
    config::{RoleName, TokenConfig},
    model::{Batch, BurstOrder},
    wire::v1::{
        encode_batch,
        generated::{self as proto, ingest_request, ingest_response::Message},
    },
};

/// Long enough to see that nothing comes.
const A_MOMENT: Duration = Duration::from_millis(150);

/// Tokens for [`TokenConfig`].
fn token(role: RoleName, token: &str) -> TokenConfig {
    TokenConfig {
        role,
        sha256: sha256_hex(token.as_bytes()),
        name: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_acknowledged_when_it_is_durable_and_counted_once() {
    let running = Running::start(|_| {}).await;
    let mut daemon = running.daemon(1).await;
    running.store.hold();
    for sequence in 1..=3 {
        daemon.batch(sequence, &batch("f", 5)).await;
    }
    until("three batches wait", || running.store.waiting() == 3).await;
    let early = timeout(A_MOMENT, daemon.next()).await;
    assert!(early.is_err(), "acknowledged before it was durable");
    running.store.release();
    daemon.acknowledged(3).await;
    daemon.batch(3, &batch("f", 5)).await;
    daemon.acknowledged(3).await;
    assert_eq!(15, running.total("cpu"));
    let mut again = Daemon::connect(running.channel().await, None)
        .await
        .unwrap();
    assert_eq!(3, again.hello(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_missing_are_asked_for_and_nothing_overtakes() {
    let running = Running::start(|_| {}).await;
    let mut daemon = running.daemon(1).await;
    let whole = batch("f", 5);
    let without = Batch {
        windows: whole.windows.clone(),
        ..Batch::default()
    };
    daemon.batch(1, &without).await;
    // This one was on its way already.
    daemon.batch(2, &batch("g", 7)).await;
    let Message::Missing(missing) = daemon.next().await.unwrap() else {
        panic!("nothing asked for");
    };
    assert_eq!(1, missing.stacks.len());
    daemon.batch(1, &whole).await;
    daemon.batch(2, &batch("g", 7)).await;
    daemon.acknowledged(2).await;
    assert_eq!(12, running.total("cpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_holds_clients_up_and_raises_an_alarm() {
    let running = Running::start(|_| {}).await;
    let mut daemon = running.daemon(1).await;
    running.store.set_full(true);
    daemon.batch(1, &batch("f", 5)).await;
    let Message::SlowDown(slow_down) = daemon.next().await.unwrap() else {
        panic!("not told to wait");
    };
    assert!(slow_down.reason.contains("no room"), "{}", slow_down.reason);
    assert_eq!("store_full", running.service.alarms().list()[0].name);
    let health = running.http("GET", "/healthz", "", b"").await;
    assert!(health.body.contains("degraded"), "{}", health.body);
    running.store.set_full(false);
    daemon.acknowledged(1).await;
    assert!(running.service.alarms().list().is_empty());
    assert_eq!(5, running.total("cpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_sends_too_much_is_told_to_wait() {
    let running = Running::start(|config| config.limits.client_stacks_per_second = 1).await;
    let mut daemon = running.daemon(1).await;
    for sequence in 1..=11 {
        daemon.batch(sequence, &batch("f", 1)).await;
    }
    loop {
        if let Message::SlowDown(slow_down) = daemon.next().await.unwrap() {
            assert!(0 < slow_down.wait_ns);
            break;
        }
    }
    // Another one is not held up.
    let mut other = running.daemon(2).await;
    other.batch(1, &batch("f", 1)).await;
    other.acknowledged(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_stream_of_a_sender_replaces_the_earlier_one() {
    let running = Running::start(|_| {}).await;
    let mut first = running.daemon(1).await;
    let mut second = running.daemon(1).await;
    assert_eq!(Code::Aborted, first.ended().await.code());
    second.batch(1, &batch("f", 1)).await;
    second.acknowledged(1).await;
    assert!(running.service.live().is_connected("host-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_sender_id_is_refused_and_its_owner_unharmed() {
    let running = Running::start(|config| {
        config.access.tokens = vec![
            token(RoleName::Write, "owner"),
            token(RoleName::Write, "thief"),
        ];
    })
    .await;
    let connect = async |token| Daemon::connect(running.channel().await, Some(token)).await;
    let mut owner = connect("owner").await.unwrap();
    owner.hello(1).await;
    let mut thief = connect("thief").await.unwrap();
    thief.say_hello(1).await;
    assert_eq!(Code::PermissionDenied, thief.ended().await.code());
    owner.batch(1, &batch("f", 1)).await;
    owner.acknowledged(1).await;
    let metrics = running.http("GET", "/metrics", "", b"").await.body;
    assert!(
        metrics.contains("profiler_ingest_stolen_total 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused_and_counted() {
    let running = Running::start(|config| {
        config.access.tokens = vec![token(RoleName::Write, "w"), token(RoleName::Read, "r")];
    })
    .await;
    let code = async |token| {
        let connected = Daemon::connect(running.channel().await, token).await;
        connected.err().map(|status| status.code())
    };
    assert_eq!(Some(Code::Unauthenticated), code(None).await);
    assert_eq!(Some(Code::Unauthenticated), code(Some("x")).await);
    assert_eq!(Some(Code::PermissionDenied), code(Some("r")).await);
    assert_eq!(None, code(Some("w")).await);
    let answer = running.http("POST", "/ingest?name=a", "", b"a 1\n").await;
    assert_eq!(401, answer.status);
    let metrics = running.http("GET", "/metrics", "", b"").await.body;
    let counted = "profiler_access_unauthenticated_requests_total 3";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_wrong_end_their_stream_only() {
    let running = Running::start(|_| {}).await;
    let mut other = running.daemon(9).await;
    let mut dangling = encode_batch(1, &batch("f", 1));
    dangling.frames[0].lines[0].function = 99;
    let mut daemon = running.daemon(1).await;
    daemon.send(ingest_request::Message::Batch(dangling)).await;
    assert_eq!(Code::InvalidArgument, daemon.ended().await.code());

    let mut daemon = running.daemon(1).await;
    let huge = proto::Batch {
        sequence: 1,
        strings: vec!["x".repeat(17 << 20)],
        ..proto::Batch::default()
    };
    daemon.send(ingest_request::Message::Batch(huge)).await;
    assert_eq!(Code::InvalidArgument, daemon.ended().await.code());

    let mut rude = Daemon::connect(running.channel().await, None)
        .await
        .unwrap();
    rude.batch(1, &batch("f", 1)).await;
    assert_eq!(Code::InvalidArgument, rude.ended().await.code());

    other.batch(1, &batch("f", 4)).await;
    other.acknowledged(1).await;
    assert_eq!(4, running.total("cpu"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_says_nothing_is_dropped() {
    let running = Running::start(|config| config.limits.idle_seconds = 1).await;
    let mut daemon = running.daemon(1).await;
    assert_eq!(Code::DeadlineExceeded, daemon.ended().await.code());
    until("it is gone", || {
        !running.service.live().is_connected("host-1")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_stopped_acknowledges_what_it_took() {
    let running = Running::start(|_| {}).await;
    let mut daemon = running.daemon(1).await;
    running.store.hold();
    daemon.batch(1, &batch("f", 1)).await;
    until("it waits", || running.store.waiting() == 1).await;
    let stopping = tokio::spawn(running.service.stop());
    let early = timeout(A_MOMENT, daemon.next()).await;
    assert!(early.is_err(), "ended before it was durable");
    running.store.release();
    daemon.acknowledged(1).await;
    assert_eq!(Code::Unavailable, daemon.ended().await.code());
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_and_windows_find_their_way() {
    let running = Running::start(|_| {}).await;
    let mut daemon = running.daemon(1).await;
    let mut windows = running.service.live().watch();
    let id = running
        .service
        .live()
        .burst("host-1", BurstOrder::default());
    let Message::Burst(order) = daemon.next().await.unwrap() else {
        panic!("no order");
    };
    assert_eq!(id.unwrap(), order.id);
    daemon.batch(1, &batch("f", 1)).await;
    daemon.acknowledged(1).await;
    assert_eq!("host-1", windows.recv().await.unwrap().host);
    drop(daemon.finish());
    until("it is gone", || {
        !running.service.live().is_connected("host-1")
    })
    .await;
}

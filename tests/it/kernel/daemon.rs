//! The daemon as it is run: windows into its spool, signals, health, a disk without room.

use std::{fs, path::Path};

use profiler::host::ship::Spool;
use profiler_tests::{
    harness::{Daemon, SmallDisk, free_address, signal},
    require_root,
};

/// Batches in a spool.
fn spooled(dir: &Path) -> u64 {
    Spool::open(dir, 256 << 20).unwrap().waiting()
}

/// With the service away: windows wait in the spool, SIGHUP changes nothing for the worse, SIGTERM
/// ends it in time, and a second run goes on where the first one ended.
#[test]
fn windows_wait_on_disk_while_the_service_is_away() {
    let _turn = require_root!();
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let server = format!("http://{}", free_address().unwrap());
    for run in 1..=2 {
        let daemon = Daemon::start(&server, &spool, 1, &["--label", "env=test"]).unwrap();
        daemon.reaches("windows_total", 2).unwrap();
        assert!(daemon.ask("/healthz").starts_with("HTTP/1.1 "));
        assert!(daemon.ask("/other").starts_with("HTTP/1.1 404"));
        signal("HUP", &daemon.pid().to_string()).unwrap();
        let before = daemon.metric("windows_total");
        daemon.reaches("windows_total", before + 1).unwrap();
        assert_eq!(0, daemon.metric("samples_lost_total"));
        assert!(daemon.stop().unwrap().success());
        assert!(3 * run <= spooled(&spool), "run {run}");
        // Looking into the spool leaves the mark of a run that did not end; the next one would
        // count it.
        fs::remove_file(spool.join("running")).unwrap();
    }
}

/// The disk is smaller than the spool may be, and someone else fills it: the oldest batches go, then
/// new ones are refused; with room again all goes on without help.
#[test]
fn a_full_disk_takes_the_oldest_batches_and_recovers() {
    let _turn = require_root!();
    let dir = tempfile::tempdir().unwrap();
    let _disk = SmallDisk::mount(dir.path(), "1m").unwrap();
    let mut spool = Spool::open(&dir.path().join("spool"), 512 << 10).unwrap();
    let payload = vec![1; 20_000];
    for _ in 0..20 {
        spool.append(&payload, 1).unwrap();
    }
    assert_eq!(0, spool.lost());
    // The file system stops the write where its room ends.
    let filler = dir.path().join("filler");
    drop(fs::write(&filler, vec![0; 2 << 20]));
    for _ in 0..10 {
        spool.append(&payload, 1).unwrap();
    }
    let lost = spool.lost();
    assert!((1..30).contains(&lost), "{lost}");
    assert_eq!(30 - lost, spool.waiting());
    drop(fs::write(dir.path().join("more"), vec![0; 2 << 20]));
    while spool.append(&payload, 1).is_ok() {
        drop(fs::write(
            dir.path().join(format!("more{}", spool.next_sequence())),
            vec![0; 2 << 20],
        ));
    }
    drop(fs::remove_file(filler));
    spool.append(&payload, 1).unwrap();
    assert_eq!(spool.next_sequence() - 1 - spool.lost(), spool.waiting());
}

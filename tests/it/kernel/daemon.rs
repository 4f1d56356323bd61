//! The daemon as it is run: windows into its spool, signals, health, a disk without room.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::ensure;
use profiler::host::ship::Spool;
use profiler_tests::{
    harness::{Running, product, signal, until},
    require_root,
};

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(90);

/// An address of this host that nobody listens on.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// What a path of the daemon's own server says; empty while it does not listen.
fn ask(address: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return String::new();
    };
    let mut answer = String::new();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let asked = stream.write_all(request.as_bytes());
    match asked.and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => answer,
        Err(_went_away) => String::new(),
    }
}

/// One number of `/metrics`.
fn metric(address: SocketAddr, name: &str) -> u64 {
    let text = ask(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

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
    for run in 1..=2 {
        let (metrics, away) = (free_address(), free_address());
        let mut command = Command::new(product().unwrap());
        command
            .arg("daemon")
            .args(["--server", &format!("http://{away}")])
            .args(["--spool".as_ref(), spool.as_os_str()])
            .args(["--window", "1", "--label", "env=test"])
            .args(["--listen-metrics", &metrics.to_string()]);
        let mut daemon = Running::start_silent(&mut command).unwrap();
        let windows = || metric(metrics, "profiler_daemon_windows_total");
        until("two windows", LIMIT, || Ok((windows() >= 2).then_some(()))).unwrap();
        assert!(ask(metrics, "/healthz").starts_with("HTTP/1.1 "));
        assert!(ask(metrics, "/other").starts_with("HTTP/1.1 404"));
        signal("HUP", &daemon.pid().to_string()).unwrap();
        let before = windows();
        until("a window after SIGHUP", LIMIT, || {
            Ok((windows() > before).then_some(()))
        })
        .unwrap();
        assert_eq!(0, metric(metrics, "profiler_daemon_samples_lost_total"));
        signal("TERM", &daemon.pid().to_string()).unwrap();
        assert!(daemon.ends(LIMIT).unwrap().success());
        assert!(3 * run <= spooled(&spool), "run {run}");
        // Looking into the spool leaves the mark of a run that did not end; the next one would
        // count it.
        fs::remove_file(spool.join("running")).unwrap();
    }
}

/// A small file system, gone with the test.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(dir: &'a Path, size: &str) -> anyhow::Result<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "spool-test"]);
        let status = mount.arg(dir).status()?;
        ensure!(status.success(), "mount ends with {status}");
        Ok(Self(dir))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "umount");
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

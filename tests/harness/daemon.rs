//! A daemon in the background, with its metrics, its health and its spool.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use profiler::{
    host::ship::Spool,
    model::Quality,
    wire::v1::{decode_batch, generated::Batch},
};
use prost::Message as _;

use super::{product, running::finish, signal, until};

/// Longest time until it has loaded its probe, or has ended: a debug build on a busy host.
const LIMIT: Duration = Duration::from_secs(90);
/// Most bytes of a batch in the spool.
const BATCH_SIZE_BYTES_MAX: usize = 64 << 20;
/// As large as a daemon's spool is by default.
const SPOOL_SIZE_BYTES_MAX: u64 = 256 << 20;

/// `profiler daemon` that ships into a spool of its own. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    metrics: SocketAddr,
    spool: PathBuf,
}

/// One batch of a spool: the daemon puts one window of one signal into each.
#[derive(Clone, Debug, PartialEq)]
pub struct SpooledWindow {
    /// Number of the batch.
    pub sequence: u64,
    /// Its quality.
    pub quality: Quality,
}

/// An address of this host that nobody listens on.
///
/// # Errors
/// When the system has none left.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("read the address")
}

/// The whole answer to a GET over HTTP; empty when nobody listens or the connection breaks.
pub fn http_get(address: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return String::new();
    };
    let mut answer = String::new();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let asked = stream.write_all(request.as_bytes());
    match asked.and_then(|()| stream.read_to_string(&mut answer)) {
        Ok(_) => answer,
        Err(_went_away) => String::new(),
    }
}

impl Daemon {
    /// Starts it with windows of so many seconds, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub fn start(
        server: &str,
        spool: &Path,
        window_s: u32,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let metrics = free_address()?;
        let mut command = Command::new(product()?);
        command
            .args(["daemon", "--server", server, "--spool"])
            .arg(spool)
            .args(["--window", &window_s.to_string()])
            .args(["--listen-metrics", &metrics.to_string()])
            // A sample at half the rate counts as two, and samples are compared with their sums.
            .args(["--max-overhead", "off"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut daemon = Self {
            child: command.spawn().context("start the daemon")?,
            metrics,
            spool: spool.to_owned(),
        };
        until("the daemon answers", LIMIT, || {
            let ended = daemon.child.try_wait().context("wait for the daemon")?;
            ensure!(ended.is_none(), "the daemon ended: {ended:?}");
            Ok(daemon
                .ask("/metrics")
                .starts_with("HTTP/1.1 200")
                .then_some(()))
        })?;
        Ok(daemon)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What a path of its own server says, head and body; empty while it does not answer.
    pub fn ask(&self, path: &str) -> String {
        http_get(self.metrics, path)
    }

    /// One number of `/metrics`, without the prefix of all of them.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.ask("/metrics");
        let name = format!("profiler_daemon_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Waits until a number of `/metrics` is at least so large.
    ///
    /// # Errors
    /// When it does not get there in time.
    pub fn reaches(&self, name: &str, least: u64) -> anyhow::Result<u64> {
        until(&format!("{name} of the daemon is {least}"), LIMIT, || {
            let value = self.metric(name);
            Ok((least <= value).then_some(value))
        })
    }

    /// What its spool holds, what the service has and was not removed yet included. Only while it
    /// does not write.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn windows_in(spool: &Path) -> anyhow::Result<Vec<SpooledWindow>> {
        let running = spool.join("running");
        let was_running = running.try_exists().context("look into the spool")?;
        let spooled = Spool::open(spool, SPOOL_SIZE_BYTES_MAX).context("open the spool")?;
        let mut windows: Vec<SpooledWindow> = Vec::new();
        loop {
            let last = windows.last().map_or(0, |window| window.sequence);
            let Some((sequence, payload)) = spooled.read_after(last).context("read the spool")?
            else {
                break;
            };
            let bytes = zstd::bulk::decompress(&payload, BATCH_SIZE_BYTES_MAX)?;
            let (_sequence, batch) = decode_batch(Batch::decode(bytes.as_slice())?)?;
            let [window] = batch.windows.as_slice() else {
                anyhow::bail!("batch {sequence} has {} windows", batch.windows.len());
            };
            windows.push(SpooledWindow {
                sequence,
                quality: window.quality.clone(),
            });
        }
        if !was_running {
            // Looking leaves the mark of a run that did not end; the next one would count it.
            std::fs::remove_file(running).context("remove the mark")?;
        }
        Ok(windows)
    }

    /// Kills it as a power failure would; its spool stays.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<PathBuf> {
        self.child.kill().context("kill the daemon")?;
        self.child.wait().context("wait for the daemon")?;
        Ok(self.spool.clone())
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        signal("TERM", &self.child.id().to_string())?;
        until("the daemon has stopped", LIMIT, || {
            self.child.try_wait().context("wait for the daemon")
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        finish(&mut self.child);
    }
}

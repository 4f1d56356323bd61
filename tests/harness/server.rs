//! A query service in the background.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::channel,
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{product, signal, until};

/// Longest time from the start until it listens: a debug build that replays a long log.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest time it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// `profiler serve` on a free port of the loopback. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it on a folder, with further arguments, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not listen in time.
    pub fn start(data: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(product()?);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data).args(arguments);
        Self::start_command(&mut command)
    }

    /// Starts a command that says where it listens, as `serve` and `up` do.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_command(command: &mut Command) -> anyhow::Result<Self> {
        let started = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let mut child = started.context("start the service")?;
        let stderr = child.stderr.take().context("take the piped output")?;
        let (send, addresses) = channel();
        thread::spawn(move || {
            // To the end, so that the service never waits for a reader.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_words, url)) = line.split_once("listening on http")
                    && let Some((_s, address)) = url.split_once("://")
                {
                    let address = address.split(',').next().unwrap_or(address);
                    drop(send.send(address.trim().to_owned()));
                }
                super::say(&format!("service: {line}"));
            }
        });
        match addresses.recv_timeout(START_LIMIT) {
            Ok(address) => Ok(Self { child, address }),
            Err(_silent) => {
                drop(child.kill());
                bail!("the service does not say where it listens")
            }
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power failure would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("kill the service")?;
        self.child.wait().context("wait for the service")?;
        Ok(())
    }

    /// Asks it to stop, and waits.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        signal("TERM", &self.child.id().to_string())?;
        until("the service has stopped", STOP_LIMIT, || {
            self.child.try_wait().context("wait for the service")
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! The query service in a process of its own, so that its CPU time and memory are its own.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use profiler::{
    clock,
    config::ServiceConfig,
    service::run::{Service, open_store},
};

/// The word on the command line that makes this program the service.
pub(crate) const WORD: &str = "serve";

/// The other end: a service that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub(crate) url: String,
}

impl Running {
    /// Starts this program once more, as the service of a folder.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(env::current_exe().context("find this program")?)
            .arg(WORD)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the service")?;
        let input = child.stdin.take().context("its standard input")?;
        let mut output = BufReader::new(child.stdout.take().context("its standard output")?);
        let mut url = String::new();
        output.read_line(&mut url).context("wait for the service")?;
        Ok(Self {
            child,
            input,
            output,
            url: url.trim().to_owned(),
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it write everything as parts and merge them.
    ///
    /// # Errors
    /// When it ended before.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        writeln!(self.input, "settle").context("ask the service to write all")?;
        let mut line = String::new();
        self.output.read_line(&mut line).context("wait for it")?;
        anyhow::ensure!(line.trim() == "settled", "the service said {line:?}");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is the service until its standard input ends: as `profiler serve`, and a line makes it write and
/// merge all it has.
///
/// # Errors
/// What the service says.
#[tokio::main]
pub(crate) async fn run(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).context("make the folder of the store")?;
    let mut config = ServiceConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        data: folder.to_owned(),
        ..ServiceConfig::default()
    };
    // One client at a time may send its minutes as fast as the service takes them.
    config.limits.client_bytes_per_second = u64::MAX / 4;
    config.limits.client_stacks_per_second = u64::MAX / 4;
    let store = open_store(&config)?;
    let service = Service::start_embedded(&config, &store).await?;
    println!("http://{}", service.address());
    let settled = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        for line in std::io::stdin().lines() {
            line.context("read what to do")?;
            store.flush()?;
            // An hour and its delay later, so that every hour is ripe.
            store.maintain(clock::wall() + Duration::from_secs(2 * 3_600))?;
            println!("settled");
        }
        Ok(())
    });
    settled.await.context("the store's thread ended")??;
    service.stop().await;
    Ok(())
}

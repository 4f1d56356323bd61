//! Runs of `profiler record`.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use profiler::model::Profile;
use tempfile::TempDir;

use super::{Ended, Outcome, Running, running::finish, signal, until, workload::target_dir};

/// How long the product may take to load its probes before it samples.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a run may take in all: the longest recording, and naming with a debug build beside a busy host.
const RUN_LIMIT: Duration = Duration::from_secs(180);

/// What `profiler record` is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Options of the product.
    options: Vec<OsString>,
    /// The command to profile, with its arguments; empty for none.
    command: Vec<OsString>,
}

/// A run that has not ended. Dropping it kills the product and the command.
#[derive(Debug)]
pub struct Recording {
    /// The product, leader of a process group.
    child: Child,
    /// Working folder: everything that is written goes there.
    dir: TempDir,
}

/// Path of the product: `PROFILER_BIN`, or the one built beside the running test.
///
/// # Errors
/// When it is not there.
pub fn product() -> anyhow::Result<PathBuf> {
    let path = match env::var_os("PROFILER_BIN") {
        Some(path) => fs::canonicalize(path).context("find PROFILER_BIN")?,
        None => target_dir()?.join("profiler"),
    };
    ensure!(
        path.is_file(),
        "{} is not there: build it with `cargo build -p profiler`",
        path.display()
    );
    Ok(path)
}

impl Record {
    /// The whole host.
    pub fn host() -> Self {
        Self::default()
    }

    /// One process that runs already.
    pub fn process(running: &Running) -> Self {
        Self::host().option("-p").option(running.pid().to_string())
    }

    /// A program, from its first instruction on.
    pub fn program(path: impl Into<OsString>) -> Self {
        Self {
            options: Vec::new(),
            command: vec![path.into()],
        }
    }

    /// Adds an argument of the program.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.command.push(argument.into());
        self
    }

    /// Adds an option of the product.
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Without a budget: everything is looked at, whatever it costs.
    #[must_use]
    pub fn unlimited(self) -> Self {
        self.option("--max-overhead").option("off")
    }

    /// Samples a second.
    #[must_use]
    pub fn hz(self, hz: u32) -> Self {
        self.option("-F").option(hz.to_string())
    }

    /// For how long.
    #[must_use]
    pub fn seconds(self, seconds: u32) -> Self {
        self.option("-d").option(seconds.to_string())
    }

    /// Starts the product with the outputs that [`Recording::outcome`] reads.
    ///
    /// # Errors
    /// When there is no product, or it cannot be started.
    pub fn start(&self) -> anyhow::Result<Recording> {
        let outputs = ["-o", Outcome::COLLAPSED, "-o", Outcome::JSON];
        self.clone_with(outputs).start_bare()
    }

    /// Starts the product with no output but what [`Record::option`] asked for.
    ///
    /// # Errors
    /// When there is no product, or it cannot be started.
    pub fn start_bare(&self) -> anyhow::Result<Recording> {
        let dir = TempDir::new().context("make a working folder")?;
        let file = |name| File::create(dir.path().join(name)).context("create an output file");
        let mut command = Command::new(product()?);
        command.arg("record").args(&self.options);
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        let command = command.stdin(Stdio::null()).current_dir(dir.path());
        let command = command
            .stdout(file(Ended::STDOUT)?)
            .stderr(file(Ended::STDERR)?);
        let child = command.process_group(0).spawn().context("start profiler")?;
        Ok(Recording { child, dir })
    }

    /// Runs the product to its end and reads what it wrote.
    ///
    /// # Errors
    /// When it writes no profile, or takes longer than three minutes.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        self.start()?.outcome()
    }

    /// The same with more options.
    fn clone_with<const N: usize>(&self, options: [&str; N]) -> Self {
        let mut more = self.clone();
        more.options.extend(options.map(OsString::from));
        more
    }
}

impl Recording {
    /// The product's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the product samples: until its program for perf events has run.
    ///
    /// # Errors
    /// When it ends before that, or does not get there within a minute.
    pub fn samples(&mut self) -> anyhow::Result<()> {
        let _counted = RunCounts::switch_on()?;
        let descriptors = format!("/proc/{}/fdinfo", self.child.id());
        until("profiler samples", START_LIMIT, || {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "profiler ended: {}", self.ended()?.stderr);
            Ok(sampler_has_run(&descriptors)?.then_some(()))
        })
    }

    /// Asks the product alone to end, as `kill -INT` does.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        signal("INT", &self.child.id().to_string())
    }

    /// Asks the product and its command to end, as Ctrl-C on a terminal does.
    ///
    /// # Errors
    /// When both have ended already.
    pub fn interrupt_group(&self) -> anyhow::Result<()> {
        signal("INT", &format!("-{}", self.child.id()))
    }

    /// What the product and its command have said on standard output so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn said(&self) -> anyhow::Result<String> {
        let path = self.dir.path().join(Ended::STDOUT);
        fs::read_to_string(path).context("read what was said")
    }

    /// Waits for the end of the product.
    ///
    /// # Errors
    /// When it takes longer than three minutes.
    pub fn ended(&mut self) -> anyhow::Result<Ended> {
        let status = until("profiler ends", RUN_LIMIT, || Ok(self.child.try_wait()?))?;
        Ended::read(status, self.dir.path())
    }

    /// The profile in a JSON file that the product wrote, once it has ended.
    ///
    /// # Errors
    /// When it wrote none.
    pub fn profile(&self, name: &str) -> anyhow::Result<Profile> {
        Outcome::read_profile(&self.dir.path().join(name))
    }

    /// Waits for the end of the product and reads what it wrote.
    ///
    /// # Errors
    /// When it writes no profile, or takes longer than three minutes.
    pub fn outcome(mut self) -> anyhow::Result<Outcome> {
        let ended = self.ended()?;
        Outcome::read(ended, self.dir.path())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        finish(&mut self.child);
    }
}

/// The kernel counts the runs of BPF programs while this lives.
#[derive(Debug)]
struct RunCounts {
    /// What the setting was before.
    before: String,
}

impl RunCounts {
    /// The kernel's switch.
    const SETTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

    /// Switches counting on, whatever it was.
    fn switch_on() -> anyhow::Result<Self> {
        let before = fs::read_to_string(Self::SETTING).context("read bpf_stats_enabled")?;
        fs::write(Self::SETTING, "1").context("write bpf_stats_enabled")?;
        Ok(Self { before })
    }
}

impl Drop for RunCounts {
    fn drop(&mut self) {
        // Left on, it costs the host nanoseconds a run; nothing else can be done about it.
        drop(fs::write(Self::SETTING, &self.before));
    }
}

/// Whether one of the descriptors is a program for perf events that has run.
fn sampler_has_run(descriptors: &str) -> anyhow::Result<bool> {
    for entry in fs::read_dir(descriptors).with_context(|| format!("read {descriptors}"))? {
        // One that is closed meanwhile is not the one waited for.
        let facts = fs::read_to_string(entry?.path()).unwrap_or_default();
        let fact = |name: &str| {
            let mut lines = facts.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        };
        // BPF_PROG_TYPE_PERF_EVENT is 7.
        let is_sampler = fact("prog_type").is_some_and(|kind| kind.starts_with('7'));
        if is_sampler && fact("run_cnt").is_some_and(|count| count != "0") {
            return Ok(true);
        }
    }
    Ok(false)
}

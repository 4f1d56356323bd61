//! Programs in the background, ended with the test.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::until;

/// Longest time that a program may take to say it is ready, or to use the CPU time waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that runs in the background, in a process group of its own. Dropping it ends the group.
#[derive(Debug)]
pub struct Running {
    /// The leader of the group.
    child: Child,
    /// Kept open, so that writing does not end the program.
    _output: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a workload and waits until it says `ready`.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it is ready.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_owned();
        let started = command.stdout(Stdio::piped()).process_group(0).spawn();
        let mut child = started.with_context(|| format!("start {}", name.display()))?;
        let output = child.stdout.take().context("take the piped output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).context("read the output")?;
        let running = Self {
            child,
            _output: Some(output),
        };
        ensure!(
            line.trim() == "ready",
            "{} says {line:?}, not ready",
            name.display()
        );
        Ok(running)
    }

    /// Starts a program that says nothing of itself, in the background, its output thrown away.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_silent(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_owned();
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = quiet.process_group(0).spawn();
        Ok(Self {
            child: started.with_context(|| format!("start {}", name.display()))?,
            _output: None,
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that it has used.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        cpu_time(self.pid())
    }

    /// Waits until it has used so much more CPU time.
    ///
    /// # Errors
    /// When it ends before, or gets no CPU for a minute.
    pub fn works_for(&self, time: Duration) -> anyhow::Result<()> {
        works_for(self.pid(), time)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub fn ends(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        until("the workload ends", limit, || Ok(self.child.try_wait()?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        finish(&mut self.child);
    }
}

/// Kills the process group that a child leads, and collects the child.
pub(super) fn finish(child: &mut Child) {
    // Both fail when it has ended already, which is what is wanted.
    drop(signal("KILL", &format!("-{}", child.id())));
    drop(child.wait());
}

/// Waits until a process has used so much more CPU time.
///
/// # Errors
/// When there is none, or it gets no CPU for a minute.
pub fn works_for(pid: u32, time: Duration) -> anyhow::Result<()> {
    let enough = cpu_time(pid)? + time;
    until(
        &format!("process {pid} has worked for {time:?}"),
        LIMIT,
        || Ok((cpu_time(pid)? >= enough).then_some(())),
    )
}

/// Sends a signal to a process, or to a group when `target` begins with a minus.
///
/// # Errors
/// When there is none, or `kill` cannot be run.
pub fn signal(name: &str, target: &str) -> anyhow::Result<()> {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, "--", target]).stderr(Stdio::null());
    let status = kill.status().context("run kill")?;
    ensure!(status.success(), "cannot send {name} to {target}");
    Ok(())
}

/// CPU time of all threads of a process so far.
fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name in parentheses may hold anything; fields 14 and 15 of proc(5) are user and system time.
    let (_, fields) = stat.rsplit_once(')').context("find the name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let ticks = next().zip(next()).context("read the times")?;
    // USER_HZ is 100 on every architecture that this product runs on.
    Ok(Duration::from_millis((ticks.0 + ticks.1) * 10))
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::Duration};

    use super::{Running, cpu_time};
    use crate::harness::workload;

    #[test]
    fn a_dropped_program_is_gone() {
        let mut command = Command::new(workload("recursion").unwrap());
        let running = Running::start(command.args(["60", "1"])).unwrap();
        running.works_for(Duration::from_millis(50)).unwrap();
        let pid = running.pid();
        drop(running);
        cpu_time(pid).unwrap_err();
    }
}

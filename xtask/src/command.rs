//! One external command: how it is shown, run and judged.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

/// An external command under construction.
pub(crate) struct Step {
    /// The program's name, for messages.
    program: String,
    /// What is shown of it, where that is not the whole command.
    title: Option<String>,
    command: Command,
}

impl Step {
    /// Starts a command. Programs that cargo installed are found even when PATH lacks their folder.
    pub(crate) fn new(program: &str) -> Self {
        let mut command = Command::new(program);
        command.env("PATH", search_path());
        Self {
            program: program.to_owned(),
            title: None,
            command,
        }
    }

    /// A command that needs root: as it is for root, through sudo for others.
    pub(crate) fn as_root(program: &str) -> Self {
        if is_root() {
            Self::new(program)
        } else {
            // -E keeps the settings that the commands here depend on.
            Self::new("sudo").args(["-E", program])
        }
    }

    /// A command that is ended, children included, when it runs longer than this.
    pub(crate) fn bounded(limit: Duration, program: &str) -> Self {
        let seconds = limit.as_secs().to_string();
        Self::new("timeout").args(["--kill-after=10", &seconds, program])
    }

    /// Adds arguments.
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    /// Shows these words in place of the whole command, where that would fill the screen.
    pub(crate) fn titled(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// Sets the folder to run in.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Unsets an environment variable.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Shows the command, runs it with our terminal, and tells how it ended.
    pub(crate) fn status(mut self) -> anyhow::Result<ExitStatus> {
        println!("$ {}", self.shown());
        self.command
            .status()
            .with_context(|| format!("start {}", self.program))
    }

    /// Shows and runs the command; a status other than 0 is an error.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = self.shown();
        let status = self.status()?;
        ensure!(status.success(), "{shown}: {status}");
        Ok(())
    }

    /// Runs the command unseen and hands back what it wrote to stdout; a status other than 0 is an
    /// error that carries what it wrote to stderr.
    pub(crate) fn output(mut self) -> anyhow::Result<String> {
        let output = self
            .command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {}", self.program))?;
        ensure!(
            output.status.success(),
            "{}: {}\n{}",
            self.shown(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end(),
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs the command unseen and hands back what it wrote to stdout, however it ended; nothing when
    /// it could not be started.
    pub(crate) fn text(mut self) -> String {
        let output = self.command.stdin(Stdio::null()).output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    /// Runs the command unseen and tells whether it could be started and said 0.
    pub(crate) fn succeeds(self) -> bool {
        self.output().is_ok()
    }

    /// Shows the command and runs it, handing each line of its stdout to `on_line`.
    pub(crate) fn lines(mut self, mut on_line: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
        println!("$ {}", self.shown());
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.program))?;
        let stdout = child.stdout.take().context("stdout was piped")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.with_context(|| format!("read from {}", self.program))?;
            on_line(&String::from_utf8_lossy(&line));
        }
        child
            .wait()
            .with_context(|| format!("wait for {}", self.program))
    }

    /// Runs the command with stdout and stderr in a file.
    pub(crate) fn into_file(mut self, log: &Path) -> anyhow::Result<ExitStatus> {
        let file =
            std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let second = file
            .try_clone()
            .with_context(|| format!("open {} twice", log.display()))?;
        self.command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(second)
            .status()
            .with_context(|| format!("start {}", self.program))
    }

    /// The command as a person would type it.
    fn shown(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        let mut words = vec![self.program.clone()];
        words.extend(
            (self.command.get_args()).map(|argument| argument.to_string_lossy().into_owned()),
        );
        words.join(" ")
    }
}

/// PATH with the folder where cargo installs programs in front.
fn search_path() -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = cargo_bin().into_iter().chain(env::split_paths(&path));
    // A folder with a colon in its name cannot be in PATH; ours alone could be such a one.
    env::join_paths(folders).unwrap_or(path)
}

/// Where cargo installs programs.
fn cargo_bin() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    Some(home.join("bin"))
}

/// Whether a program of this name is in PATH.
pub(crate) fn is_command(name: &str) -> bool {
    env::split_paths(&search_path()).any(|folder| folder.join(name).is_file())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    // Files in /proc/self belong to the effective user.
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Whether commands can be run as root, by being root or through sudo.
pub(crate) fn can_be_root() -> bool {
    is_root() || is_command("sudo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_with_its_words() {
        let error = Step::new("sh")
            .args(["-c", "echo lost it >&2; exit 3"])
            .output()
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("lost it"), "{error}");
    }

    #[test]
    fn a_bounded_command_is_ended() {
        let status = Step::bounded(Duration::from_secs(1), "sleep")
            .args(["30"])
            .lines(|_| ())
            .unwrap();
        assert_eq!(status.code(), Some(124));
    }

    #[test]
    fn lines_arrive_one_by_one() {
        let mut seen = Vec::new();
        let status = Step::new("printf")
            .args(["one\\ntwo\\n"])
            .lines(|line| seen.push(line.to_owned()))
            .unwrap();
        assert!(status.success());
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_program_that_is_nowhere_is_no_command() {
        assert!(is_command("sh"));
        assert!(!is_command("no-program-has-this-name"));
    }
}

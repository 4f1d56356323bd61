//! What a run of the product left behind.

use std::{fs, path::Path, process::ExitStatus};

use anyhow::{Context as _, ensure};
use profiler::model::{FrameKind, Profile, Sample, Task};
use serde::Deserialize;

use super::Collapsed;

/// A run that has ended, whatever it wrote.
#[derive(Debug)]
pub struct Ended {
    /// The product's, or that of the command it ran.
    pub status: ExitStatus,
    /// Of the product and of the command.
    pub stdout: String,
    /// Of the product and of the command.
    pub stderr: String,
}

/// A run that wrote a profile.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The collapsed output.
    pub collapsed: Collapsed,
    /// The JSON output: checked, every index points inside it.
    pub profile: Profile,
}

/// The product's own format.
#[derive(Debug, Deserialize)]
struct JsonFile {
    /// `profiler`.
    format: String,
    /// 1.
    version: u32,
    /// The content.
    profile: Profile,
}

impl Ended {
    /// File that standard output goes to.
    pub(super) const STDOUT: &'static str = "stdout";
    /// File that standard error goes to.
    pub(super) const STDERR: &'static str = "stderr";

    /// Reads what a run in `dir` said.
    pub(super) fn read(status: ExitStatus, dir: &Path) -> anyhow::Result<Self> {
        let read = |name| fs::read(dir.join(name)).with_context(|| format!("read {name}"));
        let stderr = String::from_utf8_lossy(&read(Self::STDERR)?).into_owned();
        ensure!(
            !stderr.contains("panicked at"),
            "profiler panicked: {stderr}"
        );
        Ok(Self {
            status,
            stdout: String::from_utf8_lossy(&read(Self::STDOUT)?).into_owned(),
            stderr,
        })
    }

    /// The exit code; 128 and the signal's number when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        (self.status.code()).or_else(|| self.status.signal().map(|number| 128 + number))
    }
}

impl Outcome {
    /// Name of the collapsed output.
    pub(super) const COLLAPSED: &'static str = "out.collapsed";
    /// Name of the JSON output.
    pub(super) const JSON: &'static str = "out.json";

    /// Reads both outputs of a run in `dir`.
    pub(super) fn read(ended: Ended, dir: &Path) -> anyhow::Result<Self> {
        let read = |name| {
            fs::read_to_string(dir.join(name))
                .with_context(|| format!("read {name}; {}: {}", ended.status, ended.stderr))
        };
        let collapsed = Collapsed::parse(&read(Self::COLLAPSED)?)?;
        let profile = Self::parse_profile(&read(Self::JSON)?)?;
        Ok(Self {
            ended,
            collapsed,
            profile,
        })
    }

    /// The profile in a JSON file.
    pub(super) fn read_profile(path: &Path) -> anyhow::Result<Profile> {
        let text = fs::read_to_string(path);
        Self::parse_profile(&text.with_context(|| format!("read {}", path.display()))?)
    }

    /// Reads the product's own format and checks it.
    fn parse_profile(text: &str) -> anyhow::Result<Profile> {
        let file: JsonFile = serde_json::from_str(text).context("parse the JSON")?;
        ensure!(file.format == "profiler", "the format is {}", file.format);
        ensure!(file.version == 1, "the version is {}", file.version);
        file.profile.validate().context("check the profile")?;
        Ok(file.profile)
    }

    /// Share of complete stacks among the samples that have user frames, of the tasks that pass:
    /// kernel threads do not help.
    pub fn user_complete_share(&self, of: impl Fn(&Task) -> bool) -> f64 {
        let samples = &self.profile.samples;
        let user = samples
            .iter()
            .filter(|sample| self.profile.task(sample.task).is_some_and(&of))
            .filter(|sample| self.has(sample, |kind| kind != FrameKind::Kernel));
        let (mut all, mut cut) = (0, 0);
        for sample in user {
            let weight = sample.values.first().copied().unwrap_or(0);
            all += weight;
            if self.has(sample, |kind| kind == FrameKind::Truncated) {
                cut += weight;
            }
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a test takes less than 2^52 samples"
        )]
        let share = (all - cut) as f64 / all.max(1) as f64;
        share
    }

    /// Whether the stack of a sample has a frame of a kind that passes.
    fn has(&self, sample: &Sample, pass: impl Fn(FrameKind) -> bool) -> bool {
        let frames = self.profile.stack(sample.stack).map(|stack| &stack.frames);
        let mut kinds = (frames.into_iter().flatten())
            .filter_map(|index| self.profile.frame(*index))
            .map(|frame| frame.kind);
        kinds.any(pass)
    }
}

//! Daemon and service in one process, for as long as a bench needs them.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::{measure, product::Product};
use crate::command::Step;

/// Longest time until the service answers.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Time between two looks at whether it does.
const LOOK: Duration = Duration::from_millis(200);

/// `profiler up`, ended when dropped, and its data with it.
pub(crate) struct Up {
    child: Child,
    data: PathBuf,
    url: String,
}

impl Up {
    /// Starts it with these arguments and a folder of this name.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub(crate) fn start(
        product: &Product<'_>,
        name: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let data = product.file(name);
        drop(fs::remove_dir_all(&data));
        let log = product.file("up.log");
        let output = fs::File::create(&log).context("create the log")?;
        let child = Command::new(product.path())
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output)
            .spawn()
            .context("start profiler up")?;
        let mut up = Self {
            child,
            data,
            url: String::new(),
        };
        let begun = measure::now();
        while up.url.is_empty() {
            ensure!(
                begun.elapsed() < START_LIMIT,
                "no service: see {}",
                log.display()
            );
            measure::pause(LOOK);
            let text = fs::read_to_string(&log).unwrap_or_default();
            let url = (text.split_whitespace()).find(|word| word.starts_with("http://127."));
            let url = url.unwrap_or_default().trim_end_matches(',');
            url.clone_into(&mut up.url);
        }
        Ok(up)
    }

    /// Where the service answers.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        Step::new("kill").args(["-TERM", &pid]).succeeds();
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.data));
    }
}

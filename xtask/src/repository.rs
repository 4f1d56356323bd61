//! Where things are: the checkout, its build output, its files, the user's cache.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::command::Step;

/// The checkout this xtask belongs to.
pub(crate) struct Repository {
    /// Folder of the workspace manifest.
    pub(crate) root: PathBuf,
    /// Folder of build output; `CARGO_TARGET_DIR` where that is set.
    pub(crate) target: PathBuf,
}

impl Repository {
    /// Finds the checkout from where cargo says the xtask crate is.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("the xtask crate lies in a workspace")?
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir()
                .context("find the current folder")?
                .join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// A cargo command that runs in the checkout.
    pub(crate) fn cargo<const N: usize>(&self, args: [&str; N]) -> Step {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        Step::new(&cargo)
            .args(args)
            .folder(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
    }

    /// Every file that is committed or about to be, relative to the root, sorted.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let listed = Step::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .folder(&self.root)
            .output()?;
        let mut files: Vec<PathBuf> = listed
            .split('\0')
            .filter(|name| !name.is_empty() && self.root.join(name).is_file())
            .map(PathBuf::from)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// Folder for downloads that outlive a checkout: `~/.cache/profiler/<name>`, made when missing.
pub(crate) fn cache_folder(name: &str) -> anyhow::Result<PathBuf> {
    let home = env::var_os("HOME").context("HOME is not set")?;
    let folder = Path::new(&home).join(".cache/profiler").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

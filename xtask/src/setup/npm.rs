//! Packages of npm that the tests hold our output against, in a cache below the target folder.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use crate::{command::Step, repository::Repository};

/// Name and version of each: the importer our speedscope files must pass, and what drives the
/// browser our pictures must work in.
const PACKAGES: [(&str, &str); 2] = [("speedscope", "1.25.0"), ("playwright-core", "1.65.1")];

/// The folder whose `node_modules` holds the packages.
pub(crate) fn folder(repository: &Repository) -> PathBuf {
    repository.target.join("npm")
}

/// Installs the packages unless these versions are there. Not being able to is said aloud; the
/// tests that need them skip.
pub(super) fn ensure(repository: &Repository) {
    if let Err(error) = install(repository) {
        eprintln!("setup: no packages from npm: {error:#}");
    }
}

/// Installs the packages that are missing or of another version.
fn install(repository: &Repository) -> anyhow::Result<()> {
    let folder = folder(repository);
    let missing: Vec<String> = PACKAGES
        .into_iter()
        .filter(|(name, version)| installed(&folder, name).as_deref() != Some(*version))
        .map(|(name, version)| format!("{name}@{version}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Step::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        .args([std::ffi::OsStr::new("--prefix"), folder.as_os_str()])
        .args(missing)
        .run()
}

/// The version of a package in a folder.
fn installed(folder: &std::path::Path, name: &str) -> Option<String> {
    let manifest = folder.join("node_modules").join(name).join("package.json");
    let text = fs::read_to_string(manifest).ok()?;
    let manifest: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(manifest.get("version")?.as_str()?.to_owned())
}

//! The web page: built before the program that carries it, and tried in a real browser.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::{
    command::{Step, is_command},
    repository::Repository,
};

/// What the page is made from, from its folder.
const SOURCES: [&str; 5] = [
    "src",
    "scripts",
    "index.html",
    "package-lock.json",
    "vite.config.js",
];
/// Definitions that code of the page is generated from, from the root of the repository.
const DEFINITIONS: &str = "proto/profiler/v1";
/// The first file of the built page.
const BUILT: &str = "dist/page/index.html";
/// Written by npm when all packages are there.
const INSTALLED: &str = "node_modules/.package-lock.json";

/// When a file was changed last: seconds since the epoch, and nanoseconds.
type Changed = (i64, i64);

/// Of a file that is not there.
const NEVER: Changed = (0, 0);

/// Where the page is written.
fn folder(repository: &Repository) -> PathBuf {
    repository.root.join("web")
}

/// Builds the page unless it is newer than all it is made from. Not being able to is said aloud; the
/// program is then built without its page, and says so itself.
pub(crate) fn ensure_page(repository: &Repository) {
    if !is_command("npm") {
        eprintln!("web: no npm here, so the program gets no web page");
    } else if let Err(error) = build(repository) {
        eprintln!("web: the program gets no web page: {error:#}");
    }
}

/// Installs packages and builds, as far as something changed.
fn build(repository: &Repository) -> anyhow::Result<()> {
    let folder = folder(repository);
    if changed(&folder.join(INSTALLED))? < changed(&folder.join("package-lock.json"))? {
        npm(&folder, &["ci"])?;
    }
    let mut sources = vec![repository.root.join(DEFINITIONS)];
    sources.extend(SOURCES.iter().map(|name| folder.join(name)));
    let mut latest = NEVER;
    for source in &sources {
        latest = latest.max(changed_below(source)?);
    }
    if changed(&folder.join(BUILT))? < latest {
        npm(&folder, &["run", "build"])?;
    }
    Ok(())
}

/// Opens every view in a browser, on real data that a service of its own gets.
///
/// # Errors
/// A view does not work, or there is no browser.
pub(crate) fn test(repository: &Repository) -> anyhow::Result<()> {
    build(repository).context("build the page")?;
    ensure!(is_command("chromium"), "no chromium here");
    let program = repository.target.join("debug/profiler");
    Step::new("node")
        .args(["tests/run.mjs"])
        .folder(&folder(repository))
        .env("PROFILER", &program)
        .run()
}

/// Runs npm in a folder.
fn npm(folder: &Path, args: &[&str]) -> anyhow::Result<()> {
    Step::new("npm")
        .args(args)
        .folder(folder)
        .env("npm_config_update_notifier", "false")
        .run()
}

/// When a file was changed last.
fn changed(path: &Path) -> anyhow::Result<Changed> {
    match fs::metadata(path) {
        Ok(metadata) => Ok((metadata.mtime(), metadata.mtime_nsec())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NEVER),
        Err(error) => Err(error).with_context(|| format!("look at {}", path.display())),
    }
}

/// When a file, or the latest one of a folder, was changed last. Generated files do not count.
fn changed_below(path: &Path) -> anyhow::Result<Changed> {
    if !path.is_dir() {
        return changed(path);
    }
    let mut latest = NEVER;
    let entries = fs::read_dir(path).with_context(|| format!("list {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", path.display()))?;
        if entry.file_name() != "generated.ts" {
            latest = latest.max(changed_below(&entry.path())?);
        }
    }
    Ok(latest)
}

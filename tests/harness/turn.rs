//! Who may run: as root, one test at a time, with the tools it needs.

use std::{
    env,
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::build_dir;

/// The right to run a privileged test; the next one waits until it is dropped.
#[derive(Debug)]
pub struct Turn {
    /// Locked; the lock ends with the file.
    _lock: File,
}

/// Waits until no other test of this build runs, in this process or another.
///
/// # Errors
/// Why the test cannot run here, in words for the person who asked for it.
pub fn turn() -> Result<Turn, String> {
    if !is_root().map_err(|error| format!("{error:#}"))? {
        return Err("needs root".to_owned());
    }
    lock().map_err(|error| format!("{error:#}"))
}

/// Whether this process has every right, by its effective user.
fn is_root() -> anyhow::Result<bool> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    // Uid: real, effective, saved, file system.
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let effective = ids.and_then(|ids| ids.split_whitespace().nth(1));
    Ok(effective == Some("0"))
}

/// Takes the one lock of all privileged tests.
fn lock() -> anyhow::Result<Turn> {
    let dir = build_dir()?;
    let path = dir.join("turn.lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    file.lock().context("lock the turn")?;
    Ok(Turn { _lock: file })
}

/// Says that a test did not run.
pub fn skip(why: &str) {
    say(&format!("SKIPPED: {why}"));
}

/// Says what a test measured. Not with `eprintln`, which the test runner swallows.
pub fn say(text: &str) {
    // Nothing is left to tell if standard error is gone.
    drop(writeln!(io::stderr(), "{text}"));
}

/// Where a program of the host is, by the search path.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// The turn of this test, or the end of it with a visible `SKIPPED` when it lacks privilege.
#[macro_export]
macro_rules! require_root {
    () => {
        match $crate::harness::turn() {
            Ok(turn) => turn,
            Err(why) => {
                $crate::harness::skip(&format!("{}: {why}", module_path!()));
                return;
            }
        }
    };
}

/// The path of a tool, or the end of the test with a visible `SKIPPED` when the host has none.
#[macro_export]
macro_rules! require_tool {
    ($name:literal) => {
        match $crate::harness::tool($name) {
            Some(path) => path,
            None => {
                $crate::harness::skip(&format!("{}: needs {}", module_path!(), $name));
                return;
            }
        }
    };
}

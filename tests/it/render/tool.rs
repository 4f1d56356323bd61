//! Other people's tools: found or skipped in plain sight.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Packages that the browser tests need, at versions known to work.
const NPM_PACKAGES: [&str; 2] = ["playwright-core@1.65.1", "speedscope@1.25.0"];

/// The program's path, or `None` after a line that says what is skipped without it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says that a test did not run.
pub(crate) fn skip(reason: &str) {
    println!("SKIPPED: {reason}");
}

/// Runs a program to its end and returns what it said.
#[track_caller]
pub(crate) fn run<A: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = A>) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program).args(args).output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{}: {stdout}{stderr}", program.display());
    stdout
}

/// A folder below the build's own, for what tests install.
fn cache_dir() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    target.join("npm")
}

/// `node_modules` with the packages in it, installed at the first call; `None` after a line that
/// says why not.
pub(crate) fn node_modules() -> Option<PathBuf> {
    let npm = find("npm")?;
    let dir = cache_dir();
    fs::create_dir_all(&dir).unwrap();
    // Tests run at the same time, in processes of their own.
    let lock = File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let modules = dir.join("node_modules");
    let stamp = dir.join("installed");
    let wanted = NPM_PACKAGES.join(" ");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Some(modules);
    }
    let install = Command::new(npm)
        .args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(&dir)
        .args(NPM_PACKAGES)
        .output()
        .unwrap();
    if !install.status.success() {
        skip(&format!(
            "npm cannot install {wanted}: {}",
            String::from_utf8_lossy(&install.stderr)
        ));
        return None;
    }
    fs::write(stamp, wanted).unwrap();
    Some(modules)
}

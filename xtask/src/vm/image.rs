//! What a guest runs from: the product, two workloads and busybox, as an initramfs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::cpio::Archive;
use crate::{command::Step, repository::Repository};

/// The one target the matrix covers. Naming it keeps flags for the product away from what the
/// build itself runs, and the artifacts away from the ordinary ones.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where things are mounted in a guest, and where programs lie.
const FOLDERS: [&str; 5] = ["bin", "dev", "proc", "sys", "tmp"];

/// The workload, once without and once with frame pointers: name and flags.
const WORKLOADS: [(&str, &[&str]); 2] = [
    ("workload", &["-fomit-frame-pointer"]),
    ("workload-fp", &["-fno-omit-frame-pointer"]),
];

/// Number of /dev/console: the first process has its terminal before devtmpfs is mounted.
const CONSOLE: (u32, u32) = (5, 1);

/// Builds everything and writes the initramfs into a folder.
pub(super) fn build(repository: &Repository, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut archive = Archive::default();
    for name in FOLDERS {
        archive.folder(name);
    }
    archive.character_device("dev/console", CONSOLE);
    archive.program("init", include_bytes!("guest-init"));
    archive.program("bin/busybox", &read(&busybox()?)?);
    archive.program("bin/profiler", &read(&product(repository)?)?);
    for (name, flags) in WORKLOADS {
        archive.program(
            &format!("bin/{name}"),
            &read(&workload(folder, name, flags)?)?,
        );
    }
    let image = folder.join("initramfs.cpio");
    fs::write(&image, archive.finish()).with_context(|| format!("write {}", image.display()))?;
    Ok(image)
}

/// Builds the product with everything it links inside it: a guest has no libraries.
fn product(repository: &Repository) -> anyhow::Result<PathBuf> {
    repository
        .cargo(["build", "--package", "profiler", "--profile", "guest"])
        .args(["--no-default-features"])
        .args(["--target", TARGET])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .run()
        .context("build the profiler as a static program")?;
    Ok(repository.target.join(TARGET).join("guest/profiler"))
}

/// Compiles the workload.
fn workload(folder: &Path, name: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
    let source = folder.join("workload.c");
    fs::write(&source, include_str!("workload.c"))
        .with_context(|| format!("write {}", source.display()))?;
    let program = folder.join(name);
    Step::new("gcc")
        .args(["-static", "-O2"])
        .args(flags)
        .args(["-o"])
        .args([&program, &source])
        .output()
        .with_context(|| format!("compile {name}"))?;
    Ok(program)
}

/// The host's busybox, which the package busybox-static makes a static one.
fn busybox() -> anyhow::Result<PathBuf> {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let found = places.into_iter().find(|place| place.is_file());
    found.map(Path::to_owned).context("there is no busybox")
}

/// Reads a program.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

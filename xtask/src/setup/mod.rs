//! `cargo xtask setup`: installs what is missing, says so, and is quick when nothing is.

mod apt;
mod mounts;
mod npm;
mod toolchain;

use anyhow::Context as _;

use crate::{repository::Repository, web};
use apt::{Need, Presence};

pub(crate) use npm::folder as npm_folder;

/// What the guests of the VM matrix are made of.
const VM_NEEDS: &[Need] = &[
    Need::command("qemu-system-x86", "qemu-system-x86_64"),
    Need::command("busybox-static", "busybox"),
    Need::command("gcc", "gcc"),
    Need::package("libc6-dev"),
];

/// What the tests run, compile or compare with, beyond what the build needs.
const TEST_NEEDS: &[Need] = &[
    Need::command("gcc", "gcc"),
    Need::command("g++", "g++"),
    Need::command("binutils", "objcopy"),
    Need::command("linux-perf", "perf"),
    Need::command("xz-utils", "xz"),
    Need::command("golang-go", "go"),
    Need::command("chromium", "chromium"),
    Need::command("nodejs", "node"),
    Need::command("npm", "npm"),
    Need::command("python3", "python3"),
    Need::package("python3-venv"),
    Need::command("curl", "curl"),
    Need::command("strace", "strace"),
    Need::command("openssl", "openssl"),
    Need::package("libssl-dev"),
    Need::package("libjemalloc2"),
    Need::package("libjemalloc-dev"),
    Need::package("libtcmalloc-minimal4"),
    Need::package("libmimalloc2.0"),
    Need::command("musl-tools", "musl-gcc"),
];

/// Makes the build and `profiler record` possible on this host.
pub(crate) fn for_build() -> anyhow::Result<()> {
    apt::ensure(&[Need {
        package: "gcc",
        presence: Presence::Command("cc"),
    }])?;
    toolchain::ensure().context("set up the toolchain for BPF programs")?;
    mounts::ensure();
    Ok(())
}

/// What the web page is built with.
const PAGE_NEEDS: &[Need] = &[Need::command("nodejs", "node"), Need::command("npm", "npm")];

/// Builds the web page, with what that needs. A host that cannot builds the program without it.
pub(crate) fn for_page(repository: &Repository) -> anyhow::Result<()> {
    apt::ensure(PAGE_NEEDS)?;
    web::ensure_page(repository);
    Ok(())
}

/// Makes the tests possible as well. What cannot be had is said aloud; the tests that need it skip.
pub(crate) fn for_tests(repository: &Repository) -> anyhow::Result<()> {
    for_build()?;
    apt::ensure(&[TEST_NEEDS, VM_NEEDS].concat())?;
    npm::ensure(repository);
    web::ensure_page(repository);
    Ok(())
}

/// Makes the VM matrix possible.
pub(crate) fn for_vm() -> anyhow::Result<()> {
    for_build()?;
    apt::ensure(VM_NEEDS)
}

/// Makes fuzzing possible: the fuzzer's own runtime is C++.
pub(crate) fn for_fuzz() -> anyhow::Result<()> {
    for_build()?;
    apt::ensure(&[Need::command("g++", "g++")])
}

/// Why the VM matrix cannot run on this host; `None` when it can.
pub(crate) fn vm_obstacle() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("the guests are x86-64, this host is not".to_owned());
    }
    let missing = apt::missing(VM_NEEDS);
    (!missing.is_empty()).then(|| format!("missing here: {}", missing.join(" ")))
}

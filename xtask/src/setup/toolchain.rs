//! The toolchain for BPF programs: a compiler with a core library for BPF, and the linker.
//!
//! Two ways, the first that is there or can be had wins; `profiler/build.rs` looks in the same
//! order. Debian ships a compiler with core already built for BPF; everywhere else it is rustup's
//! nightly with the sources of core.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::apt::{self, Need};
use crate::command::{Step, is_command};

/// The compiler, core for BPF, and what linking bpf-linker against LLVM takes.
const DEBIAN_NEEDS: &[Need] = &[
    Need::package("rustc-web"),
    Need::package("libstd-rust-web-dev-bpf"),
    Need::package("llvm-22-dev"),
    Need::package("libpolly-22-dev"),
    Need::package("zlib1g-dev"),
    Need::package("libzstd-dev"),
    Need::package("libxml2-dev"),
];

/// LLVM of Debian's compiler; the linker has to read the bit code that compiler writes.
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";

/// The linker this is proved with. Older ones do not know the LLVM of the compilers above.
const LINKER_VERSION: &str = "0.13.0";

/// Where the compiler for BPF comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Debian's packages.
    Debian,
    /// rustup's nightly with the component rust-src.
    Rustup,
}

/// Installs the compiler and the linker where they are missing.
///
/// # Errors
/// Neither way works here; the message says what to install by hand.
pub(super) fn ensure() -> anyhow::Result<()> {
    let way = match ready() {
        Some(way) => way,
        None => install_compiler()?,
    };
    ensure_linker(way)
}

/// The way that is open already.
fn ready() -> Option<Way> {
    if apt::missing(DEBIAN_NEEDS).is_empty() {
        Some(Way::Debian)
    } else if has_nightly() {
        Some(Way::Rustup)
    } else {
        None
    }
}

/// Opens the first way that can be opened.
fn install_compiler() -> anyhow::Result<Way> {
    let debian = install_debian().context("Debian's packages");
    if let Ok(true) = debian {
        return Ok(Way::Debian);
    }
    let rustup = install_nightly().context("rustup's nightly");
    if let Ok(true) = rustup {
        return Ok(Way::Rustup);
    }
    for error in [debian.err(), rustup.err()].into_iter().flatten() {
        eprintln!("setup: {error:#}");
    }
    bail!(
        "there is no Rust compiler for BPF here. Install one of:\n\
         - on Debian, as root: apt-get update && apt-get install --no-install-recommends {}\n\
         - anywhere: rustup (https://rustup.rs), then: rustup toolchain install nightly \
         --profile minimal --component rust-src\n\
         and run this again",
        apt::missing(DEBIAN_NEEDS).join(" "),
    )
}

/// Installs Debian's packages; false where the archive does not have them all.
fn install_debian() -> anyhow::Result<bool> {
    if !apt::can_install() {
        return Ok(false);
    }
    apt::update()?;
    let missing = apt::missing(DEBIAN_NEEDS);
    if apt::with_candidate(&missing)?.len() < missing.len() {
        return Ok(false);
    }
    apt::install(&missing)?;
    Ok(true)
}

/// Installs rustup's nightly; false where there is no rustup.
fn install_nightly() -> anyhow::Result<bool> {
    if !is_command("rustup") {
        return Ok(false);
    }
    Step::new("rustup")
        .args(["toolchain", "install", "nightly", "--profile", "minimal"])
        .args(["--component", "rust-src"])
        .run()?;
    Ok(true)
}

/// Whether rustup has a nightly with the sources of core.
fn has_nightly() -> bool {
    // `rustup which` only looks; naming the toolchain to the compiler could install it.
    let compiler = Step::new("rustup")
        .args(["which", "--toolchain", "nightly", "rustc"])
        .output();
    compiler.is_ok_and(|path| {
        let sysroot = Path::new(path.trim()).parent().and_then(Path::parent);
        sysroot.is_some_and(|sysroot| {
            sysroot
                .join("lib/rustlib/src/rust/library/Cargo.toml")
                .is_file()
        })
    })
}

/// Installs the linker unless a suitable one starts.
fn ensure_linker(way: Way) -> anyhow::Result<()> {
    let version = Step::new("bpf-linker").args(["--version"]).output();
    if version.is_ok_and(|shown| is_suitable(&shown)) {
        return Ok(());
    }
    let install = Step::new("cargo")
        .args(["install", "bpf-linker", "--version", LINKER_VERSION])
        .args(["--locked", "--force"])
        // The build folder of this workspace is no place for another program's crates.
        .without_env("CARGO_TARGET_DIR");
    match way {
        Way::Debian => install
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("LLVM_PREFIX", DEBIAN_LLVM),
        Way::Rustup => install,
    }
    .run()
    .context("install bpf-linker")
}

/// Whether what `bpf-linker --version` printed is at least the version wanted.
fn is_suitable(shown: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u32>> {
        text.split('.').map(|part| part.parse().ok()).collect()
    };
    let found = shown.split_whitespace().last().and_then(numbers);
    found.is_some_and(|found| Some(found) >= numbers(LINKER_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_linker_is_not_suitable() {
        assert!(is_suitable("bpf-linker 0.13.0\n"));
        assert!(is_suitable("bpf-linker 0.14.1"));
        assert!(is_suitable("bpf-linker 1.0.0"));
        assert!(!is_suitable("bpf-linker 0.9.14"));
        assert!(!is_suitable("bpf-linker"));
        assert!(!is_suitable(""));
    }
}

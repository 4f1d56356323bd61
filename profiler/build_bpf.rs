//! Compiles the kernel side and leaves the object in `OUT_DIR`.
//!
//! Two ways lead there; the first that this machine has is taken and named:
//! Debian's `rustc-web`, which brings `core` for BPF, or rustup's nightly, which builds it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

/// Target triple of the kernel side.
const TARGET: &str = "bpfel-unknown-none";
/// Flags of both ways: type information for the loader and the verifier's messages.
const RUSTFLAGS: &str = "-C linker=bpf-linker -C link-arg=--btf -C debuginfo=2";
/// Compiler of Debian's package; rustup's comes first on PATH.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Builds the object, or says what to install.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for watched in ["profiler-ebpf", "profiler-common"] {
        println!(
            "cargo::rerun-if-changed={}",
            root.join(watched).join("src").display()
        );
        println!(
            "cargo::rerun-if-changed={}",
            root.join(watched).join("Cargo.toml").display()
        );
    }
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let target_dir = out_dir.join("bpf");
    let mut cargo = compiler()?;
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir)
        .current_dir(root.join("profiler-ebpf"))
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("PATH", path_with_cargo_bin()?)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER");
    let status = cargo.status().context("start cargo for the kernel side")?;
    ensure!(
        status.success(),
        "the kernel side does not compile, see above"
    );
    let built = target_dir.join(TARGET).join("release/profiler-ebpf");
    fs::copy(&built, out_dir.join("profiler.bpf.o"))
        .with_context(|| format!("copy {}", built.display()))?;
    Ok(())
}

/// The first way that this machine has, as a cargo command without a task.
fn compiler() -> anyhow::Result<Command> {
    let mut cargo = Command::new(env::var("CARGO")?);
    if has_debian_core() {
        println!("cargo::warning=kernel side built by {DEBIAN_RUSTC} (Debian's rustc-web)");
        cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    } else if has_nightly_source() {
        println!("cargo::warning=kernel side built by rustup's nightly with -Z build-std");
        cargo = Command::new("rustup");
        cargo
            .args(["run", "nightly", "cargo", "-Z", "build-std=core"])
            .env_remove("RUSTC");
    } else {
        bail!(
            "no compiler for BPF: run `cargo xtask setup`, or install by hand either Debian's \
             packages rustc-web and libstd-rust-web-dev-bpf, or rustup's nightly with the \
             component rust-src"
        );
    }
    ensure!(
        Command::new("bpf-linker")
            .arg("--version")
            .env("PATH", path_with_cargo_bin()?)
            .output()
            .is_ok(),
        "no bpf-linker: run `cargo xtask setup`, or install it by hand with `cargo install bpf-linker`"
    );
    Ok(cargo)
}

/// Whether Debian's compiler is here together with `core` for BPF.
fn has_debian_core() -> bool {
    let Ok(output) = Command::new(DEBIAN_RUSTC)
        .args(["--print", "target-libdir", "--target", TARGET])
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
    else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    fs::read_dir(Path::new(folder.trim())).is_ok_and(|mut files| files.next().is_some())
}

/// Whether rustup has a nightly with the source of `core`.
fn has_nightly_source() -> bool {
    let Ok(output) = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output()
    else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
    output.status.success() && source.is_dir()
}

/// PATH with the folder that `cargo install` fills, where bpf-linker is.
fn path_with_cargo_bin() -> anyhow::Result<String> {
    let path = env::var("PATH")?;
    let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| home + "/.cargo"))?;
    Ok(format!("{path}:{home}/bin"))
}

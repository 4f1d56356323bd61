//! Compiles the vendored protobuf definitions into Rust, without needing `protoc`.

use std::path::Path;

use anyhow::Context as _;

/// Folder of definitions, from the crate's root.
const PPROF_DIR: &str = "../proto/vendor/pprof";
/// The definition of the pprof format.
const PPROF_FILE: &str = "profile.proto";

/// Writes `perftools.profiles.rs` into the build's output folder.
pub(crate) fn compile() -> anyhow::Result<()> {
    let file = Path::new(PPROF_DIR).join(PPROF_FILE);
    println!("cargo::rerun-if-changed={}", file.display());
    let descriptors = protox::compile([&file], [PPROF_DIR])
        .with_context(|| format!("parse {}", file.display()))?;
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(descriptors)
        .with_context(|| format!("generate code for {}", file.display()))
}

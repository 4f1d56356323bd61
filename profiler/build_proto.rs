//! Compiles the protobuf definitions into Rust, without needing `protoc`.

use std::{env, fs, path::Path};

use anyhow::Context as _;
use prost_build::Config;

/// Folder of definitions, from the crate's root.
const PROTO_DIR: &str = "../proto";
/// Folder of the definition of the pprof format.
const PPROF_DIR: &str = "../proto/vendor/pprof";
/// The definition of the pprof format.
const PPROF_FILE: &str = "profile.proto";
/// Our own definitions.
const OWN_FILES: [&str; 5] = [
    "profiler/v1/model.proto",
    "profiler/v1/ingest.proto",
    "profiler/v1/insight.proto",
    "profiler/v1/query.proto",
    "profiler/v1/alert.proto",
];

/// Writes `perftools.profiles.rs`, `profiler.v1.rs` and `profiler.v1.descriptors` into the build's
/// output folder.
pub(crate) fn compile() -> anyhow::Result<()> {
    compile_pprof()?;
    compile_own()
}

/// The pprof format: messages only.
fn compile_pprof() -> anyhow::Result<()> {
    let file = Path::new(PPROF_DIR).join(PPROF_FILE);
    println!("cargo::rerun-if-changed={}", file.display());
    let descriptors = protox::compile([&file], [PPROF_DIR])
        .with_context(|| format!("parse {}", file.display()))?;
    Config::new()
        .btree_map(["."])
        .compile_fds(descriptors)
        .with_context(|| format!("generate code for {}", file.display()))
}

/// Our own wire: messages, clients, servers, and the descriptors that reflection serves.
fn compile_own() -> anyhow::Result<()> {
    for file in OWN_FILES {
        println!("cargo::rerun-if-changed={PROTO_DIR}/{file}");
    }
    let mut compiler = protox::Compiler::new([PROTO_DIR]).context("open the definitions")?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(OWN_FILES)
        .context("parse our own definitions")?;
    let output = env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?;
    fs::write(
        Path::new(&output).join("profiler.v1.descriptors"),
        compiler.encode_file_descriptor_set(),
    )
    .context("write the descriptors")?;
    tonic_prost_build::configure()
        .compile_fds(compiler.file_descriptor_set())
        .context("generate code for our own definitions")
}

//! Builds what the crate includes: the BPF object, and code generated from protobuf definitions.

mod build_bpf;
mod build_proto;

fn main() -> anyhow::Result<()> {
    build_proto::compile()?;
    build_bpf::run()
}

//! Builds what the crate includes: code generated from protobuf definitions.

mod build_proto;

fn main() -> anyhow::Result<()> {
    build_proto::compile()
}

//! Builds what the crate includes: the BPF object, code generated from protobuf definitions, and
//! the web page.

mod build_bpf;
mod build_page;
mod build_proto;

fn main() -> anyhow::Result<()> {
    build_proto::compile()?;
    build_page::embed()?;
    build_bpf::run()
}

//! Builds what the binary carries: the BPF object.

mod build_bpf;

fn main() -> anyhow::Result<()> {
    build_bpf::run()
}

//! BPF programs in the kernel have names and source lines.

use std::fs;

use profiler::{
    host::{
        probe::{self, Filter, ProbeOptions, SignalOptions, Unwinding},
        symbolize::{Options, Symbolizer},
    },
    model::{Avma, Naming},
};

use profiler_tests::require_root;

/// Whether the kernel lists BPF programs among its symbols.
pub(super) const LISTED: &str = "/proc/sys/net/core/bpf_jit_kallsyms";

/// A kernel setting that is put back.
pub(super) struct Setting {
    path: &'static str,
    before: String,
}

impl Setting {
    /// Writes a value.
    pub(super) fn change(path: &'static str, value: &str) -> Self {
        let before = fs::read_to_string(path).unwrap();
        fs::write(path, value).unwrap();
        Self { path, before }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        fs::write(self.path, &self.before).unwrap();
    }
}

/// The probe's own sampling program, as the kernel lists it.
#[test]
fn program_in_the_kernel_has_its_source_line() {
    let _turn = require_root!();
    let _listed = Setting::change(LISTED, "1");
    let options = ProbeOptions {
        filter: Filter::default(),
        unwinding: Unwinding::Auto,
        rate_hz: 1,
        cpus: 1,
        signals: SignalOptions::default(),
    };
    let _probe = probe::load(&options).unwrap();
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let address = symbols
        .lines()
        .filter(|line| line.contains(" bpf_prog_") && line.contains("_cpu\t"))
        .find_map(|line| u64::from_str_radix(line.split(' ').next()?, 16).ok())
        .expect("the sampling program is loaded");
    // Behind the prologue that the compiler of the kernel puts in front.
    let naming = Symbolizer::new(Options::default()).name_kernel(&[Avma(address + 64)]);
    let [Naming::Named(locations)] = naming.as_slice() else {
        panic!("{naming:?}")
    };
    let location = locations.last().unwrap();
    assert!(location.function.ends_with(" [bpf]"), "{location:?}");
    let file = location.file.as_deref().unwrap_or_default();
    assert!(file.contains(".rs"), "{location:?}");
    assert!(location.line.is_some_and(|line| 0 < line), "{location:?}");
}

//! Perf maps: any bytes are read, within bounds, and a lookup answers with a whole name or none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler::{host::symbolize::PerfMap, model::Avma};

fuzz_target!(|bytes: &[u8]| {
    let map = PerfMap::read(bytes).expect("reading from memory does not fail");
    for address in [0, 1, 0x1000, u64::MAX] {
        assert!(
            map.lookup(Avma(address))
                .is_none_or(|name| !name.is_empty())
        );
    }
    // Each address that a line starts with.
    for line in bytes.split(|byte| *byte == b'\n') {
        let digits = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        let address = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(address) = address {
            assert!(
                map.lookup(Avma(address))
                    .is_none_or(|name| !name.is_empty())
            );
        }
    }
});

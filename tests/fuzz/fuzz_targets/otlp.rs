//! Any bytes as an OTLP request: every profile that is taken is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler::wire::otlp;

fuzz_target!(|data: &[u8]| {
    if let Ok(found) = otlp::read(data) {
        for read in found.profiles {
            read.profile.validate().expect("every index points inside");
        }
    }
});

//! Any bytes as an object file, and any bytes as its call frame sections: the table keeps its
//! promises, and the search in its words finds what its rows say.
#![no_main]

#[path = "../../it/table_promises.rs"]
mod table_promises;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    table_promises::check_bytes(data);
});

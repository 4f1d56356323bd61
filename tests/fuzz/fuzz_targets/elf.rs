//! Any bytes as an object file: its facts are read, and addresses go there and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler::host::object::Object;

fuzz_target!(|data: &[u8]| {
    let Ok(object) = Object::parse(data) else {
        return;
    };
    let facts = object.facts();
    if let Some(id) = &facts.build_id {
        assert!(!id.as_bytes().is_empty());
    }
    for segment in object.segments().all() {
        let Some(address) = segment.to_svma(segment.file_offset) else {
            assert_eq!(0, segment.file_size_bytes);
            continue;
        };
        assert_eq!(Some(segment.file_offset), segment.to_file_offset(address));
        assert_eq!(None, segment.to_svma(segment.file_end()));
    }
    for name in [b".eh_frame".as_slice(), b".debug_frame", b".symtab"] {
        // An error is a fine answer.
        drop(object.section(name));
    }
});

//! A short, repeatable stretch of what the fuzz targets do for hours: their seeds, with bytes
//! changed, cut and doubled.

use profiler::host::object::Object;

use crate::table_promises::check_bytes;

const SEEDS: [&[u8]; 5] = [
    include_bytes!("../fuzz/corpus/cfi/eh_frame.seed"),
    include_bytes!("../fuzz/corpus/cfi/debug_frame.seed"),
    include_bytes!("../fuzz/corpus/cfi/go.seed"),
    include_bytes!("../fuzz/corpus/cfi/shared.elf"),
    include_bytes!("../fuzz/corpus/cfi/debug.elf"),
];
/// Variants of each seed.
const VARIANTS: u64 = 4_000;

#[test]
fn damaged_files_and_sections_do_no_harm() {
    for seed in SEEDS {
        assert!(check_bytes(seed) >= 9, "a seed describes three functions");
        for variant in 1..=VARIANTS {
            let bytes = damaged(seed, variant);
            check_bytes(&bytes);
            if let Ok(object) = Object::parse(bytes.as_slice()) {
                let facts = object.facts();
                assert!(facts.build_id.is_none_or(|id| !id.as_bytes().is_empty()));
            }
        }
    }
}

/// Changes up to 8 bytes, then perhaps repeats a stretch or cuts the end.
fn damaged(seed: &[u8], variant: u64) -> Vec<u8> {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x0f, 0x40, 0x08];
    let mut random = variant.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut below = |end: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 20).unwrap() % end.max(1)
    };
    let mut bytes = seed.to_vec();
    for _ in 0..=below(8) {
        let at = below(bytes.len());
        bytes[at] = TELLING[below(TELLING.len())] ^ u8::try_from(below(4)).unwrap();
    }
    match below(4) {
        0 => {
            let start = below(bytes.len());
            let end = start + below(bytes.len() - start);
            let stretch = bytes[start..end].to_vec();
            bytes.splice(start..start, stretch);
        }
        1 => bytes.truncate(below(seed.len())),
        _ => {}
    }
    bytes
}

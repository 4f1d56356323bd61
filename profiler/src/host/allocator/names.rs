//! Names of functions that allocate and free.

use profiler_common::alloc::AllocatorCall;

/// What allocators put before the names of the C library: jemalloc in Rust programs and elsewhere,
/// mimalloc, tcmalloc, and the C library itself.
const PREFIXES: [&[u8]; 5] = [b"__libc_", b"_rjem_", b"je_", b"mi_", b"tc_"];

/// The name behind a prefix, and the prefix.
fn split_prefix(name: &[u8]) -> (&[u8], &[u8]) {
    (PREFIXES.iter())
        .find_map(|prefix| Some((*prefix, name.strip_prefix(*prefix)?)))
        .unwrap_or((b"", name))
}

/// What a function of this name does, in C.
pub(super) fn call_of(name: &[u8]) -> Option<AllocatorCall> {
    let (_prefix, plain) = split_prefix(name);
    Some(match plain {
        b"malloc" | b"valloc" | b"pvalloc" | b"mallocx" | b"zalloc" | b"malloc_aligned"
        | b"zalloc_aligned" => AllocatorCall::Allocate,
        b"calloc" | b"mallocn" | b"calloc_aligned" => AllocatorCall::AllocateArray,
        b"memalign" | b"aligned_alloc" => AllocatorCall::AllocateAligned,
        b"posix_memalign" => AllocatorCall::AllocateInto,
        b"realloc" | b"rallocx" | b"realloc_aligned" => AllocatorCall::Reallocate,
        b"reallocarray" | b"reallocn" => AllocatorCall::ReallocateArray,
        b"free"
        | b"cfree"
        | b"dallocx"
        | b"sdallocx"
        | b"free_sized"
        | b"free_aligned_sized"
        | b"free_size"
        | b"free_size_aligned"
        | b"free_aligned" => AllocatorCall::Free,
        _ => return None,
    })
}

/// What an operator of C++ does, by its mangled name. The forms differ in arguments behind the first.
pub(super) fn operator_of(name: &[u8]) -> Option<AllocatorCall> {
    if name.starts_with(b"_Znwm") || name.starts_with(b"_Znam") {
        return Some(AllocatorCall::Allocate);
    }
    let is_delete = name.starts_with(b"_ZdlPv") || name.starts_with(b"_ZdaPv");
    is_delete.then_some(AllocatorCall::Free)
}

/// Whether the file that defines these names is an allocator: it allocates and frees by names that
/// belong together. A program may well have a function of one of these names by chance.
pub(super) fn make_allocator(names: &[&[u8]]) -> bool {
    let (mut allocating, mut freeing) = (Vec::new(), Vec::new());
    for name in names {
        let (prefix, plain) = split_prefix(name);
        match plain {
            b"malloc" => allocating.push(prefix),
            b"free" => freeing.push(prefix),
            _ => {}
        }
    }
    allocating.iter().any(|prefix| freeing.contains(prefix))
}

#[cfg(test)]
mod tests {
    use super::{AllocatorCall, call_of, make_allocator, operator_of};

    #[test]
    fn knows_the_families_by_their_arguments() {
        let calls = [
            ("malloc", Some(AllocatorCall::Allocate)),
            ("_rjem_mallocx", Some(AllocatorCall::Allocate)),
            ("mi_calloc", Some(AllocatorCall::AllocateArray)),
            ("posix_memalign", Some(AllocatorCall::AllocateInto)),
            ("__libc_memalign", Some(AllocatorCall::AllocateAligned)),
            ("sdallocx", Some(AllocatorCall::Free)),
            ("mallopt", None),
            ("my_malloc", None),
            ("freeaddrinfo", None),
        ];
        for (name, call) in calls {
            assert_eq!(call, call_of(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn knows_operators_with_all_their_arguments() {
        for name in ["_Znwm", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t"] {
            assert_eq!(Some(AllocatorCall::Allocate), operator_of(name.as_bytes()));
        }
        for name in ["_ZdlPv", "_ZdaPvm", "_ZdlPvmSt11align_val_t"] {
            assert_eq!(Some(AllocatorCall::Free), operator_of(name.as_bytes()));
        }
        assert_eq!(None, operator_of(b"_ZnwmX".strip_suffix(b"mX").unwrap()));
    }

    #[test]
    fn an_allocator_has_both_ends_of_one_family() {
        let made_by = |names: &[&str]| {
            let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
            make_allocator(&names)
        };
        assert!(made_by(&["calloc", "malloc", "free"]));
        assert!(made_by(&["_rjem_malloc", "_rjem_free"]));
        assert!(!made_by(&["malloc"]), "a wrapper");
        assert!(!made_by(&["mi_free", "je_malloc"]), "by chance");
    }
}

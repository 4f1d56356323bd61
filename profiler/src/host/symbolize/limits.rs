//! Bounds of naming. Everything read here was written by someone else.

use std::time::Duration;

/// Memory that naming one object may use by default, bytes. An eighth of it holds pieces of each
/// file (there are two), a quarter decompressed sections, an eighth a decompressed
/// `.gnu_debugdata`, which its decoder holds up to four times.
pub(super) const MEMORY_SIZE_BYTES_MAX: u64 = 96 << 20;

/// Time that naming one object may take by default. 5,000 addresses all over a 184 MiB debug
/// binary take 0.9 s (`docs/design/0002-naming-memory.md`); a window asks for far fewer.
pub(super) const DEADLINE_PER_OBJECT: Duration = Duration::from_millis(800);

/// Work steps between two looks at the clock: a step is tens of nanoseconds, a look about as much.
pub(super) const STEPS_PER_CLOCK_LOOK: u32 = 512;

/// Piece of a file that is read and kept at a time, bytes. Debug information is visited in small
/// places far apart, a unit at a time.
pub(super) const CHUNK_SIZE_BYTES: u64 = 16 << 10;

/// Piece of a file that is streamed at a time, bytes: a multiple of both symbol sizes.
pub(super) const STREAM_SIZE_BYTES: usize = 48 << 10;

/// Program headers of a file. Real files have about a dozen.
pub(super) const SEGMENTS_MAX: u64 = 4096;

/// Section headers of a file. `-ffunction-sections` objects have tens of thousands.
pub(super) const SECTIONS_MAX: u64 = 100_000;

/// Note sections that are searched for a build id, bytes of each. The note has 36.
pub(super) const NOTE_SIZE_BYTES_MAX: u64 = 4096;

/// Longest mangled name that is demangled, bytes. A guess, far above any name seen.
pub(super) const MANGLED_SIZE_BYTES_MAX: usize = 16 << 10;

/// Longest name or path that leaves this stage, bytes; a longer one is cut and ends in `…`.
pub(super) const NAME_SIZE_BYTES_MAX: usize = 4096;

/// Parts of C++ names nested in each other: the demangler recurses on them. The default of its
/// makers, and enough for a 2 MiB thread stack.
pub(super) const DEMANGLE_DEPTH_MAX: u32 = 96;

/// Largest compressed section that is read, bytes. A guess.
pub(super) const DEBUG_DATA_SIZE_BYTES_MAX: u64 = 16 << 20;

/// Window of a zstd stream, as a power of two: 16 MiB. Linkers use the library's default level,
/// whose window is 2 MiB.
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// Largest separate debug file whose checksum is computed, bytes: about a second of reading.
pub(super) const CHECKSUM_SIZE_BYTES_MAX: u64 = 2 << 30;

/// Abbreviations of one unit, bytes. This project's own binary has 75 KiB for all of its units. The
/// parser makes an estimated 25 bytes of memory out of one.
pub(super) const ABBREVIATIONS_SIZE_BYTES_MAX: u64 = 512 << 10;

/// Header of a line program, and bytes between two of its rows. A guess. The parser makes an
/// estimated 30 bytes of memory out of one.
pub(super) const LINE_HEADER_SIZE_BYTES_MAX: u64 = 2 << 20;

/// Files that a line program may define after its header: an obsolete instruction.
pub(super) const LINE_FILES_MAX: usize = 1 << 16;

/// Units whose start is remembered, for references across units: 8 bytes each.
pub(super) const UNITS_MAX: usize = 1 << 20;

/// Units kept open for references across units.
pub(super) const UNITS_OPEN_MAX: usize = 4;

/// References from an inlined copy to the entry that has the name: three are the rule.
pub(super) const NAME_HOPS_MAX: usize = 16;

/// Names remembered while one object is named. A guess: full of 100-byte names it is 6 MiB.
pub(super) const NAMES_KEPT_MAX: usize = 1 << 16;

/// Inlined functions at one address. A guess; optimized C++ reaches 20.
pub(super) const INLINE_DEPTH_MAX: usize = 64;

/// Largest perf map that is read, bytes. A guess: half a million functions of 128 bytes.
pub(super) const PERF_MAP_SIZE_BYTES_MAX: u64 = 64 << 20;

/// Ranges kept of a perf map, 24 bytes each.
pub(super) const PERF_MAP_ENTRIES_MAX: usize = 1 << 19;

/// Bytes of names kept of a perf map.
pub(super) const PERF_MAP_NAMES_SIZE_BYTES_MAX: usize = 32 << 20;

/// Longest name of a perf map, bytes; a longer one is cut. JITs put whole file paths into it.
pub(super) const PERF_MAP_NAME_SIZE_BYTES_MAX: usize = 512;

/// Kernel symbols kept. The kernel this was written on has 122,000; the rest is room for modules.
pub(super) const KERNEL_SYMBOLS_MAX: usize = 1 << 21;

/// Bytes of kernel symbol names kept: 32 for each symbol.
pub(super) const KERNEL_NAMES_SIZE_BYTES_MAX: usize = 64 << 20;

/// Longest kernel function. The kernel says where a function starts, not where it ends, so an
/// address further than this from the last start is in no function. A guess.
pub(super) const KERNEL_FUNCTION_SIZE_BYTES_MAX: u64 = 1 << 20;

const _: () = assert!(STREAM_SIZE_BYTES.is_multiple_of(24) && STREAM_SIZE_BYTES.is_multiple_of(16));
const _: () = assert!(CHUNK_SIZE_BYTES.is_power_of_two());
const _: () = assert!(PERF_MAP_NAME_SIZE_BYTES_MAX <= NAME_SIZE_BYTES_MAX);
const _: () = assert!(KERNEL_NAMES_SIZE_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(PERF_MAP_NAMES_SIZE_BYTES_MAX <= u32::MAX as usize);

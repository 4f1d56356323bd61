//! Bounds on what one object's call frame information may cost, each with its reason.

use profiler_common::limits::{RULES_MAX, TABLE_PAGE_SIZE_BYTES};

/// Rows of one table. A 150 MB compiler has 1.2 million.
pub(super) const ROWS_MAX: usize = 8 << 20;
/// Functions of one object: twenty times those of a 150 MB compiler.
pub(super) const FUNCTIONS_MAX: usize = 2 << 20;
/// Distinct rules of one object: what the host has room for. 14 large binaries gave 1,428.
pub(super) const TABLE_RULES_MAX: usize = RULES_MAX as usize;
/// Distinct common information entries of one object. Linkers merge them to a few dozen; without
/// that there is one for each compiled file.
pub(super) const CIES_MAX: usize = 1 << 16;
/// Bytes of a common information entry. Real ones have 20 to 40; each is run once.
pub(super) const CIE_SIZE_BYTES_MAX: usize = 1 << 10;
/// States remembered at one time by one function. Compilers nest two or three deep.
pub(super) const REMEMBERED_STATES_MAX: usize = 32;
/// Operations of an expression that is looked at: the longest known one, a lazy PLT entry's.
pub(super) const OPERATIONS_MAX: usize = 9;
/// Code past this offset in a file gets no rows, so that the page index stays below 1 MiB.
pub(super) const FILE_OFFSET_MAX: u64 = 1 << 34;
const _: () = assert!((FILE_OFFSET_MAX / TABLE_PAGE_SIZE_BYTES) * 4 <= 1 << 20);
/// Bytes that are searched for signal trampolines in one object. The C library of musl has 0.6 MB
/// of code, and Go puts its runtime first.
pub(super) const SEARCHED_SIZE_BYTES_MAX: u64 = 4 << 20;
/// Stretches of code searched in one object, each a read. A debugger of 20,000 functions has 1.
pub(super) const GAPS_MAX: usize = 1 << 10;
/// Bytes of the smallest stretch searched: what fills up to the next function is shorter.
pub(super) const GAP_SIZE_BYTES_MIN: u64 = 16;
/// Executable segments searched in one object. Linkers write one or two.
pub(super) const SEGMENTS_SEARCHED_MAX: usize = 8;
/// Files in the cache: more than the objects one host runs in its life between upgrades.
/// What is found beyond that is removed.
pub(super) const CACHE_FILES_MAX: usize = 1 << 16;

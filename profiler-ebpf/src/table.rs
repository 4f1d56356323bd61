//! Searches: an address in a process's mappings, a file offset in an unwind table.
//!
//! Positions start from a number that the verifier does not know and are masked where they are
//! used. Then both ways out of a comparison leave the same state behind, and checking a search
//! costs its length instead of two to the power of it.

use core::hint::black_box;

use profiler_common::{
    limits::{
        CHUNK_SEARCH_STEPS, MAPPINGS_PER_NODE, NODE_SEARCH_STEPS, PAGE_SEARCH_STEPS,
        RULES_REMEMBERED, TABLE_CHUNK_WORDS,
    },
    mapping::{MappingEntry, MappingNode, NodeKind, child_key, root_key},
    unwind_row::{RuleCode, UnwindRow},
};

use crate::maps::{KnownRule, MAPPINGS, Scratch, TABLES, Table, TableChunk, Walk};

/// Why no mapping was found.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum NoMapping {
    /// The process has no mappings.
    UnknownProcess,
    /// None of them holds the address.
    Unmapped,
}

/// Finds the mapping of a process that holds `address`.
#[inline(always)]
pub(crate) fn find_mapping(
    walk: *mut Walk,
    address: u64,
) -> Result<*const MappingEntry, NoMapping> {
    // SAFETY: a live map element; the daemon replaces nodes whole, and a replaced one stays
    // readable until this program ends.
    unsafe {
        let zero = (*walk).zero;
        let root = MAPPINGS
            .get_ptr(root_key((*walk).pid))
            .ok_or(NoMapping::UnknownProcess)?;
        let mut entry = find_entry(root, address, zero).ok_or(NoMapping::Unmapped)?;
        if (*root).kind == NodeKind::Inner as u32 {
            let child = MAPPINGS
                .get_ptr(child_key((*entry).table))
                .ok_or(NoMapping::Unmapped)?;
            entry = find_entry(child, address, zero).ok_or(NoMapping::Unmapped)?;
        }
        Ok(entry)
    }
}

/// Finds the entry of a node that holds `address`.
#[inline(always)]
unsafe fn find_entry(
    node: *const MappingNode,
    address: u64,
    zero: u32,
) -> Option<*const MappingEntry> {
    // SAFETY: every index is masked to the length of the array.
    unsafe {
        let entries = (&raw const (*node).entries).cast::<MappingEntry>();
        let count = (*node).count;
        let mut position = zero;
        let mut step = 1 << (NODE_SEARCH_STEPS - 2);
        while step != 0 {
            let next = position + step;
            if next < count && (*entries.add(masked(next, MAPPINGS_PER_NODE))).start <= address {
                position = next;
            }
            step >>= 1;
        }
        let entry = entries.add(masked(position, MAPPINGS_PER_NODE));
        let holds = position < count && (*entry).start <= address && address < (*entry).end;
        holds.then_some(entry)
    }
}

/// An index that the verifier can see is below `length`, a power of two.
#[inline(always)]
const fn masked(index: u32, length: u32) -> usize {
    (index & (length - 1)) as usize
}

/// Code of the rule of `frame`, from memory or, once, from `find`.
#[inline(always)]
pub(crate) fn find_known_rule(
    scratch: *mut Scratch,
    frame: u64,
    find: impl FnOnce() -> Option<u16>,
) -> Option<u16> {
    /// 2^64 divided by the golden ratio: spreads neighbours over the whole range.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let slot = frame.wrapping_mul(SPREAD) >> (64 - RULES_REMEMBERED.ilog2());
    // SAFETY: a live map element that the program claimed; the index has as many bits as the array.
    let known = unsafe {
        (&raw mut (*scratch).known_rules)
            .cast::<KnownRule>()
            .add(slot as usize)
    };
    // SAFETY: as above.
    unsafe {
        if (*known).frame == frame {
            return Some((*known).code as u16);
        }
        let code = find()?;
        (*known).frame = frame;
        (*known).code = u64::from(code);
        Some(code)
    }
}

/// What the table in `slot` says of the code at `file_offset`, as the code of a rule; `None` while
/// it is not loaded.
#[inline(always)]
pub(crate) fn find_rule(slot: u32, file_offset: u64) -> Option<u16> {
    let table = TABLES.get(slot)?;
    let page = (file_offset >> 16) as u32;
    let head = table.get_ptr(0)?;
    if word_of(head, 0) <= page {
        return Some(RuleCode::NoInfo.to_u16());
    }
    // The first element covers 64 MB of a file, so a second look-up is rare.
    let (first, end) = if page < TABLE_CHUNK_WORDS - 2 {
        // Hidden from the compiler, which would widen the mask that the verifier needs.
        let page = black_box(page);
        (word_of(head, page + 1), word_of(head, page + 2))
    } else {
        (read_word(table, page + 1)?, read_word(table, page + 2)?)
    };
    if end <= first {
        return Some(RuleCode::NoInfo.to_u16());
    }
    search_page(table, first, end - 1, file_offset as u16)
}

/// One word of a table.
#[inline(always)]
fn read_word(table: &Table, index: u32) -> Option<u32> {
    let chunk = table.get_ptr(index / TABLE_CHUNK_WORDS)?;
    Some(word_of(chunk, index))
}

/// One word of an element, by its index in the whole table.
#[inline(always)]
fn word_of(chunk: *const TableChunk, index: u32) -> u32 {
    // SAFETY: the index is masked to the length of the element.
    unsafe { *chunk.cast::<u32>().add(masked(index, TABLE_CHUNK_WORDS)) }
}

/// Code of the last row in `first ..= last` that begins at or before `pc_low`.
#[inline(always)]
fn search_page(table: &Table, first: u32, last: u32, pc_low: u16) -> Option<u16> {
    let begins_before = |word: u32| UnwindRow::from_word(word).pc_low <= pc_low;
    // Which element: nearly always there is one, or two.
    let mut chunk_first = first / TABLE_CHUNK_WORDS;
    let mut chunk_last = last / TABLE_CHUNK_WORDS;
    for _ in 0..PAGE_SEARCH_STEPS {
        if chunk_last <= chunk_first {
            break;
        }
        let middle = (chunk_first + chunk_last).div_ceil(2);
        let chunk = table.get_ptr(middle)?;
        if begins_before(word_of(chunk, 0)) {
            chunk_first = middle;
        } else {
            chunk_last = middle - 1;
        }
    }
    let chunk = table.get_ptr(chunk_first)?;
    let chunk_start = chunk_first * TABLE_CHUNK_WORDS;
    let mut position = first.max(chunk_start);
    let last = last.min(chunk_start + (TABLE_CHUNK_WORDS - 1));
    let mut step = 1 << (CHUNK_SEARCH_STEPS - 1);
    while step != 0 {
        let next = position + step;
        if next <= last && begins_before(word_of(chunk, next)) {
            position = next;
        }
        step >>= 1;
    }
    Some(UnwindRow::from_word(word_of(chunk, position)).code)
}

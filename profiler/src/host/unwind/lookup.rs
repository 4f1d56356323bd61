//! The search in a table's words, step for step as the probe does it.

use profiler_common::{
    limits::{CHUNK_SEARCH_STEPS, PAGE_SEARCH_STEPS, TABLE_CHUNK_WORDS, TABLE_PAGE_SIZE_BYTES},
    unwind_row::{RuleCode, UnwindRow},
};

use super::encode::TableChunk;

/// Finds what a table says of the code at `file_offset`.
///
/// Whatever the words hold, this ends after a fixed number of steps and reads only inside of them.
pub fn lookup(words: &[TableChunk], file_offset: u64) -> RuleCode {
    find(words, file_offset).map_or(RuleCode::NoInfo, |row| RuleCode::from_u16(row.code))
}

/// Finds the row in force; `None` where the table has none.
fn find(words: &[TableChunk], file_offset: u64) -> Option<UnwindRow> {
    let page = u32::try_from(file_offset / TABLE_PAGE_SIZE_BYTES).ok()?;
    let pc_low = u16::try_from(file_offset % TABLE_PAGE_SIZE_BYTES).ok()?;
    if page >= word(words, 0)? {
        return None;
    }
    let begin = word(words, page.checked_add(1)?)?;
    let end = word(words, page.checked_add(2)?)?;
    if begin >= end {
        return None;
    }

    // First the element, by the row it begins with; the first element may begin with other things.
    let first_chunk = begin / TABLE_CHUNK_WORDS;
    let last_chunk = end.checked_sub(1)? / TABLE_CHUNK_WORDS;
    let chunk_count = last_chunk.checked_sub(first_chunk)?.checked_add(1)?;
    let chunk_begin = |index: u32| {
        first_chunk
            .checked_add(index)?
            .checked_mul(TABLE_CHUNK_WORDS)
    };
    let starts_at = |index| row(words, chunk_begin(index)?);
    let index = last_not_after(pc_low, chunk_count, PAGE_SEARCH_STEPS, starts_at)?;

    // Then the row, among those of the page in this element.
    let low = chunk_begin(index)?.max(begin);
    let high = chunk_begin(index.checked_add(1)?)?.min(end);
    let row_at = |index: u32| row(words, low.checked_add(index)?);
    let row_count = high.checked_sub(low)?;
    let index = last_not_after(pc_low, row_count, CHUNK_SEARCH_STEPS, row_at)?;
    row_at(index)
}

/// Index of the last of `count` rows that is not after `pc_low`, the first taken for granted.
fn last_not_after(
    pc_low: u16,
    count: u32,
    steps: u32,
    row_at: impl Fn(u32) -> Option<UnwindRow>,
) -> Option<u32> {
    let (mut base, mut left) = (0u32, count);
    for _ in 0..steps {
        let half = left / 2;
        if half == 0 {
            continue;
        }
        let middle = base.checked_add(half)?;
        if row_at(middle)?.pc_low <= pc_low {
            base = middle;
            left = left.checked_sub(half)?;
        } else {
            left = half;
        }
    }
    Some(base)
}

/// Reads a row.
fn row(words: &[TableChunk], index: u32) -> Option<UnwindRow> {
    word(words, index).map(UnwindRow::from_word)
}

/// Reads a word.
fn word(words: &[TableChunk], index: u32) -> Option<u32> {
    let chunk = words.get(usize::try_from(index / TABLE_CHUNK_WORDS).ok()?)?;
    let place = usize::try_from(index % TABLE_CHUNK_WORDS).ok()?;
    chunk.get(place).copied()
}

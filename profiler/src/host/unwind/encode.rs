//! Tables as the probe searches them; `profiler_common::unwind_row` describes the words.

use profiler_common::{
    limits::{TABLE_CHUNK_WORDS, TABLE_PAGE_SIZE_BYTES},
    unwind_row::{RuleCode, UnwindRow, UnwindRule},
};

use super::{UnwindTable, table::PackedRow};

/// Words in an element of a table.
const CHUNK_WORDS: usize = TABLE_CHUNK_WORDS as usize;

/// One element of a table: a page of memory.
pub type TableChunk = [u32; CHUNK_WORDS];

impl UnwindTable {
    /// Writes the table as words; `assign` gives each distinct rule its place in the host's array.
    ///
    /// `assign` is asked once for each rule, in the order of [`Self::rules`]; it answers
    /// `RuleCode::Unsupported` when the array is full. The last element ends in zeros.
    pub fn encode(&self, assign: &mut dyn FnMut(&UnwindRule) -> RuleCode) -> Vec<TableChunk> {
        let codes: Vec<u16> = self
            .rules()
            .iter()
            .map(|rule| assign(rule).to_u16())
            .collect();
        let code_of = |row: PackedRow| match row.code() {
            RuleCode::Rule(number) => codes
                .get(usize::from(number))
                .copied()
                .unwrap_or(RuleCode::Unsupported.to_u16()),
            RuleCode::EndOfStack
            | RuleCode::NoInfo
            | RuleCode::SignalFrame
            | RuleCode::FramePointer
            | RuleCode::Unsupported => row.code_u16(),
        };
        chunks(&words(self.packed_rows(), code_of))
    }
}

/// Writes the head, the page index and the rows.
fn words(rows: &[PackedRow], code_of: impl Fn(PackedRow) -> u16) -> Vec<u32> {
    let no_info = RuleCode::NoInfo.to_u16();
    let page_count = rows.last().map_or(0, |row| page(*row).saturating_add(1));
    let head_count = page_count.saturating_add(2);
    let mut words = Vec::with_capacity(head_count.saturating_add(rows.len()));
    words.resize(head_count, 0);
    let mut in_force = no_info;
    let mut rest = rows;
    for page_index in 0..page_count {
        set(&mut words, page_index.saturating_add(1));
        let count = rest.partition_point(|row| page(*row) == page_index);
        let (in_page, after) = rest.split_at(count);
        rest = after;
        let begins_with_row = in_page.first().is_some_and(|row| pc_low(*row) == 0);
        let has_rows = !in_page.is_empty() || in_force != no_info;
        if has_rows && !begins_with_row {
            words.push(word(0, in_force));
        }
        for row in in_page {
            in_force = code_of(*row);
            words.push(word(pc_low(*row), in_force));
        }
    }
    set(&mut words, page_count.saturating_add(1));
    if let Some(head) = words.first_mut() {
        *head = u32::try_from(page_count).unwrap_or(0);
    }
    words
}

/// Notes in the index, at `place`, that the next row begins where the words end now.
fn set(words: &mut [u32], place: usize) {
    // At most ROWS_MAX rows and as many pages: far below 2^32.
    let next = u32::try_from(words.len()).unwrap_or(0);
    if let Some(word) = words.get_mut(place) {
        *word = next;
    }
}

/// The page that a row lies in.
fn page(row: PackedRow) -> usize {
    usize::try_from(row.file_offset() / TABLE_PAGE_SIZE_BYTES).unwrap_or(usize::MAX)
}

/// Where in its page a row lies.
fn pc_low(row: PackedRow) -> u16 {
    u16::try_from(row.file_offset() % TABLE_PAGE_SIZE_BYTES).unwrap_or(u16::MAX)
}

/// One row as a word.
fn word(pc_low: u16, code: u16) -> u32 {
    UnwindRow { pc_low, code }.to_word()
}

/// Cuts words into elements, the last one filled up with zeros.
fn chunks(words: &[u32]) -> Vec<TableChunk> {
    let (whole, rest) = words.as_chunks::<CHUNK_WORDS>();
    let mut chunks = whole.to_vec();
    if !rest.is_empty() {
        let mut last = [0; CHUNK_WORDS];
        for (place, word) in last.iter_mut().zip(rest) {
            *place = *word;
        }
        chunks.push(last);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::{
        RuleCode::{self, EndOfStack, FramePointer, NoInfo, Rule, SignalFrame, Unsupported},
        UnwindRule,
    };

    use super::{PackedRow, TableChunk, UnwindTable};
    use crate::host::unwind::{CompileCounts, lookup};

    /// A table of `rows`, with one rule for each number that they use.
    fn table(rows: &[(u64, RuleCode)]) -> UnwindTable {
        let rules = (0..4)
            .map(|cfa_offset| UnwindRule {
                cfa_offset,
                ..UnwindRule::default()
            })
            .collect();
        let rows = rows
            .iter()
            .map(|(file_offset, code)| PackedRow::new(*file_offset, *code))
            .collect();
        UnwindTable::new(rules, rows, CompileCounts::default())
    }

    /// Encodes with the numbers shifted by 100.
    fn encoded(table: &UnwindTable) -> Vec<TableChunk> {
        table.encode(&mut |rule| Rule(u16::try_from(rule.cfa_offset).unwrap() + 100))
    }

    /// The whole search, against a scan of the rows.
    #[track_caller]
    fn check(rows: &[(u64, RuleCode)], offsets: impl IntoIterator<Item = u64>) {
        let words = encoded(&table(rows));
        for offset in offsets {
            let after = rows.partition_point(|(start, _)| *start <= offset);
            let before = after.checked_sub(1).map(|last| rows[last].1);
            let expected = match before.unwrap_or(NoInfo) {
                Rule(number) => Rule(number + 100),
                code @ (EndOfStack | NoInfo | SignalFrame | FramePointer | Unsupported) => code,
            };
            assert_eq!(expected, lookup(&words, offset), "at {offset:#x}");
        }
    }

    #[test]
    fn an_empty_table_knows_nothing() {
        check(&[], [0, 1, 0xffff, 0x10000, u64::MAX]);
        assert_eq!(NoInfo, lookup(&[], 0));
    }

    #[test]
    fn the_words_are_as_the_kernel_contract_says() {
        let words = encoded(&table(&[(0x1_0010, Rule(1)), (0x1_0020, NoInfo)]));
        // Two pages; the first has no rows, the second three.
        let expected = [2, 4, 4, 7, 0xfffe_0000, 0x0065_0010, 0xfffe_0020, 0];
        assert_eq!(1, words.len());
        assert_eq!(expected, words[0][..8]);
    }

    #[test]
    fn a_rule_reaches_into_the_pages_after_it() {
        let rows = [
            (0xfff0, Rule(1)),
            (0x4_0000, Rule(2)),
            (0x4_8000, EndOfStack),
            (0x5_0001, NoInfo),
        ];
        let edges = rows
            .iter()
            .flat_map(|(start, _)| [start - 1, *start, start + 1]);
        let pages = (0..8).flat_map(|page| [page << 16, (page << 16) + 0xffff]);
        check(&rows, edges.chain(pages).chain([u64::MAX]));
    }

    #[test]
    fn a_page_with_a_row_for_each_byte_is_searched_to_the_end() {
        let rows: Vec<_> = (0x1_0000..0x3_0000)
            .map(|offset| (offset, Rule(u16::from(offset % 2 == 0))))
            .chain([(0x3_0000, NoInfo)])
            .collect();
        check(&rows, 0xfff0..0x3_0010);
    }

    #[test]
    fn words_that_make_no_sense_are_searched_without_harm() {
        for seed in 1..200u32 {
            let mut word = seed;
            let mut chunk = [0; 1_024];
            for place in &mut chunk {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *place = word >> (seed % 32);
            }
            for offset in (0..0x20_0000).step_by(0x777) {
                let code = lookup(&[chunk; 2], offset);
                let is_read = |word: &u32| RuleCode::from_u16((word >> 16) as u16) == code;
                assert!(code == NoInfo || chunk.iter().any(is_read));
            }
        }
    }
}

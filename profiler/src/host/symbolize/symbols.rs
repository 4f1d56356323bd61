//! Which symbol covers an address: one pass over the symbol tables, memory for the answers only.

use std::{cmp::Ordering, ops::Range, rc::Rc};

use super::{
    bytes::FileBytes,
    elf::{Elf, Fields, SECTION_DYNSYM, SECTION_SYMTAB, Section},
    error::ReadError,
    limits::{MANGLED_SIZE_BYTES_MAX, STREAM_SIZE_BYTES},
};
use crate::model::Svma;

/// `STT_NOTYPE`: a label of hand-written assembly.
const TYPE_NONE: u8 = 0;
/// `STT_FUNC`
const TYPE_FUNCTION: u8 = 2;
/// `STT_GNU_IFUNC`
const TYPE_INDIRECT_FUNCTION: u8 = 10;
/// `STB_LOCAL`
const BINDING_LOCAL: u8 = 0;
/// `STB_WEAK`
const BINDING_WEAK: u8 = 2;

/// Which of the two symbol tables of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Table {
    /// `.symtab`: every symbol.
    Full,
    /// `.dynsym`: exported ones only.
    Dynamic,
}

impl Table {
    /// `SHT_*`
    const fn section_kind(self) -> u32 {
        match self {
            Self::Full => SECTION_SYMTAB,
            Self::Dynamic => SECTION_DYNSYM,
        }
    }
}

/// The search for the symbols of some addresses, over several tables.
///
/// A symbol with a size names the addresses inside it. A symbol without one (hand-written
/// assembly) names what follows it up to the next symbol or the end of its section, when it stands
/// in a full table: a dynamic table has gaps, and a name would be invented there.
#[derive(Debug)]
pub(super) struct SymbolSearch<'targets> {
    /// The addresses, ascending, each once.
    targets: &'targets [Svma],
    /// For each address: the best symbol with a size.
    covering: Vec<Option<Candidate>>,
    /// For each address: the last symbol that starts after the address before it, and not after
    /// it.
    last_start: Vec<Option<Candidate>>,
    /// Where names are read from.
    name_tables: Vec<NameTable>,
}

/// A symbol that may name an address.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Where it starts.
    start: u64,
    /// Whether it may name what follows it: no size, full table.
    is_open: bool,
    /// Whether the code section of an open symbol ends after this address.
    section_end: u64,
    /// Functions before labels, global before weak before local.
    rank: u8,
    /// Index in [`SymbolSearch::name_tables`].
    name_table: usize,
    /// Offset of its name in there.
    name: u32,
}

/// Where the names of a symbol table are.
#[derive(Debug)]
struct NameTable {
    /// The file.
    bytes: Rc<FileBytes>,
    /// Place in the file.
    range: Range<u64>,
}

impl<'targets> SymbolSearch<'targets> {
    /// Starts a search. `targets` are ascending and each there once.
    pub(super) fn new(targets: &'targets [Svma]) -> Self {
        Self {
            targets,
            covering: vec![None; targets.len()],
            last_start: vec![None; targets.len()],
            name_tables: Vec::new(),
        }
    }

    /// Looks through one table of a file. Returns whether the file has it.
    ///
    /// # Errors
    /// The table does not lie in the file, or the time is over. What was found stays.
    pub(super) fn scan(&mut self, elf: &Elf, table: Table) -> Result<bool, ReadError> {
        let Some(section) = elf.section_of_kind(table.section_kind()) else {
            return Ok(false);
        };
        let Some(names) = usize::try_from(section.link)
            .ok()
            .and_then(|i| elf.section(i))
        else {
            return Ok(false);
        };
        self.name_tables.push(NameTable {
            bytes: Rc::clone(&elf.bytes),
            range: names.offset..names.offset.saturating_add(names.size),
        });
        let stride: u8 = if elf.is_64 { 24 } else { 16 };
        let mut buffer = vec![0; STREAM_SIZE_BYTES];
        let mut at = section.offset;
        let end = section.offset.saturating_add(section.size);
        while at < end {
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let size = left.min(STREAM_SIZE_BYTES);
            let part = buffer.get_mut(..size).unwrap_or_default();
            elf.bytes.stream_at(at, part)?;
            for bytes in part.chunks_exact(stride.into()) {
                self.consider(elf, table, &Symbol::parse(bytes, elf.is_64)?)?;
            }
            at = at.saturating_add(size as u64);
        }
        Ok(true)
    }

    /// Keeps a symbol wherever it is better than what was there.
    fn consider(&mut self, elf: &Elf, table: Table, symbol: &Symbol) -> Result<(), ReadError> {
        let Some(section) = symbol.code_section(elf) else {
            return Ok(());
        };
        let candidate = Candidate {
            start: symbol.value,
            is_open: symbol.size == 0 && table == Table::Full,
            section_end: section.address.saturating_add(section.size),
            rank: symbol.rank(),
            name_table: self.name_tables.len().saturating_sub(1),
            name: symbol.name,
        };
        let first = self.first_target_from(symbol.value);
        if let Some(last_start) = self.last_start.get_mut(first)
            && last_start.is_none_or(|old| candidate.starts_better(&old))
        {
            *last_start = Some(candidate);
        }
        if symbol.size == 0 {
            return Ok(());
        }
        let end = self.first_target_from(symbol.value.saturating_add(symbol.size));
        for index in first..end {
            elf.bytes.budget().spend(1)?;
            self.cover(index, candidate)?;
        }
        Ok(())
    }

    /// The index of the first address that is not below `address`.
    fn first_target_from(&self, address: u64) -> usize {
        self.targets.partition_point(|target| target.0 < address)
    }

    /// Keeps a covering symbol: the closest start, then the better rank, then the plainer name.
    fn cover(&mut self, index: usize, new: Candidate) -> Result<(), ReadError> {
        let old = self.covering.get(index).copied().flatten();
        let order = old.map_or(Ordering::Greater, |old| {
            (new.start, new.rank).cmp(&(old.start, old.rank))
        });
        let is_better = match (order, old) {
            (Ordering::Equal, Some(old)) => self.is_plainer(&new, &old)?,
            (order, _) => order == Ordering::Greater,
        };
        if let (true, Some(slot)) = (is_better, self.covering.get_mut(index)) {
            *slot = Some(new);
        }
        Ok(())
    }

    /// Whether the name of `new` is the one a person would write: `malloc` before `__libc_malloc`.
    fn is_plainer(&self, new: &Candidate, old: &Candidate) -> Result<bool, ReadError> {
        let (Ok(new), Ok(old)) = (self.name(new), self.name(old)) else {
            // A name that cannot be read is no reason to prefer it; no time left is.
            return self.check_time().map(|()| false);
        };
        let plainness = |name: &[u8]| {
            let underscores = name.iter().take_while(|byte| **byte == b'_').count();
            // `_Z` and `_R` are spelling, not privacy.
            let is_mangled =
                underscores == 1 && matches!(name.get(1), Some(b'Z' | b'R' | b'z' | b'r'));
            if is_mangled { 0 } else { underscores }
        };
        Ok((plainness(&new), new.len(), &new) < (plainness(&old), old.len(), &old))
    }

    /// Asks the clock of the file that was read last.
    fn check_time(&self) -> Result<(), ReadError> {
        self.name_tables
            .last()
            .map_or(Ok(()), |table| table.bytes.budget().spend(1))
    }

    /// Reads a name.
    fn name(&self, candidate: &Candidate) -> Result<Vec<u8>, ReadError> {
        let table = self
            .name_tables
            .get(candidate.name_table)
            .ok_or(ReadError::Malformed {
                what: "a symbol without a table of names",
            })?;
        let start = table.range.start.saturating_add(candidate.name.into());
        table
            .bytes
            .text_at(start, table.range.end, MANGLED_SIZE_BYTES_MAX)
    }

    /// Reads the names that were found, one answer for each address, mangled as they are.
    pub(super) fn into_names(self) -> Vec<Option<Vec<u8>>> {
        let mut before: Option<Candidate> = None;
        let mut names = Vec::with_capacity(self.targets.len());
        for ((target, covering), last_start) in self
            .targets
            .iter()
            .zip(&self.covering)
            .zip(&self.last_start)
        {
            if let Some(last_start) = last_start {
                before = Some(*last_start);
            }
            let open = before.filter(|open| open.is_open && target.0 < open.section_end);
            let name = covering
                .or(open)
                .and_then(|candidate| self.name(&candidate).ok())
                .filter(|name| !name.is_empty());
            names.push(name);
        }
        names
    }
}

impl Candidate {
    /// Whether this one ends the reach of `old`, or is the better name for the same start. A
    /// symbol with a size says where its code ends, so it wins.
    fn starts_better(&self, old: &Self) -> bool {
        (self.start, !self.is_open, self.rank) > (old.start, !old.is_open, old.rank)
    }
}

/// An entry of a symbol table.
struct Symbol {
    /// Offset of the name.
    name: u32,
    /// Type and binding.
    info: u8,
    /// Index of the section.
    section: u16,
    /// Where it starts.
    value: u64,
    /// Bytes; zero when unknown.
    size: u64,
}

impl Symbol {
    /// Reads an entry.
    fn parse(bytes: &[u8], is_64: bool) -> Result<Self, ReadError> {
        let fields = Fields { bytes, is_64 };
        Ok(Self {
            name: fields.double(0, 0)?,
            info: fields.byte(12, 4)?,
            section: fields.half(14, 6)?,
            value: fields.word(4, 8)?,
            size: fields.word(8, 16)?,
        })
    }

    /// The code section that it starts in, when it can name code at all.
    fn code_section<'elf>(&self, elf: &'elf Elf) -> Option<&'elf Section> {
        let can_name = matches!(
            self.info & 0xf,
            TYPE_NONE | TYPE_FUNCTION | TYPE_INDIRECT_FUNCTION
        );
        if self.section == 0 || !can_name {
            return None;
        }
        elf.section(self.section.into())
            .filter(|section| section.has_code_at(self.value))
    }

    /// Functions before labels, global before weak before local.
    fn rank(&self) -> u8 {
        let function = u8::from(self.info & 0xf != TYPE_NONE);
        let binding = match self.info >> 4 {
            BINDING_LOCAL => 0,
            BINDING_WEAK => 1,
            _ => 2,
        };
        function << 2 | binding
    }
}

//! Which function of a unit holds an address, and what is inlined there.

use gimli::{Abbreviation, AttributeValue, EntriesRaw, Section as _, UnitOffset, constants};

use super::{Dwarf, Unit, reader::SectionReader, targets::within};
use crate::{host::symbolize::limits::INLINE_DEPTH_MAX, model::Svma};

/// A value of an attribute.
type Value = AttributeValue<SectionReader>;

/// The function at an address and what is inlined into it.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    /// The function that the machine code is in.
    pub function: Option<UnitOffset>,
    /// Bytes of code of that function: a smaller one inside it wins.
    size: u64,
    /// Outermost first.
    pub inlined: Vec<Inlined>,
}

/// A function inlined into another one.
#[derive(Clone, Debug)]
pub(super) struct Inlined {
    /// The entry of this copy.
    pub entry: UnitOffset,
    /// Index of the file that calls it.
    pub call_file: Option<u64>,
    /// Line of the call.
    pub call_line: Option<u32>,
    /// How deep the entry is nested.
    depth: isize,
}

/// What an entry that may hold code says of itself.
#[derive(Default)]
struct Entry {
    /// First address.
    low: Option<u64>,
    /// End, as an address.
    high: Option<u64>,
    /// End, as a number of bytes.
    size: Option<u64>,
    /// Scattered ranges.
    ranges: Option<Value>,
    /// The entry after all of its children.
    sibling: Option<UnitOffset>,
    /// Index of the file that calls it.
    call_file: Option<u64>,
    /// Line of the call.
    call_line: Option<u32>,
}

/// What an entry may have in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum EntryKind {
    /// A function: code and inlined functions, or neither for a declaration.
    Function,
    /// A copy of a function inside another one.
    Inlined,
    /// A type: seldom the functions of a local class.
    Type,
    /// Anything else: what is inside it is looked at.
    Other,
}

/// What a walk passes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// What is inside functions without any of the addresses, and inside types.
    Skipping,
    /// Nothing: GCC puts the code of a lambda inside the types inside the description of the
    /// function that the lambda stands in. One address in 1,500 of a C++ program is there.
    Thorough,
}

/// A walk over the entries of one unit.
struct Walk<'unit> {
    /// All debug information.
    dwarf: &'unit Dwarf,
    /// The unit.
    unit: &'unit Unit,
    /// The addresses, ascending.
    targets: &'unit [Svma],
    /// What to pass over.
    pace: Pace,
    /// One for each address.
    chains: Vec<Chain>,
}

/// Finds the chains of addresses (ascending), one for each. What comes after a malformed entry
/// is not found.
pub(super) fn find(dwarf: &Dwarf, unit: &Unit, targets: &[Svma]) -> Vec<Chain> {
    let mut chains = walk(dwarf, unit, targets, Pace::Skipping);
    let mut missing: Vec<(Svma, &mut Chain)> = targets
        .iter()
        .copied()
        .zip(&mut chains)
        .filter(|(_, chain)| chain.function.is_none())
        .collect();
    if !missing.is_empty() {
        let targets: Vec<Svma> = missing.iter().map(|(target, _)| *target).collect();
        let found = walk(dwarf, unit, &targets, Pace::Thorough);
        for ((_, chain), found) in missing.iter_mut().zip(found) {
            **chain = found;
        }
    }
    chains
}

/// Walks over the unit once.
fn walk(dwarf: &Dwarf, unit: &Unit, targets: &[Svma], pace: Pace) -> Vec<Chain> {
    let mut walk = Walk {
        dwarf,
        unit,
        targets,
        pace,
        chains: vec![Chain::default(); targets.len()],
    };
    let _is_cut = walk.run().is_err();
    walk.chains
}

impl Walk<'_> {
    /// Visits every entry that may hold one of the addresses.
    fn run(&mut self) -> gimli::Result<()> {
        let unit = self.unit;
        let mut entries = unit.entries_raw(None)?;
        // Depth at which `entries` began.
        let mut base = 0_isize;
        // Entries deeper than this are in a function without any of the addresses.
        let mut skipped = isize::MAX;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let depth = base.saturating_add(entries.next_depth());
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            // The attributes of an entry may take no bytes at all.
            let steps = abbreviation.attributes().len();
            self.dwarf.debug_info.reader().spend(steps)?;
            let kind = EntryKind::of(abbreviation);
            if depth <= skipped {
                skipped = isize::MAX;
            }
            if depth > skipped || kind == EntryKind::Other {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let entry = self.read_entry(&mut entries, abbreviation)?;
            let is_held = self.visit(&entry, offset, kind, depth)?;
            if is_held || self.pace == Pace::Thorough || !abbreviation.has_children() {
                continue;
            }
            // Only forward: a sibling may point anywhere.
            if let Some(sibling) = entry.sibling.filter(|next| *next > entries.next_offset()) {
                entries = unit.entries_raw(Some(sibling))?;
                base = depth;
            } else if kind != EntryKind::Type {
                skipped = depth;
            }
        }
        Ok(())
    }

    /// Reads the attributes of an entry.
    fn read_entry(
        &self,
        entries: &mut EntriesRaw<'_, SectionReader>,
        abbreviation: &Abbreviation,
    ) -> gimli::Result<Entry> {
        let mut entry = Entry::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            let value = attribute.value();
            match attribute.name() {
                constants::DW_AT_low_pc => entry.low = self.dwarf.attr_address(self.unit, value)?,
                constants::DW_AT_high_pc => {
                    entry.size = value.udata_value();
                    entry.high = self.dwarf.attr_address(self.unit, value)?;
                }
                constants::DW_AT_ranges => entry.ranges = Some(value),
                constants::DW_AT_call_file => {
                    let index = value.udata_value();
                    entry.call_file = if let AttributeValue::FileIndex(index) = value {
                        Some(index)
                    } else {
                        index
                    };
                }
                constants::DW_AT_call_line => {
                    let line = value.udata_value();
                    entry.call_line = line.and_then(|line| u32::try_from(line).ok());
                }
                constants::DW_AT_sibling => {
                    if let AttributeValue::UnitRef(offset) = value {
                        entry.sibling = Some(offset);
                    }
                }
                _ => {}
            }
        }
        Ok(entry)
    }

    /// Keeps an entry for each address in it. Returns whether there was one.
    fn visit(
        &mut self,
        entry: &Entry,
        offset: UnitOffset,
        kind: EntryKind,
        depth: isize,
    ) -> gimli::Result<bool> {
        let mut is_held = false;
        let ranges = self.code_of(entry)?;
        let size = ranges.iter().fold(0_u64, |sum, (begin, end)| {
            sum.saturating_add(end.saturating_sub(*begin))
        });
        for (begin, end) in ranges {
            for index in within(self.targets, begin, end) {
                is_held = true;
                let Some(chain) = self.chains.get_mut(index) else {
                    continue;
                };
                match kind {
                    EntryKind::Function => chain.begin(offset, size),
                    EntryKind::Inlined => chain.inline(Inlined {
                        entry: offset,
                        call_file: entry.call_file,
                        call_line: entry.call_line,
                        depth,
                    }),
                    EntryKind::Type | EntryKind::Other => {}
                }
            }
        }
        Ok(is_held)
    }

    /// The ranges of an entry that hold at least one of the addresses.
    fn code_of(&self, entry: &Entry) -> gimli::Result<Vec<(u64, u64)>> {
        let mut held = Vec::new();
        if let Some(value) = &entry.ranges {
            let Some(mut ranges) = self.dwarf.attr_ranges(self.unit, value.clone())? else {
                return Ok(held);
            };
            while let Some(range) = ranges.next()? {
                // At most one for each address, as a list of ranges may be as long as the file.
                if held.len() < self.targets.len()
                    && !within(self.targets, range.begin, range.end).is_empty()
                {
                    held.push((range.begin, range.end));
                }
            }
        } else if let Some(low) = entry.low {
            let size = entry.size.unwrap_or_default();
            let high = entry.high.unwrap_or(low.saturating_add(size));
            if !within(self.targets, low, high).is_empty() {
                held.push((low, high));
            }
        }
        Ok(held)
    }
}

impl Chain {
    /// Puts an address into a function, unless it is in a smaller one already.
    fn begin(&mut self, function: UnitOffset, size: u64) {
        if self.function.is_none() || size <= self.size {
            *self = Self {
                function: Some(function),
                size,
                inlined: Vec::new(),
            };
        }
    }

    /// Adds an inlined function below the ones it is nested in.
    fn inline(&mut self, inlined: Inlined) {
        self.inlined.retain(|outer| outer.depth < inlined.depth);
        if self.function.is_some() && self.inlined.len() < INLINE_DEPTH_MAX {
            self.inlined.push(inlined);
        }
    }
}

impl EntryKind {
    /// The kind of an entry of this form.
    fn of(abbreviation: &Abbreviation) -> Self {
        match abbreviation.tag() {
            constants::DW_TAG_subprogram => Self::Function,
            constants::DW_TAG_inlined_subroutine => Self::Inlined,
            constants::DW_TAG_class_type
            | constants::DW_TAG_structure_type
            | constants::DW_TAG_union_type
            | constants::DW_TAG_enumeration_type => Self::Type,
            _ => Self::Other,
        }
    }
}

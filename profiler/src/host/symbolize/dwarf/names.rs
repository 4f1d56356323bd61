//! Names of functions, through the references between entries.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use gimli::{AttributeValue, DebugInfoOffset, Reader as _, UnitOffset, constants};

use super::{Dwarf, Unit, reader::SectionReader, units};
use crate::host::symbolize::{
    demangle::{readable, shortened},
    limits::{NAME_HOPS_MAX, NAMES_KEPT_MAX, UNITS_OPEN_MAX},
};

/// A value of an attribute.
type Value = AttributeValue<SectionReader>;

/// The names of one file's functions, read when asked for and kept.
#[derive(Debug)]
pub(super) struct Names<'dwarf> {
    /// All debug information.
    dwarf: &'dwarf Dwarf,
    /// Names by place of the entry in `.debug_info`; at most [`NAMES_KEPT_MAX`].
    known: HashMap<usize, String>,
    /// Starts of all units; read at the first reference across units.
    starts: Option<Vec<usize>>,
    /// Units that were referred to last; at most [`UNITS_OPEN_MAX`].
    open: VecDeque<Rc<Unit>>,
}

/// What an entry says of its name.
#[derive(Default)]
struct Entry {
    /// The symbol.
    linkage_name: Option<Value>,
    /// The name in the source, without what it is part of.
    name: Option<Value>,
    /// The entry that says more.
    origin: Option<Value>,
}

impl<'dwarf> Names<'dwarf> {
    /// Starts with none.
    pub(super) fn new(dwarf: &'dwarf Dwarf) -> Self {
        Self {
            dwarf,
            known: HashMap::new(),
            starts: None,
            open: VecDeque::new(),
        }
    }

    /// All debug information.
    pub(super) fn dwarf(&self) -> &'dwarf Dwarf {
        self.dwarf
    }

    /// The readable name of the function that an entry describes.
    pub(super) fn get(&mut self, unit: &Rc<Unit>, offset: UnitOffset) -> Option<String> {
        let mut visited = Vec::new();
        let name = self.follow(Rc::clone(unit), offset, &mut visited)?;
        for place in visited {
            if self.known.len() < NAMES_KEPT_MAX {
                self.known.insert(place, name.clone());
            }
        }
        Some(name)
    }

    /// Goes from entry to entry until one has the symbol; else the first plain name is it.
    fn follow(
        &mut self,
        mut unit: Rc<Unit>,
        mut offset: UnitOffset,
        visited: &mut Vec<usize>,
    ) -> Option<String> {
        let mut plain = None;
        for _ in 0..NAME_HOPS_MAX {
            let place = offset.to_debug_info_offset(&unit.header)?;
            if let Some(name) = self.known.get(&place.0) {
                return Some(name.clone());
            }
            visited.push(place.0);
            let entry = read_entry(&unit, offset).ok()?;
            if let Some(symbol) = entry.linkage_name.and_then(|value| self.text(&unit, value)) {
                return Some(readable(&symbol));
            }
            plain = plain.or_else(|| {
                let name = self.text(&unit, entry.name?)?;
                Some(shortened(&String::from_utf8_lossy(&name)))
            });
            match entry.origin {
                Some(AttributeValue::UnitRef(origin)) => offset = origin,
                Some(AttributeValue::DebugInfoRef(origin)) => {
                    unit = self.unit_with(origin)?;
                    offset = origin.to_unit_offset(&unit.header)?;
                }
                _ => break,
            }
        }
        plain
    }

    /// Opens the unit that an entry is in.
    fn unit_with(&mut self, place: DebugInfoOffset) -> Option<Rc<Unit>> {
        let is_inside = |unit: &&Rc<Unit>| place.to_unit_offset(&unit.header).is_some();
        if let Some(unit) = self.open.iter().find(is_inside) {
            return Some(Rc::clone(unit));
        }
        let starts = self.starts.get_or_insert_with(|| units::starts(self.dwarf));
        let after = starts.partition_point(|start| *start <= place.0);
        let start = *starts.get(after.checked_sub(1)?)?;
        let header = self.dwarf.unit_header(DebugInfoOffset(start)).ok()?;
        let unit = Rc::new(units::open(self.dwarf, header).ok()?);
        if self.open.len() >= UNITS_OPEN_MAX {
            self.open.pop_front();
        }
        self.open.push_back(Rc::clone(&unit));
        Some(unit)
    }

    /// Reads a text; absent when it is empty or not there.
    fn text(&self, unit: &Unit, value: Value) -> Option<Vec<u8>> {
        let reader = self.dwarf.attr_string(unit, value).ok()?;
        let text = reader.to_slice().ok()?.into_owned();
        (!text.is_empty()).then_some(text)
    }
}

/// Reads what one entry says of its name.
fn read_entry(unit: &Unit, offset: UnitOffset) -> gimli::Result<Entry> {
    let mut entries = unit.entries_raw(Some(offset))?;
    let mut entry = Entry::default();
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Ok(entry);
    };
    for specification in abbreviation.attributes() {
        let attribute = entries.read_attribute(*specification)?;
        match attribute.name() {
            constants::DW_AT_linkage_name | constants::DW_AT_MIPS_linkage_name => {
                entry.linkage_name = Some(attribute.value());
            }
            constants::DW_AT_name => entry.name = Some(attribute.value()),
            constants::DW_AT_abstract_origin => entry.origin = Some(attribute.value()),
            constants::DW_AT_specification if entry.origin.is_none() => {
                entry.origin = Some(attribute.value());
            }
            _ => {}
        }
    }
    Ok(entry)
}

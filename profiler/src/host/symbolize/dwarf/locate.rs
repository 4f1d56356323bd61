//! Locations of the addresses of one file.

use std::rc::Rc;

use gimli::SectionId;

use super::{
    Dwarf, Unit,
    inlines::{self, Chain},
    lines::{self, Paths, Place},
    names::Names,
    reader::SectionReader,
    units::{self, UnitStart},
};
use crate::{
    host::symbolize::{bytes::FileBytes, debug_data::section_content, elf::Elf, error::ReadError},
    model::{Location, Svma},
};

/// Finds the locations of addresses (ascending, each once), one list for each.
///
/// A list is innermost first. Its last location is the function that the machine code is in; the
/// name of that one is empty where the debug information does not say it. An address that no unit
/// knows has an empty list.
///
/// # Errors
/// The debug sections of `elf` do not lie in the file, or unpack to more than
/// `unpacked_size_max` bytes. What else is malformed only has no locations.
pub(in crate::host::symbolize) fn locate(
    elf: &Elf,
    targets: &[Svma],
    unpacked_size_max: u64,
) -> Result<Vec<Vec<Location>>, ReadError> {
    let dwarf = load(elf, unpacked_size_max)?;
    let mut names = Names::new(&dwarf);
    let mut located = vec![Vec::new(); targets.len()];
    let held = units::find(&dwarf, targets);
    for pairs in held.chunk_by(|left, right| left.0 == right.0) {
        let Some((start, _)) = pairs.first() else {
            continue;
        };
        let indexes: Vec<usize> = pairs.iter().map(|(_, index)| *index).collect();
        locate_in_unit(&mut names, *start, (targets, &indexes), &mut located);
    }
    Ok(located)
}

/// Opens the debug sections.
fn load(elf: &Elf, unpacked_size_max: u64) -> Result<Dwarf, ReadError> {
    let mut size_left = unpacked_size_max;
    Dwarf::load(|id| load_section(elf, id, &mut size_left))
}

/// Opens one debug section: as a range of the file, or unpacked. Empty when it is not there, or
/// not needed here.
fn load_section(elf: &Elf, id: SectionId, size_left: &mut u64) -> Result<SectionReader, ReadError> {
    // Locations of variables, often the largest section, and macros.
    let is_needless = matches!(
        id,
        SectionId::DebugLoc
            | SectionId::DebugLocLists
            | SectionId::DebugMacinfo
            | SectionId::DebugMacro
            | SectionId::DebugNames
            | SectionId::DebugTypes
    );
    let section = (!is_needless).then(|| elf.section_named(id.name()));
    let Some(section) = section.flatten() else {
        let empty = FileBytes::image(&[], elf.bytes.budget());
        return Ok(SectionReader::new(empty, 0, 0));
    };
    if !section.is_compressed() {
        let bytes = Rc::clone(&elf.bytes);
        return Ok(SectionReader::new(bytes, section.offset, section.size));
    }
    let content = section_content(elf, section, *size_left)?;
    let size = content.len() as u64;
    *size_left = size_left.saturating_sub(size);
    let bytes = FileBytes::image(&content, elf.bytes.budget());
    Ok(SectionReader::new(bytes, 0, size))
}

/// Finds the locations of the addresses that one unit holds.
fn locate_in_unit(
    names: &mut Names<'_>,
    start: UnitStart,
    (targets, indexes): (&[Svma], &[usize]),
    located: &mut [Vec<Location>],
) {
    let dwarf = names.dwarf();
    let unit = dwarf
        .unit_header(start)
        .and_then(|header| units::open(dwarf, header));
    let Ok(unit) = unit.map(Rc::new) else {
        return;
    };
    let here: Vec<Svma> = indexes
        .iter()
        .filter_map(|index| targets.get(*index).copied())
        .collect();
    let chains = inlines::find(dwarf, &unit, &here);
    let places = lines::find(dwarf, &unit, &here);
    let mut paths = Paths::new(dwarf, &unit);
    for ((index, chain), place) in indexes.iter().zip(chains).zip(places) {
        let Some(slot) = located.get_mut(*index) else {
            continue;
        };
        let locations = locations_of(names, &mut paths, &unit, (&chain, place));
        // Two units may claim an address; the one with more to say is kept.
        let is_named =
            |list: &[Location]| list.last().is_some_and(|last| !last.function.is_empty());
        if slot.is_empty() || (is_named(&locations) && !is_named(slot)) {
            *slot = locations;
        }
    }
}

/// Puts names and places together: the innermost function is at the place of the line table, every
/// other one at the call of the one inside it.
fn locations_of(
    names: &mut Names<'_>,
    paths: &mut Paths<'_>,
    unit: &Rc<Unit>,
    (chain, place): (&Chain, Option<Place>),
) -> Vec<Location> {
    if chain.function.is_none() && place.is_none() {
        return Vec::new();
    }
    let mut file = place.and_then(|place| paths.get(place.file));
    let mut line = place.and_then(|place| place.line);
    let mut locations = Vec::with_capacity(chain.inlined.len().saturating_add(1));
    for inlined in chain.inlined.iter().rev() {
        let call_file = inlined.call_file.and_then(|file| paths.get(file));
        let file = std::mem::replace(&mut file, call_file);
        let line = std::mem::replace(&mut line, inlined.call_line.filter(|line| *line > 0));
        // An inlined function without a name would be an empty box; its caller still tells.
        if let Some(function) = names.get(unit, inlined.entry) {
            locations.push(Location {
                function,
                file,
                line,
            });
        }
    }
    let function = chain
        .function
        .and_then(|function| names.get(unit, function))
        .unwrap_or_default();
    locations.push(Location {
        function,
        file,
        line,
    });
    locations
}

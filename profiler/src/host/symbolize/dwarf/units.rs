//! Which units of the debug information hold which addresses.

use gimli::{DebugInfoOffset, Section as _, UnitHeader, UnitType};

use super::{Dwarf, Unit, reader::SectionReader, targets::within};
use crate::{
    host::symbolize::limits::{
        ABBREVIATIONS_SIZE_BYTES_MAX, LINE_HEADER_SIZE_BYTES_MAX, UNITS_MAX,
    },
    model::Svma,
};

/// Start of a unit in `.debug_info`.
pub(super) type UnitStart = DebugInfoOffset<usize>;

/// Pairs of a unit and the index of an address in it, sorted by unit.
pub(super) type Held = Vec<(UnitStart, usize)>;

/// Opens a unit, with a bound on what its tables take.
///
/// # Errors
/// The unit does not parse, or a bound was reached.
pub(super) fn open(dwarf: &Dwarf, header: UnitHeader<SectionReader>) -> gimli::Result<Unit> {
    dwarf
        .debug_abbrev
        .reader()
        .allow(ABBREVIATIONS_SIZE_BYTES_MAX);
    dwarf.debug_line.reader().allow(LINE_HEADER_SIZE_BYTES_MAX);
    dwarf.unit(header)
}

/// Finds the units of addresses (ascending, each once).
///
/// First from `.debug_aranges`, a table made for this; what is not in there (clang writes none)
/// from the ranges that each unit gives itself.
/// Parts that do not parse hold nothing, and neither does what is left when the time is over.
pub(super) fn find(dwarf: &Dwarf, targets: &[Svma]) -> Held {
    let mut held = Held::new();
    // A table that ends early still has what came before.
    let _is_cut = find_in_table(dwarf, targets, &mut held).is_err();
    let mut is_found = vec![false; targets.len()];
    for (_, index) in &held {
        if let Some(found) = is_found.get_mut(*index) {
            *found = true;
        }
    }
    if is_found.contains(&false) {
        let _is_cut = find_in_units(dwarf, targets, &is_found, &mut held).is_err();
    }
    held.sort_unstable();
    held.dedup();
    held
}

/// Looks through `.debug_aranges`.
fn find_in_table(dwarf: &Dwarf, targets: &[Svma], held: &mut Held) -> gimli::Result<()> {
    let mut headers = dwarf.debug_aranges.headers();
    while let Some(header) = headers.next()? {
        let unit = header.debug_info_offset();
        let mut entries = header.entries();
        while let Some(entry) = entries.next()? {
            let range = entry.range();
            hold(targets, &[], (range.begin, range.end), unit, held);
        }
    }
    Ok(())
}

/// Looks through the units, for the addresses that are not found yet.
fn find_in_units(
    dwarf: &Dwarf,
    targets: &[Svma],
    is_found: &[bool],
    held: &mut Held,
) -> gimli::Result<()> {
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let Some(start) = header.debug_info_offset() else {
            continue;
        };
        if !matches!(
            header.type_(),
            UnitType::Compilation | UnitType::Skeleton(_)
        ) {
            continue;
        }
        // A unit that does not parse holds nothing; the next one may.
        if let Ok(unit) = open(dwarf, header)
            && let Ok(mut ranges) = dwarf.unit_ranges(&unit)
        {
            while let Ok(Some(range)) = ranges.next() {
                hold(targets, is_found, (range.begin, range.end), start, held);
            }
        }
        dwarf.debug_info.reader().spend(1)?;
    }
    Ok(())
}

/// Keeps the pairs of a unit and the addresses that a range of it holds.
fn hold(
    targets: &[Svma],
    is_found: &[bool],
    (begin, end): (u64, u64),
    unit: UnitStart,
    held: &mut Held,
) {
    for index in within(targets, begin, end) {
        let is_known = is_found.get(index).copied().unwrap_or_default();
        // A hostile file may claim each address for each of its units.
        if !is_known && held.len() < UNITS_MAX {
            held.push((unit, index));
        }
    }
}

/// The starts of all units, ascending, at most [`UNITS_MAX`].
pub(super) fn starts(dwarf: &Dwarf) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if starts.len() >= UNITS_MAX {
            break;
        }
        starts.extend(header.debug_info_offset().map(|start| start.0));
    }
    starts
}

//! Source files and lines of the addresses in a unit.

use std::collections::HashMap;

use gimli::{AttributeValue, LineProgramHeader, Section as _};

use super::{Dwarf, Unit, reader::SectionReader, targets::within};
use crate::{
    host::symbolize::{
        demangle::shortened,
        limits::{LINE_FILES_MAX, LINE_HEADER_SIZE_BYTES_MAX},
    },
    model::Svma,
};

/// A place in the source, as the line table says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Index of the file.
    pub file: u64,
    /// Line, absent for code that no line is the source of.
    pub line: Option<u32>,
}

/// Finds the places of addresses (ascending), one answer for each. What comes after a malformed
/// instruction is not found.
pub(super) fn find(dwarf: &Dwarf, unit: &Unit, targets: &[Svma]) -> Vec<Option<Place>> {
    let mut places = vec![None; targets.len()];
    let _is_cut = run(dwarf, unit, targets, &mut places).is_err();
    places
}

/// Runs the line program once.
fn run(
    dwarf: &Dwarf,
    unit: &Unit,
    targets: &[Svma],
    places: &mut [Option<Place>],
) -> gimli::Result<()> {
    let Some(program) = unit.line_program.clone() else {
        return Ok(());
    };
    let mut rows = program.rows();
    // Start and place of the row before, and start of its sequence.
    let mut before: Option<(u64, Place)> = None;
    let mut sequence_start = None;
    loop {
        dwarf.debug_line.reader().allow(LINE_HEADER_SIZE_BYTES_MAX);
        let Some((header, row)) = rows.next_row()? else {
            return Ok(());
        };
        if header.file_names().len() > LINE_FILES_MAX {
            return Ok(());
        }
        let address = row.address();
        let start = *sequence_start.get_or_insert(address);
        if let Some((begin, place)) = before
            && start != 0
        {
            for index in within(targets, begin, address) {
                if let Some(slot) = places.get_mut(index) {
                    slot.get_or_insert(place);
                }
            }
        }
        let line = row.line().and_then(|line| u32::try_from(line.get()).ok());
        let file = row.file_index();
        before = (!row.end_sequence()).then_some((address, Place { file, line }));
        if row.end_sequence() {
            sequence_start = None;
        }
    }
}

/// Paths of the files of a unit, each read once.
#[derive(Debug)]
pub(super) struct Paths<'unit> {
    /// All debug information.
    dwarf: &'unit Dwarf,
    /// The unit.
    unit: &'unit Unit,
    /// Paths by index; bounded by the indexes that are asked for.
    known: HashMap<u64, Option<String>>,
}

impl<'unit> Paths<'unit> {
    /// Starts with none.
    pub(super) fn new(dwarf: &'unit Dwarf, unit: &'unit Unit) -> Self {
        Self {
            dwarf,
            unit,
            known: HashMap::new(),
        }
    }

    /// The path of a file, absolute wherever the compiler said enough.
    pub(super) fn get(&mut self, file: u64) -> Option<String> {
        if let Some(path) = self.known.get(&file) {
            return path.clone();
        }
        let path = self.read(file);
        self.known.insert(file, path.clone());
        path
    }

    /// Joins the directories and the name of a file.
    fn read(&self, file: u64) -> Option<String> {
        let header: &LineProgramHeader<_> = self.unit.line_program.as_ref()?.header();
        let entry = header.file(file)?;
        let mut path = self.text(entry.path_name())?;
        if !path.starts_with('/')
            && let Some(directory) = entry.directory(header).and_then(|value| self.text(value))
        {
            path = joined(&directory, &path);
        }
        if !path.starts_with('/')
            && let Some(directory) = &self.unit.comp_dir
        {
            let directory = gimli::Reader::to_string_lossy(directory).ok()?;
            path = joined(&directory, &path);
        }
        Some(shortened(&path)).filter(|path| !path.is_empty())
    }

    /// Reads the text of an attribute.
    fn text(&self, value: AttributeValue<SectionReader>) -> Option<String> {
        let reader = self.dwarf.attr_string(self.unit, value).ok()?;
        Some(gimli::Reader::to_string_lossy(&reader).ok()?.into_owned())
    }
}

/// Puts a directory before a path.
fn joined(directory: &str, path: &str) -> String {
    if directory.is_empty() || directory == "." {
        return path.to_owned();
    }
    format!("{}/{path}", directory.trim_end_matches('/'))
}

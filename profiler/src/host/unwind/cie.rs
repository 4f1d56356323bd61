//! Common information entries: what many functions start from, parsed and run once.

use std::{collections::HashMap, rc::Rc};

use gimli::{BaseAddresses, CommonInformationEntry, FrameDescriptionEntry, UnwindOffset};

use super::{
    entry::FrameSection,
    expression::Slice,
    limits::{CIE_SIZE_BYTES_MAX, CIES_MAX},
    machine::{Machine, Start},
    state::State,
};

/// A common entry and what its instructions come to.
#[derive(Debug)]
pub(super) struct Cie<'d> {
    /// As parsed.
    pub entry: CommonInformationEntry<Slice<'d>>,
    /// What its functions start from.
    pub start: Start,
}

/// A function's entry and its common entry.
#[derive(Debug)]
pub(super) struct Fde<'d> {
    /// As parsed.
    pub entry: FrameDescriptionEntry<Slice<'d>>,
    /// What the function starts from.
    pub cie: Rc<Cie<'d>>,
}

/// The common entries of a section, as far as functions asked for them.
#[derive(Debug)]
pub(super) struct Cies<'s, 'd, S> {
    section: &'s S,
    bases: &'s BaseAddresses,
    /// By offset in the section. One that does not parse is remembered as such.
    known: HashMap<usize, Option<Rc<Cie<'d>>>>,
    /// The one asked for last; mostly the next one too.
    last: Option<(usize, Rc<Cie<'d>>)>,
}

impl<'s, 'd, S: FrameSection<'d>> Cies<'s, 'd, S> {
    /// Starts without any.
    pub(super) fn new(section: &'s S, bases: &'s BaseAddresses) -> Self {
        Self {
            section,
            bases,
            known: HashMap::new(),
            last: None,
        }
    }

    /// Parses the function's entry at `offset`; `None` if it or its common entry does not parse.
    pub(super) fn function(&mut self, offset: usize) -> Option<Fde<'d>> {
        let partial = self
            .section
            .partial_fde_from_offset(self.bases, offset.into())
            .ok()?;
        let cie = self.get(UnwindOffset::into(partial.cie_offset()))?;
        let entry = partial.parse(|_, _, _| Ok(cie.entry.clone())).ok()?;
        Some(Fde { entry, cie })
    }

    /// The common entry at `offset`.
    fn get(&mut self, offset: usize) -> Option<Rc<Cie<'d>>> {
        if let Some((last, cie)) = &self.last
            && *last == offset
        {
            return Some(Rc::clone(cie));
        }
        if !self.known.contains_key(&offset) && self.known.len() >= CIES_MAX {
            return None;
        }
        let (section, bases) = (self.section, self.bases);
        let cie = self
            .known
            .entry(offset)
            .or_insert_with(|| parse(section, bases, offset).map(Rc::new))
            .clone()?;
        self.last = Some((offset, Rc::clone(&cie)));
        Some(cie)
    }
}

/// Parses the common entry at `offset` and runs its instructions.
fn parse<'d, S: FrameSection<'d>>(
    section: &S,
    bases: &BaseAddresses,
    offset: usize,
) -> Option<Cie<'d>> {
    let entry = section.cie_from_offset(bases, offset.into()).ok()?;
    if entry.entry_len() > CIE_SIZE_BYTES_MAX {
        return None;
    }
    let start = Start {
        state: State::INITIAL,
        data_alignment: entry.data_alignment_factor(),
        return_address: entry.return_address_register(),
    };
    let mut machine = Machine::new(*section.section(), start);
    let mut instructions = entry.instructions(section, bases);
    while let Some(instruction) = instructions.next().ok()? {
        machine.run(&instruction).ok()?;
    }
    let start = Start {
        state: machine.state,
        ..start
    };
    Some(Cie { entry, start })
}

//! Writes the rows of one function.

use std::ops::Range;

use gimli::{BaseAddresses, CallFrameInstruction};
use profiler_common::unwind_row::RuleCode;

use super::{
    cie::Fde,
    entry::FrameSection,
    machine::{Machine, Malformed},
    rule_set::RuleSet,
    state::{Meaning, State, meaning},
    table::PackedRow,
};

/// Writes the rows of one function, from its first byte of code to its last.
#[derive(Debug)]
pub(super) struct RowWriter<'r> {
    rules: &'r mut RuleSet,
    rows: &'r mut Vec<PackedRow>,
    /// Code in the file.
    code: Range<u64>,
    /// Code before this offset has its rows.
    location: u64,
    /// What the last row says; `None` before the first.
    written: Option<RuleCode>,
}

impl<'r> RowWriter<'r> {
    /// Prepares to write rows for `code`.
    pub(super) fn new(
        rules: &'r mut RuleSet,
        rows: &'r mut Vec<PackedRow>,
        code: Range<u64>,
    ) -> Self {
        Self {
            rules,
            rows,
            location: code.start,
            code,
            written: None,
        }
    }

    /// Runs a function's instructions and writes what holds where.
    ///
    /// # Errors
    /// Instructions that contradict themselves; the code from there on has become unsupported.
    pub(super) fn write<'d, S: FrameSection<'d>>(
        &mut self,
        fde: &Fde<'d>,
        machine: &mut Machine<'d>,
        (section, bases): (&S, &BaseAddresses),
    ) -> Result<(), Malformed> {
        machine.restart(fde.cie.start);
        let mut instructions = fde.entry.instructions(section, bases);
        let is_signal_frame = fde.entry.is_signal_trampoline();
        while self.location < self.code.end {
            let step = match instructions.next() {
                Ok(Some(instruction)) => match self.target(&instruction, fde) {
                    Some(target) => self.advance(target, &machine.state, is_signal_frame),
                    None => machine.run(&instruction),
                },
                Ok(None) => self.advance(self.code.end, &machine.state, is_signal_frame),
                Err(_) => Err(Malformed),
            };
            if step.is_err() {
                self.push(RuleCode::Unsupported);
                return step;
            }
        }
        Ok(())
    }

    /// Where in the file an instruction moves to, if it moves.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two instructions move; the machine lists the others"
    )]
    fn target(&self, instruction: &CallFrameInstruction<usize>, fde: &Fde<'_>) -> Option<u64> {
        match *instruction {
            CallFrameInstruction::AdvanceLoc { delta } => {
                let unit = fde.cie.entry.code_alignment_factor();
                let distance = u64::from(delta).saturating_mul(unit);
                Some(self.location.saturating_add(distance))
            }
            CallFrameInstruction::SetLoc { address } => {
                // Before the function: 0, which `advance` refuses.
                let distance = address.checked_sub(fde.entry.initial_address());
                Some(distance.map_or(0, |distance| self.code.start.saturating_add(distance)))
            }
            _ => None,
        }
    }

    /// Writes what holds from here on, up to `target`.
    fn advance(
        &mut self,
        target: u64,
        state: &State,
        is_signal_frame: bool,
    ) -> Result<(), Malformed> {
        if target < self.location {
            return Err(Malformed);
        }
        if target > self.location {
            let code = match meaning(state, is_signal_frame) {
                Meaning::Rule(rule) => self.rules.code(&rule),
                Meaning::Code(code) => code,
            };
            self.push(code);
            self.location = target;
        }
        Ok(())
    }

    /// Appends a row, unless it says what the one before says.
    fn push(&mut self, code: RuleCode) {
        if self.written != Some(code) {
            self.rows.push(PackedRow::new(self.location, code));
            self.written = Some(code);
        }
    }
}

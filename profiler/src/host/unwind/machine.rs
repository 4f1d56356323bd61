//! Runs call frame instructions on the few places that a rule speaks of.

use gimli::{CallFrameInstruction, Register, UnwindExpression};
use profiler_common::unwind_row::register;

use super::{
    expression::{self, Slice},
    limits::REMEMBERED_STATES_MAX,
    state::{Cfa, Saved, State},
};

const RBX: Register = Register(register::RBX as u16);
const RBP: Register = Register(register::RBP as u16);

/// The instructions contradict themselves; what follows in the function is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

/// What the instructions of one function start from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// State after the instructions of the common entry; what `restore` returns to.
    pub state: State,
    /// Bytes per unit of a factored offset.
    pub data_alignment: i64,
    /// The column that stands for the return address.
    pub return_address: Register,
}

/// The state while instructions run.
#[derive(Debug)]
pub(super) struct Machine<'d> {
    /// What is in force now.
    pub state: State,
    start: Start,
    section: Slice<'d>,
    remembered: Vec<State>,
}

impl<'d> Machine<'d> {
    /// Prepares to run instructions of `section`, which is where expressions lie.
    pub(super) fn new(section: Slice<'d>, start: Start) -> Self {
        Self {
            state: start.state,
            start,
            section,
            remembered: Vec::new(),
        }
    }

    /// Begins another function.
    pub(super) fn restart(&mut self, start: Start) {
        self.state = start.state;
        self.start = start;
        self.remembered.clear();
    }

    /// Runs one instruction that does not move to another address.
    pub(super) fn run(
        &mut self,
        instruction: &CallFrameInstruction<usize>,
    ) -> Result<(), Malformed> {
        use CallFrameInstruction as I;
        match *instruction {
            I::DefCfa { register, offset } => {
                self.define(register, signed(offset)?);
            }
            I::DefCfaSf {
                register,
                factored_offset,
            } => self.define(register, self.factored(factored_offset)),
            I::DefCfaRegister { register } => self.define_register(register)?,
            I::DefCfaOffset { offset } => {
                self.define_offset(signed(offset)?)?;
            }
            I::DefCfaOffsetSf { factored_offset } => {
                self.define_offset(self.factored(factored_offset))?;
            }
            I::DefCfaExpression { expression } => {
                self.state.cfa = expression::cfa(self.bytes(expression)?);
            }
            I::Offset {
                register,
                factored_offset,
            } => {
                let offset = self.factored(signed(factored_offset)?);
                self.set(register, Saved::AtCfa(offset));
            }
            I::OffsetExtendedSf {
                register,
                factored_offset,
            } => self.set(register, Saved::AtCfa(self.factored(factored_offset))),
            I::Expression {
                register,
                expression,
            } => {
                let bytes = self.bytes(expression)?;
                if let Some(place) = place(&mut self.state, &self.start, register) {
                    *place = expression::saved(bytes);
                }
            }
            I::Undefined { register } => self.set(register, Saved::Undefined),
            I::SameValue { register } => self.set(register, Saved::Same),
            I::Register { dest_register, .. } => self.set(dest_register, Saved::Unknown),
            I::ValOffset { register, .. }
            | I::ValOffsetSf { register, .. }
            | I::ValExpression { register, .. } => self.set(register, Saved::Unknown),
            I::Restore { register } => self.restore(register),
            I::RememberState => self.remember()?,
            I::RestoreState => self.state = self.remembered.pop().ok_or(Malformed)?,
            I::ArgsSize { .. } | I::Nop => {}
            // Moving is the caller's; the last one belongs to another processor.
            I::SetLoc { .. } | I::AdvanceLoc { .. } | I::NegateRaState => return Err(Malformed),
        }
        Ok(())
    }

    /// `register + offset` from now on.
    fn define(&mut self, register: Register, offset: i64) {
        self.state.cfa = Cfa::Register {
            register: register.0,
            offset,
        };
    }

    /// Another register, the same offset.
    fn define_register(&mut self, register: Register) -> Result<(), Malformed> {
        let Cfa::Register { offset, .. } = self.state.cfa else {
            return Err(Malformed);
        };
        self.define(register, offset);
        Ok(())
    }

    /// Another offset, the same register.
    fn define_offset(&mut self, offset: i64) -> Result<(), Malformed> {
        let Cfa::Register { register, .. } = self.state.cfa else {
            return Err(Malformed);
        };
        self.define(Register(register), offset);
        Ok(())
    }

    /// Notes where a register is, if it is one of ours.
    fn set(&mut self, register: Register, saved: Saved) {
        if let Some(place) = place(&mut self.state, &self.start, register) {
            *place = saved;
        }
    }

    /// Returns a register to what the common entry says.
    fn restore(&mut self, register: Register) {
        let mut initial = self.start.state;
        if let Some(saved) = place(&mut initial, &self.start, register) {
            let saved = *saved;
            self.set(register, saved);
        }
    }

    /// Puts the state aside.
    fn remember(&mut self) -> Result<(), Malformed> {
        if self.remembered.len() >= REMEMBERED_STATES_MAX {
            return Err(Malformed);
        }
        self.remembered.push(self.state);
        Ok(())
    }

    /// Multiplies by the unit; a product that does not fit is caught where it is used.
    fn factored(&self, offset: i64) -> i64 {
        offset.saturating_mul(self.start.data_alignment)
    }

    /// The bytes of an expression.
    fn bytes(&self, expression: UnwindExpression<usize>) -> Result<Slice<'d>, Malformed> {
        let end = expression
            .offset
            .checked_add(expression.length)
            .ok_or(Malformed)?;
        let bytes = self.section.slice().get(expression.offset..end);
        Ok(Slice::new(bytes.ok_or(Malformed)?, gimli::LittleEndian))
    }
}

/// The place that a state keeps for a register; `None` for the registers no rule speaks of.
fn place<'s>(state: &'s mut State, start: &Start, register: Register) -> Option<&'s mut Saved> {
    match register {
        column if column == start.return_address => Some(&mut state.ra),
        RBP => Some(&mut state.rbp),
        RBX => Some(&mut state.rbx),
        _ => None,
    }
}

/// An unsigned operand as the signed number it is added as.
fn signed(offset: u64) -> Result<i64, Malformed> {
    i64::try_from(offset).ok().ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use gimli::{CallFrameInstruction as I, EndianSlice, LittleEndian, Register, X86_64};

    use super::{Machine, Malformed, Start};
    use crate::host::unwind::{
        limits::REMEMBERED_STATES_MAX,
        state::{Cfa, Saved, State},
    };

    /// What the compilers' common entry leaves: CFA = rsp + 8, return address at CFA - 8.
    const START: Start = Start {
        state: State {
            cfa: Cfa::Register {
                register: 7,
                offset: 8,
            },
            ra: Saved::AtCfa(-8),
            rbp: Saved::Unspecified,
            rbx: Saved::Unspecified,
        },
        data_alignment: -8,
        return_address: Register(16),
    };

    fn machine() -> Machine<'static> {
        Machine::new(EndianSlice::new(&[], LittleEndian), START)
    }

    #[test]
    fn a_prologue_moves_the_frame_address_and_saves_rbp() {
        let mut machine = machine();
        machine.run(&I::DefCfaOffset { offset: 16 }).unwrap();
        machine
            .run(&I::Offset {
                register: X86_64::RBP,
                factored_offset: 2,
            })
            .unwrap();
        machine
            .run(&I::DefCfaRegister {
                register: X86_64::RBP,
            })
            .unwrap();
        let cfa = Cfa::Register {
            register: 6,
            offset: 16,
        };
        let expected = State {
            cfa,
            rbp: Saved::AtCfa(-16),
            ..START.state
        };
        assert_eq!(expected, machine.state);
    }

    #[test]
    fn restore_goes_back_to_the_common_entry() {
        let mut machine = machine();
        machine
            .run(&I::Undefined {
                register: X86_64::RA,
            })
            .unwrap();
        assert_eq!(Saved::Undefined, machine.state.ra);
        machine
            .run(&I::Restore {
                register: X86_64::RA,
            })
            .unwrap();
        assert_eq!(START.state, machine.state);
    }

    #[test]
    fn remembered_states_come_back_in_reverse() {
        let mut machine = machine();
        machine.run(&I::RememberState).unwrap();
        machine.run(&I::DefCfaOffset { offset: 48 }).unwrap();
        machine.run(&I::RestoreState).unwrap();
        assert_eq!(START.state, machine.state);
        assert_eq!(Err(Malformed), machine.run(&I::RestoreState));
    }

    #[test]
    fn remembers_a_bounded_number_of_states() {
        let mut machine = machine();
        for _ in 0..REMEMBERED_STATES_MAX {
            machine.run(&I::RememberState).unwrap();
        }
        assert_eq!(Err(Malformed), machine.run(&I::RememberState));
    }

    #[test]
    fn an_offset_without_a_register_is_malformed() {
        let mut machine = machine();
        machine.state.cfa = Cfa::Unknown;
        assert_eq!(Err(Malformed), machine.run(&I::DefCfaOffset { offset: 8 }));
    }
}

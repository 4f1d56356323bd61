//! What call frame information says of the four places that a rule speaks of.

use profiler_common::unwind_row::{
    CfaKind, RuleCode, SavedKind, UnwindRule, pack_registers, register,
};

/// Offset from a signal frame's `rsp` to the interrupted `rsp`: past the head of `ucontext_t` (40
/// bytes) and 15 registers.
/// Source: `struct ucontext` and `struct sigcontext_64` of Linux on x86-64.
const SIGNAL_FRAME_RSP_OFFSET: i64 = 160;

/// How the canonical frame address is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cfa {
    /// `register + offset`
    Register {
        /// DWARF number.
        register: u16,
        /// Bytes.
        offset: i64,
    },
    /// `*(register + offset) + add`
    Deref {
        /// DWARF number.
        register: u16,
        /// Bytes.
        offset: i64,
        /// Bytes.
        add: i64,
    },
    /// `*(base + 8 * index + offset) + add`
    DerefIndexed {
        /// DWARF number.
        base: u16,
        /// DWARF number.
        index: u16,
        /// Bytes.
        offset: i64,
        /// Bytes.
        add: i64,
    },
    /// `rsp + offset + (8 if (pc & 15) >= threshold else 0)`
    Plt {
        /// Bytes.
        offset: i64,
        /// 0 to 15.
        threshold: u8,
    },
    /// Nothing said, or nothing that is understood.
    Unknown,
}

/// Where the caller's value of a register is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Saved {
    /// Nothing said.
    Unspecified,
    /// There is none.
    Undefined,
    /// In the register.
    Same,
    /// At this many bytes from the canonical frame address.
    AtCfa(i64),
    /// At this many bytes from `rbp`.
    AtRbp(i64),
    /// Somewhere this product does not look.
    Unknown,
}

/// The rules in force at one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct State {
    /// The canonical frame address: the caller's `rsp`.
    pub cfa: Cfa,
    /// The return address.
    pub ra: Saved,
    /// The caller's `rbp`.
    pub rbp: Saved,
    /// The caller's `rbx`.
    pub rbx: Saved,
}

impl State {
    /// Before any instruction.
    pub(super) const INITIAL: Self = Self {
        cfa: Cfa::Unknown,
        ra: Saved::Unspecified,
        rbp: Saved::Unspecified,
        rbx: Saved::Unspecified,
    };
}

/// A state as the probe is told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// A rule to be numbered.
    Rule(UnwindRule),
    /// One of the reserved codes.
    Code(RuleCode),
}

/// Says what the probe should do in a state.
pub(super) fn meaning(state: &State, is_signal_frame: bool) -> Meaning {
    if is_signal_frame {
        return Meaning::Code(signal_frame(state));
    }
    if state.ra == Saved::Undefined {
        return Meaning::Code(RuleCode::EndOfStack);
    }
    rule(state).map_or(Meaning::Code(RuleCode::Unsupported), Meaning::Rule)
}

/// A signal frame the probe knows is the kernel's own, found at `rsp`.
fn signal_frame(state: &State) -> RuleCode {
    let kernels_own = Cfa::Deref {
        register: u16::from(register::RSP),
        offset: SIGNAL_FRAME_RSP_OFFSET,
        add: 0,
    };
    if state.cfa == kernels_own {
        RuleCode::SignalFrame
    } else {
        RuleCode::Unsupported
    }
}

/// Builds the rule; `None` if it has a part the probe cannot follow, or a number does not fit.
fn rule(state: &State) -> Option<UnwindRule> {
    let Saved::AtCfa(ra_offset) = state.ra else {
        return None;
    };
    let (rbp_kind, rbp_offset) = saved(state.rbp)?;
    let (rbx_kind, rbx_offset) = saved(state.rbx)?;
    let (cfa_kind, cfa_register, cfa_offset, cfa_add) = cfa(state.cfa)?;
    Some(UnwindRule {
        cfa_kind: cfa_kind as u8,
        cfa_register,
        rbp_kind: rbp_kind as u8,
        rbx_kind: rbx_kind as u8,
        cfa_offset,
        cfa_add,
        ra_offset: i16::try_from(ra_offset).ok()?,
        rbp_offset,
        rbx_offset,
    })
}

/// Kind and offset of a saved register.
///
/// A register said to have no value any more is taken as unchanged: compilers say so in functions
/// that never return, whose callers seldom need it, and the alternative is to lose them.
fn saved(place: Saved) -> Option<(SavedKind, i16)> {
    match place {
        Saved::Unspecified | Saved::Undefined | Saved::Same => Some((SavedKind::Same, 0)),
        Saved::AtCfa(offset) => Some((SavedKind::AtCfa, i16::try_from(offset).ok()?)),
        Saved::AtRbp(offset) => Some((SavedKind::AtRbp, i16::try_from(offset).ok()?)),
        Saved::Unknown => None,
    }
}

/// Kind, registers, offset and second number of a frame address.
fn cfa(place: Cfa) -> Option<(CfaKind, u8, i32, i16)> {
    let (kind, registers, offset, add) = match place {
        Cfa::Register { register, offset } => (CfaKind::Register, one(register)?, offset, 0),
        Cfa::Deref {
            register,
            offset,
            add,
        } => (
            CfaKind::Deref,
            one(register)?,
            offset,
            i16::try_from(add).ok()?,
        ),
        Cfa::DerefIndexed {
            base,
            index,
            offset,
            add,
        } => {
            let registers = pack_registers(one(base)?, one(index)?);
            let add = i16::try_from(add).ok()?;
            (CfaKind::DerefIndexed, registers, offset, add)
        }
        Cfa::Plt { offset, threshold } => {
            (CfaKind::Plt, register::RSP, offset, i16::from(threshold))
        }
        Cfa::Unknown => return None,
    };
    Some((kind, registers, i32::try_from(offset).ok()?, add))
}

/// Number of a register that a rule may name.
fn one(number: u16) -> Option<u8> {
    u8::try_from(number)
        .ok()
        .filter(|number| *number < register::COUNT)
}

#[cfg(test)]
mod tests {
    use profiler_common::unwind_row::{CfaKind, RuleCode, SavedKind, UnwindRule};

    use super::{Cfa, Meaning, Saved, State, meaning};

    /// The state of most functions before their first instruction.
    const ENTRY: State = State {
        cfa: Cfa::Register {
            register: 7,
            offset: 8,
        },
        ra: Saved::AtCfa(-8),
        ..State::INITIAL
    };
    const UNSUPPORTED: Meaning = Meaning::Code(RuleCode::Unsupported);

    #[test]
    fn the_entry_of_a_function_is_a_rule() {
        let rule = UnwindRule {
            cfa_kind: CfaKind::Register as u8,
            cfa_register: 7,
            rbp_kind: SavedKind::Same as u8,
            rbx_kind: SavedKind::Same as u8,
            cfa_offset: 8,
            ra_offset: -8,
            ..UnwindRule::default()
        };
        assert_eq!(Meaning::Rule(rule), meaning(&ENTRY, false));
    }

    #[test]
    fn a_frame_that_does_not_fit_is_unsupported() {
        let with_rbp = |offset| State {
            rbp: Saved::AtCfa(offset),
            ..ENTRY
        };
        assert_ne!(UNSUPPORTED, meaning(&with_rbp(-0x8000), false));
        assert_eq!(UNSUPPORTED, meaning(&with_rbp(-0x8001), false));
        let with_cfa = |register, offset| State {
            cfa: Cfa::Register { register, offset },
            ..ENTRY
        };
        assert_ne!(UNSUPPORTED, meaning(&with_cfa(15, 0x7fff_ffff), false));
        assert_eq!(UNSUPPORTED, meaning(&with_cfa(7, 0x8000_0000), false));
        assert_eq!(UNSUPPORTED, meaning(&with_cfa(16, 8), false));
    }

    #[test]
    fn two_registers_share_a_byte() {
        let with = |base, index| State {
            cfa: Cfa::DerefIndexed {
                base,
                index,
                offset: 8,
                add: 8,
            },
            ..ENTRY
        };
        let rule = UnwindRule {
            cfa_kind: CfaKind::DerefIndexed as u8,
            cfa_register: 0x97,
            cfa_offset: 8,
            cfa_add: 8,
            ra_offset: -8,
            ..UnwindRule::default()
        };
        assert_eq!(Meaning::Rule(rule), meaning(&with(7, 9), false));
        assert_eq!(UNSUPPORTED, meaning(&with(7, 16), false));
        assert_eq!(UNSUPPORTED, meaning(&with(16, 9), false));
    }

    #[test]
    fn only_the_kernels_signal_frame_is_one() {
        assert_eq!(UNSUPPORTED, meaning(&ENTRY, true));
        let signal = State {
            cfa: Cfa::Deref {
                register: 7,
                offset: 160,
                add: 0,
            },
            ..State::INITIAL
        };
        assert_eq!(Meaning::Code(RuleCode::SignalFrame), meaning(&signal, true));
    }

    #[test]
    fn a_stack_ends_only_where_it_is_said_to() {
        let start = State {
            ra: Saved::Undefined,
            ..State::INITIAL
        };
        assert_eq!(Meaning::Code(RuleCode::EndOfStack), meaning(&start, false));
        assert_eq!(UNSUPPORTED, meaning(&State::INITIAL, false));
    }
}

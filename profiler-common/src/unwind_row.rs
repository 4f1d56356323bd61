//! Unwind tables as the probe searches them.
//!
//! A table is an array of 32-bit words in elements of [`limits::TABLE_CHUNK_WORDS`]:
//!
//! ```text
//! word 0            P, the number of 64 KiB pages of the file that the table covers
//! words 1 ..= P+1   page index: the word at which the rows of page p begin; the last one is the end
//! then              rows, sorted by file offset: low half pc_low, high half rule code
//! ```
//!
//! Addresses are *file offsets*, so the probe needs neither load bias nor segments. Each page that
//! holds rows begins with a row at `pc_low` 0, so a search never leaves its page. A page without
//! rows has no information.
//!
//! Written by the daemon (`host/unwind`), read by the probe (`unwind.rs`).
//!
//! [`limits::TABLE_CHUNK_WORDS`]: crate::limits::TABLE_CHUNK_WORDS

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{codes, limits::RULES_MAX};

/// One row: from `pc_low` on, until the next row, `code` holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnwindRow {
    /// Low 16 bits of the file offset.
    pub pc_low: u16,
    /// Index of a rule, or one of the reserved codes of [`RuleCode`].
    pub code: u16,
}

impl UnwindRow {
    /// Packs the row into the word that the probe compares.
    pub const fn to_word(self) -> u32 {
        (self.code as u32) << 16 | self.pc_low as u32
    }

    /// Unpacks a word.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half of the word is one field"
    )]
    pub const fn from_word(word: u32) -> Self {
        Self {
            pc_low: word as u16,
            code: (word >> 16) as u16,
        }
    }
}

/// What a row's 16-bit code means.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RuleCode {
    /// Index into the host-wide array of [`UnwindRule`]s.
    Rule(u16),
    /// The return address is undefined: this is where a thread starts.
    EndOfStack,
    /// Nothing is known of this code: try the frame pointer, with care.
    NoInfo,
    /// The trampoline a signal handler returns to: registers lie in the signal frame.
    SignalFrame,
    /// The frame pointer is right by convention (Go).
    FramePointer,
    /// There is a rule, and the probe cannot follow it.
    Unsupported,
}

/// First of the reserved codes.
const RESERVED_FIRST: u16 = 0xfff0;
const _: () = assert!(RULES_MAX <= RESERVED_FIRST as u32);

impl RuleCode {
    /// The code as a row carries it.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::Rule(index) => index,
            Self::EndOfStack => 0xffff,
            Self::NoInfo => 0xfffe,
            Self::SignalFrame => 0xfffd,
            Self::FramePointer => 0xfffc,
            Self::Unsupported => 0xfffb,
        }
    }

    /// The meaning of a row's code. A reserved code nobody defined counts as unsupported.
    pub const fn from_u16(code: u16) -> Self {
        match code {
            0xffff => Self::EndOfStack,
            0xfffe => Self::NoInfo,
            0xfffd => Self::SignalFrame,
            0xfffc => Self::FramePointer,
            RESERVED_FIRST..=0xfffb => Self::Unsupported,
            index => Self::Rule(index),
        }
    }
}

codes! {
    /// How the canonical frame address (CFA) is found.
    CfaKind: u8 {
        /// `register + cfa_offset`
        Register = 0,
        /// `*(register + cfa_offset) + cfa_add`
        Deref = 1,
        /// `rsp + cfa_offset + (8 if (pc & 15) >= cfa_add else 0)`: lazy PLT entries.
        Plt = 2,
        /// `*(base + 8 * index + cfa_offset) + cfa_add`, with two registers: see
        /// [`pack_registers`].
        DerefIndexed = 3,
    }
}

codes! {
    /// Where the caller's value of a callee-saved register is.
    SavedKind: u8 {
        /// Still in the register.
        Same = 0,
        /// In memory at `CFA + offset`.
        AtCfa = 1,
        /// In memory at `rbp + offset`, rbp being this frame's own (realigned stacks).
        AtRbp = 2,
    }
}

/// DWARF numbers of the x86-64 registers a rule may name.
/// Source: System V ABI, AMD64 supplement, figure 3.36.
pub mod register {
    /// Callee-saved; a dynamic linker's trampoline bases its CFA on it.
    pub const RBX: u8 = 3;
    /// The frame pointer.
    pub const RBP: u8 = 6;
    /// The stack pointer.
    pub const RSP: u8 = 7;
    /// One past the last general register, `r15`.
    pub const COUNT: u8 = 16;
}

/// The two registers of a [`CfaKind::DerefIndexed`] in one byte: the base in the low four bits, the
/// index in the high four.
pub const fn pack_registers(base: u8, index: u8) -> u8 {
    (index & (register::COUNT - 1)) << 4 | base & (register::COUNT - 1)
}

/// Base and index out of [`pack_registers`].
pub const fn unpack_registers(packed: u8) -> (u8, u8) {
    (packed & (register::COUNT - 1), packed >> 4)
}

/// How to step from one frame to its caller.
///
/// Registers other than `rsp`, `rbp` and `rbx` are known in the innermost frame only (and in one
/// that a signal interrupted).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, PartialEq, FromBytes, Immutable, IntoBytes, KnownLayout,
)]
#[repr(C)]
pub struct UnwindRule {
    /// Code of a [`CfaKind`].
    pub cfa_kind: u8,
    /// DWARF number of the register the CFA is computed from; two of them for
    /// [`CfaKind::DerefIndexed`].
    pub cfa_register: u8,
    /// Code of a [`SavedKind`].
    pub rbp_kind: u8,
    /// Code of a [`SavedKind`].
    pub rbx_kind: u8,
    /// Bytes.
    pub cfa_offset: i32,
    /// Bytes added after a dereference; the threshold of a PLT rule.
    pub cfa_add: i16,
    /// Bytes; where the return address is, from the CFA. Minus 8 nearly always.
    pub ra_offset: i16,
    /// Bytes; meaning given by `rbp_kind`.
    pub rbp_offset: i16,
    /// Bytes; meaning given by `rbx_kind`.
    pub rbx_offset: i16,
}

const _: () = assert!(size_of::<UnwindRule>() == 16);
const _: () = assert!(core::mem::offset_of!(UnwindRule, cfa_offset) == 4);

#[cfg(test)]
mod tests {
    use super::{CfaKind, RuleCode, SavedKind, UnwindRow, pack_registers, unpack_registers};

    #[test]
    fn every_rule_code_survives_the_round_trip() {
        for code in 0..=u16::MAX {
            let meaning = RuleCode::from_u16(code);
            if meaning != RuleCode::Unsupported {
                assert_eq!(code, meaning.to_u16());
            }
        }
        assert_eq!(
            RuleCode::Unsupported,
            RuleCode::from_u16(RuleCode::Unsupported.to_u16())
        );
    }

    #[test]
    fn every_kind_survives_the_round_trip() {
        for code in 0..=u8::MAX {
            if let Ok(kind) = CfaKind::try_from(code) {
                assert_eq!(code, kind as u8);
            }
            if let Ok(kind) = SavedKind::try_from(code) {
                assert_eq!(code, kind as u8);
            }
        }
    }

    #[test]
    fn every_pair_of_registers_survives_the_round_trip() {
        for packed in 0..=u8::MAX {
            let (base, index) = unpack_registers(packed);
            assert_eq!(packed, pack_registers(base, index));
        }
        assert_eq!((7, 9), unpack_registers(0x97));
    }

    #[test]
    fn rows_of_a_page_sort_by_their_low_half() {
        let row = UnwindRow {
            pc_low: 0x1234,
            code: 0xfffe,
        };
        assert_eq!(row, UnwindRow::from_word(row.to_word()));
    }
}

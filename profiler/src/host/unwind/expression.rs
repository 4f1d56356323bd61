//! The few DWARF expressions that real call frame information uses.
//!
//! 14 large binaries hold 22 distinct ones: those of the shapes below, and a rest in hand-written
//! code.

use gimli::{Encoding, EndianSlice, Expression, Format, LittleEndian, Operation, UnitOffset};
use profiler_common::unwind_row::register;

use super::{
    limits::OPERATIONS_MAX,
    state::{Cfa, Saved},
};

/// Bytes as gimli reads them.
pub(super) type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// How expressions of x86-64 are encoded; the version does not matter to the operations below.
const ENCODING: Encoding = Encoding {
    address_size: 8,
    format: Format::Dwarf32,
    version: 4,
};
const RSP: u16 = register::RSP as u16;
const RBP: u16 = register::RBP as u16;
/// DWARF number of the program counter.
const RIP: u16 = 16;

/// An operation that is understood.
#[derive(Clone, Copy)]
enum Step {
    /// Push a register and an offset.
    Register(u16, i64),
    /// Replace an address with the 8 bytes it points to.
    Deref,
    /// Push a number.
    Number(i64),
    And,
    Ge,
    Mul,
    Shl,
    Plus,
}

/// Understands an expression that computes the canonical frame address.
pub(super) fn cfa(bytes: Slice<'_>) -> Cfa {
    let steps = steps(bytes).unwrap_or_default();
    match *steps {
        [Step::Register(register, offset)] => Cfa::Register { register, offset },
        [Step::Register(register, offset), Step::Deref] => Cfa::Deref {
            register,
            offset,
            add: 0,
        },
        [
            Step::Register(register, offset),
            Step::Deref,
            Step::Number(add),
            Step::Plus,
        ] => Cfa::Deref {
            register,
            offset,
            add,
        },
        // A frame that keeps the caller's stack pointer behind an array of `index` words.
        [
            Step::Register(base, offset),
            Step::Register(index, 0),
            Step::Number(8),
            Step::Mul,
            Step::Plus,
            Step::Deref,
            Step::Number(add),
            Step::Plus,
        ] => Cfa::DerefIndexed {
            base,
            index,
            offset,
            add,
        },
        // A lazy PLT entry: from the instruction at `threshold` on, one word more is on the stack.
        [
            Step::Register(RSP, offset),
            Step::Register(RIP, 0),
            Step::Number(15),
            Step::And,
            Step::Number(threshold @ 0..=15),
            Step::Ge,
            Step::Number(3),
            Step::Shl,
            Step::Plus,
        ] => {
            u8::try_from(threshold).map_or(Cfa::Unknown, |threshold| Cfa::Plt { offset, threshold })
        }
        _ => Cfa::Unknown,
    }
}

/// Understands an expression that computes where a register was saved.
pub(super) fn saved(bytes: Slice<'_>) -> Saved {
    match *steps(bytes).unwrap_or_default() {
        [Step::Register(RBP, offset)] => Saved::AtRbp(offset),
        _ => Saved::Unknown,
    }
}

/// Reads an expression; `None` if it is malformed, too long, or does anything unusual.
fn steps(bytes: Slice<'_>) -> Option<Vec<Step>> {
    let mut steps = Vec::with_capacity(OPERATIONS_MAX);
    for operation in Expression(bytes).operations(ENCODING) {
        let operation = operation.ok()?;
        if let Operation::PlusConstant { value } = operation {
            steps.push(Step::Number(i64::try_from(value).ok()?));
            steps.push(Step::Plus);
        } else {
            steps.push(step(&operation)?);
        }
        if steps.len() > OPERATIONS_MAX {
            return None;
        }
    }
    Some(steps)
}

/// Understands a single operation.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the 40 operations of DWARF, these nine matter"
)]
fn step(operation: &Operation<Slice<'_>>) -> Option<Step> {
    const UNTYPED: UnitOffset = UnitOffset(0);
    Some(match *operation {
        Operation::RegisterOffset {
            register,
            offset,
            base_type: UNTYPED,
        } => Step::Register(register.0, offset),
        Operation::Deref {
            base_type: UNTYPED,
            size: 8,
            space: false,
        } => Step::Deref,
        Operation::UnsignedConstant { value } => Step::Number(i64::try_from(value).ok()?),
        Operation::SignedConstant { value } => Step::Number(value),
        Operation::And => Step::And,
        Operation::Ge => Step::Ge,
        Operation::Mul => Step::Mul,
        Operation::Shl => Step::Shl,
        Operation::Plus => Step::Plus,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use gimli::{EndianSlice, LittleEndian};

    use super::{Cfa, Saved};

    fn cfa(bytes: &[u8]) -> Cfa {
        super::cfa(EndianSlice::new(bytes, LittleEndian))
    }

    fn saved(bytes: &[u8]) -> Saved {
        super::saved(EndianSlice::new(bytes, LittleEndian))
    }

    #[test]
    fn knows_a_lazy_plt_entry() {
        let entry = |threshold| {
            [
                0x77, 8, 0x80, 0, 0x3f, 0x1a, threshold, 0x2a, 0x33, 0x24, 0x22,
            ]
        };
        let plt = |threshold| Cfa::Plt {
            offset: 8,
            threshold,
        };
        assert_eq!(plt(11), cfa(&entry(0x3b)));
        assert_eq!(plt(10), cfa(&entry(0x3a)));
        assert_eq!(plt(15), cfa(&entry(0x3f)));
        assert_eq!(Cfa::Unknown, cfa(&entry(0x40)));
    }

    #[test]
    fn knows_a_frame_address_in_memory() {
        let deref = |register, offset, add| Cfa::Deref {
            register,
            offset,
            add,
        };
        assert_eq!(deref(7, 160, 0), cfa(&[0x77, 0xa0, 1, 6]));
        assert_eq!(deref(6, -40, 0), cfa(&[0x76, 0x58, 6]));
        assert_eq!(deref(7, 8, 8), cfa(&[0x77, 8, 6, 0x23, 8]));
        assert_eq!(deref(7, 8, -8), cfa(&[0x77, 8, 6, 0x09, 0xf8, 0x22]));
    }

    #[test]
    fn knows_a_frame_address_behind_an_array() {
        let expression = |scale| [0x77, 8, 0x79, 0, scale, 0x1e, 0x22, 6, 0x23, 8];
        let indexed = Cfa::DerefIndexed {
            base: 7,
            index: 9,
            offset: 8,
            add: 8,
        };
        assert_eq!(indexed, cfa(&expression(0x38)));
        assert_eq!(Cfa::Unknown, cfa(&expression(0x34)));
    }

    #[test]
    fn knows_a_register_saved_at_rbp() {
        assert_eq!(Saved::AtRbp(-16), saved(&[0x76, 0x70]));
        assert_eq!(Saved::Unknown, saved(&[0x77, 0]));
        assert_eq!(Saved::Unknown, saved(&[0x76, 0x70, 6]));
    }

    #[test]
    fn anything_else_is_unknown() {
        for bytes in [
            b"".as_slice(),
            &[6],
            &[0x77],
            &[0x77, 0, 6, 6],
            &[0xff],
            &[0x30; 64],
        ] {
            assert_eq!(Cfa::Unknown, cfa(bytes));
        }
    }
}

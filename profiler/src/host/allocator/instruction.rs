//! The instruction of a function at which a probe costs least.
//!
//! A probe is a breakpoint. The kernel then either does what the instruction does itself, which it
//! can for pushes, branches and no-ops, or lets the program execute a copy of it and stops it once
//! more behind that: twice the cost at least, and where a hypervisor handles single steps, twenty
//! times. So the probe goes to the first instruction that the kernel can do, past those that leave
//! the arguments, the stack pointer and the order of execution alone.

use profiler_common::alloc::AllocatorCall;

use super::limits::PROLOGUE_SIZE_BYTES_MAX;

/// Registers that must be as they were on entry, by number: the stack pointer, and as many arguments as
/// a probe reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptRegisters(&'static [u8]);

impl KeptRegisters {
    /// Those that a probe on such a function reads.
    pub(super) fn of(call: AllocatorCall) -> Self {
        const STACK_POINTER: u8 = 4;
        const FIRST: u8 = 7;
        const SECOND: u8 = 6;
        const THIRD: u8 = 2;
        Self(match call {
            AllocatorCall::Allocate | AllocatorCall::Free => &[STACK_POINTER, FIRST],
            AllocatorCall::AllocateArray
            | AllocatorCall::AllocateAligned
            | AllocatorCall::Reallocate
            | AllocatorCall::ReallocateOrHandOn => &[STACK_POINTER, FIRST, SECOND],
            AllocatorCall::AllocateInto | AllocatorCall::ReallocateArray => {
                &[STACK_POINTER, FIRST, SECOND, THIRD]
            }
        })
    }

    /// Whether a register may be written.
    fn may_change(self, register: u8) -> Option<()> {
        (!self.0.contains(&register)).then_some(())
    }
}

/// Offset in a function of the instruction to be probed; zero when none is better than the first.
///
/// In: the function's code from its first byte on.
pub(super) fn cheapest_offset(code: &[u8], kept: KeptRegisters) -> u64 {
    let mut at: usize = 0;
    while at < PROLOGUE_SIZE_BYTES_MAX {
        let Some(rest) = code.get(at..) else {
            return 0;
        };
        if is_emulated(rest) {
            return at as u64;
        }
        let Some(length) = harmless_length(rest, kept) else {
            return 0;
        };
        at = at.saturating_add(length);
    }
    0
}

/// Whether the kernel does the instruction itself.
/// Source: arch/x86/kernel/uprobes.c, `branch_setup_xol_ops` and `push_setup_xol_ops`.
fn is_emulated(code: &[u8]) -> bool {
    matches!(
        code,
        // push, branches with a condition or without, call, nop
        [0x50..=0x57 | 0x70..=0x7f | 0x90 | 0xe8 | 0xe9 | 0xeb, ..]
            | [0x41, 0x50..=0x57, ..]
            | [0x0f, 0x80..=0x8f, ..]
    )
}

/// Length of the instruction, when it writes to no kept register and no memory, and execution goes
/// on behind it. Source: Intel SDM volume 2, chapter 2 and the opcode maps.
fn harmless_length(code: &[u8], kept: KeptRegisters) -> Option<usize> {
    if let [0xf3, 0x0f, 0x1e, 0xfa, ..] = code {
        return Some(4);
    }
    let (segments, code) = match code {
        [0x64 | 0x65, rest @ ..] => (1, rest),
        _ => (0_usize, code),
    };
    let (rex, code, prefixes) = match code {
        [rex @ 0x40..=0x4f, rest @ ..] => (*rex, rest, segments.saturating_add(1)),
        _ => (0, code, segments),
    };
    let (opcode, rest) = code.split_first()?;
    let length = match opcode {
        // cmp and test of two operands: nothing is written
        0x38..=0x3b | 0x84 | 0x85 => operands(rex, rest)?.length,
        // cmp and test of the accumulator and a number
        0x3c | 0xa8 => 1,
        0x3d | 0xa9 => 4,
        // arithmetic with a number, on a register, and cmp, on anything
        0x80 | 0x83 => with_number(rex, rest, kept)?.checked_add(1)?,
        0x81 => with_number(rex, rest, kept)?.checked_add(4)?,
        // shifts of a register by a number
        0xc0 | 0xc1 => written_second(rex, rest, kept)?.checked_add(1)?,
        // add, or, and, sub, xor and mov into the second operand, which must be a register
        0x01 | 0x09 | 0x21 | 0x29 | 0x31 | 0x89 => written_second(rex, rest, kept)?,
        // the same into the first operand, and lea
        0x03 | 0x0b | 0x23 | 0x2b | 0x33 | 0x8b | 0x8d => written_first(rex, rest, kept)?,
        // mov with zeros or the sign in front
        0x0f => match rest.split_first()? {
            (0xb6 | 0xb7 | 0xbe | 0xbf, rest) => written_first(rex, rest, kept)?.checked_add(1)?,
            _ => return None,
        },
        // mov of a number
        0xb8..=0xbf => {
            kept.may_change((opcode & 7) | ((rex & 1) << 3))?;
            if rex & 8 == 0 { 4 } else { 8 }
        }
        _ => return None,
    };
    length.checked_add(1)?.checked_add(prefixes)
}

/// The two operands of an instruction.
struct Operands {
    /// Number of the first one, a register.
    first_register: u8,
    /// Number of the second one, when it is a register too.
    second_register: Option<u8>,
    /// Bytes that describe them.
    length: usize,
}

/// Reads the operands behind an opcode.
fn operands(rex: u8, bytes: &[u8]) -> Option<Operands> {
    let modrm = *bytes.first()?;
    let (mode, second) = (modrm >> 6, modrm & 7);
    let first_register = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    if mode == 3 {
        return Some(Operands {
            first_register,
            second_register: Some(second | ((rex & 1) << 3)),
            length: 1,
        });
    }
    let has_index = second == 4;
    let base = if has_index {
        *bytes.get(1)? & 7
    } else {
        second
    };
    let displacement = match mode {
        0 if base == 5 => 4,
        0 => 0,
        1 => 1,
        _ => 4_usize,
    };
    Some(Operands {
        first_register,
        second_register: None,
        length: displacement
            .checked_add(1)?
            .checked_add(usize::from(has_index))?,
    })
}

/// Bytes of the operand of arithmetic with a number.
fn with_number(rex: u8, bytes: &[u8], kept: KeptRegisters) -> Option<usize> {
    const COMPARE: u8 = 7;
    if (bytes.first()? >> 3) & 7 == COMPARE {
        return Some(operands(rex, bytes)?.length);
    }
    written_second(rex, bytes, kept)
}

/// Bytes of the operands of an instruction that writes the first one.
fn written_first(rex: u8, bytes: &[u8], kept: KeptRegisters) -> Option<usize> {
    let operands = operands(rex, bytes)?;
    kept.may_change(operands.first_register)?;
    Some(operands.length)
}

/// Bytes of the operands of an instruction that writes the second one; `None` when that is memory.
fn written_second(rex: u8, bytes: &[u8], kept: KeptRegisters) -> Option<usize> {
    let operands = operands(rex, bytes)?;
    kept.may_change(operands.second_register?)?;
    Some(operands.length)
}

#[cfg(test)]
mod tests {
    use super::{AllocatorCall, KeptRegisters};

    /// For a function whose three arguments are read.
    fn cheapest_offset(code: &[u8]) -> u64 {
        super::cheapest_offset(code, KeptRegisters::of(AllocatorCall::AllocateInto))
    }

    /// Beginnings of functions as compilers made them.
    #[test]
    fn passes_what_leaves_the_arguments_alone() {
        /// What it does, bytes that may be passed, and its beginning.
        type Beginning = (&'static str, u64, &'static [u8]);
        let functions: [Beginning; 8] = [
            ("push %r12", 0, &[0x41, 0x54]),
            ("endbr64; push %rbp", 4, &[0xf3, 0x0f, 0x1e, 0xfa, 0x55]),
            (
                "test %rdi,%rdi; je",
                3,
                &[0x48, 0x85, 0xff, 0x0f, 0x84, 0, 0, 0, 0],
            ),
            ("mov %rdi,%rax; push %rbx", 3, &[0x48, 0x89, 0xf8, 0x53]),
            (
                "lea 0x17(%rdi),%rax; jmp",
                4,
                &[0x48, 0x8d, 0x47, 0x17, 0xeb, 0],
            ),
            (
                "mov 0x13a408(%rip),%rax; mov %fs:(%rax),%rcx; jb",
                11,
                &[
                    0x48, 0x8b, 0x05, 8, 0xa4, 0x13, 0, 0x64, 0x48, 0x8b, 0x08, 0x72, 0,
                ],
            ),
            (
                "cmpb $0,0x141b46(%rip); jne",
                7,
                &[0x80, 0x3d, 0x46, 0x1b, 0x14, 0, 0, 0x75, 2],
            ),
            (
                "xor %eax,%eax; cmp %rsi,0x8(%rsp,%rcx,2); ja",
                7,
                &[0x31, 0xc0, 0x48, 0x39, 0x74, 0x4c, 0x08, 0x77, 0],
            ),
        ];
        for (text, offset, code) in functions {
            assert_eq!(offset, cheapest_offset(code), "{text}");
        }
    }

    #[test]
    fn stays_at_the_first_instruction_when_it_matters() {
        let functions: [(&str, &[u8]); 6] = [
            ("sub $0x18,%rsp; push", &[0x48, 0x83, 0xec, 0x18, 0x55]),
            ("mov %rax,%rdi; push", &[0x48, 0x89, 0xc7, 0x55]),
            ("xor %edx,%edx; push", &[0x31, 0xd2, 0x55]),
            ("mov %rdi,(%rax); push", &[0x48, 0x89, 0x38, 0x55]),
            ("ret", &[0xc3]),
            ("nothing", &[]),
        ];
        for (text, code) in functions {
            assert_eq!(0, cheapest_offset(code), "{text}");
        }
    }

    /// The beginning of free in a jemalloc: what frees has one argument, so others may change.
    #[test]
    fn only_arguments_that_are_read_are_kept() {
        let code = [
            0x48, 0x89, 0xf8, 0x48, 0x8b, 0x15, 0, 0, 0, 0, 0x48, 0xc1, 0xe8, 0x1a, 0x48, 0x81,
            0xe1, 0, 0, 0, 0xc0, 0x74, 0,
        ];
        let free = KeptRegisters::of(AllocatorCall::Free);
        assert_eq!(21, super::cheapest_offset(&code, free));
        assert_eq!(0, cheapest_offset(&code));
    }

    #[test]
    fn any_bytes_are_read_to_their_end_at_most() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for length in 0..4 {
                    let code = [0x48, first, second, 0x44];
                    cheapest_offset(&code[..length]);
                }
            }
        }
    }
}

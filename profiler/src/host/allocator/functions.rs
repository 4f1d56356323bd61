//! The functions of an allocator.

use std::{collections::BTreeMap, fs::File};

use object::ReadRef;
use profiler_common::alloc::AllocatorCall;

use super::{
    instruction::{KeptRegisters, cheapest_offset},
    limits::{FUNCTION_SIZE_BYTES_MAX, FUNCTIONS_MAX, PROLOGUE_SIZE_BYTES_MAX},
    names::{call_of, make_allocator, operator_of},
    symbols::{Function, functions},
};
use crate::{
    host::object::{Object, shared_bytes},
    model::{FileOffset, Svma},
};

/// Where to probe one function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProbePoint {
    /// The instruction.
    pub offset: FileOffset,
    /// What the function does.
    pub call: AllocatorCall,
}

/// An allocator in an object file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Allocator {
    /// Its functions, each once.
    pub points: Vec<ProbePoint>,
    /// Where they lie: first byte and one past the last. What a function calls that is not probed,
    /// because it only hands on, counts where it arrives.
    pub ranges: Vec<(FileOffset, FileOffset)>,
}

/// A function with its code.
struct Candidate {
    call: AllocatorCall,
    address: Svma,
    offset: FileOffset,
    size_bytes: u64,
    code: Vec<u8>,
}

/// The allocator in a file; `None` when it has none, or is no object file.
///
/// Cost: both symbol tables are read whole: 30 ms for the largest programs.
pub fn find_allocator(file: &File) -> Option<Allocator> {
    let bytes = shared_bytes(file);
    find_in(&Object::parse(&bytes).ok()?)
}

/// The allocator in an object.
fn find_in<'d, R: ReadRef<'d>>(object: &Object<'d, R>) -> Option<Allocator> {
    let named = functions(object, |name| {
        call_of(name).or_else(|| operator_of(name)).is_some()
    });
    let names: Vec<&[u8]> = (named.iter())
        .map(|function| function.name.as_slice())
        .collect();
    if !make_allocator(&names) {
        return None;
    }
    // One function has many names.
    let by_address: BTreeMap<Svma, Candidate> = (named.iter())
        .filter_map(|function| candidate(object, function))
        .map(|candidate| (candidate.address, candidate))
        .take(FUNCTIONS_MAX)
        .collect();
    let stubs = stubs(object);
    let probed: Vec<&Candidate> = (by_address.values())
        .filter(|function| !hands_on(function, &by_address, &stubs))
        .collect();
    let point = |function: &&Candidate| {
        let ahead = cheapest_offset(&function.code, KeptRegisters::of(function.call));
        ProbePoint {
            offset: FileOffset(function.offset.0.saturating_add(ahead)),
            call: call_as_probed(function, &by_address),
        }
    };
    let range = |function: &&Candidate| {
        let end = function.offset.0.saturating_add(function.size_bytes);
        (function.offset, FileOffset(end))
    };
    Some(Allocator {
        points: probed.iter().map(point).collect(),
        ranges: probed.iter().map(range).collect(),
    })
}

/// A function with its code; `None` when the file does not hold it.
fn candidate<'d, R: ReadRef<'d>>(object: &Object<'d, R>, function: &Function) -> Option<Candidate> {
    let offset = object.segments().to_file_offset(function.address)?;
    let size_bytes =
        (function.size_bytes).clamp(PROLOGUE_SIZE_BYTES_MAX as u64, FUNCTION_SIZE_BYTES_MAX);
    let code = object.bytes(offset.0..offset.0.checked_add(size_bytes)?)?;
    Some(Candidate {
        call: call_of(&function.name).or_else(|| operator_of(&function.name))?,
        address: function.address,
        offset,
        size_bytes: function.size_bytes,
        code: code.to_vec(),
    })
}

/// Whether a function ends in a jump to another one that does the same, which then sees every call:
/// to count both would be to count twice, and the caller is the same for both.
///
/// Freeing twice is harmless.
fn hands_on(
    function: &Candidate,
    others: &BTreeMap<Svma, Candidate>,
    stubs: &[(Svma, Svma)],
) -> bool {
    if starts_elsewhere(function, stubs) || aligns_elsewhere(function, stubs) {
        return true;
    }
    let targets = jump_targets(function).filter_map(|target| others.get(&target));
    let mut targets = targets.filter(|target| target.address != function.address);
    match function.call {
        AllocatorCall::Free => false,
        AllocatorCall::Reallocate
        | AllocatorCall::ReallocateArray
        | AllocatorCall::ReallocateOrHandOn => targets.any(|target| {
            matches!(
                target.call,
                AllocatorCall::Reallocate | AllocatorCall::ReallocateArray
            )
        }),
        AllocatorCall::Allocate
        | AllocatorCall::AllocateArray
        | AllocatorCall::AllocateAligned
        | AllocatorCall::AllocateInto => targets.any(|target| target.call != AllocatorCall::Free),
    }
}

/// Sections of stubs: jumps to functions by their names, which may be this file's own.
fn stubs<'d, R: ReadRef<'d>>(object: &Object<'d, R>) -> Vec<(Svma, Svma)> {
    let section = |name: &[u8]| {
        let section = object.section(name).ok()??;
        let size_bytes = u64::try_from(section.data.len()).ok()?;
        Some((section.svma, Svma(section.svma.0.checked_add(size_bytes)?)))
    };
    [b".plt".as_slice(), b".plt.sec"]
        .into_iter()
        .filter_map(section)
        .collect()
}

/// Whether a function does nothing but jump to another one by its name, which is probed itself.
fn starts_elsewhere(function: &Candidate, stubs: &[(Svma, Svma)]) -> bool {
    let code = function.code.as_slice();
    let (skipped, code) = match code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]) {
        Some(code) => (4, code),
        None => (0, code),
    };
    let [0xe9, a, b, c, d, ..] = *code else {
        return false;
    };
    let next = function.address.0.wrapping_add(skipped).wrapping_add(5);
    let target = Svma(next.wrapping_add_signed(i32::from_le_bytes([a, b, c, d]).into()));
    (stubs.iter()).any(|(start, end)| *start <= target && target < *end)
}

/// Whether a short function that aligns memory jumps to another one by its name: mimalloc's do, after a
/// check. What allocates itself is longer, and may jump to anything.
fn aligns_elsewhere(function: &Candidate, stubs: &[(Svma, Svma)]) -> bool {
    function.call == AllocatorCall::AllocateAligned
        && function.size_bytes <= PROLOGUE_SIZE_BYTES_MAX as u64
        && jump_targets(function)
            .any(|target| (stubs.iter()).any(|(start, end)| *start <= target && target < *end))
}

/// What a function does, seen beside the others. A reallocation that jumps to an allocation does so
/// for a null pointer, which is then the other one's to count.
fn call_as_probed(function: &Candidate, others: &BTreeMap<Svma, Candidate>) -> AllocatorCall {
    let allocates = |target: Svma| {
        (others.get(&target)).is_some_and(|other| other.call == AllocatorCall::Allocate)
    };
    if function.call == AllocatorCall::Reallocate && jump_targets(function).any(allocates) {
        AllocatorCall::ReallocateOrHandOn
    } else {
        function.call
    }
}

/// Where near jumps of a function may lead. Bytes that only look like a jump lead nowhere that matters.
fn jump_targets(function: &Candidate) -> impl Iterator<Item = Svma> {
    let windows = function.code.windows(6);
    (0_u64..).zip(windows).filter_map(|(at, window)| {
        let (distance, length) = match *window {
            [0xe9, a, b, c, d, _] => ([a, b, c, d], 5),
            [0x0f, 0x80..=0x8f, a, b, c, d] => ([a, b, c, d], 6),
            _ => return None,
        };
        let next = function.address.0.checked_add(at)?.checked_add(length)?;
        Some(Svma(
            next.wrapping_add_signed(i32::from_le_bytes(distance).into()),
        ))
    })
}

//! Offsets of struct members, from the running kernel's type information.
//!
//! Layout: Documentation/bpf/btf.rst. Only what a look-up of a member needs is read.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;

/// Marks little-endian type information.
const MAGIC: u16 = 0xeb9f;
/// Structs inside structs that are followed; the kernel nests far less.
const NESTING_MAX: u32 = 8;

/// Kinds of types that are told apart here.
mod kind {
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const INT: u32 = 1;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const ENUM64: u32 = 19;
    /// One past the last kind known here.
    pub(super) const END: u32 = 20;
}

/// The structs of a kernel, by name.
#[derive(Debug)]
pub(super) struct KernelTypes<'a> {
    strings: &'a [u8],
    /// Members of every struct and union, by type number.
    members: HashMap<u32, Members<'a>>,
    /// Type number of every named struct.
    structs: HashMap<&'a [u8], u32>,
}

/// Members of a struct: twelve bytes each.
#[derive(Clone, Copy, Debug)]
struct Members<'a> {
    bytes: &'a [u8],
    /// The offset's upper byte is the size of a bitfield.
    has_bitfields: bool,
}

impl<'a> KernelTypes<'a> {
    /// Reads type information; `None` when it is not what the kernel's documentation describes.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let header = words(data, 6)?;
        let [
            magic_and_version,
            header_size,
            type_offset,
            type_size,
            string_offset,
            string_size,
        ] = *header.as_slice()
        else {
            return None;
        };
        if magic_and_version & 0xffff != u32::from(MAGIC) {
            return None;
        }
        let body = data.get(usize::try_from(header_size).ok()?..)?;
        let section = |offset: u32, size: u32| {
            let start = usize::try_from(offset).ok()?;
            body.get(start..start.checked_add(usize::try_from(size).ok()?)?)
        };
        let mut types = Self {
            strings: section(string_offset, string_size)?,
            members: HashMap::new(),
            structs: HashMap::new(),
        };
        types.read_types(section(type_offset, type_size)?)?;
        Some(types)
    }

    /// Walks all types once, keeping structs and unions.
    fn read_types(&mut self, mut rest: &'a [u8]) -> Option<()> {
        let mut number = 0_u32;
        while !rest.is_empty() {
            number = number.checked_add(1)?;
            let [name, info, _size] = *words(rest, 3)?.as_slice() else {
                return None;
            };
            let (kind, count) = (info >> 24 & 0x1f, info & 0xffff);
            let size = usize::try_from(tail_size(kind, count)?).ok()?;
            let (tail, after) = rest.get(12..)?.split_at_checked(size)?;
            if kind == kind::STRUCT || kind == kind::UNION {
                let members = Members {
                    bytes: tail,
                    has_bitfields: info >> 31 != 0,
                };
                self.members.insert(number, members);
                if kind == kind::STRUCT {
                    self.structs.entry(self.text(name)?).or_insert(number);
                }
            }
            rest = after;
        }
        Some(())
    }

    /// A string by its offset.
    fn text(&self, offset: u32) -> Option<&'a [u8]> {
        self.strings
            .get(usize::try_from(offset).ok()?..)?
            .split(|byte| *byte == 0)
            .next()
    }

    /// Bytes from the start of a struct to a member, members of unnamed inner structs included.
    pub(super) fn offset_of(&self, name: &str, member: &str) -> Option<u32> {
        self.bit_offset_of(name, member)?.checked_div(8)
    }

    /// Bits from the start of a struct to a member, which may be a bitfield.
    pub(super) fn bit_offset_of(&self, name: &str, member: &str) -> Option<u32> {
        let number = *self.structs.get(name.as_bytes())?;
        self.find_member(number, member.as_bytes(), NESTING_MAX)
    }

    /// Looks for a member in one struct and in the unnamed ones inside it.
    fn find_member(&self, number: u32, wanted: &[u8], nesting: u32) -> Option<u32> {
        let nesting = nesting.checked_sub(1)?;
        let members = self.members.get(&number)?;
        members.bytes.chunks_exact(12).find_map(|member| {
            let [name, kind, bits] = *words(member, 3)?.as_slice() else {
                return None;
            };
            let bits = if members.has_bitfields {
                bits & 0xff_ffff
            } else {
                bits
            };
            let name = self.text(name)?;
            if name == wanted {
                return Some(bits);
            }
            if !name.is_empty() {
                return None;
            }
            bits.checked_add(self.find_member(kind, wanted, nesting)?)
        })
    }
}

/// The first `count` 32-bit words of `data`.
fn words(data: &[u8], count: usize) -> Option<Vec<u32>> {
    let (words, _rest) = data.as_chunks::<4>();
    Some(
        words
            .get(..count)?
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes))
            .collect(),
    )
}

/// Bytes that follow the three words of a type.
fn tail_size(kind: u32, count: u32) -> Option<u32> {
    match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => Some(4),
        kind::ARRAY => Some(12),
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => count.checked_mul(12),
        kind::ENUM | kind::FUNC_PROTO => count.checked_mul(8),
        0..kind::END => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::KernelTypes;

    #[test]
    fn finds_members_of_this_kernel() {
        let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            eprintln!("SKIPPED: this kernel has no type information");
            return;
        };
        let types = KernelTypes::parse(&data).expect("the kernel's own types parse");
        let mm = types
            .offset_of("task_struct", "mm")
            .expect("every task has memory");
        let active = types
            .offset_of("task_struct", "active_mm")
            .expect("and active memory");
        assert_eq!(mm + 8, active, "the two are declared one after the other");
        assert_eq!(None, types.offset_of("task_struct", "no_such_member"));
        assert_eq!(None, types.offset_of("no_such_struct", "mm"));
    }

    #[test]
    fn survives_types_cut_anywhere() {
        let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            eprintln!("SKIPPED: this kernel has no type information");
            return;
        };
        for length in (0..data.len()).step_by(data.len() / 50) {
            assert!(
                KernelTypes::parse(&data[..length]).is_none(),
                "cut to {length} bytes"
            );
        }
    }
}

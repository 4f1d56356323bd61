//! Functions that an object file defines.

use object::ReadRef;

use crate::{host::object::Object, model::Svma};

/// Bytes of one symbol.
const SYMBOL_SIZE_BYTES: usize = 24;
/// `STT_FUNC`
const TYPE_FUNCTION: u8 = 2;
/// `SHN_UNDEF`: the function is in another file, whatever address stands here.
const SECTION_UNDEFINED: u16 = 0;

/// A function that a file defines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Function {
    /// As it is in the file, mangled.
    pub(super) name: Vec<u8>,
    /// Where it begins.
    pub(super) address: Svma,
    /// Its length; zero when the file does not say.
    pub(super) size_bytes: u64,
}

/// The functions whose names `is_wanted`, of both symbol tables. A table that cannot be read has none.
pub(super) fn functions<'d, R: ReadRef<'d>>(
    object: &Object<'d, R>,
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Vec<Function> {
    let mut found = Vec::new();
    for (symbols, names) in [
        (b".dynsym".as_slice(), b".dynstr".as_slice()),
        (b".symtab", b".strtab"),
    ] {
        let section = |name| object.section(name).ok().flatten();
        let (Some(symbols), Some(names)) = (section(symbols), section(names)) else {
            continue;
        };
        let functions = (symbols.data.as_chunks::<SYMBOL_SIZE_BYTES>().0.iter())
            .filter_map(|symbol| function(symbol, &names.data));
        found.extend(functions.filter(|(name, _, _)| is_wanted(name)).map(
            |(name, address, size_bytes)| Function {
                name: name.to_vec(),
                address,
                size_bytes,
            },
        ));
    }
    found
}

/// Name, address and size in bytes of a function.
type Defined<'n> = (&'n [u8], Svma, u64);

/// What a symbol names, when it is a function that the file defines.
fn function<'n>(symbol: &[u8; SYMBOL_SIZE_BYTES], names: &'n [u8]) -> Option<Defined<'n>> {
    let (name, rest) = symbol.split_first_chunk::<4>()?;
    let ([info, _other], rest) = rest.split_first_chunk::<2>()?;
    let (section, rest) = rest.split_first_chunk::<2>()?;
    let (address, rest) = rest.split_first_chunk::<8>()?;
    let size_bytes = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    if info & 0xf != TYPE_FUNCTION || u16::from_le_bytes(*section) == SECTION_UNDEFINED {
        return None;
    }
    let name = names.get(usize::try_from(u32::from_le_bytes(*name)).ok()?..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some((name, Svma(u64::from_le_bytes(*address)), size_bytes))
}

#[cfg(test)]
mod tests {
    use super::{SYMBOL_SIZE_BYTES, Svma, function};

    fn symbol(info: u8, section: u16) -> [u8; SYMBOL_SIZE_BYTES] {
        let mut bytes = [0; SYMBOL_SIZE_BYTES];
        bytes[0] = 1;
        bytes[4] = info;
        bytes[6..8].copy_from_slice(&section.to_le_bytes());
        bytes[8] = 0x40;
        bytes[16] = 9;
        bytes
    }

    #[test]
    fn a_function_of_another_file_is_none_of_this_one() {
        let names = b"\0malloc\0free\0";
        let found = Some((b"malloc".as_slice(), Svma(0x40), 9));
        assert_eq!(found, function(&symbol(0x12, 7), names));
        assert_eq!(None, function(&symbol(0x12, 0), names), "a stub");
        assert_eq!(None, function(&symbol(0x11, 7), names), "data");
        assert_eq!(None, function(&symbol(0x12, 7), b""), "no names");
    }
}

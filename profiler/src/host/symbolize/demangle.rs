//! Names as people write them.

use std::{
    fmt::{self, Write},
    panic::catch_unwind,
};

use super::limits::{DEMANGLE_DEPTH_MAX, MANGLED_SIZE_BYTES_MAX, NAME_SIZE_BYTES_MAX};

/// Turns the name of a symbol into the one in the source: C++ with its parameters, Rust without
/// its hash, anything else as it is. At most [`NAME_SIZE_BYTES_MAX`] long.
pub(super) fn readable(symbol: &[u8]) -> String {
    // `memcpy@@GLIBC_2.14`: the version of a symbol is not its name.
    let size = symbol.iter().skip(1).position(|byte| *byte == b'@');
    let name = size
        .and_then(|size| symbol.get(..size.saturating_add(1)))
        .unwrap_or(symbol);
    let name = String::from_utf8_lossy(name);
    // The demanglers are not ours and the names are foreign; a panic costs one name.
    let demangled = catch_unwind(|| demangled(&name)).ok().flatten();
    demangled.unwrap_or_else(|| shortened(&name))
}

/// Shortens a text to [`NAME_SIZE_BYTES_MAX`], with a mark where it was cut. Control characters
/// become `?`: names end up on terminals.
pub(super) fn shortened(text: &str) -> String {
    let mut bounded = Bounded::default();
    // Writing stops at the bound, which is what is wanted.
    let _is_cut = bounded.write_str(text).is_err();
    bounded.text
}

/// The source name of a mangled one.
fn demangled(name: &str) -> Option<String> {
    if name.len() > MANGLED_SIZE_BYTES_MAX {
        return None;
    }
    let mut bounded = Bounded::default();
    let written = if name.starts_with("_R") || is_legacy_rust(name) {
        let name = rustc_demangle::try_demangle(name).ok()?;
        write!(bounded, "{name:#}")
    } else if name.starts_with("_Z") {
        let limit = DEMANGLE_DEPTH_MAX;
        let parse = cpp_demangle::ParseOptions::default().recursion_limit(limit);
        let options = cpp_demangle::DemangleOptions::new().recursion_limit(limit);
        cpp_demangle::Symbol::new_with_options(name, &parse)
            .ok()?
            .structured_demangle(&mut bounded, &options)
    } else {
        return None;
    };
    (written.is_ok() || bounded.is_cut).then_some(bounded.text)
}

/// Whether a name ends in the hash that Rust puts where C++ has its last part.
fn is_legacy_rust(name: &str) -> bool {
    let hash = name.strip_prefix("_ZN").and_then(|path| {
        let (_, hash) = path.rsplit_once("17h")?;
        hash.as_bytes().split_first_chunk::<16>()
    });
    hash.is_some_and(|(digits, rest)| {
        digits.iter().all(u8::is_ascii_hexdigit) && matches!(rest, [b'E'] | [b'E', b'.', ..])
    })
}

/// A text that takes no more than [`NAME_SIZE_BYTES_MAX`].
#[derive(Default)]
struct Bounded {
    /// What was written.
    text: String,
    /// Something did not fit.
    is_cut: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            let size = self.text.len().saturating_add(character.len_utf8());
            // Room for the mark.
            if self.is_cut || size.saturating_add('…'.len_utf8()) > NAME_SIZE_BYTES_MAX {
                if !self.is_cut {
                    self.text.push('…');
                }
                self.is_cut = true;
                return Err(fmt::Error);
            }
            let is_control = character.is_control();
            self.text.push(if is_control { '?' } else { character });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{NAME_SIZE_BYTES_MAX, readable};

    #[test]
    fn names_are_the_ones_of_the_source() {
        for (symbol, name) in [
            ("main", "main"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("@odd", "@odd"),
            ("_ZN5space3fooEibc", "space::foo(int, bool, char)"),
            ("_ZN3a_b1cE", "a_b::c"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            (
                "_ZN4core3fmt5write17h0123456789abcdefE.llvm.123",
                "core::fmt::write",
            ),
            (
                "_RNvCskwGfYPst2Cb_3foo16example_function",
                "foo::example_function",
            ),
            ("_Znonsense", "_Znonsense"),
            ("a\u{1b}[2Jb\n", "a?[2Jb?"),
            ("foo.cold", "foo.cold"),
            ("_Z3foov.cold", "foo() [clone .cold]"),
        ] {
            assert_eq!(name, readable(symbol.as_bytes()));
        }
    }

    #[test]
    fn a_name_that_explodes_is_cut() {
        // `S_` is the template, `S2_` the first pair; each further pair doubles the text.
        let mut symbol = "_Z1fSt4pairI1a1bE".to_owned();
        for digit in "23456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars() {
            write!(symbol, "S_IS{digit}_S{digit}_E").unwrap();
        }
        for symbol in [
            symbol.into_bytes(),
            vec![b'x'; 100_000],
            vec![0xff; 100_000],
        ] {
            let name = readable(&symbol);
            assert!(name.len() <= NAME_SIZE_BYTES_MAX, "{} bytes", name.len());
            assert!(name.ends_with('…'), "{name}");
        }
    }

    #[test]
    fn deep_names_do_not_end_the_stack() {
        for part in ["P", "N", "I", "St4pairI", "X", "F"] {
            let symbol = format!("_Z1f{}", part.repeat(3000));
            assert!(readable(symbol.as_bytes()).len() <= NAME_SIZE_BYTES_MAX);
            let symbol = format!("_R{}", part.repeat(3000));
            assert!(readable(symbol.as_bytes()).len() <= NAME_SIZE_BYTES_MAX);
        }
    }
}

//! Symbols of the kernel, its modules and BPF programs, from `/proc/kallsyms`.

use std::{
    cmp::Reverse,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use super::{
    bpf_program,
    demangle::readable,
    limits::{
        KERNEL_FUNCTION_SIZE_BYTES_MAX, KERNEL_NAMES_SIZE_BYTES_MAX, KERNEL_SYMBOLS_MAX,
        NAME_SIZE_BYTES_MAX,
    },
    text_lines::TextLines,
};
use crate::model::{Avma, Location, Naming, Reason};

/// Ends of code that are symbols themselves: what follows them is not inside them.
const END_MARKS: [&[u8]; 3] = [b"_etext", b"_einittext", b"__entry_text_end"];

/// How the kernel marks symbols of BPF programs.
const BPF_MODULE: &str = " [bpf]";

/// The symbols of the running kernel, read when they are needed.
#[derive(Debug)]
pub(super) struct KernelSymbols {
    /// `/proc/kallsyms`
    path: PathBuf,
    /// What was read last.
    table: Option<SymbolTable>,
}

/// One reading of the symbols.
#[derive(Debug, Default)]
struct SymbolTable {
    /// By address; of those at the same address the best name is the last.
    symbols: Vec<Symbol>,
    /// All names, one after the other.
    names: Vec<u8>,
}

/// Where a symbol starts, and what it is called.
#[derive(Clone, Copy, Debug)]
struct Symbol {
    /// Where it starts.
    address: u64,
    /// Start of its name in [`SymbolTable::names`].
    name: u32,
    /// Bytes of its name.
    name_size: u16,
    /// What it can name.
    kind: SymbolKind,
}

/// What a symbol can name. In the order of preference at one address.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum SymbolKind {
    /// Data, or the end of code: it only ends what is before it.
    Other,
    /// A function of one source file.
    LocalFunction,
    /// A function that all of the kernel may call.
    GlobalFunction,
}

impl KernelSymbols {
    /// Starts with nothing read.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, table: None }
    }

    /// Names each address.
    pub(super) fn name(&mut self, addresses: &[Avma]) -> Vec<Naming> {
        // The core kernel stays where it is. Modules and BPF programs come and go, and another one
        // may be where one was, so for them the symbols are read again.
        let is_core = |table: &SymbolTable| {
            let mut names = addresses.iter().map(|address| table.name_at(*address));
            names.all(|name| name.is_some_and(|name| !name.ends_with(b"]")))
        };
        if !self.table.as_ref().is_some_and(is_core) {
            let read = File::open(&self.path)
                .map(BufReader::new)
                .and_then(SymbolTable::read);
            self.table = read.ok().or_else(|| self.table.take());
        }
        let mut namings: Vec<Naming> = addresses
            .iter()
            .map(|address| self.naming(*address))
            .collect();
        add_program_lines(addresses, &mut namings);
        namings
    }

    /// Names one address.
    fn naming(&self, address: Avma) -> Naming {
        let Some(table) = &self.table else {
            return Naming::Unnamed(Reason::Unreadable);
        };
        if table.symbols.is_empty() {
            return Naming::Unnamed(Reason::KernelHidden);
        }
        table
            .name_at(address)
            .map_or(Naming::Unnamed(Reason::Stripped), |name| {
                Naming::Named(vec![Location {
                    function: display_name(name),
                    ..Location::default()
                }])
            })
    }
}

/// Adds file and line to the names of BPF programs.
fn add_program_lines(addresses: &[Avma], namings: &mut [Naming]) {
    let mut programs: Vec<(Avma, &mut Location)> = addresses
        .iter()
        .zip(namings)
        .filter_map(|(address, naming)| match naming {
            Naming::Named(locations) => Some((*address, locations.last_mut()?)),
            Naming::Unnamed(_) => None,
        })
        .filter(|(_address, location)| location.function.ends_with(BPF_MODULE))
        .collect();
    if programs.is_empty() {
        return;
    }
    let addresses: Vec<Avma> = programs
        .iter()
        .map(|(address, _location)| *address)
        .collect();
    for ((_address, location), found) in programs.iter_mut().zip(bpf_program::locate(&addresses)) {
        if let Some((file, line)) = found {
            location.file = Some(file);
            location.line = Some(line);
        }
    }
}

impl SymbolTable {
    /// Reads all symbols. Hidden ones have the address zero and are left out.
    fn read(reader: impl BufRead) -> io::Result<Self> {
        let mut table = Self::default();
        let mut lines = TextLines::new(reader, NAME_SIZE_BYTES_MAX);
        while let Some(line) = lines.next()? {
            if table.symbols.len() >= KERNEL_SYMBOLS_MAX
                || table.names.len() >= KERNEL_NAMES_SIZE_BYTES_MAX
            {
                break;
            }
            table.add(line);
        }
        let names = std::mem::take(&mut table.names);
        table.symbols.sort_by_key(|symbol| {
            let name = symbol.name_in(&names);
            let underscores = name.iter().take_while(|byte| **byte == b'_').count();
            (symbol.address, symbol.kind, Reverse(underscores))
        });
        table.names = names;
        table.symbols.shrink_to_fit();
        Ok(table)
    }

    /// Takes one line: address, type, name, and the module in brackets if it is of one.
    fn add(&mut self, line: &[u8]) {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        let (Some(address), Some(&[letter]), Some(name)) =
            (words.next(), words.next(), words.next())
        else {
            return;
        };
        let address = std::str::from_utf8(address)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (Some(address @ 1..), Some(kind)) = (address, SymbolKind::of(letter, name)) else {
            return;
        };
        let start = self.names.len();
        self.names.extend_from_slice(name);
        if let Some(module) = words.next() {
            self.names.push(b' ');
            self.names.extend_from_slice(module);
        }
        let size = self.names.len().saturating_sub(start);
        if let (Ok(name), Ok(name_size)) = (u32::try_from(start), u16::try_from(size)) {
            self.symbols.push(Symbol {
                address,
                name,
                name_size,
                kind,
            });
        }
    }

    /// The name of the function that holds an address.
    fn name_at(&self, address: Avma) -> Option<&[u8]> {
        let after = self
            .symbols
            .partition_point(|symbol| symbol.address <= address.0);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        let inside = address.0.saturating_sub(symbol.address);
        let is_code = symbol.kind != SymbolKind::Other && inside < KERNEL_FUNCTION_SIZE_BYTES_MAX;
        is_code.then(|| symbol.name_in(&self.names))
    }
}

impl Symbol {
    /// Its name, with its module.
    fn name_in<'names>(&self, names: &'names [u8]) -> &'names [u8] {
        let start = usize::try_from(self.name).unwrap_or(usize::MAX);
        let rest = names.get(start..).unwrap_or_default();
        rest.get(..self.name_size.into()).unwrap_or_default()
    }
}

impl SymbolKind {
    /// What a symbol of this type (as `nm` prints it) can name; absent for one that is nowhere.
    fn of(letter: u8, name: &[u8]) -> Option<Self> {
        match letter {
            b'T' | b'W' | b't' | b'w' if END_MARKS.contains(&name) => Some(Self::Other),
            b'T' | b'W' => Some(Self::GlobalFunction),
            b't' | b'w' => Some(Self::LocalFunction),
            // Absolute and undefined ones.
            b'A' | b'a' | b'U' | b'?' => None,
            _ => Some(Self::Other),
        }
    }
}

/// The readable name, with the module after it.
fn display_name(name: &[u8]) -> String {
    let space = name.iter().position(|byte| *byte == b' ');
    let (symbol, module) = name.split_at(space.unwrap_or(name.len()));
    format!("{}{}", readable(symbol), String::from_utf8_lossy(module))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::{KernelSymbols, readable};
    use crate::model::{Avma, Naming, Reason};

    /// The names of addresses, or the reasons, as one text.
    fn named(symbols: &mut KernelSymbols, addresses: &[u64]) -> String {
        let addresses: Vec<Avma> = addresses.iter().copied().map(Avma).collect();
        let texts = symbols
            .name(&addresses)
            .into_iter()
            .map(|naming| match naming {
                Naming::Named(locations) => locations[0].function.clone(),
                Naming::Unnamed(reason) => format!("{reason:?}"),
            });
        texts.collect::<Vec<_>>().join(", ")
    }

    const TABLE: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T first
ffffffff81000100 t second
ffffffff81000100 t __alias
ffffffff81000200 T _RNvC6kernel4rust
ffffffff81000300 T _etext
ffffffff82000000 D data
ffffffffc0001000 t in_module\t[some_module]
ffffffffc0003000 t bpf_prog_0123456789abcdef_p\t[bpf]
nonsense
ffffffffzzzzzzzz T nonsense
";

    #[test]
    fn an_address_is_in_the_function_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kallsyms");
        fs::write(&path, TABLE).unwrap();
        let mut symbols = KernelSymbols::new(path.clone());
        let found = named(
            &mut symbols,
            &[
                0xffffffff81000000,
                0xffffffff810000ff,
                0xffffffff81000100,
                0xffffffff81000210,
                0xffffffff81000300,
                0xffffffff82000001,
                0xffffffffc0001001,
                0xffffffffc0003001,
                0xffffffffd0000000,
                0x1000,
            ],
        );
        assert_eq!(
            "first, first, second, kernel::rust, Stripped, Stripped, in_module [some_module], \
             bpf_prog_0123456789abcdef_p [bpf], Stripped, Stripped",
            found
        );
        // Another program where one was: read again. The core kernel is not.
        fs::write(
            &path,
            "ffffffffc0003000 t bpf_prog_fedcba9876543210_q\t[bpf]\n",
        )
        .unwrap();
        assert_eq!("first", named(&mut symbols, &[0xffffffff81000001]));
        assert_eq!(
            "bpf_prog_fedcba9876543210_q [bpf]",
            named(&mut symbols, &[0xffffffffc0003001])
        );
    }

    #[test]
    fn hidden_and_missing_symbols_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kallsyms");
        let mut symbols = KernelSymbols::new(path.clone());
        assert_eq!("Unreadable", named(&mut symbols, &[0xffffffff81000001]));
        fs::write(
            &path,
            "0000000000000000 T _stext\n0000000000000000 T first\n",
        )
        .unwrap();
        assert_eq!("KernelHidden", named(&mut symbols, &[0xffffffff81000001]));
        assert_eq!(0, symbols.name(&[]).len());
    }

    /// Each function of this kernel that has an address for itself gets its own name back.
    #[test]
    fn the_running_kernel_is_named() {
        let path = PathBuf::from("/proc/kallsyms");
        let text = fs::read_to_string(&path).unwrap();
        let functions: Vec<(u64, &str)> = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let address = u64::from_str_radix(words.next()?, 16).ok()?;
                let is_code = words.next()? == "T";
                let name = words.next()?;
                (is_code && words.next().is_none()).then_some((address, name))
            })
            .collect();
        let addresses: Vec<Avma> = functions
            .iter()
            .map(|(address, _)| Avma(*address))
            .collect();
        let namings = KernelSymbols::new(path).name(&addresses);
        if functions.iter().all(|(address, _)| *address == 0) {
            // An unprivileged run sees no addresses.
            let hidden = Naming::Unnamed(Reason::KernelHidden);
            assert!(namings.iter().all(|naming| *naming == hidden));
            return;
        }
        let same = functions
            .iter()
            .zip(&namings)
            .filter(|((_, name), naming)| {
                matches!(naming, Naming::Named(locations)
                if locations[0].function == readable(name.as_bytes()))
            });
        let share = same.count() * 100 / functions.len();
        // Aliases share an address, and one name is shown.
        assert!(share > 90, "{share} % of {}", functions.len());
    }
}

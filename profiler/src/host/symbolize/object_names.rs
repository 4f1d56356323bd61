//! Names of places in one object file, from the cheapest source to the richest.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

use super::{
    budget::Budget,
    bytes::FileBytes,
    debug_data::mini_debug_info,
    debug_file::{self, DebugPlaces},
    demangle::readable,
    dwarf,
    elf::{Elf, malformed},
    error::ReadError,
    symbolizer::{Contents, ObjectSource, Options},
    symbols::{SymbolSearch, Table},
};
use crate::model::{FileOffset, Location, Naming, Reason, Svma};

/// Names each offset.
///
/// # Errors
/// The object itself cannot be read. Whatever else goes wrong only leaves frames without names or
/// lines.
pub(super) fn name(
    object: &ObjectSource<'_>,
    offsets: &[FileOffset],
    options: &Options,
) -> Result<Vec<Naming>, ReadError> {
    let kept_size_bytes = options.memory_size_bytes_max / 8;
    let budget = Rc::new(Budget::new(options.deadline_per_object));
    let bytes = match &object.contents {
        Contents::Path(path) => FileBytes::open(path, kept_size_bytes, &budget)?,
        Contents::Image(image) => FileBytes::image(image, &budget),
    };
    let own = Elf::parse(bytes)?;
    let addresses: Vec<Option<Svma>> = offsets
        .iter()
        .map(|offset| own.address_of(*offset))
        .collect();
    let mut targets: Vec<Svma> = addresses.iter().flatten().copied().collect();
    targets.sort_unstable();
    targets.dedup();

    let mut search = Search {
        own,
        debug_file: None,
        trouble: None,
        options,
    };
    let symbols = search.symbols(object, &targets, kept_size_bytes);
    let mut located = search.locations(&targets);
    let fallback = search.reason(&budget);
    let namings: Vec<Naming> = symbols
        .into_iter()
        .zip(located.drain(..))
        .map(|(symbol, locations)| combined(symbol, locations, fallback, options))
        .collect();
    let naming_of = |address: &Option<Svma>| {
        let index = targets.binary_search(address.as_ref()?).ok()?;
        namings.get(index).cloned()
    };
    Ok(addresses
        .iter()
        .map(|address| naming_of(address).unwrap_or(Naming::Unnamed(Reason::Stripped)))
        .collect())
}

/// The sources of names of one object.
struct Search<'options> {
    /// The object.
    own: Elf,
    /// Its separate debug file.
    debug_file: Option<Elf>,
    /// Why a source was not read to its end.
    trouble: Option<ReadError>,
    /// Bounds.
    options: &'options Options,
}

impl Search<'_> {
    /// Finds the symbol of each address. Also looks for the debug file, where the object lacks
    /// something that one would have.
    fn symbols(
        &mut self,
        object: &ObjectSource<'_>,
        targets: &[Svma],
        kept_size_bytes: u64,
    ) -> Vec<Option<Vec<u8>>> {
        let mut search = SymbolSearch::new(targets);
        self.scan(&mut search, None, Table::Dynamic);
        let mut has_all = self.scan(&mut search, None, Table::Full);
        if !has_all || self.own.section_named(".debug_info").is_none() {
            let places = DebugPlaces {
                debug_dirs: &self.options.debug_dirs,
                shown_path: object.shown_path,
                root: object.root.as_deref(),
                kept_size_bytes,
            };
            self.debug_file = debug_file::find(&self.own, object.build_id.as_ref(), &places);
        }
        if !has_all && let Some(debug_file) = self.debug_file.take() {
            has_all = self.scan(&mut search, Some(&debug_file), Table::Full);
            self.debug_file = Some(debug_file);
        }
        if !has_all && let Some(mini) = self.mini() {
            self.scan(&mut search, Some(&mini), Table::Full);
        }
        // The names of what was found, however long the search took: a large debug file may take
        // all the time with its checksum.
        let budget = self.own.bytes.budget();
        budget.grant(self.options.deadline_per_object.div_f32(4.0));
        search.into_names()
    }

    /// Looks through one table, of the object itself where `elf` is absent. Returns whether it is
    /// there.
    fn scan(&mut self, search: &mut SymbolSearch<'_>, elf: Option<&Elf>, table: Table) -> bool {
        let scanned = search.scan(elf.unwrap_or(&self.own), table);
        self.kept(scanned).unwrap_or(true)
    }

    /// Unpacks `.gnu_debugdata`.
    fn mini(&mut self) -> Option<Elf> {
        let size_max = self.options.memory_size_bytes_max / 8;
        let unpacked = guarded(|| mini_debug_info(&self.own, size_max));
        let unpacked = self.kept(unpacked).flatten()?;
        let elf = Elf::parse(FileBytes::image(&unpacked, self.own.bytes.budget()));
        self.kept(elf)
    }

    /// Finds the locations of each address in the debug information.
    fn locations(&mut self, targets: &[Svma]) -> Vec<Vec<Location>> {
        let unpacked_size_max = self.options.memory_size_bytes_max / 4;
        let source = [Some(&self.own), self.debug_file.as_ref()]
            .into_iter()
            .flatten()
            .find(|elf| elf.section_named(".debug_info").is_some());
        let located = source.map(|elf| guarded(|| dwarf::locate(elf, targets, unpacked_size_max)));
        // Without debug information names are as right as with it, so no trouble is kept.
        let located = located.and_then(Result::ok);
        located.unwrap_or_else(|| vec![Vec::new(); targets.len()])
    }

    /// Keeps the first trouble.
    fn kept<T>(&mut self, result: Result<T, ReadError>) -> Option<T> {
        result
            .map_err(|error| self.trouble.get_or_insert(error).reason())
            .ok()
    }

    /// Why an address has no name.
    fn reason(&self, budget: &Budget) -> Reason {
        match &self.trouble {
            Some(trouble) => trouble.reason(),
            None if budget.is_expired() => Reason::Bounded,
            None => Reason::Stripped,
        }
    }
}

/// Puts the symbol and the locations of an address together.
///
/// The symbol names the function that the machine code is in: it is the whole name, where debug
/// information may have only `operator()`.
fn combined(
    symbol: Option<Vec<u8>>,
    mut locations: Vec<Location>,
    fallback: Reason,
    options: &Options,
) -> Naming {
    if !options.inlines {
        let outer = locations.len().saturating_sub(1);
        locations.drain(..outer);
    }
    let mut function = locations.pop().unwrap_or_default();
    if let Some(symbol) = symbol {
        function.function = readable(&symbol);
    }
    if function.function.is_empty() {
        return Naming::Unnamed(fallback);
    }
    locations.push(function);
    Naming::Named(locations)
}

/// Runs code of others over bytes of others.
///
/// The parsers of DWARF and xz are not ours. They are not known to panic; if one does, it costs the
/// names of one object and not the daemon. Nothing they touched is used afterwards.
fn guarded<T>(read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(malformed("a parser gave up")))
}

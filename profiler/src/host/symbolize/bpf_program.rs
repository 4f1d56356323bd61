//! Source lines of BPF programs, which the kernel itself keeps for each program it runs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use blazesym::{
    MaybeDefault,
    symbolize::{
        Input, Symbolizer,
        source::{Kernel, Source},
    },
};

use crate::model::Avma;

/// A file, and a line in it.
pub(super) type SourceLine = (String, u32);

/// File and line at addresses in BPF programs; `None` where the kernel has none.
///
/// One answer for each address, in the same order. Costs a reading of `/proc/kallsyms`, so give
/// only addresses that are known to be in BPF programs.
pub(super) fn locate(addresses: &[Avma]) -> Vec<Option<SourceLine>> {
    // The library reads what other people loaded into the kernel; what it cannot bear must not end
    // the daemon.
    catch_unwind(AssertUnwindSafe(|| try_locate(addresses)))
        .ok()
        .flatten()
        .unwrap_or_else(|| vec![None; addresses.len()])
}

/// Asks the library; `None` when it cannot read the kernel at all.
fn try_locate(addresses: &[Avma]) -> Option<Vec<Option<SourceLine>>> {
    let kernel = Kernel {
        vmlinux: MaybeDefault::None,
        ..Kernel::default()
    };
    let addresses: Vec<u64> = addresses.iter().map(|address| address.0).collect();
    let symbolizer = Symbolizer::new();
    let found = symbolizer
        .symbolize(&Source::Kernel(kernel), Input::AbsAddr(&addresses))
        .ok()?;
    let location = |symbolized: &blazesym::symbolize::Symbolized<'_>| {
        let symbol = symbolized.as_sym()?;
        let code = symbol.code_info.as_deref()?;
        let folder = code.dir.as_deref().map(PathBuf::from).unwrap_or_default();
        Some((
            folder.join(&code.file).to_string_lossy().into_owned(),
            code.line?,
        ))
    };
    Some(found.iter().map(location).collect())
}

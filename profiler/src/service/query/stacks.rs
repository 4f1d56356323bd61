//! The stacks of a selection with their names, and how good they are.

use std::{sync::Arc, thread};

use super::{QueryError, names::NamedStacks, quality, reader::Reader};
use crate::{
    model::{Quality, Selection},
    service::store::{MergedStacks, QueryLimits},
};

/// The stacks of a selection.
pub(super) struct Stacks {
    /// Each with its value.
    pub(super) merged: Arc<MergedStacks>,
    /// Their names, in the same order.
    pub(super) named: NamedStacks,
    /// How good the data is.
    pub(super) quality: Quality,
}

impl Stacks {
    /// Reads them.
    ///
    /// # Errors
    /// As [`Reader::merged`].
    pub(super) fn read(
        reader: &Reader,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<Self, QueryError> {
        let read = || {
            let merged = reader.merged(selection, limits)?;
            let named = reader.named(&merged);
            Ok((merged, named))
        };
        let ((merged, named), hosts) = beside_hosts(reader, selection, limits, read)?;
        let stacks = (&*merged, &named);
        let quality = quality::of_selection_beside(reader, selection, hosts, stacks, limits)?;
        Ok(Self {
            merged,
            named,
            quality,
        })
    }
}

/// Does some work, and reads the quality of the hosts concerned beside it: with a thousand hosts that
/// takes as long as the work.
///
/// # Errors
/// Those of the work; as [`quality::of_hosts`].
pub(super) fn beside_hosts<T>(
    reader: &Reader,
    selection: &Selection,
    limits: &QueryLimits,
    work: impl FnOnce() -> Result<T, QueryError>,
) -> Result<(T, Quality), QueryError> {
    let span = tracing::Span::current();
    thread::scope(|scope| {
        let hosts = scope.spawn(|| span.in_scope(|| quality::of_hosts(reader, selection, limits)));
        let done = work();
        let hosts = hosts.join().expect("reading does not panic");
        Ok((done?, hosts?))
    })
}

//! The line of a function that weighs most.

use std::collections::BTreeMap;

use crate::{
    model::{FrameId, Naming, StackId},
    service::{
        insight::{SignalTable, Site},
        query::Reader,
    },
};

/// Stacks that are looked through for the line of one function: the heaviest say which it is.
const STACKS_MAX: usize = 2_000;

/// Sets the line of a place to the one that weighs most in a signal; one without lines keeps none.
pub(in crate::service::query) fn locate(reader: &Reader, table: &SignalTable, place: &mut Site) {
    let is_it = |site: &Site| site.function == place.function && site.module == place.module;
    let stacks: Vec<(u64, StackId)> = (table.paths.iter())
        .filter(|path| path.sites.iter().any(|s| is_it(&table.sites[*s as usize])))
        .map(|path| (path.values[0], path.stack))
        .collect();
    locate_in(reader, stacks, place);
}

/// The same by some weighted stacks.
pub(in crate::service::query) fn locate_in(
    reader: &Reader,
    mut stacks: Vec<(u64, StackId)>,
    place: &mut Site,
) {
    stacks.sort_unstable_by(|a, b| b.cmp(a));
    stacks.truncate(STACKS_MAX);
    let ids: Vec<StackId> = stacks.iter().map(|(_weight, id)| *id).collect();
    let store = reader.store();
    let frames_of = store.stacks(&ids);
    let mut ids: Vec<FrameId> = frames_of
        .iter()
        .flatten()
        .flat_map(|f| f.iter().copied())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut line_of: BTreeMap<FrameId, (String, u32)> = BTreeMap::new();
    for (id, frame) in ids.iter().zip(store.frames(&ids)) {
        let Some(frame) = frame else { continue };
        let Naming::Named(locations) = &frame.naming else {
            continue;
        };
        let here = locations.iter().find(|l| *l.function == *place.function);
        if let Some(here) = here
            && let (Some(file), Some(line)) = (&here.file, here.line)
        {
            line_of.insert(*id, (file.clone(), line));
        }
    }
    let mut weights: BTreeMap<&(String, u32), u64> = BTreeMap::new();
    for ((weight, _id), frames) in stacks.iter().zip(&frames_of) {
        let lines = frames.iter().flat_map(|frames| frames.iter());
        // The innermost level of a recursion is where the time goes.
        let mut lines = lines;
        if let Some(line) = lines.find_map(|frame| line_of.get(frame)) {
            *weights.entry(line).or_default() += weight;
        }
    }
    let heaviest = weights.into_iter().max_by_key(|(_line, weight)| *weight);
    if let Some(((file, line), _weight)) = heaviest {
        place.file = file.as_str().into();
        place.line = *line;
    }
}

//! Everything known of one function, across signals.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    QueryError,
    names::{NamedStack, NamedStacks},
    quality,
    question::types_of,
    reader::Reader,
    series::split,
    top::total_of,
};
use crate::{
    model::{FrameId, Naming, ProfileType, Quality, Selection, StackId, label},
    service::store::{MergedStacks, QueryLimits},
};

/// A name with what it weighs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Share {
    /// Function or service.
    pub name: String,
    /// Weight of the stacks concerned.
    pub value: u64,
}

/// A line with what it weighs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineShare {
    /// Source file.
    pub file: String,
    /// From 1; zero when unknown.
    pub line: u32,
    /// Weight of the line itself.
    pub own: u64,
}

/// What one signal says of a function.
#[derive(Clone, Debug)]
pub struct SignalOfFunction {
    /// What is counted.
    pub profile_type: ProfileType,
    /// By itself.
    pub own: u64,
    /// With all it called.
    pub total: u64,
    /// Of the whole selection.
    pub selection_total: u64,
    /// Functions that called it, heaviest first; calls from itself are left out.
    pub callers: Vec<Share>,
    /// Functions it called, heaviest first; calls to itself are left out.
    pub callees: Vec<Share>,
    /// Services it ran in, heaviest first; the empty name for what has no service or cannot be told.
    pub by_service: Vec<Share>,
    /// Its lines by their own weight, heaviest first.
    pub lines: Vec<LineShare>,
    /// How good the data is.
    pub quality: Quality,
}

/// Everything known of one function.
#[derive(Clone, Debug, Default)]
pub struct FunctionFacts {
    /// Signals in which it was seen.
    pub signals: Vec<SignalOfFunction>,
    /// Source files it is in.
    pub files: BTreeSet<Arc<str>>,
    /// Object files it is in.
    pub modules: BTreeSet<Arc<str>>,
}

/// Looks for a function by its exact name in every signal of a span of time. The type of
/// `selection` is not looked at. At most `limit` callers, callees, services and lines of each signal.
///
/// # Errors
/// As [`Reader::merged`].
pub fn function(
    reader: &Reader,
    name: &str,
    selection: &Selection,
    limit: usize,
    limits: &QueryLimits,
) -> Result<FunctionFacts, QueryError> {
    let types = reader.store().profile_types(selection.range);
    let signals: BTreeSet<String> = types.into_iter().map(|known| known.signal).collect();
    let mut facts = FunctionFacts::default();
    for signal in signals {
        let first = types_of(reader.store(), selection.range, &signal);
        let Some(profile_type) = first.into_iter().next() else {
            continue;
        };
        let selection = Selection {
            profile_type,
            ..selection.clone()
        };
        let search = Search {
            reader,
            name,
            limit,
            limits,
        };
        let seen = search.signal(&selection, &mut facts)?;
        facts.signals.extend(seen);
    }
    Ok(facts)
}

/// What is looked for.
struct Search<'a> {
    reader: &'a Reader,
    name: &'a str,
    limit: usize,
    limits: &'a QueryLimits,
}

impl Search<'_> {
    /// What one signal says; nothing when the function is not in it.
    fn signal(
        &self,
        selection: &Selection,
        facts: &mut FunctionFacts,
    ) -> Result<Option<SignalOfFunction>, QueryError> {
        let merged = self.reader.merged(selection, self.limits)?;
        let named = self.reader.named(&merged);
        let wanted = wanted(&named, self.name);
        let seen = look(&merged, &named, &wanted);
        if seen.stacks.is_empty() {
            return Ok(None);
        }
        for number in &seen.places {
            let place = &named.places[*number as usize];
            facts.files.extend(Some(Arc::clone(&place.file)));
            facts.modules.extend(Some(Arc::clone(&place.module)));
        }
        facts.files.retain(|file| !file.is_empty());
        facts.modules.retain(|module| !module.is_empty());
        Ok(Some(SignalOfFunction {
            profile_type: selection.profile_type.clone(),
            own: seen
                .own
                .values()
                .fold(0, |sum, own| sum.saturating_add(*own)),
            total: seen.total,
            selection_total: total_of(&merged),
            callers: self.heaviest(&named, &seen.callers),
            callees: self.heaviest(&named, &seen.callees),
            by_service: self.services(selection, &seen)?,
            lines: self.lines(&seen.own),
            quality: quality::of_selection(self.reader, selection, &merged, &named, self.limits)?,
        }))
    }

    /// Names with their weights, heaviest first. Levels of the same name are one.
    fn heaviest(&self, named: &NamedStacks, weights: &HashMap<u32, u64>) -> Vec<Share> {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for (number, weight) in weights {
            let sum = by_name
                .entry(&named.places[*number as usize].function)
                .or_default();
            *sum = sum.saturating_add(*weight);
        }
        let shares = by_name.into_iter().map(|(name, value)| Share {
            name: name.to_owned(),
            value,
        });
        self.cut(shares.collect())
    }

    /// Leaves the heaviest.
    fn cut(&self, mut shares: Vec<Share>) -> Vec<Share> {
        shares.sort_by(|a, b| (b.value, &a.name).cmp(&(a.value, &b.name)));
        shares.truncate(self.limit);
        shares
    }

    /// Services by the weight of the stacks the function is in.
    fn services(&self, selection: &Selection, seen: &Seen) -> Result<Vec<Share>, QueryError> {
        let parts = split(self.reader, selection, label::SERVICE, self.limits)?;
        let shares = parts.into_iter().map(|part| {
            let of_function = part.merged.stacks.iter();
            let of_function = of_function.filter(|(id, _value)| seen.stacks.contains(id));
            Share {
                name: part.value.unwrap_or_default(),
                value: of_function.fold(0, |sum, (_id, value)| sum.saturating_add(*value)),
            }
        });
        Ok(self.cut(shares.filter(|share| 0 < share.value).collect()))
    }

    /// Lines of the function by their own weight: those of the innermost level of its stacks.
    fn lines(&self, own: &BTreeMap<StackId, u64>) -> Vec<LineShare> {
        let ids: Vec<StackId> = own.keys().copied().collect();
        let store = self.reader.store();
        let stacks = store.stacks(&ids);
        let innermost: Vec<FrameId> = (stacks.iter())
            .map(|frames| frames.as_deref().and_then(<[FrameId]>::first))
            .map(|frame| frame.copied().unwrap_or_default())
            .collect();
        let mut weights: BTreeMap<(String, u32), u64> = BTreeMap::new();
        for (frame, weight) in store.frames(&innermost).into_iter().zip(own.values()) {
            let Some(frame) = frame else { continue };
            let Naming::Named(locations) = &frame.naming else {
                continue;
            };
            if let Some(location) = locations.first()
                && let Some(file) = &location.file
            {
                let line = (file.clone(), location.line.unwrap_or_default());
                let sum = weights.entry(line).or_default();
                *sum = sum.saturating_add(*weight);
            }
        }
        let mut lines: Vec<LineShare> = (weights.into_iter())
            .map(|((file, line), own)| LineShare { file, line, own })
            .collect();
        lines.sort_by(|a, b| (b.own, &a.file, a.line).cmp(&(a.own, &b.file, b.line)));
        lines.truncate(self.limit);
        lines
    }
}

/// The levels that are called so.
fn wanted(named: &NamedStacks, name: &str) -> HashSet<u32> {
    let places = named.places.iter().enumerate();
    places
        .filter(|(_number, place)| &*place.function == name)
        .filter_map(|(number, _place)| u32::try_from(number).ok())
        .collect()
}

/// Looks through all stacks.
fn look(merged: &MergedStacks, named: &NamedStacks, wanted: &HashSet<u32>) -> Seen {
    let mut seen = Seen::default();
    for ((id, value), stack) in merged.stacks.iter().zip(&named.stacks) {
        if stack.places.iter().any(|place| wanted.contains(place)) {
            seen.add(*id, *value, stack, wanted);
        }
    }
    seen
}

/// What was seen of a function.
#[derive(Default)]
struct Seen {
    total: u64,
    /// Stacks it is in.
    stacks: HashSet<StackId>,
    /// Levels it is.
    places: HashSet<u32>,
    /// Weights of the stacks in which it is innermost.
    own: BTreeMap<StackId, u64>,
    callers: HashMap<u32, u64>,
    callees: HashMap<u32, u64>,
}

impl Seen {
    /// Adds a stack that the function is in.
    fn add(&mut self, id: StackId, value: u64, stack: &NamedStack, wanted: &HashSet<u32>) {
        self.total = self.total.saturating_add(value);
        self.stacks.insert(id);
        let is_wanted = |place: &u32| wanted.contains(place);
        if stack.places.last().is_some_and(is_wanted) {
            self.own.insert(id, value);
        }
        let places = stack.places.iter().copied();
        self.places.extend(places.filter(is_wanted));
        // Each caller and callee once a stack, however deep the recursion.
        let (mut callers, mut callees) = (HashSet::new(), HashSet::new());
        for pair in stack.places.windows(2) {
            if let [outer, inner] = pair {
                match (is_wanted(outer), is_wanted(inner)) {
                    (false, true) => _ = callers.insert(*outer),
                    (true, false) => _ = callees.insert(*inner),
                    (true, true) | (false, false) => {}
                }
            }
        }
        for (found, weights) in [(callers, &mut self.callers), (callees, &mut self.callees)] {
            for place in found {
                let sum = weights.entry(place).or_default();
                *sum = sum.saturating_add(value);
            }
        }
    }
}

//! Stacks with the names of their levels, looked up once and kept for the next question.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::{
    limits::{NAMED_AGE_MAX, NAMED_SIZE_BYTES_MAX},
    place::{Place, places_of},
};
use crate::{
    clock,
    model::{FrameDefinition, FrameId, FrameKind, Naming, StackId},
    service::store::{FrameHashes, Store},
};

/// Ids are hashes already: a table takes them as they are.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// A table by content address.
type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Frames, each once.
type IdSet = HashSet<FrameId, BuildHasherDefault<IdHasher>>;

/// A frame with its definition.
type Defined = (FrameId, Arc<FrameDefinition>);

/// One stack with the numbers of its levels.
#[derive(Debug)]
pub struct NamedStack {
    /// Levels by their place in [`NamedStacks::places`], outermost first.
    pub places: Box<[u32]>,
    /// Frames by their place in the table of frames; each once, in no order.
    frames: Box<[u32]>,
    /// True when the stack was cut at its outer end.
    pub is_cut: bool,
}

/// Stacks with names, in the order they were asked for.
#[expect(
    clippy::rc_buffer,
    reason = "the tables grow in place while no answer holds them"
)]
#[derive(Debug)]
pub struct NamedStacks {
    /// One for each id.
    pub stacks: Vec<Arc<NamedStack>>,
    /// What the levels are called.
    pub places: Arc<Vec<Arc<Place>>>,
    /// By frame: true when it has no name.
    unnamed: Arc<Vec<bool>>,
}

/// How many frames some stacks have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct FrameCounts {
    /// Distinct ones.
    pub(super) all: u64,
    /// Those of them without a name.
    pub(super) unnamed: u64,
}

impl NamedStacks {
    /// Counts the distinct frames.
    pub(super) fn frame_counts(&self) -> FrameCounts {
        let mut seen = vec![false; self.unnamed.len()];
        let mut counts = FrameCounts::default();
        for frame in self.stacks.iter().flat_map(|stack| stack.frames.iter()) {
            let index = *frame as usize;
            if let Some(seen) = seen.get_mut(index)
                && !*seen
            {
                *seen = true;
                counts.all += 1;
                counts.unnamed += u64::from(self.unnamed.get(index).copied().unwrap_or_default());
            }
        }
        counts
    }
}

/// What was looked up so far. Forgotten as a whole: when it grows too large, and after a while,
/// because names may have become better.
#[expect(
    clippy::rc_buffer,
    reason = "the tables grow in place while no answer holds them"
)]
#[derive(Debug, Default)]
struct Known {
    /// Monotonic time of its beginning.
    since: Duration,
    /// About how much memory it takes.
    size_bytes: usize,
    places: Arc<Vec<Arc<Place>>>,
    place_numbers: HashMap<Arc<Place>, u32>,
    unnamed: Arc<Vec<bool>>,
    /// By frame number: its levels, outermost first.
    frame_places: Vec<Box<[u32]>>,
    frame_numbers: ById<FrameId, u32>,
    stacks: ById<StackId, Arc<NamedStack>>,
}

/// Looks stacks up and keeps them.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Known>);

impl Names {
    /// Names the levels of stacks.
    pub(super) fn look_up(&self, store: &dyn Store, ids: &[StackId]) -> NamedStacks {
        self.retire(clock::monotonic());
        let missing = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            match known.all(ids) {
                Ok(named) => return named,
                Err(missing) => missing,
            }
        };
        let stacks = store.stacks(&missing);
        let definitions = self.definitions(store, &stacks);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (id, definition) in definitions {
            known.add_frame(id, &definition);
        }
        let mut passing = HashMap::new();
        for (id, frames) in missing.into_iter().zip(stacks) {
            known.add_stack(id, frames.as_deref(), &mut passing);
        }
        known.named(ids, &passing)
    }

    /// Definitions of the frames of stacks that are not known yet.
    fn definitions(&self, store: &dyn Store, stacks: &[FrameHashes]) -> Vec<Defined> {
        let ids: Vec<FrameId> = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let frames = stacks.iter().flatten().flat_map(|frames| frames.iter());
            let new = frames.filter(|id| !known.frame_numbers.contains_key(id));
            new.copied().collect::<IdSet>().into_iter().collect()
        };
        let definitions = store.frames(&ids);
        let found = ids.into_iter().zip(definitions);
        found
            .filter_map(|(id, definition)| Some((id, definition?)))
            .collect()
    }

    /// Forgets everything that is too old or too much.
    fn retire(&self, now: Duration) {
        let is_over = |known: &Known| {
            known.size_bytes > NAMED_SIZE_BYTES_MAX
                || now.saturating_sub(known.since) > NAMED_AGE_MAX
        };
        let over = is_over(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        if over {
            let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
            // Another question may have been here in between.
            if is_over(&known) {
                *known = Known {
                    since: now,
                    ..Known::default()
                };
            }
        }
    }
}

impl Known {
    /// The stacks if all of them are known, otherwise those that are not.
    fn all(&self, ids: &[StackId]) -> Result<NamedStacks, Vec<StackId>> {
        let mut stacks = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.stacks.get(id) {
                Some(stack) => stacks.push(Arc::clone(stack)),
                None => missing.push(*id),
            }
        }
        if missing.is_empty() {
            Ok(self.with(stacks))
        } else {
            Err(missing)
        }
    }

    /// The stacks, those included that are not kept.
    fn named(&self, ids: &[StackId], passing: &HashMap<StackId, Arc<NamedStack>>) -> NamedStacks {
        let stack = |id: &StackId| {
            let found = self.stacks.get(id).or_else(|| passing.get(id));
            // Both tables were forgotten when another question retired them in between.
            found.map_or_else(|| Arc::new(NamedStack::empty()), Arc::clone)
        };
        self.with(ids.iter().map(stack).collect())
    }

    /// Puts stacks and names together.
    fn with(&self, stacks: Vec<Arc<NamedStack>>) -> NamedStacks {
        NamedStacks {
            stacks,
            places: Arc::clone(&self.places),
            unnamed: Arc::clone(&self.unnamed),
        }
    }

    /// The number of a level.
    fn place_number(&mut self, place: Place) -> u32 {
        if let Some(number) = self.place_numbers.get(&place) {
            return *number;
        }
        let number = u32::try_from(self.places.len()).expect("names are bounded by memory");
        self.size_bytes += size_of::<Place>() + place.function.len() + place.file.len();
        let place = Arc::new(place);
        Arc::make_mut(&mut self.places).push(Arc::clone(&place));
        self.place_numbers.insert(place, number);
        number
    }

    /// Adds a frame with its levels.
    fn add_frame(&mut self, id: FrameId, definition: &FrameDefinition) {
        if self.frame_numbers.contains_key(&id) {
            return;
        }
        let places = places_of(definition).into_iter();
        let places: Box<[u32]> = places.map(|place| self.place_number(place)).collect();
        let is_unnamed = definition.kind != FrameKind::Truncated
            && matches!(definition.naming, Naming::Unnamed(_));
        let number = u32::try_from(self.frame_places.len()).expect("frames are bounded by memory");
        self.size_bytes += 64 + size_of_val(&*places);
        self.frame_places.push(places);
        Arc::make_mut(&mut self.unnamed).push(is_unnamed);
        self.frame_numbers.insert(id, number);
    }

    /// Adds a stack. One that is not known as a whole is for this question only: its definitions
    /// may still come.
    fn add_stack(
        &mut self,
        id: StackId,
        frames: Option<&[FrameId]>,
        passing: &mut HashMap<StackId, Arc<NamedStack>>,
    ) {
        let mut is_whole = frames.is_some();
        let levels = frames.unwrap_or_default();
        let mut numbers = Vec::with_capacity(levels.len());
        let mut places = Vec::with_capacity(levels.len());
        // Innermost first becomes outermost first.
        for frame in levels.iter().rev() {
            if let Some(number) = self.frame_numbers.get(frame) {
                numbers.push(*number);
                places.extend_from_slice(self.places_of_frame(*number));
            } else {
                is_whole = false;
                places.push(self.place_number(Place::unknown()));
            }
        }
        if frames.is_none() {
            places.push(self.place_number(Place::unknown()));
        }
        numbers.sort_unstable();
        numbers.dedup();
        let stack = Arc::new(NamedStack {
            is_cut: self.is_cut(&places),
            places: places.into(),
            frames: numbers.into(),
        });
        if is_whole {
            self.size_bytes += stack.size_bytes();
            self.stacks.insert(id, stack);
        } else {
            passing.insert(id, stack);
        }
    }

    /// The levels of a frame.
    fn places_of_frame(&self, number: u32) -> &[u32] {
        (self.frame_places.get(number as usize)).map_or(&[], |places| places)
    }

    /// Whether a stack begins with the mark of one that was cut.
    fn is_cut(&self, places: &[u32]) -> bool {
        let outermost = places.first().and_then(|p| self.places.get(*p as usize));
        outermost.is_some_and(|place| place.kind == FrameKind::Truncated)
    }
}

impl NamedStack {
    /// A stack without levels.
    fn empty() -> Self {
        Self {
            places: Box::default(),
            frames: Box::default(),
            is_cut: false,
        }
    }

    /// About how much memory it takes, its entry in the table included.
    fn size_bytes(&self) -> usize {
        96 + size_of_val(&*self.places) + size_of_val(&*self.frames)
    }
}

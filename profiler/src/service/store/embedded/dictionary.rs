//! Frames and stacks by id, in memory.
//!
//! Stacks lie in one flat arena of frame numbers (4 bytes a level), because millions of them are
//! kept and each is read whole.

use std::{collections::HashMap, sync::Arc};

use super::hash::IdMap;
use crate::{
    model::{
        Definitions, FrameDefinition, FrameHash, FrameId, Naming, SenderId, StackDefinition,
        StackHash, StackId,
    },
    service::store::FrameHashes,
};

/// Ids of a sender that stand for others, because another hash already had the id.
pub(super) type Aliases<Id> = HashMap<(SenderId, Id), Id>;

/// Whether a naming is worth more than the one that is known: any name, where there was none.
fn is_better(naming: &Naming, known: &Naming) -> bool {
    matches!((naming, known), (Naming::Named(_), Naming::Unnamed(_)))
}

/// Everything that is defined.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// Place of each frame.
    frame_places: IdMap<u32>,
    /// Frames by place.
    frames: Vec<Arc<FrameDefinition>>,
    /// Place of each stack.
    stack_places: IdMap<u32>,
    /// Stacks by place.
    stacks: Vec<StackEntry>,
    /// Frame places of all stacks, innermost first.
    levels: Vec<u32>,
    /// Frames to write at the next flush.
    fresh_frames: Vec<FrameId>,
    /// Stacks to write at the next flush.
    fresh_stacks: Vec<StackId>,
    /// Frames that share their id with another.
    pub(super) frame_aliases: Aliases<FrameId>,
    /// Stacks that share their id with another.
    pub(super) stack_aliases: Aliases<StackId>,
}

/// A stack in the arena.
#[derive(Clone, Copy, Debug)]
struct StackEntry {
    /// The half of its hash that is not the id.
    high: u64,
    /// Where its levels begin.
    start: u64,
    /// How many there are.
    count: u32,
}

/// Number of things, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct DictionarySize {
    /// Frames.
    pub(super) frames: u64,
    /// Stacks.
    pub(super) stacks: u64,
    /// Ids that two hashes share.
    pub(super) collisions: u64,
}

impl Dictionary {
    /// Whether a frame is defined.
    pub(super) fn has_frame(&self, id: FrameId) -> bool {
        self.frame_places.contains_key(&id.0)
    }

    /// Whether a stack is defined.
    pub(super) fn has_stack(&self, id: StackId) -> bool {
        self.stack_places.contains_key(&id.0)
    }

    /// The definition of a frame.
    pub(super) fn frame(&self, id: FrameId) -> Option<Arc<FrameDefinition>> {
        let place = self.frame_places.get(&id.0)?;
        self.frames.get(to_index(*place)).cloned()
    }

    /// The frames of a stack.
    pub(super) fn stack(&self, id: StackId) -> FrameHashes {
        let place = self.stack_places.get(&id.0)?;
        let entry = self.stacks.get(to_index(*place))?;
        let mut ids = Vec::with_capacity(to_index(entry.count));
        ids.extend(self.levels_of(*entry).map(|frame| frame.hash.id()));
        Some(ids.into())
    }

    /// The frames of an entry.
    fn levels_of(&self, entry: StackEntry) -> impl Iterator<Item = &Arc<FrameDefinition>> {
        let start = to_length(entry.start);
        let levels = self
            .levels
            .get(start..start.saturating_add(to_index(entry.count)));
        (levels.unwrap_or_default().iter()).filter_map(|place| self.frames.get(to_index(*place)))
    }

    /// The id under which a sender's stack is kept.
    pub(super) fn settled(&self, sender: SenderId, id: StackId) -> StackId {
        if self.stack_aliases.is_empty() {
            return id;
        }
        (self.stack_aliases.get(&(sender, id)).copied()).unwrap_or(id)
    }

    /// Leaves out of definitions what says nothing new. Daemons of one fleet, and every daemon that
    /// connects again, define mostly what is known.
    pub(super) fn leave_out_known(&self, definitions: &mut Definitions) {
        (definitions.frames).retain(|frame| !self.is_frame_known(frame));
        definitions.frames.shrink_to_fit();
        (definitions.stacks).retain(|stack| !self.is_stack_known(stack));
        definitions.stacks.shrink_to_fit();
    }

    /// Whether a frame is defined, and not better now than before.
    fn is_frame_known(&self, frame: &FrameDefinition) -> bool {
        let place = self.frame_places.get(&frame.hash.id().0);
        let known = place.and_then(|place| self.frames.get(to_index(*place)));
        known.is_some_and(|known| {
            known.hash == frame.hash && !is_better(&frame.naming, &known.naming)
        })
    }

    /// Whether a stack is defined.
    fn is_stack_known(&self, stack: &StackDefinition) -> bool {
        let place = self.stack_places.get(&stack.hash.id().0);
        let known = place.and_then(|place| self.stacks.get(to_index(*place)));
        known.is_some_and(|known| known.high == stack.hash.high())
    }

    /// Takes what a sender defines. What is new is written at the next flush.
    pub(super) fn define(&mut self, sender: SenderId, definitions: Definitions) {
        for frame in definitions.frames {
            self.define_frame(sender, frame);
        }
        for stack in definitions.stacks {
            self.define_stack(sender, &stack);
        }
    }

    /// Takes what was written before: the frames of all files first, because a merged file may
    /// hold frames of stacks in another.
    pub(super) fn load(&mut self, files: Vec<Definitions>) {
        let mut stacks = Vec::new();
        for definitions in files {
            for frame in definitions.frames {
                self.define_frame(SenderId::default(), frame);
            }
            stacks.push(definitions.stacks);
        }
        for stack in stacks.into_iter().flatten() {
            self.define_stack(SenderId::default(), &stack);
        }
        self.fresh_frames.clear();
        self.fresh_stacks.clear();
    }

    /// Takes one frame. A name replaces the lack of one.
    fn define_frame(&mut self, sender: SenderId, mut frame: FrameDefinition) {
        let (sent, high) = (frame.hash.id(), frame.hash.high());
        let id = FrameId(settle(sent.0, high, |id| {
            self.frame(FrameId(id)).map(|known| known.hash.high())
        }));
        if id != sent {
            self.frame_aliases.insert((sender, sent), id);
            frame.hash = FrameHash::from_halves(id, high);
        }
        let known = self.frame_places.get(&id.0).copied();
        match known.and_then(|place| self.frames.get_mut(to_index(place))) {
            None => {
                let place = to_place(self.frames.len());
                self.frames.push(Arc::new(frame));
                self.frame_places.insert(id.0, place);
                self.fresh_frames.push(id);
            }
            Some(known) => {
                if is_better(&frame.naming, &known.naming) {
                    *known = Arc::new(frame);
                    self.fresh_frames.push(id);
                }
            }
        }
    }

    /// Takes one stack. One with a frame that is not defined (its file was damaged) stays undefined,
    /// so that it is asked for again, instead of being cut.
    fn define_stack(&mut self, sender: SenderId, stack: &StackDefinition) {
        let (sent, high) = (stack.hash.id(), stack.hash.high());
        let id = StackId(settle(sent.0, high, |id| {
            let place = self.stack_places.get(&id)?;
            self.stacks.get(to_index(*place)).map(|known| known.high)
        }));
        if id != sent {
            self.stack_aliases.insert((sender, sent), id);
        }
        if self.has_stack(id) {
            return;
        }
        let start = u64::try_from(self.levels.len()).unwrap_or(u64::MAX);
        for frame in &stack.frames {
            let frame = (self.frame_aliases.get(&(sender, *frame)).copied()).unwrap_or(*frame);
            let Some(place) = self.frame_places.get(&frame.0) else {
                self.levels.truncate(to_length(start));
                return;
            };
            self.levels.push(*place);
        }
        let end = u64::try_from(self.levels.len()).unwrap_or(u64::MAX);
        let count = u32::try_from(end - start).unwrap_or(u32::MAX);
        self.stack_places.insert(id.0, to_place(self.stacks.len()));
        self.stacks.push(StackEntry { high, start, count });
        self.fresh_stacks.push(id);
    }

    /// Takes the definitions to write at a flush.
    pub(super) fn take_fresh(&mut self) -> (Vec<FrameId>, Vec<StackId>) {
        (
            std::mem::take(&mut self.fresh_frames),
            std::mem::take(&mut self.fresh_stacks),
        )
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&mut self, (frames, stacks): (Vec<FrameId>, Vec<StackId>)) {
        self.fresh_frames.extend(frames);
        self.fresh_stacks.extend(stacks);
    }

    /// Definitions in full.
    pub(super) fn definitions(
        &self,
        (frames, stacks): &(Vec<FrameId>, Vec<StackId>),
    ) -> Definitions {
        let stack = |id: &StackId| {
            let place = self.stack_places.get(&id.0)?;
            let entry = self.stacks.get(to_index(*place))?;
            Some(StackDefinition {
                hash: StackHash::from_halves(*id, entry.high),
                frames: self
                    .levels_of(*entry)
                    .map(|frame| frame.hash.id())
                    .collect(),
            })
        };
        let frame = |id: &FrameId| self.frame(*id).map(|frame| FrameDefinition::clone(&frame));
        Definitions {
            frames: frames.iter().filter_map(frame).collect(),
            stacks: stacks.iter().filter_map(stack).collect(),
        }
    }

    /// How much is defined.
    pub(super) fn size(&self) -> DictionarySize {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        DictionarySize {
            frames: count(self.frames.len()),
            stacks: count(self.stacks.len()),
            collisions: count(self.frame_aliases.len() + self.stack_aliases.len()),
        }
    }
}

/// The id for a hash: its own, or another one when a different hash has it. An unknown high half
/// (zero) is taken for the known one.
fn settle(id: u64, high: u64, known: impl Fn(u64) -> Option<u64>) -> u64 {
    let mut candidate = id;
    let mut seed = 0;
    while let Some(other) = known(candidate) {
        if other == high || other == 0 || high == 0 {
            break;
        }
        seed += 1;
        let hash = u128::from(high) << 64 | u128::from(id);
        candidate = xxhash_rust::xxh3::xxh3_64_with_seed(&hash.to_le_bytes(), seed);
    }
    candidate
}

/// A length of the arena as an index.
fn to_length(length: u64) -> usize {
    usize::try_from(length).expect("this program needs 64 bits")
}

/// A place as an index.
fn to_index(place: u32) -> usize {
    usize::try_from(place).expect("this program needs 64 bits")
}

/// An index as a place.
fn to_place(index: usize) -> u32 {
    u32::try_from(index).expect("memory ends before 2^32 definitions")
}

#[cfg(test)]
mod tests {
    use super::Dictionary;
    use crate::{
        model::{Definitions, FrameHash, Naming, Reason, SenderId, StackDefinition, StackHash},
        service::store::fixture,
    };

    #[test]
    fn two_hashes_with_one_id_are_kept_apart() {
        let mut dictionary = Dictionary::default();
        let [first, second] = [1, 2].map(|high: u64| {
            let mut frame = fixture::frame(high);
            frame.hash = FrameHash(u128::from(high) << 64 | 5);
            let stack = StackDefinition {
                hash: StackHash(u128::from(high) << 64 | 6),
                frames: vec![frame.hash.id()],
            };
            (frame, stack)
        });
        let sent = first.1.hash.id();
        for (sender, (frame, stack)) in [(1, first), (2, second)] {
            let definitions = Definitions {
                frames: vec![frame],
                stacks: vec![stack],
            };
            dictionary.define(SenderId(sender), definitions.clone());
            dictionary.define(SenderId(sender), definitions);
        }
        let addresses = [1, 2].map(|sender| {
            let stack = dictionary.settled(SenderId(sender), sent);
            let frames = dictionary.stack(stack).unwrap();
            dictionary.frame(frames[0]).unwrap().address
        });
        assert_eq!([1, 2], addresses);
        assert_eq!(2, dictionary.size().collisions);
        assert_eq!(2, dictionary.size().stacks);
    }

    #[test]
    fn what_is_known_is_left_out_but_for_better_names() {
        let mut dictionary = Dictionary::default();
        let named = fixture::frame(1);
        let mut unnamed = fixture::frame(2);
        unnamed.naming = Naming::Unnamed(Reason::Stripped);
        let stack = StackDefinition {
            hash: StackHash(7 << 64 | 8),
            frames: vec![named.hash.id()],
        };
        let definitions = Definitions {
            frames: vec![named.clone(), unnamed.clone()],
            stacks: vec![stack.clone()],
        };
        dictionary.define(SenderId(1), definitions.clone());
        let mut again = definitions;
        let mut other_stack = stack;
        other_stack.hash = StackHash(9 << 64 | 8);
        again.stacks.push(other_stack.clone());
        unnamed.naming = named.naming;
        again.frames.push(unnamed.clone());
        dictionary.leave_out_known(&mut again);
        assert_eq!(vec![unnamed], again.frames, "a name for what had none");
        assert_eq!(
            vec![other_stack],
            again.stacks,
            "another hash with the same id"
        );
    }

    #[test]
    fn files_are_loaded_in_any_order_and_a_stack_without_its_frame_is_not_cut() {
        let mut dictionary = Dictionary::default();
        let frame = fixture::frame(1);
        let whole = fixture::stack(1, vec![frame.hash.id()]);
        let lost = fixture::stack(2, vec![frame.hash.id(), fixture::frame(2).hash.id()]);
        let stacks = Definitions {
            frames: vec![],
            stacks: vec![whole.clone(), lost.clone()],
        };
        let frames = Definitions {
            frames: vec![frame],
            stacks: vec![],
        };
        dictionary.load(vec![stacks, frames]);
        let found = dictionary.stack(whole.hash.id());
        assert_eq!(Some(whole.frames.as_slice()), found.as_deref());
        assert_eq!(None, dictionary.stack(lost.hash.id()));
    }

    #[test]
    fn a_name_replaces_the_lack_of_one_and_not_the_other_way() {
        let mut dictionary = Dictionary::default();
        let named = fixture::frame(1);
        let mut unnamed = named.clone();
        unnamed.naming = Naming::Unnamed(Reason::Stripped);
        for frame in [unnamed.clone(), named.clone(), unnamed] {
            let frames = vec![frame];
            dictionary.define(
                SenderId(1),
                Definitions {
                    frames,
                    stacks: vec![],
                },
            );
        }
        assert_eq!(named, *dictionary.frame(named.hash.id()).unwrap());
    }
}

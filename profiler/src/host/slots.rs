//! Which object's table is in which slot of the kernel.

use std::collections::HashMap;

use crate::model::ObjectId;

/// Slots of the kernel, given to objects and taken back.
///
/// A slot that was taken back is used again only when [`Slots::free`] says that its table is gone.
#[derive(Debug)]
pub(super) struct Slots {
    by_object: HashMap<ObjectId, u32>,
    /// Slots that were used before and are empty.
    free: Vec<u32>,
    /// The first slot that was never used.
    unused: u32,
    /// One past the last slot.
    end: u32,
}

impl Slots {
    /// So many empty slots.
    pub(super) fn new(count: u32) -> Self {
        Self {
            by_object: HashMap::new(),
            free: Vec::new(),
            unused: 0,
            end: count,
        }
    }

    /// The slot of an object, if it has one.
    pub(super) fn of(&self, object: ObjectId) -> Option<u32> {
        self.by_object.get(&object).copied()
    }

    /// Gives an object without a slot one; `None` when it has one already, or there is none left.
    pub(super) fn give(&mut self, object: ObjectId) -> Option<u32> {
        if self.by_object.contains_key(&object) {
            return None;
        }
        let slot = self.free.pop().or_else(|| {
            let slot = self.unused;
            (slot < self.end).then(|| {
                self.unused += 1;
                slot
            })
        })?;
        self.by_object.insert(object, slot);
        Some(slot)
    }

    /// Takes the slot of an object back.
    pub(super) fn take(&mut self, object: ObjectId) -> Option<u32> {
        self.by_object.remove(&object)
    }

    /// A slot that was taken back is empty now.
    pub(super) fn free(&mut self, slot: u32) {
        debug_assert!(!self.free.contains(&slot), "slot {slot} is empty already");
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectId, Slots};

    #[test]
    fn a_slot_is_used_again_only_when_it_is_empty() {
        let mut slots = Slots::new(1);
        assert_eq!(Some(0), slots.give(ObjectId(1)));
        assert_eq!(None, slots.give(ObjectId(1)), "has one");
        assert_eq!(None, slots.give(ObjectId(2)), "none left");
        assert_eq!(Some(0), slots.take(ObjectId(1)));
        assert_eq!(None, slots.give(ObjectId(2)), "not empty yet");
        slots.free(0);
        assert_eq!(Some(0), slots.give(ObjectId(2)));
        assert_eq!(
            (None, Some(0)),
            (slots.of(ObjectId(1)), slots.of(ObjectId(2)))
        );
    }

    #[test]
    fn many_objects_in_turn_need_few_slots() {
        let mut slots = Slots::new(8);
        for number in 0..10_000 {
            let slot = slots.give(ObjectId(number)).unwrap();
            if let Some(old) = number.checked_sub(7) {
                let old = slots.take(ObjectId(old)).unwrap();
                assert_ne!(slot, old);
                slots.free(old);
            }
        }
        assert_eq!(7, slots.by_object.len());
    }
}

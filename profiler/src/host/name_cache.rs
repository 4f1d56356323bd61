//! Names that are kept from one window to the next.

use std::collections::HashMap;

use super::aggregate::{NamedPlace, Place};
use crate::model::{Naming, Reason};

/// Names of each half. A busy host shows about 20,000 frames, of about 300 bytes each: at the worst
/// both halves take 60 MiB.
const NAMES_PER_HALF_MAX: usize = 100_000;
/// Windows after which a name is looked for again that a bound, or an unreadable file, kept away.
const FAILED_KEPT_WINDOWS: u64 = 30;
/// Windows for which the name of a module's or BPF program's code is believed: another may be where
/// it was. Reading the kernel's symbols again takes 70 ms.
const MODULE_KEPT_WINDOWS: u64 = 6;

/// A name, and until when it is good.
#[derive(Clone, Debug)]
struct Kept {
    named: NamedPlace,
    /// Window at which it is to be looked for again.
    good_until: u64,
}

/// Names by place. Those that no window asked for since the cache was last half full go first.
#[derive(Debug, Default)]
pub(super) struct NameCache {
    recent: HashMap<Place, Kept>,
    older: HashMap<Place, Kept>,
    /// Windows so far.
    window: u64,
}

impl NameCache {
    /// A new window begins.
    pub(super) fn begin_window(&mut self) {
        self.window += 1;
    }

    /// The name of a place, if it is known and still good.
    pub(super) fn get(&mut self, place: &Place) -> Option<NamedPlace> {
        if let Some(kept) = self.recent.get(place) {
            return (self.window < kept.good_until).then(|| kept.named.clone());
        }
        let kept = self.older.remove(place)?;
        let named = (self.window < kept.good_until).then(|| kept.named.clone());
        self.keep(*place, kept);
        named
    }

    /// Remembers the name of a place for as long as it is good.
    pub(super) fn put(&mut self, place: Place, named: &NamedPlace) {
        let good_until = match place {
            Place::Object { .. } => match named.naming {
                Naming::Unnamed(Reason::Bounded | Reason::Unreadable) => {
                    self.window + FAILED_KEPT_WINDOWS
                }
                Naming::Unnamed(_) | Naming::Named(_) => u64::MAX,
            },
            Place::Kernel { .. } if named.kernel_offset.is_some() => u64::MAX,
            Place::Kernel { .. } => self.window + MODULE_KEPT_WINDOWS,
            // What is at a bare address changes as the process likes.
            Place::Bare { .. } | Place::Unmapped { .. } | Place::Cut | Place::Subject(_) => return,
        };
        self.keep(
            place,
            Kept {
                named: named.clone(),
                good_until,
            },
        );
    }

    /// Puts a name among the recent ones.
    fn keep(&mut self, place: Place, kept: Kept) {
        if NAMES_PER_HALF_MAX <= self.recent.len() {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(place, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::{NAMES_PER_HALF_MAX, NameCache, NamedPlace, Place};
    use crate::model::{Avma, FileOffset, Location, Naming, ObjectId, Reason};

    fn place(offset: u64) -> Place {
        Place::Object {
            object: ObjectId(1),
            offset: FileOffset(offset),
        }
    }

    fn named(naming: Naming) -> NamedPlace {
        NamedPlace {
            naming,
            object: None,
            kernel_offset: None,
        }
    }

    fn function() -> NamedPlace {
        named(Naming::Named(vec![Location::default()]))
    }

    #[test]
    fn names_in_use_stay_and_the_others_go() {
        let mut cache = NameCache::default();
        cache.put(place(0), &function());
        cache.put(place(1), &function());
        for offset in 2..2 + 3 * NAMES_PER_HALF_MAX as u64 {
            cache.put(place(offset), &function());
            assert_eq!(Some(function()), cache.get(&place(0)));
        }
        assert_eq!(None, cache.get(&place(1)));
        assert!(cache.recent.len() + cache.older.len() <= 2 * NAMES_PER_HALF_MAX);
    }

    #[test]
    fn what_a_bound_kept_away_is_looked_for_again() {
        let mut cache = NameCache::default();
        cache.put(place(0), &named(Naming::Unnamed(Reason::Bounded)));
        cache.put(place(1), &named(Naming::Unnamed(Reason::Stripped)));
        assert!(cache.get(&place(0)).is_some());
        for _ in 0..super::FAILED_KEPT_WINDOWS {
            cache.begin_window();
        }
        assert_eq!(None, cache.get(&place(0)));
        assert!(cache.get(&place(1)).is_some());
    }

    #[test]
    fn code_of_modules_is_not_believed_for_long() {
        let core = Place::Kernel { address: Avma(1) };
        let module = Place::Kernel { address: Avma(2) };
        let mut cache = NameCache::default();
        let core_name = NamedPlace {
            kernel_offset: Some(1),
            ..function()
        };
        cache.put(core, &core_name);
        cache.put(module, &function());
        for _ in 0..super::MODULE_KEPT_WINDOWS {
            cache.begin_window();
        }
        assert_eq!(
            (true, false),
            (cache.get(&core).is_some(), cache.get(&module).is_some())
        );
    }
}

//! Series by their labels, in memory: which ones a selector takes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::hash::{IdMap, IdSet};
use crate::{
    model::{Labels, SeriesId, label},
    service::store::LabelFilter,
};

/// All series that are known.
#[derive(Debug, Default)]
pub(super) struct SeriesIndex {
    /// What each is.
    entries: IdMap<SeriesEntry>,
    /// Series by value, by name of the label.
    postings: BTreeMap<String, BTreeMap<String, Vec<SeriesId>>>,
    /// Series to write at the next flush.
    fresh: BTreeSet<SeriesId>,
}

/// One series.
#[derive(Clone, Debug)]
pub(super) struct SeriesEntry {
    /// Its labels.
    pub(super) labels: Arc<Labels>,
    /// The service among them, empty without one.
    pub(super) service: Arc<str>,
    /// Start of its last window in nanoseconds, as far as it was written down.
    pub(super) last_ts: u64,
}

/// Series that a query takes.
#[derive(Debug)]
pub(super) enum Selected {
    /// Every one.
    All,
    /// These.
    Some {
        /// Their ids.
        ids: IdSet,
        /// Their services, to look past row groups.
        services: BTreeSet<Arc<str>>,
    },
}

/// Series put together by some labels.
#[derive(Debug)]
pub(super) struct Groups {
    /// The labels of each group; the first one is of what has none of them.
    pub(super) labels: Vec<Labels>,
    /// By series: the place of its group in that list, where it is another than the first.
    numbers: IdMap<u64>,
}

impl Groups {
    /// The number of the group of a series.
    pub(super) fn number_of(&self, series: u64) -> u64 {
        self.numbers.get(&series).copied().unwrap_or_default()
    }
}

/// The series that stands for all of a service, where their samples are added up: the one with no
/// other label.
pub(super) fn sum_of(service: &str) -> SeriesId {
    let labels = [(label::SERVICE.to_owned(), service.to_owned())];
    SeriesId::of(&Labels::from(labels))
}

impl Selected {
    /// The same services, each as the one series that stands for it.
    pub(super) fn by_service(&self) -> Self {
        match self {
            Self::All => Self::All,
            Self::Some { services, .. } => Self::Some {
                ids: services.iter().map(|service| sum_of(service).0).collect(),
                services: services.clone(),
            },
        }
    }

    /// Whether a series is taken.
    pub(super) fn takes(&self, series: u64) -> bool {
        match self {
            Self::All => true,
            Self::Some { ids, .. } => ids.contains(&series),
        }
    }

    /// Whether a service between two names, both included, may be taken.
    pub(super) fn may_take(&self, first: &[u8], last: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Some { services, .. } => (services.iter())
                .any(|service| first <= service.as_bytes() && service.as_bytes() <= last),
        }
    }
}

impl SeriesIndex {
    /// Notes a series of a window that starts at `ts`. It is written again when its last window
    /// moved by an hour: often enough for forgetting, rarely enough for the disk.
    pub(super) fn note(&mut self, id: SeriesId, labels: &Labels, ts: u64) {
        const REFRESH_NS: u64 = 3_600_000_000_000;
        let Some(entry) = self.entries.get_mut(&id.0) else {
            self.insert(id, labels.clone(), ts);
            self.fresh.insert(id);
            return;
        };
        if entry.last_ts.saturating_add(REFRESH_NS) <= ts {
            entry.last_ts = ts;
            self.fresh.insert(id);
        }
    }

    /// Takes a series that was written before.
    pub(super) fn insert(&mut self, id: SeriesId, labels: Labels, last_ts: u64) {
        for (name, value) in &labels {
            let values = self.postings.entry(name.clone()).or_default();
            values.entry(value.clone()).or_default().push(id);
        }
        let service = labels.get(label::SERVICE).map_or("", String::as_str);
        let entry = SeriesEntry {
            service: service.into(),
            labels: Arc::new(labels),
            last_ts,
        };
        self.entries.insert(id.0, entry);
    }

    /// One series.
    pub(super) fn get(&self, id: u64) -> Option<&SeriesEntry> {
        self.entries.get(&id)
    }

    /// Selected series, put together by the values of some labels.
    pub(super) fn grouped(&self, selected: &Selected, names: &[String]) -> Groups {
        let mut groups = Groups {
            labels: vec![Labels::new()],
            numbers: IdMap::default(),
        };
        if names.is_empty() {
            return groups;
        }
        let mut known: HashMap<Vec<Option<&str>>, u64> =
            HashMap::from([(vec![None; names.len()], 0)]);
        for (id, entry) in &self.entries {
            if !selected.takes(*id) {
                continue;
            }
            let value = |name: &String| entry.labels.get(name).map(String::as_str);
            let values: Vec<Option<&str>> = names.iter().map(value).collect();
            let number = if let Some(number) = known.get(&values) {
                *number
            } else {
                let pairs = names.iter().zip(&values);
                let pairs =
                    pairs.filter_map(|(name, value)| Some((name.clone(), (*value)?.to_owned())));
                groups.labels.push(pairs.collect());
                let number = groups.labels.len() as u64 - 1;
                known.insert(values, number);
                number
            };
            if 0 < number {
                groups.numbers.insert(*id, number);
            }
        }
        groups
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All services, in order.
    pub(super) fn services(&self) -> BTreeSet<Arc<str>> {
        (self.entries.values())
            .map(|entry| Arc::clone(&entry.service))
            .collect()
    }

    /// The service of each series.
    pub(super) fn service_of(&self) -> IdMap<Arc<str>> {
        (self.entries.iter())
            .map(|(id, entry)| (*id, Arc::clone(&entry.service)))
            .collect()
    }

    /// Series that were not written yet.
    pub(super) fn take_fresh(&mut self) -> BTreeSet<SeriesId> {
        std::mem::take(&mut self.fresh)
    }

    /// Gives back what could not be written.
    pub(super) fn give_back(&mut self, fresh: BTreeSet<SeriesId>) {
        self.fresh.extend(fresh);
    }

    /// Forgets series whose last window began long before `ts`; an hour is what [`Self::note`] may
    /// be behind.
    pub(super) fn forget_before(&mut self, ts: u64) -> Vec<SeriesId> {
        const BEHIND_NS: u64 = 2 * 3_600_000_000_000;
        let is_old = |entry: &SeriesEntry| entry.last_ts.saturating_add(BEHIND_NS) < ts;
        let old: Vec<u64> = (self.entries.iter())
            .filter(|(_id, entry)| is_old(entry))
            .map(|(id, _entry)| *id)
            .collect();
        if old.is_empty() {
            return Vec::new();
        }
        let kept = std::mem::take(self);
        for (id, entry) in kept.entries {
            if !is_old(&entry) {
                self.insert(SeriesId(id), Labels::clone(&entry.labels), entry.last_ts);
            }
        }
        self.fresh = (kept.fresh.into_iter())
            .filter(|id| self.entries.contains_key(&id.0))
            .collect();
        old.into_iter().map(SeriesId).collect()
    }

    /// Series that a filter accepts.
    pub(super) fn select(&self, filter: &LabelFilter) -> Selected {
        let mut matchers = filter.matchers().iter();
        let Some(first) = matchers.next() else {
            return Selected::All;
        };
        // Only the first goes through the lists; the rest look at what it left.
        let ids: IdSet = if first.accepts("") {
            self.entries.keys().copied().collect()
        } else {
            let values = self.postings.get(first.name()).into_iter().flatten();
            (values.filter(|(value, _ids)| first.accepts(value)))
                .flat_map(|(_value, ids)| ids.iter().map(|id| id.0))
                .collect()
        };
        let entry = |id: &u64| self.entries.get(id);
        let ids: IdSet = (ids.into_iter())
            .filter(|id| entry(id).is_some_and(|entry| filter.accepts(&entry.labels)))
            .collect();
        let services = (ids.iter().filter_map(entry))
            .map(|entry| Arc::clone(&entry.service))
            .collect();
        Selected::Some { ids, services }
    }
}

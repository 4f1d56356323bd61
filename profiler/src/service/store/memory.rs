//! The reference engine: plain maps, nothing clever. Other engines must give its answers. It also
//! holds recordings that are asked as if they were a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Appended, FrameHashes, GroupStacks, GroupTotals, HostFacts, MergedStacks, QueryLimits,
    SeriesInfo, Store, StoreError, TotalsPoint, column::columns_of, matching::LabelFilter,
    quality_sum::QualitySum,
};
use crate::model::{
    Batch, FrameDefinition, FrameId, HostWindow, Labels, Naming, ProfileType, Selection, SenderId,
    SeriesId, StackId, TimeRange,
};

/// A store in memory. Forgets everything when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    /// All of it.
    data: Mutex<Data>,
}

/// What is kept.
#[derive(Debug, Default)]
struct Data {
    /// Names of frames.
    frames: BTreeMap<FrameId, Arc<FrameDefinition>>,
    /// Frames of stacks.
    stacks: BTreeMap<StackId, Arc<[FrameId]>>,
    /// Every window as it came.
    windows: Vec<HostWindow>,
    /// Last number of each sender.
    sequences: BTreeMap<SenderId, u64>,
    /// Windows before this are forgotten.
    floor: Duration,
    /// Batches taken and times that windows were forgotten.
    changes: u64,
}

/// One value of a window that a selection takes.
struct Hit<'a> {
    /// When its window starts.
    start: Duration,
    /// Whose it is.
    labels: &'a Labels,
    /// Which stack.
    stack: StackId,
    /// The value in the unit asked for.
    value: u64,
}

impl Data {
    /// Windows of a span of time.
    fn windows(&self, range: TimeRange) -> impl Iterator<Item = &HostWindow> {
        (self.windows.iter())
            .filter(move |window| range.start <= window.span.start && window.span.start < range.end)
    }

    /// Values of a selection that are not zero.
    fn hits(&self, selection: &Selection) -> Result<Vec<Hit<'_>>, StoreError> {
        let filter = LabelFilter::new(&selection.matchers)?;
        let mut hits = Vec::new();
        for window in self.windows(selection.range) {
            let columns = columns_of(window);
            for series in window.series.iter().filter(|s| filter.accepts(&s.labels)) {
                for sample in &series.samples {
                    for (column, value) in columns.iter().zip(&sample.values) {
                        let Some(factor) = column.factor(&selection.profile_type) else {
                            continue;
                        };
                        if 0 < *value {
                            hits.push(Hit {
                                start: window.span.start,
                                labels: &series.labels,
                                stack: sample.stack,
                                value: value.saturating_mul(factor),
                            });
                        }
                    }
                }
            }
        }
        Ok(hits)
    }

    /// What a batch needs and neither the store nor the batch defines.
    fn undefined(&self, batch: &Batch) -> Option<StoreError> {
        let definitions = &batch.definitions;
        let new_frames: BTreeSet<FrameId> =
            definitions.frames.iter().map(|f| f.hash.id()).collect();
        let new_stacks: BTreeSet<StackId> =
            definitions.stacks.iter().map(|s| s.hash.id()).collect();
        let frames: BTreeSet<FrameId> = (definitions.stacks.iter())
            .flat_map(|stack| stack.frames.iter().copied())
            .filter(|id| !new_frames.contains(id) && !self.frames.contains_key(id))
            .collect();
        let stacks: BTreeSet<StackId> = (batch.windows.iter())
            .flat_map(|window| &window.series)
            .flat_map(|series| series.samples.iter().map(|sample| sample.stack))
            .filter(|id| !new_stacks.contains(id) && !self.stacks.contains_key(id))
            .collect();
        (!frames.is_empty() || !stacks.is_empty()).then(|| StoreError::Undefined {
            frames: frames.into_iter().collect(),
            stacks: stacks.into_iter().collect(),
        })
    }

    /// Keeps a batch whose definitions are complete. A name replaces the lack of one.
    fn keep(&mut self, batch: Batch) {
        self.changes += 1;
        for frame in batch.definitions.frames {
            let is_better = match self.frames.get(&frame.hash.id()) {
                None => true,
                Some(known) => {
                    matches!(known.naming, Naming::Unnamed(_))
                        && matches!(frame.naming, Naming::Named(_))
                }
            };
            if is_better {
                self.frames.insert(frame.hash.id(), Arc::new(frame));
            }
        }
        for stack in batch.definitions.stacks {
            self.stacks
                .entry(stack.hash.id())
                .or_insert_with(|| stack.frames.into());
        }
        let floor = self.floor;
        self.windows
            .extend((batch.windows.into_iter()).filter(|window| floor <= window.span.start));
    }
}

impl MemoryStore {
    /// The data, also after a test failed while it held it.
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a query that takes more rows than it may.
fn check_rows(hits: &[Hit<'_>], limits: &QueryLimits) -> Result<u64, StoreError> {
    if limits.cancelled.load(std::sync::atomic::Ordering::Relaxed) {
        return Err(StoreError::Cancelled);
    }
    let rows = u64::try_from(hits.len()).unwrap_or(u64::MAX);
    if limits.rows_max < rows {
        let rows_max = limits.rows_max;
        return Err(StoreError::TooMuch { rows, rows_max });
    }
    Ok(rows)
}

/// Start of the step a moment is in. Steps are counted from the Unix epoch.
fn step_start(at: Duration, step: Duration) -> Duration {
    let rest = at.as_nanos().checked_rem(step.as_nanos()).unwrap_or(0);
    at.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or(0)))
}

/// The labels that series are put together by.
fn shared(labels: &Labels, group_by: &[String]) -> Labels {
    (labels.iter())
        .filter(|(name, _value)| group_by.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl Store for MemoryStore {
    fn append(
        &self,
        sender: SenderId,
        sequence: u64,
        batch: Batch,
    ) -> Result<Appended, StoreError> {
        let mut data = self.data();
        if data.sequences.get(&sender).copied().unwrap_or_default() < sequence {
            if let Some(undefined) = data.undefined(&batch) {
                return Err(undefined);
            }
            data.keep(batch);
            data.sequences.insert(sender, sequence);
        }
        Ok(Appended::already())
    }

    fn durable_sequence(&self, sender: SenderId) -> u64 {
        self.data()
            .sequences
            .get(&sender)
            .copied()
            .unwrap_or_default()
    }

    fn merge_stacks(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<MergedStacks, StoreError> {
        let data = self.data();
        let hits = data.hits(selection)?;
        let rows_read = check_rows(&hits, limits)?;
        let mut sums: BTreeMap<StackId, u64> = BTreeMap::new();
        for hit in hits {
            let sum = sums.entry(hit.stack).or_default();
            *sum = sum.saturating_add(hit.value);
        }
        let stacks = sums.into_iter().collect();
        Ok(MergedStacks { stacks, rows_read })
    }

    fn merge_stacks_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, StoreError> {
        let data = self.data();
        let hits = data.hits(selection)?;
        check_rows(&hits, limits)?;
        let mut groups: BTreeMap<Labels, BTreeMap<StackId, u64>> = BTreeMap::new();
        for hit in hits {
            let stacks = groups.entry(shared(hit.labels, group_by)).or_default();
            let sum = stacks.entry(hit.stack).or_default();
            *sum = sum.saturating_add(hit.value);
        }
        let to_group = |(labels, stacks): (Labels, BTreeMap<StackId, u64>)| GroupStacks {
            labels,
            stacks: stacks.into_iter().collect(),
        };
        Ok(groups.into_iter().map(to_group).collect())
    }

    fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupTotals>, StoreError> {
        let data = self.data();
        let hits = data.hits(selection)?;
        check_rows(&hits, limits)?;
        let mut groups: BTreeMap<Labels, BTreeMap<Duration, u64>> = BTreeMap::new();
        for hit in hits {
            let points = groups.entry(shared(hit.labels, group_by)).or_default();
            let sum = points.entry(step_start(hit.start, step)).or_default();
            *sum = sum.saturating_add(hit.value);
        }
        let to_points = |(start, value)| TotalsPoint { start, value };
        let to_group = |(labels, points): (Labels, BTreeMap<Duration, u64>)| GroupTotals {
            labels,
            points: points.into_iter().map(to_points).collect(),
        };
        Ok(groups.into_iter().map(to_group).collect())
    }

    fn series(&self, selection: &Selection) -> Result<Vec<SeriesInfo>, StoreError> {
        let data = self.data();
        let hits = data.hits(selection)?;
        let found: BTreeMap<SeriesId, &Labels> = (hits.iter())
            .map(|hit| (SeriesId::of(hit.labels), hit.labels))
            .collect();
        let to_info = |(id, labels): (SeriesId, &Labels)| SeriesInfo {
            id,
            labels: labels.clone(),
        };
        Ok(found.into_iter().map(to_info).collect())
    }

    fn profile_types(&self, range: TimeRange) -> Vec<ProfileType> {
        let data = self.data();
        let mut types = BTreeSet::new();
        for window in data.windows(range) {
            for (index, column) in columns_of(window).iter().enumerate() {
                let samples = window.series.iter().flat_map(|series| &series.samples);
                let mut values = samples.filter_map(|sample| sample.values.get(index));
                if values.any(|value| 0 < *value) {
                    types.extend(column.types());
                }
            }
        }
        types.into_iter().collect()
    }

    fn hosts(&self, range: TimeRange, signal: Option<&str>) -> Vec<HostFacts> {
        let data = self.data();
        let mut hosts: BTreeMap<&str, (Duration, u64, QualitySum)> = BTreeMap::new();
        for window in data.windows(range) {
            if signal.is_some_and(|signal| signal != window.signal) {
                continue;
            }
            let (last, count, sum) = hosts.entry(&window.host).or_default();
            *last = window.span.start.max(*last);
            *count += 1;
            sum.add(&QualitySum::of(window));
        }
        let to_facts =
            |(host, (last_window, windows, sum)): (&str, (_, u64, QualitySum))| HostFacts {
                host: host.to_owned(),
                last_window,
                windows,
                quality: sum.quality(),
            };
        hosts.into_iter().map(to_facts).collect()
    }

    fn stacks(&self, ids: &[StackId]) -> Vec<FrameHashes> {
        let data = self.data();
        ids.iter().map(|id| data.stacks.get(id).cloned()).collect()
    }

    fn frames(&self, ids: &[FrameId]) -> Vec<Option<Arc<FrameDefinition>>> {
        let data = self.data();
        ids.iter().map(|id| data.frames.get(id).cloned()).collect()
    }

    fn version(&self, _range: TimeRange) -> u64 {
        self.data().changes
    }

    fn drop_before(&self, before: Duration) -> Result<(), StoreError> {
        let mut data = self.data();
        data.floor = before.max(data.floor);
        let floor = data.floor;
        data.windows.retain(|window| floor <= window.span.start);
        data.changes += 1;
        Ok(())
    }

    fn backup(&self, dir: &Path) -> Result<(), StoreError> {
        Err(StoreError::File {
            path: dir.display().to_string(),
            reason: "a store in memory has no files".to_owned(),
        })
    }
}

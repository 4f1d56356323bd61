//! What is asked: stacks merged, totals over time, series, types, hosts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasherDefault,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    engine::{Inner, lock},
    hash::IdHasher,
    host_file::read_hosts,
    part::{Kind, Part, Resolution},
    plan::{Read, Wanted, plan},
    row_file::{Clip, Fields, read_rows, row_groups},
    rows::{Chunk, HostRow, Row},
    series_index::Selected,
    state::Snapshot,
};
use crate::{
    clock,
    model::{Labels, ProfileType, Selection, SeriesId, StackId, TimeRange, label},
    service::store::{
        GroupStacks, GroupTotals, HostFacts, LabelFilter, MergedStacks, QueryLimits, SeriesInfo,
        StoreError, TotalsPoint, column::Column, quality_sum::QualitySum,
    },
};

/// Rows below which a second thread costs more than it saves: a guess.
const ROWS_PER_THREAD_MIN: u64 = 100_000;

/// Values by stack.
type StackValues = Vec<(StackId, u64)>;

/// One question, ready to be read.
struct Question<'a> {
    /// What is asked for.
    profile_type: &'a ProfileType,
    /// Series that are taken.
    selected: Selected,
    /// The same where series of a service are added up; `None` when they must be told apart.
    by_service: Option<Selected>,
    /// Where.
    snapshot: Snapshot,
    /// Samples or totals.
    kind: Kind,
    /// Columns that the answer needs.
    fields: Fields,
    /// Length of its steps; zero for one over all time.
    step_ns: u64,
    /// Bounds.
    limits: &'a QueryLimits,
}

/// A piece of work: a row group of a part, or the rows of a chunk.
enum Piece<'a> {
    /// On disk.
    Group {
        /// Which part, and which span of it.
        read: &'a Read,
        /// Which row group.
        group: usize,
    },
    /// In memory.
    Chunk(&'a Chunk),
}

impl Question<'_> {
    /// Rows of a chunk that count, and what one of their units stands for.
    fn columns<'a>(&'a self, chunk: &'a Chunk) -> impl Iterator<Item = (&'a [Row], u64)> {
        let columns = match self.kind {
            Kind::Samples => &chunk.samples,
            Kind::Totals | Kind::Hosts | Kind::Definitions => &chunk.totals,
        };
        columns.iter().filter_map(|(column, rows)| {
            let factor = column.factor(self.profile_type)?;
            Some((rows.as_slice(), factor))
        })
    }

    /// Which parts are read.
    fn wanted(&self) -> Wanted {
        Wanted {
            kind: self.kind,
            span: self.snapshot.span,
            step_ns: self.step_ns,
            by_service: self.by_service.is_some(),
        }
    }

    /// Series that are taken from a part.
    fn selected_of(&self, part: &Part) -> &Selected {
        let by_service = self.by_service.as_ref();
        by_service
            .filter(|_selected| part.facts.resolution == Resolution::Service)
            .unwrap_or(&self.selected)
    }

    /// Whether a row counts.
    fn takes(&self, clip: &Clip, row: &Row) -> bool {
        clip.has(row.ts) && self.selected.takes(row.series)
    }

    /// Refuses to go on for one who has gone.
    fn check_wanted(&self) -> Result<(), StoreError> {
        let limits = self.limits;
        let is_late = (limits.deadline).is_some_and(|deadline| deadline <= clock::monotonic());
        if is_late || limits.cancelled.load(Ordering::Relaxed) {
            return Err(StoreError::Cancelled);
        }
        Ok(())
    }
}

impl Inner {
    /// Prepares a question.
    fn question<'a>(
        &self,
        selection: &'a Selection,
        kind: Kind,
        step_ns: u64,
        limits: &'a QueryLimits,
    ) -> Result<Question<'a>, StoreError> {
        let filter = LabelFilter::new(&selection.matchers)?;
        let state = self.state();
        let selected = state.series.select(&filter);
        let mut names = selection.matchers.iter().map(|matcher| &matcher.name);
        let is_of_services = kind == Kind::Samples && names.all(|name| name == label::SERVICE);
        Ok(Question {
            profile_type: &selection.profile_type,
            by_service: is_of_services.then(|| selected.by_service()),
            selected,
            snapshot: state.snapshot(selection.range),
            kind,
            fields: Fields {
                ts: true,
                series: kind == Kind::Totals,
                stack: kind == Kind::Samples,
            },
            step_ns,
            limits,
        })
    }

    /// Reads a question: each thread sums into a map of its own, by `key`. Returns the sums and
    /// the number of rows that were read.
    fn sum(
        &self,
        question: &Question<'_>,
        key: impl Fn(&Row) -> (u64, u64) + Sync,
    ) -> Result<(Sums, u64), StoreError> {
        let takes = |column: &Column| column.factor(question.profile_type).is_some();
        let snapshot = &question.snapshot;
        let reads = plan(&snapshot.parts, question.wanted(), takes);
        let (pieces, rows) = self.pieces(question, &reads)?;
        let threads = self.threads(rows).min(pieces.len()).max(1);
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<StoreError>> = Mutex::default();
        let work = || {
            let mut sums = Sums::default();
            while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.sum_piece(question, piece, &key, &mut sums) {
                    // The others end with their next piece.
                    next.store(pieces.len(), Ordering::Relaxed);
                    *lock(&failed) = Some(error);
                }
            }
            sums
        };
        let sums = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_thread| scope.spawn(work)).collect();
            let mut sums = work();
            for other in others {
                sums.merge(other.join().expect("reading does not panic"));
            }
            sums
        });
        match failed
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            Some(error) => Err(error),
            None => Ok((sums, rows)),
        }
    }

    /// Cuts a question into pieces, and counts their rows before any is read.
    fn pieces<'a>(
        &self,
        question: &'a Question<'_>,
        reads: &'a [Read],
    ) -> Result<(Vec<Piece<'a>>, u64), StoreError> {
        let mut pieces = Vec::new();
        let mut rows = 0_u64;
        for read in reads {
            let foot = self.feet.of(&read.part, &self.counters)?;
            for group in row_groups(&foot, &read.clip, question.selected_of(&read.part)) {
                let count = foot.metadata().row_group(group).num_rows();
                rows = rows.saturating_add(u64::try_from(count).unwrap_or_default());
                pieces.push(Piece::Group { read, group });
            }
        }
        for chunk in &question.snapshot.chunks {
            let counts = question.columns(chunk).map(|(rows, _factor)| rows.len());
            let count: usize = counts.sum();
            rows = rows.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            pieces.push(Piece::Chunk(chunk));
        }
        let rows_max = question.limits.rows_max;
        if rows_max < rows {
            return Err(StoreError::TooMuch { rows, rows_max });
        }
        Ok((pieces, rows))
    }

    /// Threads for so many rows.
    fn threads(&self, rows: u64) -> usize {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = match self.options.query_threads {
            0 => available,
            threads => threads,
        };
        let useful = usize::try_from(rows / ROWS_PER_THREAD_MIN).unwrap_or(usize::MAX);
        threads.min(useful)
    }

    /// Sums one piece.
    fn sum_piece(
        &self,
        question: &Question<'_>,
        piece: &Piece<'_>,
        key: &impl Fn(&Row) -> (u64, u64),
        sums: &mut Sums,
    ) -> Result<(), StoreError> {
        question.check_wanted()?;
        match piece {
            Piece::Chunk(chunk) => {
                let span = question.snapshot.span;
                for (rows, factor) in question.columns(chunk) {
                    for row in rows.iter().filter(|row| question.takes(&span, row)) {
                        sums.add(key(row), row.value.saturating_mul(factor));
                    }
                }
                Ok(())
            }
            Piece::Group { read, group } => {
                let part = &read.part;
                let facts = &part.facts;
                let factor = facts
                    .column
                    .factor(question.profile_type)
                    .unwrap_or_default();
                let selected = question.selected_of(part);
                let is_all = matches!(selected, Selected::All);
                let is_clipped = !read.clip.covers(facts.ts_min, facts.ts_max);
                let fields = Fields {
                    ts: is_clipped || question.kind == Kind::Totals,
                    series: question.fields.series || !is_all,
                    ..question.fields
                };
                let foot = self.feet.of(part, &self.counters)?;
                read_rows(part, foot, vec![*group], fields, &mut |row| {
                    let is_in = !is_clipped || read.clip.has(row.ts);
                    if is_in && selected.takes(row.series) {
                        sums.add(key(&row), row.value.saturating_mul(factor));
                    }
                })
            }
        }
    }

    /// Summed values of each stack.
    ///
    /// # Errors
    /// Too much to read, given up, or a file that cannot be read.
    pub(super) fn merge_stacks(
        &self,
        selection: &Selection,
        limits: &QueryLimits,
    ) -> Result<MergedStacks, StoreError> {
        let question = self.question(selection, Kind::Samples, 0, limits)?;
        let (sums, rows_read) = self.sum(&question, |row| (row.stack, 0))?;
        let to_stack = |((stack, _zero), value)| (StackId(stack), value);
        let mut stacks: Vec<(StackId, u64)> = sums.into_iter().map(to_stack).collect();
        stacks.sort_unstable();
        Ok(MergedStacks { stacks, rows_read })
    }

    /// Totals over time of series that share labels.
    ///
    /// # Errors
    /// As [`Self::merge_stacks`].
    pub(super) fn totals(
        &self,
        selection: &Selection,
        step: Duration,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupTotals>, StoreError> {
        // Without steps each window is one.
        let step_ns = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        let question = self.question(selection, Kind::Totals, step_ns, limits)?;
        let groups = (self.state().series).grouped(&question.selected, group_by);
        let step_of = |row: &Row| (groups.number_of(row.series), row.ts - row.ts % step_ns);
        let (sums, _rows) = self.sum(&question, step_of)?;
        let mut points: Vec<BTreeMap<u64, u64>> = vec![BTreeMap::new(); groups.labels.len()];
        for ((group, start), value) in sums {
            // Numbers of groups are places in the list.
            let group = usize::try_from(group).ok();
            if let Some(points) = group.and_then(|group| points.get_mut(group)) {
                points.insert(start, value);
            }
        }
        let mut groups: Vec<GroupTotals> = (groups.labels.into_iter().zip(points))
            .filter(|(_labels, points)| !points.is_empty())
            .map(to_group)
            .collect();
        groups.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(groups)
    }

    /// Summed values of each stack, apart by some labels.
    ///
    /// # Errors
    /// As [`Self::merge_stacks`].
    pub(super) fn merge_stacks_by(
        &self,
        selection: &Selection,
        group_by: &[String],
        limits: &QueryLimits,
    ) -> Result<Vec<GroupStacks>, StoreError> {
        let mut question = self.question(selection, Kind::Samples, 0, limits)?;
        // Labels tell series apart, so none may be added up.
        question.by_service = None;
        question.fields.series = true;
        let groups = self.state().series.grouped(&question.selected, group_by);
        // By group and not by series: of these there can be as many as rows.
        let (sums, _rows) = self.sum(&question, |row| (groups.number_of(row.series), row.stack))?;
        let mut stacks: Vec<StackValues> = vec![Vec::new(); groups.labels.len()];
        for ((group, stack), value) in sums {
            // Numbers of groups are places in the list.
            let group = usize::try_from(group).ok();
            if let Some(stacks) = group.and_then(|group| stacks.get_mut(group)) {
                stacks.push((StackId(stack), value));
            }
        }
        let to_group = |(labels, mut stacks): (Labels, StackValues)| {
            stacks.sort_unstable();
            GroupStacks { labels, stacks }
        };
        let mut groups: Vec<GroupStacks> = (groups.labels.into_iter().zip(stacks))
            .filter(|(_labels, stacks)| !stacks.is_empty())
            .map(to_group)
            .collect();
        groups.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(groups)
    }

    /// Series with data.
    ///
    /// # Errors
    /// A matcher that cannot be used, or a file that cannot be read.
    pub(super) fn series(&self, selection: &Selection) -> Result<Vec<SeriesInfo>, StoreError> {
        let limits = unlimited();
        let question = self.question(selection, Kind::Totals, 0, &limits)?;
        let (sums, _rows) = self.sum(&question, |row| (row.series, 0))?;
        let ids: BTreeSet<u64> = sums
            .into_iter()
            .map(|((series, _zero), _value)| series)
            .collect();
        let state = self.state();
        let to_info = |id: u64| {
            let entry = state.series.get(id)?;
            Some(SeriesInfo {
                id: SeriesId(id),
                labels: Labels::clone(&entry.labels),
            })
        };
        Ok(ids.into_iter().filter_map(to_info).collect())
    }

    /// Types with data. A part that cannot be read counts as having none, and shows in the health.
    pub(super) fn profile_types(&self, range: TimeRange) -> Vec<ProfileType> {
        let snapshot = self.state().snapshot(range);
        let mut columns: BTreeSet<&Column> = BTreeSet::new();
        for (column, rows) in snapshot.chunks.iter().flat_map(|chunk| &chunk.totals) {
            if rows.iter().any(|row| snapshot.span.has(row.ts)) {
                columns.insert(column);
            }
        }
        let wanted = whole(Kind::Totals, snapshot.span);
        let mut reads = plan(&snapshot.parts, wanted, |_any| true);
        // Those that need not be read first.
        let is_inside = |read: &Read| {
            read.clip
                .covers(read.part.facts.ts_min, read.part.facts.ts_max)
        };
        reads.sort_by_key(|read| !is_inside(read));
        for read in &reads {
            if columns.contains(&read.part.facts.column) {
                continue;
            }
            match self.has_rows(&read.part, &read.clip) {
                Ok(true) => {
                    columns.insert(&read.part.facts.column);
                }
                Ok(false) => {}
                Err(error) => self.note_write(Err(&error)),
            }
        }
        let types: BTreeSet<ProfileType> = columns.into_iter().flat_map(Column::types).collect();
        types.into_iter().collect()
    }

    /// Whether a part has rows in a span.
    fn has_rows(&self, part: &Part, clip: &Clip) -> Result<bool, StoreError> {
        if clip.covers(part.facts.ts_min, part.facts.ts_max) {
            return Ok(true);
        }
        let foot = self.feet.of(part, &self.counters)?;
        let groups = row_groups(&foot, clip, &Selected::All);
        let fields = Fields {
            ts: true,
            series: false,
            stack: false,
        };
        let mut has = false;
        read_rows(part, foot, groups, fields, &mut |row| {
            has |= clip.has(row.ts);
        })?;
        Ok(has)
    }

    /// Hosts with windows. A part that cannot be read counts as having none, and shows in the
    /// health.
    pub(super) fn hosts(&self, range: TimeRange, signal: Option<&str>) -> Vec<HostFacts> {
        let snapshot = self.state().snapshot(range);
        let mut hosts: HashMap<Arc<str>, HostRow> = HashMap::new();
        let mut add = |row: &HostRow| match hosts.get_mut(&row.host) {
            Some(sum) => sum.add(row),
            None => drop(hosts.insert(Arc::clone(&row.host), row.clone())),
        };
        let is_wanted = |row: &&HostRow| {
            snapshot.span.has(row.ts) && signal.is_none_or(|signal| signal == &*row.signal)
        };
        let rows = snapshot.chunks.iter().flat_map(|chunk| &chunk.hosts);
        rows.filter(is_wanted).for_each(&mut add);
        let wanted = whole(Kind::Hosts, snapshot.span);
        for Read { part, clip } in plan(&snapshot.parts, wanted, |_any| true) {
            let foot = self.feet.of(&part, &self.counters);
            let wanted = (&clip, signal);
            let read = foot.and_then(|foot| read_hosts(&part, foot, wanted, &mut |row| add(&row)));
            if let Err(error) = read {
                self.note_write(Err(&error));
            }
        }
        let mut hosts: Vec<HostRow> = hosts.into_values().collect();
        hosts.sort_unstable_by(|a, b| a.host.cmp(&b.host));
        let to_facts = |row: HostRow| HostFacts {
            host: row.host.as_ref().to_owned(),
            last_window: Duration::from_nanos(row.last_ts),
            windows: row.windows,
            quality: QualitySum::quality(&row.quality),
        };
        hosts.into_iter().map(to_facts).collect()
    }
}

/// Everything of a kind, in a span of time without steps.
fn whole(kind: Kind, span: Clip) -> Wanted {
    Wanted {
        kind,
        span,
        step_ns: 0,
        by_service: false,
    }
}

/// A group with its points.
fn to_group((labels, points): (Labels, BTreeMap<u64, u64>)) -> GroupTotals {
    let to_point = |(start, value)| TotalsPoint {
        start: Duration::from_nanos(start),
        value,
    };
    GroupTotals {
        labels,
        points: points.into_iter().map(to_point).collect(),
    }
}

/// Bounds of a question that comes without.
fn unlimited() -> QueryLimits {
    QueryLimits {
        rows_max: u64::MAX,
        cancelled: Arc::default(),
        deadline: None,
    }
}

/// Sums by two numbers.
#[derive(Default)]
struct Sums {
    /// All but the last.
    map: SumMap,
    /// The key that came last and its sum: merged parts have equal keys side by side.
    last: Option<(SumKey, u64)>,
}

/// Two numbers.
type SumKey = (u64, u64);

/// A value by two numbers.
type SumMap = HashMap<SumKey, u64, BuildHasherDefault<IdHasher>>;

impl Sums {
    /// Adds a value.
    fn add(&mut self, key: (u64, u64), value: u64) {
        match &mut self.last {
            Some((last, sum)) if *last == key => *sum = sum.saturating_add(value),
            Some(_) | None => {
                self.settle();
                self.last = Some((key, value));
            }
        }
    }

    /// Puts the last sum to the others.
    fn settle(&mut self) {
        if let Some((key, value)) = self.last.take() {
            let sum = self.map.entry(key).or_default();
            *sum = sum.saturating_add(value);
        }
    }

    /// Adds other sums.
    fn merge(&mut self, other: Self) {
        for (key, value) in other {
            self.add(key, value);
        }
    }
}

impl IntoIterator for Sums {
    type Item = ((u64, u64), u64);
    type IntoIter = std::collections::hash_map::IntoIter<(u64, u64), u64>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.settle();
        self.map.into_iter()
    }
}

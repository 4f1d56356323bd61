//! What a table is asked for, and what all tables have in common.

use crate::{
    model::{Matcher, ProfileType, Quality, Selection, TimeRange},
    service::{
        query::{
            QueryError, Reader,
            examine::{Period, Scope, seconds, to_f64},
            limits::GROUP_LABELS_MAX,
            quality,
            question::{at_most, check_name, types_of},
        },
        store::QueryLimits,
    },
};

/// Which rows of what.
#[derive(Clone, Debug)]
pub struct TableAsk {
    /// Conditions on labels.
    pub matchers: Vec<Matcher>,
    /// When.
    pub range: TimeRange,
    /// Labels that rows are apart by; none puts everything together.
    pub group_by: Vec<String>,
    /// Most rows.
    pub limit: usize,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table<R> {
    /// The time that has data; all that was asked for where nothing was selected.
    pub range: TimeRange,
    /// What the rows are apart by.
    pub group_by: Vec<String>,
    /// The first of the rows.
    pub rows: Vec<R>,
    /// How many there are.
    pub rows_total: usize,
    /// How good the data of the hosts concerned is.
    pub quality: Quality,
}

/// Slices of time that memory is looked at in. Guess: enough to tell a line from a step, and few
/// enough to be read one by one.
const SLICES: u32 = 12;

/// Where a table is read from.
pub(super) struct Source {
    /// What is looked at, in the time that has data.
    pub(super) scope: Scope,
    /// That time; nothing where the selection is empty.
    pub(super) period: Option<Period>,
}

impl Source {
    /// The time that has data, in slices; none where there is no data.
    pub(super) fn slices(&self) -> Vec<TimeRange> {
        self.period
            .map_or_else(Vec::new, |period| period.slices(SLICES))
    }
}

impl TableAsk {
    /// Finds the data of a signal, which is recorded with `-e` and the given word.
    ///
    /// # Errors
    /// [`QueryError::NotRecorded`] when there is none of any process; a bound on labels; as
    /// [`Reader::totals`].
    pub(super) fn source(
        &self,
        reader: &Reader,
        (signal, event): (&'static str, &'static str),
        limits: &QueryLimits,
    ) -> Result<Source, QueryError> {
        self.check()?;
        let types = types_of(reader.store(), self.range, signal);
        // A host may watch and have nothing to tell.
        if types.is_empty() && reader.store().hosts(self.range, Some(signal)).is_empty() {
            return Err(QueryError::NotRecorded { signal, event });
        }
        let scope = Scope {
            matchers: self.matchers.clone(),
            range: self.range,
        };
        // Of all kinds: what is freed, or goes on, may have windows of its own.
        let period = Period::of_types(reader, &scope, &types, limits)?;
        let range = period.map_or(self.range, |period| period.range);
        Ok(Source {
            scope: scope.at(range),
            period,
        })
    }

    /// Checks the labels.
    fn check(&self) -> Result<(), QueryError> {
        let labels = self.group_by.len() as u128;
        let what = "the number of labels to group by";
        at_most(what, labels, GROUP_LABELS_MAX as u128)?;
        let mut names = self.group_by.iter();
        names.try_for_each(|name| check_name("the name of a label", name))
    }

    /// Puts a table together: the first rows, and how good they are.
    ///
    /// # Errors
    /// As [`Reader::totals`].
    pub(super) fn table<R>(
        &self,
        reader: &Reader,
        (source, signal): (&Source, &str),
        mut rows: Vec<R>,
        limits: &QueryLimits,
    ) -> Result<Table<R>, QueryError> {
        let rows_total = rows.len();
        rows.truncate(self.limit);
        let types = types_of(reader.store(), self.range, signal);
        let first = types.into_iter().next();
        let quality = first.map(|first| self.quality(reader, first, limits));
        Ok(Table {
            range: source.scope.range,
            group_by: self.group_by.clone(),
            rows,
            rows_total,
            quality: quality.transpose()?.unwrap_or_default(),
        })
    }
}

impl TableAsk {
    /// How good the data of the hosts concerned is. Lost windows are those of all signals: the next
    /// window tells of them, whichever signal it is of.
    fn quality(
        &self,
        reader: &Reader,
        profile_type: ProfileType,
        limits: &QueryLimits,
    ) -> Result<Quality, QueryError> {
        let selection = Selection {
            profile_type,
            matchers: self.matchers.clone(),
            range: self.range,
        };
        let names = quality::hosts_concerned(reader, &selection, limits)?;
        let hosts = reader.store().hosts(self.range, None).into_iter();
        let lost = hosts.filter(|facts| names.contains(&facts.host));
        let lost = lost.map(|facts| facts.quality.windows_lost);
        Ok(Quality {
            windows_lost: lost.fold(0, u64::saturating_add),
            ..quality::of_hosts(reader, &selection, limits)?
        })
    }
}

impl<R> Table<R> {
    /// So many, a second.
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        to_f64(count) / seconds(self.range.end.saturating_sub(self.range.start))
    }
}

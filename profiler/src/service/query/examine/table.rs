//! One signal of a selection as weighted stacks.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::select::Scope;
use crate::{
    model::{Labels, Selection, StackId, TimeRange},
    service::{
        insight::{Path, SignalTable, Site},
        query::{Place, QueryError, Reader, limits::STACKS_MAX},
        store::{MergedStacks, QueryLimits},
    },
};

/// What is read of a signal.
pub(in crate::service::query) struct Columns<'a> {
    /// The signal.
    pub(in crate::service::query) signal: &'a str,
    /// Kinds of values, in the order in which the table has them.
    pub(in crate::service::query) kinds: &'a [&'a str],
    /// Those of them that are divided into slices, by their places.
    pub(in crate::service::query) sliced: &'a [usize],
}

/// Reads a signal.
///
/// # Errors
/// As [`Reader::merged`].
pub(super) fn table(
    reader: &Reader,
    scope: &Scope,
    columns: &Columns<'_>,
    slices: &[TimeRange],
    limits: &QueryLimits,
) -> Result<SignalTable, QueryError> {
    let mut rows = Rows::default();
    for (kind, name) in columns.kinds.iter().enumerate() {
        let Some(selection) = scope.selection(reader, columns.signal, name) else {
            continue;
        };
        if columns.sliced.contains(&kind) {
            for (slice, range) in slices.iter().enumerate() {
                let mut selection = selection.clone();
                selection.range = *range;
                let merged = reader.merged(&selection, limits)?;
                rows.add(kind, Some((slice, slices.len())), &merged.stacks)?;
            }
        } else {
            rows.add(kind, None, &reader.merged(&selection, limits)?.stacks)?;
        }
    }
    Ok(rows.named(reader))
}

/// Reads a signal apart by some labels: their values, empty for one that is not there, and the stacks.
///
/// # Errors
/// As [`Reader::merged_by`].
pub(in crate::service::query) fn tables_by(
    reader: &Reader,
    scope: &Scope,
    columns: &Columns<'_>,
    slices: &[TimeRange],
    (group_by, limits): (&[String], &QueryLimits),
) -> Result<Vec<GroupTable>, QueryError> {
    let mut groups: BTreeMap<Labels, Rows> = BTreeMap::new();
    let mut add = |kind, slice, selection: &Selection| {
        for group in reader.merged_by(selection, group_by, limits)? {
            let rows = groups.entry(group.labels).or_default();
            rows.add(kind, slice, &group.stacks)?;
        }
        Ok::<_, QueryError>(())
    };
    for (kind, name) in columns.kinds.iter().enumerate() {
        let Some(selection) = scope.selection(reader, columns.signal, name) else {
            continue;
        };
        if columns.sliced.contains(&kind) {
            for (slice, range) in slices.iter().enumerate() {
                let mut selection = selection.clone();
                selection.range = *range;
                add(kind, Some((slice, slices.len())), &selection)?;
            }
        } else {
            add(kind, None, &selection)?;
        }
    }
    let named = |(labels, rows): (Labels, Rows)| GroupTable {
        values: (group_by.iter())
            .map(|name| labels.get(name).cloned().unwrap_or_default())
            .collect(),
        table: rows.named(reader),
    };
    Ok(groups.into_iter().map(named).collect())
}

/// The stacks of what shares some labels.
pub(in crate::service::query) struct GroupTable {
    /// Values of the labels, in the order in which they were asked for.
    pub(in crate::service::query) values: Vec<String>,
    /// Its stacks.
    pub(in crate::service::query) table: SignalTable,
}

/// Stacks that grow.
#[derive(Default)]
struct Rows {
    paths: Vec<Path>,
    by_stack: HashMap<StackId, usize>,
}

impl Rows {
    /// Adds values of one kind, of one slice of so many or of all the time.
    fn add(
        &mut self,
        kind: usize,
        slice: Option<(usize, usize)>,
        stacks: &[(StackId, u64)],
    ) -> Result<(), QueryError> {
        for (stack, value) in stacks {
            let row = *self.by_stack.entry(*stack).or_insert(self.paths.len());
            if row == self.paths.len() {
                self.paths.push(Path {
                    stack: *stack,
                    ..Path::default()
                });
            }
            let path = &mut self.paths[row];
            path.values[kind] = path.values[kind].saturating_add(*value);
            if let Some((slice, count)) = slice {
                if path.slices[kind].is_empty() {
                    path.slices[kind] = vec![0; count].into();
                }
                path.slices[kind][slice] = *value;
            }
        }
        if STACKS_MAX < self.paths.len() {
            return Err(QueryError::TooManyStacks {
                stacks: self.paths.len(),
            });
        }
        Ok(())
    }

    /// The stacks with what their levels are called.
    fn named(mut self, reader: &Reader) -> SignalTable {
        let stacks = self.paths.iter().map(|path| (path.stack, 0)).collect();
        let named = reader.named(&MergedStacks {
            stacks,
            rows_read: 0,
        });
        let mut sites = Sites::default();
        // A place is a level; an inlined function and the same one that is called are one site.
        let mut by_place: HashMap<u32, u32> = HashMap::new();
        for (path, stack) in self.paths.iter_mut().zip(&named.stacks) {
            let levels = stack.places.iter().map(|place| {
                *(by_place.entry(*place))
                    .or_insert_with(|| sites.number(&named.places[*place as usize]))
            });
            path.sites = levels.collect();
        }
        SignalTable {
            sites: sites.sites,
            paths: self.paths,
        }
    }
}

/// Name of a function, and of its object file.
type Key = (Arc<str>, Arc<str>);

/// Functions, each once.
#[derive(Default)]
pub(super) struct Sites {
    /// The functions.
    pub(super) sites: Vec<Site>,
    numbers: HashMap<Key, u32>,
}

impl Sites {
    /// The number of the function of a level: functions of one name in one object file are one.
    pub(super) fn number(&mut self, place: &Place) -> u32 {
        let key = (Arc::clone(&place.function), Arc::clone(&place.module));
        *self.numbers.entry(key).or_insert_with(|| {
            self.sites.push(Site {
                function: Arc::clone(&place.function),
                file: Arc::clone(&place.file),
                line: 0,
                module: Arc::clone(&place.module),
                kind: place.kind,
            });
            u32::try_from(self.sites.len() - 1).expect("names are bounded by memory")
        })
    }
}

//! What takes the most: functions, files, modules, values of a label.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::{
    QueryError, names::NamedStacks, place::Place, quality, question::check_name, reader::Reader,
    series, stacks::Stacks,
};
use crate::{
    model::{FrameKind, ProfileType, Quality, Selection},
    service::store::{MergedStacks, QueryLimits},
};

/// What the rows stand for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum By {
    /// Functions; the same name in two files or modules is two functions.
    Function,
    /// Source files.
    File,
    /// Object files.
    Module,
    /// Values of a label.
    Label(String),
}

/// One row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Function, file, module or value.
    pub name: Arc<str>,
    /// Object file of a function; empty otherwise.
    pub module: Arc<str>,
    /// Source file of a function; empty otherwise.
    pub file: Arc<str>,
    /// Where the code came from; [`FrameKind::Native`] for values of a label.
    pub kind: FrameKind,
    /// By itself.
    pub own: u64,
    /// With all it called; a stack counts once, however often the row is in it.
    pub total: u64,
}

/// The heaviest rows.
#[derive(Clone, Debug)]
pub struct Top {
    /// What is counted.
    pub profile_type: ProfileType,
    /// Heaviest by itself first.
    pub rows: Vec<Row>,
    /// Of the selection.
    pub total: u64,
    /// How good the data is.
    pub quality: Quality,
}

/// The `row_limit` heaviest rows of a selection.
///
/// # Errors
/// As [`Reader::merged`].
pub fn top(
    reader: &Reader,
    selection: &Selection,
    by: &By,
    row_limit: usize,
    limits: &QueryLimits,
) -> Result<Top, QueryError> {
    if let By::Label(label) = by {
        return top_of_label(reader, selection, label, row_limit, limits);
    }
    let stacks = Stacks::read(reader, selection, limits)?;
    let mut rows = rows(&stacks.merged, &stacks.named, by);
    cut(&mut rows, row_limit);
    Ok(Top {
        profile_type: selection.profile_type.clone(),
        rows,
        total: total_of(&stacks.merged),
        quality: stacks.quality,
    })
}

/// Sum of all values.
pub(super) fn total_of(merged: &MergedStacks) -> u64 {
    let values = merged.stacks.iter().map(|(_id, value)| *value);
    values.fold(0, u64::saturating_add)
}

/// Leaves the heaviest rows, heaviest by itself first.
fn cut(rows: &mut Vec<Row>, row_limit: usize) {
    rows.sort_unstable_by(|a, b| {
        (b.own, b.total, &a.name, &a.module, &a.file, a.kind)
            .cmp(&(a.own, a.total, &b.name, &b.module, &b.file, b.kind))
    });
    rows.truncate(row_limit);
}

/// All rows, in no order.
fn rows(merged: &MergedStacks, named: &NamedStacks, by: &By) -> Vec<Row> {
    let mut table = Table::new(named, by);
    for (turn, ((_id, value), stack)) in merged.stacks.iter().zip(&named.stacks).enumerate() {
        let mut innermost = None;
        for place in &stack.places {
            innermost = table.row_of(*place);
            if let Some(row) = innermost {
                table.add_total(row, turn, *value);
            }
        }
        if let Some(row) = innermost {
            let own = &mut table.rows[row].own;
            *own = own.saturating_add(*value);
        }
    }
    table.rows.retain(|row| 0 < row.total);
    table.rows
}

/// What makes two levels the same row.
type Key = (Arc<str>, Arc<str>, Arc<str>, FrameKind);

/// Whether the row of a level was looked for.
#[derive(Clone, Copy)]
enum Sought {
    /// Not yet.
    NotYet,
    /// Yes; a level may have none.
    Found(Option<usize>),
}

/// Rows that grow.
struct Table<'a> {
    named: &'a NamedStacks,
    by: &'a By,
    rows: Vec<Row>,
    /// By place: its row, once it was looked for.
    row_of_place: Vec<Sought>,
    row_of_key: HashMap<Key, usize>,
    /// By row: the last stack that was counted, plus one.
    turns: Vec<usize>,
}

impl<'a> Table<'a> {
    /// An empty table.
    fn new(named: &'a NamedStacks, by: &'a By) -> Self {
        Self {
            named,
            by,
            rows: Vec::new(),
            row_of_place: vec![Sought::NotYet; named.places.len()],
            row_of_key: HashMap::new(),
            turns: Vec::new(),
        }
    }

    /// The row of a level; none for the mark of a cut stack where files or modules are asked for.
    fn row_of(&mut self, place: u32) -> Option<usize> {
        if let Some(Sought::Found(known)) = self.row_of_place.get(place as usize) {
            return *known;
        }
        let found = self.named.places.get(place as usize)?;
        let row = self.key(found).map(|key| self.row_of_key(key));
        self.row_of_place[place as usize] = Sought::Found(row);
        row
    }

    /// What a level is grouped by.
    fn key(&self, place: &Place) -> Option<Key> {
        let none: Arc<str> = "".into();
        match self.by {
            By::Function => Some((
                Arc::clone(&place.function),
                Arc::clone(&place.module),
                Arc::clone(&place.file),
                place.kind,
            )),
            _ if place.kind == FrameKind::Truncated => None,
            By::File => Some((Arc::clone(&place.file), Arc::clone(&none), none, place.kind)),
            By::Module => Some((
                Arc::clone(&place.module),
                Arc::clone(&none),
                none,
                place.kind,
            )),
            By::Label(_) => None,
        }
    }

    /// The row of a key; a new one when it was not met yet.
    fn row_of_key(&mut self, key: Key) -> usize {
        match self.row_of_key.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(vacant) => {
                let (name, module, file, kind) = vacant.key().clone();
                self.rows.push(Row {
                    name,
                    module,
                    file,
                    kind,
                    own: 0,
                    total: 0,
                });
                self.turns.push(0);
                *vacant.insert(self.rows.len() - 1)
            }
        }
    }

    /// Counts a stack for a row, once.
    fn add_total(&mut self, row: usize, turn: usize, value: u64) {
        if self.turns[row] != turn + 1 {
            self.turns[row] = turn + 1;
            let total = &mut self.rows[row].total;
            *total = total.saturating_add(value);
        }
    }
}

/// The heaviest values of a label. They have no callers: own and total are the same.
fn top_of_label(
    reader: &Reader,
    selection: &Selection,
    label: &str,
    row_limit: usize,
    limits: &QueryLimits,
) -> Result<Top, QueryError> {
    check_name("the name of the label", label)?;
    if label.is_empty() {
        return Err(QueryError::Missing {
            what: "the label to group by",
        });
    }
    let values = series::by_label(reader, selection, label, limits)?;
    let total = (values.iter()).fold(0, |sum: u64, (_name, value)| sum.saturating_add(*value));
    let none: Arc<str> = "".into();
    let row = |(name, value): (String, u64)| Row {
        name: name.into(),
        module: Arc::clone(&none),
        file: Arc::clone(&none),
        kind: FrameKind::Native,
        own: value,
        total: value,
    };
    let mut rows: Vec<Row> = values.into_iter().map(row).collect();
    cut(&mut rows, row_limit);
    Ok(Top {
        profile_type: selection.profile_type.clone(),
        rows,
        total,
        quality: quality::of_hosts(reader, selection, limits)?,
    })
}

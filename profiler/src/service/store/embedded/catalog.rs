//! The catalogue: which parts are valid, what is durable of whom, which series there are. `SQLite`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, Transaction, backup::Backup, params};

use super::{
    dictionary::Dictionary,
    files::write_error,
    part::{Kind, Part, PartFacts, Resolution},
};
use crate::{
    model::{FrameId, Labels, ProfileType, SenderId, SeriesId, StackId},
    service::store::{StoreError, column::Column, limits::SCHEMA_VERSION},
};

/// The tables.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS parts(
        name TEXT NOT NULL, kind INTEGER NOT NULL, resolution INTEGER NOT NULL,
        level INTEGER NOT NULL, signal TEXT NOT NULL, value_kind TEXT NOT NULL,
        unit TEXT NOT NULL, period INTEGER NOT NULL, partition INTEGER NOT NULL,
        ts_min INTEGER NOT NULL, ts_max INTEGER NOT NULL, rows INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL, PRIMARY KEY(kind, name)) STRICT;
    CREATE TABLE IF NOT EXISTS senders(sender BLOB PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS series(
        series_id INTEGER PRIMARY KEY, service TEXT NOT NULL, host TEXT NOT NULL,
        labels TEXT NOT NULL, last_ts INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS aliases(
        is_stack INTEGER NOT NULL, sender BLOB NOT NULL, id INTEGER NOT NULL,
        stands_for INTEGER NOT NULL, PRIMARY KEY(is_stack, sender, id)) STRICT;
";

/// The catalogue, open.
#[derive(Debug)]
pub(super) struct Catalog {
    /// The connection.
    connection: Connection,
    /// Its file.
    path: PathBuf,
}

/// One series as the catalogue has it.
pub(super) struct SeriesRow {
    /// Its id.
    pub(super) id: SeriesId,
    /// Its labels.
    pub(super) labels: Labels,
    /// Start of its last window, about.
    pub(super) last_ts: u64,
}

/// A change that is made whole or not at all.
#[derive(Default)]
pub(super) struct Change {
    /// High-water marks.
    pub(super) senders: Marks,
    /// Series that are new or moved.
    pub(super) series: Vec<SeriesRow>,
    /// Series to forget.
    pub(super) forgotten: Vec<SeriesId>,
    /// Frames that share an id, by sender and id.
    pub(super) frame_aliases: Vec<(SenderId, FrameId, FrameId)>,
    /// Stacks that share an id, by sender and id.
    pub(super) stack_aliases: Vec<(SenderId, StackId, StackId)>,
    /// Values of `meta`.
    pub(super) meta: Vec<(&'static str, u64)>,
}

impl Change {
    /// Takes what a dictionary has of ids that hashes share.
    pub(super) fn take_aliases(&mut self, dictionary: &Dictionary) {
        let frames = dictionary.frame_aliases.iter();
        self.frame_aliases = frames
            .map(|((sender, id), other)| (*sender, *id, *other))
            .collect();
        let stacks = dictionary.stack_aliases.iter();
        self.stack_aliases = stacks
            .map(|((sender, id), other)| (*sender, *id, *other))
            .collect();
    }
}

/// Senders with their last durable numbers.
pub(super) type Marks = Vec<(SenderId, u64)>;

/// What a catalogue's calls answer inside.
type Sql<T> = Result<T, rusqlite::Error>;

impl Catalog {
    /// Opens or makes the catalogue of a store.
    ///
    /// # Errors
    /// It cannot be used, or a later release wrote it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = open().map_err(|error: rusqlite::Error| write_error(path, &error))?;
        let path = path.to_owned();
        let catalog = Self { connection, path };
        match catalog.meta("schema_version")? {
            None => catalog.apply(&Change {
                meta: vec![("schema_version", SCHEMA_VERSION)],
                ..Change::default()
            })?,
            Some(SCHEMA_VERSION) => {}
            // What this release adds from now on, an earlier one does not know.
            Some(version) if version < SCHEMA_VERSION => catalog.apply(&Change {
                meta: vec![("schema_version", SCHEMA_VERSION)],
                ..Change::default()
            })?,
            Some(version) => {
                return Err(StoreError::File {
                    path: catalog.path.display().to_string(),
                    reason: format!("written in format {version} by a later release"),
                });
            }
        }
        Ok(catalog)
    }

    /// Makes a change.
    ///
    /// # Errors
    /// As [`Self::apply_with_parts`].
    pub(super) fn apply(&self, change: &Change) -> Result<(), StoreError> {
        self.apply_with_parts(change, &[], &[])
    }

    /// Makes a change, with parts that become valid and parts that stop being so.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the file cannot be written; nothing is changed.
    pub(super) fn apply_with_parts(
        &self,
        change: &Change,
        added: &[PartFacts],
        removed: &[Arc<Part>],
    ) -> Result<(), StoreError> {
        self.named(|| {
            let transaction = self.connection.unchecked_transaction()?;
            write_parts(&transaction, added, removed)?;
            write_rest(&transaction, change)?;
            transaction.commit()
        })
    }

    /// Every valid part.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn parts(&self) -> Result<Vec<PartFacts>, StoreError> {
        self.named(|| {
            let mut query = self.connection.prepare(
                "SELECT name, kind, resolution, level, signal, value_kind, unit, period, partition,
                 ts_min, ts_max, rows, size_bytes FROM parts",
            )?;
            query.query_map([], to_part)?.collect()
        })
    }

    /// High-water marks.
    ///
    /// # Errors
    /// As [`Self::parts`].
    pub(super) fn senders(&self) -> Result<Marks, StoreError> {
        self.named(|| {
            let mut query = self
                .connection
                .prepare("SELECT sender, sequence FROM senders")?;
            let to_mark = |row: &rusqlite::Row<'_>| Ok((sender(row, 0)?, word(row, 1)?));
            query.query_map([], to_mark)?.collect()
        })
    }

    /// Every series.
    ///
    /// # Errors
    /// As [`Self::parts`].
    pub(super) fn series(&self) -> Result<Vec<SeriesRow>, StoreError> {
        self.named(|| {
            let mut query = self
                .connection
                .prepare("SELECT series_id, labels, last_ts FROM series")?;
            let to_series = |row: &rusqlite::Row<'_>| {
                let labels: String = row.get(1)?;
                Ok(SeriesRow {
                    id: SeriesId(word(row, 0)?),
                    labels: serde_json::from_str(&labels).map_err(|error| text_error(1, error))?,
                    last_ts: word(row, 2)?,
                })
            };
            query.query_map([], to_series)?.collect()
        })
    }

    /// Puts the ids that hashes share into a dictionary.
    ///
    /// # Errors
    /// As [`Self::parts`].
    pub(super) fn load_aliases(&self, dictionary: &mut Dictionary) -> Result<(), StoreError> {
        self.named(|| {
            let mut query = (self.connection)
                .prepare("SELECT sender, id, stands_for, is_stack FROM aliases")?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let (sender, id, other) = (sender(row, 0)?, word(row, 1)?, word(row, 2)?);
                if row.get::<_, bool>(3)? {
                    let stacks = &mut dictionary.stack_aliases;
                    stacks.insert((sender, StackId(id)), StackId(other));
                } else {
                    let frames = &mut dictionary.frame_aliases;
                    frames.insert((sender, FrameId(id)), FrameId(other));
                }
            }
            Ok(())
        })
    }

    /// A value of `meta`.
    ///
    /// # Errors
    /// As [`Self::parts`].
    pub(super) fn meta(&self, key: &str) -> Result<Option<u64>, StoreError> {
        self.named(|| {
            let mut query = self
                .connection
                .prepare("SELECT value FROM meta WHERE key = ?1")?;
            let mut values = query.query_map([key], |row| word(row, 0))?;
            values.next().transpose()
        })
    }

    /// Copies the catalogue while it is in use.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        /// So many that the copy is one step: nothing else writes meanwhile.
        const PAGES: i32 = -1;
        let copy = || {
            let mut copy = Connection::open(path)?;
            Backup::new(&self.connection, &mut copy)?.step(PAGES)?;
            copy.close().map_err(|(_connection, error)| error)
        };
        copy().map_err(|error: rusqlite::Error| write_error(path, &error))
    }

    /// Bytes of the catalogue.
    ///
    /// # Errors
    /// As [`Self::parts`].
    pub(super) fn size_bytes(&self) -> Result<u64, StoreError> {
        self.named(|| {
            let pragma =
                |name| (self.connection).pragma_query_value(None, name, |row| word(row, 0));
            Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?))
        })
    }

    /// Puts the file's name to an error.
    fn named<T>(&self, call: impl FnOnce() -> Sql<T>) -> Result<T, StoreError> {
        call().map_err(|error| write_error(&self.path, &error))
    }
}

/// Adds and removes parts.
fn write_parts(
    transaction: &Transaction<'_>,
    added: &[PartFacts],
    removed: &[Arc<Part>],
) -> Sql<()> {
    let mut remove = transaction.prepare("DELETE FROM parts WHERE kind = ?1 AND name = ?2")?;
    for part in removed {
        remove.execute(params![part.facts.kind.code(), part.facts.name])?;
    }
    let mut add = transaction.prepare(
        "INSERT INTO parts(name, kind, resolution, level, signal, value_kind, unit, period,
         partition, ts_min, ts_max, rows, size_bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    for part in added {
        let profile_type = &part.column.profile_type;
        add.execute(params![
            part.name,
            part.kind.code(),
            part.resolution.code(),
            part.level,
            profile_type.signal,
            profile_type.kind,
            profile_type.unit,
            part.column.period_ns.cast_signed(),
            part.partition.cast_signed(),
            part.ts_min.cast_signed(),
            part.ts_max.cast_signed(),
            part.rows.cast_signed(),
            part.size_bytes.cast_signed(),
        ])?;
    }
    Ok(())
}

/// Writes what is not a part.
fn write_rest(transaction: &Transaction<'_>, change: &Change) -> Sql<()> {
    let mut mark =
        transaction.prepare("INSERT OR REPLACE INTO senders(sender, sequence) VALUES (?1, ?2)")?;
    for (sender, sequence) in &change.senders {
        mark.execute(params![sender.0.to_le_bytes(), sequence.cast_signed()])?;
    }
    let mut forget = transaction.prepare("DELETE FROM series WHERE series_id = ?1")?;
    for id in &change.forgotten {
        forget.execute([id.0.cast_signed()])?;
    }
    let mut note = transaction.prepare(
        "INSERT OR REPLACE INTO series(series_id, service, host, labels, last_ts)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for series in &change.series {
        let of = |name| series.labels.get(name).map_or("", String::as_str);
        let labels = serde_json::to_string(&series.labels);
        note.execute(params![
            series.id.0.cast_signed(),
            of(crate::model::label::SERVICE),
            of(crate::model::label::HOST),
            labels.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
            series.last_ts.cast_signed(),
        ])?;
    }
    let mut alias = transaction.prepare(
        "INSERT OR REPLACE INTO aliases(is_stack, sender, id, stands_for) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let frames = change.frame_aliases.iter();
    let frames = frames.map(|(sender, id, other)| (false, sender, id.0, other.0));
    let stacks = change.stack_aliases.iter();
    let stacks = stacks.map(|(sender, id, other)| (true, sender, id.0, other.0));
    for (is_stack, sender, id, other) in frames.chain(stacks) {
        let sender = sender.0.to_le_bytes();
        alias.execute(params![
            is_stack,
            sender,
            id.cast_signed(),
            other.cast_signed()
        ])?;
    }
    let mut meta =
        transaction.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)")?;
    for (key, value) in &change.meta {
        meta.execute(params![key, value.cast_signed()])?;
    }
    Ok(())
}

/// A row of `parts`.
fn to_part(row: &rusqlite::Row<'_>) -> Sql<PartFacts> {
    let kind = Kind::ALL.get(place(row, 1)?).copied();
    let resolution = Resolution::ALL.get(place(row, 2)?).copied();
    Ok(PartFacts {
        name: row.get(0)?,
        kind: kind.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, -1))?,
        resolution: resolution.ok_or(rusqlite::Error::IntegralValueOutOfRange(2, -1))?,
        level: row.get(3)?,
        column: Column {
            profile_type: ProfileType {
                signal: row.get(4)?,
                kind: row.get(5)?,
                unit: row.get(6)?,
            },
            period_ns: word(row, 7)?,
        },
        partition: word(row, 8)?,
        ts_min: word(row, 9)?,
        ts_max: word(row, 10)?,
        rows: word(row, 11)?,
        size_bytes: word(row, 12)?,
    })
}

/// A place in a table.
fn place(row: &rusqlite::Row<'_>, index: usize) -> Sql<usize> {
    row.get::<_, u8>(index).map(usize::from)
}

/// A number of 64 bits, which `SQLite` keeps as a signed one.
fn word(row: &rusqlite::Row<'_>, index: usize) -> Sql<u64> {
    row.get::<_, i64>(index).map(i64::cast_unsigned)
}

/// A sender.
fn sender(row: &rusqlite::Row<'_>, index: usize) -> Sql<SenderId> {
    let bytes: [u8; 16] = row.get(index)?;
    Ok(SenderId(u128::from_le_bytes(bytes)))
}

/// A text that does not parse.
fn text_error(index: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, error.into())
}

//! The last comparisons, on disk: a restart forgets none.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prost::Message as _;
use rusqlite::{Connection, Row, params};

use super::ChangesError;
use crate::wire::v1::generated::RegressionsResponse;

/// The table, as the first release made it; columns are only ever added.
const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS comparison (
        service TEXT NOT NULL,
        against INTEGER NOT NULL,
        at_ns INTEGER NOT NULL,
        answer BLOB NOT NULL,
        PRIMARY KEY (service, against)
    );
";

/// A service compared with its past.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) service: String,
    /// With what: a number of `Against` of the wire.
    pub(super) against: i32,
    /// When, wall clock.
    pub(super) at: Duration,
    /// What was found.
    pub(super) answer: RegressionsResponse,
}

/// The file.
pub(super) struct Keep {
    path: PathBuf,
    file: Mutex<Connection>,
}

impl Keep {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, ChangesError> {
        let open = || {
            let file = Connection::open(path)?;
            file.busy_timeout(Duration::from_secs(5))?;
            file.execute_batch(TABLES)?;
            Ok(file)
        };
        let file = open().map_err(|source| ChangesError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Does something with the file, alone.
    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, ChangesError> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        work(&file).map_err(|source| ChangesError {
            path: self.path.clone(),
            source,
        })
    }

    /// Keeps a comparison in place of the one before it.
    pub(super) fn put(&self, kept: &Kept) -> Result<(), ChangesError> {
        const SQL: &str = "INSERT OR REPLACE INTO comparison (service, against, at_ns, answer)
            VALUES (?1, ?2, ?3, ?4)";
        let answer = kept.answer.encode_to_vec();
        let row = params![kept.service, kept.against, number(kept.at), answer];
        self.with(|file| file.execute(SQL, row).map(drop))
    }

    /// Forgets comparisons of before some time.
    pub(super) fn forget(&self, before: Duration) -> Result<(), ChangesError> {
        const SQL: &str = "DELETE FROM comparison WHERE at_ns < ?1";
        self.with(|file| file.execute(SQL, [number(before)]).map(drop))
    }

    /// The comparisons of a service, or of all when it is empty; by service.
    pub(super) fn list(&self, service: &str) -> Result<Vec<Kept>, ChangesError> {
        const SQL: &str = "SELECT service, against, at_ns, answer FROM comparison
            WHERE ?1 = '' OR service = ?1 ORDER BY service, against";
        let read = |row: &Row<'_>| {
            let at: i64 = row.get(2)?;
            let answer: Vec<u8> = row.get(3)?;
            Ok(Kept {
                service: row.get(0)?,
                against: row.get(1)?,
                at: Duration::from_nanos(u64::try_from(at).unwrap_or_default()),
                // What cannot be read is as good as no change; it is replaced within the hour.
                answer: RegressionsResponse::decode(answer.as_slice()).unwrap_or_default(),
            })
        };
        self.with(|file| {
            let mut statement = file.prepare_cached(SQL)?;
            let rows = statement.query_map([service], read)?;
            rows.collect()
        })
    }
}

/// A time as the file has it.
fn number(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

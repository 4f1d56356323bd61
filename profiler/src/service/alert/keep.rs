//! Alerts, silences and what happened, on disk: a restart forgets nothing.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Row, params};

use super::{AlertError, limits::EVENTS_MAX, machine::State};

/// The tables, as the first release made them; columns are only ever added.
const TABLES: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS alert (
        name TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        since_ns INTEGER NOT NULL,
        fired_ns INTEGER NOT NULL,
        is_told INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS silence (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        pattern TEXT NOT NULL,
        until_ns INTEGER NOT NULL,
        author TEXT NOT NULL,
        comment TEXT NOT NULL,
        created_ns INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        at_ns INTEGER NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        value REAL NOT NULL,
        summary TEXT NOT NULL,
        is_silent INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS event_at ON event (at_ns);
";

/// Where one alert stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Standing {
    pub(super) state: State,
    /// Since when, wall clock.
    pub(super) since: Duration,
    /// When it fired last; zero for never.
    pub(super) fired: Duration,
    /// Whether someone was told that it fires, and not yet that it is over.
    pub(super) is_told: bool,
}

/// Alerts that are kept quiet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Silence {
    /// Zero for one that is not kept yet.
    pub(super) id: u64,
    /// Name of an alert; `*` at its end stands for any ending.
    pub(super) pattern: String,
    pub(super) until: Duration,
    pub(super) author: String,
    pub(super) comment: String,
    pub(super) created: Duration,
}

impl Silence {
    /// Whether it is about an alert.
    pub(super) fn is_about(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.pattern,
        }
    }
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) at: Duration,
    pub(super) before: State,
    pub(super) after: State,
    pub(super) value: f64,
    pub(super) summary: String,
    pub(super) is_silent: bool,
}

/// The file.
pub(super) struct Keep {
    path: PathBuf,
    file: Mutex<Connection>,
}

impl Keep {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, AlertError> {
        let wrong = |source| AlertError::File {
            path: path.to_owned(),
            source,
        };
        let file = Connection::open(path).map_err(wrong)?;
        file.busy_timeout(Duration::from_secs(5)).map_err(wrong)?;
        file.execute_batch(TABLES).map_err(wrong)?;
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// The file, alone.
    fn file(&self) -> MutexGuard<'_, Connection> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which file an error is about.
    fn named<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, AlertError> {
        result.map_err(|source| AlertError::File {
            path: self.path.clone(),
            source,
        })
    }

    /// Where an alert stands; one that was never heard of is fine.
    pub(super) fn standing(&self, name: &str) -> Result<Standing, AlertError> {
        const SQL: &str = "SELECT state, since_ns, fired_ns, is_told FROM alert WHERE name = ?1";
        let read = |row: &Row<'_>| {
            Ok(Standing {
                state: State::named(&row.get::<_, String>(0)?),
                since: time(row, 1)?,
                fired: time(row, 2)?,
                is_told: row.get(3)?,
            })
        };
        match self.file().query_row(SQL, [name], read) {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(Standing::default()),
            found => self.named(found),
        }
    }

    /// Keeps where an alert stands, together with what happened to it if anything did: both or none.
    pub(super) fn change(
        &self,
        name: &str,
        standing: &Standing,
        event: Option<&Event>,
    ) -> Result<(), AlertError> {
        const FORGET: &str = "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?1";
        let mut file = self.file();
        let write = |file: &mut Connection| {
            let together = file.transaction()?;
            together.execute(
                "INSERT OR REPLACE INTO alert (name, state, since_ns, fired_ns, is_told)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    name,
                    standing.state.as_str(),
                    number(standing.since),
                    number(standing.fired),
                    standing.is_told
                ],
            )?;
            let Some(event) = event else {
                return together.commit();
            };
            together.execute(
                "INSERT INTO event (name, at_ns, before, after, value, summary, is_silent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    event.name,
                    number(event.at),
                    event.before.as_str(),
                    event.after.as_str(),
                    event.value,
                    event.summary,
                    event.is_silent
                ],
            )?;
            together.execute(FORGET, [i64::try_from(EVENTS_MAX).unwrap_or(i64::MAX)])?;
            together.commit()
        };
        self.named(write(&mut file))
    }

    /// What happened in a span of time, latest first.
    pub(super) fn events(
        &self,
        (start, end): (Duration, Duration),
        name: &str,
        limit: usize,
    ) -> Result<Vec<Event>, AlertError> {
        const SQL: &str = "
            SELECT name, at_ns, before, after, value, summary, is_silent FROM event
            WHERE ?1 <= at_ns AND at_ns < ?2 AND (?3 = '' OR name = ?3)
            ORDER BY id DESC LIMIT ?4";
        let read = |row: &Row<'_>| {
            Ok(Event {
                name: row.get(0)?,
                at: time(row, 1)?,
                before: State::named(&row.get::<_, String>(2)?),
                after: State::named(&row.get::<_, String>(3)?),
                value: row.get(4)?,
                summary: row.get(5)?,
                is_silent: row.get(6)?,
            })
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let file = self.file();
        let found = file.prepare_cached(SQL).and_then(|mut statement| {
            let rows =
                statement.query_map(params![number(start), number(end), name, limit], read)?;
            rows.collect()
        });
        self.named(found)
    }

    /// Silences that hold now; those that are over are forgotten.
    pub(super) fn silences(&self, now: Duration) -> Result<Vec<Silence>, AlertError> {
        const SQL: &str =
            "SELECT id, pattern, until_ns, author, comment, created_ns FROM silence ORDER BY id";
        let read = |row: &Row<'_>| {
            Ok(Silence {
                id: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
                pattern: row.get(1)?,
                until: time(row, 2)?,
                author: row.get(3)?,
                comment: row.get(4)?,
                created: time(row, 5)?,
            })
        };
        let file = self.file();
        let found = file
            .execute("DELETE FROM silence WHERE until_ns <= ?1", [number(now)])
            .and_then(|_count| {
                let mut statement = file.prepare_cached(SQL)?;
                let rows = statement.query_map([], read)?;
                rows.collect()
            });
        self.named(found)
    }

    /// Keeps a silence; its number.
    pub(super) fn silence(&self, silence: &Silence) -> Result<u64, AlertError> {
        let file = self.file();
        let written = file.execute(
            "INSERT INTO silence (pattern, until_ns, author, comment, created_ns)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                silence.pattern,
                number(silence.until),
                silence.author,
                silence.comment,
                number(silence.created)
            ],
        );
        self.named(written)?;
        Ok(u64::try_from(file.last_insert_rowid()).unwrap_or_default())
    }

    /// Ends a silence. False when there is none of this number.
    pub(super) fn unsilence(&self, id: u64) -> Result<bool, AlertError> {
        let id = i64::try_from(id).unwrap_or(i64::MAX);
        let file = self.file();
        let removed = file.execute("DELETE FROM silence WHERE id = ?1", [id]);
        Ok(0 < self.named(removed)?)
    }
}

/// A time as the file has it.
fn number(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// A time of a row.
fn time(row: &Row<'_>, column: usize) -> Result<Duration, rusqlite::Error> {
    let nanoseconds: i64 = row.get(column)?;
    Ok(Duration::from_nanos(
        u64::try_from(nanoseconds).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Event, Keep, Silence, Standing, State};

    #[test]
    fn what_happened_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.db");
        let second = Duration::from_secs;
        let standing = Standing {
            state: State::Firing,
            since: second(7),
            fired: second(7),
            is_told: true,
        };
        let event = Event {
            name: "n".to_owned(),
            at: second(7),
            before: State::Pending,
            after: State::Firing,
            value: 0.5,
            summary: "s".to_owned(),
            is_silent: false,
        };
        let silence = Silence {
            pattern: "n*".to_owned(),
            until: second(100),
            created: second(5),
            ..Silence::default()
        };
        let id = {
            let keep = Keep::open(&path).unwrap();
            assert_eq!(Standing::default(), keep.standing("n").unwrap());
            keep.change("n", &standing, Some(&event)).unwrap();
            keep.silence(&silence).unwrap()
        };
        let keep = Keep::open(&path).unwrap();
        assert_eq!(standing, keep.standing("n").unwrap());
        let all = (Duration::ZERO, second(1_000));
        assert_eq!(vec![event], keep.events(all, "", 10).unwrap());
        assert!(keep.events(all, "other", 10).unwrap().is_empty());
        let kept = keep.silences(second(50)).unwrap();
        assert_eq!(vec![Silence { id, ..silence }], kept);
        assert!(kept[0].is_about("nine") && !kept[0].is_about("ten"));
        assert!(keep.silences(second(100)).unwrap().is_empty());
        assert!(!keep.unsilence(id).unwrap());
    }
}

//! The SQLite file beside dynoxide's own: parameters, what the rules need to remember of tables, and the objects of the other
//! services.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Failure;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parameters (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    value TEXT NOT NULL,
    type TEXT NOT NULL,
    tier TEXT NOT NULL,
    description TEXT,
    modified INTEGER NOT NULL,
    label TEXT,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
";
/// How many tables the schema has.
const TABLES: i64 = 4;

/// A connection, one at a time in this process; SQLite's own locks keep processes apart.
#[derive(Debug)]
pub(super) struct Store(Mutex<Connection>);

impl Store {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        Self::prepare(Connection::open(path)?)
    }

    pub(super) fn memory() -> rusqlite::Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(Duration::from_secs(30))?;
        // With a write-ahead log readers and a writer do not wait for each other, and a killed process loses at most
        // what it had not committed.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
        let tables: i64 = connection.query_row(count, [], |row| row.get(0))?;
        if tables < TABLES {
            connection.execute_batch(SCHEMA)?;
        }
        Ok(Self(Mutex::new(connection)))
    }

    /// Reads.
    pub(super) fn read<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        work(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes, with every other process kept out from the first look on. What fails leaves nothing behind.
    pub(super) fn write<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::internal(&error.to_string())
}

/// Returns an object of a kind.
pub(super) fn object<T: DeserializeOwned>(store: &Connection, kind: &str, name: &str) -> Result<Option<T>, Failure> {
    let mut statement = store.prepare_cached("SELECT state FROM objects WHERE kind = ? AND name = ?")?;
    let state: Option<String> = statement.query_row([kind, name], |row| row.get(0)).optional()?;
    state.map(|state| serde_json::from_str(&state).map_err(unreadable)).transpose()
}

/// Returns all objects of a kind, by name.
pub(super) fn objects<T: DeserializeOwned>(store: &Connection, kind: &str) -> Result<Vec<(String, T)>, Failure> {
    let mut statement = store.prepare_cached("SELECT name, state FROM objects WHERE kind = ? ORDER BY name")?;
    let rows = statement.query_map([kind], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let rows = rows.collect::<Result<Vec<(String, String)>, _>>()?;
    rows.into_iter().map(|(name, state)| Ok((name, serde_json::from_str(&state).map_err(unreadable)?))).collect()
}

/// Keeps an object.
pub(super) fn keep<T: Serialize>(store: &Connection, kind: &str, name: &str, object: &T) -> Result<(), Failure> {
    let state = serde_json::to_string(object).map_err(unreadable)?;
    store.execute("INSERT OR REPLACE INTO objects (kind, name, state) VALUES (?, ?, ?)", params![kind, name, state])?;
    Ok(())
}

/// Removes an object.
pub(super) fn remove(store: &Connection, kind: &str, name: &str) -> Result<(), Failure> {
    store.execute("DELETE FROM objects WHERE kind = ? AND name = ?", params![kind, name])?;
    Ok(())
}

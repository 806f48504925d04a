//! The SQLite file next to dynoxide's own: parameters, the rules' state of tables, and the objects of the other services.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Failure;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parameters (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    value TEXT NOT NULL,
    modified INTEGER NOT NULL,
    settings TEXT NOT NULL,
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
/// The number of tables in the schema.
const TABLES: usize = 4;

/// A connection, used by one thread at a time; SQLite's own locks separate processes.
#[derive(Debug)]
pub(super) struct Store(Mutex<Connection>);

impl Store {
    /// Opens the database at a canonical path. The file may come from an untrusted checkout.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let said = |error: rusqlite::Error| error.to_string();
        let connection = open_hardened(path).map_err(said)?;
        let expected = schema(&Self::memory().map_err(said)?.0.into_inner().unwrap_or_else(PoisonError::into_inner));
        let expected = expected.map_err(said)?;
        // A process that was killed while it created the tables may have left some of them.
        check(&connection, |entry| expected.contains(entry))?;
        Self::prepare(connection).map_err(said)
    }

    pub(super) fn memory() -> rusqlite::Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(Duration::from_secs(30))?;
        // With a write-ahead log, readers and a writer do not wait for each other, and a killed process loses at most its uncommitted
        // changes.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        if schema(&connection)?.len() < TABLES {
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

    /// Writes, with all other processes locked out from the first read on. An error rolls back all changes.
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

/// Opens an existing database as SQLite's documentation recommends for untrusted files ("Defense Against The Dark Arts",
/// sqlite.org/security.html): its schema runs no functions, triggers or views, and the effects of a corrupt or huge value are limited.
pub(super) fn open_hardened(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, 16 << 20),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
        (Limit::SQLITE_LIMIT_COLUMN, 100),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 50),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 3),
        (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 8),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

/// A part of a database's schema: its type, name and definition.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: String,
    name: String,
    sql: Option<String>,
}

fn schema(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut entries = connection.prepare("SELECT type, name, sql FROM sqlite_master ORDER BY name")?;
    let read = entries.query_map([], |row| Ok(Entry { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? }))?;
    read.collect()
}

/// Refuses a database that is damaged, or whose schema has an unexpected entry.
fn check(connection: &Connection, expected: impl Fn(&Entry) -> bool) -> Result<(), String> {
    const ADVICE: &str = "delete the store's folder to start over";
    let damaged = |error: rusqlite::Error| format!("the database cannot be read: {error}; {ADVICE}");
    if let Some(entry) = schema(connection).map_err(damaged)?.iter().find(|entry| !expected(entry)) {
        let (kind, name) = (entry.kind.escape_debug(), entry.name.escape_debug());
        return Err(format!("the database has a {kind} {name} that sentinel did not make; {ADVICE}"));
    }
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if found == "ok" { Ok(()) } else { Err(format!("the database is damaged: {}; {ADVICE}", found.escape_debug())) }
}

/// Checks the database that dynoxide opens next, on a separate connection with safe settings.
pub(super) fn check_engine(path: &Path) -> Result<(), String> {
    let connection = open_hardened(path).map_err(|error| error.to_string())?;
    check(&connection, |entry| match entry.kind.as_str() {
        // SQLite's implicit index of a primary key has no definition.
        "table" | "index" => entry.sql.as_deref().is_none_or(is_plain),
        _ => false,
    })
}

/// Returns whether a definition is a table or an index of plain columns, so that nothing in it is evaluated or loaded.
fn is_plain(sql: &str) -> bool {
    const OTHER: [&str; 14] = [
        "AS",
        "CHECK",
        "COLLATE",
        "CONSTRAINT",
        "FOREIGN",
        "GENERATED",
        "REFERENCES",
        "SELECT",
        "TEMP",
        "TEMPORARY",
        "TRIGGER",
        "USING",
        "VIRTUAL",
        "WHERE",
    ];
    let Some(words) = tokens(sql) else { return false };
    // In a table, nested brackets are its keys; in an index they would call a function.
    let index = words.iter().take(3).any(|word| word == "INDEX");
    let mut depth = 0_usize;
    for (number, word) in words.iter().enumerate() {
        match word.as_str() {
            "(" => {
                let before = number.checked_sub(1).and_then(|before| words.get(before));
                depth += 1;
                let keys = depth == 2 && !index && before.is_some_and(|before| before == "KEY");
                if depth > 1 && !keys {
                    return false;
                }
            }
            ")" => depth = depth.saturating_sub(1),
            word if OTHER.contains(&word) => return false,
            _ => {}
        }
    }
    words.first().is_some_and(|word| word == "CREATE")
}

/// Returns the words and brackets of a definition in upper case, without quoted names and literals, if it contains nothing else.
fn tokens(sql: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '"' | '\'' => {
                rest.find(|other| *other == letter)?;
                words.push(String::from(letter));
            }
            '(' | ')' => words.push(letter.to_string()),
            ',' => {}
            letter if letter.is_ascii_whitespace() => {}
            letter if letter.is_ascii_alphanumeric() || letter == '_' => {
                let mut word = letter.to_ascii_uppercase().to_string();
                while let Some(more) = rest.next_if(|more| more.is_ascii_alphanumeric() || *more == '_') {
                    word.push(more.to_ascii_uppercase());
                }
                words.push(word);
            }
            _ => return None,
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(statements: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("test.db");
        Connection::open(&path).unwrap().execute_batch(statements).unwrap();
        (folder, path)
    }

    #[test]
    fn the_sqlite_release_is_safe_for_untrusted_databases() {
        // CVE-2025-6965 was fixed in 3.50.2, and CVE-2026-11824 in 3.53.2.
        assert!(rusqlite::version_number() >= 3_053_002, "{}", rusqlite::version());
    }

    #[test]
    fn a_store_is_reopened_and_a_partial_one_is_completed() {
        let (_folder, path) = file("");
        drop(Store::open(&path).unwrap());
        drop(Store::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch("DROP TABLE tags").unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.read(schema).unwrap().len(), TABLES);
    }

    #[test]
    fn a_store_with_foreign_objects_is_refused() {
        let whole = SCHEMA.to_owned();
        for more in [
            "CREATE TRIGGER evil AFTER INSERT ON tags BEGIN DELETE FROM parameters; END",
            "CREATE VIEW evil AS SELECT 1",
            "CREATE TABLE evil (x)",
            "CREATE INDEX evil ON tags (lower(key))",
            "ALTER TABLE tags ADD COLUMN evil TEXT",
            "DROP TABLE tags; CREATE VIEW tags AS SELECT 1 AS name, 2 AS key, 3 AS value",
            "DROP TABLE tags; CREATE TABLE tags (name TEXT, key TEXT, value TEXT CHECK (length(value) > 0))",
        ] {
            let (_folder, path) = file(&format!("{whole}{more}"));
            let refused = Store::open(&path).unwrap_err();
            assert!(refused.contains("that sentinel did not make; delete the store's folder"), "{more}: {refused}");
        }
    }

    #[test]
    fn an_engine_database_with_executable_objects_is_refused() {
        for evil in [
            "CREATE TABLE t (x); CREATE TRIGGER evil AFTER INSERT ON t BEGIN DELETE FROM t; END",
            "CREATE VIEW evil AS SELECT 1",
            "CREATE TABLE evil (x, y AS (x + 1))",
            "CREATE TABLE evil (x, y generated always as (abs(x)))",
            "CREATE TABLE evil (x CHECK (length(x) > 1))",
            "CREATE TABLE evil (x DEFAULT (abs(1)))",
            "CREATE TABLE t (x); CREATE INDEX evil ON t (abs(x))",
            "CREATE TABLE t (x); CREATE INDEX evil ON t (x) WHERE x",
            "CREATE TABLE evil (x TEXT COLLATE NOCASE)",
        ] {
            let (_folder, path) = file(evil);
            let refused = check_engine(&path).unwrap_err();
            assert!(refused.contains("that sentinel did not make"), "{evil}: {refused}");
        }
    }

    #[test]
    fn an_invalid_or_damaged_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("test.db");
        std::fs::write(&path, "no database, and long enough to have a header to be looked at".repeat(20)).unwrap();
        assert!(Store::open(&path).unwrap_err().contains("delete the store's folder"));
        let (_folder, path) = file(&format!("PRAGMA page_size = 512;{SCHEMA}"));
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[600..end].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        assert!(Store::open(&path).is_err());
        assert!(check_engine(&path).is_err());
    }

    #[test]
    fn a_link_is_not_opened() {
        let (folder, path) = file("");
        let link = path.with_file_name("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Store::open(&link).is_err());
        drop(folder);
    }
}

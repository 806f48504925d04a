//! dynoxide's database, which is reopened after another process has changed the tables that dynoxide caches in memory.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use dynoxide::Database;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::local::folder::Folder;
use crate::local::store;

/// Its file in a region's folder.
const FILE: &str = "dynamodb.db";

/// The dynoxide database of a region.
pub(in crate::local) struct Engine(Mutex<Open>);

struct Open {
    database: Database,
    /// `None` for a database in memory, which no other process uses.
    watch: Option<Watch>,
}

/// Detects changes of the tables.
struct Watch {
    folder: Folder,
    connection: Connection,
    /// SQLite's `data_version` at the last check; it changes with every write of another connection.
    version: i64,
    /// A digest of dynoxide's table metadata.
    tables: u64,
}

impl Engine {
    /// Returns a database in memory.
    pub(in crate::local) fn memory() -> Result<Self, String> {
        let database = Database::memory().map_err(|error| error.to_string())?;
        Ok(Self(Mutex::new(Open { database, watch: None })))
    }

    /// Opens the file in a region's folder, after a check of its contents.
    pub(in crate::local) fn open(folder: Folder) -> Result<Self, String> {
        let file = folder.database(FILE)?;
        let at = |error: String| format!("{}: {error}", file.shown().display());
        store::check_engine(file.path()).map_err(at)?;
        file.check_unchanged()?;
        let database = open(&folder)?;
        // dynoxide has created its tables by now.
        let connection = store::open_hardened(file.path()).map_err(|error| at(error.to_string()))?;
        file.check_unchanged()?;
        let mut watch = Watch { folder, connection, version: 0, tables: 0 };
        watch.check().map_err(|error| error.to_string())?;
        Ok(Self(Mutex::new(Open { database, watch: Some(watch) })))
    }

    /// Returns the database, without outdated tables in memory.
    pub(in crate::local) fn current(&self) -> Result<Database, String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { database, watch } = &mut *open;
        if let Some(watch) = watch
            && watch.check().map_err(|error| error.to_string())? == Seen::OtherTables
        {
            *database = self::open(&watch.folder)?;
        }
        Ok(database.clone())
    }

    /// Records a change of a table by this process, which dynoxide knows. No other process can change tables at the same time, because
    /// changing one requires the lock of the region's other file.
    pub(in crate::local) fn note_own_change(&self) -> Result<(), String> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = open.watch.as_mut().map(Watch::check).transpose();
        looked.map(drop).map_err(|error| error.to_string())
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Same,
    OtherTables,
}

impl Watch {
    /// Checks whether the tables have changed since the last check.
    fn check(&mut self) -> rusqlite::Result<Seen> {
        let version = self.connection.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if version == self.version {
            return Ok(Seen::Same);
        }
        // Items are written much more often than tables.
        let tables = tables(&self.connection)?;
        let same = tables == self.tables;
        (self.version, self.tables) = (version, tables);
        Ok(if same { Seen::Same } else { Seen::OtherTables })
    }
}

/// Opens dynoxide's file. dynoxide opens files itself, by path and with SQLite's default settings.
fn open(folder: &Folder) -> Result<Database, String> {
    let file = folder.database(FILE)?;
    let database = Database::new(&file.path().to_string_lossy());
    let database = database.map_err(|error| format!("{}: {error}", file.shown().display()))?;
    file.check_unchanged()?;
    Ok(database)
}

/// Returns a digest of the rows that dynoxide caches in memory (`Storage::get_table_metadata` in its source, version 3.2.0).
fn tables(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT * FROM _tables ORDER BY table_name")?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut digest = DefaultHasher::new();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => 0_u8.hash(&mut digest),
                ValueRef::Integer(number) => (1_u8, number).hash(&mut digest),
                ValueRef::Real(number) => (2_u8, number.to_bits()).hash(&mut digest),
                ValueRef::Text(text) => (3_u8, text).hash(&mut digest),
                ValueRef::Blob(bytes) => (4_u8, bytes).hash(&mut digest),
            }
        }
    }
    Ok(digest.finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::local::{LocalAws, Request, Rules};

    fn call(aws: &LocalAws, operation: &str, body: &Value) -> Value {
        let target = format!("DynamoDB_20120810.{operation}");
        let answer = aws.answer(&Request::new(target, "", body.to_string().into_bytes()));
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn create(aws: &LocalAws, name: &str, key: &str) {
        let table = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": "S" }],
        });
        let answer = call(aws, "CreateTable", &table);
        assert_eq!(answer["TableDescription"]["TableName"], name, "{answer}");
    }

    /// Two emulators on one folder represent two processes.
    #[test]
    fn a_process_sees_table_changes_of_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let none = Duration::ZERO;
        let rules = Rules { table_creation: none, table_update: none, table_deletion: none, ..Rules::default() };
        let open = || LocalAws::open(&folder.path().join("store"), rules).unwrap();
        let (one, other) = (open(), open());
        create(&one, "ttt", "id");
        let named = json!({ "TableName": "ttt" });
        let described = |aws: &LocalAws| call(aws, "DescribeTable", &named)["Table"].take();
        assert_eq!(described(&other)["DeletionProtectionEnabled"], false);
        call(&one, "UpdateTable", &json!({ "TableName": "ttt", "DeletionProtectionEnabled": true }));
        assert_eq!(described(&other)["DeletionProtectionEnabled"], true);
        let item = json!({ "TableName": "ttt", "Item": { "id": { "S": "a" } } });
        call(&other, "PutItem", &item);
        let key = json!({ "TableName": "ttt", "Key": { "id": { "S": "a" } } });
        assert_eq!(call(&one, "GetItem", &key)["Item"]["id"]["S"], "a");
        // The same name with another key.
        call(&one, "UpdateTable", &json!({ "TableName": "ttt", "DeletionProtectionEnabled": false }));
        call(&one, "DeleteTable", &named);
        call(&one, "DescribeTable", &named);
        create(&one, "ttt", "other");
        assert_eq!(described(&other)["KeySchema"][0]["AttributeName"], "other");
        let item = json!({ "TableName": "ttt", "Item": { "other": { "S": "a" } } });
        assert_eq!(call(&other, "PutItem", &item), json!({}));
    }
}

//! On-demand backups: only their existence and source. Nothing can be restored.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engine::call;
use super::{active, table_name};
use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::clock::millis;
use crate::local::store::{keep, object, objects, remove};

const BACKUP: &str = "dynamodb backup";

/// A stored backup, by ARN.
#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    name: String,
    table: String,
    table_id: Value,
    items: Value,
    created: i64,
    available: i64,
}

impl Backup {
    fn details(&self, arn: &str, now: i64) -> Value {
        json!({
            "BackupArn": arn,
            "BackupName": self.name,
            "BackupStatus": if now >= self.available { "AVAILABLE" } else { "CREATING" },
            "BackupType": "USER",
            "BackupSizeBytes": 0,
            "BackupCreationDateTime": self.created / 1000,
        })
    }
}

fn not_found(arn: &str) -> Failure {
    Failure::new("BackupNotFoundException", format!("Backup not found: {arn}"))
}

pub(super) fn create(region: &Region, body: &Value) -> Result<Value, Failure> {
    let table = table_name(body)?;
    let name = body["BackupName"].as_str().unwrap_or_default().to_owned();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !(3..=255).contains(&name.len()) || !name.chars().all(plain) {
        return Err(Failure::validation("BackupName must have 3 to 255 letters, digits, and _ . -"));
    }
    region.store.write(|store| {
        let state = active(region, store, &table)?;
        let now = region.clock.now();
        if now < state.active_at + millis(region.rules.backups_delay) {
            let message = format!("Backups are being enabled for the table: {table}. Please retry later");
            return Err(Failure::new("ContinuousBackupsUnavailableException", message));
        }
        let described = call(region, "DescribeTable", json!({ "TableName": table }))?;
        let (items, table_id) = (described["Table"]["ItemCount"].clone(), described["Table"]["TableId"].clone());
        let id = format!("{:017}-{:08x}", now, fastrand::u32(..));
        let arn = region.arn("dynamodb", &format!("table/{table}/backup/{id}"));
        let available = now + millis(region.rules.backups_delay);
        let backup = Backup { name, table, table_id, items, created: now, available };
        keep(store, BACKUP, &arn, &backup)?;
        Ok(json!({ "BackupDetails": backup.details(&arn, now) }))
    })
}

fn arn_of(body: &Value) -> &str {
    body["BackupArn"].as_str().unwrap_or_default()
}

fn description(region: &Region, arn: &str, backup: &Backup) -> Value {
    json!({ "BackupDescription": {
        "BackupDetails": backup.details(arn, region.clock.now()),
        "SourceTableDetails": {
            "TableName": backup.table,
            "TableId": backup.table_id,
            "TableCreationDateTime": backup.created / 1000,
            "KeySchema": [],
            "ProvisionedThroughput": { "ReadCapacityUnits": 0, "WriteCapacityUnits": 0 },
            "ItemCount": backup.items,
        },
    } })
}

pub(super) fn describe(region: &Region, body: &Value) -> Result<Value, Failure> {
    let arn = arn_of(body);
    let found: Option<Backup> = region.store.read(|store| object(store, BACKUP, arn))?;
    found.map(|backup| description(region, arn, &backup)).ok_or_else(|| not_found(arn))
}

pub(super) fn delete(region: &Region, body: &Value) -> Result<Value, Failure> {
    let arn = arn_of(body);
    region.store.write(|store| {
        let found: Option<Backup> = object(store, BACKUP, arn)?;
        let backup = found.ok_or_else(|| not_found(arn))?;
        remove(store, BACKUP, arn)?;
        Ok(description(region, arn, &backup))
    })
}

pub(super) fn list(region: &Region, body: &Value) -> Result<Value, Failure> {
    let now = region.clock.now();
    let all: Vec<(String, Backup)> = region.store.read(|store| objects(store, BACKUP))?;
    let table = body["TableName"].as_str();
    let of_table = all.iter().filter(|(_, backup)| table.is_none_or(|table| table == backup.table));
    let list: Vec<Value> = of_table
        .map(|(arn, backup)| {
            let mut summary = backup.details(arn, now);
            summary["TableName"] = json!(backup.table);
            summary
        })
        .collect();
    Ok(json!({ "BackupSummaries": list }))
}

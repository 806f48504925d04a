//! The state that the rules need for a table, and its presentation.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engine::call;
use super::kinesis::Destination;
use super::replicas::Group;
use super::warm::{self, Warm};
use super::{insights, keys, policies};
use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::clock::millis;

/// A table's state in addition to dynoxide's. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct TableState {
    pub(super) active_at: i64,
    pub(super) updated_at: i64,
    pub(super) deleted_at: Option<i64>,
    /// The indexes that were added to an existing table.
    #[serde(default)]
    pub(super) indexes: BTreeMap<String, Index>,
    /// The indexes that are DELETING, and the end of each deletion.
    #[serde(default)]
    pub(super) deleting: BTreeMap<String, i64>,
    /// The read and write units of each index of a provisioned table, which dynoxide does not store.
    #[serde(default)]
    pub(super) capacities: BTreeMap<String, (i64, i64)>,
    /// The on-demand limits of each index by name, which dynoxide does not store.
    #[serde(default)]
    pub(super) limits: BTreeMap<String, BTreeMap<String, i64>>,
    /// The keys of global indexes that have several attributes in a part, by index name.
    #[serde(default)]
    pub(super) key_schemas: BTreeMap<String, Value>,
    /// The types of their attributes.
    #[serde(default)]
    pub(super) further_attributes: BTreeMap<String, String>,
    /// The warm throughput of the table and its indexes, if it was raised.
    #[serde(default)]
    pub(super) warm: Option<Warm>,
    #[serde(default)]
    pub(super) warm_indexes: BTreeMap<String, Warm>,
    #[serde(default)]
    pub(super) ttl_changed_at: Option<i64>,
    /// The attribute of a TTL that is being turned off.
    #[serde(default)]
    pub(super) ttl_was: Option<String>,
    /// The ARN of the key, unless it is AWS's own.
    #[serde(default)]
    pub(super) encryption: Option<String>,
    #[serde(default)]
    pub(super) encryption_changes: Vec<i64>,
    /// The key before the last change of the encryption.
    #[serde(default)]
    pub(super) encryption_was: Option<String>,
    #[serde(default)]
    pub(super) recovery_since: Option<i64>,
    #[serde(default)]
    pub(super) recovery_days: Option<i64>,
    #[serde(default)]
    pub(super) on_demand_since: Option<i64>,
    #[serde(default)]
    pub(super) tags_changed_at: Option<i64>,
    /// The tags of that change; `None` if it removed tags.
    #[serde(default)]
    pub(super) tags_in_flight: Option<BTreeMap<String, String>>,
    /// The replicas in other regions.
    #[serde(default)]
    pub(super) group: Group,
    #[serde(default)]
    pub(super) insights: insights::All,
    #[serde(default)]
    pub(super) kinesis: Vec<Destination>,
    #[serde(default)]
    pub(super) policies: policies::All,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) active_at: i64,
}

impl TableState {
    fn load(store: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        let row: Option<String> = store
            .prepare_cached("SELECT state FROM tables WHERE name = ?")?
            .query_row([name], |row| row.get(0))
            .optional()?;
        row.map(|state| serde_json::from_str(&state).map_err(|error| Failure::internal(&error.to_string()))).transpose()
    }

    pub(super) fn save(&self, store: &Connection, name: &str) -> Result<(), Failure> {
        let state = serde_json::to_string(self).map_err(|error| Failure::internal(&error.to_string()))?;
        store.execute("INSERT OR REPLACE INTO tables (name, state) VALUES (?, ?)", params![name, state])?;
        Ok(())
    }

    /// Returns the state of an existing table, after completing changes whose time is over, such as a deletion.
    ///
    /// A table exists if dynoxide has it. A process that was killed between writing the two files leaves a state without a table, which is
    /// dropped, or a table without a state, which counts as ACTIVE.
    pub(super) fn settled(region: &Region, store: &Connection, name: &str) -> Result<Option<Self>, Failure> {
        let state = Self::load(store, name)?;
        if !exists(region, name)? {
            if state.is_some() {
                store.execute("DELETE FROM tables WHERE name = ?", [name])?;
            }
            return Ok(None);
        }
        let mut state = state.unwrap_or_default();
        if state.deleted_at.is_some_and(|at| at <= region.clock.now()) {
            call(region, "DeleteTable", json!({ "TableName": name }))?;
            store.execute("DELETE FROM tables WHERE name = ?", [name])?;
            return Ok(None);
        }
        let now = region.clock.now();
        state.group.settle(now);
        let over: Vec<String> =
            state.deleting.iter().filter(|(_, at)| **at <= now).map(|(index, _)| index.clone()).collect();
        for index in &over {
            // The caller's request may fail, which rolls back this store but not dynoxide.
            if has_index(region, name, index)? {
                let delete = json!([{ "Delete": { "IndexName": index } }]);
                call(region, "UpdateTable", json!({ "TableName": name, "GlobalSecondaryIndexUpdates": delete }))?;
            }
            state.deleting.remove(index);
            state.save(store, name)?;
        }
        Ok(Some(state))
    }

    /// Returns whether the time of a deletion is over.
    fn is_due(&self, now: i64) -> bool {
        self.deleted_at.is_some_and(|at| at <= now) || self.deleting.values().any(|at| *at <= now)
    }

    /// Returns whether an index that was added to the table is not ACTIVE yet.
    pub(super) fn is_building(&self, index: &str, now: i64) -> bool {
        self.indexes.get(index).is_some_and(|index| index.active_at > now)
    }

    pub(super) fn status(&self, now: i64) -> &'static str {
        match () {
            () if self.deleted_at.is_some() => "DELETING",
            () if self.active_at > now => "CREATING",
            () if self.updated_at > now => "UPDATING",
            () => "ACTIVE",
        }
    }

    /// Adds the state to dynoxide's description of the table.
    pub(super) fn show(&self, region: &Region, table: &mut Value) {
        let now = region.clock.now();
        let status = self.status(now);
        table["TableStatus"] = json!(status);
        for index in table["GlobalSecondaryIndexes"].as_array_mut().into_iter().flatten() {
            let added = index["IndexName"].as_str().and_then(|name| self.indexes.get(name));
            let building = added.is_some_and(|added| added.active_at > now);
            let deleting = index["IndexName"].as_str().is_some_and(|name| self.deleting.contains_key(name));
            index["IndexStatus"] = json!(match () {
                () if deleting => "DELETING",
                () if building || status == "CREATING" => "CREATING",
                () => "ACTIVE",
            });
            let capacity = index["IndexName"].as_str().and_then(|name| self.capacities.get(name));
            let (read, write) = capacity.copied().unwrap_or_default();
            index["ProvisionedThroughput"] =
                json!({ "NumberOfDecreasesToday": 0, "ReadCapacityUnits": read, "WriteCapacityUnits": write });
            let limits = index["IndexName"].as_str().and_then(|name| self.limits.get(name));
            if let Some(limits) = limits.filter(|limits| !limits.is_empty()) {
                index["OnDemandThroughput"] = json!(limits);
            }
            if building {
                // AWS allocates the index while the table is UPDATING, then copies the items.
                index["Backfilling"] = json!(self.updated_at <= now);
            }
        }
        self.group.show((&region.name, self), &region.name, now, table);
        keys::show(self, table);
        warm::show(self, table);
        if let Some(table) = table.as_object_mut() {
            table.remove("SSEDescription");
            if let Some(shown) = self.shown_encryption(region) {
                table.insert(String::from("SSEDescription"), shown);
            }
        }
    }

    /// Returns whether the encryption is being changed, which the table's status does not show.
    pub(super) fn encryption_changing(&self, region: &Region) -> bool {
        let last = self.encryption_changes.last().copied();
        Self::within(last, region.rules.encryption_change, region.clock.now())
    }

    fn shown_encryption(&self, region: &Region) -> Option<Value> {
        let early = region.rules.encryption_change * 2 / 5;
        let before = Self::within(self.encryption_changes.last().copied(), early, region.clock.now());
        let key = if before { &self.encryption_was } else { &self.encryption };
        let status = if self.encryption_changing(region) { "UPDATING" } else { "ENABLED" };
        match key {
            Some(key) => Some(json!({ "Status": status, "SSEType": "KMS", "KMSMasterKeyArn": key })),
            None => (status == "UPDATING").then(|| json!({ "Status": status })),
        }
    }

    /// Returns whether the tags are locked after a change.
    pub(super) fn tags_locked(&self, region: &Region) -> bool {
        Self::within(self.tags_changed_at, region.rules.tag_lock, region.clock.now())
    }

    /// Returns whether a change at `since` is still within `span` of now.
    pub(super) fn within(since: Option<i64>, span: std::time::Duration, now: i64) -> bool {
        since.is_some_and(|since| since + millis(span) > now)
    }
}

/// Returns whether dynoxide has an index.
pub(super) fn has_index(region: &Region, name: &str, index: &str) -> Result<bool, Failure> {
    let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
    let indexes = described["Table"]["GlobalSecondaryIndexes"].as_array();
    Ok(indexes.is_some_and(|indexes| indexes.iter().any(|found| found["IndexName"] == *index)))
}

fn exists(region: &Region, name: &str) -> Result<bool, Failure> {
    let database = region.engine.current().map_err(|error| Failure::internal(&error))?;
    let found = database.get_table_metadata(name).map_err(|error| Failure::internal(&error.to_string()))?;
    Ok(found.is_some())
}

/// Returns the state of an existing table. Locks the store only to complete a change.
pub(super) fn read_state(region: &Region, name: &str) -> Result<Option<TableState>, Failure> {
    let state = region.store.read(|store| TableState::load(store, name))?;
    let due = state.as_ref().is_some_and(|state| state.is_due(region.clock.now()));
    if due { region.store.write(|store| TableState::settled(region, store, name)) } else { Ok(state) }
}

/// Completes the changes of every table whose time is over.
pub(super) fn settle_all(region: &Region, store: &Connection) -> Result<(), Failure> {
    let names: Vec<String> = {
        let mut statement = store.prepare_cached("SELECT name FROM tables")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    for name in names {
        TableState::settled(region, store, &name)?;
    }
    Ok(())
}

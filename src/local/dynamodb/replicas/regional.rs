//! Requests in the region of a replica.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::group::Replica;
use super::{ONE_OF_STRONG, Replicated, busy, change};
use crate::local::answer::Failure;
use crate::local::clock::millis;
use crate::local::dynamodb::engine::{call, replaced};
use crate::local::dynamodb::state::TableState;
use crate::local::dynamodb::{in_use, items, not_found, settings, update_table};
use crate::local::{Region, kms};

/// The operations on items, which a replica supports like its table.
const ITEMS: [&str; 6] = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"];

pub(super) fn answer(region: &Region, own: &Replicated, operation: &str, body: &Value) -> Result<Value, Failure> {
    let status = read_state(region, own)?.1;
    let Replicated { home, name } = own;
    // Source of a replica's responses during its creation: DDB-TABLE-298.
    match (operation, status) {
        ("DescribeTable", _) => Ok(json!({ "Table": described(region, own)? })),
        ("CreateTable" | "UpdateTable", "DELETING") => Err(in_use("deleted", name)),
        ("CreateTable", _) => Err(Failure::new("ResourceInUseException", format!("Table already exists: {name}"))),
        ("DeleteTable", "CREATING") => Err(Failure::new(
            "ResourceInUseException",
            format!("Attempt to change a resource which is still in use: Table: {name} is being used."),
        )),
        ("DescribeContinuousBackups" | "UpdateContinuousBackups", "CREATING") => {
            Err(Failure::new("TableNotFoundException", format!("Table not found: {name}")))
        }
        (_, "CREATING") => Err(not_found(name)),
        ("DeleteTable", _) => delete(region, own),
        ("UpdateTable", _) => update(region, own, body),
        // The whole group has one TTL setting. Source: DDB-TABLE-230.
        ("UpdateTimeToLive", _) => settings::update_ttl(home, body.clone()),
        ("DescribeTimeToLive", _) => settings::describe_ttl(home, body.clone()),
        ("UpdateContinuousBackups", _) => with(region, own, |_, replica| {
            let wanted = &body["PointInTimeRecoverySpecification"];
            let now = region.clock.now();
            settings::set_recovery(wanted, &mut replica.recovery_since, &mut replica.recovery_days, now)?;
            Ok(settings::backups(replica.recovery_since, replica.recovery_days))
        }),
        ("DescribeContinuousBackups", _) => {
            with(region, own, |_, replica| Ok(settings::backups(replica.recovery_since, replica.recovery_days)))
        }
        ("TagResource" | "UntagResource", _) => {
            with(region, own, |_, replica| tag(region, name, replica, operation, body))
        }
        ("ListTagsOfResource", _) => with(region, own, |_, replica| {
            let tags = replica.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
            Ok(json!({ "Tags": tags.collect::<Vec<_>>() }))
        }),
        (operation, _) if ITEMS.contains(&operation) => items(home, operation, body.clone()),
        (other, _) => Err(Failure::unsupported(&format!("dynamodb:{other} on a replica"))),
    }
}

/// Refuses items of a replica that is being created.
pub(super) fn check_items(region: &Region, home: &Region, name: &str) -> Result<(), Failure> {
    let state = crate::local::dynamodb::state::read_state(home, name)?.unwrap_or_default();
    match state.group.replica(&region.name).map(|own| status(own, &state, region.clock.now())) {
        Some("CREATING") => Err(not_found(name)),
        _ => Ok(()),
    }
}

/// Returns the status of a replica's table.
fn status(replica: &Replica, state: &TableState, now: i64) -> &'static str {
    match replica.lifetime.status(now) {
        None => "DELETING",
        Some("ACTIVE") if now < replica.updated_at || state.status(now) == "UPDATING" => "UPDATING",
        Some(status) => status,
    }
}

/// Returns the state of the table, and the status of the replica.
fn read_state(region: &Region, own: &Replicated) -> Result<(TableState, &'static str), Failure> {
    let state = crate::local::dynamodb::state::read_state(&own.home, &own.name)?.unwrap_or_default();
    let replica = state.group.replica(&region.name).ok_or_else(|| not_found(&own.name))?;
    let status = status(replica, &state, region.clock.now());
    Ok((state, status))
}

/// Returns a replica's description of the table, with its own ARN, ID and settings. Source: DDB-TABLE-229.
fn described(region: &Region, own: &Replicated) -> Result<Value, Failure> {
    let (state, status) = read_state(region, own)?;
    let home = &own.home;
    let replica = state.group.replica(&region.name).ok_or_else(|| not_found(&own.name))?;
    let mut table = call(home, "DescribeTable", json!({ "TableName": own.name }))?["Table"].take();
    state.show(home, &mut table);
    let now = region.clock.now();
    state.group.show((&home.name, &state), &region.name, now, &mut table);
    let mut table = replaced(table, &home.arn("dynamodb", ""), &region.arn("dynamodb", ""));
    table["TableStatus"] = json!(status);
    table["TableId"] = json!(replica.id);
    table["DeletionProtectionEnabled"] = json!(replica.protected);
    if let Some(reads) = replica.reads {
        table["ProvisionedThroughput"]["ReadCapacityUnits"] = json!(reads);
    }
    if let Some(limit) = replica.read_limit {
        table["OnDemandThroughput"]["MaxReadRequestUnits"] = json!(limit);
    }
    if let Some(table) = table.as_object_mut() {
        for absent in ["TableClassSummary", "SSEDescription"] {
            table.remove(absent);
        }
        if let Some(class) = &replica.class {
            table.insert(String::from("TableClassSummary"), json!({ "TableClass": class }));
        }
        if let Some(key) = &replica.key {
            let shown = json!({ "Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key });
            table.insert(String::from("SSEDescription"), shown);
        }
        // A replica that is being deleted is not a member.
        if !replica.lifetime.is_member(now) {
            for absent in
                ["Replicas", "GlobalTableVersion", "GlobalTableSettingsReplicationMode", "MultiRegionConsistency"]
            {
                table.remove(absent);
            }
        }
    }
    Ok(table)
}

/// Reads or changes a replica in the store of its table.
fn with(
    region: &Region,
    own: &Replicated,
    work: impl FnOnce(&Connection, &mut Replica) -> Result<Value, Failure>,
) -> Result<Value, Failure> {
    let Replicated { home, name } = own;
    home.store.write(|store| {
        let mut state = TableState::settled(home, store, name)?.ok_or_else(|| not_found(name))?;
        let replica = state.group.replica_mut(&region.name).ok_or_else(|| not_found(name))?;
        let answer = work(store, replica)?;
        state.save(store, name)?;
        Ok(answer)
    })
}

/// `UpdateTable` changes a replica's own protection, class and key, and all other settings for the group.
fn update(region: &Region, own: &Replicated, body: &Value) -> Result<Value, Failure> {
    let Replicated { home, name } = own;
    if !body["ReplicaUpdates"].is_null() {
        change::update(home, &region.name, name, body)?;
    } else if ["DeletionProtectionEnabled", "TableClass", "SSESpecification"].iter().any(|own| !body[*own].is_null()) {
        update_own(region, own, body)?;
    } else {
        update_table(home, body.clone())?;
    }
    Ok(json!({ "TableDescription": described(region, own)? }))
}

fn update_own(region: &Region, own: &Replicated, body: &Value) -> Result<(), Failure> {
    let Replicated { home, name } = own;
    if body.as_object().is_some_and(|members| members.len() > 2) {
        let message = "One or more parameter values were invalid: Only one setting of a replica can be changed by one UpdateTable";
        return Err(Failure::validation(message));
    }
    let key = match body["SSESpecification"]["KMSMasterKeyId"].as_str() {
        Some(named) => Some(region.store.read(|store| kms::usable(region, store, named))?),
        None => None,
    };
    home.store.write(|store| {
        let mut state = TableState::settled(home, store, name)?.ok_or_else(|| not_found(name))?;
        let now = region.clock.now();
        if state.status(now) != "ACTIVE" || state.group.is_busy(now) {
            return Err(busy());
        }
        let is_of_customer = change::is_of_customer(home, state.encryption.as_deref());
        let replica = state.group.replica_mut(&region.name).ok_or_else(|| not_found(name))?;
        if let Some(enabled) = body["DeletionProtectionEnabled"].as_bool() {
            replica.protected = enabled;
        }
        if let Some(class) = body["TableClass"].as_str() {
            replica.class = Some(class.to_owned());
        }
        if !body["SSESpecification"].is_null() {
            if !is_of_customer || !change::is_of_customer(region, key.as_deref()) {
                return Err(Failure::validation(change::MIXED_KEYS));
            }
            replica.key = key;
        }
        // The table is UPDATING while one of its replicas is. Source: DDB-TABLE-297.
        replica.updated_at = now + millis(region.rules.table_update);
        state.updated_at = now + millis(region.rules.table_update);
        state.save(store, name)
    })
}

/// Deletes a replica in its own region, which removes it from the group. Source: DDB-TABLE-297.
fn delete(region: &Region, own: &Replicated) -> Result<Value, Failure> {
    let Replicated { home, name } = own;
    home.store.write(|store| {
        let mut state = TableState::settled(home, store, name)?.ok_or_else(|| not_found(name))?;
        let now = region.clock.now();
        if state.group.strong {
            return Err(Failure::validation(ONE_OF_STRONG));
        }
        if state.status(now) != "ACTIVE" || state.group.is_busy(now) {
            return Err(busy());
        }
        change::leave(home, &mut state, name, &region.name)?;
        state.save(store, name)
    })?;
    let mut table = described(region, own)?;
    table["TableStatus"] = json!("DELETING");
    Ok(json!({ "TableDescription": table }))
}

/// A replica has its own tags, which are locked after a change like those of any table.
fn tag(region: &Region, name: &str, replica: &mut Replica, operation: &str, body: &Value) -> Result<Value, Failure> {
    settings::check_tags(&body["Tags"])?;
    let mut tags: BTreeMap<String, String> = replica.tags.clone();
    if operation == "TagResource" {
        tags.extend(settings::tags_in(&body["Tags"]));
    } else {
        let keys: Vec<&str> = body["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        tags.retain(|key, _| !keys.contains(&key.as_str()));
    }
    if tags == replica.tags {
        return Ok(json!({}));
    }
    let now = region.clock.now();
    if TableState::within(replica.tags_changed_at, region.rules.tag_lock, now) {
        let message = format!("Subscriber limit exceeded: Table tags are being updated: {name}");
        return Err(Failure::new("LimitExceededException", message));
    }
    (replica.tags, replica.tags_changed_at) = (tags, Some(now));
    Ok(json!({}))
}

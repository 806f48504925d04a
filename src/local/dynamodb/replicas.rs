//! Replicas of global tables, version 2019.11.21.
//!
//! A table and its replicas are one table in the emulator: its items and its state are in the store of the region of its creation, its
//! home. The region of a replica has a marker with the home; requests for the table are answered from there, with the replica's own
//! settings. The rules, texts and sequences are from the measurements in the lab notes of ack-api-quirks: findings DDB-TABLE-201 to 313 in
//! its pages on table replicas and global tables.

mod change;
mod group;
mod regional;
mod scaling;

use std::sync::Arc;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engine::call;
use super::state::TableState;
use crate::local::answer::Failure;
use crate::local::store::{object, objects};
use crate::local::{Region, kms};

pub(super) use change::update;
pub(super) use group::Group;
pub(super) use scaling::of_new_index;

/// The objects with the home of a replica's table, by table name.
const MARKER: &str = "dynamodb replica";

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    home: String,
}

/// A request for a replica, which is answered from the table's home.
struct Replicated {
    home: Arc<Region>,
    name: String,
}

/// Returns the home of a table with a replica in a region.
pub(super) fn home(region: &Region, name: &str) -> Result<Option<Arc<Region>>, Failure> {
    let marker: Option<Marker> = region.store.read(|store| object(store, MARKER, name))?;
    let Some(Marker { home }) = marker else { return Ok(None) };
    let home = region.peer(&home)?;
    // A deleted replica may leave its marker, so the table decides.
    let state = super::state::read_state(&home, name)?;
    let now = region.clock.now();
    let has =
        state.is_some_and(|state| state.group.replica(&region.name).is_some_and(|own| own.lifetime.is_there(now)));
    Ok(has.then_some(home))
}

/// Returns the names of the tables with a replica in a region.
pub(super) fn names(region: &Region) -> Result<Vec<String>, Failure> {
    let markers: Vec<(String, Marker)> = region.store.read(|store| objects(store, MARKER))?;
    let mut names = Vec::new();
    for (name, _) in markers {
        if home(region, &name)?.is_some() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Answers a request for a replica; `None` if it is not for one.
pub(super) fn answer(region: &Region, operation: &str, body: &Value) -> Result<Option<Value>, Failure> {
    let of_arn = || {
        let arn = body["ResourceArn"].as_str()?.strip_prefix(&region.arn("dynamodb", "table/"))?;
        Some(arn.split('/').next().unwrap_or(arn))
    };
    let Some(name) = body["TableName"].as_str().or_else(of_arn) else { return of_several(region, operation, body) };
    let Some(home) = home(region, name)? else { return Ok(None) };
    let replicated = Replicated { home, name: name.to_owned() };
    regional::answer(region, &replicated, operation, body).map(Some)
}

/// Batches and transactions contain table names.
fn of_several(region: &Region, operation: &str, body: &Value) -> Result<Option<Value>, Failure> {
    let batch = body["RequestItems"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.flat_map(|part| part.as_object().into_iter().flatten());
    let mut named: Vec<&str> = batch.chain(parts.filter_map(|(_, part)| part["TableName"].as_str())).collect();
    named.sort_unstable();
    named.dedup();
    let mut homes = Vec::new();
    for name in &named {
        homes.push(home(region, name)?);
    }
    let Some(first) = homes.iter().flatten().next() else { return Ok(None) };
    if homes.iter().any(|home| home.as_ref().map(|home| &home.name) != Some(&first.name)) {
        let what = format!("{operation} on replicas of several regions, or on them and other tables");
        return Err(Failure::unsupported(&what));
    }
    for name in &named {
        regional::check_items(region, first, name)?;
    }
    call(first, operation, body.clone()).map(Some)
}

/// Lists the tables and the replicas of a region.
pub(super) fn list(region: &Region, body: Value) -> Result<Value, Failure> {
    let replicas = names(region)?;
    if replicas.is_empty() {
        return call(region, "ListTables", body);
    }
    let mut names = replicas;
    let mut page = json!({});
    loop {
        let listed = call(region, "ListTables", page)?;
        names
            .extend(listed["TableNames"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        match &listed["LastEvaluatedTableName"] {
            Value::Null => break,
            last => page = json!({ "ExclusiveStartTableName": last }),
        }
    }
    names.sort();
    if let Some(after) = body["ExclusiveStartTableName"].as_str() {
        names.retain(|name| name.as_str() > after);
    }
    let most = body["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
    let more = names.len() > most;
    names.truncate(most);
    let mut answer = json!({ "TableNames": names });
    if more {
        answer["LastEvaluatedTableName"] = answer["TableNames"][most.saturating_sub(1)].clone();
    }
    Ok(answer)
}

/// Returns the tags of a region's replicas, by ARN.
pub(super) fn tagged(region: &Region) -> Result<crate::local::tagging::Tagged, Failure> {
    let mut tagged = crate::local::tagging::Tagged::new();
    for name in names(region)? {
        let Some(home) = home(region, &name)? else { continue };
        let state = super::state::read_state(&home, &name)?.unwrap_or_default();
        if let Some(replica) = state.group.replica(&region.name) {
            tagged.insert(region.arn("dynamodb", &format!("table/{name}")), replica.tags.clone());
        }
    }
    Ok(tagged)
}

/// Refuses the deletion of a table with replicas. AWS's message names the rule for the source region, whose 24 hours are not over for a new
/// replica; the behavior after that time was not measured.
pub(super) fn check_deletion(region: &Region, state: &TableState) -> Result<(), Failure> {
    let now = region.clock.now();
    match () {
        () if !state.group.has_members(now) => Ok(()),
        () if state.group.strong => Err(Failure::validation(ONE_OF_STRONG)),
        () => Err(Failure::validation(SOURCE)),
    }
}

/// Refuses TTL in a group with strong consistency. The rule is documented ("How DynamoDB global tables work" in the Amazon DynamoDB
/// Developer Guide); the text is not AWS's.
pub(super) fn check_ttl(state: &TableState) -> Result<(), Failure> {
    match state.group.strong {
        true => Err(Failure::validation(NO_TTL)),
        false => Ok(()),
    }
}

/// Refuses changes of a table with replicas that `UpdateTable` does not support, or not now.
pub(super) fn check_update(
    region: &Region,
    store: &Connection,
    state: &TableState,
    body: &Value,
) -> Result<(), Failure> {
    let now = region.clock.now();
    if !state.group.has_members(now) {
        return Ok(());
    }
    let mut updates = body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten();
    if updates.any(|update| !update["Create"].is_null()) {
        let name = body["TableName"].as_str().unwrap_or_default();
        let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
        scaling::check(store, name, &described["Table"])?;
    }
    let stream = &body["StreamSpecification"];
    if !stream.is_null() {
        return Err(match stream["StreamEnabled"] == json!(true) {
            true => Failure::validation(format!(
                "Table already has an enabled stream: TableName: {}",
                body["TableName"].as_str().unwrap_or_default()
            )),
            false => Failure::validation(
                "One or more parameter values were invalid: Disabling Stream is not allowed for a Global Table replica.",
            ),
        });
    }
    if state.group.is_busy(now) { Err(busy()) } else { Ok(()) }
}

/// Changes the encryption of the replicas together with that of their table. Each replica has a key in its own region; a customer managed
/// key is set with the replica and changed there. Source: DDB-TABLE-295 and 309.
pub(super) fn follow_encryption(region: &Region, state: &mut TableState, key: Option<&str>) -> Result<(), Failure> {
    if !state.group.has_members(region.clock.now()) {
        return Ok(());
    }
    let (was, is) = (state.encryption.as_deref(), key);
    match (change::is_of_customer(region, was), change::is_of_customer(region, is)) {
        (true, true) => {}
        (false, false) => {
            let mut keys = std::collections::BTreeMap::new();
            for own in state.group.members(region.clock.now()) {
                keys.insert(own.region.clone(), kms::managed_for_tables(&*region.peer(&own.region)?));
            }
            state.group.set_keys(|region| is.and_then(|_| keys.get(region).cloned()));
        }
        _ => return Err(Failure::validation(change::MIXED_KEYS)),
    }
    Ok(())
}

const NO_TTL: &str = "Time to live is not supported for global tables with MultiRegionConsistency set to STRONG.";
const ONE_OF_STRONG: &str =
    "Deletion of only one table replica is not supported for global tables with MultiRegionConsistency set to STRONG.";
const SOURCE: &str = "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in \
                      the last 24 hours.";

fn busy() -> Failure {
    Failure::new("ResourceInUseException", "The resource which you are attempting to change is in use.")
}

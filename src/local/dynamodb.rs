//! DynamoDB: dynoxide's tables, indexes and items, with AWS's own rules.

mod backups;
mod capacity;
mod database;
mod engine;
mod insights;
mod keys;
mod kinesis;
mod members;
mod policies;
mod replicas;
mod settings;
mod state;
mod streams;
mod warm;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::Region;
use super::answer::{Answer, Failure, parse};
use super::clock::millis;
use super::tagging::Tagged;
pub(super) use capacity::{capacity, move_capacity};
pub(super) use database::Engine;
use engine::call;
use state::{Index, TableState};

pub(super) fn answer(region: &Region, operation: &str, body: &[u8]) -> Result<Answer, Failure> {
    let mut body = parse(body)?;
    // A request may name a table by ARN, which dynoxide accepts only in its own form.
    if let Some(name) = body["TableName"].as_str().and_then(|name| name.strip_prefix(&region.arn("dynamodb", "table/")))
    {
        body["TableName"] = json!(name);
    }
    members::check(operation, &body)?;
    if let Some(answer) = replicas::answer(region, operation, &body)? {
        return Ok(Answer::json(&answer));
    }
    let answer = match operation {
        "CreateTable" => create_table(region, body),
        "DescribeTable" => describe_table(region, body),
        "UpdateTable" => update_table(region, body),
        "DeleteTable" => delete_table(region, body),
        "ListTables" => {
            region.store.write(|store| state::settle_all(region, store))?;
            replicas::list(region, body)
        }
        "UpdateTimeToLive" => settings::update_ttl(region, body),
        "DescribeTimeToLive" => settings::describe_ttl(region, body),
        "UpdateContinuousBackups" => settings::update_backups(region, body),
        "DescribeContinuousBackups" => settings::describe_backups(region, body),
        "CreateBackup" => backups::create(region, &body),
        "DescribeBackup" => backups::describe(region, &body),
        "DeleteBackup" => backups::delete(region, &body),
        "ListBackups" => backups::list(region, &body),
        "UpdateContributorInsights" => insights::update(region, &body),
        "DescribeContributorInsights" => insights::describe(region, &body),
        "ListContributorInsights" => insights::list(region, &body),
        "EnableKinesisStreamingDestination" => kinesis::enable(region, &body),
        "DisableKinesisStreamingDestination" => kinesis::disable(region, &body),
        "UpdateKinesisStreamingDestination" => kinesis::update(region, &body),
        "DescribeKinesisStreamingDestination" => kinesis::describe(region, &body),
        "PutResourcePolicy" => policies::put(region, &body),
        "GetResourcePolicy" => policies::get(region, &body),
        "DeleteResourcePolicy" => policies::delete(region, &body),
        "TagResource" | "UntagResource" => settings::change_tags(region, operation, body),
        "ListTagsOfResource" => settings::list_tags(region, body),
        _ => items(region, operation, body),
    }?;
    Ok(Answer::json(&answer))
}

/// Returns the tags of all tables, by ARN.
pub(super) fn tagged(region: &Region) -> Result<Tagged, Failure> {
    region.store.write(|store| state::settle_all(region, store))?;
    let mut tagged = replicas::tagged(region)?;
    let mut page = json!({});
    loop {
        let listed = call(region, "ListTables", page)?;
        for name in listed["TableNames"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let arn = region.arn("dynamodb", &format!("table/{name}"));
            let answer = call(region, "ListTagsOfResource", json!({ "ResourceArn": arn }))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let tags = answer["Tags"].as_array().into_iter().flatten();
            tagged.insert(arn, tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect());
        }
        match &listed["LastEvaluatedTableName"] {
            Value::Null => return Ok(tagged),
            last => page = json!({ "ExclusiveStartTableName": last }),
        }
    }
}

/// Returns the partition key attribute of a table or one of its indexes; `None` if it does not exist or has several.
pub(super) fn key_schema(region: &Region, table: &str, index: Option<&str>) -> Option<String> {
    let home = replicas::home(region, table).ok()?;
    let described = call(home.as_deref().unwrap_or(region), "DescribeTable", json!({ "TableName": table })).ok()?;
    let table = &described["Table"];
    let schema = match index {
        None => &table["KeySchema"],
        Some(name) => {
            let lists = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"].map(|list| table[list].as_array());
            let indexes = lists.into_iter().flatten().flatten();
            &indexes.into_iter().find(|index| index["IndexName"] == *name)?["KeySchema"]
        }
    };
    let mut keys = schema.as_array()?.iter().filter(|key| key["KeyType"] == "HASH");
    match (keys.next(), keys.next()) {
        (Some(key), None) => key["AttributeName"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// Returns the table name of a request.
fn table_name(body: &Value) -> Result<String, Failure> {
    body["TableName"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::validation("The parameter 'TableName' is required but was not present in the request"))
}

fn not_found(name: &str) -> Failure {
    Failure::new("ResourceNotFoundException", format!("Requested resource not found: Table: {name} not found"))
}

fn in_use(what: &str, name: &str) -> Failure {
    let message = format!("Attempt to change a resource which is still in use: Table is being {what}: {name}");
    Failure::new("ResourceInUseException", message)
}

fn create_table(region: &Region, mut body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    region.store.write(|store| {
        if let Some(state) = TableState::settled(region, store, &name)? {
            let deleting = state.deleted_at.is_some();
            let existing = Failure::new("ResourceInUseException", format!("Table already exists: {name}"));
            return Err(if deleting { in_use("deleted", &name) } else { existing });
        }
        settings::check_tags(&body["Tags"])?;
        streams::check_creation(&body)?;
        let global = body["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        keys::check_names(global, &body["LocalSecondaryIndexes"])?;
        let mode = body["BillingMode"].as_str().unwrap_or("PROVISIONED");
        let global = body["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
        global.into_iter().try_for_each(|index| settings::check_capacity(mode, index))?;
        let now = region.clock.now();
        let mut state = TableState { active_at: now + millis(region.rules.table_creation), ..TableState::default() };
        state.encryption = settings::wanted_encryption(region, store, &body["SSESpecification"])?;
        let policy = body.as_object_mut().and_then(|body| body.remove("ResourcePolicy")).unwrap_or_default();
        state.policies = policies::of_creation(region, &policy)?;
        for index in body["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
            settings::note_capacity(&mut state, index);
            settings::note_limits(&mut state, index);
        }
        keys::keep(&mut state, &mut body, &[])?;
        warm::keep(&mut state, &mut body, None)?;
        // dynoxide refuses an empty list like AWS, and stores all other members of the request.
        let answer = call(region, "CreateTable", body)?;
        let mut table = answer["TableDescription"].clone();
        state.save(store, &name)?;
        state.show(region, &mut table);
        Ok(json!({ "TableDescription": table }))
    })
}

fn describe_table(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    let state = state::read_state(region, &name)?;
    let mut answer = call(region, "DescribeTable", body)?;
    state.unwrap_or_default().show(region, &mut answer["Table"]);
    Ok(answer)
}

fn delete_table(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    region.store.write(|store| {
        let mut state = active(region, store, &name)?;
        let mut answer = call(region, "DescribeTable", json!({ "TableName": name }))?;
        if answer["Table"]["DeletionProtectionEnabled"] == json!(true) {
            let arn = region.arn("dynamodb", &format!("table/{name}"));
            return Err(Failure::validation(format!(
                "Resource cannot be deleted as it is currently protected against deletion. Disable deletion \
                 protection first. Resource: {arn}"
            )));
        }
        if state.tags_locked(region) {
            return Err(settings::tags_in_use(&name));
        }
        replicas::check_deletion(region, &state)?;
        if policies::is_pending(region, &state.policies) {
            let message = format!(
                "Attempt to change a resource which is still in use: Table: {name} has a pending resource-based policy update."
            );
            return Err(Failure::new("ResourceInUseException", message));
        }
        state.deleted_at = Some(region.clock.now() + millis(region.rules.table_deletion));
        state.save(store, &name)?;
        state.show(region, &mut answer["Table"]);
        Ok(json!({ "TableDescription": answer["Table"] }))
    })
}

/// Returns the state of a table that can be changed now.
fn active(region: &Region, store: &Connection, name: &str) -> Result<TableState, Failure> {
    let state = TableState::settled(region, store, name)?.ok_or_else(|| not_found(name))?;
    match state.status(region.clock.now()) {
        "CREATING" => Err(in_use("created", name)),
        "UPDATING" => Err(in_use("updated", name)),
        "DELETING" => Err(in_use("deleted", name)),
        _ => Ok(state),
    }
}

/// Returns the state of a table whose settings with their own calls can be changed, which is possible while it is UPDATING. While it is
/// CREATING, it counts as missing. Source: the finding DDB-TABLE-234 in the lab notes of ack-api-quirks.
fn admitted(region: &Region, store: &Connection, name: &str) -> Result<TableState, Failure> {
    let state = TableState::settled(region, store, name)?.ok_or_else(|| not_found(name))?;
    match state.status(region.clock.now()) {
        "CREATING" => Err(not_found(name)),
        "DELETING" => Err(in_use("deleted", name)),
        _ => Ok(state),
    }
}

/// Returns the state of a table for reading settings with their own calls.
fn seen(region: &Region, name: &str) -> Result<TableState, Failure> {
    let state = region.store.write(|store| TableState::settled(region, store, name))?;
    state.filter(|state| state.status(region.clock.now()) != "CREATING").ok_or_else(|| not_found(name))
}

/// The subjects of `UpdateTable`, each in its own call.
const SUBJECTS: [&str; 9] = [
    "WarmThroughput",
    "GlobalSecondaryIndexUpdates",
    "SSESpecification",
    "DeletionProtectionEnabled",
    "TableClass",
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "StreamSpecification",
];

/// AWS's message for a request without a change.
const NO_SUBJECT: &str = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, \
                          SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, \
                          MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or \
                          TableClass is required";

fn update_table(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    if !body["ReplicaUpdates"].is_null() {
        return replicas::update(region, &region.name, &name, &body);
    }
    let answer = change_table(region, &name, body.clone())?;
    replicas::of_new_index(region, &name, &body)?;
    Ok(answer)
}

fn change_table(region: &Region, name: &str, mut body: Value) -> Result<Value, Failure> {
    region.store.write(|store| {
        let mut state = active(region, store, name)?;
        let now = region.clock.now();
        replicas::check_update(region, store, &state, &body)?;
        let is_given = |subject: &&&str| match &body[**subject] {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        };
        let given: Vec<&str> = SUBJECTS.iter().filter(is_given).copied().collect();
        if given.is_empty() {
            return Err(Failure::validation(NO_SUBJECT));
        }
        // A switch to provisioned includes the capacity of each index in the same call; these updates do not count as separate changes.
        let capacities = body["GlobalSecondaryIndexUpdates"]
            .as_array()
            .is_some_and(|updates| updates.iter().all(|update| !update["Update"].is_null()));
        let of_billing = |subject: &&str| {
            let indexes = *subject == "GlobalSecondaryIndexUpdates" && capacities;
            indexes || ["BillingMode", "ProvisionedThroughput", "OnDemandThroughput"].contains(subject)
        };
        if given.len() > 1 && !given.iter().all(of_billing) {
            return Err(Failure::validation(
                "One or more parameter values were invalid: Only one of index, encryption, deletion protection, table \
                 class, billing mode and stream can be changed by one UpdateTable",
            ));
        }
        streams::check_update(region, name, &body)?;
        change_indexes(region, name, &mut state, &body, now)?;
        let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
        let known = described["Table"]["AttributeDefinitions"].as_array().into_iter().flatten();
        let known: Vec<String> = known.filter_map(|one| one["AttributeName"].as_str().map(str::to_owned)).collect();
        keys::keep(&mut state, &mut body, &known)?;
        warm::keep(&mut state, &mut body, Some(&described["Table"]))?;
        let of_encryption = given == ["SSESpecification"];
        if let Some(encryption) = body.as_object_mut().and_then(|body| body.remove("SSESpecification")) {
            settings::change_encryption(region, store, &mut state, &encryption, now)?;
        }
        settings::change_billing(&mut state, &mut body, now)?;
        if let Some(class) = body["TableClass"].as_str() {
            state.group.set_class(class);
        }
        // A table stays ACTIVE while its encryption changes.
        if !of_encryption {
            state.updated_at = now + millis(region.rules.table_update);
        }
        let says_more = |key: &&String| !["TableName", "AttributeDefinitions"].contains(&key.as_str());
        let rest = body.as_object().map_or(0, |body| body.keys().filter(says_more).count());
        let mut table = if rest > 0 {
            call(region, "UpdateTable", body.clone())?["TableDescription"].take()
        } else {
            call(region, "DescribeTable", json!({ "TableName": name }))?["Table"].take()
        };
        state.save(store, name)?;
        state.show(region, &mut table);
        Ok(json!({ "TableDescription": table }))
    })
}

/// One index can be created or deleted at a time, and a new index must be backfilled before the next change.
fn change_indexes(region: &Region, name: &str, state: &mut TableState, body: &Value, now: i64) -> Result<(), Failure> {
    let updates = body["GlobalSecondaryIndexUpdates"].as_array().cloned().unwrap_or_default();
    let changes: Vec<&Value> = updates.iter().filter(|update| update["Update"].is_null()).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let at_work =
        |state: &TableState| state.indexes.values().any(|index| index.active_at > now) || !state.deleting.is_empty();
    let another = updates.iter().any(|update| !update["Create"].is_null()) && at_work(state);
    if changes.len() > 1 || another {
        return Err(Failure::new(
            "LimitExceededException",
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        ));
    }
    for change in changes {
        check_attributes(region, name, state, body)?;
        if !change["Create"].is_null() {
            let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
            let now = described["Table"]["BillingModeSummary"]["BillingMode"].as_str();
            let mode = body["BillingMode"].as_str().or(now).unwrap_or("PROVISIONED");
            settings::check_capacity(mode, &change["Create"])?;
        }
        settings::note_capacity(state, &change["Create"]);
        settings::note_limits(state, &change["Create"]);
        if let Some(index) = change["Create"]["IndexName"].as_str() {
            state.indexes.insert(index.to_owned(), Index { active_at: now + millis(region.rules.index_backfill) });
        }
        if let Some(index) = change["Delete"]["IndexName"].as_str() {
            delete_index(region, name, state, index, now)?;
        }
    }
    Ok(())
}

/// Marks an index as DELETING. dynoxide deletes at once, so it is called at the end of the deletion.
fn delete_index(region: &Region, name: &str, state: &mut TableState, index: &str, now: i64) -> Result<(), Failure> {
    if !state::has_index(region, name, index)? {
        let message = format!("Requested resource not found: Index: {index} of table: {name}");
        return Err(Failure::new("ResourceNotFoundException", message));
    }
    let building = state.indexes.get(index).is_some_and(|index| index.active_at > now);
    if building || state.deleting.contains_key(index) {
        let what = if building { "created" } else { "deleted" };
        let message =
            format!("Attempt to change a resource which is still in use: Index is being {what}: {name}.{index}");
        return Err(Failure::new("ResourceInUseException", message));
    }
    state.indexes.remove(index);
    state.capacities.remove(index);
    state.limits.remove(index);
    state.insights.remove(index);
    state.warm_indexes.remove(index);
    state.deleting.insert(index.to_owned(), now + millis(region.rules.index_deletion));
    Ok(())
}

/// A key attribute keeps its type, which dynoxide does not enforce.
fn check_attributes(region: &Region, name: &str, state: &TableState, body: &Value) -> Result<(), Failure> {
    let wanted = body["AttributeDefinitions"].as_array().cloned().unwrap_or_default();
    let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
    let mut described = described["Table"].clone();
    keys::show(state, &mut described);
    let updates = body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten();
    keys::check_names(updates.map(|update| &update["Create"]), &described["LocalSecondaryIndexes"])?;
    let known = described["AttributeDefinitions"].as_array().cloned().unwrap_or_default();
    let differs = |wanted: &Value| {
        let same = known.iter().find(|known| known["AttributeName"] == wanted["AttributeName"]);
        same.is_some_and(|known| known["AttributeType"] != wanted["AttributeType"])
    };
    match wanted.iter().find(|wanted| differs(wanted)) {
        None => Ok(()),
        Some(wanted) => Err(Failure::validation(format!(
            "One or more parameter values were invalid: Attributes cannot be redefined. Please check that your \
             attribute has the same type as previously defined. Attribute: {}",
            wanted["AttributeName"].as_str().unwrap_or_default()
        ))),
    }
}

/// Reads and writes items, which requires an ACTIVE table.
fn items(region: &Region, operation: &str, body: Value) -> Result<Value, Failure> {
    if let Some(name) = body["TableName"].as_str()
        && let Some(state) = state::read_state(region, name)?
    {
        if ["CREATING", "DELETING"].contains(&state.status(region.clock.now())) {
            return Err(Failure::new("ResourceNotFoundException", "Requested resource not found"));
        }
        if body["IndexName"].as_str().is_some_and(|index| state.key_schemas.contains_key(index)) {
            return Err(Failure::unsupported("reads of an index whose key has several attributes in a part"));
        }
    }
    call(region, operation, body)
}

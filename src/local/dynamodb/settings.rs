//! TTL, backups, tags, encryption and billing: the settings of a table, with their rules.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::engine::call;
use super::state::{self, TableState};
use super::{active, not_found, replicas, table_name};
use crate::local::answer::Failure;
use crate::local::clock::millis;
use crate::local::{Region, kms};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The maximum and default number of days of point-in-time recovery.
const RECOVERY_DAYS: i64 = 35;

pub(super) fn update_ttl(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    region.store.write(|store| {
        let mut state = active(region, store, &name)?;
        replicas::check_ttl(&state)?;
        let now = region.clock.now();
        let before = call(region, "DescribeTimeToLive", json!({ "TableName": name }))?;
        let before = &before["TimeToLiveDescription"];
        let enabled = before["TimeToLiveStatus"] == json!("ENABLED");
        let wanted = &body["TimeToLiveSpecification"];
        match (wanted["Enabled"] == json!(true), enabled) {
            (true, true) if wanted["AttributeName"] == before["AttributeName"] => {
                return Err(Failure::validation("TimeToLive is already enabled"));
            }
            (true, true) => {
                let current = before["AttributeName"].as_str().unwrap_or_default();
                return Err(Failure::validation(format!(
                    "TimeToLive is active on a different AttributeName: current AttributeName is {current}"
                )));
            }
            (false, false) => return Err(Failure::validation("TimeToLive is already disabled")),
            (true, false) | (false, true) => {}
        }
        if TableState::within(state.ttl_changed_at, region.rules.ttl_cooldown, now) {
            let message = "Time to live has been modified multiple times within a fixed interval";
            return Err(Failure::validation(message));
        }
        state.ttl_changed_at = Some(now);
        state.ttl_was = before["AttributeName"].as_str().map(str::to_owned);
        let answer = call(region, "UpdateTimeToLive", body.clone())?;
        state.save(store, &name)?;
        Ok(answer)
    })
}

pub(super) fn describe_ttl(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    let state = state::read_state(region, &name)?.unwrap_or_default();
    let now = region.clock.now();
    let mut answer = call(region, "DescribeTimeToLive", body)?;
    if state.status(now) == "CREATING" {
        return Err(Failure::validation(format!("Table is not in an active state: {name}")));
    }
    if TableState::within(state.ttl_changed_at, region.rules.ttl_settling, now) {
        let description = &mut answer["TimeToLiveDescription"];
        if description["TimeToLiveStatus"] == json!("ENABLED") {
            description["TimeToLiveStatus"] = json!("ENABLING");
        } else {
            *description = json!({ "TimeToLiveStatus": "DISABLING", "AttributeName": state.ttl_was });
        }
    }
    Ok(answer)
}

fn table_not_found(name: &str) -> Failure {
    Failure::new("TableNotFoundException", format!("Table not found: {name}"))
}

pub(super) fn update_backups(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    region.store.write(|store| {
        let state = TableState::settled(region, store, &name)?;
        let mut state = state.ok_or_else(|| table_not_found(&name))?;
        let now = region.clock.now();
        if now < state.active_at + millis(region.rules.backups_delay) {
            let message = format!("Backups are being enabled for the table: {name}. Please retry later");
            return Err(Failure::new("ContinuousBackupsUnavailableException", message));
        }
        let wanted = &body["PointInTimeRecoverySpecification"];
        set_recovery(wanted, &mut state.recovery_since, &mut state.recovery_days, now)?;
        state.save(store, &name)?;
        Ok(backups(state.recovery_since, state.recovery_days))
    })
}

/// Turns point-in-time recovery on or off.
pub(super) fn set_recovery(
    specification: &Value,
    since: &mut Option<i64>,
    kept: &mut Option<i64>,
    now: i64,
) -> Result<(), Failure> {
    let wanted = specification["PointInTimeRecoveryEnabled"].as_bool().ok_or_else(|| {
        Failure::validation("PointInTimeRecoverySpecification: PointInTimeRecoveryEnabled is required")
    })?;
    if let Some(days) = specification["RecoveryPeriodInDays"].as_i64() {
        if !wanted {
            let message = "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.";
            return Err(Failure::validation(message));
        }
        if !(1..=RECOVERY_DAYS).contains(&days) {
            return Err(Failure::validation(format!(
                "1 validation error detected: Value '{days}' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' \
                 failed to satisfy constraint: Member must have value between 1 and {RECOVERY_DAYS}"
            )));
        }
        *kept = Some(days);
    }
    if !wanted {
        *kept = None;
    }
    *since = wanted.then(|| since.unwrap_or(now));
    Ok(())
}

pub(super) fn describe_backups(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_name(&body)?;
    let state = region.store.write(|store| TableState::settled(region, store, &name))?;
    match state {
        Some(state) if state.status(region.clock.now()) != "CREATING" => {
            Ok(backups(state.recovery_since, state.recovery_days))
        }
        _ => Err(table_not_found(&name)),
    }
}

pub(super) fn backups(since: Option<i64>, days: Option<i64>) -> Value {
    let mut recovery = json!({ "PointInTimeRecoveryStatus": "DISABLED" });
    if let Some(since) = since {
        recovery = json!({
            "PointInTimeRecoveryStatus": "ENABLED",
            "RecoveryPeriodInDays": days.unwrap_or(RECOVERY_DAYS),
            "EarliestRestorableDateTime": since / 1000,
            "LatestRestorableDateTime": since / 1000,
        });
    }
    // This status is always ENABLED and does not depend on point-in-time recovery.
    json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": recovery,
    } })
}

/// Returns the table name of an ARN.
fn table_of(region: &Region, body: &Value) -> Result<String, Failure> {
    let arn = body["ResourceArn"].as_str().unwrap_or_default();
    let name = arn.strip_prefix(&region.arn("dynamodb", "table/")).map(|rest| rest.split('/').next().unwrap_or(rest));
    name.map(str::to_owned).ok_or_else(|| {
        Failure::new("AccessDeniedException", format!("User is not authorized to access the resource {arn}"))
    })
}

pub(super) fn change_tags(region: &Region, operation: &str, body: Value) -> Result<Value, Failure> {
    let name = table_of(region, &body)?;
    region.store.write(|store| {
        let state = TableState::settled(region, store, &name)?;
        let mut state = state.ok_or_else(|| not_found(&name))?;
        check_tags(&body["Tags"])?;
        let wanted = tags_in(&body["Tags"]);
        // A request that includes all tags being written is accepted. Source: the measurements of DDB-TABLE-440 to 441 in the lab notes of
        // ack-api-quirks.
        let holds_all = state.tags_in_flight.as_ref().is_some_and(|flight| {
            operation == "TagResource" && flight.iter().all(|(key, value)| wanted.get(key) == Some(value))
        });
        if state.tags_locked(region) && !holds_all {
            let message = format!("Subscriber limit exceeded: Table tags are being updated: {name}");
            return Err(Failure::new("LimitExceededException", message));
        }
        let arn = json!({ "ResourceArn": body["ResourceArn"] });
        let before = tags_in(&call(region, "ListTagsOfResource", arn.clone())?["Tags"]);
        let answer = call(region, operation, body.clone())?;
        if tags_in(&call(region, "ListTagsOfResource", arn)?["Tags"]) != before {
            state.tags_changed_at = Some(region.clock.now());
            state.tags_in_flight = (operation == "TagResource").then_some(wanted);
            state.save(store, &name)?;
        }
        Ok(answer)
    })
}

pub(super) fn tags_in(list: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.as_array().into_iter().flatten().map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}

/// Refuses tags with AWS's prefix. Source: "Tagging restrictions in DynamoDB" in the Amazon DynamoDB Developer Guide.
pub(super) fn check_tags(list: &Value) -> Result<(), Failure> {
    let tags = tags_in(list);
    if tags.keys().any(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(Failure::validation("aws: prefixed tag key names are not allowed for external use."));
    }
    // Source of the characters and lengths: "Tagging restrictions in DynamoDB" in the Amazon DynamoDB Developer Guide; `@` is allowed by
    // all services. The text is not documented.
    let is_allowed = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "+-=._:/@".contains(letter);
    let is_bad = |text: &str, most: usize| text.chars().count() > most || !text.chars().all(is_allowed);
    match tags.iter().find(|(key, value)| key.is_empty() || is_bad(key, 128) || is_bad(value, 256)) {
        Some((key, value)) => Err(Failure::validation(format!(
            "One or more parameter values were invalid: The tag {key}={value} is not valid: keys have 1 to 128 and values up to 256 \
             letters, white space, numbers and + - = . _ : / @"
        ))),
        None => Ok(()),
    }
}

/// Checks the capacity of a new index against the table's billing mode. Source: GlobalSecondaryIndex in the Amazon DynamoDB API Reference;
/// the texts are from issue 246 of awsdocs/amazon-dynamodb-developer-guide and pull request 73 of aws-controllers-k8s/dynamodb-controller.
pub(super) fn check_capacity(mode: &str, index: &Value) -> Result<(), Failure> {
    let is_given = !index["ProvisionedThroughput"].is_null();
    let name = index["IndexName"].as_str().unwrap_or_default();
    match (mode, is_given) {
        ("PAY_PER_REQUEST", true) => Err(Failure::validation(
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when \
             BillingMode is PAY_PER_REQUEST",
        )),
        ("PAY_PER_REQUEST", false) | (_, true) => Ok(()),
        (_, false) => Err(Failure::validation(format!(
            "One or more parameter values were invalid: ProvisionedThroughput is not specified for index: {name}"
        ))),
    }
}

/// The error for a deletion while tags are being written.
pub(super) fn tags_in_use(name: &str) -> Failure {
    let message = format!("Attempt to change a resource which is still in use: Table tags are being updated: {name}");
    Failure::new("ResourceInUseException", message)
}

pub(super) fn list_tags(region: &Region, body: Value) -> Result<Value, Failure> {
    let name = table_of(region, &body)?;
    state::read_state(region, &name)?;
    call(region, "ListTagsOfResource", body)
}

/// Returns the ARN of the key in a request, in any of its forms; `None` is AWS's own key.
pub(super) fn wanted_encryption(
    region: &Region,
    store: &Connection,
    specification: &Value,
) -> Result<Option<String>, Failure> {
    // Source: SSESpecification in the Amazon DynamoDB API Reference.
    if let Some(kind) = specification["SSEType"].as_str().filter(|kind| *kind != "KMS") {
        let message = format!("One or more parameter values were invalid: SSEType {kind} is not supported, use KMS");
        return Err(Failure::validation(message));
    }
    if specification["Enabled"] != json!(true) {
        if !specification["KMSMasterKeyId"].is_null() {
            let message = "One or more parameter values were invalid: KMSMasterKeyId is given and SSE is not enabled";
            return Err(Failure::validation(message));
        }
        return Ok(None);
    }
    match specification["KMSMasterKeyId"].as_str() {
        None => kms::usable(region, store, "alias/aws/dynamodb").map(Some),
        Some(named) => kms::usable(region, store, named).map(Some),
    }
}

/// Changes the encryption. An equal setting also counts towards the four changes a day.
pub(super) fn change_encryption(
    region: &Region,
    store: &Connection,
    state: &mut TableState,
    specification: &Value,
    now: i64,
) -> Result<(), Failure> {
    if state.encryption_changing(region) {
        return Err(Failure::new(
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: The encryption of the table is being updated",
        ));
    }
    state.encryption_changes.retain(|at| TableState::within(Some(*at), DAY, now));
    if state.encryption_changes.len() >= 4 {
        return Err(Failure::new(
            "LimitExceededException",
            "Subscriber limit exceeded: the encryption of a table can be changed four times in 24 hours",
        ));
    }
    let wanted = wanted_encryption(region, store, specification)?;
    replicas::follow_encryption(region, state, wanted.as_deref())?;
    state.encryption_was = std::mem::replace(&mut state.encryption, wanted);
    state.encryption_changes.push(now);
    Ok(())
}

/// Stores the capacity of an index from a request.
pub(super) fn note_capacity(state: &mut TableState, index: &Value) {
    let throughput = &index["ProvisionedThroughput"];
    let units = (throughput["ReadCapacityUnits"].as_i64(), throughput["WriteCapacityUnits"].as_i64());
    if let (Some(name), (Some(read), Some(write))) = (index["IndexName"].as_str(), units) {
        state.capacities.insert(name.to_owned(), (read, write));
    }
}

/// Stores the on-demand limits of an index from a request; -1 removes a limit.
pub(super) fn note_limits(state: &mut TableState, index: &Value) {
    let (Some(name), Some(given)) = (index["IndexName"].as_str(), index["OnDemandThroughput"].as_object()) else {
        return;
    };
    let limits = state.limits.entry(name.to_owned()).or_default();
    for (limit, units) in given.iter().filter_map(|(limit, units)| Some((limit, units.as_i64()?))) {
        if units == -1 {
            limits.remove(limit)
        } else {
            limits.insert(limit.clone(), units)
        };
    }
}

/// Allows a switch to on-demand once in 24 hours, and removes the parts of the request that the emulator stores: the capacities of indexes,
/// and their deletion.
pub(super) fn change_billing(state: &mut TableState, body: &mut Value, now: i64) -> Result<(), Failure> {
    let mut updates = body["GlobalSecondaryIndexUpdates"].as_array().cloned().unwrap_or_default();
    for update in updates.iter().map(|update| &update["Update"]).filter(|update| !update.is_null()) {
        let before = update["IndexName"].as_str().and_then(|name| state.capacities.get(name)).copied();
        note_capacity(state, update);
        note_limits(state, update);
        if before.is_some()
            && !update["ProvisionedThroughput"].is_null()
            && before == update["IndexName"].as_str().and_then(|name| state.capacities.get(name)).copied()
        {
            return Err(Failure::validation(format!(
                "The provisioned throughput for the index {} will not change. The requested value equals the current \
                 value.",
                update["IndexName"].as_str().unwrap_or_default()
            )));
        }
    }
    updates.retain(|update| !update["Create"].is_null());
    if let Some(body) = body.as_object_mut() {
        body.remove("GlobalSecondaryIndexUpdates");
        if !updates.is_empty() {
            body.insert(String::from("GlobalSecondaryIndexUpdates"), Value::Array(updates));
        }
    }
    if body["BillingMode"] != json!("PAY_PER_REQUEST") {
        return Ok(());
    }
    if TableState::within(state.on_demand_since, DAY, now) {
        return Err(Failure::new(
            "LimitExceededException",
            "Subscriber limit exceeded: Update to PayPerRequest mode are limited to once in 24 hours",
        ));
    }
    state.on_demand_since = Some(now);
    state.capacities.clear();
    Ok(())
}

//! Calls to dynoxide by operation name, with conversion of its ARNs.

use dynoxide::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::local::Region;
use crate::local::answer::Failure;

/// The prefix of every ARN that dynoxide generates.
const THEIRS: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// The calls that change a table's metadata.
const CHANGE_TABLES: [&str; 6] =
    ["CreateTable", "UpdateTable", "DeleteTable", "TagResource", "UntagResource", "UpdateTimeToLive"];

/// Makes one call. A call that changes tables is made while the region's store is locked for writing.
pub(super) fn call(region: &Region, operation: &str, body: Value) -> Result<Value, Failure> {
    let db = &region.engine.current().map_err(|error| Failure::internal(&error))?;
    // Only these operations contain ARNs; items are never converted.
    let has_arns = operation.contains("Table") || operation.contains("Resource");
    let own_prefix = region.arn("dynamodb", "");
    let body = if has_arns { replaced(body, &own_prefix, THEIRS) } else { body };
    let answer = match operation {
        "CreateTable" => run(body, |request| db.create_table(request)),
        "DescribeTable" => run(body, |request| db.describe_table(request)),
        "UpdateTable" => run(body, |request| db.update_table(request)),
        "DeleteTable" => run(body, |request| db.delete_table(request)),
        "ListTables" => run(body, |request| db.list_tables(request)),
        "TagResource" => run(body, |request| db.tag_resource(request).map(|_| serde_json::json!({}))),
        "UntagResource" => run(body, |request| db.untag_resource(request).map(|_| serde_json::json!({}))),
        "ListTagsOfResource" => run(body, |request| db.list_tags_of_resource(request)),
        "UpdateTimeToLive" => run(body, |request| db.update_time_to_live(request)),
        "DescribeTimeToLive" => run(body, |request| db.describe_time_to_live(request)),
        "PutItem" => run(body, |request| db.put_item(request)),
        "GetItem" => run(body, |request| db.get_item(request)),
        "DeleteItem" => run(body, |request| db.delete_item(request)),
        "UpdateItem" => run(body, |request| db.update_item(request)),
        "BatchGetItem" => run(body, |request| db.batch_get_item(request)),
        "BatchWriteItem" => run(body, |request| db.batch_write_item(request)),
        "Query" => run(body, |request| db.query(request)),
        "Scan" => run(body, |request| db.scan(request)),
        "TransactWriteItems" => run(body, |request| db.transact_write_items(request)),
        "TransactGetItems" => run(body, |request| db.transact_get_items(request)),
        other => Err(Failure::unsupported(&format!("dynamodb:{other}"))),
    }?;
    if CHANGE_TABLES.contains(&operation) {
        region.engine.note_own_change().map_err(|error| Failure::internal(&error))?;
    }
    Ok(if has_arns { replaced(answer, THEIRS, &own_prefix) } else { answer })
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: Value,
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Value, Failure> {
    let request = serde_json::from_value(body).map_err(|error| unreadable(&error.to_string()))?;
    let answer = call(request).map_err(|error| {
        let body = serde_json::from_str(&error.to_json()).unwrap_or_default();
        Failure::raw(error.status_code(), body)
    })?;
    serde_json::to_value(answer).map_err(|error| Failure::internal(&error.to_string()))
}

/// dynoxide prefixes its parsing errors with their class.
fn unreadable(message: &str) -> Failure {
    let message = message.split(" at line ").next().unwrap_or(message);
    for marker in ["VALIDATION:", "VALIDATION_REQUEST:", "VALIDATION_AS_READ:"] {
        if let Some(rest) = message.strip_prefix(marker) {
            return Failure::validation(rest);
        }
    }
    for marker in ["SERIALIZATION:", "SERIALIZATION_AS_READ:"] {
        if let Some(rest) = message.strip_prefix(marker) {
            return Failure::new("SerializationException", rest);
        }
    }
    Failure::validation(message)
}

/// Replaces the prefix of every string in a value that starts with it.
pub(super) fn replaced(value: Value, from: &str, to: &str) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix(from) {
            Some(rest) => Value::String(format!("{to}{rest}")),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(|item| replaced(item, from, to)).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, replaced(value, from, to))).collect(),
        other => other,
    }
}

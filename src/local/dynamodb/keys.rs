//! Index keys with several attributes. dynoxide supports only the first of each part; the others are stored and shown by the emulator.
//!
//! Source of the rules: DDB-TABLE-442 of the lab notes of ack-api-quirks.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::state::TableState;
use crate::local::answer::Failure;

/// The maximum number of attributes of a part.
const LIMIT: usize = 4;

fn invalid(what: &str) -> Failure {
    Failure::validation(format!("One or more parameter values were invalid: {what}"))
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.as_array().into_iter().flatten().filter_map(|element| element["AttributeName"].as_str())
}

/// Refuses a global index with the name of a local one: index names are unique within a table (CreateGlobalSecondaryIndexAction in the
/// Amazon DynamoDB API Reference).
pub(super) fn check_names<'a>(mut global: impl Iterator<Item = &'a Value>, local: &Value) -> Result<(), Failure> {
    let is_local = |name: &str| local.as_array().into_iter().flatten().any(|index| index["IndexName"] == name);
    match global.find_map(|index| index["IndexName"].as_str().filter(|name| is_local(name))) {
        None => Ok(()),
        Some(name) => Err(invalid(&format!("Duplicate index name: {name}"))),
    }
}

/// Stores the parts of a request's keys that dynoxide does not support, and removes them from the request. `known` are the attributes that
/// dynoxide has already.
pub(super) fn keep(state: &mut TableState, body: &mut Value, known: &[String]) -> Result<(), Failure> {
    let mut used: BTreeSet<String> =
        known.iter().cloned().chain(names(&body["KeySchema"]).map(str::to_owned)).collect();
    for local in body["LocalSecondaryIndexes"].as_array().into_iter().flatten() {
        used.extend(names(&local["KeySchema"]).map(str::to_owned));
    }
    let definitions = body["AttributeDefinitions"].clone();
    let type_of = |name: &str| {
        let all = definitions.as_array().into_iter().flatten();
        all.filter(|one| one["AttributeName"] == name).find_map(|one| one["AttributeType"].as_str().map(str::to_owned))
    };
    let Some(body) = body.as_object_mut() else { return Ok(()) };
    let created = body.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut).into_iter().flatten();
    for index in created {
        keep_first(state, index, &mut used, &type_of)?;
    }
    let updates = body.get_mut("GlobalSecondaryIndexUpdates").and_then(Value::as_array_mut).into_iter().flatten();
    for create in updates.filter_map(|update| update.get_mut("Create")).filter(|create| !create.is_null()) {
        keep_first(state, create, &mut used, &type_of)?;
    }
    let further = &state.further_attributes;
    if let Some(definitions) = body.get_mut("AttributeDefinitions").and_then(Value::as_array_mut) {
        definitions.retain(|one| {
            one["AttributeName"].as_str().is_none_or(|name| used.contains(name) || !further.contains_key(name))
        });
    }
    Ok(())
}

fn keep_first(
    state: &mut TableState,
    index: &mut Value,
    used: &mut BTreeSet<String>,
    type_of: &impl Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let Some(name) = index["IndexName"].as_str().map(str::to_owned) else { return Ok(()) };
    state.key_schemas.remove(&name);
    let schema = index["KeySchema"].clone();
    let elements = schema.as_array().cloned().unwrap_or_default();
    let of = |role: &str| elements.iter().filter(|element| element["KeyType"] == role).cloned().collect::<Vec<_>>();
    let parts = [("HASH", of("HASH")), ("RANGE", of("RANGE"))];
    if parts.iter().all(|(_, part)| part.len() <= 1) {
        used.extend(names(&schema).map(str::to_owned));
        return Ok(());
    }
    if let Some((role, _)) = parts.iter().find(|(_, part)| part.len() > LIMIT) {
        return Err(invalid(&format!("The KeySchema exceeds the maximum allowed number of {role} key attributes")));
    }
    let [(_, hash), (_, range)] = parts;
    if elements.iter().skip(hash.len()).any(|element| element["KeyType"] == "HASH") {
        return Err(invalid("All HASH key attributes must precede RANGE key attributes in the KeySchema"));
    }
    let mut seen = BTreeSet::new();
    if names(&schema).any(|name| !seen.insert(name.to_owned())) {
        return Err(Failure::validation("The KeySchema contains multiple key attributes with the same name"));
    }
    for name in names(&schema) {
        let Some(kind) = type_of(name) else {
            return Err(Failure::validation("Invalid KeySchema: Some index key attribute have no definition"));
        };
        state.further_attributes.insert(name.to_owned(), kind);
    }
    let first: Vec<Value> = hash.into_iter().take(1).chain(range.into_iter().take(1)).collect();
    used.extend(names(&json!(first)).map(str::to_owned));
    index["KeySchema"] = json!(first);
    state.key_schemas.insert(name, schema);
    Ok(())
}

/// Adds the keys to dynoxide's description of the table.
pub(super) fn show(state: &TableState, table: &mut Value) {
    let mut shown = BTreeSet::new();
    for index in table["GlobalSecondaryIndexes"].as_array_mut().into_iter().flatten() {
        if let Some(schema) = index["IndexName"].as_str().and_then(|name| state.key_schemas.get(name)) {
            index["KeySchema"] = schema.clone();
            shown.extend(names(schema).map(str::to_owned));
        }
    }
    let Some(definitions) = table["AttributeDefinitions"].as_array_mut() else { return };
    for name in shown {
        if !definitions.iter().any(|one| one["AttributeName"] == name.as_str()) {
            let kind = state.further_attributes.get(&name);
            definitions.push(json!({ "AttributeName": name, "AttributeType": kind }));
        }
    }
}

//! Streams: whether a table has one, and the contents of its records. No records are written.
//!
//! Source of the rules: DDB-TABLE-050 and 442 of the lab notes of ack-api-quirks.

use serde_json::{Value, json};

use super::engine::call;
use crate::local::Region;
use crate::local::answer::Failure;

fn invalid(what: &str) -> Failure {
    Failure::validation(format!("One or more parameter values were invalid: {what}"))
}

/// Checks the stream in the creation of a table. dynoxide checks one that is off.
pub(super) fn check_creation(body: &Value) -> Result<(), Failure> {
    let wanted = &body["StreamSpecification"];
    if wanted["StreamEnabled"] == json!(true) && wanted["StreamViewType"].is_null() {
        return Err(invalid("Table is being created with a stream enabled, UpdateViewType is required"));
    }
    check_view(wanted)
}

/// Checks a change of a table's stream.
pub(super) fn check_update(region: &Region, name: &str, body: &Value) -> Result<(), Failure> {
    let wanted = &body["StreamSpecification"];
    if wanted.is_null() {
        return Ok(());
    }
    let described = call(region, "DescribeTable", json!({ "TableName": name }))?;
    let is_on = described["Table"]["StreamSpecification"]["StreamEnabled"] == json!(true);
    match (wanted["StreamEnabled"] == json!(true), wanted["StreamViewType"].is_null()) {
        (true, true) => Err(invalid("If stream is being enabled then UpdateViewType is required")),
        (false, false) => Err(invalid("If stream is being disabled, then UpdateViewType must not be specified")),
        (true, false) if is_on => {
            Err(Failure::validation(format!("Table already has an enabled stream: TableName: {name}")))
        }
        (false, true) if !is_on => {
            Err(Failure::validation(format!("Table has no stream to disable: TableName: {name}")))
        }
        (true, false) | (false, true) => check_view(wanted),
    }
}

fn check_view(wanted: &Value) -> Result<(), Failure> {
    let views = ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];
    match wanted["StreamViewType"].as_str() {
        Some(view) if !views.contains(&view) => Err(Failure::validation(format!(
            "1 validation error detected: Value '{view}' at 'streamSpecification.streamViewType' failed to satisfy \
             constraint: Member must satisfy enum value set: [NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]"
        ))),
        _ => Ok(()),
    }
}

//! The JSON documents: one per command, each with its `format_version`.

use serde::Serialize;
use serde_json::{Value, json};

use super::sheet::{Sheet, unified};
use crate::change::FieldValue;
use crate::diagnostic::Fault;
use crate::error::Error;
use crate::reconcile::{ApplyReport, Plan, guard};
use crate::review::Review;

/// The version of every document's format. It changes when a reader could break.
pub const FORMAT_VERSION: u32 = 1;

/// Returns a document's text, with nothing in it that a terminal would obey.
pub fn text(document: &Value) -> String {
    super::escape::escape_json(&serde_json::to_string_pretty(document).unwrap_or_default()) + "\n"
}

/// Returns a document of one command.
pub fn document(command: &str, body: impl Serialize) -> Value {
    let mut document = json!({ "format_version": FORMAT_VERSION, "command": command });
    if let (Value::Object(document), Ok(Value::Object(body))) = (&mut document, serde_json::to_value(body)) {
        document.extend(body);
    }
    document
}

/// Returns a plan, as a part of a document.
pub fn plan_part(plan: &Plan, review: &Review) -> Value {
    let sheet = Sheet::of(plan, review);
    let mut body = serde_json::to_value(plan).unwrap_or_default();
    for (resource, planned) in body["resources"].as_array_mut().into_iter().flatten().zip(&plan.resources) {
        let remarks = review.remarks(&planned.address).and_then(|remarks| serde_json::to_value(remarks).ok());
        if let (Value::Object(resource), Some(Value::Object(remarks))) = (&mut *resource, remarks) {
            resource.extend(remarks);
        }
        for (change, planned_change) in resource["changes"].as_array_mut().into_iter().flatten().zip(&planned.changes) {
            if let (FieldValue::Document(live), FieldValue::Document(desired)) =
                (&planned_change.sides.live, &planned_change.sides.desired)
            {
                let origin = planned.origin.as_deref().unwrap_or("desired");
                change["diff"] = Value::String(unified(live, desired, origin));
            }
        }
    }
    let attention = |one: &super::sheet::Attention| json!({ "what": one.what.word(), "address": one.about, "message": one.words, "source": one.place });
    body["attention"] = sheet.attention.iter().map(attention).collect();
    body["estimate"] = serde_json::to_value(plan.estimate()).unwrap_or_default();
    body["summary"] = serde_json::to_value(plan.summary()).unwrap_or_default();
    body["has_changes"] = Value::Bool(plan.has_differences());
    body["needs_force"] = Value::Bool(guard::Extent::of(plan).is_unusual());
    body
}

/// Returns the document of an apply.
pub fn applied(command: &str, (plan, review): (&Plan, &Review), report: &ApplyReport) -> Value {
    document(command, applied_part(plan, review, report))
}

/// Returns the document of a command that worked on several targets.
pub fn targets(command: &str, targets: Vec<Value>) -> Value {
    document(command, json!({ "targets": targets }))
}

/// Returns one target's plan and what became of it.
pub fn applied_part(plan: &Plan, review: &Review, report: &ApplyReport) -> Value {
    json!({ "plan": plan_part(plan, review), "result": report })
}

/// Returns one target's part of a document, under its name.
pub fn named(name: Option<&str>, body: Value) -> Value {
    let mut part = json!({ "name": name });
    if let (Value::Object(part), Value::Object(body)) = (&mut part, body) {
        part.extend(body);
    }
    part
}

/// Returns one fault.
pub fn fault(fault: &Fault) -> Value {
    json!({
        "path": fault.source.path,
        "line": fault.source.line(fault.span.start),
        "message": fault.message,
        "help": fault.help,
    })
}

/// Returns the document of a run that came to nothing.
pub fn error(command: &str, error: &Error) -> Value {
    document(command, error_part(error))
}

/// Returns what came to nothing, as a part of a document.
pub fn error_part(error: &Error) -> Value {
    let faults: Vec<Value> = match error {
        Error::Faults(faults) => faults.iter().map(fault).collect(),
        _ => Vec::new(),
    };
    json!({ "error": { "code": error.code(), "message": error.to_string(), "hint": error.hint(), "faults": faults } })
}

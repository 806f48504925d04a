//! The JSON documents: one per command, each with its `format_version`.

use serde::Serialize;
use serde_json::{Value, json};

use super::text;
use crate::change::FieldValue;
use crate::diagnostic::Fault;
use crate::error::Error;
use crate::reconcile::{ApplyReport, Plan};

/// The version of every document's format. It changes when a reader could break.
pub const FORMAT_VERSION: u32 = 1;

/// Returns a document of one command.
pub fn document(command: &str, body: impl Serialize) -> Value {
    let mut document = json!({ "format_version": FORMAT_VERSION, "command": command });
    if let (Value::Object(document), Ok(Value::Object(body))) = (&mut document, serde_json::to_value(body)) {
        document.extend(body);
    }
    document
}

/// Returns the document of a plan.
pub fn plan(command: &str, plan: &Plan) -> Value {
    document(command, plan_body(plan))
}

fn plan_body(plan: &Plan) -> Value {
    let mut body = serde_json::to_value(plan).unwrap_or_default();
    for (resource, planned) in body["resources"].as_array_mut().into_iter().flatten().zip(&plan.resources) {
        for (change, planned_change) in resource["changes"].as_array_mut().into_iter().flatten().zip(&planned.changes) {
            if let (FieldValue::Document(live), FieldValue::Document(desired)) =
                (&planned_change.sides.live, &planned_change.sides.desired)
            {
                let origin = planned.origin.as_deref().unwrap_or("desired");
                change["diff"] = Value::String(text::unified(live, desired, origin));
            }
        }
    }
    body["summary"] = serde_json::to_value(plan.summary()).unwrap_or_default();
    body["has_changes"] = Value::Bool(plan.has_differences());
    body
}

/// Returns the document of an apply.
pub fn applied(command: &str, plan: &Plan, report: &ApplyReport) -> Value {
    document(command, json!({ "plan": plan_body(plan), "result": report }))
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
    let faults: Vec<Value> = match error {
        Error::Faults(faults) => faults.iter().map(fault).collect(),
        _ => Vec::new(),
    };
    let message = error.to_string();
    document(command, json!({ "error": { "message": message, "hint": error.hint(), "faults": faults } }))
}

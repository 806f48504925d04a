//! The JSON documents: one per command, each with its `format_version`.

use serde::Serialize;
use serde_json::{Value, json};

use super::contents::unified;
use super::detail::Detail;
use super::sheet::Sheet;
use super::total::Sums;
use crate::change::FieldValue;
use crate::diagnostic::Fault;
use crate::error::Error;
use crate::reconcile::{Action, ApplyReport, Plan, ResourcePlan, guard};
use crate::review::Review;

/// The version of the format of every document. It changes with each incompatible change.
pub const FORMAT_VERSION: u32 = 1;

/// A document, or the reason why there is none. An empty or incomplete document would look like a result.
pub type Document = Result<Value, Error>;

/// Returns the text of a document, with the characters escaped that a terminal interprets.
pub fn text(document: &Value) -> String {
    super::escape::escape_json(&format!("{document:#}")) + "\n"
}

/// Returns a value as JSON.
///
/// # Errors
///
/// Fails when it cannot be written as JSON.
pub fn value(of: impl Serialize) -> Document {
    serde_json::to_value(of).map_err(Error::unwritable)
}

/// Returns a document of one command.
///
/// # Errors
///
/// Fails when the body cannot be written as JSON, or is not an object.
pub fn document(command: &str, body: impl Serialize) -> Document {
    merged(json!({ "format_version": FORMAT_VERSION, "command": command }), value(body)?)
}

/// Returns an object with the fields of another one added.
fn merged(mut head: Value, body: Value) -> Document {
    let (Value::Object(fields), Value::Object(body)) = (&mut head, body) else {
        let message = String::from("the body of a document is no object");
        return Err(Error::Unwritable { message, source: None });
    };
    fields.extend(body);
    Ok(head)
}

/// Replaces the secret parts of a resource's steps and layout.
fn mask(resource: &mut Value, planned: &ResourcePlan) -> Result<(), Error> {
    if let Some(shown) = planned.layout.as_ref().and_then(|layout| layout.shown()) {
        resource["layout"] = value(shown)?;
    }
    let if_absent = match &planned.action {
        Action::Unknown { if_absent } => if_absent.as_slice(),
        _ => &[],
    };
    for (name, steps) in
        [("steps", planned.steps.as_slice()), ("withheld", &planned.withheld), ("if_absent", if_absent)]
    {
        for (index, shown) in steps.iter().enumerate().filter_map(|(index, step)| Some((index, step.shown()?))) {
            resource[name][index] = value(shown)?;
        }
    }
    Ok(())
}

/// Returns a plan as a part of a document.
///
/// # Errors
///
/// Fails when a part of it cannot be written as JSON.
pub fn plan_part(plan: &Plan, review: &Review) -> Document {
    let sheet = Sheet::of(plan, review, Detail::All);
    let mut body = value(plan)?;
    for (resource, planned) in body["resources"].as_array_mut().into_iter().flatten().zip(&plan.resources) {
        mask(resource, planned)?;
        let remarks = review.remarks(&planned.address).map(value).transpose()?;
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
    let attention = |one: &super::sheet::Attention| json!({ "what": one.what.word(), "address": one.about, "message": one.text, "source": one.place });
    body["attention"] = sheet.attention.iter().map(attention).collect();
    body["estimate"] = value(plan.estimate())?;
    body["summary"] = value(plan.summary())?;
    body["has_changes"] = Value::Bool(plan.has_differences());
    body["needs_force"] = Value::Bool(guard::Extent::of(plan).is_unusual());
    Ok(body)
}

/// Returns the document of an apply.
///
/// # Errors
///
/// Fails when a part of it cannot be written as JSON.
pub fn applied(command: &str, part: Document) -> Document {
    document(command, part?)
}

/// Returns the document of a command for several targets.
///
/// # Errors
///
/// Fails when a part of it cannot be written as JSON.
pub fn targets(command: &str, targets: impl IntoIterator<Item = Document>) -> Document {
    let targets: Vec<Value> = targets.into_iter().collect::<Result<_, _>>()?;
    document(command, json!({ "targets": targets }))
}

/// Returns such a document with the sums over all targets.
///
/// # Errors
///
/// Fails when there is no such document.
pub(super) fn with_total(document: Document, total: &Sums) -> Document {
    merged(document?, json!({ "total": value(total)? }))
}

/// Returns the plan of one target and the result of its apply.
///
/// # Errors
///
/// Fails when a part of it cannot be written as JSON.
pub fn applied_part(plan: &Plan, review: &Review, report: &ApplyReport) -> Document {
    Ok(json!({ "plan": plan_part(plan, review)?, "result": value(report)? }))
}

/// Returns one target's part of a document, under its name.
///
/// # Errors
///
/// Fails when there is no such part.
pub fn named(name: Option<&str>, body: Document) -> Document {
    merged(json!({ "name": name }), body?)
}

/// The same with the position of the target in the manifest.
///
/// # Errors
///
/// Fails when there is no such part.
pub fn target(name: Option<&str>, index: Option<usize>, body: Document) -> Document {
    match index {
        Some(index) => merged(json!({ "name": name, "index": index }), body?),
        None => named(name, body),
    }
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

/// Returns the document of a run that failed.
///
/// # Errors
///
/// None in practice: it consists of texts.
pub fn error(command: &str, error: &Error) -> Document {
    document(command, error_part(error))
}

/// Returns an error as a part of a document.
pub fn error_part(error: &Error) -> Value {
    let faults: Vec<Value> = match error {
        Error::Faults(faults) => faults.iter().map(fault).collect(),
        _ => Vec::new(),
    };
    let hint = error.hint();
    // `hint` is the former name of `help`, kept for compatibility.
    json!({ "error": {
        "code": error.code(),
        "message": error.to_string(),
        "help": hint,
        "hint": hint,
        "causes": error.causes(),
        "faults": faults,
    } })
}

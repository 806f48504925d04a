//! Merges the JSON documents of several shards into one report. The documents are untrusted input: each part must parse as a plan,
//! a status or an apply.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::detail::Detail;
use super::output::{Body, Part, Shown};
use super::status::Status;
use crate::code::Code;
use crate::error::Error;
use crate::kind::Layout;
use crate::reconcile::guard::Refusal;
use crate::reconcile::{ApplyReport, Plan};
use crate::review::{Remarks, Review};

/// The report of several shards.
#[derive(Debug)]
pub struct Merged {
    command: String,
    parts: Vec<Of>,
}

#[derive(Debug)]
struct Of {
    name: String,
    index: usize,
    body: Result<Read, Error>,
}

#[derive(Debug)]
enum Read {
    Plan(Box<Plan>, Review),
    Applied(Box<(Plan, Review, ApplyReport)>),
    Status(Box<Status>),
}

/// Merges documents, each with the name of its file.
///
/// # Errors
///
/// Fails with the name of the file if a document cannot be parsed, is of another command or repeats a target, or if a shard is
/// missing.
pub fn merge(documents: &[(String, Value)]) -> Result<Merged, String> {
    let mut parts: Vec<Of> = Vec::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut command: Option<String> = None;
    for (file, document) in documents {
        let of = document["command"].as_str().filter(|_| document["format_version"] == super::json::FORMAT_VERSION);
        let of = of.filter(|of| ["plan", "status", "apply"].contains(of));
        let of = of.ok_or_else(|| format!("{file}: this is no plan, status or apply with --json"))?;
        if command.get_or_insert_with(|| of.to_owned()) != of {
            return Err(format!("{file}: this is from the command {of}, and others are from another command"));
        }
        if let Some((index, count)) = document["shard"].as_str().and_then(|shard| shard.split_once('/'))
            && !shards.entry(count.to_owned()).or_default().insert(index.to_owned())
        {
            return Err(format!("{file}: the shard {index}/{count} exists twice"));
        }
        let targets = document["targets"].as_array();
        let targets = targets.ok_or_else(|| format!("{file}: it has no targets to merge"))?;
        for target in targets {
            let bad = |why: String| format!("{file}: a target cannot be read: {why}");
            let name = target["name"].as_str().ok_or_else(|| bad(String::from("it has no name")))?;
            if let Some(other) = names.insert(name.to_owned(), file) {
                return Err(format!("{file}: the target {name} is in {other} too"));
            }
            let index = target["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            let body = match (&target["error"], of) {
                (Value::Null, "plan") => plan(target).map(|(plan, review)| Ok(Read::Plan(Box::new(plan), review))),
                (Value::Null, "apply") => applied(target).map(|applied| Ok(Read::Applied(Box::new(applied)))),
                (Value::Null, _) => Status::read(target).map(|status| Ok(Read::Status(Box::new(status)))),
                (error, _) => Ok(Err(failure(error))),
            };
            parts.push(Of { name: name.to_owned(), index, body: body.map_err(|error| bad(error.to_string()))? });
        }
    }
    for (count, found) in &shards {
        let all: BTreeSet<String> = (1..=count.parse::<u64>().unwrap_or(0)).map(|index| index.to_string()).collect();
        if *found != all || shards.len() > 1 {
            let missing: Vec<&str> = all.difference(found).map(String::as_str).collect();
            return Err(format!("not all of the {count} shards exist: missing {}", missing.join(", ")));
        }
    }
    let command = command.ok_or_else(|| String::from("there is no document to merge"))?;
    parts.sort_by(|one, other| (one.index, &one.name).cmp(&(other.index, &other.name)));
    Ok(Merged { command, parts })
}

fn applied(target: &Value) -> Result<(Plan, Review, ApplyReport), serde_json::Error> {
    let (plan, review) = plan(&target["plan"])?;
    Ok((plan, review, serde_json::from_value(target["result"].clone())?))
}

fn plan(target: &Value) -> Result<(Plan, Review), serde_json::Error> {
    let mut plan: Plan = serde_json::from_value(target.clone())?;
    let mut review = BTreeMap::new();
    for (resource, value) in plan.resources.iter_mut().zip(target["resources"].as_array().into_iter().flatten()) {
        if !value["layout"].is_null() {
            resource.layout = Some(Box::new(Layout::read(resource.address.kind, value["layout"].clone())?));
        }
        review.insert(resource.address.clone(), serde_json::from_value::<Remarks>(value.clone())?);
    }
    Ok((plan, Review::from_remarks(review)))
}

/// Returns the error of a target, as far as the document contains it.
fn failure(error: &Value) -> Error {
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let code = Code::ALL.iter().copied().find(|code| code.to_string() == text("code")).unwrap_or(Code::Internal);
    Error::Refused(Refusal { code, message: text("message"), details: Vec::new(), hint: text("hint") })
}

impl Merged {
    /// Returns it in the form that all formats show.
    pub fn shown(&self) -> Shown<'_> {
        fn body(read: &Read) -> Body<'_> {
            match read {
                Read::Plan(plan, review) => Body::Plan(plan, review),
                Read::Applied(applied) => Body::Applied(&applied.0, &applied.1, &applied.2),
                Read::Status(status) => Body::Status(status),
            }
        }
        let parts = self.parts.iter().map(|of| Part {
            name: Some(&of.name),
            index: Some(of.index),
            body: of.body.as_ref().map(body),
        });
        Shown {
            command: &self.command,
            preface: None,
            extra: Vec::new(),
            parts: parts.collect(),
            detail: Detail::Changes,
        }
    }
}

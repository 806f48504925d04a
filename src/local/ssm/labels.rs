//! Labels of versions. Source: LabelParameterVersion and `UnlabelParameterVersion` in the Systems Manager API Reference.

use serde::Deserialize;
use serde_json::{Value, json};

use super::stored::{Reference, Stored};
use super::{not_found, version_not_found};
use crate::local::Region;
use crate::local::answer::Failure;

/// The maximum number of labels of a version.
const MAX: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Label {
    name: String,
    parameter_version: Option<i64>,
    labels: Vec<String>,
}

fn is_valid(label: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let start = label.to_ascii_lowercase();
    let reserved = start.starts_with("aws") || start.starts_with("ssm");
    let digit = label.starts_with(|first: char| first.is_ascii_digit());
    !label.is_empty() && label.len() <= 100 && label.chars().all(inner) && !digit && !reserved
}

/// Returns the version of a request.
fn wanted(region: &Region, store: &rusqlite::Connection, request: &Label) -> Result<Stored, Failure> {
    let (reference, _) = Reference::parse(region, &request.name);
    let latest = reference.latest(store)?.ok_or_else(|| not_found(&request.name))?;
    let Some(version) = request.parameter_version else { return Ok(latest) };
    let found = Stored::version(store, &latest.name, version)?;
    found.ok_or_else(|| version_not_found(&version.to_string(), &request.name))
}

/// Adds labels to a version. A label of another version moves.
pub(super) fn label(region: &Region, request: Label) -> Result<Value, Failure> {
    region.store.write(|store| {
        let mut stored = wanted(region, store, &request)?;
        let (valid, invalid): (Vec<String>, Vec<String>) =
            request.labels.iter().cloned().partition(|label| is_valid(label));
        let new: Vec<String> = valid.into_iter().filter(|label| !stored.settings.labels.contains(label)).collect();
        if stored.settings.labels.len() + new.len() > MAX {
            let message = format!(
                "A parameter version can have maximum {MAX} labels. Move one or more labels to another version and try again."
            );
            return Err(Failure::new("ParameterVersionLabelLimitExceeded", message));
        }
        for label in &new {
            if let Some(mut other) = Stored::labeled(store, &stored.name, label)? {
                other.settings.labels.retain(|own| own != label);
                other.save(store)?;
            }
        }
        stored.settings.labels.extend(new);
        stored.save(store)?;
        Ok(json!({ "InvalidLabels": invalid, "ParameterVersion": stored.version }))
    })
}

pub(super) fn unlabel(region: &Region, request: Label) -> Result<Value, Failure> {
    region.store.write(|store| {
        let mut stored = wanted(region, store, &request)?;
        let (gone, unknown): (Vec<String>, Vec<String>) =
            request.labels.iter().cloned().partition(|label| stored.settings.labels.contains(label));
        stored.settings.labels.retain(|own| !gone.contains(own));
        stored.save(store)?;
        Ok(json!({ "RemovedLabels": gone, "InvalidLabels": unknown }))
    })
}

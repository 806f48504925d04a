//! A saved plan: the plan itself, what it was made of, and a digest that shows whether someone changed it since.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::{Address, DesiredResource};
use crate::reconcile::{Pass, Plan};
use crate::resource::digest;
use crate::review::Review;

/// The version of the file's format.
pub const FORMAT_VERSION: u32 = 1;
/// What the file says it is.
const KIND: &str = "sentinel plan";
/// The version of this tool. Steps mean what the version that planned them means by them.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A plan in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanFile {
    pub format_version: u32,
    pub kind: String,
    pub tool_version: String,
    pub manifest: Origin,
    /// One for each target.
    pub targets: Vec<SavedTarget>,
}

/// The manifest a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub path: String,
    /// `sha256:…` of its text.
    pub digest: String,
}

/// One target's plan, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTarget {
    pub connection: SavedConnection,
    #[serde(flatten)]
    pub plan: Plan,
    /// What was desired: it is looked at again before the plan is carried out, and after.
    pub desired: Vec<DesiredResource>,
    /// What there was to say of it, for whoever looks at it later.
    #[serde(default)]
    pub review: Review,
}

/// With whose credentials a target is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedConnection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_profile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// The folder of the embedded AWS, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
}

impl SavedTarget {
    /// Gives each resource of the plan the layout of what is desired.
    fn lay_out(&mut self) {
        let layouts: HashMap<&Address, &DesiredResource> =
            self.desired.iter().map(|desired| (desired.address(), desired)).collect();
        for resource in &mut self.plan.resources {
            resource.layout = layouts.get(&resource.address).and_then(|desired| desired.layout()).map(Box::new);
        }
    }

    /// Returns a pass as it is saved.
    pub fn new(connection: SavedConnection, pass: &Pass, review: &Review) -> Self {
        Self { connection, plan: pass.plan.clone(), desired: pass.desired.clone(), review: review.clone() }
    }
}

/// Why a file is no plan that could be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("it is not a saved plan (a manifest is applied with -f)")]
    NotAPlan,
    #[error("its format is version {found}, and this sentinel reads version {FORMAT_VERSION}")]
    OtherFormat { found: u64 },
    #[error("it was made by sentinel {found}, and this is sentinel {TOOL_VERSION}")]
    OtherVersion { found: String },
    #[error("it was changed after it was made: its digest is not that of its text")]
    Edited,
    #[error("it cannot be read: {why}")]
    Unreadable { why: String },
}

/// Returns the digest of a document without its own digest. How it is spaced does not matter, what it says does.
fn digest_of(document: &Value) -> String {
    let mut rest = document.clone();
    if let Some(rest) = rest.as_object_mut() {
        rest.remove("digest");
    }
    digest(&rest.to_string())
}

impl PlanFile {
    /// Returns the file that holds these plans.
    pub fn new(manifest: Origin, targets: Vec<SavedTarget>) -> Self {
        let (kind, tool_version) = (KIND.to_owned(), TOOL_VERSION.to_owned());
        Self { format_version: FORMAT_VERSION, kind, tool_version, manifest, targets }
    }

    /// Returns its text.
    ///
    /// # Errors
    ///
    /// None that could happen: the plan is plain data.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut document = serde_json::to_value(self)?;
        document["digest"] = Value::String(digest_of(&document));
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// Says why it could not be carried out.
    pub fn read(text: &str) -> Result<Self, Unusable> {
        let document: Value = serde_json::from_str(text).map_err(|_| Unusable::NotAPlan)?;
        if !is_plan(&document) {
            return Err(Unusable::NotAPlan);
        }
        match document["format_version"].as_u64() {
            Some(found) if found == u64::from(FORMAT_VERSION) => {}
            found => return Err(Unusable::OtherFormat { found: found.unwrap_or(0) }),
        }
        match document["tool_version"].as_str() {
            Some(TOOL_VERSION) => {}
            found => return Err(Unusable::OtherVersion { found: found.unwrap_or("unknown").to_owned() }),
        }
        if document["digest"].as_str() != Some(&digest_of(&document)) {
            return Err(Unusable::Edited);
        }
        let mut file: Self =
            serde_json::from_value(document).map_err(|error| Unusable::Unreadable { why: error.to_string() })?;
        file.targets.iter_mut().for_each(SavedTarget::lay_out);
        Ok(file)
    }

    /// Returns whether a text is a saved plan, of whatever version: one that a newer plan may replace.
    pub fn is_one(text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|document| is_plan(&document))
    }
}

fn is_plan(document: &Value) -> bool {
    document["kind"] == KIND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> PlanFile {
        PlanFile::new(Origin { path: String::from("sentinel.toml"), digest: digest("x") }, Vec::new())
    }

    #[test]
    fn a_plan_is_read_back_however_it_is_spaced() {
        let text = file().to_text().unwrap();
        assert_eq!(PlanFile::read(&text), Ok(file()));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(PlanFile::read(&value.to_string()), Ok(file()));
        assert!(PlanFile::is_one(&text));
    }

    #[test]
    fn what_is_no_plan_of_this_version_is_told_apart() {
        let text = file().to_text().unwrap();
        let version = format!("\"tool_version\": \"{TOOL_VERSION}\"");
        assert_eq!(PlanFile::read("[aws]"), Err(Unusable::NotAPlan));
        assert_eq!(PlanFile::read("{}"), Err(Unusable::NotAPlan));
        let other = text.replace("\"format_version\": 1", "\"format_version\": 2");
        assert_eq!(PlanFile::read(&other), Err(Unusable::OtherFormat { found: 2 }));
        let other = text.replace(&version, "\"tool_version\": \"9.9.9\"");
        assert_eq!(PlanFile::read(&other), Err(Unusable::OtherVersion { found: String::from("9.9.9") }));
        assert_eq!(PlanFile::read(&text.replace("sentinel.toml", "other.toml")), Err(Unusable::Edited));
    }
}

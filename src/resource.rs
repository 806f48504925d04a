//! The kinds of resource sentinel reconciles, and what all kinds have in common.
//!
//! A kind is one file (or folder) below this module: its state, its diff, its steps, its AWS calls. The enums here
//! list the kinds; a `match` that forgets one does not compile.

pub mod call;
pub mod caller;
pub mod policy_parameter;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::change::{FieldChange, FieldValue, Takes};
use call::Operation;
use policy_parameter::{PolicyParameter, PolicyStep};
use table::{Table, TableStep};

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The kinds of resource, in the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    PolicyParameter,
    Table,
}

impl Kind {
    /// Every kind, in the order in which they are applied.
    pub const ALL: [Self; 2] = [Self::PolicyParameter, Self::Table];
}

/// A resource's place in the manifest: `profiles.dev`, `tables.approvals`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub kind: Kind,
    pub key: String,
}

impl Address {
    /// Returns the address of a profile's policy.
    pub fn profile(key: impl Into<String>) -> Self {
        Self { kind: Kind::PolicyParameter, key: key.into() }
    }

    /// Returns the address of a table.
    pub fn table(key: impl Into<String>) -> Self {
        Self { kind: Kind::Table, key: key.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = match self.kind {
            Kind::PolicyParameter => "profiles",
            Kind::Table => "tables",
        };
        write!(formatter, "{section}.{}", self.key)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What should be: one resource of the manifest.
///
/// `managed` holds what the manifest says, `None` where it says nothing; only that is ever compared. `initial` holds
/// what a new one is created with: the managed fields, and a default for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired<T> {
    pub address: Address,
    /// The name in AWS.
    pub name: String,
    /// What people call it: `dev`, `Break-Glass`.
    pub label: String,
    /// Where its content comes from: `default-deny`, `policies/dev.yaml`.
    pub origin: Option<String>,
    pub managed: T,
    pub initial: T,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    Absent,
    Present(Live<T>),
    /// It could not be read at all.
    Unknown(Gap),
}

/// A resource that is live, in the shape of the desired one: `None` where the field was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live<T> {
    pub state: T,
    pub facts: Facts,
    /// The fields that could not be read.
    pub gaps: Vec<Gap>,
}

/// What is shown of a live resource and never compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The version of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it was last changed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The status of a table, in AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The field, or nothing when it is the whole resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The IAM action that reads it, such as `dynamodb:DescribeTable`.
    pub action: String,
    /// Whether the permission is missing; otherwise the call failed in another way.
    pub denied: bool,
    /// What AWS said.
    pub message: String,
}

impl Gap {
    /// Returns the gap that a failed read leaves.
    pub fn new(path: Option<&str>, error: &call::CallError) -> Self {
        Self {
            path: path.map(str::to_owned),
            action: error.operation.action(),
            denied: error.class == call::Class::Denied,
            message: error.to_string(),
        }
    }
}

/// A desired resource and what was found of it; both sides are of one kind by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    pub desired: Desired<T>,
    pub observed: Observed<T>,
}

/// A desired resource of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are as many as a manifest has sections: a box would save nothing")]
pub enum DesiredResource {
    Policy(Desired<PolicyParameter>),
    Table(Desired<Table>),
}

impl DesiredResource {
    /// Returns the policy parameter, if it is one.
    pub fn as_policy(&self) -> Option<&Desired<PolicyParameter>> {
        match self {
            Self::Policy(policy) => Some(policy),
            Self::Table(_) => None,
        }
    }

    /// Returns the table, if it is one.
    pub fn as_table(&self) -> Option<&Desired<Table>> {
        match self {
            Self::Table(table) => Some(table),
            Self::Policy(_) => None,
        }
    }
}

/// An observed resource of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are as many as a manifest has sections: a box would save nothing")]
pub enum ObservedResource {
    Policy(Pair<PolicyParameter>),
    Table(Pair<Table>),
}

/// One AWS call that writes, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Step {
    Policy(PolicyStep),
    Table(TableStep),
}

impl Step {
    /// Returns the AWS operations that carrying it out may call; the first is the one that changes something, if any.
    pub fn operations(&self) -> &'static [Operation] {
        match self {
            Self::Policy(step) => step.operations(),
            Self::Table(step) => step.operations(),
        }
    }

    /// Returns what it does, in a few words for progress lines.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Policy(step) => step.describe(),
            Self::Table(step) => step.describe(),
        }
    }
}

/// How a step ended when no error kept it from ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// It is done, or was found done.
    Done,
    /// AWS will not take it before some time has passed.
    Deferred(String),
    /// Someone else changed the resource since it was observed.
    Conflict(String),
}

/// Why a value is not allowed, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub problem: String,
    pub help: String,
}

impl Invalid {
    /// Returns a refusal.
    pub fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.problem, self.help)
    }
}

/// Compares two sets of tags; AWS's own (`aws:…`) are never part of a difference.
fn diff_tags(live: &Tags, desired: &Tags, changes: &mut Vec<FieldChange>) {
    let shown = |value: Option<&String>| value.map_or(FieldValue::Absent, FieldValue::words);
    let keys: std::collections::BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
    for key in keys.into_iter().filter(|key| !key.starts_with("aws:")) {
        let (before, after) = (live.get(key), desired.get(key));
        if before != after {
            let how = if after.is_some() { "tagged in place" } else { "untagged in place" };
            changes.push(FieldChange::new(format!("tags.{key}"), shown(before), shown(after), Takes::InPlace, how));
        }
    }
}

/// Checks a tag's key. Source: the Tag data type in the API references of both services.
pub fn check_tag_key(key: &str) -> Result<(), Invalid> {
    let help = "a tag key has 1 to 128 letters, digits, spaces or _ . : / = + - @, and does not begin with aws:";
    if key.is_empty() || key.chars().count() > 128 || !key.chars().all(tag_char) {
        return Err(Invalid::new(format!("\"{key}\" is not a tag key AWS takes"), help));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(Invalid::new(format!("the tag key \"{key}\" is reserved for AWS"), help));
    }
    Ok(())
}

/// Checks a tag's value.
pub fn check_tag_value(value: &str) -> Result<(), Invalid> {
    if value.chars().count() > 256 || !value.chars().all(tag_char) {
        let help = "a tag value has at most 256 letters, digits, spaces or _ . : / = + - @";
        return Err(Invalid::new(format!("\"{value}\" is not a tag value AWS takes"), help));
    }
    Ok(())
}

fn tag_char(letter: char) -> bool {
    letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter)
}

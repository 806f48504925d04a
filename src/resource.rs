//! The parts that all kinds share: AWS calls and their pacing, observations, tags and names.

pub mod call;
pub mod caller;
pub mod destination;
pub mod diagnosis;
mod fields;
pub mod interrupt;
pub mod names;
pub mod organization;
mod pace;
pub mod pacer;
pub mod pages;
pub mod record;
pub mod record_key;
pub mod role;
pub mod secret;
pub mod signed_identity;
pub mod simulation;
pub mod tagging;
pub mod traffic;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::change::{ChangeMethod, FieldChange, FieldValue};
pub use fields::Fields;

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The value of the ownership tag. The manifest can set its key.
pub const OWNER: &str = "sentinel";
/// The default key of the ownership tag.
pub const DEFAULT_OWNERSHIP_KEY: &str = "managed-by";

/// A setting that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    Off,
    On,
}

impl Switch {
    /// Returns its word in a manifest.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl From<bool> for Switch {
    fn from(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    Absent,
    Present(Live<T>),
    /// It could not be read at all.
    Unknown(Gap),
}

/// A live resource in the type of the desired one. A field that was not read is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live<T> {
    pub state: T,
    pub facts: Facts,
    /// The fields that could not be read.
    pub gaps: Vec<Gap>,
}

/// Facts about a live resource that are shown and never compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The table ID. A recreated table of the same name has another ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The version of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it was last changed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The ARN of the identity that last changed it, if a response contained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The status of a table, as AWS names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A change in progress that the status does not show: the `encryption` of an ACTIVE table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<String>,
    /// Whether a table has no items, by AWS's item count, which is updated about every six hours. Source: DescribeTable in the DynamoDB API
    /// reference.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// AWS's item count of a table. It is not part of a plan, because no decision depends on it.
    #[serde(skip)]
    pub items: Option<i64>,
    /// AWS's work in progress, such as building an index. It is not part of a plan.
    #[serde(skip)]
    pub progress: Vec<String>,
    /// Settings that no manifest can express. Sentinel does not change them.
    #[serde(rename = "also", default, skip_serializing_if = "Vec::is_empty")]
    pub unmanaged_settings: Vec<String>,
    /// Whether it carries the ownership tag; `None` if the tag was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned: Option<bool>,
    /// The value of the ownership tag, if it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A read that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The field, or `None` for the whole resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The IAM action that reads it, such as `dynamodb:DescribeTable`.
    pub action: String,
    /// Whether the permission is missing. Otherwise the call failed for another reason.
    pub denied: bool,
    /// AWS's message.
    pub message: String,
}

impl Gap {
    /// Returns the gap for a failed read.
    pub fn new(path: Option<&str>, error: &call::CallError) -> Self {
        Self {
            path: path.map(str::to_owned),
            action: error.operation.action(),
            denied: error.class == call::Class::Denied,
            message: error.to_string(),
        }
    }
}

/// The outcome of a step without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// The change was made, or already existed.
    Done,
    /// AWS does not accept the step before some time has passed.
    Deferred(String),
    /// Someone else changed the resource after it was observed.
    Conflict(String),
}

/// An invalid value: the reason and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub problem: String,
    pub help: String,
}

impl Invalid {
    /// Returns an error.
    pub fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.problem, self.help)
    }
}

/// Returns the digest of a text: `sha256:…`.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Removes the ownership tag from tags that were read, and records the owner.
///
/// The ownership tag is not one of the manifest's tags, so later code does not see it.
pub fn take_owner(tags: &mut Tags, key: Option<&str>, facts: &mut Facts) {
    if let Some(key) = key {
        facts.owner = tags.remove(key);
        facts.owned = Some(facts.owner.as_deref() == Some(OWNER));
    }
}

/// Compares two sets of tags and ignores AWS's own (`aws:…`). `field` returns the field of a tag key.
pub fn diff_tags<F>(live: &Tags, desired: &Tags, field: fn(String) -> F, changes: &mut Vec<FieldChange<F>>) {
    let shown = |value: Option<&String>| value.map_or(FieldValue::Absent, FieldValue::text);
    let keys: std::collections::BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
    for key in keys.into_iter().filter(|key| !key.starts_with("aws:")) {
        let (before, after) = (live.get(key), desired.get(key));
        if before != after {
            let how = if after.is_some() { "tagged in place" } else { "untagged in place" };
            changes.push(FieldChange::new(field(key.clone()), shown(before), shown(after), ChangeMethod::InPlace, how));
        }
    }
}

/// Returns tags as text, without AWS's own.
pub fn tag_text(tags: &Tags) -> String {
    let own = tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// Checks the form of a region name. AWS decides which regions exist.
pub fn check_region(region: &str) -> Result<(), Invalid> {
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = region.split('-').collect();
    let fits = match &parts[..] {
        [head @ .., last] => head.len() >= 2 && head.iter().all(|part| letters(part)) && digits(last),
        [] => false,
    };
    if fits {
        return Ok(());
    }
    Err(Invalid::new(format!("\"{region}\" is not the name of a region"), "write one such as us-east-1"))
}

/// Checks the name of a DynamoDB table or index.
pub fn check_table_name(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !(3..=255).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(Invalid::new(
            format!("\"{name}\" is not a valid DynamoDB table name"),
            "use 3 to 255 letters, digits, and _ . -",
        ));
    }
    Ok(())
}

/// Checks a tag's key. Source: the Tag data type in the API references of both services.
pub fn check_tag_key(key: &str) -> Result<(), Invalid> {
    let help = "a tag key has 1 to 128 letters, digits, spaces or _ . : / = + - @, and does not begin with aws:";
    if key.is_empty() || key.chars().count() > 128 || !key.chars().all(tag_char) {
        return Err(Invalid::new(format!("\"{key}\" is not a valid tag key in AWS"), help));
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
        return Err(Invalid::new(format!("\"{value}\" is not a valid tag value in AWS"), help));
    }
    Ok(())
}

fn tag_char(letter: char) -> bool {
    letter.is_alphanumeric() || letter == ' ' || "_.:/=+-@".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn tags_are_limited_like_in_aws() {
        for key in ["a", &"k".repeat(128), "a b_.:/=+-@1", "é", "xaws:"] {
            assert_eq!(check_tag_key(key), Ok(()), "{key}");
        }
        for key in ["", &"k".repeat(129), "a\nb", "a*", "aws:x", "AWS:x"] {
            assert!(check_tag_key(key).is_err(), "{key}");
        }
        for value in ["", &"v".repeat(256), "a b_.:/=+-@1"] {
            assert_eq!(check_tag_value(value), Ok(()), "{value}");
        }
        for value in [&*"v".repeat(257), "a*", "\u{1b}"] {
            assert!(check_tag_value(value).is_err(), "{value:?}");
        }
        let refusal = check_tag_key("aws:x").unwrap_err().to_string();
        assert!(refusal.starts_with("the tag key \"aws:x\" is reserved for AWS; a tag key has 1 to 128"), "{refusal}");
    }

    #[test]
    fn tags_of_aws_are_ignored() {
        let live = tags(&[("aws:cloudformation", "x"), ("a", "1"), ("b", "2")]);
        assert_eq!(tag_text(&live), "a=1, b=2");
        let mut changes = Vec::new();
        diff_tags(&live, &tags(&[("a", "1"), ("c", "3")]), |key| format!("tags.{key}"), &mut changes);
        let changes: Vec<(&str, &str)> = changes.iter().map(|one| (one.path.as_str(), one.how.as_str())).collect();
        assert_eq!(changes, [("tags.b", "untagged in place"), ("tags.c", "tagged in place")]);
    }

    #[test]
    fn only_the_ownership_tag_determines_the_owner() {
        let owner = |key: Option<&str>, found: &[(&str, &str)]| {
            let (mut tags, mut facts) = (tags(found), Facts::default());
            take_owner(&mut tags, key, &mut facts);
            (tags.len(), facts.owned, facts.owner)
        };
        let theirs = Some(String::from("someone"));
        assert_eq!(owner(None, &[("managed-by", OWNER)]), (1, None, None));
        assert_eq!(owner(Some("managed-by"), &[("managed-by", OWNER)]), (0, Some(true), Some(OWNER.to_owned())));
        assert_eq!(owner(Some("managed-by"), &[("managed-by", "someone"), ("a", "b")]), (1, Some(false), theirs));
        assert_eq!(owner(Some("managed-by"), &[]), (0, Some(false), None));
    }

    #[test]
    fn a_digest_is_the_sha_256_of_a_text() {
        let of_abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), of_abc);
    }
}

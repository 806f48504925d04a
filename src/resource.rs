//! What all kinds of resource have in common: calls to AWS and their pace, what was found, tags and names.

pub mod call;
pub mod caller;
pub mod destination;
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
pub mod tagging;
pub mod traffic;
pub mod trouble;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::change::{FieldChange, FieldValue, Takes};
pub use fields::Fields;

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// The value of the tag that marks what this tool created; its key is the manifest's to choose.
pub const OWNER: &str = "sentinel";
/// The key of that tag where the manifest chooses none.
pub const DEFAULT_OWNERSHIP_KEY: &str = "managed-by";

/// A setting that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    Off,
    On,
}

impl Switch {
    /// Returns the word for it.
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The ID that AWS gave a table: another table of the same name has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The version of a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it was last changed, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// The ARN of who last changed it, where that was read with something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The status of a table, in AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What AWS is still changing though the status does not tell: the `encryption` of a table that is ACTIVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<String>,
    /// Whether a table holds no items, as AWS last counted them: it does so about every six hours. Source: DescribeTable in
    /// the DynamoDB API reference.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// How many items a table holds, as AWS last counted them. A plan does not have it: it is no part of what was decided.
    #[serde(skip)]
    pub items: Option<i64>,
    /// What AWS is at work on, each in a few words: an index that is being built. A plan does not have it either.
    #[serde(skip)]
    pub progress: Vec<String>,
    /// What it has that no manifest can set, each in a few words. Nothing changes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Whether it carries the ownership tag; nothing where that was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned: Option<bool>,
    /// What the ownership tag says, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Returns a digest of a text: `sha256:…`.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Takes the ownership tag out of a set of tags that was read, and notes whose it says the resource is.
///
/// It is no part of what a manifest says about tags, so nothing after this sees it.
pub fn take_owner(tags: &mut Tags, key: Option<&str>, facts: &mut Facts) {
    if let Some(key) = key {
        facts.owner = tags.remove(key);
        facts.owned = Some(facts.owner.as_deref() == Some(OWNER));
    }
}

/// Compares two sets of tags; AWS's own (`aws:…`) are never part of a difference. `field` is the field that a tag is, by its key.
pub fn diff_tags<F>(live: &Tags, desired: &Tags, field: fn(String) -> F, changes: &mut Vec<FieldChange<F>>) {
    let shown = |value: Option<&String>| value.map_or(FieldValue::Absent, FieldValue::words);
    let keys: std::collections::BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
    for key in keys.into_iter().filter(|key| !key.starts_with("aws:")) {
        let (before, after) = (live.get(key), desired.get(key));
        if before != after {
            let how = if after.is_some() { "tagged in place" } else { "untagged in place" };
            changes.push(FieldChange::new(field(key.clone()), shown(before), shown(after), Takes::InPlace, how));
        }
    }
}

/// Returns tags in words, AWS's own left out.
pub fn tag_words(tags: &Tags) -> String {
    let own = tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// Checks that a text could be the name of a region; which regions there are is AWS's to say.
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
    fn a_tag_is_what_aws_takes_and_nothing_longer() {
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
    fn aws_own_tags_are_no_part_of_ours() {
        let live = tags(&[("aws:cloudformation", "x"), ("a", "1"), ("b", "2")]);
        assert_eq!(tag_words(&live), "a=1, b=2");
        let mut changes = Vec::new();
        diff_tags(&live, &tags(&[("a", "1"), ("c", "3")]), |key| format!("tags.{key}"), &mut changes);
        let changes: Vec<(&str, &str)> = changes.iter().map(|one| (one.path.as_str(), one.how.as_str())).collect();
        assert_eq!(changes, [("tags.b", "untagged in place"), ("tags.c", "tagged in place")]);
    }

    #[test]
    fn whose_a_resource_is_stands_in_its_tag_alone() {
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

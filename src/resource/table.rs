//! A DynamoDB table: state and names. Its diff is in `diff`, its steps are in `steps`, its AWS calls in `api`.

mod api;
mod diff;
mod sdk;
mod steps;
mod update;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Invalid, Tags};

pub use api::{Client, Waiting, execute, names, observe};
pub use diff::{changes, diff};
pub use steps::{TableChange, TableStep, create, opposite, reads, repair, still_to_come};
pub use words::seen;

/// A table, live or desired; `None` is "not managed" in the one and "not read" in the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<BTreeMap<String, Index>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<Billing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point_in_time_recovery: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_protection: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// The key of a table or an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    #[serde(rename = "partition_key")]
    pub partition: Attribute,
    #[serde(rename = "sort_key", skip_serializing_if = "Option::is_none")]
    pub sort: Option<Attribute>,
}

impl Key {
    /// Returns the attributes of the key, the partition's first.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }
}

/// A key attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: AttributeType,
}

/// A key attribute's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttributeType {
    S,
    N,
    B,
}

impl fmt::Display for AttributeType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    #[serde(flatten)]
    pub key: Key,
    pub projection: Projection,
    /// What it has of its own, on a live table that is provisioned; a desired one has the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    #[serde(skip)]
    pub status: IndexStatus,
}

impl Index {
    /// Returns whether the other is the same index, however far it is built and whatever its capacity.
    fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.projection == other.projection
    }
}

/// How far an index is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexStatus {
    #[default]
    Active,
    /// Being built, which takes minutes; `backfilling` once AWS copies items into it.
    Creating {
        backfilling: bool,
    },
    Updating,
    Deleting,
}

/// What an index holds beside its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    All,
    KeysOnly,
    /// These attributes; their order means nothing.
    Include(BTreeSet<String>),
}

/// Time to live: the attribute that says when an item expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ttl {
    Disabled,
    /// Being turned off, which takes up to an hour.
    Disabling,
    /// On, or being turned on, with this attribute.
    Enabled(String),
}

/// How a table is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    PayPerRequest,
    /// Paid for by capacity, for the table and for each of its indexes.
    Provisioned(Capacity),
}

impl Billing {
    /// Returns the capacity, where that is what is paid for.
    fn capacity(self) -> Option<Capacity> {
        match self {
            Self::PayPerRequest => None,
            Self::Provisioned(capacity) => Some(capacity),
        }
    }
}

/// Capacity units a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub read: i64,
    pub write: i64,
}

/// What storage costs against what requests cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Standard,
    InfrequentAccess,
}

impl Class {
    /// Returns AWS's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::InfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
        }
    }
}

/// Whose key encrypts a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    AwsOwned,
    /// The account's `alias/aws/dynamodb`. Only ever wanted: AWS answers with the ARN of the key in use.
    AwsManaged,
    /// A key by its ARN.
    Kms(String),
}

/// The most global secondary indexes of a table. Source: "Quotas in Amazon DynamoDB".
pub const INDEX_LIMIT: usize = 20;
/// The most attributes that the `include` projections of a table name, all indexes together. Source: as above.
pub const INCLUDE_LIMIT: usize = 100;

/// Checks the name of a table or an index.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !(3..=255).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(Invalid::new(
            format!("\"{name}\" is not a name DynamoDB takes"),
            "use 3 to 255 letters, digits, and _ . -",
        ));
    }
    Ok(())
}

/// Checks the name of a key attribute.
pub fn check_attribute(name: &str) -> Result<(), Invalid> {
    if !(1..=255).contains(&name.len()) {
        return Err(Invalid::new(
            format!("\"{name}\" is not an attribute name DynamoDB takes"),
            "a key or TTL attribute's name has 1 to 255 bytes",
        ));
    }
    Ok(())
}

/// Checks an encryption key: its ARN, since an alias reads back as the key behind it and would always differ.
pub fn check_kms_key(arn: &str) -> Result<(), Invalid> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_key = matches!(parts[..], ["arn", _, "kms", _, _, resource] if resource.starts_with("key/"));
    if is_key {
        return Ok(());
    }
    Err(Invalid::new(
        format!("`encryption` cannot be \"{arn}\""),
        "write \"aws-owned\", \"aws-managed\", or a key's ARN: arn:aws:kms:REGION:ACCOUNT:key/ID (an alias will not do)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dynamodbs_rules() {
        for good in ["abc", "a_b.c-D9", &"x".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good} refused");
        }
        for bad in ["", "ab", "a b", "a/b", "täble", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad} passed");
        }
        for good in ["a", "a key: any bytes, ä", &"x".repeat(255)] {
            assert!(check_attribute(good).is_ok(), "{good} refused");
        }
        for bad in ["", &"x".repeat(256)] {
            assert!(check_attribute(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn an_encryption_key_is_named_by_its_arn() {
        for good in
            ["arn:aws:kms:eu-west-1:111111111111:key/1", "arn:aws-us-gov:kms:us-gov-west-1:111111111111:key/mrk-1"]
        {
            assert!(check_kms_key(good).is_ok(), "{good} refused");
        }
        for bad in ["", "key/1", "alias/app", "arn:aws:kms:eu-west-1:111111111111:alias/app", "arn:aws:s3:::key/1"] {
            assert!(check_kms_key(bad).unwrap_err().problem.contains(bad), "{bad} passed");
        }
    }
}

//! A DynamoDB table: state, names, steps. Its diff is in `diff`, its AWS calls are in `api`.

mod api;
mod diff;
mod sdk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::call::{
    CREATE_TABLE, DESCRIBE_CONTINUOUS_BACKUPS, DESCRIBE_TABLE, DESCRIBE_TIME_TO_LIVE, LIST_TABLE_TAGS, Operation,
    TAG_RESOURCE, UPDATE_CONTINUOUS_BACKUPS, UPDATE_TIME_TO_LIVE,
};
use super::{Desired, Invalid, Tags};

pub use api::{Client, Waiting, execute, observe};
pub use diff::diff;

/// A table, live or desired; `None` is "not managed" in the one and "not read" in the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    #[serde(flatten)]
    pub key: Key,
    pub projection: Projection,
    #[serde(skip)]
    pub status: IndexStatus,
}

/// How far an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexStatus {
    Active,
    /// Being built, which takes minutes; `backfilling` once AWS copies items into it.
    Creating {
        backfilling: bool,
    },
    Updating,
    Deleting,
}

/// What an index holds beside its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    All,
    KeysOnly,
    /// These attributes; their order means nothing.
    Include(BTreeSet<String>),
}

/// Time to live: the attribute that says when an item expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ttl {
    Disabled,
    /// Being turned off, which takes up to an hour.
    Disabling,
    /// On, or being turned on, with this attribute.
    Enabled(String),
}

/// How a table is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    PayPerRequest,
    /// Capacity units a second, for the table and for each of its indexes.
    Provisioned {
        read: i64,
        write: i64,
    },
}

/// Whose key encrypts a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    AwsOwned,
    /// The account's `alias/aws/dynamodb`. Only ever wanted: AWS answers with the ARN of the key in use.
    AwsManaged,
    /// A key by its ARN.
    Kms(String),
}

/// One call that changes a table, or one wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TableStep {
    /// Creates the table with all its indexes; expects that there is none of its name.
    CreateTable { name: String, table: Box<Table> },
    /// Waits until the table and its indexes are ACTIVE.
    WaitForTable { name: String },
    /// Turns time to live on; expects it off.
    EnableTimeToLive { name: String, attribute: String },
    /// Turns point-in-time recovery on; expects it off.
    EnablePointInTimeRecovery { name: String },
}

impl TableStep {
    pub(super) fn operations(&self) -> &'static [Operation] {
        match self {
            Self::CreateTable { table, .. } => match table.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
                true => &[CREATE_TABLE, TAG_RESOURCE, DESCRIBE_TABLE],
                false => &[CREATE_TABLE, DESCRIBE_TABLE],
            },
            Self::WaitForTable { .. } => &[DESCRIBE_TABLE],
            Self::EnableTimeToLive { .. } => &[UPDATE_TIME_TO_LIVE, DESCRIBE_TIME_TO_LIVE],
            Self::EnablePointInTimeRecovery { .. } => &[UPDATE_CONTINUOUS_BACKUPS],
        }
    }

    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::CreateTable { .. } => "creating",
            Self::WaitForTable { .. } => "waiting until ACTIVE",
            Self::EnableTimeToLive { .. } => "enabling TTL",
            Self::EnablePointInTimeRecovery { .. } => "enabling point-in-time recovery",
        }
    }
}

/// Returns the operations that observing this table calls.
pub fn reads(managed: &Table) -> Vec<Operation> {
    let Table {
        key: _,
        indexes: _,
        ttl,
        billing: _,
        encryption: _,
        point_in_time_recovery,
        deletion_protection: _,
        tags,
    } = managed;
    let mut operations = vec![DESCRIBE_TABLE];
    operations.extend(ttl.as_ref().map(|_| DESCRIBE_TIME_TO_LIVE));
    operations.extend(point_in_time_recovery.map(|_| DESCRIBE_CONTINUOUS_BACKUPS));
    operations.extend(tags.as_ref().map(|_| LIST_TABLE_TAGS));
    operations
}

/// Returns the steps that create the table.
pub fn create(desired: &Desired<Table>) -> Vec<TableStep> {
    let table = Box::new(desired.initial.clone());
    let mut steps = vec![TableStep::CreateTable { name: desired.name.clone(), table }];
    steps.extend(finish(desired));
    steps
}

/// Returns the steps that follow a creation: what `CreateTable` cannot carry, once the table is ACTIVE.
pub fn finish(desired: &Desired<Table>) -> Vec<TableStep> {
    let name = || desired.name.clone();
    let mut steps = vec![TableStep::WaitForTable { name: name() }];
    if let Some(Ttl::Enabled(attribute)) = &desired.initial.ttl {
        steps.push(TableStep::EnableTimeToLive { name: name(), attribute: attribute.clone() });
    }
    if desired.initial.point_in_time_recovery == Some(true) {
        steps.push(TableStep::EnablePointInTimeRecovery { name: name() });
    }
    steps
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

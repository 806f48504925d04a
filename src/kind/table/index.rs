//! The secondary indexes of a table.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Attribute, Capacity, Limits, Table, Warm};
use crate::change::Sides;

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    #[serde(flatten)]
    pub key: IndexKey,
    pub projection: Projection,
    /// The capacity of an index of a live provisioned table. A desired index without it has the table's capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The on-demand limits. Rebuilding the index keeps those that the manifest does not specify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The warm throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    #[serde(skip)]
    pub status: IndexStatus,
}

impl Index {
    /// Returns whether both are the same index, regardless of status and capacity.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.projection == other.projection
    }

    /// Returns whether the repair builds or rebuilds an index.
    pub(super) fn is_built(name: &str, tables: &Sides<&Table>) -> bool {
        let of = |table: &Table| table.indexes.as_ref().and_then(|indexes| indexes.get(name)).cloned();
        match (of(tables.live), of(tables.desired)) {
            (Some(live), Some(wanted)) => !live.is_same(&wanted) || live.status == IndexStatus::Deleting,
            (None, wanted) => wanted.is_some(),
            (Some(_), None) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    #[serde(rename = "partition_key")]
    pub partition: KeyPart,
    /// Empty if the index has no sort key.
    #[serde(rename = "sort_key", default, skip_serializing_if = "KeyPart::is_empty")]
    pub sort: KeyPart,
}

impl IndexKey {
    /// Returns a key with one attribute for each part.
    pub fn new(partition: Attribute, sort: Option<Attribute>) -> Self {
        Self { partition: KeyPart(vec![partition]), sort: KeyPart(sort.into_iter().collect()) }
    }

    /// Returns the attributes of the key, the partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.partition.0.iter().chain(&self.sort.0)
    }
}

/// The attributes of one part of an index key, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenPart", into = "WrittenPart")]
pub struct KeyPart(pub Vec<Attribute>);

impl KeyPart {
    /// Returns whether it has no attribute.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A part of a key in a saved plan.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenPart {
    One(Attribute),
    Several(Vec<Attribute>),
}

impl From<WrittenPart> for KeyPart {
    fn from(part: WrittenPart) -> Self {
        match part {
            WrittenPart::One(attribute) => Self(vec![attribute]),
            WrittenPart::Several(attributes) => Self(attributes),
        }
    }
}

impl From<KeyPart> for WrittenPart {
    fn from(KeyPart(mut attributes): KeyPart) -> Self {
        match (attributes.pop(), attributes.is_empty()) {
            (Some(only), true) => Self::One(only),
            (last, _) => {
                attributes.extend(last);
                Self::Several(attributes)
            }
        }
    }
}

/// A local secondary index: another sort key for the items with the same partition key. It is created with its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalIndex {
    #[serde(rename = "sort_key")]
    pub sort: Attribute,
    pub projection: Projection,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexStatus {
    #[default]
    Active,
    /// Being built, which takes minutes; `backfilling` while AWS copies items into it.
    Creating {
        backfilling: bool,
    },
    Updating,
    Deleting,
}

/// The attributes of an index other than its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    All,
    KeysOnly,
    /// These attributes, in any order.
    Include(BTreeSet<String>),
}

impl Projection {
    /// Returns the number of attributes that it names.
    pub(super) fn named(&self) -> usize {
        match self {
            Self::Include(names) => names.len(),
            Self::All | Self::KeysOnly => 0,
        }
    }
}

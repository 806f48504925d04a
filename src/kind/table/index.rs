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
    /// What it has on a live table that is provisioned; a desired one without any has the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The most that it takes on demand. Building the index again keeps what the manifest does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// How much it takes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Warm>,
    #[serde(skip)]
    pub status: IndexStatus,
}

impl Index {
    /// Returns whether the other is the same index, however far it is built and whatever its capacity.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.projection == other.projection
    }

    /// Returns whether making the live table the desired one builds an index, be it again.
    pub(super) fn is_built(name: &str, tables: &Sides<&Table>) -> bool {
        let of = |table: &Table| table.indexes.as_ref().and_then(|indexes| indexes.get(name)).cloned();
        match (of(tables.live), of(tables.desired)) {
            (Some(live), Some(wanted)) => !live.is_same(&wanted) || live.status == IndexStatus::Deleting,
            (None, wanted) => wanted.is_some(),
            (Some(_), None) => false,
        }
    }
}

/// The key of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    #[serde(rename = "partition_key")]
    pub partition: KeyPart,
    /// Without an attribute where the index has no sort key.
    #[serde(rename = "sort_key", default, skip_serializing_if = "KeyPart::is_empty")]
    pub sort: KeyPart,
}

impl IndexKey {
    /// Returns a key of one attribute for each part.
    pub fn new(partition: Attribute, sort: Option<Attribute>) -> Self {
        Self { partition: KeyPart(vec![partition]), sort: KeyPart(sort.into_iter().collect()) }
    }

    /// Returns the attributes of the key, the partition's first.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.partition.0.iter().chain(&self.sort.0)
    }
}

/// The attributes of one part of an index key, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenPart", into = "WrittenPart")]
pub struct KeyPart(pub Vec<Attribute>);

impl KeyPart {
    /// Returns whether it has no attribute.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A part of a key as a plan has it.
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

/// A local secondary index: of the items with the same partition key, by another sort key. It comes with its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalIndex {
    #[serde(rename = "sort_key")]
    pub sort: Attribute,
    pub projection: Projection,
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

impl Projection {
    /// Returns how many attributes it names.
    pub(super) fn named(&self) -> usize {
        match self {
            Self::Include(names) => names.len(),
            Self::All | Self::KeysOnly => 0,
        }
    }
}

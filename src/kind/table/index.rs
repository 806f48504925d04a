//! The global secondary indexes of a table.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Capacity, Key};

/// A global secondary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    #[serde(flatten)]
    pub key: Key,
    pub projection: Projection,
    /// What it has of its own, on a live table that is provisioned; a desired one has the table's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// The most that it takes on demand, on a live table. No manifest has it, and building the index again keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(skip)]
    pub status: IndexStatus,
}

impl Index {
    /// Returns whether the other is the same index, however far it is built and whatever its capacity.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key == other.key && self.projection == other.projection
    }
}

/// The most units a second that an on-demand index takes; -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub read: i64,
    pub write: i64,
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

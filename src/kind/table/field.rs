//! The fields of a table that are compared.

use super::Warm;
use super::setting::Setting;

/// A field of a table, as the diff names it and the repair looks for it.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    PartitionKey,
    #[strum(to_string = "partition_key.type")]
    PartitionKeyType,
    SortKey,
    #[strum(to_string = "sort_key.type")]
    SortKeyType,
    Ttl,
    /// An index by its name: whether it is there, and its key.
    #[strum(to_string = "index {0}")]
    Index(String),
    #[strum(to_string = "index {0} projection")]
    IndexProjection(String),
    #[strum(to_string = "index {0} status")]
    IndexStatus(String),
    #[strum(to_string = "index {0} capacity")]
    IndexCapacity(String),
    #[strum(to_string = "local index {0}")]
    LocalIndex(String),
    /// A setting of an index, by its key in a manifest.
    #[strum(to_string = "index {0} {1}")]
    IndexSetting(String, &'static str),
    /// A replica by its region: whether it is there.
    #[strum(to_string = "replica {0}")]
    Replica(String),
    #[strum(to_string = "replica {0} status")]
    ReplicaStatus(String),
    /// Something that a replica has of its own.
    #[strum(to_string = "replica {0} {1}")]
    InReplica(String, Box<Field>),
    BillingMode,
    Encryption,
    /// The backup that a deletion begins with.
    Backup,
    Status,
    /// One of [`super::Settings`], by its key in a manifest.
    #[strum(to_string = "{0}")]
    Setting(&'static str),
    /// A tag by its key.
    #[strum(to_string = "tags.{0}")]
    Tag(String),
}

impl Field {
    /// Returns whether it is what AWS is at work on, by the name in the facts of a table.
    pub(super) fn is_changing(&self, changing: &str) -> bool {
        match self {
            Self::Setting(key) | Self::IndexSetting(_, key) if Warm::KEYS.contains(key) => {
                Warm::KEYS.contains(&changing)
            }
            other => other.to_string() == changing,
        }
    }

    /// Returns whether it is a replica, or something of one.
    pub(super) fn is_of_replica(&self) -> bool {
        matches!(self, Self::Replica(_) | Self::ReplicaStatus(_) | Self::InReplica(..))
    }

    /// Returns whether it is an index, or something of one.
    pub(super) fn is_of_index(&self) -> bool {
        matches!(
            self,
            Self::Index(_)
                | Self::IndexProjection(_)
                | Self::IndexStatus(_)
                | Self::IndexCapacity(_)
                | Self::IndexSetting(..)
        )
    }
}

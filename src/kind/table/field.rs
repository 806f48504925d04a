//! The fields of a table that are compared.

use super::Warm;
use super::setting::Setting;

/// A field of a table, in differences and repairs.
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
    /// An index by name: its existence and its key.
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
    /// A replica by region: its existence.
    #[strum(to_string = "replica {0}")]
    Replica(String),
    #[strum(to_string = "replica {0} status")]
    ReplicaStatus(String),
    /// A setting of a replica.
    #[strum(to_string = "replica {0} {1}")]
    InReplica(String, Box<Field>),
    BillingMode,
    Encryption,
    /// The backup at the start of a deletion.
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
    /// Returns whether AWS is changing this field, by its name in the facts of a table.
    pub(super) fn is_changing(&self, changing: &str) -> bool {
        match self {
            Self::Setting(key) | Self::IndexSetting(_, key) if Warm::KEYS.contains(key) => {
                Warm::KEYS.contains(&changing)
            }
            other => other.to_string() == changing,
        }
    }

    /// Returns whether it is a replica, or a field of one.
    pub(super) fn is_of_replica(&self) -> bool {
        matches!(self, Self::Replica(_) | Self::ReplicaStatus(_) | Self::InReplica(..))
    }

    /// Returns whether it is an index, or a field of one.
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

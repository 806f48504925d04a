//! The change of one `UpdateTable` call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::setting::SettingChange;
use super::{
    Attribute, Billing, Capacity, Consistency, Encryption, Index, Limits, NewReplica, SetWarm, UpdateTableChange, Warm,
};
use crate::change::{Consent, Protection};

/// The change of one `UpdateTable` call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum TableChange {
    /// Builds an index. `attributes` are the key attributes of the table and all its indexes after this change.
    CreateIndex { index_name: String, index: Index, attributes: Vec<Attribute> },
    /// Deletes an index; expects the observed index, because another one may have the same name by now.
    DeleteIndex { index_name: String, expects: Index },
    /// Adds replicas: one, or all of a group with strong consistency.
    AddReplicas {
        replicas: BTreeMap<String, NewReplica>,
        consistency: Consistency,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        witness: Option<String>,
    },
    /// Removes replicas: one, or all of a group with strong consistency.
    RemoveReplicas {
        regions: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        witness: Option<String>,
    },
    /// Changes the billing mode, or the capacities that differ.
    Billing {
        billing: Billing,
        /// Whether the mode changes, rather than only capacities.
        switches: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<Capacity>,
        indexes: BTreeMap<String, Capacity>,
    },
    /// Changes the on-demand limits of an index; `None` keeps the current limit.
    IndexLimits { index_name: String, limits: Limits },
    /// Raises the warm throughput of an index; `None` keeps the current value.
    IndexWarm { index_name: String, warm: Warm },
    Encryption {
        encryption: Encryption,
        #[serde(default, skip_serializing_if = "Protection::is_unchanged")]
        protection: Protection,
    },
    #[serde(untagged)]
    Setting(UpdateTableChange),
}

impl TableChange {
    /// Returns a short description.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::CreateIndex { index_name, .. } => format!("building index {index_name}"),
            Self::DeleteIndex { index_name, .. } => format!("deleting index {index_name}"),
            Self::AddReplicas { replicas, .. } => {
                format!("adding a replica in {}", replicas.keys().map(String::as_str).collect::<Vec<_>>().join(" and "))
            }
            Self::RemoveReplicas { regions, .. } => {
                format!("removing the replica in {}", regions.join(" and "))
            }
            Self::Billing { switches: true, .. } => String::from("switching billing mode"),
            Self::Billing { .. } => String::from("changing capacity"),
            Self::IndexLimits { index_name, .. } => format!("changing the limits of index {index_name}"),
            Self::IndexWarm { index_name, .. } => format!("raising the warm throughput of index {index_name}"),
            Self::Encryption { .. } => String::from("changing encryption"),
            Self::Setting(change) => change.own().describe(),
        }
    }

    /// Returns the time that AWS works on it in seconds: lower and upper bound.
    pub(super) fn seconds(&self) -> (u64, u64) {
        match self {
            Self::CreateIndex { .. } => (8 * 60, 17 * 60),
            // Source: DDB-TABLE-226, 265 and 308 in the lab notes of ack-api-quirks. A table with items takes longer.
            Self::AddReplicas { .. } => (20, 11 * 60),
            Self::RemoveReplicas { .. } => (90, 250),
            Self::IndexWarm { warm, .. } => SetWarm { warm: *warm }.seconds(),
            Self::Setting(change) => change.own().seconds(),
            Self::DeleteIndex { .. } | Self::Billing { .. } | Self::IndexLimits { .. } | Self::Encryption { .. } => {
                (5, 60)
            }
        }
    }

    pub(super) fn needs(&self) -> Option<Consent> {
        match self {
            Self::DeleteIndex { .. } => Some(Consent::Index),
            Self::RemoveReplicas { .. } => Some(Consent::Replica),
            Self::Billing { billing: Billing::External, switches: true, .. } => Some(Consent::Capacity),
            Self::Encryption { encryption: Encryption::AwsOwned, .. }
            | Self::Encryption { protection: Protection::Removed, .. } => Some(Consent::Protection),
            Self::Setting(change) => change.own().needs(),
            Self::CreateIndex { .. }
            | Self::AddReplicas { .. }
            | Self::Billing { .. }
            | Self::IndexLimits { .. }
            | Self::IndexWarm { .. }
            | Self::Encryption { .. } => None,
        }
    }
}

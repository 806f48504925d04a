//! The replicas of a table in other regions: global tables, version 2019.11.21.
//!
//! A replica is a table in its own region. It shares items, keys, indexes, TTL and capacity with the group, and has its own settings. It is
//! therefore represented as a [`Table`] that manages only these settings, and is observed, compared and repaired like any table, through a
//! client of its region. Source of the list of its own settings: findings DDB-TABLE-229, 230 and 294 to 297 in the lab notes of
//! ack-api-quirks.

pub(super) mod calls;
pub(super) mod diff;
pub(super) mod manifest;
pub(super) mod permission;
pub(super) mod plan;

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};

use super::{Encryption, Settings, Table, display};
use crate::kind::Line;
use crate::kind::key::DESCRIBE_KEY;
use crate::resource::call::{LIST_TABLE_TAGS, Operation};
use crate::resource::{Tags, tag_text};

pub use manifest::{ReplicaSection, ReplicasSection};
pub use plan::NewReplica;

/// The consistency between the regions of a group.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE", const_into_str)]
pub enum Consistency {
    #[default]
    Eventual,
    Strong,
}

impl Consistency {
    /// Returns AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// The replicas of a table. If managed, the list is complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// `None` if the manifest does not specify it; AWS's default is EVENTUAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// The region of a witness, which stores no table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
    /// The own settings of each replica, by region.
    pub regions: BTreeMap<String, Table>,
    /// The status of each live replica.
    #[serde(skip)]
    pub statuses: BTreeMap<String, ReplicaStatus>,
    /// Whether the settings of all live replicas are read.
    #[serde(skip)]
    pub(super) whole: bool,
}

/// The status of a replica. Source: ReplicaStatus in the Amazon DynamoDB API Reference.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplicaStatus {
    Active,
    Creating,
    Updating,
    Deleting,
    /// A status that requires manual action, such as `INACCESSIBLE_ENCRYPTION_CREDENTIALS` or `REPLICATION_NOT_AUTHORIZED`.
    #[strum(default, to_string = "{0}")]
    Other(String),
}

impl Replicas {
    /// Returns the state that reads all live replicas.
    pub(super) fn everything() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Reads the response of `DescribeTable` in the table's region.
    pub(super) fn seen(description: &sdk::TableDescription) -> Self {
        let mut found = Self::default();
        for replica in description.replicas() {
            let Some(region) = replica.region_name() else { continue };
            let status = replica.replica_status().map_or("ACTIVE", sdk::ReplicaStatus::as_str);
            let status = status.parse().unwrap_or_else(|_| ReplicaStatus::Other(status.to_owned()));
            let key = replica.kms_master_key_id().map_or(Encryption::AwsOwned, |key| Encryption::Kms(key.to_owned()));
            found.statuses.insert(region.to_owned(), status);
            found.regions.insert(region.to_owned(), Table { encryption: Some(key), ..Table::default() });
        }
        let strong = description.multi_region_consistency() == Some(&sdk::MultiRegionConsistency::Strong);
        if !found.regions.is_empty() {
            found.consistency = Some(if strong { Consistency::Strong } else { Consistency::Eventual });
        }
        let witness = description.global_table_witnesses().first();
        found.witness = witness.and_then(|witness| witness.region_name().map(str::to_owned));
        found
    }

    /// Returns a replica that AWS is creating, changing or deleting. The table's status does not always show this. Source: DDB-TABLE-204
    /// and 226.
    pub(super) fn changing(description: &sdk::TableDescription) -> Option<String> {
        use ReplicaStatus::{Creating, Deleting, Updating};
        let found = Self::seen(description);
        let passes = |status: &ReplicaStatus| matches!(status, Creating | Deleting | Updating);
        found.statuses.into_iter().find(|(_, status)| passes(status)).map(|(region, _)| format!("replica {region}"))
    }

    /// Returns the texts for live replicas that the manifest does not manage.
    pub(super) fn unmanaged_note(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.regions.keys().map(|region| format!("replica {region}")).collect();
        notes.extend(self.witness.iter().map(|region| format!("witness {region}")));
        if self.consistency == Some(Consistency::Strong) {
            notes.push(String::from("strong consistency between regions"));
        }
        notes
    }

    /// Returns the replicas for display, one line each.
    pub(super) fn describe(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.consistency == Some(Consistency::Strong) {
            lines.push(Line::new("consistency", Consistency::Strong.as_str()));
        }
        lines.extend(self.witness.iter().map(|region| Line::new("witness", region)));
        lines.extend(self.regions.iter().map(|(region, table)| {
            let status = self.statuses.get(region).map(ToString::to_string);
            let own = setting_lines(table);
            let all: Vec<String> = status.into_iter().chain(own).collect();
            let text = if all.is_empty() { String::from("with AWS's defaults") } else { all.join(", ") };
            Line::new(format!("replica {region}"), text)
        }));
        lines
    }

    /// Returns the number of calls that read the replicas, without those for their table.
    pub(super) fn calls_to_observe(&self) -> usize {
        let of_replica = |table: &Table| {
            let alias = table.encryption.as_ref().is_some_and(Encryption::needs_lookup);
            1 + table.settings.reads().len() + usize::from(table.tags.is_some()) + usize::from(alias)
        };
        self.regions.values().filter(|table| Self::is_read(table)).map(of_replica).sum()
    }

    /// Returns the operations that read the replicas, without those for their table.
    pub(super) fn reads(&self) -> Vec<Operation> {
        let mut reads = Vec::new();
        for table in self.regions.values() {
            reads.extend(table.settings.reads());
            reads.extend(table.tags.as_ref().map(|_| LIST_TABLE_TAGS));
            reads.extend(table.encryption.as_ref().is_some_and(Encryption::needs_lookup).then_some(DESCRIBE_KEY));
        }
        reads
    }

    /// Returns whether any setting of a replica is managed.
    pub(super) fn is_read(table: &Table) -> bool {
        *table != Table::default()
    }

    /// Returns replicas with a repairable difference in every setting.
    pub(super) fn opposite(&self, of: impl Fn(&Table) -> Table) -> Self {
        let mut live = self.clone();
        live.regions = self.regions.iter().map(|(region, table)| (region.clone(), of(table))).collect();
        if self.consistency != Some(Consistency::Strong) {
            live.regions.insert(String::from("stray"), Table::default());
        }
        live.statuses = live.regions.keys().map(|region| (region.clone(), ReplicaStatus::Active)).collect();
        live
    }
}

/// Returns a replica's own settings as text.
fn setting_lines(table: &Table) -> Vec<String> {
    let mut own = Vec::new();
    own.extend(table.encryption.as_ref().filter(|key| **key != Encryption::AwsOwned).map(display::encryption));
    own.extend(table.settings.describe().into_iter().map(|line| format!("{} {}", line.name, line.text)));
    own.extend(table.tags.as_ref().filter(|tags| !tags.is_empty()).map(|tags| format!("tags {}", tag_text(tags))));
    own
}

/// Returns a replica as AWS creates it: only with the key and class of the creation. Source: DDB-TABLE-230.
fn as_created(wanted: &Table) -> Table {
    let mut settings = Settings::everything().regional();
    settings.class = wanted.settings.class.or(settings.class);
    Table { encryption: wanted.encryption.clone(), tags: Some(Tags::new()), settings, ..Table::default() }
}

//! The state of a table's replicas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::Region;
use crate::local::clock::millis;
use crate::local::dynamodb::state::TableState;

/// The replicas of a table, in order of creation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::local::dynamodb) struct Group {
    #[serde(default)]
    pub(in crate::local::dynamodb) strong: bool,
    #[serde(default)]
    pub(super) replicas: Vec<Replica>,
    /// The region of a witness, which stores no table.
    #[serde(default)]
    pub(super) witness: Option<(String, Lifetime)>,
}

/// A replica, with its own settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Replica {
    pub(super) region: String,
    /// The region from which it was created.
    pub(super) source: String,
    pub(super) lifetime: Lifetime,
    pub(super) id: String,
    pub(super) updated_at: i64,
    pub(super) class: Option<String>,
    /// Read capacity units that override the table's.
    pub(super) reads: Option<i64>,
    /// The read limit that overrides the table's.
    pub(super) read_limit: Option<i64>,
    /// The same of each index.
    pub(super) indexes: BTreeMap<String, (Option<i64>, Option<i64>)>,
    pub(super) key: Option<String>,
    pub(super) protected: bool,
    pub(super) recovery_since: Option<i64>,
    pub(super) recovery_days: Option<i64>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) tags_changed_at: Option<i64>,
}

/// The times when a member of a group is created and deleted, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Lifetime {
    /// When the table starts to list it.
    pub(super) listed_at: i64,
    pub(super) active_at: i64,
    pub(super) removal: Option<Removal>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Removal {
    /// When it starts to be shown as deleting.
    from: i64,
    /// When the table stops listing it.
    until: i64,
    /// When the table of the replica disappears.
    gone_at: i64,
}

impl Lifetime {
    pub(super) fn new(region: &Region) -> Self {
        let (now, creation) = (region.clock.now(), region.rules.replica_creation);
        Self { listed_at: now + millis(creation / 4), active_at: now + millis(creation), removal: None }
    }

    pub(super) fn leave(&mut self, region: &Region) {
        let (now, deletion) = (region.clock.now(), region.rules.replica_deletion);
        let from = now + millis(region.rules.table_update);
        let until = from + millis(deletion);
        self.removal = Some(Removal { from, until, gone_at: until + millis(deletion / 4) });
    }

    /// Returns the status in the table's list.
    pub(super) fn status(&self, now: i64) -> Option<&'static str> {
        match self.removal {
            Some(removal) if now >= removal.until => None,
            Some(removal) if now >= removal.from => Some("DELETING"),
            _ if now < self.listed_at => None,
            _ if now < self.active_at => Some("CREATING"),
            _ => Some("ACTIVE"),
        }
    }

    /// Returns whether its region has a table.
    pub(super) fn is_there(&self, now: i64) -> bool {
        self.removal.map_or(now >= self.listed_at, |removal| now < removal.gone_at)
    }

    fn is_over(&self, now: i64) -> bool {
        self.removal.is_some_and(|removal| now >= removal.gone_at)
    }

    /// Returns whether it is a member, listed or about to be.
    pub(super) fn is_member(&self, now: i64) -> bool {
        self.removal.is_none_or(|removal| now < removal.until)
    }

    fn is_busy(&self, now: i64) -> bool {
        self.is_member(now) && (now < self.active_at || self.removal.is_some())
    }
}

impl Group {
    /// Removes deleted members.
    pub(in crate::local::dynamodb) fn settle(&mut self, now: i64) {
        self.replicas.retain(|replica| !replica.lifetime.is_over(now));
        self.witness = self.witness.take().filter(|(_, lifetime)| !lifetime.is_over(now));
        if !self.has_members(now) {
            self.strong = false;
        }
    }

    pub(super) fn replica(&self, region: &str) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.region == region)
    }

    pub(super) fn replica_mut(&mut self, region: &str) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.region == region)
    }

    pub(super) fn members(&self, now: i64) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.lifetime.is_member(now))
    }

    pub(in crate::local::dynamodb) fn has_members(&self, now: i64) -> bool {
        self.members(now).next().is_some()
    }

    /// Returns whether a member is being created or deleted, which the table's status does not always show.
    pub(super) fn is_busy(&self, now: i64) -> bool {
        let lives = self.replicas.iter().map(|replica| &replica.lifetime);
        lives.chain(self.witness.as_ref().map(|(_, lifetime)| lifetime)).any(|lifetime| lifetime.is_busy(now))
    }

    /// A change of the table's class also changes each replica. Source: DDB-TABLE-294.
    pub(in crate::local::dynamodb) fn set_class(&mut self, class: &str) {
        for replica in &mut self.replicas {
            replica.class = Some(class.to_owned());
        }
    }

    /// A change of the table's encryption to or from AWS's own keys also changes each replica. Source: DDB-TABLE-295.
    pub(in crate::local::dynamodb) fn set_keys(&mut self, key_in: impl Fn(&str) -> Option<String>) {
        for replica in &mut self.replicas {
            replica.key = key_in(&replica.region);
        }
    }

    /// Adds the group to a table's description, as seen from one of its regions.
    pub(in crate::local::dynamodb) fn show(&self, home: (&str, &TableState), from: &str, now: i64, table: &mut Value) {
        if !self.has_members(now) {
            return;
        }
        let mode = "ENABLED_WITH_OVERRIDES";
        let mut listed = Vec::new();
        if home.0 != from {
            let mut own =
                json!({ "RegionName": home.0, "ReplicaStatus": "ACTIVE", "GlobalTableSettingsReplicationMode": mode });
            if let Some(key) = &home.1.encryption {
                own["KMSMasterKeyId"] = json!(key);
            }
            listed.push(own);
        }
        let names: Vec<Value> = table["GlobalSecondaryIndexes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|index| index["IndexName"].clone())
            .collect();
        let others = self.replicas.iter().filter(|replica| replica.region != from);
        listed.extend(others.filter_map(|replica| Some(replica.listed(replica.lifetime.status(now)?, &names, now))));
        table["GlobalTableVersion"] = json!("2019.11.21");
        table["GlobalTableSettingsReplicationMode"] = json!(mode);
        table["Replicas"] = Value::Array(listed);
        if self.strong {
            table["MultiRegionConsistency"] = json!("STRONG");
            let witness = self.witness.as_ref();
            if let Some((region, status)) = witness.and_then(|(region, lifetime)| Some((region, lifetime.status(now)?)))
            {
                table["GlobalTableWitnesses"] = json!([{ "RegionName": region, "WitnessStatus": status }]);
            }
        }
    }
}

impl Replica {
    /// Returns its entry in the description of another member, without its ARN and without settings equal to the table's. Source:
    /// DDB-TABLE-229.
    fn listed(&self, status: &str, indexes: &[Value], now: i64) -> Value {
        let status = if status == "ACTIVE" && now < self.updated_at { "UPDATING" } else { status };
        let mut entry = json!({
            "RegionName": self.region,
            "ReplicaStatus": status,
            "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
        });
        if let Some(key) = &self.key {
            entry["KMSMasterKeyId"] = json!(key);
        }
        if let Some(class) = &self.class {
            entry["ReplicaTableClassSummary"] = json!({ "TableClass": class });
        }
        overridden(&mut entry, self.reads, self.read_limit);
        if !indexes.is_empty() {
            let of = |name: &Value| {
                let mut index = json!({ "IndexName": name });
                let own = name.as_str().and_then(|name| self.indexes.get(name)).copied().unwrap_or_default();
                overridden(&mut index, own.0, own.1);
                index
            };
            entry["GlobalSecondaryIndexes"] = indexes.iter().map(of).collect();
        }
        entry
    }
}

fn overridden(entry: &mut Value, reads: Option<i64>, limit: Option<i64>) {
    if let Some(reads) = reads {
        entry["ProvisionedThroughputOverride"] = json!({ "ReadCapacityUnits": reads });
    }
    if let Some(limit) = limit {
        entry["OnDemandThroughputOverride"] = json!({ "MaxReadRequestUnits": limit });
    }
}

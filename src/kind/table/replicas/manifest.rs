//! `consistency`, `witness` and `[tables.NAME.replicas.REGION]`.

use indexmap::IndexMap;

use super::{Consistency, Replicas};
use crate::document::write::{bare, line, quoted, tags};
use crate::document::{Fields, Node, Reader};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::table::{AWS_MANAGED, Billing, Encryption, Scale, Scales, Settings, Table, Ttl, check_kms_key};
use crate::kind::{Misplaced, import};
use crate::resource::names::RegionName;
use crate::resource::{Invalid, Tags, check_region};

/// The replica settings of a section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicasSection {
    pub consistency: Option<Consistency>,
    pub witness: Option<String>,
    /// `None` if replicas are not managed.
    pub regions: Option<IndexMap<String, ReplicaSection>>,
}

/// `[tables.NAME.replicas.REGION]`: one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaSection {
    /// The key that encrypts it, by its alias in the replica's region or by its ARN.
    pub key: Option<Encryption>,
    pub tags: Option<Tags>,
    pub settings: Settings,
}

impl ReplicasSection {
    /// Returns the section of the managed replicas, including settings with default values.
    pub(in crate::kind::table) fn of(managed: &Replicas) -> Self {
        let replica = |table: &Table| ReplicaSection {
            key: table.encryption.clone(),
            tags: table.tags.clone(),
            settings: table.settings.clone(),
        };
        let regions = managed.regions.iter().map(|(region, table)| (region.clone(), replica(table)));
        Self { consistency: managed.consistency, witness: managed.witness.clone(), regions: Some(regions.collect()) }
    }

    /// Returns the section that describes live replicas; empty without replicas.
    pub(in crate::kind::table) fn of_live(live: &Replicas) -> Self {
        if live.regions.is_empty() {
            return Self::default();
        }
        let replica = |table: &Table| ReplicaSection {
            key: table.encryption.clone().filter(|key| match key {
                Encryption::Kms(arn) | Encryption::Alias(arn) => check_replica_key(arn).is_ok(),
                Encryption::AwsOwned | Encryption::AwsManaged => false,
            }),
            tags: import::tags(table.tags.as_ref()),
            settings: table.settings.clone().without_defaults(),
        };
        let regions = live.regions.iter().map(|(region, table)| (region.clone(), replica(table)));
        Self {
            consistency: live.consistency.filter(|mode| *mode == Consistency::Strong),
            witness: live.witness.clone(),
            regions: Some(regions.collect()),
        }
    }
}

fn check_replica_key(key: &str) -> Result<(), Invalid> {
    if key == AWS_MANAGED {
        let help = "remove it: a replica of a table with encryption = \"aws-managed\" uses that key of its region";
        return Err(Invalid::new(format!("`key` cannot be \"{key}\""), help));
    }
    check_kms_key(key).map_err(|_| {
        let help = "write the alias of a key in the replica's region (alias/NAME), or its ARN (arn:aws:kms:REGION:ACCOUNT:key/ID)";
        Invalid::new(format!("`key` cannot be \"{key}\""), help)
    })
}

pub(in crate::kind::table) fn read(
    section: &mut SectionReader<'_, '_>,
    key: &str,
    fields: &mut Fields<'_>,
) -> ReplicasSection {
    let consistency = fields.get("consistency").and_then(|entry| {
        section.note(&["tables", key, "consistency"], &entry.node.span);
        section.reader.variant(&entry.node, "consistency")
    });
    let witness = fields.get("witness").and_then(|entry| {
        section.note(&["tables", key, "witness"], &entry.node.span);
        section.reader.checked(&entry.node, "witness", check_region)
    });
    let regions = fields.get("replicas").and_then(|entry| {
        section.note(&["tables", key, "replicas"], &entry.key_span);
        read_regions(section, key, &entry.node)
    });
    ReplicasSection { consistency, witness, regions }
}

fn read_regions(
    section: &mut SectionReader<'_, '_>,
    table: &str,
    node: &Node,
) -> Option<IndexMap<String, ReplicaSection>> {
    let fields = section.reader.map(node, "replicas")?;
    let mut regions = IndexMap::new();
    for entry in fields.all() {
        section.note(&["tables", table, "replicas", &entry.key], &entry.key_span);
        check_key(section.reader, entry, check_region);
        let Some(mut fields) = section.reader.map(&entry.node, &format!("replicas.{}", entry.key)) else { continue };
        let key = fields.get("key").and_then(|entry| read_key(section.reader, &entry.node));
        let tags = section.tags(&mut fields);
        let settings = Settings::read_regional(section.reader, &mut fields);
        fields.finish(section.reader);
        regions.insert(entry.key.clone(), ReplicaSection { key, tags, settings });
    }
    Some(regions)
}

fn read_key(reader: &mut Reader<'_>, node: &Node) -> Option<Encryption> {
    let named = reader.checked(node, "key", check_replica_key)?;
    Some(if named.starts_with("arn:") { Encryption::Kms(named) } else { Encryption::Alias(named) })
}

/// Adds the lines of a table's own section.
pub(in crate::kind::table) fn write(section: &mut String, replicas: &ReplicasSection) {
    line(section, "consistency", replicas.consistency.map(|mode| quoted(mode.as_str())));
    line(section, "witness", replicas.witness.as_deref().map(quoted));
    if replicas.regions.as_ref().is_some_and(IndexMap::is_empty) {
        line(section, "replicas", Some(String::from("{}")));
    }
}

/// Adds a section for each replica.
pub(in crate::kind::table) fn write_regions(section: &mut String, header: &str, replicas: &ReplicasSection) {
    for (region, replica) in replicas.regions.iter().flatten() {
        section.push_str(&format!("\n[{header}.replicas.{}]\n", bare(region)));
        let key = match &replica.key {
            Some(Encryption::Kms(name) | Encryption::Alias(name)) => Some(quoted(name)),
            Some(Encryption::AwsOwned | Encryption::AwsManaged) | None => None,
        };
        line(section, "key", key);
        replica.settings.write(section);
        line(section, "tags", replica.tags.as_ref().map(tags));
    }
}

/// Returns the desired replicas of a table; `None` if they are not managed.
pub(in crate::kind::table) fn resolve(
    resolver: &mut Resolver<'_>,
    key: &str,
    section: &ReplicasSection,
) -> Option<Replicas> {
    let Some(regions) = &section.regions else {
        let alone = [("consistency", section.consistency.is_some()), ("witness", section.witness.is_some())];
        for (setting, _) in alone.into_iter().filter(|(_, given)| *given) {
            let problem = format!("`tables.{key}` has `{setting}` and no `replicas`");
            let help = "add replicas = { eu-west-1 = {} }, or remove it";
            resolver.fault(&["tables", key, setting], Invalid::new(problem, help), "without replicas");
        }
        return None;
    };
    let table = |replica: &ReplicaSection| Table {
        encryption: replica.key.clone(),
        tags: replica.tags.as_ref().map(|own| resolver.tags(Some(own))),
        settings: replica.settings.clone(),
        ..Table::default()
    };
    let regions = regions.iter().map(|(region, replica)| (region.clone(), table(replica))).collect();
    Some(Replicas {
        consistency: section.consistency,
        witness: section.witness.clone(),
        regions,
        ..Replicas::default()
    })
}

/// Returns a replica or witness in the table's own region, which AWS refuses.
pub(in crate::kind::table) fn misplaced(key: &str, table: &Table, region: &RegionName) -> Option<Misplaced> {
    let replicas = table.replicas.as_ref()?;
    let own = region.as_str();
    let (setting, what) = match () {
        () if replicas.regions.contains_key(own) => (vec!["replicas", own], "a replica"),
        () if replicas.witness.as_deref() == Some(own) => (vec!["witness"], "its witness"),
        () => return None,
    };
    let problem = format!("`tables.{key}` is in {own}, and has {what} there too");
    let help = "name other regions only: the table itself is what is in its own";
    let setting = setting.into_iter().map(str::to_owned).collect();
    Some(Misplaced { setting, problem: Invalid::new(problem, help) })
}

/// Checks replicas against their table.
pub(in crate::kind::table) fn check(resolver: &mut Resolver<'_>, key: &str, table: &Table) {
    let Some(replicas) = table.replicas.as_ref().filter(|replicas| !replicas.regions.is_empty()) else { return };
    let mut fault = |place: &[&str], problem: String, help: &str, label: &str| {
        resolver.fault(&[&["tables", key], place].concat(), Invalid::new(problem, help), label);
    };
    if let Some(Billing::Provisioned(_)) = table.billing {
        let help = "remove read_capacity and write_capacity and use autoscaling, or write billing_mode = \
             \"PAY_PER_REQUEST\": AWS replicates writes to all regions";
        fault(&["replicas"], format!("`tables.{key}` has replicas and a fixed capacity"), help, "AWS refuses replicas");
    }
    // Source: DDB-TABLE-288.
    if let (Some(Billing::External), Some(scaling)) = (table.billing, &table.settings.autoscaling) {
        let is_off = |scales: Scales| matches!(scales.write, Some(Scale::Off));
        let is_scaled = matches!(scaling.table.write, Some(Scale::Within(_)));
        let lacking = table.indexes.iter().flatten().map(|(index, _)| index).find(|index| {
            scaling.indexes.get(*index).map_or(is_scaled, |own| is_off(*own) || (is_scaled && own.write.is_none()))
        });
        let help = "add write = { min = 1, max = 10 } to its autoscaling, or write billing_mode = \"PAY_PER_REQUEST\": AWS replicates \
                    writes to all regions";
        match lacking {
            _ if is_off(scaling.table) => {
                let problem = format!("`tables.{key}` has replicas, and its write capacity is not scaled");
                fault(&["autoscaling"], problem, help, "AWS refuses replicas");
            }
            Some(index) => {
                let problem =
                    format!("`tables.{key}` has replicas, and the write capacity of its index {index} is not scaled");
                fault(&["indexes", index], problem, help, "AWS refuses replicas");
            }
            None => {}
        }
    }
    for (region, replica) in &replicas.regions {
        let place = ["replicas", region.as_str()];
        match (table.encryption.as_ref().map(Encryption::is_of_customer), &replica.encryption) {
            (Some(true), None) => {
                let help = "add key = \"alias/NAME\", with a key of that region: AWS requires one for each replica of \
                     such a table";
                fault(
                    &place,
                    format!("the replica in {region} has no `key`, and `tables.{key}` has a key of its own"),
                    help,
                    "no key",
                );
            }
            (Some(false), Some(_)) => {
                let help = "remove the key, or set `encryption` for the table: AWS requires a key for all or for none";
                fault(
                    &place,
                    format!("the replica in {region} has a key, and `tables.{key}` has none of its own"),
                    help,
                    "a key",
                );
            }
            _ => {}
        }
    }
    let strong = replicas.consistency == Some(Consistency::Strong);
    match &replicas.witness {
        Some(witness) if !strong => {
            let problem = format!("`tables.{key}` has a witness in {witness} without strong consistency");
            fault(&["witness"], problem, "add consistency = \"STRONG\", or remove the witness", "a witness");
        }
        Some(witness) if replicas.regions.contains_key(witness) => {
            let problem = format!("`tables.{key}` has a witness and a replica in {witness}");
            fault(&["witness"], problem, "a witness needs a separate region", "duplicate region");
        }
        _ => {}
    }
    // Source: "How DynamoDB global tables work" in the Amazon DynamoDB Developer Guide.
    if strong && matches!(table.ttl, Some(Ttl::Enabled(_))) {
        let problem = format!("`tables.{key}` has TTL and strong consistency");
        fault(
            &["consistency"],
            problem,
            "AWS does not support TTL in such a group: remove ttl_attribute, or write EVENTUAL",
            "with TTL",
        );
    }
    if strong && table.local_indexes.as_ref().is_some_and(|indexes| !indexes.is_empty()) {
        let problem = format!("`tables.{key}` has local indexes and strong consistency");
        let help = "AWS does not support local indexes in such a group: remove them, or write EVENTUAL";
        fault(&["consistency"], problem, help, "with local indexes");
    }
    if strong && replicas.regions.len() + usize::from(replicas.witness.is_some()) != 2 {
        let problem = format!("`tables.{key}` has strong consistency and not three regions");
        let help = "a group with strong consistency is the table with two replicas, or with one replica and a witness";
        fault(&["consistency"], problem, help, "not three regions");
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(in crate::kind::table) mod any {
    use proptest::collection::btree_map;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;
    use crate::kind::section::any::tags as tag_sets;

    pub(in crate::kind::table) fn section() -> impl Strategy<Value = ReplicasSection> {
        let region = prop_oneof![Just("eu-west-1"), Just("eu-central-1"), Just("us-gov-east-1")];
        let key = prop_oneof![
            "[a-z0-9-]{1,12}".prop_map(|id| Encryption::Kms(format!("arn:aws:kms:eu-west-1:123456789012:key/{id}"))),
            "[bcd][a-z0-9-]{1,12}".prop_map(|name| Encryption::Alias(format!("alias/{name}"))),
        ];
        let replica = (of(key), of(tag_sets()), Settings::any()).prop_map(|(key, tags, settings)| ReplicaSection {
            key,
            tags,
            settings: settings.regional(),
        });
        let regions = btree_map(region.prop_map(str::to_owned), replica, 0..3);
        let mode = prop_oneof![Just(Consistency::Eventual), Just(Consistency::Strong)];
        let witness = of(Just(String::from("us-west-2")));
        (of(mode), witness, of(regions)).prop_map(|(consistency, witness, regions)| ReplicasSection {
            consistency,
            witness,
            regions: regions.map(|regions| regions.into_iter().collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_replica_is_an_alias_or_an_arn() {
        for good in ["alias/app", "arn:aws:kms:eu-west-1:111111111111:key/1"] {
            assert!(check_replica_key(good).is_ok(), "{good} refused");
        }
        for bad in ["", "alias/aws/dynamodb", "aws-managed", "1234"] {
            assert!(check_replica_key(bad).is_err(), "{bad} passed");
        }
    }
}

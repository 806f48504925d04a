//! `[tables.NAME]`: read, written, and turned into desired state.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::index_section::{self, IndexSection, LocalIndexSection, attribute_toml, read_attribute};
use super::{
    ALIAS, Attribute, Billing, Builtin, Capacity, Encryption, FIRST_CAPACITY, Key, ReplicasSection, Settings, Table,
    Ttl, check, check_attribute, check_kms_key, check_name, replicas,
};
use crate::document::write::{bare, line, quoted, tags};
use crate::document::{Entry, Fields, Node, Reader, Value};
use crate::kind::references::{self, Named, Reference};
use crate::kind::section::{Resolver, SectionReader};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::resource::Tags;

/// The owner of a provisioned table's capacity, other than the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityOwner {
    /// Something other than Sentinel and the manifest's autoscaling.
    External,
}

/// `[tables.NAME]`: one table. For a built-in name, the section overrides or extends its layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableSection {
    pub name: Option<String>,
    pub partition_key: Option<Attribute>,
    pub sort_key: Option<Attribute>,
    /// `ttl_attribute = false` turns TTL off.
    pub ttl_attribute: Option<Ttl>,
    pub billing_mode: Option<BillingMode>,
    /// `capacity = "external"`. This is the default for a provisioned table without a capacity.
    pub capacity: Option<CapacityOwner>,
    pub read_capacity: Option<i64>,
    pub write_capacity: Option<i64>,
    pub encryption: Option<EncryptionSetting>,
    pub tags: Option<Tags>,
    pub replicas: ReplicasSection,
    pub settings: Settings,
    pub indexes: Option<IndexMap<String, IndexSection>>,
    pub local_indexes: Option<IndexMap<String, LocalIndexSection>>,
}

/// A table's encryption as written in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncryptionSetting {
    Of(Encryption),
    /// `{ key = "records" }`: the key of `[keys.records]`.
    Key(String),
}

/// A billing mode, as AWS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillingMode {
    PayPerRequest,
    Provisioned,
}

pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<TableSection> {
    let key = &entry.key;
    section.note(&["tables", key], &entry.key_span);
    let mut fields = section.open(entry, "tables")?;
    let custom = Builtin::from_key(key).is_none();
    const MODES: &[(&str, BillingMode)] =
        &[("PAY_PER_REQUEST", BillingMode::PayPerRequest), ("PROVISIONED", BillingMode::Provisioned)];
    let mut table = TableSection {
        name: fields.get("name").and_then(|entry| {
            section.note(&["tables", key, "name"], &entry.node.span);
            section.reader.checked(&entry.node, "name", check_name)
        }),
        partition_key: read_attribute(section.reader, &mut fields, "partition_key"),
        sort_key: read_attribute(section.reader, &mut fields, "sort_key"),
        ttl_attribute: fields.get("ttl_attribute").and_then(|entry| read_ttl(section.reader, &entry.node)),
        billing_mode: fields
            .get("billing_mode")
            .and_then(|entry| section.reader.choice(&entry.node, "billing_mode", MODES)),
        capacity: fields
            .get("capacity")
            .and_then(|entry| section.reader.choice(&entry.node, "capacity", &[("external", CapacityOwner::External)])),
        read_capacity: fields.get("read_capacity").and_then(|entry| section.reader.count(&entry.node, "read_capacity")),
        write_capacity: fields
            .get("write_capacity")
            .and_then(|entry| section.reader.count(&entry.node, "write_capacity")),
        encryption: fields.get("encryption").and_then(|entry| {
            section.note(&["tables", key, "encryption"], &entry.node.span);
            read_encryption(section.reader, &entry.node)
        }),
        tags: section.tags(&mut fields),
        replicas: replicas::manifest::read(section, key, &mut fields),
        settings: Settings::read(section, key, &mut fields),
        indexes: None,
        local_indexes: None,
    };
    if let Some(entry) = fields.get("indexes") {
        section.note(&["tables", key, "indexes"], &entry.key_span);
        table.indexes = index_section::read_indexes(section, key, &entry.node);
    }
    if let Some(entry) = fields.get("local_indexes") {
        section.note(&["tables", key, "local_indexes"], &entry.key_span);
        table.local_indexes = index_section::read_local_indexes(section, key, &entry.node);
    }
    let removed = section.is_removed();
    let reader = &mut *section.reader;
    check_capacity(reader, entry, &table);
    if custom {
        let missing = |fields: &mut Fields<'_>, name| fields.get(name).is_none();
        if missing(&mut fields, "name") {
            let help = "a table other than the built-in ones (approvals, breakglass, sessions) requires name: add it";
            reader.fault(entry.key_span.clone(), format!("`tables.{key}` has no `name`"), "no name", help);
        }
        if missing(&mut fields, "partition_key") && !removed {
            let help = "add partition_key = { name = \"id\", type = \"S\" }";
            let message = format!("`tables.{key}` has no `partition_key`");
            reader.fault(entry.key_span.clone(), message, "no partition key", help);
        }
    }
    fields.finish(reader);
    Some(table)
}

fn check_capacity(reader: &mut Reader<'_>, entry: &Entry, section: &TableSection) {
    let provisioned = section.billing_mode == Some(BillingMode::Provisioned);
    let given = [section.read_capacity.is_some(), section.write_capacity.is_some()];
    let key = &entry.key;
    if provisioned && given[0] != given[1] {
        let help = "set both, in units per second, or neither and capacity = \"external\" if something else sets it";
        let message = format!("`tables.{key}` has only one of read_capacity and write_capacity");
        reader.fault(entry.key_span.clone(), message, "incomplete capacity", help);
    }
    if section.capacity.is_some() && (!provisioned || given.contains(&true)) {
        let help = "write it with billing_mode = \"PROVISIONED\" and without read_capacity and write_capacity";
        let message = format!("`tables.{key}` has `capacity = \"external\"`, which does not apply to it");
        reader.fault(entry.key_span.clone(), message, "not external", help);
        return;
    }
    if !provisioned && given.contains(&true) {
        let help = "add billing_mode = \"PROVISIONED\", or remove read_capacity and write_capacity";
        let message = format!("`tables.{key}` has a capacity and is not PROVISIONED");
        reader.fault(entry.key_span.clone(), message, "a capacity without effect", help);
    }
}

fn read_ttl(reader: &mut Reader<'_>, node: &Node) -> Option<Ttl> {
    match &node.value {
        Value::Bool(false) => Some(Ttl::Disabled),
        Value::String(_) => reader.checked(node, "ttl_attribute", check_attribute).map(Ttl::Enabled),
        _ => {
            reader.wrong_type(node, "ttl_attribute", "an attribute's name, or false for no TTL");
            None
        }
    }
}

fn read_encryption(reader: &mut Reader<'_>, node: &Node) -> Option<EncryptionSetting> {
    if references::is_one(node) {
        let key = references::read(reader, node, "encryption", KindId::Key)?;
        return Some(EncryptionSetting::Key(key.key));
    }
    let encryption = match reader.string(node, "encryption")?.as_str() {
        "aws-owned" => Encryption::AwsOwned,
        "aws-managed" => Encryption::AwsManaged,
        _ => {
            let named = reader.checked(node, "encryption", check_kms_key)?;
            if named.starts_with(ALIAS) { Encryption::Alias(named) } else { Encryption::Kms(named) }
        }
    };
    Some(EncryptionSetting::Of(encryption))
}

pub(super) fn references(section: &TableSection) -> Vec<Reference> {
    match &section.encryption {
        Some(EncryptionSetting::Key(key)) => {
            vec![Reference { setting: vec![String::from("encryption")], to: Address::new(KindId::Key, key) }]
        }
        Some(EncryptionSetting::Of(_)) | None => Vec::new(),
    }
}

/// Returns the AWS names of the resources that a section uses.
pub(super) fn uses(section: &TableSection) -> Vec<Named> {
    match &section.encryption {
        Some(EncryptionSetting::Of(Encryption::Alias(alias))) => {
            vec![Named { setting: vec![String::from("encryption")], kind: KindId::Key, name: alias.clone() }]
        }
        Some(EncryptionSetting::Of(_) | EncryptionSetting::Key(_)) | None => Vec::new(),
    }
}

/// Returns a section as TOML.
pub(super) fn write(name: &str, table: &TableSection) -> String {
    let header = format!("tables.{}", bare(name));
    let mut section = format!("[{header}]\n");
    line(&mut section, "name", table.name.as_deref().map(quoted));
    line(&mut section, "partition_key", table.partition_key.as_ref().map(attribute_toml));
    line(&mut section, "sort_key", table.sort_key.as_ref().map(attribute_toml));
    let ttl = table.ttl_attribute.as_ref().map(|ttl| match ttl {
        Ttl::Enabled(attribute) => quoted(attribute),
        Ttl::Disabled | Ttl::Disabling => String::from("false"),
    });
    line(&mut section, "ttl_attribute", ttl);
    let mode = table.billing_mode.map(|mode| match mode {
        BillingMode::PayPerRequest => quoted("PAY_PER_REQUEST"),
        BillingMode::Provisioned => quoted("PROVISIONED"),
    });
    line(&mut section, "billing_mode", mode);
    let capacity = table.capacity.map(|CapacityOwner::External| quoted("external"));
    line(&mut section, "capacity", capacity);
    line(&mut section, "read_capacity", table.read_capacity.map(|units| units.to_string()));
    line(&mut section, "write_capacity", table.write_capacity.map(|units| units.to_string()));
    let encryption = table.encryption.as_ref().map(|encryption| match encryption {
        EncryptionSetting::Key(key) => format!("{{ key = {} }}", quoted(key)),
        EncryptionSetting::Of(Encryption::AwsOwned) => quoted("aws-owned"),
        EncryptionSetting::Of(Encryption::AwsManaged) => quoted("aws-managed"),
        EncryptionSetting::Of(Encryption::Kms(name) | Encryption::Alias(name)) => quoted(name),
    });
    line(&mut section, "encryption", encryption);
    table.settings.write(&mut section);
    line(&mut section, "tags", table.tags.as_ref().map(tags));
    replicas::manifest::write(&mut section, &table.replicas);
    index_section::write(&mut section, &header, table.indexes.as_ref(), table.local_indexes.as_ref());
    replicas::manifest::write_regions(&mut section, &header, &table.replicas);
    section
}

/// Returns the desired state of a section; `None` without a name.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &TableSection) -> Option<Desired<Table>> {
    let builtin = Builtin::from_key(key);
    let layout = builtin.map(Builtin::layout).unwrap_or_default();
    let name = section.name.clone().or_else(|| builtin.map(|builtin| builtin.default_name().to_owned()))?;
    let table_key = match (&section.partition_key, &layout.key) {
        (Some(partition), layout) => {
            let sort = section.sort_key.clone().or_else(|| layout.as_ref().and_then(|key| key.sort.clone()));
            Some(Key { partition: partition.clone(), sort })
        }
        (None, Some(layout)) => {
            Some(Key { partition: layout.partition.clone(), sort: section.sort_key.clone().or(layout.sort.clone()) })
        }
        (None, None) => None,
    };
    let managed = Table {
        key: table_key,
        indexes: index_section::merged(section.indexes.as_ref(), layout.indexes),
        local_indexes: section.local_indexes.as_ref().map(index_section::local),
        ttl: section.ttl_attribute.clone().or(layout.ttl),
        billing: billing(section).or(layout.billing),
        encryption: section.encryption.as_ref().and_then(|setting| encryption(resolver, setting)),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
        replicas: replicas::manifest::resolve(resolver, key, &section.replicas),
        settings: settings(resolver, key, section),
    };
    check::check(resolver, key, &managed);
    managed.settings.check(resolver, key, &managed);
    replicas::manifest::check(resolver, key, &managed);
    let initial = Table {
        billing: first_billing(&managed),
        tags: Some(resolver.initial_tags(&["tables", key], section.tags.as_ref())),
        ..managed.clone()
    };
    let label = builtin.map_or_else(|| key.to_owned(), |builtin| builtin.label().to_owned());
    Some(Desired {
        address: Address::new(KindId::Table, key),
        presence: Presence::Present,
        ownership: resolver.ownership.clone(),
        adopt: false,
        name,
        label,
        origin: None,
        depends_on: BTreeSet::new(),
        managed,
        initial,
    })
}

/// Returns the key of a setting. A key of the manifest is referenced by its alias, which is known before the key exists.
fn encryption(resolver: &Resolver<'_>, setting: &EncryptionSetting) -> Option<Encryption> {
    match setting {
        EncryptionSetting::Of(encryption) => Some(encryption.clone()),
        // A missing key is already a fault.
        EncryptionSetting::Key(key) => {
            resolver.names.get(&Address::new(KindId::Key, key)).cloned().map(Encryption::Alias)
        }
    }
}

/// Returns the initial billing mode of a table. If autoscaling sets its capacity, it starts with the minimum.
fn first_billing(managed: &Table) -> Option<Billing> {
    let scaled = managed.settings.autoscaling.as_ref().map(|scaling| scaling.least(None));
    match (managed.billing, scaled) {
        (Some(Billing::External), Some((read, write))) if read.or(write).is_some() => {
            let (read, write) = (read.unwrap_or(FIRST_CAPACITY.read), write.unwrap_or(FIRST_CAPACITY.write));
            Some(Billing::Provisioned(Capacity { read, write }))
        }
        (billing, _) => billing.or(Some(Billing::PayPerRequest)),
    }
}

/// Returns the settings of a section and its indexes.
fn settings(resolver: &mut Resolver<'_>, key: &str, section: &TableSection) -> Settings {
    let mut settings = section.settings.clone().resolved(resolver, key);
    for (name, index) in section.indexes.iter().flatten() {
        index.settings.add_to(&mut settings, name);
    }
    settings
}

fn billing(section: &TableSection) -> Option<Billing> {
    match section.billing_mode? {
        BillingMode::PayPerRequest => Some(Billing::PayPerRequest),
        BillingMode::Provisioned => match (section.read_capacity, section.write_capacity) {
            (None, None) => Some(Billing::External),
            (read, write) => Some(Billing::Provisioned(Capacity { read: read?, write: write? })),
        },
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::super::index_section::any::{attributes, indexes, local_indexes};
    use super::*;
    use crate::kind::section::any::tags as tag_sets;

    fn tables() -> impl Strategy<Value = TableSection> {
        let ttl = prop_oneof![Just(Ttl::Disabled), "\\PC{1,12}".prop_map(Ttl::Enabled)];
        let encryption = prop_oneof![
            Just(Encryption::AwsOwned),
            Just(Encryption::AwsManaged),
            "[a-z0-9-]{1,12}".prop_map(|id| Encryption::Kms(format!("arn:aws:kms:eu-west-1:123456789012:key/{id}"))),
            "[bcd][a-z0-9-]{1,12}".prop_map(|name| Encryption::Alias(format!("alias/{name}"))),
        ];
        let encryption =
            prop_oneof![encryption.prop_map(EncryptionSetting::Of), "\\PC{1,12}".prop_map(EncryptionSetting::Key)];
        let billing = prop_oneof![
            Just((None, None, None, None)),
            Just((Some(BillingMode::PayPerRequest), None, None, None)),
            Just((Some(BillingMode::Provisioned), None, None, None)),
            Just((Some(BillingMode::Provisioned), Some(CapacityOwner::External), None, None)),
            (1i64.., 1i64..).prop_map(|(read, write)| (Some(BillingMode::Provisioned), None, Some(read), Some(write))),
        ];
        let keys = ("[a-zA-Z0-9_.-]{3,20}", attributes(), of(attributes()), of(ttl), billing);
        let indexes = (of(indexes()), of(local_indexes()));
        let rest = (of(encryption), Settings::any(), of(tag_sets()), indexes, replicas::manifest::any::section());
        (keys, rest).prop_map(|((name, partition_key, sort_key, ttl_attribute, billing), rest)| {
            let (billing_mode, capacity, read_capacity, write_capacity) = billing;
            let (encryption, settings, tags, (indexes, local_indexes), replicas) = rest;
            TableSection {
                name: Some(name),
                partition_key: Some(partition_key),
                sort_key,
                ttl_attribute,
                billing_mode,
                capacity,
                read_capacity,
                write_capacity,
                encryption,
                tags,
                replicas,
                settings,
                indexes,
                local_indexes,
            }
        })
    }

    /// Returns any sections that a manifest may have.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, TableSection>> {
        let builtins = proptest::sample::subsequence(Builtin::ALL.to_vec(), 0..=3);
        (vec(("\\PC{1,12}", tables()), 0..3), builtins).prop_map(|(custom, builtins)| {
            let mut tables: IndexMap<String, TableSection> = custom.into_iter().collect();
            tables.extend(builtins.into_iter().map(|builtin| (builtin.key().to_owned(), TableSection::default())));
            tables
        })
    }
}

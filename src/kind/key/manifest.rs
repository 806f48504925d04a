//! `[keys.NAME]`: read, written, and turned into desired state.

use super::{ALIAS, Key, ROTATION_DAYS, Rotation, check_alias, check_description, check_policy};
use crate::document::write::{bare, line, quoted, tags};
use crate::document::{Entry, Fields, Node, Reader, Value};
use crate::kind::document::PolicyDocument;
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId};
use crate::resource::Tags;

/// `[keys.NAME]`: one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySection {
    /// `alias/NAME` if omitted.
    pub alias: Option<String>,
    pub description: Option<String>,
    /// The path of a JSON file.
    pub policy: Option<String>,
    /// `rotation = true` or `false`, or `rotation_days`.
    pub rotation: Option<Rotation>,
    pub multi_region: Option<bool>,
    pub tags: Option<Tags>,
}

pub(super) fn alias(key: &str, section: &KeySection) -> String {
    section.alias.clone().unwrap_or_else(|| format!("{ALIAS}{key}"))
}

pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<KeySection> {
    let key = &entry.key;
    section.note(&["keys", key], &entry.key_span);
    let mut fields = section.open(entry, "keys")?;
    let alias = if let Some(entry) = fields.get("alias") {
        section.note(&["keys", key, "name"], &entry.node.span);
        section.reader.checked(&entry.node, "alias", check_alias)
    } else {
        check_key(section.reader, entry, |key| {
            check_alias(&format!("{ALIAS}{key}")).map_err(|mut invalid| {
                invalid.help.push_str("; or set alias, and give the section any name");
                invalid
            })
        });
        None
    };
    let description = fields
        .get("description")
        .and_then(|entry| section.reader.checked(&entry.node, "description", check_description));
    let policy = fields.get("policy").and_then(|entry| {
        section.note(&["keys", key, "policy"], &entry.node.span);
        section.reader.string(&entry.node, "policy")
    });
    let rotation = read_rotation(section.reader, &mut fields);
    let multi_region = fields.get("multi_region").and_then(|entry| section.reader.boolean(&entry.node, "multi_region"));
    let tags = section.tags(&mut fields);
    fields.finish(section.reader);
    Some(KeySection { alias, description, policy, rotation, multi_region, tags })
}

fn read_rotation(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Rotation> {
    let (switch, days) = (fields.get("rotation"), fields.get("rotation_days"));
    if let (Some(_), Some(days)) = (switch, days) {
        let help = "remove rotation: rotation_days turns it on";
        reader.fault(days.key_span.clone(), "both `rotation` and `rotation_days` are given", "one too many", help);
        return None;
    }
    match (switch, days) {
        (Some(switch), _) => {
            let on = reader.boolean(&switch.node, "rotation")?;
            Some(if on { Rotation::On } else { Rotation::Off })
        }
        (None, Some(days)) => read_days(reader, &days.node).map(Rotation::Days),
        (None, None) => None,
    }
}

fn read_days(reader: &mut Reader<'_>, node: &Node) -> Option<u16> {
    let Value::Integer(number) = node.value else {
        reader.wrong_type(node, "rotation_days", "an integer number of days");
        return None;
    };
    let days = u16::try_from(number).ok().filter(|days| ROTATION_DAYS.contains(days));
    if days.is_none() {
        let message = format!("`rotation_days` cannot be {number}");
        reader.fault(node.span.clone(), message, "out of range", "KMS accepts 90 to 2,560 days");
    }
    days
}

/// Returns a section as TOML.
pub(super) fn write(name: &str, key: &KeySection) -> String {
    let mut section = format!("[keys.{}]\n", bare(name));
    line(&mut section, "alias", key.alias.as_deref().map(quoted));
    line(&mut section, "description", key.description.as_deref().map(quoted));
    line(&mut section, "policy", key.policy.as_deref().map(quoted));
    match key.rotation {
        Some(Rotation::Off) => line(&mut section, "rotation", Some(String::from("false"))),
        Some(Rotation::On) => line(&mut section, "rotation", Some(String::from("true"))),
        Some(Rotation::Days(days)) => line(&mut section, "rotation_days", Some(days.to_string())),
        None => {}
    }
    line(&mut section, "multi_region", key.multi_region.map(|flag| flag.to_string()));
    line(&mut section, "tags", key.tags.as_ref().map(tags));
    section
}

/// Returns the description of a new key, if the manifest has none.
pub(super) fn initial_description(alias: &str) -> String {
    format!("{alias}, created by sentinel")
}

/// Returns the desired state of a section.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &KeySection) -> Desired<Key> {
    let name = alias(key, section);
    let managed = Key {
        description: section.description.clone(),
        policy: section.policy.as_ref().and_then(|file| policy_file(resolver, key, file)),
        rotation: section.rotation,
        multi_region: section.multi_region,
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
        unlike: None,
    };
    let initial = Key {
        // The description identifies a key whose alias is not created yet or was deleted.
        description: Some(managed.description.clone().unwrap_or_else(|| initial_description(&name))),
        // Without a policy, AWS creates one that delegates to the account's IAM policies, so no account ID is needed. Source: CreateKey in
        // the AWS Key Management Service API Reference.
        policy: managed.policy.clone(),
        tags: Some(resolver.initial_tags(&["keys", key], section.tags.as_ref())),
        ..managed.clone()
    };
    let desired = Desired::new(Address::new(KindId::Key, key), name, managed);
    Desired { ownership: resolver.ownership.clone(), origin: section.policy.clone(), initial, ..desired }
}

/// Returns the section of a key's managed settings.
pub(super) fn section_of(desired: &Desired<Key>) -> KeySection {
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = &desired.managed;
    KeySection {
        alias: Some(desired.name.clone()),
        description: description.clone(),
        policy: desired.origin.clone().filter(|_| policy.is_some()),
        rotation: *rotation,
        multi_region: *multi_region,
        tags: tags.clone(),
    }
}

fn policy_file(resolver: &mut Resolver<'_>, key: &str, file: &str) -> Option<PolicyDocument> {
    let read = resolver.files.read(file).and_then(|text| PolicyDocument::parse(&text));
    let checked = read.and_then(|policy| check_policy(&policy).map(|()| policy));
    match checked {
        Ok(policy) => Some(policy),
        Err(mut invalid) => {
            if !invalid.problem.contains(file) {
                invalid.problem = format!("{file}: {}", invalid.problem);
            }
            resolver.fault(&["keys", key, "policy"], invalid, "this file");
            None
        }
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use indexmap::IndexMap;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    /// Generates sections.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, KeySection>> {
        let rotation = prop_oneof![Just(Rotation::Off), Just(Rotation::On), ROTATION_DAYS.prop_map(Rotation::Days)];
        let tags = of(crate::kind::section::any::tags());
        let alias = "[bcd][a-zA-Z0-9/_-]{0,12}".prop_map(|name| format!("{ALIAS}{name}"));
        let key = (of(alias), of("[^\\pC{}]{0,20}"), of("[^\\pC{}]{0,20}"), of(rotation), of(any::<bool>()), tags)
            .prop_map(|(alias, description, policy, rotation, multi_region, tags)| KeySection {
                alias,
                description,
                policy,
                rotation,
                multi_region,
                tags,
            });
        vec(("[bcd][a-zA-Z0-9_-]{0,12}", key), 0..4).prop_map(|sections| sections.into_iter().collect())
    }
}

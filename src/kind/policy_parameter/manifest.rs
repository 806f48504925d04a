//! `[profiles.NAME]`: read, written, and turned into desired state.

use std::collections::BTreeSet;

use super::{
    Content, ParameterType, PolicyParameter, Settings, Tier, check_content, check_length, check_profile, secrets,
    settings,
};
use crate::diagnostic::Source;
use crate::document::write::{bare, line, quoted, tags};
use crate::document::{Entry, Node, Reader};
use crate::kind::key::check_alias;
use crate::kind::references::{self, Named, Reference};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::policy;
use crate::resource::{Invalid, Tags};

/// `[profiles.NAME]`: one policy parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileSection {
    pub policy: Option<String>,
    /// Only where it is a `SecureString`.
    pub parameter_type: Option<ParameterType>,
    pub key: Option<KeySetting>,
    pub tier: Option<Tier>,
    pub settings: Settings,
    pub tags: Option<Tags>,
}

/// The key that encrypts a `SecureString`, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetting {
    /// `key = { key = "records" }`.
    Reference(Address),
    /// An alias or an ARN.
    Id(String),
}

/// Returns what a section refers to.
pub(super) fn references(section: &ProfileSection) -> Vec<Reference> {
    match &section.key {
        Some(KeySetting::Reference(to)) => vec![Reference { setting: vec![String::from("key")], to: to.clone() }],
        Some(KeySetting::Id(_)) | None => Vec::new(),
    }
}

/// Returns the names in AWS that a section has in the place of a reference.
pub(super) fn uses(section: &ProfileSection) -> Vec<Named> {
    match &section.key {
        Some(KeySetting::Id(name)) => {
            vec![Named { setting: vec![String::from("key")], kind: KindId::Key, name: name.clone() }]
        }
        Some(KeySetting::Reference(_)) | None => Vec::new(),
    }
}

fn read_key(reader: &mut Reader<'_>, node: &Node) -> Option<KeySetting> {
    if references::is_one(node) {
        return references::read(reader, node, "key", KindId::Key).map(KeySetting::Reference);
    }
    reader.checked(node, "key", check_kms_key).map(KeySetting::Id)
}

fn check_kms_key(name: &str) -> Result<(), Invalid> {
    if name.starts_with("alias/") {
        return check_alias(name);
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    if matches!(parts[..], ["arn", _, "kms", _, _, resource] if resource.starts_with("key/")) {
        return Ok(());
    }
    let help = "write { key = \"NAME\" } for [keys.NAME], a key's alias (alias/NAME), or its ARN \
                (arn:aws:kms:REGION:ACCOUNT:key/ID); without key, a new parameter has the account's alias/aws/ssm";
    Err(Invalid::new(format!("`key` cannot be \"{name}\""), help))
}

/// Reads a section.
pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<ProfileSection> {
    let name = &entry.key;
    check_key(section.reader, entry, check_profile);
    section.note(&["profiles", name], &entry.key_span);
    let mut fields = section.open(entry, "profiles")?;
    let policy = fields.get("policy").and_then(|entry| {
        section.note(&["profiles", name, "policy"], &entry.node.span);
        section.reader.string(&entry.node, "policy")
    });
    let types = [("String", ParameterKind::Plain), ("SecureString", ParameterKind::Secret)];
    let kind = fields.get("type").and_then(|entry| section.reader.choice(&entry.node, "type", &types));
    let parameter_type = (kind == Some(ParameterKind::Secret)).then_some(ParameterType::SecureString);
    let key = fields.get("key").and_then(|entry| {
        section.note(&["profiles", name, "key"], &entry.node.span);
        if parameter_type.is_none() {
            let help = "add type = \"SecureString\", or leave key out";
            section.reader.fault(entry.node.span.clone(), "a plain string has no key", "encrypts nothing", help);
        }
        read_key(section.reader, &entry.node)
    });
    let tier = fields.get("tier").and_then(|entry| section.reader.variant(&entry.node, "tier"));
    let settings = settings::read(section.reader, &mut fields);
    if let Some(entry) = fields.get("parameter_policies") {
        section.note(&["profiles", name, "parameter_policies"], &entry.node.span);
    }
    let tags = section.tags(&mut fields);
    fields.finish(section.reader);
    Some(ProfileSection { policy, parameter_type, key, tier, settings, tags })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ParameterKind {
    Plain,
    Secret,
}

/// Returns a section as TOML.
pub(super) fn write(name: &str, profile: &ProfileSection) -> String {
    let mut section = format!("[profiles.{}]\n", bare(name));
    line(&mut section, "policy", profile.policy.as_deref().map(quoted));
    line(&mut section, "type", profile.parameter_type.as_ref().map(|kind| quoted(kind.as_str())));
    let key = profile.key.as_ref().map(|key| match key {
        KeySetting::Reference(to) => format!("{{ key = {} }}", quoted(&to.key)),
        KeySetting::Id(name) => quoted(name),
    });
    line(&mut section, "key", key);
    line(&mut section, "tier", profile.tier.map(|tier| quoted(tier.as_str())));
    settings::write(&mut section, &profile.settings);
    line(&mut section, "tags", profile.tags.as_ref().map(tags));
    section
}

/// Returns what should be of a section.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &ProfileSection) -> Desired<PolicyParameter> {
    let name = format!("{}/{key}", resolver.policy_root);
    if let Err(invalid) = check_length(&name) {
        resolver.fault(&["profiles", key], invalid, "too long");
    }
    if section.settings.is_advanced() && section.tier.unwrap_or(Tier::Standard) == Tier::Standard {
        let help = "set tier = \"advanced\" for this profile (AWS charges for it), or leave them out";
        let invalid = Invalid::new("the standard tier has no parameter policies", help);
        resolver.fault(&["profiles", key, "parameter_policies"], invalid, "for the advanced tier");
    }
    let parameter_type = section.parameter_type.clone().unwrap_or(ParameterType::String);
    let of = |text: String| match parameter_type {
        ParameterType::SecureString => secrets::of_file(text),
        _ => Content::Text(text.into()),
    };
    let content = section.policy.as_ref().and_then(|file| policy_file(resolver, key, file, section)).map(of);
    let kms = section.key.as_ref().and_then(|setting| match setting {
        // A key that the manifest does not have is a fault already.
        KeySetting::Reference(to) => resolver.names.get(to).cloned(),
        KeySetting::Id(name) => Some(name.clone()),
    });
    let settings = Settings { key: kms, ..section.settings.clone() };
    let managed = PolicyParameter {
        // A policy has to be readable, also one whose content is left alone.
        parameter_type: Some(parameter_type.clone()),
        content: content.clone(),
        tier: section.tier,
        settings: settings.clone(),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
    };
    let initial = PolicyParameter {
        content: Some(content.unwrap_or_else(|| of(policy::default_deny(key)))),
        parameter_type: Some(parameter_type.clone()),
        tier: Some(section.tier.unwrap_or(Tier::Standard)),
        settings,
        tags: Some(resolver.initial_tags(&["profiles", key], section.tags.as_ref())),
    };
    Desired {
        address: Address::new(KindId::Policy, key),
        presence: Presence::Present,
        ownership: resolver.ownership.clone(),
        adopt: false,
        name,
        label: key.to_owned(),
        origin: Some(section.policy.clone().unwrap_or_else(|| String::from("default-deny"))),
        depends_on: BTreeSet::new(),
        managed,
        initial,
    }
}

/// Reads and checks the policy that a profile names.
fn policy_file(resolver: &mut Resolver<'_>, key: &str, file: &str, section: &ProfileSection) -> Option<String> {
    let place = ["profiles", key, "policy"];
    let text = match resolver.files.read(file) {
        Ok(text) => text,
        Err(invalid) => {
            resolver.fault(&place, invalid, "this file");
            return None;
        }
    };
    // A saved plan has the digest of a secret in the place of its text.
    if section.parameter_type.is_some() && resolver.files.is_given() && secrets::is_digest(&text) {
        return Some(text);
    }
    if let Err(invalid) = resolver.files.check_cases(file) {
        resolver.fault(&place, invalid, "beside this file");
    }
    // As a path from where the user is, so that it can be opened from there.
    let shown = resolver.folder.join(file);
    let shown = shown.strip_prefix(".").unwrap_or(&shown).display().to_string();
    policy::check(&Source::new(shown, text.clone()), resolver.faults);
    // An empty policy is reported as one already.
    if !text.trim().is_empty()
        && let Err(invalid) = check_content(&text, section.tier.unwrap_or(Tier::Standard))
    {
        resolver.fault(&place, invalid, "this policy");
    }
    Some(text)
}

/// Values for properties.
#[cfg(test)]
pub(super) mod any {
    use indexmap::IndexMap;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    /// Returns any sections that a manifest may have.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, ProfileSection>> {
        let tier = prop_oneof![Just(Tier::Standard), Just(Tier::Advanced), Just(Tier::Intelligent)];
        let tags = of(crate::kind::section::any::tags());
        let key = prop_oneof![
            "[bcd][a-z0-9-]{1,12}".prop_map(|name| KeySetting::Id(format!("alias/{name}"))),
            "\\PC{1,12}".prop_map(|key| KeySetting::Reference(Address::new(KindId::Key, key))),
        ];
        let profile = (of("\\PC{0,20}"), of(tier), tags, settings::any::settings(), of(key));
        let profile = profile.prop_map(|(policy, tier, tags, settings, key)| {
            // Only that tier has parameter policies.
            let tier = if settings.is_advanced() { Some(Tier::Advanced) } else { tier };
            let parameter_type = key.as_ref().map(|_| ParameterType::SecureString);
            ProfileSection { policy, parameter_type, key, tier, settings, tags }
        });
        vec(("[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,11}", profile), 0..4).prop_map(|sections| sections.into_iter().collect())
    }
}

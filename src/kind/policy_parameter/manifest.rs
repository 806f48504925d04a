//! `[profiles.NAME]`: read, written, and turned into desired state.

use std::collections::BTreeSet;

use super::role::{self, RoleSetting};
use super::{
    Content, KeySetting, ParameterType, PolicyParameter, Settings, Tier, check_content, check_length, check_profile,
};
use crate::diagnostic::{Faults, Source};
use crate::document::Entry;
use crate::document::write::{bare, line, quoted, tags};
use crate::kind::parameter_store::names::check_tier;
use crate::kind::parameter_store::settings::TEXT;
use crate::kind::parameter_store::{key, labels, secrets, settings};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::policy;
use crate::resource::{Invalid, Tags};

/// `[profiles.NAME]`: one policy parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileSection {
    pub policy: Option<String>,
    /// Set only for a `SecureString`.
    pub parameter_type: Option<ParameterType>,
    pub key: Option<KeySetting>,
    /// The role whose credentials the policy releases. It is not part of the parameter.
    pub role: Option<RoleSetting>,
    pub tier: Option<Tier>,
    pub settings: Settings,
    pub labels: Option<BTreeSet<String>>,
    pub tags: Option<Tags>,
}

fn check_data_type(text: &str) -> Result<(), Invalid> {
    if text == TEXT {
        return Ok(());
    }
    let problem = format!("a policy cannot have the data type \"{text}\"");
    Err(Invalid::new(problem, "write \"text\": the others are for the IDs of machine images and for integrations"))
}

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
            key::without_secret(section.reader, &entry.node);
        }
        key::read(section.reader, &entry.node)
    });
    let role = fields.get("role").and_then(|entry| {
        section.note(&["profiles", name, "role"], &entry.node.span);
        role::read(section.reader, &entry.node)
    });
    let tier = fields.get("tier").and_then(|entry| section.reader.variant(&entry.node, "tier"));
    let settings = settings::read(section.reader, &mut fields, check_data_type);
    if let Some(entry) = fields.get("parameter_policies") {
        section.note(&["profiles", name, "parameter_policies"], &entry.node.span);
    }
    let labels = labels::read(section.reader, &mut fields);
    let tags = section.tags(&mut fields);
    fields.finish(section.reader);
    Some(ProfileSection { policy, parameter_type, key, role, tier, settings, labels, tags })
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
    line(&mut section, "key", profile.key.as_ref().map(KeySetting::written));
    line(&mut section, "role", profile.role.as_ref().map(RoleSetting::written));
    line(&mut section, "tier", profile.tier.map(|tier| quoted(tier.as_str())));
    settings::write(&mut section, &profile.settings);
    labels::write(&mut section, profile.labels.as_ref());
    line(&mut section, "tags", profile.tags.as_ref().map(tags));
    section
}

/// Returns the desired state of a section.
pub(super) fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &ProfileSection) -> Desired<PolicyParameter> {
    let name = format!("{}/{key}", resolver.policy_root);
    if let Err(invalid) = check_length(&name) {
        resolver.fault(&["profiles", key], invalid, "too long");
    }
    if let Err(invalid) = check_tier(section.tier, &section.settings, "this profile") {
        resolver.fault(&["profiles", key, "parameter_policies"], invalid, "for the advanced tier");
    }
    let parameter_type = section.parameter_type.clone().unwrap_or(ParameterType::String);
    let of = |text: String| match parameter_type {
        ParameterType::SecureString => secrets::of_file(text),
        _ => Content::Text(text.into()),
    };
    let content = section.policy.as_ref().and_then(|file| policy_file(resolver, key, file, section)).map(of);
    if let Err(invalid) = settings::check_fits(content.as_ref(), &section.settings) {
        resolver.fault(&["profiles", key, "allowed_pattern"], invalid, "not this policy");
    }
    let kms = section.key.as_ref().and_then(|setting| setting.resolved(resolver));
    let settings = Settings { key: kms, ..section.settings.clone() };
    let managed = PolicyParameter {
        // A policy must be readable, even if its content is not managed.
        parameter_type: Some(parameter_type.clone()),
        content: content.clone(),
        tier: section.tier,
        settings: settings.clone(),
        labels: section.labels.clone(),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
        ..PolicyParameter::default()
    };
    let initial = PolicyParameter {
        content: Some(content.unwrap_or_else(|| of(policy::default_deny(key)))),
        parameter_type: Some(parameter_type.clone()),
        tier: Some(section.tier.unwrap_or(Tier::Standard)),
        settings,
        labels: section.labels.clone(),
        tags: Some(resolver.initial_tags(&["profiles", key], section.tags.as_ref())),
        ..PolicyParameter::default()
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

fn policy_file(resolver: &mut Resolver<'_>, key: &str, file: &str, section: &ProfileSection) -> Option<String> {
    let place = ["profiles", key, "policy"];
    let text = match resolver.files.read(file) {
        Ok(text) => text,
        Err(invalid) => {
            resolver.fault(&place, invalid, "this file");
            return None;
        }
    };
    // A saved plan has the digest of a secret instead of its text.
    if section.parameter_type.is_some() && resolver.files.is_given() && secrets::is_digest(&text) {
        return Some(text);
    }
    if let Err(invalid) = resolver.files.check_cases(file) {
        resolver.fault(&place, invalid, "next to this file");
    }
    // Relative to the working directory, so that the path can be opened.
    let shown = resolver.folder.join(file);
    let shown = shown.strip_prefix(".").unwrap_or(&shown).display().to_string();
    if section.parameter_type.is_some() {
        check_secret(resolver, &place, &shown, &text);
    } else {
        policy::check(&Source::new(shown, text.clone()), resolver.faults);
    }
    // An empty policy has already been reported.
    if !text.trim().is_empty()
        && let Err(invalid) = check_content(&text, section.tier.unwrap_or(Tier::Standard))
    {
        resolver.fault(&place, invalid, "this policy");
    }
    Some(text)
}

/// Checks a secret policy. The fault has the numbers of the invalid lines and none of their text.
fn check_secret(resolver: &mut Resolver<'_>, place: &[&str], path: &str, text: &str) {
    let mut own = Faults::default();
    policy::check(&Source::new(path, text), &mut own);
    let lines: BTreeSet<usize> = own.into_sorted().iter().map(|fault| fault.source.line(fault.span.start)).collect();
    if lines.is_empty() {
        return;
    }
    let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let problem = format!("the secret policy {path} is not valid: see line {lines}");
    resolver.fault(
        place,
        Invalid::new(problem, format!("see what is wrong with: sentinel policy lint {path}")),
        "this file",
    );
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
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, ProfileSection>> {
        let tier = prop_oneof![Just(Tier::Standard), Just(Tier::Advanced), Just(Tier::Intelligent)];
        let tags = of(crate::kind::section::any::tags());
        let key = prop_oneof![
            "[bcd][a-z0-9-]{1,12}".prop_map(|name| KeySetting::Id(format!("alias/{name}"))),
            "\\PC{1,12}".prop_map(|key| KeySetting::Reference(Address::new(KindId::Key, key))),
        ];
        let labels = of(proptest::collection::btree_set("[b-r][a-z0-9_.-]{0,9}", 0..4));
        let role = prop_oneof![
            "[a-z]{1,12}".prop_map(|name| RoleSetting::Arn(format!("arn:aws:iam::123456789012:role/{name}"))),
            "\\PC{1,12}".prop_map(|key| RoleSetting::Reference(Address::new(KindId::Role, key))),
        ];
        let profile = (of("[^\\pC{}]{0,20}"), of(tier), tags, settings::any::settings(), of(key), of(role), labels);
        let profile = profile.prop_map(|(policy, tier, tags, settings, key, role, labels)| {
            // Parameter policies require this tier.
            let tier = if settings.is_advanced() { Some(Tier::Advanced) } else { tier };
            let parameter_type = key.as_ref().map(|_| ParameterType::SecureString);
            ProfileSection { policy, parameter_type, key, role, tier, settings, labels, tags }
        });
        vec(("[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,11}", profile), 0..4).prop_map(|sections| sections.into_iter().collect())
    }
}

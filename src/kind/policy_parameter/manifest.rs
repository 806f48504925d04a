//! `[profiles.NAME]`: read, written, and turned into desired state.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ParameterType, PolicyParameter, Settings, Tier, check_content, check_length, check_profile, settings};
use crate::diagnostic::Source;
use crate::document::Entry;
use crate::document::write::{bare, line, quoted, tags};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::policy;
use crate::resource::{Invalid, Tags};

/// `[profiles.NAME]`: one policy parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileSection {
    pub policy: Option<String>,
    pub tier: Option<Tier>,
    pub settings: Settings,
    pub tags: Option<Tags>,
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
    let tier = fields.get("tier").and_then(|entry| section.reader.variant(&entry.node, "tier"));
    let settings = settings::read(section.reader, &mut fields);
    if let Some(entry) = fields.get("parameter_policies") {
        section.note(&["profiles", name, "parameter_policies"], &entry.node.span);
    }
    let tags = section.tags(&mut fields);
    fields.finish(section.reader);
    Some(ProfileSection { policy, tier, settings, tags })
}

/// Returns a section as TOML.
pub(super) fn write(name: &str, profile: &ProfileSection) -> String {
    let mut section = format!("[profiles.{}]\n", bare(name));
    line(&mut section, "policy", profile.policy.as_deref().map(quoted));
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
    let content = section.policy.as_ref().and_then(|file| policy_file(resolver, key, file, section));
    let content: Option<Arc<str>> = content.map(Arc::from);
    let managed = PolicyParameter {
        // A policy has to be readable, also one whose content is left alone.
        parameter_type: Some(ParameterType::String),
        content: content.clone(),
        tier: section.tier,
        settings: section.settings.clone(),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
    };
    let initial = PolicyParameter {
        content: Some(content.unwrap_or_else(|| policy::default_deny(key).into())),
        parameter_type: Some(ParameterType::String),
        tier: Some(section.tier.unwrap_or(Tier::Standard)),
        settings: section.settings.clone(),
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
        let profile = (of("\\PC{0,20}"), of(tier), tags, settings::any::settings());
        let profile = profile.prop_map(|(policy, tier, tags, settings)| {
            // Only that tier has parameter policies.
            let tier = if settings.is_advanced() { Some(Tier::Advanced) } else { tier };
            ProfileSection { policy, tier, settings, tags }
        });
        vec(("[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,11}", profile), 0..4).prop_map(|sections| sections.into_iter().collect())
    }
}

//! `[parameters.NAME]`: read, written, and turned into desired state.

use std::collections::BTreeSet;

use super::source::{self, As, Source};
use super::{Parameter, key};
use crate::document::Entry;
use crate::document::write::{bare, line, quoted, tags};
use crate::kind::parameter_store::key::KeySetting;
use crate::kind::parameter_store::names::{check_name, check_tier};
use crate::kind::parameter_store::{ParameterType, Settings, Tier, labels, settings};
use crate::kind::section::{Resolver, SectionReader, check_key};
use crate::kind::{Address, Desired, KindId, Presence};
use crate::resource::names::PolicyRoot;
use crate::resource::{Invalid, Tags};

/// `[parameters.NAME]`: one parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSection {
    pub name: Option<String>,
    /// `None` only if the parameter is removed.
    pub source: Option<Source>,
    pub parameter_type: Option<ParameterType>,
    pub key: Option<KeySetting>,
    pub tier: Option<Tier>,
    pub settings: Settings,
    pub labels: Option<BTreeSet<String>>,
    pub tags: Option<Tags>,
}

impl ParameterSection {
    /// Returns its type, or the type implied by its value.
    fn parameter_type(&self) -> ParameterType {
        let list = self.source.as_ref().is_some_and(Source::is_list);
        let own = if list { ParameterType::StringList } else { ParameterType::String };
        self.parameter_type.clone().unwrap_or(own)
    }
}

/// Returns the name in AWS.
pub(super) fn name(key: &str, section: &ParameterSection) -> String {
    section.name.clone().unwrap_or_else(|| key.to_owned())
}

/// Checks that a name is not that of a policy.
pub(super) fn check_own(name: &str, root: &PolicyRoot) -> Result<(), Invalid> {
    let below = name.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below {
        let problem = format!("the parameter \"{name}\" is below the policy root {root}");
        let help = "parameters below it are policies: write [profiles.NAME], or choose another name";
        return Err(Invalid::new(problem, help));
    }
    Ok(())
}

fn check_data_type(text: &str) -> Result<(), Invalid> {
    // Source: PutParameter in the Systems Manager API Reference.
    if ["text", "aws:ec2:image", "aws:ssm:integration"].contains(&text) {
        return Ok(());
    }
    let problem = format!("Parameter Store has no data type \"{text}\"");
    Err(Invalid::new(problem, "write \"text\", \"aws:ec2:image\" or \"aws:ssm:integration\""))
}

/// Checks a key that is also the name of its parameter.
fn check_default_name(key: &str) -> Result<(), Invalid> {
    check_name(key).map_err(|invalid| Invalid::new(invalid.problem, format!("add name = \"…\"; {}", invalid.help)))
}

pub(super) fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<ParameterSection> {
    let own = &entry.key;
    section.note(&["parameters", own], &entry.key_span);
    let mut fields = section.open(entry, "parameters")?;
    let removed = section.is_removed();
    let named = fields.get("name");
    // A value may be a secret, so it is not marked.
    for name in ["name", "file", "env", "key", "parameter_policies"] {
        if let Some(entry) = fields.get(name) {
            section.note(&["parameters", own, name], &entry.node.span);
        }
    }
    let reader = &mut *section.reader;
    let name = named.and_then(|entry| reader.checked(&entry.node, "name", check_name));
    let source = source::read(reader, &mut fields);
    let given = fields.all().iter().any(|entry| source::SETTINGS.contains(&entry.key.as_str()));
    if !given && !removed {
        source::missing(reader, entry);
    }
    let types = ["String", "StringList", "SecureString"].map(|word| (word, word));
    let written = fields.get("type");
    let parameter_type = written
        .and_then(|entry| reader.choice(&entry.node, "type", &types))
        .map(crate::kind::parameter_store::names::type_of);
    if let (Some(source), Some(kind), Some(written)) = (&source, &parameter_type, written)
        && source.is_list()
        && *kind != ParameterType::StringList
    {
        let help = "write type = \"StringList\", or remove type";
        reader.fault(written.node.span.clone(), "a list is a StringList", "of another type than the value", help);
    }
    let key = fields.get("key").and_then(|entry| {
        if parameter_type != Some(ParameterType::SecureString) {
            key::without_secret(reader, &entry.node);
        }
        key::read(reader, &entry.node)
    });
    let tier = fields.get("tier").and_then(|entry| reader.variant(&entry.node, "tier"));
    let settings = settings::read(reader, &mut fields, check_data_type);
    let labels = labels::read(reader, &mut fields);
    let tags = section.tags(&mut fields);
    fields.finish(section.reader);
    if named.is_none() {
        check_key(section.reader, entry, check_default_name);
    }
    Some(ParameterSection { name, source, parameter_type, key, tier, settings, labels, tags })
}

/// Returns a section as TOML.
pub(super) fn write(key: &str, parameter: &ParameterSection) -> String {
    let mut section = format!("[parameters.{}]\n", bare(key));
    line(&mut section, "name", parameter.name.as_deref().map(quoted));
    if let Some(source) = &parameter.source {
        source.write(&mut section);
    }
    line(&mut section, "type", parameter.parameter_type.as_ref().map(|kind| quoted(kind.as_str())));
    line(&mut section, "key", parameter.key.as_ref().map(KeySetting::written));
    line(&mut section, "tier", parameter.tier.map(|tier| quoted(tier.as_str())));
    settings::write(&mut section, &parameter.settings);
    labels::write(&mut section, parameter.labels.as_ref());
    line(&mut section, "tags", parameter.tags.as_ref().map(tags));
    section
}

/// Returns the desired state of a section.
pub(super) fn resolve(
    resolver: &mut Resolver<'_>,
    key: &str,
    section: &ParameterSection,
) -> Option<Desired<Parameter>> {
    let name = name(key, section);
    if let Err(invalid) = check_own(&name, resolver.policy_root) {
        resolver.fault(&["parameters", key, "name"], invalid, "the name of a policy");
    }
    if let Err(invalid) = check_tier(section.tier, &section.settings, "this parameter") {
        resolver.fault(&["parameters", key, "parameter_policies"], invalid, "for the advanced tier");
    }
    let source = section.source.as_ref()?;
    let parameter_type = section.parameter_type();
    let how = As { key, parameter_type: &parameter_type, tier: section.tier.unwrap_or(Tier::Standard) };
    let content = source::resolve(resolver, source, &how);
    if let Err(invalid) = settings::check_fits(content.as_ref(), &section.settings) {
        resolver.fault(&["parameters", key, source.setting()], invalid, "this value");
    }
    let kms = section.key.as_ref().and_then(|setting| setting.resolved(resolver));
    let settings = Settings { key: kms, ..section.settings.clone() };
    let managed = Parameter {
        content: content.clone().filter(|_| !matches!(source, Source::Initial(_))),
        // An omitted type is the type of a new parameter, and is not compared with a live one.
        parameter_type: section
            .parameter_type
            .clone()
            .or_else(|| source.is_list().then_some(ParameterType::StringList)),
        tier: section.tier,
        settings: settings.clone(),
        labels: section.labels.clone(),
        tags: section.tags.as_ref().map(|own| resolver.tags(Some(own))),
        ..Parameter::default()
    };
    let initial = Parameter {
        content,
        parameter_type: Some(parameter_type),
        tier: Some(section.tier.unwrap_or(Tier::Standard)),
        settings,
        labels: section.labels.clone(),
        tags: Some(resolver.initial_tags(&["parameters", key], section.tags.as_ref())),
        ..Parameter::default()
    };
    Some(Desired {
        address: Address::new(KindId::Parameter, key),
        presence: Presence::Present,
        ownership: resolver.ownership.clone(),
        adopt: false,
        name,
        label: key.to_owned(),
        origin: Some(source.origin()),
        depends_on: BTreeSet::new(),
        managed,
        initial,
    })
}

/// Returns the section that expresses the desired state.
pub(super) fn section_of(desired: &Desired<Parameter>) -> ParameterSection {
    let Parameter { content: _, parameter_type, tier, settings, labels, tags, role: _ } = &desired.managed;
    let source = source::source_of(desired);
    // The type of a list is implied.
    let listed = source.as_ref().is_some_and(Source::is_list);
    ParameterSection {
        name: Some(desired.name.clone()).filter(|name| *name != desired.address.key),
        source,
        parameter_type: parameter_type.clone().filter(|_| !listed),
        key: settings.key.clone().map(KeySetting::Id),
        tier: *tier,
        settings: Settings { key: None, ..settings.clone() },
        labels: labels.clone(),
        tags: tags.clone(),
    }
}

/// Generators for property tests.
#[cfg(test)]
pub(super) mod any {
    use indexmap::IndexMap;
    use proptest::collection::{btree_set, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    use super::super::Text;
    use super::*;

    fn sources() -> impl Strategy<Value = Source> {
        let text = || prop_oneof!["\\PC{1,20}".prop_map(Text::One), vec("[a-z ]{1,6}", 1..4).prop_map(Text::List),];
        prop_oneof![
            text().prop_map(Source::Value),
            text().prop_map(Source::Initial),
            "[^\\pC{}]{0,12}".prop_map(Source::File),
            "[A-Z_][A-Z0-9_]{0,8}".prop_map(Source::Env),
        ]
    }

    /// Generates sections.
    pub(in crate::kind) fn sections() -> impl Strategy<Value = IndexMap<String, ParameterSection>> {
        let tier = prop_oneof![Just(Tier::Standard), Just(Tier::Advanced), Just(Tier::Intelligent)];
        let key = prop_oneof![
            "[bcd][a-z0-9-]{1,12}".prop_map(|name| KeySetting::Id(format!("alias/{name}"))),
            "\\PC{1,12}".prop_map(|key| KeySetting::Reference(Address::new(KindId::Key, key))),
        ];
        let labels = of(btree_set("[b-r][a-z0-9_.-]{0,9}", 0..4));
        let tags = of(crate::kind::section::any::tags());
        let one = (sources(), of(tier), tags, settings::any::settings(), of(key), labels);
        let one = one.prop_map(|(source, tier, tags, settings, key, labels)| {
            let tier = if settings.is_advanced() { Some(Tier::Advanced) } else { tier };
            // A list cannot be secret.
            let key = key.filter(|_| !source.is_list());
            let parameter_type = key.as_ref().map(|_| ParameterType::SecureString);
            ParameterSection { name: None, source: Some(source), parameter_type, key, tier, settings, labels, tags }
        });
        vec(("(/[b-r][a-z]{0,3}){1,3}", one), 0..4).prop_map(|sections| sections.into_iter().collect())
    }
}

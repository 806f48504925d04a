//! The SSM parameter that holds one profile's policy: state, names, diff, steps. Its AWS calls are in `api`.

mod api;
mod content;
mod field;
mod live;
mod manifest;
mod members;
mod metadata;
mod names;
mod schema;
mod secrets;
mod settings;
mod steps;
mod write;

use std::collections::HashSet;
use std::sync::Arc;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

use super::import::{DiscoverError, Discovered, Importer, Wanted};
use super::permission::{On, Permission, Place, Purpose};
use super::references::{Named, Reference};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Presence, Search, Shown, Site, Unlisted, Waiting};
use crate::change::{FieldChange, FieldValue, Takes};
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::CallError;
use crate::resource::call::{
    DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS, GET_PARAMETERS_BY_PATH, LIST_PARAMETER_TAGS, Operation,
};
use crate::resource::caller::Identity;
use crate::resource::names::{OwnerKey, PolicyRoot};
use crate::resource::pacer::Pacer;
use crate::resource::{Facts, Fields, Invalid, Live, Observed, StepOutcome, Tags, diff_tags, digest, tag_words};

pub use api::{ParameterApi, discover, read};
pub use content::{Content, Secret};
pub use field::Field;
pub use manifest::{KeySetting, ProfileSection};
pub use names::{check_below, check_content, check_length, check_profile, check_root, profile_of};
pub use secrets::{Unknown, decryption, recall, reveal};
use settings::Rewrite;
pub use settings::{ParameterPolicies, Settings};
pub use steps::PolicyStep;

/// A policy parameter that was found.
pub type Found = super::import::Found<PolicyParameter>;

/// A policy parameter, live or desired; `None` is "not managed" in the one and "not read" in the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyParameter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_type: Option<ParameterType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// A parameter's type. Policies are strings, plain or secret; the others can only be found, never wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    String,
    SecureString,
    /// AWS's word for another type: `StringList`.
    Other(String),
}

impl ParameterType {
    fn as_str(&self) -> &str {
        match self {
            Self::String => "String",
            Self::SecureString => "SecureString",
            Self::Other(name) => name,
        }
    }
}

/// A parameter's tier, which sets how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Tier {
    Standard,
    Advanced,
    /// AWS chooses, and never goes back to the standard tier. Only ever wanted: AWS answers with one of the others.
    Intelligent,
}

impl Tier {
    /// Returns the most bytes a value may have. Source: AWS Systems Manager User Guide, "Managing parameter tiers".
    pub fn limit(self) -> usize {
        match self {
            Self::Standard => 4096,
            Self::Advanced | Self::Intelligent => 8192,
        }
    }

    /// Returns the word for it in the manifest.
    pub fn as_str(self) -> &'static str {
        self.into_str()
    }
}

impl Kind for PolicyParameter {
    type Section = ProfileSection;
    type Step = PolicyStep;
    type Field = Field;
    type Api = ParameterApi;

    const ABOUT: About = About {
        section: "profiles",
        id: "policy_parameter",
        noun: "policy parameter",
        service: "Parameter Store",
        statement: "Policy",
        shares_statements: true,
        provisions: "Admin",
        heading: "Policy parameters",
        site: Site::PolicyRoot,
        shown: Shown::ByName,
        unmanaged: "Unmanaged parameters (not in the manifest, without the ownership tag; left alone)",
        resource_type: "ssm:parameter",
        members: members::ALL,
        listed_by: "aws ssm describe-parameters",
        // Each parameter is one short call, paced by its quota.
        concurrency: 16,
        // What `GetParameters` takes in one call.
        batch: 10,
        shows_layout: false,
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<ProfileSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &ProfileSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &ProfileSection) -> Option<Desired<Self>> {
        Some(manifest::resolve(resolver, key, section))
    }

    fn name_of(key: &str, _: &ProfileSection, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        Ok(format!("{policy_root}/{key}"))
    }

    fn section_of(desired: &Desired<Self>) -> ProfileSection {
        let PolicyParameter { content, parameter_type, tier, settings, tags } = &desired.managed;
        let policy = desired.origin.clone().filter(|_| content.is_some());
        let key = settings.key.clone().map(KeySetting::Id);
        let settings = Settings { key: None, ..settings.clone() };
        let secure = parameter_type.clone().filter(|kind| *kind == ParameterType::SecureString);
        ProfileSection { policy, parameter_type: secure, key, tier: *tier, settings, tags: tags.clone() }
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        let content = desired.managed.content.as_ref().and_then(secrets::as_file);
        desired.origin.clone().zip(content).map(|(path, text)| GivenFile { path, text }).into_iter().collect()
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, policy_root: &PolicyRoot) -> Result<String, Invalid> {
        check_below(name, policy_root)?;
        Ok(name.strip_prefix(policy_root.as_str()).unwrap_or(name).trim_start_matches('/').to_owned())
    }

    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName> {
        let name = format!("/{resource}");
        let key = Self::key_of(&name, policy_root).ok()?;
        Some(ArnName::Name { name, key })
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, _: &Arc<Identity>) -> ParameterApi {
        ParameterApi::new(config, pacer)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, place: &Place) -> On {
        match operation {
            DESCRIBE_PARAMETERS => On::Any,
            secrets::DECRYPT => secrets::on_key(desired, place),
            _ => On::Resources(vec![arn(place, &desired.name)]),
        }
    }

    fn statement(_: &str) -> String {
        String::from("SentinelPolicy")
    }

    fn lent(desired: &Desired<Self>, place: &Place) -> Vec<Permission> {
        secrets::lent(desired, place)
    }

    fn references(section: &ProfileSection) -> Vec<Reference> {
        manifest::references(section)
    }

    fn uses(section: &ProfileSection) -> Vec<Named> {
        manifest::uses(section)
    }

    fn looks_for_more(place: &Place, policy_root: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let mut operations = vec![GET_PARAMETERS_BY_PATH, GET_PARAMETERS];
        if purpose == Purpose::Write {
            operations.extend([DELETE_PARAMETERS, LIST_PARAMETER_TAGS]);
        }
        let statement = || String::from("SentinelPolicyPrune");
        let on = On::Resources(below(place, policy_root));
        vec![
            Permission { statement: statement(), shared: false, operations, on },
            Permission { statement: statement(), shared: true, operations: vec![DESCRIBE_PARAMETERS], on: On::Any },
        ]
    }

    async fn observe(api: &ParameterApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        api::observe(api, batch).await
    }

    async fn owned(api: &ParameterApi, search: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        Some(metadata::owned(api, search.policy_root, search.ownership).await)
    }

    async fn unlisted(api: &ParameterApi, search: &Search<'_>) -> Unlisted {
        api::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        check_length(name)
    }

    fn everything() -> Self {
        Self {
            content: Some("".into()),
            tier: Some(Tier::Standard),
            settings: Settings::everything(),
            tags: Some(Tags::new()),
            ..Self::default()
        }
    }

    async fn discover(api: &ParameterApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        live::discover(api, wanted).await
    }

    fn key_of_live(found: &Found, policy_root: &PolicyRoot) -> Result<String, String> {
        live::key(found, policy_root)
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found) -> ProfileSection {
        live::section(importer, key, found)
    }

    async fn execute(api: &ParameterApi, step: &PolicyStep, _: Waiting) -> Result<StepOutcome, CallError> {
        api::execute(api, step).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<PolicyStep> {
        create(desired)
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<PolicyStep> {
        repair(desired, live, changes)
    }

    fn delete(desired: &Desired<Self>, live: &Live<Self>) -> Deletion<Self> {
        Deletion::of(delete(desired, &live.facts))
    }

    fn seen(live: &Live<Self>) -> Fields {
        seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        opposite(desired)
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, ProfileSection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn layout(_: &Self) -> Vec<Line> {
        Vec::new()
    }

    fn sketch(_: &Self, origin: Option<&str>) -> Vec<Line> {
        vec![Line::new("policy", origin.unwrap_or_default())]
    }
}

/// Returns the ARN of a parameter, whose name has a `/` of its own at its start.
pub fn arn(place: &Place, name: &str) -> String {
    place.arn("ssm", &format!("parameter{name}"))
}

/// Returns the ARNs of a policy root and of all below it.
pub fn below(place: &Place, policy_root: &PolicyRoot) -> Vec<String> {
    vec![arn(place, policy_root), arn(place, &format!("{policy_root}/*"))]
}

/// Returns the operations that observing this parameter calls.
fn reads(desired: &Desired<PolicyParameter>) -> Vec<Operation> {
    let PolicyParameter { content: _, parameter_type: _, tier: _, settings: _, tags } = &desired.managed;
    let mut operations = vec![GET_PARAMETERS];
    operations.extend((api::is_listed(&desired.managed) || desired.adopt).then_some(DESCRIBE_PARAMETERS));
    operations.extend(secrets::is_compared(desired).then_some(secrets::DECRYPT));
    let removed = desired.presence == Presence::Removed;
    operations.extend((tags.is_some() || removed).then_some(LIST_PARAMETER_TAGS));
    operations
}

/// Returns a live parameter that differs from what is managed in every way that can be repaired, so that what any repair
/// may take is known without a look at AWS.
fn opposite(desired: &Desired<PolicyParameter>) -> Live<PolicyParameter> {
    let PolicyParameter { content, parameter_type, tier, settings, tags } = &desired.managed;
    let state = PolicyParameter {
        content: content.as_ref().map(secrets::opposite),
        parameter_type: parameter_type.clone(),
        tier: tier.map(|_| Tier::Standard),
        settings: settings.opposite(),
        tags: tags.as_ref().map(|_| Tags::from([(String::from("stray"), String::new())])),
    };
    Live { state, facts: Facts { owned: Some(false), ..Facts::default() }, gaps: Vec::new() }
}

/// Returns all that differs: in what the manifest manages, and the ownership tag when it is to be given.
fn changes(desired: &Desired<PolicyParameter>, live: &Live<PolicyParameter>) -> Vec<FieldChange<Field>> {
    let mut changes = diff(&desired.managed, &live.state);
    changes.extend(desired.adoption(&live.facts, Field::Tag));
    changes
}

/// Returns what differs in the fields that both sides have.
fn diff(managed: &PolicyParameter, live: &PolicyParameter) -> Vec<FieldChange<Field>> {
    let PolicyParameter { content, parameter_type, tier, settings, tags } = managed;
    let mut changes = Vec::new();
    let mut comparable = true;
    if let (Some(desired), Some(before)) = (parameter_type, &live.parameter_type)
        && desired != before
    {
        // What is not a plain string reads back as ciphertext or a list: its content says nothing.
        comparable = false;
        changes.push(FieldChange::new(
            Field::Type,
            FieldValue::words(before.as_str()),
            FieldValue::words(desired.as_str()),
            Takes::NewResource,
            "no policy can be read from it; delete the parameter, and apply creates it",
        ));
    }
    if let (true, Some(desired), Some(before)) = (comparable, content, &live.content)
        && desired != before
    {
        let how = "written as a new version";
        // A live secret may be shown where the desired one may.
        let (before_value, desired_value, how) = if let (Some(desired), Some(before)) = (desired.shown(), before.text())
        {
            (FieldValue::Document(before.into()), FieldValue::Document(desired.into()), how)
        } else {
            let how = "written as a new version; plan --show-secrets shows the difference";
            (FieldValue::words("a secret"), FieldValue::words("another secret"), how)
        };
        changes.push(FieldChange::new(Field::Content, before_value, desired_value, Takes::InPlace, how));
    }
    // All else is changed by writing the value again, and only a plain string reads back as it was written.
    let plain = match &live.parameter_type {
        Some(ParameterType::SecureString) => live.content.is_some() && content.as_ref().is_some_and(Content::is_secret),
        kind => kind.as_ref().is_none_or(|kind| *kind == ParameterType::String),
    };
    if let (Some(desired), Some(before)) = (tier, &live.tier)
        && desired != before
        && *desired != Tier::Intelligent
    {
        let (takes, how) = match desired {
            Tier::Advanced if !plain => (Takes::NotPossible, "its value is no plain string, and is not written back"),
            Tier::Advanced | Tier::Intelligent => (Takes::InPlace, "upgraded in place, for good"),
            Tier::Standard => (Takes::NewResource, "a tier only goes up: it would be deleted and created again"),
        };
        let words = |tier: &Tier| FieldValue::words(tier.as_str());
        changes.push(FieldChange::new(Field::Tier, words(before), words(desired), takes, how));
    }
    let rewrite = if plain { Rewrite::Possible } else { Rewrite::NotPossible };
    settings::diff(settings, &live.settings, rewrite, &mut changes);
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    changes
}

/// Returns the step that creates the parameter.
fn create(desired: &Desired<PolicyParameter>) -> Vec<PolicyStep> {
    let initial = &desired.initial;
    vec![PolicyStep::CreateParameter {
        name: desired.name.clone(),
        content: initial.content.clone().unwrap_or_else(|| "".into()),
        tier: initial.tier.unwrap_or(Tier::Standard),
        settings: initial.settings.clone(),
        tags: initial.tags.clone().unwrap_or_default(),
        content_managed: desired.managed.content.is_some(),
    }]
}

/// Returns the step that deletes the parameter.
fn delete(desired: &Desired<PolicyParameter>, facts: &Facts) -> Vec<PolicyStep> {
    let step = |owner_key: &OwnerKey| PolicyStep::DeleteParameter {
        name: desired.name.clone(),
        expects_version: facts.version.unwrap_or(0),
        owner_key: owner_key.clone(),
    };
    desired.ownership.iter().map(step).collect()
}

/// Returns what was seen of a parameter.
fn seen(live: &Live<PolicyParameter>) -> Fields {
    let PolicyParameter { content, parameter_type, tier, settings, tags } = &live.state;
    let secret = content.as_ref().is_some_and(Content::is_secret);
    let seen = [
        ("version", live.facts.version.map(|version| version.to_string())),
        // A digest would tell of a secret: the version and the time of the write tell whether it moved.
        ("content", content.as_ref().filter(|one| !one.is_secret()).and_then(Content::text).map(digest)),
        ("modified", secret.then_some(live.facts.modified).flatten().map(|at| at.to_string())),
        ("type", parameter_type.as_ref().map(|kind| kind.as_str().to_owned())),
        ("tier", tier.map(|tier| tier.as_str().to_owned())),
        ("tags", tags.as_ref().map(tag_words)),
    ];
    seen.into_iter().chain(settings.seen()).filter_map(|(field, words)| Some((field, words?))).collect()
}

/// Returns the steps that make the differences go away, as far as AWS can do that in place.
fn repair(
    desired: &Desired<PolicyParameter>,
    live: &Live<PolicyParameter>,
    changes: &[FieldChange<Field>],
) -> Vec<PolicyStep> {
    let name = || desired.name.clone();
    let written = |change: &FieldChange<Field>| change.takes == Takes::InPlace && !matches!(change.path, Field::Tag(_));
    let mut steps = Vec::new();
    let content = desired.managed.content.clone().or_else(|| live.state.content.clone());
    if let (true, Some(content)) = (changes.iter().any(written), content) {
        let (tier, settings) = (desired.managed.tier, desired.managed.settings.clone());
        let expects_version = live.facts.version.unwrap_or(0);
        steps.push(PolicyStep::OverwriteParameter { name: name(), content, tier, settings, expects_version });
    }
    let mut set = desired.owner_tags(&live.facts);
    let mut gone = Vec::new();
    if let (Some(wanted), Some(before)) = (&desired.managed.tags, &live.state.tags) {
        let differs = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        set.extend(wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())));
        gone.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
    }
    // A parameter has 50 tags at most: those that go make room for those that come.
    if !gone.is_empty() {
        steps.push(PolicyStep::UntagParameter { name: name(), keys: gone });
    }
    if !set.is_empty() {
        steps.push(PolicyStep::TagParameter { name: name(), tags: set });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindStep;
    use crate::kind::{Address, KindId, Presence};
    use crate::resource::{Facts, OWNER};

    fn state(content: &str) -> PolicyParameter {
        PolicyParameter {
            content: Some(content.into()),
            parameter_type: Some(ParameterType::String),
            ..PolicyParameter::default()
        }
    }

    fn desired(managed: PolicyParameter) -> Desired<PolicyParameter> {
        Desired {
            address: Address::new(KindId::Policy, "dev"),
            presence: Presence::Present,
            ownership: None,
            adopt: false,
            name: String::from("/s/dev"),
            label: String::from("dev"),
            origin: None,
            depends_on: std::collections::BTreeSet::new(),
            initial: managed.clone(),
            managed,
        }
    }

    fn live(state: PolicyParameter) -> Live<PolicyParameter> {
        Live { state, facts: Facts { version: Some(4), ..Facts::default() }, gaps: Vec::new() }
    }

    #[test]
    fn other_content_is_overwritten_at_the_version_seen() {
        let (wanted, found) = (desired(state("new")), live(state("old")));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].path, changes[0].takes), (&Field::Content, Takes::InPlace));
        let steps = repair(&wanted, &found, &changes);
        let expected = PolicyStep::OverwriteParameter {
            name: String::from("/s/dev"),
            content: "new".into(),
            tier: None,
            settings: Settings::default(),
            expects_version: 4,
        };
        assert_eq!(steps, [expected]);
    }

    #[test]
    fn a_secure_string_is_replacement_and_nothing_is_sent() {
        let mut found = live(state("ciphertext"));
        found.state.parameter_type = Some(ParameterType::SecureString);
        let wanted = desired(state("new"));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes.len(), 1, "ciphertext is not compared");
        assert_eq!(changes[0].takes, Takes::NewResource);
        let (before, after) = (FieldValue::words("SecureString"), FieldValue::words("String"));
        assert_eq!((&changes[0].sides.live, &changes[0].sides.desired), (&before, &after));
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    #[test]
    fn a_tier_goes_up_in_place_and_never_down() {
        let mut wanted = desired(state("text"));
        let mut found = live(state("text"));
        (wanted.managed.tier, found.state.tier) = (Some(Tier::Advanced), Some(Tier::Standard));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes[0].takes, Takes::InPlace);
        let (before, after) = (FieldValue::words("standard"), FieldValue::words("advanced"));
        assert_eq!((&changes[0].sides.live, &changes[0].sides.desired), (&before, &after));
        assert!(matches!(
            repair(&wanted, &found, &changes)[..],
            [PolicyStep::OverwriteParameter { tier: Some(Tier::Advanced), .. }]
        ));
        (wanted.managed.tier, found.state.tier) = (Some(Tier::Standard), Some(Tier::Advanced));
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!(changes[0].takes, Takes::NewResource);
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    /// A secret reads as ciphertext: writing that back, even only to change the tier, would destroy it.
    #[test]
    fn a_secret_of_a_bare_profile_is_never_written_back() {
        let managed = PolicyParameter { tier: Some(Tier::Advanced), ..PolicyParameter::default() };
        let wanted = desired(managed);
        let mut found = live(state("ciphertext"));
        found.state.parameter_type = Some(ParameterType::SecureString);
        found.state.tier = Some(Tier::Standard);
        let changes = diff(&wanted.managed, &found.state);
        assert_eq!((&changes[0].path, changes[0].takes), (&Field::Tier, Takes::NotPossible));
        assert_eq!(repair(&wanted, &found, &changes), []);
    }

    #[test]
    fn managed_tags_are_the_whole_set_but_for_awss_own() {
        let tags = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Tags>())
        };
        let mut wanted = desired(state("x"));
        let mut found = live(state("x"));
        wanted.managed.tags = tags(&[("team", "security")]);
        found.state.tags = tags(&[("team", "web"), ("stray", "1"), ("aws:cloudformation:stack-name", "s")]);
        let changes = diff(&wanted.managed, &found.state);
        let paths: Vec<String> = changes.iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["tags.stray", "tags.team"]);
        let steps = repair(&wanted, &found, &changes);
        assert!(
            matches!(&steps[..], [PolicyStep::UntagParameter { keys, .. }, PolicyStep::TagParameter { .. }] if keys == &["stray"])
        );
    }

    #[test]
    fn what_is_not_managed_is_never_a_difference() {
        let mut found = state("anything");
        found.tier = Some(Tier::Advanced);
        found.tags = Some(Tags::from([(String::from("a"), String::from("b"))]));
        assert_eq!(diff(&PolicyParameter::default(), &found), []);
    }

    #[test]
    fn what_is_looked_at_is_what_is_managed() {
        let names = |tier: Option<Tier>, tags: Option<Tags>, adopt| -> Vec<&str> {
            let managed = PolicyParameter { tier, tags, ..state("x") };
            reads(&Desired { adopt, ..desired(managed) }).iter().map(|operation| operation.name).collect()
        };
        let (tier, tags) = (Some(Tier::Standard), Some(Tags::new()));
        assert_eq!(names(None, None, false), ["GetParameters"]);
        assert_eq!(names(tier, None, false), ["GetParameters", "DescribeParameters"]);
        assert_eq!(names(None, None, true), ["GetParameters", "DescribeParameters"]);
        assert_eq!(names(None, tags.clone(), false), ["GetParameters", "ListTagsForResource"]);
        assert_eq!(names(tier, tags, true), ["GetParameters", "DescribeParameters", "ListTagsForResource"]);
    }

    #[test]
    fn what_was_seen_is_told_by_field_and_a_text_by_its_digest() {
        let tags = Some(Tags::from([(String::from("team"), String::from("web"))]));
        let found = live(PolicyParameter { tier: Some(Tier::Advanced), tags, ..state("text") });
        let of_text = digest("text");
        let expected = [
            ("content", of_text.as_str()),
            ("tags", "team=web"),
            ("tier", "advanced"),
            ("type", "String"),
            ("version", "4"),
        ];
        assert_eq!(seen(&found), expected.into_iter().map(|(field, words)| (field, words.to_owned())).collect());
        assert_eq!(seen(&Live { facts: Facts::default(), ..live(PolicyParameter::default()) }), Fields::default());
    }

    #[test]
    fn the_opposite_of_a_parameter_takes_every_kind_of_repair() {
        let managed = PolicyParameter {
            tier: Some(Tier::Advanced),
            tags: Some(Tags::from([("team", "x")].map(owned))),
            ..state("x")
        };
        let wanted = Desired { ownership: Some(OwnerKey::new("managed-by")), adopt: true, ..desired(managed) };
        let found = opposite(&wanted);
        let steps = repair(&wanted, &found, &changes(&wanted, &found));
        let said: Vec<String> = steps.iter().map(PolicyStep::describe).collect();
        assert_eq!(said, ["writing a new version", "removing tags", "tagging"]);
        let PolicyStep::TagParameter { tags, .. } = &steps[2] else { panic!("{steps:?}") };
        assert_eq!(*tags, Tags::from([("team", "x"), ("managed-by", OWNER)].map(owned)));
        // One that is not managed differs in nothing but whose it is.
        let bare = Desired { managed: PolicyParameter::default(), ..wanted };
        assert_eq!(opposite(&bare).state, PolicyParameter::default());
        assert_eq!(repair(&bare, &opposite(&bare), &changes(&bare, &opposite(&bare))).len(), 1);
    }

    fn owned((key, value): (&str, &str)) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_step_says_what_it_does_and_calls() {
        let told = |step: &PolicyStep| {
            let names: Vec<&str> = step.operations().iter().map(|operation| operation.name).collect();
            format!("{}: {}", step.describe(), names.join(" "))
        };
        let mut wanted = desired(state("x"));
        assert_eq!(told(&create(&wanted)[0]), "creating: PutParameter GetParameters");
        wanted.initial.tags = Some(Tags::from([("team", "x")].map(owned)));
        assert_eq!(told(&create(&wanted)[0]), "creating: PutParameter AddTagsToResource GetParameters");
        assert_eq!(delete(&wanted, &Facts::default()), [], "nobody's is deleted");
        wanted.ownership = Some(OwnerKey::new("managed-by"));
        let gone = delete(&wanted, &Facts { version: Some(4), ..Facts::default() });
        assert_eq!(told(&gone[0]), "deleting: DeleteParameters GetParameters ListTagsForResource");
        assert!(
            matches!(&gone[..], [PolicyStep::DeleteParameter { expects_version: 4, owner_key, .. }] if owner_key.as_str() == "managed-by")
        );
    }

    #[test]
    fn a_profile_is_what_stands_below_the_root() {
        let root = PolicyRoot::new("/sentinel/policies");
        assert_eq!(profile_of("/sentinel/policies/dev", &root), "dev");
        assert_eq!(profile_of("/sentinel/policies/team/dev", &root), "team/dev");
        assert_eq!(profile_of("/elsewhere/dev", &root), "elsewhere/dev");
    }

    #[test]
    fn content_has_the_tiers_limits() {
        assert!(check_content(&"x".repeat(4096), Tier::Standard).is_ok());
        let refused = |size, tier| check_content(&"x".repeat(size), tier).unwrap_err();
        for size in [4097, 8192] {
            assert!(refused(size, Tier::Standard).help.contains("set tier = \"advanced\""), "{size}");
        }
        assert!(check_content(&"x".repeat(8192), Tier::Advanced).is_ok());
        for tier in [Tier::Standard, Tier::Advanced] {
            let refused = refused(8193, tier);
            assert!(refused.help.starts_with("shorten it: 8,192 bytes"), "no tier helps: {refused}");
            assert!(refused.problem.contains(tier.as_str()), "{refused}");
        }
        assert!(check_content("a: {{ x }}", Tier::Standard).is_err());
        assert!(check_content(" \n", Tier::Standard).is_err());
    }
}

//! A KMS key, identified by its alias: state and names. Its diff is in `diff`, its steps in `steps`, its AWS calls in `api`.

mod api;
mod create;
mod diff;
mod export;
mod field;
mod live;
mod manifest;
mod name;
mod schema;
mod state;
mod steps;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::document::PolicyDocument;
use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{self, DiscoverError, Discovered, Found, Importer, Missing, Wanted};
use super::permission::{Location, On, Permission, Purpose};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Search, Settled, Shown, Site, Unlisted, Waiting};
use crate::change::{FieldChange, Protection};
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::{CallError, Operation, operation};
use crate::resource::caller::Identity;
use crate::resource::names::PolicyRoot;
use crate::resource::pacer::Pacer;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags, digest, tag_text};

pub use api::{KeyApi, resolve_alias};
pub(super) use export::ALIAS as ALIAS_PREFIX;
pub use field::Field;
pub use manifest::KeySection;
pub use name::{is_of_aws, same_key};
pub use steps::KeyStep;

// The rates are from "Request quotas" in the AWS Key Management Service Developer Guide, or a share of them if they are hundreds of calls a
// second.
pub const DESCRIBE_KEY: Operation = operation!("kms", "DescribeKey", 100.0, 100.0);
const GET_KEY_POLICY: Operation = operation!("kms", "GetKeyPolicy", 100.0, 100.0);
const GET_KEY_ROTATION_STATUS: Operation = operation!("kms", "GetKeyRotationStatus", 100.0, 100.0);
const LIST_RESOURCE_TAGS: Operation = operation!("kms", "ListResourceTags", 100.0, 100.0);
const LIST_KEYS: Operation = operation!("kms", "ListKeys", 50.0, 50.0);
const LIST_ALIASES: Operation = operation!("kms", "ListAliases", 50.0, 50.0);
const CREATE_KEY: Operation = operation!("kms", "CreateKey", 5.0, 5.0);
const CREATE_ALIAS: Operation = operation!("kms", "CreateAlias", 5.0, 5.0);
const UPDATE_KEY_DESCRIPTION: Operation = operation!("kms", "UpdateKeyDescription", 5.0, 5.0);
const PUT_KEY_POLICY: Operation = operation!("kms", "PutKeyPolicy", 15.0, 15.0);
const ENABLE_KEY_ROTATION: Operation = operation!("kms", "EnableKeyRotation", 15.0, 15.0);
const DISABLE_KEY_ROTATION: Operation = operation!("kms", "DisableKeyRotation", 5.0, 5.0);
const TAG_RESOURCE: Operation = operation!("kms", "TagResource", 10.0, 10.0);
const UNTAG_RESOURCE: Operation = operation!("kms", "UntagResource", 5.0, 5.0);

/// A key, live or desired. `None` means "not managed" in desired state and "not read" in live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A new key without one gets AWS's default: the account's IAM policies decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_region: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// The type of a live key that is not a symmetric encryption key of the account: `RSA_2048 for SIGN_VERIFY`. Never desired, because a
    /// section describes a symmetric encryption key.
    #[serde(skip)]
    pub unlike: Option<String>,
}

/// Automatic rotation of the key material, and its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    Off,
    /// Any period. Only in desired state: AWS returns the days.
    On,
    Days(u16),
}

impl Rotation {
    /// Returns it as text.
    fn describe(self) -> String {
        match self {
            Self::Off => String::from("off"),
            Self::On => String::from("on"),
            Self::Days(days) => format!("every {days} days"),
        }
    }

    /// Returns how a change to another rotation affects the protection of a key.
    fn protection_of(self, after: Self) -> Protection {
        match (self, after) {
            (_, Self::Off) => Protection::Removed,
            (Self::Off, Self::On | Self::Days(_)) => Protection::Added,
            (Self::Days(before), Self::Days(after)) if after < before => Protection::Added,
            (Self::On | Self::Days(_), Self::On | Self::Days(_)) => Protection::Unchanged,
        }
    }

    /// Returns whether a live rotation is in sync with this one.
    fn fits(self, live: Self) -> bool {
        self == live || (self == Self::On && live != Self::Off)
    }
}

/// Returns an alias's key as the resource of a permission. Source: "Use aliases to control access to KMS keys" in the AWS Key Management
/// Service Developer Guide.
pub fn on_alias(location: &Location, alias: &str) -> On {
    On::Those {
        resources: vec![location.arn("kms", "key/*")],
        condition: json!({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": [alias] } }),
    }
}

impl Kind for Key {
    type Section = KeySection;
    type Step = KeyStep;
    type Field = Field;
    type Api = KeyApi;

    const ABOUT: About = About {
        section: "keys",
        id: "key",
        noun: "key",
        service: "KMS",
        statement: "Key",
        shares_statements: false,
        provisions: "Provisioning",
        heading: "KMS keys",
        site: Site::Region,
        shown: Shown::ByLabel,
        unmanaged: "Unmanaged keys (not in the manifest; never deleted)",
        resource_type: "kms:key",
        members: &[],
        listed_by: "aws kms list-aliases",
        // Creations run one at a time, and every other step is one short call, paced by its quota.
        concurrency: 16,
        batch: 1,
        shows_layout: true,
        is_free_text: |setting| setting == "description",
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<KeySection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &KeySection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn referred_as(key: &str, section: &KeySection) -> Option<String> {
        Some(manifest::alias(key, section))
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &KeySection) -> Option<Desired<Self>> {
        Some(manifest::resolve(resolver, key, section))
    }

    fn name_of(key: &str, _: &KeySection, _: &PolicyRoot) -> Result<String, Invalid> {
        let problem = format!("`keys.{key}` cannot be removed: Sentinel never deletes a key");
        Err(Invalid::new(problem, "data encrypted with it would be lost: remove the section to stop managing the key"))
    }

    fn section_of(desired: &Desired<Self>) -> KeySection {
        manifest::section_of(desired)
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        let policy = desired.managed.policy.as_ref().map(PolicyDocument::to_json);
        desired.origin.clone().zip(policy).map(|(path, text)| GivenFile { path, text }).into_iter().collect()
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, _: &PolicyRoot) -> Result<String, Invalid> {
        let problem = format!("Sentinel deletes no keys, including the one of \"{name}\"");
        Err(Invalid::new(problem, "data encrypted with a key is lost with it: schedule its deletion in AWS"))
    }

    fn of_arn(resource: &str, _: &PolicyRoot) -> Option<ArnName> {
        // Looking up its alias would take a call for each key.
        Some(ArnName::Id(resource.to_owned()))
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, _: &Arc<Identity>) -> KeyApi {
        KeyApi::new(config, pacer)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        steps::reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On {
        match operation {
            CREATE_KEY | LIST_KEYS | LIST_ALIASES => On::Any,
            // The alias does not refer to the key yet, and the key's ID is unknown before its creation.
            CREATE_ALIAS => On::Resources(vec![location.arn("kms", &desired.name), location.arn("kms", "key/*")]),
            // A condition recognizes a new alias after up to five minutes. Operations that only read or add protection are therefore
            // allowed without it. Source: "Use aliases to control access to KMS keys" in the AWS Key Management Service Developer Guide. A
            // key that is created with tags has no alias yet.
            DESCRIBE_KEY | LIST_RESOURCE_TAGS | ENABLE_KEY_ROTATION | TAG_RESOURCE => {
                On::Resources(vec![location.arn("kms", "key/*")])
            }
            _ => on_alias(location, &desired.name),
        }
    }

    fn unlisted_permissions(_: &Location, _: &PolicyRoot, _: Purpose) -> Vec<Permission> {
        let (statement, operations) = (String::from("SentinelKeyPrune"), vec![LIST_ALIASES]);
        vec![Permission { statement, shared: true, operations, on: On::Any }]
    }

    async fn observe(api: &KeyApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        futures_util::future::join_all(batch.iter().map(|desired| api::observe(api, desired))).await
    }

    async fn owned(_: &KeyApi, _: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        // The tags of a key are read together with it.
        None
    }

    async fn unlisted(api: &KeyApi, search: &Search<'_>) -> Unlisted {
        api::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        check_alias(name)
    }

    fn everything() -> Self {
        // Each response contains the description and whether there are replicas.
        Self {
            policy: Some(PolicyDocument::from_aws("")),
            rotation: Some(Rotation::Off),
            tags: Some(Tags::new()),
            ..Self::default()
        }
    }

    async fn discover(api: &KeyApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        if !wanted.named.is_empty() {
            return Ok(import::read(api, wanted, &wanted.named, Missing::Fails).await?.into());
        }
        let (aliases, gaps) = api::owned(api, wanted.ownership).await;
        Ok(import::read_owned(api, wanted, &aliases, &gaps).await)
    }

    fn key_of_live(found: &Found<Self>, _: &PolicyRoot) -> Result<String, String> {
        live::key(found)
    }

    fn known_as(found: &Found<Self>) -> Vec<String> {
        live::known_as(found)
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> KeySection {
        live::section(importer, key, found)
    }

    async fn execute(api: &KeyApi, step: &KeyStep, _: Waiting) -> Result<StepOutcome, CallError> {
        api::execute(api, step).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        diff::changes(desired, live)
    }

    fn create(desired: &Desired<Self>) -> Vec<KeyStep> {
        steps::create(desired)
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<KeyStep> {
        steps::repair(desired, live, changes)
    }

    fn delete(_: &Desired<Self>, _: &Live<Self>) -> Deletion<Self> {
        // Deleting a key loses all data that it encrypted.
        Deletion::never()
    }

    fn settle(
        _: &Desired<Self>,
        live: &Live<Self>,
        changes: Vec<FieldChange<Field>>,
        repair: Vec<KeyStep>,
    ) -> Settled<Self> {
        diff::settle(live, changes, repair)
    }

    fn unusable(live: &Live<Self>) -> Option<String> {
        diff::unusable(live)
    }

    fn seen(live: &Live<Self>) -> Fields {
        seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        steps::opposite(desired)
    }

    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        let of_key = |layout: Option<&Self>| {
            let rotation = layout.is_some_and(|layout| layout.rotation.is_some());
            let policy = layout.is_some_and(|layout| layout.policy.is_some());
            1 + usize::from(rotation) + usize::from(policy)
        };
        layouts.iter().copied().map(of_key).sum()
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, KeySection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack) {
        export::cloudformation(desired, live, stack);
    }

    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module) {
        export::terraform(desired, live, module);
    }

    fn layout(state: &Self) -> Vec<Line> {
        layout(state)
    }

    fn sketch(state: &Self, _: Option<&str>) -> Vec<Line> {
        state.rotation.map(|rotation| Line::new("rotation", rotation.describe())).into_iter().collect()
    }

    fn is_drawn(setting: &str) -> bool {
        setting == "rotation"
    }
}

/// Returns the observed fields of a key. An alias can be moved to another key, which the ARN shows.
fn seen(live: &Live<Key>) -> Fields {
    let Key { description, policy, rotation, multi_region, tags, unlike } = &live.state;
    let seen = [
        ("key", live.facts.arn.clone()),
        ("status", live.facts.status.clone()),
        ("description", description.clone()),
        ("policy", policy.as_ref().map(|policy| digest(&policy.pretty()))),
        ("rotation", rotation.map(Rotation::describe)),
        ("multi_region", multi_region.map(|flag| flag.to_string())),
        ("tags", tags.as_ref().map(tag_text)),
        ("type", unlike.clone()),
    ];
    seen.into_iter().filter_map(|(field, text)| Some((Cow::Borrowed(field), text?))).collect()
}

/// Returns the layout of a new key, by setting.
fn layout(state: &Key) -> Vec<Line> {
    let Key { description, policy, rotation, multi_region, tags, unlike: _ } = state;
    let mut lines: Vec<Line> = Vec::new();
    lines.extend(description.iter().map(|text| Line::new("description", text)));
    let policy = policy.as_ref().map(PolicyDocument::describe);
    let policy = policy.unwrap_or_else(|| String::from("AWS's default: the account's IAM policies decide"));
    lines.push(Line::new("policy", policy));
    lines.extend(rotation.map(|rotation| Line::new("rotation", rotation.describe())));
    lines.extend(multi_region.filter(|on| *on).map(|on| Line::new("multi_region", on.to_string())));
    lines.extend(tags.iter().flatten().map(|(key, value)| Line::new(format!("tags.{key}"), value)));
    lines
}

/// The prefix of an alias.
const ALIAS: &str = "alias/";
/// The maximum length of an alias, and of a description. Source: CreateAlias and CreateKey in the AWS Key Management Service API Reference.
const ALIAS_LIMIT: usize = 256;
const DESCRIPTION_LIMIT: usize = 8192;
/// The maximum size of a key policy. Source: "Resource quotas" in the AWS Key Management Service Developer Guide.
const POLICY_LIMIT: usize = 32 * 1024;
/// The range of the rotation period in days. Source: EnableKeyRotation in the API reference.
const ROTATION_DAYS: std::ops::RangeInclusive<u16> = 90..=2560;

/// Checks the alias of a customer managed key. Source: CreateAlias in the AWS Key Management Service API Reference.
pub fn check_alias(alias: &str) -> Result<(), Invalid> {
    let example = "write alias/ and letters, digits, / _ -: \"alias/records\"";
    let Some(name) = alias.strip_prefix(ALIAS) else {
        return Err(Invalid::new(format!("the alias \"{alias}\" does not begin with alias/"), example));
    };
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "/_-".contains(letter);
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(Invalid::new(format!("\"{alias}\" is not a valid KMS alias"), example));
    }
    if alias.len() > ALIAS_LIMIT {
        let problem = format!("the alias has {} characters", alias.len());
        return Err(Invalid::new(problem, "KMS accepts 256 at most, including alias/"));
    }
    if name.starts_with("aws/") {
        let help = "AWS reserves aliases that begin with alias/aws/ for its own keys; choose another name";
        return Err(Invalid::new(format!("the alias \"{alias}\" is reserved"), help));
    }
    Ok(())
}

fn check_description(description: &str) -> Result<(), Invalid> {
    let count = description.chars().count();
    if count > DESCRIPTION_LIMIT {
        return Err(Invalid::new(format!("the description has {count} characters"), "KMS accepts 8,192 at most"));
    }
    Ok(())
}

/// Checks the additional rules for a key policy: a statement without `Resource` has no effect. Source: "Key policies in AWS KMS" in the AWS
/// Key Management Service Developer Guide.
fn check_policy(policy: &PolicyDocument) -> Result<(), Invalid> {
    let statements = policy.value()["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, statement) in statements.iter().enumerate() {
        let number = index + 1;
        let lacks = |one: &str, other: &str| statement[one].is_null() && statement[other].is_null();
        if lacks("Resource", "NotResource") {
            let problem = format!("statement {number} of the policy has no Resource, and therefore no effect");
            return Err(Invalid::new(problem, "add \"Resource\": \"*\", which in a key policy is the key itself"));
        }
    }
    let size = policy.to_json().len();
    if size > POLICY_LIMIT {
        return Err(Invalid::new(format!("the policy has {size} bytes"), "a key policy has 32 KB at most: shorten it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_follows_kms_rules() {
        for good in ["alias/a", "alias/app/records_2-x", "alias/awsome", &format!("alias/{}", "x".repeat(250))] {
            assert_eq!(check_alias(good), Ok(()), "{good}");
        }
        let long = format!("alias/{}", "x".repeat(251));
        for bad in ["", "records", "alias/", "alias/a b", "alias/a:b", "alias/é", "alias/aws/x", "Alias/x", &long] {
            assert!(check_alias(bad).is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_key_policy_needs_a_principal_and_a_resource() {
        let check = |statement: serde_json::Value| {
            let text = serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
            PolicyDocument::parse(&text).and_then(|policy| check_policy(&policy)).map_err(|invalid| invalid.problem)
        };
        let whole = serde_json::json!({ "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*" });
        assert_eq!(check(whole.clone()), Ok(()));
        for (element, problem) in [
            ("Principal", "statement 1 of the policy has no Principal"),
            ("Resource", "statement 1 of the policy has no Resource, and therefore no effect"),
        ] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(element);
            assert_eq!(check(part), Err(String::from(problem)));
        }
        let mut long = whole;
        long["Sid"] = serde_json::json!("x".repeat(POLICY_LIMIT));
        assert!(check(long).unwrap_err().starts_with("the policy has 328"));
    }

    #[test]
    fn rotation_without_a_period_accepts_any_period() {
        let live = [Rotation::Off, Rotation::Days(90), Rotation::Days(365)];
        assert_eq!(live.map(|live| Rotation::On.fits(live)), [false, true, true]);
        assert_eq!(live.map(|live| Rotation::Days(365).fits(live)), [false, false, true]);
        assert_eq!(live.map(|live| Rotation::Off.fits(live)), [true, false, false]);
    }
}

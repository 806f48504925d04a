//! Parameters of SSM Parameter Store: the state, difference, steps and calls that are common to the kinds whose resources are parameters.
//! The differences between these kinds are in their [`Role`].

pub(super) mod api;
mod content;
pub(super) mod export;
mod field;
pub(super) mod history;
pub(super) mod key;
pub(super) mod labels;
mod members;
pub(super) mod metadata;
pub(super) mod names;
pub(super) mod schema;
pub(super) mod secrets;
pub(super) mod settings;
mod steps;
mod write;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::permission::{Location, On};
use super::{Desired, Presence};
use crate::change::{ChangeMethod, FieldChange, FieldValue, Sides};
use crate::resource::call::{DESCRIBE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS, Operation};
use crate::resource::names::OwnerKey;
use crate::resource::{Facts, Fields, Live, Tags, diff_tags, digest, tag_text};

pub use api::{ParameterApi, Reading};
pub use content::{Content, Secret};
pub use field::Field;
pub use history::Version;
pub(super) use members::ALL as MEMBERS;
use settings::Rewrite;
pub use settings::{ParameterPolicies, Settings};
pub(super) use steps::steps;
pub use steps::{Create, Delete, Label, Overwrite, Tag, Untag, Write};

/// The properties of a kind whose resources are parameters.
pub trait Role: Any + fmt::Debug + Clone + Copy + Default + PartialEq + Eq {
    /// The prefix of its IAM statement names.
    const STATEMENT: &'static str;
    /// The field of its value.
    const VALUE: Field;
    /// A short text about the handling of a value of another type.
    const OTHER_TYPE: &'static str;
    /// A short text about the change of a secret.
    const SECRET: &'static str;
    /// The values that are sent again if only a setting changes and the manifest does not manage the value.
    const REWRITABLE: Rewritable;

    /// Returns values as a difference shows them.
    fn sides(values: Sides<&str>) -> Sides<FieldValue>;
}

/// The live values that can be written again unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritable {
    /// Those of type `String`.
    Plain,
    All,
}

/// A parameter, live or desired. `None` means "not managed" in desired state and "not read" in live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Stored<R: Role> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_type: Option<ParameterType>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    /// The managed labels of the newest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    #[serde(skip)]
    pub role: PhantomData<R>,
}

/// A parameter's type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    String,
    StringList,
    SecureString,
    /// AWS's name of an unknown type.
    Other(String),
}

impl ParameterType {
    /// Returns AWS's name for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
            Self::SecureString => "SecureString",
            Self::Other(name) => name,
        }
    }
}

/// A parameter's tier, which determines its maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Tier {
    Standard,
    Advanced,
    /// AWS chooses, and never returns to the standard tier. Only in desired state: AWS returns one of the others.
    Intelligent,
}

impl Tier {
    /// Returns the maximum size of a value in bytes. Source: AWS Systems Manager User Guide, "Managing parameter tiers".
    pub fn limit(self) -> usize {
        match self {
            Self::Standard => 4096,
            Self::Advanced | Self::Intelligent => 8192,
        }
    }

    /// Returns its name in the manifest.
    pub fn as_str(self) -> &'static str {
        self.into_str()
    }
}

impl<R: Role> Stored<R> {
    /// Returns state in which all settings of the lists are managed.
    pub(super) fn everything() -> Self {
        Self {
            content: Some("".into()),
            tier: Some(Tier::Standard),
            settings: Settings::everything(),
            tags: Some(Tags::new()),
            ..Self::default()
        }
    }
}

/// Returns the ARN of a parameter. In an ARN, a name without a `/` gets one. Source: "Actions, resources, and condition keys for AWS
/// Systems Manager" in the Service Authorization Reference.
pub fn arn(location: &Location, name: &str) -> String {
    location.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

/// Returns the resources that an operation of a parameter needs permission for.
pub(super) fn allowed_on<R: Role>(operation: Operation, desired: &Desired<Stored<R>>, location: &Location) -> On {
    match operation {
        DESCRIBE_PARAMETERS => On::Any,
        secrets::DECRYPT => secrets::on_key(desired, location),
        _ => On::Resources(vec![arn(location, &desired.name)]),
    }
}

/// Returns the operations that observe this parameter.
pub(super) fn reads<R: Role>(desired: &Desired<Stored<R>>) -> Vec<Operation> {
    let Stored { content: _, parameter_type: _, tier: _, settings: _, labels: _, tags, role: _ } = &desired.managed;
    let mut operations = vec![GET_PARAMETERS];
    operations.extend((api::is_listed(&desired.managed) || desired.adopt).then_some(DESCRIBE_PARAMETERS));
    operations.extend(secrets::is_compared(desired).then_some(secrets::DECRYPT));
    let removed = desired.presence == Presence::Removed;
    operations.extend((tags.is_some() || removed).then_some(LIST_PARAMETER_TAGS));
    operations
}

/// Returns a live parameter with a repairable difference in every managed setting, which shows the operations of any repair without a call
/// to AWS.
pub(super) fn opposite<R: Role>(desired: &Desired<Stored<R>>) -> Live<Stored<R>> {
    let Stored { content, parameter_type, tier, settings, labels, tags, role } = &desired.managed;
    let state = Stored {
        content: content.as_ref().map(secrets::opposite),
        parameter_type: parameter_type.clone(),
        tier: tier.map(|_| Tier::Standard),
        settings: settings.opposite(),
        labels: labels.as_ref().map(|_| BTreeSet::new()),
        tags: tags.as_ref().map(|_| Tags::from([(String::from("stray"), String::new())])),
        role: *role,
    };
    Live { state, facts: Facts { owned: Some(false), ..Facts::default() }, gaps: Vec::new() }
}

/// Returns all differences in the managed settings, and in the ownership tag if it is to be added.
pub(super) fn changes<R: Role>(desired: &Desired<Stored<R>>, live: &Live<Stored<R>>) -> Vec<FieldChange<Field>> {
    let mut changes = diff(&desired.managed, &live.state);
    changes.extend(desired.adoption(&live.facts, Field::Tag));
    changes
}

/// Returns the differences in the fields that both sides have.
pub(super) fn diff<R: Role>(managed: &Stored<R>, live: &Stored<R>) -> Vec<FieldChange<Field>> {
    let Stored { content, parameter_type, tier, settings, labels, tags, role: _ } = managed;
    let mut changes = Vec::new();
    let mut comparable = true;
    if let (Some(desired), Some(before)) = (parameter_type, &live.parameter_type)
        && desired != before
    {
        // A value of another type is read as ciphertext or a list, so its content is not compared.
        comparable = false;
        let (before, after) = (FieldValue::text(before.as_str()), FieldValue::text(desired.as_str()));
        changes.push(FieldChange::new(Field::Type, before, after, ChangeMethod::NewResource, R::OTHER_TYPE));
    }
    if is_secret_by_accident(managed, live) {
        comparable = false;
        let (before, after) = (FieldValue::text("SecureString"), FieldValue::text("not in the manifest"));
        let how = "the live value is a secret, which Sentinel compares only with type = \"SecureString\"";
        changes.push(FieldChange::new(Field::Type, before, after, ChangeMethod::NotPossible, how));
    }
    if let (true, Some(desired), Some(before)) = (comparable, content, &live.content)
        && desired != before
        && !desired.is_unset()
    {
        // A live secret may be shown if the desired one may.
        let (sides, how) = if let (Some(desired), Some(live)) = (desired.shown(), before.text()) {
            (R::sides(Sides { live, desired }), "written as a new version")
        } else {
            let (live, desired) = (FieldValue::text("a secret"), FieldValue::text("another secret"));
            (Sides { live, desired }, R::SECRET)
        };
        changes.push(FieldChange::new(R::VALUE, sides.live, sides.desired, ChangeMethod::InPlace, how));
    }
    let rewrite = rewrite(managed, live);
    if let (Some(desired), Some(before)) = (tier, &live.tier)
        && desired != before
        && *desired != Tier::Intelligent
    {
        let (method, how) = match desired {
            Tier::Advanced if rewrite == Rewrite::NotPossible => {
                (ChangeMethod::NotPossible, "its value is not a plain string, and Sentinel does not write it")
            }
            Tier::Advanced | Tier::Intelligent => (ChangeMethod::InPlace, "upgraded in place; this cannot be undone"),
            Tier::Standard => (
                ChangeMethod::NewResource,
                "a tier cannot be lowered: the parameter would have to be deleted \
                 and created again",
            ),
        };
        let describe = |tier: &Tier| FieldValue::text(tier.as_str());
        changes.push(FieldChange::new(Field::Tier, describe(before), describe(desired), method, how));
    }
    settings::diff(settings, &live.settings, rewrite, &mut changes);
    if let (Some(desired), Some(before)) = (labels, &live.labels) {
        labels::diff(desired, before, &mut changes);
    }
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    changes
}

/// Returns whether a live parameter is a secret although the manifest has a value for it and no type.
fn is_secret_by_accident<R: Role>(managed: &Stored<R>, live: &Stored<R>) -> bool {
    let secret = live.parameter_type == Some(ParameterType::SecureString);
    secret && managed.parameter_type.is_none() && managed.content.is_some()
}

/// Returns whether settings can be changed, which requires writing a value again.
fn rewrite<R: Role>(managed: &Stored<R>, live: &Stored<R>) -> Rewrite {
    let secret = managed.content.as_ref().is_some_and(Content::is_secret);
    let possible = match (&live.parameter_type, R::REWRITABLE) {
        // The manifest manages the value, and its environment variable is not set.
        _ if managed.content.as_ref().is_some_and(Content::is_unset) => false,
        _ if R::REWRITABLE == Rewritable::All && is_secret_by_accident(managed, live) => false,
        // Another type is a difference that Sentinel does not repair.
        (Some(before), Rewritable::All) => managed.parameter_type.as_ref().is_none_or(|desired| desired == before),
        (Some(ParameterType::SecureString), Rewritable::Plain) => live.content.is_some() && secret,
        (kind, _) => kind.as_ref().is_none_or(|kind| *kind == ParameterType::String),
    };
    if possible { Rewrite::Possible } else { Rewrite::NotPossible }
}

/// Returns the steps that create the parameter.
pub(super) fn create<R: Role>(desired: &Desired<Stored<R>>) -> Vec<Write> {
    let initial = &desired.initial;
    let content = initial.content.clone().unwrap_or_else(|| "".into());
    let mut steps = vec![Write::Create(Create {
        name: desired.name.clone(),
        parameter_type: initial.parameter_type.clone().filter(|kind| *kind != content.usual_type()),
        content,
        tier: initial.tier.unwrap_or(Tier::Standard),
        settings: initial.settings.clone(),
        tags: initial.tags.clone().unwrap_or_default(),
        content_managed: desired.managed.content.is_some(),
    })];
    steps.extend(labels::step(&desired.name, initial.labels.clone().unwrap_or_default(), 1));
    steps
}

/// Returns the step that deletes the parameter.
pub(super) fn delete<R: Role>(desired: &Desired<Stored<R>>, facts: &Facts) -> Vec<Write> {
    let step = |owner_key: &OwnerKey| {
        Write::Delete(Delete {
            name: desired.name.clone(),
            expects_version: facts.version.unwrap_or(0),
            owner_key: owner_key.clone(),
        })
    };
    desired.ownership.iter().map(step).collect()
}

/// Returns the observed fields of a parameter.
pub(super) fn seen<R: Role>(live: &Live<Stored<R>>) -> Fields {
    let Stored { content, parameter_type, tier, settings, labels, tags, role: _ } = &live.state;
    let secret = content.as_ref().is_some_and(Content::is_secret);
    let seen = [
        ("version", live.facts.version.map(|version| version.to_string())),
        // A digest would reveal information about a secret. The version and the time of the write show whether it changed.
        ("content", content.as_ref().filter(|one| !one.is_secret()).and_then(Content::text).map(digest)),
        ("modified", secret.then_some(live.facts.modified).flatten().map(|at| at.to_string())),
        ("type", parameter_type.as_ref().map(|kind| kind.as_str().to_owned())),
        ("tier", tier.map(|tier| tier.as_str().to_owned())),
        ("labels", labels.as_ref().map(labels::describe)),
        ("tags", tags.as_ref().map(tag_text)),
    ];
    seen.into_iter().chain(settings.seen()).filter_map(|(field, description)| Some((field, description?))).collect()
}

/// Returns the steps that repair the differences, as far as AWS supports it in place.
pub(super) fn repair<R: Role>(
    desired: &Desired<Stored<R>>,
    live: &Live<Stored<R>>,
    changes: &[FieldChange<Field>],
) -> Vec<Write> {
    let name = || desired.name.clone();
    let is_separate = |field: &Field| matches!(field, Field::Tag(_) | Field::Label(_));
    let written = changes.iter().any(|change| change.method == ChangeMethod::InPlace && !is_separate(&change.path));
    let version = live.facts.version.unwrap_or(0);
    let mut steps = Vec::new();
    if written {
        let (content, tier) = (desired.managed.content.clone(), desired.managed.tier);
        let settings = desired.managed.settings.clone();
        steps.push(Write::Overwrite(Overwrite { name: name(), content, tier, settings, expects_version: version }));
    }
    steps.extend(labels::repair(desired, live, version + i64::from(written)));
    let mut set = desired.owner_tags(&live.facts);
    let mut removed = Vec::new();
    if let (Some(wanted), Some(before)) = (&desired.managed.tags, &live.state.tags) {
        let differs = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        set.extend(wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())));
        removed.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
    }
    // A parameter has at most 50 tags, so tags are removed before others are added.
    if !removed.is_empty() {
        steps.push(Write::Untag(Untag { name: name(), keys: removed }));
    }
    if !set.is_empty() {
        steps.push(Write::Tag(Tag { name: name(), tags: set }));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::parameter::{Parameter, Values};

    #[test]
    fn an_omitted_type_is_not_compared_and_never_a_secret() {
        let live = |kind, content: &str| Parameter {
            parameter_type: Some(kind),
            content: Some(content.into()),
            ..Parameter::default()
        };
        let managed = Parameter { content: Some("a,b".into()), ..Parameter::default() };
        assert_eq!(diff::<Values>(&managed, &live(ParameterType::StringList, "a,b")), []);
        let secret = Parameter { content: None, ..live(ParameterType::SecureString, "") };
        for content in [Content::from("a,b"), Content::Secret(Secret::new("a,b"))] {
            let settings = Settings { description: Some(String::from("new")), ..Settings::default() };
            let managed = Parameter { content: Some(content), settings, ..Parameter::default() };
            let settings = Settings { description: Some(String::from("old")), ..Settings::default() };
            let changes = diff::<Values>(&managed, &Parameter { settings, ..secret.clone() });
            assert_eq!(changes[0].path, Field::Type);
            assert!(
                changes.len() == 2 && changes.iter().all(|change| change.method == ChangeMethod::NotPossible),
                "{changes:?}"
            );
        }
        // An unmanaged value may be a secret.
        assert_eq!(diff::<Values>(&Parameter::default(), &secret), []);
    }
}

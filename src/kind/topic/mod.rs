//! An SNS topic with its subscriptions: state and names. Its diff is in `diff`, its steps in `steps`, its AWS calls in `api`.
//!
//! A topic's ARN consists of the caller's partition and account, the region and the topic's name, so it is known before the topic exists.
//! Steps therefore name the topic, and the calls build its ARN.

mod api;
mod calls;
mod diff;
mod display;
mod export;
mod express;
mod field;
mod filter;
mod live;
mod manifest;
mod rules;
mod schema;
mod steps;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::PolicyDocument;
use super::export::cloudformation::Stack;
use super::export::terraform::Module;
use super::import::{self, DiscoverError, Discovered, Found, Importer, Wanted};
use super::key::{DESCRIBE_KEY, is_of_aws};
use super::permission::{Location, On, Permission, Purpose};
use super::references::{Named, Reference};
use super::schema::Schema;
use super::section::{Resolver, SectionReader};
use super::{About, ArnName, Deletion, Desired, Kind, Search, Shown, Site, Unlisted, Waiting};
use crate::change::{FieldChange, Protection};
use crate::document::{Entry, GivenFile};
use crate::kind::Line;
use crate::resource::call::{CallError, Operation};
use crate::resource::caller::Identity;
use crate::resource::names::PolicyRoot;
use crate::resource::pacer::Pacer;
use crate::resource::secret::without_userinfo;
use crate::resource::{Fields, Invalid, Live, Observed, StepOutcome, Tags};

pub use api::TopicApi;
pub use field::{Field, Part};
pub use manifest::{FilterPolicy, KeySetting, SubscriptionSection, TopicSection};
pub use rules::Protocol;
pub use steps::{SubscriptionAttribute, TopicAttribute, TopicStep};

/// A topic, live or desired. `None` means "not managed" in desired state and "not read" in live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fifo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_based_deduplication: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<TopicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_policy: Option<Value>,
    /// By [`Subscription::id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<BTreeMap<String, Subscription>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// The encryption of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicKey {
    Off,
    /// A key's alias, ID or ARN. SNS returns the form that it was given.
    Kms(String),
}

impl TopicKey {
    /// Returns whether it is a customer managed key, which can be revoked and whose policy can grant access to others.
    fn is_own(&self) -> bool {
        match self {
            Self::Off => false,
            Self::Kms(name) => !is_of_aws(name),
        }
    }

    /// Returns how a change to another key affects the protection of a topic.
    fn protection_of(&self, after: &Self) -> Protection {
        match (self, after) {
            (_, Self::Off) => Protection::Removed,
            (Self::Off, Self::Kms(_)) => Protection::Added,
            (before, after) => match (before.is_own(), after.is_own()) {
                (true, false) => Protection::Removed,
                (false, true) => Protection::Added,
                (true, true) | (false, false) => Protection::Unchanged,
            },
        }
    }
}

/// A subscription, identified by its protocol and endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub protocol: String,
    pub endpoint: String,
    /// An empty object is no filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_policy: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_policy_scope: Option<FilterScope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
    /// The ARN of the role for Firehose delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its ARN in live state; `None` before the endpoint confirms it.
    #[serde(skip)]
    pub arn: Option<String>,
}

impl Subscription {
    /// Returns its display name.
    pub fn shown(&self) -> String {
        without_userinfo(&self.id())
    }

    /// Returns its identity within its topic, in the form that SNS returns.
    pub fn id(&self) -> String {
        format!("{} {}", self.protocol, rules::without_password(&self.endpoint))
    }
}

/// The part of a message that a filter policy applies to.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(const_into_str)]
pub enum FilterScope {
    #[default]
    MessageAttributes,
    MessageBody,
}

impl FilterScope {
    /// Returns AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

impl Kind for Topic {
    type Section = TopicSection;
    type Step = TopicStep;
    type Field = Field;
    type Api = TopicApi;

    const ABOUT: About = About {
        section: "topics",
        id: "topic",
        noun: "topic",
        service: "SNS",
        statement: "Topic",
        shares_statements: false,
        provisions: "Provisioning",
        heading: "SNS topics",
        site: Site::Region,
        shown: Shown::ByLabel,
        unmanaged: "Unmanaged topics (not in the manifest, without the ownership tag; not changed)",
        resource_type: "sns",
        members: &[],
        listed_by: "aws sns list-topics",
        // Each topic takes a few short calls, paced by their quotas.
        concurrency: 16,
        batch: 1,
        shows_layout: true,
        is_free_text: |setting| ["display_name", "filter_policy"].contains(&setting),
    };

    fn read(section: &mut SectionReader<'_, '_>, entry: &Entry) -> Option<TopicSection> {
        manifest::read(section, entry)
    }

    fn write(key: &str, section: &TopicSection) -> String {
        manifest::write(key, section)
    }

    fn schema() -> Schema {
        schema::schema()
    }

    fn references(section: &TopicSection) -> Vec<Reference> {
        manifest::references(section)
    }

    fn uses(section: &TopicSection) -> Vec<Named> {
        manifest::uses(section)
    }

    fn resolve(resolver: &mut Resolver<'_>, key: &str, section: &TopicSection) -> Option<Desired<Self>> {
        Some(manifest::resolve(resolver, key, section))
    }

    fn referred_as(key: &str, section: &TopicSection) -> Option<String> {
        Some(manifest::name(key, section))
    }

    fn name_of(key: &str, section: &TopicSection, _: &PolicyRoot) -> Result<String, Invalid> {
        Ok(manifest::name(key, section))
    }

    fn section_of(desired: &Desired<Self>) -> TopicSection {
        express::section(desired)
    }

    fn files_of(desired: &Desired<Self>) -> Vec<GivenFile> {
        express::files(desired)
    }

    fn tags(&self) -> Option<&Tags> {
        self.tags.as_ref()
    }

    fn key_of(name: &str, _: &PolicyRoot) -> Result<String, Invalid> {
        rules::check_name(name)?;
        Ok(name.to_owned())
    }

    fn of_arn(resource: &str, policy_root: &PolicyRoot) -> Option<ArnName> {
        let key = Self::key_of(resource, policy_root).ok()?;
        Some(ArnName::Name { name: resource.to_owned(), key })
    }

    fn api(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> TopicApi {
        TopicApi::new(config, pacer, identity)
    }

    fn reads(desired: &Desired<Self>) -> Vec<Operation> {
        steps::reads(desired)
    }

    fn allowed_on(operation: Operation, desired: &Desired<Self>, location: &Location) -> On {
        use steps::{GET_SUBSCRIPTION_ATTRIBUTES, LIST_TOPICS, SET_SUBSCRIPTION_ATTRIBUTES, UNSUBSCRIBE};
        match operation {
            // Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SNS".
            LIST_TOPICS | GET_SUBSCRIPTION_ATTRIBUTES | SET_SUBSCRIPTION_ATTRIBUTES | UNSUBSCRIBE => On::Any,
            // The topic's key is known only after the topic is read, and its alias can be any.
            DESCRIBE_KEY => On::Resources(vec![live::key_pattern(desired.managed.key.as_ref(), location)]),
            _ => On::Resources(vec![location.arn("sns", &desired.name)]),
        }
    }

    fn unlisted_permissions(location: &Location, _: &PolicyRoot, purpose: Purpose) -> Vec<Permission> {
        let mut operations = vec![steps::LIST_TOPIC_TAGS, steps::GET_TOPIC_ATTRIBUTES];
        operations.extend((purpose == Purpose::Write).then_some(steps::DELETE_TOPIC));
        let statement = || String::from("SentinelTopicPrune");
        let on = On::Resources(vec![location.arn("sns", "*")]);
        vec![
            Permission { statement: statement(), shared: false, operations, on },
            Permission { statement: statement(), shared: true, operations: vec![steps::LIST_TOPICS], on: On::Any },
        ]
    }

    async fn observe(api: &TopicApi, batch: &[&Desired<Self>]) -> Vec<Observed<Self>> {
        futures_util::future::join_all(batch.iter().map(|desired| api::observe(api, desired))).await
    }

    async fn owned(_: &TopicApi, _: &Search<'_>) -> Option<Result<HashSet<String>, CallError>> {
        // The tags of a topic are read together with it.
        None
    }

    async fn unlisted(api: &TopicApi, search: &Search<'_>) -> Unlisted {
        api::unlisted(api, search).await
    }

    fn check_name(name: &str) -> Result<(), Invalid> {
        rules::check_name(name)
    }

    fn everything() -> Self {
        // All other settings are part of each response.
        Self { subscriptions: Some(BTreeMap::new()), tags: Some(Tags::new()), ..Self::default() }
    }

    async fn discover(api: &TopicApi, wanted: &Wanted<'_>) -> Result<Discovered<Self>, DiscoverError> {
        let mut discovered = import::discover(api, wanted).await?;
        // The subscriptions are known only now.
        let lives = discovered.found.iter_mut().map(|found| api::read_all_attributes(api, &mut found.live));
        futures_util::future::join_all(lives).await;
        Ok(discovered)
    }

    fn key_of_live(found: &Found<Self>, _: &PolicyRoot) -> Result<String, String> {
        Ok(live::key(found))
    }

    fn import(importer: &mut Importer<'_>, key: &str, found: Found<Self>) -> TopicSection {
        live::section(importer, key, found)
    }

    async fn execute(api: &TopicApi, step: &TopicStep, _: Waiting) -> Result<StepOutcome, CallError> {
        calls::execute(api, step).await
    }

    fn changes(desired: &Desired<Self>, live: &Live<Self>) -> Vec<FieldChange<Field>> {
        let mut changes = diff::diff(&desired.managed, &live.state);
        changes.extend(desired.adoption(&live.facts, Field::Tag));
        changes
    }

    fn create(desired: &Desired<Self>) -> Vec<TopicStep> {
        steps::create(desired)
    }

    fn repair(desired: &Desired<Self>, live: &Live<Self>, changes: &[FieldChange<Field>]) -> Vec<TopicStep> {
        steps::repair(desired, live, changes)
    }

    fn delete(desired: &Desired<Self>, _: &Live<Self>) -> Deletion<Self> {
        Deletion::of(steps::delete(desired))
    }

    fn seen(live: &Live<Self>) -> Fields {
        display::seen(live)
    }

    fn opposite(desired: &Desired<Self>) -> Live<Self> {
        steps::opposite(desired)
    }

    fn calls_to_observe(layouts: &[Option<&Self>]) -> usize {
        // A key is described only if the topic has another name of it than the manifest, which is rare.
        let of_topic = |layout: Option<&Self>| {
            let subscriptions = layout.and_then(|layout| layout.subscriptions.as_ref());
            let attributes = subscriptions.into_iter().flatten().filter(|(_, one)| steps::has_attributes(one)).count();
            1 + usize::from(subscriptions.is_some()) + attributes
        };
        layouts.iter().copied().map(of_topic).sum()
    }

    #[cfg(test)]
    fn any_sections() -> proptest::strategy::BoxedStrategy<indexmap::IndexMap<String, TopicSection>> {
        proptest::strategy::Strategy::boxed(manifest::any::sections())
    }

    fn shown(state: &Self) -> Option<Self> {
        display::shown(state)
    }

    fn cloudformation(desired: &Desired<Self>, live: Option<&Live<Self>>, stack: &mut Stack) {
        export::cloudformation(desired, live, stack);
    }

    fn terraform(desired: &Desired<Self>, live: Option<&Live<Self>>, module: &mut Module) {
        export::terraform(desired, live, module);
    }

    fn layout(state: &Self) -> Vec<Line> {
        display::layout(state)
    }

    fn sketch(state: &Self, _: Option<&str>) -> Vec<Line> {
        display::sketch(state)
    }

    fn is_drawn(setting: &str) -> bool {
        setting == "key"
    }
}

//! The steps that repair a topic, in the order that AWS requires.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::field::SubscriptionId;
use super::{Field, FilterScope, Part, Subscription, Topic, TopicKey, display};
use crate::change::{Consent, FieldChange, Protection};
use crate::kind::document::{PolicyDocument, pretty};
use crate::kind::key::DESCRIBE_KEY;
use crate::kind::{Desired, KindStep, NewDocument};
use crate::resource::call::{Operation, operation};
use crate::resource::names::OwnerKey;
use crate::resource::secret::without_userinfo;
use crate::resource::{Facts, Live, Tags};

// The rates are from AWS General Reference, "Amazon SNS endpoints and quotas". Undocumented rates are 30 a second, like most others.
pub(super) const CREATE_TOPIC: Operation = operation!("sns", "CreateTopic", 30.0, 30.0);
pub(super) const DELETE_TOPIC: Operation = operation!("sns", "DeleteTopic", 30.0, 30.0);
pub(super) const GET_TOPIC_ATTRIBUTES: Operation = operation!("sns", "GetTopicAttributes", 30.0, 30.0);
pub(super) const SET_TOPIC_ATTRIBUTES: Operation = operation!("sns", "SetTopicAttributes", 30.0, 30.0);
pub(super) const LIST_TOPICS: Operation = operation!("sns", "ListTopics", 30.0, 30.0);
pub(super) const SUBSCRIBE: Operation = operation!("sns", "Subscribe", 100.0, 100.0);
pub(super) const UNSUBSCRIBE: Operation = operation!("sns", "Unsubscribe", 100.0, 100.0);
pub(super) const LIST_SUBSCRIPTIONS: Operation = operation!("sns", "ListSubscriptionsByTopic", 30.0, 30.0);
pub(super) const GET_SUBSCRIPTION_ATTRIBUTES: Operation = operation!("sns", "GetSubscriptionAttributes", 30.0, 30.0);
pub(super) const SET_SUBSCRIPTION_ATTRIBUTES: Operation = operation!("sns", "SetSubscriptionAttributes", 30.0, 30.0);
pub(super) const TAG_TOPIC: Operation = operation!("sns", "TagResource", 10.0, 10.0);
pub(super) const UNTAG_TOPIC: Operation = operation!("sns", "UntagResource", 10.0, 10.0);
pub(super) const LIST_TOPIC_TAGS: Operation = operation!("sns", "ListTagsForResource", 10.0, 10.0);

/// One call that changes a topic or a subscription, or one check of confirmations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum TopicStep {
    /// Creates the topic with its settings and tags; expects that no topic of its name has other settings.
    CreateTopic { name: String, topic: Box<Topic> },
    /// Sets one attribute, the maximum of one call.
    SetTopicAttribute {
        name: String,
        attribute: TopicAttribute,
        #[serde(default, skip_serializing_if = "Protection::is_unchanged")]
        protection: Protection,
    },
    /// Sets these tags and keeps all others.
    TagTopic { name: String, tags: Tags },
    /// Removes the tags of these keys.
    UntagTopic { name: String, keys: Vec<String> },
    /// Subscribes an endpoint; expects that it has no subscription, not even a pending one.
    Subscribe { name: String, subscription: Subscription },
    /// Sets one attribute of a confirmed subscription. `subscription` is its display name.
    SetSubscriptionAttribute { name: String, subscription: String, arn: String, attribute: SubscriptionAttribute },
    /// Deletes a subscription. `subscription` is its display name.
    Unsubscribe { name: String, subscription: String, arn: String },
    /// Checks whether these subscriptions are confirmed, and ends the work on the topic for now if one is not.
    AwaitConfirmation { name: String, subscriptions: Vec<String> },
    /// Deletes the topic; expects the ownership tag with this key.
    DeleteTopic { name: String, owner_key: OwnerKey },
}

/// An attribute of a topic that can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", content = "value", rename_all = "snake_case")]
pub enum TopicAttribute {
    DisplayName(String),
    Key(TopicKey),
    Policy(PolicyDocument),
    DeliveryPolicy(Value),
    ContentBasedDeduplication(bool),
}

/// An attribute of a subscription that can change. Protocol and endpoint identify a subscription and cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", content = "value", rename_all = "snake_case")]
pub enum SubscriptionAttribute {
    FilterPolicy(Value),
    FilterPolicyScope(FilterScope),
    Raw(bool),
    Role(String),
}

impl SubscriptionAttribute {
    fn describe(&self) -> &'static str {
        match self {
            Self::FilterPolicy(_) => "the filter policy",
            Self::FilterPolicyScope(_) => "the scope of the filter policy",
            Self::Raw(_) => "raw delivery",
            Self::Role(_) => "the role",
        }
    }
}

impl KindStep for TopicStep {
    fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags in a creation require the tagging permission. An existing topic is read.
            Self::CreateTopic { topic, .. } => {
                let tags = topic.tags.as_ref().is_some_and(|tags| !tags.is_empty());
                match (tags, matches!(topic.key, Some(TopicKey::Kms(_)))) {
                    (true, true) => &[CREATE_TOPIC, TAG_TOPIC, GET_TOPIC_ATTRIBUTES, LIST_TOPIC_TAGS, DESCRIBE_KEY],
                    (true, false) => &[CREATE_TOPIC, TAG_TOPIC, GET_TOPIC_ATTRIBUTES, LIST_TOPIC_TAGS],
                    (false, true) => &[CREATE_TOPIC, GET_TOPIC_ATTRIBUTES, DESCRIBE_KEY],
                    (false, false) => &[CREATE_TOPIC, GET_TOPIC_ATTRIBUTES],
                }
            }
            Self::SetTopicAttribute { .. } => &[SET_TOPIC_ATTRIBUTES],
            Self::TagTopic { .. } => &[TAG_TOPIC],
            Self::UntagTopic { .. } => &[UNTAG_TOPIC],
            Self::Subscribe { .. } => &[SUBSCRIBE, LIST_SUBSCRIPTIONS],
            Self::SetSubscriptionAttribute { .. } => &[SET_SUBSCRIPTION_ATTRIBUTES],
            Self::Unsubscribe { .. } => &[UNSUBSCRIBE],
            Self::AwaitConfirmation { .. } => &[LIST_SUBSCRIPTIONS],
            Self::DeleteTopic { .. } => &[DELETE_TOPIC, LIST_TOPIC_TAGS],
        }
    }

    fn needs(&self) -> Option<Consent> {
        match self {
            Self::SetTopicAttribute { attribute: TopicAttribute::Key(TopicKey::Off), .. }
            | Self::SetTopicAttribute { protection: Protection::Removed, .. } => Some(Consent::Protection),
            Self::Unsubscribe { .. } => Some(Consent::Subscription),
            Self::DeleteTopic { .. } => Some(Consent::Prune),
            Self::CreateTopic { .. }
            | Self::SetTopicAttribute { .. }
            | Self::TagTopic { .. }
            | Self::UntagTopic { .. }
            | Self::Subscribe { .. }
            | Self::SetSubscriptionAttribute { .. }
            | Self::AwaitConfirmation { .. } => None,
        }
    }

    fn protects(&self) -> bool {
        matches!(self, Self::SetTopicAttribute { protection: Protection::Added, .. })
    }

    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        let new = |field: Field, text: String| NewDocument { setting: Some(field.to_string()), text: text.into() };
        match self {
            Self::CreateTopic { topic, .. } => {
                let policy = topic.policy.iter().map(|policy| new(Field::Policy, policy.pretty()));
                let delivery = topic.delivery_policy.iter().map(|policy| new(Field::DeliveryPolicy, pretty(policy)));
                policy.chain(delivery).collect()
            }
            Self::Subscribe { subscription, .. } => {
                let filter = subscription.filter_policy.iter().filter(|filter| **filter != json!({}));
                let field = || Field::SubscriptionPart(SubscriptionId(subscription.id()), Part::FilterPolicy);
                filter.map(|filter| new(field(), pretty(filter))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::CreateTopic { .. } => String::from("creating"),
            Self::SetTopicAttribute { attribute, .. } => match attribute {
                TopicAttribute::DisplayName(_) => String::from("changing the display name"),
                TopicAttribute::Key(TopicKey::Off) => String::from("disabling encryption"),
                TopicAttribute::Key(TopicKey::Kms(_)) => String::from("changing encryption"),
                TopicAttribute::Policy(_) => String::from("changing the policy"),
                TopicAttribute::DeliveryPolicy(_) => String::from("changing the delivery policy"),
                TopicAttribute::ContentBasedDeduplication(true) => String::from("enabling content-based deduplication"),
                TopicAttribute::ContentBasedDeduplication(false) => {
                    String::from("disabling content-based deduplication")
                }
            },
            Self::TagTopic { .. } => String::from("tagging"),
            Self::UntagTopic { .. } => String::from("removing tags"),
            Self::Subscribe { subscription, .. } => format!("subscribing {}", subscription.shown()),
            Self::SetSubscriptionAttribute { subscription, attribute, .. } => {
                format!("changing {} of {subscription}", attribute.describe())
            }
            Self::Unsubscribe { subscription, .. } => format!("unsubscribing {subscription}"),
            Self::AwaitConfirmation { .. } => String::from("looking for confirmations"),
            Self::DeleteTopic { .. } => String::from("deleting"),
        }
    }

    fn defers(&self) -> bool {
        matches!(self, Self::AwaitConfirmation { .. })
    }

    fn shown(&self) -> Option<Self> {
        match self {
            Self::Subscribe { name, subscription } if subscription.is_masked() => {
                Some(Self::Subscribe { name: name.clone(), subscription: subscription.masked() })
            }
            Self::AwaitConfirmation { name, subscriptions } => Some(Self::AwaitConfirmation {
                name: name.clone(),
                subscriptions: subscriptions.iter().map(|id| without_userinfo(id)).collect(),
            }),
            Self::CreateTopic { name, topic } => {
                display::shown(topic).map(|topic| Self::CreateTopic { name: name.clone(), topic: Box::new(topic) })
            }
            _ => None,
        }
    }
}

/// Returns whether a subscription has managed attributes, which are read one subscription at a time.
pub(super) fn has_attributes(subscription: &Subscription) -> bool {
    let Subscription { protocol: _, endpoint: _, filter_policy, filter_policy_scope, raw, role, arn: _ } = subscription;
    filter_policy.is_some() || filter_policy_scope.is_some() || raw.is_some() || role.is_some()
}

/// Returns the operations that observe this topic.
pub(super) fn reads(desired: &Desired<Topic>) -> Vec<Operation> {
    let Topic {
        fifo: _,
        content_based_deduplication: _,
        display_name: _,
        key,
        policy: _,
        delivery_policy: _,
        subscriptions,
        tags,
    } = &desired.managed;
    let mut operations = vec![GET_TOPIC_ATTRIBUTES];
    operations.extend(matches!(key, Some(TopicKey::Kms(_))).then_some(DESCRIBE_KEY));
    operations.extend(subscriptions.as_ref().map(|_| LIST_SUBSCRIPTIONS));
    let attributes = subscriptions.iter().flatten().any(|(_, one)| has_attributes(one));
    operations.extend(attributes.then_some(GET_SUBSCRIPTION_ATTRIBUTES));
    operations.extend((tags.is_some() || desired.reads_owner()).then_some(LIST_TOPIC_TAGS));
    operations
}

/// Returns the steps that create the topic and subscribe its endpoints.
pub(super) fn create(desired: &Desired<Topic>) -> Vec<TopicStep> {
    let name = || desired.name.clone();
    let topic = Box::new(Topic { subscriptions: None, ..desired.initial.clone() });
    let mut steps = vec![TopicStep::CreateTopic { name: name(), topic }];
    let subscriptions: Vec<&Subscription> =
        desired.initial.subscriptions.iter().flatten().map(|(_, one)| one).collect();
    let subscribe = |one: &&Subscription| TopicStep::Subscribe { name: name(), subscription: (*one).clone() };
    steps.extend(subscriptions.iter().map(subscribe));
    steps.extend(await_confirmation(&desired.name, subscriptions.iter().map(|one| one.id()).collect()));
    steps
}

/// SNS decides which subscriptions need confirmation: those of email and HTTP, and those of other accounts.
fn await_confirmation(name: &str, subscriptions: Vec<String>) -> Option<TopicStep> {
    let step = |subscriptions| TopicStep::AwaitConfirmation { name: name.to_owned(), subscriptions };
    Some(subscriptions).filter(|subscriptions| !subscriptions.is_empty()).map(step)
}

pub(super) fn delete(desired: &Desired<Topic>) -> Vec<TopicStep> {
    let step =
        |owner_key: &OwnerKey| TopicStep::DeleteTopic { name: desired.name.clone(), owner_key: owner_key.clone() };
    desired.ownership.iter().map(step).collect()
}

/// Returns the steps that repair the differences.
///
/// Encryption is added first and removed last, and additions come before removals. There are no steps if the only difference is a pending
/// subscription.
pub(super) fn repair(desired: &Desired<Topic>, live: &Live<Topic>, changes: &[FieldChange<Field>]) -> Vec<TopicStep> {
    let differs = |field: Field| changes.iter().any(|change| change.is_in_place(&field));
    let managed = &desired.managed;
    let name = || desired.name.clone();
    let set = |attribute| TopicStep::SetTopicAttribute { name: name(), attribute, protection: Protection::Unchanged };
    let (removes_protection, encrypts): (Vec<_>, Vec<_>) = managed
        .key
        .iter()
        .zip(&live.state.key)
        .filter(|_| differs(Field::Key))
        .map(|(key, before)| (key, before.protection_of(key)))
        .partition(|(_, protection)| *protection == Protection::Removed);
    let set_key = |(key, protection): (&TopicKey, Protection)| TopicStep::SetTopicAttribute {
        name: name(),
        attribute: TopicAttribute::Key(key.clone()),
        protection,
    };
    let mut steps: Vec<TopicStep> = encrypts.into_iter().map(set_key).collect();
    let settings = [
        managed.policy.clone().filter(|_| differs(Field::Policy)).map(TopicAttribute::Policy),
        managed.delivery_policy.clone().filter(|_| differs(Field::DeliveryPolicy)).map(TopicAttribute::DeliveryPolicy),
        managed.display_name.clone().filter(|_| differs(Field::DisplayName)).map(TopicAttribute::DisplayName),
        managed
            .content_based_deduplication
            .filter(|_| differs(Field::ContentBasedDeduplication))
            .map(TopicAttribute::ContentBasedDeduplication),
    ];
    steps.extend(settings.into_iter().flatten().map(set));
    steps.extend(tags(desired, live));
    let Subscribing { steps: subscriptions, pending } = subscriptions(desired, live, &differs);
    steps.extend(subscriptions);
    steps.extend(removes_protection.into_iter().map(set_key));
    if !steps.is_empty() {
        steps.extend(await_confirmation(&desired.name, pending));
    }
    steps
}

fn tags(desired: &Desired<Topic>, live: &Live<Topic>) -> Vec<TopicStep> {
    let mut set = desired.owner_tags(&live.facts);
    let mut removed = Vec::new();
    if let (Some(wanted), Some(before)) = (&desired.managed.tags, &live.state.tags) {
        let differs = |(key, value): &(&String, &String)| before.get(*key) != Some(*value);
        set.extend(wanted.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())));
        removed.extend(before.keys().filter(|key| !wanted.contains_key(*key) && !key.starts_with("aws:")).cloned());
    }
    let tag = (!set.is_empty()).then(|| TopicStep::TagTopic { name: desired.name.clone(), tags: set });
    let untag = (!removed.is_empty()).then(|| TopicStep::UntagTopic { name: desired.name.clone(), keys: removed });
    // A topic has at most 50 tags, so tags are removed before others are added.
    untag.into_iter().chain(tag).collect()
}

/// The steps for the subscriptions.
struct Subscribing {
    steps: Vec<TopicStep>,
    /// The subscriptions without a known confirmation.
    pending: Vec<String>,
}

/// Returns the steps for the subscriptions.
fn subscriptions(desired: &Desired<Topic>, live: &Live<Topic>, differs: &impl Fn(Field) -> bool) -> Subscribing {
    let (mut steps, mut pending) = (Vec::new(), Vec::new());
    let (Some(wanted), Some(found)) = (&desired.managed.subscriptions, &live.state.subscriptions) else {
        return Subscribing { steps, pending };
    };
    let name = || desired.name.clone();
    for (id, wanted) in wanted {
        let found = found.get(id);
        match found.map(|found| &found.arn) {
            None => {
                steps.push(TopicStep::Subscribe { name: name(), subscription: wanted.clone() });
                pending.push(id.clone());
            }
            Some(None) => pending.push(id.clone()),
            Some(Some(arn)) => {
                let differs = |part: Part| differs(Field::SubscriptionPart(SubscriptionId(id.clone()), part));
                let step = |attribute| TopicStep::SetSubscriptionAttribute {
                    name: name(),
                    subscription: without_userinfo(id),
                    arn: arn.clone(),
                    attribute,
                };
                steps.extend(attributes(wanted, &differs).into_iter().map(step));
            }
        }
    }
    for (id, found) in found.iter().filter(|(id, _)| !wanted.contains_key(*id)) {
        let removed = |arn: &String| TopicStep::Unsubscribe {
            name: name(),
            subscription: without_userinfo(id),
            arn: arn.clone(),
        };
        steps.extend(found.arn.as_ref().map(removed));
    }
    Subscribing { steps, pending }
}

/// Returns the attributes of a subscription that differ, in the order that SNS requires: it accepts a nested policy only if the scope is
/// the message body, so the scope is widened before the policy changes and narrowed after it.
fn attributes(wanted: &Subscription, differs: &impl Fn(Part) -> bool) -> Vec<SubscriptionAttribute> {
    let scope = wanted.filter_policy_scope.filter(|_| differs(Part::FilterPolicyScope));
    let scope = |wider: bool| {
        let scope = scope.filter(|scope| (*scope == FilterScope::MessageBody) == wider);
        scope.map(SubscriptionAttribute::FilterPolicyScope)
    };
    let all = [
        wanted.role.clone().filter(|_| differs(Part::Role)).map(SubscriptionAttribute::Role),
        scope(true),
        wanted.filter_policy.clone().filter(|_| differs(Part::FilterPolicy)).map(SubscriptionAttribute::FilterPolicy),
        scope(false),
        wanted.raw.filter(|_| differs(Part::Raw)).map(SubscriptionAttribute::Raw),
    ];
    all.into_iter().flatten().collect()
}

/// Returns a live topic with a repairable difference in every managed setting, which shows the operations of any repair without a call to
/// AWS.
pub(super) fn opposite(desired: &Desired<Topic>) -> Live<Topic> {
    let Topic { fifo, content_based_deduplication, display_name, key, policy, delivery_policy, subscriptions, tags } =
        &desired.managed;
    let other_subscriptions = |all: &BTreeMap<String, Subscription>| {
        let other = all.values().map(|one| Subscription {
            protocol: one.protocol.clone(),
            endpoint: one.endpoint.clone(),
            filter_policy: one.filter_policy.as_ref().map(|_| json!({ "another": ["x"] })),
            filter_policy_scope: one.filter_policy_scope.map(|scope| match scope {
                FilterScope::MessageAttributes => FilterScope::MessageBody,
                FilterScope::MessageBody => FilterScope::MessageAttributes,
            }),
            raw: one.raw.map(|raw| !raw),
            role: one.role.as_ref().map(|_| String::from("another")),
            arn: Some(String::from("arn")),
        });
        let stray = Subscription {
            protocol: String::from("another"),
            endpoint: String::from("another"),
            filter_policy: None,
            filter_policy_scope: None,
            raw: None,
            role: None,
            arn: Some(String::from("arn")),
        };
        other.chain([stray]).map(|one| (one.id(), one)).collect()
    };
    let state = Topic {
        fifo: *fifo,
        content_based_deduplication: content_based_deduplication.map(|flag| !flag),
        display_name: display_name.as_ref().map(|name| format!("{name}!")),
        key: key.as_ref().map(|_| TopicKey::Kms(String::from("another"))),
        policy: policy.as_ref().map(|_| PolicyDocument::from_aws("another")),
        delivery_policy: delivery_policy.as_ref().map(|_| Value::Null),
        subscriptions: subscriptions.as_ref().map(other_subscriptions),
        tags: tags.as_ref().map(|_| Tags::from([(String::from("stray"), String::new())])),
    };
    Live { state, facts: Facts { owned: Some(false), ..Facts::default() }, gaps: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Address, Kind, KindId};

    fn subscription(protocol: &str) -> Subscription {
        Subscription {
            protocol: protocol.to_owned(),
            endpoint: String::from("e"),
            filter_policy: Some(json!({ "a": ["x"] })),
            filter_policy_scope: Some(FilterScope::MessageAttributes),
            raw: Some(true),
            role: None,
            arn: None,
        }
    }

    fn desired() -> Desired<Topic> {
        let all = ["email", "sqs"].map(subscription).map(|one| (one.id(), one));
        let managed = Topic {
            fifo: Some(false),
            content_based_deduplication: None,
            display_name: Some(String::from("Alerts")),
            key: Some(TopicKey::Kms(String::from("alias/a"))),
            policy: Some(PolicyDocument::from_aws("{}")),
            delivery_policy: Some(json!({ "http": {} })),
            subscriptions: Some(all.into()),
            tags: Some(Tags::from([(String::from("team"), String::from("x"))])),
        };
        let desired = Desired::new(Address::new(KindId::Topic, "alerts"), "alerts", managed);
        Desired { ownership: Some(OwnerKey::new("managed-by")), ..desired }
    }

    fn described(steps: &[TopicStep]) -> Vec<String> {
        steps.iter().map(TopicStep::describe).collect()
    }

    fn repaired(live: &Live<Topic>) -> Vec<String> {
        let desired = desired();
        described(&repair(&desired, live, &Topic::changes(&desired, live)))
    }

    #[test]
    fn a_topic_is_created_before_its_subscriptions() {
        let steps = create(&desired());
        let expected = ["creating", "subscribing email e", "subscribing sqs e", "looking for confirmations"];
        assert_eq!(described(&steps), expected);
        let TopicStep::CreateTopic { topic, .. } = &steps[0] else { panic!("{steps:?}") };
        assert_eq!((&topic.subscriptions, topic.key.is_some()), (&None, true));
    }

    #[test]
    fn repairs_are_in_the_order_that_sns_requires() {
        let expected = [
            "changing encryption",
            "changing the policy",
            "changing the delivery policy",
            "changing the display name",
            "removing tags",
            "tagging",
            "changing the filter policy of email e",
            "changing the scope of the filter policy of email e",
            "changing raw delivery of email e",
            "changing the filter policy of sqs e",
            "changing the scope of the filter policy of sqs e",
            "changing raw delivery of sqs e",
            "unsubscribing another another",
        ];
        assert_eq!(repaired(&opposite(&desired())), expected);
    }

    #[test]
    fn a_pending_subscription_has_no_steps() {
        let mut live = Live { state: desired().managed, facts: Facts::default(), gaps: Vec::new() };
        let found = live.state.subscriptions.as_mut().unwrap();
        found.get_mut("sqs e").unwrap().arn = Some(String::from("arn"));
        let pending = Subscription { filter_policy: None, raw: None, ..subscription("email") };
        *found.get_mut("email e").unwrap() = pending.clone();
        found.insert(String::from("email else"), Subscription { endpoint: String::from("else"), ..pending });
        assert_eq!(repaired(&live), [""; 0]);
        // All other steps run, and the report lists the pending subscription.
        live.state.display_name = Some(String::from("x"));
        assert_eq!(repaired(&live), ["changing the display name", "looking for confirmations"]);
    }

    #[test]
    fn a_scope_is_widened_before_the_policy() {
        let wanted = Subscription { filter_policy_scope: Some(FilterScope::MessageBody), ..subscription("sqs") };
        let described: Vec<&str> = attributes(&wanted, &|_| true).iter().map(SubscriptionAttribute::describe).collect();
        assert_eq!(described, ["the scope of the filter policy", "the filter policy", "raw delivery"]);
    }

    #[test]
    fn only_a_topic_with_the_ownership_tag_is_deleted() {
        assert_eq!(described(&delete(&desired())), ["deleting"]);
        assert_eq!(delete(&Desired { ownership: None, ..desired() }), []);
    }

    #[test]
    fn only_managed_settings_are_read() {
        let names = |desired: &Desired<Topic>| reads(desired).iter().map(|one| one.name).collect::<Vec<_>>();
        let all = [
            "GetTopicAttributes",
            "DescribeKey",
            "ListSubscriptionsByTopic",
            "GetSubscriptionAttributes",
            "ListTagsForResource",
        ];
        assert_eq!(names(&desired()), all);
        let bare = Desired { managed: Topic::default(), ..desired() };
        assert_eq!(names(&bare), ["GetTopicAttributes"]);
        assert_eq!(names(&Desired { adopt: true, ..bare }), ["GetTopicAttributes", "ListTagsForResource"]);
    }

    #[test]
    fn destructive_topic_steps_need_consent() {
        let needs = |steps: &[TopicStep]| steps.iter().filter_map(KindStep::needs).collect::<Vec<_>>();
        assert_eq!(needs(&create(&desired())), []);
        assert_eq!(needs(&delete(&desired())), [Consent::Prune]);
        let mut off = desired();
        off.managed.key = Some(TopicKey::Off);
        let live = opposite(&off);
        let steps = repair(&off, &live, &Topic::changes(&off, &live));
        assert_eq!(needs(&steps), [Consent::Subscription, Consent::Protection]);
        assert_eq!(steps.last().unwrap().describe(), "disabling encryption");
    }

    #[test]
    fn a_key_change_adds_or_removes_protection_depending_on_the_earlier_key() {
        let change = |before: TopicKey, after: TopicKey| {
            let mut wanted = desired();
            wanted.managed = Topic { key: Some(after), ..Topic::default() };
            let state = Topic { key: Some(before), ..Topic::default() };
            let live = Live { state, facts: Facts::default(), gaps: Vec::new() };
            let changes = Topic::changes(&wanted, &live);
            let steps = repair(&wanted, &live, &changes);
            assert_eq!(changes[0].needs, steps[0].needs());
            (steps[0].protects(), steps[0].needs().is_some())
        };
        let own = || TopicKey::Kms(String::from("alias/records"));
        let other = || TopicKey::Kms(String::from("alias/other"));
        let aws = || TopicKey::Kms(String::from("alias/aws/sns"));
        let (protects, removes_protection, neither) = ((true, false), (false, true), (false, false));
        assert_eq!(change(TopicKey::Off, own()), protects);
        assert_eq!(change(TopicKey::Off, aws()), protects);
        assert_eq!(change(aws(), own()), protects);
        assert_eq!(change(own(), aws()), removes_protection);
        assert_eq!(change(own(), TopicKey::Off), removes_protection);
        assert_eq!(change(aws(), TopicKey::Off), removes_protection);
        assert_eq!(change(own(), other()), neither);
        let by_arn = TopicKey::Kms(String::from("arn:aws:kms:us-east-1:123456789012:alias/aws/sns"));
        assert_eq!(change(own(), by_arn), removes_protection);
    }

    #[test]
    fn steps_read_back_from_a_plan() {
        let steps = [
            create(&desired()),
            repair(&desired(), &opposite(&desired()), &Topic::changes(&desired(), &opposite(&desired()))),
        ];
        for step in steps.concat() {
            let text = serde_json::to_string(&crate::kind::Step::from(step.clone())).unwrap();
            assert_eq!(serde_json::from_str::<crate::kind::Step>(&text).unwrap(), step.into(), "{text}");
        }
    }
}

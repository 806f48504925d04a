//! A topic in CloudFormation and Terraform: the topic, its policy, and a resource for each subscription.

use serde_json::{Value, json};

use super::rules::without_password;
use super::{FilterScope, PolicyDocument, Subscription, Topic, TopicKey};
use crate::kind::export::cloudformation::{Properties, Stack, id, properties, set, tags};
use crate::kind::export::mark;
use crate::kind::export::terraform::{Body, Module, PreventDestroy, add_tags, reference};
use crate::kind::{Desired, KindId};
use crate::resource::Live;

/// Returns the live subscription of a desired one.
fn live_of<'a>(live: Option<&'a Live<Topic>>, one: &Subscription) -> Option<&'a Subscription> {
    live?.state.subscriptions.as_ref()?.get(&one.id())
}

/// Returns whether an endpoint contains a password, which must not be in a file.
fn is_secret(one: &Subscription) -> bool {
    without_password(&one.endpoint) != one.endpoint
}

/// Returns the desired subscriptions.
fn subscriptions(topic: &Topic) -> impl Iterator<Item = &Subscription> {
    topic.subscriptions.iter().flat_map(|all| all.values())
}

pub(super) fn cloudformation(desired: &Desired<Topic>, live: Option<&Live<Topic>>, stack: &mut Stack) {
    let initial = &desired.initial;
    let Topic {
        fifo,
        content_based_deduplication,
        display_name,
        key,
        policy,
        delivery_policy,
        subscriptions: _,
        tags: own,
    } = initial;
    let mut topic = properties([("TopicName", json!(desired.name))]);
    // AWS does not accept `false` for a standard topic.
    set(&mut topic, "FifoTopic", fifo.filter(|fifo| *fifo));
    set(&mut topic, "ContentBasedDeduplication", *content_based_deduplication);
    set(&mut topic, "DisplayName", display_name.clone());
    let kms = key.as_ref().and_then(|key| match key {
        TopicKey::Off => None,
        // SNS returns the name that it was given.
        TopicKey::Kms(name) => Some(name.clone()),
    });
    set(&mut topic, "KmsMasterKeyId", kms);
    set(&mut topic, "Tags", tags(own.as_ref()));
    if delivery_policy.is_some() {
        let help = "remove delivery_policy, or export for Terraform, which supports it";
        stack.export.lacks(&desired.address, "delivery_policy", "AWS::SNS::Topic has no delivery policy", help);
    }
    let alias = stack.export.referred(&desired.depends_on, KindId::Key);
    let alias = alias.map(|key| format!("{}{}", crate::kind::key::ALIAS_PREFIX, id(key)));
    let resource = stack.add(desired, "", "AWS::SNS::Topic", topic);
    resource.depends_on.extend(alias);
    let arn = live.and_then(|live| live.facts.arn.as_ref());
    resource.existing = arn.map(|arn| properties([("TopicArn", json!(arn))]));
    let topic = json!({ "Ref": resource.id });
    if let Some(policy) = policy {
        let access = properties([("PolicyDocument", policy.value().clone()), ("Topics", json!([topic.clone()]))]);
        stack.add(desired, "Access", "AWS::SNS::TopicPolicy", access);
    }
    for one in subscriptions(initial) {
        let subscription = subscription(desired, one, topic.clone(), stack);
        let name = format!("Subscription{}", mark(&one.id()));
        let resource = stack.add(desired, &name, "AWS::SNS::Subscription", subscription);
        // A subscription without confirmation has no ARN.
        let arn = live_of(live, one).and_then(|live| live.arn.as_ref());
        resource.existing = arn.map(|arn| properties([("Arn", json!(arn))]));
    }
}

fn subscription(desired: &Desired<Topic>, one: &Subscription, topic: Value, stack: &mut Stack) -> Properties {
    let Subscription { protocol, endpoint, filter_policy, filter_policy_scope, raw, role, arn: _ } = one;
    let endpoint = if is_secret(one) {
        let name = format!("Endpoint{}", mark(&one.id()));
        stack.secret(&desired.address, &name, format!("The endpoint {}", one.shown()), None)
    } else {
        json!(endpoint)
    };
    let mut all = properties([("TopicArn", topic), ("Protocol", json!(protocol)), ("Endpoint", endpoint)]);
    // An empty object is no filter.
    let filter = filter_policy.clone().filter(|filter| filter.as_object().is_none_or(|fields| !fields.is_empty()));
    set(&mut all, "FilterPolicyScope", filter.as_ref().and(filter_policy_scope.map(FilterScope::as_str)));
    set(&mut all, "FilterPolicy", filter);
    set(&mut all, "RawMessageDelivery", *raw);
    set(&mut all, "SubscriptionRoleArn", role.clone());
    all
}

const TOPIC: &str = "aws_sns_topic";

pub(super) fn terraform(desired: &Desired<Topic>, live: Option<&Live<Topic>>, module: &mut Module) {
    let initial = &desired.initial;
    let Topic { fifo, content_based_deduplication, display_name, key, policy, delivery_policy, subscriptions: _, tags } =
        initial;
    let mut body = Body::new();
    body.set("name", &desired.name);
    body.maybe("fifo_topic", fifo.filter(|fifo| *fifo));
    body.maybe("content_based_deduplication", *content_based_deduplication);
    body.maybe("display_name", display_name.as_ref());
    let kms = key.as_ref().and_then(|key| match key {
        TopicKey::Off => None,
        TopicKey::Kms(name) => Some(name),
    });
    body.maybe("kms_master_key_id", kms);
    body.maybe("policy", policy.as_ref().map(PolicyDocument::to_json));
    body.maybe("delivery_policy", delivery_policy.as_ref().map(ToString::to_string));
    let alias = module.export.referred(&desired.depends_on, KindId::Key);
    let alias = alias.map(|key| format!("aws_kms_alias.{}", module.name(key)));
    let resource = module.add(desired, TOPIC, body);
    resource.prevent_destroy = PreventDestroy::Yes;
    resource.depends_on.extend(alias);
    resource.existing = live.and_then(|live| live.facts.arn.clone());
    let unmanaged = [
        ("content_based_deduplication", content_based_deduplication.is_none()),
        ("delivery_policy", delivery_policy.is_none()),
        ("display_name", display_name.is_none()),
        ("kms_master_key_id", key.is_none()),
    ];
    resource.ignored.extend(unmanaged.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name));
    add_tags(resource, tags.as_ref(), desired.managed.tags.as_ref());
    let topic = resource.name.clone();
    for one in subscriptions(initial) {
        subscribe(desired, &topic, one, live_of(live, one), module);
    }
}

fn subscribe(
    desired: &Desired<Topic>,
    topic: &str,
    one: &Subscription,
    live: Option<&Subscription>,
    module: &mut Module,
) {
    let Subscription { protocol, endpoint, filter_policy, filter_policy_scope, raw, role, arn: _ } = one;
    let name = format!("{topic}_{}", mark(&one.id()));
    let endpoint = if is_secret(one) {
        let description = format!("The endpoint {} of {}", one.shown(), desired.address);
        module.secret(format!("{name}_endpoint"), description)
    } else {
        endpoint.into()
    };
    let mut body = Body::new();
    body.set("topic_arn", reference(TOPIC, topic, "arn"));
    body.set("protocol", protocol).set("endpoint", endpoint);
    // An empty object is no filter.
    let filter = filter_policy.as_ref().filter(|filter| filter.as_object().is_none_or(|fields| !fields.is_empty()));
    body.maybe("filter_policy", filter.map(ToString::to_string));
    body.maybe("filter_policy_scope", filter.and(filter_policy_scope.map(FilterScope::as_str)));
    body.maybe("raw_message_delivery", *raw);
    body.maybe("subscription_role_arn", role.as_ref());
    let resource = module.add_named(name, "aws_sns_topic_subscription", body);
    resource.existing = live.and_then(|live| live.arn.clone());
    if filter_policy.is_none() {
        resource.ignored.extend(["filter_policy", "filter_policy_scope"]);
    }
    resource.ignored.extend(raw.is_none().then_some("raw_message_delivery"));
    // No manifest can express these.
    resource.ignored.extend(["delivery_policy", "redrive_policy"]);
}

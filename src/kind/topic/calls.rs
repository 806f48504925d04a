//! The SNS calls that change a topic.

use aws_sdk_sns::types::Tag;

use super::api::{Attributes, TopicApi, from_attributes, list_subscriptions, name_key, read_attributes, read_tags};
use super::steps::{
    CREATE_TOPIC, DELETE_TOPIC, SET_SUBSCRIPTION_ATTRIBUTES, SET_TOPIC_ATTRIBUTES, SUBSCRIBE, TAG_TOPIC, UNSUBSCRIBE,
    UNTAG_TOPIC,
};
use super::{Subscription, SubscriptionAttribute, Topic, TopicAttribute, TopicKey, TopicStep, diff, display};
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::names::OwnerKey;
use crate::resource::secret::without_userinfo;
use crate::resource::{OWNER, StepOutcome, Tags};

/// Runs one step.
pub(super) async fn execute(api: &TopicApi, step: &TopicStep) -> Result<StepOutcome, CallError> {
    match step {
        TopicStep::CreateTopic { name, topic } => create(api, name, topic).await,
        TopicStep::SetTopicAttribute { name, attribute, .. } => set_attribute(api, name, attribute).await,
        TopicStep::TagTopic { name, tags } => {
            let (arn, list) = (api.arn(name).await?, sdk_tags(TAG_TOPIC, tags)?);
            let call = || api.client.tag_resource().resource_arn(&arn).set_tags(Some(list.clone())).send();
            api.pacer.call(TAG_TOPIC, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        TopicStep::UntagTopic { name, keys } => {
            let arn = api.arn(name).await?;
            let call = || api.client.untag_resource().resource_arn(&arn).set_tag_keys(Some(keys.clone())).send();
            api.pacer.call(UNTAG_TOPIC, &[], call).await?;
            Ok(StepOutcome::Done)
        }
        TopicStep::Subscribe { name, subscription } => subscribe(api, name, subscription).await,
        TopicStep::SetSubscriptionAttribute { subscription, arn, attribute, .. } => {
            set_subscription_attribute(api, ExistingSubscription { shown: subscription, arn }, attribute).await
        }
        TopicStep::Unsubscribe { arn, .. } => {
            // SNS reports success for a subscription that is already deleted.
            let call = || api.client.unsubscribe().subscription_arn(arn).send();
            match api.pacer.call(UNSUBSCRIBE, &[], call).await {
                Err(error) if error.class != Class::NotFound => Err(error),
                _ => Ok(StepOutcome::Done),
            }
        }
        TopicStep::AwaitConfirmation { name, subscriptions } => await_confirmation(api, name, subscriptions).await,
        TopicStep::DeleteTopic { name, owner_key } => delete(api, name, owner_key).await,
    }
}

fn sdk_tags(operation: Operation, tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let built = tags.iter().map(build).collect::<Result<_, _>>();
    built.map_err(|error| CallError::new(operation, Class::Rejected, error.to_string()))
}

fn is_empty(policy: &serde_json::Value) -> bool {
    policy.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Returns a topic's attribute by its SNS name.
fn attribute(attribute: &TopicAttribute) -> (&'static str, String) {
    match attribute {
        TopicAttribute::DisplayName(name) => ("DisplayName", name.clone()),
        TopicAttribute::Key(TopicKey::Off) => ("KmsMasterKeyId", String::new()),
        TopicAttribute::Key(TopicKey::Kms(key)) => ("KmsMasterKeyId", key.clone()),
        TopicAttribute::Policy(policy) => ("Policy", policy.to_json()),
        // SNS has no value that removes it.
        TopicAttribute::DeliveryPolicy(policy) if is_empty(policy) => ("DeliveryPolicy", String::new()),
        TopicAttribute::DeliveryPolicy(policy) => ("DeliveryPolicy", policy.to_string()),
        TopicAttribute::ContentBasedDeduplication(flag) => ("ContentBasedDeduplication", flag.to_string()),
    }
}

/// Returns the attributes of a new topic.
fn attributes(topic: &Topic) -> Attributes {
    let Topic {
        fifo,
        content_based_deduplication,
        display_name,
        key,
        policy,
        delivery_policy,
        // These have their own calls.
        subscriptions: _,
        tags: _,
    } = topic;
    let settings = [
        content_based_deduplication.map(TopicAttribute::ContentBasedDeduplication),
        display_name.clone().map(TopicAttribute::DisplayName),
        key.clone().filter(|key| *key != TopicKey::Off).map(TopicAttribute::Key),
        policy.clone().map(TopicAttribute::Policy),
        delivery_policy.clone().filter(|policy| !is_empty(policy)).map(TopicAttribute::DeliveryPolicy),
    ];
    let mut attributes: Attributes =
        settings.iter().flatten().map(attribute).map(|(name, value)| (name.to_owned(), value)).collect();
    if *fifo == Some(true) {
        attributes.insert(String::from("FifoTopic"), String::from("true"));
    }
    attributes
}

/// Creates a topic. The call is idempotent for an equal topic, so it is simply retried after a lost response. SNS refuses to create a topic
/// that differs, and does not change it.
async fn create(api: &TopicApi, name: &str, topic: &Topic) -> Result<StepOutcome, CallError> {
    let tags = topic.tags.clone().unwrap_or_default();
    let list = Some(sdk_tags(CREATE_TOPIC, &tags)?).filter(|list| !list.is_empty());
    let attributes = Some(attributes(topic)).filter(|attributes| !attributes.is_empty());
    let call = || {
        let request = api.client.create_topic().name(name).set_attributes(attributes.clone());
        request.set_tags(list.clone()).send()
    };
    let error = match api.pacer.call(CREATE_TOPIC, &[], call).await {
        Ok(_) => return Ok(StepOutcome::Done),
        Err(error) if error.class == Class::AlreadyExists || error.open => error,
        Err(error) => return Err(error),
    };
    // SNS may treat equivalent texts as different, and the response of a successful call may be lost.
    let arn = api.arn(name).await?;
    let found = match read_attributes(api, &arn).await {
        Ok(found) => Topic { tags: topic.tags.is_some().then(Tags::new), ..from_attributes(&found) },
        Err(_) => return Err(error),
    };
    let found = match found.tags {
        Some(_) => Topic { tags: Some(read_tags(api, &arn).await?), ..found },
        None => found,
    };
    let mut found = found;
    if name_key(api, &mut found, topic.key.as_ref()).await.is_err() {
        return Err(error);
    }
    if diff::diff(topic, &found).is_empty() {
        return Ok(StepOutcome::Done);
    }
    let why = "someone else created it meanwhile, with other settings or tags; nothing was changed";
    Ok(StepOutcome::Conflict(String::from(why)))
}

async fn set_attribute(api: &TopicApi, name: &str, setting: &TopicAttribute) -> Result<StepOutcome, CallError> {
    let arn = api.arn(name).await?;
    let (name, value) = attribute(setting);
    let call = || {
        let request = api.client.set_topic_attributes().topic_arn(&arn);
        request.attribute_name(name).attribute_value(&value).send()
    };
    api.pacer.call(SET_TOPIC_ATTRIBUTES, &[], call).await?;
    Ok(StepOutcome::Done)
}

/// Returns a subscription's attribute by its SNS name.
fn subscription_attribute(attribute: &SubscriptionAttribute) -> (&'static str, String) {
    match attribute {
        SubscriptionAttribute::FilterPolicy(policy) => ("FilterPolicy", policy.to_string()),
        SubscriptionAttribute::FilterPolicyScope(scope) => ("FilterPolicyScope", scope.as_str().to_owned()),
        SubscriptionAttribute::Raw(flag) => ("RawMessageDelivery", flag.to_string()),
        SubscriptionAttribute::Role(arn) => ("SubscriptionRoleArn", arn.clone()),
    }
}

/// Subscribes an endpoint with all its attributes, which apply from the confirmation on.
async fn subscribe(api: &TopicApi, name: &str, wanted: &Subscription) -> Result<StepOutcome, CallError> {
    let arn = api.arn(name).await?;
    let Subscription { protocol, endpoint, filter_policy, filter_policy_scope, raw, role, arn: _ } = wanted;
    let settings = [
        filter_policy.clone().filter(|policy| !is_empty(policy)).map(SubscriptionAttribute::FilterPolicy),
        filter_policy_scope.map(SubscriptionAttribute::FilterPolicyScope),
        raw.map(SubscriptionAttribute::Raw),
        role.clone().map(SubscriptionAttribute::Role),
    ];
    let settings: Attributes =
        settings.iter().flatten().map(subscription_attribute).map(|(name, value)| (name.to_owned(), value)).collect();
    let attributes = Some(settings).filter(|settings| !settings.is_empty());
    let call = || {
        let request = api.client.subscribe().topic_arn(&arn).protocol(protocol).endpoint(endpoint);
        request.set_attributes(attributes.clone()).return_subscription_arn(true).send()
    };
    match api.pacer.call(SUBSCRIBE, &[], call).await {
        Ok(_) => Ok(StepOutcome::Done),
        Err(error) if error.class == Class::AlreadyExists => {
            let why = format!(
                "someone else subscribed {} meanwhile, with other attributes; nothing was changed",
                wanted.shown()
            );
            Ok(StepOutcome::Conflict(why))
        }
        Err(error) if error.open => {
            let found = list_subscriptions(api, &arn).await.map_err(|_| error.clone())?;
            // A second call would send a second confirmation request.
            if found.contains_key(&wanted.id()) { Ok(StepOutcome::Done) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// An existing subscription.
struct ExistingSubscription<'a> {
    /// Its display name.
    shown: &'a str,
    arn: &'a str,
}

async fn set_subscription_attribute(
    api: &TopicApi,
    ExistingSubscription { shown, arn }: ExistingSubscription<'_>,
    attribute: &SubscriptionAttribute,
) -> Result<StepOutcome, CallError> {
    let (name, value) = subscription_attribute(attribute);
    let call = || {
        let request = api.client.set_subscription_attributes().subscription_arn(arn);
        request.attribute_name(name).attribute_value(&value).send()
    };
    match api.pacer.call(SET_SUBSCRIPTION_ATTRIBUTES, &[], call).await {
        Ok(_) => Ok(StepOutcome::Done),
        Err(error) if error.class == Class::NotFound => {
            Ok(StepOutcome::Conflict(format!("someone else deleted the subscription {shown} meanwhile")))
        }
        Err(error) => Err(error),
    }
}

async fn await_confirmation(api: &TopicApi, name: &str, wanted: &[String]) -> Result<StepOutcome, CallError> {
    let found = list_subscriptions(api, &api.arn(name).await?).await?;
    let pending = |id: &&String| found.get(*id).is_some_and(|found| found.arn.is_none());
    let pending: Vec<String> = wanted.iter().filter(pending).map(|id| without_userinfo(id)).collect();
    Ok(match &pending[..] {
        [] => StepOutcome::Done,
        [one] => StepOutcome::Deferred(format!("the subscription {one} {}", display::WAITS)),
        _ => {
            let why = format!("these subscriptions wait for confirmation by their endpoints: {}", pending.join(", "));
            StepOutcome::Deferred(why)
        }
    })
}

/// Deletes a topic that still carries the ownership tag: another topic may have its name by now.
async fn delete(api: &TopicApi, name: &str, owner_key: &OwnerKey) -> Result<StepOutcome, CallError> {
    let arn = api.arn(name).await?;
    match read_tags(api, &arn).await {
        Ok(tags) if tags.get(owner_key.as_str()).map(String::as_str) == Some(OWNER) => {}
        Ok(_) => {
            let why = format!("it no longer has the tag {owner_key} = {OWNER}; nothing was deleted");
            return Ok(StepOutcome::Conflict(why));
        }
        Err(error) if error.class == Class::NotFound => return Ok(StepOutcome::Done),
        Err(error) => return Err(error),
    }
    // SNS reports success for a topic that is already deleted.
    api.pacer.call(DELETE_TOPIC, &[], || api.client.delete_topic().topic_arn(&arn).send()).await?;
    Ok(StepOutcome::Done)
}

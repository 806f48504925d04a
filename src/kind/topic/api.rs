//! Reads from SNS: one topic, and the topics that the manifest does not list.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_sns::Client;
use aws_types::SdkConfig;
use futures_util::future::{self, OptionFuture};
use serde_json::{Value, json};

use super::steps::{
    GET_SUBSCRIPTION_ATTRIBUTES, GET_TOPIC_ATTRIBUTES, LIST_SUBSCRIPTIONS, LIST_TOPIC_TAGS, LIST_TOPICS, has_attributes,
};
use super::{FilterScope, Subscription, Topic, TopicKey};
use crate::kind::document::{PolicyDocument, parse_json};
use crate::kind::key::{KeyApi, same_key};
use crate::kind::unlisted::{self, TagSearch};
use crate::kind::{Desired, KindId, Search, Unlisted};
use crate::resource::call::{CallError, Class};
use crate::resource::caller::Identity;
use crate::resource::pacer::Pacer;
use crate::resource::secret::without_userinfo;
use crate::resource::{Facts, Gap, Live, Observed, Tags, take_owner};

/// Makes the calls for topics.
#[derive(Debug, Clone)]
pub struct TopicApi {
    pub(super) client: Client,
    pub(super) pacer: Arc<Pacer>,
    keys: KeyApi,
    identity: Arc<Identity>,
    region: String,
}

impl TopicApi {
    /// Returns the client for a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>, identity: &Arc<Identity>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self {
            client: Client::new(config),
            pacer: Arc::clone(pacer),
            keys: KeyApi::new(config, pacer),
            identity: Arc::clone(identity),
            region,
        }
    }

    /// Returns the ARN of a topic of the caller's account.
    pub(super) async fn arn(&self, name: &str) -> Result<String, CallError> {
        let caller = self.identity.known().await?;
        Ok(format!("arn:{}:sns:{}:{}:{name}", caller.partition(), self.region, caller.account))
    }
}

/// Replaces the key of a topic by the desired name, if both names refer to one key. SNS returns the name that it was given: an alias, an
/// ID, or the ARN of either.
pub(super) async fn name_key(api: &TopicApi, found: &mut Topic, wanted: Option<&TopicKey>) -> Result<(), CallError> {
    let (Some(TopicKey::Kms(wanted)), Some(TopicKey::Kms(live))) = (wanted, &mut found.key) else { return Ok(()) };
    if live == wanted {
        return Ok(());
    }
    let caller = api.identity.known().await?;
    let home = format!("arn:{}:kms:{}:{}:", caller.partition(), api.region, caller.account);
    if same_key(&api.keys, &home, live, wanted).await? {
        live.clone_from(wanted);
    }
    Ok(())
}

/// Reads all managed settings of a topic concurrently.
pub(super) async fn observe(api: &TopicApi, desired: &Desired<Topic>) -> Observed<Topic> {
    let managed = &desired.managed;
    let arn = match api.arn(&desired.name).await {
        Ok(arn) => arn,
        Err(error) => return Observed::Unknown(Gap::new(None, &error)),
    };
    let subscriptions: OptionFuture<_> =
        managed.subscriptions.as_ref().map(|wanted| read_subscriptions(api, &arn, wanted)).into();
    let tags: OptionFuture<_> = (managed.tags.is_some() || desired.reads_owner()).then(|| read_tags(api, &arn)).into();
    let (attributes, subscriptions, tags) = future::join3(read_attributes(api, &arn), subscriptions, tags).await;
    let mut state = match attributes {
        Ok(attributes) => from_attributes(&attributes),
        Err(error) if error.class == Class::NotFound => return Observed::Absent,
        Err(error) => return Observed::Unknown(Gap::new(None, &error)),
    };
    let mut facts = Facts { arn: Some(arn), ..Facts::default() };
    let mut gaps = Vec::new();
    if let Err(error) = name_key(api, &mut state, managed.key.as_ref()).await {
        gaps.push(Gap::new(Some("key"), &error));
        state.key = None;
    }
    match subscriptions {
        Some(Ok((found, more))) => {
            state.subscriptions = Some(found);
            gaps.extend(more);
        }
        Some(Err(error)) => gaps.push(Gap::new(Some("subscriptions"), &error)),
        None => {}
    }
    match tags {
        Some(Ok(mut found)) => {
            take_owner(&mut found, desired.ownership.as_deref(), &mut facts);
            state.tags = Some(found);
        }
        Some(Err(error)) => gaps.push(Gap::new(Some("tags"), &error)),
        None => {}
    }
    Observed::Present(Live { state, facts, gaps })
}

pub(super) type Attributes = HashMap<String, String>;

pub(super) async fn read_attributes(api: &TopicApi, arn: &str) -> Result<Attributes, CallError> {
    let call = || api.client.get_topic_attributes().topic_arn(arn).send();
    Ok(api.pacer.call(GET_TOPIC_ATTRIBUTES, &[], call).await?.attributes.unwrap_or_default())
}

/// Returns the settings of a topic. SNS omits those that were never set. There is always a policy: SNS sets one that allows its own account
/// everything, and it is compared only if the manifest has another.
pub(super) fn from_attributes(attributes: &Attributes) -> Topic {
    let get = |name: &str| attributes.get(name).map(String::as_str).filter(|text| !text.is_empty());
    Topic {
        fifo: Some(get("FifoTopic") == Some("true")),
        content_based_deduplication: Some(get("ContentBasedDeduplication") == Some("true")),
        display_name: Some(get("DisplayName").unwrap_or_default().to_owned()),
        key: Some(get("KmsMasterKeyId").map_or(TopicKey::Off, |key| TopicKey::Kms(key.to_owned()))),
        policy: Some(PolicyDocument::from_aws(get("Policy").unwrap_or_default())),
        delivery_policy: Some(get("DeliveryPolicy").map_or_else(|| json!({}), json_of)),
        subscriptions: None,
        tags: None,
    }
}

/// Parses a document from AWS. If it is not JSON, it is kept as text and differs from every other document.
fn json_of(text: &str) -> Value {
    parse_json(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

pub(super) async fn read_tags(api: &TopicApi, arn: &str) -> Result<Tags, CallError> {
    let call = || api.client.list_tags_for_resource().resource_arn(arn).send();
    let answer = api.pacer.call(LIST_TOPIC_TAGS, &[], call).await?;
    Ok(answer.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// The maximum number of pages of a topic's subscriptions, with a hundred each: a topic may have millions.
const PAGES: usize = 20;

/// Lists the subscriptions of a topic, with their ARNs and without their attributes.
pub(super) async fn list_subscriptions(api: &TopicApi, arn: &str) -> Result<BTreeMap<String, Subscription>, CallError> {
    let mut all: BTreeMap<String, Subscription> = BTreeMap::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let call = || api.client.list_subscriptions_by_topic().topic_arn(arn).set_next_token(token.clone()).send();
        let answer = api.pacer.call(LIST_SUBSCRIPTIONS, &[], call).await?;
        for found in answer.subscriptions.unwrap_or_default().into_iter().filter_map(from_sdk) {
            let known = all.entry(found.id()).or_insert_with(|| found.clone());
            // A subscription that is requested again during its confirmation is listed twice.
            known.arn = known.arn.take().or(found.arn);
        }
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(all);
        }
    }
    let message = format!("it has more than {} subscriptions, the maximum that Sentinel reads", PAGES * 100);
    Err(CallError::new(LIST_SUBSCRIPTIONS, Class::Rejected, message))
}

/// Returns a subscription of a list. Its ARN may be replaced by a word: `PendingConfirmation` before the confirmation, `Deleted` for a
/// while after the deletion. Source: Amazon SNS Developer Guide, "Confirm the subscription".
fn from_sdk(found: aws_sdk_sns::types::Subscription) -> Option<Subscription> {
    let arn = found.subscription_arn.filter(|arn| arn != "PendingConfirmation");
    if arn.as_deref() == Some("Deleted") {
        return None;
    }
    Some(Subscription {
        protocol: found.protocol?,
        endpoint: found.endpoint?,
        filter_policy: None,
        filter_policy_scope: None,
        raw: None,
        role: None,
        arn: arn.filter(|arn| arn.starts_with("arn:")),
    })
}

/// Reads the subscriptions of a topic, and the attributes of those with managed attributes.
async fn read_subscriptions(
    api: &TopicApi,
    arn: &str,
    wanted: &BTreeMap<String, Subscription>,
) -> Result<(BTreeMap<String, Subscription>, Vec<Gap>), CallError> {
    let mut all = list_subscriptions(api, arn).await?;
    let managed = all.values_mut().filter(|found| wanted.get(&found.id()).is_some_and(has_attributes));
    let reads = managed.map(|found| async move {
        let own = found.arn.clone()?;
        match read_subscription(api, &own).await {
            Ok(attributes) => add_attributes(found, &attributes),
            // It was deleted in between, and the next read will not list it.
            Err(error) if error.class == Class::NotFound => {}
            Err(error) => return Some(Gap::new(Some(&format!("subscription {}", found.shown())), &error)),
        }
        None
    });
    let gaps = future::join_all(reads).await.into_iter().flatten().collect();
    Ok((all, gaps))
}

/// Reads the attributes of every listed, confirmed subscription. One that was deleted in the meantime is omitted.
pub(super) async fn read_all_attributes(api: &TopicApi, live: &mut Live<Topic>) {
    let Some(all) = &mut live.state.subscriptions else { return };
    let reads = all.iter().filter_map(|(id, found)| Some((id.clone(), found.arn.clone()?)));
    let reads = reads.map(|(id, own)| async move { (id, read_subscription(api, &own).await) });
    for (id, read) in future::join_all(reads.collect::<Vec<_>>()).await {
        match read {
            Ok(attributes) => {
                all.entry(id).and_modify(|found| add_attributes(found, &attributes));
            }
            Err(error) if error.class == Class::NotFound => {
                all.remove(&id);
            }
            Err(error) => live
                .gaps
                .push(Gap::new(Some(&format!("filter_policy of the subscription {}", without_userinfo(&id))), &error)),
        }
    }
}

async fn read_subscription(api: &TopicApi, arn: &str) -> Result<Attributes, CallError> {
    let call = || api.client.get_subscription_attributes().subscription_arn(arn).send();
    Ok(api.pacer.call(GET_SUBSCRIPTION_ATTRIBUTES, &[], call).await?.attributes.unwrap_or_default())
}

fn add_attributes(found: &mut Subscription, attributes: &Attributes) {
    let get = |name: &str| attributes.get(name).map(String::as_str).filter(|text| !text.is_empty());
    found.filter_policy = Some(get("FilterPolicy").map_or_else(|| json!({}), json_of));
    let scope = get("FilterPolicyScope");
    found.filter_policy_scope = scope.map_or(Some(FilterScope::default()), |scope| scope.parse().ok());
    found.raw = Some(get("RawMessageDelivery") == Some("true"));
    found.role = Some(get("SubscriptionRoleArn").unwrap_or_default().to_owned());
}

/// Finds topics that the manifest does not list. Lists all topics, a hundred in each call.
pub(super) async fn unlisted(api: &TopicApi, search: &Search<'_>) -> Unlisted {
    let sought = TagSearch { kind: KindId::Topic, plural: "topics", tags: LIST_TOPIC_TAGS };
    let tags = async |name: &str| read_tags(api, &api.arn(name).await?).await;
    unlisted::by_tags::<Topic>(&sought, names(api).await, search, tags).await
}

/// Returns the names of all topics in alphabetical order.
async fn names(api: &TopicApi) -> Result<Vec<String>, CallError> {
    let mut names = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let call = || api.client.list_topics().set_next_token(token.clone()).send();
        let answer = api.pacer.call(LIST_TOPICS, &[], call).await?;
        let arns = answer.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.topic_arn);
        names.extend(arns.filter_map(|arn| arn.rsplit(':').next().map(str::to_owned)));
        token = answer.next_token.filter(|token| !token.is_empty());
        if token.is_none() {
            names.sort();
            return Ok(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn omitted_sns_attributes_read_as_their_defaults() {
        let bare = from_attributes(&Attributes::new());
        assert_eq!((bare.fifo, bare.key, bare.display_name), (Some(false), Some(TopicKey::Off), Some(String::new())));
        let set = [("FifoTopic", "true"), ("KmsMasterKeyId", "alias/a"), ("DeliveryPolicy", "no JSON")];
        let set = from_attributes(&set.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!((set.fifo, set.key), (Some(true), Some(TopicKey::Kms(String::from("alias/a")))));
        assert_eq!(set.delivery_policy, Some(json!("no JSON")));
    }

    #[test]
    fn a_placeholder_word_is_not_read_as_an_arn() {
        let read = |arn: &str| {
            let found =
                aws_sdk_sns::types::Subscription::builder().protocol("email").endpoint("e").subscription_arn(arn);
            from_sdk(found.build()).map(|found| found.arn)
        };
        assert_eq!(read("arn:aws:sns:r:1:t:id"), Some(Some(String::from("arn:aws:sns:r:1:t:id"))));
        for pending in ["PendingConfirmation", "pending confirmation"] {
            assert_eq!(read(pending), Some(None), "{pending}");
        }
        assert_eq!(read("Deleted"), None);
    }

    #[test]
    fn an_unknown_scope_is_not_compared() {
        let scope = |text: &str| {
            let mut found = from_sdk(
                aws_sdk_sns::types::Subscription::builder()
                    .protocol("sqs")
                    .endpoint("e")
                    .subscription_arn("arn:s")
                    .build(),
            )
            .unwrap();
            add_attributes(&mut found, &[(String::from("FilterPolicyScope"), text.to_owned())].into());
            found.filter_policy_scope
        };
        assert_eq!(scope(""), Some(FilterScope::MessageAttributes));
        assert_eq!(scope("MessageBody"), Some(FilterScope::MessageBody));
        assert_eq!(scope("Something"), None);
    }
}

//! SNS, with AWS's rules and texts. It uses the Query protocol: forms, with XML responses.
//!
//! Nothing is delivered, including the token that confirms a subscription. The token is the ID in the subscription's ARN, which the
//! response of `Subscribe` contains.

mod rules;
mod subscriptions;
mod topics;

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::Region;
use super::answer::{Answer, Failure, Form, Refusal, Request, element, query};
use super::store;
use super::tagging::Tagged;

const SPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";

pub(super) fn answer(region: Result<&Region, Refusal>, request: &Request) -> Answer {
    let operation = request.operation();
    let form = request.form();
    let result = region.and_then(|region| match operation.as_str() {
        "CreateTopic" => topics::create(region, &form),
        "GetTopicAttributes" => topics::attributes(region, &form),
        "SetTopicAttributes" => topics::set_attributes(region, &form),
        "DeleteTopic" => topics::delete(region, &form),
        "ListTopics" => topics::list(region, &form),
        "TagResource" => topics::tag(region, &form),
        "UntagResource" => topics::untag(region, &form),
        "ListTagsForResource" => topics::tags(region, &form),
        "Subscribe" => subscriptions::subscribe(region, &form),
        "ConfirmSubscription" => subscriptions::confirm(region, &form),
        "Unsubscribe" => subscriptions::unsubscribe(region, &form),
        "ListSubscriptionsByTopic" => subscriptions::list(region, &form),
        "GetSubscriptionAttributes" => subscriptions::attributes(region, &form),
        "SetSubscriptionAttributes" => subscriptions::set_attributes(region, &form),
        other => Err(Refusal::new("InvalidAction", format!("the AWS emulator does not have the action sns:{other}"))),
    });
    // The responses of these operations have no result element.
    const SILENT: &[&str] = &["SetTopicAttributes", "DeleteTopic", "Unsubscribe", "SetSubscriptionAttributes"];
    query(&operation, SPACE, result, !SILENT.contains(&operation.as_str()))
}

type Attributes = BTreeMap<String, String>;

/// A stored topic with its subscriptions.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Topic {
    /// The attributes that were set.
    attributes: Attributes,
    tags: BTreeMap<String, String>,
    subscriptions: Vec<Subscription>,
    /// The number of subscriptions so far, from which their ARNs are generated.
    subscribed: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscription {
    /// The last part of its ARN.
    id: String,
    protocol: String,
    endpoint: String,
    attributes: Attributes,
    pending: bool,
    owner: String,
}

/// The storage kind of topics.
const KIND: &str = "sns topic";

impl Topic {
    fn load(store: &Connection, name: &str) -> Result<Option<Self>, Refusal> {
        Ok(store::object(store, KIND, name)?)
    }

    fn existing(store: &Connection, name: &str) -> Result<Self, Refusal> {
        Self::load(store, name)?.ok_or_else(|| Refusal::not_found("Topic does not exist"))
    }

    fn save(&self, store: &Connection, name: &str) -> Result<(), Refusal> {
        Ok(store::keep(store, KIND, name, self)?)
    }

    fn is_fifo(&self) -> bool {
        self.attributes.get("FifoTopic").is_some_and(|value| value == "true")
    }
}

/// Returns the tags of all topics, by ARN.
pub(super) fn tagged(region: &Region) -> Result<Tagged, Failure> {
    let topics = region.store.read(|store| store::objects::<Topic>(store, KIND))?;
    Ok(topics.into_iter().map(|(name, topic)| (arn_of(region, &name), topic.tags)).collect())
}

impl Refusal {
    fn not_found(message: &str) -> Self {
        Self::new("NotFound", message).with_status(404)
    }

    fn invalid(message: impl std::fmt::Display) -> Self {
        Self::new("InvalidParameter", format!("Invalid parameter: {message}"))
    }
}

/// Returns the ARN of a topic of this region.
fn arn_of(region: &Region, name: &str) -> String {
    region.arn("sns", name)
}

/// Returns a required field of a form.
fn required(form: &Form, name: &str) -> Result<String, Refusal> {
    let found = form.get(name).filter(|text| !text.is_empty());
    found.cloned().ok_or_else(|| {
        let member = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
        let message = format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        );
        Refusal::new("ValidationError", message)
    })
}

/// Returns the topic name of an ARN in a form.
fn topic_name(region: &Region, form: &Form, field: &str) -> Result<String, Refusal> {
    let arn = required(form, field)?;
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "sns", place, account, name] if place == region.name && account == region.account => {
            Ok(name.to_owned())
        }
        ["arn", _, "sns", place, _, _] if place == region.name => {
            let caller = format!("arn:aws:iam::{}:user/local", region.account);
            let message = format!("User: {caller} is not authorized to perform this action on resource: {arn}");
            Err(Refusal::new("AuthorizationError", message).with_status(403))
        }
        _ => Err(Refusal::invalid(field)),
    }
}

/// Returns the entries of a list of pairs: `Tags.member.1.Key` and `Tags.member.1.Value`.
fn pairs(form: &Form, list: &str, [key, value]: [&str; 2]) -> Attributes {
    let numbers = (1..).map_while(|number| {
        let found = form.get(&format!("{list}.{number}.{key}"))?;
        Some((found.clone(), form.get(&format!("{list}.{number}.{value}")).cloned().unwrap_or_default()))
    });
    numbers.collect()
}

/// Returns attributes as XML.
fn entries(attributes: &Attributes) -> String {
    let entry =
        |(key, value): (&String, &String)| format!("<entry>{}{}</entry>", element("key", key), element("value", value));
    format!("<Attributes>{}</Attributes>", attributes.iter().map(entry).collect::<String>())
}

/// Returns a page of a list, with a hundred items, and the token of the next page.
fn page<T>(items: Vec<T>, form: &Form) -> Result<(Vec<T>, String), Refusal> {
    let token = form.get("NextToken").map_or(Ok(0), |token| token.parse::<usize>());
    let start = token.map_err(|_| Refusal::invalid("NextToken"))?;
    let more = items.len() > start + 100;
    let page = items.into_iter().skip(start).take(100).collect();
    let next = if more { element("NextToken", &(start + 100).to_string()) } else { String::new() };
    Ok((page, next))
}

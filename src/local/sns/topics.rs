//! Topics and their tags.

use super::{Attributes, Form, KIND, Refusal, Topic, arn_of, entries, page, pairs, required, rules, topic_name};
use crate::local::answer::element;
use crate::local::{Region, store};

const ENTRY: [&str; 2] = ["key", "value"];
const TAG: [&str; 2] = ["Key", "Value"];

pub(super) fn create(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = required(form, "Name")?;
    let attributes = pairs(form, "Attributes.entry", ENTRY);
    let tags = pairs(form, "Tags.member", TAG);
    let fifo = attributes.get("FifoTopic").is_some_and(|value| value == "true");
    rules::check_name(&name, fifo)?;
    rules::check_tags(&tags)?;
    for (key, value) in &attributes {
        rules::check_topic_attribute(key, value, fifo)?;
    }
    let arn = arn_of(region, &name);
    region.store.write(|store| {
        match Topic::load(store, &name)? {
            Some(topic) => {
                let differs = |(key, value): (&String, &String)| shown(region, &name, &topic).get(key) != Some(value);
                if attributes.iter().any(differs) {
                    return Err(Refusal::invalid("Attributes Reason: Topic already exists with different attributes"));
                }
                if !tags.is_empty() && topic.tags != tags {
                    return Err(Refusal::invalid("Tags Reason: Topic already exists with different tags"));
                }
            }
            None => Topic { attributes, tags, ..Topic::default() }.save(store, &name)?,
        }
        Ok(element("TopicArn", &arn))
    })
}

/// Returns the attributes of a topic as SNS returns them.
fn shown(region: &Region, name: &str, topic: &Topic) -> Attributes {
    let arn = arn_of(region, name);
    let count = |pending: bool| topic.subscriptions.iter().filter(|one| one.pending == pending).count().to_string();
    let retry = "{\"http\":{\"defaultHealthyRetryPolicy\":{\"minDelayTarget\":20,\"maxDelayTarget\":20,\"numRetries\":3,\
                 \"numMaxDelayRetries\":0,\"numNoDelayRetries\":0,\"numMinDelayRetries\":0,\"backoffFunction\":\"linear\"},\
                 \"disableSubscriptionOverrides\":false,\"defaultRequestPolicy\":{\"headerContentType\":\"text/plain; \
                 charset=UTF-8\"}}}";
    let mut all: Attributes = [
        ("TopicArn", arn.clone()),
        ("Owner", region.account.clone()),
        ("Policy", rules::default_policy(region, &arn)),
        ("DisplayName", String::new()),
        ("SubscriptionsConfirmed", count(false)),
        ("SubscriptionsPending", count(true)),
        ("SubscriptionsDeleted", String::from("0")),
        ("EffectiveDeliveryPolicy", retry.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    if topic.is_fifo() {
        all.insert(String::from("ContentBasedDeduplication"), String::from("false"));
    }
    let set = topic.attributes.iter().filter(|(_, value)| !value.is_empty());
    all.extend(set.map(|(key, value)| (key.clone(), value.clone())));
    all
}

pub(super) fn attributes(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    let topic = region.store.read(|store| Topic::existing(store, &name))?;
    Ok(entries(&shown(region, &name, &topic)))
}

pub(super) fn set_attributes(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    let attribute = required(form, "AttributeName")?;
    let value = form.get("AttributeValue").cloned().unwrap_or_default();
    region.store.write(|store| {
        let mut topic = Topic::existing(store, &name)?;
        if attribute == "FifoTopic" {
            return Err(Refusal::invalid("AttributeName"));
        }
        rules::check_topic_attribute(&attribute, &value, topic.is_fifo())?;
        topic.attributes.insert(attribute.clone(), value.clone());
        topic.save(store, &name)?;
        Ok(String::new())
    })
}

/// Deletes a topic with its subscriptions. Deleting a missing topic succeeds.
pub(super) fn delete(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    region.store.write(|store| {
        store::remove(store, KIND, &name)?;
        Ok(String::new())
    })
}

pub(super) fn list(region: &Region, form: &Form) -> Result<String, Refusal> {
    let names: Vec<String> = region.store.read(|store| {
        let all = store::objects::<Topic>(store, KIND)?;
        Ok::<_, Refusal>(all.into_iter().map(|(name, _)| name).collect())
    })?;
    let (page, next) = page(names, form)?;
    let member = |name: &String| format!("<member>{}</member>", element("TopicArn", &arn_of(region, name)));
    Ok(format!("<Topics>{}</Topics>{next}", page.iter().map(member).collect::<String>()))
}

/// Tag requests use another field, and a missing topic is another error.
fn tagged<T>(region: &Region, form: &Form, work: impl FnOnce(&mut Topic) -> Result<T, Refusal>) -> Result<T, Refusal> {
    let name = topic_name(region, form, "ResourceArn")?;
    region.store.write(|store| {
        let missing = || Refusal::new("ResourceNotFound", "Resource does not exist").with_status(404);
        let mut topic = Topic::load(store, &name)?.ok_or_else(missing)?;
        let result = work(&mut topic)?;
        topic.save(store, &name)?;
        Ok(result)
    })
}

pub(super) fn tag(region: &Region, form: &Form) -> Result<String, Refusal> {
    tagged(region, form, |topic| {
        topic.tags.extend(pairs(form, "Tags.member", TAG));
        rules::check_tags(&topic.tags)?;
        Ok(String::new())
    })
}

pub(super) fn untag(region: &Region, form: &Form) -> Result<String, Refusal> {
    tagged(region, form, |topic| {
        for key in (1..).map_while(|number| form.get(&format!("TagKeys.member.{number}"))) {
            topic.tags.remove(key);
        }
        Ok(String::new())
    })
}

pub(super) fn tags(region: &Region, form: &Form) -> Result<String, Refusal> {
    tagged(region, form, |topic| {
        let member = |(key, value): (&String, &String)| {
            format!("<member>{}{}</member>", element("Key", key), element("Value", value))
        };
        Ok(format!("<Tags>{}</Tags>", topic.tags.iter().map(member).collect::<String>()))
    })
}

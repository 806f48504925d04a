//! Subscriptions of topics.

use super::{
    Attributes, Form, Refusal, Subscription, Topic, arn_of, entries, page, pairs, required, rules, topic_name,
};
use crate::local::Region;
use crate::local::answer::element;

const PENDING: &str = "PendingConfirmation";

impl Subscription {
    fn arn(&self, region: &Region, topic: &str) -> String {
        format!("{}:{}", arn_of(region, topic), self.id)
    }

    /// Returns the endpoint as SNS returns it, without the password of a URL.
    fn shown_endpoint(&self) -> String {
        let masked = || {
            let (scheme, rest) = self.endpoint.split_once("://")?;
            let (user, host) = rest.split('/').next()?.rsplit_once('@')?;
            let (name, _) = user.split_once(':')?;
            let path = &rest[user.len() + 1 + host.len()..];
            Some(format!("{scheme}://{name}:****@{host}{path}"))
        };
        masked().unwrap_or_else(|| self.endpoint.clone())
    }
}

pub(super) fn subscribe(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    let protocol = required(form, "Protocol")?;
    let endpoint = required(form, "Endpoint")?;
    let attributes = pairs(form, "Attributes.entry", ["key", "value"]);
    let tell = form.get("ReturnSubscriptionArn").is_some_and(|value| value == "true");
    region.store.write(|store| {
        let mut topic = Topic::existing(store, &name)?;
        let pending = rules::check_endpoint(region, &topic, &protocol, &endpoint)?;
        for (key, value) in &attributes {
            rules::check_subscription_attribute(&protocol, key, value, &attributes)?;
        }
        if protocol == "firehose" && !attributes.contains_key("SubscriptionRoleArn") {
            return Err(Refusal::invalid("Attributes Reason: The SubscriptionRoleArn attribute is required"));
        }
        let known = topic.subscriptions.iter().find(|one| one.protocol == protocol && one.endpoint == endpoint);
        let found = match known {
            Some(found) if attributes.iter().any(|(key, value)| found.attributes.get(key) != Some(value)) => {
                let why = "Attributes Reason: Subscription already exists with different attributes";
                return Err(Refusal::invalid(why));
            }
            Some(found) => found.clone(),
            None if topic.subscriptions.len() >= rules::SUBSCRIPTIONS => {
                let message = "Subscription limit exceeded for this topic";
                return Err(Refusal::new("SubscriptionLimitExceeded", message).with_status(403));
            }
            None => {
                topic.subscribed += 1;
                // Has the format of AWS's IDs, and is unique.
                let id = format!("00000000-0000-4000-8000-{:012x}", topic.subscribed);
                let owner = region.account.clone();
                Subscription { id, protocol, endpoint, attributes, pending, owner }
            }
        };
        topic.subscriptions.retain(|one| one.id != found.id);
        topic.subscriptions.push(found.clone());
        topic.save(store, &name)?;
        let arn = if found.pending && !tell { String::from("pending confirmation") } else { found.arn(region, &name) };
        Ok(element("SubscriptionArn", &arn))
    })
}

pub(super) fn confirm(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    let token = required(form, "Token")?;
    region.store.write(|store| {
        let mut topic = Topic::existing(store, &name)?;
        let found = topic.subscriptions.iter_mut().find(|one| one.id == token);
        let found = found.ok_or_else(|| Refusal::invalid("Token"))?;
        found.pending = false;
        let arn = found.arn(region, &name);
        topic.save(store, &name)?;
        Ok(element("SubscriptionArn", &arn))
    })
}

/// Returns the topic and the ID of a subscription's ARN.
fn subscription(region: &Region, form: &Form) -> Result<(String, String), Refusal> {
    let arn = required(form, "SubscriptionArn")?;
    if !arn.starts_with("arn:") {
        return Err(Refusal::invalid(format!("SubscriptionArn Reason: {arn} does not start with arn")));
    }
    let parts: Vec<&str> = arn.split(':').collect();
    match parts[..] {
        ["arn", _, "sns", place, _, topic, id] if place == region.name => Ok((topic.to_owned(), id.to_owned())),
        _ => {
            let why = format!("An ARN must have at least 6 elements, not {}", parts.len());
            Err(Refusal::invalid(format!("SubscriptionArn Reason: {why}")))
        }
    }
}

pub(super) fn unsubscribe(region: &Region, form: &Form) -> Result<String, Refusal> {
    let (name, id) = subscription(region, form)?;
    region.store.write(|store| {
        let Some(mut topic) = Topic::load(store, &name)? else { return Ok(String::new()) };
        if topic.subscriptions.iter().any(|one| one.id == id && one.pending) {
            let why = "SubscriptionArn Reason: This subscription is pending confirmation";
            return Err(Refusal::invalid(why));
        }
        topic.subscriptions.retain(|one| one.id != id);
        topic.save(store, &name)?;
        Ok(String::new())
    })
}

pub(super) fn list(region: &Region, form: &Form) -> Result<String, Refusal> {
    let name = topic_name(region, form, "TopicArn")?;
    let topic = region.store.read(|store| Topic::existing(store, &name))?;
    let (page, next) = page(topic.subscriptions, form)?;
    let member = |one: &Subscription| {
        let arn = if one.pending { PENDING.to_owned() } else { one.arn(region, &name) };
        let parts = [
            element("SubscriptionArn", &arn),
            element("Owner", &one.owner),
            element("Protocol", &one.protocol),
            element("Endpoint", &one.shown_endpoint()),
            element("TopicArn", &arn_of(region, &name)),
        ];
        format!("<member>{}</member>", parts.concat())
    };
    Ok(format!("<Subscriptions>{}</Subscriptions>{next}", page.iter().map(member).collect::<String>()))
}

fn missing() -> Refusal {
    Refusal::not_found("Subscription does not exist")
}

pub(super) fn attributes(region: &Region, form: &Form) -> Result<String, Refusal> {
    let (name, id) = subscription(region, form)?;
    let topic = region.store.read(|store| Topic::load(store, &name))?.ok_or_else(missing)?;
    let found = topic.subscriptions.iter().find(|one| one.id == id).ok_or_else(missing)?;
    let mut all: Attributes = [
        ("SubscriptionArn", found.arn(region, &name)),
        ("TopicArn", arn_of(region, &name)),
        ("Owner", found.owner.clone()),
        ("Protocol", found.protocol.clone()),
        ("Endpoint", found.shown_endpoint()),
        ("PendingConfirmation", found.pending.to_string()),
        ("ConfirmationWasAuthenticated", String::from("true")),
        ("RawMessageDelivery", String::from("false")),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let set = found.attributes.iter().filter(|(_, value)| !value.is_empty() && *value != "{}");
    all.extend(set.map(|(key, value)| (key.clone(), value.clone())));
    if all.contains_key("FilterPolicy") {
        all.entry(String::from("FilterPolicyScope")).or_insert_with(|| String::from("MessageAttributes"));
    }
    Ok(entries(&all))
}

pub(super) fn set_attributes(region: &Region, form: &Form) -> Result<String, Refusal> {
    let (name, id) = subscription(region, form)?;
    let attribute = required(form, "AttributeName")?;
    let value = form.get("AttributeValue").cloned().unwrap_or_default();
    region.store.write(|store| {
        let mut topic = Topic::load(store, &name)?.ok_or_else(missing)?;
        let found = topic.subscriptions.iter_mut().find(|one| one.id == id).ok_or_else(missing)?;
        if found.pending {
            let why = "SubscriptionArn Reason: This subscription is pending confirmation";
            return Err(Refusal::invalid(why));
        }
        rules::check_subscription_attribute(&found.protocol, &attribute, &value, &found.attributes)?;
        found.attributes.insert(attribute.clone(), value.clone());
        topic.save(store, &name)?;
        Ok(String::new())
    })
}

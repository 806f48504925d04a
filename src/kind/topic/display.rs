//! The display texts of a topic's settings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Subscription, Topic, TopicKey};
use crate::kind::Line;
use crate::resource::secret::without_userinfo;
use crate::resource::{Fields, Live, Switch, digest, tag_text};

/// The state of an unconfirmed subscription.
pub(super) const WAITS: &str = "waits for confirmation by its endpoint";

pub(super) fn text(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

pub(super) fn key(key: &TopicKey) -> &str {
    match key {
        TopicKey::Off => "none",
        TopicKey::Kms(name) => name,
    }
}

/// Returns the observed fields of a topic.
pub(super) fn seen(live: &Live<Topic>) -> Fields {
    let Topic {
        fifo,
        content_based_deduplication,
        display_name,
        key: kms,
        policy,
        delivery_policy,
        subscriptions,
        tags,
    } = &live.state;
    let flag = |flag: Option<bool>| flag.map(|flag| Switch::from(flag).word().to_owned());
    let seen = [
        ("fifo", flag(*fifo)),
        ("content_based_deduplication", flag(*content_based_deduplication)),
        ("display_name", display_name.clone()),
        ("key", kms.as_ref().map(|kms| key(kms).to_owned())),
        ("policy", policy.as_ref().map(|policy| digest(&policy.to_json()))),
        ("delivery_policy", delivery_policy.as_ref().map(|policy| digest(&policy.to_string()))),
        ("tags", tags.as_ref().map(tag_text)),
    ];
    let seen = seen.into_iter().filter_map(|(field, words)| Some((Cow::Borrowed(field), words?)));
    let subscriptions = subscriptions.iter().flatten().map(|(id, found)| {
        let filter = found.filter_policy.as_ref().map(|policy| digest(&policy.to_string()));
        (format!("subscription {}", without_userinfo(id)), subscription(found, filter))
    });
    // Endpoints that differ only in hidden parts have the same name here.
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, words) in subscriptions {
        named.entry(name).or_default().push(words);
    }
    seen.chain(named.into_iter().map(|(name, words)| (Cow::Owned(name), words.join("; ")))).collect()
}

/// Returns the layout of a new topic, by setting.
pub(super) fn layout(topic: &Topic) -> Vec<Line> {
    let Topic {
        fifo,
        content_based_deduplication,
        display_name,
        key: kms,
        policy,
        delivery_policy,
        subscriptions,
        tags,
    } = topic;
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |name: &str, text: Option<String>| lines.extend(text.map(|text| Line::new(name, text)));
    add("fifo", fifo.filter(|flag| *flag).map(|flag| Switch::from(flag).word().to_owned()));
    add("content_based_deduplication", content_based_deduplication.map(|flag| Switch::from(flag).word().to_owned()));
    add("display_name", display_name.clone());
    add("key", kms.as_ref().map(|kms| key(kms).to_owned()));
    add("policy", policy.as_ref().map(super::PolicyDocument::describe));
    add("delivery_policy", delivery_policy.as_ref().map(|_| String::from("as below")));
    for (id, one) in subscriptions.iter().flatten() {
        add(
            &format!("subscription {}", without_userinfo(id)),
            Some(subscription(one, one.filter_policy.as_ref().map(|_| String::from("as below")))),
        );
    }
    lines.extend(tags.iter().flatten().map(|(key, value)| Line::new(format!("tags.{key}"), value)));
    lines
}

/// Returns a topic for display, if an endpoint contains user information.
pub(super) fn shown(topic: &Topic) -> Option<Topic> {
    let all = topic.subscriptions.as_ref()?;
    all.values().any(Subscription::is_masked).then(|| Topic {
        subscriptions: Some(all.iter().map(|(id, one)| (without_userinfo(id), one.masked())).collect()),
        ..topic.clone()
    })
}

impl Subscription {
    /// Returns whether its endpoint contains user information, which is hidden.
    pub(super) fn is_masked(&self) -> bool {
        without_userinfo(&self.endpoint) != self.endpoint
    }

    /// Returns it for display.
    pub(super) fn masked(&self) -> Self {
        Self { endpoint: without_userinfo(&self.endpoint), ..self.clone() }
    }
}

/// Returns the encryption and the subscriptions of a topic, for a diagram.
pub(super) fn sketch(topic: &Topic) -> Vec<Line> {
    let encrypted = topic.key.as_ref().map(|kms| Line::new("key", key(kms)));
    let to = |one: &Subscription| Line::new(&one.protocol, without_userinfo(&one.endpoint));
    encrypted.into_iter().chain(topic.subscriptions.iter().flatten().map(|(_, one)| to(one))).collect()
}

fn subscription(one: &Subscription, filter: Option<String>) -> String {
    let Subscription { protocol: _, endpoint: _, filter_policy: _, filter_policy_scope, raw, role, arn } = one;
    let parts = [
        arn.clone(),
        filter.map(|filter| format!("filter {filter}")),
        filter_policy_scope.map(|scope| format!("of {}", scope.as_str())),
        raw.map(|flag| format!("raw {}", Switch::from(flag).word())),
        role.as_ref().map(|role| format!("role {}", text(role))),
    ];
    let description = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if description.is_empty() { String::from("all messages") } else { description }
}

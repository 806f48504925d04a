//! Computes the difference between a live and a desired topic. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::field::SubscriptionId;
use super::{Field, Part, Subscription, Topic, display, filter};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Protection};
use crate::kind::document::{PolicyDocument, pretty};
use crate::resource::{Switch, diff_tags};

const IN_PLACE: &str = "changed in place";

/// Returns the differences in the fields that both sides have, in display order.
pub(super) fn diff(managed: &Topic, live: &Topic) -> Vec<FieldChange<Field>> {
    // No `..` here: a new field that nothing compares does not compile.
    let Topic { fifo, content_based_deduplication, display_name, key, policy, delivery_policy, subscriptions, tags } =
        managed;
    let mut changes = Vec::new();
    if let (Some(desired), Some(before)) = (fifo, &live.fifo)
        && desired != before
    {
        let (before, after) =
            (FieldValue::text(Switch::from(*before).word()), FieldValue::text(Switch::from(*desired).word()));
        let how = "AWS sets the type of a topic when it is created, and cannot change it";
        changes.push(FieldChange::new(Field::Fifo, before, after, ChangeMethod::NewResource, how));
    }
    if let (Some(desired), Some(before)) = (content_based_deduplication, &live.content_based_deduplication)
        && desired != before
    {
        let (before, after) = (Switch::from(*before).word(), Switch::from(*desired).word());
        changes.push(in_place(Field::ContentBasedDeduplication, before, after));
    }
    if let (Some(desired), Some(before)) = (display_name, &live.display_name)
        && desired != before
    {
        changes.push(in_place(Field::DisplayName, display::text(before), display::text(desired)));
    }
    if let (Some(desired), Some(before)) = (key, &live.key)
        && before != desired
    {
        let change = in_place(Field::Key, display::key(before), display::key(desired));
        // Messages published from then on are no longer encrypted with a customer managed key.
        let removes_protection = before.protection_of(desired) == Protection::Removed;
        changes.push(if removes_protection { change.needing(Consent::Protection) } else { change });
    }
    if let (Some(desired), Some(before)) = (policy, &live.policy)
        && desired != before
    {
        changes.push(diff_policy(before, desired));
    }
    if let (Some(desired), Some(before)) = (delivery_policy, &live.delivery_policy)
        && desired != before
    {
        changes.push(document(Field::DeliveryPolicy, before, desired));
    }
    if let (Some(desired), Some(before)) = (subscriptions, &live.subscriptions) {
        diff_subscriptions(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    changes
}

fn in_place(field: Field, live: impl Into<String>, desired: impl Into<String>) -> FieldChange<Field> {
    FieldChange::new(field, FieldValue::text(live), FieldValue::text(desired), ChangeMethod::InPlace, IN_PLACE)
}

fn diff_policy(live: &PolicyDocument, desired: &PolicyDocument) -> FieldChange<Field> {
    let before = FieldValue::Document(Arc::from(live.pretty_beside(desired)));
    let after = FieldValue::Document(Arc::from(desired.pretty()));
    FieldChange::new(Field::Policy, before, after, ChangeMethod::InPlace, IN_PLACE)
}

fn document(field: Field, live: &Value, desired: &Value) -> FieldChange<Field> {
    let side = |value: &Value| FieldValue::Document(Arc::from(pretty(value)));
    FieldChange::new(field, side(live), side(desired), ChangeMethod::InPlace, IN_PLACE)
}

fn diff_subscriptions(
    live: &BTreeMap<String, Subscription>,
    desired: &BTreeMap<String, Subscription>,
    changes: &mut Vec<FieldChange<Field>>,
) {
    for (id, wanted) in desired {
        let field = || Field::Subscription(SubscriptionId(id.clone()));
        let Some(found) = live.get(id) else {
            let (before, after) = (FieldValue::text("missing"), FieldValue::text("subscribed"));
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::InPlace, "subscribed"));
            continue;
        };
        if found.arn.is_none() {
            let (before, after) = (FieldValue::text("pending"), FieldValue::text("confirmed"));
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::Time, display::WAITS));
            continue;
        }
        diff_subscription(id, found, wanted, changes);
    }
    for (id, found) in live.iter().filter(|(id, _)| !desired.contains_key(*id)) {
        // SNS deletes a subscription that is never confirmed, and no other caller can.
        if found.arn.is_some() {
            let how = "not in the manifest; its endpoint gets no more messages";
            let (before, after) = (FieldValue::text("subscribed"), FieldValue::Absent);
            let change = FieldChange::new(
                Field::Subscription(SubscriptionId(id.clone())),
                before,
                after,
                ChangeMethod::Deletion,
                how,
            );
            changes.push(change.needing(Consent::Subscription));
        }
    }
}

fn diff_subscription(id: &str, live: &Subscription, desired: &Subscription, changes: &mut Vec<FieldChange<Field>>) {
    let part = |part| Field::SubscriptionPart(SubscriptionId(id.to_owned()), part);
    let Subscription { protocol: _, endpoint: _, filter_policy, filter_policy_scope, raw, role, arn: _ } = desired;
    if let (Some(desired), Some(before)) = (filter_policy, &live.filter_policy)
        && !filter::same(before, desired)
    {
        changes.push(document(part(Part::FilterPolicy), before, desired));
    }
    if let (Some(desired), Some(before)) = (filter_policy_scope, &live.filter_policy_scope)
        && desired != before
    {
        changes.push(in_place(part(Part::FilterPolicyScope), before.as_str(), desired.as_str()));
    }
    if let (Some(desired), Some(before)) = (raw, &live.raw)
        && desired != before
    {
        changes.push(in_place(part(Part::Raw), Switch::from(*before).word(), Switch::from(*desired).word()));
    }
    if let (Some(desired), Some(before)) = (role, &live.role)
        && desired != before
    {
        changes.push(in_place(part(Part::Role), display::text(before), desired));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::topic::{FilterScope, TopicKey};
    use crate::resource::Tags;

    fn policy(action: &str) -> PolicyDocument {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*" });
        PolicyDocument::from_aws(&json!({ "Version": "2012-10-17", "Statement": statement }).to_string())
    }

    fn subscription(protocol: &str, endpoint: &str) -> Subscription {
        Subscription {
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            filter_policy: Some(json!({ "event": ["created"] })),
            filter_policy_scope: Some(FilterScope::MessageAttributes),
            raw: Some(true),
            role: Some(String::from("arn:r")),
            arn: Some(String::from("arn:s")),
        }
    }

    fn topic() -> Topic {
        let all = [subscription("email", "ops@example.com"), subscription("sqs", "arn:q")];
        Topic {
            fifo: Some(false),
            content_based_deduplication: Some(false),
            display_name: Some(String::from("Alerts")),
            key: Some(TopicKey::Kms(String::from("alias/records"))),
            policy: Some(policy("sns:Publish")),
            delivery_policy: Some(json!({ "http": { "disableSubscriptionOverrides": true } })),
            subscriptions: Some(all.map(|one| (one.id(), one)).into()),
            tags: Some(Tags::from([(String::from("team"), String::from("security"))])),
        }
    }

    /// Returns each change as `path: live -> desired [consent]`.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Topic), expected: &[&str]) {
        let describe = |value: &FieldValue| match value {
            FieldValue::Absent => String::from("-"),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Document(_) => String::from("document"),
        };
        let mut live = topic();
        change(&mut live);
        let lines: Vec<String> = diff(&topic(), &live)
            .iter()
            .map(|change| {
                let needs = change.needs.map(|consent| format!(", needs {consent}")).unwrap_or_default();
                let (before, after) = (describe(&change.sides.live), describe(&change.sides.desired));
                format!("{}: {before} -> {after} [{:?}{needs}]", change.path, change.method)
            })
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_topic_is_in_sync_if_every_field_is() {
        check(|_| {}, &[]);
        assert_eq!(diff(&Topic::default(), &topic()), []);
    }

    #[test]
    fn each_setting_is_compared() {
        check(
            |live| {
                live.fifo = Some(true);
                live.content_based_deduplication = Some(true);
                live.display_name = Some(String::new());
                live.key = Some(TopicKey::Off);
                live.policy = Some(policy("sns:Subscribe"));
                live.delivery_policy = Some(json!({}));
                live.tags = Some(Tags::new());
            },
            &[
                "fifo: on -> off [NewResource]",
                "content_based_deduplication: on -> off [InPlace]",
                "display_name: none -> Alerts [InPlace]",
                "key: none -> alias/records [InPlace]",
                "policy: document -> document [InPlace]",
                "delivery_policy: document -> document [InPlace]",
                "tags.team: - -> security [InPlace]",
            ],
        );
    }

    #[test]
    fn each_attribute_of_a_subscription_is_compared() {
        check(
            |live| {
                let found = live.subscriptions.as_mut().unwrap().get_mut("sqs arn:q").unwrap();
                found.filter_policy = Some(json!({}));
                found.filter_policy_scope = Some(FilterScope::MessageBody);
                found.raw = Some(false);
                found.role = Some(String::new());
            },
            &[
                "subscription sqs arn:q filter_policy: document -> document [InPlace]",
                "subscription sqs arn:q filter_policy_scope: MessageBody -> MessageAttributes [InPlace]",
                "subscription sqs arn:q raw: off -> on [InPlace]",
                "subscription sqs arn:q role: none -> arn:r [InPlace]",
            ],
        );
    }

    #[test]
    fn a_missing_subscription_is_created_and_an_unlisted_one_needs_consent() {
        check(
            |live| {
                let all = live.subscriptions.as_mut().unwrap();
                all.remove("sqs arn:q");
                let stray = subscription("sms", "+15555550100");
                all.insert(stray.id(), stray);
            },
            &[
                "subscription sqs arn:q: missing -> subscribed [InPlace]",
                "subscription sms +15555550100: subscribed -> - [Deletion, needs subscription]",
            ],
        );
    }

    #[test]
    fn a_pending_subscription_is_in_progress_and_an_unlisted_one_is_ignored() {
        check(
            |live| {
                let all = live.subscriptions.as_mut().unwrap();
                let found = all.get_mut("email ops@example.com").unwrap();
                *found = Subscription { filter_policy: None, raw: None, arn: None, ..found.clone() };
                let stray = Subscription { arn: None, ..subscription("email", "else@example.com") };
                all.insert(stray.id(), stray);
            },
            &["subscription email ops@example.com: pending -> confirmed [Time]"],
        );
    }

    #[test]
    fn removing_encryption_needs_consent() {
        let mut off = topic();
        off.key = Some(TopicKey::Off);
        assert_eq!(diff(&off, &topic())[0].needs, Some(Consent::Protection));
    }
}

//! KMS keys, and SNS topics with their subscriptions.

use serde_json::{Value, json};

use super::{Case, Drift, End};
use crate::world::World;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
const FIFO: &str = "arn:aws:sns:us-east-1:123456789012:jobs.fifo";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:alerts";

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[keys.records]
alias = "alias/records"
description = "Audit records"
policy = "key.json"
rotation_days = 365
multi_region = false
tags = { team = "security" }
[keys.turned]
rotation = true
[topics.alerts]
name = "alerts"
display_name = "Alerts"
key = "alias/aws/sns"
policy = "topic.json"
delivery_policy = "delivery.json"
tags = { team = "security" }
[topics.alerts.subscriptions.queue]
protocol = "sqs"
endpoint = "arn:aws:sqs:us-east-1:123456789012:alerts"
filter_policy = { event = ["denied"] }
filter_policy_scope = "MessageAttributes"
raw = true
[topics.alerts.subscriptions.stream]
protocol = "firehose"
endpoint = "arn:aws:firehose:us-east-1:123456789012:deliverystream/alerts"
role = "arn:aws:iam::123456789012:role/deliver"
[topics.jobs]
name = "jobs.fifo"
fifo = true
content_based_deduplication = true
"#;

const KEY_POLICY: &str = r#"{ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow",
"Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "kms:*", "Resource": "*" }] }"#;

fn topic_policy() -> String {
    let statement = json!({
        "Sid": "publish", "Effect": "Allow", "Principal": { "Service": "cloudwatch.amazonaws.com" },
        "Action": ["SNS:Publish"], "Resource": TOPIC,
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// Changes a key with one call.
fn kms(alias: &'static str, operation: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        let id = world.aws("TrentService.DescribeKey", &json!({ "KeyId": alias }))["KeyMetadata"]["KeyId"].take();
        let mut body = json!({ "KeyId": id });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        world.aws(&format!("TrentService.{operation}"), &body);
    }
}

/// Creates an equal key, multi-region or not, and moves the alias to it.
fn exchange_key(world: &World, multi_region: bool) {
    let body = json!({
        "Description": "Audit records", "Policy": KEY_POLICY, "MultiRegion": multi_region,
        "Tags": [{ "TagKey": "team", "TagValue": "security" }, { "TagKey": "managed-by", "TagValue": "sentinel" }],
    });
    let id = world.aws("TrentService.CreateKey", &body)["KeyMetadata"]["KeyId"].take();
    world.aws("TrentService.EnableKeyRotation", &json!({ "KeyId": id, "RotationPeriodInDays": 365 }));
    world.aws("TrentService.UpdateAlias", &json!({ "AliasName": "alias/records", "TargetKeyId": id }));
}

fn set(topic: &'static str, name: &'static str, value: &'static str) -> impl Fn(&World) {
    move |world| {
        let fields = [("TopicArn", topic), ("AttributeName", name), ("AttributeValue", value)];
        drop(world.sns("SetTopicAttributes", &fields));
    }
}

fn tag(key: &'static str) -> impl Fn(&World) {
    move |world| {
        let fields = [("ResourceArn", TOPIC), ("Tags.member.1.Key", key), ("Tags.member.1.Value", "web")];
        drop(world.sns("TagResource", &fields));
    }
}

/// Returns the ARN of an endpoint's subscription.
fn subscription(world: &World, endpoint: &str) -> String {
    let list = world.sns("ListSubscriptionsByTopic", &[("TopicArn", TOPIC)]);
    let member = list.split("<member>").find(|member| member.contains(endpoint)).unwrap();
    let (_, rest) = member.split_once("<SubscriptionArn>").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

fn subscribed(endpoint: &'static str, name: &'static str, value: &'static str) -> impl Fn(&World) {
    move |world| {
        let arn = subscription(world, endpoint);
        let fields = [("SubscriptionArn", arn.as_str()), ("AttributeName", name), ("AttributeValue", value)];
        drop(world.sns("SetSubscriptionAttributes", &fields));
    }
}

pub(super) fn case() -> Case {
    let tags = |key: &str| json!({ "Tags": [{ "TagKey": key, "TagValue": "other" }] });
    let delivery = json!({ "http": { "defaultHealthyRetryPolicy": { "numRetries": 5 } } });
    Case {
        files: vec![
            ("sentinel.toml", MANIFEST.to_owned()),
            ("key.json", KEY_POLICY.to_owned()),
            ("topic.json", topic_policy()),
            ("delivery.json", delivery.to_string()),
        ],
        before: |_| {},
        drifts: vec![
            Drift::new(
                "another description of a key",
                &["key.description"],
                &["keys.records description"],
                kms("alias/records", "UpdateKeyDescription", json!({ "Description": "by hand" })),
            ),
            Drift::new(
                "another rotation",
                &["key.rotation_days"],
                &["keys.records rotation"],
                kms("alias/records", "EnableKeyRotation", json!({ "RotationPeriodInDays": 400 })),
            ),
            Drift::new(
                "no rotation",
                &["key.rotation"],
                &["keys.turned rotation"],
                kms("alias/turned", "DisableKeyRotation", json!({})),
            ),
            Drift::new(
                "another policy of a key",
                &["key.policy"],
                &["keys.records policy"],
                kms(
                    "alias/records",
                    "PutKeyPolicy",
                    json!({
                        "PolicyName": "default", "Policy": KEY_POLICY.replace("\"Statement\"", "\"Id\": \"x\", \"Statement\""),
                    }),
                ),
            ),
            Drift::new(
                "another tag of a key",
                &["key.tags"],
                &["keys.records tags.team"],
                kms("alias/records", "TagResource", tags("team")),
            ),
            Drift::new(
                "a tag too many of a key",
                &[],
                &["keys.records tags.extra"],
                kms("alias/records", "TagResource", tags("extra")),
            ),
            Drift::new("a key of several regions", &["key.multi_region"], &["keys.records multi_region"], |world| {
                exchange_key(world, true);
            })
            .refused(|world| exchange_key(world, false)),
            Drift::new("no alias", &["key.alias"], &["keys.turned missing"], |world| {
                world.aws("TrentService.DeleteAlias", &json!({ "AliasName": "alias/turned" }));
            }),
            Drift::new(
                "another display name",
                &["topic.display_name"],
                &["topics.alerts display_name"],
                set(TOPIC, "DisplayName", "Other"),
            ),
            Drift::new("no key of a topic", &["topic.key"], &["topics.alerts key"], set(TOPIC, "KmsMasterKeyId", "")),
            Drift::new("no policy of a topic", &["topic.policy"], &["topics.alerts policy"], set(TOPIC, "Policy", "")),
            Drift::new(
                "no delivery policy",
                &["topic.delivery_policy"],
                &["topics.alerts delivery_policy"],
                set(TOPIC, "DeliveryPolicy", ""),
            ),
            Drift::new("another tag of a topic", &["topic.tags"], &["topics.alerts tags.team"], tag("team")),
            Drift::new("a tag too many of a topic", &[], &["topics.alerts tags.extra"], tag("extra")),
            Drift::new(
                "no deduplication by content",
                &["topic.content_based_deduplication"],
                &["topics.jobs content_based_deduplication"],
                set(FIFO, "ContentBasedDeduplication", "false"),
            ),
            Drift::new("no topic", &["topic.name", "topic.fifo"], &["topics.jobs missing"], |world| {
                drop(world.sns("DeleteTopic", &[("TopicArn", FIFO)]));
            }),
            Drift::new(
                "another filter",
                &["subscription.filter_policy"],
                &["topics.alerts subscription sqs arn:aws:sqs:us-east-1:123456789012:alerts filter_policy"],
                subscribed(QUEUE, "FilterPolicy", "{}"),
            ),
            Drift::new(
                "another scope of the filter",
                &["subscription.filter_policy_scope"],
                &["topics.alerts subscription sqs arn:aws:sqs:us-east-1:123456789012:alerts filter_policy_scope"],
                subscribed(QUEUE, "FilterPolicyScope", "MessageBody"),
            ),
            Drift::new(
                "no raw delivery",
                &["subscription.raw"],
                &["topics.alerts subscription sqs arn:aws:sqs:us-east-1:123456789012:alerts raw"],
                subscribed(QUEUE, "RawMessageDelivery", "false"),
            ),
            Drift::new(
                "another role",
                &["subscription.role"],
                &[
                    "topics.alerts subscription firehose arn:aws:firehose:us-east-1:123456789012:deliverystream/alerts role",
                ],
                subscribed("deliverystream/alerts", "SubscriptionRoleArn", "arn:aws:iam::123456789012:role/other"),
            ),
            Drift::new(
                "a subscription less",
                &["topic.subscriptions", "subscription.protocol", "subscription.endpoint"],
                &["topics.alerts subscription sqs arn:aws:sqs:us-east-1:123456789012:alerts"],
                |world| {
                    let arn = subscription(world, QUEUE);
                    drop(world.sns("Unsubscribe", &[("SubscriptionArn", &arn)]));
                },
            ),
            Drift::new("a subscription too many", &[], &["topics.alerts subscription sms +15555550100"], |world| {
                let fields = [("TopicArn", TOPIC), ("Protocol", "sms"), ("Endpoint", "+15555550100")];
                drop(world.sns("Subscribe", &fields));
            })
            .ends(End::With("subscription")),
        ],
    }
}

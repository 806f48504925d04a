//! SNS's rules and errors.

use serde_json::Value;

use super::{Attributes, Refusal, Topic};
use crate::local::Region;

/// The maximum number of subscriptions of a topic. AWS's quota is 12.5 million; this one is lower, since a topic is stored as one row.
pub(super) const SUBSCRIPTIONS: usize = 10_000;

pub(super) fn check_name(name: &str, fifo: bool) -> Result<(), Refusal> {
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    match stem {
        None => Err(Refusal::invalid(
            "Topic Name Reason: Fifo Topic names must end with .fifo and must be made up of only \
             uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters \
             long.",
        )),
        Some(stem) if !stem.is_empty() && name.len() <= 256 && stem.chars().all(plain) => Ok(()),
        Some(_) => Err(Refusal::invalid("Topic Name")),
    }
}

/// Checks an attribute of a topic's creation or change.
pub(super) fn check_topic_attribute(name: &str, value: &str, fifo: bool) -> Result<(), Refusal> {
    match name {
        "DisplayName" if value.chars().count() > 100 => {
            Err(Refusal::invalid("DisplayName Reason: DisplayName must be 100 characters or less"))
        }
        "Policy" => policy(value),
        "DeliveryPolicy" => match serde_json::from_str::<Value>(value) {
            _ if value.is_empty() => Ok(()),
            Ok(Value::Object(map)) if map.keys().all(|key| key == "http") => Ok(()),
            Ok(Value::Object(map)) => {
                let unknown = map.keys().find(|key| *key != "http").cloned().unwrap_or_default();
                Err(Refusal::invalid(format!("DeliveryPolicy: Unexpected JSON member: {unknown}")))
            }
            _ => Err(Refusal::invalid("DeliveryPolicy: failed to parse JSON.")),
        },
        "ContentBasedDeduplication" if !fifo => {
            Err(Refusal::invalid("Attributes Reason: Content-based deduplication can only be set for FIFO topics"))
        }
        "ContentBasedDeduplication" | "FifoTopic" => boolean(name, value),
        "DisplayName" | "KmsMasterKeyId" => Ok(()),
        _ => Err(Refusal::invalid("AttributeName")),
    }
}

fn boolean(name: &str, value: &str) -> Result<(), Refusal> {
    match value {
        "true" | "false" => Ok(()),
        _ => Err(Refusal::invalid(format!("{name}: Invalid value [{value}]. Must be true or false."))),
    }
}

fn policy(value: &str) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::invalid(format!("Policy Error: {why}")));
    match serde_json::from_str::<Value>(value) {
        _ if value.is_empty() => Ok(()),
        Ok(Value::Object(map)) if map.contains_key("Statement") => Ok(()),
        Ok(Value::Object(_)) => refused("null"),
        _ => refused("Policy is not valid JSON"),
    }
}

/// The default policy of SNS, which allows the topic's account everything. Source: Amazon SNS Developer Guide, "Example cases for Amazon
/// SNS access control", and responses that users have published.
pub(super) fn default_policy(region: &Region, arn: &str) -> String {
    let actions = [
        "SNS:GetTopicAttributes",
        "SNS:SetTopicAttributes",
        "SNS:AddPermission",
        "SNS:RemovePermission",
        "SNS:DeleteTopic",
        "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic",
        "SNS:Publish",
    ];
    let statement = serde_json::json!({
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": { "AWS": "*" },
        "Action": actions,
        "Resource": arn,
        "Condition": { "StringEquals": { "AWS:SourceOwner": region.account } },
    });
    let policy = serde_json::json!({ "Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement] });
    policy.to_string()
}

/// Checks an endpoint, and returns whether it must confirm its subscription: queues and functions of the topic's own account need not.
/// Source: Amazon SNS Developer Guide, "Subscribing to an Amazon SNS topic".
pub(super) fn check_endpoint(region: &Region, topic: &Topic, protocol: &str, endpoint: &str) -> Result<bool, Refusal> {
    let parts: Vec<&str> = endpoint.splitn(6, ':').collect();
    let arn = |service: &str| match parts[..] {
        ["arn", _, own, _, account, _] if own == service => Some(account.to_owned()),
        _ => None,
    };
    let bad = |why: &str| Refusal::invalid(format!("Endpoint Reason: {why}"));
    if topic.is_fifo() && protocol != "sqs" {
        return Err(Refusal::invalid("Invalid protocol type: FIFO topics can only be subscribed to by SQS queues"));
    }
    match protocol {
        "email" | "email-json" if endpoint.contains('@') => Ok(true),
        "email" | "email-json" => Err(Refusal::invalid("Email address")),
        "http" | "https" if endpoint.starts_with(&format!("{protocol}://")) => Ok(true),
        "http" | "https" => Err(bad("Endpoint must match the specified protocol")),
        "sqs" => {
            let account = arn("sqs").ok_or_else(|| Refusal::invalid("SQS endpoint ARN"))?;
            if endpoint.rsplit_once('.').is_some_and(|(_, end)| end == "fifo") && !topic.is_fifo() {
                let why = "FIFO SQS Queues can not be subscribed to standard SNS topics";
                return Err(bad(why));
            }
            Ok(account != region.account)
        }
        "lambda" => Ok(arn("lambda").ok_or_else(|| Refusal::invalid("Lambda endpoint ARN"))? != region.account),
        "firehose" => arn("firehose").map(|_| false).ok_or_else(|| Refusal::invalid("Firehose endpoint ARN")),
        "application" => arn("sns").map(|_| false).ok_or_else(|| bad("Endpoint does not exist for endpoint")),
        "sms" if endpoint.starts_with('+') => Ok(false),
        "sms" => Err(Refusal::invalid(format!("Invalid SMS endpoint: {endpoint}"))),
        other => Err(Refusal::invalid(format!("Amazon SNS does not support this protocol string: {other}"))),
    }
}

/// Checks an attribute of a subscription, together with its other attributes.
pub(super) fn check_subscription_attribute(
    protocol: &str,
    name: &str,
    value: &str,
    others: &Attributes,
) -> Result<(), Refusal> {
    match name {
        "RawMessageDelivery" if !["sqs", "http", "https", "firehose"].contains(&protocol) && value == "true" => {
            let why = format!("Delivery protocol [{protocol}] does not support raw message delivery.");
            Err(Refusal::invalid(format!("Attributes Reason: RawMessageDelivery: {why}")))
        }
        "RawMessageDelivery" => match value {
            "true" | "false" => Ok(()),
            _ => {
                let why = format!("Invalid value [{value}]. Must be true or false.");
                Err(Refusal::invalid(format!("Attributes Reason: RawMessageDelivery: {why}")))
            }
        },
        "FilterPolicy" => filter_policy(value, others.get("FilterPolicyScope").map(String::as_str)),
        "FilterPolicyScope" if ["MessageAttributes", "MessageBody"].contains(&value) => {
            filter_policy(others.get("FilterPolicy").map_or("", String::as_str), Some(value))
        }
        "FilterPolicyScope" => {
            let why = format!("Invalid value [{value}]. Please use either MessageBody or MessageAttributes");
            Err(Refusal::invalid(format!("FilterPolicyScope: {why}")))
        }
        "SubscriptionRoleArn" if protocol == "firehose" => Ok(()),
        "SubscriptionRoleArn" => Err(Refusal::invalid("Attributes Reason: SubscriptionRoleArn is only for firehose")),
        _ => Err(Refusal::invalid("AttributeName")),
    }
}

fn filter_policy(value: &str, scope: Option<&str>) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::invalid(format!("FilterPolicy: {why}")));
    let map = match serde_json::from_str::<Value>(value) {
        _ if value.is_empty() => return Ok(()),
        Ok(Value::Object(map)) => map,
        _ => return refused("failed to parse JSON."),
    };
    if map.len() > 5 {
        return refused("Filter policy can not have more than 5 keys");
    }
    for (key, value) in &map {
        match value {
            Value::Array(_) => {}
            Value::Object(_) if scope == Some("MessageBody") => {}
            Value::Object(_) => {
                return refused("Filter policy scope MessageAttributes does not support nested filter policy");
            }
            _ => return refused(&format!("\"{key}\" must be an object or an array")),
        }
    }
    Ok(())
}

pub(super) fn check_tags(tags: &Attributes) -> Result<(), Refusal> {
    if tags.len() > 50 {
        let message = "Could not complete request: tag quota of per resource exceeded";
        return Err(Refusal::new("TagLimitExceeded", message));
    }
    match tags.keys().find(|key| key.is_empty() || key.len() > 128 || key.to_lowercase().starts_with("aws:")) {
        Some(_) => {
            Err(Refusal::invalid("Tags Reason: Tag keys must be 1 to 128 characters and must not begin with aws:"))
        }
        None => Ok(()),
    }
}

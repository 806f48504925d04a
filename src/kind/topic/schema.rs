//! A topic's part of the JSON Schemas.

use serde_json::{Value, json};
use strum::VariantArray;

use super::{FilterScope, Protocol};
use crate::kind::schema::{PlanSchema, Schema, removed};

/// Returns the schema of `[topics]`, and of a topic in a plan.
pub(super) fn schema() -> Schema {
    Schema {
        what: "SNS topics",
        sections: json!({
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/topic" },
            // A key that is no valid SNS name requires a name.
            "allOf": [{
                "patternProperties": {
                    "^(?!(?=.{1,256}$)[A-Za-z0-9_-]+(\\.fifo)?$)": { "required": ["name"] },
                },
            }],
            "description": "SNS topics, by name.",
        }),
        definitions: vec![("subscription", subscription()), ("topic", topic())],
        plan: plan(),
    }
}

fn subscription() -> Value {
    let protocols: Vec<&str> = Protocol::VARIANTS.iter().map(|one| one.as_str()).collect();
    let never_raw: Vec<&str> =
        Protocol::VARIANTS.iter().filter(|one| !one.takes_raw()).map(|one| one.as_str()).collect();
    let scopes: Vec<&str> = FilterScope::VARIANTS.iter().map(|scope| scope.as_str()).collect();
    json!({
        "type": "object",
        "description": "One subscription of a topic. Its protocol and endpoint identify it.",
        "properties": {
            "protocol": {
                "enum": protocols,
                "description": "How messages are delivered. The owner of an email, http or https endpoint must \
                     confirm the subscription.",
            },
            "endpoint": {
                "type": "string",
                "minLength": 1,
                "description": "Where messages are delivered: an address, a URL, a number or an ARN, depending on the \
                     protocol.",
            },
            "filter_policy": {
                "type": ["string", "object"],
                "description": "Which messages are delivered: the path of a JSON file, or the filter as a table; {} \
                     for no filter.",
            },
            "filter_policy_scope": { "enum": scopes, "description": "The part of a message that the filter applies to." },
            "raw": {
                "type": "boolean",
                "description": "Whether messages are delivered without SNS metadata; for sqs, http, https and \
                     firehose.",
            },
            "role": {
                "type": "string",
                "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$",
                "description": "The role with which SNS delivers to Firehose.",
            },
        },
        "required": ["protocol", "endpoint"],
        "allOf": [
            {
                "if": { "properties": { "protocol": { "const": "firehose" } }, "required": ["protocol"] },
                "then": { "required": ["role"] },
                "else": { "properties": { "role": false } },
            },
            {
                "if": { "properties": { "protocol": { "enum": never_raw } }, "required": ["protocol"] },
                "then": { "properties": { "raw": { "const": false } } },
            },
        ],
        "additionalProperties": false,
    })
}

fn topic() -> Value {
    json!({
        "type": "object",
        "description": "One SNS topic.",
        "properties": {
            "name": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]+(\\.fifo)?$",
                "maxLength": 256,
                "description": "The name in AWS; by default the section's name, with .fifo at its end for a FIFO \
                     topic.",
            },
            "fifo": {
                "type": "boolean",
                "description": "Whether it is a FIFO topic; set when it is created.",
            },
            "content_based_deduplication": {
                "type": "boolean",
                "description": "Whether a FIFO topic deduplicates messages by their content.",
            },
            "display_name": {
                "type": "string",
                "maxLength": 100,
                "description": "The sender's name in text messages and mail.",
            },
            "key": {
                "description": "The key that encrypts the topic: an alias, an ARN, { key = \"NAME\" } for \
                 [keys.NAME], or false for no encryption.",
                "oneOf": [
                    { "const": false },
                    { "type": "string", "pattern": "^(alias/|arn:aws[a-z-]*:kms:)" },
                    {
                        "type": "object",
                        "properties": { "key": { "type": "string" } },
                        "required": ["key"],
                        "additionalProperties": false,
                    },
                ],
            },
            "policy": {
                "type": "string",
                "description": "The JSON file with its access policy. Without it the policy is not managed, and AWS \
                     gives a new topic its default policy.",
            },
            "delivery_policy": {
                "type": "string",
                "description": "The JSON file with its delivery policy; {} for none.",
            },
            "tags": { "$ref": "#/$defs/tags" },
    "removed": removed(),
            "subscriptions": {
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/subscription" },
                "description": "All its subscriptions, by any names; empty for none.",
            },
        },
        "additionalProperties": false,
    })
}

fn plan() -> PlanSchema {
    PlanSchema {
        steps: vec![
            "create_topic",
            "set_topic_attribute",
            "tag_topic",
            "untag_topic",
            "subscribe",
            "set_subscription_attribute",
            "unsubscribe",
            "await_confirmation",
            "delete_topic",
        ],
        layout: Some("topic"),
        definitions: vec![("topic", planned_topic()), ("subscription", planned_subscription())],
    }
}

fn planned_topic() -> Value {
    json!({
        "type": "object",
        "description": "The state of a topic; omitted settings are not managed.",
        "properties": {
            "fifo": { "type": "boolean" },
            "content_based_deduplication": { "type": "boolean" },
            "display_name": { "type": "string" },
            "key": {
                "oneOf": [
                    { "enum": ["off"] },
                    { "type": "object", "properties": { "kms": { "type": "string" } }, "required": ["kms"] },
                ],
            },
            "policy": { "description": "Its access policy, as JSON." },
            "delivery_policy": { "description": "Its delivery policy, as JSON." },
            "subscriptions": {
                "type": "object",
                "description": "By protocol and endpoint.",
                "additionalProperties": { "$ref": "#/$defs/subscription" },
            },
            "tags": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    })
}

fn planned_subscription() -> Value {
    json!({
        "type": "object",
        "description": "A subscription of a topic.",
        "properties": {
            "protocol": { "type": "string" },
            "endpoint": { "type": "string" },
            "filter_policy": { "description": "As JSON; an empty object is no filter." },
            "filter_policy_scope": { "enum": ["message_attributes", "message_body"] },
            "raw": { "type": "boolean" },
            "role": { "type": "string" },
        },
        "required": ["protocol", "endpoint"],
    })
}

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
            // A name that SNS does not take needs another.
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
        "description": "One subscription of a topic. With another protocol or endpoint it is another subscription.",
        "properties": {
            "protocol": {
                "enum": protocols,
                "description": "How messages are delivered. Who is behind an address of email, http or https has to \
                 confirm the subscription.",
            },
            "endpoint": {
                "type": "string",
                "minLength": 1,
                "description": "Where messages are delivered to: an address, a URL, a number or an ARN, as the \
                 protocol takes it.",
            },
            "filter_policy": {
                "type": ["string", "object"],
                "description": "Which messages are delivered: the path of a JSON file, or the filter itself as a \
                 table. {} is no filter.",
            },
            "filter_policy_scope": { "enum": scopes, "description": "What the filter is matched with." },
            "raw": {
                "type": "boolean",
                "description": "Whether messages are delivered as they were sent; for sqs, http, https and firehose.",
            },
            "role": {
                "type": "string",
                "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$",
                "description": "The role that SNS delivers to Firehose with.",
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
                "description": "The name in AWS; the section's own name where it is left out, with .fifo at its end \
                 for a FIFO topic.",
            },
            "fifo": {
                "type": "boolean",
                "description": "Whether it is a FIFO topic, which is decided when it is created.",
            },
            "content_based_deduplication": {
                "type": "boolean",
                "description": "Whether a FIFO topic tells messages apart by their content.",
            },
            "display_name": {
                "type": "string",
                "maxLength": 100,
                "description": "The name that text messages and mail come from.",
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
                "description": "The file with its access policy, in JSON. Without it the policy is not managed: AWS \
                 gives a new topic one for its own account.",
            },
            "delivery_policy": {
                "type": "string",
                "description": "The file with its delivery policy, in JSON; {} is none.",
            },
            "tags": { "$ref": "#/$defs/tags" },
    "removed": removed(),
            "subscriptions": {
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/subscription" },
                "description": "Its subscriptions, by any names. Where given they are the whole set; an empty one \
                 wants none.",
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
        "description": "What a topic is, or is created with; what is left out is not managed.",
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

//! The common part of the JSON Schemas of the kinds whose resources are parameters.

use serde_json::{Value, json};

use crate::kind::schema::Definition;

/// Returns the definitions that the sections refer to. One kind adds them for all.
pub(in crate::kind) fn definitions() -> Vec<Definition> {
    vec![
        (
            "parameter_policies",
            json!({
                "type": "object",
                "description": "AWS's policies of the parameter, for the advanced tier; {} for none.",
                "properties": {
                    "expiration": {
                        "type": "string", "format": "date-time",
                        "description": "When AWS deletes the parameter.",
                    },
                    "expiration_notifications": {
                        "type": "array", "items": { "$ref": "#/$defs/period" },
                        "description": "How long before the expiration AWS sends an event to EventBridge.",
                    },
                    "no_change_notifications": {
                        "type": "array", "items": { "$ref": "#/$defs/period" },
                        "description": "How long after the last change AWS sends an event to EventBridge.",
                    },
                },
                "additionalProperties": false,
            }),
        ),
        (
            "period",
            json!({ "type": "string", "pattern": "^[1-9][0-9]* (days|hours)$", "description": "Such as \"15 days\"." }),
        ),
    ]
}

/// Returns the properties of a section with those that all parameters have.
pub(in crate::kind) fn with_settings(own: Value) -> Value {
    let shared = json!({
        "key": {
            "anyOf": [{ "type": "string" }, {
                "type": "object",
                "properties": {
                    "key": { "type": "string", "description": "The name of a section of keys." },
                },
                "required": ["key"],
                "additionalProperties": false,
            }],
            "description": "The key that encrypts a SecureString: `{ key = \"NAME\" }` for [keys.NAME], an alias, or an ARN.",
        },
        "tier": {
            "enum": ["standard", "advanced", "intelligent"],
            "description": "The tier in Parameter Store: 4,096 or 8,192 bytes. It cannot be lowered. With \
                 `intelligent`, AWS uses the advanced tier if a write needs it.",
        },
        "description": {
            "type": "string", "maxLength": 1024,
            "description": "The description in AWS.",
        },
        "allowed_pattern": {
            "type": "string", "maxLength": 1024,
            "description": "A regular expression that AWS checks each new value against; empty for none.",
        },
        "parameter_policies": { "$ref": "#/$defs/parameter_policies" },
        "labels": {
            "type": "array", "items": { "type": "string", "minLength": 1, "maxLength": 100 }, "maxItems": 10,
            "description": "Labels of the newest version. They move to each version that is written; other labels are \
                 not changed.",
        },
        "tags": { "$ref": "#/$defs/tags" },
    });
    let mut all = own;
    if let (Value::Object(all), Value::Object(shared)) = (&mut all, shared) {
        all.extend(shared);
    }
    all
}

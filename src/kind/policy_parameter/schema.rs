//! A policy parameter's part of the JSON Schemas.

use serde_json::json;

use crate::kind::schema::{PlanSchema, Schema, removed};

/// Returns the schema of `[profiles]`, and of a policy parameter in a plan.
pub(super) fn schema() -> Schema {
    Schema {
        what: "access policies in SSM Parameter Store",
        sections: json!({
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/profile" },
            "description": "Access profiles, by name.",
        }),
        definitions: vec![
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
            (
                "profile",
                json!({
                    "type": "object",
                    "description": "One access profile: a policy document in SSM Parameter Store.",
                    "properties": {
                        "policy": {
                            "type": "string",
                            "description": "The policy's file, relative to the manifest and inside its folder. Without \
                             it the profile is created as default-deny and its content is then left alone.",
                        },
                        "type": {
                        "enum": ["String", "SecureString"],
                        "description": "Parameter Store's type. The content of a SecureString is encrypted, and a plan \
                         shows and saves none of it.",
                    },
                    "key": {
                        "anyOf": [{ "type": "string" }, {
                            "type": "object",
                            "properties": {
                                "key": { "type": "string", "description": "The name of a section of keys." },
                            },
                            "required": ["key"],
                            "additionalProperties": false,
                        }],
                        "description": "The key that encrypts a SecureString: `{ key = \"NAME\" }` for [keys.NAME], an \
                         alias, or an ARN.",
                    },
                    "tier": {
                            "enum": ["standard", "advanced", "intelligent"],
                            "description": "Parameter Store's tier: 4,096 or 8,192 bytes. It only ever goes up. With \
                             `intelligent`, AWS chooses the advanced tier where a write needs it.",
                        },
                        "description": {
                            "type": "string", "maxLength": 1024,
                            "description": "What AWS shows beside the parameter's name.",
                        },
                        "allowed_pattern": {
                            "type": "string", "maxLength": 1024,
                            "description": "A regular expression that AWS checks each new value against; empty for none.",
                        },
                        "data_type": {
                            "const": "text",
                            "description": "AWS's data type. That of a policy is `text`.",
                        },
                        "parameter_policies": { "$ref": "#/$defs/parameter_policies" },
                        "tags": { "$ref": "#/$defs/tags" },
                        "removed": removed(),
                    },
                    "additionalProperties": false,
                }),
            ),
        ],
        plan: PlanSchema {
            steps: vec![
                "create_parameter",
                "overwrite_parameter",
                "tag_parameter",
                "untag_parameter",
                "delete_parameter",
            ],
            layout: None,
            definitions: Vec::new(),
        },
    }
}

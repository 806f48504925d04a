//! A key's part of the JSON Schemas.

use serde_json::json;

use super::ROTATION_DAYS;
use crate::kind::schema::{PlanSchema, Schema};

/// Returns the schema of `[keys]`, and of a key in a plan.
pub(super) fn schema() -> Schema {
    Schema {
        what: "KMS keys",
        sections: json!({
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/key" },
            // A name that cannot be an alias requires one.
            "allOf": [{
                "patternProperties": { "^(?!(?!aws/)[a-zA-Z0-9/_-]{1,250}$)": { "required": ["alias"] } },
            }],
            "description": "KMS keys by name.",
        }),
        definitions: vec![(
            "key",
            json!({
                "type": "object",
                "description": "One KMS key, identified by its alias. Omitted settings are not managed. Sentinel \
                     never deletes a key.",
                "properties": {
                    "alias": {
                        "type": "string",
                        "pattern": "^alias/(?!aws/)[a-zA-Z0-9/_-]+$",
                        "maxLength": 256,
                        "description": "The key's alias; alias/NAME by default.",
                    },
                    "description": { "type": "string", "maxLength": 8192, "description": "The purpose of the key." },
                    "policy": {
                        "type": "string",
                        "description": "The path of a JSON file with the key policy, relative to the manifest's \
                             folder. By default, a new key has AWS's default policy, which lets the account's IAM \
                             policies decide.",
                    },
                    "rotation": {
                        "type": "boolean",
                        "description": "Whether AWS rotates the key material, with any period.",
                    },
                    "rotation_days": {
                        "type": "integer",
                        "minimum": ROTATION_DAYS.start(),
                        "maximum": ROTATION_DAYS.end(),
                        "description": "After how many days AWS rotates the key material.",
                    },
                    "multi_region": {
                        "type": "boolean",
                        "description": "Whether the key can be replicated to other regions; set when it is created.",
                    },
                    "tags": { "$ref": "#/$defs/tags" },
                    "removed": { "const": false, "description": "A key is never deleted." },
                },
                "additionalProperties": false,
                "not": { "required": ["rotation", "rotation_days"] },
            }),
        )],
        plan: plan(),
    }
}

fn plan() -> PlanSchema {
    PlanSchema {
        steps: vec!["create_key", "set_key_description", "put_key_policy", "set_key_rotation", "tag_key", "untag_key"],
        layout: Some("kms_key"),
        definitions: vec![(
            "kms_key",
            json!({
                "type": "object",
                "description": "The state of a KMS key; omitted settings are not managed.",
                "properties": {
                    "description": { "type": "string" },
                    "policy": {
                        "type": "object",
                        "description": "The key policy in normalized form.",
                        "additionalProperties": true,
                    },
                    "rotation": {
                        "description": "Whether AWS rotates the key material; days is the period.",
                        "oneOf": [
                            { "enum": ["off", "on"] },
                            {
                                "type": "object",
                                "properties": { "days": { "type": "integer" } },
                                "required": ["days"],
                            },
                        ],
                    },
                    "multi_region": { "type": "boolean" },
                    "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                },
            }),
        )],
    }
}

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
            // A name that is no alias needs one.
            "allOf": [{
                "patternProperties": { "^(?!(?!aws/)[a-zA-Z0-9/_-]{1,250}$)": { "required": ["alias"] } },
            }],
            "description": "KMS keys by name.",
        }),
        definitions: vec![(
            "key",
            json!({
                "type": "object",
                "description": "One KMS key, which its alias identifies. What is left out is not managed. A key is \
                 never deleted.",
                "properties": {
                    "alias": {
                        "type": "string",
                        "pattern": "^alias/(?!aws/)[a-zA-Z0-9/_-]+$",
                        "maxLength": 256,
                        "description": "The key's alias (alias/NAME when left out).",
                    },
                    "description": { "type": "string", "maxLength": 8192, "description": "What the key is for." },
                    "policy": {
                        "type": "string",
                        "description": "The path of a JSON file with the key policy, from the manifest's folder. Left \
                         out, a new key has AWS's own, by which the account's IAM policies decide.",
                    },
                    "rotation": {
                        "type": "boolean",
                        "description": "Whether AWS makes new key material by itself, however often.",
                    },
                    "rotation_days": {
                        "type": "integer",
                        "minimum": ROTATION_DAYS.start(),
                        "maximum": ROTATION_DAYS.end(),
                        "description": "After how many days AWS makes new key material.",
                    },
                    "multi_region": {
                        "type": "boolean",
                        "description": "Whether the key can be replicated to other regions; decided when it is \
                         created.",
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
                "description": "What a KMS key is, or is created with; what is left out is not managed.",
                "properties": {
                    "description": { "type": "string" },
                    "policy": {
                        "type": "object",
                        "description": "The key policy, in one form whatever its spelling.",
                        "additionalProperties": true,
                    },
                    "rotation": {
                        "description": "Whether AWS makes new key material by itself; days is how often.",
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

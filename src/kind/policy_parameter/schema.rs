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
        definitions: vec![(
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
                    "tier": {
                        "enum": ["standard", "advanced"],
                        "description": "Parameter Store's tier: 4,096 or 8,192 bytes. It only ever goes up.",
                    },
                    "tags": { "$ref": "#/$defs/tags" },
                    "removed": removed(),
                },
                "additionalProperties": false,
            }),
        )],
        plan: PlanSchema {
            steps: &["create_parameter", "overwrite_parameter", "tag_parameter", "untag_parameter", "delete_parameter"],
            layout: None,
            definitions: Vec::new(),
        },
    }
}

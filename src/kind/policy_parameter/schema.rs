//! A policy parameter's part of the JSON Schemas.

use serde_json::json;

use super::steps::STEPS;
use crate::kind::parameter_store::schema::{definitions, with_settings};
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
        definitions: [
            definitions(),
            vec![(
                "profile",
                json!({
                    "type": "object",
                    "description": "One access profile: a policy document in SSM Parameter Store.",
                    "properties": with_settings(json!({
                        "policy": {
                            "type": "string",
                            "description": "The policy file, relative to the manifest and inside its folder. Without \
                                 it, the profile is created as default-deny, and its content is not managed.",
                        },
                        "type": {
                            "enum": ["String", "SecureString"],
                            "description": "The type in Parameter Store. A plan neither shows nor saves the content \
                                 of a SecureString.",
                        },
                        "data_type": {
                            "const": "text",
                            "description": "AWS's data type; `text` for a policy.",
                        },
                        "role": {
                            "description": "The role whose credentials the policy releases: { role = \"NAME\" } for [roles.NAME], \
                             which is then applied before the policy, or an ARN. The broker assumes it.",
                            "oneOf": [
                                { "type": "string", "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$" },
                                {
                                    "type": "object",
                                    "properties": { "role": { "type": "string" } },
                                    "required": ["role"],
                                    "additionalProperties": false,
                                },
                            ],
                        },
                        "removed": removed(),
                    })),
                    "additionalProperties": false,
                }),
            )],
        ]
        .concat(),
        plan: PlanSchema { steps: STEPS.to_vec(), layout: None, definitions: Vec::new() },
    }
}

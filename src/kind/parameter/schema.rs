//! A parameter's part of the JSON Schemas.

use serde_json::json;

use super::steps::STEPS;
use crate::kind::parameter_store::schema::with_settings;
use crate::kind::schema::{PlanSchema, Schema, removed};

/// Returns the schema of `[parameters]`, and of a parameter in a plan.
pub(super) fn schema() -> Schema {
    let text = |description: &str| {
        json!({
            "anyOf": [{ "type": "string", "minLength": 1 }, {
                "type": "array", "minItems": 1, "items": { "type": "string", "minLength": 1, "pattern": "^[^,]+$" },
            }],
            "description": description,
        })
    };
    Schema {
        what: "SSM parameters",
        sections: json!({
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/parameter" },
            "description": "Parameters of SSM Parameter Store, by name.",
        }),
        definitions: vec![(
            "parameter",
            json!({
                "type": "object",
                "description": "One parameter. It has one of value, file, env and initial, unless it is removed.",
                "properties": with_settings(json!({
                    "name": {
                        "type": "string", "maxLength": 951,
                        "description": "The name in Parameter Store; by default the section's name.",
                    },
                    "value": text("The value. A list is a StringList."),
                    "file": {
                        "type": "string",
                        "description": "The file with the value, relative to the manifest and inside its folder.",
                    },
                    "env": {
                        "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                        "description": "The environment variable with the value, which Sentinel neither shows nor \
                             saves.",
                    },
                    "initial": text("The value of a new parameter, not managed after that. A list is a StringList."),
                    "type": {
                        "enum": ["String", "StringList", "SecureString"],
                        "description": "The type in Parameter Store. Sentinel neither shows nor saves the value of a \
                             SecureString.",
                    },
                    "data_type": {
                        "enum": ["text", "aws:ec2:image", "aws:ssm:integration"],
                        "description": "AWS's data type.",
                    },
                    "removed": removed(),
                })),
                "additionalProperties": false,
            }),
        )],
        plan: PlanSchema { steps: STEPS.to_vec(), layout: None, definitions: Vec::new() },
    }
}

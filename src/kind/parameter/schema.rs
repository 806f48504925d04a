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
                "description": "One parameter. Unless it is removed it has one of value, file, env and initial.",
                "properties": with_settings(json!({
                    "name": {
                        "type": "string", "maxLength": 951,
                        "description": "The name in Parameter Store; that of the section where it is left out.",
                    },
                    "value": text("The value. A list is a StringList."),
                    "file": {
                        "type": "string",
                        "description": "The file with the value, relative to the manifest and inside its folder.",
                    },
                    "env": {
                        "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                        "description": "The environment variable with the value, which is neither shown nor saved.",
                    },
                    "initial": text("The value of a new parameter. It is then left alone. A list is a StringList."),
                    "type": {
                        "enum": ["String", "StringList", "SecureString"],
                        "description": "Parameter Store's type. The value of a SecureString is encrypted, and neither shown \
                         nor saved.",
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

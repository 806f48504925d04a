//! The schema of the findings of `--fail-on`.

use serde_json::{Value, json};
use strum::VariantArray;

use crate::review::fail_on::Check;

pub(super) fn fail_on() -> Value {
    json!({
        "type": "object",
        "description": "What --fail-on checked, and what it found: any finding ends the run with exit code 1.",
        "properties": {
            "checks": { "type": "array", "items": { "$ref": "#/$defs/check" } },
            "findings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "check": { "$ref": "#/$defs/check" },
                        "target": { "type": "string" },
                        "address": { "$ref": "#/$defs/address" },
                        "message": { "type": "string" },
                        "source": { "$ref": "#/$defs/place" },
                    },
                    "required": ["check", "message"],
                },
            },
        },
        "required": ["checks", "findings"],
    })
}

pub(super) fn check() -> Value {
    let words: Vec<&str> = Check::VARIANTS.iter().map(|check| check.word()).collect();
    json!({ "enum": words })
}

//! The schemas of what a plan lists and leaves alone.

use serde_json::{Value, json};

use crate::kind::KindId;

fn named() -> Value {
    let kinds: Vec<&str> = KindId::ALL.iter().map(|kind| kind.about().id).collect();
    json!({
        "type": "object",
        "properties": { "kind": { "enum": kinds }, "name": { "type": "string" } },
        "required": ["kind", "name"],
    })
}

pub(super) fn unmanaged() -> Value {
    json!({
        "type": "array",
        "items": named(),
        "description": "What is live and not in the manifest; listed with --prune.",
    })
}

pub(super) fn orphans() -> Value {
    json!({
        "type": "object",
        "description": "What carries the ownership tag and is not in the manifest; left out where there is nothing to say, and with \
         --prune, which lists everything. AWS's list follows the services with a delay.",
        "properties": {
            "resources": {
                "type": "array",
                "items": named(),
                "description": "Each by its name; a KMS key by its ID. Another manifest with the same ownership tag may name it.",
            },
            "looked_at": {
                "type": "integer",
                "description": "How many resources with the tag were looked at, where there are more.",
            },
            "unknown": { "$ref": "#/$defs/gap", "description": "Why they, or some of them, are not known." },
        },
    })
}

/// Returns the schema of the sums over several targets.
pub(super) fn total() -> Value {
    let count = |words: &str| json!({ "type": "integer", "minimum": 0, "description": words });
    json!({
        "type": "object",
        "description": "The sums over all targets.",
        "properties": {
            "targets": count("How many targets there are."),
            "in_sync": count("Of these, those that are as the manifest says."),
            "differ": count("Those that differ."),
            "incomplete": count("Those that could not be read in full."),
            "failed": count("Those that came to nothing."),
            "unfinished": count("Those that were not read in the time that --timeout gives."),
            "resources": count("The resources of the targets that were read."),
            "resources_in_sync": count("Of these, those that are as the manifest says."),
        },
        "required": ["targets", "in_sync", "differ", "incomplete", "failed", "resources", "resources_in_sync"],
        "additionalProperties": false,
    })
}

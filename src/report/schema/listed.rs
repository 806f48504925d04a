//! The schemas of live resources that a plan lists and does not change.

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
        "description": "Live resources that are not in the manifest; listed with --prune.",
    })
}

pub(super) fn orphans() -> Value {
    json!({
        "type": "object",
        "description": "Resources that have the ownership tag and are not in the manifest; absent if there are none, \
             and with --prune, which lists everything. AWS updates the list with a delay.",
        "properties": {
            "resources": {
                "type": "array",
                "items": named(),
                "description": "Names, or the ID of a KMS key. Another manifest with the same ownership tag may have \
                     the resource.",
            },
            "looked_at": {
                "type": "integer",
                "description": "How many resources with the tag were checked, if there are more.",
            },
            "unknown": { "$ref": "#/$defs/gap", "description": "Why they, or some of them, are unknown." },
        },
    })
}

pub(super) fn gates() -> Value {
    json!({
        "type": "array",
        "description": "Whether AWS enforces the gate of each profile: whether its role is for the broker only, and the \
             broker's role for its compute service only. Absent if the manifest names no role for any profile.",
        "items": {
            "type": "object",
            "properties": {
                "profile": { "type": "string" },
                "gate": {
                    "enum": ["enforced", "pending", "advisory", "unknown"],
                    "description": "pending: enforced once the manifest is applied.",
                },
                "why": {
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Why it is advisory or unknown.",
                },
            },
            "required": ["profile", "gate"],
        },
    })
}

/// Returns the schema of the sums over several targets.
pub(super) fn total() -> Value {
    let count = |text: &str| json!({ "type": "integer", "minimum": 0, "description": text });
    json!({
        "type": "object",
        "description": "The sums over all targets.",
        "properties": {
            "targets": count("How many targets there are."),
            "in_sync": count("The targets that are in sync."),
            "differ": count("The targets that differ."),
            "incomplete": count("The targets that could not be read completely."),
            "failed": count("The targets that failed."),
            "unfinished": count("Those that were not read in the time that --timeout gives."),
            "resources": count("The resources of the targets that were read."),
            "resources_in_sync": count("The targets that are in sync."),
        },
        "required": ["targets", "in_sync", "differ", "incomplete", "failed", "resources", "resources_in_sync"],
        "additionalProperties": false,
    })
}

pub(super) fn scope() -> Value {
    json!({
        "type": "object",
        "description": "The scope of the run.",
        "properties": {
            "intent": { "enum": ["converge", "create_only"], "description": "converge: apply; create_only: init." },
            "prune": { "type": "boolean" },
            "adopt": { "type": "boolean" },
            "only": { "type": "array", "items": { "type": "string" } },
            "exclude": { "type": "array", "items": { "type": "string" } },
            "allow": { "type": "array", "items": { "$ref": "#/$defs/consent" } },
            "ownership": { "type": "string", "description": "The key of the ownership tag." },
        },
        "required": ["intent", "prune", "adopt", "only", "exclude", "allow"],
    })
}

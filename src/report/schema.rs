//! The JSON Schema of the documents of `plan` and `show`. Each kind defines its own part.

mod fail_on;
mod listed;

use serde_json::{Map, Value, json};

use crate::change::Consent;
use crate::kind::KindId;

/// A definition: its name, and the function that returns its schema.
type Own = (&'static str, fn() -> Value);

/// The definitions that all kinds share.
const OWN: &[Own] = &[
    ("place", place),
    ("address", address),
    ("value", value),
    ("consent", consent),
    ("change", change),
    ("gap", gap),
    ("step", step),
    ("fingerprint", fingerprint),
    ("meaning", meaning),
    ("case", case),
    ("finding", finding),
    ("resource", resource),
    ("attention", attention),
    ("plan", one_plan),
    ("total", listed::total),
    ("fault", fault),
    ("error", error),
    ("check", fail_on::check),
];

/// Returns the schema of a plan.
pub fn plan() -> Value {
    let own = OWN.iter().map(|(name, schema)| (*name, schema()));
    let kinds = KindId::ALL.iter().flat_map(|kind| kind.schema().plan.definitions);
    let definitions: Map<String, Value> = own.chain(kinds).map(|(name, value)| (name.to_owned(), value)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sentinel plan",
        "description": "The output of sentinel plan and sentinel show with --json. A reader must accept unknown \
             fields.",
        "type": "object",
        "properties": {
            "format_version": {
                "const": 1,
                "description": "Changes with incompatible changes; within a version, fields are only added.",
            },
            "command": { "type": "string" },
            "fail_on": fail_on::fail_on(),
        },
        "required": ["format_version", "command"],
        "oneOf": [
            { "$ref": "#/$defs/plan" },
            {
                "type": "object",
                "description": "One entry for each target of the manifest.",
                "properties": {
                    "targets": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": { "name": { "type": "string" }, "index": { "type": "integer", "minimum": 0 } },
                            "required": ["name"],
                            "oneOf": [{ "$ref": "#/$defs/plan" }, { "$ref": "#/$defs/error" }],
                        },
                    },
                    "total": { "$ref": "#/$defs/total" },
                    "shard": { "type": "string", "description": "The shard of the targets: 3/16." },
                },
                "required": ["targets"],
            },
            { "$ref": "#/$defs/error" },
        ],
        "$defs": definitions,
    })
}

fn place() -> Value {
    json!({
        "type": "object",
        "description": "A location in a file.",
        "properties": {
            "path": { "type": "string", "description": "The file, as on the command line." },
            "line": { "type": "integer", "minimum": 1, "description": "The line, from 1." },
        },
        "required": ["path", "line"],
    })
}

fn address() -> Value {
    let sections: Vec<&str> = KindId::ALL.iter().map(|kind| kind.section()).collect();
    let pattern = format!("^({})\\.", sections.join("|"));
    json!({
        "type": "string",
        "pattern": pattern,
        "description": "A resource's address in the manifest: profiles.dev, tables.approvals, topics.alerts.",
    })
}

fn value() -> Value {
    json!({
        "description": "One side of a difference.",
        "oneOf": [
            { "type": "object", "properties": { "kind": { "const": "absent" } }, "required": ["kind"] },
            {
                "type": "object",
                "properties": { "kind": { "enum": ["words", "document"] }, "value": { "type": "string" } },
                "required": ["kind", "value"],
            },
        ],
    })
}

fn consent() -> Value {
    let words: Vec<&str> = Consent::ALL.iter().copied().map(Consent::word).collect();
    json!({ "enum": words, "description": "What may be lost, as a value of --allow-destructive." })
}

fn change() -> Value {
    json!({
        "type": "object",
        "description": "One difference.",
        "properties": {
            "path": { "type": "string", "description": "Where in the resource: ttl, index user-index, content." },
            "live": { "$ref": "#/$defs/value" },
            "desired": { "$ref": "#/$defs/value" },
            "takes": {
                "enum": ["in_place", "replacement", "deletion", "new_resource", "not_possible", "time"],
                "description": "How Sentinel changes it. new_resource and not_possible are never done.",
            },
            "how": { "type": "string", "description": "How, in a few words." },
            "needs": { "$ref": "#/$defs/consent" },
            "diff": { "type": "string", "description": "The unified diff of a document, live against desired." },
        },
        "required": ["path", "live", "desired", "takes", "how"],
    })
}

fn gap() -> Value {
    json!({
        "type": "object",
        "description": "Something that could not be read.",
        "properties": {
            "path": { "type": "string", "description": "The field; left out when it is the whole resource." },
            "action": { "type": "string", "description": "The IAM action that reads it." },
            "denied": {
                "type": "boolean",
                "description": "Whether the permission is missing; otherwise the call failed for another reason.",
            },
            "message": { "type": "string", "description": "What AWS said." },
        },
        "required": ["action", "denied", "message"],
    })
}

fn step() -> Value {
    let names: Vec<&str> = KindId::ALL.iter().flat_map(|kind| kind.schema().plan.steps).collect();
    json!({
        "type": "object",
        "description": "One AWS call that writes, or one wait. Its other fields belong to its kind.",
        "properties": {
            "step": { "enum": names },
            "name": { "type": "string", "description": "The resource's name in AWS." },
        },
        "required": ["step", "name"],
        "additionalProperties": true,
    })
}

fn fingerprint() -> Value {
    json!({
        "type": "object",
        "description": "The state on which the plan is based: if it has changed, a saved plan is stale.",
        "properties": {
            "state": { "enum": ["absent", "unknown", "present"] },
            "fields": { "type": "object", "additionalProperties": { "type": "string" } },
        },
        "required": ["state"],
    })
}

fn meaning() -> Value {
    json!({
        "type": "object",
        "description": "How a policy change affects access.",
        "properties": {
            "direction": {
                "enum": ["opens", "closes", "moves", "same"],
                "description": "opens: more access; closes: less access; moves: other access; same: no change.",
            },
            "words": { "type": "string", "description": "Such as: bob loses prod." },
        },
        "required": ["direction", "words"],
    })
}

fn case() -> Value {
    json!({
        "type": "object",
        "description": "A test case of a policy whose result changes, or that fails.",
        "properties": {
            "name": { "type": "string" },
            "path": { "type": "string" },
            "line": { "type": "integer" },
            "before": {
                "type": "string",
                "description": "The result with the live policy; absent if there is none.",
            },
            "after": { "type": "string", "description": "The result with the desired policy." },
            "expected": { "type": "string" },
            "passes": { "type": "boolean" },
        },
        "required": ["name", "path", "line", "after", "expected", "passes"],
    })
}

fn finding() -> Value {
    json!({
        "type": "object",
        "description": "What a lint found in the desired policy.",
        "properties": {
            "code": {
                "type": "string",
                "pattern": "^L[0-9]{3}$",
                "description": "Stable; sentinel explain CODE says more.",
            },
            "path": { "type": "string" },
            "line": { "type": "integer" },
            "message": { "type": "string" },
            "help": { "type": "string" },
        },
        "required": ["code", "path", "line", "message", "help"],
    })
}

fn resource() -> Value {
    let layouts = KindId::ALL.iter().filter_map(|kind| kind.schema().plan.layout);
    let layouts: Vec<Value> = layouts.map(|name| json!({ "$ref": format!("#/$defs/{name}") })).collect();
    let layout = json!({ "description": "Its initial settings, for the kinds that show them.", "anyOf": layouts });
    json!({
        "type": "object",
        "description": "One resource's part of a plan.",
        "properties": {
            "address": { "$ref": "#/$defs/address" },
            "name": { "type": "string", "description": "The name in AWS." },
            "label": { "type": "string", "description": "The display name." },
            "origin": {
                "type": "string",
                "description": "Where its content comes from: default-deny, or the path of a policy.",
            },
            "presence": {
                "enum": ["absent", "removed"],
                "description": "Absent if the resource should exist. absent: it is pruned; removed: the manifest has \
                     removed = true.",
            },
            "action": {
                "enum": ["create", "finish", "unchanged", "update", "delete", "drift", "refused", "unknown"],
                "description": "What the plan does. finish: it is being created, and the remaining steps follow. \
                     drift: it differs and is not changed. refused: the change is not possible or not allowed. \
                     unknown: it could not be read.",
            },
            "if_absent": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "With action unknown: what would be done if it does not exist.",
            },
            "live": {
                "type": "object",
                "description": "Live values that are shown and never compared.",
                "properties": {
                    "arn": { "type": "string" },
                    "id": { "type": "string", "description": "The ID that AWS gave a table." },
                    "version": { "type": "integer" },
                    "modified": { "type": "integer", "description": "Seconds since 1970." },
                    "author": {
                        "type": "string",
                        "description": "The ARN of who last changed a parameter, if AWS was asked for more than its value.",
                    },
                    "status": { "type": "string", "description": "Of the kinds that have one, in AWS's words." },
                    "changing": { "type": "string", "description": "What AWS is still changing, although the status \
                         does not show it." },
                    "empty": {
                        "const": true,
                        "description": "Whether AWS counts no items in a table, which it updates about every six \
                             hours; absent if it counts some.",
                    },
                    "also": {
                        "type": "array",
                        "items": { "type": "string" },
                        "description": "Live settings that no manifest can set.",
                    },
                    "owned": { "type": "boolean" },
                    "owner": { "type": "string" },
                },
            },
            "changes": { "type": "array", "items": { "$ref": "#/$defs/change" } },
            "unknown": {
                "type": "array",
                "items": { "$ref": "#/$defs/gap" },
                "description": "What could not be read.",
            },
            "layout": layout,
            "needs": {
                "type": "array",
                "items": { "$ref": "#/$defs/consent" },
                "description": "The consent that the change needs.",
            },
            "depends_on": {
                "type": "array",
                "items": { "$ref": "#/$defs/address" },
                "description": "The resources that it refers to, which are applied before it.",
            },
            "unusable": {
                "type": "string",
                "description": "Why it cannot be used; its dependents are skipped.",
            },
            "steps": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "The steps, in order.",
            },
            "withheld": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "The steps that need consent.",
            },
            "fingerprint": { "$ref": "#/$defs/fingerprint" },
            "source": { "$ref": "#/$defs/place", "description": "The location in the manifest." },
            "means": { "type": "array", "items": { "$ref": "#/$defs/meaning" } },
            "cases": { "type": "array", "items": { "$ref": "#/$defs/case" } },
            "findings": { "type": "array", "items": { "$ref": "#/$defs/finding" } },
        },
        "required": ["address", "name", "label", "action", "live", "changes", "unknown", "steps", "fingerprint"],
    })
}

fn attention() -> Value {
    json!({
        "type": "object",
        "description": "What needs attention, most important first.",
        "properties": {
            "what": { "enum": ["refused", "destructive", "unknown", "dependency", "case fails", "unusual"] },
            "address": { "oneOf": [{ "$ref": "#/$defs/address" }, { "type": "null" }] },
            "message": { "type": "string" },
            "source": { "oneOf": [{ "$ref": "#/$defs/place" }, { "type": "null" }] },
        },
        "required": ["what", "address", "message", "source"],
    })
}

fn one_plan() -> Value {
    json!({
        "type": "object",
        "description": "The plan of one target.",
        "properties": {
            "target": target(),
            "scope": listed::scope(),
            "resources": { "type": "array", "items": { "$ref": "#/$defs/resource" } },
            "unmanaged": listed::unmanaged(),
            "unlisted": { "type": "array", "items": { "$ref": "#/$defs/gap" } },
            "orphans": listed::orphans(), "gates": listed::gates(),
            "attention": { "type": "array", "items": { "$ref": "#/$defs/attention" } },
            "estimate": {
                "type": "object",
                "description": "The estimate for an apply; without a time on the AWS emulator.",
                "properties": {
                    "calls": { "type": "integer", "description": "About how many AWS calls an apply makes." },
                    "seconds_at_least": { "type": "integer" },
                    "seconds_at_most": { "type": "integer" },
                },
                "required": ["calls", "seconds_at_least", "seconds_at_most"],
            },
            "summary": {
                "type": "object",
                "description": "The number of resources by result.",
                "properties": {
                    "create": { "type": "integer" },
                    "change": { "type": "integer" },
                    "delete": { "type": "integer" },
                    "unchanged": { "type": "integer" },
                    "drifted": { "type": "integer" },
                    "refused": { "type": "integer" },
                    "unknown": { "type": "integer" },
                },
                "required": ["create", "change", "delete", "unchanged", "drifted", "refused", "unknown"],
            },
            "has_changes": {
                "type": "boolean",
                "description": "Whether the live state differs from the desired state, as far as known.",
            },
            "needs_force": {
                "type": "boolean",
                "description": "Whether apply requires --force because of the number of changes.",
            },
        },
        "required": [
            "target",
            "scope",
            "resources",
            "attention",
            "estimate",
            "summary",
            "has_changes",
            "needs_force",
        ],
    })
}

fn target() -> Value {
    json!({
        "type": "object",
        "description": "The destination of the run.",
        "properties": {
            "name": { "type": "string", "description": "Its name in the manifest, if there are several." },
            "region": { "type": "string" },
            "region_source": { "type": "string", "description": "The source of the region." },
            "policy_root": { "type": "string" },
            "caller": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": { "account": { "type": "string" }, "arn": { "type": "string" } },
                        "required": ["account", "arn"],
                    },
                    { "type": "null" },
                ],
            },
            "local": {
                "type": "string",
                "description": "The folder of the AWS emulator, if the run uses it.",
            },
        },
        "required": ["region", "region_source", "policy_root", "caller"],
    })
}

fn fault() -> Value {
    json!({
        "type": "object",
        "properties": {
            "path": { "type": "string" },
            "line": { "type": "integer" },
            "message": { "type": "string" },
            "help": { "type": ["string", "null"] },
        },
        "required": ["path", "line", "message"],
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Why the plan failed.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "code": {
                        "type": "string",
                        "pattern": "^E[0-9]{3}$",
                        "description": "Stable; sentinel explain CODE says more.",
                    },
                    "message": { "type": "string" },
                    "help": { "type": ["string", "null"], "description": "What to do next." },
                    "hint": {
                        "type": ["string", "null"],
                        "description": "The same as help, under its older name.",
                    },
                    "causes": {
                        "type": "array",
                        "items": { "type": "string" },
                        "description": "The causes of the error that are not in the message, nearest first.",
                    },
                    "faults": { "type": "array", "items": { "$ref": "#/$defs/fault" } },
                },
                "required": ["message", "hint", "faults"],
            },
        },
        "required": ["error"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_definition_is_made_once() {
        let kinds = KindId::ALL.iter().flat_map(|kind| kind.schema().plan.definitions);
        let names: Vec<&str> = OWN.iter().map(|(name, _)| *name).chain(kinds.map(|(name, _)| name)).collect();
        assert_eq!(plan()["$defs"].as_object().unwrap().len(), names.len(), "{names:?}");
    }
}

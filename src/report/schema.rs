//! The JSON Schema of what `plan` and `show` print with `--json`. What belongs to a kind comes from the kind.

mod listed;

use serde_json::{Map, Value, json};

use crate::change::Consent;
use crate::kind::KindId;

/// A definition: its name, and what makes its schema.
type Own = (&'static str, fn() -> Value);

/// What is defined for all kinds.
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
];

/// Returns the schema of a plan.
pub fn plan() -> Value {
    let own = OWN.iter().map(|(name, schema)| (*name, schema()));
    let kinds = KindId::ALL.iter().flat_map(|kind| kind.schema().plan.definitions);
    let definitions: Map<String, Value> = own.chain(kinds).map(|(name, value)| (name.to_owned(), value)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sentinel plan",
        "description": "What sentinel plan and sentinel show print with --json. A reader must take fields it does \
         not know.",
        "type": "object",
        "properties": {
            "format_version": {
                "const": 1,
                "description": "Changes when a reader could break; fields are only ever added within a version.",
            },
            "command": { "type": "string" },
        },
        "required": ["format_version", "command"],
        "oneOf": [
            { "$ref": "#/$defs/plan" },
            {
                "type": "object",
                "description": "One part for each target of the manifest.",
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
                    "shard": { "type": "string", "description": "The part of the targets that it is about: 3/16." },
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
        "description": "A place in a file.",
        "properties": {
            "path": { "type": "string", "description": "The file, as the user would type it." },
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
        "description": "A resource's place in the manifest: profiles.dev, tables.approvals, topics.alerts.",
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
    json!({ "enum": words, "description": "What may be lost, in the words of --allow-destructive." })
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
                "description": "What closing it takes. new_resource and not_possible are never done.",
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
                "description": "Whether the permission is missing; otherwise the call failed in another way.",
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
        "description": "What the plan was made on: if this has changed, a saved plan no longer holds.",
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
        "description": "What a change of a policy means for who gets in.",
        "properties": {
            "direction": {
                "enum": ["opens", "closes", "moves", "same"],
                "description": "opens: someone gets in who did not, or more easily; closes: the other way; moves: \
                 neither; same: nobody notices.",
            },
            "words": { "type": "string", "description": "Such as: bob loses prod." },
        },
        "required": ["direction", "words"],
    })
}

fn case() -> Value {
    json!({
        "type": "object",
        "description": "A case of a policy that comes out otherwise than before, or not as it expects.",
        "properties": {
            "name": { "type": "string" },
            "path": { "type": "string" },
            "line": { "type": "integer" },
            "before": {
                "type": "string",
                "description": "What the live policy says; left out where there is none.",
            },
            "after": { "type": "string", "description": "What the desired policy says." },
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
    let layout = json!({ "description": "What it is created with, of the kinds that show it.", "anyOf": layouts });
    json!({
        "type": "object",
        "description": "One resource's part of a plan.",
        "properties": {
            "address": { "$ref": "#/$defs/address" },
            "name": { "type": "string", "description": "The name in AWS." },
            "label": { "type": "string", "description": "What people call it." },
            "origin": {
                "type": "string",
                "description": "Where its content comes from: default-deny, or the path of a policy.",
            },
            "presence": {
                "enum": ["absent", "removed"],
                "description": "Left out where it should be there. absent: it is pruned; removed: the manifest says removed = true.",
            },
            "action": {
                "enum": ["create", "finish", "unchanged", "update", "delete", "drift", "refused", "unknown"],
                "description": "What the plan does about it. finish: it is being created, and what follows is done \
                 then. drift: it differs and is left alone. refused: it differs in a way that is never done, or is \
                 not allowed. unknown: it could not be read.",
            },
            "if_absent": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "With action unknown: what would be done if it is not there.",
            },
            "live": {
                "type": "object",
                "description": "What is shown of the live resource and never compared.",
                "properties": {
                    "arn": { "type": "string" },
                    "id": { "type": "string", "description": "The ID that AWS gave a table." },
                    "version": { "type": "integer" },
                    "modified": { "type": "integer", "description": "Seconds since 1970." },
                    "status": { "type": "string", "description": "Of the kinds that have one, in AWS's words." },
                    "changing": { "type": "string", "description": "What AWS is still changing though the status does not tell." },
                    "empty": {
                        "const": true,
                        "description": "Whether AWS counts no items in a table, which it does about every six \
                         hours; absent where it counts some.",
                    },
                    "also": {
                        "type": "array",
                        "items": { "type": "string" },
                        "description": "What it has that no manifest can set, each in a few words.",
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
                "description": "What has to be allowed before the difference is closed.",
            },
            "depends_on": {
                "type": "array",
                "items": { "$ref": "#/$defs/address" },
                "description": "What it refers to; these are applied before it.",
            },
            "unusable": {
                "type": "string",
                "description": "Why nothing can use it as it is; what refers to it is skipped.",
            },
            "steps": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "What is done, in this order.",
            },
            "withheld": {
                "type": "array",
                "items": { "$ref": "#/$defs/step" },
                "description": "What would be done if what it needs were allowed.",
            },
            "fingerprint": { "$ref": "#/$defs/fingerprint" },
            "source": { "$ref": "#/$defs/place", "description": "Where the manifest names it." },
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
        "description": "What must not be missed, the gravest first.",
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
            "scope": scope(),
            "resources": { "type": "array", "items": { "$ref": "#/$defs/resource" } },
            "unmanaged": listed::unmanaged(),
            "unlisted": { "type": "array", "items": { "$ref": "#/$defs/gap" } },
            "orphans": listed::orphans(),
            "attention": { "type": "array", "items": { "$ref": "#/$defs/attention" } },
            "estimate": {
                "type": "object",
                "description": "About what an apply takes; no time on the embedded AWS.",
                "properties": {
                    "calls": { "type": "integer", "description": "About how many AWS calls an apply makes." },
                    "seconds_at_least": { "type": "integer" },
                    "seconds_at_most": { "type": "integer" },
                },
                "required": ["calls", "seconds_at_least", "seconds_at_most"],
            },
            "summary": {
                "type": "object",
                "description": "How many resources come to what.",
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
                "description": "Whether live differs from desired, as far as it is known.",
            },
            "needs_force": {
                "type": "boolean",
                "description": "Whether so much changes that apply wants --force.",
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
        "description": "Where the pass goes.",
        "properties": {
            "name": { "type": "string", "description": "Its name in the manifest, where that has several." },
            "region": { "type": "string" },
            "region_source": { "type": "string", "description": "Where the region was named." },
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
                "description": "The folder of the embedded AWS, when the pass works on that.",
            },
        },
        "required": ["region", "region_source", "policy_root", "caller"],
    })
}

fn scope() -> Value {
    json!({
        "type": "object",
        "description": "How far the pass goes.",
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
        "description": "What kept a plan from being made.",
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
                        "description": "The same as help, which it was called first.",
                    },
                    "causes": {
                        "type": "array",
                        "items": { "type": "string" },
                        "description": "What the error comes from, the nearest first, as far as the message does not \
                         say it.",
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

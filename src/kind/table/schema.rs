//! A table's part of the JSON Schemas.

use serde_json::{Value, json};

use super::saved::step_names;
use super::setting::Setting;
use super::{IndexSettings, Limits, Settings, Warm};
use crate::kind::schema::{PlanSchema, Schema, removed};

/// Returns the schema of `[tables]`, and of a table in a plan.
pub(super) fn schema() -> Schema {
    let mut schema = own();
    for (name, definition) in &mut schema.definitions {
        match *name {
            "table" => add(definition, Settings::schema()),
            "index" => {
                add(definition, Limits::KEYS.iter().copied().zip(Limits::schema()).collect());
                add(definition, Warm::KEYS.iter().copied().zip(Warm::schema()).collect());
                add(definition, IndexSettings::schema().into());
            }
            "replica" => add(definition, Settings::regional_schema()),
            _ => {}
        }
    }
    for (name, definition) in &mut schema.plan.definitions {
        if *name == "table" {
            add(definition, Settings::plan_schema());
        }
    }
    schema
}

/// Adds the settings that are defined in separate files.
fn add(definition: &mut Value, settings: Vec<(&'static str, Value)>) {
    for (key, setting) in settings {
        definition["properties"][key] = setting;
    }
}

fn own() -> Schema {
    Schema {
        what: "DynamoDB tables",
        sections: json!({
            "type": "object",
            "additionalProperties": {
                "$ref": "#/$defs/table",
                "required": ["name"],
                "anyOf": [
                    { "required": ["partition_key"] },
                    { "required": ["removed"], "properties": { "removed": { "const": true } } },
                ],
            },
            "description": "DynamoDB tables, by name. approvals, breakglass and sessions are built in; any other \
             is a custom table.",
            "properties": {
                "approvals": { "$ref": "#/$defs/table" },
                "breakglass": { "$ref": "#/$defs/table" },
                "sessions": { "$ref": "#/$defs/table" },
            },
        }),
        definitions: vec![
            (
                "attribute",
                json!({
                    "type": "object",
                    "description": "A key attribute.",
                    "properties": {
                        "name": {
                            "type": "string",
                            "minLength": 1,
                            "maxLength": 255,
                            "description": "The attribute's name.",
                        },
                        "type": { "enum": ["S", "N", "B"], "description": "S text, N number, B binary." },
                    },
                    "required": ["name", "type"],
                    "additionalProperties": false,
                }),
            ),
            (
                "index",
                json!({
                    "type": "object",
                    "description": "A global secondary index.",
                    "properties": {
                        "partition_key": { "$ref": "#/$defs/key_part" },
                        "sort_key": { "$ref": "#/$defs/key_part" },
                        "projection": { "$ref": "#/$defs/projection" },
                        "read_capacity": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "Read units per second, if different from the table's.",
                        },
                        "write_capacity": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "Write units per second, if different from the table's.",
                        },
                    },
                    "required": ["partition_key"],
                    "dependentRequired": {
                        "read_capacity": ["write_capacity"],
                        "write_capacity": ["read_capacity"],
                    },
                    "additionalProperties": false,
                }),
            ),
            (
                "local_index",
                json!({
                    "type": "object",
                    "description": "A local secondary index, with the partition key of the table. AWS creates it with \
                         the table, and cannot add, change or delete it later.",
                    "properties": {
                        "sort_key": { "$ref": "#/$defs/attribute" },
                        "projection": { "$ref": "#/$defs/projection" },
                    },
                    "required": ["sort_key"],
                    "additionalProperties": false,
                }),
            ),
            (
                "key_part",
                json!({
                    "description": "A part of the key of an index: an attribute, or a list of up to four.",
                    "anyOf": [
                        { "$ref": "#/$defs/attribute" },
                        { "type": "array", "items": { "$ref": "#/$defs/attribute" }, "minItems": 1, "maxItems": 4 },
                    ],
                }),
            ),
            (
                "projection",
                json!({
                    "description": "The attributes of the index in addition to its keys; ALL by default.",
                    "oneOf": [
                        { "enum": ["ALL", "KEYS_ONLY"] },
                        {
                            "type": "object",
                            "properties": {
                                "include": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                            },
                            "required": ["include"],
                            "additionalProperties": false,
                        },
                    ],
                }),
            ),
            (
                "replica",
                json!({
                    "type": "object",
                    "description": "A replica of a table. Omitted settings are not managed.",
                    "properties": {
                        "key": {
                            "description": "The key that encrypts it, by its alias in the replica's region or by its ARN.",
                            "anyOf": [
                                { "type": "string", "pattern": "^alias/(?!aws/)[a-zA-Z0-9/_-]+$", "maxLength": 256 },
                                { "type": "string", "pattern": "^arn:[^:]*:kms:[^:]*:[^:]*:key/" },
                            ],
                        },
                        "tags": { "$ref": "#/$defs/tags" },
                    },
                    "additionalProperties": false,
                }),
            ),
            (
                "table",
                json!({
                    "type": "object",
                    "description": "One DynamoDB table. approvals, breakglass and sessions have a built-in layout, \
                         which these settings extend. Omitted settings are not managed.",
                    "properties": {
                        "name": {
                            "type": "string",
                            "pattern": "^[a-zA-Z0-9_.-]{3,255}$",
                            "description": "The table's name in AWS. The built-in tables have a default; a custom \
                             table needs one.",
                        },
                        "partition_key": { "$ref": "#/$defs/attribute" },
                        "sort_key": { "$ref": "#/$defs/attribute" },
                        "ttl_attribute": {
                            "description": "The attribute with the expiration time of an item, in seconds since 1970; \
                                 false turns TTL off.",
                            "oneOf": [{ "type": "string", "minLength": 1, "maxLength": 255 }, { "const": false }],
                        },
                        "billing_mode": {
                            "enum": ["PAY_PER_REQUEST", "PROVISIONED"],
                            "description": "PROVISIONED is billed by capacity: from read_capacity and write_capacity, \
                                 from autoscaling, or external with capacity = \"external\".",
                        },
                        "capacity": {
                            "const": "external",
                            "description": "Something other than Sentinel sets the capacity, so it is not compared.",
                        },
                        "read_capacity": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "Read units per second of the table and each index.",
                        },
                        "write_capacity": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "Write units per second of the table and each index.",
                        },
                        "encryption": {
                            "description": "The key of a section of keys, aws-owned, aws-managed, or a KMS key by \
                             its alias or ARN.",
                            "anyOf": [
                                {
                                    "type": "object",
                                    "properties": {
                                        "key": { "type": "string", "description": "The name of a section of keys." },
                                    },
                                    "required": ["key"],
                                    "additionalProperties": false,
                                },
                                { "enum": ["aws-owned", "aws-managed"] },
                                {
                                    "type": "string",
                                    "pattern": "^alias/(?!aws/)[a-zA-Z0-9/_-]+$",
                                    "maxLength": 256,
                                },
                                { "type": "string", "pattern": "^arn:[^:]*:kms:[^:]*:[^:]*:key/" },
                            ],
                        },
                        "tags": { "$ref": "#/$defs/tags" },
                        "replicas": {
                            "type": "object",
                            "additionalProperties": { "$ref": "#/$defs/replica" },
                            "propertyNames": { "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$" },
                            "description": "All replicas of the table in other regions, by region; {} for none.",
                        },
                        "consistency": {
                            "enum": ["EVENTUAL", "STRONG"],
                            "description": "The consistency between regions, set with the first replica. STRONG \
                                 requires three regions: two replicas, or one and a witness.",
                        },
                        "witness": {
                            "type": "string",
                            "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$",
                            "description": "The region of a witness, which has no table.",
                        },
                "removed": removed(),
                        "indexes": {
                            "type": "object",
                            "additionalProperties": { "$ref": "#/$defs/index" },
                            "propertyNames": { "pattern": "^[a-zA-Z0-9_.-]{3,255}$" },
                            "description": "Global secondary indexes by name; those of a built-in table are added to \
                             its layout.",
                        },
                        "local_indexes": {
                            "type": "object",
                            "additionalProperties": { "$ref": "#/$defs/local_index" },
                            "propertyNames": { "pattern": "^[a-zA-Z0-9_.-]{3,255}$" },
                            "maxProperties": 5,
                            "description": "Local secondary indexes by name, of a table with a sort key.",
                        },
                    },
                    "additionalProperties": false,
                    "if": {
                        "properties": { "billing_mode": { "const": "PROVISIONED" } },
                        "required": ["billing_mode"],
                    },
                    "then": {
                        "dependentRequired": {
                            "read_capacity": ["write_capacity"],
                            "write_capacity": ["read_capacity"],
                        },
                    },
                    "else": { "properties": { "capacity": false, "read_capacity": false, "write_capacity": false } },
                }),
            ),
        ],
        plan: plan(),
    }
}

fn plan() -> PlanSchema {
    PlanSchema {
        steps: step_names().collect(),
        layout: Some("table"),
        definitions: vec![
            (
                "attribute",
                json!({
                    "type": "object",
                    "description": "A key attribute.",
                    "properties": { "name": { "type": "string" }, "type": { "enum": ["S", "N", "B"] } },
                    "required": ["name", "type"],
                }),
            ),
            (
                "key",
                json!({
                    "type": "object",
                    "description": "The key of a table.",
                    "properties": {
                        "partition_key": { "$ref": "#/$defs/attribute" },
                        "sort_key": { "$ref": "#/$defs/attribute" },
                    },
                    "required": ["partition_key"],
                }),
            ),
            (
                "capacity",
                json!({
                    "type": "object",
                    "description": "Capacity units per second.",
                    "properties": { "read": { "type": "integer" }, "write": { "type": "integer" } },
                    "required": ["read", "write"],
                }),
            ),
            (
                "projection",
                json!({
                    "description": "The attributes of an index in addition to its keys.",
                    "oneOf": [
                        { "enum": ["all", "keys_only"] },
                        {
                            "type": "object",
                            "properties": { "include": { "type": "array", "items": { "type": "string" } } },
                            "required": ["include"],
                        },
                    ],
                }),
            ),
            (
                "index",
                json!({
                    "type": "object",
                    "description": "A global secondary index.",
                    "properties": {
                        "partition_key": { "$ref": "#/$defs/key_part" },
                        "sort_key": { "$ref": "#/$defs/key_part" },
                        "projection": { "$ref": "#/$defs/projection" },
                        "capacity": { "$ref": "#/$defs/capacity" },
                        "limits": Limits::plan_schema(),
                        "warm": Warm::plan_schema(),
                    },
                    "required": ["partition_key", "projection"],
                }),
            ),
            (
                "key_part",
                json!({
                    "description": "A part of the key of an index: an attribute, or several.",
                    "anyOf": [
                        { "$ref": "#/$defs/attribute" },
                        { "type": "array", "items": { "$ref": "#/$defs/attribute" } },
                    ],
                }),
            ),
            (
                "local_index",
                json!({
                    "type": "object",
                    "description": "A local secondary index, with the partition key of the table.",
                    "properties": {
                        "sort_key": { "$ref": "#/$defs/attribute" },
                        "projection": { "$ref": "#/$defs/projection" },
                    },
                    "required": ["sort_key", "projection"],
                }),
            ),
            (
                "table",
                json!({
                    "type": "object",
                    "description": "The state of a table; omitted settings are not managed.",
                    "properties": {
                        "key": { "$ref": "#/$defs/key" },
                        "indexes": { "type": "object", "additionalProperties": { "$ref": "#/$defs/index" } },
                        "local_indexes": { "type": "object", "additionalProperties": { "$ref": "#/$defs/local_index" } },
                        "ttl": {
                            "description": "Time to live.",
                            "oneOf": [
                                { "enum": ["disabled", "disabling"] },
                                {
                                    "type": "object",
                                    "properties": { "enabled": { "type": "string" } },
                                    "required": ["enabled"],
                                },
                            ],
                        },
                        "billing": {
                            "oneOf": [
                                { "enum": ["pay_per_request", "external"] },
                                {
                                    "type": "object",
                                    "properties": { "provisioned": { "$ref": "#/$defs/capacity" } },
                                    "required": ["provisioned"],
                                },
                            ],
                        },
                        "encryption": {
                            "oneOf": [
                                { "enum": ["aws_owned", "aws_managed"] },
                                {
                                    "type": "object",
                                    "properties": { "kms": { "type": "string" } },
                                    "required": ["kms"],
                                },
                                {
                                    "type": "object",
                                    "properties": {
                                        "alias": {
                                            "type": "string",
                                            "description": "The key that this alias leads to.",
                                        },
                                    },
                                    "required": ["alias"],
                                },
                            ],
                        },
                        "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                        "replicas": {
                            "type": "object",
                            "description": "The replicas in other regions.",
                            "properties": {
                                "consistency": { "enum": ["eventual", "strong"] },
                                "witness": { "type": "string" },
                                "regions": {
                                    "type": "object",
                                    "description": "The settings of each replica, by region.",
                                    "additionalProperties": { "$ref": "#/$defs/table" },
                                },
                            },
                            "required": ["regions"],
                        },
                    },
                }),
            ),
        ],
    }
}

//! A role's part of the JSON Schemas.

use serde_json::{Value, json};

use super::manifest::Permissions;
use super::rules::SESSION;
use crate::kind::schema::{PlanSchema, Schema, removed};

/// Returns the schema of `[roles]`, and of a role in a plan.
pub(super) fn schema() -> Schema {
    Schema {
        what: "IAM roles",
        sections: json!({
            "type": "object",
            "additionalProperties": { "$ref": "#/$defs/role" },
            // A key that is no valid IAM name requires a name.
            "allOf": [{
                "patternProperties": { "^(?![A-Za-z0-9_+=,.@-]{1,64}$)": { "required": ["name"] } },
            }],
            "description": "IAM roles by name.",
        }),
        definitions: vec![("trusted_by", trusted_by()), ("managed_policy", managed_policy()), ("role", role())],
        plan: plan(),
    }
}

fn managed_policy() -> Value {
    json!({
        "type": "string",
        "pattern": "^arn:(aws[a-z-]*|\\$\\{sentinel:partition\\}):iam::(aws|[0-9]{12}|\\$\\{sentinel:account\\}):policy/.+$",
        "description": "The ARN of a managed policy.",
    })
}

fn trusted_by() -> Value {
    let account = json!({ "type": "string", "pattern": "^([0-9]{12}|\\$\\{sentinel:account\\})$" });
    json!({
        "type": "object",
        "description": "Who may assume the role: only the broker; accounts, users and roles; or jobs of GitHub Actions.",
        "oneOf": [
            {
                "properties": { "broker": { "const": true, "description": "The role that has permissions = \"broker\"." } },
                "required": ["broker"],
                "additionalProperties": false,
            },
            {
                "properties": {
                    "accounts": { "type": "array", "items": account, "description": "Whole accounts: their IAM policies decide." },
                    "principals": {
                        "type": "array",
                        "items": { "type": "string", "pattern": "^arn:" },
                        "description": "The ARNs of users and roles.",
                    },
                    "external_id": {
                        "type": "string",
                        "minLength": 2,
                        "maxLength": 1224,
                        "description": "The external ID that they must specify.",
                    },
                    "mfa": { "type": "boolean", "description": "Whether they need multi-factor authentication." },
                },
                "anyOf": [
                    { "required": ["accounts"], "properties": { "accounts": { "minItems": 1 } } },
                    { "required": ["principals"], "properties": { "principals": { "minItems": 1 } } },
                ],
                "additionalProperties": false,
            },
            {
                "properties": {
                    "github": {
                        "type": "object",
                        "description": "Jobs of a repository, by an environment or a branch. The account needs the OpenID Connect \
                         provider token.actions.githubusercontent.com.",
                        "properties": {
                            "repository": { "type": "string", "pattern": "^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$" },
                            "environment": { "type": "string", "minLength": 1, "maxLength": 255 },
                            "branch": { "type": "string", "minLength": 1, "maxLength": 255 },
                        },
                        "required": ["repository"],
                        "oneOf": [{ "required": ["environment"] }, { "required": ["branch"] }],
                        "additionalProperties": false,
                    },
                },
                "required": ["github"],
                "additionalProperties": false,
            },
        ],
    })
}

fn role() -> Value {
    json!({
        "type": "object",
        "description": "One IAM role. Omitted settings are not managed.",
        "properties": {
            "name": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_+=,.@-]+$",
                "maxLength": 64,
                "description": "The name in AWS; by default the section's name.",
            },
            "path": {
                "type": "string",
                "pattern": "^/(?!aws-service-role/|aws-reserved/)([!-~]+/)?$",
                "maxLength": 512,
                "description": "The path, which is part of the ARN; / by default. Set when the role is created.",
            },
            "description": { "type": "string", "maxLength": 1000, "description": "The purpose of the role." },
            "max_session_duration": {
                "type": "integer",
                "minimum": SESSION.start(),
                "maximum": SESSION.end(),
                "description": "The maximum session duration in seconds.",
            },
            "permissions_boundary": {
                "description": "The managed policy that is the permissions boundary, or false for none.",
                "oneOf": [{ "const": false }, { "$ref": "#/$defs/managed_policy" }],
            },
            "trust": { "type": "string", "description": "The file with the trust policy, in JSON." },
            "trusted_by": { "$ref": "#/$defs/trusted_by" },
            "managed_policies": {
                "type": "array",
                "items": { "$ref": "#/$defs/managed_policy" },
                "uniqueItems": true,
                "maxItems": 25,
                "description": "The attached managed policies. If set, the list is complete.",
            },
            "policies": {
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z0-9_+=,.@-]{1,128}$" },
                "additionalProperties": { "type": "string" },
                "description": "The inline policies: the path of a JSON file for each. If set, the list is complete, together with those \
                     of permissions.",
            },
            "permissions": {
                "enum": Permissions::names(),
                "description": "The use of this manifest by the role: an inline policy named sentinel is derived, as printed by sentinel \
                     iam.",
            },
            "tags": { "$ref": "#/$defs/tags" },
            "removed": removed(),
        },
        "if": { "properties": { "removed": { "const": true } }, "required": ["removed"] },
        "else": { "oneOf": [{ "required": ["trust"] }, { "required": ["trusted_by"] }] },
        "not": { "required": ["trust", "trusted_by"] },
        "additionalProperties": false,
    })
}

fn plan() -> PlanSchema {
    PlanSchema {
        steps: vec![
            "create_role",
            "update_role",
            "put_role_trust",
            "put_role_boundary",
            "delete_role_boundary",
            "attach_role_policy",
            "detach_role_policy",
            "put_role_policy",
            "delete_role_policy",
            "tag_role",
            "untag_role",
            "await_role",
            "check_role_owner",
            "delete_role",
        ],
        layout: Some("role"),
        definitions: vec![("role", planned())],
    }
}

fn planned() -> Value {
    let document = || json!({ "type": "object", "description": "As normalized JSON.", "additionalProperties": true });
    json!({
        "type": "object",
        "description": "The state of a role; omitted settings are not managed. ${sentinel:account} and ${sentinel:partition} are \
             replaced by those of its account.",
        "properties": {
            "path": { "type": "string" },
            "description": { "type": "string" },
            "max_session_duration": { "type": "integer" },
            "permissions_boundary": {
                "oneOf": [
                    { "enum": ["off"] },
                    { "type": "object", "properties": { "policy": { "type": "string" } }, "required": ["policy"] },
                ],
            },
            "trust": document(),
            "managed_policies": { "type": "array", "items": { "type": "string" } },
            "policies": { "type": "object", "description": "By name.", "additionalProperties": document() },
            "tags": { "type": "object", "additionalProperties": { "type": "string" } },
        },
    })
}

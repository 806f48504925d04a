//! The JSON Schema of a manifest. Each kind supplies the schema of its sections.

use serde_json::{Map, Value, json};

use crate::kind::KindId;
use crate::resource::record_key::Role;

/// Returns the schema of `sentinel.toml`.
pub fn schema() -> Value {
    let kinds: Vec<_> = KindId::ALL.iter().map(|kind| (kind.section(), kind.schema())).collect();
    let what: Vec<&str> = kinds.iter().map(|(_, kind)| kind.what).collect();
    let mut properties = vec![("include", include()), ("aws", aws()), ("targets", targets()), ("policies", policies())];
    let mut definitions = vec![("localUser", local_user()), ("tags", tags()), ("target", target())];
    for (section, kind) in kinds {
        properties.push((section, kind.sections));
        definitions.extend(kind.definitions);
    }
    for kind in KindId::ALL {
        let sections = properties.iter().find(|(section, _)| *section == kind.section());
        let definition = sections.and_then(|(_, schema)| schema["additionalProperties"]["$ref"].as_str());
        let definition = definition.and_then(|path| path.strip_prefix("#/$defs/")).map(str::to_owned);
        let found = definitions.iter_mut().find(|(name, _)| definition.as_deref() == Some(*name));
        if let Some((_, definition)) = found {
            with_placeholders(*kind, definition);
        }
    }
    properties.push(("broker", broker()));
    properties.push(("local", local()));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sentinel.toml",
        "description": format!("What should exist in AWS: {}.", listed(&what)),
        "type": "object",
        "additionalProperties": false,
        "properties": object(properties),
        "$defs": object(definitions),
    })
}

/// A text with a placeholder for a value that differs by target.
const PLACEHOLDER: &str = "\\{(account|region|target)\\}";

/// Allows texts with placeholders for settings of a kind that are restricted by a pattern or a length.
fn with_placeholders(kind: KindId, definition: &mut Value) {
    let settings = definition["properties"].as_object_mut().into_iter().flatten();
    for (_, setting) in settings.filter(|(name, _)| !(kind.about().is_free_text)(name)) {
        if setting["pattern"].is_string() || setting["maxLength"].is_u64() {
            let filled = json!({ "type": "string", "pattern": PLACEHOLDER });
            let description = setting["description"].take();
            let mut own = setting.take();
            own.as_object_mut().map(|own| own.remove("description"));
            *setting = json!({ "description": description, "anyOf": [own, filled] });
            continue;
        }
        // One of several forms of a text.
        for list in ["anyOf", "oneOf"] {
            let Some(forms) = setting[list].as_array() else { continue };
            if !forms.iter().any(|form| form["pattern"].is_string()) {
                continue;
            }
            let mut forms = forms.clone();
            forms.push(json!({ "type": "string", "pattern": PLACEHOLDER }));
            // A text can match both forms.
            setting.as_object_mut().map(|setting| setting.remove(list));
            setting["anyOf"] = forms.into();
        }
    }
}

/// Returns `A, B, and C`.
fn listed(parts: &[&str]) -> String {
    match parts {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [parts @ .., last] => format!("{}, and {last}", parts.join(", ")),
    }
}

fn object(members: Vec<(&str, Value)>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn aws() -> Value {
    json!({
        "type": "object",
        "description": "The default region, credentials and tags; every key is optional.",
        "properties": {
            "region": {
                "type": "string",
                "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$",
                "description": "The AWS region; overridden by --region.",
            },
            "profile": {
                "type": "string",
                "description": "The AWS credentials profile; overridden by --aws-profile.",
            },
            "account_id": {
                "type": "string",
                "pattern": "^[0-9]{12}$",
                "description": "Refuse to run against any other account.",
            },
            "tags": { "$ref": "#/$defs/tags", "description": "Tags for all new resources." },
            "ownership_tag": {
                "description": "The key of the tag that marks the resources that Sentinel created (default \
                     managed-by), or false for none.",
                "oneOf": [{ "type": "string", "minLength": 1, "maxLength": 128 }, { "const": false }],
            },
        },
        "additionalProperties": false,
    })
}

fn include() -> Value {
    json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "Other files of this manifest, such as teams/*.toml: paths relative to the manifest and inside its folder. All \
         paths in them start at the manifest's folder too.",
    })
}

fn targets() -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "$ref": "#/$defs/target" },
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]+$" },
        "description": "The accounts and regions of the manifest, by name; by default the one in [aws] and the \
             options. A section with accounts or regions is expanded to a target NAME/ACCOUNT/REGION for each of \
             them.",
    })
}

fn policies() -> Value {
    json!({
        "type": "object",
        "description": "The location of policies.",
        "properties": {
            "root": {
                "type": "string",
                "pattern": "^/",
                "description": "The path of the policies in Parameter Store (default /sentinel/policies); overridden \
                     by --policy-root.",
            },
        },
        "additionalProperties": false,
    })
}

fn broker() -> Value {
    let patterns = |what: &str| {
        json!({
            "type": "array",
            "items": { "type": "string", "pattern": "^arn:" },
            "uniqueItems": true,
            "description": format!(
                "{what} Each entry is a caller's ARN as STS returns it, such as arn:aws:sts::123456789012:assumed-role/ROLE/*; \
                 * stands for any characters but a colon."
            ),
        })
    };
    json!({
        "type": "object",
        "description": "The broker, the only principal that may assume the roles of the profiles: `sentinel broker`.",
        "properties": {
            "url": {
                "type": "string",
                "pattern": "^https?://",
                "description": "The address of the broker, which the access commands call; overridden by --broker and SENTINEL_BROKER.",
            },
            "accounts": {
                "type": "array",
                "items": { "type": "string", "pattern": "^[0-9]{12}$" },
                "uniqueItems": true,
                "description": "The accounts whose users may send requests; by default the broker's own account.",
            },
            "principals": patterns("The principals of these accounts that may send requests, besides approvers and operators; everyone by default."),
            "approvers": patterns("The principals that may approve, deny and revoke requests; nobody by default."),
            "operators": patterns("The principals that may use break-glass, revoke, and lock users; nobody by default."),
            "roles": {
                "type": "object",
                "additionalProperties": { "type": "string", "pattern": "^arn:[^:]+:iam::[0-9]{12}:role/." },
                "description": "The ARN of the role that the broker assumes, by profile.",
            },
        },
        "additionalProperties": false,
    })
}

fn local() -> Value {
    json!({
        "type": "object",
        "description": "The built-in AWS emulator of --local and `sentinel local serve`. It does not affect AWS.",
        "properties": {
            "users": {
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/localUser" },
                "propertyNames": { "pattern": "^[A-Za-z0-9_+=,.@-]{1,64}$" },
                "description": "Users who have only the permissions of their policies, by name. Every other user \
                 has all permissions.",
            },
        },
        "additionalProperties": false,
    })
}

fn local_user() -> Value {
    let roles: Vec<&str> = Role::ALL.iter().copied().map(Role::word).collect();
    json!({
        "type": "object",
        "description": "A user of the AWS emulator.",
        "properties": {
            "policies": {
                "type": "array",
                "items": { "anyOf": [{ "enum": roles }, { "type": "string", "pattern": "\\.[jJ][sS][oO][nN]$" }] },
                "description": "A role means the policy that `sentinel iam --for ROLE` derives from this manifest. A \
                     path that ends in .json, relative to the manifest and inside its folder, is a policy document.",
            },
        },
        "required": ["policies"],
        "additionalProperties": false,
    })
}

fn tags() -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 256 },
        "propertyNames": { "minLength": 1, "maxLength": 128 },
        "description": "Tags. On a resource they are managed, together with those of [aws], and other tags are \
             removed.",
    })
}

fn target() -> Value {
    let one = json!({ "type": "object", "additionalProperties": { "type": "object" } });
    let overrides = KindId::ALL.iter().map(|kind| (kind.section(), one.clone())).collect();
    json!({
        "type": "object",
        "description": "One account and region of the manifest, or every combination of several.",
        "properties": {
            "region": {
                "type": "string",
                "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$",
                "description": "Overrides [aws] region.",
            },
            "profile": {
                "type": "string",
                "description": "The AWS credentials profile; with accounts, {account} in it is replaced.",
            },
            "role_arn": {
                "type": "string",
                "pattern": "^arn:aws[a-z-]*:iam::([0-9]{12}|\\{account\\}):role/.+",
                "description": "A role to assume with the calling credentials; not together with profile. With \
                     accounts, {account} in it is replaced.",
            },
            "account_id": {
                "type": "string",
                "pattern": "^[0-9]{12}$",
                "description": "Refuse any other account.",
            },
            "accounts": {
                "type": "array",
                "items": { "type": "string", "pattern": "^[0-9]{12}$" },
                "minItems": 1,
                "uniqueItems": true,
                "description": "The accounts of the section; each target refuses any other account.",
            },
            "regions": {
                "type": "array",
                "items": { "type": "string", "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$" },
                "minItems": 1,
                "uniqueItems": true,
                "description": "The regions of the section, in each of its accounts.",
            },
            "organization": {
                "type": "object",
                "properties": {
                    "ou": {
                        "type": "string",
                        "pattern": "^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$",
                        "description": "The ID of the organizational unit with the accounts of the section, or of the \
                             root.",
                    },
                    "recursive": { "type": "boolean", "description": "Whether to include the units below it; false by \
                         default." },
                    "exclude": {
                        "type": "array",
                        "items": {
                            "type": "string",
                            "pattern": "^([0-9]{12}|r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$",
                        },
                        "minItems": 1,
                        "uniqueItems": true,
                        "description": "IDs of accounts and units to exclude.",
                    },
                },
                "required": ["ou"],
                "additionalProperties": false,
                "description": "The accounts of the section come from AWS Organizations, without suspended ones.",
            },
            "override": {
                "type": "object",
                "properties": object(overrides),
                "additionalProperties": false,
                "description": "Settings of resources for these targets only: each key replaces the one in the \
                     resource's section.",
            },
        },
        "additionalProperties": false,
        "allOf": [
            { "not": { "required": ["profile", "role_arn"] } },
            { "not": { "required": ["account_id", "accounts"] } },
            { "not": { "required": ["account_id", "organization"] } },
            { "not": { "required": ["accounts", "organization"] } },
            { "not": { "required": ["region", "regions"] } },
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_definition_is_made_once() {
        let kinds = || KindId::ALL.iter().map(|kind| kind.schema());
        let names: Vec<&str> = kinds().flat_map(|kind| kind.definitions).map(|(name, _)| name).collect();
        assert_eq!(BTreeSet::from_iter(&names).len(), names.len(), "{names:?}");
        assert_eq!(schema()["$defs"].as_object().unwrap().len(), names.len() + 3, "{names:?}");
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!([&["a"][..], &["a", "b"], &["a", "b", "c"]].map(listed), ["a", "a, and b", "a, b, and c"]);
    }
}

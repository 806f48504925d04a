//! Policy documents in IAM: their checks, and the returned form.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde_json::Value;

use super::Refusal;
use crate::local::Region;
use crate::local::iam::document;
use crate::local::iam::role::Role;

/// The maximum length of a trust policy (IAM User Guide, "IAM and AWS STS quotas").
const TRUST: usize = 2048;

/// The web identity providers that need no ARN.
const KNOWN_PROVIDERS: [&str; 4] =
    ["cognito-identity.amazonaws.com", "accounts.google.com", "graph.facebook.com", "www.amazon.com"];

/// Returns the length of a document as IAM counts it, without white space.
pub(super) fn length(text: &str) -> usize {
    let compact = serde_json::from_str::<Value>(text).map(|value| value.to_string());
    compact.as_deref().unwrap_or(text).chars().count()
}

fn json(text: &str) -> Result<Value, Refusal> {
    let parsed = serde_json::from_str(text);
    parsed.map_err(|error| Refusal::malformed(format!("This policy contains invalid Json: {error}")))
}

fn statements(document: &mut Value) -> Vec<&mut Value> {
    match &mut document["Statement"] {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn check_ids(document: &mut Value) -> Result<(), Refusal> {
    let mut seen = Vec::new();
    for statement in statements(document) {
        let Some(id) = statement["Sid"].as_str().filter(|id| !id.is_empty()) else { continue };
        if seen.contains(&id) {
            return Err(Refusal::malformed("Statement IDs (SID) in a single policy must be unique."));
        }
        seen.push(id);
    }
    Ok(())
}

/// Checks an identity-based policy. It must have the newer version, as the authors of moto observed on AWS.
pub(super) fn check_identity(text: &str) -> Result<(), Refusal> {
    let mut raw = json(text)?;
    document::parse(text).map_err(|error| Refusal::malformed(format!("Syntax errors in policy: {error}")))?;
    if raw["Version"] != "2012-10-17" {
        return Err(Refusal::malformed("Policy document must be version 2012-10-17 or greater."));
    }
    check_ids(&mut raw)?;
    for statement in statements(&mut raw) {
        let resources = texts(&statement["Resource"]).into_iter().chain(texts(&statement["NotResource"]));
        for resource in resources {
            let is_arn = resource.split(':').count() >= 6 && resource.starts_with("arn:") || resource == "arn:*";
            if resource != "*" && !is_arn && !resource.starts_with("${") {
                let message = format!("Resource {resource} must be in ARN format or \"*\".");
                return Err(Refusal::malformed(message));
            }
        }
    }
    Ok(())
}

/// Checks a trust policy. Returns its stored form, and the unique IDs of the roles that it names.
pub(super) fn trust(
    home: &Region,
    store: &Connection,
    text: &str,
) -> Result<(String, BTreeMap<String, String>), Refusal> {
    let mut raw = json(text)?;
    document::parse_trust(text).map_err(Refusal::malformed)?;
    check_ids(&mut raw)?;
    let mut ids = BTreeMap::new();
    for statement in statements(&mut raw) {
        let actions = texts(&statement["Action"]).into_iter().chain(texts(&statement["NotAction"]));
        for action in actions {
            if !action.to_ascii_lowercase().starts_with("sts:") {
                return Err(Refusal::malformed("AssumeRole policy may only specify STS AssumeRole actions."));
            }
        }
        for field in ["Principal", "NotPrincipal"] {
            // Not by index, which would add a missing member.
            for (kind, list) in statement.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                let written: Vec<&mut Value> = match list {
                    Value::Array(list) => list.iter_mut().collect(),
                    one => vec![one],
                };
                for one in written {
                    let known = principal(home, store, kind, one.as_str().unwrap_or_default(), &mut ids)?;
                    *one = Value::String(known);
                }
            }
        }
    }
    let text = raw.to_string();
    if text.chars().count() > TRUST {
        return Err(Refusal::limit_exceeded("ACLSizePerRole", TRUST));
    }
    Ok((text, ids))
}

/// Returns a principal in the form that IAM returns. A role of this account must exist; any user does.
fn principal(
    home: &Region,
    store: &Connection,
    kind: &str,
    written: &str,
    ids: &mut BTreeMap<String, String>,
) -> Result<String, Refusal> {
    let invalid = || {
        let kind = if kind == "AWS" { String::from("AWS") } else { kind.to_uppercase() };
        Refusal::malformed(format!("Invalid principal in policy: \"{kind}\":\"{written}\""))
    };
    match kind {
        "Service" => {
            let ends = [".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal"];
            let plain =
                written.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
            let service = plain && ends.iter().any(|end| written.len() > end.len() && written.ends_with(end));
            return service.then(|| written.to_owned()).ok_or_else(invalid);
        }
        "Federated" => {
            let parts: Vec<&str> = written.splitn(6, ':').collect();
            let provider = matches!(parts[..], ["arn", _, "iam", "", account, name]
                if is_account(account) && (name.starts_with("oidc-provider/") || name.starts_with("saml-provider/")));
            let known = provider || KNOWN_PROVIDERS.contains(&written);
            return known.then(|| written.to_owned()).ok_or_else(invalid);
        }
        _ => {}
    }
    if written == "*" {
        return Ok(written.to_owned());
    }
    if is_account(written) {
        return Ok(format!("arn:aws:iam::{written}:root"));
    }
    let parts: Vec<&str> = written.splitn(6, ':').collect();
    let ["arn", "aws", service, "", account, name] = parts[..] else { return Err(invalid()) };
    if !is_account(account) || name.contains(['*', '?']) {
        return Err(invalid());
    }
    let here = account == home.account;
    let role =
        |name: &str| -> Result<Option<Role>, Refusal> { Ok(Role::load(store, name)?.filter(|one| one.name == name)) };
    match (service, name.split_once('/')) {
        ("iam", None) if name == "root" => Ok(written.to_owned()),
        ("iam", Some(("user", user))) if !user.is_empty() => Ok(written.to_owned()),
        ("iam", Some(("role", path))) if here => {
            let found = role(path.rsplit('/').next().unwrap_or_default())?.filter(|one| one.arn() == written);
            let found = found.ok_or_else(invalid)?;
            ids.insert(written.to_owned(), found.id);
            Ok(written.to_owned())
        }
        ("iam", Some(("role", path))) if !path.is_empty() => Ok(written.to_owned()),
        ("sts", Some(("assumed-role", rest))) => {
            let Some((of, session)) =
                rest.split_once('/').filter(|(of, session)| !of.is_empty() && !session.is_empty())
            else {
                return Err(invalid());
            };
            if session.contains('/') || here && role(of)?.is_none() {
                return Err(invalid());
            }
            Ok(written.to_owned())
        }
        ("sts", Some(("federated-user", user))) if !user.is_empty() => Ok(written.to_owned()),
        _ => Err(invalid()),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a trust policy in the form that IAM returns: a deleted role is shown as its unique ID (IAM User Guide, "AWS JSON policy
/// elements: Principal").
pub(super) fn shown_trust(store: &Connection, role: &Role) -> Result<String, Refusal> {
    let mut gone = BTreeMap::new();
    for (arn, id) in &role.trusted_ids {
        let named = Role::load(store, arn.rsplit('/').next().unwrap_or_default())?;
        if named.is_none_or(|named| named.arn() != *arn || named.id != *id) {
            gone.insert(arn.as_str(), id.as_str());
        }
    }
    if gone.is_empty() {
        return Ok(role.trust.clone());
    }
    let mut raw = json(&role.trust)?;
    for statement in statements(&mut raw) {
        for field in ["Principal", "NotPrincipal"] {
            let written = match statement.get_mut(field).and_then(|principals| principals.get_mut("AWS")) {
                Some(Value::Array(list)) => list.iter_mut().collect(),
                Some(one) => vec![one],
                None => Vec::new(),
            };
            for one in written {
                if let Some(id) = one.as_str().and_then(|arn| gone.get(arn)) {
                    *one = Value::from(*id);
                }
            }
        }
    }
    Ok(raw.to_string())
}

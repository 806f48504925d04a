//! KMS's rules, with its messages. Source: the AWS Key Management Service API Reference and Developer Guide.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::local::answer::Failure;

pub(super) fn check_alias(name: &str) -> Result<(), Failure> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || ":/_-".contains(letter);
    if !(1..=256).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(Failure::validation(format!(
            "1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        )));
    }
    if !name.starts_with("alias/") {
        return Err(Failure::validation("Invalid identifier"));
    }
    if name.contains(':') {
        return Err(Failure::validation(format!("{name} contains invalid characters for an alias")));
    }
    if name.starts_with("alias/aws/") {
        return Err(Failure::new("NotAuthorizedException", ""));
    }
    if name == "alias/" {
        return Err(Failure::new("InvalidAliasNameException", "Alias must have a name after alias/"));
    }
    Ok(())
}

pub(super) fn description(body: &Value) -> Result<String, Failure> {
    let text = body["Description"].as_str().unwrap_or_default();
    if text.chars().count() > 8192 {
        return Err(Failure::validation(
            "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less \
             than or equal to 8192",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn tags(body: &Value) -> Result<BTreeMap<String, String>, Failure> {
    let mut tags = BTreeMap::new();
    for tag in body["Tags"].as_array().into_iter().flatten() {
        let (Some(key), Some(value)) = (tag["TagKey"].as_str(), tag["TagValue"].as_str()) else {
            return Err(Failure::validation("A tag has a TagKey and a TagValue"));
        };
        let reserved = key.to_ascii_lowercase().starts_with("aws:");
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || reserved {
            return Err(Failure::new("TagException", format!("The tag {key} is not valid.")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::new("TagException", "Duplicate tag keys"));
        }
    }
    Ok(tags)
}

pub(super) fn check_tag_count(count: usize) -> Result<(), Failure> {
    if count > 50 { Err(Failure::new("TagException", "Too many tags")) } else { Ok(()) }
}

pub(super) fn check_policy_name(body: &Value) -> Result<(), Failure> {
    match body["PolicyName"].as_str() {
        None | Some("default") => Ok(()),
        Some(_) => Err(Failure::new("NotFoundException", "No such policy exists")),
    }
}

/// Returns the rotation period, which is a year by default.
pub(super) fn rotation_days(body: &Value) -> Result<i64, Failure> {
    let days = body["RotationPeriodInDays"].as_i64().unwrap_or(365);
    let bound = match days {
        90..=2560 => return Ok(days),
        ..90 => "greater than or equal to 90",
        _ => "less than or equal to 2560",
    };
    Err(Failure::validation(format!(
        "1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: Member must have \
         value {bound}"
    )))
}

pub(super) fn pending_days(body: &Value) -> Result<i64, Failure> {
    let days = body["PendingWindowInDays"].as_i64().unwrap_or(30);
    if (7..=30).contains(&days) { Ok(days) } else { Err(Failure::validation("PendingWindowInDays must be 7 to 30")) }
}

/// Returns the policy of a key that was created without one.
pub(super) fn default_policy(account: &str) -> String {
    let policy = json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
            "Action": "kms:*",
            "Resource": "*",
        }],
    });
    format!("{policy:#}")
}

/// Checks a policy: its form, and that someone of the account can still change it.
pub(super) fn check_policy(text: &str, account: &str) -> Result<(), Failure> {
    let malformed = |message: &str| Err(Failure::new("MalformedPolicyDocumentException", message));
    if text.len() > 32 * 1024 {
        return Err(Failure::new("LimitExceededException", "The policy is larger than 32 KB"));
    }
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else { return malformed("Invalid JSON") };
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one @ Value::Object(_)) => vec![one.clone()],
        _ => return malformed("The policy has no statements"),
    };
    let mut allows = false;
    for statement in &statements {
        let has = |one: &str, other: &str| !statement[one].is_null() || !statement[other].is_null();
        if !has("Principal", "NotPrincipal") || !has("Action", "NotAction") || statement["Effect"].is_null() {
            return malformed("Policy contains a statement with one or more invalid elements.");
        }
        allows |= statement["Effect"] == json!("Allow")
            && texts(&statement["Action"]).any(|action| covers(action, "kms:putkeypolicy"))
            && principals(&statement["Principal"]).iter().any(|who| *who == "*" || who.contains(account));
    }
    if allows {
        return Ok(());
    }
    malformed("The new key policy will not allow you to update the key policy in the future.")
}

fn principals(value: &Value) -> Vec<&str> {
    texts(value).chain(texts(&value["AWS"])).collect()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_str().into_iter().chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn covers(pattern: &str, action: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.split_once('*') {
        Some((head, _)) => action.starts_with(head),
        None => pattern == action,
    }
}

/// Returns one page of a list, whose items have ascending names.
pub(super) fn page(
    body: &Value,
    field: &str,
    list: Vec<(String, Value)>,
    default: usize,
    most: usize,
) -> Result<Value, Failure> {
    let limit = body["Limit"].as_u64().map_or(default, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if !(1..=most).contains(&limit) {
        return Err(Failure::validation(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less \
             than or equal to {most}"
        )));
    }
    let after = body["Marker"].as_str().unwrap_or_default();
    let mut rest = list.into_iter().filter(|(name, _)| name.as_str() > after).collect::<Vec<_>>();
    let more = rest.split_off(rest.len().min(limit));
    let marker = rest.last().map(|(name, _)| name.clone()).filter(|_| !more.is_empty());
    let items: Vec<Value> = rest.into_iter().map(|(_, item)| item).collect();
    let mut answer = json!({ field: items, "Truncated": marker.is_some() });
    if let Some(marker) = marker {
        answer["NextMarker"] = json!(marker);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_policy_must_leave_someone_who_can_change_it() {
        let policy = |effect: &str, action: &str, who: &str| {
            let statement = json!({ "Effect": effect, "Principal": { "AWS": who }, "Action": action, "Resource": "*" });
            check_policy(&json!({ "Statement": statement }).to_string(), "123456789012").is_ok()
        };
        let root = "arn:aws:iam::123456789012:root";
        assert!(check_policy(&default_policy("123456789012"), "123456789012").is_ok());
        assert!(policy("Allow", "kms:Put*", root) && policy("Allow", "*", "*"));
        assert!(!policy("Deny", "kms:*", root));
        assert!(!policy("Allow", "kms:Decrypt", root));
        assert!(!policy("Allow", "kms:*", "arn:aws:iam::111111111111:root"));
        assert!(check_policy("not JSON", "123456789012").is_err());
    }

    #[test]
    fn a_list_continues_after_its_last_page() {
        let list = || ["a", "b", "c"].map(|name| (name.to_owned(), json!(name))).to_vec();
        let first = page(&json!({ "Limit": 2 }), "Keys", list(), 100, 1000).unwrap();
        assert_eq!(first, json!({ "Keys": ["a", "b"], "Truncated": true, "NextMarker": "b" }));
        let second = page(&json!({ "Limit": 2, "Marker": "b" }), "Keys", list(), 100, 1000).unwrap();
        assert_eq!(second, json!({ "Keys": ["c"], "Truncated": false }));
        assert!(page(&json!({ "Limit": 2000 }), "Keys", list(), 100, 1000).is_err());
    }
}

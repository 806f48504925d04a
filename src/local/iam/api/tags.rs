//! Tags of roles. Their keys are case-insensitive.

use super::roles::change;
use super::{page, rules};
use crate::local::Region;
use crate::local::answer::{Form, Refusal, element};
use crate::local::iam::role::{Role, Tags};

/// The maximum number of tags of a role.
const MAX: usize = 50;

/// Reads the tags of a form: `Tags.member.1.Key` and `Tags.member.1.Value`.
pub(super) fn read(form: &Form) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for number in 1.. {
        let Some(key) = form.get(&format!("Tags.member.{number}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{number}.Value")).cloned().unwrap_or_default();
        check_key(key, &format!("tags.{number}.member.key"))?;
        if value.chars().count() > 256 {
            let at = format!("tags.{number}.member.value");
            return Err(rules::constraint(&value, &at, "Member must have length less than or equal to 256"));
        }
        if tags.insert(key.to_lowercase(), (key.clone(), value)).is_some() {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Refusal::new("InvalidInput", message));
        }
    }
    if tags.len() > MAX {
        let rule = format!("Member must have length less than or equal to {MAX}.");
        return Err(rules::constraint("[...]", "Tags", &rule));
    }
    Ok(tags)
}

fn check_key(key: &str, at: &str) -> Result<(), Refusal> {
    let length = key.chars().count();
    if !(1..=128).contains(&length) {
        return Err(rules::constraint(key, at, "Member must have length between 1 and 128"));
    }
    let plain = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter);
    if !key.chars().all(plain) {
        let rule = "Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+";
        return Err(rules::constraint(key, at, rule));
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(Refusal::new("InvalidInput", "aws: prefixed tag key names are not allowed for external use."));
    }
    Ok(())
}

/// Returns tags as XML.
pub(super) fn shown(tags: &Tags) -> String {
    tags.values().map(|tag| format!("<member>{}</member>", one(tag))).collect()
}

fn one((key, value): &(String, String)) -> String {
    format!("{}{}", element("Key", key), element("Value", value))
}

pub(super) fn tag(home: &Region, form: &Form) -> Result<String, Refusal> {
    let new = read(form)?;
    change(home, form, |role, _| {
        role.tags.extend(new);
        if role.tags.len() > MAX {
            let message = "The number of tags has reached the maximum limit.";
            return Err(Refusal::new("LimitExceeded", message).with_status(409));
        }
        Ok(String::new())
    })
}

pub(super) fn untag(home: &Region, form: &Form) -> Result<String, Refusal> {
    let keys = rules::members(form, "TagKeys");
    for (index, key) in keys.iter().enumerate() {
        check_key(key, &format!("tagKeys.{}.member", index + 1))?;
    }
    change(home, form, |role, _| {
        for key in keys {
            role.tags.remove(&key.to_lowercase());
        }
        Ok(String::new())
    })
}

pub(super) fn list(home: &Region, form: &Form) -> Result<String, Refusal> {
    let role: Role = super::roles::existing(home, form)?;
    page("Tags", role.tags.values().map(one).collect(), form)
}

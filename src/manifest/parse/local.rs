//! Reads `[local.users]`: the users of the AWS emulator.

use indexmap::IndexMap;

use crate::document::{Entry, Node, Reader, closest};
use crate::kind::section::{Spans, check_key};
use crate::manifest::{LocalPolicy, LocalUserSection};
use crate::resource::Invalid;
use crate::resource::record_key::Role;

pub(super) fn read_users(
    reader: &mut Reader<'_>,
    spans: &mut Spans,
    node: &Node,
) -> Option<IndexMap<String, LocalUserSection>> {
    let fields = reader.map(node, "local.users")?;
    let mut users: IndexMap<String, LocalUserSection> = IndexMap::new();
    for entry in fields.all() {
        check_key(reader, entry, check_user);
        // AWS user names are case-insensitive.
        if let Some(twin) = users.keys().find(|name| name.eq_ignore_ascii_case(&entry.key)) {
            let message = format!("`local.users.{}` is the same user as `local.users.{twin}`", entry.key);
            let help = "user names are case-insensitive in AWS: remove one";
            reader.fault(entry.key_span.clone(), message, "duplicate user", help);
        }
        // A user with unreadable policies stays in the list, because an unlisted user has all permissions.
        let policies = read_user(reader, spans, entry).unwrap_or_default();
        users.insert(entry.key.clone(), LocalUserSection { policies });
    }
    Some(users)
}

fn read_user(reader: &mut Reader<'_>, spans: &mut Spans, entry: &Entry) -> Option<Vec<LocalPolicy>> {
    let user = &entry.key;
    let mut fields = reader.map(&entry.node, &format!("local.users.{user}"))?;
    let help = "add policies = [\"requester\"], or [] for no permissions";
    let policies = fields.required(reader, "policies", help);
    fields.finish(reader);
    let items = reader.list(&policies?.node, "policies")?;
    let mut read = Vec::new();
    for (at, item) in items.iter().enumerate() {
        spans.insert(&["local", "users", user, &at.to_string()], item.span.clone());
        if let Some(text) = reader.checked(item, "policies", check_policy) {
            read.push(Role::from_word(&text).map_or(LocalPolicy::File(text), LocalPolicy::Role));
        }
    }
    Some(read)
}

/// Checks the name of a user. Source: IAM API Reference, "CreateUser".
fn check_user(name: &str) -> Result<(), Invalid> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    let problem = format!("\"{name}\" cannot be the name of a user");
    Err(Invalid::new(problem, "use up to 64 letters, digits, and _ + = , . @ -"))
}

/// Checks a policy: the name of a role, or the path of a JSON file.
fn check_policy(text: &str) -> Result<(), Invalid> {
    if text.to_ascii_lowercase().ends_with(".json") || Role::from_word(text).is_some() {
        return Ok(());
    }
    let roles: Vec<&str> = Role::ALL.iter().map(|role| role.word()).collect();
    let suggestion = closest(text, &roles).map(|role| format!("did you mean \"{role}\"? ")).unwrap_or_default();
    let help =
        format!("{suggestion}Write a role ({}) or the path of a policy document that ends in .json", roles.join(", "));
    Err(Invalid::new(format!("\"{text}\" is neither a role nor a JSON file"), help))
}

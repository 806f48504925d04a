//! Reads `[broker]`.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::{check_account, check_role};
use crate::document::{Node, Reader};
use crate::kind::policy_parameter::check_profile;
use crate::manifest::BrokerSection;
use crate::policy::Principal;
use crate::resource::Invalid;
use crate::resource::names::{AccountId, RoleArn};
use crate::resource::signed_identity::BrokerUrl;

pub(super) fn read_broker(reader: &mut Reader<'_>, node: &Node) -> Option<BrokerSection> {
    let mut fields = reader.map(node, "broker")?;
    let url = fields.get("url").and_then(|entry| read_text(reader, &entry.node, "url", BrokerUrl::new));
    let accounts = fields.get("accounts").and_then(|entry| {
        read_list(reader, &entry.node, "accounts", |text| check_account(text).map(|()| AccountId::new(text)))
    });
    let mut patterns = |key| {
        let entry = fields.get(key)?;
        read_list(reader, &entry.node, key, Principal::new)
    };
    let (principals, approvers, operators) = (patterns("principals"), patterns("approvers"), patterns("operators"));
    let roles = fields.get("roles").and_then(|entry| read_roles(reader, &entry.node)).unwrap_or_default();
    fields.finish(reader);
    Some(BrokerSection { url, accounts, principals, approvers, operators, roles })
}

fn read_roles(reader: &mut Reader<'_>, node: &Node) -> Option<IndexMap<String, RoleArn>> {
    let fields = reader.map(node, "broker.roles")?;
    let mut roles = IndexMap::new();
    for entry in fields.all() {
        crate::kind::section::check_key(reader, entry, check_profile);
        if let Some(role) = reader.checked(&entry.node, &entry.key, check_role) {
            roles.insert(entry.key.clone(), RoleArn::new(role));
        }
    }
    Some(roles)
}

fn read_text<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    of: impl Fn(&str) -> Result<T, Invalid>,
) -> Option<T> {
    let text = reader.checked(node, what, |text| of(text).map(drop))?;
    of(&text).ok()
}

/// Reads a list without repetition.
fn read_list<T>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    of: impl Fn(&str) -> Result<T, Invalid>,
) -> Option<Vec<T>> {
    let items = reader.list(node, what)?;
    let mut seen: HashSet<String> = HashSet::new();
    let mut read = Vec::new();
    for item in items {
        let Some(text) = reader.checked(item, what, |text| of(text).map(drop)) else { continue };
        read.extend(of(&text).ok());
        if !seen.insert(text.clone()) {
            reader.fault(item.span.clone(), format!("{text} is listed twice"), "again", "remove one");
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::{Faults, Source};
    use crate::manifest::parse;

    #[test]
    fn errors_have_their_location() {
        let text = "[broker]\nurl = \"http://broker.example.com\"\naccounts = [\"1234\"]\nprincipals = [\"alice\"]\n\
                    approvers = [\"arn:aws:iam::*:user/bob\", \"arn:aws:iam::*:user/bob\"]\nuser = 1\n\
                    [broker.roles]\n\"a b\" = \"arn:aws:iam::123456789012:role/dev\"\nprod = \"admin\"\n";
        let mut faults = Faults::default();
        parse(&Source::new("sentinel.toml", text), &mut faults);
        let found: Vec<String> = faults.into_sorted().iter().map(|fault| fault.message.clone()).collect();
        let expected = ["without TLS", "account id", "\"alice\"", "listed twice", "`user`", "a b", "\"admin\""];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (message, part) in found.iter().zip(expected) {
            assert!(message.contains(part), "{message} should contain {part}");
        }
    }
}

//! Session tokens. As with AWS, a token holds what STS has to remember of the credentials it gave, so that nothing is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a token begins with; its content follows.
const HEAD: &str = "local.";

/// What STS remembers of temporary credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::local) struct Token {
    /// The access key that it was given with.
    pub(in crate::local) key: String,
    /// In milliseconds since 1970.
    pub(in crate::local) expires: i64,
    /// Whether a code of an MFA device was given.
    pub(in crate::local) mfa: bool,
    /// Nothing for the session of a user.
    pub(in crate::local) role: Option<RoleSession>,
}

/// What is stamped on the session of a role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::local) struct RoleSession {
    /// The role's unique ID, or nothing for a role that was never created.
    pub(in crate::local) id: Option<String>,
    pub(in crate::local) source_identity: Option<String>,
    pub(in crate::local) tags: BTreeMap<String, String>,
    /// The keys of the tags that go on to the sessions of roles that this session assumes.
    pub(in crate::local) transitive: Vec<String>,
    /// The documents that the session's permissions are limited to.
    pub(in crate::local) policies: Option<Vec<String>>,
}

impl Token {
    pub(in crate::local) fn write(&self) -> String {
        format!("{HEAD}{}", hex::encode(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Reads a token; nothing for any other text.
    pub(in crate::local) fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(text.strip_prefix(HEAD)?).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let role = RoleSession {
            id: Some(String::from("AROA")),
            source_identity: Some(String::from("alice")),
            tags: BTreeMap::from([(String::from("team"), String::from("a"))]),
            transitive: vec![String::from("team")],
            policies: Some(vec![String::from("{}")]),
        };
        let token = Token { key: String::from("ASIALOCAL:x"), expires: 7, mfa: true, role: Some(role) };
        assert_eq!(Token::read(&token.write()), Some(token.clone()));
        for other in ["", "local", "local.", "local.zz", "local.7b7d", &token.write()[1..]] {
            assert_eq!(Token::read(other), None, "{other}");
        }
    }
}

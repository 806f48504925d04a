//! Session tokens. As on AWS, a token contains STS's state of the credentials, so nothing is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The prefix of a token, followed by its content.
const HEAD: &str = "local.";

/// STS's state of temporary credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::local) struct Token {
    /// The access key that belongs to the token.
    pub(in crate::local) key: String,
    /// In milliseconds since 1970.
    pub(in crate::local) expires: i64,
    /// Whether an MFA code was given.
    pub(in crate::local) mfa: bool,
    /// `None` for the session of a user.
    pub(in crate::local) role: Option<RoleSession>,
}

/// The attributes of a role session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::local) struct RoleSession {
    /// The role's unique ID, or `None` for a role that was never created.
    pub(in crate::local) id: Option<String>,
    pub(in crate::local) source_identity: Option<String>,
    pub(in crate::local) tags: BTreeMap<String, String>,
    /// The keys of the tags that are passed to the sessions of roles that this session assumes.
    pub(in crate::local) transitive: Vec<String>,
    /// The documents of the session policies.
    pub(in crate::local) policies: Option<Vec<String>>,
}

impl Token {
    pub(in crate::local) fn write(&self) -> String {
        format!("{HEAD}{}", hex::encode(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Reads a token; `None` for any other text.
    pub(in crate::local) fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&hex::decode(text.strip_prefix(HEAD)?).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_unchanged() {
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

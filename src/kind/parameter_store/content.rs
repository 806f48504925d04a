//! The content of a parameter: a text, or a secret that is compared and sent, but never shown, saved or logged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::ParameterType;

/// The content of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(Arc<str>),
    /// The content of a `SecureString`, or one from a secret source.
    Secret(Secret),
}

impl Content {
    /// Returns the text, including that of a secret; `None` if only its digest is known.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(secret) => secret.text(),
        }
    }

    /// Returns the text if it may be shown.
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(secret) => secret.text().filter(|_| secret.revealed),
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// Returns whether it is a secret whose environment variable is not set.
    pub(in crate::kind) fn is_unset(&self) -> bool {
        matches!(self, Self::Secret(Secret { state: SecretState::Unset(_), .. }))
    }

    /// Returns whether both have the same text, secret or not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Secret(_)) => Self::Secret(Secret::new(&**text)) == *other,
            (Self::Secret(_), Self::Text(text)) => *self == Self::Secret(Secret::new(&**text)),
            _ => self == other,
        }
    }

    /// Returns it as a secret.
    pub(super) fn hidden(self) -> Self {
        match self {
            Self::Text(text) => Self::Secret(Secret::new(&*text)),
            secret @ Self::Secret(_) => secret,
        }
    }

    /// Returns the default type of a parameter with this content.
    pub(super) fn usual_type(&self) -> ParameterType {
        if self.is_secret() { ParameterType::SecureString } else { ParameterType::String }
    }

    /// Returns it with permission to show its text.
    pub(in crate::kind) fn revealed(self) -> Self {
        match self {
            Self::Secret(secret) => Self::Secret(Secret { revealed: true, ..secret }),
            text @ Self::Text(_) => text,
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// A text of which only a salted digest is saved. After reading a plan, it has no text: two secrets are equal if their texts are, or if the
/// digest of one matches the text of the other.
#[derive(Clone)]
pub struct Secret {
    state: SecretState,
    /// Whether the user requested to see it.
    revealed: bool,
}

#[derive(Clone)]
enum SecretState {
    /// The salt is `None` if the system returned no random bytes; then the secret cannot be saved.
    Text {
        text: Arc<Zeroizing<String>>,
        salt: Option<String>,
    },
    Digest(Salted),
    /// The value of this environment variable, which is not set.
    Unset(String),
}

/// The saved form of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Salted {
    salt: String,
    digest: String,
}

impl Salted {
    fn of(salt: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        // The salt has a fixed length, so the hashed bytes are unambiguous.
        hash.update(salt);
        hash.update(text);
        Self { salt: salt.to_owned(), digest: hex::encode(hash.finalize()) }
    }

    fn is_valid(&self) -> bool {
        let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex(&self.salt, 32) && is_hex(&self.digest, 64)
    }
}

impl Secret {
    /// Returns a secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        let mut bytes = [0; 16];
        let salt = getrandom::fill(&mut bytes).ok().map(|()| hex::encode(bytes));
        Self { state: SecretState::Text { text: Arc::new(Zeroizing::new(text.into())), salt }, revealed: false }
    }

    /// Returns a secret whose environment variable is not set.
    pub fn unset(variable: &str) -> Self {
        Self { state: SecretState::Unset(variable.to_owned()), revealed: false }
    }

    fn text(&self) -> Option<&str> {
        match &self.state {
            SecretState::Text { text, .. } => Some(text),
            SecretState::Digest(_) | SecretState::Unset(_) => None,
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (SecretState::Text { text, .. }, SecretState::Text { text: other, .. }) => text == other,
            (SecretState::Digest(digest), SecretState::Digest(other)) => digest == other,
            (SecretState::Text { text, .. }, SecretState::Digest(digest))
            | (SecretState::Digest(digest), SecretState::Text { text, .. }) => {
                Salted::of(&digest.salt, text) == *digest
            }
            (SecretState::Unset(variable), SecretState::Unset(other)) => variable == other,
            (SecretState::Unset(_), _) | (_, SecretState::Unset(_)) => false,
        }
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.state {
            SecretState::Digest(digest) => digest.serialize(serializer),
            SecretState::Text { text, salt: Some(salt) } => Salted::of(salt, text).serialize(serializer),
            // This form is never read back.
            SecretState::Unset(variable) => BTreeMap::from([("variable", variable)]).serialize(serializer),
            SecretState::Text { salt: None, .. } => {
                Err(ser::Error::custom("the system has no random bytes for a salt"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest = Salted::deserialize(deserializer)?;
        if !digest.is_valid() {
            return Err(D::Error::custom("a secret is saved as a salt and a digest"));
        }
        Ok(Self { state: SecretState::Digest(digest), revealed: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_saved_as_a_salted_digest() {
        let secret = Content::Secret(Secret::new("hush"));
        let saved = serde_json::to_string(&secret).unwrap();
        assert!(!saved.contains("hush") && !format!("{secret:?}").contains("hush"));
        let read: Content = serde_json::from_str(&saved).unwrap();
        assert_eq!((read.text(), read.shown(), secret.shown()), (None, None, None));
        assert_eq!(read, secret);
        assert_eq!(secret, Content::Secret(Secret::new("hush")));
        assert_ne!(read, Content::Secret(Secret::new("hush!")));
        assert_ne!(secret, Content::from("hush"));
        // Two plans with the same secret share no digest.
        assert_ne!(saved, serde_json::to_string(&Content::Secret(Secret::new("hush"))).unwrap());
        assert_eq!(secret.revealed().shown(), Some("hush"));
        assert!(serde_json::from_str::<Secret>(r#"{"salt":"","digest":""}"#).is_err());
    }

    #[test]
    fn an_unset_secret_differs_from_every_other() {
        let unset = Content::Secret(Secret::unset("TOKEN"));
        assert!(unset.is_unset() && unset.text().is_none() && unset == unset.clone());
        assert_ne!(unset, Content::Secret(Secret::new("TOKEN")));
        assert!(serde_json::from_str::<Content>(&serde_json::to_string(&unset).unwrap()).is_err());
    }

    #[test]
    fn a_secret_equals_a_text_only_if_requested() {
        let (secret, text) = (Content::Secret(Secret::new("x")), Content::from("x"));
        assert!(secret.is_same(&text) && text.is_same(&secret) && text.clone().hidden() == secret);
        assert!(secret != text && !secret.is_same(&"y".into()));
    }
}

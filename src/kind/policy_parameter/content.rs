//! The content of a policy parameter: a text, or a secret that is compared and sent, and never shown, saved or logged.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a parameter holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(Arc<str>),
    /// That of a `SecureString`.
    Secret(Secret),
}

impl Content {
    /// Returns the text, also that of a secret; nothing where only its digest is known.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(secret) => secret.text(),
        }
    }

    /// Returns the text where it may be shown.
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(secret) => secret.text().filter(|_| secret.revealed),
        }
    }

    /// Returns whether it is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// Returns it as one whose text may be shown.
    pub(super) fn revealed(self) -> Self {
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

/// A text of which only a salted digest leaves this process. Read back from a plan, it has no text: two secrets are equal if their
/// texts are, or if the digest of the one is that of the other's text.
#[derive(Clone)]
pub struct Secret {
    known: Known,
    /// Whether the user asked to see it.
    revealed: bool,
}

#[derive(Clone)]
enum Known {
    /// The salt is missing where the system gave no random bytes: then the secret cannot be saved.
    Text {
        text: Arc<Zeroizing<String>>,
        salt: Option<String>,
    },
    Digest(Salted),
}

/// What is saved of a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Salted {
    salt: String,
    digest: String,
}

impl Salted {
    fn of(salt: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        // The salt has one length, so that no other pair gives the same bytes.
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
    /// Returns the secret that a text is.
    pub fn new(text: impl Into<String>) -> Self {
        let mut bytes = [0; 16];
        let salt = getrandom::fill(&mut bytes).ok().map(|()| hex::encode(bytes));
        Self { known: Known::Text { text: Arc::new(Zeroizing::new(text.into())), salt }, revealed: false }
    }

    fn text(&self) -> Option<&str> {
        match &self.known {
            Known::Text { text, .. } => Some(text),
            Known::Digest(_) => None,
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.known, &other.known) {
            (Known::Text { text, .. }, Known::Text { text: other, .. }) => text == other,
            (Known::Digest(digest), Known::Digest(other)) => digest == other,
            (Known::Text { text, .. }, Known::Digest(digest)) | (Known::Digest(digest), Known::Text { text, .. }) => {
                Salted::of(&digest.salt, text) == *digest
            }
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
        match &self.known {
            Known::Digest(digest) => digest.serialize(serializer),
            Known::Text { text, salt: Some(salt) } => Salted::of(salt, text).serialize(serializer),
            Known::Text { salt: None, .. } => Err(ser::Error::custom("the system has no random bytes for a salt")),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digest = Salted::deserialize(deserializer)?;
        if !digest.is_valid() {
            return Err(D::Error::custom("a secret is saved as a salt and a digest"));
        }
        Ok(Self { known: Known::Digest(digest), revealed: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_saved_as_a_digest_that_only_its_text_has() {
        let secret = Content::Secret(Secret::new("hush"));
        let saved = serde_json::to_string(&secret).unwrap();
        assert!(!saved.contains("hush") && !format!("{secret:?}").contains("hush"));
        let read: Content = serde_json::from_str(&saved).unwrap();
        assert_eq!((read.text(), read.shown(), secret.shown()), (None, None, None));
        assert_eq!(read, secret);
        assert_eq!(secret, Content::Secret(Secret::new("hush")));
        assert_ne!(read, Content::Secret(Secret::new("hush!")));
        assert_ne!(secret, Content::from("hush"));
        // Two plans of one secret have nothing in common.
        assert_ne!(saved, serde_json::to_string(&Content::Secret(Secret::new("hush"))).unwrap());
        assert_eq!(secret.revealed().shown(), Some("hush"));
        assert!(serde_json::from_str::<Secret>(r#"{"salt":"","digest":""}"#).is_err());
    }
}

//! The state of a key.

use crate::resource::Facts;

/// AWS's state of a key. Facts store it under AWS's name, which is shown and saved. Source: "Key states of AWS KMS keys" in the AWS Key
/// Management Service Developer Guide.
#[derive(Debug, Clone, PartialEq, Eq, strum::Display, strum::EnumString)]
pub(super) enum KeyState {
    Enabled,
    Updating,
    Creating,
    Disabled,
    PendingDeletion,
    PendingReplicaDeletion,
    PendingImport,
    Unavailable,
    #[strum(default, to_string = "{0}")]
    Other(String),
}

impl KeyState {
    /// Returns the state of a key. An unknown state counts as enabled.
    pub(super) fn of(facts: &Facts) -> Self {
        let word = facts.status.as_deref();
        word.map_or(Self::Enabled, |word| word.parse().unwrap_or_else(|_| Self::Other(word.to_owned())))
    }
}

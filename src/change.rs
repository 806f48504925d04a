//! What differs between live and desired, and what it would take.

use serde::Serialize;

/// Both sides of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    pub live: T,
    pub desired: T,
}

/// A field's value as it is shown: a few words, or a whole document that is shown as a unified diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum FieldValue {
    /// The thing is not there.
    Absent,
    /// A value in words.
    Words(String),
    /// A document of many lines.
    Document(String),
}

impl FieldValue {
    /// Returns a value in words.
    pub fn words(text: impl Into<String>) -> Self {
        Self::Words(text.into())
    }
}

/// What a difference would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// AWS can change it where it is.
    InPlace,
    /// It has to be deleted and created again, which loses what it holds.
    Replacement,
    /// It has to be deleted, which loses what it holds.
    Deletion,
    /// AWS cannot change it at all on this resource.
    NotPossible,
    /// AWS is at work on it; nothing but time is needed.
    Time,
}

impl Takes {
    /// Returns whether closing the difference would lose what is there, or cannot be done at all.
    pub fn is_beyond_repair_in_place(self) -> bool {
        matches!(self, Self::Replacement | Self::Deletion | Self::NotPossible)
    }
}

/// One difference: its path, both sides, what it would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Where in the resource, such as `ttl` or `index user-index`.
    pub path: String,
    #[serde(flatten)]
    pub sides: Sides<FieldValue>,
    pub takes: Takes,
    /// How, in a few words: "built in place, table stays available".
    pub how: String,
}

impl FieldChange {
    /// Returns a difference.
    pub fn new(path: impl Into<String>, live: FieldValue, desired: FieldValue, takes: Takes, how: &str) -> Self {
        Self { path: path.into(), sides: Sides { live, desired }, takes, how: how.to_owned() }
    }
}

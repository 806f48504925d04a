//! What differs between live and desired, and what it would take.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Both sides of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    pub live: T,
    pub desired: T,
}

/// A field's value as it is shown: a few words, or a whole document that is shown as a unified diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum FieldValue {
    /// The thing is not there.
    Absent,
    /// A value in words.
    Words(String),
    /// A document of many lines.
    Document(Arc<str>),
}

impl FieldValue {
    /// Returns a value in words.
    pub fn words(text: impl Into<String>) -> Self {
        Self::Words(text.into())
    }
}

/// What a difference would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Takes {
    /// AWS can change it where it is.
    InPlace,
    /// A part of it is deleted and created again, which loses what the part holds.
    Replacement,
    /// A part of it is deleted, which loses what the part holds.
    Deletion,
    /// The whole resource would have to be deleted and created again, which this tool never does.
    NewResource,
    /// AWS cannot change it at all on this resource.
    NotPossible,
    /// AWS is at work on it; nothing but time is needed.
    Time,
}

impl Takes {
    /// Returns whether nothing that this tool does closes the difference.
    pub fn is_never_done(self) -> bool {
        matches!(self, Self::NewResource | Self::NotPossible)
    }
}

/// What closing a difference may lose, and so what has to be allowed by name.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Consent {
    /// An index is deleted; what reads through it fails from then on.
    Index,
    /// The stream of a table is turned off; its readers get nothing from then on.
    Stream,
    /// A subscription that the manifest does not name is deleted; its endpoint gets nothing from then on.
    Subscription,
    /// A replica of a table is deleted; what reads or writes in its region fails from then on.
    Replica,
    /// A table on demand gets a capacity that nobody chose for it, or one that is scaled gets less; requests beyond it are throttled.
    Capacity,
    /// A resource that the manifest does not name, or calls removed, is deleted.
    Prune,
    /// A table is deleted with its items.
    Table,
    /// A role is deleted; who works with it loses access.
    Role,
    /// Deletion protection, backups or an own encryption key are given up.
    Protection,
}

impl Consent {
    /// Every consent.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word that allows it.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }

    /// Returns what is lost by it, as a sentence goes on.
    pub const fn loss(self) -> &'static str {
        match self {
            Self::Index => "an index is deleted",
            Self::Stream => "the stream of a table is turned off",
            Self::Subscription => "a subscription is deleted",
            Self::Replica => "a replica is deleted",
            Self::Capacity => "a table gets less capacity than its requests may need",
            Self::Prune => "it is deleted",
            Self::Table => "the table is deleted with its items",
            Self::Role => "the role is deleted, and who works with it loses access",
            Self::Protection => "protection is removed",
        }
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// What a step does to the protection of its resource. The same step adds protection to one resource and takes it from
/// another, so that it is decided where the plan is made, which sees what is live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    #[default]
    Unchanged,
    Added,
    GivenUp,
}

impl Protection {
    /// Returns whether it stays as it is.
    pub const fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}

/// One difference: its path, both sides, what it would take.
///
/// A kind compares and repairs by a type of its fields, so that both name a field alike. A plan has the text of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange<F = String> {
    /// Where in the resource, such as `ttl` or `index user-index`.
    pub path: F,
    #[serde(flatten)]
    pub sides: Sides<FieldValue>,
    pub takes: Takes,
    /// How, in a few words: "built in place, table stays available".
    pub how: String,
    /// What has to be allowed before it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Consent>,
}

impl<F> FieldChange<F> {
    /// Returns a difference.
    pub fn new(path: F, live: FieldValue, desired: FieldValue, takes: Takes, how: &str) -> Self {
        Self { path, sides: Sides { live, desired }, takes, how: how.to_owned(), needs: None }
    }

    /// Returns it as one that has to be allowed.
    #[must_use]
    pub fn needing(self, consent: Consent) -> Self {
        Self { needs: Some(consent), ..self }
    }

    /// Returns whether AWS can change a field where it is, and has to.
    pub fn is_in_place(&self, field: &F) -> bool
    where
        F: PartialEq,
    {
        self.path == *field && self.takes == Takes::InPlace
    }

    /// Returns it as a plan has it.
    pub fn shown(self) -> FieldChange
    where
        F: fmt::Display,
    {
        let Self { path, sides, takes, how, needs } = self;
        FieldChange { path: path.to_string(), sides, takes, how, needs }
    }
}

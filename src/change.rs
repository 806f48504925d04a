//! The differences between live and desired state, and how each can be reconciled.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Both sides of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sides<T> {
    pub live: T,
    pub desired: T,
}

/// A field's value for display: short text, or a document that is shown as a unified diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum FieldValue {
    /// The field does not exist.
    Absent,
    /// A short text.
    #[serde(rename = "words")]
    Text(String),
    /// A document with many lines.
    Document(Arc<str>),
}

impl FieldValue {
    /// Returns a short text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// How a difference can be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeMethod {
    /// AWS can change the field in place.
    InPlace,
    /// A part of the resource is deleted and created again, and loses its contents.
    Replacement,
    /// A part of the resource is deleted with its contents.
    Deletion,
    /// The whole resource would have to be deleted and created again, which Sentinel never does.
    NewResource,
    /// AWS cannot change the field of an existing resource.
    NotPossible,
    /// AWS is making the change, which only takes time.
    Time,
}

impl ChangeMethod {
    /// Returns whether Sentinel never reconciles the difference.
    pub fn is_never_done(self) -> bool {
        matches!(self, Self::NewResource | Self::NotPossible)
    }
}

/// The possible damage of a change, which the user must allow by name.
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
    /// An index is deleted, and its queries fail.
    Index,
    /// The stream of a table is turned off, and its readers receive nothing more.
    Stream,
    /// A subscription that is not in the manifest is deleted, and its endpoint receives nothing more.
    Subscription,
    /// A replica of a table is deleted, and requests in its region fail.
    Replica,
    /// An on-demand table gets a capacity that the manifest does not specify, or a scaled one gets less. AWS throttles requests beyond it.
    Capacity,
    /// A resource is deleted because it is not in the manifest or is marked as removed.
    Prune,
    /// A table is deleted with its items.
    Table,
    /// A role is deleted, and its users lose access.
    Role,
    /// Deletion protection, backups or a customer managed key are removed.
    Protection,
}

impl Consent {
    /// Every consent.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the word that allows it on the command line.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }

    /// Returns the damage as a clause of a sentence.
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

/// The effect of a step on the protection of its resource. The same step can add or remove protection, depending on live state, so the
/// planner decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    #[default]
    Unchanged,
    Added,
    Removed,
}

impl Protection {
    /// Returns whether the protection does not change.
    pub const fn is_unchanged(&self) -> bool {
        matches!(self, Self::Unchanged)
    }
}

/// A difference in one field.
///
/// A kind uses its own type for fields, so that its diff and its repair use the same names. A plan contains the text of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange<F = String> {
    /// The field, such as `ttl` or `index user-index`.
    pub path: F,
    #[serde(flatten)]
    pub sides: Sides<FieldValue>,
    #[serde(rename = "takes")]
    pub method: ChangeMethod,
    /// A short note on the change: "built in place, table stays available".
    pub how: String,
    /// The consent that the change requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Consent>,
}

impl<F> FieldChange<F> {
    /// Returns a difference.
    pub fn new(path: F, live: FieldValue, desired: FieldValue, method: ChangeMethod, how: &str) -> Self {
        Self { path, sides: Sides { live, desired }, method, how: how.to_owned(), needs: None }
    }

    /// Returns the difference with a required consent.
    #[must_use]
    pub fn needing(self, consent: Consent) -> Self {
        Self { needs: Some(consent), ..self }
    }

    /// Returns whether this is a difference in a field, and AWS can change the field in place.
    pub fn is_in_place(&self, field: &F) -> bool
    where
        F: PartialEq,
    {
        self.path == *field && self.method == ChangeMethod::InPlace
    }

    /// Returns the difference as it is in a plan.
    pub fn shown(self) -> FieldChange
    where
        F: fmt::Display,
    {
        let Self { path, sides, method, how, needs } = self;
        FieldChange { path: path.to_string(), sides, method, how, needs }
    }
}

//! The steps of parameters. Each kind defines their names in a plan.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Content, ParameterType, Settings, Tier, labels};
use crate::change::Consent;
use crate::kind::NewDocument;
use crate::resource::Tags;
use crate::resource::call::{
    ADD_PARAMETER_TAGS, DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS, Operation,
    PUT_PARAMETER, REMOVE_PARAMETER_TAGS,
};
use crate::resource::names::OwnerKey;

/// One call that changes a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Create(Create),
    Overwrite(Overwrite),
    Label(Label),
    Tag(Tag),
    Untag(Untag),
    Delete(Delete),
}

/// Creates the parameter; expects that no parameter has its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    pub name: String,
    pub content: Content,
    /// `None` for the default of the content: `String`, or `SecureString` for a secret.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub parameter_type: Option<ParameterType>,
    pub tier: Tier,
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    pub tags: Tags,
    /// Whether the content is managed. Otherwise a parameter that someone else creates in the meantime is accepted.
    pub content_managed: bool,
}

/// Writes a new version; expects that the observed version is still the newest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwrite {
    pub name: String,
    /// `None` writes the current value again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The resulting tier; `None` keeps the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The resulting settings; a missing one is kept.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    pub expects_version: i64,
}

/// Sets these labels on a version, and removes them from any other version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub name: String,
    pub labels: BTreeSet<String>,
    pub version: i64,
}

/// Sets these tags and keeps all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub name: String,
    pub tags: Tags,
}

/// Removes the tags of these keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untag {
    pub name: String,
    pub keys: Vec<String>,
}

/// Deletes the parameter; expects the observed version, and the ownership tag with this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    pub name: String,
    pub expects_version: i64,
    pub owner_key: OwnerKey,
}

impl Write {
    /// Returns the operations that it may call. The first one writes.
    pub(in crate::kind) fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags in a creation require the tagging permission.
            Self::Create(Create { tags, .. }) if tags.is_empty() => &[PUT_PARAMETER, GET_PARAMETERS],
            Self::Create(_) => &[PUT_PARAMETER, ADD_PARAMETER_TAGS, GET_PARAMETERS],
            Self::Overwrite(_) => &[PUT_PARAMETER, GET_PARAMETERS, DESCRIBE_PARAMETERS],
            Self::Label(_) => &[labels::LABEL],
            Self::Tag(_) => &[ADD_PARAMETER_TAGS],
            Self::Untag(_) => &[REMOVE_PARAMETER_TAGS],
            Self::Delete(_) => &[DELETE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS],
        }
    }

    pub(in crate::kind) fn needs(&self) -> Option<Consent> {
        match self {
            Self::Create(_) | Self::Overwrite(_) | Self::Label(_) | Self::Tag(_) | Self::Untag(_) => None,
            Self::Delete(_) => Some(Consent::Prune),
        }
    }

    pub(in crate::kind) fn new_documents(&self) -> Vec<NewDocument<'_>> {
        match self {
            Self::Create(Create { content, .. }) => {
                let documents = content.shown().map(|text| NewDocument { setting: None, text: Cow::Borrowed(text) });
                documents.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(in crate::kind) fn describe(&self) -> String {
        let text = match self {
            Self::Create(_) => "creating",
            Self::Overwrite(_) => "writing a new version",
            Self::Label(_) => "labeling",
            Self::Tag(_) => "tagging",
            Self::Untag(_) => "removing tags",
            Self::Delete(_) => "deleting",
        };
        text.to_owned()
    }

    pub(super) fn content(&mut self) -> Option<&mut Content> {
        match self {
            Self::Create(Create { content, .. }) => Some(content),
            Self::Overwrite(Overwrite { content, .. }) => content.as_mut(),
            Self::Label(_) | Self::Tag(_) | Self::Untag(_) | Self::Delete(_) => None,
        }
    }
}

/// Defines the type of a kind's steps, with their names in a plan.
macro_rules! steps {
    ($(#[$about:meta])* $name:ident {
        $create:literal, $overwrite:literal, $label:literal, $tag:literal, $untag:literal, $delete:literal
    }) => {
        /// The names of the steps, in the order of the variants.
        pub(super) const STEPS: &[&str] = &[$create, $overwrite, $label, $tag, $untag, $delete];

        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "Names")] pub Write);

        #[derive(Serialize, Deserialize)]
        #[serde(remote = "Write", tag = "step")]
        enum Names {
            #[serde(rename = $create)]
            Create(Create),
            #[serde(rename = $overwrite)]
            Overwrite(Overwrite),
            #[serde(rename = $label)]
            Label(Label),
            #[serde(rename = $tag)]
            Tag(Tag),
            #[serde(rename = $untag)]
            Untag(Untag),
            #[serde(rename = $delete)]
            Delete(Delete),
        }

        impl KindStep for $name {
            fn operations(&self) -> &'static [Operation] {
                self.0.operations()
            }

            fn needs(&self) -> Option<Consent> {
                self.0.needs()
            }

            fn new_documents(&self) -> Vec<NewDocument<'_>> {
                self.0.new_documents()
            }

            fn describe(&self) -> String {
                self.0.describe()
            }
        }
    };
}

pub(in crate::kind) use steps;

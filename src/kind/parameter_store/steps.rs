//! The steps of parameters. What a plan calls them is the affair of each kind.

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

/// One call that writes a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    Create(Create),
    Overwrite(Overwrite),
    Label(Label),
    Tag(Tag),
    Untag(Untag),
    Delete(Delete),
}

/// Creates the parameter; expects that there is none of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    pub name: String,
    pub content: Content,
    /// Where it is not the one that the content tells: `String`, or `SecureString` of a secret.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub parameter_type: Option<ParameterType>,
    pub tier: Tier,
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    pub tags: Tags,
    /// Whether it has to be this content; otherwise what someone else creates meanwhile is as good.
    pub content_managed: bool,
}

/// Writes a new version; expects the version that was observed to be the newest still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overwrite {
    pub name: String,
    /// `None` writes the value again that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The tier to end in; `None` keeps the one it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// The settings to end in; what has no value is kept.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub settings: Settings,
    pub expects_version: i64,
}

/// Gives a version these labels, and takes them from any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub name: String,
    pub labels: BTreeSet<String>,
    pub version: i64,
}

/// Sets these tags and leaves all others.
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

/// Deletes the parameter; expects the version that was observed, and the ownership tag of this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    pub name: String,
    pub expects_version: i64,
    pub owner_key: OwnerKey,
}

impl Write {
    /// Returns the operations that it may call, the one that changes something first.
    pub(in crate::kind) fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags given with a creation take the permission of their own.
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
        let words = match self {
            Self::Create(_) => "creating",
            Self::Overwrite(_) => "writing a new version",
            Self::Label(_) => "labeling",
            Self::Tag(_) => "tagging",
            Self::Untag(_) => "removing tags",
            Self::Delete(_) => "deleting",
        };
        words.to_owned()
    }

    /// Returns the content that it writes.
    pub(super) fn content(&mut self) -> Option<&mut Content> {
        match self {
            Self::Create(Create { content, .. }) => Some(content),
            Self::Overwrite(Overwrite { content, .. }) => content.as_mut(),
            Self::Label(_) | Self::Tag(_) | Self::Untag(_) | Self::Delete(_) => None,
        }
    }
}

/// Defines the type of a kind's steps, with the names that a plan has for them.
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

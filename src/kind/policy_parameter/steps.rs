//! The steps of a policy parameter.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Content, Settings, Tier};
use crate::change::Consent;
use crate::kind::{KindStep, NewDocument};
use crate::resource::Tags;
use crate::resource::call::{
    ADD_PARAMETER_TAGS, DELETE_PARAMETERS, DESCRIBE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS, Operation,
    PUT_PARAMETER, REMOVE_PARAMETER_TAGS,
};
use crate::resource::names::OwnerKey;

/// One call that writes a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PolicyStep {
    /// Creates the parameter; expects that there is none of its name.
    CreateParameter {
        name: String,
        content: Content,
        tier: Tier,
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        settings: Settings,
        tags: Tags,
        /// Whether it has to be this content; otherwise what someone else creates meanwhile is as good.
        content_managed: bool,
    },
    /// Writes a new version; expects the version that was observed to be the newest still.
    OverwriteParameter {
        name: String,
        content: Content,
        /// The tier to end in; `None` keeps the one it has.
        #[serde(skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
        /// The settings to end in; what has no value is kept.
        #[serde(default, skip_serializing_if = "Settings::is_empty")]
        settings: Settings,
        expects_version: i64,
    },
    /// Sets these tags and leaves all others.
    TagParameter { name: String, tags: Tags },
    /// Removes the tags of these keys.
    UntagParameter { name: String, keys: Vec<String> },
    /// Deletes the parameter; expects the version that was observed, and the ownership tag of this key.
    DeleteParameter { name: String, expects_version: i64, owner_key: OwnerKey },
}

impl KindStep for PolicyStep {
    fn operations(&self) -> &'static [Operation] {
        match self {
            // Tags given with a creation take the permission of their own.
            Self::CreateParameter { tags, .. } if tags.is_empty() => &[PUT_PARAMETER, GET_PARAMETERS],
            Self::CreateParameter { .. } => &[PUT_PARAMETER, ADD_PARAMETER_TAGS, GET_PARAMETERS],
            Self::OverwriteParameter { .. } => &[PUT_PARAMETER, GET_PARAMETERS, DESCRIBE_PARAMETERS],
            Self::TagParameter { .. } => &[ADD_PARAMETER_TAGS],
            Self::UntagParameter { .. } => &[REMOVE_PARAMETER_TAGS],
            Self::DeleteParameter { .. } => &[DELETE_PARAMETERS, GET_PARAMETERS, LIST_PARAMETER_TAGS],
        }
    }

    fn needs(&self) -> Option<Consent> {
        match self {
            Self::CreateParameter { .. }
            | Self::OverwriteParameter { .. }
            | Self::TagParameter { .. }
            | Self::UntagParameter { .. } => None,
            Self::DeleteParameter { .. } => Some(Consent::Prune),
        }
    }

    fn new_documents(&self) -> Vec<NewDocument<'_>> {
        match self {
            Self::CreateParameter { content, .. } => {
                let documents = content.shown().map(|text| NewDocument { setting: None, text: Cow::Borrowed(text) });
                documents.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn describe(&self) -> String {
        let words = match self {
            Self::CreateParameter { .. } => "creating",
            Self::OverwriteParameter { .. } => "writing a new version",
            Self::TagParameter { .. } => "tagging",
            Self::UntagParameter { .. } => "removing tags",
            Self::DeleteParameter { .. } => "deleting",
        };
        words.to_owned()
    }
}

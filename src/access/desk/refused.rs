//! A refusal, as the user sees it.

use serde::{Deserialize, Serialize};

use crate::access::gate::{Decision, RecordSource, Remedy};
use crate::resource::call::CallError;

/// A refusing decision, without the details that only the log contains.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    pub user: String,
    pub profile: String,
    pub why: String,
    /// The reason that the rule gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The conditions under which the user would have access.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// The records that could not be read and might have given access. A broker does not send them.
    #[serde(skip)]
    pub unread: Vec<(RecordSource, CallError)>,
}

impl Refused {
    /// Returns the refusal of a decision.
    pub fn of(decision: &Decision) -> Self {
        Self {
            user: decision.user.name.clone(),
            profile: decision.profile.clone(),
            why: decision.why.clone(),
            reason: decision.reason.clone(),
            would_allow: decision.would_allow.iter().map(|would| would.text.clone()).collect(),
            remedy: decision.remedy.clone(),
            unread: decision.unread.clone(),
        }
    }
}

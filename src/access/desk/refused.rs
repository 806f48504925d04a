//! A refusal, as it is shown to the user.

use serde::{Deserialize, Serialize};

use crate::access::gate::{Consulted, Decision, Remedy};
use crate::resource::call::CallError;

/// A decision that says no, without what only the log is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused {
    pub user: String,
    pub profile: String,
    pub why: String,
    /// What the rule gives as its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What would have let the user in, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_allow: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
    /// What could not be looked at, and might have helped. A broker keeps it to itself.
    #[serde(skip)]
    pub unread: Vec<(Consulted, CallError)>,
}

impl Refused {
    /// Returns the refusal that a decision is.
    pub fn of(decision: &Decision) -> Self {
        Self {
            user: decision.user.name.clone(),
            profile: decision.profile.clone(),
            why: decision.why.clone(),
            reason: decision.reason.clone(),
            would_allow: decision.would_allow.iter().map(|would| would.words.clone()).collect(),
            remedy: decision.remedy.clone(),
            unread: decision.unread.clone(),
        }
    }
}

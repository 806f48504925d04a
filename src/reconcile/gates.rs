//! Whether AWS enforces the gate of each profile, as far as the manifest and the roles in a plan show it.

use serde::{Deserialize, Serialize};

/// Whether AWS enforces the gate of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileGate {
    pub profile: String,
    #[serde(flatten)]
    pub gate: Gate,
}

/// Whether the broker is the only principal that can assume the role of a profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "gate", content = "why", rename_all = "snake_case")]
pub enum Gate {
    /// The trust policies of the role and of the broker's role are in sync with the manifest, and allow nobody else.
    Enforced,
    /// The manifest allows nobody else, but is not applied yet.
    Pending,
    /// Another principal can assume the role, or there is no role.
    Advisory(Vec<String>),
    /// The trust policy of a role was not read.
    Unknown(Vec<String>),
}

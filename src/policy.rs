//! Policy documents: the contents of a profile's parameter, and their evaluation.

mod answers;
mod bound;
pub mod calendar;
pub mod cases;
mod evaluate;
pub mod explain;
pub mod lint;
mod meaning;
mod moments;
mod parse;
mod principal;
mod starter;
mod times;
mod week;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Serialize;

pub use answers::{Answer, Arns, Question, answers, answers_to, patterns_overlap};
pub use bound::{Bound, CredentialSource, RolePattern};
pub use cases::moment;
pub use evaluate::{Ask, evaluate};
pub use meaning::{Direction, Exactness, Meaning, compare, meaning};
pub use moments::granted_until;
pub use parse::{parse, parse_located};
pub use principal::Principal;
pub use starter::{ORIGIN, Starter, starter};

/// A policy: the first rule that matches wins, and no match is a deny.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The credentials that it may release; `None` means any.
    pub credentials: Option<Bound>,
    pub rules: Vec<Rule>,
    /// The break-glass limits of each user of the profile.
    pub breakglass_limits: BreakglassLimits,
}

/// The maximum number and total hours of break-glass events that one user can open for one profile in any 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakglassLimits {
    pub events: u32,
    pub hours: u32,
}

impl BreakglassLimits {
    /// The maximum of each limit. More hours than a day has would not limit anything.
    pub const MOST: u32 = 24;
}

impl Default for BreakglassLimits {
    /// The limits of a policy that sets none.
    fn default() -> Self {
        Self { events: 3, hours: 8 }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub name: String,
    pub effect: Effect,
    pub conditions: Conditions,
    pub reason: Option<String>,
    /// The table that records sessions; only with [`Effect::RequireServerSession`].
    pub session_table: Option<String>,
    /// Whether a break-glass event counts as an approval. Always true unless the effect is [`Effect::RequireApproval`].
    pub breakglass: bool,
    /// The maximum duration of a credential server's session, in seconds.
    pub max_server_duration: Option<i64>,
    /// Whether the rule has a device condition. Sentinel cannot verify devices, so such a rule denies.
    pub device: bool,
}

/// The effect of a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Effect {
    Allow,
    Deny,
    /// An approved request or an active break-glass event is required.
    RequireApproval,
    /// Credentials are released only to a credential server.
    RequireServer,
    /// The same, and the session is recorded in a table.
    RequireServerSession,
}

impl Effect {
    /// Returns its name in a policy.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// How credentials are requested.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Mode {
    /// By `sentinel exec`.
    Cli,
    /// By an SDK, through `credential_process`.
    CredentialProcess,
    /// By a process, from a credential server.
    Server,
}

impl Mode {
    /// Every mode.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns its name in a policy.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// The conditions of a rule. An empty list matches anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    pub profiles: Vec<String>,
    pub users: Vec<String>,
    /// Patterns of the caller's ARN.
    pub principals: Vec<Principal>,
    pub modes: Vec<Mode>,
    pub time: Option<Window>,
}

/// A weekly time window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The days on which it starts; empty means every day.
    pub days: Vec<Weekday>,
    /// `None` means the whole day.
    pub hours: Option<Hours>,
    /// UTC unless the policy sets a time zone.
    pub zone: TimeZone,
}

/// From the start up to but not including the end, in local time. If the end is before the start, the window continues past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub start: Time,
    pub end: Time,
}

/// Checks a policy document and adds its errors to the faults.
pub fn check(source: &std::sync::Arc<crate::diagnostic::Source>, faults: &mut crate::diagnostic::Faults) {
    parse(source, faults);
}

/// Returns the initial policy of a profile without a policy in the manifest: it denies all access.
///
/// The text is fixed, so that a repeated run finds the policy that it would write.
pub fn default_deny(profile: &str) -> String {
    format!(
        "\
# Sentinel policy for profile {profile}: nobody has access until you add a rule above the last one.
#
# To change it: Sentinel reads the rules from the top, and the first that matches decides.
# Effects: allow, deny, require_approval, require_server, require_server_session.
version: \"1\"
rules:
  - name: default-deny
    effect: deny
    conditions:
      profiles: [\"{profile}\"]
    reason: Default deny. Customize this policy to grant access.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, Source};

    #[test]
    fn default_deny_is_a_valid_policy_for_every_profile_name() {
        for profile in ["dev", "1", "a.b_c-d", "true", "null"] {
            let mut faults = Faults::default();
            check(&Source::new("default-deny", default_deny(profile)), &mut faults);
            assert!(faults.is_empty(), "{profile}: {faults:?}");
        }
    }
}

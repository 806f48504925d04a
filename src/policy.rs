//! Policy documents: what a profile's parameter holds, and what it decides.

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
pub use bound::{Bound, RolePattern};
pub use cases::moment;
pub use evaluate::{Ask, evaluate};
pub use meaning::{Direction, Meaning, meaning};
pub use moments::holds_until;
pub use parse::{parse, parse_located};
pub use principal::Principal;
pub use starter::{Starter, starter};

/// A policy: the first rule that matches wins, and no match is a deny.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Which credentials it is for; none is any.
    pub credentials: Option<Bound>,
    pub rules: Vec<Rule>,
    /// How much break-glass each user can use for the profile.
    pub breakglass_limits: BreakglassLimits,
}

/// The most break-glass events, and hours of them, that one user can open for one profile in any 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakglassLimits {
    pub events: u32,
    pub hours: u32,
}

impl BreakglassLimits {
    /// The highest value of each limit. More hours than a day has would bound nothing.
    pub const MOST: u32 = 24;
}

impl Default for BreakglassLimits {
    /// The limits of a policy that names none.
    fn default() -> Self {
        Self { events: 3, hours: 8 }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub name: String,
    pub effect: Effect,
    pub conditions: Conditions,
    pub reason: Option<String>,
    /// Where sessions are recorded; only with [`Effect::RequireServerSession`].
    pub session_table: Option<String>,
    /// Whether a break-glass event counts as an approval; only with [`Effect::RequireApproval`] can it be false.
    pub breakglass: bool,
    /// How long a credential server may serve one session, in seconds.
    pub max_server_duration: Option<i64>,
    /// Whether it asks for a device. Nothing here can tell what device someone is at, so that its effect is a deny.
    pub device: bool,
}

/// What a rule that matches says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Effect {
    Allow,
    Deny,
    /// An approved request or an active break-glass event.
    RequireApproval,
    /// Credentials that a credential server hands out.
    RequireServer,
    /// The same, with the session recorded in a table.
    RequireServerSession,
}

impl Effect {
    /// Returns its name in a policy.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// How credentials are asked for.
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

/// What must hold for a rule to match; an empty list matches anything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    pub profiles: Vec<String>,
    pub users: Vec<String>,
    /// What the caller's ARN fits.
    pub principals: Vec<Principal>,
    pub modes: Vec<Mode>,
    pub time: Option<Window>,
}

/// A window that comes again every week.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The days on which it begins; none is every day.
    pub days: Vec<Weekday>,
    /// None is the whole day.
    pub hours: Option<Hours>,
    /// UTC when the policy names none.
    pub zone: TimeZone,
}

/// From the start, up to but not including the end, on a clock on the wall; past midnight when the end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    pub start: Time,
    pub end: Time,
}

/// Checks a policy document; what is wrong with it is added to the faults.
pub fn check(source: &std::sync::Arc<crate::diagnostic::Source>, faults: &mut crate::diagnostic::Faults) {
    parse(source, faults);
}

/// Returns the policy a profile starts with when the manifest names none: nobody gets in.
///
/// A fixed text: whoever runs it again finds what it would write.
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
    fn default_deny_is_a_valid_policy_whatever_the_profile_is_called() {
        for profile in ["dev", "1", "a.b_c-d", "true", "null"] {
            let mut faults = Faults::default();
            check(&Source::new("default-deny", default_deny(profile)), &mut faults);
            assert!(faults.is_empty(), "{profile}: {faults:?}");
        }
    }
}

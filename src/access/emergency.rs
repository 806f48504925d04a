//! Break-glass at the gate: whether a policy accepts an event, and whether the event is within the policy's limits.
//!
//! Opening an event and using it make the same checks, because a record can be written without sentinel.

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::breakglass::{Event, Events};
use super::gate::{Decision, Gate, Remedy, Stopped, User, Verdict};
use super::locks;
use crate::policy::explain::explain;
use crate::policy::{Ask, BreakglassLimits, Effect, Mode, Policy, Rule, evaluate};
use crate::resource::call::CallError;

/// A break-glass event in the log record of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakglass {
    pub action: Action,
    pub reason_code: String,
    pub justification: String,
    /// The end of access.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub expires_at: Timestamp,
}

/// What happened to the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Opened,
    /// It allowed access.
    Used,
    /// Opening or using it was refused.
    Refused,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Breakglass {
    /// Returns the log record of an event.
    pub fn of(event: &Event, action: Action) -> Self {
        let Event { reason_code, justification, expires_at, .. } = event;
        let (reason_code, justification) = (reason_code.clone(), justification.clone());
        Self { action, reason_code, justification, expires_at: *expires_at }
    }
}

/// The state of break-glass for a user at the gate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Emergency {
    /// There is no active event.
    None,
    Open(Event),
    /// There is an active event beyond the limits, and why.
    OverLimits(Event, String),
}

/// Returns the rule for which a user could use a break-glass event now, in any of the modes.
fn rule_of<'p>(policy: &'p Policy, user: &User, profile: &str, at: Timestamp) -> Option<&'p Rule> {
    let ask = Ask { user: &user.name, principal: &user.arn, profile, mode: Mode::Cli, at };
    let decided = Mode::ALL.iter().filter_map(|&mode| evaluate(policy, &Ask { mode, ..ask }));
    decided.into_iter().find(|rule| takes_breakglass(rule))
}

/// Returns whether a break-glass event counts as an approval for a rule.
fn takes_breakglass(rule: &Rule) -> bool {
    rule.effect == Effect::RequireApproval && rule.breakglass
}

impl Gate<'_> {
    /// Returns the state of break-glass for a user from whom a rule requires an approval.
    ///
    /// # Errors
    ///
    /// Fails when a record cannot be read, or the events of the last 24 hours cannot be counted.
    pub(super) async fn emergency(
        &self,
        user: &User,
        rule: &Rule,
        limits: BreakglassLimits,
        now: Timestamp,
    ) -> Result<Emergency, CallError> {
        if !takes_breakglass(rule) {
            return Ok(Emergency::None);
        }
        let events = Events(self.gateway.records(self.breakglass));
        let Some(event) = events.active(user, self.profile, now).await? else { return Ok(Emergency::None) };
        let usage = events.usage(user, &event, limits, now).await?;
        let lasting = event.expires_at.as_second() - event.created_at.as_second();
        Ok(match usage.excess(lasting, limits) {
            Some(excess) => {
                let why = excess.message(user, self.profile, limits);
                Emergency::OverLimits(event, why)
            }
            None => Emergency::Open(event),
        })
    }

    /// Decides by the locks and the policy whether a user may open a break-glass event now. Also returns the limits of the policy.
    pub async fn may_open(
        &self,
        user: &User,
        id: &str,
        now: Timestamp,
    ) -> Result<(Decision, BreakglassLimits), Stopped> {
        let locks = locks::read(self.gateway, self.locks, self.profile);
        let (live, locks) = future::join(self.gateway.policy(self.parameter), locks).await;
        let decision = match self.locked(self.undecided(user.clone(), Mode::Cli, id, now), locks)? {
            Ok(decision) => decision,
            Err(locked) => return Ok((locked, BreakglassLimits::default())),
        };
        let (decision, policy) = match self.policy_of(decision, live?) {
            Ok(read) => read,
            Err(refused) => return Ok((*refused, BreakglassLimits::default())),
        };
        let limits = policy.breakglass_limits;
        let ask = Ask { user: &user.name, principal: &user.arn, profile: self.profile, mode: Mode::Cli, at: now };
        if let Some(rule) = rule_of(&policy, user, self.profile, now) {
            let why = format!("rule \"{}\" requires an approval, and a break-glass event counts as one", rule.name);
            return Ok((decision.by(rule).with(Verdict::Allow, why), limits));
        }
        let Some(rule) = evaluate(&policy, &ask) else {
            let why = "no rule of the policy matches, and break-glass only replaces the approval that a rule requires";
            let refused = decision.refused(None, why);
            return Ok((Decision { would_allow: explain(&policy, &ask), ..refused }, limits));
        };
        let name = &rule.name;
        let (remedy, why) = match rule.effect {
            Effect::RequireApproval => {
                let why = format!("rule \"{name}\" requires an approval and does not accept break-glass");
                (Some(Remedy::Request), why)
            }
            Effect::Allow => (None, format!("rule \"{name}\" allows access without it")),
            Effect::Deny => (None, format!("rule \"{name}\" denies access, and break-glass does not change that")),
            Effect::RequireServer | Effect::RequireServerSession => {
                let why = format!("rule \"{name}\" requires a credential server, and break-glass does not replace one");
                (Some(Remedy::Server), why)
            }
        };
        let would_allow = if rule.effect == Effect::Deny { explain(&policy, &ask) } else { Vec::new() };
        let refused = decision.by(rule).refused(remedy, why);
        Ok((Decision { would_allow, ..refused }, limits))
    }
}

//! The decision whether a user gets the credentials of a profile.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::emergency::{Action, Breakglass, Emergency};
use super::locks::{self, LockTable, Unknown};
use super::log::Unwritten;
use super::requests::{InForce, Requests};
use super::time::later;
pub use super::user::User;
use crate::diagnostic::{Fault, Faults, Source};
use crate::kind::policy_parameter::{Content, PolicyParameter};
use crate::policy::explain::{WouldAllow, explain};
use crate::policy::{self, Ask, Bound, BreakglassLimits, Effect, Mode, Policy, Rule, evaluate, granted_until};
use crate::provider::Gateway;
use crate::resource::Live;
use crate::resource::call::{CallError, Class};
use crate::resource::names::AccountId;

/// The gate of a profile: its policy, and the tables of the records that can allow or deny access.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    pub gateway: &'a Gateway,
    /// The only account whose users may have access; any if `None`.
    pub account: Option<&'a AccountId>,
    pub profile: &'a str,
    /// The name of the parameter with the policy.
    pub parameter: &'a str,
    pub requests: &'a str,
    pub breakglass: &'a str,
    /// The tables that can contain locks.
    pub locks: &'a [LockTable],
}

/// How credentials are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMode<'a> {
    Cli,
    CredentialProcess,
    /// Through a credential server.
    Server {
        /// The table of its sessions; the one that the policy names if `None`.
        session_table: Option<&'a str>,
        /// When its session started; now if `None`.
        started: Option<Timestamp>,
    },
}

impl AccessMode<'_> {
    const fn mode(self) -> Mode {
        match self {
            Self::Cli => Mode::Cli,
            Self::CredentialProcess => Mode::CredentialProcess,
            Self::Server { .. } => Mode::Server,
        }
    }
}

/// A decision, as it is logged.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// A random ID, which is in the source identity if there is no request, event or session.
    #[serde(rename = "decision_id")]
    pub id: String,
    pub decision: Verdict,
    #[serde(flatten)]
    pub user: User,
    pub profile: String,
    pub mode: Mode,
    pub parameter: String,
    pub policy_version: Option<i64>,
    pub rule: Option<String>,
    pub effect: Option<Effect>,
    /// The reason that the rule gives.
    pub reason: Option<String>,
    /// The explanation of the decision.
    pub why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The approver of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approver_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakglass_id: Option<String>,
    /// The break-glass event that was opened, used or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakglass: Option<Breakglass>,
    /// The conditions under which the user would have access.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_allow: Vec<WouldAllow>,
    /// What the user can do about a refusal.
    #[serde(skip)]
    pub remedy: Option<Remedy>,
    /// The table in which the policy requires sessions to be recorded.
    #[serde(skip)]
    pub session_table: Option<String>,
    /// The end of access that an approval, an event or a time window allows. No credentials are issued for longer.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if")]
    pub until: Option<Timestamp>,
    /// The credentials that the policy is for.
    #[serde(skip)]
    pub bound: Bound,
    /// The records that could not be read and might have allowed access.
    #[serde(skip)]
    pub unread: Vec<(RecordSource, CallError)>,
}

/// A table whose records can allow or deny access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordSource {
    Requests,
    BreakGlass,
    /// The table with this name, for locks.
    Locks(String),
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn as_text_if<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

/// Whether access is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Allow,
    Deny,
}

/// What a user can do about a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Write a policy.
    Policy,
    /// Correct the policy.
    Validate,
    /// Request an approval.
    Request,
    /// Use a credential server.
    Server,
    /// Use credentials that the policy releases.
    Credentials,
    /// Have the lock of this name or ARN ended.
    Unlock(String),
}

/// Why there is no decision.
#[derive(Debug, Clone)]
pub enum Stopped {
    Call(CallError),
    NoUser(String),
    /// The credentials are of another account than the manifest's.
    WrongAccount(User),
    /// The user does not have the right, and why.
    NoRight(String),
    /// The decision cannot be written to this file, and therefore has no effect.
    Unlogged(PathBuf, Arc<std::io::Error>),
}

impl From<Unwritten> for Stopped {
    fn from((path, error): Unwritten) -> Self {
        Self::Unlogged(path, Arc::new(error))
    }
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl Decision {
    /// Returns whether access is allowed.
    pub fn allowed(&self) -> bool {
        self.decision == Verdict::Allow
    }

    /// Returns the ID for the source identity.
    pub fn stamp_id(&self) -> &str {
        self.request_id.as_ref().or(self.breakglass_id.as_ref()).unwrap_or(&self.id)
    }

    pub(super) fn by(self, rule: &Rule) -> Self {
        Self {
            rule: Some(rule.name.clone()),
            effect: Some(rule.effect),
            reason: rule.reason.clone(),
            session_table: rule.session_table.clone(),
            ..self
        }
    }

    /// Returns the decision as a refusal, because the policy is not for the credentials that would be issued.
    #[must_use]
    pub fn withheld(mut self, why: String) -> Self {
        if let Some(event) = &mut self.breakglass {
            event.action = Action::Refused;
        }
        self.refused(Some(Remedy::Credentials), why)
    }

    pub(super) fn with(mut self, decision: Verdict, why: impl Into<String>) -> Self {
        self.decision = decision;
        self.why = why.into();
        self
    }

    /// Returns it as a refusal.
    #[must_use]
    pub fn refused(self, remedy: Option<Remedy>, why: impl Into<String>) -> Self {
        Self { remedy, ..self.with(Verdict::Deny, why) }
    }
}

impl Gate<'_> {
    /// Decides. If the user is not given, STS identifies them.
    pub async fn decide(
        &self,
        known: Option<&User>,
        way: AccessMode<'_>,
        id: &str,
        now: Timestamp,
    ) -> Result<Decision, Stopped> {
        let user = async {
            match known {
                Some(user) => Ok(user.clone()),
                None => User::of(self.gateway.identify().await?, self.account),
            }
        };
        let locks = locks::read(self.gateway, self.locks, self.profile);
        let (user, live, locks) = future::join3(user, self.gateway.policy(self.parameter), locks).await;
        let user = user?;
        let decision = match self.locked(self.undecided(user, way.mode(), id, now), locks)? {
            Ok(decision) => decision,
            Err(locked) => return Ok(locked),
        };
        let (decision, policy) = match self.policy_of(decision, live?) {
            Ok(read) => read,
            Err(refused) => return Ok(*refused),
        };
        let (User { name, arn, .. }, mode) = (decision.user.clone(), way.mode());
        let ask = Ask { user: &name, principal: &arn, profile: self.profile, mode, at: now };
        let Some(rule) = evaluate(&policy, &ask) else {
            let refused = decision.refused(None, "no rule of the policy matches, so access is denied");
            return Ok(Decision { would_allow: explain(&policy, &ask), ..refused });
        };
        let decision = self.by_rule(decision, (rule, policy.breakglass_limits), way, now).await?;
        if !decision.allowed() {
            return Ok(Decision { would_allow: explain(&policy, &ask), ..decision });
        }
        let longest = match way {
            AccessMode::Server { started, .. } => {
                rule.max_server_duration.map(|most| later(started.unwrap_or(now), most))
            }
            AccessMode::Cli | AccessMode::CredentialProcess => None,
        };
        if longest.is_some_and(|end| end <= now) {
            let most = rule.max_server_duration.unwrap_or_default();
            let why = format!(
                "rule \"{}\" limits the session of a server to {most} s, which are over; start another",
                rule.name
            );
            return Ok(decision.refused(None, why));
        }
        // Access also ends when the policy would no longer allow it.
        let until = [decision.until, longest, granted_until(&policy, rule, &ask)].into_iter().flatten().min();
        Ok(Decision { until, ..decision })
    }

    /// Returns the initial decision, which denies.
    pub(super) fn undecided(&self, user: User, mode: Mode, id: &str, now: Timestamp) -> Decision {
        Decision {
            time: now,
            id: id.to_owned(),
            decision: Verdict::Deny,
            user,
            profile: self.profile.to_owned(),
            mode,
            parameter: self.parameter.to_owned(),
            policy_version: None,
            rule: None,
            effect: None,
            reason: None,
            why: String::new(),
            request_id: None,
            approver_arn: None,
            breakglass_id: None,
            breakglass: None,
            would_allow: Vec::new(),
            remedy: None,
            session_table: None,
            until: None,
            bound: Bound::default(),
            unread: Vec::new(),
        }
    }

    /// Returns the policy, or a refusal if there is none or it is not valid.
    pub(super) fn policy_of(
        &self,
        mut decision: Decision,
        live: Option<Live<PolicyParameter>>,
    ) -> Result<(Decision, Policy), Box<Decision>> {
        let Some(live) = live else {
            let why = format!("there is no policy {}", self.parameter);
            return Err(Box::new(decision.refused(Some(Remedy::Policy), why)));
        };
        decision.policy_version = live.facts.version;
        match understood(self.parameter, live.state.content.as_ref().and_then(Content::text).unwrap_or_default()) {
            Ok(policy) => {
                decision.bound = policy.credentials.clone().unwrap_or_default();
                Ok((decision, policy))
            }
            Err(why) => Err(Box::new(decision.refused(Some(Remedy::Validate), why))),
        }
    }

    /// Refuses a user who is or may be locked. A lock has precedence over the policy and all records.
    pub(super) fn locked(
        &self,
        mut decision: Decision,
        locks: Result<Vec<locks::Lock>, (&LockTable, Unknown)>,
    ) -> Result<Result<Decision, Decision>, Stopped> {
        match locks {
            Ok(locks) => Ok(match locks::of(&locks, decision.user.actor()) {
                None => Ok(decision),
                Some(lock) => {
                    let why = lock.message(&decision.user.name);
                    Err(decision.refused(Some(Remedy::Unlock(lock.user.clone())), why))
                }
            }),
            Err((_, Unknown::Unreadable(why))) => Ok(Err(decision.refused(None, why))),
            Err((table, Unknown::Call(error))) if [Class::Denied, Class::NotFound].contains(&error.class) => {
                let why = format!(
                    "the locks of {} cannot be read from the table {}, and without them access is denied",
                    self.profile, table.name
                );
                decision.unread.push((RecordSource::Locks(table.name.clone()), error));
                Ok(Err(decision.refused(None, why)))
            }
            Err((_, Unknown::Call(error))) => Err(Stopped::Call(error)),
        }
    }

    async fn by_rule(
        &self,
        decision: Decision,
        (rule, limits): (&Rule, BreakglassLimits),
        way: AccessMode<'_>,
        now: Timestamp,
    ) -> Result<Decision, Stopped> {
        let decision = decision.by(rule);
        let name = &rule.name;
        Ok(match (rule.effect, way) {
            (Effect::Allow, _) => decision.with(Verdict::Allow, format!("rule \"{name}\" allows the access")),
            (Effect::Deny, _) if rule.device => {
                let why = format!(
                    "rule \"{name}\" has a device condition, which Sentinel cannot check, and therefore \
                     denies the access"
                );
                decision.refused(None, why)
            }
            (Effect::Deny, _) => decision.refused(None, format!("rule \"{name}\" denies the access")),
            (Effect::RequireApproval, _) => self.by_approval(decision, (rule, limits), now).await,
            (Effect::RequireServer | Effect::RequireServerSession, AccessMode::Cli | AccessMode::CredentialProcess) => {
                let why = format!("rule \"{name}\" gives credentials only through a credential server");
                decision.refused(Some(Remedy::Server), why)
            }
            (Effect::RequireServerSession, AccessMode::Server { session_table: Some(given), .. })
                if rule.session_table.as_ref().is_some_and(|wanted| wanted != given) =>
            {
                let wanted = rule.session_table.clone().unwrap_or_default();
                let why = format!("rule \"{name}\" requires the session to be recorded in {wanted}, not in {given}");
                decision.refused(None, why)
            }
            (Effect::RequireServer | Effect::RequireServerSession, AccessMode::Server { .. }) => {
                decision.with(Verdict::Allow, format!("rule \"{name}\" allows the access through a credential server"))
            }
        })
    }

    async fn by_approval(
        &self,
        decision: Decision,
        (by, limits): (&Rule, BreakglassLimits),
        now: Timestamp,
    ) -> Decision {
        let (user, rule) = (decision.user.name.clone(), &by.name);
        let requests = Requests(self.gateway.records(self.requests));
        let emergency = self.emergency(&decision.user, by, limits, now);
        let request = requests.in_force(&decision.user, self.profile, now);
        let (request, emergency) = future::join(request, emergency).await;
        let mut unread = Vec::new();
        let InForce { request, of_another } = request.unwrap_or_else(|error| {
            unread.push((RecordSource::Requests, error));
            InForce::default()
        });
        let emergency = emergency.unwrap_or_else(|error| {
            unread.push((RecordSource::BreakGlass, error));
            Emergency::None
        });
        if let Some(request) = request {
            let by = request.decided_by.as_deref().unwrap_or("someone");
            let why = format!("rule \"{rule}\" requires an approval, and {by} approved request {}", request.id);
            let (request_id, approver_arn) = (Some(request.id), request.decided_by_arn);
            let until = Some(request.expires_at);
            return Decision { request_id, approver_arn, until, ..decision.with(Verdict::Allow, why) };
        }
        let takes = match by.breakglass {
            true => format!("rule \"{rule}\" requires an approved request or a break-glass event"),
            false => format!("rule \"{rule}\" requires an approved request and does not accept a break-glass event"),
        };
        match emergency {
            Emergency::None => {
                let mut why = format!("{takes}, and {user} has no active one for {}", self.profile);
                if let Some(id) = &of_another {
                    why.push_str(&format!(
                        "; request {id} was made by an earlier user or role with the ARN of {user} and another unique ID: it \
                         does not count, create a new request"
                    ));
                }
                let readable = unread.iter().all(|(consulted, _)| *consulted != RecordSource::Requests);
                if readable && let Ok(Some(id)) = requests.old_form(decision.user.actor(), self.profile, now).await {
                    why.push_str(&format!(
                        "; request {id} was written by an older version, in which its requester could mark it as \
                         approved: it does not count, create a new request"
                    ));
                }
                Decision { unread, ..decision.refused(Some(Remedy::Request), why) }
            }
            Emergency::Open(event) => {
                let why =
                    format!("rule \"{rule}\" requires an approval, and break-glass event {} counts as one", event.id);
                let breakglass = Some(Breakglass::of(&event, Action::Used));
                let until = Some(event.expires_at);
                Decision { breakglass_id: Some(event.id), breakglass, until, ..decision.with(Verdict::Allow, why) }
            }
            Emergency::OverLimits(event, why) => {
                let why = format!("{takes}, and break-glass event {} does not count: {why}", event.id);
                let breakglass = Some(Breakglass::of(&event, Action::Refused));
                let refused = decision.refused(Some(Remedy::Request), why);
                Decision { breakglass_id: Some(event.id), breakglass, unread, ..refused }
            }
        }
    }
}

/// Parses a policy, or returns why it is not valid. A policy that is understood in part only does not decide.
pub fn understood(parameter: &str, content: &str) -> Result<Policy, String> {
    let mut faults = Faults::default();
    if let Some(policy) = policy::parse(&Source::new(parameter, content), &mut faults) {
        return Ok(policy);
    }
    let faults = faults.into_sorted();
    let first = |fault: &Fault| format!("line {}: {}", fault.source.line(fault.span.start), fault.message);
    let first = faults.first().map(first).unwrap_or_default();
    let more = if faults.len() > 1 { format!(", and {} more", faults.len() - 1) } else { String::new() };
    Err(format!("the policy {parameter} is not valid ({first}{more}), so access is denied"))
}

//! Credentials that a broker issues, and the sessions of credential servers that it records.

use std::fmt;
use std::time::Duration;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;

use super::sessions::sessions;
use super::{Desk, Effect, InvalidField, Operation, Owned, PolicyOf, Refused, check_id, check_profile, new_id};
use crate::access::emergency::Breakglass;
use crate::access::gate::{AccessMode, Decision, Gate, Stopped, User, Verdict};
use crate::access::log::Outcome;
use crate::access::sessions::{Over, RETENTION, Session, Status};
use crate::access::stamp;
use crate::access::time::later;
use crate::policy::{CredentialSource, Mode};
use crate::resource::role::{Credentials, SessionTag};
use crate::resource::secret::Secret;

/// The duration of credentials for a credential server. The server fetches new ones before they expire, and then the policy decides
/// again.
const SERVED: Duration = Duration::from_secs(30 * 60);

/// A decision that is older is made again before credentials are released, because a lock or a revocation may have been confirmed since.
/// AssumeRole can take half a minute with retries, but normally takes less than a second, so that this adds no call. A broker uses a
/// policy that it has read for a second too.
const STALE: Duration = Duration::from_secs(1);

/// Obtains credentials of the role of a profile, if the policy allows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obtain {
    pub profile: String,
    pub mode: Mode,
    /// The session of the credential server that fetches the credentials.
    #[serde(default)]
    pub session: Option<String>,
}

/// The result of obtaining credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    Released(Box<Grant>),
    Refused(Box<Refused>),
    /// Access is allowed, but AWS issued no credentials. The broker's log has the reason.
    Failed,
}

/// Issued credentials, and what allowed them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    pub credentials: Keys,
    pub account: String,
    pub opened_by: OpenedBy,
}

/// What allowed a user access to a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenedBy {
    pub user: String,
    pub profile: String,
    /// The ID of the break-glass event, if one allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakglass_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breakglass: Option<Breakglass>,
}

impl OpenedBy {
    /// Returns what allowed access, according to a decision.
    pub fn of(decision: &Decision) -> Self {
        Self {
            user: decision.user.name.clone(),
            profile: decision.profile.clone(),
            breakglass_id: decision.breakglass_id.clone(),
            breakglass: decision.breakglass.clone(),
        }
    }
}

/// Credentials in the wire format.
#[derive(Clone, Serialize, Deserialize)]
pub struct Keys {
    pub access_key_id: String,
    #[serde(serialize_with = "revealed", deserialize_with = "secret")]
    pub secret_access_key: Secret,
    #[serde(serialize_with = "revealed", deserialize_with = "secret")]
    pub session_token: Secret,
    /// Seconds since 1970.
    pub expires: i64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id, expires, .. } = self;
        let mut shown = formatter.debug_struct("Keys");
        shown.field("access_key_id", access_key_id).field("expires", expires).finish_non_exhaustive()
    }
}

fn revealed<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.reveal())
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

impl From<Keys> for Credentials {
    fn from(keys: Keys) -> Self {
        let Keys { access_key_id, secret_access_key, session_token, expires } = keys;
        Self { access_key_id, secret_access_key, session_token: Some(session_token), expires: Some(expires) }
    }
}

impl Operation for Obtain {
    const NAME: &'static str = "credentials";
    const EFFECT: Effect = Effect::Decides;
    type Answer = Ruling;

    fn check(&self) -> Result<(), InvalidField> {
        check_profile(&self.profile)?;
        match (self.mode, &self.session) {
            (Mode::Server, Some(session)) => check_id(session),
            (Mode::Cli | Mode::CredentialProcess, None) => Ok(()),
            _ => Err(InvalidField("session")),
        }
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Ruling, Stopped> {
        let role = desk.role(&self.profile)?;
        let user = desk.user().await?;
        let parameter = desk.parameter(&self.profile);
        let gate = desk.gate(PolicyOf { profile: &self.profile, parameter: &parameter });
        let id = new_id()?;
        let session = self.session.as_deref();
        let duration = session.map(|_| SERVED);
        let began = Instant::now();
        let mut decision = within_bounds(self.decide(desk, &gate, (&user, &id), desk.now).await?, role);
        if !decision.allowed() {
            desk.log.write(&decision, session, Outcome::Refused)?;
            return Ok(Ruling::Refused(Box::new(Refused::of(&decision))));
        }
        let granted_by = decision.request_id.as_deref().or(decision.breakglass_id.as_deref());
        let stamped = stamp::stamp(&decision, granted_by.or(session).unwrap_or(&decision.id), duration, desk.now);
        let tags =
            [("user", Some(user.name.as_str())), ("profile", Some(self.profile.as_str())), ("request", granted_by)];
        let tags = tags.into_iter().filter_map(|(key, value)| Some(SessionTag::new(key, value?))).collect();
        let issued = match stamped {
            Ok(stamp) => desk.gateway.assume_for(role, &stamp, tags).await.map_err(|none| none.to_string()),
            Err(bad) => Err(bad.to_string()),
        };
        let mut issued = match issued {
            Ok(issued) => issued,
            Err(why) => {
                desk.log.write(&decision, session, Outcome::Failed(&why))?;
                return Ok(Ruling::Failed);
            }
        };
        let age = began.elapsed();
        if age > STALE {
            let now = desk.now.checked_add(age).unwrap_or(Timestamp::MAX);
            let latest = within_bounds(self.decide(desk, &gate, (&user, &id), now).await?, role);
            if !latest.allowed() {
                desk.log.write(&latest, session, Outcome::Refused)?;
                return Ok(Ruling::Refused(Box::new(Refused::of(&latest))));
            }
            if !covers(&latest, &decision) {
                desk.log.write(&latest, session, Outcome::Failed("the grant changed while STS answered"))?;
                return Ok(Ruling::Failed);
            }
            decision = latest;
        }
        let credentials = &mut issued.credentials;
        let longest = session.map(|_| later(desk.now, i64::try_from(SERVED.as_secs()).unwrap_or(i64::MAX)).as_second());
        credentials.expires = [credentials.expires, longest].into_iter().flatten().min();
        let (Some(token), Some(expires)) = (credentials.session_token.clone(), credentials.expires) else {
            desk.log.write(&decision, session, Outcome::Failed("STS named no token or no end"))?;
            return Ok(Ruling::Failed);
        };
        desk.log.write(&decision, session, Outcome::Released(&issued))?;
        let credentials = Keys {
            access_key_id: issued.credentials.access_key_id,
            secret_access_key: issued.credentials.secret_access_key,
            session_token: token,
            expires,
        };
        let account = issued.arn.split(':').nth(4).unwrap_or_default().to_owned();
        Ok(Ruling::Released(Box::new(Grant { credentials, account, opened_by: OpenedBy::of(&decision) })))
    }

    fn is_done(answer: &Ruling) -> bool {
        matches!(answer, Ruling::Released(_))
    }
}

/// Returns a decision as a refusal if the policy is not for the role whose credentials would be issued.
fn within_bounds(decision: Decision, role: &str) -> Decision {
    if !decision.allowed() {
        return decision;
    }
    let excluded = decision.bound.excludes_source(CredentialSource::Broker);
    let excluded = excluded.or_else(|| decision.bound.excludes_role(Some(role)));
    match excluded {
        Some(why) => decision.withheld(why),
        None => decision,
    }
}

/// Returns whether a later decision allows a session that was issued for an earlier one: by the same request or event, and at least until
/// the same end.
fn covers(latest: &Decision, earlier: &Decision) -> bool {
    let of = |decision: &Decision| (decision.request_id.clone(), decision.breakglass_id.clone());
    let end = |decision: &Decision| decision.until.unwrap_or(Timestamp::MAX);
    of(latest) == of(earlier) && end(latest) >= end(earlier)
}

impl Obtain {
    /// Decides with a fresh reading of the records. A policy can be up to a second old.
    async fn decide(
        &self,
        desk: &Desk<'_>,
        gate: &Gate<'_>,
        (user, id): (&User, &str),
        now: Timestamp,
    ) -> Result<Decision, Stopped> {
        let way = match (&self.session, self.mode) {
            (Some(session), _) => return self.in_session(desk, gate, session, (user, id), now).await,
            (None, Mode::CredentialProcess) => AccessMode::CredentialProcess,
            (None, Mode::Cli | Mode::Server) => AccessMode::Cli,
        };
        gate.decide(Some(user), way, id, now).await
    }

    /// Returns why a session is not the user's for this profile.
    fn no_session(&self, found: Option<&Session>, session: &str, user: &User) -> String {
        let name = &user.name;
        let of_arn = found.is_some_and(|found| found.owner() == Some(&user.arn) && found.profile == self.profile);
        if of_arn {
            return format!(
                "session {session} was started by an earlier user or role with the ARN of {name} and another unique ID: it \
                 does not count, start a new session"
            );
        }
        format!("{name} has no session {session} for {}", self.profile)
    }

    /// Decides for a session of a credential server, which must be active and the user's own.
    async fn in_session(
        &self,
        desk: &Desk<'_>,
        gate: &Gate<'_>,
        session: &str,
        (user, id): (&User, &str),
        now: Timestamp,
    ) -> Result<Decision, Stopped> {
        let sessions = sessions(desk);
        let table = Some(desk.tables.sessions.as_str());
        let found = sessions.get(session, now).await?;
        let found = match found {
            Some(found) if found.is_of(user) && found.profile == self.profile => Ok(found),
            found => Err(self.no_session(found.as_ref(), session, user)),
        };
        let record = match found {
            Ok(record) => record,
            Err(why) => {
                let way = AccessMode::Server { session_table: table, started: None };
                return Ok(gate.decide(Some(user), way, id, now).await?.refused(None, why));
            }
        };
        let way = AccessMode::Server { session_table: table, started: Some(record.started_at) };
        let decided = gate.decide(Some(user), way, id, now);
        let (seen, decision) = future::join(sessions.seen(&record, now), decided).await;
        let decision = decision?;
        Ok(match seen? {
            Ok(()) => decision,
            Err(over) => decision.refused(None, over.message(session)),
        })
    }
}

/// Starts a session of a credential server, if the policy allows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSession {
    pub profile: String,
}

/// The result of starting a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Starting {
    Started { session: String, opened_by: OpenedBy },
    Refused(Box<Refused>),
}

impl Operation for StartSession {
    const NAME: &'static str = "start-session";
    const EFFECT: Effect = Effect::Decides;
    type Answer = Starting;

    fn check(&self) -> Result<(), InvalidField> {
        check_profile(&self.profile)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Starting, Stopped> {
        let role = desk.role(&self.profile)?;
        let user = desk.user().await?;
        let parameter = desk.parameter(&self.profile);
        let (session, now) = (new_id()?, desk.now);
        let way = AccessMode::Server { session_table: Some(&desk.tables.sessions), started: None };
        let decision = desk
            .gate(PolicyOf { profile: &self.profile, parameter: &parameter })
            .decide(Some(&user), way, &new_id()?, now)
            .await?;
        let decision = within_bounds(decision, role);
        let stamped = match decision.allowed() {
            true => stamp::source_identity(&user, &session).map_err(|bad| bad.to_string()),
            false => Err(decision.why.clone()),
        };
        let source_identity = match stamped {
            Ok(source_identity) => source_identity,
            Err(why) => {
                let refused = Decision { decision: Verdict::Deny, why, ..decision };
                desk.log.write(&refused, Some(&session), Outcome::Refused)?;
                return Ok(Starting::Refused(Box::new(Refused::of(&refused))));
            }
        };
        desk.log.write(&decision, Some(&session), Outcome::Started)?;
        desk.log.written().await?;
        let record = Session {
            id: session.clone(),
            user: user.name.clone(),
            user_arn: Some(user.arn.clone()),
            user_id: user.id_to_record(),
            profile: self.profile.clone(),
            status: Status::Active,
            started_at: now,
            last_seen_at: now,
            expires_at: later(now, RETENTION),
            server_instance_id: new_id()?,
            source_identity,
            revoked_by: None,
            revoked_by_arn: None,
            revoked_at: None,
            revoked_reason: None,
            old_form: false,
        };
        sessions(desk).start(&record).await?;
        Ok(Starting::Started { session, opened_by: OpenedBy::of(&decision) })
    }

    fn is_done(answer: &Starting) -> bool {
        matches!(answer, Starting::Started { .. })
    }
}

/// Ends a session, because its command has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    pub id: String,
}

/// The result of ending a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Recorded,
    /// The user has no session with this ID.
    NoSession,
}

impl Operation for EndSession {
    const NAME: &'static str = "end-session";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Ending;

    fn check(&self) -> Result<(), InvalidField> {
        check_id(&self.id)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Ending, Stopped> {
        let user = desk.user().await?;
        let found = sessions(desk).get(&self.id, desk.now).await?;
        let Some(session) = found.filter(|found| found.is_of(&user)) else { return Ok(Ending::NoSession) };
        sessions(desk).end(&session, desk.now).await?;
        Ok(Ending::Recorded)
    }

    fn is_done(answer: &Ending) -> bool {
        *answer == Ending::Recorded
    }
}

impl Over {
    /// Returns why a session gets no credentials.
    pub fn message(&self, id: &str) -> String {
        let session = match self {
            Self::Session(session) => session,
            Self::Missing => return format!("session {id} no longer exists"),
            Self::Changed => return format!("the record of session {id} is not the one that its server wrote"),
        };
        let by = session.revoked_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let why = session.revoked_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("session {id} is {}{by}{why}", session.status.word())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::resource::names::{AccountId, UserId};

    #[test]
    fn the_refusal_of_a_session_of_an_earlier_role_names_the_reason() {
        let arn = "arn:aws:sts::123456789012:assumed-role/engineers/alice";
        let user = User {
            name: String::from("alice"),
            arn: arn.to_owned(),
            account: AccountId::new("123456789012"),
            user_id: UserId::new("AROALATER:alice"),
        };
        let session = Session {
            id: String::from("0123456789abcdef"),
            user: user.name.clone(),
            user_arn: Some(arn.to_owned()),
            user_id: Some(UserId::new("AROAEARLIER:alice")),
            profile: String::from("prod"),
            status: Status::Active,
            started_at: Timestamp::UNIX_EPOCH,
            last_seen_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            server_instance_id: String::new(),
            source_identity: String::new(),
            revoked_by: None,
            revoked_by_arn: None,
            revoked_at: None,
            revoked_reason: None,
            old_form: false,
        };
        let why = |profile: &str, found: Option<&Session>| {
            let obtain = Obtain { profile: profile.to_owned(), mode: Mode::Server, session: Some(session.id.clone()) };
            obtain.no_session(found, &session.id, &user)
        };
        let earlier = "session 0123456789abcdef was started by an earlier user or role with the ARN of alice";
        assert!(why("prod", Some(&session)).starts_with(earlier), "{}", why("prod", Some(&session)));
        assert_eq!(why("dev", Some(&session)), "alice has no session 0123456789abcdef for dev");
        let of_bob = Session { user_arn: Some(arn.replace("alice", "bob")), ..session.clone() };
        assert_eq!(why("prod", Some(&of_bob)), "alice has no session 0123456789abcdef for prod");
        assert_eq!(why("prod", None), "alice has no session 0123456789abcdef for prod");
    }
}

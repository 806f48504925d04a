//! Server sessions: a credential server may fetch credentials until its session is revoked.
//!
//! The server writes the session, and an operator writes the revocation. It is a separate record, so that a change of the session cannot
//! undo it. A revocation does not expire, because a server has no maximum lifetime.

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::User;
use super::is_id;
use super::listing::{self, ListQuery, Listed};
use super::time::{as_seconds, as_seconds_if, from_seconds, from_seconds_if, later, precise, read, text, whole};
use super::transition::{create, is_ours};
use crate::resource::call::{CallError, Class};
use crate::resource::names::UserId;
use crate::resource::record::{ID, Item, Records, Test, Value, Write};
use crate::resource::record_key::Prefix;

/// How long a session is kept after its last fetch, in seconds.
pub const RETENTION: i64 = 24 * 3600;

/// The state of a session.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Active,
    Revoked,
    /// Its command has ended.
    Ended,
    /// It fetched no credentials for a day.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: String,
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_arn: Option<String>,
    /// The user's unique ID, which is not shown.
    #[serde(skip)]
    pub user_id: Option<UserId>,
    pub profile: String,
    pub status: Status,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub started_at: Timestamp,
    /// When it last fetched credentials.
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub last_seen_at: Timestamp,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub expires_at: Timestamp,
    /// The process of the server.
    pub server_instance_id: String,
    /// The source identity of its role sessions.
    pub source_identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by_arn: Option<String>,
    #[serde(
        default,
        serialize_with = "as_seconds_if",
        deserialize_with = "from_seconds_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub revoked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_reason: Option<String>,
    /// Whether an older version of sentinel wrote the record. This version cannot revoke such a session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old_form: bool,
}

/// The result of revoking a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    Done(Session),
    /// The revocation is recorded, but there is no session with this ID.
    Unseen,
    /// The ID does not have the form of a session's.
    Unknown,
    /// The revocation is recorded, but the session had already ended.
    Ended(Session),
    /// It is already revoked, or its record is of the old form.
    Over(Session),
}

/// Why a session gets no credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum Over {
    /// It is revoked or has ended.
    Session(Box<Session>),
    /// The record does not exist.
    Missing,
    /// The record was changed by another writer than the server.
    Changed,
}

/// Filters for a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub user: Option<&'a str>,
    pub instance: Option<&'a str>,
    pub status: Option<Status>,
}

/// The sessions of a table.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a>(pub Records<'a>);

impl Session {
    /// Parses a session and its revocation. Returns `None` for an item that is not a session.
    fn read(item: &Item, revocation: Option<&Item>, now: Timestamp) -> Option<Self> {
        let key = text(item, ID)?;
        let own = Prefix::Session.id(&key);
        // Records of the old form have keys without a prefix.
        let id = own.or_else(|| Some(key.as_str()).filter(|key| !key.contains('#'))).filter(|id| is_id(id))?;
        let word = text(item, "status")?;
        let stored = word.parse().ok()?;
        let started_at = read(item, "started_at")?;
        let expires_at = read(item, "expires_at")?;
        let old = Some(item).filter(|_| own.is_none() && stored == Status::Revoked);
        let revocation = revocation.or(old);
        let status = match stored {
            _ if revocation.is_some() => Status::Revoked,
            Status::Ended => Status::Ended,
            Status::Active if expires_at > now => Status::Active,
            // Only a revocation revokes a session, not the status in its own record.
            Status::Active | Status::Expired | Status::Revoked => Status::Expired,
        };
        let of_revocation = |name: &str| revocation.and_then(|revocation| text(revocation, name));
        Some(Self {
            id: id.to_owned(),
            user: text(item, "user")?,
            user_arn: text(item, "user_arn"),
            user_id: text(item, "user_id").map(UserId::new),
            profile: text(item, "profile")?,
            status,
            started_at,
            last_seen_at: read(item, "last_seen_at").unwrap_or(started_at),
            expires_at,
            server_instance_id: text(item, "server_instance_id")?,
            source_identity: text(item, "source_identity").unwrap_or_default(),
            revoked_by: of_revocation("revoked_by"),
            revoked_by_arn: of_revocation("revoked_by_arn"),
            revoked_at: revocation.and_then(|revocation| read(revocation, "revoked_at")),
            revoked_reason: of_revocation("reason").or_else(|| of_revocation("revoked_reason")),
            old_form: own.is_none(),
        })
    }

    fn item(&self) -> Item {
        let (key, arn) = (Prefix::Session.key(&self.id), self.user_arn.clone().unwrap_or_default());
        let texts = [
            (ID, key.as_str()),
            ("user", &self.user),
            ("user_arn", &arn),
            ("profile", &self.profile),
            ("server_instance_id", &self.server_instance_id),
            ("source_identity", &self.source_identity),
            ("status", self.status.word()),
        ];
        let mut item: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        item.extend(self.user_id.iter().map(|id| (String::from("user_id"), Value::text(id.as_str()))));
        item.insert(String::from("started_at"), precise(self.started_at));
        item.insert(String::from("last_seen_at"), precise(self.last_seen_at));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }

    /// Returns the condition of a change of the record: it is active, and unchanged by other writers.
    fn unchanged(&self) -> Vec<Test> {
        let texts = [
            ("status", Status::Active.word()),
            ("user", &self.user),
            ("user_arn", self.user_arn.as_deref().unwrap_or_default()),
            ("profile", &self.profile),
            ("server_instance_id", &self.server_instance_id),
        ];
        texts.map(|(name, text)| Test::Is(name, Value::text(text))).into()
    }
}

impl Sessions<'_> {
    /// Records a new session.
    pub async fn start(&self, session: &Session) -> Result<(), CallError> {
        create(&self.0, session.item()).await
    }

    /// Records that a session fetches credentials, and returns whether it may. Checks the session and its revocation concurrently, and
    /// fails if either cannot be read.
    pub async fn seen(&self, session: &Session, now: Timestamp) -> Result<Result<(), Over>, CallError> {
        let id = &session.id;
        let key = Prefix::Session.key(id);
        let set = vec![("last_seen_at", precise(now)), ("expires_at", whole(later(now, RETENTION)))];
        let write = Write::Set { id: key.clone(), set, when: session.unchanged() };
        let revocation = Prefix::Revocation.key(id);
        let (written, revocation) = future::join(self.0.write(&write), self.0.get(&revocation)).await;
        let revocation = revocation?;
        match written {
            Ok(()) if revocation.is_none() => return Ok(Ok(())),
            Err(error) if error.class != Class::ConditionFailed => return Err(error),
            _ => {}
        }
        let Some(item) = self.0.get(&key).await? else { return Ok(Err(Over::Missing)) };
        let read = Session::read(&item, revocation.as_ref(), now);
        Ok(Err(match read.filter(|session| session.status != Status::Active) {
            Some(session) => Over::Session(Box::new(session)),
            None => Over::Changed,
        }))
    }

    /// Records that the command of a session has ended.
    pub async fn end(&self, session: &Session, now: Timestamp) -> Result<(), CallError> {
        let set = vec![("status", Value::text(Status::Ended.word())), ("last_seen_at", precise(now))];
        let write = Write::Set { id: Prefix::Session.key(&session.id), set, when: session.unchanged() };
        match self.0.write(&write).await {
            Err(error) if error.class == Class::ConditionFailed => Ok(()),
            ended => ended,
        }
    }

    /// Reads a session and its revocation.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Session>, CallError> {
        if !is_id(id) {
            return Ok(None);
        }
        let (session, revocation) = (Prefix::Session.key(id), Prefix::Revocation.key(id));
        let (session, revocation) = future::try_join(self.0.get(&session), self.0.get(&revocation)).await?;
        match session {
            Some(session) => Ok(Session::read(&session, revocation.as_ref(), now)),
            None => Ok(self.0.get(id).await?.and_then(|item| Session::read(&item, None, now))),
        }
    }

    /// Lists sessions, newest first. At least one filter must be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Session>, CallError> {
        let by =
            [("server_instance_id", "server-instance-index", filter.instance), ("user", "user-index", filter.user)];
        let stored: Option<&[&str]> = filter.status.map(|status| match status {
            Status::Active => &["active"][..],
            Status::Ended => &["ended"],
            Status::Expired | Status::Revoked => &["active", "ended", "expired", "revoked"],
        });
        let active = filter.status == Some(Status::Active);
        let ask = ListQuery {
            by: &by,
            stored,
            filter: active.then(|| Test::Above("expires_at", whole(now))),
            prefixes: (Prefix::Session, Prefix::Revocation),
            limit,
        };
        let wanted = |session: &Session| filter.status.is_none_or(|status| session.status == status);
        let read = |item: &Item, revocation: Option<&Item>| Session::read(item, revocation, now).filter(wanted);
        listing::list(&self.0, &ask, read, |session| session.started_at).await
    }

    /// Revokes a session, whatever its own record contains, because its server can write that. `mark` is random, and identifies the
    /// revocation of this call.
    pub async fn revoke(
        &self,
        id: &str,
        (by, reason): (&User, &str),
        mark: &str,
        now: Timestamp,
    ) -> Result<Revoked, CallError> {
        if !is_id(id) {
            return Ok(Revoked::Unknown);
        }
        let before = self.get(id, now).await?;
        let has_ended = before.as_ref().is_some_and(|session| session.status == Status::Ended);
        if let Some(session) = before.filter(|session| session.old_form || session.status == Status::Revoked) {
            return Ok(Revoked::Over(session));
        }
        let key = Prefix::Revocation.key(id);
        let texts = [
            (ID, key.as_str()),
            ("revoked_by", &by.name),
            ("revoked_by_arn", &by.arn),
            ("reason", reason),
            ("mark", mark),
        ];
        let mut revocation: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        revocation.insert(String::from("revoked_at"), precise(now));
        let written = self.0.write(&Write::Put { item: revocation, when: vec![Test::Absent(ID)] }).await;
        let ours = is_ours(&self.0, written, &key, mark).await?;
        Ok(match self.get(id, now).await? {
            None => Revoked::Unseen,
            Some(session) if ours && has_ended => Revoked::Ended(session),
            Some(session) if ours => Revoked::Done(session),
            Some(session) => Revoked::Over(session),
        })
    }
}

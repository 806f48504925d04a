//! Server sessions: what a credential server is allowed until someone revokes it.

use jiff::Timestamp;
use serde::Serialize;

use super::listing::{Ask, Listed, Wanted, list};
use super::time::{as_seconds, as_seconds_if, later, precise, read, text, whole};
use super::transition::{create, settled};
use crate::resource::call::{CallError, Class};
use crate::resource::record::{ID, Item, Records, Test, Value, Write};

/// How long a session is remembered after its last sign of life, in seconds.
pub const REMEMBERED: i64 = 24 * 3600;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Revoked,
    /// Its command has ended.
    Ended,
    /// Nothing was heard of it for a day.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Revoked, Self::Ended, Self::Expired];

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Ended => "ended",
            Self::Expired => "expired",
        }
    }

    fn wanted(self) -> Wanted {
        match self {
            Self::Active => Wanted::Open(self.word()),
            Self::Revoked | Self::Ended => Wanted::Final(self.word()),
            Self::Expired => Wanted::Expired(&["active"]),
        }
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    pub id: String,
    pub user: String,
    pub profile: String,
    pub status: Status,
    #[serde(serialize_with = "as_seconds")]
    pub started_at: Timestamp,
    /// When it last asked for credentials.
    #[serde(serialize_with = "as_seconds")]
    pub last_seen_at: Timestamp,
    #[serde(serialize_with = "as_seconds")]
    pub expires_at: Timestamp,
    /// The process that serves it.
    pub server_instance_id: String,
    /// What its roles' sessions are stamped with.
    pub source_identity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
    #[serde(serialize_with = "as_seconds_if", skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_reason: Option<String>,
}

/// How revoking a session ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Revoked {
    Done(Session),
    Unknown,
    /// It has been revoked by someone else, or has ended.
    Over(Session),
}

/// Which sessions to list.
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
    fn read(item: &Item, now: Timestamp) -> Option<Self> {
        let word = text(item, "status")?;
        let stored = Status::ALL.into_iter().find(|status| status.word() == word)?;
        let started_at = read(item, "started_at")?;
        let expires_at = read(item, "expires_at")?;
        let over = expires_at <= now && stored == Status::Active;
        Some(Self {
            id: text(item, ID)?,
            user: text(item, "user")?,
            profile: text(item, "profile")?,
            status: if over { Status::Expired } else { stored },
            started_at,
            last_seen_at: read(item, "last_seen_at").unwrap_or(started_at),
            expires_at,
            server_instance_id: text(item, "server_instance_id")?,
            source_identity: text(item, "source_identity").unwrap_or_default(),
            revoked_by: text(item, "revoked_by"),
            revoked_at: read(item, "revoked_at"),
            revoked_reason: text(item, "revoked_reason"),
        })
    }

    fn item(&self) -> Item {
        let texts = [
            (ID, self.id.as_str()),
            ("user", &self.user),
            ("profile", &self.profile),
            ("server_instance_id", &self.server_instance_id),
            ("source_identity", &self.source_identity),
            ("status", self.status.word()),
        ];
        let mut item: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        item.insert(String::from("started_at"), precise(self.started_at));
        item.insert(String::from("last_seen_at"), precise(self.last_seen_at));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }
}

fn active() -> Test {
    Test::Is("status", Value::text(Status::Active.word()))
}

impl Sessions<'_> {
    /// Records a new session.
    pub async fn start(&self, session: &Session) -> Result<(), CallError> {
        create(&self.0, session.item()).await
    }

    /// Notes that a session asks for credentials, and tells whether it may: one call, which is check and note in one.
    /// If it may not, what has become of it comes back.
    pub async fn seen(&self, id: &str, now: Timestamp) -> Result<Result<(), Option<Session>>, CallError> {
        let set = vec![("last_seen_at", precise(now)), ("expires_at", whole(later(now, REMEMBERED)))];
        match self.0.write(&Write::Set { id: id.to_owned(), set, when: vec![active()] }).await {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.class == Class::ConditionFailed => Ok(Err(self.get(id, now).await?)),
            Err(error) => Err(error),
        }
    }

    /// Notes that a session's command has ended; one that was revoked stays so.
    pub async fn end(&self, id: &str, now: Timestamp) -> Result<(), CallError> {
        let set = vec![("status", Value::text(Status::Ended.word())), ("last_seen_at", precise(now))];
        match self.0.write(&Write::Set { id: id.to_owned(), set, when: vec![active()] }).await {
            Err(error) if error.class == Class::ConditionFailed => Ok(()),
            ended => ended,
        }
    }

    /// Reads a session.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Session>, CallError> {
        Ok(self.0.get(id).await?.and_then(|item| Session::read(&item, now)))
    }

    /// Lists sessions, newest first. At least one of the filters is to be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Session>, CallError> {
        let by =
            [("server_instance_id", "server-instance-index", filter.instance), ("user", "user-index", filter.user)];
        let ask = Ask { by: &by, status: filter.status.map(Status::wanted), order: "started_at", limit, now };
        Ok(list(&self.0, &ask).await?.read(|item| Session::read(&item, now)))
    }

    /// Revokes a session, if it is still active. `mark` is random, and tells whose revocation it is.
    pub async fn revoke(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        mark: &str,
        now: Timestamp,
    ) -> Result<Revoked, CallError> {
        let set = vec![
            ("status", Value::text(Status::Revoked.word())),
            ("revoked_by", Value::text(by)),
            ("revoked_at", precise(now)),
            ("revoked_reason", Value::text(reason)),
            ("revocation", Value::text(mark)),
        ];
        let written = self.0.write(&Write::Set { id: id.to_owned(), set, when: vec![active()] }).await;
        let Some(after) = settled(&self.0, written, id, ("revocation", mark)).await? else {
            return Ok(Revoked::Unknown);
        };
        Ok(match Session::read(&after.item, now) {
            None => Revoked::Unknown,
            Some(session) if after.ours => Revoked::Done(session),
            Some(session) => Revoked::Over(session),
        })
    }
}

//! Break-glass events: someone takes access in an emergency, and says why.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::listing::{Ask, Listed, Wanted, list};
use super::time::{as_seconds, as_seconds_if, precise, read, text, whole};
use super::transition::settled;
use crate::resource::call::{CallError, Class};
use crate::resource::record::{ID, Item, Records, Test, Value, Write};

/// The longest event, in seconds.
pub const LONGEST: i64 = 4 * 3600;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Closed,
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Closed, Self::Expired];

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }

    fn wanted(self) -> Wanted {
        match self {
            Self::Active => Wanted::Open(self.word()),
            Self::Closed => Wanted::Final(self.word()),
            Self::Expired => Wanted::Expired(&["active"]),
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    pub id: String,
    pub invoker: String,
    pub profile: String,
    pub reason_code: String,
    pub justification: String,
    pub status: Status,
    #[serde(serialize_with = "as_seconds")]
    pub created_at: Timestamp,
    #[serde(serialize_with = "as_seconds")]
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    #[serde(serialize_with = "as_seconds_if", skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_reason: Option<String>,
}

/// How opening an event ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    Done,
    /// The user has one for the profile that is active.
    Another(Box<Event>),
    /// Someone holds the place, and what they opened is not to be seen.
    Taken,
}

/// How closing an event ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Closed {
    Done(Event),
    Unknown,
    /// It has been closed, or has run out.
    Over(Event),
}

/// Which events to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub invoker: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub status: Option<Status>,
}

/// The events of a table.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(pub Records<'a>);

/// Returns the id of the record that holds the place of a user's one active event for a profile. It has none of the
/// attributes that indexes are made of, so that it shows in no list.
fn place(user: &str, profile: &str) -> String {
    // A name holds no control character, so that no two pairs read the same.
    format!("active-{}", &hex::encode(Sha256::digest(format!("{user}\0{profile}")))[..32])
}

impl Event {
    fn read(item: &Item, now: Timestamp) -> Option<Self> {
        let word = text(item, "status")?;
        let stored = Status::ALL.into_iter().find(|status| status.word() == word)?;
        let expires_at = read(item, "expires_at")?;
        let over = expires_at <= now && stored == Status::Active;
        Some(Self {
            id: text(item, ID)?,
            invoker: text(item, "invoker")?,
            profile: text(item, "profile")?,
            reason_code: text(item, "reason_code").unwrap_or_default(),
            justification: text(item, "justification").unwrap_or_default(),
            status: if over { Status::Expired } else { stored },
            created_at: read(item, "created_at")?,
            expires_at,
            closed_by: text(item, "closed_by"),
            closed_at: read(item, "closed_at"),
            closed_reason: text(item, "closed_reason"),
        })
    }

    fn item(&self) -> Item {
        let texts = [
            (ID, &self.id),
            ("invoker", &self.invoker),
            ("profile", &self.profile),
            ("reason_code", &self.reason_code),
            ("justification", &self.justification),
        ];
        let mut item: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        item.insert(String::from("status"), Value::text(self.status.word()));
        item.insert(String::from("created_at"), precise(self.created_at));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }
}

impl Events<'_> {
    /// Opens an event, unless the user has an active one for the profile. Event and place are written together.
    pub async fn open(&self, event: &Event) -> Result<Opened, CallError> {
        let now = event.created_at;
        let holder = place(&event.invoker, &event.profile);
        let place = Item::from([
            (ID.to_owned(), Value::text(&holder)),
            (String::from("event_id"), Value::text(&event.id)),
            (String::from("expires_at"), whole(event.expires_at)),
        ]);
        let free = Test::Either(Box::new(Test::Absent(ID)), Box::new(Test::UpTo("expires_at", whole(now))));
        let writes = [
            Write::Put { item: place, when: vec![free] },
            Write::Put { item: event.item(), when: vec![Test::Absent(ID)] },
        ];
        match self.0.write_all(&writes, &event.id).await {
            Ok(()) => return Ok(Opened::Done),
            Err(error) if error.class != Class::ConditionFailed => return Err(error),
            Err(_) => {}
        }
        Ok(match self.held(&holder, now).await? {
            // A call whose answer was lost.
            Some(held) if held.id == event.id => Opened::Done,
            Some(held) => Opened::Another(Box::new(held)),
            None => Opened::Taken,
        })
    }

    async fn held(&self, holder: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        let place = self.0.get(holder).await?;
        let Some(id) = place.and_then(|place| text(&place, "event_id")) else { return Ok(None) };
        self.get(&id, now).await
    }

    /// Returns a user's active event for a profile, read from the table itself and not from an index.
    pub async fn active(&self, user: &str, profile: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        let held = self.held(&place(user, profile), now).await?;
        Ok(held.filter(|event| event.status == Status::Active && event.invoker == user && event.profile == profile))
    }

    /// Reads an event.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        Ok(self.0.get(id).await?.and_then(|item| Event::read(&item, now)))
    }

    /// Lists events, newest first. At least one of the filters is to be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Event>, CallError> {
        let by = [("invoker", "invoker-index", filter.invoker), ("profile", "profile-index", filter.profile)];
        let ask = Ask { by: &by, status: filter.status.map(Status::wanted), order: "created_at", limit, now };
        Ok(list(&self.0, &ask).await?.read(|item| Event::read(&item, now)))
    }

    /// Closes an event, if it is still active, and frees its place. `mark` is random, and tells whose closing it is.
    pub async fn close(
        &self,
        id: &str,
        (by, reason): (&str, &str),
        mark: &str,
        now: Timestamp,
    ) -> Result<Closed, CallError> {
        let Some(event) = self.get(id, now).await? else { return Ok(Closed::Unknown) };
        if event.status != Status::Active {
            return Ok(Closed::Over(event));
        }
        let set = vec![
            ("status", Value::text(Status::Closed.word())),
            ("closed_by", Value::text(by)),
            ("closed_at", precise(now)),
            ("closed_reason", Value::text(reason)),
            ("closing", Value::text(mark)),
        ];
        let when = vec![Test::Is("status", Value::text(Status::Active.word()))];
        let free = Write::Set {
            id: place(&event.invoker, &event.profile),
            set: vec![("expires_at", whole(now))],
            when: vec![Test::Is("event_id", Value::text(id))],
        };
        let written = self.0.write_all(&[Write::Set { id: id.to_owned(), set, when }, free], mark).await;
        let Some(after) = settled(&self.0, written, id, ("closing", mark)).await? else { return Ok(Closed::Unknown) };
        Ok(match Event::read(&after.item, now) {
            None => Closed::Unknown,
            Some(event) if after.ours => Closed::Done(event),
            Some(event) => Closed::Over(event),
        })
    }
}

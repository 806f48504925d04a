//! Break-glass events: someone takes access in an emergency, and says why.
//!
//! Each role writes records of its own prefix only, and an item says nothing that its writer could gain by. The end of an
//! event is a closure, a record of its own. The place record of a user and a profile names their one active event; it is
//! only a pointer, and counts for nothing without an event that is in force.

mod usage;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::User;
use super::is_id;
use super::listing::{self, Ask, Listed};
use super::time::{
    CLOCK_DIFFERENCE, as_seconds, as_seconds_if, from_seconds, from_seconds_if, later, precise, read, text, whole,
};
use super::transition::is_ours;
use crate::resource::call::{CallError, Class};
use crate::resource::record::{ID, Item, Records, Test, Value, Write};
use crate::resource::record_key::{self, Prefix};

pub use usage::{Excess, Usage};

/// The longest event, in seconds.
pub const LONGEST: i64 = 4 * 3600;
/// How long the records of an event are kept, in seconds. TTL must not remove an event that still counts toward the limits
/// of a day.
const KEPT: i64 = 25 * 3600;
/// How long a closure is kept, in seconds: longer than any record of its event.
const CLOSURE_KEPT: i64 = 30 * 24 * 3600;
/// How often opening is tried when someone else changes the place record at the same time.
const ATTEMPTS: u32 = 3;

/// The state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Active,
    Closed,
    Expired,
    /// The record is not honored; see [`Problem`].
    Invalid,
}

impl Status {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }
}

/// Why a record is not honored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Its key has no prefix, so that IAM could not restrict who wrote it.
    OldForm,
    /// It does not say by its ARN who opened it.
    NoArn,
    /// It was created in the future.
    Future,
    /// Its own status is not the one that each event is written with.
    Status,
}

impl Problem {
    /// Returns the explanation, with what to do about it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::OldForm => {
                "an older version of sentinel wrote this record, and AWS did not restrict who could write it; \
                 open a new event with: sentinel breakglass"
            }
            Self::NoArn => {
                "the record does not name the ARN of its invoker; open a new event with: sentinel breakglass"
            }
            Self::Future => "the record was created in the future; check the clock of the machine that wrote it",
            Self::Status => "the record has a status that sentinel does not write; open a new event",
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub invoker: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoker_arn: Option<String>,
    pub profile: String,
    pub reason_code: String,
    pub justification: String,
    pub status: Status,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub created_at: Timestamp,
    /// The end of the access, which is never more than [`LONGEST`] after the creation.
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by_arn: Option<String>,
    #[serde(
        default,
        serialize_with = "as_seconds_if",
        deserialize_with = "from_seconds_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub closed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_reason: Option<String>,
    /// Why the record is not honored, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How opening an event ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    Done,
    /// The user has one for the profile that is active.
    Another(Box<Event>),
    /// Someone else changes the place record at the same time, again and again.
    Taken,
}

/// How closing an event ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    Done(Event),
    Unknown,
    /// It is closed or expired already, or is not honored anyway.
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

/// A place record as it was read.
struct Seen {
    event_id: Option<String>,
    /// What must still hold for the record to be replaced.
    unchanged: Test,
}

impl Seen {
    fn of(item: Option<&Item>) -> Self {
        let named = item.and_then(|item| text(item, "event_id"));
        let unchanged = match (item, &named) {
            (None, _) => Test::Absent(ID),
            (Some(_), Some(id)) => Test::Is("event_id", Value::text(id)),
            // Whatever stands there, no writer of a valid record came first.
            (Some(_), None) => Test::NotText("event_id"),
        };
        // Of any other form it names no event, and would not fit a key either.
        Self { event_id: named.filter(|id| is_id(id)), unchanged }
    }
}

impl Event {
    /// Reads an event and its closure. Nothing is one that is not an event at all.
    fn read(item: &Item, closure: Option<&Item>, now: Timestamp) -> Option<Self> {
        let key = text(item, ID)?;
        let own = Prefix::Event.id(&key);
        // Records of the old form have keys without a prefix.
        let id = own.or_else(|| Some(key.as_str()).filter(|key| !key.contains('#'))).filter(|id| is_id(id))?;
        let (status, invoker_arn) = (text(item, "status")?, text(item, "invoker_arn"));
        let created_at = read(item, "created_at")?;
        let expires_at = end(item, created_at)?;
        let problem = match () {
            () if own.is_none() => Some(Problem::OldForm),
            () if invoker_arn.is_none() => Some(Problem::NoArn),
            () if created_at > later(now, CLOCK_DIFFERENCE) => Some(Problem::Future),
            () if status != Status::Active.word() => Some(Problem::Status),
            () => None,
        };
        // In the old form the event itself said that it is closed.
        let old = Some(item).filter(|_| own.is_none() && status == Status::Closed.word());
        let closure = closure.or(old);
        let closed_at = closure.and_then(|closure| read(closure, "closed_at"));
        let over = expires_at <= now;
        let status = match () {
            // A closure closes whatever it holds; only of an event that had ended before it is not the end.
            () if closure.is_some() && !(over && closed_at.is_some_and(|at| at >= expires_at)) => Status::Closed,
            () if over => Status::Expired,
            () if problem.is_some() => Status::Invalid,
            () => Status::Active,
        };
        let of_closure = |name: &str| closure.and_then(|closure| text(closure, name));
        Some(Self {
            id: id.to_owned(),
            invoker: text(item, "invoker")?,
            invoker_arn,
            profile: text(item, "profile")?,
            reason_code: text(item, "reason_code").unwrap_or_default(),
            justification: text(item, "justification").unwrap_or_default(),
            status,
            created_at,
            expires_at,
            closed_by: of_closure("closed_by"),
            closed_by_arn: of_closure("closed_by_arn"),
            closed_at,
            closed_reason: of_closure("reason").or_else(|| of_closure("closed_reason")),
            problem,
        })
    }

    fn item(&self) -> Item {
        let (key, arn) = (Prefix::Event.key(&self.id), self.invoker_arn.clone().unwrap_or_default());
        let texts = [
            (ID, &key),
            ("invoker", &self.invoker),
            ("invoker_arn", &arn),
            ("profile", &self.profile),
            ("reason_code", &self.reason_code),
            ("justification", &self.justification),
        ];
        let mut item: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        item.insert(String::from("status"), Value::text(Status::Active.word()));
        item.insert(String::from("created_at"), precise(self.created_at));
        item.insert(String::from("ends_at"), whole(self.expires_at));
        item.insert(String::from("expires_at"), whole(later(self.created_at, KEPT)));
        item
    }

    /// Returns whether the event is in force for a user and a profile. Each of them must match exactly.
    fn holds(&self, user: &User, profile: &str) -> bool {
        self.status == Status::Active
            && self.invoker == user.name
            && self.invoker_arn.as_deref() == Some(user.arn.as_str())
            && self.profile == profile
    }
}

/// Returns the end of an event: the earliest time that the record names, and never more than [`LONGEST`] after the
/// creation. Nothing is a record without a valid time.
fn end(item: &Item, created_at: Timestamp) -> Option<Timestamp> {
    let kept_until = read(item, "expires_at")?;
    // TTL removes an event by `expires_at`, which is after its end.
    let ends_at = if item.contains_key("ends_at") { read(item, "ends_at")? } else { kept_until };
    Some(ends_at.min(kept_until).min(later(created_at, LONGEST)))
}

impl Events<'_> {
    /// Opens an event, unless the user has an active one for the profile. Event and place are written together.
    pub async fn open(&self, event: &Event, user: &User) -> Result<Opened, CallError> {
        let key = record_key::place(&user.user_id, &event.profile);
        let place = Item::from([
            (ID.to_owned(), Value::text(&key)),
            (String::from("event_id"), Value::text(&event.id)),
            (String::from("expires_at"), whole(event.expires_at)),
        ]);
        for attempt in 0..=ATTEMPTS {
            let seen = Seen::of(self.0.get(&key).await?.as_ref());
            match &seen.event_id {
                // A call whose answer was lost.
                Some(id) if *id == event.id => return Ok(Opened::Done),
                Some(id) => {
                    let held = self.get(id, event.created_at).await?;
                    if let Some(held) = held.filter(|held| held.holds(user, &event.profile)) {
                        return Ok(Opened::Another(Box::new(held)));
                    }
                }
                None => {}
            }
            if attempt == ATTEMPTS {
                break;
            }
            let writes = [
                Write::Put { item: place.clone(), when: vec![seen.unchanged] },
                Write::Put { item: event.item(), when: vec![Test::Absent(ID)] },
            ];
            // AWS refuses a token that comes again with another condition.
            match self.0.write_all(&writes, &format!("{}-{attempt}", event.id)).await {
                Ok(()) => return Ok(Opened::Done),
                Err(error) if error.class != Class::ConditionFailed => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Opened::Taken)
    }

    /// Returns a user's event for a profile that is in force, read from the table itself and not from an index. A place
    /// record that names no such event is passed over.
    pub async fn active(&self, user: &User, profile: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        if user.user_id.is_empty() {
            return Ok(None);
        }
        let place = self.0.get(&record_key::place(&user.user_id, profile)).await?;
        let Some(id) = Seen::of(place.as_ref()).event_id else { return Ok(None) };
        Ok(self.get(&id, now).await?.filter(|event| event.holds(user, profile)))
    }

    /// Reads an event, and whether it is closed.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        if !is_id(id) {
            return Ok(None);
        }
        let (event, closure) = (Prefix::Event.key(id), Prefix::Closure.key(id));
        let (event, closure) = future::try_join(self.0.get(&event), self.0.get(&closure)).await?;
        match event {
            Some(event) => Ok(Event::read(&event, closure.as_ref(), now)),
            None => Ok(self.0.get(id).await?.and_then(|item| Event::read(&item, None, now))),
        }
    }

    /// Lists events, newest first. At least one of the filters is to be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Event>, CallError> {
        let by = [("invoker", "invoker-index", filter.invoker), ("profile", "profile-index", filter.profile)];
        let stored: Option<&[&str]> = filter.status.map(|status| match status {
            Status::Active | Status::Expired => &["active"][..],
            // In the old form the status says so itself.
            Status::Closed => &["active", "closed"],
            Status::Invalid => &["active", "closed", "expired"],
        });
        let open = matches!(filter.status, Some(Status::Active | Status::Invalid));
        let ask = Ask {
            by: &by,
            stored,
            filter: open.then(|| Test::Above("expires_at", whole(now))),
            prefixes: (Prefix::Event, Prefix::Closure),
            limit,
        };
        let wanted = |event: &Event| filter.status.is_none_or(|status| event.status == status);
        let read = |item: &Item, closure: Option<&Item>| Event::read(item, closure, now).filter(wanted);
        listing::list(&self.0, &ask, read, |event| event.created_at).await
    }

    /// Closes an event that is active. `mark` is random, and tells whose closure it is.
    pub async fn close(
        &self,
        id: &str,
        (by, reason): (&User, &str),
        mark: &str,
        now: Timestamp,
    ) -> Result<Closed, CallError> {
        let Some(event) = self.get(id, now).await? else { return Ok(Closed::Unknown) };
        match (event.status, event.problem) {
            (Status::Closed | Status::Expired, _) | (_, Some(Problem::OldForm)) => return Ok(Closed::Over(event)),
            (Status::Active | Status::Invalid, _) => {}
        }
        let key = Prefix::Closure.key(id);
        let texts = [
            (ID, key.as_str()),
            ("closed_by", &by.name),
            ("closed_by_arn", &by.arn),
            ("reason", reason),
            ("mark", mark),
        ];
        let mut closure: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        closure.insert(String::from("closed_at"), precise(now));
        closure.insert(String::from("expires_at"), whole(later(now, CLOSURE_KEPT)));
        let written = self.0.write(&Write::Put { item: closure, when: vec![Test::Absent(ID)] }).await;
        let ours = is_ours(&self.0, written, &key, mark).await?;
        Ok(match self.get(id, now).await? {
            None => Closed::Unknown,
            Some(event) if ours => Closed::Done(event),
            Some(event) => Closed::Over(event),
        })
    }
}

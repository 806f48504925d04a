//! Break-glass events: a user takes access in an emergency, and gives the reason.
//!
//! IAM restricts each role to records with its own key prefix, and no writer gains access by the content of a record. The closure of an
//! event is a separate record. The place record of a user and a profile names their only active event. It is a pointer, and has no
//! effect without an active event.

mod usage;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gate::User;
use super::is_id;
use super::listing::{self, ListQuery, Listed};
use super::time::{
    CLOCK_DIFFERENCE, as_seconds, as_seconds_if, from_seconds, from_seconds_if, later, precise, read, text, whole,
};
use super::transition::is_ours;
use crate::resource::call::{CallError, Class};
use crate::resource::names::UserId;
use crate::resource::record::{ID, Item, Records, Test, Value, Write};
use crate::resource::record_key::{self, Prefix};

pub use usage::{Excess, Usage};

/// The longest event, in seconds.
pub const LONGEST: i64 = 4 * 3600;
/// How long the records of an event are kept, in seconds. TTL must not delete an event that counts toward the daily limits.
const RETENTION: i64 = 25 * 3600;
/// How long a closure is kept, in seconds: longer than the records of its event.
const CLOSURE_RETENTION: i64 = 30 * 24 * 3600;
/// The maximum number of attempts to open an event when another process changes the place record at the same time.
const ATTEMPTS: u32 = 3;

/// The state of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Active,
    Closed,
    Expired,
    /// The record has no effect; see [`Problem`].
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

/// Why a record has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Its key has no prefix, so IAM could not restrict its writers.
    OldForm,
    /// It does not contain the ARN of its invoker.
    NoArn,
    /// It was created in the future.
    Future,
    /// Its status is not `active`, with which every event is written.
    Status,
}

impl Problem {
    /// Returns the explanation, with the fix.
    pub const fn explanation(self) -> &'static str {
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
    /// The invoker's unique ID, which is not shown.
    #[serde(skip)]
    pub invoker_id: Option<UserId>,
    pub profile: String,
    pub reason_code: String,
    pub justification: String,
    pub status: Status,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub created_at: Timestamp,
    /// The end of access, at most [`LONGEST`] after the creation.
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
    /// Why the record has no effect, if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The result of opening an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Opened {
    Done,
    /// The user already has an active event for the profile.
    Another(Box<Event>),
    /// Another process changed the place record during each attempt.
    Taken,
}

/// The result of closing an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    Done(Event),
    Unknown,
    /// It is already closed or expired, or has no effect.
    Over(Event),
}

/// Filters for a list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub invoker: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub status: Option<Status>,
}

/// The events of a table.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(pub Records<'a>);

/// A place record that was read.
struct PlaceRecord {
    event_id: Option<String>,
    /// The condition for replacing the record: it is unchanged.
    unchanged: Test,
}

impl PlaceRecord {
    fn of(item: Option<&Item>) -> Self {
        let named = item.and_then(|item| text(item, "event_id"));
        let unchanged = match (item, &named) {
            (None, _) => Test::Absent(ID),
            (Some(_), Some(id)) => Test::Is("event_id", Value::text(id)),
            // Another value is not a valid record, and can be replaced while it is not one.
            (Some(_), None) => Test::NotText("event_id"),
        };
        // A text of another form names no event, and would not be valid in a key.
        Self { event_id: named.filter(|id| is_id(id)), unchanged }
    }
}

impl Event {
    /// Parses an event and its closure. Returns `None` for an item that is not an event.
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
        // In the old form, the event itself has the status.
        let old = Some(item).filter(|_| own.is_none() && status == Status::Closed.word());
        let closure = closure.or(old);
        let closed_at = closure.and_then(|closure| read(closure, "closed_at"));
        let over = expires_at <= now;
        let status = match () {
            // A closure has effect whatever it contains, except on an event that had expired before.
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
            invoker_id: text(item, "invoker_id").map(UserId::new),
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
        item.extend(self.invoker_id.iter().map(|id| (String::from("invoker_id"), Value::text(id.as_str()))));
        item.insert(String::from("status"), Value::text(Status::Active.word()));
        item.insert(String::from("created_at"), precise(self.created_at));
        item.insert(String::from("ends_at"), whole(self.expires_at));
        item.insert(String::from("expires_at"), whole(later(self.created_at, RETENTION)));
        item
    }

    /// Returns whether the event is active for a user and a profile, which must match exactly.
    fn is_active_for(&self, user: &User, profile: &str) -> bool {
        self.status == Status::Active
            && self.invoker == user.name
            && self.invoker_arn.as_deref() == Some(user.arn.as_str())
            && user.has_id(self.invoker_id.as_ref())
            && self.profile == profile
    }
}

/// Returns the end of an event: the earliest time in the record, and at most [`LONGEST`] after the creation. Returns `None` for a record
/// without a valid time.
fn end(item: &Item, created_at: Timestamp) -> Option<Timestamp> {
    let kept_until = read(item, "expires_at")?;
    // TTL uses `expires_at`, which is after the end of the event.
    let ends_at = if item.contains_key("ends_at") { read(item, "ends_at")? } else { kept_until };
    Some(ends_at.min(kept_until).min(later(created_at, LONGEST)))
}

impl Events<'_> {
    /// Opens an event, unless the user has an active one for the profile. One transaction writes the event and the place record.
    pub async fn open(&self, event: &Event, user: &User) -> Result<Opened, CallError> {
        let key = record_key::place(&user.user_id, &event.profile);
        let place = Item::from([
            (ID.to_owned(), Value::text(&key)),
            (String::from("event_id"), Value::text(&event.id)),
            (String::from("expires_at"), whole(event.expires_at)),
        ]);
        for attempt in 0..=ATTEMPTS {
            let seen = PlaceRecord::of(self.0.get(&key).await?.as_ref());
            match &seen.event_id {
                // The response of the previous attempt was lost.
                Some(id) if *id == event.id => return Ok(Opened::Done),
                Some(id) => {
                    let active = self.get(id, event.created_at).await?;
                    if let Some(active) = active.filter(|active| active.is_active_for(user, &event.profile)) {
                        return Ok(Opened::Another(Box::new(active)));
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
            // AWS refuses a token that is reused with another condition.
            match self.0.write_all(&writes, &format!("{}-{attempt}", event.id)).await {
                Ok(()) => return Ok(Opened::Done),
                Err(error) if error.class != Class::ConditionFailed => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Opened::Taken)
    }

    /// Returns the active event of a user for a profile. Reads the table and not an index, because reads of an index are not consistent.
    pub async fn active(&self, user: &User, profile: &str, now: Timestamp) -> Result<Option<Event>, CallError> {
        if user.user_id.is_empty() {
            return Ok(None);
        }
        let place = self.0.get(&record_key::place(&user.user_id, profile)).await?;
        let Some(id) = PlaceRecord::of(place.as_ref()).event_id else { return Ok(None) };
        Ok(self.get(&id, now).await?.filter(|event| event.is_active_for(user, profile)))
    }

    /// Reads an event and its closure.
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

    /// Lists events, newest first. At least one filter must be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Event>, CallError> {
        let by = [("invoker", "invoker-index", filter.invoker), ("profile", "profile-index", filter.profile)];
        let stored: Option<&[&str]> = filter.status.map(|status| match status {
            Status::Active | Status::Expired => &["active"][..],
            // In the old form, a closed event has this status.
            Status::Closed => &["active", "closed"],
            Status::Invalid => &["active", "closed", "expired"],
        });
        let open = matches!(filter.status, Some(Status::Active | Status::Invalid));
        let ask = ListQuery {
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

    /// Closes an active event. `mark` is random, and identifies the closure of this call.
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
        closure.insert(String::from("expires_at"), whole(later(now, CLOSURE_RETENTION)));
        let written = self.0.write(&Write::Put { item: closure, when: vec![Test::Absent(ID)] }).await;
        let ours = is_ours(&self.0, written, &key, mark).await?;
        Ok(match self.get(id, now).await? {
            None => Closed::Unknown,
            Some(event) if ours => Closed::Done(event),
            Some(event) => Closed::Over(event),
        })
    }
}

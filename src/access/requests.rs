//! Approval requests: someone asks for a profile, someone else says yes or no.

use jiff::Timestamp;
use serde::Serialize;

use super::listing::{Ask, Listed, Wanted, list};
use super::time::{as_seconds, as_seconds_if, later, precise, read, text, whole};
use super::transition::{create, settled};
use crate::resource::call::CallError;
use crate::resource::record::{ID, Item, Query, Records, Test, Value, Write};

/// How long a request waits for an answer, in seconds.
pub const WAITS: i64 = 24 * 3600;
/// The longest access that can be asked for, in seconds.
pub const LONGEST: i64 = 8 * 3600;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Approved,
    Denied,
    Cancelled,
    /// Nobody answered in time, or the access that was approved is over.
    Expired,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::Cancelled, Self::Expired];

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    fn wanted(self) -> Wanted {
        match self {
            Self::Pending | Self::Approved => Wanted::Open(self.word()),
            Self::Denied | Self::Cancelled => Wanted::Final(self.word()),
            Self::Expired => Wanted::Expired(&["pending", "approved"]),
        }
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    pub id: String,
    pub requester: String,
    pub profile: String,
    pub justification: String,
    /// How long the access lasts once it is approved, in seconds.
    pub duration: i64,
    pub status: Status,
    #[serde(serialize_with = "as_seconds")]
    pub created_at: Timestamp,
    /// While it is pending, until when it can be answered; once it is approved, until when the access lasts.
    #[serde(serialize_with = "as_seconds")]
    pub expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    #[serde(serialize_with = "as_seconds_if", skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// An answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Approve,
    Deny,
    /// The requester's own.
    Cancel,
}

/// How answering a request ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    Done(Request),
    /// There is no such request.
    Unknown,
    /// It is the answerer's own, which only they can cancel and only others can decide.
    Own(Request),
    /// It is not the answerer's own, which only its requester can cancel.
    NotOwn(Request),
    /// It has been answered, or has run out.
    Over(Request),
}

/// Which requests to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    pub requester: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub status: Option<Status>,
}

/// The requests of a table.
#[derive(Debug, Clone, Copy)]
pub struct Requests<'a>(pub Records<'a>);

impl Request {
    /// Reads a record as it stands at a time.
    fn read(item: &Item, now: Timestamp) -> Option<Self> {
        let word = text(item, "status")?;
        let stored = Status::ALL.into_iter().find(|status| status.word() == word)?;
        let expires_at = read(item, "expires_at")?;
        let over = expires_at <= now && matches!(stored, Status::Pending | Status::Approved);
        let Value::Number(duration) = item.get("duration")? else { return None };
        Some(Self {
            id: text(item, ID)?,
            requester: text(item, "requester")?,
            profile: text(item, "profile")?,
            justification: text(item, "justification").unwrap_or_default(),
            duration: duration.parse().ok()?,
            status: if over { Status::Expired } else { stored },
            created_at: read(item, "created_at")?,
            expires_at,
            decided_by: text(item, "decided_by"),
            decided_at: read(item, "decided_at"),
            comment: text(item, "comment"),
        })
    }

    fn item(&self) -> Item {
        let texts = [
            (ID, &self.id),
            ("requester", &self.requester),
            ("profile", &self.profile),
            ("justification", &self.justification),
        ];
        let mut item: Item = texts.map(|(name, text)| (name.to_owned(), Value::text(text))).into();
        item.insert(String::from("status"), Value::text(self.status.word()));
        item.insert(String::from("duration"), Value::number(self.duration));
        item.insert(String::from("created_at"), precise(self.created_at));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }
}

impl Requests<'_> {
    /// Writes a new request.
    pub async fn create(&self, request: &Request) -> Result<(), CallError> {
        create(&self.0, request.item()).await
    }

    /// Reads a request.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Request>, CallError> {
        Ok(self.0.get(id).await?.and_then(|item| Request::read(&item, now)))
    }

    /// Lists requests, newest first. At least one of the filters is to be given.
    pub async fn list(&self, filter: &Filter<'_>, limit: usize, now: Timestamp) -> Result<Listed<Request>, CallError> {
        let by = [("requester", "requester-index", filter.requester), ("profile", "profile-index", filter.profile)];
        let ask = Ask { by: &by, status: filter.status.map(Status::wanted), order: "created_at", limit, now };
        Ok(list(&self.0, &ask).await?.read(|item| Request::read(&item, now)))
    }

    /// Returns an approved request of a user for a profile whose access lasts.
    ///
    /// The index lags a little behind the table: what it shows is read again from the table itself.
    pub async fn approved(&self, user: &str, profile: &str, now: Timestamp) -> Result<Option<Request>, CallError> {
        let query = Query {
            index: "requester-index",
            key: ("requester", Value::text(user)),
            // None that is older can still be in force.
            from: Some(("created_at", whole(later(now, -WAITS - LONGEST)))),
            filter: vec![
                Test::Is("profile", Value::text(profile)),
                Test::Is("status", Value::text(Status::Approved.word())),
                Test::Above("expires_at", whole(now)),
            ],
        };
        let mut start = None;
        loop {
            let page = self.0.page(&query, None, start).await?;
            for id in page.items.iter().filter_map(|item| text(item, ID)) {
                let holds = |request: &Request| {
                    request.status == Status::Approved && request.requester == user && request.profile == profile
                };
                if let Some(request) = self.get(&id, now).await?.filter(holds) {
                    return Ok(Some(request));
                }
            }
            start = page.next;
            if start.is_none() {
                return Ok(None);
            }
        }
    }

    /// Answers a request, if it is still pending: whoever is first wins. `mark` is random, and tells whose answer it is.
    pub async fn answer(
        &self,
        id: &str,
        answer: Answer,
        (by, comment): (&str, Option<&str>),
        mark: &str,
        now: Timestamp,
    ) -> Result<Answered, CallError> {
        let Some(request) = self.get(id, now).await? else { return Ok(Answered::Unknown) };
        let own = request.requester == by;
        match answer {
            Answer::Approve | Answer::Deny if own => return Ok(Answered::Own(request)),
            Answer::Cancel if !own => return Ok(Answered::NotOwn(request)),
            _ if request.status != Status::Pending => return Ok(Answered::Over(request)),
            _ => {}
        }
        let status = match answer {
            Answer::Approve => Status::Approved,
            Answer::Deny => Status::Denied,
            Answer::Cancel => Status::Cancelled,
        };
        let whose = match answer {
            Answer::Cancel => Test::Is("requester", Value::text(by)),
            _ => Test::IsNot("requester", Value::text(by)),
        };
        let mut set = vec![
            ("status", Value::text(status.word())),
            ("decided_by", Value::text(by)),
            ("decided_at", precise(now)),
            ("decision", Value::text(mark)),
        ];
        set.extend(comment.map(|comment| ("comment", Value::text(comment))));
        if answer == Answer::Approve {
            set.push(("expires_at", whole(later(now, request.duration))));
        }
        let pending = Test::Is("status", Value::text(Status::Pending.word()));
        let when = vec![pending, Test::Above("expires_at", whole(now)), whose];
        let written = self.0.write(&Write::Set { id: id.to_owned(), set, when }).await;
        // Also where the write went through: what is shown is what stands there.
        let Some(after) = settled(&self.0, written, id, ("decision", mark)).await? else {
            return Ok(Answered::Unknown);
        };
        Ok(match Request::read(&after.item, now) {
            None => Answered::Unknown,
            Some(request) if after.ours => Answered::Done(request),
            Some(request) => Answered::Over(request),
        })
    }
}

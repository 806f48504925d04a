//! Locks: lock a user, end a lock, list.

use serde::{Deserialize, Serialize};

use super::{Desk, Effect, InvalidField, Operation, Right, check_profile, check_text_if, new_id};
use crate::access::gate::Stopped;
use crate::access::locks::{self as records, Changed, LockSubject, Locks, Unknown};
use crate::resource::caller::name_of;
use crate::resource::role::is_name;

fn locks<'a>(desk: &'a Desk<'_>) -> Locks<'a> {
    Locks(desk.gateway.records(&desk.tables.approvals))
}

/// The result of an operation on locks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    Ended(T),
    /// The lock is the user's own, whose ARN this is: nobody locks or unlocks themselves.
    Own(String),
    /// The record cannot be parsed, and why.
    Unreadable(String),
}

impl<T> Outcome<T> {
    fn of(ended: Result<T, Unknown>) -> Result<Self, Stopped> {
        match ended {
            Ok(ended) => Ok(Self::Ended(ended)),
            Err(Unknown::Unreadable(why)) => Ok(Self::Unreadable(why)),
            Err(Unknown::Call(error)) => Err(Stopped::Call(error)),
        }
    }
}

fn check_user(user: &str) -> Result<(), InvalidField> {
    let fits = if user.starts_with("arn:") { name_of(user).is_some() } else { is_name(user) };
    if fits && user.len() <= 2048 { Ok(()) } else { Err(InvalidField("user")) }
}

/// A change of a lock.
#[derive(Debug, Clone, Copy)]
enum Change<'a> {
    Lock { reason: Option<&'a str> },
    Unlock,
}

/// Changes the lock of another user.
async fn change(desk: &Desk<'_>, of: LockSubject<'_>, change: Change<'_>) -> Result<Outcome<Changed>, Stopped> {
    desk.need(&[Right::Operate])?;
    desk.known_profile(of.profile)?;
    let by = desk.user().await?;
    if records::is_own(of.user, by.actor()) {
        return Ok(Outcome::Own(by.arn.clone()));
    }
    let mark = new_id()?;
    Outcome::of(match change {
        Change::Lock { reason } => locks(desk).lock(of, reason, by.actor(), &mark, desk.now).await,
        Change::Unlock => locks(desk).unlock(of, by.actor(), &mark, desk.now).await,
    })
}

/// Locks a user out of a profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub user: String,
    pub profile: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Operation for Lock {
    const NAME: &'static str = "lock";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Outcome<Changed>;

    fn check(&self) -> Result<(), InvalidField> {
        check_user(&self.user)?;
        check_profile(&self.profile)?;
        check_text_if("reason", self.reason.as_ref(), (1, 500))
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Outcome<Changed>, Stopped> {
        let of = LockSubject { user: &self.user, profile: &self.profile };
        change(desk, of, Change::Lock { reason: self.reason.as_deref() }).await
    }

    fn is_done(answer: &Self::Answer) -> bool {
        matches!(answer, Outcome::Ended(Changed::Done(_)))
    }
}

/// Ends the lock of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    pub user: String,
    pub profile: String,
}

impl Operation for Unlock {
    const NAME: &'static str = "unlock";
    const EFFECT: Effect = Effect::Writes;
    type Answer = Outcome<Changed>;

    fn check(&self) -> Result<(), InvalidField> {
        check_user(&self.user)?;
        check_profile(&self.profile)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Outcome<Changed>, Stopped> {
        let of = LockSubject { user: &self.user, profile: &self.profile };
        change(desk, of, Change::Unlock).await
    }

    fn is_done(answer: &Self::Answer) -> bool {
        matches!(answer, Outcome::Ended(Changed::Done(_)))
    }
}

/// Lists the locks of a profile.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    pub profile: String,
}

impl Operation for List {
    const NAME: &'static str = "locks";
    const EFFECT: Effect = Effect::Reads;
    type Answer = Outcome<Vec<records::Lock>>;

    fn check(&self) -> Result<(), InvalidField> {
        check_profile(&self.profile)
    }

    async fn perform(&self, desk: &Desk<'_>) -> Result<Self::Answer, Stopped> {
        desk.need(&[Right::Approve, Right::Operate])?;
        desk.known_profile(&self.profile)?;
        Outcome::of(locks(desk).of(&self.profile).await)
    }
}

//! Locks: a locked user gets no credentials of a profile, whatever the policy, an approval or a break-glass event allows.
//!
//! The locks of a profile are one record, so that a gate can read them before it knows the user. An active lock is never deleted, and an
//! ended one is kept for a while, with the user who ended it.

use std::time::Duration;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::approval::Actor;
use super::requests::MARK;
use super::time::{as_seconds, as_seconds_if, text};
use crate::provider::Gateway;
use crate::resource::call::{CallError, Class};
use crate::resource::caller::folded;
use crate::resource::record::{ID, Item, Records, Test, Value, Write};
use crate::resource::record_key::Prefix;

/// The maximum number of ended locks that are kept for a profile.
const ENDED: usize = 100;
/// The maximum number of attempts of a change when others change the record at the same time.
const ATTEMPTS: u32 = 10;

/// A table that can contain locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTable {
    pub name: String,
    pub found: LockTableSource,
}

/// Why a table is read for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockTableSource {
    /// An option or a variable names it. It is an error if it does not exist.
    Named,
    /// It is the default. If it does not exist, there are no locks.
    Usual,
    /// It is read in addition to the default. It may not exist, and the user may have no permission for it.
    Beside,
}

impl LockTableSource {
    /// Returns whether a failure to read the table means that it contains no locks.
    fn passes(self, class: Class) -> bool {
        match self {
            Self::Named => false,
            Self::Usual => class == Class::NotFound,
            Self::Beside => matches!(class, Class::NotFound | Class::Denied),
        }
    }
}

/// A lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// A user's name or ARN.
    pub user: String,
    #[serde(default)]
    pub profile: String,
    pub locked_by: String,
    pub locked_by_arn: String,
    #[serde(serialize_with = "as_seconds", deserialize_with = "super::time::from_seconds")]
    pub locked_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocked_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlocked_by_arn: Option<String>,
    #[serde(
        default,
        serialize_with = "as_seconds_if",
        deserialize_with = "super::time::from_seconds_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub unlocked_at: Option<Timestamp>,
}

impl Lock {
    /// Returns the message that it locks a user.
    pub fn message(&self, name: &str) -> String {
        let why = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let at = self.locked_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("{name} is locked out of {} by {} since {at}{why}", self.profile, self.locked_by)
    }

    /// Returns whether it is active. Its end has no effect if the user ended it themselves, or if it does not name a user.
    pub fn in_force(&self) -> bool {
        let (Some(by), Some(arn), Some(_)) = (&self.unlocked_by, &self.unlocked_by_arn, self.unlocked_at) else {
            return true;
        };
        by.is_empty() || arn.is_empty() || is_own(&self.user, Actor { name: by, arn })
    }
}

/// Returns whether a lock is for this user, by name or by ARN, without regard to case.
pub fn is_of(subject: &str, user: Actor<'_>) -> bool {
    if subject.starts_with("arn:") {
        return folded(subject) == folded(user.arn);
    }
    user.is(Actor { name: subject, arn: "" })
}

/// Returns whether users would lock or unlock themselves, in any role.
pub fn is_own(subject: &str, user: Actor<'_>) -> bool {
    is_of(subject, user) || (subject.starts_with("arn:") && user.is(Actor { name: "", arn: subject }))
}

/// The user and the profile of a lock.
#[derive(Debug, Clone, Copy)]
pub struct LockSubject<'a> {
    /// A user's name or ARN.
    pub user: &'a str,
    pub profile: &'a str,
}

/// The result of changing a lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Done(Lock),
    /// The user is already locked.
    Already(Lock),
    /// The user is not locked.
    Not,
}

/// Why it is not known whether a user is locked.
#[derive(Debug, Clone)]
pub enum Unknown {
    Call(CallError),
    /// The record cannot be parsed.
    Unreadable(String),
}

/// The locks of a table.
#[derive(Debug, Clone, Copy)]
pub struct Locks<'a>(pub Records<'a>);

/// Reads the locks of a profile from all tables that can contain some, concurrently.
///
/// # Errors
///
/// Fails with the table that cannot be read.
pub async fn read<'a>(
    gateway: &Gateway,
    tables: &'a [LockTable],
    profile: &str,
) -> Result<Vec<Lock>, (&'a LockTable, Unknown)> {
    let reads = tables.iter().map(|table| async move {
        match Locks(gateway.records(&table.name)).of(profile).await {
            Err(Unknown::Call(error)) if table.found.passes(error.class) => Ok(Vec::new()),
            read => read.map_err(|unknown| (table, unknown)),
        }
    });
    let read: Result<Vec<_>, _> = future::join_all(reads).await.into_iter().collect();
    Ok(read?.concat())
}

/// Returns the active lock of a user.
pub fn of<'a>(locks: &'a [Lock], user: Actor<'_>) -> Option<&'a Lock> {
    locks.iter().find(|lock| lock.in_force() && is_of(&lock.user, user))
}

fn parse(item: &Item, profile: &str) -> Result<Vec<Lock>, Unknown> {
    let unreadable = |why: &str| Unknown::Unreadable(format!("the record of the locks of {profile} {why}"));
    let listed = text(item, "locks").ok_or_else(|| unreadable("has no `locks`"))?;
    let locks: Result<Vec<Lock>, _> = serde_json::from_str(&listed);
    let locks = locks.map_err(|error| unreadable(&format!("cannot be understood: {error}")))?;
    Ok(locks.into_iter().map(|lock| Lock { profile: profile.to_owned(), ..lock }).collect())
}

impl Locks<'_> {
    /// Returns all locks of a profile, including those that have ended.
    pub async fn of(&self, profile: &str) -> Result<Vec<Lock>, Unknown> {
        match self.0.get(&Prefix::Lock.key(profile)).await.map_err(Unknown::Call)? {
            None => Ok(Vec::new()),
            Some(item) => parse(&item, profile),
        }
    }

    /// Locks a user out of a profile. `mark` is random.
    pub async fn lock(
        &self,
        LockSubject { user, profile }: LockSubject<'_>,
        reason: Option<&str>,
        by: Actor<'_>,
        mark: &str,
        now: Timestamp,
    ) -> Result<Changed, Unknown> {
        let lock = Lock {
            user: user.to_owned(),
            profile: profile.to_owned(),
            locked_by: by.name.to_owned(),
            locked_by_arn: by.arn.to_owned(),
            locked_at: now,
            reason: reason.map(str::to_owned),
            unlocked_by: None,
            unlocked_by_arn: None,
            unlocked_at: None,
        };
        self.change(profile, mark, |locks| match entry(locks, user) {
            Some(at) if locks[at].in_force() => Changed::Already(locks[at].clone()),
            at => {
                at.map(|at| locks.remove(at));
                locks.push(lock.clone());
                Changed::Done(lock.clone())
            }
        })
        .await
    }

    /// Ends a lock. `mark` is random.
    pub async fn unlock(
        &self,
        LockSubject { user, profile }: LockSubject<'_>,
        by: Actor<'_>,
        mark: &str,
        now: Timestamp,
    ) -> Result<Changed, Unknown> {
        self.change(profile, mark, |locks| match entry(locks, user).filter(|at| locks[*at].in_force()) {
            None => Changed::Not,
            Some(at) => {
                let lock = &mut locks[at];
                (lock.unlocked_by, lock.unlocked_by_arn) = (Some(by.name.to_owned()), Some(by.arn.to_owned()));
                lock.unlocked_at = Some(now);
                Changed::Done(lock.clone())
            }
        })
        .await
    }

    async fn change(
        &self,
        profile: &str,
        mark: &str,
        change: impl Fn(&mut Vec<Lock>) -> Changed,
    ) -> Result<Changed, Unknown> {
        let key = Prefix::Lock.key(profile);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let seen = self.0.get(&key).await.map_err(Unknown::Call)?;
            let mut locks = seen.as_ref().map(|item| parse(item, profile)).transpose()?.unwrap_or_default();
            let changed = change(&mut locks);
            let Changed::Done(_) = changed else { return Ok(changed) };
            let ended = locks.iter().filter(|lock| !lock.in_force()).count();
            let mut surplus = ended.saturating_sub(ENDED);
            locks.retain(|lock| {
                let goes = surplus > 0 && !lock.in_force();
                surplus -= usize::from(goes);
                !goes
            });
            let text_of = serde_json::to_string(&locks).map_err(|error| Unknown::Unreadable(error.to_string()))?;
            // Without an `expires_at`: TTL must never end a lock.
            let item = Item::from([
                (ID.to_owned(), Value::text(&key)),
                (String::from("locks"), Value::text(text_of)),
                (MARK.to_owned(), Value::text(format!("{mark}-{attempts}"))),
            ]);
            let when = match seen.as_ref().map(|item| text(item, MARK)) {
                None => Test::Absent(ID),
                Some(None) => Test::Absent(MARK),
                Some(Some(seen)) => Test::Is(MARK, Value::text(seen)),
            };
            let error = match self.0.write(&Write::Put { item, when: vec![when] }).await {
                Ok(()) => return Ok(changed),
                Err(error) => error,
            };
            if error.class != Class::ConditionFailed {
                return Err(Unknown::Call(error));
            }
            // The condition also fails if a previous attempt was made and its response was lost.
            let there = self.0.get(&key).await.map_err(Unknown::Call)?;
            let there = there.and_then(|item| text(&item, MARK)).unwrap_or_default();
            if there == format!("{mark}-{attempts}") {
                return Ok(changed);
            }
            if attempts == ATTEMPTS {
                return Err(Unknown::Call(error));
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50) * u64::from(attempts))).await;
        }
    }
}

/// Returns the index of the lock of a user in a list. A name and an ARN have separate locks.
fn entry(locks: &[Lock], user: &str) -> Option<usize> {
    locks.iter().position(|lock| folded(&lock.user) == folded(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "arn:aws:iam::123456789012:user/alice";
    const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/Admin/Alice";

    #[test]
    fn a_lock_on_a_name_covers_all_identities_and_one_on_an_arn_only_that_identity() {
        let (alice, session) = (Actor { name: "alice", arn: ALICE }, Actor { name: "Alice", arn: SESSION });
        for (subject, of_alice, of_session) in [
            ("alice", true, true),
            ("ALICE", true, true),
            (ALICE, true, false),
            ("arn:aws:iam::123456789012:user/ALICE", true, false),
            (SESSION, false, true),
            ("bob", false, false),
            ("", false, false),
        ] {
            assert_eq!((is_of(subject, alice), is_of(subject, session)), (of_alice, of_session), "{subject}");
        }
        // A person cannot change their own lock in any role.
        assert!(is_own(ALICE, session) && is_own(SESSION, alice) && is_own("Alice", alice));
        assert!(!is_own("bob", alice) && !is_own("arn:aws:iam::123456789012:user/bob", alice));
    }
}

//! Locks: users who get no credentials of a profile, whatever its policy, an approval or a break-glass event says.
//!
//! The locks of a profile are one record, so that a gate can read them before it knows who asks. An entry is never taken out
//! while it is in force, and one that has ended stays for a while, with who ended it.

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

/// So many locks that have ended are remembered for a profile.
const ENDED: usize = 100;
/// How often a change is tried anew because someone else made one in between.
const TRIES: u32 = 10;

/// A table to look for locks in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockTable {
    pub name: String,
    pub found: LockTableSource,
}

/// Why a table is looked at for locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockTableSource {
    /// A flag or a variable names it: it is an error if it is not there.
    Named,
    /// It is the usual one: it holds no lock if it is not there.
    Usual,
    /// It is looked at beside the usual one: it may not be there, and the user may have no permission for it.
    Beside,
}

impl LockTableSource {
    /// Returns whether a failure to read the table means that it holds no lock.
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
    /// Says that it is in force for someone.
    pub fn words(&self, name: &str) -> String {
        let why = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let at = self.locked_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("{name} is locked out of {} by {} since {at}{why}", self.profile, self.locked_by)
    }

    /// Returns whether it is in force. Nobody ends a lock of their own, and an end that nobody signed is none.
    pub fn in_force(&self) -> bool {
        let (Some(by), Some(arn), Some(_)) = (&self.unlocked_by, &self.unlocked_by_arn, self.unlocked_at) else {
            return true;
        };
        by.is_empty() || arn.is_empty() || is_own(&self.user, Actor { name: by, arn })
    }
}

/// Returns whether someone is who a lock is for: by name or by ARN, without the difference between capital and small letters.
pub fn is_of(subject: &str, user: Actor<'_>) -> bool {
    if subject.starts_with("arn:") {
        return folded(subject) == folded(user.arn);
    }
    user.is(Actor { name: subject, arn: "" })
}

/// Returns whether someone would lock or unlock themselves, in whichever role they do it.
pub fn is_own(subject: &str, user: Actor<'_>) -> bool {
    is_of(subject, user) || (subject.starts_with("arn:") && user.is(Actor { name: "", arn: subject }))
}

/// Whom a lock is for, and of what.
#[derive(Debug, Clone, Copy)]
pub struct LockSubject<'a> {
    /// A user's name or ARN.
    pub user: &'a str,
    pub profile: &'a str,
}

/// How changing a lock ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Done(Lock),
    /// It is locked already.
    Already(Lock),
    /// It is not locked.
    Not,
}

/// Why it is not known whether someone is locked.
#[derive(Debug, Clone)]
pub enum Unknown {
    Call(CallError),
    /// The record says nothing that can be understood.
    Unreadable(String),
}

/// The locks of a table.
#[derive(Debug, Clone, Copy)]
pub struct Locks<'a>(pub Records<'a>);

/// Reads the locks of a profile from all tables that may hold some, at once.
///
/// # Errors
///
/// Fails with the table whose locks are not known.
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

/// Returns the lock that is in force for someone.
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
    /// Returns all locks of a profile, also those that have ended.
    pub async fn of(&self, profile: &str) -> Result<Vec<Lock>, Unknown> {
        match self.0.get(&Prefix::Lock.key(profile)).await.map_err(Unknown::Call)? {
            None => Ok(Vec::new()),
            Some(item) => parse(&item, profile),
        }
    }

    /// Locks someone out of a profile. `mark` is random.
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
        let mut tries = 0;
        loop {
            tries += 1;
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
                (MARK.to_owned(), Value::text(format!("{mark}-{tries}"))),
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
            // A write whose answer was lost fails on what it did itself.
            let there = self.0.get(&key).await.map_err(Unknown::Call)?;
            let there = there.and_then(|item| text(&item, MARK)).unwrap_or_default();
            if there == format!("{mark}-{tries}") {
                return Ok(changed);
            }
            if tries == TRIES {
                return Err(Unknown::Call(error));
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50) * u64::from(tries))).await;
        }
    }
}

/// Returns where the lock of a user is in a list. A name and an ARN are locked each for itself.
fn entry(locks: &[Lock], user: &str) -> Option<usize> {
    locks.iter().position(|lock| folded(&lock.user) == folded(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "arn:aws:iam::123456789012:user/alice";
    const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/Admin/Alice";

    #[test]
    fn a_name_locks_a_person_and_an_arn_one_identity_of_theirs() {
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
        // Who changes a lock is not the person it is for, in no role.
        assert!(is_own(ALICE, session) && is_own(SESSION, alice) && is_own("Alice", alice));
        assert!(!is_own("bob", alice) && !is_own("arn:aws:iam::123456789012:user/bob", alice));
    }
}

//! Approval requests: a user requests access to a profile, and another user approves, denies or revokes the request.
//!
//! The request, the decision and the revocation are separate records. [`super::approval`] evaluates them.

use std::time::Duration;

use futures_util::future;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use super::approval::{Actor, LONGEST, Request, Status, Verdict, WAITS};
use super::approval::{Decided, Found, Submitted, Terms};
use super::gate::User;
use super::is_id;
use super::time::{later, precise, text, whole};
use super::transition::create;
use crate::resource::call::{CallError, Class};
use crate::resource::record::{AT_ONCE, ID, Item, Query, Records, Test, Value, Write};
use crate::resource::record_key::Prefix;

/// The attribute with a random text that identifies the writer if the response to a write was lost.
pub(super) const MARK: &str = "mark";
/// The maximum number of decisions in the index of a user and a profile, all of which the gate reads.
const IN_FORCE: usize = 20;
/// The maximum number of attempts to write a decision when others change the index at the same time.
const ATTEMPTS: u32 = 10;
/// The maximum number of records that are checked for the old form after a refusal.
const OLD: i32 = 100;

/// The content of a new request.
#[derive(Debug, Clone, Copy)]
pub struct NewRequest<'a> {
    pub by: &'a User,
    pub profile: &'a str,
    pub justification: &'a str,
    /// In seconds.
    pub duration: i64,
}

/// The result of reading a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestLookup {
    Request(Box<Request>),
    /// Nothing.
    Nothing,
    /// A record of the old form, which has no effect, because its requester could have written all of it.
    Old {
        profile: Option<String>,
    },
    /// A record that this program did not write in this form, and why.
    Malformed(String),
}

/// The result of a change of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    Done(Box<Request>),
    /// There is no request that could be changed.
    Not(RequestLookup),
    /// The request is the user's own, which only others can decide.
    Own(Box<Request>),
    /// The request is of another account, and only users of that account can decide it.
    OtherAccount(Box<Request>),
    /// The request is not the user's own, and only its requester can cancel it.
    NotOwn(Box<Request>),
    /// The status of the request does not allow the change.
    Over(Box<Request>),
}

/// A decision on a request, with a comment.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub verdict: Verdict,
    pub comment: Option<&'a str>,
}

/// The approvals of a user for a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InForce {
    /// The approved request whose access ends last.
    pub request: Option<Request>,
    /// The ID of an approved request of another user, who had the same ARN before.
    pub of_another: Option<String>,
}

/// The requests of a table.
#[derive(Debug, Clone, Copy)]
pub struct Requests<'a>(pub Records<'a>);

/// Returns the key of the index of the decisions for a user and a profile. With it, the gate reads by keys only: other records could slow
/// down a query.
fn index_key(requester: Actor<'_>, profile: &str) -> String {
    // An ARN contains no NUL, so two different pairs have different texts.
    let digest = hex::encode(Sha256::digest(format!("{}\0{profile}", requester.arn)));
    Prefix::Decision.key(&format!("for-{}", &digest[..32]))
}

/// An entry of the index.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The ID of the decision's request.
    id: String,
    /// The end of the access, in seconds since 1970.
    ends: i64,
}

/// Parses the index, and omits entries that are not valid.
fn entries(index: Option<&Item>) -> Vec<Entry> {
    let listed = index.and_then(|index| text(index, "decisions")).unwrap_or_default();
    let entry = |part: &str| {
        let (id, ends) = part.split_once(':')?;
        Some(Entry { id: id.to_owned(), ends: ends.parse().ok()? }).filter(|entry| is_id(&entry.id))
    };
    listed.split(' ').filter_map(entry).take(IN_FORCE).collect()
}

/// Returns the index with a new decision, and without expired ones.
fn with_entry(index: Option<&Item>, new: Entry, now: Timestamp) -> String {
    let mut all = entries(index);
    all.retain(|other| other.ends > now.as_second() && other.id != new.id);
    all.push(new);
    // If there are too many, the decisions whose access ends first are omitted.
    all.sort_by_key(|entry| std::cmp::Reverse(entry.ends));
    all.truncate(IN_FORCE);
    let all: Vec<String> = all.iter().map(|Entry { id, ends }| format!("{id}:{ends}")).collect();
    all.join(" ")
}

impl Requests<'_> {
    /// Writes a new request.
    pub async fn create(&self, id: &str, new: NewRequest<'_>, now: Timestamp) -> Result<Request, CallError> {
        let terms = Terms {
            requester: new.by.name.clone(),
            requester_arn: new.by.arn.clone(),
            requester_id: new.by.id_to_record(),
            profile: new.profile.to_owned(),
            justification: new.justification.to_owned(),
            duration: new.duration,
            created_at: now,
        };
        let expires_at = terms.kept_until();
        let submitted = Submitted { terms, cancelled: false, expires_at };
        let item = submitted.item(id);
        create(&self.0, item.clone()).await?;
        let found = Found { request: Some(item), ..Found::default() };
        let malformed = |why: String| CallError::new(crate::resource::call::PUT_ITEM, Class::Rejected, why);
        let read = found.judged(id, now).map_err(malformed)?;
        read.ok_or_else(|| malformed(String::from("the request has no record")))
    }

    async fn found(&self, id: &str) -> Result<Found, CallError> {
        let [request, decision, revocation] = Found::keys(id);
        let reads = [self.0.get(&request), self.0.get(&decision), self.0.get(&revocation)];
        let [request, decision, revocation] = <[_; 3]>::try_from(future::join_all(reads).await)
            .map_err(|_| CallError::new(crate::resource::call::GET_ITEM, Class::Rejected, "an answer is missing"))?;
        Ok(Found { request: request?, decision: decision?, revocation: revocation? })
    }

    /// Returns the records of several requests, in the order of the IDs.
    pub(super) async fn all_found(&self, ids: &[String]) -> Result<Vec<Found>, CallError> {
        let chunk = |ids: &[String]| {
            let keys: Vec<String> = ids.iter().flat_map(|id| Found::keys(id)).collect();
            async move { self.0.get_all(&keys).await }
        };
        let mut found = Vec::new();
        let chunks: Vec<&[String]> = ids.chunks(AT_ONCE / 3).collect();
        for chunks in chunks.chunks(4) {
            let answers = future::join_all(chunks.iter().map(|ids| chunk(ids))).await;
            for (ids, answer) in chunks.iter().zip(answers) {
                match answer {
                    Ok(items) => {
                        let mut items = items.into_iter();
                        let mut next = || items.next().flatten();
                        found.extend(ids.iter().map(|_| {
                            let (request, decision, revocation) = (next(), next(), next());
                            Found { request, decision, revocation }
                        }));
                    }
                    // Together they exceed the size limit of one call, which a writer of large records can cause.
                    Err(error) if error.class == Class::Rejected => {
                        for id in *ids {
                            found.push(self.found(id).await?);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }

    async fn known(&self, id: &str, found: &Found, now: Timestamp) -> Result<RequestLookup, CallError> {
        match found.judged(id, now) {
            Ok(Some(request)) => Ok(RequestLookup::Request(Box::new(request))),
            Err(why) => Ok(RequestLookup::Malformed(why)),
            Ok(None) if id.contains('#') || id.is_empty() => Ok(RequestLookup::Nothing),
            Ok(None) => Ok(match self.0.get(id).await? {
                Some(old) => RequestLookup::Old { profile: text(&old, "profile") },
                None => RequestLookup::Nothing,
            }),
        }
    }

    /// Reads a request with its decision and its revocation.
    pub async fn get(&self, id: &str, now: Timestamp) -> Result<RequestLookup, CallError> {
        let found = self.found(id).await?;
        self.known(id, &found, now).await
    }

    /// Returns the approved request of a user for a profile whose access ends last.
    ///
    /// It reads by keys only, so other records in the table cannot slow it down.
    pub async fn in_force(&self, user: &User, profile: &str, now: Timestamp) -> Result<InForce, CallError> {
        let index = self.0.get(&index_key(user.actor(), profile)).await?;
        let listed = entries(index.as_ref()).into_iter().filter(|entry| entry.ends > now.as_second());
        let ids: Vec<String> = listed.map(|entry| entry.id).collect();
        let (mut granted, mut of_another, mut failed): (Option<Request>, _, _) = (None, None, None);
        for (id, found) in ids.iter().zip(future::join_all(ids.iter().map(|id| self.found(id))).await) {
            match found.map(|found| found.judged(id, now).ok().flatten()) {
                Ok(Some(request)) if request.allows(user, profile) && !user.has_id(request.requester_id.as_ref()) => {
                    of_another = Some(request.id);
                }
                Ok(Some(request)) if request.allows(user, profile) => {
                    let longer = granted.as_ref().is_none_or(|other| other.expires_at < request.expires_at);
                    granted = if longer { Some(request) } else { granted };
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        match (granted, failed) {
            (None, Some(error)) => Err(error),
            (request, _) => Ok(InForce { request, of_another }),
        }
    }

    /// Returns the ID of an approved request of the old form among the newest of a user, to explain that it has no effect.
    pub async fn old_form(&self, user: Actor<'_>, profile: &str, now: Timestamp) -> Result<Option<String>, CallError> {
        let query = Query {
            index: "requester-index",
            key: ("requester", Value::text(user.name)),
            from: Some(("created_at", whole(later(now, -WAITS - LONGEST)))),
            filter: vec![
                Test::Is("profile", Value::text(profile)),
                Test::Is("status", Value::text(Status::Approved.word())),
                Test::Above("expires_at", whole(now)),
            ],
        };
        let page = self.0.page(&query, Some(OLD), None).await?;
        Ok(page.items.iter().filter_map(|item| text(item, ID)).find(|key| is_id(key)))
    }

    /// Approves or denies the pending request of another user. Of concurrent decisions, the first succeeds. `mark` is random.
    pub async fn decide(
        &self,
        id: &str,
        answer: Answer<'_>,
        user: &User,
        mark: &str,
        now: Timestamp,
    ) -> Result<Answered, CallError> {
        let found = self.found(id).await?;
        let request = match self.known(id, &found, now).await? {
            RequestLookup::Request(request) => request,
            other => return Ok(Answered::Not(other)),
        };
        let by = user.actor();
        if by.is(request.requester()) || user.owns_id(request.requester_id.as_ref()) {
            return Ok(Answered::Own(request));
        }
        if !by.shares_account(&request.requester_arn) {
            return Ok(Answered::OtherAccount(request));
        }
        if request.status != Status::Pending {
            return Ok(Answered::Over(request));
        }
        let terms = Terms {
            requester: request.requester,
            requester_arn: request.requester_arn,
            requester_id: request.requester_id,
            profile: request.profile,
            justification: request.justification,
            duration: request.duration,
            created_at: request.created_at,
        };
        let decided = Decided {
            verdict: answer.verdict,
            by: by.name.to_owned(),
            by_arn: by.arn.to_owned(),
            by_id: user.id_to_record(),
            // The requester's clock may be ahead.
            at: now.max(terms.created_at),
            comment: answer.comment.map(str::to_owned),
            expires_at: terms.kept_until(),
            terms,
        };
        let decision = Write::Put { item: decided.item(id, mark), when: vec![Test::Absent(ID)] };
        let written = match answer.verdict {
            Verdict::Approve => self.approve(id, &decided, decision, mark, now).await,
            Verdict::Deny => self.0.write(&decision).await,
        };
        self.settled(id, written, (Prefix::Decision, mark), now).await
    }

    /// Writes an approval and the index in one transaction.
    async fn approve(
        &self,
        id: &str,
        decided: &Decided,
        decision: Write,
        mark: &str,
        now: Timestamp,
    ) -> Result<(), CallError> {
        let key = index_key(decided.terms.requester(), &decided.terms.profile);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let index = self.0.get(&key).await?;
            let when = match index.as_ref().map(|index| text(index, MARK)) {
                None => Test::Absent(ID),
                Some(None) => Test::Absent(MARK),
                Some(Some(seen)) => Test::Is(MARK, Value::text(seen)),
            };
            let listed = with_entry(index.as_ref(), Entry { id: id.to_owned(), ends: decided.ends().as_second() }, now);
            let last = entries_end(&listed).unwrap_or_else(|| decided.ends().as_second());
            let item = Item::from([
                (ID.to_owned(), Value::text(&key)),
                (String::from("requester_arn"), Value::text(&decided.terms.requester_arn)),
                (String::from("decisions"), Value::text(listed)),
                (MARK.to_owned(), Value::text(mark)),
                (String::from("expires_at"), Value::number(last)),
            ]);
            let writes = [decision.clone(), Write::Put { item, when: vec![when] }];
            // A token is valid for one content, and the next attempt may have another.
            let error = match self.0.write_all(&writes, &format!("{mark}-{attempts}")).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // The error does not tell whether a decision existed or the index had changed.
            let other = error.class != Class::ConditionFailed || attempts == ATTEMPTS;
            if other || self.0.get(&Prefix::Decision.key(id)).await?.is_some() {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..50) * u64::from(attempts))).await;
        }
    }

    /// Cancels a pending request of the user's own.
    pub async fn cancel(&self, id: &str, by: Actor<'_>, mark: &str, now: Timestamp) -> Result<Answered, CallError> {
        let found = self.found(id).await?;
        let request = match self.known(id, &found, now).await? {
            RequestLookup::Request(request) => request,
            other => return Ok(Answered::Not(other)),
        };
        if !by.is(request.requester()) {
            return Ok(Answered::NotOwn(request));
        }
        if request.status != Status::Pending {
            return Ok(Answered::Over(request));
        }
        let set = vec![
            ("status", Value::text(Status::Cancelled.word())),
            ("cancelled_at", precise(now)),
            (MARK, Value::text(mark)),
        ];
        let when = vec![
            Test::Is("status", Value::text(Status::Pending.word())),
            Test::Is("requester_arn", Value::text(&request.requester_arn)),
        ];
        let written = self.0.write(&Write::Set { id: Prefix::Request.key(id), set, when }).await;
        self.settled(id, written, (Prefix::Request, mark), now).await
    }

    /// Revokes a request: an approval ends at once, and a pending request can no longer be approved.
    ///
    /// The requester may have changed the request since. This does not prevent the revocation of access that the decision still allows.
    pub async fn revoke(
        &self,
        id: &str,
        reason: Option<&str>,
        by: Actor<'_>,
        mark: &str,
        now: Timestamp,
    ) -> Result<Answered, CallError> {
        let found = self.found(id).await?;
        let lasting = found.may_last(now);
        match self.known(id, &found, now).await? {
            RequestLookup::Request(request) => {
                let open = matches!(request.status, Status::Pending | Status::Approved | Status::Invalid);
                if request.status == Status::Revoked || !(open || lasting) {
                    return Ok(Answered::Over(request));
                }
            }
            RequestLookup::Malformed(_) if lasting && found.revocation.is_none() => {}
            other => return Ok(Answered::Not(other)),
        }
        let mut item = Item::from([
            (ID.to_owned(), Value::text(Prefix::Revocation.key(id))),
            (String::from("status"), Value::text(Status::Revoked.word())),
            (String::from("revoked_by"), Value::text(by.name)),
            (String::from("revoked_by_arn"), Value::text(by.arn)),
            (MARK.to_owned(), Value::text(mark)),
            (String::from("revoked_at"), precise(now)),
            // Longer than the access of every decision that can exist now.
            (String::from("expires_at"), whole(later(now, WAITS + LONGEST))),
        ]);
        item.extend(reason.map(|reason| (String::from("reason"), Value::text(reason))));
        // These attributes are the keys of the indexes. The decision has precedence over the request, which its requester can change.
        let of = found.decision.as_ref().or(found.request.as_ref());
        for name in ["requester", "profile", "created_at"] {
            item.extend(of.and_then(|of| of.get(name)).map(|value| (name.to_owned(), value.clone())));
        }
        let written = self.0.write(&Write::Put { item, when: vec![Test::Absent(ID)] }).await;
        self.settled(id, written, (Prefix::Revocation, mark), now).await
    }

    /// Reads a request after a change. If the condition failed, the cause can be another writer, or the same write whose response was lost:
    /// the mark distinguishes them.
    async fn settled(
        &self,
        id: &str,
        written: Result<(), CallError>,
        (prefix, mark): (Prefix, &str),
        now: Timestamp,
    ) -> Result<Answered, CallError> {
        let conflict = match written {
            Err(error) if error.class != Class::ConditionFailed => return Err(error),
            written => written.err(),
        };
        let found = self.found(id).await?;
        let record = match prefix {
            Prefix::Decision => &found.decision,
            Prefix::Revocation => &found.revocation,
            _ => &found.request,
        };
        let ours = record.as_ref().is_some_and(|item| text(item, MARK).as_deref() == Some(mark));
        // No other record exists, so the index was changed during each attempt.
        if let (None, Some(conflict)) = (record, conflict) {
            return Err(conflict);
        }
        let done = match prefix {
            Prefix::Decision => [Status::Approved, Status::Denied].as_slice(),
            Prefix::Revocation => &[Status::Revoked],
            _ => &[Status::Cancelled],
        };
        let known = match (self.known(id, &found, now).await?, found.as_decided(id)) {
            (RequestLookup::Malformed(_), Some(found)) if prefix == Prefix::Revocation => {
                self.known(id, &found, now).await?
            }
            (known, _) => known,
        };
        Ok(match known {
            RequestLookup::Request(request) if ours && done.contains(&request.status) => Answered::Done(request),
            RequestLookup::Request(request) => Answered::Over(request),
            other => Answered::Not(other),
        })
    }
}

/// Returns the latest end of the decisions of an index.
fn entries_end(listed: &str) -> Option<i64> {
    listed.split(' ').filter_map(|entry| entry.split_once(':')?.1.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str) -> Item {
        Item::from([(String::from("decisions"), Value::text(text))])
    }

    #[test]
    fn an_index_keeps_a_limited_number_of_unexpired_decisions() {
        let now = Timestamp::from_second(1000).unwrap();
        let ends = 5000;
        let id = |number: usize| format!("{number:016x}");
        assert_eq!(with_entry(None, Entry { id: id(1), ends }, now), format!("{}:5000", id(1)));
        let some = index(&format!("{}:1000 {}:1001 junk {}:x for-0123456789ab:9000", id(2), id(3), id(4)));
        assert_eq!(with_entry(Some(&some), Entry { id: id(1), ends }, now), format!("{}:5000 {}:1001", id(1), id(3)));
        let full: Vec<String> = (0..100).map(|number| format!("{}:{}", id(number), 2000 + number)).collect();
        let full = with_entry(Some(&index(&full.join(" "))), Entry { id: id(500), ends }, now);
        assert_eq!(entries(Some(&index(&full))).len(), IN_FORCE);
        assert!(full.starts_with(&id(500)), "{full}");
        assert_eq!(entries_end(&full), Some(5000));
    }

    #[test]
    fn each_user_and_profile_has_a_separate_index() {
        let alice = Actor { name: "alice", arn: "arn:aws:iam::123456789012:user/alice" };
        let bob = Actor { name: "bob", arn: "arn:aws:iam::123456789012:user/bob" };
        let key = index_key(alice, "prod");
        assert!(key.starts_with("decision#for-") && key.len() == "decision#for-".len() + 32, "{key}");
        assert_ne!(key, index_key(alice, "dev"));
        assert_ne!(key, index_key(bob, "prod"));
    }
}

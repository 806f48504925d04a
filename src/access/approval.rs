//! The evaluation of the records of a request: its status, and whether it allows access.
//!
//! IAM restricts the writer of a record by its key only, and an account may have no such restriction. So every record is untrusted. A
//! record that contradicts the others or breaks a rule below allows no access.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::gate::User;
use super::is_id;
use super::time::{
    CLOCK_DIFFERENCE as CLOCKS, as_seconds, as_seconds_if, from_seconds, from_seconds_if, later, precise, read, text,
    whole,
};
use super::user::unique_id;
use crate::resource::caller::{account_of, folded, name_of};
use crate::resource::names::UserId;
use crate::resource::record::{ID, Item, Value};
use crate::resource::record_key::Prefix;

/// The time within which a request must be decided, in seconds.
pub const WAITS: i64 = 24 * 3600;
/// The maximum duration of access that can be requested, in seconds.
pub const LONGEST: i64 = 8 * 3600;
/// The attribute with the unique ID of the requester.
const REQUESTER_ID: &str = "requester_id";
/// The attribute with the unique ID of the approver.
const DECIDED_BY_ID: &str = "decided_by_id";
/// The maximum length of a justification, in characters.
const JUSTIFIED: usize = 500;

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Pending,
    Approved,
    Denied,
    Cancelled,
    /// It was revoked, before or after an approval.
    Revoked,
    /// It was not decided in time, or the approved access has ended.
    Expired,
    /// It has a decision that is not valid.
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

/// The user who changes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor<'a> {
    pub name: &'a str,
    pub arn: &'a str,
}

impl Actor<'_> {
    /// Returns whether this user and another ARN are of the same account. The resource policy of a table can allow other accounts to write,
    /// and their users are not approvers here.
    pub(super) fn shares_account(&self, arn: &str) -> bool {
        account_of(self.arn).is_some_and(|account| account_of(arn) == Some(account))
    }

    /// Returns whether two users are the same person, by name or by ARN. Names, including those in the ARNs, are compared without regard to
    /// case: a person keeps the name in another role.
    pub fn is(&self, other: Actor<'_>) -> bool {
        let own = [folded(self.name), folded(name_of(self.arn).unwrap_or_default())];
        let others = [folded(other.name), folded(name_of(other.arn).unwrap_or_default())];
        let named = own.iter().any(|own| !own.is_empty() && others.contains(own));
        named || (!other.arn.is_empty() && folded(self.arn) == folded(other.arn))
    }
}

/// A user whom a record names.
struct Person {
    name: String,
    arn: String,
}

/// The content of a request. A decision contains a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) requester: String,
    pub(super) requester_arn: String,
    /// The requester's unique ID.
    pub(super) requester_id: Option<UserId>,
    pub(super) profile: String,
    pub(super) justification: String,
    /// The duration of access after an approval, in seconds.
    pub(super) duration: i64,
    pub(super) created_at: Timestamp,
}

impl Terms {
    fn read(item: &Item) -> Result<Self, String> {
        let Person { name: requester, arn: requester_arn } = person(item, "requester")?;
        let justification = needed(item, "justification")?;
        let length = justification.chars().count();
        if length > JUSTIFIED {
            return Err(format!("its justification has {length} characters, and {JUSTIFIED} are allowed"));
        }
        let duration = match item.get("duration") {
            Some(Value::Number(digits)) => digits.parse().ok().filter(|seconds: &i64| *seconds > 0),
            _ => None,
        };
        Ok(Self {
            requester,
            requester_arn,
            requester_id: unique_id(item, REQUESTER_ID)?,
            profile: needed(item, "profile")?,
            justification,
            duration: duration.ok_or("its `duration` is not an integer number of seconds")?,
            created_at: time(item, "created_at")?,
        })
    }

    pub(super) fn write(&self, item: &mut Item) {
        let texts = [
            ("requester", &self.requester),
            ("requester_arn", &self.requester_arn),
            ("profile", &self.profile),
            ("justification", &self.justification),
        ];
        item.extend(texts.map(|(name, text)| (name.to_owned(), Value::text(text))));
        item.extend(self.requester_id.iter().map(|id| (REQUESTER_ID.to_owned(), Value::text(id.as_str()))));
        item.insert(String::from("duration"), Value::number(self.duration));
        item.insert(String::from("created_at"), precise(self.created_at));
    }

    pub(super) fn requester(&self) -> Actor<'_> {
        Actor { name: &self.requester, arn: &self.requester_arn }
    }

    /// Returns the time until which the request can be decided.
    fn answer_by(&self) -> Timestamp {
        later(self.created_at, WAITS)
    }

    /// Returns the latest possible end of access, until which the records are kept.
    pub(super) fn kept_until(&self) -> Timestamp {
        later(self.created_at, WAITS + LONGEST)
    }
}

/// The record of a request, which its requester wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Submitted {
    pub(super) terms: Terms,
    pub(super) cancelled: bool,
    pub(super) expires_at: Timestamp,
}

impl Submitted {
    fn read(item: &Item, now: Timestamp) -> Result<Self, String> {
        let terms = Terms::read(item)?;
        let cancelled = match needed(item, "status")?.as_str() {
            "pending" => false,
            "cancelled" => true,
            other => return Err(format!("its status is `{other}`, which a request cannot have")),
        };
        if terms.created_at > after(now, CLOCKS) {
            return Err(String::from("it was created in the future"));
        }
        let expires_at = time(item, "expires_at")?;
        Ok(Self { terms, cancelled, expires_at })
    }

    pub(super) fn item(&self, id: &str) -> Item {
        let mut item = Item::from([(ID.to_owned(), Value::text(Prefix::Request.key(id)))]);
        self.terms.write(&mut item);
        let status = if self.cancelled { Status::Cancelled } else { Status::Pending };
        item.insert(String::from("status"), Value::text(status.word()));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }
}

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Deny,
}

/// The record of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) terms: Terms,
    pub(super) verdict: Verdict,
    pub(super) by: String,
    pub(super) by_arn: String,
    /// The approver's unique ID.
    pub(super) by_id: Option<UserId>,
    pub(super) at: Timestamp,
    pub(super) comment: Option<String>,
    pub(super) expires_at: Timestamp,
}

impl Decided {
    pub(super) fn read(item: &Item) -> Result<Self, String> {
        let Person { name: by, arn: by_arn } = person(item, "decided_by")?;
        let verdict = match needed(item, "status")?.as_str() {
            "approved" => Verdict::Approve,
            "denied" => Verdict::Deny,
            other => return Err(format!("its status is `{other}`")),
        };
        Ok(Self {
            terms: Terms::read(item)?,
            verdict,
            by,
            by_arn,
            by_id: unique_id(item, DECIDED_BY_ID)?,
            at: time(item, "decided_at")?,
            comment: text(item, "comment"),
            expires_at: time(item, "expires_at")?,
        })
    }

    pub(super) fn item(&self, id: &str, mark: &str) -> Item {
        let mut item = Item::from([(ID.to_owned(), Value::text(Prefix::Decision.key(id)))]);
        self.terms.write(&mut item);
        let status = if self.approves() { Status::Approved } else { Status::Denied };
        let texts = [
            ("status", status.word()),
            ("decided_by", &self.by),
            ("decided_by_arn", &self.by_arn),
            (super::requests::MARK, mark),
        ];
        item.extend(texts.map(|(name, text)| (name.to_owned(), Value::text(text))));
        item.extend(self.by_id.iter().map(|id| (DECIDED_BY_ID.to_owned(), Value::text(id.as_str()))));
        item.extend(self.comment.iter().map(|comment| (String::from("comment"), Value::text(comment))));
        item.insert(String::from("decided_at"), precise(self.at));
        item.insert(String::from("expires_at"), whole(self.expires_at));
        item
    }

    fn approves(&self) -> bool {
        self.verdict == Verdict::Approve
    }

    /// Returns the end of access.
    pub(super) fn ends(&self) -> Timestamp {
        self.expires_at.min(later(self.at, self.terms.duration.min(LONGEST)))
    }

    /// Returns why the decision is not valid for a request, if it is not.
    fn flaw(&self, submitted: &Submitted, now: Timestamp) -> Option<String> {
        let terms = &submitted.terms;
        let other = |what: &str| Some(format!("the decision is for another {what} than the request"));
        if self.terms.requester != terms.requester || self.terms.requester_arn != terms.requester_arn {
            return other("requester");
        }
        // An approver with an older version does not copy it.
        if self.terms.requester_id.is_some() && self.terms.requester_id != terms.requester_id {
            return other("requester's unique ID");
        }
        if self.terms.profile != terms.profile {
            return other("profile");
        }
        if self.terms.duration != terms.duration {
            return other("duration");
        }
        if self.terms.created_at != terms.created_at {
            return other("time of creation");
        }
        if self.terms.justification != terms.justification {
            return other("justification");
        }
        let by = Actor { name: &self.by, arn: &self.by_arn };
        let same_id = self.by_id.is_some() && self.by_id == terms.requester_id;
        if same_id || by.is(terms.requester()) {
            return Some(format!("the decision is by {}, who is the requester", self.by));
        }
        if !by.shares_account(&terms.requester_arn) {
            return Some(format!("the decision is by {}, who is not in the requester's account", self.by_arn));
        }
        if self.at > after(now, CLOCKS) {
            return Some(String::from("the decision was made in the future"));
        }
        if self.at < terms.created_at {
            return Some(String::from("the decision was made before the request"));
        }
        if self.at > terms.answer_by() {
            return Some(String::from("the decision was made after the request had expired"));
        }
        None
    }
}

/// The record of a revocation. It has effect even if all attributes but the key are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Revoked {
    by: Option<String>,
    by_arn: Option<String>,
    at: Option<Timestamp>,
    reason: Option<String>,
}

impl Revoked {
    fn read(item: &Item) -> Self {
        Self {
            by: text(item, "revoked_by"),
            by_arn: text(item, "revoked_by_arn"),
            at: read(item, "revoked_at"),
            reason: text(item, "reason"),
        }
    }
}

/// A request with its decision and its revocation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub id: String,
    pub requester: String,
    pub requester_arn: String,
    /// The requester's unique ID, which is not shown.
    #[serde(skip)]
    pub requester_id: Option<UserId>,
    pub profile: String,
    pub justification: String,
    /// The duration of access after an approval, in seconds.
    pub duration: i64,
    pub status: Status,
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub created_at: Timestamp,
    /// The time until which it can be decided; after an approval, the end of access.
    #[serde(serialize_with = "as_seconds", deserialize_with = "from_seconds")]
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by_arn: Option<String>,
    #[serde(
        default,
        serialize_with = "as_seconds_if",
        deserialize_with = "from_seconds_if",
        skip_serializing_if = "Option::is_none"
    )]
    pub decided_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
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
    /// Why its decision is not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Request {
    pub(super) fn requester(&self) -> Actor<'_> {
        Actor { name: &self.requester, arn: &self.requester_arn }
    }
}

/// The records of one request, read by their keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub(super) request: Option<Item>,
    pub(super) decision: Option<Item>,
    pub(super) revocation: Option<Item>,
}

impl Found {
    /// Returns the keys of a request's records, in the order of the fields.
    pub(super) fn keys(id: &str) -> [String; 3] {
        [Prefix::Request, Prefix::Decision, Prefix::Revocation].map(|prefix| prefix.key(id))
    }

    /// Returns whether the decision, without regard to the request, allows access that has not ended. The requester can make the request
    /// invalid and valid again at any time.
    pub(super) fn may_last(&self, now: Timestamp) -> bool {
        let decided = self.decision.as_ref().and_then(|item| Decided::read(item).ok());
        decided.is_some_and(|decided| decided.approves() && decided.ends() > now)
    }

    /// Returns the records with the request as it was when it was decided, because its requester can have changed it since.
    pub(super) fn as_decided(&self, id: &str) -> Option<Self> {
        let terms = Decided::read(self.decision.as_ref()?).ok()?.terms;
        let submitted = Submitted { expires_at: terms.kept_until(), terms, cancelled: false };
        Some(Self { request: Some(submitted.item(id)), ..self.clone() })
    }

    /// Evaluates the records. Returns `None` if there is no request.
    ///
    /// # Errors
    ///
    /// Fails if the record of the request is not in the form that this program writes.
    pub(super) fn judged(&self, id: &str, now: Timestamp) -> Result<Option<Request>, String> {
        let Some(item) = &self.request else { return Ok(None) };
        if !is_id(id) {
            return Err(String::from("its ID does not have 16 hexadecimal digits"));
        }
        let submitted = Submitted::read(item, now)?;
        let decided = self.decision.as_ref().map(|item| {
            let decided = Decided::read(item).map_err(|flaw| format!("the decision does not count: {flaw}"))?;
            decided.flaw(&submitted, now).map_or(Ok(decided), Err)
        });
        let revoked = self.revocation.as_ref().map(Revoked::read);
        let answer_by = submitted.expires_at.min(submitted.terms.answer_by());
        let (problem, decided) = match decided {
            Some(Err(problem)) => (Some(problem), None),
            Some(Ok(decided)) => (None, Some(decided)),
            None => (None, None),
        };
        // TTL can delete a request at any time after its `expires_at`, so it allows no access from then on.
        let ends = decided.as_ref().map(|decided| decided.ends().min(submitted.expires_at));
        let status = match (&revoked, &decided, &problem) {
            (Some(_), _, _) => Status::Revoked,
            _ if submitted.cancelled => Status::Cancelled,
            (_, _, Some(_)) => Status::Invalid,
            (_, Some(decided), _) if !decided.approves() => Status::Denied,
            (_, Some(_), _) if ends.is_some_and(|ends| ends > now) => Status::Approved,
            (_, None, _) if answer_by > now => Status::Pending,
            _ => Status::Expired,
        };
        let approved = decided.as_ref().is_some_and(Decided::approves);
        let revoked = revoked.unwrap_or(Revoked { by: None, by_arn: None, at: None, reason: None });
        let Terms { requester, requester_arn, requester_id, profile, justification, duration, created_at } =
            submitted.terms;
        Ok(Some(Request {
            id: id.to_owned(),
            requester,
            requester_arn,
            requester_id,
            profile,
            justification,
            duration,
            status,
            created_at,
            expires_at: ends.filter(|_| approved).unwrap_or(answer_by),
            decided_by: decided.as_ref().map(|decided| decided.by.clone()),
            decided_by_arn: decided.as_ref().map(|decided| decided.by_arn.clone()),
            decided_at: decided.as_ref().map(|decided| decided.at),
            comment: decided.and_then(|decided| decided.comment),
            revoked_by: revoked.by,
            revoked_by_arn: revoked.by_arn,
            revoked_at: revoked.at,
            revoked_reason: revoked.reason,
            problem,
        }))
    }
}

impl Request {
    /// Returns whether it allows the owner of an ARN access to a profile. The owner also needs the unique ID of the requester, see
    /// [`User::has_id`].
    pub(super) fn allows(&self, user: &User, profile: &str) -> bool {
        self.status == Status::Approved
            && self.requester == user.name
            && self.requester_arn == user.arn
            && self.profile == profile
    }
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn needed(item: &Item, name: &str) -> Result<String, String> {
    text(item, name).filter(|text| !text.trim().is_empty()).ok_or_else(|| format!("it has no `{name}`"))
}

fn time(item: &Item, name: &str) -> Result<Timestamp, String> {
    read(item, name).ok_or_else(|| format!("its `{name}` is not a time"))
}

/// Reads the name and the ARN of a user from the attributes `ROLE` and `ROLE_arn`. The name must be the one in the ARN.
fn person(item: &Item, role: &str) -> Result<Person, String> {
    let arn = format!("{role}_arn");
    let (of_name, of_arn) = (needed(item, role)?, needed(item, &arn)?);
    if name_of(&of_arn) != Some(of_name.as_str()) {
        return Err(format!("its `{arn}` is not the ARN of its `{role}`"));
    }
    Ok(Person { name: of_name, arn: of_arn })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";
    const NOW: i64 = 1_767_225_600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).unwrap()
    }

    fn arn(user: &str) -> String {
        format!("arn:aws:iam::123456789012:user/{user}")
    }

    /// Returns the records of a request that was created and approved at these times, in seconds from now.
    fn approved(created: i64, decided: i64, duration: i64) -> Found {
        let terms = Terms {
            requester: String::from("alice"),
            requester_arn: arn("alice"),
            requester_id: Some(UserId::new("AIDAALICE")),
            profile: String::from("prod"),
            justification: String::from("Deploy the hotfix"),
            duration,
            created_at: at(created),
        };
        let submitted = Submitted { expires_at: terms.kept_until(), terms: terms.clone(), cancelled: false };
        let decided = Decided {
            expires_at: terms.kept_until(),
            terms,
            verdict: Verdict::Approve,
            by: String::from("bob"),
            by_arn: arn("bob"),
            by_id: Some(UserId::new("AIDABOB")),
            at: at(decided),
            comment: None,
        };
        Found { request: Some(submitted.item(ID)), decision: Some(decided.item(ID, "mark")), revocation: None }
    }

    fn judged(found: &Found) -> Request {
        found.judged(ID, at(0)).unwrap().unwrap()
    }

    #[test]
    fn a_decision_is_valid_within_its_times_only() {
        for (created, decided, duration, status, ends) in [
            (-60, -30, 3600, Status::Approved, 3570),
            // The clock of another machine may be ahead by half a minute.
            (30, 30, 3600, Status::Approved, 3630),
            (-60, 31, 3600, Status::Invalid, 0),
            (-60, -61, 3600, Status::Invalid, 0),
            (-60, -60, 3600, Status::Approved, 3540),
            (-WAITS - 10, -10, 3600, Status::Approved, 3590),
            (-WAITS - 10, -9, 3600, Status::Invalid, 0),
            (-7200, -3600, 3600, Status::Expired, 0),
            (-7200, -3600, 3601, Status::Approved, 1),
            (-7200, -3600, i64::MAX, Status::Approved, LONGEST - 3600),
            (-WAITS, -LONGEST, i64::MAX, Status::Expired, 0),
        ] {
            let request = judged(&approved(created, decided, duration));
            assert_eq!(request.status, status, "{created} {decided} {duration}: {:?}", request.problem);
            if status == Status::Approved {
                assert_eq!(request.expires_at, at(ends), "{created} {decided} {duration}");
            }
        }
        assert!(approved(31, 31, 3600).judged(ID, at(0)).unwrap_err().contains("future"));
    }

    #[test]
    fn a_decision_is_for_the_unique_id_of_the_requester() {
        let status = |request: Option<&str>, decision: Option<&str>| {
            let mut found = approved(-60, -30, 3600);
            for (record, id) in [(&mut found.request, request), (&mut found.decision, decision)] {
                let item = record.as_mut().unwrap();
                item.remove(REQUESTER_ID);
                item.extend(id.map(|id| (REQUESTER_ID.to_owned(), Value::text(id))));
            }
            found.judged(ID, at(0)).map(|request| request.unwrap().status)
        };
        assert_eq!(status(Some("AIDAALICE"), Some("AIDAALICE")), Ok(Status::Approved));
        // Records of older versions.
        assert_eq!(status(None, None), Ok(Status::Approved));
        assert_eq!(status(Some("AIDAALICE"), None), Ok(Status::Approved));
        // The request was changed after the decision.
        assert_eq!(status(None, Some("AIDAALICE")), Ok(Status::Invalid));
        assert_eq!(status(Some("AIDAOTHER"), Some("AIDAALICE")), Ok(Status::Invalid));
        assert!(status(Some(" "), None).unwrap_err().contains("not a unique ID"));
    }

    #[test]
    fn a_decision_by_the_requester_under_a_new_name_is_invalid() {
        let status = |by: Option<&str>| {
            let mut found = approved(-60, -30, 3600);
            let decision = found.decision.as_mut().unwrap();
            decision.remove(DECIDED_BY_ID);
            decision.extend(by.map(|id| (DECIDED_BY_ID.to_owned(), Value::text(id))));
            judged(&found).status
        };
        assert_eq!(status(Some("AIDABOB")), Status::Approved);
        // A record of an older version.
        assert_eq!(status(None), Status::Approved);
        assert_eq!(status(Some("AIDAALICE")), Status::Invalid);
    }

    #[test]
    fn a_request_without_a_decision_expires_after_a_day_whatever_its_record_says() {
        let waiting = |created| Found { decision: None, ..approved(created, 0, 3600) };
        assert_eq!(judged(&waiting(-60)).status, Status::Pending);
        assert_eq!(judged(&waiting(1 - WAITS)).status, Status::Pending);
        assert_eq!(judged(&waiting(-WAITS)).status, Status::Expired);
        let mut long = waiting(-WAITS);
        long.request.as_mut().unwrap().insert(String::from("expires_at"), Value::number(NOW + 1_000_000));
        assert_eq!(judged(&long).status, Status::Expired);
    }

    #[test]
    fn a_revocation_has_effect_whatever_it_contains() {
        let mut found = approved(-60, -30, 3600);
        found.revocation = Some(Item::new());
        assert_eq!(judged(&found).status, Status::Revoked);
        found.decision = None;
        assert_eq!(judged(&found).status, Status::Revoked);
    }

    #[test]
    fn a_person_is_the_same_in_upper_case_and_in_another_role() {
        let session = "arn:aws:sts::123456789012:assumed-role/Admin/Alice";
        let own = arn("alice");
        let is = |name: &str, arn: &str| Actor { name: "alice", arn: &own }.is(Actor { name, arn });
        assert!(is("alice", "") && is("ALICE", "") && is("Alice", session) && is("", session) && is("x", session));
        assert!(is("", &arn("alice")));
        assert!(!is("bob", &arn("bob")) && !is("", "") && !is("alice2", &arn("alice2")));
    }

    #[test]
    fn an_id_of_another_form_is_an_error() {
        for bad in ["", "x", "0123456789ABCDEF", "0123456789abcdef0", "for-0123456789ab"] {
            assert!(approved(-60, -30, 3600).judged(bad, at(0)).is_err(), "{bad}");
        }
    }
}

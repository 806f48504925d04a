//! What a user does with the records and the credentials of profiles: one type for each operation, with what it answers.
//!
//! A command performs an operation itself, with its user's own permissions, or sends it to a broker, which performs the same for
//! a user whom AWS has named. Each operation and its answer can be written as JSON and read back.

pub mod breakglass;
pub mod credentials;
pub mod locks;
mod refused;
pub mod requests;
pub mod sessions;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::gate::{Gate, Stopped, User};
use super::id;
use super::locks::LockTable;
use super::log::Log;
use crate::kind::policy_parameter;
use crate::provider::Gateway;
use crate::resource::call::{CallError, Class, GET_CALLER_IDENTITY};
use crate::resource::names::{AccountId, PolicyRoot, RoleArn};

pub use refused::Refused;

/// What an operation works with.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    pub gateway: &'a Gateway,
    /// The account whose users are let in, if it has to be one.
    pub account: Option<&'a AccountId>,
    /// Who acts, where that is known. Otherwise STS is asked whose the gateway's own credentials are.
    pub known: Option<&'a User>,
    pub rights: &'a Rights,
    pub tables: &'a Tables,
    pub policy_root: &'a PolicyRoot,
    pub log: &'a Log,
    pub now: Timestamp,
}

/// The tables that hold the records.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub approvals: String,
    pub breakglass: String,
    pub sessions: String,
    /// Where to look for locks.
    pub locks: Vec<LockTable>,
}

/// What a user may do beyond asking for access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Answer requests, and revoke approvals.
    Approve,
    /// Use break-glass and end it, revoke, and lock users.
    Operate,
}

impl Right {
    /// Returns who has it, as the manifest calls them.
    const fn holders(self) -> &'static str {
        match self {
            Self::Approve => "approvers",
            Self::Operate => "operators",
        }
    }
}

/// Who decides what a user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// AWS, by the permissions of the user's own credentials.
    Aws,
    /// The broker, whose credentials are used.
    Broker {
        held: BTreeSet<Right>,
        /// The roles of the profiles.
        roles: BTreeMap<String, RoleArn>,
    },
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads records.
    Reads,
    /// It writes records.
    Writes,
    /// It decides on access, and writes its own lines to the log.
    Decides,
}

/// A part of an operation that is not as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not valid")]
pub struct Unfit(pub &'static str);

/// What a user does.
pub trait Operation: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in paths and logs.
    const NAME: &'static str;
    const EFFECT: Effect;

    /// What comes of it.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Checks what the command line checks of it: it may come from any program.
    fn check(&self) -> Result<(), Unfit>;

    /// Does it.
    fn perform(&self, desk: &Desk<'_>) -> impl Future<Output = Result<Self::Answer, Stopped>> + Send;

    /// Returns whether an answer is that it was done.
    fn is_done(_: &Self::Answer) -> bool {
        true
    }
}

/// A record that belongs to a user.
pub trait Owned {
    /// Returns the ARN of the user, if the record names it.
    fn owner(&self) -> Option<&str>;

    /// Returns whether the record is this user's. A name does not tell users of several accounts or roles apart.
    fn is_of(&self, user: &User) -> bool {
        self.owner() == Some(&user.arn)
    }
}

/// Records that were listed, and whose they are if they are one user's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListOf<T> {
    pub listed: super::Listed<T>,
    /// The user whose records they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// Calls a macro with every operation.
macro_rules! operations {
    ($given:ident) => {
        $given! {
            $crate::access::desk::credentials::Obtain,
            $crate::access::desk::credentials::StartSession,
            $crate::access::desk::credentials::EndSession,
            $crate::access::desk::requests::Create,
            $crate::access::desk::requests::List,
            $crate::access::desk::requests::Check,
            $crate::access::desk::requests::Approve,
            $crate::access::desk::requests::Deny,
            $crate::access::desk::requests::Cancel,
            $crate::access::desk::requests::Revoke,
            $crate::access::desk::locks::Lock,
            $crate::access::desk::locks::Unlock,
            $crate::access::desk::locks::List,
            $crate::access::desk::breakglass::Open,
            $crate::access::desk::breakglass::List,
            $crate::access::desk::breakglass::Check,
            $crate::access::desk::breakglass::Close,
            $crate::access::desk::sessions::List,
            $crate::access::desk::sessions::Check,
            $crate::access::desk::sessions::Revoke,
        }
    };
}
pub(crate) use operations;

/// The most records that a broker lists at once.
const MOST_LISTED: usize = 1000;

/// Whose policy decides, and in which parameter it is.
#[derive(Debug, Clone, Copy)]
struct PolicyOf<'a> {
    profile: &'a str,
    parameter: &'a str,
}

impl Desk<'_> {
    /// Returns who acts.
    pub async fn user(&self) -> Result<Cow<'_, User>, Stopped> {
        match self.known {
            Some(user) => Ok(Cow::Borrowed(user)),
            None => User::of(self.gateway.identify().await?, self.account).map(Cow::Owned),
        }
    }

    /// Refuses who has none of these rights.
    fn need(&self, any: &[Right]) -> Result<(), Stopped> {
        let Rights::Broker { held, .. } = self.rights else { return Ok(()) };
        if any.iter().any(|right| held.contains(right)) {
            return Ok(());
        }
        let name = self.known.map(|user| user.name.as_str()).unwrap_or_default();
        let holders: Vec<&str> = any.iter().map(|right| right.holders()).collect();
        Err(Stopped::NoRight(format!("{name} is none of the {} that the broker knows", holders.join(" or "))))
    }

    /// Returns whether a broker acts for its users.
    fn is_broker(&self) -> bool {
        matches!(self.rights, Rights::Broker { .. })
    }

    /// Returns a list without the records that the user may not see. It was narrowed to the name `of`.
    async fn visible_of<T: Owned>(
        &self,
        mut listed: super::Listed<T>,
        of: Option<String>,
    ) -> Result<ListOf<T>, Stopped> {
        if !self.sees_others() {
            let user = self.user().await?;
            listed.records.retain(|record| record.is_of(&user));
        }
        Ok(ListOf { listed, of })
    }

    /// Returns a record that was found, unless the user may not see it.
    async fn visible<T: Owned>(&self, found: Option<T>) -> Result<Option<T>, Stopped> {
        if self.sees_others() {
            return Ok(found);
        }
        let user = self.user().await?;
        Ok(found.filter(|record| record.is_of(&user)))
    }

    /// Returns whether the records of others may be shown.
    fn sees_others(&self) -> bool {
        self.need(&[Right::Approve, Right::Operate]).is_ok()
    }

    /// Returns the user to whom a list is narrowed: the one who is given, or who asks where nothing else narrows it or no one
    /// else's records may be shown.
    async fn listed_user(&self, given: Option<&str>, narrowed: Narrowed) -> Result<Option<String>, Stopped> {
        if self.sees_others() {
            return match (given, narrowed) {
                (None, Narrowed::No) => Ok(Some(self.user().await?.name.clone())),
                (given, _) => Ok(given.map(str::to_owned)),
            };
        }
        let own = self.user().await?.name.clone();
        match given {
            Some(other) if *other != *own => {
                self.need(&[Right::Approve, Right::Operate])?;
                Ok(Some(own))
            }
            _ => Ok(Some(own)),
        }
    }

    /// Returns how many records are listed at most.
    fn most(&self, wanted: u64) -> usize {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX - 1).min(usize::MAX - 1);
        match self.rights {
            Rights::Aws => wanted,
            Rights::Broker { .. } => wanted.min(MOST_LISTED),
        }
    }

    /// Returns the parameter with the policy of a profile.
    fn parameter(&self, profile: &str) -> String {
        format!("{}/{profile}", self.policy_root)
    }

    fn gate<'g>(&'g self, PolicyOf { profile, parameter }: PolicyOf<'g>) -> Gate<'g> {
        Gate {
            gateway: self.gateway,
            account: self.account,
            profile,
            parameter,
            requests: &self.tables.approvals,
            breakglass: &self.tables.breakglass,
            locks: &self.tables.locks,
        }
    }

    /// Returns the role of a profile, where a broker holds it.
    fn role(&self, profile: &str) -> Result<&RoleArn, Stopped> {
        let roles = match self.rights {
            Rights::Broker { roles, .. } => Some(roles),
            Rights::Aws => None,
        };
        let role = roles.and_then(|roles| roles.get(profile));
        role.ok_or_else(|| Stopped::NoRight(format!("the broker has no role for a profile {profile}")))
    }

    /// Refuses a profile that a broker does not know: it makes no calls for names that it is told.
    fn known_profile(&self, profile: &str) -> Result<(), Stopped> {
        match self.rights {
            Rights::Aws => Ok(()),
            Rights::Broker { .. } => self.role(profile).map(drop),
        }
    }
}

/// Whether a list is narrowed by something else than a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowed {
    Yes,
    No,
}

impl Narrowed {
    /// Returns whether any of these filters is given.
    fn by(given: [bool; 2]) -> Self {
        if given.contains(&true) { Self::Yes } else { Self::No }
    }
}

/// Returns a random ID.
fn new_id() -> Result<String, Stopped> {
    let failed =
        |error| CallError::new(GET_CALLER_IDENTITY, Class::Rejected, format!("cannot get random numbers: {error}"));
    id().map_err(|error| Stopped::Call(failed(error)))
}

fn check_profile(profile: &str) -> Result<(), Unfit> {
    policy_parameter::check_profile(profile).map_err(|_| Unfit("profile"))
}

/// Checks the ID of a record. One of another form than an ID has is looked for, and not found.
fn check_id(id: &str) -> Result<(), Unfit> {
    check_text("id", id, (1, 256))
}

/// Checks a text for people: at least and at most so many characters, without white space around it.
fn check_text(what: &'static str, text: &str, (least, most): (usize, usize)) -> Result<(), Unfit> {
    let fits = (least..=most).contains(&text.chars().count()) && text.trim() == text;
    if fits { Ok(()) } else { Err(Unfit(what)) }
}

/// The same for a text that may be left out.
fn check_text_if(what: &'static str, text: Option<&String>, length: (usize, usize)) -> Result<(), Unfit> {
    text.map_or(Ok(()), |text| check_text(what, text, length))
}

/// Checks a user's name, or text that is looked for as one.
fn check_name_if(what: &'static str, name: Option<&String>) -> Result<(), Unfit> {
    check_text_if(what, name, (1, 2048))
}

fn check_profile_if(profile: Option<&String>) -> Result<(), Unfit> {
    profile.map_or(Ok(()), |profile| check_profile(profile))
}

/// Checks a time of at least a minute and at most so many seconds.
fn check_duration(seconds: i64, most: i64) -> Result<(), Unfit> {
    if (60..=most).contains(&seconds) { Ok(()) } else { Err(Unfit("duration")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::requests::{Request, Status};

    #[test]
    fn each_operation_has_a_name_of_its_own() {
        macro_rules! names {
            ($($operation:ty,)*) => { vec![$(<$operation>::NAME),*] };
        }
        let names = operations!(names);
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), different.len(), "{names:?}");
    }

    /// A decision is compared with its request by times to the millisecond.
    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        for created in [1_767_225_600_000, 1_767_225_600_007, 1_767_225_600_999, 4_102_444_800_001] {
            let request = Request {
                id: String::from("0123456789abcdef"),
                requester: String::from("alice"),
                requester_arn: String::from("arn:aws:iam::123456789012:user/alice"),
                profile: String::from("prod"),
                justification: String::from("Deploy the hotfix"),
                duration: 3600,
                status: Status::Approved,
                created_at: at(created),
                expires_at: at(created + 3_600_000),
                decided_by: Some(String::from("bob")),
                decided_by_arn: None,
                decided_at: Some(at(created + 1)),
                comment: None,
                revoked_by: None,
                revoked_by_arn: None,
                revoked_at: None,
                revoked_reason: None,
                problem: None,
            };
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request, "{text}");
        }
    }

    #[test]
    fn what_the_command_line_does_not_let_through_is_unfit() {
        let create = |profile: &str, justification: &str, duration| {
            let (profile, justification) = (profile.to_owned(), justification.to_owned());
            requests::Create { profile, justification, duration }.check()
        };
        assert_eq!(create("prod", "Deploy the hotfix", 3600), Ok(()));
        assert_eq!(create("a b", "Deploy the hotfix", 3600), Err(Unfit("profile")));
        assert_eq!(create("prod", "short", 3600), Err(Unfit("justification")));
        assert_eq!(create("prod", &"x".repeat(501), 3600), Err(Unfit("justification")));
        assert_eq!(create("prod", "Deploy the hotfix", 59), Err(Unfit("duration")));
        assert_eq!(create("prod", "Deploy the hotfix", 8 * 3600 + 1), Err(Unfit("duration")));
        let lock = |user: &str| {
            let (user, profile) = (user.to_owned(), String::from("prod"));
            locks::Lock { user, profile, reason: None }.check()
        };
        assert_eq!(lock("alice"), Ok(()));
        assert_eq!(lock("arn:aws:iam::123456789012:user/alice"), Ok(()));
        assert_eq!(lock("a lice"), Err(Unfit("user")));
        assert_eq!(lock("arn:aws:iam::123456789012:role/x"), Err(Unfit("user")));
    }
}

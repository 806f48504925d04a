//! The operations of users on the records and the credentials of profiles: one type for each operation, with the type of its answer.
//!
//! A command performs an operation itself, with the user's own permissions, or sends it to a broker, which performs it for the user whom
//! STS identified. Each operation and its answer can be written as JSON and read back.

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
use crate::resource::names::{AccountId, PolicyRoot, RoleArn, UserId};

pub use refused::Refused;

/// The context of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    pub gateway: &'a Gateway,
    /// The only account whose users may act; any if `None`.
    pub account: Option<&'a AccountId>,
    /// The user who acts. If `None`, STS identifies the gateway's own credentials.
    pub known: Option<&'a User>,
    pub rights: &'a Rights,
    pub tables: &'a Tables,
    pub policy_root: &'a PolicyRoot,
    pub log: &'a Log,
    pub now: Timestamp,
}

/// The tables of the records.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub approvals: String,
    pub breakglass: String,
    pub sessions: String,
    /// The tables that can contain locks.
    pub locks: Vec<LockTable>,
}

/// A right of a user that requesting access does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Approve, deny and revoke requests.
    Approve,
    /// Open and close break-glass events, revoke, and lock users.
    Operate,
}

impl Right {
    /// Returns the setting of the manifest that lists its holders.
    const fn holders(self) -> &'static str {
        match self {
            Self::Approve => "approvers",
            Self::Operate => "operators",
        }
    }
}

/// The source of a user's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// The permissions of the user's own credentials, which AWS enforces.
    Aws,
    /// The manifest of the broker, whose credentials are used.
    Broker {
        granted: BTreeSet<Right>,
        /// The roles of the profiles.
        roles: BTreeMap<String, RoleArn>,
    },
}

/// The effect of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only reads records.
    Reads,
    /// It writes records.
    Writes,
    /// It decides on access, and writes its own lines to the log.
    Decides,
}

/// A field of an operation that is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not valid")]
pub struct InvalidField(pub &'static str);

/// An operation of a user.
pub trait Operation: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name, in the paths of the broker and in its log.
    const NAME: &'static str;
    const EFFECT: Effect;

    /// The result.
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Makes the checks of the command line, because any program can send an operation to a broker.
    fn check(&self) -> Result<(), InvalidField>;

    /// Performs it.
    fn perform(&self, desk: &Desk<'_>) -> impl Future<Output = Result<Self::Answer, Stopped>> + Send;

    /// Returns whether an answer means that it was performed, and not refused.
    fn is_done(_: &Self::Answer) -> bool {
        true
    }
}

/// A record that belongs to a user.
pub trait Owned {
    /// Returns the ARN of the user, if the record names it.
    fn owner(&self) -> Option<&str>;

    /// Returns the unique ID of the user, if the record names it.
    fn owner_id(&self) -> Option<&UserId>;

    /// Returns whether the record is this user's. A name does not tell users of several accounts or roles apart, and an ARN can be that of
    /// a deleted user.
    fn is_of(&self, user: &User) -> bool {
        self.owner() == Some(&user.arn) && user.has_id(self.owner_id())
    }
}

/// A list of records, and the user to whom it was narrowed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListOf<T> {
    pub listed: super::Listed<T>,
    /// The name of the user; `None` if the list has records of several.
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

/// The maximum number of records in an answer of a broker.
const MAX_LISTED: usize = 1000;

/// The profile whose policy decides, and the parameter of the policy.
#[derive(Debug, Clone, Copy)]
struct PolicyOf<'a> {
    profile: &'a str,
    parameter: &'a str,
}

impl Desk<'_> {
    /// Returns the user who acts.
    pub async fn user(&self) -> Result<Cow<'_, User>, Stopped> {
        match self.known {
            Some(user) => Ok(Cow::Borrowed(user)),
            None => User::of(self.gateway.identify().await?, self.account).map(Cow::Owned),
        }
    }

    /// Refuses a user who has none of these rights.
    fn need(&self, any: &[Right]) -> Result<(), Stopped> {
        let Rights::Broker { granted, .. } = self.rights else { return Ok(()) };
        if any.iter().any(|right| granted.contains(right)) {
            return Ok(());
        }
        let name = self.known.map(|user| user.name.as_str()).unwrap_or_default();
        let holders: Vec<&str> = any.iter().map(|right| right.holders()).collect();
        Err(Stopped::NoRight(format!("{name} is not one of the {} of the broker", holders.join(" or "))))
    }

    /// Returns whether this is a broker, which acts for its users.
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

    /// Returns the name of the user to whom a list is narrowed: the given one, or the caller's own if nothing else narrows the list or
    /// the caller may not see the records of others.
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

    /// Returns the maximum number of records of a list.
    fn most(&self, wanted: u64) -> usize {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX - 1).min(usize::MAX - 1);
        match self.rights {
            Rights::Aws => wanted,
            Rights::Broker { .. } => wanted.min(MAX_LISTED),
        }
    }

    /// Returns the name of the parameter with the policy of a profile.
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

    /// Returns the role that the broker assumes for a profile.
    fn role(&self, profile: &str) -> Result<&RoleArn, Stopped> {
        let roles = match self.rights {
            Rights::Broker { roles, .. } => Some(roles),
            Rights::Aws => None,
        };
        let role = roles.and_then(|roles| roles.get(profile));
        role.ok_or_else(|| Stopped::NoRight(format!("the broker has no role for a profile {profile}")))
    }

    /// Refuses a profile without a role, so that a broker makes no calls for arbitrary names.
    fn known_profile(&self, profile: &str) -> Result<(), Stopped> {
        match self.rights {
            Rights::Aws => Ok(()),
            Rights::Broker { .. } => self.role(profile).map(drop),
        }
    }
}

/// Whether a list is narrowed by another filter than a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Narrowed {
    Yes,
    No,
}

/// Returns a random ID.
fn new_id() -> Result<String, Stopped> {
    let failed =
        |error| CallError::new(GET_CALLER_IDENTITY, Class::Rejected, format!("cannot get random numbers: {error}"));
    id().map_err(|error| Stopped::Call(failed(error)))
}

fn check_profile(profile: &str) -> Result<(), InvalidField> {
    policy_parameter::check_profile(profile).map_err(|_| InvalidField("profile"))
}

/// Checks the ID of a record. An ID of another form than sentinel's is valid here, and is not found.
fn check_id(id: &str) -> Result<(), InvalidField> {
    check_text("id", id, (1, 256))
}

/// Checks a free text: its length in characters, and that it neither starts nor ends with white space.
fn check_text(what: &'static str, text: &str, (least, most): (usize, usize)) -> Result<(), InvalidField> {
    let fits = (least..=most).contains(&text.chars().count()) && text.trim() == text;
    if fits { Ok(()) } else { Err(InvalidField(what)) }
}

/// The same for an optional text.
fn check_text_if(what: &'static str, text: Option<&String>, length: (usize, usize)) -> Result<(), InvalidField> {
    text.map_or(Ok(()), |text| check_text(what, text, length))
}

/// Checks the optional name of a user or an instance, to filter by.
fn check_name_if(what: &'static str, name: Option<&String>) -> Result<(), InvalidField> {
    check_text_if(what, name, (1, 2048))
}

fn check_profile_if(profile: Option<&String>) -> Result<(), InvalidField> {
    profile.map_or(Ok(()), |profile| check_profile(profile))
}

/// Checks a duration: at least a minute, and at most `most` seconds.
fn check_duration(seconds: i64, most: i64) -> Result<(), InvalidField> {
    if (60..=most).contains(&seconds) { Ok(()) } else { Err(InvalidField("duration")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::requests::{Request, Status};

    #[test]
    fn the_names_of_the_operations_are_unique() {
        macro_rules! names {
            ($($operation:ty,)*) => { vec![$(<$operation>::NAME),*] };
        }
        let names = operations!(names);
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), different.len(), "{names:?}");
    }

    /// A decision must have the time of its request to the millisecond.
    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        for created in [1_767_225_600_000, 1_767_225_600_007, 1_767_225_600_999, 4_102_444_800_001] {
            let request = Request {
                id: String::from("0123456789abcdef"),
                requester: String::from("alice"),
                requester_arn: String::from("arn:aws:iam::123456789012:user/alice"),
                requester_id: None,
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
    fn fields_that_the_command_line_refuses_are_invalid() {
        let create = |profile: &str, justification: &str, duration| {
            let (profile, justification) = (profile.to_owned(), justification.to_owned());
            requests::Create { profile, justification, duration }.check()
        };
        assert_eq!(create("prod", "Deploy the hotfix", 3600), Ok(()));
        assert_eq!(create("a b", "Deploy the hotfix", 3600), Err(InvalidField("profile")));
        assert_eq!(create("prod", "short", 3600), Err(InvalidField("justification")));
        assert_eq!(create("prod", &"x".repeat(501), 3600), Err(InvalidField("justification")));
        assert_eq!(create("prod", "Deploy the hotfix", 59), Err(InvalidField("duration")));
        assert_eq!(create("prod", "Deploy the hotfix", 8 * 3600 + 1), Err(InvalidField("duration")));
        let lock = |user: &str| {
            let (user, profile) = (user.to_owned(), String::from("prod"));
            locks::Lock { user, profile, reason: None }.check()
        };
        assert_eq!(lock("alice"), Ok(()));
        assert_eq!(lock("arn:aws:iam::123456789012:user/alice"), Ok(()));
        assert_eq!(lock("a lice"), Err(InvalidField("user")));
        assert_eq!(lock("arn:aws:iam::123456789012:role/x"), Err(InvalidField("user")));
    }
}

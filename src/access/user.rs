//! The user who acts, as AWS STS identified them.

use serde::Serialize;

use super::gate::Stopped;
use super::requests::Actor;
use crate::resource::caller::Caller;
use crate::resource::names::{AccountId, UserId};

/// The user who requests access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    #[serde(rename = "user")]
    pub name: String,
    pub arn: String,
    pub account: AccountId,
    /// The unique ID, which IAM policies know as `aws:userid`.
    #[serde(skip)]
    pub user_id: UserId,
}

impl User {
    /// Returns the user as the actor of a change of records.
    pub fn actor(&self) -> Actor<'_> {
        Actor { name: &self.name, arn: &self.arn }
    }

    /// Returns the unique ID for a record of this user.
    pub fn id_to_record(&self) -> Option<UserId> {
        Some(&self.user_id).filter(|id| !id.is_empty()).cloned()
    }

    /// Returns whether a record is of this user, given the unique ID in it. AWS reuses the ARN of a deleted user or role, but not the ID.
    /// Records of older versions have none.
    pub fn has_id(&self, recorded: Option<&UserId>) -> bool {
        recorded.is_none_or(|id| *id == self.user_id)
    }

    /// Returns the user of an identity. Fails if it is not of the account.
    pub fn of(caller: Caller, account: Option<&AccountId>) -> Result<Self, Stopped> {
        let name = caller.user().map_err(Stopped::NoUser)?;
        let user = Self { name, arn: caller.arn, account: caller.account, user_id: caller.user_id };
        if account.is_some_and(|account| *account != user.account) {
            return Err(Stopped::WrongAccount(user));
        }
        Ok(user)
    }
}

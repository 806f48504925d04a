//! The user who acts, as AWS STS identified them.

use serde::Serialize;

use super::gate::Stopped;
use super::requests::Actor;
use super::time::text;
use crate::resource::caller::Caller;
use crate::resource::names::{AccountId, UserId};
use crate::resource::record::Item;

/// The user who requests access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    #[serde(rename = "user")]
    pub name: String,
    pub arn: String,
    pub account: AccountId,
    /// The unique ID, which IAM policies know as `aws:userid`.
    #[serde(skip_serializing_if = "str::is_empty")]
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

    /// Returns whether a record has the unique ID of this user. An IAM user keeps it under a new name.
    pub fn owns_id(&self, recorded: Option<&UserId>) -> bool {
        !self.user_id.is_empty() && recorded == Some(&self.user_id)
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

/// Reads a unique ID, which a record may lack.
pub(super) fn unique_id(item: &Item, name: &str) -> Result<Option<UserId>, String> {
    if !item.contains_key(name) {
        return Ok(None);
    }
    let id = text(item, name).filter(|id| !id.trim().is_empty());
    id.map(|id| Some(UserId::new(id))).ok_or_else(|| format!("its `{name}` is not a unique ID"))
}

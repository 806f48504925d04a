//! Reads of roles that show whether AWS enforces the access gate.

use std::collections::BTreeSet;

use super::api::{self, RoleApi, failed};
use super::home::Home;
use super::steps::{GET_ROLE, LIST_ATTACHED};
use super::{Role, role_resource};
use crate::kind::Desired;
use crate::kind::document::PolicyDocument;
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::caller::Caller;
use crate::resource::names::RoleArn;

/// The operations of [`trust`] and [`managed_policies`].
pub const CHECK_READS: [Operation; 2] = [GET_ROLE, LIST_ATTACHED];

/// Reads the trust policy of a role in the caller's account. Returns `None` if the role does not exist.
pub async fn trust(api: &RoleApi, role: &RoleArn) -> Result<Option<PolicyDocument>, CallError> {
    let Some(answer) = found(api, role).await?.filter(|answer| answer.arn == **role) else { return Ok(None) };
    let text = answer.assume_role_policy_document.as_deref();
    text.map(|text| Some(api::document(text))).ok_or_else(|| failed(GET_ROLE, "the answer contains no trust policy"))
}

/// Returns the ARN of the role with this name, whatever its path. Returns `None` if the role does not exist.
pub async fn role_arn(api: &RoleApi, role: &RoleArn) -> Result<Option<String>, CallError> {
    Ok(found(api, role).await?.map(|answer| answer.arn))
}

/// Returns the ARN and the trust policy of the role with this name, whatever its path. Returns `None` if the role does not exist.
pub async fn role_named(api: &RoleApi, role: &RoleArn) -> Result<Option<(RoleArn, PolicyDocument)>, CallError> {
    let Some(answer) = found(api, role).await? else { return Ok(None) };
    let text = answer.assume_role_policy_document.as_deref();
    let text = text.ok_or_else(|| failed(GET_ROLE, "the answer contains no trust policy"))?;
    Ok(Some((RoleArn::new(answer.arn), api::document(text))))
}

/// Returns the ARNs of all roles of the account, also those of IAM Identity Center.
pub async fn role_arns(api: &RoleApi) -> Result<Vec<RoleArn>, CallError> {
    api::list(api, |answer| Some(RoleArn::new(answer.arn))).await
}

/// Returns the ARNs of the managed policies that are attached to a role.
pub async fn managed_policies(api: &RoleApi, role: &RoleArn) -> Result<BTreeSet<String>, CallError> {
    api::read_managed(api, name_of(role)).await
}

fn name_of(role: &RoleArn) -> &str {
    role.rsplit('/').next().unwrap_or_default()
}

async fn found(api: &RoleApi, role: &RoleArn) -> Result<Option<aws_sdk_iam::types::Role>, CallError> {
    match api::describe(api, name_of(role), &[Class::NotFound]).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.class == Class::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the ARN of a desired role in the account of a caller, and its trust policy there; `None` for a role to delete.
pub fn trust_in(desired: &Desired<Role>, caller: &Caller) -> Option<(RoleArn, PolicyDocument)> {
    let home = Home::of_caller(caller);
    let trust = home.document(desired.managed.trust.as_ref()?);
    let arn = home.arn(&role_resource(&desired.name, desired.managed.path.as_deref()));
    Some((RoleArn::new(arn), trust))
}

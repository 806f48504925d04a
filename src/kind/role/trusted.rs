//! Reads from IAM that show whether AWS enforces the access gate: the trust policy of a role, and the permissions of others for a table.

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};

use super::api::{self, RoleApi, failed};
use super::home::Home;
use super::steps::GET_ROLE;
use super::{Role, role_resource};
use crate::kind::Desired;
use crate::kind::document::PolicyDocument;
use crate::resource::call::{CallError, Class, Operation, operation};
use crate::resource::caller::Caller;
use crate::resource::names::RoleArn;

pub(super) const SIMULATE: Operation = operation!("iam", "SimulatePrincipalPolicy", 5.0, 5.0);

/// The maximum number of pages of a `SimulatePrincipalPolicy` response.
const PAGES: usize = 20;

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

async fn found(api: &RoleApi, role: &RoleArn) -> Result<Option<aws_sdk_iam::types::Role>, CallError> {
    let name = role.rsplit('/').next().unwrap_or_default();
    match api::describe(api, name, &[Class::NotFound]).await {
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

/// A simulated access of a principal to items of tables.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// The ARN of a user or a role.
    pub principal: &'a str,
    pub actions: &'a [&'a str],
    /// The ARNs of the tables.
    pub tables: &'a [String],
    /// The partition key of the item.
    pub key: &'a str,
}

/// Returns the actions and tables that IAM would allow: `ACTION on ARN`.
pub async fn allowed(api: &RoleApi, attempt: &Attempt<'_>) -> Result<Vec<String>, CallError> {
    let entry = ContextEntry::builder()
        .context_key_name("dynamodb:LeadingKeys")
        .context_key_type(ContextKeyTypeEnum::StringList)
        .context_key_values(attempt.key)
        .build();
    let (mut found, mut marker) = (Vec::new(), None);
    for _ in 0..PAGES {
        let call = || {
            let request = api.client.simulate_principal_policy().policy_source_arn(attempt.principal);
            let request = request.set_action_names(Some(attempt.actions.iter().map(|one| (*one).to_owned()).collect()));
            let request = request.set_resource_arns(Some(attempt.tables.to_vec()));
            request.context_entries(entry.clone()).set_marker(marker.clone()).send()
        };
        let answer = api.pacer.call(SIMULATE, &[], call).await?;
        let results = answer.evaluation_results.unwrap_or_default();
        let is_allowed =
            |one: &&aws_sdk_iam::types::EvaluationResult| one.eval_decision == PolicyEvaluationDecisionType::Allowed;
        found.extend(
            results
                .iter()
                .filter(is_allowed)
                .map(|one| format!("{} on {}", one.eval_action_name, one.eval_resource_name.as_deref().unwrap_or("*"))),
        );
        marker = answer.marker.filter(|marker| answer.is_truncated && !marker.is_empty());
        if marker.is_none() {
            return Ok(found);
        }
    }
    Err(failed(SIMULATE, "the answer does not end"))
}

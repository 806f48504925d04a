//! The IAM calls that change a role.

use std::time::Duration;

use aws_sdk_iam::types::Tag;
use tokio::time::Instant;

use super::api::{Policies, RoleApi, RoleParts, describe, failed, from_sdk, read};
use super::steps::{
    ATTACH_POLICY, CREATE_ROLE, DELETE_BOUNDARY, DELETE_POLICY, DELETE_ROLE, DETACH_POLICY, GET_ROLE, PUT_BOUNDARY,
    PUT_POLICY, TAG_ROLE, UNTAG_ROLE, UPDATE_ROLE, UPDATE_TRUST,
};
use super::{Boundary, Role, RoleStep, diff};
use crate::kind::Waiting;
use crate::resource::call::{CallError, Class, Operation};
use crate::resource::names::OwnerKey;
use crate::resource::{OWNER, StepOutcome, Tags};

/// Temporary failures for an existing role: the role, or a principal of its trust policy, has not propagated, or another change is in
/// progress.
const SETTLING: &[Class] = &[Class::NotFound, Class::Busy];
/// Temporary failures for a role that may be deleted.
const BUSY: &[Class] = &[Class::Busy];

/// Runs one step. Each step sets a state, so repeating it has no effect.
pub(super) async fn execute(api: &RoleApi, step: &RoleStep, waiting: Waiting) -> Result<StepOutcome, CallError> {
    let (client, pacer) = (&api.client, &api.pacer);
    match step {
        RoleStep::CreateRole { name, role } => create(api, name, role).await,
        RoleStep::UpdateRole { name, description, max_session_duration } => {
            let seconds = i32::try_from(*max_session_duration).unwrap_or(i32::MAX);
            let call =
                || client.update_role().role_name(name).description(description).max_session_duration(seconds).send();
            done(pacer.call(UPDATE_ROLE, SETTLING, call).await)
        }
        RoleStep::PutRoleTrust { name, trust } => {
            let text = api.home().await?.document(trust).to_json();
            let call = || client.update_assume_role_policy().role_name(name).policy_document(&text).send();
            done(pacer.call(UPDATE_TRUST, SETTLING, call).await)
        }
        RoleStep::PutRoleBoundary { name, boundary, .. } => {
            let arn = api.home().await?.fill(boundary);
            let call = || client.put_role_permissions_boundary().role_name(name).permissions_boundary(&arn).send();
            done(pacer.call(PUT_BOUNDARY, SETTLING, call).await)
        }
        RoleStep::DeleteRoleBoundary { name } => {
            let call = || client.delete_role_permissions_boundary().role_name(name).send();
            ignore_missing(pacer.call(DELETE_BOUNDARY, BUSY, call).await)
        }
        RoleStep::AttachRolePolicy { name, policy_arn } => {
            let arn = api.home().await?.fill(policy_arn);
            let call = || client.attach_role_policy().role_name(name).policy_arn(&arn).send();
            done(pacer.call(ATTACH_POLICY, SETTLING, call).await)
        }
        RoleStep::DetachRolePolicy { name, policy_arn } => {
            let call = || client.detach_role_policy().role_name(name).policy_arn(policy_arn).send();
            ignore_missing(pacer.call(DETACH_POLICY, BUSY, call).await)
        }
        RoleStep::PutRolePolicy { name, policy, document } => {
            let text = api.home().await?.document(document).to_json();
            let call = || client.put_role_policy().role_name(name).policy_name(policy).policy_document(&text).send();
            done(pacer.call(PUT_POLICY, SETTLING, call).await)
        }
        RoleStep::DeleteRolePolicy { name, policy } => {
            let call = || client.delete_role_policy().role_name(name).policy_name(policy).send();
            ignore_missing(pacer.call(DELETE_POLICY, BUSY, call).await)
        }
        RoleStep::TagRole { name, tags } => {
            let list = sdk_tags(TAG_ROLE, tags)?;
            let call = || client.tag_role().role_name(name).set_tags(Some(list.clone())).send();
            done(pacer.call(TAG_ROLE, SETTLING, call).await)
        }
        RoleStep::UntagRole { name, keys } => {
            let call = || client.untag_role().role_name(name).set_tag_keys(Some(keys.clone())).send();
            done(pacer.call(UNTAG_ROLE, SETTLING, call).await)
        }
        RoleStep::AwaitRole { name, role } => wait(api, name, role, waiting).await,
        RoleStep::CheckRoleOwner { name, owner_key, id } => {
            check_owner(api, name, Expected { owner_key, id: id.as_deref() }).await
        }
        RoleStep::DeleteRole { name } => delete(api, name).await,
    }
}

fn done<T>(answer: Result<T, CallError>) -> Result<StepOutcome, CallError> {
    answer.map(|_| StepOutcome::Done).map_err(explained)
}

/// The same for a call that removes something: if it does not exist, it has been removed.
fn ignore_missing<T>(answer: Result<T, CallError>) -> Result<StepOutcome, CallError> {
    match answer {
        Err(error) if error.class == Class::NotFound => Ok(StepOutcome::Done),
        answer => done(answer),
    }
}

/// Returns a failure with its meaning and fix, if IAM's message lacks them.
fn explained(error: CallError) -> CallError {
    let explanation = match error.code.as_deref().unwrap_or_default() {
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" if error.class == Class::NotFound => {
            "a user or role in the policy does not exist; create it first, or remove it from the policy"
        }
        "LimitExceeded" | "LimitExceededException" => {
            "a quota of the account is reached: request an increase under Service Quotas, AWS Identity and Access Management, or reduce \
                 the role's policies"
        }
        "NoSuchEntity" | "NoSuchEntityException" if error.class == Class::Rejected => {
            "list the names with: aws iam list-policies"
        }
        _ => return error,
    };
    // The message is complete.
    let message = format!("{}; {explanation}", error.message);
    CallError { class: Class::Rejected, message, ..error }
}

fn sdk_tags(operation: Operation, tags: &Tags) -> Result<Vec<Tag>, CallError> {
    let build = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(build).collect::<Result<_, _>>().map_err(|error| failed(operation, error.to_string()))
}

/// Creates a role. An existing role is accepted if it comes from this call, after a lost response, or from the pass of another region of
/// the account.
async fn create(api: &RoleApi, name: &str, role: &Role) -> Result<StepOutcome, CallError> {
    let role = api.home().await?.role(role);
    let tags = role.tags.clone().unwrap_or_default();
    let list = Some(sdk_tags(CREATE_ROLE, &tags)?).filter(|list| !list.is_empty());
    let trust = role.trust.as_ref().map(super::PolicyDocument::to_json).unwrap_or_default();
    let boundary = role.permissions_boundary.as_ref().and_then(|boundary| match boundary {
        Boundary::Off => None,
        Boundary::Policy(arn) => Some(arn.clone()),
    });
    let session = role.max_session_duration.and_then(|seconds| i32::try_from(seconds).ok());
    let call = || {
        let request = api.client.create_role().role_name(name).assume_role_policy_document(&trust);
        let request = request.set_path(role.path.clone()).set_description(role.description.clone());
        let request = request.set_max_session_duration(session).set_permissions_boundary(boundary.clone());
        request.set_tags(list.clone()).send()
    };
    let error = match api.pacer.call(CREATE_ROLE, SETTLING, call).await {
        Ok(_) => return Ok(StepOutcome::Done),
        Err(error) if error.class == Class::AlreadyExists || error.open => error,
        Err(error) => return Err(explained(error)),
    };
    let Ok(found) = describe(api, name, &[]).await else { return Err(error) };
    let (found, _) = from_sdk(found);
    if diff::diff(&role, &found).is_empty() {
        return Ok(StepOutcome::Done);
    }
    let why = "someone else created it meanwhile, with other settings or tags; nothing was changed";
    Ok(StepOutcome::Conflict(String::from(why)))
}

/// How long a step waits until IAM shows a change. After that, the verification at the end of the run decides.
const SHOWN: Duration = Duration::from_secs(30);

/// Waits until IAM returns the written state.
async fn wait(api: &RoleApi, name: &str, role: &Role, waiting: Waiting) -> Result<StepOutcome, CallError> {
    let wanted = api.home().await?.role(role);
    let policies = if wanted.policies.is_some() { Policies::Documents } else { Policies::Unread };
    let wants = RoleParts { managed: wanted.managed_policies.is_some(), policies };
    let (started, limit) = (Instant::now(), waiting.limit.min(SHOWN));
    let mut pause = Duration::from_millis(300);
    loop {
        let live = read(api, name, wants, SETTLING).await?;
        let left = limit.saturating_sub(started.elapsed());
        if diff::diff(&wanted, &live.state).is_empty() || left.is_zero() {
            return Ok(StepOutcome::Done);
        }
        api.pacer.sleep(GET_ROLE, pause.min(left)).await?;
        pause = (pause * 2).min(Duration::from_secs(4));
    }
}

/// The role to delete: it carries the ownership tag with this key and has the observed ID, if the plan has one.
struct Expected<'a> {
    owner_key: &'a OwnerKey,
    id: Option<&'a str>,
}

/// Checks that a role is the one to delete, before anything is removed from it.
async fn check_owner(
    api: &RoleApi,
    name: &str,
    Expected { owner_key, id }: Expected<'_>,
) -> Result<StepOutcome, CallError> {
    let found = match describe(api, name, &[]).await {
        Ok(found) => found,
        Err(error) if error.class == Class::NotFound => return Ok(StepOutcome::Done),
        Err(error) => return Err(error),
    };
    if id.is_some_and(|id| id != found.role_id) {
        return Ok(StepOutcome::Conflict(String::from(
            "someone else deleted it and created another one meanwhile; it was not changed",
        )));
    }
    let owner = found.tags.unwrap_or_default().into_iter().find(|tag| tag.key == owner_key.as_str());
    if owner.is_some_and(|tag| tag.value == OWNER) {
        return Ok(StepOutcome::Done);
    }
    Ok(StepOutcome::Conflict(format!("it no longer has the tag {owner_key} = {OWNER}; nothing was deleted")))
}

async fn delete(api: &RoleApi, name: &str) -> Result<StepOutcome, CallError> {
    let call = || api.client.delete_role().role_name(name).send();
    match ignore_missing(api.pacer.call(DELETE_ROLE, BUSY, call).await) {
        Err(error) if matches!(error.code.as_deref(), Some("DeleteConflict" | "DeleteConflictException")) => {
            Ok(StepOutcome::Conflict(format!("someone else attached something to it meanwhile: {}", error.message)))
        }
        answer => answer,
    }
}

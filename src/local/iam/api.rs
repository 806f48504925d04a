//! The IAM API with AWS's rules and texts: roles, their policies and tags, and the resources that roles refer to. It uses the Query
//! protocol. The state is common to all regions of an account.

mod documents;
mod needed;
mod others;
mod policies;
mod roles;
mod rules;
mod simulate;
mod tags;

use super::evaluate::CallerKind;
use super::role::HOME;
use super::{Signer, denied};
use crate::local::answer::{Answer, Form, Refusal, Request, element, query};
use crate::local::{LocalAws, Region};

const SPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The responses of these operations have no result element.
const SILENT: &[&str] = &[
    "AddRoleToInstanceProfile",
    "AttachRolePolicy",
    "DeleteInstanceProfile",
    "DeleteOpenIDConnectProvider",
    "DeletePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "RemoveRoleFromInstanceProfile",
    "TagRole",
    "UntagRole",
    "UpdateAssumeRolePolicy",
];

pub(in crate::local) fn answer(aws: &LocalAws, request: &Request) -> Answer {
    let operation = request.operation();
    let result = run(aws, request, &operation);
    query(&operation, SPACE, result, !SILENT.contains(&operation.as_str()))
}

fn run(aws: &LocalAws, request: &Request, operation: &str) -> Result<String, Refusal> {
    let signer = Signer::of_query(aws, request)?;
    // STS API Reference, "GetSessionToken": its credentials can call IAM only if an MFA code was given.
    if signer.caller.kind == CallerKind::User && signer.caller.mfa == Some(false) {
        return Err(Refusal::new("InvalidClientTokenId", "The security token included in the request is invalid")
            .with_status(403));
    }
    let form = request.form();
    let home = aws.open_region(&signer.caller.account, HOME).map_err(|error| Refusal::internal(&error))?;
    if !signer.has_all_permissions() {
        let needed = needed::of(&home, &request.region, operation, &form)?;
        signer.check(&needed).map_err(|message| denied(&message))?;
    }
    dispatch(aws, &home, operation, &form)
}

fn dispatch(aws: &LocalAws, home: &Region, operation: &str, form: &Form) -> Result<String, Refusal> {
    match operation {
        "CreateRole" => roles::create(home, form),
        "CreateServiceLinkedRole" => roles::create_of_a_service(home, form),
        "GetRole" => roles::get(home, form),
        "UpdateRole" => roles::update(home, form),
        "UpdateRoleDescription" => roles::update_description(home, form),
        "UpdateAssumeRolePolicy" => roles::update_trust(home, form),
        "DeleteRole" => roles::delete(home, form),
        "ListRoles" => roles::list(home, form),
        "PutRolePermissionsBoundary" => roles::put_boundary(home, form),
        "DeleteRolePermissionsBoundary" => roles::delete_boundary(home, form),
        "TagRole" => tags::tag(home, form),
        "UntagRole" => tags::untag(home, form),
        "ListRoleTags" => tags::list(home, form),
        "PutRolePolicy" => policies::put(home, form),
        "GetRolePolicy" => policies::get(home, form),
        "DeleteRolePolicy" => policies::delete(home, form),
        "ListRolePolicies" => policies::list(home, form),
        "AttachRolePolicy" => policies::attach(home, form),
        "DetachRolePolicy" => policies::detach(home, form),
        "ListAttachedRolePolicies" => policies::list_attached(home, form),
        "CreatePolicy" => policies::create_managed(home, form),
        "GetPolicy" => policies::get_managed(home, form),
        "GetPolicyVersion" => policies::get_managed_version(home, form),
        "DeletePolicy" => policies::delete_managed(home, form),
        "CreateInstanceProfile" => others::create_profile(home, form),
        "GetInstanceProfile" => others::get_profile(home, form),
        "DeleteInstanceProfile" => others::delete_profile(home, form),
        "AddRoleToInstanceProfile" => others::add_to_profile(home, form),
        "RemoveRoleFromInstanceProfile" => others::remove_from_profile(home, form),
        "ListInstanceProfilesForRole" => others::profiles_of_a_role(home, form),
        "CreateOpenIDConnectProvider" => others::create_provider(home, form),
        "GetOpenIDConnectProvider" => others::get_provider(home, form),
        "DeleteOpenIDConnectProvider" => others::delete_provider(home, form),
        "ListOpenIDConnectProviders" => others::list_providers(home),
        "SimulatePrincipalPolicy" => simulate::principal(aws, home, form),
        other => Err(Refusal::new("InvalidAction", format!("the AWS emulator does not have the action iam:{other}"))),
    }
}

impl Refusal {
    fn missing(message: impl Into<String>) -> Self {
        Self::new("NoSuchEntity", message).with_status(404)
    }

    fn already_exists(message: impl Into<String>) -> Self {
        Self::new("EntityAlreadyExists", message).with_status(409)
    }

    fn in_use(message: &str) -> Self {
        Self::new("DeleteConflict", message).with_status(409)
    }

    fn limit_exceeded(quota: &str, limit: usize) -> Self {
        Self::new("LimitExceeded", format!("Cannot exceed quota for {quota}: {limit}")).with_status(409)
    }

    fn invalid_input(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new("MalformedPolicyDocument", message)
    }
}

/// Returns a page of a list, as `<NAME><member>…</member></NAME>`, with the marker of the next page.
fn page(name: &str, members: Vec<String>, form: &Form) -> Result<String, Refusal> {
    let bad = |field: &str| Refusal::invalid_input(format!("Invalid {field}."));
    let start = form.get("Marker").map_or(Ok(0), |text| text.parse::<usize>().map_err(|_| bad("Marker")))?;
    let most = form.get("MaxItems").map_or(Ok(100), |text| text.parse::<usize>().map_err(|_| bad("MaxItems")))?;
    if !(1..=1000).contains(&most) {
        let at = format!("1 validation error detected: Value '{most}' at 'maxItems' failed to satisfy constraint");
        return Err(Refusal::invalid_input(format!("{at}: Member must have value between 1 and 1000")));
    }
    if start > members.len() {
        return Err(bad("Marker"));
    }
    let more = members.len() > start + most;
    let shown: String =
        members.iter().skip(start).take(most).map(|member| format!("<member>{member}</member>")).collect();
    let marker = if more { element("Marker", &(start + most).to_string()) } else { String::new() };
    Ok(format!("<{name}>{shown}</{name}>{}{marker}", element("IsTruncated", if more { "true" } else { "false" })))
}

/// Returns a time in IAM's format.
fn time(millis: i64) -> String {
    jiff::Timestamp::from_second(millis / 1000).unwrap_or_default().to_string()
}

/// Returns a document as IAM returns it: percent-encoded (RFC 3986).
fn encoded(document: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut text = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests;

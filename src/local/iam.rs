//! IAM for the users of the embedded AWS: identity-based policies, evaluated for every request of a user who has some.
//!
//! What is not understood denies: an operator, condition key or policy variable that is unknown here never lets an
//! `Allow` apply, and always lets a `Deny` apply. The published crates were not used: they skip or guess what they do
//! not know, which is the wrong side for this.

mod document;
mod evaluate;
mod pattern;
mod request;

use std::sync::Arc;

use serde_json::Value;

use super::Region;
use super::answer::{Failure, Refusal, Request};
use super::sts::Identity;
use document::Document;
use evaluate::{Ask, Caller, Verdict, decide};

/// The users who have only the permissions of their policies. Every other user has all permissions.
#[derive(Debug, Clone, Default)]
pub struct Users(Arc<Vec<User>>);

#[derive(Debug, Clone)]
struct User {
    name: String,
    policies: Vec<Document>,
}

impl Users {
    /// Adds a user with these policy documents, as JSON; without any, the user has no permissions.
    ///
    /// # Errors
    ///
    /// Fails when a document is not a policy, or the user is there already. AWS does not tell user names apart by case
    /// (IAM User Guide, "IAM and AWS STS quotas").
    pub fn add(&mut self, name: &str, documents: &[&str]) -> Result<(), String> {
        if self.find(name).is_some() {
            return Err(format!("the user {name} is there twice"));
        }
        let parsed = documents.iter().map(|text| document::parse(text));
        let policies = parsed.collect::<Result<_, _>>().map_err(|error| format!("a policy of {name}: {error}"))?;
        Arc::make_mut(&mut self.0).push(User { name: name.to_owned(), policies });
        Ok(())
    }

    fn find(&self, name: &str) -> Option<&User> {
        self.0.iter().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// Returns the policies of the user who signs with a key, or nothing for one who has all permissions.
    fn of<'a>(&'a self, identity: &Identity<'a>) -> Option<(Caller<'a>, &'a [Document])> {
        let name = identity.user_name()?;
        let user = self.find(name)?;
        let caller = Caller { name, arn: identity.arn(), user_id: identity.user_id(), account: identity.account };
        Some((caller, &user.policies))
    }
}

/// Why a request is refused.
struct Denial {
    message: String,
}

/// Checks each permission that a request takes.
fn check(caller: &Caller<'_>, policies: &[Document], asks: &[Ask]) -> Result<(), Denial> {
    for ask in asks {
        let why = match decide(policies, caller, ask) {
            Verdict::Allowed => continue,
            Verdict::Explicit => String::from("with an explicit deny in an identity-based policy"),
            Verdict::Implicit => format!("because no identity-based policy allows the {} action", ask.action),
        };
        let Ask { action, resource, .. } = ask;
        let message =
            format!("User: {} is not authorized to perform: {action} on resource: {resource} {why}", caller.arn);
        return Err(Denial { message });
    }
    Ok(())
}

/// Refuses a request to one of the JSON services that the caller's policies do not allow.
pub(super) fn authorize(
    users: &Users,
    region: &Region,
    (service, operation): (&str, &str),
    request: &Request,
) -> Result<(), Failure> {
    let Some((caller, policies)) = users.of(&Identity::of(&request.key)) else { return Ok(()) };
    let body: Value = super::answer::parse(&request.body)?;
    let asks = match service {
        "AmazonSSM" => request::of_ssm(region, operation, &body),
        "DynamoDB_20120810" => request::of_dynamodb(region, operation, &body),
        "AnyScaleFrontendService" => request::of_autoscaling(region, operation),
        "TrentService" => request::of_kms(region, operation, &body),
        "ResourceGroupsTaggingAPI_20170126" => request::of_tagging(region, operation),
        // The service is not there either, and says so.
        _ => return Ok(()),
    };
    check(&caller, policies, &asks).map_err(|denial| Failure::new("AccessDeniedException", denial.message))
}

/// Refuses a request to SNS that the caller's policies do not allow.
pub(super) fn authorize_sns(users: &Users, region: &Region, request: &Request) -> Result<(), Refusal> {
    let Some((caller, policies)) = users.of(&Identity::of(&request.key)) else { return Ok(()) };
    let asks = request::of_sns(region, &request.operation(), &request.form());
    check(&caller, policies, &asks)
        .map_err(|denial| Refusal::new("AuthorizationError", denial.message).with_status(403))
}

/// Refuses a request to STS that the caller's policies do not allow. The error is its code and message.
pub(super) fn authorize_sts(users: &Users, request: &Request) -> Result<(), String> {
    let Some((caller, policies)) = users.of(&Identity::of(&request.key)) else { return Ok(()) };
    let asks = request::of_sts(&request.operation(), request.field("RoleArn").as_deref(), &request.region);
    check(&caller, policies, &asks).map_err(|denial| denial.message)
}

#[cfg(test)]
mod tests;

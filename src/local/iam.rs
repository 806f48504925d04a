//! IAM: its API, and the evaluation of policies for every request of a caller with policies: a listed user, or the session of a created
//! role.
//!
//! Anything unknown denies: with an unsupported operator, condition key or policy variable, an `Allow` never applies and a `Deny` always
//! does. Published crates were not used, because they ignore or guess unknown parts, which is unsafe here.

mod api;
mod document;
mod evaluate;
mod managed;
mod pattern;
mod permissions;
#[cfg(test)]
mod probe;
mod request;
mod role;
mod signer;
mod trust;

use std::sync::Arc;

use serde_json::Value;

use super::answer::{Failure, Refusal, Request, element};
use super::sts::RoleSession;
use super::{LocalAws, Region};
use document::Document;
use evaluate::{CallerKind, Context, RequiredPermission};
use permissions::Granted;
use role::{HOME, Role};
use signer::Unknown;
use trust::{Named, Trust};

pub(super) use api::answer;
#[cfg(test)]
pub(crate) use probe::Probe;
pub(super) use signer::Signer;

/// The users whose permissions are limited to their policies. Every other user has all permissions.
#[derive(Debug, Clone, Default)]
pub struct Users(Arc<Vec<User>>);

#[derive(Debug, Clone)]
struct User {
    name: String,
    policies: Arc<Vec<Document>>,
}

impl Users {
    /// Adds a user with these policy documents, as JSON; without any, the user has no permissions.
    ///
    /// # Errors
    ///
    /// Fails if a document is not a policy, or the user already exists. AWS user names are case-insensitive (IAM User Guide, "IAM and AWS
    /// STS quotas").
    pub fn add(&mut self, name: &str, documents: &[&str]) -> Result<(), String> {
        if self.policies(name).is_some() {
            return Err(format!("the user {name} is there twice"));
        }
        let parsed = |(at, text): (usize, &&str)| Ok(document::parse(text)?.named(format!("user_{name}_{}", at + 1)));
        let policies: Vec<Document> = documents
            .iter()
            .enumerate()
            .map(parsed)
            .collect::<Result<_, String>>()
            .map_err(|error| format!("a policy of {name}: {error}"))?;
        Arc::make_mut(&mut self.0).push(User { name: name.to_owned(), policies: policies.into() });
        Ok(())
    }

    /// Returns the policies of a user, or `None` for a user with all permissions.
    fn policies(&self, name: &str) -> Option<Arc<Vec<Document>>> {
        self.0.iter().find(|user| user.name.eq_ignore_ascii_case(name)).map(|user| Arc::clone(&user.policies))
    }
}

/// A request to assume a role.
#[derive(Debug, Clone)]
pub(super) struct Assumption<'a> {
    pub(super) account: &'a str,
    pub(super) name: &'a str,
    pub(super) arn: &'a str,
    pub(super) session: &'a str,
    pub(super) external_id: Option<String>,
    /// Whether the request contains an MFA code.
    pub(super) mfa: bool,
}

/// The role that a caller may assume.
#[derive(Debug, Clone)]
pub(super) struct Assumable {
    pub(super) id: String,
    /// In seconds.
    pub(super) longest: i64,
}

impl Signer {
    /// Identifies the caller of a request in the Query protocol.
    pub(super) fn of_query(aws: &LocalAws, request: &Request) -> Result<Self, Refusal> {
        Self::of(aws, request).map_err(|unknown| {
            let code = match &unknown {
                Unknown::Invalid => "InvalidClientTokenId",
                Unknown::Expired => "ExpiredToken",
                Unknown::Failed(what) => return Refusal::internal(what),
            };
            Refusal::new(code, unknown.message()).with_status(403)
        })
    }

    fn of_json(aws: &LocalAws, request: &Request) -> Result<Self, Failure> {
        Self::of(aws, request).map_err(|unknown| match &unknown {
            Unknown::Invalid => Failure::new("UnrecognizedClientException", unknown.message()),
            Unknown::Expired => Failure::new("ExpiredTokenException", unknown.message()),
            Unknown::Failed(what) => Failure::internal(what),
        })
    }

    /// Returns STS's description of a caller.
    pub(super) fn identity(&self) -> Result<String, Refusal> {
        let caller = &self.caller;
        if caller.kind == CallerKind::Service {
            return Err(denied("a service of AWS only assumes roles here"));
        }
        let parts =
            [element("Arn", &caller.arn), element("UserId", &caller.user_id), element("Account", &caller.account)];
        Ok(parts.concat())
    }

    pub(super) fn session(&self) -> Option<&RoleSession> {
        self.session.as_ref()
    }

    /// Checks that a text is an identity-based policy.
    pub(super) fn check_document(text: &str) -> Result<(), Refusal> {
        let parsed = document::parse(text).map(drop);
        parsed.map_err(|error| Refusal::new("MalformedPolicyDocument", format!("Syntax errors in policy: {error}")))
    }

    /// Checks each permission that a request requires.
    fn check(&self, needed: &[RequiredPermission]) -> Result<(), String> {
        for permission in needed {
            self.permissions
                .check(&self.caller, permission, Granted::Nothing)
                .map_err(|why| format!("{} {why}", self.unauthorized(permission)))?;
        }
        Ok(())
    }

    fn unauthorized(&self, permission: &RequiredPermission) -> String {
        let (arn, RequiredPermission { action, resource, .. }) = (&self.caller.arn, permission);
        format!("User: {arn} is not authorized to perform: {action} on resource: {resource}")
    }

    /// Checks that the caller may assume a role: by the role's trust policy, and by the caller's own policies unless the trust policy names
    /// the caller directly. A role that was never created requires only the caller's permission.
    pub(super) fn assume(
        &self,
        aws: &LocalAws,
        region: &str,
        wanted: &Assumption<'_>,
        stamped: &RoleSession,
    ) -> Result<Option<Assumable>, Refusal> {
        let home = aws.open_region(wanted.account, HOME).map_err(|error| Refusal::internal(&error))?;
        let role = Role::find(&home, wanted.name)?;
        let context = context_of(wanted, stamped, role.as_ref());
        let required = |action: &str| RequiredPermission {
            context: context.clone(),
            ..request::permission(region, format!("sts:{action}"), wanted.arn.to_owned())
        };
        let refused = |permission: &RequiredPermission, why: &str| {
            Err(denied(&format!("{} {why}", self.unauthorized(permission))))
        };
        let mut actions = vec!["AssumeRole"];
        let Some(role) = role else {
            let permission = required("AssumeRole");
            return match self.permissions.check(&self.caller, &permission, Granted::Nothing) {
                Ok(()) => Ok(None),
                Err(why) => refused(&permission, &why),
            };
        };
        actions.extend(stamped.source_identity.is_some().then_some("SetSourceIdentity"));
        actions.extend((!stamped.tags.is_empty()).then_some("TagSession"));
        let policy = document::parse_trust(&role.trust);
        let policy =
            policy.map_err(|error| Refusal::internal(&format!("a stored trust policy cannot be read: {error}")))?;
        let mut caller = self.caller.clone();
        if wanted.mfa {
            caller.mfa = Some(true);
        }
        for action in actions {
            let permission = required(action);
            if role.arn() != wanted.arn {
                return refused(
                    &permission,
                    &format!("because no role trust policy allows the {} action", permission.action),
                );
            }
            let named = match trust::decide(&policy, &role.trusted_ids, &caller, &permission) {
                Trust::Granted(named) => named,
                Trust::Explicit => return refused(&permission, "with an explicit deny in the role trust policy"),
                Trust::Implicit => {
                    return refused(
                        &permission,
                        &format!("because no role trust policy allows the {} action", permission.action),
                    );
                }
            };
            // A principal of another account always needs its own permission.
            let granted = match named {
                _ if caller.kind == CallerKind::Service => Granted::Everything,
                _ if caller.account != role.account => Granted::Nothing,
                Named::ByAccount => Granted::Nothing,
                Named::ByRole => Granted::WithoutIdentity,
                Named::Directly => Granted::Everything,
            };
            if let Err(why) = self.permissions.check(&caller, &permission, granted) {
                return refused(&permission, &why);
            }
        }
        Ok(Some(Assumable { id: role.id, longest: role.longest_session }))
    }
}

/// Returns the condition keys of a request to assume a role.
fn context_of(wanted: &Assumption<'_>, stamped: &RoleSession, role: Option<&Role>) -> Context {
    let mut context = Context::of(&[
        "sts:externalid",
        "sts:rolesessionname",
        "sts:sourceidentity",
        "sts:transitivetagkeys",
        "aws:requesttag/",
        "aws:resourcetag/",
        "aws:tagkeys",
    ]);
    context.set("sts:RoleSessionName", vec![wanted.session.to_owned()]);
    if let Some(id) = &wanted.external_id {
        context.set("sts:ExternalId", vec![id.clone()]);
    }
    if let Some(source) = &stamped.source_identity {
        context.set("sts:SourceIdentity", vec![source.clone()]);
    }
    if !stamped.tags.is_empty() {
        context.set("aws:TagKeys", stamped.tags.keys().cloned().collect());
    }
    if !stamped.transitive.is_empty() {
        context.set("sts:TransitiveTagKeys", stamped.transitive.clone());
    }
    for (key, value) in &stamped.tags {
        context.set(&format!("aws:RequestTag/{key}"), vec![value.clone()]);
    }
    for (key, value) in role.into_iter().flat_map(|role| role.tags.values()) {
        context.set(&format!("aws:ResourceTag/{key}"), vec![value.clone()]);
    }
    context
}

/// Returns the document of a managed policy of an account.
pub(super) fn managed_document(aws: &LocalAws, account: &str, arn: &str) -> Result<String, Refusal> {
    let home = aws.open_region(account, HOME).map_err(|error| Refusal::internal(&error))?;
    let found = home.store.read(|store| managed::document(store, arn))?;
    found.ok_or_else(|| Refusal::new("ValidationError", format!("The AWS emulator does not have the policy {arn}")))
}

fn denied(message: &str) -> Refusal {
    Refusal::new("AccessDenied", message).with_status(403)
}

/// Refuses a request to a JSON service that the caller's policies do not allow. Returns the caller's ARN.
pub(super) fn authorize(
    aws: &LocalAws,
    region: &Region,
    (service, operation): (&str, &str),
    request: &Request,
) -> Result<String, Failure> {
    let signer = Signer::of_json(aws, request)?;
    let arn = signer.caller.arn.clone();
    if signer.has_all_permissions() {
        return Ok(arn);
    }
    let body: Value = super::answer::parse(&request.body)?;
    let needed = match service {
        "AmazonSSM" => request::of_ssm(region, operation, &body),
        "DynamoDB_20120810" => request::of_dynamodb(region, operation, &body),
        "AnyScaleFrontendService" => request::of_autoscaling(region, operation),
        "TrentService" => request::of_kms(region, operation, &body),
        "ResourceGroupsTaggingAPI_20170126" => request::of_tagging(region, operation),
        // The service does not exist, which the response reports.
        _ => return Ok(arn),
    };
    signer.check(&needed).map(|()| arn).map_err(|message| Failure::new("AccessDeniedException", message))
}

/// Refuses a request to SNS that the caller's policies do not allow.
pub(super) fn authorize_sns(aws: &LocalAws, region: &Region, request: &Request) -> Result<(), Refusal> {
    let signer = Signer::of_query(aws, request)?;
    if signer.has_all_permissions() {
        return Ok(());
    }
    let needed = request::of_sns(region, &request.operation(), &request.form());
    signer.check(&needed).map_err(|message| Refusal::new("AuthorizationError", message).with_status(403))
}

#[cfg(test)]
mod tests;

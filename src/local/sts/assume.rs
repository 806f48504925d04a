//! AssumeRole. A created role is assumed by its trust policy and the caller's own policies; a role that was never created can be assumed by
//! everyone whose policies allow it.

use std::collections::BTreeMap;

use super::{
    Identity, KeyOwner, RoleSession, TEMPORARY, Token, credentials, invalid, is_account, is_name, mfa, seconds,
};
use crate::local::LocalAws;
use crate::local::answer::{Form, Refusal, Request, element};
use crate::local::iam::{Assumption, Signer, managed_document};

/// The maximum session duration of any role, in seconds (STS API Reference, "AssumeRole").
const LONGEST: i64 = 43_200;
/// The maximum session duration with role chaining.
const LONGEST_CHAINED: i64 = 3_600;
/// The maximum total length of session policies, and the maximum number of managed session policies.
const POLICY_LENGTH: usize = 2_048;
const POLICIES: usize = 10;
const TAGS: usize = 50;

pub(super) fn assume(aws: &LocalAws, request: &Request, signer: &Signer) -> Result<String, Refusal> {
    let form = request.form();
    let role_arn = form.get("RoleArn").cloned().unwrap_or_default();
    let mut parts = role_arn.split(':').skip(4);
    let (account, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let role = path.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    if !role_arn.starts_with("arn:") || !is_account(account) || !is_name(role) {
        return Err(invalid(format!("{role_arn} is invalid")));
    }
    let session = name(&form, "RoleSessionName")?.unwrap_or_default();
    if session.is_empty() {
        return Err(out_of_pattern("roleSessionName", &session));
    }
    let asked = name(&form, "SourceIdentity")?;
    let duration = seconds(request, 3_600, LONGEST)?;
    let mfa = mfa(request)?;
    let tags = tags(&form)?;
    let transitive: Vec<String> = members(&form, "TransitiveTagKeys.member").cloned().collect();
    if let Some(key) = transitive.iter().find(|key| !tags.contains_key(*key)) {
        return Err(invalid(format!("The transitive tag key {key} is not one of the tags")));
    }
    let mut stamped = RoleSession { id: None, source_identity: asked, tags, transitive, policies: None };
    if let Some(before) = signer.session() {
        inherit(&mut stamped, before)?;
    }
    let external_id = form.get("ExternalId").cloned();
    let assumption = Assumption { account, name: role, arn: &role_arn, session: &session, external_id, mfa };
    let allowed = signer.assume(aws, &request.region, &assumption, &stamped)?;
    if let Some(allowed) = &allowed {
        let chained = matches!(Identity::of(&request.key).owner, KeyOwner::Session { .. });
        if duration > allowed.longest {
            let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(invalid(message));
        }
        if chained && duration > LONGEST_CHAINED {
            let message =
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.";
            return Err(invalid(message));
        }
        stamped.id = Some(allowed.id.clone());
    }
    stamped.policies = policies(aws, account, &form)?;
    let known = Identity { account, owner: KeyOwner::Session { role, session: &session } };
    let id = match &allowed {
        Some(allowed) => format!("{}:{session}", allowed.id),
        None => known.user_id(),
    };
    let source = stamped.source_identity.as_deref().map(|source| element("SourceIdentity", source));
    let expires = (aws.0.clock.now() / 1000 + duration) * 1000;
    let key = format!("{TEMPORARY}{account}:{role}:{session}");
    let user = format!("{}{}", element("Arn", &known.arn()), element("AssumedRoleId", &id));
    Ok(format!(
        "{}<AssumedRoleUser>{user}</AssumedRoleUser>{}",
        source.unwrap_or_default(),
        credentials(&Token { key, expires, mfa, role: Some(stamped) })
    ))
}

fn out_of_pattern(what: &str, value: &str) -> Refusal {
    let rule = "must have length between 2 and 64, and satisfy regular expression pattern: [\\w+=,.@-]*";
    invalid(format!("1 validation error detected: Value '{value}' at '{what}' {rule}"))
}

/// Returns a field with a session name.
fn name(form: &Form, field: &str) -> Result<Option<String>, Refusal> {
    match form.get(field) {
        Some(text) if is_name(text) && (2..=64).contains(&text.len()) => Ok(Some(text.clone())),
        Some(text) => Err(out_of_pattern(&format!("{}{}", field[..1].to_lowercase(), &field[1..]), text)),
        None => Ok(None),
    }
}

fn members<'a>(form: &'a Form, list: &'static str) -> impl Iterator<Item = &'a String> {
    (1..).map_while(move |number| form.get(&format!("{list}.{number}")))
}

/// Returns the session tags, whose keys are unique regardless of case.
fn tags(form: &Form) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for number in 1.. {
        let Some(key) = form.get(&format!("Tags.member.{number}.Key")) else { break };
        let value = form.get(&format!("Tags.member.{number}.Value")).cloned().unwrap_or_default();
        check_tag_part(key, &format!("tags.{number}.member.key"), (1, 128))?;
        check_tag_part(&value, &format!("tags.{number}.member.value"), (0, 256))?;
        if tags.keys().any(|known: &String| known.eq_ignore_ascii_case(key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        tags.insert(key.clone(), value);
    }
    if tags.len() > TAGS {
        return Err(invalid("Tags must have length less than or equal to 50"));
    }
    Ok(tags)
}

/// Checks the key or the value of a session tag (STS API Reference, "Tag").
fn check_tag_part(text: &str, at: &str, (least, most): (usize, usize)) -> Result<(), Refusal> {
    let length = text.chars().count();
    let is_plain = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "_.:/=+-@".contains(letter);
    let rule = match () {
        () if length < least => format!("Member must have length greater than or equal to {least}"),
        () if length > most => format!("Member must have length less than or equal to {most}"),
        () if !text.chars().all(is_plain) => {
            let repeated = if least == 0 { "*" } else { "+" };
            format!("Member must satisfy regular expression pattern: [\\p{{L}}\\p{{Z}}\\p{{N}}_.:/=+\\-@]{repeated}")
        }
        () => return Ok(()),
    };
    Err(invalid(format!("1 validation error detected: Value '{text}' at '{at}' failed to satisfy constraint: {rule}")))
}

/// Adds the attributes that are inherited from the session that assumes the role. Source: IAM User Guide, "Pass session tags in AWS STS"
/// and "Monitor and control actions taken with assumed roles".
fn inherit(stamped: &mut RoleSession, before: &RoleSession) -> Result<(), Refusal> {
    if let Some(source) = &before.source_identity {
        if stamped.source_identity.as_ref().is_some_and(|asked| asked != source) {
            let message = "The source identity of a session cannot be changed";
            return Err(Refusal::new("AccessDenied", message).with_status(403));
        }
        stamped.source_identity = Some(source.clone());
    }
    for key in &before.transitive {
        if stamped.tags.keys().any(|own| own.eq_ignore_ascii_case(key)) {
            let message = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from \
                           the calling session.";
            return Err(Refusal::new("InvalidParameterValue", message));
        }
        let Some(value) = before.tags.get(key) else { continue };
        stamped.tags.insert(key.clone(), value.clone());
        stamped.transitive.push(key.clone());
    }
    Ok(())
}

/// Returns the documents of the session policies.
fn policies(aws: &LocalAws, account: &str, form: &Form) -> Result<Option<Vec<String>>, Refusal> {
    let mut found = Vec::new();
    if let Some(text) = form.get("Policy") {
        if text.chars().count() > POLICY_LENGTH {
            let limit = format!("Member must have length less than or equal to {POLICY_LENGTH}");
            return Err(invalid(format!(
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: {limit}"
            )));
        }
        found.push(text.clone());
    }
    let arns: Vec<&String> = (1..).map_while(|number| form.get(&format!("PolicyArns.member.{number}.arn"))).collect();
    if arns.len() > POLICIES {
        return Err(invalid(format!("PolicyArns must have length less than or equal to {POLICIES}")));
    }
    for arn in &arns {
        found.push(managed_document(aws, account, arn)?);
    }
    for text in &found {
        Signer::check_document(text)?;
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}

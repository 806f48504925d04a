//! `SimulatePrincipalPolicy`: evaluates the policies of a user or a role without a request.

use std::collections::BTreeMap;

use super::{Refusal, page, rules};
use crate::local::answer::{Form, element};
use crate::local::iam::document::Position;
use crate::local::iam::evaluate::{Caller, CallerKind, ConditionKey, Context, RequiredPermission, missing_keys};
use crate::local::iam::permissions::{Granted, Layers, Permissions};
use crate::local::iam::request;
use crate::local::iam::role::{HOME, Role, unique_id};
use crate::local::iam::signer;
use crate::local::{LocalAws, Region};

pub(super) fn principal(aws: &LocalAws, home: &Region, form: &Form) -> Result<String, Refusal> {
    let source = rules::required(form, "PolicySourceArn")?;
    let actions = rules::members(form, "ActionNames");
    if actions.is_empty() {
        return Err(rules::constraint("null", "ActionNames", "Member must not be null"));
    }
    if let Some(action) = actions.iter().find(|action| action.split(':').count() != 2 || action.contains(['*', '?'])) {
        return Err(Refusal::new("InvalidInput", format!("Invalid Action: {action}")));
    }
    for unsupported in
        ["ResourcePolicy", "CallerArn", "ResourceOwner", "PolicyInputList.member.1", "ResourceHandlingOption"]
    {
        if form.contains_key(unsupported) {
            let message = format!("the AWS emulator does not simulate with {unsupported}");
            return Err(Refusal::new("InvalidInput", message));
        }
    }
    let (caller, permissions) = simulated(aws, home, source)?;
    let everything = String::from("*");
    let mut resources = rules::members(form, "ResourceArns");
    if resources.is_empty() {
        resources.push(&everything);
    }
    check_authorization(&actions)?;
    let context = context(form);
    let results = actions.iter().map(|action| {
        let required =
            |resource: &&String| with(request::permission(HOME, (*action).clone(), (**resource).clone()), &context);
        let of: Vec<OnResource> =
            resources.iter().map(|resource| OnResource::new(&caller, &permissions, &required(resource))).collect();
        result(action, &of)
    });
    page("EvaluationResults", results.collect(), form)
}

/// AWS evaluates only actions together that need the same authorization information. Which ones these are is not documented;
/// `iam:PassRole` is known not to be one with the actions of `sts`.
fn check_authorization(actions: &[&String]) -> Result<(), Refusal> {
    let (passing, others): (Vec<&str>, Vec<&str>) =
        actions.iter().map(|action| action.as_str()).partition(|action| action.eq_ignore_ascii_case("iam:PassRole"));
    if passing.is_empty() || others.is_empty() {
        return Ok(());
    }
    let (passing, others) = (passing.join(","), others.join(","));
    let message =
        format!("Invalid Input Actions: [{passing}] and [{others}] require different authorization information.");
    Err(Refusal::new("InvalidInput", message))
}

/// Returns the user or role whose policies are simulated.
fn simulated(aws: &LocalAws, home: &Region, source: &str) -> Result<(Caller, Permissions), Refusal> {
    let missing = || Refusal::missing(format!("The principal {source} cannot be found."));
    let parts: Vec<&str> = source.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, path] = parts[..] else {
        return Err(Refusal::new("InvalidInput", format!("Invalid Entity Arn: {source}")));
    };
    if account != home.account {
        return Err(missing());
    }
    let caller = |kind, user_id, name| Caller {
        kind,
        account: account.to_owned(),
        arn: source.to_owned(),
        principal: source.to_owned(),
        user_id,
        name,
        source_identity: None,
        tags: BTreeMap::new(),
        mfa: None,
        now: None,
    };
    match path.split_once('/') {
        Some(("user", name)) => {
            let id = unique_id("AIDA", &format!("{account}/{name}"));
            let only = |identity| Permissions::Only(Layers { identity, ..Layers::default() });
            let permissions = aws.1.policies(name).map_or(Permissions::All, only);
            Ok((caller(CallerKind::User, id, Some(name.to_owned())), permissions))
        }
        Some(("role", path)) => {
            let role = Role::find(home, path.rsplit('/').next().unwrap_or_default())?;
            let role = role.filter(|role| role.arn() == source).ok_or_else(missing)?;
            let layers = signer::layers(home, &role, None)?;
            if let Some(policy) = &layers.unknown {
                let message = format!("the AWS emulator does not have the document of {policy}");
                return Err(Refusal::new("InvalidInput", message));
            }
            Ok((caller(CallerKind::Session, role.id.clone(), None), Permissions::Only(layers)))
        }
        _ => Err(missing()),
    }
}

/// Reads the given condition keys. All others are absent from the simulated request.
fn context(form: &Form) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for number in 1.. {
        let head = format!("ContextEntries.member.{number}");
        let Some(key) = form.get(&format!("{head}.ContextKeyName")) else { break };
        let values = rules::members(form, &format!("{head}.ContextKeyValues")).into_iter().cloned().collect();
        found.push((key.to_ascii_lowercase(), values));
    }
    found
}

fn with(asked: RequiredPermission, entries: &[(String, Vec<String>)]) -> RequiredPermission {
    let mut permission = RequiredPermission { context: Context::of(&[""]), ..asked };
    for (key, values) in entries {
        match key.as_str() {
            "dynamodb:leadingkeys" => permission.leading_keys = ConditionKey::Values(values.clone()),
            "kms:resourcealiases" => permission.key_aliases = ConditionKey::Values(values.clone()),
            "aws:requestedregion" => permission.region = values.first().cloned().unwrap_or_default(),
            key => permission.context.set(key, values.clone()),
        }
    }
    permission
}

/// The result of one action on one resource, with the elements of a response.
struct OnResource {
    resource: String,
    decision: &'static str,
    statements: Vec<String>,
    missing: Vec<String>,
}

impl OnResource {
    fn new(caller: &Caller, permissions: &Permissions, permission: &RequiredPermission) -> Self {
        let allowed = permissions.check(caller, permission, Granted::Nothing).is_ok();
        let (decision, statements, missing) = match permissions {
            Permissions::Only(layers) => {
                let decision = match () {
                    () if allowed => "allowed",
                    () if layers.denies(caller, permission) => "explicitDeny",
                    () => "implicitDeny",
                };
                let statements = layers.deciding(caller, permission).into_iter().map(|(policy, one)| {
                    let position = |at: Position| {
                        element("Line", &at.line.to_string()) + &element("Column", &at.column.to_string())
                    };
                    let parts = [
                        element("SourcePolicyId", &policy.name),
                        element("SourcePolicyType", "IAM Policy"),
                        format!("<StartPosition>{}</StartPosition>", position(one.start)),
                        format!("<EndPosition>{}</EndPosition>", position(one.end)),
                    ];
                    format!("<member>{}</member>", parts.concat())
                });
                let missing = missing_keys(layers.documents(), caller, permission);
                (decision, statements.collect(), missing.iter().map(|key| element("member", key)).collect())
            }
            Permissions::All => ("allowed", Vec::new(), Vec::new()),
            Permissions::Nothing => ("implicitDeny", Vec::new(), Vec::new()),
        };
        Self { resource: permission.resource.clone(), decision, statements, missing }
    }
}

/// Returns the result of one action: the most restrictive decision of all resources, and the decision on each.
///
/// Source: IAM API Reference, "EvaluationResult" and "ResourceSpecificResult".
fn result(action: &str, of: &[OnResource]) -> String {
    let rank = |decision: &str| ["allowed", "implicitDeny", "explicitDeny"].iter().position(|one| *one == decision);
    let decision = of.iter().map(|one| one.decision).max_by_key(|decision| rank(decision)).unwrap_or("implicitDeny");
    let list = |name: &str, members: Vec<&String>| {
        let mut members = members;
        members.sort();
        members.dedup();
        format!("<{name}>{}</{name}>", members.into_iter().map(String::as_str).collect::<String>())
    };
    let decided = of.iter().filter(|one| one.decision == decision);
    let mut parts = vec![
        element("EvalActionName", action),
        element("EvalResourceName", "*"),
        element("EvalDecision", decision),
        list("MatchedStatements", decided.flat_map(|one| &one.statements).collect()),
        list("MissingContextValues", of.iter().flat_map(|one| &one.missing).collect()),
    ];
    if of.iter().any(|one| one.resource != "*") {
        let each = of.iter().map(|one| {
            let parts = [
                element("EvalResourceName", &one.resource),
                element("EvalResourceDecision", one.decision),
                list("MatchedStatements", one.statements.iter().collect()),
                list("MissingContextValues", one.missing.iter().collect()),
            ];
            format!("<member>{}</member>", parts.concat())
        });
        parts.push(format!("<ResourceSpecificResults>{}</ResourceSpecificResults>", each.collect::<String>()));
    }
    parts.concat()
}

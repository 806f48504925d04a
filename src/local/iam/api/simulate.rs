//! `SimulatePrincipalPolicy`: evaluates the policies of a user or a role without a request.

use std::collections::BTreeMap;

use super::{Refusal, page, rules};
use crate::local::answer::{Form, element};
use crate::local::iam::evaluate::{Caller, CallerKind, Context, Known, RequiredPermission, condition_keys, lookup};
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
    let context = context(form);
    let mut results = Vec::new();
    for action in actions {
        for resource in &resources {
            let asked = request::permission(HOME, action.clone(), (*resource).clone());
            results.push(result(&caller, &permissions, &with(asked, &context)));
        }
    }
    page("EvaluationResults", results, form)
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
            "dynamodb:leadingkeys" => permission.leading_keys = Known::Values(values.clone()),
            "kms:resourcealiases" => permission.key_aliases = Known::Values(values.clone()),
            "aws:requestedregion" => permission.region = values.first().cloned().unwrap_or_default(),
            key => permission.context.set(key, values.clone()),
        }
    }
    permission
}

fn result(caller: &Caller, permissions: &Permissions, permission: &RequiredPermission) -> String {
    let allowed = permissions.check(caller, permission, Granted::Nothing).is_ok();
    let decision = match permissions {
        _ if allowed => "allowed",
        Permissions::Only(layers) if layers.denies(caller, permission) => "explicitDeny",
        _ => "implicitDeny",
    };
    let mut parts = vec![
        element("EvalActionName", &permission.action),
        element("EvalResourceName", &permission.resource),
        element("EvalDecision", decision),
        String::from("<MatchedStatements/>"),
    ];
    let missing: String = match permissions {
        Permissions::Only(layers) => {
            let mut keys: Vec<String> = layers.documents().flat_map(condition_keys).collect();
            keys.sort();
            keys.dedup();
            keys.retain(|key| lookup(key, caller, permission) == Known::Absent);
            keys.iter().map(|key| element("member", key)).collect()
        }
        Permissions::All | Permissions::Nothing => String::new(),
    };
    parts.push(format!("<MissingContextValues>{missing}</MissingContextValues>"));
    parts.concat()
}

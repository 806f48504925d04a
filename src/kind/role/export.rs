//! A role in CloudFormation and Terraform.

use serde_json::{Map, Value, json};

use super::home::{ACCOUNT, Home, PARTITION};
use super::{Boundary, PolicyDocument, Role};
use crate::kind::export::cloudformation::{Properties, Stack, id, properties, set, tags};
use crate::kind::export::mark;
use crate::kind::export::terraform::{Body, Module, PreventDestroy, add_tags, reference};
use crate::kind::permission::Location;
use crate::kind::{Desired, KindId, Site};
use crate::resource::{Facts, Live};

pub(super) fn cloudformation(desired: &Desired<Role>, live: Option<&Live<Role>>, stack: &mut Stack) {
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags: own,
        instance_profiles: _,
    } = &desired.initial;
    let mut role: Properties = properties([("RoleName", json!(desired.name))]);
    set(&mut role, "Path", path.clone());
    set(&mut role, "Description", description.clone());
    set(&mut role, "MaxSessionDuration", *max_session_duration);
    let boundary = permissions_boundary.as_ref().and_then(policy_of);
    set(&mut role, "PermissionsBoundary", boundary.map(|arn| substituted(&json!(arn))));
    set(&mut role, "AssumeRolePolicyDocument", trust.as_ref().map(|trust| substituted(trust.value())));
    let managed = managed_policies.as_ref().filter(|all| !all.is_empty());
    set(&mut role, "ManagedPolicyArns", managed.map(|all| substituted(&json!(all))));
    let inline = policies.as_ref().filter(|all| !all.is_empty()).map(|all| {
        let policy = |(name, policy): (&String, &PolicyDocument)| json!({ "PolicyName": name, "PolicyDocument": substituted(policy.value()) });
        all.iter().map(policy).collect::<Value>()
    });
    set(&mut role, "Policies", inline);
    set(&mut role, "Tags", tags(own.as_ref()));
    // Other roles may trust it.
    let depends_on = stack.export.referred(&desired.depends_on, KindId::Role).map(id);
    let resource = stack.add(desired, "", "AWS::IAM::Role", role);
    // Roles are few, and a trusted role must exist before the roles that trust it.
    resource.first = true;
    resource.depends_on.extend(depends_on);
    resource.existing = live.map(|_| properties([("RoleName", json!(desired.name))]));
}

fn policy_of(boundary: &Boundary) -> Option<&String> {
    match boundary {
        Boundary::Off => None,
        Boundary::Policy(arn) => Some(arn),
    }
}

/// Returns JSON in which CloudFormation replaces the markers by the account and partition. IAM policy variables are kept.
fn substituted(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains(ACCOUNT) || text.contains(PARTITION) => {
            const MARKS: [(&str, &str); 2] = [(ACCOUNT, "\u{1}"), (PARTITION, "\u{2}")];
            let marked = MARKS.iter().fold(text.clone(), |text, (from, to)| text.replace(from, to));
            let escaped = marked.replace("${", "${!");
            json!({ "Fn::Sub": escaped.replace('\u{1}', "${AWS::AccountId}").replace('\u{2}', "${AWS::Partition}") })
        }
        Value::Array(items) => items.iter().map(substituted).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), substituted(value))).collect::<Map<_, _>>().into()
        }
        plain => plain.clone(),
    }
}

const ROLE: &str = "aws_iam_role";

pub(super) fn terraform(desired: &Desired<Role>, live: Option<&Live<Role>>, module: &mut Module) {
    let facts = || Facts {
        arn: module.account.as_ref().map(|account| {
            let location = Location { region: Some(module.region.clone()), account: Some(account.clone()) };
            location.global_arn("iam", "role/x")
        }),
        ..Facts::default()
    };
    let home = live.and_then(|live| Home::of_live(&live.facts)).or_else(|| Home::of_live(&facts()));
    let marked =
        serde_json::to_string(&desired.initial).is_ok_and(|text| text.contains(ACCOUNT) || text.contains(PARTITION));
    let initial = match &home {
        Some(home) => home.role(&desired.initial),
        None if marked => {
            let why = "its documents name the account, which is not known";
            module.export.refuses(&desired.address, why, "add account_id under [aws] or to the target");
            return;
        }
        None => desired.initial.clone(),
    };
    let Role {
        path,
        description,
        max_session_duration,
        permissions_boundary,
        trust,
        managed_policies,
        policies,
        tags,
        instance_profiles: _,
    } = &initial;
    let mut body = Body::new();
    body.set("name", &desired.name);
    body.maybe("path", path.as_ref());
    body.maybe("description", description.as_ref());
    body.maybe("max_session_duration", max_session_duration.map(i64::from));
    body.maybe("permissions_boundary", permissions_boundary.as_ref().and_then(policy_of));
    body.maybe("assume_role_policy", trust.as_ref().map(PolicyDocument::to_json));
    let depends_on = module.export.referred(&desired.depends_on, KindId::Role);
    let depends_on = depends_on.map(|role| format!("{ROLE}.{}", module.name(role)));
    let resource = module.add(desired, ROLE, body);
    resource.prevent_destroy = PreventDestroy::Yes;
    resource.site = Site::Account;
    resource.depends_on.extend(depends_on);
    resource.existing = live.map(|_| desired.name.clone());
    let unmanaged = [
        ("description", description.is_none()),
        ("max_session_duration", max_session_duration.is_none()),
        ("permissions_boundary", permissions_boundary.is_none()),
    ];
    resource.ignored.extend(unmanaged.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name));
    add_tags(resource, tags.as_ref(), desired.managed.tags.as_ref());
    let role = resource.name.clone();
    for (name, policy) in policies.iter().flatten() {
        let mut body = Body::new();
        body.set("role", reference(ROLE, &role, "name")).set("name", name).set("policy", policy.to_json());
        let label = format!("{role}_{}", mark(name));
        let block = module.add_named(label, "aws_iam_role_policy", body);
        block.site = Site::Account;
        let is_there = live.and_then(|live| live.state.policies.as_ref()).is_some_and(|all| all.contains_key(name));
        block.existing = is_there.then(|| format!("{}:{name}", desired.name));
    }
    for arn in managed_policies.iter().flatten() {
        let mut body = Body::new();
        body.set("role", reference(ROLE, &role, "name")).set("policy_arn", arn);
        let label = format!("{role}_{}", mark(arn));
        let block = module.add_named(label, "aws_iam_role_policy_attachment", body);
        block.site = Site::Account;
        let is_there = live.and_then(|live| live.state.managed_policies.as_ref()).is_some_and(|all| all.contains(arn));
        block.existing = is_there.then(|| format!("{}/{arn}", desired.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_substituted_and_iam_variables_are_kept() {
        let value = json!({ "Resource": ["arn:${sentinel:partition}:iam::${sentinel:account}:user/${aws:username}", "${aws:userid}"] });
        let expected = json!({ "Resource": [{ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:user/${!aws:username}" }, "${aws:userid}"] });
        assert_eq!(substituted(&value), expected);
    }
}

//! IAM policy documents, derived from the operations that steps and observation call.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::manifest::Builtin;
use crate::resource::call::{GET_PARAMETERS_BY_PATH, Operation};
use crate::resource::{Desired, DesiredResource, policy_parameter, table};

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    pub version: &'static str,
    pub statement: Vec<Statement>,
}

/// A statement that allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    pub sid: String,
    pub effect: &'static str,
    pub action: Vec<String>,
    pub resource: Vec<String>,
}

/// Returns what provisioning the resources takes, and what using them at run time takes, in separate statements.
///
/// Where the region is not known, and for the account, which only AWS could tell, the ARNs hold `*` in that place.
pub fn document(region: Option<&str>, policy_root: &str, desired: &[DesiredResource]) -> Document {
    let partition = partition(region.unwrap_or_default());
    let region = region.unwrap_or("*");
    let mut statement = Vec::new();
    let policies: Vec<&Desired<_>> = desired.iter().filter_map(DesiredResource::as_policy).collect();
    if !policies.is_empty() {
        let arn = |rest: &str| format!("arn:{partition}:ssm:{region}:*:parameter{policy_root}{rest}");
        let run_time = ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"];
        statement.push(allow("SentinelPolicyRead", run_time.map(str::to_owned), vec![arn(""), arn("/*")]));
        let mut operations: Vec<Operation> =
            policies.iter().flat_map(|one| policy_parameter::reads(&one.managed)).collect();
        let steps = policies.iter().flat_map(|one| policy_parameter::create(one));
        operations.extend(steps.flat_map(|step| crate::resource::Step::Policy(step).operations()));
        operations.push(GET_PARAMETERS_BY_PATH);
        statement.push(allow("SentinelPolicyAdmin", actions(&operations), vec![arn(""), arn("/*")]));
    }
    for one in desired.iter().filter_map(DesiredResource::as_table) {
        let arn = format!("arn:{partition}:dynamodb:{region}:*:table/{}", one.name);
        let mut operations = table::reads(&one.managed);
        let steps = table::create(one).into_iter();
        operations.extend(steps.flat_map(|step| crate::resource::Step::Table(step).operations()));
        let name = statement_name(&one.address.key);
        statement.push(allow(&format!("{name}Provisioning"), actions(&operations), vec![arn.clone()]));
        let run_time = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"];
        let resources = vec![arn.clone(), format!("{arn}/index/*")];
        statement.push(allow(&format!("{name}Operations"), run_time.map(str::to_owned), resources));
    }
    Document { version: "2012-10-17", statement }
}

fn allow(sid: &str, action: impl Into<Vec<String>>, resource: Vec<String>) -> Statement {
    Statement { sid: sid.to_owned(), effect: "Allow", action: action.into(), resource }
}

fn actions(operations: &[Operation]) -> Vec<String> {
    let actions: BTreeSet<String> = operations.iter().map(|operation| operation.action()).collect();
    actions.into_iter().collect()
}

/// Returns the head of a table's statement names; a statement's name takes letters and digits only.
fn statement_name(key: &str) -> String {
    match Builtin::from_key(key) {
        Some(Builtin::Approvals) => String::from("SentinelApprovalTable"),
        Some(Builtin::BreakGlass) => String::from("SentinelBreakGlassTable"),
        Some(Builtin::Sessions) => String::from("SentinelSessionTable"),
        None => {
            let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
            format!("Sentinel{plain}Table")
        }
    }
}

/// Returns the partition a region lies in. Source: the partitions in the AWS SDKs' endpoint rules.
fn partition(region: &str) -> &'static str {
    const PREFIXES: &[(&str, &str)] = &[
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_the_region() {
        assert_eq!(partition("us-east-1"), "aws");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("us-isob-east-1"), "aws-iso-b");
        assert_eq!(partition("us-iso-east-1"), "aws-iso");
    }
}

//! Managed policies: those of the account, and some of AWS's own.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::role::Tags;
use crate::local::answer::Failure;
use crate::local::store;

/// The storage kind of the account's policies.
const KIND: &str = "iam policy";

/// The ARN prefix of AWS managed policies.
const OF_AWS: &str = "arn:aws:iam::aws:policy/";

/// A customer managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) description: String,
    pub(super) document: String,
    pub(super) tags: Tags,
}

impl Policy {
    pub(super) fn load(store: &Connection, arn: &str) -> Result<Option<Self>, Failure> {
        store::object(store, KIND, arn)
    }

    pub(super) fn all(store: &Connection) -> Result<Vec<(String, Self)>, Failure> {
        store::objects(store, KIND)
    }

    pub(super) fn save(&self, store: &Connection, arn: &str) -> Result<(), Failure> {
        store::keep(store, KIND, arn, self)
    }

    pub(super) fn remove(store: &Connection, arn: &str) -> Result<(), Failure> {
        store::remove(store, KIND, arn)
    }
}

/// Returns whether a policy can be attached. Every ARN of an AWS managed policy counts as existing.
pub(super) fn exists(store: &Connection, arn: &str) -> Result<bool, Failure> {
    Ok(is_of_aws(arn) || Policy::load(store, arn)?.is_some())
}

pub(super) fn is_of_aws(arn: &str) -> bool {
    arn.strip_prefix(OF_AWS).is_some_and(|name| !name.is_empty())
}

/// Returns the document of a policy, if it is known.
pub(super) fn document(store: &Connection, arn: &str) -> Result<Option<String>, Failure> {
    match of_aws(arn) {
        Some((_, document)) => Ok(Some(document.to_owned())),
        None => Ok(Policy::load(store, arn)?.map(|policy| policy.document)),
    }
}

/// Returns the version and the document of an AWS managed policy, of which only a few are included. Source: AWS Managed Policy Reference
/// Guide. `ReadOnlyAccess`, which has thousands of actions, includes only the services of the AWS emulator.
pub(super) fn of_aws(arn: &str) -> Option<(&'static str, &'static str)> {
    Some(match arn.strip_prefix(OF_AWS)? {
        "AdministratorAccess" => {
            ("v1", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#)
        }
        "AWSDenyAll" => (
            "v2",
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"DenyAll","Effect":"Deny","Action":["*"],"Resource":"*"}]}"#,
        ),
        "PowerUserAccess" => (
            "v12",
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetGovCloudAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeEffectivePolicy","organizations:DescribeOrganization"],"Resource":"*"}]}"#,
        ),
        "IAMFullAccess" => (
            "v2",
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}"#,
        ),
        "ReadOnlyAccess" => (
            "v182",
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"ReadOnlyActions","Effect":"Allow","Action":["application-autoscaling:Describe*","application-autoscaling:GetPredictiveScalingForecast","application-autoscaling:ListTagsForResource","dynamodb:BatchGet*","dynamodb:Describe*","dynamodb:Get*","dynamodb:List*","dynamodb:PartiQLSelect","dynamodb:Query","dynamodb:Scan","iam:Generate*","iam:Get*","iam:List*","iam:Simulate*","kms:Describe*","kms:Get*","kms:List*","organizations:Describe*","organizations:List*","sns:Check*","sns:Get*","sns:List*","ssm:Describe*","ssm:Get*","ssm:List*","sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken","tag:DescribeReportCreation","tag:Get*"],"Resource":"*"}]}"#,
        ),
        _ => return None,
    })
}

//! What IAM has to allow, and on what, so that the calls for a resource are made.

use serde_json::Value;

use super::{Desired, Kind};
use crate::resource::call::Operation;
use crate::resource::names::{AccountId, RegionName};
use crate::resource::record_key::Role;

/// Where the resources are. What is not known is `*` in their ARNs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub region: Option<RegionName>,
    pub account: Option<AccountId>,
}

impl Place {
    /// Returns the ARN of a resource that belongs to the account and to no region.
    pub fn global_arn(&self, service: &str, resource: &str) -> String {
        let partition = partition(self.region.as_deref().unwrap_or_default());
        format!("arn:{partition}:{service}::{}:{resource}", self.account.as_deref().unwrap_or("*"))
    }

    /// Returns the ARN of a resource there.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let (region, account) = (self.region.as_deref(), self.account.as_deref());
        let partition = partition(region.unwrap_or_default());
        format!("arn:{partition}:{service}:{}:{}:{resource}", region.unwrap_or("*"), account.unwrap_or("*"))
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

/// What an operation has to be allowed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// IAM knows no resource for it.
    Any,
    Resources(Vec<String>),
    /// Resources for which a condition holds.
    Those {
        resources: Vec<String>,
        condition: Value,
    },
}

/// Operations that have to be allowed on the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// The name of the statement.
    pub statement: String,
    /// Whether others of that name, with the same operations and condition, are in the same statement.
    pub shared: bool,
    pub operations: Vec<Operation>,
    pub on: On,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Observing.
    Plan,
    /// Observing, creating, and repairing whatever can drift.
    Apply,
    /// Reading policies, and reading and writing records as a role does.
    Role(Role),
    /// What all these roles do, on behalf of those who ask the broker.
    Broker,
}

/// What the calls are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Observing.
    Read,
    /// Observing, creating, and repairing whatever can drift.
    Write,
}

/// Returns the statement for what IAM knows no resource for.
fn any<K: Kind>(operations: &[Operation]) -> String {
    let what = if operations.iter().any(|operation| operation.writes()) { "Create" } else { "List" };
    format!("Sentinel{}{what}", K::ABOUT.statement)
}

/// Returns what some operations of a resource take.
pub(super) fn of<K: Kind>(
    desired: &Desired<K>,
    operations: Vec<Operation>,
    purpose: Purpose,
    place: &Place,
) -> Vec<Permission> {
    let verb = match purpose {
        Purpose::Read => "Read",
        Purpose::Write => K::ABOUT.provisions,
    };
    let mut permissions: Vec<Permission> = Vec::new();
    for operation in operations {
        let on = K::allowed_on(operation, desired, place);
        match permissions.iter_mut().find(|permission| permission.on == on) {
            Some(permission) => permission.operations.push(operation),
            None => permissions.push(Permission {
                statement: format!("{}{verb}", K::statement(&desired.address.key)),
                shared: K::ABOUT.shares_statements || on == On::Any,
                operations: vec![operation],
                on,
            }),
        }
    }
    if purpose == Purpose::Write {
        permissions.extend(K::lent(desired, place));
    }
    named::<K>(permissions)
}

/// Names the statements for what IAM knows no resource for.
pub(super) fn named<K: Kind>(permissions: Vec<Permission>) -> Vec<Permission> {
    let name = |permission: Permission| match permission.on {
        On::Any => Permission { statement: any::<K>(&permission.operations), ..permission },
        On::Resources(_) | On::Those { .. } => permission,
    };
    permissions.into_iter().map(name).collect()
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

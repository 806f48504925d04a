//! IAM permissions: operations and their resources.

use serde_json::Value;

use super::{Desired, Kind};
use crate::resource::call::Operation;
use crate::resource::names::{AccountId, RegionName};
use crate::resource::record_key::Role;

/// The location of resources. Unknown parts are `*` in ARNs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    pub region: Option<RegionName>,
    pub account: Option<AccountId>,
}

impl Location {
    /// Returns the ARN of a resource of the account without a region.
    pub fn global_arn(&self, service: &str, resource: &str) -> String {
        let partition = partition(self.region.as_deref().unwrap_or_default());
        format!("arn:{partition}:{service}::{}:{resource}", self.account.as_deref().unwrap_or("*"))
    }

    /// Returns the ARN of a resource at this location.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let (region, account) = (self.region.as_deref(), self.account.as_deref());
        let partition = partition(region.unwrap_or_default());
        format!("arn:{partition}:{service}:{}:{}:{resource}", region.unwrap_or("*"), account.unwrap_or("*"))
    }
}

/// Returns the partition of a region. Source: the partitions in the AWS SDKs' endpoint rules.
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

/// The resources that an operation needs permission for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// The operation has no resource type in IAM.
    Any,
    Resources(Vec<String>),
    /// Resources that match a condition.
    Those {
        resources: Vec<String>,
        condition: Value,
    },
}

/// Operations that need permission for the same resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// The name of the statement.
    pub statement: String,
    /// Whether permissions with the same name, operations and condition are merged into one statement.
    pub shared: bool,
    pub operations: Vec<Operation>,
    pub on: On,
}

/// The use of an IAM policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Observing.
    Plan,
    /// Observing, creating, and repairing every possible drift.
    Apply,
    /// Reading policies, and reading and writing records in this role.
    Role(Role),
    /// The operations of all these roles, on behalf of the broker's users.
    Broker,
    /// Checking that AWS enforces the gates.
    TrustCheck,
}

/// The purpose of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Observing.
    Read,
    /// Observing, creating, and repairing every possible drift.
    Write,
}

/// Returns the name of the statement for operations without a resource type.
fn any<K: Kind>(operations: &[Operation]) -> String {
    let what = if operations.iter().any(|operation| operation.writes()) { "Create" } else { "List" };
    format!("Sentinel{}{what}", K::ABOUT.statement)
}

/// Returns the permissions for these operations of a resource.
pub(super) fn of<K: Kind>(
    desired: &Desired<K>,
    operations: Vec<Operation>,
    purpose: Purpose,
    location: &Location,
) -> Vec<Permission> {
    let verb = match purpose {
        Purpose::Read => "Read",
        Purpose::Write => K::ABOUT.provisions,
    };
    let mut permissions: Vec<Permission> = Vec::new();
    for operation in operations {
        let on = K::allowed_on(operation, desired, location);
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
        permissions.extend(K::delegated(desired, location));
    }
    named::<K>(permissions)
}

/// Names the statements for operations without a resource type.
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

//! The IAM permissions for replicas.
//!
//! Source: "DynamoDB global tables security" in the Amazon DynamoDB Developer Guide, and ReplicationGroupUpdate in the Amazon DynamoDB API
//! Reference.

use serde_json::json;

use super::{Consistency, Replicas};
use crate::kind::Desired;
use crate::kind::permission::{Location, On, Permission};
use crate::kind::table::{Table, arn};
use crate::resource::call::{Operation, operation};
use crate::resource::names::RegionName;

/// DynamoDB's calls in the region of a replica on behalf of the caller that adds or removes it. Sentinel does not make these calls, so
/// their rates have no effect.
const OF_REPLICA: [Operation; 11] = [
    operation!("dynamodb", "BatchWriteItem", 1.0, 1.0),
    operation!("dynamodb", "CreateTable", 1.0, 1.0),
    operation!("dynamodb", "CreateTableReplica", 1.0, 1.0),
    operation!("dynamodb", "DeleteItem", 1.0, 1.0),
    operation!("dynamodb", "DeleteTable", 1.0, 1.0),
    operation!("dynamodb", "DeleteTableReplica", 1.0, 1.0),
    operation!("dynamodb", "GetItem", 1.0, 1.0),
    operation!("dynamodb", "PutItem", 1.0, 1.0),
    operation!("dynamodb", "Query", 1.0, 1.0),
    operation!("dynamodb", "Scan", 1.0, 1.0),
    operation!("dynamodb", "UpdateItem", 1.0, 1.0),
];
/// DynamoDB's calls for a replica that is removed.
const OF_REMOVAL: [Operation; 2] =
    [operation!("dynamodb", "DeleteTable", 1.0, 1.0), operation!("dynamodb", "DeleteTableReplica", 1.0, 1.0)];
const OF_WITNESS: [Operation; 2] = [
    operation!("dynamodb", "CreateGlobalTableWitness", 1.0, 1.0),
    operation!("dynamodb", "DeleteGlobalTableWitness", 1.0, 1.0),
];
const OF_ROLE: Operation = operation!("iam", "CreateServiceLinkedRole", 1.0, 1.0);
const REPLICATION: &str = "replication.dynamodb.amazonaws.com";

fn elsewhere(location: &Location, region: &str) -> Location {
    Location { region: Some(RegionName::new(region)), account: location.account.clone() }
}

fn managed(desired: &Desired<Table>) -> Option<&Replicas> {
    desired.managed.replicas.as_ref().filter(|replicas| !replicas.regions.is_empty())
}

/// Returns the ARNs of a table and its replicas.
pub(in crate::kind::table) fn arns(desired: &Desired<Table>, location: &Location) -> Vec<String> {
    let regions = managed(desired).into_iter().flat_map(|replicas| replicas.regions.keys());
    let own = arn(location, &desired.name);
    std::iter::once(own).chain(regions.map(|region| arn(&elsewhere(location, region), &desired.name))).collect()
}

/// Returns the ARNs of all keys in the regions of a table and of its replicas.
pub(in crate::kind::table) fn keys(desired: &Desired<Table>, location: &Location) -> Vec<String> {
    let regions = managed(desired).into_iter().flat_map(|replicas| replicas.regions.keys());
    let keys = regions.map(|region| elsewhere(location, region).arn("kms", "key/*"));
    std::iter::once(location.arn("kms", "key/*")).chain(keys).collect()
}

/// Returns the ARN pattern of a table in any region: a replica to remove is in a region that is not in the manifest.
fn anywhere(desired: &Desired<Table>, location: &Location) -> String {
    arn(location, &desired.name).replacen(&format!(":{}:", location.region.as_deref().unwrap_or("*")), ":*:", 1)
}

/// Returns the resources of `DescribeTable`: the table and, if replicas are managed, its replicas in any region.
pub(in crate::kind::table) fn described(desired: &Desired<Table>, location: &Location) -> Vec<String> {
    match desired.managed.replicas.is_some() || !desired.presence.is_present() {
        true => vec![anywhere(desired, location)],
        false => vec![arn(location, &desired.name)],
    }
}

/// Returns the permissions that DynamoDB needs in the other regions on behalf of the caller.
pub(in crate::kind::table) fn delegated(
    desired: &Desired<Table>,
    statement: &str,
    location: &Location,
) -> Vec<Permission> {
    let of = |name: &str, operations: Vec<Operation>, on| Permission {
        statement: format!("{statement}{name}"),
        shared: false,
        operations,
        on,
    };
    let mut delegated = Vec::new();
    if desired.managed.replicas.is_some() || !desired.presence.is_present() {
        delegated.push(of("ReplicaRemoval", OF_REMOVAL.to_vec(), On::Resources(vec![anywhere(desired, location)])));
    }
    let Some(replicas) = managed(desired) else { return delegated };
    let in_regions = arns(desired, location).into_iter().skip(1).collect();
    delegated.push(of("Replicas", OF_REPLICA.to_vec(), On::Resources(in_regions)));
    if let (Some(Consistency::Strong), Some(witness)) = (replicas.consistency, &replicas.witness) {
        let on = On::Resources(vec![arn(&elsewhere(location, witness), &desired.name)]);
        delegated.push(of("Witness", OF_WITNESS.to_vec(), on));
    }
    // DynamoDB creates the service-linked role with the first replica of an account.
    let anywhere = Location { region: Some(RegionName::new("")), account: location.account.clone() };
    let role = format!("role/aws-service-role/{REPLICATION}/AWSServiceRoleForDynamoDBReplication");
    let resources = vec![anywhere.arn("iam", &role)];
    let condition = json!({ "StringEquals": { "iam:AWSServiceName": REPLICATION } });
    delegated.push(of("ReplicationRole", vec![OF_ROLE], On::Those { resources, condition }));
    delegated
}

//! The IAM permissions for the settings of a table that have their own calls, in addition to those for the table.

use serde_json::json;

use super::scaling_calls::DEREGISTER_TARGET;
use super::setting::SeparateSetting;
use super::{Autoscaling, Table};
use crate::kind::Desired;
use crate::kind::permission::{Location, On, Permission, Purpose};
use crate::resource::call::{Operation, operation};

/// Returns the ARN of a table.
pub fn arn(location: &Location, name: &str) -> String {
    location.arn("dynamodb", &format!("table/{name}"))
}

/// Returns the ARN pattern of all backups of a table.
pub(super) fn backups(location: &Location, name: &str) -> String {
    location.arn("dynamodb", &format!("table/{name}/backup/*"))
}

/// Returns the resources that a setting's operation needs permission for, if these are more than the table. Source: Service Authorization
/// Reference, "Actions, resources, and condition keys for Amazon DynamoDB" and "… for AWS Application Auto Scaling".
pub(super) fn allowed_on(operation: Operation, desired: &Desired<Table>, location: &Location) -> Option<On> {
    let settings = &desired.managed.settings;
    let table = arn(location, &desired.name);
    if operation.service == "application-autoscaling" {
        return Some(match operation.writes() {
            // The scalable targets of a replica are in the region of the replica.
            true if desired.managed.replicas.is_some() => {
                let anywhere = Location { region: None, account: location.account.clone() };
                let partition = location.arn("", "").split(':').nth(1).unwrap_or("aws").to_owned();
                let target = anywhere.arn("application-autoscaling", "scalable-target/*");
                On::Resources(vec![target.replacen("arn:aws:", &format!("arn:{partition}:"), 1)])
            }
            true => On::Resources(vec![location.arn("application-autoscaling", "scalable-target/*")]),
            false => On::Any,
        });
    }
    if operation.name.ends_with("ContributorInsights") {
        let of_indexes = settings.contributor_insights.as_ref().filter(|all| !all.indexes.is_empty());
        return of_indexes.map(|_| On::Resources(vec![table.clone(), format!("{table}/index/*")]));
    }
    if operation.name.ends_with("ResourcePolicy") && settings.stream_policy.is_some() {
        let own = settings.policy.as_ref().map(|_| table.clone());
        return Some(On::Resources(own.into_iter().chain([format!("{table}/stream/*")]).collect()));
    }
    None
}

/// AWS's calls on behalf of the caller. Sentinel does not make them, so their rates have no effect.
const DELETE_ALARMS: Operation = operation!("cloudwatch", "DeleteAlarms", 1.0, 1.0);
const ALARMS: [Operation; 3] = [
    DELETE_ALARMS,
    operation!("cloudwatch", "DescribeAlarms", 1.0, 1.0),
    operation!("cloudwatch", "PutMetricAlarm", 1.0, 1.0),
];
const CREATE_ROLE: Operation = operation!("iam", "CreateServiceLinkedRole", 1.0, 1.0);
const KINESIS: [Operation; 3] = [
    operation!("kinesis", "DescribeStream", 1.0, 1.0),
    operation!("kinesis", "PutRecord", 1.0, 1.0),
    operation!("kinesis", "PutRecords", 1.0, 1.0),
];

/// Returns the permissions for the autoscaling of tables that pruning deletes.
pub(super) fn of_pruned_scaling(location: &Location, statement: &str, purpose: Purpose) -> Vec<Permission> {
    let of = |name: &str, shared, operations, on| Permission {
        statement: format!("{statement}{name}"),
        shared,
        operations,
        on,
    };
    let mut permissions = vec![of("Scaling", true, Autoscaling::READS.to_vec(), On::Any)];
    if purpose == Purpose::Write {
        let targets = On::Resources(vec![location.arn("application-autoscaling", "scalable-target/*")]);
        permissions.push(of("Scaling", false, vec![DEREGISTER_TARGET], targets));
        let alarms = On::Resources(vec![location.arn("cloudwatch", "alarm:TargetTracking-table/*")]);
        permissions.push(of("Alarms", false, vec![DELETE_ALARMS], alarms));
    }
    permissions
}

/// Returns AWS's calls on behalf of the caller that changes settings. Sources: "Application Auto Scaling identity-based policy examples" in
/// the Application Auto Scaling User Guide; "Using IAM to manage Contributor Insights for DynamoDB" and "Using IAM policies for Kinesis
/// Data Streams and DynamoDB" in the Amazon DynamoDB Developer Guide.
pub(super) fn delegated(desired: &Desired<Table>, statement: &str, location: &Location) -> Vec<Permission> {
    let settings = &desired.managed.settings;
    let mut permissions = Vec::new();
    let mut add = |name: &str, operations: Vec<Operation>, on: On| {
        permissions.push(Permission { statement: format!("{statement}{name}"), shared: false, operations, on });
    };
    let role = |service: &str| {
        let partition = location.arn("iam", "");
        let partition = partition.split(':').nth(1).unwrap_or("aws").to_owned();
        let resources = vec![format!("arn:{partition}:iam::*:role/aws-service-role/{service}/*")];
        On::Those { resources, condition: json!({ "StringEquals": { "iam:AWSServiceName": service } }) }
    };
    if settings.contributor_insights.is_some() {
        add("InsightsRole", vec![CREATE_ROLE], role("contributorinsights.dynamodb.amazonaws.com"));
    }
    if let Some(super::Kinesis::To { stream, .. }) = &settings.kinesis {
        add("Kinesis", KINESIS.to_vec(), On::Resources(vec![stream.clone()]));
        add("KinesisRole", vec![CREATE_ROLE], role("kinesisreplication.dynamodb.amazonaws.com"));
    }
    if !desired.presence.is_present() {
        let alarms = location.arn("cloudwatch", &format!("alarm:TargetTracking-table/{}*", desired.name));
        add("Alarms", vec![DELETE_ALARMS], On::Resources(vec![alarms]));
    }
    if settings.autoscaling.is_some() {
        let alarms = location.arn("cloudwatch", &format!("alarm:TargetTracking-table/{}*", desired.name));
        add("Alarms", ALARMS.to_vec(), On::Resources(vec![alarms]));
        let capacity = vec![crate::resource::call::DESCRIBE_TABLE, crate::resource::call::UPDATE_TABLE];
        add("Capacity", capacity, On::Resources(vec![arn(location, &desired.name)]));
        add("ScalingRole", vec![CREATE_ROLE], role("dynamodb.application-autoscaling.amazonaws.com"));
    }
    permissions
}

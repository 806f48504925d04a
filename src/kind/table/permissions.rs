//! What IAM has to allow for the settings of a table that take calls of their own, beside the calls on the table.

use serde_json::json;

use super::{Table, arn};
use crate::kind::Desired;
use crate::kind::permission::{On, Permission, Place};
use crate::resource::call::{Operation, operation};

/// Returns what an operation of a setting has to be allowed on, where that is not the table alone. Source: Service Authorization
/// Reference, "Actions, resources, and condition keys for Amazon DynamoDB" and "… for AWS Application Auto Scaling".
pub(super) fn allowed_on(operation: Operation, desired: &Desired<Table>, place: &Place) -> Option<On> {
    let settings = &desired.managed.settings;
    let table = arn(place, &desired.name);
    if operation.service == "application-autoscaling" {
        return Some(match operation.writes() {
            true => On::Resources(vec![place.arn("application-autoscaling", "scalable-target/*")]),
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

/// What AWS calls on behalf of the caller. Nothing here calls it, so that the paces say nothing.
const ALARMS: [Operation; 3] = [
    operation!("cloudwatch", "DeleteAlarms", 1.0, 1.0),
    operation!("cloudwatch", "DescribeAlarms", 1.0, 1.0),
    operation!("cloudwatch", "PutMetricAlarm", 1.0, 1.0),
];
const CREATE_ROLE: Operation = operation!("iam", "CreateServiceLinkedRole", 1.0, 1.0);
const KINESIS: [Operation; 3] = [
    operation!("kinesis", "DescribeStream", 1.0, 1.0),
    operation!("kinesis", "PutRecord", 1.0, 1.0),
    operation!("kinesis", "PutRecords", 1.0, 1.0),
];

/// Returns what AWS calls on behalf of the caller that sets the settings. Sources: "Application Auto Scaling identity-based policy
/// examples" in the Application Auto Scaling User Guide; "Using IAM to manage Contributor Insights for DynamoDB" and "Using IAM policies
/// for Kinesis Data Streams and DynamoDB" in the Amazon DynamoDB Developer Guide.
pub(super) fn lent(desired: &Desired<Table>, statement: &str, place: &Place) -> Vec<Permission> {
    let settings = &desired.managed.settings;
    let mut permissions = Vec::new();
    let mut add = |name: &str, operations: Vec<Operation>, on: On| {
        permissions.push(Permission { statement: format!("{statement}{name}"), shared: false, operations, on });
    };
    let role = |service: &str| {
        let partition = place.arn("iam", "");
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
    if settings.autoscaling.is_some() {
        let alarms = place.arn("cloudwatch", &format!("alarm:TargetTracking-table/{}*", desired.name));
        add("Alarms", ALARMS.to_vec(), On::Resources(vec![alarms]));
        let capacity = vec![crate::resource::call::DESCRIBE_TABLE, crate::resource::call::UPDATE_TABLE];
        add("Capacity", capacity, On::Resources(vec![arn(place, &desired.name)]));
        add("ScalingRole", vec![CREATE_ROLE], role("dynamodb.application-autoscaling.amazonaws.com"));
    }
    permissions
}

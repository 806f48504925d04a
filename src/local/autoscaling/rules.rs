//! Application Auto Scaling's rules for a DynamoDB table. Source: the Application Auto Scaling API Reference and User Guide, "Amazon
//! DynamoDB and Application Auto Scaling".

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::local::Region;
use crate::local::answer::Failure;

/// The scalable units of a table or an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Dimension {
    #[serde(rename = "dynamodb:table:ReadCapacityUnits")]
    TableReads,
    #[serde(rename = "dynamodb:table:WriteCapacityUnits")]
    TableWrites,
    #[serde(rename = "dynamodb:index:ReadCapacityUnits")]
    IndexReads,
    #[serde(rename = "dynamodb:index:WriteCapacityUnits")]
    IndexWrites,
}

impl Dimension {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TableReads => "dynamodb:table:ReadCapacityUnits",
            Self::TableWrites => "dynamodb:table:WriteCapacityUnits",
            Self::IndexReads => "dynamodb:index:ReadCapacityUnits",
            Self::IndexWrites => "dynamodb:index:WriteCapacityUnits",
        }
    }

    pub(super) const fn reads(self) -> bool {
        matches!(self, Self::TableReads | Self::IndexReads)
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Failure {
    Failure::validation(message)
}

/// Reads a request. An unknown member is refused.
pub(super) fn read<T: DeserializeOwned>(body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| invalid(error.to_string()))
}

pub(super) fn check_namespace(namespace: &str) -> Result<(), Failure> {
    match namespace {
        "dynamodb" => Ok(()),
        other => Err(Failure::unsupported(&format!("the scaling of {other}"))),
    }
}

/// Returns the table and the index of a resource ID: `table/NAME` or `table/NAME/index/INDEX`.
pub(super) fn resource<'a>(
    namespace: &str,
    resource: &'a str,
    dimension: Dimension,
) -> Result<(&'a str, Option<&'a str>), Failure> {
    check_namespace(namespace)?;
    let of_index = matches!(dimension, Dimension::IndexReads | Dimension::IndexWrites);
    let parts: Vec<&str> = resource.split('/').collect();
    match parts[..] {
        ["table", table] if !of_index => Ok((table, None)),
        ["table", table, "index", index] if of_index => Ok((table, Some(index))),
        _ => Err(invalid("Unsupported service namespace, resource type or scalable dimension")),
    }
}

pub(super) fn check_bounds(min: i64, max: i64) -> Result<(), Failure> {
    if min < 1 {
        return Err(invalid("Minimum capacity cannot be less than 1"));
    }
    if max < min {
        return Err(invalid("Maximum capacity cannot be less than minimum capacity"));
    }
    Ok(())
}

/// Checks a target tracking policy.
pub(super) fn check_policy(configuration: &Value, dimension: Dimension) -> Result<(), Failure> {
    const MEMBERS: [&str; 5] =
        ["TargetValue", "PredefinedMetricSpecification", "ScaleInCooldown", "ScaleOutCooldown", "DisableScaleIn"];
    let members = configuration.as_object().map(|members| members.keys().map(String::as_str).collect::<Vec<_>>());
    let members = members.ok_or_else(|| invalid("TargetTrackingScalingPolicyConfiguration is required"))?;
    if let Some(other) = members.iter().find(|member| !MEMBERS.contains(*member)) {
        return Err(Failure::unsupported(&format!("{other} of application-autoscaling:PutScalingPolicy")));
    }
    let metric = if dimension.reads() { "DynamoDBReadCapacityUtilization" } else { "DynamoDBWriteCapacityUtilization" };
    if configuration["PredefinedMetricSpecification"]["PredefinedMetricType"] != *metric {
        return Err(invalid(format!("the predefined metric type of {} is {metric}", dimension.name())));
    }
    // Source: "Managing throughput capacity automatically with DynamoDB auto scaling" in the Amazon DynamoDB Developer Guide.
    let target = configuration["TargetValue"].as_f64().unwrap_or_default();
    if !(20.0..=90.0).contains(&target) {
        return Err(invalid("TargetValue must be between 20 and 90"));
    }
    Ok(())
}

/// Returns the role that adjusts capacity.
pub(super) fn role(region: &Region) -> String {
    format!(
        "arn:aws:iam::{}:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/\
         AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
        region.account
    )
}

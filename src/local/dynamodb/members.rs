//! The supported members of requests. A member that AWS accepts and the emulator does not support is refused, never ignored.

use serde_json::Value;

use crate::local::answer::Failure;

const KEYS: [&str; 4] =
    ["KeySchema.AttributeName", "KeySchema.KeyType", "Projection.ProjectionType", "Projection.NonKeyAttributes"];
const THROUGHPUT: [&str; 2] = ["ReadCapacityUnits", "WriteCapacityUnits"];
const WARM: [&str; 2] = ["ReadUnitsPerSecond", "WriteUnitsPerSecond"];
const LIMITS: [&str; 2] = ["MaxReadRequestUnits", "MaxWriteRequestUnits"];

/// Returns whether a member of a request is supported.
fn is_supported(operation: &str, path: &str) -> bool {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let one_of = |members: &[&str]| members.contains(&rest);
    let index = |rest: &str| match rest.split_once('.') {
        Some(("ProvisionedThroughput", rest)) => THROUGHPUT.contains(&rest),
        Some(("OnDemandThroughput", rest)) => LIMITS.contains(&rest),
        Some(("WarmThroughput", rest)) => WARM.contains(&rest),
        _ => rest == "IndexName" || KEYS.contains(&rest),
    };
    match (operation, first) {
        (_, "TableName" | "ResourceArn")
        | ("CreateTable" | "UpdateTable", "BillingMode" | "TableClass" | "DeletionProtectionEnabled")
        | ("UntagResource", "TagKeys")
        | ("ListTagsOfResource", "NextToken")
        | ("UpdateTable", "MultiRegionConsistency")
        | ("ListTables", "ExclusiveStartTableName" | "Limit") => true,
        ("CreateTable" | "UpdateTable", "AttributeDefinitions") => one_of(&["AttributeName", "AttributeType"]),
        ("CreateTable" | "UpdateTable", "ProvisionedThroughput") => one_of(&THROUGHPUT),
        ("CreateTable" | "UpdateTable", "OnDemandThroughput") => one_of(&LIMITS),
        ("CreateTable" | "UpdateTable", "WarmThroughput") => one_of(&WARM),
        ("CreateTable" | "UpdateTable", "StreamSpecification") => one_of(&["StreamEnabled", "StreamViewType"]),
        ("CreateTable" | "UpdateTable", "SSESpecification") => one_of(&["Enabled", "SSEType", "KMSMasterKeyId"]),
        ("CreateTable", "KeySchema") => one_of(&["AttributeName", "KeyType"]),
        ("CreateTable", "GlobalSecondaryIndexes") => index(rest),
        ("CreateTable", "LocalSecondaryIndexes") => rest == "IndexName" || KEYS.contains(&rest),
        ("UpdateTable", "GlobalSecondaryIndexUpdates") => match rest.split_once('.') {
            Some(("Create" | "Update", rest)) => index(rest),
            Some(("Delete", rest)) => rest == "IndexName",
            _ => false,
        },
        ("UpdateTable", "ReplicaUpdates") => replica(rest),
        ("UpdateTable", "GlobalTableWitnessUpdates") => one_of(&["Create.RegionName", "Delete.RegionName"]),
        ("CreateTable" | "TagResource", "Tags") => one_of(&["Key", "Value"]),
        ("UpdateTimeToLive", "TimeToLiveSpecification") => one_of(&["Enabled", "AttributeName"]),
        ("UpdateContinuousBackups", "PointInTimeRecoverySpecification") => {
            one_of(&["PointInTimeRecoveryEnabled", "RecoveryPeriodInDays"])
        }
        ("CreateTable", "ResourcePolicy")
        | ("PutResourcePolicy", "Policy" | "ConfirmRemoveSelfResourceAccess")
        | ("PutResourcePolicy" | "DeleteResourcePolicy", "ExpectedRevisionId")
        | ("UpdateContributorInsights" | "DescribeContributorInsights", "IndexName")
        | ("UpdateContributorInsights", "ContributorInsightsAction" | "ContributorInsightsMode")
        | ("ListContributorInsights", "MaxResults")
        | (
            "EnableKinesisStreamingDestination"
            | "DisableKinesisStreamingDestination"
            | "UpdateKinesisStreamingDestination",
            "StreamArn",
        ) => rest.is_empty(),
        ("EnableKinesisStreamingDestination", "EnableKinesisStreamingConfiguration")
        | ("UpdateKinesisStreamingDestination", "UpdateKinesisStreamingConfiguration") => {
            one_of(&["ApproximateCreationDateTimePrecision"])
        }
        _ => false,
    }
}

fn replica(path: &str) -> bool {
    const OVERRIDES: [&str; 2] =
        ["ProvisionedThroughputOverride.ReadCapacityUnits", "OnDemandThroughputOverride.MaxReadRequestUnits"];
    match path.split_once('.') {
        Some(("Create" | "Update", member)) => match member.strip_prefix("GlobalSecondaryIndexes.") {
            Some(of_index) => of_index == "IndexName" || OVERRIDES.contains(&of_index),
            None => {
                ["RegionName", "KMSMasterKeyId", "TableClassOverride"].contains(&member) || OVERRIDES.contains(&member)
            }
        },
        Some(("Delete", member)) => member == "RegionName",
        _ => false,
    }
}

/// Returns the paths of all nested values, without list indexes.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(name, value)| paths(value, &below(name), found)),
        Value::Array(items) => items.iter().for_each(|item| paths(item, path, found)),
        _ => found.push(path.to_owned()),
    }
}

/// The operations on tables, whose members are all checked. Operations on items are passed to dynoxide.
const OPERATIONS: [&str; 22] = [
    "CreateTable",
    "DescribeTable",
    "UpdateTable",
    "DeleteTable",
    "ListTables",
    "UpdateTimeToLive",
    "DescribeTimeToLive",
    "UpdateContinuousBackups",
    "DescribeContinuousBackups",
    "TagResource",
    "UntagResource",
    "ListTagsOfResource",
    "UpdateContributorInsights",
    "DescribeContributorInsights",
    "ListContributorInsights",
    "EnableKinesisStreamingDestination",
    "DisableKinesisStreamingDestination",
    "UpdateKinesisStreamingDestination",
    "DescribeKinesisStreamingDestination",
    "PutResourcePolicy",
    "GetResourcePolicy",
    "DeleteResourcePolicy",
];

/// Refuses a request with an unsupported member.
pub(super) fn check(operation: &str, body: &Value) -> Result<(), Failure> {
    if !OPERATIONS.contains(&operation) {
        return Ok(());
    }
    let mut found = Vec::new();
    paths(body, "", &mut found);
    match found.iter().find(|path| !is_supported(operation, path)) {
        Some(path) => Err(Failure::unsupported(&format!("{path} of dynamodb:{operation}"))),
        None => Ok(()),
    }
}

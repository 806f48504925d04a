//! The members of DynamoDB's types for tables, and how each is handled.

use crate::kind::members::Handling::{self, Managed, NotCompared, NotManaged, Shown};
use crate::kind::members::Members;

/// The members of the responses that describe a table, and of the requests that create and update one.
pub(super) const ALL: &[Members] = &[
    Members { of: "TableDescription", members: TABLE },
    Members { of: "GlobalSecondaryIndexDescription", members: GLOBAL_INDEX },
    Members { of: "LocalSecondaryIndexDescription", members: LOCAL_INDEX },
    Members { of: "TimeToLiveDescription", members: TTL },
    Members { of: "PointInTimeRecoveryDescription", members: RECOVERY },
    Members { of: "DescribeContributorInsightsOutput", members: INSIGHTS },
    Members { of: "KinesisDataStreamDestination", members: KINESIS },
    Members { of: "GetResourcePolicyOutput", members: POLICY },
    Members { of: "ScalableTarget", members: SCALABLE_TARGET },
    Members { of: "ScalingPolicy", members: SCALING_POLICY },
    Members { of: "TargetTrackingScalingPolicyConfiguration", members: TRACKING },
    Members { of: "CreateTableInput", members: CREATE },
    Members { of: "UpdateTableInput", members: UPDATE },
];

type List = &'static [(&'static str, Handling)];

const TABLE: List = &[
    ("AttributeDefinitions", Managed),
    ("TableName", Managed),
    ("KeySchema", Managed),
    ("TableStatus", Shown),
    ("CreationDateTime", NotCompared),
    ("ProvisionedThroughput", Managed),
    ("TableSizeBytes", NotCompared),
    ("ItemCount", Shown),
    ("TableArn", Shown),
    ("TableId", Shown),
    ("BillingModeSummary", Managed),
    ("LocalSecondaryIndexes", Managed),
    ("GlobalSecondaryIndexes", Managed),
    ("StreamSpecification", Managed),
    ("LatestStreamLabel", NotCompared),
    ("LatestStreamArn", NotCompared),
    ("GlobalTableVersion", NotCompared),
    ("Replicas", Managed),
    ("GlobalTableWitnesses", Managed),
    ("GlobalTableSettingsReplicationMode", NotManaged),
    ("RestoreSummary", NotCompared),
    ("SSEDescription", Managed),
    ("ArchivalSummary", NotManaged),
    ("TableClassSummary", Managed),
    ("DeletionProtectionEnabled", Managed),
    ("DisassociationProtectionEnabled", NotManaged),
    ("OnDemandThroughput", Managed),
    ("WarmThroughput", Managed),
    ("MultiRegionConsistency", Managed),
    ("VectorIndexes", NotManaged),
];

const GLOBAL_INDEX: List = &[
    ("IndexName", Managed),
    ("KeySchema", Managed),
    ("Projection", Managed),
    ("IndexStatus", Shown),
    ("Backfilling", Shown),
    ("ProvisionedThroughput", Managed),
    ("IndexSizeBytes", NotCompared),
    ("ItemCount", NotCompared),
    ("IndexArn", NotCompared),
    ("OnDemandThroughput", Managed),
    ("WarmThroughput", Managed),
];

const LOCAL_INDEX: List = &[
    ("IndexName", Managed),
    ("KeySchema", Managed),
    ("Projection", Managed),
    ("IndexSizeBytes", NotCompared),
    ("ItemCount", NotCompared),
    ("IndexArn", NotCompared),
];

const TTL: List = &[("TimeToLiveStatus", Managed), ("AttributeName", Managed)];

const RECOVERY: List = &[
    ("PointInTimeRecoveryStatus", Managed),
    ("RecoveryPeriodInDays", Managed),
    ("EarliestRestorableDateTime", NotCompared),
    ("LatestRestorableDateTime", NotCompared),
];

const INSIGHTS: List = &[
    ("TableName", Shown),
    ("IndexName", Shown),
    ("ContributorInsightsRuleList", NotCompared),
    ("ContributorInsightsStatus", Managed),
    ("LastUpdateDateTime", NotCompared),
    ("FailureException", Shown),
    ("ContributorInsightsMode", Managed),
];

const KINESIS: List = &[
    ("StreamArn", Managed),
    ("DestinationStatus", Managed),
    ("DestinationStatusDescription", Shown),
    ("ApproximateCreationDateTimePrecision", Managed),
];

const POLICY: List = &[("Policy", Managed), ("RevisionId", Shown)];

const SCALABLE_TARGET: List = &[
    ("ServiceNamespace", Shown),
    ("ResourceId", Shown),
    ("ScalableDimension", Managed),
    ("MinCapacity", Managed),
    ("MaxCapacity", Managed),
    ("PredictedCapacity", NotCompared),
    ("RoleARN", NotCompared),
    ("CreationTime", NotCompared),
    ("SuspendedState", NotManaged),
    ("ScalableTargetARN", NotCompared),
];

const SCALING_POLICY: List = &[
    ("PolicyARN", NotCompared),
    ("PolicyName", Shown),
    ("ServiceNamespace", Shown),
    ("ResourceId", Shown),
    ("ScalableDimension", Managed),
    ("PolicyType", Shown),
    ("StepScalingPolicyConfiguration", NotManaged),
    ("TargetTrackingScalingPolicyConfiguration", Managed),
    ("PredictiveScalingPolicyConfiguration", NotManaged),
    ("Alarms", NotCompared),
    ("CreationTime", NotCompared),
];

const TRACKING: List = &[
    ("TargetValue", Managed),
    ("PredefinedMetricSpecification", Shown),
    ("CustomizedMetricSpecification", NotManaged),
    ("ScaleOutCooldown", NotManaged),
    ("ScaleInCooldown", NotManaged),
    ("DisableScaleIn", NotManaged),
];

const CREATE: List = &[
    ("AttributeDefinitions", Managed),
    ("TableName", Managed),
    ("KeySchema", Managed),
    ("LocalSecondaryIndexes", Managed),
    ("GlobalSecondaryIndexes", Managed),
    ("BillingMode", Managed),
    ("ProvisionedThroughput", Managed),
    ("StreamSpecification", Managed),
    ("SSESpecification", Managed),
    ("Tags", Managed),
    ("TableClass", Managed),
    ("DeletionProtectionEnabled", Managed),
    ("WarmThroughput", Managed),
    ("ResourcePolicy", Managed),
    ("OnDemandThroughput", Managed),
    ("GlobalTableSourceArn", NotManaged),
    ("GlobalTableSettingsReplicationMode", NotManaged),
    ("VectorIndexes", NotManaged),
];

const UPDATE: List = &[
    ("AttributeDefinitions", Managed),
    ("TableName", Managed),
    ("BillingMode", Managed),
    ("ProvisionedThroughput", Managed),
    ("GlobalSecondaryIndexUpdates", Managed),
    ("StreamSpecification", Managed),
    ("SSESpecification", Managed),
    ("ReplicaUpdates", Managed),
    ("TableClass", Managed),
    ("DeletionProtectionEnabled", Managed),
    ("MultiRegionConsistency", Managed),
    ("GlobalTableWitnessUpdates", Managed),
    ("OnDemandThroughput", Managed),
    ("WarmThroughput", Managed),
    ("GlobalTableSettingsReplicationMode", NotManaged),
    ("DisassociationProtectionEnabled", NotManaged),
    ("VectorIndexUpdates", NotManaged),
];

#[cfg(test)]
mod tests {
    use aws_sdk_applicationautoscaling::types as scaling;
    use aws_sdk_dynamodb::operation::create_table::CreateTableInput;
    use aws_sdk_dynamodb::operation::describe_contributor_insights::DescribeContributorInsightsOutput;
    use aws_sdk_dynamodb::operation::get_resource_policy::GetResourcePolicyOutput;
    use aws_sdk_dynamodb::operation::update_table::UpdateTableInput;
    use aws_sdk_dynamodb::primitives::DateTime;
    use aws_sdk_dynamodb::types as sdk;

    use super::*;
    use crate::kind::members::{fields_of, listed};

    // These three types have required fields.
    fn target() -> scaling::ScalableTarget {
        let builder = scaling::ScalableTarget::builder().service_namespace(scaling::ServiceNamespace::Dynamodb);
        let builder = builder.resource_id("").min_capacity(1).max_capacity(1).role_arn("");
        let builder = builder.scalable_dimension(scaling::ScalableDimension::DynamoDbTableReadCapacityUnits);
        builder.creation_time(DateTime::from_secs(0)).build().unwrap()
    }

    fn policy() -> scaling::ScalingPolicy {
        let builder = scaling::ScalingPolicy::builder().service_namespace(scaling::ServiceNamespace::Dynamodb);
        let builder = builder.resource_id("").policy_arn("").policy_name("");
        let builder = builder.policy_type(scaling::PolicyType::TargetTrackingScaling);
        let builder = builder.scalable_dimension(scaling::ScalableDimension::DynamoDbTableReadCapacityUnits);
        builder.creation_time(DateTime::from_secs(0)).build().unwrap()
    }

    fn tracking() -> scaling::TargetTrackingScalingPolicyConfiguration {
        scaling::TargetTrackingScalingPolicyConfiguration::builder().target_value(70.0).build().unwrap()
    }

    /// The SDK's types may get new fields with each release, and the list must contain all of them.
    #[test]
    fn every_member_of_the_sdk_types_is_listed() {
        let of_the_sdk = [
            fields_of(&sdk::TableDescription::builder().build()),
            fields_of(&sdk::GlobalSecondaryIndexDescription::builder().build()),
            fields_of(&sdk::LocalSecondaryIndexDescription::builder().build()),
            fields_of(&sdk::TimeToLiveDescription::builder().build()),
            fields_of(&sdk::PointInTimeRecoveryDescription::builder().build()),
            fields_of(&DescribeContributorInsightsOutput::builder().build()),
            fields_of(&sdk::KinesisDataStreamDestination::builder().build()),
            fields_of(&GetResourcePolicyOutput::builder().build()),
            fields_of(&target()),
            fields_of(&policy()),
            fields_of(&tracking()),
            fields_of(&CreateTableInput::builder().build().unwrap()),
            fields_of(&UpdateTableInput::builder().build().unwrap()),
        ];
        for (members, fields) in ALL.iter().zip(of_the_sdk) {
            // A response has a request ID, and a timestamp has parts.
            let own = |field: &String| !["requestid", "seconds", "subsecondnanos"].contains(&field.as_str());
            let fields: Vec<String> = fields.into_iter().filter(own).collect();
            assert!(fields.len() > 1, "{fields:?}");
            assert_eq!(listed(members), fields, "{}", members.of);
        }
    }
}

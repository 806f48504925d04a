//! The AWS emulator's settings of a table with their own calls.

use std::time::Duration;

use sentinel::local::{LocalAws, Rules};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::embedded::call_in;

const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders";
const STREAM: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes";

fn dynamodb(aws: &LocalAws, operation: &str, body: Value) -> Result<Value, String> {
    call_in(aws, "eu-west-1", &format!("DynamoDB_20120810.{operation}"), body)
}

#[track_caller]
fn refused(result: Result<Value, String>, beginning: &str) {
    match result {
        Err(error) if error.starts_with(beginning) => {}
        other => panic!("expected {beginning}, got {other:?}"),
    }
}

fn create(aws: &LocalAws) {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str| json!([{ "AttributeName": name, "KeyType": "HASH" }]);
    let body = json!({
        "TableName": "orders",
        "KeySchema": key("id"),
        "AttributeDefinitions": [attribute("id"), attribute("user")],
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes":
            [{ "IndexName": "by-user", "KeySchema": key("user"), "Projection": { "ProjectionType": "ALL" } }],
    });
    dynamodb(aws, "CreateTable", body).unwrap();
}

/// Returns an emulator with an ACTIVE table.
async fn active() -> LocalAws {
    let aws = LocalAws::memory(Rules::default());
    create(&aws);
    advance(Duration::from_secs(2)).await;
    aws
}

fn policy(action: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": ["210987654321"] }, "Action": [action], "Resource": TABLE,
    }] })
}

#[tokio::test(start_paused = true)]
async fn no_setting_changes_on_a_table_being_created() {
    let aws = LocalAws::memory(Rules::default());
    create(&aws);
    let named = || json!({ "TableName": "orders" });
    let arn = || json!({ "ResourceArn": TABLE });
    for (operation, body) in [
        ("DescribeContributorInsights", named()),
        ("ListContributorInsights", named()),
        ("DescribeKinesisStreamingDestination", named()),
        ("GetResourcePolicy", arn()),
        ("DeleteResourcePolicy", arn()),
        ("UpdateContributorInsights", json!({ "TableName": "orders", "ContributorInsightsAction": "ENABLE" })),
        ("EnableKinesisStreamingDestination", json!({ "TableName": "orders", "StreamArn": STREAM })),
        ("PutResourcePolicy", json!({ "ResourceArn": TABLE, "Policy": policy("dynamodb:GetItem").to_string() })),
    ] {
        refused(dynamodb(&aws, operation, body), "ResourceNotFoundException: Requested resource not found");
    }
}

#[tokio::test(start_paused = true)]
async fn insights_are_enabled_after_a_moment() {
    let aws = active().await;
    let described = |index: Option<&str>| {
        let mut body = json!({ "TableName": "orders" });
        if let Some(index) = index {
            body["IndexName"] = json!(index);
        }
        dynamodb(&aws, "DescribeContributorInsights", body)
    };
    let update = |extra: Value| {
        let mut body = json!({ "TableName": "orders" });
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        dynamodb(&aws, "UpdateContributorInsights", body)
    };
    let status = |index| {
        let found = described(index).unwrap();
        (found["ContributorInsightsStatus"].clone(), found["ContributorInsightsMode"].clone())
    };
    assert_eq!(described(None).unwrap(), json!({ "TableName": "orders", "ContributorInsightsStatus": "DISABLED" }));
    refused(described(Some("by-day")), "ResourceNotFoundException: Requested resource not found: Index");
    let on = || json!({ "ContributorInsightsAction": "ENABLE" });
    let throttled = || json!({ "ContributorInsightsAction": "ENABLE", "IndexName": "by-user", "ContributorInsightsMode": "THROTTLED_KEYS" });
    assert_eq!(update(on()).unwrap()["ContributorInsightsStatus"], "ENABLING");
    update(throttled()).unwrap();
    assert_eq!(status(Some("by-user")), (json!("ENABLING"), json!("THROTTLED_KEYS")));
    advance(Duration::from_secs(1)).await;
    assert_eq!(status(None), (json!("ENABLED"), json!("ACCESSED_AND_THROTTLED_KEYS")));
    // An equal setting has no effect, and another mode is set in place.
    assert_eq!(update(on()).unwrap()["ContributorInsightsStatus"], "ENABLED");
    assert_eq!(update(throttled()).unwrap()["ContributorInsightsStatus"], "ENABLED");
    let all = json!({ "ContributorInsightsAction": "ENABLE", "IndexName": "by-user" });
    assert_eq!(update(all).unwrap()["ContributorInsightsStatus"], "ENABLING");
    let list = dynamodb(&aws, "ListContributorInsights", json!({ "TableName": "orders" })).unwrap();
    assert_eq!(list["ContributorInsightsSummaries"].as_array().unwrap().len(), 2);
    assert_eq!(
        update(json!({ "ContributorInsightsAction": "DISABLE" })).unwrap()["ContributorInsightsStatus"],
        "DISABLING"
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(status(None).0, "DISABLED");
    let list = dynamodb(&aws, "ListContributorInsights", json!({ "TableName": "orders" })).unwrap();
    assert_eq!(list["ContributorInsightsSummaries"].as_array().unwrap().len(), 1);
    refused(update(json!({})), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn a_table_has_one_kinesis_destination_at_a_time() {
    let aws = active().await;
    let call = |operation: &str, stream: &str, extra: Value| {
        let mut body = json!({ "TableName": "orders", "StreamArn": stream });
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        dynamodb(&aws, &format!("{operation}KinesisStreamingDestination"), body)
    };
    let destinations = || {
        let found = dynamodb(&aws, "DescribeKinesisStreamingDestination", json!({ "TableName": "orders" })).unwrap();
        found["KinesisDataStreamDestinations"].clone()
    };
    let precision = |name: &str, precision: &str| json!({ format!("{name}KinesisStreamingConfiguration"): { "ApproximateCreationDateTimePrecision": precision } });
    assert_eq!(destinations(), json!([]));
    refused(call("Disable", STREAM, json!({})), "ValidationException: Table is not in a valid state");
    assert_eq!(call("Enable", STREAM, json!({})).unwrap()["DestinationStatus"], "ENABLING");
    for operation in ["Enable", "Disable"] {
        refused(call(operation, STREAM, json!({})), "ValidationException: Table is not in a valid state");
    }
    advance(Duration::from_secs(1)).await;
    assert_eq!(destinations(), json!([{ "StreamArn": STREAM, "DestinationStatus": "ACTIVE" }]));
    refused(call("Enable", &format!("{STREAM}-2"), json!({})), "ValidationException: Table is not in a valid state");
    let refusal = "ValidationException: Invalid Request: Precision is already set";
    refused(call("Update", STREAM, precision("Update", "MILLISECOND")), refusal);
    assert_eq!(call("Update", STREAM, precision("Update", "MICROSECOND")).unwrap()["DestinationStatus"], "UPDATING");
    refused(call("Disable", STREAM, json!({})), "ValidationException: Table is not in a valid state");
    advance(Duration::from_secs(1)).await;
    assert_eq!(destinations()[0]["ApproximateCreationDateTimePrecision"], "MICROSECOND");
    call("Disable", STREAM, json!({})).unwrap();
    assert_eq!(destinations()[0]["DestinationStatus"], "DISABLING");
    advance(Duration::from_secs(1)).await;
    assert_eq!(destinations()[0]["DestinationStatus"], "DISABLED");
    // A missing stream is reported later.
    let nowhere = "arn:aws:kinesis:us-east-1:123456789012:stream/changes";
    call("Enable", nowhere, precision("Enable", "MICROSECOND")).unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(destinations()[0]["DestinationStatus"], "ENABLE_FAILED");
    call("Enable", STREAM, json!({})).unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(destinations().as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_resource_policy_is_changed_by_revision_and_visible_later() {
    let aws = active().await;
    let put = |action: &str, revision: Option<&str>| {
        let mut body = json!({ "ResourceArn": TABLE, "Policy": policy(action).to_string() });
        if let Some(revision) = revision {
            body["ExpectedRevisionId"] = json!(revision);
        }
        dynamodb(&aws, "PutResourcePolicy", body)
    };
    let get = || dynamodb(&aws, "GetResourcePolicy", json!({ "ResourceArn": TABLE }));
    let delete = |revision: &str| {
        dynamodb(&aws, "DeleteResourcePolicy", json!({ "ResourceArn": TABLE, "ExpectedRevisionId": revision }))
    };
    let revision = |answer: Result<Value, String>| answer.unwrap()["RevisionId"].as_str().unwrap().to_owned();
    refused(get(), "PolicyNotFoundException");
    assert_eq!(dynamodb(&aws, "DeleteResourcePolicy", json!({ "ResourceArn": TABLE })), Ok(json!({})));
    refused(put("dynamodb:GetItem", Some("1")), "PolicyNotFoundException");
    let first = revision(put("dynamodb:GetItem", Some("NO_POLICY")));
    refused(get(), "PolicyNotFoundException");
    refused(put("dynamodb:Query", Some(&first)), "ResourceInUseException");
    refused(dynamodb(&aws, "DeleteTable", json!({ "TableName": "orders" })), "ResourceInUseException");
    assert_eq!(revision(put("dynamodb:GetItem", None)), first);
    advance(Duration::from_secs(1)).await;
    let found = get().unwrap();
    assert_eq!(found["RevisionId"], json!(first));
    let document: Value = serde_json::from_str(found["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(document["Statement"][0]["Action"], "dynamodb:GetItem");
    assert_eq!(document["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::210987654321:root");
    refused(put("dynamodb:Query", Some(&first)), "ThrottlingException");
    advance(Duration::from_secs(2)).await;
    refused(put("dynamodb:Query", Some("NO_POLICY")), "PolicyNotFoundException");
    let second = revision(put("dynamodb:Query", Some(&first)));
    // A read right after the change shows the earlier state.
    assert_eq!(get().unwrap()["RevisionId"], json!(first));
    advance(Duration::from_secs(3)).await;
    assert_eq!(get().unwrap()["RevisionId"], json!(second));
    refused(delete(&first), "PolicyNotFoundException");
    delete(&second).unwrap();
    advance(Duration::from_secs(3)).await;
    refused(get(), "PolicyNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn faults_of_a_resource_policy_are_refused() {
    let aws = active().await;
    let put = |arn: &str, document: &Value| {
        dynamodb(&aws, "PutResourcePolicy", json!({ "ResourceArn": arn, "Policy": document.to_string() }))
    };
    let good = policy("dynamodb:GetItem");
    refused(put("orders", &good), "ValidationException: Invalid ResourceArn");
    refused(put(&format!("{TABLE}/index/by-user"), &good), "ValidationException: Invalid ResourceArn");
    refused(put(&format!("{TABLE}-2"), &good), "ResourceNotFoundException");
    refused(put(&format!("{TABLE}/stream/2026-01-01"), &good), "ResourceNotFoundException");
    let mut open = good.clone();
    open["Statement"][0]["Principal"] = json!("*");
    refused(put(TABLE, &open), "ValidationException: Invalid policy document: it gives unbounded access");
    let mut twice = good.clone();
    twice["Statement"] = json!([good["Statement"][0], good["Statement"][0]]);
    for statement in twice["Statement"].as_array_mut().unwrap() {
        statement["Sid"] = json!("one");
    }
    refused(put(TABLE, &twice), "ValidationException: Invalid policy document: statement IDs");
    let mut large = good.clone();
    large["Id"] = json!("x".repeat(20_480));
    refused(put(TABLE, &large), "ValidationException: Invalid policy document: the maximum size");
    refused(put(TABLE, &json!({})), "ValidationException: Invalid policy document");
}

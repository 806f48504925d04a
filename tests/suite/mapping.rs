//! Replays recorded responses of AWS, and checks how the engine interprets them.

use std::path::Path;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use sentinel::reconcile::{Action, ResourcePlan};
use serde_json::json;

/// An AWS with one response for each operation.
#[derive(Debug)]
struct Replay(Vec<(&'static str, u16, String)>);

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or("sts").to_owned();
        let found = self.0.iter().find(|(operation, ..)| target.ends_with(operation));
        let (_, status, body) = found.unwrap_or_else(|| panic!("{target} has no answer"));
        let response = HttpResponse::new((*status).try_into().unwrap(), SdkBody::from(body.clone()));
        HttpConnectorFuture::ready(Ok(response))
    }
}

const IDENTITY: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:sts::111122223333:assumed-role/deploy/ci</Arn><UserId>AROA:ci</UserId><Account>111122223333</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>"#;

fn aws(mut answers: Vec<(&'static str, u16, String)>) -> SharedHttpClient {
    answers.push(("sts", 200, IDENTITY.to_owned()));
    let connector = SharedHttpConnector::new(Replay(answers));
    http_client_fn(move |_, _| connector.clone())
}

async fn planned(manifest: &str, answers: Vec<(&'static str, u16, String)>) -> ResourcePlan {
    let loaded = crate::engine::load(manifest, Path::new("."));
    crate::engine::plan(aws(answers), &loaded).await.resources.remove(0)
}

/// `DescribeTable` as AWS returns it: in its own order, and with many members that are never compared.
fn table() -> serde_json::Value {
    let index = |name: &str, partition: &str| {
        json!({
            "IndexName": name, "IndexStatus": "ACTIVE", "ItemCount": 12, "IndexSizeBytes": 3456,
            "IndexArn": format!("arn:aws:dynamodb:us-east-1:111122223333:table/sentinel-requests/index/{name}"),
            "KeySchema": [
                { "AttributeName": "created_at", "KeyType": "RANGE" }, { "AttributeName": partition, "KeyType": "HASH" },
            ],
            "Projection": { "ProjectionType": "ALL" },
            "ProvisionedThroughput": { "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0 },
            "WarmThroughput": { "ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE" },
        })
    };
    json!({ "Table": {
        "TableName": "sentinel-requests", "TableStatus": "ACTIVE", "ItemCount": 12, "TableSizeBytes": 3456,
        "TableArn": "arn:aws:dynamodb:us-east-1:111122223333:table/sentinel-requests",
        "TableId": "12345678-0123-4567-a123-abcdefghijkl", "CreationDateTime": 1.768_816_444_123E9,
        "AttributeDefinitions": [
            { "AttributeName": "status", "AttributeType": "S" }, { "AttributeName": "created_at", "AttributeType": "N" },
            { "AttributeName": "requester", "AttributeType": "S" }, { "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "profile", "AttributeType": "S" },
        ],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 1.768_816_444E9 },
        "ProvisionedThroughput": { "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0 },
        "GlobalSecondaryIndexes": [
            index("profile-index", "profile"), index("status-index", "status"), index("requester-index", "requester"),
        ],
        "SSEDescription": { "Status": "ENABLED", "SSEType": "KMS",
            "KMSMasterKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" },
        "DeletionProtectionEnabled": false, "TableClassSummary": { "TableClass": "STANDARD" },
        "WarmThroughput": { "ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE" },
    } })
}

fn ttl(status: &str) -> String {
    json!({ "TimeToLiveDescription": { "AttributeName": "expires_at", "TimeToLiveStatus": status } }).to_string()
}

#[tokio::test]
async fn a_recorded_table_description_is_in_sync() {
    let manifest =
        "[tables.approvals]\npoint_in_time_recovery = true\nencryption = \"aws-managed\"\ntags = { a = \"b\" }\n";
    let backups = json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35,
            "EarliestRestorableDateTime": 1.768_816_444E9, "LatestRestorableDateTime": 1.768_816_444E9 } } });
    let tags =
        json!({ "Tags": [{ "Key": "aws:cloudformation:stack-id", "Value": "x" }, { "Key": "a", "Value": "b" }] });
    let key = json!({ "KeyMetadata": { "KeyId": "1234abcd-12ab-34cd-56ef-1234567890ab", "KeyManager": "AWS",
        "Arn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" } });
    let answers = vec![
        ("DescribeTable", 200, table().to_string()),
        ("DescribeTimeToLive", 200, ttl("ENABLING")),
        ("DescribeContinuousBackups", 200, backups.to_string()),
        ("ListTagsOfResource", 200, tags.to_string()),
        ("DescribeKey", 200, key.to_string()),
    ];
    let plan = planned(manifest, answers).await;
    assert_eq!((plan.action, plan.changes), (Action::Unchanged, vec![]));
    assert_eq!(plan.facts.status.as_deref(), Some("ACTIVE"));
}

/// The backup status does not depend on point-in-time recovery.
#[tokio::test]
async fn continuous_backups_are_not_point_in_time_recovery() {
    let backups = json!({ "ContinuousBackupsDescription": { "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" } } });
    let answers = vec![
        ("DescribeTable", 200, table().to_string()),
        ("DescribeTimeToLive", 200, ttl("ENABLED")),
        ("DescribeContinuousBackups", 200, backups.to_string()),
    ];
    let plan = planned("[tables.approvals]\npoint_in_time_recovery = true\n", answers).await;
    let paths: Vec<&str> = plan.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["point_in_time_recovery"]);
}

#[tokio::test]
async fn a_backfilling_index_is_in_progress() {
    let mut table = table();
    table["Table"]["GlobalSecondaryIndexes"][1]["IndexStatus"] = json!("CREATING");
    table["Table"]["GlobalSecondaryIndexes"][1]["Backfilling"] = json!(true);
    let answers = vec![("DescribeTable", 200, table.to_string()), ("DescribeTimeToLive", 200, ttl("ENABLED"))];
    let plan = planned("[tables.approvals]\n", answers).await;
    assert_eq!(plan.changes[0].path, "index status-index status");
    assert_eq!(plan.action, Action::Update);
    let steps: Vec<String> = plan.steps.iter().map(sentinel::kind::Step::describe).collect();
    assert_eq!(steps, ["waiting until ACTIVE"]);
}

/// While a table is being created, reading its TTL fails in one of several ways, all of which mean "not yet".
#[tokio::test]
async fn a_table_being_created_is_not_ready_instead_of_different() {
    let mut table = table();
    table["Table"]["TableStatus"] = json!("CREATING");
    let refusals = [
        ("com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "Requested resource not found"),
        ("com.amazonaws.dynamodb.v20120810#ResourceInUseException", "Table is being created"),
        ("com.amazon.coral.validate#ValidationException", "Table is not in an active state"),
    ];
    for (code, message) in refusals {
        let refusal = json!({ "__type": code, "message": message }).to_string();
        let answers = vec![("DescribeTable", 200, table.to_string()), ("DescribeTimeToLive", 400, refusal)];
        let plan = planned("[tables.approvals]\n", answers).await;
        assert_eq!((plan.action, plan.gaps.len()), (Action::Finish, 0), "{code}");
    }
}

#[tokio::test]
async fn a_missing_permission_differs_from_a_missing_table() {
    let denied = json!({
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "User: arn:aws:sts::111122223333:assumed-role/deploy/ci is not authorized to perform: \
            dynamodb:DescribeTable on resource: arn:aws:dynamodb:us-east-1:111122223333:table/sentinel-requests because \
            no identity-based policy allows the dynamodb:DescribeTable action",
    });
    let missing = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
        "message": "Requested resource not found: Table: sentinel-requests not found",
    });
    for (answer, expected) in [(&denied, "unknown"), (&missing, "create")] {
        let answers = vec![("DescribeTable", 400, answer.to_string()), ("DescribeTimeToLive", 400, answer.to_string())];
        let plan = planned("[tables.approvals]\n", answers).await;
        assert_eq!(serde_json::to_value(&plan.action).unwrap()["action"], expected);
        assert!(plan.gaps.iter().all(|gap| gap.denied && gap.action == "dynamodb:DescribeTable"));
    }
}

#[tokio::test]
async fn a_recorded_parameter_keeps_its_version_and_date() {
    let answer = json!({
        "Parameters": [{
            "ARN": "arn:aws:ssm:us-east-1:111122223333:parameter/sentinel/policies/dev", "DataType": "text",
            "LastModifiedDate": 1.768_816_444_215E9, "Name": "/sentinel/policies/dev", "Type": "String",
            "Value": "version: \"1\"\n", "Version": 7,
        }],
        "InvalidParameters": [],
    });
    let plan = planned("[profiles.dev]\n", vec![("GetParameters", 200, answer.to_string())]).await;
    assert_eq!(plan.action, Action::Unchanged);
    assert_eq!((plan.facts.version, plan.facts.modified), (Some(7), Some(1_768_816_444)));
}

//! The AWS emulator with replicas of tables. AWS's responses are from measurements in the lab notes of ack-api-quirks, whose findings are
//! named.

use std::time::Duration;

use sentinel::local::{LocalAws, Rules};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::embedded::call_in;

const HOME: &str = "us-east-1";
const EU: &str = "eu-west-1";
const ASIA: &str = "ap-northeast-1";
const MINUTE: Duration = Duration::from_secs(60);

struct Group(LocalAws);

impl Group {
    /// Returns an AWS with one on-demand table.
    async fn new() -> Self {
        let group = Self(LocalAws::memory(Rules::default()));
        group.create(HOME, json!({ "BillingMode": "PAY_PER_REQUEST" })).unwrap();
        advance(MINUTE).await;
        group
    }

    /// Returns an AWS with a table that has a replica.
    async fn with_replica() -> Self {
        let group = Self::new().await;
        group.replicas(HOME, &[json!({ "Create": { "RegionName": EU } })]).unwrap();
        advance(MINUTE).await;
        group
    }

    fn create(&self, region: &str, extra: Value) -> Result<Value, String> {
        let mut body = json!({
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.call(region, "CreateTable", body)
    }

    fn call(&self, region: &str, operation: &str, mut body: Value) -> Result<Value, String> {
        if !operation.contains("Resource") && body["TableName"].is_null() && operation != "ListTables" {
            body["TableName"] = json!("orders");
        }
        call_in(&self.0, region, &format!("DynamoDB_20120810.{operation}"), body)
    }

    fn update(&self, region: &str, body: Value) -> Result<Value, String> {
        self.call(region, "UpdateTable", body)
    }

    fn replicas(&self, region: &str, updates: &[Value]) -> Result<Value, String> {
        self.update(region, json!({ "ReplicaUpdates": updates }))
    }

    fn describe(&self, region: &str) -> Result<Value, String> {
        self.call(region, "DescribeTable", json!({})).map(|mut answer| answer["Table"].take())
    }

    /// Returns each replica that a region lists, with its status.
    fn listed(&self, region: &str) -> Vec<(String, String)> {
        let table = self.describe(region).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let replicas = table["Replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().map(|one| (text(&one["RegionName"]), text(&one["ReplicaStatus"]))).collect()
    }
}

#[track_caller]
fn refused(result: Result<Value, String>, words: &str) {
    match result {
        Err(error) if error.contains(words) => {}
        other => panic!("expected {words}, got {other:?}"),
    }
}

fn create_in(region: &str) -> Value {
    json!({ "Create": { "RegionName": region } })
}

fn delete_in(region: &str) -> Value {
    json!({ "Delete": { "RegionName": region } })
}

fn arn_in(region: &str) -> String {
    format!("arn:aws:dynamodb:{region}:123456789012:table/orders")
}

/// DDB-TABLE-226, 227 and 298.
#[tokio::test(start_paused = true)]
async fn a_replica_creation_is_not_visible_in_the_table_status() {
    let group = Group::new().await;
    let answer = group.replicas(HOME, &[create_in(EU)]).unwrap();
    assert_eq!(answer["TableDescription"]["TableStatus"], "UPDATING");
    assert_eq!(answer["TableDescription"]["Replicas"], json!([]));
    assert_eq!(answer["TableDescription"]["StreamSpecification"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    refused(group.describe(EU), "ResourceNotFoundException");
    refused(group.replicas(HOME, &[create_in(EU)]), "ResourceInUseException");
    refused(group.replicas(HOME, &[delete_in(EU)]), "were not part of the global table");
    advance(Duration::from_millis(600)).await;
    assert_eq!(group.listed(HOME), [(EU.to_owned(), String::from("CREATING"))]);
    assert_eq!(group.describe(HOME).unwrap()["TableStatus"], "ACTIVE");
    assert_eq!(group.describe(EU).unwrap()["TableStatus"], "CREATING");
    refused(group.call(EU, "GetItem", json!({ "Key": { "id": { "S": "1" } } })), "ResourceNotFoundException");
    refused(group.call(EU, "DescribeContinuousBackups", json!({})), "TableNotFoundException");
    refused(group.call(EU, "DeleteTable", json!({})), "ResourceInUseException");
    refused(group.replicas(HOME, &[create_in(ASIA)]), "ResourceInUseException");
    refused(group.update(HOME, json!({ "DeletionProtectionEnabled": true })), "ResourceInUseException");
    advance(MINUTE).await;
    assert_eq!(group.listed(HOME), [(EU.to_owned(), String::from("ACTIVE"))]);
    assert_eq!(group.listed(EU), [(HOME.to_owned(), String::from("ACTIVE"))]);
}

/// DDB-TABLE-224, 265, 203, 223 and 225.
#[tokio::test(start_paused = true)]
async fn a_request_has_one_action_on_one_other_region() {
    let group = Group::new().await;
    let with = |extra: Value| {
        let mut body = json!({ "ReplicaUpdates": [create_in(EU)] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        group.update(HOME, body)
    };
    refused(
        with(json!({ "TableClass": "STANDARD" })),
        "Replica modification must be the only operation in the request",
    );
    refused(group.replicas(HOME, &[create_in(EU), create_in(ASIA)]), "more than one create or delete replica actions");
    let both = json!({ "Create": { "RegionName": EU }, "Delete": { "RegionName": ASIA } });
    refused(group.replicas(HOME, &[both]), "more than one type of replica actions not allowed");
    refused(group.replicas(HOME, &[json!({})]), "There are no actions specified");
    refused(group.replicas(HOME, &[create_in(HOME)]), "Cannot add or delete the local region");
    refused(group.replicas(HOME, &[create_in("us-fake-1")]), "Region us-fake-1 is not supported");
    refused(group.replicas(HOME, &[delete_in(EU)]), "without these replicas: [eu-west-1]");
    refused(group.update(HOME, json!({ "MultiRegionConsistency": "STRONG" })), "At least one of ProvisionedThroughput");

    group.create(ASIA, json!({ "BillingMode": "PAY_PER_REQUEST" })).unwrap();
    refused(group.replicas(HOME, &[create_in(ASIA)]), "because one or more replicas already existed as tables");
    group.replicas(HOME, &[create_in(EU), create_in(EU)]).unwrap();
    advance(MINUTE).await;
    refused(group.replicas(HOME, &[create_in(EU)]), "because one or more replicas already existed as tables");
    refused(group.create(EU, json!({ "BillingMode": "PAY_PER_REQUEST" })), "Table already exists");
}

/// DDB-TABLE-188.
#[tokio::test(start_paused = true)]
async fn a_table_with_fixed_capacity_cannot_have_replicas() {
    let group = Group(LocalAws::memory(Rules::default()));
    let capacity = json!({ "ReadCapacityUnits": 1, "WriteCapacityUnits": 1 });
    group.create(HOME, json!({ "BillingMode": "PROVISIONED", "ProvisionedThroughput": capacity })).unwrap();
    advance(MINUTE).await;
    let words = "ValidationException: Table write capacity should either be Pay-Per-Request or AutoScaled.";
    refused(group.replicas(HOME, &[create_in(EU)]), words);
}

/// DDB-TABLE-229, 230 and 296.
#[tokio::test(start_paused = true)]
async fn a_replica_shares_items_and_has_its_own_settings() {
    let group = Group::with_replica().await;
    group.call(HOME, "PutItem", json!({ "Item": { "id": { "S": "1" } } })).unwrap();
    assert_eq!(group.call(EU, "Scan", json!({})).unwrap()["Count"], 1);
    group.call(EU, "PutItem", json!({ "Item": { "id": { "S": "2" } } })).unwrap();
    assert_eq!(group.call(HOME, "Scan", json!({})).unwrap()["Count"], 2);
    let batch = json!({ "RequestItems": { "orders": { "Keys": [{ "id": { "S": "1" } }] } } });
    let found = call_in(&group.0, EU, "DynamoDB_20120810.BatchGetItem", batch).unwrap();
    assert_eq!(found["Responses"]["orders"][0]["id"]["S"], "1");
    assert_eq!(group.call(EU, "ListTables", json!({})).unwrap()["TableNames"], json!(["orders"]));
    assert_eq!(group.call(ASIA, "ListTables", json!({})).unwrap()["TableNames"], json!([]));

    let (own, replica) = (group.describe(HOME).unwrap(), group.describe(EU).unwrap());
    assert_eq!(replica["TableArn"], json!(arn_in(EU)));
    assert_ne!(replica["TableId"], own["TableId"]);
    assert_eq!(replica["KeySchema"], own["KeySchema"]);
    assert_eq!(own["Replicas"][0]["ReplicaArn"], Value::Null);
    assert_eq!((&own["GlobalTableVersion"], &own["MultiRegionConsistency"]), (&json!("2019.11.21"), &Value::Null));

    let tags = json!([{ "Key": "team", "Value": "security" }]);
    group.call(EU, "TagResource", json!({ "ResourceArn": arn_in(EU), "Tags": tags })).unwrap();
    assert_eq!(group.call(EU, "ListTagsOfResource", json!({ "ResourceArn": arn_in(EU) })).unwrap()["Tags"], tags);
    assert_eq!(
        group.call(HOME, "ListTagsOfResource", json!({ "ResourceArn": arn_in(HOME) })).unwrap()["Tags"],
        json!([])
    );
    let extra = json!({ "ResourceArn": arn_in(EU), "Tags": [{ "Key": "tier", "Value": "1" }] });
    refused(group.call(EU, "TagResource", extra), "LimitExceededException: Subscriber limit exceeded: Table tags");
    let filter = json!({ "TagFilters": [{ "Key": "team" }] });
    let tagged = call_in(&group.0, EU, "ResourceGroupsTaggingAPI_20170126.GetResources", filter).unwrap();
    assert_eq!(tagged["ResourceTagMappingList"][0]["ResourceARN"], json!(arn_in(EU)));

    let recovery = json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } });
    group.call(EU, "UpdateContinuousBackups", recovery).unwrap();
    let recovered = |region: &str| {
        let backups = group.call(region, "DescribeContinuousBackups", json!({})).unwrap();
        let description = &backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
        description["PointInTimeRecoveryStatus"].as_str().unwrap().to_owned()
    };
    assert_eq!((recovered(EU).as_str(), recovered(HOME).as_str()), ("ENABLED", "DISABLED"));

    let ttl = json!({ "TimeToLiveSpecification": { "AttributeName": "at", "Enabled": true } });
    group.call(EU, "UpdateTimeToLive", ttl).unwrap();
    advance(MINUTE).await;
    let found = group.call(HOME, "DescribeTimeToLive", json!({})).unwrap();
    assert_eq!(found["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
}

/// DDB-TABLE-294, 250 and 251.
#[tokio::test(start_paused = true)]
async fn a_replica_update_overrides_the_settings_of_the_table() {
    let group = Group::with_replica().await;
    let update = |extra: Value| {
        let mut action = json!({ "RegionName": EU });
        action.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        group.replicas(HOME, &[json!({ "Update": action })])
    };
    refused(update(json!({})), "There are no actions specified");
    refused(update(json!({ "KMSMasterKeyId": "alias/aws/dynamodb" })), "must be specified for each replica");
    let reads = json!({ "ProvisionedThroughputOverride": { "ReadCapacityUnits": 5 } });
    refused(update(reads), "when BillingMode is PAY_PER_REQUEST");
    update(json!({ "TableClassOverride": "STANDARD_INFREQUENT_ACCESS" })).unwrap();
    advance(MINUTE).await;
    let class = |region: &str| group.describe(region).unwrap()["TableClassSummary"]["TableClass"].clone();
    assert_eq!(class(EU), "STANDARD_INFREQUENT_ACCESS");
    assert_eq!(class(HOME), Value::Null);
    let listed = group.describe(HOME).unwrap()["Replicas"][0].take();
    assert_eq!(listed["ReplicaTableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    update(json!({ "OnDemandThroughputOverride": { "MaxReadRequestUnits": 50 } })).unwrap();
    advance(MINUTE).await;
    assert_eq!(group.describe(EU).unwrap()["OnDemandThroughput"]["MaxReadRequestUnits"], 50);
    // A change of the table's class applies to all replicas.
    group.update(HOME, json!({ "TableClass": "STANDARD" })).unwrap();
    assert_eq!(class(EU), "STANDARD");
}

/// DDB-TABLE-204, 222, 228, 266, 297 and 308.
#[tokio::test(start_paused = true)]
async fn a_replica_is_deleted_in_steps_and_before_its_table() {
    let group = Group::with_replica().await;
    refused(group.call(HOME, "DeleteTable", json!({})), "acted as a source region for new replica(s)");
    refused(
        group.update(HOME, json!({ "StreamSpecification": { "StreamEnabled": false } })),
        "Disabling Stream is not allowed for a Global Table replica",
    );
    group.update(EU, json!({ "DeletionProtectionEnabled": true })).unwrap();
    assert_eq!(group.describe(HOME).unwrap()["TableStatus"], "UPDATING");
    advance(MINUTE).await;
    assert_eq!(group.describe(HOME).unwrap()["DeletionProtectionEnabled"], false);
    let protected = "Cannot delete table orders in region eu-west-1 because it has deletion protection enabled";
    refused(group.replicas(HOME, &[delete_in(EU)]), protected);
    refused(group.call(EU, "DeleteTable", json!({})), protected);
    group.update(EU, json!({ "DeletionProtectionEnabled": false })).unwrap();
    advance(MINUTE).await;

    group.replicas(HOME, &[delete_in(EU)]).unwrap();
    assert_eq!(group.listed(HOME), [(EU.to_owned(), String::from("ACTIVE"))]);
    refused(group.replicas(HOME, &[create_in(EU)]), "already existed as tables");
    advance(Duration::from_millis(600)).await;
    assert_eq!(group.describe(HOME).unwrap()["TableStatus"], "ACTIVE");
    assert_eq!(group.listed(HOME), [(EU.to_owned(), String::from("DELETING"))]);
    refused(group.update(HOME, json!({ "TableClass": "STANDARD" })), "ResourceInUseException");
    advance(Duration::from_secs(1)).await;
    assert!(group.describe(HOME).unwrap()["Replicas"].is_null());
    assert_eq!(group.describe(EU).unwrap()["TableStatus"], "DELETING");
    refused(group.replicas(HOME, &[create_in(EU)]), "already existed as tables");
    advance(MINUTE).await;
    refused(group.describe(EU), "ResourceNotFoundException");
    assert_eq!(group.call(EU, "ListTables", json!({})).unwrap()["TableNames"], json!([]));
    // The stream remains.
    assert_eq!(group.describe(HOME).unwrap()["StreamSpecification"]["StreamEnabled"], true);
    group.create(EU, json!({ "BillingMode": "PAY_PER_REQUEST" })).unwrap();
    advance(MINUTE).await;
    assert!(group.describe(EU).unwrap()["GlobalTableVersion"].is_null());
    group.call(HOME, "DeleteTable", json!({})).unwrap();
}

/// DDB-TABLE-265 and 267.
#[tokio::test(start_paused = true)]
async fn a_source_replica_is_deleted_after_its_copy() {
    let group = Group::with_replica().await;
    group.replicas(EU, &[create_in(ASIA)]).unwrap();
    advance(MINUTE).await;
    assert_eq!(group.listed(ASIA).len(), 2);
    refused(group.replicas(HOME, &[delete_in(EU)]), "acted as a source region");
    refused(group.call(EU, "DeleteTable", json!({})), "acted as a source region");
    group.call(ASIA, "DeleteTable", json!({})).unwrap();
    advance(MINUTE).await;
    group.replicas(HOME, &[delete_in(EU)]).unwrap();
}

/// DDB-TABLE-295, 309 and 313.
#[tokio::test(start_paused = true)]
async fn a_replica_key_is_in_its_region_and_of_the_same_type() {
    let group = Group::new().await;
    let key_in = |region: &str| {
        let key = call_in(&group.0, region, "TrentService.CreateKey", json!({})).unwrap();
        key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    };
    let create = |key: &str| group.replicas(HOME, &[json!({ "Create": { "RegionName": EU, "KMSMasterKeyId": key } })]);
    let (own, other) = (key_in(HOME), key_in(EU));
    refused(create(&other), "KMSMasterKeyId must be specified for each replica");
    group.update(HOME, json!({ "SSESpecification": { "Enabled": true, "KMSMasterKeyId": own } })).unwrap();
    advance(MINUTE).await;
    refused(group.replicas(HOME, &[create_in(EU)]), "KMSMasterKeyId must be specified for each replica");
    refused(create("alias/aws/dynamodb"), "must either be Customer Managed CMK or AWS Managed CMK");
    refused(create(&own), "KMS validation error for region eu-west-1");
    create(other.rsplit('/').next().unwrap()).unwrap();
    advance(MINUTE).await;
    assert_eq!(group.describe(HOME).unwrap()["Replicas"][0]["KMSMasterKeyId"], json!(other));
    let replica = group.describe(EU).unwrap();
    assert_eq!(replica["SSEDescription"]["KMSMasterKeyArn"], json!(other));
    assert_eq!(replica["Replicas"][0]["KMSMasterKeyId"], json!(own));
    refused(group.update(HOME, json!({ "SSESpecification": { "Enabled": false } })), "must either be");
    let third = key_in(EU);
    group.update(EU, json!({ "SSESpecification": { "Enabled": true, "KMSMasterKeyId": third } })).unwrap();
    assert_eq!(group.describe(HOME).unwrap()["Replicas"][0]["KMSMasterKeyId"], json!(third));
}

/// DDB-TABLE-257 to 261.
#[tokio::test(start_paused = true)]
async fn a_strong_consistency_group_is_created_and_deleted_as_a_whole() {
    let group = Group::new().await;
    let strong = |creates: &[&str], witness: Option<&str>| {
        let creates: Vec<Value> = creates.iter().map(|region| create_in(region)).collect();
        let mut body = json!({ "MultiRegionConsistency": "STRONG", "ReplicaUpdates": creates });
        if let Some(region) = witness {
            body["GlobalTableWitnessUpdates"] = json!([{ "Create": { "RegionName": region } }]);
        }
        group.update(HOME, body)
    };
    refused(strong(&["us-east-2"], None), "Unsupported replica count");
    refused(strong(&["us-west-1", "us-west-2"], None), "Unsupported Region(s)");
    refused(strong(&["us-east-2"], Some("us-east-2")), "Cannot target multiple regions");
    refused(strong(&["us-east-2"], Some(HOME)), "Cannot add a witness in the same region");
    let witness = json!([{ "Create": { "RegionName": "us-west-2" } }]);
    let weak = json!({ "ReplicaUpdates": [create_in("us-east-2")], "GlobalTableWitnessUpdates": witness });
    refused(group.update(HOME, weak), "MultiRegionConsistency must be set as STRONG");
    strong(&["us-east-2"], Some("us-west-2")).unwrap();
    advance(MINUTE).await;
    let table = group.describe("us-east-2").unwrap();
    assert_eq!(table["MultiRegionConsistency"], "STRONG");
    assert_eq!(table["GlobalTableWitnesses"], json!([{ "RegionName": "us-west-2", "WitnessStatus": "ACTIVE" }]));
    refused(group.describe("us-west-2"), "ResourceNotFoundException");
    refused(group.replicas(HOME, &[create_in(EU)]), "Cannot add replicas to a global table with strong");
    refused(group.replicas(HOME, &[delete_in("us-east-2")]), "does not include all witnesses");
    refused(group.call(HOME, "DeleteTable", json!({})), "Deletion of only one table replica is not supported");
    refused(group.call("us-east-2", "DeleteTable", json!({})), "Deletion of only one table replica is not supported");
    let witness = json!([{ "Delete": { "RegionName": "us-west-2" } }]);
    group
        .update(HOME, json!({ "ReplicaUpdates": [delete_in("us-east-2")], "GlobalTableWitnessUpdates": witness }))
        .unwrap();
    advance(MINUTE).await;
    let table = group.describe(HOME).unwrap();
    assert!(table["MultiRegionConsistency"].is_null() && table["GlobalTableWitnesses"].is_null(), "{table}");
    group.call(HOME, "PutItem", json!({ "Item": { "id": { "S": "1" } } })).unwrap();
    refused(strong(&["us-east-2", "us-west-2"], None), "must be empty");
}

#[tokio::test(start_paused = true)]
async fn a_replica_requires_permissions_in_its_region() {
    use sentinel::local::{Request, Users};
    let group = Group::new().await;
    let create = create_in(EU);
    let replica = [
        "CreateTable",
        "CreateTableReplica",
        "Scan",
        "Query",
        "UpdateItem",
        "PutItem",
        "GetItem",
        "DeleteItem",
        "BatchWriteItem",
    ];
    let all = replica.map(|action| format!("dynamodb:{action}"));
    let decided = |actions: &[String]| {
        let statements = json!([
            { "Effect": "Allow", "Action": "dynamodb:UpdateTable", "Resource": arn_in(HOME) },
            { "Effect": "Allow", "Action": actions, "Resource": arn_in(EU) },
        ]);
        let mut users = Users::default();
        users.add("alice", &[&json!({ "Version": "2012-10-17", "Statement": statements }).to_string()]).unwrap();
        let body = json!({ "TableName": "orders", "ReplicaUpdates": [create] }).to_string();
        let scope = format!("Credential=AKIALOCAL:alice/20260101/{HOME}/dynamodb/aws4_request");
        let request = Request::new(String::from("DynamoDB_20120810.UpdateTable"), &scope, body.into_bytes());
        let answer = group.0.with_users(users).answer(&request);
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    let (status, text) = decided(&all[1..]);
    assert!(status == 400 && text.contains("dynamodb:CreateTable"), "{text}");
    assert_eq!(decided(&all).0, 200);
}

/// Two tables whose homes are each other's regions, at the same time: neither waits for the other.
#[test]
fn tables_with_replicas_in_each_others_regions_do_not_block_each_other() {
    let aws =
        LocalAws::memory(Rules { table_creation: Duration::ZERO, table_update: Duration::ZERO, ..Rules::default() });
    std::thread::scope(|scope| {
        for (home, other, name) in [(HOME, EU, "first"), (EU, HOME, "second")] {
            let aws = aws.clone();
            scope.spawn(move || {
                let group = Group(aws);
                let named = |mut body: Value| {
                    body["TableName"] = json!(name);
                    body
                };
                group.create(home, named(json!({ "BillingMode": "PAY_PER_REQUEST" }))).unwrap();
                group.update(home, named(json!({ "ReplicaUpdates": [create_in(other)] }))).unwrap();
                for _ in 0..50 {
                    for region in [home, other] {
                        drop(group.call(region, "DescribeTable", named(json!({}))));
                        drop(group.call(region, "ListTables", json!({})));
                    }
                }
            });
        }
    });
}

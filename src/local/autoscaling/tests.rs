use super::*;
use crate::local::{LocalAws, Request, Rules};

fn aws() -> LocalAws {
    let aws = LocalAws::memory(Rules { table_creation: std::time::Duration::ZERO, ..Rules::default() });
    let units = json!({ "ReadCapacityUnits": 5, "WriteCapacityUnits": 5 });
    let table = json!({
        "TableName": "orders",
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": units,
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions":
            [{ "AttributeName": "id", "AttributeType": "S" }, { "AttributeName": "user", "AttributeType": "S" }],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-user",
            "KeySchema": [{ "AttributeName": "user", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
            "ProvisionedThroughput": units,
        }],
    });
    call(&aws, "DynamoDB_20120810.CreateTable", &table).unwrap();
    aws
}

/// Makes a call; an error is returned as its code and text.
fn call(aws: &LocalAws, target: &str, body: &Value) -> Result<Value, String> {
    let answer = aws.answer(&Request::new(target.to_owned(), "", body.to_string().into_bytes()));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    if answer.status == 200 { Ok(body) } else { Err(format!("{}: {}", text("__type"), text("message"))) }
}

fn scaling(aws: &LocalAws, operation: &str, resource: &str, dimension: &str, more: Value) -> Result<Value, String> {
    let mut body = json!({ "ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    call(aws, &format!("AnyScaleFrontendService.{operation}"), &body)
}

#[track_caller]
fn refused(result: Result<Value, String>, beginning: &str) {
    match result {
        Err(error) if error.starts_with(beginning) => {}
        other => panic!("expected {beginning}, got {other:?}"),
    }
}

const READS: &str = "dynamodb:table:ReadCapacityUnits";
const INDEX_WRITES: &str = "dynamodb:index:WriteCapacityUnits";

fn tracking(name: &str, metric: &str, target: f64) -> Value {
    json!({
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration":
            { "TargetValue": target, "PredefinedMetricSpecification": { "PredefinedMetricType": metric } },
    })
}

#[test]
fn a_target_is_registered_changed_and_deregistered_with_its_policies() {
    let aws = aws();
    let bounds = |min: i64, max: i64| json!({ "MinCapacity": min, "MaxCapacity": max });
    let read = |aws: &LocalAws, operation: &str| {
        let body = json!({ "ServiceNamespace": "dynamodb" });
        call(aws, &format!("AnyScaleFrontendService.{operation}"), &body).unwrap()
    };
    refused(scaling(&aws, "DeregisterScalableTarget", "table/orders", READS, json!({})), "ObjectNotFoundException");
    let early = tracking("p", "DynamoDBReadCapacityUtilization", 70.0);
    refused(scaling(&aws, "PutScalingPolicy", "table/orders", READS, early.clone()), "ObjectNotFoundException");
    scaling(&aws, "RegisterScalableTarget", "table/orders", READS, bounds(1, 20)).unwrap();
    scaling(&aws, "RegisterScalableTarget", "table/orders/index/by-user", INDEX_WRITES, bounds(1, 30)).unwrap();
    scaling(&aws, "RegisterScalableTarget", "table/orders", READS, json!({ "MaxCapacity": 25 })).unwrap();
    let targets = read(&aws, "DescribeScalableTargets");
    assert_eq!(targets["ScalableTargets"].as_array().unwrap().len(), 2);
    let target = &targets["ScalableTargets"][1];
    assert_eq!((&target["ResourceId"], &target["MinCapacity"]), (&json!("table/orders"), &json!(1)), "{targets}");
    assert_eq!(target["MaxCapacity"], 25);
    scaling(&aws, "PutScalingPolicy", "table/orders", READS, early.clone()).unwrap();
    scaling(&aws, "PutScalingPolicy", "table/orders", READS, early).unwrap();
    let other = tracking("q", "DynamoDBReadCapacityUtilization", 70.0);
    refused(scaling(&aws, "PutScalingPolicy", "table/orders", READS, other), "ValidationException: Only one");
    let policies = read(&aws, "DescribeScalingPolicies");
    assert_eq!(policies["ScalingPolicies"][0]["PolicyName"], "p");
    scaling(&aws, "DeregisterScalableTarget", "table/orders", READS, json!({})).unwrap();
    assert_eq!(read(&aws, "DescribeScalingPolicies")["ScalingPolicies"], json!([]));
    assert_eq!(read(&aws, "DescribeScalableTargets")["ScalableTargets"].as_array().unwrap().len(), 1);
}

#[test]
fn capacity_is_adjusted_to_new_limits() {
    let aws = aws();
    let register = |resource, dimension, min: i64, max: i64| {
        let bounds = json!({ "MinCapacity": min, "MaxCapacity": max });
        scaling(&aws, "RegisterScalableTarget", resource, dimension, bounds).unwrap();
    };
    register("table/orders", READS, 1, 20);
    register("table/orders/index/by-user", INDEX_WRITES, 10, 20);
    let units = || {
        let table = call(&aws, "DynamoDB_20120810.DescribeTable", &json!({ "TableName": "orders" })).unwrap();
        let units = |found: &Value| {
            let units = |name: &str| found["ProvisionedThroughput"][name].as_i64().unwrap();
            (units("ReadCapacityUnits"), units("WriteCapacityUnits"))
        };
        (units(&table["Table"]), units(&table["Table"]["GlobalSecondaryIndexes"][0]))
    };
    assert_eq!(units(), ((5, 5), (5, 10)));
    register("table/orders", READS, 8, 20);
    assert_eq!(units(), ((8, 5), (5, 10)));
}

#[test]
fn faults_of_a_request_are_refused() {
    let aws = aws();
    let register = |resource, dimension, more| scaling(&aws, "RegisterScalableTarget", resource, dimension, more);
    let bounds = json!({ "MinCapacity": 1, "MaxCapacity": 2 });
    refused(register("table/missing", READS, bounds.clone()), "ValidationException: DynamoDB table does not exist");
    refused(
        register("table/orders/index/x", INDEX_WRITES, bounds.clone()),
        "ValidationException: DynamoDB index does not exist",
    );
    refused(register("table/orders/index/by-user", READS, bounds), "ValidationException: Unsupported");
    refused(register("table/orders", READS, json!({ "MinCapacity": 1 })), "ValidationException: MaxCapacity");
    refused(
        register("table/orders", READS, json!({ "MinCapacity": 3, "MaxCapacity": 2 })),
        "ValidationException: Maximum capacity",
    );
    refused(register("table/orders", READS, json!({ "Tags": { "a": "b" } })), "ValidationException: unknown field");
    register("table/orders", READS, json!({ "MinCapacity": 1, "MaxCapacity": 2 })).unwrap();
    for (policy, beginning) in [
        (tracking("p", "DynamoDBWriteCapacityUtilization", 70.0), "ValidationException: the predefined metric"),
        (tracking("p", "DynamoDBReadCapacityUtilization", 95.0), "ValidationException: TargetValue"),
        (json!({ "PolicyName": "p", "PolicyType": "StepScaling" }), "ValidationException: DynamoDB supports"),
    ] {
        refused(scaling(&aws, "PutScalingPolicy", "table/orders", READS, policy), beginning);
    }
    let scheduled = json!({ "ScheduledActionName": "night" });
    refused(scaling(&aws, "PutScheduledAction", "table/orders", READS, scheduled), "UnknownOperationException");
}

/// Source: the findings DDB-TABLE-292 and 323 in the lab notes of ack-api-quirks.
#[tokio::test(start_paused = true)]
async fn a_deletion_keeps_scalable_targets_and_policies() {
    let aws = aws();
    for (resource, dimension) in [("table/orders", READS), ("table/orders/index/by-user", INDEX_WRITES)] {
        let bounds = json!({ "MinCapacity": 1, "MaxCapacity": 20 });
        scaling(&aws, "RegisterScalableTarget", resource, dimension, bounds).unwrap();
    }
    scaling(&aws, "PutScalingPolicy", "table/orders", READS, tracking("p", "DynamoDBReadCapacityUtilization", 70.0))
        .unwrap();
    let body = json!({ "ServiceNamespace": "dynamodb" });
    let count = |operation: &str, list: &str| {
        let found = call(&aws, &format!("AnyScaleFrontendService.{operation}"), &body).unwrap();
        found[list].as_array().unwrap().len()
    };
    let update = json!([{ "Delete": { "IndexName": "by-user" } }]);
    call(
        &aws,
        "DynamoDB_20120810.UpdateTable",
        &json!({ "TableName": "orders", "GlobalSecondaryIndexUpdates": update }),
    )
    .unwrap();
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    call(&aws, "DynamoDB_20120810.DeleteTable", &json!({ "TableName": "orders" })).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    assert_eq!(
        (count("DescribeScalableTargets", "ScalableTargets"), count("DescribeScalingPolicies", "ScalingPolicies")),
        (2, 1)
    );
    // They can still be deregistered.
    scaling(&aws, "DeregisterScalableTarget", "table/orders", READS, json!({})).unwrap();
    scaling(&aws, "DeregisterScalableTarget", "table/orders/index/by-user", INDEX_WRITES, json!({})).unwrap();
    assert_eq!(
        (count("DescribeScalableTargets", "ScalableTargets"), count("DescribeScalingPolicies", "ScalingPolicies")),
        (0, 0)
    );
}

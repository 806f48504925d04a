//! Tables and their indexes.

use serde_json::{Value, json};

use super::{Case, Drift, End, created_again as recreate, dynamodb};
use crate::world::World;

const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";
const KINESIS: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/audit";

const ON_DEMAND: &str = r#"[aws]
region = "us-east-1"
[keys.records]
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
ttl_attribute = "gone"
billing_mode = "PAY_PER_REQUEST"
max_read = 900
max_write = 300
warm_read = 13000
warm_write = 5000
encryption = { key = "records" }
tags = { team = "security", tier = "1" }
point_in_time_recovery = true
recovery_days = 14
contributor_insights = "THROTTLED_KEYS"
kinesis = { stream = "arn:aws:kinesis:us-east-1:123456789012:stream/audit", precision = "MICROSECOND" }
policy = "table.json"
stream = "NEW_IMAGE"
stream_policy = "stream.json"
table_class = "STANDARD"
deletion_protection = true
[tables.orders.indexes.by-user]
partition_key = { name = "user", type = "S" }
sort_key = { name = "at", type = "N" }
max_read = 90
max_write = 30
warm_read = 13000
warm_write = 5000
contributor_insights = "THROTTLED_KEYS"
[tables.orders.indexes.by-day]
partition_key = { name = "day", type = "S" }
projection = { include = ["note"] }
[tables.orders.local_indexes.by-size]
sort_key = { name = "size", type = "N" }
"#;

fn policy(action: &str) -> String {
    let statement = json!({
        "Sid": "Others", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::210987654321:root" },
        "Action": action, "Resource": "*",
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn stream_arn(world: &World) -> String {
    world.table("orders")["LatestStreamArn"].as_str().unwrap().to_owned()
}

/// Changes the table with one call.
fn call(operation: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        let mut body = json!({ "TableName": "orders" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        dynamodb(world, operation, &body);
    }
}

fn update(extra: Value) -> impl Fn(&World) {
    call("UpdateTable", extra)
}

fn of_index(name: &str, extra: &Value) -> Value {
    let mut action = json!({ "IndexName": name });
    action.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({ "GlobalSecondaryIndexUpdates": [{ "Update": action }] })
}

fn tag(operation: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        let mut body = json!({ "ResourceArn": ARN });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        dynamodb(world, operation, &body);
    }
}

fn element(name: &str, role: &str) -> Value {
    json!({ "AttributeName": name, "KeyType": role })
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({ "AttributeName": name, "AttributeType": kind })
}

fn delete_index(world: &World, name: &str) {
    call("UpdateTable", json!({ "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": name } }] }))(world);
    // The next change must wait for the deletion.
    std::thread::sleep(std::time::Duration::from_millis(80));
}

/// Builds an index on one attribute.
fn build_index(world: &World, name: &str, by: &str, projection: &Value) {
    let table = world.table("orders");
    let mut attributes = table["AttributeDefinitions"].as_array().unwrap().clone();
    if !attributes.contains(&attribute(by, "S")) {
        attributes.push(attribute(by, "S"));
    }
    let create = json!({ "IndexName": name, "KeySchema": [element(by, "HASH")], "Projection": projection });
    let body = json!({ "AttributeDefinitions": attributes, "GlobalSecondaryIndexUpdates": [{ "Create": create }] });
    call("UpdateTable", body)(world);
}

pub(super) fn on_demand() -> Case {
    let disabled = || json!({ "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "gone" } });
    let recovery = |extra: Value| json!({ "PointInTimeRecoverySpecification": extra });
    let insights = |extra: Value| {
        let mut body = json!({ "ContributorInsightsAction": "ENABLE" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        call("UpdateContributorInsights", body)
    };
    let all = "ACCESSED_AND_THROTTLED_KEYS";
    let include = || json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"] });
    Case {
        files: vec![
            ("sentinel.toml", ON_DEMAND.to_owned()),
            ("table.json", policy("dynamodb:GetItem")),
            ("stream.json", policy("dynamodb:GetRecords")),
        ],
        before: |_| {},
        drifts: vec![
            Drift::new(
                "TTL off",
                &["TimeToLiveDescription.TimeToLiveStatus", "table.ttl_attribute"],
                &["tables.orders ttl"],
                call("UpdateTimeToLive", disabled()),
            ),
            Drift::new(
                "TTL by another attribute",
                &["TimeToLiveDescription.AttributeName"],
                &["tables.orders ttl"],
                move |world| {
                    call("UpdateTimeToLive", disabled())(world);
                    let other = json!({ "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "other" } });
                    call("UpdateTimeToLive", other)(world);
                },
            )
            .ends(End::Later),
            Drift::new(
                "another limit of reads",
                &["TableDescription.OnDemandThroughput", "table.max_read"],
                &["tables.orders max_read"],
                update(json!({ "OnDemandThroughput": { "MaxReadRequestUnits": 70 } })),
            ),
            Drift::new(
                "no limit of writes",
                &["table.max_write"],
                &["tables.orders max_write"],
                update(json!({ "OnDemandThroughput": { "MaxWriteRequestUnits": -1 } })),
            ),
            Drift::new(
                "a limit of an index",
                &["GlobalSecondaryIndexDescription.OnDemandThroughput", "index.max_read"],
                &["tables.orders index by-user max_read"],
                update(of_index("by-user", &json!({ "OnDemandThroughput": { "MaxReadRequestUnits": 7 } }))),
            ),
            Drift::new(
                "no limit of writes of an index",
                &["index.max_write"],
                &["tables.orders index by-user max_write"],
                update(of_index("by-user", &json!({ "OnDemandThroughput": { "MaxWriteRequestUnits": -1 } }))),
            ),
            Drift::new(
                "more warm throughput",
                &["table.warm_write"],
                &[],
                update(json!({ "WarmThroughput": { "ReadUnitsPerSecond": 14000, "WriteUnitsPerSecond": 6000 } })),
            )
            .ends(End::InSync),
            Drift::new(
                "another encryption",
                &["TableDescription.SSEDescription", "table.encryption"],
                &["tables.orders encryption"],
                update(json!({ "SSESpecification": { "Enabled": false } })),
            ),
            Drift::new(
                "another key",
                &[],
                &["tables.orders encryption"],
                update(json!({ "SSESpecification": { "Enabled": true, "SSEType": "KMS" } })),
            ),
            Drift::new(
                "no point-in-time recovery",
                &["PointInTimeRecoveryDescription.PointInTimeRecoveryStatus", "table.point_in_time_recovery"],
                &["tables.orders point_in_time_recovery"],
                call("UpdateContinuousBackups", recovery(json!({ "PointInTimeRecoveryEnabled": false }))),
            ),
            Drift::new(
                "fewer days of recovery",
                &["PointInTimeRecoveryDescription.RecoveryPeriodInDays", "table.recovery_days"],
                &["tables.orders recovery_days"],
                call(
                    "UpdateContinuousBackups",
                    recovery(json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7 })),
                ),
            ),
            Drift::new(
                "more days of recovery",
                &[],
                &["tables.orders recovery_days"],
                call(
                    "UpdateContinuousBackups",
                    recovery(json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 30 })),
                ),
            )
            .ends(End::With("protection")),
            Drift::new(
                "no insights",
                &["DescribeContributorInsightsOutput.ContributorInsightsStatus", "table.contributor_insights"],
                &["tables.orders contributor_insights"],
                call("UpdateContributorInsights", json!({ "ContributorInsightsAction": "DISABLE" })),
            ),
            Drift::new(
                "insights of another mode",
                &["DescribeContributorInsightsOutput.ContributorInsightsMode"],
                &["tables.orders contributor_insights"],
                insights(json!({ "ContributorInsightsMode": all })),
            ),
            Drift::new(
                "insights of an index of another mode",
                &["index.contributor_insights"],
                &["tables.orders index by-user contributor_insights"],
                insights(json!({ "ContributorInsightsMode": all, "IndexName": "by-user" })),
            ),
            Drift::new(
                "no Kinesis destination",
                &["KinesisDataStreamDestination.DestinationStatus", "table.kinesis"],
                &["tables.orders kinesis"],
                |world| {
                    call("DisableKinesisStreamingDestination", json!({ "StreamArn": KINESIS }))(world);
                    std::thread::sleep(std::time::Duration::from_millis(80));
                },
            ),
            Drift::new(
                "another Kinesis destination",
                &["KinesisDataStreamDestination.StreamArn"],
                &["tables.orders kinesis"],
                |world| {
                    call("DisableKinesisStreamingDestination", json!({ "StreamArn": KINESIS }))(world);
                    std::thread::sleep(std::time::Duration::from_millis(80));
                    let other = json!({ "StreamArn": format!("{KINESIS}-2") });
                    call("EnableKinesisStreamingDestination", other)(world);
                    std::thread::sleep(std::time::Duration::from_millis(80));
                },
            )
            .ends(End::With("stream")),
            Drift::new(
                "another precision of the Kinesis destination",
                &["KinesisDataStreamDestination.ApproximateCreationDateTimePrecision"],
                &["tables.orders kinesis"],
                |world| {
                    let precision = json!({ "ApproximateCreationDateTimePrecision": "MILLISECOND" });
                    let body = json!({ "StreamArn": KINESIS, "UpdateKinesisStreamingConfiguration": precision });
                    call("UpdateKinesisStreamingDestination", body)(world);
                    std::thread::sleep(std::time::Duration::from_millis(80));
                },
            ),
            Drift::new(
                "another policy of the table",
                &["GetResourcePolicyOutput.Policy", "table.policy"],
                &["tables.orders policy"],
                |world| {
                    let body = json!({ "ResourceArn": ARN, "Policy": policy("dynamodb:Query") });
                    dynamodb(world, "PutResourcePolicy", &body);
                    std::thread::sleep(std::time::Duration::from_millis(150));
                },
            ),
            Drift::new("no policy of the table", &[], &["tables.orders policy"], |world| {
                dynamodb(world, "DeleteResourcePolicy", &json!({ "ResourceArn": ARN }));
                std::thread::sleep(std::time::Duration::from_millis(150));
            }),
            Drift::new(
                "another policy of the stream",
                &["table.stream_policy"],
                &["tables.orders stream_policy"],
                |world| {
                    let body = json!({ "ResourceArn": stream_arn(world), "Policy": policy("dynamodb:DescribeStream") });
                    dynamodb(world, "PutResourcePolicy", &body);
                    std::thread::sleep(std::time::Duration::from_millis(150));
                },
            ),
            Drift::new(
                "no deletion protection",
                &["TableDescription.DeletionProtectionEnabled", "table.deletion_protection"],
                &["tables.orders deletion_protection"],
                update(json!({ "DeletionProtectionEnabled": false })),
            ),
            Drift::new(
                "another class",
                &["TableDescription.TableClassSummary", "table.table_class"],
                &["tables.orders table_class"],
                update(json!({ "TableClass": "STANDARD_INFREQUENT_ACCESS" })),
            ),
            Drift::new(
                "another value of a tag",
                &["CreateTableInput.Tags", "table.tags"],
                &["tables.orders tags.team"],
                tag("TagResource", json!({ "Tags": [{ "Key": "team", "Value": "web" }] })),
            ),
            Drift::new(
                "a tag too many",
                &[],
                &["tables.orders tags.extra"],
                tag("TagResource", json!({ "Tags": [{ "Key": "extra", "Value": "" }] })),
            ),
            Drift::new(
                "a tag less",
                &[],
                &["tables.orders tags.tier"],
                tag("UntagResource", json!({ "TagKeys": ["tier"] })),
            ),
            Drift::new(
                "an index less",
                &[
                    "TableDescription.GlobalSecondaryIndexes",
                    "GlobalSecondaryIndexDescription.IndexName",
                    "table.indexes",
                ],
                &["tables.orders index by-day"],
                |world| delete_index(world, "by-day"),
            ),
            Drift::new("an index too many", &[], &["tables.orders index by-hand"], |world| {
                build_index(world, "by-hand", "hand", &json!({ "ProjectionType": "ALL" }));
            })
            .ends(End::With("index")),
            Drift::new(
                "another key of an index",
                &[
                    "GlobalSecondaryIndexDescription.KeySchema",
                    "TableDescription.AttributeDefinitions",
                    "index.partition_key",
                    "index.sort_key",
                ],
                &["tables.orders index by-day"],
                move |world| {
                    delete_index(world, "by-day");
                    build_index(world, "by-day", "hand", &include());
                },
            )
            .ends(End::With("index")),
            Drift::new(
                "another projection of an index",
                &["GlobalSecondaryIndexDescription.Projection", "index.projection"],
                &["tables.orders index by-day projection"],
                |world| {
                    delete_index(world, "by-day");
                    build_index(world, "by-day", "day", &json!({ "ProjectionType": "KEYS_ONLY" }));
                },
            )
            .ends(End::With("index")),
        ],
    }
}

const PROVISIONED: &str = r#"[aws]
region = "us-east-1"
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
billing_mode = "PROVISIONED"
read_capacity = 5
write_capacity = 4
[tables.orders.indexes.by-day]
partition_key = { name = "day", type = "S" }
read_capacity = 3
write_capacity = 2
[tables.scaled]
name = "scaled"
partition_key = { name = "id", type = "S" }
billing_mode = "PROVISIONED"
capacity = "external"
[tables.scaled.indexes.by-day]
partition_key = { name = "day", type = "S" }
autoscaling = { write = { min = 2, max = 20 } }
[tables.moved]
name = "moved"
partition_key = { name = "id", type = "S" }
billing_mode = "PROVISIONED"
autoscaling = { read = { min = 5, max = 50, target = 60 }, write = { min = 5, max = 50 } }
[tables.requests]
name = "requests"
partition_key = { name = "id", type = "S" }
billing_mode = "PAY_PER_REQUEST"
stream = "NEW_IMAGE"
"#;

fn units(read: u32, write: u32) -> Value {
    json!({ "ReadCapacityUnits": read, "WriteCapacityUnits": write })
}

fn scale(operation: &'static str, resource: &'static str, units: &'static str, extra: Value) -> impl Fn(&World) {
    move |world| {
        let mut body = json!({
            "ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": format!("dynamodb:{units}CapacityUnits"),
        });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        world.aws(&format!("AnyScaleFrontendService.{operation}"), &body);
    }
}

/// Returns the name of the scaling policy for the table's reads.
fn scaling_policy(world: &World) -> String {
    let body = json!({ "ServiceNamespace": "dynamodb", "ResourceId": "table/moved", "ScalableDimension": "dynamodb:table:ReadCapacityUnits" });
    let found = world.aws("AnyScaleFrontendService.DescribeScalingPolicies", &body);
    found["ScalingPolicies"][0]["PolicyName"].as_str().unwrap().to_owned()
}

pub(super) fn provisioned() -> Case {
    let on = |name: &'static str, extra: Value| {
        move |world: &World| {
            let mut body = json!({ "TableName": name });
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            dynamodb(world, "UpdateTable", &body);
        }
    };
    Case {
        files: vec![("sentinel.toml", PROVISIONED.to_owned())],
        before: |_| {},
        drifts: vec![
            Drift::new(
                "another capacity",
                &["TableDescription.ProvisionedThroughput", "table.read_capacity", "table.write_capacity"],
                &["tables.orders billing_mode"],
                update(json!({ "ProvisionedThroughput": units(9, 4) })),
            ),
            Drift::new(
                "another capacity of an index",
                &[
                    "GlobalSecondaryIndexDescription.ProvisionedThroughput",
                    "index.read_capacity",
                    "index.write_capacity",
                ],
                &["tables.orders index by-day capacity"],
                update(of_index("by-day", &json!({ "ProvisionedThroughput": units(3, 9) }))),
            ),
            Drift::new(
                "another way to pay",
                &["TableDescription.BillingModeSummary", "table.billing_mode"],
                &["tables.orders billing_mode"],
                update(json!({ "BillingMode": "PAY_PER_REQUEST" })),
            ),
            Drift::new(
                "an on-demand table that is provisioned",
                &[],
                &["tables.requests billing_mode"],
                on("requests", json!({ "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1, 1) })),
            ),
            Drift::new(
                "a capacity that something else sets",
                &["table.capacity"],
                &[],
                on("scaled", json!({ "ProvisionedThroughput": units(40, 30) })),
            )
            .ends(End::InSync),
            Drift::new(
                "a capacity that autoscaling moves",
                &[],
                &[],
                on("moved", json!({ "ProvisionedThroughput": units(40, 30) })),
            )
            .ends(End::InSync),
            Drift::new(
                "other bounds of autoscaling",
                &["ScalableTarget.MinCapacity", "ScalableTarget.MaxCapacity", "table.autoscaling"],
                &["tables.moved autoscaling"],
                scale(
                    "RegisterScalableTarget",
                    "table/moved",
                    "table:Read",
                    json!({ "MinCapacity": 6, "MaxCapacity": 60 }),
                ),
            ),
            Drift::new(
                "no autoscaling",
                &["ScalableTarget.ScalableDimension"],
                &["tables.moved autoscaling"],
                scale("DeregisterScalableTarget", "table/moved", "table:Write", json!({})),
            ),
            Drift::new(
                "another target of autoscaling",
                &[
                    "ScalingPolicy.TargetTrackingScalingPolicyConfiguration",
                    "ScalingPolicy.ScalableDimension",
                    "TargetTrackingScalingPolicyConfiguration.TargetValue",
                ],
                &["tables.moved autoscaling"],
                |world| {
                    let metric = json!({ "PredefinedMetricType": "DynamoDBReadCapacityUtilization" });
                    let extra = json!({
                        "PolicyName": scaling_policy(world), "PolicyType": "TargetTrackingScaling",
                        "TargetTrackingScalingPolicyConfiguration": { "TargetValue": 40.0, "PredefinedMetricSpecification": metric },
                    });
                    scale("PutScalingPolicy", "table/moved", "table:Read", extra)(world);
                },
            ),
            Drift::new("autoscaling without a policy", &[], &["tables.moved autoscaling"], |world| {
                let extra = json!({ "PolicyName": scaling_policy(world) });
                scale("DeleteScalingPolicy", "table/moved", "table:Read", extra)(world);
            }),
            Drift::new(
                "other bounds of autoscaling of an index",
                &["index.autoscaling"],
                &["tables.scaled index by-day autoscaling"],
                scale(
                    "RegisterScalableTarget",
                    "table/scaled/index/by-day",
                    "index:Write",
                    json!({ "MinCapacity": 3, "MaxCapacity": 20 }),
                ),
            ),
            Drift::new(
                "no stream",
                &["TableDescription.StreamSpecification", "table.stream"],
                &["tables.requests stream"],
                on("requests", json!({ "StreamSpecification": { "StreamEnabled": false } })),
            ),
            Drift::new("a stream with another view", &[], &["tables.requests stream"], move |world| {
                on("requests", json!({ "StreamSpecification": { "StreamEnabled": false } }))(world);
                let keys = json!({ "StreamEnabled": true, "StreamViewType": "KEYS_ONLY" });
                on("requests", json!({ "StreamSpecification": keys }))(world);
            })
            .ends(End::With("stream")),
        ],
    }
}

const CREATED: &str = r#"[aws]
region = "us-east-1"
ownership_tag = false
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
warm_read = 13000
[tables.orders.indexes.by-day]
partition_key = { name = "day", type = "S" }
warm_read = 13000
warm_write = 5000
[tables.orders.local_indexes.by-size]
sort_key = { name = "size", type = "N" }
projection = { include = ["note"] }
"#;

/// The request that creates such a table.
fn request() -> Value {
    json!({
        "TableName": "orders", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("id", "S"), attribute("at", "N"), attribute("day", "S"), attribute("size", "N")],
        "KeySchema": [element("id", "HASH"), element("at", "RANGE")],
        "WarmThroughput": { "ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 4000 },
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-day", "KeySchema": [element("day", "HASH")], "Projection": { "ProjectionType": "ALL" },
            "WarmThroughput": { "ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000 },
        }],
        "LocalSecondaryIndexes": [{
            "IndexName": "by-size", "KeySchema": [element("id", "HASH"), element("size", "RANGE")],
            "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"] },
        }],
    })
}

/// Recreates the table with a changed request.
fn with(change: impl Fn(&mut Value) + 'static) -> impl Fn(&World) {
    move |world| {
        let mut request = request();
        change(&mut request);
        recreate(world, &request);
    }
}

pub(super) fn created_again() -> Case {
    let again = |_: &mut Value| {};
    Case {
        files: vec![("sentinel.toml", CREATED.to_owned())],
        before: |_| {},
        drifts: vec![
            Drift::new("the same again", &[], &[], with(again)).ends(End::InSync),
            Drift::new(
                "no table",
                &["TableDescription.TableName", "table.name"],
                &["tables.orders missing"],
                |world| {
                    dynamodb(world, "DeleteTable", &json!({ "TableName": "orders" }));
                    std::thread::sleep(std::time::Duration::from_millis(80));
                },
            ),
            Drift::new(
                "another partition key",
                &["TableDescription.KeySchema", "table.partition_key"],
                &["tables.orders partition_key"],
                with(|request| {
                    request["KeySchema"][0]["AttributeName"] = json!("pk");
                    request["AttributeDefinitions"][0]["AttributeName"] = json!("pk");
                    request["LocalSecondaryIndexes"][0]["KeySchema"][0]["AttributeName"] = json!("pk");
                }),
            )
            .refused(with(again)),
            Drift::new(
                "another type of the sort key",
                &["table.sort_key"],
                &["tables.orders sort_key.type"],
                with(|request| request["AttributeDefinitions"][1]["AttributeType"] = json!("S")),
            )
            .refused(with(again)),
            Drift::new(
                "no local index",
                &[
                    "TableDescription.LocalSecondaryIndexes",
                    "LocalSecondaryIndexDescription.IndexName",
                    "table.local_indexes",
                ],
                &["tables.orders local index by-size"],
                with(|request| {
                    drop(request.as_object_mut().unwrap().remove("LocalSecondaryIndexes"));
                    drop(request["AttributeDefinitions"].as_array_mut().unwrap().pop());
                }),
            )
            .refused(with(again)),
            Drift::new(
                "another key of the local index",
                &["LocalSecondaryIndexDescription.KeySchema", "local_index.sort_key"],
                &["tables.orders local index by-size"],
                with(|request| {
                    request["LocalSecondaryIndexes"][0]["KeySchema"][1]["AttributeName"] = json!("weight");
                    request["AttributeDefinitions"][3]["AttributeName"] = json!("weight");
                }),
            )
            .refused(with(again)),
            Drift::new(
                "another projection of the local index",
                &["LocalSecondaryIndexDescription.Projection", "local_index.projection"],
                &["tables.orders local index by-size"],
                with(|request| request["LocalSecondaryIndexes"][0]["Projection"] = json!({ "ProjectionType": "ALL" })),
            )
            .refused(with(again)),
            Drift::new(
                "less warm throughput",
                &["TableDescription.WarmThroughput", "table.warm_read"],
                &["tables.orders warm_read"],
                with(|request| drop(request.as_object_mut().unwrap().remove("WarmThroughput"))),
            ),
            Drift::new(
                "less warm throughput of an index",
                &["GlobalSecondaryIndexDescription.WarmThroughput", "index.warm_read", "index.warm_write"],
                &["tables.orders index by-day warm_read", "tables.orders index by-day warm_write"],
                with(|request| {
                    drop(request["GlobalSecondaryIndexes"][0].as_object_mut().unwrap().remove("WarmThroughput"));
                }),
            ),
        ],
    }
}

//! Replicas of tables in other regions.

use serde_json::{Value, json};

use super::{Case, Drift, End, at_rest, dynamodb_in};
use crate::world::World;

const HOME: &str = "us-east-1";
const EU: &str = "eu-west-1";
const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
encryption = "alias/app"
[tables.orders.replicas.eu-west-1]
key = "alias/app"
table_class = "STANDARD"
point_in_time_recovery = true
recovery_days = 14
deletion_protection = true
tags = { team = "security" }
[tables.plain]
name = "plain"
partition_key = { name = "id", type = "S" }
replicas = { eu-west-1 = {} }
[tables.ledger]
name = "ledger"
partition_key = { name = "id", type = "S" }
consistency = "STRONG"
witness = "us-west-2"
replicas = { us-east-2 = {} }
"#;

/// Creates a key with an alias in each region.
fn keys(world: &World) {
    for region in [HOME, EU] {
        let key = world.aws_in(region, "TrentService.CreateKey", &json!({}))["KeyMetadata"].take();
        let alias = json!({ "AliasName": "alias/app", "TargetKeyId": key["KeyId"] });
        world.aws_in(region, "TrentService.CreateAlias", &alias);
    }
}

fn update(world: &World, region: &str, name: &str, extra: &Value) {
    let mut body = json!({ "TableName": name });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    dynamodb_in(world, region, "UpdateTable", &body);
    at_rest(world, HOME, name);
}

/// Changes the replica with one `UpdateTable` in its region.
fn in_region(extra: Value) -> impl Fn(&World) {
    move |world| update(world, EU, "orders", &extra)
}

fn recovery(extra: Value) -> impl Fn(&World) {
    move |world| {
        let body = json!({ "TableName": "orders", "PointInTimeRecoverySpecification": extra });
        dynamodb_in(world, EU, "UpdateContinuousBackups", &body);
    }
}

/// Adds or removes replicas of a table, and waits for the change.
fn members(world: &World, name: &str, extra: &Value) {
    update(world, HOME, name, extra);
    // The table of a removed replica exists for another moment in its region.
    std::thread::sleep(std::time::Duration::from_millis(400));
    at_rest(world, HOME, name);
}

/// Replaces the replicas of the ledger.
fn group(removed: Value, added: Value) -> impl Fn(&World) {
    move |world| {
        members(world, "ledger", &removed);
        members(world, "ledger", &added);
    }
}

fn strong(action: &str, witness: Option<&str>, replicas: &[&str]) -> Value {
    let change = |region: &&str| json!({ action: { "RegionName": region } });
    let mut body = json!({ "ReplicaUpdates": replicas.iter().map(change).collect::<Vec<_>>() });
    if action == "Create" {
        body["MultiRegionConsistency"] = json!("STRONG");
    }
    if let Some(region) = witness {
        body["GlobalTableWitnessUpdates"] = json!([{ action: { "RegionName": region } }]);
    }
    body
}

pub(super) fn case() -> Case {
    let change = |action: &str, region: &str| json!({ "ReplicaUpdates": [{ action: { "RegionName": region } }] });
    let whole = || strong("Create", Some("us-west-2"), &["us-east-2"]);
    let none = || strong("Delete", Some("us-west-2"), &["us-east-2"]);
    let two = |action: &str| strong(action, None, &["us-east-2", "us-west-2"]);
    let (added, removed) = (change("Create", "ap-northeast-1"), change("Delete", EU));
    let eventual = (change("Create", "us-east-2"), change("Delete", "us-east-2"));
    Case {
        files: vec![("sentinel.toml", MANIFEST.to_owned())],
        before: keys,
        drifts: vec![
            Drift::new(
                "a replica less",
                &["TableDescription.Replicas", "table.replicas"],
                &["tables.plain replica eu-west-1"],
                move |world| members(world, "plain", &removed),
            ),
            Drift::new("a replica too many", &[], &["tables.plain replica ap-northeast-1"], move |world| {
                members(world, "plain", &added);
            })
            .ends(End::With("replica")),
            Drift::new(
                "another class of a replica",
                &["replica.table_class"],
                &["tables.orders replica eu-west-1 table_class"],
                in_region(json!({ "TableClass": "STANDARD_INFREQUENT_ACCESS" })),
            ),
            Drift::new(
                "no deletion protection of a replica",
                &["replica.deletion_protection"],
                &["tables.orders replica eu-west-1 deletion_protection"],
                in_region(json!({ "DeletionProtectionEnabled": false })),
            ),
            Drift::new(
                "no point-in-time recovery of a replica",
                &["replica.point_in_time_recovery"],
                &["tables.orders replica eu-west-1 point_in_time_recovery"],
                recovery(json!({ "PointInTimeRecoveryEnabled": false })),
            ),
            Drift::new(
                "fewer days of recovery of a replica",
                &["replica.recovery_days"],
                &["tables.orders replica eu-west-1 recovery_days"],
                recovery(json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7 })),
            ),
            Drift::new(
                "another tag of a replica",
                &["replica.tags"],
                &["tables.orders replica eu-west-1 tags.team"],
                |world| {
                    let arn = format!("arn:aws:dynamodb:{EU}:123456789012:table/orders");
                    let body = json!({ "ResourceArn": arn, "Tags": [{ "Key": "team", "Value": "web" }] });
                    dynamodb_in(world, EU, "TagResource", &body);
                },
            ),
            Drift::new(
                "another key of a replica",
                &["replica.key"],
                &["tables.orders replica eu-west-1 encryption"],
                |world| {
                    let other = world.aws_in(EU, "TrentService.CreateKey", &json!({}))["KeyMetadata"]["Arn"].take();
                    update(
                        world,
                        EU,
                        "orders",
                        &json!({ "SSESpecification": { "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": other } }),
                    );
                },
            ),
            Drift::new("no replicas of a group with strong consistency", &[], &["tables.ledger replica us-east-2"], {
                let none = none();
                move |world| members(world, "ledger", &none)
            }),
            Drift::new(
                "a group with a replica in the place of a witness",
                &["TableDescription.GlobalTableWitnesses", "table.witness"],
                &["tables.ledger replica us-west-2", "tables.ledger witness"],
                group(none(), two("Create")),
            )
            .refused(group(two("Delete"), whole())),
            Drift::new(
                "a group without strong consistency",
                &["TableDescription.MultiRegionConsistency", "table.consistency"],
                &["tables.ledger consistency", "tables.ledger witness"],
                group(none(), eventual.0),
            )
            .refused(group(eventual.1, whole())),
        ],
    }
}

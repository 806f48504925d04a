//! Replicas of tables in other regions.

use serde_json::{Value, json};

use crate::world::World;

const EU: &str = "eu-west-1";
const ASIA: &str = "ap-northeast-1";
const TABLE: &str = r#"[aws]
region = "us-east-1"
account_id = "123456789012"
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
ttl_attribute = "gone"
"#;
const REPLICAS: &str = r#"
[tables.orders.replicas.eu-west-1]
table_class = "STANDARD_INFREQUENT_ACCESS"
point_in_time_recovery = true
deletion_protection = true
tags = { team = "security" }
[tables.orders.replicas.ap-northeast-1]
"#;

fn with(extra: &str) -> World {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{TABLE}{extra}"));
    world
}

/// Returns a world with the table and its replicas, applied.
fn applied() -> World {
    let world = with(REPLICAS);
    world.run(&["apply", "--yes"]).expect(0);
    world.calls();
    world
}

fn describe(world: &World, region: &str) -> Value {
    world.aws_in(region, "DynamoDB_20120810.DescribeTable", &json!({ "TableName": "orders" }))["Table"].take()
}

fn update(world: &World, region: &str, extra: &Value) {
    let mut body = json!({ "TableName": "orders" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    world.aws_in(region, "DynamoDB_20120810.UpdateTable", &body);
    std::thread::sleep(std::time::Duration::from_millis(200));
}

fn arn_in(region: &str) -> String {
    format!("arn:aws:dynamodb:{region}:123456789012:table/orders")
}

/// Returns the writes, each with its region.
fn writes(world: &World) -> Vec<String> {
    let calls = world.calls().into_iter().filter(crate::world::Call::writes);
    calls.map(|call| format!("{} {}", call.operation, call.region)).collect()
}

#[test]
fn replicas_are_added_one_at_a_time_with_their_own_settings() {
    let world = with(REPLICAS);
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(
        writes(&world),
        [
            "CreateTable us-east-1",
            "UpdateTimeToLive us-east-1",
            "UpdateTable us-east-1",
            "UpdateTable us-east-1",
            "UpdateTable eu-west-1",
            "UpdateContinuousBackups eu-west-1",
            "TagResource eu-west-1",
        ]
    );
    let replica = describe(&world, EU);
    assert_eq!(replica["TableClassSummary"]["TableClass"], "STANDARD_INFREQUENT_ACCESS");
    assert_eq!(replica["DeletionProtectionEnabled"], true);
    assert_eq!(describe(&world, ASIA)["Replicas"].as_array().unwrap().len(), 2);
    let tags = world.aws_in(EU, "DynamoDB_20120810.ListTagsOfResource", &json!({ "ResourceArn": arn_in(EU) }));
    assert_eq!(tags["Tags"], json!([{ "Key": "team", "Value": "security" }]));
    world.calls();
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(run.stdout.contains("also has: stream NEW_AND_OLD_IMAGES\n"), "{}", run.stdout);
    // The region of a replica without managed settings is not read.
    assert!(world.calls().iter().all(|call| call.region != ASIA));
}

#[test]
fn own_settings_of_a_replica_are_repaired_in_its_region() {
    let world = applied();
    update(&world, EU, &json!({ "DeletionProtectionEnabled": false }));
    update(&world, EU, &json!({ "TableClass": "STANDARD" }));
    let off =
        json!({ "TableName": "orders", "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": false } });
    world.aws_in(EU, "DynamoDB_20120810.UpdateContinuousBackups", &off);
    let stray = json!({ "ResourceArn": arn_in(EU), "Tags": [{ "Key": "team", "Value": "web" }] });
    world.aws_in(EU, "DynamoDB_20120810.TagResource", &stray);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let changes = plan["resources"][0]["changes"].as_array().unwrap().clone();
    let paths: Vec<&str> = changes.iter().map(|change| change["path"].as_str().unwrap()).collect();
    let expected = ["point_in_time_recovery", "deletion_protection", "table_class", "tags.team"];
    assert_eq!(paths, expected.map(|path| format!("replica eu-west-1 {path}")));
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    assert!(writes(&world).iter().all(|write| write.ends_with(" eu-west-1")));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(describe(&world, EU)["DeletionProtectionEnabled"], true);
}

#[test]
fn a_deleted_replica_is_added_again() {
    let world = applied();
    world.aws_in(ASIA, "DynamoDB_20120810.DeleteTable", &json!({ "TableName": "orders" }));
    std::thread::sleep(std::time::Duration::from_millis(300));
    let run = world.run(&["plan"]).expect(0);
    assert!(run.stdout.contains("replica ap-northeast-1"), "{}", run.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(writes(&world).last().unwrap(), "UpdateTable us-east-1");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_replica_is_removed_with_consent_by_name() {
    let world = applied();
    world.write("sentinel.toml", &format!("{TABLE}replicas = {{ eu-west-1 = {{}} }}\n"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("refused without --allow-destructive replica"), "{}", run.stdout);
    assert_eq!(writes(&world), [""; 0]);
    let run = world.run(&["apply", "--yes", "--allow-destructive", "replica"]).expect(0);
    assert!(run.stdout.contains("1 updated"), "{}", run.stdout);
    assert_eq!(describe(&world, "us-east-1")["Replicas"].as_array().unwrap().len(), 1);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // A protected replica is not removed.
    world.write("sentinel.toml", &format!("{TABLE}replicas = {{}}\n"));
    let run = world.run(&["apply", "--yes", "--allow-destructive", "replica"]).expect(4);
    assert!(run.stdout.contains("first turn its deletion protection off"), "{}", run.stdout);
    update(&world, EU, &json!({ "DeletionProtectionEnabled": false }));
    world.run(&["apply", "--yes", "--allow-destructive", "replica"]).expect(0);
    assert!(describe(&world, "us-east-1")["Replicas"].is_null());
}

#[test]
fn unmanaged_replicas_are_listed_without_a_call() {
    let world = applied();
    world.write("sentinel.toml", TABLE);
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(run.stdout.contains("replica ap-northeast-1; replica eu-west-1"), "{}", run.stdout);
    assert!(world.calls().iter().all(|call| call.region == "us-east-1"));
}

#[test]
fn an_import_has_the_replicas_with_their_own_settings() {
    let world = applied();
    world.run(&["import", "--region", "us-east-1", "-o", "live", "--table", "orders"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    let written = manifest.split_once("[tables.orders.replicas.ap-northeast-1]").unwrap().1;
    assert_eq!(
        written.trim(),
        "[tables.orders.replicas.eu-west-1]\npoint_in_time_recovery = true\ndeletion_protection = true\n\
         table_class = \"STANDARD_INFREQUENT_ACCESS\"\ntags = { team = \"security\" }"
    );
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_table_is_deleted_after_its_replicas() {
    let world = with("replicas = { eu-west-1 = {} }\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", &TABLE.replace("ttl_attribute", "removed = true\nttl_attribute"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    world.calls();
    let run = world.run(&["apply", "--yes", "--allow-destructive", "prune,table"]).expect(4);
    assert!(run.stdout.contains("replica"), "{}", run.stdout);
    assert_eq!(writes(&world), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "prune,table,replica"]).expect(0);
    assert_eq!(writes(&world), ["UpdateTable us-east-1", "DeleteTable us-east-1"]);
}

#[test]
fn an_unreadable_region_is_named() {
    let world = applied();
    world.fault(|call| {
        let matches = call.region == EU && call.operation == "ListTagsOfResource";
        matches.then(|| call.refusal("AccessDeniedException", "no"))
    });
    let run = world.run(&["plan"]).expect(0);
    let text = run.stdout + &run.stderr;
    assert!(text.contains("replica eu-west-1 tags"), "{text}");
    world.clear_faults();
    world.fault(|call| {
        let matches = call.region == EU && call.operation == "DescribeTable";
        matches.then(|| call.refusal("AccessDeniedException", "no"))
    });
    let run = world.run(&["plan"]).expect(0);
    let text = run.stdout + &run.stderr;
    assert!(text.contains("replica eu-west-1"), "{text}");
}

#[test]
fn a_strong_consistency_group_is_created_and_deleted_by_one_change() {
    let section = TABLE.replace("ttl_attribute = \"gone\"\n", "");
    let world = World::quick();
    let strong = "consistency = \"STRONG\"\nwitness = \"us-west-2\"\nreplicas = { us-east-2 = {} }\n";
    world.write("sentinel.toml", &format!("{section}{strong}"));
    world.run(&["apply", "--yes"]).expect(0);
    let table = describe(&world, "us-east-2");
    assert_eq!(table["MultiRegionConsistency"], "STRONG");
    assert_eq!(table["GlobalTableWitnesses"][0]["RegionName"], "us-west-2");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.calls();
    for other in [
        "replicas = { us-east-2 = {}, eu-west-1 = {} }\n",
        "consistency = \"EVENTUAL\"\nreplicas = { us-east-2 = {} }\n",
    ] {
        world.write("sentinel.toml", &format!("{section}{other}"));
        let run = world.run(&["apply", "--yes"]).expect(4);
        assert!(run.stdout.contains("remove all replicas, then add them again"), "{}", run.stdout);
    }
    world.write("sentinel.toml", &format!("{section}replicas = {{}}\n"));
    world.run(&["apply", "--yes", "--allow-destructive", "replica"]).expect(0);
    assert_eq!(writes(&world), ["UpdateTable us-east-1"]);
    assert!(describe(&world, "us-east-1")["MultiRegionConsistency"].is_null());
}

#[test]
fn a_table_with_a_customer_managed_key_has_replicas_with_their_own_keys() {
    let world = World::quick();
    let key = |region: &str| {
        let key = world.aws_in(region, "TrentService.CreateKey", &json!({}))["KeyMetadata"].take();
        let alias = json!({ "AliasName": "alias/app", "TargetKeyId": key["KeyId"] });
        world.aws_in(region, "TrentService.CreateAlias", &alias);
        key["Arn"].as_str().unwrap().to_owned()
    };
    let (_, other) = (key("us-east-1"), key(EU));
    let table = TABLE.replace("ttl_attribute", "encryption = \"alias/app\"\nttl_attribute");
    world.write("sentinel.toml", &format!("{table}replicas = {{ eu-west-1 = {{}} }}\n"));
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("the replica in eu-west-1 has no `key`"), "{}", run.stderr);
    world.write("sentinel.toml", &format!("{table}replicas = {{ eu-west-1 = {{ key = \"alias/app\" }} }}\n"));
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(describe(&world, EU)["SSEDescription"]["KMSMasterKeyArn"], json!(other));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let third = world.aws_in(EU, "TrentService.CreateKey", &json!({}))["KeyMetadata"]["Arn"].take();
    let named = format!("{table}replicas = {{ eu-west-1 = {{ key = {third} }} }}\n");
    world.write("sentinel.toml", &named);
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(describe(&world, EU)["SSEDescription"]["KMSMasterKeyArn"], third);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn unsupported_replicas_are_refused_before_any_call() {
    for (extra, words) in [
        (
            "billing_mode = \"PROVISIONED\"\nread_capacity = 1\nwrite_capacity = 1\nreplicas = { eu-west-1 = {} }\n",
            "fixed capacity",
        ),
        ("replicas = { EU-WEST-1 = {} }\n", "is not the name of a region"),
        ("replicas = { eu-west-1 = { key = \"alias/aws/dynamodb\" } }\n", "remove it"),
        ("encryption = \"aws-owned\"\nreplicas = { eu-west-1 = { key = \"alias/app\" } }\n", "has none of its own"),
        ("consistency = \"STRONG\"\n", "no `replicas`"),
        ("consistency = \"STRONG\"\nreplicas = { us-east-2 = {} }\n", "not three regions"),
        ("consistency = \"STRONG\"\nreplicas = { us-east-2 = {}, us-west-2 = {} }\n", "has TTL"),
        ("witness = \"us-west-2\"\nreplicas = { us-east-2 = {} }\n", "without strong consistency"),
        ("replicas = { eu-west-1 = { billing_mode = \"PROVISIONED\" } }\n", "billing_mode"),
    ] {
        let world = with(extra);
        let run = world.run(&["validate"]).expect(1);
        assert!(run.stderr.contains(words), "{extra}: {}", run.stderr);
    }
}

#[test]
fn the_derived_permissions_suffice_for_replicas() {
    let world = with(REPLICAS);
    let documents = |purpose: &str| {
        let run = world.run(&["iam", "--for", purpose]).expect(0);
        let found: Value = serde_json::from_str(&run.stdout).unwrap();
        match found {
            Value::Array(all) => all.iter().map(Value::to_string).collect(),
            one => vec![one.to_string()],
        }
    };
    let (apply, plan) = (documents("apply"), documents("plan"));
    assert!(apply.iter().any(|text| text.contains("iam:CreateServiceLinkedRole")), "{apply:?}");
    world.restrict("writer", &apply.iter().map(String::as_str).collect::<Vec<_>>());
    world.restrict("reader", &plan.iter().map(String::as_str).collect::<Vec<_>>());
    world.run_as("writer", &["apply", "--yes"]).expect(0);
    world.run_as("reader", &["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn an_unlisted_replica_is_removed_with_the_derived_permissions() {
    let world = applied();
    world.write("sentinel.toml", &format!("{TABLE}replicas = {{ eu-west-1 = {{ deletion_protection = false }} }}\n"));
    let documents = |purpose: &str| -> Vec<String> {
        let run = world.run(&["iam", "--for", purpose]).expect(0);
        match serde_json::from_str(&run.stdout).unwrap() {
            Value::Array(all) => all.iter().map(Value::to_string).collect(),
            one => vec![one.to_string()],
        }
    };
    let restrict = |user: &str, documents: &[String]| {
        world.restrict(user, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    };
    restrict("writer", &documents("apply"));
    restrict("reader", &documents("plan"));
    world.run_as("reader", &["plan"]).expect(0);
    let allowed = ["apply", "--yes", "--allow-destructive", "replica,protection"];
    world.run_as("writer", &allowed).expect(0);
    assert_eq!(describe(&world, "us-east-1")["Replicas"].as_array().unwrap().len(), 1);
    world.write("sentinel.toml", &format!("{TABLE}replicas = {{}}\n"));
    restrict("remover", &documents("apply"));
    world.run_as("remover", &allowed).expect(0);
    assert_eq!(describe(&world, "us-east-1")["Replicas"], Value::Null);
}

#[test]
fn a_table_with_replicas_cannot_switch_between_aws_and_customer_managed_keys() {
    let world = World::quick();
    for region in ["us-east-1", EU] {
        let key = world.aws_in(region, "TrentService.CreateKey", &json!({}))["KeyMetadata"].take();
        let alias = json!({ "AliasName": "alias/app", "TargetKeyId": key["KeyId"] });
        world.aws_in(region, "TrentService.CreateAlias", &alias);
    }
    let managed = TABLE.replace("ttl_attribute", "encryption = \"aws-managed\"\nttl_attribute");
    world.write("sentinel.toml", &format!("{managed}replicas = {{ eu-west-1 = {{}} }}\n"));
    world.run(&["apply", "--yes"]).expect(0);
    let replicas = "replicas = { eu-west-1 = { key = \"alias/app\" } }\n";
    for table in [TABLE.to_owned(), managed.replace("aws-managed", "alias/app")] {
        world.write("sentinel.toml", &format!("{table}{replicas}"));
        world.calls();
        let run = world.run(&["apply", "--yes"]).expect(4);
        assert!(run.stdout.contains("remove the replicas first"), "{}", run.stdout);
        assert_eq!(writes(&world), [""; 0]);
    }
}

const SCALED: &str = r#"billing_mode = "PROVISIONED"
autoscaling = { read = { min = 1, max = 9 }, write = { min = 2, max = 9 } }
"#;
const SCALED_INDEX: &str = r#"
[tables.orders.indexes.by-user]
partition_key = { name = "user", type = "S" }
autoscaling = { write = { min = 2, max = 8 } }
"#;

/// Returns the scalable targets of a region.
fn scaled(world: &World, region: &str) -> Vec<String> {
    let body = json!({ "ServiceNamespace": "dynamodb" });
    let found = world.aws_in(region, "AnyScaleFrontendService.DescribeScalableTargets", &body);
    let name = |target: &Value| format!("{} {}", target["ResourceId"], target["ScalableDimension"]).replace('"', "");
    found["ScalableTargets"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn removed_replicas_leave_no_scalable_target() {
    let world = with(&format!("{SCALED}replicas = {{ eu-west-1 = {{}} }}\n{SCALED_INDEX}"));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let writes = [
        "table/orders/index/by-user dynamodb:index:WriteCapacityUnits",
        "table/orders dynamodb:table:WriteCapacityUnits",
    ];
    assert_eq!(scaled(&world, EU), writes);
    // AWS scales a new index in each region, then the manifest's settings apply.
    let extra = SCALED_INDEX.replace("user", "day");
    world.write("sentinel.toml", &format!("{TABLE}{SCALED}replicas = {{ eu-west-1 = {{}} }}\n{SCALED_INDEX}{extra}"));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(scaled(&world, EU).len(), 3);

    world.write("sentinel.toml", &format!("{TABLE}{SCALED}replicas = {{}}\n{SCALED_INDEX}{extra}"));
    world.run(&["apply", "--yes", "--allow-destructive", "replica"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(scaled(&world, EU), [""; 0]);
    assert_eq!(scaled(&world, "us-east-1").len(), 4);
}

#[test]
fn replicas_require_write_scaling() {
    let off = SCALED.replace("write = { min = 2, max = 9 }", "write = false");
    let read = SCALED_INDEX.replace("write", "read");
    for (extra, words) in [
        (format!("{off}replicas = {{ eu-west-1 = {{}} }}\n"), "its write capacity is not scaled"),
        (
            format!("{SCALED}replicas = {{ eu-west-1 = {{}} }}\n{read}"),
            "the write capacity of its index by-user is not scaled",
        ),
    ] {
        let run = with(&extra).run(&["validate"]).expect(1);
        assert!(run.stderr.contains(words), "{extra}: {}", run.stderr);
    }
}

#[test]
fn own_settings_of_a_replica_are_listed() {
    let world = applied();
    let own = json!({ "RegionName": EU, "OnDemandThroughputOverride": { "MaxReadRequestUnits": 90 } });
    update(&world, "us-east-1", &json!({ "ReplicaUpdates": [{ "Update": own }] }));
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("an on-demand limit of 90 reads in replica eu-west-1"), "{text}");
}

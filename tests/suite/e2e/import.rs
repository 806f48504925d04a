//! Import: existing resources become a manifest for which a plan has no changes.

use serde_json::json;

use super::POLICY;
use crate::snapshot;
use crate::world::World;

/// A policy with comments, unusual spacing and no newline at its end.
const BY_HAND: &str = "# who may in\nversion:   \"1\"\nrules:\n  - {name: all, effect: deny}   # nobody yet\n\n\n# end";

fn put(world: &World, name: &str, kind: &str, text: &str) {
    world.aws("AmazonSSM.PutParameter", &json!({ "Name": name, "Value": text, "Type": kind }));
}

fn create(world: &World, name: &str, extra: serde_json::Value) {
    let mut body = json!({
        "TableName": name,
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "at", "KeyType": "RANGE" }],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" }, { "AttributeName": "at", "AttributeType": "N" },
        ],
        "BillingMode": "PAY_PER_REQUEST",
    });
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    world.aws("DynamoDB_20120810.CreateTable", &body);
    while world.table(name)["TableStatus"] != "ACTIVE" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn by_hand() -> World {
    let world = World::quick();
    put(&world, "/sentinel/policies/dev", "String", BY_HAND);
    put(&world, "/sentinel/policies/prod", "String", POLICY);
    world
}

#[test]
fn an_imported_account_has_an_empty_plan() {
    let world = by_hand();
    // A built-in layout with additions, a table with a built-in name and another layout, and a third table.
    world.run(&["init", "approvals", "--yes"]).expect(0);
    create(&world, "sentinel-sessions", json!({}));
    let index = json!([{
        "IndexName": "by-at", "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"] },
        "KeySchema": [{ "AttributeName": "at", "KeyType": "HASH" }],
        "ProvisionedThroughput": { "ReadCapacityUnits": 3, "WriteCapacityUnits": 2 },
    }]);
    create(
        &world,
        "orders",
        json!({
            "GlobalSecondaryIndexes": index, "BillingMode": "PROVISIONED", "DeletionProtectionEnabled": true,
            "ProvisionedThroughput": { "ReadCapacityUnits": 3, "WriteCapacityUnits": 2 },
            "SSESpecification": { "Enabled": true, "SSEType": "KMS" },
            "Tags": [{ "Key": "team", "Value": "shop" }, { "Key": "cost center", "Value": "" }],
        }),
    );
    let enable =
        json!({ "TableName": "orders", "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "gone_at" } });
    world.aws("DynamoDB_20120810.UpdateTimeToLive", &enable);
    let recovery =
        json!({ "TableName": "orders", "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } });
    world.aws("DynamoDB_20120810.UpdateContinuousBackups", &recovery);
    world.calls();
    let tables = ["--table", "sentinel-requests", "sentinel-sessions", "orders"];
    let run = world.run(&[&["import", "--region", "us-east-1", "-o", "live"][..], &tables].concat()).expect(0);
    // moto does not support all settings, which an import reports.
    if crate::world::moto().is_none() {
        snapshot!(run.stdout);
    }
    assert_eq!(world.writes(), [""; 0]);
    let read = |path: &str| std::fs::read_to_string(world.folder.path().join("live").join(path)).unwrap();
    assert_eq!(read("policies/dev.yaml"), BY_HAND);
    assert_eq!(read("policies/prod.yaml"), POLICY);
    if crate::world::moto().is_none() {
        snapshot!(read("sentinel.toml"));
    }
    let plan = world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
    assert!(plan.stdout.contains("Plan: 0 to create, 0 to change, 5 unchanged."), "{}", plan.stdout);
}

#[test]
fn an_import_without_names_includes_existing_built_in_tables() {
    let world = by_hand();
    world.run(&["init", "breakglass", "--yes"]).expect(0);
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(manifest.contains("[tables.breakglass]\n") && !manifest.contains("approvals"), "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let world = by_hand();
    world.write("live/policies/dev.yaml", "mine");
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(1);
    assert!(run.stderr.contains("live/policies/dev.yaml: this file exists; nothing was written"), "{}", run.stderr);
    let live = world.folder.path().join("live");
    assert_eq!(std::fs::read_to_string(live.join("policies/dev.yaml")).unwrap(), "mine");
    assert!(!live.join("sentinel.toml").exists() && !live.join("policies/prod.yaml").exists());
}

#[test]
fn inexpressible_settings_are_omitted_and_listed() {
    let world = by_hand();
    put(&world, "/sentinel/policies/list", "StringList", "a,b");
    put(&world, "/sentinel/policies/team/deep", "String", POLICY);
    put(&world, "/sentinel/policies/broken", "String", "version: \"2\"\n");
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    assert!(run.stdout.contains("? /sentinel/policies/list: omitted: it is StringList"), "{}", run.stdout);
    assert!(run.stdout.contains("? /sentinel/policies/team/deep: omitted: it has more levels"), "{}", run.stdout);
    assert!(run.stdout.contains("? /sentinel/policies/broken: imported without its content"), "{}", run.stdout);
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
    let run = world.run(&["import", "--region", "us-east-1", "-o", "other", "--table", "not-there"]).expect(1);
    assert!(run.stderr.contains("there is no table not-there"), "{}", run.stderr);
    assert!(!world.folder.path().join("other").exists());
}

/// Autoscaling may change the capacity, so an import does not set it.
#[test]
fn an_import_lists_provisioned_capacity_without_managing_it() {
    let world = World::quick();
    let index = json!([{
        "IndexName": "by-at", "Projection": { "ProjectionType": "ALL" },
        "KeySchema": [{ "AttributeName": "at", "KeyType": "HASH" }],
        "ProvisionedThroughput": { "ReadCapacityUnits": 9, "WriteCapacityUnits": 9 },
    }]);
    let units = json!({ "ReadCapacityUnits": 3, "WriteCapacityUnits": 2 });
    let extra =
        json!({ "GlobalSecondaryIndexes": index, "BillingMode": "PROVISIONED", "ProvisionedThroughput": units });
    create(&world, "orders", extra);
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--table", "orders"]).expect(0);
    assert!(
        run.stdout
            .contains("? orders: its capacity is not managed, because something else may set it: to manage it, replace capacity = \"external\" by read_capacity = 3 and"),
        "{}",
        run.stdout
    );
    let of_index = "? orders: the capacity of index by-at is not managed: to manage it, add read_capacity = 9 and write_capacity = 9";
    assert!(run.stdout.contains(of_index), "{}", run.stdout);
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
    let units = json!({ "ReadCapacityUnits": 7, "WriteCapacityUnits": 7 });
    world.aws("DynamoDB_20120810.UpdateTable", &json!({ "TableName": "orders", "ProvisionedThroughput": units }));
    world.run(&["apply", "-f", "live/sentinel.toml", "--yes"]).expect(0);
    let table = world.aws("DynamoDB_20120810.DescribeTable", &json!({ "TableName": "orders" }))["Table"].take();
    assert_eq!(table["ProvisionedThroughput"]["ReadCapacityUnits"], 7, "{table}");
}

/// It is not known yet whether TTL and backups are off.
#[test]
fn a_table_being_created_is_imported_with_its_known_settings() {
    let ms = std::time::Duration::from_millis;
    let rules = sentinel::local::Rules { table_creation: ms(20_000), ..sentinel::local::Rules::default() };
    let world = World::with(rules);
    let body = json!({
        "TableName": "orders", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
    });
    world.aws("DynamoDB_20120810.CreateTable", &body);
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--all-tables"]).expect(0);
    assert!(run.stdout.contains("? orders: TTL and point-in-time recovery are not managed"), "{}", run.stdout);
    assert!(run.stdout.contains("a plan on it will be empty once AWS has finished tables.orders."), "{}", run.stdout);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(!manifest.contains("ttl_attribute") && !manifest.contains("point_in_time_recovery"), "{manifest}");
}

#[test]
fn the_tags_of_a_policy_are_imported() {
    let world = by_hand();
    let tags = json!([{ "Key": "team", "Value": "security" }, { "Key": "managed-by", "Value": "sentinel" }]);
    let body = json!({ "ResourceType": "Parameter", "ResourceId": "/sentinel/policies/dev", "Tags": tags });
    world.aws("AmazonSSM.AddTagsToResource", &body);
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert_eq!(manifest.matches("tags = { team = \"security\" }\n").count(), 1, "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
    world.fail("ListTagsForResource", "AccessDeniedException", "policies/dev");
    let run = world.run(&["import", "--region", "us-east-1", "-o", "denied"]).expect(0);
    let why = "? /sentinel/policies/dev: tags is not managed: it could not be read (ssm:ListTagsForResource)";
    assert!(run.stdout.contains(why), "{}", run.stdout);
}

#[test]
fn naming_one_resource_limits_the_import_of_its_kind() {
    let world = by_hand();
    create(&world, "orders", json!({}));
    let named = ["--resource", "profiles=dev", "--resource", "tables=orders"];
    world.run(&[&["import", "--region", "us-east-1", "-o", "live"][..], &named].concat()).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(manifest.contains("[profiles.dev]\n") && manifest.contains("[tables.orders]\n"), "{manifest}");
    assert!(!manifest.contains("[profiles.prod]"), "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_named_resource_that_cannot_be_imported_fails_the_import() {
    let world = by_hand();
    let import = |named: &str, code: i32, message: &str| {
        let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--resource", named]).expect(code);
        assert!(run.stderr.contains(message), "{named}: {}", run.stderr);
    };
    import("profiles=staging", 1, "there is no policy parameter staging");
    import("tables=not-there", 1, "there is no table not-there");
    import("queues=jobs", 1, "write SECTION=NAME, where SECTION is one of: profiles, tables");
    import("tables", 1, "write SECTION=NAME, where SECTION is one of: profiles, tables");
    import("tables=a b", 1, "is not a valid DynamoDB table name");
    assert!(!world.folder.path().join("live").exists());
}

#[test]
fn an_import_retries_unreadable_settings_only_briefly() {
    let world = World::quick();
    create(&world, "orders", json!({}));
    for operation in ["ListContributorInsights", "DescribeContributorInsights"] {
        world.fault(move |call| {
            (call.operation == operation).then(|| crate::world::Answer::error(500, "InternalError", "by the test"))
        });
    }
    let started = std::time::Instant::now();
    let args = ["import", "--region", "us-east-1", "-o", "live", "--table", "orders", "--json"];
    let imported = world.run(&args).expect(0).json();
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    let why = "contributor_insights is not managed: it could not be read (dynamodb:ListContributorInsights)";
    // moto fails for others as well.
    let warnings = imported["warnings"].as_array().unwrap();
    assert!(warnings.contains(&json!({ "name": "orders", "why": why })), "{imported}");
}

#[test]
fn the_next_command_after_an_import_has_only_the_options_that_the_manifest_lacks() {
    let world = World::quick();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap()).expect(0);
    run(&["apply", "--yes", "--local"]);
    let next = run(&["import", "--local", "--region", "us-east-1", "-o", "imp"]).stdout;
    assert!(next.ends_with("\nNext: sentinel plan -f imp/sentinel.toml --local=.sentinel\n"), "{next}");
}

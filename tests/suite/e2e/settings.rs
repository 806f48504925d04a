//! Settings of a live table that its manifest does not have: they are reported and not changed.

use serde_json::{Value, json};

use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
[tables.orders.indexes.by-user]
partition_key = { name = "user", type = "S" }
"#;
const ALSO: &str = "also has: on-demand limits of 900 reads and 300 writes; stream NEW_AND_OLD_IMAGES; on-demand limits of 90 \
                    reads of index by-user; local index by-size";

fn element(name: &str, role: &str) -> Value {
    json!({ "AttributeName": name, "KeyType": role })
}

/// Returns a table with settings that no manifest can express.
fn made_by_hand() -> World {
    let world = World::quick();
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let all = json!({ "ProjectionType": "ALL" });
    world.aws(
        "DynamoDB_20120810.CreateTable",
        &json!({
            "TableName": "orders",
            "AttributeDefinitions":
                [attribute("id", "S"), attribute("at", "N"), attribute("user", "S"), attribute("size", "N")],
            "KeySchema": [element("id", "HASH"), element("at", "RANGE")],
            "BillingMode": "PAY_PER_REQUEST",
            "OnDemandThroughput": { "MaxReadRequestUnits": 900, "MaxWriteRequestUnits": 300 },
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
            "LocalSecondaryIndexes": [{ "IndexName": "by-size", "Projection": all,
                "KeySchema": [element("id", "HASH"), element("size", "RANGE")] }],
            "GlobalSecondaryIndexes": [{ "IndexName": "by-user", "Projection": all, "KeySchema": [element("user", "HASH")],
                "OnDemandThroughput": { "MaxReadRequestUnits": 90 } }],
        }),
    );
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.write("sentinel.toml", MANIFEST);
    world
}

/// Describes the table, without one of its settings.
fn described(world: &World, without: &[&str]) -> Value {
    let mut table = world.aws("DynamoDB_20120810.DescribeTable", &json!({ "TableName": "orders" }))["Table"].take();
    for setting in without {
        drop(table.as_object_mut().unwrap().remove(*setting));
    }
    table
}

#[test]
fn unmanaged_settings_are_listed_in_every_view_of_the_table() {
    let world = made_by_hand();
    for args in [&["plan", "--detailed-exitcode"][..], &["status"], &["plan", "--format", "html"]] {
        let run = world.run(args).expect(0);
        let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(ALSO), "{args:?}: {}", run.stdout);
    }
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(plan["resources"][0]["live"]["also"].as_array().unwrap().len(), 4, "{plan}");
    let status = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["tables"][0]["also"][1], "stream NEW_AND_OLD_IMAGES", "{status}");
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--table", "orders", "--json"]).expect(0);
    // A manifest can express all of these.
    assert_eq!(run.json()["warnings"], json!([]));
}

#[test]
fn repairs_do_not_change_unmanaged_settings() {
    let world = made_by_hand();
    let with = |extra: &str| world.write("sentinel.toml", &MANIFEST.replace("sort_key", &format!("{extra}\nsort_key")));
    let changed = ["GlobalSecondaryIndexes", "AttributeDefinitions"];
    let before = described(&world, &[]);
    for (extra, setting) in [
        ("tags = { team = \"security\" }", None),
        ("point_in_time_recovery = true", None),
        ("ttl_attribute = \"gone\"", None),
        ("deletion_protection = true", Some("DeletionProtectionEnabled")),
        ("table_class = \"STANDARD_INFREQUENT_ACCESS\"", Some("TableClassSummary")),
        ("encryption = \"aws-managed\"", Some("SSEDescription")),
    ] {
        with(extra);
        let before = described(&world, setting.as_slice());
        let run = world.run(&["apply", "--yes"]).expect(0);
        assert!(run.stdout.contains("1 updated"), "{extra}: {}", run.stdout);
        assert_eq!(described(&world, setting.as_slice()), before, "{extra}");
    }
    world.write(
        "sentinel.toml",
        &format!("{MANIFEST}[tables.orders.indexes.by-day]\npartition_key = {{ name = \"day\", type = \"S\" }}\n"),
    );
    world.run(&["apply", "--yes"]).expect(0);
    let index = |table: &Value, name: &str| {
        table["GlobalSecondaryIndexes"].as_array().unwrap().iter().find(|one| one["IndexName"] == name).cloned()
    };
    let after = described(&world, &[]);
    assert!(index(&after, "by-day").is_some(), "{after}");
    assert_eq!(index(&after, "by-user"), index(&before, "by-user"));
    let without: Vec<&str> =
        changed.iter().copied().chain(["DeletionProtectionEnabled", "TableClassSummary", "SSEDescription"]).collect();
    let mut untouched = before.clone();
    for setting in &without {
        drop(untouched.as_object_mut().unwrap().remove(*setting));
    }
    assert_eq!(described(&world, &without), untouched);
}

#[test]
fn an_import_lists_other_tables_and_imports_them_on_request() {
    let world = made_by_hand();
    let import = |extra: &[&str]| {
        let folder = format!("live{}", extra.len());
        let args = [&["import", "--region", "us-east-1", "-o", &folder, "--json"][..], extra].concat();
        let run = world.run(&args).expect(0);
        (std::fs::read_to_string(world.folder.path().join(folder).join("sentinel.toml")).unwrap(), run.json())
    };
    let (manifest, imported) = import(&[]);
    assert!(!manifest.contains("[tables."), "{manifest}");
    let warning = &imported["warnings"][0];
    assert_eq!(warning["name"], "tables");
    let why = "not imported: orders; import one with --table NAME, or all with --all-tables";
    assert_eq!(warning["why"], why);
    let (manifest, imported) = import(&["--all-tables"]);
    assert!(manifest.contains("[tables.orders]"), "{manifest}");
    assert_eq!(imported["warnings"], json!([]));

    world.fail("ListTables", "AccessDeniedException", "");
    let denied = ["import", "--region", "us-east-1", "-o", "denied", "--json"];
    let imported = world.run(&denied).expect(0).json();
    assert!(imported["warnings"][0]["why"].as_str().unwrap().contains("dynamodb:ListTables"), "{imported}");
    world.run(&[&denied[..], &["--all-tables"]].concat()).expect(1);
}

#[test]
fn a_rebuilt_index_keeps_its_limits() {
    let world = made_by_hand();
    let limits = |world: &World| {
        let table = described(world, &[]);
        let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap().clone();
        let index = indexes.iter().find(|one| one["IndexName"] == "by-user").unwrap().clone();
        (index["Projection"]["ProjectionType"].clone(), index["OnDemandThroughput"]["MaxReadRequestUnits"].clone())
    };
    assert_eq!(limits(&world), (json!("ALL"), json!(90)));
    world.write("sentinel.toml", &format!("{MANIFEST}projection = \"KEYS_ONLY\"\n"));
    world.run(&["apply", "--yes", "--allow-destructive", "index"]).expect(0);
    assert_eq!(limits(&world), (json!("KEYS_ONLY"), json!(90)));
}

#[test]
fn an_index_that_conflicts_with_a_local_index_is_refused() {
    let world = made_by_hand();
    let extra = "[tables.orders.indexes.by-bytes]\npartition_key = { name = \"size\", type = \"S\" }\n";
    world.write("sentinel.toml", &format!("{MANIFEST}{extra}"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("a local index uses size as N"), "{}", run.stdout);
    assert!(!world.writes().iter().any(|write| write == "UpdateTable"));
    let extra = "[tables.orders.indexes.by-size]\npartition_key = { name = \"day\", type = \"S\" }\n";
    world.write("sentinel.toml", &format!("{MANIFEST}{extra}"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("a local index of the table already has this name"), "{}", run.stdout);
    assert!(!world.writes().iter().any(|write| write == "UpdateTable"));
}

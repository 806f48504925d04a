//! Settings and indexes of a table: created, drifted, repaired and imported.

use std::time::Duration;

use sentinel::local::Rules;
use serde_json::{Value, json};

use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"
[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
sort_key = { name = "at", type = "N" }
"#;

impl World {
    /// Writes a manifest of one table with additional settings.
    fn orders(&self, extra: &str) {
        self.write("sentinel.toml", &format!("{MANIFEST}{extra}\n"));
    }

    /// Applies it, and checks that the next plan has no changes.
    fn applied(&self, extra: &str, args: &[&str]) -> crate::world::Run {
        self.orders(extra);
        let run = self.run(&[&["apply", "--yes"][..], args].concat()).expect(0);
        self.run(&["plan", "--detailed-exitcode"]).expect(0);
        run
    }

    /// Imports the table, checks that a plan of the import has no changes and no warnings, and returns its section.
    fn imported(&self, name: &str) -> String {
        let run = self.run(&["import", "--region", "us-east-1", "-o", name, "--table", "orders", "--json"]).expect(0);
        assert_eq!(run.json()["warnings"], json!([]));
        let config = format!("{name}/sentinel.toml");
        self.run(&["plan", "-f", &config, "--detailed-exitcode"]).expect(0);
        std::fs::read_to_string(self.folder.path().join(config)).unwrap()
    }
}

#[track_caller]
fn has(text: &str, part: &str) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(part), "no {part:?} in {text}");
}

#[test]
fn a_stream_is_created_turned_off_with_consent_and_turned_on() {
    let world = World::quick();
    world.applied("stream = \"NEW_IMAGE\"", &[]);
    let stream = || world.table("orders")["StreamSpecification"].clone();
    assert_eq!(stream(), json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" }));
    assert!(world.imported("on").contains("stream = \"NEW_IMAGE\""));

    world.orders("stream = false");
    let run = world.run(&["apply", "--yes"]).expect(4);
    has(&run.stdout, "stream NEW_IMAGE -> off (deletion: turned off; its readers get no new records");
    has(&run.stdout, "--allow-destructive stream");
    world.applied("stream = false", &["--allow-destructive", "stream"]);
    assert_eq!(stream(), Value::Null);
    assert!(!world.imported("off").contains("stream"));

    world.applied("stream = \"KEYS_ONLY\"", &[]);
    // Unmanaged settings are not changed, and are listed.
    let run = world.applied("", &[]);
    has(&run.stdout, "also has: stream KEYS_ONLY");
    assert_eq!(stream()["StreamViewType"], "KEYS_ONLY");
}

#[test]
fn a_stream_with_another_view_is_replaced() {
    let world = World::quick();
    world.applied("stream = \"NEW_IMAGE\"", &[]);
    let before = world.table("orders")["LatestStreamArn"].clone();
    world.orders("stream = \"OLD_IMAGE\"");
    let plan = world.run(&["plan"]).expect(0);
    has(&plan.stdout, "turned off, and on again as a stream with another ARN");
    world.calls();
    world.applied("stream = \"OLD_IMAGE\"", &["--allow-destructive", "stream"]);
    let table = world.table("orders");
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "OLD_IMAGE");
    assert_ne!(table["LatestStreamArn"], before);

    // An interruption between the two leaves no stream, and the next run turns it on without a loss.
    world.orders("stream = \"NEW_AND_OLD_IMAGES\"");
    let mut updates = 0;
    world.fault(move |call| {
        updates += usize::from(call.operation == "UpdateTable");
        let second = updates == 2 && call.operation == "UpdateTable";
        second.then(|| call.refusal("ValidationException", "by the test"))
    });
    world.run(&["apply", "--yes", "--allow-destructive", "stream"]).expect(5);
    assert_eq!(world.table("orders")["StreamSpecification"], Value::Null);
    world.clear_faults();
    world.applied("stream = \"NEW_AND_OLD_IMAGES\"", &[]);
}

const INDEXES: &str = r#"
[tables.orders.indexes.by-place]
partition_key = [{ name = "tenant", type = "S" }, { name = "region", type = "S" }]
sort_key = [{ name = "day", type = "S" }, { name = "size", type = "N" }]
[tables.orders.local_indexes.by-size]
sort_key = { name = "size", type = "N" }
projection = { include = ["note"] }
"#;

#[test]
fn local_indexes_and_keys_of_several_attributes_are_created_and_imported() {
    let world = World::quick();
    world.applied(INDEXES, &[]);
    let table = world.table("orders");
    let names = |schema: &Value| {
        let elements = schema.as_array().unwrap().iter();
        elements.map(|one| one["AttributeName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&table["GlobalSecondaryIndexes"][0]["KeySchema"]), ["tenant", "region", "day", "size"]);
    let local = &table["LocalSecondaryIndexes"][0];
    assert_eq!(names(&local["KeySchema"]), ["id", "size"]);
    assert_eq!(local["Projection"], json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"] }));
    let manifest = world.imported("live");
    for line in [
        "partition_key = [{ name = \"tenant\", type = \"S\" }, { name = \"region\", type = \"S\" }]",
        "[tables.orders.local_indexes.by-size]",
        "projection = { include = [\"note\"] }",
    ] {
        assert!(manifest.contains(line), "no {line} in {manifest}");
    }
    // Another index is added to them, with the attributes of all.
    world.applied(
        &format!("{INDEXES}[tables.orders.indexes.by-day]\npartition_key = {{ name = \"day\", type = \"S\" }}\n"),
        &[],
    );
    let after = world.table("orders");
    let index = |table: &Value| {
        let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap().clone();
        indexes.into_iter().find(|index| index["IndexName"] == "by-place")
    };
    assert_eq!(index(&after), index(&table));
    assert_eq!(after["LocalSecondaryIndexes"], table["LocalSecondaryIndexes"]);
}

#[test]
fn a_local_index_is_never_changed_and_another_key_of_several_attributes_is_another_index() {
    let world = World::quick();
    world.applied(INDEXES, &[]);
    world.orders(&INDEXES.replace("size\", type = \"N\" }\nprojection", "size\", type = \"N\" }\n#"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    has(&run.stdout, "local index by-size");
    has(&run.stdout, "AWS creates local indexes only with the table");
    world.orders(&INDEXES.replace(", { name = \"region\", type = \"S\" }]", "]"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    has(&run.stdout, "index by-place tenant, region; day, size -> tenant; day, size");
    world.applied(&INDEXES.replace(", { name = \"region\", type = \"S\" }]", "]"), &["--allow-destructive", "index"]);
    // An unmanaged index is listed.
    let run = world.applied(
        &INDEXES[..INDEXES.find("[tables.orders.local").unwrap()]
            .replace(", { name = \"region\", type = \"S\" }]", "]"),
        &[],
    );
    has(&run.stdout, "also has: local index by-size");
}

#[test]
fn invalid_indexes_of_a_table_are_faults() {
    let world = World::quick();
    let local = |number: usize| {
        format!("[tables.orders.local_indexes.local-{number}]\nsort_key = {{ name = \"a{number}\", type = \"N\" }}\n")
    };
    let attribute = |name: &str| format!("{{ name = \"{name}\", type = \"S\" }}");
    let many: Vec<String> = ["a", "b", "c", "d", "e"].iter().map(|name| attribute(name)).collect();
    let names: Vec<String> = (0..60).map(|number| format!("\"n{number}\"")).collect();
    let include = format!("projection = {{ include = [{}] }}\n", names.join(", "));
    for (extra, fault) in [
        ((0..6).map(local).collect::<String>(), "has 6 local indexes"),
        (
            format!("[tables.orders.indexes.many]\npartition_key = [{}]\n", many.join(", ")),
            "`partition_key` has 5 attributes",
        ),
        (
            format!("[tables.orders.indexes.twice]\npartition_key = [{}, {}]\n", attribute("a"), attribute("a")),
            "`a` is twice in one key",
        ),
        (
            format!("[tables.orders.indexes.local-1]\npartition_key = {}\n{}", attribute("b"), local(1)),
            "two indexes with the name local-1",
        ),
        (
            format!("[tables.orders.indexes.one]\npartition_key = {}\n{include}{}{include}", attribute("b"), local(1)),
            "include 120 attributes",
        ),
        (
            format!(
                "[tables.plain]\nname = \"plain\"\npartition_key = {}\n[tables.plain.local_indexes.one]\nsort_key = {}\n",
                attribute("a"),
                attribute("b")
            ),
            "has local indexes and no sort key",
        ),
    ] {
        world.orders(&extra);
        let run = world.run(&["validate"]);
        assert_ne!(run.code, 0, "{extra}");
        has(&format!("{}{}", run.stdout, run.stderr), fault);
    }
}

#[test]
fn the_limits_of_a_table_and_an_index_are_set_and_removed() {
    let world = World::quick();
    let with = |table: &str, index: &str| {
        format!(
            "{table}\n[tables.orders.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n{index}\n"
        )
    };
    world.applied(&with("max_read = 900\nmax_write = false", "max_read = 90"), &[]);
    let limits = || {
        let table = world.table("orders");
        (table["OnDemandThroughput"].clone(), table["GlobalSecondaryIndexes"][0]["OnDemandThroughput"].clone())
    };
    assert_eq!(limits(), (json!({ "MaxReadRequestUnits": 900 }), json!({ "MaxReadRequestUnits": 90 })));
    let manifest = world.imported("live");
    assert!(manifest.contains("max_read = 900\nmax_write = false"), "{manifest}");
    assert!(manifest.contains("max_read = 90\nmax_write = false"), "{manifest}");

    // Limits that the manifest does not specify are kept.
    world.applied(&with("max_write = 300", "max_write = 30"), &[]);
    let both = |read: u32, write: u32| json!({ "MaxReadRequestUnits": read, "MaxWriteRequestUnits": write });
    assert_eq!(limits(), (both(900, 300), both(90, 30)));
    world.orders(&with("max_read = false\nmax_write = false", "max_read = false"));
    let plan = world.run(&["plan"]).expect(0);
    has(&plan.stdout, "max_read 900 -> none (changed in place)");
    has(&plan.stdout, "index by-user max_read 90 -> none (changed in place)");
    world.applied(&with("max_read = false\nmax_write = false", "max_read = false"), &[]);
    assert_eq!(limits(), (Value::Null, json!({ "MaxWriteRequestUnits": 30 })));
    let run = world.applied(&with("", ""), &[]);
    has(&run.stdout, "also has: on-demand limits of 30 writes of index by-user");

    world.orders(&with("billing_mode = \"PROVISIONED\"\nmax_read = 5", ""));
    let run = world.run(&["validate"]);
    has(&format!("{}{}", run.stdout, run.stderr), "`max_read` and `max_write` are for on-demand tables");
}

#[test]
fn an_index_has_the_capacity_of_its_section_or_that_of_the_table() {
    let world = World::quick();
    let with = |table: &str, index: &str| {
        format!(
            "billing_mode = \"PROVISIONED\"\n{table}\n[tables.orders.indexes.by-day]\npartition_key = {{ name = \"day\", type = \"S\" }}\n\
             [tables.orders.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n{index}\n"
        )
    };
    let of_table = "read_capacity = 5\nwrite_capacity = 4";
    world.applied(&with(of_table, "read_capacity = 2\nwrite_capacity = 1"), &[]);
    let units = |name: &str| {
        let table = world.table("orders");
        let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap().clone();
        let index = indexes.into_iter().find(|one| one["IndexName"] == name).unwrap();
        let units = |unit: &str| index["ProvisionedThroughput"][unit].as_i64().unwrap();
        (units("ReadCapacityUnits"), units("WriteCapacityUnits"))
    };
    assert_eq!((units("by-day"), units("by-user")), ((5, 4), (2, 1)));
    world.applied(&with("read_capacity = 7\nwrite_capacity = 4", "read_capacity = 2\nwrite_capacity = 1"), &[]);
    assert_eq!((units("by-day"), units("by-user")), ((7, 4), (2, 1)));
    // If something else sets the capacity of the table, the capacity of an index can still be managed.
    world.applied(&with("", "read_capacity = 3\nwrite_capacity = 3"), &[]);
    assert_eq!((units("by-day"), units("by-user")), ((7, 4), (3, 3)));
    world.orders(&with("", "read_capacity = 3"));
    let run = world.run(&["validate"]);
    has(&format!("{}{}", run.stdout, run.stderr), "has only one of read_capacity and write_capacity");
}

/// Returns the sections of indexes on one attribute each, with a projection.
fn indexes(all: &[(&str, &str, &str)]) -> String {
    let section = |(name, attribute, projection): &(&str, &str, &str)| {
        format!(
            "[tables.orders.indexes.{name}]\npartition_key = {{ name = \"{attribute}\", type = \"S\" }}\n\
             projection = \"{projection}\"\n"
        )
    };
    all.iter().map(section).collect()
}

fn index_of(table: &Value, name: &str) -> Option<Value> {
    let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    indexes.into_iter().find(|one| one["IndexName"] == name)
}

#[test]
fn several_index_changes_are_one_plan_and_keep_other_indexes() {
    let world = World::quick();
    let before = indexes(&[("by-day", "day", "ALL"), ("by-old", "old", "ALL"), ("by-user", "user", "ALL")]);
    world.applied(&before, &[]);
    let untouched = index_of(&world.table("orders"), "by-day");
    let after = indexes(&[("by-day", "day", "ALL"), ("by-new", "new", "ALL"), ("by-user", "user", "KEYS_ONLY")]);
    world.orders(&after);
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let steps = plan["resources"][0]["withheld"].as_array().unwrap().clone();
    let changes: Vec<String> = steps
        .iter()
        .filter(|step| step["step"] == "update_table")
        .map(|step| {
            format!("{} {}", step["change"]["what"].as_str().unwrap(), step["change"]["index_name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes, ["delete_index by-old", "create_index by-new", "delete_index by-user", "create_index by-user"]);

    // A failure in the middle keeps the completed changes, and the next run continues.
    let mut updates = 0;
    world.fault(move |call| {
        updates += usize::from(call.operation == "UpdateTable");
        (updates == 4 && call.operation == "UpdateTable").then(|| call.refusal("ValidationException", "by the test"))
    });
    let run = world.run(&["apply", "--yes", "--allow-destructive", "index"]).expect(5);
    has(&run.stdout, "by the test");
    let table = world.table("orders");
    assert!(index_of(&table, "by-old").is_none() && index_of(&table, "by-user").is_none(), "{table}");
    world.clear_faults();
    // Nothing can be lost anymore.
    world.applied(&after, &[]);
    let table = world.table("orders");
    assert_eq!(index_of(&table, "by-day"), untouched);
    assert_eq!(index_of(&table, "by-user").unwrap()["Projection"]["ProjectionType"], "KEYS_ONLY");
    assert!(index_of(&table, "by-new").is_some());
}

#[test]
fn a_renamed_index_is_reported_as_renamed() {
    let world = World::quick();
    world.applied(&indexes(&[("by-user", "user", "ALL")]), &[]);
    world.orders(&indexes(&[("by-customer", "user", "ALL")]));
    let run = world.run(&["plan"]).expect(0);
    has(&run.stdout, "index by-customer missing -> user");
    has(&run.stdout, "the same as index by-user under another name, because AWS cannot rename an index");
    // Limits that someone else set are kept.
    let limits = json!({ "IndexName": "by-user", "OnDemandThroughput": { "MaxReadRequestUnits": 90 } });
    let update = json!({ "TableName": "orders", "GlobalSecondaryIndexUpdates": [{ "Update": limits }] });
    world.aws("DynamoDB_20120810.UpdateTable", &update);
    std::thread::sleep(Duration::from_millis(80));
    world.applied(&indexes(&[("by-customer", "user", "ALL")]), &["--allow-destructive", "index"]);
    let table = world.table("orders");
    assert!(index_of(&table, "by-user").is_none(), "{table}");
    assert_eq!(index_of(&table, "by-customer").unwrap()["OnDemandThroughput"]["MaxReadRequestUnits"], 90, "{table}");
}

#[test]
fn apply_without_a_wait_starts_an_index_and_the_next_run_continues() {
    let ms = Duration::from_millis;
    let rules = Rules { table_creation: ms(50), table_update: ms(20), ttl_settling: ms(0), ..Rules::default() };
    let world = World::with(Rules { index_backfill: Duration::from_secs(3), ..rules });
    world.applied("", &[]);
    let extra = indexes(&[("by-day", "day", "ALL"), ("by-user", "user", "ALL")]);
    world.orders(&format!("ttl_attribute = \"gone\"\n{extra}"));
    let run = world.run(&["apply", "--yes", "--no-wait"]).expect(0);
    has(&run.stdout, "deferred, AWS is still building its index by-day");
    assert!(index_of(&world.table("orders"), "by-user").is_none());
    let run = world.run(&["status"]).expect(0);
    has(&run.stdout, "index by-day is being built");
    let run = world.run(&["apply", "--yes", "--no-wait"]).expect(0);
    has(&run.stdout, "deferred");
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(index_of(&world.table("orders"), "by-user").is_some());
}

#[test]
fn warm_throughput_is_raised_and_never_lowered() {
    let world = World::quick();
    let with = |table: &str, index: &str| {
        format!(
            "{table}\n[tables.orders.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n{index}\n"
        )
    };
    world.applied(&with("warm_read = 13000", ""), &[]);
    let warm = || {
        let table = world.table("orders");
        let units = |found: &Value| found["WarmThroughput"]["ReadUnitsPerSecond"].as_i64();
        (units(&table), units(&table["GlobalSecondaryIndexes"][0]))
    };
    assert_eq!(warm(), (Some(13_000), None));
    world.orders(&with("warm_read = 14000", "warm_read = 15000"));
    let plan = world.run(&["plan"]).expect(0);
    has(&plan.stdout, "warm_read 13000 -> 14000 (raised in place; AWS charges once");
    has(&plan.stdout, "index by-user warm_read 12000 -> 15000");
    world.applied(&with("warm_read = 14000", "warm_read = 15000"), &[]);
    assert_eq!(warm(), (Some(14_000), Some(15_000)));
    // A value above the manifest's is in sync, and is kept.
    world.applied(&with("warm_read = 12000", "warm_write = 4000"), &[]);
    assert_eq!(warm(), (Some(14_000), Some(15_000)));
    let manifest = world.imported("live");
    assert!(manifest.contains("warm_read = 14000") && manifest.contains("warm_read = 15000"), "{manifest}");
    let run = world.applied(&with("", ""), &[]);
    has(&run.stdout, "also has: warm throughput of 14000 reads and 4000 writes");
    world.orders(&with("warm_read = 5", ""));
    let run = world.run(&["validate"]);
    has(&format!("{}{}", run.stdout, run.stderr), "`warm_read` is 5, but each on-demand table has at least 12000");
}

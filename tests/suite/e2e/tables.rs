//! Settings of a table: created, drifted, repaired and imported.

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
    /// Writes a manifest of one table with more settings.
    fn orders(&self, more: &str) {
        self.write("sentinel.toml", &format!("{MANIFEST}{more}\n"));
    }

    /// Applies it, and checks that the next plan is empty.
    fn applied(&self, more: &str, args: &[&str]) -> crate::world::Run {
        self.orders(more);
        let run = self.run(&[&["apply", "--yes"][..], args].concat()).expect(0);
        self.run(&["plan", "--detailed-exitcode"]).expect(0);
        run
    }

    /// Imports the table, checks that a plan of the import is empty and that nothing is unsaid, and returns its section.
    fn imported(&self, name: &str) -> String {
        let run = self.run(&["import", "--region", "us-east-1", "-o", name, "--table", "orders", "--json"]).expect(0);
        assert_eq!(run.json()["warnings"], json!([]));
        let config = format!("{name}/sentinel.toml");
        self.run(&["plan", "--config", &config, "--detailed-exitcode"]).expect(0);
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
    has(&run.stdout, "stream NEW_IMAGE -> off (turned off; its readers get nothing from then on");
    has(&run.stdout, "--allow-destructive stream");
    world.applied("stream = false", &["--allow-destructive", "stream"]);
    assert_eq!(stream(), Value::Null);
    assert!(!world.imported("off").contains("stream"));

    world.applied("stream = \"KEYS_ONLY\"", &[]);
    // What the manifest does not manage stays, and is named.
    let run = world.applied("", &[]);
    has(&run.stdout, "also has: stream KEYS_ONLY");
    assert_eq!(stream()["StreamViewType"], "KEYS_ONLY");
}

#[test]
fn a_stream_with_another_view_is_another_stream() {
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

    // An end between the two leaves no stream, and the next run turns it on without a loss.
    world.orders("stream = \"NEW_AND_OLD_IMAGES\"");
    let mut updates = 0;
    world.fault(move |call| {
        updates += usize::from(call.operation == "UpdateTable");
        let second = updates == 2 && call.operation == "UpdateTable";
        second.then(|| call.refusal("ValidationException", "by the test"))
    });
    world.run(&["apply", "--yes", "--allow-destructive", "stream"]).expect(1);
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
    // Another index is added beside them, with the attributes of all.
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
    has(&run.stdout, "a local index comes with its table");
    world.orders(&INDEXES.replace(", { name = \"region\", type = \"S\" }]", "]"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    has(&run.stdout, "index by-place tenant, region; day, size -> tenant; day, size");
    world.applied(&INDEXES.replace(", { name = \"region\", type = \"S\" }]", "]"), &["--allow-destructive", "index"]);
    // One that the manifest does not manage is named.
    let run = world.applied(
        &INDEXES[..INDEXES.find("[tables.orders.local").unwrap()]
            .replace(", { name = \"region\", type = \"S\" }]", "]"),
        &[],
    );
    has(&run.stdout, "also has: local index by-size");
}

#[test]
fn what_aws_would_refuse_of_the_indexes_of_a_table_is_a_fault() {
    let world = World::quick();
    let local = |number: usize| {
        format!("[tables.orders.local_indexes.local-{number}]\nsort_key = {{ name = \"a{number}\", type = \"N\" }}\n")
    };
    let attribute = |name: &str| format!("{{ name = \"{name}\", type = \"S\" }}");
    let many: Vec<String> = ["a", "b", "c", "d", "e"].iter().map(|name| attribute(name)).collect();
    let names: Vec<String> = (0..60).map(|number| format!("\"n{number}\"")).collect();
    let include = format!("projection = {{ include = [{}] }}\n", names.join(", "));
    for (more, fault) in [
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
            "two indexes of the name local-1",
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
        world.orders(&more);
        let run = world.run(&["validate"]);
        assert_ne!(run.code, 0, "{more}");
        has(&format!("{}{}", run.stdout, run.stderr), fault);
    }
}

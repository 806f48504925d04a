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

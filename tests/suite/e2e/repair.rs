//! Drift of tables: every setting changed outside of Sentinel, shown and repaired.

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::{Run, World};

const TABLE: &str = "acme-sessions";

/// A table with all managed settings.
const EVERYTHING: &str = r#"[aws]
region = "us-east-1"
[tables.sessions]
name = "acme-sessions"
encryption = "aws-managed"
point_in_time_recovery = true
deletion_protection = true
table_class = "STANDARD"
tags = { team = "security" }
"#;

fn created(manifest: &str) -> World {
    let world = World::quick();
    world.write("sentinel.toml", manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.calls();
    world
}

impl World {
    fn dynamodb(&self, operation: &str, mut body: Value) {
        body["TableName"] = json!(TABLE);
        self.aws(&format!("DynamoDB_20120810.{operation}"), &body);
        self.settle();
    }

    /// Waits until the table and its indexes are ACTIVE.
    fn settle(&self) {
        loop {
            let table = self.table(TABLE);
            let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
            let ready = |index: &Value| index["IndexStatus"] == "ACTIVE";
            if table["TableStatus"] == "ACTIVE" && indexes.iter().all(ready) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn delete_index(&self, name: &str) {
        self.dynamodb("UpdateTable", json!({ "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": name } }] }));
    }

    fn create_index(&self, name: &str, partition: &str) {
        // All key attributes: some emulators replace the existing definitions.
        let known = self.table(TABLE)["AttributeDefinitions"].as_array().cloned().unwrap_or_default();
        let own = json!({ "AttributeName": partition, "AttributeType": "S" });
        let mut attributes = known;
        if !attributes.contains(&own) {
            attributes.push(own);
        }
        self.dynamodb(
            "UpdateTable",
            json!({
                "AttributeDefinitions": attributes,
                "GlobalSecondaryIndexUpdates": [{ "Create": {
                    "IndexName": name,
                    "KeySchema": [{ "AttributeName": partition, "KeyType": "HASH" }],
                    "Projection": { "ProjectionType": "ALL" },
                } }],
            }),
        );
    }

    fn tag(&self, tags: &[(&str, &str)]) {
        let arn = self.table(TABLE)["TableArn"].clone();
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let body = json!({ "ResourceArn": arn, "Tags": tags });
        self.aws("DynamoDB_20120810.TagResource", &body);
    }

    /// Checks that the drift is shown, repairs it, and checks that it is gone. `path` is the start of its line.
    #[track_caller]
    fn repaired(&self, path: &str, flags: &[&str]) -> Run {
        let plan = self.run(&["plan", "--detailed-exitcode"]).expect(2);
        let shown = plan.stdout.lines().any(|line| line.trim_start().starts_with(path));
        assert!(shown, "{path} is not in\n{}", plan.stdout);
        self.calls();
        let run = self.run(&[&["apply", "--yes"], flags].concat()).expect(0);
        let after = self.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(after.code, 0, "{}\n{}", run.stdout, after.stdout);
        run
    }
}

#[test]
fn a_missing_index_is_built_and_awaited() {
    let world = created(EVERYTHING);
    world.delete_index("user-index");
    snapshot!(world.run(&["plan"]).expect(0).stdout);
    let run = world.repaired("index user-index ", &[]);
    assert!(run.stdout.contains("~ Sessions table: acme-sessions (updated: 1 field)"), "{}", run.stdout);
}

#[test]
fn several_missing_indexes_are_built_one_update_each() {
    let world = created(EVERYTHING);
    world.delete_index("user-index");
    world.delete_index("status-index");
    world.run(&["apply", "--yes"]).expect(0);
    let updates = world.calls().into_iter().filter(|call| call.operation == "UpdateTable");
    let created = updates.map(|call| call.body["GlobalSecondaryIndexUpdates"].as_array().unwrap().len());
    // Calls that failed because the table was busy are retried.
    assert!(created.clone().count() >= 2 && created.into_iter().all(|count| count == 1));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn an_unlisted_index_is_deleted_only_with_consent() {
    let world = created(EVERYTHING);
    world.create_index("stray-index", "stray");
    let run = world.run(&["apply", "--yes"]).expect(4);
    snapshot!(run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "protection,prune"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.repaired("index stray-index ", &["--allow-destructive", "index"]);
}

/// A refused difference stops its whole resource, and no other.
#[test]
fn a_refused_change_stops_its_resource_and_no_other() {
    let world = created(EVERYTHING);
    world.create_index("stray-index", "stray");
    world.dynamodb("UpdateTable", json!({ "TableClass": "STANDARD" }));
    world.write("sentinel.toml", &format!("{EVERYTHING}[profiles.new]\n"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("+ /sentinel/policies/new (created)"), "{}", run.stdout);
    assert!(run.stdout.contains("refused without --allow-destructive index"), "{}", run.stdout);
    assert_eq!(world.writes(), ["PutParameter"]);
}

#[test]
fn protection_is_added_even_if_another_difference_is_refused() {
    let world = created(EVERYTHING);
    world.create_index("stray-index", "stray");
    world.dynamodb("UpdateTable", json!({ "DeletionProtectionEnabled": false }));
    world.calls();
    let plan = world.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("index, except changes that add protection"), "{}", plan.stdout);
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(
        run.stdout.contains("refused without --allow-destructive index, except changes that add protection"),
        "{}",
        run.stdout
    );
    assert_eq!(world.writes(), ["UpdateTable"]);
    let plan = world.run(&["plan", "--detailed-exitcode"]);
    assert!(!plan.stdout.contains("deletion_protection") && plan.stdout.contains("stray-index"), "{}", plan.stdout);
    world.repaired("index stray-index ", &["--allow-destructive", "index"]);
}

#[test]
fn an_index_with_other_keys_is_rebuilt_with_consent() {
    let world = created(EVERYTHING);
    world.delete_index("user-index");
    world.create_index("user-index", "owner");
    world.run(&["apply", "--yes"]).expect(4);
    let run = world.repaired("index user-index ", &["--allow-destructive", "index"]);
    assert!(run.stderr.contains("deleting index user-index"), "{}", run.stderr);
    assert!(run.stderr.contains("building index user-index"), "{}", run.stderr);
}

#[test]
fn disabled_ttl_is_enabled() {
    let world = created(EVERYTHING);
    let off = json!({ "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "expires_at" } });
    world.dynamodb("UpdateTimeToLive", off);
    world.repaired("ttl ", &[]);
}

/// AWS requires an hour between turning TTL off and on: the first run does one, a later run the other.
#[test]
fn a_ttl_attribute_is_renamed_in_two_runs() {
    let world = created(EVERYTHING);
    let set = |on: bool, name: &str| json!({ "TimeToLiveSpecification": { "Enabled": on, "AttributeName": name } });
    world.dynamodb("UpdateTimeToLive", set(false, "expires_at"));
    world.dynamodb("UpdateTimeToLive", set(true, "other"));
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(
        plan.stdout.contains("ttl  other -> expires_at (disabled now, enabled by a run an hour later"),
        "{}",
        plan.stdout
    );
    world.calls();
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(
        run.stdout.contains(
            ": deferred, AWS accepts the next change of TTL an hour after the last; run again after \
             20"
        ),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("done: disabling TTL\n      not done: enabling TTL"), "{}", run.stdout);
    assert_eq!(world.writes(), ["UpdateTimeToLive"]);
    world.repaired("ttl ", &[]);
}

#[test]
fn a_ttl_change_too_soon_is_deferred() {
    if crate::world::moto().is_some() {
        return; // moto does not enforce the hour
    }
    let world = World::new();
    world.write("sentinel.toml", "[tables.sessions]\nname = \"acme-sessions\"\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[tables.sessions]\nname = \"acme-sessions\"\nttl_attribute = false\n");
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(
        run.stdout.contains(": deferred, AWS allows one change of TTL per hour, and there was one; run again after 20"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("1 deferred"), "{}", run.stdout);
    world.run(&["plan", "--detailed-exitcode"]).expect(2);
}

#[test]
fn billing_is_switched_back_to_on_demand() {
    let world = created(EVERYTHING);
    provisioned(&world);
    world.repaired("billing_mode ", &[]);
}

#[test]
fn a_switch_to_on_demand_too_soon_is_deferred() {
    if crate::world::moto().is_some() {
        return; // moto accepts it
    }
    let world = created(EVERYTHING);
    provisioned(&world);
    world.repaired("billing_mode ", &[]);
    provisioned(&world);
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains(": deferred, AWS allows one switch to on-demand in 24 hours"), "{}", run.stdout);
}

fn with_capacity(read: u32) -> String {
    format!(
        "[tables.sessions]\nname = \"{TABLE}\"\nbilling_mode = \"PROVISIONED\"\nread_capacity = {read}\n\
         write_capacity = 2\n"
    )
}

#[test]
fn capacity_is_repaired_for_the_table_and_each_index() {
    let world = created(&with_capacity(3));
    world.write("sentinel.toml", &with_capacity(4));
    let run = world.repaired("billing_mode ", &[]);
    assert!(run.stderr.contains("changing capacity"), "{}", run.stderr);
    let updates = json!([{ "Update": { "IndexName": "user-index",
        "ProvisionedThroughput": { "ReadCapacityUnits": 9, "WriteCapacityUnits": 9 } } }]);
    world.dynamodb("UpdateTable", json!({ "GlobalSecondaryIndexUpdates": updates }));
    world.repaired("index user-index capacity ", &[]);
}

/// Includes every index in the same call.
#[test]
fn billing_is_switched_to_provisioned() {
    let world = created("[tables.sessions]\nname = \"acme-sessions\"\n");
    world.write("sentinel.toml", &with_capacity(3));
    world.repaired("billing_mode ", &[]);
}

#[test]
fn encryption_is_changed_only_when_it_differs() {
    if crate::world::moto().is_some() {
        return; // moto's UpdateTable does not support encryption
    }
    let world = created(EVERYTHING);
    world.dynamodb("UpdateTable", json!({ "SSESpecification": { "Enabled": false } }));
    world.repaired("encryption ", &[]);
    let sent = world.calls().into_iter().filter(|call| !call.body["SSESpecification"].is_null()).count();
    assert_eq!(sent, 1, "a second time would count towards AWS's four a day");
}

#[test]
fn a_customer_managed_key_is_removed_only_with_consent() {
    if crate::world::moto().is_some() {
        return; // moto's UpdateTable does not support encryption
    }
    let world = created(EVERYTHING);
    world.write("sentinel.toml", &EVERYTHING.replace("aws-managed", "aws-owned"));
    world.run(&["apply", "--yes"]).expect(4);
    world.repaired("encryption ", &["--allow-destructive", "protection"]);
}

#[test]
fn protection_is_disabled_only_with_consent() {
    let world = created(EVERYTHING);
    let recovery = json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": false } });
    world.dynamodb("UpdateContinuousBackups", recovery);
    world.repaired("point_in_time_recovery ", &[]);
    world.dynamodb("UpdateTable", json!({ "DeletionProtectionEnabled": false }));
    world.repaired("deletion_protection ", &[]);
    let mut manifest = EVERYTHING.to_owned();
    for key in ["point_in_time_recovery", "deletion_protection"] {
        manifest = manifest.replace(&format!("{key} = true"), &format!("{key} = false"));
        world.write("sentinel.toml", &manifest);
        world.calls();
        world.run(&["apply", "--yes"]).expect(4);
        assert_eq!(world.writes(), [""; 0]);
        world.repaired(&format!("{key} "), &["--allow-destructive", "protection"]);
    }
}

#[test]
fn tags_are_set_in_one_call_and_unlisted_tags_removed() {
    let world = created(EVERYTHING);
    world.tag(&[("team", "web"), ("stray", "1")]);
    world.repaired("tags.team ", &[]);
    // The second write may meet the lock of the first, and is then retried.
    let mut writes = world.writes();
    writes.dedup();
    assert_eq!(writes, ["UntagResource", "TagResource"]);
}

#[test]
fn the_table_class_is_repaired_if_managed() {
    if crate::world::moto().is_some() {
        return; // moto does not store the table class
    }
    let world = created(EVERYTHING);
    world.dynamodb("UpdateTable", json!({ "TableClass": "STANDARD_INFREQUENT_ACCESS" }));
    world.repaired("table_class ", &[]);
}

/// All differences at once, in the order that AWS requires.
#[test]
fn all_differences_are_repaired_in_one_run() {
    let world = created(EVERYTHING);
    world.delete_index("status-index");
    world.delete_index("user-index");
    world.create_index("user-index", "owner");
    world.create_index("stray-index", "stray");
    world.tag(&[("stray", "1")]);
    world.dynamodb("UpdateTable", json!({ "SSESpecification": { "Enabled": false } }));
    world.dynamodb("UpdateTable", json!({ "DeletionProtectionEnabled": false }));
    let recovery = json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": false } });
    world.dynamodb("UpdateContinuousBackups", recovery);
    let off = json!({ "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "expires_at" } });
    world.dynamodb("UpdateTimeToLive", off);
    provisioned(&world);
    world.repaired("ttl ", &["--allow-destructive", "index"]);
}

/// Switches the table and its indexes to provisioned.
fn provisioned(world: &World) {
    let units = json!({ "ReadCapacityUnits": 5, "WriteCapacityUnits": 5 });
    let table = world.table(TABLE);
    let names = table["GlobalSecondaryIndexes"].as_array().unwrap().iter().map(|index| index["IndexName"].clone());
    let indexes: Vec<Value> =
        names.map(|name| json!({ "Update": { "IndexName": name, "ProvisionedThroughput": units } })).collect();
    let body =
        json!({ "BillingMode": "PROVISIONED", "ProvisionedThroughput": units, "GlobalSecondaryIndexUpdates": indexes });
    world.dynamodb("UpdateTable", body);
}

/// A change whose response is lost is detected, and not made twice.
#[test]
fn repairs_with_lost_responses_are_recognized() {
    let world = created(EVERYTHING);
    world.delete_index("user-index");
    world.tag(&[("stray", "1")]);
    let recovery = json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": false } });
    world.dynamodb("UpdateContinuousBackups", recovery);
    for operation in ["UpdateTable", "UpdateContinuousBackups", "UntagResource"] {
        world.lose(operation);
    }
    world.repaired("index user-index ", &[]);
}

/// Two concurrent applies of one manifest, from nothing and from drift: both succeed.
#[test]
fn two_concurrent_applies_both_succeed() {
    let world = World::quick();
    let manifest = format!("{EVERYTHING}[tables.approvals]\n[profiles.a]\npolicy = \"a.yaml\"\n[profiles.b]\n");
    world.write("sentinel.toml", &manifest).write("a.yaml", super::POLICY);
    let race = |world: &World, flags: &[&str]| {
        let start =
            || world.command(&[&["apply", "--yes", "--endpoint-url", world.url()], flags].concat()).spawn().unwrap();
        let children: Vec<_> = (0..3).map(|_| start()).collect();
        for child in children {
            crate::world::finish(child).expect(0);
        }
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
    };
    race(&world, &[]);
    world.delete_index("status-index");
    world.delete_index("user-index");
    world.create_index("user-index", "owner");
    world.dynamodb("UpdateTable", json!({ "SSESpecification": { "Enabled": false } }));
    world.write("a.yaml", &super::POLICY.replace("alice", "eve"));
    race(&world, &["--allow-destructive", "index"]);
}

/// The tables that a first run left without TTL are more than 30% of the existing resources, but not a mistake.
#[test]
fn an_interrupted_creation_is_completed_without_force() {
    let world = World::quick();
    let tables: String = (0..12)
        .map(|number| {
            format!(
                "[tables.t{number}]\nname = \"acme-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n\
                 ttl_attribute = \"expires_at\"\npoint_in_time_recovery = true\n"
            )
        })
        .collect();
    world.write("sentinel.toml", &tables);
    world.fail("UpdateTimeToLive", "AccessDeniedException", "acme");
    world.run(&["apply", "--yes"]).expect(5);
    world.clear_faults();
    let plan = world.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("ttl") && !plan.stdout.contains("--force"), "{}", plan.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // With items, the same change counts.
    for number in 0..12 {
        let item = json!({ "TableName": format!("acme-{number}"), "Item": { "id": { "S": "a" } } });
        world.aws("DynamoDB_20120810.PutItem", &item);
    }
    world.write("sentinel.toml", &tables.replace("point_in_time_recovery = true", "point_in_time_recovery = false"));
    world.run(&["apply", "--yes", "--force", "--allow-destructive", "protection"]).expect(0);
    world.write("sentinel.toml", &tables);
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stderr.contains("12 of 12 existing resources (100%)"), "{}", run.stderr);
}

/// More than 30% of ten or more resources: most likely a mistake.
#[test]
fn changing_an_unusual_share_needs_force() {
    let world = World::quick();
    let manifest = |policy: &str| -> String {
        (0..10)
            .map(|number| {
                format!("[profiles.p{number}]\npolicy = \"{}\"\n", if number < 4 { policy } else { "a.yaml" })
            })
            .collect()
    };
    world.write("a.yaml", super::POLICY).write("b.yaml", &super::POLICY.replace("alice", "eve"));
    world.write("sentinel.toml", &manifest("a.yaml"));
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", &manifest("b.yaml"));
    let plan = world.run(&["plan"]).expect(0);
    assert!(
        plan.stdout
            .contains("unusual  4 of 10 existing resources (40%) would be changed or deleted; apply needs --force"),
        "{}",
        plan.stdout
    );
    world.calls();
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(
        run.stderr.contains("this would change or delete 4 of 10 existing resources (40%); nothing was changed"),
        "{}",
        run.stderr
    );
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--force"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

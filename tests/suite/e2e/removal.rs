//! The deletion of tables by `--prune`, and `removed = true` in a section of each kind.

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::World;

const AWS: &str = "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n";
const TABLE: &str = "[tables.audit]\nname = \"acme-audit\"\npartition_key = { name = \"id\", type = \"S\" }\n";
const ALLOWED: [&str; 5] = ["apply", "--prune", "--allow-destructive", "prune,table", "--yes"];

/// Applies a manifest with a table, then replaces it by one without the table.
fn orphaned(extra: &str) -> World {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n{TABLE}{extra}"));
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    world.calls();
    world
}

fn put(world: &World) {
    let item = json!({ "TableName": "acme-audit", "Item": { "id": { "S": "1" } } });
    world.aws("DynamoDB_20120810.PutItem", &item);
}

fn tables(world: &World) -> Value {
    world.aws("DynamoDB_20120810.ListTables", &json!({}))["TableNames"].take()
}

fn backups(world: &World) -> Vec<Value> {
    let listed = world.aws("DynamoDB_20120810.ListBackups", &json!({ "TableName": "acme-audit" }));
    listed["BackupSummaries"].as_array().unwrap().clone()
}

#[test]
fn a_table_with_data_is_pruned_with_consent_and_a_backup() {
    let world = orphaned("");
    put(&world);
    let run = world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(4);
    assert!(run.stdout.contains("refused without --allow-destructive prune,table"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    let plan = world.run(&["plan", "--prune", "--allow-destructive", "prune,table"]).expect(0);
    snapshot!(plan.stdout);
    world.calls();
    let run = world.run(&ALLOWED).expect(0);
    assert!(run.stdout.contains("- acme-audit table (deleted)"), "{}", run.stdout);
    assert_eq!(world.writes(), ["CreateBackup", "DeleteTable"]);
    assert_eq!(tables(&world), json!([]));
    let backups = backups(&world);
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0]["BackupName"], json!("acme-audit-before-deletion"));
    assert_eq!(backups[0]["BackupStatus"], json!("AVAILABLE"));
    world.run(&["plan", "--prune", "--detailed-exitcode"]).expect(0);
}

#[test]
fn an_empty_table_is_pruned_without_a_backup() {
    let world = orphaned("");
    world.run(&ALLOWED).expect(0);
    assert_eq!(world.writes(), ["DeleteTable"]);
    assert_eq!((tables(&world), backups(&world).len()), (json!([]), 0));
}

#[test]
fn a_table_with_a_failed_backup_is_not_deleted() {
    let world = orphaned("");
    put(&world);
    world.fail("CreateBackup", "AccessDeniedException", "");
    let run = world.run(&ALLOWED).expect(1);
    assert!(run.stdout.contains("backing up, unless it has no items: dynamodb:CreateBackup"), "{}", run.stdout);
    assert_eq!(tables(&world), json!(["acme-audit"]));
    world.clear_faults();
    // It is not deleted if it is unknown whether it has items.
    world.fail("Scan", "AccessDeniedException", "");
    world.run(&ALLOWED).expect(1);
    assert_eq!(tables(&world), json!(["acme-audit"]));
    world.clear_faults();
    world.run(&ALLOWED).expect(0);
    assert_eq!(tables(&world), json!([]));
}

#[test]
fn a_deletion_with_a_lost_response_is_recognized() {
    let world = orphaned("");
    world.lose("DeleteTable");
    world.run(&ALLOWED).expect(0);
    assert_eq!(tables(&world), json!([]));
}

#[test]
fn protected_and_foreign_tables_are_not_deleted() {
    let world = orphaned("deletion_protection = true\n");
    let theirs = json!({
        "TableName": "theirs", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
    });
    world.aws("DynamoDB_20120810.CreateTable", &theirs);
    let run = world.run(&ALLOWED).expect(4);
    assert!(
        run.stdout.contains("update-table --table-name acme-audit --no-deletion-protection-enabled"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("Unmanaged tables") && run.stdout.contains("    theirs\n"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    let off = json!({ "TableName": "acme-audit", "DeletionProtectionEnabled": false });
    world.aws("DynamoDB_20120810.UpdateTable", &off);
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.run(&ALLOWED).expect(0);
    assert_eq!(tables(&world), json!(["theirs"]));
}

#[test]
fn a_table_that_lost_its_tag_or_was_recreated_is_not_deleted() {
    let world = orphaned("");
    // The tag has been removed at the second read.
    let mut looks = 0;
    world.fault(move |call| {
        looks += usize::from(call.operation == "ListTagsOfResource");
        let unmarked = || sentinel::local::Answer {
            status: 200,
            content_type: "application/x-amz-json-1.0",
            body: br#"{"Tags":[]}"#.to_vec(),
        };
        (call.operation == "ListTagsOfResource" && looks > 1).then(unmarked)
    });
    let run = world.run(&ALLOWED).expect(5);
    assert!(run.stdout.contains("it no longer has the tag managed-by = sentinel"), "{}", run.stdout);
    assert_eq!(tables(&world), json!(["acme-audit"]));
}

#[test]
fn a_saved_plan_deletes_only_the_observed_table() {
    let world = orphaned("");
    put(&world);
    world.run(&["plan", "--prune", "--allow-destructive", "prune,table", "--out", "plan.json"]).expect(0);
    // Another table with the same name and layout.
    world.aws("DynamoDB_20120810.DeleteTable", &json!({ "TableName": "acme-audit" }));
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.write("other.toml", &format!("{AWS}{TABLE}"));
    world.run(&["apply", "-f", "other.toml", "--yes"]).expect(0);
    world.calls();
    world.run(&["apply", "plan.json", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["plan", "--prune", "--allow-destructive", "prune,table", "--out", "plan.json"]).expect(0);
    world.run(&["apply", "plan.json", "--yes"]).expect(0);
    assert_eq!(tables(&world), json!([]));
}

#[test]
fn a_removed_section_of_each_kind_deletes_its_resource_with_consent() {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n[profiles.old]\n[topics.old]\n{TABLE}"));
    world.run(&["apply", "--yes"]).expect(0);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let removed = format!(
        "{AWS}[profiles.dev]\n[profiles.old]\npolicy = \"gone.yaml\"\nremoved = true\n[topics.old]\nremoved = true\n\
         [tables.audit]\nname = \"acme-audit\"\nremoved = true\n[tables.sessions]\nremoved = true\n"
    );
    world.write("sentinel.toml", &removed);
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    snapshot!(plan.stdout);
    world.calls();
    world.run(&["apply", "--yes"]).expect(4);
    let refused = world.run(&["apply", "--allow-destructive", "prune", "--yes", "--only", "tables.*"]).expect(4);
    assert!(refused.stdout.contains("To allow it: --allow-destructive prune,table\n"), "{}", refused.stdout);
    assert_eq!(world.writes(), [""; 0]);
    let run = world.run(&["apply", "--allow-destructive", "prune,table", "--yes"]).expect(0);
    assert!(run.stdout.contains("3 deleted") && run.stdout.contains("Verified"), "{}", run.stdout);
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["DeleteParameters", "DeleteTable", "DeleteTopic"]);
    let plan = world.run(&["plan", "--all", "--detailed-exitcode"]).expect(0);
    assert!(plan.stdout.contains("= old topic (gone: removed = true)"), "{}", plan.stdout);
    let again = world.run(&["apply", "--yes", "-v"]).expect(0);
    assert!(!again.stdout.contains("old topic (exists"), "{}", again.stdout);
    let status = world.run(&["status", "--detailed-exitcode"]).expect(0);
    assert!(status.stdout.contains("Total: 1 policy parameter\n"), "{}", status.stdout);
    assert!(!status.stdout.contains("acme-audit"), "{}", status.stdout);
}

#[test]
fn foreign_resources_are_removed_only_after_adoption() {
    let world = World::quick();
    let put = json!({ "Name": "/sentinel/policies/theirs", "Value": "x", "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.write("sentinel.toml", &format!("{AWS}[profiles.theirs]\nremoved = true\n"));
    let apply = ["apply", "--allow-destructive", "prune", "--yes"];
    let run = world.run(&apply).expect(4);
    assert!(run.stdout.contains("it does not have the ownership tag"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.write("sentinel.toml", &format!("{AWS}[profiles.theirs]\n"));
    world.run(&["apply", "--adopt", "--yes"]).expect(0);
    world.write("sentinel.toml", &format!("{AWS}[profiles.theirs]\nremoved = true\n"));
    world.run(&apply).expect(0);
}

#[test]
fn faults_of_a_removed_section_are_reported() {
    let world = World::new();
    let faults = |manifest: &str| {
        world.write("sentinel.toml", manifest);
        world.run(&["validate"]).expect(1).stderr
    };
    let output = faults("[keys.records]\nremoved = true\n");
    assert!(output.contains("`keys.records` cannot be removed: Sentinel never deletes a key"), "{output}");
    let output = faults("[aws]\nownership_tag = false\n[profiles.old]\nremoved = true\n");
    assert!(
        output.contains("without an ownership tag Sentinel cannot tell whether it created the resource"),
        "{output}"
    );
    let output = faults("[profiles.old]\nremoved = \"yes\"\n");
    assert!(output.contains("`removed` must be true or false"), "{output}");
    let output = faults("[profiles.old]\nremove = true\n");
    assert!(output.contains("did you mean `removed`?"), "{output}");
    world.write("sentinel.toml", "[profiles.old]\nremoved = false\n");
    world.run(&["validate"]).expect(0);
}

#[test]
fn a_saved_plan_deletes_removed_resources() {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{AWS}[profiles.old]\n"));
    world.run(&["apply", "--yes"]).expect(0);
    let removed = format!("{AWS}[profiles.old]\nremoved = true\n");
    world.write("sentinel.toml", &removed);
    world.run(&["plan", "--allow-destructive", "prune", "--out", "plan.json"]).expect(0);
    world.write("sentinel.toml", &format!("{AWS}[profiles.old]\n"));
    let run = world.run(&["apply", "plan.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("E406"), "{}", run.stderr);
    world.write("sentinel.toml", &removed);
    world.run(&["apply", "plan.json", "--yes"]).expect(0);
}

#[test]
fn a_removed_profile_gives_no_access() {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\nremoved = true\n"));
    let run = world.run(&["exec", "--profile", "dev", "--", "true"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("the profile dev gives no access: the manifest says removed = true"), "{}", run.stderr);
    let run = world.run(&["request", "--profile", "dev", "--justification", "because of it"]);
    assert_ne!(run.code, 0);
    assert!(run.stderr.contains("the profile dev gives no access"), "{}", run.stderr);
}

#[test]
fn iam_derives_the_permissions_of_a_removal() {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{AWS}{TABLE}removed = true\n"));
    let document = world.run(&["iam", "--for", "apply", "--json"]).expect(0).json();
    let text = document["policies"].to_string();
    for action in ["CreateBackup", "DeleteTable", "DescribeBackup", "DescribeTable", "ListTagsOfResource", "Scan"] {
        assert!(text.contains(&format!("dynamodb:{action}")), "{action}: {text}");
    }
    for action in ["DescribeScalableTargets", "DescribeScalingPolicies", "DeregisterScalableTarget"] {
        assert!(text.contains(&format!("application-autoscaling:{action}")), "{action}: {text}");
    }
    assert!(!text.contains("CreateTable"), "{text}");
}

#[test]
fn the_result_says_that_a_refused_deletion_still_differs() {
    let world = orphaned("");
    world.write("sentinel.toml", &format!("{AWS}[profiles.dev]\n[profiles.two]\n"));
    let run = world.run(&["apply", "--prune", "--yes"]).expect(4);
    assert!(run.stdout.contains("\nVerified: tables.acme-audit still differs from the manifest."), "{}", run.stdout);
    assert!(!run.stdout.contains("not yet in sync"), "{}", run.stdout);
}

use serde_json::json;

use super::{POLICY, project};
use crate::snapshot;
use crate::world::{Call, World};

#[test]
fn a_first_plan_shows_creations_and_writes_nothing() {
    let world = project();
    let run = world.run(&["plan"]).expect(0);
    snapshot!(run.stdout);
    assert_eq!(run.stderr, "");
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["plan", "--detailed-exitcode"]).expect(2);
}

#[test]
fn a_plan_as_json_is_one_document() {
    let world = project();
    let run = world.run(&["plan", "--json"]).expect(0);
    snapshot!(run.stdout);
    assert_eq!(run.json()["format_version"], json!(1));
}

#[test]
fn a_plan_in_sync_is_empty() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    snapshot!(world.run(&["plan", "--detailed-exitcode"]).expect(0).stdout);
}

#[test]
fn drifted_content_is_a_unified_diff() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("[alice, bob]", "[alice, carol]"));
    snapshot!(world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout);
}

#[test]
fn text_from_aws_is_never_printed_raw() {
    let world = project();
    let hostile = "version: \u{1b}[2J\u{202e}gone\r\n";
    let put = json!({ "Name": "/sentinel/policies/dev", "Value": hostile, "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    let run = world.run(&["plan", "--color", "never"]).expect(0);
    assert!(run.stdout.contains("-version: \\u{1b}[2J\\u{202e}gone\\r"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\u{202e}'), "{}", run.stdout);
}

/// Every difference of a table with the required consent. One of them cannot be changed, so an apply does not change the table.
#[test]
fn table_drift_is_shown_by_field_and_refused_if_a_part_is_impossible() {
    let world = project();
    let index = |name: &str, partition: &str, sort: &str| {
        json!({ "IndexName": name, "Projection": { "ProjectionType": "KEYS_ONLY" }, "KeySchema": [
            { "AttributeName": partition, "KeyType": "HASH" }, { "AttributeName": sort, "KeyType": "RANGE" } ] })
    };
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    world.aws(
        "DynamoDB_20120810.CreateTable",
        &json!({
            "TableName": "acme-sessions",
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [
                attribute("id", "N"), attribute("user", "S"), attribute("started_at", "S"), attribute("old", "S"),
            ],
            "GlobalSecondaryIndexes": [index("user-index", "user", "started_at"), index("old-index", "old", "started_at")],
            "BillingMode": "PAY_PER_REQUEST",
            "Tags": [{ "Key": "team", "Value": "web" }],
        }),
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[tables.sessions]\nname = \"acme-sessions\"\n\
        point_in_time_recovery = true\ndeletion_protection = true\nencryption = \"aws-managed\"\ntags = { team = \"security\" }\n");
    snapshot!(world.run(&["plan", "--detailed-exitcode"]).expect(2).stdout);
    world.calls();
    // Its key cannot change: the table is refused, and only its protection is restored.
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.writes(), ["UpdateTable", "UpdateContinuousBackups"]);
}

#[test]
fn a_missing_permission_is_unknown_and_others_continue() {
    let world = project();
    world.fail("DescribeTable", "AccessDeniedException", "sentinel-requests");
    world.fail("GetParameters", "AccessDeniedException", "staging");
    let run = world.run(&["plan"]).expect(0);
    snapshot!(run.stdout);
    world.run(&["plan", "--detailed-exitcode"]).expect(3);
}

#[test]
fn an_unreadable_setting_is_named() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.fail("DescribeTimeToLive", "AccessDeniedException", "acme-audit");
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(3);
    assert!(run.stdout.contains("ttl: no permission for dynamodb:DescribeTimeToLive"), "{}", run.stdout);
}

#[test]
fn a_failed_read_is_an_error_and_others_are_shown() {
    let world = project();
    world.fail("DescribeTable", "ValidationException", "sentinel-requests");
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stdout.contains("ValidationException by the test"), "{}", run.stdout);
    assert!(run.stdout.contains("+ Sessions table: acme-sessions"), "{}", run.stdout);
}

#[test]
fn another_account_is_refused() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\naccount_id = \"999999999999\"\n[profiles.dev]\n");
    let run = world.run(&["plan"]).expect(4);
    snapshot!(run.stderr);
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn missing_credentials_are_an_error_with_a_fix() {
    let world = project();
    let mut command = world.command(&["plan", "--endpoint-url", world.url()]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    let run = crate::world::finish(command.spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("hint: set credentials"), "{}", run.stderr);
}

#[test]
fn an_unreachable_endpoint_is_an_error() {
    let world = project();
    let command = world.command(&["plan", "--endpoint-url", "http://127.0.0.1:9"]).spawn().unwrap();
    let run = crate::world::finish(command).expect(1);
    assert!(
        run.stderr.contains("error[E302]: checking the credentials (sts:GetCallerIdentity): no connection"),
        "{}",
        run.stderr
    );
}

/// ceil(N/10) + 2T calls, and one to identify the caller.
#[test]
fn a_plan_of_100_policies_and_3_tables_makes_19_calls() {
    let world = World::new();
    let mut manifest = String::from("[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n");
    for number in 0..100 {
        manifest.push_str(&format!("[profiles.p{number}]\n"));
    }
    world.write("sentinel.toml", &manifest);
    for command in ["plan", "status"] {
        world.run(&[command]).expect(0);
        let calls = world.calls();
        let count = |name: &str| calls.iter().filter(|call| call.operation == name).count();
        assert_eq!(count("GetParameters"), 10);
        assert_eq!(count("DescribeTable"), 3);
        assert_eq!(count("DescribeTimeToLive"), 3);
        assert_eq!(count("GetCallerIdentity"), 1);
        assert_eq!(count("GetResources"), 2);
        assert_eq!(calls.len(), 19);
        assert!(!calls.iter().any(Call::writes));
    }
}

#[test]
fn tiers_and_tags_are_read_only_if_managed() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\ntier = \"advanced\"\ntags = { team = \"x\" }\n[profiles.b]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.calls();
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let mut names: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    names.sort();
    names.dedup();
    let expected = ["DescribeParameters", "GetCallerIdentity", "GetParameters", "GetResources", "ListTagsForResource"];
    assert_eq!(names, expected);
}

/// A file that is named by mistake is not changed.
#[test]
fn an_output_never_overwrites_a_manifest_or_a_policy() {
    let world = project();
    for file in ["sentinel.toml", "policies/dev.yaml"] {
        let before = std::fs::read_to_string(world.folder.path().join(file)).unwrap();
        let refused = world.run(&["plan", "--out-markdown", file]).expect(1);
        assert!(
            refused.stderr.contains("error[E002]") && refused.stderr.contains("was not changed"),
            "{}",
            refused.stderr
        );
        assert_eq!(std::fs::read_to_string(world.folder.path().join(file)).unwrap(), before);
    }
    world.run(&["plan", "--out-markdown", "plan.md"]).expect(0);
    world.run(&["plan", "--out-markdown", "plan.md"]).expect(0);
    // An output that cannot be written is reported before AWS is called.
    world.calls();
    for (file, why) in [("nowhere/plan.md", "its folder does not exist"), ("policies", "this is a folder")] {
        let refused = world.run(&["plan", "--json", "--out-markdown", file]).expect(1);
        assert!(refused.stderr.contains(why) && refused.json()["error"]["code"] == json!("E002"), "{}", refused.stderr);
    }
    assert!(world.calls().is_empty());
}

/// Unchanged policies have no effect to report, and deleted ones do.
#[test]
fn the_meaning_of_a_policy_change_is_shown_for_planned_changes() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let other = POLICY.replace("[alice, bob]", "[mallory]");
    let put = json!({ "Name": "/sentinel/policies/dev", "Value": other, "Type": "String", "Overwrite": true });
    world.aws("AmazonSSM.PutParameter", &put);
    assert!(
        world
            .run(&["plan"])
            .expect(0)
            .stdout
            .contains("Access: alice and bob gain dev\n              mallory loses dev")
    );
    let left_alone = world.run(&["plan", "--only", "tables.*"]).expect(0).stdout;
    assert!(!left_alone.contains("Access:"), "{left_alone}");
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.staging]\n");
    let pruned = world.run(&["plan", "--prune", "--allow-destructive", "prune"]).expect(0).stdout;
    assert!(pruned.contains("Access: nobody gets dev anymore"), "{pruned}");
    assert!(pruned.contains("destructive  profiles.dev: it is deleted (/sentinel/policies/dev)"), "{pruned}");
    assert!(!world.run(&["plan", "--prune"]).expect(0).stdout.contains("Access:"));
}

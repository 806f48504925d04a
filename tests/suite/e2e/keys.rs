//! Keys, and the tables that refer to them.

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::{Run, World};

/// A key with all managed settings, and a table that it encrypts.
const MANIFEST: &str = r#"[aws]
region = "us-east-1"

[profiles.dev]

[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
encryption = { key = "records" }

[keys.records]
description = "Audit records"
policy = "policies/records.json"
rotation_days = 365
multi_region = false
tags = { team = "security" }
"#;

const POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    { "Sid": "Account", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" },
      "Action": "kms:*", "Resource": "*" },
    { "Sid": "Readers", "Effect": "Allow", "Principal": { "AWS": "123456789012" },
      "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*" }
  ]
}
"#;

fn project(manifest: &str) -> World {
    let world = World::quick();
    world.write("sentinel.toml", manifest).write("policies/records.json", POLICY);
    world
}

fn created(manifest: &str) -> World {
    let world = project(manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.calls();
    world
}

impl World {
    #[track_caller]
    fn kms(&self, operation: &str, body: &Value) -> Value {
        self.aws(&format!("TrentService.{operation}"), body)
    }

    /// Returns the description of an alias's key.
    #[track_caller]
    fn key(&self, alias: &str) -> Value {
        self.kms("DescribeKey", &json!({ "KeyId": alias }))["KeyMetadata"].take()
    }

    #[track_caller]
    fn change_key(&self, operation: &str, mut body: Value) {
        body["KeyId"] = self.key("alias/records")["KeyId"].clone();
        self.kms(operation, &body);
    }

    fn count_keys(&self) -> usize {
        self.kms("ListKeys", &json!({}))["Keys"].as_array().unwrap().len()
    }

    fn table_key(&self) -> Value {
        self.table("acme-audit")["SSEDescription"]["KMSMasterKeyArn"].clone()
    }

    /// Checks that the drift of the key is shown, repairs it, and checks that it is gone.
    #[track_caller]
    fn key_repaired(&self, path: &str, flags: &[&str]) -> Run {
        let plan = self.run(&["plan", "--detailed-exitcode"]).expect(2);
        assert!(
            plan.stdout.lines().any(|line| line.trim_start().starts_with(path)),
            "{path} is not in\n{}",
            plan.stdout
        );
        let run = self.run(&[&["apply", "--yes"], flags].concat()).expect(0);
        self.run(&["plan", "--detailed-exitcode"]).expect(0);
        run
    }
}

#[test]
fn a_key_is_created_before_the_table_that_it_encrypts() {
    let world = project(MANIFEST);
    snapshot!(world.run(&["plan"]).expect(0).stdout);
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    let writes = world.writes();
    let at = |operation: &str| writes.iter().position(|write| write == operation).unwrap();
    assert!(at("CreateKey") < at("CreateAlias") && at("CreateAlias") < at("CreateTable"), "{writes:?}");
    let key = world.key("alias/records");
    assert_eq!(world.table_key(), key["Arn"]);
    assert_eq!(key["Description"], "Audit records");
    let plan = world.run(&["plan", "--all", "--detailed-exitcode"]).expect(0);
    assert!(plan.stdout.contains("records key: alias/records"), "{}", plan.stdout);
    assert_eq!(world.count_keys(), 1);
}

#[test]
fn an_empty_key_section_creates_a_key_with_unmanaged_defaults() {
    let world = created("[aws]\nregion = \"us-east-1\"\n[keys.records]\n");
    let key = world.key("alias/records");
    assert_eq!(key["Description"], "alias/records, created by sentinel");
    let policy = world.kms("GetKeyPolicy", &json!({ "KeyId": key["KeyId"] }))["Policy"].take();
    assert!(policy.as_str().unwrap().contains("Enable IAM User Permissions"), "{policy}");
    let reads: Vec<String> = {
        world.calls();
        world.run(&["plan"]).expect(0);
        let reads = world.calls().into_iter().filter(|call| call.service == "kms");
        reads.map(|call| call.operation).collect()
    };
    assert_eq!(reads, ["DescribeKey"]);
    world.change_key("UpdateKeyDescription", json!({ "Description": "by hand" }));
    world.change_key("EnableKeyRotation", json!({}));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn drift_of_each_field_is_shown_and_repaired() {
    let world = created(MANIFEST);
    world.change_key("UpdateKeyDescription", json!({ "Description": "by hand" }));
    world.key_repaired("description", &[]);
    world.change_key("DisableKeyRotation", json!({}));
    world.key_repaired("rotation", &[]);
    world.change_key("EnableKeyRotation", json!({ "RotationPeriodInDays": 400 }));
    world.key_repaired("rotation", &[]);
    world.change_key("TagResource", json!({ "Tags": [{ "TagKey": "team", "TagValue": "other" }] }));
    world.key_repaired("tags.team", &[]);
    world.change_key("TagResource", json!({ "Tags": [{ "TagKey": "stray", "TagValue": "x" }] }));
    world.key_repaired("tags.stray", &[]);
    let other = POLICY.replace("kms:Decrypt", "kms:Encrypt");
    world.change_key("PutKeyPolicy", json!({ "PolicyName": "default", "Policy": other }));
    snapshot!(world.run(&["plan"]).expect(0).stdout);
    world.key_repaired("+++ policy", &[]);
}

#[test]
fn an_equivalent_key_policy_is_not_a_difference() {
    let world = created(MANIFEST);
    let spelled = json!({
        "Statement": [
            { "Resource": ["*"], "Action": ["KMS:DescribeKey", "kms:decrypt"], "Effect": "Allow", "Sid": "Readers",
              "Principal": { "AWS": ["arn:aws:iam::123456789012:root"] } },
            { "Sid": "Account", "Effect": "Allow", "Principal": { "AWS": ["123456789012"] }, "Action": ["kms:*"],
              "Resource": "*" },
        ],
        "Version": "2012-10-17",
    });
    world.change_key("PutKeyPolicy", json!({ "PolicyName": "default", "Policy": spelled.to_string() }));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_table_with_another_key_differs_from_the_aws_managed_key() {
    let world = created(MANIFEST);
    world.write("sentinel.toml", &MANIFEST.replace("{ key = \"records\" }", "\"aws-managed\""));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("refused without --allow-destructive protection"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "protection"]).expect(0);
    assert_eq!(world.table_key(), world.key("alias/aws/dynamodb")["Arn"]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // Many tables take one lookup of the key.
    let table = |number: usize| {
        format!("[tables.t{number}]\nname = \"t-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n")
            + "encryption = \"aws-managed\"\n"
    };
    world.write("sentinel.toml", &(1..=5).map(table).collect::<String>());
    world.run(&["apply", "--yes"]).expect(0);
    world.calls();
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(world.calls().iter().filter(|call| call.operation == "DescribeKey").count(), 1);
    world.fail("DescribeKey", "AccessDeniedException", "");
    let plan = world.run(&["plan", "--json"]).json();
    assert_eq!(plan["resources"][0]["unknown"][0]["action"], "kms:DescribeKey");
    assert_eq!(plan["resources"][0]["unknown"][0]["path"], "encryption");
}

#[test]
fn fifty_tags_can_all_be_renamed() {
    let tags = |letter: char| {
        let all: Vec<String> = (0..45).map(|number| format!("{letter}{number} = \"x\"")).collect();
        format!("tags = {{ {} }}", all.join(", "))
    };
    let manifest = |letter| {
        let manifest = MANIFEST.replace("tags = { team = \"security\" }", &tags(letter));
        manifest.replace("name = \"acme-audit\"", &format!("name = \"acme-audit\"\n{}", tags(letter)))
    };
    let world = created(&manifest('a'));
    world.write("sentinel.toml", &manifest('b'));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn dependents_of_an_unusable_key_are_skipped_with_the_reason() {
    let world = created(MANIFEST);
    let topic = "[topics.alerts]\nkey = { key = \"records\" }\n[topics.plain]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}{topic}"));
    for (operation, body, state) in [
        ("DisableKey", json!({}), "Disabled"),
        ("ScheduleKeyDeletion", json!({ "PendingWindowInDays": 7 }), "PendingDeletion"),
    ] {
        world.change_key(operation, body);
        world.calls();
        let run = world.run(&["apply", "--yes"]);
        let why = format!("skipped, it depends on keys.records, which cannot be used: its status is {state}");
        assert!(run.stdout.contains(&why), "{}", run.stdout);
        assert!(run.stdout.contains("it will be skipped: it depends on keys.records"), "{}", run.stdout);
        assert!(!world.sns("ListTopics", &[]).contains(":alerts<"));
    }
    // Independent resources are applied.
    assert!(world.sns("ListTopics", &[]).contains(":plain<"));
}

#[test]
fn a_filtered_key_is_reported_if_a_new_resource_refers_to_it() {
    let world = project(MANIFEST);
    let expected = "it refers to keys.records, which --only or --exclude excludes";
    let plan = world.run(&["plan", "--only", "tables.*"]).expect(0);
    assert!(plan.stdout.contains(expected), "{}", plan.stdout);
    assert!(!world.run(&["plan"]).expect(0).stdout.contains(expected));
    world.run(&["apply", "--yes"]).expect(0);
    assert!(!world.run(&["plan", "--only", "tables.*"]).expect(0).stdout.contains(expected));
}

#[test]
fn turning_rotation_off_needs_consent() {
    let world = created(MANIFEST);
    world.write("sentinel.toml", &MANIFEST.replace("rotation_days = 365", "rotation = false"));
    world.run(&["apply", "--yes"]).expect(4);
    world.key_repaired("rotation", &["--allow-destructive", "protection"]);
}

#[test]
fn a_single_region_key_cannot_become_multi_region() {
    let world = created(MANIFEST);
    world.write("sentinel.toml", &MANIFEST.replace("multi_region = false", "multi_region = true"));
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("multi_region"), "{}", run.stdout);
}

#[test]
fn a_disabled_or_deleted_key_is_refused_with_a_fix() {
    let world = created(MANIFEST);
    world.change_key("DisableKey", json!({}));
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(
        plan.stdout.contains("aws kms enable-key --key-id arn:aws:kms:us-east-1:123456789012:key/"),
        "{}",
        plan.stdout
    );
    world.run(&["apply", "--yes"]).expect(4);
    world.change_key("EnableKey", json!({}));
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.change_key("ScheduleKeyDeletion", json!({ "PendingWindowInDays": 7 }));
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("aws kms cancel-key-deletion --key-id"), "{}", plan.stdout);
    world.calls();
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_moved_alias_is_drift_of_the_table() {
    let world = created(MANIFEST);
    let before = world.table_key();
    let policy = world.kms("GetKeyPolicy", &json!({ "KeyId": before }))["Policy"].take();
    let other =
        world.kms("CreateKey", &json!({ "Description": "another", "Policy": policy }))["KeyMetadata"]["KeyId"].take();
    world.kms("UpdateAlias", &json!({ "AliasName": "alias/records", "TargetKeyId": other }));
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    // The key of the alias differs from the manifest, and the table has the earlier key.
    assert!(plan.stdout.contains("description") && plan.stdout.contains(before.as_str().unwrap()), "{}", plan.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(world.table_key(), world.key("alias/records")["Arn"]);
}

#[test]
fn an_alias_moved_between_plan_and_apply_is_a_conflict() {
    let world = created(MANIFEST);
    world.change_key("UpdateKeyDescription", json!({ "Description": "by hand" }));
    world.run(&["plan", "--out", "plan.bin"]).expect(0);
    let other = world.kms("CreateKey", &json!({}))["KeyMetadata"]["KeyId"].take();
    world.kms("UpdateAlias", &json!({ "AliasName": "alias/records", "TargetKeyId": other }));
    world.calls();
    let run = world.run(&["apply", "plan.bin", "--yes"]);
    assert_ne!(run.code, 0, "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_table_is_skipped_when_its_key_could_not_be_created() {
    let world = project(MANIFEST);
    world.fail("CreateKey", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes"]).expect(5);
    assert!(run.stdout.contains("depends on keys.records"), "{}", run.stdout);
    assert!(run.stdout.contains("kms:CreateKey: AccessDenied"), "{}", run.stdout);
    assert!(world.parameter("/sentinel/policies/dev").contains("deny"));
    assert!(!world.writes().contains(&String::from("CreateTable")));
    world.clear_faults();
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_key_without_its_alias_is_reported_with_a_fix() {
    let world = project(MANIFEST);
    world.fail("CreateAlias", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes"]).expect(5);
    let id = world.kms("ListKeys", &json!({}))["Keys"][0]["KeyId"].as_str().unwrap().to_owned();
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    let advice = format!("aws kms create-alias --alias-name alias/records --target-key-id {id}");
    assert!(words.join(" ").contains(&format!("first run {advice}, then the same command again")), "{}", run.stdout);
    world.clear_faults();
    world.kms("CreateAlias", &json!({ "AliasName": "alias/records", "TargetKeyId": id }));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(world.count_keys(), 1);
}

#[test]
fn a_key_with_a_lost_creation_response_is_not_created_twice() {
    let world = project(MANIFEST);
    world.lose("CreateKey");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.count_keys(), 1);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_failed_key_creation_is_retried_after_a_search() {
    let world = project(MANIFEST);
    let mut left = 1;
    world.fault(move |call| {
        let fails = call.operation == "CreateKey" && left > 0;
        left -= i32::from(fails);
        fails.then(|| crate::world::Answer::error(500, "KMSInternalException", "by the test"))
    });
    world.run(&["apply", "--yes"]).expect(0);
    let calls: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    let looked = calls.iter().position(|name| name == "ListKeys").unwrap();
    let created: Vec<usize> = (0..calls.len()).filter(|index| calls[*index] == "CreateKey").collect();
    assert!(created.len() == 2 && created[0] < looked && looked < created[1], "{calls:?}");
    assert_eq!(world.count_keys(), 1);
}

#[test]
fn an_alias_with_a_lost_creation_response_is_verified() {
    let world = project(MANIFEST);
    world.lose("CreateAlias");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.count_keys(), 1);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_table_accepts_an_unlisted_alias() {
    let manifest = r#"[aws]
region = "us-east-1"
[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
encryption = "alias/theirs"
"#;
    let world = project(manifest);
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(run.stdout.contains("NotFoundException"), "{}", run.stdout);
    let id = world.kms("CreateKey", &json!({}))["KeyMetadata"]["KeyId"].take();
    world.kms("CreateAlias", &json!({ "AliasName": "alias/theirs", "TargetKeyId": id }));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(world.table_key(), world.key("alias/theirs")["Arn"]);
}

#[test]
fn a_table_is_switched_to_its_key() {
    let without = MANIFEST.replace("encryption = { key = \"records\" }\n", "");
    let world = created(&without);
    world.write("sentinel.toml", MANIFEST);
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("alias/records"), "{}", plan.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert_eq!(world.table_key(), world.key("alias/records")["Arn"]);
}

#[test]
fn an_unreadable_alias_makes_encryption_unknown() {
    let world = created(MANIFEST);
    world.fail("DescribeKey", "AccessDeniedException", "");
    let plan = world.run(&["plan"]);
    assert!(plan.stdout.contains("kms:DescribeKey"), "{}", plan.stdout);
    world.calls();
    world.run(&["apply", "--yes"]);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn unlisted_keys_are_reported_and_not_changed() {
    let world = created(MANIFEST);
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    let run = world.run(&["apply", "--prune", "--yes"]);
    assert!(run.stdout.contains("alias/records"), "{}", run.stdout);
    assert_eq!(world.key("alias/records")["KeyState"], "Enabled");
}

#[test]
fn faults_of_a_key_have_a_fix() {
    let world = project(&MANIFEST.replace("key = \"records\"", "key = \"record\""));
    let mut told = world.run(&["validate"]).expect(1).stderr;
    let broken = r#"[aws]
region = "us-east-1"

[keys.a]
rotation = true
rotation_days = 365

[keys.b]
alias = "records"
rotation_days = 30
policy = "policies/none.json"

[keys.c]
alias = "alias/aws/dynamodb"
policy = "policies/broken.json"

["keys"."d d"]

[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
encryption = "alias/aws/dynamodb"

[tables.other]
name = "acme-other"
partition_key = { name = "id", type = "S" }
encryption = { topic = "x" }
"#;
    world.write("sentinel.toml", broken).write("policies/broken.json", &POLICY.replace("Resource", "Resources"));
    told.push_str(&world.run(&["validate"]).expect(1).stderr);
    snapshot!(told);
}

//! A manifest with resources of every kind that refer to each other.

use serde_json::{Value, json};

use crate::world::World;

const MANIFEST: &str = r#"[aws]
region = "us-east-1"

[profiles.dev]
policy = "policies/dev.yaml"
[profiles.prod]

[tables.audit]
name = "acme-audit"
partition_key = { name = "id", type = "S" }
encryption = { key = "records" }
point_in_time_recovery = true

[keys.records]
description = "Audit records"
rotation_days = 365

[topics.alerts]
display_name = "Alerts"
key = { key = "records" }
[topics.alerts.subscriptions.queue]
protocol = "sqs"
endpoint = "arn:aws:sqs:us-east-1:123456789012:alerts"
filter_policy = { event = ["denied"] }
[topics.alerts.subscriptions.function]
protocol = "lambda"
endpoint = "arn:aws:lambda:us-east-1:123456789012:function:alert"
"#;

fn project() -> World {
    let world = World::quick();
    world.write("sentinel.toml", MANIFEST);
    world.write(
        "policies/dev.yaml",
        "version: \"1\"\nrules:\n  - { name: alice, effect: allow, conditions: { users: [alice] } }\n",
    );
    world
}

fn position(writes: &[String], operation: &str) -> usize {
    writes.iter().position(|write| write == operation).unwrap_or_else(|| panic!("no {operation} in {writes:?}"))
}

#[test]
fn dependents_of_a_key_are_applied_after_it() {
    let world = project();
    let plan = world.run(&["plan"]).expect(0).stdout;
    for heading in ["Policy parameters", "DynamoDB tables", "KMS keys", "SNS topics"] {
        assert!(plan.contains(heading), "{heading} is not in\n{plan}");
    }
    assert!(!plan.contains("known after"), "{plan}");
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    let writes = world.writes();
    let alias = position(&writes, "CreateAlias");
    assert!(alias < position(&writes, "CreateTable") && alias < position(&writes, "CreateTopic"), "{writes:?}");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let status = world.run(&["status", "--json"]).expect(0).json();
    for (section, name) in [("tables", "acme-audit"), ("keys", "alias/records"), ("topics", "alerts")] {
        assert_eq!(status[section][0]["name"], name, "{status}");
        assert_eq!(status[section][0]["state"], "present", "{status}");
    }
    let counts = world.run(&["validate", "--json"]).expect(0).json();
    assert_eq!([&counts["profiles"], &counts["tables"], &counts["keys"], &counts["topics"]], [2, 1, 1, 1]);
    let graph = world.run(&["graph"]).expect(0).stdout;
    assert_eq!(graph.matches("|\"encryption\"|").count() + graph.matches("|\"key\"|").count(), 2, "{graph}");
}

#[test]
fn a_saved_plan_of_every_kind_is_applied() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["show", "p.json"]).expect(0);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn dependents_of_a_missing_key_are_skipped_and_others_are_applied() {
    let world = project();
    world.fail("CreateKey", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes"]).expect(5);
    assert_eq!(run.stdout.matches("depends on keys.records").count(), 2, "{}", run.stdout);
    let writes = world.writes();
    assert!(!writes.iter().any(|write| write == "CreateTable" || write == "CreateTopic"), "{writes:?}");
    assert!(world.parameter("/sentinel/policies/dev").contains("alice"));
    assert!(world.parameter("/sentinel/policies/prod").contains("deny"));
    world.clear_faults();
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

const NAMED: &[&str] =
    &["--resource", "keys=alias/records", "--resource", "topics=alerts", "--resource", "tables=acme-audit"];

/// Imports into a new folder, and returns the manifest and the warnings.
#[track_caller]
fn import(world: &World, folder: &str, named: &[&str]) -> (String, Value) {
    let run = world.run(&[&["import", "--region", "us-east-1", "-o", folder, "--json"][..], named].concat()).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join(folder).join("sentinel.toml")).unwrap();
    world.run(&["plan", "-f", &format!("{folder}/sentinel.toml"), "--detailed-exitcode"]).expect(0);
    (manifest, run.json())
}

#[test]
fn resources_that_refer_to_each_other_are_imported_with_their_references() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let (manifest, imported) = import(&world, "live", NAMED);
    for section in [
        "[keys.records]\ndescription = \"Audit records\"\nrotation_days = 365\n",
        "[topics.alerts]\ndisplay_name = \"Alerts\"\nkey = { key = \"records\" }\n",
        "encryption = { key = \"records\" }\npoint_in_time_recovery = true\n",
        "[topics.alerts.subscriptions.lambda-alert]\n",
        "filter_policy = { event = [\"denied\"] }\n",
    ] {
        assert!(manifest.contains(section), "{section} is not in\n{manifest}");
    }
    assert_eq!(imported["warnings"], json!([]));
}

#[test]
fn unlistable_kinds_are_reported_and_others_are_imported() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.fail("ListTopics", "AuthorizationError", "");
    world.fail("ListAliases", "AccessDeniedException", "");
    let (manifest, imported) = import(&world, "live", &["--resource", "tables=acme-audit"]);
    for (section, action) in [("topics", "sns:ListTopics"), ("keys", "kms:ListAliases")] {
        let reported =
            imported["warnings"].as_array().unwrap().iter().find(|warning| warning["name"] == section).unwrap();
        let why = reported["why"].as_str().unwrap();
        assert!(why.contains(action) && why.contains(&format!("--resource {section}=NAME")), "{why}");
        assert!(!manifest.contains(&format!("[{section}.")), "{manifest}");
    }
    assert!(manifest.contains("[tables.acme-audit]\n"), "{manifest}");
}

#[test]
fn keys_and_topics_with_the_ownership_tag_are_imported_without_being_named() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let other = world.aws("TrentService.CreateKey", &json!({}))["KeyMetadata"]["KeyId"].clone();
    world.aws("TrentService.CreateAlias", &json!({ "AliasName": "alias/other", "TargetKeyId": other }));
    let (manifest, _) = import(&world, "live", &[]);
    for section in ["[profiles.dev]", "[profiles.prod]", "[keys.records]", "[topics.alerts]"] {
        assert!(manifest.contains(section), "{section} is not in\n{manifest}");
    }
    assert!(!manifest.contains("[keys.other]") && !manifest.contains("[tables."), "{manifest}");
}

#[test]
fn the_documents_of_a_key_and_a_topic_are_imported_as_files() {
    let world = project();
    let statement = |principal: Value, action: &str| json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*" });
    let document = |statement: Value| json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    world.write("key.json", &document(statement(json!({ "AWS": "arn:aws:iam::123456789012:root" }), "kms:*")));
    world.write("topic.json", &document(statement(json!({ "Service": "cloudwatch.amazonaws.com" }), "SNS:Publish")));
    world.write("delivery.json", "{ \"http\": { \"defaultHealthyRetryPolicy\": { \"numRetries\": 5 } } }");
    world.write("filter.json", "{ \"event\": [\"denied\", null] }");
    let manifest = MANIFEST
        .replace("rotation_days", "policy = \"key.json\"\nrotation_days")
        .replace("display_name", "policy = \"topic.json\"\ndelivery_policy = \"delivery.json\"\ndisplay_name")
        .replace("{ event = [\"denied\"] }", "\"filter.json\"");
    let email = "[topics.alerts.subscriptions.ops]\nprotocol = \"email\"\nendpoint = \"ops@example.com\"\n";
    world.write("sentinel.toml", &format!("{manifest}{email}"));
    world.run(&["apply", "--yes"]);
    let (manifest, imported) = import(&world, "live", NAMED);
    for setting in [
        "policy = \"policies/records.json\"",
        "policy = \"policies/alerts.json\"",
        "delivery_policy = \"policies/alerts-delivery.json\"",
        "filter_policy = \"policies/alerts-sqs-alerts-filter.json\"",
    ] {
        assert!(manifest.contains(setting), "{setting} is not in\n{manifest}");
    }
    assert!(!manifest.contains("ops@example.com"), "{manifest}");
    let why = imported["warnings"][0]["why"].as_str().unwrap();
    assert!(why.contains("email ops@example.com is omitted: it waits for confirmation"), "{imported}");
}

#[test]
fn a_named_key_or_topic_that_is_missing_fails_the_import() {
    let world = World::quick();
    for (named, message) in [
        ("keys=alias/none", "there is no key alias/none"),
        ("keys=none", "does not begin with alias/"),
        ("topics=none", "there is no topic none"),
        ("topics=a.b", "is not a valid SNS topic name"),
    ] {
        let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--resource", named]).expect(1);
        assert!(run.stderr.contains(message), "{named}: {}", run.stderr);
    }
    assert!(!world.folder.path().join("live").exists());
}

/// Covers the calls for each kind, and nothing of another service on its resources.
#[test]
fn the_permissions_of_every_kind_are_derived() {
    let world = project();
    let document = world.run(&["iam", "--for", "apply", "--json"]).expect(0).json();
    let mut found: Vec<(String, Value)> = Vec::new();
    for statement in document["policies"].as_array().unwrap().iter().flat_map(|policy| {
        let policy = policy.get("document").unwrap_or(policy);
        policy["Statement"].as_array().cloned().unwrap_or_default()
    }) {
        for action in statement["Action"].as_array().unwrap() {
            found.push((action.as_str().unwrap().to_owned(), statement.clone()));
        }
    }
    let statements_with = |action: &str| {
        let all: Vec<&Value> = found.iter().filter(|(one, _)| one == action).map(|(_, statement)| statement).collect();
        assert!(!all.is_empty(), "{action} is not in {found:?}");
        all
    };
    assert_eq!(statements_with("kms:CreateKey")[0]["Resource"], json!(["*"]));
    let aliases = json!({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": ["alias/records"] } });
    assert!(statements_with("kms:UpdateKeyDescription").iter().all(|statement| statement["Condition"] == aliases));
    // A condition recognizes a new alias only after minutes, so operations that read or add protection have none.
    for action in ["kms:DescribeKey", "kms:ListResourceTags", "kms:EnableKeyRotation"] {
        assert!(statements_with(action).iter().any(|statement| statement["Condition"].is_null()), "{action}");
    }
    // DynamoDB uses the key of a table on behalf of the caller.
    let lent = statements_with("kms:CreateGrant");
    assert_eq!(lent[0]["Condition"]["StringLike"], json!({ "kms:ViaService": "dynamodb.us-east-1.*" }));
    assert_eq!(lent[0]["Condition"]["ForAnyValue:StringEquals"], aliases["ForAnyValue:StringEquals"]);
    let topic = json!(["arn:aws:sns:us-east-1:*:alerts"]);
    assert_eq!(statements_with("sns:CreateTopic")[0]["Resource"], topic);
    assert_eq!(statements_with("sns:SetSubscriptionAttributes")[0]["Resource"], json!(["*"]));
    for (action, statement) in &found {
        let foreign = statement["Resource"].as_array().unwrap().iter().any(|resource| {
            let service = resource.as_str().unwrap().split(':').nth(2);
            service.is_some_and(|service| Some(service) != action.split(':').next())
        });
        assert!(!foreign, "{action}: {statement}");
    }
}

/// The documents of `sentinel iam --for PURPOSE`.
fn permissions(world: &World, purpose: &str) -> Vec<String> {
    let all = world.run(&["iam", "--for", purpose, "--json"]).expect(0).json();
    all["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy.get("document").unwrap_or(policy).to_string())
        .collect()
}

#[test]
fn the_derived_permissions_suffice_to_plan_apply_and_repair() {
    let world = project();
    for (user, purpose) in [("ann", "apply"), ("ben", "plan")] {
        let documents = permissions(&world, purpose);
        world.restrict(user, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.run_as("ben", &["apply", "--yes"]).expect(1);
    world.run_as("ann", &["apply", "--yes"]).expect(0);
    world.run_as("ben", &["plan", "--detailed-exitcode"]).expect(0);

    let key =
        world.aws("TrentService.DescribeKey", &json!({ "KeyId": "alias/records" }))["KeyMetadata"]["KeyId"].clone();
    world.aws("TrentService.UpdateKeyDescription", &json!({ "KeyId": key, "Description": "Other" }));
    world.aws("TrentService.DisableKeyRotation", &json!({ "KeyId": key }));
    world.aws(
        "DynamoDB_20120810.UpdateTable",
        &json!({ "TableName": "acme-audit", "SSESpecification": { "Enabled": false } }),
    );
    world.run_as("ben", &["plan", "--detailed-exitcode"]).expect(2);
    world.run_as("ann", &["apply", "--yes"]).expect(0);
    world.run_as("ben", &["plan", "--detailed-exitcode"]).expect(0);
}

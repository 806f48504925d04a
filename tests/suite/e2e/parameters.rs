//! The settings of a policy parameter other than its content.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::POLICY;
use crate::world::{Answer, World};

const NAME: &str = "/sentinel/policies/dev";

fn put(world: &World, extra: &serde_json::Value) {
    let mut body = json!({ "Name": NAME, "Value": POLICY, "Type": "String" });
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    world.aws("AmazonSSM.PutParameter", &body);
}

/// Returns the metadata of the parameter, without parts that each write changes.
fn metadata(world: &World) -> serde_json::Value {
    let filters = json!({ "ParameterFilters": [{ "Key": "Name", "Values": [NAME] }] });
    let mut found = world.aws("AmazonSSM.DescribeParameters", &filters)["Parameters"][0].clone();
    for moving in ["Version", "LastModifiedDate"] {
        found.as_object_mut().unwrap().remove(moving);
    }
    found
}

fn with_policy() -> World {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"dev.yaml\"\n").write("dev.yaml", POLICY);
    world
}

#[test]
fn import_writes_the_tier_of_a_small_advanced_parameter() {
    let world = World::new();
    put(&world, &json!({ "Tier": "Advanced" }));
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(manifest.contains("tier = \"advanced\"\n"), "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

/// The tier and all unmanaged settings are sent unchanged: once, and never lower.
#[test]
fn an_overwrite_keeps_every_setting_that_the_manifest_does_not_manage() {
    let world = with_policy();
    let expires =
        json!([{ "Type": "Expiration", "Version": "1.0", "Attributes": { "Timestamp": "2031-01-01T00:00:00.000Z" } }]);
    put(
        &world,
        &json!({
            "Tier": "Advanced", "Description": "who may do what", "AllowedPattern": "(?s).+",
            "Policies": expires.to_string(),
        }),
    );
    let before = metadata(&world);
    let sent: Arc<Mutex<Vec<serde_json::Value>>> = Arc::default();
    let log = Arc::clone(&sent);
    world.fault(move |call| {
        if call.operation == "PutParameter" {
            log.lock().unwrap().push(call.body.clone());
        }
        None
    });
    world.write("dev.yaml", &POLICY.replace("alice", "eve"));
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(metadata(&world), before);
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1);
    for (member, expected) in
        [("Tier", json!("Advanced")), ("Description", json!("who may do what")), ("AllowedPattern", json!("(?s).+"))]
    {
        assert_eq!(sent[0][member], expected);
    }
}

/// A policy must be readable, even if its content is not managed.
#[test]
fn a_profile_without_a_policy_on_another_parameter_type_is_refused() {
    for kind in ["SecureString", "StringList"] {
        let world = World::new();
        world.write("sentinel.toml", "[profiles.dev]\n");
        put(&world, &json!({ "Type": kind, "Value": "a,b" }));
        let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
        assert!(plan.stdout.contains(kind) && plan.stdout.contains("delete the parameter"), "{}", plan.stdout);
        world.run(&["apply", "--yes"]).expect(4);
        let read = json!({ "Name": NAME, "WithDecryption": true });
        assert_eq!(world.aws("AmazonSSM.GetParameter", &read)["Parameter"]["Value"], "a,b");
    }
}

/// Another apply of the same manifest writes while this one waits for its turn.
#[test]
fn content_of_a_concurrent_apply_is_not_written_again() {
    let world = with_policy();
    world.run(&["apply", "--yes"]).expect(0);
    let before = json!({ "Parameters": [{ "Name": NAME, "Type": "String", "Value": POLICY, "Version": 1 }] });
    let changed = POLICY.replace("alice", "eve");
    world.write("dev.yaml", &changed);
    put(&world, &json!({ "Value": changed, "Overwrite": true }));
    let counts: Arc<Mutex<(u32, u32)>> = Arc::default();
    let seen = Arc::clone(&counts);
    world.fault(move |call| {
        let mut seen = seen.lock().unwrap();
        match call.operation.as_str() {
            // The plan, and the read before the first attempt.
            "GetParameters" if seen.0 < 2 => {
                seen.0 += 1;
                Some(Answer {
                    status: 200,
                    content_type: "application/x-amz-json-1.1",
                    body: before.to_string().into_bytes(),
                })
            }
            "PutParameter" => {
                seen.1 += 1;
                Some(Answer::error(400, "ThrottlingException", "Rate exceeded"))
            }
            _ => None,
        }
    });
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(*counts.lock().unwrap(), (2, 1));
}

const SETTINGS: &str = r#"[profiles.dev]
policy = "dev.yaml"
tier = "advanced"
description = "who may do what"
allowed_pattern = "(?s)version.*"
data_type = "text"

[profiles.dev.parameter_policies]
expiration = "2031-01-01T00:00:00Z"
expiration_notifications = ["15 days", "6 hours"]
no_change_notifications = ["20 days"]
"#;

#[test]
fn every_setting_is_created_repaired_and_imported() {
    let world = with_policy();
    world.write("sentinel.toml", SETTINGS);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let created = metadata(&world);
    assert_eq!(created["Policies"].as_array().unwrap().len(), 4);
    for (field, drift) in [
        ("description", json!({ "Description": "another" })),
        ("allowed_pattern", json!({ "AllowedPattern": ".*(?s).*" })),
        ("data_type", json!({ "DataType": "aws:ssm:integration" })),
        ("parameter_policies", json!({ "Policies": "[{}]" })),
    ] {
        let mut body = drift.clone();
        body["Overwrite"] = json!(true);
        put(&world, &body);
        let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
        assert!(plan.stdout.contains(field), "{field}: {}", plan.stdout);
        world.calls();
        world.run(&["apply", "--yes"]).expect(0);
        assert_eq!(world.writes(), ["PutParameter"]);
        assert_eq!(metadata(&world), created, "{field}");
    }
    // Unmanaged settings are not changed.
    world.write("sentinel.toml", "[profiles.dev]\ndescription = \"another\"\n");
    world.run(&["apply", "--yes"]).expect(0);
    let mut expected = created;
    expected["Description"] = json!("another");
    assert_eq!(metadata(&world), expected);
    // The import has all settings.
    world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    for line in [
        "tier = \"advanced\"",
        "description = \"another\"",
        "allowed_pattern = ",
        "expiration_notifications = [\"15 days\", \"6 hours\"]",
    ] {
        assert!(manifest.contains(line), "{line}: {manifest}");
    }
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
    // Each setting can be removed.
    let none =
        "[profiles.dev]\ndescription = \"\"\nallowed_pattern = \"\"\ntier = \"intelligent\"\nparameter_policies = {}\n";
    world.write("sentinel.toml", none);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let left = metadata(&world);
    assert_eq!(
        (&left["Description"], &left["AllowedPattern"], &left["Policies"]),
        (&json!(null), &json!(null), &json!([]))
    );
    assert_eq!(left["Tier"], "Advanced");
}

#[test]
fn settings_that_parameter_store_refuses_are_faults_of_the_manifest() {
    let world = with_policy();
    for (setting, expected) in [
        ("data_type = \"aws:ec2:image\"", "a policy cannot have the data type"),
        (
            "parameter_policies = { expiration = \"2031-01-01T00:00:00Z\" }",
            "the standard tier has no parameter policies",
        ),
        ("tier = \"advanced\"\nparameter_policies = { expiration = \"soon\" }", "\"soon\" is not a time"),
        (
            "tier = \"advanced\"\nparameter_policies = { expiration_notifications = [\"1 days\"] }",
            "without an expiration",
        ),
        ("tier = \"advanced\"\nparameter_policies = { no_change_notifications = [\"1 week\"] }", "is not a period"),
    ] {
        world.write("sentinel.toml", &format!("[profiles.dev]\n{setting}\n"));
        let run = world.run(&["validate"]);
        assert!(run.code != 0 && run.stderr.contains(expected), "{setting}: {}{}", run.stdout, run.stderr);
    }
}

/// A text that must not be in any output or file.
const CANARY: &str = "canary-in-a-secret-policy";

fn with_secret() -> World {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[keys.policies]\n[profiles.dev]\npolicy = \"dev.yaml\"\ntype = \"SecureString\"\nkey = { key = \"policies\" }\n",
    );
    world.write("dev.yaml", &POLICY.replace("developers", CANARY));
    world
}

fn secret(world: &World) -> String {
    let read = json!({ "Name": NAME, "WithDecryption": true });
    world.aws("AmazonSSM.GetParameter", &read)["Parameter"]["Value"].as_str().unwrap().to_owned()
}

#[test]
fn a_secret_policy_is_created_compared_and_never_shown() {
    let world = with_secret();
    let mut output = String::new();
    let mut run = |args: &[&str], code: i32| {
        let run = world.run(args).expect(code);
        output.push_str(&run.stdout);
        output.push_str(&run.stderr);
        run.stdout
    };
    run(&["plan", "-vv", "--out", "new.plan", "--out-json", "new.json", "--out-html", "new.html"], 0);
    run(&["show", "new.plan"], 0);
    run(&["apply", "new.plan", "--yes", "-vv", "--trace-file", "trace.json"], 0);
    assert!(secret(&world).contains(CANARY));
    let listed = metadata(&world);
    assert_eq!((&listed["Type"], &listed["KeyId"]), (&json!("SecureString"), &json!("alias/policies")));
    run(&["plan", "--detailed-exitcode"], 0);
    let changed = POLICY.replace("developers", &format!("{CANARY}-2"));
    std::fs::write(world.folder.path().join("dev.yaml"), &changed).unwrap();
    let plan = run(&["plan", "--detailed-exitcode", "--out", "changed.plan", "--out-markdown", "changed.md"], 2);
    assert!(plan.contains("a secret -> another secret") && plan.contains("--show-secrets"), "{plan}");
    run(&["plan", "--json"], 0);
    run(&["show", "changed.plan", "--json"], 0);
    run(&["status"], 0);
    // Without the policy file there is no text to write.
    run(&["apply", "changed.plan", "--yes", "--detached"], 4);
    run(&["apply", "changed.plan", "--yes"], 0);
    assert_eq!(secret(&world), changed);
    run(&["plan", "--detailed-exitcode"], 0);
    run(&["iam"], 0);
    assert!(!output.contains(CANARY), "{}", output.lines().find(|line| line.contains(CANARY)).unwrap_or_default());
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("dev.yaml") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(CANARY), "{}", path.display());
        }
    }
}

#[test]
fn test_cases_and_faults_do_not_show_a_secret_policy() {
    let world = with_secret();
    let case = format!("cases:\n  - {{ name: {CANARY}, user: alice, profile: dev, expect: allow }}\n");
    world.write("dev.test.yaml", &case);
    world.run(&["plan", "--out", "new.plan"]).expect(0);
    let plan = std::fs::read_to_string(world.folder.path().join("new.plan")).unwrap();
    assert!(!plan.contains(CANARY) && !plan.contains("alice"), "{plan}");
    let lint = world.run(&["policy", "lint"]);
    assert!(!format!("{}{}", lint.stdout, lint.stderr).contains(CANARY));
    world.write("dev.yaml", &format!("{}\n{CANARY}: 1\n", POLICY.replace("developers", CANARY)));
    for args in [&["validate"][..], &["plan"], &["policy", "lint"]] {
        let run = world.run(args).expect(1);
        assert!(run.stderr.contains("the secret policy dev.yaml is not valid: see line"), "{}", run.stderr);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(CANARY), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_secret_difference_is_shown_on_the_terminal_on_request_only() {
    let world = with_secret();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("dev.yaml", &POLICY.replace("developers", "another-canary"));
    let plan = world.run(&["plan", "--show-secrets"]).expect(0);
    assert!(plan.stdout.contains(CANARY) && plan.stdout.contains("another-canary"), "{}", plan.stdout);
    for option in
        [&["--out", "p"][..], &["--json"], &["--out-json", "p"], &["--out-html", "p"], &["--format", "markdown"]]
    {
        let run = world.run(&[&["plan", "--show-secrets"], option].concat());
        assert!(run.stderr.contains("cannot be used with"), "{option:?}: {}", run.stderr);
    }
}

/// The file differs from the planned one.
#[test]
fn a_saved_plan_refuses_a_changed_secret() {
    let world = with_secret();
    world.run(&["plan", "--out", "new.plan"]).expect(0);
    world.write("dev.yaml", &POLICY.replace("developers", "exchanged"));
    let run = world.run(&["apply", "new.plan", "--yes"]).expect(4);
    assert!(run.stderr.contains("contains only its digest"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_secret_policy_decides_access() {
    let world = World::quick();
    let manifest = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\ntype = \"SecureString\"\n[tables.sessions]\n";
    world.write("sentinel.toml", manifest).write("dev.yaml", super::access::POLICY);
    world.run(&["apply", "--yes"]).expect(0);
    world.run_as("alice", &["exec", "--profile", "dev", "--", "true"]).expect(0);
    assert_ne!(world.run_as("eve", &["exec", "--profile", "dev", "--", "true"]).code, 0);
}

#[test]
fn a_live_secret_is_imported_without_its_content() {
    let world = World::new();
    put(&world, &json!({ "Type": "SecureString", "Value": CANARY }));
    let run = world.run(&["import", "--region", "us-east-1", "-o", "live"]).expect(0);
    assert!(run.stdout.contains("its content is not managed: it is a secret"), "{}", run.stdout);
    let manifest = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
    assert!(manifest.contains("type = \"SecureString\"\n") && !manifest.contains("policy ="), "{manifest}");
    world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
}

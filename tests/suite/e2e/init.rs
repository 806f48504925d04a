use serde_json::json;

use crate::snapshot;
use crate::world::{World, permissions};

#[test]
fn bootstrap_creates_policies_and_all_three_tables() {
    let world = World::new();
    let run = world.run(&["init", "bootstrap", "--profile", "dev", "--profile", "prod", "--all", "--yes"]).expect(0);
    snapshot!(run.stdout);
    snapshot!(world.parameter("/sentinel/policies/dev"));
    world.calls();
    let again = world.run(&["init", "bootstrap", "--profile", "dev", "--profile", "prod", "--all", "--yes"]).expect(0);
    assert!(again.stdout.contains("Nothing to do: everything is in sync."), "{}", again.stdout);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn no_region_is_an_error_before_any_call() {
    let world = World::new();
    let mut command =
        world.command(&["init", "bootstrap", "--profile", "dev", "--all", "--yes", "--endpoint-url", world.url()]);
    let run = crate::world::finish(command.spawn().unwrap()).expect(1);
    snapshot!(run.stderr);
    assert!(world.calls().is_empty());
}

/// The steps use the AWS emulator.
#[test]
fn the_first_steps_of_the_help_work_as_written() {
    let world = World::new();
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap()).expect(0);
    let help = run(&["-h"]).stdout;
    let (_, steps) = help.split_once("First steps, without an AWS account:\n").unwrap();
    let steps: Vec<&str> = steps.lines().take_while(|line| !line.is_empty()).collect();
    assert!(steps.len() >= 2, "{steps:?}");
    for step in steps {
        let mut words: Vec<&str> = step.split_whitespace().skip(1).collect();
        if words[0] == "init" {
            // There is no terminal for the confirmation.
            words.push("--yes");
        }
        let ran = run(&words);
        assert!(words[0] != "exec" || ran.stdout.contains("AWS_ACCESS_KEY_ID="), "{}", ran.stdout);
    }
}

#[test]
fn a_command_that_does_not_read_the_manifest_does_not_suggest_a_region_there() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n");
    for args in [&["init", "status", "--local"][..], &["import", "--local", "-o", "new"]] {
        let run = crate::world::finish(world.command(args).spawn().unwrap()).expect(1);
        let hint = "hint: give --region, or set AWS_REGION or the AWS profile's region; this command does not read";
        assert!(run.stderr.contains("error[E004]: no AWS region configured"), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    }
}

#[test]
fn the_hint_about_a_missing_policy_lists_those_of_the_same_region_and_store() {
    let world = World::new();
    let hint = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap()).expect(1).stderr;
    for command in [&["policy", "show"][..], &["access", "who"]] {
        let stderr = hint(&[command, &["prod", "--region", "eu-west-1", "--local"]].concat());
        assert!(
            stderr.contains("hint: sentinel init status --region eu-west-1 --local lists the policies that exist"),
            "{stderr}"
        );
        let stderr = hint(&[command, &["prod", "--region", "eu-west-1", "--local=a b"]].concat());
        assert!(stderr.contains("hint: sentinel init status --region eu-west-1 --local='a b' lists"), "{stderr}");
    }
}

#[test]
fn the_region_is_shown_with_its_source() {
    let world = World::new();
    let region_line = |run: crate::world::Run| {
        run.expect(0).stdout.lines().find(|line| line.starts_with("Region")).unwrap().to_owned()
    };
    let plan = ["init", "approvals", "--plan"];
    assert_eq!(region_line(world.run(&plan)), "Region us-east-1 (from AWS_REGION)");
    let given = ["init", "approvals", "--plan", "--region", "eu-west-1"];
    assert_eq!(region_line(world.run(&given)), "Region eu-west-1 (from --region)");
    world.write(".aws/config", "[profile work]\nregion = ap-south-1\n");
    world.write(".aws/credentials", "[work]\naws_access_key_id = a\naws_secret_access_key = b\n");
    let profile = ["init", "approvals", "--plan", "--aws-profile", "work", "--endpoint-url", world.url()];
    let run = crate::world::finish(world.command(&profile).spawn().unwrap());
    assert_eq!(region_line(run), "Region ap-south-1 (from AWS profile work)");
}

#[test]
fn each_table_has_a_command_with_a_name_option() {
    let world = World::new();
    for (command, table) in [("approvals", "a-requests"), ("breakglass", "a-breakglass"), ("sessions", "a-sessions")] {
        world.run(&["init", command, "--table", table, "-y"]).expect(0);
        assert_eq!(world.table(table)["TableName"], json!(table));
    }
}

#[test]
fn a_plan_without_any_dynamodb_permission_shows_the_whole_layout() {
    let world = World::new();
    world.fail("DescribeTable", "AccessDeniedException", "");
    world.fail("DescribeTimeToLive", "AccessDeniedException", "");
    let run = world.run(&["init", "approvals", "--plan"]).expect(0);
    snapshot!(run.stdout);
    // An apply is refused, because it would change unread settings.
    world.run(&["init", "approvals", "--yes"]).expect(1);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn init_never_changes_existing_resources() {
    let world = World::new();
    let put = json!({ "Name": "/sentinel/policies/dev", "Value": "mine", "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.aws(
        "DynamoDB_20120810.CreateTable",
        &json!({
            "TableName": "sentinel-requests",
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
        }),
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    let run = world.run(&["init", "bootstrap", "--profile", "dev", "--with-approvals", "--yes"]).expect(0);
    assert!(
        run.stdout.contains("~ Approvals table: sentinel-requests (drift: 4 fields), not changed"),
        "{}",
        run.stdout
    );
    assert!(run.stderr.contains("init only creates resources."), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.parameter("/sentinel/policies/dev"), "mine");
}

#[test]
fn a_printed_manifest_equals_the_result_of_the_command() {
    let world = World::new();
    let args =
        ["init", "bootstrap", "--profile", "dev", "--all", "--session-table", "acme-sessions", "--region", "eu-west-1"];
    let printed = world.run(&[&args[..], &["--print-manifest"]].concat()).expect(0).stdout;
    snapshot!(printed);
    assert!(world.calls().is_empty());
    world.run(&[&args[..], &["--write-manifest", "sentinel.toml"]].concat()).expect(0);
    assert_eq!(std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap(), printed);
    let refused = world.run(&[&args[..], &["--write-manifest", "sentinel.toml"]].concat()).expect(1);
    snapshot!(refused.stderr);
    world.run(&[&args[..], &["--yes"]].concat()).expect(0);
    world.run(&["plan", "--detailed-exitcode", "--region", "eu-west-1"]).expect(0);
}

#[test]
fn iam_policies_are_printed_without_credentials_or_calls() {
    let world = World::new();
    let mut command = world.command(&["init", "approvals", "--generate-iam", "--region", "us-gov-west-1"]);
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    snapshot!(crate::world::finish(command.spawn().unwrap()).expect(0).stdout);
    let args = ["init", "bootstrap", "--profile", "dev", "--all", "--generate-iam-policies"];
    snapshot!(world.run(&args).expect(0).stdout);
    assert!(world.calls().is_empty());
}

/// The generated policy allows exactly the calls of an apply and of the plans before and after it.
#[test]
fn the_generated_policy_allows_exactly_the_calls() {
    let world = World::new();
    let args = ["init", "bootstrap", "--profile", "dev", "--all"];
    let policy = world.run(&[&args[..], &["--generate-iam-policies"]].concat()).expect(0).json();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let admin = statements
        .filter(|one| ["Admin", "Provisioning"].iter().any(|end| one["Sid"].as_str().unwrap().ends_with(end)));
    let mut allowed: Vec<String> = admin
        .flat_map(|one| one["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    allowed.sort();
    allowed.dedup();
    world.run(&[&args[..], &["--yes"]].concat()).expect(0);
    world.run(&["init", "status"]).expect(0);
    let mut called: Vec<String> = permissions(&world.calls()).into_iter().map(|(action, _)| action).collect();
    called.dedup();
    assert_eq!(allowed, called);
}

#[test]
fn invalid_names_are_refused_by_the_command_line() {
    let world = World::new();
    let run = world.run(&["init", "approvals", "--table", "a b"]).expect(1);
    assert!(run.stderr.contains("use 3 to 255 letters, digits, and _ . -"), "{}", run.stderr);
    world.run(&["init", "bootstrap", "--profile", "a/b", "--plan"]).expect(1);
    world.run(&["init", "bootstrap", "--profile", "a", "--policy-root", "/aws/x", "--plan"]).expect(1);
    world.run(&["init", "bootstrap"]).expect(1);
    let without_sessions = ["init", "bootstrap", "--profile", "a", "--session-table", "mine", "--plan"];
    let run = world.run(&without_sessions).expect(1);
    assert!(run.stderr.contains("hint: add --with-sessions or --all"), "{}", run.stderr);
    world.run(&[&without_sessions[..], &["--with-sessions"]].concat()).expect(0);
    world.calls();
    world.run(&["init", "bootstrap", "--profile", "a", "--plan", "--all", "--wait-timeout", "soon"]).expect(1);
    assert!(world.calls().is_empty());
}

#[test]
fn bootstrap_names_its_tables() {
    let world = World::new();
    let args = [
        "init",
        "bootstrap",
        "--profile",
        "dev",
        "--with-approvals",
        "--approval-table",
        "acme-requests",
        "--with-breakglass",
        "--breakglass-table",
        "acme-breakglass",
        "--with-sessions",
        "--session-table",
        "acme-sessions",
        "--print-manifest",
    ];
    let manifest = world.run(&args).expect(0).stdout;
    for name in ["acme-requests", "acme-breakglass", "acme-sessions"] {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{manifest}");
    }
}

/// The users named in bootstrap have access afterwards.
#[test]
fn bootstrap_allows_the_users_that_it_names() {
    let world = World::new();
    world.run(&["init", "bootstrap", "--profile", "dev", "--allow", "local", "--allow", "alice", "--yes"]).expect(0);
    let who = world.run(&["access", "can", "alice", "dev"]).expect(0);
    assert!(who.stdout.contains("first-users"), "{}", who.stdout);
    world.run(&["access", "can", "mallory", "dev"]).expect(1);
    assert!(!world.folder.path().join("policies").exists(), "it writes no files");
    // The same as files, which pass their test cases and equal the live policies.
    let write = ["init", "bootstrap", "--profile", "dev", "--allow", "local", "--allow", "alice"];
    let run = world.run(&[&write[..], &["--write-manifest", "sentinel.toml"]].concat()).expect(0);
    let expected =
        "Wrote sentinel.toml, policies/dev.yaml, policies/dev.test.yaml. Next: sentinel plan -f sentinel.toml\n";
    assert_eq!(run.stdout, expected);
    let tested = world.run(&["policy", "test"]).expect(0);
    assert!(tested.stdout.contains("3 test cases: 3 passed, 0 failed."), "{}", tested.stdout);
    world.run(&["policy", "lint"]).expect(0);
    world.run(&["fmt", "--check"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    std::fs::remove_file(world.folder.path().join("sentinel.toml")).unwrap();
    let again = world.run(&[&write[..], &["--write-manifest", "sentinel.toml"]].concat()).expect(1);
    assert!(again.stderr.contains("policies/dev.yaml, policies/dev.test.yaml: this file exists"), "{}", again.stderr);
    assert!(!world.folder.path().join("sentinel.toml").exists(), "nothing is written");
    let invalid = world.run(&["init", "bootstrap", "--profile", "dev", "--allow", "a b"]).expect(1);
    assert!(invalid.stderr.contains("a user's name has letters"), "{}", invalid.stderr);
}

use serde_json::{Value, json};

use super::{MANIFEST, POLICY, project};
use crate::snapshot;
use crate::world::{World, moto};

/// Returns AWS's successful response.
fn says(body: &str) -> sentinel::local::Answer {
    let (content_type, body) = ("application/x-amz-json-1.1", body.as_bytes().to_vec());
    sentinel::local::Answer { status: 200, content_type, body }
}

#[test]
fn an_apply_creates_all_and_a_second_one_writes_nothing() {
    let world = project();
    let run = world.run(&["apply", "--yes"]).expect(0);
    snapshot!(run.stdout);
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(
        writes,
        [
            "CreateTable",
            "CreateTable",
            "CreateTable",
            "PutParameter",
            "PutParameter",
            "UpdateContinuousBackups",
            "UpdateTimeToLive",
            "UpdateTimeToLive",
            "UpdateTimeToLive",
        ]
    );
    assert_eq!(world.parameter("/sentinel/policies/dev"), POLICY);
    let table = world.table("acme-sessions");
    assert_eq!(table["DeletionProtectionEnabled"], json!(true));
    assert_eq!(table["GlobalSecondaryIndexes"].as_array().unwrap().len(), 3);
    let again = world.run(&["apply", "--yes"]).expect(0);
    snapshot!(again.stdout);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn an_apply_as_json_is_one_document_with_plan_and_result() {
    let world = project();
    let document = world.run(&["apply", "--yes", "--json"]).expect(0).json();
    assert_eq!(document["format_version"], json!(1));
    assert_eq!(document["plan"]["summary"]["create"], json!(5));
    assert_eq!(document["result"]["verification"]["result"], json!("as_desired"));
    let outcomes: Vec<&Value> =
        document["result"]["resources"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, [&json!("applied"); 5]);
}

#[test]
fn drifted_content_is_written_as_a_new_version() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let changed = POLICY.replace("[alice, bob]", "[alice]");
    world.write("policies/dev.yaml", &changed);
    world.calls();
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains("~ /sentinel/policies/dev (updated: content)"), "{}", run.stdout);
    assert_eq!(world.writes(), ["PutParameter"]);
    assert_eq!(world.parameter("/sentinel/policies/dev"), changed);
}

#[test]
fn the_content_of_a_profile_without_a_policy_is_not_changed() {
    let world = project();
    let own = "version: \"1\"\nrules: [{name: mine, effect: deny}]\n";
    let put = json!({ "Name": "/sentinel/policies/staging", "Value": own, "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.parameter("/sentinel/policies/staging"), own);
}

#[test]
fn a_parameters_tags_are_repaired() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\ntags = { owner = \"platform\" }\n[profiles.a]\ntags = { team = \"x\" }\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[aws]\ntags = { owner = \"platform\" }\n[profiles.a]\ntags = { unit = \"y\" }\n");
    let run = world.run(&["plan"]).expect(0);
    assert!(run.stdout.contains("(drift: tags.team, tags.unit, v1)"), "{}", run.stdout);
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.writes(), ["RemoveTagsFromResource", "AddTagsToResource"]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_changed() {
    let world = project();
    let run = world.run(&["apply"]).expect(1);
    snapshot!(run.stderr);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_failed_table_does_not_stop_others_and_a_second_run_completes_it() {
    let world = project();
    world.fail("CreateTable", "ValidationException", "acme-sessions");
    let run = world.run(&["apply", "--yes"]).expect(5);
    snapshot!(run.stdout);
    assert_eq!(world.table("sentinel-requests")["TableName"], json!("sentinel-requests"));
    assert_eq!(world.table("acme-audit")["TableName"], json!("acme-audit"));
    world.clear_faults();
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn an_apply_in_which_everything_fails_changes_nothing() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n");
    world.fail("PutParameter", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(
        run.stdout.contains("X /sentinel/policies/a: while creating: ssm:PutParameter: AccessDenied"),
        "{}",
        run.stdout
    );
}

#[test]
fn unreadable_resources_are_not_changed() {
    let world = project();
    world.fail("DescribeTable", "AccessDeniedException", "acme-audit");
    let run = world.run(&["apply", "--yes"]).expect(5);
    let line = "? audit table: acme-audit: skipped, it could not be read (dynamodb:DescribeTable)";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    assert!(
        !world.calls().iter().any(|call| call.operation == "CreateTable" && call.body["TableName"] == "acme-audit")
    );
}

#[test]
fn unverified_changes_are_not_reported_as_done() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n");
    let mut written = false;
    world.fault(move |call| {
        let expired = || sentinel::local::Answer::error(403, "ExpiredToken", "The security token is expired");
        let refused = written.then(expired);
        written |= call.operation == "PutParameter";
        refused
    });
    let run = world.run(&["apply", "--yes"]).expect(5);
    assert!(run.stdout.contains("+ /sentinel/policies/a (created)"), "{}", run.stdout);
    assert!(run.stdout.contains("Not verified: "), "{}", run.stdout);
}

#[test]
fn an_unreadable_setting_is_reported_by_apply() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.fail("DescribeTimeToLive", "AccessDeniedException", "acme-audit");
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    let run = world.run(&["apply", "--yes"]).expect(5);
    assert!(run.stdout.contains("Plan: 0 to create, 1 to change, 3 unchanged, 1 unknown."), "{}", run.stdout);
    assert!(run.stdout.contains("Verified in part"), "{}", run.stdout);
}

/// Throttling slows an apply down and never fails it.
#[test]
fn throttled_calls_are_retried() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n[tables.approvals]\n");
    let mut left = std::collections::HashMap::new();
    world.fault(move |call| {
        let limit = match call.operation.as_str() {
            "PutParameter" | "UpdateTimeToLive" | "CreateTable" => 4,
            _ => return None,
        };
        let count = left.entry(call.operation.clone()).or_insert(0);
        *count += 1;
        let code = if call.operation == "CreateTable" { "LimitExceededException" } else { "ThrottlingException" };
        let text = "Subscriber limit exceeded: Only 10 tables can be created, updated, or deleted simultaneously";
        (*count <= limit).then(|| sentinel::local::Answer::error(400, code, text))
    });
    world.run(&["apply", "--yes"]).expect(0);
}

/// The response of a write is lost after it took effect: the retry detects its own write and continues.
#[test]
fn a_write_with_a_lost_response_is_recognized() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n[tables.approvals]\n");
    let layout = world.run(&["plan", "--json"]).expect(0).json();
    let policy = layout["resources"][0]["steps"][0]["content"].as_str().unwrap().to_owned();
    // The parameter is created after the plan and before the call.
    world.fault({
        let mut first = true;
        move |call| {
            let hidden = call.operation == "GetParameters" && std::mem::take(&mut first);
            hidden.then(|| says(r#"{"Parameters":[],"InvalidParameters":["/sentinel/policies/a"]}"#))
        }
    });
    let put = json!({ "Name": "/sentinel/policies/a", "Value": policy, "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.run(&["apply", "--yes"]).expect(0);
}

#[test]
fn lost_responses_of_creations_are_not_conflicts() {
    let world = project();
    world.lose("PutParameter");
    world.lose("CreateTable");
    world.lose("UpdateTimeToLive");
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// The same text is written twice, and no other writer is blamed for the first write.
#[test]
fn a_lost_response_of_an_overwrite_is_not_a_conflict() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let changed = POLICY.replace("alice", "eve");
    world.write("policies/dev.yaml", &changed);
    world.lose("PutParameter");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.parameter("/sentinel/policies/dev"), changed);
}

/// Another writer changes the parameter between the read and the write: the message names the version with that text.
#[test]
fn a_concurrent_write_is_a_conflict_with_its_version() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    world.fault(move |call| (call.operation == "PutParameter").then(|| says(r#"{"Version":3,"Tier":"Standard"}"#)));
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(run.stdout.contains("someone else wrote at the same time, and version 2 has their text"), "{}", run.stdout);
}

/// After another write, the response of this run's write is lost and it writes again. The other version is not the preceding one.
#[test]
fn a_conflict_names_the_version_despite_a_lost_response() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    let ours = POLICY.replace("alice", "eve");
    world.write("policies/dev.yaml", &ours);
    let version = |number: i64, text: &str| json!({ "Name": "/sentinel/policies/dev", "Type": "String", "Value": text, "Version": number });
    let history = json!({ "Parameters": [version(2, "theirs"), version(3, &ours)] }).to_string();
    world.fault(move |call| {
        let body = match call.operation.as_str() {
            "PutParameter" => r#"{"Version":4,"Tier":"Standard"}"#,
            "GetParameters" if call.body.to_string().contains(":2") => history.as_str(),
            _ => return None,
        };
        Some(says(body))
    });
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(run.stdout.contains("and version 2 has their text"), "{}", run.stdout);
    assert!(run.stdout.contains("--name /sentinel/policies/dev:2 "), "{}", run.stdout);
}

/// A parameter that is deleted between the read and the write is created by the write, without its settings.
#[test]
fn an_overwrite_of_a_deleted_parameter_is_reported() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    world.fault(move |call| (call.operation == "PutParameter").then(|| says(r#"{"Version":1,"Tier":"Standard"}"#)));
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(
        run.stdout.contains("conflict, someone else deleted it at the same time, and the write created it again"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_concurrent_creation_is_a_conflict_and_not_overwritten() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\npolicy = \"a.yaml\"\n").write("a.yaml", POLICY);
    created_meanwhile(&world);
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert!(run.stdout.contains("conflict, someone else created it meanwhile"), "{}", run.stdout);
    assert_eq!(world.parameter("/sentinel/policies/a"), "theirs");
}

/// A profile without a policy accepts any content, including that of another creator.
#[test]
fn a_concurrent_creation_of_a_profile_without_a_policy_is_accepted() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n");
    created_meanwhile(&world);
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.parameter("/sentinel/policies/a"), "theirs");
}

/// Creates a parameter that the plan does not see.
fn created_meanwhile(world: &World) {
    let put = json!({ "Name": "/sentinel/policies/a", "Value": "theirs", "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    let mut looks = 0;
    world.fault(move |call| {
        looks += u32::from(call.operation == "GetParameters");
        // The plan's read, and one more: about one read in a hundred does not show a recent write.
        let hidden = call.operation == "GetParameters" && looks <= 2;
        hidden.then(|| says(r#"{"Parameters":[],"InvalidParameters":["/sentinel/policies/a"]}"#))
    });
}

/// The same for a table: a read just after a creation may not find it yet.
#[test]
fn a_table_of_another_apply_is_found_despite_outdated_reads() {
    let world = World::quick();
    world.write("sentinel.toml", "[tables.sessions]\n");
    world.run(&["init", "sessions", "--yes"]).expect(0);
    let mut looks = 0;
    world.fault(move |call| {
        looks += u32::from(call.operation == "DescribeTable");
        let missing =
            || sentinel::local::Answer::error(400, "ResourceNotFoundException", "Requested resource not found");
        (call.operation == "DescribeTable" && looks <= 2).then(missing)
    });
    world.run(&["apply", "--yes"]).expect(0);
}

/// A creation whose response was lost is retried while AWS is still working on it, which AWS may report.
#[test]
fn a_table_being_created_is_awaited() {
    let world = World::quick();
    world.write("sentinel.toml", "[tables.sessions]\n");
    world.run(&["init", "sessions", "--yes"]).expect(0);
    let mut looks = 0;
    world.fault(move |call| {
        looks += u32::from(call.operation == "DescribeTable");
        match call.operation.as_str() {
            "DescribeTable" if looks == 1 => {
                Some(sentinel::local::Answer::error(400, "ResourceNotFoundException", "Requested resource not found"))
            }
            "CreateTable" => Some(sentinel::local::Answer::error(
                400,
                "ResourceInUseException",
                "Attempt to change a resource which is still in use: Table is being created: sentinel-sessions",
            )),
            _ => None,
        }
    });
    world.run(&["apply", "--yes"]).expect(0);
}

#[test]
fn a_wait_beyond_its_limit_explains_how_to_continue() {
    if moto().is_some() {
        return; // moto's tables are ACTIVE at once
    }
    let rules = sentinel::local::Rules { table_creation: std::time::Duration::from_secs(3), ..Default::default() };
    let world = World::with(rules);
    world.write("sentinel.toml", "[tables.approvals]\n");
    let run = world.run(&["apply", "--yes", "--wait-timeout", "1s"]).expect(5);
    assert!(run.stdout.contains("the table is still CREATING after 1 s"), "{}", run.stdout);
    // The next run finds the creation in progress, waits, and completes it.
    let run = world.run(&["plan"]).expect(0);
    assert!(run.stdout.contains("+ Approvals table: sentinel-requests (being created;"), "{}", run.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_calls_in_flight_and_lists_missing_steps() {
    if moto().is_some() {
        return;
    }
    // As sent by a user, and by a canceled job.
    for signal in ["-INT", "-TERM"] {
        let rules = sentinel::local::Rules { table_creation: std::time::Duration::from_secs(4), ..Default::default() };
        let world = World::with(rules);
        world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
        let mut command = world.command(&["apply", "--yes", "--endpoint-url", world.url()]);
        let child = command.spawn().unwrap();
        let id = child.id().to_string();
        while !world.calls().iter().any(|call| call.operation == "CreateTable") {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::process::Command::new("kill").args([signal, &id]).status().unwrap();
        let run = crate::world::finish(child).expect(130);
        assert!(run.stdout.contains("+ /sentinel/policies/dev (created)"), "{}", run.stdout);
        assert!(
        run.stdout.contains(
            "table: acme-audit: interrupted\n      done: creating\n      not done: waiting until ACTIVE, enabling TTL"
        ),
        "{}",
        run.stdout
    );
        world.run(&["apply", "--yes"]).expect(0);
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
    }
}

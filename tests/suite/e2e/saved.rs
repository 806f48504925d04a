//! Saved plans: exactly what was reviewed is done, or nothing.

use sentinel::planfile::PlanFile;
use serde_json::{Value, json};

use super::{MANIFEST, POLICY, project};
use crate::snapshot;
use crate::world::World;

fn overwrite(world: &World, name: &str, text: &str) {
    let body = json!({ "Name": name, "Value": text, "Type": "String", "Overwrite": true });
    world.aws("AmazonSSM.PutParameter", &body);
}

fn saved(world: &World) -> Value {
    serde_json::from_str(&std::fs::read_to_string(world.folder.path().join("p.json")).unwrap()).unwrap()
}

/// Returns the writing operations that a saved plan's steps stand for.
fn planned_writes(plan: &Value) -> Vec<String> {
    let steps =
        plan["targets"][0]["resources"].as_array().unwrap().iter().flat_map(|one| one["steps"].as_array().unwrap());
    let operation = |step: &Value| {
        Some(match step["step"].as_str().unwrap() {
            "create_parameter" | "overwrite_parameter" => "PutParameter",
            "tag_parameter" => "AddTagsToResource",
            "untag_parameter" => "RemoveTagsFromResource",
            "delete_parameter" => "DeleteParameters",
            "create_table" => "CreateTable",
            "update_table" => "UpdateTable",
            "enable_time_to_live" | "disable_time_to_live" => "UpdateTimeToLive",
            "set_point_in_time_recovery" => "UpdateContinuousBackups",
            "tag_table" => "TagResource",
            "untag_table" => "UntagResource",
            "wait_for_table" => return None,
            other => panic!("{other}"),
        })
    };
    let mut writes: Vec<String> = steps.filter_map(operation).map(str::to_owned).collect();
    writes.sort();
    writes
}

#[test]
fn a_saved_plan_is_shown_and_then_done_step_by_step() {
    let world = project();
    let run = world.run(&["plan", "--out", "p.json"]).expect(0);
    assert!(run.stderr.contains("Saved to p.json. Next: sentinel apply p.json"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    let shown = world.run(&["show", "p.json"]).expect(0);
    assert!(shown.stdout.contains(&run.stdout), "{}\nis not in\n{}", run.stdout, shown.stdout);
    assert!(world.calls().is_empty(), "showing a plan asks nobody");
    let plan = saved(&world);
    assert_eq!(plan["format_version"], json!(1));
    assert_eq!(plan["tool_version"], json!(env!("CARGO_PKG_VERSION")));
    assert!(plan["manifest"]["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(plan["targets"][0]["target"]["caller"]["account"], json!("123456789012"));
    assert_eq!(plan["targets"][0]["target"]["region"], json!("us-east-1"));
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, planned_writes(&plan), "each writing call is a step, and each step a call");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// The same for repairs, and for what has to be allowed.
#[test]
fn the_writes_of_a_saved_repair_are_its_steps() {
    let world = World::quick();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    world.write("sentinel.toml", &format!("{MANIFEST}[profiles.old]\n"));
    world.run(&["apply", "--yes"]).expect(0);
    let arn = world.table("acme-sessions")["TableArn"].clone();
    let stray = json!({ "ResourceArn": arn, "Tags": [{ "Key": "stray", "Value": "1" }] });
    world.aws("DynamoDB_20120810.TagResource", &stray);
    let delete = json!({ "TableName": "acme-audit", "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": "actor-index" } }] });
    world.aws("DynamoDB_20120810.UpdateTable", &delete);
    let off = json!({ "TableName": "sentinel-requests", "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "expires_at" } });
    world.aws("DynamoDB_20120810.UpdateTimeToLive", &off);
    overwrite(&world, "/sentinel/policies/dev", "theirs");
    world.write("sentinel.toml", &MANIFEST.replace("deletion_protection = true", "deletion_protection = false"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    world
        .run(&[
            "plan",
            "--prune",
            "--allow-destructive",
            "protection",
            "--allow-destructive",
            "prune",
            "--out",
            "p.json",
        ])
        .expect(0);
    let plan = saved(&world);
    world.calls();
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, planned_writes(&plan));
    let expected =
        ["DeleteParameters", "PutParameter", "UntagResource", "UpdateTable", "UpdateTable", "UpdateTimeToLive"];
    assert_eq!(writes, expected);
    world.run(&["plan", "--detailed-exitcode", "--prune"]).expect(0);
}

#[test]
fn a_plan_whose_ground_moved_is_refused_by_name_and_nothing_is_written() {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    world.run(&["plan", "--out", "p.json"]).expect(0);
    overwrite(&world, "/sentinel/policies/dev", "theirs");
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    snapshot!(run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.parameter("/sentinel/policies/dev"), "theirs");
}

/// Also where what moved had nothing to be done, was not there, or is a table's setting.
#[test]
fn each_way_of_moving_is_told() {
    let world = World::quick();
    world.write("sentinel.toml", &format!("{MANIFEST}[profiles.new]\n")).write("policies/dev.yaml", POLICY);
    world.run(&["apply", "--yes", "--exclude", "profiles.new"]).expect(0);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let put = json!({ "Name": "/sentinel/policies/new", "Value": "x", "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.aws("AmazonSSM.DeleteParameter", &json!({ "Name": "/sentinel/policies/staging" }));
    let off = json!({ "TableName": "sentinel-requests", "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "expires_at" } });
    world.aws("DynamoDB_20120810.UpdateTimeToLive", &off);
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("profiles.new (/sentinel/policies/new): was not there, and is now"), "{}", run.stderr);
    assert!(
        run.stderr.contains("profiles.staging (/sentinel/policies/staging): was there, and is gone"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("tables.approvals (sentinel-requests): ttl expires_at -> disabled"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_plan_observes_only_its_own_resources_again() {
    let world = project();
    world.run(&["plan", "--only", "profiles.staging", "--out", "p.json"]).expect(0);
    world.calls();
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    let calls = world.calls();
    assert!(calls.iter().all(|call| !call.operation.contains("Table")), "{calls:?}");
    let names = calls.iter().filter(|call| call.operation == "GetParameters").map(|call| call.body["Names"].clone());
    assert!(names.clone().count() > 0 && names.into_iter().all(|names| names == json!(["/sentinel/policies/staging"])));
}

/// The consent is in the plan, or comes when it is applied; a plan without it does not do what it would take.
#[test]
fn consent_is_saved_with_the_plan_or_given_when_it_is_applied() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n");
    world.run(&["plan", "--prune", "--out", "p.json"]).expect(0);
    world.calls();
    world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "p.json", "--yes", "--allow-destructive", "prune"]).expect(0);
    assert_eq!(world.writes(), ["DeleteParameters"]);
}

#[test]
fn a_plan_that_was_edited_or_is_of_another_version_is_refused() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    world.calls();
    let edited = text.replace("sentinel-requests", "sentinel-requested");
    let version = concat!("\"tool_version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    let cases = [
        (edited, "it was changed after it was made"),
        (text.replace(version, "\"tool_version\": \"0.0.1\""), "it was made by sentinel 0.0.1"),
        (text.replace("\"format_version\": 1", "\"format_version\": 7"), "its format is version 7"),
        (String::from(MANIFEST), "it is not a saved plan"),
    ];
    for (text, why) in cases {
        world.write("p.json", &text);
        for command in [&["apply", "p.json", "--yes"][..], &["show", "p.json"]] {
            let run = world.run(command).expect(4);
            assert!(run.stderr.contains(why), "{}", run.stderr);
        }
    }
    assert!(world.calls().is_empty());
    world.run(&["apply", "gone.json", "--yes"]).expect(1);
}

/// Whoever can write the file can make its digest right again; what it would do still has to follow from what it shows.
#[test]
fn a_plan_whose_steps_are_not_its_own_is_refused_whatever_its_digest() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    let forged = |forge: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        forge(&mut document);
        serde_json::from_value::<PlanFile>(document).unwrap().to_text().unwrap()
    };
    // All of it is the same, but for what is written.
    let steps = forged(&|document| {
        document["targets"][0]["resources"][0]["steps"][0]["content"] =
            json!(POLICY.replace("developers", "intruders"));
    });
    // What is desired is another parameter, which is no policy.
    let elsewhere = forged(&|document| {
        let moved = document.to_string().replace("/sentinel/policies/staging", "/prod/database/password");
        *document = serde_json::from_str(&moved).unwrap();
    });
    world.calls();
    for forged in [steps, elsewhere] {
        PlanFile::read(&forged).unwrap();
        world.write("p.json", &forged);
        let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
        assert!(
            run.stderr.contains("error[E403]: the plan was changed after it was made: what it would do with profiles."),
            "{}",
            run.stderr
        );
        assert_eq!(world.writes(), [""; 0]);
    }
    world.write("p.json", &text);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
}

/// What is shown before the question has to be what is done.
#[test]
fn a_plan_that_shows_other_than_it_does_is_refused() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    for (field, value) in
        [("action", json!("unchanged")), ("fingerprint", json!({ "state": "unknown" })), ("needs", json!(["prune"]))]
    {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document["targets"][0]["resources"][0][field] = value;
        let forged = serde_json::from_value::<PlanFile>(document).unwrap().to_text().unwrap();
        world.write("p.json", &forged);
        world.calls();
        let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
        assert!(run.stderr.contains("error[E403]: the plan was changed after it was made"), "{field}: {}", run.stderr);
        assert_eq!(world.writes(), [""; 0], "{field}");
    }
}

/// A plan names files and folders: whoever changed it could name any.
#[cfg(unix)]
#[test]
fn a_plan_reads_and_writes_nothing_outside_its_folder() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["plan", "--local", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    let forged = |forge: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        forge(&mut document);
        world.write("p.json", &serde_json::from_value::<PlanFile>(document).unwrap().to_text().unwrap());
        run(&["apply", "p.json", "--yes"])
    };
    // Its manifest is looked at for whether it has changed: not where that never ends.
    forged(&|document| document["manifest"]["path"] = json!("/dev/zero")).expect(0);
    std::fs::remove_dir_all(world.folder.path().join(".sentinel")).unwrap();
    // Nor where it is none of this folder's: whether a file is what it was is told of no other.
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    let run_elsewhere = forged(&|document| document["manifest"]["path"] = json!(elsewhere.path())).expect(0);
    assert!(!run_elsewhere.stderr.contains("has changed"), "{}", run_elsewhere.stderr);
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), world.folder.path().join("link")).unwrap();
    let link = world.folder.path().join("link/.sentinel");
    let dangling = world.folder.path().join("dangling");
    std::os::unix::fs::symlink(outside.path().join("nothing"), &dangling).unwrap();
    let up = world.folder.path().join(".sentinel/../../x");
    for folder in [outside.path(), &outside.path().join("new/.sentinel"), &link, &dangling, &up] {
        let refused = forged(&|document| document["targets"][0]["connection"]["local"] = json!(folder)).expect(1);
        assert!(refused.stderr.contains("which is not in this folder"), "{}", refused.stderr);
        run(&["apply", "p.json", "--yes", "--local"]).expect(1);
        run(&["apply", "p.json", "--yes", "--local=.sentinel"]).expect(1);
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn saving_replaces_an_older_plan_and_nothing_else() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let run = world.run(&["plan", "--out", "sentinel.toml"]).expect(1);
    assert!(run.stderr.contains("there is a file that is no saved plan, and it was left as it is"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap(), MANIFEST);
    let left: Vec<_> =
        std::fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_plan_for_another_account_or_region_is_refused() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let run = world.run(&["apply", "p.json", "--yes", "--region", "eu-west-1"]).expect(1);
    assert!(run.stderr.contains("the plan is for us-east-1, and --region says eu-west-1"), "{}", run.stderr);
    let run = world.run(&["apply", "p.json", "--yes", "--policy-root", "/other"]).expect(1);
    assert!(run.stderr.contains("and --policy-root says /other"), "{}", run.stderr);
    let run = world.run(&["apply", "p.json", "--yes", "--only", "tables.*"]).expect(1);
    assert!(run.stderr.contains("cannot be used with"), "{}", run.stderr);
    let other = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::999999999999:user/x</Arn><UserId>X</UserId><Account>999999999999</Account>\
        </GetCallerIdentityResult><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
    world.fault(move |call| {
        let answer =
            || sentinel::local::Answer { status: 200, content_type: "text/xml", body: other.as_bytes().to_vec() };
        (call.operation == "GetCallerIdentity").then(answer)
    });
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("wrong account"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn a_plan_for_the_embedded_aws_never_goes_anywhere_else() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["plan", "--local", "--out", "p.json"]).expect(0);
    run(&["apply", "p.json", "--yes", "--local=elsewhere"]).expect(1);
    let applied = run(&["apply", "p.json", "--yes"]).expect(0);
    assert!(applied.stdout.starts_with("Embedded AWS in "), "{}", applied.stdout);
    run(&["plan", "--local", "--detailed-exitcode"]).expect(0);
    assert!(world.calls().is_empty());
    // And one for AWS does not go there.
    world.run(&["plan", "--out", "q.json"]).expect(0);
    let refused = run(&["apply", "q.json", "--yes", "--local"]).expect(1);
    assert!(refused.stderr.contains("the plan is for AWS, and --local is given"), "{}", refused.stderr);
}

#[test]
fn a_manifest_that_changed_since_is_said_and_the_plan_is_done_as_it_was_saved() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n");
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.write("sentinel.toml", "[profiles.b]\n");
    let run = world.run(&["apply", "p.json", "--yes"]).expect(0);
    assert!(run.stderr.contains("sentinel.toml has changed since the plan was made"), "{}", run.stderr);
    assert!(run.stdout.contains("+ /sentinel/policies/a (created)"), "{}", run.stdout);
}

#[test]
fn what_could_not_be_planned_is_not_saved_and_keeps_its_exit_code() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\naccount_id = \"999999999999\"\n[profiles.a]\n");
    let run = world.run(&["plan", "--out", "p.json"]).expect(4);
    assert!(run.stderr.contains("Not saved to p.json"), "{}", run.stderr);
    assert!(!world.folder.path().join("p.json").exists());
}

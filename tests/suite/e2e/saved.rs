//! Saved plans: exactly the reviewed changes are made, or none.

use std::path::Path;

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

/// Returns the writing operations of a saved plan's steps.
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

/// The last line is the one that the user reads next.
#[test]
fn plan_prints_the_next_step_after_the_plan() {
    let world = project();
    let path = world.folder.path().join("output.txt");
    let file = std::fs::File::create(&path).unwrap();
    let args = ["plan", "--out", "p.json", "--region", "us-east-1", "--local"];
    let status = world.command(&args).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
    assert!(status.success());
    let output = std::fs::read_to_string(path).unwrap();
    assert!(output.ends_with("\nSaved to p.json. Next: sentinel apply p.json\n"), "{output}");
}

#[test]
fn a_saved_plan_is_shown_and_applied_step_by_step() {
    let world = project();
    let run = world.run(&["plan", "--out", "p.json"]).expect(0);
    assert!(run.stderr.contains("Saved to p.json. Next: sentinel apply p.json"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    let shown = world.run(&["show", "p.json"]).expect(0);
    assert!(shown.stdout.contains(&run.stdout), "{}\nis not in\n{}", run.stdout, shown.stdout);
    assert!(world.calls().is_empty(), "showing a plan asks nobody");
    let plan = saved(&world);
    assert_eq!(plan["format_version"], json!(2));
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

/// The same for repairs, and for steps that require consent.
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
fn a_stale_plan_is_refused_by_name_and_changes_nothing() {
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

/// This includes resources without changes, absent resources, and settings of a table.
#[test]
fn each_change_of_the_baseline_is_reported() {
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
    assert!(
        run.stderr.contains("profiles.new (/sentinel/policies/new): did not exist, and exists now"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("profiles.staging (/sentinel/policies/staging): existed, and no longer exists"),
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

/// The consent is in the plan, or is given for its apply. Without it, the withheld steps do not run.
#[test]
fn consent_is_saved_with_the_plan_or_given_at_apply() {
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
fn an_edited_plan_or_another_version_is_refused() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    world.calls();
    let edited = text.replace("sentinel-requests", "sentinel-requested");
    let version = concat!("\"tool_version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    let cases = [
        (edited, "it was changed after it was made"),
        (text.replace(version, "\"tool_version\": \"0.0.1\""), "it was made by Sentinel 0.0.1"),
        (text.replace("\"format_version\": 2", "\"format_version\": 1"), "its format is version 1"),
        (text.replace("\"format_version\": 2", "\"format_version\": 7"), "its format is version 7"),
        (String::from(MANIFEST), "is not a saved plan"),
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

/// The digest can be recomputed after a change, so the steps must also follow from the shown differences.
#[test]
fn a_plan_with_forged_steps_is_refused_despite_a_valid_digest() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let text = std::fs::read_to_string(world.folder.path().join("p.json")).unwrap();
    let forged = |forge: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        forge(&mut document);
        serde_json::from_value::<PlanFile>(document).unwrap().to_text().unwrap()
    };
    // Everything is equal except the text to write.
    let steps = forged(&|document| {
        document["targets"][0]["resources"][0]["steps"][0]["content"] =
            json!(POLICY.replace("developers", "intruders"));
    });
    // The desired state is another parameter, which is not a policy.
    let elsewhere = forged(&|document| {
        let moved = document.to_string().replace("/sentinel/policies/staging", "/prod/database/password");
        *document = serde_json::from_str(&moved).unwrap();
    });
    world.calls();
    for (forged, why) in [(steps, "do not follow from the desired state"), (elsewhere, "no manifest can describe")] {
        world.write("p.json", &forged);
        let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
        assert!(
            run.stderr.contains("error[E403]: p.json cannot be applied: it is not a valid plan: "),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert!(world.calls().is_empty(), "AWS is not asked");
    }
    world.write("p.json", &text);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
}

/// The displayed plan must equal the applied one.
#[test]
fn a_plan_that_misrepresents_its_steps_is_refused() {
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
        assert!(run.stderr.contains("error[E403]: p.json cannot be applied"), "{field}: {}", run.stderr);
        assert!(world.calls().is_empty(), "{field}");
    }
    // An existing resource is compared after it has been read.
    world.write("p.json", &text);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("alice", "eve"));
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let mut document = saved(&world);
    let resources = document["targets"][0]["resources"].as_array_mut().unwrap();
    let change = resources.iter_mut().find(|one| one["action"] == "update").unwrap();
    change["steps"][0]["expects_version"] = json!(7);
    write(&world, document);
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("error[E403]: the plan was changed after it was made"), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
}

/// Returns a plan as if it was made from another manifest.
fn from(document: &Value, path: &str) -> Value {
    serde_json::from_str(&document.to_string().replace("\"sentinel.toml\"", &json!(path).to_string())).unwrap()
}

/// Writes a plan with its recomputed digest.
fn write(world: &World, document: Value) {
    let text = serde_json::from_value::<PlanFile>(document).unwrap().to_text().unwrap();
    world.write("p.json", &text);
}

/// Each of these was, or could have been, accepted. A valid digest is not sufficient.
#[test]
fn a_plan_can_do_no_more_than_a_manifest() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let honest = saved(&world);
    let text = honest.to_string();
    let replaced = |from: &str, to: &str| -> Value { serde_json::from_str(&text.replace(from, to)).unwrap() };
    let set = |pointer: &str, value: Value| {
        let mut document = honest.clone();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        document
    };
    let mut named = honest.clone();
    named["targets"][0]["connection"]["role_arn"] = json!("arn:aws:iam::999999999999:role/admin");
    let mut output = honest.clone();
    output["targets"][0]["review"]["profiles.dev"]["means"] = json!([]);
    let forged = [
        (replaced("/sentinel/policies", ""), "policy root"),
        (replaced("/sentinel/policies", "/"), "policy root"),
        (replaced("/sentinel/policies", "/a/b/../../c"), "policy root"),
        (replaced("/sentinel/policies/dev", "/prod/password"), "no manifest can describe"),
        (replaced("version: ", "no version: "), "profiles."),
        (replaced("sentinel-requests", "x"), "x"),
        (set("/targets", json!([])), "no target"),
        (set("/targets/0/target/caller", Value::Null), "does not name its account"),
        (set("/targets/0/target/caller/account", json!("999999999999")), "999999999999"),
        (set("/targets/0/target/region", json!("us-east-1 (from the manifest)")), "region"),
        (set("/targets/0/scope/intent", json!("create_only")), "intent"),
        (set("/targets/0/resources", json!([])), "the plan does not match the desired state"),
        (named, "not of account"),
        (output, "its review does not follow"),
    ];
    world.calls();
    for (document, why) in forged {
        write(&world, document);
        for command in
            [&["apply", "p.json", "--yes"][..], &["apply", "p.json", "--yes", "--detached"], &["show", "p.json"]]
        {
            let run = world.run(command).expect(4);
            assert!(run.stderr.contains("error[E403]") && run.stderr.contains(why), "{why}: {}", run.stderr);
        }
    }
    assert!(world.calls().is_empty(), "AWS is not asked");
}

/// The manifest of the plan is read now, and must lead to the same destination and credentials.
#[test]
fn a_plan_must_match_the_current_manifest() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n");
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let honest = saved(&world);
    let refused = |manifest: &str, args: &[&str], why: &str| {
        world.write("sentinel.toml", manifest);
        world.calls();
        let run = world.run(&[&["apply", "p.json", "--yes"], args].concat()).expect(4);
        assert!(run.stderr.contains("error[E406]: the plan") && run.stderr.contains(why), "{}", run.stderr);
        assert!(world.calls().is_empty(), "{why}: AWS is not asked");
    };
    let same = "[profiles.a]\n";
    refused("[aws]\nregion = \"eu-west-1\"\n[profiles.a]\n", &[], "its region is us-east-1");
    refused("[aws]\naccount_id = \"999999999999\"\n[profiles.a]\n", &[], "the manifest's is 999999999999");
    refused("[aws]\nprofile = \"other\"\n[profiles.a]\n", &[], "the AWS profile it uses is none");
    refused("[aws]\nownership_tag = \"mine\"\n[profiles.a]\n", &[], "its ownership tag is managed-by");
    refused("[policies]\nroot = \"/other\"\n[profiles.a]\n", &[], "its policy root is /sentinel/policies");
    refused("[targets.x]\nregion = \"us-east-1\"\n[profiles.a]\n", &[], "the manifest has targets");
    // The reverse: the plan has a setting that the manifest lacks.
    let connection = |field: &str, value: &str| {
        let mut document = honest.clone();
        document["targets"][0]["connection"][field] = json!(value);
        write(&world, document);
    };
    connection("aws_profile", "admin");
    refused(same, &[], "the AWS profile it uses is admin, the manifest's is none");
    connection("role_arn", "arn:aws:iam::123456789012:role/admin");
    refused(same, &[], "the role it assumes is arn:aws:iam::123456789012:role/admin, the manifest's is none");
    let mut document = honest.clone();
    document["targets"][0]["target"]["name"] = json!("elsewhere");
    write(&world, document);
    refused(same, &[], "the manifest has no target elsewhere");
    // A missing manifest is reported, or not required with the option.
    write(&world, from(&honest, "/etc/passwd"));
    refused(same, &[], "which is not a file in this folder");
    world.run(&["apply", "p.json", "--yes", "-f", "sentinel.toml"]).expect(0);
}

#[test]
fn a_plan_deletes_no_listed_resource() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n");
    world.run(&["plan", "--prune", "--allow-destructive", "prune", "--out", "p.json"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n");
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("it deletes /sentinel/policies/b, which the manifest names"), "{}", run.stderr);
    assert!(world.calls().is_empty());
}

/// As in a job that only has the plan.
#[test]
fn a_detached_plan_is_applied_without_a_manifest() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let shown = world.run(&["show", "p.json"]).expect(0).stdout;
    std::fs::remove_file(world.folder.path().join("sentinel.toml")).unwrap();
    let refused = world.run(&["apply", "p.json", "--yes"]).expect(4);
    assert!(refused.stderr.contains("error[E406]") && refused.stderr.contains("--detached"), "{}", refused.stderr);
    world.run(&["apply", "--yes", "--detached"]).expect(1);
    let run = world.run(&["apply", "p.json", "--yes", "--detached"]).expect(0);
    // The displayed plan equals that of `show`, except for the source of the region.
    for line in shown.lines().filter(|line| line.contains("Access:") || line.starts_with("      +")) {
        assert!(run.stdout.contains(line), "{line}\nis not in\n{}", run.stdout);
    }
}

/// The text of a creation is shown in every format; a text that profiles share is shown once.
#[test]
fn the_text_of_a_creation_is_shown() {
    let world = World::quick();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\npolicy = \"p.yaml\"\n[profiles.b]\npolicy = \"p.yaml\"\n[profiles.c]\n");
    world.write("p.yaml", POLICY);
    let lines = || POLICY.lines().map(|line| format!("      +{line}\n")).collect::<String>();
    let plan = world.run(&["plan", "--out", "p.json", "--out-markdown", "p.md", "--out-html", "p.html"]).expect(0);
    assert!(plan.stdout.contains(&lines()), "{}", plan.stdout);
    assert_eq!(plan.stdout.matches("+version:").count(), 1);
    assert!(plan.stdout.contains("      the same text as profiles.a\n"), "{}", plan.stdout);
    for (file, head, default) in [
        ("p.md", "+version: ", "+    reason: Default deny."),
        ("p.html", "<span class=\"add\">+version: ", "reason: Default deny."),
    ] {
        let text = std::fs::read_to_string(world.folder.path().join(file)).unwrap();
        assert!(text.contains(head) && text.contains(default), "{text}");
    }
    let run = world.run(&["apply", "p.json", "--yes"]).expect(0);
    assert!(run.stdout.contains(&lines()), "{}", run.stdout);
}

/// The size of a plan file is limited.
#[cfg(unix)]
#[test]
fn an_endless_plan_file_is_refused() {
    let world = World::new();
    let run = world.run(&["show", "/dev/zero"]).expect(1);
    assert!(run.stderr.contains("this is not a regular file"), "{}", run.stderr);
}

/// A plan contains the names of files and folders, and a changed plan could name any.
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
    // Its manifest is read, except an endless one and one outside this folder.
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    for path in [Path::new("/dev/zero"), elsewhere.path(), Path::new("../sentinel.toml")] {
        let refused = forged(&|document| *document = from(document, path.to_str().unwrap())).expect(4);
        assert!(refused.stderr.contains("which is not a file in this folder"), "{}", refused.stderr);
        assert!(!world.folder.path().join(".sentinel/aws.db").exists());
    }
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
fn saving_replaces_only_an_older_plan() {
    let world = project();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let run = world.run(&["plan", "--out", "sentinel.toml"]).expect(1);
    assert!(run.stderr.contains("this file is not a saved plan, and was not changed"), "{}", run.stderr);
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
    assert!(run.stderr.contains("the plan is for us-east-1, but --region is eu-west-1"), "{}", run.stderr);
    let run = world.run(&["apply", "p.json", "--yes", "--policy-root", "/other"]).expect(1);
    assert!(run.stderr.contains("but --policy-root is /other"), "{}", run.stderr);
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
fn a_plan_for_the_emulator_is_never_applied_elsewhere() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["plan", "--local", "--out", "p.json"]).expect(0);
    run(&["apply", "p.json", "--yes", "--local=elsewhere"]).expect(1);
    let applied = run(&["apply", "p.json", "--yes"]).expect(0);
    assert!(applied.stdout.starts_with("AWS emulator in "), "{}", applied.stdout);
    run(&["plan", "--local", "--detailed-exitcode"]).expect(0);
    assert!(world.calls().is_empty());
    // A plan for AWS does not apply to the emulator.
    world.run(&["plan", "--out", "q.json"]).expect(0);
    let refused = run(&["apply", "q.json", "--yes", "--local"]).expect(1);
    assert!(refused.stderr.contains("the plan is for AWS, but --local is given"), "{}", refused.stderr);
}

#[test]
fn a_plan_for_the_emulator_has_its_account() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\naccount_id = \"999999999999\"\n[profiles.a]\n");
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["plan", "--local", "--out", "p.json"]).expect(0);
    let honest = saved(&world);
    let mut other = honest.clone();
    let arn = "arn:aws:iam::999999999999:user/local";
    other["targets"][0]["target"]["caller"] = json!({ "account": "999999999999", "arn": arn });
    write(&world, other);
    for args in [&["apply", "p.json", "--yes"][..], &["apply", "p.json", "--yes", "--detached"]] {
        let refused = run(args).expect(4);
        let why = "wrong account: the plan is for 999999999999, but the credentials are for 123456789012";
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    // A manifest can be tried on the emulator whatever its account.
    write(&world, honest);
    run(&["apply", "p.json", "--yes"]).expect(0);
}

#[test]
fn a_changed_manifest_is_reported_and_the_saved_plan_applied() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.a]\n");
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.write("sentinel.toml", "[profiles.b]\n");
    let run = world.run(&["apply", "p.json", "--yes"]).expect(0);
    let note = "sentinel.toml has changed since the plan was made; apply makes the saved changes. The manifest has another desired state for: profiles.a.";
    assert!(run.stderr.contains(note), "{}", run.stderr);
    assert!(run.stdout.contains("+ /sentinel/policies/a (created)"), "{}", run.stdout);
}

#[test]
fn an_incomplete_plan_is_not_saved_and_keeps_its_exit_code() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\naccount_id = \"999999999999\"\n[profiles.a]\n");
    let run = world.run(&["plan", "--out", "p.json"]).expect(4);
    assert!(run.stderr.contains("Not saved to p.json"), "{}", run.stderr);
    assert!(!world.folder.path().join("p.json").exists());
}

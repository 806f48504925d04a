//! One manifest for several accounts and regions.

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::World;

const TARGETS: &str = r#"[targets.east]
region = "us-east-1"

[targets.west]
region = "us-west-2"

[profiles.dev]

[tables.sessions]
"#;

fn world() -> World {
    let world = World::quick();
    world.write("sentinel.toml", TARGETS);
    world
}

#[test]
fn every_target_is_a_separate_pass() {
    let world = world();
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(2);
    snapshot!(plan.stdout);
    let run = world.run(&["apply", "--yes"]).expect(0);
    snapshot!(run.stdout);
    assert!(run.stderr.contains("west: /sentinel/policies/dev: creating"), "{}", run.stderr);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let status = world.run(&["status", "--json"]).expect(0).json();
    let regions: Vec<&Value> = status["targets"].as_array().unwrap().iter().map(|one| &one["region"]).collect();
    assert_eq!(regions, ["us-east-1", "us-west-2"]);
}

#[test]
fn targets_are_selected_and_json_has_a_list() {
    let world = world();
    let plan = world.run(&["plan", "--target", "west", "--json"]).expect(0).json();
    let targets = plan["targets"].as_array().unwrap();
    assert_eq!((targets.len(), &targets[0]["name"]), (1, &json!("west")));
    assert_eq!(targets[0]["target"]["region"], json!("us-west-2"));
    world.run(&["apply", "--target", "west", "--yes"]).expect(0);
    world.run(&["plan", "--target", "west", "--detailed-exitcode"]).expect(0);
    world.run(&["plan", "--target", "east", "--detailed-exitcode"]).expect(2);
    let run = world.run(&["plan", "--target", "north"]).expect(1);
    assert!(run.stderr.contains("the manifest has no target north"), "{}", run.stderr);
    let run = world.run(&["plan", "--region", "eu-west-1"]).expect(1);
    assert!(run.stderr.contains("cannot apply to several targets: east, west"), "{}", run.stderr);
}

#[test]
fn one_failed_target_does_not_stop_others() {
    let world = world();
    world.write(
        "sentinel.toml",
        &TARGETS.replace("region = \"us-west-2\"", "region = \"us-west-2\"\naccount_id = \"999999999999\""),
    );
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("wrong account"), "{}", run.stdout);
    assert!(run.stdout.contains("+ /sentinel/policies/dev (created)"), "{}", run.stdout);
    world.run(&["plan", "--target", "east", "--detailed-exitcode"]).expect(0);
    let document = world.run(&["plan", "--json"]).expect(4).json();
    assert!(document["targets"][1]["error"]["message"].as_str().unwrap().starts_with("wrong account"));
}

/// A role is assumed for each target, so each has another account.
#[test]
fn a_role_is_assumed_for_its_target() {
    let world = World::quick();
    // The account of [aws] is that of the caller who assumes the roles, not of the roles.
    let targets = "[aws]\naccount_id = \"123456789012\"\n[targets.one]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111111111111:role/deploy\"\naccount_id = \"111111111111\"\n\
        [targets.two]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::222222222222:role/deploy\"\n[profiles.dev]\n";
    world.write("sentinel.toml", targets);
    world.run(&["apply", "--target", "one", "--yes"]).expect(0);
    assert!(world.calls().iter().any(|call| call.operation == "AssumeRole"));
    world.run(&["plan", "--target", "one", "--detailed-exitcode"]).expect(0);
    let plan = world.run(&["plan", "--target", "two", "--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("Account 222222222222 as "), "{}", plan.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn two_equal_targets_are_refused() {
    let world = World::quick();
    world.write(
        "sentinel.toml",
        "[targets.a]\nregion = \"us-east-1\"\n[targets.b]\nregion = \"us-east-1\"\n[profiles.dev]\n",
    );
    let run = world.run(&["plan"]).expect(4);
    assert!(
        run.stdout.contains("targets a and b are the same: account 123456789012, region us-east-1"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_saved_plan_has_every_target_and_is_applied_as_a_whole() {
    let world = world();
    world.run(&["plan", "--out", "p.json"]).expect(0);
    let shown = world.run(&["show", "p.json"]).expect(0);
    assert!(shown.stdout.contains("── Target west ──"), "{}", shown.stdout);
    world.run(&["apply", "p.json", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // A changed baseline in one target makes the plan stale for all.
    world.write("sentinel.toml", &format!("{TARGETS}[profiles.new]\n"));
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["apply", "--target", "west", "--yes"]).expect(0);
    world.calls();
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    let moved = "profiles.new (/sentinel/policies/new): did not exist, and exists now";
    assert!(run.stderr.contains(&format!("target west: {moved}")), "{}", run.stderr);
    assert!(!run.stderr.contains("target east: "), "{}", run.stderr);
    assert_eq!(world.writes(), [""; 0]);
    // Each stale target is named.
    world.run(&["apply", "--target", "east", "--yes"]).expect(0);
    let run = world.run(&["apply", "p.json", "--yes"]).expect(4);
    for name in ["east", "west"] {
        assert!(run.stderr.contains(&format!("target {name}: {moved}")), "{}", run.stderr);
    }
}

const MATRIX: &str = r#"[targets.prod]
accounts = ["111111111111", "222222222222"]
regions = ["us-east-1", "eu-west-1"]
role_arn = "arn:aws:iam::{account}:role/deploy"

[targets.prod.override.tables.sessions]
name = "acme-{target}-{account}"
deletion_protection = true

[targets.other]
region = "us-east-1"

[profiles.dev]
policy = "policies/{target}.yaml"

[tables.sessions]
name = "acme-sessions"
[tables.sessions.indexes.actor-index]
partition_key = { name = "actor", type = "S" }
"#;

/// Returns a world with the targets of a matrix and another one, with different policies.
fn matrix() -> World {
    let world = World::quick();
    world.write("sentinel.toml", MATRIX).write("policies/prod.yaml", crate::e2e::POLICY);
    world.write("policies/other.yaml", &crate::e2e::POLICY.replace("bob", "eve"));
    world
}

fn names(document: &Value) -> Vec<&str> {
    document["targets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_section_describes_every_combination_of_its_accounts_and_regions() {
    let world = matrix();
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let prod = [
        "prod/111111111111/us-east-1",
        "prod/111111111111/eu-west-1",
        "prod/222222222222/us-east-1",
        "prod/222222222222/eu-west-1",
    ];
    assert_eq!(names(&plan), [&prod[..], &["other"]].concat());
    let target = &plan["targets"][1]["target"];
    assert_eq!((&target["region"], &target["caller"]["account"]), (&json!("eu-west-1"), &json!("111111111111")));
    for (pattern, expected) in [
        ("prod/*/eu-*", vec![prod[1], prod[3]]),
        ("prod", prod.to_vec()),
        ("prod/111111111111/*", vec![prod[0], prod[1]]),
        ("*", vec!["other"]),
    ] {
        let plan = world.run(&["plan", "--json", "--target", pattern]).expect(0).json();
        assert_eq!(names(&plan), expected, "{pattern}");
    }
    let run = world.run(&["plan", "--target", "prod/*/us-west-9"]).expect(1);
    assert!(run.stderr.contains("the manifest has no target prod/*/us-west-9"), "{}", run.stderr);
    let run = world.run(&["plan", "--target", "prd"]).expect(1);
    assert!(run.stderr.contains("did you mean prod?"), "{}", run.stderr);
}

#[test]
fn values_differ_by_target_in_names_files_and_overrides() {
    let world = matrix();
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let table = |target: usize| &plan["targets"][target]["resources"][1];
    assert_eq!(table(2)["name"], "acme-prod-222222222222");
    assert_eq!(table(4)["name"], "acme-sessions");
    // An override replaces its own settings, and keeps the others.
    let create = &table(2)["steps"][0]["table"];
    assert_eq!(create["deletion_protection"], true, "{create:#}");
    assert!(create["indexes"]["actor-index"].is_object(), "{create:#}");
    let policy = |target: usize| plan["targets"][target]["resources"][0]["origin"].as_str().unwrap();
    assert_eq!((policy(0), policy(4)), ("policies/prod.yaml", "policies/other.yaml"));
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // A saved plan of different targets is checked against the desired state of each.
    world.write("policies/prod.yaml", &crate::e2e::POLICY.replace("bob", "carol"));
    world.run(&["plan", "--out", "p.json"]).expect(0);
    world.run(&["show", "p.json"]).expect(0);
    let run = world.run(&["apply", "p.json", "--yes"]).expect(0);
    assert!(!run.stderr.contains("another desired state"), "{}", run.stderr);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn faults_of_targets_are_shown_at_their_source() {
    let world = matrix();
    let fault = |manifest: &str, line: usize, words: &str| {
        world.write("sentinel.toml", manifest);
        let run = world.run(&["validate"]).expect(1);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("sentinel.toml:{line}:")), "{line}: {}", run.stderr);
        assert_eq!(run.stderr.matches(words).count(), 1, "{}", run.stderr);
    };
    let with = |from: &str, to: &str| MATRIX.replacen(from, to, 1);
    fault(&with("override.tables.sessions", "override.tables.sesions"), 6, "there is no [tables.sesions] to override");
    fault(&with("override.tables", "override.table"), 6, "`table` cannot be overridden");
    fault(&with("deletion_protection", "deletion_protect"), 8, "unknown key `deletion_protect`");
    fault(&with("acme-{target}-{account}", "acme {account}"), 7, "is not a valid DynamoDB table name");
    fault(&with("{target}.yaml", "{taget}.yaml"), 14, "has the unknown placeholder {taget}");
    fault(&with("{target}.yaml", "{account}.yaml"), 14, "{account} of the target other has no value");
    fault(&with("policies/{target}", "policies/x-{target}"), 14, "there is no policy file policies/x-prod.yaml");
    fault(&with("{account}:role", "111111111111:role"), 4, "the role of `targets.prod` is not of account 222222222222");
    fault(&with("role_arn = \"arn:aws:iam::{account}:role/deploy\"", ""), 2, "neither `role_arn` nor `profile`");
    fault(&with("\"222222222222\"", "\"111111111111\""), 2, "111111111111 is listed twice");
    fault(&with("\"222222222222\"", "\"2\""), 2, "\"2\" is not an account id");
    fault(&with("iam::{account}", "iam::{acount}"), 4, "has a placeholder that is unknown here");
}

/// One session for each account and role, whatever the number of regions.
#[test]
fn a_role_is_assumed_once_for_all_regions_of_its_account() {
    let world = matrix();
    let regions = r#"regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2"]"#;
    world.write("sentinel.toml", &MATRIX.replace(r#"regions = ["us-east-1", "eu-west-1"]"#, regions));
    world.run(&["plan", "--target", "prod"]).expect(0);
    let calls = world.calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!((count("AssumeRole"), count("GetCallerIdentity")), (2, 2));
}

#[test]
fn a_denying_account_is_named_and_does_not_stop_others() {
    let world = matrix();
    world.run(&["apply", "--yes"]).expect(0);
    let denied = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied\
        </Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
    let mut asked = 0;
    world.fault(move |call| {
        // The second of the two accounts is requested last.
        if call.operation != "AssumeRole" {
            return None;
        }
        asked += 1;
        let answer =
            || sentinel::local::Answer { status: 403, content_type: "text/xml", body: denied.as_bytes().to_vec() };
        (asked == 1).then(answer)
    });
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(3);
    assert_eq!(run.stdout.matches(": in sync (2 resources)").count(), 3, "{}", run.stdout);
    let total = "Total: 5 targets: 3 in sync, 2 failed; 6 of 6 resources in sync.\n  Failed: prod/";
    assert!(run.stdout.contains(total), "{}", run.stdout);
    world.clear_faults();
    let document = world.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(document["total"]["in_sync"], 5, "{document:#}");
    for format in ["markdown", "html", "github"] {
        let run = world.run(&["plan", "--format", format]).expect(0);
        assert!(run.stdout.contains("5 targets: 5 in sync; 10 of 10 resources in sync"), "{format}: {}", run.stdout);
    }
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(
        run.stdout.ends_with("Total: 5 targets: 0 changed, 5 with nothing to do, 0 not done in full.\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn shards_contain_each_target_once() {
    let world = matrix();
    let mut all: Vec<String> = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let plan = world.run(&["plan", "--json", "--shard", shard]).expect(0).json();
        all.extend(names(&plan).into_iter().map(str::to_owned));
    }
    all.sort();
    let mut expected: Vec<String> =
        names(&world.run(&["plan", "--json"]).expect(0).json()).into_iter().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(all, expected);
    let run = world.run(&["plan", "--shard", "4/3"]).expect(1);
    assert!(run.stderr.contains("is not a shard"), "{}", run.stderr);
}

#[test]
fn status_reports_sync_and_changes_since_the_baseline() {
    let world = matrix();
    let status =
        |code: i32| world.run(&["status", "--expect-in-sync", "--baseline", "b", "--out-json", "s.json"]).expect(code);
    let changed = || {
        let text = std::fs::read_to_string(world.folder.path().join("s.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["baseline"]["changed"].clone()
    };
    let run = status(2);
    assert!(run.stderr.contains("Not in sync"), "{}", run.stderr);
    assert_eq!(changed(), true);
    status(2);
    assert_eq!(changed(), false);
    world.run(&["apply", "--yes"]).expect(0);
    let run = status(0);
    assert!(run.stderr.contains("In sync: AWS matches the manifest"), "{}", run.stderr);
    assert!(run.stderr.contains("Baseline b: nothing has drifted; not the same as before"), "{}", run.stderr);
    assert_eq!(changed(), true);
    status(0);
    assert_eq!(changed(), false);
    world.write("b", "mine\n");
    let run = world.run(&["status", "--baseline", "b"]).expect(1);
    assert!(run.stderr.contains("this file is not a baseline"), "{}", run.stderr);
}

#[test]
fn a_baseline_is_for_one_manifest_and_its_targets() {
    let world = matrix();
    let read = || std::fs::read_to_string(world.folder.path().join("b")).unwrap();
    let status = |extra: &[&str], code: i32| world.run(&[&["status", "--baseline", "b"], extra].concat()).expect(code);
    status(&["--target", "prod"], 0);
    let before = read();
    world.write("copy.toml", MATRIX);
    world.calls();
    for extra in [&["--target", "other"][..], &[], &["--target", "prod", "-f", "copy.toml"]] {
        let run = status(extra, 1);
        assert!(run.stderr.contains("this is the baseline of another manifest"), "{}", run.stderr);
    }
    assert_eq!(world.calls().len(), 0, "nothing is asked of AWS");
    assert_eq!(read(), before);
    // Then the report is shown, and the baseline is unchanged.
    world.write("sentinel.toml", &MATRIX.replace("us-east-1", "us-west-1").replace("eu-west-1", "eu-west-2"));
    let run = status(&["--target", "prod"], 1);
    assert!(run.stderr.contains("this is the baseline of other targets"), "{}", run.stderr);
    assert!(run.stdout.contains("us-west-1"), "{}", run.stdout);
    assert_eq!(read(), before);
}

#[test]
fn a_baseline_is_unchanged_if_no_read_succeeds() {
    let world = matrix();
    let read = || std::fs::read_to_string(world.folder.path().join("b")).unwrap();
    world.run(&["status", "--baseline", "b"]).expect(0);
    let before = read();
    world.fail("GetCallerIdentity", "ExpiredToken", "");
    let run = world.run(&["status", "--baseline", "b"]).expect(1);
    assert!(run.stderr.contains("nothing could be read; the file was not changed"), "{}", run.stderr);
    assert_eq!(read(), before);
}

#[test]
fn two_options_cannot_name_the_same_file() {
    let world = matrix();
    world.run(&["status", "--baseline", "b"]).expect(0);
    let before = std::fs::read_to_string(world.folder.path().join("b")).unwrap();
    for (options, expected) in [
        (&["--baseline", "b", "--out-json", "./b"][..], "this is a baseline"),
        (&["--baseline", "new", "--out-json", "./new"], "two options name the file new"),
        (&["--out-text", "x", "--out-json", "x"], "two options name the file x"),
        (&["--baseline", "-"], "- is not a file to write to"),
    ] {
        let run = world.run(&[&["status"], options].concat()).expect(1);
        assert!(run.stderr.contains(expected), "{options:?} {}", run.stderr);
    }
    assert_eq!(std::fs::read_to_string(world.folder.path().join("b")).unwrap(), before);
    assert!(!world.folder.path().join("-").exists());
}

#[test]
fn an_empty_selection_is_not_in_sync() {
    let world = matrix();
    world.write("empty.toml", "");
    let run = world.run(&["status", "-f", "empty.toml", "--expect-in-sync"]).expect(1);
    assert!(run.stderr.contains("no resource that could be in sync"), "{}", run.stderr);
    let run = world.run(&["status", "--expect-in-sync", "--target", "other", "--shard", "1/9999"]).expect(1);
    assert!(run.stderr.contains("no target is in this part"), "{}", run.stderr);
}

#[test]
fn a_target_of_another_account_counts_as_unreadable() {
    let world = World::quick();
    let far = "[targets.far]\nregion = \"us-east-1\"\naccount_id = \"999999999999\"\n";
    world.write("sentinel.toml", &format!("[targets.one]\nregion = \"eu-west-1\"\n{far}[profiles.dev]\n"));
    world.run(&["status", "--expect-in-sync"]).expect(3);
}

#[test]
fn a_target_is_required_only_if_table_names_differ() {
    let world = World::quick();
    let manifest = "[targets.one]\nregion = \"us-east-1\"\n[targets.one.override.tables.approvals]\ndeletion_protection = true\n\
                    [tables.approvals]\n";
    world.write("sentinel.toml", manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["list"]).expect(0);
    world.write("sentinel.toml", &manifest.replace("deletion_protection = true", "name = \"acme\""));
    let run = world.run(&["list"]).expect(1);
    assert!(run.stderr.contains("the names of the tables differ by target"), "{}", run.stderr);
}

#[test]
fn access_commands_require_one_target() {
    let world = World::quick();
    let manifest = r#"[targets.one]
accounts = ["123456789012"]
regions = ["us-east-1", "eu-west-1"]
[targets.far]
region = "us-east-1"
account_id = "999999999999"
[profiles.dev]
[tables.approvals]
name = "acme-requests-{region}"
"#;
    world.write("sentinel.toml", manifest);
    world.run(&["apply", "--yes", "--target", "one"]).expect(0);
    let list = |target: &[&str], code: i32| world.run(&[&["list", "--json"], target].concat()).expect(code);
    let run = list(&["--target", "one/*/eu-west-1"], 0);
    assert_eq!(run.json()["table"], "acme-requests-eu-west-1");
    let run = list(&[], 1);
    assert!(run.stderr.contains("the names of the tables differ by target"), "{}", run.stderr);
    let run = list(&["--target", "one"], 1);
    assert!(run.stderr.contains("one matches 2 targets, and this command uses one"), "{}", run.stderr);
    let run = list(&["--target", "far"], 4);
    assert!(run.stderr.contains("999999999999"), "{}", run.stderr);
    let run = world.run(&["init", "status", "--target", "one/*/us-east-1", "--json"]).expect(0).json();
    assert_eq!(run["tables"][0]["name"], "acme-requests-us-east-1", "{run:#}");
}

/// The merged reports of shards equal the report of the whole run, in every format.
#[test]
fn the_merged_report_of_shards_equals_the_whole_report() {
    let world = matrix();
    world.run(&["apply", "--yes", "--target", "prod/*/us-*"]).expect(0);
    world.write("policies/other.yaml", &crate::e2e::POLICY.replace("bob", "mallory"));
    let formats = ["text", "json", "markdown", "html", "github"];
    let files = |folder: &str| formats.map(|format| format!("--out-{format}={folder}/{format}"));
    for command in ["plan", "status"] {
        let folder = |name: &str| {
            let name = format!("{command}-{name}");
            std::fs::create_dir_all(world.folder.path().join(&name)).unwrap();
            name
        };
        let (whole, parts, merged) = (folder("whole"), folder("parts"), folder("merged"));
        let run = |words: &[&str], files: &[String]| {
            let words: Vec<&str> = words.iter().copied().chain(files.iter().map(String::as_str)).collect();
            world.run(&words).expect(0)
        };
        run(&[command], &files(&whole));
        for shard in 1..=4 {
            run(&[command, &format!("--shard={shard}/4")], &[format!("--out-json={parts}/{shard}.json")]);
        }
        run(&["report", "merge", &parts], &files(&merged));
        for format in formats {
            let read = |folder: &str| std::fs::read_to_string(world.folder.path().join(folder).join(format)).unwrap();
            similar_asserted(&read(&whole), &read(&merged), &format!("{command} {format}"));
        }
        std::fs::remove_file(world.folder.path().join(&parts).join("2.json")).unwrap();
        let run = world.run(&["report", "merge", &parts]).expect(1);
        assert!(run.stderr.contains("missing 2"), "{}", run.stderr);
    }
}

fn similar_asserted(whole: &str, merged: &str, what: &str) {
    let diff = similar::TextDiff::from_lines(whole, merged);
    assert!(whole == merged, "{what}:\n{}", diff.unified_diff());
}

/// Nested units, 300 accounts in pages, suspended accounts, exclusions.
#[test]
fn apply_reports_of_shards_are_merged() {
    let world = matrix();
    world.run(&["apply", "--yes", "--target", "other"]).expect(0);
    world.fail("CreateTable", "ValidationException", "222222222222");
    std::fs::create_dir(world.folder.path().join("parts")).unwrap();
    for shard in 1..=3 {
        let run = world.run(&["apply", "--yes", "--json", &format!("--shard={shard}/3")]);
        assert!([0, 5].contains(&run.code), "{}", run.stderr);
        assert_eq!(run.json()["shard"], format!("{shard}/3"));
        world.write(&format!("parts/{shard}.json"), &run.stdout);
    }
    let merged = world.run(&["report", "merge", "parts", "--json"]).expect(0).json();
    assert_eq!(merged["total"], json!({ "targets": 5, "changed": 2, "unchanged": 1, "not_done": 2 }));
    assert_eq!(names(&merged)[4], "other", "they are in the order of the manifest");
    assert_eq!(merged["targets"][2]["result"]["resources"][1]["outcome"], "failed");
    let total = "5 targets: 2 changed, 1 with nothing to do, 2 not done in full";
    for format in ["text", "markdown", "html", "github"] {
        let run = world.run(&["report", "merge", "parts", "--format", format]).expect(0);
        assert!(run.stdout.contains(total), "{format}: {}", run.stdout);
        assert!(
            format == "github" || run.stdout.contains("ValidationException by the test"),
            "{format}: {}",
            run.stdout
        );
    }
    // The JSON document of an apply equals the merged one.
    let whole = world.run(&["apply", "--yes", "--json"]).expect(1).json();
    assert_eq!(whole["total"], json!({ "targets": 5, "changed": 0, "unchanged": 3, "not_done": 2 }));
}

#[test]
fn log_lines_of_a_target_name_it() {
    let world = world();
    let mut refused = false;
    world.fault(move |call| {
        let throttled = || call.refusal("ThrottlingException", "Rate exceeded");
        let first = call.region == "us-west-2" && call.operation == "DescribeTable" && !refused;
        refused |= first;
        first.then(throttled)
    });
    let run = world.run(&["plan", "-v"]).expect(0);
    let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains("Rate exceeded")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("target{name=\"west\"}")), "{}", run.stderr);
    let of_east = |line: &&str| line.contains("target{name=\"east\"}") && line.contains("answered");
    assert!(run.stderr.lines().any(|line| of_east(&line)), "{}", run.stderr);
}

#[test]
fn a_saved_plan_and_a_report_are_not_written_to_one_file() {
    let world = world();
    let run = world.run(&["plan", "--out", "p", "--out-json", "./p"]).expect(1);
    assert!(run.stderr.contains("two options name the file p"), "{}", run.stderr);
    assert!(world.calls().is_empty());
}

#[test]
fn placeholders_are_replaced_in_every_text_of_a_section() {
    let world = World::quick();
    world.write(
        "sentinel.toml",
        r#"[targets.prod]
region = "eu-west-1"
account_id = "123456789012"
[topics.alerts.subscriptions.queue]
protocol = "sqs"
endpoint = "arn:aws:sqs:{region}:{account}:alerts"
filter_policy = { event = ["{target}", "{other}"] }
[parameters."/app/url"]
value = "https://{region}.example.com/{id}"
description = "of {target}"
[tables.sessions]
encryption = "arn:aws:kms:{region}:{account}:key/11111111-2222-3333-4444-555555555555"
tags = { stage = "{target}" }
"#,
    );
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let text = plan.to_string();
    for expected in [
        "arn:aws:sqs:eu-west-1:123456789012:alerts",
        "https://eu-west-1.example.com/{id}",
        "of prod",
        "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        "\"stage\":\"prod\"",
    ] {
        assert!(text.contains(expected), "{expected}: {plan:#}");
    }
    assert!(!text.contains("{region}") && !text.contains("{account}") && !text.contains("{target}"), "{plan:#}");
    world.write(
        "sentinel.toml",
        "[topics.alerts.subscriptions.q]\nprotocol = \"sqs\"\nendpoint = \"arn:aws:sqs:{regoin}:1:a\"\n",
    );
    let run = world.run(&["validate"]).expect(1);
    assert!(
        run.stderr.contains("unknown placeholder {regoin}") && run.stderr.contains("sentinel.toml:3:"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stderr.matches("sentinel.toml:").count(), 1, "one fault has one message: {}", run.stderr);
}

#[test]
fn an_unknown_placeholder_is_one_fault() {
    let world = world();
    world.write(
        "sentinel.toml",
        "[profiles.a]\npolicy = \"p/{acount}.yaml\"\n[profiles.b]\npolicy = \"p/{acount}.yaml\"\n[targets.x]\n",
    );
    let run = world.run(&["validate"]).expect(1);
    assert_eq!(run.stderr.matches("sentinel.toml:").count(), 2, "{}", run.stderr);
    assert_eq!(run.stderr.matches("unknown placeholder").count(), 2, "{}", run.stderr);
}

#[test]
fn a_faulty_reference_of_an_override_is_shown_in_its_own_line() {
    let world = world();
    world.write(
        "sentinel.toml",
        "[keys.a]\n[tables.sessions]\nencryption = { key = \"a\" }\n[targets.x]\nregion = \"us-east-1\"\n[targets.x.override.tables.sessions]\n\
         encryption = { key = \"b\" }\n",
    );
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("refers to `keys.b`") && run.stderr.contains("sentinel.toml:7:"), "{}", run.stderr);
}

#[test]
fn accounts_of_an_organization_are_discovered() {
    let world = World::quick();
    let mut organization = sentinel::local::Organization::default()
        .with_unit("ou-ab12-11111111", "r-ab12")
        .with_unit("ou-ab12-22222222", "ou-ab12-11111111")
        .with_unit("ou-ab12-33333333", "ou-ab12-22222222")
        .with_unit("ou-ab12-44444444", "ou-ab12-11111111");
    let id = |number: usize| format!("{:012}", 100_000_000_000 + number);
    for number in 0..300 {
        let unit = ["ou-ab12-11111111", "ou-ab12-22222222", "ou-ab12-33333333"][number % 3];
        let state = if number < 3 { "SUSPENDED" } else { "ACTIVE" };
        organization = organization.with_account(&id(number), unit, state);
    }
    organization =
        organization.with_account(&id(900), "ou-ab12-44444444", "ACTIVE").with_account(&id(901), "r-ab12", "ACTIVE");
    let manifest = "[targets.all]\norganization = { ou = \"ou-ab12-11111111\", recursive = true, exclude = [\"100000000007\", \
        \"ou-ab12-44444444\"] }\nregions = [\"us-east-1\"]\nrole_arn = \"arn:aws:iam::{account}:role/deploy\"\n[profiles.dev]\n";
    world.write("sentinel.toml", manifest);
    world.fault(move |call| {
        let is_ours = call.service == "organizations";
        is_ours.then(|| organization.answer(&call.operation, call.body.to_string().as_bytes()))
    });
    let run = world.run(&["plan", "--json", "--target", "all/10000000020*/*"]).expect(0);
    let plan = run.json();
    let expected: Vec<String> = (200..210).map(|number| format!("all/{}/us-east-1", id(number))).collect();
    assert_eq!(names(&plan), expected);
    let words =
        "targets.all: skipped 3 accounts: 100000000000 (suspended), 100000000001 (suspended), 100000000002 (suspended)";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    let calls = world.calls();
    let count = |operation: &str| calls.iter().filter(|call| call.operation == operation).count();
    // Three units of 100 accounts in pages of 20, and the units below each.
    assert_eq!((count("ListAccountsForParent"), count("ListOrganizationalUnitsForParent")), (15, 3));
    // The role belongs to the target's account.
    assert_eq!(plan["targets"][5]["target"]["caller"]["account"], id(205));
    // Only one unit, and never with an invalid account ID.
    let one = manifest.replace(", recursive = true", "");
    world.write("sentinel.toml", &one);
    let plan = world.run(&["plan", "--json", "--target", "all/10000000000*/*"]).expect(0).json();
    assert_eq!(
        names(&plan),
        ["all/100000000003/us-east-1", "all/100000000006/us-east-1", "all/100000000009/us-east-1"]
    );
    world.run(&["validate"]).expect(0);
    world.clear_faults();
    world.fault(|call| {
        let body = json!({ "Accounts": [{ "Id": "../../x", "State": "ACTIVE" }] }).to_string().into_bytes();
        let answer = || sentinel::local::Answer { status: 200, content_type: "application/x-amz-json-1.1", body };
        (call.operation == "ListAccountsForParent").then(answer)
    });
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stderr.contains("which is not an account ID"), "{}", run.stderr);
    world.clear_faults();
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stderr.contains("not a member of an organization"), "{}", run.stderr);
}

/// On moto, which has an independent implementation of Organizations: nested units, 300 accounts, closed accounts.
#[test]
fn the_organization_of_moto_is_discovered() {
    let Some(url) = crate::world::moto() else { return };
    let world = World::quick();
    let call = |operation: &str, body: &Value| -> Value {
        let target = format!("AWSOrganizationsV20161128.{operation}");
        let credential = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/organizations/aws4_request, Signature=x";
        let headers = [
            ("X-Amz-Target", target.as_str()),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Authorization", credential),
        ];
        let answer = crate::world::http(&url, "POST /", &headers, body.to_string().as_bytes());
        serde_json::from_slice(&answer.1).unwrap_or_default()
    };
    call("CreateOrganization", &json!({ "FeatureSet": "ALL" }));
    let root = call("ListRoots", &json!({}))["Roots"][0]["Id"].as_str().unwrap().to_owned();
    let unit = |parent: &str, name: &str| {
        let made = call("CreateOrganizationalUnit", &json!({ "ParentId": parent, "Name": name }));
        made["OrganizationalUnit"]["Id"].as_str().unwrap().to_owned()
    };
    let outer = unit(&root, "outer");
    let units = [outer.clone(), unit(&outer, "inner"), unit(&outer, "other")];
    for number in 0..300 {
        let body = json!({ "AccountName": format!("a{number}"), "Email": format!("a{number}@example.com") });
        let made = call("CreateAccount", &body);
        let id = made["CreateAccountStatus"]["AccountId"].as_str().unwrap().to_owned();
        let to = &units[number % 3];
        call("MoveAccount", &json!({ "AccountId": id, "SourceParentId": root, "DestinationParentId": to }));
        if number < 3 {
            call("CloseAccount", &json!({ "AccountId": id }));
        }
    }
    let manifest = format!(
        "[targets.all]\norganization = {{ ou = \"{outer}\", recursive = true }}\nregions = [\"us-east-1\"]\nrole_arn = \
         \"arn:aws:iam::{{account}}:role/deploy\"\n[profiles.dev]\n"
    );
    world.write("sentinel.toml", &manifest);
    let run = world.run(&["plan", "--target", "nothing/*/*", "--target", "all"]).expect(1);
    // 20 of the names are listed.
    assert!(run.stderr.contains(", and 277 more"), "{}", run.stderr);
    assert!(run.stderr.contains("targets.all: skipped 3 accounts"), "{}", run.stderr);
}

#[test]
fn each_target_has_its_own_emulator() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[targets.a]\nregion = \"us-east-1\"\n[targets.b]\nregion = \"us-east-1\"\n[profiles.dev]\n",
    );
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["apply", "--local", "--yes", "--target", "a"]).expect(0);
    run(&["plan", "--local", "--detailed-exitcode", "--target", "a"]).expect(0);
    run(&["plan", "--local", "--detailed-exitcode", "--target", "b"]).expect(2);
}

#[test]
fn an_unreadable_emulator_store_fails_only_its_own_target() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[targets.a]\nregion = \"us-east-1\"\n[targets.b]\nregion = \"us-east-1\"\n[profiles.dev]\n",
    );
    let run = |args: &[&str]| crate::world::finish(world.command(args).spawn().unwrap());
    run(&["apply", "--local", "--yes"]).expect(0);
    let stores = world.folder.path().join(".sentinel/targets");
    std::fs::write(stores.join("b/us-east-1/aws.db"), "no database").unwrap();
    let damaged = run(&["plan", "--local"]).expect(1);
    std::fs::remove_dir_all(stores.join("b")).unwrap();
    std::os::unix::fs::symlink("a", stores.join("b")).unwrap();
    let linked = run(&["plan", "--local"]).expect(1);
    for run in [damaged, linked] {
        assert!(run.stdout.contains("── Target a: in sync (1 resource)"), "{}", run.stdout);
        assert!(run.stdout.contains("error[E006]: the AWS emulator: .sentinel/targets/b"), "{}", run.stdout);
        assert!(run.stdout.contains("2 targets: 1 in sync, 1 failed"), "{}", run.stdout);
    }
}

#[test]
fn at_the_time_limit_completed_targets_are_reported_and_others_named() {
    let world = world();
    world.run(&["apply", "--target", "east", "--yes"]).expect(0);
    // One target gets a response, and the other waits forever.
    world.fault(|call| {
        let throttled = || call.refusal("ThrottlingException", "Rate exceeded");
        (call.region == "us-west-2" && call.operation == "GetParameters").then(throttled)
    });
    let run = world.run(&["plan", "--timeout", "2s"]).expect(1);
    let unfinished = "── Target west: not finished in the time that --timeout gives\n";
    assert!(run.stdout.contains("── Target east: in sync (2 resources)\n"), "{}", run.stdout);
    assert!(run.stdout.contains(unfinished), "{}", run.stdout);
    let total = "2 targets: 1 in sync, 1 not finished; 2 of 2 resources in sync.\n  Not finished: west\n";
    assert!(run.stdout.ends_with(total), "{}", run.stdout);
    let document = world.run(&["status", "--timeout", "2s", "--json"]).expect(1).json();
    assert_eq!((&document["total"]["in_sync"], &document["total"]["unfinished"]), (&json!(1), &json!(1)));
    assert_eq!(document["targets"][1]["error"]["code"], "E008");
    world.run(&["status", "--timeout", "2s", "--detailed-exitcode"]).expect(3);
    // An apply makes no further calls and no changes.
    world.calls();
    let run = world.run(&["apply", "--timeout", "2s"]).expect(1);
    assert!(run.stdout.contains(unfinished) && run.stdout.contains("Not done in full: west"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
}

/// The message names the profile or the role, and the fix.
#[test]
fn failing_credentials_are_named() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.dev]\n");
    let run = world.run(&["plan", "--aws-profile", "nowhere"]).expect(1);
    assert!(run.stderr.contains("no credentials from the AWS profile nowhere"), "{}", run.stderr);
    assert!(run.stderr.contains("error[E103]") && run.stderr.contains("it is not in ~/.aws/config"), "{}", run.stderr);
    let role = "arn:aws:iam::111111111111:role/deploy";
    world.write(
        "sentinel.toml",
        &format!("[targets.one]\nregion = \"us-east-1\"\nrole_arn = \"{role}\"\n[profiles.dev]\n"),
    );
    let denied = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>AccessDenied\
        </Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>";
    world.fault(move |call| {
        let answer =
            || sentinel::local::Answer { status: 403, content_type: "text/xml", body: denied.as_bytes().to_vec() };
        (call.operation == "AssumeRole").then(answer)
    });
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stdout.contains(&format!("could not assume the role {role}")), "{}", run.stdout);
    let expected = "/deploy: sts:AssumeRole: AccessDenied: User is not authorized to perform: sts:AssumeRole (request";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    assert!(run.stdout.contains("hint: the calling credentials need sts:AssumeRole on the role"), "{}", run.stdout);
}

/// The name of a matrix target contains its region: with another region, it would be the name of another target.
#[test]
fn a_region_flag_must_match_the_region_in_a_target_name() {
    let world = matrix();
    let target = ["--target", "prod/222222222222/us-east-1"];
    for command in ["plan", "status", "list"] {
        let args = [&[command][..], &target, &["--region", "eu-west-1"]].concat();
        let run = world.run(&args).expect(1);
        let words = "the target prod/222222222222/us-east-1 is in us-east-1, but --region is eu-west-1";
        assert!(run.stderr.contains("error[E001]") && run.stderr.contains(words), "{command}: {}", run.stderr);
    }
    let run = world.run(&[&["init", "status"][..], &target, &["--region", "eu-west-1"]].concat()).expect(1);
    assert!(run.stderr.contains("error[E001]"), "{}", run.stderr);
    world.run(&[&["plan"][..], &target, &["--region", "us-east-1"]].concat()).expect(0);
    // The name of a section contains no region.
    world.run(&["plan", "--target", "other", "--region", "eu-west-1"]).expect(0);
}

#[test]
fn init_status_refuses_the_account_of_another_target() {
    let world = World::quick();
    let manifest = "[targets.near]\nregion = \"us-east-1\"\n[targets.far]\nregion = \"us-east-1\"\n\
        account_id = \"999999999999\"\n[tables.approvals]\nname = \"acme-requests\"\n";
    world.write("sentinel.toml", manifest);
    let run = world.run(&["init", "status", "--target", "far"]).expect(4);
    assert!(run.stderr.contains("error[E401]: wrong account: target far is for 999999999999"), "{}", run.stderr);
    let run = world.run(&["init", "status", "--target", "near"]).expect(0);
    assert!(run.stdout.contains("Target near\n"), "{}", run.stdout);
    assert_eq!(world.run(&["init", "status", "--target", "near", "--json"]).expect(0).json()["target"], "near");
    // `init` has no --target.
    let apply = "sentinel apply --only tables.approvals --target near";
    assert!(run.stdout.contains(&format!("Run: {apply} ")), "{}", run.stdout);
    // Only resources of the manifest can be applied.
    assert!(!run.stdout.contains("sentinel init") && !run.stdout.contains("tables.breakglass"), "{}", run.stdout);
    let run = world.run(&["list", "--target", "near"]).expect(1);
    assert!(run.stderr.contains(&format!("create it with: {apply} ")), "{}", run.stderr);
}

#[test]
fn shell_functions_use_the_selected_target() {
    let world = World::quick();
    let manifest = "[targets.one]\nregion = \"us-east-1\"\n[targets.two]\nregion = \"eu-west-1\"\n[profiles.dev]\n";
    world.write("sentinel.toml", manifest);
    world.run(&["apply", "--yes"]).expect(0);
    let init =
        |target: &[&str]| world.run(&[&["shell", "init", "--format", "bash", "--json"], target].concat()).expect(0);
    for name in ["one", "two", "one"] {
        let script = init(&["--target", name]).json()["script"].as_str().unwrap().to_owned();
        assert!(script.contains(&format!("--target={name}")), "{name}: {script}");
    }
    // If AWS does not respond, the cached profiles are those of the same target.
    world.fault(|_| {
        let body = b"{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}".to_vec();
        Some(sentinel::local::Answer { status: 400, content_type: "application/x-amz-json-1.1", body })
    });
    let recalled = init(&["--target", "two"]).json();
    assert_eq!(recalled["fresh"], false);
    let script = recalled["script"].as_str().unwrap();
    assert!(script.contains("--target=two") && script.contains("eu-west-1"), "{script}");
}

#[test]
fn a_fault_of_one_target_is_shown_with_its_line() {
    let world = World::quick();
    let manifest = "[targets.b]\n[profiles.dev]\n[tables.one]\nname = \"acme-eu-west-1\"\n\
        partition_key = { name = \"id\", type = \"S\" }\n[tables.two]\nname = \"acme-{region}\"\n\
        partition_key = { name = \"id\", type = \"S\" }\n";
    world.write("sentinel.toml", manifest);
    // Only the environment specifies the region, in which two names are equal.
    let mut command = world.command(&["plan", "--endpoint-url", world.url()]);
    command.env("AWS_REGION", "eu-west-1");
    let run = crate::world::finish(command.spawn().unwrap()).expect(1);
    assert!(run.stdout.contains("sentinel.toml:") && run.stdout.contains("error[E003]"), "{}", run.stdout);
}

#[test]
fn two_targets_of_one_account_and_region_are_a_fault_of_the_manifest() {
    let world = World::quick();
    let target = |name: &str| format!("[targets.{name}]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n");
    world.write("sentinel.toml", &format!("{}{}[profiles.dev]\n", target("a"), target("b")));
    let run = world.run(&["validate"]).expect(1);
    let words = "targets a and b are the same: account 123456789012, region us-east-1";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    assert!(run.stderr.contains("sentinel.toml:4:") && run.stderr.contains("sentinel.toml:1:"), "{}", run.stderr);
    // A target whose account only AWS knows, if the other was not selected.
    world.write("sentinel.toml", &format!("[targets.a]\nregion = \"us-east-1\"\n{}[profiles.dev]\n", target("b")));
    for picked in ["a", "*"] {
        let run = world.run(&["apply", "--yes", "--target", picked]).expect(4);
        assert!(run.stdout.contains("targets a and b are the same"), "{}", run.stdout);
    }
    // Neither of the two is applied.
    let writes: Vec<String> = world.writes();
    assert!(writes.is_empty(), "{writes:?}");
}

const ORGANIZATION: &str = "[targets.all]\norganization = { ou = \"ou-ab12-34567890\" }\nregions = [\"us-east-1\"]\n\
    role_arn = \"arn:aws:iam::{account}:role/deploy\"\n[tables.sessions]\nname = \"acme-{account}\"\n";

#[test]
fn offline_commands_require_a_target_of_an_organization() {
    let world = World::quick();
    world.write("sentinel.toml", ORGANIZATION);
    let run = world.run(&["iam"]).expect(1);
    assert!(run.stderr.contains("this command makes no AWS call"), "{}", run.stderr);
    assert!(run.stderr.contains("--target all/ACCOUNT/REGION"), "{}", run.stderr);
    let run = world.run(&["iam", "--target", "all/111111111111/us-east-1"]).expect(0);
    assert!(run.stdout.contains("table/acme-111111111111"), "{}", run.stdout);
    let run = world.run(&["validate"]).expect(0);
    let expected = "1 table, for the accounts that AWS Organizations lists for all.";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    assert_eq!(world.run(&["validate", "--json"]).expect(0).json()["organizations"], json!(["all"]));
    assert!(world.calls().is_empty());
}

#[test]
fn a_graph_shows_one_target() {
    let world = matrix();
    let run = world.run(&["graph"]).expect(0);
    let first = "prod/111111111111/us-east-1";
    assert!(run.stdout.contains("acme-prod-111111111111"), "{}", run.stdout);
    assert!(run.stderr.contains(&format!("Drawn as it is at the target {first}; name another one")), "{}", run.stderr);
    let run = world.run(&["graph", "--target", "other"]).expect(0);
    assert!(run.stdout.contains("acme-sessions") && run.stderr.is_empty(), "{} {}", run.stdout, run.stderr);
    let run = world.run(&["graph", "--target", "prod"]).expect(1);
    assert!(run.stderr.contains("prod matches 4 targets"), "{}", run.stderr);
}

#[test]
fn a_target_in_sync_with_unknown_orphans_is_one_line() {
    let world = world();
    world.run(&["apply", "--yes"]).expect(0);
    world.fail("GetResources", "AccessDeniedException", "");
    let run = world.run(&["plan"]).expect(0);
    let line = "── Target west: in sync (2 resources; orphans are not known)\n";
    assert!(run.stdout.contains(line) && run.stdout.contains("2 targets: 2 in sync"), "{}", run.stdout);
}

#[test]
fn a_replica_in_the_region_of_its_table_is_a_fault() {
    let world = World::quick();
    let table = "[tables.sessions]\nreplicas = { us-east-1 = {}, eu-west-1 = {} }\n";
    world.write("sentinel.toml", table);
    // Only the environment specifies the region.
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stderr.contains("`tables.sessions` is in us-east-1, and has a replica there too"), "{}", run.stderr);
    assert!(run.stderr.contains("sentinel.toml:2:"), "{}", run.stderr);
    world.run(&["validate"]).expect(0);
    world.write(
        "sentinel.toml",
        &format!("[targets.a]\nregion = \"eu-west-1\"\n[targets.b]\nregion = \"us-west-2\"\n{table}"),
    );
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("is in eu-west-1") && !run.stderr.contains("is in us-"), "{}", run.stderr);
    assert!(world.calls().is_empty());
}

//! Orphans: every plan reports resources that Sentinel created and the manifest no longer lists.

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::{World, finish};

const TABLE: &str = "[tables.audit]\nname = \"acme-audit\"\npartition_key = { name = \"id\", type = \"S\" }\n";

/// Applies a manifest with a resource of each kind, then replaces it by a manifest with one profile.
fn orphaned() -> World {
    let world = World::quick();
    world.write("sentinel.toml", &format!("[profiles.dev]\n[profiles.old]\n[topics.old]\n[keys.old]\n{TABLE}"));
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n");
    world.calls();
    world
}

/// Replaces the ID of a key, which is random.
fn without_ids(text: &str) -> String {
    let words = text.split('\n').map(|line| match line.find("key ").filter(|_| line.starts_with("    ")) {
        Some(at) => format!("{}key ID", &line[..at]),
        None => line.to_owned(),
    });
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plan_reports_an_orphan_of_each_kind_without_a_step() {
    let world = orphaned();
    let plan = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    snapshot!(without_ids(&plan.stdout));
    let lists = world.calls().into_iter().filter(|call| call.operation == "GetResources").count();
    assert_eq!(lists, 2);
    let document = world.run(&["plan", "--json"]).expect(0).json();
    let kinds: Vec<&Value> =
        document["orphans"]["resources"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["policy_parameter", "table", "key", "topic"]);
    assert_eq!(document["has_changes"], json!(false));
    for (format, words) in [
        ("markdown", "- `table acme-audit`"),
        ("html", "<li><code>table acme-audit</code></li>"),
        ("github", "::notice title=orphans::Orphans: 4 resources that Sentinel created are not in this manifest"),
    ] {
        let run = world.run(&["plan", "--format", format]).expect(0);
        assert!(run.stdout.contains(words), "{format}: {}", run.stdout);
        let run = world.run(&["status", "--format", format]).expect(0);
        assert!(run.stdout.contains(words), "{format}: {}", run.stdout);
    }
    let run = world.run(&["status"]).expect(0);
    assert!(run.stdout.contains("Orphans: 4 resources") && run.stdout.contains("topic old"), "{}", run.stdout);
    let status = world.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status["orphans"]["resources"].as_array().unwrap().len(), 4);
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains("Orphans: 4 resources"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    // Everything is in the manifest again.
    world.write("sentinel.toml", &format!("[profiles.dev]\n[profiles.old]\n[topics.old]\n[keys.old]\n{TABLE}"));
    let run = world.run(&["plan"]).expect(0);
    assert!(!run.stdout.contains("Orphans"), "{}", run.stdout);
}

#[test]
fn a_filter_applies_to_orphans() {
    let world = orphaned();
    let names = |args: &[&str]| -> Vec<String> {
        let document = world.run(&[&["plan", "--json"], args].concat()).expect(0).json();
        let list = document["orphans"]["resources"].as_array().cloned().unwrap_or_default();
        list.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--only", "profiles.*"]), ["/sentinel/policies/old"]);
    // A resource that is in the manifest but excluded by a filter is not an orphan.
    world.write("sentinel.toml", "[profiles.dev]\n[profiles.old]\n[topics.old]\n[keys.old]\n");
    assert_eq!(names(&["--exclude", "profiles.old"]), ["acme-audit"]);
    assert_eq!(names(&["--exclude", "keys.old", "--exclude", "topics.*"]), ["acme-audit"]);
    assert_eq!(names(&["--only", "profiles.*"]), [""; 0]);
}

#[test]
fn orphans_of_other_manifests_are_distinguished_if_possible() {
    let world = World::quick();
    // Another manifest with the same tag: one resource below another root, one in the same region.
    world.write("other.toml", "[policies]\nroot = \"/other/policies\"\n[profiles.theirs]\n[topics.theirs]\n");
    world.run(&["apply", "-f", "other.toml", "--yes"]).expect(0);
    let theirs = json!({ "Name": "/sentinel/policies/theirs", "Value": "x", "Type": "String",
        "Tags": [{ "Key": "managed-by", "Value": "terraform" }] });
    world.aws("AmazonSSM.PutParameter", &theirs);
    world.write("sentinel.toml", "[profiles.dev]\n");
    let run = world.run(&["plan"]).expect(0);
    let line = "Orphans: 1 resource that Sentinel created is not in this manifest; another manifest with the same \
                ownership tag may have it\n    topic theirs\n";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    // A manifest with another tag does not find it, and one without a tag makes no call.
    world.write("sentinel.toml", "[aws]\nownership_tag = \"mine\"\n[profiles.dev]\n");
    let run = world.run(&["plan"]).expect(0);
    assert!(!run.stdout.contains("Orphans"), "{}", run.stdout);
    world.write("sentinel.toml", "[aws]\nownership_tag = false\n[profiles.dev]\n");
    world.calls();
    world.run(&["plan"]).expect(0);
    assert!(!world.calls().iter().any(|call| call.operation == "GetResources"));
}

#[test]
fn unknown_orphans_are_reported_in_one_line() {
    let world = orphaned();
    world.fail("GetResources", "AccessDeniedException", "");
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let line = "\nOrphans are unknown: no permission for tag:GetResources.\n";
    assert_eq!(run.stdout.matches(line).count(), 1, "{}", run.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    let document = world.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(document["orphans"]["unknown"]["denied"], json!(true));
    assert_eq!(document["attention"], json!([]));
    world.clear_faults();
    world.fail("GetResources", "InvalidParameterException", "");
    let run = world.run(&["status", "--detailed-exitcode"]).expect(0);
    assert_eq!(run.stdout.matches("Orphans are unknown: tag:GetResources: Invalid").count(), 1, "{}", run.stdout);
    // Throttled, or without a response: the plan does not wait for long.
    world.clear_faults();
    world.fail("GetResources", "ThrottledException", "");
    let started = std::time::Instant::now();
    let run = world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(run.stdout.contains("Orphans are unknown: "), "{}", run.stdout);
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn only_the_first_of_many_orphans_are_examined_and_reported() {
    let world = World::quick();
    let profiles: String = (0..101).map(|number| format!("[profiles.p{number}]\n")).collect();
    world.write("sentinel.toml", &profiles);
    world.run(&["apply", "--yes"]).expect(0);
    let run = world.run(&["plan"]).expect(0);
    if crate::world::moto().is_none() {
        let line = "Orphans: only the first 100 resources with the ownership tag were checked; --prune checks more.";
        assert!(run.stdout.contains(line), "{}", run.stdout);
    }
}

#[test]
fn each_target_has_its_own_orphans() {
    let world = World::quick();
    let targets = "[targets.a]\nregion = \"us-east-1\"\n[targets.b]\nregion = \"eu-west-1\"\n";
    world.write("sentinel.toml", &format!("{targets}[profiles.dev]\n[profiles.old]\n"));
    let run = |args: &[&str]| finish(world.command(args).spawn().unwrap());
    run(&["apply", "--yes", "--local", "--target", "a"]).expect(0);
    world.write("sentinel.toml", &format!("{targets}[profiles.dev]\n"));
    let document = run(&["plan", "--local", "--json"]).expect(0).json();
    assert_eq!(document["targets"][0]["orphans"]["resources"][0]["name"], json!("/sentinel/policies/old"));
    assert!(document["targets"][1]["orphans"].is_null());
}

#[test]
fn a_saved_plan_shows_its_orphans() {
    let world = orphaned();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n[profiles.new]\n");
    world.run(&["plan", "--out", "plan.json"]).expect(0);
    let run = world.run(&["show", "plan.json"]).expect(0);
    assert!(run.stdout.contains("Orphans: 4 resources"), "{}", run.stdout);
    world.run(&["apply", "plan.json", "--yes"]).expect(0);
}

use serde_json::json;

use super::project;
use crate::snapshot;
use crate::world::World;

#[test]
fn a_valid_manifest_is_summarized_offline() {
    let world = project();
    let run = world.run(&["validate"]).expect(0);
    assert_eq!(run.stdout, "sentinel.toml is valid: 2 profiles, 3 tables.\n");
    assert_eq!(world.run(&["validate", "--json"]).expect(0).json()["valid"], json!(true));
    assert!(world.calls().is_empty());
}

/// Every fault of the manifest and its policy is reported at once, before any call.
#[test]
fn all_faults_are_shown_at_once() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        r#"[aws]
region = "us east"
account_id = 123456789012
regon = "x"

[policies]
root = "/aws/policies"

[profiles.dev]
policy = "policies/dev.yaml"

[profiles.gone]
policy = "policies/gone.yaml"

[profiles.out]
policy = "../secret.yaml"

[profiles."a b"]

[tables.approvals]
name = "same"
encryption = "key/mine"

[tables.breakglass]
name = "same"
billing_mode = "PROVISIONED"
read_capacity = 1

[tables.sessions.indexes.user-index]
partition_key = { name = "started_at", type = "S" }

[tables.audit]
partition_key = { name = "id", type = "string" }
ttl_attribute = 5
"#,
    );
    world.write("policies/dev.yaml", "version: \"1\"\nrules:\n  - name: a\n    efect: allow\n");
    let run = world.run(&["validate"]).expect(1);
    snapshot!(run.stderr);
    assert_eq!(run.stdout, "");
    let document = world.run(&["validate", "--json"]).expect(1).json();
    assert_eq!(document["error"]["faults"].as_array().unwrap().len(), 16);
    world.run(&["plan"]).expect(1);
    world.run(&["apply", "--yes"]).expect(1);
    assert!(world.calls().is_empty());
}

#[test]
fn a_policy_over_the_tiers_size_names_the_tier() {
    let world = World::new();
    let long = format!("version: \"1\"\nrules:\n  - name: a\n    effect: deny\n    reason: {}\n", "x".repeat(4100));
    world.write("dev.yaml", &long).write("sentinel.toml", "[profiles.dev]\npolicy = \"dev.yaml\"\n");
    let run = world.run(&["validate"]).expect(1);
    snapshot!(run.stderr);
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"dev.yaml\"\ntier = \"advanced\"\n");
    world.run(&["validate"]).expect(0);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("p.yaml"), "version: \"1\"\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("p.yaml"), world.folder.path().join("p.yaml")).unwrap();
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"p.yaml\"\n");
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("is a link out of the manifest's folder"), "{}", run.stderr);
}

#[test]
fn a_policys_fault_shows_its_path_from_the_working_directory() {
    let world = World::new();
    world.write("team/sentinel.toml", "[profiles.dev]\npolicy = \"p.yaml\"\n").write("team/p.yaml", "version: 1\n");
    let run = world.run(&["validate", "-f", "team/sentinel.toml"]).expect(1);
    assert!(run.stderr.contains("--> team/p.yaml:1:10"), "{}", run.stderr);
}

#[test]
fn a_missing_manifest_error_explains_how_to_create_one() {
    let world = World::new();
    snapshot!(world.run(&["plan"]).expect(1).stderr);
}

#[test]
fn tag_limits_include_the_common_tags() {
    let world = World::new();
    let tags = |head: &str, count: u32| {
        (0..count).map(|number| format!("{head}{number} = \"x\"")).collect::<Vec<_>>().join(", ")
    };
    let manifest =
        |own: u32| format!("[aws]\ntags = {{ {} }}\n[profiles.a]\ntags = {{ {} }}\n", tags("a", 25), tags("b", own));
    world.write("sentinel.toml", &manifest(24));
    world.run(&["validate"]).expect(0);
    world.write("sentinel.toml", &manifest(25));
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("51 tags, with those of [aws] and the ownership tag"), "{}", run.stderr);
}

#[test]
fn the_policy_root_of_the_command_line_is_validated() {
    let world = World::new();
    world.write("sentinel.toml", "[profiles.dev]\n");
    world.run(&["validate", "--policy-root", "/else/where"]).expect(0);
    // Parameter Store accepts names of 1,011 characters including the ARN prefix; the root alone is shorter.
    let root = format!("/{}", "x".repeat(1005));
    let fault = world.run(&["validate", "--policy-root", &root]).expect(1).stderr;
    assert!(fault.contains("sentinel.toml:1"), "{fault}");
}

//! `access who` and `access can`.

use serde_json::json;

use crate::world::World;

const MANIFEST: &str = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"policies/dev.yaml\"\n";

const POLICY: &str = "\
version: \"1\"
rules:
  - name: admins
    effect: allow
    conditions: { users: [alice] }
  - name: office-hours
    effect: require_approval
    conditions: { users: [bob], time: { days: [monday, tuesday, wednesday, thursday, friday], hours: { start: \"09:00\", end: \"17:00\" } } }
    reason: Approvals are given in office hours.
  - name: ci
    effect: require_server
    conditions: { principals: [\"arn:aws:sts::123456789012:assumed-role/ci/*\"] }
";

fn world() -> World {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    world.run(&["apply", "--yes"]).expect(0);
    world
}

const WEDNESDAY: &str = "2026-01-14T12:00:00Z";
const SUNDAY: &str = "2026-01-18T12:00:00Z";

#[test]
fn access_who_lists_every_user_that_the_policy_names_and_everyone_else() {
    let world = world();
    let run = world.run(&["access", "who", "dev", "--at", WEDNESDAY]).expect(0);
    let squeezed: Vec<String> =
        run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "alice yes rule admins",
        "bob with approval rule office-hours",
        "everyone else as arn:aws:sts::123456789012:assumed-role/ci/* through a server rule ci",
        "everyone else with another ARN no no rule matches",
    ] {
        assert!(squeezed.iter().any(|one| one == line), "{line} in {}", run.stdout);
    }
    let document = world.run(&["access", "who", "dev", "--at", SUNDAY, "--json"]).expect(0).json();
    let bob =
        document["answers"].as_array().unwrap().iter().find(|one| one["user"] == "bob" && one["principal"].is_null());
    assert_eq!(bob.unwrap()["effect"], "deny");
    assert_eq!(document["policy_version"], json!(1));
}

#[test]
fn access_can_names_the_rule_and_the_required_difference() {
    let world = world();
    let run = world.run(&["access", "can", "alice", "dev", "--at", SUNDAY]).expect(0);
    assert!(run.stdout.contains("dev for alice: yes (rule admins"), "{}", run.stdout);
    let run = world.run(&["access", "can", "bob", "dev", "--at", WEDNESDAY]).expect(0);
    assert!(run.stdout.contains("with approval (rule office-hours"), "{}", run.stdout);
    assert!(run.stdout.contains("reason: Approvals are given in office hours."), "{}", run.stdout);
    let arn = "arn:aws:iam::123456789012:user/bob";
    let run = world.run(&["access", "can", arn, "dev", "--at", SUNDAY]).expect(1);
    assert!(run.stdout.contains("no (no rule matches"), "{}", run.stdout);
    assert!(run.stdout.contains("next from Monday 2026-01-19 09:00 (UTC)"), "{}", run.stdout);
    let session = "arn:aws:sts::123456789012:assumed-role/ci/job-1";
    let run = world.run(&["access", "can", session, "dev", "--mode", "server"]).expect(0);
    assert!(run.stdout.contains("through a server (rule ci"), "{}", run.stdout);
    let bad = world.run(&["access", "can", "alice", "dev", "--at", "noon"]).expect(1);
    assert!(bad.stderr.contains("\"noon\" is not a time"), "{}", bad.stderr);
    let none = world.run(&["access", "can", "alice", "dve"]).expect(1);
    assert!(none.stderr.contains("there is no policy /sentinel/policies/dve"), "{}", none.stderr);
}

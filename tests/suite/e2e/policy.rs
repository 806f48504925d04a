//! `policy test`.

use serde_json::json;

use super::{MANIFEST, POLICY};
use crate::world::World;

const CASES: &str = "\
profile: dev
cases:
  - { name: a developer, user: alice, expect: allow, rule: developers }
  - { user: mallory, expect: deny }
";

#[test]
fn the_test_cases_of_a_manifests_policies_are_evaluated() {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST).write("policies/dev.yaml", POLICY);
    let none = world.run(&["policy", "test"]).expect(1);
    assert!(none.stderr.contains("sentinel.toml: none of its policies has test cases"), "{}", none.stderr);
    world.write("policies/dev.test.yaml", CASES);
    let run = world.run(&["policy", "test"]).expect(0);
    let expected = "policies/dev.test.yaml\n  ok    a developer: allow (developers)\n  ok    mallory into dev: deny (rest)\n\n\
                    2 test cases: 2 passed, 0 failed.\n";
    assert_eq!(run.stdout, expected);
    // The policy changes, and so do its answers.
    world.write("policies/dev.yaml", &POLICY.replace("alice", "mallory"));
    let run = world.run(&["policy", "test", "policies/dev.yaml"]).expect(1);
    assert!(
        run.stdout.contains("FAIL  a developer: expected allow (developers), got deny (rest) (line 3)"),
        "{}",
        run.stdout
    );
    let document = world.run(&["policy", "test", "--json"]).expect(1).json();
    assert_eq!((&document["passed"], &document["failed"]), (&json!(0), &json!(2)));
    assert_eq!(document["files"][0]["cases"][1]["found"], "allow");
    assert!(world.calls().is_empty(), "it asks nobody");
}

#[test]
fn all_errors_are_shown_at_once() {
    let world = World::new();
    world.write("dev.yaml", &POLICY.replace("effect: deny", "effect: dney"));
    let missing = world.run(&["policy", "test", "dev.yaml"]).expect(1);
    assert!(missing.stderr.contains("dev.test.yaml: there is no such file"), "{}", missing.stderr);
    world.write("dev.test.yaml", &CASES.replace("expect: deny", "expect: no"));
    let run = world.run(&["policy", "test", "dev.yaml"]).expect(1);
    assert!(
        run.stderr.contains("`effect` cannot be \"dney\"") && run.stderr.contains("`expect` cannot be \"no\""),
        "{}",
        run.stderr
    );
}

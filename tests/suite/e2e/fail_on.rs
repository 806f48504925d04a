//! `plan --fail-on`: one test for each name.

use serde_json::json;

use super::{MANIFEST, POLICY, project};
use crate::world::{Run, World};

/// Returns the one error of a plan that fails on a finding, after its output.
#[track_caller]
fn error_of(run: Run) -> String {
    let run = run.expect(1);
    assert!(!run.stdout.is_empty(), "the plan is shown");
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error[")).collect();
    let [error] = errors[..] else { panic!("{}", run.stderr) };
    error.to_owned()
}

fn applied() -> World {
    let world = project();
    world.run(&["apply", "--yes"]).expect(0);
    world
}

#[test]
fn a_plan_fails_on_a_test_case_even_of_a_policy_in_sync() {
    let world = applied();
    let all = "cases,refused,incomplete,widened,lint";
    world.run(&["plan", "--fail-on", all]).expect(0);
    world.write("policies/dev.test.yaml", "profile: dev\ncases:\n  - { user: mallory, expect: allow }\n");
    world.run(&["plan", "--fail-on", "refused,incomplete,widened,lint"]).expect(0);
    let args = ["plan", "--fail-on", "cases", "--detailed-exitcode", "--out", "plan.json"];
    let error = error_of(world.run(&args));
    let expected = "error[E013]: the plan has findings that --fail-on names: cases profiles.dev: mallory into dev: \
                    expected allow, gets deny (rest) (policies/dev.test.yaml:3)";
    assert_eq!(error, expected);
    world.run(&["show", "plan.json"]).expect(0);
    let document = world.run(&["plan", "--fail-on", "cases", "--json"]).expect(1).json();
    assert_eq!(document["fail_on"]["checks"], json!(["cases"]));
    let finding = &document["fail_on"]["findings"][0];
    assert_eq!((&finding["check"], &finding["address"]), (&json!("cases"), &json!("profiles.dev")));
    assert_eq!(finding["source"], json!({ "path": "policies/dev.test.yaml", "line": 3 }));
    // Test cases that cannot be read prove nothing.
    world.write("policies/dev.test.yaml", "profile: dev\ncases:\n  - { user: mallory, expect: perhaps }\n");
    let error = error_of(world.run(&["plan", "--fail-on", "cases"]));
    assert!(
        error.contains("`expect` cannot be \"perhaps\"") && error.ends_with("(policies/dev.test.yaml:3)"),
        "{error}"
    );
}

#[test]
fn a_plan_fails_on_a_refused_difference() {
    let world = applied();
    world.write("sentinel.toml", &MANIFEST.replace("name = \"id\", type = \"S\"", "name = \"id\", type = \"N\""));
    world.run(&["plan", "--detailed-exitcode"]).expect(2);
    let error = error_of(world.run(&["plan", "--fail-on", "refused", "--detailed-exitcode"]));
    assert!(error.contains(": refused tables.audit: "), "{error}");
}

#[test]
fn a_plan_fails_on_failed_reads() {
    let world = applied();
    world.fail("DescribeTimeToLive", "AccessDeniedException", "acme-audit");
    world.run(&["plan", "--fail-on", "cases,refused,widened,lint"]).expect(0);
    let error = error_of(world.run(&["plan", "--fail-on", "incomplete", "--detailed-exitcode"]));
    assert!(error.ends_with("incomplete tables.audit: ttl: dynamodb:DescribeTimeToLive failed"), "{error}");
}

#[test]
fn a_plan_fails_on_a_target_that_cannot_be_planned() {
    let world = World::quick();
    let targets = "[targets.east]\nregion = \"us-east-1\"\n[targets.west]\nregion = \"us-west-2\"\n\
                   account_id = \"999999999999\"\n[profiles.dev]\n";
    world.write("sentinel.toml", targets);
    let run = world.run(&["plan", "--fail-on", "incomplete", "--detailed-exitcode", "--json"]).expect(1);
    let findings = run.json()["fail_on"]["findings"].as_array().unwrap().clone();
    let targets: Vec<_> = findings.iter().map(|one| &one["target"]).collect();
    assert_eq!(targets, ["west"]);
    assert!(run.stderr.contains("incomplete west: the target could not be planned: "), "{}", run.stderr);
}

#[test]
fn a_plan_fails_on_a_policy_that_gives_more_access() {
    let world = applied();
    world.write("policies/dev.yaml", &POLICY.replace("[alice, bob]", "[alice]"));
    world.run(&["plan", "--fail-on", "widened"]).expect(0);
    world.write("policies/dev.yaml", &POLICY.replace("[alice, bob]", "[alice, bob, carol]"));
    let error = error_of(world.run(&["plan", "--fail-on", "widened"]));
    assert!(error.ends_with("widened profiles.dev: carol gains dev"), "{error}");
}

/// The plan shows no content of a `SecureString`, so it cannot compare the access.
#[test]
fn a_policy_whose_change_is_not_compared_counts_as_widened() {
    let world = project();
    let secret = "policy = \"policies/dev.yaml\"\ntype = \"SecureString\"";
    world.write("sentinel.toml", &MANIFEST.replace("policy = \"policies/dev.yaml\"", secret));
    let error = error_of(world.run(&["plan", "--fail-on", "widened"]));
    assert!(error.ends_with("profiles.dev: the policy is a SecureString, whose change is not compared"), "{error}");
}

#[test]
fn a_plan_fails_on_a_lint() {
    let world = applied();
    world.write("policies/dev.yaml", &POLICY.replace("  - name: rest\n    effect: deny\n", ""));
    world.run(&["plan", "--fail-on", "cases,refused,incomplete,widened"]).expect(0);
    let error = error_of(world.run(&["plan", "--fail-on", "lint"]));
    assert!(error.contains("lint profiles.dev: L003 ") && error.contains("(policies/dev.yaml:"), "{error}");
}

#[test]
fn an_unknown_name_is_an_error_with_a_suggestion() {
    let run = project().run(&["plan", "--fail-on", "cases,widend"]).expect(1);
    assert!(run.stderr.contains("did you mean widened? Valid values are: cases, "), "{}", run.stderr);
}

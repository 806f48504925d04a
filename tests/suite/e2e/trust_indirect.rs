//! Indirect ways to bypass the broker that `trust check` finds, end to end: replicas of the tables.

use serde_json::json;

use super::trust::{ACCOUNT, MANIFEST, allow, policy, world};
use crate::world::World;

fn user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn may(action: &str, resource: &str) -> String {
    policy(&[allow(&json!(action), resource, &json!({}))])
}

/// Asserts that the check finds a permission, and that no gate is enforced.
#[track_caller]
fn finds(world: &World, principal: &str, expected: &str) {
    let found = world.run_as("admin", &["trust", "check", "prod", "--principal", principal]).expect(2).stdout;
    assert!(found.contains(&format!("  - {expected}")), "{expected}\n{found}");
    assert!(found.contains("prod: advisory: AWS does not enforce the gate\n"), "{found}");
}

#[track_caller]
fn finds_nothing(world: &World, principal: &str) {
    let found = world.run_as("admin", &["trust", "check", "prod", "--principal", principal]).expect(0).stdout;
    assert!(found.contains(&format!("{principal}: no permission to bypass the broker\n")), "{found}");
}

const REPLICA: &str = "\n[tables.approvals.replicas.eu-west-1]\n";

#[test]
fn trust_check_simulates_access_to_the_replicas_of_the_manifest() {
    let world = world();
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/sentinel-requests";
    world.restrict("alice", &[&may("dynamodb:PutItem", table)]);
    finds_nothing(&world, &user("alice"));
    world.write("sentinel.toml", &format!("{MANIFEST}\n[tables.approvals]\n{REPLICA}"));
    finds(&world, &user("alice"), &format!("dynamodb:PutItem on the table {table}"));
}

#[test]
fn trust_check_simulates_access_to_the_live_replicas_of_a_table() {
    let world = world();
    let approvals = |extra: &str| world.write("sentinel.toml", &format!("{MANIFEST}\n[tables.approvals]\n{extra}"));
    approvals(REPLICA);
    world.run(&["apply", "--yes", "--only", "tables.approvals"]).expect(0);
    approvals("");
    let table = "arn:aws:dynamodb:eu-west-1:123456789012:table/sentinel-requests";
    world.restrict("alice", &[&may("dynamodb:PutItem", table)]);
    finds(&world, &user("alice"), &format!("dynamodb:PutItem on the table {table}"));
}

#[test]
fn a_gate_is_unknown_if_the_replicas_of_a_table_cannot_be_read() {
    let world = world();
    world.write("sentinel.toml", &format!("[aws]\naccount_id = \"{ACCOUNT}\"\n{MANIFEST}"));
    let document = world.run(&["iam", "--for", "trust-check", "--json"]).expect(0).json()["policies"][0].to_string();
    world.restrict("auditor", &[&document]);
    world.run_as("auditor", &["trust", "check", "prod"]).expect(0);
    let deny = json!({ "Version": "2012-10-17",
        "Statement": { "Effect": "Deny", "Action": "dynamodb:DescribeTable", "Resource": "*" } });
    world.restrict("reader", &[&document, &deny.to_string()]);
    let unknown = world.run_as("reader", &["trust", "check", "prod"]).expect(3).stdout;
    assert!(unknown.starts_with("prod: not known whether AWS enforces the gate\n"), "{unknown}");
    let line =
        "  - the replicas of the table sentinel-requests could not be read: dynamodb:DescribeTable: AccessDenied";
    assert!(unknown.contains(line), "{unknown}");
}

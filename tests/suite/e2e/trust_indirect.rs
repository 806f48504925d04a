//! Indirect ways to bypass the broker that `trust check` finds, end to end: replicas of the tables, the principal itself, approvers, and
//! patterns of resources.

use serde_json::{Value, json};

use super::trust::{ACCOUNT, MANIFEST, allow, check_of, policy, trust, world};
use crate::world::World;

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn user(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{name}")
}

fn may(action: &str, resource: &str) -> String {
    policy(&[allow(&json!(action), resource, &json!({}))])
}

/// Creates a role with one inline policy.
fn create(world: &World, name: &str, trust_policy: &str, own: &str) {
    world.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", trust_policy)]);
    world.iam("PutRolePolicy", &[("RoleName", name), ("PolicyName", "own"), ("PolicyDocument", own)]);
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

#[test]
fn trust_check_finds_users_who_can_give_themselves_permissions() {
    let world = world();
    for (number, (action, resource, expected)) in [
        ("iam:PutUserPolicy", user("u0"), format!("iam:PutUserPolicy on itself, {}", user("u0"))),
        ("iam:AttachUserPolicy", String::from("*"), format!("iam:AttachUserPolicy on itself, {}", user("u1"))),
        ("iam:DeleteUserPermissionsBoundary", user("*"), String::from("iam:DeleteUserPermissionsBoundary on itself")),
        (
            "iam:AddUserToGroup",
            format!("arn:aws:iam::{ACCOUNT}:group/*"),
            String::from("iam:AddUserToGroup on resources"),
        ),
        ("iam:CreatePolicyVersion", String::from("*"), String::from("iam:CreatePolicyVersion on resources such as")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("u{number}");
        world.restrict(&name, &[&may(action, &resource)]);
        finds(&world, &user(&name), &expected);
    }
    world.restrict("n", &[&may("iam:PutUserPolicy", &user("other")), &may("iam:CreateAccessKey", &user("n"))]);
    finds_nothing(&world, &user("n"));
}

#[test]
fn trust_check_finds_roles_that_can_give_themselves_permissions() {
    let world = world();
    let account = trust(&json!({ "AWS": ACCOUNT }));
    for (name, action, resource) in [
        ("r0", "iam:PutRolePolicy", role("r0")),
        ("r1", "iam:DeleteRolePermissionsBoundary", role("r*")),
        ("r2", "iam:UpdateAssumeRolePolicy", role("r2")),
    ] {
        create(&world, name, &account, &may(action, &resource));
        finds(&world, &role(name), &format!("{action} on itself, {}", role(name)));
    }
    create(&world, "n", &account, &may("iam:PutRolePolicy", &role("other")));
    finds_nothing(&world, &role("n"));
    // A role that can change a managed policy of its own.
    let own = format!("arn:aws:iam::{ACCOUNT}:policy/own");
    let empty = may("sns:Publish", "*");
    world.iam("CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", &empty)]);
    create(&world, "m", &account, &may("iam:CreatePolicyVersion", &own));
    finds_nothing(&world, &role("m"));
    world.iam("AttachRolePolicy", &[("RoleName", "m"), ("PolicyArn", &own)]);
    finds(&world, &role("m"), &format!("iam:CreatePolicyVersion on its own managed policy {own}"));
    // A profile's role has one line for itself, also for another profile than the one that is checked.
    create(&world, "dev", &trust(&json!({ "AWS": role("broker") })), &may("iam:PutRolePolicy", &role("dev")));
    world.write("sentinel.toml", &format!("{MANIFEST}\n[broker.roles]\ndev = \"{}\"\n", role("dev")));
    let check = world.run_as("admin", &["trust", "check", "prod", "--json"]).expect(2).json();
    assert_eq!(check["profiles"][0]["bypassed_by"], json!([role("dev")]), "{check}");
    assert_eq!(check["principals"][1]["permissions"].as_array().map(Vec::len), Some(1), "{check}");
}

#[test]
fn a_gate_is_unknown_if_the_managed_policies_of_a_principal_cannot_be_read() {
    let world = world();
    create(&world, "engineer", &trust(&json!({ "AWS": ACCOUNT })), &may("sns:Publish", "*"));
    let all = policy(&[allow(&json!(["iam:*", "dynamodb:DescribeTable"]), "*", &json!({}))]);
    let deny = json!({ "Version": "2012-10-17",
        "Statement": { "Effect": "Deny", "Action": "iam:ListAttachedRolePolicies", "Resource": role("engineer") } });
    world.restrict("reader", &[&all, &deny.to_string()]);
    let unknown =
        world.run_as("reader", &["trust", "check", "prod", "--principal", &role("engineer")]).expect(3).stdout;
    assert!(unknown.starts_with("prod: not known whether AWS enforces the gate\n"), "{unknown}");
    assert!(unknown.contains("role/engineer: not known whether it can bypass the broker\n"), "{unknown}");
    assert!(unknown.contains("  - not known: the managed policies of arn:"), "{unknown}");
}

/// Names approvers and operators in the manifest. Bob, an approver, has a permission.
fn with_approvers(world: &World, of_bob: &str) {
    let section = "[broker]\nprincipals = [\"arn:aws:iam::*:user/alice\"]\n\
                   approvers = [\"arn:aws:iam::*:user/bob\", \"arn:aws:sts::*:assumed-role/lead/*\"]\n\
                   operators = [\"arn:aws:iam::123456789012:user/team/olga\"]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{section}"));
    world.restrict("alice", &[]);
    world.restrict("bob", &[of_bob]);
    world.restrict("team/olga", &[]);
}

#[test]
fn trust_check_finds_principals_who_can_take_over_an_approver_or_operator() {
    let world = world();
    create(&world, "lead", &trust(&json!({ "AWS": ACCOUNT })), &may("sns:Publish", "*"));
    // Nobody takes over themselves.
    with_approvers(&world, &may("iam:CreateAccessKey", &user("bob")));
    finds_nothing(&world, &user("bob"));
    for (number, (action, resource)) in [
        ("iam:CreateAccessKey", user("bob")),
        ("iam:CreateLoginProfile", user("team/olga")),
        ("iam:UpdateLoginProfile", user("bob")),
        ("iam:UpdateAssumeRolePolicy", role("lead")),
        ("sts:AssumeRole", role("lead")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("u{number}");
        world.restrict(&name, &[&may(action, &resource)]);
        finds(&world, &user(&name), &format!("{action} on the approver or operator {resource}"));
    }
    // A user who is in no list is not looked at.
    world.restrict("n", &[&may("iam:CreateAccessKey", &user("alice"))]);
    finds_nothing(&world, &user("n"));
}

#[test]
fn a_role_of_approvers_that_only_admits_its_users_under_their_own_names_is_not_taken_over() {
    let world = world();
    let trust_of = |principal: Value, condition: Value| {
        let statement =
            json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    let own_name = json!({ "StringEquals": { "sts:RoleSessionName": "${aws:username}" } });
    create(&world, "lead", &trust_of(json!({ "AWS": ACCOUNT }), own_name), &may("sns:Publish", "*"));
    with_approvers(&world, &may("sts:AssumeRole", "*"));
    finds_nothing(&world, &user("bob"));
    let change = |document: &str| {
        world.iam("UpdateAssumeRolePolicy", &[("RoleName", "lead"), ("PolicyDocument", document)]);
    };
    change(&trust_of(json!({ "AWS": ACCOUNT }), json!({ "StringLike": { "sts:RoleSessionName": "*" } })));
    finds(&world, &user("bob"), &format!("sts:AssumeRole on the approver or operator {}", role("lead")));
    change(&trust(&json!({ "Service": "ec2.amazonaws.com" })));
    finds_nothing(&world, &user("bob"));
}

#[test]
fn trust_check_simulates_compute_actions_on_an_example_of_their_resources() {
    let world = world();
    let admit = |service: &str| {
        let document = trust(&json!({ "Service": service }));
        world.iam("UpdateAssumeRolePolicy", &[("RoleName", "broker"), ("PolicyDocument", &document)]);
    };
    for (number, (action, resource, service)) in [
        ("ecs:ExecuteCommand", "arn:aws:ecs:*:*:*", "ecs-tasks"),
        ("ecs:ExecuteCommand", "arn:aws:ecs:us-east-1:123456789012:cluster/*", "ecs-tasks"),
        ("ecs:ExecuteCommand", "arn:aws:ecs:*:*:task/*", "ecs-tasks"),
        ("ssm:StartSession", "arn:aws:ecs:*:*:task/*", "ecs-tasks"),
        ("lambda:UpdateFunctionCode", "arn:aws:lambda:*:*:function:*", "lambda"),
        ("ssm:SendCommand", "arn:aws:ec2:*:*:instance/*", "ec2"),
        ("ec2:ModifyInstanceAttribute", "arn:aws:ec2:*:*:instance/i-*", "ec2"),
        ("ssm:UpdateAssociation", "arn:aws:ssm:*:*:association/*", "ec2"),
        ("ssm:StartAutomationExecution", "arn:aws:ssm:*:*:automation-definition/*", "ec2"),
        ("eks:CreateAccessEntry", "arn:aws:eks:*:*:cluster/*", "pods.eks"),
        ("eks:AssociateAccessPolicy", "arn:aws:eks:*:*:access-entry/*", "pods.eks"),
    ]
    .into_iter()
    .enumerate()
    {
        admit(&format!("{service}.amazonaws.com"));
        let name = format!("u{number}");
        world.restrict(&name, &[&may(action, resource)]);
        finds(&world, &user(&name), &format!("{action} on resources such as arn:aws:"));
    }
    // A permission on all resources has one line.
    admit("ecs-tasks.amazonaws.com");
    world.restrict("all", &[&may("ecs:ExecuteCommand", "*")]);
    let json = check_of(&world, "all", &["--json"]).expect(2).json();
    assert_eq!(json["principals"][1]["permissions"].as_array().map(Vec::len), Some(1), "{json}");
}

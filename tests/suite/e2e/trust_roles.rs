//! Which roles and permissions `trust check` considers, end to end.

use serde_json::{Value, json};

use super::trust::{ACCOUNT, MANIFEST, allow, check_of, policy, trust, world};
use crate::world::World;

const ADMINISTRATOR: (&str, &str) = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn create(world: &World, name: &str, principal: &Value) {
    world.iam("CreateRole", &[("RoleName", name), ("AssumeRolePolicyDocument", &trust(principal))]);
}

#[test]
fn trust_check_includes_profiles_that_only_the_broker_has() {
    let world = world();
    create(&world, "ops", &json!({ "AWS": ACCOUNT }));
    world.write("sentinel.toml", &format!("{MANIFEST}\n[broker.roles]\nops = \"{}\"\n", role("ops")));
    for profiles in [&[][..], &["ops"]] {
        let open = world.run_as("admin", &[&["trust", "check"], profiles].concat()).expect(2).stdout;
        assert!(open.contains("ops: advisory: AWS does not enforce the gate\n"), "{open}");
        assert!(open.contains(&format!("lets the account {ACCOUNT} assume it")), "{open}");
    }
    let unknown = world.run_as("admin", &["trust", "check", "opz"]).expect(1).stderr;
    assert!(unknown.contains("did you mean ops?"), "{unknown}");
}

#[test]
fn trust_check_of_one_profile_simulates_the_roles_of_the_others() {
    let world = world();
    create(&world, "dev", &json!({ "AWS": role("broker") }));
    let far = "arn:aws:iam::210987654321:role/far";
    world.write("sentinel.toml", &format!("{MANIFEST}\n[broker.roles]\ndev = \"{}\"\nfar = \"{far}\"\n", role("dev")));
    let enforced = world.run_as("admin", &["trust", "check", "prod"]).expect(0).stdout;
    assert!(enforced.contains(&format!("{}: no permission to bypass the broker\n", role("dev"))), "{enforced}");
    assert!(enforced.contains(&format!("  - {far}: it is in another account than the caller\n")), "{enforced}");
    // A permission on another profile's role does not concern this profile.
    let on_dev = policy(&[allow(&json!("iam:UpdateAssumeRolePolicy"), &role("dev"), &json!({}))]);
    world.restrict("alice", &[&on_dev]);
    check_of(&world, "alice", &[]).expect(0);
    world.iam("AttachRolePolicy", &[("RoleName", "dev"), ADMINISTRATOR]);
    let open = world.run_as("admin", &["trust", "check", "prod", "--json"]).expect(2).json();
    assert_eq!(open["profiles"].as_array().unwrap().len(), 1, "{open}");
    assert_eq!(open["profiles"][0]["gate"], "advisory");
    assert_eq!(open["profiles"][0]["bypassed_by"], json!([role("dev")]));
}

#[test]
fn a_conditional_read_of_the_records_leaves_the_gate_enforced() {
    let world = world();
    let office = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
    world.restrict("alice", &[&policy(&[allow(&json!(["dynamodb:Query", "dynamodb:GetItem"]), "*", &office)])]);
    let text = check_of(&world, "alice", &[]).expect(3).stdout;
    assert!(text.starts_with("prod: enforced by AWS as far as checked: "), "{text}");
    assert!(text.contains("user/alice: not known whether it can read the records\n"), "{text}");
    world.restrict("bob", &[&policy(&[allow(&json!(["dynamodb:Query", "dynamodb:PutItem"]), "*", &office)])]);
    let text = check_of(&world, "bob", &[]).expect(3).stdout;
    assert!(text.starts_with("prod: not known whether AWS enforces the gate\n"), "{text}");
}

#[test]
fn naming_roles_reduces_those_that_a_pattern_simulates() {
    let world = world();
    let section = "[broker]\nprincipals = [\"arn:aws:sts::*:assumed-role/Engineer_*/*\"]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{section}"));
    for number in 0..21 {
        create(&world, &format!("Engineer_{number}"), &json!({ "AWS": ACCOUNT }));
    }
    let many = world.run_as("admin", &["trust", "check", "prod"]).expect(3).stdout;
    assert!(many.contains("it matches 21 roles that are not named, and at most 20 are simulated"), "{many}");
    let one = role("Engineer_7");
    let checked = world.run_as("admin", &["trust", "check", "prod", "--principal", &one, "--json"]).expect(0).json();
    assert_eq!(checked["profiles"][0]["gate"], "enforced");
    assert_eq!(checked["principals"].as_array().unwrap().len(), 22, "{checked}");
}

#[test]
fn trust_check_simulates_resource_policies_of_tables_and_ways_onto_instances_and_clusters() {
    let world = world();
    let admit = |service: &str| {
        let document = trust(&json!({ "Service": service }));
        world.iam("UpdateAssumeRolePolicy", &[("RoleName", "broker"), ("PolicyDocument", &document)]);
    };
    let cases = [
        ("dynamodb:PutResourcePolicy", "ecs-tasks"),
        ("ec2:ModifyInstanceAttribute", "ec2"),
        ("ssm:CreateAssociation", "ec2"),
        ("ssm:CreateAssociationBatch", "ec2"),
        ("ssm:UpdateAssociation", "ec2"),
        ("ssm:StartAutomationExecution", "ec2"),
        ("eks:CreateAccessEntry", "pods.eks"),
        ("eks:UpdateAccessEntry", "pods.eks"),
    ];
    for (number, (action, service)) in cases.into_iter().enumerate() {
        admit(&format!("{service}.amazonaws.com"));
        let user = format!("u{number}");
        world.restrict(&user, &[&policy(&[allow(&json!(action), "*", &json!({}))])]);
        let found = check_of(&world, &user, &[]).expect(2).stdout;
        assert!(found.contains(&format!("  - {action} on ")), "{action}\n{found}");
        assert!(found.contains("prod: advisory: AWS does not enforce the gate\n"), "{found}");
    }
}

#[test]
fn trust_check_lists_the_users_of_a_broker_without_principals_as_not_checked() {
    let world = world();
    let line = "without principals in [broker], it serves all users and roles of its accounts";
    let all = world.run_as("admin", &["trust", "check", "prod"]).expect(0).stdout;
    assert!(all.contains(line), "{all}");
    let roles = "  - who can assume the roles in [broker], and with which session names\n";
    assert!(all.contains(roles), "{all}");
    world.write("sentinel.toml", &format!("{MANIFEST}\n[broker]\nprincipals = [\"arn:aws:iam::*:user/bob\"]\n"));
    world.restrict("bob", &[]);
    let listed = world.run_as("admin", &["trust", "check", "prod"]).expect(0).stdout;
    assert!(!listed.contains(line), "{listed}");
}

#[test]
fn trust_check_qualifies_an_enforced_gate_if_a_pattern_of_users_was_not_checked() {
    let world = world();
    let check = |principals: &str, extra: &[&str]| {
        world.write(
            "sentinel.toml",
            &format!("{MANIFEST}\n[broker]\nprincipals = [\"arn:aws:iam::*:user/bob\", {principals}]\n"),
        );
        world.run_as("admin", &[&["trust", "check", "prod"], extra].concat()).expect(0)
    };
    world.restrict("bob", &[]);
    // A role that does not exist can do nothing.
    let all = check("\"arn:aws:sts::*:assumed-role/nobody/*\"", &[]).stdout;
    assert!(all.starts_with("prod: enforced by AWS\n"), "{all}");
    let pattern = "\"arn:aws:iam::*:user/*\"";
    let partly = check(pattern, &[]).stdout;
    let verdict = "prod: enforced by AWS as far as checked: not all principals were checked (see below)\n";
    assert!(partly.starts_with(verdict), "{partly}");
    let json = check(pattern, &["--json"]).json();
    assert_eq!(json["profiles"][0]["gate"], "enforced");
    assert_eq!(json["profiles"][0]["all_principals_checked"], false);
}

//! Whether AWS enforces the gate, end to end.

use serde_json::{Value, json};

use crate::world::World;

const MANIFEST: &str = r#"[profiles.prod]
role = { role = "admin" }

[profiles.open]

[roles.broker]
trust = "roles/broker.json"
permissions = "broker"

[roles.admin]
trusted_by = { broker = true }
"#;

fn trust(principal: &Value) -> String {
    let statement = json!({ "Sid": "Admins", "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn world() -> World {
    let world = World::quick();
    world.write("roles/broker.json", &trust(&json!({ "Service": "ecs-tasks.amazonaws.com" })));
    world.write("sentinel.toml", MANIFEST);
    world.run(&["apply", "--yes", "--only", "roles.*"]).expect(0);
    world
}

#[test]
fn trust_check_names_each_statement_that_bypasses_the_broker() {
    let world = world();
    let enforced = world.run_as("admin", &["trust", "check", "prod"]).expect(0);
    assert_eq!(enforced.stdout, "prod: enforced by AWS\n");
    // A profile without a role, in addition to the other one.
    let all = world.run_as("admin", &["trust", "check"]).expect(2);
    assert!(all.stdout.contains("prod: enforced by AWS\n"), "{}", all.stdout);
    assert!(all.stdout.contains("  - the manifest names no role for the profile\n"), "{}", all.stdout);

    let change = |role: &str, principal: Value| {
        world.iam("UpdateAssumeRolePolicy", &[("RoleName", role), ("PolicyDocument", &trust(&principal))]);
    };
    let broker = "arn:aws:iam::123456789012:role/broker";
    change("admin", json!({ "AWS": [broker, "123456789012"] }));
    let open = world.run_as("admin", &["trust", "check", "prod", "--json"]).expect(2).json();
    let finding = &open["profiles"][0]["findings"][0];
    assert_eq!(open["profiles"][0]["enforced"], false);
    assert_eq!(
        (&finding["statement"], &finding["principal"]),
        (&json!("statement Admins"), &json!("the account 123456789012"))
    );
    change("admin", json!({ "AWS": broker }));
    world.run_as("admin", &["trust", "check", "prod"]).expect(0);
    change("broker", json!({ "Service": "ecs-tasks.amazonaws.com", "AWS": "arn:aws:iam::123456789012:user/alice" }));
    let around = world.run_as("admin", &["trust", "check", "prod"]).expect(2);
    assert!(
        around.stdout.contains("lets in arn:aws:iam::123456789012:user/alice, which is not a compute service"),
        "{}",
        around.stdout
    );
    let unknown = world.run_as("admin", &["trust", "check", "pord"]).expect(1);
    assert!(unknown.stderr.contains("did you mean prod?"), "{}", unknown.stderr);
}

/// The result of the check equals the behavior of the emulator.
#[test]
fn only_the_broker_assumes_an_enforced_role() {
    let world = world();
    let assume = |key: &str, token: &str, role: &str| {
        let scope = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sts/aws4_request");
        let form = format!(
            "Action=AssumeRole&RoleSessionName=session&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F{role}"
        );
        let headers = [("authorization", scope.as_str()), ("x-amz-security-token", token)];
        let (status, body) = crate::world::http(world.url(), "POST /", &headers, form.as_bytes());
        (status, String::from_utf8(body).unwrap())
    };
    assert_eq!(assume("AKIALOCAL:alice", "", "admin").0, 403);
    assert_eq!(assume("AKIALOCAL:alice", "", "broker").0, 403);
    let (status, body) = assume("AKIASERVICE:ecs-tasks.amazonaws.com", "", "broker");
    assert_eq!(status, 200, "{body}");
    let part = |name: &str| body.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(assume(&part("AccessKeyId"), &part("SessionToken"), "admin").0, 200);
}

#[test]
fn trust_check_simulates_access_to_the_tables() {
    let world = world();
    let writes = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "dynamodb:PutItem",
        "Resource": "arn:aws:dynamodb:*:*:table/sentinel-requests",
        "Condition": { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": "request#*" },
            "Null": { "dynamodb:LeadingKeys": "false" } } } });
    world.restrict("alice", &[&writes.to_string()]);
    world.restrict("bob", &[]);
    let check = |user: &str| {
        let arn = format!("arn:aws:iam::123456789012:user/{user}");
        world.run_as("admin", &["trust", "check", "prod", "--principal", &arn])
    };
    let none = check("bob").expect(0);
    assert!(none.stdout.contains("user/bob: no permissions on the tables\n"), "{}", none.stdout);
    let some = check("alice").expect(2);
    let line = "  - dynamodb:PutItem on arn:aws:dynamodb:us-east-1:123456789012:table/sentinel-requests\n";
    assert!(some.stdout.contains(line), "{}", some.stdout);
}

#[test]
fn plan_status_and_lint_report_for_each_profile_whether_aws_enforces_the_gate() {
    let world = World::quick();
    world.write("roles/broker.json", &trust(&json!({ "Service": "ecs-tasks.amazonaws.com" })));
    world.write("policies/dev.yaml", "version: \"1\"\nrules:\n  - { name: rest, effect: deny }\n");
    let elsewhere = "[profiles.far]\nrole = \"arn:aws:iam::210987654321:role/far\"\n\
                     [profiles.wide]\nrole = { role = \"wide\" }\n\
                     [roles.wide]\ntrusted_by = { accounts = [\"123456789012\"] }\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{elsewhere}"));
    fn roles<'a>(command: &[&'a str]) -> Vec<&'a str> {
        [command, &["--only", "roles.*"]].concat()
    }
    let open =
        "Advisory, AWS does not enforce the gate of 1 profile: open: the manifest names no role for the profile.";
    let wide = "Advisory, AWS does not enforce the gate of 1 profile: wide: statement 1 of the trust policy of \
                arn:aws:iam::123456789012:role/wide lets in the account 123456789012 without the broker.";
    let far = "Not known whether AWS enforces the gate of 1 profile: far: the role arn:aws:iam::210987654321:role/far is not in \
               the manifest (sentinel trust check reads it).";
    let planned = world.run(&roles(&["plan"])).expect(0).stdout;
    for line in ["AWS enforces the gate of 1 profile once the manifest is applied: prod.", open, wide, far] {
        assert!(planned.lines().any(|one| one == line), "{line}\n{planned}");
    }
    world.run(&roles(&["apply", "--yes"])).expect(0);
    world.calls();
    let planned = world.run(&roles(&["plan"])).expect(0).stdout;
    let read: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    for line in ["AWS enforces the gate of 1 profile: prod.", open, wide, far] {
        assert!(planned.lines().any(|one| one == line), "{line}\n{planned}");
    }
    // Roles are read once, for the plan itself.
    assert_eq!(read.iter().filter(|operation| *operation == "GetRole").count(), 3, "{read:?}");
    let status = world.run(&roles(&["status"])).expect(0).stdout;
    assert!(status.lines().any(|line| line == "AWS enforces the gate of 1 profile: prod."), "{status}");
    for command in ["plan", "status"] {
        let gates = world.run(&roles(&[command, "--json"])).expect(0).json()["gates"].clone();
        assert_eq!(gates[2], json!({ "profile": "prod", "gate": "enforced" }), "{command}");
        let states: Vec<&str> = gates.as_array().unwrap().iter().map(|one| one["gate"].as_str().unwrap()).collect();
        assert_eq!(states, ["unknown", "advisory", "enforced", "advisory"], "{command}");
    }
    // Another user changes a role, and the plan repairs it.
    let account = trust(&json!({ "AWS": "123456789012" }));
    world.iam("UpdateAssumeRolePolicy", &[("RoleName", "admin"), ("PolicyDocument", &account)]);
    let gates = world.run(&roles(&["plan", "--json"])).expect(0).json()["gates"].clone();
    assert_eq!(gates[2], json!({ "profile": "prod", "gate": "pending" }));
    let apart = world.run(&["plan", "--only", "roles.wide", "--json"]).expect(0).json()["gates"].clone();
    assert_eq!(apart[2]["gate"], "unknown", "{apart}");
    // Lints make no call.
    let linted = world.run(&["policy", "lint", "--json"]).expect(0).json()["gates"].clone();
    assert_eq!(linted[2], json!({ "profile": "prod", "gate": "pending" }));
}

#[test]
fn exec_with_v_reports_whether_aws_enforces_the_gate() {
    let world = super::broker::world();
    let broker = super::broker::Broker::start(&world);
    let run = broker.run(&world, "alice", &["exec", "-v", "--profile", "dev", "--", "true"]).expect(0);
    assert!(run.stderr.contains("the broker decided") && run.stderr.contains("trust check dev"), "{}", run.stderr);
    let world = super::access::provisioned();
    let run = world.run_as("alice", &["exec", "-v", "--profile", "dev", "--", "true"]).expect(0);
    assert!(run.stderr.contains("the gate of dev is advisory"), "{}", run.stderr);
}

#[test]
fn trust_check_simulates_the_principals_of_the_broker() {
    let world = world();
    let section = "[broker]\nprincipals = [\"arn:aws:iam::*:user/bob\", \"arn:aws:sts::123456789012:assumed-role/engineers/*\"]\n\
        approvers = [\"arn:aws:iam::*:user/a*\", \"arn:aws:sts::*:assumed-role/admin/*\"]\n\
        operators = [\"arn:aws:iam::210987654321:user/olga\"]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{section}"));
    world.restrict("bob", &[]);
    let check = world.run_as("admin", &["trust", "check", "prod", "--json"]).expect(0).json();
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let expected = json!([
        { "arn": "arn:aws:iam::123456789012:user/bob", "allowed": [] },
        { "arn": role("admin"), "allowed": [] },
        { "arn": role("engineers"), "unknown": "the role does not exist" },
        { "arn": "arn:aws:iam::*:user/a*", "unknown": "it is a pattern; name its users or roles with --principal" },
        { "arn": "arn:aws:iam::210987654321:user/olga", "unknown": "it is in another account than the caller" },
    ]);
    assert_eq!(check["principals"], expected);
    let writes =
        json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*" } });
    world.restrict("carol", &[&writes.to_string()]);
    let section = "[broker]\noperators = [\"arn:aws:iam::123456789012:user/carol\"]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{section}"));
    let open = world.run_as("admin", &["trust", "check", "prod"]).expect(2);
    assert!(open.stdout.contains("user/carol: has permissions on the tables\n"), "{}", open.stdout);
}

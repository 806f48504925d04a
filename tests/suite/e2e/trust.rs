//! Whether AWS enforces the gate, end to end.

use serde_json::{Value, json};

use crate::world::{Run, World};

pub(super) const MANIFEST: &str = r#"[profiles.prod]
role = { role = "admin" }

[profiles.open]

[roles.broker]
trust = "roles/broker.json"
permissions = "broker"

[roles.admin]
trusted_by = { broker = true }
"#;

pub(super) fn trust(principal: &Value) -> String {
    let statement = json!({ "Sid": "Admins", "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

pub(super) fn world() -> World {
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
    // Without principals in [broker], any user of the account may ask.
    let expected = "prod: enforced by AWS as far as checked: not all principals were checked (see below)\n\
                    arn:aws:iam::123456789012:role/admin: no permission to bypass the broker\nNot checked:\n";
    assert!(enforced.stdout.starts_with(expected), "{}", enforced.stdout);
    // A profile without a role, in addition to the other one.
    let all = world.run_as("admin", &["trust", "check"]).expect(2);
    assert!(all.stdout.contains("prod: enforced by AWS as far as checked: "), "{}", all.stdout);
    assert!(all.stdout.contains("  - the manifest names no role for the profile\n"), "{}", all.stdout);

    let change = |role: &str, principal: Value| {
        world.iam("UpdateAssumeRolePolicy", &[("RoleName", role), ("PolicyDocument", &trust(&principal))]);
    };
    let broker = "arn:aws:iam::123456789012:role/broker";
    change("admin", json!({ "AWS": [broker, "123456789012"] }));
    let open = world.run_as("admin", &["trust", "check", "prod", "--json"]).expect(2).json();
    let finding = &open["profiles"][0]["findings"][0];
    assert_eq!(open["profiles"][0]["gate"], "advisory");
    assert_eq!(
        (&finding["statement"], &finding["principal"]),
        (&json!("statement Admins"), &json!("the account 123456789012"))
    );
    change("admin", json!({ "AWS": broker }));
    world.run_as("admin", &["trust", "check", "prod"]).expect(0);
    change("broker", json!({ "Service": "ecs-tasks.amazonaws.com", "AWS": "arn:aws:iam::123456789012:user/alice" }));
    let around = world.run_as("admin", &["trust", "check", "prod"]).expect(2);
    assert!(
        around.stdout.contains("lets arn:aws:iam::123456789012:user/alice, which is not a compute service, assume it"),
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

pub(super) const ACCOUNT: &str = "123456789012";

pub(super) fn allow(action: &Value, resource: &str, condition: &Value) -> Value {
    let mut statement = json!({ "Effect": "Allow", "Action": action, "Resource": resource });
    // IAM accepts no empty condition.
    if condition.as_object().is_some_and(|block| !block.is_empty()) {
        statement["Condition"] = condition.clone();
    }
    statement
}

/// Returns a policy as text, its statements on lines 2 and following.
pub(super) fn policy(statements: &[Value]) -> String {
    let statements: Vec<String> = statements.iter().map(ToString::to_string).collect();
    format!("{{\"Version\":\"2012-10-17\",\"Statement\":[\n{}]}}", statements.join(",\n"))
}

pub(super) fn check_of(world: &World, user: &str, extra: &[&str]) -> Run {
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/{user}");
    world.run_as("admin", &[&["trust", "check", "prod", "--principal", &arn], extra].concat())
}

#[test]
fn trust_check_simulates_access_to_the_tables() {
    let world = world();
    let own = json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": "request#*" },
        "Null": { "dynamodb:LeadingKeys": "false" } });
    // The other tables are denied: the most restrictive decision is not the one on this table.
    let writes = allow(&json!("dynamodb:PutItem"), "arn:aws:dynamodb:*:*:table/sentinel-requests", &own);
    world.restrict("alice", &[&policy(&[writes])]);
    world.restrict("bob", &[]);
    let none = check_of(&world, "bob", &[]).expect(0);
    assert!(none.stdout.contains("user/bob: no permission to bypass the broker\n"), "{}", none.stdout);
    let some = check_of(&world, "alice", &[]).expect(2);
    let line = "  - dynamodb:PutItem on the table arn:aws:dynamodb:us-east-1:123456789012:table/sentinel-requests (policy \
                user_alice_1, statement at line 2, column 1)\n";
    assert!(some.stdout.contains(line), "{}", some.stdout);
    assert!(some.stdout.contains("prod: advisory: AWS does not enforce the gate\n"), "{}", some.stdout);
    let json = check_of(&world, "alice", &["--json"]).expect(2).json();
    assert_eq!(json["profiles"][0]["bypassed_by"], json!(["arn:aws:iam::123456789012:user/alice"]));
    // Reading is a finding, and gives no access.
    let reads = allow(&json!(["dynamodb:Query", "dynamodb:GetItem"]), "*", &json!({}));
    world.restrict("carol", &[&policy(&[reads])]);
    let json = check_of(&world, "carol", &["--json"]).expect(2).json();
    assert_eq!(json["profiles"][0]["gate"], "enforced");
    assert_eq!(json["principals"][1]["permissions"].as_array().unwrap().len(), 3, "{json}");
}

#[test]
fn trust_check_reports_each_permission_that_amounts_to_a_role_once_for_a_principal_and_role() {
    let world = world();
    let policy_arn = format!("arn:aws:iam::{ACCOUNT}:policy/admin");
    let empty = policy(&[allow(&json!("sns:Publish"), "*", &json!({}))]);
    world.iam("CreatePolicy", &[("PolicyName", "admin"), ("PolicyDocument", &empty)]);
    world.iam("AttachRolePolicy", &[("RoleName", "admin"), ("PolicyArn", &policy_arn)]);
    let on = |action: &str, resource: &str, condition: Value| policy(&[allow(&json!(action), resource, &condition)]);
    let passed_to = |service: &str| json!({ "StringEquals": { "iam:PassedToService": service } });
    let broker = format!("arn:aws:iam::{ACCOUNT}:role/broker");
    let admin = format!("arn:aws:iam::{ACCOUNT}:role/admin");
    let parameter = format!("arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/sentinel/policies/prod");
    let cases = [
        ("u1", on("iam:PassRole", &broker, passed_to("ecs-tasks.amazonaws.com")), "iam:PassRole on the broker's role"),
        ("u2", on("iam:UpdateAssumeRolePolicy", &admin, json!({})), "iam:UpdateAssumeRolePolicy on the role"),
        ("u3", on("iam:PutRolePolicy", &broker, json!({})), "iam:PutRolePolicy on the broker's role"),
        ("u4", on("iam:AttachRolePolicy", "*", json!({})), "iam:AttachRolePolicy on the role"),
        ("u5", on("iam:CreatePolicyVersion", &policy_arn, json!({})), "iam:CreatePolicyVersion on the managed policy"),
        ("u6", on("ssm:PutParameter", &parameter, json!({})), "ssm:PutParameter on the policy of a profile,"),
        (
            "u7",
            on("ecs:ExecuteCommand", "*", json!({})),
            "ecs:ExecuteCommand on every resource, and so on the one that runs",
        ),
    ];
    for (user, document, expected) in &cases {
        world.restrict(user, &[document.as_str()]);
        let found = check_of(&world, user, &[]).expect(2).stdout;
        assert!(found.contains(&format!("  - {expected}")), "{expected}\n{found}");
        assert!(found.contains(&format!("(policy user_{user}_1, statement at line 2, column 1)")), "{found}");
        assert!(found.contains("  - arn:aws:iam::123456789012:user/u"), "{found}");
    }
    // The role is not passed to other services, and a statement on another role is none on these.
    for (user, document) in [
        ("n1", on("iam:PassRole", &broker, passed_to("glue.amazonaws.com"))),
        ("n2", on("iam:UpdateAssumeRolePolicy", "arn:aws:iam::123456789012:role/other", json!({}))),
        ("n3", on("lambda:UpdateFunctionCode", "*", json!({}))),
    ] {
        world.restrict(user, &[document.as_str()]);
        let found = check_of(&world, user, &[]).expect(0).stdout;
        assert!(found.contains(&format!("user/{user}: no permission to bypass the broker\n")), "{found}");
    }
    // An administrator has everything, in one line for each role.
    world.restrict("root", &[&policy(&[allow(&json!("*"), "*", &json!({}))])]);
    let all = check_of(&world, "root", &["--json"]).expect(2).json();
    let permissions = all["principals"][1]["permissions"].as_array().unwrap();
    let actions_on = |resource: &str| {
        let found: Vec<&Value> = permissions.iter().filter(|one| one["resource"] == resource).collect();
        assert_eq!(found.len(), 1, "{permissions:?}");
        found[0]["actions"].clone()
    };
    let actions = ["iam:AttachRolePolicy", "iam:PassRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"];
    assert_eq!(actions_on(&broker), json!(actions));
    assert_eq!(actions_on(&admin), json!([actions[0], actions[2], actions[3]]));
    assert_eq!(actions_on("*"), json!(["ecs:ExecuteCommand", "ssm:StartSession"]));
    assert_eq!(permissions[0]["statements"], json!([{ "policy": "user_root_1", "line": 2, "column": 1 }]));
}

#[test]
fn a_gate_is_unknown_if_iam_does_not_say_what_a_principal_may_do() {
    let world = world();
    let reads = allow(&json!(["iam:GetRole", "iam:ListAttachedRolePolicies"]), "*", &json!({}));
    world.restrict("auditor", &[&policy(&[reads])]);
    world.restrict("bob", &[]);
    let bob = format!("arn:aws:iam::{ACCOUNT}:user/bob");
    let denied = world.run_as("auditor", &["trust", "check", "prod", "--principal", &bob]).expect(3).stdout;
    assert!(denied.starts_with("prod: not known whether AWS enforces the gate\n"), "{denied}");
    assert!(denied.contains("user/bob: permissions not known: iam:SimulatePrincipalPolicy: AccessDenied"), "{denied}");
    // Denied only as long as nobody asks from the right address.
    let office = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
    world.restrict("alice", &[&policy(&[allow(&json!("iam:*"), "*", &office)])]);
    let depends = check_of(&world, "alice", &["--json"]).expect(3).json();
    assert_eq!(depends["profiles"][0]["gate"], "unknown");
    let why = depends["principals"][1]["unknown"][0].as_str().unwrap();
    assert!(why.contains("iam:PassRole") && why.ends_with("depends on the condition keys aws:SourceIp"), "{why}");
}

#[test]
fn a_policy_that_requires_mfa_is_simulated_with_it() {
    let world = world();
    let deny = json!({ "Effect": "Deny", "NotAction": "iam:ChangePassword", "Resource": "*",
        "Condition": { "BoolIfExists": { "aws:MultiFactorAuthPresent": "false" } } });
    world.restrict("alice", &[&policy(&[allow(&json!("iam:*"), "*", &json!({})), deny])]);
    let found = check_of(&world, "alice", &[]).expect(2).stdout;
    assert!(found.contains("iam:UpdateAssumeRolePolicy on the role"), "{found}");
}

#[test]
fn the_policy_of_iam_for_trust_check_is_what_trust_check_takes() {
    let world = world();
    let section = "[broker]\nprincipals = [\"arn:aws:sts::*:assumed-role/admin/*\", \"arn:aws:iam::*:user/bob\"]\n";
    world.write("sentinel.toml", &format!("[aws]\naccount_id = \"{ACCOUNT}\"\n{MANIFEST}\n{section}"));
    world.restrict("bob", &[]);
    let document = world.run(&["iam", "--for", "trust-check", "--json"]).expect(0).json()["policies"][0].clone();
    let read = json!([format!("arn:aws:iam::{ACCOUNT}:role/broker"), format!("arn:aws:iam::{ACCOUNT}:role/admin")]);
    assert_eq!(document["Statement"][0]["Action"], json!(["iam:GetRole", "iam:ListAttachedRolePolicies"]));
    assert_eq!(document["Statement"][0]["Resource"], read);
    world.restrict("auditor", &[&document.to_string()]);
    let checked = world.run_as("auditor", &["trust", "check", "prod", "--json"]).expect(0).json();
    assert_eq!(checked["profiles"][0]["gate"], "enforced");
    assert_eq!(checked["principals"].as_array().unwrap().len(), 2, "{checked}");
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
                arn:aws:iam::123456789012:role/wide lets the account 123456789012 assume it without the broker.";
    let far = "Not known whether AWS enforces the gate of 1 profile: far: the role arn:aws:iam::210987654321:role/far is not in \
               the manifest (sentinel trust check reads it).";
    let planned = world.run(&roles(&["plan"])).expect(0).stdout;
    for line in
        ["AWS enforces the gate of 1 profile by trust policies once the manifest is applied: prod.", open, wide, far]
    {
        assert!(planned.lines().any(|one| one == line), "{line}\n{planned}");
    }
    world.run(&roles(&["apply", "--yes"])).expect(0);
    world.calls();
    let planned = world.run(&roles(&["plan"])).expect(0).stdout;
    let read: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    for line in ["AWS enforces the gate of 1 profile by trust policies: prod.", open, wide, far] {
        assert!(planned.lines().any(|one| one == line), "{line}\n{planned}");
    }
    // Roles are read once, for the plan itself.
    assert_eq!(read.iter().filter(|operation| *operation == "GetRole").count(), 3, "{read:?}");
    let status = world.run(&roles(&["status"])).expect(0).stdout;
    assert!(
        status.lines().any(|line| line == "AWS enforces the gate of 1 profile by trust policies: prod."),
        "{status}"
    );
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
        { "arn": "arn:aws:iam::123456789012:user/bob", "permissions": [], "unknown": [] },
        { "arn": role("admin"), "permissions": [], "unknown": [] },
        { "arn": role("engineers"), "not_checked": "the role does not exist" },
        { "arn": "arn:aws:iam::*:user/a*", "not_checked": "it is a pattern of users; name each with --principal" },
        { "arn": "arn:aws:iam::210987654321:user/olga", "not_checked": "it is in another account than the caller" },
    ]);
    assert_eq!(check["principals"], expected);
    let writes =
        json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*" } });
    world.restrict("carol", &[&writes.to_string()]);
    let section = "[broker]\noperators = [\"arn:aws:iam::123456789012:user/carol\"]\n";
    world.write("sentinel.toml", &format!("{MANIFEST}\n{section}"));
    let open = world.run_as("admin", &["trust", "check", "prod"]).expect(2);
    assert!(
        open.stdout.contains("user/carol: has permissions that only the broker and administrators should have\n"),
        "{}",
        open.stdout
    );
}

/// A session of the role can change the gate for everybody.
#[test]
fn trust_check_simulates_the_roles_of_the_profiles() {
    let world = world();
    world.run_as("admin", &["trust", "check", "prod"]).expect(0);
    let policy = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
    world.iam("AttachRolePolicy", &[("RoleName", "admin"), policy]);
    let open = world.run_as("admin", &["trust", "check", "prod"]).expect(2).stdout;
    assert!(open.starts_with("prod: advisory: AWS does not enforce the gate\n"), "{open}");
    let found =
        "arn:aws:iam::123456789012:role/admin: has permissions that only the broker and administrators should have\n";
    assert!(open.contains(found), "{open}");
}

#[test]
fn trust_check_simulates_the_roles_that_a_pattern_of_the_broker_matches() {
    let world = world();
    let section = "[broker]\nprincipals = [\"arn:aws:sts::*:assumed-role/Engineer_*/*\", \"arn:aws:sts::*:assumed-role/*er/*\"]\n\
                   approvers = [\"arn:aws:sts::123456789012:assumed-role/Lead_*/*\"]\n";
    world.write("sentinel.toml", &format!("[aws]\naccount_id = \"{ACCOUNT}\"\n{MANIFEST}\n{section}"));
    let role = |name: &str| format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let create = |name: &str, path: &str| {
        let document = trust(&json!({ "AWS": ACCOUNT }));
        let fields = [("RoleName", name), ("AssumeRolePolicyDocument", &document), ("Path", path)];
        world.iam("CreateRole", &fields);
    };
    create("Engineer_1", "/teams/");
    create("Other", "/");
    let document = world.run(&["iam", "--for", "trust-check", "--json"]).expect(0).json()["policies"][0].clone();
    world.restrict("auditor", &[&document.to_string()]);
    // The pattern `*er` also matches the broker's own role, which has to have the permissions.
    let checked = world.run_as("auditor", &["trust", "check", "prod", "--json"]).expect(0).json();
    let none = |arn: String| json!({ "arn": arn, "permissions": [], "unknown": [] });
    let expected = json!([
        none(role("Other")),
        none(role("admin")),
        none(role("teams/Engineer_1")),
        { "arn": "arn:aws:sts::123456789012:assumed-role/Lead_*/*", "not_checked": "no role of the caller's account matches" },
    ]);
    assert_eq!(checked["principals"], expected);
    let policy = ("PolicyArn", "arn:aws:iam::aws:policy/AdministratorAccess");
    world.iam("AttachRolePolicy", &[("RoleName", "Engineer_1"), policy]);
    let open = world.run_as("auditor", &["trust", "check", "prod"]).expect(2).stdout;
    assert!(open.contains("role/teams/Engineer_1: has permissions that only the broker"), "{open}");
    world.iam("DetachRolePolicy", &[("RoleName", "Engineer_1"), policy]);
    let deny = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Deny", "Action": "iam:ListRoles", "Resource": "*" } });
    world.restrict("reader", &[&document.to_string(), &deny.to_string()]);
    let denied = world.run_as("reader", &["trust", "check", "prod"]).expect(3).stdout;
    assert!(denied.contains("assumed-role/Lead_*/*: permissions not known: iam:ListRoles: AccessDenied"), "{denied}");
    assert!(denied.starts_with("prod: not known whether AWS enforces the gate\n"), "{denied}");
}

#[test]
fn every_format_shows_the_gates_of_targets_also_of_one_in_sync() {
    let world = World::quick();
    world.write("roles/broker.json", &trust(&json!({ "Service": "ecs-tasks.amazonaws.com" })));
    let target = |name: &str, account: &str| {
        format!("[targets.{name}]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::{account}:role/deploy\"\n")
    };
    let (one, two) = (target("one", "111111111111"), target("two", "222222222222"));
    let far = "[profiles.far]\nrole = \"arn:aws:iam::210987654321:role/far\"\n";
    world.write("sentinel.toml", &format!("{one}{two}{MANIFEST}{far}"));
    world.run(&["apply", "--yes", "--only", "roles.*", "--target", "one"]).expect(0);
    let advisory =
        "Advisory, AWS does not enforce the gate of 1 profile: open: the manifest names no role for the profile.";
    let pending = "AWS enforces the gate of 1 profile by trust policies once the manifest is applied: prod.";
    let unknown = "Not known whether AWS enforces the gate of 1 profile: far: the role";
    let in_sync = "in sync (2 resources; gates: 1 advisory, 1 not known)";
    for command in ["plan", "status"] {
        for format in ["text", "markdown", "html"] {
            let shown = world.run(&[command, "--only", "roles.*", "--format", format]).expect(0).stdout;
            for line in [advisory, pending, unknown, in_sync] {
                assert_eq!(shown.matches(line).count(), 1, "{command} {format}: {line}\n{shown}");
            }
        }
        let json = world.run(&[command, "--only", "roles.*", "--json"]).expect(0).json();
        let gates: Vec<&Value> = (0..2).map(|at| &json["targets"][at]["gates"][2]["gate"]).collect();
        assert_eq!(gates, ["enforced", "pending"], "{command}");
    }
    let all = world.run(&["plan", "--only", "roles.*", "--all"]).expect(0).stdout;
    assert!(all.contains("AWS enforces the gate of 1 profile by trust policies: prod.\n"), "{all}");
    assert_eq!(all.matches(advisory).count(), 2, "{all}");
}

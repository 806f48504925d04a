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
fn trust_check_names_each_statement_that_lets_somebody_around_the_broker() {
    let world = world();
    let enforced = world.run_as("admin", &["trust", "check", "prod"]).expect(0);
    assert_eq!(enforced.stdout, "prod: enforced by AWS\n");
    // A profile without a role, beside the other.
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
        around.stdout.contains("lets in arn:aws:iam::123456789012:user/alice, which is no service"),
        "{}",
        around.stdout
    );
    let unknown = world.run_as("admin", &["trust", "check", "pord"]).expect(1);
    assert!(unknown.stderr.contains("did you mean prod?"), "{}", unknown.stderr);
}

/// What the check says is what the emulator does.
#[test]
fn a_role_that_is_enforced_is_assumed_by_the_broker_alone() {
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
fn trust_check_asks_iam_what_a_principal_may_do_with_the_tables() {
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

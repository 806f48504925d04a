//! The writers of each record: the AWS emulator refuses requests that the policy of a role does not allow.

use serde_json::{Value, json};

use super::access::provisioned;
use super::iam::policy;
use crate::world::World;

const MANIFEST: &str = "there/sentinel.toml";

const APPROVALS: &str = "sentinel-requests";
const BREAKGLASS: &str = "sentinel-breakglass";
const SESSIONS: &str = "sentinel-sessions";

/// Every kind of key, the earlier forms, and some similar ones.
const KEYS: &[&str] = &[
    "request#0123456789abcdef",
    "decision#0123456789abcdef",
    "decision#for-0123456789abcdef0123456789abcdef",
    "revocation#0123456789abcdef",
    "lock#0123456789abcdef0123456789abcdef",
    "event#0123456789abcdef",
    "closure#0123456789abcdef",
    "place#AIDA0000000000000000#prod",
    "session#0123456789abcdef",
    "0123456789abcdef",
    "active-0123456789abcdef0123456789abcdef",
    "request",
    "Request#1",
    " request#1",
    "decision#request#1",
    "sessions#1",
    "#",
];

/// Returns a world in which each role has a user of its name with only the role's policy.
fn world() -> World {
    let world = provisioned();
    for role in ["requester", "approver", "operator", "server"] {
        world.restrict(role, &[&policy(&world, role, MANIFEST).to_string()]);
    }
    world
}

fn call(world: &World, user: &str, operation: &str, body: &Value) -> (u16, Value) {
    world.aws_as(user, &format!("DynamoDB_20120810.{operation}"), body)
}

/// Returns whether AWS allowed a call. Every refusal must be for a missing permission.
#[track_caller]
fn allowed(world: &World, user: &str, operation: &str, body: &Value) -> bool {
    let (status, answer) = call(world, user, operation, body);
    if status == 200 {
        return true;
    }
    let code = answer["__type"].as_str().unwrap_or_default();
    assert!(code.ends_with("AccessDeniedException"), "{user} {operation} {body}: {answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("User: arn:aws:iam::123456789012:user/{user} is not authorized")),
        "{message}"
    );
    false
}

fn put(table: &str, key: &str) -> Value {
    json!({ "TableName": table, "Item": { "id": { "S": key }, "status": { "S": "approved" } } })
}

fn update(table: &str, key: &str) -> Value {
    json!({
        "TableName": table,
        "Key": { "id": { "S": key } },
        "UpdateExpression": "SET #s = :s",
        "ExpressionAttributeNames": { "#s": "status" },
        "ExpressionAttributeValues": { ":s": { "S": "active" } },
    })
}

/// Makes all forms of writes for one key, and returns which of them are allowed.
fn written(world: &World, user: &str, table: &str, key: &str) -> Vec<bool> {
    let whole = |part: Value| json!({ "TransactItems": [part] });
    let transaction_update = json!({ "Update": update(table, key) });
    [
        allowed(world, user, "PutItem", &put(table, key)),
        allowed(world, user, "UpdateItem", &update(table, key)),
        allowed(world, user, "TransactWriteItems", &whole(json!({ "Put": put(table, key) }))),
        allowed(world, user, "TransactWriteItems", &whole(transaction_update)),
    ]
    .to_vec()
}

#[test]
fn iam_allows_each_role_to_write_only_its_own_records() {
    let world = world();
    let may_write = |user: &str, table: &str, key: &str| match (user, table) {
        ("requester", APPROVALS) => key.starts_with("request#"),
        ("approver", APPROVALS) => key.starts_with("decision#") || key.starts_with("revocation#"),
        ("operator", APPROVALS) => key.starts_with("lock#") || key.starts_with("revocation#"),
        ("operator", BREAKGLASS) => key.starts_with("event#") || key.starts_with("closure#"),
        ("operator", SESSIONS) => key.starts_with("revocation#"),
        ("server", SESSIONS) => key.starts_with("session#"),
        _ => false,
    };
    for user in ["requester", "approver", "operator", "server"] {
        for table in [APPROVALS, BREAKGLASS, SESSIONS] {
            for key in KEYS {
                let expected = vec![may_write(user, table, key); 4];
                assert_eq!(written(&world, user, table, key), expected, "{user} {table} {key}");
            }
        }
    }
}

#[test]
fn iam_denies_deletes_batch_writes_and_partiql_to_every_role() {
    let world = world();
    let key = "request#0123456789abcdef";
    let delete = json!({ "TableName": APPROVALS, "Key": { "id": { "S": key } } });
    let batch = |write: Value| json!({ "RequestItems": { APPROVALS: [write] } });
    let statement = json!({ "Statement": "DELETE FROM \"sentinel-requests\" WHERE id = 'request#1'" });
    for user in ["requester", "approver", "operator", "server"] {
        let attempts = [
            ("DeleteItem", delete.clone()),
            ("TransactWriteItems", json!({ "TransactItems": [{ "Delete": delete }] })),
            ("BatchWriteItem", batch(json!({ "PutRequest": { "Item": { "id": { "S": key } } } }))),
            ("BatchWriteItem", batch(json!({ "DeleteRequest": { "Key": { "id": { "S": key } } } }))),
            ("ExecuteStatement", statement.clone()),
            ("BatchExecuteStatement", json!({ "Statements": [statement] })),
            ("ExecuteTransaction", json!({ "TransactStatements": [statement] })),
            ("Scan", json!({ "TableName": APPROVALS })),
            ("DeleteTable", json!({ "TableName": APPROVALS })),
            ("UpdateTable", json!({ "TableName": APPROVALS, "DeletionProtectionEnabled": true })),
            ("PutItem", put("sentinel-other", key)),
            // Without a key, no condition can match.
            ("PutItem", json!({ "TableName": APPROVALS, "Item": {} })),
            ("PutItem", json!({ "TableName": APPROVALS })),
            ("UpdateItem", json!({ "TableName": APPROVALS })),
            ("TransactWriteItems", json!({ "TransactItems": [] })),
            ("BatchWriteItem", json!({ "RequestItems": {} })),
        ];
        for (operation, body) in attempts {
            assert!(!allowed(&world, user, operation, &body), "{user} {operation} {body}");
        }
    }
}

#[test]
fn one_denied_part_denies_the_whole_transaction() {
    let world = world();
    let (own, forged) = ("request#0123456789abcdef", "decision#0123456789abcdef");
    for part in [json!({ "Put": put(APPROVALS, forged) }), json!({ "Update": update(APPROVALS, forged) })] {
        for parts in [json!([{ "Put": put(APPROVALS, own) }, part]), json!([part, { "Put": put(APPROVALS, own) }])] {
            assert!(!allowed(&world, "requester", "TransactWriteItems", &json!({ "TransactItems": parts })));
        }
        // A part with two kinds counts as both.
        let mut both = part.clone();
        both["ConditionCheck"] = json!({ "TableName": APPROVALS, "Key": { "id": { "S": own } },
            "ConditionExpression": "attribute_exists(id)" });
        assert!(!allowed(&world, "requester", "TransactWriteItems", &json!({ "TransactItems": [both] })));
    }
    let found = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": APPROVALS }));
    assert_eq!(found["Count"], json!(0));
}

/// A table may be named by its ARN, in any region and account that the engine accepts.
#[test]
fn a_table_named_by_arn_is_the_same_table() {
    let world = world();
    for head in
        ["arn:aws:dynamodb:us-east-1:123456789012", "arn:aws:dynamodb:dynoxide:000000000000", "arn:aws:dynamodb:x:y"]
    {
        let table = format!("{head}:table/{APPROVALS}");
        let forged = "decision#0123456789abcdef";
        assert!(!allowed(&world, "requester", "PutItem", &put(&table, forged)));
        assert!(!allowed(&world, "requester", "UpdateItem", &update(&table, forged)));
        let parts = json!({ "TransactItems": [{ "Put": put(&table, forged) }] });
        assert!(!allowed(&world, "requester", "TransactWriteItems", &parts));
        let batch = json!({ "RequestItems": { &table: [{ "PutRequest": { "Item": { "id": { "S": forged } } } }] } });
        assert!(!allowed(&world, "requester", "BatchWriteItem", &batch));
    }
}

#[test]
fn an_operator_writes_only_their_own_place_records() {
    let world = world();
    world.restrict("other-operator", &[&policy(&world, "operator", MANIFEST).to_string()]);
    let user_id = |user: &str| {
        let scope = format!("AWS4-HMAC-SHA256 Credential=AKIALOCAL:{user}/20260101/us-east-1/sts/aws4_request");
        let (_, body) = crate::world::http(
            world.url(),
            "POST /",
            &[("authorization", &scope)],
            b"Action=GetCallerIdentity&Version=2011-06-15",
        );
        let body = String::from_utf8(body).unwrap();
        body.split("<UserId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
    };
    let (own, theirs) = (user_id("operator"), user_id("other-operator"));
    assert_ne!(own, theirs);
    assert_eq!(written(&world, "operator", BREAKGLASS, &format!("place#{own}#prod")), [true; 4]);
    for key in [
        format!("place#{theirs}#prod"),
        format!("place#{own}"),
        format!("place#{own}x#prod"),
        format!("place#*{own}#prod"),
        String::from("place##prod"),
        String::from("place#*#prod"),
        String::from("place#${aws:userid}#prod"),
    ] {
        assert_eq!(written(&world, "operator", BREAKGLASS, &key), [false; 4], "{key}");
    }
    assert_eq!(written(&world, "requester", BREAKGLASS, &format!("place#{}#prod", user_id("requester"))), [false; 4]);
}

#[test]
fn the_policies_of_roles_allow_the_reads_of_commands() {
    let world = world();
    let get = |table: &str| json!({ "TableName": table, "Key": { "id": { "S": "request#1" } } });
    let query = json!({
        "TableName": APPROVALS,
        "IndexName": "requester-index",
        "KeyConditionExpression": "#r = :r",
        "ExpressionAttributeNames": { "#r": "requester" },
        "ExpressionAttributeValues": { ":r": { "S": "alice" } },
    });
    for user in ["requester", "approver", "operator", "server"] {
        assert!(allowed(&world, user, "GetItem", &get(APPROVALS)), "{user}");
        assert!(allowed(&world, user, "Query", &query), "{user}");
        let ssm = |operation: &str, body: Value| world.aws_as(user, &format!("AmazonSSM.{operation}"), &body).0;
        assert_eq!(ssm("GetParameters", json!({ "Names": ["/sentinel/policies/dev"] })), 200);
        assert_eq!(ssm("GetParametersByPath", json!({ "Path": "/sentinel/policies" })), 200);
        assert_eq!(ssm("GetParameters", json!({ "Names": ["/sentinel/policies/dev", "/other"] })), 400);
        assert_eq!(ssm("GetParametersByPath", json!({ "Path": "/" })), 400);
        assert_eq!(ssm("DescribeParameters", json!({})), 400);
        let overwrite = json!({ "Name": "/sentinel/policies/dev", "Value": "x", "Type": "String", "Overwrite": true });
        assert_eq!(ssm("PutParameter", overwrite), 400);
    }
    assert!(!allowed(&world, "requester", "GetItem", &get(SESSIONS)));
}

/// Without policies in the emulator, all of this is allowed, so IAM is what refuses it.
#[test]
fn a_user_without_policies_of_their_own_has_all_permissions() {
    let world = world();
    for key in KEYS {
        assert_eq!(written(&world, "someone", APPROVALS, key), [true; 4], "{key}");
    }
}

#[test]
fn assuming_a_role_needs_its_own_permission() {
    let world = world();
    let assume = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Resource": "arn:aws:iam::111111111111:role/dev" }] });
    world.restrict("assumer", &[&assume.to_string()]);
    let ask = |user: &str, role: &str| {
        let scope = format!("AWS4-HMAC-SHA256 Credential=AKIALOCAL:{user}/20260101/us-east-1/sts/aws4_request");
        let form = format!(
            "Action=AssumeRole&RoleSessionName=alice&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2F{role}"
        );
        let (status, body) = crate::world::http(world.url(), "POST /", &[("authorization", &scope)], form.as_bytes());
        (status, String::from_utf8(body).unwrap())
    };
    assert_eq!(ask("assumer", "dev").0, 200);
    assert_eq!(ask("someone", "prod").0, 200);
    for (user, role) in [("assumer", "prod"), ("requester", "dev"), ("REQUESTER", "dev")] {
        let (status, body) = ask(user, role);
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("<Code>AccessDenied</Code>") && body.contains("sts:AssumeRole on resource"), "{body}");
    }
}

/// The keys of `GetSessionToken` belong to the user and have the user's permissions. The call requires no permission.
#[test]
fn a_session_token_gives_a_user_no_more_permissions() {
    let world = world();
    let (status, body) = crate::world::http(
        world.url(),
        "POST /",
        &[("authorization", "AWS4-HMAC-SHA256 Credential=AKIALOCAL:requester/20260101/us-east-1/sts/aws4_request")],
        b"Action=GetSessionToken&DurationSeconds=900",
    );
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200, "{body}");
    let key = body.split("<AccessKeyId>").nth(1).unwrap().split('<').next().unwrap();
    let scope = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/dynamodb/aws4_request");
    let call = |key: &str| {
        let headers = [("x-amz-target", "DynamoDB_20120810.PutItem"), ("authorization", scope.as_str())];
        crate::world::http(world.url(), "POST /", &headers, put(APPROVALS, key).to_string().as_bytes()).0
    };
    assert_eq!([call("request#1"), call("decision#1")], [200, 400]);
}

/// `[local.users]` of a manifest, with a policy document of the project.
const LOCAL_USERS: &str = r#"
[local.users.rita]
policies = ["requester"]
[local.users.oscar]
policies = ["operator", "iam/extra.json"]
[local.users.nobody]
policies = []
"#;

fn local_project() -> World {
    let world = World::quick();
    let manifest = "[profiles.dev]\npolicy = \"policy.yaml\"\n[tables.approvals]\n[tables.breakglass]\n";
    let extra = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "dynamodb:Scan",
        "Resource": "arn:aws:dynamodb:*:*:table/sentinel-requests" } });
    world.write("sentinel.toml", &format!("{manifest}{LOCAL_USERS}"));
    world.write("policy.yaml", super::access::POLICY).write("iam/extra.json", &extra.to_string());
    world
}

fn local_run(world: &World, user: Option<&str>, args: &[&str]) -> crate::world::Run {
    let mut command = world.command(args);
    command.arg("--local").env("AWS_REGION", "us-east-1");
    command.args(user.map(|user| format!("--aws-profile={user}")));
    crate::world::finish(command.spawn().unwrap())
}

#[test]
fn users_of_the_manifest_have_the_permissions_of_their_policies_with_local() {
    let world = local_project();
    for user in ["rita", "RITA", "nobody"] {
        let run = local_run(&world, Some(user), &["apply", "--yes"]).expect(1);
        assert!(format!("{}{}", run.stdout, run.stderr).contains("no permission for "), "{}{}", run.stdout, run.stderr);
    }
    local_run(&world, None, &["apply", "--yes"]).expect(0);
    local_run(&world, Some("rita"), &["list"]).expect(0);
    let run = local_run(&world, Some("nobody"), &["list"]).expect(1);
    assert!(run.stderr.contains("is not authorized to perform: dynamodb:Query"), "{}", run.stderr);
    // A saved plan is applied with the same permissions as any other.
    world.write("policy.yaml", &super::access::POLICY.replace("alice", "bob"));
    local_run(&world, None, &["plan", "--out", "p.json"]).expect(0);
    let run = local_run(&world, Some("rita"), &["apply", "p.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("can no longer be read"), "{}", run.stderr);
    local_run(&world, None, &["apply", "p.json", "--yes"]).expect(0);
}

#[test]
fn local_serve_gives_users_of_the_manifest_the_permissions_of_their_policies() {
    let world = local_project();
    local_run(&world, None, &["apply", "--yes"]).expect(0);
    let mut child = world.command(&["local", "serve", "--port", "0", "--json"]).spawn().unwrap();
    let mut text = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let document = loop {
        std::io::BufRead::read_line(&mut output, &mut text).unwrap();
        if let Ok(document) = serde_json::from_str::<Value>(&text) {
            break document;
        }
    };
    let url = document["url"].as_str().unwrap();
    let call = |user: &str, operation: &str, body: &Value| {
        crate::world::aws_as(url, user, &format!("DynamoDB_20120810.{operation}"), body).0
    };
    let scan = json!({ "TableName": APPROVALS });
    let statuses = ["rita", "nobody", "oscar", "someone"].map(|user| {
        let put = |key: &str| call(user, "PutItem", &put(APPROVALS, key));
        [put("request#1"), put("decision#1"), put("revocation#1"), call(user, "Scan", &scan)]
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(statuses[0], [200, 400, 400, 400]);
    assert_eq!(statuses[1], [400; 4]);
    assert_eq!(statuses[2], [400, 400, 200, 200]);
    assert_eq!(statuses[3], [200; 4]);
}

#[test]
fn invalid_users_are_faults_of_the_manifest() {
    let world = World::new();
    let fault = |users: &str| {
        world.write("sentinel.toml", &format!("[profiles.dev]\n{users}"));
        world.run(&["validate"]).expect(1).stderr
    };
    let users = "[local.users.a]\npolicies = [\"requestor\"]\n[local.users.A]\npolicies = []\n[local.users.\"a b\"]\n";
    let stderr = fault(users);
    for text in
        ["did you mean \"requester\"?", "is the same user as", "cannot be the name of a user", "has no `policies`"]
    {
        assert!(stderr.contains(text), "{text} in {stderr}");
    }
    assert!(fault("[local.users.a]\npolicies = [\"gone.json\"]\n").contains("there is no policy file gone.json"));
    assert!(fault("[local.users.a]\npolicies = [\"../out.json\"]\n").contains("leaves the manifest's folder"));
    world
        .write("bad.json", "{}")
        .write("sentinel.toml", "[profiles.dev]\n[local.users.a]\npolicies = [\"bad.json\"]\n");
    let run = local_run(&world, None, &["plan"]).expect(1);
    assert!(run.stderr.contains("a policy of a: missing field `Statement`"), "{}", run.stderr);
}

/// Runs each command as a user with only the policy of its role.
#[test]
fn the_commands_of_a_role_need_no_more_than_its_policy() {
    let world = world();
    let run = |user: &str, args: &[&str]| world.run_as(user, args).expect(0);
    let request = || {
        let args = ["request", "--profile", "prod", "--justification", "Deploy the hotfix"];
        world.json_as("requester", &args)["request"]["id"].as_str().unwrap().to_owned()
    };
    let exec = ["exec", "--profile", "prod", "--", "true"];
    let (id, denied, cancelled) = (request(), request(), request());
    for args in [vec!["list"], vec!["list", "--status", "pending"], vec!["check", &id], vec!["shell", "init"]] {
        run("requester", &args);
    }
    run("requester", &["cancel", &cancelled]);
    let own = world.run_as("requester", &["approve", &id]).expect(1);
    assert!(!own.stderr.contains("AccessDenied"), "sentinel says it first: {}", own.stderr);
    run("approver", &["list", "--profile", "prod"]);
    run("approver", &["check", &id]);
    run("approver", &["deny", &denied]);
    world.run_as("requester", &exec).expect(1);
    run("approver", &["approve", &id]);
    run("requester", &exec);
    run("approver", &["revoke", &id, "--reason", "No longer needed"]);
    world.run_as("requester", &exec).expect(1);

    let id = request();
    run("approver", &["approve", &id]);
    run("operator", &["revoke", &id, "--reason", "No longer needed"]);
    world.run_as("requester", &exec).expect(1);
    run("operator", &["lock", "requester", "--profile", "prod", "--reason", "Left the company"]);
    run("operator", &["locks", "--profile", "prod"]);
    run("operator", &["unlock", "requester", "--profile", "prod"]);
    for (user, args) in [
        ("requester", ["lock", "approver", "--profile", "prod", "--reason", "Left the company"].as_slice()),
        ("approver", &["request", "--profile", "prod", "--justification", "Deploy the hotfix"]),
        ("operator", &["request", "--profile", "prod", "--justification", "Deploy the hotfix"]),
        ("server", &["request", "--profile", "prod", "--justification", "Deploy the hotfix"]),
    ] {
        let run = world.run_as(user, args).expect(1);
        assert!(run.stderr.contains("is not authorized to perform: dynamodb:"), "{user} {args:?}: {}", run.stderr);
    }
}

/// The same for break-glass and credential servers.
#[test]
fn break_glass_and_servers_need_no_more_than_the_policy_of_their_role() {
    let world = world();
    let run = |user: &str, args: &[&str]| world.run_as(user, args).expect(0);
    let exec = ["exec", "--profile", "prod", "--", "true"];
    let why = "The database is down, and nobody is awake";
    let open = ["breakglass", "--profile", "prod", "--reason-code", "incident", "--justification", why];
    let event = world.json_as("operator", &open)["event"]["id"].as_str().unwrap().to_owned();
    world.run_as("requester", &open).expect(1);
    run("operator", &exec);
    run("operator", &["breakglass-list"]);
    run("operator", &["breakglass-check", &event]);
    run("operator", &["breakglass-close", &event]);

    run("server", &["exec", "--server", "--profile", "served", "--", "true"]);
    run("server", &["server-sessions"]);
    run("operator", &["server-sessions", "--status", "ended"]);
}

/// Once a role exists, its trust policy decides who assumes it, and its policies limit the session.
#[test]
fn exec_assumes_an_existing_role_by_its_trust_policy() {
    let world = provisioned();
    let config = "[profile base]\naws_access_key_id = AKIALOCAL:alice\naws_secret_access_key = x\n[profile dev]\n\
                  role_arn = arn:aws:iam::123456789012:role/developer\nsource_profile = base\n";
    world.write(".aws/config", config);
    let exec = || world.run_as("alice", &["exec", "--profile", "dev", "--credentials-profile", "dev", "--", "env"]);
    let value = |run: &crate::world::Run, name: &str| {
        let found = run.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned));
        found.unwrap_or_else(|| panic!("{name} in {}", run.stdout))
    };
    let refused = |action: &str| {
        let run = exec();
        let message = format!("is not authorized to perform: sts:{action} on resource");
        assert!(run.code != 0 && run.stderr.contains(&message), "{}", run.stderr);
    };
    exec().expect(0);
    let trust = |user: &str, actions: &[&str]| {
        let statement = json!({ "Effect": "Allow", "Action": actions,
            "Principal": { "AWS": format!("arn:aws:iam::123456789012:user/{user}") },
            "Condition": { "StringLikeIfExists": { "sts:SourceIdentity": "${aws:username}=*" } } });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    let role = ("RoleName", "developer");
    world.iam("CreateRole", &[role, ("AssumeRolePolicyDocument", &trust("bob", &["sts:AssumeRole"]))]);
    refused("AssumeRole");
    let change = |text: &str| world.iam("UpdateAssumeRolePolicy", &[role, ("PolicyDocument", text)]);
    change(&trust("alice", &["sts:AssumeRole"]));
    refused("SetSourceIdentity");
    change(&trust("alice", &["sts:AssumeRole", "sts:SetSourceIdentity"]));
    let run = exec().expect(0);

    let scope =
        format!("AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/ssm/aws4_request", value(&run, "AWS_ACCESS_KEY_ID"));
    let token = value(&run, "AWS_SESSION_TOKEN");
    let read = |token: &str| {
        let headers = [
            ("x-amz-target", "AmazonSSM.GetParameter"),
            ("authorization", scope.as_str()),
            ("x-amz-security-token", token),
        ];
        let body = json!({ "Name": "/sentinel/policies/dev" }).to_string();
        let (status, answer) = crate::world::http(world.url(), "POST /", &headers, body.as_bytes());
        (status, String::from_utf8(answer).unwrap())
    };
    let (status, answer) = read(&token);
    assert!(
        status == 400 && answer.contains("because no identity-based policy allows the ssm:GetParameter"),
        "{answer}"
    );
    let allow = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*" } });
    world.iam("PutRolePolicy", &[role, ("PolicyName", "read"), ("PolicyDocument", &allow.to_string())]);
    assert_eq!(read(&token).0, 200);
    assert!(read("").1.contains("UnrecognizedClientException"));
}

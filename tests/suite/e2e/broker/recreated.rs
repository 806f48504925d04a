//! A role that is deleted and created again: its sessions have the same ARN, and another unique ID. A renamed user has another ARN, and the
//! same unique ID.

use serde_json::json;

use super::super::access::POLICY;
use super::*;

/// The credentials of a session of the role `engineers`.
struct Session {
    key: String,
    token: String,
}

fn create_role(world: &World) {
    let statement = json!({ "Effect": "Allow", "Principal": { "AWS": "123456789012" }, "Action": "sts:AssumeRole" });
    let trust = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
    world.iam("CreateRole", &[("RoleName", "engineers"), ("AssumeRolePolicyDocument", &trust)]);
}

fn assume(world: &World, session: &str) -> Session {
    let scope = "AWS4-HMAC-SHA256 Credential=AKIALOCAL:local/20260101/us-east-1/sts/aws4_request";
    let form = format!(
        "Action=AssumeRole&RoleSessionName={session}&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fengineers"
    );
    let headers = [("authorization", scope)];
    let (status, body) = crate::world::http(world.url(), "POST /", &headers, form.as_bytes());
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status, 200, "{body}");
    let part = |name: &str| body.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    Session { key: part("AccessKeyId"), token: part("SessionToken") }
}

impl Session {
    fn run(&self, world: &World, broker: &Broker, args: &[&str]) -> Run {
        let at = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
        let args = [&args[..at], &["--broker", &broker.url], &args[at..]].concat();
        let mut command = world.command_as("alice", &args);
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SESSION_TOKEN", &self.token);
        finish(command.spawn().unwrap())
    }
}

fn recreate_role(world: &World) {
    world.iam("DeleteRole", &[("RoleName", "engineers")]);
    create_role(world);
}

#[test]
fn a_recreated_user_does_not_inherit_an_approval() {
    let world = world();
    let broker = Broker::start(&world);
    create_role(&world);
    let earlier = assume(&world, "alice");
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--json"];
    let request = |session: &Session| {
        let id = session.run(&world, &broker, &wanted).expect(0).json()["request"]["id"].as_str().unwrap().to_owned();
        broker.run(&world, "bob", &["approve", &id]).expect(0);
        id
    };
    let id = request(&earlier);
    earlier.run(&world, &broker, PROD).expect(0);
    recreate_role(&world);
    let later = assume(&world, "alice");
    assert_eq!(earlier.key, later.key);
    let refused = later.run(&world, &broker, PROD).expect(1);
    assert!(refused.stderr.contains("error[E501]: alice gets no credentials for prod"), "{}", refused.stderr);
    let why = format!("request {id} was made by an earlier user or role with the ARN of alice and another unique ID");
    let shown = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(&why), "{}", refused.stderr);
    assert!(shown.contains("sentinel request --profile prod"), "{}", refused.stderr);
    // Nor does the user see the records, or change them.
    let hidden = later.run(&world, &broker, &["check", &id]).expect(1);
    assert!(hidden.stderr.contains("error[E503]"), "{}", hidden.stderr);
    let listed = later.run(&world, &broker, &["list", "--json"]).expect(0).json();
    assert_eq!(listed["requests"], json!([]));
    request(&later);
    later.run(&world, &broker, PROD).expect(0);
}

#[test]
fn a_request_of_a_deleted_user_that_is_approved_later_is_not_for_the_recreated_user() {
    let world = world();
    let broker = Broker::start(&world);
    create_role(&world);
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--json"];
    let asked = assume(&world, "alice").run(&world, &broker, &wanted).expect(0).json();
    recreate_role(&world);
    broker.run(&world, "bob", &["approve", asked["request"]["id"].as_str().unwrap()]).expect(0);
    assume(&world, "alice").run(&world, &broker, PROD).expect(1);
}

#[test]
fn records_without_a_unique_id_stay_valid() {
    let world = world();
    let broker = Broker::start(&world);
    let id = request(&world, &broker, "alice");
    broker.run(&world, "bob", &["approve", &id]).expect(0);
    for prefix in ["request", "decision"] {
        let body = json!({
            "TableName": "sentinel-requests", "Key": { "id": { "S": format!("{prefix}#{id}") } },
            "UpdateExpression": "REMOVE requester_id", "ConditionExpression": "attribute_exists(requester_id)",
        });
        world.aws("DynamoDB_20120810.UpdateItem", &body);
    }
    broker.run(&world, "alice", PROD).expect(0);
}

/// Starts a broker for which the sessions of `engineers` named alice are operators.
fn with_operators(world: &World) -> Broker {
    let operators = "operators = [\"arn:aws:iam::*:user/olga\", \"arn:aws:sts::*:assumed-role/engineers/alice\"]";
    let manifest = SECTION.replace("operators = [\"arn:aws:iam::*:user/olga\"]", operators);
    assert_ne!(manifest, SECTION);
    Broker::start_with(world, &manifest)
}

#[test]
fn the_events_of_an_earlier_user_do_not_count_toward_the_limits_of_a_recreated_user() {
    let world = world();
    put_policy(&world, "prod", &format!("{POLICY}breakglass_limits: {{ events_per_day: 1 }}\n"));
    let broker = with_operators(&world);
    create_role(&world);
    assume(&world, "alice").run(&world, &broker, OPENING).expect(0);
    recreate_role(&world);
    let later = assume(&world, "alice");
    let event = later.run(&world, &broker, OPENING).expect(0).json()["event"]["id"].as_str().unwrap().to_owned();
    later.run(&world, &broker, PROD).expect(0);
    later.run(&world, &broker, &["breakglass-close", &event]).expect(0);
    let refused = later.run(&world, &broker, OPENING).expect(1);
    assert!(refused.stderr.contains("limits alice to 1 break-glass event for prod"), "{}", refused.stderr);
}

#[test]
fn a_renamed_user_cannot_approve_their_own_request() {
    let world = world();
    let broker = Broker::start(&world);
    // The request of bob before he was renamed.
    let id = request(&world, &broker, "bob");
    let earlier = json!({ ":name": { "S": "robert" }, ":arn": { "S": "arn:aws:iam::123456789012:user/robert" } });
    let body = json!({
        "TableName": "sentinel-requests", "Key": { "id": { "S": format!("request#{id}") } },
        "UpdateExpression": "SET requester = :name, requester_arn = :arn", "ExpressionAttributeValues": earlier,
    });
    world.aws("DynamoDB_20120810.UpdateItem", &body);
    let refused = broker.run(&world, "bob", &["approve", &id]).expect(1);
    assert!(refused.stderr.contains("is your own (robert): you cannot decide it"), "{}", refused.stderr);
    let other = request(&world, &broker, "alice");
    broker.run(&world, "bob", &["approve", &other]).expect(0);
    let body = json!({ "TableName": "sentinel-requests", "Key": { "id": { "S": format!("decision#{other}") } } });
    let decision = world.aws("DynamoDB_20120810.GetItem", &body)["Item"].clone();
    let logged = broker.logged().into_iter().find(|line| line["operation"] == "approve").unwrap();
    assert_eq!(decision["decided_by_id"]["S"], logged["user_id"]);
    assert!(logged["user_id"].as_str().unwrap().starts_with("AIDA"), "{logged}");
}

#[test]
fn a_recreated_user_does_not_inherit_a_session_or_an_event() {
    let world = world();
    let broker = with_operators(&world);
    create_role(&world);
    let earlier = assume(&world, "alice");
    let event = earlier.run(&world, &broker, OPENING).expect(0).json()["event"]["id"].as_str().unwrap().to_owned();
    earlier.run(&world, &broker, PROD).expect(0);
    let record = |table: &str, key: &str| {
        let body = json!({ "TableName": table, "Key": { "id": { "S": key } }, "ConsistentRead": true });
        world.aws("DynamoDB_20120810.GetItem", &body)["Item"].clone()
    };
    let id = record("sentinel-breakglass", &format!("event#{event}"))["invoker_id"]["S"].as_str().unwrap().to_owned();
    assert!(id.starts_with("AROA") && id.ends_with(":alice"), "{id}");
    recreate_role(&world);
    let later = assume(&world, "alice");
    later.run(&world, &broker, PROD).expect(1);
    // The place record of the recreated user names the event of the earlier one.
    let body = json!({ "TableName": "sentinel-breakglass" });
    let items = world.aws("DynamoDB_20120810.Scan", &body)["Items"].clone();
    let mut place = items.as_array().unwrap().iter().find(|item| item.get("event_id").is_some()).unwrap().clone();
    let earlier_key = place["id"]["S"].as_str().unwrap().to_owned();
    let identity = later_id(&world, &later);
    place["id"]["S"] = json!(earlier_key.replace(&id, &identity));
    assert_ne!(place["id"]["S"], *earlier_key);
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": "sentinel-breakglass", "Item": place }));
    later.run(&world, &broker, PROD).expect(1);
}

fn later_id(world: &World, session: &Session) -> String {
    let scope = format!("AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/sts/aws4_request", session.key);
    let headers = [("authorization", scope.as_str()), ("x-amz-security-token", &session.token)];
    let (_, body) = crate::world::http(world.url(), "POST /", &headers, b"Action=GetCallerIdentity");
    let body = String::from_utf8(body).unwrap();
    body.split("<UserId>").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

//! Forged records, written with permission for every key: none of them grants access.

use serde_json::{Value, json};

use super::{approve, now, provisioned, put_record, record, request};
use crate::world::World;

const EXEC: [&str; 5] = ["exec", "--profile", "prod", "--", "true"];

fn text(text: &str) -> Value {
    json!({ "S": text })
}

fn number(number: i64) -> Value {
    json!({ "N": number.to_string() })
}

fn arn(user: &str) -> Value {
    text(&format!("arn:aws:iam::123456789012:user/{user}"))
}

/// Returns the records of alice's request that bob approved: request, decision and index.
fn granted(world: &World) -> (String, [Value; 3]) {
    let id = request(world, "alice", "prod");
    approve(world, "bob", &id);
    world.run_as("alice", &EXEC).expect(0);
    let all = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": "sentinel-requests" }));
    let index = all["Items"].as_array().unwrap().iter().find(|item| !item["decisions"].is_null()).unwrap().clone();
    let records = [record(world, &format!("request#{id}")), record(world, &format!("decision#{id}")), index];
    (id, records)
}

/// A change to the records of a grant: its name, the affected records, and the attributes with their new values.
type Forgery = (&'static str, &'static [usize], Vec<(&'static str, Option<Value>)>);

fn forgeries() -> Vec<Forgery> {
    let with = |name, value: Value| vec![(name, Some(value))];
    let without = |name| vec![(name, None)];
    let (request, decision, both): (&[usize], &[usize], &[usize]) = (&[0], &[1], &[0, 1]);
    let long = 10 * 365 * 86_400;
    vec![
        ("no decider", decision, without("decided_by")),
        ("an empty decider", decision, with("decided_by", text(""))),
        ("no ARN of a decider", decision, without("decided_by_arn")),
        (
            "a decider who is the requester",
            decision,
            vec![("decided_by", Some(text("alice"))), ("decided_by_arn", Some(arn("alice")))],
        ),
        (
            "a decider who is the requester in capitals",
            decision,
            vec![("decided_by", Some(text("ALICE"))), ("decided_by_arn", Some(arn("ALICE")))],
        ),
        ("a decider with the ARN of the requester", decision, with("decided_by_arn", arn("alice"))),
        (
            "a decider who is the requester in a role",
            decision,
            vec![
                ("decided_by", Some(text("Alice"))),
                ("decided_by_arn", Some(text("arn:aws:sts::123456789012:assumed-role/admin/Alice"))),
            ],
        ),
        (
            "the requester with a blank at the end as the decider",
            decision,
            vec![("decided_by", Some(text("alice "))), ("decided_by_arn", Some(arn("alice ")))],
        ),
        (
            "a decider of another account",
            decision,
            vec![
                ("decided_by", Some(text("bob"))),
                ("decided_by_arn", Some(text("arn:aws:iam::999999999999:user/bob"))),
            ],
        ),
        (
            "a decider of another account's role",
            decision,
            vec![
                ("decided_by", Some(text("bob"))),
                ("decided_by_arn", Some(text("arn:aws:sts::210987654321:assumed-role/Admin/bob"))),
            ],
        ),
        ("a decider who is nobody", decision, with("decided_by_arn", text("arn:aws:iam::123456789012:root"))),
        ("a creation in the future", both, with("created_at", number(4_000_000_000))),
        ("a creation in the future in the request", request, with("created_at", number(4_000_000_000))),
        ("a decision in the future", decision, with("decided_at", number(now() + 3600))),
        ("a decision before the request", decision, with("decided_at", number(now() - 3600))),
        ("no time of decision", decision, without("decided_at")),
        ("a request of last week", both, with("created_at", number(now() - 7 * 86_400))),
        (
            "a decision long ago for long",
            both,
            vec![
                ("created_at", Some(number(now() - 40 * 3600))),
                ("decided_at", Some(number(now() - 39 * 3600))),
                ("duration", Some(number(long))),
                ("expires_at", Some(number(4_000_000_000))),
            ],
        ),
        ("access that is over", decision, with("decided_at", number(now() - 7200))),
        ("a longer duration in the request", request, with("duration", number(long))),
        ("a longer duration in the decision", decision, with("duration", number(long))),
        ("a duration that is none", both, with("duration", text("3600"))),
        ("a negative duration", both, with("duration", number(-3600))),
        ("another profile in the request", request, with("profile", text("dev"))),
        ("another profile in the decision", decision, with("profile", text("dev"))),
        ("another profile in both", both, with("profile", text("dev"))),
        (
            "another requester in the request",
            request,
            vec![("requester", Some(text("carol"))), ("requester_arn", Some(arn("carol")))],
        ),
        (
            "another requester in the decision",
            decision,
            vec![("requester", Some(text("carol"))), ("requester_arn", Some(arn("carol")))],
        ),
        (
            "another ARN in both",
            both,
            with("requester_arn", text("arn:aws:sts::123456789012:assumed-role/admin/alice")),
        ),
        ("no ARN of the requester", both, without("requester_arn")),
        ("another justification than was approved", request, with("justification", text("Something else entirely"))),
        ("a request that says it is approved", request, with("status", text("approved"))),
        ("a request that is cancelled", request, with("status", text("cancelled"))),
        ("a decision of another status", decision, with("status", text("yes"))),
        ("a decision without an end", decision, without("expires_at")),
        (
            "an index that names a decision that is not there",
            &[2],
            with("decisions", text("0000000000000000:4000000000")),
        ),
        ("an index that names itself", &[2], with("decisions", text("for-0123456789abcdef:4000000000"))),
        ("an index that names nothing", &[2], with("decisions", text("::: x 0:0 "))),
    ]
}

#[test]
fn inconsistent_records_grant_nothing() {
    let world = provisioned();
    let (id, records) = granted(&world);
    for (name, which, changes) in forgeries() {
        for at in which {
            let mut forged = records[*at].clone();
            for (attribute, value) in &changes {
                match value {
                    Some(value) => forged[*attribute] = value.clone(),
                    None => drop(forged.as_object_mut().unwrap().remove(*attribute)),
                }
            }
            put_record(&world, &forged);
        }
        let run = world.run_as("alice", &EXEC);
        assert_eq!(run.code, 1, "{name}: alice got in");
        let checked = world.run_as("carol", &["check", &id, "--json"]);
        // An approval for something else, or one that the index does not contain, still counts as an approval.
        let counts = which == [2] || name.starts_with("another profile in both") || name.starts_with("another ARN in");
        assert!(counts || !checked.stdout.contains("\"approved\""), "{name}: {}", checked.stdout);
        let listed = world.json_as("carol", &["list", "--requester", "alice", "--status", "approved"]);
        assert!(counts || listed["requests"] == json!([]), "{name}: {listed}");
        for record in &records {
            put_record(&world, record);
        }
        world.run_as("alice", &EXEC).expect(0);
    }
}

#[test]
fn a_self_approved_request_grants_nothing() {
    let world = provisioned();
    let forged = |key: &str| {
        json!({
            "id": text(key), "status": text("approved"), "requester": text("alice"), "requester_arn": arn("alice"),
            "profile": text("prod"), "justification": text("Because I say so"), "duration": number(3600),
            "created_at": number(now() - 60), "expires_at": number(4_102_444_800), "decided_at": number(now()),
        })
    };
    let id = "00000000000000aa";
    put_record(&world, &forged(id));
    put_record(&world, &forged(&format!("request#{id}")));
    world.run_as("alice", &EXEC).expect(1);
    for command in ["check", "approve", "deny", "cancel", "revoke"] {
        let run = world.run_as("bob", &[command, id]).expect(1);
        assert!(run.stderr.contains("which a request cannot have"), "{}", run.stderr);
    }
    for filter in [["--status", "approved"], ["--requester", "alice"], ["--profile", "prod"]] {
        let listed = world.json_as("bob", &[&["list"][..], &filter].concat());
        assert_eq!(listed["requests"], json!([]), "{filter:?}");
    }
}

#[test]
fn a_record_in_the_old_format_is_not_approved_and_explained() {
    let world = provisioned();
    let id = "00000000000000bb";
    put_record(
        &world,
        &json!({
            "id": text(id), "status": text("approved"), "requester": text("alice"), "profile": text("prod"),
            "justification": text("Deploy the hotfix"), "duration": number(3600), "created_at": number(now() - 60),
            "expires_at": number(now() + 3600), "decided_by": text("bob"), "decided_at": number(now() - 30),
        }),
    );
    let run = world.run_as("alice", &EXEC).expect(1);
    assert!(run.stderr.contains(&format!("request {id} was written by an older version")), "{}", run.stderr);
    assert!(run.stderr.contains("sentinel request --profile prod"), "{}", run.stderr);
    for command in ["check", "approve", "deny", "cancel", "revoke"] {
        let run = world.run_as("bob", &[command, id]).expect(1);
        assert!(
            run.stderr.contains("was written by an older version, in which its requester could mark it"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("sentinel request --profile prod --justification"), "{}", run.stderr);
    }
    // An old record of another profile is not mentioned.
    let run = world.run_as("carol", &EXEC).expect(1);
    assert!(!run.stderr.contains("older version"), "{}", run.stderr);
}

#[test]
fn a_decision_of_another_request_grants_nothing() {
    let world = provisioned();
    let (id, [_, decision, index]) = granted(&world);
    // alice's index record in place of carol's, and a copy of the decision for a request of carol's.
    let carols = request(&world, "carol", "prod");
    approve(&world, "bob", &carols);
    world.run_as("carol", &EXEC).expect(0);
    let all = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": "sentinel-requests" }));
    let is_carols = |item: &&Value| !item["decisions"].is_null() && item["id"] != index["id"];
    let mut index_of_carol = all["Items"].as_array().unwrap().iter().find(is_carols).unwrap().clone();
    index_of_carol["decisions"] = index["decisions"].clone();
    put_record(&world, &index_of_carol);
    world.run_as("carol", &EXEC).expect(1);
    index_of_carol["decisions"] = text(&format!("{carols}:4000000000 {id}:4000000000"));
    put_record(&world, &index_of_carol);
    let mut copied = decision;
    copied["id"] = text(&format!("decision#{carols}"));
    put_record(&world, &copied);
    world.run_as("carol", &EXEC).expect(1);
}

#[test]
fn records_cannot_extend_access_beyond_the_limit() {
    let world = provisioned();
    let (id, [mut request, mut decision, _]) = granted(&world);
    for record in [&mut request, &mut decision] {
        record["duration"] = number(10 * 365 * 86_400);
        record["expires_at"] = number(4_102_444_800);
        put_record(&world, record);
    }
    let checked = world.json_as("bob", &["check", &id]);
    assert_eq!(checked["request"]["status"], "approved");
    assert!(checked["request"]["expires_at"].as_i64().unwrap() <= now() + 8 * 3600, "{checked}");
}

#[test]
fn a_thousand_invalid_records_do_not_slow_the_gate() {
    let world = provisioned();
    let put = |number_of: usize| {
        json!({ "PutRequest": { "Item": {
            "id": text(&format!("request#junk{number_of}")), "requester": text("alice"), "profile": text("prod"),
            "status": text("approved"), "created_at": number(now() + 3600), "expires_at": number(4_102_444_800),
            "justification": text(&"x".repeat(3000)),
        } } })
    };
    for start in (0..1000).step_by(25) {
        let items: Vec<Value> = (start..start + 25).map(put).collect();
        world.aws("DynamoDB_20120810.BatchWriteItem", &json!({ "RequestItems": { "sentinel-requests": items } }));
    }
    let id = request(&world, "alice", "prod");
    approve(&world, "bob", &id);
    world.calls();
    world.run_as("alice", &EXEC).expect(0);
    let calls: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert!(calls.len() <= 10 && !calls.contains(&String::from("Query")), "{calls:?}");
    let listed = world.json_as("bob", &["list", "--requester", "alice"]);
    assert_eq!(listed["requests"].as_array().unwrap().len(), 1, "{listed}");
    let listed = world.json_as("bob", &["list", "--status", "approved"]);
    assert_eq!(listed["requests"][0]["id"], json!(id));
}

#[test]
fn of_many_approvals_the_longest_is_found_and_the_index_stays_small() {
    let world = provisioned();
    let ids: Vec<String> = (0..25).map(|_| request(&world, "alice", "prod")).collect();
    for id in &ids {
        approve(&world, "bob", id);
    }
    world.calls();
    world.run_as("alice", &EXEC).expect(0);
    let reads = world.calls().iter().filter(|call| call.body.to_string().contains("\"decision#")).count();
    assert!(reads <= 21, "{reads}");
}

#[test]
fn approvals_of_one_user_at_the_same_time_are_all_indexed() {
    let world = provisioned();
    let ids: Vec<String> = (0..6).map(|_| request(&world, "alice", "prod")).collect();
    let children: Vec<_> = ids.iter().map(|id| world.command_as("bob", &["approve", id]).spawn().unwrap()).collect();
    for child in children {
        crate::world::finish(child).expect(0);
    }
    // Each of the others alone still grants access to alice.
    for id in &ids[1..] {
        world.run_as("bob", &["revoke", id]).expect(0);
    }
    world.run_as("alice", &EXEC).expect(0);
    world.run_as("bob", &["revoke", &ids[0]]).expect(0);
    world.run_as("alice", &EXEC).expect(1);
}

#[test]
fn a_revocation_is_permanent() {
    let world = provisioned();
    let (id, [request, decision, index]) = granted(&world);
    let revoked = world.json_as("carol", &["revoke", &id, "--reason", "the incident is over"]);
    let revoked = &revoked["request"];
    assert_eq!((&revoked["status"], &revoked["revoked_by"]), (&json!("revoked"), &json!("carol")));
    assert_eq!(revoked["revoked_reason"], "the incident is over");
    world.run_as("alice", &EXEC).expect(1);
    let again = world.run_as("bob", &["approve", &id]).expect(1);
    assert!(again.stderr.contains("is already revoked by carol"), "{}", again.stderr);
    world.run_as("dave", &["revoke", &id]).expect(1);
    // Writing the records again does not restore access.
    for record in [&request, &decision, &index] {
        put_record(&world, record);
    }
    world.run_as("alice", &EXEC).expect(1);
    // An empty revocation still ends it.
    put_record(&world, &json!({ "id": text(&format!("revocation#{id}")) }));
    world.run_as("alice", &EXEC).expect(1);
    let listed = world.json_as("bob", &["list", "--status", "approved"]);
    assert_eq!(listed["requests"], json!([]));
}

#[test]
fn a_pending_request_that_is_revoked_can_no_longer_be_approved() {
    let world = provisioned();
    let id = request(&world, "alice", "prod");
    world.run_as("bob", &["revoke", &id]).expect(0);
    let listed = |status: &str| world.json_as("bob", &["list", "--status", status])["requests"].clone();
    assert_eq!(listed("revoked")[0]["id"], json!(id));
    assert_eq!(listed("pending"), json!([]));
    let late = world.run_as("carol", &["approve", &id]).expect(1);
    assert!(late.stderr.contains("is already revoked by bob"), "{}", late.stderr);
    let denied = request(&world, "alice", "prod");
    world.run_as("bob", &["deny", &denied]).expect(0);
    let over = world.run_as("bob", &["revoke", &denied]).expect(1);
    assert!(over.stderr.contains("is already denied by bob"), "{}", over.stderr);
    world.run_as("bob", &["revoke", "0000000000000000"]).expect(1);
}

#[test]
fn revoking_ends_requests_hidden_by_their_requester() {
    let world = provisioned();
    for (name, value) in [("status", "cancelled"), ("status", "approved"), ("profile", "dev")] {
        let (id, [request, ..]) = granted(&world);
        let mut hidden = request.clone();
        hidden[name] = text(value);
        put_record(&world, &hidden);
        let revoked = world.json_as("bob", &["revoke", &id]);
        assert_eq!(revoked["request"]["status"], "revoked", "{name} {value}");
        put_record(&world, &request);
        let run = world.run_as("alice", &EXEC);
        assert_eq!(run.code, 1, "{name} {value}");
    }
}

#[test]
fn a_request_canceled_before_its_decision_grants_nothing() {
    let world = provisioned();
    let id = request(&world, "alice", "prod");
    let (other, [_, decision, _]) = granted(&world);
    world.run_as("bob", &["revoke", &other]).expect(0);
    world.run_as("alice", &["cancel", &id]).expect(0);
    let cancelled = record(&world, &format!("request#{id}"));
    let mut forged = decision;
    forged["id"] = text(&format!("decision#{id}"));
    for name in ["created_at", "justification", "duration"] {
        forged[name] = cancelled[name].clone();
    }
    put_record(&world, &forged);
    world.run_as("alice", &EXEC).expect(1);
    let checked = world.json_as("bob", &["check", &id]);
    assert_eq!(checked["request"]["status"], "cancelled");
}

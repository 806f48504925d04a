//! Break-glass events: a user has one at a time, and it replaces an approval.

use serde_json::{Value, json};

use super::{count, now, provisioned, set_number};
use crate::world::{Answer, World, finish};

const WHY: &str = "The database is down, and nobody who could approve is awake";

fn open<'a>(profile: &'a str, extra: &[&'a str]) -> Vec<&'a str> {
    let base = ["breakglass", "--profile", profile, "--reason-code", "incident", "--justification", WHY];
    [&base[..], extra].concat()
}

#[test]
fn an_event_replaces_an_approval_until_it_is_closed() {
    let world = provisioned();
    let exec = ["exec", "--profile", "prod", "--log-stderr", "--", "true"];
    world.run_as("alice", &exec).expect(1);
    let event = world.json_as("alice", &open("prod", &["--duration", "2h"]))["event"].clone();
    let id = event["id"].as_str().unwrap();
    assert_eq!((&event["invoker"], &event["status"]), (&json!("alice"), &json!("active")));
    assert!((event["expires_at"].as_i64().unwrap() - now() - 7200).abs() < 30, "{event}");
    let run = world.run_as("alice", &exec).expect(0);
    let decision = super::decisions(&run.stderr).pop().unwrap();
    assert_eq!(decision["breakglass_id"], id);
    let ends = decision["until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(ends, event["expires_at"].as_i64().unwrap());
    // No role was assumed, so none is set.
    assert_eq!(decision["source_identity"], json!(null));
    // Other users and other profiles are not affected.
    world.run_as("bob", &exec).expect(1);

    let second = world.run_as("alice", &open("prod", &[])).expect(1);
    assert!(
        second.stderr.contains(&format!("alice already has an active break-glass event for prod: {id}")),
        "{}",
        second.stderr
    );
    // Each user can have one event for each profile.
    world.run_as("bob", &open("prod", &[])).expect(0);
    let other = super::POLICY.replace("profiles: [prod]", "profiles: [prod, dev]");
    super::put_policy(&world, "dev", &other.replace("users: [alice]", "users: [carol]"));
    world.run_as("alice", &open("dev", &[])).expect(0);

    let closed = world.json_as("bob", &["breakglass-close", id, "--reason", "it is up again"]);
    assert_eq!((&closed["event"]["status"], &closed["event"]["closed_by"]), (&json!("closed"), &json!("bob")));
    world.run_as("alice", &exec).expect(1);
    let again = world.run_as("carol", &["breakglass-close", id]).expect(1);
    assert!(again.stderr.contains("is already closed by bob"), "{}", again.stderr);
    // The place record is free.
    world.run_as("alice", &open("prod", &[])).expect(0);
    world.run_as("alice", &exec).expect(0);
}

#[test]
fn an_expired_event_grants_nothing_and_can_be_replaced() {
    let world = provisioned();
    let id = world.json_as("alice", &open("prod", &[]))["event"]["id"].as_str().unwrap().to_owned();
    // Both records with their times.
    let table = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": "sentinel-breakglass" }));
    for item in table["Items"].as_array().unwrap() {
        set_number(&world, "sentinel-breakglass", item["id"]["S"].as_str().unwrap(), "expires_at", now() - 1);
    }
    world.run_as("alice", &["exec", "--profile", "prod", "--", "true"]).expect(1);
    let check = world.json_as("alice", &["breakglass-check", &id]);
    assert_eq!(check["event"]["status"], "expired");
    let close = world.run_as("alice", &["breakglass-close", &id]).expect(1);
    assert!(close.stderr.contains("is already expired"), "{}", close.stderr);
    let next = world.json_as("alice", &open("prod", &[]))["event"]["id"].as_str().unwrap().to_owned();
    let ids = |args: &[&str]| -> Vec<String> {
        let run = world.json_as("carol", &[&["breakglass-list"], args].concat());
        run["events"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--invoker", "alice"]), [next.clone(), id.clone()]);
    assert_eq!(ids(&["--profile", "prod"]), [next.clone(), id.clone()]);
    assert_eq!(ids(&["--status", "active"]), [next]);
    assert_eq!(ids(&["--status", "expired"]), [id]);
    assert!(ids(&["--status", "closed"]).is_empty() && ids(&[]).is_empty());
}

#[test]
fn of_concurrent_openings_only_one_succeeds() {
    let world = provisioned();
    let children: Vec<_> = (0..20).map(|_| world.command_as("alice", &open("prod", &[])).spawn().unwrap()).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((count(&runs, 0), count(&runs, 1)), (1, 19), "{runs:#?}");
    let active = world.json_as("bob", &["breakglass-list", "--status", "active"]);
    assert_eq!(active["events"].as_array().unwrap().len(), 1);
}

#[test]
fn a_lost_response_does_not_open_a_second_event() {
    let world = provisioned();
    for _ in 0..4 {
        world.lose("TransactWriteItems");
    }
    let id = world.json_as("alice", &open("prod", &[]))["event"]["id"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        world.lose("TransactWriteItems");
    }
    world.run_as("bob", &["breakglass-close", &id]).expect(0);
}

#[test]
fn break_glass_arguments_are_limited() {
    let world = World::new();
    for (args, expected) in [
        (vec!["--reason-code", "incident", "--justification", "too short for this"], "20 to 1000 characters"),
        (vec!["--reason-code", "fun", "--justification", WHY], "invalid value 'fun'"),
        (vec!["--reason-code", "other", "--justification", WHY, "--duration", "5h"], "it can be 1m to 4h"),
        (vec!["--justification", WHY], "--reason-code"),
    ] {
        let run = world.run_as("alice", &[vec!["breakglass", "--profile", "prod"], args].concat()).expect(1);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    assert!(world.calls().is_empty());
}

const TABLE: &str = "sentinel-breakglass";
const ALICE: &str = "arn:aws:iam::123456789012:user/alice";
const EXEC: [&str; 5] = ["exec", "--profile", "prod", "--", "true"];
const FORGED: &str = "f0f0f0f0f0f0f0f0";

/// Opens an event as a user, and returns its ID.
#[track_caller]
fn opened(world: &World, user: &str) -> String {
    world.json_as(user, &open("prod", &[]))["event"]["id"].as_str().unwrap().to_owned()
}

/// Returns a record of an event of alice for prod that lasts an hour from now.
fn event_of_alice(id: &str) -> Value {
    json!({
        "id": { "S": format!("event#{id}") },
        "invoker": { "S": "alice" },
        "invoker_arn": { "S": ALICE },
        "profile": { "S": "prod" },
        "reason_code": { "S": "incident" },
        "justification": { "S": WHY },
        "status": { "S": "active" },
        "created_at": { "N": now().to_string() },
        "expires_at": { "N": (now() + 3600).to_string() },
    })
}

/// Returns alice's place record for prod, with these attributes.
fn place_of_alice(key: &str, attributes: &Value) -> Value {
    let mut item = attributes.clone();
    item["id"] = json!({ "S": key });
    item
}

/// Returns a world, and the key of alice's empty place record for prod.
fn with_an_empty_place() -> (World, String) {
    let world = provisioned();
    let id = opened(&world, "alice");
    let key = super::place_key(&world);
    assert!(key.starts_with("place#AIDA") && key.ends_with("#prod"), "{key}");
    for key in [&key, &format!("event#{id}")] {
        super::delete_item(&world, TABLE, key);
    }
    (world, key)
}

#[test]
fn each_record_has_the_key_of_the_role_that_writes_it() {
    let world = provisioned();
    let id = opened(&world, "alice");
    let item = super::get_item(&world, TABLE, &format!("event#{id}"));
    assert_eq!(item["invoker_arn"]["S"], ALICE);
    let kept: i64 = item["expires_at"]["N"].as_str().unwrap().parse().unwrap();
    assert!(kept >= now() + 24 * 3600, "TTL must not remove an event that still counts toward the limits");
    assert_eq!(super::get_item(&world, TABLE, &super::place_key(&world))["event_id"]["S"], id);
    world.run_as("bob", &["breakglass-close", &id, "--reason", "it is up again"]).expect(0);
    let closure = super::get_item(&world, TABLE, &format!("closure#{id}"));
    assert_eq!(closure["closed_by_arn"]["S"], "arn:aws:iam::123456789012:user/bob");
    assert_eq!((&closure["closed_by"]["S"], &closure["reason"]["S"]), (&json!("bob"), &json!("it is up again")));
    // Closing changes no other record.
    assert_eq!(super::get_item(&world, TABLE, &format!("event#{id}")), item);
}

#[test]
fn of_concurrent_closings_only_one_succeeds() {
    let world = provisioned();
    let id = opened(&world, "alice");
    let close = |_| world.command_as("bob", &["breakglass-close", &id]).spawn().unwrap();
    let children: Vec<_> = (0..10).map(close).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((count(&runs, 0), count(&runs, 1)), (1, 9), "{runs:#?}");
}

#[test]
fn a_place_record_without_an_active_event_is_ignored_and_replaced() {
    let (world, key) = with_an_empty_place();
    let in_2100 = json!({ "N": "4102444800" });
    let ended = "e0e0e0e0e0e0e0e0";
    let mut over = event_of_alice(ended);
    over["created_at"] = json!({ "N": (now() - 7200).to_string() });
    over["expires_at"] = json!({ "N": (now() - 3600).to_string() });
    super::put_item(&world, TABLE, &over);
    let foreign = opened(&world, "bob");
    let closed = "c0c0c0c0c0c0c0c0";
    super::put_item(&world, TABLE, &event_of_alice(closed));
    super::put_item(&world, TABLE, &json!({ "id": { "S": format!("closure#{closed}") } }));
    let limits = "breakglass_limits: { events_per_day: 24, hours_per_day: 24 }\n";
    super::put_policy(&world, "prod", &format!("{}{limits}", super::POLICY));
    let long = "x".repeat(3000);
    for squatted in [
        json!({ "event_id": { "S": "0000000000000000" }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": foreign }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": ended }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": closed }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": "" }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": long }, "expires_at": in_2100 }),
        json!({ "event_id": { "S": "../x#y\u{1b}[2J" }, "expires_at": in_2100 }),
        json!({ "event_id": { "N": "5" }, "expires_at": in_2100 }),
        json!({ "event_id": { "M": {} }, "expires_at": { "S": "never" } }),
        json!({ "event_id": { "NULL": true } }),
        json!({ "expires_at": in_2100 }),
        json!({}),
    ] {
        super::put_item(&world, TABLE, &place_of_alice(&key, &squatted));
        world.run_as("alice", &EXEC).expect(1);
        let run = world.run_as("alice", &open("prod", &["--duration", "1m", "--json"]));
        assert_eq!(run.code, 0, "{squatted}: {}", run.stderr);
        world.run_as("alice", &EXEC).expect(0);
        let id = run.json()["event"]["id"].as_str().unwrap().to_owned();
        world.run_as("bob", &["breakglass-close", &id]).expect(0);
        world.run_as("alice", &EXEC).expect(1);
    }
    // Only one of several concurrent runs replaces such a record.
    super::put_item(&world, TABLE, &place_of_alice(&key, &json!({ "event_id": { "BOOL": true } })));
    let open = open("prod", &["--duration", "1m"]);
    let children: Vec<_> = (0..10).map(|_| world.command_as("alice", &open).spawn().unwrap()).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((count(&runs, 0), count(&runs, 1)), (1, 9), "{runs:#?}");
}

#[test]
fn a_forged_event_grants_nothing() {
    let (world, key) = with_an_empty_place();
    super::put_item(&world, TABLE, &place_of_alice(&key, &json!({ "event_id": { "S": FORGED } })));
    let attempt = |name: &str, value: Value| {
        let mut event = event_of_alice(FORGED);
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().remove(name)),
            value => event[name] = value,
        }
        super::put_item(&world, TABLE, &event);
        world.run_as("alice", &EXEC).code
    };
    assert_eq!(attempt("justification", json!({ "S": "as it should be" })), 0);
    for (name, value) in [
        ("invoker", json!({ "S": "bob" })),
        ("invoker", json!({ "S": "Alice" })),
        ("invoker_arn", json!({ "S": "arn:aws:iam::123456789012:user/bob" })),
        ("invoker_arn", json!({ "S": "arn:aws:sts::123456789012:assumed-role/x/alice" })),
        ("invoker_arn", Value::Null),
        ("profile", json!({ "S": "dev" })),
        ("profile", json!({ "S": "PROD" })),
        ("created_at", json!({ "N": (now() + 120).to_string() })),
        ("created_at", json!({ "N": "4000000000" })),
        ("created_at", json!({ "N": (now() - 4 * 3600 - 1).to_string() })),
        ("created_at", Value::Null),
        ("expires_at", json!({ "N": (now() - 1).to_string() })),
        ("expires_at", json!({ "S": "2100" })),
        ("expires_at", Value::Null),
        ("ends_at", json!({ "N": (now() - 1).to_string() })),
        ("ends_at", json!({ "S": "2100" })),
        ("status", json!({ "S": "closed" })),
        ("status", json!({ "S": "approved" })),
        ("status", Value::Null),
    ] {
        assert_eq!(attempt(name, value.clone()), 1, "{name}: {value}");
    }
    // An event that claims to last until 2100 lasts four hours.
    assert_eq!(attempt("expires_at", json!({ "N": "4102444800" })), 0);
    let shown = world.json_as("bob", &["breakglass-check", FORGED])["event"].clone();
    assert!(shown["expires_at"].as_i64().unwrap() <= now() + 4 * 3600, "{shown}");
    // A place record of another user grants nothing to alice, and hers nothing to others.
    world.run_as("bob", &EXEC).expect(1);
    // Any closure ends the event, even one that claims to be later.
    let closure = json!({ "id": { "S": format!("closure#{FORGED}") }, "closed_at": { "N": "4102444800" } });
    super::put_item(&world, TABLE, &closure);
    world.run_as("alice", &EXEC).expect(1);
    let shown = world.json_as("bob", &["breakglass-check", FORGED])["event"].clone();
    assert_eq!(shown["status"], "closed");
}

#[test]
fn unreadable_events_grant_nothing() {
    let world = provisioned();
    let id = opened(&world, "alice");
    for (operation, matching) in [("GetItem", "closure#"), ("GetItem", "event#"), ("Query", "invoker-index")] {
        world.fail(operation, "AccessDeniedException", matching);
        let run = world.run_as("alice", &EXEC).expect(1);
        assert!(run.stderr.contains(&format!("dynamodb:{operation}")), "{}", run.stderr);
        world.clear_faults();
        world.run_as("alice", &EXEC).expect(0);
    }
    world.run_as("alice", &["breakglass-close", &id]).expect(0);
    // Opening is refused if the events cannot be counted.
    world.fail("Query", "AccessDeniedException", "invoker-index");
    world.run_as("alice", &open("prod", &[])).expect(1);
}

#[test]
fn policy_limits_restrict_events_and_hours() {
    let world = provisioned();
    let limits = |text: &str| {
        super::put_policy(&world, "prod", &format!("{}breakglass_limits: {{ {text} }}\n", super::POLICY));
    };
    // The default is three events.
    for _ in 0..3 {
        let id = opened(&world, "alice");
        world.run_as("alice", &EXEC).expect(0);
        world.run_as("alice", &["breakglass-close", &id]).expect(0);
    }
    let refused = world.run_as("alice", &open("prod", &[])).expect(1);
    let expected = "the policy limits alice to 3 break-glass events for prod in any 24 hours";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    // Other users have their own limits.
    opened(&world, "bob");
    limits("events_per_day: 5, hours_per_day: 4");
    let refused = world.run_as("alice", &open("prod", &["--duration", "90m"])).expect(1);
    let expected =
        "limits alice to 4 hours of break-glass for prod in any 24 hours, and this is more; --duration 60m is left";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    world.run_as("alice", &open("prod", &["--duration", "1h"])).expect(0);
    world.run_as("alice", &EXEC).expect(0);
    // The gate checks the same limits, and a lowered limit applies at once.
    limits("events_per_day: 3");
    let refused = world.run_as("alice", &EXEC).expect(1);
    assert!(refused.stderr.contains("does not count: the policy limits alice to 3"), "{}", refused.stderr);
}

#[test]
fn events_beyond_the_limits_grant_nothing() {
    let (world, key) = with_an_empty_place();
    super::put_item(&world, TABLE, &place_of_alice(&key, &json!({ "event_id": { "S": FORGED } })));
    super::put_item(&world, TABLE, &event_of_alice(FORGED));
    // Events count whatever they claim: closed, ended, dated before or after the current one, or without an ARN.
    let mut others: Vec<Value> = (0..3).map(|number| event_of_alice(&format!("{number:016x}"))).collect();
    others[0]["created_at"] = json!({ "N": (now() - 80_000).to_string() });
    others[1]["status"] = json!({ "S": "closed" });
    others[2].as_object_mut().unwrap().remove("invoker_arn");
    for event in &others[..2] {
        super::put_item(&world, TABLE, event);
    }
    world.run_as("alice", &EXEC).expect(0);
    super::put_item(&world, TABLE, &others[2]);
    let run = world.run_as("alice", &[&["exec", "--log-stderr"], &EXEC[1..]].concat()).expect(1);
    assert!(run.stderr.contains("limits alice to 3 break-glass events"), "{}", run.stderr);
    let decision = super::decisions(&run.stderr).pop().unwrap();
    assert_eq!((&decision["breakglass"]["action"], &decision["breakglass_id"]), (&json!("refused"), &json!(FORGED)));
    // An event older than a day does not count.
    others[2]["created_at"] = json!({ "N": (now() - 90_000).to_string() });
    super::put_item(&world, TABLE, &others[2]);
    world.run_as("alice", &EXEC).expect(0);
}

#[test]
fn a_rule_can_forbid_break_glass() {
    let (world, key) = with_an_empty_place();
    super::put_item(&world, TABLE, &place_of_alice(&key, &json!({ "event_id": { "S": FORGED } })));
    super::put_item(&world, TABLE, &event_of_alice(FORGED));
    world.run_as("alice", &EXEC).expect(0);
    let effect = "effect: require_approval\n    breakglass: false";
    super::put_policy(&world, "prod", &super::POLICY.replace("effect: require_approval", effect));
    let refused = world.run_as("alice", &EXEC).expect(1);
    let expected = "requires an approved request and does not accept a break-glass event";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    let refused = world.run_as("alice", &open("prod", &[])).expect(1);
    assert!(refused.stderr.contains("does not accept break-glass"), "{}", refused.stderr);
    // An approval still works.
    let id = super::request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    world.run_as("alice", &EXEC).expect(0);
}

#[test]
fn break_glass_applies_only_to_rules_that_require_approval() {
    let world = provisioned();
    for (user, profile, expected) in [
        ("alice", "dev", "rule \"alice-in-dev\" allows access without it"),
        ("eve", "prod", "rule \"eve-never\" denies access, and break-glass does not change that"),
        ("alice", "served", "requires a credential server, and break-glass does not replace one"),
        ("bob", "dev", "no rule of the policy matches"),
        ("alice", "other", "there is no policy /sentinel/policies/other"),
    ] {
        let refused = world.run_as(user, &open(profile, &[])).expect(1);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    super::put_policy(&world, "prod", "version: \"1\"\nrules: []\n");
    world.run_as("alice", &open("prod", &[])).expect(1);
    let table = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": TABLE }));
    assert_eq!(table["Count"], 0);
}

#[test]
fn break_glass_is_reported_on_stderr_and_in_the_log() {
    let world = provisioned();
    let run = world.run_as("alice", &open("prod", &["--log-stderr", "--json"])).expect(0);
    let id = run.json()["event"]["id"].as_str().unwrap().to_owned();
    let expected = format!("BREAK-GLASS opened by alice for prod: event {id} (incident), until ");
    assert!(run.stderr.contains(&expected) && run.stderr.contains(WHY), "{}", run.stderr);
    let line = super::decisions(&run.stderr).pop().unwrap();
    assert_eq!((&line["decision"], &line["breakglass"]["action"]), (&json!("allow"), &json!("opened")));
    assert_eq!(line["breakglass"]["justification"], WHY);
    for server in [&[][..], &["--server"]] {
        let args = [&["exec", "--profile", "prod", "--log-stderr"], server, &["--", "true"]].concat();
        let run = world.run_as("alice", &args).expect(0);
        assert!(run.stderr.contains(&format!("BREAK-GLASS used by alice for prod: event {id}")), "{}", run.stderr);
        let line = super::decisions(&run.stderr).pop().unwrap();
        assert_eq!((&line["breakglass"]["action"], &line["breakglass_id"]), (&json!("used"), &json!(id)));
    }
    let refused = world.run_as("eve", &open("prod", &["--log-stderr"])).expect(1);
    let line = super::decisions(&refused.stderr).pop().unwrap();
    assert_eq!((&line["decision"], &line["breakglass"]["action"]), (&json!("deny"), &json!("refused")));
    // An operation that cannot be logged is not performed.
    world.run_as("carol", &open("prod", &["--log-file", "no/such/folder/log"])).expect(1);
    let listed = world.json_as("carol", &["breakglass-list"]);
    assert_eq!(listed["events"], json!([]));
}

/// Returns the lines of the log of a user who opens no event.
#[track_caller]
fn refusals(world: &World, user: &str) -> Vec<(String, String, String)> {
    let run = world.run_as(user, &open("prod", &["--log-stderr"])).expect(1);
    let lines = super::decisions(&run.stderr);
    assert!(lines.iter().all(|line| line["breakglass"]["justification"] == WHY), "{lines:#?}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let words = |line: &Value| (text(&line["outcome"]), text(&line["breakglass"]["action"]), text(&line["why"]));
    lines.iter().map(words).collect()
}

#[test]
fn an_event_that_is_not_opened_is_logged_as_refused() {
    let world = provisioned();
    let refused = |why: String| (String::from("refused"), String::from("refused"), why);
    let id = opened(&world, "alice");
    let why = format!("alice already has an active break-glass event for prod: {id}");
    assert_eq!(refusals(&world, "alice"), [refused(why)]);
    // Another process writes the place record first, each time.
    world.fault(|call| {
        let message = "Transaction cancelled [ConditionalCheckFailed, None]";
        (call.operation == "TransactWriteItems").then(|| call.refusal("TransactionCanceledException", message))
    });
    let lines = refusals(&world, "bob");
    assert_eq!((lines.len(), &*lines[0].0), (2, "opened"), "{lines:?}");
    assert_eq!(lines[1], refused(String::from("another event of bob for prod was being opened")));
    world.clear_faults();
    world.fault(|call| {
        let result = "<Arn>arn:aws:iam::123456789012:user/bob</Arn><Account>123456789012</Account>";
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult>\
             </GetCallerIdentityResponse>"
        );
        let answer = Answer { status: 200, content_type: "text/xml", body: body.into_bytes() };
        (call.operation == "GetCallerIdentity").then_some(answer)
    });
    let lines = refusals(&world, "bob");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].0 == "refused" && lines[0].2.contains("no unique ID"), "{lines:?}");
}

#[test]
fn an_event_in_the_old_format_is_not_active() {
    let world = provisioned();
    let id = "0123456789abcdef";
    let mut event = event_of_alice(id);
    event["id"] = json!({ "S": id });
    event.as_object_mut().unwrap().remove("invoker_arn");
    super::put_item(&world, TABLE, &event);
    world.run_as("alice", &EXEC).expect(1);
    let check = world.run_as("alice", &["breakglass-check", id, "--json"]).expect(0);
    let shown = check.json()["event"].clone();
    assert_eq!((&shown["status"], &shown["problem"]), (&json!("invalid"), &json!("old_form")));
    let expected = "an older version of sentinel wrote this record";
    assert!(check.stderr.contains(expected) && check.stderr.contains("sentinel breakglass"), "{}", check.stderr);
    let close = world.run_as("alice", &["breakglass-close", id]).expect(1);
    assert!(close.stderr.contains(expected), "{}", close.stderr);
    let ids = |status: &str| {
        let run = world.json_as("alice", &["breakglass-list", "--status", status]);
        run["events"].as_array().unwrap().len()
    };
    assert_eq!([ids("active"), ids("invalid")], [0, 1]);
}

#[test]
fn lists_distinguish_closed_and_active_events_with_any_limit() {
    let world = provisioned();
    for number in 0..30 {
        let id = format!("{number:016x}");
        let mut event = event_of_alice(&id);
        event["created_at"] = json!({ "N": format!("{}.{number:03}", now() - 60) });
        super::put_item(&world, TABLE, &event);
        if number % 3 == 0 {
            let closure = json!({ "id": { "S": format!("closure#{id}") }, "closed_by": { "S": "bob" } });
            super::put_item(&world, TABLE, &closure);
        }
    }
    let list = |args: &[&str]| {
        let run = world.json_as("alice", &[&["breakglass-list"], args].concat());
        let numbers = run["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| u64::from_str_radix(one["id"].as_str().unwrap(), 16).unwrap());
        (numbers.collect::<Vec<_>>(), run["more"].as_bool().unwrap())
    };
    assert_eq!(list(&["--status", "closed", "--limit", "3"]), (vec![27, 24, 21], true));
    assert_eq!(list(&["--invoker", "alice", "--status", "closed", "--limit", "10"]).0.len(), 10);
    assert_eq!(list(&["--status", "closed", "--limit", "10"]), ((0..10).rev().map(|one| one * 3).collect(), false));
    assert_eq!(list(&["--status", "active", "--limit", "2"]), (vec![29, 28], true));
    assert_eq!(list(&["--profile", "prod", "--status", "active", "--all"]).0.len(), 20);
    assert_eq!(list(&["--limit", "4"]), (vec![29, 28, 27, 26], true));
}

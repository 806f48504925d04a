//! Requests: created, decided once, and listed by their indexes.

use serde_json::{Value, json};

use super::{count, now, provisioned, request, set_number};
use crate::world::{Answer, World, finish, permissions};

#[test]
fn an_approved_request_grants_access_to_its_requester() {
    let world = provisioned();
    let exec = ["exec", "--profile", "prod", "--", "true"];
    let refused = world.run_as("alice", &exec).expect(1);
    assert!(refused.stderr.contains("rule \"prod-by-approval\" requires an approved request"), "{}", refused.stderr);
    assert!(refused.stderr.contains("sentinel request --profile prod --justification"), "{}", refused.stderr);

    let before = now();
    let args = ["request", "--profile", "prod", "--justification", " Deploy the hotfix "];
    let request = world.json_as("alice", &args)["request"].clone();
    let id = request["id"].as_str().unwrap();
    assert_eq!(request["requester"], "alice");
    assert_eq!(request["justification"], "Deploy the hotfix");
    assert_eq!((&request["status"], &request["duration"]), (&json!("pending"), &json!(3600)));
    // The record matches the layout and TTL: numbers, the latter in whole seconds.
    let key = json!({ "TableName": "sentinel-requests", "Key": { "id": { "S": format!("request#{id}") } } });
    let stored = world.aws("DynamoDB_20120810.GetItem", &key)["Item"].take();
    let seconds = stored["created_at"]["N"].as_str().unwrap().split('.').next().unwrap().parse::<i64>().unwrap();
    assert!((seconds - before).abs() < 30, "{stored}");
    assert!(stored["expires_at"]["N"].as_str().unwrap().parse::<i64>().unwrap() > before, "{stored}");

    let own = world.run_as("alice", &["approve", id]).expect(1);
    assert!(own.stderr.contains("you cannot decide it"), "{}", own.stderr);
    world.run_as("alice", &["deny", id]).expect(1);
    world.run_as("alice", &exec).expect(1);

    let approved = world.json_as("bob", &["approve", id, "--comment", "go ahead"])["request"].clone();
    assert_eq!((&approved["status"], &approved["decided_by"]), (&json!("approved"), &json!("bob")));
    assert!((approved["expires_at"].as_i64().unwrap() - before - 3600).abs() < 30, "{approved}");
    world.run_as("alice", &exec).expect(0);
    // The approval applies only to this user and this profile.
    world.run_as("carol", &exec).expect(1);
    let late = world.run_as("carol", &["deny", id]).expect(1);
    assert!(late.stderr.contains(&format!("request {id} is already approved by bob")), "{}", late.stderr);
    world.run_as("alice", &["cancel", id]).expect(1);

    // An expired approval denies access, whether TTL has deleted it or not.
    set_number(&world, "sentinel-requests", &format!("decision#{id}"), "expires_at", now() - 1);
    world.run_as("alice", &exec).expect(1);
    let check = world.json_as("carol", &["check", id]);
    assert_eq!(check["request"]["status"], "expired");
    world.run_as("bob", &["approve", id]).expect(1);
}

#[test]
fn a_denied_or_canceled_request_grants_nothing() {
    let world = provisioned();
    let (one, other, third) =
        (request(&world, "alice", "prod"), request(&world, "alice", "prod"), request(&world, "alice", "prod"));
    let denied = world.json_as("bob", &["deny", &one, "--comment", "not today"]);
    assert_eq!((&denied["request"]["status"], &denied["request"]["comment"]), (&json!("denied"), &json!("not today")));
    let not_hers = world.run_as("bob", &["cancel", &other]).expect(1);
    assert!(not_hers.stderr.contains("only they can cancel it"), "{}", not_hers.stderr);
    world.run_as("alice", &["cancel", &other]).expect(0);
    world.run_as("bob", &["approve", &other]).expect(1);
    // An expired request cannot be decided.
    set_number(&world, "sentinel-requests", &format!("request#{third}"), "expires_at", now() - 1);
    let late = world.run_as("bob", &["approve", &third]).expect(1);
    assert!(late.stderr.contains("is already expired"), "{}", late.stderr);
    world.run_as("alice", &["exec", "--profile", "prod", "--", "true"]).expect(1);
    world.run_as("alice", &["check", "0000000000000000"]).expect(1);
}

#[test]
fn an_unknown_request_is_reported_with_the_list_of_those_to_decide() {
    let world = provisioned();
    for (command, list) in [
        ("approve", "to list the pending requests: sentinel list --status pending --region us-east-1"),
        ("deny", "to list the pending requests: sentinel list --status pending --region us-east-1"),
        ("revoke", "to list the approved requests: sentinel list --status approved --region us-east-1"),
        ("cancel", "to list yours: sentinel list --region us-east-1"),
    ] {
        let args = [command, "0000000000000000"];
        let run = world.run_as("bob", &args).expect(1);
        assert!(run.stderr.contains(list), "{}", run.stderr);
    }
}

/// The JSON document keeps the time.
#[test]
fn a_list_has_no_expiry_for_a_request_in_a_final_state() {
    let world = provisioned();
    let ids = ["alice", "alice", "alice", "alice"].map(|user| request(&world, user, "prod"));
    world.run_as("bob", &["deny", &ids[0]]).expect(0);
    world.run_as("alice", &["cancel", &ids[1]]).expect(0);
    world.run_as("bob", &["approve", &ids[2]]).expect(0);
    world.run_as("bob", &["revoke", &ids[2]]).expect(0);
    let list = world.run_as("alice", &["list"]).expect(0).stdout;
    for (id, lasts) in ids.iter().zip([false, false, false, true]) {
        let line = list.lines().find(|line| line.contains(id.as_str())).unwrap();
        assert_eq!((line.contains(" in "), line.contains(" - ")), (lasts, !lasts), "{line}");
    }
    let all = world.json_as("alice", &["list"]);
    assert!(all["requests"].as_array().unwrap().iter().all(|one| one["expires_at"].is_i64()), "{all}");
}

#[test]
fn request_arguments_are_limited() {
    let world = World::new();
    let base = ["request", "--profile", "prod", "--justification"];
    let long = "x".repeat(501);
    for (extra, expected) in [
        (vec!["too short"], "10 to 500 characters, and this has 9"),
        (vec!["         x         "], "10 to 500 characters, and this has 1"),
        (vec![long.as_str()], "and this has 501"),
        (vec!["long enough a text", "--duration", "9h"], "it can be 1m to 8h"),
        (vec!["long enough a text", "--duration", "0s"], "it can be 1m to 8h"),
        (vec!["long enough a text", "--request-table", "a b"], "table"),
    ] {
        let run = world.run_as("alice", &[&base[..], &extra].concat()).expect(1);
        assert!(run.stderr.contains(expected), "{extra:?}: {}", run.stderr);
    }
    assert!(world.calls().is_empty(), "nothing was asked of AWS");
}

#[test]
fn of_fifty_concurrent_decisions_only_one_succeeds() {
    let world = provisioned();
    let id = request(&world, "alice", "prod");
    // All processes have read the pending request before the first may decide, so their earlier read must not matter.
    let mut seen = 0;
    world.fault(move |call| {
        seen += usize::from(call.operation == "GetItem" && call.body.to_string().contains("request#"));
        let early = ["PutItem", "TransactWriteItems"].contains(&call.operation.as_str()) && seen < 50;
        early.then(|| Answer::error(400, "ThrottlingException", "not before all have looked"))
    });
    let answer = |number: usize| {
        let command = if number.is_multiple_of(2) { "approve" } else { "deny" };
        world.command_as(&format!("approver{number}"), &[command, &id]).spawn().unwrap()
    };
    let children: Vec<_> = (0..50).map(answer).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((count(&runs, 0), count(&runs, 1)), (1, 49), "{runs:#?}");
    let winner = runs.iter().position(|run| run.code == 0).unwrap();
    let stored = world.json_as("carol", &["check", &id])["request"].clone();
    assert_eq!(stored["decided_by"], format!("approver{winner}"));
    assert_eq!(stored["status"], if winner.is_multiple_of(2) { "approved" } else { "denied" });
    for run in runs.iter().filter(|run| run.code == 1) {
        assert!(run.stderr.contains(&format!("by approver{winner}")), "{}", run.stderr);
    }
}

#[test]
fn a_decision_with_a_lost_response_is_recognized() {
    let world = provisioned();
    let losing = |operation, run: &dyn Fn() -> Value| {
        for _ in 0..4 {
            world.lose(operation);
        }
        run()
    };
    let id = losing("PutItem", &|| {
        let args = ["request", "--profile", "prod", "--justification", "Deploy the hotfix"];
        world.json_as("alice", &args)["request"]["id"].clone()
    });
    let id = id.as_str().unwrap();
    let status = losing("TransactWriteItems", &|| world.json_as("bob", &["approve", id])["request"]["status"].clone());
    assert_eq!(status, "approved");
    let all = world.json_as("alice", &["list"]);
    assert_eq!(all["requests"].as_array().unwrap().len(), 1, "{all}");
}

/// Scripts get JSON with `--json` only, as they do from `plan`.
#[test]
fn piped_records_are_text_without_json() {
    let world = provisioned();
    let asked = world.run_as("alice", &["request", "--profile", "prod", "--justification", "Deploy the hotfix"]);
    let asked = asked.expect(0).stdout;
    assert!(asked.starts_with("Request ") && asked.contains("Someone else can approve it with: "), "{asked}");
    let list = world.run_as("alice", &["list"]).expect(0).stdout;
    assert!(list.contains("  ID ") && list.contains("Deploy the hotfix"), "{list}");
    assert_eq!(
        world.run_as("alice", &["breakglass-list"]).expect(0).stdout,
        "Break-glass events by alice (sentinel-breakglass), newest first\n\n  none\n"
    );
    assert_eq!(
        world.run_as("alice", &["locks", "--profile", "dev"]).expect(0).stdout,
        "Nobody is locked out of dev (sentinel-requests).\n"
    );
}

#[test]
fn lists_go_through_the_index_newest_first() {
    let world = provisioned();
    let ids: Vec<String> = [("alice", "prod"), ("bob", "prod"), ("alice", "dev")]
        .map(|(user, profile)| request(&world, user, profile))
        .into();
    world.run_as("carol", &["approve", &ids[0]]).expect(0);
    set_number(&world, "sentinel-requests", &format!("request#{}", ids[1]), "expires_at", now() - 1);
    let listed = |user: &str, args: &[&str]| -> Vec<usize> {
        world.calls();
        let all = world.json_as(user, &[&["list"], args].concat());
        let queries = world.calls().into_iter().filter(|call| call.operation != "GetCallerIdentity");
        let found = |operation: &str| ["Query", "TransactGetItems"].contains(&operation);
        assert!(queries.into_iter().all(|call| found(&call.operation)), "{args:?}");
        all["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| ids.iter().position(|id| one["id"] == json!(id)).unwrap())
            .collect()
    };
    assert_eq!(listed("alice", &[]), [2, 0]);
    assert_eq!(listed("carol", &[]), [0usize; 0]);
    assert_eq!(listed("carol", &["--requester", "bob"]), [1]);
    assert_eq!(listed("carol", &["--profile", "prod"]), [1, 0]);
    assert_eq!(listed("carol", &["--status", "pending"]), [2]);
    assert_eq!(listed("carol", &["--status", "approved"]), [0]);
    assert_eq!(listed("carol", &["--status", "expired"]), [1]);
    assert_eq!(listed("carol", &["--status", "denied"]), [0usize; 0]);
    assert_eq!(listed("carol", &["--requester", "alice", "--profile", "prod", "--status", "approved"]), [0]);
    assert_eq!(listed("carol", &["--requester", "bob", "--status", "expired"]), [1]);
    assert_eq!(listed("carol", &["--profile", "prod", "--limit", "1"]), [1]);
}

#[test]
fn ten_thousand_requests_are_listed_by_status_in_pages() {
    let world = provisioned();
    let put = |number: usize| {
        let text = |text: &str| json!({ "S": text });
        let at = |value: i64| json!({ "N": value.to_string() });
        json!({ "PutRequest": { "Item": {
            "id": text(&format!("request#{number:016x}")),
            "requester": text(&format!("user{}", number % 100)),
            "requester_arn": text(&format!("arn:aws:iam::123456789012:user/user{}", number % 100)),
            "profile": text("prod"),
            "justification": text(&"Because of what is going on in production right now. ".repeat(4)),
            "status": text("pending"),
            "duration": at(3600),
            "created_at": at(now() - 20_000 + i64::try_from(number).unwrap()),
            "expires_at": at(now() + 3600),
        } } })
    };
    for start in (0..10_000).step_by(25) {
        let items: Vec<Value> = (start..start + 25).map(put).collect();
        world.aws("DynamoDB_20120810.BatchWriteItem", &json!({ "RequestItems": { "sentinel-requests": items } }));
    }
    let ids = |run: &Value| -> Vec<String> {
        run["requests"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let newest =
        |count: usize| -> Vec<String> { (0..10_000).rev().take(count).map(|at| format!("{at:016x}")).collect() };
    world.calls();

    // The output says that there are more than the first hundred.
    let some = world.json_as("bob", &["list", "--status", "pending"]);
    assert_eq!(ids(&some), newest(100));
    assert_eq!(some["more"], true);
    // One page of the index, and the records of 101 requests, 33 in each call.
    let calls: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(calls[0], "Query");
    if crate::world::moto().is_some() {
        return; // moto accepts 25 in a call, so each of ten thousand records is read separately
    }
    assert_eq!(calls[1..], ["TransactGetItems"; 4]);

    let all = world.json_as("bob", &["list", "--status", "pending", "--all"]);
    assert_eq!(ids(&all), newest(10_000));
    assert_eq!(all["more"], false);
    let calls: Vec<_> = world.calls().into_iter().filter(|call| call.operation == "Query").collect();
    assert!(calls.len() > 1, "{}", calls.len());
    assert!(calls[1..].iter().all(|call| !call.body["ExclusiveStartKey"].is_null()));

    let of_one = world.json_as("bob", &["list", "--requester", "user7", "--limit", "3"]);
    assert_eq!(ids(&of_one), [9907, 9807, 9707].map(|at| format!("{at:016x}")));
    let calls = world.calls();
    assert_eq!((calls.len(), &calls[0].body["Limit"]), (2, &json!(12)));
}

#[test]
fn the_table_name_comes_from_flag_environment_or_manifest() {
    let world = World::quick();
    for table in ["by-flag", "by-variable", "by-manifest", "sentinel-requests"] {
        world.run(&["init", "approvals", "--table", table, "--yes"]).expect(0);
    }
    world.write("sentinel.toml", "[tables.approvals]\nname = \"by-manifest\"\n").write("deep/down/x", "");
    world.write("elsewhere/sentinel.toml", "[profiles.dev]\n");
    let table = |args: &[&str], variable: Option<&str>, folder: &str| {
        let mut command = world.command_as("alice", &[&["list", "--json"], args].concat());
        command.current_dir(world.folder.path().join(folder));
        command.envs(variable.map(|name| ("SENTINEL_REQUEST_TABLE", name)));
        finish(command.spawn().unwrap()).expect(0).json()["table"].clone()
    };
    assert_eq!(table(&["--request-table", "by-flag"], Some("by-variable"), "deep/down"), "by-flag");
    assert_eq!(table(&[], Some("by-variable"), "deep/down"), "by-variable");
    assert_eq!(table(&[], None, "deep/down"), "by-manifest");
    assert_eq!(table(&[], None, "."), "by-manifest");
    // The nearest manifest applies, and one without the table uses the default name.
    assert_eq!(table(&[], None, "elsewhere"), "sentinel-requests");
}

#[test]
fn a_missing_table_is_reported_with_the_command_that_creates_it() {
    let world = World::new();
    let args = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--request-table", "acme"];
    let run = world.run_as("alice", &args).expect(1);
    assert!(run.stderr.contains("there is no table acme (from --request-table) in us-east-1"), "{}", run.stderr);
    let create = "sentinel init approvals --table acme --region us-east-1";
    assert!(run.stderr.contains(&format!("create it with: {create}\n")), "{}", run.stderr);
    let words: Vec<&str> = create.split(' ').skip(1).chain(["--yes"]).collect();
    world.run(&words).expect(0);
    world.run_as("alice", &args).expect(0);
    // The same for each of the others.
    let run = world.run_as("alice", &["breakglass-list"]).expect(1);
    assert!(run.stderr.contains("sentinel init breakglass --region us-east-1"), "{}", run.stderr);
    let run = world.run_as("alice", &["server-sessions"]).expect(1);
    assert!(run.stderr.contains("sentinel init sessions --region us-east-1"), "{}", run.stderr);
}

#[test]
fn runtime_permissions_match_the_calls() {
    let world = provisioned();
    let manifest = "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n[profiles.dev]\n[profiles.prod]\n\
                    [profiles.served]\n[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n";
    world.write("iam.toml", manifest);
    let document = world.run(&["iam", "-f", "iam.toml", "--for", "runtime", "--json"]).expect(0).json();
    let roles = document["roles"].as_object().unwrap().values();
    let documents: Vec<_> = roles.flat_map(|documents| documents.as_array().unwrap()).cloned().collect();
    let derived = super::super::iam::allowed(&documents);
    world.calls();

    let id = request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    world.run_as("alice", &["check", &id]).expect(0);
    for args in [vec!["--status", "approved"], vec!["--profile", "prod"], vec![]] {
        world.run_as("alice", &[vec!["list"], args.clone()].concat()).expect(0);
        world
            .run_as(
                "alice",
                &[
                    vec!["breakglass-list"],
                    args.into_iter().map(|arg| if arg == "approved" { "closed" } else { arg }).collect(),
                ]
                .concat(),
            )
            .expect(0);
    }
    for profile in ["dev", "prod"] {
        world.run_as("alice", &["exec", "--profile", profile, "--", "true"]).expect(0);
    }
    let why = "The database is down, again";
    let open = ["breakglass", "--profile", "prod", "--reason-code", "incident", "--justification", why];
    let event = world.json_as("alice", &open)["event"]["id"].clone();
    world.run_as("alice", &["breakglass-close", event.as_str().unwrap()]).expect(0);
    world.run_as("alice", &["exec", "--server", "--profile", "served", "--", "true"]).expect(0);
    for args in [vec!["--status", "ended"], vec!["--server-instance", "x"], vec![]] {
        world.run_as("alice", &[vec!["server-sessions"], args].concat()).expect(0);
    }
    world.run_as("alice", &["shell", "init"]).expect(0);

    let called = permissions(&world.calls());
    // An index is allowed by the table's `/index/*`.
    let by = |resource: &str| resource.split_once("/index/").map(|(table, _)| format!("{table}/index/*"));
    let called: std::collections::BTreeSet<(String, String)> =
        called.into_iter().map(|(action, resource)| (action, by(&resource).unwrap_or(resource))).collect();
    let missing: Vec<_> = called.difference(&derived).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // A statement allows all its actions on all its resources, so the pairs are not compared individually.
    let parts = |set: &std::collections::BTreeSet<(String, String)>, part: fn(&(String, String)) -> String| {
        set.iter().map(part).collect::<std::collections::BTreeSet<String>>()
    };
    let actions = |(action, _): &(String, String)| action.clone();
    assert_eq!(parts(&derived, actions), parts(&called, actions));
    let resources = |(_, resource): &(String, String)| resource.trim_end_matches("/policies/*").to_owned();
    let (derived, called) = (parts(&derived, resources), parts(&called, resources));
    let extra: Vec<_> = derived.difference(&called).filter(|one| !one.ends_with("parameter/sentinel")).collect();
    assert!(extra.is_empty(), "{extra:#?}");
}

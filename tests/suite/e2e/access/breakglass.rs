//! Break-glass events: one at a time, and they stand for an approval.

use serde_json::json;

use super::{count, now, provisioned, set_number};
use crate::world::{World, finish};

const WHY: &str = "The database is down, and nobody who could approve is awake";

fn open<'a>(profile: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let base = ["breakglass", "--profile", profile, "--reason-code", "incident", "--justification", WHY];
    [&base[..], more].concat()
}

#[test]
fn an_event_stands_for_an_approval_until_it_is_closed() {
    let world = provisioned();
    let exec = ["exec", "--profile", "prod", "--log-stderr", "--", "true"];
    world.run_as("alice", &exec).expect(1);
    let event = world.run_as("alice", &open("prod", &["--duration", "2h"])).expect(0).json()["event"].clone();
    let id = event["id"].as_str().unwrap();
    assert_eq!((&event["invoker"], &event["status"]), (&json!("alice"), &json!("active")));
    assert!((event["expires_at"].as_i64().unwrap() - now() - 7200).abs() < 30, "{event}");
    let run = world.run_as("alice", &exec).expect(0);
    let decision = super::decisions(&run.stderr).pop().unwrap();
    assert_eq!(decision["breakglass_id"], id);
    assert_eq!(decision["source_identity"], format!("alice={id}"));
    // Nobody else gets in by it, and no other profile opens.
    world.run_as("bob", &exec).expect(1);

    let second = world.run_as("alice", &open("prod", &[])).expect(1);
    assert!(
        second.stderr.contains(&format!("alice has an active break-glass event for prod already: {id}")),
        "{}",
        second.stderr
    );
    // One for each user and each profile.
    world.run_as("bob", &open("prod", &[])).expect(0);
    world.run_as("alice", &open("served", &[])).expect(0);

    let closed = world.run_as("bob", &["breakglass-close", id, "--reason", "it is up again"]).expect(0).json();
    assert_eq!((&closed["event"]["status"], &closed["event"]["closed_by"]), (&json!("closed"), &json!("bob")));
    world.run_as("alice", &exec).expect(1);
    let again = world.run_as("carol", &["breakglass-close", id]).expect(1);
    assert!(again.stderr.contains("is closed by bob already"), "{}", again.stderr);
    // Its place is free.
    world.run_as("alice", &open("prod", &[])).expect(0);
    world.run_as("alice", &exec).expect(0);
}

#[test]
fn an_event_that_has_run_out_lets_nobody_in_and_makes_room() {
    let world = provisioned();
    let id = world.run_as("alice", &open("prod", &[])).expect(0).json()["event"]["id"].as_str().unwrap().to_owned();
    // Both records, as time would have it.
    let table = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": "sentinel-breakglass" }));
    for item in table["Items"].as_array().unwrap() {
        set_number(&world, "sentinel-breakglass", item["id"]["S"].as_str().unwrap(), "expires_at", now() - 1);
    }
    world.run_as("alice", &["exec", "--profile", "prod", "--", "true"]).expect(1);
    let check = world.run_as("alice", &["breakglass-check", &id]).expect(0).json();
    assert_eq!(check["event"]["status"], "expired");
    let close = world.run_as("alice", &["breakglass-close", &id]).expect(1);
    assert!(close.stderr.contains("is expired already"), "{}", close.stderr);
    let next = world.run_as("alice", &open("prod", &[])).expect(0).json()["event"]["id"].as_str().unwrap().to_owned();
    let ids = |args: &[&str]| -> Vec<String> {
        let run = world.run_as("carol", &[&["breakglass-list"], args].concat()).expect(0).json();
        run["events"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--invoker", "alice"]), [next.clone(), id.clone()]);
    assert_eq!(ids(&["--profile", "prod"]), [next.clone(), id.clone()]);
    assert_eq!(ids(&["--status", "active"]), [next]);
    assert_eq!(ids(&["--status", "expired"]), [id]);
    assert!(ids(&["--status", "closed"]).is_empty() && ids(&[]).is_empty());
}

#[test]
fn of_many_who_open_one_at_once_one_does() {
    let world = provisioned();
    let children: Vec<_> = (0..20).map(|_| world.command_as("alice", &open("prod", &[])).spawn().unwrap()).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((count(&runs, 0), count(&runs, 1)), (1, 19), "{runs:#?}");
    let active = world.run_as("bob", &["breakglass-list", "--status", "active"]).expect(0).json();
    assert_eq!(active["events"].as_array().unwrap().len(), 1);
}

#[test]
fn an_answer_that_was_lost_is_no_second_event() {
    let world = provisioned();
    for _ in 0..4 {
        world.lose("TransactWriteItems");
    }
    let id = world.run_as("alice", &open("prod", &[])).expect(0).json()["event"]["id"].as_str().unwrap().to_owned();
    for _ in 0..4 {
        world.lose("TransactWriteItems");
    }
    world.run_as("bob", &["breakglass-close", &id]).expect(0);
}

#[test]
fn an_emergency_has_its_limits() {
    let world = World::new();
    for (args, said) in [
        (vec!["--reason-code", "incident", "--justification", "too short for this"], "20 to 1000 characters"),
        (vec!["--reason-code", "fun", "--justification", WHY], "invalid value 'fun'"),
        (vec!["--reason-code", "other", "--justification", WHY, "--duration", "5h"], "it can be 1m to 4h"),
        (vec!["--justification", WHY], "--reason-code"),
    ] {
        let run = world.run_as("alice", &[vec!["breakglass", "--profile", "prod"], args].concat()).expect(1);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert!(world.calls().is_empty());
}

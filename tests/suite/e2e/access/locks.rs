//! Locks: the gate checks them before everything else.

use serde_json::{Value, json};

use super::{approve, decisions, now, provisioned, put_record, record, request};
use crate::world::{Answer, World};

const EXEC: [&str; 5] = ["exec", "--profile", "dev", "--", "true"];

#[track_caller]
fn lock(world: &World, user: &str, profile: &str) -> Value {
    let args = ["lock", user, "--profile", profile, "--reason", "left the company"];
    world.json_as("bob", &args)["lock"].clone()
}

#[test]
fn a_lock_denies_access_until_someone_else_ends_it() {
    let world = provisioned();
    world.run_as("alice", &EXEC).expect(0);
    let locked = lock(&world, "ALICE", "dev");
    assert_eq!((&locked["user"], &locked["locked_by"]), (&json!("ALICE"), &json!("bob")));
    let run = world.run_as("alice", &["exec", "--profile", "dev", "--log-stderr", "--", "touch", "ran"]).expect(1);
    assert!(run.stderr.contains("alice is locked out of dev by bob since "), "{}", run.stderr);
    assert!(run.stderr.contains(": left the company"), "{}", run.stderr);
    assert!(run.stderr.contains("sentinel unlock ALICE --profile dev"), "{}", run.stderr);
    let decision = decisions(&run.stderr).pop().unwrap();
    assert_eq!((&decision["decision"], &decision["rule"]), (&json!("deny"), &json!(null)));
    let run = world.run_as("alice", &["credentials", "--profile", "dev"]).expect(1);
    assert_eq!(run.stdout, "");
    assert!(!world.folder.path().join("ran").exists());
    // Other users and other profiles are not locked.
    lock(&world, "alice", "prod");
    let id = request(&world, "carol", "prod");
    approve(&world, "bob", &id);
    world.run_as("carol", &["exec", "--profile", "prod", "--", "true"]).expect(0);

    let own = world.run_as("alice", &["unlock", "alice", "--profile", "dev"]).expect(1);
    assert!(own.stderr.contains("nobody unlocks themselves"), "{}", own.stderr);
    let twice = world.run_as("carol", &["lock", "alice", "--profile", "dev"]).expect(1);
    assert!(twice.stderr.contains("is locked out of dev by bob since"), "{}", twice.stderr);
    let unlocked = world.json_as("carol", &["unlock", "alice", "--profile", "dev"]);
    assert_eq!(unlocked["lock"]["unlocked_by"], "carol");
    world.run_as("alice", &EXEC).expect(0);
    world.run_as("carol", &["unlock", "alice", "--profile", "dev"]).expect(1);
    // An ended lock is still listed, and the user can be locked again.
    let listed = world.json_as("alice", &["locks", "--profile", "dev"]);
    assert_eq!(listed["locks"][0]["unlocked_by"], "carol");
    lock(&world, "alice", "dev");
    world.run_as("alice", &EXEC).expect(1);
    // A lock has no expiry, so TTL does not delete it.
    assert_eq!(record(&world, "lock#dev")["expires_at"], Value::Null);
}

/// A misspelled profile must not look like a lock of the intended one.
#[test]
fn a_lock_of_a_profile_without_a_policy_is_written_with_a_warning() {
    let world = provisioned();
    world.write("sentinel.toml", "[profiles.dev]\npolicy = \"there/policy.yaml\"\n");
    let run = world.run_as("bob", &["lock", "alice", "--profile", "devv"]).expect(0);
    let warning = "Warning: the profile devv has no policy in us-east-1, and the lock applies to no other profile; did you mean dev?\n";
    assert_eq!(run.stderr, warning);
    assert_eq!(record(&world, "lock#devv")["id"]["S"], "lock#devv");
    let run = world.run_as("bob", &["locks", "--profile", "devv"]).expect(0);
    assert_eq!(run.stderr, "Warning: the profile devv has no policy in us-east-1; did you mean dev?\n");
    for args in [vec!["lock", "alice", "--profile", "dev"], vec!["locks", "--profile", "dev"]] {
        assert_eq!(world.run_as("bob", &args).expect(0).stderr, "");
    }
    // Operators may lack the permission to read policies. The manifest still has the names.
    world.fault(|call| {
        (call.operation.starts_with("GetParameter"))
            .then(|| Answer::error(400, "AccessDeniedException", "not authorized"))
    });
    let run = world.run_as("bob", &["locks", "--profile", "devv"]).expect(0);
    assert_eq!(run.stderr, "Warning: the manifest has no profile devv; did you mean dev?\n");
    assert_eq!(world.run_as("bob", &["locks", "--profile", "dev"]).expect(0).stderr, "");
    world.write("sentinel.toml", "");
    let run = world.run_as("bob", &["lock", "alice", "--profile", "prodd"]).expect(0);
    assert!(run.stderr.starts_with("Warning: the policy of the profile prodd cannot be read: "), "{}", run.stderr);
}

#[test]
fn a_lock_overrides_approvals_and_break_glass() {
    let world = provisioned();
    let id = request(&world, "alice", "prod");
    approve(&world, "bob", &id);
    let exec = ["exec", "--profile", "prod", "--", "true"];
    world.run_as("alice", &exec).expect(0);
    lock(&world, "arn:aws:iam::123456789012:user/alice", "prod");
    let run = world.run_as("alice", &exec).expect(1);
    assert!(run.stderr.contains("alice is locked out of prod"), "{}", run.stderr);
    let why = "The database is down, and nobody is awake";
    let open = ["breakglass", "--profile", "prod", "--reason-code", "incident", "--justification", why];
    let run = world.run_as("alice", &open).expect(1);
    assert!(run.stderr.contains("alice is locked out of prod"), "{}", run.stderr);
    world.run_as("carol", &open).expect(0);
}

#[test]
fn a_server_session_ends_with_a_lock() {
    let world = provisioned();
    let fetch = "curl -s -o out -w '%{http_code}' -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\" \
                 $AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let script = format!("{fetch}; touch fetched; while [ ! -e locked ]; do sleep 0.05; done; {fetch}; cat out");
    let args = ["exec", "--server", "--profile", "served", "--", "sh", "-c", &script];
    let child = world.command_as("alice", &args).spawn().unwrap();
    super::wait_for("a fetch", || world.folder.path().join("fetched").exists());
    lock(&world, "alice", "served");
    world.write("locked", "");
    let run = crate::world::finish(child).expect(0);
    assert!(run.stdout.starts_with("200403"), "{}", run.stdout);
    assert!(run.stdout.contains("alice is locked out of served by bob"), "{}", run.stdout);
}

#[test]
fn users_cannot_lock_or_unlock_themselves() {
    let world = provisioned();
    for own in ["bob", "Bob", "arn:aws:iam::123456789012:user/bob", "arn:aws:sts::123456789012:assumed-role/x/bob"] {
        for command in ["lock", "unlock"] {
            let run = world.run_as("bob", &[command, own, "--profile", "dev"]).expect(1);
            assert!(run.stderr.contains(&format!("nobody {command}s themselves")), "{}", run.stderr);
        }
    }
    // An end that a locked user wrote into the record does not count, nor does one without a signature.
    lock(&world, "alice", "dev");
    let stored = record(&world, "lock#dev");
    let locks: Value = serde_json::from_str(stored["locks"]["S"].as_str().unwrap()).unwrap();
    for (by, arn) in [
        (json!("Alice"), json!("arn:aws:sts::123456789012:assumed-role/x/Alice")),
        (json!(null), json!("arn:aws:iam::123456789012:user/bob")),
        (json!("bob"), json!(null)),
        (json!(""), json!("")),
    ] {
        let mut forged = locks.clone();
        forged[0]["unlocked_by"] = by;
        forged[0]["unlocked_by_arn"] = arn;
        forged[0]["unlocked_at"] = json!(now());
        let mut item = stored.clone();
        item["locks"] = json!({ "S": forged.to_string() });
        put_record(&world, &item);
        world.run_as("alice", &EXEC).expect(1);
    }
}

#[test]
fn an_invalid_lock_denies_access() {
    let world = provisioned();
    for locks in [json!({ "S": "x" }), json!({ "S": "[{}]" }), json!({ "N": "1" })] {
        put_record(&world, &json!({ "id": { "S": "lock#dev" }, "locks": locks }));
        let run = world.run_as("alice", &EXEC).expect(1);
        assert!(run.stderr.contains("the record of the locks of dev"), "{}", run.stderr);
        world.run_as("bob", &["lock", "alice", "--profile", "dev"]).expect(1);
    }
}

#[test]
fn locks_are_read_concurrently_with_other_records() {
    let world = provisioned();
    world.run_as("alice", &EXEC).expect(0);
    let mut operations: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    operations.sort();
    // The permanent keys in the environment are exchanged before they are released.
    assert_eq!(operations, ["GetCallerIdentity", "GetItem", "GetParameters", "GetSessionToken"]);
}

#[test]
fn unreadable_locks_deny_access() {
    let world = provisioned();
    world.fail("GetItem", "AccessDeniedException", "lock#");
    let run = world.run_as("alice", &EXEC).expect(1);
    let why = "alice gets no credentials for dev: the locks of dev cannot be read from the table sentinel-requests, and \
               without them access is denied\n";
    assert!(run.stderr.contains(why), "{}", run.stderr);
    let ask = "ask for dynamodb:GetItem; sentinel iam --for requester prints all required permissions\n";
    assert!(run.stderr.ends_with(ask), "{}", run.stderr);
    // A manifest without an address of its broker.
    world.write("sentinel.toml", "[broker]\naccounts = [\"123456789012\"]\n");
    let run = world.run_as("alice", &EXEC).expect(1);
    assert!(run.stderr.contains("hint: the manifest has [broker]: "), "{}", run.stderr);
    world.clear_faults();
    world.fail("GetItem", "InternalServerError", "lock#");
    world.run_as("alice", &EXEC).expect(1);
}

#[test]
fn naming_another_table_does_not_bypass_a_lock() {
    let world = provisioned();
    lock(&world, "alice", "dev");
    let exec = |extra: &[&str]| world.run_as("alice", &[&EXEC[..3], extra, &EXEC[3..]].concat());
    // Neither a table without locks, nor a missing table helps.
    let run = exec(&["--request-table", "sentinel-breakglass"]).expect(1);
    assert!(run.stderr.contains("alice is locked out of dev"), "{}", run.stderr);
    let run = exec(&["--request-table", "no-such-table"]).expect(1);
    assert!(run.stderr.contains("there is no table no-such-table (from --request-table)"), "{}", run.stderr);
    // Another manifest does not help either.
    world.write("sentinel.toml", "[tables.approvals]\nname = \"sentinel-sessions\"\n");
    let run = exec(&[]).expect(1);
    assert!(run.stderr.contains("alice is locked out of dev"), "{}", run.stderr);
    let run = exec(&["--request-table", "sentinel-breakglass"]).expect(1);
    assert!(run.stderr.contains("alice is locked out of dev"), "{}", run.stderr);
    // A user who is not locked has access through either.
    world.run_as("bob", &["unlock", "alice", "--profile", "dev", "--request-table", "sentinel-requests"]).expect(0);
    exec(&[]).expect(0);
    exec(&["--request-table", "sentinel-breakglass"]).expect(0);
    exec(&["--request-table", "no-such-table"]).expect(1);
}

#[test]
fn a_lock_requires_a_table() {
    let world = World::quick();
    world.write("policy.yaml", super::POLICY).write("sentinel.toml", "[profiles.dev]\npolicy = \"policy.yaml\"\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.run_as("alice", &EXEC).expect(0);
}

#[test]
fn concurrent_lock_changes_are_all_kept() {
    let world = provisioned();
    let user = |number: usize| format!("user{number}");
    let children: Vec<_> = (0..6)
        .map(|number| world.command_as("bob", &["lock", &user(number), "--profile", "dev"]).spawn().unwrap())
        .collect();
    for child in children {
        crate::world::finish(child).expect(0);
    }
    let listed = world.json_as("bob", &["locks", "--profile", "dev"]);
    assert_eq!(listed["locks"].as_array().unwrap().len(), 6, "{listed}");
    for _ in 0..4 {
        world.lose("PutItem");
    }
    world.run_as("bob", &["lock", "alice", "--profile", "dev"]).expect(0);
    world.run_as("alice", &EXEC).expect(1);
}

//! Credential servers: a child process fetches credentials until access ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};

use serde_json::{Value, json};

use super::{decisions, provisioned, put_policy, wait_for};
use crate::world::{World, finish};

/// A session whose command waits for the end of its input.
struct Served {
    child: Child,
    id: String,
    url: String,
    token: String,
}

impl Served {
    /// Starts a session. Its command prints its environment, and ends with exit code 7 when its input is closed.
    fn start(world: &World, user: &str, args: &[&str]) -> Self {
        let script = "echo $SENTINEL_SESSION_ID; echo $AWS_CONTAINER_CREDENTIALS_FULL_URI; \
                      echo $AWS_CONTAINER_AUTHORIZATION_TOKEN; cat; exit 7";
        let args = [&["exec", "--server"], args, &["--", "sh", "-c", script]].concat();
        let mut command = world.command_as(user, &args);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let mut next = || lines.next().and_then(Result::ok).unwrap_or_default();
        let (id, url, token) = (next(), next(), next());
        Self { child, id, url, token }
    }

    /// Fetches credentials like an SDK.
    fn fetch(&self) -> (u16, Value) {
        self.get("GET", "/credentials", &self.token)
    }

    fn get(&self, method: &str, path: &str, token: &str) -> (u16, Value) {
        let host = self.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn end(mut self) -> i32 {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn a_revoked_session_loses_access_at_the_next_fetch() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served", "--log-file", "log.jsonl"]);
    assert!(served.url.starts_with("http://127.0.0.1:"), "{}", served.url);
    let (status, credentials) = served.fetch();
    assert_eq!(status, 200, "{credentials}");
    assert!(super::is_session_of_alice(credentials["AccessKeyId"].as_str().unwrap()), "{credentials}");
    assert!(credentials["Expiration"].is_string() && credentials["Token"].is_string(), "{credentials}");
    let session = world.json_as("bob", &["server-session", &served.id])["session"].clone();
    assert_eq!((&session["user"], &session["profile"]), (&json!("alice"), &json!("served")));
    assert_eq!(
        (&session["status"], &session["source_identity"]),
        (&json!("active"), &json!(format!("alice={}", served.id)))
    );

    // The response is lost, and the output for bob still says that he revoked it.
    for _ in 0..4 {
        world.lose("PutItem");
    }
    let revoked = world.json_as("bob", &["server-revoke", &served.id, "--reason", "laptop stolen"]);
    assert_eq!((&revoked["session"]["status"], &revoked["session"]["revoked_by"]), (&json!("revoked"), &json!("bob")));
    let (status, refused) = served.fetch();
    assert_eq!(status, 403);
    let why = format!("session {} is revoked by bob: laptop stolen", served.id);
    assert_eq!(refused["message"], why);
    let again = world.run_as("carol", &["server-revoke", &served.id, "--reason", "again"]).expect(1);
    assert!(again.stderr.contains("is already revoked by bob"), "{}", again.stderr);
    let id = served.id.clone();
    assert_eq!(served.end(), 7);
    // The revocation is shown even after the command has ended.
    assert_eq!(world.json_as("bob", &["server-session", &id])["session"]["status"], "revoked");
    let log = std::fs::read_to_string(world.folder.path().join("log.jsonl")).unwrap();
    let lines = decisions(&log);
    let decisions: Vec<&Value> = lines.iter().map(|line| &line["decision"]).collect();
    assert_eq!(decisions, ["allow", "allow", "deny"]);
    assert_eq!(lines[2]["why"], why);
    assert!(lines.iter().all(|line| line["session_id"] == json!(id) && line["mode"] == "server"));
}

#[test]
fn the_policy_is_evaluated_at_every_fetch() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    assert_eq!(served.fetch().0, 200);
    let closed = "version: \"1\"\nrules:\n  - { name: closed, effect: deny, reason: Maintenance }\n";
    put_policy(&world, "served", closed);
    let (status, refused) = served.fetch();
    assert_eq!((status, &refused["message"]), (403, &json!("rule \"closed\" denies the access")));
    put_policy(&world, "served", super::POLICY);
    assert_eq!(served.fetch().0, 200);
    // A failed read denies access temporarily, not permanently.
    world.fail("UpdateItem", "AccessDeniedException", "sentinel-sessions");
    assert_eq!(served.fetch().0, 503);
    world.clear_faults();
    assert_eq!(served.fetch().0, 200);
    assert_eq!(served.end(), 7);
}

#[test]
fn an_expired_approval_ends_the_server() {
    let world = provisioned();
    let id = super::request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    let served = Served::start(&world, "alice", &["--profile", "prod"]);
    assert_eq!(served.fetch().0, 200);
    super::set_number(&world, "sentinel-requests", &format!("decision#{id}"), "expires_at", super::now() - 1);
    assert_eq!(served.fetch().0, 403);
    served.end();
}

#[test]
fn only_requests_with_the_token_are_answered() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    assert_eq!(served.token.len(), 64);
    for (method, path, token, status) in [
        ("GET", "/credentials", "", 401),
        ("GET", "/credentials", "0000", 401),
        ("GET", "/", served.token.as_str(), 404),
        ("POST", "/credentials", served.token.as_str(), 405),
    ] {
        let (answered, body) = served.get(method, path, token);
        assert_eq!(answered, status);
        assert!(body["AccessKeyId"].is_null());
    }
    served.end();
}

#[test]
fn a_session_is_recorded_and_listed_and_ends_with_its_command() {
    let world = provisioned();
    let one = Served::start(&world, "alice", &["--profile", "served"]);
    let other = Served::start(&world, "bob", &["--profile", "served"]);
    let ids = |args: &[&str]| {
        let run = world.json_as("alice", &[&["server-sessions"], args].concat());
        let ids = run["sessions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&[]), one.id);
    assert_eq!(ids(&["--user", "bob"]), other.id);
    assert_eq!(ids(&["--status", "active"]), format!("{} {}", other.id, one.id));
    let session = world.json_as("alice", &["server-session", &one.id])["session"].clone();
    assert_eq!(ids(&["--server-instance", session["server_instance_id"].as_str().unwrap()]), one.id);
    let (one_id, other_id) = (one.id.clone(), other.id.clone());
    assert_eq!(one.end(), 7);
    assert_eq!(ids(&["--status", "ended"]), one_id);
    assert_eq!(ids(&["--status", "active"]), other_id);
    let ended = world.run_as("bob", &["server-revoke", &one_id, "--reason", "late"]).expect(1);
    assert!(ended.stderr.contains("has already ended"), "{}", ended.stderr);
    other.end();
}

#[test]
fn a_session_is_recorded_in_the_table_of_the_policy() {
    let world = provisioned();
    let policy =
        "version: \"1\"\nrules:\n  - { name: tracked, effect: require_server_session, session_table: acme-sessions }\n";
    put_policy(&world, "served", policy);
    let exec = |args: &[&str]| {
        let args = [&["exec", "--profile", "served"], args, &["--", "true"]].concat();
        world.run_as("alice", &args)
    };
    let refused = exec(&[]).expect(1);
    assert!(refused.stderr.contains("only through a credential server"), "{}", refused.stderr);
    assert!(refused.stderr.contains("sentinel exec --server --profile served"), "{}", refused.stderr);
    let missing = exec(&["--server"]).expect(1);
    let create = "sentinel init sessions --table acme-sessions --region us-east-1";
    assert!(
        missing.stderr.contains("acme-sessions (from the policy)") && missing.stderr.contains(create),
        "{}",
        missing.stderr
    );
    world.run(&["init", "sessions", "--table", "acme-sessions", "--yes"]).expect(0);
    exec(&["--server"]).expect(0);
    let other = exec(&["--server", "--session-table", "sentinel-sessions"]).expect(1);
    assert!(
        other.stderr.contains("requires the session to be recorded in acme-sessions, not in sentinel-sessions"),
        "{}",
        other.stderr
    );
    let listed = world.json_as("alice", &["server-sessions", "--session-table", "acme-sessions"]);
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_child_gets_no_other_credentials() {
    let world = provisioned();
    world.write(".aws/credentials", "[default]\naws_access_key_id = OTHER\naws_secret_access_key = x\n");
    let run = world.run_as("alice", &["exec", "--server", "--profile", "served", "--", "env"]).expect(0);
    for removed in ["AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_PROFILE="] {
        assert!(!run.stdout.contains(removed), "{}", run.stdout);
    }
    if crate::world::moto().is_some() {
        return; // moto does not know the user of the keys from its GetSessionToken
    }
    // An SDK in the child finds the server, and not the default profile: the binary itself uses one.
    let binary = env!("CARGO_BIN_EXE_sentinel");
    let script = format!("AWS_ENDPOINT_URL={} {binary} list --json --region us-east-1", world.url());
    world.calls();
    let run = world.run_as("alice", &["exec", "--server", "--profile", "served", "--", "sh", "-c", &script]).expect(0);
    assert_eq!(run.json()["requests"], json!([]));
    let asked = world.calls().into_iter().filter(|call| call.operation == "GetCallerIdentity").count();
    assert_eq!(asked, 2, "the server's and the child's own");
}

#[test]
fn signals_reach_the_command_and_its_exit_status_is_returned() {
    let world = provisioned();
    for (signal, script, code) in [
        ("-TERM", "trap 'exit 3' TERM; echo up; sleep 60 & wait", 3),
        ("-INT", "trap 'exit 4' INT; echo up; sleep 60 & wait", 4),
        ("-HUP", "trap 'exit 5' HUP; echo up; sleep 60 & wait", 5),
        ("-TERM", "echo up; exec sleep 60", 128 + 15),
    ] {
        let args = ["exec", "--server", "--profile", "served", "--", "sh", "-c", script];
        let mut command = world.command_as("alice", &args);
        // In the background of a terminal, if the tests run in one: signals from the keyboard reach the command only through the foreground
        // process group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid = child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal} {script}");
    }
    let active = world.json_as("alice", &["server-sessions", "--status", "active"]);
    assert_eq!(active["sessions"], json!([]), "each is noted as ended");
    let run = world.run_as("alice", &["exec", "--server", "--profile", "served", "--", "no-such-command"]);
    assert_eq!(run.code, 127);
}

#[test]
fn a_killed_server_does_not_respond() {
    let world = provisioned();
    let mut served = Served::start(&world, "alice", &["--profile", "served"]);
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    let host = served.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    wait_for("the port to be free", || TcpStream::connect(&host).is_err());
    // It is listed until a day after its last activity, and can be revoked during that time.
    world.run_as("bob", &["server-revoke", &served.id, "--reason", "cleaning up"]).expect(0);
    finish(world.command_as("bob", &["server-session", &served.id]).spawn().unwrap()).expect(0);
}

const TABLE: &str = "sentinel-sessions";

#[test]
fn a_revoked_session_cannot_be_revived() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    assert_eq!(served.fetch().0, 200);
    let key = format!("session#{}", served.id);
    let written = super::get_item(&world, TABLE, &key);
    assert_eq!(written["user_arn"]["S"], "arn:aws:iam::123456789012:user/alice");
    world.run_as("bob", &["server-revoke", &served.id, "--reason", "laptop stolen"]).expect(0);
    // The session's own record is unchanged.
    assert_eq!(super::get_item(&world, TABLE, &key)["status"]["S"], "active");
    let revocation = super::get_item(&world, TABLE, &format!("revocation#{}", served.id));
    assert_eq!(revocation["revoked_by_arn"]["S"], "arn:aws:iam::123456789012:user/bob");
    assert!(revocation["expires_at"].is_null(), "TTL must not take a revocation back");
    let refused = |what: &str| {
        assert_eq!(served.fetch().0, 403, "{what}");
        let session = world.json_as("bob", &["server-session", &served.id])["session"].clone();
        assert_eq!((&session["status"], &session["revoked_by"]), (&json!("revoked"), &json!("bob")), "{what}");
        let listed = |status: &str| {
            let run = world.json_as("bob", &["server-sessions", "--status", status]);
            run["sessions"].as_array().unwrap().len()
        };
        assert_eq!([listed("active"), listed("revoked")], [0, 1], "{what}");
    };
    refused("as revoked");
    super::put_item(&world, TABLE, &written);
    refused("written anew");
    super::delete_item(&world, TABLE, &key);
    assert_eq!(served.fetch().0, 403);
    super::put_item(&world, TABLE, &written);
    refused("deleted and written anew");
    super::set_number(&world, TABLE, &key, "expires_at", 4_102_444_800);
    super::set_number(&world, TABLE, &key, "last_seen_at", 4_102_444_800);
    refused("with times in 2100");
    // The process remembers the revocation even without the record.
    super::delete_item(&world, TABLE, &format!("revocation#{}", served.id));
    assert_eq!(served.fetch().0, 403);
    served.end();
}

#[test]
fn a_session_is_revoked_regardless_of_its_record() {
    let world = provisioned();
    let change = |key: &str, name: &str, value: Value| {
        let mut item = super::get_item(&world, TABLE, key);
        item[name] = value;
        super::put_item(&world, TABLE, &item);
        item
    };
    let revoke = |id: &str| world.run_as("bob", &["server-revoke", id, "--reason", "leak"]);
    for (name, value, code) in [
        ("status", json!({ "S": "ended" }), 1),
        ("status", json!({ "S": "revoked" }), 0),
        ("status", json!({ "S": "x" }), 1),
        ("started_at", json!({ "N": "1" }), 0),
        ("expires_at", json!({ "N": "1" }), 0),
        ("last_seen_at", json!({ "S": "x" }), 0),
    ] {
        let served = Served::start(&world, "alice", &["--profile", "served"]);
        let key = format!("session#{}", served.id);
        let before = super::get_item(&world, TABLE, &key);
        change(&key, name, value.clone());
        assert_eq!(revoke(&served.id).code, code, "{name}: {value}");
        super::put_item(&world, TABLE, &before);
        assert_eq!(served.fetch().0, 403, "{name}: {value}");
        served.end();
    }
    // This includes a session whose record is hidden in the meantime.
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    let key = format!("session#{}", served.id);
    let before = super::get_item(&world, TABLE, &key);
    super::delete_item(&world, TABLE, &key);
    let unseen = revoke(&served.id).expect(1);
    assert!(unseen.stderr.contains("the revocation is recorded anyway"), "{}", unseen.stderr);
    super::put_item(&world, TABLE, &before);
    assert_eq!(served.fetch().0, 403);
    served.end();
    let unknown = revoke("no-such-session").expect(1);
    assert!(unknown.stderr.contains("there is no session no-such-session"), "{}", unknown.stderr);
}

#[test]
fn a_server_uses_the_record_that_it_wrote() {
    let world = provisioned();
    for (name, value) in [
        ("profile", json!({ "S": "prod" })),
        ("user", json!({ "S": "bob" })),
        ("user_arn", json!({ "S": "arn:aws:iam::123456789012:user/bob" })),
        ("server_instance_id", json!({ "S": "other" })),
        ("status", json!({ "S": "ended" })),
    ] {
        let served = Served::start(&world, "alice", &["--profile", "served"]);
        assert_eq!(served.fetch().0, 200);
        let key = format!("session#{}", served.id);
        let mut item = super::get_item(&world, TABLE, &key);
        item[name] = value;
        super::put_item(&world, TABLE, &item);
        assert_eq!(served.fetch().0, 403, "{name}");
        served.end();
    }
    // A failed read of the revocation denies access temporarily, not permanently.
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    world.fail("GetItem", "AccessDeniedException", "revocation#");
    assert_eq!(served.fetch().0, 503);
    world.clear_faults();
    assert_eq!(served.fetch().0, 200);
    served.end();
}

#[test]
fn of_concurrent_revocations_only_one_succeeds() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    let revoke = |_| world.command_as("bob", &["server-revoke", &served.id, "--reason", "x"]).spawn().unwrap();
    let children: Vec<_> = (0..10).map(revoke).collect();
    let runs: Vec<_> = children.into_iter().map(finish).collect();
    assert_eq!((super::count(&runs, 0), super::count(&runs, 1)), (1, 9), "{runs:#?}");
    served.end();
}

#[test]
fn a_session_in_the_old_format_is_shown_with_a_fix() {
    let world = provisioned();
    let id = "0123456789abcdef";
    let item = json!({
        "id": { "S": id }, "user": { "S": "alice" }, "profile": { "S": "served" }, "status": { "S": "active" },
        "started_at": { "N": super::now().to_string() }, "expires_at": { "N": (super::now() + 60).to_string() },
        "server_instance_id": { "S": "x" },
    });
    super::put_item(&world, TABLE, &item);
    let shown = world.run_as("bob", &["server-session", id, "--json"]).expect(0);
    assert_eq!(shown.json()["session"]["old_form"], true);
    assert!(shown.stderr.contains("it is served by an older version of Sentinel"), "{}", shown.stderr);
    let revoked = world.run_as("bob", &["server-revoke", id, "--reason", "x"]).expect(1);
    assert!(revoked.stderr.contains("end its process"), "{}", revoked.stderr);
}

#[test]
fn a_command_ends_with_its_server() {
    let world = provisioned();
    let script = "echo $$; exec sleep 600";
    let mut server = world
        .command_as("alice", &["exec", "--server", "--profile", "served", "--", "sh", "-c", script])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let alive = || Command::new("kill").args(["-0", line.trim()]).stderr(std::process::Stdio::null()).status().unwrap();
    assert!(alive().success());
    server.kill().unwrap();
    server.wait().unwrap();
    wait_for("the command to end", || !alive().success());
    // Sentinel's internal commands start nothing for other callers.
    let run = world.run_as("alice", &["run-for-credential-server", "1", "0", "touch", "ran"]).expect(1);
    assert!(run.stderr.contains("the credential server has ended"), "{}", run.stderr);
    world.run_as("alice", &["run-for-credential-server"]).expect(1);
    assert!(!world.folder.path().join("ran").exists());
}

#[test]
fn core_dumps_are_off_while_credentials_are_in_memory() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let world = provisioned();
    let binary = env!("CARGO_BIN_EXE_sentinel");
    let limits = "ulimit -Sc; grep 'core file' /proc/$PPID/limits";
    for (way, server) in [("--profile dev", false), ("--profile served --server", true)] {
        let script = format!(
            "ulimit -Sc $(ulimit -Hc); ulimit -Sc; {binary} exec {way} -- sh -c \"{}\"",
            limits.replace('$', "\\$")
        );
        let like = world.command_as("alice", &[]);
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env_clear().current_dir(world.folder.path());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = command.output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], lines[1], "the command has the limit that sentinel was started with");
        if server {
            assert_eq!(lines[2].split_whitespace().nth(4), Some("0"), "{text}");
        }
    }
}

#[test]
fn slow_clients_do_not_block_others() {
    let world = provisioned();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    let host = served.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&host).unwrap();
            let _ = stream.write_all(b"GET /credentials HTTP/1.1\r\nx: ");
            stream
        })
        .collect();
    assert_eq!(served.fetch().0, 200);
    // The oldest connections were closed, and the others are closed by the client.
    for stream in [0, 199] {
        slow[stream].set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        let _ = slow[stream].read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    }
    // The size of a head and a body is limited.
    for (head, body) in [("", "x".repeat(1 << 20)), ("content-length: 1048576\r\n\r\n", "x".repeat(1 << 20))] {
        let mut stream = TcpStream::connect(&host).unwrap();
        let token = &served.token;
        let request = format!("GET /credentials HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\n{head}{body}");
        let _ = stream.write_all(request.as_bytes());
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    }
    assert_eq!(served.fetch().0, 200);
    served.end();
}

/// The maximum duration, as in a policy of the Go implementation.
#[test]
fn a_session_ends_after_the_maximum_server_duration() {
    let world = provisioned();
    let policy = "version: \"1\"\nrules:\n  - { name: short, effect: allow, max_server_duration: 3s }\n";
    put_policy(&world, "served", policy);
    let before = super::now();
    let served = Served::start(&world, "alice", &["--profile", "served"]);
    let (status, credentials) = served.fetch();
    assert_eq!(status, 200, "{credentials}");
    let ends: jiff::Timestamp = credentials["Expiration"].as_str().unwrap().parse().unwrap();
    assert!((before..=super::now() + 3).contains(&ends.as_second()), "{credentials}");
    std::thread::sleep(std::time::Duration::from_secs(4));
    let (status, refused) = served.fetch();
    assert_eq!(status, 403);
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("rule \"short\" limits the session of a server to 3 s"), "{why}");
    assert_eq!(served.end(), 7);
    // Another session lasts three more seconds, and other modes have no such end.
    let again = Served::start(&world, "alice", &["--profile", "served"]);
    assert_eq!(again.fetch().0, 200);
    again.end();
    world.run_as("alice", &["exec", "--profile", "served", "--", "true"]).expect(0);
}

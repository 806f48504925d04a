//! `sentinel broker` and its users, who have no permissions of their own.

mod example;
mod flood;
mod identity;
mod many;
mod recreated;
mod stalled;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::access::{provisioned, put_policy};
use crate::world::{Answer, Call, Run, World, finish};

/// A running broker, which ends with its test.
pub struct Broker {
    child: Child,
    pub url: String,
    pub log: PathBuf,
}

/// Its users: bob approves, olga operates, and everyone of the account may send requests.
const SECTION: &str = "\
[broker]
principals = [\"arn:aws:iam::*:user/*\", \"arn:aws:sts::*:assumed-role/engineers/*\"]
approvers = [\"arn:aws:iam::*:user/bob*\"]
operators = [\"arn:aws:iam::*:user/olga\"]
[broker.roles]
dev = \"arn:aws:iam::123456789012:role/dev-user\"
prod = \"arn:aws:iam::123456789012:role/prod-admin\"
served = \"arn:aws:iam::123456789012:role/served-user\"
";

/// Returns a port that is currently free.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Broker {
    pub fn start(world: &World) -> Self {
        let port = free_port();
        Self::start_as(world, port, &format!("http://127.0.0.1:{port}"), &[])
    }

    /// Starts a broker whose configured address differs from the one that it listens on.
    pub fn start_as(world: &World, port: u16, url: &str, more: &[&str]) -> Self {
        Self::start_on(world, SECTION, (port, url), more)
    }

    /// Starts a broker with this manifest.
    fn start_with(world: &World, manifest: &str) -> Self {
        let port = free_port();
        Self::start_on(world, manifest, (port, &format!("http://127.0.0.1:{port}")), &[])
    }

    fn start_on(world: &World, manifest: &str, (port, url): (u16, &str), more: &[&str]) -> Self {
        world.write("broker/sentinel.toml", manifest);
        let log = world.folder.path().join(format!("broker-{port}.log"));
        let listen = format!("127.0.0.1:{port}");
        let shown = log.display().to_string();
        let args = ["broker", "-f", "broker/sentinel.toml", "--listen", &listen, "--url", url, "--log-file", &shown];
        let mut command = world.command_as("broker", &[&args, more].concat());
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let broker = Self { child, url: format!("http://127.0.0.1:{port}"), log };
        broker.wait();
        broker
    }

    /// Waits until it responds.
    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(self.authority()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "the broker does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Sends a request unchanged, and returns the status and the body of the response.
    pub fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// Returns its log entries.
    pub fn logged(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM, and returns the exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Runs a command as a user of this broker.
    pub fn run(&self, world: &World, user: &str, args: &[&str]) -> Run {
        let at = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
        let args = [&args[..at], &["--broker", &self.url], &args[at..]].concat();
        finish(world.command_as(user, &args).spawn().unwrap())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a world with policies and tables, in which the users have no permissions.
pub fn world() -> World {
    let world = provisioned();
    for user in ["alice", "bob", "carol", "olga", "eve"] {
        world.restrict(user, &[]);
    }
    world
}

/// Requests access through a broker, and returns the request's ID.
#[track_caller]
pub fn request(world: &World, broker: &Broker, user: &str) -> String {
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--json"];
    let run = broker.run(world, user, &wanted).expect(0);
    run.json()["request"]["id"].as_str().unwrap().to_owned()
}

const PROD: &[&str] = &["exec", "--profile", "prod", "--", "env"];

/// The arguments that open a break-glass event for prod.
const OPENING: &[&str] = &[
    "breakglass",
    "--profile",
    "prod",
    "--reason-code",
    "incident",
    "--justification",
    "The site is down for everybody",
    "--duration",
    "1h",
    "--json",
];

/// Returns the calls that were signed with the users' own keys.
fn operations(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.operation.as_str()).collect()
}

#[test]
fn a_user_without_permissions_gets_credentials_of_the_role() {
    let world = world();
    let broker = Broker::start(&world);
    world.calls();
    let run = broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "env"]).expect(0);
    let seen = |name: &str| {
        let line = run.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} in {}", run.stdout)).to_owned()
    };
    assert_eq!(seen("AWS_ACCESS_KEY_ID"), "ASIALOCAL:123456789012:dev-user:alice");
    assert_eq!((seen("AWS_ACCOUNT_ID"), seen("SENTINEL_PROFILE")), ("123456789012".into(), "dev".into()));
    let calls = world.calls();
    let mut made = operations(&calls);
    made.sort_unstable();
    assert_eq!(made, ["AssumeRole", "GetCallerIdentity", "GetItem", "GetParameters"]);
    let assumed = calls.iter().find(|call| call.operation == "AssumeRole").unwrap();
    let logged = broker.logged();
    assert_eq!(logged.len(), 1, "{logged:#?}");
    let stamp = format!("alice={}", logged[0]["decision_id"].as_str().unwrap());
    for (field, value) in [
        ("RoleArn", "arn:aws:iam::123456789012:role/dev-user"),
        ("SourceIdentity", &stamp),
        ("Tags.member.1.Key", "user"),
        ("Tags.member.1.Value", "alice"),
        ("Tags.member.2.Key", "profile"),
        ("Tags.member.2.Value", "dev"),
    ] {
        assert_eq!(assumed.body[field], value, "{field} in {}", assumed.body);
    }
    assert_eq!(logged[0]["outcome"], "released");
    assert_eq!(logged[0]["access_key_id"], "ASIALOCAL:123456789012:dev-user:alice");
    let printed = broker.run(&world, "alice", &["credentials", "--profile", "dev"]).expect(0).json();
    assert_eq!(printed["AccessKeyId"], "ASIALOCAL:123456789012:dev-user:alice");
    // The user's own credentials have no permissions.
    let own = world.run_as("alice", &["exec", "--profile", "dev", "--", "env"]).expect(1);
    assert!(own.stderr.contains("dynamodb:GetItem: AccessDeniedException"), "{}", own.stderr);
}

/// IAM accepts a comma in the name of a user, and STS does not accept it in the value of a tag.
#[test]
fn the_tags_of_a_session_replace_the_comma_in_the_name_of_a_user() {
    let world = world();
    world.restrict("doe,jane", &[]);
    let text = "version: \"1\"\nrules:\n  - { name: jane, effect: allow, conditions: { users: [\"doe,jane\"] } }\n";
    put_policy(&world, "dev", text);
    let broker = Broker::start(&world);
    let session = |user: &str| {
        world.calls();
        broker.run(&world, user, &["exec", "--profile", "dev", "--", "true"]).expect(0);
        let calls = world.calls();
        let assumed = &calls.iter().find(|call| call.operation == "AssumeRole").unwrap().body;
        let field = |name: &str| assumed[name].as_str().unwrap().to_owned();
        (field("Tags.member.1.Value"), field("RoleSessionName"), field("SourceIdentity"))
    };
    let (tag, name, source) = session("doe,jane");
    assert_eq!((tag.as_str(), name.as_str()), ("doe:jane", "doe,jane"));
    assert!(source.starts_with("doe,jane="), "{source}");
}

#[test]
fn the_broker_reads_policies_as_its_options_specify() {
    let world = world();
    let text = "version: \"1\"\nrules:\n  - { name: eve, effect: allow, conditions: { users: [eve] } }\n";
    let body = serde_json::json!({ "Name": "/else/where/dev", "Value": text, "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &body);
    let port = free_port();
    let more = ["--policy-root", "/else/where", "--endpoint-url", world.url()];
    let broker = Broker::start_as(&world, port, &format!("http://127.0.0.1:{port}"), &more);
    broker.run(&world, "eve", &["exec", "--profile", "dev", "--", "true"]).expect(0);
    let alice = broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(1);
    assert!(alice.stderr.contains("/else/where/dev") || alice.stderr.contains("no rule"), "{}", alice.stderr);
}

#[test]
fn a_request_is_approved_used_and_revoked() {
    let world = world();
    let broker = Broker::start(&world);
    let refused = broker.run(&world, "alice", PROD).expect(1);
    assert!(refused.stderr.contains("error[E501]: alice gets no credentials for prod"), "{}", refused.stderr);
    assert!(refused.stderr.contains("sentinel request --profile prod"), "{}", refused.stderr);
    let id = request(&world, &broker, "alice");
    let own = broker.run(&world, "alice", &["approve", &id]).expect(1);
    assert!(own.stderr.contains("is not one of the approvers of the broker"), "{}", own.stderr);
    let listed = broker.run(&world, "bob", &["list", "--status", "pending", "--json"]).expect(0).json();
    assert_eq!(listed["requests"][0]["id"], *id);
    broker.run(&world, "bob", &["approve", &id, "--comment", "Go ahead"]).expect(0);
    world.calls();
    broker.run(&world, "alice", PROD).expect(0);
    let calls = world.calls();
    let assumed = calls.iter().find(|call| call.operation == "AssumeRole").unwrap();
    assert_eq!(assumed.body["SourceIdentity"], format!("alice={id}"));
    assert_eq!(
        (&assumed.body["Tags.member.3.Key"], &assumed.body["Tags.member.3.Value"]),
        (&"request".into(), &id.clone().into())
    );
    broker.run(&world, "bob", &["revoke", &id, "--reason", "Enough"]).expect(0);
    broker.run(&world, "alice", PROD).expect(1);
    let again = broker.run(&world, "bob", &["approve", &id]).expect(1);
    assert!(again.stderr.contains(&format!("request {id} is already revoked by bob")), "{}", again.stderr);
    let outcomes: Vec<String> =
        broker.logged().iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect();
    let expected = [
        "refused", "accepted", "done", "accepted", "refused", "answered", "accepted", "done", "released", "accepted",
        "done", "refused", "accepted", "refused",
    ];
    assert_eq!(outcomes, expected);
}

/// STS issues no credentials for less than fifteen minutes, so a session policy ends a grant of two minutes.
#[test]
fn credentials_end_with_the_grant() {
    let world = world();
    let broker = Broker::start(&world);
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--duration", "2m", "--json"];
    let id = broker.run(&world, "alice", &wanted).expect(0).json()["request"]["id"].as_str().unwrap().to_owned();
    broker.run(&world, "bob", &["approve", &id]).expect(0);
    world.calls();
    let run = broker.run(&world, "alice", &["credentials", "--profile", "prod"]).expect(0);
    let ends = broker.logged().last().unwrap()["until"].as_str().unwrap().to_owned();
    assert_eq!(run.json()["Expiration"], *ends);
    let calls = world.calls();
    let assumed = &calls.iter().find(|call| call.operation == "AssumeRole").unwrap().body;
    assert_eq!(assumed["DurationSeconds"], "900");
    let policy: Value = serde_json::from_str(assumed["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][1]["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"], *ends);
}

#[test]
fn users_see_only_their_own_records() {
    let world = world();
    let broker = Broker::start(&world);
    let id = request(&world, &broker, "alice");
    broker.run(&world, "alice", &["check", &id]).expect(0);
    broker.run(&world, "bob", &["check", &id]).expect(0);
    let hidden = broker.run(&world, "carol", &["check", &id]).expect(1);
    assert!(hidden.stderr.contains("error[E503]"), "{}", hidden.stderr);
    let hidden = broker.run(&world, "carol", &["cancel", &id]).expect(1);
    assert!(hidden.stderr.contains("error[E503]"), "{}", hidden.stderr);
    let listed = broker.run(&world, "carol", &["list", "--profile", "prod", "--json"]).expect(0).json();
    assert_eq!(listed["requests"], serde_json::json!([]));
    let asked = broker.run(&world, "carol", &["list", "--requester", "alice"]).expect(1);
    assert!(asked.stderr.contains("error[E501]"), "{}", asked.stderr);
    let listed = broker.run(&world, "bob", &["list", "--requester", "alice", "--json"]).expect(0).json();
    assert_eq!(listed["requests"][0]["id"], *id);
}

/// Users with the same name in several accounts are different users.
#[test]
fn records_of_equally_named_users_are_separate() {
    let world = world();
    let accounts = SECTION.replace("[broker]\n", "[broker]\naccounts = [\"123456789012\", \"222222222222\"]\n");
    let broker = Broker::start_with(&world, &accounts);
    let id = request(&world, &broker, "alice");
    let elsewhere = |args: &[&str]| {
        let mut command = world.command_as("alice", &[args, &["--broker", &broker.url]].concat());
        finish(command.env("AWS_ACCESS_KEY_ID", "ASIALOCAL:222222222222:engineers:alice").spawn().unwrap())
    };
    let listed = elsewhere(&["list", "--json"]).expect(0).json();
    assert_eq!(listed["requests"], serde_json::json!([]));
    let hidden = elsewhere(&["cancel", &id]).expect(1);
    assert!(hidden.stderr.contains("error[E503]"), "{}", hidden.stderr);
    let own = broker.run(&world, "alice", &["list", "--json"]).expect(0).json();
    assert_eq!((&own["requests"][0]["id"], &own["requests"][0]["status"]), (&id.into(), &"pending".into()));
}

#[test]
fn refused_users_cannot_fill_the_log() {
    let world = world();
    let port = free_port();
    let broker = Broker::start_as(&world, port, &format!("http://127.0.0.1:{port}"), &["--rate", "1"]);
    let ask = |session: usize| {
        let mut command = world.command_as("alice", &["list", "--broker", &broker.url]);
        let key = format!("ASIALOCAL:999999999999:any:mallory{session}");
        finish(command.env("AWS_ACCESS_KEY_ID", key).spawn().unwrap())
    };
    let runs = std::thread::scope(|scope| {
        let all: Vec<_> = (0..30).map(|session| scope.spawn(move || ask(session))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(runs.iter().all(|run| run.code == 1));
    let refused = runs.iter().filter(|run| run.stderr.contains("does not serve this user")).count();
    let logged = broker.logged();
    assert!((5..25).contains(&refused) && logged.len() == refused, "{refused} refused, {} logged", logged.len());
    assert!(logged.iter().all(|line| line.get("ask").is_none() && line["outcome"] == "refused"), "{logged:?}");
}

#[test]
fn operators_lock_users_and_use_break_glass() {
    let world = world();
    let broker = Broker::start(&world);
    let refused = broker.run(&world, "alice", OPENING).expect(1);
    assert!(refused.stderr.contains("is not one of the operators of the broker"), "{}", refused.stderr);
    let opened = broker.run(&world, "olga", OPENING).expect(0);
    assert!(opened.stderr.contains("BREAK-GLASS opened by olga for prod"), "{}", opened.stderr);
    let id = opened.json()["event"]["id"].as_str().unwrap().to_owned();
    let used = broker.run(&world, "olga", PROD).expect(0);
    assert!(used.stderr.contains("BREAK-GLASS used by olga for prod"), "{}", used.stderr);
    let another = broker.run(&world, "olga", OPENING).expect(1);
    assert!(another.stderr.contains(&id), "{}", another.stderr);
    let line = broker.logged().pop().unwrap();
    assert_eq!((&line["operation"], &line["outcome"]), (&Value::Null, &"refused".into()), "{line}");
    assert!(line["why"].as_str().unwrap().contains(&id), "{line}");
    broker.run(&world, "olga", &["breakglass-close", &id]).expect(0);
    broker.run(&world, "olga", PROD).expect(1);
    broker.run(&world, "bob", &["lock", "alice", "--profile", "dev"]).expect(1);
    broker.run(&world, "olga", &["lock", "alice", "--profile", "dev", "--reason", "A lost laptop"]).expect(0);
    let locked = broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(1);
    assert!(locked.stderr.contains("A lost laptop"), "{}", locked.stderr);
    let own = broker.run(&world, "olga", &["unlock", "olga", "--profile", "dev"]).expect(1);
    assert!(own.stderr.contains("nobody unlocks themselves"), "{}", own.stderr);
    broker.run(&world, "olga", &["unlock", "alice", "--profile", "dev"]).expect(0);
    broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(0);
}

#[test]
fn a_credential_server_asks_the_broker_at_each_fetch() {
    let world = world();
    let broker = Broker::start(&world);
    let direct = broker.run(&world, "alice", &["exec", "--profile", "served", "--", "true"]).expect(1);
    assert!(direct.stderr.contains("only through a credential server"), "{}", direct.stderr);
    // A shell that fetches credentials, has the session revoked, and fetches again.
    let fetch =
        "curl -s -H \"Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN\" $AWS_CONTAINER_CREDENTIALS_FULL_URI; echo";
    let sentinel = env!("CARGO_BIN_EXE_sentinel");
    let revoke = format!(
        "AWS_CONFIG_FILE= AWS_SHARED_CREDENTIALS_FILE= AWS_CONTAINER_CREDENTIALS_FULL_URI= AWS_REGION=us-east-1 \
         AWS_ENDPOINT_URL={} AWS_ACCESS_KEY_ID=AKIALOCAL:olga AWS_SECRET_ACCESS_KEY=test \
         {sentinel} server-revoke $SENTINEL_SESSION_ID --reason Enough --broker {} >/dev/null",
        world.url(),
        broker.url
    );
    let script = format!("{fetch}; {revoke} && {fetch}");
    let run = broker.run(&world, "alice", &["exec", "--server", "--profile", "served", "--", "sh", "-c", &script]);
    let run = run.expect(0);
    let answers: Vec<Value> = run.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(answers.len(), 2, "{}\n{}", run.stdout, run.stderr);
    assert_eq!(answers[0]["AccessKeyId"], "ASIALOCAL:123456789012:served-user:alice");
    assert_eq!(answers[1]["code"], "AccessDenied", "{}", answers[1]);
    assert!(answers[1]["message"].as_str().unwrap().contains("is revoked by olga: Enough"), "{}", answers[1]);
}

#[test]
fn the_end_of_a_session_that_the_user_does_not_have_is_logged_as_refused() {
    let world = world();
    let broker = Broker::start(&world);
    world.fault(|call| {
        let answer = Answer { status: 200, content_type: "application/x-amz-json-1.0", body: b"{}".to_vec() };
        (call.operation == "GetItem" && call.body.to_string().contains("\"session#")).then_some(answer)
    });
    broker.run(&world, "alice", &["exec", "--server", "--profile", "served", "--", "true"]).expect(0);
    let logged = broker.logged();
    let ending: Vec<&Value> = logged.iter().filter(|line| line["operation"] == "end-session").collect();
    assert_eq!(ending.len(), 2, "{logged:#?}");
    assert_eq!((&ending[0]["outcome"], &ending[1]["outcome"]), (&"accepted".into(), &"refused".into()));
}

/// The token of a session can be longer than the broker accepts. The client reports it without a connection.
#[test]
fn a_request_that_is_too_large_is_not_sent() {
    let world = world();
    let mut command = world.command_as("alice", &["list", "--broker", "http://127.0.0.1:9"]);
    let run = finish(command.env("AWS_SESSION_TOKEN", "x".repeat(20_000)).spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("error[E601]") && run.stderr.contains("up to 16384 bytes"), "{}", run.stderr);
    assert!(run.stderr.contains("shorter session token"), "{}", run.stderr);
}

#[test]
fn an_operation_that_cannot_be_logged_is_not_performed() {
    let world = world();
    let mut broker = Broker::start(&world);
    broker.kill();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    // Every write to this device fails, because it is full.
    let args = ["broker", "-f", "broker/sentinel.toml", "--listen", &format!("127.0.0.1:{port}"), "--url", &url];
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = world.command_as("broker", &args);
    let child = command.stdout(Stdio::from(full)).stderr(Stdio::null()).spawn().unwrap();
    let broker = Broker { child, url, log: PathBuf::new() };
    broker.wait();
    let run = broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(1);
    assert!(run.stderr.contains("error[E601]") && run.stderr.contains("log"), "{}", run.stderr);
    world.calls();
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix"];
    broker.run(&world, "alice", &wanted).expect(1);
    assert!(world.writes().is_empty(), "no record without a line in the log");
}

#[test]
fn a_profile_without_a_role_and_a_stranger_are_refused() {
    let world = world();
    let broker = Broker::start(&world);
    put_policy(&world, "other", super::access::POLICY);
    let none = broker.run(&world, "alice", &["exec", "--profile", "other", "--", "true"]).expect(1);
    assert!(none.stderr.contains("no role for a profile other"), "{}", none.stderr);
    // A role session that is not one of the principals.
    let mut command = world.command_as("alice", &["exec", "--profile", "dev", "--broker", &broker.url, "--", "true"]);
    command.env("AWS_ACCESS_KEY_ID", "ASIALOCAL:123456789012:interns:alice").env("AWS_SESSION_TOKEN", "local");
    let stranger = finish(command.spawn().unwrap()).expect(1);
    assert!(stranger.stderr.contains("does not serve this user"), "{}", stranger.stderr);
    // A user of another account.
    let mut command = world.command_as("alice", &["exec", "--profile", "dev", "--broker", &broker.url, "--", "true"]);
    command.env("AWS_ACCESS_KEY_ID", "ASIALOCAL:210987654321:engineers:alice").env("AWS_SESSION_TOKEN", "local");
    let stranger = finish(command.spawn().unwrap()).expect(1);
    assert!(stranger.stderr.contains("does not serve this user"), "{}", stranger.stderr);
}

/// The root user of an account has no name.
#[test]
fn the_refusal_of_a_caller_without_a_name_is_logged() {
    let world = world();
    let broker = Broker::start(&world);
    let root = "arn:aws:iam::123456789012:root";
    world.fault(move |call| {
        let result = format!("<Arn>{root}</Arn><Account>123456789012</Account><UserId>123456789012</UserId>");
        let body = format!(
            "<GetCallerIdentityResponse><GetCallerIdentityResult>{result}</GetCallerIdentityResult>\
             </GetCallerIdentityResponse>"
        );
        let answer = Answer { status: 200, content_type: "text/xml", body: body.into_bytes() };
        (call.operation == "GetCallerIdentity").then_some(answer)
    });
    let refused = broker.run(&world, "alice", &["list"]).expect(1);
    assert!(refused.stderr.contains("does not serve this user"), "{}", refused.stderr);
    let logged = broker.logged();
    assert_eq!(logged.len(), 1, "{logged:#?}");
    assert_eq!((&logged[0]["arn"], &logged[0]["outcome"]), (&root.into(), &"refused".into()));
}

#[test]
fn options_that_the_broker_determines_are_refused() {
    let world = world();
    for (args, option) in [
        (vec!["exec", "--profile", "dev", "--request-table", "mine", "--", "true"], "--request-table"),
        (vec!["exec", "--profile", "dev", "--credentials-profile", "x", "--", "true"], "--credentials-profile"),
        (vec!["exec", "--profile", "dev", "--log-stderr", "--", "true"], "--log-stderr"),
        (vec!["exec", "--profile", "dev", "--policy-root", "/x", "--", "true"], "--policy-root"),
        (vec!["credentials", "--profile", "dev", "--mfa-code", "123456"], "--mfa-code"),
        (vec!["list", "--request-table", "mine"], "--request-table"),
    ] {
        let at = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
        let args = [&args[..at], &["--broker", "http://127.0.0.1:9"], &args[at..]].concat();
        let run = world.run(&args).expect(1);
        assert!(run.stderr.contains(&format!("error[E001]: {option} cannot be given")), "{}", run.stderr);
    }
}

#[test]
fn the_manifest_and_the_environment_name_the_broker() {
    let world = world();
    let broker = Broker::start(&world);
    world.write("sentinel.toml", &format!("[broker]\nurl = \"{}\"\n", broker.url));
    world.run_as("alice", &["exec", "--profile", "dev", "--", "true"]).expect(0);
    let none = world.run_as("alice", &["exec", "--profile", "dev", "--broker", "none", "--", "true"]).expect(1);
    assert!(none.stderr.contains("dynamodb:GetItem: AccessDeniedException"), "{}", none.stderr);
    let mut command = world.command_as("alice", &["list"]);
    let run = finish(command.env("SENTINEL_BROKER", "http://127.0.0.1:9").spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("error[E601]: the broker http://127.0.0.1:9 cannot be reached"), "{}", run.stderr);
}

#[test]
fn a_broker_listens_without_tls_on_loopback_only() {
    let world = world();
    let args = |listen| ["broker", "--url", "https://broker.example.com", "--listen", listen];
    let run = world.run(&args("0.0.0.0:0")).expect(1);
    assert!(run.stderr.contains("without TLS the broker listens on loopback only"), "{}", run.stderr);
    let run = world.run(&["broker", "--listen", "127.0.0.1:0"]).expect(1);
    assert!(run.stderr.contains("does not know its own address"), "{}", run.stderr);
    let mut command = world.command_as("broker", &args("127.0.0.1:0"));
    let run = finish(command.env("AWS_ENDPOINT_URL", "http://sts.example.com").spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("http://sts.example.com is not AWS"), "{}", run.stderr);
}

#[test]
fn each_user_has_a_rate_limit() {
    let world = world();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let broker = Broker::start_as(&world, port, &url, &["--rate", "1", "--at-once", "64", "--connections", "128"]);
    // Five requests at once, and one more for each second of the runs.
    let runs = std::thread::scope(|scope| {
        let ask = || broker.run(&world, "alice", &["list"]);
        let all: Vec<_> = (0..30).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let refused: Vec<&Run> = runs.iter().filter(|run| run.code != 0).collect();
    assert!(!refused.is_empty() && refused.len() <= 25, "{} were refused", refused.len());
    for run in refused {
        assert!(run.stderr.contains("error[E202]"), "{}", run.stderr);
    }
}

#[test]
fn tls_works_for_clients_that_trust_the_certificate() {
    let world = world();
    let port = free_port();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/e2e/broker/tls");
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (path("first.crt"), path("first.key"));
    let url = format!("https://127.0.0.1:{port}");
    let _broker = Broker::start_as(&world, port, &url, &["--tls-cert", &certificate, "--tls-key", &key]);
    let ask = |trusted: &str| {
        let args = ["exec", "--profile", "dev", "--broker", &url, "--", "true"];
        finish(world.command_as("alice", &args).env("SSL_CERT_FILE", trusted).spawn().unwrap())
    };
    ask(&certificate).expect(0);
    let other = ask(&path("second.crt")).expect(1);
    assert!(other.stderr.contains("error[E601]"), "{}", other.stderr);
}

#[test]
fn health_is_public_metrics_have_a_separate_listener_and_sigterm_ends_the_broker() {
    let world = world();
    let (port, for_metrics) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let broker =
        Broker::start_as(&world, port, &format!("http://127.0.0.1:{port}"), &["--metrics-listen", &for_metrics]);
    assert_eq!(broker.send("GET /healthz", ""), (200, String::from("ok\n")));
    assert_eq!(broker.send("GET /readyz", ""), (200, String::from("ready\n")));
    broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(0);
    assert_eq!(broker.send("GET /metrics", "").0, 404);
    let on_metrics =
        |path: &str| crate::world::http(&format!("http://{for_metrics}"), &format!("GET {path}"), &[], b"");
    let (status, metrics) = on_metrics("/metrics");
    let metrics = String::from_utf8(metrics).unwrap();
    assert_eq!(status, 200);
    let count = "sentinel_broker_answers_total{operation=\"credentials\",outcome=\"done\"} 1";
    assert!(metrics.lines().any(|line| line == count), "{metrics}");
    assert_eq!(on_metrics("/healthz").0, 404);
    assert_eq!(broker.terminate(), Some(0));
}

/// The manifest names the role of a profile, so `[broker.roles]` is not needed.
#[test]
fn the_broker_assumes_the_roles_that_the_profiles_name() {
    let world = world();
    let section = SECTION.split("[broker.roles]").next().unwrap();
    let profiles = "[profiles.dev]\nrole = { role = \"developer\" }\n[profiles.prod]\n\
                    role = \"arn:aws:iam::123456789012:role/prod-admin\"\n[roles.developer]\npath = \"/teams/\"\n\
                    trusted_by = { accounts = [\"123456789012\"] }\n";
    let broker = Broker::start_with(&world, &format!("{section}{profiles}"));
    world.calls();
    broker.run(&world, "alice", &["exec", "--profile", "dev", "--", "true"]).expect(0);
    let calls = world.calls();
    let assumed = calls.iter().find(|call| call.operation == "AssumeRole").unwrap();
    assert_eq!(assumed.body["RoleArn"], "arn:aws:iam::123456789012:role/teams/developer");
}

//! Signed identities that were recorded, changed, or made for another broker.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Broker, free_port, world};
use crate::world::World;

/// Forwards each request to a broker, and records its path and body.
fn recorder(port: u16, to: u16) -> Receiver<(String, String)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (sender, recorded) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut client = stream.unwrap();
            let mut read = Vec::new();
            let mut part = [0; 4096];
            let (head, body) = loop {
                let count = client.read(&mut part).unwrap();
                read.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&read).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                if body.len() >= length.unwrap().parse().unwrap() {
                    break (head.to_owned(), body.to_owned());
                }
            };
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let mut broker = TcpStream::connect(("127.0.0.1", to)).unwrap();
            let forwarded = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            broker.write_all(forwarded.as_bytes()).unwrap();
            let mut answer = Vec::new();
            broker.read_to_end(&mut answer).unwrap();
            client.write_all(&answer).unwrap();
            if sender.send((path, body)).is_err() {
                break;
            }
        }
    });
    recorded
}

/// Returns a broker, and a recorded request of a user.
fn recorded(world: &World, args: &[&str]) -> (Broker, String, Value) {
    let (own, seen) = (free_port(), free_port());
    let url = format!("http://127.0.0.1:{seen}");
    let broker = Broker::start_as(world, own, &url, &[]);
    let requests = recorder(seen, own);
    let at = args.iter().position(|arg| *arg == "--").unwrap_or(args.len());
    let args = [&args[..at], &["--broker", &url], &args[at..]].concat();
    crate::world::finish(world.command_as("alice", &args).spawn().unwrap()).expect(0);
    let (path, body) = requests.recv().unwrap();
    (broker, path, serde_json::from_str(&body).unwrap())
}

/// Sends a request, and returns the code of the broker's problem with it.
#[track_caller]
fn problem(broker: &Broker, path: &str, question: &Value) -> String {
    let (status, answer) = broker.send(&format!("POST {path}"), &question.to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let code = answer["problem"]["code"].as_str().unwrap_or_else(|| panic!("{status} {answer}")).to_owned();
    assert!(status >= 400, "{status} {answer}");
    code
}

const DEV: &[&str] = &["exec", "--profile", "dev", "--", "true"];

#[test]
fn an_identity_is_valid_only_for_the_signed_operation() {
    let world = world();
    let (broker, path, question) = recorded(&world, DEV);
    assert_eq!(path, "/v1/credentials");
    world.calls();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = question.clone();
        change(&mut changed);
        problem(&broker, &path, &changed)
    };
    let header = |name: &'static str, value: &'static str| {
        move |question: &mut Value| question["identity"]["headers"][name] = json!(value)
    };
    assert_eq!(changed(&|one| one["ask"] = json!("{\"profile\":\"prod\",\"mode\":\"cli\"}")), "identity");
    assert_eq!(changed(&|one| one["ask"] = json!(format!("{} ", one["ask"].as_str().unwrap()))), "identity");
    assert_eq!(changed(&header("x-sentinel-broker", "https://broker.example.com")), "identity");
    assert_eq!(changed(&header("x-sentinel-digest", "00")), "identity");
    assert_eq!(changed(&header("x-amz-date", "20260101T000000Z")), "identity");
    assert_eq!(changed(&header("host", "sts.amazonaws.com")), "identity");
    assert_eq!(changed(&header("x-forwarded-for", "127.0.0.1")), "identity");
    assert_eq!(
        changed(&|one| one["identity"]["body"] = json!("Action=GetSessionToken&Version=2011-06-15")),
        "identity"
    );
    assert_eq!(changed(&|one| one["identity"]["url"] = json!("https://example.com/")), "identity");
    assert_eq!(changed(&|one| one["identity"]["method"] = json!("GET")), "identity");
    // The signature covers the path.
    let mut other = question.clone();
    other["ask"] = json!("{\"profile\":\"dev\"}");
    assert_eq!(problem(&broker, "/v1/start-session", &other), "identity");
    assert!(world.calls().is_empty(), "nothing of this is sent to AWS");
    assert_eq!(broker.logged().len(), 1, "nobody is known who could be logged");
}

/// The operator of one broker cannot call another on behalf of its users.
#[test]
fn an_identity_for_another_broker_is_refused() {
    let world = world();
    let (_first, path, question) = recorded(&world, DEV);
    let second = Broker::start(&world);
    world.calls();
    assert_eq!(problem(&second, &path, &question), "identity");
    assert!(world.calls().is_empty());
}

#[test]
fn an_old_identity_is_refused() {
    let world = world();
    let (broker, path, mut question) = recorded(&world, DEV);
    // As if signed a day ago: the date and the scope match.
    let headers = &mut question["identity"]["headers"];
    let today = headers["x-amz-date"].as_str().unwrap()[..8].to_owned();
    let authorization = headers["authorization"].as_str().unwrap().replace(&today, "20200101");
    headers["authorization"] = json!(authorization);
    headers["x-amz-date"] = json!("20200101T000000Z");
    assert_eq!(problem(&broker, &path, &question), "identity");
}

#[test]
fn every_bad_request_is_answered_by_one_of_a_list() {
    let world = world();
    let broker = Broker::start(&world);
    let post = |path: &str, body: &str| {
        let (status, answer) = broker.send(&format!("POST {path}"), body);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        (status, answer["problem"]["code"].as_str().unwrap().to_owned())
    };
    let bad = (400, String::from("bad_request"));
    for body in ["", "{}", "null", "[[[[", "{\"ask\":\"{}\"}", "\u{1}\u{2}", "{\"identity\":1,\"ask\":\"{}\"}"] {
        assert_eq!(post("/v1/list", body), bad, "{body}");
    }
    assert_eq!(post("/v1/list", &"x".repeat(17_000)), (413, String::from("too_large")));
    assert_eq!(post("/v1/nothing", "{}"), (404, String::from("not_found")));
    assert_eq!(post("/", "{}"), (404, String::from("not_found")));
    let (status, answer) = broker.send("GET /v1/list", "");
    assert_eq!(status, 405, "{answer}");
    assert!(answer.contains("\"code\":\"method\""), "{answer}");
    // An operation with a value that the command line rejects.
    let (_broker, path, question) = recorded(&world, DEV);
    for ask in [
        "{\"profile\":\"../x\",\"mode\":\"cli\"}",
        "{\"profile\":\"dev\",\"mode\":\"root\"}",
        "{\"profile\":\"dev\",\"mode\":\"server\"}",
        "{\"profile\":\"dev\",\"mode\":\"cli\",\"user\":\"root\"}",
    ] {
        let mut question = question.clone();
        question["ask"] = json!(ask);
        assert_eq!(post(&path, &question.to_string()), bad, "{ask}");
    }
}

#[test]
fn an_operation_completes_and_is_logged_if_its_client_disconnects() {
    let world = world();
    let ask = ["request", "--profile", "prod", "--justification", "Deploy the hotfix"];
    let (broker, path, question) = recorded(&world, &ask);
    let outcomes = || {
        let logged = broker.logged();
        logged.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), ["accepted", "done"]);
    world.fault(|call| {
        if call.writes() {
            std::thread::sleep(Duration::from_millis(300));
        }
        None
    });
    let body = question.to_string();
    let mut stream = TcpStream::connect(broker.authority()).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let began = Instant::now();
    let wait_for = |count: usize| {
        while outcomes().len() < count && began.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for(3);
    drop(stream);
    wait_for(4);
    assert_eq!(outcomes(), ["accepted", "done", "accepted", "done"]);
}

//! An AWS with endless bodies and pages, garbage, and slow responses. A run against it fails quickly and with little memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::e2e::project;
use crate::world::World;

/// The maximum memory and duration of a run: twice the limit of one listing, for a busy machine.
const KIB: u64 = 200 << 10;
const TIME: Duration = Duration::from_secs(90);

type Script = Arc<dyn Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + Sync>;

/// Starts a server whose responses come from the script, which gets the operation and the body. Returns its address.
fn aws(script: impl Fn(&str, &str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let script: Script = Arc::new(script);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), script) = (stream, Arc::clone(&script)) else { continue };
            std::thread::spawn(move || {
                let _ = converse(stream, &script);
            });
        }
    });
    url
}

fn converse(stream: TcpStream, script: &Script) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut operation, mut length) = (String::from("GetCallerIdentity"), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_lowercase();
            if let Some(target) = lower.strip_prefix("x-amz-target:") {
                operation = line[line.len() - target.len()..].trim().rsplit('.').next().unwrap().to_owned();
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        script(&operation, &String::from_utf8_lossy(&body), &mut stream)?;
    }
}

fn answer(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn caller(stream: &mut TcpStream) -> std::io::Result<()> {
    answer(
        stream,
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::123456789012:user/alice</Arn><UserId>AIDA</UserId><Account>123456789012</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>",
    )
}

/// Waits for a run, and returns its exit code, its output, its duration and its peak memory in KiB.
fn watch(mut child: Child) -> (i32, String, Duration, u64) {
    let mut stderr = child.stderr.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let output = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let (started, mut most) = (Instant::now(), 0);
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = most.max(peak.map_or(0, |kib| kib.trim().trim_end_matches(" kB").parse().unwrap()));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code().unwrap_or(-1), output.join().unwrap(), started.elapsed(), most);
        }
        if started.elapsed() > TIME * 2 {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The commands that read.
const COMMANDS: [&[&str]; 6] = [
    &["plan"],
    &["status"],
    &["init", "status"],
    &["exec", "--profile", "dev", "--", "true"],
    &["list"],
    &["import", "-o", "imported"],
];

/// Runs each command against an AWS, all at the same time, and checks the limits.
fn bounded(url: &str, commands: &[&[&str]]) -> Vec<String> {
    let world = project();
    let started: Vec<(String, Child)> = commands
        .iter()
        .map(|args| {
            let mut command = world.command(args);
            command.args(["--endpoint-url", url]).env("AWS_REGION", "us-east-1");
            // `exec` passes everything after `--` to the command.
            let child = if args.contains(&"--") {
                let mut command = world.command_as("alice", args);
                command.env("AWS_ENDPOINT_URL", url).spawn().unwrap()
            } else {
                command.spawn().unwrap()
            };
            (args.join(" "), child)
        })
        .collect();
    let watching: Vec<_> =
        started.into_iter().map(|(name, child)| std::thread::spawn(move || (name, watch(child)))).collect();
    let mut all = Vec::new();
    for watched in watching {
        let (name, (code, output, took, most)) = watched.join().unwrap();
        assert!(took < TIME, "{name} took {took:?}: {output}");
        assert!(most < KIB, "{name} took {most} KiB: {output}");
        assert_ne!(code, 0, "{name} was content: {output}");
        all.push(output);
    }
    all
}

/// A body with a large length, and one without a length.
#[test]
fn an_endless_body_ends_the_run() {
    for head in ["HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let url = aws(move |_, _, stream| {
            stream.write_all(head.as_bytes())?;
            let chunk = vec![b' '; 1 << 16];
            loop {
                stream.write_all(&chunk)?;
            }
        });
        bounded(&url, &COMMANDS);
    }
}

/// The same with an error, and with JSON whose string never ends.
#[test]
fn an_endless_error_ends_the_run() {
    let url = aws(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n{\"__type\": \"ValidationException\", \"message\": \"")?;
        let chunk = vec![b'x'; 1 << 16];
        loop {
            stream.write_all(&chunk)?;
        }
    });
    bounded(&url, &COMMANDS);
}

#[test]
fn garbage_ends_the_run() {
    let url = aws(|operation, _, stream| match operation {
        "GetCallerIdentity" => caller(stream),
        _ => answer(stream, &"{\"a\": [".repeat(10_000)),
    });
    bounded(&url, &COMMANDS);
    let url = aws(|_, _, stream| stream.write_all(&[0xff; 4096]));
    bounded(&url, &COMMANDS);
}

#[test]
fn a_slow_response_ends_the_run() {
    let url = aws(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
        loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    bounded(&url, &COMMANDS);
}

/// Returns a page of a listing that always has another page.
fn page(operation: &str, token: &str) -> Value {
    let parameter = |number: usize| {
        json!({ "Name": format!("/sentinel/policies/p{token}-{number}"), "Type": "String", "Version": 1,
                "Value": "x".repeat(8000) })
    };
    match operation {
        "GetParametersByPath" => {
            json!({ "Parameters": (0..10).map(parameter).collect::<Vec<_>>(), "NextToken": token })
        }
        "DescribeParameters" => json!({ "Parameters": [], "NextToken": token }),
        "ListTables" => json!({ "TableNames": [], "LastEvaluatedTableName": token }),
        "ListTagsOfResource" => json!({ "Tags": [], "NextToken": token }),
        "Query" => {
            json!({ "Items": [], "Count": 0, "ScannedCount": 1, "LastEvaluatedKey": { "id": { "S": token } } })
        }
        "DescribeTable" => json!({ "Table": { "TableName": "t", "TableStatus": "ACTIVE",
            "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/t",
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }] } }),
        _ => json!({}),
    }
}

/// Endless pages: each with a new token, always with the same one, and with two alternating ones.
#[test]
fn endless_pages_end_the_run() {
    for tokens in [usize::MAX, 1, 2] {
        let count = AtomicUsize::new(0);
        let url = aws(move |operation, _, stream| {
            if operation == "GetCallerIdentity" {
                return caller(stream);
            }
            let token = format!("t{}", count.fetch_add(1, Ordering::Relaxed) % tokens);
            answer(stream, &page(operation, &token).to_string())
        });
        bounded(&url, &[&["import", "-o", "imported"], &["list"], &["plan", "--prune"]]);
    }
}

/// Slow pages, so that a limit on their number is not enough.
#[test]
fn slow_pages_end_the_run() {
    let count = AtomicUsize::new(0);
    let url = aws(move |operation, _, stream| {
        if operation == "GetCallerIdentity" {
            return caller(stream);
        }
        std::thread::sleep(Duration::from_secs(1));
        answer(stream, &page(operation, &format!("t{}", count.fetch_add(1, Ordering::Relaxed))).to_string())
    });
    let output = bounded(&url, &[&["import", "-o", "imported"], &["list"]]);
    assert!(output.iter().all(|output| output.contains("no end")), "{output:?}");
}

/// Items that are small as JSON and large in memory, on endless pages.
#[test]
fn endless_items_end_the_run() {
    let count = AtomicUsize::new(0);
    let url = aws(move |operation, _, stream| {
        if operation == "GetCallerIdentity" {
            return caller(stream);
        }
        let token = count.fetch_add(1, Ordering::Relaxed);
        let attributes = |item: usize| (0..100).map(move |name| (format!("a{item}-{name}"), json!({ "S": "" })));
        let items: Vec<Value> = (0..500).map(|item| Value::Object(attributes(item).collect())).collect();
        let body = json!({ "Items": items, "Count": 500, "LastEvaluatedKey": { "id": { "S": token.to_string() } } });
        answer(stream, &body.to_string())
    });
    bounded(&url, &[&["list", "--all"]]);
}

/// The server resembles AWS closely enough that a finite listing succeeds.
#[test]
fn a_run_against_a_regular_aws_is_within_the_limits() {
    let world = World::new();
    let mut command = world.command(&["init", "status", "--endpoint-url", world.url()]);
    command.env("AWS_REGION", "us-east-1");
    let (_, output, took, most) = watch(command.spawn().unwrap());
    assert!(took < TIME && most < KIB, "{took:?}, {most} KiB: {output}");
}

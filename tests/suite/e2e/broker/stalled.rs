//! A log whose reader has stopped.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
use std::sync::mpsc::{Receiver, channel};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::*;

/// Writes to a pipe until it takes no more bytes before it is read.
fn fill(mut pipe: &PipeWriter) {
    let flags = fcntl_getfl(pipe).unwrap();
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    while pipe.write(b"\n").is_ok() {}
    fcntl_setfl(pipe, flags).unwrap();
}

fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    fill(&writer);
    (reader, writer)
}

/// Reads a pipe in a thread of its own, and returns the lines with text.
fn lines(reader: PipeReader) -> Receiver<Value> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
            if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Starts a broker with these outputs.
fn start(world: &World, log: impl Into<Stdio>, events: impl Into<Stdio>) -> Broker {
    Broker::start(world).kill();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let args = ["broker", "-v", "-f", "broker/sentinel.toml", "--listen", &format!("127.0.0.1:{port}"), "--url", &url];
    let child = world.command_as("broker", &args).stdout(log).stderr(events).spawn().unwrap();
    let broker = Broker { child, url, log: PathBuf::new() };
    broker.wait();
    broker
}

const DEV: &[&str] = &["exec", "--profile", "dev", "--", "true"];

#[test]
fn a_log_whose_reader_stalls_stops_releases_only() {
    let world = world();
    let (reader, writer) = full_pipe();
    let broker = start(&world, writer, Stdio::null());
    for user in ["alice", "eve"] {
        let run = broker.run(&world, user, DEV).expect(1);
        assert!(run.stderr.contains("error[E601]") && run.stderr.contains("log"), "{}", run.stderr);
    }
    world.calls();
    let wanted = ["request", "--profile", "prod", "--justification", "Deploy the hotfix"];
    broker.run(&world, "alice", &wanted).expect(1);
    assert!(world.writes().is_empty(), "no record without a line in the log");
    assert_eq!(broker.send("GET /healthz", ""), (200, String::from("ok\n")));
    // The reader continues.
    let lines = lines(reader);
    let late = lines.recv().unwrap();
    assert_eq!(late["outcome"], "released", "{late}");
    broker.run(&world, "alice", DEV).expect(0);
    assert_eq!(lines.recv().unwrap()["outcome"], "released");
    assert_eq!(broker.terminate(), Some(0));
}

#[test]
fn a_reader_of_events_that_stalls_stops_nothing() {
    let world = world();
    let (_reader, writer) = std::io::pipe().unwrap();
    let broker = start(&world, Stdio::null(), writer.try_clone().unwrap());
    broker.run(&world, "alice", DEV).expect(0);
    fill(&writer);
    broker.run(&world, "alice", DEV).expect(0);
    assert_eq!(broker.send("GET /healthz", ""), (200, String::from("ok\n")));
}

#[test]
fn a_broker_whose_log_stalls_ends_at_sigterm() {
    let world = world();
    let (_reader, writer) = full_pipe();
    let broker = start(&world, writer, Stdio::null());
    broker.run(&world, "alice", DEV).expect(1);
    assert_eq!(broker.terminate(), Some(0));
}

//! The diagnostics of a run: its log, summary, trace file, and the request IDs of calls; and its time limit.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::world::World;

fn project() -> World {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\n[profiles.prod]\n[tables.approvals]\n[tables.sessions]\n",
    );
    world
}

#[test]
fn a_verbose_log_ends_with_a_summary_of_the_calls() {
    let run = project().run(&["plan", "-v"]).expect(0);
    let line = run.stderr.lines().find(|line| line.contains("ssm:GetParameters\"")).unwrap_or_default();
    assert!(
        line.contains("read{what=\"2 profiles\"}:call{action=\"ssm:GetParameters\"}:request{number=1}: answered"),
        "{line}"
    );
    assert!(line.contains("request_id=\"local\""), "{line}");
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
    let (_, summary) = run.stderr.split_once("AWS: ").unwrap();
    let (head, rows) = summary.split_once('\n').unwrap();
    assert!(head.starts_with("8 requests, 4 failed"), "{head}");
    let counts: BTreeMap<&str, &str> = rows.lines().filter_map(|row| row.trim().split_once("  ")).collect();
    assert_eq!(counts.len(), 5, "{rows}");
    assert!(counts["dynamodb:DescribeTable"].trim().starts_with("2  "), "{rows}");
}

#[test]
fn a_quiet_run_does_not_log_its_calls() {
    let run = project().run(&["plan"]).expect(0);
    assert!(!run.stderr.contains("AWS:") && !run.stderr.contains("DEBUG"), "{}", run.stderr);
}

#[test]
fn a_json_log_has_one_object_per_line_and_makes_no_call() {
    let world = project();
    let lines = |stderr: &str| -> Vec<Value> {
        stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    };
    let run = world.run(&["apply", "--log-format", "json"]).expect(1);
    let output = lines(&run.stderr);
    assert!(output.iter().any(|line| line["message"].as_str().unwrap().contains("error[E005]: there is no terminal")));
    let run = world.run(&["apply", "--yes", "-v", "--log-format", "json"]).expect(0);
    let output = lines(&run.stderr);
    let says = |wanted: &dyn Fn(&Value) -> bool| output.iter().any(wanted);
    assert!(
        says(&|line| line["message"].as_str().unwrap().ends_with("sentinel-requests: enabling TTL")),
        "{output:#?}"
    );
    assert!(says(&|line| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        let field_of_span =
            |name: &str, key: &str| spans.iter().find(|span| span["name"] == name).map(|span| span[key].clone());
        field_of_span("resource", "address") == Some(json!("profiles.dev"))
            && field_of_span("call", "action") == Some(json!("ssm:PutParameter"))
            && line["request_id"] == "local"
            && line["level"] == "DEBUG"
            && line["timestamp"].is_string()
    }));
    assert!(run.stdout.contains("Verified: everything is in sync."));
}

/// Spans in a lane do not overlap, except with their parents.
#[test]
fn a_trace_file_shows_concurrent_work_in_separate_lanes() {
    let world = project();
    world.run(&["apply", "--yes", "--trace-file", "trace.json"]).expect(0);
    // The format does not require the end of the array.
    let text = std::fs::read_to_string(world.folder.path().join("trace.json")).unwrap() + "]";
    let events: Vec<Value> = serde_json::from_str(&text).unwrap();
    let spans: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
    let named = |name: &str| spans.iter().filter(|span| span["name"] == name).count();
    assert_eq!((named("ssm:PutParameter"), named("dynamodb:CreateTable"), named("profiles.dev")), (2, 2, 1));
    let extent = |span: &Value| {
        let start = span["ts"].as_f64().unwrap();
        (start, start + span["dur"].as_f64().unwrap())
    };
    let mut lanes: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for span in &spans {
        lanes.entry(span["tid"].as_u64().unwrap()).or_default().push(extent(span));
    }
    assert!(lanes.len() > 1, "nothing ran side by side");
    for lane in lanes.values() {
        for (place, (start, end)) in lane.iter().enumerate() {
            for (other, until) in &lane[place + 1..] {
                let apart = end <= other || until <= start;
                let within = (start >= other && end <= until) || (other >= start && until <= end);
                assert!(apart || within, "{start}..{end} and {other}..{until} cross");
            }
        }
    }
    let answered =
        spans.iter().filter(|span| span["cat"] == "request" && span["args"]["request_id"] == "local").count();
    assert!(answered > 10, "{answered}");
}

/// A manifest that is named by mistake would be overwritten before it is read.
#[test]
fn a_trace_overwrites_only_a_trace() {
    let world = project();
    let manifest = std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap();
    world.write("notes.json", "[1, 2]\n").write("new.json", "");
    for file in ["sentinel.toml", "notes.json"] {
        let run = world.run(&["plan", "--trace-file", file]).expect(1);
        assert!(run.stderr.contains(&format!("error[E002]: {file}: this file ")), "{}", run.stderr);
    }
    assert_eq!(std::fs::read_to_string(world.folder.path().join("sentinel.toml")).unwrap(), manifest);
    assert_eq!(std::fs::read_to_string(world.folder.path().join("notes.json")).unwrap(), "[1, 2]\n");
    for _ in 0..2 {
        world.run(&["plan", "--trace-file", "new.json"]).expect(0);
    }
    assert!(std::fs::read_to_string(world.folder.path().join("new.json")).unwrap().contains("\"ph\":\"X\""));
}

#[test]
fn an_unwritable_trace_file_is_reported_before_any_call() {
    let world = project();
    let run = world.run(&["plan", "--trace-file", "nowhere/trace.json"]).expect(1);
    assert!(run.stderr.contains("error[E002]: nowhere/trace.json: "), "{}", run.stderr);
    assert_eq!(world.calls().len(), 0);
}

#[test]
fn a_failed_call_is_reported_with_its_request_id() {
    let world = project();
    world.fail("PutParameter", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes", "--json"]).expect(5);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let why = document["result"]["resources"][0]["why"].as_str().unwrap();
    assert!(why.contains("ssm:PutParameter: AccessDeniedException") && why.ends_with("(request local)"), "{why}");
}

/// The time limit expires while AWS does not accept the table: the report lists done and missing changes, and the next run continues.
#[test]
fn a_run_ends_at_its_time_limit() {
    let world = project();
    world.fail("CreateTable", "ThrottlingException", "");
    let run = world.run(&["apply", "--yes", "--timeout", "2s"]).expect(5);
    assert!(run.stdout.contains("+ /sentinel/policies/dev (created)"), "{}", run.stdout);
    let late = "X Approvals table: sentinel-requests: not done before the --timeout\n      not done: creating";
    assert!(run.stdout.contains(late), "{}", run.stdout);
    assert!(run.stdout.contains("2 not done."), "{}", run.stdout);
    assert!(run.stdout.contains("Run the same command again to continue"), "{}", run.stdout);
    world.clear_faults();
    world.run(&["apply", "--yes", "--timeout", "10m"]).expect(0);
}

#[test]
fn a_plan_beyond_the_time_limit_is_an_error() {
    let world = project();
    world.fail("GetParameters", "ThrottlingException", "");
    let run = world.run(&["plan", "--timeout", "1s"]).expect(1);
    assert!(
        run.stderr.contains("error[E008]: the --timeout expired before anything was changed\nhint: set"),
        "{}",
        run.stderr
    );
    assert_eq!(world.writes(), Vec::<String>::new());
}

/// AWS's texts appear in a log without effect on a terminal.
#[test]
fn a_log_has_no_terminal_escapes() {
    let world = project();
    world.fault(|call| {
        let hostile = "\u{1b}[2J \u{9b}31m \u{202e} \r\n error: all is well";
        (call.operation == "GetParameters").then(|| crate::world::Answer::error(400, "ValidationException", hostile))
    });
    for format in ["text", "json"] {
        let run = world.run(&["plan", "-v", "--log-format", format]).expect(1);
        assert!(run.stderr.contains("all is well"), "{}", run.stderr);
        let obeyed = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
        assert!(!run.stderr.contains(obeyed), "{format}: {:?}", run.stderr);
        assert!(!run.stderr.lines().any(|line| line.trim_start().starts_with("error: all is well")), "{}", run.stderr);
    }
}

/// The command replaces the process, so the summary is printed before.
#[test]
fn exec_prints_its_summary_before_the_command() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n");
    world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: all, effect: allow }\n");
    world.run(&["apply", "--yes"]).expect(0);
    let run = world.run_as("alice", &["exec", "-v", "--profile", "dev", "--", "true"]).expect(0);
    // The table of the locks does not exist.
    assert!(run.stderr.contains("AWS: 4 requests, 1 failed\n"), "{}", run.stderr);
}

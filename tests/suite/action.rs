//! The GitHub action: its scripts run as on GitHub, against the AWS emulator and a stub of GitHub's API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::docs::root;
use crate::world::{Run, World, finish};

/// The state of the stub, and the received requests.
#[derive(Debug, Default)]
struct State {
    comments: Vec<Value>,
    issues: Vec<Value>,
    requests: Vec<String>,
    /// The number of reads that fail next.
    failures: usize,
    /// A foreign address for the next page of a list.
    next: Option<String>,
    /// The response to every read, instead of the stored state.
    refusal: Option<String>,
}

/// A stub of GitHub's API.
struct Github {
    url: String,
    state: Arc<Mutex<State>>,
}

const BOT: &str = "github-actions[bot]";

const COMMIT: &str = "0123456789012345678901234567890123456789";

impl Github {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let (own, address) = (Arc::clone(&state), url.clone());
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &own, &address)));
        Self { url, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, state: &Mutex<State>, root: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    let mut headers = BTreeMap::new();
    reader.read_line(&mut head).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let mut state = state.lock().unwrap();
    state.requests.push(format!("{method} {path}"));
    let (status, link, answer) = match headers.get("authorization").map(String::as_str) {
        Some("Bearer secret") => act(&mut state, method, &path, &body, root),
        _ => (401, String::new(), json!({ "message": "Bad credentials" })),
    };
    // A string is sent as it is, and any other value as JSON.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let link = if link.is_empty() { link } else { format!("Link: {link}\r\n") };
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{link}Connection: close\r\n\r\n{text}", text.len())
        .unwrap();
}

fn act(state: &mut State, method: &str, path: &str, body: &Value, root: &str) -> (u16, String, Value) {
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parts: Vec<&str> = place.trim_start_matches("/repos/acme/aws").split('/').skip(1).collect();
    if method == "GET" && state.failures > 0 {
        state.failures -= 1;
        return (502, String::new(), json!({ "message": "Bad gateway" }));
    }
    if let Some(refusal) = state.refusal.clone().filter(|_| method == "GET") {
        return (422, String::new(), Value::String(refusal));
    }
    let number = |state: &State| state.comments.len() + state.issues.len() + 1;
    let with = |mut thing: Value, number: usize, what: &str| {
        thing["id"] = json!(number);
        thing["number"] = json!(number);
        thing["user"] = json!({ "login": BOT });
        thing["state"] = json!("open");
        thing["html_url"] = json!(format!("https://github.example/{what}/{number}"));
        thing
    };
    match (method, parts.as_slice()) {
        // A page has two items, so that the second page is needed.
        ("GET", ["issues", _, "comments"]) => {
            let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
            let shown: Vec<&Value> = state.comments.iter().skip((page - 1) * 2).take(2).collect();
            let more = state.comments.len() > page * 2;
            let link = if more { format!("<{root}{place}?page={}>; rel=\"next\"", page + 1) } else { String::new() };
            let link =
                state.next.clone().map_or(link, |next| format!("<{}>; rel=\"next\"", next.replace("ROOT", root)));
            (200, link, json!(shown))
        }
        ("POST", ["issues", _, "comments"]) => {
            let made = with(body.clone(), number(state), "comment");
            state.comments.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", "comments", id]) => {
            let found = state.comments.iter_mut().find(|one| one["id"].as_u64() == id.parse().ok()).unwrap();
            found["body"] = body["body"].clone();
            (200, String::new(), found.clone())
        }
        ("GET", ["issues"]) => {
            let open: Vec<&Value> = state.issues.iter().filter(|one| one["state"] == "open").collect();
            (200, String::new(), json!(open))
        }
        ("POST", ["issues"]) => {
            let made = with(body.clone(), number(state), "issue");
            state.issues.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", number]) => {
            let found = state.issues.iter_mut().find(|one| one["number"].as_u64() == number.parse().ok()).unwrap();
            found.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            (200, String::new(), found.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// Returns whether Python is installed, and fails if the environment requires it.
fn python() -> bool {
    let here = Command::new("python3").arg("--version").output().is_ok();
    assert!(here || std::env::var_os("SENTINEL_TEST_PYTHON").is_none(), "there is no python3 here");
    here
}

/// A workflow run: the outputs of a step, and its summary.
struct Workflow {
    world: World,
    github: Github,
}

impl Workflow {
    fn new() -> Self {
        let world = World::new();
        world.write(
            "sentinel.toml",
            "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n",
        );
        world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: rest, effect: deny }\n");
        Self { world, github: Github::new() }
    }

    fn script(&self, words: &[&str], variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new(words[0]);
        let like = self.world.command(&[]);
        command.args(&words[1..]).current_dir(self.world.folder.path()).env_clear();
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let binary = Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap();
        command.env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()));
        command.env("AWS_ENDPOINT_URL", self.world.url()).env("RUNNER_TEMP", self.world.folder.path());
        command.env("GITHUB_OUTPUT", self.world.folder.path().join("output"));
        command.env("GITHUB_STEP_SUMMARY", self.world.folder.path().join("summary"));
        command
            .env("GITHUB_API_URL", &self.github.url)
            .env("GITHUB_REPOSITORY", "acme/aws")
            .env("GITHUB_TOKEN", "secret");
        command.env("COMMIT", COMMIT).env("GITHUB_SERVER_URL", "https://github.example");
        command.env("GITHUB_RUN_ID", "99").env("GITHUB_RUN_ATTEMPT", "2");
        command.env("SENTINEL_GITHUB_PAUSE", "0").envs(variables.iter().copied());
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        finish(command.spawn().unwrap())
    }

    /// Runs sentinel as the action does, and returns the outputs of the step.
    fn run(&self, command: &str, plan_file: &str) -> (Run, BTreeMap<String, String>) {
        self.run_with(command, plan_file, "")
    }

    /// The same with more options of sentinel.
    fn run_with(&self, command: &str, plan_file: &str, options: &str) -> (Run, BTreeMap<String, String>) {
        let _ = std::fs::remove_file(self.world.folder.path().join("output"));
        let script = root().join("action/run.sh");
        let variables = [
            ("SENTINEL_COMMAND", command),
            ("SENTINEL_FILE", "sentinel.toml"),
            ("SENTINEL_PLAN_FILE", plan_file),
            ("SENTINEL_ARGS", options),
        ];
        let run = self.script(&[script.to_str().unwrap()], &variables).expect(0);
        (run, self.outputs())
    }

    /// Returns the outputs of the steps so far.
    fn outputs(&self) -> BTreeMap<String, String> {
        let outputs = std::fs::read_to_string(self.world.folder.path().join("output")).unwrap();
        let outputs = outputs.lines().map(|line| line.split_once('=').unwrap());
        outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn end(&self, command: &str, code: &str, incomplete: &str) -> i32 {
        let script = root().join("action/end.sh");
        let variables =
            [("SENTINEL_COMMAND", command), ("SENTINEL_EXITCODE", code), ("SENTINEL_ALLOW_INCOMPLETE", incomplete)];
        self.script(&[script.to_str().unwrap()], &variables).code
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.world.folder.path().join(path)).unwrap()
    }

    /// Keeps the issues up to date after a drift check.
    fn keep(&self, outputs: &BTreeMap<String, String>, allow_incomplete: &str) -> String {
        let about = ["issue", "--label", "sentinel-drift", "--key", "sentinel.toml", "--author", BOT];
        let result = ["--exitcode", &outputs["exitcode"], "--allow-incomplete", allow_incomplete];
        let files = ["--body", &outputs["markdown"], "--json", &outputs["json"], "--log", &outputs["log"]];
        self.post(&[&about[..], &result, &files].concat()).expect(0).stdout
    }

    fn post(&self, words: &[&str]) -> Run {
        let script = root().join("action/github.py");
        self.script(&[&["python3", script.to_str().unwrap()], words].concat(), &[])
    }
}

/// HashiCorp Sentinel has a program of the same name.
#[test]
fn only_this_projects_sentinel_is_accepted() {
    let workflow = Workflow::new();
    let script = root().join("action/identify.sh");
    let identify = |path: &str, version: &str| {
        let variables = [("PATH", path)];
        let variables = if path.is_empty() { &variables[1..] } else { &variables[..] };
        workflow.script(&[script.to_str().unwrap(), version], variables)
    };
    identify("", "").expect(0);
    identify("", env!("CARGO_PKG_VERSION")).expect(0);
    assert!(identify("", "9.9.9").expect(1).stdout.contains("not 9.9.9"));
    assert!(identify("/usr/bin:/bin", "").expect(1).stdout.contains("sentinel is not installed"));
    workflow.world.write("other/sentinel", "#!/bin/sh\necho 'Sentinel v0.40.0'\n");
    let other = workflow.world.folder.path().join("other");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(other.join("sentinel"), mode).unwrap();
    let refused = identify(&format!("{}:/usr/bin:/bin", other.display()), "").expect(1);
    assert!(refused.stdout.contains("another program of that name"), "{}", refused.stdout);
}

/// From the pull request to its merge: one comment is created and updated, and the merge applies the reviewed plan.
#[test]
fn a_merge_applies_the_plan_of_the_comment() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let stranger = json!({ "id": 1, "body": "<!-- sentinel comment: a/sentinel.toml -->\nmine now", "user": { "login": "mallory" }, "html_url": "x" });
    workflow.github.state().comments = vec![stranger.clone(), stranger.clone(), stranger];
    let (run, outputs) = workflow.run("plan", "plan.json");
    assert_eq!((outputs["exitcode"].as_str(), outputs["has-changes"].as_str()), ("2", "true"));
    assert!(run.stdout.contains("::notice file=sentinel.toml,line=3,title=create%3A profiles.dev::"), "{}", run.stdout);
    let summary = std::fs::read_to_string(workflow.world.folder.path().join("summary")).unwrap();
    assert!(summary.contains("### sentinel plan: 2 to create"), "{summary}");
    assert_eq!(workflow.end("plan", "2", "false"), 0);

    let comment = |body: &str| {
        let about = ["comment", "--command", "plan", "--exitcode", "2", "--number", "7", "--key", "a/sentinel.toml"];
        workflow.post(&[&about[..], &["--author", BOT, "--body", body]].concat())
    };
    workflow.github.state().failures = 2;
    let wrote = comment(&outputs["markdown"]).expect(0);
    assert_eq!(wrote.stdout, "Wrote https://github.example/comment/4\n");
    let body = workflow.github.state().comments[3]["body"].as_str().unwrap().to_owned();
    assert!(
        body.starts_with(
            "<!-- sentinel comment: a/sentinel.toml -->\n<!-- sentinel: plan -->\n### sentinel plan: 2 to create"
        ),
        "{body}"
    );
    for fact in [
        "Commit [0123456](https://github.example/acme/aws/commit/0123456789012345678901234567890123456789)",
        "[run 99](https://github.example/acme/aws/actions/runs/99/attempts/2)",
        " UTC\n",
        "**Next:** Review the changes.",
    ] {
        assert!(body.contains(fact), "{fact} in {body}");
    }
    workflow.github.requests();
    // Another plan changes the same comment, and no comment of another author.
    workflow.world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n");
    let (_, outputs) = workflow.run("plan", "plan.json");
    comment(&outputs["markdown"]).expect(0);
    assert_eq!(
        workflow.github.requests().iter().filter(|call| !call.starts_with("GET")).collect::<Vec<_>>(),
        ["PATCH /repos/acme/aws/issues/comments/4"]
    );
    let comments = workflow.github.state().comments.clone();
    assert!(comments[3]["body"].as_str().unwrap().contains("1 to create"), "{comments:#?}");
    assert!(comments[..3].iter().all(|one| one["body"].as_str().unwrap().ends_with("mine now")));

    // The merge applies this plan once.
    let (run, outputs) = workflow.run("apply", "plan.json");
    assert_eq!(outputs["exitcode"], "0", "{}", run.stdout);
    assert!(
        run.stdout.starts_with("::stop-commands::") && run.stdout.contains("Verified: everything is in sync."),
        "{}",
        run.stdout
    );
    // The result is written to the same comment, above the plan.
    let result = |outputs: &BTreeMap<String, String>| {
        let about = ["comment", "--command", "apply", "--number", "7", "--key", "a/sentinel.toml", "--author", BOT];
        workflow
            .post(&[&about[..], &["--exitcode", &outputs["exitcode"], "--log", &outputs["log"]]].concat())
            .expect(0);
        let comments = workflow.github.state().comments.clone();
        assert_eq!(comments.len(), 4);
        comments[3]["body"].as_str().unwrap().to_owned()
    };
    let body = result(&outputs);
    let at = |words: &str| body.find(words).unwrap_or_else(|| panic!("{words} in {body}"));
    assert!(body.starts_with("<!-- sentinel comment: a/sentinel.toml -->\n<!-- sentinel: apply -->\n"), "{body}");
    assert!(at("### sentinel apply: applied") < at("### sentinel plan: 1 to create"));
    assert!(body.contains("    Verified: everything is in sync."), "{body}");
    // The plan is stale once it is applied. This result replaces the one before.
    let (_, outputs) = workflow.run("apply", "plan.json");
    assert_eq!(outputs["exitcode"], "4");
    let body = result(&outputs);
    assert!(body.contains("### sentinel apply: refused") && body.contains("run the apply workflow by hand"), "{body}");
    assert_eq!((body.matches("### sentinel apply").count(), body.matches("### sentinel plan").count()), (1, 1));
    assert_eq!(workflow.end("apply", "4", "true"), 4);
}

/// A plan with findings of `fail-on` ends with 1 after its full output.
#[test]
fn a_plan_that_must_not_merge_says_so_and_fails() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "<!-- sentinel: plan -->\n### sentinel plan: 1 to change\n\n- ### x: failed\n");
    workflow.world.write("log", "\u{1b}[1merror: 1 test case fails\n::add-mask::x\n");
    let about = ["comment", "--command", "plan", "--exitcode", "1", "--number", "7", "--key", "k", "--author", BOT];
    workflow.post(&[&about[..], &["--body", "body", "--log", "log"]].concat()).expect(0);
    let body = workflow.github.state().comments[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("### sentinel plan: 1 to change\n\nCommit "), "{body}");
    assert!(body.contains("This plan must not merge:\n\n     [1merror: 1 test case fails\n\n"), "{body}");
    assert!(body.contains("**Next:** Do not merge") && !body.contains("add-mask"), "{body}");
    assert_eq!(workflow.end("plan", "1", "true"), 1);
}

#[test]
fn an_unknown_option_is_reported_and_not_an_empty_comment() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let script = root().join("action/run.sh");
    let variables =
        [("SENTINEL_COMMAND", "plan"), ("SENTINEL_FILE", "sentinel.toml"), ("SENTINEL_ARGS", "--everything")];
    workflow.script(&[script.to_str().unwrap()], &variables).expect(0);
    let outputs = workflow.outputs();
    assert_eq!(outputs["exitcode"], "1");
    let about = ["comment", "--command", "plan", "--exitcode", "1", "--number", "7", "--key", "k", "--author", BOT];
    workflow.post(&[&about[..], &["--body", &outputs["markdown"], "--log", &outputs["log"]]].concat()).expect(0);
    let body = workflow.github.state().comments[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains("### sentinel plan: failed") && body.contains("    error: unexpected argument"), "{body}");
    assert!(body.contains("**Next:** Do not merge"), "{body}");
}

/// A plan that fails is reported in the comment, and then fails the job.
#[test]
fn a_failed_plan_is_reported_and_fails_the_job() {
    let workflow = Workflow::new();
    workflow.world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[tables.audit]\nname = \"x\"\n::error::no\n");
    let (run, outputs) = workflow.run("plan", "plan.json");
    assert_eq!(outputs["exitcode"], "1");
    assert_eq!(workflow.end("plan", "1", "true"), 1);
    let body = std::fs::read_to_string(&outputs["markdown"]).unwrap();
    assert!(body.contains("### sentinel plan: failed") && body.contains("E003"), "{body}");
    assert!(run.stdout.starts_with("::error file=sentinel.toml,line="), "{}", run.stdout);
    // Workflow commands on stderr have no effect.
    assert!(run.stderr.starts_with("::stop-commands::"), "{}", run.stderr);
    assert!(!workflow.world.folder.path().join("plan.json").exists());
}

#[test]
fn failed_reads_pass_only_if_allowed() {
    let workflow = Workflow::new();
    workflow.world.fail("DescribeTable", "AccessDeniedException", "");
    let (_, outputs) = workflow.run("drift", "");
    assert_eq!(outputs["exitcode"], "3");
    assert_eq!((workflow.end("drift", "3", "false"), workflow.end("drift", "3", "true")), (3, 0));
}

#[test]
fn has_changes_says_whether_the_plan_has_changes_whatever_else_it_found() {
    let check = |workflow: &Workflow, options: &str, code: &str, changes: &str| {
        let (run, outputs) = workflow.run_with("plan", "", options);
        let found = (outputs["exitcode"].as_str(), outputs["has-changes"].as_str());
        assert_eq!(found, (code, changes), "{options}: {}", run.stderr);
    };
    let workflow = Workflow::new();
    check(&workflow, "", "2", "true");
    workflow.world.fail("DescribeTable", "AccessDeniedException", "");
    check(&workflow, "--fail-on incomplete", "1", "true");
    check(&workflow, "", "3", "true");
    workflow.world.clear_faults();
    assert_eq!(workflow.run("apply", "").1["has-changes"], "false");
    workflow.world.fail("DescribeTable", "AccessDeniedException", "");
    check(&workflow, "--fail-on incomplete", "1", "false");
    workflow.world.clear_faults();
    check(&workflow, "", "0", "false");
    check(&workflow, "--no-such-option", "1", "false");

    let targets = "[targets.one]\nregion = \"us-east-1\"\n[targets.two]\nregion = \"eu-west-1\"\n";
    workflow.world.write("sentinel.toml", &format!("{targets}[profiles.dev]\npolicy = \"dev.yaml\"\n"));
    check(&workflow, "--fail-on incomplete", "2", "true");
    check(&workflow, "--target one", "0", "false");
}

/// While there is drift, there is one issue: opened, updated, closed.
#[test]
fn drift_has_one_issue_until_it_is_repaired() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let (_, outputs) = workflow.run("drift", "");
    assert_eq!(outputs["exitcode"], "2");
    assert_eq!(workflow.keep(&outputs, "false"), "Opened https://github.example/issue/1\n");
    assert_eq!(workflow.keep(&outputs, "false"), "Updated https://github.example/issue/1\n");
    workflow.world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: other, effect: deny }\n");
    workflow.run("apply", "");
    let (_, outputs) = workflow.run("drift", "");
    assert_eq!(outputs["exitcode"], "0");
    assert_eq!(workflow.keep(&outputs, "false"), "Closed https://github.example/issue/1\n");
    let state = workflow.github.state();
    assert_eq!(state.issues.len(), 1);
    assert_eq!(state.issues[0]["title"], json!("Drift: AWS is not in sync with sentinel.toml"));
    assert_eq!((&state.issues[0]["state"], &state.issues[0]["labels"]), (&json!("closed"), &json!(["sentinel-drift"])));
    assert_eq!(state.comments[0]["body"], json!("AWS is in sync again."));
}

/// A check that failed does not know whether there is drift: it has an issue of its own and leaves that of the drift alone.
#[test]
fn a_failed_drift_check_is_not_reported_as_drift() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let manifest = workflow.read("sentinel.toml");
    let (_, drift) = workflow.run("drift", "");
    workflow.keep(&drift, "false");
    let before = workflow.github.state().issues[0].clone();
    workflow.world.write("sentinel.toml", "[aws\n");
    let (_, failed) = workflow.run("drift", "");
    assert_eq!((failed["exitcode"].as_str(), failed["has-changes"].as_str()), ("1", "false"));
    assert_eq!(workflow.keep(&failed, "false"), "Opened https://github.example/issue/2\n");
    assert_eq!(workflow.keep(&failed, "false"), "Updated https://github.example/issue/2\n");
    {
        let state = workflow.github.state();
        assert_eq!(state.issues.len(), 2);
        assert_eq!(state.issues[0], before);
        assert_eq!(state.issues[1]["title"], json!("The drift check of sentinel.toml failed"));
        let body = state.issues[1]["body"].as_str().unwrap();
        assert!(body.contains("it is unknown whether there is drift") && body.contains("    error"), "{body}");
    }
    assert_eq!(workflow.end("drift", "1", "false"), 1);
    // An incomplete check that is allowed reports the drift that it found, and is no failure.
    workflow.world.write("sentinel.toml", &manifest);
    workflow.world.fail("DescribeTable", "AccessDeniedException", "");
    let (_, incomplete) = workflow.run("drift", "");
    assert_eq!(incomplete["exitcode"], "3");
    assert_eq!(workflow.keep(&incomplete, "false"), "Updated https://github.example/issue/2\n");
    workflow.keep(&incomplete, "true");
    let state = workflow.github.state();
    assert_eq!((&state.issues[0]["state"], &state.issues[1]["state"]), (&json!("open"), &json!("closed")));
}

#[test]
fn a_denied_token_is_reported_with_the_required_permissions() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "x");
    let script = root().join("action/github.py");
    let words = [
        "python3",
        script.to_str().unwrap(),
        "comment",
        "--command",
        "plan",
        "--exitcode",
        "2",
        "--number",
        "7",
        "--key",
        "k",
        "--author",
        BOT,
        "--body",
        "body",
    ];
    let refused = workflow.script(&words, &[("GITHUB_TOKEN", "other")]).expect(1);
    assert!(refused.stderr.contains("401") && refused.stderr.contains("set github-token to"), "{}", refused.stderr);
}

/// Returns an existing comment.
fn existing(id: u64, login: Value, body: Value) -> Value {
    json!({ "id": id, "body": body, "user": login, "html_url": format!("https://github.example/comment/{id}") })
}

fn write_comment(workflow: &Workflow, key: &str) -> Run {
    let about = ["comment", "--command", "plan", "--exitcode", "2", "--number", "7", "--key", key, "--author", BOT];
    workflow.post(&[&about[..], &["--body", "body"]].concat())
}

/// Returns whether a comment has a marker as its first line, and ends with the body of the tests.
fn is_comment(comment: &Value, mark: &str) -> bool {
    let body = comment["body"].as_str().unwrap();
    body.starts_with(&format!("{mark}\n")) && body.ends_with("\nnew") && !body.contains("old")
}

/// A plan quotes policies and AWS, so a comment of the action can contain any text.
#[test]
fn the_marker_counts_only_in_the_first_line_of_an_own_comment() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let (mark, bot) = ("<!-- sentinel comment: b -->", json!({ "login": BOT, "type": "Bot" }));
    let others = vec![
        existing(11, bot.clone(), json!(format!("<!-- sentinel comment: a -->\n+    reason: {mark}\n"))),
        existing(12, bot.clone(), json!(format!("<!-- sentinel comment: a -->\n{mark}\n"))),
        existing(13, bot.clone(), json!(format!("{mark} and more"))),
        existing(14, bot.clone(), json!(format!(" {mark}\n"))),
        existing(15, bot.clone(), json!("<!-- sentinel comment: b/c -->\n")),
        existing(16, bot.clone(), Value::Null),
        existing(17, json!({ "login": "mallory", "type": "User" }), json!(format!("{mark}\nx"))),
        existing(18, json!({ "login": BOT, "type": "User" }), json!(format!("{mark}\nx"))),
        existing(19, Value::Null, json!(format!("{mark}\nx"))),
    ];
    workflow.github.state().comments.clone_from(&others);
    write_comment(&workflow, "b").expect(0);
    let comments = workflow.github.state().comments.clone();
    assert_eq!(comments[..others.len()], others);
    assert!(is_comment(&comments[others.len()], mark), "{comments:#?}");
    // A comment that was edited in a browser has other line endings, and is still found.
    workflow.github.state().comments[others.len()]["body"] = json!(format!("{mark}\r\nold"));
    write_comment(&workflow, "b").expect(0);
    assert!(is_comment(&workflow.github.state().comments[others.len()], mark));
    assert_eq!(workflow.github.state().comments.len(), others.len() + 1);
}

#[test]
fn a_drift_issue_is_found_only_by_the_first_line_of_an_own_issue() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let issue = |number: u64, login: &str, body: &str| {
        let mut issue = existing(number, json!({ "login": login }), json!(body));
        issue["number"] = json!(number);
        issue["state"] = json!("open");
        issue
    };
    let others = vec![
        issue(1, BOT, "<!-- sentinel issue: a -->\n`<!-- sentinel issue: b -->`"),
        issue(2, "mallory", "<!-- sentinel issue: b -->\n"),
    ];
    workflow.github.state().issues.clone_from(&others);
    for code in ["2", "0"] {
        let words = ["issue", "--exitcode", code, "--label", "drift", "--key", "b", "--author", BOT, "--body", "body"];
        workflow.post(&words).expect(0);
    }
    assert_eq!(workflow.github.state().issues[..2], others);
    assert_eq!(workflow.github.state().issues[2]["state"], json!("closed"));
}

/// A key can contain any character, and identifies one comment: no character is a pattern or ends the marker.
#[test]
fn every_key_has_its_own_comment() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let keys = ["a.b", "a*b", "a+b", "a_b", "a--b", "a__b", ".*", "x --> <b>@octocat</b>", "x\ny", "x y", "", "é", "ö"];
    for round in 0..2 {
        for key in keys {
            write_comment(&workflow, key).expect(0);
        }
        assert_eq!(workflow.github.state().comments.len(), keys.len(), "{round}");
    }
    for comment in &workflow.github.state().comments {
        let body = comment["body"].as_str().unwrap();
        assert!(body.ends_with("\nnew"), "{body}");
        let mark = body.lines().next().unwrap();
        let inner = mark.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap();
        assert!(!inner.contains("--") && !inner.contains(['>', '<', '\n', '@']), "{mark}");
    }
}

#[test]
fn more_than_a_page_of_comments_is_searched_and_endless_pages_are_not() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let stranger = existing(1, json!({ "login": "mallory" }), json!("x"));
    workflow.github.state().comments = vec![stranger; 30];
    let own = existing(2, json!({ "login": BOT }), json!("<!-- sentinel comment: k -->\nold"));
    workflow.github.state().comments.push(own);
    write_comment(&workflow, "k").expect(0);
    assert!(is_comment(&workflow.github.state().comments[30], "<!-- sentinel comment: k -->"));
    assert_eq!(workflow.github.state().comments.len(), 31);

    workflow.github.state().next = Some("ROOT/repos/acme/aws/issues/7/comments?page=1".to_owned());
    workflow.github.requests();
    let output = write_comment(&workflow, "other").expect(1).stderr;
    assert!(output.contains("more than 50 pages"), "{output}");
    assert!(workflow.github.requests().len() <= 50);
}

/// The token is sent only to GitHub's API.
#[test]
fn a_next_page_on_another_host_is_not_requested() {
    if !python() {
        return;
    }
    let (workflow, elsewhere) = (Workflow::new(), Github::new());
    workflow.world.write("body", "new");
    let port = elsewhere.url.rsplit(':').next().unwrap();
    for next in [format!("{}/x", elsewhere.url), format!("ROOT@127.0.0.1:{port}/x"), "ROOT.example/x".to_owned()] {
        workflow.github.state().next = Some(next);
        let output = write_comment(&workflow, "k").expect(1).stderr;
        assert!(output.contains("is not at"), "{output}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn responses_of_github_are_not_executed_as_commands() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let refusal = "x\n::error::a\r::warning::b\n ::add-mask::c ##[add-matcher]d \u{1b}[2J\u{202e}";
    workflow.github.state().refusal = Some(refusal.to_owned());
    let run = write_comment(&workflow, "k").expect(1);
    let output = run.stdout + &run.stderr;
    assert!(output.contains("422") && output.contains("add-matcher"), "{output}");
    // A line that starts with two colons is a workflow command, and so is this anywhere in a line.
    assert!(!output.contains("##["), "{output}");
    assert!(!output.split(['\n', '\r']).any(|line| line.trim_start().starts_with("::")), "{output}");
    assert!(!output.contains(['\u{1b}', '\u{202e}', '\r']), "{output:?}");
}

/// If a text in a code block were truncated, its rest would be outside of the block.
#[test]
fn a_comment_body_that_is_too_long_is_omitted() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", &format!("`{}@octocat`", "x".repeat(70_000)));
    write_comment(&workflow, "k").expect(0);
    let body = workflow.github.state().comments[0]["body"].as_str().unwrap().to_owned();
    assert!(body.len() < 1_000 && !body.contains('`') && body.contains("log"), "{}", body.len());
}

/// A saved plan, its record, and a stand-in for `gh` that exits with a code.
struct Artifact {
    workflow: Workflow,
}

impl Artifact {
    fn new() -> Self {
        let workflow = Workflow::new();
        workflow.world.write("artifact/plan.json", "{}");
        workflow.world.write("tools/gh", "#!/bin/sh\necho \"$@\" >>gh.log\nexit \"${GH_EXIT:-0}\"\n");
        let gh = workflow.world.folder.path().join("tools/gh");
        std::fs::set_permissions(gh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let artifact = Self { workflow };
        artifact.commit("first");
        artifact
            .origin(&["write", "--plan", "artifact/plan.json", "--pull-request", "7", "--base", "main"], &[])
            .expect(0);
        artifact
    }

    /// Commits the manifest, so that the checkout has another tree.
    fn commit(&self, text: &str) {
        self.workflow.world.write("tracked", text);
        let author = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"];
        for words in [&["init", "-q"][..], &["add", "tracked"], &["commit", "-q", "-m", "x"]] {
            self.workflow.script(&[&["git"], &author[..], words].concat(), &[]).expect(0);
        }
    }

    fn origin(&self, words: &[&str], variables: &[(&str, &str)]) -> Run {
        let script = root().join("action/origin.py");
        let tools = self.workflow.world.folder.path().join("tools");
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let runner =
            [("PATH", path.as_str()), ("GITHUB_WORKFLOW_REF", "acme/aws/.github/workflows/plan.yml@refs/pull/7/merge")];
        let words = [&["python3", "-I", script.to_str().unwrap()], words, &["--commit", COMMIT]].concat();
        self.workflow.script(&words, &[&runner, variables].concat())
    }

    /// Checks the artifact as apply.yml does, with some options changed.
    fn check(&self, changed: &[(&str, &str)], variables: &[(&str, &str)]) -> Run {
        let mut options = BTreeMap::from([
            ("--folder", "artifact"),
            ("--name", "plan.json"),
            ("--pull-request", "7"),
            ("--base", "main"),
            ("--workflow", ".github/workflows/plan.yml"),
            ("--ref", "refs/pull/7/merge"),
            ("--attestation", "required"),
        ]);
        options.extend(changed.iter().copied());
        let words: Vec<&str> =
            std::iter::once("check").chain(options.iter().flat_map(|(name, value)| [*name, *value])).collect();
        self.origin(&words, variables)
    }

    fn refuses(&self, refused: &Run, message: &str) {
        assert_eq!(refused.code, 1, "{message}: {}", refused.stderr);
        assert!(refused.stdout.starts_with("::error ") && refused.stdout.contains(message), "{}", refused.stdout);
        assert!(!self.workflow.world.folder.path().join("output").exists());
    }
}

#[test]
fn a_plan_is_applied_only_for_its_own_pull_request_base_commit_and_workflow() {
    if !python() {
        return;
    }
    let artifact = Artifact::new();
    artifact.refuses(&artifact.check(&[("--pull-request", "8")], &[]), "another pull request: 7, not 8");
    artifact.refuses(&artifact.check(&[("--base", "release")], &[]), "another base: main, not release");
    let other = "f".repeat(40);
    let record = artifact.workflow.read("artifact/plan.json.origin.json");
    artifact.workflow.world.write("artifact/plan.json.origin.json", &record.replace(COMMIT, &other));
    artifact.refuses(&artifact.check(&[], &[]), "another commit");
    artifact.workflow.world.write("artifact/plan.json.origin.json", &record);
    artifact.refuses(&artifact.check(&[("--workflow", ".github/workflows/x.yml")], &[]), "another workflow");
    artifact.refuses(&artifact.check(&[], &[("GITHUB_REPOSITORY", "acme/fork")]), "another repository");
    assert!(!artifact.workflow.world.folder.path().join("gh.log").exists());

    artifact.check(&[], &[]).expect(0);
    let path = artifact.workflow.outputs()["plan-file"].clone();
    assert!(path.ends_with("/artifact/plan.json"), "{path}");
    let asked = artifact.workflow.read("gh.log");
    let identity = "--cert-identity https://github.example/acme/aws/.github/workflows/plan.yml@refs/pull/7/merge";
    assert_eq!(asked.lines().filter(|line| line.contains(identity) && line.contains("--repo acme/aws")).count(), 2);
}

#[test]
fn a_stale_altered_or_unattested_plan_is_refused() {
    if !python() {
        return;
    }
    let artifact = Artifact::new();
    artifact
        .refuses(&artifact.check(&[], &[("GH_EXIT", "1")]), "has no attestation of https://github.example/acme/aws");
    artifact.workflow.world.write("artifact/plan.json", "{ }");
    artifact.refuses(&artifact.check(&[], &[]), "another plan sha256");
    artifact.workflow.world.write("artifact/plan.json", "{}");
    artifact.commit("second");
    artifact.refuses(&artifact.check(&[], &[]), "the base branch has changed since the plan");
    artifact.workflow.world.write("artifact/other/plan.json", "{}");
    artifact.refuses(&artifact.check(&[], &[]), "exactly one plan.json, not 2");
}

/// `repository` in Cargo.toml defines the repository's name. `scripts/repository` writes it to the other files.
#[test]
fn every_file_names_the_repository_of_cargo_toml() {
    let name = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/").unwrap();
    let listed = Command::new(root().join("scripts/repository")).arg("--list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut files: Vec<&str> = listed.lines().collect();
    assert!(files.contains(&"install.sh") && files.contains(&"packaging/sentinel.rb.in"), "{files:?}");
    files.extend(["README.md", "action.yml", "setup/action.yml", "scripts/formula", "docs/guide/reviewing.md"]);
    for file in files {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for (at, _) in text.match_indices("/sentinel") {
            let start = text[..at]
                .rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
                .map_or(0, |at| at + 1);
            let rest = &text[at + "/sentinel".len()..];
            let on_github = text[..start].ends_with("github.com/");
            let used = text[..start].ends_with("uses: ") && (rest.starts_with('@') || rest.starts_with("/setup@"));
            if on_github || used {
                assert_eq!(&text[start..at + "/sentinel".len()], name, "{file}: run scripts/repository {name}");
            }
        }
    }
    let script = std::fs::read_to_string(root().join("install.sh")).unwrap();
    assert!(script.contains(&format!("\nname_on_github={name}\n")), "run scripts/repository {name}");
}

/// A fork gets no credentials, and only the default branch is applied.
#[test]
fn forks_get_no_role_and_only_the_default_branch_is_applied() {
    let condition = |file: &str, job: &str| {
        let workflow = yaml(&root().join(format!("examples/github-actions/{file}.yml")));
        workflow["jobs"][job]["if"].as_str().unwrap().to_owned()
    };
    let own = "github.event.pull_request.head.repo.full_name == github.repository";
    assert_eq!(condition("plan", "plan"), own);
    let apply = condition("apply", "apply");
    assert!(apply.contains(own), "{apply}");
    assert!(apply.contains("github.event.pull_request.base.ref == github.event.repository.default_branch"), "{apply}");
    assert!(condition("apply", "plan").contains("github.ref_name == github.event.repository.default_branch"));
    let steps = yaml(&root().join("examples/github-actions/apply.yml"))["jobs"]["apply"]["steps"].clone();
    let at = |words: &str| steps.as_array().unwrap().iter().position(|step| step.to_string().contains(words)).unwrap();
    assert!(at("\"verify\"") < at("aws-actions/configure-aws-credentials@"));
}

/// Returns a YAML file as a value.
fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The inputs and outputs of the action's files match, and no script contains an external text.
#[test]
fn the_action_and_the_workflows_fit_together() {
    let action = yaml(&root().join("action.yml"));
    let inputs: Vec<&String> = action["inputs"].as_object().unwrap().keys().collect();
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    for input in &inputs {
        assert!(text.contains(&format!("inputs.{input}")), "{input} is used nowhere");
    }
    for used in text.split("inputs.").skip(1) {
        let name: String = used.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
        assert!(inputs.iter().any(|input| **input == name), "{name} is no input");
    }
    for step in action["runs"]["steps"].as_array().unwrap() {
        let run = step["run"].as_str().unwrap();
        assert!(!run.contains("${{"), "{run}");
        assert!(!run.contains("cargo") && !run.contains("install"), "the action must not install anything: {run}");
        for script in run.split(['"', '\'', ' ']).filter_map(|word| word.strip_prefix("$GITHUB_ACTION_PATH/")) {
            assert!(root().join(script).is_file(), "{script}");
        }
    }
    for workflow in ["plan", "apply", "drift", "drift-matrix"] {
        let workflow = yaml(&root().join(format!("examples/github-actions/{workflow}.yml")));
        for job in workflow["jobs"].as_object().unwrap().values() {
            let steps = job["steps"].as_array().unwrap();
            let first = |name: &str| {
                steps.iter().position(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with(name)))
            };
            // sentinel is installed before there are credentials.
            if let Some(credentials) = first("aws-actions/configure-aws-credentials@") {
                assert!(first("your-org/sentinel/setup@").is_some_and(|setup| setup < credentials), "{workflow}");
            }
            for step in steps {
                let run = step["run"].as_str().unwrap_or_default();
                let outside = ["github.event", "github.head_ref", "inputs."];
                assert!(!outside.iter().any(|word| run.contains(word)), "{run}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("your-org/sentinel@")) {
                    assert!(step["with"]["command"].is_string());
                    for input in step["with"].as_object().unwrap().keys() {
                        assert!(inputs.contains(&input), "{input} is no input of the action");
                    }
                }
            }
        }
        // The workflow has only the permissions that it lists.
        assert!(workflow["permissions"].is_object());
    }
}

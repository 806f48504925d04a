//! The GitHub action: its scripts are run as GitHub runs them, against the AWS emulator and a stand-in for GitHub's API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::docs::root;
use crate::world::{Run, World, finish};

/// What GitHub keeps, and what it was asked.
#[derive(Debug, Default)]
struct Kept {
    comments: Vec<Value>,
    issues: Vec<Value>,
    asked: Vec<String>,
    /// How often the next readings fail.
    failures: usize,
    /// Where the next page of a list is, instead of where the rest of it is.
    next: Option<String>,
    /// What every reading answers instead of what is kept.
    refusal: Option<String>,
}

/// A stand-in for GitHub's API.
struct Github {
    url: String,
    kept: Arc<Mutex<Kept>>,
}

const BOT: &str = "github-actions[bot]";

impl Github {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let (own, address) = (Arc::clone(&kept), url.clone());
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &own, &address)));
        Self { url, kept }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.kept().asked)
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, kept: &Mutex<Kept>, root: &str) {
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
    let mut kept = kept.lock().unwrap();
    kept.asked.push(format!("{method} {path}"));
    let (status, link, answer) = match headers.get("authorization").map(String::as_str) {
        Some("Bearer secret") => act(&mut kept, method, &path, &body, root),
        _ => (401, String::new(), json!({ "message": "Bad credentials" })),
    };
    // A text is sent as it is, and anything else as JSON.
    let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
    let link = if link.is_empty() { link } else { format!("Link: {link}\r\n") };
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{link}Connection: close\r\n\r\n{text}", text.len())
        .unwrap();
}

fn act(kept: &mut Kept, method: &str, path: &str, body: &Value, root: &str) -> (u16, String, Value) {
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parts: Vec<&str> = place.trim_start_matches("/repos/acme/aws").split('/').skip(1).collect();
    if method == "GET" && kept.failures > 0 {
        kept.failures -= 1;
        return (502, String::new(), json!({ "message": "Bad gateway" }));
    }
    if let Some(refusal) = kept.refusal.clone().filter(|_| method == "GET") {
        return (422, String::new(), Value::String(refusal));
    }
    let number = |kept: &Kept| kept.comments.len() + kept.issues.len() + 1;
    let with = |mut thing: Value, number: usize, what: &str| {
        thing["id"] = json!(number);
        thing["number"] = json!(number);
        thing["user"] = json!({ "login": BOT });
        thing["state"] = json!("open");
        thing["html_url"] = json!(format!("https://github.example/{what}/{number}"));
        thing
    };
    match (method, parts.as_slice()) {
        // Two of a page, so that the second page is needed.
        ("GET", ["issues", _, "comments"]) => {
            let page: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
            let shown: Vec<&Value> = kept.comments.iter().skip((page - 1) * 2).take(2).collect();
            let more = kept.comments.len() > page * 2;
            let link = if more { format!("<{root}{place}?page={}>; rel=\"next\"", page + 1) } else { String::new() };
            let link = kept.next.clone().map_or(link, |next| format!("<{}>; rel=\"next\"", next.replace("ROOT", root)));
            (200, link, json!(shown))
        }
        ("POST", ["issues", _, "comments"]) => {
            let made = with(body.clone(), number(kept), "comment");
            kept.comments.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", "comments", id]) => {
            let found = kept.comments.iter_mut().find(|one| one["id"].as_u64() == id.parse().ok()).unwrap();
            found["body"] = body["body"].clone();
            (200, String::new(), found.clone())
        }
        ("GET", ["issues"]) => {
            let open: Vec<&Value> = kept.issues.iter().filter(|one| one["state"] == "open").collect();
            (200, String::new(), json!(open))
        }
        ("POST", ["issues"]) => {
            let made = with(body.clone(), number(kept), "issue");
            kept.issues.push(made.clone());
            (201, String::new(), made)
        }
        ("PATCH", ["issues", number]) => {
            let found = kept.issues.iter_mut().find(|one| one["number"].as_u64() == number.parse().ok()).unwrap();
            found.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            (200, String::new(), found.clone())
        }
        other => panic!("{other:?}"),
    }
}

/// Returns whether Python is here; where it is demanded, it has to be.
fn python() -> bool {
    let here = Command::new("python3").arg("--version").output().is_ok();
    assert!(here || std::env::var_os("SENTINEL_TEST_PYTHON").is_none(), "there is no python3 here");
    here
}

/// A workflow's run: what a step says for those after it, and what comes to its summary.
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
        command.env("SENTINEL_GITHUB_PAUSE", "0").envs(variables.iter().copied());
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        finish(command.spawn().unwrap())
    }

    /// Runs sentinel as the action does, and returns what it says for the steps after it.
    fn run(&self, command: &str, plan_file: &str) -> (Run, BTreeMap<String, String>) {
        let _ = std::fs::remove_file(self.world.folder.path().join("output"));
        let script = root().join("action/run.sh");
        let variables =
            [("SENTINEL_COMMAND", command), ("SENTINEL_FILE", "sentinel.toml"), ("SENTINEL_PLAN_FILE", plan_file)];
        let run = self.script(&[script.to_str().unwrap()], &variables).expect(0);
        let said = std::fs::read_to_string(self.world.folder.path().join("output")).unwrap();
        let said = said.lines().map(|line| line.split_once('=').unwrap());
        (run, said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn end(&self, command: &str, code: &str, incomplete: &str) -> i32 {
        let script = root().join("action/end.sh");
        let variables =
            [("SENTINEL_COMMAND", command), ("SENTINEL_EXITCODE", code), ("SENTINEL_ALLOW_INCOMPLETE", incomplete)];
        self.script(&[script.to_str().unwrap()], &variables).code
    }

    fn post(&self, words: &[&str]) -> Run {
        let script = root().join("action/github.py");
        self.script(&[&["python3", script.to_str().unwrap()], words].concat(), &[])
    }
}

/// From the pull request to its merge: a comment that is made once and kept up to date, and the plan that was reviewed.
#[test]
fn a_pull_request_is_commented_on_and_its_plan_is_what_the_merge_applies() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let stranger = json!({ "id": 1, "body": "<!-- sentinel comment: a/sentinel.toml -->\nmine now", "user": { "login": "mallory" }, "html_url": "x" });
    workflow.github.kept().comments = vec![stranger.clone(), stranger.clone(), stranger];
    let (run, said) = workflow.run("plan", "plan.json");
    assert_eq!((said["exitcode"].as_str(), said["has-changes"].as_str()), ("2", "true"));
    assert!(run.stdout.contains("::notice file=sentinel.toml,line=3,title=create%3A profiles.dev::"), "{}", run.stdout);
    let summary = std::fs::read_to_string(workflow.world.folder.path().join("summary")).unwrap();
    assert!(summary.contains("### sentinel plan: 2 to create"), "{summary}");
    assert_eq!(workflow.end("plan", "2", "false"), 0);

    let comment = |body: &str| {
        workflow.post(&["comment", "--number", "7", "--key", "a/sentinel.toml", "--author", BOT, "--body", body])
    };
    workflow.github.kept().failures = 2;
    let wrote = comment(&said["markdown"]).expect(0);
    assert_eq!(wrote.stdout, "Wrote https://github.example/comment/4\n");
    let body = workflow.github.kept().comments[3]["body"].as_str().unwrap().to_owned();
    assert!(
        body.starts_with(
            "<!-- sentinel comment: a/sentinel.toml -->\n<!-- sentinel: plan -->\n### sentinel plan: 2 to create"
        ),
        "{body}"
    );
    workflow.github.asked();
    // The same again writes nothing; another plan changes the same comment, and nobody else's.
    comment(&said["markdown"]).expect(0);
    assert_eq!(workflow.github.asked().iter().filter(|call| !call.starts_with("GET")).count(), 0);
    workflow.world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n");
    let (_, said) = workflow.run("plan", "plan.json");
    comment(&said["markdown"]).expect(0);
    assert_eq!(
        workflow.github.asked().iter().filter(|call| !call.starts_with("GET")).collect::<Vec<_>>(),
        ["PATCH /repos/acme/aws/issues/comments/4"]
    );
    let comments = workflow.github.kept().comments.clone();
    assert!(comments[3]["body"].as_str().unwrap().contains("1 to create"), "{comments:#?}");
    assert!(comments[..3].iter().all(|one| one["body"].as_str().unwrap().ends_with("mine now")));

    // The merge applies that plan, once.
    let (run, said) = workflow.run("apply", "plan.json");
    assert_eq!(said["exitcode"], "0", "{}", run.stdout);
    assert!(
        run.stdout.starts_with("::stop-commands::") && run.stdout.contains("Verified: everything is in sync."),
        "{}",
        run.stdout
    );
    let (_, said) = workflow.run("apply", "plan.json");
    assert_eq!(said["exitcode"], "4");
    assert_eq!(workflow.end("apply", "4", "true"), 4);
}

/// What keeps a plan from being made comes into the comment, and then fails the job.
#[test]
fn a_plan_that_fails_is_told_and_fails() {
    let workflow = Workflow::new();
    workflow.world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[tables.audit]\nname = \"x\"\n::error::no\n");
    let (run, said) = workflow.run("plan", "plan.json");
    assert_eq!(said["exitcode"], "1");
    assert_eq!(workflow.end("plan", "1", "true"), 1);
    let body = std::fs::read_to_string(&said["markdown"]).unwrap();
    assert!(body.contains("### sentinel plan: failed") && body.contains("E003"), "{body}");
    assert!(run.stdout.starts_with("::error file=sentinel.toml,line="), "{}", run.stdout);
    // On stderr nothing is obeyed.
    assert!(run.stderr.starts_with("::stop-commands::"), "{}", run.stderr);
    assert!(!workflow.world.folder.path().join("plan.json").exists());
}

#[test]
fn what_could_not_be_read_passes_only_when_that_is_allowed() {
    let workflow = Workflow::new();
    workflow.world.fail("DescribeTable", "AccessDeniedException", "");
    let (_, said) = workflow.run("drift", "");
    assert_eq!(said["exitcode"], "3");
    assert_eq!((workflow.end("drift", "3", "false"), workflow.end("drift", "3", "true")), (3, 0));
}

/// One issue as long as there is drift: opened, kept up to date, closed.
#[test]
fn drift_is_one_issue_until_it_is_gone() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    let keep = |state: &str, body: &str| {
        let words = [
            "issue",
            "--state",
            state,
            "--label",
            "sentinel-drift",
            "--key",
            "sentinel.toml",
            "--author",
            BOT,
            "--body",
            body,
        ];
        workflow.post(&words).expect(0).stdout
    };
    let (_, said) = workflow.run("drift", "");
    assert_eq!(said["exitcode"], "2");
    assert_eq!(keep("open", &said["markdown"]), "Opened https://github.example/issue/1\n");
    keep("open", &said["markdown"]);
    workflow.world.write("dev.yaml", "version: \"1\"\nrules:\n  - { name: other, effect: deny }\n");
    workflow.run("apply", "");
    let (_, said) = workflow.run("drift", "");
    assert_eq!(said["exitcode"], "0");
    assert_eq!(keep("closed", &said["markdown"]), "Closed https://github.example/issue/1\n");
    let kept = workflow.github.kept();
    assert_eq!(kept.issues.len(), 1);
    assert_eq!(kept.issues[0]["title"], json!("Drift: AWS is not in sync with sentinel.toml"));
    assert_eq!((&kept.issues[0]["state"], &kept.issues[0]["labels"]), (&json!("closed"), &json!(["sentinel-drift"])));
    assert_eq!(kept.comments[0]["body"], json!("AWS is in sync again."));
}

#[test]
fn a_token_that_may_not_is_told_what_it_takes() {
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

/// Returns a comment that is there already.
fn existing(id: u64, login: Value, body: Value) -> Value {
    json!({ "id": id, "body": body, "user": login, "html_url": format!("https://github.example/comment/{id}") })
}

fn write_comment(workflow: &Workflow, key: &str) -> Run {
    workflow.post(&["comment", "--number", "7", "--key", key, "--author", BOT, "--body", "body"])
}

/// A plan quotes policies and AWS, so that any text can stand in a comment of the action.
#[test]
fn the_mark_counts_only_as_the_first_line_of_an_own_comment() {
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
    workflow.github.kept().comments.clone_from(&others);
    write_comment(&workflow, "b").expect(0);
    let comments = workflow.github.kept().comments.clone();
    assert_eq!(comments[..others.len()], others);
    assert_eq!(comments[others.len()]["body"], json!(format!("{mark}\nnew")));
    // Edited in a browser, which writes other line ends, it is found again.
    workflow.github.kept().comments[others.len()]["body"] = json!(format!("{mark}\r\nold"));
    write_comment(&workflow, "b").expect(0);
    assert_eq!(workflow.github.kept().comments[others.len()]["body"], json!(format!("{mark}\nnew")));
    assert_eq!(workflow.github.kept().comments.len(), others.len() + 1);
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
    workflow.github.kept().issues.clone_from(&others);
    for state in ["open", "closed"] {
        let words = ["issue", "--state", state, "--label", "drift", "--key", "b", "--author", BOT, "--body", "body"];
        workflow.post(&words).expect(0);
    }
    assert_eq!(workflow.github.kept().issues[..2], others);
    assert_eq!(workflow.github.kept().issues[2]["state"], json!("closed"));
}

/// Whatever a key consists of, it marks one comment: no character of it is a pattern or ends the mark.
#[test]
fn every_key_has_a_comment_of_its_own() {
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
        assert_eq!(workflow.github.kept().comments.len(), keys.len(), "{round}");
    }
    for comment in &workflow.github.kept().comments {
        let body = comment["body"].as_str().unwrap();
        let mark = body.strip_suffix("\nnew").unwrap();
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
    workflow.github.kept().comments = vec![stranger; 30];
    let own = existing(2, json!({ "login": BOT }), json!("<!-- sentinel comment: k -->\nold"));
    workflow.github.kept().comments.push(own);
    write_comment(&workflow, "k").expect(0);
    assert_eq!(workflow.github.kept().comments[30]["body"], json!("<!-- sentinel comment: k -->\nnew"));
    assert_eq!(workflow.github.kept().comments.len(), 31);

    workflow.github.kept().next = Some("ROOT/repos/acme/aws/issues/7/comments?page=1".to_owned());
    workflow.github.asked();
    let told = write_comment(&workflow, "other").expect(1).stderr;
    assert!(told.contains("more than 50 pages"), "{told}");
    assert!(workflow.github.asked().len() <= 50);
}

/// The token goes to GitHub's API alone.
#[test]
fn a_next_page_elsewhere_is_not_asked_for() {
    if !python() {
        return;
    }
    let (workflow, elsewhere) = (Workflow::new(), Github::new());
    workflow.world.write("body", "new");
    let port = elsewhere.url.rsplit(':').next().unwrap();
    for next in [format!("{}/x", elsewhere.url), format!("ROOT@127.0.0.1:{port}/x"), "ROOT.example/x".to_owned()] {
        workflow.github.kept().next = Some(next);
        let told = write_comment(&workflow, "k").expect(1).stderr;
        assert!(told.contains("is not at"), "{told}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn what_github_answers_is_not_obeyed_as_a_command() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", "new");
    let refusal = "x\n::error::a\r::warning::b\n ::add-mask::c ##[add-matcher]d \u{1b}[2J\u{202e}";
    workflow.github.kept().refusal = Some(refusal.to_owned());
    let run = write_comment(&workflow, "k").expect(1);
    let told = run.stdout + &run.stderr;
    assert!(told.contains("422") && told.contains("add-matcher"), "{told}");
    // A line that begins with two colons is a command, and so is this anywhere in a line.
    assert!(!told.contains("##["), "{told}");
    assert!(!told.split(['\n', '\r']).any(|line| line.trim_start().starts_with("::")), "{told}");
    assert!(!told.contains(['\u{1b}', '\u{202e}', '\r']), "{told:?}");
}

/// Cut in the middle, a text that stands in code would stand outside of it.
#[test]
fn a_body_that_is_too_long_is_left_out_and_not_cut() {
    if !python() {
        return;
    }
    let workflow = Workflow::new();
    workflow.world.write("body", &format!("`{}@octocat`", "x".repeat(70_000)));
    write_comment(&workflow, "k").expect(0);
    let body = workflow.github.kept().comments[0]["body"].as_str().unwrap().to_owned();
    assert!(body.len() < 1_000 && !body.contains('`') && body.contains("log"), "{}", body.len());
}

/// Returns a YAML file as a value.
fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What the action's own file says fits together, and nothing from outside stands in a script's text.
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
        for script in run.split(['"', '\'', ' ']).filter_map(|word| word.strip_prefix("$GITHUB_ACTION_PATH/")) {
            assert!(root().join(script).is_file(), "{script}");
        }
    }
    for workflow in ["plan", "apply", "drift"] {
        let workflow = yaml(&root().join(format!("examples/github-actions/{workflow}.yml")));
        for job in workflow["jobs"].as_object().unwrap().values() {
            for step in job["steps"].as_array().unwrap() {
                let run = step["run"].as_str().unwrap_or_default();
                let outside = ["github.event", "github.head_ref", "inputs."];
                assert!(!outside.iter().any(|word| run.contains(word)), "{run}");
                if step["uses"].as_str().is_some_and(|uses| uses.starts_with("your-org/sentinel@")) {
                    for input in step["with"].as_object().unwrap().keys() {
                        assert!(inputs.contains(&input), "{input} is no input of the action");
                    }
                }
            }
        }
        // It may do only what it says.
        assert!(workflow["permissions"].is_object());
    }
}

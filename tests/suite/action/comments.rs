//! Comments and issues: how the action finds its own, and what it does not trust.

use serde_json::{Value, json};

use super::github::Github;
use super::{BOT, Workflow, python};
use crate::docs::root;
use crate::world::Run;

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

//! A pull request: its comment, and what fails its check.

use std::collections::BTreeMap;

use serde_json::json;

use super::{BOT, Workflow, python};
use crate::docs::root;

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

//! The issue of a scheduled drift check.

use serde_json::json;

use super::{Workflow, python};

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

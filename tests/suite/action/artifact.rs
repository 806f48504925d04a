//! The artifact of a saved plan, which `apply.yml` checks.

use std::collections::BTreeMap;

use super::{COMMIT, Workflow, python};
use crate::docs::root;
use crate::world::Run;

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

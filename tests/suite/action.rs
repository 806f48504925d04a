//! The GitHub action: its scripts run as on GitHub, against the AWS emulator and a stub of GitHub's API.

mod artifact;
mod comments;
mod drift;
mod github;
mod pull_request;
mod workflows;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use self::github::Github;
use crate::docs::root;
use crate::world::{Run, World, finish};

const BOT: &str = "github-actions[bot]";

const COMMIT: &str = "0123456789012345678901234567890123456789";

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

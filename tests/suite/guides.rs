//! The command blocks of the guides run as they are written. The sessions with their output are in `docs.rs`.

use std::path::PathBuf;

use crate::docs::root;
use crate::world::{World, finish};

/// The beginnings of lines that are not run, with the reason.
const NOT_RUN: [(&str, &str); 15] = [
    ("cargo ", "scripts/time-readme runs it in a new clone"),
    ("aws ", "the tests do not install the AWS CLI"),
    ("cd ", "the next line does not run"),
    ("./deploy.sh", "it calls the AWS CLI; the tests of export run it with a stub"),
    ("terraform ", "the tests do not install Terraform"),
    ("export ", "the next line does not run"),
    ("echo ", "it changes the files of the user's shell"),
    ("sentinel-dev ", "it is a shell function; the tests of shell init run it"),
    ("sentinel approve ID", "ID stands for the ID of a request; the tests of approve have one"),
    ("sentinel broker ", "it serves until it is stopped; the tests of the broker start it"),
    ("sentinel local serve ", "it serves until it is stopped; the tests of local serve start it"),
    ("sentinel exec --profile dev --local --aws-profile alice", "it calls the AWS CLI; the tests of exec run `env`"),
    ("sentinel apply -f sentinel.toml --local=/tmp/aws", "it writes outside the folder of the test"),
    ("sentinel export cloudformation --stack-set", "it needs targets; the tests of export have some"),
    ("sentinel status --expect-in-sync", "a part of a script that calls the AWS CLI"),
];

/// The first words of lines that are commands.
const COMMANDS: [&str; 13] = [
    "sentinel",
    "sentinel-dev",
    "aws",
    "cargo",
    "curl",
    "cd",
    "./deploy.sh",
    "terraform",
    "export",
    "echo",
    "eval",
    "docker",
    "sh",
];

const MANIFEST: &str = "[aws]\nregion = \"us-east-1\"\n\n[profiles.dev]\npolicy = \"dev.yaml\"\n\n[profiles.prod]\npolicy = \"prod.yaml\"\n\n\
                        [tables.approvals]\n\n[tables.breakglass]\n\n[tables.sessions]\n";
const POLICY: &str = "version: \"1\"\nrules:\n  - { name: all, effect: require_approval }\n";

/// Returns the blocks of commands in a document: indented lines of which the first is a command.
fn blocks(text: &str) -> Vec<Vec<String>> {
    let mut blocks: Vec<Vec<String>> = Vec::new();
    let (mut open, mut fenced, mut before) = (false, false, "");
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let code = line.strip_prefix("    ").filter(|_| !fenced);
        let is_command = |code: &str| COMMANDS.contains(&code.split(' ').next().unwrap_or_default());
        match code {
            Some(code) if open => blocks.last_mut().unwrap().push(code.to_owned()),
            Some(code) if before.is_empty() && is_command(code) => {
                open = true;
                blocks.push(vec![code.to_owned()]);
            }
            _ => open = false,
        }
        before = line;
    }
    blocks
}

/// Returns the sentinel command of a line, without a comment; for `eval "$(…)"` the inner command.
fn command_of(line: &str) -> Option<Vec<String>> {
    let line = line.split(" # ").next().unwrap_or_default().trim();
    let line = line.strip_prefix("eval \"$(").and_then(|line| line.strip_suffix(")\"")).unwrap_or(line);
    let line = line.split(" | ").next().unwrap_or_default();
    let words = shlex::split(line)?;
    let (first, rest) = words.split_first()?;
    (first == "sentinel").then(|| rest.to_vec())
}

fn documents() -> Vec<PathBuf> {
    let mut documents =
        vec![root().join("README.md"), root().join("docs/QUICKSTART.md"), root().join("docs/BOOTSTRAP.md")];
    let guides = std::fs::read_dir(root().join("docs/guide")).unwrap().map(|entry| entry.unwrap().path());
    documents.extend(guides.filter(|path| !path.ends_with("commands.md")));
    documents.sort();
    documents
}

#[test]
fn command_blocks_run_as_they_are_written() {
    let mut ran = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in blocks(&text) {
            let world = World::quick();
            world.write(".aws/config", "[profile dev]\nregion = us-east-1\n");
            world.write(".aws/credentials", "[dev]\naws_access_key_id = test\naws_secret_access_key = test\n");
            world.write("dev.yaml", POLICY).write("prod.yaml", POLICY);
            if !block.iter().any(|line| line.contains("--write-manifest") || line.contains("bootstrap")) {
                world.write("sentinel.toml", MANIFEST);
                world.run(&["apply", "--yes"]).expect(0);
            }
            for line in block {
                if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
                    continue;
                }
                let words =
                    command_of(&line).unwrap_or_else(|| panic!("{}: {line}: add it to NOT_RUN", document.display()));
                let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
                // There is no terminal for a confirmation.
                let confirms = args.starts_with(&["apply"]) || args.starts_with(&["init", "bootstrap"]);
                if confirms && !args.contains(&"--write-manifest") {
                    args.push("--yes");
                }
                let local = args.iter().any(|arg| arg.starts_with("--local"));
                let run = if local { finish(world.command(&args).spawn().unwrap()) } else { world.run(&args) };
                assert_eq!(run.code, 0, "{}: {line}\n{}{}", document.display(), run.stdout, run.stderr);
                ran += 1;
            }
        }
    }
    assert!(ran >= 12, "{ran} commands");
}

#[test]
fn the_list_of_commands_that_do_not_run_has_no_unused_entry() {
    let texts: Vec<String> = documents().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for (start, _) in NOT_RUN {
        let shown = texts.iter().flat_map(|text| text.lines()).any(|line| line.trim_start().starts_with(start));
        assert!(shown, "no guide shows a line that begins with {start:?}");
    }
}

/// Returns the first shell script of a document.
fn script_of(document: &str) -> String {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let (_, rest) = text.split_once("```sh\n").unwrap();
    let (script, _) = rest.split_once("```\n").unwrap();
    script.to_owned()
}

/// Replaces the AWS CLI and Sentinel: each records its first words, and fails if `FAILS` names them.
const REPLACED: &str = r#"#!/bin/sh
name=${0##*/}
call="$name $1 $2"
case "$name $1" in
"sentinel status") echo '{ "baseline": { "changed": true } }' >drift.json; echo drift >drift.md; echo 1 >drift.baseline; code=$STATUS ;;
*) call="$call $3"; code=0 ;;
esac
echo "$call" >>calls
case "$call" in "$FAILS"*) exit 1 ;; esac
exit "$code"
"#;

/// Runs the script for scheduled drift detection. `fails` is the beginning of the call that fails.
fn drift_script(status: &str, fails: &str) -> (Option<i32>, Vec<String>) {
    use std::os::unix::fs::PermissionsExt;

    let world = World::quick();
    world.write("check.sh", &script_of("docs/guide/many-accounts.md")).write("calls", "");
    for name in ["aws", "sentinel"] {
        world.write(&format!("bin/{name}"), REPLACED);
        let file = world.folder.path().join("bin").join(name);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", world.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = std::process::Command::new("sh");
    command.arg("check.sh").current_dir(world.folder.path()).env("PATH", path);
    command.env("STATUS", status).env("FAILS", fails).env("BUCKET", "bucket").env("TOPIC", "topic");
    let code = command.output().unwrap().status.code();
    let calls = std::fs::read_to_string(world.folder.path().join("calls")).unwrap();
    (code, calls.lines().map(str::to_owned).collect())
}

#[test]
fn the_drift_script_keeps_the_baseline_after_the_message() {
    const NONE: &str = "none";
    let download = "aws s3 cp s3://bucket/drift/";
    let all = [download, "sentinel status --expect-in-sync", "aws sns publish --topic-arn", "aws s3 cp drift.baseline"];
    let calls = |count: usize| all[..count].iter().map(|call| (*call).to_owned()).collect::<Vec<_>>();
    for status in ["0", "2", "3"] {
        assert_eq!(drift_script(status, NONE), (Some(0), calls(4)), "{status}");
    }
    for status in ["1", "4"] {
        assert_eq!(drift_script(status, NONE), (status.parse().ok(), calls(2)));
    }
    // A failed message is repeated by the next run, because the baseline is not kept. Each failed transfer is an error.
    assert_eq!(drift_script("2", "aws sns"), (Some(1), calls(3)));
    assert_eq!(drift_script("2", "aws s3 cp drift.baseline"), (Some(1), calls(4)));
    assert_eq!(drift_script("2", download), (Some(1), calls(1)));
}

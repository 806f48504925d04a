//! The complete path of a new user in real shells, from the first sign-in to the first request.

use super::shell::{program, shell, shells};
use crate::world::{World, finish};

/// An `aws` that prints its arguments and environment.
const AWS: &str = "#!/bin/sh\necho \"aws $*\"; env | grep -E '^(AWS_|SENTINEL_)' | sort\n";

/// The profile `dev` is signed in as alice; `prod` is a role that it assumes.
const AWS_CONFIG: &str = "\
[profile dev]
aws_access_key_id = AKIALOCAL:alice
aws_secret_access_key = secret
[profile prod]
role_arn = arn:aws:iam::123456789012:role/operator
source_profile = dev
";

#[test]
fn from_the_first_sign_in_to_the_first_request() {
    for name in shells() {
        let world = World::new();
        way(&world, name);
    }
}

fn way(world: &World, name: &str) {
    program(world, "aws", AWS);
    world.write(".aws/config", AWS_CONFIG).write(".config/fish/x", "");
    let (rc, init) = match name {
        "fish" => (".config/fish/config.fish", "sentinel shell init --aws-profile dev | source"),
        "bash" => (".bashrc", "eval \"$(sentinel shell init --aws-profile dev)\""),
        _ => (".zshrc", "eval \"$(sentinel shell init --aws-profile dev)\""),
    };
    // A shell with its start-up file, and no keys in the environment. It is not interactive, because an interactive shell would take the
    // terminal from the test run and be stopped with it. fish always reads its file.
    let run = |line: &str| {
        let whole = match name {
            "fish" => line.to_owned(),
            _ => format!("if [ -e ~/{rc} ]; then . ~/{rc}; fi; {line}"),
        };
        let mut command = shell(world, name, "alice", &["-c", &whole]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        finish(command.spawn().unwrap())
    };
    run("aws sso login --profile dev").expect(0);
    let bootstrap = "sentinel init bootstrap --profile dev --all --region us-east-1 --aws-profile dev";
    assert_eq!(run(bootstrap).code, 1, "without a terminal and --yes nothing is done");
    let done = run(&format!("{bootstrap} --yes")).expect(0);
    assert!(done.stdout.contains("+ /sentinel/policies/dev (created)"), "{name}: {}", done.stdout);
    run(&format!("echo '{init}' >> ~/{rc}")).expect(0);

    // The initial policy denies access, and says so.
    let refused = run("sentinel-dev aws s3 ls").expect(1);
    assert!(refused.stderr.contains("rule \"default-deny\" denies the access"), "{name}: {}", refused.stderr);
    assert!(refused.stderr.contains("Customize this policy to grant access."), "{name}: {}", refused.stderr);
    world.write("policy.yaml", super::POLICY);
    let manifest = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"policy.yaml\"\n\
                    [profiles.prod]\npolicy = \"policy.yaml\"\n[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n";
    world.write("sentinel.toml", manifest);
    run("sentinel apply --yes --aws-profile dev").expect(0);
    let listed = run("sentinel-dev aws s3 ls").expect(0);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert!(
        lines.contains(&"aws s3 ls")
            && lines.iter().any(|line| line.strip_prefix("AWS_ACCESS_KEY_ID=").is_some_and(super::is_session_of_alice)),
        "{name}: {lines:?}"
    );
    assert!(lines.contains(&"SENTINEL_PROFILE=dev") && lines.contains(&"AWS_REGION=us-east-1"), "{name}: {lines:?}");

    // As in the guide, with the AWS profile in the environment.
    let request = "sentinel request --profile prod --justification \"Deploy hotfix\" \
                   --request-table sentinel-requests --region us-east-1 --json";
    let asked = run(&match name {
        "fish" => format!("AWS_PROFILE=dev {request}"),
        _ => format!("export AWS_PROFILE=dev; {request}"),
    })
    .expect(0);
    let id = asked.json()["request"]["id"].as_str().unwrap().to_owned();
    run("sentinel-prod aws s3 ls").expect(1);
    world.run_as("bob", &["approve", &id]).expect(0);
    world.calls();
    let listed = run("sentinel-prod aws s3 ls").expect(0);
    assert!(listed.stdout.contains("AWS_ACCESS_KEY_ID=ASIA"), "{name}: {}", listed.stdout);
    let assumed = world.calls().into_iter().find(|call| call.operation == "AssumeRole").unwrap();
    assert_eq!(assumed.body["SourceIdentity"], format!("alice={id}"));
    assert_eq!(assumed.body["RoleArn"], "arn:aws:iam::123456789012:role/operator");
}

#[test]
fn exec_with_the_emulator_says_that_its_credentials_do_not_work_in_aws() {
    let world = World::new();
    let rules = "version: \"1\"\nrules:\n  - { name: all, effect: allow, conditions: {} }\n";
    world.write("policy.yaml", rules);
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"policy.yaml\"\n");
    let run = |args: &[&str]| finish(world.command(args).spawn().unwrap());
    run(&["apply", "--yes", "--local=store"]).expect(0);
    let exec = |command: &[&str]| {
        run(&[&["exec", "--profile", "dev", "--aws-profile", "alice", "--local=store", "--"], command].concat())
            .expect(0)
    };
    let told = exec(&["true"]).stderr;
    let note = "these credentials work only in the AWS emulator";
    assert_eq!(told.matches(note).count(), 1, "{told}");
    assert!(told.contains("sentinel local serve --local=store &"), "{told}");
    let whole = exec(&["env", "AWS_ENDPOINT_URL=http://127.0.0.1:4566", "env"]);
    assert!(!whole.stderr.contains(note), "{}", whole.stderr);
    assert!(whole.stdout.contains("AWS_ENDPOINT_URL=http://127.0.0.1:4566\n"), "{}", whole.stdout);
}

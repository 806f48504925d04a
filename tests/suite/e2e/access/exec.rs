//! `exec` and `credentials`: who has access, with which credentials, and how a run ends.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{decisions, provisioned, put_policy};
use crate::world::{World, finish};

/// Returns the environment variables of a command that matter.
fn seen(stdout: &str) -> std::collections::BTreeMap<String, String> {
    let lines = stdout.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Shared files with a profile of keys, a profile with a role that it assumes, and an SSO profile that cannot be used here.
const AWS_CONFIG: &str = "\
[profile base]
aws_access_key_id = AKIALOCAL:alice
aws_secret_access_key = secret
[profile dev]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/developer
source_profile = base
external_id = from-outside
[profile prod]
role_arn = arn:aws:iam::123456789012:role/operator
source_profile = base
duration_seconds = 900
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/alice
[profile lost]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = nowhere
";

#[test]
fn the_command_gets_only_the_released_credentials() {
    let world = provisioned();
    let mut command = world.command_as("alice", &["exec", "--profile", "dev", "--", "env"]);
    command.env("AWS_SESSION_TOKEN", "its-own");
    // These do not identify the caller; STS does.
    command.env("USER", "bob").env("LOGNAME", "bob").env("SENTINEL_USER", "bob").env("OTHER", "kept");
    let run = finish(command.spawn().unwrap()).expect(0);
    let seen = seen(&run.stdout);
    assert_eq!(seen["AWS_ACCESS_KEY_ID"], "AKIALOCAL:alice");
    assert_eq!(seen["AWS_SECRET_ACCESS_KEY"], "test");
    assert_eq!(seen["AWS_SESSION_TOKEN"], "its-own", "it belongs to the keys in the environment");
    assert_eq!(seen["AWS_ACCOUNT_ID"], "123456789012");
    assert_eq!((seen["AWS_REGION"].as_str(), seen["AWS_DEFAULT_REGION"].as_str()), ("us-east-1", "us-east-1"));
    assert_eq!((seen["SENTINEL_PROFILE"].as_str(), seen["OTHER"].as_str()), ("dev", "kept"));
    assert!(!seen.contains_key("AWS_CREDENTIAL_EXPIRATION"), "nobody knows when they expire");
    let operations: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations.len(), 3, "{operations:?}");
    for call in ["GetCallerIdentity", "GetParameters", "GetItem"] {
        assert!(operations.iter().any(|operation| operation == call), "{operations:?}");
    }
}

#[test]
fn an_assumed_role_session_carries_the_user_and_the_request() {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG);
    let run = |args: &[&str]| {
        let mut command = world.command_as("local", &[args, &["--log-stderr", "--", "env"]].concat());
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_REGION");
        finish(command.spawn().unwrap())
    };
    let dev = run(&["exec", "--profile", "dev", "--aws-profile", "base", "--region", "us-east-1"]).expect(0);
    let decision = decisions(&dev.stderr).pop().unwrap();
    let assumed: Vec<Value> =
        world.calls().into_iter().filter(|call| call.operation == "AssumeRole").map(|call| call.body).collect();
    assert_eq!(assumed.len(), 1);
    assert_eq!(assumed[0]["RoleArn"], "arn:aws:iam::123456789012:role/developer");
    assert_eq!(assumed[0]["RoleSessionName"], "alice");
    assert_eq!(assumed[0]["ExternalId"], "from-outside");
    let stamp = format!("alice={}", decision["decision_id"].as_str().unwrap());
    assert_eq!((&assumed[0]["SourceIdentity"], &decision["source_identity"]), (&json!(stamp), &json!(stamp)));
    let seen = seen(&dev.stdout);
    assert!(seen["AWS_ACCESS_KEY_ID"].starts_with("ASIA") && seen.contains_key("AWS_SESSION_TOKEN"));
    assert!(seen.contains_key("AWS_CREDENTIAL_EXPIRATION"));
    // The command gets the region of the AWS profile; the policy is read from the region of the option.
    assert_eq!(seen["AWS_REGION"], "eu-west-1");

    let id = super::request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    run(&["exec", "--profile", "prod", "--aws-profile", "base", "--region", "us-east-1"]).expect(0);
    let assumed = world.calls().into_iter().find(|call| call.operation == "AssumeRole").unwrap().body;
    assert_eq!(assumed["SourceIdentity"], format!("alice={id}"));
    assert_eq!(assumed["DurationSeconds"], "900");
}

/// The SDK would generate a new session name each time, so each request would seem to be from another user.
#[test]
fn the_calling_role_session_is_named_after_the_user() {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG);
    let run = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = world.command_as("local", args);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").envs(variables.iter().copied());
        finish(command.spawn().unwrap())
    };
    let listed =
        run(&[], &["exec", "--profile", "dev", "--aws-profile", "dev", "--log-stderr", "--", "true"]).expect(0);
    let decision = decisions(&listed.stderr).pop().unwrap();
    assert_eq!(decision["user"], "alice");
    assert_eq!(decision["arn"], "arn:aws:sts::123456789012:assumed-role/developer/alice");
    let assumed: Vec<Value> =
        world.calls().into_iter().filter(|call| call.operation == "AssumeRole").map(|call| call.body).collect();
    // One assumption for all calls, and one with the stamp.
    let stamps: Vec<&Value> = assumed.iter().map(|body| &body["SourceIdentity"]).collect();
    assert_eq!(stamps, [&Value::Null, &decision["source_identity"]]);
    assert_eq!(assumed[0]["ExternalId"], "from-outside");
    let ask = ["request", "--profile", "prod", "--justification", "Deploy the hotfix", "--json"];
    let request = run(&[("AWS_PROFILE", "dev")], &ask).expect(0).json();
    assert_eq!(request["request"]["requester"], "alice");
    // An explicit session name is kept.
    world.write(".aws/config", &AWS_CONFIG.replace("external_id", "role_session_name = robot\nexternal_id"));
    let request = run(&[], &[&ask[..], &["--aws-profile", "dev"]].concat()).expect(0).json();
    assert_eq!(request["request"]["requester"], "robot");
}

#[test]
fn the_source_of_credentials_is_never_guessed() {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG);
    let run = |args: &[&str], profile: Option<&str>| {
        let args = [&["exec", "--region", "us-east-1"], args, &["--", "env"]].concat();
        let mut command = world.command_as("alice", &args);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.envs(profile.map(|profile| ("AWS_PROFILE", profile)));
        finish(command.spawn().unwrap())
    };
    // There is no AWS profile `served` or `other`, and the active one does not apply to it.
    put_policy(&world, "other", "version: \"1\"\nrules:\n  - { name: all, effect: allow }\n");
    let refused = run(&["--profile", "other"], Some("base")).expect(1);
    assert!(refused.stderr.contains("there is no AWS profile other in ~/.aws/config"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--credentials-profile NAME"), "{}", refused.stderr);
    let named = run(&["--profile", "other", "--credentials-profile", "dev"], Some("base")).expect(0);
    assert_eq!(seen(&named.stdout)["AWS_REGION"], "eu-west-1");
    // Named in this command, the AWS profile applies, and the output says so.
    let given = run(&["--profile", "other", "--aws-profile", "base"], None).expect(0);
    assert!(super::is_session_of_alice(&seen(&given.stdout)["AWS_ACCESS_KEY_ID"]), "{}", given.stdout);
    assert!(
        given.stderr.contains("these are the credentials of the AWS profile base, not of other"),
        "{}",
        given.stderr
    );
    for (profile, expected) in [
        ("mfa", "requires a code from the MFA device arn:aws:iam::123456789012:mfa/alice"),
        ("lost", "its source_profile nowhere does not exist"),
        ("nobody", "there is no AWS profile nobody"),
    ] {
        let run =
            run(&["--profile", "other", "--credentials-profile", profile, "--aws-profile", "base"], None).expect(1);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
}

#[test]
fn a_refusal_names_the_rule_and_its_reason() {
    let world = provisioned();
    put_policy(&world, "broken", "version: \"1\"\nrules:\n  - { name: a, effect: allow, user: [alice] }\n");
    put_policy(
        &world,
        "nights",
        "version: \"1\"\nrules:\n  - { name: a, effect: allow, conditions: { users: [zoe] } }\n",
    );
    for (user, profile, expected) in [
        (
            "eve",
            "dev",
            "eve gets no credentials for dev: rule \"eve-never\" denies the access\nreason: Eve has left the company.",
        ),
        ("bob", "dev", "no rule of the policy matches, so access is denied"),
        ("alice", "nights", "no rule of the policy matches"),
        ("alice", "nothing", "there is no policy /sentinel/policies/nothing"),
        ("alice", "broken", "is not valid (line 3: unknown key `user` in the rule), so access is denied"),
        ("alice", "served", "rule \"served-only\" gives credentials only through a credential server"),
        ("carol", "prod", "rule \"prod-by-approval\" requires an approved request or a break-glass event"),
    ] {
        let run = world.run_as(user, &["exec", "--profile", profile, "--", "touch", "ran"]).expect(1);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        let run = world.run_as(user, &["credentials", "--profile", profile]).expect(1);
        assert_eq!(run.stdout, "");
    }
    assert!(!world.folder.path().join("ran").exists());
}

#[test]
fn unreadable_policies_and_records_deny_access() {
    let world = provisioned();
    let exec = |profile| world.run_as("alice", &["exec", "--profile", profile, "--", "true"]);
    world.fail("GetParameters", "AccessDeniedException", "");
    let run = exec("dev").expect(1);
    assert!(
        run.stderr.contains("ssm:GetParameters") && run.stderr.contains("ask for ssm:GetParameters"),
        "{}",
        run.stderr
    );
    world.clear_faults();
    world.fail("GetCallerIdentity", "ExpiredToken", "");
    exec("dev").expect(1);
    world.clear_faults();
    // One of the two records that can grant prod cannot be read. The output says so, because it might have granted access.
    world.fail("GetItem", "AccessDeniedException", "sentinel-breakglass");
    let run = exec("prod").expect(1);
    assert!(run.stderr.contains("dynamodb:GetItem"), "{}", run.stderr);
    let id = super::request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    exec("prod").expect(0);
}

#[test]
fn an_account_other_than_the_manifests_is_refused() {
    let world = provisioned();
    world.write("sentinel.toml", "[aws]\naccount_id = \"999999999999\"\n");
    for args in [vec!["exec", "--profile", "dev", "--", "true"], vec!["list"]] {
        let run = world.run_as("alice", &args).expect(4);
        assert!(run.stderr.contains("wrong account: the manifest is for 999999999999"), "{}", run.stderr);
    }
}

#[test]
fn the_exit_status_of_the_command_is_returned() {
    let world = provisioned();
    let run = |script: &str| world.run_as("alice", &["exec", "--profile", "dev", "--", "sh", "-c", script]);
    assert_eq!(run("exit 42").code, 42);
    assert_eq!(run("cat; echo out; echo err >&2").expect(0).stdout, "out\n");
    let missing = world.run_as("alice", &["exec", "--profile", "dev", "--", "no-such-command"]).expect(127);
    assert!(missing.stderr.contains("no-such-command: there is no such command"), "{}", missing.stderr);
    world.write("plain", "text");
    world.run_as("alice", &["exec", "--profile", "dev", "--", "./plain"]).expect(126);
    // The command replaces this process, so signals reach the command.
    let mut command = world.command_as("alice", &["exec", "--profile", "dev", "--", "sh", "-c", "echo $$; sleep 60"]);
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert_eq!(line.trim(), pid.to_string());
    Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}

#[test]
fn every_decision_is_logged_before_the_release() {
    let world = provisioned();
    let exec = |user: &str, profile: &str, log: &str, command: &str| {
        world.run_as(user, &["exec", "--profile", profile, "--log-file", log, "--", "sh", "-c", command])
    };
    exec("alice", "dev", "log.jsonl", "test -s log.jsonl").expect(0);
    exec("eve", "dev", "log.jsonl", "true").expect(1);
    let run = world
        .run_as("alice", &["credentials", "--profile", "dev", "--log-file", "log.jsonl", "--log-stderr"])
        .expect(0);
    assert_eq!(decisions(&run.stderr).len(), 1);
    let text = std::fs::read_to_string(world.folder.path().join("log.jsonl")).unwrap();
    let lines = decisions(&text);
    let field = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("decision"), ["allow", "deny", "allow"]);
    assert_eq!(field("user"), ["alice", "eve", "alice"]);
    assert_eq!(field("rule"), ["alice-in-dev", "eve-never", "alice-in-dev"]);
    assert_eq!(field("mode"), ["cli", "cli", "credential_process"]);
    assert_eq!(field("effect"), ["allow", "deny", "allow"]);
    assert_eq!(lines[0]["arn"], "arn:aws:iam::123456789012:user/alice");
    assert_eq!(lines[1]["reason"], "Eve has left the company.");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(world.folder.path().join("log.jsonl")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // An operation that cannot be logged is not performed. Linux has a file that can be opened and never written.
    let full = ["/dev/full"].into_iter().filter(|path| std::path::Path::new(path).exists());
    for log in full.chain(["no/such/folder/log"]) {
        let run = exec("alice", "dev", log, "touch ran").expect(1);
        assert!(run.stderr.contains("the decision cannot be logged"), "{}", run.stderr);
    }
    assert!(!world.folder.path().join("ran").exists());
}

#[test]
fn an_sdk_reads_the_credentials() {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG);
    let run = world.run_as("alice", &["credentials", "--profile", "dev", "--aws-profile", "base"]).expect(0);
    let document = run.json();
    assert_eq!(document["Version"], 1);
    assert!(document["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{document}");
    assert!(document["Expiration"].as_str().unwrap().ends_with('Z'), "{document}");
    // A second run of the binary is the SDK that calls the first through the shared files.
    let binary = env!("CARGO_BIN_EXE_sentinel");
    let line = format!("{binary} credentials --profile dev --aws-profile base --region us-east-1");
    world.write(".aws/config", &format!("{AWS_CONFIG}[profile through]\ncredential_process = {line}\n"));
    world.calls();
    let mut command = world.command(&["list", "--json", "--aws-profile", "through", "--region", "us-east-1"]);
    command.env("AWS_ENDPOINT_URL", world.url());
    let listed = finish(command.spawn().unwrap()).expect(0).json();
    assert_eq!(listed["requests"], json!([]));
    assert!(world.calls().iter().any(|call| call.operation == "AssumeRole"));
}

/// An AWS profile that runs `sentinel credentials` would run it repeatedly, if it made its calls with the same profile.
#[test]
fn a_profile_served_by_sentinel_does_not_call_itself() {
    let world = provisioned();
    let binary = env!("CARGO_BIN_EXE_sentinel");
    let config = |extra: &str| {
        let line = format!("credential_process = \"{binary}\" credentials --profile dev {extra} --log-file ran.jsonl");
        let base = "[profile base]\naws_access_key_id = AKIALOCAL:alice\naws_secret_access_key = secret\n";
        let role = "[profile above]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = dev\n";
        world.write(".aws/config", &format!("{base}[profile dev]\n{line}\n{role}"));
    };
    let run = |args: &[&str], profile: &str| {
        let mut command = world.command_as("local", args);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_PROFILE", profile);
        finish(command.spawn().unwrap())
    };
    config("");
    for profile in ["dev", "above"] {
        for args in [vec!["credentials", "--profile", "dev"], vec!["exec", "--profile", "dev", "--", "true"]] {
            let refused = run(&args, profile).expect(1);
            let expected = format!(
                "the AWS profile {profile} gets its credentials from Sentinel, which cannot use it for its own calls"
            );
            assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
        }
        run(&["list"], profile).expect(1);
    }
    assert!(world.calls().is_empty(), "nothing was asked, and nothing ran in circles");
    if crate::world::moto().is_some() {
        return; // moto does not know the user of the keys from its GetSessionToken
    }
    // With a profile for the calls, the profile of the same name is the requested one and not the source of credentials.
    config("--aws-profile base");
    let listed = run(&["list", "--json"], "dev").expect(0).json();
    assert_eq!(listed["requests"], json!([]));
    let text = std::fs::read_to_string(world.folder.path().join("ran.jsonl")).unwrap();
    assert_eq!(decisions(&text).len(), 1);
    let run = run(&["exec", "--profile", "dev", "--aws-profile", "base", "--", "env"], "dev").expect(0);
    assert!(super::is_session_of_alice(&seen(&run.stdout)["AWS_ACCESS_KEY_ID"]), "{}", run.stdout);
}

/// An intermediate program hides from the shared files that Sentinel serves the profile.
#[test]
fn recursive_runs_end() {
    let world = provisioned();
    let binary = env!("CARGO_BIN_EXE_sentinel");
    for inner in ["credentials --profile dev --credentials-profile loop", "exec --profile dev -- cat x", "list"] {
        let script = format!("#!/bin/sh\necho run >> {}/runs\nexec {binary} {inner}\n", world.folder.path().display());
        world.write("wrap.sh", &script).write("runs", "");
        let config =
            "[profile loop]\ncredential_process = sh wrap.sh\n[profile dev]\ncredential_process = sh wrap.sh\n";
        world.write(".aws/config", config);
        for args in [vec!["exec", "--profile", "dev", "--", "true"], vec!["list"]] {
            let mut command = world.command_as("local", &args);
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_PROFILE", "loop");
            let run = finish(command.spawn().unwrap()).expect(1);
            assert!(run.stderr.contains("too many nested runs of Sentinel"), "{inner}: {}", run.stderr);
            let runs = std::fs::read_to_string(world.folder.path().join("runs")).unwrap().lines().count();
            // Each run requests credentials once for the calls and once for the release.
            assert!(runs <= 6, "{inner}: {runs} processes");
            world.write("runs", "");
        }
    }
    // A script with an empty environment is stopped too, if the system shows parent processes.
    if cfg!(target_os = "linux") {
        let run = "env -i HOME=$HOME PATH=$PATH AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true";
        let inner = "timeout 20 \"$0\" list --aws-profile loop --endpoint-url http://127.0.0.1:9";
        let script = format!(
            "#!/bin/sh\necho run >> {}/runs\n[ $(wc -l < {0}/runs) -lt 40 ] && {run} sh -c '{inner}' {binary}\n",
            world.folder.path().display()
        );
        world.write("wrap.sh", &script).write("runs", "");
        let mut command = world.command_as("local", &["list"]);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_PROFILE", "loop");
        let run = finish(command.spawn().unwrap()).expect(1);
        assert!(run.stderr.contains("too many nested runs of Sentinel"), "{}", run.stderr);
        let runs = std::fs::read_to_string(world.folder.path().join("runs")).unwrap().lines().count();
        assert!(runs <= 4, "{runs} processes");
    }
    // Deliberate nesting is possible, a few levels deep. On moto only one world can exist at a time.
    drop(world);
    let world = provisioned();
    let nested = ["exec", "--profile", "dev", "--", "sh", "-c", "echo $SENTINEL_DEPTH"];
    assert_eq!(world.run_as("alice", &nested).expect(0).stdout, "1.0\n");
    let mut command = world.command_as("alice", &nested);
    let run = finish(command.env("SENTINEL_DEPTH", "3.0").spawn().unwrap()).expect(0);
    assert_eq!(run.stdout, "4.0\n");
    let mut command = world.command_as("alice", &nested);
    finish(command.env("SENTINEL_DEPTH", "4.0").spawn().unwrap()).expect(1);
}

#[test]
fn an_mfa_code_is_passed_to_a_role_that_requires_it() {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG);
    let run = |way: &[&str], code: &[&str]| {
        let args = ["exec", "--credentials-profile", "mfa", "--aws-profile", "base"];
        world.run_as("alice", &[&args[..], way, code, &["--", "env"]].concat())
    };
    for (way, seen) in [
        (&["--profile", "dev"][..], "AWS_ACCESS_KEY_ID=ASIA"),
        (&["--profile", "served", "--server"][..], "AWS_CONTAINER_"),
    ] {
        let done = run(way, &["--mfa-code", "123456"]).expect(0);
        assert!(done.stdout.contains(seen), "{}", done.stdout);
        let assumed = world.calls().into_iter().find(|call| call.operation == "AssumeRole").unwrap().body;
        assert_eq!(assumed["TokenCode"], "123456");
        assert_eq!(assumed["SerialNumber"], "arn:aws:iam::123456789012:mfa/alice");
    }
    let lacking = run(&["--profile", "dev"], &[]).expect(1);
    assert!(lacking.stderr.contains("--mfa-code CODE"), "{}", lacking.stderr);
    run(&["--profile", "dev"], &["--mfa-code", "12345x"]).expect(1);
}

#[test]
fn a_missing_aws_profile_is_named() {
    let world = provisioned();
    for args in [vec!["list"], vec!["exec", "--profile", "dev", "--", "true"], vec!["shell", "init"]] {
        let run = world.run_as("alice", &[&["--aws-profile", "nobody"], &args[..]].concat());
        assert_eq!(run.code, i32::from(args[0] != "shell"));
        assert!(run.stderr.contains("there is no AWS profile nobody in ~/.aws/config"), "{}", run.stderr);
    }
    assert!(world.calls().is_empty());
}

#[test]
fn no_call_is_made_without_a_command_profile_or_region() {
    let world = World::new();
    world.run_as("alice", &["exec", "--profile", "dev"]).expect(1);
    world.run_as("alice", &["exec", "--", "true"]).expect(1);
    world.run_as("alice", &["exec", "--profile", "a b", "--", "true"]).expect(1);
    world.run_as("alice", &["exec", "--profile", "dev", "--session-table", "sessions", "--", "true"]).expect(1);
    let mut command = world.command_as("alice", &["exec", "--profile", "dev", "--", "true"]);
    let run = finish(command.env_remove("AWS_REGION").spawn().unwrap()).expect(1);
    assert!(run.stderr.contains("no AWS region configured"), "{}", run.stderr);
    assert!(world.calls().is_empty());
}

#[test]
fn a_refusal_shows_what_would_have_granted_access() {
    let world = provisioned();
    let policy = r#"version: "1"
rules:
  - { name: servers, effect: allow, conditions: { users: [alice], mode: [server] } }
  - { name: operators, effect: allow, conditions: { users: [Bob@example.com, carol, dave] } }
  - name: a-day-of-the-week
    effect: allow
    conditions: { users: [alice], time: { days: [DAY], timezone: Europe/Zurich } }
  - { name: rest, effect: deny }
"#;
    // Tomorrow in every time zone: the day after the next is never today in Zurich.
    let days = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let day = days[usize::try_from(super::now() / 86_400 + 2).unwrap() % 7];
    put_policy(&world, "dev", &policy.replace("DAY", &day.to_lowercase()));
    let run = world.run_as("alice", &["exec", "--profile", "dev", "--log-stderr", "--", "true"]).expect(1);
    let server = "rule \"servers\" would allow it through a credential server (sentinel exec --server)";
    let later = format!("rule \"a-day-of-the-week\" would allow it {day} (Europe/Zurich); next from {day} 20");
    assert!(run.stderr.contains(server) && run.stderr.contains(&later), "{}", run.stderr);
    let would = decisions(&run.stderr).pop().unwrap()["would_allow"].clone();
    assert_eq!((&would[0]["rule"], &would[0]["mode"]), (&json!("servers"), &json!("server")));
    assert!(would[1]["from"].is_string() && would[0]["from"].is_null(), "{would}");
    // Other users are not named, except one who is most likely meant.
    let run = world.run_as("mallory", &["credentials", "--profile", "dev"]).expect(1);
    assert!(run.stderr.contains("rule \"operators\" would allow it for 3 other users"), "{}", run.stderr);
    assert!(!run.stderr.contains("carol"), "{}", run.stderr);
    let run = world.run_as("bob", &["credentials", "--profile", "dev"]).expect(1);
    assert!(run.stderr.contains("for Bob@example.com, and not for bob: names must match exactly"), "{}", run.stderr);
    let args = ["breakglass", "--profile", "dev", "--reason-code", "incident", "--justification"];
    let run = world.run_as("alice", &[&args[..], &["The database is down, nobody is awake"]].concat()).expect(1);
    assert!(run.stderr.contains(server) && run.stderr.contains(&later), "{}", run.stderr);
}

/// A device condition as the Go implementation writes it. Sentinel cannot verify devices.
#[test]
fn a_device_condition_denies_and_is_reported() {
    let world = provisioned();
    let policy = "version: \"1\"\nrules:\n  - { name: managed, effect: allow, conditions: { device: { require_mdm: true } } }\n  - { name: rest, effect: allow }\n";
    put_policy(&world, "dev", policy);
    let run = world.run_as("alice", &["exec", "--profile", "dev", "--", "true"]).expect(1);
    assert!(run.stderr.contains("rule \"managed\" has a device condition"), "{}", run.stderr);
    world.write("policies/device.yaml", policy);
    let lint = world.run(&["policy", "lint", "policies/device.yaml"]);
    assert!(lint.stdout.contains("L016") || lint.stderr.contains("L016"), "{}{}", lint.stdout, lint.stderr);
    assert!(world.run(&["explain", "L016"]).expect(0).stdout.contains("denies"));
}

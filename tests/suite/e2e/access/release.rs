//! Released credentials: their source and duration, the cleaned environment, and the log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{decisions, now, provisioned, put_policy, request, set_number};
use crate::world::{Run, World, finish};

const AWS_CONFIG: &str = "\
[profile base]
aws_access_key_id = AKIALOCAL:alice
aws_secret_access_key = secret
[profile dev]
role_arn = arn:aws:iam::123456789012:role/team/developer
source_profile = base
[profile prod-admin]
role_arn = arn:aws:iam::123456789012:role/prod-admin
source_profile = base
duration_seconds = 43200
[profile through]
credential_process = cat issued.json
[profile keys]
credential_process = cat permanent.json
";

/// The output of a `credential_process`: a role session, and a user's permanent keys with an expiry.
const ISSUED: &str = r#"{ "Version": 1, "AccessKeyId": "ASIALOCAL:123456789012:prod-admin:alice", "SecretAccessKey": "s",
"SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z" }"#;
const PERMANENT: &str = r#"{ "Version": 1, "AccessKeyId": "AKIALOCAL:alice", "SecretAccessKey": "s",
"Expiration": "2099-01-01T00:00:00Z" }"#;

fn world() -> World {
    let world = provisioned();
    world.write(".aws/config", AWS_CONFIG).write("issued.json", ISSUED).write("permanent.json", PERMANENT);
    world
}

/// Runs `exec` as alice, with the credentials of an AWS profile; the log goes to stderr.
fn exec(world: &World, profile: &str, credentials: &str) -> Run {
    let args = ["exec", "--profile", profile, "--credentials-profile", credentials, "--log-stderr", "--", "env"];
    world.run_as("alice", &args)
}

fn seen(run: &Run) -> BTreeMap<String, String> {
    let lines = run.stdout.lines().filter_map(|line| line.split_once('='));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn logged(run: &Run) -> Value {
    decisions(&run.stderr).pop().unwrap()
}

fn seconds(text: &Value) -> i64 {
    text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}

fn assumed(world: &World) -> Vec<Value> {
    world.calls().into_iter().filter(|call| call.operation == "AssumeRole").map(|call| call.body).collect()
}

/// A policy that allows alice, for these credentials.
fn bound(world: &World, credentials: &str) {
    let rules = "rules:\n  - { name: alice, effect: allow, conditions: { users: [alice] } }\n";
    put_policy(world, "dev", &format!("version: \"1\"\ncredentials: {credentials}\n{rules}"));
}

#[test]
fn the_log_records_the_released_credentials() {
    let world = world();
    let role = exec(&world, "dev", "prod-admin").expect(0);
    let (record, seen) = (logged(&role), seen(&role));
    assert_eq!((&record["decision"], &record["outcome"]), (&json!("allow"), &json!("released")));
    assert_eq!((&record["profile"], &record["aws_profile"]), (&json!("dev"), &json!("prod-admin")));
    assert_eq!(record["role_arn"], "arn:aws:iam::123456789012:role/prod-admin");
    assert_eq!(record["credentials_arn"], "arn:aws:sts::123456789012:assumed-role/prod-admin/alice");
    assert_eq!(record["access_key_id"], seen["AWS_ACCESS_KEY_ID"]);
    assert_eq!(record["expires_at"], seen["AWS_CREDENTIAL_EXPIRATION"]);
    assert_eq!(record["source_identity"], assumed(&world)[0]["SourceIdentity"]);

    // The SDK's credentials have no source identity from Sentinel; STS identifies them.
    let provided = logged(&exec(&world, "dev", "through").expect(0));
    assert_eq!(provided["role_arn"], "arn:aws:iam::123456789012:role/prod-admin");
    assert_eq!(
        (&provided["aws_profile"], &provided["expires_at"]),
        (&json!("through"), &json!("2099-01-01T00:00:00Z"))
    );
    assert_eq!(provided.get("source_identity"), None);
    let keys = logged(&exec(&world, "dev", "base").expect(0));
    assert_eq!((&keys["aws_profile"], &keys["role_arn"]), (&json!("base"), &json!(null)));
    assert_eq!(keys.get("source_identity"), None);
    assert!(!role.stderr.contains("secret"), "{}", role.stderr);
}

#[test]
fn unavailable_credentials_are_logged() {
    let world = world();
    world.fail("AssumeRole", "AccessDenied", "");
    let failed = exec(&world, "dev", "prod-admin").expect(1);
    let record = logged(&failed);
    assert_eq!((&record["decision"], &record["outcome"]), (&json!("allow"), &json!("failed")));
    assert!(record["error"].as_str().unwrap().contains("role/prod-admin"), "{record}");
    assert_eq!(record.get("access_key_id"), None);
    let missing = logged(&exec(&world, "dev", "nobody").expect(1));
    assert_eq!(missing["outcome"], "failed");
}

#[test]
fn a_record_that_cannot_be_written_releases_nothing() {
    let world = world();
    let run = |log: &str, redirect: &str| {
        let binary = env!("CARGO_BIN_EXE_sentinel");
        let script = format!("exec {binary} exec --profile dev {log} -- touch ran {redirect}");
        let mut command = std::process::Command::new("sh");
        let like = world.command_as("alice", &[]);
        command.args(["-c", &script]).env_clear().current_dir(world.folder.path());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.status().unwrap().code()
    };
    if std::path::Path::new("/dev/full").exists() {
        assert_eq!(run("--log-stderr", "2>/dev/full"), Some(1));
    }
    // A link is not followed, and its target is not written.
    std::os::unix::fs::symlink("elsewhere", world.folder.path().join("log")).unwrap();
    world.write("elsewhere", "");
    assert_eq!(run("--log-file log", "2>/dev/null"), Some(1));
    assert_eq!(std::fs::read_to_string(world.folder.path().join("elsewhere")).unwrap(), "");
    assert!(!world.folder.path().join("ran").exists());
    assert_eq!(run("--log-stderr", "2>/dev/null"), Some(0));
}

#[test]
fn a_policy_releases_only_its_own_credentials() {
    let world = world();
    let refused = |credentials: &str, why: &str| {
        let run = exec(&world, "dev", credentials).expect(1);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert_eq!(run.stdout, "");
        let record = logged(&run);
        assert_eq!((&record["decision"], &record["outcome"]), (&json!("deny"), &json!("refused")));
        let args = ["credentials", "--profile", "dev", "--credentials-profile", credentials];
        assert_eq!(world.run_as("alice", &args).expect(1).stdout, "");
    };
    bound(&world, "{ aws_profile: [dev] }");
    exec(&world, "dev", "dev").expect(0);
    world.calls();
    refused(
        "prod-admin",
        "the policy allows only credentials of the AWS profile dev, but yours are of the AWS profile prod-admin",
    );
    assert_eq!(assumed(&world), [Value::Null; 0], "nothing was asked for");

    bound(&world, "{ role_arn: [\"arn:aws:iam::123456789012:role/developer\"] }");
    exec(&world, "dev", "dev").expect(0);
    let other = "but these are of arn:aws:iam::123456789012:role/prod-admin";
    refused("prod-admin", other);
    // STS's answer decides, not ~/.aws/config.
    refused("through", other);
    refused("base", "but these are of no role");
    bound(&world, "{ role_arn: [\"arn:aws:iam::123456789012:role/dev*\"], aws_profile: [through] }");
    refused("dev", "but yours are of the AWS profile dev");
    refused("through", other);
    bound(&world, "{ role_arn: [\"arn:aws:iam::123456789012:role/prod-*\"], aws_profile: [through] }");
    exec(&world, "dev", "through").expect(0);
    // Keys in the environment belong to no AWS profile.
    let own = world.run_as("alice", &["exec", "--profile", "other", "--", "true"]);
    assert_eq!(own.code, 1);
}

#[test]
fn credentials_from_the_environment_are_refused_with_a_fix() {
    let world = provisioned();
    bound(&world, "{ aws_profile: [dev] }");
    let run = world.run_as("alice", &["exec", "--profile", "dev", "--", "true"]).expect(1);
    let why = "the policy allows only credentials of the AWS profile dev, but yours come from the environment\n\
               hint: use an AWS profile whose credentials the policy allows (--credentials-profile NAME), or list your \
               role as role_arn under credentials in the policy, without aws_profile\n";
    assert!(run.stderr.ends_with(why), "{}", run.stderr);
}

#[test]
fn credentials_expire_with_the_approval() {
    let world = world();
    let id = request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    let run = exec(&world, "prod", "prod-admin").expect(0);
    let asked: i64 = assumed(&world)[0]["DurationSeconds"].as_str().unwrap().parse().unwrap();
    // The request is for an hour, and the AWS profile allows twelve.
    assert!((3_500..=3_600).contains(&asked), "{asked}");
    let until = seconds(&logged(&run)["until"]);
    assert!((until - now() - 3_600).abs() < 60);
    assert!(seconds(&json!(seen(&run)["AWS_CREDENTIAL_EXPIRATION"])) <= until);
    // The SDK's credentials last until 2099, and are released with the end of access as their expiry.
    let provided = exec(&world, "prod", "through").expect(0);
    assert_eq!(seconds(&json!(seen(&provided)["AWS_CREDENTIAL_EXPIRATION"])), until);
    assert_eq!(seconds(&logged(&provided)["expires_at"]), until);
}

#[test]
fn permanent_keys_are_exchanged_and_never_released() {
    let world = world();
    for credentials in ["base", "keys"] {
        let run = exec(&world, "dev", credentials).expect(0);
        let seen = seen(&run);
        assert_eq!(seen["AWS_ACCESS_KEY_ID"], "ASIALOCAL:alice");
        assert!(seen["AWS_SESSION_TOKEN"].starts_with("local."), "{}", seen["AWS_SESSION_TOKEN"]);
        let expires = seconds(&json!(seen["AWS_CREDENTIAL_EXPIRATION"]));
        assert!((expires - now() - 3_600).abs() < 60, "{expires}");
    }
    let calls: Vec<Value> =
        world.calls().into_iter().filter(|call| call.operation == "GetSessionToken").map(|call| call.body).collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["DurationSeconds"], "3600");
    world.fail("GetSessionToken", "AccessDenied", "");
    let refused = exec(&world, "dev", "base").expect(1);
    assert!(refused.stderr.contains("never expire") && refused.stderr.contains("role_arn"), "{}", refused.stderr);
    assert_eq!(logged(&refused)["outcome"], "failed");
    world.clear_faults();
    // The calls use a user's keys, and the released keys are those of the root user.
    let mut asked = 0;
    world.fault(move |call| {
        asked += usize::from(call.operation == "GetCallerIdentity");
        let root = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:root</Arn>\
                    <UserId>123456789012</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                    </GetCallerIdentityResponse>";
        let answer = crate::world::Answer { status: 200, content_type: "text/xml", body: root.as_bytes().to_vec() };
        (call.operation == "GetCallerIdentity" && asked == 2).then_some(answer)
    });
    let root = exec(&world, "dev", "base").expect(1);
    assert!(root.stderr.contains("an account's root user"), "{}", root.stderr);
}

#[test]
fn the_command_does_not_inherit_stale_credentials() {
    let world = world();
    let stale = [
        "AWS_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_CREDENTIAL_SCOPE",
        "AWS_ACCOUNT_ID",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_IAM_ROLE_ARN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_SOMETHING_NEW",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_SIGNIN_REGION",
        "AWS_SESSION_EXPIRATION",
        "AMAZON_ACCESS_KEY_ID",
        "AMAZON_SECRET_ACCESS_KEY",
        "AMAZON_SESSION_TOKEN",
        "AWS_ENDPOINT",
        "AWS_S3_ENDPOINT",
        "AWS_DYNAMODB_ENDPOINT_URL",
    ];
    for way in [&["--profile", "dev"][..], &["--profile", "served", "--server"]] {
        let args = [&["exec"], way, &["--credentials-profile", "dev", "--", "env"]].concat();
        let mut command = world.command_as("alice", &args);
        command.envs(stale.iter().map(|name| (*name, "stale"))).env("AWS_CA_BUNDLE", "/etc/ssl/ca.pem");
        command.env("AWS_USE_FIPS_ENDPOINT", "false");
        let run = finish(command.spawn().unwrap()).expect(0);
        assert!(!run.stdout.contains("=stale"), "{}", run.stdout);
        let seen = seen(&run);
        assert!(!seen.contains_key("AWS_ENDPOINT_URL") && !seen.contains_key("AWS_PROFILE"), "{seen:?}");
        assert_eq!(seen["AWS_CA_BUNDLE"], "/etc/ssl/ca.pem");
        assert_eq!(seen["AWS_USE_FIPS_ENDPOINT"], "false");
        assert_eq!(seen.get("AWS_ACCOUNT_ID").map(String::as_str), (way.len() == 2).then_some("123456789012"));
        // The options of the command line also apply to the command.
        let args = [&args[..1], &["--endpoint-url", world.url()], &args[1..]].concat();
        let run = world.run_as("alice", &args).expect(0);
        assert!(run.stdout.contains(&format!("AWS_ENDPOINT_URL={}\n", world.url())), "{}", run.stdout);
    }
}

#[test]
fn principals_distinguish_accounts_and_roles() {
    let world = world();
    let policy = |principal: &str| {
        let rule =
            format!("{{ name: r, effect: allow, conditions: {{ users: [alice], principals: [\"{principal}\"] }} }}");
        put_policy(&world, "dev", &format!("version: \"1\"\nrules:\n  - {rule}\n"));
    };
    let run = |code: i32| drop(exec(&world, "dev", "base").expect(code));
    policy("arn:aws:iam::123456789012:user/alice");
    run(0);
    policy("arn:aws:iam::111111111111:user/alice");
    run(1);
    policy("arn:aws:sts::123456789012:assumed-role/*/alice");
    run(1);
    policy("arn:aws:iam::123456789012:role/alice");
    run(1);
}

#[test]
fn credentials_expire_with_the_time_window() {
    let world = world();
    // A window of almost a day, which ends in two to three minutes.
    let end = (now() / 60 + 3) * 60;
    let clock = |at: i64| jiff::Timestamp::from_second(at).unwrap().strftime("%H:%M").to_string();
    let hours = format!("{{ start: \"{}\", end: \"{}\" }}", clock(end + 60), clock(end));
    let window = format!("conditions: {{ time: {{ hours: {hours} }} }}");
    put_policy(&world, "dev", &format!("version: \"1\"\nrules:\n  - {{ name: day, effect: allow, {window} }}\n"));
    for credentials in ["dev", "prod-admin", "through", "base"] {
        let run = exec(&world, "dev", credentials).expect(0);
        assert_eq!(seconds(&json!(seen(&run)["AWS_CREDENTIAL_EXPIRATION"])), end, "{credentials}");
        assert_eq!(seconds(&logged(&run)["until"]), end);
    }
    // This is AWS's minimum.
    assert_eq!(assumed(&world)[0]["DurationSeconds"], "900");
    // Another rule continues to grant access.
    let rules = format!("  - {{ name: day, effect: allow, {window} }}\n  - {{ name: rest, effect: allow }}\n");
    put_policy(&world, "dev", &format!("version: \"1\"\nrules:\n{rules}"));
    assert_eq!(logged(&exec(&world, "dev", "dev").expect(0))["until"], Value::Null);
}

/// Expired access in the record that grants it releases nothing.
#[test]
fn expired_access_releases_nothing() {
    let world = world();
    let id = request(&world, "alice", "prod");
    world.run_as("bob", &["approve", &id]).expect(0);
    set_number(&world, "sentinel-requests", &format!("decision#{id}"), "expires_at", now() - 1);
    exec(&world, "prod", "prod-admin").expect(1);
    assert_eq!(assumed(&world), [Value::Null; 0]);
}

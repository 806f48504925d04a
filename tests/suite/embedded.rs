//! The AWS emulator: its rules, its store, and `--local` for users.

use std::time::Duration;

use sentinel::local::{LocalAws, Request, Rules};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::snapshot;
use crate::world::{World, finish};

/// Makes a call; an error is returned as its code and text.
fn call(aws: &LocalAws, target: &str, body: Value) -> Result<Value, String> {
    call_in(aws, "eu-west-1", target, body)
}

pub fn call_in(aws: &LocalAws, region: &str, target: &str, body: Value) -> Result<Value, String> {
    let service = if target.starts_with("AmazonSSM") { "ssm" } else { "dynamodb" };
    let scope = format!("Credential=k/20260101/{region}/{service}/aws4_request");
    let answer = aws.answer(&Request::new(target.to_owned(), &scope, body.to_string().into_bytes()));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    if answer.status == 200 {
        return Ok(body);
    }
    let code = body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
    Err(format!("{code}: {}", body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default()))
}

fn ssm(aws: &LocalAws, operation: &str, body: Value) -> Result<Value, String> {
    call(aws, &format!("AmazonSSM.{operation}"), body)
}

fn dynamodb(aws: &LocalAws, operation: &str, body: Value) -> Result<Value, String> {
    call(aws, &format!("DynamoDB_20120810.{operation}"), body)
}

#[track_caller]
fn refused(result: Result<Value, String>, beginning: &str) {
    match result {
        Err(error) if error.starts_with(beginning) => {}
        other => panic!("expected {beginning}, got {other:?}"),
    }
}

fn create(aws: &LocalAws, name: &str) -> Value {
    let body = json!({
        "TableName": name,
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    dynamodb(aws, "CreateTable", body).unwrap()["TableDescription"].take()
}

fn describe(aws: &LocalAws, name: &str) -> Value {
    dynamodb(aws, "DescribeTable", json!({ "TableName": name })).unwrap()["Table"].take()
}

fn ttl(attribute: &str, enabled: bool) -> Value {
    json!({ "TableName": "t-1", "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": enabled } })
}

fn add_index(names: &[&str]) -> Value {
    let index = |name: &&str| {
        json!({ "Create": {
            "IndexName": name,
            "KeySchema": [{ "AttributeName": "user", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
        } })
    };
    json!({
        "TableName": "t-1",
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "S" }, { "AttributeName": "user", "AttributeType": "S" },
        ],
        "GlobalSecondaryIndexUpdates": names.iter().map(index).collect::<Vec<_>>(),
    })
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_table_is_creating_before_it_is_active() {
    let aws = LocalAws::memory(Rules::default());
    let table = create(&aws, "t-1");
    assert_eq!(table["TableStatus"], "CREATING");
    assert_eq!(table["TableArn"], "arn:aws:dynamodb:eu-west-1:123456789012:table/t-1");
    refused(dynamodb(&aws, "UpdateTimeToLive", ttl("at", true)), "ResourceInUseException");
    refused(dynamodb(&aws, "DescribeTimeToLive", json!({ "TableName": "t-1" })), "ValidationException");
    refused(
        dynamodb(&aws, "PutItem", json!({ "TableName": "t-1", "Item": { "id": { "S": "1" } } })),
        "ResourceNotFoundException",
    );
    refused(dynamodb(&aws, "DescribeContinuousBackups", json!({ "TableName": "t-1" })), "TableNotFoundException");
    advance(SECOND).await;
    assert_eq!(describe(&aws, "t-1")["TableStatus"], "ACTIVE");
    dynamodb(&aws, "PutItem", json!({ "TableName": "t-1", "Item": { "id": { "S": "1" } } })).unwrap();
}

#[tokio::test(start_paused = true)]
async fn ttl_changes_once_an_hour_with_a_reason_for_refusals() {
    let aws = LocalAws::memory(Rules::default());
    create(&aws, "t-1");
    advance(SECOND).await;
    refused(
        dynamodb(&aws, "UpdateTimeToLive", ttl("at", false)),
        "ValidationException: TimeToLive is already disabled",
    );
    dynamodb(&aws, "UpdateTimeToLive", ttl("at", true)).unwrap();
    let status = || dynamodb(&aws, "DescribeTimeToLive", json!({ "TableName": "t-1" })).unwrap();
    assert_eq!(status()["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLING");
    advance(3 * SECOND).await;
    assert_eq!(status()["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
    refused(dynamodb(&aws, "UpdateTimeToLive", ttl("at", true)), "ValidationException: TimeToLive is already enabled");
    refused(
        dynamodb(&aws, "UpdateTimeToLive", ttl("other", true)),
        "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is at",
    );
    refused(
        dynamodb(&aws, "UpdateTimeToLive", ttl("at", false)),
        "ValidationException: Time to live has been modified multiple times within a fixed interval",
    );
    advance(3600 * SECOND).await;
    dynamodb(&aws, "UpdateTimeToLive", ttl("at", false)).unwrap();
    assert_eq!(status()["TimeToLiveDescription"]["TimeToLiveStatus"], "DISABLING");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_index_is_deleting_for_a_while() {
    let aws = LocalAws::memory(Rules { index_deletion: 60 * SECOND, ..Rules::default() });
    create(&aws, "t-1");
    advance(2 * SECOND).await;
    dynamodb(&aws, "UpdateTable", add_index(&["a-index"])).unwrap();
    advance(10 * SECOND).await;
    let delete = |name: &str| json!({ "TableName": "t-1", "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": name } }] });
    refused(dynamodb(&aws, "UpdateTable", delete("none")), "ResourceNotFoundException");
    dynamodb(&aws, "UpdateTable", delete("a-index")).unwrap();
    advance(2 * SECOND).await;
    assert_eq!(describe(&aws, "t-1")["GlobalSecondaryIndexes"][0]["IndexStatus"], "DELETING");
    refused(dynamodb(&aws, "UpdateTable", delete("a-index")), "ResourceInUseException");
    refused(dynamodb(&aws, "UpdateTable", add_index(&["a-index"])), "LimitExceededException");
    advance(60 * SECOND).await;
    // A refused call is the first to notice that it no longer exists.
    refused(dynamodb(&aws, "UpdateTable", delete("a-index")), "ResourceNotFoundException");
    assert!(describe(&aws, "t-1")["GlobalSecondaryIndexes"].is_null());
    dynamodb(&aws, "UpdateTable", add_index(&["a-index"])).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_one_index_and_its_backfill_takes_time() {
    let aws = LocalAws::memory(Rules { index_backfill: 60 * SECOND, ..Rules::default() });
    create(&aws, "t-1");
    advance(SECOND).await;
    refused(dynamodb(&aws, "UpdateTable", add_index(&["a-index", "b-index"])), "LimitExceededException");
    let table = dynamodb(&aws, "UpdateTable", add_index(&["a-index"])).unwrap()["TableDescription"].take();
    assert_eq!(table["TableStatus"], "UPDATING");
    refused(dynamodb(&aws, "UpdateTable", add_index(&["b-index"])), "ResourceInUseException");
    advance(SECOND).await;
    let table = describe(&aws, "t-1");
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(table["GlobalSecondaryIndexes"][0]["IndexStatus"], "CREATING");
    assert_eq!(table["GlobalSecondaryIndexes"][0]["Backfilling"], true);
    refused(dynamodb(&aws, "UpdateTable", add_index(&["b-index"])), "LimitExceededException");
    advance(60 * SECOND).await;
    assert_eq!(describe(&aws, "t-1")["GlobalSecondaryIndexes"][0]["IndexStatus"], "ACTIVE");
    dynamodb(&aws, "UpdateTable", add_index(&["b-index"])).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_index_has_capacity_only_on_a_provisioned_table() {
    let aws = LocalAws::memory(Rules { table_creation: Duration::ZERO, ..Rules::default() });
    create(&aws, "t-1");
    let units = json!({ "ReadCapacityUnits": 1, "WriteCapacityUnits": 1 });
    let mut with_units = add_index(&["user-index"]);
    with_units["GlobalSecondaryIndexUpdates"][0]["Create"]["ProvisionedThroughput"] = units.clone();
    let neither = "ValidationException: One or more parameter values were invalid: Neither ReadCapacityUnits nor";
    refused(dynamodb(&aws, "UpdateTable", with_units.clone()), neither);
    assert!(describe(&aws, "t-1")["GlobalSecondaryIndexes"].is_null());
    let mut provisioned = json!({
        "TableName": "t-2",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions":
            [{ "AttributeName": "id", "AttributeType": "S" }, { "AttributeName": "user", "AttributeType": "S" }],
        "ProvisionedThroughput": units,
        "GlobalSecondaryIndexes": [add_index(&["x-index"])["GlobalSecondaryIndexUpdates"][0]["Create"]],
    });
    let lacks = "ValidationException: One or more parameter values were invalid: ProvisionedThroughput is not specified for index: ";
    refused(dynamodb(&aws, "CreateTable", provisioned.clone()), &format!("{lacks}x-index"));
    provisioned["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = units.clone();
    dynamodb(&aws, "CreateTable", provisioned).unwrap();
    let on = |mut body: Value| {
        body["TableName"] = json!("t-2");
        dynamodb(&aws, "UpdateTable", body)
    };
    refused(on(add_index(&["user-index"])), &format!("{lacks}user-index"));
    on(with_units).unwrap();
}

#[tokio::test(start_paused = true)]
async fn table_tags_have_the_characters_that_aws_accepts() {
    let aws = LocalAws::memory(Rules { table_creation: Duration::ZERO, ..Rules::default() });
    let arn = create(&aws, "t-1")["TableArn"].clone();
    let tag = |key: &str, value: &str| {
        dynamodb(&aws, "TagResource", json!({ "ResourceArn": arn, "Tags": [{ "Key": key, "Value": value }] }))
    };
    let long = "x".repeat(257);
    for (key, value) in
        [("a{b}", "c"), ("a", "{c}"), ("", "c"), ("a", "<c>"), ("a", long.as_str()), (&long[..129], "c")]
    {
        refused(tag(key, value), "ValidationException: One or more parameter values were invalid: The tag ");
    }
    tag("Team é:1", "a b_c.d:/=+-@").unwrap();
}

#[tokio::test(start_paused = true)]
async fn backup_status_is_available_a_moment_after_active() {
    let aws = LocalAws::memory(Rules::default());
    create(&aws, "t-1");
    advance(SECOND).await;
    let on = json!({ "TableName": "t-1", "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true } });
    refused(dynamodb(&aws, "UpdateContinuousBackups", on.clone()), "ContinuousBackupsUnavailableException");
    advance(SECOND).await;
    let status = |answer: Value| {
        answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"].clone()
    };
    let described = dynamodb(&aws, "DescribeContinuousBackups", json!({ "TableName": "t-1" })).unwrap();
    assert_eq!(status(described), "DISABLED");
    assert_eq!(status(dynamodb(&aws, "UpdateContinuousBackups", on).unwrap()), "ENABLED");
}

#[tokio::test(start_paused = true)]
async fn encryption_changes_on_an_active_table_and_first_shows_the_earlier_key() {
    let aws = LocalAws::memory(Rules { encryption_change: 22 * SECOND, ..Rules::default() });
    create(&aws, "t-1");
    advance(SECOND).await;
    let change = |on: bool| json!({ "TableName": "t-1", "SSESpecification": { "Enabled": on } });
    let shown = || {
        let table = describe(&aws, "t-1");
        let (status, sse) = (table["TableStatus"].clone(), &table["SSEDescription"]);
        (status, sse["Status"].clone(), !sse["KMSMasterKeyArn"].is_null())
    };
    dynamodb(&aws, "UpdateTable", change(true)).unwrap();
    assert_eq!(shown(), (json!("ACTIVE"), json!("UPDATING"), false));
    advance(10 * SECOND).await;
    assert_eq!(shown(), (json!("ACTIVE"), json!("UPDATING"), true));
    advance(13 * SECOND).await;
    assert_eq!(shown(), (json!("ACTIVE"), json!("ENABLED"), true));
    dynamodb(&aws, "UpdateTable", change(false)).unwrap();
    assert_eq!(shown(), (json!("ACTIVE"), json!("UPDATING"), true));
    advance(23 * SECOND).await;
    assert_eq!(shown(), (json!("ACTIVE"), Value::Null, false));
}

#[tokio::test(start_paused = true)]
async fn encryption_changes_four_times_a_day_including_equal_settings() {
    let aws = LocalAws::memory(Rules::default());
    create(&aws, "t-1");
    let change = json!({ "TableName": "t-1", "SSESpecification": { "Enabled": true } });
    for _ in 0..4 {
        advance(SECOND).await;
        dynamodb(&aws, "UpdateTable", change.clone()).unwrap();
        refused(dynamodb(&aws, "UpdateTable", change.clone()), "ResourceInUseException");
    }
    advance(SECOND).await;
    refused(dynamodb(&aws, "UpdateTable", change.clone()), "LimitExceededException");
    advance(24 * 3600 * SECOND).await;
    dynamodb(&aws, "UpdateTable", change).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_protected_table_is_not_deleted_and_a_deletion_takes_a_moment() {
    let aws = LocalAws::memory(Rules::default());
    create(&aws, "t-1");
    advance(SECOND).await;
    dynamodb(&aws, "UpdateTable", json!({ "TableName": "t-1", "DeletionProtectionEnabled": true })).unwrap();
    advance(SECOND).await;
    refused(
        dynamodb(&aws, "DeleteTable", json!({ "TableName": "t-1" })),
        "ValidationException: Resource cannot be deleted",
    );
    dynamodb(&aws, "UpdateTable", json!({ "TableName": "t-1", "DeletionProtectionEnabled": false })).unwrap();
    advance(SECOND).await;
    dynamodb(&aws, "DeleteTable", json!({ "TableName": "t-1" })).unwrap();
    assert_eq!(describe(&aws, "t-1")["TableStatus"], "DELETING");
    advance(SECOND).await;
    refused(dynamodb(&aws, "DescribeTable", json!({ "TableName": "t-1" })), "ResourceNotFoundException");
    assert_eq!(dynamodb(&aws, "ListTables", json!({})).unwrap()["TableNames"], json!([]));
}

#[test]
fn parameter_store_enforces_the_rules_of_aws() {
    let aws = LocalAws::memory(Rules::default());
    let put = |body: Value| {
        let mut request = json!({ "Name": "/s/a", "Value": "v", "Type": "String" });
        request.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        ssm(&aws, "PutParameter", request)
    };
    assert_eq!(put(json!({})).unwrap()["Version"], 1);
    refused(put(json!({})), "ParameterAlreadyExists");
    assert_eq!(put(json!({ "Overwrite": true })).unwrap()["Version"], 2);
    let tags = json!([{ "Key": "a", "Value": "b" }]);
    refused(
        put(json!({ "Overwrite": true, "Tags": tags })),
        "ValidationException: Invalid request: tags and overwrite",
    );
    refused(put(json!({ "Name": "/AWS/x" })), "ValidationException: Parameter name: can't be prefixed");
    refused(put(json!({ "Name": "ssm-x" })), "ValidationException: Parameter name: can't be prefixed");
    refused(put(json!({ "Name": "/a b" })), "ValidationException: Parameter name");
    refused(put(json!({ "Name": "a/b" })), "ValidationException: Parameter name must be a fully qualified name");
    refused(put(json!({ "Name": "/x".repeat(16) })), "HierarchyLevelLimitExceededException");
    put(json!({ "Name": "/x".repeat(15) })).unwrap();
    refused(put(json!({ "Name": format!("/{}", "x".repeat(1000)) })), "ValidationException: Parameter name");
    refused(put(json!({ "Name": "/b", "Value": "" })), "ValidationException");
    refused(put(json!({ "Name": "/b", "Value": "{{x}}" })), "ValidationException: Parameter value can't nest");
    refused(put(json!({ "Name": "/b", "Value": "x".repeat(4097) })), "ValidationException: Standard tier");
    put(json!({ "Name": "/b", "Value": "x".repeat(8192), "Tier": "Advanced" })).unwrap();
    refused(
        put(json!({ "Name": "/b", "Overwrite": true, "Tier": "Standard" })),
        "ValidationException: This parameter uses the advanced",
    );
    refused(put(json!({ "Overwrite": true, "Type": "SecureString" })), "HierarchyTypeMismatchException");
    let names: Vec<String> = (0..11).map(|number| format!("/n{number}")).collect();
    refused(ssm(&aws, "GetParameters", json!({ "Names": names })), "ValidationException");
    refused(ssm(&aws, "DeleteParameters", json!({ "Names": names })), "ValidationException");
    refused(ssm(&aws, "GetParametersByPath", json!({ "Path": "/s", "MaxResults": 11 })), "ValidationException");
    refused(ssm(&aws, "DescribeParameters", json!({ "MaxResults": 51 })), "ValidationException");
    refused(ssm(&aws, "GetParameter", json!({ "Name": "/none" })), "ParameterNotFound");
    refused(
        ssm(&aws, "AddTagsToResource", json!({ "ResourceType": "Parameter", "ResourceId": "/none", "Tags": tags })),
        "InvalidResourceId",
    );
}

#[test]
fn a_hundred_versions_are_kept_unless_the_oldest_has_a_label() {
    let aws = LocalAws::memory(Rules::default());
    let put = || ssm(&aws, "PutParameter", json!({ "Name": "/a", "Value": "v", "Type": "String", "Overwrite": true }));
    for _ in 0..101 {
        put().unwrap();
    }
    let history = ssm(&aws, "GetParameterHistory", json!({ "Name": "/a" })).unwrap();
    assert_eq!(history["Parameters"][0]["Version"], 2);
    let rest = json!({ "Name": "/a", "NextToken": history["NextToken"] });
    let rest = ssm(&aws, "GetParameterHistory", rest).unwrap();
    let versions = |page: &Value| page["Parameters"].as_array().unwrap().len();
    assert_eq!((versions(&history), versions(&rest), &rest["NextToken"]), (50, 50, &Value::Null));
    let versions = ssm(&aws, "GetParameters", json!({ "Names": ["/a:2", "/a:1"] })).unwrap();
    assert_eq!((&versions["Parameters"][0]["Version"], &versions["InvalidParameters"]), (&json!(2), &json!(["/a:1"])));
    ssm(&aws, "LabelParameterVersion", json!({ "Name": "/a", "ParameterVersion": 2, "Labels": ["keep"] })).unwrap();
    refused(put(), "ParameterMaxVersionLimitExceeded");
}

#[test]
fn regions_are_separate() {
    let world = World::new();
    let apply = |region: &str| {
        let args = ["init", "approvals", "--local", "--region", region, "--yes"];
        finish(world.command(&args).spawn().unwrap()).expect(0).stdout
    };
    assert!(apply("us-east-1").contains("(created)"));
    assert!(apply("eu-west-1").contains("(created)"));
    assert!(apply("us-east-1").contains("Nothing to do"));
}

#[test]
fn local_needs_no_account_and_persists_between_runs() {
    let world = crate::e2e::project();
    let run = |args: &[&str]| {
        let mut command = world.command(args);
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        finish(command.spawn().unwrap())
    };
    let first = run(&["apply", "--local", "--yes"]).expect(0);
    snapshot!(first.stdout);
    snapshot!(run(&["apply", "--local"]).expect(0).stdout);
    assert!(world.folder.path().join(".sentinel/us-east-1/aws.db").exists());
    // Another folder is another AWS.
    run(&["plan", "--local=elsewhere", "--detailed-exitcode"]).expect(2);
    assert!(world.folder.path().join("elsewhere").exists());
    let both = run(&["plan", "--local", "--endpoint-url", "http://127.0.0.1:9"]).expect(1);
    assert!(both.stderr.contains("cannot be used with"), "{}", both.stderr);
}

/// The users for one person who tries operations that need several: `--aws-profile` selects each.
#[test]
fn a_policy_with_a_role_can_be_tried_locally() {
    let world = World::new();
    let run = |user: &str, args: &[&str]| {
        let args = [&args[..1], &["--local", "--aws-profile", user], &args[1..]].concat();
        finish(world.command(&args).spawn().unwrap())
    };
    let policy = "version: \"1\"\ncredentials:\n  role_arn: [\"arn:aws:iam::123456789012:role/dev\"]\nrules:\n  \
                  - { name: ask, effect: require_approval }\n";
    let manifest = "[aws]\nregion = \"us-east-1\"\n[profiles.dev]\npolicy = \"dev.yaml\"\n[tables.approvals]\n";
    world.write("dev.yaml", policy).write("sentinel.toml", manifest);
    run("local", &["apply", "--yes"]).expect(0);
    let asked =
        run("alice", &["request", "--profile", "dev", "--justification", "Deploy the hotfix", "--json"]).expect(0);
    let id = asked.json()["request"]["id"].as_str().unwrap().to_owned();
    run("bob", &["approve", &id]).expect(0);
    let exec = ["exec", "--profile", "dev", "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"];
    assert_eq!(run("alice", &exec).expect(0).stdout, "ASIALOCAL:123456789012:dev:alice\n");
    let other = ["exec", "--profile", "dev", "--credentials-profile", "admin", "--", "true"];
    let refused = run("alice", &other).expect(1);
    assert!(refused.stderr.contains("but these are of arn:aws:iam::123456789012:role/admin"), "{}", refused.stderr);
    // Another user pastes this command, so it does not contain the AWS profile of the user who sees it.
    run("bob", &["lock", "alice", "--profile", "dev"]).expect(0);
    let locked = run("alice", &exec).expect(1);
    let pasted = "sentinel unlock alice --profile dev --region us-east-1 --local\n";
    assert!(locked.stderr.contains(pasted), "{}", locked.stderr);
}

#[test]
fn the_store_is_next_to_the_manifest() {
    let world = World::new();
    world.write("team/sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    finish(world.command(&["apply", "-f", "team/sentinel.toml", "--local", "--yes"]).spawn().unwrap()).expect(0);
    assert!(world.folder.path().join("team/.sentinel").exists());
}

#[test]
fn two_processes_on_one_store_both_succeed() {
    let world = World::new();
    let manifest = |head: &str| {
        let mut text = String::from("[aws]\nregion = \"us-east-1\"\n");
        (0..20).for_each(|number| text.push_str(&format!("[profiles.{head}{number}]\n")));
        (0..4).for_each(|number| {
            text.push_str(&format!(
                "[tables.{head}{number}]\nname = \"{head}-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n"
            ));
        });
        text
    };
    world.write("a.toml", &manifest("a")).write("b.toml", &manifest("b"));
    let start = |file| world.command(&["apply", "-f", file, "--local", "--yes"]).spawn().unwrap();
    let (one, other) = (start("a.toml"), start("b.toml"));
    finish(one).expect(0);
    finish(other).expect(0);
    for file in ["a.toml", "b.toml"] {
        finish(world.command(&["plan", "-f", file, "--local", "--detailed-exitcode"]).spawn().unwrap()).expect(0);
    }
}

#[test]
fn two_concurrent_applies_of_one_manifest_both_succeed() {
    let world = crate::e2e::project();
    let start = || world.command(&["apply", "--local", "--yes"]).spawn().unwrap();
    let (one, other) = (start(), start());
    finish(one).expect(0);
    finish(other).expect(0);
    finish(world.command(&["plan", "--local", "--detailed-exitcode"]).spawn().unwrap()).expect(0);
}

#[test]
fn many_processes_can_open_a_new_store_at_once() {
    for round in 0..25 {
        let world = World::new();
        let local = format!("--local=store-{round}");
        let args = ["init", "bootstrap", "--profile", "a", "--region", "us-east-1", "--yes", &local];
        let running: Vec<_> = (0..8).map(|_| world.command(&args).spawn().unwrap()).collect();
        for one in running {
            finish(one).expect(0);
        }
    }
}

#[test]
fn the_emulator_ignores_account_checks() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\naccount_id = \"999999999999\"\n[profiles.a]\n");
    finish(world.command(&["apply", "--local", "--yes"]).spawn().unwrap()).expect(0);
}

#[test]
fn an_unreadable_store_is_an_immediate_error() {
    let world = World::new();
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    world.write("broken/us-east-1/aws.db", &"no database at all ".repeat(100)).write("file", "");
    let unreadable = "broken/us-east-1/aws.db: the database cannot be read: file is not a database";
    for (folder, expected) in [("broken", unreadable), ("file", "file is a file, not a folder")] {
        let local = format!("--local={folder}");
        let run = finish(world.command(&["plan", &local]).spawn().unwrap()).expect(1);
        assert!(run.stderr.contains(&format!("error[E006]: the AWS emulator: {expected}")), "{}", run.stderr);
        assert!(run.stderr.contains("hint: name another folder"), "{}", run.stderr);
    }
}

#[test]
fn a_killed_process_leaves_the_store_usable() {
    let world = crate::e2e::project();
    let mut child = world.command(&["apply", "--local", "--yes"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    finish(child);
    let run = finish(world.command(&["apply", "--local", "--yes"]).spawn().unwrap());
    assert!(run.code == 0, "{}{}", run.stdout, run.stderr);
    finish(world.command(&["plan", "--local", "--detailed-exitcode"]).spawn().unwrap()).expect(0);
}

#[cfg(unix)]
#[test]
fn local_serve_serves_the_same_store() {
    use std::io::{BufRead, BufReader};
    let world = crate::e2e::project();
    finish(world.command(&["apply", "--local", "--yes"]).spawn().unwrap()).expect(0);
    let mut server = world.command(&["local", "serve", "--port", "0", "--json"]).spawn().unwrap();
    let mut output = String::new();
    let mut reader = BufReader::new(server.stdout.take().unwrap());
    while serde_json::from_str::<Value>(&output).is_err() {
        assert_ne!(reader.read_line(&mut output).unwrap(), 0, "the server ended: {output}");
    }
    let url = serde_json::from_str::<Value>(&output).unwrap()["url"].as_str().unwrap().to_owned();
    let plan = finish(world.command(&["plan", "--endpoint-url", &url, "--detailed-exitcode"]).spawn().unwrap());
    std::process::Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
    finish(server).expect(0);
    plan.expect(0);
}

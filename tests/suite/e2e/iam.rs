//! The derived IAM policies, compared with the calls.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::POLICY;
use crate::world::{World, permissions};

/// All manageable settings, so that all calls are made.
const MANIFEST: &str = r#"[aws]
region = "us-east-1"
account_id = "123456789012"
tags = { team = "security" }

[profiles.plain]

[profiles.full]
policy = "full.yaml"
tier = "advanced"
tags = { kind = "x" }

[parameters.url]
name = "/app/url"
value = "one"
description = "where the app is"
labels = ["live"]
tags = { kind = "x" }

[tables.approvals]

[tables.sessions]
point_in_time_recovery = true
deletion_protection = true
encryption = "aws-managed"
tags = { kind = "x" }
"#;

/// Returns each action that a policy allows, with each resource.
pub fn allowed(documents: &[Value]) -> BTreeSet<(String, String)> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let statements = documents.iter().flat_map(|document| document["Statement"].as_array().unwrap());
    statements
        .flat_map(|statement| {
            let resources = texts(&statement["Resource"]);
            texts(&statement["Action"])
                .into_iter()
                .flat_map(move |action| resources.clone().into_iter().map(move |resource| (action.clone(), resource)))
        })
        .collect()
}

fn derived(world: &World, args: &[&str]) -> BTreeSet<(String, String)> {
    let document = world.run(&[&["iam", "--json", "--for"], args].concat()).expect(0).json();
    allowed(document["policies"].as_array().unwrap())
}

#[track_caller]
fn same(derived: &BTreeSet<(String, String)>, called: &BTreeSet<(String, String)>) {
    let missing: Vec<_> = called.difference(derived).collect();
    let extra: Vec<_> = derived.difference(called).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing: {missing:#?}\nextra: {extra:#?}");
}

/// Compares the calls of an apply from nothing, and of one that repairs every possible drift, with the derived policy: it allows each call,
/// and nothing else.
#[test]
fn derived_permissions_match_the_calls() {
    let world = World::quick();
    world.write("sentinel.toml", MANIFEST).write("full.yaml", POLICY);
    let (plan, apply) = (derived(&world, &["plan"]), derived(&world, &["apply"]));
    assert!(world.calls().is_empty(), "it asks nobody");
    world.run(&["apply", "--yes"]).expect(0);
    let mut called = permissions(&world.calls());
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.run(&["status"]).expect(0);
    same(&plan, &permissions(&world.calls()));
    for table in ["sentinel-requests", "sentinel-sessions"] {
        let dynamodb = |operation: &str, mut body: Value| {
            body["TableName"] = json!(table);
            world.aws(&format!("DynamoDB_20120810.{operation}"), &body);
        };
        dynamodb(
            "UpdateTimeToLive",
            json!({ "TimeToLiveSpecification": { "Enabled": false, "AttributeName": "expires_at" } }),
        );
        dynamodb(
            "UpdateTable",
            json!({ "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": "status-index" } }] }),
        );
        dynamodb(
            "UpdateContinuousBackups",
            json!({ "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": false } }),
        );
    }
    let arn = world.table("sentinel-sessions")["TableArn"].clone();
    let tags =
        json!({ "ResourceArn": arn, "Tags": [{ "Key": "kind", "Value": "y" }, { "Key": "stray", "Value": "" }] });
    world.aws("DynamoDB_20120810.TagResource", &tags);
    for name in ["/sentinel/policies/full", "/app/url"] {
        let stray = json!({ "ResourceType": "Parameter", "ResourceId": name, "Tags": [
            { "Key": "stray", "Value": "1" }, { "Key": "kind", "Value": "y" }] });
        world.aws("AmazonSSM.AddTagsToResource", &stray);
    }
    world.write("sentinel.toml", &MANIFEST.replace("\"one\"", "\"two\""));
    world.write("full.yaml", &POLICY.replace("alice", "eve"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    world.run(&["apply", "--yes"]).expect(0);
    called.extend(permissions(&world.calls()));
    same(&apply, &called);
}

#[test]
fn pruning_and_adopting_derive_their_permissions() {
    let world = World::quick();
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n[profiles.a]\n[profiles.old]\n[topics.old]\n\
         [parameters.old]\nname = \"/app/old\"\nvalue = \"x\"\n\
         [tables.old]\nname = \"old\"\npartition_key = { name = \"id\", type = \"S\" }\n\
         billing_mode = \"PROVISIONED\"\nautoscaling = { read = { min = 1, max = 2 } }\n\
         [roles.old]\ntrusted_by = { accounts = [\"123456789012\"] }\npolicies = { own = \"own.json\" }\n\
         managed_policies = [\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]\n",
    );
    let statement = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*" });
    world.write("own.json", &json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string());
    world.run(&["apply", "--yes"]).expect(0);
    // A table with items is backed up.
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": "old", "Item": { "id": { "S": "1" } } }));
    let put = json!({ "Name": "/sentinel/policies/b", "Value": POLICY, "Type": "String" });
    world.aws("AmazonSSM.PutParameter", &put);
    world.write(
        "sentinel.toml",
        "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n[profiles.b]\n[profiles.c]\n",
    );
    let mut derived = derived(&world, &["apply", "--prune", "--adopt"]);
    // AWS deletes the alarms on behalf of the caller.
    derived.retain(|(action, _)| action != "cloudwatch:DeleteAlarms");
    world.calls();
    world.run(&["apply", "--prune", "--adopt", "--allow-destructive", "prune,table,role", "--yes"]).expect(0);
    // Orphans are listed without --prune, which is not used in every run.
    world.run(&["plan"]).expect(0);
    let root = "arn:aws:ssm:us-east-1:123456789012:parameter/sentinel/policies";
    let topics = "arn:aws:sns:us-east-1:123456789012:";
    let tables = "arn:aws:dynamodb:us-east-1:123456789012:table/";
    // The resources to prune are unknown in advance, so they are allowed by pattern.
    let called = permissions(&world.calls());
    for (action, resource) in &called {
        let by_name = derived.contains(&(action.clone(), resource.clone()));
        let backups = resource.contains("/backup/").then(|| format!("{tables}*/backup/*"));
        let tables = (tables, backups.unwrap_or_else(|| format!("{tables}*")));
        let parameters = "arn:aws:ssm:us-east-1:123456789012:parameter/";
        let parameters = (parameters, format!("{parameters}*"));
        let roles = "arn:aws:iam::123456789012:role/";
        let roles = (roles, format!("{roles}*"));
        let places = [(root, format!("{root}/*")), parameters, (topics, format!("{topics}*")), tables, roles];
        let by_place = places
            .into_iter()
            .any(|(head, place)| resource.starts_with(head) && derived.contains(&(action.clone(), place)));
        assert!(by_name || by_place, "{action} on {resource} is missing");
    }
    let actions =
        |set: &BTreeSet<(String, String)>| set.iter().map(|(action, _)| action.clone()).collect::<BTreeSet<_>>();
    assert_eq!(actions(&derived), actions(&called));
}

/// Returns the single policy of a role.
pub fn policy(world: &World, role: &str, manifest: &str) -> Value {
    let run = world.run(&["iam", "--for", role, "-f", manifest]).expect(0);
    serde_json::from_str(&run.stdout).unwrap()
}

/// Returns the statement with a name.
fn statement<'a>(document: &'a Value, sid: &str) -> &'a Value {
    let statements = document["Statement"].as_array().unwrap();
    statements.iter().find(|one| one["Sid"] == sid).unwrap_or_else(|| panic!("no {sid} in {document}"))
}

#[test]
fn each_role_writes_only_records_with_its_own_prefixes() {
    let world = World::new();
    world.write("sentinel.toml", &format!("{MANIFEST}[tables.breakglass]\n")).write("full.yaml", POLICY);
    let writes = |role: &str| -> Vec<(String, Value)> {
        let document = policy(&world, role, "sentinel.toml");
        let statements = document["Statement"].as_array().unwrap().iter();
        let writing = statements.filter(|one| one["Action"].to_string().contains("PutItem"));
        writing
            .map(|one| {
                assert_eq!(one["Action"], json!(["dynamodb:PutItem", "dynamodb:UpdateItem"]));
                // Without this, a request without any key would be allowed.
                assert_eq!(one["Condition"]["Null"], json!({ "dynamodb:LeadingKeys": "false" }));
                let keys = one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].clone();
                let table = one["Resource"][0].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                (table, keys)
            })
            .collect()
    };
    let (approvals, breakglass, sessions) = ("sentinel-requests", "sentinel-breakglass", "sentinel-sessions");
    let own = |table: &str, keys: Value| (table.to_owned(), keys);
    assert_eq!(writes("requester"), [own(approvals, json!(["request#*"]))]);
    assert_eq!(writes("approver"), [own(approvals, json!(["decision#*", "revocation#*"]))]);
    let operator = [
        own(approvals, json!(["revocation#*", "lock#*"])),
        own(sessions, json!(["revocation#*"])),
        own(breakglass, json!(["event#*", "closure#*", "place#${aws:userid}#*"])),
    ];
    assert_eq!(writes("operator"), operator);
    assert_eq!(writes("server"), [own(sessions, json!(["session#*"]))]);
    assert!(world.calls().is_empty(), "it asks nobody");
}

#[test]
fn a_role_reads_policies_and_records_on_exact_arns() {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST).write("full.yaml", POLICY);
    let document = policy(&world, "requester", "sentinel.toml");
    let sids: Vec<&Value> = document["Statement"].as_array().unwrap().iter().map(|one| &one["Sid"]).collect();
    let expected = [
        "SentinelPolicyRead",
        "SentinelPolicyDiscovery",
        "SentinelApprovalTableOperations",
        "SentinelApprovalTableWrite",
    ];
    assert_eq!(sids, expected);
    let table = "arn:aws:dynamodb:us-east-1:123456789012:table/sentinel-requests";
    let read = statement(&document, "SentinelApprovalTableOperations");
    assert_eq!(read["Action"], json!(["dynamodb:GetItem", "dynamodb:Query"]));
    assert_eq!(read["Resource"], json!([table, format!("{table}/index/*")]));
    assert!(allowed(&[document]).iter().all(|(_, resource)| resource != "*"));
}

#[test]
fn runtime_prints_the_policies_of_all_roles_with_a_note() {
    let world = World::new();
    world.write("sentinel.toml", MANIFEST).write("full.yaml", POLICY);
    let run = world.run(&["iam", "--for", "runtime"]).expect(0);
    let roles: Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<&String> = roles.as_object().unwrap().keys().collect();
    assert_eq!(names, ["requester", "approver", "operator", "server"]);
    assert_eq!(roles["approver"], policy(&world, "approver", "sentinel.toml"));
    assert!(run.stderr.contains("--for requester, approver, operator or server"), "{}", run.stderr);
    let document = world.run(&["iam", "--for", "runtime", "--json"]).expect(0).json();
    assert_eq!(document["roles"]["server"], json!([policy(&world, "server", "sentinel.toml")]));
    world.run(&["iam", "--for", "operator", "--prune"]).expect(1);
}

#[test]
fn the_broker_assumes_each_role_of_a_profile_and_no_other() {
    let world = World::quick();
    let role = "arn:aws:iam::123456789012:role";
    let manifest = format!(
        "[aws]\nregion = \"us-east-1\"\naccount_id = \"123456789012\"\n[profiles.dev]\nrole = {{ role = \"developer\" }}\n\
         [profiles.prod]\nrole = \"{role}/admin\"\n[profiles.old]\nrole = \"{role}/replaced\"\n[roles.developer]\n\
         trusted_by = {{ accounts = [\"123456789012\"] }}\n[roles.unrelated]\ntrusted_by = {{ accounts = [\"123456789012\"] }}\n\
         [broker.roles]\nold = \"{role}/own\"\n"
    );
    world.write("sentinel.toml", &manifest);
    let document = policy(&world, "broker", "sentinel.toml");
    let roles = statement(&document, "SentinelRoles");
    assert_eq!(roles["Action"], json!(["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"]));
    let arns = ["developer", "admin", "own"].map(|name| format!("{role}/{name}"));
    assert_eq!(roles["Resource"], json!(arns));
    world.run(&["iam", "--for", "broker", "--adopt"]).expect(1);
}

#[test]
fn a_policy_beyond_the_size_limit_is_split() {
    let world = World::new();
    let profiles: String = (0..300).map(|number| format!("[profiles.profile-{number}]\n")).collect();
    world.write("sentinel.toml", &format!("[aws]\nregion = \"cn-north-1\"\n{profiles}"));
    let run = world.run(&["iam", "--for", "plan"]).expect(0);
    let documents: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert!(documents.len() > 3 && run.stderr.contains("Split into "), "{}", run.stderr);
    for document in &documents {
        assert!(document.to_string().chars().filter(|letter| !letter.is_whitespace()).count() <= 6144);
    }
    let all = allowed(&documents);
    assert_eq!(all.len(), 301);
    assert!(
        all.iter()
            .filter(|(action, _)| action != "tag:GetResources")
            .all(|(_, arn)| arn.starts_with("arn:aws-cn:ssm:cn-north-1:*:parameter/sentinel/policies/profile-"))
    );
}

#[test]
fn each_target_has_its_own_policies() {
    let world = World::new();
    world.write(
        "sentinel.toml",
        "[targets.a]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111111111111:role/x\"\n\
        [targets.b]\nregion = \"us-gov-west-1\"\naccount_id = \"222222222222\"\n[profiles.dev]\n",
    );
    let run = world.run(&["iam"]).expect(0);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(document["a"].to_string().contains("arn:aws:ssm:us-east-1:111111111111:parameter/sentinel/policies/dev"));
    assert!(document["b"].to_string().contains("arn:aws-us-gov:ssm:us-gov-west-1:222222222222:parameter/"));
}

//! The settings of a table with their own calls: created, compared, repaired, imported.

use serde_json::{Value, json};

use crate::world::{World, moto};

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/changes";
const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";

/// Returns the manifest of a table with these lines, and an index with these lines.
fn manifest(table: &str, index: &str) -> String {
    format!(
        "[aws]\nregion = \"us-east-1\"\n[tables.orders]\nname = \"orders\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n\
         {table}\n[tables.orders.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n{index}\n"
    )
}

fn dynamodb(world: &World, operation: &str, body: &Value) -> Value {
    world.aws(&format!("DynamoDB_20120810.{operation}"), body)
}

/// Applies a manifest, and checks that the next plan has no changes.
#[track_caller]
fn apply(world: &World, manifest: &str, extra: &[&str]) -> String {
    world.write("sentinel.toml", manifest);
    let run = world.run(&[&["apply", "--yes"], extra].concat()).expect(0);
    in_sync(world);
    run.stdout
}

#[track_caller]
fn in_sync(world: &World) {
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

/// Returns the paths of a plan's differences.
#[track_caller]
fn differs(world: &World) -> Vec<String> {
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let changes = plan["resources"][0]["changes"].as_array().unwrap();
    changes.iter().map(|change| change["path"].as_str().unwrap().to_owned()).collect()
}

/// Imports the table, checks that a plan of the import has no changes, and returns its manifest and its warnings.
#[track_caller]
fn import(world: &World) -> (String, Value) {
    let args = ["import", "--region", "us-east-1", "-o", "live", "--table", "orders", "--json"];
    let imported = world.run(&args).expect(0).json();
    let folder = world.folder.path().join("live");
    let text = std::fs::read_to_string(folder.join("sentinel.toml")).unwrap();
    world.run(&["plan", "--detailed-exitcode", "-f", "live/sentinel.toml"]).expect(0);
    (text, imported["warnings"].clone())
}

#[test]
fn recovery_days_are_set_and_fewer_need_consent() {
    let world = World::quick();
    let days = |days: u8| manifest(&format!("point_in_time_recovery = true\nrecovery_days = {days}"), "");
    let live = || {
        let found = dynamodb(&world, "DescribeContinuousBackups", &json!({ "TableName": "orders" }));
        found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"].clone()
    };
    apply(&world, &days(7), &[]);
    assert_eq!(live(), 7);
    // Any number of days is in sync if the manifest does not specify it.
    apply(&world, &manifest("point_in_time_recovery = true", ""), &[]);
    assert_eq!(live(), 7);
    apply(&world, &days(20), &[]);
    assert_eq!(live(), 20);
    world.write("sentinel.toml", &days(5));
    assert_eq!(differs(&world), ["recovery_days"]);
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("protection"), "{}", run.stdout);
    assert_eq!(live(), 20);
    apply(&world, &days(5), &["--allow-destructive", "protection"]);
    assert_eq!(live(), 5);
    assert!(import(&world).0.contains("recovery_days = 5"));
    let alone = manifest("recovery_days = 5", "");
    let run = world.write("sentinel.toml", &alone).run(&["validate"]).expect(1);
    assert!(run.stderr.contains("without `point_in_time_recovery = true`"), "{}", run.stderr);
}

#[test]
fn contributor_insights_are_set_for_the_table_and_an_index() {
    let world = World::quick();
    let text =
        manifest("contributor_insights = \"ACCESSED_AND_THROTTLED_KEYS\"", "contributor_insights = \"THROTTLED_KEYS\"");
    let live = |index: Option<&str>| {
        let mut body = json!({ "TableName": "orders" });
        if let Some(index) = index {
            body["IndexName"] = json!(index);
        }
        let found = dynamodb(&world, "DescribeContributorInsights", &body);
        (found["ContributorInsightsStatus"].clone(), found["ContributorInsightsMode"].clone())
    };
    apply(&world, &text, &[]);
    assert_eq!(live(None), (json!("ENABLED"), json!("ACCESSED_AND_THROTTLED_KEYS")));
    assert_eq!(live(Some("by-user")), (json!("ENABLED"), json!("THROTTLED_KEYS")));
    let off = json!({ "TableName": "orders", "ContributorInsightsAction": "DISABLE" });
    dynamodb(&world, "UpdateContributorInsights", &off);
    let all = json!({ "TableName": "orders", "ContributorInsightsAction": "ENABLE", "IndexName": "by-user" });
    dynamodb(&world, "UpdateContributorInsights", &all);
    assert_eq!(differs(&world), ["contributor_insights", "index by-user contributor_insights"]);
    world.calls();
    apply(&world, &text, &[]);
    let writes = world.writes();
    assert_eq!(writes, ["UpdateContributorInsights", "UpdateContributorInsights"]);
    let (imported, warnings) = import(&world);
    assert!(imported.contains("contributor_insights = \"THROTTLED_KEYS\""), "{imported}");
    assert_eq!(warnings, json!([]));
    apply(&world, &manifest("contributor_insights = false", "contributor_insights = false"), &[]);
    assert_eq!((live(None).0, live(Some("by-user")).0), (json!("DISABLED"), json!("DISABLED")));
}

/// AWS deletes the insights of an index together with it.
#[test]
fn the_insights_of_a_rebuilt_index_are_turned_on_again() {
    let world = World::quick();
    let insights = "contributor_insights = \"THROTTLED_KEYS\"";
    apply(&world, &manifest("", insights), &[]);
    let other = manifest("", &format!("{insights}\nprojection = \"KEYS_ONLY\""));
    world.calls();
    apply(&world, &other, &["--allow-destructive", "index"]);
    let found =
        dynamodb(&world, "DescribeContributorInsights", &json!({ "TableName": "orders", "IndexName": "by-user" }));
    assert_eq!(found["ContributorInsightsMode"], "THROTTLED_KEYS");
}

#[test]
fn insights_that_fail_are_an_error_with_the_reason() {
    let world = World::quick();
    apply(&world, &manifest("", ""), &[]);
    world.write("sentinel.toml", &manifest("contributor_insights = \"THROTTLED_KEYS\"", ""));
    world.fault(|call| {
        (call.operation == "DescribeContributorInsights").then(|| {
            let failure =
                json!({ "ExceptionName": "LimitExceededException", "ExceptionDescription": "rule limit reached" });
            let body = json!({
                "TableName": "orders", "ContributorInsightsStatus": "FAILED", "FailureException": failure,
            });
            crate::world::Answer {
                status: 200,
                content_type: "application/x-amz-json-1.0",
                body: body.to_string().into_bytes(),
            }
        })
    });
    assert_eq!(differs(&world), ["contributor_insights"]);
    let run = world.run(&["apply", "--yes"]).expect(1);
    let output = format!("{}{}", run.stdout, run.stderr);
    assert!(output.contains("LimitExceededException: rule limit reached"), "{output}");
}

#[test]
fn a_kinesis_destination_is_turned_on_changed_and_replaced() {
    let world = World::quick();
    let to = |stream: &str, precision: &str| {
        manifest(&format!("kinesis = {{ stream = \"{stream}\", precision = \"{precision}\" }}"), "")
    };
    let live = || {
        let found = dynamodb(&world, "DescribeKinesisStreamingDestination", &json!({ "TableName": "orders" }));
        let list = found["KinesisDataStreamDestinations"].as_array().unwrap().clone();
        let active = list.into_iter().find(|one| one["DestinationStatus"] == "ACTIVE");
        active.map(|one| (one["StreamArn"].clone(), one["ApproximateCreationDateTimePrecision"].clone()))
    };
    apply(&world, &to(STREAM, "MILLISECOND"), &[]);
    assert_eq!(live(), Some((json!(STREAM), json!("MILLISECOND"))));
    world.calls();
    apply(&world, &to(STREAM, "MICROSECOND"), &[]);
    assert_eq!(world.writes(), ["UpdateKinesisStreamingDestination"]);
    assert_eq!(live().unwrap().1, "MICROSECOND");
    let (imported, warnings) = import(&world);
    assert!(imported.contains("precision = \"MICROSECOND\""), "{imported}");
    assert_eq!(warnings, json!([]));
    let other = format!("{STREAM}-2");
    world.write("sentinel.toml", &to(&other, "MICROSECOND"));
    world.run(&["apply", "--yes"]).expect(4);
    apply(&world, &to(&other, "MICROSECOND"), &["--allow-destructive", "stream"]);
    assert_eq!(live().unwrap().0, other);
    apply(&world, &manifest("kinesis = false", ""), &["--allow-destructive", "stream"]);
    assert_eq!(live(), None);
    // AWS reports a missing stream later; Sentinel reports it if the manifest specifies the region.
    let nowhere = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes";
    world.write("sentinel.toml", &to(nowhere, "MILLISECOND"));
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("stream is in region eu-west-1, but the table is in us-east-1"), "{}", run.stderr);
    world.write("sentinel.toml", &to(nowhere, "MILLISECOND").replace("region = \"us-east-1\"", ""));
    let run = world.run(&["apply", "--yes", "--region", "us-east-1"]).expect(1);
    let output = format!("{}{}", run.stdout, run.stderr);
    assert!(output.contains("User does not have a permission to use kinesis stream"), "{output}");
    let plan = world.run(&["plan", "--region", "us-east-1"]).expect(0);
    assert!(plan.stdout.contains("(failed)"), "{}", plan.stdout);
}

fn policy(action: &str) -> String {
    let statement = json!({
        "Effect": "Allow", "Principal": { "AWS": "210987654321" }, "Action": action, "Resource": "*",
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

#[test]
fn import_names_the_aws_managed_key() {
    let world = World::quick();
    apply(&world, &manifest("encryption = \"aws-managed\"", ""), &[]);
    let (imported, _) = import(&world);
    assert!(imported.contains("encryption = \"aws-managed\"\n"), "{imported}");
}

#[test]
fn a_resource_policy_is_set_diffed_and_removed() {
    let world = World::quick();
    world.write("orders.json", &policy("dynamodb:GetItem"));
    let text = manifest("policy = \"orders.json\"", "");
    let live = || dynamodb(&world, "GetResourcePolicy", &json!({ "ResourceArn": TABLE }))["Policy"].clone();
    apply(&world, &text, &[]);
    assert!(live().as_str().unwrap().contains("dynamodb:GetItem"));
    world.write("orders.json", &policy("dynamodb:Query"));
    let run = world.run(&["plan"]).expect(0);
    assert!(run.stdout.contains("-      \"Action\": \"dynamodb:GetItem\""), "{}", run.stdout);
    assert!(run.stdout.contains("+      \"Action\": \"dynamodb:Query\""), "{}", run.stdout);
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.calls();
    apply(&world, &text, &[]);
    let put = world.calls().into_iter().find(|call| call.operation == "PutResourcePolicy").unwrap();
    assert!(put.body["ExpectedRevisionId"].as_str().unwrap().parse::<i64>().is_ok(), "{}", put.body);
    let (imported, warnings) = import(&world);
    assert!(imported.contains("policy = \"policies/orders.json\""), "{imported}");
    assert_eq!(warnings, json!([]));
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.write("sentinel.toml", &manifest("policy = false", ""));
    let run = world.run(&["plan"]).expect(0);
    assert!(run.stdout.contains("To allow it: --allow-destructive protection"), "{}", run.stdout);
    apply(&world, &manifest("policy = false", ""), &["--allow-destructive", "protection"]);
    let open = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "dynamodb:*", "Resource": "*" },
    ] });
    world.write("orders.json", &open.to_string()).write("sentinel.toml", &text);
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("statement 1 of the policy allows everyone"), "{}", run.stderr);
}

#[test]
fn a_policy_that_someone_else_changed_is_a_conflict() {
    let world = World::quick();
    world.write("orders.json", &policy("dynamodb:GetItem"));
    apply(&world, &manifest("policy = \"orders.json\"", ""), &[]);
    world.write("orders.json", &policy("dynamodb:Query"));
    std::thread::sleep(std::time::Duration::from_millis(150));
    // AWS reports another revision of the policy in this way.
    world.fail("PutResourcePolicy", "PolicyNotFoundException", "dynamodb:Query");
    let run = world.run(&["apply", "--yes"]);
    let output = format!("{}{}", run.stdout, run.stderr);
    assert!(output.contains("someone else changed the policy since it was read"), "{output}");
}

#[test]
fn the_stream_of_a_table_has_its_own_policy() {
    let world = World::quick();
    world.write("stream.json", &policy("dynamodb:GetRecords"));
    let text = |view: &str| manifest(&format!("stream = \"{view}\"\nstream_policy = \"stream.json\""), "");
    let live = || {
        let arn = world.table("orders")["LatestStreamArn"].clone();
        dynamodb(&world, "GetResourcePolicy", &json!({ "ResourceArn": arn }))["Policy"].clone()
    };
    apply(&world, &text("KEYS_ONLY"), &[]);
    assert!(live().as_str().unwrap().contains("dynamodb:GetRecords"));
    let (imported, warnings) = import(&world);
    assert!(imported.contains("stream_policy = \"policies/orders-stream.json\""), "{imported}");
    assert_eq!(warnings, json!([]));
    // Another stream replaces this one, and gets the policy.
    apply(&world, &text("NEW_IMAGE"), &["--allow-destructive", "stream"]);
    assert!(live().as_str().unwrap().contains("dynamodb:GetRecords"));
    world.write("sentinel.toml", &manifest("stream = false\nstream_policy = \"stream.json\"", ""));
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("a stream that is off has no policy"), "{}", run.stderr);
}

#[test]
fn an_import_lists_the_unmanaged_capacity_and_target() {
    let world = World::quick();
    apply(&world, &manifest("billing_mode = \"PROVISIONED\"\nautoscaling = { read = { min = 8, max = 80 } }", ""), &[]);
    let own = json!({
        "PolicyName": "mine", "ServiceNamespace": "dynamodb", "ResourceId": "table/orders/index/by-user",
        "ScalableDimension": "dynamodb:index:WriteCapacityUnits",
    });
    let with = |extra: Value| {
        let mut body = own.clone();
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let mut target = with(json!({ "MinCapacity": 5, "MaxCapacity": 50 }));
    drop(target.as_object_mut().unwrap().remove("PolicyName"));
    world.aws("AnyScaleFrontendService.RegisterScalableTarget", &target);
    let tracking = json!({
        "TargetValue": 62.5,
        "PredefinedMetricSpecification": { "PredefinedMetricType": "DynamoDBWriteCapacityUtilization" },
    });
    let policy = json!({ "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking });
    world.aws("AnyScaleFrontendService.PutScalingPolicy", &with(policy));
    let (imported, warnings) = import(&world);
    let warnings = warnings.to_string();
    for words in [
        "its write capacity of 5 is not managed: autoscaling sets the other",
        "its read capacity of index by-user of 8 is not managed",
        "autoscaling of write capacity of index by-user at 62.5 %",
    ] {
        assert!(warnings.contains(words), "{words} is not in {warnings}\n{imported}");
    }
}

#[test]
fn capacity_is_scaled_and_not_compared() {
    let world = World::quick();
    let scaled = |max: u32| {
        manifest(
            &format!(
                "billing_mode = \"PROVISIONED\"\nautoscaling = {{ read = {{ min = 8, max = {max} }}, write = {{ min = 4, max = 40, \
                 target = 50 }} }}"
            ),
            "autoscaling = { write = { min = 3, max = 30 } }",
        )
    };
    let targets = || {
        let found =
            world.aws("AnyScaleFrontendService.DescribeScalableTargets", &json!({ "ServiceNamespace": "dynamodb" }));
        found["ScalableTargets"].as_array().unwrap().clone()
    };
    let policies = || {
        let found =
            world.aws("AnyScaleFrontendService.DescribeScalingPolicies", &json!({ "ServiceNamespace": "dynamodb" }));
        found["ScalingPolicies"].as_array().unwrap().clone()
    };
    let capacity = || {
        let units = world.table("orders")["ProvisionedThroughput"].clone();
        (units["ReadCapacityUnits"].clone(), units["WriteCapacityUnits"].clone())
    };
    apply(&world, &scaled(80), &[]);
    assert_eq!(capacity(), (json!(8), json!(4)), "a table starts with the lower bound");
    assert_eq!((targets().len(), policies().len()), (3, 3));
    // AWS changes the capacity, and Sentinel does not change it back.
    let units = json!({ "ReadCapacityUnits": 60, "WriteCapacityUnits": 30 });
    dynamodb(&world, "UpdateTable", &json!({ "TableName": "orders", "ProvisionedThroughput": units }));
    std::thread::sleep(std::time::Duration::from_millis(50));
    in_sync(&world);
    // A change keeps settings that no manifest can express, and the name of the policy.
    let by_hand = json!({
        "PolicyName": "mine", "ServiceNamespace": "dynamodb", "ResourceId": "table/orders",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 60.0, "ScaleInCooldown": 120,
            "PredefinedMetricSpecification": { "PredefinedMetricType": "DynamoDBReadCapacityUtilization" },
        },
    });
    let target = json!({
        "ServiceNamespace": "dynamodb", "ResourceId": "table/orders", "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
        "MinCapacity": 8, "MaxCapacity": 100,
    });
    let mut removed = target.clone();
    for name in ["MinCapacity", "MaxCapacity"] {
        removed.as_object_mut().unwrap().remove(name);
    }
    world.aws("AnyScaleFrontendService.DeregisterScalableTarget", &removed);
    world.aws("AnyScaleFrontendService.RegisterScalableTarget", &target);
    world.aws("AnyScaleFrontendService.PutScalingPolicy", &by_hand);
    assert_eq!(differs(&world), ["autoscaling"]);
    let plan = world.run(&["plan"]).expect(0);
    let words = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("also has: autoscaling of read capacity with a scale-in cooldown of 120 s"), "{words}");
    apply(&world, &scaled(80), &[]);
    let policy = policies().into_iter().find(|policy| policy["PolicyName"] == "mine").unwrap();
    let tracking = &policy["TargetTrackingScalingPolicyConfiguration"];
    assert_eq!((&tracking["TargetValue"], &tracking["ScaleInCooldown"]), (&json!(70.0), &json!(120)));
    assert_eq!(capacity(), (json!(60), json!(30)));
    let (imported, warnings) = import(&world);
    assert!(imported.contains("autoscaling = { read = { min = 8, max = 80, target = 70 }"), "{imported}");
    assert!(imported.contains("autoscaling = { write = { min = 3, max = 30, target = 70 } }"), "{imported}");
    assert!(warnings.to_string().contains("scale-in cooldown of 120 s"), "{warnings}");
    assert!(!warnings.to_string().contains("capacity is not managed"), "{warnings}");
    let off = manifest("billing_mode = \"PROVISIONED\"\nautoscaling = false", "autoscaling = false");
    apply(&world, &off, &[]);
    assert_eq!((targets().len(), policies().len()), (0, 0));
    world.write(
        "sentinel.toml",
        &manifest("autoscaling = false", "").replace("false", "{ read = { min = 5, max = 2 } }"),
    );
    let run = world.run(&["validate"]).expect(1);
    assert!(run.stderr.contains("less than its min"), "{}", run.stderr);
}

#[test]
fn an_unmanaged_setting_causes_no_call() {
    let world = World::quick();
    apply(&world, &manifest("", ""), &[]);
    world.calls();
    world.run(&["plan"]).expect(0);
    world.run(&["status"]).expect(0);
    let read = ["Insights", "Kinesis", "ResourcePolicy", "Scal", "ContinuousBackups"];
    let calls: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    assert!(!calls.iter().any(|call| read.iter().any(|setting| call.contains(setting))), "{calls:?}");
    if moto().is_none() {
        assert!(calls.iter().any(|call| call == "DescribeTable"), "{calls:?}");
    }
}

#[test]
fn the_derived_permissions_suffice_for_each_setting() {
    let world = World::quick();
    world.write("orders.json", &policy("dynamodb:GetItem")).write("stream.json", &policy("dynamodb:GetRecords"));
    let kinesis = format!("kinesis = {{ stream = \"{STREAM}\" }}");
    let table = format!(
        "billing_mode = \"PROVISIONED\"\nautoscaling = {{ read = {{ min = 5, max = 10 }} }}\npoint_in_time_recovery = true\n\
         recovery_days = 7\ncontributor_insights = \"THROTTLED_KEYS\"\n{kinesis}\npolicy = \"orders.json\"\nstream = \"NEW_IMAGE\"\n\
         stream_policy = \"stream.json\""
    );
    let index = "contributor_insights = \"THROTTLED_KEYS\"\nautoscaling = { write = { min = 5, max = 10 } }";
    world.write("sentinel.toml", &manifest(&table, index));
    for (user, purpose) in [("ann", "apply"), ("ben", "plan")] {
        let all = world.run(&["iam", "--for", purpose, "--json"]).expect(0).json();
        let documents: Vec<String> = all["policies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|policy| policy.get("document").unwrap_or(policy).to_string())
            .collect();
        world.restrict(user, &documents.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.run_as("ben", &["apply", "--yes"]).expect(1);
    world.run_as("ann", &["apply", "--yes"]).expect(0);
    world.run_as("ben", &["plan", "--detailed-exitcode"]).expect(0);
}

//! No repair changes a setting that is not in the manifest: resources with every setting of AWS, and manifests that manage one setting
//! each. AWS's responses before and after differ only in that setting.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::drift::{at_rest, dynamodb, dynamodb_in};
use crate::world::World;

const HOME: &str = "us-east-1";
const EU: &str = "eu-west-1";
const KINESIS: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/changes";

fn arn_in(region: &str) -> String {
    format!("arn:aws:dynamodb:{region}:123456789012:table/orders")
}

fn element(name: &str, role: &str) -> Value {
    json!({ "AttributeName": name, "KeyType": role })
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({ "AttributeName": name, "AttributeType": kind })
}

fn policy(resource: &str, action: &str) -> String {
    let statement = json!({
        "Sid": "Others", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::210987654321:root" },
        "Action": action, "Resource": resource,
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn key(world: &World, region: &str, alias: &str) -> Value {
    let key = world.aws_in(region, "TrentService.CreateKey", &json!({}))["KeyMetadata"].take();
    world.aws_in(region, "TrentService.CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": key["KeyId"] }));
    key["Arn"].clone()
}

/// Adds members to a request.
fn with(mut body: Value, extra: &Value) -> Value {
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn update(world: &World, region: &str, extra: &Value) {
    dynamodb_in(world, region, "UpdateTable", &with(json!({ "TableName": "orders" }), extra));
}

/// Creates the table, and turns on all settings with their own calls.
fn made(world: &World, own: &Value) {
    let key = key(world, HOME, "alias/first");
    self::key(world, HOME, "alias/second");
    let request = json!({
        "TableName": "orders",
        "AttributeDefinitions":
            [attribute("id", "S"), attribute("at", "N"), attribute("user", "S"), attribute("day", "S"), attribute("size", "N")],
        "KeySchema": [element("id", "HASH"), element("at", "RANGE")],
        "SSESpecification": { "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": key },
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        "LocalSecondaryIndexes": [{
            "IndexName": "by-size", "KeySchema": [element("id", "HASH"), element("size", "RANGE")],
            "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"] },
        }],
        "DeletionProtectionEnabled": true,
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "Tags": [{ "Key": "team", "Value": "shop" }, { "Key": "cost center", "Value": "" }],
    });
    dynamodb(world, "CreateTable", &with(request, own));
    std::thread::sleep(Duration::from_millis(100));
    let named = |extra: Value| with(json!({ "TableName": "orders" }), &extra);
    let ttl = json!({ "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "gone" } });
    dynamodb(world, "UpdateTimeToLive", &named(ttl));
    let recovery = json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 14 });
    dynamodb(world, "UpdateContinuousBackups", &named(json!({ "PointInTimeRecoverySpecification": recovery })));
    let throttled = json!({ "ContributorInsightsAction": "ENABLE", "ContributorInsightsMode": "THROTTLED_KEYS" });
    dynamodb(world, "UpdateContributorInsights", &named(throttled.clone()));
    dynamodb(world, "UpdateContributorInsights", &named(with(throttled, &json!({ "IndexName": "by-user" }))));
    let precision = json!({ "ApproximateCreationDateTimePrecision": "MICROSECOND" });
    let destination = json!({ "StreamArn": KINESIS, "EnableKinesisStreamingConfiguration": precision });
    dynamodb(world, "EnableKinesisStreamingDestination", &named(destination));
    let stream = world.table("orders")["LatestStreamArn"].as_str().unwrap().to_owned();
    for (arn, action) in [(arn_in(HOME), "dynamodb:GetItem"), (stream, "dynamodb:GetRecords")] {
        dynamodb(world, "PutResourcePolicy", &json!({ "ResourceArn": arn, "Policy": policy(&arn, action) }));
    }
    std::thread::sleep(Duration::from_millis(200));
}

/// An on-demand table with replicas and all supported settings.
fn global() -> World {
    let world = World::quick();
    let index = |name: &str, by: &str| {
        json!({
            "IndexName": name, "KeySchema": [element(by, "HASH")], "Projection": { "ProjectionType": "ALL" },
            "OnDemandThroughput": { "MaxReadRequestUnits": 90, "MaxWriteRequestUnits": 30 },
            "WarmThroughput": { "ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000 },
        })
    };
    made(
        &world,
        &json!({
            "BillingMode": "PAY_PER_REQUEST",
            "OnDemandThroughput": { "MaxReadRequestUnits": 900, "MaxWriteRequestUnits": 300 },
            "WarmThroughput": { "ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000 },
            "GlobalSecondaryIndexes": [index("by-user", "user"), index("by-day", "day")],
        }),
    );
    let own = key(&world, EU, "alias/replica");
    let create = json!({ "RegionName": EU, "KMSMasterKeyId": own });
    update(&world, HOME, &json!({ "ReplicaUpdates": [{ "Create": create }] }));
    // The table can be ACTIVE before it lists the replica.
    let describe = json!({ "TableName": "orders" });
    let lists_none = || dynamodb(&world, "DescribeTable", &describe)["Table"]["Replicas"].is_null();
    let began = Instant::now();
    while lists_none() {
        assert!(began.elapsed() < Duration::from_secs(10), "the table does not list the replica");
        std::thread::sleep(Duration::from_millis(10));
    }
    at_rest(&world, HOME, "orders");
    at_rest(&world, EU, "orders");
    let tags = json!([{ "Key": "region", "Value": "eu" }]);
    dynamodb_in(&world, EU, "TagResource", &json!({ "ResourceArn": arn_in(EU), "Tags": tags }));
    let recovery = json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 7 });
    let body = json!({ "TableName": "orders", "PointInTimeRecoverySpecification": recovery });
    dynamodb_in(&world, EU, "UpdateContinuousBackups", &body);
    update(&world, EU, &json!({ "DeletionProtectionEnabled": true }));
    at_rest(&world, HOME, "orders");
    world
}

/// A provisioned table with autoscaling.
fn scaled() -> World {
    let world = World::quick();
    let units = |read: u32, write: u32| json!({ "ReadCapacityUnits": read, "WriteCapacityUnits": write });
    let index = |name: &str, by: &str, units: Value| {
        json!({
            "IndexName": name, "KeySchema": [element(by, "HASH")], "Projection": { "ProjectionType": "ALL" },
            "ProvisionedThroughput": units,
        })
    };
    made(
        &world,
        &json!({
            "BillingMode": "PROVISIONED", "ProvisionedThroughput": units(8, 7),
            "GlobalSecondaryIndexes": [index("by-user", "user", units(6, 5)), index("by-day", "day", units(4, 3))],
        }),
    );
    for (resource, dimension, metric) in [
        ("table/orders", "dynamodb:table:ReadCapacityUnits", "DynamoDBReadCapacityUtilization"),
        ("table/orders/index/by-user", "dynamodb:index:WriteCapacityUnits", "DynamoDBWriteCapacityUtilization"),
    ] {
        let own = json!({ "ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension });
        let bounds = json!({ "MinCapacity": 5, "MaxCapacity": 50 });
        world.aws("AnyScaleFrontendService.RegisterScalableTarget", &with(own.clone(), &bounds));
        let metric = json!({ "PredefinedMetricType": metric });
        let tracking = json!({ "TargetValue": 62.5, "ScaleInCooldown": 120, "PredefinedMetricSpecification": metric });
        let named = json!({
            "PolicyName": "by hand", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": tracking,
        });
        world.aws("AnyScaleFrontendService.PutScalingPolicy", &with(own, &named));
    }
    world
}

/// Returns AWS's responses about the table, by operation and resource.
fn answers(world: &World) -> Value {
    let named = || json!({ "TableName": "orders" });
    let mut all = json!({});
    let table = dynamodb(world, "DescribeTable", &named())["Table"].take();
    let regions = if table["Replicas"].is_null() { &[HOME][..] } else { &[HOME, EU] };
    for region in regions {
        let get = |operation: &str, body: &Value| dynamodb_in(world, region, operation, body);
        let mut table = get("DescribeTable", &named())["Table"].take();
        // Indexes are compared by name.
        for list in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"] {
            let indexes = table[list].as_array().cloned().unwrap_or_default();
            let by_name = indexes.into_iter().map(|one| (one["IndexName"].as_str().unwrap().to_owned(), one));
            table[list] = Value::Object(by_name.collect());
        }
        let mut tags = get("ListTagsOfResource", &json!({ "ResourceArn": arn_in(region) }))["Tags"].take();
        tags.as_array_mut().unwrap().sort_by_key(|tag| tag["Key"].to_string());
        all[region] = json!({
            "table": table,
            "ttl": get("DescribeTimeToLive", &named()),
            "backups": get("DescribeContinuousBackups", &named()),
            "tags": tags,
        });
    }
    for index in table["GlobalSecondaryIndexes"].as_array().unwrap() {
        let body = json!({ "TableName": "orders", "IndexName": index["IndexName"] });
        let found = dynamodb(world, "DescribeContributorInsights", &body);
        all["insights of indexes"][index["IndexName"].as_str().unwrap()] = found;
    }
    all["insights"] = dynamodb(world, "DescribeContributorInsights", &named());
    all["kinesis"] = dynamodb(world, "DescribeKinesisStreamingDestination", &named());
    all["policy"] = dynamodb(world, "GetResourcePolicy", &json!({ "ResourceArn": arn_in(HOME) }));
    let of_stream = json!({ "ResourceArn": table["LatestStreamArn"] });
    // A stream may have none.
    all["stream policy"] = world.aws_as("anyone", "DynamoDB_20120810.GetResourcePolicy", &of_stream).1;
    for what in ["ScalableTargets", "ScalingPolicies"] {
        let body = json!({ "ServiceNamespace": "dynamodb" });
        all[what] = world.aws(&format!("AnyScaleFrontendService.Describe{what}"), &body);
    }
    all
}

/// Returns the responses without these parts.
fn without(mut answers: Value, parts: &[&str]) -> Value {
    for part in parts {
        let (parent, name) = part.rsplit_once('/').unwrap();
        if let Some(Value::Object(members)) = answers.pointer_mut(parent) {
            drop(members.remove(name));
        }
    }
    answers
}

/// A setting that a manifest manages.
struct Repair {
    /// Lines of the table's section.
    table: &'static str,
    by_user: &'static str,
    by_day: &'static str,
    /// Additional sections.
    extra: &'static str,
    /// The consent that an apply needs.
    consent: Option<&'static str>,
    /// The parts of the responses that change.
    changes: &'static [&'static str],
}

const NOTHING: Repair = Repair { table: "", by_user: "", by_day: "", extra: "", consent: None, changes: &[] };

const fn table(table: &'static str, changes: &'static [&'static str]) -> Repair {
    Repair { table, changes, ..NOTHING }
}

impl Repair {
    /// A custom table lists its indexes: an unlisted index is deleted.
    fn manifest(&self) -> String {
        let Self { table, by_user, by_day, extra, .. } = self;
        format!(
            "[aws]\nregion = \"us-east-1\"\n[tables.orders]\nname = \"orders\"\npartition_key = {{ name = \"id\", type = \"S\" }}\n\
             sort_key = {{ name = \"at\", type = \"N\" }}\n{table}\n\
             [tables.orders.indexes.by-user]\npartition_key = {{ name = \"user\", type = \"S\" }}\n{by_user}\n\
             [tables.orders.indexes.by-day]\npartition_key = {{ name = \"day\", type = \"S\" }}\n{by_day}\n{extra}"
        )
    }

    fn check(&self, world: &World) -> Result<(), String> {
        let manifest = self.manifest();
        let failed = |why: String| format!("{}\n{why}", &manifest[manifest.find("sort_key").unwrap()..]);
        world.write("sentinel.toml", &manifest);
        let before = answers(world);
        let consent = self.consent.map(|consent| ["--allow-destructive", consent]);
        let args = [&["apply", "--yes"][..], consent.as_ref().map_or(&[], |consent| &consent[..])].concat();
        let run = world.run(&args);
        if run.code != 0 {
            return Err(failed(format!("{}{}", run.stdout, run.stderr)));
        }
        let plan = world.run(&["plan", "--detailed-exitcode"]);
        if plan.code != 0 {
            return Err(failed(plan.stdout));
        }
        let after = answers(world);
        if self.changes.is_empty() != (after == before) {
            return Err(failed(format!("something changed: {}", after != before)));
        }
        let (before, after) = (without(before, self.changes), without(after, self.changes));
        let (before, after) = (format!("{before:#}"), format!("{after:#}"));
        if before == after {
            return Ok(());
        }
        let diff = similar::TextDiff::from_lines(&before, &after);
        Err(failed(diff.unified_diff().context_radius(2).to_string()))
    }
}

#[track_caller]
fn check(world: &World, repairs: &[Repair]) {
    let wrong: Vec<String> = repairs.iter().filter_map(|repair| repair.check(world).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_repair_of_a_global_table_changes_only_one_setting() {
    let world = global();
    world.write("table.json", &policy(&arn_in(HOME), "dynamodb:Query"));
    world.write("stream.json", &policy("*", "dynamodb:DescribeStream"));
    let index = "/us-east-1/table/GlobalSecondaryIndexes/by-user";
    assert!(answers(&world).pointer(&format!("{index}/OnDemandThroughput")).is_some());
    check(
        &world,
        &[
            NOTHING,
            table("tags = { team = \"shop\", tier = \"1\" }", &["/us-east-1/tags"]),
            table("point_in_time_recovery = true\nrecovery_days = 20", &["/us-east-1/backups"]),
            table("contributor_insights = \"ACCESSED_AND_THROTTLED_KEYS\"", &["/insights"]),
            table("contributor_insights = false", &["/insights"]),
            Repair {
                by_user: "contributor_insights = \"ACCESSED_AND_THROTTLED_KEYS\"",
                changes: &["/insights of indexes/by-user"],
                ..NOTHING
            },
            table(
                "kinesis = { stream = \"arn:aws:kinesis:us-east-1:123456789012:stream/changes\", precision = \"MILLISECOND\" }",
                &["/kinesis"],
            ),
            table("policy = \"table.json\"", &["/policy"]),
            table("stream_policy = \"stream.json\"", &["/stream policy"]),
            Repair {
                consent: Some("protection"),
                ..table("deletion_protection = false", &["/us-east-1/table/DeletionProtectionEnabled"])
            },
            // Each region names the key of the other.
            table("encryption = \"alias/second\"", &["/us-east-1/table/SSEDescription", "/eu-west-1/table/Replicas"]),
            // These belong to all replicas.
            table(
                "max_read = 800",
                &[
                    "/us-east-1/table/OnDemandThroughput/MaxReadRequestUnits",
                    "/eu-west-1/table/OnDemandThroughput/MaxReadRequestUnits",
                ],
            ),
            Repair {
                by_user: "max_write = 20",
                changes: &[
                    "/us-east-1/table/GlobalSecondaryIndexes/by-user/OnDemandThroughput/MaxWriteRequestUnits",
                    "/eu-west-1/table/GlobalSecondaryIndexes/by-user/OnDemandThroughput/MaxWriteRequestUnits",
                ],
                ..NOTHING
            },
            table(
                "ttl_attribute = false",
                &["/us-east-1/ttl/TimeToLiveDescription", "/eu-west-1/ttl/TimeToLiveDescription"],
            ),
            Repair {
                extra: "[tables.orders.indexes.by-note]\npartition_key = { name = \"note\", type = \"S\" }\n",
                changes: &[
                    "/us-east-1/table/GlobalSecondaryIndexes/by-note",
                    "/us-east-1/table/AttributeDefinitions",
                    "/us-east-1/table/Replicas",
                    "/eu-west-1/table/Replicas",
                    "/eu-west-1/table/GlobalSecondaryIndexes/by-note",
                    "/eu-west-1/table/AttributeDefinitions",
                    "/insights of indexes/by-note",
                ],
                ..NOTHING
            },
        ],
    );
}

#[test]
fn a_repair_of_a_provisioned_table_changes_only_one_setting() {
    let world = scaled();
    check(
        &world,
        &[
            NOTHING,
            table("billing_mode = \"PROVISIONED\"", &[]),
            table("tags = {}", &["/us-east-1/tags"]),
            Repair {
                table: "billing_mode = \"PROVISIONED\"",
                by_day: "read_capacity = 9\nwrite_capacity = 3",
                // AWS raises the warm throughput together with the capacity.
                changes: &[
                    "/us-east-1/table/GlobalSecondaryIndexes/by-day/ProvisionedThroughput",
                    "/us-east-1/table/GlobalSecondaryIndexes/by-day/WarmThroughput",
                ],
                ..NOTHING
            },
            table("table_class = \"STANDARD\"", &["/us-east-1/table/TableClassSummary"]),
            table("autoscaling = { write = { min = 5, max = 60 } }", &["/ScalableTargets", "/ScalingPolicies"]),
            Repair {
                by_day: "projection = \"KEYS_ONLY\"",
                consent: Some("index"),
                changes: &[
                    "/us-east-1/table/GlobalSecondaryIndexes/by-day/Projection",
                    "/us-east-1/table/AttributeDefinitions",
                ],
                ..NOTHING
            },
            Repair {
                by_day: "projection = \"KEYS_ONLY\"",
                consent: Some("stream"),
                changes: &[
                    "/us-east-1/table/StreamSpecification",
                    "/us-east-1/table/LatestStreamArn",
                    "/us-east-1/table/LatestStreamLabel",
                    "/stream policy",
                ],
                ..table("stream = \"KEYS_ONLY\"", &[])
            },
        ],
    );
}

/// Applies each manifest in turn. The changed parts are named by their lines, such as `key.Description`.
#[track_caller]
fn check_lines(world: &World, read: impl Fn(&World) -> String, repairs: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (manifest, changes) in repairs {
        world.write("sentinel.toml", &format!("[aws]\nregion = \"us-east-1\"\n{manifest}\n"));
        let unchanged_lines = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !changes.iter().any(|change| line.trim_start().starts_with(change)));
            lines.map(str::to_owned).collect()
        };
        let before = read(world);
        let run = world.run(&["apply", "--yes"]);
        let plan = world.run(&["plan", "--detailed-exitcode"]);
        let after = read(world);
        if run.code != 0 || plan.code != 0 {
            wrong.push(format!("{manifest}\n{}{}{}", run.stdout, run.stderr, plan.stdout));
        } else if changes.is_empty() != (before == after) || unchanged_lines(&before) != unchanged_lines(&after) {
            let diff = similar::TextDiff::from_lines(&before, &after);
            wrong.push(format!("{manifest}\n{}", diff.unified_diff().context_radius(1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Returns the members of a response, one per line.
fn lines(of: &str, answer: &Value) -> String {
    match answer.as_object() {
        Some(members) => members.iter().map(|(name, value)| format!("{of}.{name} {value}\n")).collect(),
        None => format!("{of} {answer}\n"),
    }
}

#[test]
fn a_repair_of_a_parameter_changes_only_one_setting() {
    const NAME: &str = "/app/url";
    let world = World::quick();
    let after = |days: &str| json!([{ "Type": "NoChangeNotification", "Version": "1.0", "Attributes": { "After": days, "Unit": "Days" } }]);
    let put = json!({
        "Name": NAME, "Value": "one", "Type": "String", "Tier": "Advanced", "Description": "by hand", "AllowedPattern": "[a-z]+",
        "DataType": "text", "Policies": after("20").to_string(), "Tags": [{ "Key": "team", "Value": "shop" }],
    });
    world.aws("AmazonSSM.PutParameter", &put);
    let label = json!({ "Name": NAME, "ParameterVersion": 1, "Labels": ["stable"] });
    world.aws("AmazonSSM.LabelParameterVersion", &label);
    let read = |world: &World| {
        let filter = json!({ "ParameterFilters": [{ "Key": "Name", "Values": [NAME] }] });
        let listed = world.aws("AmazonSSM.DescribeParameters", &filter)["Parameters"][0].take();
        let found = world.aws("AmazonSSM.GetParameter", &json!({ "Name": NAME }))["Parameter"].take();
        let labeled =
            world.aws("AmazonSSM.GetParameter", &json!({ "Name": format!("{NAME}:stable") }))["Parameter"].take();
        let tags =
            world.aws("AmazonSSM.ListTagsForResource", &json!({ "ResourceType": "Parameter", "ResourceId": NAME }));
        lines("listed", &listed)
            + &lines("found", &found)
            + &lines("labeled", &labeled)
            + &lines("tags", &tags["TagList"])
    };
    let moves = ["listed.Version", "listed.LastModified", "found.Version", "found.LastModified"];
    let with = |part: &'static str| [&moves[..], &[part]].concat();
    let section = |line: &str| format!("[parameters.url]\nname = \"{NAME}\"\n{line}");
    check_lines(
        &world,
        read,
        &[
            (&section("initial = \"one\""), &[]),
            (&section("value = \"two\""), &with("found.Value")),
            (&section("initial = \"one\"\ndescription = \"another\""), &with("listed.Description")),
            (&section("initial = \"one\"\nallowed_pattern = \".*\""), &with("listed.AllowedPattern")),
            (
                &section(
                    "initial = \"one\"\ntier = \"advanced\"\nparameter_policies = { no_change_notifications = [\"30 days\"] }",
                ),
                &with("listed.Policies"),
            ),
            (&section("initial = \"one\"\ntags = { team = \"web\" }"), &["tags"]),
        ],
    );
}

#[test]
fn a_repair_of_a_key_or_a_topic_changes_only_one_setting() {
    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alerts";
    let world = World::quick();
    let body = json!({ "Description": "by hand", "Tags": [{ "TagKey": "team", "TagValue": "shop" }] });
    let id = world.aws("TrentService.CreateKey", &body)["KeyMetadata"]["KeyId"].take();
    world.aws("TrentService.CreateAlias", &json!({ "AliasName": "alias/records", "TargetKeyId": id }));
    world.aws("TrentService.EnableKeyRotation", &json!({ "KeyId": id, "RotationPeriodInDays": 180 }));
    key(&world, HOME, "alias/second");
    let delivery = json!({ "http": { "defaultHealthyRetryPolicy": { "numRetries": 5 } } }).to_string();
    world.sns("CreateTopic", &[("Name", "alerts"), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "shop")]);
    for (name, value) in [
        ("DisplayName", "By hand"),
        ("KmsMasterKeyId", "alias/records"),
        ("DeliveryPolicy", &delivery),
        ("Policy", &policy(TOPIC, "SNS:Publish")),
    ] {
        world.sns("SetTopicAttributes", &[("TopicArn", TOPIC), ("AttributeName", name), ("AttributeValue", value)]);
    }
    let queue = "arn:aws:sqs:us-east-1:123456789012:alerts";
    world.sns("Subscribe", &[("TopicArn", TOPIC), ("Protocol", "sqs"), ("Endpoint", queue)]);
    let read = |world: &World| {
        let key = |operation: &str, extra: Value| {
            world.aws(&format!("TrentService.{operation}"), &with(json!({ "KeyId": id }), &extra))
        };
        let mut all = lines("key", &key("DescribeKey", json!({}))["KeyMetadata"]);
        all.push_str(&lines("rotation", &key("GetKeyRotationStatus", json!({}))));
        all.push_str(&lines("policy", &key("GetKeyPolicy", json!({ "PolicyName": "default" }))));
        all.push_str(&lines("tags", &key("ListResourceTags", json!({}))));
        for answer in [
            world.sns("GetTopicAttributes", &[("TopicArn", TOPIC)]),
            world.sns("ListSubscriptionsByTopic", &[("TopicArn", TOPIC)]),
            world.sns("ListTagsForResource", &[("ResourceArn", TOPIC)]),
        ] {
            // Each attribute on its own line, by name.
            for entry in answer.replace("<entry>", "\n").replace("<member>", "\n").lines() {
                all.push_str(&format!("{}\n", entry.replace("<key>", "topic.").replace("</key>", " ")));
            }
        }
        all
    };
    check_lines(
        &world,
        read,
        &[
            ("[keys.records]\n[topics.alerts]", &[]),
            ("[keys.records]\ndescription = \"another\"", &["key.Description"]),
            ("[keys.records]\nrotation_days = 365", &["rotation."]),
            ("[keys.records]\ntags = { team = \"web\" }", &["tags"]),
            ("[topics.alerts]\ndisplay_name = \"Another\"", &["topic.DisplayName"]),
            ("[topics.alerts]\nkey = \"alias/second\"", &["topic.KmsMasterKeyId"]),
            ("[topics.alerts]\ntags = { team = \"web\" }", &["<Key>team"]),
        ],
    );
}

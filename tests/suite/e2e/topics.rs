//! Topics and their subscriptions, end to end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::snapshot;
use crate::world::{World, permissions};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alerts";

const MANIFEST: &str = r#"[topics.alerts]
display_name = "Alerts"
key = "alias/records"
policy = "topics/policy.json"
delivery_policy = "topics/delivery.json"
tags = { team = "security" }
[topics.alerts.subscriptions.queue]
protocol = "sqs"
endpoint = "arn:aws:sqs:us-east-1:123456789012:alerts"
filter_policy = { event = ["denied", "expired"], level = [{ numeric = [">=", 3] }] }
filter_policy_scope = "MessageAttributes"
raw = true
[topics.alerts.subscriptions.function]
protocol = "lambda"
endpoint = "arn:aws:lambda:us-east-1:123456789012:function:alert"
filter_policy = "topics/filter.json"
"#;

/// The topic with a subscription that a person confirms.
const EMAIL: &str = r#"[topics.alerts]
display_name = "Alerts"
[topics.alerts.subscriptions.ops]
protocol = "email"
endpoint = "ops@example.com"
filter_policy = { event = ["denied"] }
"#;

fn world() -> World {
    let world = World::quick();
    let statement = json!({
        "Sid": "publish",
        "Effect": "Allow",
        "Principal": { "Service": "cloudwatch.amazonaws.com" },
        "Action": ["SNS:Publish"],
        "Resource": TOPIC,
    });
    let policy = json!({ "Version": "2012-10-17", "Statement": [statement] });
    let delivery = json!({ "http": { "defaultHealthyRetryPolicy": { "numRetries": 5 } } });
    world.write("topics/policy.json", &policy.to_string());
    world.write("topics/delivery.json", &delivery.to_string());
    world.write("topics/filter.json", &json!({ "event": ["revoked", null] }).to_string());
    world
}

fn applied(manifest: &str) -> World {
    let world = world();
    world.write("sentinel.toml", manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.calls();
    world
}

/// Returns the ARN of a subscription, in order of creation.
fn subscription(number: usize) -> String {
    format!("{TOPIC}:00000000-0000-4000-8000-{number:012x}")
}

fn changes(world: &World) -> Vec<String> {
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let all = plan["resources"][0]["changes"].as_array().unwrap();
    all.iter().map(|change| change["path"].as_str().unwrap().to_owned()).collect()
}

/// Checks that a change outside of Sentinel is shown and repaired.
#[track_caller]
fn drifts(world: &World, path: &str, repair: &str) {
    assert_eq!(changes(world), [path]);
    world.calls();
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(world.writes(), [repair], "{path}");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_topic_is_created_with_its_subscriptions_and_then_in_sync() {
    let world = world();
    world.write("sentinel.toml", MANIFEST);
    snapshot!(world.run(&["plan"]).expect(0).stdout);
    world.calls();
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains("Verified: everything is in sync."), "{}", run.stdout);
    assert_eq!(world.writes(), ["CreateTopic", "Subscribe", "Subscribe"]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    // One call for the caller, two for orphans, and one for each resource that is read.
    let reads: Vec<String> = world.calls().into_iter().map(|call| call.operation).collect();
    let count = |name: &str| reads.iter().filter(|read| *read == name).count();
    assert_eq!(reads.len(), 8, "{reads:?}");
    assert_eq!((count("GetCallerIdentity"), count("GetSubscriptionAttributes")), (1, 2));
}

#[test]
fn the_drift_of_each_setting_is_shown_and_repaired() {
    let world = applied(MANIFEST);
    let set = |name: &str, value: &str| {
        let fields = [("TopicArn", TOPIC), ("AttributeName", name), ("AttributeValue", value)];
        world.sns("SetTopicAttributes", &fields);
    };
    set("DisplayName", "Other");
    drifts(&world, "display_name", "SetTopicAttributes");
    set("KmsMasterKeyId", "");
    drifts(&world, "key", "SetTopicAttributes");
    set("Policy", "");
    drifts(&world, "policy", "SetTopicAttributes");
    set("DeliveryPolicy", "");
    drifts(&world, "delivery_policy", "SetTopicAttributes");
    world.sns("TagResource", &[("ResourceArn", TOPIC), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")]);
    drifts(&world, "tags.team", "TagResource");
    world.sns("TagResource", &[("ResourceArn", TOPIC), ("Tags.member.1.Key", "x"), ("Tags.member.1.Value", "")]);
    drifts(&world, "tags.x", "UntagResource");
}

#[test]
fn the_drift_of_each_attribute_of_a_subscription_is_shown_and_repaired() {
    let world = applied(MANIFEST);
    let queue = "subscription sqs arn:aws:sqs:us-east-1:123456789012:alerts";
    // In the order of protocol and endpoint, the function precedes the queue.
    let arn = subscription(2);
    let set = |name: &str, value: &str| {
        let fields = [("SubscriptionArn", arn.as_str()), ("AttributeName", name), ("AttributeValue", value)];
        world.sns("SetSubscriptionAttributes", &fields);
    };
    set("FilterPolicy", "{}");
    drifts(&world, &format!("{queue} filter_policy"), "SetSubscriptionAttributes");
    set("FilterPolicyScope", "MessageBody");
    drifts(&world, &format!("{queue} filter_policy_scope"), "SetSubscriptionAttributes");
    set("RawMessageDelivery", "false");
    drifts(&world, &format!("{queue} raw"), "SetSubscriptionAttributes");
    world.sns("Unsubscribe", &[("SubscriptionArn", &arn)]);
    drifts(&world, queue, "Subscribe");
    // The same values in another order are not drift.
    let arn = subscription(3);
    let fields = [
        ("SubscriptionArn", arn.as_str()),
        ("AttributeName", "FilterPolicy"),
        ("AttributeValue", r#"{"level": [{"numeric": [">=", 3]}], "event": ["expired", "denied"]}"#),
    ];
    world.sns("SetSubscriptionAttributes", &fields);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn unmanaged_topic_settings_are_not_drift() {
    let world = applied("[topics.alerts]\n");
    for (name, value) in [("DisplayName", "Other"), ("KmsMasterKeyId", "alias/x"), ("DeliveryPolicy", "{\"http\":{}}")]
    {
        world.sns("SetTopicAttributes", &[("TopicArn", TOPIC), ("AttributeName", name), ("AttributeValue", value)]);
    }
    world.sns("Subscribe", &[("TopicArn", TOPIC), ("Protocol", "sms"), ("Endpoint", "+15555550100")]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(!world.calls().iter().any(|call| call.operation.contains("Subscri") || call.operation.contains("Tags")));
}

#[test]
fn a_pending_subscription_is_shown_and_not_changed() {
    let world = world();
    world.write("sentinel.toml", EMAIL);
    let run = world.run(&["apply", "--yes"]).expect(0);
    let deferred = "deferred, the subscription email ops@example.com waits for confirmation by its endpoint";
    assert!(run.stdout.contains(deferred), "{}", run.stdout);
    assert_eq!(world.writes(), ["CreateTopic", "Subscribe"]);
    let pending = |args: &[&str]| {
        let run = world.run(args);
        let line = "pending -> confirmed (waits for confirmation by its endpoint)";
        assert!(run.stdout.contains(line), "{}", run.stdout);
        run
    };
    pending(&["plan", "--detailed-exitcode"]).expect(2);
    let run = pending(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains("not changed"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    // All other differences are repaired, and another filter waits for the confirmation.
    world.write("sentinel.toml", &EMAIL.replace("\"Alerts\"", "\"Alarms\"").replace("denied", "expired"));
    let run = world.run(&["apply", "--yes"]).expect(0);
    assert!(run.stdout.contains(deferred), "{}", run.stdout);
    assert_eq!(world.writes(), ["SetTopicAttributes"]);
    let token = subscription(1).rsplit(':').next().unwrap().to_owned();
    world.sns("ConfirmSubscription", &[("TopicArn", TOPIC), ("Token", &token)]);
    drifts(&world, "subscription email ops@example.com filter_policy", "SetSubscriptionAttributes");
}

#[test]
fn an_unlisted_subscription_is_deleted_only_with_consent() {
    let world = applied(&MANIFEST.replace("alias/records", "alias/aws/sns"));
    world.write(
        "sentinel.toml",
        &MANIFEST
            .split("[topics.alerts.subscriptions.function]")
            .next()
            .unwrap()
            .replace("alias/records", "alias/aws/sns"),
    );
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("refused without --allow-destructive subscription"), "{}", run.stdout);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "subscription"]).expect(0);
    assert_eq!(world.writes(), ["Unsubscribe"]);
    // SNS deletes a pending subscription, so it is not a difference.
    world.sns("Subscribe", &[("TopicArn", TOPIC), ("Protocol", "email"), ("Endpoint", "else@example.com")]);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn encryption_is_removed_only_with_consent() {
    let world = applied(MANIFEST);
    world.write("sentinel.toml", &MANIFEST.replace("\"alias/records\"", "false"));
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "protection"]).expect(0);
    assert_eq!(world.writes(), ["SetTopicAttributes"]);
}

#[test]
fn a_customer_managed_key_is_replaced_by_that_of_aws_only_with_consent() {
    let world = applied(MANIFEST);
    let other = MANIFEST.replace("alias/records", "alias/aws/sns");
    // An unlisted subscription is refused too. Steps that add protection run, and this one does not add any.
    world.write("sentinel.toml", other.split("[topics.alerts.subscriptions.function]").next().unwrap());
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("protection"), "{}", run.stdout);
    world.run(&["apply", "--yes", "--allow-destructive", "subscription"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--yes", "--allow-destructive", "subscription,protection"]).expect(0);
    assert_eq!(world.writes(), ["Unsubscribe", "SetTopicAttributes"]);
}

#[test]
fn keys_are_compared_after_resolving_their_names() {
    let world = applied(&format!("{MANIFEST}[keys.records]\n"));
    let id = world.aws("TrentService.DescribeKey", &json!({ "KeyId": "alias/records" }))["KeyMetadata"]["KeyId"].take();
    let id = id.as_str().unwrap();
    let set = |key: &str| {
        world.sns(
            "SetTopicAttributes",
            &[("TopicArn", TOPIC), ("AttributeName", "KmsMasterKeyId"), ("AttributeValue", key)],
        );
    };
    for same in [id, &format!("arn:aws:kms:us-east-1:123456789012:key/{id}"), "alias/records"] {
        set(same);
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
    }
    set("arn:aws:kms:us-east-1:123456789012:alias/records");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    for other in
        ["arn:aws:kms:us-east-1:999999999999:alias/records", "arn:aws:kms:eu-west-1:123456789012:alias/records"]
    {
        set(other);
        let plan = world.run(&["plan", "--json"]).json();
        assert_eq!(plan["resources"][1]["changes"][0]["path"], "key", "{plan:#}");
    }
    set(id);
    world.fail("DescribeKey", "AccessDeniedException", "");
    let plan = world.run(&["plan", "--json", "--only", "topics.*"]).json();
    let unknown = &plan["resources"][0]["unknown"][0];
    assert_eq!((&unknown["path"], &unknown["action"]), (&json!("key"), &json!("kms:DescribeKey")));
    assert_eq!(plan["resources"][0]["changes"], json!([]));
}

#[test]
fn an_explicit_alias_is_a_reference_to_its_key() {
    let world = world();
    let manifest = "[keys.records]\n[topics.alerts]\nkey = \"alias/records\"\n\
                    [tables.t]\nname = \"ttt\"\npartition_key = { name = \"id\", type = \"S\" }\nencryption = \"alias/records\"\n";
    world.write("sentinel.toml", manifest);
    let plan = world.run(&["plan", "--json"]).expect(0).json();
    let depends = |address: &str| {
        let all = plan["resources"].as_array().unwrap();
        all.iter().find(|one| one["address"] == address).unwrap()["depends_on"].clone()
    };
    assert_eq!((depends("topics.alerts"), depends("tables.t")), (json!(["keys.records"]), json!(["keys.records"])));
    let graph = world.run(&["graph"]).expect(0).stdout;
    assert!(graph.contains("-->|\"key\"|") && graph.contains("-->|\"encryption\"|"), "{graph}");
    // A key that cannot be created skips both.
    world.fail("CreateKey", "AccessDeniedException", "");
    let run = world.run(&["apply", "--yes"]).expect(1);
    assert_eq!(run.stdout.matches("it depends on keys.records, which was not applied").count(), 2, "{}", run.stdout);
}

#[test]
fn a_reference_by_an_invalid_name_has_a_fix() {
    let world = world();
    let fault = |name: &str| {
        world.write("sentinel.toml", &format!("[topics.alerts]\nkey = {{ key = \"{name}\" }}\n"));
        let run = world.run(&["validate", "--json"]).expect(1);
        run.json()["error"]["faults"][0].clone()
    };
    assert_eq!(fault("alias/records")["help"], "write key = \"alias/records\"");
    assert_eq!(fault("a b")["help"], "add a section [keys.\"a b\"]");
    let empty = fault("");
    assert_eq!(empty["message"], "`topics.alerts` refers to `keys` with an empty name");
    assert_eq!(empty["help"], "write the NAME of a section [keys.NAME]");
}

#[test]
fn user_information_of_an_endpoint_is_never_shown() {
    let world = world();
    let manifest = |host: &str| {
        let subscription = |name: &str, user: &str| {
            format!(
                "[topics.alerts.subscriptions.{name}]\nprotocol = \"https\"\nendpoint = \"https://{user}@{host}/hook\"\n"
            )
        };
        format!("[topics.alerts]\n{}{}", subscription("one", "user:SECRET"), subscription("two", "SECRET"))
    };
    let hidden = |run: crate::world::Run| {
        assert!(!run.stdout.contains("SECRET") && !run.stderr.contains("SECRET"), "{}\n{}", run.stdout, run.stderr);
        run
    };
    world.write("sentinel.toml", &manifest("ex ample.com"));
    hidden(world.run(&["validate"]).expect(1));
    hidden(world.run(&["validate", "--json"]).expect(1));
    world.write("sentinel.toml", &manifest("example.com"));
    for format in ["text", "json", "markdown", "html", "github"] {
        hidden(world.run(&["plan", "--format", format]).expect(0));
    }
    hidden(world.run(&["plan", "--out", "plan.json"]).expect(0));
    let saved = std::fs::read_to_string(world.folder.path().join("plan.json")).unwrap();
    assert!(saved.contains("https://user:SECRET@example.com/hook"), "the file is what is applied");
    hidden(world.run(&["show", "plan.json"]).expect(0));
    hidden(world.run(&["show", "plan.json", "--json"]).expect(0));
    let run = hidden(world.run(&["apply", "plan.json", "--yes", "--json"]).expect(0)).json();
    assert_eq!(run["plan"]["resources"][0]["steps"][1]["subscription"]["endpoint"], "https://****@example.com/hook");
    // Both are found again in SNS's response.
    assert_eq!(changes(&world), ["subscription https https://****@example.com/hook"; 2]);
    hidden(world.run(&["plan"]).expect(0));
    hidden(world.run(&["graph"]).expect(0));
    hidden(world.run(&["status", "--json"]).expect(0));
}

#[test]
fn a_fault_of_a_document_names_its_file_or_the_manifest() {
    let world = world();
    let fault = |manifest: &str| {
        world.write("sentinel.toml", manifest);
        let run = world.run(&["validate"]).expect(1);
        run.stderr
    };
    let nobody = json!({ "Statement": [{ "Effect": "Allow", "Action": "sns:Publish", "Resource": TOPIC }] });
    world.write("topics/nobody.json", &nobody.to_string()).write("topics/bad.json", "{ \"htp\": {} }");
    let output = fault("[topics.alerts]\npolicy = \"topics/nobody.json\"\n");
    assert!(output.contains("topics/nobody.json: statement 1 of the policy has no Principal"), "{output}");
    let output = fault("[topics.alerts]\ndelivery_policy = \"topics/bad.json\"\n");
    assert!(output.contains("topics/bad.json: the delivery policy of a topic cannot have \"htp\""), "{output}");
    let queue =
        "protocol = \"sqs\"\nendpoint = \"arn:aws:sqs:us-east-1:123456789012:alerts\"\nfilter_policy = { event = 1 }\n";
    let output = fault(&format!("[topics.alerts.subscriptions.queue]\n{queue}"));
    assert!(output.contains("this policy") && !output.contains("this file"), "{output}");
}

#[test]
fn an_empty_delivery_policy_removes_the_existing_one() {
    let world = applied(MANIFEST);
    world.write("topics/delivery.json", "{}");
    drifts(&world, "delivery_policy", "SetTopicAttributes");
    assert!(!world.sns("GetTopicAttributes", &[("TopicArn", TOPIC)]).contains("<key>DeliveryPolicy</key>"));
    // A new topic is created without one.
    world.write("sentinel.toml", "[topics.other]\ndelivery_policy = \"topics/delivery.json\"\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_topic_is_pruned_only_with_its_tag_and_consent() {
    let world = applied("[topics.alerts]\n[topics.old]\n");
    world.sns("CreateTopic", &[("Name", "theirs")]);
    // A table with the same name is not a topic.
    world.write(
        "sentinel.toml",
        "[topics.alerts]\n[tables.x]\nname = \"old\"\npartition_key = { name = \"id\", type = \"S\" }\n",
    );
    world.run(&["apply", "--yes", "--only", "tables.*"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let run = world.run(&["plan", "--prune", "--only", "topics.*"]).expect(0);
    assert!(run.stdout.contains("Unmanaged topics"), "{}", run.stdout);
    assert!(run.stdout.contains("theirs"), "{}", run.stdout);
    world.calls();
    world.run(&["apply", "--prune", "--yes"]).expect(4);
    assert_eq!(world.writes(), [""; 0]);
    world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(0);
    assert_eq!(world.writes(), ["DeleteTopic"]);
    let left = world.sns("ListTopics", &[]);
    assert!(left.contains(":alerts<") && left.contains(":theirs<") && !left.contains(":old<"), "{left}");
}

#[test]
fn a_topic_that_lost_its_tag_is_not_deleted() {
    let world = applied("[topics.alerts]\n[topics.old]\n");
    world.write("sentinel.toml", "[topics.alerts]\n");
    let plan = world.folder.path().join("plan.json");
    let plan = plan.to_str().unwrap();
    world.run(&["plan", "--prune", "--allow-destructive", "prune", "--out", plan]).expect(0);
    world.fault(move |call| {
        let body = b"<ListTagsForResourceResponse><ListTagsForResourceResult><Tags/></ListTagsForResourceResult></ListTagsForResourceResponse>";
        let unmarked = || crate::world::Answer { status: 200, content_type: "text/xml", body: body.to_vec() };
        (call.operation == "ListTagsForResource").then(unmarked)
    });
    let run = world.run(&["apply", plan, "--yes"]).expect(1);
    assert!(
        run.stdout.contains("it no longer has the tag managed-by = sentinel; nothing was deleted"),
        "{}",
        run.stdout
    );
    assert!(world.sns("ListTopics", &[]).contains(":old<"));
}

#[test]
fn a_concurrently_created_topic_is_not_changed() {
    let world = world();
    world.write("sentinel.toml", "[topics.alerts]\ndisplay_name = \"Alerts\"\n");
    world.fail("GetTopicAttributes", "NotFound", "");
    world.sns("CreateTopic", &[("Name", "alerts")]);
    let run = world.run(&["plan", "--out", "plan.json"]).expect(0);
    assert!(run.stdout.contains("1 to create"), "{}", run.stdout);
    world.clear_faults();
    let mut first = true;
    world.fault(move |call| {
        let hides = call.operation == "GetTopicAttributes" && std::mem::take(&mut first);
        hides.then(|| call.refusal("NotFound", "Topic does not exist"))
    });
    let run = world.run(&["apply", "plan.json", "--yes"]).expect(1);
    let why = "someone else created it meanwhile, with other settings or tags; nothing was changed";
    assert!(run.stdout.contains(why), "{}", run.stdout);
    assert!(world.sns("GetTopicAttributes", &[("TopicArn", TOPIC)]).contains("<key>DisplayName</key><value></value>"));
}

#[test]
fn calls_with_lost_responses_are_recognized() {
    let world = world();
    world.write("sentinel.toml", MANIFEST);
    for operation in ["CreateTopic", "Subscribe"] {
        world.lose(operation);
    }
    world.run(&["apply", "--yes"]).expect(0);
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn unreadable_topics_are_unknown_and_not_changed() {
    let world = applied(MANIFEST);
    world.fail("ListSubscriptionsByTopic", "AuthorizationError", "");
    let plan = world.run(&["plan", "--json"]).json();
    assert_eq!(plan["resources"][0]["unknown"][0]["action"], json!("sns:ListSubscriptionsByTopic"));
    world.fail("GetTopicAttributes", "AuthorizationError", "");
    let plan = world.run(&["plan", "--json"]).json();
    assert_eq!(plan["resources"][0]["action"], json!("unknown"));
    world.run(&["apply", "--yes"]);
    assert_eq!(world.writes(), [""; 0]);
}

#[test]
fn an_existing_topic_is_adopted() {
    let world = world();
    world.sns("CreateTopic", &[("Name", "alerts")]);
    world.write("sentinel.toml", "[topics.alerts]\n");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    world.calls();
    world.run(&["apply", "--adopt", "--yes"]).expect(0);
    assert_eq!(world.writes(), ["TagResource"]);
    world.run(&["plan", "--adopt", "--detailed-exitcode"]).expect(0);
}

#[test]
fn a_fifo_topic_has_its_suffix() {
    let manifest = "[topics.orders]\nfifo = true\ncontent_based_deduplication = true\n";
    let world = applied(manifest);
    assert!(world.sns("ListTopics", &[]).contains(":orders.fifo<"));
    let arn = "arn:aws:sns:us-east-1:123456789012:orders.fifo";
    let fields = [("TopicArn", arn), ("AttributeName", "ContentBasedDeduplication"), ("AttributeValue", "false")];
    world.sns("SetTopicAttributes", &fields);
    drifts(&world, "content_based_deduplication", "SetTopicAttributes");
}

#[test]
fn faults_of_a_topic_are_reported_with_their_lines() {
    let world = world();
    world.write("topics/bad.json", "{ \"Statement\": [] }");
    let manifest = r#"[topics.a]
name = "a.b"
[topics.b]
fifo = false
name = "b.fifo"
[topics.c]
content_based_deduplication = true
policy = "topics/bad.json"
delivery_policy = "topics/none.json"
key = "records"
[topics.c.subscriptions.one]
protocol = "email"
endpoint = "nobody"
[topics.c.subscriptions.two]
protocol = "sms"
endpoint = "+15555550100"
raw = true
[topics.c.subscriptions.three]
protocol = "firehose"
endpoint = "arn:aws:firehose:us-east-1:123456789012:deliverystream/d"
[topics.c.subscriptions.four]
protocol = "sqs"
endpoint = "arn:aws:sqs:us-east-1:123456789012:q.fifo"
filter_policy = { event = "x" }
[topics.c.subscriptions.five]
protocol = "sqs"
endpoint = "arn:aws:sqs:us-east-1:123456789012:q.fifo"
[topics.c.subscriptions.six]
protocol = "emial"
endpoint = "ops@example.com"
"#;
    world.write("sentinel.toml", manifest);
    snapshot!(world.run(&["validate"]).expect(1).stderr);
}

/// The steps list their permissions, and no call needs any other.
#[test]
fn the_calls_match_the_operations_of_the_steps() {
    let world = world();
    world.write("sentinel.toml", MANIFEST);
    world.run(&["apply", "--yes"]).expect(0);
    let asked: BTreeSet<String> = permissions(&world.calls()).into_iter().map(|(action, _)| action).collect();
    let named = [
        "sns:CreateTopic",
        "sns:GetSubscriptionAttributes",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:ListTagsForResource",
        "sns:Subscribe",
        "tag:GetResources",
    ];
    assert_eq!(asked, named.map(str::to_owned).into());
}

#[test]
fn a_password_in_an_endpoint_is_neither_shown_nor_drift() {
    let manifest =
        "[topics.alerts.subscriptions.hook]\nprotocol = \"https\"\nendpoint = \"https://user:secret@example.com/x\"\n";
    let world = world();
    world.write("sentinel.toml", manifest);
    let plan = world.run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("https://****@example.com/x") && !plan.stdout.contains("secret"), "{}", plan.stdout);
    world.run(&["apply", "--yes"]).expect(0);
    let token = subscription(1).rsplit(':').next().unwrap().to_owned();
    world.sns("ConfirmSubscription", &[("TopicArn", TOPIC), ("Token", &token)]);
    let plan: Value = world.run(&["plan", "--json"]).expect(0).json();
    assert_eq!(plan["resources"][0]["action"], json!("unchanged"));
}

//! Autoscaling through the life of a table and its indexes: a deletion leaves no scalable target, and a rebuilt index is scaled again.

use serde_json::{Value, json};

use crate::world::World;

const AWS: &str = "[aws]\nregion = \"us-east-1\"\n";
const TABLE: &str = r#"[tables.orders]
name = "orders"
partition_key = { name = "id", type = "S" }
billing_mode = "PROVISIONED"
autoscaling = { read = { min = 2, max = 9 }, write = { min = 2, max = 5, target = 50 } }
"#;

fn index(name: &str, extra: &str) -> String {
    format!(
        "[tables.orders.indexes.{name}]\npartition_key = {{ name = \"user\", type = \"S\" }}\n\
         autoscaling = {{ read = {{ min = 3, max = 9 }} }}\n{extra}"
    )
}

impl World {
    /// Applies a manifest, and checks that the next plan has no changes.
    fn converged(&self, text: &str, args: &[&str]) -> crate::world::Run {
        self.write("sentinel.toml", &format!("{AWS}{text}"));
        let run = self.run(&[&["apply", "--yes"][..], args].concat()).expect(0);
        self.run(&[&["plan", "--detailed-exitcode"][..], args].concat()).expect(0);
        run
    }

    fn scaling(&self, operation: &str) -> Value {
        self.aws(&format!("AnyScaleFrontendService.{operation}"), &json!({ "ServiceNamespace": "dynamodb" }))
    }

    /// Returns the resources with a scalable target.
    fn scaled(&self) -> Vec<String> {
        let targets = self.scaling("DescribeScalableTargets")["ScalableTargets"].take();
        let name = |target: &Value, member: &str| target[member].as_str().unwrap().to_owned();
        let line = |target| {
            let dimension = name(target, "ScalableDimension");
            format!("{} {}", name(target, "ResourceId"), dimension.rsplit(':').next().unwrap())
        };
        targets.as_array().unwrap().iter().map(line).collect()
    }
}

const OF_TABLE: [&str; 2] = ["table/orders ReadCapacityUnits", "table/orders WriteCapacityUnits"];
const OF_INDEX: &str = "table/orders/index/by-user ReadCapacityUnits";

#[test]
fn a_deleted_index_leaves_no_scalable_target() {
    let world = World::quick();
    world.converged(&format!("{TABLE}{}", index("by-user", "")), &[]);
    assert_eq!(world.scaled(), [OF_INDEX, OF_TABLE[0], OF_TABLE[1]]);
    let without = format!("{TABLE}indexes = {{}}\n");
    world.write("sentinel.toml", &format!("{AWS}{without}"));
    let plan = world.run(&["plan"]).expect(0);
    let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("index by-user autoscaling read 3 to 9 at 70 % -> read off"), "{text}");
    // Nothing is done before the deletion is allowed.
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(world.scaled().len(), 3);
    world.converged(&without, &["--allow-destructive", "index"]);
    assert_eq!(world.scaled(), OF_TABLE);
    assert_eq!(world.scaling("DescribeScalingPolicies")["ScalingPolicies"].as_array().unwrap().len(), 2);
}

#[test]
fn a_rebuilt_index_keeps_its_scaling_capacity_and_insights() {
    let world = World::quick();
    let insights = "contributor_insights = \"THROTTLED_KEYS\"\n";
    world.converged(&format!("{TABLE}{}", index("by-user", insights)), &[]);
    let capacity = || world.table("orders")["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"].clone();
    let before = capacity();
    assert_eq!(before["ReadCapacityUnits"], 3);
    world.calls();
    let again = format!("{TABLE}{}", index("by-user", &format!("{insights}projection = \"KEYS_ONLY\"\n")));
    world.converged(&again, &["--allow-destructive", "index"]);
    let expected =
        ["UpdateTable", "UpdateTable", "UpdateContributorInsights", "RegisterScalableTarget", "PutScalingPolicy"];
    assert_eq!(world.writes(), expected);
    assert_eq!(capacity(), before);
    assert_eq!(world.scaled().len(), 3);
    // An index that someone deleted is rebuilt with its autoscaling, even though AWS kept its target.
    let update = json!([{ "Delete": { "IndexName": "by-user" } }]);
    world
        .aws("DynamoDB_20120810.UpdateTable", &json!({ "TableName": "orders", "GlobalSecondaryIndexUpdates": update }));
    while world.table("orders")["GlobalSecondaryIndexes"][0]["IndexName"] == "by-user" {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(world.scaled().len(), 3);
    world.calls();
    world.converged(&again, &[]);
    assert_eq!(
        world.writes(),
        ["UpdateTable", "UpdateContributorInsights", "RegisterScalableTarget", "PutScalingPolicy"]
    );
}

#[test]
fn a_deleted_table_leaves_no_scalable_target() {
    for removed in [false, true] {
        let world = World::quick();
        world.converged(&format!("{TABLE}{}", index("by-user", "")), &[]);
        world.write("sentinel.toml", AWS);
        let allowed = ["--allow-destructive", "prune,table"];
        let args = if removed {
            world.write("sentinel.toml", &format!("{AWS}[tables.orders]\nname = \"orders\"\nremoved = true\n"));
            allowed.to_vec()
        } else {
            [&["--prune"][..], &allowed].concat()
        };
        let plan = world.run(&[&["plan"][..], &args].concat()).expect(0);
        assert!(plan.stdout.contains("deregistered before the table is deleted"), "{}", plan.stdout);
        world.calls();
        world.run(&[&["apply", "--yes"][..], &args].concat()).expect(0);
        let deregistered = ["DeregisterScalableTarget"; 3];
        assert_eq!(world.writes(), [&deregistered[..], &["DeleteTable"]].concat());
        assert_eq!(world.scaled(), [""; 0]);
        assert_eq!(world.scaling("DescribeScalingPolicies")["ScalingPolicies"], json!([]));
    }
}

#[test]
fn a_saved_plan_of_a_scaled_table_is_applied() {
    let world = World::quick();
    world.converged(TABLE, &[]);
    world.write("sentinel.toml", &format!("{AWS}{}", TABLE.replace("max = 9", "max = 12")));
    world.run(&["plan", "--out", "plan.json"]).expect(0);
    let run = world.run(&["apply", "plan.json", "--yes"]).expect(0);
    assert!(run.stdout.contains("1 updated"), "{}", run.stdout);
}

#[test]
fn a_scaled_index_keeps_its_current_capacity() {
    let world = World::quick();
    let fixed = "[tables.orders]\nname = \"orders\"\npartition_key = { name = \"id\", type = \"S\" }\n\
                 billing_mode = \"PROVISIONED\"\nread_capacity = 1\nwrite_capacity = 1\n";
    world.converged(&format!("{fixed}{}", index("by-user", "")), &[]);
    let index_of = &world.table("orders")["GlobalSecondaryIndexes"][0];
    assert_eq!(index_of["ProvisionedThroughput"]["ReadCapacityUnits"], 3);

    let both = index("by-user", "read_capacity = 1\nwrite_capacity = 1\n");
    world.write("sentinel.toml", &format!("{AWS}{fixed}{both}"));
    let run = world.run(&["plan"]).expect(1);
    assert!(run.stderr.contains("has both a capacity and autoscaling"), "{}", run.stderr);
}

#[test]
fn autoscaled_capacity_is_lowered_only_with_consent() {
    let world = World::quick();
    let fixed = |units: u32| {
        format!(
            "[tables.orders]\nname = \"orders\"\npartition_key = {{ name = \"id\", type = \"S\" }}\nbilling_mode = \
             \"PROVISIONED\"\nread_capacity = {units}\nwrite_capacity = 1\n"
        )
    };
    let units = || world.table("orders")["ProvisionedThroughput"]["ReadCapacityUnits"].as_i64().unwrap();
    world.converged(&fixed(5), &[]);
    // The capacity is not scaled, so the manifest sets it.
    world.converged(&fixed(4), &[]);
    let target = json!({
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/orders",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
        "MinCapacity": 9,
        "MaxCapacity": 20,
    });
    world.aws("AnyScaleFrontendService.RegisterScalableTarget", &target);
    assert_eq!(units(), 9);
    let run = world.run(&["apply", "--yes"]).expect(4);
    assert!(run.stdout.contains("lowered in place; autoscaling, which the manifest does not have"), "{}", run.stdout);
    assert!(run.stdout.contains("--allow-destructive capacity"), "{}", run.stdout);
    assert_eq!(units(), 9);
    // A capacity above autoscaling's value requires no consent.
    world.converged(&fixed(10), &[]);
    // If it is unknown whether the capacity is scaled, it counts as scaled.
    world.fail("DescribeScalableTargets", "AccessDeniedException", "");
    world.write("sentinel.toml", &format!("{AWS}{}", fixed(4)));
    world.run(&["apply", "--yes"]).expect(4);
    assert_eq!(units(), 10);
    world.run(&["apply", "--yes", "--allow-destructive", "capacity"]).expect(0);
    assert_eq!(units(), 4);
}

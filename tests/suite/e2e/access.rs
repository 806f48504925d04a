//! The access commands.

mod breakglass;
mod exec;
mod forgeries;
mod locks;
mod path;
mod release;
mod requests;
mod sessions;
mod shell;

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Run, World};

/// The policy of these tests: alice has access to dev, prod requires approval, and served requires a server.
pub const POLICY: &str = r#"version: "1"
rules:
  - name: alice-in-dev
    effect: allow
    conditions: { profiles: [dev], users: [alice] }
  - name: eve-never
    effect: deny
    conditions: { users: [eve] }
    reason: Eve has left the company.
  - name: prod-by-approval
    effect: require_approval
    conditions: { profiles: [prod] }
  - name: served-only
    effect: require_server
    conditions: { profiles: [served] }
"#;

/// Returns a world with this policy for each of the profiles, and with all three tables.
pub fn provisioned() -> World {
    let world = World::quick();
    let profiles = ["dev", "prod", "served"].map(|profile| format!("[profiles.{profile}]\npolicy = \"policy.yaml\"\n"));
    let tables = "[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n";
    world.write("there/policy.yaml", POLICY).write("there/sentinel.toml", &(profiles.concat() + tables));
    world.run(&["apply", "-f", "there/sentinel.toml", "--yes"]).expect(0);
    world.calls();
    world
}

/// Replaces the policy of a profile.
pub fn put_policy(world: &World, profile: &str, text: &str) {
    let name = format!("/sentinel/policies/{profile}");
    let body = json!({ "Name": name, "Value": text, "Type": "String", "Overwrite": true });
    world.aws("AmazonSSM.PutParameter", &body);
}

/// Requests access, and returns the request's ID.
#[track_caller]
pub fn request(world: &World, user: &str, profile: &str) -> String {
    let asked = world.json_as(user, &["request", "--profile", profile, "--justification", "Deploy the hotfix"]);
    asked["request"]["id"].as_str().unwrap().to_owned()
}

/// Approves a request.
#[track_caller]
pub fn approve(world: &World, by: &str, id: &str) {
    world.run_as(by, &["approve", id]).expect(0);
}

/// Returns the attributes of a record, by its key.
#[track_caller]
pub fn record(world: &World, key: &str) -> Value {
    let body = json!({ "TableName": "sentinel-requests", "Key": { "id": { "S": key } } });
    world.aws("DynamoDB_20120810.GetItem", &body)["Item"].take()
}

/// Writes a record of the approvals table directly.
#[track_caller]
pub fn put_record(world: &World, item: &Value) {
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": "sentinel-requests", "Item": item }));
}

/// Changes an attribute of a record directly.
pub fn set_number(world: &World, table: &str, id: &str, name: &str, value: i64) {
    let body = json!({
        "TableName": table,
        "Key": { "id": { "S": id } },
        "UpdateExpression": "SET #name = :value",
        "ExpressionAttributeNames": { "#name": name },
        "ExpressionAttributeValues": { ":value": { "N": value.to_string() } },
    });
    world.aws("DynamoDB_20120810.UpdateItem", &body);
}

/// Writes a record directly, like an attacker with write permission for the table. Its attributes are in the JSON format of DynamoDB.
pub fn put_item(world: &World, table: &str, item: &Value) {
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": table, "Item": item }));
}

/// Returns the record with this key.
#[track_caller]
pub fn get_item(world: &World, table: &str, id: &str) -> Value {
    let body = json!({ "TableName": table, "Key": { "id": { "S": id } }, "ConsistentRead": true });
    world.aws("DynamoDB_20120810.GetItem", &body)["Item"].clone()
}

/// Deletes a record directly.
pub fn delete_item(world: &World, table: &str, id: &str) {
    let body = json!({ "TableName": table, "Key": { "id": { "S": id } } });
    world.aws("DynamoDB_20120810.DeleteItem", &body);
}

/// Returns the key of the only place record in the table of break-glass events.
#[track_caller]
pub fn place_key(world: &World) -> String {
    let table = world.aws("DynamoDB_20120810.Scan", &json!({ "TableName": "sentinel-breakglass" }));
    let keys = table["Items"].as_array().unwrap().iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned());
    keys.filter(|key| key.starts_with("place#")).collect::<Vec<_>>().join(" ")
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Returns the lines of a decision log.
pub fn decisions(text: &str) -> Vec<Value> {
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until a condition is true.
#[track_caller]
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what} never came about");
}

/// Returns the number of runs with this exit code.
pub fn count(runs: &[Run], code: i32) -> usize {
    runs.iter().filter(|run| run.code == code).count()
}

/// Returns whether an access key ID belongs to alice's temporary keys. moto returns the same for everyone.
fn is_session_of_alice(key: &str) -> bool {
    let expected = if crate::world::moto().is_some() { "AKIAIOSFODNN7EXAMPLE" } else { "ASIALOCAL:alice" };
    key == expected
}

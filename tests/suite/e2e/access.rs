//! Those who use what is provisioned.

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

/// What decides in these tests: alice may into dev, prod takes an approval, and served goes through a server.
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

/// Returns a world with that policy for each of the profiles, and all three tables.
pub fn provisioned() -> World {
    let world = World::quick();
    let profiles = ["dev", "prod", "served"].map(|profile| format!("[profiles.{profile}]\npolicy = \"policy.yaml\"\n"));
    let tables = "[tables.approvals]\n[tables.breakglass]\n[tables.sessions]\n";
    world.write("there/policy.yaml", POLICY).write("there/sentinel.toml", &(profiles.concat() + tables));
    world.run(&["apply", "-f", "there/sentinel.toml", "--yes"]).expect(0);
    world.calls();
    world
}

/// Puts a policy in the place of a profile's.
pub fn put_policy(world: &World, profile: &str, text: &str) {
    let name = format!("/sentinel/policies/{profile}");
    let body = json!({ "Name": name, "Value": text, "Type": "String", "Overwrite": true });
    world.aws("AmazonSSM.PutParameter", &body);
}

/// Asks for approval, and returns the request's id.
#[track_caller]
pub fn request(world: &World, user: &str, profile: &str) -> String {
    let run = world.run_as(user, &["request", "--profile", profile, "--justification", "Deploy the hotfix"]).expect(0);
    run.json()["request"]["id"].as_str().unwrap().to_owned()
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

/// Writes a record of the approvals table behind the binary's back.
#[track_caller]
pub fn put_record(world: &World, item: &Value) {
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": "sentinel-requests", "Item": item }));
}

/// Changes attributes of a record behind the binary's back.
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

/// Writes a record behind the binary's back, as an attacker who may write to the table does. Its attributes are in the
/// JSON of DynamoDB.
pub fn put_item(world: &World, table: &str, item: &Value) {
    world.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": table, "Item": item }));
}

/// Returns the record with this key.
#[track_caller]
pub fn get_item(world: &World, table: &str, id: &str) -> Value {
    let body = json!({ "TableName": table, "Key": { "id": { "S": id } }, "ConsistentRead": true });
    world.aws("DynamoDB_20120810.GetItem", &body)["Item"].clone()
}

/// Deletes a record behind the binary's back.
pub fn delete_item(world: &World, table: &str, id: &str) {
    let body = json!({ "TableName": table, "Key": { "id": { "S": id } } });
    world.aws("DynamoDB_20120810.DeleteItem", &body);
}

/// Returns the record of the only place in the table of break-glass events.
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

/// Waits until something holds.
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

/// Returns how many of the runs ended so.
pub fn count(runs: &[Run], code: i32) -> usize {
    runs.iter().filter(|run| run.code == code).count()
}

/// Returns whether an access key ID is one that was given to alice for her permanent keys. moto gives everyone the same.
fn is_session_of_alice(key: &str) -> bool {
    let expected = if crate::world::moto().is_some() { "AKIAIOSFODNN7EXAMPLE" } else { "ASIALOCAL:alice" };
    key == expected
}

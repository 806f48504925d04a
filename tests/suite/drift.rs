//! Every setting of every kind, changed outside of Sentinel: a plan shows exactly this change, and apply repairs or refuses it.
//!
//! The settings are those that the kinds list as managed, and the keys of a manifest. A test fails if one of them is not changed here.

mod access;
mod keys;
mod parameters;
mod replicas;
mod roles;
mod tables;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use sentinel::kind::KindId;
use sentinel::kind::members::Handling;
use serde_json::{Value, json};

use crate::world::World;

/// The expected result for a difference.
enum End {
    /// Apply repairs it.
    Repaired,
    /// Apply repairs it with this consent, and refuses it otherwise.
    With(&'static str),
    /// Apply starts the repair, and the next run completes it.
    Later,
    /// No repair is possible. The function reverts the change.
    Refused(Box<dyn Fn(&World)>),
    /// It is not a difference.
    InSync,
}

/// A setting that is changed outside of Sentinel.
struct Drift {
    what: &'static str,
    /// The members of AWS's API and the keys of the manifest that change, such as `TableDescription.KeySchema` and `table.sort_key`.
    covers: &'static [&'static str],
    by_hand: Box<dyn Fn(&World)>,
    /// The expected paths in a plan, each after the address of its resource.
    paths: &'static [&'static str],
    end: End,
}

impl Drift {
    fn new(
        what: &'static str,
        covers: &'static [&'static str],
        paths: &'static [&'static str],
        by_hand: impl Fn(&World) + 'static,
    ) -> Self {
        Self { what, covers, by_hand: Box::new(by_hand), paths, end: End::Repaired }
    }

    fn ends(self, end: End) -> Self {
        Self { end, ..self }
    }

    fn refused(self, undo: impl Fn(&World) + 'static) -> Self {
        self.ends(End::Refused(Box::new(undo)))
    }
}

/// A manifest, and the changes made to its resources.
struct Case {
    files: Vec<(&'static str, String)>,
    /// The setup before the manifest is applied.
    before: fn(&World),
    drifts: Vec<Drift>,
}

impl Case {
    fn world(&self) -> World {
        let world = World::quick();
        for (path, text) in &self.files {
            world.write(path, text);
        }
        (self.before)(&world);
        world.run(&["apply", "--yes"]).expect(0);
        world.run(&["plan", "--detailed-exitcode"]).expect(0);
        world
    }

    /// Makes one change after the other, and reports all unexpected results.
    #[track_caller]
    fn check(&self) {
        let world = self.world();
        let wrong: Vec<String> = self
            .drifts
            .iter()
            .filter_map(|drift| drift.check(&world).err().map(|why| format!("{}: {why}", drift.what)))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Returns the paths of all differences of a plan, each after its resource.
fn differences(world: &World) -> Vec<String> {
    let plan = world.run(&["plan", "--json"]).json();
    let mut paths = Vec::new();
    for resource in plan["resources"].as_array().unwrap() {
        let address = resource["address"].as_str().unwrap();
        let changes = resource["changes"].as_array().unwrap();
        paths.extend(changes.iter().map(|change| format!("{address} {}", change["path"].as_str().unwrap())));
        if resource["action"] == "create" {
            paths.push(format!("{address} missing"));
        }
    }
    paths
}

/// Runs the binary, and returns an error if its exit code is unexpected.
fn run(world: &World, args: &[&str], code: i32) -> Result<(), String> {
    let run = world.run(args);
    if run.code == code {
        return Ok(());
    }
    Err(format!("{args:?} ended with {} in place of {code}:\n{}{}", run.code, run.stdout, run.stderr))
}

impl Drift {
    fn check(&self, world: &World) -> Result<(), String> {
        let checked = self.observed(world);
        if checked.is_err() {
            // The next change starts with everything in sync.
            let all =
                ["apply", "--yes", "--allow-destructive", "index,stream,protection,replica,subscription,capacity"];
            drop(world.run(&all));
            drop(world.run(&all));
        }
        checked
    }

    fn observed(&self, world: &World) -> Result<(), String> {
        (self.by_hand)(world);
        let found = differences(world);
        if found != self.paths {
            return Err(format!("a plan shows {found:?} in place of {:?}", self.paths));
        }
        let apply = ["apply", "--yes"];
        match &self.end {
            End::Repaired => run(world, &apply, 0)?,
            End::With(consent) => {
                run(world, &apply, 4)?;
                let after = differences(world);
                if after != found {
                    return Err(format!("without consent {after:?} is left of {found:?}"));
                }
                run(world, &[&apply[..], &["--allow-destructive", consent]].concat(), 0)?;
            }
            End::Later => {
                run(world, &apply, 0)?;
                run(world, &["plan", "--detailed-exitcode"], 2)?;
                run(world, &apply, 0)?;
            }
            End::Refused(undo) => {
                run(world, &apply, 4)?;
                let after = differences(world);
                if after != found {
                    return Err(format!("a refused difference became {after:?}"));
                }
                undo(world);
            }
            End::InSync => {}
        }
        run(world, &["plan", "--detailed-exitcode"], 0)
    }
}

pub fn dynamodb(world: &World, operation: &str, body: &Value) -> Value {
    dynamodb_in(world, "us-east-1", operation, body)
}

/// Makes a call, and waits until the table is ACTIVE.
pub fn dynamodb_in(world: &World, region: &str, operation: &str, body: &Value) -> Value {
    let answer = world.aws_in(region, &format!("DynamoDB_20120810.{operation}"), body);
    let changes = !["Describe", "List", "Get"].iter().any(|head| operation.starts_with(head));
    if changes
        && operation != "DeleteTable"
        && let Some(name) = body["TableName"].as_str()
    {
        at_rest(world, region, name);
    }
    if ["TagResource", "UntagResource"].contains(&operation) {
        // The tags of the table are locked briefly.
        std::thread::sleep(Duration::from_millis(70));
    }
    answer
}

pub fn at_rest(world: &World, region: &str, name: &str) {
    let is_active = |one: &Value, status: &str| one[status].is_null() || one[status] == "ACTIVE";
    for _ in 0..500 {
        let describe = json!({ "TableName": name });
        let table = world.aws_in(region, "DynamoDB_20120810.DescribeTable", &describe)["Table"].take();
        let all =
            |list: &str, status: &str| table[list].as_array().into_iter().flatten().all(|one| is_active(one, status));
        let rests = is_active(&table, "TableStatus")
            && all("GlobalSecondaryIndexes", "IndexStatus")
            && all("Replicas", "ReplicaStatus")
            && table["SSEDescription"]["Status"] != "UPDATING"
            && is_active(&table["WarmThroughput"], "Status");
        if rests {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{name} is not at rest in {region}");
}

/// Deletes a table, and recreates it with these differences.
fn created_again(world: &World, request: &Value) {
    let name = request["TableName"].as_str().unwrap();
    dynamodb(world, "DeleteTable", &json!({ "TableName": name }));
    for _ in 0..500 {
        let names = dynamodb(world, "ListTables", &json!({}));
        if !names["TableNames"].as_array().unwrap().iter().any(|one| one == name) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    dynamodb(world, "CreateTable", request);
}

fn cases() -> Vec<Case> {
    vec![
        tables::on_demand(),
        tables::provisioned(),
        tables::created_again(),
        replicas::case(),
        parameters::case(),
        access::case(),
        keys::case(),
        roles::case(),
    ]
}

/// The names of request members in the resulting description.
const REQUESTS: &[(&str, &str)] = &[
    ("BillingMode", "TableDescription.BillingModeSummary"),
    ("SSESpecification", "TableDescription.SSEDescription"),
    ("TableClass", "TableDescription.TableClassSummary"),
    ("GlobalSecondaryIndexUpdates", "TableDescription.GlobalSecondaryIndexes"),
    ("ReplicaUpdates", "TableDescription.Replicas"),
    ("GlobalTableWitnessUpdates", "TableDescription.GlobalTableWitnesses"),
    ("ResourcePolicy", "GetResourcePolicyOutput.Policy"),
];

/// Keys of a manifest that control creation and deletion and are not settings.
const NOT_SETTINGS: &[&str] = &[
    // Consent to a deletion.
    "table.removed",
    "topic.removed",
    "key.removed",
    "profile.removed",
    "parameter.removed",
    "role.removed",
    // The role of a profile is not part of its parameter.
    "profile.role",
    // The source of the value.
    "parameter.file",
    "parameter.env",
];

#[test]
fn every_managed_setting_of_every_kind_is_covered() {
    let cases = cases();
    let covered: BTreeSet<&str> =
        cases.iter().flat_map(|case| &case.drifts).flat_map(|drift| drift.covers).copied().collect();
    let mut missing = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for kind in KindId::ALL {
        let about = kind.about();
        for group in about.members {
            for (member, handling) in group.members {
                let own = format!("{}.{member}", group.of);
                known.insert(own.clone());
                let request = REQUESTS.iter().find(|(name, _)| name == member).map(|(_, of)| (*of).to_owned());
                let same = ["TableDescription", "ParameterMetadata", "Parameter"].map(|of| format!("{of}.{member}"));
                let is_request = group.of.ends_with("Input");
                let mut names = vec![own.clone()];
                names.extend(request.into_iter().chain(same).filter(|_| is_request));
                if *handling == Handling::Managed && !names.iter().any(|name| covered.contains(name.as_str())) {
                    missing.push(own);
                }
            }
        }
    }
    let schema =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/sentinel.schema.json"));
    let schema: Value = serde_json::from_str(&schema.unwrap()).unwrap();
    for section in [
        "profile",
        "parameter",
        "parameter_policies",
        "table",
        "index",
        "local_index",
        "replica",
        "key",
        "topic",
        "subscription",
        "role",
    ] {
        for key in schema["$defs"][section]["properties"].as_object().unwrap().keys() {
            let own = format!("{section}.{key}");
            known.insert(own.clone());
            if !covered.contains(own.as_str()) && !NOT_SETTINGS.contains(&own.as_str()) {
                missing.push(own);
            }
        }
    }
    assert!(missing.is_empty(), "nothing changes by hand: {missing:?}");
    let unknown: Vec<&&str> = covered.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "no such settings: {unknown:?}");
}

/// Settings that an import omits because they equal the defaults.
const AS_NEW: &[(&str, &str)] = &[
    ("table_class", "\"STANDARD\""),
    ("tier", "\"standard\""),
    ("data_type", "\"text\""),
    ("multi_region", "false"),
    ("filter_policy_scope", "\"MessageAttributes\""),
];

/// Returns the values of a section as TOML, by path.
fn leaves(path: &str, value: &toml::Value, found: &mut Vec<(String, toml::Value)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                leaves(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
            }
        }
        other => found.push((path.to_owned(), other.clone())),
    }
}

/// Returns the sections of a manifest by kind and AWS name.
fn sections(manifest: &str) -> Vec<(String, Vec<(String, toml::Value)>)> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let mut found = Vec::new();
    for kind in KindId::ALL {
        let section = kind.section();
        for (key, value) in manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
            let named = ["alias", "name"].iter().find_map(|name| value.get(name)?.as_str());
            let name = named.unwrap_or(key).trim_start_matches("alias/").trim_end_matches(".fifo").to_owned();
            let mut values = Vec::new();
            leaves("", value, &mut values);
            values.retain(|(path, _)| path != "name" && path != "alias");
            // The names of subscriptions exist only in the manifest.
            for (path, _) in &mut values {
                if let Some((_, rest)) = path.strip_prefix("subscriptions.").and_then(|rest| rest.split_once('.')) {
                    *path = format!("subscriptions.*.{rest}");
                }
            }
            found.push((format!("{section} {name}"), values));
        }
    }
    found
}

impl Case {
    /// Imports all resources of the manifest, and returns the settings that are neither in the import nor in its warnings.
    fn missing(&self) -> Vec<String> {
        let world = self.world();
        let run = world.run(&["import", "--region", "us-east-1", "-o", "live", "--all-tables", "--json"]).expect(0);
        let warnings = run.json()["warnings"].to_string();
        world.run(&["plan", "-f", "live/sentinel.toml", "--detailed-exitcode"]).expect(0);
        let imported = std::fs::read_to_string(world.folder.path().join("live/sentinel.toml")).unwrap();
        let all = sections(&imported);
        let mut missing = Vec::new();
        for (section, values) in sections(&self.files[0].1) {
            let Some((_, found)) = all.iter().find(|(name, _)| *name == section) else {
                missing.push(section);
                continue;
            };
            for (path, value) in values {
                let key = path.rsplit('.').next().unwrap();
                let is_new = AS_NEW.contains(&(key, value.to_string().as_str()));
                let same = found.iter().any(|(own, found)| match path.as_str() {
                    // AWS does not show that a value was only an initial value, or that a period was not chosen.
                    "initial" => own == "value" && *found == value,
                    "rotation" => own == "rotation_days",
                    // AWS has the documents that are derived from these.
                    "permissions" => own.starts_with("policies."),
                    path if path.starts_with("trusted_by.") => own == "trust",
                    _ => *own == path && (*found == value || is_elsewhere(&path)),
                });
                // A capacity is listed with its key, and a secret by its type.
                let named = warnings.contains(&format!("{key} = {value}"))
                    || path == "role.role"
                    || path == "permissions_boundary" && value == toml::Value::Boolean(false)
                    || (key == "value" && warnings.contains("its value is not managed: it is a secret"))
                    || (section.starts_with("profiles ")
                        && key == "policy"
                        && warnings.contains("its content is not managed"));
                if !same && !is_new && !named {
                    missing.push(format!("{section} {path} = {value}"));
                }
            }
        }
        if !missing.is_empty() {
            missing.push(format!("{imported}\n{warnings}"));
        }
        missing
    }
}

/// Returns whether a value is a file or a reference, which an import writes differently.
fn is_elsewhere(path: &str) -> bool {
    ["policy", "stream_policy", "delivery_policy", "encryption", "key", "trust"]
        .contains(&path.rsplit('.').next().unwrap())
        || path.contains("filter_policy.")
        || path.starts_with("policies.")
}

#[test]
fn an_import_has_all_settings_or_lists_them() {
    let missing: Vec<String> = cases().iter().flat_map(Case::missing).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn settings_of_a_table_on_demand() {
    tables::on_demand().check();
}

#[test]
fn settings_of_a_provisioned_table() {
    tables::provisioned().check();
}

#[test]
fn a_table_is_created_with_its_settings() {
    tables::created_again().check();
}

#[test]
fn settings_of_replicas() {
    replicas::case().check();
}

#[test]
fn settings_of_parameters() {
    parameters::case().check();
}

#[test]
fn settings_of_policies() {
    access::case().check();
}

#[test]
fn settings_of_roles() {
    roles::case().check();
}

#[test]
fn settings_of_keys_and_topics() {
    keys::case().check();
}

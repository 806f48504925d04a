//! Ownership: Sentinel tags the resources that it creates, and prunes only those.

use serde_json::{Value, json};

use super::POLICY;
use crate::snapshot;
use crate::world::World;

fn put(world: &World, name: &str) {
    world.aws("AmazonSSM.PutParameter", &json!({ "Name": name, "Value": POLICY, "Type": "String" }));
}

fn tags(world: &World, name: &str) -> Value {
    let body = json!({ "ResourceType": "Parameter", "ResourceId": name });
    world.aws("AmazonSSM.ListTagsForResource", &body)["TagList"].take()
}

fn exists(world: &World, name: &str) -> bool {
    let answer = world.aws("AmazonSSM.GetParameters", &json!({ "Names": [name] }));
    !answer["Parameters"].as_array().unwrap().is_empty()
}

#[test]
fn created_resources_get_the_ownership_tag_and_plans_do_not_read_it() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[tables.sessions]\n");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(tags(&world, "/sentinel/policies/a"), json!([{ "Key": "managed-by", "Value": "sentinel" }]));
    let arn = world.table("sentinel-sessions")["TableArn"].clone();
    let listed = world.aws("DynamoDB_20120810.ListTagsOfResource", &json!({ "ResourceArn": arn }));
    assert_eq!(listed["Tags"], json!([{ "Key": "managed-by", "Value": "sentinel" }]));
    world.calls();
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    assert!(!world.calls().iter().any(|call| call.operation.contains("Tags")));
    // The ownership tag is not drift if the tags are managed: it is neither missing nor removed.
    world.write("sentinel.toml", "[profiles.a]\ntags = {}\n[tables.sessions]\ntags = {}\n");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
}

#[test]
fn the_ownership_tag_has_the_configured_key_or_is_off() {
    let world = World::quick();
    world.write("sentinel.toml", "[aws]\nownership_tag = \"owner\"\n[profiles.a]\n");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(tags(&world, "/sentinel/policies/a"), json!([{ "Key": "owner", "Value": "sentinel" }]));
    world.write("sentinel.toml", "[aws]\nownership_tag = false\n[profiles.b]\n");
    world.run(&["apply", "--yes"]).expect(0);
    assert_eq!(tags(&world, "/sentinel/policies/b"), json!([]));
    let run = world.run(&["plan", "--prune"]).expect(1);
    assert!(
        run.stderr.contains("without an ownership tag, Sentinel cannot tell which resources it created"),
        "{}",
        run.stderr
    );
    world.write("sentinel.toml", "[aws]\ntags = { managed-by = \"x\" }\n[profiles.b]\n");
    let run = world.run(&["validate"]).expect(1);
    assert!(
        run.stderr
            .contains("the tag `managed-by` is the ownership tag, which marks the resources that Sentinel created"),
        "{}",
        run.stderr
    );
}

#[test]
fn pruning_deletes_owned_resources_and_lists_others() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.old]\n[tables.sessions]\n");
    world.run(&["apply", "--yes"]).expect(0);
    put(&world, "/sentinel/policies/theirs");
    put(&world, "/sentinel/policies/deep/theirs");
    put(&world, "/elsewhere/old");
    world.write("sentinel.toml", "[aws]\nregion = \"us-east-1\"\n[profiles.a]\n");
    world.run(&["plan", "--detailed-exitcode"]).expect(0);
    let plan = world.run(&["plan", "--prune", "--detailed-exitcode"]).expect(2);
    snapshot!(plan.stdout);
    world.calls();
    // --yes is not enough.
    let run = world.run(&["apply", "--prune", "--yes"]).expect(4);
    assert!(
        run.stdout
            .contains("- /sentinel/policies/old (not in the manifest), refused without --allow-destructive prune"),
        "{}",
        run.stdout
    );
    assert_eq!(world.writes(), [""; 0]);
    // A table requires a separate consent.
    let run = world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(4);
    assert!(run.stdout.contains("- /sentinel/policies/old (deleted)"), "{}", run.stdout);
    assert_eq!(world.writes(), ["DeleteParameters"]);
    assert!(!exists(&world, "/sentinel/policies/old"));
    for name in
        ["/sentinel/policies/theirs", "/sentinel/policies/deep/theirs", "/elsewhere/old", "/sentinel/policies/a"]
    {
        assert!(exists(&world, name), "{name} is gone");
    }
    assert_eq!(world.table("sentinel-sessions")["TableName"], json!("sentinel-sessions"));
    world.run(&["plan", "--prune", "--detailed-exitcode", "--exclude", "tables.*"]).expect(0);
}

/// A resource that a filter excludes still counts as listed.
#[test]
fn filtered_resources_are_not_pruned() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n[profiles.old]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\n");
    let run = world.run(&["plan", "--prune", "--exclude", "profiles.b", "--json"]).expect(0).json();
    let addresses: Vec<&Value> = run["resources"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(addresses, ["profiles.a", "profiles.old"]);
    let run = world.run(&["plan", "--prune", "--exclude", "profiles.o*", "--json"]).expect(0).json();
    assert_eq!(run["resources"].as_array().unwrap().len(), 2);
}

#[test]
fn a_resource_that_lost_its_tag_is_not_deleted() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.old]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n");
    // The list behind the plan is outdated: the tag has been removed.
    world.fault(move |call| {
        let unmarked = || sentinel::local::Answer {
            status: 200,
            content_type: "application/x-amz-json-1.1",
            body: br#"{"TagList":[]}"#.to_vec(),
        };
        (call.operation == "ListTagsForResource").then(unmarked)
    });
    let run = world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(1);
    assert!(
        run.stdout.contains("conflict, it no longer has the tag managed-by = sentinel; nothing was deleted"),
        "{}",
        run.stdout
    );
    assert!(exists(&world, "/sentinel/policies/old"));
}

#[test]
fn adopting_tags_the_listed_resources() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.b]\ntags = { team = \"x\" }\n[tables.sessions]\n");
    put(&world, "/sentinel/policies/a");
    world.run(&["apply", "--yes", "--exclude", "tables.*"]).expect(0);
    let run = world.run(&["plan", "--adopt"]).expect(0);
    assert!(run.stdout.contains("~ /sentinel/policies/a (drift: tags.managed-by, v1)"), "{}", run.stdout);
    world.calls();
    world.run(&["apply", "--adopt", "--yes"]).expect(0);
    let writes = world.writes();
    assert_eq!(writes.iter().filter(|name| *name == "AddTagsToResource").count(), 1, "{writes:?}");
    assert_eq!(tags(&world, "/sentinel/policies/a"), json!([{ "Key": "managed-by", "Value": "sentinel" }]));
    world.run(&["plan", "--adopt", "--detailed-exitcode"]).expect(0);
    // A table from another tool with managed tags: one call sets all of them.
    let arn = world.table("sentinel-sessions")["TableArn"].clone();
    let theirs = json!({ "ResourceArn": arn, "Tags": [{ "Key": "managed-by", "Value": "terraform" }] });
    world.aws("DynamoDB_20120810.TagResource", &theirs);
    world.write("sentinel.toml", "[tables.sessions]\ntags = { team = \"x\" }\n");
    let plan = world.run(&["plan", "--adopt"]).expect(0);
    assert!(plan.stdout.contains("tags.managed-by  terraform -> sentinel (adopted)"), "{}", plan.stdout);
    world.calls();
    world.run(&["apply", "--adopt", "--yes"]).expect(0);
    let writes: Vec<String> = world.writes().into_iter().filter(|name| name != "UntagResource").collect();
    assert_eq!(writes.iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{writes:?}");
    world.run(&["plan", "--adopt", "--detailed-exitcode"]).expect(0);
}

/// Reading the tags of many parameters does not take a call for each.
#[test]
fn pruning_and_adopting_list_tags_in_pages() {
    let world = World::quick();
    let manifest: String = (0..120).map(|number| format!("[profiles.p{number}]\n")).collect();
    world.write("sentinel.toml", &manifest);
    world.run(&["apply", "--yes"]).expect(0);
    world.calls();
    world.run(&["plan", "--prune", "--adopt", "--detailed-exitcode"]).expect(0);
    let calls = world.calls();
    let count = |name: &str| calls.iter().filter(|call| call.operation == name).count();
    assert_eq!(count("ListTagsForResource"), 0);
    // moto returns 10 regardless of the page size.
    let pages = if crate::world::moto().is_some() { 39 } else { 9 };
    let why = "120 names, 50 a page: to prune policies, to prune other parameters, and to adopt";
    assert_eq!(count("DescribeParameters"), pages, "{why}");
}

#[test]
fn unlistable_resources_are_not_pruned_and_reported() {
    let world = World::quick();
    world.write("sentinel.toml", "[profiles.a]\n[profiles.old]\n");
    world.run(&["apply", "--yes"]).expect(0);
    world.write("sentinel.toml", "[profiles.a]\n");
    world.fail("DescribeParameters", "AccessDeniedException", "");
    world.fail("ListTables", "AccessDeniedException", "");
    let run = world.run(&["plan", "--prune", "--detailed-exitcode"]).expect(3);
    assert!(
        run.stdout.contains("parameters not in the manifest: no permission for ssm:DescribeParameters"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("tables not in the manifest: no permission for dynamodb:ListTables"), "{}", run.stdout);
    world.calls();
    world.run(&["apply", "--prune", "--allow-destructive", "prune", "--yes"]).expect(1);
    assert_eq!(world.writes(), [""; 0]);
}

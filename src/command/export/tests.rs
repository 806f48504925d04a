//! Exports of generated manifests and of examples/everything, checked with independent parsers.

mod global;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hcl::{Block, Body, Expression};
use proptest::prelude::*;
use serde_json::Value;

use crate::diagnostic::{Faults, Source};
use crate::document::Variables;
use crate::export::{Exported, File, Target, cloudformation, cloudformation::Delivery, terraform};
use crate::kind::document::PolicyDocument;
use crate::kind::export::Unsupported;
use crate::kind::export::terraform::Version;
use crate::kind::key::Key;
use crate::kind::parameter::Parameter;
use crate::kind::policy_parameter::PolicyParameter;
use crate::kind::role::Role;
use crate::kind::table::{Projection, Table, Ttl};
use crate::kind::topic::Topic;
use crate::kind::{Desired, DesiredResource, Sections};
use crate::manifest::{self, Manifest, Overrides};
use crate::resource::Tags;
use crate::resource::names::{AccountId, RegionName};

/// Returns the desired state of a manifest, without the parts that have faults.
fn desired(text: &str, folder: &Path) -> Vec<DesiredResource> {
    let mut faults = Faults::default();
    let parsed = manifest::parse(&Source::new("sentinel.toml", text.to_owned()), &mut faults);
    let overrides = Overrides { policy_root: None, region: None, variables: Variables::new(|_| None) };
    manifest::resolve(parsed, folder, &overrides, &mut faults).desired
}

fn target<'a>(desired: &'a [DesiredResource], name: Option<&str>) -> Target<'a> {
    Target {
        name: name.map(str::to_owned),
        region: RegionName::new("eu-west-1"),
        account: Some(AccountId::new("123456789012")),
        role: None,
        profile: None,
        resources: desired.iter().map(|one| (one, one.without_live(None))).collect(),
    }
}

fn everything() -> Vec<DesiredResource> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/everything");
    desired(include_str!("../../../examples/everything/sentinel.toml"), &folder)
}

fn text_of<'a>(exported: &'a Exported, name: &str) -> &'a str {
    &exported.files.iter().find(|file| file.name == name).unwrap().text
}

// Terraform -----------------------------------------------------------------------------------------------------------

/// Returns every expression of a body, with nested ones.
fn expressions<'a>(body: &'a Body, found: &mut Vec<&'a Expression>) {
    for attribute in body.attributes() {
        found.push(attribute.expr());
    }
    body.blocks().for_each(|block| expressions(block.body(), found));
}

/// Checks that an expression is plain data, or a path that begins with a known name.
fn check_expression(expression: &Expression) {
    match expression {
        Expression::Null
        | Expression::Bool(_)
        | Expression::Number(_)
        | Expression::String(_)
        | Expression::Variable(_) => {}
        Expression::Array(items) => items.iter().for_each(check_expression),
        Expression::Object(fields) => fields.values().for_each(check_expression),
        Expression::Traversal(path) => {
            let root = path.expr.to_string();
            assert!(["aws", "var", "data"].contains(&root.as_str()) || root.starts_with("aws_"), "{expression}");
        }
        other => panic!("interpolated or computed: {other}"),
    }
}

fn value<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    body.attributes().find(|one| one.key() == name).map(hcl::Attribute::expr)
}

fn text(body: &Body, name: &str) -> Option<String> {
    match value(body, name)? {
        Expression::String(text) => Some(text.clone()),
        Expression::Number(number) => Some(number.to_string()),
        Expression::Bool(on) => Some(on.to_string()),
        other => panic!("{name} is {other}"),
    }
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels().iter().map(hcl::BlockLabel::as_str).collect()
}

/// Returns the block of a type that has an argument.
fn find<'a>(body: &'a Body, type_name: &str, argument: &str, is: &str) -> &'a Body {
    let of_type = |block: &&Block| block.identifier() == "resource" && labels(block)[0] == type_name;
    let mut found = body.blocks().filter(of_type).map(Block::body);
    let found = found.find(|block| matches!(value(block, argument), Some(Expression::String(text)) if text == is));
    found.unwrap_or_else(|| panic!("no {type_name} with {argument} = {is:?}"))
}

fn blocks<'a>(body: &'a Body, name: &str) -> Vec<&'a Body> {
    body.blocks().filter(|block| block.identifier() == name).map(Block::body).collect()
}

fn tags(body: &Body) -> Tags {
    let Some(Expression::Object(fields)) = value(body, "tags") else { return Tags::new() };
    let text = |value: &Expression| match value {
        Expression::String(text) => text.clone(),
        other => panic!("{other}"),
    };
    fields
        .iter()
        .map(|(key, value)| match key {
            hcl::ObjectKey::Expression(key) => (text(key), text(value)),
            hcl::ObjectKey::Identifier(key) => (key.to_string(), text(value)),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn check_table(body: &Body, one: &Desired<Table>) {
    let block = find(body, "aws_dynamodb_table", "name", &one.name);
    let table = &one.initial;
    let key = table.key.as_ref();
    assert_eq!(text(block, "hash_key"), key.map(|key| key.partition.name.clone()));
    assert_eq!(text(block, "range_key"), key.and_then(|key| key.sort.as_ref()).map(|sort| sort.name.clone()));
    assert_eq!(tags(block), table.tags.clone().unwrap_or_default());
    assert_eq!(text(block, "table_class"), table.settings.class.map(|class| class.as_str().to_owned()));
    let protection = table.settings.deletion_protection.map(|protection| protection.0.to_string());
    assert_eq!(text(block, "deletion_protection_enabled"), protection);
    let indexes: BTreeMap<String, &Body> = blocks(block, "global_secondary_index")
        .into_iter()
        .map(|index| (text(index, "name").unwrap(), index))
        .collect();
    let wanted: Vec<&String> = table.indexes.iter().flatten().map(|(name, _)| name).collect();
    assert_eq!(indexes.keys().collect::<Vec<_>>(), wanted);
    for (name, index) in table.indexes.iter().flatten() {
        let found = indexes[name];
        let attributes: Vec<String> = match blocks(found, "key_schema").as_slice() {
            [] => ["hash_key", "range_key"].iter().filter_map(|name| text(found, name)).collect(),
            elements => elements.iter().filter_map(|element| text(element, "attribute_name")).collect(),
        };
        assert_eq!(attributes, index.key.attributes().map(|one| one.name.clone()).collect::<Vec<_>>());
        let named = match &index.projection {
            Projection::Include(names) => names.clone(),
            Projection::All | Projection::KeysOnly => BTreeSet::new(),
        };
        let found: BTreeSet<String> = match value(found, "non_key_attributes") {
            Some(Expression::Array(items)) => {
                items.iter().map(|item| item.to_string().trim_matches('"').to_owned()).collect()
            }
            _ => BTreeSet::new(),
        };
        assert_eq!(found.len(), named.len());
    }
    let local: Vec<String> =
        blocks(block, "local_secondary_index").into_iter().filter_map(|index| text(index, "name")).collect();
    assert_eq!(local, table.local_indexes.iter().flatten().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let ttl = blocks(block, "ttl").first().and_then(|ttl| text(ttl, "attribute_name"));
    let wanted = table.ttl.as_ref().and_then(|ttl| match ttl {
        Ttl::Enabled(attribute) => Some(attribute.clone()),
        Ttl::Disabled | Ttl::Disabling => None,
    });
    assert_eq!(ttl, wanted);
    let defined: BTreeSet<String> =
        blocks(block, "attribute").into_iter().filter_map(|one| text(one, "name")).collect();
    let used = table.indexes.iter().flatten().flat_map(|(_, index)| index.key.attributes());
    let local = table.local_indexes.iter().flatten().map(|(_, index)| &index.sort);
    let used = used.chain(local).chain(key.into_iter().flat_map(crate::kind::table::Key::attributes));
    assert_eq!(defined, used.map(|one| one.name.clone()).collect());
}

fn check_topic(body: &Body, one: &Desired<Topic>) {
    let block = find(body, "aws_sns_topic", "name", &one.name);
    let topic = &one.initial;
    assert_eq!(text(block, "display_name"), topic.display_name);
    assert_eq!(tags(block), topic.tags.clone().unwrap_or_default());
    assert_eq!(text(block, "policy"), topic.policy.as_ref().map(PolicyDocument::to_json));
    assert_eq!(text(block, "delivery_policy"), topic.delivery_policy.as_ref().map(ToString::to_string));
    for subscription in topic.subscriptions.iter().flat_map(|all| all.values()) {
        // No file contains a password.
        if subscription.shown() == format!("{} {}", subscription.protocol, subscription.endpoint) {
            let block = find(body, "aws_sns_topic_subscription", "endpoint", &subscription.endpoint);
            assert_eq!(text(block, "subscription_role_arn"), subscription.role);
        }
    }
}

fn check_key(body: &Body, one: &Desired<Key>) {
    let alias = find(body, "aws_kms_alias", "name", &one.name);
    let target = value(alias, "target_key_id").unwrap().to_string();
    let name = target.split('.').nth(1).unwrap();
    let of_key = |block: &&Block| block.identifier() == "resource" && labels(block) == ["aws_kms_key", name];
    let key = body.blocks().find(of_key).unwrap().body();
    assert_eq!(text(key, "description"), one.initial.description);
    assert_eq!(text(key, "policy"), one.initial.policy.as_ref().map(PolicyDocument::to_json));
    assert_eq!(tags(key), one.initial.tags.clone().unwrap_or_default());
}

fn check_role(body: &Body, one: &Desired<Role>) {
    let role = &one.initial;
    // A role that contains the account is not exported if the account is not known.
    if serde_json::to_string(role).unwrap().contains("${sentinel:") {
        return;
    }
    let block = find(body, "aws_iam_role", "name", &one.name);
    assert_eq!((text(block, "path"), text(block, "description")), (role.path.clone(), role.description.clone()));
    assert_eq!(text(block, "assume_role_policy"), role.trust.as_ref().map(PolicyDocument::to_json));
    assert_eq!(text(block, "max_session_duration"), role.max_session_duration.map(|seconds| seconds.to_string()));
    assert_eq!(tags(block), role.tags.clone().unwrap_or_default());
    for arn in role.managed_policies.iter().flatten() {
        find(body, "aws_iam_role_policy_attachment", "policy_arn", arn);
    }
    for (name, policy) in role.policies.iter().flatten() {
        assert_eq!(text(find(body, "aws_iam_role_policy", "name", name), "policy"), Some(policy.to_json()));
    }
}

fn configurations(exported: &Exported) -> impl Iterator<Item = &File> {
    exported.files.iter().filter(|file| Path::new(&file.name).extension().is_some_and(|extension| extension == "tf"))
}

/// Checks that every attribute of a configuration agrees with the manifest.
fn check_terraform(exported: &Exported, desired: &[DesiredResource]) {
    let mut all = Body::builder();
    for file in configurations(exported) {
        let body: Body = hcl::parse(&file.text).unwrap_or_else(|error| panic!("{error}\n{}", file.text));
        all = all.add_structures(body);
    }
    let body = all.build();
    let mut found = Vec::new();
    expressions(&body, &mut found);
    found.into_iter().for_each(check_expression);
    let named: Vec<(String, String)> = body
        .blocks()
        .filter(|block| ["resource", "data"].contains(&block.identifier()))
        .map(|block| (format!("{} {}", block.identifier(), labels(block)[0]), labels(block)[1].to_owned()))
        .collect();
    assert_eq!(named.len(), named.iter().collect::<BTreeSet<_>>().len(), "two blocks have one name: {named:?}");
    for one in desired.iter().filter(|one| one.presence().is_present()) {
        if let Some(one) = one.of::<Table>() {
            check_table(&body, one);
        } else if let Some(one) = one.of::<Topic>() {
            check_topic(&body, one);
        } else if let Some(one) = one.of::<Key>() {
            check_key(&body, one);
        } else if let Some(one) = one.of::<Role>() {
            check_role(&body, one);
        } else if let Some(one) = one.of::<PolicyParameter>() {
            let block = find(&body, "aws_ssm_parameter", "name", &one.name);
            let shown = one.initial.content.as_ref().and_then(|content| content.shown());
            assert_eq!(text(block, "value"), shown.map(str::to_owned));
            assert_eq!(tags(block), one.initial.tags.clone().unwrap_or_default());
        } else if let Some(one) = one.of::<Parameter>() {
            let block = find(&body, "aws_ssm_parameter", "name", &one.name);
            let shown = one.initial.content.as_ref().and_then(|content| content.shown());
            assert_eq!(text(block, "value"), shown.map(str::to_owned));
            assert_eq!(text(block, "type").unwrap(), one.initial.parameter_type.as_ref().unwrap().as_str());
            let settings = &one.initial.settings;
            assert_eq!(text(block, "key_id"), settings.key.clone().filter(|key| !key.is_empty()));
            let pattern = settings.allowed_pattern.clone().filter(|pattern| !pattern.is_empty());
            assert_eq!(text(block, "allowed_pattern"), pattern);
        } else {
            panic!("{} is of a kind that this test does not check", one.address());
        }
    }
}

/// The arguments that the provider has, by version and block.
static ARGUMENTS: std::sync::LazyLock<Value> =
    std::sync::LazyLock::new(|| serde_json::from_str(include_str!("../../../tests/suite/terraform-aws.json")).unwrap());

/// Checks that the provider has every argument and block.
fn check_arguments(exported: &Exported, version: &str) {
    fn check(body: &Body, known: &Value, of: &str, path: &str) {
        let meta = ["provider", "depends_on", "lifecycle"];
        let place = if path.is_empty() { of.to_owned() } else { format!("{of}/{path}") };
        let allowed: Vec<&str> =
            known[&place].as_array().unwrap_or_else(|| panic!("{place}")).iter().filter_map(Value::as_str).collect();
        for attribute in body.attributes().filter(|one| !meta.contains(&one.key())) {
            assert!(allowed.contains(&attribute.key()), "{place} has no {}", attribute.key());
        }
        for block in body.blocks().filter(|one| !meta.contains(&one.identifier())) {
            assert!(allowed.contains(&block.identifier()), "{place} has no {}", block.identifier());
            let inner =
                if path.is_empty() { block.identifier().to_owned() } else { format!("{path}_{}", block.identifier()) };
            check(block.body(), known, of, &inner);
        }
    }
    for file in configurations(exported) {
        let body: Body = hcl::parse(&file.text).unwrap();
        for block in body.blocks() {
            let of = match block.identifier() {
                "resource" => labels(block)[0].to_owned(),
                "data" => format!("data.{}", labels(block)[0]),
                _ => continue,
            };
            check(block.body(), &ARGUMENTS["arguments"][version], &of, "");
        }
    }
}

// CloudFormation ------------------------------------------------------------------------------------------------------

/// Returns what a value refers to.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("Ref").and_then(Value::as_str).map(str::to_owned));
            found.extend(fields.get("Fn::GetAtt").and_then(|path| path[0].as_str()).map(str::to_owned));
            assert!(!fields.contains_key("Sentinel::KeyArn"));
            fields.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}

/// Checks a template, and returns the logical IDs of its resources.
fn check_template(text: &str) -> Vec<String> {
    let template: Value = serde_json::from_str(text).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let parameters = template["Parameters"].as_object().cloned().unwrap_or_default();
    assert!(!resources.is_empty() && resources.len() <= 500 && parameters.len() <= 200);
    for (id, resource) in resources {
        assert!(id.chars().all(|letter| letter.is_ascii_alphanumeric()) && id.len() <= 255, "{id}");
        assert_eq!(
            (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
            (&"Retain".into(), &"Retain".into())
        );
        let mut found = BTreeSet::new();
        // A policy document can have any fields.
        let mut properties = resource["Properties"].clone();
        for own in ["PolicyDocument", "KeyPolicy", "ResourcePolicy", "FilterPolicy", "Tags"] {
            properties.as_object_mut().unwrap().remove(own);
        }
        references(&properties, &mut found);
        found.extend(
            resource["DependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
        );
        found.remove("AWS::Region");
        for one in found {
            assert!(resources.contains_key(&one) || parameters.contains_key(&one), "{id} refers to {one}");
        }
    }
    resources.keys().cloned().collect()
}

fn templates(exported: &Exported) -> Vec<Vec<String>> {
    let files = exported.files.iter().filter(|file| file.name.ends_with(".template.json"));
    files.map(|file| check_template(&file.text)).collect()
}

#[test]
fn everything_becomes_a_template() {
    let desired = everything();
    let exported = cloudformation::export(&[target(&desired, None)], Delivery::Inline).unwrap();
    templates(&exported);
    let left_out: Vec<String> = exported.unsupported.iter().map(Unsupported::what).collect();
    assert_eq!(left_out, ["parameters.db-url labels", "parameters.db-password"]);
}

#[test]
fn everything_becomes_a_configuration() {
    let desired = everything();
    for (version, number) in [(Version::V6, "6"), (Version::V5, "5")] {
        let exported = terraform::export(&[target(&desired, None)], version);
        check_terraform(&exported, &if version == Version::V6 { desired.clone() } else { Vec::new() });
        check_arguments(&exported, number);
        let left_out: Vec<String> = exported.unsupported.iter().map(Unsupported::what).collect();
        let newer: &[&str] = match version {
            Version::V6 => &[],
            Version::V5 => &[
                "tables.audit indexes with several attributes in a part of the key",
                "tables.audit contributor_insights of throttled keys alone",
                "tables.ledger consistency",
            ],
        };
        let both = ["parameters.db-url labels", "parameters.counter parameter_policies"];
        let expected: Vec<&str> = newer.iter().chain(&both).copied().collect();
        assert_eq!(left_out, expected);
    }
}

/// Returns a manifest with many parameters and tables that one key encrypts.
fn many(count: usize) -> Vec<DesiredResource> {
    let mut text = String::from("[keys.records]\n");
    for number in 0..count {
        text.push_str(&format!("[parameters.p{number}]\nname = \"/p/{number}\"\nvalue = \"{}\"\n", "x".repeat(100)));
        text.push_str(&format!(
            "[tables.t{number}]\nname = \"table-{number}\"\npartition_key = {{ name = \"id\", type = \"S\" }}\nencryption = {{ key = \"records\" }}\n"
        ));
    }
    desired(&text, Path::new("."))
}

#[test]
fn large_exports_become_several_stacks() {
    let desired = many(400);
    for (delivery, limit) in [(Delivery::Inline, 51_200), (Delivery::Bucket, 1_048_576)] {
        let exported = cloudformation::export(&[target(&desired, Some("prod"))], delivery).unwrap();
        let ids: Vec<Vec<String>> = templates(&exported);
        assert!(ids.len() > 1);
        let files = exported.files.iter().filter(|file| file.name.ends_with(".template.json"));
        files.for_each(|file| assert!(file.text.len() <= limit, "{} has {} bytes", file.name, file.text.len()));
        let all: Vec<&String> = ids.iter().flatten().collect();
        assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len());
        // The key, its alias, and the resources that use it.
        assert_eq!(all.len(), 802);
        assert!(ids[0].contains(&String::from("KeyRecords")));
        // A key in another template is referenced by its alias.
        let others = exported.stacks.iter().skip(1).map(|stack| text_of(&exported, &stack.file));
        let others: Vec<Value> = others.map(|text| serde_json::from_str(text).unwrap()).collect();
        let mut others = others.iter().flat_map(|one| one["Resources"].as_object().unwrap().values());
        let table = others.find(|one| one["Type"] == "AWS::DynamoDB::Table");
        assert_eq!(table.is_some(), delivery == Delivery::Inline);
        if let Some(table) = table {
            assert_eq!(table["Properties"]["SSESpecification"]["KMSMasterKeyId"], "alias/records");
        }
    }
}

#[test]
fn resources_too_large_for_a_template_are_refused_by_name() {
    let subscriptions: String = (0..600)
        .map(|number| {
            format!("[topics.a.subscriptions.s{number}]\nprotocol = \"email\"\nendpoint = \"u{number}@example.com\"\n")
        })
        .collect();
    let desired = desired(&format!("[topics.a]\n{subscriptions}"), Path::new("."));
    let failed = cloudformation::export(&[target(&desired, None)], Delivery::Bucket).unwrap_err();
    let cloudformation::Failure::TooLarge { address, resources, .. } = failed else { panic!("{failed:?}") };
    assert_eq!((address.to_string().as_str(), resources), ("topics.a", 601));
}

#[test]
fn stack_sets_have_parameters_for_differing_values() {
    let table = |read: u8, more: &str| {
        let text = format!(
            "[tables.t]\nname = \"table\"\npartition_key = {{ name = \"id\", type = \"S\" }}\nbilling_mode = \"PROVISIONED\"\nread_capacity = {read}\nwrite_capacity = 1\n{more}"
        );
        desired(&text, Path::new("."))
    };
    let (one, other) = (table(1, ""), table(7, ""));
    let mut targets = [target(&one, Some("a")), target(&other, Some("b")), target(&one, Some("c"))];
    targets[1].account = Some(AccountId::new("222222222222"));
    targets[2].region = RegionName::new("eu-north-1");
    let exported = cloudformation::export_stack_set(&targets, Delivery::Inline).unwrap();
    templates(&exported);
    let set: Value = serde_json::from_str(text_of(&exported, "sentinel.stackset.json")).unwrap();
    let instances = set["Instances"].as_array().unwrap();
    assert_eq!(instances.len(), 2);
    assert_eq!(instances[0]["Regions"], serde_json::json!(["eu-north-1", "eu-west-1"]));
    assert_eq!(instances[1]["ParameterOverrides"][0]["ParameterValue"], "7");
    let preferences = &instances[0]["OperationPreferences"];
    assert_eq!(
        (&preferences["RegionConcurrencyType"], &preferences["MaxConcurrentCount"]),
        (&"PARALLEL".into(), &1.into())
    );
    let more = table(1, "deletion_protection = true\n");
    let failed =
        cloudformation::export_stack_set(&[target(&one, Some("a")), target(&more, Some("b"))], Delivery::Inline);
    let Err(cloudformation::Failure::Differs(differs)) = failed else { panic!("no failure") };
    assert_eq!(
        (differs.address.to_string(), differs.targets),
        (String::from("tables.t"), [Some("a".into()), Some("b".into())])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// For any manifest: missing files and unknown keys are faults, and the rest is exported.
    #[test]
    fn any_manifest_is_exported_as_it_is(sections in Sections::any()) {
        let manifest = Manifest { sections, ..Manifest::default() };
        let mut desired = desired(&manifest.to_toml(), Path::new("/nonexistent"));
        // Two resources with the same name are a fault too.
        let mut names = BTreeSet::new();
        desired.retain(|one| names.insert((one.address().kind, one.name().to_owned())));
        for name in [None, Some("prod ${x}")] {
            let targets = [target(&desired, name)];
            match cloudformation::export(&targets, Delivery::Bucket) {
                Ok(exported) => { templates(&exported); }
                Err(failed) => prop_assert!(matches!(failed, cloudformation::Failure::TooLarge { .. }), "{failed:?}"),
            }
            let exported = terraform::export(&targets, Version::V6);
            check_terraform(&exported, &desired);
            check_arguments(&exported, "6");
            check_arguments(&terraform::export(&targets, Version::V5), "5");
        }
    }
}

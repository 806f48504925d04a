//! The permissions that a request requires: the actions, their ARNs, and the partition keys of the items.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon DynamoDB", "… for AWS
//! Systems Manager" and "… for AWS Security Token Service".

use serde_json::Value;

use super::evaluate::{ConditionKey, Context, RequiredPermission};
use crate::local::Region;
use crate::local::answer::Form;
use crate::local::dynamodb::key_schema;
use crate::local::kms;

/// Returns a permission without specific condition keys.
pub(super) fn permission(region: &str, action: String, resource: String) -> RequiredPermission {
    RequiredPermission {
        action,
        resource,
        region: region.to_owned(),
        leading_keys: ConditionKey::Absent,
        key_aliases: ConditionKey::Absent,
        enclosing: None,
        context: Context::default(),
    }
}

/// Returns the permissions of a request to Parameter Store.
pub(super) fn of_ssm(region: &Region, operation: &str, body: &Value) -> Vec<RequiredPermission> {
    let texts = |field: &str| body[field].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = ["Name", "Path", "ResourceId"].into_iter().filter_map(|field| body[field].as_str());
    let names: Vec<&str> = fields.chain(texts("Names")).collect();
    let arn = |name: &&str| {
        // A version or label requires the permission for its parameter, which may be named by ARN.
        if name.starts_with("arn:") {
            return name.splitn(7, ':').take(6).collect::<Vec<_>>().join(":");
        }
        let name = name.split(':').next().unwrap_or_default().trim_matches('/');
        region.arn("ssm", &format!("parameter/{name}"))
    };
    let mut resources: Vec<String> = names.iter().map(arn).collect();
    if resources.is_empty() || operation == "DescribeParameters" {
        resources = vec![String::from("*")];
    }
    let tagged = operation == "PutParameter" && body["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
    let actions = std::iter::once(operation).chain(tagged.then_some("AddTagsToResource"));
    let of = |action: &str| {
        let action = format!("ssm:{action}");
        resources
            .iter()
            .map(move |resource| permission(&region.name, action.clone(), resource.clone()))
            .collect::<Vec<_>>()
    };
    actions.flat_map(of).collect()
}

/// Returns the permissions of a request to KMS. An alias requires the permission for its key.
pub(super) fn of_kms(region: &Region, operation: &str, body: &Value) -> Vec<RequiredPermission> {
    let key = body["KeyId"].as_str().or_else(|| body["TargetKeyId"].as_str());
    let known = key.and_then(|key| kms::known(region, key));
    let resource = match (operation, key) {
        ("CreateKey" | "ListKeys" | "ListAliases", _) | (_, None) => String::from("*"),
        (_, Some(named)) => match &known {
            Some(known) => known.arn.clone(),
            // A missing key is denied by policies for specific keys.
            None if named.starts_with("arn:") => named.to_owned(),
            None if named.starts_with("alias/") => region.arn("kms", "key/*"),
            None => region.arn("kms", &format!("key/{named}")),
        },
    };
    let key_aliases = known.map_or(ConditionKey::Absent, |known| ConditionKey::Values(known.aliases));
    let alias = body["AliasName"].as_str().map(|alias| region.arn("kms", alias));
    let tagged = operation == "CreateKey" && body["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
    let action = |name: &str| format!("kms:{name}");
    let of_key = RequiredPermission { key_aliases, ..permission(&region.name, action(operation), resource) };
    let of_alias = alias.map(|on| permission(&region.name, action(operation), on));
    std::iter::once(of_key)
        .chain(of_alias)
        .chain(tagged.then(|| permission(&region.name, action("TagResource"), region.arn("kms", "key/*"))))
        .collect()
}

/// Returns the permissions of a request to Application Auto Scaling: reads have no resource type in IAM, and all other operations have the
/// scalable target. Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Application Auto Scaling".
pub(super) fn of_autoscaling(region: &Region, operation: &str) -> Vec<RequiredPermission> {
    let resource = match operation.starts_with("Describe") {
        true => String::from("*"),
        false => region.arn("application-autoscaling", "scalable-target/new"),
    };
    vec![permission(&region.name, format!("application-autoscaling:{operation}"), resource)]
}

/// Returns the permissions of a request to the Resource Groups Tagging API, which has no resource type in IAM.
pub(super) fn of_tagging(region: &Region, operation: &str) -> Vec<RequiredPermission> {
    vec![permission(&region.name, format!("tag:{operation}"), String::from("*"))]
}

/// Returns the permissions of a request to SNS. The topic is the resource, including for its subscriptions.
pub(super) fn of_sns(region: &Region, operation: &str, form: &Form) -> Vec<RequiredPermission> {
    let named = || form.get("Name").map(|name| region.arn("sns", name));
    let arn = ["TopicArn", "ResourceArn"].into_iter().find_map(|field| form.get(field).cloned()).or_else(named);
    // arn:aws:sns:REGION:ACCOUNT:TOPIC:ID
    let of_subscription = || {
        let arn = form.get("SubscriptionArn")?;
        Some(arn.split(':').take(6).collect::<Vec<_>>().join(":"))
    };
    let resource = arn.or_else(of_subscription).unwrap_or_else(|| String::from("*"));
    let tagged = operation == "CreateTopic" && form.keys().any(|field| field.starts_with("Tags."));
    let actions = std::iter::once(operation).chain(tagged.then_some("TagResource"));
    actions.map(|action| permission(&region.name, format!("sns:{action}"), resource.clone())).collect()
}

/// Returns the permissions of a request to DynamoDB. A transaction requires those of its parts (Amazon DynamoDB Developer Guide, "Using IAM
/// with DynamoDB transactions"). A batch is a separate action, whose condition keys contain the keys of all its items.
pub(super) fn of_dynamodb(region: &Region, operation: &str, body: &Value) -> Vec<RequiredPermission> {
    let needed = match operation {
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => vec![item(region, operation, body)],
        "Query" => vec![query(region, body)],
        "Scan" => vec![simple(region, "Scan", &read_resource(region, body))],
        "TransactWriteItems" => transaction(region, "TransactWriteItems", body),
        "TransactGetItems" => transaction(region, "TransactGetItems", body),
        "BatchGetItem" | "BatchWriteItem" => batch(region, operation, body),
        _ => control(region, operation, body),
    };
    // A request without a resource still requires its action.
    if needed.is_empty() { vec![simple(region, operation, "*")] } else { needed }
}

fn simple(region: &Region, action: &str, resource: &str) -> RequiredPermission {
    permission(&region.name, format!("dynamodb:{action}"), resource.to_owned())
}

/// Returns the table name of a request, which may be an ARN.
fn table_of(written: &str) -> &str {
    let resource = written.strip_prefix("arn:").and_then(|arn| arn.splitn(5, ':').nth(4));
    let name = resource.and_then(|resource| resource.strip_prefix("table/"));
    name.map_or(written, |name| name.split('/').next().unwrap_or(name))
}

fn table_arn(region: &Region, table: &str) -> String {
    region.arn("dynamodb", &format!("table/{}", table_of(table)))
}

/// Returns the ARN that a query or scan reads: that of the index or the table.
fn read_resource(region: &Region, body: &Value) -> String {
    let table = table_arn(region, body["TableName"].as_str().unwrap_or_default());
    match body["IndexName"].as_str() {
        Some(index) => format!("{table}/index/{index}"),
        None => table,
    }
}

/// Returns the value of a key attribute, which has one type.
fn value_of(attribute: &Value) -> Option<String> {
    let mut types = attribute.as_object()?.values();
    match (types.next(), types.next()) {
        (Some(Value::String(text)), None) => Some(text.clone()),
        _ => None,
    }
}

/// Returns the partition keys of items, each given as an item or its key.
fn leading_keys<'a>(region: &Region, table: &str, items: impl Iterator<Item = &'a Value>) -> ConditionKey {
    let Some(partition) = key_schema(region, table_of(table), None) else { return ConditionKey::Unknown };
    let keys: Option<Vec<String>> = items.map(|item| value_of(&item[&partition])).collect();
    keys.map_or(ConditionKey::Unknown, ConditionKey::Values)
}

/// One action on one item, as a request or as a part of a transaction.
fn item(region: &Region, action: &str, body: &Value) -> RequiredPermission {
    let table = body["TableName"].as_str().unwrap_or_default();
    let item = if action == "PutItem" { &body["Item"] } else { &body["Key"] };
    let leading_keys = leading_keys(region, table, std::iter::once(item));
    RequiredPermission { leading_keys, ..simple(region, action, &table_arn(region, table)) }
}

fn transaction(region: &Region, operation: &'static str, body: &Value) -> Vec<RequiredPermission> {
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.flat_map(|part| part.as_object().into_iter().flatten());
    parts
        .map(|(kind, part)| RequiredPermission {
            enclosing: Some(operation),
            ..item(region, &format!("{kind}Item"), part)
        })
        .collect()
}

fn batch(region: &Region, operation: &str, body: &Value) -> Vec<RequiredPermission> {
    let tables = body["RequestItems"].as_object().into_iter().flatten();
    let of = |(table, requests): (&String, &Value)| {
        let keys = requests["Keys"].as_array().into_iter().flatten();
        let writes = requests.as_array().into_iter().flatten().map(|write| match &write["PutRequest"] {
            Value::Null => &write["DeleteRequest"]["Key"],
            put => &put["Item"],
        });
        let leading_keys = leading_keys(region, table, keys.chain(writes));
        RequiredPermission { leading_keys, ..simple(region, operation, &table_arn(region, table)) }
    };
    tables.map(of).collect()
}

fn query(region: &Region, body: &Value) -> RequiredPermission {
    let table = body["TableName"].as_str().unwrap_or_default();
    // In an index, the leading key is the index's own partition key.
    let partition = key_schema(region, table_of(table), body["IndexName"].as_str());
    let key = partition.and_then(|partition| queried(body, &partition));
    let leading_keys = key.map_or(ConditionKey::Unknown, |key| ConditionKey::Values(vec![key]));
    RequiredPermission { leading_keys, ..simple(region, "Query", &read_resource(region, body)) }
}

/// Returns the single value that a query requires for an attribute; `None` if the expression is more complex.
fn queried(body: &Value, attribute: &str) -> Option<String> {
    let legacy = &body["KeyConditions"][attribute];
    let Some(expression) = body["KeyConditionExpression"].as_str() else {
        let values = legacy["AttributeValueList"].as_array()?;
        return match (legacy["ComparisonOperator"].as_str(), values.as_slice()) {
            (Some("EQ"), [value]) => value_of(value),
            _ => None,
        };
    };
    let words = tokens(expression);
    let is_attribute = |word: &str| match word.strip_prefix('#') {
        Some(_) => body["ExpressionAttributeNames"][word] == attribute,
        None => word == attribute,
    };
    let mut places = words.iter().enumerate().filter(|(_, word)| is_attribute(word)).map(|(at, _)| at);
    let (Some(at), None) = (places.next(), places.next()) else { return None };
    match (words.get(at + 1).copied(), words.get(at + 2)) {
        (Some("="), Some(value)) if value.starts_with(':') => value_of(&body["ExpressionAttributeValues"][*value]),
        _ => None,
    }
}

/// Returns the words and operators of a key condition, without parentheses.
fn tokens(expression: &str) -> Vec<&str> {
    let inner = |letter: char| letter.is_alphanumeric() || "_#:.-".contains(letter);
    let mut words = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match inner(first) {
            true => rest.find(|letter: char| !inner(letter)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        if !"()".contains(first) {
            words.push(&rest[..end]);
        }
        rest = rest[end..].trim_start();
    }
    words
}

/// The permissions for operations on tables.
fn control(region: &Region, operation: &str, body: &Value) -> Vec<RequiredPermission> {
    let arn = body["ResourceArn"].as_str().or_else(|| body["BackupArn"].as_str());
    let resource = match (body["TableName"].as_str(), arn) {
        (Some(table), _) => table_arn(region, table),
        (None, Some(arn)) => arn.to_owned(),
        (None, None) => String::from("*"),
    };
    // The insights of an index require the permission for the index.
    let of_index = operation.ends_with("ContributorInsights").then(|| body["IndexName"].as_str()).flatten();
    let resource = of_index.map_or(resource.clone(), |index| format!("{resource}/index/{index}"));
    let tagged = operation == "CreateTable" && body["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
    let actions = std::iter::once(operation).chain(tagged.then_some("TagResource"));
    let own = actions.map(|action| simple(region, action, &resource));
    own.chain(replicas(region, body)).collect()
}

/// Returns the permissions that a change of replicas requires in their regions. Source: "DynamoDB global tables security" in the Amazon
/// DynamoDB Developer Guide, and ReplicationGroupUpdate in the Amazon DynamoDB API Reference.
fn replicas(region: &Region, body: &Value) -> Vec<RequiredPermission> {
    const CREATE: &[&str] = &[
        "CreateTable",
        "CreateTableReplica",
        "Scan",
        "Query",
        "UpdateItem",
        "PutItem",
        "GetItem",
        "DeleteItem",
        "BatchWriteItem",
    ];
    let taken: [(&str, &str, &[&str]); 5] = [
        ("ReplicaUpdates", "Create", CREATE),
        ("ReplicaUpdates", "Update", &["UpdateTable"]),
        ("ReplicaUpdates", "Delete", &["DeleteTable", "DeleteTableReplica"]),
        ("GlobalTableWitnessUpdates", "Create", &["CreateGlobalTableWitness"]),
        ("GlobalTableWitnessUpdates", "Delete", &["DeleteGlobalTableWitness"]),
    ];
    let table = table_of(body["TableName"].as_str().unwrap_or_default());
    let mut needed = Vec::new();
    for (list, kind, actions) in taken {
        for update in body[list].as_array().into_iter().flatten() {
            let Some(other) = update[kind]["RegionName"].as_str() else { continue };
            let resource = format!("arn:aws:dynamodb:{other}:{}:table/{table}", region.account);
            needed
                .extend(actions.iter().map(|action| permission(other, format!("dynamodb:{action}"), resource.clone())));
        }
    }
    needed
}

//! Keys and indexes in CloudFormation, which uses the names of the DynamoDB API.

use serde_json::{Value, json};

use crate::kind::export::cloudformation::{Properties, properties, set};
use crate::kind::table::{Attribute, Index, Key, Limits, Projection, Table, Warm};

/// Returns the definitions of the attributes that keys and indexes use.
pub(super) fn definitions(table: &Table) -> Value {
    let definition = |one: &Attribute| json!({ "AttributeName": one.name, "AttributeType": one.kind.to_string() });
    super::attributes(table).into_iter().map(definition).collect()
}

fn elements<'a>(attributes: impl IntoIterator<Item = &'a Attribute>, kind: &str) -> Vec<Value> {
    let element = |one: &Attribute| json!({ "AttributeName": one.name, "KeyType": kind });
    attributes.into_iter().map(element).collect()
}

fn schema<'a>(
    partition: impl IntoIterator<Item = &'a Attribute>,
    sort: impl IntoIterator<Item = &'a Attribute>,
) -> Value {
    [elements(partition, "HASH"), elements(sort, "RANGE")].concat().into()
}

/// Returns the key of a table.
pub(super) fn key(key: &Key) -> Value {
    schema([&key.partition], &key.sort)
}

fn projection(projection: &Projection) -> Value {
    match projection {
        Projection::All => json!({ "ProjectionType": "ALL" }),
        Projection::KeysOnly => json!({ "ProjectionType": "KEYS_ONLY" }),
        Projection::Include(names) => json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": names }),
    }
}

/// Returns the properties that every index has, for both types of tables.
pub(super) fn global(name: &str, index: &Index) -> Properties {
    let mut one = properties([
        ("IndexName", json!(name)),
        ("KeySchema", schema(&index.key.partition.0, &index.key.sort.0)),
        ("Projection", projection(&index.projection)),
    ]);
    set(&mut one, "WarmThroughput", index.warm.map(|warm| warm_throughput(&warm)));
    one
}

/// Returns the local indexes of a table, which share its partition key.
pub(super) fn local(table: &Table) -> Option<Value> {
    let (key, indexes) = (table.key.as_ref()?, table.local_indexes.as_ref().filter(|all| !all.is_empty())?);
    let one = indexes.iter().map(|(name, index)| {
        let schema = schema([&key.partition], [&index.sort]);
        json!({ "IndexName": name, "KeySchema": schema, "Projection": projection(&index.projection) })
    });
    Some(one.collect())
}

pub(super) fn warm_throughput(warm: &Warm) -> Value {
    let mut units = Properties::new();
    set(&mut units, "ReadUnitsPerSecond", warm.read);
    set(&mut units, "WriteUnitsPerSecond", warm.write);
    units.into()
}

/// Returns the limits that are set: CloudFormation does not accept -1, and an omitted value means no limit.
pub(super) fn limited(limits: Option<Limits>) -> (Option<i64>, Option<i64>) {
    let limit = |units: Option<i64>| units.filter(|units| *units > 0);
    limits.map_or((None, None), |limits| (limit(limits.read), limit(limits.write)))
}

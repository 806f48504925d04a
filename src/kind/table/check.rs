//! AWS's rules for a table as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::setting::Setting;
use super::{Attribute, AttributeType, Billing, INCLUDE_LIMIT, INDEX_LIMIT, LOCAL_INDEX_LIMIT, Table};
use crate::kind::section::Resolver;
use crate::resource::Invalid;

/// Checks the table of a section.
pub(super) fn check(resolver: &mut Resolver<'_>, key: &str, table: &Table) {
    let indexes = table.indexes.clone().unwrap_or_default();
    let local = table.local_indexes.clone().unwrap_or_default();
    let of_indexes = ["tables", key, "indexes"];
    let of_local = ["tables", key, "local_indexes"];
    if indexes.len() > INDEX_LIMIT {
        let problem = format!("`tables.{key}` has {} indexes", indexes.len());
        resolver.fault(&of_indexes, Invalid::new(problem, "DynamoDB accepts 20 on a table"), "too many");
    }
    if local.len() > LOCAL_INDEX_LIMIT {
        let problem = format!("`tables.{key}` has {} local indexes", local.len());
        resolver.fault(&of_local, Invalid::new(problem, "DynamoDB accepts 5 on a table"), "too many");
    }
    if !local.is_empty() && table.key.as_ref().is_some_and(|key| key.sort.is_none()) {
        let problem = format!("`tables.{key}` has local indexes and no sort key");
        let help = "add sort_key to the table: a local index sorts the items of one partition key differently";
        resolver.fault(&of_local, Invalid::new(problem, help), "not possible on this table");
    }
    if let Some(name) = local.keys().find(|name| indexes.contains_key(*name)) {
        let problem = format!("`tables.{key}` has two indexes with the name {name}");
        let help = "global and local indexes have different names";
        resolver.fault(&["tables", key, "local_indexes", name], Invalid::new(problem, help), "duplicate name");
    }
    for (name, index) in &indexes {
        let place = ["tables", key, "indexes", name.as_str()];
        let provisioned = matches!(table.billing, Some(Billing::Provisioned(_) | Billing::External));
        if index.capacity.is_some() && !provisioned {
            let problem =
                format!("the index {name} of `tables.{key}` has a capacity, and the table is not PROVISIONED");
            let help = "add billing_mode = \"PROVISIONED\" to the table, or remove the capacity of the index";
            resolver.fault(&place, Invalid::new(problem, help), "a capacity without effect");
        }
        if index.capacity.is_some() && table.settings.autoscaling.as_ref().is_some_and(|all| all.moves(name)) {
            let problem = format!("the index {name} of `tables.{key}` has both a capacity and autoscaling");
            let help = "remove its read_capacity and write_capacity: autoscaling sets them";
            resolver.fault(&place, Invalid::new(problem, help), "both");
        }
        if let Some(Err(invalid)) = index.limits.map(|limits| limits.check(table)) {
            resolver.fault(&place, invalid, "limits without effect");
        }
        if let Some(Err(invalid)) = index.warm.map(|warm| warm.check(table)) {
            resolver.fault(&place, invalid, "below the minimum");
        }
    }
    let named = indexes.values().map(|index| index.projection.named());
    let included: usize = named.chain(local.values().map(|index| index.projection.named())).sum();
    if included > INCLUDE_LIMIT {
        let problem = format!("the indexes of `tables.{key}` include {included} attributes");
        let help = "DynamoDB accepts 100 on a table for all indexes together; project ALL instead";
        let place = if indexes.is_empty() { of_local } else { of_indexes };
        resolver.fault(&place, Invalid::new(problem, help), "too many");
    }
    let own = table.key.iter().map(|own| (vec!["tables", key], own.attributes().collect::<Vec<_>>(), false));
    let global = indexes.iter().map(|(name, index)| {
        let several = index.key.partition.0.len() > 1 || index.key.sort.0.len() > 1;
        (vec!["tables", key, "indexes", name.as_str()], index.key.attributes().collect::<Vec<_>>(), several)
    });
    let local = local.iter().map(|(name, index)| {
        let partition = table.key.iter().map(|key| &key.partition);
        (vec!["tables", key, "local_indexes", name.as_str()], partition.chain([&index.sort]).collect(), false)
    });
    let mut types: BTreeMap<&str, AttributeType> = BTreeMap::new();
    for (place, attributes, several) in own.chain(global).chain(local) {
        for Attribute { name, kind } in &attributes {
            let first = *types.entry(name).or_insert(*kind);
            if first != *kind {
                let problem = format!("the attribute `{name}` is {first} in one place and {kind} here");
                let help = "an attribute has one type in a table and all its indexes";
                resolver.fault(&place, Invalid::new(problem, help), "two types");
            }
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = attributes.iter().find(|attribute| !names.insert(&attribute.name)) {
            let (problem, help) = match several {
                false => (
                    format!("`{}` is both partition and sort key", twice.name),
                    "use two attributes, or remove sort_key",
                ),
                true => (format!("`{}` is twice in one key", twice.name), "name each attribute of a key once"),
            };
            resolver.fault(&place, Invalid::new(problem, help), "one attribute twice");
        }
    }
}

//! A table in CloudFormation and Terraform.

pub(super) mod cloudformation;
mod global;
mod indexes;
mod scaling;
pub(super) mod terraform;

use super::{Attribute, Index, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the attributes of a table's keys and indexes, each once.
fn attributes(table: &Table) -> BTreeSet<&Attribute> {
    let of_indexes = table.indexes.iter().flatten().flat_map(|(_, index)| index.key.attributes());
    table.own_attributes().chain(of_indexes).collect()
}

fn indexes(table: &Table) -> impl Iterator<Item = (&String, &Index)> {
    table.indexes.iter().flatten()
}

/// Returns the states of a table's indexes before each of the updates that CloudFormation needs, since an update can create or delete only
/// one index; empty if none is needed. Source: `GlobalSecondaryIndexes` of AWS::DynamoDB::Table in the CloudFormation Template Reference.
fn before_updates(live: &BTreeMap<String, Index>, desired: &BTreeMap<String, Index>) -> Vec<BTreeMap<String, Index>> {
    let is_kept = |name: &str, one: &Index| desired.get(name).is_some_and(|wanted| wanted.is_same(one));
    // Settings of an index that is kept are in every template.
    let mut now: BTreeMap<String, Index> = live
        .iter()
        .map(|(name, one)| {
            (name.clone(), desired.get(name).filter(|wanted| wanted.is_same(one)).unwrap_or(one).clone())
        })
        .collect();
    let goes: Vec<String> =
        live.iter().filter(|(name, one)| !is_kept(name, one)).map(|(name, _)| name.clone()).collect();
    let comes = desired.iter().filter(|(name, wanted)| !live.get(*name).is_some_and(|one| wanted.is_same(one)));
    let mut before = Vec::new();
    for name in goes {
        before.push(now.clone());
        now.remove(&name);
    }
    for (name, index) in comes {
        before.push(now.clone());
        now.insert(name.clone(), index.clone());
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::{AttributeType, IndexKey, IndexStatus, Projection};

    fn index(attribute: &str) -> Index {
        let key = IndexKey::new(Attribute { name: attribute.to_owned(), kind: AttributeType::S }, None);
        let status = IndexStatus::Active;
        Index { key, projection: Projection::All, capacity: None, limits: None, warm: None, status }
    }

    fn all(names: &[&str]) -> BTreeMap<String, Index> {
        names.iter().map(|name| ((*name).to_owned(), index(name))).collect()
    }

    #[test]
    fn each_update_creates_or_deletes_one_index() {
        let names = |before: Vec<BTreeMap<String, Index>>| -> Vec<String> {
            before.iter().map(|one| one.keys().cloned().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(names(before_updates(&all(&["a"]), &all(&["a"]))), [""; 0]);
        assert_eq!(names(before_updates(&all(&[]), &all(&["a", "b"]))), ["", "a"]);
        assert_eq!(names(before_updates(&all(&["a", "b"]), &all(&["b", "c"]))), ["a b", "b"]);
        // An index with another key is a different index of the same name.
        let other = BTreeMap::from([(String::from("a"), index("x"))]);
        assert_eq!(names(before_updates(&all(&["a"]), &other)), ["a", ""]);
    }
}

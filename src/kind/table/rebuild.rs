//! The order in which indexes are deleted and built.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attribute, Billing, INCLUDE_LIMIT, Index, IndexStatus, Limits, LocalIndex, Table, TableChange, Warm};

type Indexes = BTreeMap<String, Index>;

/// Returns the changes that bring the indexes in sync, and the resulting indexes.
///
/// A rebuilt index is deleted just before it is built, so an interrupted run loses the capacity and limits of one index at most: the next
/// run cannot read the settings of the deleted index. Other indexes are deleted earlier only if AWS cannot have them together with the new
/// one: an attribute has the same type in all indexes, and all indexes together include at most 100 attributes.
pub(super) fn repair(managed: &Table, live: &Table) -> (Vec<TableChange>, Indexes) {
    let observed = live.indexes.clone().unwrap_or_default();
    let Some(wanted) = &managed.indexes else { return (Vec::new(), observed) };
    let stays = |name: &String, found: &Index| wanted.get(name).is_some_and(|index| index.is_same(found));
    let mut work = Work { live, changes: Vec::new(), there: observed.clone() };
    // An index that is being deleted has been waited for.
    work.there.retain(|_, found| found.status != IndexStatus::Deleting);
    let there = |name: &String| work.there.get(name).is_some_and(|found| stays(name, found));
    let missing: Vec<(&String, &Index)> = wanted.iter().filter(|(name, _)| !there(name)).collect();
    let before: Vec<Option<&String>> =
        missing.iter().map(|(name, index)| before(&observed, wanted, name, index)).collect();
    let replaced: BTreeSet<&String> = before.iter().copied().flatten().collect();
    work.delete(|name, found| !stays(name, found) && !replaced.contains(name));
    for ((name, index), before) in missing.into_iter().zip(before) {
        let clashes = |found: &Index| {
            let is_other_type = |one: &Attribute, own: &Attribute| one.name == own.name && one.kind != own.kind;
            found.key.attributes().any(|one| index.key.attributes().any(|own| is_other_type(one, own)))
        };
        work.delete(|name, found| !stays(name, found) && (before == Some(name) || clashes(found)));
        if work.included() + index.projection.named() > INCLUDE_LIMIT {
            work.delete(|name, found| !stays(name, found));
        }
        work.build(name, index, before.and_then(|name| observed.get(name)));
    }
    (work.changes, work.there)
}

/// Returns the live index that a new index replaces: the one with the same name, or else an equal one with another name.
fn before<'a>(observed: &'a Indexes, wanted: &Indexes, name: &String, index: &Index) -> Option<&'a String> {
    let renamed = |(old, found): &(&String, &Index)| !wanted.contains_key(*old) && found.is_same(index);
    let same = observed.get_key_value(name).or_else(|| observed.iter().find(renamed));
    same.map(|(name, _)| name)
}

struct Work<'a> {
    live: &'a Table,
    changes: Vec<TableChange>,
    there: Indexes,
}

impl Work<'_> {
    fn delete(&mut self, is_deleted: impl Fn(&String, &Index) -> bool) {
        self.there.retain(|name, found| {
            let deleted = is_deleted(name, found);
            if deleted {
                let expects = Index { status: IndexStatus::Active, ..found.clone() };
                self.changes.push(TableChange::DeleteIndex { index_name: name.clone(), expects });
            }
            !deleted
        });
    }

    /// Builds an index. It keeps the settings that the manifest does not specify: limits, warm throughput, and its own capacity.
    fn build(&mut self, name: &str, index: &Index, before: Option<&Index>) {
        // Indexes are built with the live mode and capacity, which change later.
        let capacity = self.live.billing.and_then(Billing::capacity);
        let kept = index.capacity.or(before.and_then(|before| before.capacity));
        let capacity = kept.filter(|_| capacity.is_some()).or(capacity);
        let limits = Limits::or(index.limits, before.and_then(|before| before.limits));
        let limits = limits.filter(|_| capacity.is_none());
        let warm = index.warm.or(before.and_then(|before| before.warm).filter(Warm::is_warmed));
        let index = Index { capacity, limits, warm, ..index.clone() };
        self.there.insert(name.to_owned(), index.clone());
        let of_indexes = self.there.values().flat_map(|index| index.key.attributes());
        let mut attributes: Vec<Attribute> = self.live.own_attributes().chain(of_indexes).cloned().collect();
        attributes.sort();
        attributes.dedup();
        self.changes.push(TableChange::CreateIndex { index_name: name.to_owned(), index, attributes });
    }

    /// Returns the number of attributes that the table's indexes include.
    fn included(&self) -> usize {
        let local =
            self.live.local_indexes.iter().flat_map(BTreeMap::values).map(|LocalIndex { projection, .. }| projection);
        self.there.values().map(|index| &index.projection).chain(local).map(super::Projection::named).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::{AttributeType, Capacity, IndexKey, Projection};

    fn index(attribute: &str, kind: AttributeType) -> Index {
        Index {
            key: IndexKey::new(Attribute { name: attribute.to_owned(), kind }, None),
            projection: Projection::All,
            capacity: None,
            status: IndexStatus::Active,
            limits: None,
            warm: None,
        }
    }

    fn table<const N: usize>(indexes: [(&str, Index); N]) -> Table {
        let indexes = indexes.into_iter().map(|(name, index)| (name.to_owned(), index)).collect();
        let billing = Some(Billing::Provisioned(Capacity { read: 1, write: 2 }));
        Table { indexes: Some(indexes), billing, ..Table::default() }
    }

    fn describe(changes: &[TableChange]) -> Vec<String> {
        changes.iter().map(TableChange::describe).collect()
    }

    fn sized(index: Index, read: i64) -> Index {
        Index { capacity: Some(Capacity { read, write: read + 1 }), ..index }
    }

    #[test]
    fn an_index_is_rebuilt_right_after_its_deletion() {
        use AttributeType::{N, S};
        let managed = table([("aaa", index("a", N)), ("bbb", index("b", N))]);
        let managed = Table { billing: None, ..managed };
        let live =
            table([("aaa", sized(index("a", S), 11)), ("bbb", sized(index("b", S), 21)), ("old", index("c", S))]);
        let (changes, there) = repair(&managed, &live);
        let expected = [
            "deleting index old",
            "deleting index aaa",
            "building index aaa",
            "deleting index bbb",
            "building index bbb",
        ];
        assert_eq!(describe(&changes), expected);
        // A run that is interrupted after the first index keeps the capacity of the second, and so does the next run.
        let halfway = table([("aaa", sized(index("a", N), 11)), ("bbb", sized(index("b", S), 21))]);
        let (rest, after) = repair(&managed, &halfway);
        assert_eq!(describe(&rest), ["deleting index bbb", "building index bbb"]);
        for there in [there, after] {
            assert_eq!(there["bbb"].capacity, Some(Capacity { read: 21, write: 22 }));
        }
    }

    #[test]
    fn a_renamed_index_is_built_right_after_the_old_one_is_deleted() {
        use AttributeType::S;
        let managed = table([("a", index("a", S)), ("b", index("b", S))]);
        let live = table([("y", index("a", S)), ("x", index("b", S))]);
        let expected = ["deleting index y", "building index a", "deleting index x", "building index b"];
        assert_eq!(describe(&repair(&managed, &live).0), expected);
    }

    #[test]
    fn indexes_on_an_attribute_that_changes_its_type_are_deleted_together() {
        use AttributeType::{N, S};
        let managed = table([("a", index("x", N)), ("b", index("x", N)), ("c", index("c", N))]);
        let live = table([("a", index("x", S)), ("b", index("x", S)), ("c", index("c", S))]);
        let expected = [
            "deleting index a",
            "deleting index b",
            "building index a",
            "building index b",
            "deleting index c",
            "building index c",
        ];
        assert_eq!(describe(&repair(&managed, &live).0), expected);
    }

    #[test]
    fn indexes_that_include_too_many_attributes_together_are_deleted_first() {
        use AttributeType::S;
        let including = |name: &str, count: usize| {
            let names = (0..count).map(|number| format!("{name}{number}")).collect();
            Index { projection: Projection::Include(names), ..index(name, S) }
        };
        let managed = table([("a", including("a", 90)), ("b", including("b", 10))]);
        let live = table([("a", including("a", 10)), ("b", including("b", 90))]);
        let expected = ["deleting index a", "deleting index b", "building index a", "building index b"];
        assert_eq!(describe(&repair(&managed, &live).0), expected);
    }
}

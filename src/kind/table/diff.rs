//! Computes the difference between a live and a desired table. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::setting::{Setting, in_place};
use super::{
    Attribute, Billing, Encryption, Field, Index, Key, Limits, LocalIndex, Replicas, Table, Ttl, Warm, display,
    replicas,
};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Protection, Sides};
use crate::kind::Desired;
use crate::resource::{Live, diff_tags};

/// Returns all differences in the managed settings, and in the ownership tag if it is to be added.
pub fn changes(desired: &Desired<Table>, live: &Live<Table>) -> Vec<FieldChange<Field>> {
    let mut changes = diff(&desired.managed, &live.state);
    if let Some(changing) = &live.facts.changing {
        for change in changes.iter_mut().filter(|change| change.path.is_changing(changing)) {
            (change.method, change.needs) = (ChangeMethod::Time, None);
            change.how = String::from("AWS is changing it, and may still return the old value");
        }
    }
    changes.extend(desired.adoption(&live.facts, Field::Tag));
    changes
}

/// Returns the differences in the fields that both sides have, in display order.
pub(super) fn diff(managed: &Table, live: &Table) -> Vec<FieldChange<Field>> {
    // No `..` here: a new field that nothing compares does not compile.
    let Table { key, indexes, local_indexes, ttl, billing, encryption, tags, replicas, settings } = managed;
    let mut changes = Vec::new();
    if let (Some(desired), Some(before)) = (key, &live.key) {
        diff_key(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (ttl, &live.ttl) {
        diff_ttl(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (indexes, &live.indexes) {
        diff_indexes(before, desired, live, *billing, &mut changes);
        diff_index_settings(before, desired, billing.or(live.billing), &mut changes);
    }
    if let (Some(desired), Some(before)) = (local_indexes, &live.local_indexes) {
        diff_local_indexes(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (billing, &live.billing) {
        diff_billing(*before, *desired, &mut changes);
        require_consent_to_lower(managed, live, &mut changes);
        diff_capacities(*before, *desired, managed, live, &mut changes);
    }
    if let (Some(desired), Some(before)) = (encryption, &live.encryption)
        && before != desired
    {
        diff_encryption(before, desired, &mut changes);
        let mixes = before.is_of_customer() != desired.is_of_customer();
        if let Some(change) = changes.last_mut().filter(|_| mixes && live.has_replicas()) {
            (change.method, change.needs) = (ChangeMethod::NotPossible, None);
            change.how = String::from(MIXED_KEYS);
        }
    }
    changes.extend(settings.diff(&live.settings, &Sides { live, desired: managed }));
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, Field::Tag, &mut changes);
    }
    if let (Some(desired), Some(before)) = (replicas, &live.replicas) {
        let first = changes.len();
        replicas::diff::diff(before, desired, &mut changes);
        refuse_mixed_keys(live.encryption.as_ref(), desired, &mut changes[first..]);
    }
    changes
}

const MIXED_KEYS: &str = "either all replicas of a table have their own keys, or none: remove the replicas first";

/// All replicas have a customer managed key, or none has. Source: DDB-TABLE-309 in the lab notes of ack-api-quirks.
fn refuse_mixed_keys(own: Option<&Encryption>, desired: &Replicas, changes: &mut [FieldChange<Field>]) {
    let is_of_customer = own.is_some_and(Encryption::is_of_customer);
    for change in changes {
        let Field::InReplica(region, field) = &change.path else { continue };
        let wanted = desired.regions.get(region).and_then(|table| table.encryption.as_ref());
        let mixes = wanted.is_some_and(|wanted| wanted.is_of_customer() != is_of_customer);
        if **field == Field::Encryption && mixes {
            (change.method, change.needs) = (ChangeMethod::NotPossible, None);
            change.how = String::from(MIXED_KEYS);
        }
    }
}

fn diff_encryption(live: &Encryption, desired: &Encryption, changes: &mut Vec<FieldChange<Field>>) {
    let how = "table stays available; AWS allows 4 such changes a day";
    let change = in_place(Field::Encryption, display::encryption(live), display::encryption(desired), how);
    let removes_protection = live.protection_of(desired) == Protection::Removed;
    changes.push(if removes_protection { change.needing(Consent::Protection) } else { change });
}

const NEW_TABLE: &str = "a change requires a new table and a copy of the items";

fn diff_key(live: &Key, desired: &Key, changes: &mut Vec<FieldChange<Field>>) {
    let mut compare = |field: Field, before: String, after: String| {
        if before != after {
            let (before, after) = (FieldValue::text(before), FieldValue::text(after));
            changes.push(FieldChange::new(field, before, after, ChangeMethod::NotPossible, NEW_TABLE));
        }
    };
    compare(Field::PartitionKey, live.partition.name.clone(), desired.partition.name.clone());
    if live.partition.name == desired.partition.name {
        compare(Field::PartitionKeyType, live.partition.kind.to_string(), desired.partition.kind.to_string());
    }
    let name = |key: &Key| key.sort.as_ref().map_or_else(|| String::from("none"), |sort| sort.name.clone());
    compare(Field::SortKey, name(live), name(desired));
    if let (Some(before), Some(after)) = (&live.sort, &desired.sort)
        && before.name == after.name
    {
        compare(Field::SortKeyType, before.kind.to_string(), after.kind.to_string());
    }
}

fn diff_ttl(live: &Ttl, desired: &Ttl, changes: &mut Vec<FieldChange<Field>>) {
    let (method, how) = match (live, desired) {
        (before, after) if before == after => return,
        (Ttl::Disabling, Ttl::Disabled) => (ChangeMethod::Time, "AWS is turning it off, which takes up to an hour"),
        (Ttl::Disabled, Ttl::Enabled(_)) => (ChangeMethod::InPlace, "enabled in place"),
        (Ttl::Disabling, Ttl::Enabled(_)) => {
            (ChangeMethod::Time, "AWS is turning it off, and accepts the new one an hour later")
        }
        (Ttl::Enabled(_), Ttl::Enabled(_)) => {
            (ChangeMethod::InPlace, "disabled now, enabled by a run an hour later, as AWS requires")
        }
        (_, Ttl::Disabled | Ttl::Disabling) => (ChangeMethod::InPlace, "disabled in place"),
    };
    let (before, after) = (FieldValue::text(display::ttl(live)), FieldValue::text(display::ttl(desired)));
    changes.push(FieldChange::new(Field::Ttl, before, after, method, how));
}

fn diff_billing(live: Billing, desired: Billing, changes: &mut Vec<FieldChange<Field>>) {
    let how = match (live, desired) {
        (before, after) if before == after => return,
        (Billing::Provisioned(_), Billing::External) => return,
        (Billing::Provisioned(_) | Billing::External, Billing::PayPerRequest) => {
            "switched in place, at most once in 24 hours"
        }
        (Billing::Provisioned(_) | Billing::External, Billing::Provisioned(_)) => "changed in place",
        (Billing::PayPerRequest, Billing::External) => {
            "switched in place; requests beyond that are throttled until something raises it"
        }
        (Billing::PayPerRequest, _) | (Billing::External, Billing::External) => "switched in place",
    };
    let change = in_place(Field::BillingMode, display::billing(live), display::initial_billing(desired), how);
    let is_unspecified = (live, desired) == (Billing::PayPerRequest, Billing::External);
    changes.push(if is_unspecified { change.needing(Consent::Capacity) } else { change });
}

/// Compares the capacity of each index if the table stays provisioned. A switch of the mode sets all capacities anyway.
fn diff_capacities(
    live: Billing,
    desired: Billing,
    managed: &Table,
    table: &Table,
    changes: &mut Vec<FieldChange<Field>>,
) {
    if !matches!((live, desired), (Billing::Provisioned(_), Billing::Provisioned(_) | Billing::External)) {
        return;
    }
    for (name, index) in table.indexes.iter().flatten() {
        let of_table = match desired {
            Billing::Provisioned(units) => Some(units),
            Billing::External | Billing::PayPerRequest => None,
        };
        let Some(wanted) = managed.compared_capacity(name, of_table) else { continue };
        if let Some(found) = index.capacity.filter(|found| *found != wanted) {
            let (before, after) = (display::capacity(found), display::capacity(wanted));
            let lowers = managed.settings.autoscaling.is_none() && table.is_scaled_down(Some(name), found, wanted);
            let how = if lowers { LOWERED } else { "changed in place" };
            let change = in_place(Field::IndexCapacity(name.clone()), before, after, how);
            changes.push(if lowers { change.needing(Consent::Capacity) } else { change });
        }
    }
}

/// Requires consent to lower a capacity that unmanaged autoscaling has set or may have set.
fn require_consent_to_lower(managed: &Table, live: &Table, changes: &mut [FieldChange<Field>]) {
    let (Some(Billing::Provisioned(before)), Some(Billing::Provisioned(after))) = (live.billing, managed.billing)
    else {
        return;
    };
    if managed.settings.autoscaling.is_some() || !live.is_scaled_down(None, before, after) {
        return;
    }
    if let Some(change) = changes.iter_mut().find(|change| change.path == Field::BillingMode) {
        change.needs = Some(Consent::Capacity);
        change.how = String::from(LOWERED);
    }
}

const LOWERED: &str =
    "lowered in place; autoscaling, which the manifest does not have, may have raised it for the current traffic";

/// Compares the on-demand limits and the warm throughput of existing indexes.
fn diff_index_settings(
    live: &BTreeMap<String, Index>,
    desired: &BTreeMap<String, Index>,
    billing: Option<Billing>,
    changes: &mut Vec<FieldChange<Field>>,
) {
    let is_provisioned = matches!(billing, Some(Billing::Provisioned(_) | Billing::External));
    for (name, wanted) in desired {
        let Some(found) = live.get(name).filter(|found| found.is_same(wanted)) else {
            // An index that is built gets its limits at creation, if the billing mode supports limits.
            if let Some(limits) = wanted.limits.filter(|_| is_provisioned) {
                changes
                    .extend(limits.compare(&Limits::UNLIMITED, billing, |key| Field::IndexSetting(name.clone(), key)));
            }
            continue;
        };
        if let Some(limits) = wanted.limits {
            // A provisioned table has no limits.
            let before = found.limits.unwrap_or(Limits::UNLIMITED);
            changes.extend(limits.compare(&before, billing, |key| Field::IndexSetting(name.clone(), key)));
        }
        if let Some(warm) = wanted.warm {
            let before = found.warm.unwrap_or_else(Warm::when_new);
            changes.extend(warm.compare(&before, |key| Field::IndexSetting(name.clone(), key)));
        }
    }
}

/// Returns the settings that would be lost if a run ended between the deletion of an index and its rebuild: those that the index has and
/// the manifest does not specify. The text continues a sentence.
fn at_risk(live: &Index, desired: &Index, billing: Option<Billing>) -> String {
    let stays = matches!(billing, None | Some(Billing::External)) && desired.capacity.is_none();
    let capacity = live.capacity.filter(|_| stays).map(display::capacity);
    let limits = live.limits.filter(|limits| limits.is_limited() && desired.limits.is_none());
    let lost: Vec<String> = capacity.into_iter().chain(limits.and_then(|limits| limits.named())).collect();
    match lost.is_empty() {
        true => String::new(),
        false => format!("; a run that stops before that loses the unmanaged settings: {}", lost.join(", ")),
    }
}

/// Local indexes are created and deleted with their table.
fn diff_local_indexes(
    live: &BTreeMap<String, LocalIndex>,
    desired: &BTreeMap<String, LocalIndex>,
    changes: &mut Vec<FieldChange<Field>>,
) {
    let names: BTreeSet<&String> = live.keys().chain(desired.keys()).collect();
    for name in names {
        let (before, after) = (live.get(name), desired.get(name));
        if before == after {
            continue;
        }
        let word = |index: Option<&LocalIndex>, other: Option<&LocalIndex>| {
            index.map_or(FieldValue::Absent, |index| FieldValue::text(display::local_index(index, other)))
        };
        let (before, after) = (word(before, after), word(after, before));
        let how = format!("AWS creates local indexes only with the table: {NEW_TABLE}");
        changes.push(FieldChange::new(Field::LocalIndex(name.clone()), before, after, ChangeMethod::NotPossible, &how));
    }
}

fn diff_indexes(
    live: &BTreeMap<String, Index>,
    desired: &BTreeMap<String, Index>,
    table: &Table,
    billing: Option<Billing>,
    changes: &mut Vec<FieldChange<Field>>,
) {
    let own: Vec<&Attribute> = table.own_attributes().collect();
    let is_other_type = |own: &Attribute, one: &Attribute| own.name == one.name && own.kind != one.kind;
    for (name, wanted) in desired {
        let field = || Field::Index(name.clone());
        if table.local_indexes.iter().flatten().any(|(local, _)| local == name) {
            let (before, after) = (FieldValue::text("missing"), FieldValue::text(display::index(wanted)));
            let how = "a local index of the table already has this name";
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::NotPossible, how));
            continue;
        }
        let clash = wanted.key.attributes().find_map(|one| own.iter().find(|own| is_other_type(own, one)));
        if let Some(own) = clash.filter(|_| live.get(name).is_none_or(|found| !found.is_same(wanted))) {
            let before = live.get(name).map_or(String::from("missing"), display::index);
            let (before, after) = (FieldValue::text(before), FieldValue::text(display::index(wanted)));
            let how = format!(
                "the key of the table or of a local index uses {} as {}, and an attribute has the same type in all \
                 keys of a table",
                own.name, own.kind
            );
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::NotPossible, &how));
            continue;
        }
        let Some(found) = live.get(name) else {
            let renamed = live.iter().find(|(old, found)| !desired.contains_key(*old) && found.is_same(wanted));
            let how = match renamed {
                Some((old, _)) => {
                    format!(
                        "built in place; the same as index {old} under another name, because AWS cannot rename an \
                         index"
                    )
                }
                None => String::from("built in place, table stays available"),
            };
            let (before, after) = (FieldValue::text("missing"), FieldValue::text(display::index(wanted)));
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::InPlace, &how));
            continue;
        };
        // Capacity and limits are compared separately.
        let Index { key, projection, capacity: _, limits: _, warm: _, status } = found;
        let before_count = changes.len();
        let mut rebuilt = |field: Field, before: String, after: String| {
            let lost = at_risk(found, wanted, billing);
            let how = format!("deleted and built again; reads through it fail until then{lost}");
            let (before, after) = (FieldValue::text(before), FieldValue::text(after));
            let change = FieldChange::new(field, before, after, ChangeMethod::Replacement, &how);
            changes.push(change.needing(Consent::Index));
        };
        if *key != wanted.key {
            rebuilt(field(), display::key(key, &wanted.key), display::key(&wanted.key, key));
        }
        if *projection != wanted.projection {
            let (before, after) = (display::projection(projection), display::projection(&wanted.projection));
            rebuilt(Field::IndexProjection(name.clone()), before, after);
        }
        // The status only matters for an index that is otherwise in sync.
        if changes.len() == before_count
            && let Some((status, how)) = display::temporary_status(*status)
        {
            let (before, after) = (FieldValue::text(status), FieldValue::text("ACTIVE"));
            changes.push(FieldChange::new(Field::IndexStatus(name.clone()), before, after, ChangeMethod::Time, how));
        }
    }
    for (name, found) in live.iter().filter(|(name, _)| !desired.contains_key(*name)) {
        let field = || Field::Index(name.clone());
        let (before, after) = (FieldValue::text(display::index(found)), FieldValue::Absent);
        if found.status == super::IndexStatus::Deleting {
            changes.push(FieldChange::new(field(), before, after, ChangeMethod::Time, "AWS is deleting it"));
            continue;
        }
        let how = "not in the manifest; reads through it fail";
        changes.push(FieldChange::new(field(), before, after, ChangeMethod::Deletion, how).needing(Consent::Index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::{
        Attribute, AttributeType, Capacity, Class, DeletionProtection, IndexKey, IndexStatus, Projection, Recovery,
        Settings,
    };

    fn attribute(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), kind }
    }

    fn index(partition: &str) -> Index {
        Index {
            key: IndexKey::new(attribute(partition, AttributeType::S), Some(attribute("created_at", AttributeType::N))),
            projection: Projection::All,
            capacity: None,
            status: IndexStatus::Active,
            limits: None,
            warm: None,
        }
    }

    fn table() -> Table {
        Table {
            key: Some(Key { partition: attribute("id", AttributeType::S), sort: None }),
            indexes: Some(BTreeMap::from([(String::from("user-index"), index("user"))])),
            local_indexes: None,
            ttl: Some(Ttl::Enabled(String::from("expires_at"))),
            billing: Some(Billing::PayPerRequest),
            encryption: Some(Encryption::AwsOwned),
            tags: Some([(String::from("team"), String::from("security"))].into()),
            settings: Settings {
                point_in_time_recovery: Some(Recovery::On),
                deletion_protection: Some(DeletionProtection(true)),
                class: Some(Class::Standard),
                ..Settings::default()
            },
            replicas: None,
        }
    }

    /// Returns each change as `path: live -> desired [consent]`.
    fn lines(live: &Table) -> Vec<String> {
        let describe = |value: &FieldValue| match value {
            FieldValue::Absent => String::from("-"),
            FieldValue::Text(text) => text.clone(),
            FieldValue::Document(_) => String::from("document"),
        };
        diff(&table(), live)
            .iter()
            .map(|change| {
                let (before, after) = (describe(&change.sides.live), describe(&change.sides.desired));
                let needs = change.needs.map(|consent| format!(", needs {consent}")).unwrap_or_default();
                format!("{}: {before} -> {after} [{:?}{needs}]", change.path, change.method)
            })
            .collect()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Table), expected: &[&str]) {
        let mut live = table();
        change(&mut live);
        assert_eq!(lines(&live), expected);
    }

    #[test]
    fn an_index_with_more_attributes_in_its_key_is_another_index() {
        check(
            |live| {
                let key = &mut live.indexes.as_mut().unwrap().get_mut("user-index").unwrap().key;
                key.sort.0.push(attribute("region", AttributeType::S));
            },
            &["index user-index: user; created_at, region -> user; created_at [Replacement, needs index]"],
        );
    }

    #[test]
    fn an_index_on_an_attribute_that_a_local_index_has_with_another_type_is_refused() {
        let by_user = || {
            let index = LocalIndex { sort: attribute("user", AttributeType::N), projection: Projection::All };
            (String::from("by-user"), index)
        };
        check(
            |live| {
                live.local_indexes = Some(BTreeMap::from([by_user()]));
                live.indexes = Some(BTreeMap::new());
            },
            &["index user-index: missing -> user, created_at [NotPossible]"],
        );
        // Nothing is refused unless an index is built.
        check(|live| live.local_indexes = Some(BTreeMap::from([by_user()])), &[]);
    }

    #[test]
    fn a_local_index_cannot_be_changed() {
        let index = |sort: &str, projection| LocalIndex { sort: attribute(sort, AttributeType::N), projection };
        let managed = |name: &str, index| BTreeMap::from([(String::from(name), index)]);
        let desired =
            Table { local_indexes: Some(managed("by-size", index("size", Projection::All))), ..Table::default() };
        let differs = |live: BTreeMap<String, LocalIndex>| {
            let live = Table { local_indexes: Some(live), ..Table::default() };
            let changes = diff(&desired, &live);
            assert!(changes.iter().all(|change| change.method == ChangeMethod::NotPossible));
            changes.into_iter().map(|change| change.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(differs(managed("by-size", index("size", Projection::All))), [""; 0]);
        assert_eq!(differs(BTreeMap::new()), ["local index by-size"]);
        assert_eq!(differs(managed("by-size", index("size", Projection::KeysOnly))), ["local index by-size"]);
        assert_eq!(
            differs(managed("by-day", index("day", Projection::All))),
            ["local index by-day", "local index by-size"]
        );
    }

    #[test]
    fn external_capacity_is_not_compared() {
        let managed = Table { billing: Some(Billing::External), ..table() };
        for units in [1, 9] {
            let live = Table { billing: Some(Billing::Provisioned(Capacity { read: units, write: units })), ..table() };
            assert_eq!(diff(&managed, &live), []);
        }
        let switch = diff(&managed, &table());
        assert_eq!((switch.len(), switch[0].needs), (1, Some(Consent::Capacity)));
    }

    #[test]
    fn a_table_is_in_sync_if_every_field_is() {
        check(|_| {}, &[]);
    }

    #[test]
    fn unmanaged_settings_are_never_a_difference() {
        assert_eq!(diff(&Table::default(), &table()), []);
    }

    #[test]
    fn the_partition_key_cannot_change() {
        check(
            |live| live.key.as_mut().unwrap().partition.name = String::from("pk"),
            &["partition_key: pk -> id [NotPossible]"],
        );
    }

    #[test]
    fn the_type_of_the_partition_key_cannot_change() {
        check(
            |live| live.key.as_mut().unwrap().partition.kind = AttributeType::N,
            &["partition_key.type: N -> S [NotPossible]"],
        );
    }

    #[test]
    fn a_sort_key_cannot_be_removed() {
        check(
            |live| live.key.as_mut().unwrap().sort = Some(attribute("at", AttributeType::N)),
            &["sort_key: at -> none [NotPossible]"],
        );
    }

    #[test]
    fn a_missing_index_is_built_in_place() {
        check(
            |live| live.indexes.as_mut().unwrap().clear(),
            &["index user-index: missing -> user, created_at [InPlace]"],
        );
    }

    #[test]
    fn an_index_on_other_attributes_is_a_replacement() {
        check(
            |live| *live.indexes.as_mut().unwrap().get_mut("user-index").unwrap() = index("owner"),
            &["index user-index: owner, created_at -> user, created_at [Replacement, needs index]"],
        );
    }

    #[test]
    fn index_limits_are_refused_on_a_provisioned_table() {
        let limited = Index { limits: Some(Limits { read: Some(40), write: None }), ..index("user") };
        let managed =
            Table { indexes: Some(BTreeMap::from([(String::from("user-index"), limited)])), ..Table::default() };
        let method = |billing| {
            let live = Table { indexes: Some(BTreeMap::new()), billing: Some(billing), ..Table::default() };
            diff(&managed, &live).iter().map(|change| change.method).collect::<Vec<_>>()
        };
        assert_eq!(method(Billing::PayPerRequest), [ChangeMethod::InPlace]);
        let units = Capacity { read: 1, write: 1 };
        assert_eq!(method(Billing::Provisioned(units)), [ChangeMethod::InPlace, ChangeMethod::NotPossible]);
    }

    #[test]
    fn an_index_with_another_attribute_type_is_a_replacement_and_shows_the_types() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.key.sort.0[0].kind = AttributeType::S;
            },
            &["index user-index: user (S), created_at (S) -> user (S), created_at (N) [Replacement, needs index]"],
        );
    }

    #[test]
    fn a_rebuilt_index_shows_the_settings_that_an_interruption_would_lose() {
        let how = |own: Option<Capacity>, billing: Option<Billing>| {
            let table = |index: Index, billing| Table {
                indexes: Some(BTreeMap::from([(String::from("i"), index)])),
                billing,
                ..Table::default()
            };
            let live = Index { capacity: Some(Capacity { read: 21, write: 22 }), ..index("a") };
            let live = table(live, Some(Billing::Provisioned(Capacity { read: 1, write: 2 })));
            let desired = table(Index { capacity: own, ..index("b") }, billing);
            diff(&desired, &live)[0].how.contains("21 read, 22 write")
        };
        let units = Capacity { read: 1, write: 2 };
        assert!(how(None, None) && how(None, Some(Billing::External)));
        assert!(!how(Some(units), Some(Billing::External)) && !how(None, Some(Billing::Provisioned(units))));
    }

    #[test]
    fn another_projection_is_a_replacement() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.projection = Projection::Include([String::from("b"), String::from("a")].into());
            },
            &["index user-index projection: include a, b -> ALL [Replacement, needs index]"],
        );
    }

    #[test]
    fn an_index_being_built_is_reported_as_in_progress() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.status = IndexStatus::Creating { backfilling: true };
            },
            &["index user-index status: CREATING (backfilling) -> ACTIVE [Time]"],
        );
    }

    #[test]
    fn deleting_an_unlisted_index_is_destructive() {
        check(
            |live| {
                live.indexes.as_mut().unwrap().insert(String::from("old-index"), index("x"));
            },
            &["index old-index: x, created_at -> - [Deletion, needs index]"],
        );
    }

    #[test]
    fn ttl_off_is_enabled_in_place() {
        check(|live| live.ttl = Some(Ttl::Disabled), &["ttl: disabled -> expires_at [InPlace]"]);
    }

    #[test]
    fn a_ttl_attribute_is_renamed_in_place() {
        check(|live| live.ttl = Some(Ttl::Enabled(String::from("ttl"))), &["ttl: ttl -> expires_at [InPlace]"]);
    }

    #[test]
    fn ttl_being_disabled_is_a_difference() {
        check(|live| live.ttl = Some(Ttl::Disabling), &["ttl: disabling -> expires_at [Time]"]);
    }

    #[test]
    fn a_sort_key_change_is_refused_and_reported_once() {
        let with = |name: &str, kind| {
            let sort = Some(attribute(name, kind));
            Table { key: Some(Key { partition: attribute("id", AttributeType::S), sort }), ..Table::default() }
        };
        let paths = |live: &Table| -> Vec<String> {
            diff(&with("at", AttributeType::N), live).into_iter().map(|change| change.path.to_string()).collect()
        };
        assert_eq!(paths(&with("at", AttributeType::N)), [""; 0]);
        assert_eq!(paths(&with("at", AttributeType::S)), ["sort_key.type"]);
        assert_eq!(paths(&with("day", AttributeType::S)), ["sort_key"]);
    }

    fn without_capacity(indexes: BTreeMap<String, Index>) -> BTreeMap<String, Index> {
        indexes.into_iter().map(|(name, index)| (name, Index { capacity: None, ..index })).collect()
    }

    #[test]
    fn an_unlisted_index_keeps_its_capacity() {
        let units = |read, write| Capacity { read, write };
        let live = Table {
            billing: Some(Billing::Provisioned(units(2, 2))),
            indexes: Some(BTreeMap::from([(
                String::from("idx"),
                Index { capacity: Some(units(33, 40)), ..index("x") },
            )])),
            ..Table::default()
        };
        let managed = Table { billing: live.billing, ..Table::default() };
        assert_eq!(diff(&managed, &live), []);
        let of_manifest = Table { indexes: live.indexes.clone().map(without_capacity), ..managed };
        let paths: Vec<String> = diff(&of_manifest, &live).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["index idx capacity"]);
    }

    #[test]
    fn a_billing_change_shows_its_requirements() {
        let units = |read| Billing::Provisioned(Capacity { read, write: 1 });
        let differences = |live: Billing, desired: Billing| -> Vec<String> {
            let index = |read| Index { capacity: Some(Capacity { read, write: 1 }), ..index("x") };
            let indexes =
                BTreeMap::from([(String::from("five-index"), index(5)), (String::from("six-index"), index(6))]);
            let desired = Table { billing: Some(desired), indexes: Some(indexes.clone()), ..Table::default() };
            let desired = Table { indexes: desired.indexes.map(without_capacity), ..desired };
            let live = Table { billing: Some(live), indexes: Some(indexes), ..Table::default() };
            diff(&desired, &live).iter().map(|change| format!("{}: {}", change.path, change.how)).collect()
        };
        assert_eq!(
            differences(units(5), Billing::PayPerRequest),
            ["billing_mode: switched in place, at most once in 24 hours"]
        );
        assert_eq!(differences(Billing::PayPerRequest, units(5)), ["billing_mode: switched in place"]);
        assert_eq!(
            differences(units(4), units(5)),
            // It is unknown whether autoscaling adjusts the index.
            ["billing_mode: changed in place", &format!("index six-index capacity: {LOWERED}")]
        );
        assert_eq!(differences(Billing::PayPerRequest, Billing::PayPerRequest), [""; 0]);
    }

    #[test]
    fn each_setting_is_compared() {
        check(
            |live| {
                live.billing = Some(Billing::Provisioned(Capacity { read: 5, write: 2 }));
                live.settings.class = Some(Class::InfrequentAccess);
                live.encryption = Some(Encryption::Kms(String::from("arn:aws:kms:r:1:key/k")));
                live.settings.point_in_time_recovery = Some(Recovery::Off);
                live.settings.deletion_protection = Some(DeletionProtection(false));
                live.tags = Some([(String::from("team"), String::from("web"))].into());
            },
            &[
                "billing_mode: PROVISIONED (5 read, 2 write) -> PAY_PER_REQUEST [InPlace]",
                "encryption: arn:aws:kms:r:1:key/k -> aws-owned [InPlace, needs protection]",
                "point_in_time_recovery: off -> on [InPlace]",
                "deletion_protection: off -> on [InPlace]",
                "table_class: STANDARD_INFREQUENT_ACCESS -> STANDARD [InPlace]",
                "tags.team: web -> security [InPlace]",
            ],
        );
    }
}

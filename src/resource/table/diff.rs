//! The pure difference between a table and what it should be.

use std::collections::BTreeMap;

use super::{Billing, Encryption, Index, IndexStatus, Key, Projection, Table, Ttl};
use crate::change::{FieldChange, FieldValue, Takes};
use crate::resource::diff_tags;

/// Returns what differs in the fields that both sides have, in the order in which people read a table.
pub fn diff(managed: &Table, live: &Table) -> Vec<FieldChange> {
    // No `..` here: a new field that nothing compares does not compile.
    let Table { key, indexes, ttl, billing, encryption, point_in_time_recovery, deletion_protection, tags } = managed;
    let mut changes = Vec::new();
    if let (Some(desired), Some(before)) = (key, &live.key) {
        diff_key("", before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (ttl, &live.ttl) {
        diff_ttl(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (indexes, &live.indexes) {
        diff_indexes(before, desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (billing, &live.billing) {
        diff_billing(*before, *desired, &mut changes);
    }
    if let (Some(desired), Some(before)) = (encryption, &live.encryption)
        && !same_encryption(before, desired)
    {
        let how = "table stays available; AWS allows 4 such changes a day";
        changes.push(in_place("encryption", encryption_words(before), encryption_words(desired), how));
    }
    if let (Some(desired), Some(before)) = (point_in_time_recovery, &live.point_in_time_recovery)
        && desired != before
    {
        let how = if *desired { "turned on in place" } else { "turned off in place: the backups so far are lost" };
        changes.push(in_place("point_in_time_recovery", on_off(*before), on_off(*desired), how));
    }
    if let (Some(desired), Some(before)) = (deletion_protection, &live.deletion_protection)
        && desired != before
    {
        let how = if *desired { "turned on in place" } else { "turned off in place" };
        changes.push(in_place("deletion_protection", on_off(*before), on_off(*desired), how));
    }
    if let (Some(desired), Some(before)) = (tags, &live.tags) {
        diff_tags(before, desired, &mut changes);
    }
    changes
}

fn in_place(path: &str, live: impl Into<String>, desired: impl Into<String>, how: &str) -> FieldChange {
    FieldChange::new(path, FieldValue::words(live), FieldValue::words(desired), Takes::InPlace, how)
}

const fn on_off(flag: bool) -> &'static str {
    if flag { "on" } else { "off" }
}

fn encryption_words(encryption: &Encryption) -> String {
    match encryption {
        Encryption::AwsOwned => String::from("aws-owned"),
        Encryption::AwsManaged => String::from("aws-managed"),
        Encryption::Kms(arn) => arn.clone(),
    }
}

/// AWS answers with the ARN of the key in use, for its managed key as for a customer's, and nothing in it tells which.
/// So where the managed key is wanted, any key counts as it: the other reading would be a drift that never ends.
fn same_encryption(live: &Encryption, desired: &Encryption) -> bool {
    live == desired || matches!((live, desired), (Encryption::Kms(_), Encryption::AwsManaged))
}

const NEW_TABLE: &str = "it would take a new table and a copy of the items";

fn diff_key(prefix: &str, live: &Key, desired: &Key, changes: &mut Vec<FieldChange>) {
    let mut field = |name: &str, before: String, after: String| {
        if before != after {
            let (before, after) = (FieldValue::words(before), FieldValue::words(after));
            changes.push(FieldChange::new(format!("{prefix}{name}"), before, after, Takes::NotPossible, NEW_TABLE));
        }
    };
    field("partition_key", live.partition.name.clone(), desired.partition.name.clone());
    if live.partition.name == desired.partition.name {
        field("partition_key.type", live.partition.kind.to_string(), desired.partition.kind.to_string());
    }
    let name = |key: &Key| key.sort.as_ref().map_or_else(|| String::from("none"), |sort| sort.name.clone());
    field("sort_key", name(live), name(desired));
    if let (Some(before), Some(after)) = (&live.sort, &desired.sort)
        && before.name == after.name
    {
        field("sort_key.type", before.kind.to_string(), after.kind.to_string());
    }
}

fn diff_ttl(live: &Ttl, desired: &Ttl, changes: &mut Vec<FieldChange>) {
    let words = |ttl: &Ttl| match ttl {
        Ttl::Disabled => String::from("disabled"),
        Ttl::Disabling => String::from("disabling"),
        Ttl::Enabled(attribute) => attribute.clone(),
    };
    let (takes, how) = match (live, desired) {
        (before, after) if before == after => return,
        (Ttl::Disabling, Ttl::Disabled) => (Takes::Time, "AWS is turning it off, which takes up to an hour"),
        (Ttl::Disabled, Ttl::Enabled(_)) => (Takes::InPlace, "enabled in place"),
        (Ttl::Disabling, Ttl::Enabled(_)) => (Takes::InPlace, "enabled in place, once AWS has turned it off (an hour)"),
        (Ttl::Enabled(_), Ttl::Enabled(_)) => {
            (Takes::InPlace, "disabled, then enabled: AWS wants an hour between the two")
        }
        (_, Ttl::Disabled | Ttl::Disabling) => (Takes::InPlace, "disabled in place"),
    };
    let (before, after) = (FieldValue::words(words(live)), FieldValue::words(words(desired)));
    changes.push(FieldChange::new("ttl", before, after, takes, how));
}

fn diff_billing(live: Billing, desired: Billing, changes: &mut Vec<FieldChange>) {
    let words = |billing: Billing| match billing {
        Billing::PayPerRequest => String::from("PAY_PER_REQUEST"),
        Billing::Provisioned { read, write } => format!("PROVISIONED ({read} read, {write} write)"),
    };
    let how = match (live, desired) {
        (before, after) if before == after => return,
        (Billing::Provisioned { .. }, Billing::PayPerRequest) => "switched in place, at most once in 24 hours",
        _ => "switched in place",
    };
    changes.push(in_place("billing_mode", words(live), words(desired), how));
}

fn diff_indexes(live: &BTreeMap<String, Index>, desired: &BTreeMap<String, Index>, changes: &mut Vec<FieldChange>) {
    for (name, wanted) in desired {
        let path = format!("index {name}");
        let Some(found) = live.get(name) else {
            let how = "built in place, table stays available";
            let (before, after) = (FieldValue::words("missing"), FieldValue::words(index_words(wanted)));
            changes.push(FieldChange::new(path, before, after, Takes::InPlace, how));
            continue;
        };
        let Index { key, projection, status } = found;
        let before_count = changes.len();
        if *key != wanted.key {
            let (before, after) = (key_words(key, &wanted.key), key_words(&wanted.key, key));
            let how = "it would be deleted and built again";
            let (before, after) = (FieldValue::words(before), FieldValue::words(after));
            changes.push(FieldChange::new(path.clone(), before, after, Takes::Replacement, how));
        }
        if *projection != wanted.projection {
            let how = "it would be deleted and built again";
            let (before, after) = (projection_words(projection), projection_words(&wanted.projection));
            let (before, after) = (FieldValue::words(before), FieldValue::words(after));
            changes.push(FieldChange::new(format!("{path} projection"), before, after, Takes::Replacement, how));
        }
        // A status only matters on an index that is otherwise as desired.
        if changes.len() == before_count
            && let Some((words, how)) = passing(*status)
        {
            let (before, after) = (FieldValue::words(words), FieldValue::words("ACTIVE"));
            changes.push(FieldChange::new(format!("{path} status"), before, after, Takes::Time, how));
        }
    }
    for (name, found) in live.iter().filter(|(name, _)| !desired.contains_key(*name)) {
        let how = "not in the manifest; it would lose what it holds";
        let (before, after) = (FieldValue::words(index_words(found)), FieldValue::Absent);
        changes.push(FieldChange::new(format!("index {name}"), before, after, Takes::Deletion, how));
    }
}

/// Returns the words for a status that passes by itself.
const fn passing(status: IndexStatus) -> Option<(&'static str, &'static str)> {
    match status {
        // An update of an index is one of its capacity; it answers all the while.
        IndexStatus::Active | IndexStatus::Updating => None,
        IndexStatus::Creating { backfilling: true } => {
            Some(("CREATING (backfilling)", "AWS is building it, in minutes"))
        }
        IndexStatus::Creating { backfilling: false } => Some(("CREATING", "AWS is building it, in minutes")),
        IndexStatus::Deleting => Some(("DELETING", "it is being deleted; once it is gone it can be built again")),
    }
}

fn index_words(index: &Index) -> String {
    let keys: Vec<&str> = index.key.attributes().map(|attribute| attribute.name.as_str()).collect();
    match &index.projection {
        Projection::All => keys.join(", "),
        other => format!("{}, projecting {}", keys.join(", "), projection_words(other)),
    }
}

/// Returns a key in words; types are named only where the two sides have the same names.
fn key_words(key: &Key, other: &Key) -> String {
    let names = |key: &Key| key.attributes().map(|attribute| attribute.name.clone()).collect::<Vec<_>>();
    if names(key) != names(other) {
        return names(key).join(", ");
    }
    let typed: Vec<String> =
        key.attributes().map(|attribute| format!("{} ({})", attribute.name, attribute.kind)).collect();
    typed.join(", ")
}

fn projection_words(projection: &Projection) -> String {
    match projection {
        Projection::All => String::from("ALL"),
        Projection::KeysOnly => String::from("KEYS_ONLY"),
        Projection::Include(names) => {
            format!("include {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::table::{Attribute, AttributeType};

    fn attribute(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), kind }
    }

    fn index(partition: &str) -> Index {
        Index {
            key: Key {
                partition: attribute(partition, AttributeType::S),
                sort: Some(attribute("created_at", AttributeType::N)),
            },
            projection: Projection::All,
            status: IndexStatus::Active,
        }
    }

    fn table() -> Table {
        Table {
            key: Some(Key { partition: attribute("id", AttributeType::S), sort: None }),
            indexes: Some(BTreeMap::from([(String::from("user-index"), index("user"))])),
            ttl: Some(Ttl::Enabled(String::from("expires_at"))),
            billing: Some(Billing::PayPerRequest),
            encryption: Some(Encryption::AwsOwned),
            point_in_time_recovery: Some(true),
            deletion_protection: Some(true),
            tags: Some([(String::from("team"), String::from("security"))].into()),
        }
    }

    /// Returns each change as `path: live -> desired [takes]`.
    fn lines(live: &Table) -> Vec<String> {
        let words = |value: &FieldValue| match value {
            FieldValue::Absent => String::from("-"),
            FieldValue::Words(words) => words.clone(),
            FieldValue::Document(_) => String::from("document"),
        };
        diff(&table(), live)
            .iter()
            .map(|change| {
                let (before, after) = (words(&change.sides.live), words(&change.sides.desired));
                format!("{}: {before} -> {after} [{:?}]", change.path, change.takes)
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
    fn a_table_is_as_desired_when_every_field_is() {
        check(|_| {}, &[]);
    }

    #[test]
    fn what_is_not_managed_is_never_a_difference() {
        assert_eq!(diff(&Table::default(), &table()), []);
    }

    #[test]
    fn another_partition_key_is_not_possible() {
        check(
            |live| live.key.as_mut().unwrap().partition.name = String::from("pk"),
            &["partition_key: pk -> id [NotPossible]"],
        );
    }

    #[test]
    fn another_type_of_the_partition_key_is_not_possible() {
        check(
            |live| live.key.as_mut().unwrap().partition.kind = AttributeType::N,
            &["partition_key.type: N -> S [NotPossible]"],
        );
    }

    #[test]
    fn a_sort_key_too_many_is_not_possible() {
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
    fn an_index_on_other_attributes_is_replacement() {
        check(
            |live| *live.indexes.as_mut().unwrap().get_mut("user-index").unwrap() = index("owner"),
            &["index user-index: owner, created_at -> user, created_at [Replacement]"],
        );
    }

    #[test]
    fn an_index_with_another_attribute_type_is_replacement_and_names_the_types() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.key.sort.as_mut().unwrap().kind = AttributeType::S;
            },
            &["index user-index: user (S), created_at (S) -> user (S), created_at (N) [Replacement]"],
        );
    }

    #[test]
    fn another_projection_is_replacement() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.projection = Projection::Include([String::from("b"), String::from("a")].into());
            },
            &["index user-index projection: include a, b -> ALL [Replacement]"],
        );
    }

    #[test]
    fn an_index_that_is_being_built_takes_time() {
        check(
            |live| {
                let found = live.indexes.as_mut().unwrap().get_mut("user-index").unwrap();
                found.status = IndexStatus::Creating { backfilling: true };
            },
            &["index user-index status: CREATING (backfilling) -> ACTIVE [Time]"],
        );
    }

    #[test]
    fn an_index_too_many_would_lose_data() {
        check(
            |live| {
                live.indexes.as_mut().unwrap().insert(String::from("old-index"), index("x"));
            },
            &["index old-index: x, created_at -> - [Deletion]"],
        );
    }

    #[test]
    fn ttl_off_is_enabled_in_place() {
        check(|live| live.ttl = Some(Ttl::Disabled), &["ttl: disabled -> expires_at [InPlace]"]);
    }

    #[test]
    fn ttl_on_another_attribute_is_renamed_in_place() {
        check(|live| live.ttl = Some(Ttl::Enabled(String::from("ttl"))), &["ttl: ttl -> expires_at [InPlace]"]);
    }

    #[test]
    fn ttl_on_its_way_off_is_a_difference() {
        check(|live| live.ttl = Some(Ttl::Disabling), &["ttl: disabling -> expires_at [InPlace]"]);
    }

    #[test]
    fn each_setting_is_compared() {
        check(
            |live| {
                live.billing = Some(Billing::Provisioned { read: 5, write: 2 });
                live.encryption = Some(Encryption::Kms(String::from("arn:aws:kms:r:1:key/k")));
                live.point_in_time_recovery = Some(false);
                live.deletion_protection = Some(false);
                live.tags = Some([(String::from("team"), String::from("web"))].into());
            },
            &[
                "billing_mode: PROVISIONED (5 read, 2 write) -> PAY_PER_REQUEST [InPlace]",
                "encryption: arn:aws:kms:r:1:key/k -> aws-owned [InPlace]",
                "point_in_time_recovery: off -> on [InPlace]",
                "deletion_protection: off -> on [InPlace]",
                "tags.team: web -> security [InPlace]",
            ],
        );
    }
}

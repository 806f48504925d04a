//! The differences between live and desired replicas.

use super::{Consistency, ReplicaStatus, Replicas, setting_lines};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue};
use crate::kind::table::{DeletionProtection, Field, Table, diff as tables};

const FROZEN: &str = "AWS adds and removes no single region of a group with strong consistency: remove all replicas, then add them \
     again";

/// Adds the differences.
pub(in crate::kind::table) fn diff(live: &Replicas, desired: &Replicas, changes: &mut Vec<FieldChange<Field>>) {
    let frozen = live.is_frozen();
    let change = |field: Field, before: FieldValue, after: FieldValue, method: ChangeMethod, how: &str| {
        FieldChange::new(field, before, after, method, how)
    };
    for (region, wanted) in &desired.regions {
        let status = |word: &ReplicaStatus, method, how| {
            let (before, after) = (FieldValue::text(word.to_string()), FieldValue::text("ACTIVE"));
            change(Field::ReplicaStatus(region.clone()), before, after, method, how)
        };
        match live.statuses.get(region) {
            None => {
                let after = FieldValue::text(describe(wanted));
                let (method, how) = match frozen {
                    true => (ChangeMethod::NotPossible, FROZEN),
                    false => (ChangeMethod::InPlace, "added in place; AWS copies the items, in minutes to hours"),
                };
                changes.push(change(Field::Replica(region.clone()), FieldValue::text("missing"), after, method, how));
            }
            Some(word @ ReplicaStatus::Creating) => {
                changes.push(status(word, ChangeMethod::Time, "AWS is copying the items, in minutes to hours"));
            }
            Some(word @ ReplicaStatus::Deleting) => {
                changes.push(status(
                    word,
                    ChangeMethod::Time,
                    "AWS is deleting it; it can be added again once it is gone",
                ));
            }
            Some(word @ ReplicaStatus::Other(_)) => {
                changes.push(status(word, ChangeMethod::NotPossible, "check the replica in the AWS console"));
            }
            Some(ReplicaStatus::Active | ReplicaStatus::Updating) => {
                let found = live.regions.get(region).cloned().unwrap_or_default();
                changes.extend(tables::diff(wanted, &found).into_iter().map(|one| FieldChange {
                    path: Field::InReplica(region.clone(), Box::new(one.path)),
                    sides: one.sides,
                    method: one.method,
                    how: one.how,
                    needs: one.needs,
                }));
            }
        }
    }
    for (region, found) in live.unlisted(desired) {
        let field = Field::Replica(region.clone());
        let before = FieldValue::text(describe(found));
        changes.push(match live.statuses.get(region) {
            Some(ReplicaStatus::Deleting) => {
                change(field, before, FieldValue::Absent, ChangeMethod::Time, "AWS is deleting it")
            }
            _ if frozen && !desired.regions.is_empty() => {
                change(field, before, FieldValue::Absent, ChangeMethod::NotPossible, FROZEN)
            }
            _ if is_protected(found) => {
                let how = format!(
                    "first turn its deletion protection off: aws dynamodb update-table --region {region} --table-name \
                     TABLE --no-deletion-protection-enabled"
                );
                change(field, before, FieldValue::Absent, ChangeMethod::NotPossible, &how)
            }
            _ => {
                let how = "not in the manifest; its table is deleted, and reads and writes in that region fail";
                change(field, before, FieldValue::Absent, ChangeMethod::Deletion, how).needing(Consent::Replica)
            }
        });
    }
    diff_mode(live, desired, changes);
}

/// The mode is set with the first replica. Source: "How DynamoDB global tables work" in the Amazon DynamoDB Developer Guide.
fn diff_mode(live: &Replicas, desired: &Replicas, changes: &mut Vec<FieldChange<Field>>) {
    if live.regions.is_empty() || desired.regions.is_empty() {
        return;
    }
    let mut compare = |key, before: &str, after: &str| {
        if before != after {
            let (before, after) = (FieldValue::text(before), FieldValue::text(after));
            let how = "set with the first replica: remove all replicas, then add them again";
            changes.push(FieldChange::new(Field::Setting(key), before, after, ChangeMethod::NotPossible, how));
        }
    };
    if let Some(wanted) = desired.consistency {
        compare("consistency", live.consistency.unwrap_or_default().as_str(), wanted.as_str());
    }
    if desired.consistency == Some(Consistency::Strong) {
        let word = |witness: &Option<String>| witness.clone().unwrap_or_else(|| String::from("none"));
        compare("witness", &word(&live.witness), &word(&desired.witness));
    }
}

/// Returns whether AWS refuses to remove a replica. Source: DDB-TABLE-297.
pub(super) fn is_protected(replica: &Table) -> bool {
    replica.settings.deletion_protection == Some(DeletionProtection(true))
}

fn describe(table: &Table) -> String {
    let own = setting_lines(table);
    if own.is_empty() { String::from("present") } else { own.join(", ") }
}

impl Replicas {
    /// Returns whether AWS does not allow a single region to be added or removed.
    pub(super) fn is_frozen(&self) -> bool {
        !self.regions.is_empty() && self.consistency == Some(Consistency::Strong)
    }

    /// Returns the live replicas that are not desired.
    pub(super) fn unlisted<'a>(&'a self, desired: &'a Self) -> impl Iterator<Item = (&'a String, &'a Table)> {
        self.regions.iter().filter(|(region, _)| !desired.regions.contains_key(*region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::{Class, Settings};

    fn group(regions: &[(&str, &str)]) -> Replicas {
        let name = |region: &str| region.to_owned();
        Replicas {
            consistency: (!regions.is_empty()).then_some(Consistency::Eventual),
            regions: regions.iter().map(|(region, _)| (name(region), Table::default())).collect(),
            statuses: regions.iter().map(|(region, status)| (name(region), status.parse().unwrap())).collect(),
            ..Replicas::default()
        }
    }

    /// Returns each change as `path [consent]`.
    fn lines(live: &Replicas, desired: &Replicas) -> Vec<String> {
        let mut changes = Vec::new();
        diff(live, desired, &mut changes);
        let needs = |needs: Option<Consent>| needs.map(|needs| format!(", needs {needs}")).unwrap_or_default();
        changes.iter().map(|change| format!("{} [{:?}{}]", change.path, change.method, needs(change.needs))).collect()
    }

    #[test]
    fn replicas_are_compared_by_region_and_status() {
        let wanted = |regions: &[&str]| {
            let regions: Vec<(&str, &str)> = regions.iter().map(|region| (*region, "ACTIVE")).collect();
            Replicas { consistency: None, ..group(&regions) }
        };
        let one = wanted(&["eu-west-1"]);
        assert_eq!(lines(&group(&[("eu-west-1", "ACTIVE")]), &one), [""; 0]);
        assert_eq!(lines(&group(&[]), &one), ["replica eu-west-1 [InPlace]"]);
        assert_eq!(lines(&group(&[("eu-west-1", "CREATING")]), &one), ["replica eu-west-1 status [Time]"]);
        assert_eq!(lines(&group(&[("eu-west-1", "DELETING")]), &one), ["replica eu-west-1 status [Time]"]);
        let broken = group(&[("eu-west-1", "INACCESSIBLE_ENCRYPTION_CREDENTIALS")]);
        assert_eq!(lines(&broken, &one), ["replica eu-west-1 status [NotPossible]"]);
        let two = group(&[("eu-west-1", "ACTIVE"), ("us-west-2", "ACTIVE")]);
        assert_eq!(lines(&two, &one), ["replica us-west-2 [Deletion, needs replica]"]);
        let going = group(&[("eu-west-1", "ACTIVE"), ("us-west-2", "DELETING")]);
        assert_eq!(lines(&going, &one), ["replica us-west-2 [Time]"]);
    }

    #[test]
    fn a_protected_replica_is_not_removed() {
        let mut live = group(&[("eu-west-1", "ACTIVE")]);
        let protected = Settings { deletion_protection: Some(DeletionProtection(true)), ..Settings::default() };
        live.regions.insert(String::from("eu-west-1"), Table { settings: protected, ..Table::default() });
        assert_eq!(lines(&live, &Replicas::default()), ["replica eu-west-1 [NotPossible]"]);
    }

    #[test]
    fn own_settings_of_a_replica_are_compared_like_those_of_a_table() {
        let class =
            |class| Table { settings: Settings { class: Some(class), ..Settings::default() }, ..Table::default() };
        let of = |class| {
            let mut all = group(&[("eu-west-1", "ACTIVE")]);
            all.regions.insert(String::from("eu-west-1"), class);
            all
        };
        let (live, wanted) = (of(class(Class::Standard)), of(class(Class::InfrequentAccess)));
        assert_eq!(lines(&live, &wanted), ["replica eu-west-1 table_class [InPlace]"]);
    }

    #[test]
    fn a_strong_consistency_group_cannot_change_partially() {
        let strong = |regions: &[(&str, &str)], witness: Option<&str>| Replicas {
            consistency: Some(Consistency::Strong),
            witness: witness.map(str::to_owned),
            ..group(regions)
        };
        let live = strong(&[("us-east-2", "ACTIVE")], Some("us-west-2"));
        assert_eq!(lines(&live, &live), [""; 0]);
        assert_eq!(lines(&live, &Replicas::default()), ["replica us-east-2 [Deletion, needs replica]"]);
        let other = strong(&[("us-east-2", "ACTIVE"), ("us-west-2", "ACTIVE")], None);
        assert_eq!(lines(&live, &other), ["replica us-west-2 [NotPossible]", "witness [NotPossible]"]);
        let eventual = group(&[("us-east-2", "ACTIVE")]);
        assert_eq!(lines(&live, &eventual), ["consistency [NotPossible]"]);
    }
}

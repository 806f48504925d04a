//! The steps that bring a table's replicas in sync.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::diff::is_protected;
use super::{Consistency, ReplicaStatus, Replicas, as_created};
use crate::change::FieldChange;
use crate::kind::table::steps::{TableStep, repair};
use crate::kind::table::{Autoscaling, SeparateChange, TableChange};
use crate::kind::table::{Class, Encryption, Field, Table, diff as tables};
use crate::kind::{Address, Desired, KindId};
use crate::resource::{Facts, Live};

/// The settings of a replica's creation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReplica {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Encryption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
}

impl NewReplica {
    fn of(table: &Table) -> Self {
        Self { key: table.encryption.clone(), class: table.settings.class }
    }
}

/// The table of the replicas.
pub(in crate::kind::table) struct Of<'a> {
    pub(in crate::kind::table) name: &'a str,
    /// The ARN of the table in its own region, if known.
    pub(in crate::kind::table) arn: Option<&'a str>,
    /// The class that the table gets earlier, with its replicas. Source: DDB-TABLE-294.
    pub(in crate::kind::table) class: Option<Class>,
}

/// Returns the changes that remove unlisted replicas.
pub(in crate::kind::table) fn removals(live: &Replicas, desired: &Replicas) -> Vec<TableChange> {
    let goes = |(region, found): &(&String, &Table)| {
        live.statuses.get(*region) != Some(&ReplicaStatus::Deleting) && !is_protected(found)
    };
    let unlisted: Vec<String> = live.unlisted(desired).filter(goes).map(|(region, _)| region.clone()).collect();
    match live.is_frozen() {
        true if !desired.regions.is_empty() || unlisted.is_empty() => Vec::new(),
        true => vec![TableChange::RemoveReplicas { regions: unlisted, witness: live.witness.clone() }],
        false => {
            let one = |region| TableChange::RemoveReplicas { regions: vec![region], witness: None };
            unlisted.into_iter().map(one).collect()
        }
    }
}

/// Returns the steps that deregister the write scaling of replicas to remove. AWS scales the writes of each replica like those of its
/// table, and keeps the scalable targets in a region without a replica. Source: DDB-TABLE-288 and 292.
pub(in crate::kind::table) fn unscaled(name: &str, live: &Table, change: &TableChange) -> Vec<TableStep> {
    let TableChange::RemoveReplicas { regions, .. } = change else { return Vec::new() };
    let off = |region: &String| {
        let scaled = live.settings.autoscaling.iter().flat_map(Autoscaling::write_scaling_removals);
        let steps =
            scaled.map(|off| TableStep::Setting { name: name.to_owned(), change: SeparateChange::Autoscaling(off) });
        let within = |step| TableStep::InRegion { name: name.to_owned(), region: region.clone(), step: Box::new(step) };
        steps.map(within).collect::<Vec<_>>()
    };
    regions.iter().flat_map(off).collect()
}

/// Returns the steps that add missing replicas, and repair each replica.
pub(in crate::kind::table) fn additions(of: &Of<'_>, live: &Replicas, desired: &Replicas) -> Vec<TableStep> {
    let is_missing = |region: &String| {
        matches!(live.statuses.get(region), None | Some(ReplicaStatus::Deleting)) && !live.is_frozen()
    };
    let (missing, there): (Vec<_>, Vec<_>) = desired.regions.iter().partition(|(region, _)| is_missing(region));
    let mut steps = Vec::new();
    for (region, wanted) in there {
        let mut found = live.regions.get(region).cloned().unwrap_or_default();
        if of.class.is_some() && found.settings.class.is_some() {
            found.settings.class = of.class;
        }
        steps.extend(in_region(of, region, wanted, found));
    }
    let name = || of.name.to_owned();
    let mut add = |replicas: BTreeMap<String, NewReplica>, consistency, witness| {
        let change = TableChange::AddReplicas { replicas, consistency, witness };
        steps.extend([TableStep::UpdateTable { name: name(), change }, TableStep::WaitForTable { name: name() }]);
    };
    let new = |(region, table): &(&String, &Table)| ((*region).clone(), NewReplica::of(table));
    if desired.consistency == Some(Consistency::Strong) {
        if !missing.is_empty() {
            add(missing.iter().map(new).collect(), Consistency::Strong, desired.witness.clone());
        }
    } else {
        for one in &missing {
            add(BTreeMap::from([new(one)]), Consistency::Eventual, None);
        }
    }
    for (region, wanted) in missing {
        steps.extend(in_region(of, region, wanted, as_created(wanted)));
    }
    steps
}

/// Returns the repair steps of one replica: those of any table, in its region.
fn in_region(of: &Of<'_>, region: &str, wanted: &Table, found: Table) -> Vec<TableStep> {
    let changes = tables::diff(wanted, &found);
    if changes.is_empty() {
        return Vec::new();
    }
    let desired = Desired::new(Address::new(KindId::Table, region), of.name, wanted.clone());
    let arn = of.arn.map(|arn| {
        let mut parts: Vec<&str> = arn.split(':').collect();
        if let Some(place) = parts.get_mut(3) {
            *place = region;
        }
        parts.join(":")
    });
    let live = Live { state: found, facts: Facts { arn, ..Facts::default() }, gaps: Vec::new() };
    let steps = repair(&desired, &live, &changes).into_iter();
    let within =
        |step| TableStep::InRegion { name: of.name.to_owned(), region: region.to_owned(), step: Box::new(step) };
    steps.map(within).collect()
}

/// Returns the steps that remove a table's replicas before its deletion.
pub(in crate::kind::table) fn removal(name: &str, live: &Live<Table>) -> (Vec<FieldChange<Field>>, Vec<TableStep>) {
    let (mut changes, mut steps) = (Vec::new(), Vec::new());
    let Some(found) = live.state.replicas.as_ref().filter(|found| !found.regions.is_empty()) else {
        return (changes, steps);
    };
    let wait = || TableStep::WaitForTable { name: name.to_owned() };
    if live.facts.changing.is_some() {
        steps.push(wait());
    }
    super::diff::diff(found, &Replicas::default(), &mut changes);
    for change in removals(found, &Replicas::default()) {
        steps.extend(unscaled(name, &live.state, &change));
        steps.extend([TableStep::UpdateTable { name: name.to_owned(), change }, wait()]);
    }
    (changes, steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindStep;
    use crate::kind::table::{DeletionProtection, Settings};
    use crate::resource::Tags;

    const OF: Of<'_> =
        Of { name: "orders", arn: Some("arn:aws:dynamodb:us-east-1:123456789012:table/orders"), class: None };

    fn own(settings: Settings) -> Table {
        Table { settings, tags: Some(Tags::from([(String::from("team"), String::from("x"))])), ..Table::default() }
    }

    fn group(regions: &[(&str, Table)]) -> Replicas {
        Replicas {
            regions: regions.iter().map(|(region, table)| ((*region).to_owned(), table.clone())).collect(),
            statuses: regions.iter().map(|(region, _)| ((*region).to_owned(), ReplicaStatus::Active)).collect(),
            ..Replicas::default()
        }
    }

    fn described(steps: &[TableStep]) -> Vec<String> {
        let is_wait = |step: &TableStep| matches!(step, TableStep::WaitForTable { .. });
        let within = |step: &TableStep| matches!(step, TableStep::InRegion { step, .. } if is_wait(step));
        steps.iter().filter(|step| !is_wait(step) && !within(step)).map(KindStep::describe).collect()
    }

    #[test]
    fn replicas_are_added_one_at_a_time_and_then_configured() {
        let settings = Settings {
            class: Some(Class::InfrequentAccess),
            deletion_protection: Some(DeletionProtection(true)),
            ..Settings::default()
        };
        let wanted = group(&[("eu-west-1", own(settings)), ("us-west-2", Table::default())]);
        let steps = additions(&OF, &Replicas::default(), &wanted);
        let expected = [
            "adding a replica in eu-west-1",
            "adding a replica in us-west-2",
            "enabling deletion protection in eu-west-1",
            "tagging in eu-west-1",
        ];
        assert_eq!(described(&steps), expected);
        let arns: Vec<&str> = steps
            .iter()
            .filter_map(|step| match step {
                TableStep::InRegion { step, .. } => match &**step {
                    TableStep::TagTable { arn, .. } => Some(arn.as_str()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        assert_eq!(arns, ["arn:aws:dynamodb:eu-west-1:123456789012:table/orders"]);
        let strong = Replicas { consistency: Some(Consistency::Strong), ..wanted };
        let steps = additions(&OF, &Replicas::default(), &strong);
        assert_eq!(described(&steps)[0], "adding a replica in eu-west-1 and us-west-2");
    }

    #[test]
    fn the_class_of_a_replica_is_set_again_after_that_of_its_table() {
        let class =
            |class| Table { settings: Settings { class: Some(class), ..Settings::default() }, ..Table::default() };
        let all = group(&[("eu-west-1", class(Class::InfrequentAccess))]);
        assert_eq!(additions(&OF, &all, &all), []);
        let after = Of { class: Some(Class::Standard), ..OF };
        assert_eq!(described(&additions(&after, &all, &all)), ["changing table class in eu-west-1"]);
    }

    #[test]
    fn replicas_are_removed_one_at_a_time_or_all_of_a_strong_group() {
        let live = group(&[("eu-west-1", Table::default()), ("us-west-2", Table::default())]);
        let remove = |regions: &[&str], witness: Option<&str>| TableChange::RemoveReplicas {
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            witness: witness.map(str::to_owned),
        };
        let none = Replicas::default();
        assert_eq!(removals(&live, &none), [remove(&["eu-west-1"], None), remove(&["us-west-2"], None)]);
        let witness = Some(String::from("us-east-2"));
        let strong = Replicas { consistency: Some(Consistency::Strong), witness, ..live.clone() };
        assert_eq!(removals(&strong, &none), [remove(&["eu-west-1", "us-west-2"], Some("us-east-2"))]);
        assert_eq!(removals(&strong, &group(&[("eu-west-1", Table::default())])), []);
        assert_eq!(removals(&live, &live), []);
    }
}

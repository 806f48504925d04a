//! Settings of a table that no manifest can express.

use aws_sdk_dynamodb::types as sdk;

use super::Table;
use crate::kind::Kind;

/// Returns a table's settings that no manifest can express, as short texts.
pub(super) fn of(description: &sdk::TableDescription) -> Vec<String> {
    let mut notes = Vec::new();
    // Without replicas the mode has no effect, and for some tables AWS sets this one. Source: DDB-TABLE-320 in the lab notes of
    // ack-api-quirks.
    let usual = sdk::GlobalTableSettingsReplicationMode::EnabledWithOverrides;
    let mode = description.global_table_settings_replication_mode().filter(|mode| **mode != usual);
    if let Some(mode) = mode.filter(|_| !description.replicas().is_empty()) {
        notes.push(format!("replication of settings {}", mode.as_str()));
    }
    if description.disassociation_protection_enabled() == Some(true) {
        notes.push(String::from("disassociation protection"));
    }
    notes.extend(
        description.vector_indexes().iter().map(|one| format!("vector index {}", one.index_name().unwrap_or_default())),
    );
    if description.archival_summary().is_some() {
        notes.push(String::from("archived"));
    }
    notes.extend(description.replicas().iter().flat_map(of_replica));
    notes
}

/// Returns a replica's own settings that no manifest can express.
fn of_replica(replica: &sdk::ReplicaDescription) -> Vec<String> {
    let capacity = |own: Option<&sdk::ProvisionedThroughputOverride>| {
        own.and_then(|own| own.read_capacity_units).map(|units| format!("a read capacity of {units}"))
    };
    let limit = |own: Option<&sdk::OnDemandThroughputOverride>| {
        let units = own.and_then(|own| own.max_read_request_units).filter(|units| *units > 0);
        units.map(|units| format!("an on-demand limit of {units} reads"))
    };
    let own = [capacity(replica.provisioned_throughput_override()), limit(replica.on_demand_throughput_override())];
    let of_indexes = replica.global_secondary_indexes().iter().flat_map(|index| {
        let own = [capacity(index.provisioned_throughput_override()), limit(index.on_demand_throughput_override())];
        let name = index.index_name().unwrap_or_default();
        own.into_iter().flatten().map(move |text| format!("{text} of index {name}"))
    });
    let region = replica.region_name().unwrap_or_default();
    let all = own.into_iter().flatten().chain(of_indexes);
    all.map(|text| format!("{text} in replica {region}")).collect()
}

/// Returns the live settings that the manifest could manage but does not, and those that no manifest can express.
pub(super) fn unmanaged(live: &Table, managed: &Table) -> Vec<String> {
    // An import reads a table as if everything, including every index, were managed.
    let mut notes = live.settings.unsupported();
    if *managed == Table::everything() {
        return notes;
    }
    notes.extend(live.settings.unmanaged_note(&managed.settings));
    for (name, index) in live.indexes.iter().flatten() {
        let wanted = managed.indexes.as_ref().and_then(|indexes| indexes.get(name));
        let limits = index.limits.filter(|_| wanted.is_none_or(|wanted| wanted.limits.is_none()));
        let warm = index.warm.filter(|_| wanted.is_none_or(|wanted| wanted.warm.is_none()));
        let text = limits.and_then(|limits| limits.named()).into_iter().chain(warm.and_then(|warm| warm.named()));
        notes.extend(text.map(|text| format!("{text} of index {name}")));
    }
    if managed.local_indexes.is_none() {
        notes.extend(live.local_indexes.iter().flatten().map(|(name, _)| format!("local index {name}")));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_table_has_no_unsupported_settings() {
        let plain = sdk::TableDescription::builder()
            .multi_region_consistency(sdk::MultiRegionConsistency::Eventual)
            .disassociation_protection_enabled(false);
        assert_eq!(of(&plain.build()), [""; 0]);
    }

    #[test]
    fn own_settings_of_a_replica_are_listed() {
        let capacity = || sdk::ProvisionedThroughputOverride::builder().read_capacity_units(7).build();
        let limit = sdk::OnDemandThroughputOverride::builder().max_read_request_units(90).build();
        let index = sdk::ReplicaGlobalSecondaryIndexDescription::builder().index_name("by-user");
        let replica = sdk::ReplicaDescription::builder().region_name("eu-west-1");
        let replica = replica.provisioned_throughput_override(capacity()).on_demand_throughput_override(limit);
        let replica = replica.global_secondary_indexes(index.provisioned_throughput_override(capacity()).build());
        let table = sdk::TableDescription::builder().replicas(replica.build());
        let expected = [
            "a read capacity of 7 in replica eu-west-1",
            "an on-demand limit of 90 reads in replica eu-west-1",
            "a read capacity of 7 of index by-user in replica eu-west-1",
        ];
        assert_eq!(of(&table.build()), expected);
    }

    #[test]
    fn each_unsupported_setting_is_listed() {
        let table = sdk::TableDescription::builder()
            .replicas(sdk::ReplicaDescription::builder().region_name("eu-west-1").build())
            .global_table_witnesses(sdk::GlobalTableWitnessDescription::builder().region_name("eu-west-2").build())
            .multi_region_consistency(sdk::MultiRegionConsistency::Strong)
            .disassociation_protection_enabled(true)
            .archival_summary(sdk::ArchivalSummary::builder().build());
        assert_eq!(of(&table.build()), ["disassociation protection", "archived"]);
    }
}

//! What a table has that no manifest can set.

use aws_sdk_dynamodb::types as sdk;

use super::Table;

/// What AWS gives each table that nobody warmed: read and write units a second of one that is on demand. Source: "Understanding DynamoDB
/// warm throughput" in the Amazon DynamoDB Developer Guide.
const WARM: (i64, i64) = (12_000, 4_000);

/// Returns what a table has that no manifest can set, each in a few words.
pub(super) fn of(description: &sdk::TableDescription) -> Vec<String> {
    let mut also = Vec::new();
    also.extend(description.replicas().iter().map(|one| format!("replica {}", one.region_name().unwrap_or_default())));
    also.extend(
        description
            .global_table_witnesses()
            .iter()
            .map(|one| format!("witness {}", one.region_name().unwrap_or_default())),
    );
    if description.multi_region_consistency() == Some(&sdk::MultiRegionConsistency::Strong) {
        also.push(String::from("strong consistency between regions"));
    }
    // Without replicas, the mode says nothing.
    if let Some(mode) =
        description.global_table_settings_replication_mode().filter(|_| !description.replicas().is_empty())
    {
        also.push(format!("replication of settings {}", mode.as_str()));
    }
    if description.disassociation_protection_enabled() == Some(true) {
        also.push(String::from("disassociation protection"));
    }
    also.extend(
        description.vector_indexes().iter().map(|one| format!("vector index {}", one.index_name().unwrap_or_default())),
    );
    if description.archival_summary().is_some() {
        also.push(String::from("archived"));
    }
    also.extend(limits(description.on_demand_throughput()));
    let warm = description.warm_throughput();
    also.extend(warm.and_then(|warm| warmed(warm.read_units_per_second(), warm.write_units_per_second())));
    for index in description.global_secondary_indexes() {
        let warm = index.warm_throughput();
        let warm = warm.and_then(|warm| warmed(warm.read_units_per_second(), warm.write_units_per_second()));
        let of_index = |words| format!("{words} of index {}", index.index_name().unwrap_or_default());
        also.extend(limits(index.on_demand_throughput()).into_iter().chain(warm).map(of_index));
    }
    also
}

/// Returns what a table has that its manifest could set, and does not.
pub(super) fn unmanaged(live: &Table, managed: &Table) -> Vec<String> {
    let mut also = live.settings.also(&managed.settings);
    if managed.local_indexes.is_none() {
        also.extend(live.local_indexes.iter().flatten().map(|(name, _)| format!("local index {name}")));
    }
    also
}

/// Returns the limits of an on-demand table or index, where it has some; AWS says -1 for none.
fn limits(found: Option<&sdk::OnDemandThroughput>) -> Option<String> {
    let found = found?;
    let one = |units: Option<i64>, what| units.filter(|units| *units > 0).map(|units| format!("{units} {what}"));
    let both = [one(found.max_read_request_units(), "reads"), one(found.max_write_request_units(), "writes")];
    let both: Vec<String> = both.into_iter().flatten().collect();
    (!both.is_empty()).then(|| format!("on-demand limits of {}", both.join(" and ")))
}

/// Returns the warm throughput, where it is more than AWS gives everyone.
fn warmed(read: Option<i64>, write: Option<i64>) -> Option<String> {
    let (read, write) = (read.unwrap_or(0), write.unwrap_or(0));
    (read > WARM.0 || write > WARM.1).then(|| format!("warm throughput of {read} reads and {write} writes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_as_everyone_gets_it_has_nothing_more() {
        let none = sdk::OnDemandThroughput::builder().max_read_request_units(-1).max_write_request_units(-1).build();
        let warm =
            sdk::TableWarmThroughputDescription::builder().read_units_per_second(12_000).write_units_per_second(4_000);
        let plain = sdk::TableDescription::builder()
            .on_demand_throughput(none)
            .warm_throughput(warm.build())
            .multi_region_consistency(sdk::MultiRegionConsistency::Eventual)
            .disassociation_protection_enabled(false);
        assert_eq!(of(&plain.build()), [""; 0]);
    }

    #[test]
    fn each_setting_that_no_manifest_has_is_named() {
        let limits =
            || sdk::OnDemandThroughput::builder().max_read_request_units(50).max_write_request_units(-1).build();
        let warm =
            sdk::TableWarmThroughputDescription::builder().read_units_per_second(20_000).write_units_per_second(4_000);
        let index =
            sdk::GlobalSecondaryIndexDescription::builder().index_name("user-index").on_demand_throughput(limits());
        let table = sdk::TableDescription::builder()
            .replicas(sdk::ReplicaDescription::builder().region_name("eu-west-1").build())
            .global_table_witnesses(sdk::GlobalTableWitnessDescription::builder().region_name("eu-west-2").build())
            .multi_region_consistency(sdk::MultiRegionConsistency::Strong)
            .disassociation_protection_enabled(true)
            .archival_summary(sdk::ArchivalSummary::builder().build())
            .on_demand_throughput(limits())
            .warm_throughput(warm.build())
            .global_secondary_indexes(index.build());
        assert_eq!(
            of(&table.build()),
            [
                "replica eu-west-1",
                "witness eu-west-2",
                "strong consistency between regions",
                "disassociation protection",
                "archived",
                "on-demand limits of 50 reads",
                "warm throughput of 20000 reads and 4000 writes",
                "on-demand limits of 50 reads of index user-index",
            ]
        );
    }
}

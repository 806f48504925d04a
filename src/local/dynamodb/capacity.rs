//! The capacity of a table or an index, for autoscaling.

use serde_json::{Value, json};

use super::engine::call;
use super::replicas;
use super::state::TableState;
use crate::local::Region;
use crate::local::answer::Failure;
use crate::local::clock::millis;

/// Returns the read and write units of a table or one of its indexes, if it exists; zeros if it is on-demand. A replica has those of its
/// table.
pub(in crate::local) fn capacity(region: &Region, table: &str, index: Option<&str>) -> Option<(i64, i64)> {
    let home = replicas::home(region, table).ok()?;
    let region = home.as_deref().unwrap_or(region);
    let state = super::state::read_state(region, table).ok()?.unwrap_or_default();
    let described = call(region, "DescribeTable", json!({ "TableName": table })).ok()?;
    let described = &described["Table"];
    match index {
        None => {
            let units = |name: &str| described["ProvisionedThroughput"][name].as_i64().unwrap_or(0);
            Some((units("ReadCapacityUnits"), units("WriteCapacityUnits")))
        }
        Some(index) => {
            let there = described["GlobalSecondaryIndexes"].as_array()?.iter().any(|one| one["IndexName"] == *index);
            there.then(|| state.capacities.get(index).copied().unwrap_or_default())
        }
    }
}

/// Adjusts the read or write units to limits, if the table is provisioned. A replica's own read units are not adjusted.
pub(in crate::local) fn move_capacity(
    region: &Region,
    (table, index): (&str, Option<&str>),
    reads: bool,
    (min, max): (i64, i64),
) -> Result<(), Failure> {
    let home = replicas::home(region, table)?;
    if home.is_some() && reads {
        return Ok(());
    }
    let region = home.as_deref().unwrap_or(region);
    let Some((read, write)) = capacity(region, table, index) else { return Ok(()) };
    let is_provisioned = capacity(region, table, None).is_some_and(|(read, write)| read > 0 && write > 0);
    let moved = if reads { (read.clamp(min, max), write) } else { (read, write.clamp(min, max)) };
    if !is_provisioned || moved == (read, write) {
        return Ok(());
    }
    region.store.write(|store| {
        let Some(mut state) = TableState::settled(region, store, table)? else { return Ok(()) };
        if let Some(index) = index {
            state.capacities.insert(index.to_owned(), moved);
        } else {
            let units: Value = json!({ "ReadCapacityUnits": moved.0, "WriteCapacityUnits": moved.1 });
            call(region, "UpdateTable", json!({ "TableName": table, "ProvisionedThroughput": units }))?;
        }
        state.updated_at = state.updated_at.max(region.clock.now() + millis(region.rules.table_update));
        state.save(store, table)
    })
}

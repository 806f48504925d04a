//! Write scaling of tables with replicas. AWS requires it for replicas of a provisioned table, because every region receives each write.

use rusqlite::Connection;
use serde_json::Value;

use super::change::is_on_demand;
use crate::local::answer::Failure;
use crate::local::{Region, autoscaling};

/// Refuses operations that require write scaling of a table and its indexes. Source: DDB-TABLE-188, 288 and 291.
pub(super) fn check(store: &Connection, name: &str, described: &Value) -> Result<(), Failure> {
    if is_on_demand(described) {
        return Ok(());
    }
    let refused = |what: &str| {
        Err(Failure::validation(format!("{what} write capacity should either be Pay-Per-Request or AutoScaled.")))
    };
    if !autoscaling::scales_writes(store, name, None)? {
        return refused("Table");
    }
    for index in described["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        if !autoscaling::scales_writes(store, name, index["IndexName"].as_str())? {
            return refused("GSI");
        }
    }
    Ok(())
}

/// Scales the writes of a new index of a table with replicas, in all regions. Source: DDB-TABLE-322.
pub(in crate::local::dynamodb) fn of_new_index(region: &Region, name: &str, body: &Value) -> Result<(), Failure> {
    let updates = body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten();
    let created: Vec<&str> = updates.filter_map(|update| update["Create"]["IndexName"].as_str()).collect();
    if created.is_empty() {
        return Ok(());
    }
    let state = crate::local::dynamodb::state::read_state(region, name)?.unwrap_or_default();
    let now = region.clock.now();
    let regions: Vec<&str> = state.group.members(now).map(|replica| replica.region.as_str()).collect();
    let described =
        crate::local::dynamodb::engine::call(region, "DescribeTable", serde_json::json!({ "TableName": name }))?;
    if regions.is_empty() || is_on_demand(&described["Table"]) {
        return Ok(());
    }
    for index in created {
        autoscaling::scale_writes(region, name, index)?;
        for peer in &regions {
            autoscaling::scale_writes(&*region.peer(peer)?, name, index)?;
        }
    }
    Ok(())
}

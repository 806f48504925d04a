//! Warm throughput, which dynoxide does not support. Changes that take AWS minutes take effect at once.
//!
//! Source of the rules: DDB-TABLE-442 of the lab notes of ack-api-quirks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::TableState;
use crate::local::answer::Failure;

const UNITS: [&str; 2] = ["ReadUnitsPerSecond", "WriteUnitsPerSecond"];
/// The initial value of an on-demand table.
const FIRST: [i64; 2] = [12_000, 4_000];

/// Read and write units per second.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Warm([i64; 2]);

impl Warm {
    /// Returns the result of a request; `None` if the request does not set it.
    fn raised(now: Option<Self>, given: &Value, of: &str, is_new: bool) -> Result<Option<Self>, Failure> {
        let Some(given) = given.as_object() else { return Ok(now) };
        if given.is_empty() {
            return Err(Failure::internal("WarmThroughput is empty"));
        }
        let mut units = now.map_or(FIRST, |Self(units)| units);
        for (unit, name) in units.iter_mut().zip(UNITS) {
            let Some(wanted) = given.get(name).and_then(Value::as_i64) else { continue };
            if wanted < *unit {
                let than = match is_new {
                    true => "initial throughput for OnDemand",
                    false => "current WarmThroughput, decreasing WarmThroughput is not supported",
                };
                return Err(Failure::validation(format!(
                    "One or more parameter values were invalid: Requested {name} for WarmThroughput for {of} is lower than {than}"
                )));
            }
            *unit = wanted;
        }
        Ok(Some(Self(units)))
    }

    fn at_least(&mut self, least: [i64; 2]) {
        for (unit, least) in self.0.iter_mut().zip(least) {
            *unit = (*unit).max(least);
        }
    }

    fn shown(self) -> Value {
        let Self([read, write]) = self;
        json!({ "ReadUnitsPerSecond": read, "WriteUnitsPerSecond": write, "Status": "ACTIVE" })
    }
}

/// Stores the warm throughput of a request, and removes the table's from it. `table` is the existing table, unless it is new.
///
/// The default is that of an on-demand table. A provisioned table starts with its capacity, and the value never decreases. Source:
/// "Understanding DynamoDB warm throughput" in the Amazon DynamoDB Developer Guide.
pub(super) fn keep(state: &mut TableState, body: &mut Value, table: Option<&Value>) -> Result<(), Failure> {
    let mode = |of: &Value| of["BillingMode"].as_str().map(|mode| mode == "PAY_PER_REQUEST");
    let was_on_demand = table.map_or(Some(false), |table| mode(&table["BillingModeSummary"])).unwrap_or(false);
    // A table that is created without a mode is provisioned.
    let on_demand = mode(body).unwrap_or(was_on_demand);
    if on_demand && !was_on_demand {
        for warm in state.warm.iter_mut().chain(state.warm_indexes.values_mut()) {
            warm.at_least(FIRST);
        }
    }
    state.warm = begun(state.warm, &body["ProvisionedThroughput"], table.is_none() && !on_demand);
    state.warm = Warm::raised(state.warm, &body["WarmThroughput"], "table", table.is_none())?;
    let created = body["GlobalSecondaryIndexes"].as_array().into_iter().flatten();
    let updates = body["GlobalSecondaryIndexUpdates"].as_array().into_iter().flatten();
    let updates = updates.flat_map(|update| [(&update["Create"], true), (&update["Update"], false)]);
    for (index, is_new) in created.map(|index| (index, true)).chain(updates) {
        let Some(name) = index["IndexName"].as_str() else { continue };
        let now = state.warm_indexes.get(name).copied();
        let now = begun(now, &index["ProvisionedThroughput"], is_new && !on_demand);
        match Warm::raised(now, &index["WarmThroughput"], &format!("index {name}"), is_new)? {
            Some(raised) => drop(state.warm_indexes.insert(name.to_owned(), raised)),
            None => drop(state.warm_indexes.remove(name)),
        }
    }
    if let Some(body) = body.as_object_mut() {
        body.remove("WarmThroughput");
    }
    Ok(())
}

/// Returns the value with a capacity: the earlier value, or the capacity if it is higher.
fn begun(now: Option<Warm>, capacity: &Value, is_new: bool) -> Option<Warm> {
    let units = ["ReadCapacityUnits", "WriteCapacityUnits"].map(|units| capacity[units].as_i64().unwrap_or(0));
    let mut now = now.or(is_new.then_some(Warm([0, 0])));
    if let Some(warm) = &mut now {
        warm.at_least(units);
    }
    now
}

/// Adds the warm throughput to dynoxide's description of the table.
pub(super) fn show(state: &TableState, table: &mut Value) {
    if let Some(warm) = state.warm {
        table["WarmThroughput"] = warm.shown();
    }
    for index in table["GlobalSecondaryIndexes"].as_array_mut().into_iter().flatten() {
        if let Some(warm) = index["IndexName"].as_str().and_then(|name| state.warm_indexes.get(name)) {
            index["WarmThroughput"] = warm.shown();
        }
    }
}

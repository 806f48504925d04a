//! Contributor insights of a table and of each of its indexes. Source of the rules: the findings DDB-TABLE-089 to 116 and 337 to 344 in
//! the lab notes of ack-api-quirks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::{self, TableState};
use super::{admitted, not_found, table_name};
use crate::local::Region;
use crate::local::answer::Failure;

/// The default mode.
const DEFAULT: &str = "ACCESSED_AND_THROTTLED_KEYS";
const MODES: [&str; 2] = [DEFAULT, "THROTTLED_KEYS"];

/// The insights of a table (under an empty name) and of its indexes, if they were ever on.
pub(super) type All = BTreeMap<String, Insights>;

/// The insights of a table or of an index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Insights {
    enabled: bool,
    mode: String,
    changed_at: i64,
}

impl Insights {
    fn status(&self, region: &Region) -> &'static str {
        let settling = TableState::within(Some(self.changed_at), region.rules.insights_settling, region.clock.now());
        match (self.enabled, settling) {
            (true, true) => "ENABLING",
            (true, false) => "ENABLED",
            (false, true) => "DISABLING",
            (false, false) => "DISABLED",
        }
    }
}

/// Returns the table and the index of a request; the index is empty for the table itself.
fn target(region: &Region, body: &Value) -> Result<(String, String), Failure> {
    let name = table_name(body)?;
    let index = body["IndexName"].as_str().unwrap_or_default().to_owned();
    if !index.is_empty() && !state::has_index(region, &name, &index).map_err(|_| not_found(&name))? {
        let message = format!("Requested resource not found: Index: {index} not found for table: {name}");
        return Err(Failure::new("ResourceNotFoundException", message));
    }
    Ok((name, index))
}

fn shown(region: &Region, name: &str, index: &str, found: Option<&Insights>) -> Value {
    let mut shown = json!({ "TableName": name, "ContributorInsightsStatus": "DISABLED" });
    if !index.is_empty() {
        shown["IndexName"] = json!(index);
    }
    if let Some(found) = found {
        shown["ContributorInsightsStatus"] = json!(found.status(region));
        shown["ContributorInsightsMode"] = json!(found.mode);
    }
    shown
}

pub(super) fn update(region: &Region, body: &Value) -> Result<Value, Failure> {
    let (name, index) = target(region, body)?;
    let enabled = match body["ContributorInsightsAction"].as_str() {
        Some("ENABLE") => true,
        Some("DISABLE") => false,
        _ => return Err(Failure::validation("ContributorInsightsAction must be ENABLE or DISABLE")),
    };
    let mode = body["ContributorInsightsMode"].as_str().unwrap_or(DEFAULT);
    if !MODES.contains(&mode) {
        return Err(Failure::validation(format!("ContributorInsightsMode must be one of {}", MODES.join(", "))));
    }
    region.store.write(|store| {
        let mut state = admitted(region, store, &name)?;
        if state.is_building(&index, region.clock.now()) {
            let message =
                "Table or Index is not in a valid state to perform this operation: IndexStatus must be ACTIVE";
            return Err(Failure::validation(message));
        }
        let before = state.insights.get(&index);
        let differs = match before {
            None => enabled,
            Some(before) => before.enabled != enabled || enabled && before.mode != mode,
        };
        if differs {
            // Turning insights off keeps the mode.
            let kept = before.filter(|_| !enabled).map(|before| before.mode.clone());
            let mode = kept.unwrap_or_else(|| mode.to_owned());
            state.insights.insert(index.clone(), Insights { enabled, mode, changed_at: region.clock.now() });
            state.save(store, &name)?;
        }
        Ok(shown(region, &name, &index, state.insights.get(&index)))
    })
}

pub(super) fn describe(region: &Region, body: &Value) -> Result<Value, Failure> {
    let (name, index) = target(region, body)?;
    let state = super::seen(region, &name)?;
    let found = state.insights.get(&index);
    let mut shown = shown(region, &name, &index, found);
    if let Some(found) = found {
        shown["LastUpdateDateTime"] = json!(found.changed_at / 1000);
        if found.enabled {
            let suffix = if index.is_empty() { name.clone() } else { format!("{name}-{index}") };
            shown["ContributorInsightsRuleList"] =
                json!([format!("DynamoDBContributorInsights-PKT-{suffix}-{}", found.changed_at)]);
        }
    }
    Ok(shown)
}

/// Lists insights that are on, or being turned off.
pub(super) fn list(region: &Region, body: &Value) -> Result<Value, Failure> {
    let name = table_name(body)?;
    let state = super::seen(region, &name)?;
    let on = state.insights.iter().filter(|(_, insights)| insights.status(region) != "DISABLED");
    let list: Vec<Value> = on.map(|(index, found)| shown(region, &name, index, Some(found))).collect();
    Ok(json!({ "ContributorInsightsSummaries": list }))
}

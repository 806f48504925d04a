//! The serialized form of steps.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::TableStep;
use super::setting::CALLED_STEPS;

/// The names of the steps other than those of settings with their own calls.
const STEPS: &[&str] = &[
    "create_table",
    "wait_for_table",
    "update_table",
    "tag_table",
    "untag_table",
    "enable_time_to_live",
    "disable_time_to_live",
    "back_up_table",
    "delete_table",
    "in_region",
    "defer",
];

/// Returns the names of all steps in a saved plan.
pub(super) fn step_names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().chain(CALLED_STEPS).copied()
}

impl Serialize for TableStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for TableStep {
    /// Lists the known steps in the error for an unknown one, which serde does not do for untagged variants.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = serde_json::Value::deserialize(deserializer)?;
        if let Some(step) = saved["step"].as_str().filter(|step| step_names().all(|name| name != *step)) {
            let names: Vec<String> = step_names().map(|name| format!("`{name}`")).collect();
            let message = format!("unknown variant `{step}`, expected one of {}", names.join(", "));
            return Err(D::Error::custom(message));
        }
        Self::deserialize(saved).map_err(D::Error::custom)
    }
}

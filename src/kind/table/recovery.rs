//! Point-in-time recovery: restores a table to any second of the last days.

use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, PointInTimeRecoveryStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{SETTLING, failed};
use super::setting::{Phase, SeparateSetting, Setting, SettingChange, in_place};
use super::{Field, Table, TableApi};
use crate::change::{Consent, FieldChange, Sides};
use crate::document::{self, Fields, Node, Reader};
use crate::kind::{Line, Waiting};
use crate::resource::StepOutcome;
use crate::resource::call::{CallError, Class, DESCRIBE_CONTINUOUS_BACKUPS, Operation, UPDATE_CONTINUOUS_BACKUPS};

const KEY: &str = "point_in_time_recovery";
const DAYS: &str = "recovery_days";

/// The default and the maximum number of days. Source: PointInTimeRecoverySpecification in the Amazon DynamoDB API Reference.
const MAX_DAYS: u8 = 35;

/// Whether the table can be restored to any second of the last days, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Recovery {
    Off,
    /// Any number of days. Only in desired state: AWS returns the number.
    On,
    Days(u8),
}

/// Point-in-time recovery in a saved plan.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Switch(bool),
    Days { days: u8 },
}

impl From<Written> for Recovery {
    fn from(written: Written) -> Self {
        match written {
            Written::Switch(false) => Self::Off,
            Written::Switch(true) => Self::On,
            Written::Days { days } => Self::Days(days),
        }
    }
}

impl From<Recovery> for Written {
    fn from(recovery: Recovery) -> Self {
        match recovery {
            Recovery::Off => Self::Switch(false),
            Recovery::On => Self::Switch(true),
            Recovery::Days(days) => Self::Days { days },
        }
    }
}

/// A change of point-in-time recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecovery {
    pub enabled: bool,
    /// `None` uses AWS's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u8>,
    /// Whether existing restore points are lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loses: bool,
}

impl Recovery {
    fn days(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::On => MAX_DAYS,
            Self::Days(days) => days,
        }
    }

    /// Returns whether a live setting is in sync with this one.
    fn fits(self, live: Self) -> bool {
        match (self, live) {
            (Self::Off, Self::Off) => true,
            (Self::On, live) => live != Self::Off,
            (Self::Days(days), live) => days == live.days(),
            (Self::Off, _) => false,
        }
    }

    fn word(self) -> String {
        match self {
            Self::Off => String::from("off"),
            Self::On | Self::Days(MAX_DAYS) => String::from("on"),
            Self::Days(days) => format!("on, {days} days"),
        }
    }
}

fn read_days(reader: &mut Reader<'_>, node: &Node) -> Option<u8> {
    let document::Value::Integer(number) = node.value else {
        reader.wrong_type(node, DAYS, "an integer number of days");
        return None;
    };
    let days = u8::try_from(number).ok().filter(|days| (1..=MAX_DAYS).contains(days));
    if days.is_none() {
        let message = format!("`{DAYS}` cannot be {number}");
        reader.fault(node.span.clone(), message, "out of range", "DynamoDB accepts 1 to 35 days");
    }
    days
}

impl Setting for Recovery {
    type Change = SetRecovery;

    const KEYS: &'static [&'static str] = &[KEY, DAYS];
    const REGIONAL: bool = true;

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let (switch, days) = (fields.get(KEY), fields.get(DAYS));
        let on = switch.map(|entry| reader.boolean(&entry.node, KEY));
        let Some(days) = days else {
            return on?.map(|on| if on { Self::On } else { Self::Off });
        };
        let number = read_days(reader, &days.node);
        if on != Some(Some(true)) {
            let help = "add point_in_time_recovery = true, or remove recovery_days";
            let message = "`recovery_days` is given without `point_in_time_recovery = true`";
            reader.fault(days.key_span.clone(), message, "days without effect", help);
            return None;
        }
        number.map(Self::Days)
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        let switch = (KEY, (*self != Self::Off).to_string());
        match self {
            Self::Off | Self::On => vec![switch],
            Self::Days(days) => vec![switch, (DAYS, days.to_string())],
        }
    }

    fn schema() -> Vec<Value> {
        vec![
            json!({ "type": "boolean", "description": "Backups to any second of the last days: recovery_days, or 35." }),
            json!({
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_DAYS,
                "description": "How many days back the table can be restored.",
            }),
        ]
    }

    fn plan_schema() -> Value {
        json!({ "oneOf": [
            { "type": "boolean" },
            { "type": "object", "properties": { "days": { "type": "integer" } }, "required": ["days"] },
        ] })
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(KEY, self.word())]
    }

    fn when_new() -> Self {
        Self::Off
    }

    fn without_defaults(self) -> Option<Self> {
        match self {
            Self::Off => None,
            Self::On | Self::Days(MAX_DAYS) => Some(Self::On),
            Self::Days(days) => Some(Self::Days(days)),
        }
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        if self.fits(*live) {
            return Vec::new();
        }
        let change = |key, before: String, after: String, how: &str| in_place(Field::Setting(key), before, after, how);
        let days = |one: Self| one.days().to_string();
        vec![match (*live, *self) {
            (Self::Off, after) => change(KEY, live.word(), after.word(), "turned on in place"),
            (_, Self::Off) => {
                let how = "turned off in place: the existing restore points are lost";
                // The number of days is not part of this change.
                change(KEY, Self::On.word(), self.word(), how).needing(Consent::Protection)
            }
            (before, after) if after.days() < before.days() => {
                let how = "changed in place: the restore points of earlier days are lost";
                change(DAYS, days(before), days(after), how).needing(Consent::Protection)
            }
            (before, after) => change(DAYS, days(before), days(after), "changed in place"),
        }]
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetRecovery> {
        if self.fits(*live) {
            return Vec::new();
        }
        let days = match self {
            Self::Off | Self::On => None,
            Self::Days(days) => Some(*days),
        };
        vec![SetRecovery { enabled: *self != Self::Off, days, loses: self.days() < live.days() }]
    }

    fn opposite(&self) -> Self {
        match self {
            Self::Off => Self::Days(MAX_DAYS),
            Self::On | Self::Days(_) => Self::Off,
        }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;
        prop_oneof![Just(Self::Off), Just(Self::On), (1..=MAX_DAYS).prop_map(Self::Days)].boxed()
    }
}

impl SettingChange for SetRecovery {
    fn phase(&self) -> Phase {
        if self.loses { Phase::GiveUp } else { Phase::Protect }
    }

    fn describe(&self) -> String {
        match (self.enabled, self.days) {
            (true, Some(days)) => format!("enabling point-in-time recovery of {days} days"),
            (true, None) => String::from("enabling point-in-time recovery"),
            (false, _) => String::from("disabling point-in-time recovery"),
        }
    }

    fn needs(&self) -> Option<Consent> {
        self.loses.then_some(Consent::Protection)
    }

    fn seconds(&self) -> (u64, u64) {
        (1, 10)
    }
}

impl SeparateSetting for Recovery {
    const READS: &'static [Operation] = &[DESCRIBE_CONTINUOUS_BACKUPS];

    async fn observe(&self, api: &TableApi, name: &str) -> Result<Self, CallError> {
        let call = || api.client.describe_continuous_backups().table_name(name).send();
        let answer = api.pacer.call(DESCRIBE_CONTINUOUS_BACKUPS, &[], call).await?;
        // `ContinuousBackupsStatus` is always ENABLED; the status within it is the setting.
        let recovery =
            answer.continuous_backups_description.and_then(|backups| backups.point_in_time_recovery_description);
        let is_on = recovery.as_ref().and_then(|recovery| recovery.point_in_time_recovery_status())
            == Some(&PointInTimeRecoveryStatus::Enabled);
        let days = recovery.and_then(|recovery| recovery.recovery_period_in_days);
        Ok(match is_on {
            true => Self::Days(days.and_then(|days| u8::try_from(days).ok()).unwrap_or(MAX_DAYS)),
            false => Self::Off,
        })
    }

    fn operations(_: &SetRecovery) -> &'static [Operation] {
        &[UPDATE_CONTINUOUS_BACKUPS]
    }

    async fn make(change: &SetRecovery, api: &TableApi, _: Waiting, name: &str) -> Result<StepOutcome, CallError> {
        let specification = PointInTimeRecoverySpecification::builder()
            .point_in_time_recovery_enabled(change.enabled)
            .set_recovery_period_in_days(change.days.map(i32::from))
            .build();
        let specification =
            specification.map_err(|error| failed(UPDATE_CONTINUOUS_BACKUPS, Class::Rejected, error.to_string()))?;
        let call = || {
            let request = api.client.update_continuous_backups().table_name(name);
            request.point_in_time_recovery_specification(specification.clone()).send()
        };
        api.pacer.call(UPDATE_CONTINUOUS_BACKUPS, SETTLING, call).await?;
        Ok(StepOutcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(desired: Recovery, live: Recovery) -> Option<(String, Option<Consent>, SetRecovery)> {
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let changes = desired.diff(&live, &tables);
        let repair = desired.repair(&live, &tables);
        assert_eq!(changes.len(), repair.len());
        let change = changes.into_iter().next()?;
        assert_eq!(change.needs, repair[0].needs());
        Some((change.path.to_string(), change.needs, repair[0]))
    }

    #[test]
    fn fewer_days_need_consent_and_more_do_not() {
        let set = |enabled, days, loses| SetRecovery { enabled, days, loses };
        let protection = Some(Consent::Protection);
        let days = |number| Recovery::Days(number);
        for same in [(Recovery::On, days(7)), (days(35), Recovery::On), (Recovery::Off, Recovery::Off)] {
            assert_eq!(changed(same.0, same.1), None);
        }
        let of = |desired, live| changed(desired, live).unwrap();
        assert_eq!(of(days(5), days(7)), (String::from(DAYS), protection, set(true, Some(5), true)));
        assert_eq!(of(days(9), days(7)), (String::from(DAYS), None, set(true, Some(9), false)));
        assert_eq!(of(days(9), Recovery::Off), (String::from(KEY), None, set(true, Some(9), false)));
        assert_eq!(of(Recovery::On, Recovery::Off), (String::from(KEY), None, set(true, None, false)));
        assert_eq!(of(Recovery::Off, days(7)), (String::from(KEY), protection, set(false, None, true)));
    }
}

//! Point-in-time recovery: backups to any second of the last 35 days.

use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, PointInTimeRecoveryStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{SETTLING, failed};
use super::setting::{Called, Phase, Setting, SettingChange, diff_guard};
use super::{Field, Table, TableApi};
use crate::change::{Consent, FieldChange, Sides};
use crate::document::{Fields, Reader};
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Class, DESCRIBE_CONTINUOUS_BACKUPS, Operation, UPDATE_CONTINUOUS_BACKUPS};
use crate::resource::{StepOutcome, Switch};

const KEY: &str = "point_in_time_recovery";

/// Whether the table can be restored to any second of the last 35 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery(pub bool);

/// A change of point-in-time recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecovery {
    pub enabled: bool,
}

impl Setting for Recovery {
    type Change = SetRecovery;

    const KEYS: &'static [&'static str] = &[KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        fields.get(KEY).and_then(|entry| reader.boolean(&entry.node, KEY)).map(Self)
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        vec![(KEY, self.0.to_string())]
    }

    fn schema() -> Vec<Value> {
        vec![json!({ "type": "boolean", "description": "Backups to any second of the last 35 days." })]
    }

    fn plan_schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn words(&self) -> Vec<Line> {
        vec![Line::new(KEY, Switch::from(self.0).word())]
    }

    fn when_new() -> Self {
        Self(false)
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        let lost = "turned off in place: what could be restored until now is lost";
        diff_guard(KEY, live.0.into(), self.0.into(), lost)
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetRecovery> {
        (self != live).then_some(SetRecovery { enabled: self.0 }).into_iter().collect()
    }

    fn opposite(&self) -> Self {
        Self(!self.0)
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        proptest::bool::ANY.prop_map(Self).boxed()
    }
}

impl SettingChange for SetRecovery {
    fn phase(&self) -> Phase {
        if self.enabled { Phase::Protect } else { Phase::GiveUp }
    }

    fn describe(&self) -> String {
        format!("{} point-in-time recovery", if self.enabled { "enabling" } else { "disabling" })
    }

    fn needs(&self) -> Option<Consent> {
        (!self.enabled).then_some(Consent::Protection)
    }

    fn seconds(&self) -> (u64, u64) {
        (1, 10)
    }
}

impl Called for Recovery {
    const READ: Operation = DESCRIBE_CONTINUOUS_BACKUPS;

    async fn look(api: &TableApi, name: &str) -> Result<Self, CallError> {
        let call = || api.client.describe_continuous_backups().table_name(name).send();
        let answer = api.pacer.call(DESCRIBE_CONTINUOUS_BACKUPS, &[], call).await?;
        // `ContinuousBackupsStatus` is always ENABLED and says nothing; the one beneath it is the switch.
        let status = answer
            .continuous_backups_description
            .and_then(|backups| backups.point_in_time_recovery_description)
            .and_then(|recovery| recovery.point_in_time_recovery_status);
        Ok(Self(status == Some(PointInTimeRecoveryStatus::Enabled)))
    }

    fn operations(_: &SetRecovery) -> &'static [Operation] {
        &[UPDATE_CONTINUOUS_BACKUPS]
    }

    async fn make(change: &SetRecovery, api: &TableApi, _: Waiting, name: &str) -> Result<StepOutcome, CallError> {
        let specification =
            PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(change.enabled).build();
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

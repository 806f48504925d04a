//! Deletion protection: AWS refuses to delete the table.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::{Phase, Setting, SettingChange, UpdateTableSetting, diff_guard};
use super::{Field, Table};
use crate::change::{Consent, FieldChange, Sides};
use crate::document::{Fields, Reader};
use crate::kind::Line;
use crate::resource::Switch;

/// The key of deletion protection in a manifest.
pub(super) const KEY: &str = "deletion_protection";

/// Whether AWS refuses to delete the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionProtection(pub bool);

/// A change of deletion protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetDeletionProtection {
    pub enabled: bool,
}

impl Setting for DeletionProtection {
    type Change = SetDeletionProtection;

    const KEYS: &'static [&'static str] = &[KEY];
    const REGIONAL: bool = true;

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        fields.get(KEY).and_then(|entry| reader.boolean(&entry.node, KEY)).map(Self)
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        vec![(KEY, self.0.to_string())]
    }

    fn schema() -> Vec<Value> {
        vec![json!({ "type": "boolean", "description": "AWS refuses to delete the table." })]
    }

    fn plan_schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(KEY, Switch::from(self.0).word())]
    }

    fn when_new() -> Self {
        Self(false)
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        diff_guard(KEY, live.0.into(), self.0.into(), "turned off in place")
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetDeletionProtection> {
        (self != live).then_some(SetDeletionProtection { enabled: self.0 }).into_iter().collect()
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

impl SettingChange for SetDeletionProtection {
    fn phase(&self) -> Phase {
        if self.enabled { Phase::Protect } else { Phase::GiveUp }
    }

    fn describe(&self) -> String {
        format!("{} deletion protection", if self.enabled { "enabling" } else { "disabling" })
    }

    fn needs(&self) -> Option<Consent> {
        (!self.enabled).then_some(Consent::Protection)
    }
}

impl UpdateTableSetting for DeletionProtection {
    fn seen(description: &sdk::TableDescription) -> Self {
        Self(description.deletion_protection_enabled().unwrap_or(false))
    }

    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
        Ok(if self.0 { request.deletion_protection_enabled(true) } else { request })
    }

    fn update(
        change: &SetDeletionProtection,
        request: UpdateTableInputBuilder,
    ) -> Result<UpdateTableInputBuilder, BuildError> {
        Ok(request.deletion_protection_enabled(change.enabled))
    }

    fn is_made(change: &SetDeletionProtection, live: &Self) -> bool {
        live.0 == change.enabled
    }
}

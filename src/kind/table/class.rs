//! The table class: lower storage cost or lower request cost.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::{Phase, Setting, SettingChange, UpdateTableSetting, in_place};
use super::{Field, Table};
use crate::change::{FieldChange, Sides};
use crate::document::write::quoted;
use crate::document::{Fields, Reader};
use crate::kind::Line;

const KEY: &str = "table_class";

/// The table class: lower storage cost or lower request cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(const_into_str)]
pub enum Class {
    #[strum(serialize = "STANDARD")]
    Standard,
    #[strum(serialize = "STANDARD_INFREQUENT_ACCESS")]
    InfrequentAccess,
}

impl Class {
    /// Returns AWS's name for it.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    pub(super) fn of_sdk(self) -> sdk::TableClass {
        match self {
            Self::Standard => sdk::TableClass::Standard,
            Self::InfrequentAccess => sdk::TableClass::StandardInfrequentAccess,
        }
    }
}

/// A change of the table class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetClass {
    pub class: Class,
}

impl Setting for Class {
    type Change = SetClass;

    const KEYS: &'static [&'static str] = &[KEY];
    const REGIONAL: bool = true;

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        fields.get(KEY).and_then(|entry| reader.variant(&entry.node, KEY))
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        vec![(KEY, quoted(self.as_str()))]
    }

    fn schema() -> Vec<Value> {
        vec![json!({
            "enum": ["STANDARD", "STANDARD_INFREQUENT_ACCESS"],
            "description": "AWS accepts two changes in 30 days.",
        })]
    }

    fn plan_schema() -> Value {
        json!({ "type": "string" })
    }

    fn describe(&self) -> Vec<Line> {
        vec![Line::new(KEY, self.as_str())]
    }

    fn when_new() -> Self {
        Self::Standard
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        let how = "changed in place; AWS allows 2 such changes in 30 days";
        let change = || in_place(Field::Setting(KEY), live.as_str(), self.as_str(), how);
        (self != live).then(change).into_iter().collect()
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetClass> {
        (self != live).then_some(SetClass { class: *self }).into_iter().collect()
    }

    fn opposite(&self) -> Self {
        match self {
            Self::Standard => Self::InfrequentAccess,
            Self::InfrequentAccess => Self::Standard,
        }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        proptest::sample::select(<Self as strum::VariantArray>::VARIANTS).boxed()
    }
}

impl SettingChange for SetClass {
    fn phase(&self) -> Phase {
        Phase::Settings
    }

    fn describe(&self) -> String {
        String::from("changing table class")
    }
}

impl UpdateTableSetting for Class {
    fn seen(description: &sdk::TableDescription) -> Self {
        // A table whose class was never changed has no summary.
        match description.table_class_summary().and_then(sdk::TableClassSummary::table_class) {
            Some(sdk::TableClass::StandardInfrequentAccess) => Self::InfrequentAccess,
            _ => Self::Standard,
        }
    }

    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
        Ok(request.table_class(self.of_sdk()))
    }

    fn update(change: &SetClass, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
        Ok(request.table_class(change.class.of_sdk()))
    }

    fn is_made(change: &SetClass, live: &Self) -> bool {
        *live == change.class
    }

    fn budget(_: &SetClass) -> Option<&'static str> {
        Some("two changes of table class in 30 days")
    }
}

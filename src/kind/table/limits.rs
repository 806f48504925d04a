//! The maximum throughput of an on-demand table or index, in request units per second.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::{Phase, Setting, SettingChange, UpdateTableSetting, in_place};
use super::{Billing, Field, Table};
use crate::change::{ChangeMethod, FieldChange, FieldValue, Sides};
use crate::document::{self, Fields, Node, Reader};
use crate::kind::Line;
use crate::resource::Invalid;

const READ: &str = "max_read";
const WRITE: &str = "max_write";

/// AWS's value for no limit. Source: OnDemandThroughput in the Amazon DynamoDB API Reference.
const NONE: i64 = -1;

/// The maximum request units per second of an on-demand table or index; -1 is no limit. In desired state, `None` is not managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<i64>,
}

impl Limits {
    /// No limits, which is the default.
    pub(super) const UNLIMITED: Self = Self { read: Some(NONE), write: Some(NONE) };

    fn by_key(&self) -> [(&'static str, Option<i64>); 2] {
        [(READ, self.read), (WRITE, self.write)]
    }

    /// Reads the limits of an on-demand table or index.
    pub(super) fn of(found: Option<&sdk::OnDemandThroughput>) -> Self {
        let limit = |units: Option<i64>| Some(units.filter(|units| *units > 0).unwrap_or(NONE));
        Self {
            read: limit(found.and_then(sdk::OnDemandThroughput::max_read_request_units)),
            write: limit(found.and_then(sdk::OnDemandThroughput::max_write_request_units)),
        }
    }

    /// Returns these limits, supplemented by another set; `None` if neither has a limit.
    pub(super) fn or(own: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (own, other) = (own.unwrap_or(Self { read: None, write: None }), other.unwrap_or(Self::UNLIMITED));
        let both = Self { read: own.read.or(other.read), write: own.write.or(other.write) };
        Some(both).filter(Self::is_limited)
    }

    /// Returns whether there is a limit.
    pub(super) fn is_limited(&self) -> bool {
        self.by_key().iter().any(|(_, units)| units.is_some_and(|units| units > 0))
    }

    /// Returns the limits for a creation: AWS accepts neither an empty value nor -1.
    pub(super) fn on_creation(&self) -> Option<sdk::OnDemandThroughput> {
        let limit = |units: Option<i64>| units.filter(|units| *units > 0);
        let builder = sdk::OnDemandThroughput::builder().set_max_read_request_units(limit(self.read));
        self.is_limited().then(|| builder.set_max_write_request_units(limit(self.write)).build())
    }

    /// Returns the limits for an update, which replaces the existing ones.
    pub(super) fn on_update(&self) -> sdk::OnDemandThroughput {
        let builder = sdk::OnDemandThroughput::builder().set_max_read_request_units(self.read);
        builder.set_max_write_request_units(self.write).build()
    }

    /// Returns the limits that must change; `None` if the live limits are equal.
    pub(super) fn raised_above(&self, live: &Self) -> Option<Self> {
        let (read, write) =
            (self.read.filter(|_| self.read != live.read), self.write.filter(|_| self.write != live.write));
        (read.is_some() || write.is_some()).then_some(Self { read, write })
    }

    /// Returns whether the live limits are equal.
    pub(super) fn are(&self, live: &Self) -> bool {
        self.raised_above(live).is_none()
    }

    /// Returns the differences of the live limits.
    pub(super) fn compare(
        &self,
        live: &Self,
        billing: Option<Billing>,
        field: impl Fn(&'static str) -> Field,
    ) -> Vec<FieldChange<Field>> {
        let pairs = self.by_key().into_iter().zip(live.by_key());
        let differing =
            pairs.filter_map(|((key, own), (_, live))| Some((key, own?, live?))).filter(|(_, own, live)| own != live);
        let change = |(key, own, live)| match billing {
            Some(Billing::Provisioned(_) | Billing::External) => {
                let how = "the table is PROVISIONED, and only on-demand tables have limits: add billing_mode = \
                     \"PAY_PER_REQUEST\"";
                let (before, after) = (FieldValue::text(word(live)), FieldValue::text(word(own)));
                FieldChange::new(field(key), before, after, ChangeMethod::NotPossible, how)
            }
            Some(Billing::PayPerRequest) | None => in_place(field(key), word(live), word(own), "changed in place"),
        };
        differing.map(change).collect()
    }

    /// Returns the limits as a short text, for unmanaged settings.
    pub(super) fn named(&self) -> Option<String> {
        let one = |units: Option<i64>, what| units.filter(|units| *units > 0).map(|units| format!("{units} {what}"));
        let both: Vec<String> = [one(self.read, "reads"), one(self.write, "writes")].into_iter().flatten().collect();
        (!both.is_empty()).then(|| format!("on-demand limits of {}", both.join(" and ")))
    }
}

fn word(units: i64) -> String {
    if units > 0 { units.to_string() } else { String::from("none") }
}

fn read_one(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<i64> {
    match node.value {
        document::Value::Bool(false) => Some(NONE),
        document::Value::Integer(units) if units >= 1 => Some(units),
        _ => {
            reader.wrong_type(node, key, "an integer of at least 1, or false for no limit");
            None
        }
    }
}

/// A change of the limits; `None` keeps the current limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLimits {
    #[serde(flatten)]
    pub limits: Limits,
}

impl Setting for Limits {
    type Change = SetLimits;

    const KEYS: &'static [&'static str] = &[READ, WRITE];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let mut one = |key: &'static str| fields.get(key).and_then(|entry| read_one(reader, &entry.node, key));
        let (read, write) = (one(READ), one(WRITE));
        (read.is_some() || write.is_some()).then_some(Self { read, write })
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        let toml = |units: i64| if units > 0 { units.to_string() } else { String::from("false") };
        self.by_key().into_iter().filter_map(|(key, units)| Some((key, toml(units?)))).collect()
    }

    fn schema() -> Vec<Value> {
        let schema = |what: &str| {
            json!({
                "description": format!("The maximum {what} request units per second with on-demand billing; false for \
                     no limit."),
                "oneOf": [{ "type": "integer", "minimum": 1 }, { "const": false }],
            })
        };
        vec![schema("read"), schema("write")]
    }

    fn plan_schema() -> Value {
        json!({
            "type": "object",
            "description": "The maximum with on-demand billing; -1 is no limit.",
            "properties": { "read": { "type": "integer" }, "write": { "type": "integer" } },
        })
    }

    fn describe(&self) -> Vec<Line> {
        self.by_key().into_iter().filter_map(|(key, units)| Some(Line::new(key, word(units?)))).collect()
    }

    fn when_new() -> Self {
        Self::UNLIMITED
    }

    fn check(&self, table: &Table) -> Result<(), Invalid> {
        match table.billing {
            Some(Billing::Provisioned(_) | Billing::External) => {
                let problem = "`max_read` and `max_write` are for on-demand tables, and this table is PROVISIONED";
                Err(Invalid::new(problem, "remove them, or write billing_mode = \"PAY_PER_REQUEST\""))
            }
            Some(Billing::PayPerRequest) | None => Ok(()),
        }
    }

    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        self.compare(live, billed(tables), Field::Setting)
    }

    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<SetLimits> {
        let possible = matches!(billed(tables), Some(Billing::PayPerRequest) | None);
        self.raised_above(live).filter(|_| possible).map(|limits| SetLimits { limits }).into_iter().collect()
    }

    fn opposite(&self) -> Self {
        let other = |units: Option<i64>| units.map(|units| if units == NONE { 1 } else { NONE });
        Self { read: other(self.read), write: other(self.write) }
    }

    fn unmanaged_note(&self) -> Option<String> {
        self.named()
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::option::of;
        use proptest::prelude::*;
        let units = || prop_oneof![Just(NONE), 1i64..1000];
        let both = (of(units()), units()).prop_map(|(read, write)| Self { read, write: Some(write) });
        prop_oneof![both, units().prop_map(|read| Self { read: Some(read), write: None })].boxed()
    }
}

/// Returns the billing mode of the table at the time of the change.
fn billed(tables: &Sides<&Table>) -> Option<Billing> {
    tables.desired.billing.or(tables.live.billing)
}

impl SettingChange for SetLimits {
    // After a switch to on-demand.
    fn phase(&self) -> Phase {
        Phase::Capacity
    }

    fn describe(&self) -> String {
        String::from("changing on-demand limits")
    }
}

impl UpdateTableSetting for Limits {
    fn seen(description: &sdk::TableDescription) -> Self {
        Self::of(description.on_demand_throughput())
    }

    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
        Ok(request.set_on_demand_throughput(self.on_creation()))
    }

    fn update(change: &SetLimits, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
        Ok(request.on_demand_throughput(change.limits.on_update()))
    }

    fn is_made(change: &SetLimits, live: &Self) -> bool {
        change.limits.are(live)
    }
}

//! Warm throughput: the units per second that a table or an index supports immediately.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::setting::{Phase, Setting, SettingChange, UpdateTableSetting, in_place};
use super::{Billing, Field, Table};
use crate::change::{FieldChange, Sides};
use crate::document::{Fields, Reader};
use crate::kind::Line;
use crate::resource::Invalid;

const READ: &str = "warm_read";
const WRITE: &str = "warm_write";

/// AWS's initial value for on-demand tables. Source: "Understanding DynamoDB warm throughput" in the Amazon DynamoDB Developer Guide.
const FIRST: (i64, i64) = (12_000, 4_000);

/// The units per second that a table or an index supports immediately. A desired value is a lower bound, because AWS raises the live value
/// by itself and never lowers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<i64>,
}

impl Warm {
    fn by_key(&self) -> [(&'static str, Option<i64>); 2] {
        [(READ, self.read), (WRITE, self.write)]
    }

    /// Reads AWS's values, if any.
    pub(super) fn of(read: Option<i64>, write: Option<i64>) -> Self {
        Self { read: read.or(Some(FIRST.0)), write: write.or(Some(FIRST.1)) }
    }

    /// Returns whether it exceeds AWS's initial value.
    pub(super) fn is_warmed(&self) -> bool {
        self.read.is_some_and(|read| read > FIRST.0) || self.write.is_some_and(|write| write > FIRST.1)
    }

    pub(super) fn request(&self) -> sdk::WarmThroughput {
        let builder = sdk::WarmThroughput::builder().set_read_units_per_second(self.read);
        builder.set_write_units_per_second(self.write).build()
    }

    /// Returns the values to raise.
    pub(super) fn raised_above(&self, live: &Self) -> Option<Self> {
        let more = |own: Option<i64>, live: Option<i64>| own.filter(|own| live.is_none_or(|live| live < *own));
        let (read, write) = (more(self.read, live.read), more(self.write, live.write));
        (read.is_some() || write.is_some()).then_some(Self { read, write })
    }

    /// Returns the differences where the live throughput is lower.
    pub(super) fn compare(&self, live: &Self, field: impl Fn(&'static str) -> Field) -> Vec<FieldChange<Field>> {
        let Some(raised_above) = self.raised_above(live) else { return Vec::new() };
        let how = "raised in place; AWS charges once, takes minutes, and never lowers it";
        let pairs = raised_above.by_key().into_iter().zip(live.by_key());
        let change = |((key, own), (_, live)): ((&'static str, Option<i64>), (_, Option<i64>))| {
            let before = live.map_or_else(|| String::from("none"), |live| live.to_string());
            Some(in_place(field(key), before, own?.to_string(), how))
        };
        pairs.filter_map(change).collect()
    }

    /// Returns it as a short text, for unmanaged settings.
    pub(super) fn named(&self) -> Option<String> {
        let (read, write) = (self.read.unwrap_or(0), self.write.unwrap_or(0));
        self.is_warmed().then(|| format!("warm throughput of {read} reads and {write} writes"))
    }
}

/// A change of the warm throughput; `None` keeps the current value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetWarm {
    #[serde(flatten)]
    pub warm: Warm,
}

impl Setting for Warm {
    type Change = SetWarm;

    const KEYS: &'static [&'static str] = &[READ, WRITE];
    const MOVES: bool = true;

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let mut one = |key: &'static str| fields.get(key).and_then(|entry| reader.count(&entry.node, key));
        let (read, write) = (one(READ), one(WRITE));
        (read.is_some() || write.is_some()).then_some(Self { read, write })
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        self.by_key().into_iter().filter_map(|(key, units)| Some((key, units?.to_string()))).collect()
    }

    fn schema() -> Vec<Value> {
        let schema = |what: &str| {
            json!({
                "type": "integer",
                "minimum": 1,
                "description": format!(
                    "The minimum warm throughput in {what} units per second: AWS raises it by itself, and never \
                     lowers it."
                ),
            })
        };
        vec![schema("read"), schema("write")]
    }

    fn plan_schema() -> Value {
        json!({
            "type": "object",
            "description": "The minimum warm throughput in units per second.",
            "properties": { "read": { "type": "integer" }, "write": { "type": "integer" } },
        })
    }

    fn describe(&self) -> Vec<Line> {
        self.by_key().into_iter().filter_map(|(key, units)| Some(Line::new(key, units?.to_string()))).collect()
    }

    fn when_new() -> Self {
        Self { read: Some(FIRST.0), write: Some(FIRST.1) }
    }

    fn is_as_new(&self) -> bool {
        !self.is_warmed()
    }

    // Source: DDB-TABLE-442 of the lab notes of ack-api-quirks.
    fn check(&self, table: &Table) -> Result<(), Invalid> {
        let on_demand = matches!(table.billing, Some(Billing::PayPerRequest) | None);
        for (key, own, first) in [(READ, self.read, FIRST.0), (WRITE, self.write, FIRST.1)] {
            if let Some(own) = own.filter(|own| on_demand && *own < first) {
                let problem = format!("`{key}` is {own}, but each on-demand table has at least {first}");
                return Err(Invalid::new(problem, format!("remove it, or set at least {first}")));
            }
        }
        Ok(())
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        self.compare(live, Field::Setting)
    }

    fn repair(&self, live: &Self, _: &Sides<&Table>) -> Vec<SetWarm> {
        self.raised_above(live).map(|warm| SetWarm { warm }).into_iter().collect()
    }

    fn opposite(&self) -> Self {
        Self { read: Some(0), write: Some(0) }
    }

    fn unmanaged_note(&self) -> Option<String> {
        self.named()
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::option::of;
        use proptest::prelude::*;
        let both = (of(FIRST.0..20_000), FIRST.1..20_000).prop_map(|(read, write)| Self { read, write: Some(write) });
        both.boxed()
    }
}

impl SettingChange for SetWarm {
    // It takes AWS minutes.
    fn phase(&self) -> Phase {
        Phase::Late
    }

    fn describe(&self) -> String {
        String::from("raising warm throughput")
    }

    // Source: "Timing you should expect" in the streams and encryption page of the lab notes of ack-api-quirks.
    fn seconds(&self) -> (u64, u64) {
        (440, 520)
    }
}

impl UpdateTableSetting for Warm {
    fn seen(description: &sdk::TableDescription) -> Self {
        let warm = description.warm_throughput();
        Self::of(
            warm.and_then(sdk::TableWarmThroughputDescription::read_units_per_second),
            warm.and_then(sdk::TableWarmThroughputDescription::write_units_per_second),
        )
    }

    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
        Ok(request.warm_throughput(self.request()))
    }

    fn update(change: &SetWarm, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
        Ok(request.warm_throughput(change.warm.request()))
    }

    fn is_made(change: &SetWarm, live: &Self) -> bool {
        change.warm.raised_above(live).is_none()
    }
}

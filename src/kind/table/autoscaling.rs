//! Autoscaling: Application Auto Scaling adjusts the capacity of a table, or of an index, within limits. Source of the rules: "Managing
//! throughput capacity automatically with DynamoDB auto scaling" in the Amazon DynamoDB Developer Guide, and the findings DDB-TABLE-189 to
//! 198, 237 to 243 and 314 to 323 in the lab notes of ack-api-quirks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::scales::{Bounds, DEFAULT_TARGET, Scale, Scales, Units};
use super::scaling_calls::{self, DEREGISTER_TARGET, DESCRIBE_POLICIES, DESCRIBE_TARGETS, PUT_POLICY, REGISTER_TARGET};
use super::setting::{Phase, SeparateSetting, Setting, SettingChange, in_place};
use super::{Billing, Field, Index, Table, TableApi};
use crate::change::{FieldChange, Sides};
use crate::document::{Fields, Reader};
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Operation};
use crate::resource::{Invalid, StepOutcome};

pub(super) const KEY: &str = "autoscaling";

/// Settings of a live scaling policy that no manifest can express. A change of the policy keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedScaling {
    /// The name of the policy in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in_cooldown: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_out_cooldown: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_scale_in: Option<bool>,
}

/// A scalable dimension: the read or write units of the table, or of an index.
pub(super) type Dimension = (Option<String>, Units);

/// The autoscaling of a table and its indexes, as managed or as read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaling {
    #[serde(default)]
    pub table: Scales,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub indexes: BTreeMap<String, Scales>,
    /// Whether the autoscaling of all indexes is read, regardless of their names.
    #[serde(skip)]
    pub whole: bool,
    #[serde(skip)]
    pub(super) kept: BTreeMap<Dimension, UnsupportedScaling>,
    /// Settings that no manifest can express, as text.
    #[serde(skip)]
    pub(super) more: Vec<String>,
}

impl Autoscaling {
    /// Returns all dimensions, starting with those of the table, which have no index name.
    pub(super) fn all(&self) -> impl Iterator<Item = (Dimension, Scale)> {
        let table = self.table.all().map(|(units, scale)| ((None, units), scale));
        let indexes = self
            .indexes
            .iter()
            .flat_map(|(index, scales)| scales.all().map(move |(units, scale)| ((Some(index.clone()), units), scale)));
        table.chain(indexes)
    }

    /// Returns the scale of a dimension. One that was not read is off.
    fn of(&self, (index, units): &Dimension) -> Scale {
        let scales = match index {
            None => Some(self.table),
            Some(index) => self.indexes.get(index).copied(),
        };
        scales.and_then(|scales| scales.of(*units)).unwrap_or(Scale::Off)
    }

    /// Returns the dimensions of indexes that will be deleted.
    fn of_deleted_indexes(&self, tables: &Sides<&Table>) -> impl Iterator<Item = (Dimension, Scale)> {
        let wanted = tables.desired.indexes.as_ref();
        let goes = move |index: &String| wanted.is_some_and(|wanted| !wanted.contains_key(index));
        self.all().filter(move |(one, scale)| *scale != Scale::Off && one.0.as_ref().is_some_and(goes))
    }

    /// Returns the steps that turn off all autoscaling of a table that will be deleted.
    pub(super) fn removal(&self) -> impl Iterator<Item = (FieldChange<Field>, SetScale)> {
        let is_on = self.all().filter(|(_, scale)| *scale != Scale::Off);
        is_on.map(|(one, found)| {
            let how = "deregistered before the table is deleted, because AWS would keep it";
            let change = in_place(field(&one), describe(one.1, found), describe(one.1, Scale::Off), how);
            (
                change,
                SetScale { index_name: one.0, units: one.1, scale: Scale::Off, kept: UnsupportedScaling::default() },
            )
        })
    }

    /// Returns the changes that turn off the autoscaling of writes.
    pub(super) fn write_scaling_removals(&self) -> impl Iterator<Item = SetScale> {
        let is_on = self.all().filter(|((_, units), scale)| *units == Units::Write && *scale != Scale::Off);
        is_on.map(|(one, _)| SetScale {
            index_name: one.0,
            units: one.1,
            scale: Scale::Off,
            kept: UnsupportedScaling::default(),
        })
    }

    /// Returns whether autoscaling adjusts these units of the table or an index.
    pub(super) fn scales(&self, index: Option<&str>, units: Units) -> bool {
        self.of(&(index.map(str::to_owned), units)) != Scale::Off
    }

    /// Returns whether autoscaling adjusts the capacity of an index.
    pub(super) fn moves(&self, index: &str) -> bool {
        self.indexes.get(index).is_some_and(|scales| scales.is_on())
    }

    /// Returns the initial capacity of a new table or index: the minimum of its autoscaling.
    pub(super) fn least(&self, index: Option<&str>) -> (Option<i64>, Option<i64>) {
        let scales = match index {
            None => self.table,
            Some(index) => self.indexes.get(index).copied().unwrap_or_default(),
        };
        let least = |units| scales.bounds(units).map(|bounds| bounds.min);
        (least(Units::Read), least(Units::Write))
    }
}

/// A change of autoscaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetScale {
    /// The index, or `None` for the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_name: Option<String>,
    pub units: Units,
    pub scale: Scale,
    #[serde(default)]
    pub kept: UnsupportedScaling,
}

fn field((index, _): &Dimension) -> Field {
    index.as_ref().map_or(Field::Setting(KEY), |index| Field::IndexSetting(index.clone(), KEY))
}

fn describe(units: Units, scale: Scale) -> String {
    match scale {
        Scale::Off => format!("{units} off"),
        Scale::Within(Bounds { min, max, target }) => {
            let target = target.map_or_else(|| String::from("without a policy"), |at| format!("at {} %", at.percent()));
            format!("{units} {min} to {max} {target}")
        }
    }
}

impl Setting for Autoscaling {
    type Change = SetScale;

    const KEYS: &'static [&'static str] = &[KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let table = fields.get(KEY).and_then(|entry| Scales::read(reader, &entry.node))?;
        Some(Self { table, ..Self::default() })
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        let is_managed = self.table != Scales::default();
        is_managed.then(|| (KEY, self.table.write())).into_iter().collect()
    }

    fn schema() -> Vec<Value> {
        vec![Scales::schema()]
    }

    fn plan_schema() -> Value {
        let bounds = json!({
            "type": "object",
            "properties": {
                "min": { "type": "integer" },
                "max": { "type": "integer" },
                "target": { "type": "integer", "description": "In thousandths of a percent." },
            },
            "required": ["min", "max"],
        });
        let within = json!({ "type": "object", "properties": { "within": bounds }, "required": ["within"] });
        let scale = json!({ "oneOf": [{ "const": "off" }, within] });
        let scales = json!({ "type": "object", "properties": { "read": scale, "write": scale } });
        json!({
            "type": "object",
            "properties": { "table": scales, "indexes": { "type": "object", "additionalProperties": scales } },
        })
    }

    fn describe(&self) -> Vec<Line> {
        // Reads and writes are one setting.
        let mut lines: Vec<(Field, String)> = Vec::new();
        for (one, scale) in self.all() {
            let (field, text) = (field(&one), describe(one.1, scale));
            match lines.last_mut() {
                Some((last, line)) if *last == field => *line = format!("{line}, {text}"),
                _ => lines.push((field, text)),
            }
        }
        lines.into_iter().map(|(field, text)| Line::new(field.to_string(), text)).collect()
    }

    fn when_new() -> Self {
        let off = Scales { read: Some(Scale::Off), write: Some(Scale::Off) };
        Self { table: off, ..Self::default() }
    }

    fn everything() -> Self {
        Self { whole: true, ..Self::when_new() }
    }

    fn without_defaults(self) -> Option<Self> {
        // A scale that no manifest can express is not managed.
        let is_plain = |scale: &Scale| match scale {
            Scale::Within(Bounds { target: Some(target), .. }) => target.is_plain(),
            Scale::Within(_) | Scale::Off => false,
        };
        let plain =
            |scales: Scales| Scales { read: scales.read.filter(is_plain), write: scales.write.filter(is_plain) };
        let table = plain(self.table);
        let indexes = self.indexes.into_iter().map(|(index, scales)| (index, plain(scales)));
        let indexes: BTreeMap<_, _> = indexes.filter(|(_, scales)| scales.is_on()).collect();
        (table.is_on() || !indexes.is_empty()).then_some(Self { table, indexes, ..Self::default() })
    }

    fn check(&self, table: &Table) -> Result<(), Invalid> {
        let is_on = self.all().any(|(_, scale)| scale != Scale::Off);
        match table.billing {
            Some(Billing::PayPerRequest) if is_on => Err(Invalid::new(
                "an on-demand table has no capacity to scale",
                "add billing_mode = \"PROVISIONED\", or remove autoscaling",
            )),
            Some(Billing::Provisioned(_)) if self.table.is_on() => Err(Invalid::new(
                "the table has both a capacity and autoscaling",
                "remove read_capacity and write_capacity: autoscaling sets them",
            )),
            _ => Ok(()),
        }
    }

    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        let change = |(one, wanted): (Dimension, Scale)| {
            let found = live.of(&one);
            let how = match (found, wanted) {
                (_, Scale::Off) => "turned off in place; the capacity stays as it is",
                (Scale::Off, _) => "turned on in place",
                _ => "changed in place",
            };
            (found != wanted).then(|| in_place(field(&one), describe(one.1, found), describe(one.1, wanted), how))
        };
        let parts = live.of_deleted_indexes(tables).map(|(one, found)| {
            let how = "deregistered with the index, because AWS would keep it";
            in_place(field(&one), describe(one.1, found), describe(one.1, Scale::Off), how)
        });
        self.all().filter_map(change).chain(parts).collect()
    }

    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<SetScale> {
        let is_new = |one: &Dimension| one.0.as_ref().is_some_and(|index| Index::is_built(index, tables));
        // A target that remains from a deleted index of the same name is registered again, since AWS does not use it before that. Source:
        // DDB-TABLE-292 in the lab notes of ack-api-quirks.
        let differs =
            |(one, wanted): &(Dimension, Scale)| live.of(one) != *wanted || (is_new(one) && *wanted != Scale::Off);
        let change = |(one, scale): (Dimension, Scale)| {
            let kept = live.kept.get(&one).cloned().unwrap_or_default();
            SetScale { index_name: one.0, units: one.1, scale, kept }
        };
        let of_deleted_indexes = live.of_deleted_indexes(tables).map(|(one, _)| (one, Scale::Off));
        of_deleted_indexes.chain(self.all().filter(differs)).map(change).collect()
    }

    fn opposite(&self) -> Self {
        let other = |scale: Scale| match scale {
            Scale::Off => Scale::Within(Bounds { min: 1, max: 10, target: Some(DEFAULT_TARGET) }),
            Scale::Within(_) => Scale::Off,
        };
        let indexes = self.indexes.iter().map(|(name, scales)| (name.clone(), scales.map(other))).collect();
        Self { table: self.table.map(other), indexes, ..Self::default() }
    }

    fn unsupported(&self) -> Vec<String> {
        self.more.clone()
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        Scales::any().prop_map(|table| Self { table, ..Self::default() }).boxed()
    }
}

impl SettingChange for SetScale {
    fn phase(&self) -> Phase {
        match self.scale {
            // Turned off before the capacity is set, which it would change, and before an index is deleted.
            Scale::Off => Phase::Settings,
            Scale::Within(_) => Phase::Follow,
        }
    }

    fn describe(&self) -> String {
        let of = self.index_name.as_ref().map(|index| format!(" of index {index}")).unwrap_or_default();
        let units = self.units;
        match self.scale {
            Scale::Off => format!("disabling autoscaling of {units} capacity{of}"),
            Scale::Within(Bounds { min, max, .. }) => format!("scaling {units} capacity{of} between {min} and {max}"),
        }
    }

    fn seconds(&self) -> (u64, u64) {
        (1, 5)
    }
}

impl SeparateSetting for Autoscaling {
    const READS: &'static [Operation] = &[DESCRIBE_TARGETS, DESCRIBE_POLICIES];

    fn calls(&self) -> usize {
        // One call for the targets, one for the policies of the table, and one for those of each index.
        2 + self.indexes.len()
    }

    async fn observe(&self, api: &TableApi, name: &str) -> Result<Self, CallError> {
        scaling_calls::observe(self, api, name).await
    }

    fn operations(change: &SetScale) -> &'static [Operation] {
        match change.scale {
            Scale::Off => &[DEREGISTER_TARGET],
            Scale::Within(_) => &[REGISTER_TARGET, PUT_POLICY],
        }
    }

    async fn make(change: &SetScale, api: &TableApi, _: Waiting, name: &str) -> Result<StepOutcome, CallError> {
        scaling_calls::make(change, api, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::table::Target;

    fn within(min: i64, max: i64, percent: Option<u32>) -> Scale {
        Scale::Within(Bounds { min, max, target: percent.map(|percent| Target(percent * 1000)) })
    }

    fn table(read: Option<Scale>, write: Option<Scale>) -> Autoscaling {
        Autoscaling { table: Scales { read, write }, ..Autoscaling::default() }
    }

    #[test]
    fn each_scaling_change_keeps_unsupported_settings() {
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let desired = table(Some(within(1, 10, Some(70))), Some(Scale::Off));
        let mut live = table(Some(within(1, 10, Some(60))), Some(within(1, 5, None)));
        let kept = UnsupportedScaling {
            name: Some(String::from("mine")),
            scale_in_cooldown: Some(60),
            ..UnsupportedScaling::default()
        };
        live.kept.insert((None, Units::Read), kept.clone());
        let changes = desired.repair(&live, &tables);
        assert_eq!(changes.len(), desired.diff(&live, &tables).len());
        assert_eq!(changes.iter().map(|change| change.units).collect::<Vec<_>>(), [Units::Read, Units::Write]);
        assert_eq!((&changes[0].kept, changes[1].scale), (&kept, Scale::Off));
        // Only reads are managed.
        assert!(table(Some(within(1, 10, Some(60))), None).repair(&live, &tables).is_empty());
        // An index that was not read is off.
        let index =
            Autoscaling { indexes: BTreeMap::from([(String::from("i"), desired.table)]), ..Autoscaling::default() };
        assert_eq!(index.repair(&Autoscaling::default(), &tables).len(), 1);
    }

    #[test]
    fn the_baseline_has_one_line_for_each_part_of_a_table() {
        let scales = Scales { read: Some(within(1, 10, Some(70))), write: Some(Scale::Off) };
        let all =
            Autoscaling { table: scales, indexes: [(String::from("i"), scales)].into(), ..Autoscaling::default() };
        let lines: Vec<String> =
            all.describe().into_iter().map(|line| format!("{}: {}", line.name, line.text)).collect();
        let expected = "read 1 to 10 at 70 %, write off";
        assert_eq!(lines, [format!("autoscaling: {expected}"), format!("index i autoscaling: {expected}")]);
    }

    #[test]
    fn autoscaling_needs_capacity_that_the_manifest_does_not_set() {
        let scaled = table(Some(within(1, 10, Some(70))), None);
        let paid = |billing| scaled.check(&Table { billing: Some(billing), ..Table::default() });
        assert!(paid(Billing::PayPerRequest).unwrap_err().problem.contains("on-demand"));
        let units = crate::kind::table::Capacity { read: 1, write: 1 };
        assert!(paid(Billing::Provisioned(units)).unwrap_err().problem.contains("both"));
        assert_eq!(paid(Billing::External), Ok(()));
        assert_eq!(scaled.least(None), (Some(1), None));
    }

    #[test]
    fn an_import_omits_unsupported_scaling_settings() {
        let live = table(Some(within(1, 10, None)), Some(within(1, 10, Some(70))));
        assert_eq!(live.without_defaults(), Some(table(None, Some(within(1, 10, Some(70))))));
        let odd = Scale::Within(Bounds { min: 1, max: 2, target: Some(Target::of_percent(70.5)) });
        assert_eq!(table(Some(odd), Some(Scale::Off)).without_defaults(), None);
    }
}

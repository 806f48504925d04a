//! The scaling limits of a table or an index: reading, writing, and their schema.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::autoscaling::KEY;
use crate::document::{self, Node, Reader};

/// The default target utilization. Source: the default of the DynamoDB console.
pub(super) const DEFAULT_TARGET: Target = Target(70_000);
/// The range of the target utilization in percent.
pub(super) const TARGETS: std::ops::RangeInclusive<i64> = 20..=90;

/// The units that are scaled.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Units {
    Read,
    Write,
}

/// The target utilization, in thousandths of a percent of the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target(pub u32);

impl Target {
    /// The default target utilization.
    pub(super) const DEFAULT: Self = DEFAULT_TARGET;

    /// Returns whether a manifest can express it as whole percent.
    pub(super) fn is_plain(self) -> bool {
        self.0.is_multiple_of(1000) && TARGETS.contains(&i64::from(self.0 / 1000))
    }

    pub(super) fn percent(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Reads AWS's value.
    pub(super) fn of_percent(percent: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a percentage fits, and is not negative"
        )]
        Self((percent.clamp(0.0, 1000.0) * 1000.0).round() as u32)
    }
}

/// The limits of the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: i64,
    pub max: i64,
    /// `None` if there is no scaling policy. Only in live state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

/// Whether capacity is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    Off,
    Within(Bounds),
}

/// The autoscaling of a table or an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scales {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Scale>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Scale>,
}

impl Scales {
    pub(super) fn of(self, units: Units) -> Option<Scale> {
        match units {
            Units::Read => self.read,
            Units::Write => self.write,
        }
    }

    pub(super) fn all(self) -> impl Iterator<Item = (Units, Scale)> {
        let both = <Units as strum::VariantArray>::VARIANTS.iter();
        both.filter_map(move |units| Some((*units, self.of(*units)?)))
    }

    pub(super) fn map(self, change: impl Fn(Scale) -> Scale) -> Self {
        Self { read: self.read.map(&change), write: self.write.map(&change) }
    }

    /// Returns the limits for these units.
    pub(super) fn bounds(self, units: Units) -> Option<Bounds> {
        match self.of(units) {
            Some(Scale::Within(bounds)) => Some(bounds),
            Some(Scale::Off) | None => None,
        }
    }

    /// Returns whether any units are scaled.
    pub(super) fn is_on(self) -> bool {
        self.all().any(|(_, scale)| scale != Scale::Off)
    }

    pub(super) fn set(&mut self, units: Units, scale: Scale) {
        match units {
            Units::Read => self.read = Some(scale),
            Units::Write => self.write = Some(scale),
        }
    }

    /// Reads limits for reads and writes, or `false` for off.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Self> {
        match &node.value {
            document::Value::Bool(false) => Some(Self { read: Some(Scale::Off), write: Some(Scale::Off) }),
            document::Value::Map(_) => {
                let mut fields = reader.map(node, KEY)?;
                let mut part = |name: &'static str| fields.get(name).map(|entry| read_scale(reader, &entry.node, name));
                let (read, write) = (part("read"), part("write"));
                if read.is_none() && write.is_none() {
                    let help = "write autoscaling = { read = { min = 5, max = 100 }, write = { min = 5, max = 100 } }";
                    reader.fault(node.span.clone(), "`autoscaling` has neither read nor write", "empty", help);
                }
                fields.finish(reader);
                Some(Self { read: read.flatten(), write: write.flatten() })
            }
            _ => {
                reader.wrong_type(node, KEY, "{ read = { … }, write = { … } }, or false for none");
                None
            }
        }
    }

    /// Returns it as TOML.
    pub(super) fn write(self) -> String {
        if (self.read, self.write) == (Some(Scale::Off), Some(Scale::Off)) {
            return String::from("false");
        }
        let part = |(units, scale): (Units, Scale)| match scale {
            Scale::Off => format!("{units} = false"),
            Scale::Within(Bounds { min, max, target }) => {
                let target = target.map(|target| format!(", target = {}", target.0 / 1000)).unwrap_or_default();
                format!("{units} = {{ min = {min}, max = {max}{target} }}")
            }
        };
        format!("{{ {} }}", self.all().map(part).collect::<Vec<_>>().join(", "))
    }

    pub(super) fn schema() -> Value {
        let scale = json!({
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "min": { "type": "integer", "minimum": 1 },
                        "max": { "type": "integer", "minimum": 1 },
                        "target": {
                            "type": "integer",
                            "minimum": 20,
                            "maximum": 90,
                            "description": "The percentage of the capacity to use; 70 by default.",
                        },
                    },
                    "required": ["min", "max"],
                    "additionalProperties": false,
                },
                { "const": false },
            ],
        });
        json!({
            "description": "The bounds of the capacity; false for no autoscaling.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": { "read": scale, "write": scale },
                    "minProperties": 1,
                    "additionalProperties": false,
                },
                { "const": false },
            ],
        })
    }

    #[cfg(test)]
    pub(super) fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;
        let target = (20u32..=90).prop_map(|percent| Some(Target(percent * 1000)));
        let bounds = (1i64..40_000, 0i64..40_000, target)
            .prop_map(|(min, more, target)| Scale::Within(Bounds { min, max: min + more, target }));
        let scale = || prop_oneof![Just(Scale::Off), bounds.clone()];
        (scale(), proptest::option::of(scale())).prop_map(|(read, write)| Self { read: Some(read), write }).boxed()
    }
}

fn read_scale(reader: &mut Reader<'_>, node: &Node, what: &'static str) -> Option<Scale> {
    if matches!(node.value, document::Value::Bool(false)) {
        return Some(Scale::Off);
    }
    if !matches!(node.value, document::Value::Map(_)) {
        reader.wrong_type(node, what, "{ min = 5, max = 100, target = 70 }, or false for none");
        return None;
    }
    let mut fields = reader.map(node, what)?;
    let help = "write { min = 5, max = 100 }: the minimum and maximum units per second";
    let mut count = |name| fields.required(reader, name, help).and_then(|entry| reader.count(&entry.node, name));
    let (min, max) = (count("min"), count("max"));
    let target = match fields.get("target") {
        None => Some(DEFAULT_TARGET),
        Some(entry) => read_target(reader, &entry.node),
    };
    fields.finish(reader);
    let (min, max, target) = (min?, max?, target?);
    if max < min {
        let message = format!("the max of `{what}` is {max}, which is less than its min of {min}");
        reader.fault(node.span.clone(), message, "max below min", "make max at least min");
        return None;
    }
    Some(Scale::Within(Bounds { min, max, target: Some(target) }))
}

fn read_target(reader: &mut Reader<'_>, node: &Node) -> Option<Target> {
    let document::Value::Integer(percent) = node.value else {
        reader.wrong_type(node, "target", "an integer percentage");
        return None;
    };
    let target = Some(percent).filter(|percent| TARGETS.contains(percent)).and_then(|one| u32::try_from(one).ok());
    if target.is_none() {
        let message = format!("`target` cannot be {percent}");
        reader.fault(node.span.clone(), message, "out of range", "DynamoDB accepts 20 to 90 percent");
    }
    target.map(|percent| Target(percent * 1000))
}

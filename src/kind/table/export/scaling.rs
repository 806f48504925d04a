//! The scalable targets and scaling policies of a table and its indexes, with the names that the AWS console and Sentinel use.

use crate::kind::table::{Autoscaling, Bounds, Scale, Table, Target, Units, UnsupportedScaling};

/// One scalable dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scaled {
    pub(super) index: Option<String>,
    pub(super) units: Units,
    pub(super) bounds: Bounds,
    /// The ID of the table or index in Application Auto Scaling.
    pub(super) resource: String,
    pub(super) dimension: &'static str,
    pub(super) metric: &'static str,
}

impl Scaled {
    /// Returns the name of its scaling policy.
    pub(super) fn policy(&self) -> String {
        format!("{}:{}", self.metric, self.resource)
    }

    /// Returns the target utilization in percent.
    pub(super) fn target(&self) -> f64 {
        self.bounds.target.unwrap_or(Target::DEFAULT).percent()
    }

    /// Returns its word in a name, such as `Read`.
    pub(super) fn word(&self) -> &'static str {
        match self.units {
            Units::Read => "Read",
            Units::Write => "Write",
        }
    }

    /// Returns the settings of a live policy that no manifest can express, which are kept.
    pub(super) fn kept(&self, live: &Table) -> Option<UnsupportedScaling> {
        live.settings.autoscaling.as_ref()?.kept.get(&(self.index.clone(), self.units)).cloned()
    }

    /// Returns whether live autoscaling adjusts it.
    pub(super) fn is_live(&self, live: &Table) -> bool {
        let all = live.settings.autoscaling.as_ref();
        let on = |(one, scale): ((Option<String>, Units), Scale)| {
            one == (self.index.clone(), self.units) && scale != Scale::Off
        };
        all.is_some_and(|all| all.all().any(on))
    }
}

/// Returns the scalable dimensions of a table and its indexes.
pub(super) fn scaled(name: &str, table: &Table) -> Vec<Scaled> {
    let all = table.settings.autoscaling.iter().flat_map(Autoscaling::all);
    let one = |((index, units), scale): ((Option<String>, Units), Scale)| {
        let Scale::Within(bounds) = scale else { return None };
        let resource = match &index {
            None => format!("table/{name}"),
            Some(index) => format!("table/{name}/index/{index}"),
        };
        let (dimension, metric) = match (&index, units) {
            (None, Units::Read) => ("dynamodb:table:ReadCapacityUnits", "DynamoDBReadCapacityUtilization"),
            (None, Units::Write) => ("dynamodb:table:WriteCapacityUnits", "DynamoDBWriteCapacityUtilization"),
            (Some(_), Units::Read) => ("dynamodb:index:ReadCapacityUnits", "DynamoDBReadCapacityUtilization"),
            (Some(_), Units::Write) => ("dynamodb:index:WriteCapacityUnits", "DynamoDBWriteCapacityUtilization"),
        };
        Some(Scaled { index, units, bounds, resource, dimension, metric })
    };
    all.filter_map(one).collect()
}

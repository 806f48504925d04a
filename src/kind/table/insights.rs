//! Contributor insights: the most used or throttled keys of a table or an index. Source of the rules: "Using CloudWatch Contributor
//! Insights for DynamoDB" in the Amazon DynamoDB Developer Guide, and the findings DDB-TABLE-089 to 116 and 337 to 344 in the lab notes of
//! ack-api-quirks.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types as sdk;
use futures_util::future;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{SETTLING, failed};
use super::polling::Polling;
use super::setting::{Phase, SeparateSetting, Setting, SettingChange, in_place};
use super::{Field, Index, Table, TableApi};
use crate::change::{FieldChange, Sides};
use crate::document::write::quoted;
use crate::document::{self, Fields, Node, Reader};
use crate::kind::{Line, Waiting};
use crate::resource::StepOutcome;
use crate::resource::call::{CallError, Class, Operation, operation};
use crate::resource::pages::Pages;

const DESCRIBE_INSIGHTS: Operation = operation!("dynamodb", "DescribeContributorInsights", 10.0, 10.0);
const LIST_INSIGHTS: Operation = operation!("dynamodb", "ListContributorInsights", 10.0, 10.0);
const UPDATE_INSIGHTS: Operation = operation!("dynamodb", "UpdateContributorInsights", 5.0, 5.0);

pub(super) const KEY: &str = "contributor_insights";

/// The mode of contributor insights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(const_into_str)]
pub enum Tracking {
    #[strum(serialize = "off")]
    Off,
    #[strum(serialize = "ACCESSED_AND_THROTTLED_KEYS")]
    AccessedAndThrottledKeys,
    #[strum(serialize = "THROTTLED_KEYS")]
    ThrottledKeys,
    /// AWS could not turn it on. Only in live state.
    #[strum(serialize = "FAILED")]
    Failed,
}

impl Tracking {
    const MODES: &[(&str, Self)] = &[
        (Self::AccessedAndThrottledKeys.as_str(), Self::AccessedAndThrottledKeys),
        (Self::ThrottledKeys.as_str(), Self::ThrottledKeys),
    ];

    pub(super) const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Reads a mode, or `false` for off.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Self> {
        match &node.value {
            document::Value::Bool(false) => Some(Self::Off),
            document::Value::String(_) => reader.choice(node, KEY, Self::MODES),
            _ => {
                reader.wrong_type(node, KEY, "\"ACCESSED_AND_THROTTLED_KEYS\", \"THROTTLED_KEYS\", or false for none");
                None
            }
        }
    }

    /// Returns it as TOML.
    pub(super) fn write(self) -> String {
        if self == Self::Off { String::from("false") } else { quoted(self.as_str()) }
    }

    pub(super) fn schema() -> Value {
        json!({
            "enum": ["ACCESSED_AND_THROTTLED_KEYS", "THROTTLED_KEYS", false],
            "description": "Which of the most used or throttled keys CloudWatch tracks; false turns it off.",
        })
    }

    fn of(status: Option<&sdk::ContributorInsightsStatus>, mode: Option<&sdk::ContributorInsightsMode>) -> Self {
        use sdk::ContributorInsightsStatus::{Enabled, Enabling, Failed};
        match (status, mode) {
            (Some(Enabled | Enabling), Some(sdk::ContributorInsightsMode::ThrottledKeys)) => Self::ThrottledKeys,
            (Some(Enabled | Enabling), _) => Self::AccessedAndThrottledKeys,
            (Some(Failed), _) => Self::Failed,
            _ => Self::Off,
        }
    }

    #[cfg(test)]
    pub(super) fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        proptest::sample::select(vec![Self::Off, Self::AccessedAndThrottledKeys, Self::ThrottledKeys]).boxed()
    }
}

/// The insights of a table and its indexes, as managed or as read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insights {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Tracking>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub indexes: BTreeMap<String, Tracking>,
    /// Whether the insights of all indexes are read, regardless of their names.
    #[serde(skip)]
    pub whole: bool,
}

impl Insights {
    /// Returns all of them, starting with that of the table, which has no index name.
    pub(super) fn all(&self) -> impl Iterator<Item = (Option<&str>, Tracking)> {
        let table = self.table.iter().map(|one| (None, *one));
        table.chain(self.indexes.iter().map(|(name, one)| (Some(name.as_str()), *one)))
    }

    /// Returns the insights of the table or an index. One that was not read is off.
    fn of(&self, index: Option<&str>) -> Tracking {
        let found = match index {
            None => self.table,
            Some(index) => self.indexes.get(index).copied(),
        };
        found.unwrap_or(Tracking::Off)
    }
}

/// A change of contributor insights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetInsights {
    /// The index, or `None` for the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_name: Option<String>,
    pub tracking: Tracking,
}

/// Returns the field for the insights of the table or an index.
fn field(index: Option<&str>) -> Field {
    index.map_or(Field::Setting(KEY), |index| Field::IndexSetting(index.to_owned(), KEY))
}

impl Setting for Insights {
    type Change = SetInsights;

    const KEYS: &'static [&'static str] = &[KEY];

    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let table = fields.get(KEY).and_then(|entry| Tracking::read(reader, &entry.node))?;
        Some(Self { table: Some(table), ..Self::default() })
    }

    fn write(&self) -> Vec<(&'static str, String)> {
        self.table.iter().map(|table| (KEY, table.write())).collect()
    }

    fn schema() -> Vec<Value> {
        vec![Tracking::schema()]
    }

    fn plan_schema() -> Value {
        let tracking = json!({ "enum": ["off", "accessed_and_throttled_keys", "throttled_keys", "failed"] });
        json!({
            "type": "object",
            "properties": { "table": tracking, "indexes": { "type": "object", "additionalProperties": tracking } },
        })
    }

    fn describe(&self) -> Vec<Line> {
        self.all().map(|(index, tracking)| Line::new(field(index).to_string(), tracking.as_str())).collect()
    }

    fn when_new() -> Self {
        Self { table: Some(Tracking::Off), ..Self::default() }
    }

    fn everything() -> Self {
        Self { whole: true, ..Self::when_new() }
    }

    fn without_defaults(self) -> Option<Self> {
        let is_on = |tracking: &Tracking| !matches!(tracking, Tracking::Off | Tracking::Failed);
        let table = self.table.filter(is_on);
        let indexes: BTreeMap<_, _> = self.indexes.into_iter().filter(|(_, tracking)| is_on(tracking)).collect();
        (table.is_some() || !indexes.is_empty()).then_some(Self { table, indexes, whole: false })
    }

    fn diff(&self, live: &Self, _: &Sides<&Table>) -> Vec<FieldChange<Field>> {
        let change = |(index, wanted): (Option<&str>, Tracking)| {
            let found = live.of(index);
            let how = match (found, wanted) {
                (Tracking::Failed, Tracking::Off) => "turned off in place",
                (Tracking::Failed, _) => "AWS could not turn it on: turned on again",
                (Tracking::Off, _) => "turned on in place",
                (_, Tracking::Off) => "turned off in place",
                _ => "changed in place",
            };
            (found != wanted).then(|| in_place(field(index), found.as_str(), wanted.as_str(), how))
        };
        self.all().filter_map(change).collect()
    }

    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<SetInsights> {
        // A rebuilt index has no insights.
        let found = |index: Option<&str>| match index.is_some_and(|index| Index::is_built(index, tables)) {
            true => Tracking::Off,
            false => live.of(index),
        };
        let differs = self.all().filter(|(index, wanted)| found(*index) != *wanted);
        differs.map(|(index, tracking)| SetInsights { index_name: index.map(str::to_owned), tracking }).collect()
    }

    fn opposite(&self) -> Self {
        let other = |tracking: Tracking| match tracking {
            Tracking::Off | Tracking::Failed => Tracking::ThrottledKeys,
            Tracking::AccessedAndThrottledKeys | Tracking::ThrottledKeys => Tracking::Off,
        };
        let indexes = self.indexes.iter().map(|(name, tracking)| (name.clone(), other(*tracking))).collect();
        Self { table: self.table.map(other), indexes, whole: false }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::strategy::Strategy;
        // The insights of indexes are in the sections of the indexes.
        Tracking::any().prop_map(|table| Self { table: Some(table), ..Self::default() }).boxed()
    }
}

impl SettingChange for SetInsights {
    fn phase(&self) -> Phase {
        Phase::Follow
    }

    fn describe(&self) -> String {
        let of = self.index_name.as_ref().map(|index| format!(" of index {index}")).unwrap_or_default();
        match self.tracking {
            Tracking::Off | Tracking::Failed => format!("disabling contributor insights{of}"),
            tracking => format!("setting contributor insights{of} to {}", tracking.as_str()),
        }
    }

    fn seconds(&self) -> (u64, u64) {
        (1, 16)
    }
}

impl SeparateSetting for Insights {
    const READS: &'static [Operation] = &[DESCRIBE_INSIGHTS];

    fn calls(&self) -> usize {
        self.all().count()
    }

    async fn observe(&self, api: &TableApi, name: &str) -> Result<Self, CallError> {
        if self.whole {
            return list(api, name).await;
        }
        let reads = self.all().map(|(index, _)| async move {
            match describe(api, name, index, &[]).await {
                Ok(found) => Ok((index, found.tracking)),
                // The index or the table does not exist yet.
                Err(error) if error.class == Class::NotFound => Ok((index, Tracking::Off)),
                Err(error) => Err(error),
            }
        });
        let mut live = Self::default();
        for (index, tracking) in future::try_join_all(reads).await? {
            match index {
                None => live.table = Some(tracking),
                Some(index) => drop(live.indexes.insert(index.to_owned(), tracking)),
            }
        }
        Ok(live)
    }

    fn operations(_: &SetInsights) -> &'static [Operation] {
        &[UPDATE_INSIGHTS, DESCRIBE_INSIGHTS]
    }

    /// Waits for an earlier change of the insights, makes a change, and waits until it takes effect.
    async fn make(
        change: &SetInsights,
        api: &TableApi,
        waiting: Waiting,
        name: &str,
    ) -> Result<StepOutcome, CallError> {
        let index = change.index_name.as_deref();
        settled(api, waiting, name, index).await?;
        let (action, mode) = match change.tracking {
            Tracking::Off | Tracking::Failed => (sdk::ContributorInsightsAction::Disable, None),
            Tracking::AccessedAndThrottledKeys => {
                (sdk::ContributorInsightsAction::Enable, Some(sdk::ContributorInsightsMode::AccessedAndThrottledKeys))
            }
            Tracking::ThrottledKeys => {
                (sdk::ContributorInsightsAction::Enable, Some(sdk::ContributorInsightsMode::ThrottledKeys))
            }
        };
        let call = || {
            let request = api.client.update_contributor_insights().table_name(name);
            let request = request.set_index_name(index.map(str::to_owned)).set_contributor_insights_mode(mode.clone());
            request.contributor_insights_action(action.clone()).send()
        };
        api.pacer.call(UPDATE_INSIGHTS, SETTLING, call).await?;
        let found = settled(api, waiting, name, index).await?;
        match found.tracking {
            Tracking::Failed => {
                let message = format!("AWS could not turn contributor insights on: {}", found.why);
                Err(failed(UPDATE_INSIGHTS, Class::Rejected, message))
            }
            _ => Ok(StepOutcome::Done),
        }
    }
}

/// The state of insights.
struct Seen {
    tracking: Tracking,
    /// Whether a change is in progress.
    is_settling: bool,
    /// The reason for a failure.
    why: String,
}

async fn describe(api: &TableApi, name: &str, index: Option<&str>, passes: &[Class]) -> Result<Seen, CallError> {
    let call = || {
        let request = api.client.describe_contributor_insights().table_name(name);
        request.set_index_name(index.map(str::to_owned)).send()
    };
    let found = api.pacer.call(DESCRIBE_INSIGHTS, passes, call).await?;
    use sdk::ContributorInsightsStatus::{Disabling, Enabling};
    let is_settling = matches!(found.contributor_insights_status(), Some(Enabling | Disabling));
    let why = found.failure_exception().map(|failure| {
        let part = |text: Option<&str>| text.unwrap_or_default().to_owned();
        format!("{}: {}", part(failure.exception_name()), part(failure.exception_description()))
    });
    Ok(Seen {
        tracking: Tracking::of(found.contributor_insights_status(), found.contributor_insights_mode()),
        is_settling,
        why: why.unwrap_or_else(|| String::from("AWS gives no reason")),
    })
}

/// Waits until no change of the insights is in progress.
async fn settled(api: &TableApi, waiting: Waiting, name: &str, index: Option<&str>) -> Result<Seen, CallError> {
    let mut polling = Polling::new(waiting, DESCRIBE_INSIGHTS);
    loop {
        let found = describe(api, name, index, SETTLING).await?;
        if !found.is_settling {
            return Ok(found);
        }
        polling.pause(api, "its contributor insights are still being changed").await?;
    }
}

/// Reads the insights of the table and all its indexes. AWS does not list those that are off.
async fn list(api: &TableApi, name: &str) -> Result<Insights, CallError> {
    let mut live = Insights::when_new();
    // A table has at most 20 indexes. A page may be empty without being the last.
    let mut pages = Pages::new(LIST_INSIGHTS, 50);
    let mut token: Option<String> = None;
    loop {
        let request = || api.client.list_contributor_insights().table_name(name).set_next_token(token.clone());
        let answer = api.pacer.call(LIST_INSIGHTS, &[], || pages.timed(request().send())).await?;
        for one in answer.contributor_insights_summaries() {
            let tracking = Tracking::of(one.contributor_insights_status(), one.contributor_insights_mode());
            match one.index_name() {
                None => live.table = Some(tracking),
                Some(index) => drop(live.indexes.insert(index.to_owned(), tracking)),
            }
        }
        token = answer.next_token.filter(|token| !token.is_empty());
        if !pages.next(0, token.as_ref())? {
            return Ok(live);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_one_call() {
        use Tracking::{AccessedAndThrottledKeys, Failed, Off, ThrottledKeys};
        let insights = |table, index| Insights {
            table,
            indexes: BTreeMap::from([(String::from("by-user"), index)]),
            whole: false,
        };
        let tables = Sides { live: &Table::default(), desired: &Table::default() };
        let steps = |desired: &Insights, live: &Insights| -> Vec<String> {
            let changes = desired.repair(live, &tables);
            assert_eq!(changes.len(), desired.diff(live, &tables).len());
            changes.iter().map(SettingChange::describe).collect()
        };
        let desired = insights(Some(ThrottledKeys), Off);
        assert_eq!(steps(&desired, &desired), [""; 0]);
        assert_eq!(
            steps(&desired, &insights(Some(Failed), AccessedAndThrottledKeys)),
            ["setting contributor insights to THROTTLED_KEYS", "disabling contributor insights of index by-user"]
        );
        // A setting that the manifest does not manage is not a difference.
        assert_eq!(steps(&insights(None, Off), &insights(Some(ThrottledKeys), Off)), [""; 0]);
        // An index that was not read has no insights.
        assert_eq!(steps(&insights(None, ThrottledKeys), &Insights::default()).len(), 1);
    }
}

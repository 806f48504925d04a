//! The settings of a table, each in its own file.
//!
//! A setting is a type that implements [`Setting`], and [`UpdateTableSetting`] if `CreateTable`, `UpdateTable` and `DescribeTable` contain it, or
//! [`SeparateSetting`] if it has its own calls. It is listed once at the end of this file. That makes it a field of [`Settings`], which is part of
//! [`Table`] and of a table's section, and its changes become steps.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use futures_util::future::OptionFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::autoscaling::Autoscaling;
use super::class::Class;
use super::insights::Insights;
use super::kinesis::Kinesis;
use super::limits::Limits;
use super::protection::DeletionProtection;
use super::recovery::Recovery;
use super::resource_policy::{StreamPolicy, TablePolicy};
use super::stream::Stream;
pub(super) use super::traits::{
    Phase, SeparateSetting, Setting, SettingChange, UpdateTableSetting, diff_guard, in_place,
};
use super::warm::Warm;
use super::{Field, Table, TableApi};
use crate::change::{FieldChange, Sides};
use crate::document::write::line;
use crate::document::{Fields, GivenFile, Reader};
use crate::kind::import::Importer;
use crate::kind::section::{Resolver, SectionReader};
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Class as Failure, Operation};
use crate::resource::{Gap, Invalid, StepOutcome};

/// Returns whether AWS does not support an operation for an existing table.
pub(super) fn is_unknown(error: &CallError) -> bool {
    error.class == Failure::NotFound || error.code.as_deref() == Some("UnknownOperationException")
}

macro_rules! settings {
    (
        separate { $($call:ident: $Call:ident, $step:literal;)* }
        update_table { $($own:ident: $Own:ident;)* }
    ) => {
        /// The settings of a table. `None` means "not managed" in desired state and "not read" in live state.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Settings {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $call: Option<$Call>,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $own: Option<$Own>,)*
        }

        /// The change of a setting in one `UpdateTable` call.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "what", rename_all = "snake_case")]
        pub enum UpdateTableChange {
            $($Own(<$Own as Setting>::Change),)*
        }

        /// The change of a setting with its own calls.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "step")]
        pub enum SeparateChange {
            $(#[serde(rename = $step)] $Call(<$Call as Setting>::Change),)*
        }

        /// The names of the steps of [`SeparateChange`].
        pub(super) const CALLED_STEPS: &[&str] = &[$($step,)*];

        impl Settings {
            /// Reads all settings of a section.
            pub(super) fn read(section: &mut SectionReader<'_, '_>, key: &str, fields: &mut Fields<'_>) -> Self {
                let keys = [$(<$Call as Setting>::KEYS,)* $(<$Own as Setting>::KEYS,)*];
                for name in keys.iter().copied().flatten() {
                    if let Some(entry) = fields.get(name) {
                        section.note(&["tables", key, name], &entry.node.span);
                    }
                }
                let reader = &mut *section.reader;
                Self {
                    $($call: <$Call as Setting>::read(reader, fields),)*
                    $($own: <$Own as Setting>::read(reader, fields),)*
                }
            }

            /// Resolves the references of the section, such as files, in each of its settings.
            pub(super) fn resolved(self, resolver: &mut Resolver<'_>, key: &str) -> Self {
                Self {
                    $($call: self.$call.map(|own| own.resolved(resolver, &["tables", key, <$Call as Setting>::KEYS[0]])),)*
                    $($own: self.$own.map(|own| own.resolved(resolver, &["tables", key, <$Own as Setting>::KEYS[0]])),)*
                }
            }

            /// Returns the files of the section.
            pub(super) fn files(&self) -> Vec<GivenFile> {
                let mut files = Vec::new();
                $(files.extend(self.$call.as_ref().and_then(Setting::given));)*
                $(files.extend(self.$own.as_ref().and_then(Setting::given));)*
                files
            }

            /// Reads the settings of a replica.
            pub(super) fn read_regional(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
                Self {
                    $($call: if <$Call as Setting>::REGIONAL { <$Call as Setting>::read(reader, fields) } else { None },)*
                    $($own: if <$Own as Setting>::REGIONAL { <$Own as Setting>::read(reader, fields) } else { None },)*
                }
            }

            /// Returns the settings whose values differ from those of a new table.
            pub(super) fn without_defaults(self) -> Self {
                Self {
                    $($call: self.$call.and_then(Setting::without_defaults),)*
                    $($own: self.$own.and_then(Setting::without_defaults),)*
                }
            }

            /// Returns the settings that each replica has separately.
            pub(super) fn regional(self) -> Self {
                Self {
                    $($call: self.$call.filter(|_| <$Call as Setting>::REGIONAL),)*
                    $($own: self.$own.filter(|_| <$Own as Setting>::REGIONAL),)*
                }
            }

            /// Returns the JSON Schema of each key of a replica's section.
            pub(super) fn regional_schema() -> Vec<(&'static str, Value)> {
                let mut keys = Vec::new();
                $(if <$Call as Setting>::REGIONAL {
                    keys.extend(<$Call as Setting>::KEYS.iter().copied().zip(<$Call as Setting>::schema()));
                })*
                $(if <$Own as Setting>::REGIONAL {
                    keys.extend(<$Own as Setting>::KEYS.iter().copied().zip(<$Own as Setting>::schema()));
                })*
                keys
            }

            /// Adds all settings to a section.
            pub(super) fn write(&self, section: &mut String) {
                let mut lines = Vec::new();
                $(lines.extend(self.$call.iter().flat_map(Setting::write));)*
                $(lines.extend(self.$own.iter().flat_map(Setting::write));)*
                for (key, value) in lines {
                    line(section, key, Some(value));
                }
            }

            /// Returns the JSON Schema of each key of a section.
            pub(super) fn schema() -> Vec<(&'static str, Value)> {
                let mut keys = Vec::new();
                $(keys.extend(<$Call as Setting>::KEYS.iter().copied().zip(<$Call as Setting>::schema()));)*
                $(keys.extend(<$Own as Setting>::KEYS.iter().copied().zip(<$Own as Setting>::schema()));)*
                keys
            }

            /// Returns the JSON Schema of each setting of a table in a plan.
            pub(super) fn plan_schema() -> Vec<(&'static str, Value)> {
                vec![
                    $((stringify!($call), <$Call as Setting>::plan_schema()),)*
                    $((stringify!($own), <$Own as Setting>::plan_schema()),)*
                ]
            }

            /// Checks all settings against their table.
            pub(super) fn check(&self, resolver: &mut Resolver<'_>, key: &str, table: &Table) {
                let mut check = |name: &'static str, checked: Result<(), Invalid>| {
                    if let Err(invalid) = checked {
                        resolver.fault(&["tables", key, name], invalid, "not possible on this table");
                    }
                };
                $(if let Some(own) = &self.$call { check(<$Call as Setting>::KEYS[0], own.check(table)); })*
                $(if let Some(own) = &self.$own { check(<$Own as Setting>::KEYS[0], own.check(table)); })*
            }

            /// Returns all settings for display, by key.
            pub(super) fn describe(&self) -> Vec<Line> {
                let mut lines = Vec::new();
                $(lines.extend(self.$call.iter().flat_map(Setting::describe));)*
                $(lines.extend(self.$own.iter().flat_map(Setting::describe));)*
                lines
            }

            /// Returns the settings that AWS does not change by itself, for display, by key.
            pub(super) fn stable_lines(&self) -> Vec<Line> {
                let mut lines = Vec::new();
                $(if !<$Call as Setting>::MOVES { lines.extend(self.$call.iter().flat_map(Setting::describe)); })*
                $(if !<$Own as Setting>::MOVES { lines.extend(self.$own.iter().flat_map(Setting::describe)); })*
                lines
            }

            /// Returns the settings whose values differ from those of a new table, in the form of a section.
            pub(super) fn imported(self, importer: &mut Importer<'_>, key: &str) -> Self {
                Self {
                    $($call: self.$call.and_then(|own| own.imported(importer, key)),)*
                    $($own: self.$own.and_then(|own| own.imported(importer, key)),)*
                }
            }

            /// Returns live settings that all differ from these.
            pub(super) fn opposite(&self) -> Self {
                Self {
                    $($call: self.$call.as_ref().map(Setting::opposite),)*
                    $($own: self.$own.as_ref().map(Setting::opposite),)*
                }
            }

            /// Returns settings that are all managed.
            pub(super) fn everything() -> Self {
                Self {
                    $($call: Some(Setting::everything()),)*
                    $($own: Some(Setting::everything()),)*
                }
            }

            /// Returns the texts for live settings that no manifest can express.
            pub(super) fn unsupported(&self) -> Vec<String> {
                let mut more = Vec::new();
                $(more.extend(self.$call.iter().flat_map(Setting::unsupported));)*
                more
            }

            /// Returns the texts for live settings that are not managed.
            pub(super) fn unmanaged_note(&self, managed: &Self) -> Vec<String> {
                let mut notes = Vec::new();
                $(if managed.$call.is_none() { notes.extend(self.$call.as_ref().and_then(Setting::unmanaged_note)); })*
                $(if managed.$own.is_none() { notes.extend(self.$own.as_ref().and_then(Setting::unmanaged_note)); })*
                notes
            }

            /// Reads the response of `DescribeTable`.
            pub(super) fn seen(description: &sdk::TableDescription) -> Self {
                Self { $($call: None,)* $($own: Some(UpdateTableSetting::seen(description)),)* }
            }

            /// Returns the operations that read the managed settings, without `DescribeTable`, each once.
            pub(super) fn reads(&self) -> Vec<Operation> {
                let mut reads: Vec<Operation> = Vec::new();
                $(for operation in self.$call.iter().flat_map(|_| <$Call as SeparateSetting>::READS) {
                    if !reads.contains(operation) {
                        reads.push(*operation);
                    }
                })*
                reads
            }

            /// Returns the number of these calls.
            pub(super) fn calls(&self) -> usize {
                let mut calls = 0;
                $(calls += self.$call.as_ref().map_or(0, SeparateSetting::calls);)*
                calls
            }

            /// Adds the results of the calls to the live settings. While a table is being created, the calls fail in various ways and all
            /// settings have the values of a new table. The same applies to a region or partition without the setting.
            pub(super) fn take(&mut self, reads: SettingReads, creating: bool, gaps: &mut Vec<Gap>) {
                $(self.$call = match reads.$call {
                    None => None,
                    Some(Ok(found)) => Some(found),
                    Some(Err(error)) if creating || is_unknown(&error) => Some(Setting::when_new()),
                    Some(Err(error)) => {
                        gaps.push(Gap::new(Some(stringify!($call)), &error));
                        None
                    }
                };)*
            }

            /// Adds the settings to the request that creates a table.
            pub(super) fn create(&self, mut request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
                $(if let Some(own) = &self.$own { request = own.create(request)?; })*
                Ok(request)
            }

            /// Returns the changes that follow the creation of a table.
            pub(super) fn after_creation(&self, tables: &Sides<&Table>) -> Vec<SeparateChange> {
                let mut changes = Vec::new();
                $(if let Some(own) = &self.$call {
                    changes.extend(own.repair(&Setting::when_new(), tables).into_iter().map(SeparateChange::$Call));
                })*
                changes
            }

            /// Returns the differences between these settings and live ones.
            pub(super) fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
                let mut changes = Vec::new();
                $(if let (Some(own), Some(live)) = (&self.$call, &live.$call) { changes.extend(own.diff(live, tables)); })*
                $(if let (Some(own), Some(live)) = (&self.$own, &live.$own) { changes.extend(own.diff(live, tables)); })*
                changes
            }

            /// Returns the changes that bring live settings in sync.
            pub(super) fn repair(&self, live: &Self, tables: &Sides<&Table>) -> (Vec<UpdateTableChange>, Vec<SeparateChange>) {
                let (mut updates, mut separate) = (Vec::new(), Vec::new());
                $(if let (Some(own), Some(live)) = (&self.$own, &live.$own) {
                    updates.extend(own.repair(live, tables).into_iter().map(UpdateTableChange::$Own));
                })*
                $(if let (Some(own), Some(live)) = (&self.$call, &live.$call) {
                    separate.extend(own.repair(live, tables).into_iter().map(SeparateChange::$Call));
                })*
                (updates, separate)
            }

            /// Returns whether a difference concerns a setting that is set after the creation of a table.
            pub(super) fn follows_creation(field: &Field) -> bool {
                let (Field::Setting(key) | Field::IndexSetting(_, key)) = field else { return false };
                [$(<$Call as Setting>::KEYS,)*].iter().copied().flatten().any(|own| own == key)
            }

            /// Returns any settings, for properties.
            #[cfg(test)]
            pub(super) fn any() -> impl proptest::strategy::Strategy<Value = Self> {
                use proptest::option::of;
                use proptest::strategy::Strategy;
                let none = proptest::strategy::Just(Self::default());
                $(let none = (none, of(<$Call as Setting>::any())).prop_map(|(some, $call)| Self { $call, ..some });)*
                $(let none = (none, of(<$Own as Setting>::any())).prop_map(|(some, $own)| Self { $own, ..some });)*
                none
            }
        }

        /// The results of the settings' calls; `None` for a setting that is not managed.
        pub(super) struct SettingReads {
            $($call: Option<Result<$Call, CallError>>,)*
        }

        impl SettingReads {
            /// Makes the calls that read the managed settings.
            pub(super) async fn of(managed: &Settings, api: &TableApi, name: &str) -> Self {
                $(let $call: OptionFuture<_> = managed.$call.as_ref().map(|own| own.observe(api, name)).into();)*
                let ($($call,)*) = tokio::join!($($call,)*);
                Self { $($call,)* }
            }
        }

        impl UpdateTableChange {
            /// Adds the change to the request that updates the table.
            pub(super) fn update(&self, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
                match self { $(Self::$Own(change) => <$Own as UpdateTableSetting>::update(change, request),)* }
            }

            /// Returns whether the change has taken effect on a live table.
            pub(super) fn is_made(&self, live: &Settings) -> bool {
                match self {
                    $(Self::$Own(change) => live.$own.as_ref().is_some_and(|live| <$Own as UpdateTableSetting>::is_made(change, live)),)*
                }
            }

            /// Returns AWS's limit on the frequency of the change, if there is one.
            pub(super) fn budget(&self) -> Option<&'static str> {
                match self { $(Self::$Own(change) => <$Own as UpdateTableSetting>::budget(change),)* }
            }

            /// Returns the common interface of changes.
            pub(super) fn own(&self) -> &dyn SettingChange {
                match self { $(Self::$Own(change) => change,)* }
            }
        }

        impl SeparateChange {
            /// Returns the operations of the change. The first one writes.
            pub(super) fn operations(&self) -> &'static [Operation] {
                match self { $(Self::$Call(change) => <$Call as SeparateSetting>::operations(change),)* }
            }

            /// Makes the change.
            pub(super) async fn make(&self, api: &TableApi, waiting: Waiting, name: &str) -> Result<StepOutcome, CallError> {
                match self { $(Self::$Call(change) => <$Call as SeparateSetting>::make(change, api, waiting, name).await,)* }
            }

            /// Returns the common interface of changes.
            pub(super) fn own(&self) -> &dyn SettingChange {
                match self { $(Self::$Call(change) => change,)* }
            }
        }
    };
}

// Each line has the field in a plan and the type. A setting with its own calls also has the name of its step.
settings! {
    separate {
        point_in_time_recovery: Recovery, "set_point_in_time_recovery";
        contributor_insights: Insights, "set_contributor_insights";
        kinesis: Kinesis, "set_kinesis_destination";
        policy: TablePolicy, "set_table_policy";
        stream_policy: StreamPolicy, "set_stream_policy";
        autoscaling: Autoscaling, "set_autoscaling";
    }
    update_table {
        deletion_protection: DeletionProtection;
        limits: Limits;
        class: Class;
        stream: Stream;
        warm: Warm;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SetClass, SetRecovery, TableChange, TableStep};
    use super::*;

    #[test]
    fn a_change_is_saved_under_its_step_name() {
        let name = || String::from("audit");
        let recovery = SeparateChange::Recovery(SetRecovery { enabled: true, days: None, loses: false });
        let class = TableChange::Setting(UpdateTableChange::Class(SetClass { class: Class::InfrequentAccess }));
        for (step, saved) in [
            (
                TableStep::Setting { name: name(), change: recovery },
                json!({ "step": "set_point_in_time_recovery", "name": "audit", "enabled": true }),
            ),
            (
                TableStep::UpdateTable { name: name(), change: class },
                json!({
                    "step": "update_table", "name": "audit", "change": { "what": "class", "class": "infrequent_access" },
                }),
            ),
        ] {
            assert_eq!(serde_json::to_value(&step).unwrap(), saved);
            assert_eq!(serde_json::from_value::<TableStep>(saved).unwrap(), step);
        }
    }
}

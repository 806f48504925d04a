//! The settings of a table, each in a file of its own.
//!
//! A setting is a type that implements [`Setting`], and [`Carried`] where `CreateTable`, `UpdateTable` and `DescribeTable` carry it, or
//! [`Called`] where it has calls of its own. The list at the end of this file names it once: it becomes a field of [`Settings`], which
//! is part of [`Table`] and of a table's section, and its changes become steps.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use futures_util::future::OptionFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::class::Class;
use super::limits::Limits;
use super::protection::DeletionProtection;
use super::recovery::Recovery;
use super::stream::Stream;
use super::{Field, Table, TableApi};
use crate::change::{Consent, FieldChange, FieldValue, Sides, Takes};
use crate::document::write::line;
use crate::document::{Fields, Reader};
use crate::kind::section::{Resolver, SectionReader};
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Operation};
use crate::resource::{Gap, Invalid, StepOutcome, Switch};

/// When a change is made, in this order: an end in the middle leaves the table at least as safe as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum Phase {
    /// It protects, and gives up nothing.
    Protect,
    Tags,
    Settings,
    Indexes,
    /// Capacity, of indexes that were just built too.
    Capacity,
    /// It gives up protection, or loses something.
    GiveUp,
    /// AWS may put it off.
    Late,
}

impl Phase {
    /// Every phase, in the order in which they are.
    pub(super) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// A setting of a table: its values, live and desired alike.
pub trait Setting: Sized + Clone + PartialEq {
    /// What one call changes of it, as a plan has it.
    type Change: SettingChange;

    /// Its keys in a manifest. A difference has one of them as its path.
    const KEYS: &'static [&'static str];

    /// Reads it from a section; nothing where the section does not manage it.
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self>;

    /// Returns its values as TOML, by their keys.
    fn write(&self) -> Vec<(&'static str, String)>;

    /// Returns the JSON Schema of each of its keys, in their order.
    fn schema() -> Vec<Value>;

    /// Returns the JSON Schema of its value in a plan.
    fn plan_schema() -> Value;

    /// Returns its values for people, by their keys.
    fn words(&self) -> Vec<Line>;

    /// Returns what a table has that was created without it: an import leaves that out.
    fn when_new() -> Self;

    /// Checks it against the table that it is of.
    ///
    /// # Errors
    ///
    /// Says what AWS would refuse.
    fn check(&self, _: &Table) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns how the live value differs from this one.
    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>>;

    /// Returns the changes that make the live value this one, as far as AWS makes them, in the order in which AWS takes them.
    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<Self::Change>;

    /// Returns a live value that differs in every way that can be repaired.
    fn opposite(&self) -> Self;

    /// Returns a few words for a live value that the manifest does not manage, where people have to know of it.
    fn also(&self) -> Option<String> {
        None
    }

    /// Returns any value, for properties.
    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self>;
}

/// A change of a setting: one call.
pub trait SettingChange {
    fn phase(&self) -> Phase;

    /// Returns what it does, in a few words: `enabling deletion protection`.
    fn describe(&self) -> String;

    /// Returns what has to be allowed first.
    fn needs(&self) -> Option<Consent> {
        None
    }

    /// Returns how many seconds AWS works on it: when it is quick, and when it takes its time.
    fn seconds(&self) -> (u64, u64) {
        (5, 60)
    }
}

/// A setting that `CreateTable`, `UpdateTable` and `DescribeTable` carry. A table takes one change at a time: each is waited for.
pub(super) trait Carried: Setting {
    /// Returns what `DescribeTable` says of it.
    fn seen(description: &sdk::TableDescription) -> Self;

    /// Adds it to the request that creates the table.
    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError>;

    /// Adds a change to the request that updates the table.
    fn update(change: &Self::Change, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError>;

    /// Returns whether a live value is as the change leaves it.
    fn is_made(change: &Self::Change, live: &Self) -> bool;

    /// Returns how often AWS takes such a change, where it limits that.
    fn budget(_: &Self::Change) -> Option<&'static str> {
        None
    }
}

/// A setting with calls of its own. It is read only where the manifest manages it, and follows the creation of a table.
pub(super) trait Called: Setting {
    /// The call that reads it.
    const READ: Operation;

    /// Reads it.
    fn look(api: &TableApi, name: &str) -> impl Future<Output = Result<Self, CallError>>;

    /// Returns the operations that a change calls; the first changes something.
    fn operations(change: &Self::Change) -> &'static [Operation];

    /// Makes a change.
    fn make(
        change: &Self::Change,
        api: &TableApi,
        waiting: Waiting,
        name: &str,
    ) -> impl Future<Output = Result<StepOutcome, CallError>>;
}

/// Returns a difference that AWS closes where it is.
pub(super) fn in_place(
    field: Field,
    live: impl Into<String>,
    desired: impl Into<String>,
    how: &str,
) -> FieldChange<Field> {
    FieldChange::new(field, FieldValue::words(live), FieldValue::words(desired), Takes::InPlace, how)
}

/// Returns how a guard against loss differs: turning it on is safe, turning it off has to be allowed.
pub(super) fn diff_guard(key: &'static str, live: Switch, desired: Switch, lost: &str) -> Vec<FieldChange<Field>> {
    if live == desired {
        return Vec::new();
    }
    let field = Field::Setting(key);
    vec![match desired {
        Switch::On => in_place(field, live.word(), desired.word(), "turned on in place"),
        Switch::Off => in_place(field, live.word(), desired.word(), lost).needing(Consent::Protection),
    }]
}

macro_rules! settings {
    (
        called { $($call:ident: $Call:ident, $step:literal;)* }
        carried { $($own:ident: $Own:ident;)* }
    ) => {
        /// The settings of a table; `None` is "not managed" of a desired one and "not read" of a live one.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Settings {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $call: Option<$Call>,)*
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $own: Option<$Own>,)*
        }

        /// What one `UpdateTable` changes of a setting.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "what", rename_all = "snake_case")]
        pub enum CarriedChange {
            $($Own(<$Own as Setting>::Change),)*
        }

        /// What a call of its own changes of a setting.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "step")]
        pub enum CalledChange {
            $(#[serde(rename = $step)] $Call(<$Call as Setting>::Change),)*
        }

        /// The names of the steps of [`CalledChange`].
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

            /// Checks all settings against the table that they are of.
            pub(super) fn check(&self, resolver: &mut Resolver<'_>, key: &str, table: &Table) {
                let mut check = |name: &'static str, checked: Result<(), Invalid>| {
                    if let Err(invalid) = checked {
                        resolver.fault(&["tables", key, name], invalid, "not possible on this table");
                    }
                };
                $(if let Some(own) = &self.$call { check(<$Call as Setting>::KEYS[0], own.check(table)); })*
                $(if let Some(own) = &self.$own { check(<$Own as Setting>::KEYS[0], own.check(table)); })*
            }

            /// Returns all settings for people, by their keys.
            pub(super) fn words(&self) -> Vec<Line> {
                let mut lines = Vec::new();
                $(lines.extend(self.$call.iter().flat_map(Setting::words));)*
                $(lines.extend(self.$own.iter().flat_map(Setting::words));)*
                lines
            }

            /// Returns what is at another value than on a table that was created without it.
            pub(super) fn beyond_new(&self) -> Self {
                Self {
                    $($call: self.$call.clone().filter(|own| *own != Setting::when_new()),)*
                    $($own: self.$own.clone().filter(|own| *own != Setting::when_new()),)*
                }
            }

            /// Returns live settings that all differ from these.
            pub(super) fn opposite(&self) -> Self {
                Self {
                    $($call: self.$call.as_ref().map(Setting::opposite),)*
                    $($own: self.$own.as_ref().map(Setting::opposite),)*
                }
            }

            /// Returns settings of which each is managed.
            pub(super) fn everything() -> Self {
                Self {
                    $($call: Some(Setting::when_new()),)*
                    $($own: Some(Setting::when_new()),)*
                }
            }

            /// Returns the words for what is live and not managed.
            pub(super) fn also(&self, managed: &Self) -> Vec<String> {
                let mut also = Vec::new();
                $(if managed.$call.is_none() { also.extend(self.$call.as_ref().and_then(Setting::also)); })*
                $(if managed.$own.is_none() { also.extend(self.$own.as_ref().and_then(Setting::also)); })*
                also
            }

            /// Returns what `DescribeTable` says.
            pub(super) fn seen(description: &sdk::TableDescription) -> Self {
                Self { $($call: None,)* $($own: Some(Carried::seen(description)),)* }
            }

            /// Returns the calls that read what is managed, beside `DescribeTable`.
            pub(super) fn reads(&self) -> Vec<Operation> {
                let mut reads = Vec::new();
                $(reads.extend(self.$call.as_ref().map(|_| <$Call as Called>::READ));)*
                reads
            }

            /// Makes the calls that read what is managed.
            pub(super) async fn look(&self, api: &TableApi, name: &str) -> Looked {
                $(let $call: OptionFuture<_> = self.$call.as_ref().map(|_| <$Call as Called>::look(api, name)).into();)*
                let ($($call,)*) = tokio::join!($($call,)*);
                Looked { $($call,)* }
            }

            /// Adds to the live settings what the calls found. While a table is being created they fail in one of several ways; all is
            /// as on a new table then.
            pub(super) fn take(&mut self, looked: Looked, creating: bool, gaps: &mut Vec<Gap>) {
                $(self.$call = match looked.$call {
                    None => None,
                    Some(Ok(found)) => Some(found),
                    Some(Err(_)) if creating => Some(Setting::when_new()),
                    Some(Err(error)) => {
                        gaps.push(Gap::new(Some(stringify!($call)), &error));
                        None
                    }
                };)*
            }

            /// Adds what it carries to the request that creates a table.
            pub(super) fn create(&self, mut request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError> {
                $(if let Some(own) = &self.$own { request = own.create(request)?; })*
                Ok(request)
            }

            /// Returns what follows the creation of a table.
            pub(super) fn after_creation(&self, tables: &Sides<&Table>) -> Vec<CalledChange> {
                let mut changes = Vec::new();
                $(if let Some(own) = &self.$call {
                    changes.extend(own.repair(&Setting::when_new(), tables).into_iter().map(CalledChange::$Call));
                })*
                changes
            }

            /// Returns how the live settings differ from these.
            pub(super) fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>> {
                let mut changes = Vec::new();
                $(if let (Some(own), Some(live)) = (&self.$call, &live.$call) { changes.extend(own.diff(live, tables)); })*
                $(if let (Some(own), Some(live)) = (&self.$own, &live.$own) { changes.extend(own.diff(live, tables)); })*
                changes
            }

            /// Returns the changes that make the live settings these.
            pub(super) fn repair(&self, live: &Self, tables: &Sides<&Table>) -> (Vec<CarriedChange>, Vec<CalledChange>) {
                let (mut carried, mut called) = (Vec::new(), Vec::new());
                $(if let (Some(own), Some(live)) = (&self.$own, &live.$own) {
                    carried.extend(own.repair(live, tables).into_iter().map(CarriedChange::$Own));
                })*
                $(if let (Some(own), Some(live)) = (&self.$call, &live.$call) {
                    called.extend(own.repair(live, tables).into_iter().map(CalledChange::$Call));
                })*
                (carried, called)
            }

            /// Returns whether a difference is of a setting that follows the creation of a table.
            pub(super) fn follows_creation(field: &Field) -> bool {
                [$(<$Call as Setting>::KEYS,)*].iter().copied().flatten().any(|key| *field == Field::Setting(key))
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

        /// What the calls of the settings answered; nothing of one that is not managed.
        pub(super) struct Looked {
            $($call: Option<Result<$Call, CallError>>,)*
        }

        impl CarriedChange {
            /// Adds it to the request that updates the table.
            pub(super) fn update(&self, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError> {
                match self { $(Self::$Own(change) => <$Own as Carried>::update(change, request),)* }
            }

            /// Returns whether a live table is as it leaves the table.
            pub(super) fn is_made(&self, live: &Settings) -> bool {
                match self {
                    $(Self::$Own(change) => live.$own.as_ref().is_some_and(|live| <$Own as Carried>::is_made(change, live)),)*
                }
            }

            /// Returns how often AWS takes it, where it limits that.
            pub(super) fn budget(&self) -> Option<&'static str> {
                match self { $(Self::$Own(change) => <$Own as Carried>::budget(change),)* }
            }

            /// Returns what every change has.
            pub(super) fn own(&self) -> &dyn SettingChange {
                match self { $(Self::$Own(change) => change,)* }
            }
        }

        impl CalledChange {
            /// Returns the operations that it calls; the first changes something.
            pub(super) fn operations(&self) -> &'static [Operation] {
                match self { $(Self::$Call(change) => <$Call as Called>::operations(change),)* }
            }

            /// Makes it.
            pub(super) async fn make(&self, api: &TableApi, waiting: Waiting, name: &str) -> Result<StepOutcome, CallError> {
                match self { $(Self::$Call(change) => <$Call as Called>::make(change, api, waiting, name).await,)* }
            }

            /// Returns what every change has.
            pub(super) fn own(&self) -> &dyn SettingChange {
                match self { $(Self::$Call(change) => change,)* }
            }
        }
    };
}

// A setting is its field in a plan, and its type. One with calls of its own has the name of its step too.
settings! {
    called {
        point_in_time_recovery: Recovery, "set_point_in_time_recovery";
    }
    carried {
        deletion_protection: DeletionProtection;
        limits: Limits;
        class: Class;
        stream: Stream;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SetClass, SetRecovery, TableChange, TableStep};
    use super::*;

    #[test]
    fn a_change_is_saved_as_the_step_that_it_is() {
        let name = || String::from("audit");
        let recovery = CalledChange::Recovery(SetRecovery { enabled: true });
        let class = TableChange::Setting(CarriedChange::Class(SetClass { class: Class::InfrequentAccess }));
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

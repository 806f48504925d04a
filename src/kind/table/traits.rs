//! The traits of settings: [`Setting`], and [`UpdateTableSetting`] or [`SeparateSetting`] depending on the calls.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde_json::Value;

use super::{Field, Table, TableApi};
use crate::change::{ChangeMethod, Consent, FieldChange, FieldValue, Sides};
use crate::document::{Fields, GivenFile, Reader};
use crate::kind::import::Importer;
use crate::kind::section::Resolver;
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Operation};
use crate::resource::{Invalid, StepOutcome, Switch};

/// When a change is made, in this order: an interrupted run leaves the table at least as safe as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::VariantArray)]
pub enum Phase {
    /// It adds protection and removes none.
    Protect,
    Tags,
    Settings,
    Indexes,
    /// Capacity, including that of new indexes.
    Capacity,
    /// A change that depends on the table and its indexes in their new state.
    Follow,
    /// It removes protection, or loses something.
    GiveUp,
    /// AWS may defer it.
    Late,
}

impl Phase {
    /// Every phase, in order.
    pub(super) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

/// A setting of a table. The type is the same for live and desired values.
pub trait Setting: Sized + Clone + PartialEq {
    /// The change of one call, in a plan.
    type Change: SettingChange;

    /// Its keys in a manifest. The path of a difference is one of them.
    const KEYS: &'static [&'static str];

    /// Whether AWS changes the live value by itself. It is then not part of a saved plan's baseline.
    const MOVES: bool = false;

    /// Whether each replica of a table has its own value.
    const REGIONAL: bool = false;

    /// Reads it from a section; `None` if the section does not manage it.
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self>;

    /// Returns its values as TOML, by their keys.
    fn write(&self) -> Vec<(&'static str, String)>;

    /// Resolves the references of its section, such as a file, and reports their errors.
    #[must_use]
    fn resolved(self, _: &mut Resolver<'_>, _: &[&str]) -> Self {
        self
    }

    /// Returns the file of its section with its contents.
    fn given(&self) -> Option<GivenFile> {
        None
    }

    /// Returns the JSON Schema of each of its keys, in their order.
    fn schema() -> Vec<Value>;

    /// Returns the JSON Schema of its value in a plan.
    fn plan_schema() -> Value;

    /// Returns its values for display, by key.
    fn describe(&self) -> Vec<Line>;

    /// Returns the value of a new table, which an import omits.
    fn when_new() -> Self;

    /// Returns whether a live value equals that of a new table.
    fn is_as_new(&self) -> bool {
        *self == Self::when_new()
    }

    /// Returns a value that manages everything.
    fn everything() -> Self {
        Self::when_new()
    }

    /// Returns a live value in the form of a section; `None` if it equals that of a new table.
    fn imported(self, _: &mut Importer<'_>, _: &str) -> Option<Self> {
        self.without_defaults()
    }

    /// The same, for settings without files.
    fn without_defaults(self) -> Option<Self> {
        Some(self).filter(|own| !own.is_as_new())
    }

    /// Checks it against its table.
    ///
    /// # Errors
    ///
    /// Returns the rule of AWS that it breaks.
    fn check(&self, _: &Table) -> Result<(), Invalid> {
        Ok(())
    }

    /// Returns the differences between this value and a live one.
    fn diff(&self, live: &Self, tables: &Sides<&Table>) -> Vec<FieldChange<Field>>;

    /// Returns the changes that bring a live value in sync, as far as AWS supports them, in AWS's order.
    fn repair(&self, live: &Self, tables: &Sides<&Table>) -> Vec<Self::Change>;

    /// Returns a live value with a repairable difference in every part.
    fn opposite(&self) -> Self;

    /// Returns a short text for a live value that is not managed and that users must know about.
    fn unmanaged_note(&self) -> Option<String> {
        None
    }

    /// Returns the parts of a live value that no manifest can express.
    fn unsupported(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns any value, for properties.
    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self>;
}

/// A change of a setting: one call.
pub trait SettingChange {
    fn phase(&self) -> Phase;

    /// Returns a short description, such as `enabling deletion protection`.
    fn describe(&self) -> String;

    /// Returns the required consent.
    fn needs(&self) -> Option<Consent> {
        None
    }

    /// Returns the time that AWS works on it in seconds: lower and upper bound.
    fn seconds(&self) -> (u64, u64) {
        (5, 60)
    }
}

/// A setting in `CreateTable`, `UpdateTable` and `DescribeTable`. A table accepts one change at a time, so each is followed by a wait.
pub(super) trait UpdateTableSetting: Setting {
    /// Reads it from the response of `DescribeTable`.
    fn seen(description: &sdk::TableDescription) -> Self;

    /// Adds it to the request that creates the table.
    fn create(&self, request: CreateTableInputBuilder) -> Result<CreateTableInputBuilder, BuildError>;

    /// Adds a change to the request that updates the table.
    fn update(change: &Self::Change, request: UpdateTableInputBuilder) -> Result<UpdateTableInputBuilder, BuildError>;

    /// Returns whether the change has taken effect on a live value.
    fn is_made(change: &Self::Change, live: &Self) -> bool;

    /// Returns AWS's limit on the frequency of such a change, if there is one.
    fn budget(_: &Self::Change) -> Option<&'static str> {
        None
    }
}

/// A setting with its own calls. It is read only if the manifest manages it, and is set after the creation of a table.
pub(super) trait SeparateSetting: Setting {
    /// The operations that read it.
    const READS: &'static [Operation];

    /// Returns the number of calls that read its managed parts.
    fn calls(&self) -> usize {
        Self::READS.len()
    }

    /// Reads its managed parts.
    fn observe(&self, api: &TableApi, name: &str) -> impl Future<Output = Result<Self, CallError>>;

    /// Returns the operations of a change. The first one writes.
    fn operations(change: &Self::Change) -> &'static [Operation];

    /// Makes a change.
    fn make(
        change: &Self::Change,
        api: &TableApi,
        waiting: Waiting,
        name: &str,
    ) -> impl Future<Output = Result<StepOutcome, CallError>>;
}

/// Returns a difference that AWS changes in place.
pub(super) fn in_place(
    field: Field,
    live: impl Into<String>,
    desired: impl Into<String>,
    how: &str,
) -> FieldChange<Field> {
    FieldChange::new(field, FieldValue::text(live), FieldValue::text(desired), ChangeMethod::InPlace, how)
}

/// Returns the difference of a protective setting: turning it on is safe, turning it off requires consent.
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

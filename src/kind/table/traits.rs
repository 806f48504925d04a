//! What each setting of a table is: [`Setting`], and [`Carried`] or [`Called`] by the calls that it takes.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableInputBuilder;
use aws_sdk_dynamodb::types as sdk;
use serde_json::Value;

use super::{Field, Table, TableApi};
use crate::change::{Consent, FieldChange, FieldValue, Sides, Takes};
use crate::document::{Fields, GivenFile, Reader};
use crate::kind::import::Importer;
use crate::kind::section::Resolver;
use crate::kind::{Line, Waiting};
use crate::resource::call::{CallError, Operation};
use crate::resource::{Invalid, StepOutcome, Switch};

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
    /// What takes the table, and its indexes, as they are by now.
    Follow,
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

    /// Whether AWS changes the live value by itself, so that a saved plan does not hold on to it.
    const MOVES: bool = false;

    /// Whether each replica of a table has its own.
    const REGIONAL: bool = false;

    /// Reads it from a section; nothing where the section does not manage it.
    fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Self>;

    /// Returns its values as TOML, by their keys.
    fn write(&self) -> Vec<(&'static str, String)>;

    /// Adds what its section only names, such as a file, and what of it is wrong.
    #[must_use]
    fn resolved(self, _: &mut Resolver<'_>, _: &[&str]) -> Self {
        self
    }

    /// Returns the file that its section names, with what it holds.
    fn given(&self) -> Option<GivenFile> {
        None
    }

    /// Returns the JSON Schema of each of its keys, in their order.
    fn schema() -> Vec<Value>;

    /// Returns the JSON Schema of its value in a plan.
    fn plan_schema() -> Value;

    /// Returns its values for people, by their keys.
    fn words(&self) -> Vec<Line>;

    /// Returns what a table has that was created without it: an import leaves that out.
    fn when_new() -> Self;

    /// Returns whether a live value is no more than what a table has that was created without it.
    fn is_as_new(&self) -> bool {
        *self == Self::when_new()
    }

    /// Returns what is managed where all of it is.
    fn everything() -> Self {
        Self::when_new()
    }

    /// Returns a live value as a section has it; nothing where it is as on a table that was created without it.
    fn imported(self, _: &mut Importer<'_>, _: &str) -> Option<Self> {
        self.beyond_new()
    }

    /// The same, of what takes no file.
    fn beyond_new(self) -> Option<Self> {
        Some(self).filter(|own| !own.is_as_new())
    }

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

    /// Returns what a live value has that no manifest can set.
    fn more(&self) -> Vec<String> {
        Vec::new()
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
    /// The operations that read it.
    const READS: &'static [Operation];

    /// Returns how many calls read what is managed of it.
    fn calls(&self) -> usize {
        Self::READS.len()
    }

    /// Reads what is managed of it.
    fn look(&self, api: &TableApi, name: &str) -> impl Future<Output = Result<Self, CallError>>;

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

//! The billing mode of a table.

use serde::{Deserialize, Serialize};

use super::scales::Units;
use super::{Index, Table};

/// The billing mode of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    PayPerRequest,
    /// Provisioned capacity, for the table and for each of its indexes.
    Provisioned(Capacity),
    /// Provisioned capacity that something else sets, such as autoscaling. Only in desired state: AWS returns the units.
    External,
}

/// The initial capacity of a table whose capacity something else sets.
pub(super) const FIRST_CAPACITY: Capacity = Capacity { read: 5, write: 5 };

impl Billing {
    /// Returns the capacity in provisioned mode.
    pub(super) fn capacity(self) -> Option<Capacity> {
        match self {
            Self::PayPerRequest => None,
            Self::Provisioned(capacity) => Some(capacity),
            Self::External => Some(FIRST_CAPACITY),
        }
    }
}

/// Capacity units per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub read: i64,
    pub write: i64,
}

impl Capacity {
    /// Returns the units that are lower in another capacity.
    fn lowered_to(self, other: Self) -> impl Iterator<Item = Units> {
        let units = [(Units::Read, self.read, other.read), (Units::Write, self.write, other.write)];
        units.into_iter().filter(|(_, before, after)| after < before).map(|(units, ..)| units)
    }
}

impl Table {
    /// Returns whether autoscaling adjusts a live capacity that the change lowers. If autoscaling was not read, it may.
    pub(super) fn is_scaled_down(&self, index: Option<&str>, before: Capacity, after: Capacity) -> bool {
        let moves = |units| self.settings.autoscaling.as_ref().is_none_or(|all| all.scales(index, units));
        before.lowered_to(after).any(moves)
    }

    /// Returns whether a live table, or one of its indexes, has more capacity than desired.
    pub(super) fn has_more_capacity(&self, managed: &Self) -> bool {
        let (Some(Billing::Provisioned(live)), Some(Billing::Provisioned(wanted))) = (self.billing, managed.billing)
        else {
            return false;
        };
        let is_lowered = |before: Capacity, after: Capacity| before.lowered_to(after).next().is_some();
        let index_is = |(name, index): (&String, &Index)| {
            let sides = index.capacity.zip(managed.compared_capacity(name, Some(wanted)));
            sides.is_some_and(|(before, after)| is_lowered(before, after))
        };
        is_lowered(live, wanted) || self.indexes.iter().flatten().any(index_is)
    }

    /// Returns the own capacity of an index, if the table is provisioned.
    pub(super) fn capacity_of(&self, index: &str) -> Option<Capacity> {
        let own = self.indexes.as_ref().and_then(|indexes| indexes.get(index)).and_then(|index| index.capacity);
        own.filter(|_| matches!(self.billing, Some(Billing::Provisioned(_) | Billing::External)))
    }

    /// Returns the desired capacity of a live index of a provisioned table: its own, or else that of the table, unless autoscaling adjusts
    /// it. The capacity of an index that is not in the manifest is not compared.
    pub(super) fn compared_capacity(&self, index: &str, of_table: Option<Capacity>) -> Option<Capacity> {
        self.indexes.as_ref().filter(|indexes| indexes.contains_key(index))?;
        let moves = self.settings.autoscaling.as_ref().is_some_and(|all| all.moves(index));
        self.capacity_of(index).or(of_table).filter(|_| !moves)
    }
}

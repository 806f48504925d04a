//! How a table is paid for.

use serde::{Deserialize, Serialize};

/// How a table is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    PayPerRequest,
    /// Paid for by capacity, for the table and for each of its indexes.
    Provisioned(Capacity),
    /// Paid for by capacity that something else sets, such as autoscaling. Only ever wanted: AWS answers with the units.
    External,
}

/// The capacity that a table begins with whose capacity something else sets.
pub(super) const FIRST_CAPACITY: Capacity = Capacity { read: 5, write: 5 };

impl Billing {
    /// Returns the capacity, where that is what is paid for.
    pub(super) fn capacity(self) -> Option<Capacity> {
        match self {
            Self::PayPerRequest => None,
            Self::Provisioned(capacity) => Some(capacity),
            Self::External => Some(FIRST_CAPACITY),
        }
    }
}

/// Capacity units a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    pub read: i64,
    pub write: i64,
}

//! The deletion of a resource.

use super::Kind;
use crate::change::FieldChange;

/// The deletion of a resource.
#[derive(Debug)]
pub struct Deletion<K: Kind> {
    /// Its differences for display, or the reason why it is not deleted.
    pub changes: Vec<FieldChange<K::Field>>,
    /// Empty if it is not deleted.
    pub steps: Vec<K::Step>,
}

impl<K: Kind> Deletion<K> {
    /// Returns the deletion of a resource that Sentinel never deletes.
    pub fn never() -> Self {
        Self::of(Vec::new())
    }

    /// Returns a deletion that its steps describe completely.
    pub fn of(steps: Vec<K::Step>) -> Self {
        Self { changes: Vec::new(), steps }
    }
}

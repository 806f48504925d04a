//! What deleting a resource takes.

use super::Kind;
use crate::change::FieldChange;

/// What deleting a resource takes.
#[derive(Debug)]
pub struct Deletion<K: Kind> {
    /// What there is to say of it, or what keeps it from being deleted.
    pub changes: Vec<FieldChange<K::Field>>,
    /// None where it is not deleted.
    pub steps: Vec<K::Step>,
}

impl<K: Kind> Deletion<K> {
    /// Returns the deletion of what sentinel never deletes.
    pub fn never() -> Self {
        Self::of(Vec::new())
    }

    /// Returns a deletion of which its steps say everything.
    pub fn of(steps: Vec<K::Step>) -> Self {
        Self { changes: Vec::new(), steps }
    }
}

//! What a run asks of AWS, and how long it waits: for a summary at its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call::Operation;

/// Counts what goes to AWS. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Mutex<BTreeMap<String, Tally>>>);

/// What went to one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests made, those again included.
    pub requests: usize,
    /// Of these, the ones made again after a failure.
    pub again: usize,
    /// Of these, the ones that failed.
    pub failed: usize,
    /// From request to answer, together.
    pub answering: Duration,
    /// Waited before requests for their turn, together.
    pub queuing: Duration,
    /// Waited before requests made again, together.
    pub pausing: Duration,
    /// Waited for AWS to get on with something, together.
    pub watching: Duration,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.again += other.again;
        self.failed += other.failed;
        self.answering += other.answering;
        self.queuing += other.queuing;
        self.pausing += other.pausing;
        self.watching += other.watching;
    }
}

impl Traffic {
    /// Adds to what went to an operation.
    pub(super) fn note(&self, operation: Operation, work: impl FnOnce(&mut Tally)) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(tallies.entry(operation.action()).or_default());
    }

    /// Returns what was counted so far, and begins anew.
    #[must_use]
    pub fn take(&self) -> Self {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Self(Arc::new(Mutex::new(counted)))
    }

    /// Returns what went to each operation, by its IAM action.
    pub fn by_action(&self) -> BTreeMap<String, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what went to all of them together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.by_action().values().for_each(|tally| total.add(tally));
        total
    }
}

//! Counts a run's requests to AWS and its waiting time, for a summary at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call::Operation;

/// Counts requests to AWS. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Mutex<BTreeMap<String, Tally>>>);

/// The counts of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, including retries.
    pub requests: usize,
    /// The number of retries among them.
    pub again: usize,
    /// The number of failed requests among them.
    pub failed: usize,
    /// The total time from request to response.
    pub answering: Duration,
    /// The total wait for a turn.
    pub queuing: Duration,
    /// The total wait before retries.
    pub pausing: Duration,
    /// The total wait for AWS's work in progress.
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
    /// Adds to the counts of an operation.
    pub(super) fn note(&self, operation: Operation, work: impl FnOnce(&mut Tally)) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(tallies.entry(operation.action()).or_default());
    }

    /// Returns the counts so far, and resets them.
    #[must_use]
    pub fn take(&self) -> Self {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Self(Arc::new(Mutex::new(counted)))
    }

    /// Returns the counts of each operation, by its IAM action.
    pub fn by_action(&self) -> BTreeMap<String, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the counts of all operations together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.by_action().values().for_each(|tally| total.add(tally));
        total
    }
}

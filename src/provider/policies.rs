//! A cache of policies for concurrent callers: Parameter Store allows an account 40 reads a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::kind::policy_parameter::PolicyParameter;
use crate::resource::Live;
use crate::resource::call::CallError;

type Answer = Result<Option<Live<PolicyParameter>>, CallError>;
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Answer)>>>;

/// The last results, by parameter name. Their number is the number of names requested.
#[derive(Debug)]
pub(super) struct Policies {
    good: Duration,
    slots: Mutex<HashMap<String, Slot>>,
}

impl Policies {
    pub(super) fn new(good: Duration) -> Self {
        Self { good, slots: Mutex::default() }
    }

    /// Returns the last result while it is valid, or reads again. Concurrent callers share one request. A failure is cached too, so that
    /// the callers do not all retry while AWS throttles.
    pub(super) async fn get<F: Future<Output = Answer>>(&self, name: &str, read: impl FnOnce() -> F) -> Answer {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(name.to_owned()).or_default())
        };
        let mut last = slot.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < self.good
        {
            return answer.clone();
        }
        // The result is dated from its request, since it may miss a write made while AWS responds.
        let started = Instant::now();
        let answer = read().await;
        *last = Some((started, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_policy_is_read_once_within_its_cache_time() {
        let policies = Policies::new(Duration::from_secs(1));
        let reads = AtomicUsize::new(0);
        let read = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(None)
        };
        let answers = futures_util::future::join_all((0..50).map(|_| policies.get("one", read))).await;
        assert_eq!((answers.len(), reads.load(Ordering::SeqCst)), (50, 1));
        policies.get("two", read).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        tokio::time::sleep(Duration::from_millis(950)).await;
        policies.get("one", read).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 3);
    }
}

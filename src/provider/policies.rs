//! Policies that are read once for all who ask at about the same time: Parameter Store gives an account 40 reads a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::kind::policy_parameter::PolicyParameter;
use crate::resource::Live;
use crate::resource::call::CallError;

type Answer = Result<Option<Live<PolicyParameter>>, CallError>;
type Place = Arc<tokio::sync::Mutex<Option<(Instant, Answer)>>>;

/// The last answers, by the names of parameters. They are as many as the names that are asked for.
#[derive(Debug)]
pub(super) struct Policies {
    good: Duration,
    places: Mutex<HashMap<String, Place>>,
}

impl Policies {
    pub(super) fn new(good: Duration) -> Self {
        Self { good, places: Mutex::default() }
    }

    /// Returns the last answer while it is good, or the next one. Those who wait for the same one are one question; a failure is
    /// an answer too, so that an AWS that throttles is not asked by each of them.
    pub(super) async fn get<F: Future<Output = Answer>>(&self, name: &str, read: impl FnOnce() -> F) -> Answer {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(name.to_owned()).or_default())
        };
        let mut last = place.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < self.good
        {
            return answer.clone();
        }
        // As old as its question: what is written while AWS answers may not be in it.
        let asked = Instant::now();
        let answer = read().await;
        *last = Some((asked, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_policy_is_read_once_within_its_time() {
        let policies = Policies::new(Duration::from_secs(1));
        let reads = AtomicUsize::new(0);
        let read = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(None)
        };
        let asked = futures_util::future::join_all((0..50).map(|_| policies.get("one", read))).await;
        assert_eq!((asked.len(), reads.load(Ordering::SeqCst)), (50, 1));
        policies.get("two", read).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 2);
        tokio::time::sleep(Duration::from_millis(950)).await;
        policies.get("one", read).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), 3);
    }
}

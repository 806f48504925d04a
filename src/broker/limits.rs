//! Rate limits of callers.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The maximum number of callers with a recorded limit. The least recent one is removed first, and gets a new limit when it returns.
const MAX_CALLERS: usize = 10_000;

/// Requests a second, and the burst that is allowed after a pause: a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// The token buckets of callers, by ARN, account or unique ID.
#[derive(Debug)]
pub(super) struct Callers {
    rate: Rate,
    buckets: Mutex<HashMap<String, (Instant, f64)>>,
}

impl Callers {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Counts a request, and returns whether it is within the caller's rate.
    pub(super) fn admits(&self, caller: &str, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_CALLERS && !buckets.contains_key(caller) {
            let full = Duration::try_from_secs_f64(self.rate.burst / self.rate.per_second).unwrap_or(Duration::MAX);
            buckets.retain(|_, (at, _)| now.duration_since(*at) < full);
            if buckets.len() >= MAX_CALLERS {
                let oldest = buckets.iter().min_by_key(|(_, (at, _))| *at).map(|(caller, _)| caller.clone());
                oldest.map(|caller| buckets.remove(&caller));
            }
        }
        let (at, tokens) = buckets.entry(caller.to_owned()).or_insert((now, self.rate.burst));
        let earned = now.duration_since(*at).as_secs_f64() * self.rate.per_second;
        (*at, *tokens) = (now, (*tokens + earned).min(self.rate.burst));
        let admitted = *tokens >= 1.0;
        if admitted {
            *tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_caller_has_a_separate_rate_limit() {
        let callers = Callers::new(Rate { per_second: 2.0, burst: 3.0 });
        let admits = |caller: &str| callers.admits(caller, Instant::now());
        assert_eq!([(); 4].map(|()| admits("alice")), [true, true, true, false]);
        assert!(admits("bob"));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!([(); 2].map(|()| admits("alice")), [true, false]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!([(); 4].map(|()| admits("alice")), [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_recorded_callers_is_limited() {
        let callers = Callers::new(Rate { per_second: 1.0, burst: 10_000.0 });
        for number in 0..MAX_CALLERS + 100 {
            assert!(callers.admits(&number.to_string(), Instant::now()));
        }
        assert_eq!(callers.buckets.lock().unwrap().len(), MAX_CALLERS);
    }
}

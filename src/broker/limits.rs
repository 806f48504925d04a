//! How often each user may ask.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most users that are remembered. Those who have asked least lately are forgotten first, and may then ask as new ones.
const REMEMBERED: usize = 10_000;

/// A number of requests a second, and how many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// What each user has left, by ARN.
#[derive(Debug)]
pub(super) struct Callers {
    rate: Rate,
    left: Mutex<HashMap<String, (Instant, f64)>>,
}

impl Callers {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, left: Mutex::default() }
    }

    /// Counts a request of a user, and returns whether it is one of those that are allowed.
    pub(super) fn admits(&self, arn: &str, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= REMEMBERED && !left.contains_key(arn) {
            let full = Duration::try_from_secs_f64(self.rate.burst / self.rate.per_second).unwrap_or(Duration::MAX);
            left.retain(|_, (at, _)| now.duration_since(*at) < full);
            if left.len() >= REMEMBERED {
                let oldest = left.iter().min_by_key(|(_, (at, _))| *at).map(|(arn, _)| arn.clone());
                oldest.map(|arn| left.remove(&arn));
            }
        }
        let (at, tokens) = left.entry(arn.to_owned()).or_insert((now, self.rate.burst));
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
    async fn each_user_has_a_rate_of_their_own() {
        let callers = Callers::new(Rate { per_second: 2.0, burst: 3.0 });
        let asked = |arn: &str| callers.admits(arn, Instant::now());
        assert_eq!([(); 4].map(|()| asked("alice")), [true, true, true, false]);
        assert!(asked("bob"));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!([(); 2].map(|()| asked("alice")), [true, false]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!([(); 4].map(|()| asked("alice")), [true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_number_of_users_takes_more_memory() {
        let callers = Callers::new(Rate { per_second: 1.0, burst: 10_000.0 });
        for number in 0..REMEMBERED + 100 {
            assert!(callers.admits(&number.to_string(), Instant::now()));
        }
        assert_eq!(callers.left.lock().unwrap().len(), REMEMBERED);
    }
}

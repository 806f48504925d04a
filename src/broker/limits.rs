//! Rate limits of callers, and the limit of identities that STS verifies at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::access::gate::User;

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

/// How long an access key is known after STS accepted a signature of it.
const KNOWN: Duration = Duration::from_secs(3600);

/// The identities that STS verifies at the same time.
///
/// Anybody can send an identity with a wrong signature, and only STS can tell. All access keys that are not known share half of the
/// permits, so a flood of wrong signatures leaves the other half to the users whose keys STS accepted before. A key ID is no secret, so the
/// known keys of a user also share few permits of their own, and are not refused for wrong signatures. A user can have any number of keys.
#[derive(Debug)]
pub(super) struct Verifications {
    others: Arc<Semaphore>,
    of_user: usize,
    known: Mutex<HashMap<String, KnownKey>>,
}

/// An access key of which STS accepted a signature.
#[derive(Debug)]
struct KnownKey {
    /// When STS last accepted one.
    at: Instant,
    /// The ARN of the user.
    user: String,
    /// The permits of the user.
    own: Arc<Semaphore>,
}

impl KnownKey {
    fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.at) < KNOWN
    }
}

impl Verifications {
    /// `at_once` is the maximum number of concurrent requests of the broker, at least 2.
    pub(super) fn new(at_once: usize) -> Self {
        let others = Arc::new(Semaphore::new((at_once / 2).max(1)));
        Self { others, of_user: (at_once / 16).max(1), known: Mutex::default() }
    }

    /// Returns a permit to verify an identity, if one is free.
    pub(super) fn begin(&self, key: &str, now: Instant) -> Option<OwnedSemaphorePermit> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let own = known.get(key).filter(|known| known.is_recent(now)).map(|known| Arc::clone(&known.own));
        drop(known);
        own.and_then(|own| own.try_acquire_owned().ok()).or_else(|| Arc::clone(&self.others).try_acquire_owned().ok())
    }

    /// Records that STS accepted a signature of a key of a user.
    pub(super) fn accepted(&self, key: &str, user: &User, now: Instant) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get_mut(key).filter(|known| known.user == user.arn) {
            known.at = now;
            return;
        }
        if known.len() >= MAX_CALLERS {
            known.retain(|_, known| known.is_recent(now));
        }
        if known.len() >= MAX_CALLERS {
            let oldest = known.iter().min_by_key(|(_, known)| known.at).map(|(key, _)| key.clone());
            oldest.map(|key| known.remove(&key));
        }
        let own = known.values().find(|known| known.user == user.arn).map(|known| Arc::clone(&known.own));
        let own = own.unwrap_or_else(|| Arc::new(Semaphore::new(self.of_user)));
        known.insert(key.to_owned(), KnownKey { at: now, user: user.arn.clone(), own });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::names::{AccountId, UserId};

    #[tokio::test(start_paused = true)]
    async fn unknown_keys_leave_permits_to_known_ones() {
        let verifications = Verifications::new(32);
        let begin = |key: &str| verifications.begin(key, Instant::now());
        let accepted = |key: &str, user: &str| {
            let (account, user_id) = (AccountId::new("123456789012"), UserId::default());
            let user = User { name: user.to_owned(), arn: user.to_owned(), account, user_id };
            verifications.accepted(key, &user, Instant::now());
        };
        accepted("alice", "alice");
        let flood: Vec<_> = (0..100).filter_map(|number| begin(&number.to_string())).collect();
        assert_eq!(flood.len(), 16);
        assert!(begin("bob").is_none());
        let own: Vec<_> = (0..100).filter_map(|_| begin("alice")).collect();
        assert_eq!(own.len(), 2);
        // Another key of the same user has no permits of its own.
        accepted("alice-2", "alice");
        assert!(begin("alice-2").is_none());
        accepted("carol", "carol");
        assert!(begin("carol").is_some());
        drop(flood);
        // A known key also has the permits of the others.
        let more: Vec<_> = (0..100).filter_map(|_| begin("alice")).collect();
        assert_eq!(more.len(), 16);
        drop(own);
        tokio::time::advance(KNOWN).await;
        assert!(begin("alice").is_none(), "it is known for an hour");
        drop(more);
        assert!(begin("alice").is_some());
        for number in 0..MAX_CALLERS + 100 {
            accepted(&number.to_string(), &number.to_string());
        }
        assert_eq!(verifications.known.lock().unwrap().len(), MAX_CALLERS);
    }

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

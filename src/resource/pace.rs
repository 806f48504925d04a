//! The rate of the calls of one quota.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::call::Quota;

/// How long a throttled call counts as evidence about the account, rather than a temporary condition.
const THROTTLE_MEMORY: Duration = Duration::from_secs(20);
/// The maximum rate after a throttled call, as a multiple of the documented rate.
const MAX: f64 = 20.0;

/// The state of one quota.
///
/// It starts with the documented rate. Until the first throttled call, additional calls search for the account's limit: one call, and one
/// more at once for each success, so they double with each round trip, like TCP's slow start. The first throttled call ends the search for
/// the rest of the run. After that there is only a rate, which each throttled call lowers and each success raises slightly.
#[derive(Debug)]
pub(super) struct Bucket {
    quota: &'static Quota,
    tokens: f64,
    rate: f64,
    filled: Instant,
    /// The rate at the last throttled call.
    throttled_rate: Option<f64>,
    /// When the rate was last lowered.
    slowed: Option<Instant>,
    /// Whether the last call had to wait for its token.
    had_to_wait: bool,
    search: Search,
    /// Whether the user has been notified of the low rate.
    pub(super) notified: bool,
    /// Locked by the next caller.
    pub(super) turn: Arc<Mutex<()>>,
    /// Notifies the next caller that a turn may be available before the next token.
    pub(super) opened: Arc<Notify>,
}

/// Whether AWS has throttled any operation of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Generous,
    Throttled,
}

/// How a call got its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Within the rate.
    Paced,
    /// Beyond the documented rate.
    AdditionalPermissions,
}

/// Whether the caller has waited for this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    No,
    Yes,
}

/// The calls beyond the documented rate.
#[derive(Debug)]
struct Search {
    /// The maximum number at once.
    limit: usize,
    under_way: usize,
    answered: u32,
    began: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(quota: &'static Quota) -> Self {
        Self {
            quota,
            tokens: quota.burst,
            rate: quota.rate,
            filled: Instant::now(),
            throttled_rate: None,
            slowed: None,
            had_to_wait: false,
            search: Search { limit: 1, under_way: 0, answered: 0, began: None },
            notified: false,
            turn: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Takes a turn, or returns the time until the next one.
    pub(super) fn take(&mut self, account: Account, waited: Waited) -> Result<Turn, Duration> {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min(self.quota.burst);
        self.filled = now;
        // Sums of small floating-point parts may be slightly below a whole number.
        if self.tokens > 1.0 - 1e-6 {
            self.tokens -= 1.0;
            self.had_to_wait = waited == Waited::Yes;
            return Ok(Turn::Paced);
        }
        if account == Account::Generous && self.search.under_way < self.search.limit {
            self.search.began.get_or_insert(now);
            self.search.under_way += 1;
            return Ok(Turn::AdditionalPermissions);
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }

    /// Returns a turn whose call was not made.
    pub(super) fn give_back(&mut self, turn: Turn) {
        if turn == Turn::Paced {
            self.tokens = (self.tokens + 1.0).min(self.quota.burst);
        }
    }

    /// Ends a turn, whatever the result of the call.
    pub(super) fn end(&mut self, turn: Turn) {
        if turn == Turn::AdditionalPermissions {
            self.search.under_way -= 1;
            self.opened.notify_one();
        }
    }

    /// Raises the rate after a successful call that had to wait for its turn, or that was beyond the documented rate.
    pub(super) fn answered(&mut self, turn: Turn) {
        match turn {
            Turn::AdditionalPermissions => {
                self.search.limit += 1;
                self.search.answered += 1;
            }
            // A call that did not wait shows nothing about a higher limit.
            Turn::Paced if self.had_to_wait => {
                let lately = |at: Instant| at.elapsed() < THROTTLE_MEMORY;
                let more = match self.throttled_rate.filter(|_| self.slowed.is_some_and(lately)) {
                    // No rate has been throttled, or only temporarily.
                    None => self.quota.rate * 0.01,
                    // Rises quickly to just below the throttled rate, then by at most a hundredth each second.
                    Some(throttled) if self.rate < throttled * 0.9 => throttled * 0.05,
                    Some(throttled) => throttled * (0.01 / self.rate).min(0.003),
                };
                self.rate = (self.rate + more).min(self.quota.rate * MAX);
            }
            Turn::Paced => {}
        }
    }

    /// Drops the rest of the burst and lowers the rate, but not below a call every two seconds.
    ///
    /// Calls that were in flight at that time show nothing about the lower rate.
    pub(super) fn refused(&mut self, sent: Instant) {
        self.tokens = self.tokens.min(0.0);
        if let Some(began) = self.search.began.take() {
            // Successes within a moment may have been a burst. Over a second or more, half of them is a sustainable rate.
            let (took, answered) = (began.elapsed().as_secs_f64(), f64::from(self.search.answered));
            let found = if took < 1.0 { 0.0 } else { answered / took / 2.0 };
            self.rate = self.rate.max(found).min(self.quota.rate * MAX);
            self.slowed = Some(Instant::now());
        }
        // Calls without a wait show nothing about the rate.
        else if self.had_to_wait && self.slowed.is_none_or(|at| sent > at) {
            self.slowed = Some(Instant::now());
            self.throttled_rate = Some(self.rate);
            self.rate = (self.rate * 0.7).max(0.5);
        }
    }

    #[cfg(test)]
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}

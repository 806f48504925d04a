//! How fast the calls of one quota may follow each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::call::Quota;

/// How long a refusal is held to tell of the account, and not of a moment.
const MEMORY: Duration = Duration::from_secs(20);
/// The most that the pace becomes once AWS has refused a call, as a multiple of the documented one.
const MOST: f64 = 20.0;

/// What the calls of one quota have been told so far.
///
/// It begins with what AWS documents. As long as AWS refuses nothing, calls beyond that search for what the account takes: one,
/// and with each that is answered one more at once, so that they double with each round trip, as TCP's slow start does. The
/// first refusal ends the search for the rest of the run. From then on the pace is a rate, which each refusal lowers and each
/// answer raises a little.
#[derive(Debug)]
pub(super) struct Bucket {
    quota: &'static Quota,
    tokens: f64,
    rate: f64,
    filled: Instant,
    /// The pace that was last refused.
    refused: Option<f64>,
    /// When the pace was last lowered.
    slowed: Option<Instant>,
    /// Whether the last one to take a token had to wait for it.
    pressed: bool,
    search: Search,
    /// Whether the user has been told that it is slow.
    pub(super) told: bool,
    /// Who is next.
    pub(super) turn: Arc<Mutex<()>>,
    /// Tells who is next that there may be a turn before the next token.
    pub(super) opened: Arc<Notify>,
}

/// Whether AWS has asked this run to slow down, whatever the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    Generous,
    Throttled,
}

/// How a call came to its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// At the pace.
    Paced,
    /// Beyond what AWS documents.
    Beyond,
}

/// Whether the caller has waited for this turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    No,
    Yes,
}

/// The calls beyond what AWS documents.
#[derive(Debug)]
struct Search {
    /// How many there may be at once.
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
            refused: None,
            slowed: None,
            pressed: false,
            search: Search { limit: 1, under_way: 0, answered: 0, began: None },
            told: false,
            turn: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Takes a turn, or returns how long it takes until there is one.
    pub(super) fn take(&mut self, account: Account, waited: Waited) -> Result<Turn, Duration> {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min(self.quota.burst);
        self.filled = now;
        // Sums of small parts are never quite whole.
        if self.tokens > 1.0 - 1e-6 {
            self.tokens -= 1.0;
            self.pressed = waited == Waited::Yes;
            return Ok(Turn::Paced);
        }
        if account == Account::Generous && self.search.under_way < self.search.limit {
            self.search.began.get_or_insert(now);
            self.search.under_way += 1;
            return Ok(Turn::Beyond);
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.rate))
    }

    /// Gives back a turn whose call was not made.
    pub(super) fn give_back(&mut self, turn: Turn) {
        if turn == Turn::Paced {
            self.tokens = (self.tokens + 1.0).min(self.quota.burst);
        }
    }

    /// Ends a turn, whatever came of it.
    pub(super) fn end(&mut self, turn: Turn) {
        if turn == Turn::Beyond {
            self.search.under_way -= 1;
            self.opened.notify_one();
        }
    }

    /// Raises the pace with an answer to a call that had to wait for its turn, or came beyond what AWS documents.
    pub(super) fn answered(&mut self, turn: Turn) {
        match turn {
            Turn::Beyond => {
                self.search.limit += 1;
                self.search.answered += 1;
            }
            // Who is not held back learns nothing of how much more there is.
            Turn::Paced if self.pressed => {
                let lately = |at: Instant| at.elapsed() < MEMORY;
                let more = match self.refused.filter(|_| self.slowed.is_some_and(lately)) {
                    // Nobody has said no to a pace, or it may have been a passing storm.
                    None => self.quota.rate * 0.01,
                    // Back quickly to just below what was refused; beyond, a hundredth a second at the most.
                    Some(refused) if self.rate < refused * 0.9 => refused * 0.05,
                    Some(refused) => refused * (0.01 / self.rate).min(0.003),
                };
                self.rate = (self.rate + more).min(self.quota.rate * MOST);
            }
            Turn::Paced => {}
        }
    }

    /// Forgets the burst that is left and lowers the pace, but never below a call every two seconds.
    ///
    /// Calls that were under way when it was lowered say nothing of the lower one.
    pub(super) fn refused(&mut self, sent: Instant) {
        self.tokens = self.tokens.min(0.0);
        if let Some(began) = self.search.began.take() {
            // What was answered within a moment may have been a burst. Half of what came in a second or more is a pace.
            let (took, answered) = (began.elapsed().as_secs_f64(), f64::from(self.search.answered));
            let found = if took < 1.0 { 0.0 } else { answered / took / 2.0 };
            self.rate = self.rate.max(found).min(self.quota.rate * MOST);
            self.slowed = Some(Instant::now());
        }
        // What comes at once, unpaced, says nothing of the pace.
        else if self.pressed && self.slowed.is_none_or(|at| sent > at) {
            self.slowed = Some(Instant::now());
            self.refused = Some(self.rate);
            self.rate = (self.rate * 0.7).max(0.5);
        }
    }

    #[cfg(test)]
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }
}

//! Concurrent work on many targets. Both the total number and the number of one account are limited, so that an account that does not
//! answer does not delay the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tracing::Span;

use crate::resource::destination::Destination;
use crate::resource::names::AccountId;

/// The maximum number of concurrent targets.
pub(super) const MAX_CONCURRENT: usize = 64;
/// The maximum number of concurrent targets of one account.
const MAX_PER_ACCOUNT: usize = 8;
/// The time after which reading work no longer counts as concurrent, because it is probably waiting for an account that does not answer.
const PROMPT: Duration = Duration::from_secs(10);
/// The maximum number of such targets that do not count.
const MAX_LATE: usize = 64;

/// The kind of work, which determines how many targets of an account begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Reading, from accounts that may not answer.
    Reading,
    /// Applying plans, which can take long. Each account has answered before.
    Applying,
}

/// Signals that the account of a target has answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    account: String,
    sender: UnboundedSender<String>,
}

impl Answered {
    /// Allows other targets of the account to begin.
    pub(super) fn answered(&self) {
        // The receiver is gone if all work is done.
        let _ = self.sender.send(self.account.clone());
    }
}

/// An account's waiting items, and the number of its running ones.
struct Account<I> {
    waiting: VecDeque<(usize, I)>,
    in_flight: usize,
    has_answered: bool,
    /// Whether the account is in the queue of those that can begin another item.
    queued: bool,
}

impl<I> Account<I> {
    /// Returns whether another item can begin. Until the account has answered, only one runs.
    fn may_begin(&self) -> bool {
        let most = if self.has_answered { MAX_PER_ACCOUNT } else { 1 };
        !self.waiting.is_empty() && self.in_flight < most
    }
}

/// The running items that count, in the order of their start, and those that no longer count.
#[derive(Default)]
struct InFlight {
    prompt: VecDeque<(Instant, usize)>,
    late: HashSet<usize>,
}

impl InFlight {
    fn end(&mut self, index: usize) {
        if !self.late.remove(&index) {
            self.prompt.retain(|(_, other)| *other != index);
        }
    }

    /// Returns when the next item stops counting.
    fn next_late(&self, work: Work) -> Option<Instant> {
        let (since, _) = self.prompt.front().filter(|_| work == Work::Reading && self.late.len() < MAX_LATE)?;
        Some(*since + PROMPT)
    }

    fn turn_late(&mut self) {
        if let Some((_, index)) = self.prompt.pop_front() {
            self.late.insert(index);
        }
    }
}

/// Does work for each item, and returns the results in the order of the items. `account` returns the account of an item.
pub(super) async fn concurrently<I, T, F: Future<Output = T>>(
    items: impl IntoIterator<Item = I>,
    kind: Work,
    account: impl Fn(&I) -> String,
    work: impl Fn(I, Answered) -> F,
) -> Vec<T> {
    let (sender, mut answers) = unbounded_channel::<String>();
    let mut accounts: HashMap<String, Account<I>> = HashMap::new();
    // The accounts that can begin another item, in turn.
    let mut ready: VecDeque<String> = VecDeque::new();
    let mut count = 0;
    for (index, item) in items.into_iter().enumerate() {
        let of = account(&item);
        let own = accounts.entry(of.clone()).or_insert_with(|| {
            ready.push_back(of);
            let has_answered = kind == Work::Applying;
            Account { waiting: VecDeque::new(), in_flight: 0, has_answered, queued: true }
        });
        own.waiting.push_back((index, item));
        count += 1;
    }
    let mut done: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut in_flight = InFlight::default();
    let mut running = FuturesUnordered::new();
    loop {
        while in_flight.prompt.len() < MAX_CONCURRENT
            && let Some(of) = ready.pop_front()
        {
            let Some(own) = accounts.get_mut(&of) else { continue };
            own.queued = false;
            let Some((index, item)) = own.waiting.pop_front() else { continue };
            own.in_flight += 1;
            let future = work(item, Answered { account: of.clone(), sender: sender.clone() });
            // One account after the other, so that few sessions begin at the same time.
            queue(&mut ready, own, &of);
            in_flight.prompt.push_back((Instant::now(), index));
            running.push(async move { (index, of, future.await) });
        }
        let late = in_flight.next_late(kind);
        let late = async {
            match late {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let of = tokio::select! {
            ended = running.next() => {
                let Some((index, of, result)) = ended else { break };
                if let Some(place) = done.get_mut(index) {
                    *place = Some(result);
                }
                in_flight.end(index);
                if let Some(own) = accounts.get_mut(&of) {
                    own.in_flight -= 1;
                }
                of
            }
            // It is never closed, because `sender` exists.
            Some(of) = answers.recv() => {
                if let Some(own) = accounts.get_mut(&of) {
                    own.has_answered = true;
                }
                of
            }
            () = late => {
                in_flight.turn_late();
                continue;
            }
        };
        if let Some(own) = accounts.get_mut(&of) {
            queue(&mut ready, own, &of);
        }
    }
    done.into_iter().flatten().collect()
}

/// Puts an account at the front of the queue if it can begin another item.
fn queue<I>(ready: &mut VecDeque<String>, account: &mut Account<I>, name: &str) {
    if !account.queued && account.may_begin() {
        account.queued = true;
        ready.push_front(name.to_owned());
    }
}

/// Returns the span of work for a target, so that all its log events have the target's name.
pub(super) fn span_of<R>(destination: &Destination<R>) -> Span {
    let span = |name: &String| tracing::error_span!("target", name);
    destination.name.as_ref().map_or_else(Span::none, span)
}

/// Returns the key of a target's account. Targets with the same session belong to the same account.
pub(super) fn account_of(destination: &Destination) -> String {
    let route = &destination.route;
    let account = destination.account().or(route.account_id.as_ref()).map(AccountId::as_str);
    let of = account.or(route.role_arn.as_deref()).or(route.aws_profile.as_deref());
    of.or(destination.name.as_deref()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::sleep;

    use super::*;

    const REGIONS: usize = 20;
    const HANGS: Duration = Duration::from_secs(60);

    /// The point at which an account stops answering.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Hangs {
        Never,
        AtFirst,
        /// After `GetCallerIdentity`.
        Later,
    }

    /// The result of a run over accounts with 20 targets each.
    struct Run {
        /// The maximum number of concurrent targets.
        most: usize,
        /// The end of the last target whose account answers.
        last: Duration,
        all: Duration,
    }

    async fn run(accounts: usize, hangs: impl Fn(usize) -> Hangs) -> Run {
        let (last, most, now) = (RefCell::new(Duration::ZERO), RefCell::new(0), RefCell::new(0));
        let begun = Instant::now();
        let items: Vec<(usize, usize)> =
            (0..accounts).flat_map(|account| (0..REGIONS).map(move |region| (account, region))).collect();
        let of = |item: &(usize, usize)| item.0.to_string();
        let results = concurrently(items.clone(), Work::Reading, of, |(account, region), seat| {
            let (last, most, now, hangs) = (&last, &most, &now, hangs(account));
            async move {
                *now.borrow_mut() += 1;
                let in_flight = *now.borrow();
                most.replace_with(|most| (*most).max(in_flight));
                sleep(if hangs == Hangs::AtFirst { HANGS } else { Duration::from_millis(20) }).await;
                seat.answered();
                sleep(if hangs == Hangs::Later { HANGS } else { Duration::from_millis(20) }).await;
                *now.borrow_mut() -= 1;
                if hangs == Hangs::Never {
                    last.replace(begun.elapsed());
                }
                (account, region)
            }
        })
        .await;
        assert_eq!(results, items, "every result is at its place");
        Run { most: most.into_inner(), last: last.into_inner(), all: begun.elapsed() }
    }

    #[tokio::test(start_paused = true)]
    async fn unresponsive_accounts_use_one_slot_each() {
        let run = run(60, |account| if account < 20 { Hangs::AtFirst } else { Hangs::Never }).await;
        // 40 accounts of 20 targets, at least 44 at once, 40 ms each.
        assert!(run.last <= Duration::from_millis(900), "{:?}", run.last);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_targets_are_limited() {
        let run = run(40, |_| Hangs::Never).await;
        assert_eq!(run.most, MAX_CONCURRENT);
        // 800 targets of 40 ms, 64 at once.
        assert!(run.all <= Duration::from_millis(600), "{:?}", run.all);
    }

    #[tokio::test(start_paused = true)]
    async fn unresponsive_accounts_do_not_delay_others_even_if_they_use_every_slot() {
        let run = run(150, |account| if account < 70 { Hangs::AtFirst } else { Hangs::Never }).await;
        assert!(run.last <= PROMPT * 2 + Duration::from_secs(2), "{:?}", run.last);
        assert!(run.most <= MAX_CONCURRENT + MAX_LATE);
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_that_stop_answering_delay_others_only_briefly() {
        let run = run(40, |account| if account < 8 { Hangs::Later } else { Hangs::Never }).await;
        assert!(run.last <= PROMPT + Duration::from_secs(2), "{:?}", run.last);
        // Three rounds of eight.
        assert!(run.all <= HANGS * 3 + Duration::from_secs(1), "{:?}", run.all);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_target_of_an_account_delays_the_others_only_until_it_answers() {
        let run = run(1, |_| Hangs::Never).await;
        // One until it answers, then eight at once: 20 targets of 40 ms, begun after 0, 20, 60 and 100 ms.
        assert!(run.all <= Duration::from_millis(160), "{:?}", run.all);
        assert_eq!(run.most, MAX_PER_ACCOUNT);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_applies_are_limited() {
        let now = RefCell::new(0);
        let begun = Instant::now();
        let done = concurrently(0..MAX_CONCURRENT * 2, Work::Applying, ToString::to_string, |_, _| async {
            *now.borrow_mut() += 1;
            assert!(*now.borrow() <= MAX_CONCURRENT);
            sleep(PROMPT * 3).await;
            *now.borrow_mut() -= 1;
        });
        assert_eq!(done.await.len(), MAX_CONCURRENT * 2);
        assert_eq!(begun.elapsed(), PROMPT * 6);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_targets_of_an_account_are_limited() {
        let now = RefCell::new(0);
        let begun = Instant::now();
        let none = concurrently(
            0..20,
            Work::Applying,
            |_| String::new(),
            |_, _| async {
                *now.borrow_mut() += 1;
                assert!(*now.borrow() <= MAX_PER_ACCOUNT);
                sleep(Duration::from_secs(1)).await;
                *now.borrow_mut() -= 1;
            },
        );
        assert_eq!(none.await.len(), 20);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }
}

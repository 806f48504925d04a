//! Work on many targets side by side: so many at once, and no more than a few of one account, so that an account that does not answer
//! holds up no other.

use std::collections::{HashMap, VecDeque};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::resource::destination::Destination;

/// How many targets are worked on at once.
pub(super) const AT_ONCE: usize = 64;
/// How many of these may be of one account.
const OF_ACCOUNT: usize = 8;

/// Does work for each item, and returns what came of it, in the order of the items. `account` tells whose an item is.
pub(super) async fn side_by_side<I, T, F: Future<Output = T>>(
    items: impl IntoIterator<Item = I>,
    account: impl Fn(&I) -> String,
    work: impl Fn(I) -> F,
) -> Vec<T> {
    let mut queues: HashMap<String, VecDeque<(usize, I)>> = HashMap::new();
    // The accounts of which another item may begin, in turn.
    let mut ready: VecDeque<String> = VecDeque::new();
    let mut count = 0;
    for (index, item) in items.into_iter().enumerate() {
        let of = account(&item);
        let queue = queues.entry(of.clone()).or_default();
        if queue.is_empty() {
            ready.push_back(of);
        }
        queue.push_back((index, item));
        count += 1;
    }
    let mut done: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    let mut busy: HashMap<String, usize> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(of) = ready.pop_front()
        {
            let Some(queue) = queues.get_mut(&of) else { continue };
            let Some((index, item)) = queue.pop_front() else { continue };
            let under_way = busy.entry(of.clone()).or_default();
            *under_way += 1;
            // One account after the other, so that few sessions are new at a time.
            if !queue.is_empty() && *under_way < OF_ACCOUNT {
                ready.push_front(of.clone());
            }
            let future = work(item);
            running.push(async move { (index, of, future.await) });
        }
        let Some((index, of, result)) = running.next().await else { break };
        if let Some(place) = done.get_mut(index) {
            *place = Some(result);
        }
        let under_way = busy.entry(of.clone()).or_default();
        // One that was at its bound is not among those that are ready.
        if *under_way == OF_ACCOUNT && queues.get(&of).is_some_and(|queue| !queue.is_empty()) {
            ready.push_front(of);
        }
        *under_way -= 1;
    }
    done.into_iter().flatten().collect()
}

/// Returns whose a target is, as far as that is known: those of one session share it, and are of one account.
pub(super) fn account_of(destination: &Destination) -> String {
    let route = &destination.route;
    let of = route.account_id.as_deref().or(route.role_arn.as_deref()).or(route.aws_profile.as_deref());
    of.or(destination.name.as_deref()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// An account that hangs takes its own places only, and every result is at its place.
    #[tokio::test(start_paused = true)]
    async fn an_account_that_hangs_delays_no_other() {
        let ended = RefCell::new(Vec::new());
        let (most, now) = (RefCell::new(0), RefCell::new(0));
        let begun = Instant::now();
        let items: Vec<(usize, usize)> =
            (0..40).flat_map(|account| (0..20).map(move |region| (account, region))).collect();
        let of = |item: &(usize, usize)| item.0.to_string();
        let results = side_by_side(items.clone(), of, |(account, region)| {
            let (ended, most, now) = (&ended, &most, &now);
            async move {
                *now.borrow_mut() += 1;
                let under_way = *now.borrow();
                most.replace_with(|most| (*most).max(under_way));
                // The first two are hung; they come first.
                sleep(if account < 2 { Duration::from_secs(60) } else { Duration::from_millis(20) }).await;
                *now.borrow_mut() -= 1;
                if account >= 2 {
                    ended.borrow_mut().push(begun.elapsed());
                }
                (account, region)
            }
        })
        .await;
        assert_eq!(results, items);
        assert_eq!(*most.borrow(), AT_ONCE);
        // 38 accounts of 20 targets, 48 at once, 20 ms each.
        let last = ended.borrow().iter().max().copied().unwrap();
        assert!(last <= Duration::from_millis(400), "{last:?}");
        // Three rounds of eight.
        assert_eq!(begun.elapsed(), Duration::from_secs(180));
    }

    #[tokio::test(start_paused = true)]
    async fn one_account_is_worked_on_within_its_bound() {
        let now = RefCell::new(0);
        let begun = Instant::now();
        let none = side_by_side(
            0..20,
            |_| String::new(),
            |_| async {
                *now.borrow_mut() += 1;
                assert!(*now.borrow() <= OF_ACCOUNT);
                sleep(Duration::from_secs(1)).await;
                *now.borrow_mut() -= 1;
            },
        );
        assert_eq!(none.await.len(), 20);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
    }
}

//! Decides when a call is made, and whether it is retried.
//!
//! The SDK's own retries are off: they do not know the quotas or each other, and could not be counted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use tokio::time::Instant;
use tracing::Instrument;

use super::call::{CallError, Class, Operation};
use super::interrupt::Interrupt;
use super::pace::{Account, Bucket, Turn, Waited};
use super::traffic::Traffic;
use crate::code::Code;

/// The retry deadline for throttled calls, without the waits for a turn.
const RETRY_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// The retry deadline for failures that may be permanent: an internal failure of AWS, a broken connection, or a resource that has not
/// propagated.
const FAULT_DEADLINE: Duration = Duration::from_secs(52);
/// The retry deadline for optional calls: enough for three or four attempts.
const BRIEF_DEADLINE: Duration = Duration::from_secs(3);
/// The number of attempts if AWS has never responded.
const FIRST_ATTEMPTS: u32 = 3;
/// The first and the longest pause before a retry.
const PAUSES: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(10));
/// The maximum number of retries of a run: a fixed number, plus this many for each success. During a long outage the run fails instead of
/// adding to the load.
const RETRIES: (usize, usize) = (1000, 2);

/// Paces every call by its quota, and retries temporary failures.
///
/// Throttling slows a pass down and never fails it. The pacer searches for the account's limit until AWS throttles a call, see [`Bucket`].
/// A run that was throttled for one operation does not search with the others either.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    state: Arc<Mutex<State>>,
    interrupt: Interrupt,
    traffic: Traffic,
    /// The retry deadline for failures that may be permanent.
    fault_deadline: Duration,
}

/// The failures after which a call is retried.
#[derive(Debug, Clone, Copy)]
enum RetryAfter<'a> {
    /// After throttling, internal failures, and the given classes.
    Temporary(&'a [Class]),
    /// Only after throttling, which means that the call was not processed.
    Throttled,
}

/// The state after the earlier attempts of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierAttempts {
    /// There were none, or AWS processed none of them.
    NotProcessed,
    /// One of them may have taken effect: its response was lost.
    Open,
}

/// The result of a conditional call.
#[derive(Debug)]
pub enum Answered<T, S> {
    Made(T),
    /// The call was not made, because of this observation.
    NotMade(S),
}

/// Whether calls wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each operation at the rate of its quota.
    Aws,
    /// Without waits, for an emulator without quotas.
    Free,
}

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<&'static str, Bucket>,
    throttled: bool,
    answered: usize,
    retries: usize,
}

impl State {
    fn bucket(&mut self, operation: Operation) -> &mut Bucket {
        self.buckets.entry(operation.quota.name).or_insert_with(|| Bucket::new(operation.quota))
    }
}

/// A call's turn. Dropping it ends the turn, so an abandoned call does not block the next one.
#[derive(Debug)]
struct TurnGuard<'a> {
    pacer: &'a Pacer,
    operation: Operation,
    turn: Turn,
    queued: Duration,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        if self.turn == Turn::AdditionalPermissions {
            self.pacer.with_bucket(self.operation, |bucket| bucket.end(Turn::AdditionalPermissions));
        }
    }
}

impl Pacer {
    /// Returns a pacer whose waits end with the interrupt.
    pub fn new(pace: Pace, interrupt: Interrupt, traffic: Traffic) -> Self {
        Self { pace, state: Arc::default(), interrupt, traffic, fault_deadline: FAULT_DEADLINE }
    }

    /// Returns a pacer with the same rates and a short retry deadline, for optional calls.
    #[must_use]
    pub fn with_short_deadline(&self) -> Self {
        let (state, interrupt, traffic) = (Arc::clone(&self.state), self.interrupt.clone(), self.traffic.clone());
        Self { pace: self.pace, state, interrupt, traffic, fault_deadline: BRIEF_DEADLINE }
    }

    /// Waits for AWS's work in progress, unless the pass is interrupted.
    pub async fn sleep(&self, operation: Operation, duration: Duration) -> Result<(), CallError> {
        self.traffic.note(operation, |tally| tally.watching += duration);
        self.wait(operation, duration).await
    }

    async fn wait(&self, operation: Operation, duration: Duration) -> Result<(), CallError> {
        if !duration.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = self.interrupt.wait() => {}
            }
        }
        if !self.interrupt.raised() {
            return Ok(());
        }
        Err(CallError::new(operation, Class::Interrupted, "interrupted"))
    }

    /// Makes a call, and retries temporary failures: throttling, internal failures, and the classes in `passes`.
    pub async fn call<T, E, F>(
        &self,
        operation: Operation,
        passes: &[Class],
        attempt: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.retried(operation, RetryAfter::Temporary(passes), attempt).await
    }

    /// Makes a call unless a preceding read forbids it. The read happens at each turn, just before the call, because calls can wait long
    /// for their turn and an earlier read may be outdated.
    ///
    /// The read gets to know whether an earlier attempt may have taken effect.
    pub async fn call_unless<T, E, F, S, L>(
        &self,
        operation: Operation,
        mut look: impl FnMut(EarlierAttempts) -> L,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Answered<T, S>, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        L: Future<Output = Result<Option<S>, CallError>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let span = tracing::debug_span!("call", action = operation.action());
        self.retry_loop(operation, RetryAfter::Temporary(&[]), &mut look, &mut attempt).instrument(span).await
    }

    /// Makes a call that is not idempotent. It is retried only if AWS did not process it.
    pub async fn call_once<T, E, F>(&self, operation: Operation, attempt: impl FnMut() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.retried(operation, RetryAfter::Throttled, attempt).await
    }

    async fn retried<T, E, F>(
        &self,
        operation: Operation,
        retry_after: RetryAfter<'_>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let span = tracing::debug_span!("call", action = operation.action());
        let mut never = |_| std::future::ready(Ok(None::<Infallible>));
        match self.retry_loop(operation, retry_after, &mut never, &mut attempt).instrument(span).await? {
            Answered::Made(answer) => Ok(answer),
            Answered::NotMade(never) => match never {},
        }
    }

    async fn retry_loop<T, E, F, S, L>(
        &self,
        operation: Operation,
        retry_after: RetryAfter<'_>,
        look: &mut impl FnMut(EarlierAttempts) -> L,
        attempt: &mut impl FnMut() -> F,
    ) -> Result<Answered<T, S>, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        L: Future<Output = Result<Option<S>, CallError>>,
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let started = Instant::now();
        // The wait for a turn does not count, because thousands of calls may be queued before this one.
        let mut queued = Duration::ZERO;
        let (mut pause, longest) = PAUSES;
        let mut tries = 0;
        // An earlier attempt that may have taken effect. An interruption after it must be reported as such.
        let mut open: Option<CallError> = None;
        loop {
            let held = match self.take(operation).await {
                Ok(held) => held,
                Err(over) => return Err(open.unwrap_or(over)),
            };
            queued += held.queued;
            let earlier = if open.is_some() { EarlierAttempts::Open } else { EarlierAttempts::NotProcessed };
            match look(earlier).await {
                Ok(None) => {}
                Ok(Some(seen)) => {
                    self.with_bucket(operation, |bucket| bucket.give_back(held.turn));
                    return Ok(Answered::NotMade(seen));
                }
                Err(error) => return Err(open.unwrap_or(error)),
            }
            tries += 1;
            let span = tracing::debug_span!("request", number = tries);
            // The SDK's futures have 8 KB. Boxed, they exist only during the request, and do not add to the size of the waiting futures.
            let answer = Box::pin(attempt());
            let sent = Instant::now();
            let error = match self.attempt(held, answer, tries).instrument(span).await {
                Ok(answer) => return Ok(Answered::Made(answer)),
                Err(error) => error,
            };
            let tried = started.elapsed().saturating_sub(queued);
            let deadline = self.deadline(&error, retry_after, tries);
            // If a response took long or timed out, the next one is likely to take as long.
            let next = tried + pause + sent.elapsed();
            if deadline.is_none_or(|deadline| next > deadline) || !self.take_retry() {
                // The last response says nothing about an earlier attempt whose response was lost.
                return Err(CallError { open: error.open || open.is_some(), ..error });
            }
            if pause > Duration::from_secs(4)
                && self.with_bucket(operation, |bucket| !std::mem::replace(&mut bucket.notified, true))
            {
                tracing::warn!(
                    "retrying {} until AWS accepts it; the answer was: {}",
                    operation.action(),
                    error.plain_message()
                );
            }
            // Full jitter, so that calls that were throttled together are not retried together.
            let jittered = pause.mul_f64(fastrand::f64());
            self.traffic.note(operation, |tally| tally.pausing += jittered);
            if error.open {
                open = Some(error);
            }
            if let Err(over) = self.wait(operation, jittered).await {
                return Err(open.unwrap_or(over));
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Makes a request and counts it.
    async fn attempt<T, E>(
        &self,
        held: TurnGuard<'_>,
        answer: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        number: u32,
    ) -> Result<T, CallError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let TurnGuard { operation, turn, .. } = held;
        let sent = Instant::now();
        let result = tokio::select! {
            result = answer => result.map_err(|error| CallError::from_sdk(operation, error)),
            () = self.interrupt.overdue() => {
                let error = CallError::new(operation, Class::Unreachable, "the --timeout of the run expired");
                Err(CallError { failure: Some(Code::TimedOut), ..error })
            }
        };
        let took = sent.elapsed();
        self.traffic.note(operation, |tally| {
            tally.requests += 1;
            tally.again += usize::from(number > 1);
            tally.failed += usize::from(result.is_err());
            tally.answering += took;
        });
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(answer) => {
                let request_id = answer.request_id();
                tracing::debug!(milliseconds, request_id, "answered");
                self.with_state(|state| {
                    state.answered += 1;
                    state.bucket(operation).answered(turn);
                });
            }
            Err(error) => {
                let request_id = error.request_id.as_deref();
                tracing::debug!(milliseconds, request_id, class = ?error.class, said = error.message, "failed");
                if error.class == Class::Throttled {
                    self.with_state(|state| {
                        state.throttled = true;
                        state.bucket(operation).refused(sent);
                    });
                }
            }
        }
        result
    }

    /// Returns the retry deadline for this failure, if it is retried.
    fn deadline(&self, error: &CallError, retry_after: RetryAfter<'_>, tries: u32) -> Option<Duration> {
        let RetryAfter::Temporary(passes) = retry_after else {
            return (error.class == Class::Throttled).then_some(RETRY_DEADLINE);
        };
        match error.class {
            Class::Throttled => Some(RETRY_DEADLINE),
            Class::ServerFault => Some(self.fault_deadline),
            Class::Unreachable if matches!(error.diagnosis(), Code::Certificate | Code::Proxy) => None,
            // If AWS has responded before, it is likely to respond again.
            Class::Unreachable => {
                (tries < FIRST_ATTEMPTS || self.with_state(|state| state.answered > 0)).then_some(self.fault_deadline)
            }
            class if !passes.contains(&class) => None,
            Class::NotFound => Some(self.fault_deadline),
            _ => Some(RETRY_DEADLINE),
        }
    }

    /// Counts a retry, if the run has any left.
    fn take_retry(&self) -> bool {
        let (least, each) = RETRIES;
        self.with_state(|state| {
            let more = state.retries < least + each * state.answered;
            state.retries += usize::from(more);
            more
        })
    }

    /// Waits until the operation's rate allows another call.
    async fn take(&self, operation: Operation) -> Result<TurnGuard<'_>, CallError> {
        let held = |turn, queued| TurnGuard { pacer: self, operation, turn, queued };
        if self.pace == Pace::Free {
            self.wait(operation, Duration::ZERO).await?;
            return Ok(held(Turn::Paced, Duration::ZERO));
        }
        let started = Instant::now();
        let (turn, opened) =
            self.with_bucket(operation, |bucket| (Arc::clone(&bucket.turn), Arc::clone(&bucket.opened)));
        let taken = async {
            // One caller waits for the rate and the others for their turn, so that a change of the rate applies to all.
            let _turn = tokio::select! {
                turn = turn.lock() => turn,
                () = self.interrupt.wait() => {
                    self.wait(operation, Duration::ZERO).await?;
                    turn.lock().await
                }
            };
            let mut waited = Waited::No;
            loop {
                let missing = match self.take_now(operation, waited) {
                    Ok(turn) => break Ok(held(turn, Duration::ZERO)),
                    Err(missing) => missing,
                };
                waited = Waited::Yes;
                tokio::select! {
                    waited = self.wait(operation, missing) => waited?,
                    () = opened.notified() => {}
                }
            }
        };
        let taken: Result<TurnGuard<'_>, CallError> = taken.await;
        let waited = started.elapsed();
        self.traffic.note(operation, |tally| tally.queuing += waited);
        let mut taken = taken?;
        taken.queued = waited;
        self.wait(operation, Duration::ZERO).await?;
        Ok(taken)
    }

    fn take_now(&self, operation: Operation, waited: Waited) -> Result<Turn, Duration> {
        self.with_state(|state| {
            let account = if state.throttled { Account::Throttled } else { Account::Generous };
            state.bucket(operation).take(account, waited)
        })
    }

    fn with_bucket<R>(&self, operation: Operation, work: impl FnOnce(&mut Bucket) -> R) -> R {
        self.with_state(|state| work(state.bucket(operation)))
    }

    fn with_state<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
#[expect(clippy::result_large_err, reason = "the SDK's own error, as large as it is")]
mod tests {
    use std::cell::{Cell, RefCell};

    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::metadata::ErrorMetadata;
    use futures_util::future::join_all;

    use super::super::call::{DESCRIBE_TABLE, GET_PARAMETERS, GET_PARAMETERS_BY_PATH, PUT_PARAMETER, TAG_RESOURCE};
    use super::*;

    type Answer = Result<HttpResponse, SdkError<ErrorMetadata, HttpResponse>>;

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn refused(code: &str) -> Answer {
        let error = ErrorMetadata::builder().code(code).message("by the test").build();
        Err(SdkError::service_error(error, response(400)))
    }

    fn lost() -> Answer {
        Err(SdkError::timeout_error("timed out"))
    }

    fn pacer(interrupt: &Interrupt) -> Pacer {
        Pacer::new(Pace::Aws, interrupt.clone(), Traffic::default())
    }

    /// A pacer whose run was throttled.
    fn throttled(interrupt: &Interrupt) -> Pacer {
        let pacer = pacer(interrupt);
        pacer.with_state(|state| state.throttled = true);
        pacer
    }

    /// An account with its own limit, whatever the documentation says.
    struct Account {
        rate: f64,
        burst: f64,
        bucket: RefCell<(f64, Instant)>,
        taken: Cell<usize>,
    }

    impl Account {
        fn new(rate: f64, burst: f64) -> Self {
            Self { rate, burst, bucket: RefCell::new((burst, Instant::now())), taken: Cell::new(0) }
        }

        async fn answer(&self) -> Answer {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut bucket = self.bucket.borrow_mut();
            let now = Instant::now();
            bucket.0 = (bucket.0 + now.duration_since(bucket.1).as_secs_f64() * self.rate).min(self.burst);
            bucket.1 = now;
            if bucket.0 < 1.0 {
                return refused("ThrottlingException");
            }
            bucket.0 -= 1.0;
            self.taken.set(self.taken.get() + 1);
            Ok(response(200))
        }
    }

    /// Makes this many calls from 16 callers, and returns after the last response.
    async fn work(pacer: &Pacer, account: &Account, operation: Operation, calls: u32) -> Instant {
        let left = Cell::new(calls);
        let worker = || async {
            while left.get() > 0 {
                left.set(left.get() - 1);
                pacer.call(operation, &[], || account.answer()).await.unwrap();
            }
        };
        join_all((0..16).map(|_| worker())).await;
        Instant::now()
    }

    /// Returns how much longer the calls take than the account's limit requires, and the share of throttled requests.
    async fn work_off(operation: Operation, (rate, burst): (f64, f64), calls: u32) -> (f64, f64) {
        let pacer = pacer(&Interrupt::default());
        let account = Account::new(rate, burst);
        let started = Instant::now();
        work(&pacer, &account, operation, calls).await;
        assert_eq!(account.taken.get(), calls as usize);
        let floor = (f64::from(calls) - burst) / rate;
        let total = pacer.traffic.total();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let refused = total.failed as f64 / total.requests as f64;
        (started.elapsed().as_secs_f64() / floor, refused)
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_adapts_to_the_account() {
        let accounts = [
            (PUT_PARAMETER, (1.0, 20.0), 200),
            // The documented limit, for a first apply of a few policies and of many.
            (PUT_PARAMETER, (3.0, 15.0), 100),
            (PUT_PARAMETER, (3.0, 15.0), 1000),
            (PUT_PARAMETER, (3.0, 40.0), 200),
            (PUT_PARAMETER, (10.0, 20.0), 2000),
            (GET_PARAMETERS, (20.0, 20.0), 2000),
            (GET_PARAMETERS, (40.0, 40.0), 160),
            (GET_PARAMETERS, (40.0, 20.0), 2000),
            (GET_PARAMETERS, (100.0, 20.0), 10_000),
            (GET_PARAMETERS, (100.0, 400.0), 10_000),
        ];
        for (seed, (operation, quota, calls)) in (0..3).flat_map(|seed| accounts.map(|account| (seed, account))) {
            fastrand::seed(seed);
            let (times, refused) = work_off(operation, quota, calls).await;
            assert!(times < 1.2, "{calls} of {} at {quota:?} a second took {times} times the floor", operation.name);
            assert!(refused < 0.1, "{refused} of {} were refused at {quota:?} a second", operation.name);
        }
    }

    /// Two runs share an account, and the second starts when the first has found its rate: neither starves.
    #[tokio::test(start_paused = true)]
    async fn two_runs_share_an_account() {
        fastrand::seed(1);
        let account = Account::new(3.0, 15.0);
        let (first, second) = (pacer(&Interrupt::default()), pacer(&Interrupt::default()));
        let late = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            work(&second, &account, PUT_PARAMETER, 200).await
        };
        let started = Instant::now();
        let ended = futures_util::future::join(work(&first, &account, PUT_PARAMETER, 300), late).await;
        let (first, second) = (ended.0 - started, ended.1 - started);
        // 500 calls at 3 a second, without the burst.
        let least = Duration::from_secs((500 - 15) / 3);
        assert!(first.max(second) < least.mul_f64(1.2), "{first:?} and {second:?}");
        assert!(first.min(second) > least.mul_f64(0.6), "{first:?} and {second:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_burst_wait_for_their_turn() {
        let pacer = throttled(&Interrupt::default());
        let started = Instant::now();
        for _ in 0..15 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..6 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        let waited = started.elapsed().as_secs_f64();
        assert!((1.9..2.2).contains(&waited), "six calls at three a second took {waited} s");
    }

    #[tokio::test(start_paused = true)]
    async fn operations_of_one_quota_share_its_rate() {
        let pacer = throttled(&Interrupt::default());
        let started = Instant::now();
        for _ in 0..40 {
            pacer.take(GET_PARAMETERS).await.unwrap();
        }
        for _ in 0..40 {
            pacer.take(GET_PARAMETERS_BY_PATH).await.unwrap();
        }
        assert_eq!(started.elapsed().as_millis() / 100, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_throttled_calls_lower_the_rate_once() {
        let pacer = throttled(&Interrupt::default());
        for _ in 0..16 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        let sent = Instant::now();
        for _ in 0..8 {
            pacer.with_bucket(PUT_PARAMETER, |bucket| bucket.refused(sent));
        }
        let rate = pacer.with_bucket(PUT_PARAMETER, |bucket| bucket.rate());
        assert!((rate - 2.1).abs() < 0.01, "{rate}");
    }

    /// Returns the number of round trips that the calls take on an account without throttling, for a number of callers.
    async fn trips(pacer: &Pacer, operation: Operation, calls: u32, callers: usize) -> f64 {
        let started = Instant::now();
        let left = Cell::new(calls);
        let trip = Duration::from_millis(20);
        let worker = || async {
            while left.get() > 0 {
                left.set(left.get() - 1);
                let answer = || async {
                    tokio::time::sleep(trip).await;
                    Answer::Ok(response(200))
                };
                pacer.call(operation, &[], answer).await.unwrap();
            }
        };
        join_all((0..callers).map(|_| worker())).await;
        started.elapsed().as_secs_f64() / trip.as_secs_f64()
    }

    /// After the burst: one call, two, four, and so on, up to the number of callers.
    #[tokio::test(start_paused = true)]
    async fn without_throttling_only_concurrency_limits_the_rate() {
        for (operation, calls, callers) in
            [(PUT_PARAMETER, 1000, 16), (PUT_PARAMETER, 100, 16), (GET_PARAMETERS, 100, 32)]
        {
            let took = trips(&pacer(&Interrupt::default()), operation, calls, callers).await;
            let least = f64::from(calls) / f64::from(u32::try_from(callers).unwrap());
            assert!(
                took <= least.ceil() + 6.0,
                "{calls} of {} took {took} round trips, and the lower bound is {least}",
                operation.name
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_run_keeps_the_documented_rate_for_all_operations() {
        let pacer = pacer(&Interrupt::default());
        let answers = RefCell::new([refused("ThrottlingException"), Ok(response(200))].into_iter());
        let answer = || std::future::ready(answers.borrow_mut().next().unwrap());
        pacer.call(DESCRIBE_TABLE, &[], answer).await.unwrap();
        let trips = trips(&pacer, PUT_PARAMETER, 45, 16).await;
        // 15 at once, then 3 a second, plus a hundredth of that with each success.
        assert!((400.0..510.0).contains(&trips), "{trips}");
    }

    /// A run that is interrupted in a call beyond the documented rate releases its turn.
    #[tokio::test(start_paused = true)]
    async fn an_abandoned_call_releases_its_turn() {
        let pacer = pacer(&Interrupt::default());
        for _ in 0..15 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        let hanging = pacer.call(PUT_PARAMETER, &[], std::future::pending::<Answer>);
        assert!(tokio::time::timeout(Duration::from_millis(1), hanging).await.is_err());
        let started = Instant::now();
        pacer.take(PUT_PARAMETER).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_ends_the_wait_for_a_turn() {
        let interrupt = Interrupt::default();
        let pacer = throttled(&interrupt);
        for _ in 0..15 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        let (turn, ()) = tokio::join!(pacer.take(PUT_PARAMETER), async { interrupt.raise() });
        assert_eq!(turn.unwrap_err().class, Class::Interrupted);
    }

    /// Makes a call that always gets this response. Returns the result, the duration and the number of requests.
    async fn retried_call(pacer: &Pacer, passes: &[Class], answer: fn() -> Answer) -> (Class, Duration, usize) {
        let (started, before) = (Instant::now(), pacer.traffic.total().requests);
        let error = pacer.call(DESCRIBE_TABLE, passes, || async move { answer() }).await.unwrap_err();
        (error.class, started.elapsed(), pacer.traffic.total().requests - before)
    }

    #[tokio::test(start_paused = true)]
    async fn temporary_failures_are_retried_until_the_deadline() {
        let pacer = pacer(&Interrupt::default());
        let minutes = |duration: Duration| duration.as_secs() / 60;
        let (class, took, _) = retried_call(&pacer, &[], || refused("ThrottlingException")).await;
        assert_eq!((class, minutes(took)), (Class::Throttled, 14));
        let (class, took, _) = retried_call(&pacer, &[], || refused("InternalServerError")).await;
        assert!(class == Class::ServerFault && took < Duration::from_secs(61), "{took:?}");
        for code in ["AccessDeniedException", "ValidationException", "ExpiredTokenException", "ResourceInUseException"]
        {
            let (_, took, requests) = retried_call(
                &pacer,
                &[],
                match code {
                    "AccessDeniedException" => || refused("AccessDeniedException"),
                    "ValidationException" => || refused("ValidationException"),
                    "ExpiredTokenException" => || refused("ExpiredTokenException"),
                    _ => || refused("ResourceInUseException"),
                },
            )
            .await;
            assert!(requests == 1 && took < Duration::from_secs(1), "{code}: {requests} requests in {took:?}");
        }
        let (class, took, _) = retried_call(&pacer, &[Class::Busy], || refused("ResourceInUseException")).await;
        assert_eq!((class, minutes(took)), (Class::Busy, 14));
    }

    #[tokio::test(start_paused = true)]
    async fn a_non_idempotent_call_is_retried_only_if_not_processed() {
        let pacer = pacer(&Interrupt::default());
        let tries = Cell::new(0);
        let answers = [refused("ThrottlingException"), refused("ThrottlingException"), lost(), Ok(response(200))];
        let answers = RefCell::new(answers.into_iter());
        let call = || {
            tries.set(tries.get() + 1);
            std::future::ready(answers.borrow_mut().next().unwrap())
        };
        let error = pacer.call_once(PUT_PARAMETER, call).await.unwrap_err();
        assert_eq!((error.class, error.open, tries.get()), (Class::Unreachable, true, 3));
    }

    /// A thousand tables wait for minutes before their first call: this time does not count towards the retry deadline.
    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_does_not_count_towards_the_deadline() {
        let pacer = pacer(&Interrupt::default());
        let call = || async {
            let tries = Cell::new(0);
            let answer = || {
                tries.set(tries.get() + 1);
                let answer = if tries.get() < 2 { refused("InternalServerError") } else { Ok(response(200)) };
                async move { answer }
            };
            pacer.call(TAG_RESOURCE, &[], answer).await
        };
        let ended = join_all((0..1000).map(|_| call())).await;
        assert_eq!(ended.iter().filter(|one| one.is_err()).count(), 0);
    }

    /// If AWS has never responded, the call fails quickly; if it has, the call waits a minute for the connection.
    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_retried_if_aws_has_responded_before() {
        let pacer = pacer(&Interrupt::default());
        let (class, took, requests) = retried_call(&pacer, &[], lost).await;
        assert!(
            class == Class::Unreachable && requests == 3 && took < Duration::from_secs(2),
            "{requests} in {took:?}"
        );
        pacer.call(DESCRIBE_TABLE, &[], || async { Answer::Ok(response(200)) }).await.unwrap();
        let (_, took, requests) = retried_call(&pacer, &[], lost).await;
        assert!(requests > 5 && took > Duration::from_secs(20), "{requests} in {took:?}");
    }

    /// The total number of retries is limited however many calls fail. After that each call fails at once.
    #[tokio::test(start_paused = true)]
    async fn the_total_number_of_retries_is_limited() {
        let pacer = pacer(&Interrupt::default());
        for _ in 0..300 {
            retried_call(&pacer, &[], || refused("ThrottlingException")).await;
        }
        let total = pacer.traffic.total();
        assert_eq!((total.again, total.requests), (1000, 1300));
    }

    /// When the time limit expires during a request, it may continue briefly, and its effect is unknown.
    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_at_the_deadline_may_finish_briefly() {
        let interrupt = Interrupt::default();
        let pacer = pacer(&interrupt);
        let slow = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Answer::Ok(response(200))
        };
        let (quick, hanging, ()) = tokio::join!(
            pacer.call(DESCRIBE_TABLE, &[], || slow(5)),
            pacer.call(DESCRIBE_TABLE, &[], || slow(3600)),
            async { interrupt.expire() }
        );
        assert!(quick.is_ok());
        assert_eq!(hanging.unwrap_err().class, Class::Unreachable);
        let error = pacer.call(DESCRIBE_TABLE, &[], || slow(0)).await.unwrap_err();
        assert_eq!((error.class, pacer.traffic.total().requests), (Class::Interrupted, 2));
    }

    /// An interrupted write whose earlier response was lost may have taken effect, and is reported as such.
    #[tokio::test(start_paused = true)]
    async fn an_interrupted_write_reports_a_possible_effect() {
        for (first, expected) in
            [("InternalServerError", Class::ServerFault), ("ThrottlingException", Class::Interrupted)]
        {
            let interrupt = Interrupt::default();
            let pacer = pacer(&interrupt);
            let answer = || async {
                interrupt.raise();
                refused(first)
            };
            assert_eq!(pacer.call(PUT_PARAMETER, &[], answer).await.unwrap_err().class, expected);
        }
    }
}

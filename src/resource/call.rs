//! One AWS call: its operation, its pace, its retries, and what its failure means.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::sync::watch;
use tokio::time::Instant;

/// An AWS operation and the pace AWS allows for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// The service's name in IAM.
    pub service: &'static str,
    pub name: &'static str,
    /// Calls a second that this tool allows itself.
    rate: f64,
    /// Calls it may make at once after a pause.
    burst: f64,
}

impl Operation {
    const fn new(service: &'static str, name: &'static str, rate: f64, burst: f64) -> Self {
        Self { service, name, rate, burst }
    }

    /// Returns whether it changes anything.
    pub fn writes(self) -> bool {
        !["Get", "Describe", "List", "Query"].iter().any(|head| self.name.starts_with(head))
    }

    /// Returns how long so many calls take at the pace that its quota allows.
    pub fn time_for(self, calls: usize) -> Duration {
        let calls = u32::try_from(calls).map_or(f64::MAX, f64::from);
        Duration::try_from_secs_f64((calls - self.burst).max(0.0) / self.rate).unwrap_or(Duration::MAX)
    }

    /// Returns the IAM action: `ssm:GetParameters`.
    pub fn action(self) -> String {
        format!("{}:{}", self.service, self.name)
    }
}

// The paces: Parameter Store's reads share 40 calls a second and its writes 3 with a burst (AWS General Reference,
// "Systems Manager endpoints and quotas"); the DynamoDB control plane's are in its quotas page where it states them.
// Where AWS says nothing, the pace is one that operators have measured to pass. Each is a start: an answer that says
// "slow down" slows the pace further.
pub const GET_PARAMETERS: Operation = Operation::new("ssm", "GetParameters", 30.0, 40.0);
pub const GET_PARAMETERS_BY_PATH: Operation = Operation::new("ssm", "GetParametersByPath", 30.0, 40.0);
pub const DESCRIBE_PARAMETERS: Operation = Operation::new("ssm", "DescribeParameters", 3.0, 10.0);
pub const LIST_PARAMETER_TAGS: Operation = Operation::new("ssm", "ListTagsForResource", 5.0, 10.0);
pub const PUT_PARAMETER: Operation = Operation::new("ssm", "PutParameter", 3.0, 15.0);
pub const ADD_PARAMETER_TAGS: Operation = Operation::new("ssm", "AddTagsToResource", 3.0, 5.0);
pub const REMOVE_PARAMETER_TAGS: Operation = Operation::new("ssm", "RemoveTagsFromResource", 3.0, 5.0);
pub const DELETE_PARAMETERS: Operation = Operation::new("ssm", "DeleteParameters", 4.0, 4.0);
pub const DESCRIBE_TABLE: Operation = Operation::new("dynamodb", "DescribeTable", 50.0, 100.0);
pub const DESCRIBE_TIME_TO_LIVE: Operation = Operation::new("dynamodb", "DescribeTimeToLive", 10.0, 10.0);
pub const DESCRIBE_CONTINUOUS_BACKUPS: Operation = Operation::new("dynamodb", "DescribeContinuousBackups", 8.0, 8.0);
pub const LIST_TABLE_TAGS: Operation = Operation::new("dynamodb", "ListTagsOfResource", 8.0, 8.0);
pub const CREATE_TABLE: Operation = Operation::new("dynamodb", "CreateTable", 5.0, 5.0);
pub const UPDATE_TABLE: Operation = Operation::new("dynamodb", "UpdateTable", 5.0, 5.0);
pub const LIST_TABLES: Operation = Operation::new("dynamodb", "ListTables", 10.0, 10.0);
pub const TAG_RESOURCE: Operation = Operation::new("dynamodb", "TagResource", 4.0, 4.0);
pub const UNTAG_RESOURCE: Operation = Operation::new("dynamodb", "UntagResource", 4.0, 4.0);
pub const UPDATE_TIME_TO_LIVE: Operation = Operation::new("dynamodb", "UpdateTimeToLive", 5.0, 5.0);
pub const UPDATE_CONTINUOUS_BACKUPS: Operation = Operation::new("dynamodb", "UpdateContinuousBackups", 5.0, 5.0);
pub const GET_CALLER_IDENTITY: Operation = Operation::new("sts", "GetCallerIdentity", 10.0, 10.0);
pub const ASSUME_ROLE: Operation = Operation::new("sts", "AssumeRole", 10.0, 10.0);
// Items have no quota of calls but the table's own: an on-demand table starts with thousands a second.
pub const GET_ITEM: Operation = Operation::new("dynamodb", "GetItem", 500.0, 500.0);
pub const PUT_ITEM: Operation = Operation::new("dynamodb", "PutItem", 200.0, 200.0);
pub const UPDATE_ITEM: Operation = Operation::new("dynamodb", "UpdateItem", 200.0, 200.0);
pub const QUERY: Operation = Operation::new("dynamodb", "Query", 200.0, 200.0);
/// Its parts take the permissions of the calls they stand for.
pub const TRANSACT_WRITE_ITEMS: Operation = Operation::new("dynamodb", "TransactWriteItems", 200.0, 200.0);

/// What a failed call means to whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The permission is missing.
    Denied,
    /// The thing is not there.
    NotFound,
    /// A thing of this name is there already.
    AlreadyExists,
    /// The condition that the call was made under does not hold: nothing was written.
    ConditionFailed,
    /// AWS says to slow down: the same call later passes.
    Throttled,
    /// AWS failed on its side: the same call later may pass.
    ServerFault,
    /// The thing is busy with another change: the same call later passes.
    Busy,
    /// AWS has no valid credentials from us.
    Credentials,
    /// AWS could not be reached, or did not answer in time.
    Unreachable,
    /// The user interrupted the pass before the call was made.
    Interrupted,
    /// Anything else: calling again would not help.
    Rejected,
}

/// A failed call: what was called, what AWS said, and what it means.
#[derive(Debug, Clone)]
pub struct CallError {
    pub operation: Operation,
    pub class: Class,
    /// AWS's name for the error.
    pub code: Option<String>,
    pub message: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.operation.action())?;
        if let Some(code) = &self.code {
            write!(formatter, "{code}: ")?;
        }
        formatter.write_str(&self.said())
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// Reads the SDK's error.
    pub fn from_sdk<E>(operation: Operation, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let SdkError::ServiceError(service) = &error {
            let inner = service.err();
            let code = inner.code().map(str::to_owned);
            let message = inner.message().map_or_else(|| full_message(inner), str::to_owned);
            let status = service.raw().status().as_u16();
            let class = classify(code.as_deref().unwrap_or_default(), &message, status);
            return Self { operation, class, code, message };
        }
        let message = full_message(&error);
        let lower = message.to_lowercase();
        let class = if lower.contains("credential") || lower.contains("identity") || lower.contains("sso") {
            Class::Credentials
        } else {
            Class::Unreachable
        };
        Self { operation, class, code: None, message }
    }
}

/// Returns the error's text with that of everything beneath it.
pub fn full_message(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        source = inner.source();
    }
    parts.join(": ")
}

fn classify(code: &str, message: &str, status: u16) -> Class {
    // A code may come as `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException`.
    let code = code.rsplit('#').next().unwrap_or(code);
    match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => Class::Denied,
        "ParameterNotFound" | "TableNotFoundException" | "ResourceNotFoundException" | "InvalidResourceId" => {
            Class::NotFound
        }
        "ParameterAlreadyExists" => Class::AlreadyExists,
        "ConditionalCheckFailedException" => Class::ConditionFailed,
        // The reasons of its parts stand in the message: `[ConditionalCheckFailed, None]`.
        "TransactionCanceledException" if message.contains("ConditionalCheckFailed") => Class::ConditionFailed,
        "TransactionCanceledException" if message.contains("TransactionConflict") => Class::Throttled,
        "TransactionCanceledException" if message.contains("Throttling") => Class::Throttled,
        "ResourceInUseException" if message.to_lowercase().contains("already exists") => Class::AlreadyExists,
        "ResourceInUseException" | "ContinuousBackupsUnavailableException" => Class::Busy,
        "InternalServerError" | "InternalFailure" | "ServiceUnavailable" => Class::ServerFault,
        "TooManyUpdates"
        | "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "RequestThrottled"
        | "SlowDown"
        | "TransactionConflictException"
        | "TransactionInProgressException" => Class::Throttled,
        // One code for "too many at once", which passes, and for a table or account that is full, which does not.
        "LimitExceededException" => {
            let lower = message.to_lowercase();
            if lower.contains("online index") {
                // One index at a time is built or deleted on a table.
                return Class::Busy;
            }
            let passing = ["simultaneous", "concurrent", "too many", "rate"].iter().any(|word| lower.contains(word));
            if passing { Class::Throttled } else { Class::Rejected }
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "IncompleteSignature" => Class::Credentials,
        _ if status >= 500 => Class::ServerFault,
        _ => Class::Rejected,
    }
}

/// How long a call that AWS asks to make later is tried again before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// The same for what may never pass: a fault on AWS's side, or a thing that is not yet to be seen everywhere.
const FAULT_PATIENCE: Duration = Duration::from_secs(60);

/// Paces every call by its operation, and makes those again that AWS asks to make later.
///
/// The SDK retries three times within a second or two; this goes on where it stops, so that an AWS that throttles
/// makes a pass slower and never makes it fail.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    buckets: Mutex<HashMap<&'static str, Bucket>>,
    interrupt: Interrupt,
}

/// Whether calls wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each operation at the pace AWS allows.
    Aws,
    /// As fast as they come, for an AWS that has no quotas.
    Free,
}

/// Tells that the user wants the pass to end: calls under way are finished, no other is made.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Sender<bool>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Interrupt {
    /// Raises it.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether it has been raised.
    pub fn raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is raised.
    pub async fn wait(&self) {
        // The sender lives in `self`, so the channel cannot have closed.
        let _ = self.0.subscribe().wait_for(|raised| *raised).await;
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    rate: f64,
    filled: Instant,
    /// When the pace was last lowered.
    slowed: Option<Instant>,
    /// Whether the user has been told that it is slow.
    told: bool,
}

impl Pacer {
    /// Returns a pacer whose waits end when the interrupt is raised.
    pub fn new(pace: Pace, interrupt: Interrupt) -> Self {
        Self { pace, buckets: Mutex::new(HashMap::new()), interrupt }
    }

    /// Sleeps, unless the user interrupts.
    pub async fn sleep(&self, operation: Operation, duration: Duration) -> Result<(), CallError> {
        if !duration.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(duration) => {}
                () = self.interrupt.wait() => {}
            }
        }
        if !self.interrupt.raised() {
            return Ok(());
        }
        Err(CallError { operation, class: Class::Interrupted, code: None, message: String::from("interrupted") })
    }

    /// Makes a call, again while its failure is one that passes: throttling always, and what `passes` names.
    pub async fn call<T, E, F>(
        &self,
        operation: Operation,
        passes: &[Class],
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let started = Instant::now();
        let mut pause = Duration::from_millis(300);
        loop {
            self.take(operation).await?;
            let error = match attempt().await {
                Ok(answer) => {
                    tracing::debug!(action = operation.action(), "answered");
                    self.speed_up(operation);
                    return Ok(answer);
                }
                Err(error) => CallError::from_sdk(operation, error),
            };
            tracing::debug!(action = operation.action(), class = ?error.class, said = error.message, "failed");
            let patience = match error.class {
                Class::Throttled => {
                    self.slow_down(operation);
                    PATIENCE
                }
                Class::ServerFault => FAULT_PATIENCE,
                class if !passes.contains(&class) => return Err(error),
                Class::NotFound => FAULT_PATIENCE,
                _ => PATIENCE,
            };
            if started.elapsed() + pause > patience {
                return Err(error);
            }
            if pause > Duration::from_secs(4)
                && self.with_bucket(operation, |bucket| !std::mem::replace(&mut bucket.told, true))
            {
                tracing::warn!(
                    "{} is made again until AWS takes it; its answer was: {}",
                    operation.action(),
                    error.message
                );
            }
            // Full jitter over half the pause: callers that were refused together do not come back together.
            self.sleep(operation, pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await?;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    /// Waits until the operation's pace allows one more call.
    async fn take(&self, operation: Operation) -> Result<(), CallError> {
        let wait = self.with_bucket(operation, |bucket| {
            let now = Instant::now();
            let earned = now.duration_since(bucket.filled).as_secs_f64() * bucket.rate;
            bucket.tokens = (bucket.tokens + earned).min(operation.burst);
            bucket.filled = now;
            // Going below zero queues the callers: each waits until its own token will have been earned.
            bucket.tokens -= 1.0;
            (-bucket.tokens / bucket.rate).max(0.0)
        });
        let wait = if self.pace == Pace::Free { 0.0 } else { wait };
        self.sleep(operation, Duration::from_secs_f64(wait)).await
    }

    /// Forgets the burst that is left and lowers the pace, but never below a call every two seconds.
    ///
    /// Calls under way together are refused together, for one reason: that counts once.
    fn slow_down(&self, operation: Operation) {
        self.with_bucket(operation, |bucket| {
            bucket.tokens = bucket.tokens.min(0.0);
            if bucket.slowed.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                bucket.slowed = Some(Instant::now());
                bucket.rate = (bucket.rate * 0.7).max(0.5);
            }
        });
    }

    /// Raises a lowered pace again, a little with each answer.
    fn speed_up(&self, operation: Operation) {
        self.with_bucket(operation, |bucket| {
            bucket.rate = (bucket.rate + operation.rate * 0.05).min(operation.rate);
        });
    }

    fn with_bucket<R>(&self, operation: Operation, work: impl FnOnce(&mut Bucket) -> R) -> R {
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = || Bucket {
            tokens: operation.burst,
            rate: operation.rate,
            filled: Instant::now(),
            slowed: None,
            told: false,
        };
        work(buckets.entry(operation.name).or_insert_with(fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_for_two_limits_is_told_apart_by_its_message() {
        let full = "Subscriber limit exceeded: There is a limit of 2500 tables per subscriber";
        let busy = "Subscriber limit exceeded: Only 10 tables can be created, updated, or deleted simultaneously";
        assert_eq!(classify("LimitExceededException", full, 400), Class::Rejected);
        assert_eq!(classify("LimitExceededException", busy, 400), Class::Throttled);
        let index = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table";
        assert_eq!(classify("LimitExceededException", index, 400), Class::Busy);
    }

    #[test]
    fn an_existing_table_and_a_busy_one_are_told_apart() {
        assert_eq!(classify("ResourceInUseException", "Table already exists: t", 400), Class::AlreadyExists);
        assert_eq!(classify("ResourceInUseException", "Table is being created: t", 400), Class::Busy);
    }

    #[test]
    fn a_cancelled_transaction_is_told_by_its_reasons() {
        let message = |reason: &str| {
            format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{reason}, None]")
        };
        let class = |reason| classify("TransactionCanceledException", &message(reason), 400);
        assert_eq!(class("ConditionalCheckFailed"), Class::ConditionFailed);
        assert_eq!(class("TransactionConflict"), Class::Throttled);
        assert_eq!(class("ItemCollectionSizeLimitExceeded"), Class::Rejected);
    }

    #[test]
    fn a_code_with_its_namespace_is_understood() {
        let code = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
        assert_eq!(classify(code, "", 400), Class::NotFound);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_over_the_burst_wait_their_turn() {
        let pacer = Pacer::new(Pace::Aws, Interrupt::default());
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
    async fn a_pace_goes_down_once_for_calls_refused_together_and_comes_back() {
        let pacer = Pacer::new(Pace::Aws, Interrupt::default());
        let rate = || pacer.with_bucket(PUT_PARAMETER, |bucket| bucket.rate);
        for _ in 0..8 {
            pacer.slow_down(PUT_PARAMETER);
        }
        assert!((rate() - 2.1).abs() < 0.01, "{}", rate());
        for _ in 0..100 {
            pacer.speed_up(PUT_PARAMETER);
        }
        assert!((rate() - 3.0).abs() < 0.01, "{}", rate());
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_ends_the_wait_for_a_turn() {
        let interrupt = Interrupt::default();
        let pacer = Pacer::new(Pace::Aws, interrupt.clone());
        for _ in 0..15 {
            pacer.take(PUT_PARAMETER).await.unwrap();
        }
        let (turn, ()) = tokio::join!(pacer.take(PUT_PARAMETER), async { interrupt.raise() });
        assert_eq!(turn.unwrap_err().class, Class::Interrupted);
    }
}

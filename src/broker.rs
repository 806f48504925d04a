//! The broker: a server that alone may assume the roles of profiles, and read and write the records of access.
//!
//! A user proves their identity with a request to STS that they sign and the broker sends (`resource/signed_identity.rs`). For the user
//! whom STS names, the broker performs the operations of the commands (`access/desk.rs`). It has no state of its own: any number of
//! brokers can use the same tables.

mod limits;
mod metrics;
mod server;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use crate::access::desk::{Desk, Effect, Operation, Right, Rights, Tables};
use crate::access::gate::{Stopped, User};
use crate::access::log::{Log, LogQueue};
use crate::policy::Principal;
use crate::provider::Gateway;
use crate::resource::call::{CallError, Class};
use crate::resource::caller::{Caller, name_of, partition_of};
use crate::resource::names::{AccountId, PolicyRoot, RoleArn};
use crate::resource::signed_identity::{AskDigest, BrokerUrl, Expected, SignedIdentity};
use limits::{Callers, Verifications};
use metrics::Metrics;

pub use limits::Rate;
pub use server::{Server, Unbound};
pub use tls::{Tls, TlsFiles, Unusable};
pub use wire::{Answered, LONGEST, PATH, Problem, ProblemCode, SignedOperation};

/// The settings of a broker: its users, and what it may do for them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its own address, which users name in the requests that they sign.
    pub url: BrokerUrl,
    /// The broker's own partition, such as `aws-cn`. Users of others are not served.
    pub partition: String,
    /// The accounts whose users may send requests.
    pub accounts: Vec<AccountId>,
    /// The principals of these accounts that may send requests, besides approvers and operators; all if omitted.
    pub principals: Option<Vec<Principal>>,
    pub approvers: Vec<Principal>,
    pub operators: Vec<Principal>,
    /// The role that it assumes for each profile.
    pub roles: BTreeMap<String, RoleArn>,
    /// The endpoint for all requests to STS that replaces STS's own.
    pub endpoint: Option<String>,
    /// The rate limit of each user.
    pub rate: Rate,
    /// The maximum number of concurrent requests.
    pub at_once: usize,
}

impl Settings {
    /// Returns whether the account of a user is served. AWS does not document that an account ID is unique across partitions, and a
    /// request can be signed for STS of any partition.
    fn serves_account_of(&self, user: &User) -> bool {
        self.accounts.contains(&user.account) && partition_of(&user.arn) == self.partition
    }

    /// Returns whether a user may send requests. A caller without a name, such as the root user of an account, may not.
    fn serves(&self, user: &User) -> bool {
        !user.name.is_empty()
            && self.serves_account_of(user)
            && self.principals.as_ref().is_none_or(|principals| {
                [principals, &self.approvers, &self.operators].into_iter().any(|patterns| matches(patterns, user))
            })
    }
}

/// A broker.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    gateway: Gateway,
    tables: Tables,
    policy_root: PolicyRoot,
    log: LogQueue,
    /// The rate limits of the users, and of the accounts that are not served.
    callers: Callers,
    /// The rate limits of the roles, because a user who assumes a role can choose the name of the session.
    roles: Callers,
    /// One permit for each concurrent request.
    slots: Arc<Semaphore>,
    verifications: Verifications,
    metrics: Metrics,
    /// When STS was last asked about the broker's own credentials, and whether it accepted them.
    ready: Mutex<Option<(Instant, bool)>>,
}

/// The rate of all sessions of a role, as a multiple of the rate of one user.
const USERS_OF_ROLE: f64 = 20.0;
/// How long the result of a readiness check is cached.
const READY: Duration = Duration::from_secs(10);
/// The time limit of a readiness check. Load balancers wait for about five seconds.
const READY_TIME: Duration = Duration::from_secs(3);

/// A log record of an operation. A decision on access has a record of its own.
#[derive(Serialize)]
struct Act<'a> {
    time: String,
    operation: &'static str,
    #[serde(flatten)]
    user: &'a User,
    /// Omitted for users who are not served, so that they cannot fill the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    ask: Option<&'a Value>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The broker that received an operation, and when.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    pub url: &'a BrokerUrl,
    /// The endpoint for all requests to STS that replaces STS's own.
    pub endpoint: Option<&'a str>,
    /// The broker's own partition.
    pub partition: &'a str,
    pub now: Timestamp,
}

/// A signed operation after all checks that need no call.
#[derive(Debug)]
pub struct Opened<O> {
    pub operation: O,
    /// The operation as JSON, for the log.
    pub arguments: Value,
    pub identity: SignedIdentity,
}

/// Reads a signed operation, and checks it and the request to STS that proves the user's identity.
///
/// # Errors
///
/// Fails with the code for the client. Only the log has the reason why an identity is refused.
pub fn open<O: Operation>(body: &[u8], recipient: &Recipient<'_>) -> Result<Opened<O>, ProblemCode> {
    let SignedOperation { identity, ask } = SignedOperation::read(body)?;
    let operation: O = serde_json::from_str(&ask).map_err(|_| ProblemCode::BadRequest)?;
    let arguments: Value = serde_json::from_str(&ask).map_err(|_| ProblemCode::BadRequest)?;
    operation.check().map_err(|_| ProblemCode::BadRequest)?;
    let digest = AskDigest::of(O::NAME, &ask);
    let Recipient { url, endpoint, partition, now } = *recipient;
    identity.check(&Expected { broker: url, digest: &digest, now, endpoint, partition }).map_err(|flaw| {
        tracing::info!(operation = O::NAME, "a signed identity was refused: {flaw}");
        ProblemCode::Identity
    })?;
    Ok(Opened { operation, arguments, identity })
}

impl Broker {
    pub fn new(
        settings: Settings,
        gateway: Gateway,
        (tables, policy_root): (Tables, PolicyRoot),
        log: LogQueue,
    ) -> Self {
        let Rate { per_second, burst } = settings.rate;
        let of_role = Rate { per_second: per_second * USERS_OF_ROLE, burst: burst * USERS_OF_ROLE };
        let (callers, roles) = (Callers::new(settings.rate), Callers::new(of_role));
        let (metrics, ready) = (Metrics::default(), Mutex::default());
        let slots = Arc::new(Semaphore::new(settings.at_once));
        let verifications = Verifications::new(settings.at_once);
        Self { settings, gateway, tables, policy_root, log, callers, roles, slots, verifications, metrics, ready }
    }

    /// Performs a signed operation, and counts it in the metrics.
    async fn answer<O: Operation>(&self, body: &[u8]) -> Result<O::Answer, Problem> {
        let began = Instant::now();
        let under_way = self.metrics.begin();
        let answered = self.answered::<O>(body).await;
        drop(under_way);
        let outcome = match &answered {
            Ok(answer) if O::is_done(answer) => "done",
            Ok(_) => "refused",
            Err(problem) => problem.code.word(),
        };
        self.metrics.answered(O::NAME, outcome, began.elapsed());
        answered
    }

    async fn answered<O: Operation>(&self, body: &[u8]) -> Result<O::Answer, Problem> {
        let log = self.log.log();
        let answered = self.performed::<O>(body, &log).await;
        // No client gets an answer before its lines are written.
        match (log.written().await, answered) {
            (Ok(()), answered) => answered,
            (Err(_), Err(problem)) if problem.code == ProblemCode::Unlogged => Err(problem),
            (Err(unwritten), _) => Err(unlogged(&unwritten)),
        }
    }

    async fn performed<O: Operation>(&self, body: &[u8], log: &Log) -> Result<O::Answer, Problem> {
        let Settings { url, endpoint, partition, .. } = &self.settings;
        let recipient = Recipient { url, endpoint: endpoint.as_deref(), partition, now: now() };
        let Opened { operation, arguments, identity } = open::<O>(body, &recipient)?;
        let user = self.identified(&identity).await?;
        // The answer of STS can take seconds.
        let now = now();
        let act = |outcome, error: Option<String>| {
            let time = now.to_string();
            let ask = Some(&arguments).filter(|_| self.settings.serves(&user));
            let record = Act { time, operation: O::NAME, user: &user, ask, outcome, error };
            log.append(&record).map_err(|unwritten| unlogged(&unwritten))
        };
        // Before anything is logged, so that nobody can fill the log.
        if !self.admits(&user) {
            return Err(ProblemCode::TooMany.into());
        }
        if !self.settings.serves(&user) {
            act("refused", Some(ProblemCode::NotListed.message().to_owned()))?;
            return Err(ProblemCode::NotListed.into());
        }
        // Everybody has an AWS account and can sign correctly, so only the keys of users who are served and within their rates are known.
        self.verifications.accepted(identity.key().unwrap_or_default(), &user, Instant::now());
        let rights = self.rights(&user);
        let desk = Desk {
            gateway: &self.gateway,
            account: None,
            known: Some(&user),
            rights: &rights,
            tables: &self.tables,
            policy_root: &self.policy_root,
            log,
            now,
        };
        if O::EFFECT == Effect::Writes {
            act("accepted", None)?;
            log.written().await.map_err(|unwritten| unlogged(&unwritten))?;
        }
        match operation.perform(&desk).await {
            Ok(answer) => {
                match O::EFFECT {
                    Effect::Reads => act("answered", None)?,
                    Effect::Writes => act(if O::is_done(&answer) { "done" } else { "refused" }, None)?,
                    // The operation has logged its decision.
                    Effect::Decides => {}
                }
                Ok(answer)
            }
            Err(stopped) => {
                let (problem, outcome, why) = stopped_by(&stopped);
                act(outcome, Some(why))?;
                Err(problem)
            }
        }
    }

    /// Returns the user of an identity, whom STS names.
    async fn identified(&self, identity: &SignedIdentity) -> Result<User, Problem> {
        let key = identity.key().unwrap_or_default();
        let permit = self.verifications.begin(key, Instant::now()).ok_or(ProblemCode::Busy)?;
        let caller = self.gateway.caller_of(identity).await.map_err(|error| not_identified(&error))?;
        drop(permit);
        Ok(user_of(caller))
    }

    /// Counts a request, and returns whether the user and their role or account are within their rates.
    fn admits(&self, user: &User) -> bool {
        let now = Instant::now();
        if !self.settings.serves_account_of(user) {
            return self.callers.admits(&user.account, now);
        }
        self.callers.admits(&user.arn, now) && self.roles.admits(&principal(user), now)
    }

    fn rights(&self, user: &User) -> Rights {
        let Settings { approvers, operators, roles, .. } = &self.settings;
        let rights = [(Right::Approve, approvers), (Right::Operate, operators)];
        let granted = rights.into_iter().filter(|(_, patterns)| matches(patterns, user)).map(|(right, _)| right);
        Rights::Broker { granted: granted.collect(), roles: roles.clone() }
    }

    /// Waits until no operation is in progress, and prevents new ones.
    async fn all_done(&self) {
        let all = u32::try_from(self.settings.at_once).unwrap_or(u32::MAX);
        let _ = self.slots.acquire_many(all).await;
    }

    /// Returns whether STS accepts the broker's own credentials.
    async fn is_ready(&self) -> bool {
        let mut last = self.ready.lock().await;
        if let Some((at, ready)) = *last
            && at.elapsed() < READY
        {
            return ready;
        }
        let ready = is_accepted(self.gateway.identify()).await;
        *last = Some((Instant::now(), ready));
        ready
    }
}

/// Returns whether STS identifies the broker within the time limit. Anybody can send a readiness check, and while STS does not answer,
/// each would otherwise keep its connection.
async fn is_accepted(identify: impl Future<Output = Result<Caller, CallError>>) -> bool {
    match tokio::time::timeout(READY_TIME, identify).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!("the broker is not ready: {error}");
            false
        }
        Err(_) => {
            tracing::warn!("the broker is not ready: STS does not answer within {} seconds", READY_TIME.as_secs());
            false
        }
    }
}

/// Returns the problem for a failed call to STS with a user's signature.
fn not_identified(error: &CallError) -> Problem {
    tracing::info!("STS did not accept a signed identity: {error}");
    match error.class {
        Class::Throttled | Class::ServerFault | Class::Unreachable | Class::Interrupted | Class::Busy => of_aws(error),
        // Any other error of STS means that the signature or the credentials are not valid.
        _ => ProblemCode::Identity.into(),
    }
}

/// Returns the user behind an identity. The name is empty for a caller without one, so that the refusal is logged as any other.
fn user_of(Caller { account, arn, user_id }: Caller) -> User {
    User { name: name_of(&arn).unwrap_or_default().to_owned(), arn, account, user_id }
}

/// Returns the unique ID of a user, or of a role without the name of its session.
fn principal(user: &User) -> String {
    let id = user.user_id.as_str();
    id.split_once(':').map_or(id, |(role, _)| role).to_owned()
}

fn matches(patterns: &[Principal], user: &User) -> bool {
    patterns.iter().any(|pattern| pattern.matches(&user.arn))
}

/// Returns the problem for an operation that was not performed, its outcome in the log, and the reason.
fn stopped_by(stopped: &Stopped) -> (Problem, &'static str, String) {
    match stopped {
        Stopped::Call(error) => {
            tracing::warn!("{error}");
            (of_aws(error), "failed", error.to_string())
        }
        Stopped::NoRight(why) => {
            (Problem { why: Some(why.clone()), ..ProblemCode::NoRight.into() }, "refused", why.clone())
        }
        Stopped::NoUser(why) => (ProblemCode::NotListed.into(), "refused", why.clone()),
        Stopped::WrongAccount(user) => (ProblemCode::NotListed.into(), "refused", format!("account {}", user.account)),
        Stopped::Unlogged(path, error) => (unlogged(&(path.clone(), Arc::clone(error))), "failed", error.to_string()),
    }
}

/// Returns the problem for a request that cannot be logged.
fn unlogged<E: std::fmt::Display>((path, error): &(PathBuf, E)) -> Problem {
    tracing::error!("{}: the log cannot be written: {error}", path.display());
    ProblemCode::Unlogged.into()
}

fn of_aws(error: &CallError) -> Problem {
    Problem { aws: Some(error.diagnosis().to_string()), ..ProblemCode::Aws.into() }
}

/// The clock of a broker.
#[expect(clippy::disallowed_methods, reason = "the broker takes the time here and passes it to what decides")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::desk::{credentials, locks, requests};

    const CREDENTIALS: &str = include_str!("../fuzz/seeds/broker/credentials.json");

    /// Opens a signed operation at the time at which the seeds of the fuzzer are signed.
    fn opened<O: Operation>(body: &[u8]) -> Result<Opened<O>, ProblemCode> {
        let url = BrokerUrl::new("https://broker.example.com").unwrap();
        let now = "2026-11-26T20:35:10Z".parse().unwrap();
        open(body, &Recipient { url: &url, endpoint: None, partition: "aws", now })
    }

    fn settings() -> Settings {
        Settings {
            url: BrokerUrl::new("https://broker.example.com").unwrap(),
            partition: String::from("aws"),
            accounts: vec![AccountId::new("123456789012")],
            principals: None,
            approvers: Vec::new(),
            operators: Vec::new(),
            roles: BTreeMap::new(),
            endpoint: None,
            rate: Rate { per_second: 1.0, burst: 1.0 },
            at_once: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_broker_is_not_ready_while_sts_does_not_answer() {
        assert!(!is_accepted(std::future::pending()).await);
    }

    #[test]
    fn a_user_of_another_account_or_partition_or_without_a_name_is_not_served() {
        let serves = |account: &str, arn: &str| {
            let user_id = crate::resource::names::UserId::default();
            let user = user_of(Caller { account: AccountId::new(account), arn: arn.to_owned(), user_id });
            (settings().serves_account_of(&user), settings().serves(&user))
        };
        assert_eq!(serves("123456789012", "arn:aws:iam::123456789012:user/alice"), (true, true));
        assert_eq!(serves("210987654321", "arn:aws:iam::210987654321:user/alice"), (false, false));
        assert_eq!(serves("123456789012", "arn:aws-cn:iam::123456789012:user/alice"), (false, false));
        assert_eq!(serves("123456789012", "arn:aws:iam::123456789012:root"), (true, false));
    }

    #[test]
    fn approvers_and_operators_are_served_whether_or_not_principals_lists_them() {
        let pattern = |name: &str| Principal::new(&format!("arn:aws:iam::*:user/{name}")).unwrap();
        let of = |principals| Settings {
            principals,
            approvers: vec![pattern("bob")],
            operators: vec![pattern("olga")],
            ..settings()
        };
        let serves = |settings: &Settings, account: &str, name: &str| {
            let (arn, user_id) =
                (format!("arn:aws:iam::{account}:user/{name}"), crate::resource::names::UserId::default());
            settings.serves(&user_of(Caller { account: AccountId::new(account), arn, user_id }))
        };
        for principals in [vec![pattern("alice")], Vec::new()] {
            let listed = !principals.is_empty();
            let settings = of(Some(principals));
            assert_eq!(serves(&settings, "123456789012", "alice"), listed);
            assert!(serves(&settings, "123456789012", "bob"));
            assert!(serves(&settings, "123456789012", "olga"));
            assert!(!serves(&settings, "123456789012", "mallory"));
            assert!(!serves(&settings, "210987654321", "bob"), "the account is not served");
        }
        assert!(serves(&of(None), "123456789012", "mallory"));
    }

    #[test]
    fn an_operation_is_opened_only_as_the_one_that_it_is_signed_for() {
        let opened_as = opened::<credentials::Obtain>(CREDENTIALS.as_bytes()).unwrap();
        assert_eq!((opened_as.operation.profile.as_str(), &opened_as.arguments["mode"]), ("prod", &"cli".into()));
        let lock = include_str!("../fuzz/seeds/broker/lock.json");
        assert_eq!(opened::<locks::Lock>(lock.as_bytes()).unwrap().operation.user, "alice");
        let approve = include_str!("../fuzz/seeds/broker/approve.json");
        opened::<requests::Approve>(approve.as_bytes()).unwrap();
        // The text is valid for another operation, which the signature does not cover.
        assert_eq!(opened::<requests::Deny>(approve.as_bytes()).map(drop).unwrap_err(), ProblemCode::Identity);
    }

    proptest! {
        #[test]
        fn no_byte_of_a_signed_operation_can_be_changed(at in 0..CREDENTIALS.len(), byte in 0_u8..128) {
            let mut body = CREDENTIALS.as_bytes().to_vec();
            prop_assume!(body[at] != byte);
            let insignificant = |byte: u8| b" \n\t\r".contains(&byte);
            prop_assume!(!(insignificant(body[at]) && insignificant(byte)));
            body[at] = byte;
            if let Ok(changed) = opened::<credentials::Obtain>(&body) {
                // Only STS can detect a change of the signed headers or the signature.
                let own = opened::<credentials::Obtain>(CREDENTIALS.as_bytes()).unwrap().identity;
                prop_assert_ne!(&changed.identity.headers, &own.headers);
            }
        }
    }
}

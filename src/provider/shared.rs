//! Shares one request to a credential provider among concurrent callers.
//!
//! Each SDK client caches its credentials, but clients share neither a request in flight nor a failure, so a `credential_process` would run
//! once for each client.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a failure is cached.
const FAILURE_CACHE: Duration = Duration::from_secs(5);
/// How long a failure is cached for a role of a run over several targets: it is requested once, not for each region of the account.
const ROLE_FAILURE_CACHE: Duration = Duration::from_secs(10 * 60);
/// How long credentials without an expiry are used, as in the SDK's own cache.
const NO_EXPIRY: Duration = Duration::from_secs(15 * 60);
/// How long before their expiry credentials are requested again.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

type Answer = std::result::Result<Credentials, Arc<CredentialsError>>;

/// A provider that calls another one and shares its result with all concurrent callers.
#[derive(Debug)]
pub(super) struct Shared {
    provider: SharedCredentialsProvider,
    /// How long a failure is cached.
    failure: Duration,
    /// The last result, and when it expires from the cache.
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Shared {
    pub(super) fn wrap(provider: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Self { provider, failure: FAILURE_CACHE, last: Mutex::default() })
    }

    /// The same for a role that Sentinel assumes for targets.
    pub(super) fn of_role(provider: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Self { provider, failure: ROLE_FAILURE_CACHE, last: Mutex::default() })
    }

    async fn provide(&self) -> Result {
        let mut last = self.last.lock().await;
        if let Some((until, answer)) = last.as_ref()
            && Instant::now() < *until
        {
            return answer.clone().map_err(|error| copy(&error));
        }
        let answer = self.provider.provide_credentials().await.map_err(Arc::new);
        let good = answer.as_ref().map_or(self.failure, |credentials| usable_for(credentials).max(FAILURE_CACHE));
        *last = Some((Instant::now() + good, answer.clone()));
        answer.map_err(|error| copy(&error))
    }
}

/// Returns how long credentials are used before new ones are requested. Short-lived credentials are used for half of their lifetime.
#[expect(clippy::disallowed_methods, reason = "credentials say by the clock when they expire")]
fn usable_for(credentials: &Credentials) -> Duration {
    let Some(expiry) = credentials.expiry() else { return NO_EXPIRY };
    let left = expiry.duration_since(std::time::SystemTime::now()).unwrap_or_default();
    left.saturating_sub(REFRESH_BEFORE_EXPIRY).max(left / 2)
}

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        self.provider.fallback_on_interrupt()
    }
}

/// Returns an error of the same kind with the same causes: the SDK's own type cannot be cloned.
fn copy(error: &Arc<CredentialsError>) -> CredentialsError {
    let cause = Cause(Arc::clone(error));
    match error.as_ref() {
        CredentialsError::CredentialsNotLoaded(_) => CredentialsError::not_loaded(cause),
        CredentialsError::ProviderTimedOut(timeout) => CredentialsError::provider_timed_out(timeout.timeout_duration()),
        CredentialsError::InvalidConfiguration(_) => CredentialsError::invalid_configuration(cause),
        CredentialsError::ProviderError(_) => CredentialsError::provider_error(cause),
        _ => CredentialsError::unhandled(cause),
    }
}

/// The cause of a provider's error.
#[derive(Debug)]
struct Cause(Arc<CredentialsError>);

impl Display for Cause {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, formatter)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // Classification downcasts the causes, so the source must be the original error.
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::resource::call::full_message;

    /// Counts the requests, and answers each after a second.
    #[derive(Debug, Default)]
    struct Counting {
        questions: Arc<AtomicUsize>,
        fails: bool,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async {
                self.questions.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                match self.fails {
                    true => Err(CredentialsError::not_loaded("no session")),
                    false => Ok(Credentials::new("AKIA", "secret", None, None, "test")),
                }
            })
        }
    }

    /// Credentials that expire are used until five minutes before, or for half of a short lifetime. A failure for a role is cached.
    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "credentials say by the clock when they expire")]
    async fn credentials_are_kept_until_shortly_before_they_expire() {
        let expiring = |seconds: u64| {
            let at = std::time::SystemTime::now() + Duration::from_secs(seconds);
            Credentials::new("AKIA", "secret", None, Some(at), "test")
        };
        let close = |one: Duration, seconds: u64| one.abs_diff(Duration::from_secs(seconds)) < Duration::from_secs(5);
        assert!(close(usable_for(&expiring(3_600)), 3_300));
        assert!(close(usable_for(&expiring(400)), 200));
        assert_eq!(usable_for(&expiring(0)), Duration::ZERO);
        assert_eq!(usable_for(&Credentials::new("AKIA", "secret", None, None, "test")), NO_EXPIRY);
        let questions = Arc::<AtomicUsize>::default();
        let counting = Counting { questions: Arc::clone(&questions), fails: true };
        let shared = Shared::of_role(SharedCredentialsProvider::new(counting));
        for _ in 0..20 {
            assert!(shared.provide_credentials().await.is_err());
            tokio::time::sleep(FAILURE_CACHE).await;
        }
        assert_eq!(questions.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_one_request() {
        for fails in [false, true] {
            let questions = Arc::<AtomicUsize>::default();
            let shared =
                Shared::wrap(SharedCredentialsProvider::new(Counting { questions: Arc::clone(&questions), fails }));
            let answers = futures_util::future::join_all((0..3).map(|_| shared.provide_credentials())).await;
            assert!(answers.iter().all(|answer| answer.is_err() == fails));
            assert_eq!(questions.load(Ordering::SeqCst), 1);
            if let Some(Err(error)) = answers.last() {
                let first = CredentialsError::not_loaded("no session");
                assert_eq!(full_message(error), full_message(&first));
                assert!(matches!(error, CredentialsError::CredentialsNotLoaded(_)));
            }
            tokio::time::sleep(if fails { FAILURE_CACHE } else { NO_EXPIRY }).await;
            let _ = shared.provide_credentials().await;
            assert_eq!(questions.load(Ordering::SeqCst), 2);
        }
    }
}

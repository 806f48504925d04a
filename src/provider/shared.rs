//! One question to a provider of credentials for all who ask at about the same time.
//!
//! Each client of the SDK keeps the credentials that it was given, but clients share neither a question that is under way nor one that
//! failed: a `credential_process` would be run once for each of them.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is good for others.
const GOOD: Duration = Duration::from_secs(5);

type Answer = std::result::Result<Credentials, Arc<CredentialsError>>;

/// A provider that asks another one, and gives its answer to all who waited for it.
#[derive(Debug)]
pub(super) struct Shared {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Shared {
    pub(super) fn wrap(provider: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Self { provider, last: Mutex::default() })
    }

    async fn provide(&self) -> Result {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < GOOD
        {
            return answer.clone().map_err(|error| again(&error));
        }
        let answer = self.provider.provide_credentials().await.map_err(Arc::new);
        *last = Some((Instant::now(), answer.clone()));
        answer.map_err(|error| again(&error))
    }
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

/// Returns an error of the same kind and with the same causes: the SDK's own cannot be cloned.
fn again(error: &Arc<CredentialsError>) -> CredentialsError {
    let cause = Cause(Arc::clone(error));
    match error.as_ref() {
        CredentialsError::CredentialsNotLoaded(_) => CredentialsError::not_loaded(cause),
        CredentialsError::ProviderTimedOut(timeout) => CredentialsError::provider_timed_out(timeout.timeout_duration()),
        CredentialsError::InvalidConfiguration(_) => CredentialsError::invalid_configuration(cause),
        CredentialsError::ProviderError(_) => CredentialsError::provider_error(cause),
        _ => CredentialsError::unhandled(cause),
    }
}

/// What caused an error of a provider.
#[derive(Debug)]
struct Cause(Arc<CredentialsError>);

impl Display for Cause {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, formatter)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // Whoever tells failures apart looks for the causes by their types.
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::resource::call::full_message;

    /// Counts the questions, and answers each after a second.
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

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_are_one_question() {
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
            tokio::time::sleep(GOOD).await;
            let _ = shared.provide_credentials().await;
            assert_eq!(questions.load(Ordering::SeqCst), 2);
        }
    }
}

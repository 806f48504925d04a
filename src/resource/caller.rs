//! The caller: the account and identity of the credentials.

pub use aws_sdk_sts::Client;
pub use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityOutput as Answer;
use serde::{Deserialize, Serialize};

use std::sync::Arc;
use std::time::Duration;

use aws_types::SdkConfig;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use crate::resource::call::{CallError, Class, GET_CALLER_IDENTITY};
use crate::resource::names::{AccountId, UserId};
use crate::resource::pacer::Pacer;
use crate::resource::role::is_name;

/// The identity of the credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub account: AccountId,
    pub arn: String,
    /// The unique ID, `aws:userid` in IAM policies. A saved plan does not contain it.
    #[serde(skip)]
    pub user_id: UserId,
}

impl Caller {
    /// Returns the caller from STS's response.
    pub fn answered(answer: Answer) -> Result<Self, CallError> {
        match (answer.account, answer.arn) {
            (Some(account), Some(arn)) => {
                let user_id = UserId::new(answer.user_id.unwrap_or_default());
                Ok(Self { account: AccountId::new(account), arn, user_id })
            }
            _ => Err(CallError::new(GET_CALLER_IDENTITY, Class::Rejected, String::from("the answer names no account"))),
        }
    }

    /// Returns the partition of the account, such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        partition_of(&self.arn)
    }

    /// Returns the user's name: that of an IAM user, of a role session (for IAM Identity Center, the sign-in name), or of a federated user.
    ///
    /// # Errors
    ///
    /// Fails for an account's root user, which has no name, and for unknown types of callers.
    pub fn user(&self) -> Result<String, String> {
        name_of(&self.arn)
            .map(str::to_owned)
            .ok_or_else(|| format!("{} is neither an IAM user nor a role session, and has no user name", self.arn))
    }
}

/// Returns the user's name in an ARN from `sts:GetCallerIdentity`.
pub fn name_of(arn: &str) -> Option<&str> {
    // arn:aws:iam::123456789012:user/path/alice, arn:aws:sts::123456789012:assumed-role/role/session
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
    let name = match (service, kind) {
        ("iam", "user") => rest.rsplit('/').next(),
        // STS omits the role's path, so the role's name is one part, followed by that of the session.
        ("sts", "assumed-role") => rest.split_once('/').map(|(_, session)| session),
        ("sts", "federated-user") => Some(rest),
        _ => None,
    };
    // Characters that AWS does not allow, such as a trailing blank, would make one user look like two.
    name.filter(|name| is_name(name))
}

/// Returns the partition of an ARN, such as `aws` or `aws-cn`.
pub fn partition_of(arn: &str) -> &str {
    arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws")
}

/// Returns the account of an ARN.
pub fn account_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", partition, _, _, account, resource] if partition.starts_with("aws") && !resource.is_empty() => {
            Some(account)
        }
        _ => None,
    }
}

/// Returns a case-folded name: IAM does not allow two users whose names differ only by case. Source: IAM User Guide, "IAM identifiers".
pub fn folded(name: &str) -> String {
    // Converts to upper case first, so that letters with two lower-case forms become equal.
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The caller of one connection, requested when it is first needed.
#[derive(Debug)]
pub struct Identity {
    client: Client,
    pacer: Arc<Pacer>,
    known: OnceCell<Caller>,
    reuse: Reuse,
    last: Mutex<Option<(Instant, Result<Caller, CallError>)>>,
}

/// How long a result is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Only concurrent callers share the result.
    Never,
    /// For the regions of an account, which a run reads one after another. A failure is cached too, so an account that denies the call or
    /// does not respond gets one call.
    Cached,
}

/// The duration of the cache. Credentials last at least 15 minutes.
const CACHE_TIME: Duration = Duration::from_secs(5 * 60);

impl Identity {
    /// Returns the identity of a connection. Makes no call.
    pub fn new(config: &SdkConfig, pacer: &Arc<Pacer>, reuse: Reuse) -> Self {
        let (client, pacer) = (Client::new(config), Arc::clone(pacer));
        Self { client, pacer, known: OnceCell::new(), reuse, last: Mutex::default() }
    }

    /// Returns the caller, with a call only if it is not cached.
    pub async fn known(&self) -> Result<&Caller, CallError> {
        self.known.get_or_try_init(|| identify(&self.client, &self.pacer)).await
    }

    /// Calls STS again, because credentials expire. The first call is shared with [`Identity::known`].
    pub async fn ask(&self) -> Result<Caller, CallError> {
        if self.reuse == Reuse::Never {
            return self.ask_now().await;
        }
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < CACHE_TIME
        {
            return answer.clone();
        }
        let answer = self.ask_now().await;
        // An interrupted call has no result to cache.
        if !matches!(&answer, Err(error) if error.class == Class::Interrupted) {
            *last = Some((Instant::now(), answer.clone()));
        }
        answer
    }

    async fn ask_now(&self) -> Result<Caller, CallError> {
        if self.known.initialized() {
            return identify(&self.client, &self.pacer).await;
        }
        self.known().await.cloned()
    }
}

/// Calls STS to identify the caller. This requires no permission.
pub async fn identify(client: &Client, pacer: &Pacer) -> Result<Caller, CallError> {
    let answer = pacer.call(GET_CALLER_IDENTITY, &[], || client.get_caller_identity().send()).await?;
    Caller::answered(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_name_is_the_one_from_sts() {
        let caller = |arn: &str| Caller {
            account: AccountId::new("123456789012"),
            arn: arn.to_owned(),
            user_id: UserId::new("AIDA0123456789ABCDEF"),
        };
        let name = |arn: &str| caller(arn).user().ok();
        let cases = [
            ("arn:aws:iam::123456789012:user/alice", Some("alice")),
            ("arn:aws-cn:iam::123456789012:user/division/team/alice", Some("alice")),
            ("arn:aws:sts::123456789012:assumed-role/Admin/alice@example.com", Some("alice@example.com")),
            (
                "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/bob@example.com",
                Some("bob@example.com"),
            ),
            ("arn:aws:sts::123456789012:assumed-role/ec2/i-0123456789abcdef0", Some("i-0123456789abcdef0")),
            ("arn:aws:sts::123456789012:federated-user/carol", Some("carol")),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:sts::123456789012:assumed-role/Admin", None),
            ("arn:aws:iam::123456789012:user/", None),
            ("arn:aws:iam::123456789012:user/alice ", None),
            ("arn:aws:sts::123456789012:assumed-role/Admin/alice\u{200b}", None),
            ("arn:aws:iam::123456789012:role/user/alice", None),
            ("", None),
        ];
        for (arn, expected) in cases {
            assert_eq!(name(arn).as_deref(), expected, "{arn}");
        }
    }

    #[test]
    fn folded_names_ignore_case() {
        assert_eq!(folded("Alice@Example.COM"), "alice@example.com");
        // The Kelvin sign and the long s.
        assert_eq!(folded("\u{212a}arl-\u{17f}"), folded("KARL-S"));
        assert_ne!(folded("alice"), folded("alicf"));
    }
}

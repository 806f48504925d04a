//! Roles: taking one on, and the credentials that come of it.

use std::fmt;

pub use aws_sdk_sts::Client;

use super::call::{ASSUME_ROLE, CallError, Class, Pacer};

/// Credentials as they are handed out. Their debug output holds nothing secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// Seconds since 1970; long-lived keys have none.
    pub expires: Option<i64>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// A role to take on, and what is stamped on the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    pub role_arn: String,
    pub session_name: String,
    /// What every call made with the credentials carries in CloudTrail, and no later role can change.
    pub source_identity: String,
    pub external_id: Option<String>,
    /// In seconds; the role's own default is an hour.
    pub duration: Option<i32>,
}

/// Takes on a role. With a source identity this takes `sts:SetSourceIdentity` beside `sts:AssumeRole`, in the caller's
/// permissions and in the role's trust policy (IAM User Guide, "Monitor and control actions taken with assumed roles").
pub async fn assume(client: &Client, pacer: &Pacer, assumption: &Assumption) -> Result<Credentials, CallError> {
    let call = || {
        let request = client.assume_role().role_arn(&assumption.role_arn).role_session_name(&assumption.session_name);
        let request = request.source_identity(&assumption.source_identity);
        let request = request.set_external_id(assumption.external_id.clone());
        request.set_duration_seconds(assumption.duration).send()
    };
    let answer = pacer.call(ASSUME_ROLE, &[], call).await?;
    let credentials = answer.credentials.map(|found| Credentials {
        expires: Some(found.expiration.secs()),
        access_key_id: found.access_key_id,
        secret_access_key: found.secret_access_key,
        session_token: Some(found.session_token),
    });
    credentials.ok_or_else(|| CallError {
        operation: ASSUME_ROLE,
        class: Class::Rejected,
        code: None,
        message: String::from("the answer holds no credentials"),
    })
}

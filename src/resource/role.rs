//! Roles: taking one on, and the credentials that come of it.

use std::fmt;

pub use aws_sdk_sts::Client;

use sha2::{Digest, Sha256};

use crate::resource::call::{ASSUME_ROLE, CallError, Class};
use crate::resource::pacer::Pacer;

/// The most characters of a session's name and of a source identity; the least are two (STS API Reference, "AssumeRole").
pub const NAME_LENGTH: usize = 64;

/// Returns whether a text is made of what AWS takes for either: letters, digits and `_+=,.@-`.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name_letter)
}

/// Returns whether a letter is one of these.
pub fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

/// Returns a name for a user's session: the user's own, which is what calls made in it show as.
pub fn session_name(user: &str) -> String {
    match user.len() {
        2..=NAME_LENGTH if is_name(user) => user.to_owned(),
        1 if is_name(user) => format!("{user}@sentinel"),
        _ => format!("sentinel+{}", &hex::encode(Sha256::digest(user))[..22]),
    }
}

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
    pub source_identity: Option<String>,
    pub external_id: Option<String>,
    /// The caller's MFA device, and the code it shows; a code is taken once.
    pub mfa: Option<(String, String)>,
    /// In seconds; the role's own default is an hour.
    pub duration: Option<i32>,
}

/// Takes on a role. With a source identity this takes `sts:SetSourceIdentity` beside `sts:AssumeRole`, in the caller's
/// permissions and in the role's trust policy (IAM User Guide, "Monitor and control actions taken with assumed roles").
pub async fn assume(client: &Client, pacer: &Pacer, assumption: &Assumption) -> Result<Credentials, CallError> {
    let call = || {
        let request = client.assume_role().role_arn(&assumption.role_arn).role_session_name(&assumption.session_name);
        let request = request.set_source_identity(assumption.source_identity.clone());
        let request = request.set_external_id(assumption.external_id.clone());
        let (serial, code) = assumption.mfa.clone().unzip();
        let request = request.set_serial_number(serial).set_token_code(code);
        request.set_duration_seconds(assumption.duration).send()
    };
    let answer = pacer.call(ASSUME_ROLE, &[], call).await?;
    let credentials = answer.credentials.map(|found| Credentials {
        expires: Some(found.expiration.secs()),
        access_key_id: found.access_key_id,
        secret_access_key: found.secret_access_key,
        session_token: Some(found.session_token),
    });
    credentials
        .ok_or_else(|| CallError::new(ASSUME_ROLE, Class::Rejected, String::from("the answer holds no credentials")))
}

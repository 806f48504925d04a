//! Credentials: assuming a role, and exchanging a user's permanent keys for temporary ones.

use std::fmt;

pub use aws_sdk_sts::Client;
use aws_sdk_sts::types::Tag;

use sha2::{Digest, Sha256};

use crate::resource::call::{ASSUME_ROLE, CallError, Class, GET_SESSION_TOKEN, Operation};
use crate::resource::pacer::Pacer;
use crate::resource::secret::Secret;

/// The maximum length of a session name and of a source identity; the minimum is two (STS API Reference, "AssumeRole").
pub const NAME_LENGTH: usize = 64;

/// Returns whether a text is valid as either: letters, digits and `_+=,.@-`.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name_letter)
}

/// Returns whether a character is one of these.
pub fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter)
}

/// Returns the session name for a user, which is the user's own name and appears in CloudTrail.
pub fn session_name(user: &str) -> String {
    match user.len() {
        2..=NAME_LENGTH if is_name(user) => user.to_owned(),
        1 if is_name(user) => format!("{user}@sentinel"),
        _ => format!("sentinel+{}", &hex::encode(Sha256::digest(user))[..22]),
    }
}

/// The minimum session duration of STS, in seconds (STS API Reference, "AssumeRole" and "GetSessionToken").
pub const SHORTEST: i64 = 900;

/// The maximum session duration for an IAM user, in seconds (STS API Reference, "GetSessionToken").
pub const LONGEST_OF_USER: i64 = 129_600;

/// Credentials for release. Their debug output omits the secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub session_token: Option<Secret>,
    /// Seconds since 1970; unknown for a session token from the environment or a file.
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

/// A code of an MFA device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mfa {
    pub serial: String,
    pub code: Secret,
}

/// A role to assume, and the attributes of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumption {
    pub role_arn: String,
    pub session_name: String,
    /// CloudTrail records it for every call, and later roles cannot change it.
    pub source_identity: Option<String>,
    pub external_id: Option<String>,
    /// The caller's MFA device and its code, which AWS accepts once.
    pub mfa: Option<Mfa>,
    /// In seconds; the role's own default is an hour.
    pub duration: Option<i32>,
    /// `aws:PrincipalTag` in IAM policies. Tags require `sts:TagSession` in the caller's permissions and in the role's trust policy (IAM
    /// User Guide, "Pass session tags in AWS STS").
    pub tags: Vec<SessionTag>,
    /// When the session loses its permissions, in seconds since 1970. Its credentials can expire later.
    pub ends: Option<i64>,
}

/// A tag of a role's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTag {
    pub key: &'static str,
    pub value: String,
}

/// The beginning of the tag value of a text that STS does not accept, which is followed by its digest.
const DIGEST: &str = "sha256:";
/// The maximum length of the value of a tag (STS API Reference, "Tag").
const TAG_LENGTH: usize = 256;

impl SessionTag {
    /// Returns a tag with a text, which is usually a name. Two texts never have the same value, because policies compare the values.
    ///
    /// Of the characters of a name, STS accepts all but the comma. It is replaced by a colon, which no name contains. A text that is too
    /// long or has other characters is replaced by its SHA-256, and so is one whose value would begin as a digest does or with `aws:`,
    /// which is reserved. Source: STS API Reference, "Tag"; IAM User Guide, "Rules for tagging in IAM and AWS STS".
    pub fn new(key: &'static str, text: &str) -> Self {
        let value = text.replace(',', ":");
        let is_reserved = ["aws:", DIGEST].iter().any(|start| value.to_ascii_lowercase().starts_with(start));
        let fits = is_name(text) && text.len() <= TAG_LENGTH && !is_reserved;
        let value = if fits { value } else { format!("{DIGEST}{}", hex::encode(Sha256::digest(text))) };
        Self { key, value }
    }
}

impl Assumption {
    /// Returns the session policy that ends the permissions. STS counts the duration of credentials from its own answer on, and issues
    /// none for less than 15 minutes, so their expiry alone is too late.
    ///
    /// The deny is explicit, because a resource-based policy that names the session grants permissions beyond what a session policy allows
    /// (IAM User Guide, "Session policies"). The policy is short, because it shares a limit with the tags.
    fn policy(&self) -> Option<String> {
        // No decision has a time that is out of range. It would deny everything.
        let ends = jiff::Timestamp::from_second(self.ends?).unwrap_or_default().to_string();
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": "*", "Resource": "*" },
                {
                    "Effect": "Deny",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": ends } },
                },
            ],
        });
        Some(policy.to_string())
    }
}

/// A role session, from STS's response.
#[derive(Debug, Clone)]
pub struct Assumed {
    pub credentials: Credentials,
    /// `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`.
    pub arn: String,
}

/// Assumes a role. A source identity additionally requires `sts:SetSourceIdentity` in the caller's permissions and in the role's trust
/// policy (IAM User Guide, "Monitor and control actions taken with assumed roles").
pub async fn assume(client: &Client, pacer: &Pacer, assumption: &Assumption) -> Result<Assumed, CallError> {
    let call = || {
        let request = client.assume_role().role_arn(&assumption.role_arn).role_session_name(&assumption.session_name);
        let request = request.set_source_identity(assumption.source_identity.clone());
        let request = request.set_external_id(assumption.external_id.clone());
        let mfa = assumption.mfa.as_ref();
        let request = request.set_serial_number(mfa.map(|mfa| mfa.serial.clone()));
        let request = request.set_token_code(mfa.map(|mfa| mfa.code.reveal().to_owned()));
        let tag = |tag: &SessionTag| Tag::builder().key(tag.key).value(&tag.value).build();
        let tags: Result<Vec<Tag>, _> = assumption.tags.iter().map(tag).collect();
        // Building a tag fails only without a key or a value.
        let tags = tags.unwrap_or_default();
        let request = request.set_tags(Some(tags).filter(|tags| !tags.is_empty())).set_policy(assumption.policy());
        request.set_duration_seconds(assumption.duration).send()
    };
    let rejected = |what: String| CallError::new(ASSUME_ROLE, Class::Rejected, what);
    let answer = pacer.call(ASSUME_ROLE, &[], call).await?;
    let arn = answer.assumed_role_user.map(|user| user.arn).unwrap_or_default();
    if session_of(&assumption.role_arn).is_none_or(|expected| !arn.starts_with(&expected)) {
        return Err(rejected(format!("the answer is for {arn}, which is not a session of {}", assumption.role_arn)));
    }
    let set = answer.source_identity;
    if set.is_some() && set != assumption.source_identity {
        return Err(rejected(String::from("the answer has another source identity than the request")));
    }
    Ok(Assumed { credentials: issued(ASSUME_ROLE, answer.credentials)?, arn })
}

/// Exchanges an IAM user's permanent keys for temporary ones. This requires no permission. The result cannot call IAM, and of STS only
/// `AssumeRole` and `GetCallerIdentity` (STS API Reference, "GetSessionToken").
pub async fn session_token(client: &Client, pacer: &Pacer, seconds: i32) -> Result<Credentials, CallError> {
    let call = || client.get_session_token().duration_seconds(seconds).send();
    let answer = pacer.call(GET_SESSION_TOKEN, &[], call).await?;
    issued(GET_SESSION_TOKEN, answer.credentials)
}

fn issued(operation: Operation, found: Option<aws_sdk_sts::types::Credentials>) -> Result<Credentials, CallError> {
    let credentials = found.map(|found| Credentials {
        expires: Some(found.expiration.secs()),
        access_key_id: found.access_key_id,
        secret_access_key: Secret::new(found.secret_access_key),
        session_token: Some(Secret::new(found.session_token)),
    });
    credentials
        .ok_or_else(|| CallError::new(operation, Class::Rejected, String::from("the answer contains no credentials")))
}

/// Returns the ARN of a session's role. STS does not return the role's path, so the ARN lacks it.
pub fn role_of(session: &str) -> Option<String> {
    let parts: Vec<&str> = session.split(':').collect();
    let [arn, partition, "sts", "", account, resource] = parts.as_slice() else { return None };
    let (role, _) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
    Some(format!("{arn}:{partition}:iam::{account}:role/{role}"))
}

/// Returns the prefix of the ARNs of a role's sessions.
fn session_of(role_arn: &str) -> Option<String> {
    let parts: Vec<&str> = role_arn.split(':').collect();
    let [arn, partition, "iam", "", account, resource] = parts.as_slice() else { return None };
    let name = resource.strip_prefix("role/")?.rsplit('/').next()?;
    Some(format!("{arn}:{partition}:sts::{account}:assumed-role/{name}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_policy_denies_everything_from_the_end_of_access_on() {
        let assumption = |ends| Assumption {
            role_arn: String::new(),
            session_name: String::new(),
            source_identity: None,
            external_id: None,
            mfa: None,
            duration: None,
            tags: Vec::new(),
            ends,
        };
        assert_eq!(assumption(None).policy(), None);
        let text = assumption(Some(1_782_907_200)).policy().unwrap();
        // The limit of STS for a session policy is 2048 characters, and there is another for the compressed policy and tags.
        assert!(text.len() < 250, "{} characters", text.len());
        let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
        let deny = &policy["Statement"][1];
        assert_eq!((&deny["Effect"], &deny["Action"], &deny["Resource"]), (&"Deny".into(), &"*".into(), &"*".into()));
        assert_eq!(deny["Condition"]["DateGreaterThanEquals"]["aws:CurrentTime"], "2026-07-01T12:00:00Z");
        // A time that no calendar has ends everything.
        let never = assumption(Some(i64::MAX)).policy().unwrap();
        assert!(never.contains("1970-01-01T00:00:00Z"), "{never}");
    }

    #[test]
    fn the_tags_of_a_session_have_values_that_sts_accepts() {
        let value = |text: &str| SessionTag::new("user", text).value;
        for (text, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("doe,jane", "doe:jane"),
            ("a,,b+c=d_e-f.g", "a::b+c=d_e-f.g"),
            ("", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        let long = "a".repeat(257);
        let digest = value("x:y");
        for text in ["doe:jane", "aws,jane", "AWS,jane", "sha256,0", "a b", "jane\u{7}", &long, &digest] {
            let value = value(text);
            assert!(value.starts_with("sha256:") && value.len() == 71 && value != digest, "{text}: {value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_tags_of_a_session_differ_for_two_users(
            one in "(sha256|aws)?[a-b,:]{0,3}\\PC{0,2}",
            other in "(sha256|aws)?[a-b,:]{0,3}\\PC{0,2}",
        ) {
            let value = |text: &str| SessionTag::new("user", text).value;
            proptest::prop_assert_eq!(value(&one) == value(&other), one == other, "{} {}", one, other);
            proptest::prop_assert!(crate::resource::check_tag_value(&value(&one)).is_ok(), "{}", value(&one));
        }
    }

    #[test]
    fn a_session_belongs_to_one_role() {
        let session = "arn:aws:sts::123456789012:assumed-role/Admin/alice";
        assert_eq!(role_of(session).as_deref(), Some("arn:aws:iam::123456789012:role/Admin"));
        for other in
            ["arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:role/Admin", "", "a:b:sts::1:x"]
        {
            assert_eq!(role_of(other), None, "{other}");
        }
        let begins = session_of("arn:aws-cn:iam::123456789012:role/team/Admin");
        assert_eq!(begins.as_deref(), Some("arn:aws-cn:sts::123456789012:assumed-role/Admin/"));
    }
}

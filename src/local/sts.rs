//! STS: caller identity, and sessions of roles and users.

mod assume;
mod token;

use sha2::{Digest, Sha256};

use super::answer::{Answer, Refusal, Request, element, query};
use super::iam::Signer;
use super::{ACCOUNT, LocalAws};

pub(super) use token::{RoleSession, Token};

/// The prefix of a user's keys, followed by the user's name.
const USER: &str = "AKIALOCAL:";
/// The prefix of the keys with which an AWS service assumes a role, followed by the service's name.
const SERVICE: &str = "AKIASERVICE:";
/// The prefix of temporary keys, followed by account, role and session, or by the name of a user who exchanged permanent keys.
const TEMPORARY: &str = "ASIALOCAL:";

/// The signer of a request. Everything is read from the key, so nothing has to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    pub(super) account: &'a str,
    pub(super) owner: KeyOwner<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOwner<'a> {
    User(&'a str),
    /// Such as `ecs-tasks.amazonaws.com`.
    Service(&'a str),
    Session {
        role: &'a str,
        session: &'a str,
    },
}

impl<'a> Identity<'a> {
    /// Returns the identity of a key. Any unknown key is that of the user `local`.
    pub(super) fn of(key: &'a str) -> Self {
        let anyone = Self { account: ACCOUNT, owner: KeyOwner::User("local") };
        if let Some(user) = key.strip_prefix(USER).filter(|user| is_name(user)) {
            return Self { account: ACCOUNT, owner: KeyOwner::User(user) };
        }
        if let Some(service) = key.strip_prefix(SERVICE).filter(|service| is_name(service)) {
            return Self { account: ACCOUNT, owner: KeyOwner::Service(service) };
        }
        let Some(rest) = key.strip_prefix(TEMPORARY) else { return anyone };
        match rest.split(':').collect::<Vec<_>>()[..] {
            [account, role, session] if is_account(account) && is_name(role) && is_name(session) => {
                Self { account, owner: KeyOwner::Session { role, session } }
            }
            [user] if is_name(user) => Self { account: ACCOUNT, owner: KeyOwner::User(user) },
            _ => anyone,
        }
    }

    /// Returns the unique ID, `aws:userid` in IAM policies. For a role session it consists of the role's ID and the session name.
    pub(super) fn user_id(&self) -> String {
        let unique = |prefix: &str, name: &str| {
            let digest = Sha256::digest(format!("{}/{name}", self.account));
            format!("{prefix}{}", &hex::encode_upper(digest)[..17])
        };
        match self.owner {
            KeyOwner::User(user) => unique("AIDA", user),
            KeyOwner::Service(service) => service.to_owned(),
            KeyOwner::Session { role, session } => format!("{}:{session}", unique("AROA", role)),
        }
    }

    pub(super) fn arn(&self) -> String {
        let account = self.account;
        match self.owner {
            KeyOwner::User(user) => format!("arn:aws:iam::{account}:user/{user}"),
            KeyOwner::Service(service) => service.to_owned(),
            KeyOwner::Session { role, session } => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The allowed characters in names of users, roles and sessions, and in source identities (STS API Reference, "AssumeRole").
fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    !text.is_empty() && text.chars().all(plain)
}

/// Returns whether keys are temporary.
pub(super) fn is_temporary(key: &str) -> bool {
    key.starts_with(TEMPORARY)
}

pub(super) fn answer(aws: &LocalAws, request: &Request) -> Answer {
    let operation = request.operation();
    let result = Signer::of_query(aws, request).and_then(|signer| match operation.as_str() {
        "GetCallerIdentity" => signer.identity(),
        "AssumeRole" => assume::assume(aws, request, &signer),
        "GetSessionToken" => exchange(aws, request),
        other => Err(Refusal::new("InvalidAction", format!("the AWS emulator does not have the action {other}"))),
    });
    query(&operation, "https://sts.amazonaws.com/doc/2011-06-15/", result, true)
}

/// Returns the error for an invalid value of a request.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

/// Returns the duration of credentials, in seconds.
fn seconds(request: &Request, default: i64, longest: i64) -> Result<i64, Refusal> {
    let seconds = request.field("DurationSeconds").map_or(Ok(default), |text| text.parse::<i64>().map_err(|_| text));
    match seconds {
        Ok(seconds) if (900..=longest).contains(&seconds) => Ok(seconds),
        Ok(seconds) => Err(invalid(format!("Value '{seconds}' at 'durationSeconds' must be from 900 to {longest}"))),
        Err(text) => Err(invalid(format!("Value '{text}' at 'durationSeconds' must be a number"))),
    }
}

/// Returns whether an MFA code is given. The emulator has no devices, so any six digits are accepted.
fn mfa(request: &Request) -> Result<bool, Refusal> {
    match (request.field("SerialNumber"), request.field("TokenCode")) {
        (None, None) => Ok(false),
        (Some(_), Some(code)) if code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()) => Ok(true),
        (Some(_), Some(code)) => Err(invalid(format!("Value '{code}' at 'tokenCode' must be six digits"))),
        _ => Err(invalid("SerialNumber and TokenCode must be given together")),
    }
}

/// Returns credentials in the format of a response.
fn credentials(token: &Token) -> String {
    let expiration = jiff::Timestamp::from_second(token.expires / 1000).unwrap_or(jiff::Timestamp::MAX);
    let parts = [
        element("AccessKeyId", &token.key),
        element("SecretAccessKey", "local"),
        element("SessionToken", &token.write()),
        element("Expiration", &expiration.to_string()),
    ];
    format!("<Credentials>{}</Credentials>", parts.concat())
}

/// Exchanges a user's permanent keys for temporary ones of the same user.
fn exchange(aws: &LocalAws, request: &Request) -> Result<String, Refusal> {
    let user = match Identity::of(&request.key).owner {
        KeyOwner::User(user) if !is_temporary(&request.key) => user,
        _ => {
            let message = "Cannot call GetSessionToken with session credentials";
            return Err(Refusal::new("AccessDenied", message).with_status(403));
        }
    };
    let expires = (aws.0.clock.now() / 1000 + seconds(request, 43_200, 129_600)?) * 1000;
    let token = Token { key: format!("{TEMPORARY}{user}"), expires, mfa: mfa(request)?, role: None };
    Ok(credentials(&token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::Rules;

    #[test]
    fn an_access_key_identifies_the_signer() {
        let arn = |key| Identity::of(key).arn();
        assert_eq!(arn("test"), "arn:aws:iam::123456789012:user/local");
        assert_eq!(arn("AKIALOCAL:alice@example.com"), "arn:aws:iam::123456789012:user/alice@example.com");
        assert_eq!(arn("ASIALOCAL:111111111111:admin:bob"), "arn:aws:sts::111111111111:assumed-role/admin/bob");
        assert_eq!(arn("ASIALOCAL:../..:admin:bob"), "arn:aws:iam::123456789012:user/local");
        assert_eq!(arn("ASIALOCAL:alice"), "arn:aws:iam::123456789012:user/alice");
        assert_eq!(arn("AKIASERVICE:ecs-tasks.amazonaws.com"), "ecs-tasks.amazonaws.com");
    }

    #[test]
    fn unique_ids_have_the_format_of_aws() {
        let id = |key| Identity::of(key).user_id();
        let (alice, bob) = (id("AKIALOCAL:alice"), id("AKIALOCAL:bob"));
        assert!(alice.starts_with("AIDA") && alice.len() == 21, "{alice}");
        assert_ne!(alice, bob);
        let (session, role) = (id("ASIALOCAL:111111111111:admin:bob"), id("ASIALOCAL:111111111111:admin:eve"));
        assert!(session.starts_with("AROA") && session.ends_with(":bob"), "{session}");
        assert_eq!(session.split(':').next(), role.split(':').next());
    }

    #[test]
    fn permanent_keys_are_exchanged_once_within_the_limits_of_aws() {
        let ask = |key: &str, form: &str| {
            let authorization = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sts/aws4_request");
            let request = Request::new(String::new(), &authorization, form.as_bytes().to_vec());
            let answer = answer(&LocalAws::memory(Rules::default()), &request);
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        let (status, body) = ask("AKIALOCAL:alice", "Action=GetSessionToken&DurationSeconds=900");
        assert!(status == 200 && body.contains("<AccessKeyId>ASIALOCAL:alice</AccessKeyId>"), "{body}");
        for seconds in [899, 129_601] {
            let (status, body) = ask("AKIALOCAL:alice", &format!("Action=GetSessionToken&DurationSeconds={seconds}"));
            assert!(status == 400 && body.contains("ValidationError"), "{body}");
        }
        for key in ["ASIALOCAL:alice", "ASIALOCAL:111111111111:admin:bob"] {
            let (status, body) = ask(key, "Action=GetSessionToken");
            assert!(status == 403 && body.contains("AccessDenied"), "{body}");
        }
    }

    #[test]
    fn a_role_is_assumed_with_valid_session_names() {
        let ask = |form: &str| {
            let request = Request::new(String::new(), "", form.as_bytes().to_vec());
            let answer = answer(&LocalAws::memory(Rules::default()), &request);
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        let role = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A111111111111%3Arole%2Fpath%2Fadmin&RoleSessionName";
        let (status, body) = ask(&format!("{role}=alice&SourceIdentity=alice%3D0123"));
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("<SourceIdentity>alice=0123</SourceIdentity>"), "{body}");
        assert!(body.contains("ASIALOCAL:111111111111:admin:alice"), "{body}");
        for bad in
            ["=a", "=a%3Ab", "=alice&SourceIdentity=a%3Ab", "=alice&SourceIdentity=x", "=alice&DurationSeconds=10"]
        {
            let (status, body) = ask(&format!("{role}{bad}"));
            assert!(status == 400 && body.contains("ValidationError"), "{bad}: {body}");
        }
    }

    #[test]
    fn a_session_tag_has_the_characters_and_the_length_that_sts_accepts() {
        let ask = |key: &str, value: &str| {
            let role = "arn:aws:iam::111111111111:role/admin";
            let fields = [
                ("Action", "AssumeRole"),
                ("RoleArn", role),
                ("RoleSessionName", "alice"),
                ("Tags.member.1.Key", key),
                ("Tags.member.1.Value", value),
            ];
            let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let request = Request::new(String::new(), "", form.into_bytes());
            let answer = answer(&LocalAws::memory(Rules::default()), &request);
            (answer.status, String::from_utf8(answer.body).unwrap())
        };
        for (key, value) in [("user", "jane_doe+x=y.z@a-b:c/d é"), ("k", ""), (&*"k".repeat(128), &*"v".repeat(256))] {
            let (status, body) = ask(key, value);
            assert_eq!(status, 200, "{key} {value}: {body}");
        }
        for (key, value, rule) in [
            ("user", "doe,jane", "at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular"),
            ("user", "a\u{7}", "at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular"),
            ("user", &*"v".repeat(257), "constraint: Member must have length less than or equal to 256"),
            ("a,b", "x", "at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression"),
            ("", "x", "constraint: Member must have length greater than or equal to 1"),
            (&*"k".repeat(129), "x", "constraint: Member must have length less than or equal to 128"),
        ] {
            let (status, body) = ask(key, value);
            let text = body.replace("&apos;", "'").replace("&#39;", "'");
            assert!(status == 400 && text.contains("ValidationError") && text.contains(rule), "{rule}: {text}");
        }
    }
}

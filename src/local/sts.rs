//! STS: who is calling, and roles, which anyone may take on.

use sha2::{Digest, Sha256};

use super::ACCOUNT;
use super::answer::{Answer, Request};
use super::clock::Clock;
use super::iam::{self, Users};

/// What the keys of a user begin with; the user's name follows.
const USER: &str = "AKIALOCAL:";
/// What temporary keys begin with. Account, role and session follow, or the name of a user who exchanged permanent keys.
const TEMPORARY: &str = "ASIALOCAL:";

/// Who signs with a key. All of it is read from the key, so that nothing has to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    pub(super) account: &'a str,
    who: Who<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who<'a> {
    User(&'a str),
    Session { role: &'a str, session: &'a str },
}

impl<'a> Identity<'a> {
    /// Returns whose key it is; any key at all is that of the user `local`.
    pub(super) fn of(key: &'a str) -> Self {
        let anyone = Self { account: ACCOUNT, who: Who::User("local") };
        if let Some(user) = key.strip_prefix(USER).filter(|user| is_name(user)) {
            return Self { account: ACCOUNT, who: Who::User(user) };
        }
        let Some(rest) = key.strip_prefix(TEMPORARY) else { return anyone };
        match rest.split(':').collect::<Vec<_>>()[..] {
            [account, role, session] if is_account(account) && is_name(role) && is_name(session) => {
                Self { account, who: Who::Session { role, session } }
            }
            [user] if is_name(user) => Self { account: ACCOUNT, who: Who::User(user) },
            _ => anyone,
        }
    }

    /// Returns the unique ID, which IAM policies know as `aws:userid`: of a role's session, the role's own and the
    /// session's name.
    pub(super) fn user_id(&self) -> String {
        let unique = |prefix: &str, name: &str| {
            let digest = Sha256::digest(format!("{}/{name}", self.account));
            format!("{prefix}{}", &hex::encode_upper(digest)[..17])
        };
        match self.who {
            Who::User(user) => unique("AIDA", user),
            Who::Session { role, session } => format!("{}:{session}", unique("AROA", role)),
        }
    }

    /// Returns the name of a user; the session of a role has none.
    pub(super) fn user_name(&self) -> Option<&'a str> {
        match self.who {
            Who::User(user) => Some(user),
            Who::Session { .. } => None,
        }
    }

    pub(super) fn arn(&self) -> String {
        let account = self.account;
        match self.who {
            Who::User(user) => format!("arn:aws:iam::{account}:user/{user}"),
            Who::Session { role, session } => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names of users, roles and sessions, and source identities, are made of these (STS API Reference, "AssumeRole").
fn is_name(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(letter);
    !text.is_empty() && text.chars().all(plain)
}

pub(super) fn answer(request: &Request, clock: Clock, users: &Users) -> Answer {
    // The session of a role has all permissions here, so that a user must be allowed to assume one.
    let allowed = iam::authorize_sts(users, request).map_err(|message| ("AccessDenied", message));
    let result = allowed.and_then(|()| match request.operation().as_str() {
        "GetCallerIdentity" => Ok(identity(&Identity::of(&request.key))),
        "AssumeRole" => assume(request, clock),
        "GetSessionToken" => exchange(request, clock),
        other => Err(("InvalidAction", format!("the embedded AWS does not have the action {other}"))),
    });
    let name = request.operation();
    let space = "https://sts.amazonaws.com/doc/2011-06-15/";
    let (status, body) = match result {
        Ok(result) => (
            200,
            format!(
                "<{name}Response xmlns=\"{space}\"><{name}Result>{result}</{name}Result><ResponseMetadata>\
                 <RequestId>local</RequestId></ResponseMetadata></{name}Response>"
            ),
        ),
        Err((code, message)) => (
            if code == "AccessDenied" { 403 } else { 400 },
            format!(
                "<ErrorResponse xmlns=\"{space}\"><Error><Type>Sender</Type><Code>{code}</Code>\
                 <Message>{}</Message></Error><RequestId>local</RequestId></ErrorResponse>",
                message.replace('&', "&amp;").replace('<', "&lt;")
            ),
        ),
    };
    Answer { status, content_type: "text/xml", body: body.into_bytes() }
}

fn identity(identity: &Identity<'_>) -> String {
    let (arn, user_id, account) = (identity.arn(), identity.user_id(), identity.account);
    format!("<Arn>{arn}</Arn><UserId>{user_id}</UserId><Account>{account}</Account>")
}

fn assume(request: &Request, clock: Clock) -> Result<String, (&'static str, String)> {
    let invalid = |what: &str, value: &str| {
        let rule = "must have length between 2 and 64, and satisfy regular expression pattern: [\\w+=,.@-]*";
        ("ValidationError", format!("1 validation error detected: Value '{value}' at '{what}' {rule}"))
    };
    let role_arn = request.field("RoleArn").unwrap_or_default();
    let mut parts = role_arn.split(':').skip(4);
    let (account, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let role = path.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    if !is_account(account) || !is_name(role) {
        return Err(("ValidationError", format!("{role_arn} is invalid")));
    }
    let fits = |name: &str| is_name(name) && (2..=64).contains(&name.len());
    let session = request.field("RoleSessionName").unwrap_or_default();
    if !fits(&session) {
        return Err(invalid("roleSessionName", &session));
    }
    let source = request.field("SourceIdentity");
    if let Some(source) = source.as_deref().filter(|source| !fits(source)) {
        return Err(invalid("sourceIdentity", source));
    }
    let seconds = request.field("DurationSeconds").and_then(|text| text.parse::<i64>().ok()).unwrap_or(3600);
    if !(900..=43200).contains(&seconds) {
        return Err(("ValidationError", format!("Value '{seconds}' at 'durationSeconds' must be from 900 to 43200")));
    }
    let expiration = jiff::Timestamp::from_second(clock.now() / 1000 + seconds).unwrap_or(jiff::Timestamp::MAX);
    let assumed_id = Identity { account, who: Who::Session { role, session: &session } }.user_id();
    let source = source.map(|source| format!("<SourceIdentity>{source}</SourceIdentity>")).unwrap_or_default();
    Ok(format!(
        "{source}<AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/{role}/{session}</Arn>\
         <AssumedRoleId>{assumed_id}</AssumedRoleId></AssumedRoleUser><Credentials>\
         <AccessKeyId>{TEMPORARY}{account}:{role}:{session}</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
         <SessionToken>local</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
    ))
}

/// Exchanges a user's permanent keys for temporary ones of the same user.
fn exchange(request: &Request, clock: Clock) -> Result<String, (&'static str, String)> {
    let identity = Identity::of(&request.key);
    let Who::User(user) = identity.who else {
        return Err(("AccessDenied", String::from("Cannot call GetSessionToken with session credentials")));
    };
    if request.key.starts_with(TEMPORARY) {
        return Err(("AccessDenied", String::from("Cannot call GetSessionToken with session credentials")));
    }
    let seconds = request.field("DurationSeconds").and_then(|text| text.parse::<i64>().ok()).unwrap_or(43200);
    if !(900..=129_600).contains(&seconds) {
        return Err(("ValidationError", format!("Value '{seconds}' at 'durationSeconds' must be from 900 to 129600")));
    }
    let expiration = jiff::Timestamp::from_second(clock.now() / 1000 + seconds).unwrap_or(jiff::Timestamp::MAX);
    Ok(format!(
        "<Credentials><AccessKeyId>{TEMPORARY}{user}</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
         <SessionToken>local</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_who_signs() {
        let arn = |key| Identity::of(key).arn();
        assert_eq!(arn("test"), "arn:aws:iam::123456789012:user/local");
        assert_eq!(arn("AKIALOCAL:alice@example.com"), "arn:aws:iam::123456789012:user/alice@example.com");
        assert_eq!(arn("ASIALOCAL:111111111111:admin:bob"), "arn:aws:sts::111111111111:assumed-role/admin/bob");
        assert_eq!(arn("ASIALOCAL:../..:admin:bob"), "arn:aws:iam::123456789012:user/local");
        assert_eq!(arn("ASIALOCAL:alice"), "arn:aws:iam::123456789012:user/alice");
    }

    #[test]
    fn each_identity_has_a_unique_id_of_the_form_that_aws_gives() {
        let id = |key| Identity::of(key).user_id();
        let (alice, bob) = (id("AKIALOCAL:alice"), id("AKIALOCAL:bob"));
        assert!(alice.starts_with("AIDA") && alice.len() == 21, "{alice}");
        assert_ne!(alice, bob);
        let (session, role) = (id("ASIALOCAL:111111111111:admin:bob"), id("ASIALOCAL:111111111111:admin:eve"));
        assert!(session.starts_with("AROA") && session.ends_with(":bob"), "{session}");
        assert_eq!(session.split(':').next(), role.split(':').next());
    }

    #[test]
    fn permanent_keys_are_exchanged_once_for_as_long_as_aws_gives() {
        let ask = |key: &str, form: &str| {
            let authorization = format!("AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sts/aws4_request");
            let request = Request::new(String::new(), &authorization, form.as_bytes().to_vec());
            let answer = answer(&request, Clock::start(), &Users::default());
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
    fn a_role_is_taken_on_under_names_that_aws_takes() {
        let ask = |form: &str| {
            let request = Request::new(String::new(), "", form.as_bytes().to_vec());
            let answer = answer(&request, Clock::start(), &Users::default());
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
}

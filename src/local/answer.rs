//! Requests and answers, as they go over the wire.

use serde_json::{Value, json};

use super::ACCOUNT;

/// A request, reduced to what decides its answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// The `x-amz-target` header, such as `AmazonSSM.PutParameter`; empty for STS, which speaks another protocol.
    pub target: String,
    /// The region the request was signed for.
    pub region: String,
    /// The access key it was signed with.
    pub key: String,
    pub body: Vec<u8>,
}

/// What the keys begin with that are given to those who assume a role; the role's account follows.
const ASSUMED: &str = "ASIALOCAL";

impl Request {
    /// Returns a request; its region is read from the signature, and `us-east-1` where there is none.
    pub fn new(target: String, authorization: &str, body: Vec<u8>) -> Self {
        // Credential=KEY/20260119/us-east-1/ssm/aws4_request
        let mut scope = authorization.split("Credential=").nth(1).unwrap_or_default().split('/');
        let key = scope.next().unwrap_or_default().to_owned();
        let region = scope.nth(1).unwrap_or("us-east-1").to_owned();
        Self { target, region, key, body }
    }

    /// Returns the account it is for: that of the role whose credentials it was signed with, or the default one.
    pub(super) fn account(&self) -> &str {
        self.key.strip_prefix(ASSUMED).filter(|account| is_account(account)).unwrap_or(ACCOUNT)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(body: &Value) -> Self {
        Self { status: 200, content_type: "application/x-amz-json-1.1", body: body.to_string().into_bytes() }
    }

    /// Returns an answer that is an error, in the form both JSON services use.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "__type": code, "message": message });
        Self { status, ..Self::json(&body) }
    }
}

/// A refusal, as AWS words it.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: u16,
    /// The whole body of the error.
    body: Value,
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self { status: failure.status, ..Self::json(&failure.body) }
    }
}

impl Failure {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, body: json!({ "__type": code, "message": message.into() }) }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(super) fn internal(message: &str) -> Self {
        Self { status: 500, body: json!({ "__type": "InternalServerError", "message": message }) }
    }

    pub(super) fn unsupported(what: &str) -> Self {
        Self::new("UnknownOperationException", format!("the embedded AWS does not have {what}"))
    }

    pub(super) fn raw(status: u16, body: Value) -> Self {
        Self { status, body }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(&error.to_string())
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns STS's answer: who is calling, or credentials for a role. Anyone may assume any role.
pub(super) fn sts(request: &Request) -> Answer {
    let form = String::from_utf8_lossy(&request.body);
    let field = |name: &str| {
        let pair = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(pair.replace("%3A", ":").replace("%2F", "/"))
    };
    let (name, result) = match field("RoleArn") {
        Some(role) if field("Action").as_deref() == Some("AssumeRole") => ("AssumeRole", assumed(&role)),
        _ => ("GetCallerIdentity", identity(request.account())),
    };
    let body = format!(
        "<{name}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{name}Result>{result}</{name}Result>\
         <ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{name}Response>"
    );
    Answer { status: 200, content_type: "text/xml", body: body.into_bytes() }
}

fn identity(account: &str) -> String {
    let who = match account {
        ACCOUNT => format!("iam::{account}:user/local"),
        _ => format!("sts::{account}:assumed-role/role/session"),
    };
    format!("<Arn>arn:aws:{who}</Arn><UserId>AIDALOCAL</UserId><Account>{account}</Account>")
}

fn assumed(role: &str) -> String {
    let account = role.split(':').nth(4).filter(|account| is_account(account)).unwrap_or(ACCOUNT);
    format!(
        "<AssumedRoleUser><Arn>arn:aws:sts::{account}:assumed-role/role/session</Arn>\
         <AssumedRoleId>AROALOCAL:session</AssumedRoleId></AssumedRoleUser><Credentials>\
         <AccessKeyId>{ASSUMED}{account}</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
         <SessionToken>local</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    )
}

/// Reads a request's JSON body.
pub(super) fn parse(body: &[u8]) -> Result<Value, Failure> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure::new("SerializationException", error.to_string()))
}

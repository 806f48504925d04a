//! Requests and responses in wire format.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sts::Identity;

/// The parts of a request that determine its response.
#[derive(Debug, Clone)]
pub struct Request {
    /// The `x-amz-target` header, such as `AmazonSSM.PutParameter`; empty for STS, SNS and IAM, which use the Query protocol.
    pub target: String,
    /// The service that the request was signed for, such as `sns`; empty if it was not signed.
    pub service: String,
    /// The region that the request was signed for.
    pub region: String,
    /// The access key of the signature.
    pub key: String,
    /// The session token; empty if there is none.
    pub token: String,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns a request. Its region is that of the signature, or `us-east-1` without one.
    pub fn new(target: String, authorization: &str, body: Vec<u8>) -> Self {
        // Credential=KEY/20260119/us-east-1/ssm/aws4_request
        let mut scope = authorization.split("Credential=").nth(1).unwrap_or_default().split('/');
        let key = scope.next().unwrap_or_default().to_owned();
        let region = scope.nth(1).unwrap_or("us-east-1").to_owned();
        let service = scope.next().unwrap_or_default().to_owned();
        Self { target, service, region, key, token: String::new(), body }
    }

    /// Returns the request with its session token from `x-amz-security-token`.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self { token, ..self }
    }

    /// Returns the account of the request: that of the role whose credentials signed it, or the default account.
    pub(super) fn account(&self) -> &str {
        Identity::of(&self.key).account
    }

    /// Returns whether it is for STS, or from a tool that does not sign its requests to STS.
    pub(super) fn is_for_sts(&self) -> bool {
        self.service == "sts" || self.service.is_empty() && self.field("Action").is_some()
    }

    /// Returns the error for an unsupported service, in the format of the service's clients.
    pub(super) fn unknown_service(&self) -> Answer {
        let service = if self.service.is_empty() { "such a service" } else { self.service.as_str() };
        let message = format!("the AWS emulator does not have {service}");
        if self.service == "s3" || self.field("Action").is_some() {
            let error = format!("{}{}", element("Code", "NotImplemented"), element("Message", &message));
            let body = match self.service.as_str() {
                "s3" => format!("<Error>{error}</Error>"),
                _ => format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"),
            };
            return Answer { status: 501, content_type: "text/xml", body: body.into_bytes() };
        }
        Answer::error(501, "NotImplemented", &message)
    }

    /// Returns the operation; in the Query protocol it is a field of the form.
    pub fn operation(&self) -> String {
        match self.target.rsplit_once('.') {
            Some((_, operation)) => operation.to_owned(),
            None => self.field("Action").unwrap_or_else(|| String::from("GetCallerIdentity")),
        }
    }

    /// Returns the fields of a form in the Query protocol.
    pub(super) fn form(&self) -> Form {
        form_urlencoded::parse(&self.body).map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
    }

    /// Returns a field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// A response.
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

    /// Returns an error response in the format of the JSON services.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "__type": code, "message": message });
        Self { status, ..Self::json(&body) }
    }
}

/// The fields of a form.
pub(super) type Form = BTreeMap<String, String>;

/// An error of a service with the Query protocol.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    pub(super) fn internal(message: &str) -> Self {
        Self::new("InternalError", message).with_status(500)
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::internal(failure.body["message"].as_str().unwrap_or_default())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::internal(&error.to_string())
    }
}

/// Escapes a text for XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns an XML element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(text))
}

/// Returns a response of a service with the Query protocol; `has_result` is whether the operation returns anything.
pub(super) fn query(operation: &str, space: &str, result: Result<String, Refusal>, has_result: bool) -> Answer {
    let (status, body) = match result {
        Ok(result) => {
            let result =
                if has_result { format!("<{operation}Result>{result}</{operation}Result>") } else { String::new() };
            let metadata = "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>";
            (200, format!("<{operation}Response xmlns=\"{space}\">{result}{metadata}</{operation}Response>"))
        }
        Err(Refusal { status, code, message }) => {
            let kind = if status >= 500 { "Receiver" } else { "Sender" };
            let (code, message) = (element("Code", &code), element("Message", &message));
            let error = format!("<Error><Type>{kind}</Type>{code}{message}</Error><RequestId>local</RequestId>");
            (status, format!("<ErrorResponse xmlns=\"{space}\">{error}</ErrorResponse>"))
        }
    };
    Answer { status, content_type: "text/xml", body: body.into_bytes() }
}

/// An error with AWS's text.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: u16,
    /// The complete body of the error.
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
        Self::new("UnknownOperationException", format!("the AWS emulator does not have {what}"))
    }

    pub(super) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
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

/// Reads a request's JSON body.
pub(super) fn parse(body: &[u8]) -> Result<Value, Failure> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure::new("SerializationException", error.to_string()))
}

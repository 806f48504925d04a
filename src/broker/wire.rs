//! The wire format: a signed operation, and its answer or a problem.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::resource::signed_identity::SignedIdentity;

/// The prefix of the paths of all operations.
pub const PATH: &str = "/v1/";
/// The maximum size of a signed operation. Session tokens have up to about 4 KB (IAM User Guide, "Temporary security credentials in IAM"),
/// and texts have up to 1,000 characters, each of which takes up to 7 bytes.
pub const LONGEST: usize = 16 << 10;

/// An operation, and the user's identity, signed for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedOperation {
    pub identity: SignedIdentity,
    /// The operation as JSON: the text that the identity is signed for.
    pub ask: String,
}

impl SignedOperation {
    /// Parses the body of a request.
    ///
    /// # Errors
    ///
    /// All invalid texts have the same code, because details would help an attacker.
    pub fn read(body: &[u8]) -> Result<Self, ProblemCode> {
        if body.len() > LONGEST {
            return Err(ProblemCode::TooLarge);
        }
        serde_json::from_slice(body).map_err(|_| ProblemCode::BadRequest)
    }
}

/// The answer of a broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered<T> {
    Answer(T),
    Problem(Problem),
}

/// Why a broker did not perform an operation, with details for an identified user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub code: ProblemCode,
    pub message: String,
    /// The right that the user does not have, or the profile that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The code of the AWS error, for `sentinel explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<String>,
}

/// The kind of a problem. To a client that is not identified, the broker says nothing else.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ProblemCode {
    NotFound,
    Method,
    TooLarge,
    TooSlow,
    BadRequest,
    /// The identity was not sent to STS, or STS refused it.
    Identity,
    /// The user may not send requests.
    NotListed,
    NoRight,
    TooMany,
    Busy,
    Unlogged,
    /// A call to AWS failed.
    Aws,
    Internal,
}

impl ProblemCode {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }

    /// Returns the HTTP status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Identity => StatusCode::UNAUTHORIZED,
            Self::NotListed | Self::NoRight => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unlogged => StatusCode::SERVICE_UNAVAILABLE,
            Self::Aws => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the message for the client.
    pub const fn message(self) -> &'static str {
        match self {
            Self::NotFound => "a broker has nothing at this path",
            Self::Method => "a broker is asked with POST",
            Self::TooLarge => "the request is too large",
            Self::TooSlow => "the request did not arrive in time, or its answer took too long",
            Self::BadRequest => "the request is not one that this version of the broker understands",
            Self::Identity => "the signed identity is not valid, too old, or for something else",
            Self::NotListed => "the broker does not serve this user",
            Self::NoRight => "the broker does not let this user do that",
            Self::TooMany => "this user asks too often",
            Self::Busy => "the broker has as much to do as it can",
            Self::Unlogged => "the broker cannot write its log, and does nothing that it cannot log",
            Self::Aws => "AWS did not do what the broker needs",
            Self::Internal => "the broker failed",
        }
    }
}

impl From<ProblemCode> for Problem {
    fn from(code: ProblemCode) -> Self {
        Self { code, message: code.message().to_owned(), why: None, aws: None }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::desk::breakglass;
    use crate::resource::signed_identity::BODY;

    #[test]
    fn a_problem_is_written_and_read_back() {
        for code in ProblemCode::ALL {
            let problem = Problem::from(*code);
            let text = serde_json::to_string(&Answered::<()>::Problem(problem.clone())).unwrap();
            assert!(text.contains(&format!("\"code\":\"{}\"", code.word())), "{text}");
            let Answered::Problem(read) = serde_json::from_str::<Answered<()>>(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(read, problem);
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn the_longest_text_fits_beside_a_long_session_token() {
        let headers = ["authorization", "host", "x-sentinel-broker"].map(|name| (name.to_owned(), "x".repeat(500)));
        let mut headers = BTreeMap::from(headers);
        headers.insert(String::from("x-amz-security-token"), "x".repeat(6 << 10));
        let (method, url, body) = (String::from("POST"), "x".repeat(100), String::from(BODY));
        let identity = SignedIdentity { method, url, headers, body };
        let opening = breakglass::Open {
            profile: "x".repeat(64),
            reason_code: String::from("incident"),
            justification: "\u{1}".repeat(1000),
            duration: 3600,
        };
        let ask = serde_json::to_string(&opening).unwrap();
        let signed = serde_json::to_string(&SignedOperation { identity, ask }).unwrap();
        assert!(signed.len() <= LONGEST, "{}", signed.len());
        SignedOperation::read(signed.as_bytes()).unwrap();
    }

    #[test]
    fn a_body_that_is_not_a_signed_operation_is_a_bad_request() {
        for body in ["", "{}", "[]", "{\"identity\":{},\"ask\":\"{}\"}", "\u{0}", "{\"ask\":1}"] {
            assert_eq!(
                SignedOperation::read(body.as_bytes()).map(drop).unwrap_err(),
                ProblemCode::BadRequest,
                "{body}"
            );
        }
        assert_eq!(SignedOperation::read(&vec![b' '; LONGEST + 1]).map(drop).unwrap_err(), ProblemCode::TooLarge);
    }
}

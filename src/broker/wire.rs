//! What goes over the wire: a question, and its answer or a problem.

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use crate::resource::signed_identity::SignedIdentity;

/// The path that every operation is below.
pub const PATH: &str = "/v1/";
/// The largest question: an identity with the longest session token, and the longest texts, each character escaped.
pub const LONGEST: usize = 64 << 10;

/// What a client sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub identity: SignedIdentity,
    /// The operation as JSON: the text over which the identity is signed.
    pub ask: String,
}

impl Question {
    /// Reads a question.
    ///
    /// # Errors
    ///
    /// Every text that is none is the same problem: what is wrong with it helps nobody but an attacker.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        if body.len() > LONGEST {
            return Err(Problem::TooLarge);
        }
        serde_json::from_slice(body).map_err(|_| Problem::BadRequest)
    }
}

/// What a broker answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answered<T> {
    Answer(T),
    Problem(Trouble),
}

/// A problem, and what more there is to say to a user who is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub code: Problem,
    pub message: String,
    /// Which right the user does not have, or which profile is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The code of what failed in AWS, as `sentinel explain` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<String>,
}

/// Why there is no answer: all that a broker says of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Problem {
    NotFound,
    Method,
    TooLarge,
    TooSlow,
    BadRequest,
    /// The identity was not sent to STS, or STS refused it.
    Identity,
    /// The user is none of those who may ask.
    NotListed,
    NoRight,
    TooMany,
    Busy,
    Unlogged,
    /// AWS did not do what the broker needs.
    Aws,
    Internal,
}

impl Problem {
    /// All of them.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns its name.
    pub const fn word(self) -> &'static str {
        self.into_str()
    }

    /// Returns the status of the answer.
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

    /// Says what it is.
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

impl From<Problem> for Trouble {
    fn from(code: Problem) -> Self {
        Self { code, message: code.message().to_owned(), why: None, aws: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_written_and_read_back() {
        for problem in Problem::ALL {
            let trouble = Trouble::from(*problem);
            let text = serde_json::to_string(&Answered::<()>::Problem(trouble.clone())).unwrap();
            assert!(text.contains(&format!("\"code\":\"{}\"", problem.word())), "{text}");
            let Answered::Problem(read) = serde_json::from_str::<Answered<()>>(&text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(read, trouble);
            assert!(problem.status().is_client_error() || problem.status().is_server_error());
        }
    }

    #[test]
    fn what_is_no_question_is_a_bad_request() {
        for body in ["", "{}", "[]", "{\"identity\":{},\"ask\":\"{}\"}", "\u{0}", "{\"ask\":1}"] {
            assert_eq!(Question::read(body.as_bytes()).map(drop).unwrap_err(), Problem::BadRequest, "{body}");
        }
        assert_eq!(Question::read(&vec![b' '; LONGEST + 1]).map(drop).unwrap_err(), Problem::TooLarge);
    }
}

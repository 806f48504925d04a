//! The client of a broker.

use crate::access::desk::Operation;
use crate::broker::{Answered, LONGEST, PATH, Problem, ProblemCode, SignedOperation};
use crate::cli::BrokerChoice;
use crate::code::Code;
use crate::command::context::Context;
use crate::error::Error;
use crate::manifest::Manifest;
use crate::provider::{Gateway, Poster, Unsigned};
use crate::resource::signed_identity::{AskDigest, BrokerUrl};

/// The environment variable that names the broker.
const VARIABLE: &str = "SENTINEL_BROKER";

/// Returns the broker to use: the option's, the environment's, or the manifest's.
#[expect(clippy::disallowed_methods, reason = "this variable is part of the contract")]
pub(super) fn chosen(context: &Context, manifest: &Manifest) -> Result<Option<BrokerUrl>, Error> {
    let given = match &context.global.broker {
        Some(given) => Some(given.clone()),
        None => match std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) {
            Some(text) => Some(
                BrokerChoice::new(&text)
                    .map_err(|invalid| Error::usage(format!("{VARIABLE}: {}", invalid.problem), invalid.help))?,
            ),
            None => None,
        },
    };
    Ok(match given {
        Some(BrokerChoice::Broker(url)) => Some(url),
        Some(BrokerChoice::NoBroker) => None,
        None => manifest.broker.url.clone(),
    })
}

/// A broker and the connection to it.
#[derive(Debug)]
pub(super) struct Asking {
    url: BrokerUrl,
    poster: Poster,
}

impl Asking {
    pub(super) fn new(url: BrokerUrl) -> Self {
        Self { url, poster: Poster::default() }
    }

    pub(super) fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// Sends an operation with an identity that is signed for it, and returns the answer.
    pub(super) async fn ask<O: Operation>(&self, gateway: &Gateway, operation: &O) -> Result<O::Answer, Error> {
        let ask = serde_json::to_string(operation).map_err(Error::unwritable)?;
        let signed = gateway.sign_identity(&self.url, &AskDigest::of(O::NAME, &ask)).await;
        let identity = signed.map_err(|unsigned| match unsigned {
            Unsigned::NoCredentials(none) => super::exec::without(none),
            Unsigned::Failed(why) => self.failed(Code::Broker, format!("cannot identify this user: {why}")),
        })?;
        let signed = serde_json::to_string(&SignedOperation { identity, ask }).map_err(Error::unwritable)?;
        if signed.len() > LONGEST {
            return Err(self
                .too_large(&format!("accepts requests of up to {LONGEST} bytes, and this one has {}", signed.len())));
        }
        let posted = self.poster.post(&format!("{}{PATH}{}", self.url, O::NAME), signed).await;
        let (status, body) =
            posted.map_err(|undelivered| self.failed(Code::Broker, format!("cannot be reached: {undelivered}")))?;
        match serde_json::from_slice(&body) {
            Ok(Answered::Answer(answer)) => Ok(answer),
            Ok(Answered::Problem(problem)) => Err(self.problem(problem)),
            Err(_) => {
                let what = format!("answered with status {status}, but not as a broker of this version");
                Err(self.failed(Code::Broker, what))
            }
        }
    }

    fn failed(&self, code: Code, what: String) -> Error {
        let hint =
            "check its address (--broker, SENTINEL_BROKER, or url of [broker] in the manifest) with: curl URL/readyz";
        Error::Broker { code, message: self.message(&what), hint: hint.to_owned() }
    }

    fn too_large(&self, what: &str) -> Error {
        let hint = "use credentials with a shorter session token, or a shorter text";
        Error::Broker { code: Code::Broker, message: self.message(what), hint: hint.to_owned() }
    }

    /// Returns a message on one line, because the text of a broker is untrusted.
    fn message(&self, what: &str) -> String {
        crate::report::escape(&format!("the broker {} {what}", self.url))
    }

    fn problem(&self, Problem { code, why, aws, .. }: Problem) -> Error {
        let said = why.as_deref().unwrap_or(code.message());
        let of = |code, hint: &str| Error::Broker {
            code,
            message: self.message(&format!("says: {said}")),
            hint: hint.to_owned(),
        };
        match code {
            ProblemCode::Identity => of(
                Code::InvalidCredentials,
                "check the credentials with: aws sts get-caller-identity; the clock, which may differ by a minute at most; and that the \
                 broker is configured with the same address",
            ),
            ProblemCode::NotListed => {
                of(Code::AccessDenied, "the broker's administrator lists the users under [broker] of its manifest")
            }
            ProblemCode::NoRight => of(
                Code::AccessDenied,
                "the broker's administrator lists approvers, operators and the roles of profiles under [broker] of its manifest",
            ),
            ProblemCode::TooMany | ProblemCode::Busy => of(Code::Throttled, "try again in a moment"),
            ProblemCode::TooSlow => of(Code::TimedOut, "try again in a moment"),
            ProblemCode::Aws => of(
                aws.as_deref().and_then(Code::from_text).unwrap_or(Code::ServerFault),
                "see the log of the broker; sentinel explain CODE explains the code",
            ),
            ProblemCode::TooLarge => self.too_large(&format!("says: {said}")),
            ProblemCode::NotFound | ProblemCode::Method | ProblemCode::BadRequest => {
                of(Code::Broker, "use the same version of Sentinel as the broker, and its complete address")
            }
            ProblemCode::Unlogged | ProblemCode::Internal => of(Code::Broker, "see the standard error of the broker"),
        }
    }
}

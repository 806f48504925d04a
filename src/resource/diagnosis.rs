//! Diagnoses failures: by the error code if AWS responded, otherwise by the SDK's types.

use std::error::Error;
use std::sync::Arc;

use aws_credential_types::provider::error::{CredentialsError, TokenError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::call::{CallError, Class, classify, full_message};
use crate::code::Code;

impl CallError {
    /// Returns the error code of the failure.
    pub fn diagnosis(&self) -> Code {
        if let Some(failure) = self.failure {
            return failure;
        }
        let code = self.code.as_deref().map(|code| code.rsplit('#').next().unwrap_or(code)).unwrap_or_default();
        match self.class {
            Class::Denied => Code::Denied,
            Class::Throttled => Code::Throttled,
            Class::ServerFault => Code::ServerFault,
            Class::Busy => Code::Busy,
            Class::Interrupted => Code::Interrupted,
            Class::TooSoon => Code::Quota,
            Class::Rejected if is_quota(code) => Code::Quota,
            Class::Rejected if lacks_index(code, &self.message) => Code::NoIndex,
            Class::Rejected | Class::NotFound | Class::AlreadyExists | Class::AlreadySo | Class::ConditionFailed => {
                Code::Rejected
            }
            Class::Credentials => refused(code, &self.message),
            Class::Unreachable => Code::NotConnected,
        }
    }

    /// Returns the message, in words for users who do not know the SDK.
    pub fn plain_message(&self) -> String {
        let last = self.message.rsplit(": ").next().unwrap_or(&self.message).trim();
        match self.failure {
            Some(failure) => describe(failure, &self.message, last),
            None => self.message.clone(),
        }
    }
}

/// Returns a failure in words; `last` is the end of the SDK's message, which is the innermost error.
fn describe(failure: Code, message: &str, last: &str) -> String {
    match failure {
        Code::NoCredentials => String::from(
            "no credentials were found: not in the environment, the AWS profile, a web identity, a container or an instance",
        ),
        Code::Sso if is_expired(message) => String::from("the SSO session has expired"),
        Code::Sso => String::from("there is no SSO session"),
        Code::Profile => last.to_owned(),
        Code::CredentialProcess => match message.split_once(CREDENTIAL_PROCESS) {
            Some((_, rest)) => {
                let rest = rest.trim_end_matches(": ").trim_end_matches(" Stderr");
                format!("the credential process {}", rest.trim_start_matches([' ', ',', ':']))
            }
            None => format!("the credential process failed: {last}"),
        },
        Code::NameNotFound => format!("the address of the service was not found ({last})"),
        Code::NotConnected => format!("no connection to the service ({last})"),
        Code::Certificate => {
            let why = message.split_once("certificate: ").map_or(last, |(_, why)| why);
            format!("the certificate of the server is not trusted ({why})")
        }
        Code::TimedOut => String::from("no answer in time"),
        Code::Proxy => format!("the proxy could not be used ({last})"),
        Code::BadAnswer => format!("the answer of the service could not be read ({last})"),
        _ => message.to_owned(),
    }
}

/// Returns the class of a failure without a response from AWS, and its code if it is known.
pub(super) fn diagnose<E>(error: &SdkError<E, HttpResponse>) -> (Class, Option<Code>)
where
    E: Error + 'static,
{
    if let Some(credentials) = find::<CredentialsError>(error) {
        return (Class::Credentials, Some(without_credentials(credentials)));
    }
    if is_slow_provider_error(&full_message(error)) {
        return (Class::Credentials, Some(Code::TimedOut));
    }
    match error {
        SdkError::TimeoutError(_) => (Class::Unreachable, Some(Code::TimedOut)),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            // The request could not be written: nothing was sent, and a retry would fail too.
            Some(connector) if connector.is_user() => (Class::Rejected, None),
            Some(connector) => (Class::Unreachable, Some(unreachable(connector))),
            None => (Class::Unreachable, Some(Code::NotConnected)),
        },
        SdkError::ResponseError(_) => (Class::Unreachable, Some(Code::BadAnswer)),
        // The request could not be built.
        _ => (Class::Rejected, None),
    }
}

/// The reason why a provider of the SDK has no credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{said}")]
pub struct Unprovided {
    pub code: Code,
    said: String,
    source: Arc<CredentialsError>,
}

impl From<CredentialsError> for Unprovided {
    fn from(error: CredentialsError) -> Self {
        let message = said_by_sts(&error).unwrap_or_else(|| full_message(&error));
        let code = without_credentials(&error);
        let last = message.rsplit(": ").next().unwrap_or(&message).trim();
        Self { code, said: describe(code, &message, last), source: Arc::new(error) }
    }
}

/// Returns the reason why a provider has no credentials.
fn without_credentials(error: &CredentialsError) -> Code {
    match error {
        CredentialsError::ProviderTimedOut(_) => return Code::TimedOut,
        CredentialsError::InvalidConfiguration(_) => return Code::Profile,
        _ => {}
    }
    let Some(source) = error.source() else { return Code::NoCredentials };
    // A provider that uses another provider wraps that provider's error.
    if let Some(inner) = find::<CredentialsError>(source) {
        return without_credentials(inner);
    }
    if let Some(call) = find::<CallError>(source) {
        return match call.diagnosis() {
            Code::Denied | Code::Rejected => Code::Role,
            code => code,
        };
    }
    if let Some(connector) = find::<ConnectorError>(source) {
        return unreachable(connector);
    }
    if let Some(code) = of_sts::<AssumeRoleError>(source).or_else(|| of_sts::<AssumeRoleWithWebIdentityError>(source)) {
        return code;
    }
    if find::<TokenError>(source).is_some() {
        return Code::Sso;
    }
    by_text(&full_message(source)).unwrap_or(Code::NoCredentials)
}

/// Returns the reason why a credential provider could not assume a role, if the error is from such a call.
fn of_sts<E: ProvideErrorMetadata + Error + 'static>(error: &(dyn Error + 'static)) -> Option<Code> {
    match find::<SdkError<E, HttpResponse>>(error)? {
        SdkError::TimeoutError(_) => Some(Code::TimedOut),
        SdkError::ResponseError(_) => Some(Code::BadAnswer),
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let message = service.err().message().unwrap_or_default();
            Some(match classify(code, message, service.raw().status().as_u16()) {
                Class::Credentials => refused(code, message),
                Class::Throttled => Code::Throttled,
                Class::ServerFault => Code::ServerFault,
                _ => Code::Role,
            })
        }
        _ => None,
    }
}

/// Returns STS's error code and message for a provider that assumed a role. The SDK's own text is debug output.
pub(super) fn said_by_sts(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(call) = find::<CallError>(error) {
        return Some(call.to_string());
    }
    let said = service_error::<AssumeRoleError>(error).map(|error| ("AssumeRole", error.meta()));
    let said = said.or_else(|| {
        let error = service_error::<AssumeRoleWithWebIdentityError>(error)?;
        Some(("AssumeRoleWithWebIdentity", error.meta()))
    });
    let (operation, meta) = said?;
    let code = meta.code().map(|code| format!("{code}: ")).unwrap_or_default();
    let request = meta.request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
    Some(format!("sts:{operation}: {code}{}{request}", meta.message().unwrap_or("it gave no reason")))
}

fn service_error<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    match find::<SdkError<E, HttpResponse>>(error)? {
        SdkError::ServiceError(service) => Some(service.err()),
        _ => None,
    }
}

/// Returns the reason why AWS could not be reached.
fn unreachable(error: &ConnectorError) -> Code {
    if error.is_timeout() {
        return Code::TimedOut;
    }
    let message = full_message(error);
    if is_proxy_error(&message) {
        return Code::Proxy;
    }
    for cause in chain(error) {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return Code::Certificate;
        }
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return Code::TimedOut;
        }
    }
    if is_name_error(&message) { Code::NameNotFound } else { Code::NotConnected }
}

/// Returns an error and all its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        // `io::Error::source` skips the error that it wraps.
        Some(io) => io.get_ref().map(|held| held as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// Returns the first error of a type in the chain of causes.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref::<E>())
}

// The following functions classify by message text, because there is nothing else.

/// The start of aws-config's message about a credential process. Source: `src/credential_process.rs`, which converts the error to a text.
const CREDENTIAL_PROCESS: &str = "external process";

/// Returns the reason why a provider has no credentials, if its error is a text or of a type private to aws-config.
fn by_text(message: &str) -> Option<Code> {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match () {
        // Checked first, because the message includes stderr of the process.
        () if has(&[CREDENTIAL_PROCESS]) => Some(Code::CredentialProcess),
        // `ProfileFileError` reaches the caller as a text (`src/profile/credentials.rs`).
        () if has(&["was not defined", "could not find source profile", "profile file", "ProfileFile"]) => {
            Some(Code::Profile)
        }
        // `CachedSsoTokenError` (`src/sso/cache.rs`), for an AWS profile with `sso_start_url`; one with `sso_session` gives a `TokenError`.
        // The type of `GetRoleCredentials` errors is in a crate that only aws-config uses.
        () if has(&["SSO token", "/sso/cache/", "access token", "Session token not found or invalid"]) => {
            Some(Code::Sso)
        }
        () => None,
    }
}

/// Returns whether an SSO session has expired, rather than never started: both are one private type (`src/sso/token.rs`).
fn is_expired(message: &str) -> bool {
    message.contains("expired")
}

/// Returns whether a provider timed out: the error type is private to aws-smithy-runtime (`src/client/identity/cache/lazy.rs`).
fn is_slow_provider_error(message: &str) -> bool {
    message.contains("identity resolver timed out after")
}

/// Returns whether a proxy failed: hyper-util's `TunnelError` is private.
fn is_proxy_error(message: &str) -> bool {
    message.contains("tunnel error")
}

/// Returns whether a name could not be resolved: `std` has no error kind for this result of `getaddrinfo`, and hyper-util's type is
/// private.
fn is_name_error(message: &str) -> bool {
    message.contains("dns error") || message.contains("failed to lookup address information")
}

/// Returns whether a table lacks the index of a query: DynamoDB reports this as a `ValidationException`, which has many other causes.
fn lacks_index(code: &str, message: &str) -> bool {
    code == "ValidationException" && message.contains("specified index")
}

/// Returns the reason why AWS does not accept the credentials. A wrong clock and a wrong key have the same code but different messages.
fn refused(code: &str, message: &str) -> Code {
    let skewed = ["Signature expired", "not yet current", "too skewed"].iter().any(|text| message.contains(text));
    match code {
        "RequestTimeTooSkewed" | "RequestExpired" => Code::Clock,
        _ if skewed => Code::Clock,
        "ExpiredToken" | "ExpiredTokenException" => Code::ExpiredCredentials,
        _ => Code::InvalidCredentials,
    }
}

fn is_quota(code: &str) -> bool {
    let quotas = [
        "LimitExceededException",
        "ParameterLimitExceeded",
        "ParameterMaxVersionLimitExceeded",
        "HierarchyLevelLimitExceededException",
        "ServiceQuotaExceededException",
        "TooManyTagsError",
        "TopicLimitExceeded",
        "SubscriptionLimitExceeded",
        "FilterPolicyLimitExceeded",
        "TagLimitExceeded",
    ];
    quotas.contains(&code)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::metadata::ErrorMetadata;

    use super::*;
    use crate::resource::call::{ASSUME_ROLE, GET_CALLER_IDENTITY};

    fn error(class: Class, code: Option<&str>, message: &str) -> CallError {
        let code = code.map(str::to_owned);
        CallError { code: code.map(Box::from), ..CallError::new(GET_CALLER_IDENTITY, class, message) }
    }

    /// A credential provider's error, as the SDK reports it for a call.
    fn credentials(error: CredentialsError) -> SdkError<GetCallerIdentityError, HttpResponse> {
        SdkError::dispatch_failure(ConnectorError::other(error.into(), None))
    }

    fn provider(error: impl Into<Box<dyn Error + Send + Sync>>) -> SdkError<GetCallerIdentityError, HttpResponse> {
        // The provider of an AWS profile wraps the one that the profile refers to.
        credentials(CredentialsError::provider_error(CredentialsError::provider_error(error)))
    }

    /// One layer of hyper's errors, whose types are private.
    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Box<dyn Error + Send + Sync>);

    fn io(kind: ErrorKind, cause: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectorError {
        let io = std::io::Error::new(kind, cause);
        ConnectorError::io(Layer("client error (Connect)", Layer("tcp connect error", io.into()).into()).into())
    }

    fn name_not_found() -> ConnectorError {
        let lookup = "failed to lookup address information: Name or service not known";
        let lookup = std::io::Error::other(lookup);
        ConnectorError::io(Layer("client error (Connect)", Layer("dns error", lookup.into()).into()).into())
    }

    fn assume_role(error: AssumeRoleError, status: u16) -> SdkError<AssumeRoleError, HttpResponse> {
        let status = StatusCode::try_from(status).unwrap();
        SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty()))
    }

    fn sts_error(code: &str) -> AssumeRoleError {
        AssumeRoleError::generic(ErrorMetadata::builder().code(code).message("said by STS").build())
    }

    #[test]
    fn failures_without_a_response_are_classified_by_type() {
        let refused = || io(ErrorKind::ConnectionRefused, "Connection refused (os error 111)");
        let untrusted = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let tunnel =
            ConnectorError::io(Layer("tunnel error: failed to create underlying connection", refused().into()).into());
        let of_role =
            CallError { code: Some(Box::from("AccessDenied")), ..CallError::new(ASSUME_ROLE, Class::Denied, "no") };
        use Class::{Credentials, Rejected, Unreachable};
        let cases = [
            (
                credentials(CredentialsError::not_loaded("no providers in chain provided credentials")),
                Credentials,
                Some(Code::NoCredentials),
                "no credentials were found",
            ),
            (
                credentials(CredentialsError::not_loaded(
                    "profile `nope` was not defined: could not find source profile nope",
                )),
                Credentials,
                Some(Code::Profile),
                "could not find source profile nope",
            ),
            (
                credentials(CredentialsError::invalid_configuration("its source_profile is not there")),
                Credentials,
                Some(Code::Profile),
                "its source_profile is not there",
            ),
            (
                credentials(CredentialsError::provider_timed_out(Duration::from_secs(5))),
                Credentials,
                Some(Code::TimedOut),
                "no answer in time",
            ),
            (
                provider(TokenError::provider_error("the SSO token has expired and cannot be refreshed")),
                Credentials,
                Some(Code::Sso),
                "the SSO session has expired",
            ),
            (
                provider(TokenError::provider_error("failed to load the cached SSO token")),
                Credentials,
                Some(Code::Sso),
                "there is no SSO session",
            ),
            (
                provider("failed to read `/home/x/.aws/sso/cache/a5.json`: No such file or directory (os error 2)"),
                Credentials,
                Some(Code::Sso),
                "there is no SSO session",
            ),
            (
                provider(TokenError::provider_error(name_not_found())),
                Credentials,
                Some(Code::NameNotFound),
                "the address of the service was not found",
            ),
            (
                provider(
                    "Error retrieving credentials: external process exited with code exit status: 1. Stderr: the SSO token was not defined",
                ),
                Credentials,
                Some(Code::CredentialProcess),
                "the credential process exited with code exit status: 1.",
            ),
            (
                provider(assume_role(sts_error("AccessDenied"), 403)),
                Credentials,
                Some(Code::Role),
                "sts:AssumeRole: AccessDenied: said by STS",
            ),
            (
                provider(assume_role(sts_error("ExpiredToken"), 400)),
                Credentials,
                Some(Code::ExpiredCredentials),
                "sts:AssumeRole: ExpiredToken: said by STS",
            ),
            (
                provider(SdkError::<AssumeRoleError, HttpResponse>::timeout_error("late")),
                Credentials,
                Some(Code::TimedOut),
                "no answer in time",
            ),
            (provider(of_role), Credentials, Some(Code::Role), "sts:AssumeRole: AccessDenied: no"),
            (
                SdkError::dispatch_failure(ConnectorError::other("identity resolver timed out after 5s".into(), None)),
                Credentials,
                Some(Code::TimedOut),
                "no answer in time",
            ),
            (SdkError::timeout_error("operation timeout"), Unreachable, Some(Code::TimedOut), "no answer in time"),
            (
                SdkError::dispatch_failure(ConnectorError::timeout("HTTP connect timeout".into())),
                Unreachable,
                Some(Code::TimedOut),
                "no answer in time",
            ),
            (
                SdkError::dispatch_failure(refused()),
                Unreachable,
                Some(Code::NotConnected),
                "no connection to the service (Connection refused (os error 111))",
            ),
            (
                SdkError::dispatch_failure(name_not_found()),
                Unreachable,
                Some(Code::NameNotFound),
                "the address of the service was not found (Name or service not known)",
            ),
            (
                SdkError::dispatch_failure(io(ErrorKind::InvalidData, untrusted())),
                Unreachable,
                Some(Code::Certificate),
                "the certificate of the server is not trusted (UnknownIssuer)",
            ),
            (
                SdkError::dispatch_failure(io(ErrorKind::InvalidData, rustls::Error::HandshakeNotComplete)),
                Unreachable,
                Some(Code::NotConnected),
                "no connection to the service",
            ),
            (
                SdkError::dispatch_failure(tunnel),
                Unreachable,
                Some(Code::Proxy),
                "the proxy could not be used (Connection refused (os error 111))",
            ),
            (
                SdkError::dispatch_failure(ConnectorError::user("no such scheme".into())),
                Rejected,
                None,
                "dispatch failure",
            ),
            (
                SdkError::response_error(
                    "unexpected end",
                    HttpResponse::new(StatusCode::try_from(200).unwrap(), SdkBody::empty()),
                ),
                Unreachable,
                Some(Code::BadAnswer),
                "the answer of the service could not be read (unexpected end)",
            ),
            (SdkError::construction_failure("a field is missing"), Rejected, None, "failed to construct request"),
        ];
        for (error, class, failure, text) in cases {
            let said = CallError::from_sdk(GET_CALLER_IDENTITY, error);
            assert_eq!((said.class, said.failure), (class, failure), "{}", said.message);
            assert!(said.plain_message().starts_with(text), "{}", said.plain_message());
            assert!(said.source().is_some(), "{} has lost its cause", said.message);
        }
    }

    #[test]
    fn message_text_does_not_change_the_classification() {
        let refused = || {
            std::io::Error::new(ErrorKind::ConnectionRefused, "no credential, no identity: the certificate timed out")
        };
        let error =
            SdkError::<GetCallerIdentityError, HttpResponse>::dispatch_failure(ConnectorError::io(refused().into()));
        let said = CallError::from_sdk(GET_CALLER_IDENTITY, error);
        assert_eq!((said.class, said.diagnosis()), (Class::Unreachable, Code::NotConnected));
    }

    #[test]
    fn aws_errors_are_distinguished() {
        let said = [
            (
                Class::Credentials,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                Code::InvalidCredentials,
            ),
            (
                Class::Credentials,
                "ExpiredToken",
                "The security token included in the request is expired",
                Code::ExpiredCredentials,
            ),
            (
                Class::Credentials,
                "SignatureDoesNotMatch",
                "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z",
                Code::Clock,
            ),
            (
                Class::Credentials,
                "InvalidSignatureException",
                "Signature not yet current: 20260101T000000Z is still later than …",
                Code::Clock,
            ),
            (
                Class::Credentials,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match",
                Code::InvalidCredentials,
            ),
            (
                Class::Rejected,
                "LimitExceededException",
                "Subscriber limit exceeded: There is a limit of 2500 tables",
                Code::Quota,
            ),
            (Class::Rejected, "com.amazonaws.ssm#ParameterLimitExceeded", "", Code::Quota),
            (Class::Rejected, "ValidationException", "", Code::Rejected),
            (Class::Denied, "AccessDeniedException", "", Code::Denied),
        ];
        for (class, code, message, expected) in said {
            assert_eq!(error(class, Some(code), message).diagnosis(), expected, "{code}: {message}");
        }
    }
}

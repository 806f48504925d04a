//! What a failed call means to whoever has to deal with it, told from what AWS, or the way to it, said.

use super::call::{CallError, Class};
use crate::code::Code;

impl CallError {
    /// Returns what kind of trouble it is.
    pub fn trouble(&self) -> Code {
        let code = self.code.as_deref().map(|code| code.rsplit('#').next().unwrap_or(code));
        match self.class {
            Class::Denied => Code::Denied,
            Class::Throttled => Code::Throttled,
            Class::ServerFault => Code::ServerFault,
            Class::Busy => Code::Busy,
            Class::Interrupted => Code::Interrupted,
            Class::Rejected if code.is_some_and(is_quota) => Code::Quota,
            Class::TooSoon => Code::Quota,
            Class::Rejected | Class::NotFound | Class::AlreadyExists | Class::AlreadySo | Class::ConditionFailed => {
                Code::Rejected
            }
            Class::Credentials => {
                code.map_or_else(|| without_credentials(&self.message), |code| refused(code, &self.message))
            }
            Class::Unreachable => unreachable(&self.message),
        }
    }

    /// Returns what was said, in words for whoever does not know the SDK.
    pub fn said(&self) -> String {
        if self.code.is_some() || !matches!(self.class, Class::Credentials | Class::Unreachable) {
            return self.message.clone();
        }
        let last = self.message.rsplit(": ").next().unwrap_or(&self.message).trim();
        match self.trouble() {
            Code::NoCredentials => String::from(
                "no credentials were found: not in the environment, the AWS profile, a web identity, a container or an instance",
            ),
            Code::Sso if self.message.contains("expired") => String::from("the SSO session has expired"),
            Code::Sso => String::from("there is no SSO session"),
            Code::Profile => last.to_owned(),
            Code::CredentialProcess => match self.message.split_once("external process ") {
                Some((_, rest)) => {
                    format!("the credential process {}", rest.trim_end_matches(": ").trim_end_matches(" Stderr"))
                }
                None => format!("the credential process failed: {last}"),
            },
            Code::NameNotFound => format!("the address of the service was not found ({last})"),
            Code::NotConnected => format!("no connection to the service ({last})"),
            Code::Certificate => {
                let why = self.message.split_once("certificate: ").map_or(last, |(_, why)| why);
                format!("the certificate of the server is not trusted ({why})")
            }
            Code::TimedOut => String::from("no answer in time"),
            Code::Proxy => format!("the proxy could not be used ({last})"),
            _ => self.message.clone(),
        }
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

/// Returns why AWS does not take the credentials.
fn refused(code: &str, message: &str) -> Code {
    let skewed = ["Signature expired", "not yet current", "too skewed"].iter().any(|words| message.contains(words));
    match code {
        "RequestTimeTooSkewed" | "RequestExpired" => Code::Clock,
        _ if skewed => Code::Clock,
        "ExpiredToken" | "ExpiredTokenException" => Code::ExpiredCredentials,
        _ => Code::InvalidCredentials,
    }
}

/// Returns why there are no credentials, from what the SDK's providers say.
fn without_credentials(message: &str) -> Code {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match () {
        () if has(&["was not defined", "could not find source profile", "profile file", "ProfileFile"]) => {
            Code::Profile
        }
        () if has(&["external process"]) => Code::CredentialProcess,
        () if has(&["SSO token", "/sso/cache/", "access token"]) => Code::Sso,
        () if has(&["no credentials found", "no providers in chain"]) => Code::NoCredentials,
        // The way to whoever gives credentials may be cut too.
        () if has(&["dispatch failure: io error", "timeout", "timed out"]) => unreachable(message),
        () if has(&["AssumeRole", "assume role", "assuming role"]) => Code::Role,
        () => Code::NoCredentials,
    }
}

/// Returns why AWS could not be reached.
fn unreachable(message: &str) -> Code {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match () {
        () if has(&["tunnel", "proxy"]) => Code::Proxy,
        () if has(&["certificate", "tls handshake", "unknownissuer"]) => Code::Certificate,
        () if has(&["dns error", "failed to lookup", "name or service not known"]) => Code::NameNotFound,
        () if has(&["timeout", "timed out", "deadline"]) => Code::TimedOut,
        () => Code::NotConnected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::call::GET_CALLER_IDENTITY;

    fn error(class: Class, code: Option<&str>, message: &str) -> CallError {
        let code = code.map(str::to_owned);
        CallError { code, ..CallError::new(GET_CALLER_IDENTITY, class, message) }
    }

    /// What the SDK says, word for word, in each of these situations.
    #[test]
    fn what_keeps_a_call_from_aws_is_told_apart() {
        let loading = "dispatch failure: other: an error occurred while loading credentials: ";
        let connect = "dispatch failure: io error: client error (Connect): ";
        let said = [
            (Class::Credentials, "dispatch failure: other: the credential provider was not enabled: no credentials found in chain. Attempted:".to_owned(), Code::NoCredentials, "no credentials were found"),
            (Class::Credentials, format!("{loading}an error occurred while loading an access token: failed to load the cached SSO token"), Code::Sso, "there is no SSO session"),
            (Class::Credentials, format!("{loading}failed to read `/home/x/.aws/sso/cache/a5.json`: No such file or directory (os error 2)"), Code::Sso, "there is no SSO session"),
            (Class::Credentials, format!("{loading}an error occurred while loading an access token: the SSO token has expired and cannot be refreshed"), Code::Sso, "the SSO session has expired"),
            (Class::Credentials, "dispatch failure: other: the credential provider was not enabled: profile `nope` was not defined: could not find source profile nope referenced from the root profile".to_owned(), Code::Profile, "could not find source profile nope"),
            (Class::Credentials, format!("{loading}Error retrieving credentials: external process exited with code exit status: 1. Stderr: "), Code::CredentialProcess, "the credential process exited with code exit status: 1."),
            (Class::Credentials, format!("{loading}{connect}dns error: failed to lookup address information: Name or service not known"), Code::NameNotFound, "the address of the service was not found"),
            (Class::Unreachable, format!("{connect}tcp connect error: Connection refused (os error 111)"), Code::NotConnected, "no connection to the service (Connection refused (os error 111))"),
            (Class::Unreachable, format!("{connect}dns error: failed to lookup address information: Name or service not known"), Code::NameNotFound, "the address of the service was not found (Name or service not known)"),
            (Class::Unreachable, format!("{connect}TLS handshake failed: invalid peer certificate: UnknownIssuer"), Code::Certificate, "the certificate of the server is not trusted (UnknownIssuer)"),
            (Class::Unreachable, format!("{connect}tunnel error: failed to create underlying connection: tcp connect error: Connection refused (os error 111)"), Code::Proxy, "the proxy could not be used (Connection refused (os error 111))"),
            (Class::Unreachable, "request has timed out: operation attempt timeout (single attempt) occurred after 25s".to_owned(), Code::TimedOut, "no answer in time"),
        ];
        for (class, message, code, words) in said {
            let error = error(class, None, &message);
            assert_eq!(error.trouble(), code, "{message}");
            assert!(error.said().starts_with(words), "{}", error.said());
        }
    }

    #[test]
    fn what_aws_says_is_told_apart() {
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
            assert_eq!(error(class, Some(code), message).trouble(), expected, "{code}: {message}");
        }
    }
}

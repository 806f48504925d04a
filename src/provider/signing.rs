//! Signs a request that proves the caller's identity, and identifies the signer of such a request with STS.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;

use super::gateway::Gateway;
use super::profiles::NoCredentials;
use crate::resource::call::{CallError, Class, GET_CALLER_IDENTITY};
use crate::resource::caller::{self, Caller};
use crate::resource::diagnosis::Unprovided;
use crate::resource::signed_identity::{AskDigest, BODY, BROKER, BrokerUrl, CONTENT_TYPE, DIGEST, SignedIdentity};

/// The time limit for STS to identify the signer of a request.
const LONGEST: Duration = Duration::from_secs(5);

/// The reason why no request was signed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unsigned {
    #[error(transparent)]
    NoCredentials(#[from] NoCredentials),
    #[error("no request to STS can be signed: {0}")]
    Failed(String),
}

impl Gateway {
    /// Signs a request that names a broker and the digest of an operation, with the gateway's own credentials.
    pub async fn sign_identity(&self, broker: &BrokerUrl, digest: &AskDigest) -> Result<SignedIdentity, Unsigned> {
        let own = |unprovided: Unprovided| Unsigned::NoCredentials(NoCredentials::Own(unprovided));
        let none = aws_credential_types::provider::error::CredentialsError::not_loaded_no_source;
        let provider = self.config().credentials_provider().ok_or_else(|| own(none().into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| own(error.into()))?;
        let region = self.config().region().map_or("us-east-1", AsRef::as_ref).to_owned();
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = match self.config().endpoint_url() {
            Some(endpoint) => format!("{}/", endpoint.trim_end_matches('/')),
            None => format!("https://sts.{region}.{domain}/"),
        };
        #[expect(clippy::disallowed_methods, reason = "a signature says when it was made")]
        let now = SystemTime::now();
        signed(credentials, (&url, &region), (broker, digest), now).map_err(|error| Unsigned::Failed(error.to_string()))
    }

    /// Identifies the signer of a request by sending it to STS once. The caller has checked it: see [`SignedIdentity::check`].
    ///
    /// The pacer is not used, because anyone can cause such a request: it must not delay the gateway's own calls or use up its retries.
    pub async fn caller_of(&self, identity: &SignedIdentity) -> Result<Caller, CallError> {
        let request =
            self.unsigned_client().get_caller_identity().customize().interceptor(ReplaceSignature(identity.clone()));
        let slow = |_| CallError::new(GET_CALLER_IDENTITY, Class::Unreachable, "STS did not answer in time");
        let answer = tokio::time::timeout(LONGEST, request.send()).await.map_err(slow)?;
        Caller::answered(answer.map_err(|error| CallError::from_sdk(GET_CALLER_IDENTITY, error))?)
    }
}

/// Returns the STS client that sends requests signed by others. Its own credentials are invalid, so that AWS refuses a request sent with
/// them.
pub(super) fn client_without_credentials(config: &aws_config::SdkConfig) -> caller::Client {
    let invalid = Credentials::new("NOBODY", "none", None, None, "none");
    let config = config.to_builder().credentials_provider(SharedCredentialsProvider::new(invalid)).build();
    caller::Client::new(&config)
}

fn signed(
    credentials: Credentials,
    (url, region): (&str, &str),
    (broker, digest): (&BrokerUrl, &AskDigest),
    now: SystemTime,
) -> Result<SignedIdentity, BoxError> {
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let given = [("content-type", CONTENT_TYPE), (BROKER, broker.as_str()), (DIGEST, digest.as_str())];
    let request = SignableRequest::new("POST", url, given.into_iter(), SignableBody::Bytes(BODY.as_bytes()))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let mut headers: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.insert(String::from("host"), host.to_owned());
    headers.extend(instructions.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
    Ok(SignedIdentity { method: String::from("POST"), url: url.to_owned(), headers, body: BODY.to_owned() })
}

/// Sends a request that another user signed, in place of the client's own.
#[derive(Debug)]
struct ReplaceSignature(SignedIdentity);

impl Intercept for ReplaceSignature {
    fn name(&self) -> &'static str {
        "ReplaceSignature"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let SignedIdentity { method, url, headers, body } = &self.0;
        let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
        request.set_method(method)?;
        request.set_uri(url.as_str())?;
        for (name, value) in headers {
            request.headers_mut().try_insert(name.clone(), value.clone())?;
        }
        request.headers_mut().try_insert("content-length", body.len().to_string())?;
        *context.request_mut() = request;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::signed_identity::{Expected, Rejection};

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI", token.map(str::to_owned), None, "test")
    }

    #[test]
    fn a_signed_request_is_valid_only_for_its_broker() {
        let (broker, digest) = (BrokerUrl::new("https://broker.example.com").unwrap(), AskDigest::of("list", "{}"));
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_725_300);
        let now = jiff::Timestamp::from_second(1_795_725_310).unwrap();
        for token in [None, Some("IQoJb3JpZ2luX2Vj")] {
            let place = ("https://sts.eu-west-1.amazonaws.com/", "eu-west-1");
            let request = signed(credentials(token), place, (&broker, &digest), at).unwrap();
            let expected = Expected { broker: &broker, digest: &digest, now, endpoint: None, partition: "aws" };
            assert_eq!(request.check(&expected), Ok(()), "{:?}", request.headers);
            let other = BrokerUrl::new("https://other.example.com").unwrap();
            assert_eq!(request.check(&Expected { broker: &other, ..expected }), Err(Rejection::Broker));
            let text = format!("{request:?}");
            assert!(!text.contains("Signature") && !text.contains("IQoJ"), "{text}");
        }
    }

    /// Any change of the signed values changes the signature, so STS refuses the old one.
    #[test]
    fn the_signature_is_over_the_broker_and_the_digest() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_725_300);
        let of = |broker: &str, asked: &str| {
            let (broker, digest) = (BrokerUrl::new(broker).unwrap(), AskDigest::of("list", asked));
            let place = ("https://sts.eu-west-1.amazonaws.com/", "eu-west-1");
            signed(credentials(None), place, (&broker, &digest), at).unwrap().headers["authorization"].clone()
        };
        let one = of("https://broker.example.com", "{}");
        assert_eq!(one, of("https://broker.example.com", "{}"));
        assert_ne!(one, of("https://other.example.com", "{}"));
        assert_ne!(one, of("https://broker.example.com", "{ }"));
    }
}

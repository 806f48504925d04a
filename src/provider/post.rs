//! Sends a document to a server other than AWS, with the SDK's HTTP client and trust settings: proxies, system certificates.

use std::time::Duration;

use aws_smithy_async::rt::sleep::default_async_sleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

/// The size limit of a response: a thousand records with the longest texts.
const MAX_BYTES: usize = 8 << 20;
/// The timeout of a response. A broker itself waits for AWS.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends documents.
#[derive(Debug, Clone)]
pub struct Poster(SharedHttpConnector);

/// The reason why there is no response.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct PostError(String);

impl Default for Poster {
    fn default() -> Self {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(5)).read_timeout(TIMEOUT).build();
        let mut builder = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        builder.set_connector_settings(Some(settings));
        builder.set_sleep_impl(default_async_sleep());
        builder.set_proxy_config(Some(ProxyConfig::from_env()));
        Self(SharedHttpConnector::new(builder.build()))
    }
}

impl Poster {
    /// Sends JSON, and returns the status and the body of the response.
    pub async fn post(&self, url: &str, json: String) -> Result<(u16, Bytes), PostError> {
        let failed = |error: &dyn std::error::Error| PostError(crate::resource::call::full_message(error));
        let mut request = HttpRequest::new(SdkBody::from(json));
        request.set_method("POST").map_err(|error| failed(&error))?;
        request.set_uri(url).map_err(|error| failed(&error))?;
        request.headers_mut().insert("content-type", "application/json");
        let answer = async {
            let response = self.0.call(request).await.map_err(|error| failed(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
            let body = body.map_err(|error| failed(error.as_ref()))?;
            Ok((status, body.to_bytes()))
        };
        let in_time = tokio::time::timeout(TIMEOUT, answer).await;
        in_time.unwrap_or_else(|_| Err(PostError(format!("no answer within {} seconds", TIMEOUT.as_secs()))))
    }
}

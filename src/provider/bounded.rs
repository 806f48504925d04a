//! The HTTP client of the SDK, with a limit on the size of a response: the SDK itself reads a body to its end.
//!
//! The SDK's own credential providers (STS, SSO, metadata) use this client too, if they use the client of the configuration.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// The size limit of a response with items. AWS sends at most 1 MB of items (DynamoDB API Reference, `Query`), plus JSON and escapes.
const ITEMS: usize = 4 << 20;
/// The size limit of any other response. The largest has ten parameters of 8 KiB, which escapes can make six times as large.
const OTHER: usize = 1 << 20;

/// Returns the SDK's default HTTP client with this limit.
pub(super) fn client() -> SharedHttpClient {
    // Built like `default_https_client` in aws-smithy-runtime, which is private.
    let client = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(Bounded(client))
}

#[derive(Debug)]
struct Bounded(SharedHttpClient);

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let limit = limit(request.headers().get("x-amz-target").unwrap_or_default());
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = answer.await?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, limit));
            Ok(response)
        })
    }
}

fn limit(target: &str) -> usize {
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap_or_default();
    if ["Query", "GetItem", "TransactGetItems", "BatchGetItem"].contains(&operation) { ITEMS } else { OTHER }
}

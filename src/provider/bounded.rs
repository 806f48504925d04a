//! The HTTP client of the SDK, with a limit on the size of a response: the SDK itself reads a body to its end.
//!
//! The SDK's own credential providers (STS, SSO, metadata) use this client too, if they use the client of the configuration.

use std::sync::OnceLock;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
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
#[expect(
    clippy::disallowed_methods,
    reason = "a proxy that is reached over https needs the trusted certificates, also for http"
)]
pub(super) fn client() -> SharedHttpClient {
    let mut proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter();
    let is_proxied = proxies.any(|name| std::env::var_os(name).is_some());
    let secure = built(TrustStore::default());
    let plain = if is_proxied { secure.clone() } else { built(TrustStore::empty()) };
    SharedHttpClient::new(Bounded { plain, secure })
}

/// Built like `default_https_client` in aws-smithy-runtime, which is private.
fn built(roots: TrustStore) -> SharedHttpClient {
    let client = Builder::new().build_with_connector_fn(move |settings, components| {
        let context = TlsContext::builder().with_trust_store(roots.clone()).build();
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        // Only certificates added by hand can be unreadable, and there are none.
        if let Ok(context) = context {
            connector = connector.tls_context(context);
        }
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    });
    SharedHttpClient::new(client)
}

/// Reading the system's trusted certificates takes longer than anything else in a short command, so it waits for the first request over
/// https.
#[derive(Debug)]
struct Bounded {
    /// For http, without a trusted certificate.
    plain: SharedHttpClient,
    secure: SharedHttpClient,
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector {
            plain: self.plain.http_connector(settings, components),
            secure: OnceLock::new(),
            client: self.secure.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    plain: SharedHttpConnector,
    secure: OnceLock<SharedHttpConnector>,
    client: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl BoundedConnector {
    fn connector(&self, request: &HttpRequest) -> &SharedHttpConnector {
        if request.uri().starts_with("http://") {
            return &self.plain;
        }
        self.secure.get_or_init(|| self.client.http_connector(&self.settings, &self.components))
    }
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let limit = limit(request.headers().get("x-amz-target").unwrap_or_default());
        let answer = self.connector(&request).call(request);
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

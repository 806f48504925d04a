//! The credential server: on loopback, protected by a random token, with the protocol of container credentials
//! (`AWS_CONTAINER_CREDENTIALS_FULL_URI`; AWS SDKs and Tools Reference Guide, "Container credential provider").

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::resource::role::Credentials;
use crate::resource::secret::Secret;
use crate::serving::{self, Bounds, Unread};

/// Why a fetch is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The policy denies it, or the session is revoked.
    Denied(String),
    /// It failed, and may succeed later.
    Failed(String),
}

/// Answers one fetch.
pub type Answer =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Credentials, Refusal>> + Send>> + Send + Sync + 'static>;

/// A listener of a server that does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    token: Secret,
}

const PATH: &str = "/credentials";

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub async fn bind(token: Secret) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, token })
    }

    /// Returns the URL of the credentials.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Returns the token that clients send as `Authorization`.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Serves until it is dropped, within [`Bounds`].
    pub async fn run(&self, answer: Answer) {
        let token = self.token.clone();
        serving::serve(&self.listener, BOUNDS, move |request| respond(request, Arc::clone(&answer), token.clone()))
            .await;
    }
}

/// SDKs send the head at once, and no body.
const BOUNDS: Bounds = {
    let timeout = Duration::from_secs(5);
    Bounds { head: timeout, body: timeout, stall: timeout, ..Bounds::of_bodies(4 << 10) }
};

async fn respond(request: Request<Result<Bytes, Unread>>, answer: Answer, token: Secret) -> Response<Full<Bytes>> {
    let refused = |status, code: &str, message: &str| (status, json!({ "code": code, "message": message }));
    let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    // Compares digests, so that the duration of the comparison does not depend on the token.
    let (status, body) = if Sha256::digest(given) != Sha256::digest(token.reveal()) {
        refused(StatusCode::UNAUTHORIZED, "Unauthorized", "the Authorization header does not contain the token")
    } else if request.uri().path() != PATH {
        refused(StatusCode::NOT_FOUND, "NotFound", "credentials are fetched at /credentials")
    } else if request.method() != Method::GET {
        refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "credentials are fetched with GET")
    } else if let Err(unread) = request.body() {
        refused(unread.status(), "BadRequest", unread.message())
    } else {
        match answer().await {
            Ok(credentials) => (StatusCode::OK, document(&credentials)),
            Err(Refusal::Denied(why)) => refused(StatusCode::FORBIDDEN, "AccessDenied", &why),
            Err(Refusal::Failed(why)) => refused(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", &why),
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn document(credentials: &Credentials) -> Value {
    let expiration = credentials.expires.and_then(|at| Timestamp::from_second(at).ok());
    json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.reveal(),
        "Token": credentials.session_token.as_ref().map(Secret::reveal).unwrap_or_default(),
        "Expiration": expiration.map(|at| at.to_string()),
    })
}

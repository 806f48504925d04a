//! HTTP: the paths of a broker, and the limits for its clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tower::Service;

use super::Broker;
use super::tls::Tls;
use super::wire::{Answered, LONGEST, PATH, Problem, ProblemCode};
use crate::access::desk::{Operation, operations};
use crate::serving::{self, Bounds, Plain, Unread};

/// The time limit of an answer. AWS answers most calls within a tenth of a second.
const ANSWER_TIME: Duration = Duration::from_secs(28);
/// The time limit for operations that continue after the last connection is closed.
const LAST_OPERATIONS: Duration = Duration::from_secs(5);
/// The time limit for a body. Clients send head and body together.
const BODY_TIME: Duration = Duration::from_secs(5);
/// The maximum memory for the bodies of all requests in progress. Most have about 1 KB.
const BODIES: usize = 8 << 20;
/// The maximum size of the body of a request for the metrics, which needs none.
const METRICS_BODY: usize = 1 << 10;
/// The maximum size of an answer.
const ANSWER: usize = 64 << 20;

/// A listener of a broker that does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    bounds: Bounds,
    metrics: Option<TcpListener>,
}

/// An address that cannot be listened on, and why.
pub type Unbound = (SocketAddr, std::io::Error);

impl Server {
    /// Listens on an address. `connections` is the maximum number of open connections.
    pub async fn bind(address: SocketAddr, tls: Option<Tls>, connections: usize) -> Result<Self, Unbound> {
        let failed = |error| (address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let timeout = Duration::from_secs(10);
        let bounds = Bounds {
            connections,
            // Anybody can connect, so a connection without a complete request is closed as soon as another client waits.
            idle: Duration::ZERO,
            head: timeout,
            body: BODY_TIME,
            stall: timeout,
            body_bytes: LONGEST,
            total_body_bytes: BODIES,
        };
        Ok(Self { listener, address, tls, bounds, metrics: None })
    }

    /// Serves the metrics on an address of their own, so that users of the broker cannot read them.
    ///
    /// # Errors
    ///
    /// Fails if the address cannot be listened on.
    pub async fn with_metrics(mut self, address: SocketAddr) -> Result<Self, Unbound> {
        self.metrics = Some(TcpListener::bind(address).await.map_err(|error| (address, error))?);
        Ok(self)
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `end` completes, and then answers the requests in progress.
    pub async fn run(&self, broker: Broker, end: impl Future<Output = ()>) {
        let broker = Arc::new(broker);
        let router = router(&broker);
        let answer = move |request: Request<Result<Bytes, Unread>>| respond(router.clone(), request);
        let serve = async {
            match &self.tls {
                None => serving::serve_until(end, (&self.listener, Plain), self.bounds, answer).await,
                Some(tls) => {
                    let serve = serving::serve_until(end, (&self.listener, tls.clone()), self.bounds, answer);
                    tokio::select! {
                        () = serve => {}
                        () = tls.keep_current(&broker.metrics) => {}
                    }
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = self.serve_metrics(&broker) => {}
        }
        // An operation continues after its client has disconnected.
        let _ = tokio::time::timeout(LAST_OPERATIONS, broker.all_done()).await;
    }

    /// Serves the metrics for as long as it is polled.
    async fn serve_metrics(&self, broker: &Arc<Broker>) {
        let never = std::future::pending::<()>();
        let Some(listener) = &self.metrics else { return never.await };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .fallback(async || refusal(ProblemCode::NotFound.into()))
            .with_state(Arc::clone(broker));
        let answer = move |request: Request<Result<Bytes, Unread>>| respond(router.clone(), request);
        serving::serve_until(never, (listener, Plain), Bounds::of_bodies(METRICS_BODY), answer).await;
    }
}

/// Returns every path of a broker.
fn router(broker: &Arc<Broker>) -> Router {
    let base = broker.settings.url.path().to_owned();
    macro_rules! routes {
        ($($operation:ty,)*) => {
            Router::new()$(.route(&format!("{base}{PATH}{}", <$operation>::NAME), post(perform::<$operation>)))*
        };
    }
    let operations: Router<Arc<Broker>> = operations!(routes);
    operations
        .route("/healthz", get(async || plain(StatusCode::OK, "ok\n")))
        .route("/readyz", get(ready))
        .fallback(async || refusal(ProblemCode::NotFound.into()))
        .method_not_allowed_fallback(async || refusal(ProblemCode::Method.into()))
        .with_state(Arc::clone(broker))
}

/// Answers a request whose body was read or refused.
async fn respond(mut router: Router, request: Request<Result<Bytes, Unread>>) -> hyper::Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let response = match body {
        Ok(body) => {
            let request = Request::from_parts(head, axum::body::Body::from(body));
            router.call(request).await.unwrap_or_else(|never| match never {})
        }
        Err(unread) => refusal(Problem::from(match unread {
            Unread::TooLarge => ProblemCode::TooLarge,
            Unread::TooSlow => ProblemCode::TooSlow,
            Unread::Full => ProblemCode::Busy,
            Unread::Broken => ProblemCode::BadRequest,
        })),
    };
    let (mut head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, ANSWER).await.unwrap_or_else(|_| {
        head.status = StatusCode::INTERNAL_SERVER_ERROR;
        Bytes::new()
    });
    hyper::Response::from_parts(head, Full::new(body))
}

/// Performs an operation in a task of its own, which continues if the client disconnects, so that its outcome is logged.
async fn perform<O: Operation>(State(broker): State<Arc<Broker>>, body: Bytes) -> Response {
    // A request beyond the limit is refused at once, because waiting would make all requests wait.
    let Ok(slot) = Arc::clone(&broker.slots).try_acquire_owned() else { return refusal(ProblemCode::Busy.into()) };
    let work = tokio::spawn(async move {
        let _slot = slot;
        broker.answer::<O>(&body).await
    });
    match tokio::time::timeout(ANSWER_TIME, work).await {
        Ok(Ok(Ok(answer))) => json(StatusCode::OK, &Answered::Answer(answer)),
        Ok(Ok(Err(problem))) => refusal(problem),
        Ok(Err(panicked)) => {
            tracing::error!("an operation failed: {panicked}");
            refusal(ProblemCode::Internal.into())
        }
        Err(_) => refusal(ProblemCode::TooSlow.into()),
    }
}

async fn ready(State(broker): State<Arc<Broker>>) -> Response {
    match broker.is_ready().await {
        true => plain(StatusCode::OK, "ready\n"),
        false => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn metrics(State(broker): State<Arc<Broker>>) -> Response {
    let mut response = broker.metrics.text().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

fn refusal(problem: Problem) -> Response {
    json(problem.code.status(), &Answered::<()>::Problem(problem))
}

/// Returns a JSON response. It can contain credentials, so it must not be cached.
fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let (status, text) = match serde_json::to_string(document) {
        Ok(text) => (status, text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::from("{}")),
    };
    let mut response = (status, text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

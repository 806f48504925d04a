//! Serves requests over HTTP on loopback.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Answer, LocalAws, Request};
use crate::files;
use crate::serving::{self, Bounds, Unread};

/// The function that answers requests: an AWS emulator, or a wrapper of one.
pub type Handler = Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// A server on loopback.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    handler: Handler,
    log: Option<Arc<Mutex<File>>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The maximum size of a request body. AWS's own limit is 16 MB, for a `BatchWriteItem` (DynamoDB API Reference).
const BODY_LIMIT: usize = 16 << 20;

impl Server {
    /// Listens on a port of 127.0.0.1, or a free one for 0, with an AWS emulator.
    pub async fn bind(port: u16, local: LocalAws) -> Result<Self, String> {
        let handler: Handler = Arc::new(move |request| {
            let answer = local.answer(&request);
            Box::pin(async move { answer })
        });
        Self::bind_handler(port, handler).await
    }

    /// The same, with any handler.
    pub async fn bind_handler(port: u16, handler: Handler) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot listen on 127.0.0.1:{port}: {error}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, handler, log: None })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends each request to a file, as one JSON object per line.
    pub fn log_to(&mut self, path: &Path) -> io::Result<()> {
        let file = files::append(path, files::SHARED)?;
        self.log = Some(Arc::new(Mutex::new(file)));
        Ok(())
    }

    /// Serves until dropped. The number and size of connections are limited: see [`Bounds`].
    pub async fn run(&self) {
        let (handler, log) = (Arc::clone(&self.handler), self.log.clone());
        serving::serve(&self.listener, Bounds::of_bodies(BODY_LIMIT), move |request| {
            respond(request, Arc::clone(&handler), log.clone())
        })
        .await;
    }
}

async fn respond(
    request: hyper::Request<Result<Bytes, Unread>>,
    handler: Handler,
    log: Option<Arc<Mutex<File>>>,
) -> hyper::Response<Full<Bytes>> {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (target, authorization, token) =
        (header("x-amz-target"), header("authorization"), header("x-amz-security-token"));
    if let Some(why) = foreign_client(&header("host"), &header("origin")) {
        return response(Answer::error(403, "AccessDeniedException", why));
    }
    let body = match request.into_body() {
        Ok(body) => body,
        Err(unread) => return response(Answer::error(unread.status().as_u16(), "RequestNotRead", unread.message())),
    };
    let request = Request::new(target, &authorization, body.to_vec()).with_token(token);
    let logged = log.map(|log| (log, request.clone()));
    let answer = handler(request).await;
    if let Some((log, request)) = logged {
        write_log(&log, &request, &answer);
    }
    response(answer)
}

/// Returns the reason why a request does not come from a client on this machine: a web page can send requests with its own name for this
/// address.
fn foreign_client(host: &str, origin: &str) -> Option<&'static str> {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    if !["", "127.0.0.1", "localhost", "[::1]"].contains(&name) {
        return Some("this server is 127.0.0.1 and localhost, and no other name");
    }
    (!origin.is_empty()).then_some("this server answers programs, not pages")
}

fn response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(answer.content_type));
    headers.insert("x-amzn-requestid", hyper::header::HeaderValue::from_static("local"));
    response
}

fn write_log(log: &Mutex<File>, request: &Request, answer: &Answer) {
    let body: Value = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&request.body).into_owned()));
    let line = json!({ "target": request.target, "region": request.region, "request": body, "status": answer.status });
    let mut file = log.lock().unwrap_or_else(PoisonError::into_inner);
    // One write, so that lines of several servers do not mix. A log failure must not affect clients.
    let _ = file.write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_from_web_pages_are_refused() {
        for host in ["", "127.0.0.1", "127.0.0.1:4566", "localhost:4566", "[::1]:80"] {
            assert_eq!(foreign_client(host, ""), None, "{host}");
        }
        for host in
            ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"]
        {
            assert!(foreign_client(host, "").is_some(), "{host}");
        }
        assert!(foreign_client("127.0.0.1:4566", "https://evil.example").is_some());
    }
}

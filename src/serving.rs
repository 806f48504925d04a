//! The accept loop that the HTTP servers share, with bounds on what clients can make this process hold.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

/// What a server holds for its clients, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// How many connections are open at once. A further client takes the place of the connection that has waited
    /// longest without a request being answered on it.
    pub(crate) connections: usize,
    /// How long a client may take for a request's head, the time between two requests included.
    pub(crate) head: Duration,
    /// How long a client may take for a request's body.
    pub(crate) body: Duration,
    /// How long a client may read nothing of an answer.
    pub(crate) stall: Duration,
    /// The largest body of a request.
    pub(crate) body_bytes: usize,
    /// The most that is held of the bodies of all requests under way.
    pub(crate) held_bytes: usize,
}

/// The most bytes and headers that a request's head may have.
const HEAD_BYTES: usize = 64 << 10;
const HEADERS: usize = 64;

impl Bounds {
    /// Returns bounds for bodies of this size.
    pub(crate) const fn of_bodies(body_bytes: usize) -> Self {
        let patience = Duration::from_secs(30);
        Self {
            connections: 64,
            head: patience,
            body: patience,
            stall: patience,
            body_bytes,
            held_bytes: body_bytes.saturating_mul(4),
        }
    }
}

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than a body may be.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The bodies of other requests take all the memory there is for them.
    Full,
    /// The client went away, or sent what is no body.
    Broken,
}

impl Unread {
    /// Returns the status to answer with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Says why.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::TooLarge => "the request's body is larger than this server takes",
            Self::TooSlow => "the request's body did not arrive in time",
            Self::Full => "this server is reading as much as it can hold; try again",
            Self::Broken => "the request's body could not be read",
        }
    }
}

/// What a server does with a connection before it reads requests from it.
pub(crate) trait Handshake: Clone + Send + Sync + 'static {
    /// What requests are read from.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn shake(self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Nothing: HTTP without TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    async fn shake(self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// How long requests that are being answered may take when a server ends.
const LAST: Duration = Duration::from_secs(25);

/// Answers requests until it is dropped, which ends the connections too.
pub(crate) async fn serve<A>(
    listener: &TcpListener,
    bounds: Bounds,
    answer: impl Fn(Request<Result<Bytes, Unread>>) -> A + Clone + Send + Sync + 'static,
) where
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    serve_until(std::future::pending(), (listener, Plain), bounds, answer).await;
}

/// The same until something else ends: then no connection is accepted any more, and requests under way are answered.
pub(crate) async fn serve_until<A>(
    end: impl Future<Output = ()>,
    (listener, handshake): (&TcpListener, impl Handshake),
    bounds: Bounds,
    answer: impl Fn(Request<Result<Bytes, Unread>>) -> A + Clone + Send + Sync + 'static,
) where
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut connections = Connections::default();
    let (ending, ended) = watch::channel(());
    let mut end = pin!(end);
    let held = Arc::new(Semaphore::new(bounds.held_bytes));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.as_mut() => break,
        };
        let Ok((stream, _)) = accepted else {
            // The process has no file descriptor left: accepting at once would only spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if !connections.make_room(bounds.connections) {
            continue;
        }
        let (answer, held) = (answer.clone(), Arc::clone(&held));
        let busy = Arc::new(AtomicBool::new(false));
        let answering = Arc::clone(&busy);
        let service = service_fn(move |request: Request<Incoming>| {
            let (answer, held, busy) = (answer.clone(), Arc::clone(&held), Arc::clone(&answering));
            async move {
                let (head, body) = request.into_parts();
                // The bytes count as held until the answer is made.
                let (body, _held) = match read(body, bounds, &held).await {
                    Ok((body, held)) => (Ok(body), held),
                    Err(unread) => (Err(unread), None),
                };
                busy.store(true, Ordering::Relaxed);
                let response = answer(Request::from_parts(head, body)).await;
                busy.store(false, Ordering::Relaxed);
                Ok::<_, Infallible>(response)
            }
        });
        let (handshake, mut ended) = (handshake.clone(), ended.clone());
        let task = tokio::spawn(async move {
            let shaken = tokio::time::timeout(bounds.head, handshake.shake(stream)).await;
            let Ok(Ok(stream)) = shaken else { return };
            let stream = TokioIo::new(Unstalled { stream, limit: bounds.stall, stalled: None });
            let mut connection = hyper::server::conn::http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(bounds.head);
            connection.max_buf_size(HEAD_BYTES).max_headers(HEADERS);
            // A client that goes away, or takes too long, is no fault of the server's.
            let mut connection = pin!(connection.serve_connection(stream, service));
            tokio::select! {
                _ = connection.as_mut() => {}
                _ = ended.changed() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        });
        connections.0.push((task.abort_handle(), busy));
    }
    let _ = ending.send(());
    let _ = tokio::time::timeout(LAST, connections.all_end()).await;
}

/// Connections in the order they were accepted, and whether a request is being answered on each.
#[derive(Debug, Default)]
struct Connections(Vec<(AbortHandle, Arc<AtomicBool>)>);

impl Connections {
    /// Makes room for one more connection, if it takes closing the oldest one that waits for its client. Returns whether
    /// there is room.
    fn make_room(&mut self, most: usize) -> bool {
        self.0.retain(|(task, _)| !task.is_finished());
        if self.0.len() < most {
            return true;
        }
        let Some(waiting) = self.0.iter().position(|(_, busy)| !busy.load(Ordering::Relaxed)) else { return false };
        self.0.remove(waiting).0.abort();
        true
    }
}

impl Connections {
    /// Waits until all have ended.
    async fn all_end(&self) {
        while !self.0.iter().all(|(task, _)| task.is_finished()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.iter().for_each(|(task, _)| task.abort());
    }
}

/// Reads a body, within the bounds.
async fn read(
    body: Incoming,
    bounds: Bounds,
    held: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unread> {
    tokio::time::timeout(bounds.body, collect(body, bounds.body_bytes, held)).await.unwrap_or(Err(Unread::TooSlow))
}

async fn collect(
    mut body: Incoming,
    limit: usize,
    held: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unread> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLarge);
    }
    let mut read = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if read.len() + data.len() > limit {
            return Err(Unread::TooLarge);
        }
        let size = u32::try_from(data.len()).map_err(|_| Unread::TooLarge)?;
        let more = Arc::clone(held).try_acquire_many_owned(size).map_err(|_| Unread::Full)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        read.extend_from_slice(&data);
    }
    Ok((read.freeze(), taken))
}

/// A connection that fails when its client reads nothing for too long.
#[derive(Debug)]
struct Unstalled<S> {
    stream: S,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    fn progress<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    fn bounds() -> Bounds {
        Bounds { connections: 4, head: SHORT, body: SHORT, stall: SHORT, body_bytes: 1000, held_bytes: 1500 }
    }

    /// Starts a server that answers with the size of the body, or with a large body at `/large`.
    async fn start(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            serve(&listener, bounds, |request: Request<Result<Bytes, Unread>>| async move {
                if request.uri().path() == "/large" {
                    return Response::new(Full::new(Bytes::from(vec![b'x'; 64 << 20])));
                }
                if request.uri().path() == "/slow" {
                    tokio::time::sleep(SHORT * 3).await;
                }
                match request.into_body() {
                    Ok(body) => Response::new(Full::new(Bytes::from(body.len().to_string()))),
                    Err(unread) => {
                        let mut response = Response::new(Full::new(Bytes::from(unread.message())));
                        *response.status_mut() = unread.status();
                        response
                    }
                }
            })
            .await;
        });
        address
    }

    async fn send(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Reads until the server closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut read = Vec::new();
        let all = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut read));
        let _ = all.await.expect("the server closes the connection");
        String::from_utf8_lossy(&read).into_owned()
    }

    async fn ask(address: SocketAddr, head: &str, body: &str) -> String {
        let text = format!("{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{body}");
        rest(&mut send(address, &text).await).await
    }

    #[tokio::test]
    async fn a_request_is_answered_and_its_body_is_bounded() {
        let address = start(bounds()).await;
        assert!(ask(address, "POST /", "Content-Length: 3\r\n\r\nabc").await.ends_with("\r\n\r\n3"));
        let large = ask(address, "POST /", "Content-Length: 1001\r\n\r\n").await;
        assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
        // A body that does not say how long it is is counted.
        let chunk = format!("{:x}\r\n{}\r\n", 600, "x".repeat(600));
        let chunked =
            ask(address, "POST /", &format!("Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")).await;
        assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    }

    #[tokio::test]
    async fn a_head_that_never_ends_closes_the_connection() {
        let address = start(bounds()).await;
        let mut silent = send(address, "").await;
        let mut half = send(address, "POST / HTTP/1.1\r\nHost: lo").await;
        assert!(!rest(&mut silent).await.contains("200"));
        assert!(!rest(&mut half).await.contains("200"));
        // One that has been answered and stays silent is closed as well.
        let mut idle = send(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(rest(&mut idle).await.ends_with("\r\n\r\n0"));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let address = start(bounds()).await;
        let long = ask(address, "GET /", &format!("X: {}\r\n\r\n", "x".repeat(HEAD_BYTES * 2))).await;
        assert!(!long.contains(" 200 "), "{long}");
        let many: String = (0..HEADERS * 2).map(|number| format!("X{number}: y\r\n")).collect();
        let many = ask(address, "GET /", &format!("{many}\r\n")).await;
        assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_given_up() {
        let address = start(bounds()).await;
        let mut slow = send(address, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n").await;
        let (mut reading, mut writing) = slow.split();
        let trickle = async {
            while writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        let mut answer = vec![0; 12];
        tokio::select! {
            () = trickle => panic!("the connection was closed without an answer"),
            read = reading.read_exact(&mut answer) => drop(read.unwrap()),
        }
        assert_eq!(answer, b"HTTP/1.1 408");
    }

    #[tokio::test]
    async fn the_bodies_of_all_requests_together_are_bounded() {
        let address = start(Bounds { body: SHORT * 10, ..bounds() }).await;
        let half = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(900));
        let _waiting = send(address, &half).await;
        tokio::time::sleep(SHORT / 3).await;
        let more = ask(address, "POST /", &format!("Content-Length: 900\r\n\r\n{}", "x".repeat(900))).await;
        assert!(more.starts_with("HTTP/1.1 503 "), "{more}");
        assert!(ask(address, "POST /", "Content-Length: 3\r\n\r\nabc").await.ends_with("\r\n\r\n3"));
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let address = start(bounds()).await;
        let mut deaf = send(address, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        tokio::time::sleep(SHORT * 10).await;
        assert!(rest(&mut deaf).await.len() < 64 << 20);
    }

    #[tokio::test]
    async fn slow_clients_do_not_keep_others_out() {
        let address = start(Bounds { head: SHORT * 100, ..bounds() }).await;
        let mut slow = Vec::new();
        for _ in 0..20 {
            slow.push(send(address, "GET / HT").await);
        }
        assert!(ask(address, "GET /", "\r\n").await.ends_with("\r\n\r\n0"));
        // The oldest ones had to go: no more than four are open.
        assert_eq!(rest(&mut slow[0]).await, "");
    }

    #[tokio::test]
    async fn no_more_than_so_many_requests_are_answered_at_once() {
        let address = start(bounds()).await;
        let mut asked = Vec::new();
        for _ in 0..5 {
            asked.push(send(address, "GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await);
            tokio::time::sleep(SHORT / 10).await;
        }
        let mut answered = 0;
        for stream in &mut asked {
            answered += usize::from(rest(stream).await.contains(" 200 "));
        }
        assert_eq!(answered, 4);
    }
}
